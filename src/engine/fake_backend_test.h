/* engine/fake_backend_test.h - a backend for tests whose logits are arithmetic over the tokens that a sequence holds.
 *
 * A sequence keeps its tokens, so a wrong fork, truncation or recomputation changes what comes out. The reference is
 * fake_next(): the greedy token after any history. Faults are switched on by the globals.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "engine/engine_int.h"

#define FAKE_VOCAB 300
#define FAKE_EMBD 8
#define FAKE_BYTES_PER_TOKEN 100
#define FAKE_BLOCK 4
#define FAKE_MAX_TOKENS 4096

struct wick_seq {
    int32_t *tokens;
    uint32_t n, cap;
    int32_t picked;
    uint64_t picked_in; /* number of the step */
};

/* A step under way. */
typedef struct fake_step {
    float *out;
    wick_pick *pick;
    uint32_t n_out, n_picks, width;
} fake_step;

struct wick_backend_model {
    fake_step step[2], last; /* under way, the older first; what the last wait gave */
    uint32_t n_steps;
    uint64_t step_no, n_blocks;
};

static struct wick_backend_model fake_model;
static _Atomic uint64_t fake_capacity; /* bytes; 0: unbounded */
static atomic_int fake_fail_steps;     /* the next n steps fail */
static atomic_int fake_fail_token;     /* a row that holds this token fails the step; 0: off */
static atomic_int fake_nan_token;      /* a row whose last token is this gives NaN; 0: off */
static atomic_int fake_step_us;        /* how long a step takes */
static atomic_int fake_token_us;       /* and each of its tokens */
static atomic_int fake_fail_waits;     /* the next n waits fail */
static atomic_int fake_most_rows, fake_most_tokens;
static atomic_long fake_n_ahead; /* steps submitted behind one that nobody had waited for */
static atomic_long fake_n_tokens, fake_n_forks, fake_live_seqs;
static uint32_t fake_caps =
    WICK_CAP_KV_PREFIX_COPY | WICK_CAP_EMBEDDINGS | WICK_CAP_BATCH_INVARIANT | WICK_CAP_STRUCTURED_OUTPUT;
#define FAKE_AHEAD ((uint32_t)(WICK_CAP_DEVICE_SAMPLING | WICK_CAP_SPECULATIVE)) /* the engine keeps a step ahead */
static uint32_t fake_order;       /* logits follow from the last so many tokens only, so texts repeat; 0: from all */
static atomic_bool fake_end_only; /* as with recurrent states: a sequence can be cut at its end only */
static atomic_int fake_eos_bias;  /* added to the logit of token 2 */

static uint64_t fake_hash(const int32_t *t, uint32_t n)
{
    uint64_t h = 1469598103934665603u;
    for (uint32_t i = 0; i < n; i++) h = (h ^ (uint64_t)(uint32_t)t[i]) * 1099511628211u;
    return h;
}

static void fake_logits(const int32_t *t, uint32_t n, float *out)
{
    uint32_t first = fake_order && fake_order < n ? n - fake_order : 0;
    uint64_t h = fake_hash(t + first, n - first);
    for (uint32_t i = 0; i < FAKE_VOCAB; i++) {
        uint64_t x = (h + i) * 0x9e3779b97f4a7c15u;
        out[i] = (float)((x ^ (x >> 29)) % 100003) / 10000.0f;
    }
    for (uint32_t i = 0; i < 3; i++) out[i] -= 20.0f; /* unk, bos, eos: not by chance */
    out[2] += (float)fake_eos_bias;
}

static inline int32_t fake_next(const int32_t *t, uint32_t n)
{
    float l[FAKE_VOCAB];
    uint32_t best = 0;
    fake_logits(t, n, l);
    for (uint32_t i = 1; i < FAKE_VOCAB; i++)
        if (l[i] > l[best]) best = i;
    return (int32_t)best;
}

static void fake_probe(wick_backend_info *out)
{
    memset(out, 0, sizeof *out);
    out->available = true;
}
static wick_status fake_open(wick_backend_ctx **out, const wick_backend_opts *o, wick_err *err)
{
    (void)o, (void)err;
    *out = (wick_backend_ctx *)&fake_model;
    return WICK_OK;
}
static void fake_close(wick_backend_ctx *c)
{
    (void)c;
}
static uint32_t fake_get_caps(const wick_backend_model *m)
{
    (void)m;
    return fake_caps;
}
static wick_status fake_check(wick_backend_ctx *c, const wick_plan *p, wick_err *err)
{
    (void)c, (void)p, (void)err;
    return WICK_OK;
}
static wick_status fake_load(wick_backend_ctx *c, const wick_plan *p, uint32_t max_tokens, wick_progress pr,
                             wick_backend_model **out, wick_err *err)
{
    (void)c, (void)p, (void)pr, (void)err;
    memset(&fake_model, 0, sizeof fake_model);
    for (int i = 0; i < 3; i++) {
        fake_step *s = i < 2 ? &fake_model.step[i] : &fake_model.last;
        s->out = malloc(sizeof(float) * (max_tokens + 1) * FAKE_VOCAB);
        s->pick = malloc(sizeof(wick_pick) * (max_tokens + 1));
    }
    *out = &fake_model;
    return WICK_OK;
}
static void fake_unload(wick_backend_model *m)
{
    for (int i = 0; i < 3; i++) {
        free(i < 2 ? m->step[i].out : m->last.out);
        free(i < 2 ? m->step[i].pick : m->last.pick);
    }
}

static uint64_t blocks_of(uint32_t n)
{
    return (n + FAKE_BLOCK - 1) / FAKE_BLOCK;
}

static void fake_set_len(wick_backend_model *m, wick_seq *s, uint32_t n)
{
    m->n_blocks += blocks_of(n) - blocks_of(s->n);
    s->n = n;
}

/* Logits to a pick; NaN gives -1. */
static wick_pick fake_pick(const float *l)
{
    wick_pick p = {0, 0};
    double sum = 0;
    for (int32_t i = 0; i < FAKE_VOCAB; i++) {
        if (isnan(l[i])) return (wick_pick){-1, NAN};
        if (l[i] > l[p.id]) p.id = i;
    }
    for (int32_t i = 0; i < FAKE_VOCAB; i++) sum += exp((double)(l[i] - l[p.id]));
    p.logprob = (float)-log(sum);
    return p;
}

static wick_status fake_submit(wick_backend_model *m, const wick_batch *b, wick_err *err)
{
    uint32_t n_out = 0, n_tokens = 0, n_picks = 0;
    bool ahead = m->n_steps > 0;
    if (m->n_steps == 2 || (ahead && !(fake_caps & WICK_CAP_DEVICE_SAMPLING)))
        return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "%u steps are under way", m->n_steps);
    fake_step *s = &m->step[m->n_steps];
    uint64_t blocks = m->n_blocks;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const wick_row *r = &b->row[i];
        n_tokens += r->n_tokens;
        blocks += blocks_of(r->seq->n + r->n_tokens) - blocks_of(r->seq->n);
        if (!r->tokens && (r->n_tokens != 1 || r->seq->picked_in != m->step_no))
            return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "nothing was picked in the last step");
        for (uint32_t j = 0; r->tokens && j < r->n_tokens; j++)
            if (atomic_load(&fake_fail_token) > 0 && r->tokens[j] == atomic_load(&fake_fail_token))
                return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "poisoned token");
    }
    if (atomic_load(&fake_fail_steps) > 0) {
        atomic_fetch_sub(&fake_fail_steps, 1);
        return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "the device is gone");
    }
    if (fake_capacity && blocks * FAKE_BLOCK * FAKE_BYTES_PER_TOKEN > fake_capacity)
        return WICK_FAIL(err, WICK_E_OUT_OF_MEMORY, NULL, "kv full");
    if ((int)b->n_rows > atomic_load(&fake_most_rows)) atomic_store(&fake_most_rows, (int)b->n_rows);
    if ((int)n_tokens > atomic_load(&fake_most_tokens)) atomic_store(&fake_most_tokens, (int)n_tokens);
    atomic_fetch_add(&fake_n_tokens, n_tokens);
    s->width = FAKE_VOCAB;
    m->step_no++;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const wick_row *r = &b->row[i];
        for (uint32_t j = 0; j < r->n_tokens; j++) {
            uint32_t at = r->seq->n;
            if (at >= FAKE_MAX_TOKENS) return WICK_FAIL(err, WICK_E_LIMIT, NULL, "too long");
            int32_t id = r->tokens ? r->tokens[j] : r->seq->picked;
            r->seq->tokens[at] = id;
            fake_set_len(m, r->seq, at + 1);
            if (r->out & WICK_OUT_HIDDEN) {
                s->width = FAKE_EMBD;
                for (uint32_t k = 0; k < FAKE_EMBD; k++)
                    s->out[(size_t)n_out * FAKE_EMBD + k] = (float)(fake_hash(r->seq->tokens, at + 1) % (k + 97));
                n_out++;
            } else if ((r->out & WICK_OUT_ALL) || ((r->out & WICK_OUT_LAST) && j + 1 == r->n_tokens)) {
                float *l = s->out + (size_t)n_out++ * FAKE_VOCAB;
                fake_logits(r->seq->tokens, at + 1, l);
                if (atomic_load(&fake_nan_token) > 0 && id == atomic_load(&fake_nan_token)) l[7] = NAN;
            } else if ((r->out & WICK_OUT_PICK) && j + 1 == r->n_tokens) {
                float l[FAKE_VOCAB];
                fake_logits(r->seq->tokens, at + 1, l);
                if (atomic_load(&fake_nan_token) > 0 && id == atomic_load(&fake_nan_token)) l[7] = NAN;
                s->pick[n_picks] = fake_pick(l);
                r->seq->picked = s->pick[n_picks++].id;
                r->seq->picked_in = m->step_no;
            }
        }
    }
    s->n_out = n_out;
    s->n_picks = n_picks;
    m->n_steps++;
    if (ahead) atomic_fetch_add(&fake_n_ahead, 1);
    int us = atomic_load(&fake_step_us) + atomic_load(&fake_token_us) * (int)n_tokens;
    if (us > 0) usleep((useconds_t)us);
    return WICK_OK;
}

static wick_status fake_wait(wick_backend_model *m, wick_step_out *out, wick_err *err)
{
    if (m->n_steps == 0) return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "no step is under way");
    fake_step done = m->step[0];
    m->step[0] = m->step[1];
    m->step[1] = m->last;
    m->last = done;
    m->n_steps--;
    if (atomic_load(&fake_fail_waits) > 0) {
        atomic_fetch_sub(&fake_fail_waits, 1);
        return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "the device is gone");
    }
    *out = (wick_step_out){done.out, done.n_out, done.width, done.pick, done.n_picks};
    return WICK_OK;
}

static wick_status fake_kv_new(wick_backend_model *m, uint32_t hint, wick_seq **out, wick_err *err)
{
    (void)m, (void)hint;
    wick_seq *s = wick_alloc_zero(1, sizeof *s);
    if (s) s->tokens = wick_realloc_array(NULL, FAKE_MAX_TOKENS, sizeof *s->tokens);
    if (!s || !s->tokens) {
        wick_free(s);
        return wick_err_oom(err, "kv", 0, 0);
    }
    atomic_fetch_add(&fake_live_seqs, 1);
    *out = s;
    return WICK_OK;
}
static wick_status fake_kv_fork(wick_backend_model *m, const wick_seq *s, uint32_t n, wick_seq **out, wick_err *err)
{
    if (n > s->n) return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "fork past the end");
    if (fake_end_only && n != s->n) return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, NULL, "not at its end");
    WICK_TRY(fake_kv_new(m, 0, out, err));
    memcpy((*out)->tokens, s->tokens, n * sizeof *s->tokens);
    fake_set_len(m, *out, n);
    atomic_fetch_add(&fake_n_forks, 1);
    return WICK_OK;
}
static wick_status fake_kv_truncate(wick_backend_model *m, wick_seq *s, uint32_t n, wick_err *err)
{
    if (fake_end_only && n != s->n && n != 0) return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, NULL, "not at its end");
    fake_set_len(m, s, n);
    return WICK_OK;
}
static uint32_t fake_kv_len(const wick_seq *s)
{
    return s->n;
}
static void fake_kv_free(wick_backend_model *m, wick_seq *s)
{
    fake_set_len(m, s, 0);
    wick_free(s->tokens);
    wick_free(s);
    atomic_fetch_sub(&fake_live_seqs, 1);
}
static void fake_kv_usage(const wick_backend_model *m, wick_kv_usage *out)
{
    *out = (wick_kv_usage){.bytes = m->n_blocks * FAKE_BLOCK * FAKE_BYTES_PER_TOKEN,
                           .capacity_bytes = fake_capacity,
                           .block_tokens = FAKE_BLOCK,
                           .bytes_per_token = FAKE_BYTES_PER_TOKEN,
                           .checkpoint_tokens = fake_end_only,
                           .forks_share = fake_end_only};
}
static void fake_stats(const wick_backend_model *m, wick_backend_stats *out)
{
    (void)m;
    memset(out, 0, sizeof *out);
}
static const char *fake_label(const wick_backend_model *m)
{
    (void)m;
    return "fake";
}

static const wick_backend fake_backend = {.name = "fake",
                                          .probe = fake_probe,
                                          .open = fake_open,
                                          .close = fake_close,
                                          .caps = fake_get_caps,
                                          .check = fake_check,
                                          .load = fake_load,
                                          .unload = fake_unload,
                                          .step_submit = fake_submit,
                                          .step_wait = fake_wait,
                                          .kv_new = fake_kv_new,
                                          .kv_fork = fake_kv_fork,
                                          .kv_truncate = fake_kv_truncate,
                                          .kv_len = fake_kv_len,
                                          .kv_free = fake_kv_free,
                                          .kv_usage = fake_kv_usage,
                                          .stats = fake_stats,
                                          .device_label = fake_label};

static const int32_t fake_eos[] = {2};

/* Byte-level vocabulary: 0 <unk>, 1 <s>, 2 </s>, 3 + b the byte b, then a few longer ones. */
static inline wick_tokenizer *fake_tokenizer(void)
{
    static char text[FAKE_VOCAB][8];
    static wick_str piece[FAKE_VOCAB];
    static int32_t type[FAKE_VOCAB];
    static const char *const longer[] = {"he", "ll", "llo", "wor", "ld", "the", "an", "in", "er", "on"};
    for (uint32_t i = 0, extra = 256; i < FAKE_VOCAB; i++) {
        type[i] = 1;
        if (i < 3) {
            static const char *const special[] = {"<unk>", "<s>", "</s>"};
            snprintf(text[i], sizeof text[i], "%s", special[i]);
            type[i] = i == 0 ? 2 : 3;
        } else if (i < 259) { /* GPT-2's mapping of bytes to printable characters */
            uint32_t b = i - 3, cp = b;
            bool plain = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
            if (!plain) {
                uint32_t k = 0;
                for (uint32_t j = 0; j < b; j++) k += !((j >= 33 && j <= 126) || (j >= 161 && j != 173));
                cp = 256 + k;
            }
            text[i][wick_utf8_encode(cp, text[i])] = '\0';
        } else if (i - 259 < sizeof longer / sizeof longer[0]) {
            snprintf(text[i], sizeof text[i], "%s", longer[i - 259]);
        } else {
            text[i][wick_utf8_encode(0x4e00 + extra++, text[i])] = '\0';
            type[i] = 4;
        }
        piece[i] = wick_str_of(text[i]);
    }
    wick_vocab_source v = {.model = "gpt2",
                           .pre = "gpt-2",
                           .tokens = piece,
                           .types = type,
                           .n = FAKE_VOCAB,
                           .bos = 1,
                           .eos = 2,
                           .unk = 0,
                           .pad = -1,
                           .add_bos = 0,
                           .add_eos = 0,
                           .add_space_prefix = 0};
    wick_tokenizer *t = NULL;
    wick_err err = {0};
    if (wick_tokenizer_from_vocab(&t, &v, "test", &err) != WICK_OK)
        fprintf(stderr, "fake tokenizer: %s\n", err.message);
    return t;
}

/* An engine on the fake backend. */
static inline wick_engine *fake_engine(const wick_engine_opts *o, const wick_tokenizer *t, uint32_t n_ctx,
                                       uint64_t kv_limit)
{
    static wick_plan plan;
    plan.n_vocab = FAKE_VOCAB;
    plan.n_embd = FAKE_EMBD;
    plan.n_ctx_train = FAKE_MAX_TOKENS;
    wick_engine_parts parts = {.backend = &fake_backend,
                               .plan = &plan,
                               .tokenizer = t,
                               .eos = fake_eos,
                               .n_eos = 1,
                               .kv_limit_bytes = kv_limit,
                               .prefix_limit_bytes = kv_limit ? kv_limit : 1u << 20,
                               .n_ctx = n_ctx};
    wick_engine *e = NULL;
    wick_err err = {0};
    if (wick_engine_start(&e, &parts, o, &err) != WICK_OK) fprintf(stderr, "fake engine: %s\n", err.message);
    return e;
}

static inline void fake_reset(void)
{
    fake_capacity = 0;
    fake_end_only = false;
    fake_order = 0;
    fake_eos_bias = 0;
    atomic_store(&fake_fail_steps, 0);
    atomic_store(&fake_fail_token, 0);
    atomic_store(&fake_fail_waits, 0);
    atomic_store(&fake_n_ahead, 0);
    atomic_store(&fake_nan_token, 0);
    atomic_store(&fake_step_us, 0);
    atomic_store(&fake_token_us, 0);
    atomic_store(&fake_most_rows, 0);
    atomic_store(&fake_most_tokens, 0);
    atomic_store(&fake_n_tokens, 0);
    atomic_store(&fake_n_forks, 0);
}

static inline wick_request_opts greedy(const int32_t *prompt, uint32_t n, uint32_t max)
{
    wick_request_opts o;
    wick_request_opts_init(&o);
    o.prompt = prompt, o.n_prompt = n, o.max_tokens = max;
    o.sampling.temperature = 0;
    return o;
}

static inline wick_request *submit(wick_engine *e, const wick_request_opts *o)
{
    wick_request *r = NULL;
    wick_err err = {0};
    if (wick_request_new(&r, e, o, &err) != WICK_OK) fail_msg("new: %s", err.message);
    if (wick_request_submit(r, &err) != WICK_OK) fail_msg("submit: %s", err.message);
    return r;
}
