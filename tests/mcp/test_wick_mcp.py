"""`wick mcp`: servers of a file listed and called, and a model offered as a server, read by the `mcp` package of PyPI."""
import asyncio
import json
import os
import pathlib
import subprocess
import sys

import pytest
from mcp import Client, StdioServerParameters
from mcp_common import EVERYTHING, ROOT, python

WICK = os.environ.get("WICK_BIN") or str(ROOT / "build/release/wick")
MODEL = ROOT / "models/wick-shell"


def wick(*args, ok=True, env=None):
    r = subprocess.run([WICK, *map(str, args)], capture_output=True, text=True, timeout=60, check=False,
                       env={**os.environ, **(env or {})})
    assert (r.returncode == 0) == ok, r.stderr
    return r


@pytest.fixture
def tools(tmp_path):
    f = tmp_path / "mcp.json"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text("alpha")
    command, *args = python("sdk_server.py")
    f.write_text(json.dumps({
        "mcpServers": {"sdk": {"command": command, "args": args, "env": {"WHO": "${WICK_TEST_WHO}"}},
                       "second": {"command": command, "args": args},
                       "off": {"command": "nothing", "disabled": True}},
        "commands": {"env": {"command": ["env"], "safe": True}},
        "builtin": {"calculate": True, "read_file": {"folders": ["docs"]}}}))
    return f


def test_list_call_ping(tools):
    env = {"WICK_TEST_WHO": "me", "WICK_TEST_SECRET": "s3cret"}
    out = json.loads(wick("mcp", "list", tools, "--json", env=env).stdout)
    names = [t["function"]["name"] for t in out["tools"]]
    assert names == ["calculate", "read_file", "env", "add", "fail", "second_add", "second_fail"]
    assert {s["name"]: s["protocol"] for s in out["servers"]} == {"sdk": "2026-07-28", "second": "2026-07-28"}
    assert wick("mcp", "call", tools, "add", '{"a": 15, "b": 27}', env=env).stdout == "42\n"
    assert wick("mcp", "call", tools, "read_file", '{"path": "a.txt"}', env=env).stdout == "alpha\n"
    got = wick("mcp", "call", tools, "env", env=env).stdout
    assert "PATH=" in got and "s3cret" not in got and "WICK_TEST_WHO" not in got
    assert json.loads(wick("mcp", "ping", tools, "--json", env=env).stdout)["ok"] is True


@pytest.mark.parametrize("args,says", [(["add", '{"a": 1}'], '"b" is missing'), (["add", '{"a": 1, "b": "x"}'], "must be of type"),
                                       (["nothing"], "no tool"), (["add", "{"], "arguments"), (["fail"], "Error executing tool fail")])
def test_calls_that_fail(tools, args, says):
    r = wick("mcp", "call", tools, *args, ok=False, env={"WICK_TEST_WHO": "me"})
    assert says in r.stderr and len(r.stderr.strip().splitlines()) == 1


def test_files_that_are_wrong(tools):
    assert "WICK_TEST_WHO" in wick("mcp", "list", tools, ok=False).stderr
    assert "no-such-file" in wick("mcp", "list", "no-such-file", ok=False).stderr
    assert "unknown" in wick("mcp", "list", '{"server": {}}', ok=False).stderr
    assert "there are list" in wick("mcp", "dance", tools, ok=False).stderr


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_model_as_server(mode):
    seen = []

    async def progress(done, total, message):
        seen.append(done)

    async def drive():
        async with Client(StdioServerParameters(command=WICK, args=["mcp", "serve", str(MODEL)]), mode=mode) as c:
            tools = {t.name: t for t in (await c.list_tools()).tools}
            assert set(tools) >= {"chat", "complete", "embed", "tokenize"}
            r = await c.call_tool("chat", {"prompt": "list all files", "temperature": 0}, progress_callback=progress)
            assert not r.is_error and r.structured_content["finish_reason"] == "stop" and "ls" in r.content[0].text
            assert seen
            plain = await c.call_tool("chat", {"messages": [{"role": "user", "content": "list all files"}], "temperature": 0})
            assert plain.content[0].text == r.content[0].text
            ids = (await c.call_tool("tokenize", {"text": "list all files"})).structured_content
            assert ids["n"] == len(ids["ids"]) > 0
            vectors = (await c.call_tool("embed", {"input": ["a file", "b"]})).structured_content["embeddings"]
            assert len(vectors) == 2 and abs(sum(x * x for x in vectors[0]) - 1) < 1e-4
            short = await c.call_tool("complete", {"prompt": "find", "max_tokens": 3, "temperature": 0})
            assert short.structured_content["usage"]["completion_tokens"] <= 3
            for bad in ({"prompt": "x", "max_tokens": 0}, {"prompt": "x", "temperature": -5}, {"messages": []}, {"messages": [7]}):
                assert (await c.call_tool("chat", bad)).is_error, bad
            many = await asyncio.gather(*(c.call_tool("chat", {"prompt": "list all files", "temperature": 0}) for _ in range(8)))
            assert {m.content[0].text for m in many} == {r.content[0].text}
            sh = await c.call_tool("shell_command", {"request": "list all files"})
            assert json.loads(sh.content[0].text)["command"].startswith("ls") and (await c.call_tool("shell_command", {"request": ""})).is_error
            models = json.loads((await c.read_resource("wick://models")).contents[0].text)
            assert models[0]["id"] == "wick-shell"
            assert "in a few sentences" in (await c.get_prompt("summarize", {"text": "x"})).messages[0].content.text

    asyncio.run(drive())


def test_it_uses_itself(tmp_path):
    """The tools of a model server, through the client, from a file: both halves and a real model."""
    config = json.dumps({"mcpServers": {"wick": {"command": WICK, "args": ["mcp", "serve", str(MODEL)]},
                                        "every": {"command": str(EVERYTHING)}}})
    r = wick("mcp", "call", config, "chat", '{"prompt": "list all files", "temperature": 0}')
    assert "ls" in r.stdout
    assert pathlib.Path(MODEL).exists()


def test_cancelling_without_a_session(tmp_path):
    """Over standard input a request of the stateless revision ends with notifications/cancelled, and is not answered."""
    sys.path.insert(0, str(ROOT / "tests/e2e"))
    from server_common import make_model
    make_model(tmp_path / "tiny")
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    p = subprocess.Popen([WICK, "mcp", "serve", str(tmp_path / "tiny")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(i, method, **params):
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        p.stdin.write(json.dumps(message | ({"id": i, "params": {**params, "_meta": meta}} if i else {})) + "\n")
        p.stdin.flush()

    meta["progressToken"] = "p"
    send(1, "tools/call", name="complete", arguments={"prompt": "quick", "max_tokens": 1900, "seed": 1})
    assert json.loads(p.stdout.readline())["method"] == "notifications/progress"  # it runs
    send(None, "notifications/cancelled", requestId=1)
    send(2, "tools/call", name="tokenize", arguments={"text": "a"})
    p.stdin.close()  # what runs would be finished first
    lines = [json.loads(line) for line in p.stdout]
    assert p.wait(20) == 0 and [m["id"] for m in lines if "id" in m] == [2], lines


def test_http_get_follows_nothing():
    """A host that is allowed cannot lead to one that is not."""
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302 if self.path != "/ok" else 200)
            self.send_header("Location", {"/a": "http://127.0.0.2:1/", "/b": "file:///etc/passwd", "/c": "/ok"}.get(self.path, "/"))
            self.end_headers()
            self.wfile.write(b"fine")

        def log_message(self, *args):
            pass

    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    config = json.dumps({"builtin": {"http_get": {"hosts": ["127.0.0.1"]}}})
    base = f"http://127.0.0.1:{s.server_port}"
    assert wick("mcp", "call", config, "http_get", json.dumps({"url": base + "/ok"})).stdout == "fine\n"
    for path in ("/a", "/b", "/c"):
        assert "redirect" in wick("mcp", "call", config, "http_get", json.dumps({"url": base + path}), ok=False).stderr
    named = json.dumps({"builtin": {"http_get": {"hosts": ["localhost"]}}})  # a name that leads inside
    assert "private address" in wick("mcp", "call", named, "http_get", json.dumps({"url": f"http://localhost:{s.server_port}/ok"}), ok=False).stderr
    s.shutdown()
