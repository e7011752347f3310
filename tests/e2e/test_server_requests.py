"""Requests as clients, browsers and proxies send them: paths, preflights, hosts, packed bodies, parameters of other servers."""
import gzip
import json

import pytest
from server_common import Server, make_model, sse_events

KEY = "requests-key-123"
MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("requests") / "tiny"
    make_model(out)
    return out


@pytest.fixture(scope="module")
def server(folder):
    with Server(folder, "--cors-origin", "app://obsidian.md", "--cors-origin", "capacitor://localhost", "--cors-origin", "localhost") as s:
        yield s


@pytest.mark.parametrize("path", ["//v1/models", "/v1//models", "/v1/models/", "/models", "//models//", "/health", "/v1/health", "/healthz"])
def test_paths_as_clients_join_them(server, path):
    assert server.get(path)[0] == 200
    status, headers, body = server.request("HEAD", path)
    assert status == 200 and body == ""


def test_options_says_what_a_path_takes(server):
    status, headers, _ = server.request("OPTIONS", "/v1/models")
    assert status == 204 and headers["allow"] == "GET, HEAD"
    assert server.request("OPTIONS", "/v1/chat/completions")[1]["allow"] == "POST"
    assert server.request("OPTIONS", "/nowhere")[0] == 404


@pytest.mark.parametrize("origin,ok", [("app://obsidian.md", True), ("capacitor://localhost", True), ("http://localhost", True), ("http://localhost:5173", True), ("http://[::1]:3000", True),
                                       ("https://127.0.0.1:1", True), ("app://other", False), ("http://localhost.evil.example", False), ("http://evil.example", False), ("null", False)])
def test_preflight(server, origin, ok):
    ask = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os"}
    status, headers, _ = server.request("OPTIONS", "/v1/chat/completions", headers=ask)
    assert (status == 200) == ok
    assert headers.get("access-control-allow-origin") == (origin if ok else None)
    if ok:
        assert headers["access-control-allow-headers"] == ask["Access-Control-Request-Headers"]
        status, headers, _ = server.post("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 1}, headers={"Origin": origin})
        assert status == 200 and headers["access-control-allow-origin"] == origin


def test_proxies_are_told_not_to_hold_streams_back(server):
    status, headers, _ = server.chat(stream=True)
    assert status == 200 and headers["x-accel-buffering"] == "no"
    assert "x-accel-buffering" not in server.chat()[1]


def test_packed_bodies(server):
    body = json.dumps({"content": "the quick"}).encode()
    plain = server.post("/tokenize", body)[2]
    send = lambda data, how: server.post("/tokenize", data, headers={"Content-Encoding": how})
    assert send(gzip.compress(body), "gzip")[::2] == (200, plain)
    assert send(gzip.compress(body), "X-GZIP")[2] == plain and send(body, "identity")[2] == plain
    for data, how, status in ((body, "gzip", 400), (gzip.compress(body)[:-9], "gzip", 400), (gzip.compress(body) + b"x", "gzip", 400), (body, "br", 415), (body, "gzip, gzip", 415),
                              (gzip.compress(b" " * (40 << 20)), "gzip", 413)):
        assert send(data, how)[0] == status, (data[:20], how)
    assert server.get("/livez")[0] == 200


def test_chunk_extensions_and_nul(server):
    head = f"POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    body = b'{"content":"x"}'
    for ext in (b"", b";a", b";a=b", b";a=\"b c\""):
        assert server.raw(head + b"%x%s\r\n" % (len(body), ext) + body + b"\r\n0%s\r\n\r\n" % ext).startswith(b"HTTP/1.1 200 "), ext
    for value in (b"a\0b", b"a\0Authorization: x"):
        assert b" 400 " in server.raw(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + value + b"\r\nConnection: close\r\n\r\n").split(b"\r\n")[0], value


def test_any_host_name_with_a_key(folder):
    with Server(folder, env={"WICK_API_KEY": KEY}) as s:
        for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-Api-Key": KEY}):
            assert s.get("/v1/models", headers={"Host": "host.docker.internal:11535", **headers})[0] == 200
        for headers in ({}, {"X-Api-Key": "no"}, {"Authorization": "Bearer no"}):
            assert s.get("/v1/models", headers={"Host": "host.docker.internal", **headers})[0] == 401


HABITS = [{"max_tokens": -1, "stop_token_ids": [1]}, {"n_predict": 3}, {"repeat_penalty": 1.1, "typical_p": 1.0, "min_p": 0.05, "top_k": 40}, {"cache_prompt": False, "id_slot": 0, "keep_alive": "5m"},
          {"enable_thinking": True}, {"store": True, "metadata": {"a": "b"}, "service_tier": "priority", "verbosity": "low", "prediction": {"type": "content", "content": "x"}},
          {"safety_identifier": "a", "prompt_cache_key": "b", "user": "c"}, {"samplers": ["top_k", "top_p", "temperature"], "mirostat": 0, "dynatemp_range": 0.0, "timings_per_token": True},
          {"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "none"}, {"logit_bias": [[5, 1.0], ["fox", False]]},
          {"tools": None, "tool_choice": None, "stop": None, "n": 1, "top_logprobs": 0, "logprobs": False}]


@pytest.mark.parametrize("habit", HABITS, ids=lambda h: next(iter(h)))
def test_what_clients_send(server, habit):
    body = {"messages": MESSAGES, "temperature": 0} | ({} if "n_predict" in habit or "max_tokens" in habit else {"max_tokens": 3}) | habit
    status, _, answer = server.post("/v1/chat/completions", body)
    assert status == 200, answer
    if "n_predict" in habit:
        assert answer["usage"]["completion_tokens"] == 3
    if "timings_per_token" in habit:
        assert answer["timings"]["predicted_n"] == 3


def test_stop_tokens_end_the_answer(server):
    whole = server.chat(max_tokens=8, logprobs=True)[2]["choices"][0]
    ids = [server.post("/tokenize", {"content": t["token"], "add_special": False})[2]["tokens"] for t in whole["logprobs"]["content"]]
    k = next(i for i in range(1, 8) if len(ids[i]) == 1 and ids[i] not in ids[:i])
    cut = server.chat(max_tokens=8, stop_token_ids=ids[k])[2]["choices"][0]
    assert cut["finish_reason"] == "stop" and whole["message"]["content"].startswith(cut["message"]["content"]) and cut["message"]["content"] != whole["message"]["content"]
    events = [json.loads(e) for e in sse_events(server.chat(max_tokens=8, stop_token_ids=ids[k], stream=True)[2])[:-1]]
    assert "".join(e["choices"][0]["delta"].get("content") or "" for e in events) == cut["message"]["content"]


def test_usage_in_full(server):
    usage = server.chat()[2]["usage"]
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 0}
    usage = server.chat(chat_template_kwargs={"enable_thinking": True})[2]["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == usage["completion_tokens"]
    assert "cached_tokens" in usage["prompt_tokens_details"]


def test_many_embeddings_at_once(server):
    status, _, body = server.post("/v1/embeddings", {"input": ["x"] * 2048, "encoding_format": "base64"}, timeout=120)
    assert status == 200 and len(body["data"]) == 2048
    assert server.post("/v1/embeddings", {"input": ["x"] * 2049})[0] == 400


def test_unknown_names_are_refused_with_the_nearest(server):
    error = server.chat(temprature=1)[2]["error"]
    assert error["param"] == "temprature" and "did you mean \"temperature\"" in error["message"]


def test_one_model_answers_to_any_name(server, folder, tmp_path):
    ask = lambda s, name: s.post("/v1/chat/completions", {"model": name, "messages": MESSAGES, "max_tokens": 1})
    for name in ("gpt-4o", "claude-sonnet", "", "x" * 300):
        status, _, body = ask(server, name)
        assert status == 200 and body["model"] == "tiny"
    with Server(folder, "--strict-model") as s:
        assert ask(s, "tiny")[0] == 200 and ask(s, "gpt-4o")[0] == 404
    config = tmp_path / "server.yaml"
    config.write_text(f"models:\n  - {{id: one, path: {folder}}}\n  - {{id: two, path: {folder}, preload: false}}\n")
    with Server("--config", config) as s:
        status, _, body = ask(s, "gpt-4o")
        assert status == 404 and "one, two" in body["error"]["message"] and ask(s, None)[0] == 200


def test_defaults_of_the_server(folder, tmp_path):
    config = tmp_path / "server.yaml"
    config.write_text("defaults: {temperature: 0, max_tokens: 3, seed: 7, verbose: true}\n")
    with Server(folder, "--config", config) as s:
        body = s.post("/v1/chat/completions", {"messages": MESSAGES})[2]
        assert body["usage"]["completion_tokens"] == 3
        assert s.post("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 5})[2]["usage"]["completion_tokens"] == 5
        settings = s.post("/completion", {"prompt": "x"})[2]["generation_settings"]
        assert settings["seed"] == 7 and settings["temperature"] == 0 and settings["n_predict"] == 3
        assert s.get("/props")[2]["default_generation_settings"]["params"]["seed"] == 7
    import subprocess
    from server_common import WICK
    config.write_text("defaults: {temprature: 0}\n")
    r = subprocess.run([WICK, "serve", str(folder), "--config", str(config), "--port", "0"], capture_output=True, text=True, timeout=20)
    assert r.returncode != 0 and "temprature" in r.stderr


def test_metrics_under_llama_names(server):
    server.chat()
    text = server.get("/metrics")[2]
    value = {line.split(" ")[0]: float(line.split(" ")[1]) for line in text.splitlines() if line.startswith("llamacpp:")}
    assert value["llamacpp:tokens_predicted_total"] > 0 and value["llamacpp:requests_processing"] == 0 and value["llamacpp:n_tokens_max"] > 0
    assert text.count("# TYPE llamacpp:") == len(value) == 15
