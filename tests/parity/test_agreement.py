"""One model, many ways to run the same tokens: in one go, in odd chunks, token by token, in mixed batches with other
sequences, from a fork, and after tokens were taken back. Every family of docs/MODELS.md.

On the CPU the logits agree bit for bit, in every precision, with any number of threads; between instruction sets only
the order of float additions differs (docs/PRECISION.md). On MLX they agree to 2e-4 of the largest logit, because its
kernels are chosen by shape (to 3e-2 with quantized KV). WICK_TOOLS is the folder of wick_agree (tests/tools/wick_agree.c); WICK_PARITY=all runs
every precision with every instruction set and a float layout too; WICK_PARITY_BACKEND chooses the backend."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
make_model = pytest.importorskip("make_model", reason="mlx and mlx-lm, which make the models, are not installed")
from model_cases import CASES  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
ALL = os.environ.get("WICK_PARITY") == "all"
BACKEND = os.environ.get("WICK_PARITY_BACKEND", "cpu")
KV = {"exact": "F32", "fine": "F16", "fast": "F16"}
# Between instruction sets, relative to the largest logit. A sum of another order may round to the next float16 or int8 step.
ACROSS = {"exact": 2e-5, "fine": 3e-3, "fast": 3e-2}
MLX_TOLERANCE = 2e-4
MLX_KV_TOLERANCE = 3e-2  # with quantized KV


def find_agree():
    path = os.path.join(os.environ.get("WICK_TOOLS", ""), "wick_agree")
    if not os.path.isabs(path):
        found = sorted(ROOT.glob("build/*/tests/tools/wick_agree"), key=lambda p: p.stat().st_mtime)
        path = str(found[-1]) if found else None
    if not path or not os.access(path, os.X_OK):
        pytest.skip("wick_agree is not built")
    return path


def agree(model, backend, n, *sets):
    r = subprocess.run([find_agree(), str(model), backend, str(n), "3", *sets], capture_output=True, text=True, timeout=600)
    assert r.returncode == 0, r.stderr
    out = [json.loads(line) for line in r.stdout.splitlines()]
    assert [o["set"] for o in out] == list(sets)
    return out


def ways(o):
    return {k: v for k, v in o.items() if isinstance(v, list) and k != "first"}


def check_cpu(out):
    seen = {}
    for o in out:
        precision, isa, threads, kv = o["set"].split("/")
        assert {"chunks", "single", "together", "fork", "origin"} <= set(ways(o)), o["set"]
        for way, (worst, same) in ways(o).items():
            assert same, f"{o['set']}: {way}: other bits, off by {worst:.3g} of {o['scale']:.3g}"
        first = seen.setdefault((precision, isa, kv), o)
        assert first["hash"] == o["hash"], f"{first['set']} and {o['set']} differ"
    for precision, limit in ACROSS.items():
        same = [o for o in out if o["set"].startswith(precision)]
        if same and same[0] is out[0]:  # "first" is the difference from the first of all
            for o in same:
                assert o["first"][0] <= limit * o["scale"], f"{o['set']} and {out[0]['set']}: off by {o['first'][0]:.3g} of {o['scale']:.3g}"


def isas():
    return ["best", "portable", "avx2"] if os.uname().machine == "x86_64" else ["best", "portable"]


def selection():
    """Every case; precisions and instruction sets take turns unless all are asked for."""
    for i, case in enumerate(CASES):
        if ALL:
            for precision in KV:
                yield case, "4bit", precision, isas(), (1, 2, 3)
                yield case, "f32", precision, isas(), (1, 2)
        elif i % 2:
            yield case, "4bit", list(KV)[i // 2 % 3], ["best"], (1, 2)
        else:
            yield case, "4bit" if i % 4 else "f32", list(KV)[i // 2 % 3], [isas()[i // 6 % len(isas())]], (2,)


def by_model():
    models = {}
    for case, quant, precision, names, threads in selection():
        models.setdefault((case, quant), []).append((precision, names, threads))
    return [pytest.param(case, quant, work, id=f"{case}-{quant}") for (case, quant), work in models.items()]


@pytest.mark.skipif(BACKEND != "cpu", reason="WICK_PARITY_BACKEND")
@pytest.mark.parametrize("case,quant,work", by_model())
def test_cpu(case, quant, work, tmp_path):
    find_agree()
    make_model.make(case, tmp_path, quant=quant)
    for precision, names, threads in work:
        sets = [f"{precision}/{isa}/{t}/{KV[precision]}" for isa in names for t in threads]
        check_cpu(agree(tmp_path, "cpu", 75 if ALL else 43, *sets))


@pytest.mark.skipif(BACKEND != "cpu", reason="WICK_PARITY_BACKEND")
@pytest.mark.parametrize("quant", ["2:128", "3:64", "5:64", "6:32", "8bit", "4:32:mxfp4", "4:16:nvfp4", "8:32:mxfp8"])
def test_quantizations(quant, tmp_path):
    make_model.make("llama", tmp_path, quant=quant)
    for precision, kv in KV.items():
        check_cpu(agree(tmp_path, "cpu", 43, *(f"{precision}/{isa}/2/{kv}" for isa in isas())))


@pytest.mark.skipif(BACKEND != "cpu", reason="WICK_PARITY_BACKEND")
@pytest.mark.parametrize("kv", ["F32", "BF16", "Q8_0", "Q4_0"])
def test_kv_types(kv, tmp_path):
    """Also past several blocks of the cache."""
    make_model.make("mistral-mixed", tmp_path, quant="4bit")
    check_cpu(agree(tmp_path, "cpu", 150, *(f"fast/{isa}/2/{kv}" for isa in isas())))


MLX_CASES = list(CASES) if ALL or BACKEND == "mlx" else ["llama", "gemma3_text", "qwen3_moe", "deepseek_v3", "mamba2", "qwen3_next", "gpt_oss"]


def mlx_is_there():
    wick = os.environ.get("WICK_BIN", "")
    r = subprocess.run([wick, "gpu-info", "--json"], capture_output=True, text=True, timeout=60) if os.access(wick, os.X_OK) else None
    return BACKEND == "mlx" or r and any(b["name"] == "mlx" and b["available"] for b in json.loads(r.stdout)["backends"])


@pytest.mark.parametrize("i,case", enumerate(MLX_CASES), ids=MLX_CASES)
def test_mlx(i, case, tmp_path):
    find_agree()
    if not mlx_is_there():
        pytest.skip("this build has no MLX, or MLX is not installed")
    make_model.make(case, tmp_path, quant="4bit" if i % 2 else "f32")
    sets = ["F32", "Q8_0", "Q4_0"] if BACKEND == "mlx" else ["F32", ["Q8_0", "Q4_0"][i % 2]]
    for o in agree(tmp_path, "mlx", 43, *(f"exact/best/1/{kv}" for kv in sets)):
        assert {"chunks", "single", "together", "fork", "origin"} <= set(ways(o)), o["set"]
        # a value between two codes may go to the other one
        limit = MLX_TOLERANCE if o["set"].endswith("F32") else MLX_KV_TOLERANCE
        for way, (worst, _) in ways(o).items():
            assert worst <= limit * o["scale"], f"{o['set']}: {way}: off by {worst:.3g} of {o['scale']:.3g}"
