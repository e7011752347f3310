/* model/archs/olmo.c - olmo, the first one (LayerNorms without weights), olmo2 (norms behind the branches, q, k normed
 * over the whole row), olmo3 (three of four layers slide, and turn without yarn), olmoe (experts, norms before). */
#include "model/arch.h"

/* The authors' first files have gate and up in one matrix of mlp_hidden_size rows, the gate last; those of transformers
 * and GGUF have the usual ones. */
static wick_status configure_olmo(wick_config *c, wick_err *err)
{
    uint32_t both = 0, ratio = 4, rows = 0;
    bool tied = false;
    WICK_TRY(wick_config_f32(c, "clip_qkv", "attention.clamp_kqv", 0, 1e6, &c->clip_qkv, err));
    if (c->from_gguf || wick_config_get(c, "intermediate_size")) return WICK_OK;
    WICK_TRY(wick_config_u32(c, "mlp_ratio", NULL, 1, 64, &ratio, err));
    if (c->n_embd <= WICK_MAX_DIM / 64) both = ratio * c->n_embd;
    WICK_TRY(wick_config_u32(c, "mlp_hidden_size", NULL, 2, 2 * WICK_MAX_DIM, &both, err));
    WICK_TRY(wick_config_u32(c, "embedding_size", NULL, 1, WICK_MAX_VOCAB, &rows, err));
    WICK_TRY(wick_config_bool(c, "weight_tying", NULL, &tied, err));
    c->n_ff = both / 2;
    if (rows) c->n_vocab = rows;
    c->tie = tied;
    return WICK_OK;
}

static const wick_role_name olmo_names[] = {{WICK_ROLE_EMBED, "@wte|@embed_tokens", NULL},
                                            {WICK_ROLE_HEAD, "@ff_out|lm_head", NULL},
                                            {WICK_ROLE_QKV, "@blocks.%.att_proj", NULL},
                                            {WICK_ROLE_O, "@blocks.%.attn_out|@layers.%.self_attn.o_proj", NULL},
                                            {WICK_ROLE_GATE_UP, "@blocks.%.ff_proj", NULL},
                                            {WICK_ROLE_DOWN, "@blocks.%.ff_out|@layers.%.mlp.down_proj", NULL},
                                            {0}};

const wick_arch wick_arch_olmo = {
    .name = "olmo",
    .hf = {"olmo"},
    .gguf = {"olmo"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_LAYER,
    .bare_norm = true,
    .act = WICK_ACT_SILU,
    .up_first = true,
    .gguf_permuted = true,
    .roots = "model.transformer.|model.|",
    .names = olmo_names,
    .configure = configure_olmo,
};

/* GGUF has olmo3 under olmo2's name: with windows. */
static wick_status configure_olmo2(wick_config *c, wick_err *err)
{
    (void)err;
    c->no_windows = !c->from_gguf || !c->window;
    return WICK_OK;
}

const wick_arch wick_arch_olmo2 = {
    .name = "olmo2",
    .hf = {"olmo2"},
    .gguf = {"olmo2"},
    .block = wick_block_postnorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_ROW,
    .windows = WICK_WINDOW_PATTERN,
    .window_pattern = 4,
    .plain_local_rope = true,
    .configure = configure_olmo2,
};

const wick_arch wick_arch_olmo3 = {
    .name = "olmo3",
    .hf = {"olmo3"},
    .block = wick_block_postnorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_ROW,
    .windows = WICK_WINDOW_PATTERN,
    .window_pattern = 4,
    .plain_local_rope = true,
};

const wick_arch wick_arch_olmoe = {
    .name = "olmoe",
    .hf = {"olmoe"},
    .gguf = {"olmoe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_ROW,
    .routing = WICK_ROUTE_SOFTMAX_TOPK,
};
