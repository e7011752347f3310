/* Constraints in the engine: one matcher for each answer, the end of a text, preemption, log probabilities. */
#include "engine/results_test.h"

/* Even tokens only, `limit` of them, then the end. The grammar is shared, the matcher counts for one answer. */
typedef struct even_only {
    int limit;
    bool dead_end, refuse, no_mask;
    int n_made;
    atomic_int n_freed;
} even_only;

typedef struct even_matcher {
    even_only *g;
    int n;
} even_matcher;

static wick_status even_mask(void *ctx, uint32_t *bits, uint32_t n_vocab, bool *any, wick_err *err)
{
    (void)err;
    const even_matcher *m = ctx;
    for (uint32_t i = 0; i < (n_vocab + 31) / 32; i++) assert_int_equal(bits[i], 0);
    *any = m->g->no_mask;
    if (*any || (m->g->dead_end && m->n >= 3) || m->n >= m->g->limit) return WICK_OK;
    for (uint32_t i = 0; i < n_vocab; i += 2) bits[i / 32] |= 1u << (i % 32);
    return WICK_OK;
}

static wick_status even_accept(void *ctx, int32_t id, wick_err *err)
{
    even_matcher *m = ctx;
    assert_true(id != 2); /* the end of the text is not a token of it */
    if (!m->g->no_mask) assert_int_equal(id % 2, 0);
    m->n++;
    if (m->g->refuse && m->n == 4) return WICK_FAIL(err, WICK_E_LIMIT, "response_format", "enough");
    return WICK_OK;
}

static bool even_may_end(const void *ctx)
{
    const even_matcher *m = ctx;
    return m->n >= m->g->limit;
}

static void even_free(void *ctx)
{
    even_matcher *m = ctx;
    m->g->n_freed++;
    free(m);
}

static wick_status even_new(const void *grammar, wick_matcher *out, wick_err *err)
{
    static const wick_matcher_ops ops = {even_mask, even_accept, NULL, even_may_end, NULL, even_free};
    even_matcher *m = calloc(1, sizeof *m);
    memcpy(&m->g, &grammar, sizeof m->g); /* the test's grammar counts its matchers */
    if (m->g->n_made < 0) {
        free(m);
        return WICK_FAIL(err, WICK_E_OUT_OF_MEMORY, "grammar", "no more matchers");
    }
    m->g->n_made++;
    *out = (wick_matcher){&ops, m};
    return WICK_OK;
}

static void test_constraint(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[3] = {5, 6, 7};
    result r;
    fake_eos_bias = 100; /* it would end at once, if it might */
    for (int i = 0; i < 3; i++) {
        even_only c = {.limit = 10, .dead_end = i == 1, .refuse = i == 2};
        wick_constraint k = {&c, even_new};
        wick_request_opts o = greedy(p, 3, 50);
        o.sampling.temperature = 1;
        o.constraint = &k;
        collect(submit(e, &o), &r);
        assert_int_equal(c.n_made, 1);
        assert_int_equal(c.n_freed, 1);
        if (i == 0) {
            assert_int_equal(r.finish, WICK_FINISH_EOS);
            assert_int_equal(r.n, 10);
        } else {
            assert_int_equal(r.finish, WICK_FINISH_ERROR);
            assert_string_equal(r.error.subject, "response_format");
        }
    }
    wick_engine_close(e);
}

/* One constraint, several answers at once: each has its own matcher, whatever becomes of the others. */
static void test_constraint_is_a_factory(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[3] = {5, 6, 7};
    static result r[4];
    wick_request *q[4];
    wick_err err = {0};
    even_only c = {.limit = 12};
    {
        wick_constraint k = {&c, even_new}; /* gone when the answers run */
        for (uint64_t i = 0; i < 4; i++) {
            wick_request_opts o = greedy(p, 3, 50);
            o.sampling.temperature = 1, o.sampling.has_seed = true, o.sampling.seed = i;
            o.constraint = &k;
            q[i] = submit(e, &o);
        }
        wick_request *never;
        wick_request_opts o = greedy(p, 3, 50);
        even_only none = {.n_made = -1};
        k.grammar = &none;
        o.constraint = &k;
        assert_int_equal(wick_request_new(&never, e, &o, &err), WICK_E_OUT_OF_MEMORY);
        o.kind = WICK_REQ_LOGITS;
        assert_int_equal(wick_request_new(&never, e, &o, &err), WICK_E_BAD_PARAMETER);
    }
    wick_request_cancel(q[3]);
    for (int i = 0; i < 4; i++) collect(q[i], &r[i]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r[i].n, 12);
        assert_int_equal(r[i].finish, WICK_FINISH_EOS);
    }
    assert_memory_not_equal(r[0].id, r[1].id, 12 * sizeof r[0].id[0]);
    assert_int_equal(c.n_made, 4);
    assert_int_equal(c.n_freed, 4);
    wick_engine_close(e);
}

/* A matcher that allows everything still says where the text may end; and ignore_eos cannot break out of it. */
static void test_constraint_owns_the_end(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[3] = {5, 6, 7};
    result r;
    fake_eos_bias = 100;
    even_only c = {.limit = 8, .no_mask = true};
    wick_constraint k = {&c, even_new};
    wick_request_opts o = greedy(p, 3, 50);
    o.constraint = &k;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_EOS);
    assert_int_equal(r.n, 8);
    o.min_tokens = 11;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_EOS);
    assert_int_equal(r.n, 11);
    o.ignore_eos = true, o.min_tokens = 0;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_LENGTH);
    c.no_mask = false; /* nothing but the end is left: it ends although ignore_eos was asked for */
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_EOS);
    assert_int_equal(r.n, 8);
    assert_int_equal(r.usage.n_gen, 8);
    wick_engine_close(e);
}

/* Answers that lose their KV and are computed again are the same as those that never did; so are their log
 * probabilities, which are those of the model without the constraint. */
static void test_constraint_and_preemption(void **state)
{
    (void)state;
    static result calm[4], tight[4];
    static int32_t p[4][40];
    even_only c = {.limit = 200};
    wick_constraint k = {&c, even_new};
    atomic_store(&fake_token_us, 200); /* the first is not done before the last is there */
    for (int pass = 0; pass < 2; pass++) {
        wick_engine *e = engine(4, 16, pass == 0 ? 0 : 330 * FAKE_BYTES_PER_TOKEN);
        wick_request *q[4];
        for (uint32_t i = 0; i < 4; i++) {
            make_prompt(p[i], 40, i + 77);
            wick_request_opts o = greedy(p[i], 40, 100);
            o.sampling.temperature = 1, o.sampling.has_seed = true, o.sampling.seed = i;
            o.constraint = &k;
            q[i] = submit(e, &o);
        }
        for (int i = 0; i < 4; i++) collect(q[i], pass == 0 ? &calm[i] : &tight[i]);
        wick_engine_stats s;
        wick_engine_get_stats(e, &s);
        if (pass == 1) assert_true(s.n_preempted > 0);
        wick_engine_close(e);
    }
    atomic_store(&fake_token_us, 0);
    for (int i = 0; i < 4; i++) {
        int32_t t[140];
        assert_int_equal(calm[i].n, 100);
        assert_memory_equal(calm[i].id, tight[i].id, 100 * sizeof calm[i].id[0]);
        assert_memory_equal(calm[i].logprob, tight[i].logprob, 100 * sizeof calm[i].logprob[0]);
        memcpy(t, p[i], sizeof p[i]);
        for (uint32_t n = 0; n < 100; n++) {
            assert_float_equal(calm[i].logprob[n], logprob_of(t, 40 + n, calm[i].id[n]), 1e-4);
            t[40 + n] = calm[i].id[n];
        }
    }
    assert_int_equal(c.n_made, 8);
    assert_int_equal(c.n_freed, 8);
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

int main(void)
{
    tok = fake_tokenizer();
    if (!tok) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_constraint, setup),
        cmocka_unit_test_setup(test_constraint_is_a_factory, setup),
        cmocka_unit_test_setup(test_constraint_owns_the_end, setup),
        cmocka_unit_test_setup(test_constraint_and_preemption, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wick_tokenizer_free(tok);
    return failed;
}
