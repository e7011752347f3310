#!/usr/bin/env bash
# Everything that is checked without running Wick. Prints what it finds; exits non-zero if anything was found.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
fail=0
step() { printf '%-28s' "lint: $1"; shift; local out; if out=$("$@" 2>&1); then echo ok; else echo FAILED; printf '%s\n' "$out" | head -40; fail=1; fi; }

headers_alone() {
    local h bad=0 flags
    read -ra flags < <(pkg-config --cflags jansson libpcre2-8)
    # Kernel bodies (kernels/, rowops_*) are included once per instruction set with macros set; they are no headers.
    for h in $(git ls-files -co --exclude-standard 'src/*.h' 'include/*.h' | grep -v -e /kernels/ -e /rowops_ -e mlx/binding); do
        echo "#include \"${h#*/}\"" | gcc -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -Iinclude -Isrc \
            "${flags[@]}" -fsyntax-only -x c - || { echo "$h does not compile alone"; bad=1; }
    done
    echo '#include "wick/wick.h"' | g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c++ - || bad=1
    return $bad
}
format() { git ls-files -co --exclude-standard 'src/*.c' 'src/*.h' 'include/*.h' 'fuzz/*.c' 'examples/*.c' 'tests/*.c' 'bench/*.c' | xargs clang-format --dry-run --Werror; }
tidy() {
    local out
    [ -f build/release/compile_commands.json ] || cmake --preset release >/dev/null
    out=$(git ls-files -co --exclude-standard 'src/*.c' | grep -v -e '_test\.c$' -e 'kernels/' -e '_avx' -e '_neon' -e 'backend/mlx' |
        xargs -P 2 -n 8 clang-tidy -p build/release --quiet --extra-arg=-Wno-unknown-warning-option 2>/dev/null | grep -E 'error:|warning:' | sort -u |
        awk 'NR == FNR { ok[$0]; next } { f = $0; sub(/:.*/, "", f); sub("^'"$PWD"'/", "", f); c = $NF; if (!((f " " c) in ok)) print }' tools/tidy-accepted.txt -)
    [ -z "$out" ] || { printf '%s\n' "$out"; return 1; }
}
scripts() { git ls-files -co --exclude-standard '*.sh' '.ci/run' | grep -v fuzz/corpus | xargs shellcheck -S warning; }

step layers python3 tools/check_layers.py
step sizes python3 tools/check_sizes.py
step "sampling table" python3 tools/gen_sampling_md.py --check
step "one name a thing" python3 tools/check_names.py
step symbols python3 tools/check_symbols.py
step "headers alone" headers_alone
step format format
step "shell scripts" scripts
step clang-tidy tidy
exit $fail
