"""What is asked is what was given: words, files, pipes, pastes, system texts, conversations; and light Markdown on a terminal."""
import json
import os
import re
import subprocess

import pytest
from conftest import clean_env, write_cycle_model
from test_cli_chat import Terminal, chat  # noqa: F401
from test_cli_discover import gguf_bytes, ollama  # noqa: F401


@pytest.fixture
def asks(wick, cycle, tmp_path):
    """asks(args, stdin=...) -> the prompt that the model saw: its template writes each message as `u:text`."""
    m = cycle("abcd", ends=True)

    def ask(*args, **kw):
        r = wick("run", m, *args, "--temp", "0", "-v", cwd=tmp_path, **kw)
        assert r.returncode == 0, r.stderr
        return int(re.search(r"prompt (\d+) tok", r.stderr)[1]) - len("u:\n")
    return ask


def test_words_files_and_pipes_are_joined(asks, tmp_path):
    (tmp_path / "doc.txt").write_text("a document\n")
    doc = "a document"
    assert asks("hi", "there") == len("hi there")
    assert asks("summarize", stdin="piped text\n") == len("piped text\n\nsummarize")
    assert asks("-f", "doc.txt", "summarize") == len(f"{doc}\n\nsummarize")
    assert asks("-f", "doc.txt", "summarize", stdin="more") == len(f"{doc}\n\nmore\n\nsummarize")
    assert asks("-f", "doc.txt") == len(doc + "\n")
    assert asks("before", "-", "after", stdin="middle") == len("before\n\nmiddle\n\nafter")
    assert asks("-", stdin="all") == len("all")
    assert asks("-f", "-", "end", stdin="all") == len("all\n\nend")
    assert asks("-p", "hi", "there") == len("hi there")


def test_process_substitution(wick, cycle, tmp_path):
    m = cycle("abcd", ends=True)
    r = subprocess.run(["bash", "-c", f'"{wick.path}" run "{m}" -v --temp 0 -f <(printf "12345") x </dev/null'], capture_output=True, text=True,
                       env=clean_env(tmp_path), cwd=tmp_path)
    assert r.returncode == 0 and f"prompt {len('u:12345') + len('x') + 3} tok" in r.stderr, r.stderr


def test_what_is_no_text_is_an_error(wick, cycle, tmp_path):
    m = cycle("abcd", ends=True)
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    assert "no images" in wick.fails(2, "run", m, "-f", "x.png", "what is this", cwd=tmp_path)
    r = wick("run", m, "what is this", stdin=b"\xff\xfe\0", cwd=tmp_path, text=False)
    assert r.returncode == 2 and b"standard input is no text" in r.stderr
    assert "no such file" in wick.fails(3, "run", m, "-f", "none.txt", "x", cwd=tmp_path)


def test_system_from_a_file(wick, cycle, tmp_path):
    m = cycle("abcd", ends=True)
    (tmp_path / "sys.txt").write_text("be kind\n")
    count = lambda *a: int(re.search(r"prompt (\d+) tok", wick.ok("run", m, "hi", *a, "-v", "--temp", "0", cwd=tmp_path).stderr)[1])
    want = len("s:be kind\nu:hi\n")
    assert count("--system", "sys.txt") == count("--system", "@sys.txt") == count("--system-prompt", "be kind") == count("-sys", "be kind") == want
    assert "no such file" in wick.fails(3, "run", m, "hi", "--system", "@none.txt", cwd=tmp_path)


def test_chat_templates_by_name(wick, cycle, tmp_path):
    m = cycle("abcd", ends=True)
    for name, text in (("chatml", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"), ("gemma", "<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n")):
        r = wick.ok("run", m, "hi", "--chat-template", name, "-v", "--temp", "0")
        assert int(re.search(r"prompt (\d+) tok", r.stderr)[1]) == len(text)
    for typo in ("nofile.jinja", "chatmll", "some/where/x.jinja"):
        line = wick.fails(12, "run", m, "hi", "--chat-template", typo)
        assert "no such file" in line and "chatml, " in line


def test_a_full_context_goes_on(chat, cycle):
    t = chat("run", cycle("abcdefgh", ends=True, context=64), "--temp", "0", "-v", "--system", "sys")
    for i in range(8):
        t.wait_for(">>> ")
        t.send(f"message {i}\n")
        n = int(t.wait_for(r"prompt (\d+) tok")[1])
        assert n <= 64 - 16
    seen = t.seen
    t.wait_for(">>> ")
    t.send("/show\n")
    t.wait_for("sys")
    t.send("/quit\n")
    t.rest()
    assert t.p.wait(10) == 0
    assert b"Traceback" not in seen


def test_a_full_context_is_said_once(wick, cycle):
    r = wick.ok("run", cycle("abcdefgh", ends=True, context=64), "--temp", "0", "-v", "--system", "sys", stdin="".join(f"message {i}\n" for i in range(8)))
    assert r.stderr.count("the oldest messages are left out") == 1 and r.stdout == "abcdefgh\n" * 8
    counts = [int(n) for n in re.findall(r"prompt (\d+) tok", r.stderr)]
    assert len(counts) == 8 and counts[-1] >= len("s:sys\nu:message 7\n") and max(counts) <= 48


def test_a_paste_is_one_message(chat, cycle):
    t = chat("run", cycle("abcd", ends=True), "--temp", "0", "-v")
    t.wait_for(r"\x1b\[\?2004h")
    t.wait_for(">>> ")
    t.send("\x1b[200~one\ntwo\rthr\u00e9e\x1b[2J\n\x1b[201~")
    t.send(" end\n")
    want = "one\ntwo\nthr\u00e9e[2J end"
    assert int(t.wait_for(r"prompt (\d+) tok")[1]) == len(f"u:{want}\n".encode())
    t.wait_for(">>> ")
    t.send("/clear\n")
    t.wait_for(">>> ")
    t.send("a\x1b[Db\n")  # other escapes still reach the line editor: cursor left
    assert int(t.wait_for(r"prompt (\d+) tok")[1]) == len("u:ba\n")
    t.wait_for(">>> ")
    t.send("\x04")
    t.wait_for(r"\x1b\[\?2004l")


def test_slash_commands_of_a_chat(wick, cycle, tmp_path):
    m = cycle("abcd", ends=True)
    run = lambda text, *a: wick.ok("run", m, "--temp", "0", "-v", *a, stdin=text, cwd=tmp_path, env=clean_env(tmp_path))
    prompts = lambda r: [int(n) for n in re.findall(r"prompt (\d+) tok", r.stderr)]
    one = len("u:one\n")
    r = run("one\n/undo\none\n/retry\n/save kept.json\n/stats\n")
    assert prompts(r) == [one, one, one] and "taken back" in r.stdout and "2 messages are saved" in r.stdout and "decode" in r.stdout
    assert json.loads((tmp_path / "kept.json").read_text()) == [{"role": "user", "content": "one"}, {"role": "assistant", "content": "abcd"}]
    assert (tmp_path / "kept.json").stat().st_mode & 0o77 == 0
    assert prompts(run("/load kept.json\ntwo\n")) == [len("u:one\na:abcd\nu:two\n")]
    r = run("/set temp 0.5\n/set max_tokens 2\none\n/show\n/set nope 1\n/set temp x\n/set\n/load none\n/retry\n/undo\n")
    assert "temp is set." in r.stdout and re.search(r"^temp +0\.5$", r.stdout, re.M) and "only numbers" in r.stderr and "must be a number" in r.stderr
    assert prompts(r) == [one, one]
    (tmp_path / "s.txt").write_text("be kind")
    assert prompts(run("/system s.txt\none\n")) == [len("s:be kind\n") + one]
    assert "nothing to take back" in run("/undo\n").stdout and "no message to answer" in run("/retry\n").stdout
    help_text = run("/help\n").stdout
    assert all(c in help_text for c in ("/clear", "/save", "/load", "/system", "/set", "/show", "/retry", "/undo", "/stats", "/quit"))


def test_continue(chat, wick, cycle, tmp_path):
    m = cycle("abcd", ends=True)
    assert "no conversation" in wick.fails(2, "run", m, "--continue", "hi", env=clean_env(tmp_path))
    t = chat("run", m, "--temp", "0", "-v")
    t.wait_for(">>> ")
    t.send("one\n")
    t.wait_for(">>> ")
    t.send("/bye\n")
    t.rest()
    kept = tmp_path / ".local/state/wick/conversation.json"
    assert kept.stat().st_mode & 0o77 == 0
    r = wick.ok("run", m, "--continue", "two", "--temp", "0", "-v", env=clean_env(tmp_path))
    assert f"prompt {len('u:one') + len('a:abcd') + len('u:two') + 3} tok" in r.stderr


def test_markdown_on_a_terminal(chat, cycle, wick, monkeypatch):
    m = cycle("a*b`c", ends=True)
    t = chat("run", m, "q", "--temp", "0")
    out = t.rest()
    assert b"\x1b[36m" in out and b"`" not in out and b"a*b" in out and out.rstrip().endswith(b"\x1b[0m"), out
    t = chat("run", m, "q", "--temp", "0", "--plain")
    assert b"\x1b" not in t.rest() and b"a*b`c" in t.seen
    monkeypatch.setenv("NO_COLOR", "1")
    t = chat("run", m, "q", "--temp", "0")
    assert b"\x1b" not in t.rest()
    assert wick.ok("run", m, "q", "--temp", "0").stdout == "a*b`c\n", "a pipe gets the text itself"
