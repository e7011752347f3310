/* Chat templates: sources, special tokens, what probing finds, and how messages are adapted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "template/chat.h"

static const char chatml[] = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                             "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

static wick_chat_template *open_text(const char *src)
{
    wick_chat_template *t = NULL;
    wick_err err = {0};
    assert_int_equal(wick_chat_template_new(&t, src, strlen(src), "<s>", "</s>", "t", &err), WICK_OK);
    return t;
}

static void check(const char *src, const char *messages, const wick_chat_input *base, wick_status want_st,
                  const char *want)
{
    wick_chat_template *t = open_text(src);
    wick_chat_input in = *base;
    json_t *m = json_loads(messages, JSON_DECODE_ANY, NULL), *before = json_deep_copy(m);
    wick_buf out = WICK_BUF_INIT;
    wick_err err = {0};
    in.messages = m;
    assert_int_equal(wick_chat_render(t, &in, NULL, &out, &err), want_st);
    if (want_st == WICK_OK)
        assert_string_equal(wick_buf_str(&out), want);
    else
        assert_non_null(strstr(err.message, want));
    assert_true(json_equal(m, before));
    json_decref(m);
    json_decref(before);
    wick_buf_release(&out);
    wick_chat_template_free(t);
}

static void test_render(void **state)
{
    (void)state;
    const wick_chat_input plain = {0}, gen = {.add_generation_prompt = true}, cont = {.continue_final_message = true};
    const char *hi = "[{\"role\":\"user\",\"content\":\"hi\"}]";
    check(chatml, hi, &gen, WICK_OK, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    check("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", hi, &plain, WICK_OK, "<s>hi</s>");
    check("{{ tools is none }}{{ documents is none }}", hi, &plain, WICK_OK, "TrueTrue");
    check(chatml,
          "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]",
          &plain, WICK_OK, "<|im_start|>user\nab<|im_end|>\n");
    check("{% for p in messages[0].content %}{{ p.text }}{% endfor %}", hi, &plain, WICK_OK, "hi");
    check(chatml, "[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"so \"}]", &cont,
          WICK_OK, "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nso ");
    check("{% for m in messages %}{{ m.content|trim }};{% endfor %}", "[{\"role\":\"assistant\",\"content\":\"so \"}]",
          &cont, WICK_OK, "so");
    check(chatml, "{}", &plain, WICK_E_BAD_PARAMETER, "array");
    check(chatml, "[1]", &plain, WICK_E_BAD_PARAMETER, "messages[0]");
    check(chatml, "[]", &cont, WICK_E_BAD_PARAMETER, "continue");
    check("{{ raise_exception('roles!') }}", hi, &plain, WICK_E_TEMPLATE, "roles!");
    check("{{ messages[0].reasoning_content }}", "[{\"role\":\"a\",\"content\":\"\",\"reasoning\":\"r\"}]", &plain,
          WICK_OK, "r");
}

static void test_arguments(void **state)
{
    (void)state;
    const wick_chat_input plain = {0};
    static const char wants_object[] = "{% for m in messages %}{% for c in m.tool_calls or [] %}"
                                       "{% for k, v in c.function.arguments|items %}{{ k }}={{ v }}{% endfor %}"
                                       "{% endfor %}{% endfor %}";
    static const char wants_string[] = "{% for m in messages %}{% for c in m.tool_calls or [] %}"
                                       "{{ c.function.arguments }}{% endfor %}{% endfor %}";
    static const char takes_json[] = "{% for m in messages %}{% for c in m.tool_calls or [] %}"
                                     "{{ c.function.arguments|tojson }}{% endfor %}{% endfor %}";
    static const char str[] = "[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
                              "\"arguments\":\"{\\\"a\\\": 1}\"}}]}]";
    static const char obj[] = "[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
                              "\"arguments\":{\"a\": 1}}}]}]";
    check(wants_object, str, &plain, WICK_OK, "a=1");
    check(wants_object, obj, &plain, WICK_OK, "a=1");
    check(wants_string, str, &plain, WICK_OK, "{\"a\": 1}");
    check(wants_string, obj, &plain, WICK_OK, "{\"a\": 1}");
    check(takes_json, str, &plain, WICK_OK, "{\"a\": 1}");
    check(takes_json, obj, &plain, WICK_OK, "{\"a\": 1}");
}

static void test_traits(void **state)
{
    (void)state;
    wick_chat_template *t = open_text(chatml);
    assert_true(wick_chat_template_traits(t)->takes_system);
    assert_false(wick_chat_template_traits(t)->takes_tools);
    assert_null(wick_chat_template_traits(t)->think_open);
    wick_chat_template_free(t);
    t = open_text("{{ tools|tojson if tools }}{% for m in messages %}{% if m.role == 'system' %}"
                  "{{ raise_exception('no system') }}{% endif %}{{ m.content }}{% endfor %}"
                  "{% if add_generation_prompt %}<think>\n{% endif %}");
    assert_false(wick_chat_template_traits(t)->takes_system);
    assert_true(wick_chat_template_traits(t)->takes_tools);
    assert_true(wick_chat_template_traits(t)->generation_prompt_opens_think);
    assert_string_equal(wick_chat_template_traits(t)->think_close, "</think>");
    wick_chat_template_free(t);
}

static void put(const char *dir, const char *name, const char *text)
{
    char *path = wick_path_join(dir, name);
    assert_int_equal(wick_file_write(path, text, strlen(text), NULL), WICK_OK);
    wick_free(path);
}

static void test_folder(void **state)
{
    (void)state;
    char dir[] = "/tmp/wick_chat_XXXXXX";
    wick_chat_template *t = NULL;
    wick_err err = {0};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(wick_chat_template_open_dir(&t, dir, &err), WICK_OK);
    assert_null(t);
    put(dir, "tokenizer_config.json",
        "{\"bos_token\": {\"content\": \"<b>\"}, \"eos_token\": \"<e>\", \"chat_template\": "
        "[{\"name\": \"default\", \"template\": \"D{{ bos_token }}\"}, {\"name\": \"tool_use\", \"template\": "
        "\"T\"}]}");
    assert_int_equal(wick_chat_template_open_dir(&t, dir, &err), WICK_OK);
    json_t *messages = json_array(), *tools = json_pack("[{}]");
    wick_buf out = WICK_BUF_INIT;
    wick_chat_input in = {.messages = messages};
    assert_int_equal(wick_chat_render(t, &in, NULL, &out, &err), WICK_OK);
    in.tools = tools;
    assert_int_equal(wick_chat_render(t, &in, NULL, &out, &err), WICK_OK);
    assert_string_equal(wick_buf_str(&out), "D<b>T");
    wick_chat_template_free(t);
    put(dir, "chat_template.jinja", "J{{ eos_token }}");
    for (uint64_t n = 1;; n++) { /* and every allocation on the way may fail */
        t = NULL;
        wick_alloc_fail_at(n, n & 1);
        wick_status st = wick_chat_template_open_dir(&t, dir, &err);
        wick_alloc_fail_at(0, false);
        if (st == WICK_OK && t && strcmp(wick_chat_template_source(t), "J{{ eos_token }}") == 0 && n > 2000) break;
        wick_chat_template_free(t);
    }
    wick_buf_reset(&out);
    in.tools = NULL;
    assert_int_equal(wick_chat_render(t, &in, NULL, &out, &err), WICK_OK);
    assert_string_equal(wick_buf_str(&out), "J<e>");
    wick_chat_template_free(t);
    wick_buf_release(&out);
    json_decref(messages);
    json_decref(tools);
    for (const char *const *name = (const char *const[]){"chat_template.jinja", "tokenizer_config.json", NULL}; *name;
         name++) {
        char *path = wick_path_join(dir, *name);
        (void)unlink(path);
        wick_free(path);
    }
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_render), cmocka_unit_test(test_arguments),
                                       cmocka_unit_test(test_traits), cmocka_unit_test(test_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
