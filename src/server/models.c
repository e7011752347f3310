/* server/models.c - what there is: models, health, the status at a glance, metrics. */
#include <string.h>
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

static json_t *capabilities(const wick_engine *e)
{
    json_t *list = json_array();
    const uint32_t caps = wick_engine_caps(e);
    json_array_append_new(list, json_string("completion"));
    if (wick_engine_template(e)) json_array_append_new(list, json_string("chat"));
    if (wick_engine_template(e) && wick_chat_template_traits(wick_engine_template(e))->takes_tools)
        json_array_append_new(list, json_string("tools"));
    if (caps & WICK_CAP_EMBEDDINGS) json_array_append_new(list, json_string("embeddings"));
    if (caps & WICK_CAP_KV_PREFIX_COPY) json_array_append_new(list, json_string("prefix_cache"));
    if (caps & WICK_CAP_BATCH_INVARIANT) json_array_append_new(list, json_string("batch_invariant"));
    return list;
}

/* OpenAI's model object, and what else a client may want to know. */
static json_t *model_json(const wick_entry *e, bool is_default)
{
    json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:b, s:s, s:b}", "id", e->c.id, "object", "model", "created",
                          (json_int_t)e->created_unix_s, "owned_by", "wick", "ready", e->state == WICK_ENTRY_READY,
                          "state", state_name(e->state), "default", is_default);
    json_t *aliases = json_array();
    for (uint32_t i = 0; i < e->c.n_alias; i++) json_array_append_new(aliases, json_string(e->c.alias[i]));
    json_object_set_new(o, "aliases", aliases);
    json_object_set_new(o, "backend",
                        json_string(e->engine ? wick_engine_backend_name(e->engine) : e->c.engine.backend));
    if (e->engine) {
        json_object_set_new(o, "device", json_string(wick_engine_device_label(e->engine)));
        json_object_set_new(o, "max_model_len", json_integer(wick_engine_ctx(e->engine)));
        json_object_set_new(o, "context", json_integer(wick_engine_ctx(e->engine)));
        json_object_set_new(o, "capabilities", capabilities(e->engine));
    }
    if (e->state == WICK_ENTRY_FAILED) json_object_set_new(o, "error", json_string(e->error.message));
    return o;
}

static void add_model(void *ctx, wick_entry *e, bool is_default)
{
    json_array_append_new(ctx, model_json(e, is_default));
}

bool wick_route_models(wick_exchange *x)
{
    json_t *list = json_array();
    wick_registry_each(&x->s->registry, add_model, list);
    wick_x_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", list));
    return true;
}

bool wick_route_model(wick_exchange *x)
{
    wick_registry *g = &x->s->registry;
    wick_lock_take(&g->lock);
    const wick_entry *e = wick_registry_find_locked(g, x->path_arg);
    json_t *o = e ? model_json(e, e == g->def) : NULL;
    wick_lock_drop(&g->lock);
    if (o)
        wick_x_json(x, 200, o);
    else
        wick_problem(x, 404, "model", "model_not_found", "model \"%.100s\" is not served here; see /v1/models",
                     x->path_arg);
    return true;
}

static void add_admin_model(void *ctx, wick_entry *e, bool is_default)
{
    json_t *o = model_json(e, is_default);
    json_object_set_new(o, "path", json_string(e->c.path));
    json_object_set_new(o, "users", json_integer(e->n_users));
    json_object_set_new(o, "bytes", json_integer((json_int_t)e->bytes));
    if (e->engine) {
        wick_engine_stats s;
        wick_engine_get_stats(e->engine, &s);
        json_object_set_new(o, "load_ms", json_real(s.load_ms));
        json_object_set_new(o, "running", json_integer(s.n_running));
        json_object_set_new(o, "waiting", json_integer(s.n_waiting));
        json_object_set_new(o, "requests", json_integer((json_int_t)s.n_requests));
        json_object_set_new(o, "prompt_tokens", json_integer((json_int_t)s.n_prompt_tokens));
        json_object_set_new(o, "cached_tokens", json_integer((json_int_t)s.n_cached_tokens));
        json_object_set_new(o, "generated_tokens", json_integer((json_int_t)s.n_gen_tokens));
        json_object_set_new(o, "weight_bytes", json_integer((json_int_t)s.backend.weight_bytes));
        json_object_set_new(o, "kv_bytes", json_integer((json_int_t)s.kv.bytes));
        json_object_set_new(o, "prefixes", json_integer(s.n_prefixes));
        json_object_set_new(o, "prefix_bytes", json_integer((json_int_t)s.prefix_bytes));
        json_object_set_new(o, "idle_seconds", json_real((wick_time_ms() - e->t_used_ms) / 1000));
    }
    json_array_append_new(ctx, o);
}

bool wick_route_admin_models(wick_exchange *x)
{
    json_t *list = json_array();
    wick_registry_each(&x->s->registry, add_admin_model, list);
    wick_x_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", list));
    return true;
}

bool wick_route_status(wick_exchange *x)
{
    wick_server *s = x->s;
    json_t *list = json_array();
    wick_registry_each(&s->registry, add_admin_model, list);
    wick_lock_take(&s->conns_lock);
    const uint32_t n_conns = s->n_conns;
    wick_lock_drop(&s->conns_lock);
    wick_x_json(x, 200,
                json_pack("{s:s, s:f, s:b, s:i, s:i, s:I, s:I, s:o}", "version", WICK_VERSION, "uptime_seconds",
                          (wick_time_ms() - s->t_start) / 1000, "draining", (int)atomic_load(&s->draining), "active",
                          (int)atomic_load(&s->n_active), "connections", (int)n_conns, "memory_peak_bytes",
                          (json_int_t)wick_memory_peak_bytes(), "memory_available_bytes",
                          (json_int_t)wick_memory_available_bytes(), "models", list));
    return true;
}

bool wick_route_metrics(wick_exchange *x)
{
    wick_buf_reset(&x->out);
    wick_metrics_write(x->s, &x->out);
    wick_x_text(x, 200, "text/plain; version=0.0.4; charset=utf-8");
    return true;
}
