"""Random histories of conversations - grown, edited, cut, branched, sent again, by several users, several at once, with
little memory - over a model of each kind of KV and state: whatever an engine has kept from before, every answer has the
bits of one that keeps nothing (tests/tools/wick_histories.c). WICK_HISTORIES=10000 runs so many over each."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
make_model = pytest.importorskip("make_model", reason="mlx and mlx-lm, which make the models, are not installed")
from model_cases import CASES  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
N = int(os.environ.get("WICK_HISTORIES", "30"))
# Full attention, latent attention, windows, shared KV, a convolution, state-space models, hybrids, delta rule.
KINDS = ["llama", "deepseek_v3", "gemma3_text", "gpt_oss", "gemma4_text-shared", "lfm2", "mamba", "mamba2", "falcon_h1",
         "granitemoehybrid", "qwen3_next", "qwen3_5"]
LONG = ["gemma3_text", "gpt_oss", "qwen3_5"]  # past what a window's slack holds, and past many marks


def histories(model, n, seed, *more):
    tool = os.path.join(os.environ.get("WICK_TOOLS", ""), "wick_histories")
    if not os.path.isabs(tool) or not os.access(tool, os.X_OK):
        pytest.skip("wick_histories is not built")
    r = subprocess.run([tool, str(model), str(n), str(seed), *map(str, more)], capture_output=True, text=True, timeout=3600)
    assert r.returncode == 0, r.stderr + r.stdout
    return json.loads(r.stdout)


def make(case, out, length):
    config = json.loads(json.dumps(CASES[case]))
    if "max_position_embeddings" in config:
        config["max_position_embeddings"] = length
    make_model.make(case, out, quant="4bit", config=config)


@pytest.mark.parametrize("case", KINDS)
def test_short(case, tmp_path):
    make(case, tmp_path, 1024)
    out = histories(tmp_path, N, 7, 1000 if N > 1000 else 600)
    assert out["same"] and out["histories"] >= N
    assert out["cached_tokens"] > 0, "nothing was ever kept: the test says nothing"


@pytest.mark.parametrize("case", LONG)
def test_long(case, tmp_path):
    make(case, tmp_path, 4096)
    out = histories(tmp_path, max(N // 6, 10), 11, 3000)
    assert out["same"] and out["cached_tokens"] > 0


@pytest.mark.parametrize("case", ["llama", "gemma3_text", "mamba2", "qwen3_5"])
def test_restarts(case, tmp_path):
    """With KV on disk, and an engine that is closed and opened again."""
    make(case, tmp_path / "m", 2048)
    out = histories(tmp_path / "m", max(N, 60), 13, 1500, tmp_path / "kv")
    assert out["same"] and out["disk_tokens"] > 0
    files = list((tmp_path / "kv").glob("*/*.kv"))
    assert files and all(f.stat().st_mode & 0o777 == 0o600 for f in files)


def test_damaged(tmp_path):
    """Every file on disk is damaged in another way: each is found out, removed, and computed again."""
    make("llama", tmp_path / "m", 2048)
    kv = tmp_path / "kv"
    histories(tmp_path / "m", 30, 17, 1500, kv)
    for i, f in enumerate(sorted(kv.glob("*/*.kv"))):
        data = bytearray(f.read_bytes())
        if i % 4 == 0:
            data = data[:len(data) // 2]
        elif i % 4 == 1:
            data[len(data) * (i % 7) // 7] ^= 1
        elif i % 4 == 2:
            data += b"x"
        else:
            data[16] ^= 255
        f.write_bytes(data)
    out = histories(tmp_path / "m", 30, 17, 1500, kv)
    assert out["same"]
