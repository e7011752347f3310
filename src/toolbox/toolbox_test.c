/* The tools that come with Wick, and the gates around them: expressions, folders, addresses, the file of tools,
 * programs. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/sys.h"
#include "toolbox/toolbox_int.h"

static void test_calculate(void **state)
{
    static const struct {
        const char *text;
        double want; /* NAN: an error */
    } rows[] = {
        {"15 + 27", 42},   {"2+3*4", 14},   {"(2+3)*4", 20},    {"2^3^2", 512},    {"-2^2", -4},    {"2^-1", 0.5},
        {"10 % 4", 2},     {"7/2", 3.5},    {"1e3", 1000},      {"1.5e-2", 0.015}, {"sqrt(16)", 4}, {"max(2, 3)", 3},
        {"min(2,-3)", -3}, {"pi", M_PI},    {"ln(e)", 1},       {"--3", 3},        {"2**10", 1024}, {"hypot(3, 4)", 5},
        {".5+.5", 1},      {"", NAN},       {"1/0", NAN},       {"1 +", NAN},      {"(1", NAN},     {"1)", NAN},
        {"abc", NAN},      {"sqrt()", NAN}, {"sqrt(1,2)", NAN}, {"max(1)", NAN},   {"1 2", NAN},    {"sqrt(-1)", NAN},
        {"9^999", NAN},    {"1..2", NAN},   {"system(1)", NAN}, {"1e", NAN},       {"\xff", NAN},   {"5 % 0", NAN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double v = 0;
        const wick_status st = wick_calculate(rows[i].text, &v, NULL);
        if (isnan(rows[i].want) ? st == WICK_OK : st != WICK_OK || fabs(v - rows[i].want) > 1e-12)
            fail_msg("%s: %d %g", rows[i].text, (int)st, v);
    }
    char deep[5000];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    double v;
    assert_int_equal(wick_calculate(deep, &v, NULL), WICK_E_BAD_PARAMETER);
    for (size_t i = 0; i + 2 < sizeof deep; i += 2) memcpy(deep + i, "2^", 2);
    assert_int_equal(wick_calculate(deep, &v, NULL), WICK_E_BAD_PARAMETER);
}

static void test_addresses(void **state)
{
    static const char *const inside[] = {
        "127.0.0.1",       "127.255.0.9",       "10.1.2.3",      "172.16.0.1", "172.31.255.255",
        "192.168.1.1",     "169.254.169.254",   "0.0.0.0",       "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "198.18.0.1",        "::1",           "::",         "::127.0.0.1",
        "::ffff:10.0.0.1", "::ffff:127.0.0.1",  "fe80::1",       "fc00::1",    "fd12::1",
        "ff02::1",         "64:ff9b::10.0.0.1", "2002:7f00:1::", "2001::1",    "fec0::1"};
    static const char *const outside[] = {"8.8.8.8",  "1.1.1.1",         "172.32.0.1",
                                          "11.0.0.1", "2606:4700::1111", "::ffff:8.8.8.8"};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        const size_t n = k ? sizeof outside / sizeof *outside : sizeof inside / sizeof *inside;
        for (size_t i = 0; i < n; i++) {
            const char *text = k ? outside[i] : inside[i];
            struct sockaddr_in v4 = {.sin_family = AF_INET};
            struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
            const bool is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
            assert_true(is_v4 || inet_pton(AF_INET6, text, &v6.sin6_addr) == 1);
            const bool got = is_v4 ? wick_address_is_private(&v4) : wick_address_is_private(&v6);
            if (got != (k == 0)) fail_msg("%s", text);
        }
    }
}

/* --- folders ------------------------------------------------------------------------------------------------------ */
static char root[64];

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void link_to(const char *target, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(symlink(target, path), 0);
}

static int make_tree(void **state)
{
    static const char *const dirs[] = {"in", "in/sub", "in/deep", "inside-not", "out"};
    char path[256];
    (void)state;
    snprintf(root, sizeof root, "/tmp/wick-toolbox-XXXXXX");
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        snprintf(path, sizeof path, "%s/%s", root, dirs[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    put("in/a.txt", "alpha");
    put("in/sub/b.txt", "beta");
    put("out/secret", "secret");
    put("inside-not/secret", "secret");
    link_to("sub/b.txt", "in/good-link");
    link_to("../out/secret", "in/bad-link");
    link_to("../out", "in/bad-dir");
    link_to("/etc/passwd", "in/absolute");
    link_to("loop2", "in/loop1");
    link_to("loop1", "in/loop2");
    link_to("../in/a.txt", "out/back");
    snprintf(path, sizeof path, "%s/in/fifo", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    return 0;
}

static int remove_tree(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

typedef struct one_call {
    const char *tool, *arguments;
    bool done, failed;
    char *result;
} one_call;

static wick_status turn(void *ctx, const json_t *messages, json_t **answer, wick_err *err)
{
    one_call *c = ctx;
    (void)messages;
    (void)err;
    if (c->done)
        *answer = json_pack("{s:s, s:s}", "role", "assistant", "content", "done");
    else
        *answer =
            json_pack("{s:s, s:s, s:[{s:s, s:s, s:{s:s, s:s}}]}", "role", "assistant", "content", "", "tool_calls",
                      "id", "x", "type", "function", "function", "name", c->tool, "arguments", c->arguments);
    c->done = true;
    return WICK_OK;
}

static void on_event(void *ctx, const wick_tool_event *e)
{
    one_call *c = ctx;
    if (e->kind != WICK_TOOL_EVENT_RESULT) return;
    c->failed = e->failed;
    c->result = wick_strdup(e->result);
}

static char *call_in_loop(const wick_toolset *t, const char *tool, const char *arguments, wick_status *st)
{
    one_call c = {.tool = tool, .arguments = arguments};
    wick_tool_loop l = {
        .tools = t, .turn = turn, .event = on_event, .ctx = &c, .approve_all = true, .timeout_ms = 3000};
    json_t *messages = json_array();
    assert_int_equal(wick_tool_loop_run(&l, messages, NULL), WICK_OK);
    json_decref(messages);
    *st = c.failed ? WICK_E_REFUSED : WICK_OK;
    return c.result;
}

/* The result of a tool of that configuration; *st its status. */
static char *call(const char *config, const char *tool, const char *arguments, wick_status *st)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", "SECRET=no", NULL};
    wick_toolbox *b = NULL;
    wick_err err = {0};
    const wick_toolbox_opts o = {.folder = root, .env = env};
    const wick_status opened = wick_toolbox_load(&b, config, &o, &err);
    if (opened != WICK_OK) fail_msg("%s", err.message);
    assert_true(wick_toolset_has(wick_toolbox_tools(b), tool));
    /* Through the loop, so that schemas are checked as for a model. */
    char *out = call_in_loop(wick_toolbox_tools(b), tool, arguments, st);
    wick_toolbox_close(b);
    return out;
}

static unsigned n_refused; /* hostile cases that were tried */

static void test_files(void **state)
{
    static const char config[] =
        "{\"builtin\":{\"read_file\":{\"folders\":[\"in\"]},\"list_files\":{\"folders\":[\"in\"]}}}";
    static const struct {
        const char *path, *want; /* NULL: refused */
    } rows[] = {
        {"a.txt", "alpha"},
        {"./a.txt", "alpha"},
        {"sub/../a.txt", "alpha"},
        {"sub/b.txt", "beta"},
        {"good-link", "beta"},
        {"sub//b.txt", "beta"},
        {"../in/a.txt", "alpha"},
        {"bad-dir/back", "alpha"}, /* out and in again: it is below the folder in the end */
        {"../out/secret", NULL},
        {"../inside-not/secret", NULL},
        {"bad-link", NULL},
        {"bad-dir/secret", NULL},
        {"absolute", NULL},
        {"loop1", NULL},
        {"/etc/passwd", NULL},
        {"/proc/self/environ", NULL},
        {"../../../../../../etc/passwd", NULL},
        {"sub/../../out/secret", NULL},
        {"nothing", NULL},
        {"", NULL},
        {"sub", NULL},
        {"fifo", NULL},
        {"a.txt/", NULL},
        {"a.txt/.", NULL},
        {"~/.ssh/id_rsa", NULL},
        {"file:///etc/passwd", NULL},
        {"%2e%2e/out/secret", NULL},
        {"..\\\\out\\\\secret", NULL},
        {"\\u0000", NULL},
        {"a.txt\\u0000/../../out/secret", NULL},
        {"/dev/zero", NULL},
        {"/dev/stdin", NULL},
        {"/proc/self/root/etc/passwd", NULL},
        {"/proc/self/cwd", NULL},
        {"..", NULL},
        {"../..", NULL},
        {"/", NULL},
        {"//etc/passwd", NULL},
        {"./../out/secret", NULL},
        {"sub/./.././../out/secret", NULL},
        {"in/../../../etc/passwd", NULL},
        {"bad-dir/../secret", NULL},
        {"bad-dir/../../etc/passwd", NULL},
        {"loop2", NULL},
        {"good-link/x", NULL},
        {"sub/b.txt/../../out/secret", NULL},
        {"../in/../out/secret", NULL},
        {"../in-not/../out/secret", NULL},
        {"/proc/self/fd/0", NULL},
        {"/proc/1/environ", NULL},
        {"/sys/kernel/notes", NULL},
        {"a.txt ", NULL},
        {"A.TXT", NULL},
        {"\xe2\x80\xa4\xe2\x80\xa4/out/secret", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char arguments[256];
        wick_status st;
        snprintf(arguments, sizeof arguments, "{\"path\":\"%s\"}", rows[i].path);
        char *got = call(config, "read_file", arguments, &st);
        if (rows[i].want ? strcmp(got, rows[i].want) != 0
                         : st == WICK_OK || strstr(got, "secret\n") || strstr(got, "root:"))
            fail_msg("%s: %s", rows[i].path, got);
        n_refused += !rows[i].want;
        wick_free(got);
    }
    wick_status st;
    char *got = call(config, "list_files", "{}", &st);
    assert_non_null(strstr(got, "a.txt\n"));
    assert_non_null(strstr(got, "sub/\n"));
    assert_null(strstr(got, "secret"));
    wick_free(got);
    got = call(config, "list_files", "{\"path\":\"bad-dir\"}", &st);
    assert_int_equal(st, WICK_E_REFUSED);
    wick_free(got);
}

static void test_fetch_refuses(void **state)
{
    static const char config[] =
        "{\"builtin\":{\"http_get\":{\"hosts\":[\"example.org\",\"*.example.net\",\"localhost\","
        "\"localtest.example.net\"]}}}";
    static const char *const urls[] = {"http://example.com/",
                                       "file:///etc/passwd",
                                       "ftp://example.org/",
                                       "http://user:pw@example.org/",
                                       "example.org",
                                       "http://example.org.evil.com/",
                                       "http://evil.com/?example.org",
                                       "http://evil.com#example.org",
                                       "http://localhost:1/",
                                       "http://127.0.0.1/",
                                       "http://[::1]/",
                                       "http://example.net/",
                                       "gopher://example.org/",
                                       "http://0x7f000001/",
                                       "http://2130706433/",
                                       "http://evilexample.net/",
                                       "http://127.1/",
                                       "//example.org/",
                                       "http://example.org@evil.com/",
                                       "http:\\\\\\\\example.org",
                                       "javascript:alert(1)",
                                       "data:text/plain,x",
                                       "dict://example.org/",
                                       "http://localhost/",
                                       "http://LOCALHOST:80/",
                                       "http://localhost./",
                                       "https://localhost/",
                                       "http://[::ffff:127.0.0.1]/",
                                       "http://169.254.169.254/latest/meta-data/",
                                       "http://0/",
                                       "http://0177.0.0.1/",
                                       "http://example.org:80@127.0.0.1/",
                                       "http://example.org%2f@evil.com/",
                                       "http://example.org%00.evil.com/",
                                       "http://example.org.:99999/",
                                       "http:///etc/passwd",
                                       "HTTP://user@example.org",
                                       "ldap://example.org/",
                                       "smb://example.org/share",
                                       ""};
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char arguments[256];
        wick_status st;
        snprintf(arguments, sizeof arguments, "{\"url\":\"%s\"}", urls[i]);
        char *got = call(config, "http_get", arguments, &st);
        if (st == WICK_OK) fail_msg("%s: %s", urls[i], got);
        n_refused++;
        wick_free(got);
    }
    assert_true(n_refused >= 60); /* files and addresses together */
}

static void test_commands(void **state)
{
    static const struct {
        const char *config, *arguments, *want;
        bool fails;
    } rows[] = {
        {"[\"cat\"]", "{\"a\":\"x y\"}", "{\"a\": \"x y\"}", false},
        {"[\"echo\",\"{a}\",\"{b}\"]", "{\"a\":\"x; rm -rf $HOME `id`\",\"b\":5}", "x; rm -rf $HOME `id` 5\n", false},
        {"[\"sh\",\"-c\",\"echo $SECRET$0\",\"{a}\"]", "{\"a\":\"z\"}", "noz\n", false},
        {"[\"sh\",\"-c\",\"echo out; echo bad >&2; exit 3\"]", "{}", "ended with status 3: bad", true},
        {"[\"sh\",\"-c\",\"sleep 30\"]", "{}", "time", true},
        {"[\"sh\",\"-c\",\"kill -9 $$\"]", "{}", "status 137", true},
        {"[\"no-such-program\"]", "{}", "there is no program", true},
        {"[\"yes\"]", "{}", "printed more than", true},
        {"[\"true\"]", "{}", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char config[512];
        wick_status st;
        snprintf(config, sizeof config, "{\"commands\":{\"c\":{\"command\":%s}}}", rows[i].config);
        char *got = call(config, "c", rows[i].arguments, &st);
        if ((st != WICK_OK) != rows[i].fails ||
            (rows[i].fails ? !strstr(got, rows[i].want) : strcmp(got, rows[i].want) != 0))
            fail_msg("%s: %s", rows[i].config, got);
        wick_free(got);
    }
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *config, *says;
    } rows[] = {
        {"{\"tools\":{}}", "\"tools\" is unknown"},
        {"{\"builtin\":[]}", "must be an object"},
        {"{\"builtin\":{\"shell\":true}}", "no built-in tool"},
        {"{\"builtin\":{\"read_file\":true}}", "needs"},
        {"{\"builtin\":{\"read_file\":{\"folders\":[\"nowhere\"]}}}", "there is no folder"},
        {"{\"builtin\":{\"http_get\":{}}}", "needs"},
        {"{\"commands\":{\"x\":{\"command\":\"ls\"}}}", "array of words"},
        {"{\"commands\":{\"a b\":{\"command\":[\"ls\"]}}}", "a name has"},
        {"{\"commands\":{\"x\":{\"command\":[\"${NOPE}\"]}}}", "${NOPE} is not set"},
        {"{\"commands\":{\"x\":{\"command\":[\"ls\"],\"parameters\":[]}}}", "schema"},
        {"{\"dispatch\":{\"url\":\"http://x\"}}", "dispatch needs"},
        {"{\"dispatch\":{\"url\":\"file:///etc/passwd\",\"tools\":[{\"name\":\"x\"}]}}", "http or https"},
        {"{\"dispatch\":{\"url\":\"http://x\",\"tools\":[{\"name\":\"a b\"}]}}", "a name has"},
        {"{\"dispatch\":{\"url\":\"http://x\",\"tools\":[{\"name\":\"a\"},{\"name\":\"a\"}]}}", "is taken"},
        {"{\"dispatch\":{\"url\":\"http://x\",\"headers\":{\"a\":\"b\\r\\nc: d\"},\"tools\":[{\"name\":\"a\"}]}}",
         "line break"},
        {"{\"mcpServers\":{\"x\":{}}}", "needs \"command\" or \"url\""},
        {"{\"mcpServers\":{\"x\":{\"command\":\"/no/such/program\"}}}", "there is no program"},
        {"{\"mcpServers\":{\"x\":{\"url\":\"ftp://x\"}}}", "http"},
        {"{\"mcpServers\":{\"x\":{\"url\":\"http://127.0.0.1:1/mcp\"}}}", "MCP server x"},
        {"{\"mcpServers\":{\"x\":{\"command\":\"true\",\"timeout\":-1}}}", "timeout"},
        {"{", "tools"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wick_toolbox *b = NULL;
        wick_err err = {0};
        const wick_toolbox_opts o = {.folder = root};
        assert_int_not_equal(wick_toolbox_load(&b, rows[i].config, &o, &err), WICK_OK);
        if (!strstr(err.message, rows[i].says)) fail_msg("%s: %s", rows[i].config, err.message);
    }
    wick_toolbox *b = NULL;
    const wick_toolbox_opts lenient = {.lenient = true};
    assert_int_equal(wick_toolbox_load(&b,
                                       "{\"mcpServers\":{\"x\":{\"url\":\"http://127.0.0.1:1/mcp\"},"
                                       "\"y\":{\"command\":\"z\",\"disabled\":true}},\"builtin\":{\"time\":true}}",
                                       &lenient, NULL),
                     WICK_OK);
    assert_int_equal(wick_toolset_n(wick_toolbox_tools(b)), 1);
    wick_toolbox_close(b);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_calculate),     cmocka_unit_test(test_addresses), cmocka_unit_test(test_files),
        cmocka_unit_test(test_fetch_refuses), cmocka_unit_test(test_commands),  cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests_name("toolbox", all, make_tree, remove_tree);
}
