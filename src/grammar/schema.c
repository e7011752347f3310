/* grammar/schema.c - walks a schema and its subschemas; keywords that combine schemas, references. */
#include "grammar/schema_int.h"
#include <stdio.h>

/* ---- messages ---- */
static const char *where(wick_sc *c)
{
    const char *p = wick_buf_str(&c->path);
    return *p ? p : "the top";
}

wick_status wick_sc_failed(wick_sc *c)
{
    return wick_re_failed(c->re, c->err);
}

wick_status wick_sc_warn(wick_sc *c, const char *keyword, const char *what)
{
    char line[400];
    if (!c->o->warnings) return WICK_OK;
    int n = snprintf(line, sizeof line, "json_schema: \"%s\" at %s %s", keyword, where(c), what);
    char shown[420];
    wick_escape_line(shown, sizeof shown, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
    wick_buf_printf(c->o->warnings, "%s\n", shown);
    return WICK_OK;
}

wick_status wick_sc_refuse(wick_sc *c, const char *keyword, const char *why)
{
    if (c->o->lenient) return wick_sc_warn(c, keyword, "is not enforced");
    return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "json_schema", "json_schema: \"%s\" at %s is not supported%s%s",
                     keyword, where(c), why ? ": " : "", why ? why : "");
}

wick_status wick_sc_bad(wick_sc *c, const char *keyword, const char *why)
{
    return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "json_schema", "json_schema: \"%s\" at %s: %s", keyword, where(c),
                     why);
}

bool wick_sc_decimal(const json_t *v, wick_decimal *out)
{
    char text[64];
    if (json_is_integer(v)) {
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
    } else {
        double d = json_real_value(v);
        for (int digits = 1; digits <= 17; digits++) { /* the shortest that means this number */
            snprintf(text, sizeof text, "%.*g", digits, d);
            double back;
            if (wick_parse_f64(text, &back) && back == d) break;
        }
    }
    return wick_decimal_parse(out, text, strlen(text));
}

wick_status wick_sc_count(wick_sc *c, const json_t *s, const char *keyword, uint32_t *n, bool *there)
{
    const json_t *v = json_object_get(s, keyword);
    *there = v != NULL;
    if (!v) return WICK_OK;
    double d = json_number_value(v);
    if (!json_is_number(v) || d < 0 || d != (double)(int64_t)d) return wick_sc_bad(c, keyword, "expected a count");
    if (d > 1e9) d = 1e9; /* no text is that long */
    *n = (uint32_t)d;
    return WICK_OK;
}

/* ---- subschemas ---- */
wick_status wick_sc_sub(wick_sc *c, const char *key, const char *inner, const json_t *s, wick_f *out)
{
    size_t n = c->path.n;
    wick_buf_putc(&c->path, '/');
    wick_buf_puts(&c->path, key);
    if (inner) {
        wick_buf_putc(&c->path, '/');
        for (const char *q = inner; *q; q++) {
            if (*q == '~')
                wick_buf_puts(&c->path, "~0");
            else if (*q == '/')
                wick_buf_puts(&c->path, "~1");
            else
                wick_buf_putc(&c->path, *q);
        }
    }
    if (++c->depth > SC_MAX_NEST) return wick_sc_bad(c, key, "nested too deeply (128 at most)");
    wick_status st = wick_sc_schema(c, s, out);
    c->depth--;
    if (st == WICK_OK) c->path.n = n;
    return st;
}

wick_status wick_sc_ref(wick_sc *c, const json_t *target, wick_f *out)
{
    uint64_t at = (uint64_t)(uintptr_t)target;
    const uint32_t *old = wick_f_table_get(&c->by_value, (uint32_t)at, (uint32_t)(at >> 32), 1, 0);
    uint32_t id = old ? *old : c->f->n_schemas;
    if (old) {
        *out = c->done[id] == 2 ? c->f->schema[id] : wick_f_make(c->f, F_REF, id, 0, 0, 0);
        return wick_re_ok(c->re) ? WICK_OK : wick_sc_failed(c);
    }
    if (!wick_re_room(c->re, (void **)&c->f->schema, &c->f->cap_schemas, (uint64_t)id + 1, sizeof *c->f->schema) ||
        !wick_re_room(c->re, (void **)&c->done, &c->cap_done, (uint64_t)id + 1, 1))
        return wick_sc_failed(c);
    c->f->n_schemas++;
    c->f->schema[id] = WICK_F_FALSE;
    c->done[id] = 1;
    wick_f_table_put(c->re, &c->by_value, (uint32_t)at, (uint32_t)(at >> 32), 1, 0, id);
    wick_f f = WICK_F_TRUE;
    if (++c->depth > SC_MAX_NEST) return wick_sc_bad(c, "$ref", "nested too deeply (128 at most)");
    WICK_TRY(wick_sc_schema(c, target, &f));
    c->depth--;
    c->f->schema[id] = f;
    c->done[id] = 2;
    *out = f;
    return wick_re_ok(c->re) ? WICK_OK : wick_sc_failed(c);
}

static wick_status list(wick_sc *c, const json_t *s, const char *keyword, wick_f_kind kind, wick_f *f)
{
    const json_t *v = json_object_get(s, keyword);
    size_t n = json_array_size(v);
    if (!v) return WICK_OK;
    if (!json_is_array(v) || n == 0) return wick_sc_bad(c, keyword, "expected a list of schemas");
    wick_f *parts = wick_arena_array(&c->arena, n, sizeof *parts);
    if (!parts) return wick_err_oom(c->err, "the schema", 0, 0);
    for (size_t i = 0; i < n; i++) {
        char at[24];
        snprintf(at, sizeof at, "%zu", i);
        WICK_TRY(wick_sc_sub(c, keyword, at, json_array_get(v, i), &parts[i]));
    }
    *f = wick_f_and2(c->f, *f, wick_f_list(c->f, kind, parts, (uint32_t)n));
    return WICK_OK;
}

static wick_status conditional(wick_sc *c, const json_t *s, wick_f *f)
{
    const json_t *test = json_object_get(s, "if"), *yes = json_object_get(s, "then"), *no = json_object_get(s, "else");
    wick_f t, a = WICK_F_TRUE, b = WICK_F_TRUE;
    if (!test || (!yes && !no) || (c->draft != DRAFT_NONE && c->draft < DRAFT_7)) return WICK_OK;
    WICK_TRY(wick_sc_sub(c, "if", NULL, test, &t));
    if (yes) WICK_TRY(wick_sc_sub(c, "then", NULL, yes, &a));
    if (no) WICK_TRY(wick_sc_sub(c, "else", NULL, no, &b));
    a = wick_f_or2(c->f, wick_f_not(c->f, t), a);
    b = wick_f_or2(c->f, t, b);
    *f = wick_f_and2(c->f, *f, wick_f_and2(c->f, a, b));
    return WICK_OK;
}

static wick_status reference(wick_sc *c, const json_t *s, const char *keyword, bool dynamic, wick_f *f)
{
    const json_t *v = json_object_get(s, keyword), *target = NULL;
    wick_f r;
    if (!v) return WICK_OK;
    if (!json_is_string(v)) return wick_sc_bad(c, keyword, "expected a URI");
    WICK_TRY(wick_sc_resolve(c, s, json_string_value(v), dynamic, &target));
    if (!target) return WICK_OK; /* refused, and said */
    WICK_TRY(wick_sc_ref(c, target, &r));
    *f = wick_f_and2(c->f, *f, r);
    return WICK_OK;
}

static wick_status combine(wick_sc *c, const json_t *s, wick_f *f)
{
    const json_t *not = json_object_get(s, "not");
    wick_f r;
    WICK_TRY(list(c, s, "allOf", F_AND, f));
    WICK_TRY(list(c, s, "anyOf", F_OR, f));
    WICK_TRY(list(c, s, "oneOf", F_ONE, f));
    if (not ) {
        WICK_TRY(wick_sc_sub(c, "not", NULL, not, &r));
        *f = wick_f_and2(c->f, *f, wick_f_not(c->f, r));
    }
    return conditional(c, s, f);
}

wick_status wick_sc_schema(wick_sc *c, const json_t *s, wick_f *out)
{
    wick_f f = WICK_F_TRUE;
    if (json_is_boolean(s)) {
        *out = json_is_true(s) ? WICK_F_TRUE : WICK_F_FALSE;
        return WICK_OK;
    }
    if (!json_is_object(s)) return wick_sc_bad(c, "schema", "expected an object or a boolean");
    bool alone = c->draft != DRAFT_NONE && c->draft <= DRAFT_7 && json_object_get(s, "$ref");
    WICK_TRY(reference(c, s, "$ref", false, &f));
    if (!alone) { /* up to draft 7 what stands beside $ref means nothing */
        WICK_TRY(reference(c, s, "$dynamicRef", true, &f));
        if (json_object_get(s, "$recursiveRef")) WICK_TRY(reference(c, s, "$recursiveRef", true, &f));
        WICK_TRY(wick_sc_scalars(c, s, &f));
        WICK_TRY(wick_sc_objects(c, s, &f));
        WICK_TRY(wick_sc_arrays(c, s, &f));
        WICK_TRY(combine(c, s, &f));
        WICK_TRY(wick_sc_unevaluated(c, s, &f));
    }
    *out = f;
    return wick_re_ok(c->re) ? WICK_OK : wick_sc_failed(c);
}

/* ---- the whole ---- */
/* A schema that holds by definition whenever it holds says nothing: refused. color: 1 under way, 2 done. */
static bool circular(wick_sc *c, wick_f f, uint8_t *color, int depth)
{
    wick_f_node x = c->f->node[f];
    if (depth > 4000) return true;
    if (x.kind == F_NOT) return circular(c, x.a, color, depth + 1);
    if (x.kind >= F_AND && x.kind <= F_ONE) {
        for (uint32_t i = 0; i < x.b; i++)
            if (circular(c, c->f->lists[x.a + i], color, depth + 1)) return true;
        return false;
    }
    if (x.kind != F_REF || color[x.a] == 2) return false;
    if (color[x.a] == 1) return true;
    color[x.a] = 1;
    bool yes = circular(c, c->f->schema[x.a], color, depth + 1);
    color[x.a] = 2;
    return yes;
}

static wick_status check_circles(wick_sc *c)
{
    uint8_t *color = wick_alloc_zero(c->f->n_schemas + 1u, 1);
    bool yes = false;
    if (!color) return wick_err_oom(c->err, "the schema", 0, 0);
    for (uint32_t i = 0; i < c->f->n_schemas && !yes; i++)
        yes = circular(c, wick_f_make(c->f, F_REF, i, 0, 0, 0), color, 0);
    wick_free(color);
    wick_buf_reset(&c->path);
    return yes ? wick_sc_bad(c, "$ref", "a schema that refers to itself without end") : WICK_OK;
}

static wick_draft draft_of(const json_t *root)
{
    static const struct {
        const char *part;
        wick_draft draft;
    } known[] = {{"draft-04", DRAFT_4}, {"draft-03", DRAFT_4},   {"draft-06", DRAFT_6},
                 {"draft-07", DRAFT_7}, {"2019-09", DRAFT_2019}, {"2020-12", DRAFT_2020}};
    const char *s = json_string_value(json_object_get(root, "$schema"));
    for (size_t i = 0; s && i < sizeof known / sizeof *known; i++)
        if (strstr(s, known[i].part)) return known[i].draft;
    return DRAFT_NONE;
}

wick_status wick_schema_compile(wick_js_pool *js, const json_t *schema, const wick_schema_options *o, wick_f *out,
                                wick_err *err)
{
    static const wick_schema_options none = {0};
    wick_sc c = {.js = js, .f = js->f, .re = js->f->re, .root = schema, .o = o ? o : &none, .err = err};
    wick_arena_init(&c.arena, 1 << 14);
    wick_buf_init(&c.path, 1 << 20);
    c.draft = draft_of(schema);
    wick_f f = WICK_F_TRUE;
    wick_status st = wick_sc_survey(&c);
    if (st == WICK_OK) st = wick_sc_ref(&c, schema, &f);
    if (st == WICK_OK) st = check_circles(&c);
    if (st == WICK_OK && !wick_re_ok(c.re)) st = wick_sc_failed(&c);
    if (st == WICK_OK) *out = f;
    wick_free(c.place);
    wick_free(c.name);
    wick_free(c.done);
    wick_f_table_release(&c.by_value);
    wick_buf_release(&c.path);
    wick_arena_release(&c.arena);
    return st;
}
