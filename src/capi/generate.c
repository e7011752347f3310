/* capi/generate.c - requests through the C API: generate, chat, logits. Each is one engine request whose events
 * are read on the caller's thread. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "capi/capi_int.h"
#include "chat/prompt.h"

static wick_status need(const void *p, const char *name, wick_err *err)
{
    return p ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "%s: NULL", name);
}

static wick_status need_tokenizer(const wick_llm *llm, wick_err *err)
{
    WICK_TRY(need(llm, "llm", err));
    if (wick_engine_tokenizer(llm->engine)) return WICK_OK;
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, NULL, "this model has no tokenizer; give tokens instead of text");
}

/* ---- running a request ---- */

typedef struct stream {
    wick_token_callback fn;
    void *user;
    bool stopped;
    wick_buf text, ids;
    wick_answer *answer;   /* NULL: the text is what the engine gives */
    wick_buf now, thought; /* what the last event brought, with an answer */
} stream;

/* Through the reader of answers: text and reasoning of this event. */
static wick_status read_event(stream *s, const wick_event *ev, wick_err *err)
{
    const wick_delta *d;
    wick_buf_reset(&s->now);
    wick_buf_reset(&s->thought);
    WICK_TRY(wick_answer_event(s->answer, ev, err));
    while ((d = wick_answer_next(s->answer)) != NULL) {
        if (d->kind == WICK_DELTA_TEXT) wick_buf_add(&s->now, d->text, d->n);
        if (d->kind == WICK_DELTA_REASONING) wick_buf_add(&s->thought, d->text, d->n);
    }
    return s->now.failed || s->thought.failed ? wick_err_oom(err, "the answer", 0, 0) : WICK_OK;
}

/* Keeps the event's text and token, and shows them to the caller. */
static wick_status show(stream *s, const wick_event *ev, wick_err *err)
{
    bool token = ev->kind == WICK_EVENT_TOKEN;
    const char *text = ev->text;
    size_t n_text = ev->n_text;
    if (s->stopped) return WICK_OK;
    if (s->answer) {
        WICK_TRY(read_event(s, ev, err));
        text = wick_buf_str(&s->now);
        n_text = s->now.n;
    }
    wick_buf_add(&s->text, text, n_text);
    if (token) wick_buf_add(&s->ids, &ev->token, sizeof ev->token);
    if (!s->fn || (!token && n_text == 0 && s->thought.n == 0)) return WICK_OK;
    wick_token_logprob top[20];
    uint32_t n_top = ev->n_top < 20 ? ev->n_top : 20;
    for (uint32_t i = 0; i < n_top; i++) top[i] = (wick_token_logprob){ev->top[i].id, ev->top[i].logprob};
    wick_token t = {.size = sizeof t,
                    .id = token ? ev->token : -1,
                    .text = n_text > 0 ? text : "",
                    .n_text = n_text,
                    .logprob = token ? ev->logprob : 0,
                    .top = top,
                    .n_top = n_top,
                    .reasoning = wick_buf_str(&s->thought),
                    .n_reasoning = s->thought.n};
    s->stopped = s->fn(s->user, &t) != 0;
    return WICK_OK;
}

static wick_stop_reason reason_of(wick_finish f)
{
    switch (f) {
    case WICK_FINISH_STOP: return WICK_STOPPED_BY_STRING;
    case WICK_FINISH_LENGTH: return WICK_STOPPED_BY_LENGTH;
    case WICK_FINISH_CANCELLED: return WICK_STOPPED_BY_CALLER;
    case WICK_FINISH_NONE:
    case WICK_FINISH_ERROR:
    case WICK_FINISH_EOS: break;
    }
    return WICK_STOPPED_AT_END;
}

/* Reads r to its end. data: where LOGITS events of the prompt go, in order, or NULL. */
static wick_status drain(wick_request *r, stream *s, wick_buf *data, wick_event *last, wick_err *err)
{
    for (;;) {
        const wick_event *ev = wick_request_next(r, -1);
        if (!ev) return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "a request ended without saying so");
        if (ev->kind == WICK_EVENT_LOGITS && data && ev->is_prompt)
            wick_buf_add(data, ev->data, (size_t)ev->n_data * ev->width * sizeof *ev->data);
        if (s && (ev->kind == WICK_EVENT_TOKEN || ev->kind == WICK_EVENT_DONE)) {
            WICK_TRY(show(s, ev, err));
            if (s->stopped) wick_request_cancel(r);
        }
        if (ev->kind != WICK_EVENT_DONE) continue;
        *last = *ev;
        if (ev->finish == WICK_FINISH_ERROR) {
            if (err) *err = ev->error;
            return ev->error.kind ? ev->error.kind : WICK_E_INTERNAL;
        }
        if (ev->finish == WICK_FINISH_CANCELLED && !(s && s->stopped))
            return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "the model was closed");
        return WICK_OK;
    }
}

static wick_status start(wick_llm *llm, const wick_request_opts *o, wick_request **r, wick_err *err)
{
    WICK_TRY(wick_request_new(r, llm->engine, o, err));
    wick_status st = wick_request_submit(*r, err);
    if (st != WICK_OK) {
        wick_request_free(*r);
        *r = NULL;
    }
    return st;
}

static wick_status fill_result(wick_result *out, stream *s, const wick_event *last, wick_err *err)
{
    size_t n_ids = s->ids.n / sizeof(int32_t);
    wick_buf_str(&s->text);
    wick_buf_str(&s->ids);
    if (s->text.failed || s->ids.failed) return wick_err_oom(err, "the answer", 0, 0);
    *out = (wick_result){.n_ids = n_ids,
                         .reason = s->stopped ? WICK_STOPPED_BY_CALLER : reason_of(last->finish),
                         .n_prompt = last->usage.n_prompt,
                         .n_cached = last->usage.n_cached,
                         .first_token_ms = last->usage.first_token_ms,
                         .prompt_ms = last->usage.prefill_ms,
                         .decode_ms = last->usage.decode_ms};
    size_t n_bytes;
    out->text = wick_buf_take(&s->text, &out->n_text);
    char *ids = wick_buf_take(&s->ids, &n_bytes);
    memcpy(&out->ids, &ids, sizeof ids); /* char * from the heap, aligned for anything */
    wick_status st = out->text && out->ids ? WICK_OK : wick_err_oom(err, "the answer", 0, 0);
    if (st == WICK_OK) st = wick_capi_fill_answer(out, s->answer, err);
    if (st != WICK_OK) wick_result_release(out);
    return st;
}

wick_status wick_capi_run(wick_llm *llm, const int32_t *ids, size_t n_ids, const wick_generate_options *options,
                          const wick_capi_reading *how, wick_token_callback callback, void *user, wick_result *out,
                          wick_err *err)
{
    wick_generate_options full;
    wick_request_opts o;
    wick_logit_bias *bias = NULL;
    wick_request *r = NULL;
    wick_engine_grammar *form = NULL;
    wick_event last;
    stream s = {.fn = callback, .user = user, .answer = how ? how->answer : NULL};
    wick_status st = wick_capi_options(llm, options, &full, &o, &bias, err);
    if (st != WICK_OK) goto done;
    if (n_ids > UINT32_MAX) {
        st = WICK_FAIL(err, WICK_E_LIMIT, "prompt", "prompt: %zu tokens", n_ids);
        goto done;
    }
    o.prompt = ids;
    o.n_prompt = (uint32_t)n_ids;
    if (how && how->show_special) o.show_special = true;
    WICK_TRY_GOTO(wick_capi_hold(llm, full.grammar, how, &form, err));
    if (form) o.constraint = wick_engine_grammar_constraint(form);
    WICK_TRY_GOTO(start(llm, &o, &r, err));
    WICK_TRY_GOTO(drain(r, &s, NULL, &last, err));
    if (s.answer && s.stopped && wick_answer_how(s.answer) == WICK_END_NONE)
        WICK_TRY_GOTO(wick_answer_finish(s.answer, WICK_FINISH_CANCELLED, err));
    if (out) st = fill_result(out, &s, &last, err);
done:
    wick_request_free(r);
    wick_engine_grammar_free(form);
    wick_free(bias);
    wick_buf_release(&s.text);
    wick_buf_release(&s.ids);
    wick_buf_release(&s.now);
    wick_buf_release(&s.thought);
    return st;
}

/* ---- text and chat ---- */

static wick_status run_text(wick_llm *llm, const char *text, size_t n, const wick_generate_options *options,
                            wick_token_callback callback, void *user, wick_result *out, wick_err *err)
{
    int32_t *ids = NULL;
    size_t n_ids = 0;
    wick_status st = wick_tokenizer_encode(wick_engine_tokenizer(llm->engine), text, n, 0, &ids, &n_ids, err);
    if (st == WICK_OK) st = wick_capi_run(llm, ids, n_ids, options, NULL, callback, user, out, err);
    wick_free(ids);
    return st;
}

wick_status wick_llm_generate(wick_llm *llm, const char *prompt, size_t n, const wick_generate_options *options,
                              wick_token_callback callback, void *user, wick_result *out, wick_error *error)
{
    wick_err err = {0};
    if (out) memset(out, 0, sizeof *out);
    wick_status st = need_tokenizer(llm, &err);
    if (st == WICK_OK) st = need(prompt, "prompt", &err);
    if (st == WICK_OK) st = run_text(llm, prompt, wick_capi_length(prompt, n), options, callback, user, out, &err);
    return wick_capi_result(st, &err, error);
}

wick_status wick_llm_generate_tokens(wick_llm *llm, const int32_t *ids, size_t n_ids,
                                     const wick_generate_options *options, wick_token_callback callback, void *user,
                                     wick_result *out, wick_error *error)
{
    wick_err err = {0};
    if (out) memset(out, 0, sizeof *out);
    wick_status st = need(llm, "llm", &err);
    if (st == WICK_OK) st = need(ids, "ids", &err);
    if (st == WICK_OK) st = wick_capi_run(llm, ids, n_ids, options, NULL, callback, user, out, &err);
    return wick_capi_result(st, &err, error);
}

static wick_status parse_optional(const char *text, const char *name, json_t **out, wick_err *err)
{
    *out = NULL;
    wick_status st = text ? wick_json_parse(text, strlen(text), name, out, err) : WICK_OK;
    if (st != WICK_E_BAD_FILE) return st;
    err->kind = WICK_E_BAD_PARAMETER; /* it is an argument, not a file */
    snprintf(err->subject, sizeof err->subject, "%s", name);
    return WICK_E_BAD_PARAMETER;
}

/* prompt: text alone where how is NULL; else its tokens, and how->answer to read the answer with, which is the
 * caller's. */
static wick_status build(wick_llm *llm, const json_t *messages, const wick_generate_options *given,
                         wick_chat_prompt *prompt, wick_capi_reading *how, wick_err *err)
{
    wick_generate_options full;
    wick_request_opts o;
    wick_logit_bias *bias = NULL;
    json_t *tools = NULL, *vars = NULL;
    const bool usable = wick_chat_usable(llm->chat);
    const wick_err *why = wick_chat_why(llm->chat);
    wick_status st = WICK_OK;
    if (!usable && why) {
        *err = *why;
        return why->kind;
    }
    if (!usable)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, NULL,
                         "this model has no chat template; set one, or generate from a raw text");
    WICK_TRY_GOTO(wick_capi_options(llm, given, &full, &o, &bias, err));
    WICK_TRY_GOTO(parse_optional(full.tools_json, "tools_json", &tools, err));
    WICK_TRY_GOTO(parse_optional(full.variables_json, "variables_json", &vars, err));
    const wick_chat_request in = {.messages = messages,
                                  .tools = tools,
                                  .vars = vars,
                                  .ending = full.continue_last ? WICK_CHAT_CONTINUE : WICK_CHAT_ANSWER,
                                  .no_ids = !how};
    st = wick_chat_prompt_build(llm->chat, &in, prompt, err);
    if (st == WICK_OK && how) {
        st = wick_capi_reading_new(llm, prompt, tools, how, err);
        if (st != WICK_OK) wick_chat_prompt_release(prompt);
    }
done:
    wick_free(bias);
    json_decref(tools);
    json_decref(vars);
    return st;
}

static wick_status answer(wick_llm *llm, const json_t *messages, const wick_generate_options *options,
                          wick_token_callback callback, void *user, wick_result *out, wick_err *err)
{
    wick_chat_prompt prompt = {0};
    wick_capi_reading how = {0};
    WICK_TRY(build(llm, messages, options, &prompt, &how, err));
    wick_status st = wick_capi_run(llm, prompt.ids, prompt.n_ids, options, &how, callback, user, out, err);
    wick_answer_free(how.answer);
    wick_chat_prompt_release(&prompt);
    return st;
}

static wick_status chat(wick_llm *llm, const json_t *messages, const wick_generate_options *options,
                        wick_token_callback callback, void *user, wick_result *out, wick_err *err)
{
    if (wick_capi_tools_run(llm, options))
        return wick_capi_loop(llm, messages, options, answer, callback, user, out, err);
    return answer(llm, messages, options, callback, user, out, err);
}

wick_status wick_llm_chat(wick_llm *llm, const wick_message *messages, size_t n_messages,
                          const wick_generate_options *options, wick_token_callback callback, void *user,
                          wick_result *out, wick_error *error)
{
    wick_err err = {0};
    json_t *list = json_array();
    if (out) memset(out, 0, sizeof *out);
    wick_status st = need_tokenizer(llm, &err);
    if (st == WICK_OK && n_messages > 0) st = need(messages, "messages", &err);
    if (st == WICK_OK && !list) st = wick_err_oom(&err, "messages", 0, 0);
    for (size_t i = 0; st == WICK_OK && i < n_messages; i++) {
        json_t *m = json_pack("{s:s, s:s}", "role", messages[i].role ? messages[i].role : "user", "content",
                              messages[i].content ? messages[i].content : "");
        if (!m || json_array_append_new(list, m) != 0)
            st = WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "messages", "messages: number %zu is not UTF-8", i);
    }
    if (st == WICK_OK) st = chat(llm, list, options, callback, user, out, &err);
    json_decref(list);
    return wick_capi_result(st, &err, error);
}

wick_status wick_llm_chat_text(wick_llm *llm, const char *text, const wick_generate_options *options,
                               wick_token_callback callback, void *user, wick_result *out, wick_error *error)
{
    wick_message m = {"user", text};
    return wick_llm_chat(llm, &m, 1, options, callback, user, out, error);
}

wick_status wick_llm_chat_json(wick_llm *llm, const char *messages_json, const wick_generate_options *options,
                               wick_token_callback callback, void *user, wick_result *out, wick_error *error)
{
    wick_err err = {0};
    json_t *list = NULL;
    if (out) memset(out, 0, sizeof *out);
    wick_status st = need_tokenizer(llm, &err);
    if (st == WICK_OK) st = need(messages_json, "messages", &err);
    if (st == WICK_OK) st = parse_optional(messages_json, "messages", &list, &err);
    if (st == WICK_OK) st = chat(llm, list, options, callback, user, out, &err);
    json_decref(list);
    return wick_capi_result(st, &err, error);
}

wick_status wick_llm_apply_template(wick_llm *llm, const char *messages_json, const wick_generate_options *options,
                                    char **text, wick_error *error)
{
    wick_err err = {0};
    json_t *list = NULL;
    wick_chat_prompt prompt = {0};
    wick_status st = need(llm, "llm", &err);
    if (st == WICK_OK) st = need(messages_json, "messages", &err);
    if (st == WICK_OK) st = parse_optional(messages_json, "messages", &list, &err);
    if (st == WICK_OK) st = build(llm, list, options, &prompt, NULL, &err);
    if (st == WICK_OK) {
        size_t n;
        *text = wick_buf_take(&prompt.text, &n);
        if (!*text) st = wick_err_oom(&err, "the prompt", 0, 0);
    }
    wick_chat_prompt_release(&prompt);
    json_decref(list);
    return wick_capi_result(st, &err, error);
}

/* ---- numbers ---- */

static wick_status numbers(wick_llm *llm, const wick_request_opts *o, float **out, size_t *n, wick_err *err)
{
    wick_request *r = NULL;
    wick_buf data;
    wick_event last;
    size_t n_bytes;
    wick_buf_init(&data, SIZE_MAX);
    wick_status st = start(llm, o, &r, err);
    if (st == WICK_OK) st = drain(r, NULL, &data, &last, err);
    if (st == WICK_OK) {
        char *p = wick_buf_take(&data, &n_bytes);
        if (p) {
            memcpy(out, &p, sizeof p);
            *n = n_bytes / sizeof **out;
        } else {
            st = wick_err_oom(err, "the answer", 0, 0);
        }
    }
    wick_request_free(r);
    wick_buf_release(&data);
    return st;
}

wick_status wick_llm_logits(wick_llm *llm, const int32_t *ids, size_t n_ids, float **logits, size_t *n_vocab,
                            wick_error *error)
{
    wick_err err = {0};
    wick_request_opts o;
    size_t n = 0;
    wick_request_opts_init(&o);
    o.kind = WICK_REQ_LOGITS;
    o.prompt = ids;
    o.n_prompt = n_ids < UINT32_MAX ? (uint32_t)n_ids : UINT32_MAX;
    wick_status st = need(llm, "llm", &err);
    if (st == WICK_OK) st = numbers(llm, &o, logits, &n, &err);
    if (st == WICK_OK && n_vocab) *n_vocab = n / n_ids;
    return wick_capi_result(st, &err, error);
}
