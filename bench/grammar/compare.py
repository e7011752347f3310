#!/usr/bin/env python3
"""Masks and compilation of Wick beside llguidance, on the same schemas, texts and vocabulary, one after the other in one run.

    python -m venv V && V/bin/pip install -r bench/grammar/requirements.txt
    V/bin/python bench/grammar/compare.py --wick build/release/wick --vocab VOCAB.gguf [--cases 300]

The schemas are those of tests/grammar/api_schemas.py, the texts their valid instances. Each side computes a mask before each token of a text;
a schema's texts share one compiled grammar, as requests do. Times are of the wall (or, with --cpu-time, of the thread), one thread; "same" are the
schemas that llguidance takes too. llguidance cuts texts by longest matches,
Wick by the vocabulary's own merges, so the numbers of tokens differ a little. llguidance counts its compiling when a matcher is made."""
import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/grammar"))
from api_schemas import cases  # noqa: E402


clock = time.perf_counter_ns


def figures(name, masks, compiles, errors, wrong):
    masks, compiles = sorted(masks), sorted(compiles)
    at = lambda v, q: v[min(len(v) - 1, int(len(v) * q))]  # noqa: E731
    print(f"{name:12} masks {len(masks):7}  mean {sum(masks) / len(masks):8.1f}  p50 {at(masks, .5):7.1f}  p90 {at(masks, .9):7.1f}  p99 {at(masks, .99):8.1f}  "
          f"worst {masks[-1]:9.0f} us   compile mean {sum(compiles) / len(compiles):8.0f}  worst {compiles[-1]:9.0f} us   refused {errors}  not accepted {wrong}")


def run_wick(wick, vocab, rows, both):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
        f.write("".join(json.dumps(r) + "\n" for r in rows))
        f.flush()
        out = subprocess.run([wick, "grammar", "--tokenizer", vocab, "--batch", f.name, "--json", *(["--cpu-time"] if clock is time.thread_time_ns else [])], check=True, capture_output=True, text=True).stdout
    every = [json.loads(x) for x in out.splitlines()]
    for name, answers in (("wick", every), ("wick, same", [a for a in every if a["id"] in both])):
        masks = [t for a in answers for x in a["tests"] for t in x["mask_us"]]
        figures(name, masks, [a["compile_us"] for a in answers if not a["error"]], sum(a["error"] is not None for a in answers),
                sum(not x["accepted"] for a in answers for x in a["tests"]))


def byte_table():
    table, extra = {}, 256
    keep = {*range(33, 127), *range(161, 173), *range(174, 256)}
    for b in range(256):
        table[chr(b) if b in keep else chr(extra)] = b
        extra += b not in keep
    return table


class Vocabulary:
    """A byte-level vocabulary of a GGUF as llguidance wants one."""

    def __init__(self, path):
        from gguf import GGUFReader
        fields = GGUFReader(path).fields
        tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"].contents()
        table = byte_table()
        self.tokens = [bytes(t.encode()) if kind == 3 else bytes(table.get(c, 63) for c in t) for t, kind in zip(tokens.contents(), types)]
        self.special_token_ids = [i for i, kind in enumerate(types) if kind == 3]
        self.eos_token_id = int(fields["tokenizer.ggml.eos_token_id"].contents())
        self.bos_token_id = None
        special = set(self.special_token_ids)
        self.ids = {t: i for i, t in enumerate(self.tokens) if i not in special}

    def __call__(self, s):
        s, out, at = s if isinstance(s, bytes) else s.encode(), [], 0
        while at < len(s):
            n = min(64, len(s) - at)
            while s[at:at + n] not in self.ids:
                n -= 1
            out.append(self.ids[s[at:at + n]])
            at += n
        return out


def run_llguidance(vocab, rows):
    import llguidance
    from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
    words = Vocabulary(vocab)
    tok = llguidance.LLTokenizer(llguidance.TokenizerWrapper(words))
    bits = allocate_token_bitmask(1, tok.vocab_size)
    masks, compiles, errors, wrong, taken = [], [], 0, 0, set()
    for row in rows:
        schema = json.dumps(row["grammar"])
        start = clock()
        first = llguidance.LLMatcher(tok, llguidance.LLMatcher.grammar_from_json_schema(schema))
        compiles.append((clock() - start) / 1000)
        if first.is_error():
            errors += 1
            compiles.pop()
            continue
        taken.add(row["id"])
        for test in row["tests"]:
            m = first.deep_copy()
            ok = True
            for t in words(test["text"]):
                start = clock()
                fill_next_token_bitmask(m, bits, 0)
                masks.append((clock() - start) / 1000)
                ok = bool(bits[0, t // 32] >> (t % 32) & 1) and m.consume_token(t)
                if not ok:
                    break
            wrong += not (ok and m.is_accepting())
    figures("llguidance", masks, compiles, errors, wrong)
    return taken


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--wick", required=True)
    p.add_argument("--vocab", required=True)
    p.add_argument("--cases", type=int, default=300)
    p.add_argument("--cpu-time", action="store_true", help="what the thread computed, not the wall: for busy machines")
    a = p.parse_args()
    global clock
    clock = time.thread_time_ns if a.cpu_time else clock
    rows = [{"id": n, "type": "json_schema", "grammar": s, "tests": [{"text": json.dumps(x, ensure_ascii=False)} for x in xs[:4]]} for n, s, xs in cases(a.cases)]
    run_wick(a.wick, a.vocab, rows, run_llguidance(a.vocab, rows))


if __name__ == "__main__":
    main()
