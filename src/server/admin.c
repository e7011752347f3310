/* server/admin.c - what an administrator may change while the server runs: models, keys, caches, the drain. */
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/sys.h"
#include "server/gen.h"
#include "server/prompt.h"
#include "server/response_store.h"

/* Only these fields; anything else is refused by name. */
static wick_status only(const json_t *body, const char *const *names, wick_err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)body, key, v)
    {
        bool known = false;
        for (size_t i = 0; names[i]; i++) known |= strcmp(names[i], key) == 0;
        if (!known) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, key, "unknown field \"%.80s\"", key);
    }
    return WICK_OK;
}

static wick_status as_parameter(wick_status st, const char *name, wick_err *err)
{
    if (st == WICK_OK) return st;
    if (st == WICK_E_BAD_FILE) {
        err->kind = WICK_E_BAD_PARAMETER;
        snprintf(err->subject, sizeof err->subject, "%s", name);
    }
    return err->kind;
}

static wick_status get_str(const json_t *body, const char *name, bool needed, const char **out, wick_err *err)
{
    WICK_TRY(as_parameter(wick_json_str(body, name, out, "body", err), name, err));
    if (needed && !*out) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "%s: is missing", name);
    return WICK_OK;
}

static wick_status get_u32(const json_t *body, const char *name, uint32_t *out, wick_err *err)
{
    int64_t n;
    WICK_TRY(as_parameter(wick_json_i64(body, name, 0, UINT32_MAX, *out, &n, "body", err), name, err));
    *out = (uint32_t)n;
    return WICK_OK;
}

static bool finish(wick_exchange *x, wick_status st, const wick_err *err)
{
    if (st == WICK_OK)
        wick_x_json(x, 200, json_pack("{s:s}", "status", "ok"));
    else
        wick_problem_err(x, err);
    return true;
}

/* --- models ------------------------------------------------------------------------------------------------------- */
/* Models come from the caches, the folders that are looked through and those of the configuration: whoever administers
 * models shall not read the rest of the disk. A name is looked up in these places. */
static wick_status check_place(const wick_server_config *c, const char *path, wick_err *err)
{
    bool good = wick_discover_covers(&c->discover, path);
    for (uint32_t i = 0; i < c->n_model && !good; i++) good = strcmp(c->model[i].path, path) == 0;
    if (!good && !wick_path_exists(path) && path[0] != '/' && path[0] != '.' && path[0] != '~') good = true;
    if (good) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "path",
                     "models are loaded from the caches and from the folders of server.model_dirs (--model-dir) only");
}

static wick_status add_if_new(wick_exchange *x, const char *name, wick_err *err)
{
    wick_server *s = x->s;
    const char *path, *id, *backend;
    uint32_t ctx = 0;
    bool known;
    WICK_TRY(get_str(x->json, "path", false, &path, err));
    WICK_TRY(get_str(x->json, "backend", false, &backend, err));
    WICK_TRY(get_u32(x->json, "context", &ctx, err));
    wick_lock_take(&s->registry.lock);
    known = wick_registry_find_locked(&s->registry, name) != NULL;
    wick_lock_drop(&s->registry.lock);
    if (known && (backend || ctx || path))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER,
                         path      ? "path"
                         : backend ? "backend"
                                   : "context",
                         "model \"%.100s\" is known already; unload it with forget first", name);
    if (known) return WICK_OK;
    WICK_TRY(check_place(x->s->config, path ? path : name, err));
    wick_model_config m = {.id = name,
                           .path = path ? path : name,
                           .engine = s->config->engine_defaults,
                           .chat_template = s->config->chat_template};
    id = m.id;
    if (!*id || strlen(id) > 200)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "model: must have 1 to 200 characters");
    if (backend) {
        if (strcmp(backend, "auto") != 0 && !wick_backend_known(backend))
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "backend", "backend: must be one of %s", wick_backend_choices);
        m.engine.backend = backend;
    }
    if (ctx) m.engine.n_ctx = ctx;
    return wick_registry_add(&s->registry, &m, true, err);
}

bool wick_route_admin_load(wick_exchange *x)
{
    static const char *const names[] = {"model", "path", "backend", "context", NULL};
    const char *name;
    wick_err err = {0};
    bool pending = false, first = !x->content_type; /* not when it comes back from waiting */
    wick_status st = only(x->json, names, &err);
    if (st == WICK_OK) st = get_str(x->json, "model", true, &name, &err);
    if (st == WICK_OK && first) st = add_if_new(x, name, &err);
    x->content_type = "application/json";
    if (st == WICK_OK) st = wick_registry_load(&x->s->registry, name, &x->job, &pending, &err);
    if (pending) return false;
    return finish(x, st, &err);
}

bool wick_route_admin_unload(wick_exchange *x)
{
    static const char *const names[] = {"model", "forget", NULL};
    const char *name;
    bool forget = false;
    wick_err err = {0};
    wick_status st = only(x->json, names, &err);
    if (st == WICK_OK) st = get_str(x->json, "model", true, &name, &err);
    if (st == WICK_OK)
        st = as_parameter(wick_json_bool(x->json, "forget", false, &forget, "body", &err), "forget", &err);
    if (st == WICK_OK) st = wick_registry_unload(&x->s->registry, name, forget, &err);
    return finish(x, st, &err);
}

bool wick_route_admin_default(wick_exchange *x)
{
    static const char *const names[] = {"model", NULL};
    const char *name;
    wick_err err = {0};
    wick_status st = only(x->json, names, &err);
    if (st == WICK_OK) st = get_str(x->json, "model", true, &name, &err);
    if (st == WICK_OK) st = wick_registry_set_default(&x->s->registry, name, &err);
    return finish(x, st, &err);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */
static wick_status read_limits(const json_t *body, wick_key_config *c, wick_err *err)
{
    int64_t priority;
    WICK_TRY(get_u32(body, "requests_per_minute", &c->requests_per_minute, err));
    WICK_TRY(get_u32(body, "tokens_per_minute", &c->tokens_per_minute, err));
    WICK_TRY(get_u32(body, "concurrent", &c->concurrent, err));
    WICK_TRY(as_parameter(wick_json_i64(body, "priority", -100, 100, 0, &priority, "body", err), "priority", err));
    c->priority = (int32_t)priority;
    return WICK_OK;
}

bool wick_route_admin_keys(wick_exchange *x)
{
    wick_x_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", wick_keys_list(&x->s->keys)));
    return true;
}

bool wick_route_admin_key_add(wick_exchange *x)
{
    static const char *const names[] = {"name",     "scopes", "requests_per_minute", "tokens_per_minute", "concurrent",
                                        "priority", NULL};
    wick_key_config c = {.scopes = WICK_SCOPE_INFER, .kept = x->s->keys.store != NULL};
    char secret[WICK_SECRET_CHARS + 1];
    wick_err err = {0};
    wick_status st = only(x->json, names, &err);
    if (st == WICK_OK) st = get_str(x->json, "name", true, &c.name, &err);
    if (st == WICK_OK && (!*c.name || strlen(c.name) > 100))
        st = WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "name", "name: must have 1 to 100 characters");
    const json_t *scopes = json_object_get(x->json, "scopes");
    if (st == WICK_OK && scopes && !json_is_null(scopes)) st = wick_key_scopes_parse(scopes, &c.scopes, &err);
    if (st == WICK_OK) st = read_limits(x->json, &c, &err);
    if (st == WICK_OK && wick_keys_count(&x->s->keys) == 0)
        st = WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "name",
                       "this server runs without keys: start it with WICK_API_KEY or --api-key-file to use them");
    if (st == WICK_OK) st = wick_key_make_secret(secret, &err);
    if (st != WICK_OK) return finish(x, st, &err);
    wick_key_digest(secret, strlen(secret), c.digest);
    st = wick_keys_add(&x->s->keys, &c, &err);
    if (st == WICK_OK) {
        wick_key *undone;
        st = wick_keys_keep(&x->s->keys, &err);
        if (st != WICK_OK && wick_keys_remove(&x->s->keys, c.name, &undone)) wick_key_unref(&x->s->keys, undone);
    }
    if (st == WICK_OK)
        wick_x_json(x, 200, json_pack("{s:s, s:s}", "name", c.name, "key", secret));
    else
        wick_problem_err(x, &err);
    wick_wipe(secret, sizeof secret);
    return true;
}

static void drop_prefixes(void *ctx, wick_entry *e, bool is_default)
{
    (void)is_default;
    if (e->engine) wick_engine_drop_prefixes(e->engine, *(uint64_t *)ctx);
}

bool wick_route_admin_key_remove(wick_exchange *x)
{
    wick_key *gone;
    wick_err err = {0};
    if (x->key && strcmp(x->key->name, x->path_arg) == 0) {
        wick_problem(x, 400, "name", NULL, "a key cannot remove itself");
    } else if (wick_keys_remove(&x->s->keys, x->path_arg, &gone)) {
        wick_registry_each(&x->s->registry, drop_prefixes, &gone->owner);
        /* The key is not valid any more, whatever fails. */
        wick_status st = wick_response_store_drop(x->s->responses, gone->owner_text, &err);
        if (st == WICK_OK) st = wick_keys_keep(&x->s->keys, &err);
        wick_key_unref(&x->s->keys, gone);
        return finish(x, st, &err);
    } else {
        wick_problem(x, 404, "name", "key_not_found", "there is no key named \"%.100s\"", x->path_arg);
    }
    return true;
}

bool wick_route_admin_key_limits(wick_exchange *x)
{
    static const char *const names[] = {"name", "requests_per_minute", "tokens_per_minute", "concurrent", "priority",
                                        NULL};
    wick_key_config c = {0};
    wick_err err = {0};
    wick_status st = only(x->json, names, &err);
    if (st == WICK_OK) st = get_str(x->json, "name", true, &c.name, &err);
    if (st == WICK_OK) st = read_limits(x->json, &c, &err);
    if (st == WICK_OK && !wick_keys_set_limits(&x->s->keys, c.name, &c)) {
        wick_problem(x, 404, "name", "key_not_found", "there is no key named \"%.100s\"", c.name);
        return true;
    }
    if (st == WICK_OK) st = wick_keys_keep(&x->s->keys, &err);
    return finish(x, st, &err);
}

/* --- caches, drain ------------------------------------------------------------------------------------------------ */
typedef struct clearing {
    wick_registry *g;
    const wick_entry *only;
    bool all;
} clearing;

static void clear_one(void *ctx, wick_entry *e, bool is_default)
{
    const clearing *c = ctx;
    (void)is_default;
    if (e->engine && (c->all || e == c->only)) wick_engine_clear_prefixes(e->engine);
}

bool wick_route_admin_cache_clear(wick_exchange *x)
{
    static const char *const names[] = {"model", NULL};
    const char *name = NULL;
    wick_err err = {0};
    wick_registry *g = &x->s->registry;
    wick_status st = only(x->json, names, &err);
    if (st == WICK_OK) st = get_str(x->json, "model", false, &name, &err);
    if (st == WICK_OK) {
        clearing c = {g, NULL, name == NULL};
        wick_lock_take(&g->lock);
        if (name) c.only = wick_registry_find_locked(g, name);
        wick_lock_drop(&g->lock);
        if (name && !c.only)
            st = WICK_FAIL(&err, WICK_E_MODEL_NOT_FOUND, "model", "model \"%.100s\" is not served here", name);
        else
            wick_registry_each(g, clear_one, &c);
    }
    return finish(x, st, &err);
}

static void warm_answer(wick_gen *g)
{
    wick_buf_puts(&g->x->out, "{\"status\":\"ok\",\"usage\":");
    wick_gen_usage_json(g, &g->x->out);
    wick_buf_puts(&g->x->out, "}\n");
}

static wick_status warm_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    (void)l;
    return p->messages ? WICK_OK : wick_prompt_count(p->prompt, "prompt", 1, n, err);
}

static wick_status warm_prepare(wick_gen *g, wick_err *err)
{
    const wick_engine *e = g->model->engine;
    wick_gen_prompt *q = &g->prompt[0];
    if (!(wick_engine_caps(e) & WICK_CAP_KV_PREFIX_COPY) || !g->model->c.engine.prefix_cache)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "model \"%.100s\" has no prefix cache", g->model->c.id);
    g->base.prompt_only = true;
    if (!g->p.messages) return wick_prompt_item(e, g->p.prompt, 0, "prompt", &q->ids, &q->n, &q->text, &q->n_text, err);
    wick_chat_prompt prompt;
    WICK_TRY(wick_prompt_build(g->model->chat, &g->p, false, &prompt, err));
    q->ids = prompt.ids;
    q->n = prompt.n_ids;
    prompt.ids = NULL;
    wick_chat_prompt_release(&prompt);
    return q->n > 0 ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: the prompt is empty");
}

static const wick_gen_format warm_format = {
    .params = WICK_P_TOKENIZE, .count = warm_count, .prepare = warm_prepare, .answer = warm_answer};

bool wick_route_admin_cache_warm(wick_exchange *x)
{
    return wick_gen_route(x, &warm_format);
}

bool wick_route_admin_drain(wick_exchange *x)
{
    atomic_store(&x->s->drain_asked, true);
    wick_x_json(x, 200, json_pack("{s:s}", "status", "draining"));
    return true;
}
