"""Nobody makes others wait: what one key sends while another asks. Figures are of counts and answers; where time is compared, with a wide
margin, since machines are busy."""
import hashlib
import json
import re
import resource
import socket
import subprocess
import threading
import time

import pytest

from server_common import TEMPLATE, WICK, Server, eventually, make_model

pytestmark = pytest.mark.skipif(not WICK, reason="WICK_BIN is not set")
ATTACKER, OTHER = "attacker-key-01234567", "other-key-0123456789"


def auth(key):
    return {"Authorization": "Bearer " + key}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make_model(folder / "tiny", ctx=512)
    return folder


def make_config(folder, models, limits=None, attacker=None, **runtime):
    path = folder / "server.yaml"
    keys = [{"name": n, "sha256": hashlib.sha256(k.encode()).hexdigest(), "scopes": ["infer", "metrics", "admin"]} for n, k in (("attacker", ATTACKER), ("other", OTHER))]
    keys[0] |= attacker or {}
    path.write_text(json.dumps({"models": [{"path": str(models / "tiny")}], "keys": keys, "limits": limits or {}, "runtime": runtime}))
    return path


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    with Server("--config", make_config(tmp_path_factory.mktemp("c"), models, {"queue": 40})) as s:
        yield s


def memory(server):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{server.process.pid}/status").read()).group(1)) << 10


def peak(server):
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{server.process.pid}/status").read()).group(1)) << 10


def ask(server, key=OTHER, **more):
    return server.post("/v1/completions", {"prompt": "x", "max_tokens": 2, "temperature": 0, **more}, headers=auth(key), timeout=120)


# --- bodies
@pytest.mark.parametrize("body", [b'{"metadata":[' + b"{}," * 3_000_000 + b"{}]}", b'{"metadata":[' + b"[]," * 3_000_000 + b"[]]}",
                                  b'{"metadata":{' + b",".join(b'"%x":0' % i for i in range(900_000)) + b"}}"], ids=["objects", "arrays", "members"])
def test_many_values_are_counted_before_they_are_parsed(server, body):
    before = memory(server)
    assert len(body) < 32 << 20
    status, _, answer = server.post("/v1/completions", body, headers=auth(ATTACKER), timeout=120)
    assert status == 413 and "values" in answer["error"]["message"]
    assert peak(server) < before + 4 * len(body) + (160 << 20)
    assert ask(server)[0] == 200


def test_memory_of_large_bodies_goes_back_to_the_system(server):
    ask(server)
    before = memory(server)
    body = json.dumps({"prompt": "x", "max_tokens": 1, "metadata": {"k": [{"a": i} for i in range(200_000)]}}).encode()
    for _ in range(3):
        assert server.post("/v1/completions", body, headers=auth(ATTACKER), timeout=120)[0] in (200, 400)
    assert eventually(lambda: memory(server) < before + (48 << 20)), (memory(server) - before) >> 20


def test_bodies_are_charged_to_the_memory_limit(models, tmp_path):
    with Server("--config", make_config(tmp_path, models, memory_limit=256 << 20)) as s:
        body = json.dumps({"prompt": "x", "metadata": ["y" * 50] * 600_000}).encode()  # 30 MB, and more than that parsed
        assert s.post("/v1/completions", body, headers=auth(ATTACKER), timeout=120)[0] in (413, 503)
        assert eventually(lambda: ask(s)[0] == 200)  # as soon as the memory is given back


# --- prompts
def test_a_prompt_that_cannot_fit_is_refused_before_it_is_encoded(server):
    for path, body in (("/v1/completions", {"prompt": "the quick brown fox " * 500_000}), ("/v1/chat/completions", {"messages": [{"role": "user", "content": "quick " * 1_500_000}]})):
        status, _, answer = server.post(path, body, headers=auth(ATTACKER), timeout=120)
        assert status == 400 and "cannot fit" in answer["error"]["message"] and answer["error"]["code"] == "context_length_exceeded", answer
    assert ask(server)[0] == 200


def raw(server, key, path, body):
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def test_work_of_clients_that_left_is_not_done(server):
    """A queue of long texts to tokenize, whose senders are gone, does not keep another key waiting."""
    body = json.dumps({"content": " ".join(f"w{i}x{i * 7919 % 10007}" for i in range(300_000))}).encode()
    t0 = time.monotonic()
    assert server.post("/tokenize", body, headers=auth(ATTACKER), timeout=120)[0] == 200
    one = time.monotonic() - t0
    sockets = []
    for _ in range(24):
        s = server.connect()
        s.sendall(raw(server, ATTACKER, "/tokenize", body))
        sockets.append(s)
    for s in sockets:
        s.close()
    t0 = time.monotonic()
    assert ask(server)[0] == 200
    assert time.monotonic() - t0 < max(3, 6 * one), "others' prompts are read meanwhile"
    assert eventually(lambda: server.get("/status", headers=auth(OTHER))[2]["active"] == 0, max(20, 20 * one))


def test_one_key_never_has_all_workers(server):
    body = json.dumps({"content": " ".join(f"w{i}x{i * 7919 % 10007}" for i in range(200_000))}).encode()
    done = []
    threads = [threading.Thread(target=lambda: done.append(server.post("/tokenize", body, headers=auth(ATTACKER), timeout=120)[0])) for _ in range(16)]
    [t.start() for t in threads]
    assert eventually(lambda: server.get("/status", headers=auth(OTHER))[2]["active"] >= 6, 20)
    for _ in range(3):
        assert ask(server)[0] == 200
    n_done = len(done)
    [t.join() for t in threads]
    assert done == [200] * 16 and n_done < 16, "the other key was served while the queue was there"


# --- templates
def test_keys_of_variables_cannot_be_made_to_meet(models, tmp_path):
    """60,000 keys that had one hash when it was not seeded: mix(h ^ part, constant), so that a second part makes up for the first."""
    folder = tmp_path / "m"
    make_model(folder, ctx=512)
    template = "{% for k in d %}{% if d[k] == 'z' %}{{ k }}{% endif %}{% endfor %}" + TEMPLATE
    with Server(folder, "--chat-template", template) as s:
        def took(names):
            body = {"messages": [{"role": "user", "content": "x"}], "chat_template_kwargs": {"d": {n: 0 for n in names}}, "max_tokens": 1}
            t0 = time.monotonic()
            status, _, answer = s.post("/v1/chat/completions", body, timeout=120)
            assert status in (200, 400), answer
            return time.monotonic() - t0
        n = 20_000
        spread = min(took([f"{i:024d}" for i in range(n)]) for _ in range(2))
        # strings whose halves are swapped meet in many simple hashes; a run of equal ends and a run of equal beginnings too
        for names in ([f"{i:012d}" + "0" * 12 for i in range(n)], ["0" * 12 + f"{i:012d}" for i in range(n)]):
            assert took(names) < 10 * spread + 2


# --- quotas
def test_tokens_are_taken_when_a_request_begins(models, tmp_path):
    with Server("--config", make_config(tmp_path, models, attacker={"tokens_per_minute": 100})) as s:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(ask(s, ATTACKER, max_tokens=300, ignore_eos=True))) for _ in range(30)]
        [t.start() for t in threads], [t.join() for t in threads]
        good = [a for a in answers if a[0] == 200]
        assert len(good) == 1 and all(a[0] == 429 and int(a[1]["retry-after"]) >= 1 and a[2]["error"]["code"] == "rate_limit_exceeded" for a in answers if a[0] != 200)
        used = next(k for k in s.get("/admin/keys", headers=auth(OTHER))[2]["data"] if k["name"] == "attacker")["tokens"]
        assert used <= 320 and ask(s)[0] == 200


def test_places_of_the_queue_are_kept_for_others(server):
    stop, seen = threading.Event(), []

    def flood():
        while not stop.is_set():
            seen.append(server.post("/v1/completions", {"prompt": ["x"] * 32, "max_tokens": 60, "ignore_eos": True}, headers=auth(ATTACKER), timeout=120)[0])
    threads = [threading.Thread(target=flood) for _ in range(9)]
    [t.start() for t in threads]
    try:
        assert eventually(lambda: 429 in seen, 60)  # the attacker is told
        for _ in range(4):
            assert ask(server)[0] == 200
    finally:
        stop.set()
    [t.join() for t in threads]
    assert set(seen) <= {200, 429}


def test_banning_every_token_is_the_clients_fault(server):
    for more in ({}, {"n": 2}):
        status, _, answer = ask(server, logit_bias={str(i): -100 for i in range(512)}, **more)
        assert status == 400 and answer["error"]["param"] == "logit_bias", answer
    assert ask(server, logit_bias={str(i): -100 for i in range(511)}, ignore_eos=True)[0] == 200


# --- connections
def test_idle_connections_do_not_shut_others_out(models, tmp_path):
    """256 descriptors, 400 connections that say nothing: health, administration and answers go on."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    config = make_config(tmp_path, models)
    process = subprocess.Popen([WICK, "serve", "--config", str(config), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=few)
    s = Server.__new__(Server)
    s.process = process
    line = process.stdout.readline()
    s.port = int(line.split("://")[1].split("/")[0].rsplit(":", 1)[1])
    try:
        held = []
        for _ in range(400):
            held.append(socket.create_connection(("127.0.0.1", s.port), timeout=20))
        time.sleep(1)
        cpu = lambda: sum(map(int, open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))
        for _ in range(5):
            assert eventually(lambda: s.get("/livez")[0] == 200, 20)
        assert eventually(lambda: s.get("/admin/models", headers=auth(OTHER))[0] == 200, 20) and eventually(lambda: ask(s)[0] == 200, 20)
        before = cpu()
        time.sleep(2)
        assert cpu() - before < 100, "it does not spin"
    finally:
        [c.close() for c in held]
        process.terminate()
        process.wait(40)
