/* format/gguf.c - the key-values of a GGUF file: parsing and typed access.
 *
 * Invariants: keys are unique, not empty, UTF-8, at most 65,535 bytes; arrays are read with the element type that the
 * file declares and lie within the file; bools are 0 or 1. Memory is bounded: at most MAX_KEYS keys and MAX_STRINGS
 * strings in arrays (the largest vocabularies have under a million tokens and merges).
 */
#include "format/gguf_read.h"

#include <inttypes.h>
#include "base/alloc.h"
#include "base/map.h"

#define MAX_KEYS 262144u
#define MAX_KEY_BYTES 65535u /* the format's own limit */
#define MAX_STRINGS 8000000u
#define MAX_ARRAY_DEPTH 8u

struct wick_gguf {
    uint32_t version;
    uint64_t n;
    wick_str *key;
    wick_gguf_value *value;
    wick_map by_key;
    wick_arena arena; /* arrays of strings */
    uint64_t n_strings;
    const char *path; /* borrowed from the file */
};

static const char *const type_names[WICK_GGUF_TYPES] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                        "bool", "string", "array", "u64", "i64", "f64"};
static const uint8_t type_bytes[WICK_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static wick_status bad_key(const wick_gguf *g, wick_str key, uint64_t at, wick_err *err, const char *what)
{
    return WICK_FAIL(err, WICK_E_BAD_FILE, g->path, "%s: byte %" PRIu64 ": key \"%.*s\": %s", g->path, at,
                     key.n > 80 ? 80 : (int)key.n, key.p, what);
}

bool wick_gguf_read_str(wick_reader *r, wick_str *out)
{
    uint64_t n = wick_read_u64(r);
    const uint8_t *p = wick_read_bytes(r, n);
    if (!p) return false;
    *out = (wick_str){(const char *)p, (size_t)n};
    return true;
}

/* Steps over an array; also over arrays of arrays, which no key that Wick knows has. */
static const char *skip_array(wick_reader *r, unsigned depth)
{
    if (depth > MAX_ARRAY_DEPTH) return "arrays nested too deep";
    uint32_t elem = wick_read_u32(r);
    uint64_t n = wick_read_u64(r);
    if (r->failed || elem >= WICK_GGUF_TYPES) return "an array of an unknown type";
    if (!wick_reader_fits(r, n, elem == WICK_GGUF_STRING ? 8 : elem == WICK_GGUF_ARRAY ? 12 : type_bytes[elem]))
        return "an array longer than the file";
    if (type_bytes[elem]) {
        wick_reader_skip(r, n * type_bytes[elem]);
        return NULL;
    }
    for (uint64_t i = 0; i < n; i++) {
        wick_str ignored;
        const char *what = elem == WICK_GGUF_ARRAY           ? skip_array(r, depth + 1)
                           : wick_gguf_read_str(r, &ignored) ? NULL
                                                             : "a string longer than the file";
        if (what) return what;
    }
    return NULL;
}

static const char *read_strings(wick_gguf *g, wick_reader *r, wick_gguf_value *v)
{
    if (v->n > MAX_STRINGS - g->n_strings) return "more strings than the limit of 8000000";
    g->n_strings += v->n;
    wick_str *s = wick_arena_array(&g->arena, v->n ? (size_t)v->n : 1, sizeof *s);
    if (!s) return "out of memory";
    v->strings = s;
    for (uint64_t i = 0; i < v->n; i++)
        if (!wick_gguf_read_str(r, &s[i])) return "a string of the array is longer than the file";
    return NULL;
}

static const char *read_array(wick_gguf *g, wick_reader *r, wick_gguf_value *v)
{
    uint32_t elem = wick_read_u32(r);
    v->n = wick_read_u64(r);
    if (r->failed) return "the file ends in it";
    if (elem >= WICK_GGUF_TYPES) return "an array of an unknown type";
    v->elem = (wick_gguf_type)elem;
    if (!wick_reader_fits(r, v->n, elem == WICK_GGUF_STRING ? 8 : elem == WICK_GGUF_ARRAY ? 12 : type_bytes[elem]))
        return "an array longer than the file";
    if (elem == WICK_GGUF_STRING) return read_strings(g, r, v);
    if (elem == WICK_GGUF_ARRAY) {
        const char *what = NULL;
        for (uint64_t i = 0; !what && i < v->n; i++) what = skip_array(r, 1);
        v->n = 0;
        return what;
    }
    v->data = wick_read_bytes(r, v->n * type_bytes[elem]);
    if (!v->data) return "an array longer than the file";
    for (uint64_t i = 0; elem == WICK_GGUF_BOOL && i < v->n; i++)
        if (v->data[i] > 1) return "a bool that is neither 0 nor 1";
    return NULL;
}

static const char *read_value(wick_gguf *g, wick_reader *r, wick_gguf_value *v)
{
    uint32_t type = wick_read_u32(r);
    if (r->failed) return "the file ends in it";
    if (type >= WICK_GGUF_TYPES) return "a value of an unknown type";
    v->type = (wick_gguf_type)type;
    uint64_t u;
    switch (v->type) {
    case WICK_GGUF_U8: v->i = wick_read_u8(r); break;
    case WICK_GGUF_I8: v->i = (int)(int8_t)wick_read_u8(r); break;
    case WICK_GGUF_U16: v->i = wick_read_u16(r); break;
    case WICK_GGUF_I16: v->i = (int16_t)wick_read_u16(r); break;
    case WICK_GGUF_U32: v->i = wick_read_u32(r); break;
    case WICK_GGUF_I32: v->i = (int32_t)wick_read_u32(r); break;
    case WICK_GGUF_I64: v->i = (int64_t)wick_read_u64(r); break;
    case WICK_GGUF_F32: v->f = (double)wick_read_f32(r); break;
    case WICK_GGUF_F64: v->f = wick_read_f64(r); break;
    case WICK_GGUF_BOOL:
        v->i = wick_read_u8(r);
        if (v->i > 1) return "a bool that is neither 0 nor 1";
        break;
    case WICK_GGUF_U64:
        u = wick_read_u64(r);
        if (u > INT64_MAX) return "a number above 2^63";
        v->i = (int64_t)u;
        break;
    case WICK_GGUF_STRING: return wick_gguf_read_str(r, &v->s) ? NULL : "a string longer than the file";
    case WICK_GGUF_ARRAY: return read_array(g, r, v);
    case WICK_GGUF_TYPES: break;
    }
    if (v->type != WICK_GGUF_F32 && v->type != WICK_GGUF_F64) v->f = (double)v->i;
    return r->failed ? "the file ends in it" : NULL;
}

static wick_status read_pair(wick_gguf *g, wick_reader *r, uint32_t i, wick_err *err)
{
    uint64_t at = r->pos;
    wick_str *key = &g->key[i];
    if (!wick_gguf_read_str(r, key))
        return WICK_FAIL(err, WICK_E_BAD_FILE, g->path,
                         "%s: byte %" PRIu64 ": the file ends in key %" PRIu32 " of %" PRIu64
                         ": it is truncated or damaged",
                         g->path, at, i, g->n);
    if (key->n == 0 || key->n > MAX_KEY_BYTES || !wick_utf8_valid(key->p, key->n) || memchr(key->p, 0, key->n))
        return WICK_FAIL(err, WICK_E_BAD_FILE, g->path,
                         "%s: byte %" PRIu64 ": key %" PRIu32 " must be 1 to %u bytes of UTF-8 without NUL", g->path,
                         at, i, MAX_KEY_BYTES);
    const char *what = read_value(g, r, &g->value[i]);
    if (what && g->arena.failed) return wick_err_oom(err, "the key-values of a GGUF file", 0, 0);
    if (what) return bad_key(g, *key, at, err, what);
    uint32_t old = wick_map_add(&g->by_key, *key, i);
    if (old == WICK_MAP_NONE) return wick_err_oom(err, "the key-values of a GGUF file", 0, 0);
    if (old != i) return bad_key(g, *key, at, err, "it is there twice");
    return WICK_OK;
}

wick_status wick_gguf_parse(const wick_file *f, wick_reader *r, uint32_t version, uint64_t n, wick_gguf **out,
                            wick_err *err)
{
    /* a key of one byte, its type and a value of one byte */
    if (!wick_reader_fits(r, n, 8 + 1 + 4 + 1) || n > MAX_KEYS)
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                         "%s: byte 16: %" PRIu64 " keys, more than the file can hold or than the limit of %u", f->path,
                         n, MAX_KEYS);
    wick_gguf *g = wick_alloc_zero(1, sizeof *g);
    if (!g) return wick_err_oom(err, "the key-values of a GGUF file", sizeof *g, 0);
    g->version = version;
    g->n = n;
    g->path = f->path;
    g->key = wick_alloc_zero((size_t)n + 1, sizeof *g->key);
    g->value = wick_alloc_zero((size_t)n + 1, sizeof *g->value);
    wick_status st = WICK_OK;
    if (!g->key || !g->value || !wick_map_reserve(&g->by_key, (uint32_t)n))
        st = wick_err_oom(err, "the key-values of a GGUF file", n * sizeof *g->value, 0);
    for (uint32_t i = 0; st == WICK_OK && i < n; i++) st = read_pair(g, r, i, err);
    if (st == WICK_OK)
        *out = g;
    else
        wick_gguf_free(g);
    return st;
}

void wick_gguf_free(wick_gguf *g)
{
    if (!g) return;
    wick_map_release(&g->by_key);
    wick_arena_release(&g->arena);
    wick_free(g->key);
    wick_free(g->value);
    wick_free(g);
}

uint64_t wick_gguf_n(const wick_gguf *g)
{
    return g->n;
}

wick_str wick_gguf_key(const wick_gguf *g, uint64_t i)
{
    return g->key[i];
}

const wick_gguf_value *wick_gguf_at(const wick_gguf *g, uint64_t i)
{
    return &g->value[i];
}

const wick_gguf_value *wick_gguf_get(const wick_gguf *g, const char *key)
{
    if (g->n == 0) return NULL;
    uint32_t i = wick_map_get(&g->by_key, wick_str_of(key));
    return i == WICK_MAP_NONE ? NULL : &g->value[i];
}

const char *wick_gguf_type_name(wick_gguf_type t)
{
    return (unsigned)t < WICK_GGUF_TYPES ? type_names[t] : "unknown";
}

/* Element i of a packed array as a value. */
static wick_gguf_value element(const wick_gguf_value *v, uint64_t i)
{
    wick_gguf_value e = {.type = v->elem};
    unsigned size = (unsigned)v->elem < WICK_GGUF_TYPES ? type_bytes[v->elem] : 0;
    if (v->type != WICK_GGUF_ARRAY || !v->data || size == 0 || i >= v->n) return e;
    uint64_t u = 0;
    for (unsigned k = 0; k < size; k++) u |= (uint64_t)v->data[i * size + k] << (8 * k);
    float f32;
    uint32_t low = (uint32_t)u;
    switch (v->elem) {
    case WICK_GGUF_I8: e.i = (int)(int8_t)u; break;
    case WICK_GGUF_I16: e.i = (int16_t)u; break;
    case WICK_GGUF_I32: e.i = (int32_t)low; break;
    case WICK_GGUF_F32:
        memcpy(&f32, &low, 4);
        e.f = (double)f32;
        break;
    case WICK_GGUF_F64: memcpy(&e.f, &u, 8); break;
    default: e.i = (int64_t)u; break;
    }
    return e;
}

static bool is_real(wick_gguf_type t)
{
    return t == WICK_GGUF_F32 || t == WICK_GGUF_F64;
}

double wick_gguf_elem_f64(const wick_gguf_value *v, uint64_t i)
{
    wick_gguf_value e = element(v, i);
    if (is_real(e.type)) return e.f;
    return e.type == WICK_GGUF_U64 ? (double)(uint64_t)e.i : (double)e.i;
}

int64_t wick_gguf_elem_i64(const wick_gguf_value *v, uint64_t i)
{
    wick_gguf_value e = element(v, i);
    if (!is_real(e.type)) return e.type == WICK_GGUF_U64 && e.i < 0 ? INT64_MAX : e.i;
    if (e.f >= 9223372036854775807.0) return INT64_MAX;
    return e.f > -9223372036854775808.0 ? (int64_t)e.f : INT64_MIN; /* NaN too */
}

static wick_status wrong_type(const wick_gguf *g, const char *key, const char *expected, const wick_gguf_value *v,
                              wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_FILE, g->path, "%s: key \"%s\": expected %s, got a value of type %s", g->path, key,
                     expected, wick_gguf_type_name(v->type));
}

wick_status wick_gguf_i64(const wick_gguf *g, const char *key, int64_t lo, int64_t hi, int64_t def, int64_t *out,
                          wick_err *err)
{
    const wick_gguf_value *v = wick_gguf_get(g, key);
    if (!v) {
        *out = def;
        return WICK_OK;
    }
    if (v->type == WICK_GGUF_STRING || v->type == WICK_GGUF_ARRAY || is_real(v->type))
        return wrong_type(g, key, "an integer", v, err);
    if (v->i < lo || v->i > hi)
        return WICK_FAIL(err, WICK_E_BAD_FILE, g->path,
                         "%s: key \"%s\": %" PRId64 " is outside %" PRId64 " to %" PRId64, g->path, key, v->i, lo, hi);
    *out = v->i;
    return WICK_OK;
}

wick_status wick_gguf_f64(const wick_gguf *g, const char *key, double lo, double hi, double def, double *out,
                          wick_err *err)
{
    const wick_gguf_value *v = wick_gguf_get(g, key);
    if (!v) {
        *out = def;
        return WICK_OK;
    }
    if (v->type == WICK_GGUF_STRING || v->type == WICK_GGUF_ARRAY || v->type == WICK_GGUF_BOOL)
        return wrong_type(g, key, "a number", v, err);
    if (!(v->f >= lo && v->f <= hi))
        return WICK_FAIL(err, WICK_E_BAD_FILE, g->path, "%s: key \"%s\": %g is outside %g to %g", g->path, key, v->f,
                         lo, hi);
    *out = v->f;
    return WICK_OK;
}

wick_status wick_gguf_str(const wick_gguf *g, const char *key, wick_str *out, wick_err *err)
{
    const wick_gguf_value *v = wick_gguf_get(g, key);
    if (v && v->type != WICK_GGUF_STRING) return wrong_type(g, key, "a string", v, err);
    *out = v ? v->s : (wick_str){0};
    return WICK_OK;
}
