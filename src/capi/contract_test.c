/* What include/wick/wick.h promises, sentence by sentence, on a real, tiny model on the CPU backend. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/thread.h"
#include "capi/tiny_model_test.h"
#include "wick/wick.h"

static char dir[64];
static wick_llm *llm;

static wick_llm *open_dir(void)
{
    wick_llm *x = NULL;
    wick_error err = {0};
    wick_model_builder *b = wick_model_builder_new(dir);
    wick_model_builder_set_threads(b, 1);
    wick_model_builder_set_precision(b, "exact");
    if (wick_model_builder_build(b, &x, &err) != WICK_OK) fail_msg("%s", err.message);
    wick_model_builder_free(b);
    return x;
}

static int make_model(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/wick-contract-%ld", (long)getpid());
    if (!tiny_model(dir)) return 1;
    llm = open_dir();
    return 0;
}

static int drop_model(void **state)
{
    (void)state;
    wick_llm_close(llm);
    tiny_remove(dir);
    return 0;
}

static wick_generate_options options(uint32_t max_tokens)
{
    wick_generate_options o;
    wick_generate_options_init(&o);
    o.max_tokens = max_tokens;
    o.ignore_eos = true;
    return o;
}

static wick_result generate(wick_llm *x, const wick_generate_options *o)
{
    wick_result r;
    wick_error err = {0};
    if (wick_llm_generate(x, "Once upon", SIZE_MAX, o, NULL, NULL, &r, &err) != WICK_OK) fail_msg("%s", err.message);
    return r;
}

static bool same(const wick_result *a, const wick_result *b)
{
    return a->n_ids == b->n_ids && memcmp(a->ids, b->ids, a->n_ids * sizeof *a->ids) == 0;
}

/* The five fields that generation_config.json may set, and the bits that keep a value that equals the default. */
static void test_model_defaults(void **state)
{
    (void)state;
    wick_generate_options o = options(30);
    o.has_seed = true, o.seed = 5;
    o.temperature = 0;
    wick_result greedy = generate(llm, &o), r;
    o.temperature = 0.8f; /* the library's default: unsaid, so the model's "do_sample": false holds */
    r = generate(llm, &o);
    assert_true(same(&greedy, &r));
    wick_result_release(&r);
    o.set |= WICK_SET_TEMPERATURE; /* said */
    r = generate(llm, &o);
    assert_false(same(&greedy, &r));
    o.set = 0, o.use_model_defaults = false;
    wick_result library = generate(llm, &o);
    assert_true(same(&library, &r));
    wick_result_release(&library);
    wick_result_release(&r);
    o.use_model_defaults = true, o.temperature = 0.81f; /* another value is said without a bit */
    r = generate(llm, &o);
    assert_false(same(&greedy, &r));
    wick_result_release(&r);
    wick_result_release(&greedy);

    /* Each of the five, against a model that names another value: the bit decides. */
    static const char config[] = "{\"temperature\":2.5,\"top_k\":1,\"top_p\":0.01,\"min_p\":0.9,"
                                 "\"repetition_penalty\":5.0,\"eos_token_id\":[2,5]}";
    static const uint64_t all =
        WICK_SET_TEMPERATURE | WICK_SET_TOP_K | WICK_SET_TOP_P | WICK_SET_MIN_P | WICK_SET_REPETITION_PENALTY;
    static const uint64_t bit[] = {WICK_SET_TOP_K, WICK_SET_TOP_P, WICK_SET_MIN_P, WICK_SET_REPETITION_PENALTY};
    assert_true(tiny_write(dir, "generation_config.json", config, sizeof config - 1));
    wick_llm *x = open_dir();
    o = options(60);
    o.has_seed = true, o.seed = 5;
    o.set = all;
    wick_result said = generate(x, &o);
    o.set = 0, o.use_model_defaults = false;
    r = generate(x, &o);
    assert_true(same(&said, &r));
    wick_result_release(&r);
    for (int i = 0; i < 4; i++) { /* without this bit the model's value comes in */
        o = options(60);
        o.has_seed = true, o.seed = 5;
        o.set = all & ~bit[i];
        r = generate(x, &o);
        assert_false(same(&said, &r));
        wick_result_release(&r);
    }
    wick_result_release(&said);
    wick_llm_close(x);
    static const char back[] = "{\"do_sample\":false,\"eos_token_id\":[2,5]}";
    assert_true(tiny_write(dir, "generation_config.json", back, sizeof back - 1));
}

/* NULL where the header says that it is fine; releasing twice; the failed call's result. */
static void test_null_and_release(void **state)
{
    (void)state;
    wick_buffer_free(NULL);
    wick_llm_close(NULL);
    wick_model_builder_free(NULL);
    wick_result_release(NULL);
    wick_generate_options o = options(3);
    wick_result r = generate(llm, &o);
    assert_int_equal(r.n_ids, 3);
    wick_result_release(&r);
    assert_null(r.text);
    assert_null(r.ids);
    wick_result_release(&r);
    memset(&r, 0x5a, sizeof r);
    assert_int_equal(wick_llm_generate(llm, NULL, 0, &o, NULL, NULL, &r, NULL), WICK_E_BAD_PARAMETER);
    wick_result_release(&r); /* zeroed by the failed call */
    memset(&r, 0x5a, sizeof r);
    assert_int_equal(wick_llm_chat_json(llm, "{", &o, NULL, NULL, &r, NULL), WICK_E_BAD_PARAMETER);
    wick_result_release(&r);
    assert_int_equal(wick_llm_generate(llm, "a", 1, NULL, NULL, NULL, NULL, NULL),
                     WICK_OK); /* all optional ones NULL */
    assert_int_equal(wick_llm_get_info(llm, NULL, NULL), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_llm_tokenize(NULL, "a", 1, false, NULL, NULL, NULL), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_llm_embed(llm, NULL, 0, NULL, true, NULL, NULL, NULL), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_llm_chat(llm, NULL, 1, NULL, NULL, NULL, NULL, NULL), WICK_E_BAD_PARAMETER);
}

static void *other_thread(void *arg)
{
    *(wick_status *)arg = wick_last_error()->kind;
    return NULL;
}

/* The last failure is the calling thread's own. */
static void test_last_error(void **state)
{
    (void)state;
    wick_status elsewhere = WICK_E_INTERNAL;
    wick_error err;
    wick_thread t;
    wick_generate_options o = options(1);
    o.top_p = 2;
    assert_int_equal(wick_llm_generate(llm, "a", 1, &o, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "top_p");
    assert_int_equal(err.kind, WICK_E_BAD_PARAMETER);
    assert_string_equal(wick_last_error()->message, err.message);
    assert_int_equal(wick_thread_start(&t, "other", other_thread, &elsewhere, NULL), WICK_OK);
    wick_thread_join(&t);
    assert_int_equal(elsewhere, WICK_OK); /* nothing has failed there yet */
}

/* A length counts, NULs included; SIZE_MAX looks for the NUL. */
static void test_lengths(void **state)
{
    (void)state;
    int32_t *ids;
    size_t n;
    assert_int_equal(wick_llm_tokenize(llm, "ab\0cd", 5, false, &ids, &n, NULL), WICK_OK);
    assert_int_equal(n, 5);
    assert_int_equal(ids[2], 6);
    char *text;
    assert_int_equal(wick_llm_detokenize(llm, ids, n, true, &text, &n, NULL), WICK_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(text, "ab\0cd", 6); /* and a NUL behind them */
    wick_buffer_free(text);
    wick_buffer_free(ids);
    assert_int_equal(wick_llm_tokenize(llm, "ab\0cd", SIZE_MAX, false, &ids, &n, NULL), WICK_OK);
    assert_int_equal(n, 2);
    wick_buffer_free(ids);
    assert_int_equal(wick_llm_tokenize(llm, "abcd", 3, false, &ids, &n, NULL), WICK_OK);
    assert_int_equal(n, 3);
    wick_buffer_free(ids);
}

/* Setters copy; what one refuses build says again; a builder may build twice, to different ends. */
static void test_builder(void **state)
{
    (void)state;
    char path[64], precision[8] = "exact";
    wick_llm *a = NULL, *b = NULL;
    wick_error err = {0};
    wick_llm_info i;
    snprintf(path, sizeof path, "%s", dir);
    wick_model_builder *m = wick_model_builder_new(path);
    assert_int_equal(wick_model_builder_set_precision(m, precision), WICK_OK);
    memset(path, 'x', sizeof path - 1);
    memset(precision, 'x', sizeof precision - 1);
    assert_int_equal(wick_model_builder_set_context(m, 100), WICK_OK);
    assert_int_equal(wick_model_builder_set_prefix_cache(m, false), WICK_OK);
    assert_int_equal(wick_model_builder_set_kv_dir(m, NULL, 0), WICK_OK);
    assert_int_equal(wick_model_builder_set_drafts(m, false), WICK_OK);
    assert_int_equal(wick_model_builder_build(m, &a, &err), WICK_OK);
    assert_int_equal(wick_model_builder_set_context(m, 0), WICK_OK);
    assert_int_equal(wick_model_builder_build(m, &b, &err), WICK_OK);
    wick_llm_info_init(&i);
    assert_int_equal(wick_llm_get_info(a, &i, NULL), WICK_OK);
    assert_int_equal(i.n_context, 100);
    assert_int_equal(i.n_running + i.n_waiting, 0);
    assert_int_equal(wick_llm_get_info(b, &i, NULL), WICK_OK);
    assert_int_equal(i.n_context, 512);

    /* Until the context is full: the prompt's nine tokens and 91 of the answer. Without a prefix cache none is
     * cached. */
    wick_generate_options o = options(0);
    for (int k = 0; k < 2; k++) {
        wick_result r = generate(a, &o);
        assert_int_equal(r.n_prompt, 9);
        assert_int_equal(r.n_ids, 91);
        assert_int_equal(r.reason, WICK_STOPPED_BY_LENGTH);
        assert_int_equal(r.n_cached, 0);
        wick_result_release(&r);
    }
    wick_llm_close(a);
    wick_llm_close(b);
    b = NULL;
    assert_int_equal(wick_model_builder_set_precision(m, "rough"), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_model_builder_build(m, &b, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "precision");
    assert_null(b); /* written on success only */
    wick_model_builder_free(m);
}

typedef struct heard {
    char text[4096];
    size_t n_text, n_tokens, n_top;
    int32_t id[256];
    bool rest; /* a call with no token came last */
} heard;

static int hear(void *user, const wick_token *t)
{
    heard *h = user;
    assert_int_equal(t->size, sizeof *t);
    assert_false(h->rest);
    memcpy(h->text + h->n_text, t->text, t->n_text);
    h->n_text += t->n_text;
    h->rest = t->id < 0;
    if (t->id >= 0) {
        assert_int_equal(t->n_top, h->n_top);
        assert_true(t->logprob <= 0);
        for (size_t i = 1; i < t->n_top; i++) assert_true(t->top[i - 1].logprob >= t->top[i].logprob);
        h->id[h->n_tokens++] = t->id;
    }
    return 0;
}

/* The texts and tokens of the callback are the result's, whatever ends the answer and whatever is held back. */
static void test_callback_is_the_result(void **state)
{
    (void)state;
    const char *const stops[] = {"xy", "\xc3\xa9z"};
    for (int k = 0; k < 6; k++) {
        wick_generate_options o = options(120);
        wick_result r;
        static heard h;
        memset(&h, 0, sizeof h);
        o.has_seed = true, o.seed = (uint64_t)k, o.temperature = 1.5f, o.top_k = 0, o.top_p = 1, o.min_p = 0;
        o.n_top_logprobs = k == 1 ? 20 : (uint32_t)k;
        o.stop = stops, o.n_stop = 2;
        if (k == 5) o.ignore_eos = false;
        h.n_top = o.n_top_logprobs;
        assert_int_equal(wick_llm_generate(llm, "Once", SIZE_MAX, &o, hear, &h, &r, NULL), WICK_OK);
        assert_int_equal(h.n_text, r.n_text);
        assert_memory_equal(h.text, r.text, r.n_text);
        assert_int_equal(r.text[r.n_text], 0);
        assert_int_equal(h.n_tokens, r.n_ids);
        assert_memory_equal(h.id, r.ids, r.n_ids * sizeof *r.ids);
        for (int s = 0; s < 2; s++) assert_null(strstr(r.text, stops[s]));
        wick_result_release(&r);
    }
}

static void test_seeds(void **state)
{
    (void)state;
    wick_generate_options o = options(40);
    o.temperature = 1.3f;
    wick_result r[5];
    for (int i = 0; i < 5; i++) {
        o.has_seed = i < 3;
        o.seed = i == 2;
        r[i] = generate(llm, &o);
    }
    assert_true(same(&r[0], &r[1])); /* seed 0 is a seed */
    assert_false(same(&r[0], &r[2]));
    assert_false(same(&r[3], &r[4])); /* none: another answer each time */
    for (int i = 0; i < 5; i++) wick_result_release(&r[i]);
}

/* Cached prompts are shared within a key only. */
static void test_user_keys(void **state)
{
    (void)state;
    wick_generate_options o = options(2);
    const char *text = "a prompt of its own for this test";
    const uint64_t key[] = {71, 72, 71, 72};
    for (int i = 0; i < 4; i++) {
        wick_result r;
        o.user_key = key[i];
        assert_int_equal(wick_llm_generate(llm, text, SIZE_MAX, &o, NULL, NULL, &r, NULL), WICK_OK);
        assert_int_equal(r.n_prompt, strlen(text));
        assert_int_equal(r.n_cached, i < 2 ? 0 : strlen(text) - 1);
        wick_result_release(&r);
    }
}

/* What the options say, at their bounds; the message names the field. */
static void test_option_bounds(void **state)
{
    (void)state;
    wick_error err;
    wick_generate_options o = options(5);
    o.n_top_logprobs = 21;
    assert_int_equal(wick_llm_generate(llm, "a", 1, &o, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "top_logprobs");
    o = options(5);
    o.min_keep = 1001;
    assert_int_equal(wick_llm_generate(llm, "a", 1, &o, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "min_keep");
    o = options(5);
    o.dry_multiplier = 100.5f;
    assert_int_equal(wick_llm_generate(llm, "a", 1, &o, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "dry_multiplier");
    o = options(5);
    o.deadline_ms = 1, o.max_tokens = 0;
    wick_result r;
    if (wick_llm_generate(llm, "a", 1, &o, NULL, NULL, &r, &err) != WICK_OK) /* unless it was done in a millisecond */
        assert_int_equal(err.kind, WICK_E_LIMIT);
    wick_result_release(&r);

    wick_token_bias ban[2] = {{'x' + 6, 1000}, {'x' + 6, -100}};
    o = options(5);
    o.bias = ban, o.n_bias = 1;
    r = generate(llm, &o);
    assert_string_equal(r.text, "xxxxx");
    wick_result_release(&r);
    o.n_bias = 2; /* -100 bans, whatever was added before */
    r = generate(llm, &o);
    assert_null(strchr(r.text, 'x'));
    wick_result_release(&r);

    /* A token that would end the answer does so from min_tokens on. */
    wick_token_bias end = {2, 1000};
    o = options(9);
    o.ignore_eos = false, o.bias = &end, o.n_bias = 1, o.min_tokens = 4;
    r = generate(llm, &o);
    assert_int_equal(r.n_ids, 4);
    assert_int_equal(r.reason, WICK_STOPPED_AT_END);
    wick_result_release(&r);

    /* DRY with breakers of the caller's own: with none a repeat is punished, with this one it is not. */
    ban[0].bias = 8;
    o = options(40);
    o.bias = ban, o.n_bias = 1, o.dry_multiplier = 100, o.dry_base = 4, o.dry_allowed_length = 1;
    const char *const none[] = {NULL}, *const x[] = {"x"};
    o.dry_breakers = x, o.n_dry_breakers = 1;
    wick_result broken = generate(llm, &o);
    o.dry_breakers = none, o.n_dry_breakers = 0;
    wick_result punished = generate(llm, &o);
    assert_false(same(&broken, &punished));
    wick_result_release(&broken);
    wick_result_release(&punished);
}

static void test_embeddings(void **state)
{
    (void)state;
    float *raw, *unit, *named;
    size_t n;
    double sum = 0, dot = 0;
    assert_int_equal(wick_llm_embed(llm, "some words", SIZE_MAX, NULL, false, &raw, &n, NULL), WICK_OK);
    assert_int_equal(wick_llm_embed(llm, "some words", SIZE_MAX, NULL, true, &unit, &n, NULL), WICK_OK);
    assert_int_equal(wick_llm_embed(llm, "some words", SIZE_MAX, "mean", true, &named, &n, NULL), WICK_OK);
    assert_int_equal(n, TINY_EMBD);
    assert_memory_equal(unit, named, n * sizeof *unit); /* NULL is "mean" */
    for (size_t i = 0; i < n; i++) {
        sum += (double)raw[i] * (double)raw[i];
        dot += (double)raw[i] * (double)unit[i];
    }
    assert_true(sum > 1.5 || sum < 0.5); /* not normalized */
    assert_float_equal(dot * dot, sum, 1e-3 * sum);
    wick_buffer_free(raw);
    wick_buffer_free(unit);
    wick_buffer_free(named);
    /* Of a text of one token all poolings are the same. */
    assert_int_equal(wick_llm_embed(llm, "a", 1, "first", false, &raw, &n, NULL), WICK_OK);
    assert_int_equal(wick_llm_embed(llm, "a", 1, "last", false, &unit, &n, NULL), WICK_OK);
    assert_int_equal(wick_llm_embed(llm, "a", 1, "mean", false, &named, &n, NULL), WICK_OK);
    assert_memory_equal(raw, unit, n * sizeof *raw);
    assert_memory_equal(raw, named, n * sizeof *raw);
    wick_buffer_free(raw);
    wick_buffer_free(unit);
    wick_buffer_free(named);
}

/* Logits of each position: those of a prefix are the same as those of the whole at its positions. */
static void test_logits(void **state)
{
    (void)state;
    int32_t ids[9];
    float *all, *part;
    size_t n_vocab = 0;
    for (int i = 0; i < 9; i++) ids[i] = 'a' + i;
    assert_int_equal(wick_llm_logits(llm, ids, 9, &all, &n_vocab, NULL), WICK_OK);
    assert_int_equal(n_vocab, TINY_VOCAB);
    for (size_t n = 1; n < 9; n += 3) {
        assert_int_equal(wick_llm_logits(llm, ids, n, &part, NULL, NULL), WICK_OK);
        assert_memory_equal(all, part, n * n_vocab * sizeof *part);
        wick_buffer_free(part);
    }
    wick_buffer_free(all);
    wick_error err;
    assert_int_equal(wick_llm_logits(llm, ids, 0, &all, &n_vocab, &err), WICK_E_BAD_PARAMETER);
}

static wick_status no_tool(void *user, wick_tool_run *run, wick_error *err)
{
    (void)user, (void)run, (void)err;
    return WICK_OK;
}

static void test_tools_of_one_request(void **state)
{
    (void)state;
    wick_error err = {0};
    wick_generate_options o = options(2);
    const struct {
        wick_own_tool tool[2];
        size_t n;
        const char *says;
    } bad[] = {{{{.name = "f"}}, 1, "no function"},
               {{{.name = "a b", .fn = no_tool}}, 1, "a name has"},
               {{{.name = "f", .fn = no_tool}, {.name = "f", .fn = no_tool}}, 2, "is taken"},
               {{{.name = "f", .schema_json = "[]", .fn = no_tool}}, 1, "must be an object"},
               {{{.name = "f", .schema_json = "{", .fn = no_tool}}, 1, "schema"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.own_tools = bad[i].tool;
        o.n_own_tools = bad[i].n;
        assert_int_equal(wick_llm_chat_text(llm, "x", &o, NULL, NULL, NULL, &err), WICK_E_BAD_PARAMETER);
        if (!strstr(err.message, bad[i].says)) fail_msg("%zu: %s", i, err.message);
    }
    const wick_own_tool good = {.name = "f", .fn = no_tool};
    o.own_tools = &good;
    o.n_own_tools = 1;
    wick_result r;
    assert_int_equal(wick_llm_chat_text(llm, "x", &o, NULL, NULL, &r, &err), WICK_OK);
    wick_result_release(&r);
    o.size = offsetof(wick_generate_options, own_tools); /* an older program: what is behind is not read */
    o.n_own_tools = 1000;
    assert_int_equal(wick_llm_chat_text(llm, "x", &o, NULL, NULL, &r, &err), WICK_OK);
    wick_result_release(&r);
}

static int not_again(void *user, uint16_t port)
{
    *(uint16_t *)user = port;
    return 1;
}

static void test_mcp_server(void **state)
{
    (void)state;
    static const char ask[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","
        "\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}\n"
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"tokenize\",\"arguments\":"
        "{\"text\":\"abc\"}}}\n";
    int in[2], out[2];
    char got[8192];
    wick_mcp_serve_options o;
    wick_error err = {0};
    uint16_t port = 0;
    wick_mcp_serve_options_init(&o);
    assert_int_equal(wick_mcp_serve(NULL, &o, &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(pipe(in) | pipe(out), 0);
    assert_int_equal(write(in[1], ask, sizeof ask - 1), (ssize_t)(sizeof ask - 1));
    close(in[1]); /* the server ends when its input does */
    o.fd_in = in[0];
    o.fd_out = out[1];
    assert_int_equal(wick_mcp_serve(llm, &o, &err), WICK_OK);
    close(in[0]);
    close(out[1]);
    size_t n = 0;
    for (ssize_t k; n < sizeof got - 1 && (k = read(out[0], got + n, sizeof got - 1 - n)) > 0;) n += (size_t)k;
    got[n] = '\0';
    close(out[0]);
    assert_non_null(strstr(got, "\"protocolVersion\":\"2025-11-25\""));
    assert_non_null(strstr(got, "structuredContent"));
    o.http = true;
    assert_int_equal(wick_mcp_serve(llm, &o, &err), WICK_E_BAD_PARAMETER);
    o.poll = not_again;
    o.user = &port;
    assert_int_equal(wick_mcp_serve(llm, &o, &err), WICK_OK);
    assert_true(port != 0);
    o.host = "no address";
    assert_int_equal(wick_mcp_serve(llm, &o, &err), WICK_E_BAD_PARAMETER);
}

static void test_info_of_older_programs(void **state)
{
    (void)state;
    union {
        wick_llm_info i;
        char room[sizeof(wick_llm_info)];
    } u;
    memset(&u, 0x5a, sizeof u);
    u.i.size = offsetof(wick_llm_info, kv_bytes);
    assert_int_equal(wick_llm_get_info(llm, &u.i, NULL), WICK_OK);
    assert_int_equal(u.i.size, offsetof(wick_llm_info, kv_bytes));
    assert_string_equal(u.i.architecture, "llama");
    for (size_t k = offsetof(wick_llm_info, kv_bytes); k < sizeof u.room; k++) assert_int_equal(u.room[k], 0x5a);
}

static wick_grammar *grammar(const char *kind, const char *text)
{
    wick_grammar *g = NULL;
    wick_error err = {0};
    if (wick_grammar_new(kind, text, SIZE_MAX, &g, &err) != WICK_OK) fail_msg("%s", err.message);
    return g;
}

/* One grammar for many requests, on several threads, of several models; each answer has its form, or was cut. */
typedef struct form_job {
    wick_llm *llm;
    wick_grammar *g;
    uint64_t seed;
    bool ok;
} form_job;

static void *in_form(void *arg)
{
    form_job *j = arg;
    j->ok = true;
    for (int i = 0; i < 3; i++) {
        wick_generate_options o = options(20);
        wick_result r;
        o.ignore_eos = false;
        o.has_seed = true, o.seed = j->seed + (uint64_t)i;
        o.temperature = 2;
        o.grammar = j->g;
        if (wick_llm_generate(j->llm, "Once upon", SIZE_MAX, &o, NULL, NULL, &r, NULL) != WICK_OK) {
            j->ok = false;
            return NULL;
        }
        size_t n = strspn(r.text, "0123456789");
        j->ok = j->ok && n >= 2 && n <= 4 && n == r.n_text && r.reason == WICK_STOPPED_AT_END;
        wick_result_release(&r);
    }
    return NULL;
}

static void test_grammars(void **state)
{
    (void)state;
    wick_grammar *digits = grammar("regex", "[0-9]{2,4}"), *g;
    wick_llm *other = open_dir();
    form_job jobs[] = {{llm, digits, 1, false}, {llm, digits, 2, false}, {other, digits, 3, false}};
    wick_thread threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(wick_thread_start(&threads[i], "form", in_form, &jobs[i], NULL), WICK_OK);
    for (int i = 0; i < 3; i++) wick_thread_join(&threads[i]);
    for (int i = 0; i < 3; i++) assert_true(jobs[i].ok);
    wick_llm_close(other);
    wick_grammar_free(digits);

    static const struct {
        const char *kind, *text, *want;
    } forms[] = {{"choice", "[\"yes\"]", "yes"},
                 {"gbnf", "root ::= \"a\" \"b\"", "ab"},
                 {"lark", "start: \"x\" \"y\"", "xy"},
                 {"json_schema", "{\"const\": true}", "true"}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        g = grammar(forms[i].kind, forms[i].text);
        wick_generate_options o = options(20);
        o.ignore_eos = false;
        o.grammar = g;
        wick_result r = generate(llm, &o);
        assert_non_null(strstr(r.text, forms[i].want));
        wick_result_release(&r);
        wick_grammar_free(g);
    }
    wick_error err = {0};
    assert_int_equal(wick_grammar_new("regex", "(a)\\1", SIZE_MAX, &g, &err), WICK_E_BAD_PARAMETER);
    assert_null(g);
    assert_int_equal(wick_grammar_new("calls", "{}", SIZE_MAX, &g, &err), WICK_E_BAD_PARAMETER);
    assert_non_null(strstr(err.message, "json_schema"));
    assert_int_equal(wick_grammar_new("regex", NULL, 0, &g, &err), WICK_E_BAD_PARAMETER);
    wick_grammar_free(grammar("json_object", NULL));
    wick_grammar_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_defaults), cmocka_unit_test(test_null_and_release),
        cmocka_unit_test(test_last_error),     cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_builder),        cmocka_unit_test(test_callback_is_the_result),
        cmocka_unit_test(test_seeds),          cmocka_unit_test(test_user_keys),
        cmocka_unit_test(test_option_bounds),  cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_logits),         cmocka_unit_test(test_info_of_older_programs),
        cmocka_unit_test(test_mcp_server),     cmocka_unit_test(test_tools_of_one_request),
        cmocka_unit_test(test_grammars),
    };
    return cmocka_run_group_tests(tests, make_model, drop_model);
}
