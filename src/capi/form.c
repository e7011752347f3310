/* capi/form.c - forms of answers in the C API: grammars that requests name. The same struct as the grammar layer's. */
#include <string.h>
#include "capi/capi_int.h"

wick_status wick_grammar_new(const char *kind, const char *text, size_t n, wick_grammar **out, wick_error *error)
{
    wick_err err = {0};
    wick_grammar_kind k = WICK_GRAMMAR_JSON_OBJECT;
    wick_status st = WICK_OK;
    const wick_grammar_options o = wick_engine_grammar_options();
    if (!out || !kind || !wick_grammar_kind_of(kind, &k) || k == WICK_GRAMMAR_CALLS)
        st = WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "kind",
                       "kind: \"%.40s\" is not known: json_schema, json_object, regex, gbnf, lark and choice are",
                       kind ? kind : "NULL");
    else if (!text && k != WICK_GRAMMAR_JSON_OBJECT)
        st = WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "text", "text: NULL");
    if (out) *out = NULL;
    if (st == WICK_OK) st = wick_grammar_compile(out, k, text ? text : "", wick_capi_length(text, n), &o, &err);
    return wick_capi_result(st, &err, error);
}

void wick_grammar_free(wick_grammar *g)
{
    wick_grammar_unref(g);
}

wick_status wick_capi_hold(const wick_llm *llm, wick_grammar *g, const wick_capi_reading *how,
                           wick_engine_grammar **out, wick_err *err)
{
    *out = NULL;
    if (!g) return WICK_OK;
    if (how && how->calls)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "grammar", "grammar: together with tools it is not supported");
    return wick_engine_grammar_share(out, llm->engine, g, how ? how->after : NULL, err);
}
