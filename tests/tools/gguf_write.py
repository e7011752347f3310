"""Small models as GGUF files, written with the gguf package, and the same weights back in the mlx-lm model: what the
file holds after quantization is what the reference computes with."""
import re

import gguf
import mlx.core as mx
import numpy as np
from gguf.quants import dequantize
from gguf.quants import quantize as gguf_quantize
from mlx.utils import tree_flatten, tree_unflatten

from model_cases import GGUF_ARCH, GGUF_PERMUTED


def permute(w, n_head):
    """Rows of each head from half-split order to interleaved order, as llama.cpp's converter does it."""
    return w.reshape(n_head, 2, w.shape[0] // n_head // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def unpermute(w, n_head):
    return w.reshape(n_head, w.shape[0] // n_head // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def neox_to_qkv(w, n_head):
    """[head][q, k, v] rows to [q, k, v][head]."""
    return w.reshape(n_head, 3, -1, *w.shape[1:]).swapaxes(0, 1).reshape(w.shape)


def qkv_to_neox(w, n_head):
    return w.reshape(3, n_head, -1, *w.shape[1:]).swapaxes(0, 1).reshape(w.shape)


def head_dim(cfg):
    return cfg.get("head_dim") or (cfg.get("hidden_size") or cfg["n_embd"]) // (cfg.get("num_attention_heads") or cfg["n_head"])


def layers_of(cfg):
    return cfg.get("num_hidden_layers") or cfg.get("num_layers") or cfg["n_layer"]


def write_keys(w, cfg):
    t = cfg["model_type"]
    heads = cfg.get("num_attention_heads") or cfg.get("n_head") or 0
    hidden = cfg.get("hidden_size") or cfg["n_embd"]
    w.add_context_length(cfg.get("max_position_embeddings") or cfg.get("n_positions") or 1 << 20)
    w.add_embedding_length(hidden)
    w.add_block_count(layers_of(cfg) + cfg.get("num_nextn_predict_layers", 0))
    if t in ("mamba", "mamba2"):
        write_mamba_keys(w, cfg)
        return
    if t == "gemma4_text":
        n = cfg["num_hidden_layers"] - cfg["num_kv_shared_layers"]
        w.add_feed_forward_length([cfg["intermediate_size"] * (1 if i < n else 2) for i in range(cfg["num_hidden_layers"])])
    elif t == "nemotron_h":
        moe = cfg.get("moe_intermediate_size") or cfg["intermediate_size"]
        w.add_feed_forward_length([moe if kind == "E" else cfg["intermediate_size"] if kind == "-" else 0 for kind in cfg["hybrid_override_pattern"]])
    else:
        w.add_feed_forward_length(cfg.get("intermediate_size_mlp") or cfg.get("intermediate_size") or cfg.get("n_inner") or cfg.get("block_ff_dim") or 4 * hidden)
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads(cfg, heads))
    if t.startswith("deepseek"):
        write_mla_keys(w, cfg)
    else:
        w.add_key_length(cfg.get("global_head_dim") or head_dim(cfg))
        w.add_value_length(cfg.get("global_head_dim") or head_dim(cfg))
    if "rms_norm_eps" in cfg or "norm_eps" in cfg and t != "nemotron":
        w.add_layer_norm_rms_eps(cfg.get("rms_norm_eps") or cfg["norm_eps"])
    elif t in ("exaone", "nemotron_h"):
        w.add_layer_norm_rms_eps(cfg["layer_norm_epsilon"])
    else:
        w.add_layer_norm_eps(cfg.get("layer_norm_eps") or cfg.get("norm_epsilon") or cfg.get("norm_eps") or cfg["layer_norm_epsilon"])
    alpha = (cfg.get("rope_scaling") or {}).get("alpha")
    theta = cfg.get("rope_theta") or cfg.get("rotary_emb_base") or (cfg.get("rope_parameters") or {}).get("rope_theta")
    if theta and alpha:
        theta *= alpha ** (head_dim(cfg) / (head_dim(cfg) - 2))
    if theta:
        w.add_rope_freq_base(theta)
    part = cfg.get("partial_rotary_factor") or cfg.get("rotary_pct") or (cfg.get("rope_parameters") or {}).get("partial_rotary_factor") or 1
    w.add_rope_dimension_count(cfg.get("qk_rope_head_dim") or cfg.get("global_head_dim") or cfg.get("rotary_dim") or int(head_dim(cfg) * part))
    if cfg.get("sliding_window") and t not in ("mistral",):
        w.add_sliding_window(cfg["sliding_window"])
    scaling = cfg.get("rope_scaling") or cfg.get("rope_parameters") or {}
    kind = scaling.get("type") or scaling.get("rope_type")
    if kind in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(kind))
        w.add_rope_scaling_factor(scaling["factor"])
        if kind == "yarn":
            w.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
            w.add_rope_scaling_yarn_beta_fast(scaling["beta_fast"])
            w.add_rope_scaling_yarn_beta_slow(scaling["beta_slow"])
            if t.startswith("deepseek"):
                w.add_rope_scaling_yarn_log_mul(0.1 * scaling["mscale_all_dim"])
            elif "mscale_all_dim" in scaling:
                w.add_rope_scaling_yarn_log_mul(scaling["mscale_all_dim"])
        if "llama_4_scaling_beta" in scaling:
            w.add_attn_temperature_scale(scaling["llama_4_scaling_beta"])
    write_family_keys(w, cfg, t)


def kv_heads(cfg, heads):
    """One number, or one per layer where some layers have no attention (0)."""
    kv = cfg.get("num_key_value_heads") or heads
    if cfg["model_type"].startswith("deepseek"):
        return heads if cfg.get("gguf_unsplit") else 1
    if cfg["model_type"] == "gpt_bigcode":
        return 1
    if cfg["model_type"] in ("granitemoehybrid", "nemotron_h"):
        return [kv if kind in ("attention", "*") else 0 for kind in cfg.get("layer_types") or cfg["hybrid_override_pattern"]]
    if cfg.get("num_global_key_value_heads"):
        return [kv if s else cfg["num_global_key_value_heads"] for s in slides(cfg)]
    if "full_attn_idxs" in cfg:
        return [kv if i in cfg["full_attn_idxs"] else 0 for i in range(cfg["num_hidden_layers"])]
    return kv


def write_mamba_keys(w, cfg):
    w.add_feed_forward_length(0)
    w.add_head_count(0)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_ssm_conv_kernel(cfg["conv_kernel"])
    w.add_ssm_inner_size(cfg["intermediate_size"])
    w.add_ssm_state_size(cfg["state_size"])
    w.add_ssm_time_step_rank(cfg["num_heads"] if "num_heads" in cfg else cfg["time_step_rank"])
    if "n_groups" in cfg:
        w.add_ssm_group_count(cfg["n_groups"])
    else:
        w.add_ssm_dt_b_c_rms(cfg["model_type"] == "falcon_mamba")


def write_gemma4_keys(w, cfg):
    n, shared = cfg["num_hidden_layers"], cfg["num_kv_shared_layers"]
    slide = slides(cfg)
    w.add_shared_kv_layers(shared)
    w.add_embedding_length_per_layer_input(cfg["hidden_size_per_layer_input"])
    w.add_sliding_window_pattern(slide)
    w.add_key_length_swa(cfg["head_dim"])
    w.add_value_length_swa(cfg["head_dim"])
    w.add_rope_dimension_count_swa(cfg["head_dim"])
    w.add_rope_freq_base(1000000.0)
    w.add_rope_freq_base_swa(10000.0)
    w.add_final_logit_softcapping(30.0)


def slides(cfg):
    """Which layers slide, by layer_types or by every n-th layer being global."""
    n = cfg["num_hidden_layers"]
    if cfg.get("layer_types"):
        return [t == "sliding_attention" for t in cfg["layer_types"]]
    return [(i + 1) % cfg["sliding_window_pattern"] != 0 for i in range(n)]


def write_mla_keys(w, cfg):
    """The cache's sizes are the plain key and value lengths; those of the heads have names of their own."""
    if cfg["q_lora_rank"]:
        w.add_q_lora_rank(cfg["q_lora_rank"])
    w.add_kv_lora_rank(cfg["kv_lora_rank"])
    if cfg.get("gguf_unsplit"):  # as the converter wrote before the keys were absorbed
        w.add_key_length(cfg["qk_nope_head_dim"] + cfg["qk_rope_head_dim"])
        w.add_value_length(cfg["v_head_dim"])
        return
    w.add_key_length(cfg["kv_lora_rank"] + cfg["qk_rope_head_dim"])
    w.add_value_length(cfg["kv_lora_rank"])
    w.add_key_length_mla(cfg["qk_nope_head_dim"] + cfg["qk_rope_head_dim"])
    w.add_value_length_mla(cfg["v_head_dim"])


def write_routed_keys(w, cfg, sigmoid):
    w.add_leading_dense_block_count(cfg["first_k_dense_replace"])
    w.add_expert_shared_count(cfg["n_shared_experts"])
    w.add_expert_weights_scale(cfg["routed_scaling_factor"])
    w.add_expert_weights_norm(cfg["norm_topk_prob"])
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID if sigmoid else gguf.ExpertGatingFuncType.SOFTMAX)
    if cfg.get("n_group"):
        w.add_expert_group_count(cfg["n_group"])
        w.add_expert_group_used_count(cfg["topk_group"])


def write_family_keys(w, cfg, t):
    experts = cfg.get("num_local_experts") or cfg.get("num_experts") or cfg.get("n_routed_experts") or cfg.get("moe_num_experts")
    if experts:
        w.add_expert_count(experts)
        w.add_expert_used_count(cfg.get("num_experts_per_tok") or cfg.get("moe_k") or cfg["top_k_experts"])
        if cfg.get("moe_intermediate_size"):
            w.add_expert_feed_forward_length(cfg["moe_intermediate_size"])
        if "shared_expert_intermediate_size" in cfg:
            w.add_expert_shared_feed_forward_length(cfg["shared_expert_intermediate_size"])
    if t == "gemma4_text":
        write_gemma4_keys(w, cfg)
    if t == "gemma2":
        w.add_attn_logit_softcapping(50.0)
        w.add_final_logit_softcapping(30.0)
    if t in ("cohere", "cohere2"):
        w.add_logit_scale(cfg["logit_scale"])
    if t.startswith("deepseek") or t in ("glm4_moe", "dots1"):
        write_routed_keys(w, cfg, t != "deepseek_v2")
    if t == "glm4_moe":
        w.add_nextn_predict_layers(cfg.get("num_nextn_predict_layers", 0))
    if t == "gpt_oss":
        w.add_expert_feed_forward_length(cfg["intermediate_size"])
    if t == "apertus":
        n = cfg["num_hidden_layers"]
        w.add_xielu_beta([0.5] * n)
        w.add_xielu_eps([-1e-6] * n)
    if t == "llama4":
        w.add_interleave_moe_layer_step(cfg["interleave_moe_layer_step"])
        w.add_expert_feed_forward_length(cfg["intermediate_size"])
    if t == "ernie4_5_moe":
        w.add_leading_dense_block_count(cfg["moe_layer_start_index"])
        w.add_expert_shared_count(cfg["moe_num_shared_experts"])
    if t == "minimax":
        w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    if t == "bailing_moe":
        w.add_leading_dense_block_count(cfg["first_k_dense_replace"])
        w.add_expert_shared_count(cfg["num_shared_experts"])
        w.add_expert_weights_norm(cfg["norm_topk_prob"])
        w.add_expert_weights_scale(cfg.get("routed_scaling_factor", 1.0))
        if cfg.get("score_function") == "sigmoid":
            w.add_expert_shared_feed_forward_length(cfg["moe_intermediate_size"] * cfg["num_shared_experts"])
            w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
            w.add_expert_group_count(cfg["n_group"])
            w.add_expert_group_used_count(cfg["topk_group"])
    if t == "granitemoehybrid":
        w.add_ssm_conv_kernel(cfg["mamba_d_conv"])
        w.add_ssm_state_size(cfg["mamba_d_state"])
        w.add_ssm_group_count(cfg["mamba_n_groups"])
        w.add_ssm_inner_size(cfg["mamba_n_heads"] * cfg["mamba_d_head"])
        w.add_ssm_time_step_rank(cfg["mamba_n_heads"])
        w.add_rope_scaling_finetuned(cfg.get("position_embedding_type") != "nope")
        w.add_expert_shared_feed_forward_length(cfg["shared_intermediate_size"])
    if t == "nemotron_h":
        w.add_ssm_conv_kernel(cfg["conv_kernel"])
        w.add_ssm_state_size(cfg["ssm_state_size"])
        w.add_ssm_group_count(cfg["n_groups"])
        w.add_ssm_inner_size(cfg["mamba_num_heads"] * cfg["mamba_head_dim"])
        w.add_ssm_time_step_rank(cfg["mamba_num_heads"])
        if experts:
            w.add_expert_shared_feed_forward_length(cfg["moe_shared_expert_intermediate_size"])
            w.add_expert_shared_count(cfg["n_shared_experts"])
            w.add_expert_weights_norm(cfg["norm_topk_prob"])
            w.add_expert_weights_scale(cfg["routed_scaling_factor"])
            w.add_expert_group_count(cfg["n_group"])
    if t.startswith("qwen3_next") or t.startswith("qwen3_5"):
        w.add_ssm_conv_kernel(cfg["linear_conv_kernel_dim"])
        w.add_ssm_state_size(cfg["linear_key_head_dim"])
        w.add_ssm_group_count(cfg["linear_num_key_heads"])
        w.add_ssm_time_step_rank(cfg["linear_num_value_heads"])
        w.add_ssm_inner_size(cfg["linear_value_head_dim"] * cfg["linear_num_value_heads"])
        w.add_full_attention_interval(cfg["full_attention_interval"])
    if t == "falcon_h1":
        w.add_ssm_conv_kernel(cfg.get("mamba_d_conv", 4))
        w.add_ssm_inner_size(cfg["mamba_d_ssm"])
        w.add_ssm_state_size(cfg["mamba_d_state"])
        w.add_ssm_time_step_rank(cfg["mamba_n_heads"])
        w.add_ssm_group_count(cfg["mamba_n_groups"])
    if t == "minicpm":
        w.add_embedding_scale(cfg["scale_emb"])
        w.add_residual_scale(cfg["scale_depth"] / cfg["num_hidden_layers"] ** 0.5)
        w.add_logit_scale(cfg["dim_model_base"] / cfg["hidden_size"])
    if t == "olmo3":
        w.add_sliding_window_pattern([(i + 1) % 4 != 0 for i in range(cfg["num_hidden_layers"])])
    if t == "lfm2_moe":
        w.add_leading_dense_block_count(cfg["num_dense_layers"])
        w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    if t in ("lfm2", "lfm2_moe"):
        w.add_shortconv_l_cache(cfg["conv_L_cache"])
    if t == "exaone4" and cfg["sliding_window_pattern"]:
        p = cfg["sliding_window_pattern"]
        w.add_sliding_window_pattern([p[i % len(p)] == "L" for i in range(cfg["num_hidden_layers"])])
    if t.startswith("granite"):
        w.add_attention_scale(cfg["attention_multiplier"])
        w.add_embedding_scale(cfg["embedding_multiplier"])
        w.add_residual_scale(cfg["residual_multiplier"])
        w.add_logit_scale(cfg["logits_scaling"])
    if t == "gpt_neox" or t == "stablelm":
        w.add_parallel_residual(cfg.get("use_parallel_residual", t == "gpt_neox"))


def rope_factors(cfg):
    """What llama.cpp keeps as a tensor: llama3's factors; gemma4's, infinite where the global layers do not turn."""
    if cfg["model_type"] == "gemma4_text":
        half = cfg["global_head_dim"] // 2
        turned = int(cfg["global_head_dim"] * 0.25 / 2)
        return np.array([1.0] * turned + [1e30] * (half - turned), dtype=np.float32)
    s = cfg.get("rope_scaling") or {}
    if s.get("rope_type") != "llama3":
        return None
    dim, base = head_dim(cfg), cfg["rope_theta"]
    wave = 2 * np.pi * base ** (np.arange(0, dim, 2) / dim)
    lo, hi = s["low_freq_factor"], s["high_freq_factor"]
    old = s["original_max_position_embeddings"]
    smooth = (old / wave - lo) / (hi - lo)
    mid = 1 / ((1 - smooth) / s["factor"] + smooth)
    return np.where(wave > old / lo, s["factor"], np.where(wave < old / hi, 1.0, mid)).astype(np.float32)


def value_heads(cfg, width):
    """Rows of value heads, grouped by key head, in the order that llama.cpp wants for qwen3.5: the heads of all groups in turn."""
    n_k, n_v = cfg["linear_num_key_heads"], cfg["linear_num_value_heads"]
    return np.arange(n_v * width).reshape(n_k, n_v // n_k, width).swapaxes(0, 1).reshape(-1)


def delta_order(k, cfg):
    """(axis, order) in which the converter writes rows or columns of a delta net's tensor; None: as they are."""
    n_k, n_v = cfg["linear_num_key_heads"], cfg["linear_num_value_heads"]
    kd, vd = cfg["linear_key_head_dim"], cfg["linear_value_head_dim"]
    name = k.split("linear_attn.")[-1]
    if name == "in_proj_qkvz.weight":  # [q, k, v, z] of each key head -> q, k, v, z of all
        r = n_v // n_k * vd
        groups = np.arange(n_k * (2 * kd + 2 * r)).reshape(n_k, -1)
        return 0, np.concatenate([groups[:, a:b].reshape(-1) for a, b in ((0, kd), (kd, 2 * kd), (2 * kd, 2 * kd + r), (2 * kd + r, None))])
    if not cfg["model_type"].startswith("qwen3_5"):
        return None
    if name in ("in_proj_qkv.weight", "conv1d.weight"):
        return 0, np.concatenate([np.arange(2 * n_k * kd), 2 * n_k * kd + value_heads(cfg, vd)])
    if name == "in_proj_z.weight":
        return 0, value_heads(cfg, vd)
    if name in ("in_proj_a.weight", "in_proj_b.weight", "A_log", "dt_bias"):
        return 0, value_heads(cfg, 1)
    return (1, value_heads(cfg, vd)) if name == "out_proj.weight" else None


def split_qkv(w, k, v, cfg, heads, kv, kind, back):
    """A fused q, k, v, grouped by key-value head in internlm2, as three tensors with q and k reordered; what they hold goes to `back`."""
    dim, order = head_dim(cfg), np.arange(v.shape[0])
    if "wqkv" in k:
        groups = order.reshape(kv, heads // kv + 2, dim)
        order = np.concatenate([groups[:, :-2].reshape(-1), groups[:, -2].reshape(-1), groups[:, -1].reshape(-1)])
    parts, n, values = v[order], heads * dim, []
    for name, rows, h in (("q", parts[:n], heads), ("k", parts[n:n + kv * dim], kv), ("v", parts[n + kv * dim:], None)):
        data, q, held = quantized(permute(rows, h) if h else rows, kind if v.ndim == 2 else "F32")
        w.add_tensor(f"blk.{k.split('.')[2]}.attn_{name}.{k.rsplit('.', 1)[1]}", data, raw_dtype=q)
        values.append(unpermute(held, h) if h else held)
    back.append((k, mx.array(np.ascontiguousarray(np.concatenate(values)[np.argsort(order)]))))


def gguf_name(tm, k, family):
    k = k.removeprefix("language_model.")
    if k.endswith("sinks"):
        k += ".weight"
    k = re.sub(r"\.dt_bias$", ".dt_proj.bias", k)
    lfm2 = re.match(r"model\.layers\.(\d+)\.feed_forward\.(switch_mlp\.\w+|gate\.weight|expert_bias)", k)
    if lfm2 and family == "lfm2_moe":
        return f"blk.{lfm2[1]}." + {"gate.weight": "ffn_gate_inp.weight", "expert_bias": "exp_probs_b.bias"}.get(
            lfm2[2], "ffn_" + lfm2[2].removeprefix("switch_mlp.").removesuffix("_proj") + "_exps.weight")
    own = re.match(r"model\.layers\.(\d+)\.(router\.scale|router\.per_expert_scale|experts\.switch_glu\.gate_up)", k)
    if own:
        return f"blk.{own[1]}." + {"router.scale": "ffn_gate_inp.scale", "router.per_expert_scale": "ffn_down_exps.scale"}.get(
            own[2], "ffn_gate_up_exps.weight")
    if k.endswith("layer_scalar"):
        k += ".weight"
    k = k.replace("experts.switch_glu.down_proj", "experts.down_proj")
    k = re.sub(r"e_score_correction_bias$", "e_score_correction.bias", k)
    mla = re.match(r"model\.layers\.(\d+)\.self_attn\.(embed_q|unembed_out)\.weight", k)
    if mla:
        return f"blk.{mla[1]}.attn_{'k' if mla[2] == 'embed_q' else 'v'}_b.weight"
    granite = re.match(r"model\.layers\.(\d+)\.block_sparse_moe\.switch_mlp\.(gate|up|down)_proj", k)
    if granite and family == "granitemoe":
        return f"blk.{granite[1]}.ffn_{granite[2]}_exps.weight"
    if family == "nemotron_h":
        k = re.sub(r"backbone\.layers\.(\d+)\.mixer\.switch_mlp\.fc1", r"model.layers.\1.mlp.experts.up_proj", k)
        k = re.sub(r"backbone\.layers\.(\d+)\.mixer\.switch_mlp\.fc2", r"model.layers.\1.mlp.experts.down_proj", k)
    if family == "bailing_moe":
        k = re.sub(r"gate\.expert_bias$", "gate.expert_bias.bias", k).replace("mlp.gate.gate_proj", "mlp.gate")
    k = re.sub(r"switch_mlp\.(\w+)_proj", r"experts.\1_proj", k)
    k = re.sub(r"block_sparse_moe\.experts\.gate_proj", "block_sparse_moe.experts.w1", k)
    k = re.sub(r"block_sparse_moe\.experts\.down_proj", "block_sparse_moe.experts.w2", k)
    k = re.sub(r"block_sparse_moe\.experts\.up_proj", "block_sparse_moe.experts.w3", k)
    for form in (k, "gpt_neox." + re.sub(r"^h\.", "layers.", k.removeprefix("model.")), "transformer." + k.removeprefix("model."),
                 k.removeprefix("model.")):
        name = tm.get_name(form, try_suffixes=(".weight", ".bias"))
        if name:
            return name
    raise KeyError(f"no GGUF name for {k}")


Q = gguf.GGMLQuantizationType
# where the half-precision numbers of a block are; others than these have one at the beginning
HALVES = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.Q4_K: [0, 2],
          Q.Q5_K: [0, 2], Q.Q6_K: [208], Q.TQ1_0: [52], Q.TQ2_0: [64], Q.MXFP4: [], Q.NVFP4: []}


def random_blocks(shape, t, std):
    """Blocks of a type that the package reads but does not write: random codes, with values of the spread that is asked for."""
    elems, size = gguf.GGML_QUANT_SIZES[t]
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, size=(*shape[:-1], shape[-1] // elems, size), dtype=np.uint8)
    numbers = rng.standard_normal((*raw.shape[:-1], 2))

    def put(factor):
        for i, at in enumerate(HALVES.get(t, [0])):
            raw[..., at:at + 2] = np.ascontiguousarray((numbers[..., i] * factor).astype(np.float16))[..., None].view(np.uint8)

    if t == Q.NVFP4:  # four scales of unsigned E4M3, small ones
        raw[..., :4] = rng.integers(0x04, 0x14, size=(*raw.shape[:-1], 4), dtype=np.uint8)
    put(1)
    put(std / dequantize(raw.reshape(*shape[:-1], -1), t).std())
    return raw.reshape(*shape[:-1], -1)


def quantized(v, kind, norm=False):
    """(bytes to write, type, the float values they stand for); vectors and rows that do not divide stay float32."""
    if kind == "F32" or v.ndim < 2 or norm or v.shape[-1] % gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0]:
        return v, None, v
    q = gguf.GGMLQuantizationType[kind]
    try:
        data = gguf_quantize(v, q)
    except NotImplementedError:
        data = random_blocks(v.shape, q, v.std())
    return data, q, dequantize(data, q).reshape(v.shape)


def write_gguf(model, cfg, path, kind):
    cfg = {**cfg, **cfg.get("text_config", {}), "model_type": cfg["model_type"]}
    t = cfg["model_type"]
    arch = cfg.get("gguf_arch") or GGUF_ARCH[t]
    permuted = t in GGUF_PERMUTED or cfg.get("gguf_permuted")
    w = gguf.GGUFWriter(str(path), arch)
    write_keys(w, cfg)
    number = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == arch)
    layers = layers_of(cfg)
    tm = gguf.get_tensor_name_map(number, layers)
    heads = cfg.get("num_attention_heads") or cfg.get("n_head") or 0
    kv = cfg.get("num_key_value_heads") or heads
    factors = rope_factors(cfg)
    if factors is not None:
        w.add_tensor("rope_freqs.weight", factors)
    back = []
    stacks, fused, halves, numbers = {}, {}, {}, {}
    for k, v in tree_flatten(model.parameters()):
        v = np.array(v.astype(mx.float32))
        if "act_fn." in k:  # keys, not tensors
            numbers.setdefault(k.rsplit(".", 1)[1], []).append(float(v))
            continue
        norms = re.match(r"(.*[qk]_layernorm)\.norms\.(\d+)\.weight", k)
        if norms:
            stacks.setdefault(norms[1] + ".weight", []).append(v)
            back.append((k, mx.array(v)))
            continue
        undo = lambda x: x
        if cfg.get("gguf_unsplit") and k.endswith(("embed_q.weight", "unembed_out.weight")):
            halves.setdefault(k.rsplit(".", 2)[0], {})[k.split(".")[-2]] = v
            continue
        if "switch_glu.gate_proj" in k or "switch_glu.up_proj" in k:  # one tensor for both
            data, q, values = quantized(v, kind)
            fused.setdefault(k.replace("gate_proj", "gate_up").replace("up_proj", "gate_up"), {})["up" in k] = (data, q)
            back.append((k, mx.array(values)))
            continue
        if permuted and re.search(r"self_attn\.[qk]_proj\.", k):
            n = heads if "q_proj" in k else kv
            v, undo = permute(v, n), lambda x, n=n: unpermute(x, n)
        if "query_key_value" in k and t == "gpt_neox":
            v, undo = neox_to_qkv(v, heads), lambda x: qkv_to_neox(x, heads)
        if (t.startswith("gemma") and not t.startswith("gemma4") and "norm" in k) or t == "nemotron" and "norm" in k and v.ndim == 1 \
                and k.endswith("weight"):
            v, undo = v + 1, lambda x: x - 1
        if t in ("mamba", "mamba2", "lfm2", "lfm2_moe", "falcon_h1", "qwen3_next", "qwen3_5", "qwen3_5_moe", "granitemoehybrid", "nemotron_h") and "conv" in k and v.ndim == 3:
            v, undo = v[:, :, 0], lambda x: x[:, :, None]
        order = delta_order(k, cfg) if "linear_attn" in k and not cfg.get("gguf_grouped") else None
        if order:
            v, before, axis, back_order = v.take(order[1], order[0]), undo, order[0], np.argsort(order[1])
            undo = lambda x, f=before, a=axis, o=back_order: f(x.take(o, a))
        if k.endswith("A_log"):
            v, before = -np.exp(v), undo
            undo = lambda x, f=before: f(np.log(-x))
        router = re.search(r"(mlp|block_sparse_moe)\.gate\.weight$|shared_expert_gate|router", k)
        plain = router or "sinks" in k or "conv" in k and v.shape[-1] < 32 or k.endswith(("A_log", ".bias"))
        data, q, values = quantized(v, "F32" if plain else kind, "norm" in k)
        if permuted and re.search(r"wqkv|query_key_value", k):  # three tensors, q and k reordered
            split_qkv(w, k, v, cfg, heads, kv, kind, back)
            continue
        if k.endswith("in_proj_qkvz.weight") and order:  # two tensors
            n = 2 * cfg["linear_num_key_heads"] * cfg["linear_key_head_dim"] + cfg["linear_num_value_heads"] * cfg["linear_value_head_dim"]
            for part, rows in (("attn_qkv", data[:n]), ("attn_gate", data[n:])):
                w.add_tensor(f"blk.{k.split('.')[2]}.{part}.weight", np.ascontiguousarray(rows), raw_dtype=q)
            back.append((k, mx.array(np.ascontiguousarray(undo(values)))))
            continue
        if "shared_mlp.input_linear" in k:
            for part, rows in (("gate", data[:len(v) // 2]), ("up", data[len(v) // 2:])):
                w.add_tensor(f"blk.{k.split('.')[2]}.ffn_{part}_shexp.weight", np.ascontiguousarray(rows), raw_dtype=q)
            back.append((k, mx.array(values)))
            continue
        name = gguf_name(tm, k, t)
        if name.endswith("ffn_gate_inp_shexp.weight"):
            data = data.reshape(-1)
        w.add_tensor(name, data, raw_dtype=q)
        back.append((k, mx.array(np.ascontiguousarray(undo(values)))))
    for k, v in halves.items():
        both = np.concatenate([v["embed_q"].swapaxes(1, 2), v["unembed_out"]], axis=1)
        data, q, values = quantized(both.reshape(-1, both.shape[-1]), kind)
        values, nope = values.reshape(both.shape), cfg["qk_nope_head_dim"]
        w.add_tensor("blk.%s.attn_kv_b.weight" % k.split(".")[2], data, raw_dtype=q)
        back.append((k + ".embed_q.weight", mx.array(np.ascontiguousarray(values[:, :nope].swapaxes(1, 2)))))
        back.append((k + ".unembed_out.weight", mx.array(np.ascontiguousarray(values[:, nope:]))))
    for k, v in fused.items():
        w.add_tensor(gguf_name(tm, k, t), np.concatenate([v[False][0], v[True][0]], axis=1), raw_dtype=v[False][1])
    for k, v in stacks.items():
        w.add_tensor(gguf_name(tm, k, t), np.stack(v))
    if numbers:
        w.add_xielu_alpha_p(numbers["alpha_p"])
        w.add_xielu_alpha_n(numbers["alpha_n"])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    model.update(tree_unflatten(back))
    mx.eval(model.parameters())
    return model
