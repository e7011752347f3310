/* bench/lin_bench.c - the linear layer beside the limits of the machine, measured in the same run.
 *
 *   wick_lin_bench [--json] [--isa NAME] [--enc NAME] [--precision fast|fine|exact] [--rows M]
 *                  [--threads N] [--seconds S] [--small]
 *
 * Matrices of 8192 x 2048 and 2048 x 8192 are cycled over more memory than the last-level cache holds, as a model's
 * layers are. A row: the best of several timed passes, GB/s of packed weights, GOP/s (2 per multiply-add), each with
 * its ratio to the limit of as many threads. Time is the processor time of the slowest thread, so that other processes
 * on a shared machine count through memory and caches only; best, not median, for the same reason. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "backend/cpu/linear_impl.h"
#include "base/alloc.h"
#include "base/sys.h"
#include "base/thread.h"
#include "lin_limits.h"

enum { MAX_THREADS = 64, MAX_LAYERS = 64, N_ROUNDS = 7 };

typedef struct options {
    bool json, small;
    const char *isa, *enc, *precision;
    uint32_t threads, rows; /* 0: all of them */
    double seconds;         /* of one round */
} options;

/* --- threads: each repeats its part until the round is over --- */
typedef struct team {
    void (*fn)(void *ctx, uint32_t thread, uint32_t n_threads);
    void *ctx;
    uint32_t n;
    pthread_barrier_t gate;
    double took[MAX_THREADS]; /* seconds of a thread's part of this round */
    double best;              /* of the slowest part, over the rounds */
} team;

typedef struct member {
    team *t;
    uint32_t index;
} member;

static double cpu_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void *run_member(void *arg)
{
    member *m = arg;
    team *t = m->t;
    for (uint32_t round = 0; round <= N_ROUNDS; round++) {
        pthread_barrier_wait(&t->gate);
        double t0 = cpu_seconds();
        t->fn(t->ctx, m->index, t->n);
        t->took[m->index] = cpu_seconds() - t0;
        pthread_barrier_wait(&t->gate);
        double s = 0;
        for (uint32_t i = 0; i < t->n; i++) s = t->took[i] > s ? t->took[i] : s;
        if (m->index == 0 && round && s < t->best) t->best = s; /* the first round warms up */
        pthread_barrier_wait(&t->gate);
    }
    return NULL;
}

/* Seconds of one call: the best of N_ROUNDS */
static double timed(void (*fn)(void *, uint32_t, uint32_t), void *ctx, uint32_t n_threads)
{
    team t = {.fn = fn, .ctx = ctx, .n = n_threads, .best = 1e30};
    member m[MAX_THREADS];
    wick_thread th[MAX_THREADS];
    pthread_barrier_init(&t.gate, NULL, n_threads);
    for (uint32_t i = 0; i < n_threads; i++) m[i] = (member){&t, i};
    for (uint32_t i = 1; i < n_threads; i++)
        if (wick_thread_start(&th[i], "bench", run_member, &m[i], NULL) != WICK_OK) abort();
    run_member(&m[0]);
    for (uint32_t i = 1; i < n_threads; i++) wick_thread_join(&th[i]);
    pthread_barrier_destroy(&t.gate);
    return t.best;
}

/* --- limits --- */
typedef struct limits {
    double read_gbs, fma_gops, int8_gops;
} limits;

typedef struct limit_ctx {
    const uint8_t *data;
    uint64_t n_bytes, rounds;
    bool wide;
    volatile float sink;
} limit_ctx;

#if defined(__x86_64__)
static void do_read(void *p, uint32_t thread, uint32_t n)
{
    limit_ctx *c = p;
    uint64_t part = c->n_bytes / n / 4096 * 4096;
    c->sink = lin_limit_read_avx2(c->data + thread * part, part);
}
static void do_fma(void *p, uint32_t thread, uint32_t n)
{
    limit_ctx *c = p;
    (void)thread, (void)n;
    c->sink = c->wide ? lin_limit_fma_avx512(c->rounds) : lin_limit_fma_avx2(c->rounds);
}
static void do_int8(void *p, uint32_t thread, uint32_t n)
{
    limit_ctx *c = p;
    (void)thread, (void)n;
    c->sink = c->wide ? lin_limit_int8_vnni(c->rounds) : lin_limit_int8_avx2(c->rounds);
}
static limits measure(const uint8_t *data, uint64_t n_bytes, uint32_t n_threads, bool wide)
{
    limit_ctx c = {.data = data, .n_bytes = n_bytes, .rounds = 4000000, .wide = wide};
    double lanes = (wide ? 512 : 256) / 8 * 12.0 * 2 * (double)c.rounds * n_threads;
    return (limits){.read_gbs = (double)n_bytes / timed(do_read, &c, n_threads) * 1e-9,
                    .fma_gops = lanes / 4 / timed(do_fma, &c, n_threads) * 1e-9,
                    .int8_gops = lanes / timed(do_int8, &c, n_threads) * 1e-9};
}
#else
static limits measure(const uint8_t *data, uint64_t n_bytes, uint32_t n_threads, bool wide)
{
    (void)data, (void)n_bytes, (void)n_threads, (void)wide;
    return (limits){0};
}
#endif

/* --- products --- */
typedef struct enc_row {
    const char *name;
    wick_encoding enc;
    wick_dtype dtype;
    uint32_t bits, group;
} enc_row;
static const enc_row encs[] = {
    {"affine4g64", WICK_ENC_AFFINE, WICK_DTYPE_BF16, 4, 64}, {"affine4g32", WICK_ENC_AFFINE, WICK_DTYPE_BF16, 4, 32},
    {"affine8g64", WICK_ENC_AFFINE, WICK_DTYPE_BF16, 8, 64}, {"affine6g64", WICK_ENC_AFFINE, WICK_DTYPE_BF16, 6, 64},
    {"affine3g64", WICK_ENC_AFFINE, WICK_DTYPE_BF16, 3, 64}, {"q4_0", WICK_ENC_BLOCK, WICK_DTYPE_Q4_0, 0, 0},
    {"q8_0", WICK_ENC_BLOCK, WICK_DTYPE_Q8_0, 0, 0},         {"q4_k", WICK_ENC_BLOCK, WICK_DTYPE_Q4_K, 0, 0},
    {"q5_k", WICK_ENC_BLOCK, WICK_DTYPE_Q5_K, 0, 0},         {"q6_k", WICK_ENC_BLOCK, WICK_DTYPE_Q6_K, 0, 0},
    {"mxfp4", WICK_ENC_BLOCK, WICK_DTYPE_MXFP4, 0, 0},       {"bf16", WICK_ENC_PLAIN, WICK_DTYPE_BF16, 0, 0},
    {"f16", WICK_ENC_PLAIN, WICK_DTYPE_F16, 0, 0},           {"f32", WICK_ENC_PLAIN, WICK_DTYPE_F32, 0, 0},
};

typedef struct bench {
    wick_lin *layer[MAX_LAYERS];
    uint32_t n_layers, n_rows;
    float *x, *y;
    void *act, *scratch[MAX_THREADS];
    uint64_t packed_bytes; /* of one layer */
} bench;

static void do_mul(void *p, uint32_t thread, uint32_t n)
{
    bench *b = p;
    for (uint32_t i = 0; i < b->n_layers; i++) {
        uint32_t tiles = wick_lin_n_tiles(b->layer[i]), from = tiles * thread / n, to = tiles * (thread + 1) / n;
        wick_lin_mul(b->layer[i], b->act, b->n_rows, b->y, wick_lin_n_out(b->layer[i]), from, to, b->scratch[thread]);
    }
}

static void do_prepare(void *p, uint32_t thread, uint32_t n)
{
    bench *b = p;
    wick_lin_act_prepare(b->layer[0], b->x, wick_lin_n_in(b->layer[0]), b->n_rows * thread / n,
                         b->n_rows * (thread + 1) / n, b->n_rows, b->act);
}

static void do_pack(void *p, uint32_t thread, uint32_t n)
{
    bench *b = p;
    uint32_t tiles = wick_lin_n_tiles(b->layer[0]);
    wick_lin_pack_tiles(b->layer[0], tiles * thread / n, tiles * (thread + 1) / n);
}

static wick_weight weight_of(const enc_row *e, uint32_t n_out, uint32_t n_in, const uint8_t *data)
{
    wick_weight w = {.name = e->name,
                     .enc = e->enc,
                     .dtype = e->dtype,
                     .bits = e->bits,
                     .group = e->group,
                     .n_out = n_out,
                     .n_in = n_in};
    if (wick_weight_finish(&w, NULL) != WICK_OK) abort();
    w.data = data;
    if (e->enc == WICK_ENC_AFFINE) {
        w.scales = data + w.row_bytes * n_out;
        w.biases = w.scales + w.scale_row_bytes * n_out;
    }
    return w;
}

static const char *const precisions[] = {"fast", "fine", "exact"};

typedef struct job {
    const options *o;
    const wick_lin_isa *isa;
    const enc_row *e;
    wick_precision p;
    uint32_t n_out, n_in, threads;
    limits lim;
    uint8_t *source, *memory; /* a file's matrix; where the packed ones lie */
    uint64_t memory_bytes;
    bool *first;
} job;

static void report(const job *j, const bench *b, const char *what, double s, double bytes, double gops)
{
    double peak = b->layer[0]->is_int ? j->lim.int8_gops : j->lim.fma_gops;
    double r_read = j->lim.read_gbs > 0 ? bytes / s * 1e-9 / j->lim.read_gbs : 0,
           r_peak = peak > 0 ? gops / s / peak : 0;
    if (j->o->json)
        printf("%s\n  {\"isa\": \"%s\", \"enc\": \"%s\", \"precision\": \"%s\", \"n_out\": %u, \"n_in\": %u, "
               "\"threads\": %u, "
               "\"what\": \"%s\", \"rows\": %u, \"ms\": %.4f, \"gbs\": %.2f, \"gops\": %.1f, \"of_read\": %.3f, "
               "\"of_peak\": %.3f}",
               *j->first ? "" : ",", j->isa->name, j->e->name, precisions[j->p], j->n_out, j->n_in, j->threads, what,
               b->n_rows, s * 1e3 / b->n_layers, bytes / s * 1e-9, gops / s, r_read, r_peak);
    else
        printf("%-12s %-10s %-5s %5ux%-5u t=%u %-4s M=%-4u %8.3f ms %7.1f GB/s (%3.0f %%) %8.1f GOP/s (%3.0f %%)\n",
               j->isa->name, j->e->name, precisions[j->p], j->n_out, j->n_in, j->threads, what, b->n_rows,
               s * 1e3 / b->n_layers, bytes / s * 1e-9, r_read * 100, gops / s, r_peak * 100);
    fflush(stdout);
    *j->first = false;
}

static void run_rows(const job *j, bench *b, uint32_t n_rows)
{
    const wick_lin *l = b->layer[0];
    double macs = 2.0 * j->n_out * (double)j->n_in * n_rows * 1e-9;
    b->n_rows = n_rows;
    b->x = wick_alloc_aligned(64, (size_t)n_rows * j->n_in * sizeof(float));
    b->y = wick_alloc_aligned(64, (size_t)n_rows * j->n_out * sizeof(float));
    b->act = wick_alloc_aligned(64, wick_lin_act_bytes(l, n_rows));
    if (!b->x || !b->y || !b->act) abort();
    for (uint32_t i = 0; i < n_rows * j->n_in; i++) b->x[i] = (float)((int)(i * 2654435761u >> 20) - 2048) * 1e-3f;
    for (uint32_t t = 0; t < j->threads; t++)
        if (!(b->scratch[t] = wick_alloc_aligned(64, wick_lin_scratch_bytes(l, n_rows)))) abort();
    uint32_t all = b->n_layers;
    b->n_layers = 1;
    double s = timed(do_prepare, b, j->threads);
    if (n_rows == 1 || n_rows == 128) report(j, b, "prep", s, (double)n_rows * j->n_in * 4, 0);
    uint32_t need = (uint32_t)(j->o->seconds / (macs / 400.0 + (double)b->packed_bytes / 20e9)) + 1;
    b->n_layers = n_rows > 8 && need < all ? need : all; /* where memory does not matter, fewer will do */
    s = timed(do_mul, b, j->threads);
    report(j, b, "mul", s, (double)b->packed_bytes * b->n_layers, macs * b->n_layers);
    b->n_layers = all;
    wick_free(b->x);
    wick_free(b->y);
    wick_free(b->act);
    for (uint32_t t = 0; t < j->threads; t++) wick_free(b->scratch[t]);
}

static void run_job(const job *j)
{
    static const uint32_t rows[] = {1, 2, 4, 8, 32, 128, 512};
    wick_weight w = weight_of(j->e, j->n_out, j->n_in, j->source);
    bench b = {.packed_bytes = wick_lin_packed_bytes(j->isa, &w, j->p), .n_rows = 1};
    while (b.n_layers < MAX_LAYERS && (b.n_layers + 1) * b.packed_bytes + 8192 <= j->memory_bytes) {
        if (wick_lin_new(&b.layer[b.n_layers], j->isa, &w, j->p, j->memory + b.n_layers * b.packed_bytes, NULL) !=
            WICK_OK)
            abort();
        b.n_layers++;
    }
    for (uint32_t i = 1; i < b.n_layers; i++) wick_lin_pack_tiles(b.layer[i], 0, 1); /* the rest: whatever lies there */
    uint32_t all = b.n_layers;
    b.n_layers = 1;
    double s = timed(do_pack, &b, j->threads);
    report(j, &b, "pack", s, (double)wick_weight_bytes(&w), 0);
    b.n_layers = all;
    for (uint32_t i = 1; i < all; i++) memcpy(j->memory + i * b.packed_bytes, j->memory, b.packed_bytes);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!j->o->rows) run_rows(j, &b, rows[i]);
    if (j->o->rows) run_rows(j, &b, j->o->rows);
    for (uint32_t i = 0; i < all; i++) wick_lin_free(b.layer[i]);
}

static void parse(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--json"))
            o->json = true;
        else if (!strcmp(argv[i], "--small"))
            o->small = true;
        else if (!strcmp(argv[i], "--isa"))
            o->isa = next, i++;
        else if (!strcmp(argv[i], "--enc"))
            o->enc = next, i++;
        else if (!strcmp(argv[i], "--threads"))
            o->threads = (uint32_t)atoi(next), i++;
        else if (!strcmp(argv[i], "--rows"))
            o->rows = (uint32_t)atoi(next), i++;
        else if (!strcmp(argv[i], "--precision"))
            o->precision = next, i++;
        else if (!strcmp(argv[i], "--seconds"))
            o->seconds = atof(next), i++;
        else {
            fprintf(stderr,
                    "usage: wick_lin_bench [--json] [--isa NAME] [--enc NAME] [--precision fast|fine|exact] [--rows M] "
                    "[--threads N] [--seconds S] [--small]\n");
            exit(2);
        }
    }
    if (o->threads > MAX_THREADS) o->threads = MAX_THREADS;
}

int main(int argc, char **argv)
{
    options o = {.threads = 0, .seconds = 0.1};
    parse(argc, argv, &o);
    wick_err err = {0};
    const wick_lin_isa *isa = NULL;
    if (wick_lin_isa_pick(&isa, o.isa, &err) != WICK_OK) {
        fprintf(stderr, "%s\n", err.message);
        return (int)err.kind;
    }
    bool first = true, wide = wick_cpu_probe()->avx512_vnni && strncmp(isa->name, "avx512", 6) == 0;
    uint64_t n_bytes = (uint64_t)(o.small ? 40 : 280) << 20;
    uint8_t *memory = wick_alloc_aligned(4096, n_bytes), *source = wick_alloc_aligned(64, 80u << 20);
    if (!memory || !source) return 1;
    memset(memory, 1, n_bytes);
    for (uint32_t i = 0; i < 80u << 20; i++) source[i] = (uint8_t)((i * 2654435761u >> 24 & 0x37) | 8);
    uint32_t last = o.threads ? o.threads : wick_cpu_count();
    if (o.json) printf("{\"machine\": \"%s\", \"results\": [", wick_cpu_name());
    limits lim[MAX_THREADS + 1];
    for (uint32_t t = o.threads ? o.threads : 1; t <= last; t = t == last ? last + 1 : last) {
        lim[t] = measure(memory, n_bytes, t, wide);
        if (!o.json)
            printf("%s, %s, %u threads: read %.1f GB/s, int8 %.0f GOP/s, float %.0f GOP/s\n", wick_cpu_name(),
                   isa->name, t, lim[t].read_gbs, lim[t].int8_gops, lim[t].fma_gops);
        for (size_t e = 0; e < sizeof encs / sizeof encs[0]; e++) {
            if (o.enc && strcmp(o.enc, encs[e].name) != 0) continue;
            for (uint32_t shape = 0; shape < 2; shape++)
                for (int p = WICK_PRECISION_FAST; p <= WICK_PRECISION_EXACT; p++) {
                    if (encs[e].enc == WICK_ENC_PLAIN && p != WICK_PRECISION_EXACT) continue;
                    if (o.precision && strcmp(o.precision, precisions[p]) != 0) continue;
                    job j = {.o = &o,
                             .isa = isa,
                             .e = &encs[e],
                             .p = (wick_precision)p,
                             .n_out = shape ? 2048 : 8192,
                             .n_in = shape ? 8192 : 2048,
                             .threads = t,
                             .lim = lim[t],
                             .source = source,
                             .memory = memory,
                             .memory_bytes = n_bytes,
                             .first = &first};
                    run_job(&j);
                }
        }
    }
    if (o.json)
        printf("\n], \"limits\": [{\"threads\": %u, \"read_gbs\": %.2f, \"int8_gops\": %.1f, \"float_gops\": %.1f}]}\n",
               last, lim[last].read_gbs, lim[last].int8_gops, lim[last].fma_gops);
    wick_free(memory);
    wick_free(source);
    return 0;
}
