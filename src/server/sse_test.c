/* server/sse_test.c - JSON strings and numbers as they go on the wire; routes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include "server/dialect/dialect.h"
#include "server/server_int.h"

static void strings_read_back(void **state)
{
    static const struct {
        const char *in;
        size_t n;
        const char *out;
    } cases[] = {{"", 0, "\"\""},
                 {"a\"b\\c\n\t\x01\x7f", 9, "\"a\\\"b\\\\c\\n\\u0009\\u0001\\u007f\""},
                 {"a\0b", 3, "\"a\\u0000b\""},
                 {"\xe6\x97\xa5", 3, "\"\xe6\x97\xa5\""},
                 {"\xe6\x97", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
                 {"x\xffy", 3, "\"x\xef\xbf\xbdy\""},
                 {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wick_buf b = WICK_BUF_INIT;
        wick_json_write_str(&b, cases[i].in, cases[i].n);
        assert_string_equal(wick_buf_str(&b), cases[i].out);
        json_t *v = json_loadb(b.data, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(v);
        json_decref(v);
        wick_buf_release(&b);
    }
    for (unsigned c = 0; c < 256; c++) {
        wick_buf b = WICK_BUF_INIT;
        const char one = (char)c;
        wick_json_write_str(&b, &one, 1);
        json_t *v = json_loadb(b.data, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(v);
        if (c < 0x80) assert_true(json_string_length(v) == 1 && json_string_value(v)[0] == one);
        json_decref(v);
        wick_buf_release(&b);
    }
}

static void numbers(void **state)
{
    static const struct {
        double v;
        const char *out;
    } cases[] = {{0, "0"}, {-1.5, "-1.5"}, {1e-30, "1e-30"}, {NAN, "null"}, {INFINITY, "null"}, {-INFINITY, "null"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wick_buf b = WICK_BUF_INIT;
        wick_json_write_float(&b, cases[i].v);
        assert_string_equal(wick_buf_str(&b), cases[i].out);
        wick_buf_release(&b);
    }
}

static void problems_are_json(void **state)
{
    wick_buf b = WICK_BUF_INIT;
    (void)state;
    wick_dialect_openai_problem(&b, &(wick_problem_text){.status = 429, .param = "a\"b", .message = "line\nbreak"});
    json_t *v = json_loadb(b.data, b.n, 0, NULL);
    const json_t *e = json_object_get(v, "error");
    assert_string_equal(json_string_value(json_object_get(e, "type")), "rate_limit_error");
    assert_string_equal(json_string_value(json_object_get(e, "param")), "a\"b");
    assert_true(json_is_null(json_object_get(e, "code")));
    json_decref(v);
    wick_buf_release(&b);
}

static void routes(void **state)
{
    char arg[64];
    const char *allow;
    (void)state;
    assert_non_null(wick_route_find("GET", "/v1/models", arg, sizeof arg, &allow));
    assert_non_null(wick_route_find("HEAD", "/livez", arg, sizeof arg, &allow));
    assert_non_null(wick_route_find("GET", "/v1/models/org/name", arg, sizeof arg, &allow));
    assert_string_equal(arg, "org/name");
    static const char *const same[] = {"/v1/models/", "//v1/models", "/v1//models//",
                                       "/models",     "/models/",    "//models"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const wick_route *r = wick_route_find("GET", same[i], arg, sizeof arg, &allow);
        assert_non_null(r);
        assert_string_equal(r->path, "/v1/models");
    }
    assert_null(wick_route_find("POST", "/v1/models", arg, sizeof arg, &allow));
    assert_string_equal(allow, "GET, HEAD");
    assert_null(wick_route_find("GET", "/", arg, sizeof arg, &allow));
    assert_null(allow);
    char path[128] = "/v1/models/";
    memset(path + 11, 'x', 80);
    path[91] = '\0';
    assert_null(wick_route_find("GET", path, arg, sizeof arg, &allow));
}

static void histograms(void **state)
{
    wick_hist h = {0};
    (void)state;
    static const double ms[] = {0, 0.5, 1, 3, 1e9, -5};
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++) wick_hist_add(&h, ms[i]);
    assert_int_equal(atomic_load(&h.count), 6);
    assert_int_equal(atomic_load(&h.bucket[0]), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(strings_read_back), cmocka_unit_test(numbers),
                                       cmocka_unit_test(problems_are_json), cmocka_unit_test(routes),
                                       cmocka_unit_test(histograms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
