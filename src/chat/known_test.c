/* chat/known_test.c - each template by name renders a conversation, and its own text leads back to its name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <jansson.h>
#include <cmocka.h>
#include "chat/known.h"
#include "chat/template.h"

static void render(const char *name, const char *want)
{
    wick_chat_template *t = NULL;
    wick_err err = {0};
    const char *text = wick_chat_known_template(name);
    assert_non_null(text);
    if (wick_chat_template_new(&t, text, strlen(text), "<s>", "</s>", name, &err) != WICK_OK)
        fail_msg("%s: %s", name, err.message);
    json_t *m =
        json_pack("[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}, {s:s, s:s}]", "role", "system", "content", "S", "role", "user",
                  "content", "U1", "role", "assistant", "content", "A1", "role", "user", "content", "U2");
    wick_buf out = WICK_BUF_INIT;
    json_t *vars = json_pack("{s:O, s:b}", "messages", m, "add_generation_prompt", 1);
    if (wick_chat_template_render(t, vars, NULL, &out, &err) != WICK_OK) fail_msg("%s: %s", name, err.message);
    if (want) assert_string_equal(wick_buf_str(&out), want);
    const char *s = strstr(wick_buf_str(&out), "S"), *u = strstr(wick_buf_str(&out), "U1"),
               *a = strstr(wick_buf_str(&out), "A1"), *last = strstr(wick_buf_str(&out), "U2");
    if (!s || !u || !a || !last || s > u || u > a || a > last) fail_msg("%s: %s", name, wick_buf_str(&out));
    json_decref(vars);
    json_decref(m);
    wick_buf_release(&out);
    wick_chat_template_free(t);
}

static void test_known(void **state)
{
    static const char *const names[] = {"llama3", "gemma",   "phi4",   "phi3",   "granite", "command-r",
                                        "llama2", "mistral", "zephyr", "vicuna", "alpaca"};
    char all[300];
    (void)state;
    render("chatml", "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_"
                     "end|>\n<|im_start|>user\nU2"
                     "<|im_end|>\n<|im_start|>assistant\n");
    render("mistral", "<s>[INST] S\n\nU1 [/INST] A1</s>[INST] U2 [/INST]");
    render("gemma3", "<s><start_of_turn>user\nS\n\nU1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n<start_of_"
                     "turn>user\nU2<end_of_turn>\n"
                     "<start_of_turn>model\n");
    wick_chat_known_names(all, sizeof all);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        render(names[i], NULL);
        assert_non_null(strstr(all, names[i]));
        const char *back = wick_chat_known_of_go(wick_chat_known_template(names[i]));
        if (strcmp(names[i], "zephyr") != 0) /* its text makes the tokens of the roles' names */
            assert_true(back && strcmp(back, names[i]) == 0);
    }
    assert_null(wick_chat_known_template("nothing"));
    assert_null(wick_chat_known_template(""));
    assert_null(wick_chat_known_template("|"));
    assert_string_equal(wick_chat_known_of_go("{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>{{ end }}"),
                        "chatml");
    assert_string_equal(wick_chat_known_of_go("<|user|>\n{{ .Prompt }}</s>\n<|assistant|>"), "zephyr");
    assert_null(wick_chat_known_of_go("{{ .Prompt }}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
