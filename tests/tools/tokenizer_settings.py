"""Random tokenizer.json contents: any normalizers, pre-tokenizers, post-processors, decoders, added tokens and model
options that the format has, over a few small trained models. settings(rng, models) gives one as a dict.

Left out is what `tokenizers` answers by chance or breaks on: two added tokens that normalize to the same text (its table
is in hash order), added tokens that normalize to nothing, special tokens that a normalizer changes, templates applied to
templates (they have a test of their own), and "first" words where a normalizer made or moved the first character."""
import json

PATTERNS = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?:[sdmt]|ll|ve|re)|\s?+\p{L}+|\s?+\p{N}+|\s?+[^\s\p{L}\p{N}]++|\s+$|\s+(?!\S)|\s", r"[\p{L}\p{M}]+|[^\p{L}\p{M}]",
    r"\p{N}{1,3}", r"\p{N}", r"[一-龥぀-ゟ゠-ヿ]+", r"\s+", r"\w+|[^\w\s]+", r" ?[^(\s|[.,!?…。，、।۔،])]+", r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+",
    r"\p{Sc}|\p{Sm}", r"(?<=\p{L})(?=\p{N})", r"(?=[A-Z])", r"\b\w", r"\B", r"[^\r\n\p{L}\p{N}]?+\p{L}++", r"\p{Han}+", r"[\p{Hiragana}\p{Katakana}]+",
    r"(.)\1", r"(?!\d)\w{2,}?", r"\A.", r".\z", r"(?i)the|OF", r"[[:alpha:]]+", r"[[:digit:][:space:]]", r"[[:upper:]][[:lower:]]*", r"[^[:punct:]]+",
    r"\R", r"\d+(?:\.\d+)?", r"(?:\r\n|\n|\r)+", r"\p{M}+", r"[\u4e00-\u9fff]+", r"\x{61}|\x41", r"[\x00-\x1f]", r"(?m:.)", r"\S+|\s", r"(?>a+)b?",
    r"[^\S\n]+", r"\p{L}{1,4}", r"\p{^L}+", r"\P{L}+", r"\p{Zs}", r"[\w&&[^\d]]+", r"[\W_]+", r"[^\W\d]+", r"(?<!\w)'", r"<\|[^|]*\|>"]
STRINGS = [" ", "a", "▁", "the", "\n", ".", "é", "ab", "  ", "e", "``", "''", "1", "文", "\t", "<s>", "A"]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
ADDED = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "[MASK]", "<think>", "word", "a word", "the", "<extra_id_0>", "<unk>", " x", "  ",
         "\n\n", "É", "naïve", "▁▁", "of", "def", "1", "文", "ab", "a", "Don", " the ", "[UNK]", "é", "f(x)"]


def pattern(r):
    return {"String": r.choice(STRINGS)} if r.random() < .4 else {"Regex": r.choice(PATTERNS)}


def metaspace(r):
    return {"type": "Metaspace", "replacement": r.choice(["▁", "▁", "▁", "_", "Ġ"]), "prepend_scheme": r.choice(["always", "first", "never"]), "split": r.random() < .7}


def coin(r):
    return r.random() < .5


def normalizer(r, charsmap):
    kind = r.choice(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Replace", "Replace", "Prepend", "BertNormalizer", "Nmt", "Precompiled", "ByteLevel"])
    more = {"Strip": lambda: {"strip_left": coin(r), "strip_right": coin(r)},
            "Replace": lambda: {"pattern": pattern(r), "content": r.choice(["", " ", "▁", "x", "aa", "  ", "é", "a"])},
            "Prepend": lambda: {"prepend": r.choice(["▁", " ", "x"])},
            "BertNormalizer": lambda: {"clean_text": coin(r), "handle_chinese_chars": coin(r), "strip_accents": r.choice([None, True, False]), "lowercase": coin(r)},
            "Precompiled": lambda: {"precompiled_charsmap": charsmap}}
    return {"type": kind, **more.get(kind, dict)()}


def pre_tokenizer(r):
    kind = r.choice(["Split", "Split", "Split", "ByteLevel", "Metaspace", "Metaspace", "Whitespace", "WhitespaceSplit", "Digits", "Punctuation", "BertPreTokenizer",
                     "CharDelimiterSplit", "FixedLength"])
    if kind == "Metaspace":
        return metaspace(r)
    more = {"Split": lambda: {"pattern": pattern(r), "behavior": r.choice(BEHAVIORS), "invert": r.random() < .3},
            "ByteLevel": lambda: byte_level(r), "Digits": lambda: {"individual_digits": coin(r)}, "Punctuation": lambda: {"behavior": r.choice(BEHAVIORS)},
            "CharDelimiterSplit": lambda: {"delimiter": r.choice(" ae▁\n")}, "FixedLength": lambda: {"length": r.choice([1, 2, 5, 13])}}
    return {"type": kind, **more.get(kind, dict)()}


def byte_level(r):
    return {"type": "ByteLevel", "add_prefix_space": coin(r), "trim_offsets": coin(r), "use_regex": coin(r)}


def decoder(r):
    kind = r.choice(["ByteLevel", "WordPiece", "ByteFallback", "Fuse", "Strip", "Metaspace", "BPEDecoder", "CTC", "Replace"])
    if kind == "Metaspace":
        return metaspace(r)
    more = {"ByteLevel": lambda: byte_level(r), "WordPiece": lambda: {"prefix": r.choice(["##", "Ġ", "a"]), "cleanup": coin(r)},
            "Strip": lambda: {"content": r.choice([" ", "a", "▁", "e"]), "start": r.choice([0, 1, 2]), "stop": r.choice([0, 1, 3])},
            "BPEDecoder": lambda: {"suffix": r.choice(["</w>", "a", "e"])},
            "CTC": lambda: {"pad_token": r.choice(["<pad>", "a", "e"]), "word_delimiter_token": r.choice(["|", "▁", "t"]), "cleanup": coin(r)},
            "Replace": lambda: {"pattern": pattern(r), "content": r.choice(["", " ", "x"])}}
    return {"type": kind, **more.get(kind, dict)()}


def sequence(r, counts, one, kind, key):
    """None, one step alone, or a Sequence of several (or of one, or of none)."""
    steps = [one() for _ in range(r.choice(counts))]
    if not steps:
        return r.choice([None, {"type": "Sequence", key: []}]) if kind != "decoder" else None
    return steps[0] if len(steps) == 1 and r.random() < .7 else {"type": "Sequence", key: steps}


def post_processor(r, ids):
    plain = byte_level(r)
    if not ids or r.random() < .3:
        return r.choice([None, plain])
    token = lambda: (lambda s: [s, ids[s]])(r.choice(sorted(ids)))
    kind = r.choice(["TemplateProcessing", "TemplateProcessing", "BertProcessing", "RobertaProcessing"])
    out = {"type": kind}
    if kind == "TemplateProcessing":
        special, single = {}, []
        for where in ("front", "front", "text", "back"):
            if where == "text":
                single.append({"Sequence": {"id": "A", "type_id": 0}})
            elif coin(r):
                s, i = token()
                more = [] if r.random() < .8 else [5, 6]
                special.setdefault(s, {"id": s, "ids": [i] + more, "tokens": [s] + ["x"] * len(more)})
                single.append({"SpecialToken": {"id": s, "type_id": 0}})
        out.update(single=single, pair=single + [{"Sequence": {"id": "B", "type_id": 1}}], special_tokens=special)
    else:
        out.update(sep=token(), cls=token())
        if kind == "RobertaProcessing":
            out.update(trim_offsets=coin(r), add_prefix_space=coin(r))
    return out if coin(r) else {"type": "Sequence", "processors": r.choice([[plain, out], [out, plain]])}


def model(r, models):
    name = r.choice(sorted(models))
    m = json.loads(json.dumps(models[name]))
    if m["type"] == "BPE":
        for key, p in (("ignore_merges", .25), ("fuse_unk", .3), ("byte_fallback", .3)):
            if r.random() < p:
                m[key] = not m[key]
        if r.random() < .3:
            m["unk_token"] = r.choice([None, m["unk_token"], "a"])
        if r.random() < .3:
            m["merges"] = [" ".join(x) for x in m["merges"]]
        if r.random() < .2:
            m["dropout"] = 0.0
        if r.random() < .1:
            m["merges"] += r.sample(m["merges"], min(40, len(m["merges"])))  # a pair that is given twice has its last rank
    elif m["type"] == "WordPiece":
        m["max_input_chars_per_word"] = r.choice([100, 100, 5, 20])
    elif m["type"] == "Unigram":
        if r.random() < .3:
            m["byte_fallback"] = True
            m["vocab"] += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
        if r.random() < .3:  # ties
            m["vocab"][3:] = [[p, float(round(s))] for p, s in m["vocab"][3:]]
        if r.random() < .2:  # a piece twice: the second one encodes
            m["vocab"] += [[p, s + .5] for p, s in r.sample(m["vocab"][300:], 20)]
    return name, m


def settings(r, models, charsmap):
    d = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": []}
    if r.random() < .2:
        d["padding"] = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    if r.random() < .2:
        d["truncation"] = {"direction": "Right", "max_length": 512, "strategy": "LongestFirst", "stride": 0}
    name, m = model(r, models)
    own = m["vocab"] if isinstance(m["vocab"], dict) else {p: i for i, (p, _) in enumerate(m["vocab"])}
    d["normalizer"] = sequence(r, [0, 0, 1, 1, 2, 3], lambda: normalizer(r, charsmap), "normalizer", "normalizers")
    plain = json.dumps(d["normalizer"]) in ("null", '{"type": "Sequence", "normalizers": []}')
    n = len(m["vocab"])
    for s in r.sample(ADDED, r.choice([0, 1, 3, 6, 12])):
        special = coin(r)
        d["added_tokens"].append({"id": own.get(s, n), "content": s, "single_word": r.random() < .2, "lstrip": r.random() < .25, "rstrip": r.random() < .25,
                                  "normalized": plain and r.random() < .4, "special": special})
        n += s not in own
    if d["added_tokens"] and not plain and r.random() < .5:  # one that is looked for in normalized text
        d["added_tokens"][0].update(special=False, normalized=d["added_tokens"][0]["content"].isascii() and d["added_tokens"][0]["content"].isalpha())
    d["added_tokens"].sort(key=lambda a: a["id"])
    d["pre_tokenizer"] = sequence(r, [0, 1, 1, 2, 2, 3, 4], lambda: pre_tokenizer(r), "pre_tokenizer", "pretokenizers")
    if name == "byte_level" and r.random() < .8:
        d["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [x for x in (d["pre_tokenizer"], byte_level(r)) if x]}
    first = json.dumps(d["pre_tokenizer"]).find('"first"')
    if first >= 0 and "ByteLevel" in json.dumps(d["pre_tokenizer"])[:first]:
        d["pre_tokenizer"] = metaspace(r)
    if first >= 0 and any(x in json.dumps(d["normalizer"]) for x in ("Prepend", "NFD", "NFK", "Precompiled", "handle_chinese", "Replace")):
        d["normalizer"] = None
    d["post_processor"] = post_processor(r, {a["content"]: a["id"] for a in d["added_tokens"]})
    d["decoder"] = sequence(r, [0, 1, 1, 2, 3, 4], lambda: decoder(r), "decoder", "decoders")
    d["model"] = m
    return d
