"""Every syntax of tool calls through the real server: a scripted model writes its calls in it, at once and streamed, and goes on
after the result.

The templates are made of what the program writes (`wick_chat`): a call without parameters, one with one and one with two show what
stands around names, keys and values. One checkpoint holds all scripts; a model of the server is that checkpoint with a template."""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from scripted import write_scripted_model
from server_common import Server, sse_events

CHAT = Path(os.environ.get("WICK_TOOLS", "")) / "wick_chat"
pytestmark = pytest.mark.skipif(not CHAT.exists(), reason="wick_chat is not built")

NAME, KEY, VALUE = "nameHere", "keyHere", "valueHere"
RESULT = "It is 21 degrees and sunny."
TEMPLATE = """{%- if tools %}<|turn|>system
{{ tools | tojson }}<|end|>
{% endif %}{% for m in messages %}<|turn|>{{ m.role }}
{{ m.content or '' }}{% for c in m.tool_calls or [] %}{% set f = c.function %}CALL{% endfor %}<|end|>
{% endfor %}{% if add_generation_prompt %}<|turn|>assistant
{% if messages[-1].role == 'tool' %}@script_0@{% elif 'both' in messages[-1].content %}@script_BOTH@{% else %}@script_ONE@{% endif %}{% endif %}"""
AT_ONCE = {"mistral", "minicpm5"}  # an id after the arguments; markup that must be whole
PROPERTIES = {"city": {"type": "string"}, "days": {"type": "integer"}, "more": {"type": "array"}, "quick": {"type": "boolean"}}


def ask(*questions):
    r = subprocess.run([CHAT], input="".join(json.dumps(q) + "\n" for q in questions), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in r.stdout.splitlines()]


SYNTAXES = ask({"syntaxes": True})[0] if CHAT.exists() else []


def calls(*named):
    return [{"id": f"call{i:05}", "type": "function", "function": {"name": n, "arguments": a}} for i, (n, a) in enumerate(named)]


def written(syntax, *lists):
    return [a["text"] for a in ask(*({"syntax": syntax, "calls": c} for c in lists))]


def in_jinja(text):
    """Jinja that prints the text, with the call's name, a key and a value where the words for them stand."""
    fills = {NAME: "{{ f.name }}", KEY: "{{ k }}", f'"{VALUE}"': "{{ v | tojson }}", VALUE: "{{ v }}"}
    parts = re.split("(" + "|".join(map(re.escape, fills)) + ")", text)
    return "".join(fills.get(p) or "{{ " + json.dumps(p, ensure_ascii=False) + " }}" for p in parts if p)


def template_of(syntax):
    none, one, two = written(syntax, calls((NAME, {})), calls((NAME, {KEY: VALUE})), calls((NAME, {KEY: VALUE, KEY + "2": VALUE})))
    at = next(i for i in range(len(one)) if none[i:i + 1] != one[i])
    size = len(one) - len(none)
    param, both = one[at:at + size], two[at:len(two) - (len(none) - at)]
    between = both[size:len(both) - len(param.replace(KEY, KEY + "2"))]
    loop = "{% for k, v in f.arguments | items %}{% if not loop.first %}" + in_jinja(between) + "{% endif %}" + in_jinja(param) + "{% endfor %}"
    return TEMPLATE.replace("CALL", in_jinja(none[:at]) + loop + in_jinja(none[at:]))


def named(k, n):
    """The names of the k-th syntax's n calls: no two scripts have the same text."""
    values = lambda i: {"city": f"Köln {k}{n}{i}, \"am Rhein\" {{x}}", "days": 100 * k + 10 * n + i, "more": [k, {"a": [n, i, None]}], "quick": True}
    return [(f"tool{k:02}{chr(97 + i + n)}", values(i)) for i in range(n)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    scripts, models = [{"when": None, "say": RESULT}], []
    folder = tmp_path_factory.mktemp("syntaxes")
    for k, s in enumerate(SYNTAXES):
        one, both = written(s["name"], calls(*named(k, 1)), calls(*named(k, 2)))
        template = template_of(s["name"]).replace("ONE", str(len(scripts))).replace("BOTH", str(len(scripts) + 1))
        scripts += [{"when": None, "say": one}, {"when": None, "say": both}]
        models.append({"path": str(folder / "model"), "id": s["name"], "chat_template": template, "preload": False, "context": 8192})
    write_scripted_model(folder / "model", scripts, context=8192)
    (folder / "server.yaml").write_text(json.dumps({"models": models}))
    with Server("--config", folder / "server.yaml") as s:
        yield s


def tools_of(k):
    names = [n for count in (1, 2) for n, _ in named(k, count)]
    return [{"type": "function", "function": {"name": n, "description": "Weather", "parameters": {"type": "object", "properties": PROPERTIES}}} for n in names]


def streamed(text):
    """The message that the pieces of a stream make, its reason to end, and in how many pieces arguments came."""
    message, pieces, reason = {"content": "", "tool_calls": []}, 0, None
    for e in sse_events(text)[:-1]:
        choice = json.loads(e)["choices"][0]
        message["content"] += choice["delta"].get("content") or ""
        reason = choice["finish_reason"] or reason
        for d in choice["delta"].get("tool_calls", []):
            if "id" in d:
                assert d["index"] == len(message["tool_calls"])
                message["tool_calls"].append(d)
            else:
                pieces += 1
                message["tool_calls"][d["index"]]["function"]["arguments"] += d["function"]["arguments"]
    return message, reason, pieces


def read(message):
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message["tool_calls"]]


@pytest.mark.parametrize("k", range(len(SYNTAXES)), ids=lambda k: SYNTAXES[k]["name"])
def test_conversation(server, k):
    name, tools = SYNTAXES[k]["name"], tools_of(k)
    assert ask({"template": template_of(name)})[0]["calls"] == name
    post = lambda messages, **kw: server.post("/v1/chat/completions", {"model": name, "messages": messages, "tools": tools, **kw})[2]
    for text, want in (("one", named(k, 1)), ("both", named(k, 2))):
        if text == "both" and not SYNTAXES[k]["parallel"]:
            continue
        turn = [{"role": "user", "content": text}]
        choice = post(turn)["choices"][0]
        assert choice["finish_reason"] == "tool_calls" and not choice["message"]["content"] and read(choice["message"]) == want
        message, reason, pieces = streamed(post(turn, stream=True))
        assert reason == "tool_calls" and not message["content"] and read(message) == want and (pieces > len(want) or name in AT_ONCE)
        turn += [choice["message"]] + [{"role": "tool", "tool_call_id": c["id"], "content": "21"} for c in choice["message"]["tool_calls"]]
        assert post(turn)["choices"][0]["message"]["content"] == RESULT
        message, reason, _ = streamed(post(turn, stream=True))
        assert message == {"content": RESULT, "tool_calls": []} and reason == "stop"
