/* server/params_grammar.c - what holds an answer to a form: response_format, vLLM's guided_* and structured_outputs,
 * llama.cpp's grammar and json_schema, Ollama's format. All end as one grammar; two of them in a request are
 * refused. */
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "server/params.h"

#define BAD(r, name, ...) WICK_PARAM_BAD(r, name, __VA_ARGS__)

/* Takes nothing. v: a string is the grammar's own text, anything else is written as JSON. */
static wick_status take(wick_param_reading *r, const char *name, wick_grammar_kind kind, const json_t *v)
{
    wick_params *p = r->p;
    const bool text = json_is_string(v) && kind != WICK_GRAMMAR_CHOICES;
    if (p->has_grammar) return BAD(r, name, "%s: the answer has a form already (%s)", name, p->grammar_name);
    char *s = text ? wick_strndup(json_string_value(v), json_string_length(v)) : NULL;
    if (!text && v) {
        char *dumped = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        s = dumped ? wick_strdup(dumped) : NULL;
        wick_free(dumped);
    }
    if (v && !s) return wick_err_oom(r->err, "the request", 0, 0);
    p->has_grammar = true;
    p->grammar_kind = kind;
    p->grammar_text = s;
    p->n_grammar = s ? strlen(s) : 0;
    p->grammar_name = name;
    return WICK_OK;
}

static bool is_schema(const json_t *v)
{
    return json_is_object(v) || json_is_boolean(v);
}

/* v as `name`; the members of json_schema stand in an object of that name, or, as Responses has it, beside the type. */
static wick_status read_form(wick_param_reading *r, const char *name, const json_t *v, bool flat)
{
    const char *type = json_string_value(json_object_get(v, "type"));
    if (!json_is_object(v)) return wick_param_expected(r, name, "an object", v);
    if (!type) return BAD(r, name, "%s: expected a type: text, json_object or json_schema", name);
    if (strcmp(type, "text") == 0) return WICK_OK;
    if (strcmp(type, "json_object") == 0) { /* llama.cpp allows a schema here */
        const json_t *schema = json_object_get(v, "schema");
        if (schema && is_schema(schema)) return take(r, name, WICK_GRAMMAR_JSON_SCHEMA, schema);
        return take(r, name, WICK_GRAMMAR_JSON_OBJECT, NULL);
    }
    if (strcmp(type, "json_schema") != 0)
        return BAD(r, name, "%s: type \"%.40s\" is not supported: text, json_object and json_schema are", name, type);
    const json_t *schema = json_object_get(flat ? v : json_object_get(v, "json_schema"), "schema");
    if (!is_schema(schema))
        return BAD(r, name, "%s: %sschema: expected a JSON Schema", name, flat ? "" : "json_schema.");
    return take(r, name, WICK_GRAMMAR_JSON_SCHEMA, schema);
}

wick_status wick_read_response_format(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    return read_form(r, q->name, v, false);
}

wick_status wick_read_text_format(wick_param_reading *r, const json_t *v)
{
    r->p->text_format = v;
    return read_form(r, "text.format", v, true);
}

wick_status wick_read_schema(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (json_is_object(v) && json_object_size(v) == 0 && strcmp(q->name, "json_schema") == 0) return WICK_OK;
    if (!is_schema(v) && !json_is_string(v)) return wick_param_expected(r, q->name, "a JSON Schema", v);
    return take(r, q->name, WICK_GRAMMAR_JSON_SCHEMA, v);
}

wick_status wick_read_regex(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_string(v)) return wick_param_expected(r, q->name, "a string", v);
    return take(r, q->name, WICK_GRAMMAR_REGEX, v);
}

wick_status wick_read_choice(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_array(v)) return wick_param_expected(r, q->name, "a list of strings", v);
    return take(r, q->name, WICK_GRAMMAR_CHOICES, v);
}

/* GBNF; a grammar of Lark's is known by a line that begins with "start:". */
wick_status wick_read_grammar(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const char *s = json_string_value(v);
    if (!s) return wick_param_expected(r, q->name, "a string", v);
    if (!*s) return WICK_OK;
    const bool lark = strncmp(s, "start:", 6) == 0 || strstr(s, "\nstart:") != NULL;
    return take(r, q->name, lark ? WICK_GRAMMAR_LARK : WICK_GRAMMAR_GBNF, v);
}

wick_status wick_read_structured(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    static const struct {
        const char *key;
        wick_param_fn fn;
    } forms[] = {{"json", wick_read_schema},
                 {"regex", wick_read_regex},
                 {"choice", wick_read_choice},
                 {"grammar", wick_read_grammar}};
    const char *key;
    json_t *x;
    if (!json_is_object(v)) return wick_param_expected(r, q->name, "an object", v);
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        size_t i = 0;
        while (i < sizeof forms / sizeof *forms && strcmp(forms[i].key, key) != 0) i++;
        if (i < sizeof forms / sizeof *forms)
            WICK_TRY(forms[i].fn(r, q, x));
        else if (strcmp(key, "json_object") == 0 && json_is_true(x))
            WICK_TRY(take(r, q->name, WICK_GRAMMAR_JSON_OBJECT, NULL));
        else if (!json_is_null(x))
            return BAD(r, q->name, "%s.%.40s: is not supported: json, regex, choice and grammar are", q->name, key);
    }
    return WICK_OK;
}

/* Ollama's: "json", or a schema. */
wick_status wick_read_format(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const char *s = json_string_value(v);
    if (s && !*s) return WICK_OK;
    if (s && strcmp(s, "json") == 0) return take(r, q->name, WICK_GRAMMAR_JSON_OBJECT, NULL);
    if (!json_is_object(v)) return BAD(r, q->name, "format: expected \"json\" or a JSON Schema");
    return take(r, q->name, WICK_GRAMMAR_JSON_SCHEMA, v);
}
