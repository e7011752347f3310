/* server/config_test.c - server.yaml: what it gives, and that every mistake is named by its place. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "server/server_config.h"

static const char good[] =
    "server:\n  host: 0.0.0.0\n  port: 8080\n  allow_hosts: [a.example, b.example]\n"
    "runtime:\n  memory_limit: 2G\n  idle_unload_seconds: 60\n  backends:\n    - {name: cpu, threads: 3, "
    "context: 1024}\n"
    "limits: {queue: 7, body_bytes: 1M}\n"
    "models:\n  - {path: /m/one, backend: cpu, aliases: [x, y]}\n"
    "  - {path: org/two, id: two, context: 99, preload: false, precision: exact, kv_type: f16}\n"
    "keys:\n  - {name: k, scopes: [infer, admin], requests_per_minute: 5, priority: -2, sha256: "
    "0000000000000000000000000000000000000000000000000000000000000001}\n";

static void a_good_file(void **state)
{
    wick_server_config c;
    wick_err err = {0};
    (void)state;
    wick_server_config_init(&c);
    if (wick_server_config_parse(&c, good, strlen(good), "s.yaml", &err) != WICK_OK) fail_msg("%s", err.message);
    assert_string_equal(c.host, "0.0.0.0");
    assert_int_equal(c.port, 8080);
    assert_int_equal(c.n_allow_host, 2);
    assert_string_equal(c.allow_host[1], "b.example");
    assert_int_equal(c.memory_limit_bytes, 2ull << 30);
    assert_int_equal(c.limits.queue, 7);
    assert_int_equal(c.limits.body_bytes, 1 << 20);
    assert_int_equal(c.limits.tools, 512);
    assert_int_equal(c.n_model, 2);
    assert_string_equal(c.model[0].id, "one");
    assert_string_equal(c.model[0].alias[1], "y");
    assert_int_equal(c.model[0].engine.device.n_threads, 3);
    assert_int_equal(c.model[0].engine.n_ctx, 1024);
    assert_true(c.model[0].preload && !c.model[1].preload);
    assert_int_equal(c.model[1].engine.n_ctx, 99);
    assert_int_equal(c.model[1].engine.device.precision, WICK_PRECISION_EXACT);
    assert_int_equal(c.key[0].digest[31], 1);
    assert_int_equal(c.key[0].scopes, WICK_SCOPE_INFER | WICK_SCOPE_ADMIN);
    assert_int_equal(c.key[0].priority, -2);
    assert_int_equal(wick_server_config_check(&c, &err), WICK_OK);
    c.n_key = 0;
    assert_int_equal(wick_server_config_check(&c, &err), WICK_E_BAD_PARAMETER);
    wick_server_config_release(&c);
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"server: {port: -1}", "server.port"},
        {"server: {port: x}", "server.port"},
        {"server: 5", "server"},
        {"limits: {n: 1}", "limits.n"},
        {"limits: {choices: 129}", "limits.choices"},
        {"models: {path: x}", "models"},
        {"tools: [x]", "tools"},
        {"tools: {rounds: 0}", "tools.rounds"},
        {"tools: {by_default: 1}", "tools.by_default"},
        {"server: {mcp_port: 70000}", "server.mcp_port"},
        {"server: {mcp: 3000}", "server.mcp"},
        {"models: [x]", "models[0]"},
        {"models: [{path: x}, {path: y, threads: 1.5}]", "models[1].threads"},
        {"models: [{path: x, chat_template: 5}]", "models[0].chat_template"},
        {"models: [{path: x, device: tpu}]", "models[0].device"},
        {"models: [{path: x, precision: best}]", "models[0].precision"},
        {"runtime: {backends: [{threads: 1}]}", "runtime.backends[0]"},
        {"runtime: {x: 1}", "runtime.x"},
        {"keys: [{name: k, sha256: 12}]", "keys[0].sha256"},
        {"keys: [{name: k, sha256: zz}]", "keys[0].sha256"},
        {"keys: [{name: k, scopes: [root], file: x}]", "keys[0].scopes"},
        {"keys: [{file: x}]", "keys[0]"},
        {"a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: {m: {n: {o: {p: {q: {}}}}}}}}}}}}}}}}}", "deep"},
        {"x: \"\\xff\"", "x"},
        {"%YAML 9", "line"},
        {"a: b: c", "line 1"},
        {"", "mapping"},
        {"--- {}\n--- {}", "more than one"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wick_server_config c;
        wick_err err = {0};
        wick_server_config_init(&c);
        if (wick_server_config_parse(&c, cases[i].text, strlen(cases[i].text), "s.yaml", &err) == WICK_OK)
            fail_msg("accepted: %s", cases[i].text);
        if (!strstr(err.message, cases[i].said) || !strstr(err.message, "s.yaml"))
            fail_msg("%s: said %s", cases[i].text, err.message);
        wick_server_config_release(&c);
    }
}

static void the_sample_is_valid(void **state)
{
    const char *const models[] = {"/m/a \"b\"", "org/name", "odd: # path\\"};
    (void)state;
    for (uint32_t n = 0; n <= 3; n++)
        for (int mlx = 0; mlx < 2; mlx++) {
            wick_buf b = WICK_BUF_INIT;
            wick_server_config c;
            wick_err err = {0};
            wick_server_config_init(&c);
            assert_int_equal(wick_server_config_sample(&b, mlx ? "mlx" : "cpu", models, n, &err), WICK_OK);
            if (wick_server_config_parse(&c, b.data, b.n, "s.yaml", &err) != WICK_OK) fail_msg("%s", err.message);
            assert_int_equal(c.n_model, n);
            if (n) assert_string_equal(c.model[0].path, models[0]);
            wick_server_config_release(&c);
            wick_buf_release(&b);
        }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (uint64_t k = 1; k < 60; k++) {
        wick_server_config c;
        wick_err err = {0};
        wick_server_config_init(&c);
        wick_alloc_fail_at(k, false);
        wick_status st = wick_server_config_parse(&c, good, strlen(good), "s.yaml", &err);
        wick_alloc_fail_at(0, false);
        if (st != WICK_OK) assert_int_equal(st, WICK_E_OUT_OF_MEMORY);
        wick_server_config_release(&c);
    }
}

static void loopback(void **state)
{
    static const char *const yes[] = {"localhost", "LOCALHOST", "127.0.0.1", "127.5.6.7", "::1"};
    static const char *const no[] = {"",      "0.0.0.0", "::", "128.0.0.1", "127.0.0.1.example", "localhost.example",
                                     "127.1", "10.0.0.1"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) assert_true(wick_host_is_loopback(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) assert_false(wick_host_is_loopback(no[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_good_file), cmocka_unit_test(mistakes_are_named),
                                       cmocka_unit_test(the_sample_is_valid),
                                       cmocka_unit_test(every_allocation_may_fail), cmocka_unit_test(loopback)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
