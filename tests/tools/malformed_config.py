"""Broken variants of config.json files: wrong types, numbers out of range, cut and damaged text, contradictions."""
import json
import random

from model_cases import CASES

BAD_VALUES = [None, True, False, -1, 0, 1, 3, 2**31, 2**32, 2**63 - 1, -(2**63), 1e308, -0.5, 0.3, "", "64", "full", [], [1], [[]], {}, {"a": 1},
              [None] * 9, "\u0000", "\n", "x" * 5000]
WRAPPED = ("text_config", "rope_scaling", "rope_parameters", "quantization", "quantization_config")


def of_values(case, rng, n):
    """One or two keys of a good configuration replaced."""
    good = CASES[case]
    for _ in range(n):
        c = json.loads(json.dumps(good))
        for _ in range(rng.choice((1, 1, 2))):
            target = c
            inner = [k for k in WRAPPED if isinstance(c.get(k), dict)]
            if inner and rng.random() < 0.4:
                target = c[rng.choice(inner)]
            key = rng.choice(sorted(target) or ["model_type"])
            target[key] = rng.choice(BAD_VALUES)
        yield json.dumps(c).encode()


def of_missing(case):
    good = CASES[case]
    for key in good:
        yield json.dumps({k: v for k, v in good.items() if k != key}).encode()


def of_added(case, rng, n):
    """Keys that other families have, with values that make no sense here."""
    keys = sorted({k for c in CASES.values() for k in c} | set(WRAPPED) | {"layer_types", "eos_token_id", "quant_method"})
    for _ in range(n):
        c = dict(CASES[case])
        c[rng.choice(keys)] = rng.choice(BAD_VALUES)
        yield json.dumps(c).encode()


def of_text(case, rng, n):
    good = json.dumps(CASES[case]).encode()
    for _ in range(n):
        b = bytearray(good)
        how = rng.randrange(5)
        if how == 0:
            b = b[: rng.randrange(len(b))]
        elif how == 1:
            for _ in range(rng.randrange(1, 6)):
                b[rng.randrange(len(b))] = rng.randrange(256)
        elif how == 2:
            i = rng.randrange(len(b))
            b[i:i] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 40)))
        elif how == 3:
            i = rng.randrange(len(b))
            del b[i : i + rng.randrange(1, 30)]
        else:
            b = b + b
        yield bytes(b)


FIXED = [b"", b"{", b"null", b"[]", b"7", b'"x"', b"{}", b'{"model_type":null}', b"\xff\xfe{}", b"\x00" * 64, b"[" * 100000, b'{"a":' * 5000,
         b'{"model_type":"llama","model_type":"no_such"}', b'{"model_type":"' + b"y" * 100000 + b'"}', b'{"model_type":"llama\\u0000"}',
         b'{"model_type":"llama","hidden_size":1e400}', b'{"model_type":"llama","hidden_size":99999999999999999999}',
         b'{"model_type":"gemma3","text_config":{"text_config":{}}}', b'{"model_type":"llama","hidden_size":NaN}']


def variants(seed=0):
    """At least 300, the same for the same seed."""
    rng = random.Random(seed)
    out = list(FIXED)
    for case in ("llama", "mistral-mixed", "qwen3-v5", "gemma3", "phi3-longrope", "exaone4", "deepseek_v3", "gpt_oss"):
        out += of_values(case, rng, 30)
    for case in ("llama", "gpt2", "glm4_moe"):
        out += of_missing(case)
    out += of_added("llama", rng, 60)
    out += of_text("llama", rng, 60)
    return out
