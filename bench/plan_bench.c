/* bench/plan_bench.c - speed of the CPU backend on a random llama: 1B shape by default, 4-bit affine weights made in
 * memory.
 *
 *   plan_bench [threads] [precision: fast|fine|exact] [isa|-] [layers] [case...]
 *
 * Cases: p128 p512 (prompts), d (decode), d8k (decode behind 8192 tokens), b8, b32 (batch decode). Prints the best and
 * the median of 5 rounds; for decode also the bytes of weights read per second. No tokenizer, no sampling.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/sys.h"

extern const wick_backend wick_backend_cpu;

static uint32_t rng_state = 12345;
static uint32_t rng(void)
{
    rng_state = rng_state * 1664525U + 1013904223U;
    return rng_state;
}

enum { EMBD = 2048, HEADS = 32, KV_HEADS = 8, HEAD_DIM = 64, FF = 8192, VOCAB = 32000, GROUP = 64 };

static void *must(void *p)
{
    if (!p) abort();
    return p;
}

static wick_weight *weight(wick_arena *a, uint32_t n_out, uint32_t n_in)
{
    wick_weight *w = must(wick_arena_array(a, 1, sizeof *w));
    size_t words = (size_t)n_out * n_in / 8, groups = (size_t)n_out * n_in / GROUP;
    uint32_t *q = must(wick_alloc(words * 4));
    uint16_t *s = must(wick_alloc(groups * 2)), *b = must(wick_alloc(groups * 2));
    for (size_t i = 0; i < words; i++) q[i] = rng();
    for (size_t i = 0; i < groups; i++) {
        float d = 0.002F + 0.001F * (float)(rng() >> 16) / 65536.0F;
        s[i] = wick_f32_to_bf16(d);
        b[i] = wick_f32_to_bf16(-7.5F * d);
    }
    *w = (wick_weight){.name = "random",
                       .enc = WICK_ENC_AFFINE,
                       .dtype = WICK_DTYPE_BF16,
                       .bits = 4,
                       .group = GROUP,
                       .n_out = n_out,
                       .n_in = n_in,
                       .data = (const uint8_t *)q,
                       .scales = (const uint8_t *)s,
                       .biases = (const uint8_t *)b};
    if (wick_weight_finish(w, NULL) != WICK_OK) abort();
    return w;
}

static wick_op *op(wick_plan *p, wick_op_kind kind, wick_reg dst, wick_reg src)
{
    wick_op *o = &p->op[p->n_ops++];
    o->kind = kind;
    o->dst = dst;
    o->src = src;
    return o;
}

static void norm(wick_plan *p, wick_reg dst, wick_reg src)
{
    float *w = must(wick_arena_array(&p->arena, EMBD, sizeof *w));
    for (int i = 0; i < EMBD; i++) w[i] = 1.0F;
    wick_op *o = op(p, WICK_OP_NORM, dst, src);
    o->u.norm.w = w;
    o->u.norm.eps = 1e-5F;
}

static void make_plan(wick_plan *p, uint32_t layers)
{
    wick_arena *a = &p->arena;
    memset(p, 0, sizeof *p);
    wick_arena_init(a, 0);
    p->arch = "llama";
    p->n_embd = EMBD;
    p->n_vocab = VOCAB;
    p->op = must(wick_arena_array(a, layers * 6 + 3, sizeof *p->op));
    p->cache = must(wick_arena_array(a, layers, sizeof *p->cache));
    wick_rope *rope = must(wick_arena_array(a, 1, sizeof *rope));
    float *f = must(wick_arena_array(a, HEAD_DIM / 2, sizeof *f));
    for (int i = 0; i < HEAD_DIM / 2; i++) f[i] = 1.0F / (float)(1 << (i / 3));
    *rope = (wick_rope){.n_dims = HEAD_DIM, .inv_freq = f, .mscale = 1.0F};
    wick_op *o = op(p, WICK_OP_EMBED, WICK_R_X, WICK_R_X);
    o->u.embed.w = weight(a, VOCAB, EMBD);
    o->u.embed.scale = 1.0F;
    const wick_weight *emb = o->u.embed.w;
    for (uint32_t l = 0; l < layers; l++) {
        norm(p, WICK_R_H, WICK_R_X);
        wick_op_attn *t = &op(p, WICK_OP_ATTN, WICK_R_H, WICK_R_H)->u.attn;
        p->cache[l] = (wick_cache_spec){.n_kv_head = KV_HEADS, .k_dim = HEAD_DIM, .v_dim = HEAD_DIM};
        *t = (wick_op_attn){.cache = l,
                            .n_head = HEADS,
                            .n_kv_head = KV_HEADS,
                            .head_dim = HEAD_DIM,
                            .v_head_dim = HEAD_DIM,
                            .rope = rope,
                            .scale = 0.125F};
        t->wq = weight(a, HEADS * HEAD_DIM, EMBD);
        t->wk = weight(a, KV_HEADS * HEAD_DIM, EMBD);
        t->wv = weight(a, KV_HEADS * HEAD_DIM, EMBD);
        t->wo = weight(a, EMBD, HEADS * HEAD_DIM);
        op(p, WICK_OP_ADD, WICK_R_X, WICK_R_H)->u.add = (wick_op_add){1, 1};
        norm(p, WICK_R_H, WICK_R_X);
        wick_op_mlp *m = &op(p, WICK_OP_MLP, WICK_R_H, WICK_R_H)->u.mlp;
        m->n_ff = FF;
        m->gate = weight(a, FF, EMBD);
        m->up = weight(a, FF, EMBD);
        m->down = weight(a, EMBD, FF);
        op(p, WICK_OP_ADD, WICK_R_X, WICK_R_H)->u.add = (wick_op_add){1, 1};
    }
    p->n_caches = layers;
    norm(p, WICK_R_X, WICK_R_X);
    o = op(p, WICK_OP_HEAD, WICK_R_X, WICK_R_X);
    o->u.head.w = emb;
    o->u.head.scale = 1.0F;
}

static void die(const wick_err *e)
{
    fprintf(stderr, "plan_bench: %s\n", e->message);
    exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { ROUNDS = 5, MAX_BATCH = 32, MAX_PROMPT = 512 };

/* One case: a batch of sequences with `past` tokens; each step gives every one `n` more. tok/s of the best and median
 * round. */
static void run_case(wick_backend_model *m, const char *name, uint32_t batch, uint32_t past, uint32_t n, uint32_t steps,
                     double gb)
{
    wick_err err;
    static int32_t tok[MAX_BATCH][MAX_PROMPT];
    wick_seq *s[MAX_BATCH];
    wick_row row[MAX_BATCH];
    double rate[ROUNDS];
    for (uint32_t b = 0; b < batch; b++) {
        if (wick_backend_cpu.kv_new(m, past + n * steps, &s[b], &err) != WICK_OK) die(&err);
        for (uint32_t i = 0; i < MAX_PROMPT; i++) tok[b][i] = (int32_t)(rng() >> 8) % VOCAB;
        for (uint32_t i = 0; i < past; i += MAX_PROMPT) {
            wick_row r = {s[b], tok[b], past - i < MAX_PROMPT ? past - i : MAX_PROMPT, WICK_OUT_NONE, 0};
            if (wick_backend_cpu.step_submit(m, &(wick_batch){&r, 1}, &err) != WICK_OK) die(&err);
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        double start = wick_time_ms();
        for (uint32_t i = 0; i < steps; i++) {
            for (uint32_t b = 0; b < batch; b++) row[b] = (wick_row){s[b], tok[b], n, WICK_OUT_LAST, 0};
            if (wick_backend_cpu.step_submit(m, &(wick_batch){row, batch}, &err) != WICK_OK) die(&err);
        }
        rate[round] = batch * n * steps / ((wick_time_ms() - start) / 1000);
        for (uint32_t b = 0; b < batch; b++)
            if (wick_backend_cpu.kv_truncate(m, s[b], past, &err) != WICK_OK) die(&err);
    }
    for (uint32_t b = 0; b < batch; b++) wick_backend_cpu.kv_free(m, s[b]);
    qsort(rate, ROUNDS, sizeof *rate, by_size);
    printf("%-5s best %8.1f median %8.1f tok/s", name, rate[ROUNDS - 1], rate[ROUNDS / 2]);
    if (n == 1) printf("  %.1f GB/s of weights", rate[ROUNDS - 1] / batch * gb);
    printf("\n");
}

int main(int argc, char **argv)
{
    wick_err err;
    wick_plan plan;
    wick_backend_ctx *c;
    wick_backend_model *m;
    wick_backend_stats st;
    const char *prec = argc > 2 ? argv[2] : "fast";
    wick_backend_opts o = {.n_threads = argc > 1 ? (uint32_t)atoi(argv[1]) : 0, .kv_dtype = WICK_DTYPE_F16};
    o.precision = strcmp(prec, "exact") == 0  ? WICK_PRECISION_EXACT
                  : strcmp(prec, "fine") == 0 ? WICK_PRECISION_FINE
                                              : WICK_PRECISION_FAST;
    o.isa = argc > 3 && strcmp(argv[3], "-") != 0 ? argv[3] : NULL;
    make_plan(&plan, argc > 4 ? (uint32_t)atoi(argv[4]) : 16);
    if (wick_backend_cpu.open(&c, &o, &err) != WICK_OK) die(&err);
    double start = wick_time_ms();
    if (wick_backend_cpu.load(c, &plan, MAX_PROMPT, (wick_progress){NULL, NULL}, &m, &err) != WICK_OK) die(&err);
    wick_backend_cpu.stats(m, &st);
    printf("%s; load %.0f ms, %.0f MB\n", wick_backend_cpu.device_label(m), wick_time_ms() - start,
           (double)st.weight_bytes / 1e6);
    const struct {
        const char *name;
        uint32_t batch, past, n, steps;
    } cases[] = {{"d", 1, 0, 1, 32},  {"p128", 1, 0, 128, 1}, {"p512", 1, 0, 512, 1},
                 {"b8", 8, 16, 1, 8}, {"b32", 32, 16, 1, 4},  {"d8k", 1, 8192, 1, 16}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int wanted = argc <= 5;
        for (int k = 5; k < argc; k++) wanted |= strcmp(argv[k], cases[i].name) == 0;
        if (wanted)
            run_case(m, cases[i].name, cases[i].batch, cases[i].past, cases[i].n, cases[i].steps,
                     (double)st.weight_bytes / 1e9);
    }
    wick_backend_cpu.unload(m);
    wick_backend_cpu.close(c);
    return 0;
}
