/* chat/format/calls.c - the syntaxes of tool calls, one row each: what opens and closes calls, the function that reads
 * one, and the shape that a constraint writes.
 *
 * A template is matched with the rows in their order (choose.c), and the first that reads its call back is taken: so
 * rows that read less come before rows that read more. */
#include "chat/format/call.h"

/* The marks of DeepSeek's tokens: a fullwidth bar, and a block for the space. */
#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
#define DSML BAR "DSML" BAR
#define DS_CALLS "<" BAR "tool" GAP "calls" GAP "begin" BAR ">"
#define DS_CALLS_END "<" BAR "tool" GAP "calls" GAP "end" BAR ">"
#define DS_CALL "<" BAR "tool" GAP "call" GAP "begin" BAR ">"
#define DS_CALL_END "<" BAR "tool" GAP "call" GAP "end" BAR ">"
#define DS_SEP "<" BAR "tool" GAP "sep" BAR ">"
/* The token before each of MiniMax-M3's tags. */
#define NS "]<]minimax[>["

static const wick_tc_params function_tags = {.open = "<function=",
                                             .name_end = ">",
                                             .close = "</function>",
                                             .param_open = "<parameter=",
                                             .key_end = ">",
                                             .param_close = "</parameter>"};
static const wick_tc_params invoke_tags = {.open = "<invoke name=\"",
                                           .name_end = "\">",
                                           .close = "</invoke>",
                                           .param_open = "<parameter name=\"",
                                           .key_end = "\">",
                                           .param_close = "</parameter>"};
static const wick_tc_params dsml_tags = {.open = "<" DSML "invoke name=\"",
                                         .name_end = "\">",
                                         .close = "</" DSML "invoke>",
                                         .param_open = "<" DSML "parameter name=\"",
                                         .key_end = "\"",
                                         .attr_end = ">",
                                         .param_close = "</" DSML "parameter>"};
static const wick_tc_params m3_tags = {
    .open = "<invoke name=\"", .name_end = "\">", .close = "</invoke>", .param_open = "<", .key_end = ">", .space = NS};
static const wick_tc_params k3_tags = {.open = "<|open|>call tool=\"",
                                       .name_end = "\"",
                                       .head_end = "<|sep|>",
                                       .close = "<|close|>call<|sep|>",
                                       .param_open = "<|open|>argument key=\"",
                                       .key_end = "\"",
                                       .attr_end = "<|sep|>",
                                       .param_close = "<|close|>argument<|sep|>"};
static const wick_tc_params minicpm_tags = {.open = "<function name=\"",
                                            .name_end = "\">",
                                            .close = "</function>",
                                            .param_open = "<param name=\"",
                                            .key_end = "\">",
                                            .param_close = "</param>",
                                            .markup = true};
static const wick_tc_params glm_tags = {.open = "",
                                        .param_open = "<arg_key>",
                                        .key_end = "</arg_key>",
                                        .value_open = "<arg_value>",
                                        .param_close = "</arg_value>"};

/* Hunyuan 3: GLM's way, with a suffix to each tag. */
#define HY ":opensource>"
static const wick_tc_params hy3_tags = {.open = "<tool_call" HY,
                                        .name_end = "<tool_sep" HY,
                                        .close = "</tool_call" HY,
                                        .param_open = "<arg_key" HY,
                                        .key_end = "</arg_key" HY,
                                        .value_open = "<arg_value" HY,
                                        .param_close = "</arg_value" HY};

#define JSON_SHAPE(b, e)                                                                                            \
    {                                                                                                               \
        .trigger = b, .before = b "\n{\"name\": ", .after = ", \"arguments\": ", .close = "}\n" e, .between = "\n", \
        .quote_name = true                                                                                          \
    }
#define LIST_SHAPE(b, args, e)                                                                            \
    {                                                                                                     \
        .trigger = b, .begin = b "[", .before = "{\"name\": ", .after = ", \"" args "\": ", .close = "}", \
        .between = ", ", .end = "]" e, .quote_name = true                                                 \
    }
#define TAGS_SHAPE(t, b, e)                                                                                            \
    {                                                                                                                  \
        .trigger = b, .begin = b "\n", .before = t "name=\"", .after = "\">\n", .close = "</invoke>", .between = "\n", \
        .end = "\n" e, .style = WICK_STYLE_PARAMS, .param_open = "<parameter name=\"", .param_mid = "\">",             \
        .param_close = "</parameter>\n"                                                                                \
    }
#define FUNCTION_SHAPE(b, e)                                                                                           \
    {                                                                                                                  \
        .trigger = b, .before = b "\n<function=", .after = ">\n", .close = "</function>\n" e, .between = "\n",         \
        .style = WICK_STYLE_PARAMS, .param_open = "<parameter=", .param_mid = ">\n", .param_close = "\n</parameter>\n" \
    }

static const wick_toolcall_format rows[] = {
    {.name = "hermes", /* Hermes, Qwen 2.5 and 3, Granite 4, SmolLM3, Ernie 4.5 */
     .read = wick_tc_json_call,
     .json = true,
     .open = {{"<tool_call>"}},
     .close = {"</tool_call>"},
     .shape = JSON_SHAPE("<tool_call>", "</tool_call>")},
    {.name = "deepseek-dsml", /* DeepSeek V3.2; V4 */
     .read = wick_tc_params_call,
     .open = {{"<" DSML "function_calls>"}, {"<" DSML "tool_calls>"}},
     .close = {"</" DSML "function_calls>", "</" DSML "tool_calls>"},
     .params = &dsml_tags,
     .shape = {.trigger = "<" DSML "function_calls>",
               .begin = "<" DSML "function_calls>\n",
               .before = "<" DSML "invoke name=\"",
               .after = "\">\n",
               .close = "</" DSML "invoke>\n",
               .end = "</" DSML "function_calls>",
               .style = WICK_STYLE_PARAMS,
               .param_open = "<" DSML "parameter name=\"",
               .param_mid = "\" string=\"true\">",
               .param_mid_json = "\" string=\"false\">",
               .param_close = "</" DSML "parameter>\n"}},
    {.name = "deepseek-v3.1", /* the name, then JSON; reads what deepseek reads too, but writes its own */
     .read = wick_tc_deepseek_call,
     .open = {{DS_CALLS}, {DS_CALL, .keep = true}},
     .close = {DS_CALLS_END},
     .skip = {"```", DS_CALL_END},
     .shape = {.trigger = DS_CALLS,
               .begin = DS_CALLS,
               .before = DS_CALL,
               .after = DS_SEP,
               .close = DS_CALL_END,
               .end = DS_CALLS_END}},
    {.name = "deepseek", /* DeepSeek V3 and R1: the type, the name, JSON in a fence */
     .read = wick_tc_deepseek_call,
     .open = {{DS_CALLS}, {DS_CALL, .keep = true}},
     .close = {DS_CALLS_END},
     .skip = {"```", DS_CALL_END},
     .shape = {.trigger = DS_CALLS,
               .begin = DS_CALLS,
               .before = DS_CALL "function" DS_SEP,
               .after = "\n```json\n",
               .close = "\n```" DS_CALL_END,
               .between = "\n",
               .end = DS_CALLS_END}},
    {.name = "kimi-k2",
     .read = wick_tc_kimi_call,
     .open = {{"<|tool_calls_section_begin|>"}, {"<|tool_call_section_begin|>"}, {"<|tool_call_begin|>", .keep = true}},
     .close = {"<|tool_calls_section_end|>", "<|tool_call_section_end|>"},
     .skip = {"<|tool_call_end|>"},
     .shape = {.trigger = "<|tool_calls_section_begin|>",
               .begin = "<|tool_calls_section_begin|>",
               .before = "<|tool_call_begin|>functions.",
               .after = ":%d<|tool_call_argument_begin|>",
               .close = "<|tool_call_end|>",
               .end = "<|tool_calls_section_end|>"}},
    {.name = "kimi-k3",
     .read = wick_tc_params_call,
     .open = {{"<|open|>tools<|sep|>"}},
     .close = {"<|close|>tools<|sep|>"},
     .params = &k3_tags,
     .shape = {.trigger = "<|open|>tools<|sep|>",
               .begin = "<|open|>tools<|sep|>",
               .before = "<|open|>call tool=\"",
               .after = "\" index=\"%d\"<|sep|>",
               .close = "<|close|>call<|sep|>",
               .end = "<|close|>tools<|sep|>",
               .style = WICK_STYLE_PARAMS,
               .param_open = "<|open|>argument key=\"",
               .param_mid = "\" type=\"%t\"<|sep|>",
               .param_close = "<|close|>argument<|sep|>"}},
    {.name = "harmony",
     .read = wick_tc_harmony_call,
     .open = {{"<|start|>assistant", .keep = true},
              {"<|channel|>", .keep = true},
              {"to=", .keep = true, .start = true}},
     .skip = {"<|call|>", "<|end|>", "<|return|>"},
     .shape = {.trigger = "<|channel|>commentary to=functions.",
               .before = "<|channel|>commentary to=functions.",
               .after = " <|constrain|>json<|message|>",
               .close = "<|call|>",
               .single = true}},
    {.name = "gemma4",
     .read = wick_tc_gemma_call,
     .open = {{"<|tool_call>"}},
     .close = {"<tool_call|>"},
     .quote = "<|\"|>",
     .shape = {.trigger = "<|tool_call>",
               .before = "<|tool_call>call:",
               .close = "<tool_call|>",
               .style = WICK_STYLE_GEMMA,
               .quote = "<|\"|>"}},
    {.name = "functiongemma",
     .read = wick_tc_gemma_call,
     .open = {{"<start_function_call>"}},
     .close = {"<end_function_call>"},
     .quote = "<escape>",
     .shape = {.trigger = "<start_function_call>",
               .before = "<start_function_call>call:",
               .close = "<end_function_call>",
               .style = WICK_STYLE_GEMMA,
               .quote = "<escape>"}},
    {.name = "minimax-m2",
     .read = wick_tc_params_call,
     .open = {{"<minimax:tool_call>"}},
     .close = {"</minimax:tool_call>"},
     .params = &invoke_tags,
     .shape = TAGS_SHAPE("<invoke ", "<minimax:tool_call>", "</minimax:tool_call>")},
    {.name = "minimax-m3",
     .read = wick_tc_params_call,
     .open = {{NS "<tool_call>"}},
     .close = {NS "</tool_call>", "</tool_call>"},
     .params = &m3_tags,
     .shape = {.trigger = NS "<tool_call>",
               .begin = NS "<tool_call>\n",
               .before = NS "<invoke name=\"",
               .after = "\">",
               .close = NS "</invoke>\n",
               .end = NS "</tool_call>",
               .style = WICK_STYLE_PARAMS,
               .param_open = NS "<",
               .param_mid = ">",
               .param_close = NS "</%k>"}},
    {.name = "seed-oss",
     .read = wick_tc_params_call,
     .open = {{"<seed:tool_call>"}},
     .close = {"</seed:tool_call>"},
     .params = &function_tags,
     .shape = FUNCTION_SHAPE("<seed:tool_call>", "</seed:tool_call>")},
    {.name = "minicpm5",
     .read = wick_tc_params_call,
     .open = {{"<function name=\"", .keep = true}},
     .params = &minicpm_tags,
     .shape = {.trigger = "<function name=\"",
               .before = "<function name=\"",
               .after = "\">",
               .close = "</function>",
               .between = "\n",
               .style = WICK_STYLE_PARAMS,
               .param_open = "<param name=\"",
               .param_mid = "\">",
               .param_close = "</param>"}},
    {.name = "command-r7b", /* Command R7B, Command A */
     .read = wick_tc_json_call,
     .json = true,
     .open = {{"<|START_ACTION|>"}},
     .close = {"<|END_ACTION|>"},
     .shape = {.trigger = "<|START_ACTION|>",
               .begin = "<|START_ACTION|>[\n",
               .before = "    {\"tool_call_id\": \"%d\", \"tool_name\": ",
               .after = ", \"parameters\": ",
               .close = "}",
               .between = ",\n",
               .end = "\n]<|END_ACTION|>",
               .quote_name = true}},
    {.name = "command-r", /* Command R and R+: "Action:" and a fence */
     .read = wick_tc_json_call,
     .json = true,
     .open = {{"Action:\n```json"}, {"Action: ```json"}, {"Action:```json"}},
     .close = {"```"},
     .shape = {.trigger = "Action:\n```json",
               .begin = "Action:\n```json\n[\n",
               .before = "    {\n        \"tool_name\": ",
               .after = ",\n        \"parameters\": ",
               .close = "\n    }",
               .between = ",\n",
               .end = "\n]```",
               .quote_name = true}},
    {.name = "apertus",
     .read = wick_tc_json_call,
     .json = true,
     .keyed = true,
     .open = {{"<|tools_prefix|>"}},
     .close = {"<|tools_suffix|>"},
     .shape = {.trigger = "<|tools_prefix|>",
               .begin = "<|tools_prefix|>[",
               .before = "{",
               .after = ": ",
               .close = "}",
               .between = ", ",
               .end = "]<|tools_suffix|>",
               .quote_name = true}},
    {.name = "lfm2", /* LFM2, LFM2.5 */
     .read = wick_tc_python_call,
     .array = true,
     .also_json = true,
     .open = {{"<|tool_call_start|>"}},
     .close = {"<|tool_call_end|>"},
     .shape = {.trigger = "<|tool_call_start|>",
               .begin = "<|tool_call_start|>[",
               .after = "(",
               .close = ")",
               .between = ", ",
               .end = "]<|tool_call_end|>",
               .style = WICK_STYLE_PYTHON}},
    {.name = "mistral", /* Nemo, v3 to v7: a list with ids; v11 and later: the name, an id, JSON */
     .read = wick_tc_mistral_call,
     .also_json = true,
     .late_id = true,
     .open = {{"[TOOL_CALLS]"}},
     .skip = {"[TOOL_CALLS]"},
     .shape = {.trigger = "[TOOL_CALLS]",
               .begin = "[TOOL_CALLS][",
               .before = "{\"name\": ",
               .after = ", \"arguments\": ",
               .close = ", \"id\": \"%s\"}",
               .between = ", ",
               .end = "]",
               .quote_name = true}},
    {.name = "mistral-args", /* v11 and later */
     .read = wick_tc_mistral_call,
     .also_json = true,
     .late_id = true,
     .open = {{"[TOOL_CALLS]"}},
     .skip = {"[TOOL_CALLS]"},
     .shape = {.trigger = "[TOOL_CALLS]", .before = "[TOOL_CALLS]", .after = "[ARGS]"}},
    {.name = "mistral-ids", /* Mistral Small 3.2 */
     .read = wick_tc_mistral_call,
     .also_json = true,
     .late_id = true,
     .open = {{"[TOOL_CALLS]"}},
     .skip = {"[TOOL_CALLS]"},
     .shape = {.trigger = "[TOOL_CALLS]", .before = "[TOOL_CALLS]", .after = "[CALL_ID]%s[ARGS]"}},
    {.name = "granite3",
     .read = wick_tc_json_call,
     .json = true,
     .open = {{"<|tool_call|>"}, {"<tool_call>"}},
     .close = {"<|/tool_call|>", "</tool_call>"}, /* Phi-4-mini closes */
     .shape = LIST_SHAPE("<|tool_call|>", "arguments", "")},
    {.name = "nemotron",
     .read = wick_tc_json_call,
     .json = true,
     .open = {{"<TOOLCALL>"}},
     .close = {"</TOOLCALL>"},
     .shape = LIST_SHAPE("<TOOLCALL>", "arguments", "</TOOLCALL>")},
    {.name = "hunyuan", /* Hunyuan A13B, Apriel, MiniMax-M1, Jamba */
     .read = wick_tc_json_call,
     .json = true,
     .open = {{"<tool_calls>"}},
     .close = {"</tool_calls>"},
     .shape = LIST_SHAPE("<tool_calls>", "arguments", "</tool_calls>")},
    {.name = "longcat",
     .read = wick_tc_json_call,
     .json = true,
     .open = {{"<longcat_tool_call>"}},
     .close = {"</longcat_tool_call>"},
     .shape = JSON_SHAPE("<longcat_tool_call>", "</longcat_tool_call>")},
    {.name = "internlm",
     .read = wick_tc_json_call,
     .json = true,
     .open = {{"<|action_start|><|plugin|>"}, {"<|action_start|> <|plugin|>"}},
     .close = {"<|action_end|>"},
     .shape = {.trigger = "<|action_start|><|plugin|>",
               .before = "<|action_start|><|plugin|>\n{\"name\": ",
               .after = ", \"parameters\": ",
               .close = "}<|action_end|>",
               .between = "\n",
               .quote_name = true}},
    {.name = "gigachat3", /* 3.0; one call an answer */
     .read = wick_tc_json_call,
     .json = true,
     .open = {{"<|message_sep|>\n\nfunction call<|role_sep|>\n"},
              {"<|function_call|>"},
              {"function call", .start = true}},
     .skip = {"<|role_sep|>"},
     .shape = {.trigger = "<|message_sep|>\n\nfunction call",
               .before = "<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": ",
               .after = ", \"arguments\": ",
               .close = "}",
               .quote_name = true,
               .single = true}},
    {.name = "gigachat3.1",
     .read = wick_tc_json_call,
     .json = true,
     .open = {{"<|function_call|>"}},
     .shape = {.trigger = "<|function_call|>",
               .before = "<|function_call|>{\"name\": ",
               .after = ", \"arguments\": ",
               .close = "}",
               .quote_name = true,
               .single = true}},
    {.name = "olmo3",
     .read = wick_tc_python_call,
     .array = true,
     .open = {{"<function_calls>"}},
     .close = {"</function_calls>"},
     .shape = {.trigger = "<function_calls>",
               .begin = "<function_calls>",
               .after = "(",
               .close = ")",
               .between = "\n",
               .end = "</function_calls>",
               .style = WICK_STYLE_PYTHON}},
    {.name = "qwen3-coder", /* Qwen3-Coder, Qwen 3.5, Nemotron 3, MiMo, Step 3.5 */
     .read = wick_tc_params_call,
     .also_json = true,
     .open = {{"<tool_call>"}, {"<function=", .keep = true}},
     .close = {"</tool_call>"},
     .params = &function_tags,
     .shape = FUNCTION_SHAPE("<tool_call>", "</tool_call>")},
    {.name = "glm4", /* GLM 4.5 to 4.7 */
     .read = wick_tc_params_call,
     .also_json = true,
     .open = {{"<tool_call>"}},
     .close = {"</tool_call>"},
     .params = &glm_tags,
     .shape = {.trigger = "<tool_call>",
               .before = "<tool_call>",
               .after = "\n",
               .close = "</tool_call>",
               .between = "\n",
               .style = WICK_STYLE_PARAMS,
               .param_open = "<arg_key>",
               .param_mid = "</arg_key>\n<arg_value>",
               .param_close = "</arg_value>\n"}},
    {.name = "hy3",
     .read = wick_tc_params_call,
     .open = {{"<tool_calls" HY}},
     .close = {"</tool_calls" HY},
     .params = &hy3_tags,
     .shape = {.trigger = "<tool_calls" HY,
               .begin = "<tool_calls" HY "\n",
               .before = "<tool_call" HY,
               .after = "<tool_sep" HY "\n",
               .close = "</tool_call" HY "\n",
               .end = "</tool_calls" HY,
               .style = WICK_STYLE_PARAMS,
               .param_open = "<arg_key" HY,
               .param_mid = "</arg_key" HY "\n<arg_value" HY,
               .param_close = "</arg_value" HY "\n"}},
    {.name = "solar-open",
     .read = wick_tc_solar_call,
     .open = {{"<|tool_calls|>"}, {"<|tool_call:begin|>", .keep = true}},
     .close = {"<|calls|>"},
     .skip = {"<|tool_call:end|>"},
     .shape = {.trigger = "<|tool_calls|>",
               .begin = "<|tool_calls|>",
               .before = "<|tool_call:begin|>%s<|tool_call:name|>",
               .after = "<|tool_call:args|>",
               .close = "<|tool_call:end|>",
               .end = "<|calls|>"}},
    {.name = "functionary-v3.1", /* also Llama's custom functions */
     .read = wick_tc_tag_call,
     .open = {{"<function=", .keep = true}},
     .skip = {"</function>"},
     .shape = {.trigger = "<function=", .before = "<function=", .after = ">", .close = "</function>"}},
    {.name = "functionary", /* v3.2 */
     .read = wick_tc_functionary_call,
     .open = {{">>>"}},
     .skip = {">>>"},
     .implied_start = true,
     .shape = {.before = "", .after = "\n", .between = "\n>>>"}},
    {.name = "functools", /* Phi-4-mini, Firefunction v2 */
     .read = wick_tc_json_call,
     .json = true,
     .needs_array = true,
     .open = {{"functools"}},
     .shape = LIST_SHAPE("functools", "arguments", "")},
    {.name = "llama-pythonic", /* Llama 4, and 3.2's lists */
     .read = wick_tc_llama_call,
     .array = true,
     .bare = true,
     .open = {{"<|python_tag|>"}, {"<|python_start|>"}},
     .close = {"<|eom_id|>", "<|eot_id|>", "<|python_end|>"},
     .skip = {"<|python_tag|>", ";"},
     .shape = {.begin = "[", .after = "(", .close = ")", .between = ", ", .end = "]", .style = WICK_STYLE_PYTHON}},
    {.name = "xlam", /* a list of JSON objects as the whole answer */
     .read = wick_tc_llama_call,
     .array = true,
     .bare = true,
     .open = {{"[TOOL_CALLS]"}},
     .close = {"<|eot_id|>"},
     .shape = {.begin = "[",
               .before = "{\"name\": ",
               .after = ", \"arguments\": ",
               .close = "}",
               .between = ", ",
               .end = "]",
               .quote_name = true}},
    {.name = "llama", /* Llama 3.x */
     .read = wick_tc_llama_call,
     .array = true,
     .bare = true,
     .open = {{"<|python_tag|>"}, {"<|python_start|>"}},
     .close = {"<|eom_id|>", "<|eot_id|>", "<|python_end|>"},
     .skip = {"<|python_tag|>", ";"},
     .shape =
         {.before = "{\"name\": ", .after = ", \"parameters\": ", .close = "}", .quote_name = true, .single = true}},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

const wick_call_syntax *wick_call_syntax_by_name(const char *name)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

const wick_call_syntax *wick_call_syntax_at(size_t i)
{
    return i < N_ROWS ? &rows[i] : NULL;
}

const char *wick_call_syntax_name(const wick_call_syntax *f)
{
    return f->name;
}

const char *wick_call_syntax_open(const wick_call_syntax *f)
{
    return f->bare ? NULL : f->open[0].mark;
}

const char *wick_call_syntax_mark(const wick_call_syntax *f, size_t i)
{
    return i < sizeof f->open / sizeof *f->open ? f->open[i].mark : NULL;
}

const wick_call_shape *wick_call_syntax_shape(const wick_call_syntax *f)
{
    return &f->shape;
}
