/* Where a chat template comes from: the model's folder, a text, a file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "chat/source.h"

static void write_text(const char *dir, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(wick_file_write(path, text, strlen(text), NULL), WICK_OK);
}

static void check_source(const wick_model *m, const char *override, const char *want)
{
    wick_chat_template *t = NULL;
    assert_int_equal(wick_chat_template_open_model(m, NULL, override, &t, NULL), WICK_OK);
    if (want)
        assert_string_equal(wick_chat_template_source(t), want);
    else
        assert_null(t);
    wick_chat_template_free(t);
}

static void takes_the_template_from(void **state)
{
    (void)state;
    char dir[] = "/tmp/wick_source_XXXXXX", path[128];
    assert_non_null(mkdtemp(dir));
    wick_model m = {.path = dir};
    wick_chat_template *t = NULL;
    wick_err err = {0};
    check_source(&m, NULL, NULL); /* the folder has none */
    check_source(&m, "{{ 'text' }}", "{{ 'text' }}");
    write_text(dir, "chat_template.jinja", "from the folder");
    check_source(&m, NULL, "from the folder");
    write_text(dir, "mine.txt", "from {{ 'a file' }}");
    snprintf(path, sizeof path, "%s/mine.txt", dir);
    check_source(&m, path, "from {{ 'a file' }}");
    assert_int_equal(wick_chat_template_open_model(&m, NULL, "{% broken", &t, &err), WICK_E_TEMPLATE);
    assert_null(strstr(err.message, dir));
    write_text(dir, "chat_template.jinja", "{% broken");
    assert_int_equal(wick_chat_template_open_model(&m, NULL, NULL, &t, &err), WICK_E_TEMPLATE);
    assert_null(strstr(err.message, dir)); /* clients see it */
    assert_int_equal(wick_chat_template_open_model(&m, NULL, "no/such.jinja", &t, &err), WICK_E_TEMPLATE);
    assert_non_null(strstr(err.message, "no such file"));
    assert_null(t);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/chat_template.jinja", dir);
    (void)unlink(path);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(takes_the_template_from)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
