"""Configurations of small random models, one or more for each architecture: the smallest that still use what the
family has (head sizes that are no powers of two, odd vocabularies, windows shorter than the prompts, scaled ropes)."""

COMMON = {"hidden_size": 128, "num_hidden_layers": 2, "intermediate_size": 256, "num_attention_heads": 4,
          "rms_norm_eps": 1e-5, "vocab_size": 517, "num_key_value_heads": 2, "max_position_embeddings": 512,
          "rope_theta": 10000.0, "tie_word_embeddings": False}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1}


def c(model_type, drop=(), **kw):
    out = {"model_type": model_type, **{k: v for k, v in COMMON.items() if k not in drop}}
    out.update(kw)
    return out


MOE = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
GRANITE = {"logits_scaling": 4.0, "attention_multiplier": 0.15, "embedding_multiplier": 6.0, "residual_multiplier": 0.4,
           "attention_bias": False, "mlp_bias": False}
GLM_MOE = {"moe_intermediate_size": 128, "norm_topk_prob": True, "n_group": 1, "topk_group": 1, "n_shared_experts": 1,
           "n_routed_experts": 8, "routed_scaling_factor": 1.5, "num_experts_per_tok": 2, "first_k_dense_replace": 1,
           "rope_scaling": None, "use_qk_norm": True, "attention_bias": True, "partial_rotary_factor": 0.5,
           "head_dim": 64}
MLA = {"kv_lora_rank": 64, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64,
       "moe_intermediate_size": 64, "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2,
       "first_k_dense_replace": 1, "moe_layer_freq": 1, "num_key_value_heads": 4, "attention_bias": False,
       "rope_scaling": None, "routed_scaling_factor": 1.5, "norm_topk_prob": True}

CASES = {
    "llama": c("llama", head_dim=64, rope_scaling=LLAMA3),
    "llama-tied": c("llama", tie_word_embeddings=True, vocab_size=512, num_key_value_heads=1),
    "llama-bias-linear": c("llama", head_dim=80, attention_bias=True, mlp_bias=True,
                           rope_scaling={"type": "linear", "factor": 2.0}),
    "llama-yarn": c("llama", head_dim=96, rope_scaling=YARN),
    "llama-traditional": c("llama", rope_traditional=True),
    "mistral": c("mistral", head_dim=128, num_attention_heads=2, num_key_value_heads=1, sliding_window=None),
    "mistral-mixed": c("mistral", num_hidden_layers=3, sliding_window=16,
                       layer_types=["full_attention", "sliding_attention", "sliding_attention"]),
    "qwen2": c("qwen2", tie_word_embeddings=True, rope_theta=1e6),
    "qwen3": c("qwen3", head_dim=64, tie_word_embeddings=True, rope_theta=1e6),
    "qwen3-v5": c("qwen3", drop=("rope_theta",), head_dim=80,
                  rope_parameters={"rope_type": "default", "rope_theta": 5e5}),
    "gemma": c("gemma", drop=("tie_word_embeddings",), head_dim=64, num_key_value_heads=1),
    "gemma2": c("gemma2", drop=("tie_word_embeddings",), head_dim=64, query_pre_attn_scalar=96.0),
    "gemma3_text": c("gemma3_text", drop=("tie_word_embeddings",), head_dim=64, num_hidden_layers=4, sliding_window=16,
                     sliding_window_pattern=3, query_pre_attn_scalar=96, rope_theta=1e6, rope_local_base_freq=1e4,
                     rope_scaling={"rope_type": "linear", "factor": 8.0}),
    "gemma3": {"model_type": "gemma3", "vocab_size": 519,
               "text_config": c("gemma3_text", drop=("tie_word_embeddings", "vocab_size"), head_dim=64,
                                sliding_window=16, sliding_window_pattern=2)},
    "phi3": c("phi3", rope_scaling=None),
    "phi3-longrope": c("phi3", head_dim=32, original_max_position_embeddings=128, partial_rotary_factor=0.75,
                       rope_scaling={"type": "longrope", "short_factor": [1.0] * 12,
                                     "long_factor": [1.0 + 0.5 * i for i in range(12)]}),
    "phi": c("phi", drop=("rms_norm_eps",), layer_norm_eps=1e-5, partial_rotary_factor=0.5),
    "gpt2": {"model_type": "gpt2", "n_ctx": 128, "n_embd": 128, "n_head": 4, "n_layer": 2, "n_positions": 128,
             "layer_norm_epsilon": 1e-5, "vocab_size": 517},
    "gpt_neox": {"model_type": "gpt_neox", "max_position_embeddings": 512, "hidden_size": 128, "num_attention_heads": 4,
                 "num_hidden_layers": 2, "layer_norm_eps": 1e-5, "vocab_size": 517, "rotary_emb_base": 10000,
                 "rotary_pct": 0.25, "intermediate_size": 512},
    "gpt_neox-serial": {"model_type": "gpt_neox", "max_position_embeddings": 512, "hidden_size": 128,
                        "num_attention_heads": 2, "num_hidden_layers": 2, "layer_norm_eps": 1e-5, "vocab_size": 517,
                        "rotary_emb_base": 10000, "rotary_pct": 1.0, "use_parallel_residual": False,
                        "intermediate_size": 512},
    "stablelm": c("stablelm", drop=("rms_norm_eps",), layer_norm_eps=1e-5, use_qkv_bias=True, partial_rotary_factor=0.25,
                  num_key_value_heads=4),
    "stablelm-parallel": c("stablelm", drop=("rms_norm_eps",), layer_norm_eps=1e-5, use_qkv_bias=False,
                           partial_rotary_factor=0.5, use_parallel_residual=True, qk_layernorm=True),
    "starcoder2": c("starcoder2", drop=("rms_norm_eps",), norm_epsilon=1e-5, tie_word_embeddings=True),
    "olmo2": c("olmo2", head_dim=64),
    "olmo3": c("olmo3", num_hidden_layers=4, sliding_window=16, head_dim=64, rope_scaling=YARN),
    "cohere": c("cohere", drop=("rms_norm_eps", "tie_word_embeddings"), layer_norm_eps=1e-5, logit_scale=0.25,
                use_qk_norm=True),
    "cohere2": c("cohere2", drop=("rms_norm_eps", "tie_word_embeddings"), layer_norm_eps=1e-5, logit_scale=0.25,
                 head_dim=32, sliding_window=16, sliding_window_pattern=2, num_hidden_layers=3, attention_bias=True),
    "glm4": c("glm4", attention_bias=True, head_dim=64, partial_rotary_factor=0.5),
    "granite": c("granite", **{**GRANITE, "tie_word_embeddings": True}),
    "smollm3": c("smollm3", num_hidden_layers=4, tie_word_embeddings=True),
    "exaone4": c("exaone4", head_dim=64, num_hidden_layers=4, rope_scaling=LLAMA3, sliding_window=16,
                 sliding_window_pattern="LLG"),
    "exaone4-global": c("exaone4", head_dim=64, rope_scaling=LLAMA3, sliding_window=None, sliding_window_pattern=None),
    "helium": c("helium", attention_bias=False, mlp_bias=False, head_dim=32),
    "ministral3": c("ministral3", drop=("rope_theta",), head_dim=64,
                    rope_parameters={"rope_theta": 1e5, "rope_type": "yarn", "factor": 4.0, "beta_fast": 32.0,
                                     "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1,
                                     "original_max_position_embeddings": 16}),
    "mixtral": c("mixtral", num_local_experts=4, num_experts_per_tok=2),
    "qwen2_moe": c("qwen2_moe", **MOE, shared_expert_intermediate_size=192),
    "qwen3_moe": c("qwen3_moe", **MOE, head_dim=64, decoder_sparse_step=1, mlp_only_layers=[0], norm_topk_prob=True),
    "olmoe": c("olmoe", num_experts=8, num_experts_per_tok=2, norm_topk_prob=False),
    "granitemoe": c("granitemoe", **{**GRANITE, "tie_word_embeddings": True}, num_local_experts=4,
                    num_experts_per_tok=2),
    "glm4_moe": c("glm4_moe", **GLM_MOE),
    "glm4_moe-groups": c("glm4_moe", **{**GLM_MOE, "n_group": 4, "topk_group": 2, "use_qk_norm": False}),
    "gpt_oss": c("gpt_oss", drop=("tie_word_embeddings",), num_local_experts=4, num_experts_per_tok=2, head_dim=64,
                 sliding_window=16, rope_theta=150000, rope_scaling=YARN),
    "deepseek_v2": c("deepseek_v2", **{**MLA, "topk_method": "greedy", "scoring_func": "softmax", "q_lora_rank": None,
                                       "rope_scaling": {**YARN, "mscale": 0.7, "mscale_all_dim": 0.7}}),
    "deepseek_v3": c("deepseek_v3", **{**MLA, "q_lora_rank": 64, "topk_method": "noaux_tc", "scoring_func": "sigmoid",
                                       "n_group": 4, "topk_group": 2, "n_shared_experts": 2,
                                       "rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 0.8}}),
    "mamba": {"model_type": "mamba", "vocab_size": 517, "hidden_size": 128, "intermediate_size": 256, "state_size": 16,
              "num_hidden_layers": 2, "conv_kernel": 4, "use_bias": False, "use_conv_bias": True, "time_step_rank": 8,
              "tie_word_embeddings": True},
    "mamba2": {"model_type": "mamba2", "num_heads": 8, "head_dim": 32, "vocab_size": 517, "hidden_size": 128,
               "intermediate_size": 256, "state_size": 16, "num_hidden_layers": 2, "layer_norm_epsilon": 1e-5,
               "conv_kernel": 4, "n_groups": 2, "use_bias": False, "use_conv_bias": True, "tie_word_embeddings": True,
               "time_step_limit": [0.0, 100.0], "time_step_rank": "auto", "ssm_state_size": 16, "max_position_embeddings": 512},
    "lfm2": c("lfm2", drop=("rms_norm_eps", "tie_word_embeddings", "intermediate_size"), norm_eps=1e-5, num_hidden_layers=3,
              conv_bias=False, conv_L_cache=3, block_dim=128, block_ff_dim=256, block_multiple_of=64,
              block_ffn_dim_multiplier=1.0, block_auto_adjust_ff_dim=False, full_attn_idxs=[1]),
    "lfm2_moe": c("lfm2_moe", drop=("rms_norm_eps", "tie_word_embeddings"), norm_eps=1e-5, num_hidden_layers=3, conv_bias=False,
                  conv_L_cache=3, full_attn_idxs=[1], **MOE, norm_topk_prob=True, use_expert_bias=True, num_dense_layers=1),
    "falcon_mamba": {"model_type": "falcon_mamba", "vocab_size": 517, "hidden_size": 128, "intermediate_size": 256,
                     "state_size": 16, "num_hidden_layers": 2, "conv_kernel": 4, "use_bias": False, "use_conv_bias": True,
                     "time_step_rank": 8, "tie_word_embeddings": False},
    "falcon_h1": c("falcon_h1", head_dim=32, mamba_d_ssm=128, mamba_d_head=32, mamba_n_heads=4, mamba_d_state=16,
                   mamba_n_groups=2, mamba_rms_norm=True, lm_head_multiplier=2.0, embedding_multiplier=2.0,
                   **{"tie_word_embeddings": True, "rope_theta": 1e5}),
    "falcon_h1-plain": c("falcon_h1", head_dim=32, mamba_d_ssm=128, mamba_d_head=32, mamba_n_heads=4, mamba_d_state=16,
                         mamba_n_groups=1, mamba_rms_norm=False),
    "qwen3_next": c("qwen3_next", head_dim=64, num_hidden_layers=4, linear_num_value_heads=4, linear_num_key_heads=2,
                    linear_key_head_dim=32, linear_value_head_dim=48, linear_conv_kernel_dim=4, **MOE, decoder_sparse_step=1,
                    shared_expert_intermediate_size=64, mlp_only_layers=[], partial_rotary_factor=0.25, norm_topk_prob=True),
}

# GGUF architecture names where llama.cpp has the family, for whole models written with the gguf package.
GGUF_ARCH = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma": "gemma",
             "gemma2": "gemma2", "gemma3_text": "gemma3", "phi3": "phi3", "phi": "phi2", "gpt2": "gpt2",
             "gpt_neox": "gptneox", "stablelm": "stablelm", "starcoder2": "starcoder2", "olmo2": "olmo2",
             "cohere": "command-r", "glm4": "glm4", "granite": "granite", "mixtral": "llama",
             "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe", "olmoe": "olmoe", "smollm3": "smollm3", "ministral3": "mistral3",
             "gpt_oss": "gpt-oss", "glm4_moe": "glm4moe", "granitemoe": "granitemoe", "deepseek_v2": "deepseek2",
             "deepseek_v3": "deepseek2", "lfm2": "lfm2", "mamba": "mamba", "cohere2": "cohere2", "exaone4": "exaone4"}
# q and k rows are reordered for interleaved rope by llama.cpp's converter in these.
GGUF_PERMUTED = {"llama", "mistral", "granite", "granitemoe", "mixtral", "smollm3", "ministral3"}
# The sizes that make one file quantized, for the default selection of the parity test.
BASE = ["llama", "mistral", "qwen2", "qwen3"]
