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


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    out = tmp_path_factory.mktemp("bin") / "tools"
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", str(ROOT / "examples/tools.c"), "-o", str(out),
                    f"-L{LIB}", "-lwick", f"-Wl,-rpath,{LIB}"], check=True)
    return out


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
