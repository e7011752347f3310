"""The CPU backend and MLX side by side, op by op (backend/wrap.h, tests/tools/wick_ops.c): after every op of the plan both hold the
same values, to 1e-4 of the largest. It is the test that says which op is wrong where logits differ. Every kind of op in
model/ops.def is met.

WICK_PARITY=all or WICK_PARITY_BACKEND=mlx: every case of model_cases."""
import json
import re
import subprocess
from pathlib import Path

import pytest

import test_agreement as ta

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
# one or more for each kind of op
SOME = ["llama", "gemma2", "gpt_oss", "deepseek_v3", "lfm2", "mamba", "mamba2", "falcon_h1", "qwen3_next", "gemma4_text-ple", "cohere"]
seen_kinds = set()


def ops_of(model, n=23):
    tool = Path(ta.find_agree()).with_name("wick_ops")
    r = subprocess.run([tool, model, "cpu", "mlx", str(n), "5"], capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stderr
    return [json.loads(line) for line in r.stdout.splitlines()]


@pytest.mark.parametrize("case", list(ta.CASES) if ta.ALL or ta.BACKEND == "mlx" else SOME)
@pytest.mark.parametrize("quant", ["f32", "4bit"])
def test_ops(case, quant, tmp_path):
    if not ta.mlx_is_there():
        pytest.skip("this build has no MLX, or MLX is not installed")
    ta.make_model.make(case, tmp_path, quant=quant)
    ops = ops_of(tmp_path)
    assert len(ops) > 5
    for o in ops:
        assert o["seen"] and o["not_finite"] == 0 and o["size"] > 0, o
        assert o["off"] <= TOLERANCE * o["size"], f"the first op that differs: {o}"
    seen_kinds.update(o["kind"] for o in ops)


def test_every_kind_was_met():
    if not seen_kinds:
        pytest.skip("no model was compared")
    kinds = set(re.findall(r"^OP\((\w+),", (ROOT / "src/model/ops.def").read_text(), re.M))
    assert seen_kinds == kinds, kinds - seen_kinds
