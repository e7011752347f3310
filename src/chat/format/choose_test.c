/* Which syntax a template teaches: templates that render as the families do, each with its own way to write calls. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "chat/answer.h"
#include "template/jinja.h"

#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
#define DS_USER "<" BAR "User" BAR ">"
#define DS_BOT "<" BAR "Assistant" BAR ">"
#define DS_CALLS "<" BAR "tool" GAP "calls" GAP "begin" BAR ">"
#define DS_CALL "<" BAR "tool" GAP "call" GAP "begin" BAR ">"
#define DS_CALL_END "<" BAR "tool" GAP "call" GAP "end" BAR ">"
#define DS_SEP "<" BAR "tool" GAP "sep" BAR ">"
/* DeepSeek's turns: what stands before an answer's text, a call t, and the end of the generation prompt. */
#define DS_TURNS(before, call, prompt)                                                                   \
    "{% for m in messages %}{% if m.role == 'user' %}" DS_USER "{{ m.content }}{% else %}" DS_BOT before \
    "{{ m.content }}{% for t in m.tool_calls or [] %}{% if loop.first %}" DS_CALLS                       \
    "{% endif %}" DS_CALL call DS_CALL_END                                                               \
    "{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}" DS_BOT prompt "{% endif %}"
#define DS_V3_CALL "{{ t.type }}" DS_SEP "{{ t.function.name }}\n```json\n{{ t.function.arguments }}\n```"
#define DS_V31_CALL "{{ t.function.name }}" DS_SEP "{{ t.function.arguments }}"
#define DS_V31_TURNS DS_TURNS("</think>", DS_V31_CALL, "{{ '<think>' if thinking else '</think>' }}")
#define TOOLS "{% if tools %}Tools: {{ tools | tojson }}\n{% endif %}"
#define CHATML(call)                                                                                                   \
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}{% for m in messages %}<|im_start|>" \
    "{{ m.role }}\n{{ m.content }}{% for t in m.tool_calls or [] %}{% set f = t.function %}" call                      \
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
#define PARAMS(open, mid, close) \
    "{% for k, v in f.arguments | items %}" open "{{ k }}" mid "{{ v }}" close "{% endfor %}"

static const struct {
    const char *family, *calls, *think, *template;
    bool describe, string_arguments;
} cases[] = {
    {"Qwen 2.5", "hermes", NULL,
     CHATML("\n<tool_call>\n{\"name\": \"{{ f.name }}\", \"arguments\": {{ f.arguments | tojson }}}\n</tool_call>"), 0,
     0},
    {"Qwen3-Coder", "qwen3-coder", NULL,
     CHATML("\n<tool_call>\n<function={{ f.name }}>\n" PARAMS("<parameter=", ">\n",
                                                              "\n</parameter>\n") "</function>\n</tool_call>"),
     0, 0},
    {"GLM 4.5", "glm4", "think",
     "[gMASK]<sop>" TOOLS
     "{% for m in messages %}<|{{ m.role }}|>\n{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>\n"
     "{% endif %}{{ m.content }}{% for t in m.tool_calls or [] %}{% set f = t.function %}\n<tool_call>{{ f.name "
     "}}\n" PARAMS(
         "<arg_key>", "</arg_key>\n<arg_value>",
         "</arg_value>\n") "</tool_call>{% endfor %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
     0, 0},
    {"Llama 3.1", "llama", NULL,
     TOOLS
     "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{% if m.tool_calls %}{\"name\": \""
     "{{ m.tool_calls[0].function.name }}\", \"parameters\": {{ m.tool_calls[0].function.arguments | tojson }}}"
     "{% else %}{{ m.content }}{% endif %}<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
     "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
     0, 0},
    {"Llama 4", "llama-pythonic", NULL,
     TOOLS "{% for m in messages %}<|header_start|>{{ m.role }}<|header_end|>\n\n{% if m.tool_calls %}[{% for t in "
           "m.tool_calls %}"
           "{{ t.function.name }}({% for k, v in t.function.arguments | items %}{{ k }}={{ v | tojson }}{% endfor %})"
           "{% endfor %}]{% else %}{{ m.content }}{% endif %}<|eot|>{% endfor %}{% if add_generation_prompt %}"
           "<|header_start|>assistant<|header_end|>\n\n{% endif %}",
     0, 0},
    {"Mistral Nemo", "mistral", NULL,
     "<s>{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}{% for m in messages %}{% if "
     "m.role == 'user' %}"
     "[INST]{{ m.content }}[/INST]{% elif m.tool_calls %}[TOOL_CALLS][{% for t in m.tool_calls %}{\"name\": \"{{ "
     "t.function.name }}\", "
     "\"arguments\": {{ t.function.arguments | tojson }}, \"id\": \"{{ t.id }}\"}{% endfor %}]</s>{% else %}{{ "
     "m.content }}</s>"
     "{% endif %}{% endfor %}",
     0, 0},
    {"Ministral 3", "mistral-args", "mistral",
     "<s>[SYSTEM_PROMPT]First think: [THINK]draft[/THINK]answer[/SYSTEM_PROMPT]{% if tools %}[AVAILABLE_TOOLS]{{ tools "
     "| tojson }}"
     "[/AVAILABLE_TOOLS]{% endif %}{% for m in messages %}{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]{% else "
     "%}{{ m.content }}"
     "{% for t in m.tool_calls or [] %}[TOOL_CALLS]{{ t.function.name }}[ARGS]{{ t.function.arguments | tojson }}{% "
     "endfor %}</s>"
     "{% endif %}{% endfor %}",
     0, 0},
    {"DeepSeek V3", "deepseek", NULL, TOOLS DS_TURNS("", DS_V3_CALL, ""), 0, 1},
    {"DeepSeek V3.1", "deepseek-v3.1", "think", TOOLS DS_V31_TURNS, 0, 1},
    {"DeepSeek V3.1, which ignores tools", "deepseek-v3.1", "think", DS_V31_TURNS, 1, 1},
    {"gpt-oss", "harmony", "harmony",
     "{% if tools %}<|start|>developer<|message|>{{ tools | tojson }}<|end|>{% endif %}{% for m in messages %}{% if "
     "m.tool_calls %}"
     "{% if m.thinking %}<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>{% endif "
     "%}<|start|>assistant "
     "to=functions.{{ m.tool_calls[0].function.name }}<|channel|>commentary json<|message|>{{ "
     "m.tool_calls[0].function.arguments | tojson }}"
     "<|call|>{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}{% if "
     "add_generation_prompt %}"
     "<|start|>assistant{% endif %}",
     0, 0},
    {"Phi 4", "hermes", NULL,
     "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt "
     "%}<|assistant|>{% endif %}",
     1, 0},
    {"Phi 4 mini", "functools", NULL,
     TOOLS "{% for m in messages %}<|{{ m.role }}|>{% if m.tool_calls %}functools[{% for t in m.tool_calls "
           "%}{\"name\": \"{{ t.function.name }}\", "
           "\"arguments\": {{ t.function.arguments | tojson }}}{% endfor %}]{% else %}{{ m.content }}{% endif "
           "%}<|end|>{% endfor %}"
           "{% if add_generation_prompt %}<|assistant|>{% endif %}",
     0, 0},
    {"Gemma 4", "gemma4", "gemma4",
     TOOLS
     "{% macro strip(c) %}{{ c.split('<channel|>')[-1] }}{% endmacro %}{% for m in messages %}<|turn>{{ m.role "
     "}}\n{% if m.role == 'user' %}"
     "{{ m.content }}{% else %}{{ strip(m.content) }}{% endif %}{% for t in m.tool_calls or [] "
     "%}<|tool_call>call:{{ t.function.name }}{{ '{' }}"
     "{% for k, v in t.function.arguments | items %}{{ k }}:<|\"|>{{ v }}<|\"|>{% endfor %}{{ '}' }}<tool_call|>{% "
     "endfor %}<turn|>\n"
     "{% endfor %}{% if add_generation_prompt %}<|turn>model\n{% endif %}",
     0, 0},
    {"Gemma 2", "hermes", NULL,
     "{% if tools %}{{ raise_exception('no tools') }}{% endif %}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ "
     "m.content }}<end_of_turn>\n"
     "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
     1, 0},
    {"Granite 3.3", "granite3", "granite",
     "{% if tools %}<|start_of_role|>tools<|end_of_role|>{{ tools | tojson }}<|end_of_text|>\n{% endif %}{% if "
     "thinking %}Write your thoughts "
     "between <think></think> and your response between <response></response>.{% endif %}{% for m in messages "
     "%}<|start_of_role|>{{ m.role }}"
     "<|end_of_role|>{{ m.content }}{% for t in m.tool_calls or [] %}<|tool_call|>[{\"name\": \"{{ t.function.name "
     "}}\", \"arguments\": "
     "{{ t.function.arguments | tojson }}}]{% endfor %}<|end_of_text|>\n{% endfor %}{% if add_generation_prompt "
     "%}<|start_of_role|>assistant"
     "<|end_of_role|>{% endif %}",
     0, 0},
    {"Kimi K2", "kimi-k2", NULL,
     CHATML("<|tool_calls_section_begin|><|tool_call_begin|>functions.{{ f.name }}:0<|tool_call_argument_begin|>{{ "
            "f.arguments | tojson }}"
            "<|tool_call_end|><|tool_calls_section_end|>"),
     0, 0},
    {"Kimi K3", "kimi-k3", "kimi-k3",
     TOOLS "{% for m in messages %}<|open|>message role=\"{{ m.role }}\"<|sep|>{% if m.reasoning_content "
           "%}<|open|>think<|sep|>"
           "{{ m.reasoning_content }}<|close|>think<|sep|>{% endif %}<|open|>response<|sep|>{{ m.content "
           "}}<|close|>response<|sep|>"
           "{% if m.tool_calls %}<|open|>tools<|sep|>{% for t in m.tool_calls %}{% set f = t.function %}<|open|>call "
           "tool=\"{{ t.function.name "
           "}}\" index=\"{{ loop.index0 }}\""
           "<|sep|>" PARAMS(
               "<|open|>argument key=\"", "\" type=\"string\"<|sep|>",
               "<|close|>argument<|sep|>") "<|close|>call<|sep|>{% endfor %}"
                                           "<|close|>tools<|sep|>{% endif %}<|close|>message<|sep|><|end_of_msg|>{% "
                                           "endfor %}{% if add_generation_prompt %}<|open|>message "
                                           "role=\"assistant\"<|sep|><|open|>think<|sep|>{% endif %}",
     0, 0},
    {"MiniMax M2", "minimax-m2", "think",
     CHATML("\n<minimax:tool_call>\n<invoke name=\"{{ f.name }}\">\n" PARAMS(
         "<parameter name=\"", "\">",
         "</parameter>\n") "</invoke>\n"
                           "</minimax:tool_call>") "{% if add_generation_prompt %}<think>\n{% endif %}",
     0, 0},
    {"MiniMax M3", "minimax-m3", NULL,
     CHATML("]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name=\"{{ f.name }}\">"
            "{% for k, v in f.arguments | items %}]<]minimax[>[<{{ k }}>{{ v }}]<]minimax[>[</{{ k }}>{% endfor "
            "%}]<]minimax[>[</invoke>\n"
            "]<]minimax[>[</tool_call>"),
     0, 0},
    {"MiniCPM5", "minicpm5", NULL,
     CHATML("<function name=\"{{ f.name }}\">" PARAMS("<param name=\"", "\">", "</param>") "</function>"), 0, 0},
    {"functionary v3.1", "functionary-v3.1", NULL,
     CHATML("<function={{ f.name }}>{{ f.arguments | tojson }}</function>"), 0, 0},
    {"functionary v3.2", "functionary", NULL,
     TOOLS "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{% if m.role == 'assistant' "
           "%}{% if m.content %}>>>all\n"
           "{{ m.content }}{% endif %}{% for t in m.tool_calls or [] %}>>>{{ t.function.name }}\n{{ "
           "t.function.arguments | tojson }}{% endfor %}"
           "{% else %}{{ m.content }}{% endif %}<|eot_id|>{% endfor %}{% if add_generation_prompt "
           "%}<|start_header_id|>assistant<|end_header_id|>"
           "\n\n>>>{% endif %}",
     0, 0},
    {"Command A", "command-r7b", "cohere",
     TOOLS "{% for m in messages %}<|START_OF_TURN_TOKEN|>{{ m.role }}{% if m.tool_calls %}<|START_THINKING|>{{ "
           "m.reasoning_content }}"
           "<|END_THINKING|><|START_ACTION|>[\n{% for t in m.tool_calls %}    {\"tool_call_id\": \"0\", \"tool_name\": "
           "\"{{ t.function.name }}\", "
           "\"parameters\": {{ t.function.arguments | tojson }}}\n{% endfor %}]<|END_ACTION|>{% else %}{{ m.content "
           "}}{% endif %}"
           "<|END_OF_TURN_TOKEN|>{% endfor %}{% if add_generation_prompt %}<|START_OF_TURN_TOKEN|>assistant{% endif %}",
     0, 0},
    {"Command R", "command-r", NULL,
     TOOLS
     "{% for m in messages %}{{ m.role }}: {% if m.tool_calls %}Action:\n```json\n[\n{% for t in m.tool_calls %}  "
     "  {\n        "
     "\"tool_name\": \"{{ t.function.name }}\",\n        \"parameters\": {{ t.function.arguments | tojson }}\n   "
     " }{% endfor %}\n]```"
     "{% else %}{{ m.content }}{% endif %}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
     0, 0},
    {"Hunyuan", "hunyuan", "hunyuan",
     TOOLS "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}{% if m.tool_calls "
           "%}<tool_calls>[{\"name\": \""
           "{{ m.tool_calls[0].function.name }}\", \"arguments\": {{ m.tool_calls[0].function.arguments | tojson "
           "}}}]</tool_calls>{% else %}"
           "<answer>\n{{ m.content.split('</think>')[-1] }}\n</answer>{% endif %}{% else %}{{ m.content }}{% endif "
           "%}{% endfor %}"
           "{% if add_generation_prompt %}<|assistant|>{% endif %}",
     0, 0},
    {"Apertus", "apertus", NULL,
     CHATML("<|tools_prefix|>[{\"{{ f.name }}\": {{ f.arguments | tojson }}}]<|tools_suffix|>"), 0, 0},
    {"Olmo 3", "olmo3", NULL,
     CHATML("<function_calls>{{ f.name }}({% for k, v in f.arguments | items %}{{ k }}={{ v | tojson }}{% endfor "
            "%})</function_calls>"),
     0, 0},
    {"GigaChat 3", "gigachat3", NULL,
     TOOLS "{% for m in messages %}{{ m.role }}<|role_sep|>\n{{ m.content }}{% for t in m.tool_calls or [] "
           "%}<|message_sep|>\n\nfunction call"
           "<|role_sep|>\n{\"name\": \"{{ t.function.name }}\", \"arguments\": {{ t.function.arguments | tojson }}}{% "
           "endfor %}"
           "<|message_sep|>\n\n{% endfor %}{% if add_generation_prompt %}assistant<|role_sep|>\n{% endif %}",
     0, 0},
    {"SmolLM3 (calls are told, never rendered)", "hermes", "think",
     "<|im_start|>system\n{% if tools %}{{ tools | tojson }} Answer with <tool_call>{\"name\": ...}</tool_call>.{% "
     "endif %}<|im_end|>\n"
     "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if "
     "add_generation_prompt %}<|im_start|>"
     "assistant\n{{ '<think>\n\n</think>\n' if not enable_thinking }}{% endif %}",
     0, 0},
    {"told with parameters", "qwen3-coder", NULL,
     "{% if tools %}{{ tools | tojson }} Answer with "
     "<tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>."
     "{% endif %}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
     0, 0},
    {"DeepSeek R1", "hermes", "think",
     "{% for m in messages %}{% if m.role == 'user' %}" DS_USER "{{ m.content }}{% else %}" DS_BOT
     "{{ m.content.split('</think>')[-1] }}{% endif %}{% endfor %}{% if add_generation_prompt %}" DS_BOT
     "<think>\n{% endif %}",
     1, 0},
};

typedef struct model {
    wick_jinja *t;
    bool string_arguments;
} model;

static bool render(void *user, const json_t *messages, const json_t *tools, const json_t *vars, bool generation_prompt,
                   wick_buf *out)
{
    const model *m = user;
    json_t *all = json_copy((json_t *)(uintptr_t)vars), *list = json_deep_copy(messages);
    size_t i, k;
    json_t *msg, *call;
    json_array_foreach(list, i, msg) json_array_foreach(json_object_get(msg, "tool_calls"), k, call)
    {
        json_t *f = json_object_get(call, "function");
        char *text = json_dumps(json_object_get(f, "arguments"), 0);
        if (m->string_arguments) json_object_set_new(f, "arguments", json_string(text));
        free(text);
    }
    json_object_set_new(all, "messages", list);
    json_object_set_new(all, "tools", tools ? json_incref((json_t *)(uintptr_t)tools) : json_null());
    json_object_set_new(all, "add_generation_prompt", json_boolean(generation_prompt));
    const bool ok = wick_jinja_render(m->t, all, NULL, out, NULL) == WICK_OK;
    json_decref(all);
    return ok;
}

static void test_families(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model m = {.string_arguments = cases[i].string_arguments};
        wick_chat_format f;
        wick_err err = {0};
        const wick_status st = wick_jinja_compile(&m.t, cases[i].template, strlen(cases[i].template), "test", &err);
        if (st != WICK_OK) print_error("%s: %s\n", cases[i].family, err.message);
        assert_int_equal(st, WICK_OK);
        assert_int_equal(wick_chat_format_choose(&f, render, &m, NULL), WICK_OK);
        assert_non_null(f.calls);
        const char *think = f.think ? wick_think_syntax_name(f.think) : "none";
        const char *want = cases[i].think ? cases[i].think : "none";
        if (strcmp(wick_call_syntax_name(f.calls), cases[i].calls) != 0 || strcmp(think, want) != 0 ||
            f.describe != cases[i].describe)
            print_error("%s: %s, %s%s\n", cases[i].family, wick_call_syntax_name(f.calls), think,
                        f.describe ? ", described" : "");
        assert_string_equal(wick_call_syntax_name(f.calls), cases[i].calls);
        assert_string_equal(think, want);
        assert_int_equal(f.describe, cases[i].describe);
        wick_jinja_free(m.t);
    }
}

/* A template that fails on everything teaches nothing; one that shows tools and no call is guessed. */
static void test_edges(void **state)
{
    (void)state;
    static const char broken[] = "{{ raise_exception('no') }}";
    static const char silent[] =
        "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}";
    model m = {0};
    wick_chat_format f;
    assert_int_equal(wick_jinja_compile(&m.t, broken, sizeof broken - 1, "test", NULL), WICK_OK);
    assert_int_equal(wick_chat_format_choose(&f, render, &m, NULL), WICK_OK);
    assert_true(!f.calls && !f.think && !f.describe);
    wick_jinja_free(m.t);
    assert_int_equal(wick_jinja_compile(&m.t, silent, sizeof silent - 1, "test", NULL), WICK_OK);
    assert_int_equal(wick_chat_format_choose(&f, render, &m, NULL), WICK_OK);
    assert_string_equal(wick_call_syntax_name(f.calls), "hermes");
    assert_true(f.guessed && !f.describe);
    wick_chat_format_complete(&f, NULL);
    assert_true(f.guessed);
    wick_jinja_free(m.t);
}

/* Where no render shows a call: a marker that is a token of the vocabulary tells. */
static void test_vocabulary(void **state)
{
    (void)state;
    static const char json[] =
        "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":1,\"content\":\"<|tool_call_start|>\",\"special\":true},{"
        "\"id\":2,"
        "\"content\":\"<think>\",\"special\":false}],\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
    wick_tokenizer *t;
    wick_chat_format f = {.calls = wick_call_syntax_by_name("hermes"), .guessed = true};
    assert_int_equal(wick_tokenizer_from_json(&t, json, sizeof json - 1, "test", NULL), WICK_OK);
    wick_chat_format_complete(&f, t);
    assert_string_equal(wick_call_syntax_name(f.calls), "lfm2");
    assert_string_equal(wick_think_syntax_name(f.think), "think");
    assert_false(f.guessed);
    f = (wick_chat_format){.calls = wick_call_syntax_by_name("hermes"), .describe = true};
    wick_chat_format_complete(&f, t);
    assert_string_equal(wick_call_syntax_name(f.calls), "hermes");
    assert_false(wick_chat_format_needs_special(&f, t, true));
    f.calls = wick_call_syntax_by_name("lfm2");
    assert_true(wick_chat_format_needs_special(&f, t, true));
    assert_false(wick_chat_format_needs_special(&f, t, false));
    wick_tokenizer_free(t);
}

static void test_describe(void **state)
{
    (void)state;
    wick_buf b = WICK_BUF_INIT;
    json_t *tools =
        json_pack("[{s:s, s:{s:s, s:s}}]", "type", "function", "function", "name", "f", "description", "does");
    assert_int_equal(wick_call_describe(wick_call_syntax_by_name("hermes"), tools, &b, NULL), WICK_OK);
    assert_non_null(strstr(b.data, "{\"name\":\"f\",\"description\":\"does\"}"));
    assert_non_null(strstr(b.data, "<tool_call>\n{\"name\": "));
    json_decref(tools);
    wick_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_vocabulary),
        cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
