"""Every instruction set of this processor gives one answer: `wick logits` of a whole model with each of them.

Products of integers are the same bits everywhere; sums of floats are cut into other vectors, so logits differ by rounding. The
programs that are compared are the one of WICK_BIN and, where it is set, that of WICK_OTHER_BIN (built for another machine)."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import make_model
from model_cases import CASES

ISAS = ["portable", "avx2", "avx2-vnni", "avx512", "avx512-vnni", "neon", "neon-dotprod", "neon-i8mm"]
# Of the largest logit. With integers a sum that rounds otherwise can move an activation by one step of its scale.
TOLERANCE = {"exact": 2e-5, "fine": 1e-3, "fast": 6e-2}


def wick():
    path = os.environ.get("WICK_BIN")
    if not path or not os.access(path, os.X_OK):
        pytest.skip("the wick program is not built (WICK_BIN)")
    return path


def run(program, model, tokens, precision, isa):
    cmd = [program, "logits", str(model), "--tokens", ",".join(map(str, tokens)), "--backend", "cpu", "--precision", precision,
           "--cpu-isa", isa, "--greedy", "8", "--json"]
    r = subprocess.run(cmd, capture_output=True, text=True, timeout=300)
    if r.returncode and "instruction set" in r.stderr and "not available" in r.stderr:
        return None
    assert r.returncode == 0, f"{' '.join(cmd)}\n{r.stderr}"
    out = json.loads(r.stdout)
    return np.array(out["logits"]), out["tokens"]


@pytest.mark.parametrize("case,quant", [("llama", "4bit"), ("qwen3", "8bit"), ("qwen3_moe", "4:32:mxfp4")])
def test_isas_agree(case, quant, tmp_path):
    program = wick()
    make_model.make(case, tmp_path, quant=quant)
    config = CASES[case]
    tokens = make_model.prompt(19, config.get("vocab_size") or config["text_config"]["vocab_size"])
    for precision, tolerance in TOLERANCE.items():
        answers = {isa: run(program, tmp_path, tokens, precision, isa) for isa in ISAS}
        if os.environ.get("WICK_OTHER_BIN"):
            answers.update({f"other {isa}": run(os.environ["WICK_OTHER_BIN"], tmp_path, tokens, precision, isa) for isa in ISAS})
        answers = {k: v for k, v in answers.items() if v}
        want, want_tokens = answers["portable"]
        off = {isa: np.abs(logits - want).max() / np.abs(want).max() for isa, (logits, _) in answers.items()}
        print(case, quant, precision, " ".join(f"{isa} {v:.1e}" for isa, v in off.items()))
        for isa, (_, greedy) in answers.items():
            assert off[isa] <= tolerance, f"{case} {quant} {precision}: {isa} is off by {off[isa]:.2e} of the largest logit"
            if precision == "exact":
                assert greedy == want_tokens, f"{case} {quant}: {isa} chooses other tokens"
