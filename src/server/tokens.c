/* server/tokens.c - tokenize, detokenize and apply-template: what the other routes do first, for the client to see. */
#include <string.h>
#include "base/str.h"
#include "server/dialect/anthropic.h"
#include "server/dialect/llamacpp.h"
#include "server/dialect/responses.h"
#include "server/prompt.h"

typedef wick_status (*token_fn)(wick_exchange *x, const wick_entry *model, wick_params *p, wick_err *err);

static bool with_model(wick_exchange *x, unsigned route, token_fn fn)
{
    wick_params p;
    wick_entry *model = NULL;
    wick_err err = {0};
    bool pending = false;
    wick_status st = wick_params_parse_with(&p, x->s->config->defaults, x->json, route, &x->s->config->limits, &err);
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

/* As llama.cpp has it: a piece that is no whole character is a list of its bytes. */
static void write_pieces(const wick_engine *e, const int32_t *ids, size_t n, wick_buf *b)
{
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    wick_buf text = WICK_BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        wick_buf_reset(&text);
        wick_tokenizer_bytes(t, ids[i], &text);
        if (text.failed) b->failed = true;
        wick_buf_printf(b, "%s{\"id\":%d,\"piece\":", i ? "," : "", (int)ids[i]);
        if (text.n == 0 || wick_utf8_valid(text.data, text.n)) {
            wick_json_write_str(b, wick_buf_str(&text), text.n);
        } else {
            for (size_t k = 0; k < text.n; k++) wick_buf_printf(b, "%c%u", k ? ',' : '[', (unsigned char)text.data[k]);
            wick_buf_putc(b, ']');
        }
        wick_buf_puts(b, "}");
    }
    wick_buf_release(&text);
}

static wick_status responses_messages(const wick_exchange *x, wick_params *p, wick_err *err)
{
    json_t *input = NULL;
    if (!p->input) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "input", "input: is missing");
    WICK_TRY(wick_responses_messages(x, p, &input, err));
    json_decref(input);
    return WICK_OK;
}

static wick_status count_tokens(wick_exchange *x, const wick_entry *model, wick_params *p, wick_err *err)
{
    wick_chat_prompt prompt;
    if (p->route == WICK_P_ANTHROPIC_COUNT) WICK_TRY(wick_anthropic_messages(p, &x->s->config->limits, err));
    if (p->route == WICK_P_RESPONSES) WICK_TRY(responses_messages(x, p, err));
    WICK_TRY(wick_prompt_build(model->chat, p, false, &prompt, err));
    wick_buf_reset(&x->out);
    if (p->route == WICK_P_ANTHROPIC_COUNT)
        wick_buf_printf(&x->out, "{\"input_tokens\":%zu}\n", prompt.n_ids);
    else
        wick_buf_printf(&x->out, "{\"object\":\"response.input_tokens\",\"input_tokens\":%zu}\n", prompt.n_ids);
    wick_x_text(x, 200, "application/json");
    wick_chat_prompt_release(&prompt);
    return WICK_OK;
}

static wick_status tokenize(wick_exchange *x, const wick_entry *model, wick_params *p, wick_err *err)
{
    const wick_engine *e = model->engine;
    int32_t *ids = NULL;
    size_t n = 0;
    wick_chat_prompt prompt = {0};
    wick_buf *b = &x->out;
    unsigned flags = (p->add_special ? 0 : WICK_ENC_NO_SPECIAL) | (p->parse_special ? 0 : WICK_ENC_PLAIN_TEXT);
    wick_status st = WICK_OK;
    if (p->messages && p->prompt)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: not together with prompt or content");
    if (p->messages) {
        st = wick_prompt_build(model->chat, p, true, &prompt, err);
        if (st == WICK_OK)
            st = wick_prompt_encode(e, wick_buf_str(&prompt.text), prompt.text.n, flags, "prompt", &ids, &n, err);
    } else if (json_is_string(p->prompt)) {
        st = wick_prompt_encode(e, json_string_value(p->prompt), json_string_length(p->prompt), flags, "prompt", &ids,
                                &n, err);
    } else if (json_is_array(p->prompt)) {
        st = wick_llama_prompt_item(e, p->prompt, "content", flags, &ids, &n, err);
    } else {
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "prompt",
                       "prompt (or content): must be a string, or a list of texts and ids");
    }
    wick_chat_prompt_release(&prompt);
    WICK_TRY(st);
    wick_buf_reset(b);
    wick_buf_printf(b, "{\"count\":%zu,\"max_model_len\":%u,\"tokens\":[", n, wick_engine_ctx(e));
    if (p->with_pieces) write_pieces(e, ids, n, b);
    for (size_t i = 0; i < n && !p->with_pieces; i++) wick_buf_printf(b, "%s%d", i ? "," : "", (int)ids[i]);
    wick_buf_puts(b, "]");
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
    if (x->dialect == &wick_dialect_llamacpp) WICK_TRY(wick_llama_messages(p, err));
    WICK_TRY(wick_prompt_build(model->chat, p, true, &prompt, err));
    wick_buf_reset(b);
    wick_buf_puts(b, "{\"prompt\":");
    wick_json_write_str(b, wick_buf_str(&prompt.text), prompt.text.n);
    wick_buf_puts(b, "}\n");
    wick_x_text(x, 200, "application/json");
    wick_chat_prompt_release(&prompt);
    return WICK_OK;
}

bool wick_route_count_tokens(wick_exchange *x)
{
    return with_model(x, WICK_P_CHAT, count_tokens);
}

bool wick_route_response_count(wick_exchange *x)
{
    return with_model(x, WICK_P_RESPONSES, count_tokens);
}

bool wick_route_anthropic_count(wick_exchange *x)
{
    return with_model(x, WICK_P_ANTHROPIC_COUNT, count_tokens);
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
