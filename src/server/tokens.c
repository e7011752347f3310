/* server/tokens.c - /tokenize, /detokenize, /apply-template: what the other routes do first, for the client to see. */
#include <string.h>
#include "server/prompt.h"

typedef wick_status (*token_fn)(wick_exchange *x, const wick_entry *model, wick_params *p, wick_err *err);

static bool with_model(wick_exchange *x, unsigned route, token_fn fn)
{
    wick_params p;
    wick_entry *model = NULL;
    wick_err err = {0};
    bool pending = false;
    wick_status st = wick_params_parse(&p, x->json, route, &x->s->config->limits, &err);
    if (st == WICK_OK) st = wick_registry_take(&x->s->registry, p.model, &x->job, &model, &pending, &err);
    if (pending) {
        wick_params_release(&p);
        return false;
    }
    if (st == WICK_OK) st = fn(x, model, &p, &err);
    if (st != WICK_OK) wick_problem_err(x, &err);
    if (model) wick_registry_give(&x->s->registry, model);
    wick_params_release(&p);
    return true;
}

static void write_pieces(const wick_engine *e, const int32_t *ids, size_t n, wick_buf *b)
{
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    wick_buf text = WICK_BUF_INIT;
    wick_buf_puts(b, ",\"pieces\":[");
    for (size_t i = 0; i < n; i++) {
        wick_buf_reset(&text);
        wick_tokenizer_bytes(t, ids[i], &text);
        if (text.failed) b->failed = true;
        wick_buf_printf(b, "%s{\"id\":%d,\"piece\":", i ? "," : "", (int)ids[i]);
        wick_json_write_str(b, text.data ? text.data : "", text.n);
        wick_buf_puts(b, "}");
    }
    wick_buf_puts(b, "]");
    wick_buf_release(&text);
}

static wick_status tokenize(wick_exchange *x, const wick_entry *model, wick_params *p, wick_err *err)
{
    const wick_engine *e = model->engine;
    int32_t *ids = NULL;
    size_t n = 0;
    wick_chat_prompt prompt = {0};
    const char *text = "";
    size_t n_text = 0;
    wick_buf *b = &x->out;
    unsigned flags = (p->add_special ? 0 : WICK_ENC_NO_SPECIAL) | (p->parse_special ? 0 : WICK_ENC_PLAIN_TEXT);
    wick_status st = WICK_OK;
    if (p->messages && p->prompt)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: not together with prompt or content");
    if (p->messages) {
        st = wick_prompt_build(model->chat, p, true, &prompt, err);
        text = wick_buf_str(&prompt.text);
        n_text = prompt.text.n;
    } else if (!json_is_string(p->prompt)) {
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "prompt", "prompt (or content): must be a string");
    } else {
        text = json_string_value(p->prompt);
        n_text = json_string_length(p->prompt);
    }
    if (st == WICK_OK) st = wick_prompt_encode(e, text, n_text, flags, "prompt", &ids, &n, err);
    wick_chat_prompt_release(&prompt);
    WICK_TRY(st);
    wick_buf_reset(b);
    wick_buf_printf(b, "{\"count\":%zu,\"max_model_len\":%u,\"tokens\":[", n, wick_engine_ctx(e));
    for (size_t i = 0; i < n; i++) wick_buf_printf(b, "%s%d", i ? "," : "", (int)ids[i]);
    wick_buf_puts(b, "]");
    if (p->with_pieces) write_pieces(e, ids, n, b);
    wick_buf_puts(b, "}\n");
    wick_free(ids);
    wick_x_text(x, 200, "application/json");
    return WICK_OK;
}

static wick_status detokenize(wick_exchange *x, const wick_entry *model, wick_params *p, wick_err *err)
{
    const wick_engine *e = model->engine;
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    int32_t *ids;
    size_t n;
    wick_buf text = WICK_BUF_INIT, *b = &x->out;
    if (!p->tokens) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tokens", "tokens: is missing");
    if (!t) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "this model has no tokenizer");
    WICK_TRY(wick_prompt_ids(e, p->tokens, "tokens", &ids, &n, err));
    bool skip = json_is_true(json_object_get(x->json, "skip_special_tokens"));
    wick_status st = wick_tokenizer_decode(t, ids, n, skip, &text, err);
    wick_free(ids);
    if (st == WICK_OK) {
        wick_buf_reset(b);
        wick_buf_puts(b, "{\"content\":");
        wick_json_write_str(b, text.data ? text.data : "", text.n);
        wick_buf_puts(b, ",\"prompt\":");
        wick_json_write_str(b, text.data ? text.data : "", text.n);
        wick_buf_puts(b, "}\n");
        wick_x_text(x, 200, "application/json");
    }
    wick_buf_release(&text);
    return st;
}

static wick_status apply_template(wick_exchange *x, const wick_entry *model, wick_params *p, wick_err *err)
{
    wick_chat_prompt prompt;
    wick_buf *b = &x->out;
    WICK_TRY(wick_prompt_build(model->chat, p, true, &prompt, err));
    wick_buf_reset(b);
    wick_buf_puts(b, "{\"prompt\":");
    wick_json_write_str(b, wick_buf_str(&prompt.text), prompt.text.n);
    wick_buf_puts(b, "}\n");
    wick_x_text(x, 200, "application/json");
    wick_chat_prompt_release(&prompt);
    return WICK_OK;
}

bool wick_route_tokenize(wick_exchange *x)
{
    return with_model(x, WICK_P_TOKENIZE, tokenize);
}

bool wick_route_detokenize(wick_exchange *x)
{
    return with_model(x, WICK_P_DETOKENIZE, detokenize);
}

bool wick_route_apply_template(wick_exchange *x)
{
    return with_model(x, WICK_P_TEMPLATE, apply_template);
}
