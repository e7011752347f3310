#!/usr/bin/env python3
"""Does the kernel that makes a whole step of one token give what the ops give? On a machine with an NVIDIA GPU:

  bench/mlx_decode.py --wick "build/h200/wick" [CASE..]

Makes models of several families, large enough for the kernel, in bfloat16 and in 4 bits, and takes the likeliest token a few
hundred times with --mlx-compile on and off. Prints how many tokens are the same until the first that is not (both round, so a
near tie ends it sooner or later), and the largest difference of log probabilities up to there. Needs mlx, mlx-lm and numpy."""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/tools"))
import make_model  # noqa: E402
import mlx.core as mx  # noqa: E402

SIZE = dict(hidden_size=1024, intermediate_size=2560, num_attention_heads=16, num_key_value_heads=4, vocab_size=32003,
            num_hidden_layers=6, max_position_embeddings=4096)
OTHER = {"llama": dict(head_dim=128), "qwen2": dict(num_key_value_heads=2), "mistral-mixed": dict(num_hidden_layers=6, layer_types=["sliding_attention", "full_attention"] * 3),
         "gemma3_text": dict(num_attention_heads=4, num_key_value_heads=1, head_dim=256, sliding_window=64, num_hidden_layers=7),
         "llama-bias-linear": dict(head_dim=80, num_attention_heads=8), "phi3": dict(num_attention_heads=8, num_key_value_heads=8)}
CASES = ["llama", "qwen2", "qwen3", "gemma3_text", "granite", "smollm3", "mistral-mixed", "phi3", "ernie4_5", "llama-bias-linear"]


def config_of(case):
    c = dict(make_model.CASES[case], **SIZE)
    c.update(OTHER.get(case, {}))
    return c


def run(wick, folder, n, *more):
    tokens = ",".join(str(7 * i % 1000) for i in range(9))
    p = subprocess.run([*wick.split(), "logits", str(folder), "--tokens", tokens, "--greedy", str(n), "--backend", "mlx",
                        "--device", "gpu", "--json", "--verbose", *more], capture_output=True, text=True)
    if p.returncode:
        raise SystemExit(f"{folder}: {p.stderr.strip()}")
    o = json.loads(p.stdout)
    return o["tokens"], o["logprobs"], [line for line in p.stderr.splitlines() if "step of one token" in line or "steps of one" in line or "decode kernel" in line]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("cases", nargs="*", default=CASES)
    ap.add_argument("--wick", default="build/mlx/wick")
    ap.add_argument("-n", type=int, default=300)
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for case in a.cases:
            for quant in (None, "4:64"):
                at = Path(folder) / f"{case}-{quant or 'bf16'}".replace(":", "-")
                make_model.make(case, at, quant=quant, config=config_of(case), dtype=mx.bfloat16)
                x, lx, _ = run(a.wick, at, a.n, "--mlx-compile", "off")
                y, ly, said = run(a.wick, at, a.n)
                same = next((i for i in range(min(len(x), len(y))) if x[i] != y[i]), len(x))
                diff = max((abs(p - q) for p, q in zip(lx[:same], ly[:same])), default=0)
                print(f"{at.name:<28} {same:4} of {len(x)} tokens the same, log probabilities within {diff:.3f}", *said[-1:], flush=True)


if __name__ == "__main__":
    main()
