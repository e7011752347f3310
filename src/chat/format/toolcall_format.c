/* chat/format/toolcall_format.c - the syntaxes, as data: what opens and closes them, what is written inside, and what in a
 * template's source gives them away. The first row that fits a source is taken, so special rows come before general. */
#include "chat/format/toolcall_impl.h"

/* The marks of DeepSeek's tokens: a fullwidth bar, and a block for the space. */
#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
#define DSML BAR "DSML" BAR

static const wick_tc_xml function_xml = {.open = "<function=",
                                         .name_end = ">",
                                         .close = "</function>",
                                         .param_open = "<parameter=",
                                         .param_name_end = ">",
                                         .param_close = {"</parameter>"}};
static const wick_tc_xml invoke_xml = {.open = "<invoke name=\"",
                                       .name_end = "\">",
                                       .close = "</invoke>",
                                       .param_open = "<parameter name=\"",
                                       .param_name_end = "\">",
                                       .param_close = {"</parameter>"}};
static const wick_tc_xml dsml_xml = {.open = "<" DSML "invoke name=\"",
                                     .name_end = "\">",
                                     .close = "</" DSML "invoke>",
                                     .param_open = "<" DSML "parameter name=\"",
                                     .param_name_end = "\"",
                                     .param_close = {"</" DSML "parameter>"},
                                     .typed = true};

static const wick_toolcall_format formats[] = {
    {.name = "hermes", .open = {{"<tool_call>"}}, .close = {"</tool_call>"}, .body = WICK_TC_JSON},
    {.name = "deepseek-dsml",
     .needles = {DSML},
     .or_needle = "DSML",
     .open = {{"<" DSML "function_calls>"}, {"<" DSML "tool_calls>"}},
     .close = {"</" DSML "function_calls>", "</" DSML "tool_calls>"},
     .body = WICK_TC_XML,
     .xml = &dsml_xml},
    {.name = "deepseek",
     .needles = {"<" BAR "tool" GAP "calls" GAP "begin" BAR ">"},
     .or_needle = "<" BAR "tool" GAP "call" GAP "begin" BAR ">",
     .open = {{"<" BAR "tool" GAP "calls" GAP "begin" BAR ">"},
              {"<" BAR "tool" GAP "call" GAP "begin" BAR ">", .keep = true}},
     .close = {"<" BAR "tool" GAP "calls" GAP "end" BAR ">"},
     .skip = {"```", "<" BAR "tool" GAP "call" GAP "end" BAR ">"},
     .body = WICK_TC_DEEPSEEK},
    {.name = "kimi-k2",
     .needles = {"<|tool_calls_section_begin|>"},
     .open = {{"<|tool_calls_section_begin|>"}, {"<|tool_call_begin|>", .keep = true}},
     .close = {"<|tool_calls_section_end|>"},
     .skip = {"<|tool_call_end|>"},
     .body = WICK_TC_KIMI},
    {.name = "harmony",
     .needles = {"<|channel|>", "<|message|>"},
     .open = {{"<|start|>assistant", .keep = true},
              {"<|channel|>", .keep = true},
              {"to=", .keep = true, .start = true}},
     .skip = {"<|call|>", "<|end|>", "<|return|>"},
     .body = WICK_TC_HARMONY},
    {.name = "gemma4",
     .needles = {"<|tool_call>"},
     .open = {{"<|tool_call>"}},
     .close = {"<tool_call|>"},
     .body = WICK_TC_GEMMA,
     .quote = "<|\"|>"},
    {.name = "functiongemma",
     .needles = {"<start_function_call>"},
     .open = {{"<start_function_call>"}},
     .close = {"<end_function_call>"},
     .body = WICK_TC_GEMMA,
     .quote = "<escape>"},
    {.name = "minimax-m2",
     .needles = {"<minimax:tool_call>"},
     .or_needle = "minimax:tool_call",
     .open = {{"<minimax:tool_call>"}},
     .close = {"</minimax:tool_call>"},
     .body = WICK_TC_XML,
     .xml = &invoke_xml},
    {.name = "seed-oss",
     .needles = {"<seed:tool_call>"},
     .or_needle = "seed:tool_call",
     .open = {{"<seed:tool_call>"}},
     .close = {"</seed:tool_call>"},
     .body = WICK_TC_XML,
     .xml = &function_xml},
    {.name = "command-r7b",
     .needles = {"<|START_ACTION|>"},
     .open = {{"<|START_ACTION|>"}},
     .close = {"<|END_ACTION|>"},
     .body = WICK_TC_JSON},
    {.name = "apertus",
     .needles = {"<|tools_prefix|>"},
     .open = {{"<|tools_prefix|>"}},
     .close = {"<|tools_suffix|>"},
     .body = WICK_TC_JSON_KEYS},
    {.name = "lfm2",
     .needles = {"<|tool_call_start|>"},
     .or_needle = "<|tool_list_start|>",
     .open = {{"<|tool_call_start|>"}},
     .close = {"<|tool_call_end|>"},
     .body = WICK_TC_PYTHON,
     .also_json = true},
    {.name = "mistral",
     .needles = {"[TOOL_CALLS]"},
     .open = {{"[TOOL_CALLS]"}},
     .skip = {"[TOOL_CALLS]"},
     .body = WICK_TC_ARGS,
     .also_json = true},
    {.name = "granite3",
     .needles = {"<|tool_call|>"},
     .open = {{"<|tool_call|>"}, {"<tool_call>"}},
     .close = {"</tool_call>"},
     .body = WICK_TC_JSON},
    {.name = "nemotron",
     .needles = {"<TOOLCALL>"},
     .open = {{"<TOOLCALL>"}},
     .close = {"</TOOLCALL>"},
     .body = WICK_TC_JSON},
    {.name = "hunyuan",
     .needles = {"<tool_calls>"},
     .open = {{"<tool_calls>"}},
     .close = {"</tool_calls>"},
     .body = WICK_TC_JSON},
    {.name = "olmo3",
     .needles = {"<function_calls>"},
     .open = {{"<function_calls>"}},
     .close = {"</function_calls>"},
     .body = WICK_TC_PYTHON},
    {.name = "qwen3-coder",
     .needles = {"<tool_call>", "<function="},
     .open = {{"<tool_call>"}, {"<function=", .keep = true}},
     .close = {"</tool_call>"},
     .body = WICK_TC_XML,
     .xml = &function_xml,
     .also_json = true},
    {.name = "glm4",
     .needles = {"<tool_call>", "<arg_key>"},
     .open = {{"<tool_call>"}},
     .close = {"</tool_call>"},
     .body = WICK_TC_GLM,
     .also_json = true},
    {.name = "functionary",
     .needles = {">>>all"},
     .open = {{">>>"}},
     .skip = {">>>"},
     .body = WICK_TC_FUNCTIONARY,
     .implied_start = true},
    {.name = "functools",
     .needles = {"functools"},
     .or_needle = "<|tool|>",
     .open = {{"functools"}},
     .body = WICK_TC_JSON},
    {.name = "llama",
     .needles = {"<|python_tag|>"},
     .or_needle = "<|start_header_id|>",
     .open = {{"<|python_tag|>"},
              {"<|python_start|>"},
              {"{", .keep = true, .start = true},
              {"[", .keep = true, .start = true}},
     .close = {"<|eom_id|>", "<|eot_id|>", "<|python_end|>"},
     .skip = {"<|python_tag|>", ";"},
     .body = WICK_TC_BARE,
     .also_json = true},
};

static bool fits(const wick_toolcall_format *f, const char *source)
{
    bool all = f->needles[0] != NULL;
    for (size_t i = 0; i < 2 && f->needles[i]; i++) all = all && strstr(source, f->needles[i]);
    return all || (f->or_needle && strstr(source, f->or_needle));
}

const wick_toolcall_format *wick_toolcall_detect(const char *source, bool takes_tools)
{
    static const char *const headers[] = {"<|header_start|>", "<|python_start|>"};
    if (!takes_tools) return NULL;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (fits(&formats[i], source)) return &formats[i];
    for (size_t i = 0; i < 2; i++)
        if (strstr(source, headers[i])) return wick_toolcall_by_name("llama");
    return wick_toolcall_by_name("hermes");
}

const wick_toolcall_format *wick_toolcall_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}

const wick_toolcall_format *wick_toolcall_at(size_t i)
{
    return i < sizeof formats / sizeof *formats ? &formats[i] : NULL;
}

const char *wick_toolcall_name(const wick_toolcall_format *f)
{
    return f->name;
}

const char *wick_toolcall_open(const wick_toolcall_format *f)
{
    return f->body == WICK_TC_BARE ? NULL : f->open[0].mark;
}

const wick_call_syntax *wick_call_syntax_by_name(const char *name)
{
    return wick_toolcall_by_name(name);
}

const wick_call_syntax *wick_call_syntax_at(size_t i)
{
    return wick_toolcall_at(i);
}

const char *wick_call_syntax_name(const wick_call_syntax *f)
{
    return f->name;
}
