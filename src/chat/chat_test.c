/* Prompts of messages: sources of templates, what probing finds, normalising, and what is done for a template. */
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
#include "chat/message.h"
#include "chat/prompt.h"
#include "chat/source.h"

static const char chatml[] = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                             "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
/* Raises on a system message, and where roles do not alternate. */
static const char strict[] =
    "{% for m in messages %}{% if m.role not in ['user', 'assistant'] or (m.role == 'user') != (loop.index0 % 2 == 0) "
    "%}"
    "{{ raise_exception('no such order') }}{% endif %}<{{ m.role[0] }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}";
/* Shows tools, one call a message with an object, nine-character ids, results. */
static const char caller[] =
    "{{ tools | tojson if tools else '' }}{% for m in messages %}{% if m.tool_calls %}"
    "{% if m.tool_calls | length > 1 %}{{ raise_exception('one call') }}{% endif %}"
    "{% for c in m.tool_calls %}{% if c.id | length != 9 %}{{ raise_exception('id') }}{% endif %}"
    "[{{ c.function.name }}{% for k, v in c.function.arguments | items %} {{ k }}={{ v }}{% endfor %}]{% endfor %}"
    "{% elif m.role == 'tool' %}({{ m.name }}:{{ m.content }}){% else %}<{{ m.role[0] }}>{{ m.content }}{% endif %}"
    "{% endfor %}";

static wick_chat *open_chat(const char *src)
{
    wick_chat_template *t = NULL;
    wick_chat *c = NULL;
    wick_err err = {0};
    assert_int_equal(wick_chat_template_new(&t, src, strlen(src), "<s>", "</s>", "t", &err), WICK_OK);
    assert_int_equal(wick_chat_of_template(&c, t, NULL, &err), WICK_OK);
    return c;
}

static void check_with(const char *src, const char *messages, const char *tools, const wick_chat_request *base,
                       wick_status want_st, const char *want)
{
    wick_chat *c = open_chat(src);
    wick_chat_request in = *base;
    json_t *m = json_loads(messages, JSON_DECODE_ANY, NULL), *before = json_deep_copy(m);
    json_t *t = tools ? json_loads(tools, 0, NULL) : NULL;
    wick_chat_prompt out;
    wick_err err = {0};
    assert_non_null(m);
    in.messages = m;
    in.tools = t;
    in.no_ids = true;
    const wick_status st = wick_chat_prompt_build(c, &in, &out, &err);
    if (st != want_st) print_message("%s\n  %s\n", messages, err.message);
    assert_int_equal(st, want_st);
    if (want_st == WICK_OK)
        assert_string_equal(wick_buf_str(&out.text), want);
    else
        assert_non_null(strstr(err.message, want));
    assert_true(json_equal(m, before));
    json_decref(m);
    json_decref(before);
    json_decref(t);
    wick_chat_prompt_release(&out);
    wick_chat_close(c);
}

static void check(const char *src, const char *messages, const wick_chat_request *base, wick_status want_st,
                  const char *want)
{
    check_with(src, messages, NULL, base, want_st, want);
}

static const wick_chat_request plain = {.ending = WICK_CHAT_CLOSED}, gen = {0}, cont = {.ending = WICK_CHAT_CONTINUE};

static void test_render(void **state)
{
    (void)state;
    const char *hi = "[{\"role\":\"user\",\"content\":\"hi\"}]";
    check(chatml, hi, &gen, WICK_OK, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    check("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", hi, &plain, WICK_OK, "<s>hi</s>");
    check("{{ tools is none }}{{ documents is none }}", hi, &plain, WICK_OK, "TrueTrue");
    check(chatml,
          "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]",
          &plain, WICK_OK, "<|im_start|>user\na\nb<|im_end|>\n");
    check("{% for p in messages[0].content %}{{ p.text }}{% endfor %}", hi, &plain, WICK_OK, "hi");
    check(chatml, "[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"so \"}]", &cont,
          WICK_OK, "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nso ");
    check("{% for m in messages %}{{ m.content|trim }};{% endfor %}", "[{\"role\":\"assistant\",\"content\":\"so \"}]",
          &cont, WICK_OK, "so");
    check(chatml, "{}", &plain, WICK_E_BAD_PARAMETER, "array");
    check(chatml, "[1]", &plain, WICK_E_BAD_PARAMETER, "messages[0]");
    check(chatml, "[]", &cont, WICK_E_BAD_PARAMETER, "messages: is empty");
    check("{{ raise_exception('roles!') }}", hi, &plain, WICK_E_TEMPLATE, "roles!");
    check("{{ messages[0].reasoning_content }}", "[{\"role\":\"a\",\"content\":\"\",\"reasoning\":\"r\"}]", &plain,
          WICK_OK, "r");
}

static void test_arguments(void **state)
{
    (void)state;
    static const char wants_object[] =
        "{{ tools or '' }}{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
        "{% for k, v in c.function.arguments|items %}{{ k }}={{ v }}{% endfor %}"
        "{% endfor %}{% endfor %}";
    static const char wants_string[] =
        "{{ tools or '' }}{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
        "{{ c.function.arguments }}{% endfor %}{% endfor %}";
    static const char takes_json[] =
        "{{ tools or '' }}{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
        "{{ c.function.arguments|tojson }}{% endfor %}{% endfor %}";
    static const char str[] = "[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
                              "\"arguments\":\"{\\\"a\\\": 1}\"}}]}]";
    static const char obj[] = "[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
                              "\"arguments\":{\"a\": 1}}}]}]";
    check(wants_object, str, &plain, WICK_OK, "fa=1");
    check(wants_object, obj, &plain, WICK_OK, "fa=1");
    check(wants_string, str, &plain, WICK_OK, "f{\"a\": 1}");
    check(wants_string, obj, &plain, WICK_OK, "f{\"a\": 1}");
    check(takes_json, str, &plain, WICK_OK, "f{\"a\": 1}");
    check(takes_json, obj, &plain, WICK_OK, "f{\"a\": 1}");
}

static void test_caps(void **state)
{
    (void)state;
    wick_chat *c = open_chat(chatml);
    const wick_chat_caps *caps = wick_chat_get_caps(c);
    assert_true(caps->system && caps->several_systems && caps->late_system && !caps->developer);
    assert_false(caps->tools || caps->tool_calls || caps->alternates || caps->user_first || caps->documents);
    assert_int_equal(caps->strings, WICK_CHAT_ALL_ROLES);
    assert_int_equal(caps->parts, 0);
    assert_null(wick_chat_get_format(c)->think);
    assert_true(wick_chat_get_format(c)->describe);
    wick_chat_close(c);
    c = open_chat("{{ tools|tojson if tools }}{% for m in messages %}{% if m.role == 'system' %}"
                  "{{ raise_exception('no system') }}{% endif %}{{ m.content }}{% endfor %}"
                  "{% if add_generation_prompt and thinking %}<think>\n{% endif %}");
    caps = wick_chat_get_caps(c);
    assert_false(caps->system);
    assert_true(caps->tools && !wick_chat_get_format(c)->describe);
    assert_string_equal(caps->thinking_switch, "thinking");
    assert_string_equal(wick_think_close(wick_chat_get_format(c)->think), "</think>");
    wick_chat_close(c);
    c = open_chat(strict);
    caps = wick_chat_get_caps(c);
    assert_true(!caps->system && caps->alternates && caps->user_first && !caps->tool_results);
    wick_chat_close(c);
    c = open_chat(caller);
    caps = wick_chat_get_caps(c);
    assert_true(caps->tools && caps->tool_calls && caps->tool_results && !caps->parallel_calls && caps->nine_char_ids);
    assert_int_equal(caps->args, WICK_CHAT_ARGS_OBJECT);
    wick_chat_close(c);
}

#define U(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define S(text) "{\"role\":\"system\",\"content\":\"" text "\"}"
#define A(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"

static void test_order(void **state)
{
    (void)state;
    check(strict, "[" S("s") "," U("u") "]", &gen, WICK_OK, "<u>s\n\nu<a>");
    check(strict, "[" S("s") "," S("t") "," U("u") "," A("a") "," S("l") "," U("v") "]", &gen, WICK_OK,
          "<u>s\n\nt\n\nu<a>a<u>l\n\nv<a>");
    check(strict, "[" S("s") "]", &gen, WICK_OK, "<u>s<a>");
    check(strict, "[" U("u") "," U("v") "," A("a") "," A("b") "," U("w") "]", &gen, WICK_OK,
          "<u>u\n\nv<a>a\n\nb<u>w<a>");
    check(strict, "[" A("hi") "," U("u") "]", &gen, WICK_OK, "<u><a>hi<u>u<a>");
    check(strict, "[{\"role\":\"developer\",\"content\":[\"d\"]}," U("u") "]", &gen, WICK_OK, "<u>d\n\nu<a>");
    check(chatml, "[{\"role\":\"developer\",\"content\":\"d\"}," U("u") "]", &plain, WICK_OK,
          "<|im_start|>system\nd<|im_end|>\n<|im_start|>user\nu<|im_end|>\n");
}

#define CALL(id, name, args) \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"arguments\":" args "}}"
#define TWO                                                                       \
    "[" U("u") ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" CALL( \
        "call_1", "f", "\"{\\\"a\\\":1}\"") "," CALL("call_2", "g", "null") "]},"
#define RESULT(id, text) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" text "\"}"

static void test_calls(void **state)
{
    (void)state;
    const char *tools = "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true}}]";
    check_with(caller, TWO RESULT("call_2", "two") "," RESULT("call_1", "one") "]", tools, &plain, WICK_OK,
               "[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]<u>u[f a=1](f:one)[g](g:two)");
    check(caller, "[" U("u") ",{\"role\":\"assistant\",\"tool_calls\":[" CALL("x", "f", "\"{broken\"") "]}]", &plain,
          WICK_OK, "<u>u[f raw={broken]");
    check(caller, "[" U("u") ",{\"role\":\"assistant\",\"content\":\"b\",\"tool_calls\":[]}]", &plain, WICK_OK,
          "<u>u<a>b");
    check_with(chatml, TWO RESULT("call_1", "one") "," RESULT("call_2", "two") "]", NULL, &plain, WICK_OK,
               "<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{\"name\": \"f\", \"arguments\": "
               "{\"a\": 1}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call><|im_end|>\n"
               "<|im_start|>user\n<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response>"
               "<|im_end|>\n");
    /* a template without tools gets them described */
    wick_chat *c = open_chat(strict);
    json_t *m = json_loads("[" U("u") "]", 0, NULL), *t = json_loads(tools, 0, NULL);
    const wick_chat_request in = {.messages = m, .tools = t, .no_ids = true};
    wick_chat_prompt out;
    assert_int_equal(wick_chat_prompt_build(c, &in, &out, NULL), WICK_OK);
    assert_non_null(strstr(wick_buf_str(&out.text), "{\"name\":\"f\"}"));
    assert_non_null(strstr(wick_buf_str(&out.text), "</tool_call>\n\nu<a>"));
    wick_chat_prompt_release(&out);
    wick_chat_close(c);
    json_decref(m);
    json_decref(t);
}

static void test_shapes(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"[{\"content\":\"x\"}]", "messages[0].role: is missing"},
        {"[{\"role\":5,\"content\":\"x\"}]", "messages[0].role: must be a string, not"},
        {"[{\"role\":\"a<|b\",\"content\":\"x\"}]", "messages[0].role: must be"},
        {"[" U("x") ",{\"role\":\"user\"}]", "messages[1].content: is missing"},
        {"[{\"role\":\"user\",\"content\":5}]", "messages[0].content: must be"},
        {"[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "messages[0].content[0]: has no \"text\""},
        {"[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]",
         "messages[0].content[0]: this model takes text only"},
        {"[{\"role\":\"assistant\",\"tool_calls\":5}]", "messages[0].tool_calls: must be an array"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{}}]}]",
         "messages[0].tool_calls[0].function.name: is missing"},
        {"[{\"role\":\"tool\",\"tool_call_id\":5}]", "messages[0].tool_call_id: must be a string"},
        {"[{\"role\":\"assistant\",\"reasoning\":[]}]", "messages[0].reasoning: must be a string"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check(chatml, wrong[i][0], &plain, WICK_E_BAD_PARAMETER, wrong[i][1]);
    check_with(chatml, "[" U("x") "]", "[{\"type\":\"web_search\"}]", &plain, WICK_E_BAD_PARAMETER, "tools[0].type");
    check_with(chatml, "[" U("x") "]", "[{\"type\":\"function\"}]", &plain, WICK_E_BAD_PARAMETER, "tools[0].name");
    /* the canonical form is its own canonical form */
    json_t *m = json_loads(TWO RESULT("call_2", "two") ",{\"role\":\"function\",\"content\":{\"t\":1}}]", 0, NULL), *a,
           *b;
    assert_int_equal(wick_messages_normalise(m, &a, NULL), WICK_OK);
    assert_int_equal(wick_messages_normalise(a, &b, NULL), WICK_OK);
    assert_true(json_equal(a, b));
    assert_string_equal(json_string_value(json_object_get(json_array_get(a, 3), "tool_call_id")), "call_1");
    assert_string_equal(json_string_value(json_object_get(json_array_get(a, 3), "name")), "f");
    assert_string_equal(json_string_value(json_object_get(json_array_get(a, 3), "content")), "{\"t\": 1}");
    json_decref(m);
    json_decref(a);
    json_decref(b);
}

static void check_resume(const char *src, const char *messages, const char *want, size_t n_prefill, bool in_reasoning)
{
    wick_chat *c = open_chat(src);
    json_t *m = json_loads(messages, 0, NULL);
    const wick_chat_request in = {.messages = m, .ending = WICK_CHAT_PREFILL, .no_ids = true};
    wick_chat_prompt out;
    wick_err err = {0};
    assert_int_equal(wick_chat_prompt_build(c, &in, &out, &err), WICK_OK);
    assert_string_equal(wick_buf_str(&out.text), want);
    assert_int_equal(out.n_prefill, n_prefill);
    assert_int_equal(out.in_reasoning, in_reasoning);
    wick_chat_prompt_release(&out);
    wick_chat_close(c);
    json_decref(m);
}

static void test_resume(void **state)
{
    (void)state;
    static const char shows[] =
        "{% for m in messages %}<{{ m.role[0] }}>{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n"
        "</think>\n{% endif %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<a><think>\n{% endif %}";
    static const char drops[] =
        "{% for m in messages %}<{{ m.role[0] }}>{{ m.content.split('</think>')[-1] }}{% endfor %}"
        "{% if add_generation_prompt %}<a>{% endif %}";
    check_resume(chatml, "[" U("q") "," A("so ") "]", "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nso ", 3,
                 false);
    check_resume(shows, "[" U("q") "]", "<u>q<a><think>\n", 0, true);
    check_resume(shows, "[" U("q") "," A("so") "]", "<u>q<a>so", 2, false);
    check_resume(shows, "[" U("q") ",{\"role\":\"assistant\",\"reasoning_content\":\"hm \"}]", "<u>q<a><think>\nhm ", 3,
                 true);
    check_resume(chatml, "[" U("q") "," A("") "]", "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n", 0, false);
    check_resume(drops, "[" U("q") ",{\"role\":\"assistant\",\"reasoning\":\"hm\"}]", "<u>q<a><think>\nhm", 2, true);
}

static void test_thinking(void **state)
{
    (void)state;
    static const char sw[] =
        "{{ messages[0].content }}{% if enable_thinking is defined and not enable_thinking %}OFF{% endif %}";
    static const char effort[] = "{{ messages[0].content }}{{ reasoning_effort or 'medium' }}";
    static const char other[] = "{{ messages[0].content }}{% if thinking %}ON{% endif %}";
    json_t *off = json_pack("{s:b}", "enable_thinking", 0), *on = json_pack("{s:b}", "enable_thinking", 1);
    const wick_chat_request none = {.reasoning_effort = "none"}, low = {.reasoning_effort = "low"},
                            no = {.thinking = -1}, kw_off = {.vars = off}, kw_on = {.vars = on};
    const char *hi = "[" U("u") "]";
    check(sw, hi, &gen, WICK_OK, "u");
    check(sw, hi, &none, WICK_OK, "uOFF");
    check(sw, hi, &no, WICK_OK, "uOFF");
    check(sw, hi, &low, WICK_OK, "u");
    check(sw, hi, &kw_off, WICK_OK, "uOFF");
    check(effort, hi, &low, WICK_OK, "ulow");
    check(effort, hi, &no, WICK_OK, "umedium");
    check(other, hi, &gen, WICK_OK, "u");
    check(other, hi, &low, WICK_OK, "uON");
    check(other, hi, &kw_on, WICK_OK, "uON");
    check(chatml, hi, &none, WICK_OK, "<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n");
    json_decref(off);
    json_decref(on);
}

static void put(const char *dir, const char *name, const char *text)
{
    char *path = wick_path_join(dir, name);
    assert_int_equal(wick_file_write(path, text, strlen(text), NULL), WICK_OK);
    wick_free(path);
}

static void check_render(const wick_chat_template *t, const char *want, bool tools)
{
    json_t *vars = json_pack("{s:[], s:[]}", "messages", "tools");
    wick_buf out = WICK_BUF_INIT;
    if (tools) (void)json_array_append_new(json_object_get(vars, "tools"), json_object());
    assert_int_equal(wick_chat_template_render(t, vars, NULL, &out, NULL), WICK_OK);
    assert_string_equal(wick_buf_str(&out), want);
    wick_buf_release(&out);
    json_decref(vars);
}

/* The n-th allocation fails, for every n, while a chat is opened and a prompt is built. */
static void test_no_memory(void **state)
{
    (void)state;
    json_t *m = json_loads(TWO RESULT("call_2", "two") "," S("late") "]", 0, NULL);
    const wick_chat_request in = {.messages = m, .no_ids = true};
    bool built = false;
    for (uint64_t n = 1; n < 200000 && !built; n += 1 + n / 20) {
        wick_chat_template *t = NULL;
        wick_chat *c = NULL;
        wick_chat_prompt out;
        wick_alloc_fail_at(n, false);
        wick_status st = wick_chat_template_new(&t, caller, sizeof caller - 1, NULL, NULL, "t", NULL);
        if (st == WICK_OK) st = wick_chat_of_template(&c, t, NULL, NULL);
        if (st == WICK_OK) st = wick_chat_prompt_build(c, &in, &out, NULL);
        wick_alloc_fail_at(0, false);
        if (st == WICK_OK) wick_chat_prompt_release(&out);
        wick_chat_close(c);
        built = st == WICK_OK && n > 20000;
    }
    assert_true(built);
    json_decref(m);
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
    check_render(t, "D<b>", false);
    check_render(t, "T", true);
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
    check_render(t, "J<e>", false);
    wick_chat_template_free(t);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_render),    cmocka_unit_test(test_arguments),
                                       cmocka_unit_test(test_caps),      cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_calls),     cmocka_unit_test(test_shapes),
                                       cmocka_unit_test(test_resume),    cmocka_unit_test(test_thinking),
                                       cmocka_unit_test(test_no_memory), cmocka_unit_test(test_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
