/* chat/tools_check.c - do a call's arguments fit the schema of its tool?
 *
 * This is a gate before a function runs. It checks every keyword of JSON Schema 2020-12 that descriptions of tools use;
 * formats, $dynamicRef, unevaluated* and references out of the schema are not looked at. Constraints while the answer
 * is generated come from grammar/; this is for what was not constrained. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/str.h"
#include "chat/tools.h"

enum { DEPTH_MAX = 64, PATH_MAX_BYTES = 200 };

typedef struct checker {
    const json_t *root;
    char path[PATH_MAX_BYTES + 1];
    wick_err *err;
} checker;

static wick_status check(checker *c, const json_t *schema, const json_t *v, int depth);

#define WRONG(...) wrong(c, __VA_ARGS__)
static wick_status wrong(checker *c, const char *fmt, const char *a, const char *b)
{
    char text[200];
    snprintf(text, sizeof text, fmt, a ? a : "", b ? b : "");
    return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "arguments", "%s: %s", c->path[0] ? c->path : "arguments", text);
}

static bool is_type(const json_t *v, const char *type)
{
    if (strcmp(type, "object") == 0) return json_is_object(v);
    if (strcmp(type, "array") == 0) return json_is_array(v);
    if (strcmp(type, "string") == 0) return json_is_string(v);
    if (strcmp(type, "boolean") == 0) return json_is_boolean(v);
    if (strcmp(type, "null") == 0) return json_is_null(v);
    if (strcmp(type, "number") == 0) return json_is_number(v);
    if (strcmp(type, "integer") == 0)
        return json_is_integer(v) || (json_is_real(v) && floor(json_real_value(v)) == json_real_value(v));
    return true; /* not a type of JSON Schema: nothing can be said */
}

static wick_status check_type(checker *c, const json_t *type, const json_t *v)
{
    if (json_is_string(type) && !is_type(v, json_string_value(type)))
        return WRONG("must be of type %s, not %s", json_string_value(type), wick_json_type_name(v));
    if (!json_is_array(type) || json_array_size(type) == 0) return WICK_OK;
    for (size_t i = 0; i < json_array_size(type); i++) {
        const char *one = json_string_value(json_array_get(type, i));
        if (!one || is_type(v, one)) return WICK_OK;
    }
    return WRONG("is of none of the types that the tool takes: it is %s", wick_json_type_name(v), NULL);
}

/* Numbers are equal by value: 1 and 1.0 are the same in JSON Schema. */
static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static wick_status check_values(checker *c, const json_t *schema, const json_t *v)
{
    const json_t *list = json_object_get(schema, "enum"), *one = json_object_get(schema, "const");
    if (one && !same(one, v)) return WRONG("is not the value that the tool takes", NULL, NULL);
    if (json_is_array(list)) {
        size_t i = 0;
        while (i < json_array_size(list) && !same(json_array_get(list, i), v)) i++;
        if (i == json_array_size(list)) return WRONG("is none of the values that the tool takes", NULL, NULL);
    }
    if (!json_is_number(v)) return WICK_OK;
    const double x = json_number_value(v), step = json_number_value(json_object_get(schema, "multipleOf"));
    if (step > 0 && fabs(x / step - round(x / step)) > 1e-9)
        return WRONG("is no multiple of what the tool takes", NULL, NULL);
    const json_t *lo = json_object_get(schema, "minimum"), *hi = json_object_get(schema, "maximum");
    const json_t *above = json_object_get(schema, "exclusiveMinimum"),
                 *below = json_object_get(schema, "exclusiveMaximum");
    if ((json_is_number(lo) && x < json_number_value(lo)) || (json_is_number(above) && x <= json_number_value(above)))
        return WRONG("is too small", NULL, NULL);
    if ((json_is_number(hi) && x > json_number_value(hi)) || (json_is_number(below) && x >= json_number_value(below)))
        return WRONG("is too large", NULL, NULL);
    return WICK_OK;
}

static size_t characters(const json_t *v)
{
    const char *s = json_string_value(v);
    size_t n = 0;
    for (size_t i = 0; i < json_string_length(v); i++) n += ((unsigned char)s[i] & 0xC0) != 0x80;
    return n;
}

static wick_status check_count(checker *c, const json_t *schema, size_t n, const char *min, const char *max)
{
    const json_t *lo = json_object_get(schema, min), *hi = json_object_get(schema, max);
    if (json_is_number(lo) && (double)n < json_number_value(lo)) return WRONG("breaks %s", min, NULL);
    if (json_is_number(hi) && (double)n > json_number_value(hi)) return WRONG("breaks %s", max, NULL);
    return WICK_OK;
}

/* Checks a member under its name in the path. */
static wick_status check_member(checker *c, const char *name, const json_t *schema, const json_t *v, int depth)
{
    const size_t n = strlen(c->path);
    snprintf(c->path + n, sizeof c->path - n, "/%s", name);
    const wick_status st = check(c, schema, v, depth + 1);
    c->path[n] = '\0';
    return st;
}

/* A key as a value of its own. */
static wick_status check_name(checker *c, const json_t *schema, const char *key, int depth)
{
    json_t *name = json_string(key);
    const wick_status st = name ? check_member(c, key, schema, name, depth) : wick_err_oom(c->err, "arguments", 0, 0);
    json_decref(name);
    return st;
}

/* The schemas of patternProperties whose pattern fits the key. */
static wick_status check_by_pattern(checker *c, const json_t *patterns, const char *key, const json_t *v, int depth,
                                    bool *known)
{
    const char *pattern;
    json_t *schema;
    json_object_foreach((json_t *)(uintptr_t)patterns, pattern, schema)
    {
        if (!wick_tool_pattern_fits(pattern, key, strlen(key))) continue;
        *known = true;
        WICK_TRY(check_member(c, key, schema, v, depth));
    }
    return WICK_OK;
}

static wick_status check_dependents(checker *c, const json_t *dependents, const json_t *v)
{
    const char *key;
    json_t *list;
    json_object_foreach((json_t *)(uintptr_t)dependents, key, list)
    {
        for (size_t i = 0; json_object_get(v, key) && i < json_array_size(list); i++) {
            const char *name = json_string_value(json_array_get(list, i));
            if (name && !json_object_get(v, name)) return WRONG("\"%.80s\" needs \"%.80s\" too", key, name);
        }
    }
    return WICK_OK;
}

static wick_status check_object(checker *c, const json_t *schema, const json_t *v, int depth)
{
    const json_t *properties = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    const json_t *more = json_object_get(schema, "additionalProperties");
    const json_t *patterns = json_object_get(schema, "patternProperties"),
                 *names = json_object_get(schema, "propertyNames");
    const char *key;
    json_t *member;
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (name && !json_object_get(v, name)) return WRONG("\"%.100s\" is missing", name, NULL);
    }
    WICK_TRY(check_count(c, schema, json_object_size(v), "minProperties", "maxProperties"));
    json_object_foreach((json_t *)(uintptr_t)v, key, member)
    {
        const json_t *s = json_object_get(properties, key);
        bool known = s != NULL;
        if (names) WICK_TRY(check_name(c, names, key, depth));
        if (s) WICK_TRY(check_member(c, key, s, member, depth));
        WICK_TRY(check_by_pattern(c, patterns, key, member, depth, &known));
        if (!known && json_is_false(more)) return WRONG("\"%.100s\" is no parameter of this tool", key, NULL);
        if (!known && json_is_object(more)) WICK_TRY(check_member(c, key, more, member, depth));
    }
    return check_dependents(c, json_object_get(schema, "dependentRequired"), v);
}

/* Does it fit, whatever the message would be? */
static bool fits(checker *c, const json_t *schema, const json_t *v, int depth)
{
    wick_err *err = c->err;
    c->err = NULL;
    const bool ok = check(c, schema, v, depth + 1) == WICK_OK;
    c->err = err;
    return ok;
}

static wick_status check_array(checker *c, const json_t *schema, const json_t *v, int depth)
{
    const json_t *items = json_object_get(schema, "items"), *prefix = json_object_get(schema, "prefixItems");
    WICK_TRY(check_count(c, schema, json_array_size(v), "minItems", "maxItems"));
    for (size_t i = 0; json_is_true(json_object_get(schema, "uniqueItems")) && i < json_array_size(v); i++)
        for (size_t k = 0; k < i; k++)
            if (same(json_array_get(v, i), json_array_get(v, k))) return WRONG("holds a value twice", NULL, NULL);
    const json_t *contains = json_object_get(schema, "contains");
    size_t found = 0;
    for (size_t i = 0; contains && i < json_array_size(v); i++) found += fits(c, contains, json_array_get(v, i), depth);
    if (contains && found == 0) return WRONG("lacks a value that the tool asks for", NULL, NULL);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *s = i < json_array_size(prefix) ? json_array_get(prefix, i) : items;
        char name[24];
        snprintf(name, sizeof name, "%zu", i);
        if (json_is_object(s)) WICK_TRY(check_member(c, name, s, json_array_get(v, i), depth));
    }
    return WICK_OK;
}

/* The part of the root schema that "#/$defs/x" names, or NULL. */
static const json_t *resolve(const checker *c, const char *ref)
{
    const json_t *at = c->root;
    if (ref[0] != '#') return NULL;
    for (const char *p = ref + 1; *p == '/' && at;) {
        const size_t n = strcspn(p + 1, "/");
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)(n < 127 ? n : 127), p + 1);
        at = json_is_array(at) ? NULL : json_object_get(at, name);
        p += 1 + n;
    }
    return at;
}

static wick_status check_choices(checker *c, const json_t *schema, const json_t *v, int depth)
{
    const json_t *all = json_object_get(schema, "allOf");
    for (size_t i = 0; i < json_array_size(all); i++) WICK_TRY(check(c, json_array_get(all, i), v, depth + 1));
    static const char *const kinds[] = {"anyOf", "oneOf"};
    for (size_t k = 0; k < 2; k++) {
        const json_t *list = json_object_get(schema, kinds[k]);
        size_t fit = 0;
        for (size_t i = 0; i < json_array_size(list); i++) fit += fits(c, json_array_get(list, i), v, depth);
        if (json_array_size(list) > 0 && (fit == 0 || (k == 1 && fit > 1)))
            return WRONG("fits %s of the forms that the tool takes", fit ? "more than one" : "none", NULL);
    }
    const json_t *no = json_object_get(schema, "not"), *when = json_object_get(schema, "if");
    if (no && fits(c, no, v, depth)) return WRONG("has a form that the tool does not take", NULL, NULL);
    const json_t *then = when ? json_object_get(schema, fits(c, when, v, depth) ? "then" : "else") : NULL;
    return then ? check(c, then, v, depth + 1) : WICK_OK;
}

static wick_status check_text(checker *c, const json_t *schema, const json_t *v)
{
    const char *pattern = json_string_value(json_object_get(schema, "pattern"));
    WICK_TRY(check_count(c, schema, characters(v), "minLength", "maxLength"));
    if (pattern && !wick_tool_pattern_fits(pattern, json_string_value(v), json_string_length(v)))
        return WRONG("does not match %.120s", pattern, NULL);
    return WICK_OK;
}

static wick_status check(checker *c, const json_t *schema, const json_t *v, int depth)
{
    if (json_is_false(schema)) return WRONG("is not taken by this tool", NULL, NULL);
    if (!json_is_object(schema)) return WICK_OK;
    if (depth > DEPTH_MAX) return WRONG("is nested too deeply", NULL, NULL);
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    const json_t *target = ref ? resolve(c, ref) : NULL;
    if (target) WICK_TRY(check(c, target, v, depth + 1));
    WICK_TRY(check_type(c, json_object_get(schema, "type"), v));
    WICK_TRY(check_values(c, schema, v));
    if (json_is_string(v)) WICK_TRY(check_text(c, schema, v));
    if (json_is_object(v)) WICK_TRY(check_object(c, schema, v, depth));
    if (json_is_array(v)) WICK_TRY(check_array(c, schema, v, depth));
    return check_choices(c, schema, v, depth);
}

wick_status wick_tool_check(const json_t *schema, const json_t *value, wick_err *err)
{
    checker c = {.root = schema, .err = err};
    return check(&c, schema, value, 0);
}
