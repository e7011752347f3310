#!/usr/bin/env bash
# The build against an installed mlx-c (MLX_C_ROOT), as Homebrew's: a prefix is made of the project's own binding under mlx-c's
# names, and the MLX backend is compiled against it, opens its library and passes its unit tests. usage: mlxc_prefix.sh BUILD JOBS
# BUILD: a build folder with libwick_mlx
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 jobs=${2:-2} prefix=$PWD/build/mlxc-prefix
mkdir -p "$prefix/include/mlx/c" "$prefix/lib"
cp src/backend/mlx/binding/mlxc.h "$prefix/include/mlx/c/mlx.h"
cp "$build"/libwick_mlx.so "$prefix/lib/libmlxc.so"
cmake -S . -B build/mlxc -G Ninja -DCMAKE_BUILD_TYPE=Release -DENABLE_MLX=ON -DMLX_C_ROOT="$prefix" -DWICK_TESTS=ON >build/mlxc.log
grep "MLX: mlx-c: $prefix/lib/libmlxc.so" build/mlxc.log
cmake --build build/mlxc -j "$jobs" --target backend_mlx_mlx_test backend_mlx_kv_test >>build/mlxc.log || { tail -30 build/mlxc.log; exit 1; }
mv "$prefix/lib/libmlxc.so" "$prefix/lib/away" # nothing else is opened instead
build/mlxc/backend_mlx_kv_test >/dev/null 2>&1 && { echo "the tests do not open $prefix/lib/libmlxc.so"; exit 1; }
mv "$prefix/lib/away" "$prefix/lib/libmlxc.so"
build/mlxc/backend_mlx_mlx_test
build/mlxc/backend_mlx_kv_test
