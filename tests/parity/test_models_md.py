"""docs/MODELS.md says what the tests cover, and nothing else."""
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "tools")]


def test_lists():
    """The lists of others' names are lists of names, with their day; what the pre-tokenizers are is asked of the program
    (test_pre_names.py), what the families are of the tables, by the test below."""
    sys.path[:0] = [str(ROOT / "tools")]
    import gen_models_md
    for name, least in (("mlx_lm_families.txt", 100), ("llama_cpp_architectures.txt", 140), ("llama_cpp_pre_tokenizers.txt", 80)):
        names = gen_models_md.listed(name)
        assert len(names) >= least and len(set(names)) == len(names) and all(" " not in n for n in names)
        assert gen_models_md.read_on(name).count("-") == 2


def test_current():
    if os.environ.get("WICK_PARITY") == "all":
        pytest.skip("the file lists the default selection")
    pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")
    import gen_models_md
    assert gen_models_md.OUT.read_text() == gen_models_md.generate(), "run tools/gen_models_md.py"
