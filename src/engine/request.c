/* engine/request.c - one request from its options to its end; what callers' threads do with it.
 *
 * Everything a request needs while it runs is allocated in wick_request_new, on the caller's thread, so that a step
 * allocates nothing: the token array for prompt and answer, sampler history, stop automata, the ring of events.
 */
#include <math.h>
#include <string.h>
#include "base/alloc.h"
#include "base/sys.h"
#include "engine/engine_int.h"

void wick_request_opts_init(wick_request_opts *o)
{
    *o = (wick_request_opts){.kind = WICK_REQ_GENERATE};
    wick_sampling_init(&o->sampling);
}

static wick_status check_opts(const wick_engine *e, const wick_request_opts *o, wick_err *err)
{
    const bool pools = o->kind == WICK_REQ_EMBED || o->kind == WICK_REQ_RANK;
    if ((unsigned)o->kind > WICK_REQ_RANK || (unsigned)o->pooling >= WICK_N_POOLINGS || (o->second && !pools))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "kind", "no such kind of request or pooling");
    if (o->n_prompt == 0 || !o->prompt) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "prompt", "prompt: no tokens");
    if (o->n_prompt > e->parts.n_ctx) {
        wick_err_set(err, WICK_E_LIMIT, "prompt", "prompt: %u tokens, the context holds %u", o->n_prompt,
                     e->parts.n_ctx);
        if (err) {
            err->need = o->n_prompt;
            err->have = e->parts.n_ctx;
        }
        return WICK_E_LIMIT;
    }
    for (uint32_t i = 0; i < o->n_prompt; i++) {
        if (o->prompt[i] < 0 || (uint32_t)o->prompt[i] >= e->n_vocab)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "prompt",
                             "prompt: token %d at %u is not in the model's vocabulary of %u", (int)o->prompt[i], i,
                             e->n_vocab);
    }
    if (o->n_top_logprobs > WICK_MAX_TOP_LOGPROBS)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "top_logprobs", "top_logprobs: %u, at most %d", o->n_top_logprobs,
                         WICK_MAX_TOP_LOGPROBS);
    if (!pools && e->parts.plan->whole)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model",
                         "%s is an encoder: it gives embeddings and scores and cannot continue a text",
                         e->parts.plan->arch);
    if (o->kind == WICK_REQ_RANK && !(e->parts.plan->pooler && e->parts.plan->pooler->n_rank))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "this model has no head for scores: it is no reranker");
    if (pools && !(e->caps & WICK_CAP_EMBEDDINGS))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "embeddings: backend %s cannot give them for this model",
                         e->parts.backend->name);
    if (o->constraint && !(e->caps & WICK_CAP_STRUCTURED_OUTPUT))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "response_format", "backend %s cannot constrain the output",
                         e->parts.backend->name);
    if (o->constraint && o->kind != WICK_REQ_GENERATE)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "response_format", "only generated text can be constrained");
    return WICK_OK;
}

/* DRY's breakers: the usual ones are made once per engine. */
static wick_status use_breakers(wick_request *r, const wick_sampling *s, wick_err *err)
{
    wick_engine *e = r->engine;
    const wick_tokenizer *t = e->parts.tokenizer;
    wick_status st = WICK_OK;
    if (s->dry_multiplier <= 0 || !t || (s->dry_breakers && s->n_dry_breakers == 0)) return WICK_OK;
    if (s->dry_breakers) {
        WICK_TRY(wick_dry_breakers_new(&r->run.breakers, t, s->dry_breakers, s->n_dry_breakers, err));
        wick_sampler_set_breakers(r->run.sampler, r->run.breakers);
        return WICK_OK;
    }
    wick_lock_take(&e->breakers_lock);
    if (!e->usual_breakers) st = wick_dry_breakers_new(&e->usual_breakers, t, NULL, 0, err);
    wick_lock_drop(&e->breakers_lock);
    if (st == WICK_OK) wick_sampler_set_breakers(r->run.sampler, e->usual_breakers);
    return st;
}

/* mlx-lm never lets XTC remove the newline and the end of the text. */
static wick_status new_sampler(wick_request *r, const wick_sampling *given, wick_err *err)
{
    wick_engine *e = r->engine;
    wick_sampling s = *given;
    int32_t keep[32];
    if (s.order == WICK_ORDER_MLX && s.xtc_probability > 0 && !s.xtc_keep) {
        const int32_t newline = e->parts.tokenizer ? wick_tokenizer_find(e->parts.tokenizer, "\n", 1) : -1;
        const int32_t mapped = e->parts.tokenizer ? wick_tokenizer_find(e->parts.tokenizer, "\xc4\x8a", 2) : -1;
        uint32_t n = 0;
        if (newline >= 0) keep[n++] = newline;
        if (mapped >= 0) keep[n++] = mapped; /* byte-level vocabularies write it so */
        for (uint32_t i = 0; i < e->parts.n_eos && n < 32; i++) keep[n++] = e->parts.eos[i];
        s.xtc_keep = keep;
        s.n_xtc_keep = n;
    }
    WICK_TRY(wick_sampler_new_in(&r->run.sampler, &s, e->scratch, err));
    WICK_TRY(use_breakers(r, &s, err));
    WICK_TRY(wick_sampler_reserve(r->run.sampler, r->run.cap_tokens, err));
    for (uint32_t i = 0; i < r->run.n_prompt; i++) WICK_TRY(wick_sampler_accept(r->run.sampler, r->run.tokens[i], err));
    return WICK_OK;
}

static wick_status build(wick_request *r, const wick_request_opts *o, wick_err *err)
{
    wick_engine *e = r->engine;
    uint32_t room = e->parts.n_ctx - o->n_prompt, want = o->max_tokens;
    if (o->kind == WICK_REQ_GENERATE && (want == 0 || want > room)) want = room;
    if (want > room) want = room;
    if (wick_request_pools(r) || (o->kind == WICK_REQ_GENERATE && o->prompt_only)) want = 0;
    r->opt.max_tokens = want;
    r->run.cap_tokens = o->n_prompt + want;
    r->run.tokens = wick_realloc_array(NULL, r->run.cap_tokens, sizeof *r->run.tokens);
    if (!r->run.tokens)
        return wick_err_oom(err, "a request's tokens", (uint64_t)r->run.cap_tokens * sizeof *r->run.tokens, 0);
    memcpy(r->run.tokens, o->prompt, o->n_prompt * sizeof *r->run.tokens);
    r->run.n_prompt = r->run.n_total = o->n_prompt;
    WICK_TRY(wick_events_init(r, err));
    WICK_TRY(wick_stop_init(&r->run.stop, o->stop, o->n_stop, err));
    if (wick_request_pools(r)) {
        const wick_pooler *p = e->parts.plan->pooler;
        r->run.pooling = o->kind == WICK_REQ_RANK ? p->rank_pooling : o->pooling;
        if (r->run.pooling == WICK_POOL_DEFAULT && p) r->run.pooling = p->pooling;
        r->run.pool = wick_alloc_zero(e->parts.plan->n_embd, sizeof *r->run.pool);
        if (!r->run.pool) return wick_err_oom(err, "an embedding", e->parts.plan->n_embd * sizeof *r->run.pool, 0);
        return WICK_OK;
    }
    if (o->kind == WICK_REQ_GENERATE) WICK_TRY(new_sampler(r, &o->sampling, err));
    if (want > 1 && wick_draft_allowed(e, o)) {
        WICK_TRY(wick_draft_new(&r->run.draft, r->run.cap_tokens, err));
        for (uint32_t i = 0; i < r->run.n_prompt; i++) wick_draft_push(r->run.draft, r->run.tokens, i, false, NULL);
    }
    if (o->constraint) WICK_TRY(o->constraint->matcher_new(o->constraint->grammar, &r->run.matcher, err));
    if (e->parts.tokenizer) {
        WICK_TRY(wick_detok_new(&r->run.detok, e->parts.tokenizer, !o->show_special, err));
        if (!wick_buf_reserve(&r->run.text, 1024)) return wick_err_oom(err, "a request's text", 1024, 0);
    }
    return WICK_OK;
}

static void destroy(wick_request *r)
{
    wick_free(r->run.tokens);
    wick_events_release(r);
    wick_stop_release(&r->run.stop);
    wick_sampler_free(r->run.sampler);
    if (r->run.matcher.ops) r->run.matcher.ops->free(r->run.matcher.self);
    wick_dry_breakers_free(r->run.breakers);
    wick_detok_free(r->run.detok);
    wick_buf_release(&r->run.text);
    wick_draft_free(r->run.draft);
    wick_free(r->run.pool);
    wick_cond_release(&r->box.cond);
    wick_lock_release(&r->box.lock);
    wick_free(r);
}

wick_status wick_request_new(wick_request **out, wick_engine *e, const wick_request_opts *o, wick_err *err)
{
    WICK_TRY(check_opts(e, o, err));
    wick_request *r = wick_alloc_zero(1, sizeof *r);
    if (!r) return wick_err_oom(err, "a request", sizeof *r, 0);
    r->engine = e;
    r->opt = *o;
    atomic_init(&r->cancel, false);
    wick_lock_init(&r->box.lock);
    wick_cond_init(&r->box.cond);
    wick_status st = build(r, o, err);
    r->opt.prompt = NULL;
    r->opt.stop = NULL;
    r->opt.constraint = NULL;
    r->opt.sampling.bias = NULL;
    r->opt.sampling.xtc_keep = NULL;
    r->opt.sampling.dry_breakers = NULL;
    if (st != WICK_OK) {
        destroy(r);
        return st;
    }
    *out = r;
    return WICK_OK;
}

wick_status wick_request_submit(wick_request *r, wick_err *err)
{
    wick_status st;
    wick_lock_take(&r->box.lock);
    if (r->box.submitted)
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "request", "a request can be submitted once only");
    else
        st = wick_door_submit(&r->engine->door, r, err);
    if (st == WICK_OK) r->box.submitted = true;
    wick_lock_drop(&r->box.lock);
    return st;
}

void wick_request_notify(wick_request *r, void (*fn)(void *ctx), void *ctx)
{
    r->notify = fn;
    r->notify_ctx = ctx;
}

void wick_request_cancel(wick_request *r)
{
    atomic_store(&r->cancel, true);
    wick_lock_take(&r->box.lock);
    if (r->box.submitted && !r->box.finished) wick_door_poke(&r->engine->door);
    wick_lock_drop(&r->box.lock);
}

void wick_request_free(wick_request *r)
{
    if (!r) return;
    wick_request_cancel(r);
    wick_lock_take(&r->box.lock);
    while (r->box.submitted && !r->box.released) wick_cond_wait(&r->box.cond, &r->box.lock);
    wick_lock_drop(&r->box.lock);
    destroy(r);
}
