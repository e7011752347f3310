"""`--isq`: quantizing while loading gives what quantizing into a file gives; `wick perplexity` and `wick compare` say what it costs."""
import json
import math

import numpy as np
import pytest

mx = pytest.importorskip("mlx.core")
pytest.importorskip("mlx_lm")
from make_model import CASES, make, prompt  # noqa: E402

from conftest import ROOT, SHELL_MODEL  # noqa: E402


def logits(wick, path, tokens, *args):
    r = wick.json("logits", path, "--tokens", ",".join(map(str, tokens)), *args)
    return np.array(r["logits"], dtype=np.float32)


def file_of(wick, source, out, type_):
    """The file that `wick quantize` makes, but with the source's embedding: at load embeddings stay floats."""
    wick.ok("quantize", source, out, "--type", type_)
    weights, floats = mx.load(str(out / "model.safetensors")), mx.load(str(source / "model.safetensors"))
    for k in ("scales", "biases"):
        weights.pop(f"model.embed_tokens.{k}", None)
    weights["model.embed_tokens.weight"] = floats["model.embed_tokens.weight"]
    mx.eval(weights)
    (out / "model.safetensors.index.json").unlink()
    mx.save_safetensors(str(out / "model.safetensors"), weights, metadata={"format": "mlx"})
    return out


CONFIG = dict(CASES["llama"], hidden_size=256, intermediate_size=512, num_hidden_layers=3)


@pytest.mark.parametrize("type_", ["AFQ4", "AFQ8:32", "MXFP4", "mixed_3_6"])
@pytest.mark.parametrize("backend", ["cpu", "mlx"])
def test_same_as_from_a_file(wick, tmp_path, type_, backend):
    if backend == "mlx" and "mlx" not in wick("gpu-info", "--json").stdout:
        pytest.skip("built without MLX")
    make("llama", tmp_path / "in", config=CONFIG)
    out = file_of(wick, tmp_path / "in", tmp_path / "out", type_)
    tokens = prompt(12, CONFIG["vocab_size"])
    args = ["--backend", backend] + (["--precision", "exact"] if backend == "cpu" else [])
    a, b = logits(wick, tmp_path / "in", tokens, "--isq", type_, *args), logits(wick, out, tokens, *args)
    assert np.array_equal(a, b)
    assert not np.array_equal(a, logits(wick, tmp_path / "in", tokens, *args))


@pytest.mark.parametrize("type_", ["Q4K", "Q6K", "Q8_0", "Q4_K_M"])
def test_forms_of_gguf(wick, tmp_path, type_):
    """The same matrices from a GGUF file whose embedding is float."""
    make("llama", tmp_path / "in", config=CONFIG)
    tokens = prompt(12, CONFIG["vocab_size"])
    exact = ("--backend", "cpu", "--precision", "exact")
    a, want = logits(wick, tmp_path / "in", tokens, "--isq", type_, *exact), logits(wick, tmp_path / "in", tokens, *exact)
    assert 0 < np.abs(a - want).max() and np.corrcoef(a.ravel(), want.ravel())[0, 1] > (0.85 if "4" in type_ else 0.98)


def test_kept_in_the_packed_cache(wick, tmp_path):
    make("llama", tmp_path / "in", config=CONFIG)
    tokens, cache = prompt(8, CONFIG["vocab_size"]), tmp_path / "cache"
    run = lambda t: logits(wick, tmp_path / "in", tokens, "--isq", t, "--backend", "cpu", "--pack-cache", cache)  # noqa: E731
    first = run("Q4K")
    assert len(list(cache.glob("*.pack"))) == 1
    assert np.array_equal(first, run("Q4K")) and len(list(cache.glob("*.pack"))) == 1
    assert not np.array_equal(first, run("Q5K")) and len(list(cache.glob("*.pack"))) == 2


def test_what_stays(wick, tmp_path):
    make("llama", tmp_path / "q", quant="4bit")
    tokens = prompt(5, CASES["llama"]["vocab_size"])
    args = ("logits", tmp_path / "q", "--tokens", ",".join(map(str, tokens)), "--backend", "cpu")
    assert "quantized already" in wick.ok(*args, "--isq", "Q8_0").stderr
    assert "no such type" in wick.fails(2, *args, "--isq", "Q9")


def test_options_before_the_command(wick):
    assert "no such type" in wick.fails(2, "--isq", "Q99", "generate", SHELL_MODEL, "x")


def test_perplexity_and_compare(wick, tmp_path):
    text = tmp_path / "t.txt"
    text.write_text("list all files in this folder\nshow the size of each folder, largest first\n" * 6)
    exact = ("--precision", "exact", "--backend", "cpu")
    r = wick.json("perplexity", SHELL_MODEL, text, "--ctx", 64, "-n", 64, *exact)
    ids = wick.json("tokenize", SHELL_MODEL, text.read_text(), "--no-special")["ids"]
    bos = wick.json("tokenize", SHELL_MODEL, "")["ids"]
    ids = (bos + ids)[:64]
    rows = logits(wick, SHELL_MODEL, ids, *exact).astype(np.float64)
    nll = [math.log(np.exp(row - row.max()).sum()) + row.max() - row[t] for row, t in zip(rows, ids[1:])]
    assert r["tokens"] == len(ids) - 1 and abs(r["nll"] - np.mean(nll)) < 1e-4
    same = wick.json("compare", SHELL_MODEL, SHELL_MODEL, text, *exact)
    assert same["kl_max"] < 1e-9 and same["same_top"] == 1 and same["perplexity_a"] == same["perplexity_b"]
    wick.ok("quantize", SHELL_MODEL, tmp_path / "small", "--type", "AFQ2:32")
    worse = wick.json("compare", SHELL_MODEL, tmp_path / "small", text, *exact)
    assert worse["kl_mean"] > 1e-4 and worse["perplexity_b"] != worse["perplexity_a"]
    make("llama", tmp_path / "other")
    assert wick("compare", SHELL_MODEL, tmp_path / "other", text).returncode != 0
