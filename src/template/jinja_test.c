/* The engine's own promises: limits, one-line errors, no leak when any allocation fails. (Equality with jinja2 is
 * shown by tests/parity/test_jinja.py.) */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/alloc.h"
#include "template/jinja.h"

static wick_status run(const char *src, const json_t *vars, const wick_jinja_limits *l, wick_buf *out, wick_err *err)
{
    wick_jinja *t = NULL;
    wick_status st = wick_jinja_compile(&t, src, strlen(src), "t", err);
    if (st == WICK_OK) st = wick_jinja_render(t, vars, l, out, err);
    wick_jinja_free(t);
    return st;
}

static const char everything[] =
    "{% macro f(x, y=2) %}{{ x ~ y }}{{ caller() if caller }}{% endmacro %}{% set ns = namespace(n=[]) %}"
    "{%- for m in messages if m.role %}{{ loop.index }}{{ m['content']|upper|trim }}{% set ns.n = ns.n + [m] %}"
    "{%- for k, v in m|items %}{{ k }}={{ v }};{% endfor %}{% else %}none{% endfor %}{% call f(1) %}c{% endcall %}"
    "{{ ns.n|map(attribute='role')|join(',') }}{{ messages|tojson(indent=2) }}{{ 'a,b'.split(',')|sort(reverse=true) }}"
    "{{ '%s' % 'x' }}{{ '{:>4}'.format('y') }}{{ {'a': (1, 2.5), 'b': none} }}{{ 'x' * 200 ~ 'y' }}"
    "{% set t %}{{ strftime_now('%Y') }}{% endset %}{{ t }}{{ '[1, {\"a\": \"b\"}]'|from_json }}";

static json_t *conversation(void)
{
    return json_pack("{s:[{s:s, s:s}, {s:s, s:s}]}", "messages", "role", "user", "content", " hi ", "role", "assistant",
                     "content", "b\xc3\xa9");
}

static void test_renders(void **state)
{
    (void)state;
    static const struct {
        const char *src, *want;
    } t[] = {{"", ""},
             {"{{ 1 }}", "1"},
             {"{% for m in messages %}{{ m.role }}\n{% endfor %}", "user\nassistant\n"},
             {"{{ messages[1].content[-1] }}", "\xc3\xa9"},
             {"{{ {'a': [1, none, true, 1.0]} }}", "{'a': [1, None, True, 1.0]}"},
             {"{{ '{\"a\": [1]}'|from_json|tojson }}", "{\"a\": [1]}"}};
    json_t *vars = conversation();
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        wick_buf out = WICK_BUF_INIT;
        wick_err err = {0};
        assert_int_equal(run(t[i].src, vars, NULL, &out, &err), WICK_OK);
        assert_string_equal(wick_buf_str(&out), t[i].want);
        wick_buf_release(&out);
    }
    json_decref(vars);
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        const char *src, *says;
        wick_jinja_limits l;
    } t[] = {{"{% for i in range(1000) %}{{ i }}{% endfor %}", "runs too long", {.max_steps = 500}},
             {"{{ 'a' * 1000000 }}", "memory", {.max_heap_bytes = 100000}},
             {"{% for i in range(100) %}aaaaaaaaaa{% endfor %}", "output is larger", {.max_out_bytes = 500}},
             {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested deeper than 7", {.max_depth = 7}},
             {"{{ raise_exception('no\nway') }}", "no\\x0away", {0}},
             {"\n\n{{ x.y }}", "line 3", {0}},
             {"\n{{ 1 + }}", "line 2", {0}}};
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        wick_buf out = WICK_BUF_INIT;
        wick_err err = {0};
        wick_buf_puts(&out, "kept");
        assert_int_equal(run(t[i].src, NULL, &t[i].l, &out, &err), WICK_E_TEMPLATE);
        assert_non_null(strstr(err.message, t[i].says));
        assert_null(strchr(err.message, '\n'));
        assert_string_equal(wick_buf_str(&out), "kept");
        wick_buf_release(&out);
    }
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    json_t *vars = conversation();
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        wick_buf out = WICK_BUF_INIT;
        wick_err err = {0};
        assert_true(n < 100000);
        wick_alloc_fail_at(n, n & 1);
        wick_status st = run(everything, vars, NULL, &out, &err);
        wick_alloc_fail_at(0, false);
        done = st == WICK_OK;
        if (!done) assert_true(err.message[0] != '\0');
        wick_buf_release(&out);
    }
    json_decref(vars);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_renders), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
