/* grammar/schema_uneval.c - unevaluatedProperties and unevaluatedItems.
 *
 * Which properties are evaluated depends on which subschemas hold. Those that always take part make one group; each
 * alternative that may or may not hold makes a group of its own with its condition. For every set of conditions that
 * can hold there is then one plain "all other keys" (or "all other items"). More than MAX_GROUPS conditions are
 * refused.
 */
#include "grammar/pattern.h"
#include "grammar/schema_int.h"
#include <stdio.h>

enum { MAX_GROUPS = 5, MAX_KEYS = 4096, MAX_RE = 16, MAX_CONTAINS = 8 };

typedef struct group {
    wick_f condition;
    bool all; /* everything is evaluated */
    uint32_t *names, n_names;
    wick_re re[MAX_RE];
    uint32_t n_re, prefix;
    wick_f contains[MAX_CONTAINS];
    uint32_t n_contains;
} group;

typedef struct groups {
    wick_sc *c;
    group *g;
    uint32_t n;
    bool items; /* of arrays, else of objects */
    const char *keyword;
    const char *why; /* refused */
} groups;

static wick_status collect(groups *x, const json_t *s, uint32_t at, const json_t *skip);

static group *add_group(groups *x, wick_f condition)
{
    if (x->n > MAX_GROUPS) {
        x->why = "too many alternatives beside it";
        return NULL;
    }
    group *g = &x->g[x->n++];
    g->condition = condition;
    g->names = wick_arena_array(&x->c->arena, MAX_KEYS, sizeof *g->names);
    if (!g->names) wick_re_fail(x->c->re, "memory");
    return g->names ? g : NULL;
}

static wick_status collect_keys(groups *x, const json_t *s, group *g)
{
    const char *key;
    json_t *v;
    wick_sc *c = x->c;
    json_object_foreach(json_object_get(s, "properties"), key, v)
    {
        if (g->n_names == MAX_KEYS)
            x->why = "too many properties";
        else
            g->names[g->n_names++] = wick_f_string(c->f, key, strlen(key));
    }
    json_object_foreach(json_object_get(s, "patternProperties"), key, v)
    {
        if (g->n_re == MAX_RE)
            x->why = "too many patterns";
        else
            WICK_TRY(wick_pattern_compile(c->re, key, strlen(key), WICK_PATTERN_ECMA, WICK_PATTERN_SEARCH,
                                          "json_schema", &g->re[g->n_re++], c->err));
    }
    if (json_object_get(s, "additionalProperties") || json_object_get(s, "unevaluatedProperties")) g->all = true;
    return WICK_OK;
}

static wick_status collect_items(groups *x, const json_t *s, group *g)
{
    const json_t *items = json_object_get(s, "items"), *has = json_object_get(s, "contains");
    uint32_t n = (uint32_t)json_array_size(json_object_get(s, "prefixItems"));
    if (json_is_array(items))
        n = (uint32_t)json_array_size(items);
    else if (items)
        g->all = true;
    if (json_object_get(s, "additionalItems") && json_is_array(items)) g->all = true;
    if (json_object_get(s, "unevaluatedItems")) g->all = true;
    if (n > g->prefix) g->prefix = n;
    if (!has || x->c->draft == DRAFT_2019) return WICK_OK;
    if (g->n_contains == MAX_CONTAINS)
        x->why = "too many contains";
    else
        WICK_TRY(wick_sc_sub(x->c, "contains", NULL, has, &g->contains[g->n_contains++]));
    return WICK_OK;
}

/* A subschema that counts only where it holds. */
static wick_status maybe(groups *x, const json_t *s, uint32_t at, wick_f extra)
{
    wick_f f;
    uint32_t n = x->c->path.n ? (uint32_t)x->c->path.n : 0;
    WICK_TRY(wick_sc_schema(x->c, s, &f));
    x->c->path.n = n;
    f = wick_f_and2(x->c->f, wick_f_and2(x->c->f, f, extra), x->g[at].condition);
    uint32_t id = x->n;
    if (!add_group(x, f)) return WICK_OK;
    return collect(x, s, id, NULL);
}

static wick_status alternatives(groups *x, const json_t *s, uint32_t at)
{
    static const char *const lists[] = {"anyOf", "oneOf"};
    const char *key;
    json_t *v;
    size_t i;
    for (int k = 0; k < 2; k++)
        json_array_foreach(json_object_get(s, lists[k]), i, v) WICK_TRY(maybe(x, v, at, WICK_F_TRUE));
    const json_t *test = json_object_get(s, "if"), *yes = json_object_get(s, "then"), *no = json_object_get(s, "else");
    if (test) {
        wick_f t;
        WICK_TRY(wick_sc_schema(x->c, test, &t));
        WICK_TRY(maybe(x, test, at, WICK_F_TRUE));
        if (yes) WICK_TRY(maybe(x, yes, at, t));
        if (no) WICK_TRY(maybe(x, no, at, wick_f_not(x->c->f, t)));
    }
    json_object_foreach(json_object_get(s, "dependentSchemas"), key, v)
    {
        wick_f has = wick_f_make(x->c->f, F_REQ, wick_f_string(x->c->f, key, strlen(key)), 0, 0, 0);
        WICK_TRY(maybe(x, v, at, has));
    }
    return WICK_OK;
}

static wick_status collect(groups *x, const json_t *s, uint32_t at, const json_t *skip)
{
    wick_sc *c = x->c;
    json_t *v;
    size_t i;
    if (!json_is_object(s) || x->why) return WICK_OK;
    if (++c->depth > SC_MAX_NEST) {
        x->why = "it refers to itself";
        return WICK_OK;
    }
    if (s != skip) WICK_TRY(x->items ? collect_items(x, s, &x->g[at]) : collect_keys(x, s, &x->g[at]));
    json_array_foreach(json_object_get(s, "allOf"), i, v) WICK_TRY(collect(x, v, at, NULL));
    const char *ref = json_string_value(json_object_get(s, "$ref"));
    if (json_object_get(s, "$dynamicRef") || json_object_get(s, "$recursiveRef"))
        x->why = "a dynamic reference beside it";
    if (ref) {
        const json_t *target;
        WICK_TRY(wick_sc_resolve(c, s, ref, false, &target));
        if (target) WICK_TRY(collect(x, target, at, NULL));
    }
    WICK_TRY(alternatives(x, s, at));
    c->depth--;
    return wick_re_ok(c->re) ? WICK_OK : wick_sc_failed(c);
}

/* All others, where exactly the conditions in `set` hold. */
static wick_f others(groups *x, uint32_t set, wick_f inner)
{
    wick_sc *c = x->c;
    wick_f_pool *f = c->f;
    uint32_t n = 0, n_re = 0, prefix = 0, total = 0;
    wick_re re[MAX_RE * (MAX_GROUPS + 1)];
    wick_f when = WICK_F_TRUE, each = inner;
    for (uint32_t i = 0; i < x->n; i++) total += x->g[i].n_names;
    uint32_t *names = wick_arena_array(&c->arena, total + 1, sizeof *names);
    if (!names) wick_re_fail(c->re, "memory");
    if (!names) return WICK_F_FALSE;
    for (uint32_t i = 0; i < x->n; i++) {
        const group *g = &x->g[i];
        bool in = set >> i & 1;
        if (i) when = wick_f_and2(f, when, in ? g->condition : wick_f_not(f, g->condition));
        if (!in) continue;
        if (g->all) return WICK_F_TRUE;
        for (uint32_t k = 0; k < g->n_names; k++) names[n++] = g->names[k];
        for (uint32_t k = 0; k < g->n_re; k++) re[n_re++] = g->re[k];
        for (uint32_t k = 0; k < g->n_contains; k++) each = wick_f_or2(f, each, g->contains[k]);
        if (g->prefix > prefix) prefix = g->prefix;
    }
    wick_f r = x->items ? wick_f_items(f, prefix, UINT32_MAX, each)
                        : wick_f_each(f, wick_f_keys_others(f, names, n, re, n_re), each);
    return wick_f_or2(f, wick_f_not(f, when), r);
}

static wick_status unevaluated(wick_sc *c, const json_t *s, const char *keyword, bool items, wick_f *f)
{
    const json_t *v = json_object_get(s, keyword);
    wick_f inner;
    if (!v || (c->draft != DRAFT_NONE && c->draft < DRAFT_2019)) return WICK_OK;
    WICK_TRY(wick_sc_sub(c, keyword, NULL, v, &inner));
    if (inner == WICK_F_TRUE) return WICK_OK;
    groups x = {.c = c, .items = items, .keyword = keyword};
    uint32_t depth = c->depth;
    x.g = wick_arena_array(&c->arena, MAX_GROUPS + 2, sizeof *x.g);
    if (!x.g || !add_group(&x, WICK_F_TRUE)) return wick_err_oom(c->err, "the schema", 0, 0);
    /* Its own keywords count, but not itself. */
    WICK_TRY(items ? collect_items(&x, s, &x.g[0]) : collect_keys(&x, s, &x.g[0]));
    x.g[0].all = items ? json_object_get(s, "items") && !json_is_array(json_object_get(s, "items"))
                       : json_object_get(s, "additionalProperties") != NULL;
    if (items && json_is_array(json_object_get(s, "items")) && json_object_get(s, "additionalItems")) x.g[0].all = true;
    WICK_TRY(collect(&x, s, 0, s));
    c->depth = depth;
    if (x.why) return wick_sc_refuse(c, keyword, x.why);
    if (x.g[0].all) return WICK_OK;
    for (uint32_t set = 1; set < 1u << x.n; set += 2) *f = wick_f_and2(c->f, *f, others(&x, set, inner));
    return wick_re_ok(c->re) ? WICK_OK : wick_sc_failed(c);
}

wick_status wick_sc_unevaluated(wick_sc *c, const json_t *s, wick_f *f)
{
    WICK_TRY(unevaluated(c, s, "unevaluatedProperties", false, f));
    return unevaluated(c, s, "unevaluatedItems", true, f);
}
