/* engine/output.c - what a row's outputs mean for its request: a token, log probabilities, logits, an embedding.
 *
 * A token's stations: constraint mask -> sampler -> end of text? -> constraint -> detokeniser -> stop strings -> event.
 * Fail closed: a constraint that cannot go on ends the request with an error, never with unconstrained text.
 */
#include <math.h>
#include <string.h>
#include "base/sys.h"
#include "engine/engine_int.h"

static bool is_eos(const wick_engine *e, int32_t id)
{
    for (uint32_t i = 0; i < e->parts.n_eos; i++) {
        if (e->parts.eos[i] == id) return true;
    }
    return false;
}

static void set_eos(const wick_engine *e, bool allowed)
{
    for (uint32_t i = 0; i < e->parts.n_eos; i++) {
        uint32_t id = (uint32_t)e->parts.eos[i];
        if (id >= e->n_vocab) continue;
        if (allowed)
            e->mask[id / 32] |= 1u << (id % 32);
        else
            e->mask[id / 32] &= ~(1u << (id % 32));
    }
}

static bool any_bit(const wick_engine *e)
{
    for (uint32_t i = 0; i < e->n_vocab; i++) {
        if (e->mask[i / 32] == 0) {
            i |= 31;
            continue;
        }
        if (e->mask[i / 32] >> (i % 32) & 1) return true;
    }
    return false;
}

/* What may come next: *mask NULL for anything. *dead: nothing may, and the text may end here. A constrained text never
 * goes on behind its end, so there `ignore_eos` takes the end of the text away. */
static wick_status allowed_tokens(wick_engine *e, wick_request *r, const uint32_t **mask, bool *dead, wick_err *err)
{
    const wick_matcher_ops *m = r->matcher.ops;
    size_t n_bytes = (size_t)((e->n_vocab + 31) / 32) * sizeof *e->mask;
    bool early = r->n_gen < r->opt.min_tokens, any = true, may_end = true;
    *mask = NULL;
    *dead = false;
    if (m) {
        any = false;
        memset(e->mask, 0, n_bytes);
        WICK_TRY(m->mask(r->matcher.self, e->mask, e->n_vocab, &any, err));
        may_end = !m->may_end || m->may_end(r->matcher.self);
    }
    bool eos = may_end && !early && !(m && r->opt.ignore_eos);
    if (any && eos) return WICK_OK;
    if (any) memset(e->mask, 0xff, n_bytes);
    set_eos(e, eos);
    if (!any_bit(e)) {
        if (may_end) {
            *dead = true;
            return WICK_OK;
        }
        return WICK_FAIL(err, WICK_E_LIMIT, "response_format", "the grammar allows no token of this vocabulary here");
    }
    *mask = e->mask;
    return WICK_OK;
}

/* The text of a token to r->text, and how much of it may be shown. *stop: the stop string that is complete, or -1. */
static wick_status add_text(wick_engine *e, wick_request *r, int32_t id, bool check_stop, uint32_t *n_show,
                            int32_t *stop, wick_err *err)
{
    *n_show = 0;
    *stop = -1;
    if (!r->detok) return WICK_OK;
    wick_buf_reset(&e->token_text);
    if (id >= 0) {
        if ((uint32_t)id < wick_tokenizer_size(e->parts.tokenizer)) /* embeddings may be padded beyond it */
            WICK_TRY(wick_detok_push(r->detok, id, &e->token_text, err));
    } else {
        wick_detok_flush(r->detok, &e->token_text);
    }
    wick_stop_found f = {-1, (uint32_t)e->token_text.n, 0};
    if (check_stop && e->token_text.n > 0) f = wick_stop_feed(&r->stop, e->token_text.data, (uint32_t)e->token_text.n);
    if (e->token_text.n == 0) f.n_held = (uint32_t)r->text.n;
    if (e->token_text.n > 0) wick_buf_add(&r->text, e->token_text.data, f.n_fed);
    if (e->token_text.failed || r->text.failed) return wick_err_oom(err, "the text of a request", 0, 0);
    *n_show = f.n_held < r->text.n ? (uint32_t)r->text.n - f.n_held : 0;
    *stop = f.index;
    return WICK_OK;
}

static void drop_text(wick_request *r, uint32_t n)
{
    if (n == 0) return;
    memmove(r->text.data, r->text.data + n, r->text.n - n);
    r->text.n -= n;
}

/* The end: what the detokeniser and the stop automaton still hold comes with DONE. */
static wick_status end_text(wick_engine *e, wick_request *r, wick_finish *finish, const char **stop_string,
                            wick_err *err)
{
    uint32_t n_show = 0;
    int32_t stop = -1;
    WICK_TRY(add_text(e, r, -1, r->n_gen >= r->opt.min_tokens, &n_show, &stop, err));
    if (stop >= 0) {
        r->text.n = n_show;
        *finish = WICK_FINISH_STOP;
        *stop_string = wick_stop_string(&r->stop, stop);
    }
    return WICK_OK;
}

static wick_status end(wick_engine *e, wick_request *r, wick_finish finish, wick_err *err)
{
    const char *stop_string = NULL;
    WICK_TRY(end_text(e, r, &finish, &stop_string, err));
    wick_request_finish(r, finish, stop_string, NULL);
    return WICK_OK;
}

static void count_token(wick_engine *e, wick_request *r, int32_t id)
{
    r->tokens[r->n_total++] = id;
    r->n_gen++;
    e->stats.n_gen_tokens++;
    if (r->n_gen == 1) r->t_first = r->t_last;
}

static wick_status deliver(wick_engine *e, wick_request *r, int32_t id, float logprob, wick_err *err)
{
    uint32_t n_show = 0;
    int32_t stop = -1;
    WICK_TRY(add_text(e, r, id, r->n_gen >= r->opt.min_tokens, &n_show, &stop, err));
    WICK_TRY(wick_event_token(r, id, false, r->text.data, n_show, logprob, r->opt.n_top_logprobs, err));
    drop_text(r, n_show);
    if (stop >= 0) {
        r->text.n = 0;
        wick_request_finish(r, WICK_FINISH_STOP, wick_stop_string(&r->stop, stop), NULL);
        return WICK_OK;
    }
    if (r->n_gen >= r->opt.max_tokens) return end(e, r, WICK_FINISH_LENGTH, err);
    return WICK_OK;
}

/* The token that the constraint and the sampler choose from the logits; *dead: none may be, and the text may end. */
static wick_status choose(wick_engine *e, wick_request *r, const float *logits, wick_logprob *out, bool *dead,
                          wick_err *err)
{
    const uint32_t *mask;
    WICK_TRY(allowed_tokens(e, r, &mask, dead, err));
    if (*dead) return WICK_OK;
    return wick_sampler_pick(r->sampler, logits, mask, &out->id, out, r->top, r->opt.n_top_logprobs, err);
}

/* Exactly one of logits and pick is given. */
static wick_status generate(wick_engine *e, wick_request *r, const float *logits, const wick_pick *pick, wick_err *err)
{
    bool dead = false;
    wick_logprob lp = {0};
    if (r->opt.max_tokens == 0) return end(e, r, WICK_FINISH_LENGTH, err);
    double t0 = wick_time_ms();
    if (pick)
        lp = (wick_logprob){pick->id, pick->logprob};
    else
        WICK_TRY(choose(e, r, logits, &lp, &dead, err));
    if (dead) return end(e, r, WICK_FINISH_EOS, err);
    int32_t id = lp.id;
    if (id < 0 || (uint32_t)id >= e->n_vocab)
        return WICK_FAIL(err, WICK_E_NUMERIC, NULL, "the model gave logits that are not finite");
    WICK_TRY(wick_sampler_accept(r->sampler, id, err));
    double t1 = wick_time_ms();
    count_token(e, r, id);
    if (is_eos(e, id) && !r->opt.ignore_eos) return end(e, r, WICK_FINISH_EOS, err);
    if (r->matcher.ops) WICK_TRY(r->matcher.ops->accept(r->matcher.self, id, err));
    uint64_t serial = r->serial;
    uint32_t n_gen = r->n_gen;
    wick_status st = deliver(e, r, id, lp.logprob, err); /* r may be gone after this */
    if (wick_log_on(WICK_LOG_DEBUG))
        wick_log(WICK_LOG_DEBUG, "request %llu token %u: id %d; mask and sample %.3f ms, text and event %.3f ms",
                 (unsigned long long)serial, n_gen, (int)id, t1 - t0, wick_time_ms() - t1);
    return st;
}

/* Echo: logits of position i give the log probability of prompt token i + 1. */
static wick_status prompt_logprobs(wick_engine *e, wick_request *r, const float *logits, wick_err *err)
{
    uint32_t from = r->n_kv - r->row_tokens;
    for (uint32_t i = from; i < r->n_kv && i + 1 < r->n_prompt; i++, logits += e->n_vocab) {
        wick_logprob lp;
        int32_t id = r->tokens[i + 1];
        wick_buf_reset(&e->token_text);
        if (e->parts.tokenizer && (uint32_t)id < wick_tokenizer_size(e->parts.tokenizer))
            wick_tokenizer_bytes(e->parts.tokenizer, id, &e->token_text);
        if (e->token_text.failed) return wick_err_oom(err, "the text of a token", 0, 0);
        WICK_TRY(wick_sample_argmax(logits, e->n_vocab, id, NULL, &lp, r->top, r->opt.n_top_logprobs, err));
        WICK_TRY(wick_event_token(r, id, true, e->token_text.data, (uint32_t)e->token_text.n, lp.logprob,
                                  r->opt.n_top_logprobs, err));
    }
    r->n_out = r->n_kv;
    if (r->n_kv < r->n_prompt) return WICK_OK;
    return generate(e, r, logits, NULL, err); /* the last position's: they follow those that the loop left */
}

static wick_status all_logits(wick_engine *e, wick_request *r, const float *logits, wick_err *err)
{
    bool is_prompt = r->n_kv <= r->n_prompt;
    WICK_TRY(wick_event_data(r, logits, r->row_tokens, e->n_vocab, is_prompt, err));
    r->n_out = r->n_kv;
    if (r->n_kv < r->n_total) return WICK_OK;
    if (r->n_gen == r->opt.max_tokens) {
        wick_request_finish(r, WICK_FINISH_LENGTH, NULL, NULL);
        return WICK_OK;
    }
    int32_t id;
    wick_logprob lp;
    const float *last = logits + (size_t)(r->row_tokens - 1) * e->n_vocab;
    WICK_TRY(wick_sample_argmax(last, e->n_vocab, -1, &id, &lp, r->top, r->opt.n_top_logprobs, err));
    count_token(e, r, id);
    uint32_t n_show = 0;
    int32_t stop;
    WICK_TRY(add_text(e, r, id, false, &n_show, &stop, err));
    WICK_TRY(wick_event_token(r, id, false, r->text.data, n_show, lp.logprob, r->opt.n_top_logprobs, err));
    drop_text(r, n_show);
    return WICK_OK;
}

static wick_status embed(wick_engine *e, wick_request *r, const float *hidden, wick_err *err)
{
    uint32_t width = e->parts.plan->n_embd;
    for (uint32_t i = 0; i < r->row_tokens; i++, hidden += width) {
        uint32_t position = r->n_out + i;
        bool take = r->opt.pooling == WICK_POOL_MEAN || (r->opt.pooling == WICK_POOL_FIRST && position == 0) ||
                    (r->opt.pooling == WICK_POOL_LAST && position + 1 == r->n_prompt);
        for (uint32_t j = 0; take && j < width; j++) r->pool[j] += (double)hidden[j];
    }
    r->n_out = r->n_kv;
    if (r->n_kv < r->n_total) return WICK_OK;
    double n = r->opt.pooling == WICK_POOL_MEAN ? r->n_prompt : 1;
    float *pooled = e->embedding;
    for (uint32_t j = 0; j < width; j++) {
        pooled[j] = (float)(r->pool[j] / n);
        if (!isfinite(pooled[j]))
            return WICK_FAIL(err, WICK_E_NUMERIC, NULL, "the model gave an embedding that is not finite");
    }
    WICK_TRY(wick_event_data(r, pooled, 1, width, true, err));
    wick_request_finish(r, WICK_FINISH_LENGTH, NULL, NULL);
    return WICK_OK;
}

wick_status wick_output_row(wick_engine *e, wick_request *r, const float *data, const wick_pick *pick, wick_err *err)
{
    if (r->row_out == WICK_OUT_NONE) return WICK_OK;
    switch (r->opt.kind) {
    case WICK_REQ_EMBED: return embed(e, r, data, err);
    case WICK_REQ_LOGITS: return all_logits(e, r, data, err);
    case WICK_REQ_GENERATE: break;
    }
    return r->row_out == WICK_OUT_ALL ? prompt_logprobs(e, r, data, err) : generate(e, r, data, pick, err);
}
