/* engine/engine.c - opening and closing, and the loop of the engine's thread.
 *
 * The thread opens the backend, loads the plan, runs steps until it is told to close, and unloads: a backend is called
 * from this one thread (MLX needs that). Callers meet it at the inbox and at each request's ring of events only.
 */
#include <string.h>
#include "base/alloc.h"
#include "base/sys.h"
#include "engine/engine_int.h"
#include "model/recipe.h"
#include "model/vocab.h"

#define NO_ROWS_WAIT_MS 2 /* everybody waits for somebody: look again soon instead of spinning */

static void forget_prefixes(wick_engine *e)
{
    uint64_t keys[WICK_MAX_DROP_KEYS];
    bool all = false;
    uint32_t n = wick_door_drops(&e->door, keys, &all);
    for (uint32_t i = 0; i < e->loop.n_have; i++)
        for (uint32_t k = 0; k < n; k++) e->loop.live[i]->run.forget |= e->loop.live[i]->opt.domain.owner == keys[k];
    if (!e->loop.prefix) return;
    for (uint32_t i = 0; i < n; i++) {
        wick_prefix_clear(e->loop.prefix, &keys[i]);
        wick_disk_forget(e, &keys[i]);
    }
    if (!all) return;
    wick_prefix_clear(e->loop.prefix, NULL);
    wick_disk_forget(e, NULL);
}

static void take_in(wick_engine *e)
{
    wick_request *r = wick_door_take(&e->door);
    while (r) {
        wick_request *next = r->next;
        wick_err err = {0};
        if (wick_sched_add(e, r, &err) != WICK_OK) wick_verdict_fail(&r->run.verdict, &err);
        r = next;
    }
}

static void serve(wick_engine *e)
{
    int64_t wait_ms = -1;
    for (;;) {
        bool closing = wick_door_wait(&e->door, wait_ms);
        take_in(e);
        forget_prefixes(e);
        int64_t deadline_ms = wick_engine_reap(e, closing);
        if (closing) break;
        wick_sched_select(e);
        if (e->loop.n_chosen == 0 && e->loop.n_flights == 0) { /* idle, or every reader is behind */
            wick_stats_publish(e, true);
            wait_ms = deadline_ms;
            continue;
        }
        e->loop.idle = true;
        wick_engine_step(e);
        wick_stats_publish(e, e->loop.n_have == 0);
        wait_ms = e->loop.idle ? NO_ROWS_WAIT_MS : 0;
    }
    wick_flight_drain(e);
}

/* Memory for the loop; nothing in it grows while requests run, but for the table of users. */
static wick_status make_room(wick_engine *e, wick_err *err)
{
    uint32_t n_seqs = e->opt.max_seqs;
    e->loop.live = wick_alloc_zero(e->door.max_live, sizeof(wick_request *));
    e->loop.chosen = wick_alloc_zero(n_seqs, sizeof(wick_request *));
    e->loop.row = wick_alloc_zero(n_seqs, sizeof *e->loop.row);
    for (int i = 0; i < 2; i++) e->loop.flight[i].row = wick_alloc_zero(n_seqs, sizeof *e->loop.flight[i].row);
    e->loop.mask = wick_alloc_zero((e->n_vocab + 31) / 32, sizeof *e->loop.mask);
    const wick_pooler *p = e->parts.plan->pooler;
    e->loop.embedding = wick_alloc_zero(p ? p->n_max : e->parts.plan->n_embd, sizeof *e->loop.embedding);
    e->loop.pool_work = wick_alloc_zero(p ? p->n_work : 1, sizeof *e->loop.pool_work);
    if (!e->loop.live || !e->loop.chosen || !e->loop.row || !e->loop.flight[0].row || !e->loop.flight[1].row ||
        !e->loop.mask || !e->loop.embedding || !e->loop.pool_work || !wick_buf_reserve(&e->loop.token_text, 4096))
        return wick_err_oom(err, "the engine", 0, 0);
    return wick_sample_scratch_new(&e->scratch, e->n_vocab, err);
}

static wick_status load(wick_engine *e, wick_err *err)
{
    const wick_backend *b = e->parts.backend;
    WICK_TRY(b->open(&e->loop.ctx, &e->opt.device, err));
    WICK_TRY(b->check(e->loop.ctx, e->parts.plan, err));
    WICK_TRY(b->load(e->loop.ctx, e->parts.plan, e->step_tokens, e->opt.progress, &e->loop.loaded, err));
    e->caps = b->caps(e->loop.loaded);
    if (e->parts.plan->whole) e->caps &= WICK_CAP_EMBEDDINGS | WICK_CAP_BATCH_INVARIANT;
    const char *label = b->device_label(e->loop.loaded);
    snprintf(e->device_label, sizeof e->device_label, "%s", label ? label : b->name);
    if (e->opt.prefix_cache && (e->caps & WICK_CAP_KV_PREFIX_COPY) && e->parts.prefix_limit_bytes > 0) {
        b->kv_usage(e->loop.loaded, &e->loop.kv);
        WICK_TRY(wick_prefix_new(&e->loop.prefix, b, e->loop.loaded, e->parts.prefix_limit_bytes, &e->loop.kv, err));
    }
    wick_draft_open(e);
    return wick_disk_open(e, err);
}

static void *thread_main(void *arg)
{
    wick_engine *e = arg;
    wick_err err = {0};
    double t0 = wick_time_ms();
    wick_status st = load(e, &err);
    e->loop.stats.load_ms = wick_time_ms() - t0;
    if (st == WICK_OK) wick_stats_publish(e, true);
    wick_door_opened(&e->door, st, &err);
    if (st == WICK_OK) serve(e);
    wick_kv_store_close(e->loop.store);
    e->loop.store = NULL;
    wick_prefix_free(e->loop.prefix);
    e->loop.prefix = NULL;
    if (e->loop.loaded) e->parts.backend->unload(e->loop.loaded);
    if (e->loop.ctx) e->parts.backend->close(e->loop.ctx);
    e->loop.loaded = NULL;
    e->loop.ctx = NULL;
    return NULL;
}

static wick_status start(wick_engine *e, wick_err *err)
{
    WICK_TRY(wick_thread_start(&e->thread, "wick-engine", thread_main, e, err));
    wick_status st = wick_door_await(&e->door, err);
    if (st != WICK_OK) wick_thread_join(&e->thread);
    return st;
}

static wick_engine *new_engine(const wick_engine_opts *o)
{
    wick_engine *e = wick_alloc_zero(1, sizeof *e);
    if (!e) return NULL;
    e->opt = *o;
    if (e->opt.max_seqs == 0) e->opt.max_seqs = WICK_DEFAULT_SEQS;
    if (e->opt.max_queue == 0) e->opt.max_queue = 256;
    wick_lock_init(&e->breakers_lock);
    wick_lock_init(&e->shelf_lock);
    wick_door_init(&e->door, e->opt.max_queue + e->opt.max_seqs);
    return e;
}

static wick_status start_parts(wick_engine *e, wick_err *err)
{
    e->n_vocab = e->parts.plan->n_vocab;
    if (e->opt.prefill_chunk == 0) e->opt.prefill_chunk = e->parts.backend->prefill_tokens;
    if (e->opt.prefill_chunk == 0) e->opt.prefill_chunk = 512;
    e->step_tokens = e->opt.prefill_chunk > e->opt.max_seqs ? e->opt.prefill_chunk : e->opt.max_seqs;
    if (e->parts.plan->whole && e->step_tokens < e->parts.n_ctx) e->step_tokens = e->parts.n_ctx;
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

/* A model without a tokenizer still takes token ids. */
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
    return WICK_OK;
}

/* A chat model that is called a reranker answers "yes" or "no"; the difference of their logits is its score. */
static wick_status open_pooler(wick_engine *e, wick_err *err)
{
    wick_pooler *p = e->model.plan.pooler;
    const wick_tokenizer *t = e->tokenizer;
    if (!t) return WICK_OK;
    WICK_TRY(
        wick_pooler_judge(p, &e->model, wick_tokenizer_find(t, "yes", 3), wick_tokenizer_find(t, "no", 2), false, err));
    wick_pooler_measure(p, e->model.plan.n_embd);
    return WICK_OK;
}

/* The matrices that the backend is to quantize while it loads. */
static wick_status quantize_at_load(wick_engine *e, wick_err *err)
{
    wick_recipe recipe;
    wick_recode_report r;
    if (!e->opt.isq) return WICK_OK;
    WICK_TRY(wick_recipe_parse(&recipe, e->opt.isq, "--isq", err));
    WICK_TRY(wick_plan_recode(&e->model.plan, &recipe, &r, err));
    if (r.n_quantized_before)
        wick_log(WICK_LOG_WARN, "--isq %s: %u matrices are quantized already and stay as they are", e->opt.isq,
                 r.n_quantized_before);
    if (r.n_kept)
        wick_log(WICK_LOG_WARN, "--isq %s: %u matrices stay floats, as their rows do not divide into groups: %s%s",
                 e->opt.isq, r.n_kept, r.kept, r.n_kept > 1 ? ", ..." : "");
    return WICK_OK;
}

static wick_status open_model(wick_engine *e, const char *path, wick_err *err)
{
    uint64_t have_bytes = 0;
    WICK_TRY(wick_model_open(&e->model, path, err));
    e->has_model = true;
    e->model.plan.load_once = true; /* nobody else has it */
    e->parts.plan = &e->model.plan;
    WICK_TRY(quantize_at_load(e, err));
    e->model.pre = e->opt.pre;
    WICK_TRY(wick_engine_choose_backend(&e->opt, e->parts.plan, &e->parts.backend, &have_bytes, err));
    WICK_TRY(wick_engine_plan_memory(&e->opt, e->parts.plan, have_bytes, &e->parts, err));
    wick_plan_set_context(&e->model.plan, e->parts.n_ctx);
    WICK_TRY(open_text(e, err));
    WICK_TRY(open_pooler(e, err));
    e->model.pre = NULL; /* the caller's */
    wick_model_add_ends(&e->model, e->tokenizer);
    e->parts.eos = e->model.eos;
    e->parts.n_eos = e->model.n_eos;
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
    e->opt.pre = e->opt.isq = e->opt.backend = e->opt.kv_dir = NULL; /* the caller's; not needed any more */
    *out = e;
    return WICK_OK;
}

void wick_engine_close(wick_engine *e)
{
    if (!e) return;
    wick_door_close(&e->door);
    wick_thread_join(&e->thread);
    wick_sample_scratch_free(e->scratch);
    wick_dry_breakers_free(e->usual_breakers);
    wick_buf_release(&e->loop.token_text);
    wick_free(e->loop.live);
    wick_free(e->loop.chosen);
    wick_free(e->loop.row);
    for (int i = 0; i < 2; i++) wick_free(e->loop.flight[i].row);
    wick_free(e->loop.mask);
    wick_free(e->loop.embedding);
    wick_free(e->loop.pool_work);
    wick_free(e->loop.owners.row);
    wick_free(e->loop.users.row);
    wick_tokenizer_free(e->tokenizer);
    if (e->has_model) wick_model_close(&e->model);
    wick_lock_release(&e->breakers_lock);
    wick_lock_release(&e->shelf_lock);
    wick_grammar_shelf_free(e->shelf);
    wick_door_release(&e->door);
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

const wick_pooler *wick_engine_pooler(const wick_engine *e)
{
    return e->parts.plan->pooler;
}

bool wick_engine_generates(const wick_engine *e)
{
    return !e->parts.plan->whole;
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
