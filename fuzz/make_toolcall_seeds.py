"""Writes fuzz/corpus/toolcall: one text in each syntax, reasoning before it. Two bytes first: the syntax (its place in
the table of src/template/toolcall_format.c), the tags and the size of the deltas."""

import pathlib

BEGIN, END = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"
TEXTS = {  # by place in the table
    0: '<｜DSML｜function_calls><｜DSML｜invoke name="f"><｜DSML｜parameter name="s" string="true">v</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜function_calls>',
    1: f"<｜tool▁calls▁begin｜>{BEGIN}function<｜tool▁sep｜>f\n```json\n{{}}\n```{END}{BEGIN}f<｜tool▁sep｜>{{}}{END}<｜tool▁calls▁end｜>",
    2: "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
    3: "<|channel|>analysis<|message|>why<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
    4: '<|channel>thought\nwhy<channel|><|tool_call>call:f{s:<|"|>x<|"|>,n:1,o:{a:[true]}}<tool_call|>',
    5: "<start_function_call>call:f{s:<escape>x<escape>}<end_function_call>",
    6: '<think>why</think><minimax:tool_call>\n<invoke name="f">\n<parameter name="s">v</parameter>\n</invoke>\n</minimax:tool_call>',
    7: "<seed:tool_call><function=f><parameter=n>1</parameter></function></seed:tool_call>",
    8: '<|START_THINKING|>why<|END_THINKING|><|START_ACTION|>[{"tool_call_id":"0","tool_name":"f","parameters":{}}]<|END_ACTION|>',
    9: '<|tools_prefix|>[{"f": {"n": 1}}]<|tools_suffix|>',
    10: "<|tool_call_start|>[f(s='x', l=[1, {'k': None}]), f()]<|tool_call_end|>",
    11: '[THINK]why[/THINK][TOOL_CALLS][{"name":"f","arguments":{},"id":"123456789"}][TOOL_CALLS]f[CALL_ID]1[ARGS]{}',
    16: "<tool_call>\n<function=f>\n<parameter=o>\n{'a': 1}\n</parameter>\n</function>\n</tool_call>",
    17: "<tool_call>f\n<arg_key>n</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
    18: 'a\n<tool_call>\n{"name": "f", "arguments": "{}"}\n</tool_call>\nb',
    19: "all\nHi>>>f\n{}>>>python\nx = 1",
    20: 'functools[{"name":"f","arguments":{"s":"\\u00e9"}}]',
    21: '<|python_tag|>f.call(s="x")<|eom_id|>{"name": "f", "parameters": {}}; [f(n=1)]',
}
TAGS = {3: 4, 4: 2, 8: 3, 11: 1}

folder = pathlib.Path(__file__).resolve().parent / "corpus" / "toolcall"
folder.mkdir(parents=True, exist_ok=True)
for place, text in TEXTS.items():
    (folder / f"seed-{place:02d}").write_bytes(bytes([place, TAGS.get(place, 0)]) + text.encode())
