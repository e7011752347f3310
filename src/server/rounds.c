/* server/rounds.c - see rounds.h. */
#include "server/rounds.h"
#include <string.h>
#include "base/json.h"
#include "base/sys.h"
#include "server/prompt.h"

struct wick_rounds {
    wick_gen *g;
    wick_toolset *tools; /* that this request may use, borrowed from the server's */
    wick_tool_loop loop;
    json_t *messages;             /* the conversation as it grows */
    json_t *calls;                /* all that were run, as wick_tool_calls shows them */
    json_t *fresh;                /* those of the last round */
    json_t *asked;                /* calls of the last answer */
    bool ends;                    /* the answer has calls of the client's too */
    size_t text_at, reasoning_at; /* where the last round's text begins */
    wick_thread thread;
    wick_cancel cancel;
    wick_lock lock; /* of ready */
    bool ready;
    wick_status st;
    wick_err err;
    wick_chat_prompt prompt;
};

/* --- which tools -------------------------------------------------------------------------------------------------- */
/* Is the tool named by the request ("wick_tools": [...]), or are all meant? */
static bool is_chosen(const json_t *chosen, const char *name)
{
    if (!json_is_array(chosen)) return true;
    for (size_t i = 0; i < json_array_size(chosen); i++) {
        const char *one = json_string_value(json_array_get(chosen, i));
        if (one && strcmp(one, name) == 0) return true;
    }
    return false;
}

static bool client_has(const json_t *tools, const char *name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const char *one =
            json_string_value(json_object_get(json_object_get(json_array_get(tools, i), "function"), "name"));
        if (one && strcmp(one, name) == 0) return true;
    }
    return false;
}

/* Does the request want the server's tools, and may it have them? */
static wick_status is_wanted(const wick_gen *g, bool *out, wick_err *err)
{
    const wick_server_config *c = g->x->s->config;
    const json_t *asked = g->p.own_tools;
    const bool by_name = json_is_array(asked), said = json_is_true(asked) || by_name;
    *out = false;
    if (json_is_false(asked) || (!said && !c->tools_by_default) || g->p.tool_choice_none) return WICK_OK;
    const char *why = NULL;
    if (!c->tools || wick_toolset_n(c->tools) == 0)
        why = "this server has no tools of its own";
    else if (g->x->key && !(g->x->key->c.scopes & WICK_SCOPE_TOOLS))
        return said ? WICK_FAIL(err, WICK_E_REFUSED, "scope", "wick_tools: this key may not use the server's tools")
                    : WICK_OK;
    else if (g->p.n > 1 || g->p.best_of > 1)
        why = "with several choices they are not run";
    else if (g->p.has_grammar)
        why = "with a form of the answer they are not run";
    else if (!wick_chat_get_format(g->model->chat)->calls)
        why = "this model's template knows no calls";
    if (why && said) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "wick_tools", "wick_tools: %s", why);
    for (size_t i = 0; !why && by_name && i < json_array_size(asked); i++) {
        const char *name = json_string_value(json_array_get(asked, i));
        if (!name || !wick_toolset_has(c->tools, name))
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "wick_tools", "wick_tools: there is no tool \"%.70s\"",
                             name ? name : "");
    }
    *out = !why;
    return WICK_OK;
}

/* The request's own set, and all tools together as the template shows them. */
static wick_status choose(wick_gen *g, wick_toolset **out, wick_err *err)
{
    wick_toolset *set = NULL;
    json_t *all = json_array();
    WICK_TRY(wick_toolset_new(&set, err));
    wick_status st = all ? WICK_OK : wick_err_oom(err, "tools", 0, 0);
    const wick_toolset *from = g->x->s->config->tools;
    if (g->p.tools) json_array_extend(all, (json_t *)(uintptr_t)g->p.tools);
    for (size_t i = 0; st == WICK_OK && i < wick_toolset_n(from); i++) {
        wick_tool_def def;
        wick_toolset_get(from, i, &def);
        if (!is_chosen(g->p.own_tools, def.name) || client_has(g->p.tools, def.name)) continue;
        st = wick_toolset_borrow_one(set, from, i, err);
    }
    json_t *own = st == WICK_OK ? wick_toolset_json(set) : NULL;
    if (st == WICK_OK && (!own || json_array_extend(all, own) != 0)) st = wick_err_oom(err, "tools", 0, 0);
    json_decref(own);
    if (st == WICK_OK) st = wick_params_keep(&g->p, json_incref(all), err);
    if (st == WICK_OK) {
        g->p.tools = all;
        *out = set;
    } else {
        wick_toolset_free(set);
    }
    json_decref(all);
    return st;
}

static void on_event(void *ctx, const wick_tool_event *e)
{
    wick_rounds *r = ctx;
    if (e->kind != WICK_TOOL_EVENT_RESULT) return;
    json_t *one = json_pack("{s:i, s:s, s:s, s:s, s:o, s:b, s:f}", "round", (int)e->round, "id", e->id, "name", e->name,
                            "arguments", e->arguments, "result", wick_json_text(e->result, strlen(e->result)), "error",
                            e->failed, "ms", e->ms);
    json_array_append_new(r->fresh, one);
}

static bool is_own(void *ctx, const char *name)
{
    return wick_toolset_has(((wick_rounds *)ctx)->tools, name);
}

wick_status wick_rounds_prepare(wick_gen *g, wick_err *err)
{
    const wick_server_config *c = g->x->s->config;
    bool wanted;
    WICK_TRY(is_wanted(g, &wanted, err));
    if (!wanted) return WICK_OK;
    wick_rounds *r = wick_alloc_zero(1, sizeof *r);
    if (!r) return wick_err_oom(err, "tools", sizeof *r, 0);
    wick_lock_init(&r->lock);
    r->g = g;
    g->rounds = r;
    r->messages = json_copy((json_t *)(uintptr_t)g->p.messages);
    r->calls = json_array();
    if (!r->messages || !r->calls) return wick_err_oom(err, "tools", 0, 0);
    WICK_TRY(choose(g, &r->tools, err));
    r->loop = (wick_tool_loop){.tools = r->tools,
                               .event = on_event,
                               .ctx = r,
                               .cancel = &r->cancel,
                               .max_rounds = c->tool_rounds,
                               .max_calls = g->p.max_tool_calls,
                               .timeout_ms = c->tool_seconds * 1000,
                               .side_by_side = c->tools_side_by_side,
                               .approve_all = true};
    return WICK_OK;
}

void wick_rounds_reader(wick_gen *g, wick_answer_opts *how)
{
    if (!g->rounds) return;
    how->is_own = is_own;
    how->own_ctx = g->rounds;
}

void wick_rounds_cancel(wick_rounds *r)
{
    atomic_store(&r->cancel, true);
}

void wick_rounds_free(wick_rounds *r)
{
    if (!r) return;
    wick_rounds_cancel(r);
    wick_thread_join(&r->thread);
    wick_toolset_free(r->tools);
    json_decref(r->messages);
    json_decref(r->calls);
    json_decref(r->fresh);
    json_decref(r->asked);
    wick_chat_prompt_release(&r->prompt);
    wick_lock_release(&r->lock);
    wick_free(r);
}

/* --- one round ---------------------------------------------------------------------------------------------------- */
bool wick_rounds_wanted(const wick_gen *g, const wick_choice *c)
{
    return g->rounds && !g->failed && wick_answer_how(c->answer) == WICK_END_CALLS &&
           wick_answer_n_own(c->answer) > 0 && !wick_tool_loop_over(&g->rounds->loop);
}

/* The answer as the message that the results follow. */
static json_t *message_of(wick_rounds *r, const wick_answer *a)
{
    size_t n, n_thought;
    const char *text = wick_answer_text(a, &n), *thought = wick_answer_reasoning(a, &n_thought);
    json_t *m = json_pack("{s:s, s:o, s:O}", "role", "assistant", "content",
                          wick_json_text(text + r->text_at, n - r->text_at), "tool_calls", r->asked);
    if (m && n_thought > r->reasoning_at)
        json_object_set_new(m, "reasoning_content",
                            wick_json_text(thought + r->reasoning_at, n_thought - r->reasoning_at));
    r->text_at = n;
    r->reasoning_at = n_thought;
    return m;
}

static wick_status build_prompt(wick_rounds *r, wick_err *err)
{
    wick_params p = r->g->p;
    p.messages = r->messages;
    p.continue_final_message = p.prefill = false;
    p.add_generation_prompt = true;
    return wick_prompt_build(r->g->model->chat, &p, false, &r->prompt, err);
}

static void *run(void *arg)
{
    wick_rounds *r = arg;
    r->st = wick_tool_loop_round(&r->loop, r->asked, r->messages, &r->err);
    if (r->st == WICK_OK && !r->ends) r->st = build_prompt(r, &r->err);
    wick_lock_take(&r->lock);
    r->ready = true;
    wick_lock_drop(&r->lock);
    wick_x_wake(r->g->x);
    return NULL;
}

wick_status wick_rounds_begin(wick_gen *g, wick_choice *c, wick_err *err)
{
    wick_rounds *r = g->rounds;
    wick_thread_join(&r->thread); /* of the round before, which is over */
    r->thread.started = false;
    json_decref(r->asked);
    json_decref(r->fresh);
    r->fresh = json_array();
    r->asked = wick_answer_own_json(c->answer);
    json_t *m = r->asked ? message_of(r, c->answer) : NULL;
    if (!r->fresh || !m || json_array_append_new(r->messages, m) != 0) return wick_err_oom(err, "tool calls", 0, 0);
    r->ends = wick_answer_n_calls(c->answer) > 0;
    r->ready = false;
    return wick_thread_start(&r->thread, "wick-tools", run, r, err);
}

bool wick_rounds_ready(wick_rounds *r)
{
    wick_lock_take(&r->lock);
    const bool ready = r->ready;
    wick_lock_drop(&r->lock);
    return ready;
}

const json_t *wick_rounds_new_calls(const wick_rounds *r)
{
    return r->fresh;
}

wick_status wick_rounds_next(wick_rounds *r, int32_t **ids, size_t *n, wick_answer_opts *how, wick_err *err)
{
    *ids = NULL;
    if (json_array_extend(r->calls, r->fresh) != 0) return wick_err_oom(err, "tool calls", 0, 0);
    if (r->st != WICK_OK) {
        if (err) *err = r->err;
        return r->st;
    }
    if (r->ends) return WICK_OK;
    *ids = r->prompt.ids;
    *n = r->prompt.n_ids;
    r->prompt.ids = NULL;
    how->inside_reasoning = r->prompt.in_reasoning;
    how->prefill = NULL;
    how->n_prefill = 0;
    wick_chat_prompt_release(&r->prompt);
    return WICK_OK;
}

bool wick_rounds_limited(const wick_gen *g)
{
    return g->rounds && g->rounds->loop.limited;
}

void wick_rounds_write(const wick_gen *g, wick_buf *b)
{
    if (!g->rounds || json_array_size(g->rounds->calls) == 0) return;
    wick_buf_puts(b, ",\"wick_tool_calls\":");
    if (!wick_json_write(b, g->rounds->calls)) b->failed = true;
    if (wick_rounds_limited(g)) wick_buf_puts(b, ",\"wick_tool_limit\":true");
}
