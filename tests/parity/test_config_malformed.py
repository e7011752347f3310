"""Over 300 broken config.json files: the program says what is wrong on one line and exits with the kind, or takes what is
harmless; it neither crashes nor hangs. WICK_BIN names the program (built with sanitizers in CI)."""
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from malformed_config import variants  # noqa: E402
from test_parity import find_wick, make_model  # noqa: E402

SEEDS = (0,)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("model")
    make_model.make("llama", out)
    return out


@pytest.mark.malformed
@pytest.mark.parametrize("seed", SEEDS)
def test_malformed(folder, seed):
    wick, refused = find_wick(), 0
    cases = variants(seed)
    assert len(cases) >= 300
    for i, data in enumerate(cases):
        (folder / "config.json").write_bytes(data)
        for command in (["inspect", str(folder)], ["logits", str(folder), "--tokens", "1", "--json"])[: 2 if i % 4 == 0 else 1]:
            r = subprocess.run([wick, *command], capture_output=True, timeout=30)
            shown = f"variant {i}: {data[:300]!r}: exit {r.returncode}: {r.stderr[-2000:]!r}"
            assert 0 <= r.returncode <= 14 and b"Sanitizer" not in r.stderr, shown
            if r.returncode:
                refused += 1
                assert r.returncode in (3, 4, 5, 8), shown
                assert r.stderr.count(b"\n") == 1 and len(r.stderr) < 1000, shown
    assert refused > len(cases) // 2, "the variants are too tame"
