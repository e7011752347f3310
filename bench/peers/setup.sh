#!/usr/bin/env bash
# Builds llama.cpp's programs for this machine from the source package of `llama-cpp-python` on PyPI, under build/peers, and
# its CPU library once more without AVX-512 (x86 only). Does nothing where they are there.
#   bench/peers/setup.sh [-jN]         LLAMA_CPP_PYTHON=0.3.36 takes that version of the package
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${LLAMA_CPP_PYTHON:-0.3.36}
jobs=${1:--j$(nproc 2>/dev/null || sysctl -n hw.ncpu)}
dir=build/peers
src=$dir/src/llama_cpp_python-$version
log=$dir/llama.log
# As its users build it: Release, OpenMP; without what a measurement does not need.
options=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_OPENMP=ON -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF
    -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF)

# build FOLDER TARGETS OPTIONS...
build() {
    local folder=$1 targets=$2
    shift 2
    {
        cmake -S "$src/vendor/llama.cpp" -B "$folder" "${options[@]}" "$@"
        # shellcheck disable=SC2086 # a list
        for t in $targets; do cmake --build "$folder" --target "$t" "$jobs"; done
    } >>"$log" 2>&1 || { tail -30 "$log" >&2; exit 1; }
}

if [ -e "$dir/llama-$version/done" ]; then exit 0; fi
mkdir -p "$dir/sdist" "$dir/src"
: >"$log"
if [ ! -d "$src" ]; then
    [ -x "$dir/venv/bin/pip" ] || python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" download -q --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
        "llama-cpp-python==$version" -d "$dir/sdist"
    tar -xzf "$dir/sdist/llama_cpp_python-$version.tar.gz" -C "$dir/src"
fi
build "$dir/llama-$version" "llama-bench llama-batched-bench llama-quantize llama-completion llama-server" -DGGML_NATIVE=ON
ln -sfn "llama-$version/bin" "$dir/bin"
case $(uname -m) in
x86_64 | amd64)
    build "$dir/llama-$version-avx2" ggml-cpu -DGGML_NATIVE=OFF -DGGML_SSE42=ON -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON \
        -DGGML_F16C=ON -DGGML_BMI2=ON
    ln -sfn "llama-$version-avx2/bin" "$dir/avx2"
    ;;
esac
touch "$dir/llama-$version/done"
