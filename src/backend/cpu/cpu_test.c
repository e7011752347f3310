/* Whole plans on the CPU backend: against double precision, and bit for bit against themselves cut differently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "backend/cpu/testing.h"

#define OK(call)                                                    \
    do {                                                            \
        wick_status ok_ = (call);                                   \
        if (ok_ != WICK_OK) fail_msg("%s: %s", #call, err.message); \
    } while (0)

static const char *const all_isas[] = {NULL, "portable", "avx2", "avx512", "neon", "neon-dotprod"}; /* NULL: the best */

static void random_tokens(int32_t *t, uint32_t n, uint32_t vocab)
{
    for (uint32_t i = 0; i < n; i++) t[i] = (int32_t)(rng() % vocab);
}

/* All logits of a plan in one step, against the reference. Returns the relative difference. */
static double run_against_ref(const wick_plan *p, uint32_t n, wick_precision prec, wick_dtype kv, uint32_t threads,
                              const char *isa)
{
    wick_err err;
    rig r;
    wick_seq *s = NULL;
    int32_t *tok = calloc(n, sizeof *tok);
    float *out = calloc((size_t)n * p->n_vocab, sizeof *out);
    random_tokens(tok, n, p->n_vocab);
    OK(rig_open(&r, p, prec, kv, threads, isa, n, &err));
    OK(wick_backend_cpu.kv_new(r.m, 0, &s, &err));
    OK(rig_step(&r, s, tok, n, WICK_OUT_ALL, out, &err));
    assert_int_equal(wick_backend_cpu.kv_len(s), n);
    double *want = ref_run(p, tok, n, NULL), d = ref_diff(want, out, (size_t)n * p->n_vocab);
    wick_backend_cpu.kv_free(r.m, s);
    rig_close(&r);
    free(want);
    free(out);
    free(tok);
    return d;
}

static bool isa_exists(const char *isa)
{
    const wick_lin_isa *i;
    return wick_lin_isa_pick(&i, isa, NULL) == WICK_OK;
}

static void llama_matches_double(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all_isas / sizeof *all_isas; i++) {
        if (!isa_exists(all_isas[i])) continue;
        for (uint32_t bits = 0; bits <= 8; bits += 4) {
            maker k;
            make_llama(&k, 2, 64, 4, 2, 32, 96, 67, bits, 7 + bits);
            assert_true(run_against_ref(&k.p, 33, WICK_PRECISION_EXACT, WICK_DTYPE_F32, 2, all_isas[i]) < 2e-5);
            assert_true(run_against_ref(&k.p, 1, WICK_PRECISION_EXACT, WICK_DTYPE_F32, 1, all_isas[i]) < 2e-5);
            assert_true(run_against_ref(&k.p, 33, WICK_PRECISION_EXACT, WICK_DTYPE_F16, 2, all_isas[i]) < 5e-3);
            assert_true(run_against_ref(&k.p, 33, WICK_PRECISION_FAST, WICK_DTYPE_F16, 2, all_isas[i]) < 1e-1);
            wick_plan_release(&k.p);
        }
    }
}

/* Gemma-like: norms behind, soft caps, windows, two ropes; parallel blocks; saved copies; gates; sinks; biases. */
static void option_zoo(maker *k, uint32_t which)
{
    wick_arena *a = &k->p.arena;
    maker_init(k, 64, 50, which % 2 ? 4 : 0, 100 + which);
    add_embed(k);
    for (uint32_t l = 0; l < 2; l++) {
        add_norm(k, WICK_R_H, WICK_R_X);
        if (which == 3) add_add(k, WICK_R_S, WICK_R_X, 0.0F, 1.0F);
        wick_op_attn *t = add_attn(k, 6,
                                   which == 1   ? 1
                                   : which == 2 ? 6
                                                : 3,
                                   16, which == 4 || which == 0 ? 5 + 60 * l : 0);
        if (which == 0) {
            t->softcap = 3.0F;
            t->q_norm = rnd_vec(a, 16, 1, 0.3F);
            t->k_norm = rnd_vec(a, 16, 1, 0.3F);
        } else if (which == 1) {
            t->bq = rnd_vec(a, 96, 0, 0.5F);
            t->bk = rnd_vec(a, 16, 0, 0.5F);
            t->bv = rnd_vec(a, 16, 0, 0.5F);
            t->bo = rnd_vec(a, 64, 0, 0.5F);
            t->sinks = rnd_vec(a, 6, 0, 1.0F);
            t->clip_qkv = 1.5F;
        } else if (which == 2) {
            t->q_norm = rnd_vec(a, 96, 1, 0.3F);
            t->k_norm = rnd_vec(a, 96, 1, 0.3F);
            t->qk_norm_whole_row = true;
            t->rope = make_rope(a, 8, 500.0F);
            t->temp_beta = 0.1F;
            t->temp_len = 8;
            t->temp_add = 1;
            t->window = 6;
            t->chunked = l == 1;
        } else if (which == 3) {
            t->out_gate = true;
            t->wq = rnd_weight(a, 192, 64, k->bits);
            t->q_norm = rnd_vec(a, 96, 1, 0.3F);
            t->k_norm = rnd_vec(a, 48, 1, 0.3F);
            t->qk_norm_per_head_w = true;
            t->qk_norm_kind = WICK_NORM_LAYER;
            t->v_norm = true;
        } else if (which == 4) {
            wick_rope *r = make_rope(a, 8, 100.0F);
            r->interleaved = true;
            r->first_dim = 4;
            r->mscale = 1.2F;
            t->rope = r;
            t->q_norm = t->k_norm = rnd_vec(a, 16, 1, 0.3F);
            t->qk_norm_after_rope = true;
            if (l == 1) {
                t->kv_shared = true;
                t->cache = 0;
                t->window = 5;
                t->wk = t->wv = NULL;
            }
        }
        if (which == 0) add_norm(k, WICK_R_H, WICK_R_H);
        if (which == 2) { /* parallel: both branches read the same norm */
            wick_op *o = &k->p.op[k->p.n_ops - 1];
            o->dst = WICK_R_A;
        }
        if (which == 3) add_add(k, WICK_R_X, WICK_R_H, 1, 0.5F);
        if (which != 2 && which != 3) add_add(k, WICK_R_X, WICK_R_H, which == 4 ? 0.7F : 1, which == 4 ? 0.5F : 1);
        if (which != 2) add_norm(k, WICK_R_H, WICK_R_X);
        wick_op_mlp *m = add_mlp(k, 80);
        m->act = (wick_act)((which + l * 2) % (WICK_ACT_IDENTITY + 1));
        m->act_alpha = 1.7F;
        m->act_limit = 2.0F;
        if (which == 1) {
            m->gate = NULL;
            m->act = WICK_ACT_GELU;
            m->b_up = rnd_vec(a, 80, 0, 0.5F);
            m->b_down = rnd_vec(a, 64, 0, 0.5F);
        }
        if (which == 0) add_norm(k, WICK_R_H, WICK_R_H);
        if (which == 2) add_add(k, WICK_R_X, WICK_R_A, 1, 1);
        add_add(k, WICK_R_X, WICK_R_H, 1, 1);
        if (which == 3) { /* the saved copy comes back */
            add_add(k, WICK_R_X, WICK_R_S, 1, 0.25F);
            wick_op *o = add_op(k, WICK_OP_COPY, WICK_R_A, WICK_R_X);
            o->u.add.src_scale = 2.0F;
            add_add(k, WICK_R_X, WICK_R_A, 0.5F, 0.125F);
        }
    }
    add_head(k, which == 0);
    wick_op_head *h = &k->p.op[k->p.n_ops - 1].u.head;
    if (which == 0) h->softcap = 2.0F, h->scale = 1.5F;
    if (which == 1) {
        h->b = rnd_vec(a, 50, 0, 0.5F);
        k->p.op[0].u.embed.w_pos = rnd_weight(a, 300, 64, 0);
        k->p.op[0].u.embed.pos_offset = 2;
        for (uint32_t i = 0; i < k->p.n_ops; i++)
            if (k->p.op[i].kind == WICK_OP_NORM) {
                k->p.op[i].u.norm.kind = WICK_NORM_LAYER;
                k->p.op[i].u.norm.b = rnd_vec(a, 64, 0, 0.3F);
            }
    }
}

static void options_match_double(void **state)
{
    (void)state;
    for (uint32_t which = 0; which < 5; which++)
        for (size_t i = 0; i < sizeof all_isas / sizeof *all_isas; i++) {
            if (!isa_exists(all_isas[i])) continue;
            maker k;
            option_zoo(&k, which);
            double d = run_against_ref(&k.p, 150, WICK_PRECISION_EXACT, WICK_DTYPE_F32, 2, all_isas[i]);
            if (!(d < 3e-5)) fail_msg("options %u: difference %g", which, d);
            wick_plan_release(&k.p);
        }
}

static void kv_types_are_close(void **state)
{
    (void)state;
    const struct {
        wick_dtype t;
        double most;
    } kinds[] = {{WICK_DTYPE_F16, 5e-3}, {WICK_DTYPE_BF16, 3e-2}, {WICK_DTYPE_Q8_0, 3e-2}, {WICK_DTYPE_Q4_0, 0.5}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (size_t j = 0; j < sizeof all_isas / sizeof *all_isas; j++) {
            if (!isa_exists(all_isas[j])) continue;
            maker k;
            make_llama(&k, 2, 64, 4, 2, 40, 64, 50, 0, 3);
            double d = run_against_ref(&k.p, 100, WICK_PRECISION_EXACT, kinds[i].t, 2, all_isas[j]);
            if (!(d < kinds[i].most)) fail_msg("%s: difference %g", wick_dtype_name(kinds[i].t), d);
            wick_plan_release(&k.p);
        }
}

/* ---- bit for bit ---- */

enum { LONG = 1300, LONG_QUICK = 530 }; /* several chunks of the context */
/* WICK_TEST_QUICK in the environment: shorter contexts, for emulated processors. */
static bool quick;

static void invariance_plan(maker *k, uint32_t which)
{
    if (which == 0)
        make_llama(k, 2, 64, 8, 2, 16, 96, 40, 4, 11);
    else if (which == 1)
        option_zoo(k, 0);
    else
        option_zoo(k, 4);
}

/* The logits of all positions, prompt cut into pieces of `cut` tokens. */
static void run_cut(rig *r, const int32_t *tok, uint32_t n, uint32_t cut, float *out)
{
    wick_err err;
    wick_seq *s = NULL;
    uint32_t v = r->m->plan->n_vocab;
    OK(wick_backend_cpu.kv_new(r->m, 0, &s, &err));
    for (uint32_t i = 0; i < n; i += cut)
        OK(rig_step(r, s, tok + i, n - i < cut ? n - i : cut, WICK_OUT_ALL, out + (size_t)i * v, &err));
    wick_backend_cpu.kv_free(r->m, s);
}

static void same_bits_however_cut(void **state)
{
    (void)state;
    const wick_precision precs[] = {WICK_PRECISION_FAST, WICK_PRECISION_FINE, WICK_PRECISION_EXACT};
    const wick_dtype kvs[] = {WICK_DTYPE_F16, WICK_DTYPE_Q8_0, WICK_DTYPE_F32};
    for (uint32_t which = 0; which < 3; which++)
        for (uint32_t p = 0; p < 3; p++) {
            maker k;
            rig a, b;
            wick_err err;
            invariance_plan(&k, which);
            uint32_t n = which ? (quick ? 70 : 300) : quick ? LONG_QUICK : LONG, v = k.p.n_vocab;
            int32_t *tok = calloc(n, sizeof *tok);
            float *want = calloc((size_t)n * v, sizeof *want), *got = calloc((size_t)n * v, sizeof *got);
            random_tokens(tok, n, v);
            OK(rig_open(&a, &k.p, precs[p], kvs[p], 1, NULL, n, &err));
            OK(rig_open(&b, &k.p, precs[p], kvs[p], 3, NULL, n, &err));
            run_cut(&a, tok, n, n, want);
            const uint32_t cuts[] = {n, 1, 7, 64, 250};
            for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
                if (cuts[c] == 1 && which == 0 && (p == 1 || quick)) continue; /* time */
                memset(got, 0xAA, (size_t)n * v * sizeof *got);
                run_cut(c % 2 || c == 0 ? &b : &a, tok, n, cuts[c], got);
                if (memcmp(want, got, (size_t)n * v * sizeof *got) != 0)
                    fail_msg("plan %u precision %u cut %u", which, p, cuts[c]);
            }
            rig_close(&a);
            rig_close(&b);
            wick_plan_release(&k.p);
            free(tok);
            free(want);
            free(got);
        }
}

/* Many sequences of different lengths in one step: each row as if it were alone; forks and truncations too. */
static void same_bits_in_company(void **state)
{
    (void)state;
    enum { N = 5, MOST = 600 };
    maker k;
    rig r;
    wick_err err;
    make_llama(&k, 2, 64, 8, 2, 16, 96, 40, 4, 12);
    OK(rig_open(&r, &k.p, WICK_PRECISION_FAST, WICK_DTYPE_F16, 2, NULL, 2048, &err));
    const uint32_t len[N] = {1, 600, 64, 129, 37};
    static int32_t tok[N][MOST];
    static float alone[N][40];
    wick_seq *s[N];
    wick_row row[N];
    for (int i = 0; i < N; i++) {
        wick_seq *one = NULL;
        random_tokens(tok[i], MOST, 40);
        OK(wick_backend_cpu.kv_new(r.m, 0, &one, &err));
        OK(rig_step(&r, one, tok[i], len[i], WICK_OUT_LAST, alone[i], &err));
        wick_backend_cpu.kv_free(r.m, one);
        OK(wick_backend_cpu.kv_new(r.m, 0, &s[i], &err));
        row[i] = (wick_row){s[i], tok[i], len[i], WICK_OUT_LAST, 0};
    }
    row[2].out = WICK_OUT_NONE;
    wick_batch b = {row, N};
    wick_step_out o;
    OK(wick_backend_cpu.step_submit(r.m, &b, &err));
    OK(wick_backend_cpu.step_wait(r.m, &o, &err));
    assert_int_equal(o.n, N - 1);
    for (uint32_t i = 0, at = 0; i < N; i++) {
        if (i == 2) continue;
        assert_memory_equal(o.data + (size_t)at * 40, alone[i], sizeof alone[i]);
        at++;
    }
    /* A fork in the middle of a block, then both go on: neither sees the other. */
    wick_seq *f = NULL, *g = NULL;
    float x[40], y[40];
    uint64_t used = r.m->kv.used_bytes;
    OK(wick_backend_cpu.kv_fork(r.m, s[1], 500, &f, &err));
    assert_int_equal(wick_backend_cpu.kv_len(f), 500);
    assert_true(r.m->kv.used_bytes == used); /* shared */
    OK(rig_step(&r, f, tok[1] + 500, 100, WICK_OUT_LAST, x, &err));
    assert_memory_equal(x, alone[1], sizeof x);
    OK(wick_backend_cpu.kv_fork(r.m, f, 500, &g, &err));
    OK(rig_step(&r, g, tok[0], 30, WICK_OUT_LAST, y, &err)); /* another continuation */
    OK(wick_backend_cpu.kv_truncate(r.m, f, 599, &err));
    OK(rig_step(&r, f, tok[1] + 599, 1, WICK_OUT_LAST, y, &err));
    assert_memory_equal(y, alone[1], sizeof y);
    OK(wick_backend_cpu.kv_truncate(r.m, s[1], 0, &err));
    OK(rig_step(&r, s[1], tok[1], 600, WICK_OUT_LAST, y, &err));
    assert_memory_equal(y, alone[1], sizeof y);
    /* What was exported and imported goes on the same way. */
    uint64_t bytes = 0;
    OK(wick_backend_cpu.kv_export(r.m, f, 0, 599, NULL, &bytes, &err));
    void *buf = malloc(bytes);
    OK(wick_backend_cpu.kv_export(r.m, f, 0, 599, buf, &bytes, &err));
    wick_seq *im = NULL;
    OK(wick_backend_cpu.kv_new(r.m, 0, &im, &err));
    assert_int_equal(wick_backend_cpu.kv_import(r.m, im, 0, 599, buf, bytes - 1, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_backend_cpu.kv_import(r.m, im, 1, 600, buf, bytes, &err), WICK_E_BAD_PARAMETER);
    OK(wick_backend_cpu.kv_import(r.m, im, 0, 599, buf, bytes, &err));
    OK(rig_step(&r, im, tok[1] + 599, 1, WICK_OUT_LAST, y, &err));
    assert_memory_equal(y, alone[1], sizeof y);
    free(buf);
    for (int i = 0; i < N; i++) wick_backend_cpu.kv_free(r.m, s[i]);
    wick_backend_cpu.kv_free(r.m, f);
    wick_backend_cpu.kv_free(r.m, g);
    wick_backend_cpu.kv_free(r.m, im);
    assert_true(r.m->kv.used_bytes == 0);
    rig_close(&r);
    wick_plan_release(&k.p);
}

/* A window lets go of old blocks, truncates as far as it promised, and says no beyond. */
static void windows_let_go(void **state)
{
    (void)state;
    enum { N = 1500 };
    maker k;
    rig r;
    wick_err err;
    wick_seq *s = NULL, *f = NULL;
    maker_init(&k, 32, 30, 0, 9);
    add_embed(&k);
    add_norm(&k, WICK_R_H, WICK_R_X);
    add_attn(&k, 2, 1, 16, 100);
    add_add(&k, WICK_R_X, WICK_R_H, 1, 1);
    add_head(&k, true);
    static int32_t tok[N + 1];
    float x[30], y[30];
    random_tokens(tok, N + 1, 30);
    OK(rig_open(&r, &k.p, WICK_PRECISION_EXACT, WICK_DTYPE_F32, 2, NULL, 512, &err));
    OK(wick_backend_cpu.kv_new(r.m, 0, &s, &err));
    for (uint32_t i = 0; i < N; i += 100) OK(rig_step(&r, s, tok + i, 100, WICK_OUT_LAST, x, &err));
    assert_true(s->first[0] == (N - 100 - WICK_KV_SLACK) / 64);
    OK(rig_step(&r, s, tok + N, 1, WICK_OUT_LAST, x, &err));
    OK(wick_backend_cpu.kv_fork(r.m, s, N - 900, &f, &err));
    for (uint32_t i = N - 900; i <= N; i += 101) {
        uint32_t n = N + 1 - i < 101 ? N + 1 - i : 101;
        OK(rig_step(&r, f, tok + i, n, WICK_OUT_LAST, y, &err));
    }
    assert_memory_equal(x, y, sizeof x);
    assert_int_equal(wick_backend_cpu.kv_truncate(r.m, s, 300, &err), WICK_E_UNSUPPORTED_FORMAT);
    assert_non_null(strstr(err.message, "window"));
    OK(wick_backend_cpu.kv_truncate(r.m, s, 0, &err));
    OK(rig_step(&r, s, tok, 5, WICK_OUT_LAST, x, &err));
    wick_backend_cpu.kv_free(r.m, s);
    wick_backend_cpu.kv_free(r.m, f);
    rig_close(&r);
    wick_plan_release(&k.p);
}

static void hidden_states(void **state)
{
    (void)state;
    maker k;
    rig r;
    wick_err err;
    wick_seq *s = NULL;
    make_llama(&k, 1, 64, 4, 2, 16, 64, 40, 0, 5);
    OK(rig_open(&r, &k.p, WICK_PRECISION_EXACT, WICK_DTYPE_F32, 2, NULL, 32, &err));
    OK(wick_backend_cpu.kv_new(r.m, 0, &s, &err));
    int32_t tok[9];
    float h[9 * 64], l[9 * 40];
    random_tokens(tok, 9, 40);
    OK(rig_step(&r, s, tok, 9, WICK_OUT_HIDDEN, h, &err));
    OK(wick_backend_cpu.kv_truncate(r.m, s, 0, &err));
    OK(rig_step(&r, s, tok, 9, WICK_OUT_ALL, l, &err));
    double hd[9 * 64];
    for (int i = 0; i < 9 * 64; i++) hd[i] = h[i];
    double *want = ref_linear(k.p.op[k.p.n_ops - 1].u.head.w, NULL, hd, 9, 64);
    assert_true(ref_diff(want, l, 9 * 40) < 1e-5);
    free(want);
    wick_backend_cpu.kv_free(r.m, s);
    rig_close(&r);
    wick_plan_release(&k.p);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    maker k;
    rig r;
    wick_err err;
    wick_seq *s = NULL, *s2 = NULL;
    option_zoo(&k, 1); /* has 298 positions */
    OK(rig_open(&r, &k.p, WICK_PRECISION_FAST, WICK_DTYPE_F16, 2, NULL, 16, &err));
    OK(wick_backend_cpu.kv_new(r.m, 0, &s, &err));
    OK(wick_backend_cpu.kv_new(r.m, 0, &s2, &err));
    int32_t tok[400] = {0}, bad[2] = {3, 50}, neg[1] = {-1};
    wick_row twice[2] = {{s, tok, 1, WICK_OUT_LAST, 0}, {s, tok, 1, WICK_OUT_LAST, 0}};
    wick_row mixed[2] = {{s, tok, 1, WICK_OUT_LAST, 0}, {s2, tok, 1, WICK_OUT_HIDDEN, 0}};
    wick_batch b = {twice, 2}, mb = {mixed, 2}, none = {twice, 0};
    wick_step_out o;
    assert_int_equal(wick_backend_cpu.step_wait(r.m, &o, &err), WICK_E_INTERNAL);
    assert_int_equal(wick_backend_cpu.step_submit(r.m, &none, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_backend_cpu.step_submit(r.m, &b, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_backend_cpu.step_submit(r.m, &mb, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(rig_step(&r, s, bad, 2, WICK_OUT_LAST, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_non_null(strstr(err.message, "token 50"));
    assert_int_equal(rig_step(&r, s, neg, 1, WICK_OUT_LAST, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(rig_step(&r, s, tok, 17, WICK_OUT_LAST, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(rig_step(&r, s, tok, 0, WICK_OUT_LAST, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(rig_step(&r, s, tok, 1, 3, NULL, &err), WICK_E_BAD_PARAMETER);
    for (int i = 0; i < 298 / 2; i++) OK(rig_step(&r, s, tok, 2, WICK_OUT_NONE, NULL, &err));
    assert_int_equal(rig_step(&r, s, tok, 1, WICK_OUT_LAST, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_backend_cpu.kv_len(s), 298);
    assert_int_equal(wick_backend_cpu.kv_truncate(r.m, s, 299, &err), WICK_E_BAD_PARAMETER);
    wick_backend_cpu.kv_free(r.m, s);
    wick_backend_cpu.kv_free(r.m, s2);
    rig_close(&r);
    wick_backend_opts opts = {.isa = "no such"};
    wick_backend_ctx *c = NULL;
    assert_int_equal(wick_backend_cpu.open(&c, &opts, &err), WICK_E_BAD_PARAMETER);
    opts = (wick_backend_opts){.device = "gpu"};
    assert_int_equal(wick_backend_cpu.open(&c, &opts, &err), WICK_E_DEVICE_NOT_AVAILABLE);
    assert_int_equal(rig_open(&r, &k.p, WICK_PRECISION_FAST, WICK_DTYPE_I8, 2, NULL, 16, &err), WICK_E_BAD_PARAMETER);
    k.p.op[2].u.attn.n_kv_head = 5;
    assert_int_equal(rig_open(&r, &k.p, WICK_PRECISION_FAST, WICK_DTYPE_F16, 2, NULL, 16, &err), WICK_E_BAD_PARAMETER);
    wick_plan_release(&k.p);
}

/* NaN and infinity go through, and stay in their own sequence. */
static void nan_does_not_spread(void **state)
{
    (void)state;
    maker k;
    rig r;
    wick_err err;
    make_llama(&k, 2, 64, 4, 2, 16, 64, 40, 0, 6);
    float *emb = (float *)(uintptr_t)k.p.op[0].u.embed.w->data;
    for (int i = 0; i < 64; i++) emb[7 * 64 + i] = i % 2 ? NAN : INFINITY;
    k.p.op[k.p.n_ops - 1].u.head.w = rnd_weight(&k.p.arena, 40, 64, 0);
    const wick_precision precs[] = {WICK_PRECISION_FAST, WICK_PRECISION_EXACT};
    for (int p = 0; p < 2; p++) {
        wick_seq *a = NULL, *b = NULL;
        OK(rig_open(&r, &k.p, precs[p], WICK_DTYPE_F16, 2, NULL, 32, &err));
        OK(wick_backend_cpu.kv_new(r.m, 0, &a, &err));
        OK(wick_backend_cpu.kv_new(r.m, 0, &b, &err));
        int32_t tok[9] = {1, 2, 3, 7, 4, 5, 6, 8, 9}, good[2] = {1, 2};
        float alone[80];
        OK(rig_step(&r, b, good, 2, WICK_OUT_ALL, alone, &err));
        OK(wick_backend_cpu.kv_truncate(r.m, b, 0, &err));
        wick_row row[2] = {{a, tok, 9, WICK_OUT_ALL, 0}, {b, good, 2, WICK_OUT_ALL, 0}};
        wick_batch batch = {row, 2};
        wick_step_out o;
        OK(wick_backend_cpu.step_submit(r.m, &batch, &err));
        OK(wick_backend_cpu.step_wait(r.m, &o, &err));
        assert_memory_equal(o.data + 9 * 40, alone, sizeof alone);
        assert_memory_equal(o.data, alone, sizeof alone); /* tokens before the bad one do not see it */
        wick_backend_cpu.kv_free(r.m, a);
        wick_backend_cpu.kv_free(r.m, b);
        rig_close(&r);
    }
    wick_plan_release(&k.p);
}

static void decoding_allocates_nothing(void **state)
{
    (void)state;
    maker k;
    rig r;
    wick_err err;
    wick_seq *s = NULL;
    make_llama(&k, 2, 64, 4, 2, 16, 64, 40, 4, 6);
    OK(rig_open(&r, &k.p, WICK_PRECISION_FAST, WICK_DTYPE_F16, 2, NULL, 32, &err));
    OK(wick_backend_cpu.kv_new(r.m, 1024, &s, &err));
    int32_t tok[32] = {0};
    OK(rig_step(&r, s, tok, 32, WICK_OUT_LAST, NULL, &err));
    uint64_t before = wick_alloc_count();
    for (int i = 0; i < 300; i++) OK(rig_step(&r, s, tok, 1, WICK_OUT_LAST, NULL, &err));
    assert_true(wick_alloc_count() == before);
    wick_backend_cpu.kv_free(r.m, s);
    rig_close(&r);
    wick_plan_release(&k.p);
}

/* The k-th allocation fails, for every k, over load, kv_new, a step and a fork: an error, no crash, no leak. */
static void failed_allocations(void **state)
{
    (void)state;
    maker k;
    wick_err err;
    make_llama(&k, 1, 32, 2, 1, 16, 32, 20, 4, 6);
    for (uint64_t n = 1;; n++) {
        rig r;
        wick_seq *s = NULL, *f = NULL;
        int32_t tok[70] = {0};
        wick_alloc_fail_at(n, false);
        wick_status st = rig_open(&r, &k.p, WICK_PRECISION_FAST, WICK_DTYPE_F16, 2, NULL, 80, &err);
        if (st == WICK_OK) st = wick_backend_cpu.kv_new(r.m, 70, &s, &err);
        if (st == WICK_OK) st = rig_step(&r, s, tok, 70, WICK_OUT_LAST, NULL, &err);
        if (st == WICK_OK) st = wick_backend_cpu.kv_fork(r.m, s, 33, &f, &err);
        if (st == WICK_OK) st = rig_step(&r, f, tok, 1, WICK_OUT_ALL, NULL, &err);
        wick_alloc_fail_at(0, false);
        if (s) wick_backend_cpu.kv_free(r.m, s);
        if (f) wick_backend_cpu.kv_free(r.m, f);
        rig_close(&r);
        if (st == WICK_OK) break;
        assert_int_equal(st, WICK_E_OUT_OF_MEMORY);
        assert_true(n < 1000);
    }
    wick_backend_opts o = {.n_threads = 1, .memory_limit_bytes = 1000};
    rig r = {0};
    OK(wick_backend_cpu.open(&r.c, &o, &err));
    assert_int_equal(wick_backend_cpu.load(r.c, &k.p, 8, (wick_progress){0}, &r.m, &err), WICK_E_OUT_OF_MEMORY);
    assert_true(err.need > 1000);
    rig_close(&r);
    wick_plan_release(&k.p);
}

static void says_what_it_is(void **state)
{
    (void)state;
    maker k;
    rig r;
    wick_err err;
    wick_backend_info info;
    wick_backend_stats st;
    wick_kv_usage u;
    wick_backend_cpu.probe(&info);
    assert_true(info.available && info.n_devices == 1 && info.device[0].memory_bytes > 0);
    make_llama(&k, 1, 32, 2, 1, 16, 32, 20, 4, 6);
    OK(rig_open(&r, &k.p, WICK_PRECISION_EXACT, WICK_DTYPE_F32, 2, "portable", 8, &err));
    assert_non_null(strstr(wick_backend_cpu.device_label(r.m), "2 threads, portable, exact"));
    assert_true(wick_backend_cpu.caps(r.m) & WICK_CAP_BATCH_INVARIANT);
    wick_backend_cpu.stats(r.m, &st);
    wick_backend_cpu.kv_usage(r.m, &u);
    assert_true(st.weight_bytes > 0 && st.scratch_bytes > 0 && u.block_tokens == 64 && u.bytes_per_token == 2 * 16 * 4);
    rig_close(&r);
    wick_plan_release(&k.p);
}

int main(void)
{
    quick = getenv("WICK_TEST_QUICK") != NULL;
    say_isas(all_isas, sizeof all_isas / sizeof *all_isas);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_matches_double), cmocka_unit_test(options_match_double),
        cmocka_unit_test(kv_types_are_close),   cmocka_unit_test(same_bits_however_cut),
        cmocka_unit_test(same_bits_in_company), cmocka_unit_test(windows_let_go),
        cmocka_unit_test(hidden_states),        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(nan_does_not_spread),  cmocka_unit_test(decoding_allocates_nothing),
        cmocka_unit_test(failed_allocations),   cmocka_unit_test(says_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
