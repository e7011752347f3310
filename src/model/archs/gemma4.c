/* model/archs/gemma4.c - gemma 4 (text): global layers have heads of another size, turned in part; the last layers read
 * the keys of earlier ones; layers with an input of their own (E2B, E4B) and with experts beside the MLP (26B-A4B). */
#include <math.h>
#include <string.h>
#include "format/gguf.h"
#include "model/arch.h"

#define X WICK_R_X
#define H WICK_R_H
#define A WICK_R_A
static const wick_block_step attention[] = {{WICK_STEP_NORM, H, X, WICK_ROLE_ATTN_NORM},
                                            {WICK_STEP_MIX, H, H, 0},
                                            {WICK_STEP_NORM, H, H, WICK_ROLE_ATTN_POST_NORM},
                                            {WICK_STEP_ADD, X, H, 0},
                                            {WICK_STEP_END, X, X, 0}};
static const wick_block_step dense[] = {{WICK_STEP_NORM, H, X, WICK_ROLE_MLP_NORM},
                                        {WICK_STEP_FFN, H, H, 0},
                                        {WICK_STEP_NORM, H, H, WICK_ROLE_MLP_POST_NORM},
                                        {WICK_STEP_ADD, X, H, 0},
                                        {WICK_STEP_END, X, X, 0}};
/* The router has a norm of its own; MLP and experts are added up before the norm that both share. */
static const wick_block_step experts[] = {{WICK_STEP_NORM, A, X, WICK_ROLE_ROUTER_NORM},
                                          {WICK_STEP_NORM, H, X, WICK_ROLE_EXP_NORM},
                                          {WICK_STEP_FFN, H, H, 0},
                                          {WICK_STEP_NORM, H, H, WICK_ROLE_EXP_POST_NORM},
                                          {WICK_STEP_NORM, A, X, WICK_ROLE_MLP_NORM},
                                          {WICK_STEP_MLP, A, A, 0},
                                          {WICK_STEP_NORM, A, A, WICK_ROLE_DENSE_POST_NORM},
                                          {WICK_STEP_ADD, H, A, 0},
                                          {WICK_STEP_NORM, H, H, WICK_ROLE_MLP_POST_NORM},
                                          {WICK_STEP_ADD, X, H, 0},
                                          {WICK_STEP_END, X, X, 0}};
static const wick_block_step own_input[] = {{WICK_STEP_PLE, H, X, 0},
                                            {WICK_STEP_NORM, H, H, WICK_ROLE_PLE_POST_NORM},
                                            {WICK_STEP_ADD, X, H, 0},
                                            {WICK_STEP_END, X, X, 0}};
#undef X
#undef H
#undef A

static const wick_role_name names[] = {
    {WICK_ROLE_MLP_NORM, "@layers.%.pre_feedforward_layernorm", "blk.%.ffn_norm"},
    {WICK_ROLE_DENSE_POST_NORM, "@layers.%.post_feedforward_layernorm_1", "blk.%.post_ffw_norm_1"},
    {WICK_ROLE_EXP_NORM, "@layers.%.pre_feedforward_layernorm_2", "blk.%.pre_ffw_norm_2"},
    {WICK_ROLE_EXP_POST_NORM, "@layers.%.post_feedforward_layernorm_2", "blk.%.post_ffw_norm_2"},
    {WICK_ROLE_ROUTER, "@layers.%.router.proj", NULL},
    {WICK_ROLE_ROUTER_NORM, "@layers.%.router.scale", "blk.%.ffn_gate_inp.scale"},
    {WICK_ROLE_EXP_SCALE, "@layers.%.router.per_expert_scale", "blk.%.ffn_down_exps.scale"},
    {WICK_ROLE_EXP_GATE, "@layers.%.experts.switch_glu.gate_proj", NULL},
    {WICK_ROLE_EXP_UP, "@layers.%.experts.switch_glu.up_proj", NULL},
    {WICK_ROLE_EXP_DOWN, "@layers.%.experts.switch_glu.down_proj|@layers.%.experts.down_proj", NULL},
    {WICK_ROLE_EXP_GATE_UP, "@layers.%.experts.gate_up_proj", "blk.%.ffn_gate_up_exps"},
    {WICK_ROLE_PLE_EMBED, "@embed_tokens_per_layer", "per_layer_token_embd"},
    {WICK_ROLE_PLE_PROJ, "@per_layer_model_projection", "per_layer_model_proj"},
    {WICK_ROLE_PLE_NORM, "@per_layer_projection_norm", "per_layer_proj_norm"},
    {WICK_ROLE_PLE_GATE, "@layers.%.per_layer_input_gate", "blk.%.inp_gate"},
    {WICK_ROLE_PLE_OUT, "@layers.%.per_layer_projection", "blk.%.proj"},
    {WICK_ROLE_PLE_POST_NORM, "@layers.%.post_per_layer_input_norm", "blk.%.post_norm"},
    {0}};

static void set_default(uint32_t *field, uint32_t value)
{
    if (*field == 0) *field = value;
}

static void append(wick_block_step *block, uint32_t *n, const wick_block_step *part)
{
    for (; part->kind != WICK_STEP_END; part++) block[(*n)++] = *part;
    block[*n] = *part;
}

static wick_status make_block(wick_config *c, wick_err *err)
{
    size_t most = (sizeof attention + sizeof experts + sizeof own_input) / sizeof *attention;
    wick_block_step *block = wick_arena_array(&c->arena, most, sizeof *block);
    if (!block) return wick_err_oom(err, "the configuration", most, 0);
    uint32_t n = 0;
    append(block, &n, attention);
    append(block, &n, c->n_expert ? experts : dense);
    if (c->ple_dim) append(block, &n, own_input);
    c->block = block;
    c->router_apart = true;
    return WICK_OK;
}

/* The first and the last value of a key that has one per layer; false where it is a single number. */
static bool per_layer(const wick_config *c, const char *key, int64_t *first, int64_t *last)
{
    char name[160];
    const wick_gguf_value *v = wick_gguf_get(c->gguf, wick_config_gguf_key(c, key, name, sizeof name));
    if (!v || v->type != WICK_GGUF_ARRAY || v->elem == WICK_GGUF_STRING || v->elem == WICK_GGUF_ARRAY ||
        v->n < c->n_layer || c->n_layer == 0)
        return false;
    *first = wick_gguf_elem_i64(v, 0);
    *last = wick_gguf_elem_i64(v, c->n_layer - 1);
    return true;
}

/* GGUF gives the sizes of the global heads the usual names. The first layer slides and the last one is global. */
static wick_status from_gguf(wick_config *c, wick_err *err)
{
    int64_t first, last;
    uint32_t slide_dim = c->head_dim;
    c->global_head_dim = c->head_dim;
    WICK_TRY(wick_config_u32(c, NULL, "attention.key_length_swa", 1, 1 << 14, &slide_dim, err));
    c->head_dim = c->v_head_dim = slide_dim;
    c->rope_dims = 0;
    WICK_TRY(wick_config_u32(c, NULL, "attention.shared_kv_layers", 0, WICK_MAX_LAYERS, &c->n_kv_shared, err));
    WICK_TRY(wick_config_u32(c, NULL, "embedding_length_per_layer_input", 0, 1 << 16, &c->ple_dim, err));
    if (per_layer(c, "feed_forward_length", &first, &last) && first > 0 && last == 2 * first && last <= WICK_MAX_DIM) {
        c->n_ff = (uint32_t)first;
        c->shared_wide = true;
    }
    if (per_layer(c, "attention.head_count_kv", &first, &last) && first > 0 && last > 0 && first <= WICK_MAX_HEADS &&
        last <= WICK_MAX_HEADS) {
        c->n_kv_head = (uint32_t)first;
        c->global_kv_head = (uint32_t)last;
    }
    c->global_k_is_v = true; /* where a layer has no v */
    return WICK_OK;
}

static wick_status from_json(wick_config *c, wick_err *err)
{
    bool moe = false;
    const json_t *outer = json_object_get(c->json, "vocab_size"); /* goes before that of text_config */
    bool usable =
        json_is_integer(outer) && json_integer_value(outer) > 0 && json_integer_value(outer) <= WICK_MAX_VOCAB;
    if (c->text != c->json) c->n_vocab = usable ? (uint32_t)json_integer_value(outer) : 262144;
    set_default(&c->head_dim, 256);
    set_default(&c->window, 512);
    c->global_head_dim = 512;
    c->n_kv_shared = 20;
    c->shared_wide = true;
    c->ple_dim = json_is_null(json_object_get(c->text, "hidden_size_per_layer_input")) ? 0 : 256;
    WICK_TRY(wick_config_u32(c, "hidden_size_per_layer_input", NULL, 0, 1 << 16, &c->ple_dim, err));
    WICK_TRY(wick_config_bool(c, "enable_moe_block", NULL, &moe, err));
    if (!moe) c->n_expert = 0;
    WICK_TRY(wick_config_u32(c, "top_k_experts", NULL, 0, WICK_MAX_EXPERTS, &c->n_expert_used, err));
    WICK_TRY(wick_config_u32(c, "global_head_dim", NULL, 0, 1 << 14, &c->global_head_dim, err));
    WICK_TRY(wick_config_u32(c, "num_kv_shared_layers", NULL, 0, WICK_MAX_LAYERS, &c->n_kv_shared, err));
    WICK_TRY(wick_config_bool(c, "use_double_wide_mlp", NULL, &c->shared_wide, err));
    WICK_TRY(wick_config_bool(c, "attention_k_eq_v", NULL, &c->global_k_is_v, err));
    if (c->global_k_is_v)
        WICK_TRY(wick_config_u32(c, "num_global_key_value_heads", NULL, 1, WICK_MAX_HEADS, &c->global_kv_head, err));
    if (!wick_config_get(c, "rope_parameters")) {
        c->rope.kind = WICK_ROPE_PROPORTIONAL;
        c->rope.partial = 0.25;
    }
    if (c->final_softcap == 0 && !json_object_get(c->text, "final_logit_softcapping")) c->final_softcap = 30;
    c->rope_partial = 1; /* the proportional kind has its own */
    return WICK_OK;
}

static wick_status configure(wick_config *c, wick_err *err)
{
    WICK_TRY(c->from_gguf ? from_gguf(c, err) : from_json(c, err));
    if ((c->n_layer && c->n_kv_shared >= c->n_layer) || c->n_ff > WICK_MAX_DIM / 2 ||
        (c->global_kv_head && (c->n_head < c->global_kv_head || c->n_head % c->global_kv_head)))
        return WICK_FAIL(
            err, WICK_E_BAD_FILE, c->where,
            "%s: num_kv_shared_layers, intermediate_size or num_global_key_value_heads do not fit the model", c->where);
    if (c->rope_local_theta == 0) c->rope_local_theta = 10000;
    c->attn_scale = 1;
    c->embed_scale = sqrtf((float)c->n_embd);
    return make_block(c, err);
}

static const wick_default gemma4_defaults[] = {{offsetof(wick_config, n_kv_head), 1}, {0, 0}};

const wick_arch wick_arch_gemma4 = {
    .name = "gemma4",
    .hf = {"gemma4_text", "gemma4"},
    .gguf = {"gemma4"},
    .block = wick_block_sandwich,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_GELU_TANH,
    .v_norm = true,
    .qk = WICK_QK_HEAD,
    .windows = WICK_WINDOW_PATTERN,
    .window_pattern = 5,
    .plain_local_rope = true,
    .routing = WICK_ROUTE_TOPK_SOFTMAX,
    .rope_theta = 1000000,
    .names = names,
    .configure = configure,
    .defaults = gemma4_defaults,
};
