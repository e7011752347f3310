"""KV on disk: what a restart and a kill -9 leave, whom it belongs to, and how it is removed. WICK_KILLS=200: so many."""
import json
import os
import random
import signal
import time

import pytest

pytest.importorskip("make_model", reason="mlx and mlx-lm, which make the models, are not installed")
from server_common import Server, make_model  # noqa: E402

KILLS = int(os.environ.get("WICK_KILLS", "6"))
BLOCK = 128


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    out = tmp_path_factory.mktemp("kv") / "tiny"
    make_model(out, ctx=2048)
    return out


def prompt(n, seed):
    return [random.Random(seed * 1000 + i).randrange(4, 500) for i in range(n)]


def complete(server, ids, n=12, **more):
    body = {"prompt": ids, "max_tokens": n, "temperature": 0, "logprobs": 1, **more}
    status, _, answer = server.post("/v1/completions", body)
    assert status == 200, answer
    choice = answer["choices"][0]
    return choice["text"], choice["logprobs"]["token_logprobs"], answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def test_restart(model, wick, tmp_path):
    kv = tmp_path / "kv"
    ids = prompt(900, 1)
    with Server(model, "--kv-dir", kv) as s:
        first = complete(s, ids)
        assert first[2] == 0
    files = list(kv.glob("*/*.kv"))
    assert len(files) == 900 // BLOCK and all(f.stat().st_mode & 0o777 == 0o600 for f in files)
    before = {f: f.stat().st_ino for f in files}
    with Server(model, "--kv-dir", kv) as s:
        again = complete(s, ids)
        assert again[:2] == first[:2] and again[2] >= 900 - BLOCK
        assert complete(s, ids[:500] + prompt(100, 2))[2] >= 500 - BLOCK  # an edit
        assert complete(s, ids, user="somebody else")[2] == 0
        for _ in range(5):
            complete(s, prompt(60, 3))
    assert {f: f.stat().st_ino for f in files} == before, "a block was written again"
    said = json.loads(wick.ok("cache", "kv", "list", "--kv-dir", kv, "--json").stdout)
    assert said["files"] == len(list(kv.glob("*/*.kv"))) > len(files) and said["bytes"] > 0
    assert json.loads(wick.ok("cache", "kv", "clear", "--kv-dir", kv, "--json").stdout)["removed"] == said["files"]
    assert not list(kv.glob("*/*.kv"))
    with Server(model, "--kv-dir", kv) as s:
        assert complete(s, ids) == first


def test_other_precision_and_limit(model, tmp_path):
    kv = tmp_path / "kv"
    ids = prompt(600, 4)
    with Server(model, "--kv-dir", kv) as s:
        complete(s, ids)
    with Server(model, "--kv-dir", kv, "--precision", "fine") as s:
        assert complete(s, ids)[2] == 0
    size = sum(f.stat().st_size for f in kv.glob("*/*.kv"))
    with Server(model, "--kv-dir", kv, "--kv-disk", size) as s:
        for i in range(5, 9):
            complete(s, prompt(600, i))
    assert sum(f.stat().st_size for f in kv.glob("*/*.kv")) <= size
    with Server(model, "--kv-dir", tmp_path / "none", "--kv-disk", "off") as s:
        complete(s, ids)
    assert not (tmp_path / "none").exists()


def test_full_or_forbidden_folder(model, tmp_path):
    """What cannot be written costs a warning and nothing else."""
    file = tmp_path / "file"
    file.write_text("no folder")
    with Server(model, "--kv-dir", file) as s:
        first = complete(s, prompt(300, 9))
        assert complete(s, prompt(300, 9))[:2] == first[:2]


def test_kill(model, tmp_path):
    """Killed at any moment: what is there afterwards is right, and complete but for the last block."""
    kv = tmp_path / "kv"
    rng = random.Random(5)
    cases = {seed: prompt(1200, seed) for seed in range(20, 24)}
    with Server(model, "--kv-dir", "off") as s:
        want = {seed: complete(s, ids)[:2] for seed, ids in cases.items()}
    for i in range(KILLS):
        s = Server(model, "--kv-dir", kv)
        seed = rng.choice(list(cases))
        try:
            if rng.random() < 0.5:
                assert complete(s, cases[seed])[:2] == want[seed]
            body = json.dumps({"prompt": cases[rng.choice(list(cases))], "max_tokens": 200, "temperature": 0}).encode()
            with s.connect() as c:
                c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                time.sleep(rng.random() * 0.3)
        finally:
            s.process.send_signal(signal.SIGKILL)
            s.process.wait()
    with Server(model, "--kv-dir", kv) as s:
        for seed, ids in cases.items():
            assert complete(s, ids)[:2] == want[seed]
    with Server(model, "--kv-dir", kv) as s:
        for seed, ids in cases.items():
            got = complete(s, ids)
            assert got[:2] == want[seed] and got[2] >= 1200 - BLOCK
