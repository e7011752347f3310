"""Every key of config.json that a family's reference has a default for is left out in turn: Wick has the same default, or
says which key is missing; never another number. WICK_PARITY=all takes every case, else each family's first."""
import dataclasses
import json
import os
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
make_model = pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")
from mlx_lm import utils as mlx_utils  # noqa: E402
from model_cases import CASES  # noqa: E402
from test_parity import find_wick, vocabulary  # noqa: E402

ALL = os.environ.get("WICK_PARITY") == "all"
FAMILIES = [c for c in CASES if ALL or "-" not in c]
# Keys without which the reference itself means nothing, or builds a model of gigabytes.
SIZES = {"model_type", "vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "head_dim", "n_embd", "n_layer",
         "n_head", "d_model", "text_config", "num_experts", "n_routed_experts", "num_local_experts", "moe_intermediate_size", "global_head_dim",
         "hidden_size_per_layer_input", "vocab_size_per_layer_input", "layer_types", "block_types"}
# Where the reference is not what the model's authors published; the reason beside it.
AUTHORS = {}


def optional_keys(config):
    """Of the configuration (of its text_config where it is a wrapper): what the reference has defaults for."""
    inner = config.get("text_config", config)
    model_class, args_class = mlx_utils._get_classes(config)
    if inner is not config:
        module = sys.modules[model_class.__module__]
        args_class = getattr(module, "TextConfig", getattr(module, "TextArgs", None)) or args_class
    defaults = {f.name for f in dataclasses.fields(args_class)
                if f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING}
    return [k for k in inner if k in defaults and k not in SIZES]


def without(config, key):
    config = json.loads(json.dumps(config))
    config.get("text_config", config).pop(key)
    return config


@pytest.mark.parametrize("case", FAMILIES)
def test_absent(case, tmp_path):
    full = CASES[case]
    wrong = []
    for key in optional_keys(full):
        config, out = without(full, key), tmp_path / key
        try:
            ref = make_model.make(case, out, layout="mlx", config=config)
            tokens = make_model.prompt(12, vocabulary(config))
            want = ref.logits(tokens)
        except Exception:  # the reference does not run without it
            continue
        (out / "config.json").write_text(json.dumps(config))
        ctx = ["--ctx", "1000000"] if "long_factor" in json.dumps(config) else []  # the reference has the long ones at every length
        r = subprocess.run([find_wick(), "logits", str(out), "--tokens", ",".join(map(str, tokens)), "--precision", "exact", "--json", *ctx],
                           capture_output=True, text=True, timeout=120)
        if r.returncode:
            wrong.append((key, r.stderr.strip()[-160:]))
            continue
        got = np.array(json.loads(r.stdout)["logits"])[: len(tokens)]
        off = np.abs(got - want).max() / (1 + np.abs(want).max())
        if not off <= 1e-4 and (case, key) not in AUTHORS:
            wrong.append((key, f"off by {off:.2e}"))
    assert not wrong, "\n".join(f"{k}: {v}" for k, v in wrong)
