/* grammar/schema_ref.c - identifiers and references inside one document. Nothing outside it is looked at. */
#include "grammar/schema_int.h"
#include <stdio.h>

enum { MAX_URI = 4096 };

/* ---- URIs, as far as references need them (RFC 3986, 5.2) ---- */
static const char *keep(wick_sc *c, const char *s, size_t n)
{
    const char *q = wick_arena_strndup(&c->arena, s, n);
    if (!q) wick_re_fail(c->re, "memory");
    return q ? q : "";
}

static size_t scheme_length(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return n && s[n] == ':' ? n + 1 : 0;
}

static void remove_dots(char *path)
{
    char *out = path, *in = path;
    while (*in) {
        if (strncmp(in, "/./", 3) == 0)
            in += 2;
        else if (strcmp(in, "/.") == 0)
            in[1] = 0;
        else if (strncmp(in, "/../", 4) == 0 || strcmp(in, "/..") == 0) {
            if (in[3])
                in += 3;
            else
                in[1] = 0;
            while (out > path && *--out != '/') {
            }
        } else {
            do *out++ = *in++;
            while (*in && *in != '/');
        }
    }
    *out = 0;
}

/* base has no fragment; the result has ref's, if it has one. */
static const char *join(wick_sc *c, const char *base, const char *ref)
{
    char out[MAX_URI];
    size_t scheme = scheme_length(base), n = strlen(base);
    if (scheme_length(ref) || !*base) return keep(c, ref, strlen(ref));
    if (strlen(ref) + n + 2 > sizeof out) return keep(c, ref, strlen(ref));
    if (!*ref || *ref == '#') {
        snprintf(out, sizeof out, "%s%s", base, ref);
        return keep(c, out, strlen(out));
    }
    size_t path = scheme; /* where the base's path begins */
    if (strncmp(base + scheme, "//", 2) == 0) path += 2 + strcspn(base + scheme + 2, "/?");
    if (strncmp(ref, "//", 2) == 0)
        n = scheme;
    else if (*ref == '/')
        n = path;
    else if (*ref != '?')
        while (n > path && base[n - 1] != '/' && !(scheme && path == scheme && base[n - 1] == ':')) n--;
    snprintf(out, sizeof out, "%.*s%s%s", (int)n, base, n == path && *ref != '/' && path > scheme ? "/" : "", ref);
    char *tail = strpbrk(out + (n < path ? n : path), "?#");
    char rest[MAX_URI] = "";
    if (tail) {
        snprintf(rest, sizeof rest, "%s", tail);
        *tail = 0;
    }
    if (out[path] == '/' && strncmp(ref, "//", 2) != 0) remove_dots(out + path);
    size_t m = strlen(out);
    snprintf(out + m, sizeof out - m, "%s", rest);
    return keep(c, out, strlen(out));
}

static const char *without_fragment(wick_sc *c, const char *uri)
{
    return keep(c, uri, strcspn(uri, "#"));
}

/* ---- the survey ---- */
static void add_name(wick_sc *c, const char *uri, const json_t *v, bool dynamic)
{
    if (!wick_re_room(c->re, (void **)&c->name, &c->cap_names, (uint64_t)c->n_names + 1, sizeof *c->name)) return;
    c->name[c->n_names++] = (wick_sc_name){uri, v, dynamic};
}

static void add_anchor(wick_sc *c, const json_t *s, const char *keyword, const char *base, bool dynamic)
{
    char uri[MAX_URI];
    const char *a = json_string_value(json_object_get(s, keyword));
    if (!a) return;
    snprintf(uri, sizeof uri, "%s#%s", base, a);
    add_name(c, keep(c, uri, strlen(uri)), s, dynamic);
}

/* What stands under a keyword: 0 no schema, 1 one or a list of them, 2 schemas by name. */
static int holds(const char *key)
{
    static const char *const one[] = {"items",
                                      "prefixItems",
                                      "additionalItems",
                                      "contains",
                                      "not",
                                      "if",
                                      "then",
                                      "else",
                                      "allOf",
                                      "anyOf",
                                      "oneOf",
                                      "additionalProperties",
                                      "propertyNames",
                                      "unevaluatedItems",
                                      "unevaluatedProperties"};
    static const char *const named[] = {"properties", "patternProperties", "definitions",
                                        "$defs",      "dependentSchemas",  "dependencies"};
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        if (strcmp(key, one[i]) == 0) return 1;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strcmp(key, named[i]) == 0) return 2;
    return 0;
}

static wick_status survey(wick_sc *c, const json_t *s, const char *base, bool names, int depth)
{
    const char *key;
    json_t *v;
    size_t i;
    if (depth > 2 * SC_MAX_NEST) return wick_sc_bad(c, "schema", "nested too deeply");
    if (json_is_array(s)) {
        json_array_foreach(s, i, v) WICK_TRY(survey(c, v, base, false, depth + 1));
        return WICK_OK;
    }
    if (!json_is_object(s)) return WICK_OK;
    if (!names) {
        const char *id = json_string_value(json_object_get(s, "$id"));
        if (!id && c->draft == DRAFT_4) id = json_string_value(json_object_get(s, "id"));
        if (!id && c->draft == DRAFT_NONE && s == c->root) id = json_string_value(json_object_get(s, "id"));
        bool beside = c->draft != DRAFT_NONE && c->draft <= DRAFT_7 && json_object_get(s, "$ref");
        if (id && !beside) {
            const char *uri = join(c, base, id);
            if (*id == '#') {
                add_name(c, uri, s, false); /* an anchor, as drafts 4 to 7 write it */
            } else {
                base = without_fragment(c, uri);
                add_name(c, base, s, false);
            }
        }
        add_anchor(c, s, "$anchor", base, false);
        add_anchor(c, s, "$dynamicAnchor", base, true);
        if (json_is_true(json_object_get(s, "$recursiveAnchor"))) add_name(c, "#$recursive", s, true);
    }
    uint64_t at = (uint64_t)(uintptr_t)s;
    if (!wick_re_room(c->re, (void **)&c->place, &c->cap_places, (uint64_t)c->n_places + 1, sizeof *c->place))
        return wick_sc_failed(c);
    wick_f_table_put(c->re, &c->by_value, (uint32_t)at, (uint32_t)(at >> 32), 0, 0, c->n_places);
    c->place[c->n_places++] = (wick_sc_place){s, base};
    json_object_foreach((json_t *)(uintptr_t)s, key, v)
    {
        int what = names ? 1 : holds(key);
        if (what) WICK_TRY(survey(c, v, base, what == 2, depth + 1));
    }
    return wick_re_ok(c->re) ? WICK_OK : wick_sc_failed(c);
}

wick_status wick_sc_survey(wick_sc *c)
{
    add_name(c, "", c->root, false);
    return survey(c, c->root, "", false, 0);
}

/* ---- references ---- */
static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next step of a JSON pointer in a URI fragment. */
static bool pointer_step(const char **p, char *out, size_t cap)
{
    size_t n = 0;
    const char *s = *p + 1;
    for (; *s && *s != '/'; s++) {
        char ch = *s;
        const int high = ch == '%' ? hex(s[1]) : -1, low = high >= 0 ? hex(s[2]) : -1;
        if (low >= 0) {
            ch = (char)(high * 16 + low);
            s += 2;
        }
        if (ch == '~' && (s[1] == '0' || s[1] == '1')) ch = *++s == '0' ? '~' : '/';
        if (n + 1 >= cap) return false;
        out[n++] = ch;
    }
    out[n] = 0;
    *p = s;
    return true;
}

static const json_t *by_pointer(const json_t *v, const char *p)
{
    char step[1024];
    uint64_t i;
    while (v && *p == '/') {
        if (!pointer_step(&p, step, sizeof step)) return NULL;
        if (json_is_object(v))
            v = json_object_get(v, step);
        else if (json_is_array(v) && wick_parse_u64(step, &i))
            v = json_array_get(v, (size_t)i);
        else
            v = NULL;
    }
    return *p ? NULL : v;
}

static const wick_sc_name *find(const wick_sc *c, const char *uri, size_t n)
{
    for (uint32_t i = 0; i < c->n_names; i++)
        if (strlen(c->name[i].uri) == n && memcmp(c->name[i].uri, uri, n) == 0) return &c->name[i];
    return NULL;
}

static const char *base_of(const wick_sc *c, const json_t *s)
{
    uint64_t at = (uint64_t)(uintptr_t)s;
    const uint32_t *i = wick_f_table_get(&c->by_value, (uint32_t)at, (uint32_t)(at >> 32), 0, 0);
    return i             ? c->place[*i].base
           : c->n_places ? c->place[0].base
                         : ""; /* under a keyword of one's own: the document's */
}

/* A dynamic anchor means the outermost one of its name that was passed on the way here. Where only one has the name,
 * that is it. */
static bool ambiguous(const wick_sc *c, const char *fragment)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_names; i++) {
        const char *f = strchr(c->name[i].uri, '#');
        if (f && c->name[i].dynamic && strcmp(f + 1, fragment) == 0) n++;
    }
    return n > 1;
}

wick_status wick_sc_resolve(wick_sc *c, const json_t *from, const char *ref, bool dynamic, const json_t **out)
{
    char why[200];
    const char *keyword = dynamic ? "$dynamicRef" : "$ref";
    const char *uri = join(c, base_of(c, from), ref);
    size_t n = strcspn(uri, "#");
    const char *fragment = uri[n] ? uri + n + 1 : "";
    const wick_sc_name *doc = find(c, uri, n), *named = NULL;
    *out = NULL;
    if (*fragment && *fragment != '/') named = find(c, uri, strlen(uri));
    if (dynamic && named && named->dynamic && ambiguous(c, fragment))
        return wick_sc_refuse(c, keyword, "more than one anchor has this name");
    if (dynamic && ambiguous(c, "$recursive")) return wick_sc_refuse(c, keyword, "more than one recursive anchor");
    if (named)
        *out = named->v;
    else if (doc && (!*fragment || *fragment == '/'))
        *out = by_pointer(doc->v, fragment);
    if (!*out && *ref == '#') *out = by_pointer(c->root, ref + 1); /* written as if no identifier were on the way */
    if (*out) return WICK_OK;
    snprintf(why, sizeof why, "\"%s\" is not in this document", ref);
    return wick_sc_refuse(c, keyword, why);
}
