"""`wick sh --check` and `wick sh guard`: the labelled set, disguised forms of it, and other parsers as oracles."""

import json
import pathlib
import random
import resource
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from e2e.conftest import clean_env, find_wick  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
LEVELS = ["safe", "moderate", "high", "critical"]


def labelled():
    for line in (HERE / "safety.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            level, cmd = line.split(" ", 1)
            yield LEVELS.index(level), cmd.replace("\\n", "\n") if "<<" in cmd or "os.fork" in cmd else cmd


@pytest.fixture(scope="module")
def wick(tmp_path_factory):
    path, env = find_wick(), clean_env(tmp_path_factory.mktemp("home"))

    def run(*args, stdin=""):
        return subprocess.run([path, "sh", *args], input=stdin, capture_output=True, text=True, env=env, timeout=120)
    return run


def check(wick, commands):
    lines = "".join(json.dumps({"command": c}) + "\n" for c in commands)
    r = wick("--check", "-", "--batch", "-", "--json", stdin=lines)
    assert r.stderr == ""
    out = [json.loads(x) for x in r.stdout.splitlines()]
    assert [o["command"] for o in out] == list(commands)
    return [o["level"] for o in out]


def test_labelled_set(wick):
    rows = list(labelled())
    assert len(rows) >= 600
    got = check(wick, [c for _, c in rows])
    pairs = [(want, g, c) for (want, c), g in zip(rows, got)]
    assert [p for p in pairs if p[0] == 3 and p[1] < 2] == []
    high = [p for p in pairs if p[0] == 2]
    assert sum(p[1] >= 2 for p in high) >= 0.97 * len(high), [p for p in high if p[1] < 2]
    safe = [p for p in pairs if p[0] == 0]
    assert sum(p[1] >= 2 for p in safe) <= 0.03 * len(safe), [p for p in safe if p[1] >= 2]
    assert sum(p[0] == p[1] for p in pairs) >= 0.97 * len(pairs), [p for p in pairs if p[0] != p[1]]


def quote(cmd):
    return "'" + cmd.replace("'", "'\\''") + "'"


@pytest.mark.parametrize("wrap", [
    lambda c: "bash -c " + quote(c), lambda c: "sh -c " + quote("eval " + quote(c)), lambda c: "true; " + c, lambda c: "if x; then\n" + c + "\nfi",
    lambda c: "echo \"$(\n" + c + "\n)\"", lambda c: "f() {\n" + c + "\n}; f", lambda c: "env A=1 sh -c " + quote(c), lambda c: "printf %s " + quote(c) + " | sh",
    lambda c: "x=" + quote(c) + "; eval \"$x\"", lambda c: "sh <<'_EOF_'\n" + c + "\n_EOF_", lambda c: "ssh host " + quote(c), lambda c: "for i in 1 2; do\n" + c + "\ndone",
])
def test_disguises_do_not_lower_the_level(wick, wrap):
    rows = [(w, c) for w, c in labelled() if w >= 2 and "<<" not in c and "$X" not in c and "1:" not in c]
    got = check(wick, [wrap(c) for _, c in rows])
    assert [(w, g, c) for (w, c), g in zip(rows, got) if g < min(w, 2)] == []


@pytest.mark.parametrize("wrap", [lambda c: "echo " + quote(c), lambda c: "grep -F -- " + quote(c) + " notes.txt", lambda c: "ls # " + c.replace("\n", " "),
                                  lambda c: "cat <<'_EOF_'\n" + c + "\n_EOF_", lambda c: "printf '%s\\n' " + quote(c)])
def test_text_is_data(wick, wrap):
    commands = [wrap(c) for w, c in labelled() if w >= 2]
    assert [c for c, g in zip(commands, check(wick, commands)) if g] == []


def test_exit_codes_and_words(wick):
    for cmd, code, text in (("ls", 0, "safe\n"), ("touch a", 1, "moderate: makes a file or a folder\n"), ("ls; rm -rf x", 2, "high: deletes a folder with all that is in it: rm -rf x\n"),
                            ("rm -rf /", 3, "critical: deletes what the system needs\n")):
        r = wick("--check", cmd)
        assert (r.returncode, r.stdout, r.stderr) == (code, text, "")


def test_hostile_text_is_shown_escaped(wick):
    for cmd in ("ls \x1b[2J", "ls \u202e", "rm -rf \x9b31m", "\u0441at x; \x07"):
        for args in ((), ("--json",)):
            out = wick("--check", cmd, *args).stdout
            assert not any(ord(ch) < 32 and ch != "\n" or 127 <= ord(ch) < 160 or ch == "\u202e" for ch in json.dumps(out, ensure_ascii=False) if not args)
            assert "\x1b" not in out and "\x07" not in out


GUARD = {"ls": ("allow", "allow", "allow"), "touch a": ("ask", "allow", "allow"), "rm -rf x": ("deny", "ask", "allow"), "rm -rf /": ("deny", "deny", "deny")}


@pytest.mark.parametrize("column,policy", enumerate(["strict", "moderate", "permissive"]))
@pytest.mark.parametrize("cmd", GUARD)
def test_guard(wick, cmd, column, policy):
    want = GUARD[cmd][column]
    out = json.loads(wick("guard", "--policy", policy, stdin=json.dumps({"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": cmd}})).stdout)
    assert out["hookSpecificOutput"]["permissionDecision"] == want and out["hookSpecificOutput"]["hookEventName"] == "PreToolUse"
    out = json.loads(wick("guard", "--policy", policy, stdin=json.dumps({"hook_event_name": "beforeShellExecution", "command": cmd, "cwd": "/"})).stdout)
    assert out["permission"] == want
    out = json.loads(wick("guard", "--policy", policy, stdin=json.dumps({"command": cmd})).stdout)
    assert out["decision"] == want and out["risk"] in LEVELS


def test_guard_fails_closed(wick):
    for text in ("", "{", "[]", "null", "rm -rf /"):
        assert json.loads(wick("guard", stdin=text).stdout)["hookSpecificOutput"]["permissionDecision"] == "deny"
    assert json.loads(wick("guard", stdin='{"tool_name": "Read", "tool_input": {"file_path": "x"}}').stdout) == {}


def test_fast(wick):
    commands = [c for _, c in labelled()] * 10
    start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime     # processor time: other work on the machine does not count
    check(wick, commands)
    assert (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start) / len(commands) < 0.001


# -- oracles ---------------------------------------------------------------------------------------------------------------
TOKENS = ["ls", "echo a", "x=1", "'q r'", '"d $x"', "$(b)", "`c`", ";", "&&", "||", "|", "&", "\n", "(", ")", "{", "}", "if", "then", "else", "fi", "while", "do", "done", "for i in a b",
          "case x in", "a)", ";;", "esac", "f()", "> o", "2>&1", "< i", "!", "# c\n", "\\\n", "${v:-w}", "$((1+2))", "a=b", "*", "~", "elif", "until", "in", "<<E\nb\nE\n", "[[ -f a ]]", "<(p)"]


def lines(n, seed):
    rng = random.Random(seed)
    known = [c for _, c in labelled()]
    for _ in range(n):
        if rng.random() < 0.4:  # a real command, with a piece lost, doubled or put in
            c = rng.choice(known)
            for _ in range(rng.randint(0, 2)):
                at = rng.randrange(len(c) + 1)
                c = c[:at] + rng.choice(["", rng.choice(TOKENS), c[at:at + 3]]) + c[at + rng.randint(0, 2):]
        else:
            c = " ".join(rng.choice(TOKENS) for _ in range(rng.randint(1, 9)))
        if "\0" not in c:
            yield c


def accepted(shell, commands, options=()):
    """What the shell's own -n says of each."""
    out = []
    for c in commands:
        r = subprocess.run([shell, *options, "-n"], input=c.encode() + b"\n", capture_output=True, timeout=20)
        out.append(r.returncode == 0 and b"unexpected" not in r.stderr)
    return out


def parsed(wick, commands):
    text = "".join(json.dumps({"command": c + "\n"}) + "\n" for c in commands)
    rows = [json.loads(x) for x in wick("--check", "-", "--batch", "-", "--json", stdin=text).stdout.splitlines()]
    return [not any(r["reason"].startswith("not a shell command") for r in row["reasons"]) for row in rows]


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_syntax_as_bash(wick):
    commands = list(lines(1500, 7))
    differ = [c for c, a, b in zip(commands, parsed(wick, commands), accepted("bash", commands)) if a != b]
    assert len(differ) <= 0.01 * len(commands), differ[:60]


@pytest.mark.skipif(not shutil.which("dash"), reason="no dash")
def test_what_dash_accepts_parses(wick):
    commands = [c for c in lines(1500, 8) if "<(" not in c and "[[" not in c]
    differ = [c for c, a, b in zip(commands, parsed(wick, commands), accepted("dash", commands)) if b and not a]
    assert len(differ) <= 0.01 * len(commands), differ[:60]


def test_as_bashlex(wick):
    bashlex = pytest.importorskip("bashlex")
    commands = list(lines(2000, 9))
    ours, differ, both = parsed(wick, commands), [], 0
    for c, a in zip(commands, ours):
        try:
            bashlex.parse(c)
        except Exception:  # bashlex lacks parts of the grammar and says so in several ways
            continue
        both += 1
        if not a:
            differ.append(c)
    assert both > 200 and len(differ) <= 0.02 * both, differ[:60]
