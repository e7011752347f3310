/* capi/builder.c - wick_model_builder: options by setters, then a loaded model. */
#include <stdatomic.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "capi/capi_int.h"
#include "hub/discover.h"
#include "model/recipe.h"

struct wick_model_builder {
    char *path, *backend, *device, *isq, *cache_dir, *kv_dir, *chat_template, *home, *mcp;
    wick_toolset *tools; /* NULL: none were added */
    wick_engine_opts opts;
    wick_log_callback log;
    void *log_user;
    int log_level;
    wick_cancel cancel;
    wick_err failed; /* the first thing that a setter could not do */
};

wick_model_builder *wick_model_builder_new(const char *path_or_id)
{
    wick_model_builder *b = wick_alloc_zero(1, sizeof *b);
    if (!b) return NULL;
    wick_engine_opts_init(&b->opts);
    b->path = wick_strdup(path_or_id ? path_or_id : "");
    if (!b->path) {
        wick_free(b);
        return NULL;
    }
    return b;
}

void wick_model_builder_free(wick_model_builder *b)
{
    if (!b) return;
    wick_free(b->path);
    wick_free(b->backend);
    wick_free(b->device);
    wick_free(b->isq);
    wick_free(b->cache_dir);
    wick_free(b->kv_dir);
    wick_free(b->chat_template);
    wick_free(b->home);
    wick_free(b->mcp);
    wick_toolset_free(b->tools);
    wick_free(b);
}

/* Remembers a setter's failure for build. */
static wick_status note(wick_model_builder *b, wick_status st, const wick_err *err)
{
    if (st != WICK_OK && b->failed.kind == WICK_OK) b->failed = *err;
    return wick_capi_result(st, err, NULL);
}

static wick_status set_string(wick_model_builder *b, char **field, const char *value)
{
    wick_err err = {0};
    char *copy = value ? wick_strdup(value) : NULL;
    if (value && !copy) return note(b, wick_err_oom(&err, "an option", strlen(value), 0), &err);
    wick_free(*field);
    *field = copy;
    return WICK_OK;
}

/* value must be one of a NULL-terminated list; *index: which. */
static wick_status one_of(wick_model_builder *b, const char *name, const char *value, const char *const *list,
                          unsigned *index)
{
    wick_err err = {0};
    wick_buf known = WICK_BUF_INIT;
    for (unsigned i = 0; list[i]; i++) {
        if (value && strcmp(value, list[i]) == 0) {
            *index = i;
            wick_buf_release(&known);
            return WICK_OK;
        }
        wick_buf_printf(&known, "%s%s", i ? ", " : "", list[i]);
    }
    wick_status st = WICK_FAIL(&err, WICK_E_BAD_PARAMETER, name, "%s: %s is none of %s", name, value ? value : "NULL",
                               wick_buf_str(&known));
    wick_buf_release(&known);
    return note(b, st, &err);
}

wick_status wick_model_builder_set_backend(wick_model_builder *b, const char *name)
{
    return set_string(b, &b->backend, name);
}

wick_status wick_model_builder_set_device(wick_model_builder *b, const char *name)
{
    static const char *const known[] = {"auto", "cpu", "gpu", NULL};
    unsigned i;
    WICK_TRY(one_of(b, "device", name, known, &i));
    return set_string(b, &b->device, name);
}

wick_status wick_model_builder_set_threads(wick_model_builder *b, uint32_t n)
{
    wick_err err = {0};
    if (n > 1024)
        return note(b, WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "threads", "threads: %u, at most 1024", n), &err);
    b->opts.device.n_threads = n;
    return WICK_OK;
}

wick_status wick_model_builder_set_precision(wick_model_builder *b, const char *name)
{
    static const char *const known[] = {"fast", "fine", "exact", NULL};
    static const wick_precision value[] = {WICK_PRECISION_FAST, WICK_PRECISION_FINE, WICK_PRECISION_EXACT};
    unsigned i;
    WICK_TRY(one_of(b, "precision", name, known, &i));
    b->opts.device.precision = value[i];
    b->opts.device.kv_dtype = value[i] == WICK_PRECISION_EXACT ? WICK_DTYPE_F32 : WICK_DTYPE_F16;
    return WICK_OK;
}

wick_status wick_model_builder_set_isq(wick_model_builder *b, const char *type)
{
    wick_recipe ignored;
    wick_err err = {0};
    if (type && wick_recipe_parse(&ignored, type, "isq", &err) != WICK_OK) return note(b, err.kind, &err);
    return set_string(b, &b->isq, type);
}

void wick_model_builder_cancel(wick_model_builder *b)
{
    atomic_store(&b->cancel, true);
}

wick_status wick_model_builder_set_context(wick_model_builder *b, uint32_t n_tokens)
{
    b->opts.n_ctx = n_tokens;
    return WICK_OK;
}

wick_status wick_model_builder_set_concurrency(wick_model_builder *b, uint32_t n_together, uint32_t n_waiting)
{
    b->opts.max_seqs = n_together; /* 0 and too many are the engine's to judge */
    b->opts.max_queue = n_waiting;
    return WICK_OK;
}

wick_status wick_model_builder_set_memory_limit(wick_model_builder *b, uint64_t n_bytes)
{
    b->opts.device.memory_limit_bytes = n_bytes;
    return WICK_OK;
}

wick_status wick_model_builder_set_prefix_cache(wick_model_builder *b, bool on)
{
    b->opts.prefix_cache = on;
    return WICK_OK;
}

wick_status wick_model_builder_set_kv_dir(wick_model_builder *b, const char *dir, uint64_t limit_bytes)
{
    b->opts.kv_disk_bytes = limit_bytes;
    return set_string(b, &b->kv_dir, dir);
}

wick_status wick_model_builder_set_drafts(wick_model_builder *b, bool on)
{
    b->opts.no_drafts = !on;
    return WICK_OK;
}

wick_status wick_model_builder_set_cache_dir(wick_model_builder *b, const char *dir)
{
    return set_string(b, &b->cache_dir, dir);
}

wick_status wick_model_builder_set_chat_template(wick_model_builder *b, const char *text_or_path)
{
    return set_string(b, &b->chat_template, text_or_path);
}

wick_status wick_model_builder_set_home(wick_model_builder *b, const char *dir)
{
    return set_string(b, &b->home, dir);
}

wick_status wick_model_builder_add_tool(wick_model_builder *b, const char *name, const char *description,
                                        const char *schema_json, wick_tool_function fn, void *user)
{
    wick_err err = {0};
    return note(b, wick_capi_tool_add(&b->tools, name, description, schema_json, fn, user, &err), &err);
}

wick_status wick_model_builder_set_mcp(wick_model_builder *b, const char *json_or_path)
{
    return set_string(b, &b->mcp, json_or_path);
}

wick_status wick_model_builder_set_log(wick_model_builder *b, wick_log_callback fn, void *user, int max_level)
{
    wick_err err = {0};
    if (max_level < WICK_LOG_ERROR || max_level > WICK_LOG_DEBUG)
        return note(b, WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "log", "log: level %d is not from 0 to 3", max_level),
                    &err);
    b->log = fn;
    b->log_user = user;
    b->log_level = max_level;
    return WICK_OK;
}

wick_status wick_model_builder_set_progress(wick_model_builder *b, wick_progress_callback fn, void *user)
{
    b->opts.progress = (wick_progress){.fn = fn, .ctx = user};
    return WICK_OK;
}

/* base's sink passes an enum, the public one an int. The sink outlives every model, so its pairs of function and user
 * pointer are never freed; the same pair is made once. */
typedef struct log_sink {
    wick_log_callback fn;
    void *user;
    struct log_sink *next;
} log_sink;

static _Atomic(log_sink *) log_sinks;

static void forward_log(void *ctx, wick_log_level level, const char *line)
{
    const log_sink *s = ctx;
    s->fn(s->user, (int)level, line);
}

static wick_status install_log(const wick_model_builder *b, wick_err *err)
{
    log_sink *s = atomic_load(&log_sinks);
    if (!b->log) return WICK_OK;
    while (s && (s->fn != b->log || s->user != b->log_user)) s = s->next;
    if (!s) {
        s = wick_alloc(sizeof *s);
        if (!s) return wick_err_oom(err, "the log", sizeof *s, 0);
        *s = (log_sink){b->log, b->log_user, atomic_load(&log_sinks)};
        while (!atomic_compare_exchange_weak(&log_sinks, &s->next, s)) {
        }
    }
    wick_log_set(forward_log, s, (wick_log_level)b->log_level);
    return WICK_OK;
}

static wick_status open_path(wick_model_builder *b, wick_engine **engine, wick_err *err)
{
    wick_engine_opts o = b->opts;
    static const char *const installed[] = {WICK_MODELS_DIR};
    wick_discover_opts where = {.home = b->home, .installed = installed, .n_installed = 1};
    char *path = NULL;
    if (b->failed.kind != WICK_OK) {
        *err = b->failed;
        return b->failed.kind;
    }
    o.backend = b->backend ? b->backend : "auto";
    o.device.device = b->device ? b->device : "auto";
    o.device.cache_dir = b->cache_dir;
    o.kv_dir = b->kv_dir;
    o.isq = b->isq;
    o.progress.cancel = &b->cancel;
    WICK_TRY(wick_resolve_model(&path, b->path, &where, err));
    wick_status st = wick_engine_open(engine, path, &o, err);
    wick_free(path);
    return st;
}

wick_status wick_model_builder_build(wick_model_builder *b, wick_llm **out, wick_error *error)
{
    wick_err err = {0};
    if (!b || !out)
        return wick_capi_result(WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "builder", "builder: NULL"), &err, error);
    wick_llm *llm = wick_alloc_zero(1, sizeof *llm);
    wick_status st = llm ? install_log(b, &err) : wick_err_oom(&err, "the model", sizeof *llm, 0);
    if (st == WICK_OK) st = wick_capi_tools_open(llm, b->tools, b->mcp, &err); /* fails sooner than a model loads */
    if (st == WICK_OK) st = open_path(b, &llm->engine, &err);
    if (st == WICK_OK) st = wick_chat_open(&llm->chat, llm->engine, b->chat_template, &err);
    if (st == WICK_OK)
        *out = llm;
    else
        wick_llm_close(llm);
    return wick_capi_result(st, &err, error);
}

void wick_llm_close(wick_llm *llm)
{
    if (!llm) return;
    wick_capi_tools_close(llm);
    wick_chat_close(llm->chat);
    wick_engine_close(llm->engine);
    wick_free(llm);
}
