"""`wick run --tools FILE`: calls are shown, asked for on the terminal, run, and their results answered; in every syntax of calls."""
import json
import os
import pty
import select
import signal
import subprocess
import time

import pytest
from mcp_common import python
from scripted_calls import SAID, call, scripted, syntaxes, write_model

WICK = os.environ["WICK_BIN"]
LAST = "messages[-1].content"
CALCULATE = json.dumps({"builtin": {"calculate": True}})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "model"
    return scripted.write_scripted_model(folder, [
        {"when": f"messages[-1].role == 'tool' and {LAST} == '42'", "say": "The sum is forty-two: 42."},
        {"when": f"messages[-1].role == 'tool' and 'not allow' in {LAST}", "say": "Then I will not."},
        {"when": f"messages[-1].role == 'tool' and 'cancelled' in {LAST}", "say": "Stopped."},
        {"when": "messages[-1].role == 'tool' and 'forever' not in messages[0].content", "say": "Something else came back."},
        {"when": "not tools", "say": "I have no tools."},
        {"when": "'forever' in messages[0].content", "say": call("calculate", {"expression": "1+1"})},
        {"when": f"'touch' in {SAID}", "say": call("touch", {"path": "made"})},
        {"when": f"'slow' in {SAID}", "say": call("slow", {})},
        {"when": f"'mcp' in {SAID}", "say": call("add", {"a": 15, "b": 27})},
        {"when": None, "say": "I calculate. " + call("calculate", {"expression": "15 + 27"})}])


def run(*args, folder=None):
    """Without a terminal."""
    return subprocess.run([WICK, "run", *map(str, args)], capture_output=True, text=True, timeout=60, check=False, cwd=folder, start_new_session=True, stdin=subprocess.DEVNULL)


class Terminal:
    def __init__(self, *args, cwd=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            if cwd:
                os.chdir(cwd)
            os.execv(WICK, [WICK, "run", *map(str, args)])
        self.seen = ""

    def until(self, text, seconds=30):
        end = time.time() + seconds
        while text not in self.seen and time.time() < end:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        assert text in self.seen, self.seen
        before, _, self.seen = self.seen.partition(text)
        return before

    def send(self, text):
        os.write(self.fd, text.encode())

    def wait(self):
        end = time.time() + 30
        while time.time() < end:
            got, status = os.waitpid(self.pid, os.WNOHANG)
            if got:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    pass
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(self.seen)


def test_15_plus_27(model):
    r = run(model, "What is 15 + 27?", "--tools", CALCULATE, "--yes")
    assert r.returncode == 0 and r.stdout == "I calculate.\nThe sum is forty-two: 42.\n", (r.stdout, r.stderr)
    assert '-> calculate {"expression": "15 + 27"}' in r.stderr and "<- 42" in r.stderr
    out = json.loads(run(model, "What is 15 + 27?", "--tools", CALCULATE, "--yes", "--json").stdout)
    assert out["text"] == "The sum is forty-two: 42." and out["tool_calls"][0]["result"] == "42"


def test_nobody_to_ask(model, tmp_path):
    r = run(model, "What is 15 + 27?", "--tools", CALCULATE)
    assert r.stdout.endswith("Then I will not.\n") and "--yes" in r.stderr
    commands = json.dumps({"commands": {"touch": {"command": ["touch", "{path}"], "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}}})
    r = run(model, "touch", "--tools", commands, "--yes", folder=tmp_path)
    assert r.stdout == "Then I will not.\n" and "not marked safe" in r.stderr and not (tmp_path / "made").exists()


@pytest.mark.parametrize("answer,made", [("y\n", True), ("n\n", False), ("\n", False), ("a\n", True)])
def test_asking(model, tmp_path, answer, made):
    commands = json.dumps({"commands": {"touch": {"command": ["touch", "{path}"], "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}}})
    t = Terminal(model, "touch", "--tools", commands, cwd=tmp_path)
    assert '-> touch {"path": "made"}' in t.until("run it? [y/N, a: always] ")
    assert not (tmp_path / "made").exists()
    t.send(answer)
    t.until("Something else came back." if made else "Then I will not.")
    assert t.wait() == 0 and (tmp_path / "made").exists() == made


def test_a_chat(model):
    """Two questions in one chat; `a` is asked once."""
    t = Terminal(model, "--tools", CALCULATE)
    t.until("1 tools")
    t.send("What is 15 + 27?\n")
    t.until("run it?")
    t.send("a\n")
    t.until("forty-two: 42.")
    t.send("again\n")
    assert "run it?" not in t.until("forty-two: 42.")
    t.send("\x04")
    assert t.wait() == 0


def test_interrupt_ends_the_tool(model):
    commands = json.dumps({"commands": {"slow": {"command": ["sleep", "31"], "safe": True}}})
    t = Terminal(model, "slow", "--tools", commands, "--yes")
    t.until("-> slow")
    time.sleep(0.3)
    start = time.time()
    t.send("\x03")
    assert t.wait() != 0 and time.time() - start < 5
    assert subprocess.run(["pgrep", "-f", "^sleep 31$"], capture_output=True, check=False).returncode == 1


def test_mcp_servers_and_limits(model):
    command, *args = python("sdk_server.py")
    config = json.dumps({"mcpServers": {"sdk": {"command": command, "args": args, "safe": ["add"]}}})
    r = run(model, "mcp", "--mcp", config, "--tools", CALCULATE, "--yes")
    assert r.stdout == "The sum is forty-two: 42.\n", r.stderr
    r = run(model, "forever", "--tools", CALCULATE, "--yes")
    assert r.returncode == 0 and r.stderr.count("<- 2") == 8 and "in 8 answers" in r.stderr
    r = run(model, "x", "--tools", "no-such-file")
    assert r.returncode != 0 and "no-such-file" in r.stderr and len(r.stderr.strip().splitlines()) == 1


def test_every_syntax(tmp_path):
    wrong = []
    for row in syntaxes():
        folder = write_model(tmp_path / row["name"], row)
        for text, says, n in (("What is 15 + 27?", "The sum: 42.", 1), ("both", "Both are forty-two.", 2))[:1 + row["parallel"]]:
            r = run(folder, text, "--tools", CALCULATE, "--yes")
            if r.stdout.strip() != says or r.stderr.count("<- 42") != n:
                wrong.append((row["name"], text, r.stdout, r.stderr))
    assert not wrong, wrong
