/* server/models.c - what there is: models, health, the status at a glance, metrics. */
#include <string.h>
#include "base/str.h"
#include "base/sys.h"
#include "server/server_int.h"

bool wick_route_livez(wick_exchange *x)
{
    wick_x_json(x, 200, json_pack("{s:s}", "status", "ok"));
    return true;
}

bool wick_route_readyz(wick_exchange *x)
{
    const char *status = atomic_load(&x->s->draining)                   ? "draining"
                         : wick_registry_n_loading(&x->s->registry) > 0 ? "loading"
                                                                        : "ok";
    wick_x_json(x, strcmp(status, "ok") == 0 ? 200 : 503, json_pack("{s:s}", "status", status));
    return true;
}

static const char *state_name(wick_entry_state s)
{
    static const char *const names[] = {"unloaded", "loading", "ready", "failed"};
    return names[s];
}

/* A name that may come from a file system: what is no UTF-8 is shown escaped. */
static json_t *text(const char *s)
{
    char shown[600];
    if (wick_utf8_valid(s, strlen(s))) return json_string(s);
    wick_escape_line(shown, sizeof shown, s, strlen(s));
    return json_string(shown);
}

/* A list that is being made; `failed` stays set, so that no answer is sent with a part missing. */
typedef struct json_list {
    json_t *list;
    bool failed;
    bool secrets; /* paths too, and what exactly is wrong */
} json_list;

static void add(json_list *l, json_t *v)
{
    if (json_array_append_new(l->list, v) != 0) l->failed = true;
}

static json_list new_list(void)
{
    json_t *list = json_array();
    return (json_list){.list = list, .failed = list == NULL};
}

/* Takes what the list holds; NULL if anything is missing. */
static json_t *finish_list(json_list *l)
{
    if (!l->failed) return l->list;
    json_decref(l->list);
    return NULL;
}

static json_t *capabilities(const wick_engine *e, const wick_chat *c)
{
    json_list l = new_list();
    const uint32_t caps = wick_engine_caps(e);
    add(&l, json_string("completion"));
    if (wick_chat_usable(c)) add(&l, json_string("chat"));
    if (wick_chat_takes_tools(c)) add(&l, json_string("tools"));
    if ((caps & WICK_CAP_STRUCTURED_OUTPUT) && wick_engine_tokenizer(e)) add(&l, json_string("structured_output"));
    if (caps & WICK_CAP_EMBEDDINGS) add(&l, json_string("embeddings"));
    if (caps & WICK_CAP_KV_PREFIX_COPY) add(&l, json_string("prefix_cache"));
    if (caps & WICK_CAP_KV_PREFIX_COPY) add(&l, json_string("kv_prefix_copy"));
    if (caps & WICK_CAP_KV_SERIALIZE) add(&l, json_string("kv_serialize"));
    if (wick_engine_drafts(e)) add(&l, json_string("speculative_decoding"));
    if (caps & WICK_CAP_BATCH_INVARIANT) add(&l, json_string("batch_invariant"));
    return finish_list(&l);
}

static json_t *aliases(const wick_entry *e)
{
    json_list l = new_list();
    for (uint32_t i = 0; i < e->c.n_alias; i++) add(&l, text(e->c.alias[i]));
    return finish_list(&l);
}

/* Adds the keys of `more`, which it takes. NULL if either is NULL. */
static json_t *with(json_t *o, json_t *more)
{
    const bool ok = o && more && json_object_update(o, more) == 0;
    json_decref(more);
    if (ok) return o;
    json_decref(o);
    return NULL;
}

/* OpenAI's model object, and what else a client may want to know. NULL: out of memory. */
static json_t *model_json(const wick_entry *e, bool is_default)
{
    const wick_engine *g = e->engine;
    json_t *o = json_pack("{s:o, s:s, s:I, s:s, s:b, s:s, s:b, s:o, s:s}", "id", text(e->c.id), "object", "model",
                          "created", (json_int_t)e->created_unix_s, "owned_by", "wick", "ready",
                          e->state == WICK_ENTRY_READY, "state", state_name(e->state), "default", is_default, "aliases",
                          aliases(e), "backend", g ? wick_engine_backend_name(g) : e->c.engine.backend);
    if (g)
        o = with(o, json_pack("{s:o, s:I, s:I, s:o}", "device", text(wick_engine_device_label(g)), "max_model_len",
                              (json_int_t)wick_engine_ctx(g), "context", (json_int_t)wick_engine_ctx(g), "capabilities",
                              capabilities(g, e->chat)));
    if (e->state == WICK_ENTRY_FAILED) o = with(o, json_pack("{s:s}", "error", "it cannot be loaded"));
    return o;
}

static void add_model(void *ctx, wick_entry *e, bool is_default)
{
    add(ctx, model_json(e, is_default));
}

bool wick_route_models(wick_exchange *x)
{
    json_list l = new_list();
    wick_registry_each(&x->s->registry, add_model, &l);
    wick_x_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", finish_list(&l)));
    return true;
}

bool wick_route_model(wick_exchange *x)
{
    wick_registry *g = &x->s->registry;
    wick_lock_take(&g->lock);
    const wick_entry *e = wick_registry_find_locked(g, x->path_arg);
    json_t *o = e ? model_json(e, e == g->def) : NULL;
    const bool found = e != NULL;
    wick_lock_drop(&g->lock);
    if (found)
        wick_x_json(x, 200, o);
    else
        wick_problem(x, 404, "model", "model_not_found", "model \"%.100s\" is not served here; see /v1/models",
                     x->path_arg);
    return true;
}

static json_t *engine_json(const wick_entry *e)
{
    wick_engine_stats s;
    wick_engine_get_stats(e->engine, &s);
    return json_pack("{s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I}", "load_ms",
                     s.load_ms, "running", (json_int_t)s.n_running, "waiting", (json_int_t)s.n_waiting, "requests",
                     (json_int_t)s.n_requests, "prompt_tokens", (json_int_t)s.n_prompt_tokens, "cached_tokens",
                     (json_int_t)s.n_cached_tokens, "generated_tokens", (json_int_t)s.n_gen_tokens, "weight_bytes",
                     (json_int_t)s.backend.weight_bytes, "kv_bytes", (json_int_t)s.kv.bytes, "prefixes",
                     (json_int_t)s.n_prefixes, "prefix_bytes", (json_int_t)s.prefix_bytes, "idle_seconds",
                     (wick_time_ms() - e->t_used_ms) / 1000, "memory_active_bytes", (json_int_t)s.backend.active_bytes,
                     "memory_peak_bytes", (json_int_t)s.backend.peak_bytes, "memory_cache_bytes",
                     (json_int_t)s.backend.cache_bytes);
}

static void add_admin_model(void *ctx, wick_entry *e, bool is_default)
{
    json_t *o = with(model_json(e, is_default),
                     json_pack("{s:I, s:I}", "users", (json_int_t)e->n_users, "bytes", (json_int_t)e->bytes));
    if (((const json_list *)ctx)->secrets) o = with(o, json_pack("{s:o}", "path", text(e->c.path)));
    if (((const json_list *)ctx)->secrets && e->state == WICK_ENTRY_FAILED)
        o = with(o, json_pack("{s:o}", "error", text(e->error.message)));
    if (e->engine) o = with(o, engine_json(e));
    add(ctx, o);
}

bool wick_route_admin_models(wick_exchange *x)
{
    json_list l = new_list();
    l.secrets = true;
    wick_registry_each(&x->s->registry, add_admin_model, &l);
    wick_x_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", finish_list(&l)));
    return true;
}

bool wick_route_status(wick_exchange *x)
{
    wick_server *s = x->s;
    json_list l = new_list();
    l.secrets = x->admin;
    wick_registry_each(&s->registry, add_admin_model, &l);
    wick_lock_take(&s->conns_lock);
    const uint32_t n_conns = s->n_conns;
    wick_lock_drop(&s->conns_lock);
    wick_x_json(x, 200,
                json_pack("{s:s, s:f, s:b, s:i, s:i, s:I, s:I, s:o}", "version", WICK_VERSION, "uptime_seconds",
                          (wick_time_ms() - s->t_start) / 1000, "draining", (int)atomic_load(&s->draining), "active",
                          (int)atomic_load(&s->n_active), "connections", (int)n_conns, "memory_peak_bytes",
                          (json_int_t)wick_memory_peak_bytes(), "memory_available_bytes",
                          (json_int_t)wick_memory_available_bytes(), "models", finish_list(&l)));
    return true;
}

bool wick_route_metrics(wick_exchange *x)
{
    wick_buf_reset(&x->out);
    wick_metrics_write(x->s, &x->out);
    wick_x_text(x, 200, "text/plain; version=0.0.4; charset=utf-8");
    return true;
}
