/* chat/tools.c - see tools.h.
 *
 * 1. Every call gets exactly one result, in the order of the calls, whatever happened to it.
 * 2. A function runs on a thread of its own, so that its time can be watched. When the time is over its cancel flag is
 *    set and its result no longer wanted; the loop still waits for it to return, since nothing else would be safe.
 */
#include "chat/tools.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"

enum {
    ROUNDS = 8,
    TIMEOUT_MS = 60000,
    RESULT_BYTES = 256 << 10,
    RESULT_MAX_BYTES = 32 << 20,
    CALLS_MAX = 64,
    TOOLS_MAX = 4096
};

typedef struct tool {
    char *name, *description;
    json_t *schema; /* never NULL */
    wick_tool_def def;
    bool borrowed;
} tool;

struct wick_toolset {
    tool *tool;
    size_t n, cap;
};

/* --- toolsets ----------------------------------------------------------------------------------------------------- */
wick_status wick_toolset_new(wick_toolset **out, wick_err *err)
{
    *out = wick_alloc_zero(1, sizeof **out);
    return *out ? WICK_OK : wick_err_oom(err, "tools", sizeof **out, 0);
}

static void release_tool(tool *t)
{
    wick_free(t->name);
    wick_free(t->description);
    json_decref(t->schema);
}

void wick_toolset_free(wick_toolset *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->tool[i].borrowed && t->tool[i].def.release) t->tool[i].def.release(t->tool[i].def.user);
        release_tool(&t->tool[i]);
    }
    wick_free(t->tool);
    wick_free(t);
}

static const tool *find(const wick_toolset *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->tool[i].name, name) == 0) return &t->tool[i];
    return NULL;
}

static bool is_name(const char *s)
{
    const size_t n = s ? strlen(s) : 0;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') ||
              strchr("_-.", s[i])))
            return false;
    return n > 0 && n <= 64;
}

static wick_status parse_schema(const char *name, const char *text, json_t **out, wick_err *err)
{
    if (!text) {
        *out = json_pack("{s:s, s:{}}", "type", "object", "properties");
        return *out ? WICK_OK : wick_err_oom(err, "tools", 0, 0);
    }
    WICK_TRY(wick_json_parse_strict(text, strlen(text), "schema", out, err));
    if (json_is_object(*out)) return WICK_OK;
    json_decref(*out);
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "tool %s: the schema must be an object", name);
}

static wick_status make_room(wick_toolset *t, wick_err *err)
{
    if (t->n >= TOOLS_MAX) return WICK_FAIL(err, WICK_E_LIMIT, "tools", "more than %d tools", TOOLS_MAX);
    if (t->n < t->cap) return WICK_OK;
    const size_t cap = t->cap ? 2 * t->cap : 16;
    tool *more = wick_realloc_array(t->tool, cap, sizeof *more);
    if (!more) return wick_err_oom(err, "tools", cap * sizeof *more, 0);
    t->tool = more;
    t->cap = cap;
    return WICK_OK;
}

wick_status wick_toolset_add(wick_toolset *t, const wick_tool_def *def, wick_err *err)
{
    tool one = {.def = *def};
    if (!is_name(def->name))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "name",
                         "tool \"%.70s\": a name has 1 to 64 letters, digits, _, - and .", def->name ? def->name : "");
    if (!def->fn) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, def->name, "tool %s: it has no function", def->name);
    if (find(t, def->name))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, def->name, "tool %s: the name is taken", def->name);
    WICK_TRY(make_room(t, err));
    WICK_TRY(parse_schema(def->name, def->schema, &one.schema, err));
    one.name = wick_strdup(def->name);
    one.description = def->description ? wick_strdup(def->description) : NULL;
    if (!one.name || (def->description && !one.description)) {
        release_tool(&one);
        return wick_err_oom(err, "tools", 0, 0);
    }
    t->tool[t->n++] = one;
    return WICK_OK;
}

wick_status wick_toolset_borrow_one(wick_toolset *t, const wick_toolset *from, size_t i, wick_err *err)
{
    const tool *f = &from->tool[i];
    if (find(t, f->name)) return WICK_OK;
    WICK_TRY(make_room(t, err));
    tool one = {.def = f->def, .borrowed = true, .schema = json_incref(f->schema), .name = wick_strdup(f->name)};
    one.description = f->description ? wick_strdup(f->description) : NULL;
    if (!one.name || (f->description && !one.description)) {
        release_tool(&one);
        return wick_err_oom(err, "tools", 0, 0);
    }
    t->tool[t->n++] = one;
    return WICK_OK;
}

wick_status wick_toolset_borrow(wick_toolset *t, const wick_toolset *from, wick_err *err)
{
    for (size_t i = 0; i < from->n; i++) WICK_TRY(wick_toolset_borrow_one(t, from, i, err));
    return WICK_OK;
}

size_t wick_toolset_n(const wick_toolset *t)
{
    return t->n;
}

void wick_toolset_get(const wick_toolset *t, size_t i, wick_tool_def *def)
{
    *def = t->tool[i].def;
    def->name = t->tool[i].name;
    def->description = t->tool[i].description;
    def->schema = NULL;
}

char *wick_toolset_schema(const wick_toolset *t, size_t i)
{
    return json_dumps(t->tool[i].schema, 0);
}

bool wick_toolset_has(const wick_toolset *t, const char *name)
{
    return find(t, name) != NULL;
}

json_t *wick_toolset_json(const wick_toolset *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->n; i++) {
        json_t *f = json_pack("{s:s, s:s*, s:O}", "name", t->tool[i].name, "description", t->tool[i].description,
                              "parameters", t->tool[i].schema);
        json_t *one = json_pack("{s:s, s:o}", "type", "function", "function", f);
        if (json_array_append_new(list, one) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* --- one call ----------------------------------------------------------------------------------------------------- */
typedef struct call {
    const char *id, *name; /* borrowed from the answer */
    char *arguments;       /* text */
    const tool *tool;
    wick_tool_job info;
    wick_cancel cancel;
    wick_buf result;
    wick_thread thread;
    wick_lock *lock; /* of done */
    wick_cond *cond;
    bool started, done, failed;
    wick_status st;
    wick_err err;
    double t_start, ms;
} call;

static void *run_call(void *arg)
{
    call *c = arg;
    c->st = c->tool->def.fn(c->tool->def.user, &c->info, &c->result, &c->err);
    c->ms = wick_time_ms() - c->t_start;
    wick_lock_take(c->lock);
    c->done = true;
    wick_cond_broadcast(c->cond);
    wick_lock_drop(c->lock);
    return NULL;
}

/* The result is this line instead of what the function may have said. */
static void say_failure(call *c, const char *why)
{
    wick_buf_reset(&c->result);
    wick_buf_puts(&c->result, "error: ");
    wick_buf_puts(&c->result, why);
    c->failed = true;
}

/* Reads one entry of tool_calls; what is wrong with it becomes its result. */
static void prepare(const wick_tool_loop *l, const json_t *entry, call *c)
{
    const json_t *f = json_object_get(entry, "function"), *a = json_object_get(f, "arguments");
    const char *id = json_string_value(json_object_get(entry, "id")),
               *name = json_string_value(json_object_get(f, "name"));
    json_t *value = NULL;
    wick_err err = {0};
    c->id = id ? id : "";
    c->name = name ? name : "";
    wick_buf_init(&c->result, RESULT_MAX_BYTES);
    if (json_is_object(a)) {
        value = json_incref((json_t *)(uintptr_t)a);
    } else if (json_is_string(a)) {
        const char *text = json_string_length(a) > 0 ? json_string_value(a) : "{}";
        if (wick_json_parse_strict(text, strlen(text), "arguments", &value, &err) != WICK_OK)
            say_failure(c, err.message);
    } else {
        value = json_object();
    }
    char *text = value ? json_dumps(value, 0) : NULL;
    c->arguments = wick_strdup(text ? text : json_is_string(a) ? json_string_value(a) : "{}");
    free(text);
    c->tool = find(l->tools, c->name);
    if (c->failed) {
        /* said already */
    } else if (!c->tool) {
        (void)wick_err_set(&err, WICK_E_BAD_PARAMETER, "name", "there is no tool \"%.70s\"", c->name);
        say_failure(c, err.message);
    } else if (!json_is_object(value)) {
        say_failure(c, "arguments: must be an object");
    } else if (wick_tool_check(c->tool->schema, value, &err) != WICK_OK) {
        say_failure(c, err.message);
    } else if (!c->arguments) {
        say_failure(c, "out of memory");
    }
    json_decref(value);
}

static void ask_approval(const wick_tool_loop *l, call *c)
{
    const bool safe = c->tool && c->tool->def.safe;
    if (c->failed) return;
    const bool yes = l->approve ? l->approve(l->ctx, c->name, c->arguments, safe) : safe || l->approve_all;
    if (!yes) say_failure(c, "the user did not allow this call");
}

static void start_call(const wick_tool_loop *l, call *c)
{
    if (c->failed) return;
    c->info = (wick_tool_job){.id = c->id,
                              .name = c->name,
                              .arguments = c->arguments,
                              .cancel = &c->cancel,
                              .timeout_ms = l->timeout_ms ? l->timeout_ms : TIMEOUT_MS};
    c->t_start = wick_time_ms();
    wick_err err = {0};
    c->started = wick_thread_start(&c->thread, "wick-tool", run_call, c, &err) == WICK_OK;
    if (!c->started) say_failure(c, err.message);
}

/* Too long: the beginning is given, whole characters, and a line that says so. */
static void cut_result(wick_buf *b, size_t max)
{
    static const char note[] = "\n[cut: too long]";
    if (b->n <= max) return;
    b->n = wick_utf8_complete(b->data, max > sizeof note ? max - sizeof note : 0);
    wick_buf_puts(b, note);
}

static bool is_cancelled(const wick_tool_loop *l)
{
    return (l->cancel && atomic_load(l->cancel)) || (l->stopped && l->stopped(l->ctx));
}

/* Waits for the call; sets its cancel flag when its time is over or the loop was cancelled. */
static void finish_call(const wick_tool_loop *l, call *c)
{
    bool late = false, cancelled = false;
    if (!c->started) return;
    wick_lock_take(c->lock);
    while (!c->done) {
        (void)wick_cond_wait_ms(c->cond, c->lock, 20);
        cancelled |= is_cancelled(l);
        late |= !c->done && wick_time_ms() - c->t_start > c->info.timeout_ms;
        if (late || cancelled) atomic_store(&c->cancel, true);
    }
    wick_lock_drop(c->lock);
    wick_thread_join(&c->thread);
    if (cancelled) {
        say_failure(c, "cancelled");
    } else if (late) {
        say_failure(c, "the tool did not answer in time");
    } else if (c->st != WICK_OK) {
        say_failure(c, c->err.message[0] ? c->err.message : wick_status_name(c->st));
    } else if (c->result.failed) {
        say_failure(c, "the result is too long, or there is no memory for it");
    } else {
        cut_result(&c->result, l->max_result_bytes ? l->max_result_bytes : RESULT_BYTES);
    }
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */
static void tell(const wick_tool_loop *l, wick_tool_event_kind kind, const call *c)
{
    if (!l->event) return;
    const wick_tool_event e = {.kind = kind,
                               .round = l->n_rounds,
                               .id = c->id,
                               .name = c->name,
                               .arguments = c->arguments ? c->arguments : "",
                               .result = kind == WICK_TOOL_EVENT_RESULT && c->result.data ? c->result.data : "",
                               .failed = c->failed,
                               .ms = c->ms};
    l->event(l->ctx, &e);
}

static wick_status append_result(json_t *messages, const call *c, wick_err *err)
{
    json_t *m = json_pack("{s:s, s:s, s:s, s:o}", "role", "tool", "tool_call_id", c->id, "name", c->name, "content",
                          wick_json_text(c->result.data, c->result.n));
    return json_array_append_new(messages, m) == 0 ? WICK_OK : wick_err_oom(err, "tool result", 0, 0);
}

wick_status wick_tool_loop_round(wick_tool_loop *l, const json_t *list, json_t *messages, wick_err *err)
{
    const size_t n = json_array_size(list), n_before = l->n_calls;
    wick_lock lock;
    wick_cond cond;
    wick_status st = WICK_OK;
    call *calls = wick_alloc_zero(n, sizeof *calls);
    if (!calls) return wick_err_oom(err, "tool calls", n * sizeof *calls, 0);
    l->n_rounds++;
    wick_lock_init(&lock);
    wick_cond_init(&cond);
    for (size_t i = 0; i < n; i++) {
        call *c = &calls[i];
        c->lock = &lock;
        c->cond = &cond;
        prepare(l, json_array_get(list, i), c);
        if (i >= CALLS_MAX) say_failure(c, "too many calls in one answer");
        if (l->max_calls && n_before + i >= l->max_calls) say_failure(c, "the limit of calls is reached");
        tell(l, WICK_TOOL_EVENT_CALL, c);
        ask_approval(l, c);
        if (l->side_by_side) {
            start_call(l, c);
            continue;
        }
        if (is_cancelled(l)) say_failure(c, "cancelled");
        start_call(l, c);
        finish_call(l, c);
    }
    for (size_t i = 0; i < n; i++) {
        if (l->side_by_side) finish_call(l, &calls[i]);
        l->n_calls++;
        tell(l, WICK_TOOL_EVENT_RESULT, &calls[i]);
        if (st == WICK_OK) st = append_result(messages, &calls[i], err);
        wick_buf_release(&calls[i].result);
        wick_free(calls[i].arguments);
    }
    wick_free(calls);
    wick_cond_release(&cond);
    wick_lock_release(&lock);
    return st;
}

bool wick_tool_loop_over(wick_tool_loop *l)
{
    l->limited = l->n_rounds >= (l->max_rounds ? l->max_rounds : ROUNDS);
    return l->limited;
}

wick_status wick_tool_loop_run(wick_tool_loop *l, json_t *messages, wick_err *err)
{
    l->n_rounds = l->n_calls = 0;
    l->limited = false;
    for (;;) {
        json_t *answer = NULL;
        if (is_cancelled(l)) return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "cancelled");
        WICK_TRY(l->turn(l->ctx, messages, &answer, err));
        const json_t *calls = json_object_get(answer, "tool_calls");
        if (json_array_append_new(messages, answer) != 0) return wick_err_oom(err, "the answer", 0, 0);
        if (json_array_size(calls) == 0 || wick_tool_loop_over(l)) return WICK_OK;
        WICK_TRY(wick_tool_loop_round(l, calls, messages, err));
    }
}
