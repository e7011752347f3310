/* model/pooler_files.c - what files say about pooling: sentence-transformers' folders beside the weights, GGUF's keys.
 *
 * modules.json lists what runs behind the model: Pooling, Dense, Normalize, each with a folder of its own. Whatever
 * there changes the vectors and is not known here is an error by its name. Dense matrices are copied. */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "format/gguf.h"
#include "model/model.h"
#include "model/pooler.h"

#define MAX_BYTES (4u << 20)
#define MAX_DENSE (1u << 16)

typedef struct files {
    wick_model *m;
    wick_pooler *p;
    const char *folder;
} files;

/* folder/name, parsed; *out NULL where there is no such file. */
static wick_status load(const char *folder, const char *name, json_t **out, wick_err *err)
{
    char *path = wick_path_join(folder, name);
    if (!path) return wick_err_oom(err, "a path", 0, 0);
    *out = NULL;
    wick_status st = wick_path_is_file(path) ? wick_json_load(path, MAX_BYTES, out, err) : WICK_OK;
    if (st == WICK_OK && *out && !json_is_object(*out) && !json_is_array(*out)) {
        json_decref(*out);
        *out = NULL;
        st = WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: expected an object or a list", path);
    }
    wick_free(path);
    return st;
}

/* One of the flags pooling_mode_..., or its newer form "pooling_mode": "mean". */
static wick_status pooling(files *f, const char *folder, wick_err *err)
{
    static const struct {
        const char *key;
        wick_pooling p;
    } flags[] = {{"pooling_mode_cls_token", WICK_POOL_FIRST},
                 {"pooling_mode_mean_tokens", WICK_POOL_MEAN},
                 {"pooling_mode_max_tokens", WICK_POOL_MAX},
                 {"pooling_mode_mean_sqrt_len_tokens", WICK_POOL_SQRT_LEN},
                 {"pooling_mode_weightedmean_tokens", WICK_POOL_WEIGHTED},
                 {"pooling_mode_lasttoken", WICK_POOL_LAST}};
    json_t *j = NULL;
    wick_status st = WICK_OK;
    uint32_t n = 0;
    WICK_TRY(load(folder, "config.json", &j, err));
    const json_t *mode = json_object_get(j, "pooling_mode");
    if (json_array_size(mode) == 1) mode = json_array_get(mode, 0);
    const char *s = json_string_value(mode);
    for (size_t i = 0; !s && i < sizeof flags / sizeof *flags; i++) {
        if (!json_is_true(json_object_get(j, flags[i].key))) continue;
        f->p->pooling = flags[i].p;
        n++;
    }
    if (s && !wick_pooling_find(s, &f->p->pooling))
        st = wick_err_format(err, folder, "pooling mean, cls, last, max, mean_sqrt_len or weightedmean", s, NULL);
    else if (json_array_size(mode) > 1 || n > 1)
        st = wick_err_format(err, folder, "one kind of pooling", "several side by side", NULL);
    else if (!s && n == 0)
        f->p->pooling = WICK_POOL_MEAN;
    if (st == WICK_OK && json_is_false(json_object_get(j, "include_prompt")))
        st = wick_err_format(err, folder, "pooling over the whole text", "\"include_prompt\": false", NULL);
    json_decref(j);
    return st;
}

static wick_status read_act(const json_t *j, const char *where, wick_pool_act *out, wick_err *err)
{
    static const struct {
        const char *name;
        wick_pool_act act;
    } known[] = {{"Identity", WICK_POOL_ACT_NONE},
                 {"Tanh", WICK_POOL_ACT_TANH},
                 {"GELU", WICK_POOL_ACT_GELU},
                 {"ReLU", WICK_POOL_ACT_RELU},
                 {"SiLU", WICK_POOL_ACT_SILU}};
    const char *s = json_string_value(json_object_get(j, "activation_function"));
    const char *dot = s ? strrchr(s, '.') : NULL;
    *out = WICK_POOL_ACT_TANH; /* as torch modules are when nothing is said */
    for (size_t i = 0; s && i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, dot ? dot + 1 : s) != 0) continue;
        *out = known[i].act;
        return WICK_OK;
    }
    return s ? wick_err_format(err, where, "activation Identity, Tanh, GELU, ReLU or SiLU", s, NULL) : WICK_OK;
}

static const float *copy(wick_arena *a, const wick_tensor *t)
{
    uint64_t n = wick_tensor_count(t);
    float *p = wick_arena_array(a, n, sizeof *p);
    if (p) wick_to_f32(t->dtype, t->data, p, n);
    return p;
}

static wick_status dense_layer(files *f, const wick_tensor_dir *d, const json_t *j, const char *folder, wick_err *err)
{
    const wick_tensor *t = wick_tensor_find(d, "linear.weight"), *b = wick_tensor_find(d, "linear.bias");
    wick_pool_layer l = {0};
    WICK_TRY(read_act(j, folder, &l.act, err));
    uint32_t n_in = f->p->n_embed ? f->p->embed[f->p->n_embed - 1].w->n_out : f->m->plan.n_embd;
    if (!t || t->n_dim != 2 || !wick_dtype_is_float(t->dtype) || t->shape[0] < 1 || t->shape[0] > MAX_DENSE ||
        t->shape[1] != n_in || (b && (wick_tensor_count(b) != t->shape[0] || !wick_dtype_is_float(b->dtype))))
        return WICK_FAIL(err, WICK_E_BAD_FILE, folder, "%s: expected linear.weight of floats, [any][%u]", folder, n_in);
    if (f->p->n_embed == WICK_POOL_LAYERS)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, folder, "%s: more than %d dense layers", folder,
                         WICK_POOL_LAYERS);
    wick_arena *a = &f->m->plan.arena;
    wick_weight *w = wick_arena_alloc(a, sizeof *w);
    const float *data = copy(a, t);
    if (b) l.b = copy(a, b);
    if (!w || !data || (b && !l.b)) return wick_err_oom(err, "the plan", 0, 0);
    *w = (wick_weight){.name = "dense",
                       .dtype = WICK_DTYPE_F32,
                       .n_out = (uint32_t)t->shape[0],
                       .n_in = n_in,
                       .data = (const uint8_t *)data};
    WICK_TRY(wick_weight_finish(w, err));
    l.w = w;
    f->p->embed[f->p->n_embed++] = l;
    return WICK_OK;
}

static wick_status dense(files *f, const char *folder, wick_err *err)
{
    json_t *j = NULL;
    wick_tensor_dir d = {0};
    WICK_TRY(load(folder, "config.json", &j, err));
    wick_status st = wick_tensor_dir_open(&d, folder, err);
    if (st == WICK_OK) st = dense_layer(f, &d, j, folder, err);
    wick_tensor_dir_close(&d);
    json_decref(j);
    return st;
}

/* A chat model's answers "yes" and "no" as a score, by their ids. */
static wick_status logit_score(files *f, const char *folder, wick_err *err)
{
    json_t *j = NULL;
    int64_t yes = -1, no = -1;
    WICK_TRY(load(folder, "config.json", &j, err));
    wick_status st = wick_json_i64(j, "true_token_id", 0, INT32_MAX, -1, &yes, folder, err);
    if (st == WICK_OK) st = wick_json_i64(j, "false_token_id", 0, INT32_MAX, -1, &no, folder, err);
    json_decref(j);
    return st == WICK_OK ? wick_pooler_judge(f->p, f->m, (int32_t)yes, (int32_t)no, true, err) : st;
}

static wick_status module(files *f, const json_t *entry, wick_err *err)
{
    const char *type = json_string_value(json_object_get(entry, "type"));
    const char *path = json_string_value(json_object_get(entry, "path"));
    const char *dot = type ? strrchr(type, '.') : NULL, *kind = dot ? dot + 1 : type;
    if (!type || !path || strchr(path, '/') || path[0] == '.')
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->folder, "%s: modules.json: expected a type and the name of a folder",
                         f->folder);
    if (strcmp(kind, "Transformer") == 0 || strcmp(kind, "Normalize") == 0) return WICK_OK;
    char *folder = wick_path_join(f->folder, path);
    if (!folder) return wick_err_oom(err, "a path", 0, 0);
    wick_status st;
    if (strcmp(kind, "Pooling") == 0)
        st = pooling(f, folder, err);
    else if (strcmp(kind, "Dense") == 0)
        st = dense(f, folder, err);
    else if (strcmp(kind, "LogitScore") == 0)
        st = logit_score(f, folder, err);
    else
        st = wick_err_format(err, f->folder, "modules Transformer, Pooling, Dense and Normalize", type, NULL);
    wick_free(folder);
    return st;
}

static wick_status modules(files *f, wick_err *err)
{
    json_t *j = NULL, *entry;
    size_t i;
    wick_status st = WICK_OK;
    WICK_TRY(load(f->folder, "modules.json", &j, err));
    json_array_foreach(j, i, entry)
    {
        st = module(f, entry, err);
        if (st != WICK_OK) break;
    }
    json_decref(j);
    return st;
}

static wick_status prompts(files *f, wick_err *err)
{
    json_t *j = NULL;
    const char *key;
    json_t *v;
    WICK_TRY(load(f->folder, "config_sentence_transformers.json", &j, err));
    json_t *list = json_object_get(j, "prompts");
    json_object_foreach(list, key, v)
    {
        if (json_is_string(v)) continue;
        json_decref(j);
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->folder, "%s: prompts: \"%.40s\" is no text", f->folder, key);
    }
    if (json_object_size(list)) f->p->prompts = json_incref(list);
    const char *name = json_string_value(json_object_get(j, "default_prompt_name"));
    if (name) f->p->prompt = wick_arena_strdup(&f->m->plan.arena, name);
    wick_status st = name && !f->p->prompt ? wick_err_oom(err, "the plan", 0, 0) : WICK_OK;
    if (st == WICK_OK && name && !json_object_get(list, name))
        st = WICK_FAIL(err, WICK_E_BAD_FILE, f->folder, "%s: default_prompt_name \"%.40s\" is none of the prompts",
                       f->folder, name);
    json_decref(j);
    return st;
}

static wick_status length(files *f, wick_err *err)
{
    json_t *j = NULL;
    int64_t n = 0;
    WICK_TRY(load(f->folder, "sentence_bert_config.json", &j, err));
    const json_t *v = json_object_get(j, "max_seq_length");
    wick_status st =
        v && !json_is_null(v) ? wick_json_i64(j, "max_seq_length", 1, 1 << 30, 0, &n, f->folder, err) : WICK_OK;
    if (st == WICK_OK && json_is_true(json_object_get(j, "do_lower_case")))
        wick_log(WICK_LOG_WARN, "%s: do_lower_case is left to the tokenizer", f->folder);
    f->p->max_tokens = (uint32_t)n;
    json_decref(j);
    return st;
}

static wick_status from_gguf(wick_model *m, wick_pooler *p, wick_err *err)
{
    static const wick_pooling kinds[] = {WICK_POOL_DEFAULT, WICK_POOL_MEAN, WICK_POOL_FIRST, WICK_POOL_LAST,
                                         WICK_POOL_DEFAULT /* scores */};
    uint32_t kind = 0;
    char key[160];
    wick_str s = {0};
    WICK_TRY(wick_config_gguf_u32(&m->config, "pooling_type", 0, 4, &kind, err));
    p->pooling = kinds[kind];
    const wick_gguf_value *v =
        wick_gguf_get(m->tensors.gguf, wick_config_gguf_key(&m->config, "classifier.output_labels", key, sizeof key));
    if (v && v->type == WICK_GGUF_ARRAY && v->elem == WICK_GGUF_STRING && v->n >= 1 &&
        wick_str_eq(v->strings[0], wick_str_of("yes")))
        p->best = 0;
    WICK_TRY(wick_gguf_str(m->tensors.gguf, "tokenizer.chat_template.rerank", &s, err));
    if (!s.n) return WICK_OK;
    p->pair = wick_arena_strndup(&m->plan.arena, s.p, s.n);
    return p->pair ? WICK_OK : wick_err_oom(err, "the plan", s.n, 0);
}

wick_status wick_pooler_files(wick_model *m, const char *folder, wick_err *err)
{
    files f = {m, m->plan.pooler, folder};
    if (m->tensors.format == WICK_GGUF) {
        WICK_TRY(from_gguf(m, f.p, err));
    } else {
        WICK_TRY(modules(&f, err));
        WICK_TRY(prompts(&f, err));
        WICK_TRY(length(&f, err));
    }
    wick_pooler_measure(f.p, m->plan.n_embd);
    return WICK_OK;
}
