/* base/json.h - typed access to JSON (jansson) with errors that name the file and the key.
 *
 * Getters: a missing key or null gives the default and WICK_OK; a wrong type or a value out of [lo, hi] is
 * WICK_E_BAD_FILE with "<where>: key \"x\": expected ..., got ...". Of duplicate keys the last wins, as
 * in Python. What Python's json module writes and JSON does not know is read too: Infinity becomes the largest double,
 * NaN becomes null, an integer of more than 64 bits a double.
 */
#pragma once
#include <jansson.h>
#include "base/status.h"

/* Parses text of n bytes; `where` names it in messages. Depth is limited to 256, size to max_bytes. Caller
 * json_decref()s. */
wick_status wick_json_parse(const char *text, size_t n, const char *where, json_t **out, wick_err *err) WICK_MUST_CHECK;
/* What comes over the network: JSON as the standard has it, and a key given twice is an error. WICK_E_BAD_PARAMETER. */
wick_status wick_json_parse_strict(const char *text, size_t n, const char *where, json_t **out,
                                   wick_err *err) WICK_MUST_CHECK;
wick_status wick_json_load(const char *path, size_t max_bytes, json_t **out, wick_err *err) WICK_MUST_CHECK;
/* Writes v to the file `name` of a folder as wick_file_write does, with jansson's flags. NULL for v, as it is where
 * making it failed, is WICK_E_OUT_OF_MEMORY. */
wick_status wick_json_save(const json_t *v, size_t flags, const char *folder, const char *name,
                           wick_err *err) WICK_MUST_CHECK;

wick_status wick_json_i64(const json_t *o, const char *key, int64_t lo, int64_t hi, int64_t def, int64_t *out,
                          const char *where, wick_err *err) WICK_MUST_CHECK;
wick_status wick_json_f64(const json_t *o, const char *key, double lo, double hi, double def, double *out,
                          const char *where, wick_err *err) WICK_MUST_CHECK; /* accepts integers; refuses nan and inf */
wick_status wick_json_bool(const json_t *o, const char *key, bool def, bool *out, const char *where,
                           wick_err *err) WICK_MUST_CHECK;
/* The string is borrowed from `o`; NULL if missing. A string with a NUL inside is refused. */
wick_status wick_json_str(const json_t *o, const char *key, const char **out, const char *where,
                          wick_err *err) WICK_MUST_CHECK;
wick_status wick_json_obj(const json_t *o, const char *key, const json_t **out, const char *where,
                          wick_err *err) WICK_MUST_CHECK;
wick_status wick_json_arr(const json_t *o, const char *key, const json_t **out, const char *where,
                          wick_err *err) WICK_MUST_CHECK;
const char *wick_json_type_name(const json_t *v); /* "an object", "a string", ... */
/* A JSON string of bytes that may not be UTF-8: what is invalid becomes U+FFFD. An empty one where memory is short. */
json_t *wick_json_text(const char *p, size_t n);
