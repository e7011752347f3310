/* chat/format/choose.c - what a template teaches, found by rendering a conversation with a sentinel call and sentinel
 * reasoning; and what the engine must show for it. */
#include <string.h>
#include "chat/answer.h"
#include "chat/format/think.h"
#include "chat/format/toolcall.h"

static bool is_control(const wick_tokenizer *t, const char *tag)
{
    for (size_t n = tag && t ? strlen(tag) : 0; n > 0; n--) {
        const int32_t id = wick_tokenizer_find(t, tag, n);
        if (id >= 0) return wick_tokenizer_type(t, id) == WICK_TOKEN_CONTROL;
    }
    return false;
}

bool wick_chat_format_needs_special(const wick_chat_format *f, const wick_tokenizer *t, bool with_calls)
{
    const char *mark;
    if (f->think && is_control(t, wick_think_open(f->think))) return true;
    for (size_t i = 0; with_calls && f->calls && (mark = wick_call_syntax_mark(f->calls, i)) != NULL; i++)
        if (is_control(t, mark)) return true;
    if (!with_calls || !f->calls) return false;
    const wick_call_shape *s = wick_call_syntax_shape(f->calls);
    const char *const inner[] = {s->after, s->close, s->param_open, s->param_mid, s->param_close, s->quote};
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        if (is_control(t, inner[i])) return true;
    return false;
}

static bool is_token(const wick_tokenizer *t, const char *tag)
{
    const int32_t id = tag && *tag ? wick_tokenizer_find(t, tag, strlen(tag)) : -1;
    return id >= 0 &&
           (wick_tokenizer_type(t, id) == WICK_TOKEN_CONTROL || wick_tokenizer_type(t, id) == WICK_TOKEN_USER);
}

void wick_chat_format_complete(wick_chat_format *f, const wick_tokenizer *t)
{
    if (!t) return;
    for (size_t i = 0; f->guessed && wick_call_syntax_at(i); i++)
        if (is_token(t, wick_call_syntax_open(wick_call_syntax_at(i)))) {
            f->calls = wick_call_syntax_at(i);
            f->guessed = false;
        }
    for (size_t i = 0; f->calls && !f->think && wick_think_syntax_at(i); i++)
        if (is_token(t, wick_think_open(wick_think_syntax_at(i)))) f->think = wick_think_syntax_at(i);
}

/* --- probes ------------------------------------------------------------------------------------------------------- */

#define NAME "wickTool"
#define KEY "wickKey"
#define VALUE "wickValue"
#define THOUGHT "wickThought"
#define ANSWER "wickAnswer"

static json_t *user_message(void)
{
    return json_pack("{s:s, s:s}", "role", "user", "content", "wickUser");
}

static json_t *probe_tools(void)
{
    return json_pack("[{s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s, s:s}}, s:[s]}}}]", "type", "function", "function", "name",
                     NAME, "description", "wickAbout", "parameters", "type", "object", "properties", KEY, "type",
                     "string", "description", "x", "required", KEY);
}

/* user, assistant with a call (and reasoning where it is asked for). */
static json_t *call_messages(bool thought)
{
    json_t *call = json_pack("{s:s, s:s, s:{s:s, s:{s:s}}}", "id", "abcdefghi", "type", "function", "function", "name",
                             NAME, "arguments", KEY, VALUE);
    json_t *m = json_pack("{s:s, s:s, s:[o]}", "role", "assistant", "content", "", "tool_calls", call);
    if (m && thought) {
        (void)json_object_set_new(m, "reasoning_content", json_string(THOUGHT));
        (void)json_object_set_new(m, "reasoning", json_string(THOUGHT));
        (void)json_object_set_new(m, "thinking", json_string(THOUGHT));
    }
    return json_pack("[o, o]", user_message(), m);
}

typedef struct prober {
    wick_format_render render;
    void *user;
    json_t *tools;
    bool quiet; /* thinking is switched off */
    wick_buf text, prompt;
} prober;

/* Takes messages. */
static bool probe(prober *p, json_t *messages, bool with_tools, bool prompt, wick_buf *out)
{
    json_t *vars = json_pack("{s:b, s:b}", "enable_thinking", !p->quiet, "thinking", !p->quiet);
    wick_buf_reset(out);
    const bool ok = messages && vars && p->render(p->user, messages, with_tools ? p->tools : NULL, vars, prompt, out);
    json_decref(messages);
    json_decref(vars);
    wick_buf_str(out);
    return ok && !out->failed;
}

static bool has(const wick_buf *b, const char *what)
{
    return b->n > 0 && strstr(b->data, what) != NULL;
}

/* What the assistant's turn looks like: the render from where the generation prompt ends. */
static const char *turn(prober *p)
{
    size_t i = 0;
    if (!probe(p, json_pack("[o]", user_message()), true, true, &p->prompt)) return p->text.data;
    while (i < p->prompt.n && i < p->text.n && p->prompt.data[i] == p->text.data[i]) i++;
    /* Where the prompt goes on with a tag (<think>), its beginning may be that of a call's marker too. */
    while (i < p->prompt.n && i > 0 && !strchr("\n>]", p->text.data[i - 1])) i--;
    return p->text.data + i;
}

/* What a syntax read: the first call. */
typedef struct reading {
    wick_buf name, arguments;
    unsigned n;
} reading;

static wick_toolcall_place at_start(void *user)
{
    (void)user;
    return WICK_PLACE_START;
}

static void no_text(void *user, const char *s, size_t n)
{
    (void)user, (void)s, (void)n;
}

static wick_status call(void *user, const char *id, const char *name, wick_err *err)
{
    reading *r = user;
    (void)id, (void)err;
    if (r->n++ == 0) wick_buf_puts(&r->name, name);
    return WICK_OK;
}

static void arguments(void *user, const char *s, size_t n)
{
    reading *r = user;
    if (r->n == 1) wick_buf_add(&r->arguments, s, n);
}

static void call_end(void *user)
{
    (void)user;
}

/* Does the syntax read the sentinel call in text? */
static bool reads(const wick_call_syntax *f, json_t *tools, const char *text)
{
    reading r = {0};
    const wick_toolcall_sink sink = {&r, at_start, no_text, call, arguments, call_end};
    const wick_toolcall_limits strict = {.marked_only = true};
    wick_toolcall_parser *p = NULL;
    wick_status st = wick_toolcall_parser_new(&p, f, tools, &strict, &sink, NULL);
    if (st == WICK_OK) st = wick_toolcall_feed(p, text, strlen(text), NULL);
    if (st == WICK_OK) st = wick_toolcall_end(p, false, NULL);
    wick_toolcall_parser_free(p);
    const bool ok = st == WICK_OK && strcmp(wick_buf_str(&r.name), NAME) == 0 && has(&r.arguments, "\"" KEY "\"") &&
                    has(&r.arguments, "\"" VALUE "\"");
    wick_buf_release(&r.name);
    wick_buf_release(&r.arguments);
    return ok;
}

/* s without white space, up to a place that is filled in. */
static void squeeze(wick_buf *b, const char *s)
{
    for (; s && *s && *s != '%'; s++)
        if (!strchr(" \t\r\n", *s)) wick_buf_putc(b, *s);
}

/* Is the call written as the row's shape says? Rows that read the same differ in what they write. */
static bool writes(const wick_call_syntax *f, const char *text)
{
    const wick_call_shape *s = wick_call_syntax_shape(f);
    wick_buf want = WICK_BUF_INIT, have = WICK_BUF_INIT;
    squeeze(&want, s->before);
    squeeze(&want, s->quote_name ? "\"" NAME "\"" : NAME);
    squeeze(&want, s->after);
    for (; *text; text++)
        if (!strchr(" \t\r\n", *text)) wick_buf_putc(&have, *text);
    const bool same = strstr(wick_buf_str(&have), wick_buf_str(&want)) != NULL;
    wick_buf_release(&want);
    wick_buf_release(&have);
    return same;
}

static const wick_call_syntax *matching(prober *p, const char *text)
{
    const wick_call_syntax *f, *first = NULL;
    for (size_t i = 0; (f = wick_call_syntax_at(i)) != NULL; i++) {
        if (first && wick_call_syntax_open(first) && !wick_call_syntax_open(f))
            break; /* those without a marker read what others wrap in theirs */
        if (!reads(f, p->tools, text)) continue;
        if (writes(f, text)) return f;
        if (!first) first = f;
    }
    return first;
}

/* The syntax that the text about tools tells of, where calls themselves are not rendered: its marker is there with
 * tools and not without. Among rows with one marker, that whose way to write parameters is there too. */
static const wick_call_syntax *told(prober *p)
{
    const wick_call_syntax *f, *best = NULL;
    if (!probe(p, json_pack("[o]", user_message()), true, true, &p->text)) return NULL;
    if (!probe(p, json_pack("[o]", user_message()), false, true, &p->prompt)) wick_buf_reset(&p->prompt);
    for (size_t i = 0; (f = wick_call_syntax_at(i)) != NULL; i++) {
        const wick_call_shape *s = wick_call_syntax_shape(f);
        const char *open = wick_call_syntax_open(f);
        if (!open || !has(&p->text, open) || has(&p->prompt, open)) continue;
        if (s->style == WICK_STYLE_PARAMS && has(&p->text, s->param_open)) return f;
        if (s->style != WICK_STYLE_PARAMS && !best) best = f;
    }
    return best;
}

static void choose_calls(prober *p, wick_chat_format *out)
{
    const bool shows_tools = probe(p, json_pack("[o]", user_message()), true, true, &p->text) && has(&p->text, NAME);
    if (probe(p, call_messages(false), true, false, &p->text) && has(&p->text, VALUE))
        out->calls = matching(p, turn(p));
    out->describe = !shows_tools;
    if (shows_tools && !out->calls) {
        out->calls = told(p);
        out->guessed = !out->calls;
    }
    if (!out->calls) out->calls = wick_call_syntax_by_name("hermes");
}

static bool tag_before(const wick_buf *b, const char *tag, const char *what)
{
    const char *at = strstr(b->data, what);
    const size_t m = strlen(tag);
    if (!at) return false;
    while (at > b->data && strchr(" \t\r\n", at[-1])) at--;
    return (size_t)(at - b->data) >= m && memcmp(at - m, tag, m) == 0;
}

/* An earlier answer whose text holds reasoning: does the template take the reasoning out? */
static bool strips(prober *p, const wick_think_syntax *t)
{
    json_t *text = json_sprintf("%s\n" THOUGHT "\n%s\n\n" ANSWER, t->open, t->close);
    json_t *m = json_pack("[o, {s:s, s:o}, o]", user_message(), "role", "assistant", "content", text, user_message());
    return probe(p, m, false, true, &p->text) && has(&p->text, ANSWER) && !has(&p->text, THOUGHT);
}

/* Among rows with the same tags: the one whose wrapper around the answer is seen in the render. */
static const wick_think_syntax *prefer(prober *p, const wick_think_syntax *t)
{
    const wick_think_syntax *o;
    if (!t ||
        !probe(p,
               json_pack("[o, {s:s, s:s}, o]", user_message(), "role", "assistant", "content", ANSWER, user_message()),
               false, true, &p->text))
        return t;
    for (size_t i = 0; (o = wick_think_syntax_at(i)) != NULL; i++)
        if (o != t && o->wrap[0] && strcmp(o->open, t->open) == 0 && has(&p->text, o->wrap[0])) return o;
    return t;
}

static const wick_think_syntax *find_think(prober *p)
{
    const wick_think_syntax *t;
    if (probe(p, call_messages(true), true, false, &p->text) && has(&p->text, THOUGHT))
        for (size_t i = 0; (t = wick_think_syntax_at(i)) != NULL; i++)
            if (tag_before(&p->text, t->open, THOUGHT)) return t;
    /* An empty block is how a template says that there is nothing to think about. */
    for (int quiet = 0; quiet < 2; quiet++) {
        p->quiet = quiet;
        const bool ok = probe(p, json_pack("[o]", user_message()), false, true, &p->text);
        p->quiet = false;
        for (size_t i = 0; ok && (t = wick_think_syntax_at(i)) != NULL; i++)
            if (wick_think_begins_inside(t, p->text.data, p->text.n) ||
                (has(&p->text, t->open) && has(&p->text, t->close)))
                return t;
    }
    for (size_t i = 0; (t = wick_think_syntax_at(i)) != NULL; i++)
        if (strips(p, t)) return t;
    return NULL;
}

wick_status wick_chat_format_choose(wick_chat_format *out, wick_format_render render, void *user, wick_err *err)
{
    prober p = {.render = render, .user = user, .tools = probe_tools()};
    *out = (wick_chat_format){0};
    if (!p.tools) return wick_err_oom(err, "chat template", 0, 0);
    wick_buf_init(&p.text, 4 << 20);
    wick_buf_init(&p.prompt, 4 << 20);
    /* Some templates are for tools only and fail without. */
    if (probe(&p, json_pack("[o]", user_message()), false, true, &p.text) ||
        probe(&p, json_pack("[o]", user_message()), true, true, &p.text)) {
        choose_calls(&p, out);
        out->think = prefer(&p, find_think(&p));
    }
    json_decref(p.tools);
    wick_buf_release(&p.text);
    wick_buf_release(&p.prompt);
    return WICK_OK;
}
