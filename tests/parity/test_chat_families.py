"""Chat templates in the style of the published families, written for this test, against jinja2 on many conversations."""
import itertools

import jinja_oracle as jo
import pytest

pytestmark = pytest.mark.skipif(jo.program() is None, reason="wick_jinja is not built")

TOOLS_HERMES = """{%- if tools %}
<|im_start|>system
{%- if messages[0].role == 'system' %}{{ '\\n' + messages[0].content }}{% endif %}

# Tools
<tools>
{%- for tool in tools %}{{ "\\n" }}{{ tool | tojson }}{%- endfor %}
</tools><|im_end|>
{{ '' }}
{%- endif %}"""

FAMILIES = {
    "chatml": "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "qwen2.5": TOOLS_HERMES + """
{%- for m in messages %}
    {%- if m.role == 'user' or (m.role == 'system' and not loop.first) or (m.role == 'assistant' and not m.tool_calls) %}
        {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
    {%- elif m.role == 'assistant' %}
        {{- '<|im_start|>' + m.role }}
        {%- if m.content %}{{- '\\n' + m.content }}{%- endif %}
        {%- for tc in m.tool_calls %}
            {%- if tc.function is defined %}{%- set tc = tc.function %}{%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}{{- tc.name }}{{- '", "arguments": ' }}{{- tc.arguments | tojson }}{{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif m.role == 'tool' %}
        {%- if loop.index0 == 0 or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' }}{{- m.content }}{{- '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}""",
    "qwen3": """{%- set ns = namespace(multi=true, last=messages|length - 1) %}
{%- for m in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi and m.role == "user" and m.content is string and not (m.content.startswith('<tool_response>') and m.content.endswith('</tool_response>')) %}
        {%- set ns.multi = false %}{%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- if m.content is string %}{%- set content = m.content %}{%- else %}{%- set content = '' %}{%- endif %}
    {%- if m.role == 'assistant' %}
        {%- set r = '' %}
        {%- if m.reasoning_content is string %}{%- set r = m.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set r = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or r) %}{{- '<|im_start|>assistant\\n<think>\\n' + r.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}{{- '<|im_start|>assistant\\n' + content }}{%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}{{- '<|im_start|>' + m.role + '\\n' + content + '<|im_end|>' + '\\n' }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}""",
    "llama-3.1": """{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools_in_user_message is defined %}{%- set tools_in_user_message = true %}{%- endif %}
{%- if not date_string is defined %}{%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content']|trim %}{%- set messages = messages[1:] %}{%- else %}{%- set system = "" %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}{{- "Environment: ipython\\n" }}{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}{{- system }}{{- "<|eot_id|>" }}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}{%- set first = messages[0]['content']|trim %}{%- set messages = messages[1:] %}{%- else %}{{- raise_exception("no first user message") }}{%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\\n\\n' }}{%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{%- endfor %}{{- first + "<|eot_id|>" }}
{%- endif %}
{%- for m in messages %}
    {%- if not (m.role == 'ipython' or m.role == 'tool' or 'tool_calls' in m) %}{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in m %}
        {%- if not m.tool_calls|length == 1 %}{{- raise_exception("only single tool calls") }}{%- endif %}
        {%- set tc = m.tool_calls[0].function %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n{"name": "' + tc.name + '", "parameters": ' }}{{- tc.arguments | tojson }}{{- "}<|eot_id|>" }}
    {%- else %}{{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}{%- if m.content is mapping or m.content is iterable %}{{- m.content | tojson }}{%- else %}{{- m.content }}{%- endif %}{{- "<|eot_id|>" }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}""",
    "llama-2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set sys = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set sys = false %}{% endif %}{% for m in loop_messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% if loop.index0 == 0 and sys != false %}{% set content = '<<SYS>>\\n' + sys + '\\n<</SYS>>\\n\\n' + m['content'] %}{% else %}{% set content = m['content'] %}{% endif %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif m['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "mistral": """{%- if messages[0]["role"] == "system" %}{%- set sys = messages[0]["content"] %}{%- set rest = messages[1:] %}{%- else %}{%- set rest = messages %}{%- endif %}
{%- set users = rest | selectattr("role", "equalto", "user") | list %}
{{- bos_token }}
{%- for m in rest %}
    {%- if m["role"] == "user" %}
        {%- if tools is not none and (m == users[-1]) %}{{- "[AVAILABLE_TOOLS] [" }}{%- for t in tools %}{%- set t = t.function %}{{- '{"type": "function", "function": {' }}{%- for k, v in t.items() if k != "return" %}{%- if v is string %}{{- '"' + k + '": "' + v + '"' }}{%- else %}{{- '"' + k + '": ' + v|tojson }}{%- endif %}{%- if not loop.last %}{{- ", " }}{%- endif %}{%- endfor %}{{- "}}" }}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}{%- endfor %}{{- "[/AVAILABLE_TOOLS]" }}{%- endif %}
        {%- if loop.last and sys is defined %}{{- "[INST] " + sys + "\\n\\n" + m["content"] + "[/INST]" }}{%- else %}{{- "[INST] " + m["content"] + "[/INST]" }}{%- endif %}
    {%- elif m.tool_calls is defined and m.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tc in m.tool_calls %}{%- set out = tc.function|tojson %}{{- out[:-1] }}
            {%- if not tc.id is defined or tc.id|length != 9 %}{{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}{%- endif %}
            {{- ', "id": "' + tc.id + '"}' }}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" + eos_token }}{%- endif %}{%- endfor %}
    {%- elif m["role"] == "assistant" %}{{- " " + m["content"]|trim + eos_token }}
    {%- elif m["role"] == "tool" %}{{- '[TOOL_RESULTS] {"content": ' + m.content|string + ', "call_id": "' + m.tool_call_id + '"}[/TOOL_RESULTS]' }}{%- else %}{{- raise_exception("bad role " + m["role"]) }}{%- endif %}
{%- endfor %}""",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for m in messages %}{% if (m['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = m['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + m['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}",
    "gemma3": "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- if messages[0]['content'] is string -%}{%- set prefix = messages[0]['content'] + '\\n\\n' -%}{%- else -%}{%- set prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}{%- endif -%}{%- set rest = messages[1:] -%}{%- else -%}{%- set prefix = '' -%}{%- set rest = messages -%}{%- endif -%}{%- for m in rest -%}{{ '<start_of_turn>' ~ ('model' if m.role == 'assistant' else m.role) ~ '\\n' ~ (prefix if loop.first else '') }}{%- if m.content is string -%}{{ m.content | trim }}{%- elif m.content is iterable -%}{%- for item in m.content -%}{%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}{%- else -%}{{ raise_exception('Invalid content type') }}{%- endif -%}{{ '<end_of_turn>\\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}",
    "phi-4": "{% for m in messages %}{% if m['role'] == 'system' and 'tools' in m and m['tools'] is not none %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|tool|>' + m['tools'] + '<|/tool|>' + '<|end|>' }}{% else %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}",
    "deepseek-r1": "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, system_prompt='') %}{%- for m in messages %}{%- if m['role'] == 'system' %}{% set ns.system_prompt = m['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for m in messages %}{%- if m['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + m['content']}}{%- endif %}{%- if m['role'] == 'assistant' and m['content'] is none %}{%- set ns.is_tool = false -%}{%- for tool in m['tool_calls']%}{%- if not ns.is_first %}{{'<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + tool['function']['name'] + '\\n```json\\n' + tool['function']['arguments']|string + '\\n```<｜tool▁call▁end｜>'}}{%- set ns.is_first = true -%}{%- endif %}{%- endfor %}{%- endif %}{%- if m['role'] == 'assistant' and m['content'] is not none %}{% set content = m['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor -%}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜><think>\\n'}}{% endif %}",
    "granite": "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set system_message = 'Today is ' + strftime_now('%B %d, %Y') + '.' %}{%- if tools and documents %}{%- set system_message = system_message + ' both' %}{%- elif tools %}{%- set system_message = system_message + ' tools' %}{%- endif %}{%- set loop_messages = messages %}{%- endif %}{{- '<|start_of_role|>system<|end_of_role|>' + system_message + '<|end_of_text|>\\n' }}{%- if tools %}{{- '<|start_of_role|>tools<|end_of_role|>' }}{{- tools | tojson(indent=4) }}{{- '<|end_of_text|>\\n' }}{%- endif %}{%- for m in loop_messages %}{{- '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + (m['content'] or '') + '<|end_of_text|>\\n' }}{%- if loop.last and add_generation_prompt %}{{- '<|start_of_role|>assistant' }}{%- if controls %}{{- ' ' + controls | tojson() }}{%- endif %}{{- '<|end_of_role|>' }}{%- endif %}{%- endfor %}",
    "command-r": "{{ bos_token }}{%- macro doc(d) %}{% for k, v in d.items() %}{{ k }}: {{ v }}\n{% endfor %}{%- endmacro %}{% for m in messages %}{% if m.role == 'user' %}{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + m.content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% elif m.content %}{{ '<|START_OF_TURN_TOKEN|>' ~ {'assistant': '<|CHATBOT_TOKEN|>'}.get(m.role, '<|SYSTEM_TOKEN|>') ~ m.content|trim }}{% endif %}{% endfor %}{% if documents %}<results>{% for d in documents %}{{ '\\n' if not loop.first }}Document: {{ loop.index0 }}\n{{ doc(d) }}{% endfor %}</results>{% endif %}",
    "gpt-oss": """{%- macro ts(spec, req, lvl=0) -%}
{%- if spec.type == 'array' -%}{%- if spec['items'] -%}{{ ts(spec['items'], req, lvl + 1) }}[]{%- else -%}any[]{%- endif -%}
{%- elif spec.type is defined and spec.type is iterable and spec.type is not string -%}{{ spec.type | join(" | ") }}
{%- elif spec.oneOf -%}{%- for v in spec.oneOf -%}{{ ts(v, req) }}{%- if not loop.last %} | {% endif -%}{%- endfor -%}
{%- elif spec.type == 'string' -%}{%- if spec.enum -%}{{ '"' + spec.enum|join('" | "') + '"' }}{%- else -%}string{%- endif -%}
{%- elif spec.type in ['number', 'integer'] -%}number
{%- elif spec.type == 'object' -%}{%- if spec.properties -%}{{ "{\\n" }}{%- for n, p in spec.properties.items() -%}{{ n }}{%- if n not in (spec.required or []) -%}?{%- endif -%}: {{ ts(p, spec.required or []) }}{%- if not loop.last -%}{{ ", " }}{%- endif -%}{%- endfor -%}}{%- else -%}object{%- endif -%}
{%- else -%}any{%- endif -%}
{%- endmacro -%}
{%- macro ns_tools(name, tools) -%}{{ "## " + name + "\\n\\n" }}{%- for t in tools %}{%- set t = t.function %}{{ "// " + t.description + "\\n" }}{{ "type " + t.name + " = (_: " }}{{ ts(t.parameters, []) }}{{ ") => any;\\n\\n" }}{%- endfor %}{%- endmacro -%}
{{- "<|start|>system<|message|>Current date: " + strftime_now("%Y-%m-%d") + "\\nReasoning: " + (reasoning_effort or 'medium') + "<|end|>" }}
{%- if tools %}{{- "<|start|>developer<|message|># Tools\\n\\n" }}{{- ns_tools("functions", tools) }}{{- "<|end|>" }}{%- endif %}
{%- set last = namespace(name=none) %}
{%- for m in messages %}
    {%- if m.role == 'assistant' and m.tool_calls %}{%- set tc = m.tool_calls[0].function %}{{- "<|start|>assistant to=functions." + tc.name + "<|channel|>commentary json<|message|>" + tc.arguments|tojson + "<|call|>" }}{%- set last.name = tc.name %}
    {%- elif m.role == 'tool' %}{%- if last.name is none %}{{- raise_exception("tool message without call") }}{%- endif %}{{- "<|start|>functions." + last.name + "<|message|>" + m.content|tojson + "<|end|>" }}
    {%- elif m.role == 'assistant' %}{%- if 'thinking' in m %}{{- "<|channel|>analysis<|message|>" + m.thinking + "<|end|>" }}{%- endif %}{{- "<|start|>assistant<|channel|>final<|message|>" + m.content + "<|end|>" }}
    {%- else %}{{- "<|start|>" + m.role + "<|message|>" + m.content + "<|end|>" }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt -%}<|start|>assistant{%- endif -%}""",
    "smollm3": "{%- if enable_thinking is not defined -%}{%- set enable_thinking = true -%}{%- endif -%}{%- set mode = '/think' if enable_thinking else '/no_think' -%}{{- '<|im_start|>system\\n' -}}Mode: {{ mode }}\n{%- if tools -%}{%- set ns = namespace(x='') -%}{%- for t in tools -%}{%- set ns.x = ns.x ~ (t|string) ~ '\\n' -%}{%- endfor -%}{{- ns.x -}}{%- endif -%}{{- '<|im_end|>\\n' -}}{%- for m in messages -%}{%- set content = m.content if m.content is string else '' -%}{%- if m.role == 'assistant' -%}{%- generation -%}{{- '<|im_start|>assistant\\n' + content.lstrip('\\n') + '<|im_end|>\\n' -}}{%- endgeneration -%}{%- else -%}{{- '<|im_start|>' + m.role + '\\n' + content + '<|im_end|>\\n' -}}{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' }}{%- if not enable_thinking -%}{{- '<think>\\n\\n</think>\\n' -}}{%- endif -%}{%- endif -%}",
    "glm4": "[gMASK]<sop>{%- if tools -%}<|system|>\n# tools\n{% for t in tools %}\n{{ t.function | tojson(ensure_ascii=False) }}\n{% endfor %}{%- endif -%}{%- macro visible(content) -%}{%- if content is string -%}{{- content }}{%- elif content is iterable and content is not mapping -%}{%- for i in content -%}{%- if i is mapping and i.type == 'text' -%}{{- i.text }}{%- endif -%}{%- endfor -%}{%- endif -%}{%- endmacro -%}{%- for m in messages %}{%- if m.role == 'assistant' %}<|assistant|>{%- if m.content %}\n{{ visible(m.content).strip() }}{%- endif %}{%- for tc in m.tool_calls or [] %}\n<tool_call>{{ tc.function.name }}{% set args = tc.function.arguments %}{% for k, v in args|items %}\n<arg_key>{{ k }}</arg_key>\n<arg_value>{{ v | tojson(ensure_ascii=False) if v is not string else v }}</arg_value>{% endfor %}\n</tool_call>{%- endfor %}{%- else %}<|{{ m.role }}|>\n{{ visible(m.content) }}{%- endif %}{%- endfor %}{%- if add_generation_prompt -%}<|assistant|>{{ '\\n<think></think>' if (enable_thinking is defined and not enable_thinking) else '' }}{%- endif -%}",
    "olmo": "{{ bos_token }}{%- set has_system = messages|selectattr('role', 'equalto', 'system')|list|length > 0 -%}{%- if not has_system -%}{{- '<|system|>\\nYou are helpful.\\n' -}}{%- endif -%}{% for m in messages %}{% if m['role'] == 'assistant' %}{% if not loop.last %}{{ '<|assistant|>\\n' + (m['content'] or '') + eos_token + '\\n' }}{% else %}{{ '<|assistant|>\\n' + (m['content'] or '') + eos_token }}{% endif %}{% else %}{{ '<|' ~ m['role'] ~ '|>\\n' ~ m['content'] ~ '\\n' }}{% endif %}{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}{% endfor %}",
    "functionary": "{%- macro param(p, ind) -%}{%- for k, v in p.properties|dictsort -%}{{ '\\n' ~ ' ' * ind ~ '// ' ~ (v.description|default('')|replace('\\n', ' ')) ~ '\\n' ~ ' ' * ind ~ k ~ ('' if k in (p.required|default([])) else '?') ~ ': ' }}{%- if v.type == 'object' -%}{{ '{' ~ param(v, ind + 2) ~ '}' }}{%- else -%}{{ v.type|default('any') }}{%- endif -%}{%- endfor -%}{%- endmacro -%}{% for t in tools or [] %}{{ t.function.name }}{{ param(t.function.parameters, 2) }}\n{% endfor %}{% for m in messages %}{% if m.tool_calls is defined and m.tool_calls %}{% for tc in m.tool_calls %}{{ '>>>' ~ tc.function.name ~ '\\n' ~ tc.function.arguments }}{% endfor %}{% else %}{{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\\n\\n>>>all\\n' ~ m.content ~ '<|eot_id|>' }}{% endif %}{% endfor %}",
}

SYSTEM = {"role": "system", "content": " You are terse. "}
USER = {"role": "user", "content": "What's 2+2? Grüße <b>&\"日本\" 😀\n"}
PARTS = {"role": "user", "content": [{"type": "text", "text": "look "}, {"type": "image"}, {"type": "text", "text": "here"}]}
ANSWER = {"role": "assistant", "content": "<think>\nhm\n</think>\n\n4"}
REASON = {"role": "assistant", "content": "4", "reasoning_content": "two and two", "thinking": "two and two"}


def calls(arguments, ident, content=""):
    return {"role": "assistant", "content": content, "tool_calls": [{"id": ident, "type": "function", "function": {"name": "get", "arguments": arguments}}]}


RESULT = {"role": "tool", "tool_call_id": "abcdefghi", "name": "get", "content": "{\"t\": 21.5}"}
CONVERSATIONS = [
    [USER], [SYSTEM, USER], [USER, ANSWER, USER], [SYSTEM, USER, REASON], [PARTS], [USER, USER], [SYSTEM], [],
    [USER, calls({"city": "Köln", "n": 1.0, "deep": {"a": [None, True]}}, "abcdefghi"), RESULT], [USER, calls("{\"city\": \"X\"}", "call_1"), RESULT, RESULT, USER],
    [USER, calls({}, "abcdefghi", None), RESULT, ANSWER, USER], [ANSWER, RESULT],
]
TOOLS = [{"type": "function", "function": {"name": "get", "description": "Gets 'it'", "parameters": {"type": "object", "properties": {
    "city": {"type": "string", "description": "a\ncity"}, "unit": {"type": "string", "enum": ["c", "f"]}, "n": {"type": ["integer", "null"]},
    "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number", "default": 1e-7}}}}}, "required": ["city"]}}}]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_family(family):
    cases = []
    for messages, tools, gen, extra in itertools.product(CONVERSATIONS, (None, TOOLS), (True, False), ({}, {"enable_thinking": False, "documents": [{"title": "t", "text": "x"}]})):
        cases.append((FAMILIES[family], {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": gen, "bos_token": "<s>", "eos_token": "</s>"} | extra))
    printed = 0
    for (template, variables), got in zip(cases, jo.wick(cases)):
        kind, want = jo.oracle(template, variables)
        assert (got.get("out") == want) if kind == "out" else "error" in got, (variables["messages"], want, got)
        printed += kind == "out"
    assert printed >= 4
