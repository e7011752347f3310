/* tests/tools/wick_histories.c - does it ever matter what was computed before? For the Python tests.
 *
 *   wick_histories MODEL N SEED [MAX_TOKENS [KV_DIR]]
 *
 * N random requests by three users grow conversations: they go on, are edited, cut, branched, sent again, or begin
 * anew, alone or several at once, with little memory to keep anything in. Each is answered by an engine that keeps what
 * it can (with KV_DIR also on disk, and then it is closed and opened again now and then) and by one that keeps and
 * guesses nothing: every token and every log probability must have the same bits. One JSON object with counts on
 * stdout; exit code 1 at the first difference.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/engine.h"

enum { MAX_HELD = 48, MAX_LEN = 4096, MAX_GEN = 40, MAX_AT_ONCE = 4, N_USERS = 3 };

typedef struct history {
    uint64_t user;
    uint32_t n;
    int32_t t[MAX_LEN];
} history;

typedef struct answer {
    uint32_t n, n_cached;
    int32_t id[MAX_GEN];
    float logprob[MAX_GEN];
} answer;

static history held[MAX_HELD];
static uint32_t n_held, n_vocab, max_len = 400;
static uint64_t state;

static uint32_t rnd(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

static int fail(const wick_err *e)
{
    fprintf(stderr, "wick_histories: %s: %s\n", wick_status_name(e->kind), e->message);
    return (int)e->kind;
}

/* n more tokens: mostly from a small set, sometimes a repetition, so that texts share and repeat. */
static void append(history *h, uint32_t n)
{
    while (n > 0 && h->n < max_len) {
        uint32_t run = 1 + rnd(12), back = 1 + rnd(h->n ? h->n : 1);
        bool repeats = h->n > 8 && rnd(3) == 0;
        for (; run > 0 && n > 0 && h->n < max_len; run--, n--) {
            h->t[h->n] = repeats ? h->t[h->n - back] : (int32_t)rnd(rnd(2) ? 20 : n_vocab);
            h->n++;
        }
    }
}

/* The next prompt: something that is there in another form, or something new. */
static void make_prompt(history *h)
{
    uint32_t what = n_held ? rnd(10) : 9;
    if (what == 9) {
        h->user = rnd(N_USERS);
        h->n = 0;
        append(h, 1 + rnd(max_len / 2));
        return;
    }
    *h = held[rnd(n_held)];
    if (what == 8) h->user = rnd(N_USERS);          /* somebody else says the same */
    if (what < 4) h->n = 1 + rnd(h->n);             /* an edit or a branch: cut anywhere */
    if (what != 7) append(h, 1 + rnd(max_len / 8)); /* 7: sent again */
    if (h->n > max_len - MAX_GEN) h->n = max_len - MAX_GEN;
}

static wick_status start(wick_engine *e, const history *h, const wick_sampling *s, uint32_t n_gen, wick_request **r,
                         wick_err *err)
{
    wick_request_opts o;
    wick_request_opts_init(&o);
    o.prompt = h->t;
    o.n_prompt = h->n;
    o.max_tokens = n_gen;
    o.sampling = *s;
    o.ignore_eos = true;
    o.domain.owner = h->user;
    WICK_TRY(wick_request_new(r, e, &o, err));
    return wick_request_submit(*r, err);
}

static wick_status finish(wick_request *r, answer *a, wick_err *err)
{
    const wick_event *ev;
    wick_status st = WICK_OK;
    a->n = 0;
    while ((ev = wick_request_next(r, -1))) {
        if (ev->kind == WICK_EVENT_TOKEN && a->n < MAX_GEN) {
            a->id[a->n] = ev->token;
            a->logprob[a->n++] = ev->logprob;
        }
        if (ev->kind != WICK_EVENT_DONE) continue;
        a->n_cached = ev->usage.n_cached;
        if (ev->finish == WICK_FINISH_ERROR) {
            *err = ev->error;
            st = err->kind;
        }
    }
    wick_request_free(r);
    return st;
}

static void keep(const history *h, const answer *a)
{
    history *to = &held[n_held < MAX_HELD ? n_held++ : rnd(MAX_HELD)];
    *to = *h;
    for (uint32_t i = 0; i < a->n && to->n < max_len; i++) to->t[to->n++] = a->id[i];
}

static bool same(const answer *a, const answer *b)
{
    return a->n == b->n && memcmp(a->id, b->id, a->n * sizeof *a->id) == 0 &&
           memcmp(a->logprob, b->logprob, a->n * sizeof *a->logprob) == 0;
}

/* Up to MAX_AT_ONCE requests; false: an answer differs. */
static wick_status round_of(wick_engine *warm, wick_engine *cold, uint64_t *cached, uint32_t *n, bool *ok,
                            wick_err *err)
{
    static history h[MAX_AT_ONCE];
    wick_request *r[MAX_AT_ONCE];
    wick_sampling s[MAX_AT_ONCE];
    uint32_t n_gen[MAX_AT_ONCE];
    answer a[MAX_AT_ONCE], b;
    *n = rnd(3) ? 1 : 1 + rnd(MAX_AT_ONCE);
    for (uint32_t i = 0; i < *n; i++) {
        make_prompt(&h[i]);
        wick_sampling_init(&s[i]);
        s[i].temperature = rnd(2) ? 0.0F : 0.7F;
        s[i].seed = rnd(1000);
        s[i].has_seed = true;
        n_gen[i] = 1 + rnd(MAX_GEN);
    }
    for (uint32_t i = 0; i < *n; i++) WICK_TRY(start(warm, &h[i], &s[i], n_gen[i], &r[i], err));
    for (uint32_t i = 0; i < *n; i++) WICK_TRY(finish(r[i], &a[i], err));
    for (uint32_t i = 0; i < *n; i++) {
        WICK_TRY(start(cold, &h[i], &s[i], n_gen[i], &r[0], err));
        WICK_TRY(finish(r[0], &b, err));
        *ok = *ok && same(&a[i], &b);
        if (!same(&a[i], &b))
            fprintf(stderr, "prompt of %u tokens, %u of them kept: %u tokens answered, cold %u; not the same\n", h[i].n,
                    a[i].n_cached, a[i].n, b.n);
        *cached += a[i].n_cached;
        keep(&h[i], &a[i]);
    }
    return WICK_OK;
}

int main(int argc, char **argv)
{
    wick_engine *warm = NULL, *cold = NULL;
    wick_engine_opts o;
    wick_err err = {0};
    uint64_t cached = 0, n_prompt = 0;
    uint32_t done = 0;
    bool ok = true;
    uint64_t from_disk = 0;
    if (argc < 4) return 2;
    uint32_t want = (uint32_t)atoi(argv[2]);
    state = (uint64_t)atoll(argv[3]) * 2654435761u + 1;
    if (argc > 4) max_len = (uint32_t)atoi(argv[4]);
    if (max_len > MAX_LEN || max_len < 2 * MAX_GEN) return 2;
    wick_engine_opts_init(&o);
    o.backend = "cpu";
    o.no_tokenizer = true;
    o.n_ctx = max_len;
    o.prefill_chunk = 128;
    o.prefix_cache = false;
    o.no_drafts = true;
    if (wick_engine_open(&cold, argv[1], &o, &err) != WICK_OK) return fail(&err);
    wick_engine_stats st;
    wick_engine_get_stats(cold, &st);
    o.prefix_cache = true;
    o.no_drafts = false;
    /* Room for a few conversations: whatever is kept has to leave again. */
    o.kv_limit_bytes = 8 * ((uint64_t)max_len * st.kv.bytes_per_token + st.kv.checkpoint_bytes) + (1u << 20);
    o.kv_dir = argc > 5 ? argv[5] : NULL;
    o.kv_disk_bytes = 64u << 20;
    if (wick_engine_open(&warm, argv[1], &o, &err) != WICK_OK) return fail(&err);
    n_vocab = wick_engine_model(warm)->plan.n_vocab;
    while (done < want && ok) {
        uint32_t n = 0;
        if (round_of(warm, cold, &cached, &n, &ok, &err) != WICK_OK) return fail(&err);
        done += n;
        if (!o.kv_dir || rnd(12)) continue;
        wick_engine_get_stats(warm, &st);
        from_disk += st.n_disk_tokens;
        wick_engine_close(warm);
        if (wick_engine_open(&warm, argv[1], &o, &err) != WICK_OK) return fail(&err);
    }
    wick_engine_get_stats(warm, &st);
    n_prompt = st.n_prompt_tokens;
    printf("{\"histories\": %u, \"same\": %s, \"cached_tokens\": %" PRIu64 ", \"computed_tokens\": %" PRIu64
           ", \"kept\": %u, \"preempted\": %" PRIu64 ", \"disk_tokens\": %" PRIu64 ", \"drafted\": %" PRIu64
           ", \"accepted\": %" PRIu64 "}\n",
           done, ok ? "true" : "false", cached, n_prompt, st.n_prefixes, st.n_preempted, from_disk + st.n_disk_tokens,
           st.n_drafted, st.n_accepted);
    wick_engine_close(warm);
    wick_engine_close(cold);
    return ok ? 0 : 1;
}
