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
WRAPPERS += (
    "what command can I use to %s?", "what do I type to %s?", "what should I run to %s?", "I would like you to %s", "your task is to %s", "%s for me", "%s for me please", "kindly %s",
    "can you please %s", "could you help me %s?", "I have to %s", "i gotta %s", "i wanna %s", "trying to %s", "how does one %s?", "how might I %s?", "any way to %s?", "is it possible to %s?",
    "what is the shell command to %s?", "give me a one-liner to %s", "write a one liner to %s", "generate a command to %s", "generate a bash command to %s", "use a command to %s",
    "show me a command that will %s", "I need a command to %s", "need a command to %s", "find a way to %s", "tell me the command to %s", "first %s", "next, %s", "also %s", "then %s", "so, %s",
    "hi, can you %s?", "quick question: how do I %s?", "%s, thanks", "%s thanks", "%s asap", "%s right now", "%s if possible", "%s with one command", "%s in one line", "%s with a shell command",
    "from the terminal, %s", "on linux, %s", "%s on linux", "%s in linux", "%s in bash", "%s on the command line", "as a shell one-liner: %s", "in posix sh, %s", "task: %s", "cmd to %s", "command that can %s")
FRONT_PLACE = re.compile(r" (in|under|inside|within|from|on) ")
FILLERS = (("all", "all of"), ("all the", "all of the"), ("every", "each and every"), ("files", "the files"), ("file", "the file"), ("lines", "the lines"), ("in", "inside"), ("in", "within"),
           ("containing", "which contain"), ("with", "having"), ("larger than", "that are larger than"), ("and", "and also"), ("the", "the given"), ("number of", "total number of"))
SYNONYMS = {}
for _group in """
show display print output view see|list enumerate show|find locate discover|delete remove erase|remove delete erase|create make generate|make create|directory folder dir|folder directory dir
directories folders dirs|folders directories|subdirectories subfolders|count tally compute determine|number amount count quantity|number quantity total|largest biggest greatest hugest|biggest largest
smallest tiniest littlest|contains includes has holds|contain include have hold|containing including having with|lines rows|line row|text string|string text|word term|file document|files documents
modified changed edited updated altered|changed modified edited updated|newest latest|oldest earliest|current present|show reveal|extract unpack expand|compress pack|copy duplicate replicate|move transfer relocate
rename retitle|replace substitute swap|change modify alter adjust|permissions rights mode|executable runnable|owner proprietor|processes programs tasks|process program task|running active executing|kill terminate stop end
stop halt end|start launch begin|memory ram|usage consumption utilization|size extent magnitude|display present show|user account|users accounts people|name title|names titles|sort order arrange|sorted ordered arranged
alphabetically by name|reverse opposite inverse|unique distinct different|duplicate repeated double|duplicates repetitions doubles|empty blank|first initial|last final|print write echo|check verify test|machine computer box host system
system machine computer|computer machine|network net|address addr|download fetch retrieve|fetch retrieve get|version release|default standard|path location|location place path|variable var|environment env|hidden invisible
recursively deeply|including with|excluding without except|except excluding|without excluding|append add|add append|insert put|join combine merge concatenate|combine join merge|merge combine|split divide break|convert turn transform change
lowercase lower-case|uppercase upper-case|beginning start|start beginning|end ending finish|total overall|average mean|archive tarball|backup copy|link symlink|open read view|read open view|only just solely|just only|whole entire full
entire whole|big large|large big|older earlier|newer later|each every|every each|all every|occurrences instances appearances|occurs appears|appears occurs|column field|field column|separated delimited|repository repo|commit revision
calculate compute determine|compute calculate|content contents|contents content|information info details|details information|available free|free available|used occupied|logged signed|month calendar-month|numbers figures values|values numbers
""".replace("\n", "|").split("|"):
    _w = _group.split()
    if len(_w) > 1:
        SYNONYMS.setdefault(_w[0], set()).update(w for w in _w[1:] if w != _w[0])
SYNONYMS = {k: sorted(v) for k, v in SYNONYMS.items()}
VERBS = (
    ("delete remove erase rm", "get rid of|throw away|wipe|trash|ditch|drop|nuke|clear out|toss|scrap|dispose of|eliminate|discard|zap|purge|kill off|clean out|throw out|take out"),
    ("show print display list see view output give get", "gimme|tell me|let me see|let me have|dump|bring up|pull up|spit out|present|reveal|report|write out|give me|get me|i want to see|i need|i'd like to see|"
     "what are|what is|need|want|enumerate|provide|return|read out|state|fetch|throw me|show us|print out|display me|output"),
    ("find locate search look", "dig up|hunt for|look up|track down|seek|pinpoint|spot|identify|uncover|scan for|discover|where are|where is|which are|hunt down|search out|come up with|get me"),
    ("create make add", "set up|generate|produce|start|build|construct|i need|i want|prepare|establish|please create|write|put down|open"),
    ("copy duplicate cp", "clone|replicate|make a copy of|put a copy of|back up|reproduce|make a duplicate of"), ("move mv", "relocate|transfer|put|shift|bring|send|take|place|shove"),
    ("rename", "change the name of|give a new name to|call"), ("count", "tally|tally up|total up|give me the count of|work out the number of|determine the number of|tell me the number of|compute the number of|get a count of|"
     "find out the number of|the number of|number of|add up|figure out the number of"),
    ("replace substitute swap", "exchange|switch|turn|change|trade|overwrite|put in place of"), ("compress pack archive zip gzip tar", "bundle|squeeze|shrink|pack up|wrap up|put together|bundle up|make an archive of"),
    ("extract unpack untar unzip decompress", "expand|open up|blow up|undo|get everything out of|take everything out of|inflate"), ("change set modify", "alter|adjust|switch|turn|update|edit|make|put|fix"),
    ("run execute start", "fire up|kick off|invoke|exec|do|call|begin|trigger|perform"), ("kill stop terminate", "end|shut down|finish|abort|halt|close|quit|get rid of|put an end to|take down"),
    ("sort order", "arrange|put in order|rank|organize|line up"), ("check test verify", "see|find out|tell me|determine|make sure|confirm"), ("append", "add|tack on|put|attach"),
    ("convert", "turn|transform|change|make|translate|switch"), ("download fetch", "grab|pull|pull down|save|get hold of|retrieve"), ("calculate compute", "work out|figure out|determine|tell me|find"),
    ("extract", "pull out|get|take|pick out|grab"), ("split", "cut|chop|break up|divide"), ("join merge combine concatenate", "glue together|put together|stick together|unite|fuse|cat together"))
VERB_TO = {w: b.split("|") for a, b in reversed(VERBS) for w in a.split()}
LEAD = re.compile(r"^(?:show me|give me|show|print|display|list|get|see|view|output|find|tell me|print out|enumerate|locate|search for|look for|count|calculate|compute|extract)\s+(?=(?:only |just |all |every |each |the |a |an |lines |files )|\Z)", re.I)
TAILS = (", nothing else", " and nothing more", " only", ", that's all", " for me", " please", ", please", " now", " - thanks", " (just that)", " if you can", ", quickly", " again", " as well", " there",
         " and that's it", " once more", " on this machine", " here")
QUESTION = re.compile(r"(what|whats|how|which|who|where|when|is|are|does|do|did|was|am|can|has|have|will|why)\b", re.I)
ARTICLE = re.compile(r"\b(the|a|an|all|my|of) ")


class Pair:
    __slots__ = ("request", "command", "intent", "category", "refused")

    def __init__(self, request, command, intent, category, refused=""):
        self.request, self.command, self.intent, self.category, self.refused = request, command, intent, category, refused

    @property
    def answer(self):
        if self.refused:
            return json.dumps({"cmd": "", "refused": self.refused})
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
            intent = None
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
                return Pair(request, command, name, category, intent.refused if intent else "")

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
                slot = slots[name]
                segments.append((slot.forms[node[2]] if node[2] else slot.text, False))
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
    alone = alone or not imperative(parts[0])
    k = rng.random()
    if k < 0.12:
        parts = [(drop_articles(t, rng), True) if lit else (t, lit) for t, lit in parts]
    if rng.random() < 0.22:
        parts = [(synonyms(t, rng), True) if lit else (t, lit) for t, lit in parts]
    if rng.random() < 0.04:
        parts = [(fillers(t, rng), True) if lit else (t, lit) for t, lit in parts]
    if rng.random() < 0.035:
        parts = typo(parts, rng)
    if rng.random() < 0.10:
        parts = fronted(parts, rng)
    if not alone and parts[0][1]:
        k = rng.random()
        if k < 0.16:
            parts = [(other_verb(parts[0][0], rng), True)] + parts[1:]
        elif k < 0.27:  # a noun phrase: "the last 5 lines of x", "lines of x with y"
            bare = LEAD.sub("", parts[0][0], count=1)
            if bare != parts[0][0]:
                parts, alone = [(bare, True)] + parts[1:], True
    if rng.random() < 0.05:
        parts = file_words(parts, rng)
    if rng.random() < 0.03:
        parts = parts + [(rng.choice(TAILS), True)]
    end = ""
    if not alone and rng.random() < 0.34:
        wrapper = rng.choice(WRAPPERS)
        before, after = wrapper.split("%s")
        if after.endswith("?") and rng.random() < 0.35:
            after = after[:-1]
        parts, end = [(before, True)] + parts, after
    elif not alone and rng.random() < 0.02 and parts[0][1]:
        parts = [(third_person(parts[0][0]), True)] + parts[1:]
    first = parts[0][0].lstrip()
    if not end:
        if alone and QUESTION.match(first):
            end = "?" if rng.random() < 0.55 else ""
        elif rng.random() < 0.12:
            end = "."
    text = "".join(t for t, _ in parts).strip() + end
    if parts[0][1] and rng.random() < 0.38:
        text = text[:1].upper() + text[1:]
    if rng.random() < 0.01:
        text = text.replace(" ", "  ", 1)
    return text


IMPERATIVE = set("""list show display print see view get give find locate search look count delete remove erase rm create make add set copy cp duplicate move mv relocate check test verify change modify
update replace substitute swap run execute launch start download fetch grab compress pack archive extract unpack decompress untar uncompress kill stop terminate end read concatenate combine join merge number
page scroll browse open head tail follow watch monitor skip drop ignore sort order arrange reverse convert turn transform change rename write append prepend insert put save store split divide cut truncate
zip unzip gzip gunzip bundle tar ping connect log ssh resolve trace query ask upload send transfer sync mirror mount unmount restart enable disable reload install uninstall upgrade refresh schedule shut power
reboot switch go cd enter leave exit clear reset wait sleep pause repeat loop calculate compute evaluate divide multiply subtract sum total average determine tell output dump enumerate recursively pretty format
indent beautify minify validate decode encode hash generate pick choose select shuffle randomize flip roll draw say echo greet commit push pull stage stash unstage revert undo discard clone init initialize tag
checkout rebase cherry-pick bisect blame apply protect grant revoke allow let forbid lock unlock own chmod chown chgrp assign mark link symlink hard repoint point touch wipe clean purge empty trash filter grep
extract strip trim squeeze fold wrap expand double quote uppercase lowercase capitalize align paste compare diff patch spell monitor measure time limit use export unset define alias force gracefully forcefully
prefix overwrite call throw break fill hide place serve translate fix restore destroy curl wget git ls shrink attach forward scan listen pop crash drop toss nuke dispose eliminate
build compile debug source edit bring take keep comment uncomment disable peek preview calculate factor raise keep clone back post build rsync scp sftp nohup renice suspend resume continue""".split())


def imperative(part):
    text, literal = part
    m = re.match(r"\s*([A-Za-z-]+)", text)
    return literal and bool(m) and m.group(1).lower() in IMPERATIVE


def other_verb(text, rng):
    m = re.match(r"([a-z]+)\b(?: (?:me|for|out)\b)?", text)
    other = VERB_TO.get(m.group(1)) if m else None
    return rng.choice(other) + text[m.end():] if other else text


def file_words(parts, rng):
    """'in x.txt' -> 'in the file x.txt', 'in my x.txt', 'in x.txt file'."""
    out = list(parts)
    for i, (t, lit) in enumerate(parts):
        if not lit and i and re.search(r"\w\.\w+$", t) and " " not in t and re.search(r"(in|of|from|on|to) $", parts[i - 1][0]):
            how = rng.randrange(4)
            out[i] = (t + " file" if how == 0 else t, False)
            out[i - 1] = (out[i - 1][0] + ("", "the file ", "my ", "file ")[how], True)
            break
    return out


def synonyms(text, rng):
    def swap(m):
        w = m.group(0)
        s = SYNONYMS.get(w.lower())
        return rng.choice(s) if s and rng.random() < 0.4 else w
    return re.sub(r"[A-Za-z]+", swap, text)


def fillers(text, rng):
    a, b = rng.choice(FILLERS)
    return re.sub(r"\b%s\b" % a, b, text, count=1)


def fronted(parts, rng):
    """'count the files in X' -> 'in X, count the files': a last slot that names a place comes first."""
    if len(parts) < 2 or parts[-1][1]:
        return parts
    value, before = parts[-1][0], parts[-2][0] if parts[-2][1] else ""
    if value.startswith((" in ", " under ", " inside ", " within ")):
        return [(value[1:] + ", ", False)] + parts[:-1]
    m = re.search(r" (in|from|inside|under) (the file |the directory |the folder |)$", before)
    if not m or len(before[:m.start()].split()) < 2 and len(parts) < 3:
        return parts
    lead = rng.choice(("in ", "in ", "for ", "given ")) if m.group(1) == "in" else m.group(1) + " "
    return [(lead + m.group(2) + value + ", ", False)] + parts[:-2] + [(before[:m.start()], True)]


def third_person(text):
    first, _, rest = text.partition(" ")
    if not re.match(r"(list|show|print|find|count|display|delete|remove|create|copy|move|search|sort|extract|compress|get|make|output|change|set|add|replace|convert|rename)$", first):
        return text
    return first + ("es" if first.endswith(("s", "ch", "x", "sh")) else "s") + " " + rest


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
