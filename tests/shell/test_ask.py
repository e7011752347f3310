"""`wick sh TEXT` with the shipped model: what it prints, and that nothing runs without a yes."""

import json
import os
import pty
import pathlib
import select
import shutil
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from conftest import clean_env, find_wick  # noqa: E402

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
    return seen.decode("utf-8", "replace")


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


@pytest.mark.skipif(not shutil.which("bwrap"), reason="no bubblewrap")
def test_dry_run_changes_nothing(wick, tmp_path):
    f = tmp_path / "qx_73.tmp"
    f.write_text("x")
    r = wick("--dry-run", "delete the file " + "qx_73.tmp", cwd=ROOT)
    assert f.exists() and r.stdout.startswith("rm qx_73.tmp\n")


def test_a_model_that_is_not_there(wick):
    r = wick("-m", "/nowhere/x", "list files")
    assert r.returncode != 0 and r.stdout == "" and "/nowhere/x" in r.stderr
