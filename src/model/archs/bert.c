/* model/archs/bert.c - encoders that grew out of BERT: attention goes both ways, and what comes out are vectors.
 *
 * bert (roberta, xlm-roberta, camembert: the same with positions that begin at 2), distilbert, jina v2 (slopes for
 * positions, gated MLP), nomic, gte and jina v3 (rotary, norms behind the branches), modernbert (norms before them,
 * windows) and eurobert. Their heads for scores (rerankers) are read in pooler.c. */
#include <string.h>
#include "base/json.h"
#include "model/arch.h"

/* What belongs to training: the heads that guess hidden words. */
static const char *const idle[] = {
    "^cls.predictions", "^cls.seq_relationship", "^lm_head.",        "pooler.", "^decoder.", "^head.",
    "^vocab_",          "^qa_outputs",           "^enc.output_norm", NULL};

/* Checkpoints of one family differ in their activation; these names are those of transformers. */
static wick_status read_act(wick_config *c, const char *key, wick_err *err)
{
    static const struct {
        const char *name;
        wick_act act;
    } known[] = {{"gelu", WICK_ACT_GELU},           {"gelu_new", WICK_ACT_GELU_TANH},
                 {"gelu_fast", WICK_ACT_GELU_TANH}, {"gelu_pytorch_tanh", WICK_ACT_GELU_TANH},
                 {"relu", WICK_ACT_RELU},           {"silu", WICK_ACT_SILU},
                 {"swish", WICK_ACT_SILU},          {"swiglu", WICK_ACT_SILU},
                 {"geglu", WICK_ACT_GELU}};
    const char *s = json_string_value(wick_config_get(c, key));
    for (size_t i = 0; s && i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, s) != 0) continue;
        c->act = known[i].act;
        return WICK_OK;
    }
    if (!s) return WICK_OK;
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, c->where, "%s: key \"%s\": the activation \"%.40s\" is not known",
                     c->where, key, s);
}

static wick_status expect(const wick_config *c, const char *key, const char *want, wick_err *err)
{
    const char *s = json_string_value(wick_config_get(c, key));
    if (!s || strcmp(s, want) == 0) return WICK_OK;
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, c->where,
                     "%s: key \"%s\": %s models are known with \"%s\", not \"%.40s\"", c->where, key, c->arch->name,
                     want, s);
}

static wick_status configure_bert(wick_config *c, wick_err *err)
{
    if (c->from_gguf) return WICK_OK; /* the converter has taken the first rows of roberta's positions away */
    WICK_TRY(expect(c, "position_embedding_type", "absolute", err));
    if (strcmp(c->model_type, "bert") != 0) {
        uint32_t pad = 1;
        WICK_TRY(wick_config_u32(c, "pad_token_id", NULL, 0, 1 << 16, &pad, err));
        c->pos_offset = pad + 1; /* positions count from behind the padding's */
        if (c->n_ctx <= c->pos_offset)
            return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: max_position_embeddings %u leaves no position",
                             c->where, c->n_ctx);
        c->n_ctx -= c->pos_offset;
    }
    return read_act(c, "hidden_act", err);
}

#define BERT_LAYER "@encoder.layer.%."
static const wick_role_name bert_names[] = {
    {WICK_ROLE_EMBED, "@embeddings.word_embeddings", NULL},
    {WICK_ROLE_POS_EMBED, "@embeddings.position_embeddings", NULL},
    {WICK_ROLE_TYPE_EMBED, "@embeddings.token_type_embeddings", NULL},
    {WICK_ROLE_EMBED_NORM, "@embeddings.LayerNorm", NULL},
    {WICK_ROLE_OUT_NORM, "", ""},
    {WICK_ROLE_Q, BERT_LAYER "attention.self.query", NULL},
    {WICK_ROLE_K, BERT_LAYER "attention.self.key", NULL},
    {WICK_ROLE_V, BERT_LAYER "attention.self.value", NULL},
    {WICK_ROLE_O, BERT_LAYER "attention.output.dense", NULL},
    {WICK_ROLE_ATTN_POST_NORM, BERT_LAYER "attention.output.LayerNorm", "blk.%.attn_output_norm"},
    {WICK_ROLE_UP, BERT_LAYER "intermediate.dense", NULL},
    {WICK_ROLE_DOWN, BERT_LAYER "output.dense", NULL},
    {WICK_ROLE_MLP_POST_NORM, BERT_LAYER "output.LayerNorm", "blk.%.layer_output_norm"},
    {WICK_ROLE_CLS_DENSE, "classifier.dense|@pooler.dense", NULL},
    {WICK_ROLE_CLS_OUT, "classifier.out_proj|classifier", NULL},
    {0}};

const wick_arch wick_arch_bert = {
    .name = "bert",
    .hf = {"bert", "roberta", "xlm-roberta", "camembert"},
    .gguf = {"bert"},
    .block = wick_block_bert,
    .norm = WICK_NORM_LAYER,
    .norm_eps = 1e-12f,
    .encoder = true,
    .act = WICK_ACT_GELU,
    .pool_act = WICK_POOL_ACT_TANH,
    .plain_mlp = true,
    .no_rope = true,
    .roots = "bert.|roberta.|model.|",
    .idle = idle,
    .names = bert_names,
    .configure = configure_bert,
};

static wick_status configure_distilbert(wick_config *c, wick_err *err)
{
    return read_act(c, "activation", err);
}

#define DISTIL_LAYER "@transformer.layer.%."
static const wick_role_name distilbert_names[] = {{WICK_ROLE_EMBED, "@embeddings.word_embeddings", NULL},
                                                  {WICK_ROLE_POS_EMBED, "@embeddings.position_embeddings", NULL},
                                                  {WICK_ROLE_EMBED_NORM, "@embeddings.LayerNorm", NULL},
                                                  {WICK_ROLE_OUT_NORM, "", ""},
                                                  {WICK_ROLE_Q, DISTIL_LAYER "attention.q_lin", NULL},
                                                  {WICK_ROLE_K, DISTIL_LAYER "attention.k_lin", NULL},
                                                  {WICK_ROLE_V, DISTIL_LAYER "attention.v_lin", NULL},
                                                  {WICK_ROLE_O, DISTIL_LAYER "attention.out_lin", NULL},
                                                  {WICK_ROLE_ATTN_POST_NORM, DISTIL_LAYER "sa_layer_norm", NULL},
                                                  {WICK_ROLE_UP, DISTIL_LAYER "ffn.lin1", NULL},
                                                  {WICK_ROLE_DOWN, DISTIL_LAYER "ffn.lin2", NULL},
                                                  {WICK_ROLE_MLP_POST_NORM, DISTIL_LAYER "output_layer_norm", NULL},
                                                  {WICK_ROLE_CLS_DENSE, "pre_classifier", NULL},
                                                  {WICK_ROLE_CLS_OUT, "classifier", NULL},
                                                  {0}};

const wick_arch wick_arch_distilbert = {
    .name = "distilbert",
    .hf = {"distilbert"},
    .block = wick_block_bert,
    .norm = WICK_NORM_LAYER,
    .norm_eps = 1e-12f,
    .encoder = true,
    .act = WICK_ACT_GELU,
    .pool_act = WICK_POOL_ACT_RELU,
    .plain_mlp = true,
    .no_rope = true,
    .roots = "distilbert.|model.|",
    .idle = idle,
    .names = distilbert_names,
    .configure = configure_distilbert,
};

/* Its model_type is "bert", told apart by "position_embedding_type": "alibi" (config.c). */
static wick_status configure_jina_v2(wick_config *c, wick_err *err)
{
    WICK_TRY(expect(c, "feed_forward_type", "geglu", err));
    return read_act(c, "hidden_act", err);
}

static const wick_role_name jina_v2_names[] = {
    {WICK_ROLE_EMBED, "@embeddings.word_embeddings", NULL},
    {WICK_ROLE_TYPE_EMBED, "@embeddings.token_type_embeddings", NULL},
    {WICK_ROLE_EMBED_NORM, "@embeddings.LayerNorm", NULL},
    {WICK_ROLE_OUT_NORM, "", ""},
    {WICK_ROLE_Q, BERT_LAYER "attention.self.query", NULL},
    {WICK_ROLE_K, BERT_LAYER "attention.self.key", NULL},
    {WICK_ROLE_V, BERT_LAYER "attention.self.value", NULL},
    {WICK_ROLE_O, BERT_LAYER "attention.output.dense", NULL},
    {WICK_ROLE_ATTN_POST_NORM, BERT_LAYER "attention.output.LayerNorm", "blk.%.attn_output_norm"},
    {WICK_ROLE_GATE, "", NULL},
    {WICK_ROLE_GATE_UP, BERT_LAYER "mlp.gated_layers", NULL},
    {WICK_ROLE_DOWN, BERT_LAYER "mlp.wo", NULL},
    {WICK_ROLE_MLP_POST_NORM, BERT_LAYER "mlp.layernorm", "blk.%.layer_output_norm"},
    {WICK_ROLE_CLS_DENSE, "@pooler.dense", NULL},
    {WICK_ROLE_CLS_OUT, "classifier", NULL},
    {0}};

const wick_arch wick_arch_jina_bert_v2 = {
    .name = "jina_bert_v2",
    .hf = {"jina_bert_v2"},
    .gguf = {"jina-bert-v2"},
    .block = wick_block_bert,
    .norm = WICK_NORM_LAYER,
    .norm_eps = 1e-12f,
    .encoder = true,
    .alibi = true,
    .act = WICK_ACT_GELU,
    .pool_act = WICK_POOL_ACT_TANH,
    .no_rope = true,
    .roots = "bert.|model.|",
    .idle = idle,
    .names = jina_v2_names,
    .configure = configure_jina_v2,
};

/* The authors' own configuration is that of GPT-2 with more keys; transformers' own has the usual names. */
static wick_status configure_nomic(wick_config *c, wick_err *err)
{
    uint32_t trained = 0;
    float extended = 0;
    if (c->from_gguf) return WICK_OK;
    WICK_TRY(wick_config_f32(c, "rotary_emb_fraction", NULL, 0, 1, &c->rope_partial, err));
    WICK_TRY(wick_config_u32(c, "max_trained_positions", NULL, 1, 1 << 30, &trained, err));
    WICK_TRY(wick_config_f32(c, "rotary_scaling_factor", NULL, 0, 1e6, &extended, err));
    /* A factor stretches the rotation beyond the trained length only, which is where Wick stops. */
    if (extended > 0 && trained && trained < c->n_ctx) c->n_ctx = trained;
    WICK_TRY(read_act(c, "hidden_act", err));
    return read_act(c, "activation_function", err);
}

#define FLASH_LAYER "@encoder.layers.%."
static const wick_role_name nomic_names[] = {
    {WICK_ROLE_EMBED, "@embeddings.word_embeddings", NULL},
    {WICK_ROLE_TYPE_EMBED, "@embeddings.token_type_embeddings", NULL},
    {WICK_ROLE_EMBED_NORM, "@emb_ln|@embeddings.LayerNorm", NULL},
    {WICK_ROLE_OUT_NORM, "", ""},
    {WICK_ROLE_QKV, FLASH_LAYER "attn.Wqkv", NULL},
    {WICK_ROLE_O, FLASH_LAYER "attn.out_proj|@layers.%.self_attn.o_proj", NULL},
    {WICK_ROLE_ATTN_POST_NORM, FLASH_LAYER "norm1|@layers.%.post_attention_layernorm", "blk.%.attn_output_norm"},
    {WICK_ROLE_GATE, FLASH_LAYER "mlp.fc12|@layers.%.mlp.gate_proj", NULL},
    {WICK_ROLE_UP, FLASH_LAYER "mlp.fc11|@layers.%.mlp.up_proj", NULL},
    {WICK_ROLE_DOWN, FLASH_LAYER "mlp.fc2|@layers.%.mlp.down_proj", NULL},
    {WICK_ROLE_MLP_POST_NORM, FLASH_LAYER "norm2|@layers.%.post_mlp_layernorm", "blk.%.layer_output_norm"},
    {0}};

const wick_arch wick_arch_nomic_bert = {
    .name = "nomic_bert",
    .hf = {"nomic_bert"},
    .gguf = {"nomic-bert"},
    .block = wick_block_bert,
    .norm = WICK_NORM_LAYER,
    .norm_eps = 1e-12f,
    .encoder = true,
    .act = WICK_ACT_SILU,
    .rope_theta = 1000,
    .roots = "bert.|model.|",
    .idle = idle,
    .names = nomic_names,
    .configure = configure_nomic,
};

static wick_status configure_flash(wick_config *c, wick_err *err)
{
    return read_act(c, "hidden_act", err);
}

/* jina-embeddings-v3 as transformers and llama.cpp keep it: with a task's adapter already in the weights, or none. */
static const wick_role_name jina_v3_names[] = {
    {WICK_ROLE_EMBED, "@embeddings.word_embeddings", NULL},
    {WICK_ROLE_TYPE_EMBED, "@embeddings.token_type_embeddings", NULL},
    {WICK_ROLE_EMBED_NORM, "@emb_ln|@embeddings.LayerNorm", NULL},
    {WICK_ROLE_OUT_NORM, "", ""},
    {WICK_ROLE_QKV, FLASH_LAYER "mixer.Wqkv", NULL},
    {WICK_ROLE_O, FLASH_LAYER "mixer.out_proj|@layers.%.self_attn.o_proj", NULL},
    {WICK_ROLE_ATTN_POST_NORM, FLASH_LAYER "norm1|@layers.%.post_attention_layernorm", "blk.%.attn_output_norm"},
    {WICK_ROLE_UP, FLASH_LAYER "mlp.fc1|@layers.%.mlp.fc1", NULL},
    {WICK_ROLE_DOWN, FLASH_LAYER "mlp.fc2|@layers.%.mlp.fc2", NULL},
    {WICK_ROLE_MLP_POST_NORM, FLASH_LAYER "norm2|@layers.%.post_mlp_layernorm", "blk.%.layer_output_norm"},
    {WICK_ROLE_CLS_DENSE, "classifier.dense", NULL},
    {WICK_ROLE_CLS_OUT, "classifier.out_proj", NULL},
    {0}};

const wick_arch wick_arch_jina_embeddings_v3 = {
    .name = "jina_embeddings_v3",
    .hf = {"jina_embeddings_v3"},
    .gguf = {"jina-bert-v3"},
    .block = wick_block_bert,
    .norm = WICK_NORM_LAYER,
    .encoder = true,
    .act = WICK_ACT_GELU,
    .pool_act = WICK_POOL_ACT_TANH,
    .plain_mlp = true,
    .rope_theta = 20000,
    .roots = "roberta.|model.|",
    .idle = idle,
    .names = jina_v3_names,
    .configure = configure_flash,
};

static const wick_role_name gte_names[] = {
    {WICK_ROLE_EMBED, "@embeddings.word_embeddings", NULL},
    {WICK_ROLE_TYPE_EMBED, "@embeddings.token_type_embeddings", NULL},
    {WICK_ROLE_EMBED_NORM, "@embeddings.LayerNorm", NULL},
    {WICK_ROLE_OUT_NORM, "", ""},
    {WICK_ROLE_QKV, BERT_LAYER "attention.qkv_proj", NULL},
    {WICK_ROLE_O, BERT_LAYER "attention.o_proj|@layers.%.self_attn.o_proj", NULL},
    {WICK_ROLE_ATTN_POST_NORM, BERT_LAYER "attn_ln|@layers.%.post_attention_layernorm", NULL},
    {WICK_ROLE_GATE_UP, BERT_LAYER "mlp.up_gate_proj", NULL},
    {WICK_ROLE_DOWN, BERT_LAYER "mlp.down_proj|@layers.%.mlp.down_proj", NULL},
    {WICK_ROLE_MLP_POST_NORM, BERT_LAYER "mlp_ln|@layers.%.post_mlp_layernorm", NULL},
    {WICK_ROLE_CLS_DENSE, "@pooler.dense", NULL},
    {WICK_ROLE_CLS_OUT, "classifier", NULL},
    {0}};

const wick_arch wick_arch_gte = {
    .name = "gte",
    .hf = {"gte", "new"},
    .block = wick_block_bert,
    .norm = WICK_NORM_LAYER,
    .norm_eps = 1e-12f,
    .encoder = true,
    .act = WICK_ACT_GELU,
    .pool_act = WICK_POOL_ACT_TANH,
    .up_first = true,
    .rope_theta = 160000,
    .roots = "new.|model.|",
    .idle = idle,
    .names = gte_names,
    .configure = configure_flash,
};

/* local_attention counts both sides. */
static wick_status configure_modernbert(wick_config *c, wick_err *err)
{
    uint32_t width = 128, every = 3;
    if (c->from_gguf && c->window) width = c->window;
    WICK_TRY(wick_config_u32(c, "local_attention", NULL, 1, 1 << 30, &width, err));
    WICK_TRY(wick_config_u32(c, "global_attn_every_n_layers", "attention.sliding_window_pattern", 1, WICK_MAX_LAYERS,
                             &every, err));
    WICK_TRY(wick_config_f32(c, "global_rope_theta", NULL, 1, 1e12, &c->rope_theta, err));
    WICK_TRY(wick_config_f32(c, "local_rope_theta", NULL, 1, 1e12, &c->rope_local_theta, err));
    if (c->rope_local_theta == 0) c->rope_local_theta = 10000;
    c->window = width / 2 + 1;
    WICK_TRY(read_act(c, "hidden_activation", err));
    if (wick_config_get(c, "layer_types") || !c->n_layer) return WICK_OK;
    uint8_t *slide = wick_arena_array(&c->arena, c->n_layer, 1);
    if (!slide) return wick_err_oom(err, "the configuration", c->n_layer, 0);
    for (uint32_t i = 0; i < c->n_layer; i++) slide[i] = i % every != 0;
    c->layer_window = slide;
    return WICK_OK;
}

static const wick_role_name modernbert_names[] = {{WICK_ROLE_EMBED, "@embeddings.tok_embeddings", NULL},
                                                  {WICK_ROLE_EMBED_NORM, "@embeddings.norm", NULL},
                                                  {WICK_ROLE_OUT_NORM, "@final_norm", NULL},
                                                  {WICK_ROLE_ATTN_NORM, "@layers.%.attn_norm", NULL},
                                                  {WICK_ROLE_QKV, "@layers.%.attn.Wqkv", NULL},
                                                  {WICK_ROLE_O, "@layers.%.attn.Wo", NULL},
                                                  {WICK_ROLE_MLP_NORM, "@layers.%.mlp_norm", NULL},
                                                  {WICK_ROLE_GATE_UP, "@layers.%.mlp.Wi", NULL},
                                                  {WICK_ROLE_DOWN, "@layers.%.mlp.Wo", NULL},
                                                  {WICK_ROLE_CLS_DENSE, "head.dense", NULL},
                                                  {WICK_ROLE_CLS_NORM, "head.norm", NULL},
                                                  {WICK_ROLE_CLS_OUT, "classifier", NULL},
                                                  {0}};

const wick_arch wick_arch_modernbert = {
    .name = "modernbert",
    .hf = {"modernbert"},
    .gguf = {"modern-bert"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_LAYER,
    .encoder = true,
    .act = WICK_ACT_GELU,
    .pool_act = WICK_POOL_ACT_GELU,
    .windows = WICK_WINDOW_LAYER_TYPES,
    .plain_local_rope = true,
    .rope_theta = 160000,
    .roots = "model.|",
    .idle = idle,
    .names = modernbert_names,
    .configure = configure_modernbert,
};

const wick_arch wick_arch_eurobert = {
    .name = "eurobert",
    .hf = {"eurobert"},
    .gguf = {"eurobert"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .encoder = true,
    .act = WICK_ACT_SILU,
    .rope_theta = 250000,
    .idle = idle,
};
