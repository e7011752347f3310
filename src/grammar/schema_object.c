/* grammar/schema_object.c - keywords of objects and arrays. */
#include "grammar/pattern.h"
#include "grammar/schema_int.h"
#include <stdio.h>

/* ---- objects ---- */
typedef struct declared { /* keys that additionalProperties does not see */
    uint32_t *names;
    wick_re *patterns;
    uint32_t n_names, n_patterns;
} declared;

static void set_place(wick_sc *c, uint32_t string)
{
    wick_js_pool *js = c->js;
    uint32_t old = js->cap_order;
    if (!wick_re_room(c->re, (void **)&js->order, &js->cap_order, (uint64_t)string + 1, sizeof *js->order)) return;
    for (; old < js->cap_order; old++) js->order[old] = UINT32_MAX;
    if (js->order[string] == UINT32_MAX) js->order[string] = js->n_placed++;
    if (string >= js->n_order) js->n_order = string + 1;
}

static wick_status properties(wick_sc *c, const json_t *v, declared *d, wick_f *f)
{
    const char *key;
    json_t *x;
    uint32_t size = (uint32_t)json_object_size(v), n = 0;
    if (!v) return WICK_OK;
    if (!json_is_object(v)) return wick_sc_bad(c, "properties", "expected an object");
    d->names = wick_arena_array(&c->arena, size + 1u, sizeof *d->names);
    wick_f *parts = wick_arena_array(&c->arena, size + 1u, sizeof *parts);
    if (!d->names || !parts) return wick_err_oom(c->err, "the schema", 0, 0);
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        wick_f s;
        uint32_t name = wick_f_string(c->f, key, strlen(key));
        set_place(c, name);
        WICK_TRY(wick_sc_sub(c, "properties", key, x, &s));
        d->names[d->n_names++] = name;
        parts[n++] = wick_f_each(c->f, wick_f_keys_one(c->f, name), s);
    }
    *f = wick_f_and2(c->f, *f, wick_f_list(c->f, F_AND, parts, n));
    return WICK_OK;
}

static wick_status key_pattern(wick_sc *c, const char *key, wick_re *out)
{
    wick_err why = {0};
    wick_status st =
        wick_pattern_compile(c->re, key, strlen(key), WICK_PATTERN_ECMA, WICK_PATTERN_SEARCH, "json_schema", out, &why);
    if (st == WICK_OK) return st;
    if (st == WICK_E_BAD_PARAMETER)
        return WICK_FAIL(c->err, st, "json_schema", "json_schema: \"patternProperties\" at %s is not supported: %s",
                         c->path.n ? wick_buf_str(&c->path) : "the top", why.message);
    if (c->err) *c->err = why;
    return st;
}

static wick_status pattern_properties(wick_sc *c, const json_t *v, declared *d, wick_f *f)
{
    const char *key;
    json_t *x;
    if (!v) return WICK_OK;
    if (!json_is_object(v)) return wick_sc_bad(c, "patternProperties", "expected an object");
    d->patterns = wick_arena_array(&c->arena, json_object_size(v) + 1, sizeof *d->patterns);
    if (!d->patterns) return wick_err_oom(c->err, "the schema", 0, 0);
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        wick_f s;
        wick_re r;
        WICK_TRY(key_pattern(c, key, &r));
        WICK_TRY(wick_sc_sub(c, "patternProperties", key, x, &s));
        d->patterns[d->n_patterns++] = r;
        *f = wick_f_and2(c->f, *f, wick_f_each(c->f, wick_f_keys_re(c->f, r), s));
    }
    return WICK_OK;
}

static wick_status names(wick_sc *c, const json_t *s, wick_f *f)
{
    const json_t *v = json_object_get(s, "propertyNames");
    wick_f g;
    if (!v || c->draft == DRAFT_4) return WICK_OK;
    WICK_TRY(wick_sc_sub(c, "propertyNames", NULL, v, &g));
    for (uint32_t i = 0; i < c->f->n_schemas; i++) /* a text's formula must be known to be turned round */
        if (c->done[i] == 1 && json_is_object(v) && json_object_get(v, "$ref") && c->f->node[g].kind == F_REF)
            return wick_sc_refuse(c, "propertyNames", "a reference to a schema around it");
    wick_re yes = wick_f_language(c->f, g, WICK_T_STRING);
    wick_re no = wick_re_and2(c->re, c->f->any_text, wick_re_not(c->re, yes));
    if (yes == c->f->any_text) return WICK_OK;
    *f = wick_f_and2(c->f, *f, wick_f_each(c->f, wick_f_keys_re(c->f, no), WICK_F_FALSE));
    return WICK_OK;
}

/* All strings of a list as required keys. */
static wick_status required(wick_sc *c, const char *keyword, const json_t *v, wick_f *out)
{
    size_t n = json_array_size(v);
    wick_f *parts = wick_arena_array(&c->arena, n + 1, sizeof *parts);
    if (!json_is_array(v)) return wick_sc_bad(c, keyword, "expected a list of names");
    if (!parts) return wick_err_oom(c->err, "the schema", 0, 0);
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(v, i);
        if (!json_is_string(x)) return wick_sc_bad(c, keyword, "expected a list of names");
        parts[i] = wick_f_make(c->f, F_REQ, wick_f_string(c->f, json_string_value(x), json_string_length(x)), 0, 0, 0);
    }
    *out = wick_f_list(c->f, F_AND, parts, (uint32_t)n);
    return WICK_OK;
}

/* dependentRequired, dependentSchemas and the older dependencies, which is both. */
static wick_status dependencies(wick_sc *c, const json_t *s, const char *keyword, wick_f *f)
{
    const json_t *v = json_object_get(s, keyword);
    const char *key;
    json_t *x;
    if (!v) return WICK_OK;
    if (!json_is_object(v)) return wick_sc_bad(c, keyword, "expected an object");
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        wick_f then, has = wick_f_make(c->f, F_REQ, wick_f_string(c->f, key, strlen(key)), 0, 0, 0);
        const json_t *list = x;
        json_t *one = json_is_string(x) && strcmp(keyword, "dependencies") == 0 ? json_pack("[O]", x) : NULL;
        if (one) list = one; /* draft 3 allowed a single name */
        wick_status st =
            json_is_array(list) ? required(c, keyword, list, &then) : wick_sc_sub(c, keyword, key, x, &then);
        json_decref(one);
        WICK_TRY(st);
        wick_f no = wick_f_or2(c->f, wick_f_type(c->f, WICK_T_ALL & ~WICK_T_OBJECT), wick_f_not(c->f, has));
        *f = wick_f_and2(c->f, *f, wick_f_or2(c->f, no, then));
    }
    return WICK_OK;
}

static wick_status object_counts(wick_sc *c, const json_t *s, wick_f *f)
{
    uint32_t n = 0;
    bool there;
    WICK_TRY(wick_sc_count(c, s, "minProperties", &n, &there));
    if (there) *f = wick_f_and2(c->f, *f, wick_f_count(c->f, F_MINP, n, 0));
    WICK_TRY(wick_sc_count(c, s, "maxProperties", &n, &there));
    if (there) *f = wick_f_and2(c->f, *f, wick_f_at_most(c->f, F_MINP, n, 0));
    return WICK_OK;
}

wick_status wick_sc_objects(wick_sc *c, const json_t *s, wick_f *f)
{
    declared d = {0};
    const json_t *more = json_object_get(s, "additionalProperties"), *req = json_object_get(s, "required");
    wick_f g = WICK_F_TRUE;
    WICK_TRY(properties(c, json_object_get(s, "properties"), &d, f));
    WICK_TRY(pattern_properties(c, json_object_get(s, "patternProperties"), &d, f));
    if (more) {
        WICK_TRY(wick_sc_sub(c, "additionalProperties", NULL, more, &g));
        if (g != WICK_F_TRUE) {
            uint32_t keys = wick_f_keys_others(c->f, d.names, d.n_names, d.patterns, d.n_patterns);
            *f = wick_f_and2(c->f, *f, wick_f_each(c->f, keys, g));
        }
    }
    if (req) {
        WICK_TRY(required(c, "required", req, &g));
        *f = wick_f_and2(c->f, *f, g);
    }
    WICK_TRY(names(c, s, f));
    WICK_TRY(dependencies(c, s, "dependencies", f));
    WICK_TRY(dependencies(c, s, "dependentRequired", f));
    WICK_TRY(dependencies(c, s, "dependentSchemas", f));
    return object_counts(c, s, f);
}

/* ---- arrays ---- */
/* The first items, each by its own schema; *n is how many. */
static wick_status tuple(wick_sc *c, const json_t *s, const char *keyword, uint32_t *n, wick_f *f)
{
    const json_t *v = json_object_get(s, keyword);
    size_t size = json_array_size(v);
    *n = 0;
    if (!json_is_array(v)) return WICK_OK;
    for (size_t i = 0; i < size; i++) {
        char at[24];
        wick_f g;
        snprintf(at, sizeof at, "%zu", i);
        WICK_TRY(wick_sc_sub(c, keyword, at, json_array_get(v, i), &g));
        *f = wick_f_and2(c->f, *f, wick_f_items(c->f, (uint32_t)i, (uint32_t)i + 1, g));
    }
    *n = (uint32_t)size;
    return WICK_OK;
}

static wick_status contains(wick_sc *c, const json_t *s, wick_f *f)
{
    const json_t *v = json_object_get(s, "contains");
    uint32_t lo = 1, hi = 0;
    bool has_lo = false, has_hi = false;
    wick_f g;
    if (!v || c->draft == DRAFT_4) return WICK_OK;
    WICK_TRY(wick_sc_sub(c, "contains", NULL, v, &g));
    if (c->draft == DRAFT_NONE || c->draft >= DRAFT_2019) {
        WICK_TRY(wick_sc_count(c, s, "minContains", &lo, &has_lo));
        WICK_TRY(wick_sc_count(c, s, "maxContains", &hi, &has_hi));
    }
    *f = wick_f_and2(c->f, *f, wick_f_count(c->f, F_HAS, lo, g));
    if (has_hi) *f = wick_f_and2(c->f, *f, wick_f_at_most(c->f, F_HAS, hi, g));
    return WICK_OK;
}

static wick_status array_counts(wick_sc *c, const json_t *s, wick_f *f)
{
    uint32_t n = 0;
    bool there;
    WICK_TRY(wick_sc_count(c, s, "minItems", &n, &there));
    if (there) *f = wick_f_and2(c->f, *f, wick_f_count(c->f, F_MINI, n, 0));
    WICK_TRY(wick_sc_count(c, s, "maxItems", &n, &there));
    if (there) *f = wick_f_and2(c->f, *f, wick_f_at_most(c->f, F_MINI, n, 0));
    if (json_is_true(json_object_get(s, "uniqueItems")))
        *f = wick_f_and2(c->f, *f, wick_f_make(c->f, F_UNIQUE, 0, 0, 0, 0));
    return WICK_OK;
}

wick_status wick_sc_arrays(wick_sc *c, const json_t *s, wick_f *f)
{
    const json_t *items = json_object_get(s, "items"), *more = json_object_get(s, "additionalItems");
    uint32_t n = 0;
    wick_f g;
    WICK_TRY(tuple(c, s, "prefixItems", &n, f));
    if (json_is_array(items)) {
        WICK_TRY(tuple(c, s, "items", &n, f));
        if (more) {
            WICK_TRY(wick_sc_sub(c, "additionalItems", NULL, more, &g));
            *f = wick_f_and2(c->f, *f, wick_f_items(c->f, n, UINT32_MAX, g));
        }
    } else if (items) {
        WICK_TRY(wick_sc_sub(c, "items", NULL, items, &g));
        *f = wick_f_and2(c->f, *f, wick_f_items(c->f, n, UINT32_MAX, g));
    }
    WICK_TRY(contains(c, s, f));
    return array_counts(c, s, f);
}
