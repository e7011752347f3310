/* shell/refine_test.c - later turns that change a command. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "shell/refine.h"

static void test_refine(void **state)
{
    static const struct {
        const char *cmd, *text, *out; /* NULL: no rule fits */
    } cases[] = {
        {"find . -type f -name '*.py'", "only the big ones", "find . -type f -name '*.py' -size +10M"},
        {"find . -type f -name '*.py'", "now delete them", "find . -type f -name '*.py' -delete"},
        {"find . -type f", "larger than 5 kb please", "find . -type f -size +5k"},
        {"find . -type f", "only those over 20MB", "find . -type f -size +20M"},
        {"find . -type f", "changed in the last 3 days", "find . -type f -mtime -3"},
        {"find . -type f", "copy them to backup", "find . -type f -exec cp {} backup ';'"},
        {"find . -type f", "how many are there", "find . -type f | wc -l"},
        {"ls", "only the first 5", "ls | head -n 5"},
        {"ls", "without tmp", "ls | grep -v tmp"},
        {"ls | sort", "save it to list.txt.", "ls | sort > list.txt"},
        {"cat a", "only lines containing error", "cat a | grep error"},
        {"cat a", "only lines containing $x", "cat a | grep '$x'"},
        {"cat /etc/shadow", "as root", "sudo cat /etc/shadow"},
        {"ls > x", "sort it", NULL},
        {"ls", "now delete them", NULL},
        {"find . -delete", "now delete them", NULL},
        {"ls; pwd", "count them", NULL},
        {"ls", "how many lines does f have", NULL}, /* a request of its own */
        {"find . -delete", "how many", NULL},
        {"ls", "frobnicate", NULL},
        {"ls", "", NULL},
        {"", "count them", NULL},
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        wick_arena a;
        wick_arena_init(&a, 0);
        const char *out = wick_sh_refine(&a, cases[k].cmd, cases[k].text);
        if (!out != !cases[k].out || (out && strcmp(out, cases[k].out) != 0))
            fail_msg("%s + %s: %s", cases[k].cmd, cases[k].text, out ? out : "(none)");
        wick_arena_release(&a);
    }
}

static void test_goes_on(void **state)
{
    (void)state;
    assert_true(wick_sh_goes_on("only the big ones"));
    assert_true(wick_sh_goes_on("now delete them"));
    assert_false(wick_sh_goes_on("list all files"));
    assert_false(wick_sh_goes_on(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refine), cmocka_unit_test(test_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
