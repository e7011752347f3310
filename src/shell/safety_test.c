/* shell/safety_test.c - the parser and the safety walk: what parses, what does not, levels, memory that runs out.
 * The labelled set of more than 800 commands is in tests/shell/safety.txt and runs through the program. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "shell/parse.h"
#include "shell/safety.h"

static wick_sh_level level_of(const char *cmd)
{
    wick_arena a;
    wick_sh_report r;
    wick_arena_init(&a, 0);
    assert_int_equal(wick_sh_check(&a, cmd, strlen(cmd), &r, NULL), WICK_OK);
    for (unsigned k = 1; k < r.n; k++) assert_true(r.finding[k - 1].level >= r.finding[k].level);
    if (r.n) assert_int_equal(r.level, r.finding[0].level);
    wick_arena_release(&a);
    return r.level;
}

static bool parses(const char *text)
{
    wick_arena a;
    wick_sh_node *c;
    wick_err err = {0};
    wick_arena_init(&a, 0);
    wick_status st = wick_sh_parse(&a, text, strlen(text), &c, &err);
    if (st != WICK_OK) assert_true(err.message[0] && !strchr(err.message, '\n'));
    wick_arena_release(&a);
    return st == WICK_OK;
}

static void test_syntax(void **state)
{
    static const char *const good[] = {"",
                                       "# only a comment",
                                       "a",
                                       "a;b",
                                       "a &",
                                       "a && b || c",
                                       "a | b |& c",
                                       "(a; b)",
                                       "{ a; }",
                                       "if a; then b; elif c; then d; else e; fi",
                                       "while a; do b; done",
                                       "until a; do b; done",
                                       "for i in 1 2; do b; done",
                                       "for i; do b; done",
                                       "for ((i=0;i<3;i++)); do b; done",
                                       "case x in a|b) c;; (d) ;; *) e; esac",
                                       "f() { a; }",
                                       "function f { a; }",
                                       "f() (a)",
                                       "a > b 2>&1 < c >> d",
                                       "a <<X\nb\nX\nc",
                                       "cat <<-X\n\tb\n\tX\n",
                                       "a <<< b",
                                       "a <(b) >(c)",
                                       "echo $(a $(b) `c`) \"$(d \"e\")\"",
                                       "echo ${a:-b} ${#a} ${a%%*.} $((1+2)) $'\\n'",
                                       "[[ a && ( b || c ) ]]",
                                       "((a++))",
                                       "a=(1 2 3)",
                                       "x=1 y=2 z",
                                       "! a",
                                       "time a",
                                       "a\\\nb",
                                       "echo a#b",
                                       "echo {1..3}",
                                       "echo \\(",
                                       "select x in a; do b; done",
                                       "declare -a x=(1 2)"};
    static const char *const bad[] = {"'",
                                      "\"",
                                      "`",
                                      "$(",
                                      "${",
                                      "${}",
                                      "(",
                                      ")",
                                      "a)",
                                      "{ a",
                                      "if a; then b",
                                      "then",
                                      "fi",
                                      "done",
                                      "a |",
                                      "a &&",
                                      "| a",
                                      "&& a",
                                      ";",
                                      ";;",
                                      "a ;;",
                                      "()",
                                      "( )",
                                      "for",
                                      "for i in a; b",
                                      "case x in a) b",
                                      "while a; do",
                                      "f() a",
                                      "a >",
                                      "a <",
                                      "a (b)",
                                      "if; then a; fi",
                                      "while; do a; done",
                                      "{ }",
                                      "a ; ; b",
                                      "& a",
                                      "[[ ]]"};
    (void)state;
    for (size_t k = 0; k < sizeof good / sizeof *good; k++)
        if (!parses(good[k])) fail_msg("refused: %s", good[k]);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        if (parses(bad[k])) fail_msg("accepted: %s", bad[k]);
}

static void test_levels(void **state)
{
    static const struct {
        const char *cmd;
        wick_sh_level level;
    } cases[] = {{"ls", WICK_SH_SAFE},
                 {"echo 'rm -rf /'", WICK_SH_SAFE},
                 {"cat <<'X'\nrm -rf /\nX\n", WICK_SH_SAFE},
                 {"touch a", WICK_SH_MODERATE},
                 {"rm -rf old", WICK_SH_HIGH},
                 {"bash -c 'rm -rf /'", WICK_SH_CRITICAL},
                 {"x=rm; $x -rf /", WICK_SH_CRITICAL},
                 {"sh <<X\nrm -rf /\nX\n", WICK_SH_CRITICAL},
                 {"echo cm0gLXJmIC8= | base64 -d | sh", WICK_SH_CRITICAL},
                 {"if", WICK_SH_HIGH}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        if (level_of(cases[k].cmd) != cases[k].level)
            fail_msg("%s: %s", cases[k].cmd, wick_sh_level_name(level_of(cases[k].cmd)));
}

static void test_disguise(void **state)
{
    static const char bidi[] = "ls \xE2\x80\xAE fdp",
                      cyrillic[] = "\xD1\x81"
                                   "at x",
                      name[] = "cat \xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82.txt";
    wick_arena a;
    (void)state;
    wick_arena_init(&a, 0);
    assert_int_equal(wick_sh_disguised(bidi, strlen(bidi)), WICK_SH_HIDDEN);
    assert_int_equal(wick_sh_disguised(cyrillic, strlen(cyrillic)), WICK_SH_HIDDEN);
    assert_int_equal(wick_sh_disguised(name, strlen(name)), WICK_SH_PLAIN_TEXT);
    assert_int_equal(wick_sh_disguised("a\033[2Jb", 6), WICK_SH_HIDDEN);
    assert_string_equal(wick_sh_visible(&a, "a\033[2J\xFF", 6), "a\\u{1b}[2J\\xff");
    assert_int_equal(level_of("ls \033[2J"), WICK_SH_HIGH);
    wick_arena_release(&a);
}

/* Deep nesting, long text and random bytes end without a crash and quickly. */
static void test_hostile(void **state)
{
    enum { N = 200000 };
    char *text = malloc(N + 1);
    static const char *const units[] = {"$(",    "(",           "{ ",           "`",  "\"$(",           "${a:-",
                                        "$((",   "if a; then ", "sh -c 'eval ", "<(", "f() { f|f& }; ", "a|",
                                        "<<X\n", "[[ ",         "case x in a) "};
    (void)state;
    assert_non_null(text);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t n = 0, len = strlen(units[u]);
        while (n + len < N) {
            memcpy(text + n, units[u], len);
            n += len;
        }
        text[n] = 0;
        (void)level_of(text);
    }
    uint32_t x = 12345;
    static const char alphabet[] = " \n\t;&|<>(){}[]$`'\"\\#*?~=!-abrmfdx/0:+%@,";
    for (unsigned round = 0; round < 3000; round++) {
        size_t n = 1 + round % 60;
        for (size_t k = 0; k < n; k++)
            text[k] = alphabet[(x = x * 1664525u + 1013904223u) >> 8 & 0xFFFF ? (x >> 16) % (sizeof alphabet - 1) : 0];
        text[n] = 0;
        (void)level_of(text);
    }
    free(text);
}

static void test_no_memory(void **state)
{
    static const char cmd[] = "a=rm; for i in \"$a\" {x,y}; do $i -rf $(echo /) <<X | sh; done\nrm $a\nX\n";
    (void)state;
    for (unsigned at = 1;; at++) {
        wick_arena a;
        wick_sh_report r;
        wick_arena_init(&a, 512);
        wick_alloc_fail_at(at, true);
        wick_status st = wick_sh_check(&a, cmd, strlen(cmd), &r, NULL);
        wick_alloc_fail_at(0, false);
        wick_arena_release(&a);
        if (st == WICK_OK && r.level == WICK_SH_CRITICAL) break;
        assert_true(st == WICK_E_OUT_OF_MEMORY || st == WICK_OK);
        assert_true(at < 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_syntax), cmocka_unit_test(test_levels),
                                       cmocka_unit_test(test_disguise), cmocka_unit_test(test_hostile),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
