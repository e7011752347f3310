"""`wick serve --mcp`: the server's models over the Model Context Protocol, read by the `mcp` package of PyPI and by plain HTTP."""
import asyncio
import json
import os
import subprocess
import sys
import threading
import time

import httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_common import HERE, ROOT, node

os.environ.setdefault("WICK_BIN", str(ROOT / "build/release/wick"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
from server_common import Server, make_model  # noqa: E402

SHELL = ROOT / "models/wick-shell"
SECRET = "key-of-the-mcp-test"
INIT = {"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}
BOTH = {"Accept": "application/json, text/event-stream"}


def stateless(method, params, i=1):
    """A request of 2026-07-28 and its headers."""
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"}}
    meta |= params.pop("_meta", {})
    head = {**BOTH, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    if "name" in params or "uri" in params:
        head["Mcp-Name"] = params.get("name") or params["uri"]
    return {"jsonrpc": "2.0", "id": i, "method": method, "params": {**params, "_meta": meta}}, head


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Two models: the one that Wick ships, and a random one that is loaded when it is asked for and never stops by itself."""
    folder = tmp_path_factory.mktemp("models")
    make_model(folder / "tiny")
    (folder / "server.yaml").write_text(f"server: {{mcp: true}}\nmodels:\n  - {{path: {SHELL}}}\n  - {{path: {folder}/tiny, id: tiny, preload: false}}\n")
    with Server("--config", folder / "server.yaml") as s:
        s.mcp = f"http://127.0.0.1:{s.port}/mcp"
        yield s


def metric(s, name):
    return [float(line.split()[-1]) for line in s.get("/metrics")[2].splitlines() if line.startswith(name)]


@pytest.mark.parametrize("mode,version", [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_the_python_client(server, mode, version):
    seen = []

    async def progress(done, total, message):
        seen.append(done)

    async def drive():
        async with Client(server.mcp, mode=mode) as c:
            assert c.protocol_version == version
            assert {t.name for t in (await c.list_tools()).tools} >= {"chat", "complete", "embed", "tokenize"}
            r = await c.call_tool("chat", {"prompt": "list all files", "temperature": 0}, progress_callback=progress)
            assert "ls" in r.content[0].text and r.structured_content["finish_reason"] == "stop" and seen
            many = await asyncio.gather(*(c.call_tool("chat", {"prompt": "list all files", "temperature": 0}) for _ in range(12)))
            assert {m.content[0].text for m in many} == {r.content[0].text}
            assert len((await c.call_tool("embed", {"input": ["a", "b"]})).structured_content["embeddings"]) == 2
            models = json.loads((await c.read_resource("wick://models")).contents[0].text)
            assert models[0]["id"] == "wick-shell" and models[0]["loaded"] is True
            assert {m["id"]: m["loaded"] for m in models}.keys() == {"wick-shell", "tiny"}
            bad = await c.call_tool("chat", {"prompt": "x", "model": "nothing"})
            assert bad.is_error and "tiny" in bad.content[0].text
            for wrong in ({"prompt": 7}, {"prompt": "x", "stop": "y"}, {"prompt": "x", "max_tokens": 0}, {}):
                assert (await c.call_tool("chat", wrong)).is_error, wrong

    asyncio.run(drive())


def test_the_typescript_client(server):
    exe, packages = node()
    script = HERE / "sdk_models.mjs"
    r = subprocess.run([exe, script, packages, server.mcp], capture_output=True, text=True, timeout=60, check=False)
    assert r.returncode == 0, r.stderr
    out = json.loads(r.stdout)
    assert "ls" in out["text"] and out["progress"] > 0 and "chat" in out["tools"] and out["models"][0]["id"] == "wick-shell"


def test_both_routes_give_the_same_answer(server):
    body, head = stateless("tools/call", {"name": "chat", "arguments": {"prompt": "list all files", "temperature": 0}})
    status, got, r = server.post("/mcp", body, headers=head)
    plain = server.chat("list all files", max_tokens=64)[2]["choices"][0]["message"]["content"]
    assert status == 200 and got["content-type"] == "application/json" and r["result"]["content"][0]["text"] == plain


def test_a_client_that_leaves_ends_its_answer(server):
    """Closing the connection is the cancellation of the stateless revision."""
    body, head = stateless("tools/call", {"name": "complete", "arguments": {"prompt": "quick", "max_tokens": 1900, "model": "tiny", "seed": 1},
                                          "_meta": {"progressToken": 5}})
    text = json.dumps(body).encode()
    raw = "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" + "".join(
        f"{k}: {v}\r\n" for k, v in head.items()) + f"Content-Length: {len(text)}\r\n\r\n"
    def cancelled():
        return metric(server, 'wick_requests_cancelled_total{model="tiny"}') == [1.0]

    for _ in range(20):  # on a busy machine a small model may be done before it is known that the client left
        with server.connect() as s:
            s.sendall(raw.encode() + text)
            assert b"text/event-stream" in s.recv(65536)
        if eventually(cancelled, 1):
            return
    raise AssertionError("no answer was cancelled")


def eventually(done, seconds=10):
    end = time.time() + seconds
    while time.time() < end:
        if done():
            return True
        time.sleep(0.05)
    return False


def wait_for(done, seconds=10):
    assert eventually(done, seconds), "not in time"


def test_sessions(server):
    status, head, r = server.post("/mcp", INIT, headers=BOTH)
    assert status == 200 and r["result"]["protocolVersion"] == "2025-11-25"
    session = {**BOTH, "Mcp-Session-Id": head["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
    assert server.post("/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session)[0] == 202
    assert server.post("/mcp", {"jsonrpc": "2.0", "id": 2, "method": "ping"}, headers=session)[2] == {"jsonrpc": "2.0", "id": 2, "result": {}}
    assert server.request("DELETE", "/mcp", headers=session)[0] == 204
    assert server.post("/mcp", {"jsonrpc": "2.0", "id": 3, "method": "ping"}, headers=session)[0] == 404
    assert server.get("/mcp")[0] == 405


@pytest.mark.parametrize("change,status", [({"Host": "evil.example"}, 403), ({"Origin": "https://evil.example"}, 403),
                                           ({"Content-Type": "text/plain"}, 415), ({"Accept": "text/html"}, 406),
                                           ({"Mcp-Method": "tools/list"}, 400), ({"MCP-Protocol-Version": "2025-01-01"}, 400)])
def test_what_is_refused(server, change, status):
    body, head = stateless("resources/read", {"uri": "wick://models"})
    got = server.post("/mcp", body, headers={**head, **change})
    assert got[0] == status and "error" in got[2], got


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'"x"', b"\xff", b'{"jsonrpc": "2.0"}', b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
                                  b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}', b"[" * 5000])
def test_rubbish(server, body):
    status, _, r = server.post("/mcp", body, headers=BOTH)
    assert status == 400 and r["error"]["code"] in (-32700, -32600, -32602), (status, r)


def test_keys_scopes_and_rates(tmp_path):
    """The same keys as everywhere, and what a key's calls read and write counts for its budget."""
    import hashlib
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    other = hashlib.sha256(b"only-metrics-key").hexdigest()
    (tmp_path / "server.yaml").write_text(
        f"server: {{mcp: true}}\nmodels: [{{path: {SHELL}}}]\nkeys:\n"
        f"  - {{name: a, sha256: {digest}, scopes: [infer, admin], tokens_per_minute: 1000}}\n  - {{name: b, sha256: {other}, scopes: [metrics]}}\n")
    body, head = stateless("tools/call", {"name": "tokenize", "arguments": {"text": "list all files"}})
    with Server("--config", tmp_path / "server.yaml") as s:
        assert s.post("/mcp", body, headers=head)[0] == 401
        assert s.post("/mcp", body, headers={**head, "Authorization": "Bearer wrong-wrong"})[0] == 401
        assert s.post("/mcp", body, headers={**head, "Authorization": "Bearer only-metrics-key"})[0] == 403
        good = {"Authorization": f"Bearer {SECRET}"}
        assert s.post("/mcp", body, headers={**head, **good})[0] == 200

        async def drive():
            async with httpx.AsyncClient(headers={"X-Api-Key": SECRET}) as http:
                async with Client(streamable_http_client(f"http://127.0.0.1:{s.port}/mcp", http_client=http)) as c:
                    return [t.name for t in (await c.list_tools()).tools]

        assert "chat" in asyncio.run(drive())
        ask, ask_head = stateless("tools/call", {"name": "complete", "arguments": {"prompt": "a " * 200, "max_tokens": 4}})
        codes = [s.post("/mcp", ask, headers={**ask_head, **good})[0] for _ in range(12)]
        assert codes[0] == 200 and codes[-1] == 429



def test_a_port_of_its_own(tmp_path):
    with Server("--mcp-port", 0, SHELL) as s:
        line = s.process.stdout.readline()
        port = int(line.split(":")[-1].split("/")[0])
        body, head = stateless("tools/list", {})
        assert s.post("/mcp", body, headers=head)[0] == 404
        main, s.port = s.port, port
        status, _, r = s.post("/mcp", body, headers=head)
        assert status == 200 and len(r["result"]["tools"]) >= 4
        assert s.get("/v1/models")[0] == 404 and s.get("/livez")[0] == 404
        assert s.post("/mcp", body, headers={**head, "Host": "evil.example"})[0] == 403
        s.port = main


def test_without_mcp_there_is_none(tmp_path):
    with Server(SHELL) as s:
        body, head = stateless("tools/list", {})
        assert s.post("/mcp", body, headers=head)[0] == 404


def test_a_model_that_is_loaded_for_a_call(server):
    body, head = stateless("tools/call", {"name": "tokenize", "arguments": {"text": "quick fox", "model": "tiny"}})
    assert server.post("/mcp", body, headers=head)[2]["result"]["structuredContent"]["n"] > 1


def test_a_drain():
    """Streams that only listen do not hold up the end of the server."""
    with Server("--mcp", SHELL) as s:
        session = {**BOTH, "Mcp-Session-Id": s.post("/mcp", INIT, headers=BOTH)[1]["mcp-session-id"]}
        listen, listen_head = stateless("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        ended = []
        for run in (lambda: s.get("/mcp", headers=session), lambda: s.post("/mcp", listen, headers=listen_head)):
            threading.Thread(target=lambda run=run: ended.append(run()), daemon=True).start()
        time.sleep(0.5)
        assert not ended
        start = time.time()
        assert s.stop()[0] == 0 and time.time() - start < 10
        wait_for(lambda: len(ended) == 2)


def test_many_calls_leave_nothing(server):
    pid = server.process.pid

    def held():
        return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))

    body, head = stateless("tools/call", {"name": "tokenize", "arguments": {"text": "x"}})
    for _ in range(5):
        server.post("/mcp", body, headers=head)
    before = held()
    with httpx.Client() as c:
        for _ in range(1000):
            assert c.post(server.mcp, json=body, headers=head).status_code == 200
    wait_for(lambda: all(a <= b for a, b in zip(held(), before)))
