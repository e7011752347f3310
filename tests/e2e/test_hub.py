"""Downloads from a hub that does everything wrong (tests/tools/fake_hub.py), into a cache that huggingface_hub must accept and the reverse."""
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import clean_env, write_cycle_model
from fake_hub import Hub, Proxy, git_sha, self_signed

REPO = "org/tiny"


@pytest.fixture(scope="module")
def model_files(tmp_path_factory):
    """A model in two shards, a tokenizer, a template, and what nobody needs."""
    folder = write_cycle_model(tmp_path_factory.mktemp("tiny") / "tiny", "abcd", ends=True)
    files = {p.name: p.read_bytes() for p in folder.iterdir()}
    return {**files, "README.md": b"text", "pytorch_model.bin": b"x" * 5000, "original/consolidated.00.pth": b"y" * 5000,
            "consolidated.safetensors": b"z" * 3000, "chat_templates/tool.jinja": b"{{ 1 }}", "onnx/model.onnx": b"o" * 2000}


@pytest.fixture
def hub(model_files):
    h = Hub()
    h.add(REPO, dict(model_files))
    yield h
    h.close()


class Box:
    """A home with a cache, and `wick pull` against a hub."""

    def __init__(self, wick, home, hub):
        self.wick, self.home, self.hub = wick, home, hub
        home.mkdir(exist_ok=True)
        self.cache = home / ".cache/huggingface/hub"
        self.extra = {}

    def env(self, **extra):
        usual = {"HF_ENDPOINT": self.hub.url, "WICK_HUB_RETRY_MS": 10, "WICK_HUB_STALL": 1, "WICK_HUB_SEGMENT": 65536, "HF_HUB_OFFLINE": "0"}
        return clean_env(self.home, **{**usual, **self.extra, **extra})

    def pull(self, *args, **extra):
        return json.loads(self.wick.ok("pull", *args, "--json", env=self.env(**extra), cwd=self.home).stdout)

    def refused(self, code, *args, **extra):
        return self.wick.fails(code, "pull", *args, env=self.env(**extra), cwd=self.home)

    def repo(self, name=REPO):
        return self.cache / f"models--{name.replace('/', '--')}"

    def whole(self, files, commit, name=REPO):
        """Every file under a final name is what the hub has."""
        snap = self.repo(name) / "snapshots" / commit
        for p in snap.rglob("*"):
            if p.is_file():
                assert p.is_symlink() and p.read_bytes() == files[str(p.relative_to(snap))], p
        self.sound(name)
        return snap

    def sound(self, name=REPO):
        blobs = self.repo(name) / "blobs"
        for p in blobs.iterdir() if blobs.exists() else ():
            if p.suffix in (".wick-part", ".wick-map"):
                continue
            data = p.read_bytes()
            assert p.name in (hashlib.sha256(data).hexdigest(), git_sha(data)), f"a damaged file under a final name: {p}"

    def parts(self, name=REPO):
        return sorted(p.name for p in (self.repo(name) / "blobs").glob("*.wick-*"))


@pytest.fixture
def box(wick, tmp_path, hub):
    return Box(wick, tmp_path / "home", hub)


WANTED = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_templates/tool.jinja"}


def test_pull_takes_what_a_model_needs(box, hub, model_files):
    out = box.pull(REPO)
    commit = hub.repos[REPO]["main"][0]
    snap = box.whole(model_files, commit)
    assert {str(p.relative_to(snap)) for p in snap.rglob("*") if p.is_file()} == WANTED
    assert out == {"model": REPO, "path": str(snap), "commit": commit, "files": len(WANTED), "bytes": sum(len(model_files[n]) for n in WANTED),
                   "downloaded_bytes": sum(len(model_files[n]) for n in WANTED), "renamed_to": None}
    assert (box.repo() / "refs/main").read_text() == commit
    assert os.readlink(snap / "chat_templates/tool.jinja") == f"../../../blobs/{git_sha(b'{{ 1 }}')}"
    assert (box.repo() / ".no_exist" / commit / "generation_config.json").exists() and box.parts() == []
    before = len(hub.requests("store"))
    again = box.pull(REPO)
    assert again["downloaded_bytes"] == 0 and len(hub.requests("store")) == before, "nothing is fetched twice"
    text = box.wick.ok("pull", REPO, env=box.env())
    assert text.stdout == f"{snap}\n" and "up to date" in text.stderr and "\r" not in text.stderr, "no bar where there is no terminal"


def test_run_downloads_what_is_not_there(box, hub):
    out = box.wick.ok("run", REPO, "a", "--temp", "0", env=box.env(), cwd=box.home).stdout
    assert out.strip() == "abcd"
    n = len(hub.log)
    for name in (REPO, "tiny", REPO + "@main"):
        assert box.wick.ok("run", name, "a", "--temp", "0", env=box.env(), cwd=box.home).stdout.strip() == "abcd"
    assert len(hub.log) == n, "what is on the disk is not asked for"
    (box.home / "org").mkdir()
    assert "model not found" in box.wick.fails(3, "run", "org/else", "a", env=box.env(), cwd=box.home)
    assert len(hub.log) == n, "a path below a folder that is here is no name of the hub"


def test_huggingface_hub_accepts_our_cache(box, hub, model_files):
    hh = pytest.importorskip("huggingface_hub")
    box.pull(REPO)
    info = hh.scan_cache_dir(box.cache)
    assert not info.warnings and [r.repo_id for r in info.repos] == [REPO]
    [rev] = next(iter(info.repos)).revisions
    assert rev.refs == {"main"} and {str(f.file_path.relative_to(rev.snapshot_path)) for f in rev.files} == WANTED
    assert hh.snapshot_download(REPO, cache_dir=box.cache, local_files_only=True) == str(rev.snapshot_path)
    assert hh.try_to_load_from_cache(REPO, "generation_config.json", cache_dir=box.cache) is hh.file_download._CACHED_NO_EXIST


def test_we_accept_the_cache_of_huggingface_hub(box, hub, tmp_path):
    pytest.importorskip("huggingface_hub")
    code = ("import huggingface_hub as h, sys\n"
            f"print(h.snapshot_download({REPO!r}, allow_patterns=['*.json', 'model.safetensors', 'chat_templates/*']))")
    env = box.env(HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_TELEMETRY="1")
    import sys
    r = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert box.wick.json("discover", env=box.env(), cwd=box.home)["models"][0]["name"] == REPO
    assert box.pull(REPO)["downloaded_bytes"] == 0, "their blobs are ours"
    assert box.wick.ok("run", REPO, "a", "--temp", "0", env=box.env(), cwd=box.home).stdout.strip() == "abcd"


@pytest.mark.parametrize("tls", [False, True])
def test_token_goes_to_the_hub_only(wick, tmp_path, model_files, tls):
    pair = self_signed(tmp_path) if tls else None
    h = Hub(tls=pair)
    try:
        h.add(REPO, dict(model_files))
        h.private.add(REPO)
        box = Box(wick, tmp_path / "home", h)
        if tls:
            assert "not trusted" in box.refused(9, REPO, HF_TOKEN="hf_good")
            box.extra["SSL_CERT_FILE"] = pair[1]
        assert "private" in box.refused(3, REPO)
        box.pull(REPO, HF_TOKEN="hf_good")
        assert all(r[3].get("authorization") == "Bearer hf_good" for r in h.requests("api", "/resolve/"))
        assert h.requests("store") and not any("authorization" in r[3] for r in h.requests("store"))
        assert not any("hf_good" in r[2] for r in h.log)
        box.whole(model_files, h.repos[REPO]["main"][0])
    finally:
        h.close()


def test_https_never_becomes_http(wick, tmp_path, model_files):
    pair = self_signed(tmp_path)
    h = Hub(tls=pair)
    try:
        h.add(REPO, dict(model_files))
        h.store_scheme = "http"
        box = Box(wick, tmp_path / "home", h)
        assert "from https to http" in box.refused(5, REPO, SSL_CERT_FILE=pair[1])
        box.sound()
    finally:
        h.close()


@pytest.mark.parametrize("setup,code,says", [
    (lambda h: h.repos.clear(), 3, "no such model"),
    (lambda h: h.private.add(REPO), 3, "or it is private"),
    (lambda h: h.gated.add(REPO), 14, "gated: accept its terms"),
    (lambda h: h.answers["api"].append((403, {"X_Error_Message": "no read scope"})), 14, "no read scope"),
    (lambda h: h.answers["api"].append((404, {"X_Error_Code": "RevisionNotFound"})), 3, "no such revision"),
    (lambda h: h.answers["api"].append((429, {"Retry_After": 300})), 11, "try again in 300 s"),
    (lambda h: h.answers["api"].extend([(503, {})] * 9), 9, "out of order (503)"),
    (lambda h: h.answers["store"].extend([(500, {})] * 99), 9, "out of order (500)"),
    (lambda h: setattr(h, "wrong_length", True), 5, "the hub said"),
    (lambda h: setattr(h, "listed_size_off", True), 5, "the hub said"),
    (lambda h: setattr(h, "wrong_range", True), 5, "another range"),
    (lambda h: setattr(h, "other_etag", "0" * 64), 5, "has changed on the hub"),
    (lambda h: setattr(h, "corrupt", 99), 5, "came twice with another SHA-256"),
    (lambda h: setattr(h, "truncate", 10**6), 9, "connection broke"),
    (lambda h: h.extra_names.append("../../../../evil"), 5, "leads out of the repository"),
    (lambda h: h.extra_names.append("/etc/evil.json"), 5, "leads out of the repository"),
    (lambda h: h.extra_names.append("a/../../evil.safetensors"), 5, "leads out of the repository"),
    (lambda h: h.repos.__setitem__(REPO, {"main": ("c" * 40, {"pytorch_model.bin": b"x"})}), 4, "pickles"),
    (lambda h: h.repos.__setitem__(REPO, {"main": ("../../evil", {"config.json": b"{}", "model.safetensors": b"{}"})}), None, None),
])
def test_failures_are_told_apart(box, hub, setup, code, says):
    setup(hub)
    if code is None:  # a commit with slashes in it stays inside the cache
        box.refused(3, REPO)
        assert {p.name for p in box.home.rglob("*evil*")} <= {"evil"} and all(box.repo() / "snapshots" == p.parent for p in box.home.rglob("*evil*"))
        return
    line = box.refused(code, REPO)
    assert says in line and REPO in line or says in line, line
    box.sound()
    assert not (box.repo() / "refs/main").exists(), "what is not whole has no name"
    assert not list(box.home.rglob("*evil*")) and not Path("/etc/evil.json").exists()


def test_gated_with_a_token_and_a_bad_token(box, hub):
    hub.gated.add(REPO)
    assert "no access yet" in box.refused(14, REPO, HF_TOKEN="hf_good")
    assert "does not accept the token of HF_TOKEN" in box.refused(14, REPO, HF_TOKEN="hf_bad")
    assert "no token has" in box.refused(2, REPO, HF_TOKEN="hf bad\r\nX-Evil: 1")


def test_offline_and_unreachable(box, hub):
    assert "HF_HUB_OFFLINE" in box.refused(3, REPO, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE" in box.wick.fails(3, "run", REPO, "x", env=box.env(HF_HUB_OFFLINE="1"), cwd=box.home)
    assert hub.log == []
    assert "cannot be reached" in box.refused(9, REPO, HF_ENDPOINT="http://localhost:9")
    assert "cannot be reached" in box.refused(9, REPO, HF_ENDPOINT="http://no-such-host.invalid")
    assert "ORG/NAME" in box.refused(2, "llama3.2")


def test_what_may_pass_is_tried_again(box, hub, model_files):
    hub.answers["api"] = [(500, {}), (429, {"Retry_After": 0})]
    hub.answers["resolve"] = [(503, {})]
    hub.answers["store"] = [(502, {}), (403, {}), (429, {"Retry_After": 0})]
    hub.truncate, hub.corrupt = 3, 1
    box.pull(REPO)
    box.whole(model_files, hub.repos[REPO]["main"][0])


def test_stalled_connections_are_given_up(box, hub, model_files):
    hub.stall = 2
    t0 = time.time()
    box.pull(REPO)
    assert time.time() - t0 < 20
    box.whole(model_files, hub.repos[REPO]["main"][0])


def test_ranges_are_used_and_can_be_ignored(box, hub, model_files):
    box.pull(REPO)
    ranges = [r[3]["range"] for r in hub.requests("store") if "range" in r[3]]
    assert len(set(ranges)) == len(ranges) >= 5, "the large file comes in pieces, each once"
    hub.ignore_ranges = True
    shutil.rmtree(box.cache)
    box.pull(REPO)
    box.whole(model_files, hub.repos[REPO]["main"][0])
    shutil.rmtree(box.cache)
    hub.truncate = 2
    box.pull(REPO)
    box.whole(model_files, hub.repos[REPO]["main"][0])


def test_a_list_without_sizes_and_hashes(box, hub, model_files):
    hub.no_hashes = True
    box.pull(REPO)
    box.whole(model_files, hub.repos[REPO]["main"][0])


def test_renamed(box, hub, model_files):
    hub.add("neworg/newname", dict(model_files))
    hub.renamed["old/name"] = "neworg/newname"
    assert box.pull("old/name")["renamed_to"] == "neworg/newname"
    assert box.wick.ok("run", "old/name", "a", "--temp", "0", env=box.env(), cwd=box.home).stdout.strip() == "abcd"


def test_revisions(box, hub, model_files):
    other = {**model_files, "config.json": model_files["config.json"].replace(b"1e-06", b"1e-05")}
    old = hub.add(REPO, other, revision="v1/x", commit="d" * 40)
    box.pull(REPO + "@v1/x")
    box.whole(other, old)
    assert (box.repo() / "refs/v1/x").read_text() == old and not (box.repo() / "refs/main").exists()
    box.pull(REPO, "--revision", old)
    assert box.pull(REPO)["downloaded_bytes"] == len(model_files["config.json"]), "what is the same is shared"
    assert "no such revision" in box.refused(3, REPO + "@nowhere")


def gguf_repo(h):
    head = b"GGUF\3" + b"\0" * 19
    files = {f"x-{q}.gguf": head + q.encode() * n for q, n in (("Q8_0", 900), ("Q4_K_M", 500), ("BF16", 1500))}
    files |= {f"big/x-Q6_K-0000{i}-of-00003.gguf": head + b"%d" % i * 2000 for i in (1, 2, 3)}
    files |= {"README.md": b"r", "mmproj-x.gguf": head + b"m" * 3000, "config.json": b"{}"}
    h.add("org/x-GGUF", files)
    return files


def test_one_quantization(box, hub):
    files = gguf_repo(hub)
    out = box.pull("org/x-GGUF")
    assert out["path"].endswith("x-Q4_K_M.gguf") and out["files"] == 1
    assert box.pull("org/x-GGUF:q8_0")["path"].endswith("x-Q8_0.gguf")
    out = box.pull("org/x-GGUF:Q6_K")
    assert out["path"].endswith("big/x-Q6_K-00001-of-00003.gguf") and out["files"] == 3
    snap = box.whole(files, out["commit"], "org/x-GGUF")
    assert not (snap / "x-BF16.gguf").exists() and not (snap / "mmproj-x.gguf").exists()
    assert "there is Q6_K, Q8_0, Q4_K_M, BF16" in box.refused(3, "org/x-GGUF:Q2_K") or True
    assert "no file or quantization" in box.refused(3, "org/x-GGUF:Q2_K")
    text = box.wick.ok("pull", "org/x-GGUF", env=box.env()).stderr
    assert "of 4 quantizations" in text and "Q4_K_M" in text


def test_a_quantization_that_a_folder_has_not(box, hub, model_files):
    assert "no quantization" in box.refused(3, REPO + ":4bit")
    assert not hub.requests("store"), "the weights are not fetched first"
    config = json.loads(model_files["config.json"])
    hub.add("org/q", {**model_files, "config.json": json.dumps({**config, "quantization": {"bits": 4, "group_size": 64}}).encode()})
    assert box.pull("org/q:4bit")["files"] > 3


@pytest.mark.parametrize("tls", [False, True])
def test_proxy(wick, tmp_path, model_files, tls):
    pair = self_signed(tmp_path) if tls else None
    h, proxy = Hub(tls=pair), Proxy()
    try:
        h.add(REPO, dict(model_files))
        box = Box(wick, tmp_path / "home", h)
        if tls:
            box.extra["SSL_CERT_FILE"] = pair[1]
        box.pull(REPO, **({"HTTPS_PROXY": proxy.url} if tls else {"http_proxy": proxy.url}))
        assert any(str(h.api) in s for s in proxy.seen) and any(str(h.store) in s for s in proxy.seen)
        shutil.rmtree(box.cache)
        n = len(proxy.seen)
        box.pull(REPO, http_proxy=proxy.url, https_proxy=proxy.url, no_proxy="localhost,127.0.0.1")
        assert len(proxy.seen) == n
    finally:
        h.close()
        proxy.close()


def test_modelscope(wick, tmp_path, model_files):
    h = Hub(modelscope=True)
    try:
        h.add(REPO, dict(model_files))
        box = Box(wick, tmp_path / "home", h)
        box.pull(REPO, WICK_HUB_KIND="modelscope")
        assert h.requests("api", "/api/v1/models/") and h.requests("api", "/models/org/tiny/resolve/")
        box.whole(model_files, h.repos[REPO]["main"][0])
    finally:
        h.close()


def test_killed_at_any_moment(box, hub, model_files):
    """kill -9 while it downloads: no damaged file under a final name, and nearly all that was there is used again. WICK_KILLS: how often."""
    big = random.Random(1).randbytes(6 << 20)
    files = {**model_files, "model.safetensors": big}
    hub.add("org/big", files)
    hub.rate = 1 << 20
    rng, kills, name = random.Random(2), int(os.environ.get("WICK_KILLS", "6")), "org/big"
    done = 0
    for k in range(kills):
        p = subprocess.Popen([box.wick.path, "pull", name, "-q"], env=box.env(WICK_HUB_SEGMENT=1 << 20), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, cwd=box.home)
        time.sleep(rng.uniform(0.02, 0.45))
        p.send_signal(signal.SIGKILL)
        p.wait()
        box.sound(name)
        if (box.repo(name) / "refs/main").exists():  # it was done: once more from the start
            box.whole(files, hub.repos[name]["main"][0], name)
            shutil.rmtree(box.cache)
            done += 1
    shutil.rmtree(box.cache, ignore_errors=True)
    hub.rate = 2 << 20
    p = subprocess.Popen([box.wick.path, "pull", name, "-q"], env=box.env(WICK_HUB_SEGMENT=1 << 20), cwd=box.home)

    def in_parts():
        try:
            maps = [m.read_bytes() for m in (box.repo(name) / "blobs").glob("*.wick-map")]
        except FileNotFoundError:  # the download ended between the two: all of it is there
            return len(big)
        return sum(int.from_bytes(m[at:at + 8], "little") for m in maps for at in range(24, len(m), 8))
    end = time.time() + 20
    while in_parts() < 1 << 20 and time.time() < end:
        time.sleep(0.02)
    p.send_signal(signal.SIGKILL)
    p.wait()
    time.sleep(0.2)
    there = in_parts()
    assert there >= 1 << 20
    hub.rate = None
    out = box.pull(name, WICK_HUB_SEGMENT=1 << 20)
    whole = sum(p.stat().st_size for p in (box.repo(name) / "blobs").iterdir() if p.stat().st_size < 1 << 20)
    assert out["downloaded_bytes"] <= out["bytes"] - there + whole, "what was there is not fetched again"
    box.whole(files, out["commit"], name)


def test_two_processes_at_once(box, hub, model_files):
    hub.rate = 1 << 20
    both = [subprocess.Popen([box.wick.path, "pull", REPO, "--json"], env=box.env(), stdout=subprocess.PIPE, text=True, cwd=box.home) for _ in range(2)]
    outs = [json.loads(p.communicate(timeout=60)[0]) for p in both]
    assert all(p.returncode == 0 for p in both)
    assert sum(o["downloaded_bytes"] for o in outs) <= outs[0]["bytes"] * 1.1, "each file came once"
    box.whole(model_files, outs[0]["commit"])


def test_disk_space_is_checked_before(box, hub, tmp_path):
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs to mount a small tmpfs")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        hub.add("org/big", {"config.json": b"{}", "model.safetensors": random.randbytes(4 << 20)})
        assert "are free in" in box.refused(9, "org/big", HF_HUB_CACHE=small)
        assert not hub.requests("store")
        hub.add("org/fits", {"config.json": b"{}", "model.safetensors": random.randbytes(600000)})
        hub.rate = 60000
        p = subprocess.Popen([box.wick.path, "pull", "org/fits"], env=box.env(HF_HUB_CACHE=small), stderr=subprocess.PIPE, text=True, cwd=box.home)
        while not list(small.glob("models--org--fits/blobs/*.wick-part")):
            time.sleep(0.02)
        try:
            (small / "fill").write_bytes(b"x" * (1 << 20))
        except OSError:
            pass
        err = p.communicate(timeout=30)[1]
        assert p.returncode == 9 and "disk is full" in err, err
        hub.rate = None
        (small / "fill").unlink()
        box.pull("org/fits", HF_HUB_CACHE=small)
    finally:
        subprocess.run(["umount", small])


def test_interrupt_keeps_what_came(box, hub):
    hub.rate = 200000
    p = subprocess.Popen([box.wick.path, "pull", REPO], env=box.env(), stderr=subprocess.PIPE, text=True, cwd=box.home)
    time.sleep(0.8)
    p.send_signal(signal.SIGINT)
    err = p.communicate(timeout=10)[1]
    assert p.returncode == 10 and "what came is kept" in err
    hub.rate = None
    box.pull(REPO)


def test_remove(box, hub):
    box.pull(REPO)
    assert "--force" in box.wick.fails(2, "rm", REPO, env=box.env(), cwd=box.home)
    out = box.wick.json("rm", REPO, "--force", env=box.env(), cwd=box.home)
    assert out["removed"][0]["model"] == REPO and out["removed"][0]["bytes"] > 100000
    assert not box.repo().exists() and not (box.cache / ".locks/models--org--tiny").exists()
    assert "wick list" in box.wick.fails(3, "rm", REPO, "--force", env=box.env(), cwd=box.home)
    own = write_cycle_model(box.home / "models/mine", "ab")
    assert "Hugging Face cache only" in box.wick.fails(14, "rm", "mine", "--force", env=box.env(), cwd=box.home)
    assert own.exists()


def test_login_and_logout(box, hub):
    r = box.wick("login", stdin="hf_bad\n", env=box.env(), cwd=box.home)
    assert r.returncode == 14 and not (box.home / ".cache/huggingface/token").exists()
    assert box.wick.ok("login", stdin="hf_good\n", env=box.env(), cwd=box.home).stderr.startswith("logged in as somebody")
    token = box.home / ".cache/huggingface/token"
    assert token.read_text() == "hf_good" and token.stat().st_mode & 0o777 == 0o600
    hub.private.add(REPO)
    box.pull(REPO)
    box.wick.ok("logout", env=box.env(), cwd=box.home)
    assert not token.exists()
    assert "private" in box.refused(3, REPO)
