/* model/model.c - opens a model: tensors, configuration, plan, the ids that end a generation. */
#include "model/model.h"
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "format/gguf.h"
#include "model/build.h"
#include "model/pooler.h"
#include "model/vocab.h"

#define GENERATION_MAX_BYTES (1u << 20)
#define MAX_EOS (sizeof((wick_model *)0)->eos / sizeof(int32_t))

char *wick_model_folder(const char *path)
{
    if (wick_path_is_dir(path)) return wick_strdup(path);
    const char *base = wick_path_base(path);
    if (base == path) return wick_strdup(".");
    size_t n = (size_t)(base - path);
    return wick_strndup(path, n > 1 ? n - 1 : 1);
}

static void add_eos(wick_model *m, int64_t id)
{
    if (id < 0 || id >= WICK_MAX_VOCAB || (m->config.n_vocab && id >= m->config.n_vocab)) return;
    for (uint32_t i = 0; i < m->n_eos; i++) {
        if (m->eos[i] == id) return;
    }
    if (m->n_eos < MAX_EOS) m->eos[m->n_eos++] = (int32_t)id;
}

/* A number or a list of numbers; null, absent and an empty list add nothing. */
static wick_status eos_from(wick_model *m, const json_t *v, const char *where, wick_err *err)
{
    if (!v || json_is_null(v)) return WICK_OK;
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_integer(e))
            return WICK_FAIL(err, WICK_E_BAD_FILE, where,
                             "%s: key \"eos_token_id\": expected an integer or a list of them, got %s", where,
                             wick_json_type_name(e));
        add_eos(m, json_integer_value(e));
    }
    return WICK_OK;
}

static wick_status ids_from_gguf(wick_model *m, wick_err *err)
{
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    const struct wick_gguf *g = m->tensors.gguf;
    int64_t id = -1;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        WICK_TRY(wick_gguf_i64(g, keys[i], INT64_MIN, INT64_MAX, -1, &id, err));
        add_eos(m, id);
    }
    const wick_gguf_value *more = wick_gguf_get(g, "tokenizer.ggml.eos_token_ids");
    bool list =
        more && more->type == WICK_GGUF_ARRAY && more->elem != WICK_GGUF_STRING && more->elem != WICK_GGUF_ARRAY;
    for (uint64_t i = 0; list && i < more->n && i < MAX_EOS; i++) add_eos(m, wick_gguf_elem_i64(more, i));
    WICK_TRY(wick_gguf_i64(g, "tokenizer.ggml.bos_token_id", INT64_MIN, INT64_MAX, -1, &id, err));
    if (id >= 0 && id < WICK_MAX_VOCAB) m->bos = (int32_t)id;
    return WICK_OK;
}

/* generation_config.json as mlx-lm takes it: one that cannot be read is passed over, with a warning. */
static wick_status load_generation(wick_model *m, const char *folder, wick_err *err)
{
    char *path = wick_path_join(folder, "generation_config.json");
    if (!path) return wick_err_oom(err, "a path", 0, 0);
    wick_err why = {0};
    if (wick_path_is_file(path) && wick_json_load(path, GENERATION_MAX_BYTES, &m->generation, &why) != WICK_OK) {
        wick_log(WICK_LOG_WARN, "ignored: %s", why.message);
        m->generation = NULL;
    }
    if (m->generation && !json_is_object(m->generation)) {
        wick_log(WICK_LOG_WARN, "ignored: %s is no object", path);
        json_decref(m->generation);
        m->generation = NULL;
    }
    wick_status st = m->generation ? eos_from(m, json_object_get(m->generation, "eos_token_id"), path, err) : WICK_OK;
    wick_free(path);
    return st;
}

static wick_status ids_from_json(wick_model *m, wick_err *err)
{
    const json_t *bos = wick_config_get(&m->config, "bos_token_id");
    if (json_is_integer(bos) && json_integer_value(bos) >= 0 && json_integer_value(bos) < WICK_MAX_VOCAB)
        m->bos = (int32_t)json_integer_value(bos);
    return eos_from(m, wick_config_get(&m->config, "eos_token_id"), m->config.where, err);
}

void wick_model_add_ends(wick_model *m, const wick_tokenizer *t)
{
    int32_t ends[MAX_EOS];
    uint32_t n = t ? wick_tokenizer_ends(t, ends, MAX_EOS) : 0;
    int32_t message = t ? wick_tokenizer_message_end(t) : -1;
    for (uint32_t i = 0; i < n; i++) add_eos(m, ends[i]);
    n = m->n_eos;
    m->n_eos = 0;
    for (uint32_t i = 0; i < n; i++)
        if (m->eos[i] != message) m->eos[m->n_eos++] = m->eos[i];
}

/* The last part of the path; "org/name" inside a Hugging Face cache; GGUF's general.name. */
static wick_status set_name(wick_model *m, wick_err *err)
{
    wick_str s = {0};
    if (m->tensors.gguf) {
        wick_err ignored;
        if (wick_gguf_str(m->tensors.gguf, "general.name", &s, &ignored) != WICK_OK) s.n = 0;
        if (s.n > 200 || !wick_utf8_valid(s.p, s.n)) s.n = 0;
    }
    const char *hub = strstr(m->path, "models--"), *end = hub ? strstr(hub, "/snapshots/") : NULL;
    if (s.n == 0 && end) s = (wick_str){hub + 8, (size_t)(end - hub - 8)};
    if (s.n == 0) {
        size_t n = strlen(m->path);
        while (n > 1 && m->path[n - 1] == '/') n--;
        size_t from = n;
        while (from > 0 && m->path[from - 1] != '/') from--;
        s = (wick_str){m->path + from, n - from};
    }
    m->name = wick_strndup(s.p, s.n);
    if (!m->name) return wick_err_oom(err, "a name", s.n, 0);
    char *dashes = hub && end ? strstr(m->name, "--") : NULL;
    if (dashes && !m->tensors.gguf) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    return WICK_OK;
}

static wick_status open_config(wick_model *m, const char *folder, bool meta_only, wick_err *err)
{
    if (m->tensors.format == WICK_GGUF) return wick_config_from_gguf(&m->config, &m->tensors, m->path, meta_only, err);
    /* Mistral's own files: other names, q and k for interleaved rope, and params.json beside them. */
    bool native = wick_tensor_find(&m->tensors, "tok_embeddings.weight") != NULL;
    char *path = wick_path_join(folder, "config.json"), *params = wick_path_join(folder, "params.json");
    if (native && path && params && wick_path_is_file(params)) {
        wick_free(path);
        path = params;
        params = NULL;
    }
    wick_free(params);
    if (!path) return wick_err_oom(err, "a path", 0, 0);
    wick_status st;
    if (!wick_path_is_file(path))
        st = wick_err_format(err, folder, "config.json beside the weights", "no such file", NULL);
    else
        st = wick_config_from_json(&m->config, path, meta_only, err);
    if (st == WICK_OK && native && !json_object_get(m->config.json, "dim"))
        st = wick_err_format(err, folder, "params.json beside weights under Mistral's own names", "config.json alone",
                             NULL);
    wick_free(path);
    return st;
}

static int hash_chunk(const char *p, size_t n, void *hash)
{
    *(uint64_t *)hash = wick_hash_data(p, n, *(uint64_t *)hash);
    return 0;
}

/* GGUF says everything in its own file. */
static void set_origin(wick_model *m)
{
    m->plan.origin = (wick_origin){.file = m->tensors.file, .n_files = m->tensors.n_files};
    if (m->config.json && json_dump_callback(m->config.json, hash_chunk, &m->plan.origin.settings, JSON_COMPACT) != 0)
        m->plan.origin.n_files = 0;
}

static wick_status open_any(wick_model *m, const char *path, bool meta_only, wick_err *err)
{
    memset(m, 0, sizeof *m);
    m->bos = -1;
    wick_status st;
    char *folder = NULL;
    if (!path || !*path) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "model: the path is empty");
    WICK_TRY_GOTO(wick_tensor_dir_open(&m->tensors, path, err));
    m->path = wick_strdup(path);
    folder = wick_model_folder(path);
    if (!m->path || !folder) {
        st = wick_err_oom(err, "a path", 0, 0);
        goto done;
    }
    WICK_TRY_GOTO(set_name(m, err));
    WICK_TRY_GOTO(open_config(m, folder, meta_only, err));
    if (m->tensors.format == WICK_GGUF) {
        WICK_TRY_GOTO(ids_from_gguf(m, err));
    } else {
        WICK_TRY_GOTO(load_generation(m, folder, err));
        WICK_TRY_GOTO(ids_from_json(m, err));
    }
    if (!meta_only) {
        WICK_TRY_GOTO(wick_plan_build(&m->plan, &m->config, &m->tensors, m->path, err));
        set_origin(m);
        WICK_TRY_GOTO(wick_pooler_files(m, folder, err));
    }
done:
    wick_free(folder);
    if (st != WICK_OK) wick_model_close(m);
    return st;
}

wick_status wick_model_open(wick_model *m, const char *path, wick_err *err)
{
    return open_any(m, path, false, err);
}

wick_status wick_model_open_meta(wick_model *m, const char *path, wick_err *err)
{
    return open_any(m, path, true, err);
}

void wick_model_close(wick_model *m)
{
    wick_plan_release(&m->plan);
    wick_config_release(&m->config);
    wick_tensor_dir_close(&m->tensors);
    json_decref(m->generation);
    wick_free(m->path);
    wick_free(m->name);
    memset(m, 0, sizeof *m);
}
