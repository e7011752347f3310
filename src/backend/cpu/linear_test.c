/* The linear layer against a float64 product over wick_weight_row: every encoding, precision, instruction set of this
 * machine and class of shape; and the promise that a row's bits do not depend on how the work was cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "backend/cpu/linear_impl.h"
#include "base/alloc.h"

typedef struct enc_row {
    const char *name;
    wick_encoding enc;
    wick_dtype dtype;
    uint32_t bits, group;
    int d_at, dmin_at; /* BLOCK: where the f16 scales are in a block; -1: none */
    uint32_t n_in[2];
} enc_row;

#define PLAIN(t, a, b)                                    \
    {                                                     \
#t, WICK_ENC_PLAIN, WICK_DTYPE_##t, 0, 0, -1, -1, \
        {                                                 \
            a, b                                          \
        }                                                 \
    }
#define AFFINE(bits, g, t, a, b)                                                        \
    {                                                                                   \
        "affine" #bits "g" #g " " #t, WICK_ENC_AFFINE, WICK_DTYPE_##t, bits, g, -1, -1, \
        {                                                                               \
            a, b                                                                        \
        }                                                                               \
    }
#define BLOCK(t, d, m, a, b)                            \
    {                                                   \
#t, WICK_ENC_BLOCK, WICK_DTYPE_##t, 0, 0, d, m, \
        {                                               \
            a, b                                        \
        }                                               \
    }
static const enc_row encs[] = {
    PLAIN(F32, 33, 320),
    PLAIN(F16, 64, 100),
    PLAIN(BF16, 7, 576),
    AFFINE(4, 64, BF16, 64, 1088),
    AFFINE(4, 32, F16, 32, 608),
    AFFINE(4, 128, F32, 128, 640),
    AFFINE(8, 64, F16, 64, 576),
    AFFINE(8, 32, BF16, 96, 544),
    AFFINE(8, 128, BF16, 128, 384),
    AFFINE(2, 64, BF16, 64, 320),
    AFFINE(3, 64, BF16, 64, 320),
    AFFINE(5, 64, F16, 64, 320),
    AFFINE(6, 32, BF16, 32, 352),
    {"mxfp4", WICK_ENC_MXFP4, WICK_DTYPE_U8, 4, 32, -1, -1, {32, 352}},
    {"nvfp4", WICK_ENC_NVFP4, WICK_DTYPE_U8, 4, 16, -1, -1, {32, 336}},
    {"mxfp8", WICK_ENC_MXFP8, WICK_DTYPE_U8, 8, 32, -1, -1, {32, 352}},
    BLOCK(Q4_0, 0, -1, 32, 608),
    BLOCK(Q4_1, 0, 2, 32, 352),
    BLOCK(Q5_0, 0, -1, 32, 352),
    BLOCK(Q5_1, 0, 2, 32, 352),
    BLOCK(Q8_0, 0, -1, 32, 608),
    BLOCK(Q2_K, 80, 82, 256, 512),
    BLOCK(Q3_K, 108, -1, 256, 512),
    BLOCK(Q4_K, 0, 2, 256, 1280),
    BLOCK(Q5_K, 0, 2, 256, 768),
    BLOCK(Q6_K, 208, -1, 256, 768),
    BLOCK(IQ4_NL, 0, -1, 32, 352),
    BLOCK(IQ4_XS, 0, -1, 256, 512),
    BLOCK(IQ2_XXS, 0, -1, 256, 512),
    BLOCK(IQ3_S, 0, -1, 256, 512),
    BLOCK(TQ1_0, 52, -1, 256, 512),
    BLOCK(TQ2_0, 64, -1, 256, 512),
    BLOCK(MXFP4, -1, -1, 32, 352),
};
enum { N_ENCS = sizeof encs / sizeof encs[0], N_OUT = 257, M_MAX = 40 };
static const char *const isas[] = {"portable",    "avx2", "avx2-vnni",    "avx512",
                                   "avx512-vnni", "neon", "neon-dotprod", "neon-i8mm"};
enum { N_ISAS = sizeof isas / sizeof isas[0] };
static const uint32_t outs[] = {1, 15, 16, 17, 40, 64, 257};
static const uint32_t rows_of[] = {1, 2, 3, 7, 8, 13, 14, 15, 32, 33};
/* WICK_TEST_QUICK in the environment: fewer shapes, for emulated processors. */
static bool quick;

static uint64_t rng_state = 1;
static uint32_t rng(void)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(rng_state >> 32);
}
static double uniform(void)
{
    return (rng() + 0.5) / 4294967296.0;
}
static float gauss(void)
{
    return (float)(sqrt(-2.0 * log(uniform())) * cos(6.283185307179586 * uniform()));
}

/* A matrix of random codes with sane scales, behind a wick_weight. Reads past its end are the sanitizer's to see. */
static void *bytes_new(uint64_t n)
{
    uint8_t *p = wick_alloc(n);
    assert_non_null(p);
    for (uint64_t i = 0; i < n; i++) p[i] = (uint8_t)rng();
    return p;
}

static void put_float(wick_dtype t, void *at, float v)
{
    uint16_t h = t == WICK_DTYPE_F16 ? wick_f32_to_f16(v) : wick_f32_to_bf16(v);
    if (t == WICK_DTYPE_F32)
        memcpy(at, &v, 4);
    else
        memcpy(at, &h, 2);
}

static void fill_floats(wick_dtype t, void *p, uint64_t n, float scale)
{
    for (uint64_t i = 0; i < n; i++) put_float(t, (uint8_t *)p + i * (t == WICK_DTYPE_F32 ? 4 : 2), scale * gauss());
}

static wick_weight weight_new(const enc_row *e, uint32_t n_in)
{
    wick_weight w = {.name = e->name,
                     .enc = e->enc,
                     .dtype = e->dtype,
                     .bits = e->bits,
                     .group = e->group,
                     .n_out = N_OUT,
                     .n_in = n_in};
    wick_err err = {0};
    if (wick_weight_finish(&w, &err) != WICK_OK) fail_msg("%s: %s", e->name, err.message);
    uint8_t *data = bytes_new(w.row_bytes * N_OUT), *scales = NULL, *biases = NULL;
    uint64_t n_groups = e->group ? (uint64_t)N_OUT * n_in / e->group : 0;
    if (e->enc == WICK_ENC_PLAIN) fill_floats(e->dtype, data, (uint64_t)N_OUT * n_in, 1.0f);
    if (e->enc == WICK_ENC_BLOCK) {
        uint32_t size = wick_dtype_block_bytes(e->dtype);
        for (uint8_t *b = data; b < data + w.row_bytes * N_OUT; b += size) {
            if (e->d_at >= 0) put_float(WICK_DTYPE_F16, b + e->d_at, 0.02f * gauss());
            if (e->dmin_at >= 0) put_float(WICK_DTYPE_F16, b + e->dmin_at, 0.02f * gauss());
            if (e->d_at < 0) b[0] = (uint8_t)(120 + b[0] % 8);
        }
    }
    if (n_groups) scales = bytes_new(w.scale_row_bytes * N_OUT);
    if (e->enc == WICK_ENC_AFFINE) {
        biases = bytes_new(w.scale_row_bytes * N_OUT);
        fill_floats(e->dtype, scales, n_groups, 0.02f);
        fill_floats(e->dtype, biases, n_groups, 0.2f);
    } else if (e->enc == WICK_ENC_NVFP4) {
        w.global_scale = 0.37f;
        for (uint64_t i = 0; i < n_groups; i++) scales[i] = (scales[i] & 0x7f) % 0x7f;
    } else {
        for (uint64_t i = 0; i < n_groups; i++) scales[i] = (uint8_t)(120 + scales[i] % 8);
    }
    if (e->enc == WICK_ENC_MXFP8)
        for (uint64_t i = 0; i < w.row_bytes * N_OUT; i++)
            if ((data[i] & 0x7f) == 0x7f) data[i] = 0;
    w.data = data;
    w.scales = scales;
    w.biases = biases;
    return w;
}

static void weight_free(wick_weight *w)
{
    wick_free((void *)(uintptr_t)w->data);
    wick_free((void *)(uintptr_t)w->scales);
    wick_free((void *)(uintptr_t)w->biases);
}

typedef struct product {
    wick_lin *l;
    void *packed;
} product;

static product product_new(const char *isa_name, const wick_weight *w, wick_precision p)
{
    const wick_lin_isa *isa = NULL;
    product r = {0};
    assert_int_equal(wick_lin_isa_pick(&isa, isa_name, NULL), WICK_OK);
    r.packed = wick_alloc_aligned(64, wick_lin_packed_bytes(isa, w, p) + 1);
    assert_non_null(r.packed);
    assert_int_equal(wick_lin_new(&r.l, isa, w, p, r.packed, NULL), WICK_OK);
    uint32_t n = wick_lin_n_tiles(r.l);
    assert_int_equal(n, (w->n_out + 15) / 16);
    wick_lin_pack_tiles(r.l, n / 2, n);
    wick_lin_pack_tiles(r.l, 0, n / 2);
    return r;
}

static void product_free(product *r)
{
    wick_lin_free(r->l);
    wick_free(r->packed);
}

/* y[m][n_out] for rows [0, n_rows), the activations prepared in two parts, the tiles in runs of `run` */
static void product_run(const product *r, const float *x, uint32_t n_rows, float *y, uint32_t run)
{
    uint32_t n_in = wick_lin_n_in(r->l), n_out = wick_lin_n_out(r->l), n = wick_lin_n_tiles(r->l), half = n_rows / 2;
    void *act = wick_alloc_aligned(64, wick_lin_act_bytes(r->l, n_rows));
    void *scratch = wick_alloc_aligned(64, wick_lin_scratch_bytes(r->l, n_rows));
    assert_true(act && scratch);
    wick_lin_act_prepare(r->l, x, n_in, half, n_rows, n_rows, act);
    wick_lin_act_prepare(r->l, x, n_in, 0, half, n_rows, act);
    for (uint32_t t = 0; t < n; t += run)
        wick_lin_mul(r->l, act, n_rows, y, n_out, t, t + run < n ? t + run : n, scratch);
    wick_free(act);
    wick_free(scratch);
}

static bool isa_here(const char *name)
{
    const wick_lin_isa *isa;
    return wick_lin_isa_pick(&isa, name, NULL) == WICK_OK;
}

typedef struct fixture {
    wick_weight w;
    float *x, *y;                        /* [M_MAX][n_in], [M_MAX][N_OUT] */
    double *ref;                         /* [M_MAX][N_OUT] */
    double w_norm[N_OUT], x_norm[M_MAX]; /* squared */
} fixture;

static fixture fixture_new(const enc_row *e, uint32_t n_in)
{
    fixture f = {.w = weight_new(e, n_in)};
    float *row = wick_alloc(n_in * sizeof *row);
    f.x = wick_alloc((size_t)M_MAX * n_in * sizeof *f.x);
    f.y = wick_alloc((size_t)M_MAX * N_OUT * sizeof *f.y);
    f.ref = wick_alloc((size_t)M_MAX * N_OUT * sizeof *f.ref);
    assert_true(row && f.x && f.y && f.ref);
    for (uint32_t i = 0; i < M_MAX * n_in; i++) f.x[i] = gauss();
    for (uint32_t i = 0; i < M_MAX * n_in; i++) f.x_norm[i / n_in] += (double)f.x[i] * (double)f.x[i];
    for (uint32_t n = 0; n < N_OUT; n++) {
        wick_weight_row(&f.w, n, row);
        for (uint32_t k = 0; k < n_in; k++) f.w_norm[n] += (double)row[k] * (double)row[k];
        for (uint32_t m = 0; m < M_MAX; m++) {
            double s = 0;
            for (uint32_t k = 0; k < n_in; k++) s += (double)row[k] * (double)f.x[m * n_in + k];
            f.ref[m * N_OUT + n] = s;
        }
    }
    wick_free(row);
    return f;
}

static void fixture_free(fixture *f)
{
    weight_free(&f->w);
    wick_free(f->x);
    wick_free(f->y);
    wick_free(f->ref);
}

/* Root of the squared differences over the norm that gaussian activations give on average, |w| |x| / sqrt(n_in). */
static double error_of(const fixture *f, uint32_t n_rows, uint32_t n_out)
{
    double diff = 0, norm = 0;
    for (uint32_t m = 0; m < n_rows; m++)
        for (uint32_t n = 0; n < n_out; n++) {
            double d = (double)f->y[m * n_out + n] - f->ref[m * N_OUT + n];
            diff += d * d;
            norm += f->w_norm[n] * f->x_norm[m] / f->w.n_in;
        }
    return sqrt(diff / norm);
}

static void check_shapes(const enc_row *e, const fixture *f, const char *isa, wick_precision p)
{
    static const double bound[] = {
        [WICK_PRECISION_FAST] = 2e-2, [WICK_PRECISION_FINE] = 5e-4, [WICK_PRECISION_EXACT] = 2e-6};
    bool slow = strcmp(isa, "portable") == 0;
    for (size_t o = 0; o < sizeof outs / sizeof outs[0]; o++) {
        wick_weight w = f->w;
        if (quick && outs[o] != 15 && outs[o] != 17 && outs[o] != 40) continue;
        w.n_out = outs[o];
        product r = product_new(isa, &w, p);
        assert_int_equal(wick_lin_n_out(r.l), outs[o]);
        for (size_t i = 0; i < sizeof rows_of / sizeof rows_of[0]; i++) {
            if (slow && (i + o) % 4) continue;
            if (quick && (i + o) % 3) continue;
            memset(f->y, 0xff, (size_t)M_MAX * N_OUT * sizeof *f->y);
            product_run(&r, f->x, rows_of[i], f->y, 3);
            double err = error_of(f, rows_of[i], outs[o]);
            double limit = bound[p] * (outs[o] * rows_of[i] < 16 ? 3 : 1); /* few samples */
            if (!(err <= limit))
                fail_msg("%s, %s, precision %d, %u x %u, %u rows: error %.3g", e->name, isa, (int)p, outs[o], w.n_in,
                         rows_of[i], err);
        }
        product_free(&r);
    }
}

static bool has_encoding(const enc_row *e)
{
    return e->enc != WICK_ENC_BLOCK || wick_block_has_decoder(e->dtype);
}

static void test_products(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ENCS; i++) {
        if (!has_encoding(&encs[i])) continue;
        for (size_t k = quick; k < 2; k++) {
            fixture f = fixture_new(&encs[i], encs[i].n_in[k]);
            for (size_t j = 0; j < N_ISAS; j++)
                for (int p = WICK_PRECISION_FAST; p <= WICK_PRECISION_EXACT && isa_here(isas[j]); p++)
                    check_shapes(&encs[i], &f, isas[j], (wick_precision)p);
            fixture_free(&f);
        }
    }
}

/* Every number of rows, and tiles in other runs, give the bits that each row gives alone. */
static void test_rows_are_independent(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ENCS; i++) {
        if (!has_encoding(&encs[i])) continue;
        fixture f = fixture_new(&encs[i], encs[i].n_in[1]);
        f.w.n_out = 49;
        float *alone = wick_alloc((size_t)M_MAX * N_OUT * sizeof *alone);
        assert_non_null(alone);
        for (size_t j = 0; j < N_ISAS; j++)
            for (int p = WICK_PRECISION_FAST; p <= WICK_PRECISION_EXACT && isa_here(isas[j]); p++) {
                product r = product_new(isas[j], &f.w, (wick_precision)p);
                for (uint32_t m = 0; m < M_MAX; m++) product_run(&r, f.x + m * f.w.n_in, 1, alone + m * 49, 4);
                for (uint32_t m = 1; m <= M_MAX; m += !j || (quick && m > 6) ? 13 : 1) {
                    uint32_t from = rng() % (M_MAX - m + 1);
                    product_run(&r, f.x + from * f.w.n_in, m, f.y, 1 + m % 4);
                    if (memcmp(f.y, alone + from * 49, m * 49 * sizeof *alone) != 0)
                        fail_msg("%s, %s, precision %d: %u rows differ from single rows", encs[i].name, isas[j], p, m);
                }
                product_free(&r);
            }
        wick_free(alone);
        fixture_free(&f);
    }
}

/* Integer kernels: the portable bits everywhere. Float kernels: the same bits wherever multiply-add is fused. */
static void test_instruction_sets_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ENCS; i++) {
        if (!has_encoding(&encs[i])) continue;
        fixture f = fixture_new(&encs[i], encs[i].n_in[1]);
        float *first = wick_alloc((size_t)M_MAX * N_OUT * sizeof *first);
        assert_non_null(first);
        for (int p = WICK_PRECISION_FAST; p <= WICK_PRECISION_EXACT; p++) {
            bool have = false;
            for (size_t j = 0; j < N_ISAS; j++) {
                if (!isa_here(isas[j])) continue;
                product r = product_new(isas[j], &f.w, (wick_precision)p);
                bool skip = !r.l->is_int && j == 0;
                if (!skip) product_run(&r, f.x, 5, have ? f.y : first, 100);
                product_free(&r);
                if (skip) continue;
                if (have && memcmp(first, f.y, 5 * N_OUT * sizeof *first) != 0)
                    fail_msg("%s, %s, precision %d: other bits than the first instruction set", encs[i].name, isas[j],
                             p);
                have = true;
            }
        }
        wick_free(first);
        fixture_free(&f);
    }
}

/* Rows of two matrices interleaved in one (row_step 2) are the rows of each. */
static void test_row_step(void **state)
{
    (void)state;
    static const enc_row e = AFFINE(4, 64, BF16, 128, 128);
    fixture f = fixture_new(&e, 128);
    f.w.row_step = 2;
    f.w.n_out = N_OUT / 2;
    product r = product_new(NULL, &f.w, WICK_PRECISION_EXACT);
    product_run(&r, f.x, 3, f.y, 100);
    for (uint32_t m = 0; m < 3; m++)
        for (uint32_t n = 0; n < f.w.n_out; n++)
            assert_float_equal(f.y[m * f.w.n_out + n], f.ref[m * N_OUT + 2 * n], 1e-4);
    product_free(&r);
    fixture_free(&f);
}

/* Zeros give zeros; outliers, tiny and huge blocks do not spill into others; NaN stays in its row. */
static void test_hard_activations(void **state)
{
    (void)state;
    static const enc_row e = AFFINE(4, 64, BF16, 256, 256);
    fixture f = fixture_new(&e, 256);
    for (size_t j = 0; j < N_ISAS; j++)
        for (int p = WICK_PRECISION_FAST; p <= WICK_PRECISION_EXACT && isa_here(isas[j]); p++) {
            product r = product_new(isas[j], &f.w, (wick_precision)p);
            for (uint32_t k = 0; k < 256; k++) {
                f.x[k] = 0;
                f.x[256 + k] = 1e-40f;
                f.x[512 + k] = (k < 64 ? 1e20f : 1.0f) * gauss();
            }
            f.x[768 + 5] = NAN;
            product_run(&r, f.x, 5, f.y, 100);
            for (uint32_t n = 0; n < N_OUT; n++) {
                assert_true(f.y[n] == 0);
                assert_true(fabsf(f.y[N_OUT + n]) < 1e-30f);
                assert_true(isfinite(f.y[2 * N_OUT + n]));
                assert_true(isnan(f.y[3 * N_OUT + n]));
                assert_true(isfinite(f.y[4 * N_OUT + n]));
            }
            product_free(&r);
        }
    fixture_free(&f);
}

static void test_interface(void **state)
{
    (void)state;
    wick_err err = {0};
    const wick_lin_isa *isa = NULL;
    assert_int_equal(wick_lin_isa_pick(&isa, "vax", &err), WICK_E_BAD_PARAMETER);
    assert_non_null(strstr(err.message, "portable"));
    assert_int_equal(wick_lin_isa_pick(&isa, NULL, &err), WICK_OK);
    static const enc_row e = AFFINE(8, 32, F16, 96, 96);
    fixture f = fixture_new(&e, 96);
    product r = product_new("portable", &f.w, WICK_PRECISION_FAST);
    float a[96], b[96];
    wick_lin_row(r.l, 256, a);
    wick_weight_row(&f.w, 256, b);
    assert_memory_equal(a, b, sizeof a);
    product s = product_new("portable", &f.w, WICK_PRECISION_FINE);
    assert_int_not_equal(wick_lin_act_key(r.l), wick_lin_act_key(s.l));
    wick_lin *none = NULL;
    wick_alloc_fail_at(1, false);
    assert_int_equal(wick_lin_new(&none, isa, &f.w, WICK_PRECISION_FAST, r.packed, &err), WICK_E_OUT_OF_MEMORY);
    wick_alloc_fail_at(0, false);
    product_free(&r);
    product_free(&s);
    fixture_free(&f);
}

int main(void)
{
    quick = getenv("WICK_TEST_QUICK") != NULL;
    print_message("instruction sets:");
    for (size_t j = 0; j < N_ISAS; j++)
        if (isa_here(isas[j])) print_message(" %s", isas[j]);
    print_message("%s\n", quick ? " (few shapes)" : "");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interface),
        cmocka_unit_test(test_row_step),
        cmocka_unit_test(test_hard_activations),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_rows_are_independent),
        cmocka_unit_test(test_instruction_sets_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
