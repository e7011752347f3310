"""From mlx-lm's layout back to the one that Hugging Face uploads have: unstacked experts, Conv1D matrices, the order of
convolution kernels, the names that mlx-lm's sanitize() changes."""
import re

import mlx.core as mx


def unstack(weights, pattern, names):
    """`...switch_mlp.up_proj.weight` [E, out, in] -> `...experts.E.up_proj.weight`, names mapped."""
    out = {}
    for k, v in weights.items():
        m = re.match(r"(.*)\.switch_mlp\.(\w+)\.(\w+)$", k)
        if not m:
            out[k] = v
            continue
        for e in range(v.shape[0]):
            out[f"{m[1]}.{pattern.format(e=e)}.{names.get(m[2], m[2])}.{m[3]}"] = v[e]
    return out


def gpt2(weights):
    out = {}
    for k, v in weights.items():
        k = k.removeprefix("model.")
        if re.search(r"h\.\d+\.(attn|mlp)\.c_\w+\.weight$", k):
            v = mx.contiguous(v.T)
        out[k] = v
    return out


def gpt_neox(weights):
    out = {}
    for k, v in weights.items():
        k = k.removeprefix("model.")
        if not k.startswith("embed_out"):
            k = "gpt_neox." + re.sub(r"^h\.", "layers.", k)
        out[k] = v
    return out


def granitemoe(weights):
    out = {}
    for k, v in weights.items():
        if k.endswith("switch_mlp.up_proj.weight"):
            continue
        if k.endswith("switch_mlp.gate_proj.weight"):
            up = weights[k.replace("gate_proj", "up_proj")]
            out[k.replace("switch_mlp.gate_proj", "input_linear")] = mx.concatenate([v, up], axis=1)
        else:
            out[k.replace("switch_mlp.down_proj", "output_linear")] = v
    return out


def granitehybrid(weights):
    """A dense model's MLP is the shared one, gate and up together."""
    out = {}
    for k, v in weights.items():
        if ".mlp.gate_proj." in k:
            out[k.replace("mlp.gate_proj", "shared_mlp.input_linear")] = mx.concatenate([v, weights[k.replace("gate_proj", "up_proj")]], axis=0)
        elif ".mlp.up_proj." not in k:
            out[k.replace("mlp.down_proj", "shared_mlp.output_linear") if ".mlp.down_proj." in k else k] = v
    return out


def gpt_oss(weights):
    """Experts as [in, out], gate and up in alternating columns, biases beside them."""
    out = {}
    pairs = lambda a, b, axis: mx.contiguous(mx.stack([a, b], axis=axis + 1).reshape(*a.shape[:axis], -1, *a.shape[axis + 1:]))
    for k, v in weights.items():
        if ".experts.up_proj." in k:
            continue
        path, kind = k.rsplit(".", 1)
        if ".experts.gate_proj." in k:
            both = pairs(v, weights[k.replace("gate_proj", "up_proj")], 1)
            path = path.replace("gate_proj", "gate_up_proj")
            out[path + "_bias" if kind == "bias" else path] = both if kind == "bias" else mx.contiguous(both.swapaxes(1, 2))
        elif ".experts.down_proj." in k:
            out[path + "_bias" if kind == "bias" else path] = v if kind == "bias" else mx.contiguous(v.swapaxes(1, 2))
        else:
            out[k] = v
    return out


def gemma4(weights):
    """Gate and up of the experts as one bare tensor, down beside it."""
    out = {}
    for k, v in weights.items():
        if k.endswith("switch_glu.up_proj.weight"):
            continue
        if k.endswith("switch_glu.gate_proj.weight"):
            up = weights[k.replace("gate_proj", "up_proj")]
            out[k.replace("switch_glu.gate_proj.weight", "gate_up_proj")] = mx.concatenate([v, up], axis=1)
        else:
            out[k.replace("switch_glu.down_proj.weight", "down_proj")] = v
    return out


def conv_torch_order(weights):
    """[C, K, 1] -> [C, 1, K]"""
    return {k: mx.contiguous(v.swapaxes(1, 2)) if "conv" in k and v.ndim == 3 and "proj" not in k else v
            for k, v in weights.items()}


def mla(weights, config):
    """embed_q and unembed_out back to kv_b_proj."""
    out, heads = {}, config["num_attention_heads"]
    for k, v in weights.items():
        if k.endswith("unembed_out.weight"):
            continue
        if not k.endswith("embed_q.weight"):
            out[k] = v
            continue
        v_b = weights[k.replace("embed_q", "unembed_out")]
        both = mx.concatenate([v.swapaxes(1, 2), v_b], axis=1)
        assert both.shape[0] == heads
        out[k.replace("embed_q", "kv_b_proj")] = both.reshape(-1, both.shape[-1])
    return out


def falcon_h1(weights, config):
    """The factors that mlx-lm's conversion multiplies in, out again; whatever the configuration leaves out has no factor."""
    from mlx_lm.models.falcon_h1 import ModelArgs, compute_mup_vector
    a = ModelArgs.from_dict(config)
    rows = compute_mup_vector(a)[:, None] * a.ssm_in_multiplier
    factor = {"embed_tokens": a.embedding_multiplier, "lm_head": a.lm_head_multiplier, "q_proj": a.attention_in_multiplier,
              "k_proj": a.attention_in_multiplier, "o_proj": a.attention_out_multiplier, "out_proj": a.ssm_out_multiplier,
              "gate_proj": a.mlp_multipliers[0], "down_proj": a.mlp_multipliers[1], "in_proj": rows}
    return {k: v / factor.get(k.split(".")[-2], 1.0) if k.endswith(".weight") else v for k, v in weights.items()}


def fused_experts(weights, turned=False):
    """Gate and up of all experts as one bare tensor, down as another; [in, out] if turned."""
    out = {}
    turn = (lambda v: mx.contiguous(v.swapaxes(1, 2))) if turned else (lambda v: v)
    for k, v in weights.items():
        if k.endswith("switch_mlp.up_proj.weight"):
            continue
        if k.endswith("switch_mlp.gate_proj.weight"):
            both = mx.concatenate([v, weights[k.replace("gate_proj", "up_proj")]], axis=1)
            out[k.replace("switch_mlp.gate_proj.weight", "experts.gate_up_proj")] = turn(both)
        elif k.endswith("switch_mlp.down_proj.weight"):
            out[k.replace("switch_mlp.down_proj.weight", "experts.down_proj")] = turn(v)
        else:
            out[k] = v
    return out


def nested(weights):
    """The wrapper's own names: model.language_model.layers..., lm_head."""
    out = {}
    for k, v in weights.items():
        k = k.removeprefix("language_model.")
        out[k.replace("model.", "model.language_model.", 1) if k.startswith("model.") else k] = v
    return out


def to_hf(weights, config):
    t = config["model_type"]
    if t.startswith("qwen3_5"):
        weights = nested(fused_experts(weights))
    if t == "gpt2":
        weights = gpt2(weights)
    elif t == "gpt_neox":
        weights = gpt_neox(weights)
    elif t in ("mixtral", "phimoe"):
        weights = unstack(weights, "experts.{e}", {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"})
    elif t.startswith("gemma4"):
        weights = gemma4(weights)
    elif t.startswith("granitemoe"):
        weights = granitehybrid(granitemoe(weights))
    elif t == "nemotron_h":
        weights = unstack(weights, "experts.{e}", {"fc1": "up_proj", "fc2": "down_proj"})
    elif t == "minimax":
        weights = unstack(weights, "experts.{e}", {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"})
    elif t == "qwen3_vl_moe":
        weights = nested(fused_experts(weights, turned=True))
    elif t == "qwen3_vl":
        weights = nested(weights)
    elif t == "gpt_oss":
        weights = gpt_oss(weights)
    elif t == "llama4":
        weights = fused_experts({re.sub(r"feed_forward\.experts\.(\w+_proj)", r"feed_forward.switch_mlp.\1", k): v for k, v in weights.items()},
                                turned=True)
    elif any("switch_mlp" in k for k in weights):
        weights = unstack(weights, "experts.{e}", {})
    if t == "falcon_h1":
        weights = falcon_h1(weights, config)
    if t == "dots1":
        weights = unstack({re.sub(r"mlp\.experts\.(\w+_proj)", r"mlp.switch_mlp.\1", k): v for k, v in weights.items()}, "experts.{e}", {})
    if t == "bailing_moe":
        weights = {k.replace("mlp.gate.gate_proj", "mlp.gate"): v for k, v in weights.items()}
    if t in ("deepseek_v3", "glm4_moe_lite", "kimi_k25"):
        weights = mla(weights, {**config, **config.get("text_config", {})})
    if t.startswith(("qwen3_next", "qwen3_5")):
        weights = {k: v - 1 if "norm" in k and "linear_attn" not in k else v for k, v in weights.items()}
    return conv_torch_order(weights), config
