/* server/gen.c - see gen.h. */
#include "server/gen.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/json_memory.h"
#include "base/sys.h"
#include "server/dialect/dialect.h"
#include "server/rounds.h"
#include "server/turn.h"

enum { WINDOW = 32 /* requests of one exchange in the engine at once */, HIGH_WATER = 128 * 1024 };

/* Takes the model: it is given back when the generation is freed. */
static wick_gen *gen_new(wick_exchange *x, wick_entry *model, const wick_gen_format *f, uint32_t n_prompt)
{
    wick_gen *g = wick_alloc_zero(1, sizeof *g);
    wick_gen_prompt *prompt = wick_alloc_zero(n_prompt, sizeof *prompt);
    if (!g || !prompt) {
        wick_free(g);
        wick_free(prompt);
        return NULL;
    }
    g->x = x;
    g->model = model;
    g->format = f;
    g->prompt = prompt;
    g->n_prompt = n_prompt;
    g->created = (int64_t)time(NULL);
    wick_lock_init(&g->lock);
    wick_request_opts_init(&g->base);
    snprintf(g->fingerprint, sizeof g->fingerprint, "wick-%s-%s", WICK_VERSION,
             wick_engine_backend_name(model->engine));
    return g;
}

static void gen_free(wick_gen *g)
{
    wick_rounds_free(g->rounds);
    if (g->format->release) g->format->release(g);
    for (uint32_t i = 0; i < g->n; i++) {
        wick_choice *c = &g->choice[i];
        wick_request_free(c->req);
        wick_answer_free(c->answer);
        json_decref(c->ids);
        wick_buf *const bufs[] = {&c->text, &c->lp_tokens, &c->lp_values, &c->lp_top, &c->lp_offset};
        for (size_t b = 0; b < sizeof bufs / sizeof *bufs; b++) wick_buf_release(bufs[b]);
    }
    for (uint32_t i = 0; i < g->n_prompt; i++) wick_free(g->prompt[i].ids);
    wick_free(g->prompt);
    wick_free(g->choice);
    wick_params_release(&g->p);
    wick_engine_grammar_free(g->grammar);
    wick_buf_release(&g->head);
    wick_buf_release(&g->prompt_text);
    json_decref(g->state);
    wick_lock_release(&g->lock);
    wick_registry_give(&g->x->s->registry, g->model);
    wick_free(g);
}

static void notify(void *ctx)
{
    wick_x_wake(ctx);
}

/* A choice's request to the engine. WICK_E_LIMIT with subject "queue" where it is full. */
static wick_status submit(wick_choice *c, wick_err *err)
{
    wick_gen *g = c->g;
    wick_request_opts o = g->base;
    wick_request *r;
    o.prompt = g->prompt[c->prompt].ids;
    o.n_prompt = (uint32_t)g->prompt[c->prompt].n;
    o.second = g->prompt[c->prompt].second;
    if (o.sampling.has_seed) o.sampling.seed += c->index % g->per_prompt;
    if (o.max_tokens > c->usage.n_gen) o.max_tokens -= c->usage.n_gen; /* of its requests before */
    WICK_TRY(wick_request_new(&r, g->model->engine, &o, err));
    wick_request_notify(r, notify, g->x);
    wick_status st = wick_request_submit(r, err);
    if (st != WICK_OK) {
        wick_request_free(r);
        return st;
    }
    wick_lock_take(&g->lock);
    c->req = r;
    c->t_submit = wick_time_ms();
    if (g->cancelled) wick_request_cancel(r);
    wick_lock_drop(&g->lock);
    atomic_fetch_add(&g->model->metrics->requests, 1);
    return WICK_OK;
}

static wick_status submit_next(wick_gen *g, wick_err *err)
{
    WICK_TRY(submit(&g->choice[g->n_next], err));
    g->n_next++;
    g->n_live++;
    return WICK_OK;
}

/* Takes from the key's budget what the choices may need. */
static wick_status reserve(wick_gen *g, wick_err *err)
{
    wick_exchange *x = g->x;
    uint64_t n = 0;
    if (!x->key || !x->key_counted) return WICK_OK;
    for (uint32_t i = 0; i < g->n; i++) {
        const uint64_t prompt = g->prompt[g->choice[i].prompt].n, ctx = wick_engine_ctx(g->model->engine);
        const uint64_t rest = prompt < ctx ? ctx - prompt : 0;
        n += prompt;
        if (!g->base.prompt_only && g->base.kind == WICK_REQ_GENERATE)
            n += g->base.max_tokens && g->base.max_tokens < rest ? g->base.max_tokens : rest;
    }
    if (!wick_key_reserve(&x->s->keys, x->key, n, wick_time_ms(), &x->retry_after_s))
        return WICK_FAIL(err, WICK_E_LIMIT, "rate",
                         "this key's limit of tokens per minute is reached; try again in %u s", x->retry_after_s);
    x->n_reserved = n;
    return WICK_OK;
}

/* Makes the choices and submits what fits. */
static wick_status start(wick_gen *g, wick_err *err)
{
    const wick_exchange *x = g->x;
    g->per_prompt = g->p.best_of > g->p.n ? g->p.best_of : g->p.n;
    g->choice = wick_alloc_zero((size_t)g->n_prompt * g->per_prompt, sizeof *g->choice);
    if (!g->choice) return wick_err_oom(err, "choices", 0, 0);
    g->n = g->n_prompt * g->per_prompt;
    for (uint32_t i = 0; i < g->n; i++) {
        wick_choice *c = &g->choice[i];
        c->g = g;
        c->index = i;
        c->prompt = i / g->per_prompt;
    }
    g->base.domain = wick_keys_domain(&x->s->keys, x->key, g->p.has_user ? g->p.user : NULL);
    g->base.priority = x->key ? x->key->c.priority : 0;
    WICK_TRY(reserve(g, err));
    g->base.deadline_ms = x->s->config->limits.request_seconds * 1000;
    wick_status st;
    do {
        st = submit_next(g, err);
    } while (st == WICK_OK && g->n_next < g->n && g->n_live < WINDOW);
    const bool rest_waits = g->n_live > 0 && st == WICK_E_LIMIT && strcmp(err->subject, "queue") == 0;
    return rest_waits ? WICK_OK : st;
}

void wick_gen_cancel(wick_gen *g)
{
    wick_lock_take(&g->lock);
    if (!g->cancelled) {
        g->cancelled = true;
        for (uint32_t i = 0; i < g->n; i++)
            if (g->choice[i].req) wick_request_cancel(g->choice[i].req);
        if (g->rounds) wick_rounds_cancel(g->rounds);
    }
    wick_lock_drop(&g->lock);
}

/* --- events ------------------------------------------------------------------------------------------------------- */
void wick_gen_fail(wick_gen *g, const wick_err *err)
{
    if (!g->failed) {
        g->failed = true;
        g->error = *err;
    }
    wick_gen_cancel(g);
}

static void count_end(wick_choice *c)
{
    wick_metrics_request(c->g->model->metrics, &c->usage, c->finish);
    c->g->x->n_tokens += c->usage.n_prompt + c->usage.n_gen;
}

static void add_usage(wick_usage *u, const wick_usage *before)
{
    u->n_prompt += before->n_prompt;
    u->n_cached += before->n_cached;
    u->n_gen += before->n_gen;
    u->queue_ms += before->queue_ms;
    u->prefill_ms += before->prefill_ms;
    u->decode_ms += before->decode_ms;
    if (before->n_gen > 0) u->first_token_ms = before->first_token_ms;
}

static void end_choice(wick_choice *c, const wick_event *ev)
{
    wick_gen *g = c->g;
    c->done = true;
    g->n_live--;
    g->n_done++;
    if (!g->failed && g->format->end) g->format->end(c, ev);
}

static void on_done(wick_choice *c, const wick_event *ev)
{
    wick_gen *g = c->g;
    /* The engine may have been ahead of what stopped the choice: neither its end nor its last text count then. */
    wick_event own = *ev;
    if (c->stopped && ev->finish != WICK_FINISH_ERROR) {
        own.finish = WICK_FINISH_STOP;
        own.text = "";
        own.n_text = 0;
    }
    const wick_usage before = c->usage;
    c->finish = own.finish;
    c->stop_string = ev->stop_string;
    c->usage = ev->usage;
    /* The engine may have been some steps ahead when it was stopped here: what nobody read is not counted. */
    if (c->stopped && c->usage.n_gen > c->n_taken) c->usage.n_gen = c->n_taken;
    count_end(c);
    add_usage(&c->usage, &before);
    if (c->finish == WICK_FINISH_ERROR) {
        wick_gen_fail(g, &ev->error);
    } else if (c->finish == WICK_FINISH_CANCELLED) {
        wick_err err = {0};
        (void)wick_err_set(&err, WICK_E_CANCELLED, NULL, "the request was cancelled: the server is stopping");
        wick_gen_fail(g, &err);
    } else if (g->rounds && !g->failed && wick_turn_waits(c, &own)) {
        wick_lock_take(&g->lock);
        wick_request_free(c->req);
        c->req = NULL;
        wick_lock_drop(&g->lock);
        c->waiting = true;
        return;
    }
    end_choice(c, &own);
}

/* What the answer is held to from its second request on: a call that was demanded has been made. */
static wick_status hold_again(wick_gen *g, wick_err *err)
{
    if (!g->grammar) return WICK_OK;
    g->p.tool_choice_required = g->p.one_named = false;
    wick_engine_grammar_free(g->grammar);
    g->grammar = NULL;
    g->base.constraint = NULL;
    return wick_gen_constrain(g, err);
}

/* The next request of an answer whose tools have run. *more false: it has ended. */
static wick_status go_on(wick_choice *c, bool *more, wick_err *err)
{
    wick_gen *g = c->g;
    int32_t *ids = NULL;
    size_t n = 0;
    WICK_TRY(wick_rounds_next(g->rounds, &ids, &n, &g->answer, err));
    *more = ids != NULL;
    if (!ids) return WICK_OK;
    wick_free(g->prompt[c->prompt].ids);
    g->prompt[c->prompt].ids = ids;
    g->prompt[c->prompt].n = n;
    if (g->cancelled) return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "the request was cancelled");
    WICK_TRY(wick_answer_go_on(c->answer, &g->answer, err));
    WICK_TRY(hold_again(g, err));
    c->fed = c->stopped = false;
    c->n_taken = 0;
    return submit(c, err);
}

/* False: its tools still run. */
static bool resume(wick_choice *c)
{
    wick_gen *g = c->g;
    wick_err err = {0};
    bool more = false;
    if (!wick_rounds_ready(g->rounds)) return false;
    c->waiting = false;
    if (!g->failed && g->p.stream && g->format->tools) g->format->tools(c, wick_rounds_new_calls(g->rounds));
    if (go_on(c, &more, &err) != WICK_OK) wick_gen_fail(g, &err);
    const wick_event end = {.kind = WICK_EVENT_DONE, .finish = c->finish, .text = ""};
    if (g->failed || !more) end_choice(c, &end);
    return true;
}

void wick_choice_stop(wick_choice *c)
{
    if (c->stopped || c->done) return;
    c->stopped = true;
    wick_request_cancel(c->req);
}

static bool is_stop_id(const wick_params *p, int32_t id)
{
    for (uint32_t i = 0; i < p->n_stop_ids; i++)
        if (p->stop_ids[i] == id) return true;
    return false;
}

static void on_token(wick_choice *c, const wick_event *ev)
{
    const double now = wick_time_ms();
    if (c->stopped) return; /* what was on its way when it was stopped */
    if (!ev->is_prompt) {
        c->n_taken++;
        if (c->n_logprob == 0) c->t_first = now;
        if (is_stop_id(&c->g->p, ev->token)) {
            wick_choice_stop(c);
            return;
        }
        if (c->t_last > 0) wick_hist_add(&c->g->model->metrics->itl, now - c->t_last);
        c->t_last = now;
        c->sum_logprob += (double)ev->logprob;
        c->n_logprob++;
    }
    if (!c->g->failed && c->g->format->token) c->g->format->token(c, ev);
}

static void on_prefill(wick_choice *c, const wick_event *ev)
{
    wick_gen *g = c->g;
    const double now = wick_time_ms();
    c->n_cached = ev->n_cached;
    if (g->p.stream && !g->failed && g->format->progress) {
        wick_event first = *ev; /* what there is before the first step */
        first.n_done = c->n_prompt_done = ev->n_cached;
        if (!c->progress_begun) g->format->progress(c, &first);
        c->progress_begun = true;
        c->n_prompt_done = ev->n_done;
        g->format->progress(c, ev);
    }
    c->n_prompt_done = ev->n_done;
    if (!g->p.stream || g->failed || now - g->t_comment < 1000 || now - g->x->t_write < 1000) return;
    g->t_comment = now;
    char text[64];
    snprintf(text, sizeof text, "prompt %u of %u tokens", ev->n_done, ev->n_total);
    if (g->x->dialect->comment) g->x->dialect->comment(&g->x->out, text);
}

/* True: there may be more, but enough text is waiting to be sent. */
static bool pump_choice(wick_choice *c)
{
    wick_gen *g = c->g;
    const wick_event *ev;
    if (c->waiting && !resume(c)) return false;
    while (!c->done && !c->waiting && (ev = wick_request_next(c->req, 0)) != NULL) {
        if (!c->begun && !g->failed && ev->kind != WICK_EVENT_PREFILL &&
            !(ev->kind == WICK_EVENT_DONE && ev->finish >= WICK_FINISH_CANCELLED)) {
            c->begun = true;
            if (g->format->begin) g->format->begin(c);
        }
        switch (ev->kind) {
        case WICK_EVENT_PREFILL: on_prefill(c, ev); break;
        case WICK_EVENT_TOKEN: on_token(c, ev); break;
        case WICK_EVENT_LOGITS:
            if (!g->failed && g->format->token) g->format->token(c, ev);
            break;
        case WICK_EVENT_DONE: on_done(c, ev); break;
        }
        if (g->p.stream && g->x->out.n > HIGH_WATER) return true;
    }
    return false;
}

static void end_stream(wick_gen *g)
{
    const wick_dialect *d = g->x->dialect;
    if (g->failed) {
        wick_problem_text p = {.message = g->error.message};
        p.status = wick_problem_status(&g->error, &p.code);
        d->stream_problem(g, &p);
    } else if (g->format->usage) {
        g->format->usage(g);
    }
    if (d->stream_end) d->stream_end(g);
}

static bool gen_pump(wick_gen *g)
{
    if (g->ended) return true;
    const unsigned before = wick_json_n_failed();
    bool full = false;
    for (uint32_t i = 0; i < g->n_next && !full; i++)
        if (!g->choice[i].done) full = pump_choice(&g->choice[i]);
    if (wick_json_n_failed() != before) { /* what a format keeps as JSON may lack something */
        wick_err err = {0};
        (void)wick_err_oom(&err, "the answer", 0, 0);
        wick_gen_fail(g, &err);
    }
    if (full) return false;
    while (!g->failed && g->n_next < g->n && g->n_live < WINDOW) {
        wick_err err = {0};
        wick_status st = submit_next(g, &err);
        if (st == WICK_OK) continue;
        if (g->n_live == 0 || st != WICK_E_LIMIT) wick_gen_fail(g, &err);
        break;
    }
    g->ended = g->n_live == 0 && (g->failed || g->n_done == g->n);
    if (!g->ended && atomic_exchange(&g->want_comment, false) && g->x->out.n == 0 && g->x->dialect->comment)
        g->x->dialect->comment(&g->x->out, "waiting");
    if (g->ended && g->p.stream) end_stream(g);
    return g->ended;
}

static void gen_answer(wick_gen *g)
{
    wick_exchange *x = g->x;
    if (g->failed) {
        wick_problem_err(x, &g->error);
        return;
    }
    wick_buf_reset(&x->out);
    x->status = 200;
    x->content_type = "application/json";
    const unsigned before = wick_json_n_failed();
    g->format->answer(g);
    if (wick_json_n_failed() != before) x->out.failed = true;
    for (uint32_t i = 0; i < g->n; i++) {
        const wick_choice *c = &g->choice[i];
        const wick_buf *const bufs[] = {&c->text, &c->lp_tokens, &c->lp_values, &c->lp_top, &c->lp_offset};
        for (size_t b = 0; b < sizeof bufs / sizeof *bufs; b++)
            if (bufs[b]->failed) x->out.failed = true;
    }
    if (x->out.failed) wick_problem(x, 503, NULL, "out_of_memory", "out of memory while the answer was written");
}

/* --- as a source of the answer ------------------------------------------------------------------------------------ */
static bool source_pump(wick_exchange *x)
{
    return gen_pump(x->gen);
}

static void source_answer(wick_exchange *x)
{
    gen_answer(x->gen);
}

static void source_cancel(wick_exchange *x)
{
    wick_gen_cancel(x->gen);
}

static void source_comment(wick_exchange *x)
{
    atomic_store(&x->gen->want_comment, true);
}

static void source_free(wick_exchange *x)
{
    gen_free(x->gen);
}

static const wick_source gen_source = {.pump = source_pump,
                                       .answer = source_answer,
                                       .cancel = source_cancel,
                                       .comment = source_comment,
                                       .free = source_free};

bool wick_gen_route(wick_exchange *x, const wick_gen_format *f)
{
    const wick_server_limits *l = &x->s->config->limits;
    wick_params p;
    wick_entry *model = NULL;
    wick_gen *g = NULL;
    wick_err err = {0};
    uint32_t n = 1;
    bool pending = false;
    const unsigned before = wick_json_n_failed();
    wick_status st = wick_params_parse_with(&p, x->s->config->defaults, x->json, f->params, l, &err);
    if (st == WICK_OK) st = f->count(&p, l, &n, &err);
    if (st == WICK_OK) st = wick_registry_take(&x->s->registry, p.model, &x->job, &model, &pending, &err);
    if (st == WICK_OK && !pending) {
        g = gen_new(x, model, f, n);
        if (!g) {
            wick_registry_give(&x->s->registry, model);
            st = wick_err_oom(&err, "a request", 0, 0);
        }
    }
    if (!g) {
        wick_params_release(&p);
        if (st != WICK_OK) wick_problem_err(x, &err);
        return !pending;
    }
    g->p = p;
    st = f->prepare(g, &err);
    if (st == WICK_OK && wick_json_n_failed() != before) st = wick_err_oom(&err, "the prompt", 0, 0);
    if (st == WICK_OK) st = start(g, &err);
    if (st != WICK_OK) {
        if (st == WICK_E_LIMIT && strcmp(err.subject, "prompt") == 0) {
            x->n_prompt_tokens = (uint32_t)g->prompt[g->n_next].n;
            x->n_ctx = wick_engine_ctx(model->engine);
        }
        wick_problem_err(x, &err);
        gen_free(g);
        return true;
    }
    x->gen = g;
    x->source = &gen_source;
    if (g->p.stream) {
        x->stream = true;
        x->status = 200;
        x->content_type = x->dialect->stream_type;
        x->t_write = wick_time_ms();
    }
    return true;
}

wick_status wick_gen_base(wick_gen *g, wick_err *err)
{
    wick_params *p = &g->p;
    wick_request_opts *o = &g->base;
    WICK_TRY(wick_params_sampling(p, g->model->engine, &o->sampling, err));
    o->max_tokens = p->max_tokens;
    o->prompt_only = p->seen_max_tokens && p->max_tokens == 0 && !p->unbounded;
    o->min_tokens = p->min_tokens;
    o->stop = p->stop;
    o->n_stop = p->n_stop;
    o->ignore_eos = p->ignore_eos;
    o->no_prefix_cache = p->no_cache;
    o->n_top_logprobs = p->logprobs ? p->top_logprobs : 0;
    return wick_gen_constrain(g, err);
}

/* --- parts that the formats share --------------------------------------------------------------------------------- */
void wick_gen_token_text(const wick_gen *g, int32_t id, wick_buf *out)
{
    const wick_tokenizer *t = wick_engine_tokenizer(g->model->engine);
    if (t && id >= 0 && (uint32_t)id < wick_tokenizer_size(t)) wick_tokenizer_bytes(t, id, out);
}

void wick_gen_usage_json(const wick_gen *g, wick_buf *out)
{
    const wick_turn_usage u = wick_turn_count(g);
    wick_buf_printf(out,
                    "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu,"
                    "\"prompt_tokens_details\":{\"cached_tokens\":%llu}",
                    u.prompt, u.generated, u.prompt + u.generated, u.cached);
    if (g->format->delta)
        wick_buf_printf(out, ",\"completion_tokens_details\":{\"reasoning_tokens\":%llu}", u.reasoning);
    wick_buf_putc(out, '}');
}

const char *wick_gen_finish_name(wick_finish f)
{
    return f == WICK_FINISH_LENGTH ? "length" : "stop";
}
