/* The C API on a real, tiny model on the CPU backend: every function, its errors, and failing allocations. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "base/alloc.h"
#include "base/thread.h"
#include "capi/tiny_model_test.h"
#include "wick/wick.h"

static char dir[64];
static wick_llm *llm;

static wick_status open_model(const char *path, const char *precision, wick_llm **out, wick_error *err)
{
    wick_model_builder *b = wick_model_builder_new(path);
    if (!b) return WICK_E_OUT_OF_MEMORY;
    wick_model_builder_set_backend(b, "cpu");
    wick_model_builder_set_threads(b, 1);
    wick_model_builder_set_precision(b, precision);
    wick_status st = wick_model_builder_build(b, out, err);
    wick_model_builder_free(b);
    return st;
}

static int make_model(void **state)
{
    (void)state;
    wick_error err = {0};
    snprintf(dir, sizeof dir, "/tmp/wick-capi-%ld", (long)getpid());
    if (!tiny_model(dir)) return 1;
    if (open_model(dir, "exact", &llm, &err) == WICK_OK) return 0;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

static int drop_model(void **state)
{
    (void)state;
    wick_llm_close(llm);
    tiny_remove(dir);
    return 0;
}

static void test_info(void **state)
{
    (void)state;
    wick_llm_info i;
    wick_llm_info_init(&i);
    assert_int_equal(wick_llm_get_info(llm, &i, NULL), WICK_OK);
    assert_string_equal(i.path, dir);
    assert_string_equal(i.architecture, "llama");
    assert_string_equal(i.backend, "cpu");
    assert_int_equal(i.n_vocab, TINY_VOCAB);
    assert_int_equal(i.n_context, 512);
    assert_int_equal(i.n_embd, TINY_EMBD);
    assert_int_equal(i.n_layers, 1);
    assert_true(i.has_tokenizer && i.has_chat_template && i.has_embeddings);
    assert_true(i.n_params > 10000 && i.load_ms >= 0);
    assert_true(strlen(wick_version()) > 2);
}

static void test_tokens(void **state)
{
    (void)state;
    int32_t *ids;
    size_t n;
    char *text;
    const char *sample = "h\xc3\xa9llo<|end|>";
    assert_int_equal(wick_llm_tokenize(llm, sample, SIZE_MAX, true, &ids, &n, NULL), WICK_OK);
    assert_int_equal(n, 7);
    assert_int_equal(ids[0], 'h' + 6);
    assert_int_equal(ids[6], 5);
    assert_int_equal(wick_llm_detokenize(llm, ids, n, false, &text, NULL, NULL), WICK_OK);
    assert_string_equal(text, sample);
    wick_buffer_free(text);
    assert_int_equal(wick_llm_detokenize(llm, ids, n, true, &text, &n, NULL), WICK_OK);
    assert_string_equal(text, "h\xc3\xa9llo");
    assert_int_equal(n, 6);
    wick_buffer_free(text);
    wick_buffer_free(ids);
    assert_int_equal(wick_llm_tokenize(llm, "", 0, false, &ids, &n, NULL), WICK_OK);
    assert_int_equal(n, 0);
    wick_buffer_free(ids);
    int32_t bad = 9999;
    wick_error err;
    assert_int_equal(wick_llm_detokenize(llm, &bad, 1, false, &text, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_last_error()->kind, WICK_E_BAD_PARAMETER);
    assert_string_equal(wick_last_error()->message, err.message);
}

typedef struct seen {
    size_t n_tokens, stop_at, n_text;
    char text[4096];
} seen;

static int on_token(void *user, const wick_token *t)
{
    seen *s = user;
    assert_true(t->size == sizeof *t);
    memcpy(s->text + s->n_text, t->text, t->n_text);
    s->n_text += t->n_text;
    if (t->id >= 0) s->n_tokens++;
    if (t->id >= 0 && t->n_top > 0) assert_true(t->top[0].logprob >= t->logprob);
    return s->stop_at && s->n_tokens >= s->stop_at;
}

static void test_generate(void **state)
{
    (void)state;
    wick_generate_options o;
    wick_result a, b;
    seen s = {0};
    wick_generate_options_init(&o);
    o.max_tokens = 40;
    o.ignore_eos = true;
    o.n_top_logprobs = 3; /* the model's generation_config.json says greedy */
    assert_int_equal(wick_llm_generate(llm, "Once", SIZE_MAX, &o, on_token, &s, &a, NULL), WICK_OK);
    assert_int_equal(a.n_ids, 40);
    assert_int_equal(a.reason, WICK_STOPPED_BY_LENGTH);
    assert_int_equal(s.n_tokens, 40);
    assert_int_equal(s.n_text, a.n_text);
    assert_memory_equal(s.text, a.text, a.n_text);
    assert_int_equal(a.n_prompt, 4);

    int32_t ids[] = {'O' + 6, 'n' + 6, 'c' + 6, 'e' + 6};
    assert_int_equal(wick_llm_generate_tokens(llm, ids, 4, &o, NULL, NULL, &b, NULL), WICK_OK);
    assert_memory_equal(a.ids, b.ids, 40 * sizeof(int32_t));
    assert_int_equal(b.n_cached, 3);
    wick_result_release(&b);

    s = (seen){.stop_at = 5};
    assert_int_equal(wick_llm_generate(llm, "Once", SIZE_MAX, &o, on_token, &s, &b, NULL), WICK_OK);
    assert_int_equal(b.reason, WICK_STOPPED_BY_CALLER);
    assert_int_equal(b.n_ids, 5);
    wick_result_release(&b);

    float *logits;
    size_t n_vocab;
    assert_int_equal(wick_llm_logits(llm, ids, 4, &logits, &n_vocab, NULL), WICK_OK);
    assert_int_equal(n_vocab, TINY_VOCAB);
    size_t best = 0;
    for (size_t i = 1; i < n_vocab; i++)
        if (logits[3 * n_vocab + i] > logits[3 * n_vocab + best]) best = i;
    assert_int_equal(best, a.ids[0]);
    wick_buffer_free(logits);

    wick_token_bias only = {(int32_t)'x' + 6, 1000};
    const char *const stops[] = {"xxx"};
    o.bias = &only, o.n_bias = 1, o.stop = stops, o.n_stop = 1;
    assert_int_equal(wick_llm_generate(llm, "Once", SIZE_MAX, &o, NULL, NULL, &b, NULL), WICK_OK);
    assert_int_equal(b.reason, WICK_STOPPED_BY_STRING);
    assert_string_equal(b.text, "");
    wick_result_release(&b);
    only.id = 5; /* an end token of generation_config.json */
    o.ignore_eos = false;
    assert_int_equal(wick_llm_generate(llm, "Once", SIZE_MAX, &o, NULL, NULL, &b, NULL), WICK_OK);
    assert_int_equal(b.reason, WICK_STOPPED_AT_END);
    wick_result_release(&b);
    wick_result_release(&a);
}

static void test_chat(void **state)
{
    (void)state;
    wick_generate_options o;
    wick_result a, b;
    char *prompt;
    wick_error err;
    wick_generate_options_init(&o);
    o.max_tokens = 10;
    const char *json = "[{\"role\":\"system\",\"content\":\"be\"},{\"role\":\"user\",\"content\":\"hi\"}]";
    assert_int_equal(wick_llm_apply_template(llm, json, NULL, &prompt, &err), WICK_OK);
    assert_string_equal(prompt, "<|system|>be<|end|><|user|>hi<|end|><|assistant|>");
    assert_int_equal(wick_llm_generate(llm, prompt, SIZE_MAX, &o, NULL, NULL, &a, NULL), WICK_OK);
    wick_buffer_free(prompt);
    wick_message m[] = {{"system", "be"}, {"user", "hi"}};
    assert_int_equal(wick_llm_chat(llm, m, 2, &o, NULL, NULL, &b, NULL), WICK_OK);
    assert_int_equal(a.n_ids, b.n_ids);
    assert_memory_equal(a.ids, b.ids, a.n_ids * sizeof *a.ids);
    wick_result_release(&b);
    assert_int_equal(wick_llm_chat_json(llm, json, &o, NULL, NULL, &b, NULL), WICK_OK);
    assert_string_equal(a.text, b.text);
    wick_result_release(&b);
    wick_result_release(&a);
    assert_int_equal(wick_llm_chat_text(llm, "hello", &o, NULL, NULL, NULL, NULL), WICK_OK);
    assert_int_not_equal(wick_llm_chat_json(llm, "{\"role\":1", &o, NULL, NULL, &b, &err), WICK_OK);
    assert_int_not_equal(wick_llm_chat_json(llm, "5", &o, NULL, NULL, &b, &err), WICK_OK);
    wick_result_release(&b); /* zeroed by the failure */
    m[0].content = "\xff";
    assert_int_equal(wick_llm_chat(llm, m, 2, &o, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
}

/* Many texts at once give what each gives alone; a model without a head for scores says so. */
static void test_embed_texts(void **state)
{
    (void)state;
    enum { N = 150 };
    const char *text[N];
    float *all, *one;
    size_t n, n_one;
    double *scores;
    wick_error err;
    wick_embed_options o;
    wick_embed_options_init(&o);
    for (int i = 0; i < N; i++) text[i] = i % 3 ? "some words" : "a longer text of a few more words";
    assert_int_equal(wick_llm_embed_texts(llm, text, N, &o, &all, &n, NULL), WICK_OK);
    assert_int_equal(n, TINY_EMBD);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(wick_llm_embed(llm, text[i], SIZE_MAX, NULL, true, &one, &n_one, NULL), WICK_OK);
        assert_memory_equal(all + (size_t)(N - 3 + i % 3) * n, one, n * sizeof *one);
        assert_memory_equal(all + (size_t)i * n, one, n * sizeof *one);
        wick_buffer_free(one);
    }
    wick_buffer_free(all);
    o.dimensions = 3;
    assert_int_equal(wick_llm_embed_texts(llm, text, 2, &o, &all, &n, NULL), WICK_OK);
    assert_int_equal(n, 3);
    assert_float_equal(
        (double)all[3] * (double)all[3] + (double)all[4] * (double)all[4] + (double)all[5] * (double)all[5], 1, 1e-4);
    wick_buffer_free(all);
    o.prompt_name = "query";
    assert_int_equal(wick_llm_embed_texts(llm, text, 2, &o, &all, &n, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "prompt_name");
    assert_int_equal(wick_llm_embed_texts(llm, NULL, 2, NULL, &all, &n, NULL), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_llm_rerank(llm, "q", text, 2, &scores, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "model");
}

static void test_embed(void **state)
{
    (void)state;
    const char *const pooling[] = {"mean", "last", "first", NULL};
    for (int i = 0; i < 4; i++) {
        float *v;
        size_t n;
        double sum = 0;
        assert_int_equal(wick_llm_embed(llm, "some words", SIZE_MAX, pooling[i], true, &v, &n, NULL), WICK_OK);
        assert_int_equal(n, TINY_EMBD);
        for (size_t j = 0; j < n; j++) sum += (double)v[j] * (double)v[j];
        assert_float_equal(sum, 1, 1e-4);
        wick_buffer_free(v);
    }
    float *v;
    size_t n;
    wick_error err;
    assert_int_equal(wick_llm_embed(llm, "some", SIZE_MAX, "median", true, &v, &n, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "pooling");
}

static void test_errors(void **state)
{
    (void)state;
    wick_error err;
    wick_llm *x = NULL;
    wick_generate_options o;
    assert_int_equal(open_model("/no/such/model", "fast", &x, &err), WICK_E_MODEL_NOT_FOUND);
    assert_int_equal(open_model(dir, "precise", &x, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "precision");
    wick_model_builder *b = wick_model_builder_new(dir);
    assert_int_equal(wick_model_builder_set_backend(b, "abacus"), WICK_OK);
    assert_int_equal(wick_model_builder_build(b, &x, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "backend");
    wick_model_builder_set_backend(b, NULL);
    wick_model_builder_set_memory_limit(b, 1000);
    assert_int_equal(wick_model_builder_build(b, &x, &err), WICK_E_OUT_OF_MEMORY);
    assert_int_equal(err.have, 1000);
    assert_true(err.need > 1000);
    wick_model_builder_set_memory_limit(b, 0);
    wick_model_builder_set_chat_template(b, "{% if %}");
    assert_int_equal(wick_model_builder_build(b, &x, &err), WICK_E_TEMPLATE);
    assert_int_equal(wick_model_builder_set_device(b, "toaster"), WICK_E_BAD_PARAMETER);
    wick_model_builder_free(b);
    assert_null(x);

    wick_generate_options_init(&o);
    o.top_p = 7;
    assert_int_equal(wick_llm_generate(llm, "a", SIZE_MAX, &o, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "top_p");
    wick_generate_options_init(&o);
    o.sampler_order = "random";
    assert_int_equal(wick_llm_generate(llm, "a", SIZE_MAX, &o, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
    memset(&o, 0, sizeof o); /* not initialised */
    assert_int_equal(wick_llm_generate(llm, "a", SIZE_MAX, &o, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "options");
    int32_t ids[600] = {0};
    assert_int_equal(wick_llm_generate_tokens(llm, ids, 600, NULL, NULL, NULL, NULL, &err), WICK_E_LIMIT);
    assert_int_equal(wick_llm_generate_tokens(llm, ids, 0, NULL, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_llm_generate(NULL, "a", 1, NULL, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_llm_generate(llm, NULL, 1, NULL, NULL, NULL, NULL, NULL), WICK_E_BAD_PARAMETER);
}

/* A program compiled with an older, shorter struct. */
static void test_older_options(void **state)
{
    (void)state;
    union {
        wick_generate_options o;
        char room[sizeof(wick_generate_options)];
    } u;
    memset(&u, 0x5a, sizeof u);
    size_t old = offsetof(wick_generate_options, deadline_ms);
    wick_generate_options_init_sized(&u.o, old);
    assert_int_equal(u.o.size, old);
    assert_int_equal(u.room[old], 0x5a);
    u.o.max_tokens = 3;
    assert_int_equal(wick_llm_generate(llm, "a", SIZE_MAX, &u.o, NULL, NULL, NULL, NULL), WICK_OK);
}

static void *user_thread(void *arg)
{
    wick_generate_options o;
    wick_result *r = arg;
    wick_generate_options_init(&o);
    o.max_tokens = 30;
    o.ignore_eos = true;
    if (wick_llm_generate(llm, "The same for all", SIZE_MAX, &o, NULL, NULL, r, NULL) != WICK_OK) r->n_ids = 0;
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    wick_thread t[8];
    wick_result r[8];
    for (int i = 0; i < 8; i++) assert_int_equal(wick_thread_start(&t[i], "user", user_thread, &r[i], NULL), WICK_OK);
    for (int i = 0; i < 8; i++) wick_thread_join(&t[i]);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(r[i].n_ids, 30);
        assert_memory_equal(r[i].ids, r[0].ids, 30 * sizeof(int32_t));
    }
    for (int i = 0; i < 8; i++) wick_result_release(&r[i]);
}

static int n_lines;
static void count_line(void *user, int level, const char *line)
{
    (void)user, (void)line;
    assert_true(level >= 0 && level <= 3);
    __atomic_fetch_add(&n_lines, 1, __ATOMIC_RELAXED);
}

static int n_progress;
static void on_progress(void *user, const char *what, uint64_t done, uint64_t total)
{
    (void)user, (void)what, (void)done, (void)total;
    n_progress++;
}

static void test_log_and_progress(void **state)
{
    (void)state;
    wick_llm *x = NULL;
    wick_model_builder *b = wick_model_builder_new(dir);
    assert_int_equal(wick_model_builder_set_log(b, count_line, NULL, 9), WICK_E_BAD_PARAMETER);
    wick_model_builder_free(b);
    b = wick_model_builder_new(dir);
    assert_int_equal(wick_model_builder_set_log(b, count_line, NULL, 3), WICK_OK);
    assert_int_equal(wick_model_builder_set_progress(b, on_progress, NULL), WICK_OK);
    assert_int_equal(wick_model_builder_set_context(b, 64), WICK_OK);
    assert_int_equal(wick_model_builder_set_concurrency(b, 2, 3), WICK_OK);
    assert_int_equal(wick_model_builder_build(b, &x, NULL), WICK_OK);
    assert_int_equal(wick_llm_generate(x, "abc", SIZE_MAX, NULL, NULL, NULL, NULL, NULL), WICK_OK);
    assert_true(__atomic_load_n(&n_lines, __ATOMIC_RELAXED) > 0);
    wick_llm_close(x);
    wick_model_builder_free(b);
}

/* Every allocation of opening, one request and closing fails in turn: an error, and nothing leaks. */
static void test_allocation_failures(void **state)
{
    (void)state;
    bool done = false;
    uint64_t step = 1;
    for (uint64_t i = 1; !done; i += step) {
        wick_llm *x = NULL;
        wick_error err = {0};
        wick_alloc_fail_at(i, true);
        wick_status st = open_model(dir, "fast", &x, &err);
        if (st == WICK_OK) {
            wick_generate_options o;
            wick_result r;
            wick_generate_options_init(&o);
            o.max_tokens = 4;
            st = wick_llm_chat_text(x, "hi", &o, NULL, NULL, &r, &err);
            wick_result_release(&r);
        }
        wick_alloc_fail_at(0, false);
        wick_llm_close(x);
        done = st == WICK_OK;
        if (i > 400) step = 7; /* the tokenizer's hundreds are alike */
        assert_true(i < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_chat),
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_embed_texts),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_older_options),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_log_and_progress),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, make_model, drop_model);
}
