"""What docs/RELIABILITY.md promises of the server, row by row: fairness, preemption, memory, NaN, deadlines, determinism, isolation of
prompts, a soak. WICK_SOAK=10000 runs the long form of the last ones; the default is short."""
import concurrent.futures
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import threading
import time

import pytest

from server_common import WICK, Server, eventually, make_model, sse_events

pytestmark = pytest.mark.skipif(not WICK, reason="WICK_BIN is not set")
SOAK = int(os.environ.get("WICK_SOAK", "0"))
SANITIZED = "TSAN_OPTIONS" in os.environ or "ASAN_OPTIONS" in os.environ  # memory and time are not what they are elsewhere
KEYS = {"low": "low-key-123456", "high": "high-key-12345", "other": "other-key-1234"}
WORDS = "the quick brown fox jumps over lazy dog pack my box with five dozen liquor jugs how vexingly daft zebras".split()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make_model(folder / "tiny")
    make_model(folder / "other", seed=7)
    return folder


def config(folder, name="server.yaml", **parts):
    path = folder / name
    path.write_text(json.dumps(parts))  # JSON is YAML
    return path


def key_list(**more):
    return [{"name": n, "sha256": hashlib.sha256(k.encode()).hexdigest(), **more.get(n, {})} for n, k in KEYS.items()]


def auth(name):
    return {"Authorization": "Bearer " + KEYS[name]}


def text_of(answer):
    assert answer[0] == 200, answer
    return answer[2]["choices"][0]["message"]["content"]


def metric(server, name, headers=None):
    return float(re.search(name + r"\{[^}]*\} (\S+)", server.get("/metrics", headers=headers)[2]).group(1))


def prompt(i, n=24):
    rng = random.Random(i)
    return " ".join(rng.choice(WORDS) for _ in range(n))


# --- the engine under load
@pytest.fixture(scope="module")
def narrow(models, tmp_path_factory):
    """One sequence at a time: who is served first shows."""
    yaml = config(tmp_path_factory.mktemp("narrow"), models=[{"path": str(models / "tiny"), "max_seqs": 1}], limits={"keepalive_seconds": 1},
                  keys=key_list(high={"priority": 5, "scopes": ["infer", "metrics", "admin"]}))
    with Server("--config", yaml) as s:
        yield s


def finish_order(server, first, late):
    """Starts `first`, waits until one of them is generating and the rest wait, starts `late`; the names in the order of their ends."""
    done, lock = [], threading.Lock()

    def ask(name, tokens):
        text_of(server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": prompt(tokens)}], "temperature": 0, "max_tokens": tokens, "ignore_eos": True}, headers=auth(name), timeout=120))
        with lock:
            done.append(name)
    threads = [threading.Thread(target=ask, args=a) for a in first]
    for t in threads:
        t.start()
    status = lambda: server.get("/status", headers=auth("high"))[2]
    assert eventually(lambda: status()["active"] + len(done) >= len(first), 20)
    n_early = len(done)
    more = [threading.Thread(target=ask, args=a) for a in late]
    for t in more:
        t.start()
    for t in threads + more:
        t.join()
    if n_early > len(first) // 2:
        pytest.skip("the machine is too busy to start requests while others run")
    return done


def test_keys_are_served_in_turn(narrow):
    order = finish_order(narrow, [("low", 600)] * 10, [("other", 20)])
    assert order.index("other") < 10, order  # not behind all ten of the other key


def test_priority_goes_first(narrow):
    order = finish_order(narrow, [("low", 600)] * 10, [("high", 20)])
    assert order.index("high") < 10, order


def test_a_waiting_stream_gets_comments(narrow):
    t0 = time.monotonic()
    busy = threading.Thread(target=lambda: narrow.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "go"}], "n": 3, "max_tokens": 1900, "ignore_eos": True}, headers=auth("high"), timeout=120))
    busy.start()
    assert eventually(lambda: narrow.get("/status", headers=auth("high"))[2]["active"] > 0, 20)
    waits = {}
    asking = threading.Thread(target=lambda: waits.update(text=narrow.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2, "stream": True}, headers=auth("low"), timeout=120)[2]))
    asking.start()
    busy.join()
    took = time.monotonic() - t0
    asking.join()
    assert waits["text"].endswith("data: [DONE]\n\n")
    if took > 3.5:  # long enough that silence would have been noticed
        assert waits["text"].startswith(": "), waits["text"][:200]


def test_preemption_when_kv_runs_out(models, tmp_path):
    """Eight sequences of one request, so that they surely run at the same time."""
    ask = {"temperature": 0, "max_tokens": 200, "ignore_eos": True}
    texts = [prompt(i) for i in range(8)]
    with Server(models / "tiny") as s:
        want = [s.post("/v1/completions", {"prompt": t, **ask}, timeout=120)[2]["choices"][0]["text"] for t in texts]
    # room for some 3 of the 8 sequences of about 300 tokens
    yaml = config(tmp_path, models=[{"path": str(models / "tiny"), "kv_limit": 3 * 320 * 2 * 2 * 2 * 64 * 4, "context": 512, "prefix_cache": False}])
    with Server("--config", yaml) as s:
        choices = s.post("/v1/completions", {"prompt": texts, **ask}, timeout=120)[2]["choices"]
        assert metric(s, "wick_preemptions_total") > 0
        assert [c["text"] for c in sorted(choices, key=lambda c: c["index"])] == want


def test_deadline_is_504_and_frees_the_slot(models, tmp_path):
    yaml = config(tmp_path, models=[{"path": str(models / "tiny"), "max_seqs": 1}], limits={"request_seconds": 1})
    with Server("--config", yaml) as s:
        status, _, body = s.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "n": 16, "max_tokens": 1900, "ignore_eos": True}, timeout=60)
        assert status in (200, 504)
        if status == 504:
            assert body["error"]["type"] == "server_error"
        assert eventually(lambda: s.get("/status")[2]["active"] == 0, 20) and s.chat()[0] == 200


def test_drain_limit_cuts_what_still_runs(models):
    s = Server(models / "tiny", "--drain-timeout", 1)
    body = json.dumps({"messages": [{"role": "user", "content": "x"}], "max_tokens": 1900, "ignore_eos": True, "n": 16})
    with s.connect(60) as c:
        c.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        assert eventually(lambda: s.get("/status")[2]["active"] > 0, 20)
        s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(40) == 0


# --- memory and models
def test_models_give_way_to_one_another(models, tmp_path):
    yaml = config(tmp_path, runtime={"memory_limit": 0}, models=[{"path": str(models / n), "preload": False, "context": 256, "max_seqs": 2} for n in ("tiny", "other")])
    with Server("--config", yaml) as s:
        assert s.post("/v1/completions", {"model": "tiny", "prompt": "x", "max_tokens": 1})[0] == 200
        one = s.get("/admin/models")[2]["data"][0]["bytes"]
    lowest = None
    for factor in (1.1, 1.3, 1.6, 1.9):  # the least that one model alone can be loaded in
        yaml = config(tmp_path, runtime={"memory_limit": int(one * factor) + (4 << 20)}, models=[{"path": str(models / n), "preload": False, "context": 256, "max_seqs": 2} for n in ("tiny", "other")])
        with Server("--config", yaml) as s:
            if s.post("/v1/completions", {"model": "tiny", "prompt": "x", "max_tokens": 1})[0] != 200:
                continue
            lowest = factor
            loaded = lambda: [m["id"] for m in s.get("/v1/models")[2]["data"] if m["state"] == "ready"]
            for name in ("other", "tiny", "other", "other", "tiny"):
                assert s.post("/v1/completions", {"model": name, "prompt": "x", "max_tokens": 1})[0] == 200
                assert name in loaded()
            break
    assert lowest


def test_idle_models_are_unloaded(models, tmp_path):
    yaml = config(tmp_path, runtime={"idle_unload_seconds": 1}, models=[{"path": str(models / "tiny")}])
    with Server("--config", yaml) as s:
        state = lambda: s.get("/v1/models/tiny")[2]["state"]
        assert eventually(lambda: state() == "unloaded", 20)
        assert s.chat()[0] == 200 and state() == "ready"


def test_too_large_is_refused_before_it_is_loaded(models):
    r = subprocess.run([WICK, "serve", str(models / "tiny"), "--port", "0", "--memory-limit", "100K"], capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and re.search(r"need|available|memory", r.stderr) and len(r.stderr.splitlines()) <= 2, r.stderr


def test_nan_logits_are_an_error_of_that_request(models, tmp_path):
    import mlx.core as mx
    shutil.copytree(models / "tiny", tmp_path / "nan")
    path = next((tmp_path / "nan").glob("*.safetensors"))
    weights = dict(mx.load(str(path)))
    name = next(k for k in weights if k.endswith("norm.weight") and "layers" not in k)
    weights[name] = mx.full(weights[name].shape, float("nan"), dtype=weights[name].dtype)
    mx.save_safetensors(str(path), weights, metadata={"format": "mlx"})
    with Server(tmp_path / "nan") as s:
        for stream in (False, True):
            status, _, body = s.chat(stream=stream)
            if stream:
                assert status == 200 and '"error"' in body and "[DONE]" in body
            else:
                assert status == 500 and body["error"]["type"] == "server_error", body
        assert s.get("/livez")[0] == 200 and metric(s, "wick_requests_failed_total") >= 2


# --- who may see what
def test_cached_prompts_are_not_shared_between_keys(narrow):
    long = prompt(77, 60)
    cached = lambda key, **kw: narrow.post("/v1/chat/completions", {"messages": [{"role": "user", "content": long}], "max_tokens": 1, **kw}, headers=auth(key))[2]["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached("low") < 10 and cached("low") > 20  # the template's own beginning may be there
    assert cached("other") < 10 and cached("low", user="somebody") < 10 and cached("low", user="somebody") > 20


def test_logs_are_escaped(models):
    s = Server(models / "tiny", "-v")
    s.post("/v1/completions", {"model": "evil\x1b[31m\nname", "prompt": "x"})
    s.post("/admin/models/load", {"model": "bad\x1b]0;title\x07", "path": "/nowhere/\x1b[2J"})
    s.get("/v1/models/%1b%5b31m")
    _, err = s.stop()
    assert "\x1b" not in err and "\x07" not in err and err.count("\n") < 40


def test_flags_win_over_the_file(models, tmp_path):
    yaml = config(tmp_path, server={"port": 1}, runtime={"backends": [{"name": "cpu", "threads": 1}]}, limits={"queue": 9}, models=[{"path": str(models / "tiny"), "context": 512, "id": "m"}])
    with Server("--config", yaml) as s:
        m = s.get("/v1/models/m")[2]
        assert m["context"] == 512 and m["backend"] == "cpu"
    with Server("--config", yaml, "--ctx", 256) as s:
        assert s.get("/v1/models/m")[2]["context"] == 256
    with Server("--config", yaml, env={"WICK_BACKEND": "cpu", "WICK_CPU": "portable"}) as s:
        assert "portable" in s.get("/v1/models/m")[2]["device"].lower()


def test_keys_outlive_the_process(models, tmp_path):
    store = tmp_path / "keys.json"
    yaml = config(tmp_path, server={"key_store": str(store)}, models=[{"path": str(models / "tiny")}], keys=key_list(high={"scopes": ["admin", "infer"]}))
    with Server("--config", yaml) as s:
        made = s.post("/admin/keys", {"name": "kept", "scopes": ["infer"], "requests_per_minute": 1000}, headers=auth("high"))[2]["key"]
        gone = s.post("/admin/keys", {"name": "gone"}, headers=auth("high"))[2]["key"]
        assert s.request("DELETE", "/admin/keys/gone", headers=auth("high"))[0] == 200
        assert s.post("/admin/keys/limits", {"name": "kept", "priority": 3}, headers=auth("high"))[0] == 200
    assert store.stat().st_mode & 0o777 == 0o600 and made not in store.read_text() and made[5:] not in store.read_text()
    with Server("--config", yaml) as s:
        assert s.get("/v1/models", headers={"Authorization": "Bearer " + made})[0] == 200
        assert s.get("/v1/models", headers={"Authorization": "Bearer " + gone})[0] == 401
        listed = {k["name"]: k for k in s.get("/admin/keys", headers=auth("high"))[2]["data"]}
        assert listed["kept"]["priority"] == 3 and listed["kept"]["kept"] and not listed["high"]["kept"]
    store.chmod(0o644)
    r = subprocess.run([WICK, "serve", "--config", str(yaml), "--port", "0"], capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and "chmod 600" in r.stderr


# --- the same text whatever else goes on
def test_greedy_text_depends_on_nothing_else(models):
    n = max(40, SOAK)
    ask = lambda s, i: text_of(s.post("/v1/chat/completions", {"messages": [{"role": "user", "content": prompt(i % 97, 20 + i % 97)}], "temperature": 0, "max_tokens": 6}, timeout=120))
    with Server(models / "tiny", "-t", 1, "--no-prefix-cache", "--max-seqs", 1) as s:
        want = [ask(s, i) for i in range(min(n, 97))]
    for args in (["-t", 2, "--max-seqs", 16], ["-t", 3, "--max-seqs", 5, "--prefill-chunk", 7]):
        with Server(models / "tiny", *args) as s, concurrent.futures.ThreadPoolExecutor(12) as pool:
            order = list(range(n))
            random.Random(len(args)).shuffle(order)
            wrong = sum(text != want[i % 97] for i, text in zip(order, pool.map(lambda i: ask(s, i), order)))
            assert wrong == 0
    print(f"greedy: 0 of {2 * n} answers differ")


# --- many connections, many requests
def rss_kib(server):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{server.process.pid}/status").read()).group(1))


def n_files(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
def test_a_thousand_idle_connections_are_cheap(models):
    with Server(models / "tiny") as s:
        for _ in range(20):
            s.chat()
        before, conns = rss_kib(s), []
        try:
            for i in range(900 if hasattr(os, "sched_getaffinity") else 200):
                c = s.connect()
                c.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" if i % 2 else b"GET /live")
                conns.append(c)
        except OSError:  # this process may not open so many
            pass
        assert s.chat()[0] == 200
        each = (rss_kib(s) - before) / max(1, len(conns))
        print(f"{len(conns)} connections: {each:.1f} KiB each")
        assert len(conns) < 200 or SANITIZED or each < 64
        for c in conns:
            c.close()
        assert eventually(lambda: s.get("/status")[2]["connections"] < 10, 20)


def one_of_many(server, i, rng):
    """A mixed request: answers of every kind, refusals, clients that go."""
    user = {"role": "user", "content": prompt(rng.randrange(50), 5 + rng.randrange(40))}
    kind = i % 10
    if kind == 0:  # gone in the middle
        body = json.dumps({"messages": [user], "max_tokens": 400, "ignore_eos": True, "stream": bool(i & 16)})
        with server.connect() as s:
            s.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            s.settimeout(0.01)
            try:
                s.recv(64)
            except OSError:
                pass
        return
    tools = [{"type": "function", "function": {"name": f"f{i}", "parameters": {"type": "object", "properties": {f"p{i}": {"type": "string"}}}}}]
    answer = {1: lambda: server.post("/v1/chat/completions", {"messages": [user], "tools": tools, "max_tokens": 3}),
              2: lambda: server.post("/v1/chat/completions", "{" * (i % 300)),
              3: lambda: server.post("/v1/embeddings", {"input": [prompt(i, 9), "x"]}),
              4: lambda: server.post("/v1/completions", {"prompt": prompt(i, 12), "echo": True, "logprobs": 3, "max_tokens": 2}),
              5: lambda: server.chat(prompt(i % 60), stream=True, max_tokens=5),
              6: lambda: server.post("/tokenize", {"content": prompt(i), "with_pieces": True}),
              7: lambda: server.get("/metrics"),
              8: lambda: server.chat(prompt(i % 60), n=2, temperature=1, max_tokens=4, logit_bias={"9": 2})}.get(kind, lambda: server.chat(prompt(i % 7), max_tokens=3))()
    assert answer[0] in (200, 400, 429), answer


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
def test_soak(models):
    n = max(300, SOAK)
    with Server(models / "tiny", "--max-seqs", 8, "--no-prefix-cache") as s, concurrent.futures.ThreadPoolExecutor(8) as pool:
        run = lambda a, b: list(pool.map(lambda i: one_of_many(s, i, random.Random(i)), range(a, b)))
        idle = lambda: eventually(lambda: s.get("/status")[2]["active"] == 0, 30)
        want = text_of(s.chat("a normal one"))
        run(0, n)  # warm-up: caches fill to their bounds
        assert idle()
        rss, files = rss_kib(s), n_files(s)
        run(n, 2 * n)
        assert idle() and text_of(s.chat("a normal one")) == want
        assert eventually(lambda: n_files(s) <= files + 2, 30)
        grown = rss_kib(s) - rss
        print(f"soak: {n} requests after {n}: {grown} KiB of {rss} more, {n_files(s) - files} descriptors more")
        assert SANITIZED or grown < 32 * 1024


def test_times_of_foreign_prompts_tell_nothing(narrow):
    """WICK_SOAK: the time to the first token of a prompt that another key has cached, beside one that nobody has."""
    if not SOAK:
        pytest.skip("figures, not a check: WICK_SOAK=1000")

    def ms(i):
        t0 = time.perf_counter()
        narrow.post("/v1/chat/completions", {"messages": [{"role": "user", "content": prompt(i, 150)}], "max_tokens": 1}, headers=auth("other"))
        return (time.perf_counter() - t0) * 1000
    hit, miss = [], []
    for i in range(1000):
        narrow.post("/v1/chat/completions", {"messages": [{"role": "user", "content": prompt(10000 + i, 150)}], "max_tokens": 1}, headers=auth("low"))
        hit.append(ms(10000 + i))
        miss.append(ms(20000 + i))
    above = sum((h > m) + 0.5 * (h == m) for h in hit for m in miss) / (len(hit) * len(miss))
    print(f"AUC {max(above, 1 - above):.3f}, median {statistics.median(hit):.2f} and {statistics.median(miss):.2f} ms")
