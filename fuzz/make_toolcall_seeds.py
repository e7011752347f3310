"""Writes fuzz/corpus/toolcall: one text in each syntax, reasoning before it. Two bytes first: the syntax (its place in
the table of src/chat/format/calls.c), the tags and the size of the deltas."""

import pathlib
import re

BEGIN, END = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"
TEXTS = {  # by the name of the row
    "deepseek-dsml": '<｜DSML｜function_calls><｜DSML｜invoke name="f"><｜DSML｜parameter name="s" string="true">v</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜function_calls>',
    "deepseek": f"<｜tool▁calls▁begin｜>{BEGIN}function<｜tool▁sep｜>f\n```json\n{{}}\n```{END}{BEGIN}f<｜tool▁sep｜>{{}}{END}<｜tool▁calls▁end｜>",
    "kimi-k2": "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
    "harmony": "<|channel|>analysis<|message|>why<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
    "gemma4": '<|channel>thought\nwhy<channel|><|tool_call>call:f{s:<|"|>x<|"|>,n:1,o:{a:[true]}}<tool_call|>',
    "functiongemma": "<start_function_call>call:f{s:<escape>x<escape>}<end_function_call>",
    "minimax-m2": '<think>why</think><minimax:tool_call>\n<invoke name="f">\n<parameter name="s">v</parameter>\n</invoke>\n</minimax:tool_call>',
    "seed-oss": "<seed:tool_call><function=f><parameter=n>1</parameter></function></seed:tool_call>",
    "command-r7b": '<|START_THINKING|>why<|END_THINKING|><|START_ACTION|>[{"tool_call_id":"0","tool_name":"f","parameters":{}}]<|END_ACTION|>',
    "apertus": '<|tools_prefix|>[{"f": {"n": 1}}]<|tools_suffix|>',
    "lfm2": "<|tool_call_start|>[f(s='x', l=[1, {'k': None}]), f()]<|tool_call_end|>",
    "mistral": '[THINK]why[/THINK][TOOL_CALLS][{"name":"f","arguments":{},"id":"123456789"}][TOOL_CALLS]f[CALL_ID]1[ARGS]{}',
    "qwen3-coder": "<tool_call>\n<function=f>\n<parameter=o>\n{'a': 1}\n</parameter>\n</function>\n</tool_call>",
    "glm4": "<tool_call>f\n<arg_key>n</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
    "hermes": 'a\n<tool_call>\n{"name": "f", "arguments": "{}"}\n</tool_call>\nb',
    "functionary": "all\nHi>>>f\n{}>>>python\nx = 1",
    "functools": 'functools[{"name":"f","arguments":{"s":"\\u00e9"}}]',
    "llama": '<|python_tag|>f.call(s="x")<|eom_id|>{"name": "f", "parameters": {}}; [f(n=1)]',
    "kimi-k3": '<|open|>tools<|sep|><|open|>call tool="f" index="0"<|sep|><|open|>argument key="s" type="string"<|sep|>v<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>',
    "minimax-m3": ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="f">]<]minimax[>[<s>v]<]minimax[>[</s>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>',
    "minicpm5": '<think>why</think><function name="f"><param name="s"><![CDATA[a < b]]></param><param name="n">1</param></function>',
    "functionary-v3.1": '<function=f>{"s": "x"}</function>',
    "gigachat3": 'Hi<|message_sep|>\n\nfunction call<|role_sep|>\n{"name": "f", "arguments": {"s": "x"}}',
    "command-r": 'Action: ```json\n[\n    {"tool_name": "f", "parameters": {"s": "x",}}\n]```',
    "hunyuan": "<tool_calls>[{'name': 'f', 'arguments': {'s': 'it\\'s', 'n': None}}]</tool_calls>",
}
TAGS = {"harmony": 2, "gemma4": 3, "command-r7b": 5, "mistral": 1}  # places in the table of think.c


def place(name):
    """Of a row, in the table of calls."""
    source = (pathlib.Path(__file__).resolve().parent.parent / "src/chat/format/calls.c").read_text()
    return re.findall(r'\{\.name = "([^"]+)"', source).index(name)


folder = pathlib.Path(__file__).resolve().parent / "corpus" / "toolcall"
folder.mkdir(parents=True, exist_ok=True)
for name, text in TEXTS.items():
    (folder / f"seed-{name}").write_bytes(bytes([place(name), TAGS.get(name, 0)]) + text.encode())
