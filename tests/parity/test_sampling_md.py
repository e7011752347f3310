"""Where users meet the options of sampling, all of chat/sampling.def is there: docs, command line, C API, completions."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools")]
import gen_sampling_md  # noqa: E402

ROWS = list(gen_sampling_md.rows((ROOT / "src/chat/sampling.def").read_text()))


def test_current():
    assert subprocess.run([sys.executable, ROOT / "tools/gen_sampling_md.py", "--check"], check=False).returncode == 0
    assert len(ROWS) >= 22


@pytest.mark.parametrize("command", ["run", "generate", "chat", "complete"])
def test_command_line(command):
    text = subprocess.run([os.environ["WICK_BIN"], command, "--help"], capture_output=True, text=True, check=True).stdout
    for r in ROWS:
        line = re.search(rf"--{r['cli']} [A-Z=]+ +(.*)", text)
        assert line, r["cli"]
        assert line.group(1).startswith(r["help"])
        if r["preset"]:
            assert re.search(rf"\(default:?( the model's, else)? {re.escape(r['preset'].split(',')[0])}\)", line.group(1))


def test_ranges_on_the_command_line():
    for r in ROWS:
        if not r["span"]:
            continue
        hi = float(r["span"].split(" to ")[1])
        over = str(int(hi) + 1)
        p = subprocess.run([os.environ["WICK_BIN"], "generate", "no/such-model", f"--{r['cli']}", over],
                           capture_output=True, text=True, check=False)
        assert p.returncode != 0 and f"--{r['cli']}" in p.stderr, (r["cli"], p.stderr)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(shell):
    text = subprocess.run([os.environ["WICK_BIN"], "completions", shell], capture_output=True, text=True,
                          check=True).stdout
    for r in ROWS:
        assert r["cli"] in text


def test_c_api():
    header = (ROOT / "include/wick/wick.h").read_text()
    struct = header[header.index("typedef struct wick_generate_options"):header.index("} wick_generate_options;")]
    for r in ROWS:
        assert re.search(rf"[\s*]{r['c_api']}\b", struct), r["c_api"]


def test_server():
    text = subprocess.run([os.environ["WICK_BIN"], "config", "parameters"], capture_output=True, text=True, check=True).stdout
    for r in ROWS:
        assert f"| `{r['name']}` |" in text, r["name"]
