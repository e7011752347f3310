#!/usr/bin/env bash
# Compiles all of Wick for Apple silicon (arm64, macOS 14) on any Linux machine and links it: the program, and
# libwick_mlx.dylib against the libmlx.dylib of the macOS wheels. Nothing is run; it shows that the sources build.
#
# Compiler: ziglang from PyPI. Headers of the other libraries are those of this system; their symbols stay for the loader.
# Everything lies in build/cross-macos.   tools/cross_macos.sh [JOBS]
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${1:-2}
out=$PWD/build/cross-macos
py=$PWD/build/venv/bin/python
mlx_version=0.32.4
mkdir -p "$out/obj" "$out/include" "$out/wheels"

"$py" -m ziglang version >/dev/null 2>&1 || "$py" -m pip install -q --disable-pip-version-check ziglang
if [ ! -d "$out/mlx/mlx/lib" ]; then
    "$py" -m pip download -q --disable-pip-version-check --platform macosx_14_0_arm64 --only-binary=:all: --no-deps \
        -d "$out/wheels" "mlx==$mlx_version" "mlx-metal==$mlx_version"
    for w in "$out"/wheels/*.whl; do "$py" -m zipfile -e "$w" "$out/mlx"; done
fi

# The headers of the libraries that Wick uses, and no other of this system.
for h in jansson.h jansson_config.h pcre2.h utf8proc.h zlib.h zconf.h nettle microhttpd.h curl yaml.h editline sqlite3.h; do
    for d in /usr/include /usr/include/"$(uname -m)"-linux-gnu; do
        [ -e "$d/$h" ] && ln -sfn "$d/$h" "$out/include/$h"
    done
done

cat >"$out/backend_list.c" <<'LIST'
#include "backend/backend.h"
extern const wick_backend wick_backend_cpu, wick_backend_mlx;
const wick_backend *const wick_backends[] = {&wick_backend_cpu, &wick_backend_mlx, NULL};
LIST

cmake "-DOUT=$out/include/wick_decode_cuda.h" -DFILES=src/backend/mlx/cuda/decode.cuh,src/backend/mlx/cuda/decode.cu -P cmake/EmbedText.cmake

flags=(-target aarch64-macos.14.0 -std=c17 -O2 -Wall -Wextra -Wno-missing-field-initializers -Werror -D_DARWIN_C_SOURCE -DUTF8PROC_EXPORTS
    -ffp-contract=off -fno-strict-aliasing -Iinclude -Isrc -isystem "$out/include" "-DWICK_VERSION=\"$(cat VERSION)\""
    '-DWICK_MODELS_DIR="/usr/local/share/wick/models"'
    '-DWICK_MLX_LIBRARY="libwick_mlx.dylib"')
compile() { # one source; skipped if its object is newer than every source
    local src=$1 obj=$out/obj/${1//\//_}.o cpu=apple_m1
    case $src in *_i8mm.c) cpu=apple_m2 ;; esac
    if [ -e "$obj" ] && [ -z "$(find src include tools/cross_macos.sh -newer "$obj" -name '*.[chd]*' -print -quit)" ]; then return; fi
    "$py" -m ziglang cc "${flags[@]}" "-mcpu=$cpu" -c "$src" -o "$obj" || { echo "cross-macos: $src does not compile" >&2; rm -f "$obj"; return 1; }
}
export -f compile
export out py
export FLAGS="${flags[*]@Q}"
mapfile -t sources < <(find src -name '*.c' ! -name '*_test.c' ! -name '*_avx*.c' | sort)
sources+=("$out/backend_list.c")
printf '%s\n' "${sources[@]}" | xargs -P "$jobs" -I{} bash -c 'eval "flags=($FLAGS)"; compile "$1"' _ {}

"$py" -m ziglang c++ -target aarch64-macos.14.0 -mcpu=apple_m1 -std=c++20 -O2 -shared -isystem "$out/mlx/mlx/include" \
    src/backend/mlx/binding/mlxc.cpp -L"$out/mlx/mlx/lib" -lmlx -Wl,-rpath,@loader_path -o "$out/libwick_mlx.dylib"
objects=()
for s in "${sources[@]}"; do objects+=("$out/obj/${s//\//_}.o"); done
"$py" -m ziglang cc -target aarch64-macos.14.0 -mcpu=apple_m1 "${objects[@]}" -Wl,-undefined,dynamic_lookup -o "$out/wick"
file -b "$out/wick" "$out/libwick_mlx.dylib" 2>/dev/null || ls -l "$out/wick" "$out/libwick_mlx.dylib"
echo "cross-macos: ${#sources[@]} files compiled and linked"
