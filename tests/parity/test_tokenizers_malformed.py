"""Hostile tokenizer files: each gives ids or one line of a typed error, soon, and never a crash.

Run it on a wick_tok built with -DWICK_SANITIZE=address,undefined (WICK_TOK), where a crash includes every report.
"""
import copy
import json
import random
import subprocess
import time

import pytest

from test_tokenizers import MAKERS, SP, add, byte_level, lines, sp_train, wick_tok  # noqa: F401

VALUES = [None, True, -1, 0, 1, 2**31, 2**63, 1e308, -0.5, "", "x", "\u0000", "▁" * 300, [], {}, [[]], [1], ["a", 1], {"a": 1}, {"type": "Sequence"}, {"type": 7}]
TEXT = "Hello <s> word ▁▁ <think>文é\n 123 'll".encode()


def paths(node, at=()):
    yield at
    if isinstance(node, dict):
        for k in list(node)[:30]:
            yield from paths(node[k], at + (k,))
    elif isinstance(node, list):
        for i in range(min(len(node), 3)):
            yield from paths(node[i], at + (i,))


def put(root, path, value):
    if not path:
        return value
    root = copy.deepcopy(root)
    node = root
    for k in path[:-1]:
        node = node[k]
    node[path[-1]] = value
    return root


def small(name):
    t = MAKERS[name](lines(3, 260))
    d = json.loads(t.to_str())
    return d


def attempt(wick_tok, path, texts=TEXT, limit=20):
    start = time.time()
    p = subprocess.run([wick_tok, "encode", str(path)], input=texts, capture_output=True, timeout=limit)
    err = p.stderr.decode("utf-8", "replace")
    assert p.returncode in (0, 2, 3, 4, 5, 8, 11), (p.returncode, err[:2000])
    if p.returncode:
        assert err.startswith("wick_tok: ") and err.count("\n") == 1 and len(err) < 700, err[:2000]
    return p.returncode, time.time() - start


@pytest.mark.parametrize("name", ["llama3", "llama2", "bert", "t5", "gpt2", "clip"])
def test_wrong_values(name, wick_tok, tmp_path):
    d = small(name)
    rng = random.Random(name)
    path = tmp_path / "tokenizer.json"
    every = [p for p in paths(d) if p[:2] != ("model", "vocab") or len(p) < 5]
    cases = [(p, v) for p in every for v in VALUES]
    failed = 0
    for p, v in rng.sample(cases, min(140, len(cases))):
        path.write_text(json.dumps(put(d, p, v)))
        failed += attempt(wick_tok, path)[0] != 0
    assert failed > 20


@pytest.mark.parametrize("name", ["qwen2", "t5"])
def test_damaged_bytes(name, wick_tok, tmp_path):
    data = json.dumps(small(name)).encode()
    rng = random.Random(5)
    path = tmp_path / "tokenizer.json"
    for i in range(60):
        b = bytearray(data)
        if i < 25:
            b = b[:rng.randrange(len(b))]
        else:
            for _ in range(rng.randint(1, 8)):
                b[rng.randrange(len(b))] = rng.choice(b'"\\{}[],:0\x00\xff\x80e-')
        path.write_bytes(b)
        attempt(wick_tok, path)


def test_damaged_sentencepiece(wick_tok, tmp_path):
    rng = random.Random(6)
    path = tmp_path / "tokenizer.model"
    for name in ("bpe_nmt", "unigram"):
        data = sp_train(lines(3, 1500), **SP[name])
        for i in range(60):
            b = bytearray(data)
            if i < 25:
                b = b[:rng.randrange(len(b))]
            else:
                for _ in range(rng.randint(1, 20)):
                    b[rng.randrange(len(b))] = rng.randrange(256)
            path.write_bytes(b)
            attempt(wick_tok, path)


def nested(kind, key, depth):
    v = {"type": kind}
    for _ in range(depth):
        v = {"type": "Sequence", key: [v]}
    return v


def hostile():
    base = json.loads(byte_level(lines(3, 200), None).to_str())
    model = base["model"]
    yield "id_huge", put(base, ("model", "vocab", "zz"), 2**40), 5
    yield "id_16m", put(base, ("model", "vocab", "zz"), 2**24 + 1), 5
    yield "id_negative", put(base, ("model", "vocab", "zz"), -3), 5
    yield "id_fraction", put(base, ("model", "vocab", "zz"), 1.5), 5
    yield "id_twice", put(base, ("model", "vocab", "zz"), 5), 5
    yield "merge_unknown", put(base, ("model", "merges"), [["qq", "zzz"]]), 5
    yield "merge_one", put(base, ("model", "merges"), ["a"]), 5
    yield "merge_three", put(base, ("model", "merges"), ["a b c"]), 5
    yield "merge_number", put(base, ("model", "merges"), [1, 2]), 5
    yield "merges_object", put(base, ("model", "merges"), {"a": "b"}), 5
    yield "deep_normalizer", put(base, ("normalizer",), nested("NFC", "normalizers", 60)), 5
    yield "deep_json", json.loads("[" * 200 + "]" * 200), 5
    yield "many_steps", put(base, ("normalizer",), {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 5000}), 5
    yield "added_negative", put(base, ("added_tokens",), [{"id": -1, "content": "x", "special": True, "normalized": False}]), 5
    yield "added_huge", put(base, ("added_tokens",), [{"id": 2**33, "content": "x", "special": True, "normalized": False}]), 5
    yield "template", put(base, ("post_processor",), {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "q"}}], "pair": [], "special_tokens": {}}), 5
    yield "template_id", put(base, ("post_processor",), {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "q"}}], "pair": [], "special_tokens": {"q": {"id": "q", "ids": [99999999], "tokens": ["q"]}}}), 5
    for i, bad in enumerate(["(", "[a", "(?P<x", "\\", "*a", "[[:foo:]]", "(?<=a+)b", "a{99999}", "(" * 5000, "[" * 500, "\\u12", "((((a{900}){900}){900}){900})"]):
        yield f"pattern_{i}", put(base, ("pre_tokenizer",), {"type": "Split", "pattern": {"Regex": bad}, "behavior": "Isolated", "invert": False}), 5
    yield "affix", put(base, ("model", "continuing_subword_prefix"), "a" * 70000), 5
    yield "growth", put(base, ("normalizer",), {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "l"}, "content": "ll"}] * 60}), 11
    yield "growth_at_once", put(base, ("normalizer",), {"type": "Replace", "pattern": {"String": "l"}, "content": "x" * 200000}), 11
    yield "charsmap", put(base, ("normalizer",), {"type": "Precompiled", "precompiled_charsmap": "AAAA/////w=="}), 5
    yield "unk_id", {**base, "model": {"type": "Unigram", "unk_id": 7, "vocab": [["a", -1.0]]}}, 5
    yield "model_type", {**base, "model": {**model, "type": "Magic"}}, 4


CASES = list(hostile())


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_hostile(case, wick_tok, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(case[1]))
    rc, seconds = attempt(wick_tok, path)
    assert rc == case[2] and seconds < 60


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x", "(?:a?){60}a{60}", "(x+x+)+y", "([a-z]+)*="])
def test_catastrophic_patterns_end(pattern, wick_tok, tmp_path):
    base = json.loads(byte_level(lines(3, 200), None).to_str())
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(put(base, ("pre_tokenizer",), {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False})))
    for text in (b"a" * 5000 + b"!", b"x" * 50000, b"aX" * 20000):
        rc, seconds = attempt(wick_tok, path, text, limit=60)
        assert rc in (0, 11)


def test_many_added_tokens(wick_tok, tmp_path):
    base = json.loads(byte_level(lines(3, 200), None).to_str())
    path = tmp_path / "tokenizer.json"
    seconds = []
    for n in (20000, 100000):
        base["added_tokens"] = [{"id": 1000 + i, "content": f"<tok_{i}>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i in range(n)]
        path.write_text(json.dumps(base))
        rc, s = attempt(wick_tok, path, b"a <tok_77><tok_19999> b" * 1000)
        assert rc == 0
        seconds.append(s)
    assert seconds[1] < 8 * seconds[0] + 20  # not the square: 25 times
