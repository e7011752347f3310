/* The MLX backend on its CPU device: sequences cut, batched, forked, truncated, exported and imported in every way give
 * the logits of the plain run; a reference in double checks one plan; wrong batches and failing memory are errors. The
 * numbers of every family are compared with mlx-lm in tests/parity. */
#include "backend/mlx/testing.h"

/* Windows, caps, chunks, and products as a GPU gets them: against double. */
static void test_reference(void **state)
{
    static const struct {
        uint32_t window, n, chunk;
        float softcap;
        uint32_t bits, expand_rows, pad_rows;
    } cases[] = {{0, 37, 37, 0, 0, 0, 0},   {0, 37, 5, 0, 0, 0, 0},    {0, 3, 1, 0, 0, 0, 0},
                 {9, 37, 37, 0, 0, 0, 0},   {9, 37, 6, 0, 0, 0, 0},    {9, 20, 1, 0, 0, 0, 0},
                 {0, 21, 8, 3.0F, 0, 0, 0}, {7, 21, 4, 2.0F, 0, 0, 0}, {0, 600, 300, 0, 0, 0, 0},
                 {0, 37, 16, 0, 4, 0, 0},   {0, 37, 16, 0, 8, 16, 0},  {0, 37, 5, 0, 4, 16, 8},
                 {0, 37, 1, 0, 3, 16, 8}};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        tiny t;
        int32_t tok[600];
        open_tiny(&t, cases[c].window, cases[c].softcap, cases[c].bits);
        t.m->expand_rows = cases[c].expand_rows;
        t.m->pad_rows = cases[c].pad_rows;
        tokens_of(tok, cases[c].n, 0);
        for (uint32_t i = 0; i < cases[c].n; i++) ref_token(&t, tok[i], i, want + (size_t)i * VOCAB);
        wick_seq *s = new_seq(&t);
        prefill(&t, s, tok, cases[c].n, cases[c].chunk, got);
        assert_int_equal(be->kv_len(s), cases[c].n);
        assert_near(got, want, (size_t)cases[c].n * VOCAB, 1e-4, "reference");
        be->kv_free(t.m, s);
        close_tiny(&t);
    }
}

/* Sequences of different lengths decode together, one leaves, a prompt comes in between: nobody notices. */
static void test_batches(void **state)
{
    enum { N = 4, STEPS = 24 };
    static float alone[N][STEPS][VOCAB];
    static const uint32_t windows[] = {0, 11};
    static const uint32_t starts[2][N] = {{5, 5, 5, 5}, {3, 250, 17, 300}};
    (void)state;
    for (int c = 0; c < 4; c++) {
        tiny t;
        static int32_t tok[N][400];
        wick_seq *s[N];
        open_tiny(&t, windows[c % 2], 0, 0);
        for (int i = 0; i < N; i++) {
            uint32_t n = starts[c / 2][i];
            tokens_of(tok[i], n + STEPS, (uint32_t)i);
            s[i] = new_seq(&t);
            prefill(&t, s[i], tok[i], n, 128, got);
            for (uint32_t k = 0; k < STEPS; k++) prefill(&t, s[i], tok[i] + n + k, 1, 1, alone[i][k]);
            be->kv_free(t.m, s[i]);
            s[i] = new_seq(&t);
            prefill(&t, s[i], tok[i], n, n, got);
        }
        for (uint32_t k = 0; k < STEPS; k++) {
            wick_row r[N + 1];
            uint32_t n = 0;
            for (int i = 0; i < N; i++) {
                if (i == 1 && k >= 8 && k < 12) continue; /* it pauses */
                uint32_t at = starts[c / 2][i] + k - (i == 1 && k >= 12 ? 4 : 0);
                r[n++] = (wick_row){s[i], tok[i] + at, 1, i == 2 && k % 3 ? WICK_OUT_NONE : WICK_OUT_LAST, 0};
            }
            wick_seq *guest = NULL;
            if (k == 15) { /* a prompt in the middle of the batch */
                guest = new_seq(&t);
                r[n] = r[n - 1];
                r[n++ - 1] = (wick_row){guest, tok[0], starts[c / 2][0], WICK_OUT_LAST, 0};
            }
            run(&t, r, n, got);
            if (c < 2) assert_ptr_equal(s[0]->bundle, s[2]->bundle); /* of one length: they attend together */
            const float *p = got;
            for (uint32_t i = 0; i < n; i++) {
                if (r[i].out == WICK_OUT_NONE) continue;
                if (r[i].seq != guest) {
                    int who = 0;
                    while (s[who] != r[i].seq) who++;
                    assert_near(p, alone[who][k - (who == 1 && k >= 12 ? 4 : 0)], VOCAB, 1e-4, "batch");
                }
                p += VOCAB;
            }
            if (guest) be->kv_free(t.m, guest);
        }
        for (int i = 0; i < N; i++) be->kv_free(t.m, s[i]);
        wick_kv_usage u;
        be->kv_usage(t.m, &u);
        assert_int_equal(u.bytes, 0);
        close_tiny(&t);
    }
}

/* The best token after tok[0..n), and its log probability. */
static wick_pick ref_pick(const tiny *t, const int32_t *tok, uint32_t n)
{
    float l[VOCAB];
    wick_pick p = {0, 0};
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) ref_token(t, tok[i], i, l);
    for (int32_t i = 1; i < VOCAB; i++)
        if (l[i] > l[p.id]) p.id = i;
    for (int32_t i = 0; i < VOCAB; i++) sum += exp((double)(l[i] - l[p.id]));
    p.logprob = (float)-log(sum);
    return p;
}

/* Steps that take the picks of the step before, always one ahead of what was waited for. Every third step gives
 * sequence 1 its token by name, and sequence 2 leaves and comes back: the picks follow their sequences through every
 * change of order. */
static void test_picks(void **state)
{
    enum { N = 4, STEPS = 20 };
    static const uint32_t starts[3][N] = {{1, 1, 1, 1}, {5, 300, 9, 40}, {2, 1, 1, 1}};
    (void)state;
    for (int c = 0; c < 3; c++) {
        tiny t;
        static int32_t tok[N][400];
        wick_seq *s[N];
        wick_row r[N];
        uint32_t len[N], n = 0, who[2][N], n_who[2] = {N, 0};
        wick_batch b = {r, N};
        wick_step_out out;
        open_tiny(&t, 0, 0, c == 2 ? 4 : 0);
        t.m->pad_rows = c == 2 ? 8 : 0;
        for (uint32_t i = 0; i < N; i++) {
            len[i] = starts[c][i];
            tokens_of(tok[i], len[i], i);
            s[i] = new_seq(&t);
            r[i] = (wick_row){s[i], tok[i], len[i], WICK_OUT_PICK, 0};
            who[0][i] = i;
        }
        OK(be->step_submit(t.m, &b, &err));
        for (uint32_t k = 0; k < STEPS; k++) {
            uint32_t now = k % 2, then = 1 - now;
            n = 0;
            for (uint32_t j = 0; j < N; j++) {
                uint32_t i = (j + k / 5) % N; /* the batch is not always in one order */
                bool away = i == 2 && k % 6 == 3, back = i == 2 && k % 6 == 4;
                if (away || back || (i == 1 && k % 3 == 2)) continue;
                who[then][n] = i;
                r[n++] = (wick_row){s[i], NULL, 1, WICK_OUT_PICK, 0};
            }
            n_who[then] = n;
            b.n_rows = n;
            if (k + 1 < STEPS && n > 0) OK(be->step_submit(t.m, &b, &err));
            OK(be->step_wait(t.m, &out, &err));
            assert_int_equal(out.n_picks, n_who[now]);
            assert_int_equal(out.n, 0);
            for (uint32_t j = 0; j < n_who[now]; j++) {
                uint32_t i = who[now][j];
                wick_pick want_pick = ref_pick(&t, tok[i], len[i]);
                assert_int_equal(out.pick[j].id, want_pick.id);
                assert_near(&out.pick[j].logprob, &want_pick.logprob, 1, 1e-4, "log probability");
                tok[i][len[i]++] = want_pick.id;
            }
            if (k % 3 == 2 || k % 6 == 3 ||
                k % 6 == 4) { /* who was left out takes a token by name, in a step of its own */
                if (k + 1 < STEPS) OK(be->step_wait(t.m, &out, &err));
                for (uint32_t j = 0; k + 1 < STEPS && j < n_who[then]; j++)
                    tok[who[then][j]][len[who[then][j]]++] = out.pick[j].id;
                for (uint32_t i = 0; i < N; i++) {
                    r[i] = (wick_row){s[i], tok[i] + be->kv_len(s[i]), 1, WICK_OUT_PICK, 0};
                    who[then][i] = i;
                    assert_int_equal(be->kv_len(s[i]), len[i] - 1);
                }
                n_who[then] = N;
                b.n_rows = N;
                if (k + 1 < STEPS) OK(be->step_submit(t.m, &b, &err));
            }
        }
        for (uint32_t i = 0; i < N; i++) be->kv_free(t.m, s[i]);
        close_tiny(&t);
    }
}

/* Vectors and picks in one step; a step under way while its sequences are cut and freed; what may not be asked. */
static void test_picks_among_others(void **state)
{
    tiny t;
    int32_t a[8], c[8];
    wick_step_out out;
    (void)state;
    open_tiny(&t, 0, 0, 0);
    tokens_of(a, 8, 1);
    tokens_of(c, 8, 2);
    wick_seq *s = new_seq(&t), *u = new_seq(&t), *v = new_seq(&t);
    expect_error(&t, (wick_row[]){{s, NULL, 1, WICK_OUT_PICK, 0}}, 1, WICK_E_BAD_PARAMETER);
    wick_row mixed[3] = {{s, a, 3, WICK_OUT_PICK, 0}, {u, c, 2, WICK_OUT_ALL, 0}, {v, a, 1, WICK_OUT_PICK, 0}};
    OK(be->step_submit(t.m, &(wick_batch){mixed, 3}, &err));
    expect_error(&t, (wick_row[]){{u, NULL, 1, WICK_OUT_PICK, 0}}, 1, WICK_E_BAD_PARAMETER); /* it picked nothing */
    wick_row next[3] = {
        {v, NULL, 1, WICK_OUT_LAST, 0}, {u, c + 2, 1, WICK_OUT_LAST, 0}, {s, NULL, 1, WICK_OUT_PICK, 0}};
    OK(be->step_submit(t.m, &(wick_batch){next, 3}, &err));
    expect_error(&t, next + 1, 1, WICK_E_INTERNAL); /* a third */
    OK(be->step_wait(t.m, &out, &err));
    assert_int_equal(out.n, 2);
    assert_int_equal(out.n_picks, 2);
    for (uint32_t i = 0; i < 2; i++) ref_token(&t, c[i], i, want + (size_t)i * VOCAB);
    assert_near(out.data, want, 2 * VOCAB, 1e-4, "vectors among picks");
    int32_t after_s = out.pick[0].id, after_v = out.pick[1].id;
    assert_int_equal(after_s, ref_pick(&t, a, 3).id);
    assert_int_equal(after_v, ref_pick(&t, a, 1).id);
    be->kv_free(t.m, v);
    OK(be->kv_truncate(t.m, s, 3, &err));
    OK(be->step_wait(t.m, &out, &err));
    assert_int_equal(out.n, 2);
    assert_int_equal(out.n_picks, 1);
    int32_t two[2] = {a[0], after_v};
    for (uint32_t i = 0; i < 2; i++) ref_token(&t, two[i], i, want);
    assert_near(out.data, want, VOCAB, 1e-4, "logits after a pick");
    int32_t longer[4] = {a[0], a[1], a[2], after_s};
    assert_int_equal(out.pick[0].id, ref_pick(&t, longer, 4).id);
    wick_row again = {s, a + 3, 1, WICK_OUT_LAST, 0};
    run(&t, &again, 1, got);
    for (uint32_t i = 0; i < 4; i++) ref_token(&t, a[i], i, want);
    assert_near(got, want, VOCAB, 1e-4, "after taking back what was ahead");
    be->kv_free(t.m, s);
    be->kv_free(t.m, u);
    close_tiny(&t);
}

static void test_fork_and_truncate(void **state)
{
    tiny t;
    int32_t tok[300], other[300];
    (void)state;
    open_tiny(&t, 0, 0, 0);
    tokens_of(tok, 300, 0);
    tokens_of(other, 300, 1);
    memcpy(other, tok, 260 * sizeof *tok);
    wick_seq *a = new_seq(&t), *b = new_seq(&t), *f = NULL, *g = NULL;
    prefill(&t, a, tok, 300, 300, want);
    prefill(&t, b, other, 300, 300, got);
    static float want_other[40 * VOCAB];
    memcpy(want_other, got + 260 * VOCAB, sizeof want_other);
    OK(be->kv_fork(t.m, a, 260, &f, &err));
    assert_int_equal(be->kv_len(f), 260);
    prefill(&t, f, other + 260, 40, 7, got);
    assert_near(got, want_other, 40 * VOCAB, 1e-4, "fork");
    OK(be->kv_truncate(t.m, a, 280, &err));
    prefill(&t, a, tok + 280, 20, 1, got);
    assert_near(got, want + 280 * VOCAB, 20 * VOCAB, 1e-4, "after truncation");
    be->kv_free(t.m, a); /* the fork lives on */
    OK(be->kv_truncate(t.m, f, 270, &err));
    OK(be->kv_fork(t.m, f, 270, &g, &err));
    wick_row r[2] = {{f, other + 270, 1, WICK_OUT_LAST, 0}, {g, other + 270, 1, WICK_OUT_LAST, 0}};
    run(&t, r, 2, got);
    assert_near(got, want_other + 10 * VOCAB, VOCAB, 1e-4, "both forks");
    assert_near(got + VOCAB, want_other + 10 * VOCAB, VOCAB, 1e-4, "both forks");
    assert_int_not_equal(be->kv_truncate(t.m, f, 5000, &err), WICK_OK);
    assert_int_not_equal(be->kv_fork(t.m, f, 5000, &a, &err), WICK_OK);
    be->kv_free(t.m, b);
    be->kv_free(t.m, f);
    be->kv_free(t.m, g);
    close_tiny(&t);
}

/* Who may write into a bundle's arrays behind MLX's back: only while no other sequence refers to them. */
static void test_own(void **state)
{
    tiny t;
    int32_t tok[300];
    (void)state;
    open_tiny(&t, 0, 0, 0);
    tokens_of(tok, 300, 0);
    wick_seq *a = new_seq(&t), *f = NULL;
    prefill(&t, a, tok, 5, 5, got);
    assert_true(a->bundle->own);
    prefill(&t, a, tok + 5, 1, 1, got);
    assert_true(a->bundle->own);
    OK(be->kv_fork(t.m, a, 6, &f, &err)); /* the arrays are shared until one of them writes */
    assert_false(a->bundle->own);
    assert_false(f->bundle->own);
    prefill(&t, a, tok + 6, 1, 1, got);
    assert_true(a->bundle->own);
    assert_false(f->bundle->own);
    wick_row r[2] = {{a, tok + 7, 1, WICK_OUT_LAST, 0}, {f, tok + 7, 1, WICK_OUT_LAST, 0}};
    run(&t, r, 2, got);
    assert_ptr_equal(a->bundle, f->bundle);
    assert_true(a->bundle->own);
    prefill(&t, a, tok + 8, 290, 290, got); /* moves out, and grows */
    assert_true(a->bundle->own);
    assert_false(f->bundle->own); /* what is left behind was read for the copy */
    be->kv_free(t.m, a);
    be->kv_free(t.m, f);
    close_tiny(&t);
}

static void test_export(void **state)
{
    tiny t;
    int32_t tok[40];
    (void)state;
    open_tiny(&t, 0, 0, 0);
    tokens_of(tok, 40, 3);
    wick_seq *a = new_seq(&t), *b = new_seq(&t);
    prefill(&t, a, tok, 40, 40, want);
    uint64_t n = 0, n2 = 0, few = 8;
    OK(be->kv_export(t.m, a, 0, 25, NULL, &n, &err));
    assert_int_equal(n, (uint64_t)25 * LAYERS * 2 * KV_HEADS * DIM * 4);
    float *buf = malloc(n), *rest = malloc(n);
    OK(be->kv_export(t.m, a, 0, 25, buf, &n, &err));
    n2 = n;
    OK(be->kv_export(t.m, a, 25, 30, rest, &n2, &err));
    OK(be->kv_import(t.m, b, 0, 25, buf, n, &err));
    OK(be->kv_import(t.m, b, 25, 30, rest, n2, &err));
    assert_int_equal(be->kv_len(b), 30);
    prefill(&t, b, tok + 30, 10, 10, got);
    assert_near(got, want + 30 * VOCAB, 10 * VOCAB, 1e-4, "import");
    /* layer 0, V of head 1 at position 3: [cache][k then v][head][position][dim] */
    ref_token(&t, tok[0], 0, got);
    for (uint32_t i = 0; i < 25; i++) ref_token(&t, tok[i], i, got);
    for (int i = 0; i < DIM; i++)
        assert_true(fabs((double)buf[(2 + 1) * 25 * DIM + 3 * DIM + i] - ref_v[0][3][DIM + i]) < 1e-4);
    assert_int_not_equal(be->kv_export(t.m, a, 0, 25, buf, &few, &err), WICK_OK);
    assert_int_not_equal(be->kv_export(t.m, a, 0, 41, NULL, &n, &err), WICK_OK);
    assert_int_not_equal(be->kv_import(t.m, b, 0, 25, buf, n, &err), WICK_OK);
    assert_int_not_equal(be->kv_import(t.m, b, 40, 50, buf, 17, &err), WICK_OK);
    free(buf);
    free(rest);
    be->kv_free(t.m, a);
    be->kv_free(t.m, b);
    close_tiny(&t);
}

static void test_hidden(void **state)
{
    tiny t;
    int32_t tok[6];
    (void)state;
    open_tiny(&t, 0, 0, 0);
    tokens_of(tok, 6, 0);
    wick_seq *s = new_seq(&t);
    wick_row r = {s, tok, 6, WICK_OUT_HIDDEN, 0};
    assert_int_equal(run(&t, &r, 1, got), 6);
    be->kv_free(t.m, s);
    s = new_seq(&t);
    prefill(&t, s, tok, 6, 6, want);
    double h[EMBD], logits[VOCAB];
    for (int i = 0; i < EMBD; i++) h[i] = (double)got[5 * EMBD + i];
    product(t.op[t.p.n_ops - 1].u.head.w, h, logits);
    for (int i = 0; i < VOCAB; i++) assert_true(fabs(logits[i] - (double)want[5 * VOCAB + i]) < 1e-4);
    be->kv_free(t.m, s);
    close_tiny(&t);
}

static void test_wrong_batches(void **state)
{
    tiny t;
    int32_t good[2] = {1, 2}, bad[2] = {1, VOCAB};
    wick_step_out out;
    (void)state;
    open_tiny(&t, 0, 0, 0);
    wick_seq *s = new_seq(&t), *u = new_seq(&t);
    expect_error(&t, NULL, 0, WICK_E_BAD_PARAMETER);
    expect_error(&t, (wick_row[]){{s, bad, 2, WICK_OUT_LAST, 0}}, 1, WICK_E_BAD_PARAMETER);
    expect_error(&t, (wick_row[]){{s, good, 0, WICK_OUT_LAST, 0}}, 1, WICK_E_BAD_PARAMETER);
    expect_error(&t, (wick_row[]){{s, good, 2, 9, 0}}, 1, WICK_E_BAD_PARAMETER);
    expect_error(&t, (wick_row[]){{NULL, good, 2, WICK_OUT_LAST, 0}}, 1, WICK_E_BAD_PARAMETER);
    expect_error(&t, (wick_row[]){{s, good, 1, WICK_OUT_LAST, 0}, {s, good, 1, WICK_OUT_LAST, 0}}, 2,
                 WICK_E_BAD_PARAMETER);
    expect_error(&t, (wick_row[]){{s, good, 2, WICK_OUT_LAST, 0}, {u, good, 2, WICK_OUT_HIDDEN, 0}}, 2,
                 WICK_E_BAD_PARAMETER);
    assert_int_not_equal(be->step_wait(t.m, &out, &err), WICK_OK);
    wick_row r = {s, good, 2, WICK_OUT_LAST, 0};
    assert_int_equal(run(&t, &r, 1, got), 1);
    ref_token(&t, 1, 0, want);
    ref_token(&t, 2, 1, want);
    assert_near(got, want, VOCAB, 1e-4, "after errors");
    be->kv_free(t.m, s);
    be->kv_free(t.m, u);
    close_tiny(&t);
}

/* Every allocation of a load and a step fails in turn: an error each time, and the sequence is as it was. */
static void test_failing_memory(void **state)
{
    tiny t;
    int32_t tok[3] = {3, 4, 5};
    wick_progress none = {0};
    wick_backend_opts o = {.device = "cpu", .precision = WICK_PRECISION_EXACT};
    (void)state;
    make_plan(&t, 0, 0, 0);
    OK(be->open(&t.c, &o, &err));
    bool passed = false;
    for (uint64_t n = 1; !passed && n < 2000; n++) {
        wick_alloc_fail_at(n, true);
        wick_status st = be->load(t.c, &t.p, MAX_TOKENS, none, &t.m, &err);
        wick_alloc_fail_at(0, false);
        passed = st == WICK_OK;
        if (!passed) assert_true(err.message[0] != 0);
    }
    assert_true(passed);
    wick_seq *s = new_seq(&t);
    passed = false;
    for (uint64_t n = 1; !passed && n < 200; n++) {
        wick_row r = {s, tok, 3, WICK_OUT_LAST, 0};
        wick_batch b = {&r, 1};
        wick_alloc_fail_at(n, true);
        wick_status st = be->step_submit(t.m, &b, &err);
        wick_alloc_fail_at(0, false);
        passed = st == WICK_OK;
        assert_int_equal(be->kv_len(s), passed ? 3 : 0);
    }
    assert_true(passed);
    wick_step_out out;
    OK(be->step_wait(t.m, &out, &err));
    for (uint32_t i = 0; i < 3; i++) ref_token(&t, tok[i], i, want);
    assert_near(out.data, want, VOCAB, 1e-4, "after failures");
    be->kv_free(t.m, s);
    close_tiny(&t);
}

/* A limit on memory is an error of the step that passes it; the sequence and the others go on. */
static void test_limit(void **state)
{
    tiny t;
    int32_t tok[600];
    (void)state;
    open_tiny(&t, 0, 0, 0);
    t.m->kv_limit_bytes = 2 * WICK_KV_STEP * t.m->bytes_per_token;
    tokens_of(tok, 600, 0);
    wick_seq *a = new_seq(&t), *b = new_seq(&t);
    prefill(&t, a, tok, 200, 200, got);
    expect_error(&t, (wick_row[]){{a, tok + 200, 400, WICK_OUT_LAST, 0}}, 1, WICK_E_OUT_OF_MEMORY);
    expect_error(&t, (wick_row[]){{a, tok, 1, WICK_OUT_LAST, 0}, {b, tok, 600, WICK_OUT_LAST, 0}}, 2,
                 WICK_E_OUT_OF_MEMORY);
    assert_int_equal(be->kv_len(a), 200);
    for (uint32_t i = 0; i < 205; i++) ref_token(&t, tok[i], i, want + (size_t)i * VOCAB);
    prefill(&t, a, tok + 200, 5, 5, got);
    assert_near(got, want + 200 * VOCAB, 5 * VOCAB, 1e-4, "after the limit");
    wick_kv_usage u;
    be->kv_usage(t.m, &u);
    assert_int_equal(u.bytes, WICK_KV_STEP * t.m->bytes_per_token);
    be->kv_free(t.m, a);
    be->kv_free(t.m, b);
    close_tiny(&t);
}

/* What a step's scores would take and is not there is an error of that step. */
static void test_scores_in_memory(void **state)
{
    tiny t;
    int32_t tok[700];
    (void)state;
    open_tiny(&t, 0, 0, 0);
    tokens_of(tok, 700, 0);
    t.m->room_bytes = (uint64_t)2 * HEADS * 500 * 500 * sizeof(float);
    wick_seq *a = new_seq(&t);
    expect_error(&t, (wick_row[]){{a, tok, 520, WICK_OUT_LAST, 0}}, 1, WICK_E_OUT_OF_MEMORY);
    assert_non_null(strstr(err.message, "attention"));
    assert_int_equal(be->kv_len(a), 0);
    prefill(&t, a, tok, 490, 490, got);
    wick_seq *b = new_seq(&t);
    expect_error(&t, (wick_row[]){{a, tok + 490, 200, WICK_OUT_LAST, 0}, {b, tok, 400, WICK_OUT_LAST, 0}}, 2,
                 WICK_E_OUT_OF_MEMORY);
    be->kv_free(t.m, b);
    for (uint32_t i = 0; i < 500; i++) ref_token(&t, tok[i], i, want + (size_t)i * VOCAB);
    prefill(&t, a, tok + 490, 10, 10, got);
    assert_near(got, want + 490 * VOCAB, 10 * VOCAB, 1e-4, "after too much");
    be->kv_free(t.m, a);
    close_tiny(&t);
}

static void test_devices(void **state)
{
    wick_backend_info info;
    wick_backend_ctx *c = NULL;
    (void)state;
    be->probe(&info);
    assert_true(info.available);
    assert_true(info.n_devices >= 1);
    assert_true(info.version[0] != 0);
    wick_backend_opts o = {.device = "cpu"}, wrong = o;
    assert_true(wick_backend_set(&wrong, "other.option", "what it means there"));
    assert_int_equal(be->open(&c, &wrong, &err), WICK_OK);
    be->close(c);
    assert_true(wick_backend_set(&wrong, "mlx.compile", "perhaps"));
    assert_int_equal(be->open(&c, &wrong, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "mlx.compile");
    assert_true(wick_backend_set(&wrong, "mlx.compile", "off"));
    assert_true(wick_backend_set(&wrong, "mlx.fast", "on"));
    assert_int_equal(be->open(&c, &wrong, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "mlx.fast");
    o.device = "tpu";
    assert_int_equal(be->open(&c, &o, &err), WICK_E_DEVICE_NOT_AVAILABLE);
    o.device = "gpu";
    if (strcmp(info.device[0].kind, "gpu") != 0) {
        assert_int_equal(be->open(&c, &o, &err), WICK_E_DEVICE_NOT_AVAILABLE);
        assert_non_null(strstr(err.message, "MLX"));
    }
}

/* What is missing is named. */
static void test_check(void **state)
{
    tiny t;
    (void)state;
    make_plan(&t, 0, 0, 0);
    OK(wick_mlx_check(&t.p, &err));
    wick_op keep = t.op[2];
    t.op[2].u.attn.wk = t.op[2].u.attn.wq;
    assert_int_equal(wick_mlx_check(&t.p, &err), WICK_E_BAD_PARAMETER);
    t.op[2] = keep;
    t.op[2].u.attn.wv = NULL;
    assert_int_equal(wick_mlx_check(&t.p, &err), WICK_E_BAD_PARAMETER);
    t.op[2] = keep;
    t.op[2].u.attn.cache = 9;
    assert_int_equal(wick_mlx_check(&t.p, &err), WICK_E_BAD_PARAMETER);
    t.op[2] = keep;
    wick_weight odd = *keep.u.attn.wk;
    odd.enc = WICK_ENC_BLOCK;
    odd.dtype = WICK_DTYPE_I16;
    odd.name = "blk.0.attn_k.weight";
    t.op[2].u.attn.wk = &odd;
    assert_int_equal(wick_mlx_check(&t.p, &err), WICK_E_UNSUPPORTED_FORMAT);
    assert_non_null(strstr(err.message, "blk.0.attn_k.weight"));
    assert_non_null(strstr(err.message, "expected"));
    assert_non_null(strstr(err.message, wick_dtype_name(WICK_DTYPE_I16)));
    odd = *keep.u.attn.wk;
    odd.n_in = 7;
    assert_int_equal(wick_mlx_check(&t.p, &err), WICK_E_BAD_PARAMETER);
    assert_non_null(strstr(err.message, "expected [16][32], got [16][7]"));
    wick_arena_release(&t.p.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_devices),
                                       cmocka_unit_test(test_check),
                                       cmocka_unit_test(test_reference),
                                       cmocka_unit_test(test_batches),
                                       cmocka_unit_test(test_picks),
                                       cmocka_unit_test(test_own),
                                       cmocka_unit_test(test_picks_among_others),
                                       cmocka_unit_test(test_fork_and_truncate),
                                       cmocka_unit_test(test_export),
                                       cmocka_unit_test(test_hidden),
                                       cmocka_unit_test(test_wrong_batches),
                                       cmocka_unit_test(test_failing_memory),
                                       cmocka_unit_test(test_limit),
                                       cmocka_unit_test(test_scores_in_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
