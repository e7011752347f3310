"""What `fast` and `fine` cost: logits of the CPU backend against mlx-lm in float32, for every family and quantization.

Two figures of a prompt: the error of the logits relative to their spread (root mean square over standard deviation), and the
mean KL divergence of the distributions, in nats. The limits stand in docs/PRECISION.md with the worst values measured. They
follow from the error of one product (6e-3 and 7e-5): errors of products add like noise through the layers, and a small
model of random weights, whose every layer matters alike, is the hardest case; the choice of experts can flip on a near tie,
so families with experts have a wider limit for `fast`. KL grows with the square of the error."""
import numpy as np
import pytest

from test_parity import ALL, BACKEND, CASES, SAME, make_model, prompt_of, wick_logits

pytestmark = pytest.mark.skipif(BACKEND != "cpu", reason="precisions are the CPU backend's")
# relative error of logits, KL
LIMITS = {"fast": (0.3, 0.15), "fine": (0.015, 4e-4)}
EXPERTS = {"fast": (0.6, 0.4), "fine": (0.05, 0.01)}
WIDE_LIMITS = {"fast": (0.06, 0.006), "fine": (0.002, 1e-5)}
WIDE = {"hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16, "num_key_value_heads": 4, "num_hidden_layers": 3}


def figures(want, got):
    want, got = want.astype(np.float64), got.astype(np.float64)
    p = want - np.log(np.exp(want - want.max(1, keepdims=True)).sum(1, keepdims=True)) - want.max(1, keepdims=True)
    q = got - np.log(np.exp(got - got.max(1, keepdims=True)).sum(1, keepdims=True)) - got.max(1, keepdims=True)
    return float(np.sqrt(((want - got) ** 2).mean()) / want.std()), float((np.exp(p) * (p - q)).sum(1).mean())


def check(ref, path, tokens, precision, limits, record_property):
    want = ref.logits(tokens)
    got = np.array(wick_logits(path, tokens, precision=precision)["logits"])[: len(tokens)]
    error, kl = figures(want, got)
    record_property("error", error)
    record_property("kl", kl)
    print(f"{precision}: error {error:.2e}, KL {kl:.2e}")
    assert error <= limits[precision][0] and kl <= limits[precision][1], f"error {error:.3g}, KL {kl:.3g}, limits {limits[precision]}"


def has_experts(case):
    config = CASES[case]
    return any("experts" in k for k in [*config, *config.get("text_config", {})])


@pytest.mark.parametrize("case", [c for c in CASES if c not in SAME])
def test_families(case, tmp_path, record_property):
    ref = make_model.make(case, tmp_path, quant="4bit")
    for precision in LIMITS if ALL else [list(LIMITS)[list(CASES).index(case) % 2]]:
        check(ref, tmp_path, prompt_of(case), precision, EXPERTS if has_experts(case) else LIMITS, record_property)


@pytest.mark.parametrize("quant", ["f32", "3:64", "4bit", "8bit", "4:32:mxfp4"] + (["2:128", "4:32", "5:64", "6:32", "4:16:nvfp4", "8:32:mxfp8"] if ALL else []))
def test_quantizations(quant, tmp_path, record_property):
    """Three layers as wide as those of a small real model."""
    config = {**CASES["qwen2"], **WIDE}
    ref = make_model.make("qwen2", tmp_path, quant=quant, config=config)
    for precision in LIMITS:
        check(ref, tmp_path, make_model.prompt(32, config["vocab_size"]), precision, WIDE_LIMITS, record_property)


HEADS = {"head_dim": 128, "num_attention_heads": 8}
SSM = {"num_heads": 32, "head_dim": 64, "intermediate_size": 2048}
DELTA = {"linear_num_value_heads": 16, "linear_num_key_heads": 8, "linear_key_head_dim": 64, "linear_value_head_dim": 64}


@pytest.mark.parametrize("case,own", [("gemma3_text", HEADS), ("phi3", {}), ("mamba2", SSM), ("qwen3_5", DELTA)])
def test_wide_families(case, own, tmp_path, record_property):
    """Other kinds of block as wide as that: norms around the branches, fused matrices, state spaces, delta nets."""
    config = {**CASES[case], **{k: v for k, v in WIDE.items() if k in CASES[case]}, **own}
    ref = make_model.make(case, tmp_path, quant="4bit", config=config)
    for precision in LIMITS if ALL else ["fast"]:
        check(ref, tmp_path, make_model.prompt(32, config["vocab_size"]), precision, WIDE_LIMITS, record_property)
