/* shell/doubt_test.c - option tables, what speaks against a command, ranking, the grammar of answers, other shells. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "grammar/grammar.h"
#include "shell/flavours.h"
#include "shell/doubt.h"
#include "shell/flags.h"

static bool fake_program(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "frobnicate") != 0;
}

static bool fake_file(void *ctx, const char *path)
{
    (void)ctx;
    return strcmp(path, "notes.txt") == 0;
}

static const wick_sh_world world = {.has_program = fake_program, .has_file = fake_file, .gnu = true};

static void test_options(void **state)
{
    static const struct {
        const char *program, *sub, *word;
        wick_sh_option_is is;
    } cases[] = {
        {"ls", NULL, "-la", WICK_SH_OPTION_KNOWN},
        {"ls", NULL, "-y", WICK_SH_OPTION_UNKNOWN},
        {"ls", NULL, "--all", WICK_SH_OPTION_KNOWN},
        {"ls", NULL, "--human", WICK_SH_OPTION_KNOWN}, /* a beginning of a name */
        {"ls", NULL, "--everything", WICK_SH_OPTION_UNKNOWN},
        {"head", NULL, "-n", WICK_SH_OPTION_TAKES_NEXT},
        {"head", NULL, "-n5", WICK_SH_OPTION_KNOWN},
        {"head", NULL, "-5", WICK_SH_OPTION_KNOWN},
        {"cut", NULL, "-d,", WICK_SH_OPTION_KNOWN},
        {"sort", NULL, "-t", WICK_SH_OPTION_TAKES_NEXT},
        {"find", NULL, "-name", WICK_SH_OPTION_TAKES_NEXT},
        {"find", NULL, "-delete", WICK_SH_OPTION_KNOWN},
        {"find", NULL, "-named", WICK_SH_OPTION_UNKNOWN},
        {"git", "log", "--oneline", WICK_SH_OPTION_KNOWN},
        {"git", "log", "--frob", WICK_SH_OPTION_UNKNOWN},
        {"tar", NULL, "--exclude=x", WICK_SH_OPTION_KNOWN},
        {"grep", NULL, "--", WICK_SH_OPTION_KNOWN},
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const wick_sh_program *p = wick_sh_program_find(cases[k].program, cases[k].sub);
        assert_non_null(p);
        assert_int_equal(wick_sh_option_look(p, cases[k].word), cases[k].is);
    }
    assert_null(wick_sh_program_find("nosuch", NULL));
    assert_null(wick_sh_program_find("git", NULL));
    assert_null(wick_sh_program_find("git", "nosuch"));
}

static void test_doubts(void **state)
{
    static const struct {
        const char *request, *cmd, *doubt; /* NULL: none */
    } cases[] = {
        {"list all files", "ls -la", NULL},
        {"list all files", "ls -y", "ls has no option -y"},
        {"count the lines of notes.txt", "wc -l notes.txt", NULL},
        {"count the lines of notes.txt", "wc -l", "does not use notes.txt"},
        {"count the lines", "wc -l notes.txt", NULL}, /* it is in the folder */
        {"count the lines", "wc -l other.txt", "other.txt is not in the request"},
        {"list", "ls | frobnicate", "there is no program frobnicate on this machine"},
        {"list", "f() { ls; }; f", NULL},
        {"list", "ls $(frobnicate)", "there is no program frobnicate on this machine"},
        {"list", "ls 'x", "it is no command that a shell accepts"},
        {"list", "", "it is no command that a shell accepts"},
        {"lines with \"two words\"", "grep 'two words' notes.txt", NULL},
        {"lines with \"two words\"", "grep two notes.txt", "does not use two words"},
        {"big files", "find . -type f -perm -u+x -size +1M -exec ls -lh {} +", NULL},
        {"big files", "find . -exec frobnicate {} ';'", "there is no program frobnicate on this machine"},
        {"big files", "find . -exec grep -Y x {} ';'", "grep has no option -Y"},
        {"as root", "sudo -u bob frobnicate", "there is no program frobnicate on this machine"},
        {"list", "env A=1 nice -n 5 ls -y", "ls has no option -y"},
        {"list", "timeout 5 ls -l", NULL},
        {"list", "xargs -n 1 -I {} cp {} x", NULL},
        {"log", "git log -n 3 --oneline", NULL},
        {"log", "./tool --frob", NULL},
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        wick_arena a;
        wick_sh_doubts d;
        wick_arena_init(&a, 0);
        assert_int_equal(wick_sh_doubt(&a, cases[k].request, cases[k].cmd, &world, WICK_SH_CHECK_ALL, &d, NULL),
                         WICK_OK);
        if (cases[k].doubt) {
            if (d.n < 1 || d.cost <= 0) fail_msg("%s: not doubted", cases[k].cmd);
            assert_string_equal(d.text[0], cases[k].doubt);
        } else if (d.n > 0) {
            fail_msg("%s: %s", cases[k].cmd, d.text[0]);
        }
        wick_arena_release(&a);
    }
}

static void test_rank(void **state)
{
    wick_arena a;
    wick_sh_candidate c[] = {
        {.answer = {.cmd = "ls -y"}, .logprob = -0.1F, .votes = 1},
        {.answer = {.cmd = "ls -l"}, .logprob = -1.0F, .votes = 1},
        {.answer = {.cmd = "ls -l"}, .logprob = -0.9F, .votes = 1},
        {.answer = {.cmd = "", .refused = "no"}, .logprob = -3.0F, .votes = 1},
    };
    (void)state;
    wick_arena_init(&a, 0);
    assert_int_equal(wick_sh_rank(&a, "list", c, 4, 4, &world, WICK_SH_CHECK_ALL), 3);
    assert_string_equal(c[0].answer.cmd, "ls -l");
    assert_int_equal(c[0].votes, 2);
    assert_true(c[0].logprob > -0.95F);
    assert_string_equal(c[1].answer.refused, "no");
    assert_string_equal(c[2].answer.cmd, "ls -y");
    wick_arena_release(&a);
}

static void test_repair(void **state)
{
    wick_arena a;
    wick_sh_candidate c[3] = {{.answer = {.cmd = "rm qz_37.tmp"}, .logprob = -0.5F, .votes = 1}};
    (void)state;
    wick_arena_init(&a, 0);
    assert_int_equal(wick_sh_rank(&a, "delete qx_73.tmp", c, 1, 3, &world, WICK_SH_CHECK_ALL), 2);
    assert_string_equal(c[0].answer.cmd, "rm qx_73.tmp");
    assert_int_equal(c[0].doubts.n, 0);
    c[0] = (wick_sh_candidate){.answer = {.cmd = "rm b.tmp"}, .logprob = -0.5F, .votes = 1};
    assert_int_equal(wick_sh_rank(&a, "delete qx\x1b_73.tmp", c, 1, 3, &world, WICK_SH_CHECK_ALL), 2);
    assert_string_equal(c[0].answer.cmd, "rm 'qx\x1b_73.tmp'");
    c[0] = (wick_sh_candidate){.answer = {.cmd = "cat a.tmp b.tmp"}, .logprob = -0.5F, .votes = 1};
    assert_int_equal(wick_sh_rank(&a, "show qx.tmp", c, 1, 3, &world, WICK_SH_CHECK_ALL),
                     1); /* two come from nowhere */
    wick_arena_release(&a);
}

static bool accepts(wick_grammar *g, const char *text)
{
    wick_gmatcher *m = NULL;
    size_t n = 0;
    assert_int_equal(wick_gmatcher_new(&m, g, NULL, NULL), WICK_OK);
    assert_int_equal(wick_gmatcher_accept_bytes(m, text, strlen(text), &n, NULL), WICK_OK);
    bool ok = n == strlen(text) && wick_gmatcher_may_end(m);
    wick_gmatcher_free(m);
    return ok;
}

static void test_grammar(void **state)
{
    static const char *const good[] = {"ls",
                                       "ls -la | sort -k5 -n > out.txt",
                                       "grep 'a b' x 2>/dev/null || echo none",
                                       "echo \\\"$HOME/x y\\\" $(date +%F)",
                                       "find . -name '*.py' -exec wc -l {} \\\\;",
                                       "for f in *.txt; do mv \\\"$f\\\" \\\"${f%.txt}.md\\\"; done",
                                       "awk '{print $1}' f",
                                       "echo $((1 + (2 * 3)))",
                                       "diff <(ls a) <(ls b)",
                                       "(cd x && ls); true &",
                                       "printf '%s\\\\n' a",
                                       "grep foo$ f",
                                       "echo `date`",
                                       "sed \\\"s/a/b/\\\" f"};
    static const char *const bad[] = {"ls '",       "ls |",       "| ls",   "echo \\\"x", "echo $(ls", "ls > ",
                                      "ls && && x", "echo `date", "ls ) x", "a ; ; b",    ""};
    char text[256];
    wick_grammar *g = NULL;
    (void)state;
    const char *form = wick_sh_answer_grammar();
    assert_int_equal(wick_grammar_compile(&g, WICK_GRAMMAR_GBNF, form, strlen(form), NULL, NULL), WICK_OK);
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        snprintf(text, sizeof text, "{\"cmd\": \"%s\"}", good[k]);
        if (!accepts(g, text)) fail_msg("refused: %s", text);
    }
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        snprintf(text, sizeof text, "{\"cmd\": \"%s\"}", bad[k]);
        if (accepts(g, text)) fail_msg("accepted: %s", text);
    }
    assert_true(accepts(g, "{\"cmd\": \"\", \"refused\": \"it would destroy the disk\"}"));
    wick_grammar_unref(g);
}

static void test_shells(void **state)
{
    wick_arena a;
    (void)state;
    wick_arena_init(&a, 0);
    assert_null(wick_sh_beyond_posix(&a, "ls | sort > x"));
    assert_string_equal(wick_sh_beyond_posix(&a, "[[ -f x ]] && ls"), "[[ ]] or (( ))");
    assert_string_equal(wick_sh_beyond_posix(&a, "diff <(ls a) <(ls b)"), "<( )");
    assert_string_equal(wick_sh_for_shell(&a, "ls | sort && echo $HOME $(date)", WICK_SH_FISH),
                        "ls | sort && echo $HOME $(date)");
    assert_string_equal(wick_sh_for_shell(&a, "for f in *; do echo '$f'; done", WICK_SH_FISH),
                        "sh -c 'for f in *; do echo '\\''$f'\\''; done'");
    assert_string_equal(wick_sh_for_shell(&a, "echo ${x%y}", WICK_SH_FISH), "sh -c 'echo ${x%y}'");
    assert_string_equal(wick_sh_for_shell(&a, "for f in *; do ls; done", WICK_SH_BASH), "for f in *; do ls; done");
    assert_int_equal(wick_sh_shell_of("fish"), WICK_SH_FISH);
    assert_int_equal(wick_sh_shell_of(NULL), WICK_SH_POSIX);
    wick_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_options), cmocka_unit_test(test_doubts),
                                       cmocka_unit_test(test_rank),    cmocka_unit_test(test_repair),
                                       cmocka_unit_test(test_grammar), cmocka_unit_test(test_shells)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
