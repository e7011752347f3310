/* model/known.c - what of a file nobody asked for: keys that no reader looked at, tensors that no role has.
 *
 * A number that is dropped in silence is a wrong answer that looks right. So the readers of the configuration note each
 * key that they look at, the checkpoint each tensor, and when the plan is built the rest is judged here: keys are named
 * in one warning, but for those that mean nothing to a result; those that are known to change it, and tensors outside
 * the list of what a text model may leave alone, are errors.
 * Invariants: noting never fails (without memory nothing is noted, and the check is left out); the lists are data. */
#include <ctype.h>
#include <string.h>
#include "base/log.h"
#include "format/gguf.h"
#include "model/arch.h"
#include "model/build.h"

#define N(a) (sizeof(a) / sizeof *(a))
#define SHOWN 8 /* names in a warning */

/* Of config.json: training, other heads, bookkeeping of libraries, what follows from other keys. */
static const char *const idle_keys[] = {"architectures",
                                        "auto_map",
                                        "torch_dtype",
                                        "dtype",
                                        "transformers_version",
                                        "use_cache",
                                        "initializer_range",
                                        "pretraining_tp",
                                        "output_router_logits",
                                        "seq_aux",
                                        "output_attentions",
                                        "output_hidden_states",
                                        "return_dict",
                                        "torchscript",
                                        "name_or_path",
                                        "id2label",
                                        "label2id",
                                        "problem_type",
                                        "task_specific_params",
                                        "gradient_checkpointing",
                                        "max_window_layers",
                                        "use_sliding_window",
                                        "model_max_length",
                                        "reorder_and_upcast_attn",
                                        "scale_attn_weights",
                                        "cache_implementation",
                                        "num_nextn_predict_layers",
                                        "ep_size",
                                        "quantization",
                                        "quantization_config",
                                        "compression_config",
                                        "is_encoder_decoder",
                                        "is_decoder",
                                        "add_cross_attention",
                                        "chunk_size_feed_forward",
                                        "use_return_dict",
                                        "tf_legacy_loss",
                                        "use_bfloat16",
                                        "num_return_sequences",
                                        "prefix",
                                        "pruned_heads",
                                        "model_type",
                                        "type_vocab_size",
                                        "text_config",
                                        "vision_config",
                                        "audio_config",
                                        "tokenizer_class",
                                        "language_model_only",
                                        "mtp_num_hidden_layers",
                                        "mtp_use_dedicated_embeddings",
                                        "mlp_only_layers",
                                        "decoder_sparse_step",
                                        "norm_topk_prob",
                                        "intermediate_size",
                                        "num_key_value_heads",
                                        "head_dim",
                                        "rope_theta",
                                        "rope_scaling",
                                        "sliding_window",
                                        "layer_types",
                                        "hidden_act",
                                        "hidden_activation",
                                        "activation_function",
                                        "attention_bias",
                                        "mlp_bias",
                                        "qkv_bias",
                                        "bias",
                                        "use_bias",
                                        "use_qkv_bias",
                                        "attention_out_bias",
                                        "tie_word_embeddings",
                                        "vocab_size_per_layer_input",
                                        "moe_layer_freq",
                                        "topk_method",
                                        "scoring_func",
                                        "n_group",
                                        "topk_group",
                                        "model_parallel_size",
                                        "is_moe_model",
                                        "rms_norm",
                                        "norm_type",
                                        "normalization_function",
                                        "hidden_size",
                                        "num_attention_heads",
                                        "num_hidden_layers",
                                        "position_embedding_type",
                                        "max_position_embeddings",
                                        "vocab_size",
                                        "parallel_attn",
                                        "new_decoder_architecture",
                                        "use_mamba_kernels",
                                        "conv_bias",
                                        "residual_in_fp32",
                                        "rescale_prenorm_residual",
                                        "fused_add_norm",
                                        "use_mambapy",
                                        "use_associative_scan",
                                        "chunk_size",
                                        "time_step_min",
                                        "time_step_max",
                                        "time_step_floor",
                                        "time_step_init_scheme",
                                        "time_step_scale",
                                        "use_cache_quantization",
                                        "use_cache_kernel",
                                        "eos_token",
                                        "bos_token"};
static const char *const idle_parts[] = {"dropout", "pdrop",       "_token_id", "_token_index", "loss_coef",
                                         "unsloth", "initializer", "init_",     "aux_loss",     "summary_",
                                         "vision",  "image",       "video",     "audio"};
/* Multipliers and limits: anything but nothing, or 1, changes every logit. The same words in both kinds of file. */
static const char *const decisive[] = {"attention_multiplier",
                                       "embedding_multiplier",
                                       "residual_multiplier",
                                       "logits_scaling",
                                       "logit_scale",
                                       "scale_emb",
                                       "scale_depth",
                                       "attn_logit_softcapping",
                                       "attn_logit_softcap",
                                       "clip_qkv",
                                       "alibi",
                                       "use_alibi",
                                       "max_alibi_bias",
                                       "scale_attn_by_inverse_layer_idx",
                                       "embedding_scale",
                                       "residual_scale",
                                       "attention.scale",
                                       "attention.clamp_kqv",
                                       "attention.max_alibi_bias",
                                       "router_logit_softcapping",
                                       "swin_norm",
                                       "attention.temperature_scale",
                                       "logit_softcap"};

/* Of params.json: sections of models that are not run from this form. */
static const char *const decisive_objects[] = {"moe", "yarn", "llama_4_scaling"};

bool wick_config_saw_json(const wick_config *c, const char *key)
{
    return c->seen && json_object_set_new(c->seen, key, json_true()) == 0;
}

void wick_config_saw_gguf(const wick_config *c, const wick_gguf_value *v)
{
    if (v && c->gguf_seen) c->gguf_seen[v - wick_gguf_at(c->gguf, 0)] = 1;
}

void wick_config_watch(wick_config *c)
{
    if (c->from_gguf)
        c->gguf_seen = wick_gguf_n(c->gguf) ? wick_arena_array(&c->arena, wick_gguf_n(c->gguf), 1) : NULL;
    else
        c->seen = json_object();
}

static bool listed(const char *const *list, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], key) == 0) return true;
    return false;
}

static bool idle(const char *key)
{
    for (size_t i = 0; i < N(idle_parts); i++)
        if (strstr(key, idle_parts[i])) return true;
    return key[0] == '_' || listed(idle_keys, N(idle_keys), key);
}

/* Names for the warning. */
typedef struct unread {
    char text[400];
    size_t n;
    uint32_t count;
} unread;

static void note(unread *u, const char *name, size_t n)
{
    if (u->count++ >= SHOWN || u->n + n + 3 > sizeof u->text) return;
    if (u->n) u->text[u->n++] = ',', u->text[u->n++] = ' ';
    memcpy(u->text + u->n, name, n);
    u->n += n;
    u->text[u->n] = 0;
}

static wick_status refuse_key(const wick_config *c, const char *key, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, c->where,
                     "%s: key \"%.80s\" changes every result, and %s models are not known to have it", c->where, key,
                     c->arch->name);
}

static wick_status check_json(const wick_config *c, unread *u, wick_err *err)
{
    void *it = json_object_iter((json_t *)(uintptr_t)c->text);
    for (; it; it = json_object_iter_next((json_t *)(uintptr_t)c->text, it)) {
        const char *key = json_object_iter_key(it);
        const json_t *v = json_object_iter_value(it);
        if (json_object_get(c->seen, key) || json_is_null(v) || json_is_false(v) || idle(key)) continue;
        double x = json_number_value(v);
        bool whole = listed(decisive_objects, N(decisive_objects), key) && json_is_object(v);
        if (whole ||
            (listed(decisive, N(decisive), key) && (json_is_true(v) || (json_is_number(v) && x != 0 && x != 1))))
            return refuse_key(c, key, err);
        note(u, key, strlen(key));
    }
    return WICK_OK;
}

static wick_status check_gguf(const wick_config *c, unread *u, wick_err *err)
{
    static const char *const idle_gguf[] = {"context_length",
                                            "vocab_size",
                                            "rope.dimension_sections",
                                            "tensor_data_layout",
                                            "rope.scaling.finetuned",
                                            "attention.layer_norm_epsilon",
                                            "expert_gating_func",
                                            "attention.layer_norm_rms_epsilon",
                                            "attention.value_length",
                                            "attention.key_length",
                                            "pooling_type",
                                            "classifier.output_labels"};
    size_t n_type = strlen(c->model_type);
    for (uint64_t i = 0; i < wick_gguf_n(c->gguf); i++) {
        wick_str k = wick_gguf_key(c->gguf, i);
        const wick_gguf_value *v = wick_gguf_at(c->gguf, i);
        if (c->gguf_seen[i] || k.n <= n_type + 1 || memcmp(k.p, c->model_type, n_type) != 0 || k.p[n_type] != '.')
            continue;
        char key[96];
        if (k.n - n_type - 1 >= sizeof key) continue;
        memcpy(key, k.p + n_type + 1, k.n - n_type - 1);
        key[k.n - n_type - 1] = 0;
        if (listed(idle_gguf, N(idle_gguf), key) || (v->type == WICK_GGUF_BOOL && !v->i)) continue;
        bool number = v->type != WICK_GGUF_STRING && v->type != WICK_GGUF_ARRAY && v->f != 0 && v->f != 1;
        if (listed(decisive, N(decisive), key) && (number || v->type == WICK_GGUF_BOOL)) return refuse_key(c, key, err);
        note(u, key, strlen(key));
    }
    return WICK_OK;
}

static wick_status check_keys(const wick_config *c, wick_err *err)
{
    unread u = {.n = 0};
    if (c->from_gguf ? !c->gguf_seen : !c->seen) return WICK_OK;
    WICK_TRY(c->from_gguf ? check_gguf(c, &u, err) : check_json(c, &u, err));
    if (u.count) wick_log(WICK_LOG_WARN, "%s: not understood: %s%s", c->where, u.text, u.count > SHOWN ? ", ..." : "");
    return WICK_OK;
}

/* Parts of names of what a text model may leave alone. A '^' holds the part to the beginning, a '$' to the end. */
static const char *const idle_tensors[] = {
    /* eyes and ears of models that have them, and what leads to them */
    "vision", "visual", "^vit.", "image_newline", "multi_modal_projector", "mm_projector", "multimodal_projector",
    "audio", "patch_merger", "pre_mm_projector_norm", "^v.", "^mm.", "^a.", "aligner.", "connector", "talker.",
    "code2wav.", "token2wav.", "speech", "perceiver", "resampler",
    /* tables that are computed, masks, counters */
    "rotary_emb", "rope_freqs", "rope_factors", "attn.bias$", "attn.masked_bias$", "attention.bias$",
    "attention.masked_bias$", "position_ids$", "num_batches_tracked$", "attention.rope", "freqs_cis", "rope.freqs$",
    "attn_rot_embd",
    /* layers that predict tokens further ahead */
    "mtp", "nextn", "eh_proj", "enorm", "hnorm", "shared_head",
    /* scales of activations and caches, and what packed forms keep beside their codes */
    "input_scale$", "output_scale$", "k_scale$", "v_scale$", "q_scale$", "kv_scale$", "prob_scale$",
    "input_global_scale$", "input_zero_point$", "weight_shape$", "g_idx$", "qzeros$", "zero_point$", "input_min$",
    "input_max$", ".global_scale$"};

static bool matches(const char *name, const char *part)
{
    size_t n = strlen(part), len = strlen(name);
    if (part[0] == '^') return strncmp(name, part + 1, n - 1) == 0;
    if (part[n - 1] == '$') return len >= n - 1 && memcmp(name + len - (n - 1), part, n - 1) == 0;
    return strstr(name, part) != NULL;
}

/* The layer that a name speaks of: the number behind "layers.", "h." or "blk."; -1: none. */
static int64_t layer_of(const char *name)
{
    static const char *const words[] = {"layers.", "blk.", "h.", "blocks."};
    for (size_t i = 0; i < N(words); i++) {
        const char *p = strstr(name, words[i]);
        if (!p || (p != name && p[-1] != '.')) continue;
        p += strlen(words[i]);
        int64_t n = 0;
        if (!isdigit((unsigned char)*p)) continue;
        for (; isdigit((unsigned char)*p) && n < WICK_MAX_LAYERS * 10; p++) n = n * 10 + (*p - '0');
        return n;
    }
    return -1;
}

/* Layers that read the cache of another one have keys and values of their own in some files. */
static bool shared_keys(const wick_config *c, const char *name, int64_t layer)
{
    if (!c->n_kv_shared || layer < (int64_t)c->n_layer - (int64_t)c->n_kv_shared) return false;
    return strstr(name, "k_proj") || strstr(name, "v_proj") || strstr(name, "k_norm") || strstr(name, "v_norm") ||
           strstr(name, "attn_k") || strstr(name, "attn_v");
}

static bool may_lie(const wick_config *c, const wick_tensor *t)
{
    int64_t layer = layer_of(t->name);
    if (wick_tensor_count(t) == 0 || layer >= (int64_t)c->n_layer || shared_keys(c, t->name, layer)) return true;
    if (t->n_dim == 0 && !strstr(t->name, "scale") && !strstr(t->name, "scalar")) return true; /* counters, flags */
    for (size_t i = 0; i < N(idle_tensors); i++)
        if (matches(t->name, idle_tensors[i])) return true;
    for (const char *const *p = c->arch->idle; p && *p; p++)
        if (matches(t->name, *p)) return true;
    return false;
}

wick_status wick_known_check(const wick_checkpoint *k, wick_err *err)
{
    const wick_tensor *first = NULL;
    uint32_t n = 0;
    WICK_TRY(check_keys(k->cfg, err));
    for (uint32_t i = 0; k->seen && i < k->dir->n_tensors; i++) {
        const wick_tensor *t = &k->dir->tensor[i];
        if (k->seen[i] || may_lie(k->cfg, t)) continue;
        if (!first) first = t;
        n++;
    }
    if (!first) return WICK_OK;
    char more[40] = "";
    if (n > 1) snprintf(more, sizeof more, " (and %u more)", n - 1);
    return WICK_FAIL(
        err, WICK_E_UNSUPPORTED_FORMAT, k->where,
        "%s: tensor %s%s has no place in %s models as Wick knows them; without it the results would be wrong", k->where,
        first->name, more, k->cfg->arch->name);
}
