/* Quantized KV on MLX's CPU device: attention over what the cache says it holds, against double; and what it holds,
 * against what was written. Batches of uneven lengths, forks, truncation, bytes out and in. mlx-lm's own quantized
 * cache is compared in tests/parity. */
#define TINY_DIM 40 /* two groups of 32, the second filled up with zeros */
#include "backend/mlx/testing.h"

enum { MAX = 80, GROUPS = 2, PADDED = 64 };

static float held[LAYERS][2][MAX][KV_HEADS * DIM], step_of[LAYERS][2][MAX][KV_HEADS];
static uint32_t bits;

static uint64_t token_bytes(void)
{
    return (uint64_t)LAYERS * 2 * KV_HEADS * (PADDED * bits / 8 + GROUPS * 2 * sizeof(float));
}

/* The codes, scales and biases of [cache][k then v], decoded to held[]. */
static void decode(const uint8_t *buf, uint32_t n)
{
    uint32_t words = PADDED * bits / 32, per = 32 / bits;
    for (uint32_t i = 0; i < LAYERS * 2; i++) {
        const uint32_t *code = (const uint32_t *)buf;
        const float *scale = (const float *)(code + (size_t)KV_HEADS * n * words);
        const float *bias = scale + (size_t)KV_HEADS * n * GROUPS;
        buf = (const uint8_t *)(bias + (size_t)KV_HEADS * n * GROUPS);
        for (uint32_t h = 0; h < KV_HEADS; h++) {
            for (uint32_t p = 0; p < n; p++) {
                size_t at = (size_t)h * n + p;
                step_of[i / 2][i % 2][p][h] = fmaxf(fabsf(scale[at * GROUPS]), fabsf(scale[at * GROUPS + 1]));
                for (uint32_t d = 0; d < DIM; d++) {
                    uint32_t c = code[at * words + d / per] >> (d % per * bits) & ((1U << bits) - 1);
                    held[i / 2][i % 2][p][h * DIM + d] =
                        scale[at * GROUPS + d / 32] * (float)c + bias[at * GROUPS + d / 32];
                }
            }
        }
    }
}

static uint8_t *export(tiny *t, wick_seq *s, uint32_t n)
{
    uint64_t bytes = 0;
    OK(be->kv_export(t->m, s, 0, n, NULL, &bytes, &err));
    assert_int_equal(bytes, n * token_bytes());
    uint8_t *buf = malloc(bytes);
    assert_non_null(buf);
    OK(be->kv_export(t->m, s, 0, n, buf, &bytes, &err));
    return buf;
}

/* What is held is what was computed, to half a step (and what the choice of steps that hit zero adds). */
static void take_held(uint32_t cache, uint32_t pos)
{
    for (uint32_t part = 0; part < 2; part++) {
        double *x = part ? ref_v[cache][pos] : ref_k[cache][pos];
        for (uint32_t i = 0; i < KV_HEADS * DIM; i++) {
            double now = (double)held[cache][part][pos][i], limit = 1.01 * (double)step_of[cache][part][pos][i / DIM];
            if (!(fabs(now - x[i]) <= limit + 1e-4))
                fail_msg("cache %u, part %u, position %u: %g is held for %g, a step is %g", cache, part, pos, now, x[i],
                         limit);
            x[i] = now;
        }
    }
}

static void use_bits(uint32_t n)
{
    bits = n;
    kv_type = n == 8 ? WICK_DTYPE_Q8_0 : WICK_DTYPE_Q4_0;
}

static void test_reference(void **state)
{
    static const struct {
        uint32_t bits, window, n, chunk;
        float softcap;
        bool sinks;
    } cases[] = {{8, 0, 37, 37, 0, false}, {8, 0, 37, 5, 0, false},  {8, 0, 20, 1, 0, false}, {4, 0, 37, 37, 0, false},
                 {4, 0, 37, 5, 0, false},  {4, 9, 37, 37, 0, false}, {8, 9, 37, 6, 0, false}, {4, 9, 20, 1, 0, false},
                 {8, 0, 21, 8, 3, false},  {4, 7, 21, 20, 2, false}, {8, 0, 30, 30, 0, true}, {4, 9, 30, 3, 0, true}};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        tiny t;
        int32_t tok[MAX];
        uint32_t n = cases[c].n;
        use_bits(cases[c].bits);
        with_sinks = cases[c].sinks;
        open_tiny(&t, cases[c].window, cases[c].softcap, 0);
        tokens_of(tok, n, 0);
        wick_seq *s = new_seq(&t);
        prefill(&t, s, tok, n, cases[c].chunk, got);
        uint8_t *buf = export(&t, s, n);
        decode(buf, n);
        free(buf);
        ref_stored = take_held;
        for (uint32_t i = 0; i < n; i++) ref_token(&t, tok[i], i, want + (size_t)i * VOCAB);
        ref_stored = NULL;
        assert_near(got, want, (size_t)n * VOCAB, 1e-4, "over what is held");
        be->kv_free(t.m, s);
        close_tiny(&t);
    }
    with_sinks = false;
}

/* The same sequence in other company: a code may fall to the other side of a half, but no more than that. */
static const double limit_of[] = {[4] = 0.05, [8] = 0.005};

static void test_batches(void **state)
{
    enum { N = 3, STEPS = 12 };
    static const uint32_t starts[N] = {3, 260, 17};
    static float alone[N][STEPS][VOCAB];
    static int32_t tok[N][300];
    (void)state;
    for (int c = 0; c < 4; c++) {
        tiny t;
        wick_seq *s[N];
        wick_row r[N];
        use_bits(c % 2 ? 4 : 8);
        open_tiny(&t, c < 2 ? 0 : 11, 0, 0);
        for (uint32_t i = 0; i < N; i++) {
            tokens_of(tok[i], starts[i] + STEPS, i);
            s[i] = new_seq(&t);
            prefill(&t, s[i], tok[i], starts[i], 300, got);
            for (uint32_t k = 0; k < STEPS; k++) prefill(&t, s[i], tok[i] + starts[i] + k, 1, 1, alone[i][k]);
            be->kv_free(t.m, s[i]);
            s[i] = new_seq(&t);
            prefill(&t, s[i], tok[i], starts[i], 300, got);
        }
        for (uint32_t k = 0; k < STEPS; k++) {
            for (uint32_t i = 0; i < N; i++) r[i] = (wick_row){s[i], tok[i] + starts[i] + k, 1, WICK_OUT_LAST, 0};
            run(&t, r, N, got);
            for (uint32_t i = 0; i < N; i++)
                assert_near(got + (size_t)i * VOCAB, alone[i][k], VOCAB, limit_of[bits], "batch");
        }
        for (uint32_t i = 0; i < N; i++) be->kv_free(t.m, s[i]);
        close_tiny(&t);
    }
}

static void test_copies(void **state)
{
    enum { N = 40 };
    (void)state;
    for (uint32_t b = 4; b <= 8; b += 4) {
        tiny t;
        int32_t tok[N];
        wick_seq *f = NULL;
        use_bits(b);
        open_tiny(&t, 0, 0, 0);
        tokens_of(tok, N, 3);
        wick_seq *s = new_seq(&t), *in = new_seq(&t);
        prefill(&t, s, tok, 30, 30, want);
        uint8_t *buf = export(&t, s, 30), *again;
        OK(be->kv_fork(t.m, s, 25, &f, &err));
        OK(be->kv_import(t.m, in, 0, 30, buf, 30 * token_bytes(), &err));
        again = export(&t, in, 30);
        assert_memory_equal(buf, again, 30 * token_bytes());
        free(again);
        again = export(&t, f, 25);
        decode(buf, 30);
        static float first[LAYERS][2][MAX][KV_HEADS * DIM];
        memcpy(first, held, sizeof held);
        decode(again, 25);
        for (uint32_t l = 0; l < LAYERS; l++)
            for (uint32_t p = 0; p < 2; p++) assert_memory_equal(first[l][p], held[l][p], 25 * sizeof held[l][p][0]);
        assert_int_not_equal(be->kv_import(t.m, in, 30, 31, buf, token_bytes() - 1, &err), WICK_OK);
        prefill(&t, s, tok + 30, 10, 10, want);
        prefill(&t, in, tok + 30, 10, 10, got);
        assert_near(got, want, 10 * VOCAB, 1e-6, "what was imported goes on as its origin");
        prefill(&t, f, tok + 25, 15, 3, got);
        assert_near(got + (size_t)5 * VOCAB, want, 10 * VOCAB, limit_of[b], "fork");
        OK(be->kv_truncate(t.m, s, 25, &err));
        prefill(&t, s, tok + 25, 15, 4, got);
        assert_near(got + (size_t)5 * VOCAB, want, 10 * VOCAB, limit_of[b], "after truncation");
        free(buf);
        free(again);
        be->kv_free(t.m, s);
        be->kv_free(t.m, f);
        be->kv_free(t.m, in);
        close_tiny(&t);
    }
}

static void test_sizes(void **state)
{
    tiny t;
    wick_kv_usage u;
    wick_backend_opts o = {.device = "cpu", .kv_dtype = WICK_DTYPE_Q5_0};
    wick_progress none = {0};
    (void)state;
    for (uint32_t b = 4; b <= 8; b += 4) {
        use_bits(b);
        open_tiny(&t, 0, 0, 0);
        be->kv_usage(t.m, &u);
        assert_int_equal(u.bytes_per_token, token_bytes());
        assert_non_null(strstr(be->device_label(t.m), b == 8 ? "KV of 8 bits" : "KV of 4 bits"));
        wick_seq *s = new_seq(&t);
        prefill(&t, s, (const int32_t[]){1, 2, 3}, 3, 3, got);
        be->kv_usage(t.m, &u);
        assert_int_equal(u.bytes, WICK_KV_STEP * token_bytes());
        be->kv_free(t.m, s);
        close_tiny(&t);
    }
    make_plan(&t, 0, 0, 0);
    OK(be->open(&t.c, &o, &err));
    assert_int_equal(be->load(t.c, &t.p, 8, none, &t.m, &err), WICK_E_BAD_PARAMETER);
    assert_non_null(strstr(err.message, "Q5_0"));
    be->close(t.c);
    wick_arena_release(&t.p.arena);
}

/* 16-bit activations and scales, as on a GPU: the codes are expanded for every step. The context is told that its
 * device is one. Without quantized KV the largest differences are 0.017 and 0.10, with it 0.052 and 0.22. */
static void test_halves(void **state)
{
    enum { N = 40, STEPS = 8 };
    static const struct {
        wick_dtype t;
        double limit;
    } types[] = {{WICK_DTYPE_F16, 0.1}, {WICK_DTYPE_BF16, 0.4}};
    wick_backend_opts o = {.device = "cpu", .kv_dtype = WICK_DTYPE_Q8_0};
    wick_progress none = {0};
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        tiny t;
        int32_t tok[N + STEPS], other[STEPS + 3];
        uint64_t n = 0;
        tokens_of(tok, N + STEPS, 3);
        tokens_of(other, STEPS + 3, 4);
        make_plan(&t, 0, 0, 0);
        t.p.act_dtype = types[c].t;
        OK(be->open(&t.c, &o, &err));
        t.c->gpu = true;
        OK(be->load(t.c, &t.p, MAX_TOKENS, none, &t.m, &err));
        wick_kv_usage u;
        be->kv_usage(t.m, &u);
        assert_int_equal(u.bytes_per_token, LAYERS * 2 * KV_HEADS * (PADDED + GROUPS * 2 * 2));
        for (uint32_t i = 0; i < N + STEPS; i++) ref_token(&t, tok[i], i, want + (size_t)i * VOCAB);
        wick_seq *s = new_seq(&t), *in = new_seq(&t), *b = new_seq(&t);
        prefill(&t, s, tok, N, N, got);
        assert_near(got, want, N * VOCAB, types[c].limit, "a prompt in 16 bits");
        OK(be->kv_export(t.m, s, 0, N, NULL, &n, &err));
        uint8_t *buf = malloc(n), *again = malloc(n);
        OK(be->kv_export(t.m, s, 0, N, buf, &n, &err));
        OK(be->kv_import(t.m, in, 0, N, buf, n, &err));
        OK(be->kv_export(t.m, in, 0, N, again, &n, &err));
        assert_memory_equal(buf, again, n);
        prefill(&t, b, other, 3, 3, got);
        for (uint32_t k = 0; k < STEPS; k++) { /* two lengths in one call */
            wick_row r[2] = {{in, tok + N + k, 1, WICK_OUT_LAST, 0}, {b, other + 3 + k, 1, WICK_OUT_LAST, 0}};
            run(&t, r, 2, got);
            assert_near(got, want + (size_t)(N + k) * VOCAB, VOCAB, types[c].limit, "tokens in 16 bits");
        }
        free(buf);
        free(again);
        be->kv_free(t.m, s);
        be->kv_free(t.m, in);
        be->kv_free(t.m, b);
        close_tiny(&t);
    }
}

/* Every allocation of a step fails in turn: the sequence stays as it was. */
static void test_failing_memory(void **state)
{
    tiny t;
    int32_t tok[6];
    bool passed = false;
    (void)state;
    use_bits(4);
    open_tiny(&t, 0, 0, 0);
    tokens_of(tok, 6, 0);
    wick_seq *s = new_seq(&t), *whole = new_seq(&t);
    for (uint64_t n = 1; !passed && n < 400; n++) {
        wick_row r = {s, tok, 6, WICK_OUT_ALL, 0};
        wick_batch b = {&r, 1};
        wick_alloc_fail_at(n, true);
        passed = be->step_submit(t.m, &b, &err) == WICK_OK;
        wick_alloc_fail_at(0, false);
        assert_int_equal(be->kv_len(s), passed ? 6 : 0);
    }
    assert_true(passed);
    wick_step_out out;
    OK(be->step_wait(t.m, &out, &err));
    memcpy(got, out.data, 6 * VOCAB * sizeof *got);
    prefill(&t, whole, tok, 6, 6, want);
    assert_near(got, want, 6 * VOCAB, 1e-6, "after failures");
    be->kv_free(t.m, s);
    be->kv_free(t.m, whole);
    close_tiny(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference), cmocka_unit_test(test_batches),
                                       cmocka_unit_test(test_copies),    cmocka_unit_test(test_sizes),
                                       cmocka_unit_test(test_halves),    cmocka_unit_test(test_failing_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
