"""Encoders in NumPy, from their papers and model cards, in float64: an oracle that shares nothing with Wick.

CASES[name] is the configuration of a small random model; draw(name) its weights under the names of this file;
files(name, weights) the same under the names that checkpoints have; hidden(name, weights, ids, types) the last hidden
state [n][width]. `check_against_transformers` compares all this with the authors' code where torch is installed."""
import json
import math
from pathlib import Path

import numpy as np

W, N_LAYERS, HEADS, FF, VOCAB, MAX = 96, 3, 4, 160, 311, 160
HEAD = W // HEADS
COMMON = {"hidden_size": W, "num_hidden_layers": N_LAYERS, "num_attention_heads": HEADS, "intermediate_size": FF, "vocab_size": VOCAB,
          "max_position_embeddings": MAX, "pad_token_id": 0, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
          "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}

# What a family has: positions, how the branches are normed, the gate of the MLP (which half of the fused matrix is `gate`),
# biases of the matrices, names. In names, "%" is the layer; a tuple is a fused matrix of its parts.
BERT = {"emb": "embeddings.word_embeddings", "pos": "embeddings.position_embeddings", "type": "embeddings.token_type_embeddings",
        "emb_norm": "embeddings.LayerNorm", "q": "encoder.layer.%.attention.self.query", "k": "encoder.layer.%.attention.self.key",
        "v": "encoder.layer.%.attention.self.value", "o": "encoder.layer.%.attention.output.dense",
        "n1": "encoder.layer.%.attention.output.LayerNorm", "up": "encoder.layer.%.intermediate.dense",
        "down": "encoder.layer.%.output.dense", "n2": "encoder.layer.%.output.LayerNorm"}
NOMIC = {"emb": "embeddings.word_embeddings", "type": "embeddings.token_type_embeddings", "emb_norm": "emb_ln",
         ("q", "k", "v"): "encoder.layers.%.attn.Wqkv", "o": "encoder.layers.%.attn.out_proj", "n1": "encoder.layers.%.norm1",
         "up": "encoder.layers.%.mlp.fc11", "gate": "encoder.layers.%.mlp.fc12", "down": "encoder.layers.%.mlp.fc2", "n2": "encoder.layers.%.norm2"}
NOMIC_HF = {"emb": "embeddings.word_embeddings", "type": "embeddings.token_type_embeddings", "emb_norm": "embeddings.LayerNorm",
            "q": "layers.%.self_attn.q_proj", "k": "layers.%.self_attn.k_proj", "v": "layers.%.self_attn.v_proj", "o": "layers.%.self_attn.o_proj",
            "n1": "layers.%.post_attention_layernorm", "up": "layers.%.mlp.up_proj", "gate": "layers.%.mlp.gate_proj",
            "down": "layers.%.mlp.down_proj", "n2": "layers.%.post_mlp_layernorm"}
FAMILIES = {
    "bert": dict(model="bert", pos="table", names=BERT),
    "bert-tanh": dict(model="bert", pos="table", names=BERT, act="tanh", config={"hidden_act": "gelu_new"}),
    "roberta": dict(model="roberta", pos="table", offset=2, types=1, names=BERT, config={"pad_token_id": 1, "type_vocab_size": 1, "layer_norm_eps": 1e-5}),
    "xlm-roberta": dict(model="xlm-roberta", pos="table", offset=2, types=1, names=BERT, prefix="roberta.",
                        config={"pad_token_id": 1, "type_vocab_size": 1, "layer_norm_eps": 1e-5}),
    "distilbert": dict(model="distilbert", pos="table", types=0, names={
        "emb": "embeddings.word_embeddings", "pos": "embeddings.position_embeddings", "emb_norm": "embeddings.LayerNorm",
        "q": "transformer.layer.%.attention.q_lin", "k": "transformer.layer.%.attention.k_lin", "v": "transformer.layer.%.attention.v_lin",
        "o": "transformer.layer.%.attention.out_lin", "n1": "transformer.layer.%.sa_layer_norm", "up": "transformer.layer.%.ffn.lin1",
        "down": "transformer.layer.%.ffn.lin2", "n2": "transformer.layer.%.output_layer_norm"},
        config={"dim": W, "n_layers": N_LAYERS, "n_heads": HEADS, "hidden_dim": FF, "activation": "gelu"},
        without=["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "layer_norm_eps", "type_vocab_size"]),
    "jina-v2": dict(model="bert", pos="alibi", glu=True, mlp_bias=False, down_bias=True, no_reference=True, names={
        **{k: v for k, v in BERT.items() if k not in ("pos", "up", "down", "n2")}, ("gate", "up"): "encoder.layer.%.mlp.gated_layers",
        "down": "encoder.layer.%.mlp.wo", "n2": "encoder.layer.%.mlp.layernorm"},
        config={"position_embedding_type": "alibi", "feed_forward_type": "geglu"}),
    "nomic": dict(model="nomic_bert", pos="rope", theta=1000.0, glu=True, act="silu", bias=False, mlp_bias=False, names=NOMIC, no_reference=True,
                  config={"n_embd": W, "n_layer": N_LAYERS, "n_head": HEADS, "n_inner": FF, "n_positions": MAX, "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0,
                          "layer_norm_epsilon": 1e-12, "activation_function": "swiglu", "qkv_proj_bias": False, "prenorm": False},
                  without=["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "layer_norm_eps", "max_position_embeddings"]),
    "nomic-hf": dict(model="nomic_bert", pos="rope", theta=1000.0, glu=True, act="silu", bias=False, mlp_bias=False, names=NOMIC_HF,
                     config={"hidden_act": "silu", "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0}}),
    "jina-v3": dict(model="jina_embeddings_v3", pos="rope", theta=20000.0, types=1, names={
        **{k: v for k, v in NOMIC_HF.items() if k not in ("up", "gate", "down")}, "up": "layers.%.mlp.fc1", "down": "layers.%.mlp.fc2"},
        config={"type_vocab_size": 1, "layer_norm_eps": 1e-5, "rope_parameters": {"rope_type": "default", "rope_theta": 20000.0}}),
    "gte": dict(model="gte", pos="rope", theta=160000.0, glu=True, mlp_bias=False, down_bias=True, types=1, names=NOMIC_HF,
                config={"type_vocab_size": 1, "rope_parameters": {"rope_type": "default", "rope_theta": 160000.0}}),
    "gte-fused": dict(model="new", pos="rope", theta=160000.0, glu=True, mlp_bias=False, down_bias=True, types=1, prefix="new.", no_reference=True, names={
        "emb": "embeddings.word_embeddings", "type": "embeddings.token_type_embeddings", "emb_norm": "embeddings.LayerNorm",
        ("q", "k", "v"): "encoder.layer.%.attention.qkv_proj", "o": "encoder.layer.%.attention.o_proj", "n1": "encoder.layer.%.attn_ln",
        ("up", "gate"): "encoder.layer.%.mlp.up_gate_proj", "down": "encoder.layer.%.mlp.down_proj", "n2": "encoder.layer.%.mlp_ln"},
        config={"type_vocab_size": 1, "rope_theta": 160000.0, "position_embedding_type": "rope"}),
    "modernbert": dict(model="modernbert", pos="rope", theta=160000.0, local_theta=10000.0, window=8, every=2, prenorm=True, glu=True, bias=False, mlp_bias=False,
                       norm_bias=False, types=0, final=True, names={
        "emb": "embeddings.tok_embeddings", "emb_norm": "embeddings.norm", ("q", "k", "v"): "layers.%.attn.Wqkv", "o": "layers.%.attn.Wo",
        "n1": "layers.%.attn_norm", ("gate", "up"): "layers.%.mlp.Wi", "down": "layers.%.mlp.Wo", "n2": "layers.%.mlp_norm", "final": "final_norm"}, prefix="model.",
        config={"global_attn_every_n_layers": 2, "local_attention": 16, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "norm_eps": 1e-5,
                "norm_bias": False, "hidden_activation": "gelu", "classifier_pooling": "mean"},
        without=["hidden_act", "layer_norm_eps", "type_vocab_size"]),
    "eurobert": dict(model="eurobert", pos="rope", theta=250000.0, prenorm=True, glu=True, act="silu", bias=False, mlp_bias=False, rms=True, types=0, final=True,
                     emb_norm=False, kv_heads=2, prefix="model.", names={
        "emb": "embed_tokens", "q": "layers.%.self_attn.q_proj", "k": "layers.%.self_attn.k_proj", "v": "layers.%.self_attn.v_proj", "o": "layers.%.self_attn.o_proj",
        "n1": "layers.%.input_layernorm", "n2": "layers.%.post_attention_layernorm", "up": "layers.%.mlp.up_proj", "gate": "layers.%.mlp.gate_proj",
        "down": "layers.%.mlp.down_proj", "final": "norm"},
        config={"hidden_act": "silu", "rms_norm_eps": 1e-5, "num_key_value_heads": 2, "rope_parameters": {"rope_type": "default", "rope_theta": 250000.0}},
        without=["type_vocab_size", "layer_norm_eps"]),
}


def config_of(name):
    f = FAMILIES[name]
    out = {k: v for k, v in COMMON.items() if k not in f.get("without", [])}
    return {**out, **f.get("config", {}), "model_type": f["model"], "bos_token_id": 1, "eos_token_id": 2}


def draw(name, seed=0):
    f, rng = FAMILIES[name], np.random.default_rng(seed)
    n = lambda *s: (rng.standard_normal(s) / math.sqrt(s[-1])).astype(np.float32)
    vec = lambda s, base=0.0: (base + 0.2 * rng.standard_normal(s)).astype(np.float32)
    w = {"emb.weight": 4 * n(VOCAB, W)}
    if f["pos"] == "table":
        w["pos.weight"] = 2 * n(MAX, W)
    types = f.get("types", 2)
    if types:
        w["type.weight"] = 2 * n(types, W)

    def norm(key):
        w[f"{key}.weight"] = vec(W, 1)
        if f.get("norm_bias", True) and not f.get("rms"):
            w[f"{key}.bias"] = vec(W)

    def linear(key, n_out, n_in, bias):
        w[f"{key}.weight"] = 1.5 * n(n_out, n_in)
        if bias:
            w[f"{key}.bias"] = vec(n_out)

    bias, mlp_bias = f.get("bias", True), f.get("mlp_bias", True)
    if f.get("emb_norm", True):
        norm("emb_norm")
    for i in range(N_LAYERS):
        kv = f.get("kv_heads", HEADS) * HEAD
        for key, n_out in (("q", W), ("k", kv), ("v", kv), ("o", W)):
            linear(f"{i}.{key}", n_out, W, bias)
        linear(f"{i}.up", FF, W, mlp_bias)
        if f.get("glu"):
            linear(f"{i}.gate", FF, W, mlp_bias)
        linear(f"{i}.down", W, FF, f.get("down_bias", mlp_bias))
        if not (f.get("prenorm") and f.get("emb_norm", True) and i == 0):
            norm(f"{i}.n1")
        norm(f"{i}.n2")
    if f.get("final"):
        norm("final")
    return w


def files(name, w):
    """The weights under the names of checkpoints."""
    f, out = FAMILIES[name], {}
    for key, path in f["names"].items():
        parts = key if isinstance(key, tuple) else (key,)
        for i in range(N_LAYERS) if "%" in path else [None]:
            for end in (".weight", ".bias"):
                have = [w.get((f"{i}." if i is not None else "") + p + end) for p in parts]
                if have[0] is not None:
                    out[f.get("prefix", "") + path.replace("%", str(i)) + end] = np.concatenate(have)
    return out


def erf(x):
    return np.frompyfunc(math.erf, 1, 1)(x).astype(np.float64)


ACTS = {"gelu": lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))), "silu": lambda x: x / (1 + np.exp(-x)),
        "tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))}


def slopes(n):
    """As ALiBi's authors give them for any number of heads."""
    if math.log2(n).is_integer():
        start = 2 ** (-2 ** -(math.log2(n) - 3))
        return [start * start ** i for i in range(n)]
    near = 2 ** math.floor(math.log2(n))
    return slopes(near) + slopes(2 * near)[0::2][: n - near]


def rotate(x, theta):
    """x [n][heads][dim], halves paired."""
    n, _, d = x.shape
    freq = np.float32(1.0) / np.power(theta, np.arange(0, d, 2) / d)
    angle = (np.arange(n)[:, None] * freq[None])[:, None, :]
    a, b = x[..., : d // 2], x[..., d // 2:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)


def hidden(name, w, ids, types=None):
    f, c = FAMILIES[name], config_of(name)
    n = len(ids)
    w = {k: v.astype(np.float64) for k, v in w.items()}
    eps = c.get("layer_norm_eps", c.get("layer_norm_epsilon", c.get("norm_eps", c.get("rms_norm_eps", 1e-12))))

    def norm(x, key):
        if f"{key}.weight" not in w:
            return x
        if f.get("rms"):
            return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w[f"{key}.weight"]
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w[f"{key}.weight"] + w.get(f"{key}.bias", 0)

    linear = lambda x, key: x @ w[f"{key}.weight"].T + w.get(f"{key}.bias", 0)
    act = ACTS[f.get("act", "gelu")]
    x = w["emb.weight"][ids]
    if "type.weight" in w:
        x = x + w["type.weight"][np.zeros(n, int) if types is None or len(w["type.weight"]) < 2 else types]
    if f["pos"] == "table":
        x = x + w["pos.weight"][np.arange(n) + f.get("offset", 0)]
    x = norm(x, "emb_norm")
    far = np.abs(np.arange(n)[:, None] - np.arange(n)[None])
    for i in range(N_LAYERS):
        local = "window" in f and i % f["every"] != 0
        y = norm(x, f"{i}.n1") if f.get("prenorm") else x
        kv = f.get("kv_heads", HEADS)
        q, k, v = (linear(y, f"{i}.{p}").reshape(n, h, HEAD) for p, h in (("q", HEADS), ("k", kv), ("v", kv)))
        if f["pos"] == "rope":
            q, k = (rotate(t, f["local_theta"] if local else f["theta"]) for t in (q, k))
        k, v = (np.repeat(t, HEADS // kv, 1) for t in (k, v))
        score = np.einsum("ihd,jhd->hij", q, k) / math.sqrt(HEAD)
        if f["pos"] == "alibi":
            score = score - np.array(slopes(HEADS))[:, None, None] * far[None]
        if local:
            score = np.where(far[None] <= f["window"], score, -np.inf)
        p = np.exp(score - score.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        x = x + linear(np.einsum("hij,jhd->ihd", p, v).reshape(n, W), f"{i}.o")
        if not f.get("prenorm"):
            x = norm(x, f"{i}.n1")
        y = norm(x, f"{i}.n2") if f.get("prenorm") else x
        u = linear(y, f"{i}.up")
        u = act(linear(y, f"{i}.gate")) * u if f.get("glu") else act(u)
        x = x + linear(u, f"{i}.down")
        if not f.get("prenorm"):
            x = norm(x, f"{i}.n2")
    return norm(x, "final") if f.get("final") else x


def save(name, out, w, more=None, config=None):
    """config.json and model.safetensors in folder `out`."""
    from safetensors.numpy import save_file
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps({**config_of(name), **(config or {})}))
    save_file({**files(name, w), **(more or {})}, str(out / "model.safetensors"), metadata={"format": "pt"})


def check_against_transformers(name, folder, w, ids, types=None):
    """The largest difference between this file and the authors' implementation, of one text."""
    import torch
    from transformers import AutoModel
    model = AutoModel.from_pretrained(str(folder), dtype=torch.float32, attn_implementation="eager").eval()
    args = {"input_ids": torch.tensor([ids])}
    if types is not None and FAMILIES[name].get("types", 2) == 2:
        args["token_type_ids"] = torch.tensor([types])
    with torch.no_grad():
        got = model(**args).last_hidden_state[0].numpy()
    return float(np.abs(got - hidden(name, w, ids, types)).max())
