"""The chat of `wick run MODEL`, under a pseudo terminal and through a pipe: turns, history, Ctrl-C, Ctrl-D, slash commands; and that no
escape byte of a model or a file name reaches a terminal."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
from conftest import clean_env, write_cycle_model

TEXT = "abcdefghij\n"


class Terminal:
    """The program on a pseudo terminal of its own."""

    def __init__(self, wick, *args, home=None, cwd=None):
        master, slave = pty.openpty()
        env = clean_env(home or wick.home)
        self.p = subprocess.Popen([wick.path, *map(str, args)], stdin=slave, stdout=slave, stderr=slave, env=env, cwd=cwd, start_new_session=True,
                                  preexec_fn=self.control)
        os.close(slave)
        self.fd, self.seen = master, b""

    @staticmethod
    def control():
        import fcntl
        import termios
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def read(self, seconds):
        """Whatever comes within so many seconds; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data
        return bool(data)

    def wait_for(self, pattern, seconds=30):
        """The match in what came since the last one; what follows it stays for the next."""
        end = time.monotonic() + seconds
        while not (m := re.search(pattern.encode() if isinstance(pattern, str) else pattern, self.seen)):
            left = end - time.monotonic()
            if left < 0 or not self.read(left):
                m = re.search(pattern.encode() if isinstance(pattern, str) else pattern, self.seen)
                assert m, f"{pattern!r} did not come; the last was {self.seen[-600:]!r}"
                break
        self.seen = self.seen[m.end():]
        return m

    def send(self, text):
        os.write(self.fd, text.encode())

    def rest(self, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.read(0.2):
            if self.p.poll() is not None:
                while self.read(0.05) and select.select([self.fd], [], [], 0.05)[0]:
                    pass
                break
        return self.seen

    def close(self):
        if self.p.poll() is None:
            os.killpg(self.p.pid, signal.SIGKILL)
        self.p.wait()
        os.close(self.fd)


@pytest.fixture
def chat(wick, tmp_path):
    opened = []

    def start(*args, **kw):
        t = Terminal(wick, *args, home=tmp_path, **kw)
        opened.append(t)
        return t
    yield start
    for t in opened:
        t.close()


def test_two_turns_history_and_the_end(chat, cycle, tmp_path):
    t = chat("run", cycle("abcdefghij", ends=True), "--temp", "0", "-v")
    t.wait_for(r"/help for help")
    t.wait_for(">>> ")
    t.send("one message\n")
    first = t.wait_for(r"prompt (\d+) tok")
    t.wait_for(">>> ")
    t.send("another\n")
    second = t.wait_for(r"prompt (\d+) tok")
    t.wait_for(">>> ")
    assert int(first[1]) == len("u:one message\n")
    assert int(second[1]) == len("u:one message\na:abcdefghij\nu:another\n"), "the second turn knows of the first"
    t.send("\x04")
    t.rest()
    assert t.p.wait(10) == 0
    history = tmp_path / ".local/state/wick/history"
    lines = history.read_text()
    assert "one" in lines and "another" in lines and history.stat().st_mode & 0o77 == 0
    t = chat("run", cycle(TEXT, ends=True), "--temp", "0", "-v")
    t.wait_for(">>> ")
    t.send("\x10\x10\n")  # Ctrl-P twice: the message before the last
    assert int(t.wait_for(r"prompt (\d+) tok")[1]) == len("u:one message\n")
    t.send("/quit\n")
    t.rest()
    assert t.p.wait(10) == 0


def test_typed_characters_arrive(chat, cycle):
    t = chat("run", cycle("abcd", ends=True), "--temp", "0", "-v")
    t.wait_for(">>> ")
    t.send("é漢😀\n")
    assert int(t.wait_for(r"prompt (\d+) tok")[1]) == len("u:é漢😀\n".encode())
    t.wait_for(">>> ")
    t.send("/clear\n")
    t.wait_for(">>> ")
    t.send("abc\x7f\x01X\n")  # backspace, to the start of the line
    assert int(t.wait_for(r"prompt (\d+) tok")[1]) == len("u:Xab\n")


def test_answer_is_shown_as_it_is(chat, cycle):
    t = chat("run", cycle("x😀é.", ends=True), "--temp", "0")
    t.wait_for(">>> ")
    t.send("hi\n")
    t.wait_for("x😀é\\.\r\n")
    t.wait_for(">>> ")


def test_interrupt_stops_the_answer_only(chat, cycle):
    t = chat("run", cycle(TEXT, context=131072), "--temp", "0", "--ignore-eos", "-n", "100000", "-c", "131072")
    t.wait_for(">>> ")
    for turn in ("first", "second"):
        t.send(f"the {turn}\n")
        t.wait_for("abcdefghij\r\nabcdefghij\r\n")
        time.sleep(1)  # nobody reads: the terminal is full and the program waits in a write
        t.send("\x03")
        t.wait_for(r"\(stopped\)", 20)
        t.wait_for(">>> ", 20)
        assert t.p.poll() is None
    t.send("/clear\n")
    t.wait_for("forgotten")
    t.wait_for(">>> ")
    t.send("\x04")
    t.rest()
    assert t.p.wait(10) == 0


def test_interrupt_at_the_prompt_does_not_leave(chat, cycle):
    t = chat("run", cycle(TEXT, ends=True), "--temp", "0", "-v")
    t.wait_for(">>> ")
    for _ in range(3):
        t.send("half a mess\x03")
        t.wait_for(r"Ctrl-D")
        t.wait_for(">>> ")
        assert t.p.poll() is None
    t.send("hi\n")
    assert int(t.wait_for(r"prompt (\d+) tok")[1]) == len("u:hi\n"), "the half message is gone"
    t.send("/bye\n")
    t.rest()
    assert t.p.wait(10) == 0


def test_slash_commands(chat, cycle):
    t = chat("run", cycle(TEXT, ends=True), "--temp", "0", "-v")
    prompt = lambda: int(t.wait_for(r"prompt (\d+) tok")[1])
    t.wait_for(">>> ")
    t.send("/help\n")
    for word in ("/clear", "/system", "/quit", "Ctrl-C"):
        t.wait_for(word)
    t.wait_for(">>> ")
    t.send("/nonsense\n")
    t.wait_for("No command /nonsense")
    t.wait_for(">>> ")
    t.send("abc\n")
    assert prompt() == len("u:abc\n")
    t.wait_for(">>> ")
    t.send("/clear\n")
    t.wait_for("forgotten")
    t.wait_for(">>> ")
    t.send("abc\n")
    assert prompt() == len("u:abc\n")
    t.wait_for(">>> ")
    t.send("/system be kind\n")
    t.wait_for("system prompt")
    t.wait_for(">>> ")
    t.send("abc\n")
    assert prompt() == len("s:be kind\nu:abc\n")
    t.wait_for(">>> ")
    t.send("/clear\n")
    t.wait_for(">>> ")
    t.send('"""one\ntwo"""\n')
    assert prompt() == len("s:be kind\nu:one\ntwo\n"), "the system prompt outlives /clear"


def test_clear_keeps_the_system_prompt_of_the_command_line(chat, cycle):
    t = chat("run", cycle(TEXT, ends=True), "--temp", "0", "-v", "--system", "be kind")
    t.wait_for(">>> ")
    t.send("/clear\n")
    t.wait_for(">>> ")
    t.send("abc\n")
    assert int(t.wait_for(r"prompt (\d+) tok")[1]) == len("s:be kind\nu:abc\n")


def test_a_failing_turn_does_not_end_the_chat(chat, cycle):
    t = chat("run", cycle(TEXT, ends=True, context=64), "--temp", "0", "-v")
    t.wait_for(">>> ")
    t.send("x" * 100 + "\n")
    t.wait_for("wick: ")
    t.wait_for(">>> ")
    t.send("hi\n")
    assert int(t.wait_for(r"prompt (\d+) tok")[1]) == len("u:hi\n"), "the failed message is forgotten"


def test_chat_through_a_pipe(wick, cycle):
    m = cycle("abcd", ends=True)
    r = wick.ok("run", m, "--temp", "0", "-v", stdin="one\n\ntwo\n/clear\nthree")
    assert [int(n) for n in re.findall(r"prompt (\d+) tok", r.stderr)] == [6, 6 + len("a:abcd\nu:two\n"), 8]
    assert r.stdout == "abcd\nabcd\nThe conversation is forgotten.\nabcd\n" and ">>>" not in r.stdout
    assert wick.ok("run", m, "--temp", "0", stdin="").stdout == ""


def test_reasoning_is_apart(wick, cycle):
    """What a model thinks goes to standard error, in JSON under its own key, and back to the template in the next turn."""
    thinks = ("{% for m in messages %}{{ m.role[0] }}:{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}\n"
              "{% endfor %}{% if add_generation_prompt %}a:<think>\n{% endif %}")
    m = cycle("wxyz", ends=True)
    r = wick.ok("run", m, "hi", "--temp", "0", "--chat-template", thinks)
    assert r.stdout == "\n" and "wxyz" in r.stderr
    answer = json.loads(wick.ok("run", m, "hi", "--temp", "0", "--chat-template", thinks, "--json").stdout)
    assert (answer["reasoning"], answer["text"]) == ("wxyz", "")
    assert "wxyz" not in wick.ok("run", m, "hi", "--temp", "0", "--chat-template", thinks, "--quiet").stderr
    two = wick.ok("run", m, "--temp", "0", "-v", "--chat-template", thinks, stdin="one\ntwo")
    assert [int(n) for n in re.findall(r"prompt (\d+) tok", two.stderr)] == [16, 16 + len("a:<think>wxyz</think>\nu:two\n")]


def raw_escapes(data):
    """Control bytes that are not the program's own line ends or its progress bar's `clear to end of line`."""
    data = data.replace(b"\x1b[K", b"")
    text = data.decode("utf-8", "replace")
    return [c for c in text if (ord(c) < 32 and c not in "\r\n\t") or 127 <= ord(c) < 160 or c in "\u202e\u2066"]


def test_hostile_model_text_on_a_terminal(chat, wick, cycle):
    m = cycle(b"\x1b[2J\xc2\x9b\x07Q\x7f.", ends=True)
    for args in (["generate", m, "x", "--temp", "0"], ["run", m, "x", "--temp", "0"], ["generate", m, "x", "--temp", "0", "--no-stream"],
                 ["detokenize", m, "27,91,50,74,7,194,155"], ["tokenize", m, "a\x1b[2J\u009b"],
                 ["template", m, "--messages", '[{"role":"user","content":"\\u001b[2J\\u009b\\u202e"}]']):
        t = chat(*args)
        out = t.rest()
        assert t.p.wait(10) == 0 and len(out) > 3, out
        assert not raw_escapes(out), (args, out)
    assert wick.ok("generate", m, "x", "--temp", "0", text=False).stdout == b"\x1b[2J\xc2\x9b\x07Q\x7f.\n", "a pipe gets the text itself"


def test_hostile_names_on_a_terminal(chat, tmp_path):
    evil = "e\x1b]0;owned\x07\x1b[31m\u009bname"
    m = write_cycle_model(tmp_path / "models" / evil, "abcd", ends=True)
    config = (m / "config.json").read_text()
    (m / "config.json").write_text(config[:-1] + ', "quantization": {"bits": 4, "group_size": 64, "mode": "af\\u001b[5mfine"}}')
    other = write_cycle_model(tmp_path / "models/other", "abcd")
    (other / "config.json").write_text(config.replace('"model_type": "llama"', '"model_type": "ll\\u001b[31mama"'))
    (tmp_path / "models/x\x1b[31m.gguf").write_bytes(b"GGUF" + b"\x03\0\0\0" + b"\0" * 16)
    (m / "tokenizer.json").read_text()
    for args in (["discover"], ["discover", "--json"], ["inspect", m], ["inspect", m, "--tensors"], ["inspect", other], ["run", other, "x"],
                 ["run", "models/x\x1b[31m.gguf", "x"], ["run", "none\x1b[31m\u009b", "x"], ["tokenize", evil + "x", "y"], ["ru\x1b[31m"],
                 ["run", "x", "--te\x1b[31mp"], ["bench", m, "-p", "4", "-n", "2", "-r", "1"], ["bench", m, "-p", "4", "-n", "2", "-r", "1", "--csv"],
                 ["help", "x\x1b[31m"], ["generate", m, "x", "-n", "3", "-v"]):
        t = chat(*args, cwd=tmp_path)
        out = t.rest()
        t.p.wait(20)
        assert len(out) > 3 and not raw_escapes(out), (args, out)
