/* chat/tools_check.c - do a call's arguments fit the schema of its tool?
 *
 * This is a gate before a function runs, not a validator: it checks the keywords that descriptions of tools use and
 * passes what it does not know. Constraints while the answer is generated come from grammar/; this is for what was not
 * constrained. */
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
    const double x = json_number_value(v);
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

static wick_status check_object(checker *c, const json_t *schema, const json_t *v, int depth)
{
    const json_t *properties = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    const json_t *more = json_object_get(schema, "additionalProperties");
    const bool patterns = json_object_get(schema, "patternProperties") != NULL;
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
        if (s)
            WICK_TRY(check_member(c, key, s, member, depth));
        else if (json_is_false(more) && !patterns)
            return WRONG("\"%.100s\" is no parameter of this tool", key, NULL);
        else if (json_is_object(more) && !patterns)
            WICK_TRY(check_member(c, key, more, member, depth));
    }
    return WICK_OK;
}

static wick_status check_array(checker *c, const json_t *schema, const json_t *v, int depth)
{
    const json_t *items = json_object_get(schema, "items"), *prefix = json_object_get(schema, "prefixItems");
    WICK_TRY(check_count(c, schema, json_array_size(v), "minItems", "maxItems"));
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
        wick_err *err = c->err;
        c->err = NULL;
        for (size_t i = 0; i < json_array_size(list); i++)
            fit += check(c, json_array_get(list, i), v, depth + 1) == WICK_OK;
        c->err = err;
        if (json_array_size(list) > 0 && (fit == 0 || (k == 1 && fit > 1)))
            return WRONG("fits %s of the forms that the tool takes", fit ? "more than one" : "none", NULL);
    }
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
    if (json_is_string(v)) WICK_TRY(check_count(c, schema, characters(v), "minLength", "maxLength"));
    if (json_is_object(v)) WICK_TRY(check_object(c, schema, v, depth));
    if (json_is_array(v)) WICK_TRY(check_array(c, schema, v, depth));
    return check_choices(c, schema, v, depth);
}

wick_status wick_tool_check(const json_t *schema, const json_t *value, wick_err *err)
{
    checker c = {.root = schema, .err = err};
    return check(&c, schema, value, 0);
}
