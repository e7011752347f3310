/* base/json.c - jansson with typed getters and bounded depth.
 *
 * jansson limits nesting at 2048 by itself; 256 is checked on the text before parsing, so that no later recursion over
 * the value (dump, delete) goes deeper either. */
#include "base/json.h"
#if defined(__linux__)
#include <malloc.h>
#endif
#include <math.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json_memory.h"
#include "base/str.h"

enum { JSON_MAX_DEPTH = 256 };

/* Deepest nesting of brackets outside strings; cheap, and never less than the parser would see. */
static bool depth_ok(const char *s, size_t n)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_MAX_DEPTH) return false;
        } else if ((c == ']' || c == '}') && depth) {
            depth--;
        }
    }
    return true;
}

/* Copies a number that starts at s[i]; one of 19 digits or more that is an integer gets ".0". Returns its end. */
static size_t copy_number(wick_buf *b, const char *s, size_t i, size_t n)
{
    size_t from = i;
    bool real = false;
    for (; i < n && strchr("0123456789+-.eE", s[i]) && s[i]; i++) real |= s[i] == '.' || s[i] == 'e' || s[i] == 'E';
    wick_buf_add(b, s + from, i - from);
    if (!real && i - from >= 19) wick_buf_puts(b, ".0");
    return i;
}

/* The text with Python's extras rewritten; only for files that failed as plain JSON. */
static void python_json(wick_buf *b, const char *s, size_t n)
{
    static const struct {
        const char *word, *json;
    } words[] = {{"-Infinity", "-1.7976931348623157e308"}, {"Infinity", "1.7976931348623157e308"}, {"NaN", "null"}};
    for (size_t i = 0; i < n;) {
        size_t from = i;
        if (s[i] == '"') {
            for (i++; i < n && s[i] != '"'; i++) i += s[i] == '\\';
            i = i < n ? i + 1 : n;
            wick_buf_add(b, s + from, i - from);
            continue;
        }
        for (size_t w = 0; w < sizeof words / sizeof *words && i == from; w++) {
            size_t len = strlen(words[w].word);
            if (n - i < len || memcmp(s + i, words[w].word, len) != 0) continue;
            wick_buf_puts(b, words[w].json);
            i += len;
        }
        if (i == from && (s[i] == '-' || (s[i] >= '0' && s[i] <= '9')))
            i = copy_number(b, s, i, n);
        else if (i == from)
            wick_buf_putc(b, s[i++]);
    }
}

static _Thread_local unsigned n_failed;
static _Thread_local bool scanning;

static void *json_alloc(size_t n)
{
    void *p = wick_alloc(n);
    if (p) return p;
    n_failed++;
    return scanning ? wick_alloc(n) : NULL;
}

void wick_json_use_alloc(void)
{
    json_set_alloc_funcs(json_alloc, wick_free);
}

unsigned wick_json_n_failed(void)
{
    return n_failed;
}

/* json_loadb; *no_memory: an allocation failed, so the value (NULL then) or the message would mislead. */
static json_t *load(const char *text, size_t n, size_t flags, json_error_t *je, bool *no_memory)
{
    const unsigned before = n_failed;
    scanning = true;
    json_t *v = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL | flags, je);
    scanning = false;
    *no_memory = n_failed != before || (!v && json_error_code(je) == json_error_out_of_memory);
    if (!*no_memory) return v;
    json_decref(v);
    return NULL;
}

static json_t *load_as_python(const char *text, size_t n, bool *no_memory)
{
    wick_buf b = WICK_BUF_INIT;
    json_error_t je;
    json_t *v = NULL;
    python_json(&b, text, n);
    if (!b.failed) v = load(b.data ? b.data : "", b.n, 0, &je, no_memory);
    wick_buf_release(&b);
    return v;
}

wick_status wick_json_parse(const char *text, size_t n, const char *where, json_t **out, wick_err *err)
{
    json_error_t je;
    if (!depth_ok(text, n))
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: JSON is nested deeper than %d levels", where,
                         JSON_MAX_DEPTH);
    bool no_memory;
    json_t *v = load(text, n, 0, &je, &no_memory);
    if (!v && !no_memory) v = load_as_python(text, n, &no_memory);
    if (!v) {
        if (no_memory) return wick_err_oom(err, where, 0, 0);
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: not valid JSON at line %d, column %d (byte %d): %s", where,
                         je.line, je.column, je.position, je.text);
    }
    *out = v;
    return WICK_OK;
}

wick_status wick_json_parse_strict(const char *text, size_t n, const char *where, json_t **out, wick_err *err)
{
    json_error_t je;
    if (!depth_ok(text, n))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, where, "%s: JSON is nested deeper than %d levels", where,
                         JSON_MAX_DEPTH);
    bool no_memory;
    json_t *v = load(text, n, JSON_REJECT_DUPLICATES, &je, &no_memory);
    if (!v) {
        if (no_memory) return wick_err_oom(err, where, 0, 0);
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, where, "%s: not valid JSON at line %d, column %d: %s", where,
                         je.line, je.column, je.text);
    }
    *out = v;
    return WICK_OK;
}

wick_status wick_json_load(const char *path, size_t max_bytes, json_t **out, wick_err *err)
{
    char *text;
    size_t n;
    WICK_TRY(wick_file_read(path, max_bytes, &text, &n, err));
    wick_status st = wick_json_parse(text, n, path, out, err);
    wick_free(text);
    return st;
}

wick_status wick_json_save(const json_t *v, size_t flags, const char *folder, const char *name, wick_err *err)
{
    char *text = v ? json_dumps(v, flags) : NULL, *path = wick_path_join(folder, name);
    wick_status st = text && path ? wick_file_write(path, text, strlen(text), err) : wick_err_oom(err, name, 0, 0);
    wick_free(text);
    wick_free(path);
    return st;
}

const char *wick_json_type_name(const json_t *v)
{
    if (!v) return "nothing";
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "nothing";
}

static wick_status wrong_type(const char *where, const char *key, const char *expected, const json_t *v, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"%s\": expected %s, got %s", where, key, expected,
                     wick_json_type_name(v));
}

/* The value, or NULL where the key is missing or null. */
static const json_t *lookup(const json_t *o, const char *key)
{
    const json_t *v = json_is_object(o) ? json_object_get(o, key) : NULL;
    return json_is_null(v) ? NULL : v;
}

wick_status wick_json_i64(const json_t *o, const char *key, int64_t lo, int64_t hi, int64_t def, int64_t *out,
                          const char *where, wick_err *err)
{
    const json_t *v = lookup(o, key);
    int64_t n = def;
    if (v) {
        if (json_is_integer(v)) {
            n = json_integer_value(v);
        } else if (json_is_real(v) && json_real_value(v) == floor(json_real_value(v)) &&
                   fabs(json_real_value(v)) < 9e15) {
            n = (int64_t)json_real_value(v);
        } else {
            return wrong_type(where, key, "an integer", v, err);
        }
        if (n < lo || n > hi)
            return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"%s\": %lld is outside %lld..%lld", where, key,
                             (long long)n, (long long)lo, (long long)hi);
    }
    *out = n;
    return WICK_OK;
}

wick_status wick_json_f64(const json_t *o, const char *key, double lo, double hi, double def, double *out,
                          const char *where, wick_err *err)
{
    const json_t *v = lookup(o, key);
    double d = def;
    if (v) {
        if (!json_is_number(v)) return wrong_type(where, key, "a number", v, err);
        d = json_number_value(v);
        if (!(d >= lo && d <= hi))
            return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"%s\": %g is outside %g..%g", where, key, d, lo,
                             hi);
    }
    *out = d;
    return WICK_OK;
}

wick_status wick_json_bool(const json_t *o, const char *key, bool def, bool *out, const char *where, wick_err *err)
{
    const json_t *v = lookup(o, key);
    if (v && !json_is_boolean(v)) return wrong_type(where, key, "true or false", v, err);
    *out = v ? json_is_true(v) : def;
    return WICK_OK;
}

wick_status wick_json_str(const json_t *o, const char *key, const char **out, const char *where, wick_err *err)
{
    const json_t *v = lookup(o, key);
    if (v && !json_is_string(v)) return wrong_type(where, key, "a string", v, err);
    if (v && strlen(json_string_value(v)) != json_string_length(v))
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"%s\": the string holds a NUL byte", where, key);
    *out = v ? json_string_value(v) : NULL;
    return WICK_OK;
}

wick_status wick_json_obj(const json_t *o, const char *key, const json_t **out, const char *where, wick_err *err)
{
    const json_t *v = lookup(o, key);
    if (v && !json_is_object(v)) return wrong_type(where, key, "an object", v, err);
    *out = v;
    return WICK_OK;
}

wick_status wick_json_arr(const json_t *o, const char *key, const json_t **out, const char *where, wick_err *err)
{
    const json_t *v = lookup(o, key);
    if (v && !json_is_array(v)) return wrong_type(where, key, "an array", v, err);
    *out = v;
    return WICK_OK;
}

json_t *wick_json_text(const char *p, size_t n)
{
    json_t *v = json_stringn(p ? p : "", n);
    if (v) return v;
    wick_buf b = WICK_BUF_INIT;
    for (size_t i = 0; p && i < n;) {
        uint32_t cp;
        i += wick_utf8_next(p + i, n - i, &cp);
        wick_buf_utf8(&b, cp == 0xFFFFFFFF ? 0xFFFD : cp);
    }
    v = b.failed ? NULL : json_stringn(b.data ? b.data : "", b.n);
    wick_buf_release(&b);
    return v ? v : json_string("");
}

/* As jansson has them: an object with its first table of buckets, an array with its first room, a member, a value. */
enum { OBJECT_BYTES = 288, ARRAY_BYTES = 128, MEMBER_BYTES = 96, VALUE_BYTES = 48 };

uint64_t wick_json_cost(const char *text, size_t n)
{
    uint64_t cost = VALUE_BYTES;
    for (size_t i = 0; i < n; i++) {
        switch (text[i]) {
        case '{': cost += OBJECT_BYTES; break;
        case '[': cost += ARRAY_BYTES; break;
        case ':': cost += MEMBER_BYTES; break;
        case ',': cost += VALUE_BYTES; break;
        case '"':
            for (i++; i < n && text[i] != '"'; i++, cost++)
                if (text[i] == '\\') i++;
            cost += VALUE_BYTES;
            break;
        default: break;
        }
    }
    return cost;
}

void wick_json_trim(void)
{
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}
