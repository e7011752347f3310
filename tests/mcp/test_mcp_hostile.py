"""Servers and clients that misbehave: every request ends with a result or an error, and nothing is left running."""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

import pytest
from mcp_common import CLIENT, EVERYTHING, everything, outcome, python, use

CALL = [{"name": "t", "arguments": {}}]


def nasty(tmp_path, mode, calls=None, timeout_ms=1500, check=True):
    f = tmp_path / "calls.json"
    f.write_text(json.dumps(calls or CALL))
    return use("--calls", f, "--", *python("nasty_server.py"), mode,
               env={"MCP_CONFORMANCE_PROTOCOL_VERSION": "2025-06-18", "WICK_MCP_TIMEOUT_MS": str(timeout_ms)}, check=check)


@pytest.mark.parametrize("mode", ["rubbish", "burst", "twice", "asks", "alive", "stderr", "stays", "grandchild"])
def test_is_lived_with(tmp_path, mode):
    lines, _ = nasty(tmp_path, mode, timeout_ms=1500 if mode in ("alive", "stays") else 15000)
    got = outcome(lines, "call", "t")["result"]["content"][0]["text"]
    assert got == ("first" if mode == "twice" else "done")
    assert [t["name"] for t in outcome(lines, "list", "tools")["result"]] == ["t"]  # what is no tool is left out


@pytest.mark.parametrize("mode,says", [("slow", "no answer in 1 s"), ("crash", "it ended"), ("half", "it ended"),
                                       ("flood", "more than 32 MiB"), ("number", "has no content"),
                                       ("no-content", "has no content")])
def test_becomes_an_error(tmp_path, mode, says):
    t = time.monotonic()
    lines, _ = nasty(tmp_path, mode)
    assert says in outcome(lines, "call", "t")["error"]
    assert time.monotonic() - t < 20


@pytest.mark.parametrize("mode,says", [("mute", "no answer"), ("dead", "it ended"), ("future", "9999-01-01")])
def test_cannot_be_opened(tmp_path, mode, says):
    _, r = nasty(tmp_path, mode, check=False)
    assert r.returncode == 1 and says in r.stderr and r.stderr.count("\n") == 1


def test_a_server_that_never_reads(tmp_path):
    """More is written than a socket holds: the time ends the request, not the server."""
    t = time.monotonic()
    lines, _ = nasty(tmp_path, "deaf", calls=[{"name": "t", "arguments": {"x": "y" * 2_000_000}}])
    assert "no answer in 1 s" in outcome(lines, "call", "t")["error"] or "does not read" in outcome(lines, "call", "t")["error"]
    assert time.monotonic() - t < 20


def test_a_server_that_starts_slowly(tmp_path):
    """It reads the first question only after we went on to the older way: it is asked once more."""
    slow = tmp_path / "slow.sh"
    slow.write_text(f"#!/bin/sh\nsleep 1.6\nexec {EVERYTHING}\n")
    slow.chmod(0o755)
    f = tmp_path / "calls.json"
    f.write_text('[{"name": "test_simple_text"}]')
    lines, _ = use("--calls", f, "--", slow, env={"WICK_MCP_TIMEOUT_MS": "1200"})
    assert "simple text" in outcome(lines, "call", "test_simple_text")["result"]["content"][0]["text"]


def test_a_list_without_end(tmp_path):
    lines, _ = nasty(tmp_path, "endless", timeout_ms=20000)
    assert lines[1]["did"] == "list"


def test_nothing_is_left_running(tmp_path):
    for mode in ("grandchild", "stays", "slow"):
        nasty(tmp_path, mode)
    time.sleep(0.3)
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "wick-test-grandchild" not in left and "nasty_server.py" not in left


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_descriptors_and_environment(tmp_path):
    r, w = os.pipe()
    os.set_inheritable(r, True)
    os.set_inheritable(w, True)
    f = tmp_path / "calls.json"
    f.write_text(json.dumps(CALL))
    p = subprocess.run([CLIENT, "--calls", f, "--", *python("nasty_server.py"), "fds"], capture_output=True, text=True, check=True,
                       close_fds=False, env={**os.environ, "MCP_CONFORMANCE_PROTOCOL_VERSION": "2025-06-18"})
    lines = [json.loads(x) for x in p.stdout.splitlines()]
    fds = json.loads(outcome(lines, "call", "t")["result"]["content"][0]["text"])
    assert fds == [0, 1, 2, 3]  # 3: the listing itself
    os.close(r)
    os.close(w)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_calls_leave_nothing(tmp_path):
    """1,000 calls over one connection and 20 connections: as many descriptors and processes as before."""
    f = tmp_path / "calls.json"
    f.write_text(json.dumps([{"name": "test_simple_text", "arguments": {}}] * 1000))
    lines, _ = use("--calls", f, "--", EVERYTHING)
    assert sum(x.get("did") == "call" and "result" in x for x in lines) == 1000
    with everything() as url:
        pid = int(subprocess.run(["pgrep", "-n", "mcp_everything"], capture_output=True, text=True, check=True).stdout)
        count = lambda: len(os.listdir(f"/proc/{pid}/fd"))  # noqa: E731
        before = count()
        f.write_text(json.dumps([{"name": "test_simple_text", "arguments": {}}] * 50))
        for _ in range(20):
            use("--calls", f, url)
        for _ in range(50):
            if count() <= before + 1:
                break
            time.sleep(0.1)
        assert count() <= before + 1


# --- hostile requests to the server ---------------------------------------------------------------------------------------------
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def post(url, body, headers=None, method="POST"):
    u = urllib.parse.urlsplit(url)
    c = http.client.HTTPConnection(u.hostname, u.port, timeout=20)
    c.request(method, u.path, body if isinstance(body, (bytes, str)) or body is None else json.dumps(body),
              {"Content-Type": "application/json", **(headers or {})})
    r = c.getresponse()
    data = r.read()
    c.close()
    return r.status, json.loads(data) if data else None


def stateless(method, params=None, **headers):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": META, **(params or {})}}
    return body, {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, **headers}


def test_hostile_requests():
    deep = b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"
    bad = [b"", b"{", b"[]", b"null", b"7", b'"x"', b"{}", b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
           b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', b'{"jsonrpc":"2.0","id":[],"method":"ping"}',
           b'{"jsonrpc":"2.0","id":1,"method":7}', b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
           b'{"jsonrpc":"2.0","id":1,"method":"a\\u0000b"}', b'{"jsonrpc":"2.0","id":1}', b"\xff\xfe", deep,
           b'{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}', b"[" * 100000]
    with everything() as url:
        for body in bad:
            status, answer = post(url, body)
            assert 400 <= status < 500 and answer["error"]["code"] in (-32700, -32600, -32602), (body[:60], status, answer)
        for method in ("GET", "DELETE", "PUT", "OPTIONS"):
            assert post(url, None, method=method)[0] in (404, 405), method
        assert post(url, None, {"Mcp-Session-Id": "0" * 32}, "DELETE")[0] == 404
        assert post(url, "x", {"Content-Type": "text/plain"})[0] == 415
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "localhost:80@evil", "", "[::1"):
            assert post(url, {}, {"Host": host})[0] in (400, 403), host
        for origin in ("http://evil.example", "null", "http://localhost.evil.example", "file://", "http://127.0.0.1@evil"):
            assert post(url, {}, {"Origin": origin})[0] == 403, origin
        body, headers = stateless("tools/call", {"name": "test_header_echo", "arguments": {"region": "eu"}})
        for more in ({}, {"Mcp-Name": "test_header_echo"}, {"Mcp-Name": "test_header_echo", "Mcp-Param-Region": "us"},
                     {"Mcp-Name": "test_header_echo", "Mcp-Param-Region": "=?base64?@@?="}):
            status, answer = post(url, body, {**headers, **more})
            assert status == 400 and answer["error"]["code"] == -32020
        status, answer = post(url, body, {**headers, "Mcp-Name": "test_header_echo", "Mcp-Param-Region": "=?base64?ZXU=?="})
        assert status == 200 and answer["result"]["content"][0]["text"] == "region: eu"
        for cursor in ("-1", "99999999999999999999", "x", 5, None):
            body, headers = stateless("tools/list", {"cursor": cursor})
            assert post(url, body, headers)[1]["error"]["code"] == -32602
        body, headers = stateless("tools/call", {"name": "test_simple_text", "arguments": {}, "requestState": "forged.state"})
        assert "error" in post(url, body, {**headers, "Mcp-Name": "test_simple_text"})[1]
        status, answer = post(url, *stateless("tools/list"))
        assert status == 200 and len(answer["result"]["tools"]) > 20  # and it is as well as before


def test_a_state_of_one_tool_is_refused_by_another():
    caps = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
    with everything() as url:
        def call(name, **params):
            body, headers = stateless("tools/call", {"name": name, "arguments": {}, "_meta": {**META, **caps}, **params})
            return post(url, body, {**headers, "Mcp-Name": name})[1]
        state = call("test_input_required_result_request_state")["result"]["requestState"]
        answers = {"confirm": {"action": "accept", "content": {"ok": True}}}
        ok = call("test_input_required_result_request_state", requestState=state, inputResponses=answers)
        assert ok["result"]["content"][0]["text"] == "state-ok"
        assert "error" in call("test_input_required_result_tampered_state", requestState=state, inputResponses=answers)
        assert "error" in call("test_input_required_result_request_state", requestState=state[:-1], inputResponses=answers)


def test_clients_that_go_away():
    """Connections that are cut while a handler waits: the handler is told, and the server closes within its time."""
    with everything() as url:
        u = urllib.parse.urlsplit(url)
        for _ in range(30):
            body, headers = stateless("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            text = json.dumps(body)
            s = socket.create_connection((u.hostname, u.port))
            head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
            s.sendall(f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}"
                      f"Content-Length: {len(text)}\r\n\r\n{text}".encode())
            assert b"200" in s.recv(15)
            s.close()
        assert post(url, *stateless("tools/list"))[0] == 200


def test_stdio_end_of_input():
    """Requests that were piped in are answered although the input is closed; a stream of changes ends."""
    reqs = [{"jsonrpc": "2.0", "id": i, "method": "tools/call",
             "params": {"name": "test_tool_with_progress", "arguments": {}, "_meta": META}} for i in range(5)]
    reqs.append({"jsonrpc": "2.0", "id": 9, "method": "subscriptions/listen", "params": {"notifications": {}, "_meta": META}})
    r = subprocess.run([EVERYTHING], input="".join(json.dumps(q) + "\n" for q in reqs) + "rubbish\n", capture_output=True,
                       text=True, timeout=30, check=True)
    got = [json.loads(x) for x in r.stdout.splitlines()]
    assert {m.get("id") for m in got if "result" in m} == {0, 1, 2, 3, 4, 9}
    assert any(m.get("error", {}).get("code") == -32700 for m in got)


def test_the_server_ends_at_once_when_told():
    p = subprocess.Popen([EVERYTHING, "--port", "0"], stdout=subprocess.PIPE, text=True)
    p.stdout.readline()
    p.send_signal(signal.SIGTERM)
    assert p.wait(10) == 0
