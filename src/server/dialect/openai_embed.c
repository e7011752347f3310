/* server/dialect/openai_embed.c - /v1/embeddings: pooled hidden states of any loaded model, as numbers or base64. */
#include <nettle/base64.h>
#include <string.h>
#include "engine/embed.h"
#include "server/dialect/llamacpp.h"
#include "server/prompt.h"

static void write_floats(const float *v, uint32_t n, wick_buf *b)
{
    wick_buf_putc(b, '[');
    for (uint32_t i = 0; i < n; i++) {
        if (i) wick_buf_putc(b, ',');
        wick_json_write_float(b, (double)v[i]);
    }
    wick_buf_putc(b, ']');
}

/* Little-endian float32, as OpenAI's clients expect. */
static void write_base64(const float *v, uint32_t n, wick_buf *b)
{
    struct base64_encode_ctx c;
    char text[16];
    base64_encode_init(&c);
    wick_buf_putc(b, '"');
    for (uint32_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &v[i], sizeof u);
        const uint8_t bytes[4] = {(uint8_t)u, (uint8_t)(u >> 8), (uint8_t)(u >> 16), (uint8_t)(u >> 24)};
        wick_buf_add(b, text, base64_encode_update(&c, text, sizeof bytes, bytes));
    }
    wick_buf_add(b, text, base64_encode_final(&c, text));
    wick_buf_putc(b, '"');
}

static void embed_token(wick_choice *c, const wick_event *ev)
{
    const wick_params *p = &c->g->p;
    if (ev->kind != WICK_EVENT_LOGITS) return;
    float *v = wick_alloc(ev->width * sizeof *v);
    if (!v) {
        c->text.failed = true;
        return;
    }
    memcpy(v, ev->data, ev->width * sizeof *v);
    const uint32_t n = wick_embed_finish(v, ev->width, p->dimensions, p->normalize);
    (p->base64 ? write_base64 : write_floats)(v, n, &c->text);
    wick_free(v);
}

/* llama.cpp's own form: a list, with a list of vectors for each input. */
static void list_answer(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    for (uint32_t i = 0; i < g->n; i++) {
        const wick_choice *c = &g->choice[i];
        wick_buf_printf(b, "%s{\"index\":%u,\"embedding\":[", i ? "," : "[", i);
        wick_buf_add(b, c->text.data ? c->text.data : "null", c->text.data ? c->text.n : 4);
        wick_buf_puts(b, "]}");
    }
    wick_buf_puts(b, "]\n");
}

static void embed_answer(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    unsigned long long n = 0;
    if (g->x->dialect == &wick_dialect_llamacpp) {
        list_answer(g);
        return;
    }
    wick_buf_puts(b, "{\"object\":\"list\",\"data\":[");
    for (uint32_t i = 0; i < g->n; i++) {
        const wick_choice *c = &g->choice[i];
        wick_buf_printf(b, "%s{\"object\":\"embedding\",\"index\":%u,\"embedding\":", i ? "," : "", i);
        wick_buf_add(b, c->text.data ? c->text.data : "null", c->text.data ? c->text.n : 4);
        wick_buf_putc(b, '}');
        n += c->usage.n_prompt;
    }
    wick_buf_puts(b, "],\"model\":");
    wick_json_write_str(b, g->model->c.id, strlen(g->model->c.id));
    wick_buf_printf(b, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}\n", n, n);
}

static wick_status embed_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    return wick_llama_prompt_count(p->input, "input", l->prompts, n, err);
}

/* Texts as the model's files want them; lists of ids as they are. */
static wick_status embed_prepare(wick_gen *g, wick_err *err)
{
    const wick_embed_how how = {.name = g->p.prompt_name, .truncate = g->p.truncate};
    for (uint32_t i = 0; i < g->n_prompt; i++) {
        wick_gen_prompt *q = &g->prompt[i];
        const json_t *v = wick_llama_prompt_at(g->p.input, i);
        if (json_is_string(v) && json_string_length(v) == 0)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "input", "input: an empty string has no embedding");
        if (json_is_string(v))
            WICK_TRY(wick_embed_encode(g->model->engine, (wick_str){json_string_value(v), json_string_length(v)}, &how,
                                       &q->ids, &q->n, err));
        else
            WICK_TRY(wick_llama_prompt_item(g->model->engine, v, "input", 0, &q->ids, &q->n, err));
    }
    g->base.kind = WICK_REQ_EMBED;
    g->base.pooling = g->p.pooling;
    return WICK_OK;
}

static const wick_gen_format embed_format = {.params = WICK_P_EMBED,
                                             .count = embed_count,
                                             .prepare = embed_prepare,
                                             .token = embed_token,
                                             .answer = embed_answer};

bool wick_route_embeddings(wick_exchange *x)
{
    return wick_gen_route(x, &embed_format);
}
