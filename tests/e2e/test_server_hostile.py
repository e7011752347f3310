"""Hostile requests: the server answers each with a client error (or closes), and afterwards a normal request still gets the same text."""
import json
import random
import re
import socket
import threading
import time

import pytest

from server_common import WICK, Server, eventually, make_model, parse_answer, read_answer

pytestmark = pytest.mark.skipif(not WICK, reason="WICK_BIN is not set")
MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_model(folder)
    config = folder.parent / "server.yaml"
    config.write_text("limits:\n  header_seconds: 2\n  idle_seconds: 3\n  body_seconds: 4\n  body_bytes: 4194304\n")
    (folder.parent / "loadable").mkdir()
    with Server(folder, "--config", config, "--strict-model", "--model-dir", folder.parent / "loadable") as s:
        s.loadable = folder.parent / "loadable"
        s.normal = s.chat()[2]["choices"][0]["message"]["content"]
        assert s.normal
        yield s


@pytest.fixture(autouse=True)
def still_answers(server):
    yield
    status, _, body = server.chat()
    assert status == 200 and body["choices"][0]["message"]["content"] == server.normal


def is_problem(answer, *allowed):
    status, headers, body = answer
    assert status in (allowed or (400,)), answer
    assert headers["content-type"].startswith("application/json")
    error = body["error"]
    assert error["message"] and error["type"] and set(error) == {"message", "type", "param", "code"}
    return error


# --- JSON that is none, and bodies of the wrong kind
BAD_JSON = ["", "{", "}", "[]", "null", "1", '"x"', "true", "{]", '{"a"}', '{"a":}', '{"a":1,}', "{'a':1}", '{"messages":[}', '{"a":NaN}',
            '{"a":Infinity}', '{"a":-Infinity}', '{"a":01}', '{"a":1.}', '{"a":.5}', '{"a":+1}', '{"a":0x10}', '{"a":1e}', '{"a":"\\x41"}',
            '{"a":"\\ud800"}', '{"a":"\n"}', '{"a":1}{"b":2}', '{"a":1} x', '{"a":1,"a":2}', "\ufeff{}", '{"a":"unterminated', '{"a":123456789012345678901234567890}',
            '{"a":1e999}', "[" * 200000, '{"a":' * 200000, "[" * 200000 + "]" * 200000, '{"messages":' + "[" * 257 + "]" * 257 + "}", "\0", '{"\\u0000":1}', "<xml/>",
            "a=b&c=d", "[" * 100 + "{" * 100, '{"messages": /* c */ []}', '{"a":tru}', '{"a":nul}']


@pytest.mark.parametrize("body", BAD_JSON, ids=lambda b: repr(b[:12]))
def test_bad_json(server, body):
    is_problem(server.post("/v1/chat/completions", body))


@pytest.mark.parametrize("body", [b"\xff\xfe{}", b'{"model":"\xff"}', b'{"messages":"\xc3\x28"}', b"\x1f\x8b\x08\x00", b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}'])
def test_bad_utf8(server, body):
    is_problem(server.post("/v1/chat/completions", body))


# --- every parameter with values of the wrong kind
WRONG = {
    "model": [1, [], {}, True, "nope", "../../etc/passwd", "x" * 10000, "a\0b"],
    "messages": [1, "x", {}, True, [], [1], ["x"], [[]], [{}], [{"role": 1, "content": "x"}], [{"role": "user"}], [{"role": "user", "content": 1}],
                 [{"role": "user", "content": {}}], [{"role": "user", "content": [1]}], [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}],
                 [{"role": "user", "content": [{"type": "input_audio"}]}], [{"role": "user", "content": [{"type": "text"}]}], [{"role": "user", "content": [{"type": "text", "text": 5}]}]],
    "temperature": ["1", [], {}, True, -1, 1e9, -0.0001, 101],
    "top_p": ["x", -0.1, 1.1, 2, [], False],
    "top_k": ["x", -1, 1.5, 1e20, [], 2**40, True],
    "min_p": ["x", -0.1, 1.1, {}],
    "typical_p": ["x", 2, -1],
    "xtc_probability": ["x", 2], "xtc_threshold": [-1],
    "dry_multiplier": ["x", -1, 101], "min_keep": [-1, 1001, "x"], "sampler_order": [1, "x"], "dry_sequence_breakers": ["x", [1], [""], ["a\0b"]], "dry_base": ["x"], "dry_allowed_length": [-1, 1.5], "dry_range": [-1],
    "mirostat_tau": ["x", -1], "mirostat_eta": ["x", -1],
    "repetition_penalty": ["x", -1, 1000],
    "presence_penalty": ["x", 101, -101, []], "frequency_penalty": ["x", 100.1, -100.1],
    "penalty_range": [-1, 0.5], "seed": ["x", 1.5, [], True],
    "n": [0, -1, 17, 1.5, "2", [], 2**31, 10**18, True], "max_tokens": [0, -2, "8", 1.5, 2**40, [], True], "max_completion_tokens": [0, -5, "x"],
    "min_tokens": [-1, "x"], "stop": [1, {}, [1], [""], "", ["x"] * 65, "x" * 1025, [None], True, "a\0b"],
    "logit_bias": [1, [1], [[1]], [[1, "a"]], [["x", 101]], "x", {"x": 1}, {"1": "a"}, {"1": 101}, {"1": -101}, {"-1": 1}, {"99999999": 1}, {"1": None}, {"1.5": 1}],
    "logprobs": [1, "x", []], "top_logprobs": [1, 21, -1, "x"],
    "stream": [1, "true", []], "stream_options": [1, [], {"include_usage": True}],
    "response_format": [1, {}, {"type": "json_schema", "json_schema": {}}, {"type": "nope"}, "text"],
    "tools": [1, {}, [1], [{}], [{"type": "x"}], [{"type": "function"}], [{"type": "function", "function": {"name": 1}}], [{"type": "function", "function": {"name": ""}}], [{"type": "function", "function": {"name": "f", "parameters": 1}}]],
    "tool_choice": ["required", {"type": "function", "function": {"name": "f"}}, 1, "x"], "parallel_tool_calls": ["x", 1],
    "functions": [[]], "function_call": ["auto"], "user": [1, [], {}], "metadata": ["x", 1], "store": [1, "x"], "service_tier": ["gold", 1],
    "modalities": [["audio"], "text", []], "audio": [{}], "prediction": [1], "verbosity": [1], "web_search_options": [{}],
    "reasoning_effort": ["very", 1], "chat_template_kwargs": [1, []], "documents": [1], "chat_template": ["{{ 1 }}"],
    "add_generation_prompt": ["x"], "continue_final_message": [1, True], "ignore_eos": ["x"], "skip_special_tokens": [1],
    "grammar": ["root ::= x"], "guided_json": [1, {"type": 5}], "nope": [None], "Temperature": [1], "": [1], "temperature ": [1],
}


@pytest.mark.parametrize("name,value", [(k, v) for k, vs in WRONG.items() for v in vs], ids=lambda v: repr(v)[:24])
def test_wrong_parameter(server, name, value):
    body = {"messages": MESSAGES, "max_tokens": 2, name: value}
    if name == "add_generation_prompt":
        body["continue_final_message"] = None
    if name == "continue_final_message" and value is True:
        body["add_generation_prompt"] = True
    error = is_problem(server.post("/v1/chat/completions", body), 400, 404)
    if name not in ("model", "", "messages"):
        assert error["param"] in (name, name.strip()), error


@pytest.mark.parametrize("extra", [{"reasoning_effort": "high"}, {"reasoning_effort": "none"}, {"chat_template_kwargs": {"nope_var": 1}}, {"documents": [{"text": "x"}]}], ids=lambda v: repr(v)[:32])
def test_what_the_template_does_not_use(server, extra):
    plain = server.post("/v1/apply-template", {"messages": MESSAGES})[2]["prompt"]
    if "reasoning_effort" not in extra:
        assert server.post("/v1/apply-template", {"messages": MESSAGES} | extra)[2]["prompt"] == plain
    assert server.post("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 2} | extra)[0] == 200


TEXT_WRONG = [{"prompt": 1}, {"prompt": {}}, {"prompt": []}, {"prompt": [[]]}, {"prompt": [1.5]}, {"prompt": [-1]}, {"prompt": [10**9]}, {"prompt": [[1], "x", 2]}, {"prompt": None},
              {"prompt": True}, {"prompt": ["x"] * 2049}, {"prompt": "x", "suffix": "y"}, {"prompt": "x", "best_of": 0}, {"prompt": "x", "n": 3, "best_of": 2}, {"prompt": "x", "best_of": 17},
              {"prompt": "x", "best_of": 2, "stream": True}, {"prompt": "x", "logprobs": 21}, {"prompt": "x", "logprobs": True}, {"prompt": "x", "logprobs": -1}, {"prompt": "x", "echo": 1},
              {"prompt": "x", "max_tokens": 0}, {"prompt": [1] * 5000}, {"prompt": "x", "messages": []}, {}, {"prompt": "x " * 5000}]


@pytest.mark.parametrize("body", TEXT_WRONG, ids=lambda b: repr(b)[:32])
def test_wrong_completion(server, body):
    is_problem(server.post("/v1/completions", body))


OTHER_WRONG = [("/v1/embeddings", {"input": ""}), ("/v1/embeddings", {}), ("/v1/embeddings", {"input": []}), ("/v1/embeddings", {"input": [""]}), ("/v1/embeddings", {"input": "x", "dimensions": 0}),
               ("/v1/embeddings", {"input": "x", "encoding_format": "hex"}), ("/v1/embeddings", {"input": [[99999]]}), ("/v1/embeddings", {"input": 5}), ("/v1/embeddings", {"input": "x", "pooling": "median"}),
               ("/tokenize", {}), ("/tokenize", {"content": 5}), ("/tokenize", {"content": "x", "messages": MESSAGES}), ("/tokenize", {"content": "x", "foo": 1}),
               ("/detokenize", {}), ("/detokenize", {"tokens": "x"}), ("/detokenize", {"tokens": [1, "x"]}), ("/detokenize", {"tokens": [-1]}), ("/detokenize", {"tokens": [2**31]}),
               ("/apply-template", {}), ("/apply-template", {"messages": []}), ("/apply-template", {"messages": "x"}),
               ("/admin/models/load", {}), ("/admin/models/load", {"model": 1}), ("/admin/models/load", {"model": ""}), ("/admin/models/load", {"model": "x", "evil": 1}), ("/admin/models/load", {"model": "a", "backend": "cuda"}),
               ("/admin/models/unload", {}), ("/admin/models/default", {}), ("/admin/keys", {"name": "x"}), ("/admin/cache/clear", {"x": 1}), ("/admin/cache/warm", {}), ("/admin/keys/limits", {})]


@pytest.mark.parametrize("path,body", OTHER_WRONG, ids=lambda v: repr(v)[:32])
def test_wrong_elsewhere(server, path, body):
    is_problem(server.post(path, body))


@pytest.mark.parametrize("path", ["/admin/models/unload", "/admin/models/default", "/admin/cache/clear"])
def test_unknown_model_is_404(server, path):
    assert server.post(path, {"model": "nope"})[0] == 404


def test_load_of_bad_files(server):
    place = server.loadable
    (place / "cut.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 100)
    (place / "dir").mkdir()
    (place / "dir" / "config.json").write_text("{")
    (place / "zero").symlink_to("/dev/zero")
    for name, known in ((place / "cut.gguf", True), (place / "dir", True), (place / "absent", False), (place / "zero", False), ("/dev/zero", False), ("/etc/passwd", False)):
        status, _, body = server.post("/admin/models/load", {"model": str(name)})
        assert status in (400, 404, 500), body
        assert server.post("/admin/models/unload", {"model": str(name), "forget": True})[0] == (200 if known else 404)


def test_many_failed_loads_are_forgotten(server):
    (server.loadable / "bad.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 100)
    for i in range(60):
        name = f"bad-{i}-" + "\u00e9" * 90
        status, _, body = server.post("/admin/models/load", {"model": name, "path": str(server.loadable / "bad.gguf")})
        assert status in (400, 500), body
    assert eventually(lambda: len(server.get("/admin/models")[2]["data"]) <= 17)
    assert len(server.get("/metrics")[2]) < 200_000
    assert server.post("/admin/models/load", {"model": name, "path": str(server.loadable / "bad.gguf")})[0] == 400  # the last ones are known
    for m in server.get("/admin/models")[2]["data"]:
        if m["id"].startswith("bad-"):
            assert server.post("/admin/models/unload", {"model": m["id"], "forget": True})[0] == 200


# --- HTTP itself
def http(server, text, **kw):
    return server.raw(text.replace("HOST", f"127.0.0.1:{server.port}").encode("latin-1"), **kw)


BODY = json.dumps({"messages": MESSAGES, "max_tokens": 1, "temperature": 0})
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nConnection: close\r\n"
N = len(BODY)
FRAMING = {
    "cl_te": HEAD + f"Content-Length: {N}\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
    "te_cl": HEAD + f"Transfer-Encoding: chunked\r\nContent-Length: {N}\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "two_cl": HEAD + f"Content-Length: {N}\r\nContent-Length: {N + 5}\r\n\r\n" + BODY,
    "two_equal_cl": HEAD + f"Content-Length: {N}\r\nContent-Length: {N}\r\n\r\n" + BODY,
    "cl_list": HEAD + f"Content-Length: {N}, {N}\r\n\r\n" + BODY,
    "cl_negative": HEAD + "Content-Length: -1\r\n\r\n" + BODY,
    "cl_plus": HEAD + f"Content-Length: +{N}\r\n\r\n" + BODY,
    "cl_hex": HEAD + "Content-Length: 0x10\r\n\r\n" + BODY,
    "cl_text": HEAD + "Content-Length: abc\r\n\r\n" + BODY,
    "cl_empty": HEAD + "Content-Length: \r\n\r\n" + BODY,
    "cl_huge": HEAD + "Content-Length: 99999999999999999999999\r\n\r\n" + BODY,
    "cl_space": HEAD + f"Content-Length : {N}\r\n\r\n" + BODY,
    "te_gzip": HEAD + "Transfer-Encoding: gzip\r\n\r\n" + BODY,
    "te_gzip_chunked": HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n" + f"{N:x}\r\n{BODY}\r\n0\r\n\r\n",
    "te_xchunked": HEAD + "Transfer-Encoding: xchunked\r\n\r\n" + f"{N:x}\r\n{BODY}\r\n0\r\n\r\n",
    "two_te": HEAD + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + f"{N:x}\r\n{BODY}\r\n0\r\n\r\n",
    "chunk_bad_size": HEAD + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "chunk_negative": HEAD + "Transfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n",
    "chunk_huge": HEAD + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "no_host": "GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n",
    "two_hosts": "GET /livez HTTP/1.1\r\nHost: HOST\r\nHost: evil\r\nConnection: close\r\n\r\n",
    "space_in_name": "GET /livez HTTP/1.1\r\nHost: HOST\r\nX Y: 1\r\nConnection: close\r\n\r\n",
    "no_colon": "GET /livez HTTP/1.1\r\nHost: HOST\r\nnonsense\r\nConnection: close\r\n\r\n",
    "bad_version": "GET /livez HTTP/9.9\r\nHost: HOST\r\n\r\n",
    "no_version": "GET /livez\r\n\r\n",
    "garbage": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\0" * 40,
    "ssh": "SSH-2.0-OpenSSH_9.0\r\n\r\n",
    "h2_preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "header_64k": "GET /livez HTTP/1.1\r\nHost: HOST\r\nX: " + "a" * 65536 + "\r\nConnection: close\r\n\r\n",
    "header_1m": "GET /livez HTTP/1.1\r\nHost: HOST\r\nX: " + "a" * 1048576 + "\r\nConnection: close\r\n\r\n",
    "headers_2000": "GET /livez HTTP/1.1\r\nHost: HOST\r\n" + "".join(f"X-{i}: aaaaaaaaaaaaaaaaaaaa\r\n" for i in range(2000)) + "Connection: close\r\n\r\n",
    "uri_9k": "GET /" + "a" * 9000 + " HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n",
    "uri_300k": "GET /" + "a" * 300000 + " HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n",
    "nul_in_path": "GET /livez%00x HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n",
    "upgrade": "GET /nope HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("case", FRAMING)
def test_framing(server, case):
    data = http(server, FRAMING[case], timeout=8)
    answers = len(re.findall(rb"(?:^|\n)HTTP/1\.1 \d", data))
    assert answers <= 1, data
    if answers:
        status = int(data.split(b" ", 2)[1])
        assert 400 <= status < 600, data[:300]


@pytest.mark.parametrize("line", ["X: a\r\n b", "X: a\0b"])
def test_odd_values_give_one_answer(server, line):
    data = http(server, f"GET /livez HTTP/1.1\r\nHost: HOST\r\n{line}\r\nConnection: close\r\n\r\n")
    assert data.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("method,path,status", [("GET", "/v1/chat/completions", 405), ("PUT", "/v1/models", 405), ("DELETE", "/v1/chat/completions", 405), ("PATCH", "/livez", 405),
                         ("TRACE", "/livez", 405), ("CONNECT", "/livez", 405), ("POST", "/livez", 405), ("GET", "/", 404), ("GET", "/v1", 404), ("GET", "/../../etc/passwd", 404),
                         ("GET", "/v1/models/%2e%2e%2fetc", 404), ("GET", "//livez", 200), ("GET", "/livez/", 200), ("GET", "//v1//models/", 200), ("GET", "/models", 200), ("GET", "/admin", 404), ("OPTIONS", "/v1/models", 204)])
def test_methods_and_paths(server, method, path, status):
    assert server.request(method, path)[0] == status


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.1", "[::2]", "", "127.0.0.1:99999999", "a" * 300, "0x7f.1", "localhost@evil"])
def test_foreign_host(server, host):
    is_problem(server.get("/v1/models", headers={"Host": host}), 400, 403)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://localhost:1", "file://", "chrome-extension://abc", "http://127.0.0.1.evil.example"])
def test_foreign_origin(server, origin):
    answer = server.post("/v1/chat/completions", {"messages": MESSAGES}, headers={"Origin": origin})
    is_problem(answer, 403)
    assert "access-control-allow-origin" not in answer[1]
    preflight = server.request("OPTIONS", "/v1/chat/completions", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    assert preflight[0] == 403 and "access-control-allow-origin" not in preflight[1]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", "", None])
def test_content_type(server, kind):
    is_problem(server.post("/v1/chat/completions", {"messages": MESSAGES}, headers={"Content-Type": kind}), 415)


def test_body_too_large(server):
    is_problem(server.post("/v1/chat/completions", b"x" * (4 << 20) + b"y"), 413)
    is_problem(server.post("/v1/chat/completions", b" " * (100 << 20), timeout=60), 413)
    status, _, _ = server.request("POST", "/v1/chat/completions", headers={"Content-Length": "999999999999", "Content-Type": "application/json"})
    assert status == 413
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    data = server.raw(HEAD.replace("HOST", "localhost").encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 6 + b"0\r\n\r\n", 30)
    assert parse_answer(data)[0] == 413


def test_too_many(server):
    is_problem(server.post("/v1/chat/completions", {"messages": MESSAGES * 10001}))
    is_problem(server.post("/v1/chat/completions", {"messages": MESSAGES, "logit_bias": {str(i): 1 for i in range(10001)}}))
    is_problem(server.post("/v1/chat/completions", {"messages": MESSAGES, "tools": [{"type": "function", "function": {"name": "f"}}] * 513}))
    assert is_problem(server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "word " * 100000}]}))["code"] == "context_length_exceeded"


# --- slow, silent, rude
def test_slow_header_is_closed(server):
    with server.connect() as s:
        s.sendall(b"GET /livez HTTP/1.1\r\n")
        t0 = time.monotonic()
        s.settimeout(8)
        with pytest.raises(OSError):
            while time.monotonic() - t0 < 30:
                s.sendall(b"X: y\r\n")
                time.sleep(0.1)


def test_slow_body_is_closed(server):
    with server.connect() as s:
        s.sendall(HEAD.replace("HOST", "localhost").encode() + b"Content-Length: 1000\r\n\r\n{")
        s.settimeout(30)
        try:
            assert s.recv(1000) == b""
        except ConnectionResetError:
            pass


def test_idle_and_slow_connections_do_not_hinder(server):
    idle = [server.connect() for _ in range(300)]
    for s in idle[:100]:
        s.sendall(b"GET /v1/mo")
    t0 = time.monotonic()
    assert server.chat()[0] == 200
    print(f"beside 300 connections: {1000 * (time.monotonic() - t0):.0f} ms")
    for s in idle:
        s.close()


def long_request(stream, n=1500):
    body = json.dumps({"messages": MESSAGES, "max_tokens": n, "ignore_eos": True, "stream": stream, "temperature": 0})
    return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


def running(server):
    return sum(m.get("running", 0) + m.get("waiting", 0) for m in server.get("/status")[2]["models"]) + server.get("/status")[2]["active"]


@pytest.mark.parametrize("stream", [True, False])
def test_cancel_storm(server, stream):
    for _ in range(100):
        with server.connect() as s:
            s.sendall(long_request(stream))
            if random.random() < 0.5:
                s.settimeout(0.02)
                try:
                    s.recv(10)
                except OSError:
                    pass
    t0 = time.monotonic()
    assert server.chat()[0] == 200
    first = time.monotonic() - t0
    while running(server) and time.monotonic() - t0 < 30:
        time.sleep(0.02)
    print(f"after 100 aborts: an answer after {1000 * first:.0f} ms, everything free after {1000 * (time.monotonic() - t0):.0f} ms")
    assert not running(server)


def test_streams_never_read(server):
    socks = []
    for _ in range(8):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", server.port))
        s.sendall(long_request(True).replace(b'"stream": true', b'"stream": true, "logprobs": true, "top_logprobs": 20').replace(
            b"Content-Length: ", b"X-Old: ").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n", 1))
        s.close()
    for _ in range(8):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", server.port))
        body = json.dumps({"messages": MESSAGES, "max_tokens": 1500, "ignore_eos": True, "stream": True, "logprobs": True, "top_logprobs": 20})
        s.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        socks.append(s)
    time.sleep(0.5)
    assert server.chat()[0] == 200
    end = time.monotonic() + 40
    while server.get("/status")[2]["active"] > 0 and time.monotonic() < end:
        time.sleep(0.2)
    assert server.get("/status")[2]["active"] == 0, "readers that do not read are closed after idle_seconds"
    for s in socks:
        s.close()


def test_pipelined_requests_are_answered_in_order(server):
    one = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server.connect() as s:
        s.sendall((one * 20 + one.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).encode())
        data = b""
        while chunk := s.recv(65536):
            data += chunk
    assert data.count(b"HTTP/1.1 200") == 21


def test_many_clients_that_come_and_abort(server):
    """64 at once; a third leaves in the middle; the rest get what they would get alone."""
    wrong = []

    def client(i):
        rng = random.Random(i)
        for _ in range(4):
            try:
                if rng.random() < 0.4:
                    with server.connect() as s:
                        s.sendall(long_request(rng.random() < 0.5))
                        time.sleep(rng.random() * 0.05)
                else:
                    status, _, body = server.chat()
                    if status == 200 and body["choices"][0]["message"]["content"] != server.normal:
                        wrong.append(body)
                    if status not in (200, 429):
                        wrong.append((status, body))
            except OSError as e:
                wrong.append(e)
    threads = [threading.Thread(target=client, args=(i,)) for i in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]


def test_random_bytes(server):
    rng = random.Random(5)
    for _ in range(60):
        data = bytearray((HEAD.replace("HOST", "localhost") + f"Content-Length: {N}\r\n\r\n" + BODY).encode())
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with server.connect(3) as s:
            s.sendall(bytes(data))
            s.shutdown(socket.SHUT_WR)
            read_answer(s)
