/* The tool loop with a model that follows a script: what runs, what does not, and what the model reads of it. */
#include "chat/tools.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/sys.h"

/* --- a scripted model and its tools ------------------------------------------------------------------------------- */
typedef struct script {
    const char *const *answers; /* JSON messages; the last one repeats */
    size_t n, at;
    json_t *seen; /* the messages of the last turn */
    unsigned n_events, n_failed;
    bool deny;
} script;

static wick_status turn(void *ctx, const json_t *messages, json_t **answer, wick_err *err)
{
    script *s = ctx;
    (void)err;
    json_decref(s->seen);
    s->seen = json_deep_copy(messages);
    *answer = json_loads(s->answers[s->at < s->n ? s->at++ : s->n - 1], 0, NULL);
    assert_non_null(*answer);
    return WICK_OK;
}

static void on_event(void *ctx, const wick_tool_event *e)
{
    script *s = ctx;
    s->n_events++;
    s->n_failed += e->kind == WICK_TOOL_EVENT_RESULT && e->failed;
}

static bool approve(void *ctx, const char *name, const char *arguments, bool safe)
{
    (void)name;
    (void)arguments;
    (void)safe;
    return !((script *)ctx)->deny;
}

static atomic_int n_runs, n_at_once, most_at_once;
static atomic_bool others_are_due; /* then `slow` waits for another of its kind, up to 10 s */

static wick_status add(void *user, const wick_tool_job *c, wick_buf *result, wick_err *err)
{
    double a = 0, b = 0;
    (void)user;
    (void)err;
    atomic_fetch_add(&n_runs, 1);
    json_t *v = json_loads(c->arguments, 0, NULL);
    a = json_number_value(json_object_get(v, "a"));
    b = json_number_value(json_object_get(v, "b"));
    json_decref(v);
    wick_buf_printf(result, "%g", a + b);
    return WICK_OK;
}

static void wait_ms(double ms, const wick_cancel *cancel)
{
    const double end = wick_time_ms() + ms;
    wick_lock l;
    wick_cond c;
    wick_lock_init(&l);
    wick_cond_init(&c);
    wick_lock_take(&l);
    while (wick_time_ms() < end && !(cancel && atomic_load(cancel))) (void)wick_cond_wait_ms(&c, &l, 5);
    wick_lock_drop(&l);
    wick_cond_release(&c);
    wick_lock_release(&l);
}

static wick_status slow(void *user, const wick_tool_job *c, wick_buf *result, wick_err *err)
{
    const int now = atomic_fetch_add(&n_at_once, 1) + 1;
    (void)user;
    (void)err;
    if (now > atomic_load(&most_at_once)) atomic_store(&most_at_once, now);
    for (int i = 0; i < 500 && atomic_load(&others_are_due) && atomic_load(&most_at_once) < 2; i++)
        wait_ms(20, c->cancel);
    wait_ms(20, c->cancel);
    atomic_fetch_sub(&n_at_once, 1);
    wick_buf_puts(result, "slept");
    return WICK_OK;
}

static wick_status endless(void *user, const wick_tool_job *c, wick_buf *result, wick_err *err)
{
    (void)user;
    (void)err;
    wait_ms(20000, c->cancel);
    wick_buf_puts(result, "too late");
    return WICK_OK;
}

static wick_status failing(void *user, const wick_tool_job *c, wick_buf *result, wick_err *err)
{
    (void)user;
    (void)c;
    wick_buf_puts(result, "half a result");
    return WICK_FAIL(err, WICK_E_IO, "x", "the disk is on fire");
}

static wick_status huge(void *user, const wick_tool_job *c, wick_buf *result, wick_err *err)
{
    (void)user;
    (void)c;
    (void)err;
    for (int i = 0; i < 100000; i++) wick_buf_puts(result, "\xc3\xa4");
    return WICK_OK;
}

static wick_status binary(void *user, const wick_tool_job *c, wick_buf *result, wick_err *err)
{
    (void)user;
    (void)c;
    (void)err;
    wick_buf_add(result,
                 "a\xff"
                 "b",
                 3);
    return WICK_OK;
}

#define NUMBERS                                                                                      \
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"},\"b\":{\"type\":\"number\"}}," \
    "\"required\":[\"a\",\"b\"],\"additionalProperties\":false}"

static wick_toolset *tools(void)
{
    static const struct {
        const char *name;
        wick_tool_fn fn;
    } rows[] = {{"slow", slow}, {"endless", endless}, {"failing", failing}, {"huge", huge}, {"binary", binary}};
    wick_toolset *t;
    const wick_tool_def first = {.name = "add", .description = "Adds", .schema = NUMBERS, .safe = true, .fn = add};
    assert_int_equal(wick_toolset_new(&t, NULL), WICK_OK);
    assert_int_equal(wick_toolset_add(t, &first, NULL), WICK_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const wick_tool_def d = {.name = rows[i].name, .fn = rows[i].fn, .safe = true};
        assert_int_equal(wick_toolset_add(t, &d, NULL), WICK_OK);
    }
    return t;
}

#define CALL(id, name, arguments) \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"arguments\":" arguments "}}"
#define CALLS(list) "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" list "]}"
#define SAY(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"

/* The content of the result of the call `id` that the model saw last. */
static const char *result_of(const script *s, const char *id)
{
    for (size_t i = 0; i < json_array_size(s->seen); i++) {
        const json_t *m = json_array_get(s->seen, i);
        const char *have = json_string_value(json_object_get(m, "tool_call_id"));
        if (have && strcmp(have, id) == 0) return json_string_value(json_object_get(m, "content"));
    }
    return "(no result)";
}

typedef struct outcome {
    script s;
    wick_tool_loop l;
    json_t *messages;
    wick_status st;
} outcome;

static outcome run(const char *const *answers, size_t n, wick_tool_loop l)
{
    outcome o = {.s = {.answers = answers, .n = n}, .l = l};
    wick_toolset *t = tools();
    o.messages = json_loads("[{\"role\":\"user\",\"content\":\"go\"}]", 0, NULL);
    o.l.tools = t;
    o.l.turn = turn;
    o.l.event = on_event;
    o.l.ctx = &o.s;
    o.st = wick_tool_loop_run(&o.l, o.messages, NULL);
    wick_toolset_free(t);
    return o;
}

static void drop(outcome *o)
{
    json_decref(o->messages);
    json_decref(o->s.seen);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */
static void test_adds(void **state)
{
    static const char *const answers[] = {CALLS(CALL("c1", "add", "\"{\\\"a\\\": 15, \\\"b\\\": 27}\"")), SAY("42")};
    (void)state;
    outcome o = run(answers, 2, (wick_tool_loop){0});
    assert_int_equal(o.st, WICK_OK);
    assert_string_equal(result_of(&o.s, "c1"), "42");
    assert_int_equal(json_array_size(o.messages), 4); /* user, call, result, answer */
    assert_int_equal(o.l.n_rounds, 1);
    assert_int_equal(o.l.n_calls, 1);
    assert_int_equal(o.s.n_events, 2);
    assert_false(o.l.limited);
    drop(&o);
}

#define MORE_CALLS                                                                                         \
    CALL("c4", "add", "{\"a\":1,\"b\":2,\"c\":3}")                                                         \
    "," CALL("c5", "nothing", "{}") "," CALL("c6", "add", "[1,2]") "," CALL("c7", "add", "\"\"") "," CALL( \
        "c8", "failing", "{}") ",{\"id\":\"c9\"}"

/* Nothing runs whose arguments do not fit; each call has its result, in order. */
static void test_what_does_not_run(void **state)
{
    static const char *const answers[] = {
        CALLS(CALL("c0", "add", "{\"a\":1,\"b\":2}") "," CALL("c1", "add", "\"{broken\"") "," CALL(
            "c2", "add", "{\"a\":1}") "," CALL("c3", "add", "{\"a\":1,\"b\":\"2\"}") "," MORE_CALLS),
        SAY("ok")};
    static const struct {
        const char *id, *says;
    } want[] = {{"c0", "3"},
                {"c1", "error: arguments"},
                {"c2", "error: arguments: \"b\" is missing"},
                {"c3", "error: /b: must be of type number, not a string"},
                {"c4", "error: arguments: \"c\" is no parameter of this tool"},
                {"c5", "error: there is no tool \"nothing\""},
                {"c6", "error: "},
                {"c7", "error: arguments: \"a\" is missing"},
                {"c8", "error: the disk is on fire"},
                {"c9", "error: there is no tool \"\""}};
    (void)state;
    atomic_store(&n_runs, 0);
    outcome o = run(answers, 2, (wick_tool_loop){0});
    assert_int_equal(o.st, WICK_OK);
    assert_int_equal(atomic_load(&n_runs), 1);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const char *got = result_of(&o.s, want[i].id);
        if (strncmp(got, want[i].says, strlen(want[i].says)) != 0) fail_msg("%s: %s", want[i].id, got);
        const json_t *m = json_array_get(o.messages, 2 + i);
        assert_string_equal(json_string_value(json_object_get(m, "tool_call_id")), want[i].id);
    }
    assert_int_equal(o.s.n_failed, 9);
    drop(&o);
}

static void test_limit_of_rounds(void **state)
{
    static const char *const answers[] = {CALLS(CALL("c", "add", "{\"a\":1,\"b\":2}"))};
    (void)state;
    for (uint32_t max = 0; max < 4; max += 3) {
        outcome o = run(answers, 1, (wick_tool_loop){.max_rounds = max});
        assert_int_equal(o.st, WICK_OK);
        assert_true(o.l.limited);
        assert_int_equal(o.l.n_rounds, max ? max : 8);
        assert_int_equal(json_array_size(o.messages), 1 + 2 * o.l.n_rounds + 1);
        drop(&o);
    }
}

static void test_side_by_side(void **state)
{
    static const char *const answers[] = {
        CALLS(CALL("c1", "slow", "{}") "," CALL("c2", "slow", "{}") "," CALL("c3", "slow", "{}")), SAY("ok")};
    (void)state;
    for (int k = 0; k < 2; k++) {
        atomic_store(&most_at_once, 0);
        atomic_store(&others_are_due, k == 1);
        outcome o = run(answers, 2, (wick_tool_loop){.side_by_side = k == 1});
        assert_int_equal(atomic_load(&most_at_once) > 1, k);
        for (const char *id = "c1\0c2\0c3\0"; *id; id += 3) assert_string_equal(result_of(&o.s, id), "slept");
        drop(&o);
    }
}

static void test_time_and_cancel(void **state)
{
    static const char *const answers[] = {CALLS(CALL("c1", "endless", "{}")), SAY("ok")};
    wick_cancel cancel;
    (void)state;
    const double t = wick_time_ms();
    outcome o = run(answers, 2, (wick_tool_loop){.timeout_ms = 60});
    assert_true(wick_time_ms() - t < 5000);
    assert_int_equal(o.st, WICK_OK);
    assert_string_equal(result_of(&o.s, "c1"), "error: the tool did not answer in time");
    drop(&o);
    atomic_init(&cancel, true);
    o = run(answers, 2, (wick_tool_loop){.cancel = &cancel});
    assert_int_equal(o.st, WICK_E_CANCELLED);
    drop(&o);
}

static void test_approval(void **state)
{
    static const char *const answers[] = {CALLS(CALL("c1", "add", "{\"a\":1,\"b\":2}")), SAY("ok")};
    (void)state;
    outcome o = {.s = {.answers = answers, .n = 2, .deny = true}};
    wick_toolset *t = tools();
    o.messages = json_loads("[{\"role\":\"user\",\"content\":\"go\"}]", 0, NULL);
    o.l = (wick_tool_loop){.tools = t, .turn = turn, .approve = approve, .ctx = &o.s};
    atomic_store(&n_runs, 0);
    assert_int_equal(wick_tool_loop_run(&o.l, o.messages, NULL), WICK_OK);
    assert_int_equal(atomic_load(&n_runs), 0);
    assert_string_equal(result_of(&o.s, "c1"), "error: the user did not allow this call");
    wick_toolset_free(t);
    drop(&o);
    /* Without a callback only what is safe runs. */
    const wick_tool_def d = {.name = "unsafe", .fn = add};
    static const char *const more[] = {CALLS(CALL("c1", "unsafe", "{}")), SAY("ok")};
    o = (outcome){.s = {.answers = more, .n = 2}};
    assert_int_equal(wick_toolset_new(&t, NULL), WICK_OK);
    assert_int_equal(wick_toolset_add(t, &d, NULL), WICK_OK);
    o.messages = json_loads("[{\"role\":\"user\",\"content\":\"go\"}]", 0, NULL);
    o.l = (wick_tool_loop){.tools = t, .turn = turn, .ctx = &o.s};
    assert_int_equal(wick_tool_loop_run(&o.l, o.messages, NULL), WICK_OK);
    assert_int_equal(atomic_load(&n_runs), 0);
    wick_toolset_free(t);
    drop(&o);
}

static void test_results_that_are_odd(void **state)
{
    static const char *const answers[] = {CALLS(CALL("c1", "huge", "{}") "," CALL("c2", "binary", "{}")), SAY("ok")};
    (void)state;
    outcome o = run(answers, 2, (wick_tool_loop){.max_result_bytes = 1001});
    const char *got = result_of(&o.s, "c1");
    assert_true(strlen(got) <= 1001);
    assert_non_null(strstr(got, "[cut: too long]"));
    assert_string_equal(result_of(&o.s, "c2"), "a\xef\xbf\xbd"
                                               "b");
    drop(&o);
}

static void test_toolsets(void **state)
{
    static const char *const bad[] = {"", "a b", "a/b", "\xc3\xa4", NULL};
    wick_toolset *a = tools(), *b;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const wick_tool_def d = {.name = bad[i], .fn = add};
        assert_int_equal(wick_toolset_add(a, &d, NULL), WICK_E_BAD_PARAMETER);
    }
    const wick_tool_def twice = {.name = "add", .fn = add}, no_fn = {.name = "x"},
                        no_schema = {.name = "x", .fn = add, .schema = "[1]"};
    assert_int_equal(wick_toolset_add(a, &twice, NULL), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_toolset_add(a, &no_fn, NULL), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_toolset_add(a, &no_schema, NULL), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_toolset_n(a), 6);
    assert_int_equal(wick_toolset_new(&b, NULL), WICK_OK);
    assert_int_equal(wick_toolset_borrow(b, a, NULL), WICK_OK);
    assert_int_equal(wick_toolset_borrow(b, a, NULL), WICK_OK); /* what is there stays */
    assert_int_equal(wick_toolset_n(b), 6);
    json_t *j = wick_toolset_json(b);
    assert_int_equal(json_array_size(j), 6);
    json_decref(j);
    wick_toolset_free(b);
    wick_toolset_free(a);
}

static void test_check(void **state)
{
    static const struct {
        const char *schema, *value;
        bool fits;
    } rows[] = {
        {"{}", "{\"a\":1}", true},
        {"{\"type\":\"integer\"}", "1.0", true},
        {"{\"type\":\"integer\"}", "1.5", false},
        {"{\"type\":[\"string\",\"null\"]}", "null", true},
        {"{\"type\":[\"string\",\"null\"]}", "1", false},
        {"{\"enum\":[1,\"a\"]}", "1.0", true},
        {"{\"enum\":[1,\"a\"]}", "\"b\"", false},
        {"{\"minimum\":1,\"maximum\":2}", "2", true},
        {"{\"exclusiveMaximum\":2}", "2", false},
        {"{\"minLength\":2}", "\"\xc3\xa4\"", false},
        {"{\"maxLength\":1}", "\"\xc3\xa4\"", true},
        {"{\"items\":{\"type\":\"string\"}}", "[\"a\",1]", false},
        {"{\"minItems\":1}", "[]", false},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"number\"}]}", "true", false},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":0}]}", "1", false},
        {"{\"$defs\":{\"x\":{\"type\":\"string\"}},\"properties\":{\"a\":{\"$ref\":\"#/$defs/x\"}}}", "{\"a\":1}",
         false},
        {"{\"pattern\":\"^a+$\"}", "\"aaa\"", true},
        {"{\"pattern\":\"^a+$\"}", "\"ab\"", false},
        {"{\"pattern\":\"^a+$\"}", "\"a\\n\"", false},
        {"{\"pattern\":\"b\"}", "\"abc\"", true},
        {"{\"pattern\":\"(\"}", "\"x\"", true}, /* no pattern */
        {"{\"pattern\":\"^(a+)+$\"}", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"", false},
        {"{\"multipleOf\":0.1}", "0.3", true},
        {"{\"multipleOf\":5}", "12", false},
        {"{\"uniqueItems\":true}", "[1,2,1.0]", false},
        {"{\"contains\":{\"const\":3}}", "[1,2]", false},
        {"{\"contains\":{\"const\":3}}", "[1,3]", true},
        {"{\"not\":{\"type\":\"string\"}}", "\"x\"", false},
        {"{\"if\":{\"minimum\":10},\"then\":{\"multipleOf\":10},\"else\":{\"maximum\":5}}", "20", true},
        {"{\"if\":{\"minimum\":10},\"then\":{\"multipleOf\":10},\"else\":{\"maximum\":5}}", "15", false},
        {"{\"if\":{\"minimum\":10},\"then\":{\"multipleOf\":10},\"else\":{\"maximum\":5}}", "7", false},
        {"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}", false},
        {"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"c\":1}", true},
        {"{\"propertyNames\":{\"pattern\":\"^[a-z]+$\"}}", "{\"A\":1}", false},
        {"{\"patternProperties\":{\"^n_\":{\"type\":\"number\"}},\"additionalProperties\":false}", "{\"n_a\":1}", true},
        {"{\"patternProperties\":{\"^n_\":{\"type\":\"number\"}},\"additionalProperties\":false}", "{\"n_a\":\"1\"}",
         false},
        {"{\"patternProperties\":{\"^n_\":{\"type\":\"number\"}},\"additionalProperties\":false}", "{\"m\":1}", false},
        {"{\"$ref\":\"#\"}", "1", false},                   /* a circle: too deep */
        {"{\"$ref\":\"http://example.org/x\"}", "1", true}, /* nothing is fetched */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *s = json_loads(rows[i].schema, JSON_DECODE_ANY, NULL),
               *v = json_loads(rows[i].value, JSON_DECODE_ANY, NULL);
        assert_non_null(s);
        assert_non_null(v);
        if ((wick_tool_check(s, v, NULL) == WICK_OK) != rows[i].fits) fail_msg("%s %s", rows[i].schema, rows[i].value);
        json_decref(s);
        json_decref(v);
    }
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_adds),
        cmocka_unit_test(test_what_does_not_run),
        cmocka_unit_test(test_limit_of_rounds),
        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_time_and_cancel),
        cmocka_unit_test(test_approval),
        cmocka_unit_test(test_results_that_are_odd),
        cmocka_unit_test(test_toolsets),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests_name("chat/tools", all, NULL, NULL);
}
