"""Scripted models that call tools in any of the syntaxes: their templates write calls as the family does, and so do their answers."""
import json
import os
import subprocess
import sys

from mcp_common import ROOT, TOOLS

os.environ.setdefault("WICK_BIN", str(ROOT / "build/release/wick"))
sys.path.insert(0, str(ROOT / "tests/tools"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
import scripted  # noqa: E402

LAST = "messages[-1].content"
SAID = "(messages[-1].content if messages[-1].content is string else '')"
LOOP = "{% for c in m.tool_calls or [] %}\n<tool_call>\n" + '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}' + "\n</tool_call>{% endfor %}"
CALLS = [[["wickTool", {"wickKey": "wickValue"}]], [["calculate", {"expression": "15 + 27"}]], [["add", {"a": 15, "b": 27}]],
         [["calculate", {"expression": "15 + 27"}], ["calculate", {"expression": "6 * 7"}]]]


def syntaxes():
    """[{"name", "parallel", "texts": [of the four CALLS]}]"""
    out = subprocess.run([TOOLS / "wick_calls", *map(json.dumps, CALLS)], capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def call(name, arguments):
    """In hermes' syntax."""
    return f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments)}}}\n</tool_call>'


def write_model(folder, row):
    """A model of that syntax: it calls `calculate` (or `add`) once, or twice where it is asked for both, and then tells the results."""
    probe, one, add, two = (f"{{% raw %}}{t}{{% endraw %}}" for t in row["texts"])
    probe = probe.replace("wickTool", "{% endraw %}{{ c.function.name }}{% raw %}")
    calls = ("{% if m.tool_calls %}{% if m.tool_calls[0].function.name == 'add' %}" + add + "{% elif m.tool_calls[0].function.name == 'calculate' %}"
             + "{% if m.tool_calls | length > 1 %}" + two + "{% else %}" + one + "{% endif %}{% else %}{% for c in m.tool_calls %}" + probe + "{% endfor %}{% endif %}{% endif %}")
    assert LOOP in scripted.TEMPLATE
    scripts = [{"when": f"messages[-1].role == 'tool' and messages[-2].role == 'tool' and {LAST} == '42' and messages[-2].content == '42'",
                "say": "Both are forty-two."},
               {"when": f"messages[-1].role == 'tool' and {LAST} == '42'", "say": "The sum: 42."},
               {"when": "messages[-1].role == 'tool'", "say": "That went wrong!"},
               {"when": "tools and tools[0].function.name == 'add'", "say": row["texts"][2]},
               {"when": "not tools", "say": "I have nothing to call."}]
    if row["parallel"]:
        scripts.append({"when": f"'both' in {SAID}", "say": row["texts"][3]})
    scripts.append({"when": None, "say": row["texts"][1]})
    return scripted.write_scripted_model(folder, scripts, template=scripted.TEMPLATE.replace(LOOP, calls), size=3)
