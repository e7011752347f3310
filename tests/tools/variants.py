"""Random configurations of every family, within what mlx-lm reads of them: draw(family, seed) -> (config, layout, quant).

A family is a list of knobs. A knob changes the configuration in place with the generator it is given; the base is the
family's first entry in model_cases. The same seed draws the same variant."""
import json
import random

from model_cases import CASES

QUANTS = ["4bit", "8bit", "3:64", "6:32", "5:32", "2:64", "4:32", "4:128", "4:32:mxfp4", "4:16:nvfp4", "8:32:mxfp8"]


def divisor(rng, n):
    return rng.choice([d for d in range(1, n + 1) if n % d == 0])


def heads(c, rng, sizes=(64, 80, 96, 128, 256)):
    """head_dim of its own; the hidden size need not be a multiple of anything."""
    c["num_attention_heads"] = n = rng.randint(1, 6)
    c["num_key_value_heads"] = divisor(rng, n)
    c["head_dim"] = rng.choice(sizes)
    c["hidden_size"] = rng.choice([64, 96, 128, 160, 224])


def split(c, rng, sizes=(32, 64, 80, 96, 128, 256)):
    """The head size is hidden_size / num_attention_heads."""
    size = rng.choice(sizes)
    c["num_attention_heads"] = n = rng.randint(1, 2 if size > 128 else 4)
    c["num_key_value_heads"] = divisor(rng, n)
    c["hidden_size"] = n * size


def head_split(c, rng):
    """The same, said twice."""
    split(c, rng)
    c["head_dim"] = c["hidden_size"] // c["num_attention_heads"]


def either(c, rng):
    (heads if rng.random() < 0.6 else split)(c, rng)


def all_heads(c, rng):
    split(c, rng)
    c["num_key_value_heads"] = c["num_attention_heads"]


def common(c, rng):
    c["vocab_size"] = rng.choice([rng.randint(64, 700), 2 * rng.randint(32, 400) + 1, 256, 320])
    c["num_hidden_layers"] = rng.randint(1, 5)
    c["intermediate_size"] = rng.choice([64, 96, 160, 192, 256, 320, 448])
    for key in ("rms_norm_eps", "layer_norm_eps", "norm_epsilon", "norm_eps", "layer_norm_epsilon"):
        if key in c:
            c[key] = rng.choice([1e-5, 1e-6, 1e-3])
    if "rope_theta" in c:
        c["rope_theta"] = rng.choice([1e4, 5e5, 1e6, 123456.0])


def flag(name, p=0.5):
    def knob(c, rng):
        c[name] = rng.random() < p
    return knob


def one_of(name, *values):
    def knob(c, rng):
        c[name] = rng.choice(values)
    return knob


def between(name, lo, hi):
    def knob(c, rng):
        c[name] = round(rng.uniform(lo, hi), 4)
    return knob


def maybe(p, *knobs):
    def knob(c, rng):
        if rng.random() < p:
            for k in knobs:
                k(c, rng)
    return knob


tied = flag("tie_word_embeddings")


def scaling(rng, kind):
    original = rng.choice([16, 64, 100, 4096])
    if kind == "linear" or kind == "dynamic":
        return {"factor": rng.choice([1.5, 2.0, 8.0])}
    if kind == "llama3":
        return {"factor": rng.choice([2.0, 8.0, 32.0]), "low_freq_factor": rng.choice([1.0, 1.5]),
                "high_freq_factor": rng.choice([2.0, 4.0]), "original_max_position_embeddings": original}
    if kind == "yarn":
        s = {"factor": rng.choice([1.5, 4.0, 40.0]), "original_max_position_embeddings": original}
        if rng.random() < 0.6:
            s.update(beta_fast=rng.choice([16, 32]), beta_slow=rng.choice([1, 2]))
        if rng.random() < 0.4:
            s.update(mscale=rng.choice([0.707, 1.0]), mscale_all_dim=rng.choice([0.0, 0.707, 1.0]))
        return s
    return {}


def rope(*kinds):
    """rope_scaling under either of its names."""
    def knob(c, rng):
        kind = rng.choice([None, *kinds])
        c["rope_scaling"] = {rng.choice(["type", "rope_type"]): kind, **scaling(rng, kind)} if kind else None
    return knob


def rope_typed(*kinds):
    def knob(c, rng):
        kind = rng.choice([None, *kinds])
        c["rope_scaling"] = {"rope_type": kind, **scaling(rng, kind)} if kind else None
    return knob


def alpha(c, rng):
    c["rope_scaling"] = rng.choice([None, {"type": "dynamic", "factor": 1.0, "alpha": rng.choice([1.0, 50.0, 1000.0])}])


def numbered_layers(c, rng):
    c["num_layers"] = c.pop("num_hidden_layers")


every_rope = rope("default", "linear", "dynamic", "llama3", "yarn")


def typed_windows(c, rng):
    """Both kinds at least once: mlx-lm looks for the first of each."""
    kinds = ["full_attention", "sliding_attention"] + [rng.choice(["full_attention", "sliding_attention"]) for _ in range(rng.randint(0, 3))]
    rng.shuffle(kinds)
    c["layer_types"], c["num_hidden_layers"] = kinds, len(kinds)
    c["sliding_window"] = rng.choice([3, 8, 16, 33])


def four_layers(c, rng):
    c["num_hidden_layers"] = rng.randint(4, 6)


window = one_of("sliding_window", 3, 8, 16, 33)


def pattern(lo=2):
    def knob(c, rng):
        c["sliding_window_pattern"] = p = rng.randint(lo, 4)
        c["num_hidden_layers"] = max(p, c["num_hidden_layers"])
        window(c, rng)
    return knob


def experts(key="num_experts", per="num_experts_per_tok", most=9):
    def knob(c, rng):
        c[key] = n = rng.randint(2, most)
        c[per] = rng.randint(1, n)
        if "moe_intermediate_size" in c:
            c["moe_intermediate_size"] = rng.choice([32, 64, 96, 128])
    return knob


def partial(c, rng):
    c["partial_rotary_factor"] = rng.choice([0.25, 0.5, 0.75, 1.0])


def groups(c, rng):
    """n_group groups of experts, of which topk_group may be chosen from."""
    g = rng.choice([1, 1, 2, 4])
    size = rng.randint(2, 4)
    c["n_routed_experts"], c["n_group"] = g * size, g
    c["topk_group"] = t = rng.randint(1, g)
    c["num_experts_per_tok"] = rng.randint(1, t * size)
    c["moe_intermediate_size"] = rng.choice([32, 64, 96])
    c["n_shared_experts"] = rng.randint(1, 2)
    c["first_k_dense_replace"] = rng.randint(0, c["num_hidden_layers"])
    c["routed_scaling_factor"] = rng.choice([1.0, 1.5, 2.5])


def latent(c, rng):
    c["hidden_size"] = rng.choice([64, 96, 128, 160])
    c["num_attention_heads"] = c["num_key_value_heads"] = rng.randint(1, 5)
    c["kv_lora_rank"] = rng.choice([32, 64, 96])
    c["q_lora_rank"] = rng.choice([None, 32, 48, 64])
    c["qk_nope_head_dim"] = rng.choice([32, 48, 64, 128])
    c["qk_rope_head_dim"] = rng.choice([16, 32, 64])
    c["v_head_dim"] = rng.choice([32, 48, 64, 128])


def deep_rope(c, rng):
    kind = rng.choice([None, "yarn"])
    if not kind and c["model_type"] == "deepseek_v3":
        c["rope_scaling"] = None
        return
    m = rng.choice([0.707, 1.0])
    c["rope_scaling"] = {"type": "yarn", "factor": rng.choice([4.0, 40.0]), "original_max_position_embeddings": rng.choice([64, 4096]),
                         "beta_fast": 32, "beta_slow": 1, "mscale": m, "mscale_all_dim": rng.choice([m, 1.0])}


def exaone(c, rng):
    if rng.random() < 0.4:
        c["sliding_window"] = c["sliding_window_pattern"] = None
    else:
        window(c, rng)
        c["sliding_window_pattern"] = p = rng.choice(["LG", "LLG", "LLLG", "GL", "LGL"])
        c["num_hidden_layers"] = max(len(p), c["num_hidden_layers"])


def ministral(c, rng):
    s = c["rope_parameters"]
    s["factor"] = rng.choice([2.0, 16.0])
    s["llama_4_scaling_beta"] = rng.choice([0.0, 0.1, 0.4])
    s["original_max_position_embeddings"] = rng.choice([5, 16, 64])
    s["rope_theta"] = rng.choice([1e4, 1e6])
    if rng.random() < 0.4:
        typed_windows(c, rng)


def longrope(c, rng):
    kind = rng.choice([None, "longrope", "su", "linear"])
    dims = int(c["hidden_size"] // c["num_attention_heads"] * c.get("partial_rotary_factor", 1.0))
    c["original_max_position_embeddings"] = rng.choice([64, 128, 256])
    c["rope_scaling"] = None
    if kind == "linear":
        c["rope_scaling"] = {"type": "linear", "factor": 3.0, "long_factor": [1.0]}
    elif kind:
        c["rope_scaling"] = {"type": kind, "short_factor": [1.0] * (dims // 2),
                             "long_factor": [round(rng.uniform(1, 8), 3) for _ in range(dims // 2)]}


def lfm2(c, rng):
    n = c["num_hidden_layers"]
    n = c["num_hidden_layers"] = max(n, 2)
    idx = sorted(rng.sample(range(n), rng.randint(1, n - 1)))
    c["conv_L_cache"] = rng.randint(2, 5)
    if rng.random() < 0.5:
        del c["full_attn_idxs"]
        c["layer_types"] = ["full_attention" if i in idx else "conv" for i in range(n)]
    else:
        c["full_attn_idxs"] = idx
    if "block_dim" in c:
        c["block_dim"] = c["hidden_size"]
        c["block_ff_dim"] = rng.choice([96, 160, 256])
        c["block_auto_adjust_ff_dim"] = rng.random() < 0.5
        c["block_multiple_of"] = rng.choice([16, 32, 64])
        c["block_ffn_dim_multiplier"] = rng.choice([1.0, 1.3])
        c.pop("intermediate_size", None)
    else:
        c["num_dense_layers"] = rng.randint(0, n)


def mamba(c, rng):
    c["hidden_size"] = rng.choice([64, 96, 128])
    c["intermediate_size"] = rng.choice([64, 96, 256])
    c["state_size"] = rng.choice([4, 8, 16])
    c["conv_kernel"] = rng.randint(2, 5)
    c["time_step_rank"] = rng.choice(["auto", 4, 7])
    if c["model_type"] == "mamba":
        c["use_bcdt_rms"] = rng.random() < 0.3


def mamba2(c, rng):
    c["n_groups"] = g = rng.choice([1, 2, 4])
    c["num_heads"] = g * rng.randint(1, 3)
    c["head_dim"] = rng.choice([16, 32, 64])
    c["hidden_size"] = rng.choice([64, 96, 128])
    c["intermediate_size"] = c["num_heads"] * c["head_dim"]
    c["state_size"] = c["ssm_state_size"] = rng.choice([8, 16, 32])
    c["conv_kernel"] = rng.randint(2, 5)
    c["time_step_limit"] = rng.choice([[0.0, 100.0], [0.01, 0.2]])


def falcon_h1(c, rng):
    c["mamba_n_groups"] = g = rng.choice([1, 2])
    c["mamba_n_heads"] = g * rng.randint(1, 3)
    c["mamba_d_head"] = rng.choice([16, 32])
    c["mamba_d_ssm"] = c["mamba_n_heads"] * c["mamba_d_head"]
    c["mamba_d_state"] = rng.choice([8, 16, 32])
    c["mamba_d_conv"] = rng.randint(2, 5)
    for key in ("mamba_rms_norm", "mamba_norm_before_gate", "mamba_conv_bias", "mamba_proj_bias", "attention_bias", "mlp_bias"):
        c[key] = rng.random() < 0.4


def factors(c, rng):
    for key in ("attention_in_multiplier", "ssm_out_multiplier"):
        c[key] = round(rng.uniform(0.4, 1.6), 4)
    c["mlp_multipliers"] = [round(rng.uniform(0.4, 1.6), 4) for _ in range(2)]
    c["ssm_multipliers"] = [round(rng.uniform(0.4, 1.6), 4) for _ in range(5)]


def delta(c, rng):
    k = rng.randint(1, 3)
    c["linear_num_key_heads"], c["linear_num_value_heads"] = k, k * rng.randint(1, 3)
    c["linear_key_head_dim"] = rng.choice([32, 64, 96])
    c["linear_value_head_dim"] = rng.choice([32, 48, 64])
    c["linear_conv_kernel_dim"] = rng.randint(2, 4)
    c["full_attention_interval"] = every = rng.randint(2, 4)
    c["num_hidden_layers"] = max(every, c["num_hidden_layers"])
    c["shared_expert_intermediate_size"] = rng.choice([32, 64])


def gemma4(c, rng):
    n = c["num_hidden_layers"] = rng.randint(3, 7)
    c["num_attention_heads"] = h = rng.choice([2, 4])
    c["num_key_value_heads"] = divisor(rng, h)
    c["hidden_size"] = rng.choice([64, 96, 128])
    c["head_dim"] = rng.choice([32, 48, 64])
    c["global_head_dim"] = rng.choice([64, 96, 128])
    window(c, rng)
    c["sliding_window_pattern"] = rng.randint(2, 3)
    c["attention_k_eq_v"] = rng.random() < 0.4
    c["num_global_key_value_heads"] = divisor(rng, h) if c["attention_k_eq_v"] else None
    c["num_kv_shared_layers"] = rng.randint(0, n - c["sliding_window_pattern"])
    c["use_double_wide_mlp"] = rng.random() < 0.5
    if rng.random() < 0.5:
        c["hidden_size_per_layer_input"] = rng.choice([16, 32, 64])
        c["vocab_size_per_layer_input"] = c["vocab_size"]
    if rng.random() < 0.3:
        c.update(enable_moe_block=True, num_experts=rng.randint(2, 8), moe_intermediate_size=rng.choice([32, 64]))
        c["top_k_experts"] = rng.randint(1, c["num_experts"])


def neox(c, rng):
    all_heads(c, rng)
    c["intermediate_size"] = 4 * c["hidden_size"]
    del c["num_key_value_heads"]
    c["rotary_pct"] = rng.choice([0.25, 0.5, 1.0])
    c["rotary_emb_base"] = rng.choice([10000, 50000])
    c["use_parallel_residual"] = rng.random() < 0.5


def gpt2(c, rng):
    c["n_layer"] = rng.randint(1, 4)
    c["n_head"] = rng.randint(1, 4)
    c["n_embd"] = c["n_head"] * rng.choice([32, 64, 80, 96])
    c["n_ctx"] = c["n_positions"] = rng.choice([128, 200])
    c["vocab_size"] = rng.randint(64, 700)


def ernie_moe(c, rng):
    n = c["num_hidden_layers"]
    c["moe_num_experts"] = e = rng.randint(2, 9)
    c["moe_k"] = rng.randint(1, e)
    c["moe_intermediate_size"] = rng.choice([0, 32, 64, 96])
    c["moe_num_shared_experts"] = rng.randint(0, 2)
    c["moe_layer_start_index"], c["moe_layer_interval"] = rng.randint(0, n), rng.randint(1, 2)
    c["moe_layer_end_index"] = rng.choice([None, n - 1])
    c["moe_gate_act"] = rng.choice(["softmax", "sigmoid"])


def bailing(c, rng):
    c["num_experts_per_tok"] = max(2, c["num_experts_per_tok"])  # with one, MLX's own partition reads out of bounds here
    c["num_experts"], c["num_shared_experts"] = c.pop("n_routed_experts"), rng.randint(0, 1) * c.pop("n_shared_experts")
    c["moe_shared_expert_intermediate_size"] = rng.choice([None, 32, 96])
    c["score_function"] = rng.choice(["softmax", "sigmoid"])
    c["moe_router_enable_expert_bias"] = c["score_function"] == "sigmoid"
    c["rotary_dim"] = rng.choice([None, 16, 32])


def granite_hybrid(c, rng):
    n = c["num_hidden_layers"]
    c["layer_types"] = [rng.choice(["mamba", "attention"]) for _ in range(n)]
    c["mamba_n_groups"] = g = rng.choice([1, 2])
    c["mamba_n_heads"] = g * rng.randint(1, 3)
    c["mamba_d_head"] = rng.choice([16, 32])
    c["mamba_d_state"] = rng.choice([8, 16, 32])
    c["mamba_d_conv"] = rng.randint(2, 4)
    c["mamba_proj_bias"], c["mamba_conv_bias"] = rng.random() < 0.3, rng.random() < 0.7
    c["position_embedding_type"] = rng.choice(["rope", "nope"])
    if rng.random() < 0.5:
        experts("num_local_experts")(c, rng)
        c["shared_intermediate_size"] = rng.choice([32, 64, 160])
    else:
        c["num_local_experts"] = c["num_experts_per_tok"] = 0
        c["shared_intermediate_size"] = c["intermediate_size"]


def nemotron_h(c, rng):
    pattern = [rng.choice("M*-E") for _ in range(rng.randint(2, 6))] + ["M", "*"]
    rng.shuffle(pattern)
    c["hybrid_override_pattern"], c["num_hidden_layers"] = pattern, len(pattern)
    c["n_groups"] = g = rng.choice([1, 2, 4])
    c["mamba_num_heads"] = g * rng.randint(1, 3)
    c["mamba_head_dim"] = rng.choice([16, 32])
    c["ssm_state_size"] = rng.choice([8, 16, 32])
    c["conv_kernel"] = rng.randint(2, 4)
    for key in ("attention_bias", "mamba_proj_bias", "mlp_bias", "use_conv_bias"):
        c[key] = rng.random() < 0.3
    routed = c["n_routed_experts"] = rng.choice([4, 8])
    c["n_group"] = rng.choice([1, 2])
    c["topk_group"] = rng.randint(1, c["n_group"])
    c["num_experts_per_tok"] = rng.randint(1, routed // c["n_group"])
    c["moe_intermediate_size"], c["moe_shared_expert_intermediate_size"] = rng.choice([32, 64]), rng.choice([32, 96])
    c["norm_topk_prob"] = rng.random() < 0.5


def linear_or_dynamic(c, rng):
    c["rope_scaling"] = rng.choice([None, {"type": "linear", "factor": 3.0}, {"type": "dynamic", "factor": 2.0}])


def phimoe_rope(c, rng):
    half = c["hidden_size"] // c["num_attention_heads"] // 2
    c["original_max_position_embeddings"] = rng.choice([64, 128, 256])
    c["rope_scaling"] = rng.choice([None, {"type": "longrope", "short_factor": [1.0] * half, "short_mscale": 1.1, "long_mscale": rng.choice([1.0, 1.3]),
                                           "long_factor": [round(rng.uniform(1, 8), 3) for _ in range(half)]}])


def llama4(c, rng):
    heads(c, rng)
    c["num_hidden_layers"] = rng.randint(4, 6)
    c["attention_chunk_size"], c["floor_scale"] = rng.choice([3, 8, 16, 33]), rng.choice([2, 8, 8192])
    c["attn_scale"], c["attn_temperature_tuning"] = rng.choice([0.1, 0.4]), rng.choice([0, 4])
    c["interleave_moe_layer_step"] = rng.randint(1, 3)
    c["num_local_experts"] = rng.randint(2, 6)
    c["intermediate_size"], c["intermediate_size_mlp"] = rng.choice([64, 96]), rng.choice([96, 192])
    c["use_qk_norm"], c["attention_bias"] = rng.random() < 0.6, rng.random() < 0.2
    every_rope(c, rng)


GRANITE = [between("logits_scaling", 0.5, 16), between("attention_multiplier", 0.02, 0.3), between("embedding_multiplier", 0.5, 12),
           between("residual_multiplier", 0.1, 1)]
FAMILIES = {
    "llama": [common, either, tied, every_rope, flag("attention_bias"), flag("mlp_bias"), flag("rope_traditional", 0.2), maybe(0.3, typed_windows)],
    "mistral": [common, either, tied, every_rope, maybe(0.3, typed_windows)],
    "smollm3": [common, either, tied, every_rope, flag("attention_bias", 0.2), one_of("no_rope_layer_interval", 2, 3, 4)],
    "ministral3": [common, either, tied, ministral],
    "qwen2": [common, split, tied, every_rope, flag("rope_traditional", 0.1)],
    "qwen3": [common, heads, tied, every_rope],
    "gemma": [common, heads, flag("rope_traditional", 0.1)],
    "gemma2": [common, heads, between("query_pre_attn_scalar", 16, 256), between("attn_logit_softcapping", 10, 60),
               between("final_logit_softcapping", 5, 60)],
    "gemma3_text": [common, heads, pattern(1), between("query_pre_attn_scalar", 16, 256), one_of("rope_local_base_freq", 1e4, 3e4),
                    rope("default", "linear")],
    "gemma4_text": [common, gemma4, tied],
    "phi": [common, split, partial],
    "phi3": [common, split, tied, one_of("partial_rotary_factor", 0.5, 0.75, 1.0), longrope],
    "gpt2": [gpt2],
    "gpt_neox": [common, neox],
    "stablelm": [common, split, partial, flag("use_qkv_bias"), flag("use_parallel_residual"), flag("qk_layernorm")],
    "starcoder2": [common, split, tied],
    "olmo2": [common, either, tied, every_rope, flag("attention_bias", 0.3), flag("mlp_bias", 0.3)],
    "olmo3": [common, either, tied, rope("yarn", "linear", "llama3"), four_layers, window, maybe(0.5, typed_windows)],
    "cohere": [common, split, flag("attention_bias"), flag("layer_norm_bias"), flag("use_qk_norm"), between("logit_scale", 0.05, 2)],
    "cohere2": [common, head_split, flag("attention_bias"), flag("layer_norm_bias"), pattern(1), between("logit_scale", 0.05, 2)],
    "glm4": [common, heads, partial, flag("attention_bias"), flag("rope_traditional", 0.8)],
    "granite": [common, split, tied, *GRANITE, flag("attention_bias"), flag("mlp_bias"), every_rope],
    "exaone4": [common, heads, tied, exaone, every_rope],
    "helium": [common, head_split, tied, flag("attention_bias"), flag("mlp_bias")],
    "seed_oss": [common, heads, tied, every_rope, flag("attention_bias"), flag("attention_out_bias"), flag("mlp_bias")],
    "ernie4_5": [common, heads, tied, flag("use_bias")],
    "mimo": [common, split, tied, every_rope],
    "internlm3": [common, split, tied, flag("qkv_bias"), flag("bias"), rope_typed("linear", "dynamic")],
    "exaone": [common, numbered_layers, split, tied, every_rope, flag("attention_bias"), flag("mlp_bias")],
    "hunyuan_v1_dense": [common, heads, tied, flag("attention_bias"), flag("use_qk_norm"), alpha],
    "nemotron": [common, either, tied, partial, flag("attention_bias"), flag("mlp_bias")],
    "minicpm": [common, split, tied, every_rope, between("scale_emb", 1, 12), between("scale_depth", 0.5, 2), one_of("dim_model_base", 32, 64, 256)],
    "gpt_bigcode": [gpt2, flag("multi_query", 0.7), flag("attention_bias", 0.7), flag("mlp_bias", 0.7), tied, one_of("n_inner", 96, 256)],
    "dots1": [common, either, tied, groups, flag("norm_topk_prob"), every_rope],
    "glm4_moe_lite": [common, latent, groups, deep_rope, flag("norm_topk_prob"), flag("attention_bias", 0.3)],
    "mixtral": [common, split, tied, experts("num_local_experts")],
    "qwen2_moe": [common, split, experts(), one_of("shared_expert_intermediate_size", 32, 96, 160)],
    "qwen3_moe": [common, heads, tied, experts(), flag("norm_topk_prob"), one_of("decoder_sparse_step", 1, 2), one_of("mlp_only_layers", [], [0]),
                  every_rope],
    "olmoe": [common, either, tied, experts(), flag("norm_topk_prob"), every_rope],
    "granitemoe": [common, split, tied, experts("num_local_experts"), *GRANITE, flag("attention_bias")],
    "glm4_moe": [common, heads, tied, groups, partial, flag("use_qk_norm"), flag("attention_bias"), flag("norm_topk_prob"), every_rope],
    "gpt_oss": [common, heads, one_of("num_hidden_layers", 2, 4), experts("num_local_experts"), window, rope("yarn", "linear"), maybe(0.4, typed_windows)],
    "deepseek_v2": [common, latent, groups, deep_rope, one_of("topk_method", "greedy", "group_limited_greedy"), flag("attention_bias", 0.3)],
    "deepseek_v3": [common, latent, groups, deep_rope, flag("norm_topk_prob"), flag("attention_bias", 0.3)],
    "lfm2": [common, split, flag("conv_bias"), lfm2],
    "lfm2_moe": [common, split, flag("conv_bias"), experts(), flag("norm_topk_prob"), flag("use_expert_bias"), lfm2],
    "mamba": [common, mamba, tied, flag("use_bias"), flag("use_conv_bias")],
    "falcon_mamba": [common, mamba, tied, flag("use_bias"), flag("use_conv_bias")],
    "mamba2": [common, mamba2, tied, flag("use_bias"), flag("use_conv_bias")],
    "falcon_h1": [common, heads, tied, falcon_h1, factors, between("lm_head_multiplier", 0.05, 2), between("embedding_multiplier", 0.5, 6),
                  between("key_multiplier", 0.2, 1.5), between("ssm_in_multiplier", 0.5, 1.5), between("attention_out_multiplier", 0.5, 1.5)],
    "qwen3_next": [common, heads, tied, experts(), delta, partial, flag("norm_topk_prob"), flag("attention_bias", 0.3),
                   one_of("decoder_sparse_step", 1, 2)],
    "ernie4_5_moe": [common, heads, tied, flag("use_bias", 0.3), ernie_moe],
    "minimax": [common, heads, tied, experts("num_local_experts"), one_of("rotary_dim", 16, 32, 64), flag("use_qk_norm", 0.7)],
    "bailing_moe": [common, split, tied, groups, bailing, partial, flag("use_qk_norm"), flag("norm_topk_prob"), flag("use_qkv_bias", 0.3),
                    flag("use_bias", 0.2), every_rope],
    "granitemoehybrid": [common, split, tied, *GRANITE, flag("attention_bias", 0.3), granite_hybrid],
    "nemotron_h": [common, heads, nemotron_h],
    "glm": [common, heads, tied, flag("attention_bias")],
    "phimoe": [common, split, experts("num_local_experts"), one_of("router_jitter_noise", 0.01, 0.1, 0.5), phimoe_rope],
    "apertus": [common, split, tied, every_rope, flag("mlp_bias", 0.2)],
    "llama4": [common, llama4],
    "internlm2": [common, split, tied, flag("bias"), linear_or_dynamic],
    "qwen3_5": [common, heads, tied, delta, maybe(0.4, experts(), one_of("moe_intermediate_size", 32, 64, 96))],
}
# Products of bfloat16 activations with these modes are rounded in the reference: it embeds in bfloat16 and
# scales that, or multiplies with it before the first norm.
NO_FLOAT_MODES = {"olmo2", "olmo3", "exaone4", "ministral3", "gemma", "gemma2", "gemma3_text", "gemma4_text", "granite", "granitemoe",
                  "gpt2", "gpt_bigcode", "minicpm", "granitemoehybrid"}
# mlx-lm quantizes some of their matrices in groups of 64, whatever the rest has.
GROUPS_OF_64 = {"granite", "granitemoe", "qwen3_moe", "qwen2_moe", "gpt_oss", "qwen3_next", "gemma4_text", "granitemoehybrid",
                "minimax", "bailing_moe", "qwen3_5"}
# Tied heads of these read the embedding's weight as floats.
TIED_FLOAT = {"seed_oss", "minicpm"}


def base_of(family):
    return next(c for c in CASES.values() if c["model_type"] == family)


def draw(family, seed):
    rng = random.Random(f"{family}/{seed}")
    config = json.loads(json.dumps(base_of(family)))
    inner = config.get("text_config", config)
    for knob in FAMILIES[family]:
        knob(inner, rng)
    config["vocab_size"] = inner["vocab_size"]
    layout, quant = rng.choices([("mlx", "f32"), ("mlx", None), ("hf", "f32")], [4, 4, 2])[0]
    if family in GROUPS_OF_64 and inner["hidden_size"] % 64:
        quant = "f32"
    if family in TIED_FLOAT and inner["tie_word_embeddings"]:
        quant = "f32"
    quants = [q for q in QUANTS if family not in NO_FLOAT_MODES or not q.endswith(("mxfp4", "nvfp4", "mxfp8"))]
    return config, layout, quant or rng.choice(quants), rng.randint(1, 70)
