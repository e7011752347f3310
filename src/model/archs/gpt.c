/* model/archs/gpt.c - gpt2 (learned positions, Conv1D matrices), gpt_neox (q, k, v by head), starcoder2. */
#include "model/arch.h"

static wick_status four_times(wick_config *c, wick_err *err)
{
    (void)err;
    if (!c->n_ff && c->n_embd <= WICK_MAX_DIM / 4) c->n_ff = 4 * c->n_embd;
    return WICK_OK;
}

static const wick_role_name gpt2_names[] = {
    {WICK_ROLE_EMBED, "@wte", NULL},           {WICK_ROLE_POS_EMBED, "@wpe", NULL},
    {WICK_ROLE_OUT_NORM, "@ln_f", NULL},       {WICK_ROLE_ATTN_NORM, "@h.%.ln_1", NULL},
    {WICK_ROLE_MLP_NORM, "@h.%.ln_2", NULL},   {WICK_ROLE_QKV, "@h.%.attn.c_attn", NULL},
    {WICK_ROLE_O, "@h.%.attn.c_proj", NULL},   {WICK_ROLE_UP, "@h.%.mlp.c_fc", NULL},
    {WICK_ROLE_DOWN, "@h.%.mlp.c_proj", NULL}, {0}};

const wick_arch wick_arch_gpt2 = {
    .name = "gpt2",
    .hf = {"gpt2"},
    .gguf = {"gpt2"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_LAYER,
    .act = WICK_ACT_GELU_TANH,
    .plain_mlp = true,
    .no_rope = true,
    .conv1d = true,
    .head = WICK_HEAD_TIED,
    .roots = "model.|transformer.|",
    .names = gpt2_names,
    .configure = four_times,
};

/* starcoder: gpt2 with one head of keys and values, matrices as [out][in]. */
static wick_status configure_bigcode(wick_config *c, wick_err *err)
{
    bool one = true;
    WICK_TRY(wick_config_bool(c, "multi_query", NULL, &one, err));
    if (!c->from_gguf) c->n_kv_head = one ? 1 : c->n_head;
    return four_times(c, err);
}

const wick_arch wick_arch_gpt_bigcode = {
    .name = "gpt_bigcode",
    .hf = {"gpt_bigcode"},
    .gguf = {"starcoder"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_LAYER,
    .act = WICK_ACT_GELU,
    .plain_mlp = true,
    .no_rope = true,
    .roots = "transformer.|model.|",
    .names = gpt2_names,
    .configure = configure_bigcode,
};

static const wick_role_name neox_names[] = {
    {WICK_ROLE_EMBED, "@embed_in", NULL},
    {WICK_ROLE_HEAD, "@embed_out|embed_out", NULL},
    {WICK_ROLE_OUT_NORM, "@final_layer_norm", NULL},
    {WICK_ROLE_ATTN_NORM, "@h.%.input_layernorm|@layers.%.input_layernorm", NULL},
    {WICK_ROLE_MLP_NORM, "@h.%.post_attention_layernorm|@layers.%.post_attention_layernorm", NULL},
    {WICK_ROLE_QKV, "@h.%.attention.query_key_value|@layers.%.attention.query_key_value", NULL},
    {WICK_ROLE_O, "@h.%.attention.dense|@layers.%.attention.dense", NULL},
    {WICK_ROLE_UP, "@h.%.mlp.dense_h_to_4h|@layers.%.mlp.dense_h_to_4h", NULL},
    {WICK_ROLE_DOWN, "@h.%.mlp.dense_4h_to_h|@layers.%.mlp.dense_4h_to_h", NULL},
    {0}};

static wick_status configure_neox(wick_config *c, wick_err *err)
{
    bool parallel = true;
    WICK_TRY(wick_config_bool(c, "use_parallel_residual", "use_parallel_residual", &parallel, err));
    c->block = parallel ? wick_block_parallel2 : wick_block_prenorm;
    return four_times(c, err);
}

const wick_arch wick_arch_gpt_neox = {
    .name = "gpt_neox",
    .hf = {"gpt_neox"},
    .gguf = {"gptneox"},
    .block = wick_block_parallel2,
    .norm = WICK_NORM_LAYER,
    .no_rope_scaling = true,
    .act = WICK_ACT_GELU_TANH,
    .plain_mlp = true,
    .ff_by_weights = true,
    .qkv_per_head = true,
    .head = WICK_HEAD_OWN,
    .rope_partial = 0.25f,
    .roots = "model.|gpt_neox.|",
    .names = neox_names,
    .configure = configure_neox,
};

static const wick_role_name starcoder2_names[] = {
    {WICK_ROLE_UP, "@layers.%.mlp.c_fc", NULL}, {WICK_ROLE_DOWN, "@layers.%.mlp.c_proj", NULL}, {0}};

const wick_arch wick_arch_starcoder2 = {
    .name = "starcoder2",
    .hf = {"starcoder2"},
    .gguf = {"starcoder2"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_LAYER,
    .no_rope_scaling = true,
    .act = WICK_ACT_GELU,
    .plain_mlp = true,
    .rope_theta = 100000,
    .names = starcoder2_names,
};
