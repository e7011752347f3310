"""Random configurations of every family against mlx-lm: head sizes, shared heads, odd vocabularies, biases, tied heads, rope
scaling, windows shorter than the prompt, experts; each with its own weights, layout, quantization and prompt.

WICK_VARIANTS=N draws N per family (1 without it), from WICK_VARIANTS_SEED on; WICK_VARIANTS_FAMILY=a,b restricts the families.
A failure prints the configuration; the test's name draws it again."""
import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
make_model = pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")
from test_parity import compare, find_wick, vocabulary  # noqa: E402
from variants import FAMILIES, draw  # noqa: E402

N = int(os.environ.get("WICK_VARIANTS", "1"))
FIRST = int(os.environ.get("WICK_VARIANTS_SEED", "0"))
ONLY = os.environ.get("WICK_VARIANTS_FAMILY", "").split(",")


def selection():
    names = [f for f in FAMILIES if ONLY == [""] or f in ONLY]
    return [pytest.param(f, s, id=f"{f}-{s}") for f in names for s in range(FIRST, FIRST + N)]


@pytest.mark.parametrize("family,seed", selection())
def test_variant(family, seed, tmp_path):
    find_wick()
    config, layout, quant, n_prompt = draw(family, seed)
    print(layout, quant, n_prompt, json.dumps(config))
    try:
        ref = make_model.make(family, tmp_path, quant=quant, layout=layout, seed=seed, config=config)
    except ValueError as e:  # widths that mlx-lm's own rules want quantized and MLX cannot
        assert "quantize" in str(e) or "reshape" in str(e), e
        ref = make_model.make(family, tmp_path, quant="f32", layout=layout, seed=seed, config=config)
    # MLX cannot look up a single row of an nvfp4 table of such a width
    n_greedy = 0 if quant.endswith("nvfp4") and config.get("hidden_size", 0) % 64 else 8
    compare(tmp_path, ref, make_model.prompt(n_prompt, vocabulary(config), seed), n_greedy=n_greedy)
