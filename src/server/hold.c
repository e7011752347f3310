/* server/hold.c - what holds the answers of a generation to a form: a grammar of the request, or the syntax in
 * which the model calls tools. */
#include <string.h>
#include "server/gen.h"

static const char *form_of(const wick_params *p)
{
    return p->tool_choice_required ? "tool_choice" : "tools";
}

/* The names in tools_allowed are those of tools. */
static wick_status check_allowed(const wick_params *p, wick_err *err)
{
    const json_t *name, *tool;
    size_t i, k;
    if (p->tool_choice_required && !p->tools)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tool_choice", "tool_choice: there are no tools");
    json_array_foreach(p->tools_allowed, i, name)
    {
        bool found = false;
        json_array_foreach(p->tools, k, tool) found =
            found || json_equal(json_object_get(json_object_get(tool, "function"), "name"), name);
        if (!found)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tool_choice", "tool_choice: there is no tool \"%.80s\"",
                             json_string_value(name));
    }
    return WICK_OK;
}

/* Calls follow the schemas of their tools. Where calls are not asked for and no schema is strict, what cannot be
 * enforced is not: such an answer is free. */
static wick_status constrain_calls(wick_gen *g, wick_err *err)
{
    const wick_params *p = &g->p;
    const wick_chat_format *f = &g->answer.format;
    const bool must = p->tool_choice_required || json_object_size(p->tools_strict) > 0;
    WICK_TRY(check_allowed(p, err));
    if (!f->calls && must)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, form_of(p), "%s: this model has no syntax for calls", form_of(p));
    if (!f->calls || g->answer.n_prefill) return WICK_OK;
    const wick_call_rules rules = {.tools = p->tools,
                                   .only = p->tools_allowed,
                                   .strict = p->tools_strict,
                                   .automatic = !p->tool_choice_required,
                                   .parallel = !p->one_call && !p->one_named,
                                   .inside_reasoning = g->answer.inside_reasoning};
    wick_buf text = WICK_BUF_INIT;
    wick_err why = {0};
    wick_status st = wick_call_constraint(f, &rules, &text, &why);
    if (st == WICK_OK)
        st = wick_engine_grammar_new(&g->grammar, g->model->engine, WICK_GRAMMAR_CALLS, wick_buf_str(&text), text.n,
                                     NULL, &why);
    wick_buf_release(&text);
    if (st == WICK_OK)
        g->base.constraint = wick_engine_grammar_constraint(g->grammar);
    else if (must || (st != WICK_E_BAD_PARAMETER && st != WICK_E_LIMIT))
        return WICK_FAIL(err, st, form_of(p), "%s", why.message);
    return WICK_OK;
}

/* The form of the answer. Reasoning runs free before it. */
static wick_status constrain_form(wick_gen *g, wick_err *err)
{
    const wick_params *p = &g->p;
    const char *after = NULL;
    if (g->answer.tools)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, p->grammar_name,
                         "%s: together with tools it is not supported yet: set tool_choice to \"none\"",
                         p->grammar_name);
    if (g->answer.inside_reasoning && g->answer.format.think) after = wick_think_close(g->answer.format.think);
    wick_status st = wick_engine_grammar_new(&g->grammar, g->model->engine, p->grammar_kind,
                                             p->grammar_text ? p->grammar_text : "", p->n_grammar, after, err);
    if (st != WICK_OK) {
        if (err) snprintf(err->subject, sizeof err->subject, "%s", p->grammar_name); /* the client's word for it */
        return st;
    }
    g->base.constraint = wick_engine_grammar_constraint(g->grammar);
    return WICK_OK;
}

wick_status wick_gen_constrain(wick_gen *g, wick_err *err)
{
    if (g->p.has_grammar) return constrain_form(g, err);
    if (g->answer.tools || g->p.tool_choice_required) return constrain_calls(g, err);
    return WICK_OK;
}
