/* tests/tools/wick_agree.c - do all ways to run the same tokens give the same logits? For the Python tests.
 *
 *   wick_agree MODEL BACKEND N_TOKENS SEED SET...     SET: PRECISION/ISA/THREADS/KV, for example fast/best/2/F16
 *
 * Three random sequences are run in one go each; then again in odd chunks, token by token, together in mixed batches,
 * from a fork, and after positions were taken back. One JSON object a set on stdout: for each way the largest
 * difference of any logit and whether every bit was the same; the same for this set against the first one; and a hash of
 * the logits, to compare sets.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/backend.h"
#include "base/map.h"
#include "model/model.h"

enum { N_SEQS = 3, MAX_TOKENS = 4096 };

typedef struct rig {
    const wick_backend *b;
    const wick_plan *plan;
    wick_backend_model *m;
    uint32_t n[N_SEQS]; /* tokens of each sequence */
    int32_t tok[N_SEQS][MAX_TOKENS];
    float *want[N_SEQS]; /* [n][n_vocab] in one go */
    float *got[N_SEQS];  /* another way */
    float *const *to;    /* where steps put their logits: want or got */
} rig;

static int fail(const wick_err *e)
{
    fprintf(stderr, "wick_agree: %s: %s\n", wick_status_name(e->kind), e->message);
    return (int)e->kind;
}

/* One step of a row for each sequence in seq[] that is not NULL: its next take[i] tokens from at[i] on. */
static wick_status step(rig *r, wick_seq *const *seq, uint32_t *at, const uint32_t *take, wick_err *err)
{
    wick_row row[N_SEQS];
    uint32_t who[N_SEQS], n = 0;
    wick_step_out out;
    for (uint32_t i = 0; i < N_SEQS; i++) {
        if (!seq[i] || !take[i]) continue;
        who[n] = i;
        row[n++] = (wick_row){seq[i], r->tok[i] + at[i], take[i], WICK_OUT_ALL, 0};
    }
    WICK_TRY(r->b->step_submit(r->m, &(wick_batch){row, n}, err));
    WICK_TRY(r->b->step_wait(r->m, &out, err));
    const float *p = out.data;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = who[k];
        size_t floats = (size_t)take[i] * out.width;
        memcpy(r->to[i] + (size_t)at[i] * out.width, p, floats * sizeof *p);
        p += floats;
        at[i] += take[i];
    }
    return WICK_OK;
}

/* Sequence i alone, `chunk` tokens at a time; chunk 0: sizes that grow and shrink. */
static wick_status alone(rig *r, uint32_t i, wick_seq *s, uint32_t from, uint32_t chunk, wick_err *err)
{
    static const uint32_t odd[] = {5, 1, 17, 2, 33, 3, 1, 9};
    wick_seq *seq[N_SEQS] = {NULL};
    uint32_t at[N_SEQS] = {0}, take[N_SEQS] = {0};
    seq[i] = s;
    at[i] = from;
    for (uint32_t k = 0; at[i] < r->n[i]; k++) {
        uint32_t want = chunk ? chunk : odd[k % (sizeof odd / sizeof *odd)], left = r->n[i] - at[i];
        take[i] = want < left ? want : left;
        WICK_TRY(step(r, seq, at, take, err));
    }
    return WICK_OK;
}

/* All sequences in every step: chunks of one beside single tokens of another; they begin and end at different steps. */
static wick_status together(rig *r, wick_err *err)
{
    wick_seq *seq[N_SEQS] = {NULL};
    uint32_t at[N_SEQS] = {0};
    wick_status st = WICK_OK;
    for (uint32_t i = 0; i < N_SEQS; i++) WICK_TRY_GOTO(r->b->kv_new(r->m, 0, &seq[i], err));
    for (uint32_t k = 0; at[0] < r->n[0] || at[1] < r->n[1] || at[2] < r->n[2]; k++) {
        const uint32_t want[N_SEQS] = {k % 5 == 0 ? 13 : 1, k < 3 ? 0 : k % 3 == 0 ? 7 : 1, k % 2 ? 2 : 1};
        uint32_t take[N_SEQS], total = 0;
        for (uint32_t i = 0; i < N_SEQS; i++) {
            uint32_t left = r->n[i] - at[i];
            take[i] = want[i] < left ? want[i] : left;
            total += take[i];
        }
        if (total) WICK_TRY_GOTO(step(r, seq, at, take, err));
    }
done:
    for (uint32_t i = 0; i < N_SEQS; i++)
        if (seq[i]) r->b->kv_free(r->m, seq[i]);
    return st;
}

/* A first part; a fork of it goes on to the end; with `origin`, what it was forked from does so too, afterwards. */
static wick_status fork_one(rig *r, uint32_t i, bool origin, wick_err *err)
{
    wick_seq *s = NULL, *f = NULL, *seq[N_SEQS] = {NULL};
    uint32_t at[N_SEQS] = {0}, take[N_SEQS] = {0}, half = r->n[i] / 2 + 1;
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(r->b->kv_new(r->m, 0, &s, err));
    seq[i] = s;
    take[i] = half;
    WICK_TRY_GOTO(step(r, seq, at, take, err));
    WICK_TRY_GOTO(r->b->kv_fork(r->m, s, half, &f, err));
    WICK_TRY_GOTO(alone(r, i, f, half, i == 1 ? 1 : 0, err));
    if (origin) WICK_TRY_GOTO(alone(r, i, s, half, 4, err));
done:
    if (f) r->b->kv_free(r->m, f);
    if (s) r->b->kv_free(r->m, s);
    return st;
}

/* Five wrong tokens after the first part, taken back. */
static wick_status take_back(rig *r, uint32_t i, wick_err *err)
{
    wick_seq *s = NULL, *seq[N_SEQS] = {NULL};
    uint32_t at[N_SEQS] = {0}, take[N_SEQS] = {0}, half = r->n[i] / 2 + 1;
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(r->b->kv_new(r->m, 0, &s, err));
    seq[i] = s;
    take[i] = half;
    WICK_TRY_GOTO(step(r, seq, at, take, err));
    wick_row wrong = {s, r->tok[(i + 1) % N_SEQS], 5, WICK_OUT_LAST, 0};
    wick_step_out out;
    WICK_TRY_GOTO(r->b->step_submit(r->m, &(wick_batch){&wrong, 1}, err));
    WICK_TRY_GOTO(r->b->step_wait(r->m, &out, err));
    WICK_TRY_GOTO(r->b->kv_truncate(r->m, s, half, err));
    WICK_TRY_GOTO(alone(r, i, s, half, 0, err));
done:
    if (s) r->b->kv_free(r->m, s);
    return st;
}

typedef enum way { WHOLE, CHUNKS, SINGLE, TOGETHER, FORK, ORIGIN, TAKEN_BACK, N_WAYS } way;
static const char *const way_names[] = {"whole", "chunks", "single", "together", "fork", "origin", "taken_back"};

static wick_status run(rig *r, way w, wick_err *err)
{
    if (w == TOGETHER) return together(r, err);
    for (uint32_t i = 0; i < N_SEQS; i++) {
        if (w == FORK || w == ORIGIN) {
            WICK_TRY(fork_one(r, i, w == ORIGIN, err));
        } else if (w == TAKEN_BACK) {
            WICK_TRY(take_back(r, i, err));
        } else {
            wick_seq *s = NULL;
            WICK_TRY(r->b->kv_new(r->m, 0, &s, err));
            wick_status st = alone(r, i, s, 0, w == WHOLE ? MAX_TOKENS : w == SINGLE ? 1 : 0, err);
            r->b->kv_free(r->m, s);
            WICK_TRY(st);
        }
    }
    return WICK_OK;
}

static void print_difference(const rig *r, const char *name, float *const *a, float *const *b)
{
    double worst = 0;
    bool same = true;
    for (uint32_t i = 0; i < N_SEQS; i++) {
        size_t n = (size_t)r->n[i] * r->plan->n_vocab;
        same &= memcmp(a[i], b[i], n * sizeof **a) == 0;
        for (size_t k = 0; k < n; k++) {
            double d = fabs((double)a[i][k] - b[i][k]);
            if (!(d <= worst)) worst = isnan(d) ? 1e300 : d;
        }
    }
    printf(", \"%s\": [%.3g, %s]", name, worst, same ? "true" : "false");
}

static double largest(const rig *r)
{
    double most = 0;
    for (uint32_t i = 0; i < N_SEQS; i++)
        for (size_t k = 0; k < (size_t)r->n[i] * r->plan->n_vocab; k++) most = fmax(most, fabs((double)r->want[i][k]));
    return most;
}

static wick_status parse_set(const char *set, wick_backend_opts *o, char isa[16], wick_err *err)
{
    char precision[8] = "", kv[8] = "";
    if (sscanf(set, "%7[^/]/%15[^/]/%u/%7s", precision, isa, &o->n_threads, kv) != 4)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "set", "%s: expected PRECISION/ISA/THREADS/KV", set);
    o->precision = strcmp(precision, "exact") == 0  ? WICK_PRECISION_EXACT
                   : strcmp(precision, "fine") == 0 ? WICK_PRECISION_FINE
                                                    : WICK_PRECISION_FAST;
    o->isa = strcmp(isa, "best") == 0 ? NULL : isa;
    o->device = "cpu";
    if (!wick_dtype_from_name(kv, &o->kv_dtype))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "set", "%s: %s is no type", set, kv);
    return WICK_OK;
}

/* first[]: the logits of the first set, filled by it. */
static wick_status one_set(rig *r, const char *set, float *const *first, bool is_first, wick_err *err)
{
    wick_backend_opts o = {0};
    wick_backend_ctx *c = NULL;
    char isa[16];
    wick_status st = WICK_OK;
    WICK_TRY(parse_set(set, &o, isa, err));
    WICK_TRY(r->b->open(&c, &o, err));
    WICK_TRY_GOTO(r->b->load(c, r->plan, MAX_TOKENS, (wick_progress){0}, &r->m, err));
    uint32_t caps = r->b->caps(r->m);
    r->to = r->want;
    WICK_TRY_GOTO(run(r, WHOLE, err));
    r->to = r->got;
    printf("{\"set\": \"%s\", \"label\": \"%s\", \"scale\": %.4g", set, r->b->device_label(r->m), largest(r));
    for (uint32_t w = CHUNKS; w < N_WAYS; w++) {
        if ((w == FORK || w == ORIGIN) && !(caps & WICK_CAP_KV_PREFIX_COPY)) continue;
        if (w == TAKEN_BACK && !(caps & WICK_CAP_SPECULATIVE)) continue;
        for (uint32_t i = 0; i < N_SEQS; i++)
            memset(r->got[i], 0xFF, (size_t)r->n[i] * r->plan->n_vocab * sizeof(float));
        WICK_TRY_GOTO(run(r, (way)w, err));
        print_difference(r, way_names[w], r->want, r->got);
    }
    for (uint32_t i = 0; is_first && i < N_SEQS; i++)
        memcpy(first[i], r->want[i], (size_t)r->n[i] * r->plan->n_vocab * sizeof **first);
    print_difference(r, "first", r->want, first);
    uint64_t hash = 0;
    for (uint32_t i = 0; i < N_SEQS; i++)
        hash = wick_hash_bytes(r->want[i], (size_t)r->n[i] * r->plan->n_vocab * sizeof(float), hash);
    printf(", \"hash\": \"%016" PRIx64 "\"}\n", hash);
    fflush(stdout);
done:
    if (r->m) r->b->unload(r->m);
    r->m = NULL;
    r->b->close(c);
    return st;
}

int main(int argc, char **argv)
{
    wick_err err = {0};
    wick_model model = {0};
    static rig r;
    float *first[N_SEQS] = {NULL};
    if (argc < 6) return fputs("usage: wick_agree MODEL BACKEND N_TOKENS SEED SET...\n", stderr), 2;
    uint32_t n = (uint32_t)atoi(argv[3]);
    uint64_t state = (uint64_t)atoi(argv[4]);
    if (n < 8 || n > MAX_TOKENS) return fputs("wick_agree: N_TOKENS: 8 to 4096\n", stderr), 2;
    if (wick_model_open(&model, argv[1], &err) != WICK_OK) return fail(&err);
    r.plan = &model.plan;
    if (!(r.b = wick_backend_find(argv[2]))) return fputs("wick_agree: no such backend in this build\n", stderr), 2;
    r.n[0] = n;
    r.n[1] = n / 2 + 3;
    r.n[2] = n - 5;
    for (uint32_t i = 0; i < N_SEQS; i++) {
        size_t floats = (size_t)r.n[i] * r.plan->n_vocab;
        for (uint32_t k = 0; k < r.n[i]; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX generator */
            r.tok[i][k] = (int32_t)((state >> 33) % r.plan->n_vocab);
        }
        r.want[i] = calloc(floats, sizeof(float));
        r.got[i] = calloc(floats, sizeof(float));
        first[i] = calloc(floats, sizeof(float));
        if (!r.want[i] || !r.got[i] || !first[i]) abort();
    }
    wick_status st = WICK_OK;
    for (int k = 5; k < argc && st == WICK_OK; k++) st = one_set(&r, argv[k], first, k == 5, &err);
    for (uint32_t i = 0; i < N_SEQS; i++) {
        free(r.want[i]);
        free(r.got[i]);
        free(first[i]);
    }
    wick_model_close(&model);
    return st == WICK_OK ? 0 : fail(&err);
}
