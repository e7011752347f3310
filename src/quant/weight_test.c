/* quant/weight_test.c - geometry of weights, and encoders against decoders. The figures of each encoding are compared
 * with the reference packages in tests/parity/test_formats.py. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include "quant/forms.h"

static float noise(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(int32_t)*seed / 2147483648.0f;
}

static void finish(void **state)
{
    (void)state;
    static const struct {
        wick_weight w;
        bool ok;
        uint64_t row_bytes, scale_row_bytes;
        double bpw;
        const char *label;
    } rows[] = {
        {{.enc = WICK_ENC_PLAIN, .dtype = WICK_DTYPE_BF16, .n_out = 2, .n_in = 5}, true, 10, 0, 16, "BF16"},
        {{.enc = WICK_ENC_PLAIN, .dtype = WICK_DTYPE_U32, .n_out = 2, .n_in = 5}, false, 0, 0, 0, "U32"},
        {{.enc = WICK_ENC_BLOCK, .dtype = WICK_DTYPE_Q4_K, .n_out = 2, .n_in = 512}, true, 288, 0, 4.5, "Q4_K"},
        {{.enc = WICK_ENC_BLOCK, .dtype = WICK_DTYPE_Q4_K, .n_out = 2, .n_in = 384}, false, 0, 0, 0, "Q4_K"},
        {{.enc = WICK_ENC_BLOCK, .dtype = WICK_DTYPE_F16, .n_out = 2, .n_in = 384}, false, 0, 0, 0, "F16"},
        {{.enc = WICK_ENC_AFFINE, .dtype = WICK_DTYPE_F16, .bits = 4, .group = 64, .n_out = 3, .n_in = 128},
         true,
         64,
         4,
         4.5,
         "affine 4-bit g64"},
        {{.enc = WICK_ENC_AFFINE, .dtype = WICK_DTYPE_F32, .bits = 3, .group = 32, .n_out = 3, .n_in = 96},
         true,
         36,
         12,
         5,
         "affine 3-bit g32"},
        {{.enc = WICK_ENC_AFFINE, .dtype = WICK_DTYPE_F16, .bits = 7, .group = 64, .n_out = 3, .n_in = 128},
         false,
         0,
         0,
         0,
         "affine 7-bit g64"},
        {{.enc = WICK_ENC_AFFINE, .dtype = WICK_DTYPE_F16, .bits = 4, .group = 48, .n_out = 3, .n_in = 96},
         false,
         0,
         0,
         0,
         "affine 4-bit g48"},
        {{.enc = WICK_ENC_AFFINE, .dtype = WICK_DTYPE_U8, .bits = 4, .group = 64, .n_out = 3, .n_in = 64},
         false,
         0,
         0,
         0,
         "affine 4-bit g64"},
        {{.enc = WICK_ENC_AFFINE, .dtype = WICK_DTYPE_F16, .bits = 4, .group = 64, .n_out = 3, .n_in = 96},
         false,
         0,
         0,
         0,
         "affine 4-bit g64"},
        {{.enc = WICK_ENC_AFFINE, .dtype = WICK_DTYPE_F16, .bits = 3, .group = 16, .n_out = 3, .n_in = 16},
         false,
         0,
         0,
         0,
         "affine 3-bit g16"},
        {{.enc = WICK_ENC_MXFP4, .bits = 4, .group = 32, .n_out = 1, .n_in = 64}, true, 32, 2, 4.25, "mxfp4"},
        {{.enc = WICK_ENC_NVFP4, .bits = 4, .group = 16, .n_out = 1, .n_in = 64}, true, 32, 4, 4.5, "nvfp4"},
        {{.enc = WICK_ENC_MXFP8, .bits = 8, .group = 32, .n_out = 1, .n_in = 64}, true, 64, 2, 8.25, "mxfp8"},
        {{.enc = WICK_ENC_MXFP8, .bits = 4, .group = 32, .n_out = 1, .n_in = 64}, false, 0, 0, 0, "mxfp8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wick_weight w = rows[i].w;
        wick_err err;
        char label[40];
        assert_int_equal(wick_weight_finish(&w, &err), rows[i].ok ? WICK_OK : WICK_E_UNSUPPORTED_FORMAT);
        assert_string_equal(wick_weight_label(&w, label, sizeof label), rows[i].label);
        if (!rows[i].ok) continue;
        assert_int_equal(w.row_bytes, rows[i].row_bytes);
        assert_int_equal(w.scale_row_bytes, rows[i].scale_row_bytes);
        assert_true(fabs(wick_weight_bpw(&w) - rows[i].bpw) < 1e-9);
    }
}

/* What was encoded comes back within half a step; row r of an interleaved weight is row r * 2 of the bytes. */
static void affine_round_trip(void **state)
{
    (void)state;
    enum { N_IN = 256, N_OUT = 4 };
    static const uint32_t bits[] = {1, 2, 3, 4, 5, 6, 8}, groups[] = {16, 32, 64, 128};
    uint32_t seed = 1;
    for (size_t b = 0; b < sizeof bits / sizeof *bits; b++)
        for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
            float x[N_OUT][N_IN], y[N_IN], scales[N_OUT][N_IN / 16], biases[N_OUT][N_IN / 16];
            uint32_t codes[N_OUT][N_IN], n_words = N_IN * bits[b] / 32, n_groups = N_IN / groups[g];
            uint8_t packed[N_OUT * N_IN], side[2][N_OUT * N_IN / 16 * 4];
            for (unsigned r = 0; r < N_OUT; r++) {
                for (unsigned k = 0; k < N_IN; k++) x[r][k] = noise(&seed);
                wick_affine_encode_row(x[r], N_IN, bits[b], groups[g], codes[r], scales[r], biases[r]);
                memcpy(packed + r * n_words * 4, codes[r], n_words * 4);
                memcpy(side[0] + r * n_groups * 4, scales[r], n_groups * 4);
                memcpy(side[1] + r * n_groups * 4, biases[r], n_groups * 4);
            }
            wick_weight w = {.enc = WICK_ENC_AFFINE,
                             .dtype = WICK_DTYPE_F32,
                             .bits = bits[b],
                             .group = groups[g],
                             .n_out = N_OUT / 2,
                             .n_in = N_IN};
            wick_err err;
            assert_int_equal(wick_weight_finish(&w, &err), WICK_OK);
            w.data = packed;
            w.scales = side[0];
            w.biases = side[1];
            w.row_step = 2;
            for (unsigned r = 0; r < N_OUT / 2; r++) {
                wick_weight_row(&w, r, y);
                for (unsigned k = 0; k < N_IN; k++) {
                    float step = fabsf(scales[2 * r][k / groups[g]]);
                    assert_true(fabsf(y[k] - x[2 * r][k]) <= step * 1.01f); /* the far edge may be a whole step off */
                }
            }
        }
}

static void block_round_trip(void **state)
{
    (void)state;
    static const struct {
        wick_dtype t;
        float error; /* of the largest magnitude */
    } rows[] = {{WICK_DTYPE_Q4_0, 0.13f},
                {WICK_DTYPE_Q4_1, 0.07f},
                {WICK_DTYPE_Q5_0, 0.065f},
                {WICK_DTYPE_Q5_1, 0.035f},
                {WICK_DTYPE_Q8_0, 0.005f}};
    float x[128], y[128];
    uint8_t packed[256];
    uint32_t seed = 5;
    for (unsigned k = 0; k < 128; k++) x[k] = k < 32 ? 0 : noise(&seed);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(wick_block_encode(rows[i].t, x, packed, 128));
        assert_true(wick_block_decode(rows[i].t, packed, y, 128));
        for (unsigned k = 0; k < 128; k++) assert_true(fabsf(x[k] - y[k]) <= (k < 32 ? 0 : rows[i].error));
        assert_false(wick_block_encode(rows[i].t, x, packed, 33));
        assert_false(wick_block_decode(rows[i].t, packed, y, 33));
    }
    assert_false(wick_block_encode(WICK_DTYPE_IQ4_XS, x, packed, 256));
    assert_false(wick_block_encode(WICK_DTYPE_Q4_K, x, packed, 128));
    assert_false(wick_block_decode(WICK_DTYPE_F32, x, y, 32));
}

static void known_bytes(void **state)
{
    (void)state;
    uint8_t codes[32], scales[4] = {127, 128, 0, 255};
    float y[64];
    for (unsigned i = 0; i < 32; i++) codes[i] = (uint8_t)(i % 16 | (i % 16) << 4);
    wick_weight w = {.enc = WICK_ENC_MXFP4, .bits = 4, .group = 32, .n_out = 1, .n_in = 64};
    wick_err err;
    assert_int_equal(wick_weight_finish(&w, &err), WICK_OK);
    w.data = codes;
    w.scales = scales;
    wick_weight_row(&w, 0, y);
    assert_true(y[2 * 7] == 6 && y[2 * 15] == -6 && y[2 * 1] == 0.5f);
    assert_true(y[32 + 2 * 7] == 12);
    w.scales = scales + 2;
    wick_weight_row(&w, 0, y);
    assert_true(y[2 * 7] == 6 * 0x1p-127f && isnan(y[32]));

    w = (wick_weight){.enc = WICK_ENC_NVFP4, .bits = 4, .group = 16, .n_out = 1, .n_in = 16};
    assert_int_equal(wick_weight_finish(&w, &err), WICK_OK);
    uint8_t e4m3[] = {0x7e}; /* 448 */
    w.data = codes;
    w.scales = e4m3;
    w.global_scale = 0.5f;
    wick_weight_row(&w, 0, y);
    assert_true(y[2 * 7] == 448 * 6 * 0.5f);
}

/* A view of columns decodes to the same values as the whole row; codes that begin inside a group have no view. */
static void columns(void **state)
{
    (void)state;
    const struct {
        wick_encoding enc;
        wick_dtype dtype;
        uint32_t bits, group, from, n;
        bool possible;
    } cases[] = {
        {WICK_ENC_PLAIN, WICK_DTYPE_BF16, 0, 0, 5, 7, true},
        {WICK_ENC_BLOCK, WICK_DTYPE_Q8_0, 0, 0, 64, 96, true},
        {WICK_ENC_BLOCK, WICK_DTYPE_Q8_0, 0, 0, 16, 32, false},
        {WICK_ENC_AFFINE, WICK_DTYPE_F32, 3, 32, 96, 64, true},
        {WICK_ENC_AFFINE, WICK_DTYPE_F16, 4, 64, 128, 64, true},
        {WICK_ENC_AFFINE, WICK_DTYPE_F16, 4, 64, 32, 64, false},
        {WICK_ENC_MXFP4, WICK_DTYPE_U8, 4, 32, 32, 160, true},
        {WICK_ENC_NVFP4, WICK_DTYPE_U8, 4, 16, 16, 48, true},
        {WICK_ENC_PLAIN, WICK_DTYPE_F32, 0, 0, 200, 57, false},
    };
    static uint8_t data[2 * 256 * 4], scales[2 * 256], biases[2 * 256];
    uint32_t seed = 7;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(64 + (uint32_t)(noise(&seed) * 8));
    for (size_t i = 0; i < sizeof scales; i++) scales[i] = biases[i] = (uint8_t)(48 + i % 16);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float row[256], part[256];
        wick_weight w = {.enc = cases[c].enc,
                         .dtype = cases[c].dtype,
                         .bits = cases[c].bits,
                         .group = cases[c].group,
                         .n_out = 2,
                         .n_in = 256,
                         .data = data,
                         .scales = scales,
                         .biases = biases},
                    v;
        assert_int_equal(wick_weight_finish(&w, NULL), WICK_OK);
        assert_int_equal(wick_weight_columns(&w, cases[c].from, cases[c].n, &v), cases[c].possible);
        if (!cases[c].possible) continue;
        wick_weight_row(&w, 1, row);
        wick_weight_row(&v, 1, part);
        for (uint32_t i = 0; i < cases[c].n; i++) assert_true(part[i] == row[cases[c].from + i]);
    }
}

/* Names in every spelling, and back. */
static void names_of_forms(void **state)
{
    (void)state;
    static const struct {
        const char *name, *back;
    } rows[] = {{"Q4K", "Q4_K"},
                {"q4_k", "Q4_K"},
                {"Q8_0", "Q8_0"},
                {"q80", "Q8_0"},
                {"AFQ4", "AFQ4:64"},
                {"afq6:32", "AFQ6:32"},
                {"4bit", "AFQ4:64"},
                {"affine-3:128", "AFQ3:128"},
                {"MXFP4", "mxfp4"},
                {"nvfp4", "nvfp4"},
                {"mx-fp8", "mxfp8"},
                {"bf16", "BF16"},
                {"AFQ7", NULL},
                {"AFQ4:48", NULL},
                {"AFQ4:", NULL},
                {"AFQ4bit", NULL},
                {"4", NULL},
                {"", NULL},
                {"Q4_K_M_______________________", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wick_quant q;
        char back[32];
        assert_int_equal(wick_quant_parse(rows[i].name, &q), rows[i].back != NULL);
        if (rows[i].back) assert_string_equal(wick_quant_name(&q, back, sizeof back), rows[i].back);
    }
    assert_true(wick_quant_fits(&(wick_quant){WICK_ENC_BLOCK, WICK_DTYPE_Q4_K, 0, 0}, 512));
    assert_false(wick_quant_fits(&(wick_quant){WICK_ENC_BLOCK, WICK_DTYPE_Q4_K, 0, 0}, 384));
    assert_false(wick_quant_fits(&(wick_quant){WICK_ENC_AFFINE, WICK_DTYPE_F16, 4, 64}, 96));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finish),      cmocka_unit_test(affine_round_trip), cmocka_unit_test(block_round_trip),
        cmocka_unit_test(known_bytes), cmocka_unit_test(columns),           cmocka_unit_test(names_of_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
