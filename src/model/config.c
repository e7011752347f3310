/* model/config.c - config.json to wick_config: the table of fields, the lookup of keys, the checks that hold for
 * every architecture. GGUF goes through the same table (config_gguf.c reads the values). */
#include "model/config.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "model/arch.h"

#define CONFIG_MAX_BYTES (64u << 20) /* real files are below 1 MB; the largest list a quantization entry per module */

typedef enum field_type { F_U32, F_F32, F_BOOL } field_type;

typedef struct field {
    field_type type;
    size_t offset;
    const char *keys, *gguf; /* alternatives separated by '|'; gguf without its "<arch>." */
    double lo, hi;
} field;

#define AT(m) offsetof(wick_config, m)
static const field fields[] = {
    {F_U32, AT(n_embd), "hidden_size|n_embd|d_model|dim", "embedding_length", 1, WICK_MAX_DIM},
    {F_U32, AT(n_layer), "num_hidden_layers|n_layer|n_layers|num_layers", "block_count", 1, WICK_MAX_LAYERS},
    {F_U32, AT(n_head), "num_attention_heads|n_head|n_heads", "attention.head_count", 1, WICK_MAX_HEADS},
    {F_U32, AT(n_kv_head), "num_key_value_heads|n_kv_heads", "attention.head_count_kv", 1, WICK_MAX_HEADS},
    {F_U32, AT(head_dim), "head_dim", "attention.key_length", 1, 1 << 14},
    {F_U32, AT(v_head_dim), "v_head_dim", "attention.value_length", 1, 1 << 14},
    {F_U32, AT(n_ff), "intermediate_size|n_inner|ffn_dim|hidden_dim|d_inner", "feed_forward_length", 1, WICK_MAX_DIM},
    {F_U32, AT(n_ctx), "max_position_embeddings|n_positions|n_ctx|max_sequence_length|max_seq_len", "context_length", 1,
     1 << 30},
    {F_F32, AT(norm_eps), "rms_norm_eps|layer_norm_eps|layer_norm_epsilon|norm_epsilon|norm_eps",
     "attention.layer_norm_rms_epsilon|attention.layer_norm_epsilon", 0, 1},
    {F_F32, AT(rope_partial), "partial_rotary_factor|rotary_pct|rope_pct", NULL, 0, 1},
    {F_BOOL, AT(rope_interleaved), "rope_traditional", NULL, 0, 0},
    {F_U32, AT(rope_dims), NULL, "rope.dimension_count", 1, 1 << 14},
    {F_U32, AT(window), "sliding_window", "attention.sliding_window", 0, 1 << 30},
    {F_F32, AT(final_softcap), "final_logit_softcapping", "final_logit_softcapping", 0, 1e6},
    {F_BOOL, AT(qk_norm), "use_qk_norm|qk_layernorm", NULL, 0, 0},
    {F_U32, AT(n_expert), "num_local_experts|num_experts|n_routed_experts|moe_num_experts", "expert_count", 0,
     WICK_MAX_EXPERTS},
    {F_U32, AT(n_expert_used), "num_experts_per_tok|num_experts_per_token|moe_topk|moe_k", "expert_used_count", 0,
     WICK_MAX_EXPERTS},
    {F_U32, AT(n_ff_expert), "moe_intermediate_size|expert_intermediate_size", "expert_feed_forward_length", 0,
     WICK_MAX_DIM},
    {F_U32, AT(n_ff_shared), "shared_expert_intermediate_size", "expert_shared_feed_forward_length", 0, WICK_MAX_DIM},
    {F_U32, AT(n_expert_shared), "n_shared_experts|num_shared_experts|moe_num_shared_experts", "expert_shared_count", 0,
     WICK_MAX_EXPERTS},
    {F_U32, AT(n_group), "n_group", "expert_group_count", 0, WICK_MAX_EXPERTS},
    {F_U32, AT(topk_group), "topk_group", "expert_group_used_count", 0, WICK_MAX_EXPERTS},
    {F_F32, AT(expert_scale), "routed_scaling_factor", "expert_weights_scale", 0, 1e6},
    {F_BOOL, AT(norm_topk), "norm_topk_prob", "expert_weights_norm", 0, 0},
    {F_U32, AT(q_rank), "q_lora_rank", "attention.q_lora_rank", 0, WICK_MAX_DIM},
    {F_U32, AT(kv_rank), "kv_lora_rank", "attention.kv_lora_rank", 1, 1 << 16},
    {F_U32, AT(nope_dim), "qk_nope_head_dim", NULL, 1, 1 << 14},
    {F_U32, AT(mla_rope_dim), "qk_rope_head_dim", NULL, 1, 1 << 14},
};
#undef AT

const json_t *wick_config_get(const wick_config *c, const char *key)
{
    const json_t *v = c->text ? json_object_get(c->text, key) : NULL;
    if (json_is_null(v)) v = NULL;
    if (!v && c->json && c->json != c->text) v = json_object_get(c->json, key);
    if (v) wick_config_saw_json(c, key);
    return json_is_null(v) ? NULL : v;
}

/* The object that has one of `keys`, and which; NULL if none has. `key` has room for 64 bytes. */
static const json_t *find_key(const wick_config *c, const char *keys, char key[64])
{
    for (const char *p = keys; p && *p;) {
        const char *end = strchr(p, '|');
        size_t n = end ? (size_t)(end - p) : strlen(p);
        if (n < 64) {
            memcpy(key, p, n);
            key[n] = 0;
            wick_config_saw_json(c, key);
            const json_t *v = json_object_get(c->text, key);
            if (v && !json_is_null(v)) return c->text;
            v = json_object_get(c->json, key);
            if (v && !json_is_null(v)) return c->json;
        }
        p = end ? end + 1 : NULL;
    }
    return NULL;
}

wick_status wick_config_u32(const wick_config *c, const char *keys, const char *gguf, uint32_t lo, uint32_t hi,
                            uint32_t *out, wick_err *err)
{
    if (c->from_gguf) return gguf ? wick_config_gguf_u32(c, gguf, lo, hi, out, err) : WICK_OK;
    char key[64];
    const json_t *o = find_key(c, keys, key);
    if (!o) return WICK_OK;
    int64_t v = 0;
    WICK_TRY(wick_json_i64(o, key, lo, hi, 0, &v, c->where, err));
    *out = (uint32_t)v;
    return WICK_OK;
}

wick_status wick_config_f32(const wick_config *c, const char *keys, const char *gguf, double lo, double hi, float *out,
                            wick_err *err)
{
    if (c->from_gguf) return gguf ? wick_config_gguf_f32(c, gguf, lo, hi, out, err) : WICK_OK;
    char key[64];
    const json_t *o = find_key(c, keys, key);
    if (!o) return WICK_OK;
    double v = 0;
    WICK_TRY(wick_json_f64(o, key, lo, hi, 0, &v, c->where, err));
    *out = (float)v;
    return WICK_OK;
}

wick_status wick_config_bool(const wick_config *c, const char *keys, const char *gguf, bool *out, wick_err *err)
{
    if (c->from_gguf) return gguf ? wick_config_gguf_bool(c, gguf, out, err) : WICK_OK;
    char key[64];
    const json_t *o = find_key(c, keys, key);
    return o ? wick_json_bool(o, key, *out, out, c->where, err) : WICK_OK;
}

static wick_status read_fields(wick_config *c, wick_err *err)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const field *f = &fields[i];
        void *p = (char *)c + f->offset;
        switch (f->type) {
        case F_U32: /* llama.cpp's converter writes 0 for what a family has not */
            WICK_TRY(wick_config_u32(c, f->keys, f->gguf, c->from_gguf ? 0 : (uint32_t)f->lo, (uint32_t)f->hi, p, err));
            break;
        case F_F32: WICK_TRY(wick_config_f32(c, f->keys, f->gguf, f->lo, f->hi, p, err)); break;
        case F_BOOL: WICK_TRY(wick_config_bool(c, f->keys, f->gguf, p, err)); break;
        }
    }
    return WICK_OK;
}

/* True where one of `keys` is there, if only as null. */
static bool said(const wick_config *c, const char *keys)
{
    for (const char *p = keys; p && *p;) {
        char key[64];
        size_t n = strcspn(p, "|");
        snprintf(key, sizeof key, "%.*s", (int)(n < 63 ? n : 63), p);
        if (json_object_get(c->text, key)) return true;
        p += n + (p[n] == '|');
    }
    return false;
}

/* Before the fields are read. */
static void set_defaults(wick_config *c)
{
    const wick_default *d = c->arch && !c->from_gguf ? c->arch->defaults : NULL;
    for (; d && d->offset; d++) {
        size_t i = 0;
        while (i < sizeof fields / sizeof *fields && fields[i].offset != d->offset) i++;
        if (i == sizeof fields / sizeof *fields || said(c, fields[i].keys)) continue;
        void *p = (char *)c + d->offset;
        if (fields[i].type == F_U32) *(uint32_t *)p = (uint32_t)d->value;
        if (fields[i].type == F_F32) *(float *)p = (float)d->value;
        if (fields[i].type == F_BOOL) *(bool *)p = d->value != 0;
    }
}

static wick_status missing(const wick_config *c, const char *key, const char *gguf, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key \"%s\" is missing", c->where, c->from_gguf ? gguf : key);
}

/* vocab_size: -1 in old files means "as the embedding has it", which wick_plan_build fills in. */
static wick_status read_vocab(wick_config *c, wick_err *err)
{
    if (c->from_gguf) return WICK_OK;
    const json_t *v = wick_config_get(c, "vocab_size");
    if (json_is_integer(v) && json_integer_value(v) == -1) return WICK_OK;
    return wick_config_u32(c, "vocab_size", NULL, 1, WICK_MAX_VOCAB, &c->n_vocab, err);
}

static wick_status read_tie(wick_config *c, wick_err *err)
{
    bool tie = false;
    c->tie = -1;
    if (c->from_gguf || !wick_config_get(c, "tie_word_embeddings")) return WICK_OK;
    WICK_TRY(wick_config_bool(c, "tie_word_embeddings", NULL, &tie, err));
    c->tie = tie;
    return WICK_OK;
}

/* Layers that predict tokens further ahead: GGUF counts them among the blocks, config.json does not. */
static wick_status read_ahead(wick_config *c, wick_err *err)
{
    WICK_TRY(wick_config_u32(c, "num_nextn_predict_layers|mtp_num_hidden_layers|num_mtp_layers", "nextn_predict_layers",
                             0, WICK_MAX_LAYERS, &c->n_ahead, err));
    if (!c->from_gguf || !c->n_ahead) return WICK_OK;
    if (c->n_ahead >= c->n_layer)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: nextn_predict_layers: %u of %u blocks", c->where,
                         c->n_ahead, c->n_layer);
    c->n_layer -= c->n_ahead;
    return WICK_OK;
}

/* A model whose tokens see what comes after them gives embeddings and does not continue texts. */
static wick_status read_causal(wick_config *c, wick_err *err)
{
    bool causal = !c->arch->encoder, both = false;
    WICK_TRY(wick_config_bool(c, "is_causal", "attention.causal", &causal, err));
    const json_t *v = wick_config_get(c, "use_bidirectional_attention");
    const char *whom = json_string_value(v);
    both = json_is_true(v) || (whom && strcmp(whom, "all") == 0); /* "vision": between images only */
    c->both = !causal || both;
    return WICK_OK;
}

/* The family of an activation's name: the exact and the approximate GELU are one here. */
static int act_family(const char *s)
{
    if (strncmp(s, "silu", 4) == 0 || strcmp(s, "swish") == 0 || strcmp(s, "swiglu") == 0) return 1;
    if (strstr(s, "gelu") || strcmp(s, "geglu") == 0) return 2;
    if (strcmp(s, "relu2") == 0) return 3;
    return strcmp(s, "relu") == 0 ? 4 : 0;
}

/* Another activation than the family's changes every result; the reference of some reads the key, that of others does
 * not. */
static wick_status check_act(const wick_config *c, wick_err *err)
{
    static const int family[] = {
        [WICK_ACT_SILU] = 1,  [WICK_ACT_GELU] = 2,       [WICK_ACT_GELU_TANH] = 2, [WICK_ACT_RELU] = 4,
        [WICK_ACT_RELU2] = 3, [WICK_ACT_SWIGLU_OAI] = 0, [WICK_ACT_XIELU] = 0,     [WICK_ACT_IDENTITY] = 0};
    const char *s = json_string_value(wick_config_get(c, "hidden_activation"));
    if (!s) s = json_string_value(wick_config_get(c, "hidden_act"));
    int said = s ? act_family(s) : 0, own = family[c->act];
    if (!said || !own || said == own) return WICK_OK;
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, c->where,
                     "%s: key \"hidden_act\": %s models are not known with \"%.40s\"", c->where, c->arch->name, s);
}

static bool uses_attention(const wick_config *c)
{
    if (!c->layer_mixer) return true;
    for (uint32_t i = 0; i < c->n_layer; i++) {
        if (c->layer_mixer[i] == WICK_MIX_ATTN || c->layer_mixer[i] == WICK_MIX_MLA) return true;
    }
    return false;
}

static wick_status check_heads(wick_config *c, wick_err *err)
{
    if (!c->n_head) return missing(c, "num_attention_heads", "attention.head_count", err);
    if (!c->n_kv_head) c->n_kv_head = c->n_head;
    if (c->n_kv_head > c->n_head || c->n_head % c->n_kv_head)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: %u attention heads cannot share %u key-value heads",
                         c->where, c->n_head, c->n_kv_head);
    if (!c->head_dim) {
        if (c->n_embd % c->n_head)
            return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: hidden size %u is no multiple of %u attention heads",
                             c->where, c->n_embd, c->n_head);
        c->head_dim = c->n_embd / c->n_head;
    }
    if (!c->v_head_dim) c->v_head_dim = c->head_dim;
    if (c->rope_dims > c->head_dim && !c->kv_rank)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: %u rotated dimensions in heads of %u", c->where,
                         c->rope_dims, c->head_dim);
    return WICK_OK;
}

static wick_status check_experts(wick_config *c, wick_err *err)
{
    if (!c->n_expert) return WICK_OK;
    if (!c->n_expert_used) return missing(c, "num_experts_per_tok", "expert_used_count", err);
    if (c->n_expert_used > c->n_expert)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: %u experts per token of %u", c->where, c->n_expert_used,
                         c->n_expert);
    if (!c->topk_group && !c->from_gguf) c->topk_group = 1;
    if (c->n_group > 1 && (c->n_expert % c->n_group || c->topk_group < 1 || c->topk_group > c->n_group ||
                           c->n_expert_used > c->n_expert / c->n_group * c->topk_group))
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: %u of %u expert groups for %u of %u experts", c->where,
                         c->topk_group, c->n_group, c->n_expert_used, c->n_expert);
    return WICK_OK;
}

wick_status wick_config_fill(wick_config *c, wick_err *err)
{
    const wick_arch *a = c->arch;
    wick_config_watch(c);
    c->rope_partial = a && a->rope_partial > 0 ? a->rope_partial : 1;
    c->norm_eps = a ? a->norm_eps : 0;
    if (c->norm_eps == 0) c->norm_eps = 1e-5f;
    if (a) {
        c->act = a->act;
        c->rope_interleaved = a->rope_interleaved || (c->from_gguf && a->gguf_permuted);
    }
    c->rope_theta = a && a->rope_theta > 0 ? a->rope_theta : 10000;
    WICK_TRY(read_vocab(c, err));
    set_defaults(c);
    WICK_TRY(read_fields(c, err));
    WICK_TRY(read_ahead(c, err));
    WICK_TRY(read_tie(c, err));
    WICK_TRY(c->from_gguf ? wick_config_rope_gguf(c, err) : wick_config_rope_json(c, err));
    if (a && a->no_rope_scaling && !c->from_gguf && c->rope.kind != WICK_ROPE_DEFAULT) {
        wick_log(WICK_LOG_WARN, "%s: rope_scaling is not applied to %s models", c->where, a->name);
        c->rope.kind = WICK_ROPE_DEFAULT;
    }
    if (a) WICK_TRY(read_causal(c, err));
    if (a && a->configure) WICK_TRY(a->configure(c, err));
    if (!c->n_embd) return missing(c, "hidden_size", "embedding_length", err);
    if (!c->n_layer) return missing(c, "num_hidden_layers", "block_count", err);
    if (!a) return WICK_OK;
    WICK_TRY(check_act(c, err));
    if (uses_attention(c)) WICK_TRY(check_heads(c, err));
    WICK_TRY(check_experts(c, err));
    return wick_config_layers(c, err);
}

/* Finds the architecture by text_config's model_type, else the wrapper's own. */
static wick_status find_arch(wick_config *c, bool meta_only, wick_err *err)
{
    const char *outer = NULL, *inner = NULL;
    WICK_TRY(wick_json_str(c->json, "model_type", &outer, c->where, err));
    const json_t *text = NULL;
    WICK_TRY(wick_json_obj(c->json, "text_config", &text, c->where, err));
    c->text = text ? text : c->json;
    if (text) WICK_TRY(wick_json_str(text, "model_type", &inner, c->where, err));
    /* The first MLX NPZ models keep Meta's params.json under this name: no model_type, but "dim" and "n_layers". */
    if (!outer && !inner && json_object_get(c->json, "dim") && json_object_get(c->json, "n_layers")) outer = "llama";
    c->model_type = inner ? inner : outer;
    if (!c->model_type) return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key \"model_type\" is missing", c->where);
    c->arch = wick_arch_find(c->model_type, false);
    /* Jina's encoders go by the names of those that they were made of. */
    const char *kind = json_string_value(json_object_get(c->text, "position_embedding_type"));
    if (kind && strcmp(kind, "alibi") == 0 && strcmp(c->model_type, "bert") == 0)
        c->arch = wick_arch_find("jina_bert_v2", false);
    if (kind && strcmp(kind, "rotary") == 0 && strcmp(c->model_type, "xlm-roberta") == 0)
        c->arch = wick_arch_find("jina_embeddings_v3", false);
    if (!c->arch && inner && outer) c->arch = wick_arch_find(outer, false);
    if (!c->arch && !meta_only) return wick_arch_unknown(c->model_type, false, c->where, err);
    return WICK_OK;
}

wick_status wick_config_from_value(wick_config *c, json_t *json, const char *where, bool meta_only, wick_err *err)
{
    memset(c, 0, sizeof *c);
    wick_arena_init(&c->arena, 4096);
    c->json = json;
    wick_status st;
    c->where = wick_arena_strdup(&c->arena, where);
    if (!c->where) {
        st = wick_err_oom(err, "the configuration", 0, 0);
        goto done;
    }
    if (!json_is_object(json)) {
        st = wick_err_format(err, where, "an object", wick_json_type_name(json), NULL);
        goto done;
    }
    WICK_TRY_GOTO(find_arch(c, meta_only, err));
    WICK_TRY_GOTO(wick_config_fill(c, err));
done:
    if (st != WICK_OK) wick_config_release(c);
    return st;
}

wick_status wick_config_from_json(wick_config *c, const char *path, bool meta_only, wick_err *err)
{
    json_t *json = NULL;
    memset(c, 0, sizeof *c);
    WICK_TRY(wick_json_load(path, CONFIG_MAX_BYTES, &json, err));
    return wick_config_from_value(c, json, path, meta_only, err);
}

void wick_config_release(wick_config *c)
{
    json_decref(c->json);
    json_decref(c->seen);
    wick_arena_release(&c->arena);
    memset(c, 0, sizeof *c);
}
