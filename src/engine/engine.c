/* engine/engine.c - opening and closing, and the loop of the engine's thread.
 *
 * The thread opens the backend, loads the plan, runs steps until it is told to close, and unloads: a backend is called
 * from this one thread (MLX needs that). Callers meet it at the inbox and at each request's ring of events only.
 */
#include <string.h>
#include "base/alloc.h"
#include "base/sys.h"
#include "engine/engine_int.h"
#include "model/vocab.h"

#define NO_ROWS_WAIT_MS 2 /* everybody waits for somebody: look again soon instead of spinning */

void wick_engine_poke(wick_engine *e)
{
    wick_lock_take(&e->lock);
    e->poked = true;
    wick_cond_broadcast(&e->wake);
    wick_lock_drop(&e->lock);
}

void wick_engine_clear_prefixes(wick_engine *e)
{
    wick_lock_take(&e->lock);
    e->clear_prefixes = e->poked = true;
    wick_cond_broadcast(&e->wake);
    wick_lock_drop(&e->lock);
}

void wick_engine_drop_prefixes(wick_engine *e, uint64_t user_key)
{
    wick_lock_take(&e->lock);
    if (e->n_drop_keys < sizeof e->drop_key / sizeof e->drop_key[0])
        e->drop_key[e->n_drop_keys++] = user_key;
    else
        e->clear_prefixes = true; /* too many at once: forget all */
    e->poked = true;
    wick_cond_broadcast(&e->wake);
    wick_lock_drop(&e->lock);
}

static void do_clears(wick_engine *e)
{
    uint64_t keys[sizeof e->drop_key / sizeof e->drop_key[0]];
    wick_lock_take(&e->lock);
    bool all = e->clear_prefixes;
    uint32_t n = e->n_drop_keys;
    memcpy(keys, e->drop_key, sizeof keys);
    e->clear_prefixes = false;
    e->n_drop_keys = 0;
    wick_lock_drop(&e->lock);
    if (!e->prefix) return;
    for (uint32_t i = 0; i < n; i++) wick_prefix_clear(e->prefix, &keys[i]);
    if (all) wick_prefix_clear(e->prefix, NULL);
}

static void take_in(wick_engine *e)
{
    wick_lock_take(&e->lock);
    wick_request *r = e->inbox;
    e->inbox = e->inbox_last = NULL;
    wick_lock_drop(&e->lock);
    while (r) {
        wick_request *next = r->next;
        wick_err err = {0};
        if (wick_sched_add(e, r, &err) != WICK_OK) wick_request_finish(r, WICK_FINISH_ERROR, NULL, &err);
        r = next;
    }
}

/* Ends what was cancelled or is late. Returns the milliseconds until the next deadline, -1: none. */
static int64_t reap(wick_engine *e, bool closing)
{
    double now = wick_time_ms(), nearest = -1;
    for (uint32_t i = 0; i < e->n_have;) {
        wick_request *r = e->live[i];
        double left = r->opt.deadline_ms > 0 ? r->t_submit + (double)r->opt.deadline_ms - now : 1;
        if (closing || atomic_load(&r->cancel)) {
            wick_request_finish(r, WICK_FINISH_CANCELLED, NULL, NULL);
        } else if (left <= 0) {
            wick_err err = {0};
            wick_err_set(&err, WICK_E_LIMIT, "deadline", "the request was not done within %llu ms",
                         (unsigned long long)r->opt.deadline_ms);
            wick_request_finish(r, WICK_FINISH_ERROR, NULL, &err);
        } else {
            if (r->opt.deadline_ms > 0 && (nearest < 0 || left < nearest)) nearest = left;
            i++;
        }
    }
    return nearest < 0 ? -1 : (int64_t)nearest + 1;
}

/* Waits until somebody pokes, or for `ms` (-1: for ever). Returns whether the engine is closing. */
static bool wait_for_work(wick_engine *e, int64_t ms)
{
    wick_lock_take(&e->lock);
    if (ms < 0) {
        while (!e->poked) wick_cond_wait(&e->wake, &e->lock);
    } else if (!e->poked && ms > 0) {
        wick_cond_wait_ms(&e->wake, &e->lock, (uint64_t)ms);
    }
    e->poked = false;
    bool closing = e->closing;
    wick_lock_drop(&e->lock);
    return closing;
}

static void serve(wick_engine *e)
{
    int64_t wait_ms = -1;
    for (;;) {
        bool closing = wait_for_work(e, wait_ms);
        take_in(e);
        do_clears(e);
        int64_t deadline_ms = reap(e, closing);
        if (closing) break;
        wick_sched_select(e);
        if (e->n_run == 0 && e->n_flights == 0) { /* idle, or every reader is behind */
            wick_stats_publish(e, true);
            wait_ms = deadline_ms;
            continue;
        }
        e->idle = true;
        wick_engine_step(e);
        wick_stats_publish(e, e->n_have == 0);
        wait_ms = e->idle ? NO_ROWS_WAIT_MS : 0;
    }
    wick_flight_drain(e);
}

/* Memory for the loop; nothing in it grows while requests run, but for the table of users. */
static wick_status make_room(wick_engine *e, wick_err *err)
{
    uint32_t n_seqs = e->opt.max_seqs;
    e->live = wick_alloc_zero(e->max_live, sizeof(wick_request *));
    e->run = wick_alloc_zero(n_seqs, sizeof(wick_request *));
    e->row = wick_alloc_zero(n_seqs, sizeof *e->row);
    for (int i = 0; i < 2; i++) e->flight[i].row = wick_alloc_zero(n_seqs, sizeof *e->flight[i].row);
    e->mask = wick_alloc_zero((e->n_vocab + 31) / 32, sizeof *e->mask);
    e->embedding = wick_alloc_zero(e->parts.plan->n_embd, sizeof *e->embedding);
    if (!e->live || !e->run || !e->row || !e->flight[0].row || !e->flight[1].row || !e->mask || !e->embedding ||
        !wick_buf_reserve(&e->token_text, 4096))
        return wick_err_oom(err, "the engine", 0, 0);
    return wick_sample_scratch_new(&e->scratch, e->n_vocab, err);
}

static wick_status load(wick_engine *e, wick_err *err)
{
    const wick_backend *b = e->parts.backend;
    WICK_TRY(b->open(&e->ctx, &e->opt.device, err));
    WICK_TRY(b->check(e->ctx, e->parts.plan, err));
    WICK_TRY(b->load(e->ctx, e->parts.plan, e->step_tokens, e->opt.progress, &e->loaded, err));
    e->caps = b->caps(e->loaded);
    const char *label = b->device_label(e->loaded);
    snprintf(e->device_label, sizeof e->device_label, "%s", label ? label : b->name);
    if (e->opt.prefix_cache && (e->caps & WICK_CAP_KV_PREFIX_COPY) && e->parts.prefix_limit_bytes > 0) {
        b->kv_usage(e->loaded, &e->kv);
        WICK_TRY(wick_prefix_new(&e->prefix, b, e->loaded, e->parts.prefix_limit_bytes, e->kv.bytes_per_token, err));
    }
    return WICK_OK;
}

static void *thread_main(void *arg)
{
    wick_engine *e = arg;
    wick_err err = {0};
    double t0 = wick_time_ms();
    wick_status st = load(e, &err);
    e->stats.load_ms = wick_time_ms() - t0;
    if (st == WICK_OK) wick_stats_publish(e, true);
    wick_lock_take(&e->lock);
    e->ready = true;
    e->failed = st != WICK_OK;
    e->open_error = err;
    wick_cond_broadcast(&e->wake);
    wick_lock_drop(&e->lock);
    if (st == WICK_OK) serve(e);
    wick_prefix_free(e->prefix);
    e->prefix = NULL;
    if (e->loaded) e->parts.backend->unload(e->loaded);
    if (e->ctx) e->parts.backend->close(e->ctx);
    e->loaded = NULL;
    e->ctx = NULL;
    return NULL;
}

static wick_status start(wick_engine *e, wick_err *err)
{
    WICK_TRY(wick_thread_start(&e->thread, "wick-engine", thread_main, e, err));
    wick_lock_take(&e->lock);
    while (!e->ready) wick_cond_wait(&e->wake, &e->lock);
    e->poked = false;
    bool failed = e->failed;
    wick_lock_drop(&e->lock);
    if (!failed) return WICK_OK;
    wick_thread_join(&e->thread);
    if (err) *err = e->open_error;
    return e->open_error.kind ? e->open_error.kind : WICK_E_INTERNAL;
}

static wick_engine *new_engine(const wick_engine_opts *o)
{
    wick_engine *e = wick_alloc_zero(1, sizeof *e);
    if (!e) return NULL;
    e->opt = *o;
    if (e->opt.max_seqs == 0) e->opt.max_seqs = 16;
    if (e->opt.max_queue == 0) e->opt.max_queue = 256;
    wick_lock_init(&e->lock);
    wick_cond_init(&e->wake);
    return e;
}

static wick_status start_parts(wick_engine *e, wick_err *err)
{
    e->n_vocab = e->parts.plan->n_vocab;
    e->max_live = e->opt.max_queue + e->opt.max_seqs;
    if (e->opt.prefill_chunk == 0) e->opt.prefill_chunk = e->parts.backend->prefill_tokens;
    if (e->opt.prefill_chunk == 0) e->opt.prefill_chunk = 512;
    e->step_tokens = e->opt.prefill_chunk > e->opt.max_seqs ? e->opt.prefill_chunk : e->opt.max_seqs;
    WICK_TRY(make_room(e, err));
    return start(e, err);
}

wick_status wick_engine_start(wick_engine **out, const wick_engine_parts *parts, const wick_engine_opts *o,
                              wick_err *err)
{
    WICK_TRY(wick_engine_check_opts(o, err));
    wick_engine *e = new_engine(o);
    if (!e) return wick_err_oom(err, "the engine", sizeof *e, 0);
    e->parts = *parts;
    wick_status st = start_parts(e, err);
    if (st == WICK_OK)
        *out = e;
    else
        wick_engine_close(e);
    return st;
}

/* Tokenizer and template; a model without them, or with a template that does not compile, still completes raw text. */
static wick_status open_text(wick_engine *e, wick_err *err)
{
    if (e->opt.no_tokenizer) return WICK_OK;
    wick_err why = {0};
    wick_status st = wick_model_tokenizer(&e->model, &e->tokenizer, &why);
    if (st != WICK_OK && st != WICK_E_MODEL_NOT_FOUND) {
        if (err) *err = why;
        return st;
    }
    if (st != WICK_OK) {
        e->tokenizer = NULL;
        wick_log(WICK_LOG_WARN, "%s", why.message);
    }
    e->parts.tokenizer = e->tokenizer;
    st = wick_model_chat_template(&e->model, e->tokenizer, e->opt.chat_template, &e->chat, &e->template_error);
    if (st == WICK_OK) return WICK_OK;
    e->chat = NULL;
    if (st != WICK_E_TEMPLATE || e->opt.chat_template) {
        if (err) *err = e->template_error;
        return st;
    }
    e->template_broken = true;
    wick_log(WICK_LOG_WARN, "the chat template cannot be used: %s", e->template_error.message);
    return WICK_OK;
}

static wick_status open_model(wick_engine *e, const char *path, wick_err *err)
{
    uint64_t have_bytes = 0;
    WICK_TRY(wick_model_open(&e->model, path, err));
    e->has_model = true;
    e->model.plan.load_once = true; /* nobody else has it */
    e->parts.plan = &e->model.plan;
    e->parts.eos = e->model.eos;
    e->parts.n_eos = e->model.n_eos;
    WICK_TRY(wick_engine_choose_backend(&e->opt, e->parts.plan, &e->parts.backend, &have_bytes, err));
    WICK_TRY(wick_engine_plan_memory(&e->opt, e->parts.plan, have_bytes, &e->parts, err));
    WICK_TRY(open_text(e, err));
    return start_parts(e, err);
}

wick_status wick_engine_open(wick_engine **out, const char *path, const wick_engine_opts *o, wick_err *err)
{
    WICK_TRY(wick_engine_check_opts(o, err));
    wick_engine *e = new_engine(o);
    if (!e) return wick_err_oom(err, "the engine", sizeof *e, 0);
    wick_status st = open_model(e, path, err);
    if (st != WICK_OK) {
        wick_engine_close(e);
        return st;
    }
    e->opt.chat_template = e->opt.backend = NULL; /* the caller's; not needed any more */
    *out = e;
    return WICK_OK;
}

void wick_engine_close(wick_engine *e)
{
    if (!e) return;
    wick_lock_take(&e->lock);
    e->closing = e->poked = true;
    wick_cond_broadcast(&e->wake);
    wick_lock_drop(&e->lock);
    wick_thread_join(&e->thread);
    wick_sample_scratch_free(e->scratch);
    wick_dry_breakers_free(e->usual_breakers);
    wick_buf_release(&e->token_text);
    wick_free(e->live);
    wick_free(e->run);
    wick_free(e->row);
    for (int i = 0; i < 2; i++) wick_free(e->flight[i].row);
    wick_free(e->mask);
    wick_free(e->embedding);
    wick_free(e->user);
    wick_chat_template_free(e->chat);
    wick_tokenizer_free(e->tokenizer);
    if (e->has_model) wick_model_close(&e->model);
    wick_cond_release(&e->wake);
    wick_lock_release(&e->lock);
    wick_free(e);
}

const wick_model *wick_engine_model(const wick_engine *e)
{
    return e->has_model ? &e->model : NULL;
}

const wick_tokenizer *wick_engine_tokenizer(const wick_engine *e)
{
    return e->parts.tokenizer;
}

const wick_chat_template *wick_engine_template(const wick_engine *e)
{
    return e->chat;
}

const wick_err *wick_engine_template_error(const wick_engine *e)
{
    return e->template_broken ? &e->template_error : NULL;
}

uint32_t wick_engine_ctx(const wick_engine *e)
{
    return e->parts.n_ctx;
}

uint32_t wick_engine_caps(const wick_engine *e)
{
    return e->caps;
}

const char *wick_engine_backend_name(const wick_engine *e)
{
    return e->parts.backend->name;
}

const char *wick_engine_device_label(const wick_engine *e)
{
    return e->device_label;
}
