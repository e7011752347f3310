/* server/dialect/ollama_info.c - Ollama's lists: which models there are, which are loaded, what one of them is. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "server/dialect/ollama.h"

/* The version of Ollama's API that is answered here: clients compare it. */
#define API_VERSION "0.6.3"

static void hex_digest(const char *text, char out[65])
{
    uint8_t digest[32];
    wick_key_digest(text, strlen(text), digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void time_text(int64_t unix_s, char out[40])
{
    const time_t t = (time_t)unix_s;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void size_text(uint64_t n, char out[32])
{
    if (n >= 1000000000)
        snprintf(out, 32, "%.1fB", (double)n / 1e9);
    else
        snprintf(out, 32, "%.0fM", (double)n / 1e6);
}

/* What the files say; a model that is not loaded has not been looked into. */
static json_t *details(const wick_entry *e)
{
    const wick_model *m = e->engine ? wick_engine_model(e->engine) : NULL;
    const char *family = m && m->config.model_type ? m->config.model_type : "";
    char size[32] = "";
    const char *dot = strrchr(e->c.path, '.');
    if (m) size_text(m->plan.n_params, size);
    return json_pack("{s:s, s:s, s:s, s:[s], s:s, s:s}", "parent_model", "", "format",
                     dot && strcmp(dot, ".gguf") == 0 ? "gguf" : "safetensors", "family", family, "families", family,
                     "parameter_size", size, "quantization_level", "");
}

static json_t *model_json(const wick_entry *e, bool running)
{
    char digest[65], when[40], until[40];
    hex_digest(e->c.id, digest);
    time_text(e->created_unix_s, when);
    time_text((int64_t)time(NULL) + 86400 * 365, until); /* as long as the server likes */
    json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:o}", "name", e->c.id, "model", e->c.id, "size", (json_int_t)e->bytes,
                          "digest", digest, "details", details(e));
    if (!o) return NULL;
    if (running) {
        json_object_set_new(o, "expires_at", json_string(until));
        json_object_set_new(o, "size_vram", json_integer(0));
        json_object_set_new(o, "context_length", json_integer((json_int_t)wick_engine_ctx(e->engine)));
    } else {
        json_object_set_new(o, "modified_at", json_string(when));
    }
    return o;
}

static void add_tag(void *ctx, wick_entry *e, bool is_default)
{
    (void)is_default;
    json_array_append_new(ctx, model_json(e, false));
}

static void add_running(void *ctx, wick_entry *e, bool is_default)
{
    (void)is_default;
    if (e->state == WICK_ENTRY_READY && e->engine) json_array_append_new(ctx, model_json(e, true));
}

static bool answer_list(wick_exchange *x, void (*fn)(void *ctx, wick_entry *e, bool is_default))
{
    json_t *list = json_array();
    if (list) wick_registry_each(&x->s->registry, fn, list);
    wick_x_json(x, 200, json_pack("{s:o}", "models", list));
    return true;
}

bool wick_route_ollama_tags(wick_exchange *x)
{
    return answer_list(x, add_tag);
}

bool wick_route_ollama_ps(wick_exchange *x)
{
    return answer_list(x, add_running);
}

bool wick_route_ollama_version(wick_exchange *x)
{
    wick_x_json(x, 200, json_pack("{s:s}", "version", API_VERSION));
    return true;
}

static json_t *capabilities(const wick_entry *e)
{
    json_t *list = json_pack("[s]", "completion");
    if (!list) return NULL;
    if (wick_chat_takes_tools(e->chat)) json_array_append_new(list, json_string("tools"));
    if (wick_chat_get_format(e->chat)->think) json_array_append_new(list, json_string("thinking"));
    if (wick_engine_caps(e->engine) & WICK_CAP_EMBEDDINGS) json_array_append_new(list, json_string("embedding"));
    return list;
}

static json_t *show_json(const wick_entry *e)
{
    const wick_model *m = wick_engine_model(e->engine);
    const wick_chat_template *t = wick_chat_get_template(e->chat);
    const char *family = m->config.model_type ? m->config.model_type : "model";
    char when[40], key[160];
    json_t *info = json_pack("{s:s, s:I}", "general.architecture", family, "general.parameter_count",
                             (json_int_t)m->plan.n_params);
    time_text(e->created_unix_s, when);
    if (info) {
        snprintf(key, sizeof key, "%.120s.context_length", family);
        json_object_set_new(info, key, json_integer((json_int_t)wick_engine_ctx(e->engine)));
        snprintf(key, sizeof key, "%.120s.embedding_length", family);
        json_object_set_new(info, key, json_integer((json_int_t)m->plan.n_embd));
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:s}", "modelfile", "", "parameters", "", "template",
                     t ? wick_chat_template_source(t) : "", "details", details(e), "model_info", info, "capabilities",
                     capabilities(e), "modified_at", when);
}

bool wick_route_ollama_show(wick_exchange *x)
{
    const json_t *name = json_object_get(x->json, "model");
    const char *key;
    json_t *v;
    wick_entry *e = NULL;
    wick_err err = {0};
    bool pending = false;
    if (!name) name = json_object_get(x->json, "name");
    json_object_foreach(x->json, key, v)
    {
        if (strcmp(key, "model") == 0 || strcmp(key, "name") == 0 || strcmp(key, "verbose") == 0) continue;
        wick_problem(x, 400, key, NULL, "unknown parameter \"%.80s\"; there are model and verbose", key);
        return true;
    }
    if (!json_is_string(name)) {
        wick_problem(x, 400, "model", NULL, "model: must be a string");
        return true;
    }
    const wick_status st = wick_registry_take(&x->s->registry, json_string_value(name), &x->job, &e, &pending, &err);
    if (pending) return false;
    if (st != WICK_OK) {
        wick_problem_err(x, &err);
        return true;
    }
    wick_x_json(x, 200, show_json(e));
    wick_registry_give(&x->s->registry, e);
    return true;
}
