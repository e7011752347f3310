/* grammar/schema_value.c - keywords of numbers and texts, types, and fixed values (enum, const). */
#include "grammar/pattern.h"
#include "grammar/schema_int.h"

/* ---- enum and const ---- */
static wick_status fixed_object(wick_sc *c, const json_t *v, wick_f *out)
{
    const char *key;
    json_t *x;
    uint32_t n = 0, size = (uint32_t)json_object_size(v);
    uint32_t *names = wick_arena_array(&c->arena, size + 1u, sizeof *names);
    wick_f *parts = wick_arena_array(&c->arena, 2 * size + 2u, sizeof *parts);
    if (!names || !parts) return wick_err_oom(c->err, "the schema", 0, 0);
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        const json_t *one = x;
        wick_f f;
        names[n] = wick_f_string(c->f, key, strlen(key));
        WICK_TRY(wick_sc_values(c, &one, 1, &f));
        parts[2 * n] = wick_f_make(c->f, F_REQ, names[n], 0, 0, 0);
        parts[2 * n + 1] = wick_f_each(c->f, wick_f_keys_one(c->f, names[n]), f);
        n++;
    }
    parts[2 * n] = wick_f_type(c->f, WICK_T_OBJECT);
    parts[2 * n + 1] = wick_f_each(c->f, wick_f_keys_others(c->f, names, n, NULL, 0), WICK_F_FALSE);
    *out = wick_f_list(c->f, F_AND, parts, 2 * n + 2);
    return WICK_OK;
}

static wick_status fixed_array(wick_sc *c, const json_t *v, wick_f *out)
{
    uint32_t n = (uint32_t)json_array_size(v);
    wick_f f = wick_f_type(c->f, WICK_T_ARRAY);
    for (uint32_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(v, i);
        wick_f x;
        WICK_TRY(wick_sc_values(c, &one, 1, &x));
        f = wick_f_and2(c->f, f, wick_f_items(c->f, i, i + 1, x));
    }
    f = wick_f_and2(c->f, f, wick_f_count(c->f, F_MINI, n, 0));
    *out = wick_f_and2(c->f, f, wick_f_not(c->f, wick_f_count(c->f, F_MINI, n + 1, 0)));
    return WICK_OK;
}

wick_status wick_sc_values(wick_sc *c, const json_t *const *v, size_t n, wick_f *out)
{
    wick_str *words = wick_arena_array(&c->arena, n + 1, sizeof *words);
    wick_re *numbers = wick_arena_array(&c->arena, n + 1, sizeof *numbers);
    uint32_t n_words = 0, n_numbers = 0, mask = 0;
    wick_f r = WICK_F_FALSE, f;
    if (!words || !numbers) return wick_err_oom(c->err, "the schema", 0, 0);
    if (++c->depth > SC_MAX_NEST) return wick_sc_bad(c, "enum", "nested too deeply");
    for (size_t i = 0; i < n; i++) {
        wick_decimal d;
        f = WICK_F_FALSE;
        if (json_is_string(v[i])) {
            words[n_words++] = (wick_str){json_string_value(v[i]), json_string_length(v[i])};
        } else if (json_is_number(v[i])) {
            if (!wick_sc_decimal(v[i], &d)) return wick_sc_refuse(c, "enum", "a number with too many digits");
            numbers[n_numbers++] = wick_num_equal(c->re, &d);
        } else if (json_is_object(v[i])) {
            WICK_TRY(fixed_object(c, v[i], &f));
        } else if (json_is_array(v[i])) {
            WICK_TRY(fixed_array(c, v[i], &f));
        } else {
            mask |= json_is_null(v[i]) ? WICK_T_NULL : json_is_true(v[i]) ? WICK_T_TRUE : WICK_T_FALSE;
        }
        r = wick_f_or2(c->f, r, f);
    }
    c->depth--;
    /* One assertion each for texts and numbers, with one mask: the types of all plain values. */
    wick_f plain = WICK_F_FALSE;
    if (n_words) mask |= WICK_T_STRING;
    if (n_numbers) mask |= WICK_T_NUMBER;
    if (mask) plain = wick_f_type(c->f, mask);
    if (n_words)
        plain = wick_f_and2(c->f, plain, wick_f_make(c->f, F_STR, wick_re_words(c->re, words, n_words), 0, 0, 0));
    if (n_numbers)
        plain = wick_f_and2(c->f, plain, wick_f_make(c->f, F_NUM, wick_re_or(c->re, numbers, n_numbers), 0, 0, 0));
    *out = wick_f_or2(c->f, r, plain);
    return wick_re_ok(c->re) ? WICK_OK : wick_sc_failed(c);
}

static wick_status fixed(wick_sc *c, const json_t *s, wick_f *f)
{
    const json_t *list = json_object_get(s, "enum"), *one = json_object_get(s, "const");
    size_t n = json_array_size(list);
    wick_f r;
    if (list && !json_is_array(list)) return wick_sc_bad(c, "enum", "expected a list");
    if (list) {
        const json_t **v = wick_arena_array(&c->arena, n + 1, sizeof *v);
        if (!v) return wick_err_oom(c->err, "the schema", 0, 0);
        for (size_t i = 0; i < n; i++) v[i] = json_array_get(list, i);
        WICK_TRY(wick_sc_values(c, v, n, &r));
        *f = wick_f_and2(c->f, *f, r);
    }
    if (one && c->draft != DRAFT_4) {
        WICK_TRY(wick_sc_values(c, &one, 1, &r));
        *f = wick_f_and2(c->f, *f, r);
    }
    return WICK_OK;
}

/* ---- type ---- */
static uint32_t type_mask(const char *name, bool *integer)
{
    static const struct {
        const char *name;
        uint32_t mask;
    } types[] = {{"null", WICK_T_NULL},     {"boolean", WICK_T_FALSE | WICK_T_TRUE},
                 {"number", WICK_T_NUMBER}, {"string", WICK_T_STRING},
                 {"array", WICK_T_ARRAY},   {"object", WICK_T_OBJECT}};
    if (strcmp(name, "integer") == 0) {
        *integer = true;
        return WICK_T_NUMBER;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(name, types[i].name) == 0) return types[i].mask;
    return 0;
}

static wick_re integers(wick_sc *c)
{
    if (c->draft != DRAFT_4) return wick_num_integer(c->re);
    wick_re digits = wick_re_rep(c->re, wick_re_bytes(c->re, '0', '9'), 0, WICK_RE_INF); /* there 1.0 is none */
    wick_re r =
        wick_re_or2(c->re, wick_re_byte(c->re, '0'), wick_re_cat(c->re, wick_re_bytes(c->re, '1', '9'), digits));
    return wick_re_cat(c->re, wick_re_rep(c->re, wick_re_byte(c->re, '-'), 0, 1), r);
}

static wick_status type(wick_sc *c, const json_t *s, wick_f *f)
{
    const json_t *v = json_object_get(s, "type");
    uint32_t mask = 0;
    bool integer = false, number = false;
    if (!v) return WICK_OK;
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *t = json_is_array(v) ? json_array_get(v, i) : v;
        uint32_t m = json_is_string(t) ? type_mask(json_string_value(t), &integer) : 0;
        if (!m) return wick_sc_bad(c, "type", "unknown type");
        if (strcmp(json_string_value(t), "number") == 0) number = true;
        mask |= m;
    }
    *f = wick_f_and2(c->f, *f, wick_f_type(c->f, mask));
    if (integer && !number) *f = wick_f_and2(c->f, *f, wick_f_make(c->f, F_NUM, integers(c), 0, 0, 0));
    return WICK_OK;
}

/* ---- numbers ---- */
static wick_status bound(wick_sc *c, const json_t *v, const char *keyword, wick_num_op op, wick_f *f)
{
    wick_decimal d;
    if (!v) return WICK_OK;
    if (!json_is_number(v)) return wick_sc_bad(c, keyword, "expected a number");
    if (!wick_sc_decimal(v, &d)) {
        if (json_number_value(v) > 0 ? op <= NUM_LE : op >= NUM_GE) return WICK_OK; /* every double fulfils it */
        return wick_sc_refuse(c, keyword, "a number out of range");
    }
    *f = wick_f_and2(c->f, *f, wick_f_make(c->f, F_NUM, wick_num_bound(c->re, op, &d), 0, 0, 0));
    return WICK_OK;
}

static wick_status numbers(wick_sc *c, const json_t *s, wick_f *f)
{
    const json_t *min = json_object_get(s, "minimum"), *max = json_object_get(s, "maximum");
    const json_t *xmin = json_object_get(s, "exclusiveMinimum"), *xmax = json_object_get(s, "exclusiveMaximum");
    const json_t *m = json_object_get(s, "multipleOf");
    WICK_TRY(bound(c, min, "minimum", json_is_true(xmin) ? NUM_GT : NUM_GE, f));
    WICK_TRY(bound(c, max, "maximum", json_is_true(xmax) ? NUM_LT : NUM_LE, f));
    if (!json_is_boolean(xmin)) WICK_TRY(bound(c, xmin, "exclusiveMinimum", NUM_GT, f));
    if (!json_is_boolean(xmax)) WICK_TRY(bound(c, xmax, "exclusiveMaximum", NUM_LT, f));
    if (!m) return WICK_OK;
    wick_decimal d;
    if (!json_is_number(m) || json_number_value(m) <= 0)
        return wick_sc_bad(c, "multipleOf", "expected a positive number");
    wick_re r = wick_sc_decimal(m, &d) ? wick_num_multiple(c->re, &d) : WICK_RE_NONE;
    if (!wick_re_ok(c->re)) return wick_sc_failed(c);
    if (r == WICK_RE_NONE) return wick_sc_refuse(c, "multipleOf", "a number with too many digits");
    *f = wick_f_and2(c->f, *f, wick_f_make(c->f, F_NUM, r, 0, 0, 0));
    return WICK_OK;
}

/* ---- texts ---- */
static wick_status lengths(wick_sc *c, const json_t *s, wick_f *f)
{
    uint32_t lo = 0, hi = WICK_RE_INF;
    bool has_lo, has_hi;
    WICK_TRY(wick_sc_count(c, s, "minLength", &lo, &has_lo));
    WICK_TRY(wick_sc_count(c, s, "maxLength", &hi, &has_hi));
    if ((!has_lo && !has_hi) || (lo == 0 && !has_hi)) return WICK_OK;
    wick_re r = lo > hi ? WICK_RE_NONE : wick_re_rep(c->re, wick_re_any_char(c->re), lo, hi);
    *f = wick_f_and2(c->f, *f, wick_f_make(c->f, F_STR, r, 0, 0, 0));
    return WICK_OK;
}

static wick_status texts(wick_sc *c, const json_t *s, wick_f *f)
{
    const json_t *p = json_object_get(s, "pattern"), *t = json_object_get(s, "format");
    wick_re r;
    WICK_TRY(lengths(c, s, f));
    if (p && !json_is_string(p)) return wick_sc_bad(c, "pattern", "expected a text");
    if (p) {
        wick_err why = {0};
        wick_status st = wick_pattern_compile(c->re, json_string_value(p), json_string_length(p), WICK_PATTERN_ECMA,
                                              WICK_PATTERN_SEARCH, "json_schema", &r, &why);
        if (st == WICK_E_BAD_PARAMETER) {
            WICK_TRY(wick_sc_refuse(c, "pattern", why.message));
            r = c->f->any_text;
        } else if (st != WICK_OK) {
            if (c->err) *c->err = why;
            return st;
        }
        *f = wick_f_and2(c->f, *f, wick_f_make(c->f, F_STR, r, 0, 0, 0));
    }
    if (json_is_string(t)) {
        wick_status st = WICK_OK;
        if (!wick_schema_format(c->re, json_string_value(t), &r, &st, c->err))
            return wick_sc_warn(c, "format", "names a format that is not known; it restricts nothing");
        WICK_TRY(st);
        *f = wick_f_and2(c->f, *f, wick_f_make(c->f, F_STR, r, 0, 0, 0));
    }
    return WICK_OK;
}

wick_status wick_sc_scalars(wick_sc *c, const json_t *s, wick_f *f)
{
    WICK_TRY(type(c, s, f));
    WICK_TRY(fixed(c, s, f));
    WICK_TRY(numbers(c, s, f));
    return texts(c, s, f);
}
