/* model/config_gguf.c - GGUF keys to wick_config, through config.c's table of fields. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "format/gguf.h"
#include "format/tensor_dir.h"
#include "model/arch.h"

const char *wick_config_gguf_key(const wick_config *c, const char *key, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s.%s", c->model_type, key);
    wick_config_saw_gguf(c, wick_gguf_get(c->gguf, buf));
    return buf;
}

/* The value of the first of `keys` (separated by '|') that the file has; `name` (160 bytes) gets its full key. */
static const wick_gguf_value *find(const wick_config *c, const char *keys, char name[160])
{
    for (const char *p = keys; p && *p;) {
        const char *end = strchr(p, '|');
        size_t n = end ? (size_t)(end - p) : strlen(p);
        snprintf(name, 160, "%.64s.%.*s", c->model_type, (int)(n < 80 ? n : 80), p);
        const wick_gguf_value *v = wick_gguf_get(c->gguf, name);
        wick_config_saw_gguf(c, v);
        if (v) return v;
        p = end ? end + 1 : NULL;
    }
    return NULL;
}

static bool is_number(wick_gguf_type t)
{
    return t != WICK_GGUF_STRING && t != WICK_GGUF_ARRAY && t != WICK_GGUF_BOOL;
}

wick_status wick_config_gguf_u32(const wick_config *c, const char *key, uint32_t lo, uint32_t hi, uint32_t *out,
                                 wick_err *err)
{
    char name[160];
    const wick_gguf_value *v = find(c, key, name);
    if (!v) return WICK_OK;
    int64_t x = 0;
    if (v->type == WICK_GGUF_ARRAY) {
        /* Per layer, as hybrid models have head counts: the largest, zeros mark layers without. */
        if (v->elem == WICK_GGUF_STRING || v->elem == WICK_GGUF_ARRAY || v->n == 0 || v->n > WICK_MAX_LAYERS)
            return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key %s: expected a number or one per layer", c->where,
                             name);
        for (uint64_t i = 0; i < v->n; i++) {
            int64_t e = wick_gguf_elem_i64(v, i);
            if (e < 0 || e > hi)
                return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key %s: %lld is outside 0..%u", c->where, name,
                                 (long long)e, hi);
            if (e > x) x = e;
        }
    } else if (!is_number(v->type) || v->type == WICK_GGUF_F32 || v->type == WICK_GGUF_F64) {
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key %s: expected an integer", c->where, name);
    } else {
        x = v->i;
    }
    if (x < lo || x > hi)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key %s: %lld is outside %u..%u", c->where, name,
                         (long long)x, lo, hi);
    *out = (uint32_t)x;
    return WICK_OK;
}

wick_status wick_config_gguf_f32(const wick_config *c, const char *key, double lo, double hi, float *out, wick_err *err)
{
    char name[160];
    const wick_gguf_value *v = find(c, key, name);
    if (!v) return WICK_OK;
    if (!is_number(v->type))
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key %s: expected a number", c->where, name);
    if (!isfinite(v->f) || v->f < lo || v->f > hi)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key %s: %g is outside %g..%g", c->where, name, v->f, lo,
                         hi);
    *out = (float)v->f;
    return WICK_OK;
}

wick_status wick_config_gguf_bool(const wick_config *c, const char *key, bool *out, wick_err *err)
{
    char name[160];
    const wick_gguf_value *v = find(c, key, name);
    if (!v) return WICK_OK;
    if (v->type != WICK_GGUF_BOOL)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key %s: expected a bool", c->where, name);
    *out = v->i != 0;
    return WICK_OK;
}

static wick_status find_arch(wick_config *c, bool meta_only, wick_err *err)
{
    wick_str s = {0};
    WICK_TRY(wick_gguf_str(c->gguf, "general.architecture", &s, err));
    if (!s.n || s.n > 64 || memchr(s.p, 0, s.n))
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key general.architecture is missing or no name",
                         c->where);
    char *name = wick_arena_strndup(&c->arena, s.p, s.n);
    if (!name) return wick_err_oom(err, "the configuration", 0, 0);
    c->model_type = name;
    wick_str kind = {0};
    WICK_TRY(wick_gguf_str(c->gguf, "general.type", &kind, err));
    if (strcmp(name, "clip") == 0 || wick_str_eq(kind, wick_str_of("mmproj")))
        return wick_err_format(err, c->where, "a language model", "a projector of images (mmproj)",
                               "give the model's own GGUF file");
    if (wick_str_eq(kind, wick_str_of("adapter")))
        return wick_err_format(err, c->where, "a language model", "a LoRA adapter",
                               "merge it into its base model first");
    c->arch = wick_arch_find(name, true);
    return c->arch || meta_only ? WICK_OK : wick_arch_unknown(name, true, c->where, err);
}

wick_status wick_config_from_gguf(wick_config *c, const wick_tensor_dir *dir, const char *where, bool meta_only,
                                  wick_err *err)
{
    memset(c, 0, sizeof *c);
    wick_arena_init(&c->arena, 4096);
    wick_status st;
    c->from_gguf = true;
    c->gguf = dir->gguf;
    c->where = wick_arena_strdup(&c->arena, where);
    if (!c->where) {
        st = wick_err_oom(err, "the configuration", 0, 0);
        goto done;
    }
    WICK_TRY_GOTO(find_arch(c, meta_only, err));
    const wick_tensor *embd = wick_tensor_find(dir, "token_embd.weight");
    if (embd && embd->n_dim == 2 && embd->shape[0] <= WICK_MAX_VOCAB) c->n_vocab = (uint32_t)embd->shape[0];
    WICK_TRY_GOTO(wick_config_fill(c, err));
done:
    if (st != WICK_OK) wick_config_release(c);
    return st;
}
