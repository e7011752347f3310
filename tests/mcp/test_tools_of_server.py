"""Tools that `wick serve` runs itself: in every syntax of calls, in every dialect, with keys, limits, failures and clients that leave."""
import asyncio
import hashlib
import http.server
import json
import os
import sys
import threading
import time

import pytest
from mcp_common import ROOT, python
from scripted_calls import LAST, SAID, call, scripted, syntaxes, write_model
from server_common import Server

ASK = {"messages": [{"role": "user", "content": "What is 15 + 27?"}], "temperature": 0}
LOOK = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}]
SCRIPTS = [
    {"when": f"messages[-1].role == 'tool' and {LAST} == '42'", "say": "The sum is forty-two: 42."},
    {"when": f"messages[-1].role == 'tool' and 'error' in {LAST} and 'wrong' in messages[0].content", "say": call("calculate", {"expression": "5 * 5"})},
    {"when": f"messages[-1].role == 'tool' and {LAST} == '25'", "say": "Twenty-five in the end."},
    {"when": f"messages[-1].role == 'tool' and 'did not answer in time' in {LAST}", "say": "It took too long."},
    {"when": f"messages[-1].role == 'tool' and 'error' in {LAST}", "say": "There was an error."},
    {"when": "messages[-1].role == 'tool' and 'PATH' in " + LAST, "say": "The environment is small."},
    {"when": f"messages[-1].role == 'tool' and messages|length > 2 and 'forever' in messages[0].content", "say": call("calculate", {"expression": "1"})},
    {"when": "messages[-1].role == 'tool'", "say": "Something else came back."},
    {"when": "not tools", "say": "I have no tools."},
    {"when": f"'forever' in {SAID}", "say": call("calculate", {"expression": "1+1"})},
    {"when": f"'wrong' in {SAID}", "say": call("calculate", {"expression": "5 +"})},
    {"when": f"'slow' in {SAID}", "say": call("slow", {})},
    {"when": f"'env' in {SAID}", "say": call("env", {})},
    {"when": f"'mcp' in {SAID}", "say": call("add", {"a": 15, "b": 27})},
    {"when": f"'post' in {SAID}", "say": call("remote", {"x": "15+27"})},
    {"when": f"'mixed' in {SAID}", "say": "Two things. " + call("calculate", {"expression": "9+9"}) + "\n" + call("look", {"at": "door"})},
    {"when": f"'client' in {SAID}", "say": call("look", {"at": "window"})},
    {"when": None, "say": "Let me calculate that. " + call("calculate", {"expression": "15 + 27"})}]


@pytest.fixture(scope="module")
def address():
    """Where calls are dispatched to: a program of the test."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((body, self.headers.get("X-Secret")))
            text = str(eval(body["arguments"]["x"])).encode()  # noqa: S307 - the test's own
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            pass

    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    yield s.server_port, seen
    s.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, address):
    out = tmp_path_factory.mktemp("tools")
    scripted.write_scripted_model(out / "model", SCRIPTS)
    command, *args = python("sdk_server.py")
    config = {"server": {"mcp": True}, "models": [{"path": str(out / "model"), "id": "m"}],
              "tools": {"builtin": {"calculate": True}, "timeout_seconds": 2, "rounds": 5,
                        "commands": {"slow": {"command": ["sleep", "30"]}, "env": {"command": ["env"]}},
                        "mcpServers": {"sdk": {"command": command, "args": args}},
                        "dispatch": {"url": f"http://127.0.0.1:{address[0]}/call", "headers": {"X-Secret": "abc"},
                                     "tools": [{"name": "remote", "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}}]}},
              "keys": [{"name": n, "sha256": hashlib.sha256(f"key-of-{n}".encode()).hexdigest(), "scopes": scopes}
                       for n, scopes in (("with", ["infer", "tools", "metrics"]), ("without", ["infer"]))]}
    (out / "server.yaml").write_text(json.dumps(config))  # JSON is YAML
    return out


@pytest.fixture(scope="module")
def server(folder):
    with Server("--config", folder / "server.yaml", env={"WICK_SECRET_OF_THE_TEST": "s3cret"}) as s:
        s.key = {"Authorization": "Bearer key-of-with"}
        yield s


def ask(s, text, path="/v1/chat/completions", **more):
    status, _, r = s.post(path, {"messages": [{"role": "user", "content": text}], "temperature": 0, "wick_tools": True, **more}, headers=s.key)
    assert status == 200, r
    return r


def chunks(text):
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def test_15_plus_27(server):
    r = ask(server, "What is 15 + 27?")
    assert r["choices"][0]["message"] == {"role": "assistant", "content": "Let me calculate that.\n\nThe sum is forty-two: 42.", "refusal": None}
    assert r["choices"][0]["finish_reason"] == "stop"
    (one,) = r["wick_tool_calls"]
    assert (one["name"], json.loads(one["arguments"]), one["result"], one["error"], one["round"]) == ("calculate", {"expression": "15 + 27"}, "42", False, 1)
    assert r["usage"]["total_tokens"] == r["usage"]["prompt_tokens"] + r["usage"]["completion_tokens"]


def test_a_stream_shows_it(server):
    got = chunks(ask(server, "What is 15 + 27?", stream=True, stream_options={"include_usage": True}))
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in got if c["choices"])
    assert text == "Let me calculate that.\n\nThe sum is forty-two: 42."
    (shown,) = [c for c in got if "wick_tool_calls" in c]
    assert shown["wick_tool_calls"][0]["result"] == "42" and shown["choices"][0]["delta"] == {}
    assert [c["choices"][0]["finish_reason"] for c in got if c["choices"]].count("stop") == 1
    assert not any("tool_calls" in c["choices"][0]["delta"] for c in got if c["choices"])
    assert got[-1]["usage"]["completion_tokens"] == ask(server, "What is 15 + 27?")["usage"]["completion_tokens"]


@pytest.mark.parametrize("path,body,text", [
    ("/v1/responses", {"input": "What is 15 + 27?"}, lambda r: r["output"][0]["content"][0]["text"]),
    ("/v1/messages", {**ASK, "max_tokens": 99}, lambda r: r["content"][0]["text"]),
    ("/api/chat", {"messages": ASK["messages"], "stream": False}, lambda r: r["message"]["content"]),
    ("/chat/completions", ASK, lambda r: r["choices"][0]["message"]["content"])])
def test_every_dialect(server, path, body, text):
    status, _, r = server.post(path, {**body, "wick_tools": ["calculate"]}, headers=server.key)
    assert status == 200 and text(r) == "Let me calculate that.\n\nThe sum is forty-two: 42.", r
    assert [c["result"] for c in r["wick_tool_calls"]] == ["42"]
    _, _, streamed = server.post(path, {**body, "wick_tools": ["calculate"], "stream": True}, headers=server.key)
    assert "wick_tool_calls" in (streamed if isinstance(streamed, str) else json.dumps(streamed))


def test_the_openai_and_anthropic_packages_read_it(server):
    openai, anthropic = pytest.importorskip("openai"), pytest.importorskip("anthropic")
    base = f"http://127.0.0.1:{server.port}"
    o = openai.OpenAI(base_url=base + "/v1", api_key="key-of-with")
    r = o.chat.completions.create(model="m", messages=ASK["messages"], extra_body={"wick_tools": True})
    assert "forty-two" in r.choices[0].message.content and r.wick_tool_calls[0]["result"] == "42"
    with o.chat.completions.stream(model="m", messages=ASK["messages"], extra_body={"wick_tools": True}) as stream:
        assert "forty-two" in stream.get_final_completion().choices[0].message.content
    with o.responses.stream(model="m", input="What is 15 + 27?", extra_body={"wick_tools": True}) as stream:
        assert "forty-two" in stream.get_final_response().output_text
    a = anthropic.Anthropic(base_url=base, api_key="key-of-with")
    with a.messages.stream(model="m", max_tokens=99, messages=ASK["messages"], extra_body={"wick_tools": True}) as stream:
        assert "forty-two" in stream.get_final_message().content[0].text


def test_where_the_tools_are(server, address):
    assert ask(server, "mcp")["wick_tool_calls"][0]["result"] == "42"
    assert ask(server, "post")["wick_tool_calls"][0]["result"] == "42"
    assert address[1][-1][0]["name"] == "remote" and address[1][-1][0]["arguments"] == {"x": "15+27"} and address[1][-1][1] == "abc"
    got = ask(server, "env")["wick_tool_calls"][0]["result"]
    assert "PATH=" in got and "s3cret" not in got


def test_the_client_s_tools_stay_its_own(server):
    r = ask(server, "client", tools=LOOK)
    assert r["choices"][0]["finish_reason"] == "tool_calls" and "wick_tool_calls" not in r
    assert [t["function"]["name"] for t in r["choices"][0]["message"]["tool_calls"]] == ["look"]
    r = ask(server, "mixed", tools=LOOK)
    m = r["choices"][0]["message"]
    assert r["choices"][0]["finish_reason"] == "tool_calls" and m["content"] == "Two things."
    assert [t["function"]["name"] for t in m["tool_calls"]] == ["look"] and [c["result"] for c in r["wick_tool_calls"]] == ["18"]
    # A tool of the client with the name of one of the server's is the client's.
    mine = [{"type": "function", "function": {"name": "calculate", "parameters": {"type": "object"}}}]
    r = ask(server, "What is 15 + 27?", tools=mine)
    assert r["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "calculate" and "wick_tool_calls" not in r


def test_what_goes_wrong_is_read_by_the_model(server):
    r = ask(server, "wrong")
    assert [c["error"] for c in r["wick_tool_calls"]] == [True, False] and r["wick_tool_calls"][0]["result"].startswith("error: ")
    assert r["choices"][0]["message"]["content"] == "Twenty-five in the end."
    start = time.time()
    r = ask(server, "slow")
    assert r["choices"][0]["message"]["content"] == "It took too long." and 1.5 < time.time() - start < 8


def test_a_loop_without_end_is_cut_and_says_so(server):
    r = ask(server, "forever")
    assert len(r["wick_tool_calls"]) == 5 and r["wick_tool_limit"] is True and r["choices"][0]["finish_reason"] == "length"
    got = chunks(ask(server, "forever", stream=True))
    assert got[-1]["wick_tool_limit"] is True and got[-1]["choices"][0]["finish_reason"] == "length"
    status, _, r = server.post("/v1/responses", {"input": "forever", "wick_tools": True, "max_tool_calls": 2}, headers=server.key)
    assert status == 200 and [c["error"] for c in r["wick_tool_calls"]] == [False, False, True]


def test_who_may_use_them(server):
    assert server.post("/v1/chat/completions", ASK, headers=server.key)[2]["choices"][0]["message"]["content"] == "I have no tools."
    other = {"Authorization": "Bearer key-of-without"}
    status, _, r = server.post("/v1/chat/completions", {**ASK, "wick_tools": True}, headers=other)
    assert status == 403 and r["error"]["code"] == "scope"
    assert server.post("/v1/chat/completions", ASK, headers=other)[0] == 200
    for bad, says in ((["nothing"], "no tool"), ("yes", "true, false"), ([7], "no tool")):
        status, _, r = server.post("/v1/chat/completions", {**ASK, "wick_tools": bad}, headers=server.key)
        assert status == 400 and says in r["error"]["message"], r
    assert server.post("/v1/chat/completions", {**ASK, "wick_tools": True, "n": 2}, headers=server.key)[0] == 400


def test_clients_that_leave_stop_the_tool(server):
    """The program of a tool ends when its client goes, and nothing of it is left."""
    def sleepers():
        return sum(open(f"/proc/{p}/cmdline").read().startswith("sleep\x0030") for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}/cmdline"))

    body = json.dumps({"messages": [{"role": "user", "content": "slow"}], "wick_tools": True, "stream": True}).encode()
    before = sleepers()
    with server.connect() as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAuthorization: Bearer key-of-with\r\n"
                  + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        s.recv(65536)
        end = time.time() + 5
        while sleepers() == before and time.time() < end:
            time.sleep(0.02)
        assert sleepers() > before
    end = time.time() + 1.5
    while sleepers() > before and time.time() < end:
        time.sleep(0.02)
    assert sleepers() == before


def test_many_at_once(server):
    """Many requests whose tools run at the same time: every answer is right, and nothing is left over."""
    pid = server.process.pid

    def held():
        return len(os.listdir(f"/proc/{pid}/fd"))

    ask(server, "mcp")
    before, out = held(), []
    threads = [threading.Thread(target=lambda k=k: out.append(ask(server, ("mcp", "What is 15 + 27?", "env", "post")[k % 4], stream=k % 3 == 0))) for k in range(48)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(out) == 48
    end = time.time() + 10
    while held() > before and time.time() < end:
        time.sleep(0.1)
    assert held() <= before


def test_enable_tools_and_mcp_port(folder):
    """What the design asks for: --enable-tools --mcp-port."""
    with Server("--enable-tools", "--mcp-port", 0, folder / "model") as s:
        lines = [s.process.stdout.readline() for _ in range(2)]
        assert "2 tools, for every chat" in lines[0] and "/mcp" in lines[1]
        r = s.post("/v1/chat/completions", ASK)[2]
        assert "forty-two" in r["choices"][0]["message"]["content"] and r["wick_tool_calls"][0]["result"] == "42"
        assert "wick_tool_calls" not in s.post("/v1/chat/completions", {**ASK, "wick_tools": False})[2]
        assert "wick_tool_calls" not in s.post("/v1/chat/completions", {**ASK, "tool_choice": "none"})[2]
        assert len(s.post("/v1/chat/completions", {**ASK, "n": 2})[2]["choices"]) == 2


def test_every_syntax(tmp_path):
    """15 + 27 in every syntax of calls, one call and two side by side."""
    rows = syntaxes()
    assert len(rows) >= 38
    for row in rows:
        write_model(tmp_path / row["name"], row)
    models = [{"path": str(tmp_path / r["name"]), "id": r["name"], "preload": False} for r in rows]
    (tmp_path / "server.yaml").write_text(json.dumps({"models": models, "tools": {"by_default": True, "side_by_side": True, "builtin": {"calculate": True}}}))
    wrong = []
    with Server("--config", tmp_path / "server.yaml") as s:
        for row in rows:
            for text, says, n in (("What is 15 + 27?", "The sum: 42.", 1), ("both", "Both are forty-two.", 2))[:1 + row["parallel"]]:
                for stream in (False, True):
                    r = s.post("/v1/chat/completions", {"model": row["name"], "messages": [{"role": "user", "content": text}], "stream": stream})[2]
                    if stream:
                        got = chunks(r)
                        said = "".join(c["choices"][0]["delta"].get("content") or "" for c in got)
                        calls = [x for c in got for x in c.get("wick_tool_calls", [])]
                    else:
                        said, calls = r["choices"][0]["message"]["content"], r.get("wick_tool_calls", [])
                    if said != says or [c["result"] for c in calls] != ["42"] * n:
                        wrong.append((row["name"], text, stream, said, [c["result"] for c in calls]))
    assert not wrong, wrong
