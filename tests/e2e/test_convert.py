"""`wick quantize` and `wick convert`: what is written is what mlx-lm, the gguf package, numpy and Wick read, with the same numbers.

The oracles: mlx.core.quantize and mlx_lm's recipes for MLX, the gguf package for GGUF. Models are random and small."""
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import clean_env

mx = pytest.importorskip("mlx.core")
pytest.importorskip("mlx_lm")
from gguf import GGUFReader  # noqa: E402
from gguf.quants import dequantize, quantize  # noqa: E402
from make_model import CASES, build, make, prompt  # noqa: E402
from mlx_lm import utils as mlx_utils  # noqa: E402
from mlx_lm.convert import mixed_quant_predicate_builder  # noqa: E402


def tensors(folder):
    out = {}
    for f in sorted(Path(folder).glob("*.safetensors")):
        out.update(mx.load(str(f)))
    return out


def same(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    return bool(mx.array_equal(a.view(mx.uint8) if a.dtype == mx.bfloat16 else a, b.view(mx.uint8) if b.dtype == mx.bfloat16 else b))


def logits(wick, path, tokens, *args):
    r = wick.json("logits", path, "--tokens", ",".join(map(str, tokens)), "--precision", "exact", "--backend", "cpu", *args)
    return np.array(r["logits"], dtype=np.float32)


def plain(case, out, **kw):
    """A float model with files beside its weights that must go along."""
    make(case, out, **kw)
    (out / "tokenizer_config.json").write_text('{"chat_template": "x"}')
    (out / "chat_template.jinja").write_text("{{ messages }}")
    return out


# case, type, bits, group, mode
MLX = [("llama", "AFQ4", 4, 64, "affine"), ("llama", "AFQ2:32", 2, 32, "affine"), ("qwen3", "afq8:128", 8, 128, "affine"), ("qwen2", "4bit", 4, 64, "affine"),
       ("llama", "MXFP4", 4, 32, "mxfp4"), ("llama", "nvfp4", 4, 16, "nvfp4"), ("gemma3_text", "MXFP8", 8, 32, "mxfp8")]


@pytest.mark.parametrize("case,type_,bits,group,mode", MLX, ids=lambda v: str(v))
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16], ids=["f32", "bf16"])
def test_mlx_bit_for_bit(wick, tmp_path, case, type_, bits, group, mode, dtype):
    if case not in CASES:
        pytest.skip("no such case")
    source = plain(case, tmp_path / "in", dtype=None if dtype == mx.float32 else dtype)
    r = wick.json("quantize", source, tmp_path / "out", "--type", type_)
    ours, theirs = tensors(tmp_path / "out"), tensors(source)
    packed = [k[:-7] for k in ours if k.endswith(".scales")]
    assert r["quantized"] == len(packed) > 0
    for k, w in theirs.items():
        base = k.removesuffix(".weight")
        if base not in packed:
            assert same(ours[k], w), k
            continue
        if dtype == mx.bfloat16 and mode != "affine":
            w = w.astype(mx.float32)  # the modes of MLX round in the type of the input; Wick does it in float32
        for got, want in zip([ours[k], ours[base + ".scales"], ours.get(base + ".biases")], mx.quantize(w, group_size=group, bits=bits, mode=mode)):
            assert same(got, want), k
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["quantization"] == config["quantization_config"] == {"group_size": group, "bits": bits, "mode": mode}
    assert (tmp_path / "out/chat_template.jinja").read_text() == "{{ messages }}"
    model, _ = mlx_utils.load_model(tmp_path / "out")
    tokens = prompt(9, CASES[case]["vocab_size"])
    model.set_dtype(mx.float32)
    want = np.array(model(mx.array([tokens]))[0].astype(mx.float32))
    got = logits(wick, tmp_path / "out", tokens)
    assert np.abs(got - want[-len(got):]).max() < 0.03 * want.std()


@pytest.mark.parametrize("recipe", ["mixed_2_6", "mixed_3_6", "mixed_4_6"])
def test_recipes_of_mlx_lm(wick, tmp_path, recipe):
    config = dict(CASES["llama"], num_hidden_layers=9)
    source = plain("llama", tmp_path / "in", config=config)
    wick.ok("quantize", source, tmp_path / "out", "--type", recipe)
    model = build(config)
    predicate = mixed_quant_predicate_builder(recipe, model, 64)
    _, want = mlx_utils.quantize_model(model, dict(config), 64, 4, quant_predicate=predicate)
    got = json.loads((tmp_path / "out/config.json").read_text())["quantization"]
    form = lambda c, path: {k: c.get(path, c).get(k, "affine") for k in ("bits", "group_size")}  # noqa: E731
    for path in [k[:-7] for k in tensors(tmp_path / "out") if k.endswith(".scales")]:
        assert form(got, path) == form(want["quantization"], path), path


def test_floats_again_and_npz(wick, tmp_path):
    source = tmp_path / "in"
    make("llama", source, quant="4bit")
    wick.ok("convert", source, tmp_path / "hf", "--to", "hf", "--dtype", "f32")
    wick.ok("convert", source, tmp_path / "npz", "--to", "npz")
    wick.ok("convert", source, tmp_path / "same", "--to", "mlx")
    theirs, floats, kept = tensors(source), tensors(tmp_path / "hf"), tensors(tmp_path / "same")
    arrays = np.load(tmp_path / "npz/weights.npz")
    assert set(arrays.files) == set(theirs) == set(kept)
    for k, w in theirs.items():
        assert same(kept[k], w)
        assert np.array_equal(arrays[k], np.array(w))
        base = k.removesuffix(".weight")
        if base + ".scales" in theirs and k.endswith(".weight"):
            want = mx.dequantize(w, theirs[base + ".scales"].astype(mx.float32), theirs[base + ".biases"].astype(mx.float32), group_size=64, bits=4)
            assert same(floats[k], want)
    assert "quantization" not in json.loads((tmp_path / "hf/config.json").read_text())
    assert "quantization" in json.loads((tmp_path / "npz/config.json").read_text())
    tokens = prompt(7, CASES["llama"]["vocab_size"])
    first = logits(wick, source, tokens)
    for k in ("npz", "same"):
        assert np.array_equal(first, logits(wick, tmp_path / k, tokens))
    assert np.abs(first - logits(wick, tmp_path / "hf", tokens)).max() < 1e-3


def test_shards(wick, tmp_path):
    source = plain("llama", tmp_path / "in")
    wick.ok("convert", source, tmp_path / "out", "--to", "mlx", "--shard-size", "200000")
    shards = sorted((tmp_path / "out").glob("model-*.safetensors"))
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    theirs, ours = tensors(source), tensors(tmp_path / "out")
    assert len(shards) > 2 and set(index["weight_map"]) == set(theirs) and all(same(ours[k], theirs[k]) for k in theirs)
    assert index["metadata"]["total_size"] == sum(w.nbytes for w in theirs.values())


@pytest.mark.parametrize("type_", ["Q8_0", "Q4_0", "Q5_0", "Q4K", "Q6K", "Q4_K_M", "bf16"])
def test_gguf(wick, tmp_path, type_):
    config = dict(CASES["llama"], hidden_size=256, intermediate_size=512, num_hidden_layers=4)
    make("llama", tmp_path / "in", layout="gguf", config=config)
    r = wick.json("quantize", tmp_path / "in/model.gguf", tmp_path / "out.gguf", "--type", type_)
    source = {t.name: dequantize(t.data, t.tensor_type) for t in GGUFReader(tmp_path / "in/model.gguf").tensors}
    read = GGUFReader(tmp_path / "out.gguf")
    kinds = {}
    for t in read.tensors:
        want = source[t.name]
        got = dequantize(t.data, t.tensor_type)
        kinds[t.name] = t.tensor_type.name
        if t.tensor_type.name in ("Q8_0", "Q4_0", "Q5_0"):
            assert np.array_equal(t.data, quantize(want, t.tensor_type)), t.name
        error = np.sqrt(((got - want) ** 2).mean() / (want ** 2).mean())
        assert error < {"F32": 1e-7, "BF16": 0.003, "Q8_0": 0.008, "Q6_K": 0.02, "Q5_0": 0.05, "Q4_K": 0.08, "Q4_0": 0.1}[t.tensor_type.name], t.name
    if type_ == "Q4_K_M":
        assert kinds["output.weight"] == kinds["blk.3.attn_v.weight"] == kinds["blk.3.ffn_down.weight"] == "Q6_K"
        assert kinds["blk.1.attn_v.weight"] == kinds["token_embd.weight"] == "Q4_K" and 4.5 < r["bits_per_weight"] < 6
        assert read.fields["general.file_type"].parts[-1][0] == 15
    if type_ == "bf16":
        return
    tokens = prompt(8, config["vocab_size"])
    a, b = logits(wick, tmp_path / "in/model.gguf", tokens), logits(wick, tmp_path / "out.gguf", tokens)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > (0.85 if type_.startswith("Q4") else 0.97)


def test_rows_that_do_not_divide(wick, tmp_path):
    config = dict(CASES["llama"], hidden_size=96, head_dim=16, num_attention_heads=4, num_key_value_heads=2)
    source = plain("llama", tmp_path / "in", config=config)
    r = wick.ok("quantize", source, tmp_path / "out", "--type", "AFQ4:64")
    assert "stay floats" in r.stderr and "q_proj.weight" in r.stderr
    make("llama", tmp_path / "g", layout="gguf", config=config)
    r = wick.ok("quantize", tmp_path / "g/model.gguf", tmp_path / "out.gguf", "--type", "Q4K")
    assert "blocks of 32" in r.stderr
    assert {t.tensor_type.name for t in GGUFReader(tmp_path / "out.gguf").tensors} >= {"Q5_0", "F32"}


def test_refusals(wick, tmp_path):
    source = plain("llama", tmp_path / "in")
    assert "no such type" in wick.fails(2, "quantize", source, tmp_path / "o", "--type", "Q9")
    assert "--type" in wick.fails(2, "quantize", source, tmp_path / "o")
    assert "belong to --to mlx" in wick.fails(2, "quantize", source, tmp_path / "o", "--type", "AFQ4", "--to", "hf")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("x")
    assert "not empty" in wick.fails(2, "quantize", source, tmp_path / "full", "--type", "AFQ4")
    make("llama", tmp_path / "g", layout="gguf")
    (tmp_path / "there.gguf").write_text("x")
    assert "--force" in wick.fails(2, "quantize", tmp_path / "g", tmp_path / "there.gguf", "--type", "Q8_0")
    wick.ok("quantize", tmp_path / "g", tmp_path / "there.gguf", "--type", "Q8_0", "--force")
    assert GGUFReader(tmp_path / "there.gguf").tensors
    assert not list(tmp_path.glob("*.part-*"))


def test_killed_at_any_moment(wick, tmp_path):
    """Never anything under the wanted name but the whole; the next run removes what was left, and gives the same bytes."""
    source = plain("llama", tmp_path / "in", config=dict(CASES["llama"], num_hidden_layers=12, intermediate_size=1024))
    command = [wick.path, "quantize", str(source), str(tmp_path / "out"), "--type", "AFQ4"]
    t0 = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, env=clean_env(tmp_path))
    whole = time.monotonic() - t0
    want = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    rng, killed = random.Random(1), 0
    for _ in range(12):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_env(tmp_path))
        time.sleep(rng.uniform(0, whole))
        p.send_signal(signal.SIGKILL)
        killed += p.wait() != 0
        if (tmp_path / "out").exists():
            assert {f.name: f.read_bytes() for f in (tmp_path / "out").iterdir()} == want
    assert killed > 3
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    subprocess.run(command, check=True, capture_output=True, env=clean_env(tmp_path))
    assert {f.name: f.read_bytes() for f in (tmp_path / "out").iterdir()} == want
    assert not list(tmp_path.glob("out.part-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_full_disk(wick, tmp_path):
    source = plain("llama", tmp_path / "in")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(small)], capture_output=True).returncode:
        pytest.skip("no mounts here")
    try:
        message = wick.fails(9, "quantize", source, small / "out", "--type", "AFQ4")
        assert "are needed and" in message and not list(small.iterdir())
        (small / "fill").write_bytes(bytes(100 << 10))
        assert "are needed" in wick.fails(9, "convert", source, small / "out", "--to", "npz") and not (small / "out").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)
