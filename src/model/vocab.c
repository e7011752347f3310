/* model/vocab.c - from an opened model, or a path, to its tokenizer and chat template. */
#include "model/vocab.h"
#include <string.h>
#include "base/file.h"
#include "format/gguf.h"

typedef struct vocab_arrays {
    float *scores;
    int32_t *types;
    char *model, *pre;
} vocab_arrays;

static void release(vocab_arrays *a)
{
    wick_free(a->scores);
    wick_free(a->types);
    wick_free(a->model);
    wick_free(a->pre);
}

static bool number_array(const wick_gguf_value *v, uint64_t n)
{
    return v && v->type == WICK_GGUF_ARRAY && v->elem != WICK_GGUF_STRING && v->elem != WICK_GGUF_ARRAY && v->n >= n;
}

static wick_status copy_string(const struct wick_gguf *g, const char *key, char **out, wick_err *err)
{
    wick_str s = {0};
    WICK_TRY(wick_gguf_str(g, key, &s, err));
    if (!s.p) return WICK_OK;
    *out = wick_strndup(s.p, s.n);
    return *out ? WICK_OK : wick_err_oom(err, key, s.n, 0);
}

/* scores and types, where the file has them for every token. */
static wick_status copy_arrays(const struct wick_gguf *g, uint64_t n, vocab_arrays *a, wick_err *err)
{
    const wick_gguf_value *s = wick_gguf_get(g, "tokenizer.ggml.scores"),
                          *t = wick_gguf_get(g, "tokenizer.ggml.token_type");
    if (number_array(s, n)) {
        a->scores = wick_alloc_zero(n, sizeof *a->scores);
        if (!a->scores) return wick_err_oom(err, "the vocabulary", n * sizeof *a->scores, 0);
        for (uint64_t i = 0; i < n; i++) a->scores[i] = (float)wick_gguf_elem_f64(s, i);
    }
    if (number_array(t, n)) {
        a->types = wick_alloc_zero(n, sizeof *a->types);
        if (!a->types) return wick_err_oom(err, "the vocabulary", n * sizeof *a->types, 0);
        for (uint64_t i = 0; i < n; i++) {
            int64_t x = wick_gguf_elem_i64(t, i);
            a->types[i] = x >= 0 && x <= 6 ? (int32_t)x : 0;
        }
    }
    return WICK_OK;
}

static wick_status token_id(const struct wick_gguf *g, const char *key, uint64_t n, int64_t *out, wick_err *err)
{
    WICK_TRY(wick_gguf_i64(g, key, INT64_MIN, INT64_MAX, -1, out, err));
    if (*out < 0 || *out >= (int64_t)n) *out = -1;
    return WICK_OK;
}

/* The compiled normalization of a unigram vocabulary: an array of bytes. */
static void set_charsmap(const struct wick_gguf *g, wick_vocab_source *v)
{
    const wick_gguf_value *map = wick_gguf_get(g, "tokenizer.ggml.precompiled_charsmap");
    if (!map || map->type != WICK_GGUF_ARRAY || (map->elem != WICK_GGUF_U8 && map->elem != WICK_GGUF_I8) || !map->n)
        return;
    v->charsmap = map->data;
    v->n_charsmap = (size_t)map->n;
}

static int flag(const struct wick_gguf *g, const char *key)
{
    const wick_gguf_value *v = wick_gguf_get(g, key);
    return v && v->type == WICK_GGUF_BOOL ? v->i != 0 : -1;
}

static wick_status from_gguf(wick_tokenizer **out, const struct wick_gguf *g, const char *pre, const char *where,
                             wick_err *err)
{
    vocab_arrays a = {0};
    wick_vocab_source v = {0};
    wick_status st;
    const wick_gguf_value *tok = wick_gguf_get(g, "tokenizer.ggml.tokens"),
                          *merges = wick_gguf_get(g, "tokenizer.ggml.merges");
    if (!tok)
        return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, where, "%s: holds no vocabulary (tokenizer.ggml.tokens)", where);
    if (tok->type != WICK_GGUF_ARRAY || tok->elem != WICK_GGUF_STRING || tok->n < 1 || tok->n > WICK_MAX_VOCAB)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: tokenizer.ggml.tokens: expected a list of strings", where);
    WICK_TRY_GOTO(copy_string(g, "tokenizer.ggml.model", &a.model, err));
    WICK_TRY_GOTO(copy_string(g, "tokenizer.ggml.pre", &a.pre, err));
    WICK_TRY_GOTO(copy_arrays(g, tok->n, &a, err));
    v = (wick_vocab_source){.model = a.model ? a.model : "llama",
                            .pre = pre ? pre : a.pre,
                            .tokens = tok->strings,
                            .n = (uint32_t)tok->n,
                            .scores = a.scores,
                            .types = a.types};
    if (merges && merges->type == WICK_GGUF_ARRAY && merges->elem == WICK_GGUF_STRING && merges->n <= UINT32_MAX) {
        v.merges = merges->strings;
        v.n_merges = (uint32_t)merges->n;
    }
    if (!v.n_merges && strcmp(v.model, "gpt2") == 0) {
        st = WICK_FAIL(
            err, WICK_E_BAD_FILE, where,
            "%s: a \"gpt2\" vocabulary without tokenizer.ggml.merges would take every character alone; convert "
            "the model again",
            where);
        goto done;
    }
    WICK_TRY_GOTO(token_id(g, "tokenizer.ggml.bos_token_id", tok->n, &v.bos, err));
    WICK_TRY_GOTO(token_id(g, "tokenizer.ggml.eos_token_id", tok->n, &v.eos, err));
    WICK_TRY_GOTO(token_id(g, "tokenizer.ggml.unknown_token_id", tok->n, &v.unk, err));
    WICK_TRY_GOTO(token_id(g, "tokenizer.ggml.padding_token_id", tok->n, &v.pad, err));
    v.add_bos = flag(g, "tokenizer.ggml.add_bos_token");
    v.add_eos = flag(g, "tokenizer.ggml.add_eos_token");
    v.add_space_prefix = flag(g, "tokenizer.ggml.add_space_prefix");
    v.remove_extra_whitespaces = flag(g, "tokenizer.ggml.remove_extra_whitespaces") == 1;
    set_charsmap(g, &v);
    st = wick_tokenizer_from_vocab(out, &v, where, err);
done:
    release(&a);
    return st;
}

static wick_status from_folder(wick_tokenizer **out, const char *path, wick_err *err)
{
    char *folder = wick_model_folder(path);
    if (!folder) return wick_err_oom(err, "a path", 0, 0);
    wick_status st = wick_tokenizer_open_dir(out, folder, err);
    wick_free(folder);
    return st;
}

static wick_status mismatch(const wick_model *m, uint32_t have, wick_err *err)
{
    uint32_t n = m->plan.n_vocab ? m->plan.n_vocab : m->config.n_vocab;
    wick_status st = WICK_FAIL(
        err, WICK_E_TOKENIZER_MISMATCH, m->path,
        "%s: the tokenizer has %u ids, the model's vocabulary %u: the files are of different models", m->path, have, n);
    if (err) {
        err->need = n;
        err->have = have;
    }
    return st;
}

/* Ordinary tokens past the model's vocabulary. Added ones may lie there: a text model whose tokenizer is shared with
 * one that sees images has marks for them and no rows (the engine refuses them in a prompt). */
static bool outgrows(const wick_tokenizer *t, uint32_t n)
{
    for (uint32_t i = n; i < wick_tokenizer_size(t); i++) {
        wick_token_type type = wick_tokenizer_type(t, (int32_t)i);
        if (type == WICK_TOKEN_NORMAL || type == WICK_TOKEN_BYTE) return true;
    }
    return false;
}

wick_status wick_model_tokenizer(const wick_model *m, wick_tokenizer **out, wick_err *err)
{
    wick_tokenizer *t = NULL;
    uint32_t n = m->plan.n_vocab ? m->plan.n_vocab : m->config.n_vocab;
    if (m->tensors.gguf)
        WICK_TRY(from_gguf(&t, m->tensors.gguf, m->pre, m->path, err));
    else
        WICK_TRY(from_folder(&t, m->path, err));
    if (n && outgrows(t, n)) {
        uint32_t have = wick_tokenizer_size(t);
        wick_tokenizer_free(t);
        return mismatch(m, have, err);
    }
    *out = t;
    return WICK_OK;
}

static bool is_gguf(const char *path)
{
    wick_file f;
    if (!wick_path_is_file(path) || wick_file_open(&f, path, NULL) != WICK_OK) return false;
    bool yes = f.n_bytes >= 4 && memcmp(f.data, "GGUF", 4) == 0;
    wick_file_close(&f);
    return yes;
}

/* A folder whose vocabulary is inside its one GGUF model. */
static bool gguf_folder(const char *path)
{
    wick_tensor_dir d = {0};
    if (!wick_path_is_dir(path) || wick_tensor_dir_open(&d, path, NULL) != WICK_OK) return false;
    bool yes = d.format == WICK_GGUF;
    wick_tensor_dir_close(&d);
    return yes;
}

/* No tokenizer beside a file: the file's own fault where it holds no model either. */
static wick_status unknown_file(const char *path, wick_status st, wick_err *err)
{
    wick_tensor_dir d = {0};
    wick_err why = {0};
    wick_status opened = wick_tensor_dir_open(&d, path, &why);
    wick_tensor_dir_close(&d);
    if (opened != WICK_E_UNSUPPORTED_FORMAT) return st;
    return wick_err_format(err, path, "tokenizer.json, tokenizer.model or GGUF", why.got, NULL);
}

wick_status wick_tokenizer_open_path(wick_tokenizer **out, const char *path, const char *pre, wick_err *err)
{
    bool file = is_gguf(path);
    if (!file) {
        wick_status st = from_folder(out, path, err);
        if (st == WICK_E_MODEL_NOT_FOUND && wick_path_is_file(path)) return unknown_file(path, st, err);
        if (st != WICK_E_MODEL_NOT_FOUND || !gguf_folder(path)) return st;
    }
    wick_tensor_dir d = {0};
    WICK_TRY(file ? wick_gguf_open(&d, path, err) : wick_tensor_dir_open(&d, path, err));
    wick_status st = from_gguf(out, d.gguf, pre, path, err);
    wick_tensor_dir_close(&d);
    return st;
}
