#!/usr/bin/env bash
# Wick on MLX's CUDA device beside mlx-lm, on a machine with an NVIDIA GPU and no network.
#
#   bench/mlx_h200.sh pack          where Wick is built (make mlx): program, libwick_mlx.so and the system libraries they
#                                   need, into build/h200/ (about 10 MiB), to be carried to the other machine
#   bench/mlx_h200.sh check         there: does the backend see the GPU, and are its logits and greedy tokens those of the CPU backend
#   bench/mlx_h200.sh run [MODEL..] there: makes the models (8b-4bit 1b-4bit 8b-bf16 1b-bf16 by default) in $WORK, then for
#                                   each, decode first, then prompts: `wick bench` and mlx-lm in turn. Every row is
#                                   printed when it is there; no row is started once BUDGET seconds are over
#
# There, python3 must import mlx (a CUDA wheel of the version that Wick was built against), mlx_lm and numpy.
#   WORK=/tmp/wick-h200   models and logs (all models: 23 GiB)         REPS=1        runs of each row, behind a warm-up
#   BATCHES=1,8,32  GEN=64       decode rows                           BUDGET=240    seconds
#   PROMPTS=512,2048  PROMPT_BATCHES=1,8   prompt rows                 OUT=folder    copies of the logs, if set
#   WICK_ARGS="--mlx-compile off"   more options of `wick bench`
# "host" lines (from --verbose): per step, ops built, milliseconds to build and to start them, and microseconds an op.
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=${WORK:-/tmp/wick-h200}
REPS=${REPS:-1} PROMPTS=${PROMPTS:-512,2048} GEN=${GEN:-64} BATCHES=${BATCHES:-1,8,32}
PROMPT_BATCHES=${PROMPT_BATCHES:-1,8} BUDGET=${BUDGET:-240}
kit=build/h200

pack() {
    local from=${WICK_BUILD:-build/mlx} lib
    rm -rf "$kit"
    mkdir -p "$kit/lib"
    cp "$from/wick" "$from/libwick_mlx.so" "$kit/"
    ldd "$from/wick" | awk '$2 == "=>" { print $3 }' | while read -r lib; do
        case $(basename "$lib") in libc.so* | libm.so* | libpthread.so* | libdl.so* | ld-linux*) ;; *) cp -L "$lib" "$kit/lib/" ;; esac
    done
    du -sh "$kit"
}

# libmlx and what it loads are where Python finds them; the same folders serve Wick.
library_path() {
    python3 - <<'PY'
import re
import mlx.core as mx
a = mx.random.normal((64, 64)).astype(mx.bfloat16)
mx.eval(a @ a, mx.fast.rms_norm(a, None, 1e-5))
dirs = []
for line in open("/proc/self/maps"):
    m = re.search(r"(/\S+)/[^/]+\.so[^/]*$", line.strip())
    if m and m.group(1) not in dirs and re.search(r"site|nvidia|cuda|mlx", m.group(1)):
        dirs.append(m.group(1))
dirs.sort(key=lambda d: not d.endswith("mlx/lib"))
print(":".join(dirs))
PY
}

wick() { LD_LIBRARY_PATH="$path:$PWD/$kit/lib" "$kit/wick" "$@"; }

there() {
    mkdir -p "$WORK"
    path=$(library_path)
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true
    python3 -c 'import mlx.core as mx, mlx_lm; print("mlx", mx.__version__, "mlx-lm", mlx_lm.__version__, mx.default_device())'
    wick --version
    wick gpu-info
}

check() {
    there
    python3 bench/mlx_models.py make "$WORK/1b-4bit" 1b 4bit
    local tokens=1,2,3,4,5,6,7,8
    wick logits "$WORK/1b-4bit" --tokens $tokens --greedy 8 --backend cpu --precision exact --json >"$WORK/check-cpu.json"
    wick logits "$WORK/1b-4bit" --tokens $tokens --greedy 8 --backend mlx --device gpu --precision exact --json >"$WORK/check-gpu.json"
    wick logits "$WORK/1b-4bit" --tokens $tokens --greedy 8 --backend mlx --device gpu --json >"$WORK/check-bf16.json"
    python3 - "$WORK" <<'PY'
import json, sys
import numpy as np
a, b, c = (json.load(open(f"{sys.argv[1]}/check-{d}.json")) for d in ("cpu", "gpu", "bf16"))
x = np.array(a["logits"])
for name, o in (("float32", b), ("bfloat16", c)):
    d = float(np.abs(x - np.array(o["logits"])[: len(x)]).max())
    print(f"gpu {name}: largest difference of logits {d:.3g} of {np.abs(x).max():.3g}; greedy {o['tokens']}, cpu {a['tokens']}")
PY
}

left() { [ "$SECONDS" -lt "$BUDGET" ] || { echo "$1: left out, $SECONDS s are over"; return 1; }; }

# rows MODEL KIND: Wick and mlx-lm on the decode or the prompt rows of a model
rows() {
    local args=(-p 0 -n "$GEN" -b "$BATCHES" -r "$REPS") m=$1 kind=$2 limit
    [ "$kind" = decode ] || args=(-p "$PROMPTS" -n 0 -b "$PROMPT_BATCHES" -r "$REPS")
    left "wick $m $kind" || return 0
    limit=$((BUDGET - SECONDS + 20))
    # shellcheck disable=SC2086
    LD_LIBRARY_PATH="$path:$PWD/$kit/lib" timeout "$limit" "$kit/wick" bench "$WORK/$m" --backend mlx --device gpu --verbose \
        "${args[@]}" ${WICK_ARGS:-} 2>&1 | tee -a "$WORK/$m-wick.log" || echo "wick $m $kind: failed or out of time"
    left "mlx-lm $m $kind" || return 0
    limit=$((BUDGET - SECONDS + 20))
    timeout "$limit" python3 bench/mlx_models.py speed "$WORK/$m" "${args[@]}" 2>&1 | tee -a "$WORK/$m-mlx-lm.log" ||
        echo "mlx-lm $m $kind: failed or out of time"
}

run() {
    there
    local models=("$@") m kind
    [ "${#models[@]}" -gt 0 ] || models=(8b-4bit 1b-4bit 8b-bf16 1b-bf16)
    rm -f "$WORK"/*-wick.log "$WORK"/*-mlx-lm.log
    for kind in decode prompt; do
        for m in "${models[@]}"; do
            left "$m $kind" || continue
            [ -f "$WORK/$m/config.json" ] || python3 bench/mlx_models.py make "$WORK/$m" "${m%-*}" "${m#*-}"
            rows "$m" "$kind"
            [ -z "${OUT:-}" ] || cp "$WORK/$m"-*.log "$OUT/"
        done
    done
    echo "$SECONDS s"
}

case ${1:-} in
pack) pack ;;
check) check ;;
run) shift && run "$@" ;;
*) sed -n '2,/^set/p' "$0" | sed 's/^# \{0,1\}//; /^set/d' && exit 2 ;;
esac
