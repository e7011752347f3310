"""Logits and greedy tokens against mlx-lm (float32, CPU) for every family, quantization and layout, on random small
models. `exact` precision agrees to 1e-4 (absolute, and relative to the largest logit); 16 greedy tokens are equal as long
as the reference's own margin is above that.

WICK_BIN names the program. WICK_PARITY=all runs every quantization for every case; without it the first families have
all and the others one float, one quantized and one Hugging Face layout each. WICK_PARITY_BACKEND chooses the backend."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
make_model = pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")
from model_cases import BASE, CASES, GGUF_ARCH, SAME, YARN  # noqa: E402

ALL = os.environ.get("WICK_PARITY") == "all"
BACKEND = os.environ.get("WICK_PARITY_BACKEND", "cpu")
TOLERANCE = 1e-4
GGUF_MORE = ["llama-bias-linear", "llama-yarn", "stablelm-parallel", "deepseek_v2-unsplit", "gemma4_text-shared", "gemma4_text-ple", "gemma4_text-moe",
             "qwen3_next-grouped", "bailing_moe-v1", "granitemoehybrid-dense", "nemotron_h-dense"]
# What a GGUF file cannot say, or llama.cpp fixes for the family.
GGUF_CONFIG = {"gemma2": {"query_pre_attn_scalar": 64}, "gemma3_text": {"query_pre_attn_scalar": 64, "sliding_window_pattern": 6,
                                                                          "num_hidden_layers": 7}, "qwen3_moe": {"mlp_only_layers": []},
               "llama4": {"text_config": {**CASES["llama4"]["text_config"], "attention_chunk_size": 8192, "floor_scale": 8192, "attn_scale": 0.1}},
               "phimoe": {"rope_scaling": None, "router_jitter_noise": 0.01}, "mamba2": {"n_groups": 1}, "falcon_h1": {"mamba_n_groups": 1, "tie_word_embeddings": False},
               "glm4_moe": {"num_nextn_predict_layers": 1}, "cohere2": {"sliding_window_pattern": 4, "num_hidden_layers": 5},
               "deepseek_v3": {"rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0}}}


def find_wick():
    path = os.environ.get("WICK_BIN")
    if not path:
        root = Path(__file__).resolve().parents[2]
        found = sorted(root.glob("build/*/wick"), key=lambda p: p.stat().st_mtime)
        path = str(found[-1]) if found else None
    if not path or not os.access(path, os.X_OK):
        pytest.skip("the wick program is not built (WICK_BIN)")
    return path


def wick_logits(path, tokens, greedy=0, precision="exact"):
    cmd = [find_wick(), "logits", str(path), "--tokens", ",".join(map(str, tokens)), "--backend", BACKEND, "--precision", precision, "--json"]
    config = Path(path) / "config.json"
    if config.is_file() and "long_factor" in config.read_text():
        cmd += ["--ctx", "1000000"]  # mlx-lm has the long factors at every length
    if greedy:
        cmd += ["--greedy", str(greedy)]
    r = subprocess.run(cmd, capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, f"{' '.join(cmd)}\n{r.stderr}"
    return json.loads(r.stdout)


def compare(path, ref, tokens, tolerance=TOLERANCE, n_greedy=16):
    want = ref.logits(tokens)
    out = wick_logits(path, tokens, n_greedy)
    got = np.array(out["logits"], dtype=np.float64)[: len(tokens)]
    assert got.shape == want.shape
    limit = tolerance * (1 + np.abs(want).max())
    worst = np.abs(got - want).max(axis=1)
    assert worst.max() <= limit, f"position {int(worst.argmax())}: off by {worst.max():.2e}, limit {limit:.2e}; all: {worst}"
    if not n_greedy:
        return
    greedy, margins = ref.greedy(tokens, n_greedy)
    for i, (a, b, m) in enumerate(zip(greedy, out["tokens"], margins)):
        if m < 2 * limit:
            break  # the reference itself is undecided here
        assert a == b, f"greedy token {i}: expected {a}, got {b} (margin {m:.3g})"


def vocabulary(config):
    return config.get("vocab_size") or config["text_config"]["vocab_size"]


def prompt_of(case, n=24):
    return make_model.prompt(n, vocabulary(CASES[case]))


def selection():
    out = []
    for case in CASES:
        family = case.split("-")[0]
        if ALL or family in BASE:
            variants = [("mlx", q) for q in ("f32", "4bit", "8bit")] + [("hf", "f32")]
            if case in BASE:
                variants += [("mlx", "3:64"), ("mlx", "6:32"), ("mlx", "4:32:mxfp4"), ("mlx", "4:16:nvfp4"), ("mlx", "8:32:mxfp8"),
                             ("mlx", "2:128"), ("mlx", "5:64"), ("npz", "f32"), ("npz", "8bit")]
        else:
            variants = [("mlx", "4bit"), ("hf", "f32")] if case in SAME else [("mlx", "f32"), ("mlx", "4bit"), ("hf", "f32")]
        out += [pytest.param(case, layout, quant, id=f"{case}-{layout}-{quant}") for layout, quant in variants]
    return out


@pytest.mark.parametrize("case,layout,quant", selection())
def test_logits(case, layout, quant, tmp_path):
    find_wick()
    ref = make_model.make(case, tmp_path, quant=quant, layout=layout)
    compare(tmp_path, ref, prompt_of(case))


def gguf_selection():
    cases = [c for c in CASES if c in GGUF_ARCH or c in GGUF_MORE]
    out = []
    for case in cases:
        kinds = ["F32", "Q8_0", "Q4_0", "Q5_1", "BF16", "F16"] if ALL or case in BASE else ["Q8_0"] if case in SAME else ["F32", "Q8_0"]
        kinds += ["MXFP4"] if case == "gpt_oss" else []
        out += [pytest.param(case, k, id=f"{case}-{k}") for k in kinds]
    return out


@pytest.mark.parametrize("case,kind", gguf_selection())
def test_gguf(case, kind, tmp_path):
    find_wick()
    config = {**CASES[case], **GGUF_CONFIG.get(case, {})}
    ref = make_model.make(case, tmp_path, layout="gguf", gguf_type=kind, config=config)
    compare(tmp_path / "model.gguf", ref, prompt_of(case))


# Those that are not in gguf_selection, but for the two whose scales are no half-precision numbers of their own.
GGUF_TYPES = ["Q4_1", "Q5_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "TQ1_0", "TQ2_0", "IQ4_NL", "IQ4_XS", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS",
              "IQ3_S", "IQ1_S"]
# Rows of whole blocks of 256 of every matrix.
BLOCKS_256 = {"hidden_size": 256, "intermediate_size": 512, "head_dim": 64, "num_attention_heads": 4, "num_hidden_layers": 1}


@pytest.mark.parametrize("kind", GGUF_TYPES)
def test_gguf_type(kind, tmp_path):
    """A model whose every matrix is of one type; what the gguf package does not quantize has random blocks."""
    find_wick()
    ref = make_model.make("qwen3", tmp_path, layout="gguf", gguf_type=kind, config={**CASES["qwen3"], **BLOCKS_256})
    compare(tmp_path / "model.gguf", ref, prompt_of("qwen3", 12), n_greedy=4)


def test_sharded(tmp_path):
    ref = make_model.make("qwen3", tmp_path, quant="4bit", shards=3)
    compare(tmp_path, ref, prompt_of("qwen3"))


@pytest.mark.parametrize("case", ["llama", "qwen2"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_weights(case, dtype, tmp_path):
    """Weights in half precision, answers in float32: the reference computes with the same values in float32."""
    import mlx.core as mx
    ref = make_model.make(case, tmp_path, dtype=getattr(mx, dtype))
    compare(tmp_path, ref, prompt_of(case))


def test_mixed_quantization(tmp_path):
    """Layers of several widths and layers left float, as dynamic quantization and predicates write them."""
    def predicate(path, module):
        if path.endswith("v_proj"):
            return {"bits": 8, "group_size": 32}
        if "layers.1.mlp" in path:
            return {"bits": 4, "group_size": 32, "mode": "mxfp4"}
        return not path.endswith("k_proj")

    ref = make_model.make("qwen3", tmp_path, quant="4bit", predicate=predicate)
    compare(tmp_path, ref, prompt_of("qwen3"))


@pytest.mark.parametrize("n", [1, 2, 17, 33, 65])
def test_prompt_lengths(n, tmp_path):
    """Around the window (16) and around the usual sizes of blocks."""
    ref = make_model.make("mistral-mixed", tmp_path)
    compare(tmp_path, ref, prompt_of("mistral-mixed", n), n_greedy=20)


def test_meta_names(tmp_path):
    """The first NPZ models: Meta's names and parameters, interleaved rope."""
    import mlx.core as mx
    names = {"model.embed_tokens": "tok_embeddings", "model.norm": "norm", "lm_head": "output", "self_attn.q_proj": "attention.wq",
             "self_attn.k_proj": "attention.wk", "self_attn.v_proj": "attention.wv", "self_attn.o_proj": "attention.wo",
             "mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2", "mlp.up_proj": "feed_forward.w3",
             "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm", "model.layers": "layers"}
    config = {**CASES["llama-traditional"], "num_key_value_heads": 4}
    ref = make_model.make("llama-traditional", tmp_path / "mlx", config=config)
    weights = make_model.weights_of(ref.model)
    for a, b in names.items():
        weights = {k.replace(a, b): v for k, v in weights.items()}
    out = tmp_path / "npz"
    out.mkdir()
    mx.savez(str(out / "weights.npz"), **weights)
    (out / "config.json").write_text(json.dumps({"dim": 128, "n_layers": 2, "n_heads": 4, "hidden_dim": 256, "norm_eps": 1e-5,
                                                 "vocab_size": -1}))
    compare(out, ref, prompt_of("llama-traditional"))
    own = tmp_path / "mistral"  # the same weights as Mistral publishes them
    own.mkdir()
    mx.save_safetensors(str(own / "consolidated.safetensors"), weights)
    params = {"dim": 128, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "head_dim": 32, "hidden_dim": 256, "norm_eps": 1e-5,
              "vocab_size": config["vocab_size"], "rope_theta": config.get("rope_theta", 10000.0)}
    (own / "params.json").write_text(json.dumps(params))
    (own / "config.json").write_text(json.dumps({**config, "model_type": "mistral"}))  # which would turn q and k in halves
    compare(own, ref, prompt_of("llama-traditional"))
    (own / "params.json").write_text(json.dumps({**params, "moe": {"num_experts": 8}}))
    r = subprocess.run([find_wick(), "logits", str(own), "--tokens", "1"], capture_output=True, text=True, timeout=60)
    assert r.returncode == 4 and "moe" in r.stderr, r.stderr


def test_norm_head(tmp_path):
    """The output matrix of the first Ling models is brought to columns of length 1 at load; nothing changes where that was done."""
    import mlx.core as mx
    ref = make_model.make("bailing_moe", tmp_path, config={**CASES["bailing_moe"], "norm_head": True})
    w = ref.model.lm_head.weight
    ref.model.lm_head.weight = w / mx.linalg.norm(w, axis=0, keepdims=True)
    compare(tmp_path, ref, prompt_of("bailing_moe"))


@pytest.mark.parametrize("change,word", [({"hidden_size_per_layer_input": 32}, "embed_tokens_per_layer"), ({"num_kv_shared_layers": 6}, "num_kv_shared"),
                                         ({"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32}, "router")])
def test_gemma4_refused(change, word, tmp_path):
    make_model.make("gemma4_text", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**CASES["gemma4_text"], **change}))
    r = subprocess.run([find_wick(), "logits", str(tmp_path), "--tokens", "1"], capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and word in r.stderr and r.stderr.count("\n") == 1, r.stderr
