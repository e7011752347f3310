/* server/registry.c - the models of a server: loaded when somebody asks, unloaded when memory is wanted for another.
 *
 * Invariants: (1) Only the loader thread opens and closes engines, one at a time, without the lock. (2) An engine with
 * users is never closed; READY with n_users 0 may be. (3) An entry lives until it is out of the list and nobody holds
 * it.
 * (4) Whoever waits for a model is a job in its entry, posted to the workers when the load has ended, well or badly.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/file.h"
#include "base/log.h"
#include "base/sys.h"
#include "server/server_int.h"

static void entry_free(wick_entry *e)
{
    wick_arena_release(&e->arena);
    wick_free(e->metrics);
    wick_free(e);
}

static void entry_unref(wick_entry *e)
{
    if (--e->refs == 0) entry_free(e);
}

static wick_status copy_config(wick_entry *e, const wick_model_config *c, wick_err *err)
{
    wick_arena *a = &e->arena;
    e->c = *c;
    e->c.id = wick_arena_strdup(a, c->id);
    e->c.path = wick_arena_strdup(a, c->path);
    e->c.alias = wick_arena_array(a, c->n_alias ? c->n_alias : 1, sizeof *e->c.alias);
    for (uint32_t i = 0; e->c.alias && i < c->n_alias; i++) e->c.alias[i] = wick_arena_strdup(a, c->alias[i]);
    const char **str[] = {&e->c.engine.backend,       &e->c.chat_template,     &e->c.engine.pre,
                          &e->c.engine.device.device, &e->c.engine.device.isa, &e->c.engine.device.cache_dir,
                          &e->c.engine.kv_dir};
    for (size_t i = 0; i < sizeof str / sizeof *str; i++)
        if (*str[i]) *str[i] = wick_arena_strdup(a, *str[i]);
    return a->failed ? wick_err_oom(err, "a model's entry", 0, 0) : WICK_OK;
}

static bool has_name(const wick_entry *e, const char *name)
{
    if (strcmp(e->c.id, name) == 0) return true;
    for (uint32_t i = 0; i < e->c.n_alias; i++)
        if (strcmp(e->c.alias[i], name) == 0) return true;
    return false;
}

wick_entry *wick_registry_find_locked(wick_registry *g, const char *name)
{
    if (!name) return g->def;
    for (uint32_t i = 0; i < g->n; i++)
        if (!g->entry[i]->gone && has_name(g->entry[i], name)) return g->entry[i];
    return NULL;
}

/* Clients have names of models wired in that no local server has: where there is one model, it is meant. */
static wick_entry *only_one(const wick_registry *g)
{
    wick_entry *one = NULL;
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->entry[i]->gone) continue;
        if (one) return NULL;
        one = g->entry[i];
    }
    return one;
}

static wick_status not_found(wick_registry *g, const char *name, wick_err *err)
{
    char names[300] = "";
    size_t n = 0;
    for (uint32_t i = 0; i < g->n && n + 64 < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%.50s", i ? ", " : "", g->entry[i]->c.id);
    return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, "model", "model \"%.100s\" is not served here; there is: %s",
                     name ? name : "", n ? names : "none");
}

wick_status wick_registry_add(wick_registry *g, const wick_model_config *c, bool added, wick_err *err)
{
    wick_entry *e = wick_alloc_zero(1, sizeof *e);
    if (!e) return wick_err_oom(err, "a model's entry", sizeof *e, 0);
    wick_arena_init(&e->arena, 1024);
    e->metrics = wick_alloc_zero(1, sizeof *e->metrics);
    e->refs = 1;
    e->added = added;
    e->created_unix_s = (int64_t)time(NULL);
    wick_status st = e->metrics ? copy_config(e, c, err) : wick_err_oom(err, "a model's entry", 0, 0);
    wick_lock_take(&g->lock);
    for (uint32_t i = 0; i < g->n && st == WICK_OK; i++)
        if (!g->entry[i]->gone && has_name(g->entry[i], c->id))
            st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "id", "there is a model called \"%.100s\" already", c->id);
    if (st == WICK_OK && g->n == g->cap) {
        wick_entry **grown = wick_realloc_array(g->entry, g->cap ? g->cap * 2 : 8, sizeof *grown);
        if (grown) {
            g->entry = grown;
            g->cap = g->cap ? g->cap * 2 : 8;
        } else {
            st = wick_err_oom(err, "a model's entry", 0, 0);
        }
    }
    if (st == WICK_OK) {
        g->entry[g->n++] = e;
        if (!g->def) g->def = e;
    }
    wick_lock_drop(&g->lock);
    if (st != WICK_OK) entry_free(e);
    return st;
}

/* --- loading ------------------------------------------------------------------------------------------------------ */
static void post_waiting(wick_registry *g, wick_entry *e)
{
    wick_job *j = e->waiting;
    e->waiting = NULL;
    while (j) {
        wick_job *next = j->next;
        wick_workers_post(g->workers, j);
        j = next;
    }
}

/* Lock held. The least recently used model that nobody uses. */
static wick_entry *least_used(wick_registry *g)
{
    wick_entry *best = NULL;
    for (uint32_t i = 0; i < g->n; i++) {
        wick_entry *e = g->entry[i];
        if (e->state == WICK_ENTRY_READY && e->n_users == 0 && (!best || e->t_used_ms < best->t_used_ms)) best = e;
    }
    return best;
}

/* Lock held. Out of the list; e may be gone after this. */
static void remove_entry(wick_registry *g, wick_entry *e)
{
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->entry[i] != e) continue;
        memmove(&g->entry[i], &g->entry[i + 1], (g->n - i - 1) * sizeof *g->entry);
        g->n--;
        entry_unref(e);
        return;
    }
}

/* Lock held. Another one is the default from now on. */
static void leave_default(wick_registry *g, const wick_entry *e)
{
    if (g->def != e) return;
    g->def = NULL;
    for (uint32_t i = 0; i < g->n && !g->def; i++)
        if (g->entry[i] != e && !g->entry[i]->gone) g->def = g->entry[i];
}

/* Lock held. Names that somebody tried to load and that cannot be: the oldest go beyond a few, all after a while. What
 * a client can make up must not fill the lists and the metrics. */
static void forget_failed(wick_registry *g)
{
    enum { KEPT = 16, KEPT_MS = 600 * 1000 };
    for (;;) {
        wick_entry *oldest = NULL;
        uint32_t n = 0;
        for (uint32_t i = 0; i < g->n; i++) {
            wick_entry *e = g->entry[i];
            if (!e->added || e->state != WICK_ENTRY_FAILED || e->waiting) continue;
            n++;
            if (!oldest || e->t_loaded_ms < oldest->t_loaded_ms) oldest = e;
        }
        if (!oldest || (n <= KEPT && wick_time_ms() - oldest->t_loaded_ms < KEPT_MS)) return;
        leave_default(g, oldest);
        remove_entry(g, oldest);
    }
}

/* Lock held; dropped while the engine closes. */
static void close_engine(wick_registry *g, wick_entry *e)
{
    wick_engine *engine = e->engine;
    wick_chat *chat = e->chat;
    e->engine = NULL;
    e->chat = NULL;
    e->state = WICK_ENTRY_COLD;
    e->unload_asked = false;
    e->bytes = 0;
    e->refs++;
    wick_lock_drop(&g->lock);
    wick_log(WICK_LOG_INFO, "unloading model %s", e->c.id);
    wick_chat_close(chat);
    wick_engine_close(engine);
    wick_lock_take(&g->lock);
    if (e->gone) remove_entry(g, e);
    entry_unref(e);
}

static uint64_t used_bytes(const wick_registry *g)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < g->n; i++) n += g->entry[i]->bytes;
    return n;
}

static uint64_t engine_bytes(wick_engine *engine)
{
    wick_engine_stats s;
    wick_engine_get_stats(engine, &s);
    return s.backend.weight_bytes + s.backend.scratch_bytes + s.kv.bytes;
}

static wick_status open_engine(wick_registry *g, const wick_entry *e, uint64_t used, wick_engine **out,
                               wick_chat **chat, wick_err *err)
{
    wick_engine_opts o = e->c.engine;
    const uint64_t limit = g->config->memory_limit_bytes;
    char *path = NULL;
    WICK_TRY(wick_resolve_model(&path, e->c.path, &g->config->discover, err));
    if (limit > 0 && used >= limit) {
        wick_free(path);
        return wick_err_oom(err, e->c.id, 0, 0);
    }
    if (limit > 0 && (o.device.memory_limit_bytes == 0 || o.device.memory_limit_bytes > limit - used))
        o.device.memory_limit_bytes = limit - used;
    o.max_queue = (uint32_t)g->config->limits.queue;
    wick_status st = wick_engine_open(out, path, &o, err);
    if (st == WICK_OK) st = wick_chat_open(chat, *out, e->c.chat_template, err);
    if (st != WICK_OK) {
        wick_engine_close(*out);
        *out = NULL;
    }
    wick_free(path);
    return st;
}

/* Lock held. Other models give way, least recently used first, while memory is what is missing. */
static void load_entry(wick_registry *g, wick_entry *e)
{
    wick_status st;
    wick_engine *engine = NULL;
    wick_chat *chat = NULL;
    e->refs++;
    for (;;) {
        uint64_t used = used_bytes(g);
        wick_err err = {0};
        wick_lock_drop(&g->lock);
        double t0 = wick_time_ms();
        wick_log(WICK_LOG_INFO, "loading model %s", e->c.id);
        st = open_engine(g, e, used, &engine, &chat, &err);
        if (st == WICK_OK)
            wick_log(WICK_LOG_INFO, "model %s is ready after %.0f ms on %s", e->c.id, wick_time_ms() - t0,
                     wick_engine_device_label(engine));
        else
            wick_log(WICK_LOG_ERROR, "model %s: %s", e->c.id, err.message);
        const uint64_t bytes = st == WICK_OK ? engine_bytes(engine) : 0;
        wick_lock_take(&g->lock);
        e->error = err;
        e->bytes = bytes;
        wick_entry *victim = st == WICK_E_OUT_OF_MEMORY && !g->closing ? least_used(g) : NULL;
        if (!victim) break;
        close_engine(g, victim);
    }
    e->engine = engine;
    e->chat = chat;
    e->state = st == WICK_OK ? WICK_ENTRY_READY : WICK_ENTRY_FAILED;
    e->t_loaded_ms = e->t_used_ms = wick_time_ms();
    post_waiting(g, e);
    entry_unref(e);
}

static wick_entry *next_task(wick_registry *g)
{
    const double idle_ms = (double)g->config->idle_unload_s * 1000, now = wick_time_ms();
    for (uint32_t i = 0; i < g->n; i++) {
        wick_entry *e = g->entry[i];
        if (e->state == WICK_ENTRY_LOADING) return e;
        if (e->state != WICK_ENTRY_READY || e->n_users > 0) continue;
        if (e->unload_asked || (idle_ms > 0 && now - e->t_used_ms > idle_ms)) return e;
    }
    return NULL;
}

static void *loader_main(void *ctx)
{
    wick_registry *g = ctx;
    wick_lock_take(&g->lock);
    while (!g->closing) {
        forget_failed(g);
        wick_entry *e = next_task(g);
        if (!e)
            wick_cond_wait_ms(&g->wake, &g->lock, 1000);
        else if (e->state == WICK_ENTRY_LOADING)
            load_entry(g, e);
        else
            close_engine(g, e);
    }
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->entry[i]->state == WICK_ENTRY_LOADING) g->entry[i]->state = WICK_ENTRY_COLD;
        post_waiting(g, g->entry[i]);
    }
    wick_lock_drop(&g->lock);
    return NULL;
}

/* --- use ---------------------------------------------------------------------------------------------------------- */
static void start_loading(wick_registry *g, wick_entry *e)
{
    if (e->state == WICK_ENTRY_LOADING) return;
    e->state = WICK_ENTRY_LOADING;
    e->unload_asked = false;
    wick_cond_broadcast(&g->wake);
}

static void park(wick_entry *e, wick_job *job)
{
    job->next = e->waiting;
    e->waiting = job;
}

wick_status wick_registry_take(wick_registry *g, const char *name, wick_job *job, wick_entry **out, bool *pending,
                               wick_err *err)
{
    wick_status st = WICK_OK;
    *pending = false;
    wick_lock_take(&g->lock);
    wick_entry *e = wick_registry_find_locked(g, name);
    if (!e && !g->config->strict_model) e = only_one(g);
    /* A load that failed less than two seconds ago is not tried again: this is also how waiting requests hear of it. */
    const bool failed = e && e->state == WICK_ENTRY_FAILED && wick_time_ms() - e->t_loaded_ms < 2000;
    if (!e) {
        st = not_found(g, name, err);
    } else if (g->closing) {
        st = WICK_FAIL(err, WICK_E_CANCELLED, NULL, "the server is shutting down");
    } else if (failed) {
        /* A name that the server knows, whose files are bad, is the server's fault. What is wrong with them (paths,
         * parts of what they hold) is for /admin and the log. */
        st = e->error.kind;
        if (st != WICK_E_OUT_OF_MEMORY && st != WICK_E_DEVICE_NOT_AVAILABLE) st = WICK_E_INTERNAL;
        (void)wick_err_set(err, st, "model", "model \"%.100s\" cannot be loaded%s; the server's log says why", e->c.id,
                           st == WICK_E_OUT_OF_MEMORY ? ": memory is short" : "");
    } else if (e->state == WICK_ENTRY_READY) {
        e->refs++;
        e->n_users++;
        e->t_used_ms = wick_time_ms();
        *out = e;
    } else {
        *pending = true;
        park(e, job);
        start_loading(g, e);
    }
    wick_lock_drop(&g->lock);
    return st;
}

void wick_registry_give(wick_registry *g, wick_entry *e)
{
    wick_lock_take(&g->lock);
    e->t_used_ms = wick_time_ms();
    if (--e->n_users == 0 && e->unload_asked) wick_cond_broadcast(&g->wake);
    entry_unref(e);
    wick_lock_drop(&g->lock);
}

wick_status wick_registry_load(wick_registry *g, const char *name, wick_job *job, bool *pending, wick_err *err)
{
    wick_status st = WICK_OK;
    *pending = false;
    wick_lock_take(&g->lock);
    wick_entry *e = wick_registry_find_locked(g, name);
    const bool failed = e && e->state == WICK_ENTRY_FAILED && wick_time_ms() - e->t_loaded_ms < 2000;
    if (!e) {
        st = not_found(g, name, err);
    } else if (failed) {
        st = e->error.kind;
        if (err) *err = e->error;
    } else if (e->state != WICK_ENTRY_READY) {
        *pending = true;
        if (job) park(e, job);
        start_loading(g, e);
    } else {
        e->unload_asked = false;
    }
    wick_lock_drop(&g->lock);
    return st;
}

wick_status wick_registry_unload(wick_registry *g, const char *name, bool forget, wick_err *err)
{
    wick_status st = WICK_OK;
    wick_lock_take(&g->lock);
    wick_entry *e = wick_registry_find_locked(g, name);
    if (!e) {
        st = not_found(g, name, err);
    } else if (e->state == WICK_ENTRY_LOADING) {
        st =
            WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "model \"%.100s\" is being loaded; try again later", e->c.id);
    } else {
        e->unload_asked = e->state == WICK_ENTRY_READY;
        if (forget) {
            e->gone = true;
            leave_default(g, e);
            if (!e->unload_asked) remove_entry(g, e);
        }
        wick_cond_broadcast(&g->wake);
    }
    wick_lock_drop(&g->lock);
    return st;
}

wick_status wick_registry_set_default(wick_registry *g, const char *name, wick_err *err)
{
    wick_lock_take(&g->lock);
    wick_entry *e = wick_registry_find_locked(g, name);
    wick_status st = e ? WICK_OK : not_found(g, name, err);
    if (e) g->def = e;
    wick_lock_drop(&g->lock);
    return st;
}

void wick_registry_each(wick_registry *g, void (*fn)(void *ctx, wick_entry *e, bool is_default), void *ctx)
{
    wick_lock_take(&g->lock);
    for (uint32_t i = 0; i < g->n; i++)
        if (!g->entry[i]->gone) fn(ctx, g->entry[i], g->entry[i] == g->def);
    wick_lock_drop(&g->lock);
}

uint32_t wick_registry_n_loading(wick_registry *g)
{
    uint32_t n = 0;
    wick_lock_take(&g->lock);
    for (uint32_t i = 0; i < g->n; i++) n += g->entry[i]->c.preload && g->entry[i]->state == WICK_ENTRY_LOADING;
    wick_lock_drop(&g->lock);
    return n;
}

wick_status wick_registry_init(wick_registry *g, const wick_server_config *c, wick_workers *w, wick_err *err)
{
    memset(g, 0, sizeof *g);
    wick_lock_init(&g->lock);
    wick_cond_init(&g->wake);
    g->config = c;
    g->workers = w;
    for (uint32_t i = 0; i < c->n_model; i++) WICK_TRY(wick_registry_add(g, &c->model[i], false, err));
    for (uint32_t i = 0; i < g->n; i++)
        if (g->entry[i]->c.preload) g->entry[i]->state = WICK_ENTRY_LOADING;
    return wick_thread_start(&g->loader, "wick-loader", loader_main, g, err);
}

void wick_registry_close(wick_registry *g)
{
    wick_lock_take(&g->lock);
    g->closing = true;
    wick_cond_broadcast(&g->wake);
    wick_lock_drop(&g->lock);
    wick_thread_join(&g->loader);
}

void wick_registry_release(wick_registry *g)
{
    for (uint32_t i = 0; i < g->n; i++) {
        wick_chat_close(g->entry[i]->chat);
        wick_engine_close(g->entry[i]->engine);
        entry_unref(g->entry[i]);
    }
    wick_free(g->entry);
    wick_cond_release(&g->wake);
    wick_lock_release(&g->lock);
}

void wick_registry_unref(wick_registry *g, wick_entry *e)
{
    wick_lock_take(&g->lock);
    entry_unref(e);
    wick_lock_drop(&g->lock);
}
