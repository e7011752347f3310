/* cli/opt_test.c - the option parser on a command of its own: spellings, ranges, the environment, hostile arguments. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cli/opt.h"

#define AT(member) offsetof(wick_args, member)

static const wick_opt opts[] = {
    {"verbose", 'v', WICK_OPT_FLAG, NULL, "", AT(verbose), 0, 0, NULL, NULL, 0},
    {"quiet", 'q', WICK_OPT_FLAG, NULL, "", AT(quiet), 0, 0, NULL, NULL, 0},
    {"help", 'h', WICK_OPT_FLAG, NULL, "", AT(help), 0, 0, NULL, NULL, 0},
    {"max-tokens", 'n', WICK_OPT_U32, "N", "", AT(max_tokens), 0, 0, NULL, NULL, 0},
    {"temp", 't', WICK_OPT_F32, "T", "", AT(sampling.temperature), 0, 100, NULL, NULL, AT(given.temperature)},
    {"seed", 's', WICK_OPT_I64, "N", "", AT(sampling.seed), 0, 0, NULL, NULL, AT(given.seed)},
    {"precision", 0, WICK_OPT_STR, "P", "", AT(precision), 0, 0, "fast|fine|exact", "WICK_TEST_PRECISION", 0},
    {"file", 'f', WICK_OPT_STR, "FILE", "", AT(file), 0, 0, NULL, NULL, 0},
    {"memory-limit", 0, WICK_OPT_BYTES, "SIZE", "", AT(memory_limit), 0, 0, NULL, NULL, 0},
    {"stop", 0, WICK_OPT_LIST, "TEXT", "", AT(stop), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};
static const wick_command command = {
    .name = "try", .operands = "MODEL [PROMPT]", .min_operands = 1, .max_operands = 2, .group = {&group}};

enum { MAX_WORDS = 12 };

/* Parses the words up to the first NULL. */
static wick_status parse(const char *const *words, wick_args *a, wick_err *err)
{
    char *argv[MAX_WORDS];
    int argc = 0;
    while (argc < MAX_WORDS && words[argc]) {
        argv[argc] = (char *)(uintptr_t)words[argc];
        argc++;
    }
    memset(err, 0, sizeof *err);
    wick_args_init(a);
    return wick_opt_parse(&command, argc, argv, a, err);
}

static void test_spellings(void **state)
{
    static const char *const rows[][MAX_WORDS] = {
        {"m", "--max-tokens", "7", "-v", "-q"},
        {"m", "--max-tokens=7", "-vq"},
        {"-n", "7", "m", "--verbose", "--quiet"},
        {"-vqn", "7", "m"},
        {"-vqn7", "m"},
        {"-n7", "-qv", "--", "m"},
        {"--max-tokens", "3", "-n7", "-vv", "-q", "m"}, /* the last one counts */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wick_args a;
        wick_err err;
        assert_int_equal(parse(rows[i], &a, &err), WICK_OK);
        assert_int_equal(a.max_tokens, 7);
        assert_true(a.verbose && a.quiet && !a.help && !a.given.temperature);
        assert_int_equal(a.n_operands, 1);
        assert_string_equal(a.operand[0], "m");
        wick_args_release(&a);
    }
}

/* What users of other programs type: their names, models and prompts as options, options that do nothing here. */
static void test_habits(void **state)
{
    static const char *const rows[][MAX_WORDS] = {
        {"-m", "m", "-p", "text", "--temperature", "0.5", "--n-predict", "7"},
        {"--model=m", "--prompt=text", "--temperature=0.5", "--max_tokens=7"},
        {"-hf", "m", "text", "-ngl", "99", "--temp", "0.5", "-n", "7"},
        {"text", "-m", "m", "--flash-attn", "on", "--temp", "0.5", "--num_predict", "7", "--jinja"},
        {"-p", "text", "m", "--no-mmap", "--n-gpu-layers=99", "--temp", "0.5", "-n7"},
    };
    wick_args a;
    wick_err err;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (parse(rows[i], &a, &err) != WICK_OK) fail_msg("%zu: %s", i, err.message);
        assert_int_equal(a.n_operands, 2);
        assert_string_equal(a.operand[0], "m");
        assert_string_equal(a.operand[1], "text");
        assert_int_equal(a.max_tokens, 7);
        assert_float_equal(a.sampling.temperature, 0.5, 0);
        assert_int_equal(a.n_ignored, i < 2 ? 0 : i == 2 ? 1 : 2);
        wick_args_release(&a);
    }
    static const char *const unlimited[MAX_WORDS] = {"m", "-n", "-1"};
    assert_int_equal(parse(unlimited, &a, &err), WICK_OK);
    assert_int_equal(a.max_tokens, 0);
    wick_args_release(&a);
}

static void test_values(void **state)
{
    static const char *const words[MAX_WORDS] = {"m",      "-",  "--temp", "0.25",     "-s", "-5", "--memory-limit=2G",
                                                 "--stop", "--", "--stop", "--file=-f"};
    static const char *const empty[MAX_WORDS] = {"--", "--temp", "-x"};
    wick_args a;
    wick_err err;
    (void)state;
    assert_int_equal(parse(words, &a, &err), WICK_OK);
    assert_true(a.given.temperature && a.given.seed);
    assert_float_equal(a.sampling.temperature, 0.25, 0);
    assert_int_equal(a.sampling.seed, -5);
    assert_int_equal(a.memory_limit, (uint64_t)2 << 30);
    assert_string_equal(a.operand[1], "-");
    assert_int_equal(a.stop.n, 2); /* a value may look like an option */
    assert_string_equal(a.stop.item[0], "--");
    assert_string_equal(a.stop.item[1], "--file=-f");
    assert_null(a.file);
    wick_args_release(&a);
    assert_int_equal(parse(empty, &a, &err), WICK_OK); /* after -- all are operands */
    assert_int_equal(a.n_operands, 2);
    assert_string_equal(a.operand[1], "-x");
    wick_args_release(&a);
}

static void test_refused(void **state)
{
    static const struct {
        const char *words[MAX_WORDS];
        const char *says;
    } rows[] = {
        {{"m", "--tmp", "1"}, "did you mean --temp"},
        {{"m", "--max-token=1"}, "did you mean --max-tokens"},
        {{"m", "--q"}, "try --help"},
        {{"m", "-x"}, "unknown option -x"},
        {{"m", "-vx"}, "unknown option -vx"},
        {{"m", "--verbose=yes"}, "takes no value"},
        {{"m", "--=3"}, "unknown option"},
        {{"m", "---"}, "unknown option"},
        {{"m", "--temp"}, "needs a value"},
        {{"m", "-vt"}, "needs a value"},
        {{"m", "--temp", "hot"}, "must be a number"},
        {{"m", "--temp", "nan"}, "must be a number"},
        {{"m", "--temp", "inf"}, "must be a number"},
        {{"m", "--temp", ""}, "must be a number"},
        {{"m", "--temp", "100.5"}, "from 0 to 100"},
        {{"m", "-n", "-3"}, "whole number from 0 to 4294967295"},
        {{"m", "-n", "4294967296"}, "whole number"},
        {{"m", "-m", "other", "--model", "third"}, "given twice"},
        {{"m", "t", "-p", "other"}, "too many"},
        {{"m", "-T", "1"}, "did you mean -t?"},
        {{"m", "--port", "1"}, "wick serve has it"},
        {{"m", "--temperature"}, "needs a value"},
        {{"m", "-n", "18446744073709551617"}, "whole number"},
        {{"m", "-n", "7 "}, "whole number"},
        {{"m", "-s", "9223372036854775808"}, "whole number"},
        {{"m", "--precision", "exac"}, "fast|fine|exact"},
        {{"m", "--precision", ""}, "fast|fine|exact"},
        {{"m", "--precision", "fast|fine"}, "fast|fine|exact"},
        {{"m", "--memory-limit", "1Z"}, "512M"},
        {{"m", "a", "b"}, "too many arguments"},
        {{"-v"}, "usage: wick try MODEL [PROMPT]"},
        {{NULL}, "usage: wick try MODEL [PROMPT]"},
        {{"m", "--te\x1b[31mp"}, "\\x1b[31m"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wick_args a;
        wick_err err;
        assert_int_equal(parse(rows[i].words, &a, &err), WICK_E_BAD_PARAMETER);
        if (!strstr(err.message, rows[i].says)) fail_msg("row %zu: %s", i, err.message);
        assert_null(strpbrk(err.message, "\n\x1b"));
        wick_args_release(&a);
    }
}

static void test_help_needs_no_operand(void **state)
{
    static const char *const words[MAX_WORDS] = {"-h"};
    wick_args a;
    wick_err err;
    (void)state;
    assert_int_equal(parse(words, &a, &err), WICK_OK);
    assert_true(a.help);
    wick_args_release(&a);
}

static void test_environment(void **state)
{
    static const char *const none[MAX_WORDS] = {"m"}, *const given[MAX_WORDS] = {"m", "--precision", "fine"};
    wick_args a;
    wick_err err;
    (void)state;
    setenv("WICK_TEST_PRECISION", "exact", 1);
    assert_int_equal(parse(none, &a, &err), WICK_OK);
    assert_string_equal(a.precision, "exact");
    wick_args_release(&a);
    assert_int_equal(parse(given, &a, &err), WICK_OK); /* the command line wins */
    assert_string_equal(a.precision, "fine");
    wick_args_release(&a);
    setenv("WICK_TEST_PRECISION", "no", 1);
    assert_int_equal(parse(none, &a, &err), WICK_E_BAD_PARAMETER);
    assert_non_null(strstr(err.message, "WICK_TEST_PRECISION"));
    wick_args_release(&a);
    setenv("WICK_TEST_PRECISION", "", 1); /* empty counts as unset */
    assert_int_equal(parse(none, &a, &err), WICK_OK);
    assert_null(a.precision);
    wick_args_release(&a);
    unsetenv("WICK_TEST_PRECISION");
}

/* The tables of all commands: names are unique, helped and typed; a field is written in its own type. */
static void test_tables(void **state)
{
    (void)state;
    for (size_t i = 0; wick_commands[i]; i++) {
        const wick_command *c = wick_commands[i];
        bool letter[256] = {0};
        assert_ptr_equal(wick_command_find(c->name), c);
        assert_true(c->summary && *c->summary && c->run && c->operands && c->max_operands >= c->min_operands);
        for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
            for (size_t j = 0; j < c->group[g]->n; j++) {
                const wick_opt *o = &c->group[g]->opt[j];
                assert_true(*o->help && o->offset < sizeof(wick_args) && o->lo <= o->hi);
                assert_true((o->kind == WICK_OPT_FLAG) == (o->arg == NULL));
                assert_true(!o->letter || !letter[(unsigned char)o->letter]);
                letter[(unsigned char)o->letter] = o->letter != 0;
                for (size_t h = 0; h <= g; h++)
                    for (size_t k = 0; k < (h == g ? j : c->group[h]->n); k++)
                        if (strcmp(c->group[h]->opt[k].name, o->name) == 0) fail_msg("%s --%s twice", c->name, o->name);
            }
    }
    assert_null(wick_command_find("nothing"));
    assert_string_equal(wick_command_nearest("rnu"), "run");
    assert_string_equal(wick_command_nearest("tokenise"), "tokenize");
    assert_null(wick_command_nearest(""));
    assert_null(wick_command_nearest("xyzzyxyzzy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_habits),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_help_needs_no_operand),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
