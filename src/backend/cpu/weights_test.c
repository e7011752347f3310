/* Packed weights from the cache: the same bits as packed ones, without a look at the source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/cpu/testing.h"

enum { N_TOKENS = 9, N_VOCAB = 67 };

typedef struct setup {
    maker k;
    char folder[64], packs[80];
    wick_file source;
} setup;

static void set_up(setup *s)
{
    char path[96];
    wick_err err;
    memset(s, 0, sizeof *s);
    make_llama(&s->k, 2, 64, 4, 2, 32, 96, N_VOCAB, 4, 3);
    snprintf(s->folder, sizeof s->folder, "/tmp/wick-weights-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->packs, sizeof s->packs, "%s/packs", s->folder);
    snprintf(path, sizeof path, "%s/model", s->folder);
    assert_int_equal(wick_file_write(path, "weights", 7, &err), WICK_OK);
    assert_int_equal(wick_file_open(&s->source, path, &err), WICK_OK);
    s->k.p.origin = (wick_origin){.file = &s->source, .n_files = 1};
}

static void tear_down(setup *s)
{
    char cmd[96];
    wick_file_close(&s->source);
    wick_plan_release(&s->k.p);
    snprintf(cmd, sizeof cmd, "rm -r '%s'", s->folder);
    assert_int_equal(system(cmd), 0);
}

/* Logits of a start; steps run while the file may still be written. */
static wick_status logits(setup *s, const wick_backend_opts *o, float *out, wick_err *err)
{
    static const int32_t tok[N_TOKENS] = {3, 1, 4, 1, 5, 9, 2, 6, 5};
    rig r = {0};
    wick_seq *q = NULL;
    WICK_TRY(wick_backend_cpu.open(&r.c, o, err));
    wick_status st = wick_backend_cpu.load(r.c, &s->k.p, 16, (wick_progress){0}, &r.m, err);
    if (st == WICK_OK) st = wick_backend_cpu.kv_new(r.m, 0, &q, err);
    if (st == WICK_OK) st = rig_step(&r, q, tok, N_TOKENS, WICK_OUT_ALL, out, err);
    if (q) wick_backend_cpu.kv_free(r.m, q);
    rig_close(&r);
    return st;
}

/* All matrices but the table of embeddings, whose rows are read where they lie. */
static wick_status wipe(void *ctx, const wick_weight *w, wick_err *err)
{
    const wick_weight *embed = ctx;
    (void)err;
    if (w && w->data != embed->data) memset((void *)(uintptr_t)w->data, 0, (size_t)(w->row_bytes * w->n_out));
    return WICK_OK;
}

static void cached_weights_are_the_same_bits(void **state)
{
    setup s;
    wick_err err;
    float first[N_TOKENS * N_VOCAB], again[N_TOKENS * N_VOCAB];
    (void)state;
    set_up(&s);
    wick_backend_opts o = {.n_threads = 2, .kv_dtype = WICK_DTYPE_F16, .cache_dir = s.packs};
    assert_int_equal(logits(&s, &o, first, &err), WICK_OK);
    for (uint32_t i = 0; i < s.k.p.n_ops; i++)
        assert_int_equal(wick_op_matrices(&s.k.p.op[i], wipe, (void *)(uintptr_t)s.k.p.op[0].u.embed.w, &err), WICK_OK);
    assert_int_equal(logits(&s, &o, again, &err), WICK_OK);
    assert_memory_equal(first, again, sizeof first);
    o.cache_dir = NULL;
    assert_int_equal(logits(&s, &o, again, &err), WICK_OK);
    assert_memory_not_equal(first, again, sizeof first);
    tear_down(&s);
}

#if defined(__linux__)
/* A page in the middle of each matrix but the table: gone, or still there. */
static wick_status count_gone(void *ctx, const wick_weight *w, wick_err *err)
{
    uint32_t *n = ctx;
    static const uint8_t zero[4096];
    (void)err;
    if (!w || w->row_bytes * w->n_out < 3 * sizeof zero) return WICK_OK;
    const uint8_t *page = (const uint8_t *)(((uintptr_t)w->data + sizeof zero - 1) / sizeof zero * sizeof zero);
    n[0]++;
    n[1] += memcmp(page, zero, sizeof zero) == 0;
    return WICK_OK;
}

static void made_weights_are_not_held_twice(void **state)
{
    setup s;
    wick_err err;
    float first[N_TOKENS * N_VOCAB], again[N_TOKENS * N_VOCAB];
    (void)state;
    set_up(&s);
    wick_plan_release(&s.k.p);
    make_llama(&s.k, 2, 256, 4, 2, 64, 512, N_VOCAB, 4, 3);
    s.k.p.origin = (wick_origin){.file = &s.source, .n_files = 1};
    for (int round = 0; round < 3; round++) { /* loaded often, then once, and once from the cache */
        uint32_t n[2] = {0};
        wick_backend_opts o = {.n_threads = 2, .kv_dtype = WICK_DTYPE_F16, .cache_dir = round == 0 ? NULL : s.packs};
        s.k.p.load_once = round > 0;
        assert_int_equal(logits(&s, &o, round ? again : first, &err), WICK_OK);
        if (round) assert_memory_equal(first, again, sizeof first);
        for (uint32_t i = 0; i < s.k.p.n_ops; i++)
            if (s.k.p.op[i].kind != WICK_OP_HEAD)
                assert_int_equal(wick_op_matrices(&s.k.p.op[i], count_gone, n, &err), WICK_OK);
        assert_true(n[0] >= 2 * 5);
        assert_int_equal(n[1], round ? n[0] : 0);
    }
    tear_down(&s);
}
#endif

static void small_models_and_unknown_sources_are_not_kept(void **state)
{
    setup s;
    wick_err err;
    float out[N_TOKENS * N_VOCAB];
    (void)state;
    set_up(&s);
    wick_backend_opts o = {
        .n_threads = 2, .kv_dtype = WICK_DTYPE_F16, .cache_dir = s.packs, .cache_min_bytes = 1 << 30};
    assert_int_equal(logits(&s, &o, out, &err), WICK_OK);
    assert_false(wick_path_exists(s.packs));
    o.cache_min_bytes = 0;
    s.k.p.origin.n_files = 0;
    assert_int_equal(logits(&s, &o, out, &err), WICK_OK);
    assert_false(wick_path_exists(s.packs));
    tear_down(&s);
}

static void failed_allocations(void **state)
{
    setup s;
    wick_err err;
    float first[N_TOKENS * N_VOCAB], out[N_TOKENS * N_VOCAB];
    (void)state;
    set_up(&s);
    wick_backend_opts o = {.n_threads = 1, .kv_dtype = WICK_DTYPE_F16, .cache_dir = s.packs};
    assert_int_equal(logits(&s, &o, first, &err), WICK_OK);
    for (uint64_t n = 1;; n++) { /* with the file there: an allocation that only the cache needed is no failure */
        wick_alloc_fail_at(n, false);
        wick_status st = logits(&s, &o, out, &err);
        wick_alloc_fail_at(0, false);
        if (st == WICK_OK)
            assert_memory_equal(first, out, sizeof first);
        else
            assert_int_equal(st, WICK_E_OUT_OF_MEMORY);
        if (n > 250) break;
    }
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cached_weights_are_the_same_bits),
#if defined(__linux__)
        cmocka_unit_test(made_weights_are_not_held_twice),
#endif
        cmocka_unit_test(small_models_and_unknown_sources_are_not_kept),
        cmocka_unit_test(failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
