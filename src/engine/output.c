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
            e->loop.mask[id / 32] |= 1u << (id % 32);
        else
            e->loop.mask[id / 32] &= ~(1u << (id % 32));
    }
}

static bool any_bit(const wick_engine *e)
{
    for (uint32_t i = 0; i < e->n_vocab; i++) {
        if (e->loop.mask[i / 32] == 0) {
            i |= 31;
            continue;
        }
        if (e->loop.mask[i / 32] >> (i % 32) & 1) return true;
    }
    return false;
}

/* What may come next: *mask NULL for anything. *dead: nothing may, and the text may end here. A constrained text never
 * goes on behind its end, so there `ignore_eos` takes the end of the text away. */
static wick_status allowed_tokens(wick_engine *e, wick_request *r, const uint32_t **mask, bool *dead, wick_err *err)
{
    const wick_matcher_ops *m = r->run.matcher.ops;
    size_t n_bytes = (size_t)((e->n_vocab + 31) / 32) * sizeof *e->loop.mask;
    bool early = r->run.n_gen < r->opt.min_tokens, any = true, may_end = true;
    *mask = NULL;
    *dead = false;
    if (m) {
        any = false;
        memset(e->loop.mask, 0, n_bytes);
        WICK_TRY(m->mask(r->run.matcher.self, e->loop.mask, e->n_vocab, &any, err));
        may_end = !m->may_end || m->may_end(r->run.matcher.self);
    }
    bool eos = may_end && !early && !(m && r->opt.ignore_eos);
    if (any && eos) return WICK_OK;
    if (any) memset(e->loop.mask, 0xff, n_bytes);
    set_eos(e, eos);
    if (!any_bit(e)) {
        if (may_end) {
            *dead = true;
            return WICK_OK;
        }
        return WICK_FAIL(err, WICK_E_LIMIT, "response_format", "the grammar allows no token of this vocabulary here");
    }
    *mask = e->loop.mask;
    return WICK_OK;
}

/* The text of a token to r->run.text, and how much of it may be shown. *stop: the stop string that is complete, or
 * -1. */
static wick_status add_text(wick_engine *e, wick_request *r, int32_t id, bool check_stop, uint32_t *n_show,
                            int32_t *stop, wick_err *err)
{
    *n_show = 0;
    *stop = -1;
    if (!r->run.detok) return WICK_OK;
    wick_buf_reset(&e->loop.token_text);
    if (id >= 0) {
        if ((uint32_t)id < wick_tokenizer_size(e->parts.tokenizer)) /* embeddings may be padded beyond it */
            WICK_TRY(wick_detok_push(r->run.detok, id, &e->loop.token_text, err));
    } else {
        wick_detok_flush(r->run.detok, &e->loop.token_text);
    }
    wick_stop_found f = {-1, (uint32_t)e->loop.token_text.n, 0};
    if (check_stop && e->loop.token_text.n > 0)
        f = wick_stop_feed(&r->run.stop, e->loop.token_text.data, (uint32_t)e->loop.token_text.n);
    if (e->loop.token_text.n == 0) f.n_held = (uint32_t)r->run.text.n;
    if (e->loop.token_text.n > 0) wick_buf_add(&r->run.text, e->loop.token_text.data, f.n_fed);
    if (e->loop.token_text.failed || r->run.text.failed) return wick_err_oom(err, "the text of a request", 0, 0);
    *n_show = f.n_held < r->run.text.n ? (uint32_t)r->run.text.n - f.n_held : 0;
    *stop = f.index;
    return WICK_OK;
}

static void drop_text(wick_request *r, uint32_t n)
{
    if (n == 0) return;
    memmove(r->run.text.data, r->run.text.data + n, r->run.text.n - n);
    r->run.text.n -= n;
}

/* The end of a text: what the detokeniser and the stop automaton still hold comes with DONE, unless a stop string is
 * complete with it. */
static wick_status end(wick_engine *e, wick_request *r, wick_finish finish, wick_verdict *v, wick_err *err)
{
    uint32_t n_show = 0;
    int32_t stop = -1;
    WICK_TRY(add_text(e, r, -1, r->run.n_gen >= r->opt.min_tokens, &n_show, &stop, err));
    if (stop >= 0) {
        r->run.text.n = n_show;
        finish = WICK_FINISH_STOP;
        v->stop_string = wick_stop_string(&r->run.stop, stop);
    }
    v->finish = finish;
    return WICK_OK;
}

static void count_token(wick_engine *e, wick_request *r, int32_t id)
{
    r->run.tokens[r->run.n_total++] = id;
    r->run.n_gen++;
    if (r->run.draft) wick_draft_push(r->run.draft, r->run.tokens, r->run.n_total - 1, true, &e->loop.draft_score);
    e->loop.stats.n_gen_tokens++;
    if (r->run.n_gen == 1) r->run.t_first = r->run.t_last;
}

static wick_status deliver(wick_engine *e, wick_request *r, int32_t id, float logprob, wick_verdict *v, wick_err *err)
{
    uint32_t n_show = 0;
    int32_t stop = -1;
    WICK_TRY(add_text(e, r, id, r->run.n_gen >= r->opt.min_tokens, &n_show, &stop, err));
    WICK_TRY(wick_event_token(r, id, false, r->run.text.data, n_show, logprob, r->opt.n_top_logprobs, err));
    drop_text(r, n_show);
    if (stop >= 0) {
        r->run.text.n = 0;
        v->finish = WICK_FINISH_STOP;
        v->stop_string = wick_stop_string(&r->run.stop, stop);
        return WICK_OK;
    }
    if (r->run.n_gen >= r->opt.max_tokens) return end(e, r, WICK_FINISH_LENGTH, v, err);
    return WICK_OK;
}

/* The token that the constraint and the sampler choose from the logits; *dead: none may be, and the text may end. */
static wick_status choose(wick_engine *e, wick_request *r, const float *logits, wick_logprob *out, bool *dead,
                          wick_err *err)
{
    const uint32_t *mask;
    WICK_TRY(allowed_tokens(e, r, &mask, dead, err));
    if (*dead) return WICK_OK;
    return wick_sampler_pick(r->run.sampler, logits, mask, &out->id, out, r->run.top, r->opt.n_top_logprobs, err);
}

/* Exactly one of logits and pick is given. */
static wick_status generate(wick_engine *e, wick_request *r, const float *logits, const wick_pick *pick,
                            wick_verdict *v, wick_err *err)
{
    bool dead = false;
    wick_logprob lp = {0};
    if (r->opt.max_tokens == 0) return end(e, r, WICK_FINISH_LENGTH, v, err);
    double t0 = wick_time_ms();
    if (pick)
        lp = (wick_logprob){pick->id, pick->logprob};
    else
        WICK_TRY(choose(e, r, logits, &lp, &dead, err));
    if (dead) return end(e, r, WICK_FINISH_EOS, v, err);
    int32_t id = lp.id;
    if (id < 0 || (uint32_t)id >= e->n_vocab)
        return WICK_FAIL(err, WICK_E_NUMERIC, NULL, "the model gave logits that are not finite");
    WICK_TRY(wick_sampler_accept(r->run.sampler, id, err));
    double t1 = wick_time_ms();
    count_token(e, r, id);
    if (is_eos(e, id) && !r->opt.ignore_eos) return end(e, r, WICK_FINISH_EOS, v, err);
    if (r->run.matcher.ops) WICK_TRY(r->run.matcher.ops->accept(r->run.matcher.self, id, err));
    wick_status st = deliver(e, r, id, lp.logprob, v, err);
    if (wick_log_on(WICK_LOG_DEBUG))
        wick_log(WICK_LOG_DEBUG, "request %llu token %u: id %d; mask and sample %.3f ms, text and event %.3f ms",
                 (unsigned long long)r->serial, r->run.n_gen, (int)id, t1 - t0, wick_time_ms() - t1);
    return st;
}

/* Echo: logits of position i give the log probability of prompt token i + 1. */
static wick_status prompt_logprobs(wick_engine *e, wick_request *r, const float *logits, wick_verdict *v, wick_err *err)
{
    uint32_t from = r->run.n_kv - r->run.row_tokens;
    for (uint32_t i = from; i < r->run.n_kv && i + 1 < r->run.n_prompt; i++, logits += e->n_vocab) {
        wick_logprob lp;
        int32_t id = r->run.tokens[i + 1];
        wick_buf_reset(&e->loop.token_text);
        if (e->parts.tokenizer && (uint32_t)id < wick_tokenizer_size(e->parts.tokenizer))
            wick_tokenizer_bytes(e->parts.tokenizer, id, &e->loop.token_text);
        if (e->loop.token_text.failed) return wick_err_oom(err, "the text of a token", 0, 0);
        WICK_TRY(wick_sample_argmax(logits, e->n_vocab, id, NULL, &lp, r->run.top, r->opt.n_top_logprobs, err));
        WICK_TRY(wick_event_token(r, id, true, e->loop.token_text.data, (uint32_t)e->loop.token_text.n, lp.logprob,
                                  r->opt.n_top_logprobs, err));
    }
    r->run.n_out = r->run.n_kv;
    if (r->run.n_kv < r->run.n_prompt) return WICK_OK;
    return generate(e, r, logits, NULL, v, err); /* the last position's: they follow those that the loop left */
}

static wick_status all_logits(wick_engine *e, wick_request *r, const float *logits, wick_verdict *v, wick_err *err)
{
    bool is_prompt = r->run.n_kv <= r->run.n_prompt;
    WICK_TRY(wick_event_data(r, logits, r->run.row_tokens, e->n_vocab, is_prompt, err));
    r->run.n_out = r->run.n_kv;
    if (r->run.n_kv < r->run.n_total) return WICK_OK;
    if (r->run.n_gen == r->opt.max_tokens) {
        v->finish = WICK_FINISH_LENGTH;
        return WICK_OK;
    }
    int32_t id;
    wick_logprob lp;
    const float *last = logits + (size_t)(r->run.row_tokens - 1) * e->n_vocab;
    WICK_TRY(wick_sample_argmax(last, e->n_vocab, -1, &id, &lp, r->run.top, r->opt.n_top_logprobs, err));
    count_token(e, r, id);
    uint32_t n_show = 0;
    int32_t stop;
    WICK_TRY(add_text(e, r, id, false, &n_show, &stop, err));
    WICK_TRY(wick_event_token(r, id, false, r->run.text.data, n_show, lp.logprob, r->opt.n_top_logprobs, err));
    drop_text(r, n_show);
    return WICK_OK;
}

/* What the sum is divided by at last. */
static double pool_divisor(const wick_request *r)
{
    const double n = r->run.n_prompt;
    if (r->run.pooling == WICK_POOL_SQRT_LEN) return sqrt(n);
    return r->run.pooling == WICK_POOL_MEAN || r->run.pooling == WICK_POOL_DEFAULT ? n : 1;
}

/* Adds the hidden state of one position to what is pooled. */
static void pool(wick_request *r, const float *hidden, uint32_t position, uint32_t width)
{
    const uint32_t n = r->run.n_prompt;
    double *sum = r->run.pool, weight = 1;
    switch (r->run.pooling) {
    case WICK_POOL_FIRST: weight = position == 0; break;
    case WICK_POOL_LAST: weight = position + 1 == n; break;
    case WICK_POOL_WEIGHTED: weight = 2.0 * (position + 1) / ((double)n * (n + 1.0)); break;
    case WICK_POOL_MAX:
        for (uint32_t j = 0; j < width; j++)
            if (position == 0 || !((double)hidden[j] <= sum[j])) sum[j] = (double)hidden[j];
        return;
    case WICK_POOL_DEFAULT:
    case WICK_POOL_MEAN:
    case WICK_POOL_SQRT_LEN:
    case WICK_N_POOLINGS: break;
    }
    for (uint32_t j = 0; weight > 0 && j < width; j++) sum[j] += (double)hidden[j] * weight;
}

static wick_status embed(wick_engine *e, wick_request *r, const float *hidden, wick_verdict *v, wick_err *err)
{
    const wick_pooler *p = e->parts.plan->pooler;
    uint32_t width = e->parts.plan->n_embd;
    for (uint32_t i = 0; i < r->run.row_tokens; i++) pool(r, hidden + (size_t)i * width, r->run.n_out + i, width);
    r->run.n_out = r->run.n_kv;
    if (r->run.n_kv < r->run.n_total) return WICK_OK;
    float *x = e->loop.embedding;
    for (uint32_t j = 0; j < width; j++) x[j] = (float)(r->run.pool[j] / pool_divisor(r));
    if (r->opt.kind == WICK_REQ_RANK)
        width = wick_pooler_run(p->rank, p->n_rank, x, width, e->loop.pool_work);
    else if (p)
        width = wick_pooler_run(p->embed, p->n_embed, x, width, e->loop.pool_work);
    for (uint32_t j = 0; j < width; j++)
        if (!isfinite(x[j]))
            return WICK_FAIL(err, WICK_E_NUMERIC, NULL, "the model gave an embedding that is not finite");
    WICK_TRY(wick_event_data(r, x, 1, width, true, err));
    v->finish = WICK_FINISH_LENGTH;
    return WICK_OK;
}

/* A row with guesses: each position's token is drawn as if it were alone, and the next position counts as long as the
 * guess was that token. What was computed behind the last of them is not part of the text. */
static wick_status verify(wick_engine *e, wick_request *r, const float *logits, wick_verdict *v, wick_err *err)
{
    uint32_t n_guesses = r->run.n_draft, n_before = r->run.n_total, right = 0;
    wick_status st = WICK_OK;
    e->loop.stats.n_drafted += n_guesses;
    r->run.n_draft = 0;
    for (uint32_t i = 0; i <= n_guesses; i++) {
        int32_t guess = i < n_guesses ? r->run.tokens[r->run.n_total] : -1;
        uint32_t n = r->run.n_total;
        st = generate(e, r, logits + (size_t)i * e->n_vocab, NULL, v, err);
        if (st != WICK_OK || v->finish != WICK_FINISH_NONE || r->run.n_total == n || r->run.tokens[n] != guess) break;
        right++;
    }
    e->loop.stats.n_accepted += right;
    r->run.n_kv = r->run.n_total > n_before ? r->run.n_total - 1 : n_before;
    return st;
}

static wick_status use_row(wick_engine *e, wick_request *r, const float *data, const wick_pick *pick, wick_verdict *v,
                           wick_err *err)
{
    if (r->run.row_out == WICK_OUT_NONE) return WICK_OK;
    if (r->run.n_draft > 0) return verify(e, r, data, v, err);
    switch (r->opt.kind) {
    case WICK_REQ_EMBED:
    case WICK_REQ_RANK: return embed(e, r, data, v, err);
    case WICK_REQ_LOGITS: return all_logits(e, r, data, v, err);
    case WICK_REQ_GENERATE: break;
    }
    return r->run.row_out == WICK_OUT_ALL ? prompt_logprobs(e, r, data, v, err) : generate(e, r, data, pick, v, err);
}

void wick_output_row(wick_engine *e, wick_request *r, const float *data, const wick_pick *pick, wick_verdict *v)
{
    wick_err err = {0};
    if (use_row(e, r, data, pick, v, &err) != WICK_OK) wick_verdict_fail(v, &err);
}
