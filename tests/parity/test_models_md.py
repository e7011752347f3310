"""docs/MODELS.md says what the tests cover, and nothing else."""
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "tools")]


def test_current():
    if os.environ.get("WICK_PARITY") == "all":
        pytest.skip("the file lists the default selection")
    pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")
    import gen_models_md
    assert gen_models_md.OUT.read_text() == gen_models_md.generate(), "run tools/gen_models_md.py"
