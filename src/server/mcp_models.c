/* server/mcp_models.c - the registry's models for the tools of toolbox/model_server.h.
 *
 * A tool runs on the thread of its exchange, so it may wait for a model that is being loaded. What it reads and writes
 * counts for the key of its exchange, and its prompts are cached for that key only, as on every other route. */
#include "server/mcp_http.h"

/* Waits until a model is loaded. */
typedef struct load_wait {
    wick_job job;
    wick_lock lock;
    wick_cond cond;
    bool done;
} load_wait;

static void on_loaded(void *ctx)
{
    load_wait *w = ctx;
    wick_lock_take(&w->lock);
    w->done = true;
    wick_cond_broadcast(&w->cond);
    wick_lock_drop(&w->lock);
}

static wick_status take_loaded(wick_registry *g, const char *id, wick_entry **out, wick_err *err)
{
    load_wait w = {.job = {.fn = on_loaded}};
    bool pending = true;
    wick_status st = WICK_OK;
    w.job.ctx = &w;
    wick_lock_init(&w.lock);
    wick_cond_init(&w.cond);
    while (st == WICK_OK && pending) {
        w.done = false;
        st = wick_registry_take(g, id, &w.job, out, &pending, err);
        if (st != WICK_OK || !pending) break;
        wick_lock_take(&w.lock);
        while (!w.done) wick_cond_wait(&w.cond, &w.lock);
        wick_lock_drop(&w.lock);
    }
    wick_cond_release(&w.cond);
    wick_lock_release(&w.lock);
    return st;
}

static wick_status take(void *ctx, void *peer, const char *id, wick_model_use *out, wick_err *err)
{
    wick_server *s = ctx;
    const wick_exchange *x = peer;
    wick_entry *e = NULL;
    WICK_TRY(take_loaded(&s->registry, id, &e, err));
    *out = (wick_model_use){.engine = e->engine,
                            .chat = e->chat,
                            .hold = e,
                            .domain = wick_keys_domain(&s->keys, x ? x->key : NULL, NULL),
                            .deadline_ms = s->config->limits.request_seconds * 1000,
                            .priority = x && x->key ? x->key->c.priority : 0};
    return WICK_OK;
}

static void give(void *ctx, const wick_model_use *use)
{
    wick_registry_give(&((wick_server *)ctx)->registry, use->hold);
}

static void count(void *ctx, void *peer, const wick_model_use *use, const wick_usage *usage, wick_finish how)
{
    wick_exchange *x = peer;
    const wick_entry *e = use->hold;
    (void)ctx;
    atomic_fetch_add(&e->metrics->requests, 1);
    wick_metrics_request(e->metrics, usage, how);
    if (x) x->n_tokens += usage->n_prompt + usage->n_gen;
}

static void add_row(void *ctx, wick_entry *e, bool is_default)
{
    json_t *row =
        json_pack("{s:s, s:b, s:b}", "id", e->c.id, "default", is_default, "loaded", e->state == WICK_ENTRY_READY);
    if (row && e->state == WICK_ENTRY_READY) {
        json_object_set_new(row, "backend", json_string(wick_engine_backend_name(e->engine)));
        json_object_set_new(row, "context", json_integer((json_int_t)wick_engine_ctx(e->engine)));
    }
    json_array_append_new(ctx, row);
}

static json_t *models(void *ctx)
{
    wick_server *s = ctx;
    json_t *list = json_array();
    wick_registry_each(&s->registry, add_row, list);
    return list;
}

static wick_status ask_shell(void *ctx, const char *request, wick_buf *out, wick_err *err)
{
    const wick_server_config *c = ((wick_server *)ctx)->config;
    return c->shell(c->shell_ctx, request, out, err);
}

wick_model_source wick_server_mcp_source(wick_server *s)
{
    return (wick_model_source){.shell = s->config->shell ? ask_shell : NULL,
                               .ctx = s,
                               .take = take,
                               .give = give,
                               .count = count,
                               .models = models};
}
