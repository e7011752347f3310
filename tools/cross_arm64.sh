#!/usr/bin/env bash
# Builds Wick for 64-bit ARM Linux on any Debian or Ubuntu machine and runs it under qemu: the unit tests of the CPU
# backend on a processor with the int8 matrix products, one with the dot products and one with neither, and whole models
# against mlx-lm and this machine's own program. qemu shows that the results are right; it says nothing about speed.
#
# The libraries are arm64 packages in a folder of their own, read by a private apt state: nothing of this system changes.
# Everything lies in build/cross-arm64. Where something is missing it says so and succeeds.   tools/cross_arm64.sh [JOBS]
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${1:-2}
out=$PWD/build/cross-arm64
root=$out/sysroot
py=$PWD/build/venv/bin/python
packages=(libc6-dev libjansson-dev libpcre2-dev libutf8proc-dev zlib1g-dev nettle-dev libmicrohttpd-dev libcurl4-gnutls-dev
    libyaml-dev libsqlite3-dev libedit-dev libcmocka-dev)

skip() { echo "cross-arm64: skipped: $*"; exit 0; }
for tool in aarch64-linux-gnu-gcc qemu-aarch64 apt-get dpkg cmake ninja; do
    command -v "$tool" >/dev/null 2>&1 || skip "there is no $tool here (tools/bootstrap.sh ci installs it on Debian)"
done

# --- the arm64 packages ---
# apt with its own state and lists; $1: a list of sources, or nothing for those of this system
private_apt() {
    local sources=$1
    shift
    local o=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$out/apt" -o "Dir::State::status=$out/apt/status"
        -o "Dir::State::lists=$out/apt/lists" -o "Dir::Cache=$out/apt" -o "Dir::Cache::archives=$out/apt/archives"
        -o APT::Install-Recommends=false -o Acquire::Languages=none -o Debug::NoLocking=true)
    [ "$(id -u)" != 0 ] || o+=(-o APT::Sandbox::User=root)
    [ -z "$sources" ] || o+=(-o "Dir::Etc::sourcelist=$sources" -o Dir::Etc::sourceparts=-)
    apt-get "${o[@]}" "$@"
}
fetch() {
    rm -rf "$out/apt" "$root"
    mkdir -p "$out/apt/lists/partial" "$out/apt/archives/partial" "$root"
    : >"$out/apt/status"
    private_apt "$1" update >"$out/apt.log" 2>&1 || true
    private_apt "$1" install -y --download-only "${packages[@]}" >>"$out/apt.log" 2>&1
}
ports() { # Ubuntu keeps arm64 apart from what its own sources name
    local id codename
    id=$(. /etc/os-release && echo "$ID")
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    case $id in
    ubuntu) echo "deb http://ports.ubuntu.com/ubuntu-ports $codename main universe" ;;
    *) echo "deb http://deb.debian.org/debian $codename main" ;;
    esac
}
stamp="${packages[*]}"
if [ "$(cat "$out/sysroot.stamp" 2>/dev/null)" != "$stamp" ]; then
    mkdir -p "$out"
    ports >"$out/sources.list"
    fetch "" || fetch "$out/sources.list" || skip "the arm64 packages are not to be had: $(grep -m1 '^[EW]:' "$out/apt.log" || tail -1 "$out/apt.log")"
    for deb in "$out"/apt/archives/*.deb; do dpkg -x "$deb" "$root"; done
    rm -rf "$out/apt"
    echo "$stamp" >"$out/sysroot.stamp"
fi

# --- build ---
cmake -S . -B "$out/b" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux.cmake" \
    -DWICK_SYSROOT="$root" -DENABLE_MLX=OFF -DWICK_TESTS=ON >"$out/cmake.log" 2>&1 || { cat "$out/cmake.log"; exit 1; }
units=()
for t in src/base/*_test.c src/quant/*_test.c src/backend/cpu/*_test.c; do
    t=${t#src/}
    t=${t%.c}
    units+=("${t//\//_}")
done
cmake --build "$out/b" -j "$jobs" --target wick "${units[@]}" >"$out/build.log" 2>&1 || { tail -40 "$out/build.log"; exit 1; }

# --- unit tests: every processor has its own best instruction set ---
run_unit() {
    local log=$out/$1-$2.log
    QEMU_CPU=$1 QEMU_LD_PREFIX=$root WICK_TEST_QUICK=1 qemu-aarch64 "$out/b/$2" >"$log" 2>&1 || { tail -30 "$log"; return 1; }
    printf '%-11s %-25s %s %s\n' "$1" "$2" "$(grep -ao '[0-9]* test(s) run' "$log" | tail -1)" "$(grep -a '^instruction sets' "$log" || true)"
}
export -f run_unit
export out root
{
    for cpu in max cortex-a76 cortex-a53; do echo "$cpu backend_cpu_linear_test"; done
    echo "max backend_cpu_cpu_test"
    echo "cortex-a53 backend_cpu_mixer_test"
    for t in "${units[@]}"; do
        case $t in *_linear_test | *_cpu_cpu_test | *_mixer_test) ;; *) echo "max $t" ;; esac
    done
} | xargs -P "$jobs" -L 1 bash -c 'run_unit "$@"' _

# --- whole models ---
cat >"$out/wick" <<RUN
#!/bin/sh
QEMU_LD_PREFIX=$root exec qemu-aarch64 "$out/b/wick" "\$@"
RUN
chmod +x "$out/wick"
if "$py" -c 'import mlx_lm' 2>/dev/null; then
    [ ! -x build/release/wick ] || export WICK_OTHER_BIN=$PWD/build/release/wick
    QEMU_CPU=max WICK_BIN=$out/wick "$py" -m pytest -q -p no:cacheprovider tests/parity/test_isa.py
    for cpu in max cortex-a53; do
        QEMU_CPU=$cpu WICK_BIN=$out/wick "$py" -m pytest -q -p no:cacheprovider tests/parity/test_parity.py -k 'test_logits and llama-mlx'
    done
else
    echo "cross-arm64: whole models are left out: mlx-lm is not in build/venv"
fi
file -b "$out/b/wick" 2>/dev/null || true
echo "cross-arm64: built and run"
