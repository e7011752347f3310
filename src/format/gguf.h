/* format/gguf.h - the key-values of a GGUF v2 or v3 file (little-endian). All strings and arrays borrow from the
 * mapping that the tensor directory owns; strings are not NUL-terminated. */
#pragma once
#include "base/status.h"
#include "base/str.h"

typedef enum wick_gguf_type {
    WICK_GGUF_U8,
    WICK_GGUF_I8,
    WICK_GGUF_U16,
    WICK_GGUF_I16,
    WICK_GGUF_U32,
    WICK_GGUF_I32,
    WICK_GGUF_F32,
    WICK_GGUF_BOOL,
    WICK_GGUF_STRING,
    WICK_GGUF_ARRAY,
    WICK_GGUF_U64,
    WICK_GGUF_I64,
    WICK_GGUF_F64,
    WICK_GGUF_TYPES
} wick_gguf_type;

typedef struct wick_gguf_value {
    wick_gguf_type type;     /* WICK_GGUF_ARRAY: see elem */
    wick_gguf_type elem;     /* of an array; arrays of arrays are skipped over and read as empty */
    uint64_t n;              /* elements of an array */
    int64_t i;               /* every integer and bool (a u64 above INT64_MAX is refused) */
    double f;                /* every number */
    wick_str s;              /* a string */
    const uint8_t *data;     /* an array of numbers: packed, unaligned, little-endian */
    const wick_str *strings; /* an array of strings */
} wick_gguf_value;

typedef struct wick_gguf wick_gguf;

uint64_t wick_gguf_n(const wick_gguf *g);
wick_str wick_gguf_key(const wick_gguf *g, uint64_t i);
const wick_gguf_value *wick_gguf_at(const wick_gguf *g, uint64_t i);
const wick_gguf_value *wick_gguf_get(const wick_gguf *g, const char *key); /* NULL if absent */
const char *wick_gguf_type_name(wick_gguf_type t);                         /* "u32", "string", ... */
/* Element i of an array of numbers or bools, whatever its element type. */
double wick_gguf_elem_f64(const wick_gguf_value *v, uint64_t i);
int64_t wick_gguf_elem_i64(const wick_gguf_value *v, uint64_t i);

/* Typed getters: absent gives the default; another type or a value outside [lo, hi] is WICK_E_BAD_FILE. */
wick_status wick_gguf_i64(const wick_gguf *g, const char *key, int64_t lo, int64_t hi, int64_t def, int64_t *out,
                          wick_err *err) WICK_MUST_CHECK;
wick_status wick_gguf_f64(const wick_gguf *g, const char *key, double lo, double hi, double def, double *out,
                          wick_err *err) WICK_MUST_CHECK;
wick_status wick_gguf_str(const wick_gguf *g, const char *key, wick_str *out,
                          wick_err *err) WICK_MUST_CHECK; /* absent: {NULL, 0} */
