#!/usr/bin/env python3
"""Request/command pairs for models/wick-shell: a seeded, deterministic generator (standard library only).

A pair is drawn from an intent (intents/*.txt) or from a composed request (compose.py), dressed up as people write (wrappers, case,
punctuation, a few typos), and answered by one POSIX shell command as {"cmd": "..."}.

Two things are kept from training: about one phrasing in forty (a hash of its words without slot values) and one invented slot
value in eleven (slots.py). Evaluation sets: `slots` has unseen values in seen phrasings, `phrasing` unseen values in unseen phrasings.

    gen_data.py --n 20                        print pairs
    gen_data.py --n 5000 --split phrasing --out FILE.jsonl
    gen_data.py --check                       parse everything, `sh -n` on a sample, look for contradictions, print figures
"""

import argparse
import collections
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compose  # noqa: E402
import grammar  # noqa: E402
from slots import DEFAULTS, KINDS, Sampler, kind_of  # noqa: E402

HELD_OUT_PHRASING_MOD = 40
COMPOSED_SHARE = 0.30
WRAPPERS = (
    "how do i %s?", "how do I %s?", "how can I %s?", "how to %s", "how to %s?", "how would I %s?", "how do you %s?", "please %s", "%s please",
    "%s, please", "can you %s?", "can you %s", "could you %s?", "could you please %s?", "I want to %s", "i want to %s", "I need to %s",
    "i need to %s", "I'd like to %s", "i would like to %s", "help me %s", "command to %s", "the command to %s", "what command will %s",
    "what's the command to %s?", "what is the command to %s?", "which command do I use to %s?", "shell command to %s", "give me a command to %s",
    "give me the command to %s", "write a command to %s", "show me how to %s", "is there a way to %s?", "what's the best way to %s?",
    "%s from the command line", "%s in the terminal", "%s using the shell", "linux command to %s", "unix command to %s", "hey, %s",
    "ok now %s", "now %s", "quickly %s", "I'm trying to %s", "let's %s", "we need to %s", "tell me how to %s", "need to %s", "want to %s",
    "bash command to %s", "one-liner to %s", "a way to %s", "could you tell me how to %s?", "would you %s?", "just %s", "simply %s",
    "go ahead and %s", "bash: %s", "sh: %s", "in bash, %s", "in the shell, how do I %s?",
)
QUESTION = re.compile(r"(what|whats|how|which|who|where|when|is|are|does|do|did|was|am|can|has|have|will|why)\b", re.I)
ARTICLE = re.compile(r"\b(the|a|an|all|my|of) ")


class Pair:
    __slots__ = ("request", "command", "intent", "category")

    def __init__(self, request, command, intent, category):
        self.request, self.command, self.intent, self.category = request, command, intent, category

    @property
    def answer(self):
        return json.dumps({"cmd": self.command}, ensure_ascii=False)


class Generator:
    """split: 'train', 'slots' or 'phrasing' (see above)."""

    def __init__(self, seed=0, split="train"):
        self.rng = random.Random(zlib.crc32(("%s/%s" % (split, seed)).encode()) + (seed << 32))
        self.split = split
        self.intents = grammar.load_intents()
        self.sampler = Sampler(self.rng, held_out=split != "train")
        weights = [1.0 + min(3, sum(1 for _ in grammar.SLOT.finditer(i.command))) for i in self.intents]
        self.cumulative = []
        for w in weights:
            self.cumulative.append((self.cumulative[-1] if self.cumulative else 0.0) + w)

    def wanted(self, literals):
        held = zlib.crc32("\0".join(literals).encode()) % HELD_OUT_PHRASING_MOD == 0
        return held == (self.split == "phrasing")

    def pair(self):
        while True:
            if self.rng.random() < COMPOSED_SHARE:
                segments, command, alone, name = compose.draw(self)
                category = "composed"
            else:
                intent = self.rng.choices(self.intents, cum_weights=self.cumulative)[0]
                segments, command, alone = self.draw_intent(intent)
                name, category = intent.name, intent.category
            if segments is None or not self.wanted([t for t, literal in segments if literal]):
                continue
            request = dress(segments, alone, self.rng)
            if len(request) <= 300 and len(command) <= 240:
                return Pair(request, command, name, category)

    def draw_intent(self, intent, suffix=True):
        """-> ([(text, is literal)], command, stands alone)"""
        tree, alone = self.rng.choice(intent.phrases)
        return self.render(tree, intent.command, alone, intent.suffixable and suffix, intent.defaults)

    def render(self, tree, command, alone=False, suffixable=False, defaults=()):
        segments, slots = [], {}
        for node in grammar.choose(tree, self.rng, []):
            if isinstance(node, str):
                segments.append((node, True))
            else:
                name = node[1]
                if name not in slots:
                    slots[name] = KINDS[kind_of(name)](self.sampler)
                segments.append((slots[name].text, False))
        for name in defaults:
            if name not in slots:
                slots[name] = DEFAULTS[kind_of(name)](self.sampler)
        command = grammar.fill(command, slots)
        if suffixable and self.rng.random() < 0.16:
            more, tail = compose.suffix(self)
            segments += more
            command += tail
        return segments, command, alone


def dress(segments, alone, rng):
    """Segments -> a request as people type it. Only literal words change; slot values stay as they are."""
    parts = merge(segments)
    if rng.random() < 0.12:
        parts = [(drop_articles(t, rng), True) if lit else (t, lit) for t, lit in parts]
    if rng.random() < 0.035:
        parts = typo(parts, rng)
    end = ""
    if not alone and rng.random() < 0.42:
        wrapper = rng.choice(WRAPPERS)
        before, after = wrapper.split("%s")
        if after.endswith("?") and rng.random() < 0.35:
            after = after[:-1]
        parts, end = [(before, True)] + parts, after
    first = parts[0][0].lstrip()
    if not end:
        if alone and QUESTION.match(first):
            end = "?" if rng.random() < 0.55 else ""
        elif rng.random() < 0.10:
            end = "."
    text = "".join(t for t, _ in parts).strip() + end
    if parts[0][1] and rng.random() < 0.30:
        text = text[:1].upper() + text[1:]
    return text


def merge(segments):
    out = []
    for t, lit in segments:
        if out and out[-1][1] and lit:
            out[-1] = (out[-1][0] + t, True)
        elif t:
            out.append((t, lit))
    return out


def drop_articles(text, rng):
    return ARTICLE.sub(lambda m: "" if m.group(1) in ("the", "a", "an") and rng.random() < 0.7 else m.group(0), text)


def typo(parts, rng):
    words = [(i, m) for i, (t, lit) in enumerate(parts) if lit for m in re.finditer(r"[a-z]{4,}", t)]
    if not words:
        return parts
    i, m = rng.choice(words)
    w, k = m.group(0), rng.randrange(1, len(m.group(0)) - 1)
    kind = rng.randrange(3)
    new = w[:k] + w[k + 1:] if kind == 0 else w[:k] + w[k] + w[k:] if kind == 1 else w[:k] + w[k + 1] + w[k] + w[k + 2:]
    t = parts[i][0]
    return parts[:i] + [(t[:m.start()] + new + t[m.end():], True)] + parts[i + 1:]


def check(n):
    gen = Generator(7)
    pairs = [gen.pair() for _ in range(n)]
    unique = len({(p.request, p.command) for p in pairs})
    answers = collections.defaultdict(set)
    for p in pairs:
        answers[p.request.lower()].add((p.command, p.intent))
    clashes = {r: a for r, a in answers.items() if len({c for c, _ in a}) > 1}
    print("intents %d, of them composed %d; %d pairs drawn, %.1f%% unique, %d requests with several answers (%.2f%%)" % (
        len(gen.intents) + len(compose.BUILDERS), len(compose.BUILDERS), n, 100.0 * unique / n, len(clashes), 100.0 * len(clashes) / n))
    for r, a in sorted(clashes.items(), key=lambda x: -len(x[1]))[:25]:
        print("  clash:", r, "->", sorted(a))
    bad = 0
    for p in pairs[:3000]:
        with tempfile.NamedTemporaryFile("w", suffix=".sh") as f:
            f.write(p.command + "\n")
            f.flush()
            r = subprocess.run(["sh", "-n", f.name], capture_output=True, text=True)
        if r.returncode or json.loads(p.answer)["cmd"] != p.command:
            bad += 1
            print("  sh -n:", p.intent, repr(p.command), r.stderr.strip())
    longest = max(len(p.request) + len(p.command) for p in pairs)
    print("sh -n on %d: %d bad; longest pair %d characters" % (min(n, 3000), bad, longest))
    return 1 if bad else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--n", type=int, default=20)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--split", choices=("train", "slots", "phrasing"), default="train")
    ap.add_argument("--out", help="write JSON lines here instead of printing")
    ap.add_argument("--check", action="store_true")
    args = ap.parse_args()
    if args.check:
        return check(max(args.n, 20000))
    gen = Generator(args.seed, args.split)
    out = open(args.out, "w", encoding="utf-8") if args.out else sys.stdout
    for _ in range(args.n):
        p = gen.pair()
        if args.out:
            out.write(json.dumps({"request": p.request, "answer": p.answer, "intent": p.intent, "category": p.category}, ensure_ascii=False) + "\n")
        else:
            print("%-28s %s\n%28s %s" % (p.intent, p.request, "", p.command))
    return 0


if __name__ == "__main__":
    sys.exit(main())
