/* capi/tools.c - functions of the program as tools of a model, and the loop that runs them (chat/tools.h). */
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "capi/capi_int.h"

struct wick_tool_run {
    const wick_tool_job *call;
    wick_buf *result;
};

/* user of one tool of the set */
typedef struct own_tool {
    wick_tool_function fn;
    void *user;
} own_tool;

const char *wick_tool_run_name(const wick_tool_run *run)
{
    return run->call->name;
}

const char *wick_tool_run_arguments(const wick_tool_run *run)
{
    return run->call->arguments;
}

bool wick_tool_run_cancelled(const wick_tool_run *run)
{
    return atomic_load(run->call->cancel);
}

wick_status wick_tool_run_return(wick_tool_run *run, const char *text, size_t n, wick_error *error)
{
    wick_err err = {0};
    if (!text) return wick_capi_result(WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "text", "text: NULL"), &err, error);
    wick_buf_add(run->result, text, wick_capi_length(text, n));
    return wick_capi_result(run->result->failed ? wick_err_oom(&err, "the result", 0, 0) : WICK_OK, &err, error);
}

static wick_status call_own(void *user, const wick_tool_job *call, wick_buf *result, wick_err *err)
{
    const own_tool *t = user;
    wick_tool_run run = {.call = call, .result = result};
    return t->fn(t->user, &run, err);
}

static wick_status add_own(wick_toolset *tools, const wick_own_tool *tool, wick_err *err)
{
    if (!tool->fn)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "fn", "tool %.70s: it has no function",
                         tool->name ? tool->name : "");
    own_tool *t = wick_alloc(sizeof *t);
    if (!t) return wick_err_oom(err, "a tool", sizeof *t, 0);
    *t = (own_tool){tool->fn, tool->user};
    const wick_tool_def def = {.name = tool->name,
                               .description = tool->description,
                               .schema = tool->schema_json,
                               .safe = true,
                               .fn = call_own,
                               .user = t,
                               .release = wick_free};
    const wick_status st = wick_toolset_add(tools, &def, err);
    if (st != WICK_OK) wick_free(t);
    return st;
}

wick_status wick_capi_tool_add(wick_toolset **tools, const char *name, const char *description, const char *schema,
                               wick_tool_function fn, void *user, wick_err *err)
{
    const wick_own_tool tool = {name, description, schema, fn, user};
    if (!*tools) WICK_TRY(wick_toolset_new(tools, err));
    return add_own(*tools, &tool, err);
}

/* One tool of the builder's again for the model, which may outlive the builder. */
static wick_status copy_own(wick_toolset *to, const wick_toolset *own, wick_err *err)
{
    for (size_t i = 0; own && i < wick_toolset_n(own); i++) {
        wick_tool_def def;
        wick_toolset_get(own, i, &def);
        const own_tool *t = def.user;
        own_tool *mine = wick_alloc(sizeof *mine);
        if (!mine) return wick_err_oom(err, "a tool", sizeof *mine, 0);
        *mine = *t;
        def.user = mine;
        char *schema = wick_toolset_schema(own, i);
        def.schema = schema;
        const wick_status st = schema ? wick_toolset_add(to, &def, err) : wick_err_oom(err, "a tool", 0, 0);
        free(schema);
        if (st != WICK_OK) {
            wick_free(mine);
            return st;
        }
    }
    return WICK_OK;
}

wick_status wick_capi_tools_open(wick_llm *llm, const wick_toolset *own, const char *file, wick_err *err)
{
    static const wick_toolbox_opts none = {0};
    if (!own && !file) return WICK_OK;
    WICK_TRY(wick_toolset_new(&llm->tools, err));
    WICK_TRY(copy_own(llm->tools, own, err));
    if (!file) return WICK_OK;
    WICK_TRY(wick_toolbox_load(&llm->toolbox, file, &none, err));
    return wick_toolset_borrow(llm->tools, wick_toolbox_tools(llm->toolbox), err);
}

void wick_capi_tools_close(wick_llm *llm)
{
    wick_toolset_free(llm->tools);
    wick_toolbox_close(llm->toolbox);
}

/* ---- the loop ---- */

typedef struct loop_ctx {
    wick_llm *llm;
    wick_generate_options options;
    wick_capi_turn turn;
    wick_token_callback callback;
    void *user;
    wick_result last; /* of the last turn */
    char *tools_json;
} loop_ctx;

/* The caller's options in the size that this library knows. */
static void read_options(wick_generate_options *to, const wick_generate_options *given)
{
    wick_generate_options_init(to);
    if (given) memcpy(to, given, given->size < sizeof *to ? given->size : sizeof *to);
    to->size = sizeof *to;
}

bool wick_capi_tools_run(const wick_llm *llm, const wick_generate_options *options)
{
    wick_generate_options o;
    read_options(&o, options);
    const bool builders = llm->tools && wick_toolset_n(llm->tools) > 0 && !o.tools_off;
    return !o.tools_json && (builders || o.n_own_tools > 0);
}

/* The tools of one request: its own, then those of the builder. */
static wick_status request_tools(const wick_llm *llm, const wick_generate_options *o, wick_toolset **out, wick_err *err)
{
    WICK_TRY(wick_toolset_new(out, err));
    for (size_t i = 0; i < o->n_own_tools; i++) WICK_TRY(add_own(*out, &o->own_tools[i], err));
    return llm->tools && !o->tools_off ? wick_toolset_borrow(*out, llm->tools, err) : WICK_OK;
}

/* The answer as a message for the next turn. */
static json_t *message_of(const wick_result *r)
{
    json_t *m = json_object();
    json_t *text = json_stringn(r->text ? r->text : "", r->n_text);
    json_object_set_new(m, "role", json_string("assistant"));
    json_object_set_new(m, "content", text ? text : json_string(""));
    if (r->n_reasoning > 0) json_object_set_new(m, "reasoning_content", json_stringn(r->reasoning, r->n_reasoning));
    /* What a caller stopped is not gone on with. */
    if (r->n_tool_calls == 0 || r->reason == WICK_STOPPED_BY_CALLER) return m;
    json_t *calls = json_array();
    for (size_t i = 0; i < r->n_tool_calls; i++)
        json_array_append_new(calls, json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", r->tool_calls[i].id, "type",
                                               "function", "function", "name", r->tool_calls[i].name, "arguments",
                                               r->tool_calls[i].arguments));
    json_object_set_new(m, "tool_calls", calls);
    return m;
}

static wick_status one_turn(void *ctx, const json_t *messages, json_t **answer, wick_err *err)
{
    loop_ctx *c = ctx;
    wick_result_release(&c->last);
    WICK_TRY(c->turn(c->llm, messages, &c->options, c->callback, c->user, &c->last, err));
    c->options.continue_last = false; /* of the first turn only */
    *answer = message_of(&c->last);
    return *answer ? WICK_OK : wick_err_oom(err, "the answer", 0, 0);
}

static bool approve(void *ctx, const char *name, const char *arguments, bool safe)
{
    const loop_ctx *c = ctx;
    (void)safe;
    return !c->options.tool_approve || c->options.tool_approve(c->options.tool_user, name, arguments) != 0;
}

static void report(void *ctx, const wick_tool_event *e)
{
    const loop_ctx *c = ctx;
    if (c->options.tool_report)
        c->options.tool_report(c->options.tool_user, e->id, e->name, e->arguments,
                               e->kind == WICK_TOOL_EVENT_RESULT ? e->result : NULL, e->failed);
}

wick_status wick_capi_loop(wick_llm *llm, const json_t *messages, const wick_generate_options *options,
                           wick_capi_turn turn, wick_token_callback callback, void *user, wick_result *out,
                           wick_err *err)
{
    loop_ctx c = {.llm = llm, .turn = turn, .callback = callback, .user = user};
    json_t *all = json_is_array(messages) ? json_copy((json_t *)(uintptr_t)messages) : NULL;
    wick_toolset *set = NULL;
    read_options(&c.options, options);
    wick_status st = request_tools(llm, &c.options, &set, err);
    json_t *tools = st == WICK_OK ? wick_toolset_json(set) : NULL;
    c.tools_json = tools ? json_dumps(tools, 0) : NULL;
    c.options.tools_json = c.tools_json;
    if (st == WICK_OK && !all) st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: must be an array");
    if (st == WICK_OK && !c.tools_json) st = wick_err_oom(err, "the tools", 0, 0);
    wick_tool_loop l = {.tools = set,
                        .turn = one_turn,
                        .approve = approve,
                        .event = report,
                        .ctx = &c,
                        .max_rounds = c.options.tool_rounds,
                        .timeout_ms = c.options.tool_timeout_ms,
                        .side_by_side = c.options.tools_side_by_side};
    if (st == WICK_OK) st = wick_tool_loop_run(&l, all, err);
    if (l.limited) c.last.reason = WICK_STOPPED_BY_TOOL_ROUNDS;
    if (st == WICK_OK && out) {
        *out = c.last;
        memset(&c.last, 0, sizeof c.last);
    }
    wick_result_release(&c.last);
    free(c.tools_json);
    wick_toolset_free(set);
    json_decref(tools);
    json_decref(all);
    return st;
}
