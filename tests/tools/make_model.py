"""Random small models for tests, with mlx-lm as the reference.

As a module: make(case, out, quant=..., layout=...) writes a model and returns a Reference with logits() and greedy().
As a program: make_model.py CASE OUT [--quant 4:64] [--layout mlx|hf|npz|gguf] [--type Q8_0] [--shards N] [--seed S]

Weights are drawn so that logits are spread (standard deviation about 1 to 3) and no layer drowns the others."""
import argparse
import importlib
import json
import os
import sys
import types
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm import utils as mlx_utils
from mlx_lm.models.cache import make_prompt_cache

sys.path.insert(0, str(Path(__file__).parent))
from hf_layout import to_hf
from model_cases import CASES

mx.set_default_device(mx.cpu)
sys.modules.setdefault("hf_olmo", types.ModuleType("hf_olmo"))  # mlx-lm's olmo looks whether it is there, and uses nothing of it
QUANTS = {"f32": None, "4bit": (4, 64, "affine"), "8bit": (8, 64, "affine")}


def parse_quant(text):
    """"f32", "4bit", "8bit", "bits:group[:mode]" -> None or (bits, group, mode)"""
    if text in QUANTS or text is None:
        return QUANTS.get(text)
    bits, group, *mode = text.split(":")
    return int(bits), int(group), mode[0] if mode else "affine"


class Reference:
    """mlx-lm's answers for a model, in float32 on the CPU."""

    def __init__(self, model, config):
        self.model, self.config = model, config

    def logits(self, tokens):
        """[n][vocab] for a prompt in one pass."""
        return np.array(self.model(mx.array([tokens]))[0].astype(mx.float32))

    def greedy(self, tokens, n):
        """n tokens after the prompt, and the margin between best and second best at each."""
        cache = make_prompt_cache(self.model)
        out, margins, inputs = [], [], mx.array([tokens])
        for _ in range(n):
            row = np.array(self.model(inputs, cache=cache)[0, -1].astype(mx.float32))
            best = int(row.argmax())
            margins.append(float(row[best] - np.partition(row, -2)[-2]))
            out.append(best)
            inputs = mx.array([[best]])
        return out, margins


def draw(path, shape, rng, config):
    """A random value for one parameter, by what its name says."""
    name = path.split(".")[-1]
    gemma = config.get("model_type", "").startswith("gemma") and not config["model_type"].startswith("gemma4")
    n = lambda s: rng.standard_normal(shape).astype(np.float32) * np.float32(s)
    if name == "A_log":
        return np.log(rng.uniform(1, 8, shape)).astype(np.float32)
    if name in ("dt_bias",) or path.endswith("dt_proj.bias"):
        return rng.uniform(-4, -1, shape).astype(np.float32)
    if name in ("D", "layer_scalar", "scale", "per_expert_scale"):
        return 1 + n(0.3)
    if name in ("beta", "eps"):  # of xIELU
        return np.array({"beta": 0.5, "eps": -1e-6}[name], dtype=np.float32)
    if name in ("alpha_p", "alpha_n"):
        return np.array(rng.uniform(-1, 1), dtype=np.float32)
    if name in ("e_score_correction_bias", "expert_bias"):
        return np.abs(n(0.2))  # below 0 an expert ties with those of other groups, whose scores the reference sets to 0
    if name in ("bias", "sinks"):
        return n(0.2)
    if name == "weight" and (len(shape) == 1 or "norm" in path):
        return n(0.2) if gemma else 1 + n(0.2)
    if "conv" in path and len(shape) == 3 and "proj" not in path:
        return n(0.5)
    if "embed_tokens" in path or "lm_head" in path or "wte" in path or "embed_in" in path or "embed_out" in path \
            or path.endswith("embeddings.weight"):
        return n(2.0 / shape[-1] ** 0.5)
    if "wpe" in path:
        return n(0.1)
    return n(1.2 / shape[-1] ** 0.5)


def added_mask(h, cache):
    """What mlx-lm's olmo adds to its scores; the word that create_attention_mask gives by now cannot be added."""
    n, at = h.shape[1], cache.offset if cache else 0
    return None if n == 1 else mx.where(mx.arange(at, at + n)[:, None] >= mx.arange(at + n)[None], 0.0, -1e30)


def build(config, seed=0):
    if config.get("model_type") == "olmo":
        importlib.import_module("mlx_lm.models.olmo").create_attention_mask = added_mask
    model_class, args_class = mlx_utils._get_classes(config)
    model = model_class(args_class.from_dict(json.loads(json.dumps(config))))
    if "lm_head" in model and config.get("model_type") == "gemma3_text":
        model.sanitize({})  # tied, as the checkpoints of this family are
    lm = getattr(model, "language_model", None)
    if lm is not None and "lm_head" in lm and "gemma3" in config["model_type"]:
        lm.sanitize({})
    rng = np.random.default_rng(seed)
    params = [(k, mx.array(draw(k, v.shape, rng, config))) for k, v in tree_flatten(model.parameters())
              if isinstance(v, mx.array)]
    model.update(tree_unflatten(params))
    mx.eval(model.parameters())
    model.eval()
    return model


def quantize(model, config, quant, predicate=None):
    bits, group, mode = quant
    model, config = mlx_utils.quantize_model(model, dict(config), group, bits, mode=mode, quant_predicate=predicate)
    mx.eval(model.parameters())
    return model, config


def weights_of(model):
    return {k: v for k, v in tree_flatten(model.parameters()) if isinstance(v, mx.array)}


def save_safetensors(weights, out, shards):
    names = sorted(weights)
    if shards <= 1:
        mx.save_safetensors(str(out / "model.safetensors"), weights, metadata={"format": "mlx"})
        return
    index = {"metadata": {}, "weight_map": {}}
    for s in range(shards):
        file = f"model-{s + 1:05d}-of-{shards:05d}.safetensors"
        part = {k: weights[k] for k in names[s::shards]}
        mx.save_safetensors(str(out / file), part, metadata={"format": "mlx"})
        index["weight_map"].update({k: file for k in part})
    (out / "model.safetensors.index.json").write_text(json.dumps(index))


def make(case, out, quant=None, layout="mlx", shards=1, seed=0, gguf_type="F32", config=None, dtype=None, predicate=None):
    """Writes the model to folder `out`; returns its Reference."""
    config = json.loads(json.dumps(config or CASES[case]))
    quant = parse_quant(quant) if isinstance(quant, str) or quant is None else quant
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    model = build(config, seed)
    if layout == "gguf":
        from gguf_write import write_gguf
        return Reference(write_gguf(model, config, out / "model.gguf", gguf_type), config)
    if dtype is not None:
        model.set_dtype(dtype)
    if quant:
        model, config = quantize(model, config, quant, predicate)
    weights = weights_of(model)
    if layout == "hf":
        weights, config = to_hf(weights, config)
    if layout == "npz":
        mx.savez(str(out / "weights.npz"), **weights)
    else:
        save_safetensors(weights, out, shards)
    (out / "config.json").write_text(json.dumps(config))
    if dtype is not None:
        model.set_dtype(mx.float32)
    return Reference(model, config)


def prompt(n, vocab, seed=1):
    return [int(t) for t in np.random.default_rng(seed).integers(0, vocab, n)]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("case", choices=sorted(CASES))
    ap.add_argument("out")
    ap.add_argument("--quant")
    ap.add_argument("--layout", default="mlx", choices=["mlx", "hf", "npz", "gguf"])
    ap.add_argument("--type", default="F32")
    ap.add_argument("--shards", type=int, default=1)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--tokens", help="comma-separated: print the reference's logits statistics and 16 greedy tokens")
    a = ap.parse_args()
    ref = make(a.case, a.out, quant=a.quant, layout=a.layout, shards=a.shards, seed=a.seed, gguf_type=a.type)
    if a.tokens:
        tokens = [int(t) for t in a.tokens.split(",")]
        logits = ref.logits(tokens)
        print(json.dumps({"std": float(logits.std()), "greedy": ref.greedy(tokens, 16)[0]}))
    print(os.path.join(a.out))


if __name__ == "__main__":
    main()
