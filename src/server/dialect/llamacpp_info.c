/* server/dialect/llamacpp_info.c - llama.cpp's other routes: properties, slots, adapters. */
#include <string.h>
#include "base/json.h"
#include "server/dialect/llamacpp.h"
#include "server/prompt.h"

/* --- what there is ------------------------------------------------------------------------------------------------ */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static json_t *token_text(const wick_engine *e, int32_t id)
{
    wick_buf b = WICK_BUF_INIT;
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    if (t && id >= 0 && (uint32_t)id < wick_tokenizer_size(t)) wick_tokenizer_bytes(t, id, &b);
    json_t *s = b.failed ? NULL : json_stringn(wick_buf_str(&b), b.n);
    wick_buf_release(&b);
    return s;
}

static uint32_t n_slots(const wick_entry *m)
{
    return m->c.engine.max_seqs ? m->c.engine.max_seqs : WICK_DEFAULT_SEQS;
}

/* What the server was started with goes over what the model says. */
static json_t *settings(const wick_engine *e, const json_t *defaults)
{
    wick_sampling s;
    wick_sampling_from_model(&s, e);
    json_t *o =
        json_pack("{s:I, s:f, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "seed", (json_int_t)4294967295,
                  "temperature", (double)s.temperature, "top_k", (json_int_t)s.top_k, "top_p", (double)s.top_p, "min_p",
                  (double)s.min_p, "typical_p", (double)s.typical_p, "repeat_penalty", (double)s.repetition_penalty,
                  "presence_penalty", (double)s.presence_penalty, "frequency_penalty", (double)s.frequency_penalty,
                  "n_predict", (json_int_t)-1, "max_tokens", (json_int_t)-1);
    if (o && defaults) json_object_update(o, (json_t *)(uintptr_t)defaults);
    return o;
}

/* Of the model that a request without a name gets. NULL: out of memory. */
static json_t *props(const wick_entry *m, const json_t *defaults)
{
    const wick_engine *e = m->engine;
    const json_int_t n_ctx = e ? (json_int_t)wick_engine_ctx(e) : 0;
    const wick_chat_template *t = m->chat ? wick_chat_get_template(m->chat) : NULL;
    json_t *o = json_pack("{s:I, s:s, s:s, s:{s:b, s:b}, s:s, s:s, s:b}", "total_slots", (json_int_t)n_slots(m),
                          "model_alias", m->c.id, "model_path", base_name(m->c.path), "modalities", "vision", 0,
                          "audio", 0, "build_info", "wick-" WICK_VERSION, "chat_template",
                          t ? wick_chat_template_source(t) : "", "is_sleeping", e == NULL);
    if (!o || !e) return o;
    const wick_tokenizer *tok = wick_engine_tokenizer(e);
    json_t *d = json_pack("{s:i, s:i, s:I, s:b, s:b, s:o}", "id", 0, "id_task", -1, "n_ctx", n_ctx, "speculative", 0,
                          "is_processing", 0, "params", settings(e, defaults));
    json_object_set_new(o, "default_generation_settings", d);
    const int32_t eos = wick_engine_model(e)->n_eos ? wick_engine_model(e)->eos[0] : -1;
    if (!tok || (json_object_set_new(o, "bos_token", token_text(e, wick_tokenizer_bos(tok))) == 0 &&
                 json_object_set_new(o, "eos_token", token_text(e, eos)) == 0))
        return o;
    json_decref(o);
    return NULL;
}

bool wick_route_llama_props(wick_exchange *x)
{
    wick_registry *g = &x->s->registry;
    wick_lock_take(&g->lock);
    json_t *o = g->def ? props(g->def, x->s->config->defaults) : json_object();
    wick_lock_drop(&g->lock);
    wick_x_json(x, 200, o);
    return true;
}

bool wick_route_llama_slots(wick_exchange *x)
{
    wick_registry *g = &x->s->registry;
    json_t *list = json_array();
    wick_lock_take(&g->lock);
    const wick_entry *m = g->def;
    wick_engine_stats s = {0};
    if (m && m->engine) wick_engine_get_stats(m->engine, &s);
    for (uint32_t i = 0; m && list && i < n_slots(m); i++) {
        json_t *slot = json_pack("{s:i, s:I, s:b, s:b, s:[{s:i, s:i}]}", "id", (int)i, "n_ctx",
                                 (json_int_t)(m->engine ? wick_engine_ctx(m->engine) : 0), "speculative", 0,
                                 "is_processing", i < s.n_running, "next_token", "n_remain", -1, "n_decoded", 0);
        json_array_append_new(list, slot);
    }
    wick_lock_drop(&g->lock);
    wick_x_json(x, 200, list);
    return true;
}

bool wick_route_llama_adapters(wick_exchange *x)
{
    wick_x_json(x, 200, json_array());
    return true;
}
