"""What others' files have that tests made from the same understanding as the code do not: layers that are counted but not run,
scales beside matrices, flags, rope keys that say half, tensors and keys that nobody reads. Each against mlx-lm, or refused by
name."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
make_model = pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")
import gguf  # noqa: E402
import mlx.core as mx  # noqa: E402
from mlx.utils import tree_unflatten  # noqa: E402
from model_cases import CASES  # noqa: E402
from test_parity import GGUF_CONFIG, compare, find_wick, prompt_of  # noqa: E402


def run(path, *more):
    return subprocess.run([find_wick(), "logits", str(path), "--tokens", "1,2,3", "--precision", "exact", "--json", *more], capture_output=True, text=True,
                          timeout=60)


def refused(path, *words):
    r = run(path)
    assert r.returncode in (4, 5) and r.stderr.count("\n") == 1 and all(w in r.stderr for w in words), r.stderr


def edit(path, keys=None, drop=(), tensors=None, rename=None):
    """The GGUF file again, with keys set (typed by their Python values) or left out, tensors added (None: left out) or renamed."""
    reader, out = gguf.GGUFReader(str(path)), str(path) + ".new"
    arch = reader.fields["general.architecture"].contents()
    w = gguf.GGUFWriter(out, arch)
    for name, f in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture" or name in drop or name in (keys or {}):
            continue
        kind = f.types[0]
        w.add_key_value(name, f.contents(), kind, f.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for name, v in (keys or {}).items():
        {bool: w.add_bool, int: w.add_uint32, float: w.add_float32, str: w.add_string, list: w.add_array}[type(v)](name, v)
    for t in reader.tensors:
        if (tensors or {}).get(t.name, 0) is not None:
            w.add_tensor((rename or {}).get(t.name, t.name), t.data, raw_dtype=t.tensor_type)
    for name, v in (tensors or {}).items():
        if v is not None:
            w.add_tensor(name, np.asarray(v, dtype=np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    os.replace(out, path)


def put(ref, path, value):
    ref.model.update(tree_unflatten([(path, mx.array(np.asarray(value, dtype=np.float32)))]))


def get(ref, path):
    return np.array(dict(make_model.tree_flatten(ref.model.parameters()))[path])


@pytest.mark.parametrize("case", ["deepseek_v3", "glm4", "qwen3"])
def test_layers_ahead(case, tmp_path):
    """A block that predicts tokens further ahead is counted in block_count, and is no layer."""
    ref = make_model.make(case, tmp_path, layout="gguf", config={**CASES[case], **GGUF_CONFIG.get(case, {})})
    path = tmp_path / "model.gguf"
    reader = gguf.GGUFReader(str(path))
    arch = reader.fields["general.architecture"].contents()
    n = reader.fields[f"{arch}.block_count"].contents()
    last = {re.sub(r"^blk\.\d+\.", f"blk.{n}.", t.name): gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors
            if t.name.startswith(f"blk.{n - 1}.")}
    edit(path, {f"{arch}.block_count": n + 1, f"{arch}.nextn_predict_layers": 1}, tensors={**last, f"blk.{n}.nextn.enorm.weight": np.ones(8)})
    compare(path, ref, prompt_of(case), n_greedy=0)


@pytest.mark.parametrize("kind", ["F32", "Q8_0", "NVFP4"])
def test_scales(kind, tmp_path):
    """PATH.scale multiplies the matrix, of stacked experts each by its own."""
    config = {**CASES["llama"], "hidden_size": 128, "intermediate_size": 256}
    ref = make_model.make("llama", tmp_path, layout="gguf", gguf_type=kind, config=config)
    path = tmp_path / "model.gguf"
    edit(path, tensors={"blk.0.ffn_down.scale": [1.5], "blk.1.attn_q.scale": [0.5], "blk.1.ffn_up.scale": [2.0]})
    for name, f in (("model.layers.0.mlp.down_proj.weight", 1.5), ("model.layers.1.self_attn.q_proj.weight", 0.5), ("model.layers.1.mlp.up_proj.weight", 2.0)):
        put(ref, name, get(ref, name) * np.float32(f))
    compare(path, ref, prompt_of("llama"), n_greedy=0)


def test_scales_of_experts(tmp_path):
    ref = make_model.make("qwen3_moe", tmp_path, layout="gguf", gguf_type="F32", config={**CASES["qwen3_moe"], "mlp_only_layers": []})
    path = tmp_path / "model.gguf"
    f = np.linspace(0.5, 2, CASES["qwen3_moe"]["num_experts"]).astype(np.float32)
    edit(path, tensors={"blk.0.ffn_up_exps.scale": f})
    name = "model.layers.0.mlp.switch_mlp.up_proj.weight"
    put(ref, name, get(ref, name) * f[:, None, None])
    compare(path, ref, prompt_of("qwen3_moe"), n_greedy=0)


def test_not_causal(tmp_path):
    """Attention in both directions makes an encoder of it, which cannot continue a text (test_encoders.py has its vectors)."""
    make_model.make("llama", tmp_path / "g", layout="gguf")
    edit(tmp_path / "g" / "model.gguf", {"llama.attention.causal": False})
    assert "encoder" in run(tmp_path / "g" / "model.gguf").stderr
    for key, value in (("is_causal", False), ("use_bidirectional_attention", True)):
        make_model.make("gemma3_text", tmp_path / key)
        (tmp_path / key / "config.json").write_text(json.dumps({**CASES["gemma3_text"], key: value}))
        assert "encoder" in run(tmp_path / key).stderr


def test_rope_factor_without_a_type(tmp_path):
    """A factor alone is linear; the kind "none" takes it away again."""
    ref = make_model.make("llama", tmp_path, layout="gguf", config={**CASES["llama"], "rope_scaling": {"rope_type": "linear", "factor": 4.0}})
    path = tmp_path / "model.gguf"
    edit(path, {"llama.rope.scaling.factor": 4.0}, drop=["llama.rope.scaling.type"])
    compare(path, ref, prompt_of("llama"), n_greedy=0)
    plain = make_model.make("llama", tmp_path / "plain", layout="gguf", config={**CASES["llama"], "rope_scaling": None})
    edit(path, {"llama.rope.scaling.type": "none"})
    compare(path, plain, prompt_of("llama"), n_greedy=0)


def test_yarn_without_the_original_context(tmp_path):
    """The context that the model was trained for, as transformers and llama.cpp have it (mlx-lm: 4096)."""
    yarn = {"rope_type": "yarn", "factor": 4.0}
    config = {**CASES["llama"], "max_position_embeddings": 64, "rope_scaling": {**yarn, "original_max_position_embeddings": 64}}
    ref = make_model.make("llama", tmp_path, config=config)
    (tmp_path / "config.json").write_text(json.dumps({**config, "rope_scaling": yarn}))
    compare(tmp_path, ref, prompt_of("llama"), n_greedy=0)


@pytest.mark.parametrize("every", [2, 3])
def test_window_pattern_as_a_number(every, tmp_path):
    config = {**CASES["gemma3_text"], "query_pre_attn_scalar": 64, "sliding_window_pattern": every, "num_hidden_layers": 7}
    ref = make_model.make("gemma3_text", tmp_path, layout="gguf", config=config)
    path = tmp_path / "model.gguf"
    edit(path, {"gemma3.attention.sliding_window_pattern": every})
    compare(path, ref, make_model.prompt(40, config["vocab_size"]), n_greedy=0)


@pytest.mark.parametrize("case", ["phi3-longrope", "phimoe"])
def test_longrope(case, tmp_path):
    """Contexts up to the original one take the short factors, as transformers and llama.cpp do; longer ones the long factors."""
    long = json.loads(json.dumps(CASES[case]))
    half = len(long["rope_scaling"]["long_factor"])
    long["rope_scaling"]["short_factor"] = [1.0 + 0.25 * i for i in range(half)]
    short = json.loads(json.dumps(long))
    short["rope_scaling"]["long_factor"] = short["rope_scaling"]["short_factor"]
    if "short_mscale" in short["rope_scaling"]:
        short["rope_scaling"]["long_mscale"] = short["rope_scaling"]["short_mscale"]
    of_long, of_short = make_model.make(case, tmp_path / "long", config=long), make_model.make(case, tmp_path / "short", config=short)
    tokens = prompt_of(case)
    for context, ref in ((["--ctx", "128"], of_short), ([], of_short), (["--ctx", "129"], of_long)):
        r = subprocess.run([find_wick(), "logits", str(tmp_path / "long"), "--tokens", ",".join(map(str, tokens)), "--precision", "exact", "--json", *context],
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        want = ref.logits(tokens)
        assert np.abs(np.array(json.loads(r.stdout)["logits"])[: len(tokens)] - want).max() <= 1e-4 * (1 + np.abs(want).max()), context


def test_unread_tensors(tmp_path):
    """A tensor without a place is an error by name; those that a text model may leave alone are not."""
    ref = make_model.make("llama", tmp_path)
    weights = mx.load(str(tmp_path / "model.safetensors"))
    idle = {"vision_tower.blocks.0.weight": mx.ones((4, 4)), "model.layers.0.self_attn.rotary_emb.inv_freq": mx.ones((8,)),
            "mtp.fc.weight": mx.ones((4, 4)), "model.layers.99.self_attn.q_proj.weight": mx.ones((4, 4)), "steps": mx.array(3),
            "model.layers.0.mlp.up_proj.input_scale": mx.ones((1,)), "empty": mx.zeros((0, 4))}
    mx.save_safetensors(str(tmp_path / "model.safetensors"), {**weights, **idle})
    compare(tmp_path, ref, prompt_of("llama"), n_greedy=0)
    mx.save_safetensors(str(tmp_path / "model.safetensors"), {**weights, "model.layers.1.self_attn.surprise.weight": mx.ones((4, 4))})
    refused(tmp_path, "model.layers.1.self_attn.surprise.weight")
    make_model.make("llama", tmp_path / "g", layout="gguf")
    edit(tmp_path / "g" / "model.gguf", tensors={"blk.0.attn_temp.weight": np.ones(4)})
    refused(tmp_path / "g" / "model.gguf", "blk.0.attn_temp.weight")


def test_unread_keys(tmp_path):
    """Named in one warning; an error where they are known to change the result."""
    make_model.make("llama", tmp_path)
    plain = {**CASES["llama"], "use_cache": True, "torch_dtype": "float32", "attention_dropout": 0.1}
    (tmp_path / "config.json").write_text(json.dumps(plain))
    r = run(tmp_path)
    assert r.returncode == 0 and r.stderr == "", r.stderr
    (tmp_path / "config.json").write_text(json.dumps({**plain, "surprising_mode": 3, "other_mode": "x"}))
    r = run(tmp_path)
    assert r.returncode == 0 and "surprising_mode" in r.stderr and "other_mode" in r.stderr and r.stderr.count("\n") == 1, r.stderr
    for key, v in (("embedding_multiplier", 12.0), ("hidden_act", "relu"), ("alibi", True)):
        (tmp_path / "config.json").write_text(json.dumps({**plain, key: v}))
        refused(tmp_path, key)
    make_model.make("llama", tmp_path / "g", layout="gguf")
    path = tmp_path / "g" / "model.gguf"
    edit(path, {"llama.surprising_mode": 3})
    r = run(path)
    assert r.returncode == 0 and "surprising_mode" in r.stderr and r.stderr.count("\n") == 1, r.stderr
    edit(path, {"llama.attention.max_alibi_bias": 8.0})
    refused(path, "max_alibi_bias")


def test_qwen2_without_biases(tmp_path):
    ref = make_model.make("qwen2", tmp_path, layout="gguf")
    path = tmp_path / "model.gguf"
    names = [t.name for t in gguf.GGUFReader(str(path)).tensors if t.name.endswith(".bias")]
    edit(path, tensors=dict.fromkeys(names))
    for k, v in make_model.tree_flatten(ref.model.parameters()):
        if k.endswith(".bias"):
            put(ref, k, np.zeros(v.shape))
    compare(path, ref, prompt_of("qwen2"), n_greedy=0)


def test_contradictions(tmp_path):
    """The weights, or the newer of two forms, decide."""
    ref = make_model.make("gpt_neox", tmp_path / "neox")
    config = json.loads((tmp_path / "neox" / "config.json").read_text())
    (tmp_path / "neox" / "config.json").write_text(json.dumps({**config, "intermediate_size": 3 * config["hidden_size"]}))
    compare(tmp_path / "neox", ref, prompt_of("gpt_neox"), n_greedy=0)
    config = {**CASES["gemma4_text"], "rope_parameters": {"full_attention": {"rope_type": "proportional", "rope_theta": 5e5, "partial_rotary_factor": 0.25},
                                                          "sliding_attention": {"rope_type": "default", "rope_theta": 2e4}}}
    ref = make_model.make("gemma4_text", tmp_path / "gemma4", config=config)
    (tmp_path / "gemma4" / "config.json").write_text(json.dumps({**config, "rope_theta": 7.0}))
    compare(tmp_path / "gemma4", ref, prompt_of("gemma4_text"), n_greedy=0)


ENDS = {"tokenizer_config": {"eos_token": "<fin>"}, "special_tokens_map": {"eos_token": {"content": "<fin>"}}, "config": {"eos_token_id": 5},
        "generation_config": {"eos_token_id": [5]}, "text": {}}


@pytest.mark.parametrize("where", ENDS)
def test_ends(where, tmp_path):
    """One place that names the end suffices: the model that says it at once stops there."""
    end = "<|im_end|>" if where == "text" else "<fin>"
    ref = make_model.make("llama", tmp_path, config={**CASES["llama"], "tie_word_embeddings": False})
    weights = mx.load(str(tmp_path / "model.safetensors"))
    head = np.array(weights["lm_head.weight"])
    hidden = np.array(ref.model.model(mx.array([[1, 2, 3]]))[0, -1])
    head[5] = hidden * 50 / np.linalg.norm(hidden)  # token 5 is the likeliest
    mx.save_safetensors(str(tmp_path / "model.safetensors"), {**weights, "lm_head.weight": mx.array(head)})
    words = {c: i for i, c in enumerate("abcd")} | {end: 5}
    (tmp_path / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": [{"id": 5, "content": end, "special": where != "text", "normalized": False, "single_word": False,
                                            "lstrip": False, "rstrip": False}],
        "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": {"type": "BPE", "vocab": words, "merges": []}}))
    if where not in ("config", "text"):
        (tmp_path / f"{where}.json").write_text(json.dumps(ENDS[where]))
    if where == "config":
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**config, **ENDS[where]}))
    r = subprocess.run([find_wick(), "generate", str(tmp_path), "bcd", "-n", "6", "--temp", "0", "--json"], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    assert json.loads(r.stdout)["finish_reason"] == "stop", r.stdout
