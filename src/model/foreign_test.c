#include "model/foreign.h"
#include <math.h>
#include "model/test_model.h"

enum { N_OUT = 8, N_IN = 64 };

typedef struct fixture {
    char dir[64];
    wick_tensor_dir tensors;
    wick_arena arena;
    wick_config config;
    wick_checkpoint k;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    test_dir(f->dir);
    wick_arena_init(&f->arena, 0);
    f->k = (wick_checkpoint){.dir = &f->tensors, .cfg = &f->config, .arena = &f->arena, .root = "", .where = "test"};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wick_tensor_dir_close(&f->tensors);
    wick_arena_release(&f->arena);
    test_dir_remove(f->dir);
    free(f);
    return 0;
}

static void open_tensors(fixture *f, const test_tensor *t, size_t n)
{
    wick_err err = {0};
    wick_tensor_dir_close(&f->tensors);
    memset(&f->tensors, 0, sizeof f->tensors);
    test_write_tensors(f->dir, t, n);
    if (wick_tensor_dir_open(&f->tensors, f->dir, &err) != WICK_OK) fail_msg("%s", err.message);
}

static uint32_t word(const fixture *f, const char *name, uint32_t i)
{
    uint32_t v;
    memcpy(&v, (const uint8_t *)wick_tensor_find(&f->tensors, name)->data + i * sizeof v, sizeof v);
    return v;
}

static float number(const fixture *f, const char *name, uint32_t i)
{
    return wick_f32_from_bits(word(f, name, i));
}

static const uint32_t awq_at[8] = {0, 4, 1, 5, 2, 6, 3, 7};

static float awq_value(const fixture *f, uint32_t o, uint32_t i)
{
    uint32_t q = word(f, "m.qweight", i) >> 4 * awq_at[o] & 15;
    uint32_t z = word(f, "m.qzeros", i / 32) >> 4 * awq_at[o] & 15;
    return ((float)q - (float)z) * number(f, "m.scales", i / 32 * N_OUT + o);
}

static float gptq_value(const fixture *f, uint32_t o, uint32_t i)
{
    uint32_t q = word(f, "m.qweight", i / 8 * N_OUT + o) >> 4 * (i % 8) & 15;
    uint32_t z = (word(f, "m.qzeros", i / 32) >> 4 * o & 15) + 1;
    return ((float)q - (float)z) * number(f, "m.scales", i / 32 * N_OUT + o);
}

static float packed_value(const fixture *f, uint32_t o, uint32_t i)
{
    uint32_t q = word(f, "m.weight_packed", o * (N_IN / 8) + i / 8) >> 4 * (i % 8) & 15;
    uint32_t z = word(f, "m.weight_zero_point", i / 32) >> 4 * o & 15;
    return ((float)q - (float)z) * number(f, "m.weight_scale", o * 2 + i / 32);
}

static float row_value(const fixture *f, uint32_t o, uint32_t i)
{
    uint32_t q = word(f, "m.weight_packed", o * (N_IN / 4) + i / 4) >> 8 * (i % 4) & 255;
    return ((float)q - 128) * number(f, "m.weight_scale", o);
}

static const wick_packing awq = {.method = WICK_PACKING_AWQ, .suffix = ".qweight", .bits = 4};
static const wick_packing gptq = {.method = WICK_PACKING_GPTQ, .suffix = ".qweight", .bits = 4, .zeros_less_one = true};
static const wick_packing other = {.method = WICK_PACKING_OTHER, .suffix = ".weight_packed"};

static const struct {
    const wick_packing *pack;
    test_tensor t[3];
    uint32_t n;
    float (*value)(const fixture *f, uint32_t o, uint32_t i);
} good[] = {
    {&awq, {{"m.qweight", "I32", N_IN, 1}, {"m.scales", "F32", 2, N_OUT}, {"m.qzeros", "I32", 2, 1}}, 3, awq_value},
    {&gptq,
     {{"m.qweight", "I32", N_IN / 8, N_OUT}, {"m.scales", "F32", 2, N_OUT}, {"m.qzeros", "I32", 2, 1}},
     3,
     gptq_value},
    {&other,
     {{"m.weight_packed", "I32", N_OUT, N_IN / 8},
      {"m.weight_scale", "F32", N_OUT, 2},
      {"m.weight_zero_point", "I32", 1, 2}},
     3,
     packed_value},
    {&other, {{"m.weight_packed", "I32", N_OUT, N_IN / 4}, {"m.weight_scale", "F32", N_OUT, 1}}, 2, row_value},
};

static wick_status read_first(fixture *f, const wick_packing *pack, const char *name, wick_weight *w, wick_err *err)
{
    wick_matrix_ref m = {.t = wick_tensor_find(&f->tensors, name), .path = "m", .n_out = N_OUT, .n_in = N_IN};
    f->k.pack = *pack;
    f->k.pack.block_rows = f->k.pack.block_cols = 128;
    assert_true(wick_foreign_wants(&f->k, &m));
    return wick_foreign_read(&f->k, &m, w, err);
}

static void means_what_the_tool_wrote(void **state)
{
    fixture *f = *state;
    for (size_t c = 0; c < sizeof good / sizeof *good; c++) {
        wick_weight w;
        wick_err err = {0};
        float row[N_IN];
        open_tensors(f, good[c].t, good[c].n);
        if (read_first(f, good[c].pack, good[c].t[0].name, &w, &err) != WICK_OK) fail_msg("%zu: %s", c, err.message);
        for (uint32_t o = 0; o < N_OUT; o++) {
            wick_weight_row(&w, o, row);
            for (uint32_t i = 0; i < N_IN; i++) {
                float want = good[c].value(f, o, i);
                if (!(fabsf(row[i] - want) <= 1e-5f * (1 + fabsf(want))))
                    fail_msg("case %zu, [%u][%u]: got %g, expected %g", c, o, i, (double)row[i], (double)want);
            }
        }
    }
}

static void refuses_what_does_not_fit(void **state)
{
    static const struct {
        const wick_packing *pack;
        test_tensor t[2];
        const char *want;
    } t[] = {
        {&awq, {{"m.qweight", "I32", N_IN, 1}, {"m.other", "F32", 1, 1}}, "m.scales is missing"},
        {&awq, {{"m.qweight", "I32", N_IN, 2}, {"m.scales", "F32", 2, N_OUT}}, "m.qweight: expected I32 [64, 1]"},
        {&awq, {{"m.qweight", "F32", N_IN, 1}, {"m.scales", "F32", 2, N_OUT}}, "expected I32"},
        {&gptq, {{"m.qweight", "I32", N_IN / 8, N_OUT}, {"m.scales", "F32", 3, N_OUT}}, "3 groups"},
        {&gptq, {{"m.qweight", "I32", N_IN / 8, N_OUT}, {"m.scales", "F32", 64, N_OUT}}, "64 groups"},
        {&other, {{"m.weight_packed", "I32", N_OUT, 5}, {"m.weight_scale", "F32", N_OUT, 1}}, "words of"},
        {&other, {{"m.weight_packed", "I32", N_OUT, 8}, {"m.weight_scale", "F32", 3, 1}}, "one per row or group"},
        {&other, {{"m.weight_packed", "U8", N_OUT, 32}, {"m.weight_scale", "F32", N_OUT, 2}}, "scales of 16"},
        {&other, {{"m.weight_packed", "F16", N_OUT, 32}, {"m.weight_scale", "F32", N_OUT, 2}}, "expected I32, U8"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        wick_weight w;
        wick_err err = {0};
        open_tensors(f, t[i].t, 2);
        if (read_first(f, t[i].pack, t[i].t[0].name, &w, &err) == WICK_OK || !strstr(err.message, t[i].want))
            fail_msg("case %zu: \"%s\", expected \"%s\"", i, err.message, t[i].want);
    }
}

static void survives_failing_allocations(void **state)
{
    fixture *f = *state;
    for (size_t c = 0; c < sizeof good / sizeof *good; c++) {
        wick_status st = WICK_E_OUT_OF_MEMORY;
        open_tensors(f, good[c].t, good[c].n);
        for (uint64_t n = 1; st != WICK_OK && n < 20; n++) {
            wick_weight w;
            wick_err err = {0};
            wick_arena_release(&f->arena);
            wick_arena_init(&f->arena, 16); /* small blocks: every array asks for memory */
            wick_alloc_fail_at(n, true);
            st = read_first(f, good[c].pack, good[c].t[0].name, &w, &err);
            wick_alloc_fail_at(0, false);
            assert_true(st == WICK_OK || st == WICK_E_OUT_OF_MEMORY);
            assert_true(n > 1 || st != WICK_OK);
        }
        assert_int_equal(st, WICK_OK);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(means_what_the_tool_wrote), T(refuses_what_does_not_fit),
                                       T(survives_failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
