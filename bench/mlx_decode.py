#!/usr/bin/env python3
"""Does the kernel that makes a whole step of one token give what the ops give? On a machine with an NVIDIA GPU:

  bench/mlx_decode.py --wick build/mlx/wick [CASE..]

Makes models of several families, large enough for the kernel, in bfloat16 and in 4 bits, and takes the likeliest token again and
again in float32, in bfloat16 op by op (--mlx-compile off), and in bfloat16 by the kernel. Prints for the last two how many tokens
are those of float32 (near ties end it sooner or later) and how far their log probabilities are off up to there, on average: the
kernel must not be farther off than the ops. Needs mlx, mlx-lm and numpy."""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/tools"))
import make_model  # noqa: E402
import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402

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
    tokens = ",".join(str(7919 * i % 31991) for i in range(9))
    p = subprocess.run([*wick.split(), "logits", str(folder), "--tokens", tokens, "--greedy", str(n), "--backend", "mlx",
                        "--device", "gpu", "--json", "--verbose", *more], capture_output=True, text=True)
    if p.returncode:
        raise SystemExit(f"{folder}: {p.stderr.strip()}")
    said = [line.split("mlx: ")[1] for line in p.stderr.splitlines() if "of one token" in line or "decode kernel" in line]
    o = json.loads(p.stdout)
    return o["tokens"], np.array(o["logprobs"]), said


def compare(a, b):
    same = next((i for i, (x, y) in enumerate(zip(a[0], b[0])) if x != y), len(a[0]))
    return same, float(np.abs(a[1][:same] - b[1][:same]).mean()) if same else float("nan")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("cases", nargs="*", default=CASES)
    ap.add_argument("--wick", default="build/mlx/wick")
    ap.add_argument("-n", type=int, default=140)
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for case in a.cases:
            for quant in (None, "4:64"):
                at = Path(folder) / f"{case}-{quant or 'bf16'}".replace(":", "-")
                make_model.make(case, at, quant=quant, config=config_of(case), dtype=mx.bfloat16)
                exact = run(a.wick, at, a.n, "--precision", "exact", "--mlx-compile", "off")
                ops = run(a.wick, at, a.n, "--mlx-compile", "off")
                own = run(a.wick, at, a.n)
                (n, x), (k, y) = compare(exact, ops), compare(exact, own)
                print(f"{at.name:<28} {n:4} tokens, off by {x:.4f} op by op; {k:4} tokens, off by {y:.4f} by the kernel;", *own[2][-1:], flush=True)


if __name__ == "__main__":
    main()
