/* format/npy.c - see npy.h.
 * The header is a Python dict of three keys: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }. bfloat16
 * has no code of its own: MLX and ml_dtypes write it as two bytes of void, '<V2' or '|V2'. */
#include "format/npy.h"

#include "base/alloc.h"

typedef struct text {
    const char *p;
    uint64_t n, pos;
} text;

uint64_t wick_npy_header_bytes(const uint8_t p[WICK_NPY_PREFIX])
{
    if (memcmp(p, "\x93NUMPY", 6) != 0 || p[6] < 1 || p[6] > 3) return 0;
    uint64_t n = p[8] | (uint64_t)p[9] << 8, prefix = 10;
    if (p[6] > 1) {
        n |= (uint64_t)p[10] << 16 | (uint64_t)p[11] << 24;
        prefix = 12;
    }
    return n >= 2 && n <= WICK_NPY_MAX_HEADER ? prefix + n : 0;
}

static bool accept(text *s, char c)
{
    while (s->pos < s->n && (s->p[s->pos] == ' ' || s->p[s->pos] == '\n')) s->pos++;
    if (s->pos >= s->n || s->p[s->pos] != c) return false;
    s->pos++;
    return true;
}

static bool word(text *s, const char *w)
{
    size_t n = strlen(w);
    accept(s, 0); /* skips the space before it */
    if (s->n - s->pos < n || memcmp(s->p + s->pos, w, n) != 0) return false;
    s->pos += n;
    return true;
}

static bool string(text *s, wick_str *out)
{
    char quote = accept(s, '\'') ? '\'' : accept(s, '"') ? '"' : 0;
    if (!quote) return false;
    out->p = s->p + s->pos;
    while (s->pos < s->n && s->p[s->pos] != quote) {
        if (s->p[s->pos] == '\\') return false;
        s->pos++;
    }
    if (s->pos >= s->n) return false;
    out->n = (size_t)(s->p + s->pos - out->p);
    s->pos++;
    return true;
}

static bool number(text *s, uint64_t *out)
{
    accept(s, 0);
    uint64_t v = 0, start = s->pos;
    for (; s->pos < s->n && s->p[s->pos] >= '0' && s->p[s->pos] <= '9'; s->pos++)
        if (!wick_mul_ok(v, 10, &v) || !wick_add_ok(v, (uint64_t)(s->p[s->pos] - '0'), &v)) return false;
    *out = v;
    return s->pos > start && (s->p[start] != '0' || s->pos - start == 1);
}

static bool tuple(text *s, wick_tensor *t)
{
    if (!accept(s, '(')) return false;
    while (!accept(s, ')')) {
        if (t->n_dim == WICK_MAX_DIMS || !number(s, &t->shape[t->n_dim])) return false;
        t->n_dim++;
        if (accept(s, ',')) continue;
        return t->n_dim > 1 && accept(s, ')');
    }
    return true;
}

static bool dtype_of(wick_str s, wick_dtype *out)
{
    static const struct {
        const char *code;
        wick_dtype type;
    } known[] = {
        {"<f4", WICK_DTYPE_F32},  {"<f2", WICK_DTYPE_F16},       {"<f8", WICK_DTYPE_F64}, {"<V2", WICK_DTYPE_BF16},
        {"|V2", WICK_DTYPE_BF16}, {"bfloat16", WICK_DTYPE_BF16}, {"<i8", WICK_DTYPE_I64}, {"<i4", WICK_DTYPE_I32},
        {"<i2", WICK_DTYPE_I16},  {"|i1", WICK_DTYPE_I8},        {"<i1", WICK_DTYPE_I8},  {"<u8", WICK_DTYPE_U64},
        {"<u4", WICK_DTYPE_U32},  {"<u2", WICK_DTYPE_U16},       {"|u1", WICK_DTYPE_U8},  {"<u1", WICK_DTYPE_U8},
        {"|b1", WICK_DTYPE_BOOL}, {"<b1", WICK_DTYPE_BOOL},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!wick_str_eq(s, wick_str_of(known[i].code))) continue;
        *out = known[i].type;
        return true;
    }
    return false;
}

static const char *dtype_problem(wick_str s)
{
    if (s.n >= 2 && s.p[0] == '>') return "big-endian numbers; save the array in little-endian order";
    if (s.n >= 2 && s.p[1] == 'O') return "Python objects, which are never unpickled; save plain arrays";
    if (s.n >= 2 && (s.p[1] == 'U' || s.p[1] == 'S')) return "text; a model's arrays hold numbers";
    if (s.n >= 2 && s.p[1] == 'c') return "complex numbers";
    return "a dtype that is not known";
}

const char *wick_npy_parse(const uint8_t *header, uint64_t n, wick_tensor *t, bool *column_major, bool *dtype_unknown)
{
    text s = {(const char *)header, n, header[6] > 1 ? 12 : 10};
    wick_str descr = {0}, key;
    bool fortran = false;
    unsigned seen = 0;
    *dtype_unknown = false;
    if (!accept(&s, '{')) return "the .npy header is no dict";
    while (!accept(&s, '}')) {
        if (!string(&s, &key) || !accept(&s, ':')) return "the .npy header is damaged";
        unsigned bit = 0;
        bool ok = false;
        if (wick_str_eq(key, wick_str_of("descr"))) {
            bit = 1;
            if (!string(&s, &descr)) return "key 'descr' of the .npy header is no plain dtype";
            ok = true;
        } else if (wick_str_eq(key, wick_str_of("fortran_order"))) {
            bit = 2;
            fortran = word(&s, "True");
            ok = fortran || word(&s, "False");
        } else if (wick_str_eq(key, wick_str_of("shape"))) {
            bit = 4;
            ok = (seen & 4) == 0 && tuple(&s, t);
        }
        if (!ok || (seen & bit))
            return bit == 4   ? "key 'shape' of the .npy header is no tuple of at most 6 sizes"
                   : bit == 2 ? "key 'fortran_order' of the .npy header is neither True nor False"
                              : "the .npy header has an unknown key, or one twice";
        seen |= bit;
        if (!accept(&s, ',') && !(accept(&s, '}') && (s.pos--, true))) return "the .npy header is damaged";
    }
    accept(&s, 0);
    if (s.pos != s.n) return "text after the dict of the .npy header";
    if (seen != 7) return "the .npy header lacks 'descr', 'fortran_order' or 'shape'";
    if (!dtype_of(descr, &t->dtype)) {
        *dtype_unknown = true;
        return dtype_problem(descr);
    }
    unsigned wide = 0; /* with one dimension above 1, both orders are the same */
    for (uint32_t i = 0; i < t->n_dim; i++) wide += t->shape[i] != 1;
    *column_major = fortran && wide > 1;
    return NULL;
}
