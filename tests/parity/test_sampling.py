"""The sampler in mlx-lm's order against mlx-lm's own functions: the same sets of tokens, the same distribution."""
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

mx = pytest.importorskip("mlx.core")
su = pytest.importorskip("mlx_lm.sample_utils")

N = 400
DRAWS = 20000


def program():
    for folder in (os.environ.get("WICK_TOOLS"), Path(os.environ.get("WICK_BIN", "x")).parent / "tests/tools"):
        if folder and (Path(folder) / "wick_sample").exists():
            return str(Path(folder) / "wick_sample")
    return None


pytestmark = pytest.mark.skipif(program() is None, reason="wick_sample is not built")


def draw(logits, draws=DRAWS, **options):
    args = [program(), str(len(logits)), str(draws)] + [f"{k}={v}" for k, v in options.items()]
    out = subprocess.run(args, input=logits.astype(np.float32).tobytes(), capture_output=True, timeout=60)
    assert out.returncode == 0, out.stderr.decode()
    count = np.zeros(len(logits), int)
    for line in out.stdout.decode().splitlines():
        i, n = line.split()
        count[int(i)] = int(n)
    return count


def reference(logits, temperature=1, top_p=1, min_p=0, top_k=0, xtc_threshold=None, min_keep=1):
    """The distribution that mlx-lm draws from; its order is top_p, min_p, xtc, top_k, then temperature."""
    x = mx.array(logits)[None]
    x = x - mx.logsumexp(x, axis=-1, keepdims=True)
    if 0 < top_p < 1:
        x = su.apply_top_p(x, top_p)
    if min_p:
        x = su.apply_min_p(x, min_p, min_keep)
    if xtc_threshold is not None:
        x = su.apply_xtc(x, 1.0, xtc_threshold, [])
    if top_k:
        x = su.apply_top_k(x, top_k)
    return np.array(mx.softmax(x / temperature, axis=-1))[0].astype(np.float64)


def compare(count, p):
    assert not count[p == 0].any(), "a token was drawn that mlx-lm removes"
    expected = p * count.sum()
    assert (count[expected > 25] > 0).all(), "a token was never drawn that mlx-lm keeps"
    big = expected >= 5
    chi = ((count[big] - expected[big]) ** 2 / expected[big]).sum()
    df = max(int(big.sum()) - 1, 1)
    bound = df * (1 - 2 / (9 * df) + 3.9 * (2 / (9 * df)) ** 0.5) ** 3
    assert chi <= bound + 1, f"chi-square {chi:.1f} over {bound:.1f} ({df})"


CASES = [
    dict(), dict(temperature=0.6), dict(top_k=20), dict(top_p=0.7), dict(min_p=0.1), dict(xtc_threshold=0.03),
    dict(top_p=0.9, min_p=0.02, top_k=10, temperature=0.8), dict(top_p=0.95, xtc_threshold=0.05, top_k=40, temperature=1.3),
    dict(min_p=0.5, min_keep=4), dict(top_p=0.5, min_p=0.2, xtc_threshold=0.1),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: ",".join(c) or "plain")
@pytest.mark.parametrize("seed", [1, 2])
def test_distribution(case, seed):
    logits = (np.random.default_rng(seed).standard_normal(N) * 2.5).astype(np.float32)
    options = dict(case, order="mlx", seed=seed)
    if "xtc_threshold" in case:
        options["xtc_probability"] = 1
    compare(draw(logits, **options), reference(logits, **case))


def test_top_p_keeps_ties():
    logits = np.log(np.array([0.4, 0.2, 0.2, 0.1, 0.1])).astype(np.float32)
    assert (draw(logits, order="mlx", top_p=0.5, seed=1) > 0).tolist() == (reference(logits, top_p=0.5) > 0).tolist()


@pytest.mark.parametrize("options", [dict(repetition_penalty=1.4), dict(presence_penalty=0.7), dict(frequency_penalty=0.3),
                                     dict(repetition_penalty=0.8, presence_penalty=-0.5, frequency_penalty=0.2)],
                         ids=lambda o: ",".join(o))
def test_penalties(options):
    rng = np.random.default_rng(5)
    logits = (rng.standard_normal(60) * 1.5).astype(np.float32)
    history = rng.integers(0, 30, 50).tolist()
    x = mx.array(logits)[None]
    for f in su.make_logits_processors(**options):
        x = f(mx.array(history), x)
    want = np.array(mx.softmax(x, axis=-1))[0].astype(np.float64)
    count = np.zeros(60, int)
    for seed in range(120):  # one draw each: what is drawn becomes history
        count += draw(logits, draws=1, history=",".join(map(str, history)), order="mlx", seed=seed, **options)
    expected = want * count.sum()
    big = expected >= 5
    chi = ((count[big] - expected[big]) ** 2 / expected[big]).sum()
    assert chi < 3 * big.sum() + 20
    best = draw(logits, draws=1, history=",".join(map(str, history)), order="mlx", temperature=0, **options)
    assert int(best.argmax()) == int(np.array(x)[0].argmax())
