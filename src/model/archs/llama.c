/* model/archs/llama.c - llama 1 to 3, mistral, and what shares their form under another name. */
#include "model/arch.h"
#include "format/gguf.h"

/* Meta's own names, which the first MLX NPZ models kept; their q and k are for interleaved rope. */
static const wick_role_name names[] = {
    {WICK_ROLE_EMBED, "@embed_tokens|tok_embeddings", NULL},
    {WICK_ROLE_OUT_NORM, "@norm|norm", NULL},
    {WICK_ROLE_HEAD, "lm_head|language_model.lm_head|output", NULL},
    {WICK_ROLE_ATTN_NORM, "@layers.%.input_layernorm|layers.%.attention_norm", NULL},
    {WICK_ROLE_MLP_NORM, "@layers.%.post_attention_layernorm|layers.%.ffn_norm", NULL},
    {WICK_ROLE_Q, "@layers.%.self_attn.q_proj|layers.%.attention.wq", NULL},
    {WICK_ROLE_K, "@layers.%.self_attn.k_proj|layers.%.attention.wk", NULL},
    {WICK_ROLE_V, "@layers.%.self_attn.v_proj|layers.%.attention.wv", NULL},
    {WICK_ROLE_O, "@layers.%.self_attn.o_proj|layers.%.attention.wo", NULL},
    {WICK_ROLE_GATE, "@layers.%.mlp.gate_proj|layers.%.feed_forward.w1", NULL},
    {WICK_ROLE_DOWN, "@layers.%.mlp.down_proj|layers.%.feed_forward.w2", NULL},
    {WICK_ROLE_UP, "@layers.%.mlp.up_proj|layers.%.feed_forward.w3", NULL},
    {0}};

static wick_status configure(wick_config *c, wick_err *err)
{
    bool meta = !c->from_gguf && json_object_get(c->json, "dim") && !json_object_get(c->json, "hidden_size");
    if (meta) c->rope_interleaved = true;
    return wick_config_bool(c, "rope_traditional", NULL, &c->rope_interleaved, err);
}

const wick_arch wick_arch_llama = {
    .name = "llama",
    .hf = {"llama", "mistral", "iquestcoder", "xverse"},
    .gguf = {"llama"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .gguf_permuted = true,
    .windows = WICK_WINDOW_LAYER_TYPES,
    .names = names,
    .configure = configure,
};
