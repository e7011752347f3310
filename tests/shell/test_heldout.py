"""A part of the held-out set of models/wick-shell, judged by running the answers; `make eval-shell` judges all of it."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from e2e.conftest import find_wick  # noqa: E402

JUDGE = ROOT / "tools/shell_model/judge.py"
CASES = ROOT / "tests/shell/heldout.txt"


def bwrap_works():
    return shutil.which("bwrap") and subprocess.run(["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"], capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not bwrap_works(), reason="no bubblewrap that may make namespaces")
@pytest.mark.skipif(not (ROOT / "models/wick-shell/model.safetensors").exists(), reason="models/wick-shell is not built")
def test_part_of_the_held_out_set(tmp_path):
    kept = [x for x in CASES.read_text(encoding="utf-8").splitlines(True) if x.startswith(("B|", "P|"))][::9]
    (tmp_path / "cases").write_text("".join(kept))
    r = subprocess.run([sys.executable, str(JUDGE), str(tmp_path / "cases"), "--wick", find_wick(), "--model", str(ROOT / "models/wick-shell")],
                       capture_output=True, text=True, timeout=600)
    good = {m[1]: (int(m[2]), int(m[3])) for m in re.finditer(r"^(\w) all +(\d+) of +(\d+)", r.stdout, re.M)}
    assert set(good) == {"B", "P"}, r.stdout + r.stderr
    right, n = (sum(x) for x in zip(*good.values()))
    assert n >= 30 and right >= 0.75 * n, r.stdout
