"""Checkpoints that AWQ, GPTQ, compressed-tensors, ModelOpt and fp8 tools wrote, against mlx-lm running the float
values that they stand for. What cannot be read is refused by name."""
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
make_model = pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")
import mlx.core as mx  # noqa: E402
from foreign import KINDS, awq, fp4, gptq  # noqa: E402
from hf_layout import to_hf  # noqa: E402
from mlx.utils import tree_unflatten  # noqa: E402
from model_cases import CASES  # noqa: E402
from test_parity import compare, find_wick, prompt_of  # noqa: E402

CASES_OF = {"awq": ["llama", "qwen2", "mixtral", "qwen3_moe"], "gptq": ["llama", "phi3", "mixtral", "qwen3_moe"],
            "fp8-blocks": ["llama", "deepseek_v3", "qwen3_moe", "mixtral"], "ct-int4-asym": ["llama", "qwen3", "deepseek_v3"],
            "ct-int4": ["llama", "qwen3_moe", "deepseek_v3"], "gptq-8bit": ["llama", "glm4"], "ct-fp8": ["llama", "qwen3_moe"],
            "ct-nvfp4": ["llama", "qwen3_moe", "mixtral"], "ct-mxfp4": ["llama", "qwen3_moe"], "modelopt": ["llama", "qwen3_moe"],
            "gptq-act-order": ["llama", "mixtral"]}


def set_types(path, types):
    """Writes other names of one-byte types to a safetensors header: mlx stores fp8 codes as U8."""
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    for name, info in header.items():
        kind = types.get(name.rsplit(".", 1)[-1])
        if kind and info.get("dtype") == "U8":
            info["dtype"] = kind
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + n:])


def make(case, out, packer, quantization, types):
    """Packs every matrix of the blocks; embedding, head and routers stay float. Returns the reference."""
    config = json.loads(json.dumps(CASES[case]))
    model = make_model.build(config)
    floats, values = make_model.weights_of(model), {}
    for k, v in floats.items():
        if v.ndim < 2 or not k.endswith("proj.weight") or "layers" not in k:
            continue
        w = np.array(v)
        values[k] = np.stack([packer(x)[1] for x in w]) if w.ndim == 3 else packer(w)[1]
    # pack what the values came from, in the layout of Hugging Face
    tensors, _ = to_hf(floats, config)
    packed = {}
    for k in [k for k in tensors if "kv_b_proj" in k]:  # mlx-lm keeps its halves by head, the keys transposed
        heads = packer(np.array(tensors[k]))[1].reshape(config["num_attention_heads"], -1, config["kv_lora_rank"])
        values[k.replace("kv_b_proj", "embed_q")] = heads[:, :config["qk_nope_head_dim"]].swapaxes(1, 2)
        values[k.replace("kv_b_proj", "unembed_out")] = heads[:, config["qk_nope_head_dim"]:]
    for k, v in tensors.items():
        if v.ndim == 2 and "layers" in k and (k.endswith("proj.weight") or ".experts." in k):
            for suffix, x in packer(np.array(v))[0].items():
                packed[k.removesuffix("weight") + suffix] = x
        else:
            packed[k] = v
    out.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(out / "model.safetensors"), packed, metadata={"format": "pt"})
    set_types(out / "model.safetensors", types)
    (out / "config.json").write_text(json.dumps({**config, "quantization_config": quantization}))
    model.update(tree_unflatten([(k, mx.array(np.ascontiguousarray(v))) for k, v in values.items()]))
    mx.eval(model.parameters())
    return make_model.Reference(model, config)


def selection():
    return [(kind, case) for kind in KINDS for case in CASES_OF.get(kind, ["llama"])]


@pytest.mark.parametrize("kind,case", selection(), ids=lambda x: x)
def test_logits(kind, case, tmp_path):
    find_wick()
    ref = make(case, tmp_path, *KINDS[kind])
    compare(tmp_path, ref, prompt_of(case))


def test_gpt_oss_blocks(tmp_path):
    """Experts as the original upload has them: MXFP4 blocks and their scales, gate and up in alternating rows."""
    config = json.loads(json.dumps(CASES["gpt_oss"]))
    model = make_model.build(config)
    packed, values = {}, {}
    tensors, _ = to_hf(make_model.weights_of(model), config)
    for k, v in tensors.items():
        if not k.endswith(("gate_up_proj", "down_proj")):
            packed[k] = v
            continue
        w = np.ascontiguousarray(np.array(v).swapaxes(1, 2))  # [expert, out, in]
        bits, scales, held = zip(*(fp4(x, False, 1) for x in w))
        packed[k + "_blocks"] = mx.stack(bits).reshape(*w.shape[:2], -1, 16)
        packed[k + "_scales"], held = mx.stack(scales), np.stack(held)
        if k.endswith("down_proj"):
            values[k + ".weight"] = held
        else:
            values[k.replace("gate_up", "gate") + ".weight"], values[k.replace("gate_up", "up") + ".weight"] = held[:, ::2], held[:, 1::2]
    mx.save_safetensors(str(tmp_path / "model.safetensors"), packed, metadata={"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "mxfp4"}}))
    model.update(tree_unflatten([(k, mx.array(np.ascontiguousarray(v))) for k, v in values.items()]))
    compare(tmp_path, make_model.Reference(model, config), prompt_of("gpt_oss"))


def refused(tmp_path, kind, change=None, packer=None):
    own, quantization, types = KINDS[kind]
    make("llama", tmp_path, packer or own, {**quantization, **(change or {})}, types)
    r = subprocess.run([find_wick(), "logits", str(tmp_path), "--tokens", "1", "--json"], capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and r.stderr.count("\n") == 1, r.stderr
    return r.stderr


@pytest.mark.parametrize("kind,change,word", [
    ("awq", {"version": "gemv"}, "gemv"), ("awq", {"bits": 3}, "4 bits"), ("gptq", {"bits": 5}, "2, 3, 4 or 8"),
    ("gptq", {"checkpoint_format": "marlin"}, "marlin"), ("awq", {"quant_method": "bitsandbytes"}, "bitsandbytes"),
    ("fp8-blocks", {"weight_block_size": [128]}, "weight_block_size"), ("fp8-blocks", {"weight_block_size": [64, 64]}, "scale"),
    ("gptq-8bit", {"bits": 4}, "qweight")])
def test_refused(kind, change, word, tmp_path):
    assert word in refused(tmp_path, kind, change)


def test_groups_out_of_range_are_refused(tmp_path):
    def packer(w):
        tensors, values = gptq(w)
        tensors["g_idx"] = tensors["g_idx"] + 1
        return tensors, values

    assert "g_idx" in refused(tmp_path, "gptq", packer=packer)


@pytest.mark.parametrize("symmetric", [False, True])
def test_awq_is_what_mlx_lm_reads(symmetric):
    """The packer of this test against mlx-lm's reader, which keeps zero * scale in half precision."""
    w = np.random.default_rng(0).standard_normal((64, 128)).astype(np.float32)
    tensors, values = awq(w, symmetric)
    got, how = make_model.mlx_utils._transform_awq_weights({f"m.{k}": v for k, v in tensors.items()}, {"bits": 4, "group_size": 64})
    read = mx.dequantize(got["m.weight"], got["m.scales"], got["m.biases"], how["group_size"], how["bits"])
    assert np.abs(np.array(read.astype(mx.float32)) - values).max() < 0.02


SAME_SIZE = [["I32", "U32", "F32"], ["U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "BOOL"], ["F16", "BF16", "I16"], ["I64", "F64", "U64"]]


def broken(path, rng):
    """One tensor of the file with another type or shape of the same size, or under another name."""
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    name = sorted(k for k in header if "proj" in k)[int(rng.integers(len([k for k in header if "proj" in k])))]
    info, how = header[name], int(rng.integers(4))
    kinds = next(k for k in SAME_SIZE if info["dtype"] in k)
    if how == 0:
        info["dtype"] = kinds[int(rng.integers(len(kinds)))]
    elif how == 1:
        info["shape"] = info["shape"][::-1]
    elif how == 2:
        total = int(np.prod(info["shape"]))
        info["shape"] = [[total], [1, total], [total, 1], [total // 2, 2] if total % 2 == 0 else [total]][int(rng.integers(4))]
    else:
        header[name + "x"] = header.pop(name)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + n:]


@pytest.mark.malformed
@pytest.mark.parametrize("kind", ["awq", "gptq", "ct-int4-asym", "ct-w8a8", "ct-nvfp4", "fp8-blocks"])
def test_malformed(kind, tmp_path):
    """Refused on one line, or run; never a crash. WICK_BIN is built with sanitizers in CI."""
    make("llama", tmp_path, *KINDS[kind])
    rng, file = np.random.default_rng(0), tmp_path / "model.safetensors"
    (tmp_path / "whole").mkdir()
    whole = file.rename(tmp_path / "whole" / "model.safetensors")
    refusals = 0
    for i in range(30):
        file.write_bytes(broken(whole, rng))
        r = subprocess.run([find_wick(), "logits", str(tmp_path), "--tokens", "1", "--json"], capture_output=True, timeout=60)
        assert 0 <= r.returncode <= 14 and b"Sanitizer" not in r.stderr, f"variant {i}: {r.stderr[-2000:]!r}"
        if r.returncode:
            refusals += 1
            assert r.stderr.count(b"\n") == 1, r.stderr
    assert refusals > 10
