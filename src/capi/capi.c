/* capi/capi.c - the small calls of the C API: version, errors, information, tokens. Nothing but calls of the engine. */
#include <string.h>
#include "base/alloc.h"
#include "capi/capi_int.h"

static _Thread_local wick_error last_error;

const char *wick_version(void)
{
    return WICK_VERSION;
}

const wick_error *wick_last_error(void)
{
    return &last_error;
}

void wick_buffer_free(void *p)
{
    wick_free(p);
}

wick_status wick_capi_result(wick_status st, const wick_err *err, wick_error *out)
{
    if (st == WICK_OK) return WICK_OK;
    last_error = *err;
    last_error.kind = st;
    if (out) *out = last_error;
    return st;
}

wick_status wick_llm_get_info(wick_llm *llm, wick_llm_info *info, wick_error *error)
{
    wick_err err = {0};
    if (!llm || !info || info->size < sizeof info->size)
        return wick_capi_result(WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "info", "info: NULL, or not initialised"), &err,
                                error);
    const wick_model *m = wick_engine_model(llm->engine);
    wick_engine_stats s;
    size_t size = info->size;
    wick_engine_get_stats(llm->engine, &s);
    wick_llm_info full = {.size = size,
                          .path = m->path,
                          .name = m->name,
                          .architecture = m->plan.arch,
                          .backend = wick_engine_backend_name(llm->engine),
                          .device = wick_engine_device_label(llm->engine),
                          .n_vocab = m->plan.n_vocab,
                          .n_context = wick_engine_ctx(llm->engine),
                          .n_embd = m->plan.n_embd,
                          .n_layers = m->plan.n_layer,
                          .n_params = m->plan.n_params,
                          .weight_bytes = m->plan.weight_bytes,
                          .load_ms = s.load_ms,
                          .has_tokenizer = wick_engine_tokenizer(llm->engine) != NULL,
                          .has_chat_template = wick_chat_usable(llm->chat),
                          .has_embeddings = (wick_engine_caps(llm->engine) & WICK_CAP_EMBEDDINGS) != 0,
                          .kv_bytes = s.kv.bytes,
                          .n_running = s.n_running,
                          .n_waiting = s.n_waiting,
                          .memory_active_bytes = s.backend.active_bytes,
                          .memory_peak_bytes = s.backend.peak_bytes,
                          .memory_cache_bytes = s.backend.cache_bytes};
    memcpy(info, &full, size < sizeof full ? size : sizeof full);
    return WICK_OK;
}

static wick_status tokenizer_of(const wick_llm *llm, const wick_tokenizer **t, wick_err *err)
{
    if (!llm) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "llm", "llm: NULL");
    *t = wick_engine_tokenizer(llm->engine);
    if (!*t) return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, NULL, "this model has no tokenizer");
    return WICK_OK;
}

wick_status wick_llm_tokenize(wick_llm *llm, const char *text, size_t n, bool add_special, int32_t **ids, size_t *n_ids,
                              wick_error *error)
{
    wick_err err = {0};
    const wick_tokenizer *t;
    int32_t *p = NULL;
    size_t count = 0;
    wick_status st = tokenizer_of(llm, &t, &err);
    if (st == WICK_OK)
        st = wick_tokenizer_encode(t, text ? text : "", wick_capi_length(text, n),
                                   add_special ? 0 : WICK_ENC_NO_SPECIAL, &p, &count, &err);
    if (st == WICK_OK && !p) { /* no tokens: still something to free */
        p = wick_alloc(sizeof *p);
        if (!p) st = wick_err_oom(&err, "tokens", sizeof *p, 0);
    }
    if (st == WICK_OK) {
        *ids = p;
        *n_ids = count;
    } else {
        wick_free(p);
    }
    return wick_capi_result(st, &err, error);
}

wick_status wick_llm_detokenize(wick_llm *llm, const int32_t *ids, size_t n_ids, bool skip_special, char **text,
                                size_t *n, wick_error *error)
{
    wick_err err = {0};
    const wick_tokenizer *t;
    wick_buf out = WICK_BUF_INIT;
    wick_status st = tokenizer_of(llm, &t, &err);
    if (st == WICK_OK) st = wick_tokenizer_decode(t, ids, n_ids, skip_special, &out, &err);
    if (st == WICK_OK) {
        size_t n_text = out.n;
        wick_buf_str(&out);
        char *p = wick_buf_take(&out, &n_text);
        if (p) {
            *text = p;
            if (n) *n = n_text;
        } else {
            st = wick_err_oom(&err, "the text", 0, 0);
        }
    }
    wick_buf_release(&out);
    return wick_capi_result(st, &err, error);
}

size_t wick_capi_length(const char *text, size_t n)
{
    if (!text) return 0;
    return n == SIZE_MAX ? strlen(text) : n;
}
