"""The same conversation gives the same prompt through the server, the C API and the CLI, for templates of several families and
all shapes that clients send; and where one refuses, all do, by the same name."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from server_common import ROOT, Server, make_model

sys.path.insert(0, str(ROOT / "tests" / "parity"))
from chat_conversations import SENT, TOOL, answer, user  # noqa: E402
from test_chat_families import FAMILIES  # noqa: E402

TOOLS = Path(os.environ.get("WICK_TOOLS", "/nowhere"))
pytestmark = pytest.mark.skipif(not (TOOLS / "wick_chat").is_file() or not (TOOLS / "wick_capi").is_file(), reason="the test tools are not built (WICK_TOOLS)")
# One of each kind: system refused; strict order and ids of nine characters; no tools at all; arguments walked; reasoning.
CHOSEN = ["gemma", "llama-2", "mistral", "chatml", "qwen3", "glm4", "deepseek-r1"]
WRONG = [([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}], None, "messages[0].content[0]"),
         ([user("x"), {"role": "assistant", "tool_calls": [{"function": {}}]}], None, "messages[1].tool_calls[0].function.name"),
         ([user("x")], [{"type": "function", "function": {"name": 5}}], "tools[0].function.name")]


def lines(command, requests):
    p = subprocess.run(list(map(str, command)), input="".join(json.dumps(r) + "\n" for r in requests), capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, p.stderr
    return [json.loads(x) for x in p.stdout.splitlines()]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("talk")
    make_model(folder / "tiny", ctx=4096)
    return folder / "tiny"


@pytest.fixture(scope="module")
def server(model):
    config = model.parent / "server.yaml"
    config.write_text(json.dumps({"models": [{"path": str(model), "id": name, "chat_template": FAMILIES[name], "preload": False} for name in CHOSEN]}))
    with Server("--config", config) as s:
        yield s


@pytest.mark.parametrize("name", CHOSEN)
def test_same_prompt_everywhere(name, model, server, wick):
    cases = [(m, tools) for m, tools, _ in SENT.values()]
    wanted = lines([TOOLS / "wick_chat"], [{"template": FAMILIES[name], "messages": m, "tools": t} for m, t in cases])
    with_capi = lines([TOOLS / "wick_capi", model, FAMILIES[name]], [{"messages": m, "tools": t} for m, t in cases])
    bos, eos = "<|bos|>", "<|eos|>"
    for i, ((m, tools), want, capi) in enumerate(zip(cases, wanted, with_capi)):
        assert "error" not in want, want
        want = want["prompt"].replace("</s>", eos).replace("<s>", bos)
        assert capi["prompt"] == want and capi["answered"], (m, capi)
        body = {"model": name, "messages": m} | ({"tools": tools} if tools else {})
        status, _, got = server.post("/v1/apply-template", body)
        assert status == 200 and got["prompt"] == want, (m, got)
        if i % 6 == 0:
            status, _, got = server.post("/v1/chat/completions", body | {"max_tokens": 1})
            assert status == 200 and got["usage"]["prompt_tokens"] > 0, got
            extra = ["--tools", json.dumps(tools)] if tools else []
            assert wick.ok("template", model, "--chat-template", FAMILIES[name], "--messages", json.dumps(m), *extra).stdout == want


@pytest.mark.parametrize("messages,tools,place", WRONG)
def test_same_refusal_everywhere(messages, tools, place, model, server):
    body = {"model": "chatml", "messages": messages} | ({"tools": tools} if tools else {})
    status, _, got = server.post("/v1/chat/completions", body | {"max_tokens": 1})
    assert status == 400 and place in got["error"]["message"], got
    (capi,) = lines([TOOLS / "wick_capi", model, FAMILIES["chatml"]], [{"messages": messages, "tools": tools}])
    assert place in capi["error"]


def test_continued_everywhere(model, server):
    messages = [user("q"), answer("It is")]
    (capi,) = lines([TOOLS / "wick_capi", model, FAMILIES["qwen3"]], [{"messages": messages, "continue": True}])
    got = server.post("/v1/apply-template", {"model": "qwen3", "messages": messages, "add_generation_prompt": False, "continue_final_message": True})[2]["prompt"]
    assert capi["prompt"] == got and got.endswith("It is")


def test_run_with_a_system_text(model, wick):
    """`wick run --system` with a template that refuses system messages, and a second turn of the chat."""
    assert wick.ok("run", model, "hi", "--system", "be kind", "--chat-template", FAMILIES["gemma"], "-n", "1").stdout
    assert wick.ok("run", model, "--system", "be kind", "--chat-template", FAMILIES["llama-2"], "-n", "1", stdin="hi\nagain\n").returncode == 0


def test_template_errors_name_no_path(model, server, tmp_path):
    broken = tmp_path / "secret-place"
    broken.mkdir()
    for f in model.iterdir():
        (broken / f.name).symlink_to(f)
    (broken / "chat_template.jinja").write_text("{{ raise_exception('no way') }}")
    with Server(broken) as s:
        status, _, got = s.post("/v1/chat/completions", {"messages": [user("x")], "tools": TOOL})
        assert status == 400 and "no way" in got["error"]["message"] and "secret-place" not in json.dumps(got)
