"""The tool loop through the C API with a scripted model: "What is 15 + 27?" is answered with 42, in one call or many."""
import os
import shutil
import subprocess
import sys

import pytest
from mcp_common import ROOT, python

sys.path.insert(0, str(ROOT / "tests/tools"))
scripted = pytest.importorskip("scripted")

LIB = (os.path.dirname(os.environ["WICK_BIN"]) if os.environ.get("WICK_BIN") else str(ROOT / "build/release"))
pytestmark = pytest.mark.skipif(not os.path.exists(LIB + "/libwick.so") or not shutil.which("cc"), reason="libwick.so is not built")

LAST = "messages[-1].content"


def call(name, arguments):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def build(source, folder):
    out = folder / source.stem
    subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", str(source), "-o", str(out),
                    f"-L{LIB}", "-lwick", f"-Wl,-rpath,{LIB}"], check=True)
    return out


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(ROOT / "examples/tools.c", tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return build(ROOT / "tests/mcp/own_tools.c", tmp_path_factory.mktemp("bin"))


def ask(program, folder, scripts, question, *more):
    model = scripted.write_scripted_model(folder / "model", scripts)
    r = subprocess.run([program, model, question, *map(str, more)], capture_output=True, text=True, timeout=60, check=False)
    return r.stdout.strip(), r.stderr.strip().splitlines(), r.returncode


def test_15_plus_27(program, tmp_path):
    out, log, rc = ask(program, tmp_path, [
        {"when": f"messages[-1].role == 'tool' and {LAST} == '42'", "say": "The sum is forty-two: 42."},
        {"when": "messages[-1].role == 'tool'", "say": "That went wrong."},
        {"when": "tools and tools[0].function.name == 'add'", "say": call("add", '{"a": 15, "b": 27}')},
        {"when": None, "say": "no tools"}], "Calculate 15 + 27")
    assert (out, rc) == ("The sum is forty-two: 42.", 0), log
    assert log == ['-> add {"a": 15, "b": 27}', "<- 42"]


def test_several_calls_and_a_mistake(program, tmp_path):
    """Two calls in one answer, of which one does not fit its schema; the model reads both and tries again."""
    out, log, _ = ask(program, tmp_path, [
        {"when": f"messages[-1].role == 'tool' and {LAST} == '7'", "say": "Seven, in the end."},
        {"when": f"messages[-1].role == 'tool' and 'is missing' in {LAST}", "say": call("add", '{"a": 3, "b": 4}')},
        {"when": None, "say": call("add", '{"a": 1, "b": 1}') + "\n" + call("add", '{"a": 9}')}], "go")
    assert out == "Seven, in the end."
    assert [x for x in log if x.startswith("<-")] == ["<- 2", '<- (failed) error: arguments: "b" is missing', "<- 7"]


def test_a_loop_without_end_is_cut(program, tmp_path):
    out, log, rc = ask(program, tmp_path, [{"when": None, "say": call("add", '{"a": 1, "b": 2}')}], "go")
    assert rc == 0 and out == "" and log.count("<- 3") == 8


def test_tools_of_an_mcp_server(program, tmp_path):
    """The same question with the server's `fail` and a built-in tool: results and errors of all kinds reach the model."""
    command, *args = python("sdk_server.py")
    config = tmp_path / "mcp.json"
    config.write_text(__import__("json").dumps({"mcpServers": {"sdk": {"command": command, "args": args}},
                                                "builtin": {"calculate": True}}))
    out, log, _ = ask(program, tmp_path, [
        {"when": f"messages[-1].role == 'tool' and {LAST} == '84'", "say": "Eighty-four."},
        {"when": f"messages[-1].role == 'tool' and 'error' in {LAST}", "say": call("calculate", '{"expression": "42*2"}')},
        {"when": None, "say": call("fail", "{}")}], "go", config)
    assert out == "Eighty-four.", log


ADDS = [{"when": f"messages[-1].role == 'tool' and {LAST} == '42'", "say": "Forty-two."},
        {"when": "messages[-1].role == 'tool' and 'forever' not in messages[0].content", "say": "No sum."},
        {"when": "not tools", "say": "No tools here."},
        {"when": "'three' in messages[0].content and messages[-1].role == 'user'", "say": "\n".join(call("add", f'{{"a": {n}, "b": {42 - n}}}') for n in (15, 16, 17))},
        {"when": None, "say": call("add", '{"a": 15, "b": 27}')}]


@pytest.mark.parametrize("mode,question,answer,calls", [
    ("own", "sum", "Forty-two.|1|0", 1), ("hide", "sum", "Forty-two.|1|0", 1), ("deny", "sum", "No sum.|1|0", 1),
    ("plain", "sum", "No tools here.|1|0", 0), ("side", "three", "Forty-two.|1|0", 3), ("own", "three", "Forty-two.|1|0", 3)])
def test_tools_of_one_request(own, tmp_path, mode, question, answer, calls):
    out, log, rc = ask(own, tmp_path, ADDS, question, mode)
    assert rc == 0 and out.rsplit("|", 1)[0] == answer and sum(x.startswith("<-") for x in log) == calls, (out, log)
    if mode == "side":  # 0.3 s each
        assert 0.3 <= float(out.rsplit("|", 1)[1]) < 0.75


def test_the_rounds_are_over_and_it_says_so(own, tmp_path):
    scripts = [{"when": None, "say": call("add", '{"a": 1, "b": 2}')}]
    out, log, rc = ask(own, tmp_path, scripts, "forever", "own")
    assert rc == 0 and out.rsplit("|", 1)[0] == "|5|1" and log.count("<- 3") == 3, (out, log)


def test_a_model_as_mcp_server(own):
    """wick_mcp_serve, read by the `mcp` package on both transports."""
    import asyncio

    from mcp import Client, StdioServerParameters
    model = str(ROOT / "models/wick-shell")

    async def drive(target):
        async with Client(target) as c:
            assert {t.name for t in (await c.list_tools()).tools} == {"chat", "complete", "embed", "tokenize"}
            r = await c.call_tool("chat", {"prompt": "list all files", "temperature": 0})
            assert "ls" in r.content[0].text and r.structured_content["finish_reason"] == "stop"
            assert "wick-shell" in (await c.read_resource("wick://models")).contents[0].text

    asyncio.run(drive(StdioServerParameters(command=str(own), args=[model, "serve"])))
    p = subprocess.Popen([own, model, "http"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        asyncio.run(drive(f"http://127.0.0.1:{int(p.stdout.readline())}/mcp"))
        p.stdin.close()
        assert p.wait(20) == 0
    finally:
        p.kill()


def test_every_syntax(program, tmp_path):
    """15 + 27 through the C API in every syntax of calls."""
    from scripted_calls import syntaxes, write_model
    wrong = []
    for row in syntaxes():
        folder = write_model(tmp_path / row["name"], row)
        r = subprocess.run([program, folder, "What is 15 + 27?"], capture_output=True, text=True, timeout=60, check=False)
        if r.stdout.strip() != "The sum: 42." or r.stderr.splitlines()[-1] != "<- 42":
            wrong.append((row["name"], r.stdout, r.stderr))
    assert not wrong, wrong
