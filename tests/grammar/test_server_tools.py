"""Forced calls of random models over HTTP: whatever the model would say, what comes out is calls of the tools that may be called, with
arguments that fulfil their schemas, in the syntax that the template teaches; marks that are control tokens of the vocabulary too."""
import json
import sys
from pathlib import Path

import jsonschema
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from server_common import WICK, Server, make_model  # noqa: E402
from test_server_grammar import post  # noqa: E402

HEAD = ("{% if tools %}<|start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|end|>\n{% endif %}{% for m in messages %}<|start|>{{ m.role }}\n"
        "{% if m.content %}{{ m.content }}{% endif %}")
TAIL = "<|end|>\n{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
EACH = "{% if m.tool_calls %}BEGIN{% for c in m.tool_calls %}CALL{% if not loop.last %}BETWEEN{% endif %}{% endfor %}END{% endif %}"
ARGS = "{{ c.function.arguments | tojson }}"
NAME = "{{ c.function.name }}"
PARAMS = "{% for k, v in c.function.arguments.items() %}ONE{% endfor %}"
VALUE = "{{ v if v is string else v | tojson }}"


def calls(call, begin="", between="", end=""):
    return HEAD + EACH.replace("BEGIN", begin).replace("CALL", call).replace("BETWEEN", between).replace("END", end) + TAIL


# name -> template, marks that are control tokens
SYNTAXES = {
    "hermes": (calls('<tool_call>\n{"name": "' + NAME + '", "arguments": ' + ARGS + "}\n</tool_call>", between="\n"), []),
    "qwen3-coder": (calls("<tool_call>\n<function=" + NAME + ">\n" + PARAMS.replace("ONE", "<parameter={{ k }}>\n" + VALUE + "\n</parameter>\n") +
                          "</function>\n</tool_call>", between="\n"), ["<tool_call>", "</tool_call>"]),
    "glm4": (calls("<tool_call>" + NAME + "\n" + PARAMS.replace("ONE", "<arg_key>{{ k }}</arg_key>\n<arg_value>" + VALUE + "</arg_value>\n") + "</tool_call>",
                   between="\n"), ["<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"]),
    "lfm2": (calls(NAME + "({% for k, v in c.function.arguments.items() %}{{ k }}={{ v | tojson }}{% if not loop.last %}, {% endif %}{% endfor %})",
                   "<|tool_call_start|>[", ", ", "]<|tool_call_end|>"), ["<|tool_call_start|>", "<|tool_call_end|>"]),
    "mistral": (calls('{"name": "' + NAME + '", "arguments": ' + ARGS + ', "id": "{{ c.id }}"}', "[TOOL_CALLS][", ", ", "]"), ["[TOOL_CALLS]"]),
    "deepseek-v3.1": (calls("<｜tool▁call▁begin｜>" + NAME + "<｜tool▁sep｜>" + ARGS + "<｜tool▁call▁end｜>", "<｜tool▁calls▁begin｜>", "", "<｜tool▁calls▁end｜>"),
                      ["<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"]),
    "llama": (calls('{"name": "' + NAME + '", "parameters": ' + ARGS + "}"), []),
}
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "maxLength": 6}, "days": {"type": "integer", "minimum": 1, "maximum": 14},
                                         "unit": {"enum": ["celsius", "fahrenheit"]}, "exact": {"type": "boolean"}},
        "required": ["city", "unit"], "additionalProperties": False}}},
    {"type": "function", "function": {"name": "get", "strict": True, "parameters": {
        "type": "object", "properties": {"note": {"type": ["string", "null"], "maxLength": 4}, "list": {"type": "array", "items": {"type": "string", "maxLength": 3},
                                                                                                      "maxItems": 2}},
        "required": ["note"], "additionalProperties": False}}},
    {"type": "function", "function": {"name": "stop", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}},
]
SCHEMAS = {t["function"]["name"]: t["function"]["parameters"] for t in TOOLS}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not WICK:
        pytest.skip("WICK_BIN")
    from tokenizers import AddedToken, Tokenizer
    folder = tmp_path_factory.mktemp("tools")
    for name, (template, marks) in SYNTAXES.items():
        out = folder / name
        make_model(out)
        doc = json.loads((out / "tokenizer.json").read_text())
        vocab = doc["model"]["vocab"]
        for piece in sorted(vocab, key=vocab.get)[len(vocab) - len(marks):] if marks else []:  # the model has 512 rows
            del vocab[piece]
            doc["model"]["merges"] = [m for m in doc["model"]["merges"] if "".join(m if isinstance(m, list) else m.split(" ")) != piece]
        (out / "tokenizer.json").write_text(json.dumps(doc))
        t = Tokenizer.from_file(str(out / "tokenizer.json"))
        t.add_special_tokens([AddedToken(m, special=True, normalized=False) for m in marks])
        assert t.get_vocab_size() <= 512
        t.save(str(out / "tokenizer.json"))
        config = json.loads((out / "tokenizer_config.json").read_text())
        (out / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
    with Server(*[folder / name for name in SYNTAXES]) as s:
        yield s


def ask(server, model, **more):
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 300, "tools": TOOLS, "top_p": 1, **more}
    return post(server, "/chat/completions", body)


def check(status, out, names, least=1):
    """Every whole answer is calls; returns how many there were."""
    assert status == 200, out
    whole = 0
    for choice in out["choices"]:
        message = choice["message"]
        if choice["finish_reason"] == "length":
            continue
        assert choice["finish_reason"] == "tool_calls" and not message["content"], out
        assert len(message["tool_calls"]) >= least
        for call in message["tool_calls"]:
            assert call["function"]["name"] in names
            jsonschema.Draft202012Validator(SCHEMAS[call["function"]["name"]]).validate(json.loads(call["function"]["arguments"]))
        whole += 1
    return whole


@pytest.mark.parametrize("model", list(SYNTAXES))
def test_forced(server, model):
    whole = 0
    for temperature, parallel in ((0, False), (1, False), (2, True)):
        whole += check(*ask(server, model, tool_choice="required", temperature=temperature, seed=1, n=1 if temperature == 0 else 6,
                            parallel_tool_calls=parallel), SCHEMAS)
    assert whole >= 4
    named = ask(server, model, tool_choice={"type": "function", "function": {"name": "get"}}, temperature=1, seed=4, n=4)
    assert check(*named, ["get"]) >= 1
    assert all(len(c["message"].get("tool_calls") or []) <= 1 for c in named[1]["choices"])
    some = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": n}} for n in ("stop", "get")]}}
    assert check(*ask(server, model, tool_choice=some, temperature=1, seed=5, n=4, parallel_tool_calls=False), ["stop", "get"]) >= 1


@pytest.mark.parametrize("model", ["hermes", "lfm2"])
def test_free_text(server, model):
    status, out = ask(server, model, max_tokens=40, temperature=1, seed=1, n=4)
    assert status == 200
    for choice in out["choices"]:
        for call in choice["message"].get("tool_calls") or []:
            assert call["function"]["name"] in SCHEMAS
        assert choice["message"]["content"] or choice["message"].get("tool_calls")


def test_other_dialects(server):
    claude = [{"name": t["function"]["name"], "input_schema": t["function"]["parameters"]} for t in TOOLS]
    for choice, names in (({"type": "any"}, SCHEMAS), ({"type": "tool", "name": "stop"}, ["stop"])):
        status, out = post(server, "/v1/messages" if not server.url.rstrip("/").endswith("/v1") else "/messages",
                           {"model": "hermes", "max_tokens": 300, "messages": [{"role": "user", "content": "hello"}], "tools": claude, "tool_choice": choice})
        assert status == 200, out
        if out["stop_reason"] != "max_tokens":
            assert out["stop_reason"] == "tool_use"
            for block in out["content"]:
                assert block["type"] == "tool_use" and block["name"] in names
                jsonschema.validate(block["input"], SCHEMAS[block["name"]])
    path = "/v1/responses" if not server.url.rstrip("/").endswith("/v1") else "/responses"
    flat = [{"type": "function", **t["function"]} for t in TOOLS]
    status, out = post(server, path, {"model": "hermes", "input": "hello", "max_output_tokens": 300, "tools": flat, "tool_choice": {"type": "function", "name": "stop"}})
    assert status == 200 and out["tool_choice"] == {"type": "function", "name": "stop"}, out
    assert [(i["type"], i["name"], i["arguments"].strip()[:1]) for i in out["output"]] == [("function_call", "stop", "{")]
    form = {"type": "json_schema", "name": "x", "strict": True, "schema": {"type": "object", "properties": {"a": {"enum": ["b", "c"]}}, "required": ["a"],
                                                                           "additionalProperties": False}}
    status, out = post(server, path, {"model": "hermes", "input": "hello", "max_output_tokens": 200, "text": {"format": form}})
    assert status == 200 and out["text"]["format"] == form, out
    if out["status"] == "completed":
        assert json.loads(out["output"][-1]["content"][0]["text"])["a"] in "bc"


def test_problems(server):
    weird = [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object", "$ref": "other.json"}}}]
    for more, part in (({"tool_choice": {"type": "function", "function": {"name": "nope"}}}, "nope"), ({"tools": [], "tool_choice": "required"}, "no tools"),
                       ({"tools": weird}, "other.json"), ({"tool_choice": {"type": "allowed_tools"}}, "mode"), ({"tool_choice": "any"}, "tool_choice")):
        status, out = ask(server, "hermes", **more)
        assert status == 400 and part in out["error"]["message"], out
    del weird[0]["function"]["strict"]
    assert ask(server, "hermes", tools=weird, max_tokens=4)[0] == 200
