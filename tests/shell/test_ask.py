"""`wick sh TEXT` with the shipped model: what it prints, and that nothing runs without a yes."""

import json
import os
import pty
import pathlib
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from e2e.conftest import clean_env, find_wick  # noqa: E402

pytestmark = pytest.mark.skipif(not (ROOT / "models/wick-shell/model.safetensors").exists(), reason="models/wick-shell is not built")


@pytest.fixture(scope="module")
def wick(tmp_path_factory):
    path, env = find_wick(), clean_env(tmp_path_factory.mktemp("home"), WICK_PACK_CACHE="off")

    def run(*args, stdin="", cwd=None):
        return subprocess.run([path, "sh", *args], input=stdin, capture_output=True, text=True, env=env, cwd=cwd, timeout=120)
    run.path, run.env = path, env
    return run


def on_terminal(wick, args, typed, cwd):
    """The program on a pseudo-terminal; types `typed` when it asks. -> all that the terminal saw"""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(wick.path, [wick.path, "sh", *args], wick.env)
    seen, sent, end = b"", False, time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                more = os.read(fd, 4096)
            except OSError:
                break
            if not more:
                break
            seen += more
        if not sent and (b"[y/N]" in seen or b"to run it:" in seen):
            os.write(fd, typed.encode() + b"\n")
            sent = True
    os.waitpid(pid, 0)
    os.close(fd)
    return re.sub("\r\x1b\\[K[^\r]*(?=\r\x1b\\[K)|\r\x1b\\[K", "", seen.decode("utf-8", "replace"))   # the bar of the loading


def test_prints_the_command_and_runs_nothing(wick, tmp_path):
    r = wick("delete", "the", "file", "qx_73.tmp", cwd=tmp_path)
    (tmp_path / "qx_73.tmp").write_text("x")
    assert r.returncode == 0 and r.stdout == "rm qx_73.tmp\n"
    assert r.stderr == "moderate: deletes files\n"
    assert (tmp_path / "qx_73.tmp").exists()


def test_json(wick):
    o = json.loads(wick("--json", "delete the file qx_73.tmp").stdout)
    assert o["command"] == "rm qx_73.tmp" and o["risk"] == "moderate" and o["refused"] is None
    assert o["reasons"][0]["words"] == "rm qx_73.tmp" and o["explanation"] == "rm: deletes" and o["request"] == "delete the file qx_73.tmp"


def test_stdin_and_batch(wick, tmp_path):
    one = wick("--stdin", stdin="count the lines in notes.txt\n").stdout
    (tmp_path / "r.txt").write_text("count the lines in notes.txt\n\nlist all files\n")
    rows = [json.loads(x) for x in wick("--batch", str(tmp_path / "r.txt"), "--json").stdout.splitlines()]
    assert one == "wc -l notes.txt\n" and [x["command"] for x in rows][0] == "wc -l notes.txt" and len(rows) == 2


def test_yes_runs_as_far_as_the_policy_allows(wick, tmp_path):
    f = tmp_path / "qx_73.tmp"
    f.write_text("x")
    r = wick("-y", "--policy", "strict", "delete the file qx_73.tmp", cwd=tmp_path)
    assert r.returncode != 0 and f.exists()
    r = wick("-y", "delete the file qx_73.tmp", cwd=tmp_path)
    assert r.returncode == 0 and not f.exists()
    f.write_text("x")
    r = wick("-x", "delete the file qx_73.tmp", cwd=tmp_path)
    assert r.returncode != 0 and "--yes" in r.stderr and f.exists()


@pytest.mark.parametrize("typed,gone", [("y", True), ("n", False), ("", False), ("critical", False)])
def test_asks_on_a_terminal(wick, tmp_path, typed, gone):
    f = tmp_path / "qx_73.tmp"
    f.write_text("x")
    seen = on_terminal(wick, ["delete the file qx_73.tmp"], typed, tmp_path)
    assert "rm qx_73.tmp" in seen and "moderate" in seen
    assert f.exists() != gone


def test_init_is_shell(wick):
    assert subprocess.run(["bash", "-n"], input=wick("init", "bash").stdout, text=True).returncode == 0
    assert "bindkey" in wick("init", "zsh").stdout and "commandline" in wick("init", "fish").stdout
    assert wick("init", "csh").returncode != 0


def bwrap_works():
    return shutil.which("bwrap") and subprocess.run(["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not bwrap_works(), reason="no bubblewrap that may make namespaces")
def test_dry_run_changes_nothing_and_says_what_would_change(wick, tmp_path):
    f = tmp_path / "qx_73.tmp"
    f.write_text("x")
    before = sorted(os.listdir("/tmp"))
    r = wick("--dry-run", "delete the file qx_73.tmp", cwd=tmp_path)
    assert f.exists() and r.stdout == "rm qx_73.tmp\n" and r.returncode == 0
    o = json.loads(wick("--dry-run", "--json", "delete the file qx_73.tmp", cwd=tmp_path).stdout)
    assert f.exists() and o["dry_run"]["exit_code"] == 0 or not o["dry_run"]["overlay"]
    if o["dry_run"]["overlay"]:
        assert o["dry_run"]["changes"] == [{"what": "deletes", "path": "qx_73.tmp"}]
        assert "deletes qx_73.tmp" in r.stderr
    assert [x for x in os.listdir("/tmp") if x.startswith("wick-dry-") and x not in before] == []


def test_alternatives_are_judged_too(wick, tmp_path):
    o = json.loads(wick("--json", "--alternatives", "5", "show what is in the folder and how big it is", cwd=tmp_path).stdout)
    assert o["command"] and {"risk", "score", "command"} <= set(o["alternatives"][0]) if o["alternatives"] else True
    assert all(x["score"] <= o["score"] and x["command"] != o["command"] for x in o["alternatives"])
    assert len(o["alternatives"]) <= 5


def test_what_speaks_against_an_answer_is_said(wick, tmp_path):
    path = tmp_path / "empty"
    path.mkdir()
    env = {**wick.env, "PATH": str(path)}
    r = subprocess.run([wick.path, "sh", "--json", "delete the file qx_73.tmp"], capture_output=True, text=True, env=env, timeout=60)
    assert "there is no program rm on this machine" in json.loads(r.stdout)["doubts"]


def test_fish_is_given_what_it_can_read(wick, tmp_path):
    r = wick("--shell", "fish", "rename all .txt files to .md", cwd=tmp_path)
    assert r.stdout.startswith("sh -c '") or "for " not in r.stdout


@pytest.fixture
def short_home():
    path = pathlib.Path(tempfile.mkdtemp(prefix="wsh."))      # the name of a socket has at most about 100 bytes
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_turns_change_the_last_command(wick, tmp_path):
    r = wick("-i", stdin="find python files changed this week\nonly the big ones\nnow delete them\nlist all files\n", cwd=tmp_path)
    first = "find . -type f -name '*.py' -mtime -7"
    assert r.stdout.splitlines()[:3] == [first, first + " -size +10M", first + " -size +10M -delete"]
    assert len(r.stdout.splitlines()) == 4 and "high: deletes" in r.stderr and r.returncode == 0


def test_history_and_settings(wick, short_home):
    env = {**wick.env, "HOME": str(short_home)}
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        env.pop(name, None)

    def ask(*args):
        return subprocess.run([wick.path, "sh", *args], capture_output=True, text=True, env=env, timeout=60, stdin=subprocess.DEVNULL)
    ask("delete the file qx_73.tmp")
    ask("--no-history", "list all files")
    kept = short_home / ".local/state/wick/sh-history.jsonl"
    (o,) = (json.loads(x) for x in kept.read_text().splitlines())
    assert o["command"] == "rm qx_73.tmp" and o["ran"] is False and kept.stat().st_mode & 0o777 == 0o600
    assert ask("history").stdout == "delete the file qx_73.tmp\n    rm qx_73.tmp\n"
    settings = short_home / ".config/wick/sh.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text("# of every call\nno-history\n\npolicy strict\n")
    assert json.loads(subprocess.run([wick.path, "sh", "guard"], input='{"command": "touch a"}', capture_output=True, text=True, env=env).stdout)["decision"] == "ask"
    ask("list all files")
    assert len(kept.read_text().splitlines()) == 1
    for bad in ("yes", "execute", "polcy strict", "policy", "no-history 1", "policy harsh"):
        settings.write_text(bad + "\n")
        r = ask("list all files")
        assert r.returncode != 0 and "sh.conf" in r.stderr and r.stdout == "", bad


@pytest.mark.parametrize("hostile", ["qx\x1b[2J\x1b]0;owned\x07.tmp", "qx\u202egnp.tmp", "qx\x9b31m.tmp", "qx\u200b.tmp"])
def test_what_a_terminal_obeys_is_never_shown_raw(wick, tmp_path, hostile):
    seen = on_terminal(wick, ["delete the file " + hostile], "y", tmp_path)
    assert not any(c in seen for c in "\x1b\x07\u202e\x9b\u200b"), ascii(seen)
    seen = on_terminal(wick, ["--json", "--alternatives", "3", "delete the file " + hostile], "", tmp_path)
    assert not any(c in seen for c in "\x1b\x07\x9b"), ascii(seen)


@pytest.mark.skipif(not bwrap_works(), reason="no bubblewrap that may make namespaces")
def test_hostile_names_in_a_dry_run(wick, tmp_path):
    (tmp_path / "evil\x1b[2J.tmp").write_text("x")
    seen = on_terminal(wick, ["--dry-run", "delete all .tmp files"], "", tmp_path)
    assert "\x1b" not in seen and "evil" in seen, ascii(seen)


def helper_socket(home):
    return list((home / ".local/state/wick").glob("sh-*.sock"))


def test_helper_answers_ends_and_is_private(wick, short_home):
    tmp_path = short_home
    env = {**wick.env, "HOME": str(tmp_path)}
    env.pop("XDG_RUNTIME_DIR", None)
    env.pop("XDG_STATE_HOME", None)

    def ask(*args):
        return subprocess.run([wick.path, "sh", "-v", *args], capture_output=True, text=True, env=env, timeout=60, stdin=subprocess.DEVNULL)
    first = ask("--daemon", "--idle", "3", "delete the file qx_73.tmp")
    assert first.stdout == "rm qx_73.tmp\n", first.stderr
    (at,) = helper_socket(tmp_path)
    assert at.stat().st_mode & 0o777 == 0o600 and at.parent.stat().st_mode & 0o777 == 0o700
    second = ask("delete the file qx_73.tmp")
    assert second.stdout == "rm qx_73.tmp\n" and "loaded" not in second.stderr, second.stderr     # -v says when a model is loaded
    with socket.socket(socket.AF_UNIX) as s:              # what is no request is answered by an error, and the helper lives on
        s.connect(str(at))
        s.sendall(b'{"n": 99}\n')
        assert "error" in json.loads(s.makefile().readline())
        s.sendall(b"[[[\n")
        assert s.recv(10) == b""
    assert "loaded" not in ask("delete the file qx_73.tmp").stderr
    end = time.monotonic() + 30
    while helper_socket(tmp_path) and time.monotonic() < end:
        time.sleep(0.2)
    assert helper_socket(tmp_path) == []
    assert "loaded" in ask("delete the file qx_73.tmp").stderr


def test_a_dead_helper_is_no_obstacle(wick, short_home):
    tmp_path = short_home
    env = {**wick.env, "HOME": str(tmp_path)}
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        env.pop(name, None)
    r = subprocess.run([wick.path, "sh", "--daemon", "--idle", "1", "list all files"], capture_output=True, text=True, env=env, timeout=60)
    (at,) = helper_socket(tmp_path)
    end = time.monotonic() + 30
    while at.exists() and time.monotonic() < end:
        time.sleep(0.2)
    with socket.socket(socket.AF_UNIX) as s:               # a name that nobody listens at any more
        s.bind(str(at))
    again = subprocess.run([wick.path, "sh", "list all files"], capture_output=True, text=True, env=env, timeout=60)
    assert r.stdout == again.stdout != "" and again.returncode == 0


def test_a_model_that_is_not_there(wick):
    r = wick("-m", "/nowhere/x", "list files")
    assert r.returncode != 0 and r.stdout == "" and "/nowhere/x" in r.stderr
