/* server/dialect/openai_text.c - /v1/completions: raw text in, text_completion out; echo and log probabilities of the
 * prompt. */
#include <string.h>
#include "base/str.h"
#include "server/gen.h"
#include "server/prompt.h"

/* A token's text as OpenAI writes it here: "bytes:\xe2\x96" where it is no UTF-8 by itself. */
static void token_name(const wick_gen *g, int32_t id, wick_buf *out)
{
    wick_buf text = WICK_BUF_INIT, name = WICK_BUF_INIT;
    wick_gen_token_text(g, id, &text);
    if (text.n == 0 || wick_utf8_valid(text.data, text.n)) {
        wick_json_write_str(out, text.data ? text.data : "", text.n);
    } else {
        wick_buf_puts(&name, "bytes:");
        for (size_t i = 0; i < text.n; i++) wick_buf_printf(&name, "\\x%02x", (unsigned char)text.data[i]);
        wick_json_write_str(out, name.data, name.n);
    }
    if (text.failed || name.failed) out->failed = true;
    wick_buf_release(&name);
    wick_buf_release(&text);
}

static uint64_t n_chars(const wick_gen *g, int32_t id, wick_buf *list)
{
    wick_buf text = WICK_BUF_INIT;
    uint64_t n = 0;
    const wick_tokenizer *t = wick_engine_tokenizer(g->model->engine);
    if (t && wick_tokenizer_type(t, id) == WICK_TOKEN_CONTROL && !g->p.show_special) return 0; /* not in the text */
    wick_gen_token_text(g, id, &text);
    for (size_t i = 0; i < text.n; i++) n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    if (text.failed) list->failed = true;
    wick_buf_release(&text);
    return n;
}

static void comma(wick_buf *b)
{
    if (b->n > 0) wick_buf_putc(b, ',');
}

/* One more row of the four lists. logprob NULL: the first token of an echoed prompt has none. */
static void add_row(wick_choice *c, int32_t id, const float *logprob, const wick_logprob *top, uint32_t n_top)
{
    const wick_gen *g = c->g;
    comma(&c->lp_tokens);
    comma(&c->lp_values);
    comma(&c->lp_top);
    comma(&c->lp_offset);
    token_name(g, id, &c->lp_tokens);
    wick_buf_printf(&c->lp_offset, "%llu", (unsigned long long)c->text_offset);
    c->text_offset += n_chars(g, id, &c->lp_offset);
    if (!logprob) {
        wick_buf_puts(&c->lp_values, "null");
        wick_buf_puts(&c->lp_top, "null");
        return;
    }
    wick_json_write_float(&c->lp_values, (double)*logprob);
    wick_buf_putc(&c->lp_top, '{');
    for (uint32_t i = 0; i < n_top; i++) {
        if (i) wick_buf_putc(&c->lp_top, ',');
        token_name(g, top[i].id, &c->lp_top);
        wick_buf_putc(&c->lp_top, ':');
        wick_json_write_float(&c->lp_top, (double)top[i].logprob);
    }
    wick_buf_putc(&c->lp_top, '}');
}

static void write_logprobs(wick_choice *c, wick_buf *b)
{
    wick_buf *const list[] = {&c->lp_tokens, &c->lp_values, &c->lp_top, &c->lp_offset};
    static const char *const name[] = {"tokens", "token_logprobs", "top_logprobs", "text_offset"};
    if (!c->g->p.logprobs) {
        wick_buf_puts(b, "null");
        return;
    }
    for (int i = 0; i < 4; i++) {
        wick_buf_printf(b, "%s\"%s\":[", i ? "," : "{", name[i]);
        wick_buf_add(b, list[i]->data ? list[i]->data : "", list[i]->n);
        wick_buf_putc(b, ']');
    }
    wick_buf_putc(b, '}');
}

static void make_head(const wick_gen *g, wick_buf *b)
{
    wick_buf_printf(b, "{\"id\":\"cmpl-%s\",\"object\":\"text_completion\",\"created\":%lld,\"model\":", g->x->id,
                    (long long)g->created);
    wick_json_write_str(b, g->model->c.id, strlen(g->model->c.id));
    wick_buf_printf(b, ",\"system_fingerprint\":\"%s\",\"choices\":[", g->fingerprint);
}

static void head(wick_gen *g, wick_buf *b)
{
    if (g->head.n == 0) make_head(g, &g->head);
    wick_buf_add(b, g->head.data, g->head.n);
    if (g->head.failed) b->failed = true;
}

/* Takes what the choice holds, so that the next chunk starts empty. */
static void write_chunk(wick_choice *c, const char *text, size_t n, const char *finish)
{
    wick_gen *g = c->g;
    wick_buf *b = &g->x->out;
    wick_sse_begin(b);
    head(g, b);
    wick_buf_printf(b, "{\"index\":%u,\"text\":", c->index);
    wick_json_write_str(b, text, n);
    wick_buf_puts(b, ",\"logprobs\":");
    if (c->lp_tokens.n > 0)
        write_logprobs(c, b);
    else
        wick_buf_puts(b, "null");
    wick_buf_printf(b, finish ? ",\"finish_reason\":\"%s\"}]" : ",\"finish_reason\":null}]", finish);
    wick_buf_puts(b, g->p.include_usage ? ",\"usage\":null}" : "}");
    wick_sse_end(b);
    wick_buf *const list[] = {&c->lp_tokens, &c->lp_values, &c->lp_top, &c->lp_offset};
    for (int i = 0; i < 4; i++) {
        if (list[i]->failed) b->failed = true;
        list[i]->n = 0;
    }
}

/* The prompt's text: as it was given, or from its ids. */
static void echo_text(wick_choice *c, wick_buf *out)
{
    const wick_gen_prompt *q = &c->g->prompt[c->prompt];
    const wick_tokenizer *t = wick_engine_tokenizer(c->g->model->engine);
    if (q->text)
        wick_buf_add(out, q->text, q->n_text);
    else if (t && wick_tokenizer_decode(t, q->ids, q->n, !c->g->p.show_special, out, NULL) != WICK_OK)
        out->failed = true;
}

static void text_begin(wick_choice *c)
{
    wick_gen *g = c->g;
    if (!g->p.echo) return;
    if (g->p.logprobs) {
        add_row(c, g->prompt[c->prompt].ids[0], NULL, NULL, 0);
        if (!g->p.stream) echo_text(c, &c->text); /* with stream it goes out with its last token's row */
        return;
    }
    echo_text(c, &c->text);
    if (!g->p.stream) return;
    write_chunk(c, c->text.data ? c->text.data : "", c->text.n, NULL);
    c->text.n = 0;
}

/* In a stream the echoed prompt and its log probabilities are one chunk, before the first generated token. */
static void flush_echo(wick_choice *c)
{
    wick_gen *g = c->g;
    if (!g->p.stream || !g->p.echo || !g->p.logprobs || c->lp_tokens.n == 0 || c->n_logprob > 1) return;
    if (c->text.n == 0) echo_text(c, &c->text);
    write_chunk(c, c->text.data ? c->text.data : "", c->text.n, NULL);
    c->text.n = 0;
}

static void text_token(wick_choice *c, const wick_event *ev)
{
    wick_gen *g = c->g;
    if (ev->is_prompt) {
        add_row(c, ev->token, &ev->logprob, ev->top, ev->n_top);
        return;
    }
    flush_echo(c);
    if (g->p.logprobs) add_row(c, ev->token, &ev->logprob, ev->top, ev->n_top);
    if (!g->p.stream)
        wick_buf_add(&c->text, ev->text, ev->n_text);
    else if (ev->n_text > 0 || g->p.logprobs)
        write_chunk(c, ev->text, ev->n_text, NULL);
}

static void text_end(wick_choice *c, const wick_event *ev)
{
    if (!c->g->p.stream) {
        wick_buf_add(&c->text, ev->text, ev->n_text);
        return;
    }
    if (c->n_logprob == 0) flush_echo(c);
    write_chunk(c, ev->text, ev->n_text, wick_gen_finish_name(c->finish));
}

static void text_usage(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    if (!g->p.include_usage) return;
    wick_sse_begin(b);
    head(g, b);
    wick_buf_puts(b, "],\"usage\":");
    wick_gen_usage_json(g, b);
    wick_buf_puts(b, "}");
    wick_sse_end(b);
}

static double score(const wick_choice *c)
{
    return c->n_logprob ? c->sum_logprob / c->n_logprob : -1e9;
}

/* The best of a prompt's choices that was not taken yet (the first of equals). */
static wick_choice *best_left(wick_choice *c, uint32_t n, const bool *taken)
{
    wick_choice *best = NULL;
    for (uint32_t i = 0; i < n; i++)
        if (!taken[i] && (!best || score(&c[i]) > score(best))) best = &c[i];
    return best;
}

static void write_choice(wick_choice *c, uint32_t index, wick_buf *b)
{
    if (index) wick_buf_putc(b, ',');
    wick_buf_printf(b, "{\"index\":%u,\"text\":", index);
    wick_json_write_str(b, c->text.data ? c->text.data : "", c->text.n);
    wick_buf_puts(b, ",\"logprobs\":");
    write_logprobs(c, b);
    wick_buf_printf(b, ",\"finish_reason\":\"%s\"}", wick_gen_finish_name(c->finish));
}

static void text_answer(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    uint32_t index = 0;
    head(g, b);
    for (uint32_t i = 0; i < g->n_prompt; i++) {
        wick_choice *of = &g->choice[i * g->per_prompt];
        bool taken[128] = {false}; /* the highest that `choices` may be */
        for (uint32_t k = 0; k < g->p.n; k++) {
            wick_choice *c = g->per_prompt > g->p.n ? best_left(of, g->per_prompt, taken) : &of[k];
            taken[c - of] = true;
            write_choice(c, index++, b);
        }
    }
    wick_buf_puts(b, "],\"usage\":");
    wick_gen_usage_json(g, b);
    wick_buf_puts(b, "}\n");
}

static wick_status text_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    return wick_prompt_count(p->prompt, "prompt", l->prompts, n, err);
}

static wick_status text_prepare(wick_gen *g, wick_err *err)
{
    const wick_engine *e = g->model->engine;
    wick_params *p = &g->p;
    for (uint32_t i = 0; i < g->n_prompt; i++) {
        wick_gen_prompt *q = &g->prompt[i];
        WICK_TRY(wick_prompt_item(e, p->prompt, i, "prompt", &q->ids, &q->n, &q->text, &q->n_text, err));
    }
    WICK_TRY(wick_gen_base(g, err));
    g->base.prompt_only = p->max_tokens == 0 && !p->unbounded;
    g->base.show_special = p->show_special;
    g->base.prompt_logprobs = p->logprobs && p->echo;
    return WICK_OK;
}

static const wick_gen_format text_format = {.params = WICK_P_TEXT,
                                            .count = text_count,
                                            .prepare = text_prepare,
                                            .begin = text_begin,
                                            .token = text_token,
                                            .end = text_end,
                                            .usage = text_usage,
                                            .answer = text_answer};

bool wick_route_completions(wick_exchange *x)
{
    return wick_gen_route(x, &text_format);
}
