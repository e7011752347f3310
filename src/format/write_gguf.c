/* format/write_gguf.c - GGUF version 3 written, little-endian: keys, descriptions of tensors, data aligned to 32. */
#include <inttypes.h>

#include "format/writer_int.h"

#define ALIGN 32u
#define MAX_GGUF_DIMS 4u

static void put_n(wick_buf *b, uint64_t v, unsigned n_bytes)
{
    for (unsigned i = 0; i < n_bytes; i++) wick_buf_putc(b, (char)(v >> (8 * i)));
}

static void put_str(wick_buf *b, wick_str s)
{
    put_n(b, s.n, 8);
    wick_buf_add(b, s.p, s.n);
}

static void put_key(wick_gguf_keys *k, wick_str key, wick_gguf_type t)
{
    put_str(&k->buf, key);
    put_n(&k->buf, (uint64_t)t, 4);
    k->n++;
}

static void put_array(wick_gguf_keys *k, wick_str key, wick_gguf_type elem, uint64_t n)
{
    put_key(k, key, WICK_GGUF_ARRAY);
    put_n(&k->buf, (uint64_t)elem, 4);
    put_n(&k->buf, n, 8);
}

void wick_gguf_keys_release(wick_gguf_keys *k)
{
    wick_buf_release(&k->buf);
    k->n = 0;
}

void wick_gguf_put_str(wick_gguf_keys *k, const char *key, wick_str value)
{
    put_key(k, wick_str_of(key), WICK_GGUF_STRING);
    put_str(&k->buf, value);
}

void wick_gguf_put_u32(wick_gguf_keys *k, const char *key, uint32_t value)
{
    put_key(k, wick_str_of(key), WICK_GGUF_U32);
    put_n(&k->buf, value, 4);
}

void wick_gguf_put_f32(wick_gguf_keys *k, const char *key, float value)
{
    put_key(k, wick_str_of(key), WICK_GGUF_F32);
    put_n(&k->buf, wick_f32_to_bits(value), 4);
}

void wick_gguf_put_bool(wick_gguf_keys *k, const char *key, bool value)
{
    put_key(k, wick_str_of(key), WICK_GGUF_BOOL);
    put_n(&k->buf, value, 1);
}

void wick_gguf_put_strings(wick_gguf_keys *k, const char *key, const wick_str *value, uint64_t n)
{
    put_array(k, wick_str_of(key), WICK_GGUF_STRING, n);
    for (uint64_t i = 0; i < n; i++) put_str(&k->buf, value[i]);
}

void wick_gguf_put_words(wick_gguf_keys *k, const char *key, wick_gguf_type elem, const void *value, uint64_t n)
{
    const uint8_t *p = value;
    put_array(k, wick_str_of(key), elem, n);
    for (uint64_t i = 0; i < n; i++, p += 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        put_n(&k->buf, word, 4);
    }
}

static unsigned bytes_of(wick_gguf_type t)
{
    switch (t) {
    case WICK_GGUF_U8:
    case WICK_GGUF_I8:
    case WICK_GGUF_BOOL: return 1;
    case WICK_GGUF_U16:
    case WICK_GGUF_I16: return 2;
    case WICK_GGUF_U32:
    case WICK_GGUF_I32:
    case WICK_GGUF_F32: return 4;
    default: return 8;
    }
}

bool wick_gguf_put_value(wick_gguf_keys *k, wick_str key, const wick_gguf_value *v)
{
    uint64_t bits;
    if (v->type == WICK_GGUF_ARRAY) {
        if (v->elem == WICK_GGUF_ARRAY) return false;
        put_array(k, key, v->elem, v->n);
        for (uint64_t i = 0; v->elem == WICK_GGUF_STRING && i < v->n; i++) put_str(&k->buf, v->strings[i]);
        if (v->elem != WICK_GGUF_STRING) wick_buf_add(&k->buf, v->data, v->n * bytes_of(v->elem));
        return true;
    }
    put_key(k, key, v->type);
    switch (v->type) {
    case WICK_GGUF_STRING: put_str(&k->buf, v->s); break;
    case WICK_GGUF_F32: put_n(&k->buf, wick_f32_to_bits((float)v->f), 4); break;
    case WICK_GGUF_F64:
        memcpy(&bits, &v->f, 8);
        put_n(&k->buf, bits, 8);
        break;
    default: put_n(&k->buf, (uint64_t)v->i, bytes_of(v->type));
    }
    return true;
}

/* X(name, ..., number) of base/dtype.h; -1: the type is none of GGUF's. */
static int type_number(wick_dtype t)
{
    static const int numbers[] = {
#define X(name, text, elems, bytes, gguf) gguf,
        WICK_DTYPES(X)
#undef X
    };
    return (unsigned)t < WICK_DTYPE_COUNT ? numbers[t] : -1;
}

wick_status wick_gguf_begin(wick_tensor_writer *w, wick_err *err)
{
    wick_buf b = WICK_BUF_INIT;
    wick_status st = WICK_OK;
    uint64_t at = 0;
    wick_buf_puts(&b, "GGUF");
    put_n(&b, 3, 4);
    put_n(&b, w->n, 8);
    put_n(&b, w->opts.keys->n, 8);
    wick_buf_add(&b, w->opts.keys->buf.data, w->opts.keys->buf.n);
    for (uint32_t i = 0; i < w->n; i++) {
        const wick_tensor *t = &w->tensor[i];
        int number = type_number(t->dtype);
        if (number < 0 || t->n_dim > MAX_GGUF_DIMS) {
            st = WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, t->name, "%s: GGUF has no %s of %" PRIu32 " dimensions",
                           t->name, wick_dtype_name(t->dtype), t->n_dim);
            goto done;
        }
        put_str(&b, wick_str_of(t->name));
        put_n(&b, t->n_dim, 4);
        for (uint32_t k = t->n_dim; k > 0; k--) put_n(&b, t->shape[k - 1], 8);
        put_n(&b, (uint64_t)number, 4);
        put_n(&b, at, 8);
        w->at[i] = at;
        at += (t->n_bytes + ALIGN - 1) / ALIGN * ALIGN;
    }
    while (b.n % ALIGN && !b.failed) wick_buf_putc(&b, 0);
    if (b.failed || w->opts.keys->buf.failed) {
        st = wick_err_oom(err, "the keys of a GGUF file", 0, 0);
        goto done;
    }
    for (uint32_t i = 0; i < w->n; i++) w->at[i] += b.n;
    WICK_TRY_GOTO(wick_out_create(w, 0, w->opts.file, err));
    WICK_TRY_GOTO(wick_out_put(w, 0, 0, b.data, b.n, err));
    uint64_t end = b.n + at, last = w->n ? w->at[w->n - 1] + w->tensor[w->n - 1].n_bytes : end;
    while (st == WICK_OK && last < end) st = wick_out_put(w, 0, last++, "", 1, err); /* the last tensor's padding */
done:
    wick_buf_release(&b);
    return st;
}
