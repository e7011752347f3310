"""Tokenizer speed: Wick beside `tokenizers` (and `sentencepiece`, `tiktoken`) on one thread, in one run.

  bench/tokenizer_speed.py [--data FOLDER] [--wick-tok PROGRAM] [--families a,b] [--texts a,b] [--rounds N] [--load] [--out FILE.md]

Vocabularies are trained here, with the options and sizes of the families named, on text from a seeded generator; they are
kept in FOLDER (default build/bench-tokenizers) between runs. Every text has 1 MB of characters or so. Figures are medians of
N rounds, MB of UTF-8 a second; of the package's calls the fastest counts (encode, encode_batch_fast of one text).
"""
import os

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")

import argparse
import base64
import io
import json
import pathlib
import platform
import random
import statistics
import struct
import subprocess
import time

import sentencepiece
import tiktoken
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = pathlib.Path(__file__).resolve().parents[1]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


# ---- text ----

class Writer:
    """Text of several kinds. Words are made of syllables and drawn by rank, roughly as 1/rank: some very often, most rarely."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        r = random.Random(1)  # the words themselves are the same for every seed
        on = "b c d f g h j k l m n p r s t v w br ch cl cr dr fl fr gr pl pr sh sl sp st str th tr wh".split() + [""] * 4
        mid, off = "a e i o u ai ea ee ie oo ou".split(), ["", "", "", "n", "r", "s", "t", "l", "m", "nd", "ck", "ng", "st", "ss"]
        ends = ["", "", "", "s", "ed", "ing", "ly", "er", "tion", "ment", "able", "ness", "ity"]
        word = lambda: "".join(r.choice(on) + r.choice(mid) + r.choice(off) for _ in range(r.choice([1, 1, 2, 2, 3]))) + r.choice(ends)
        common = "the of and to in is that it was for on are as with his they at be this from have or by one had not but what all were when we there can".split()
        self.words = common + [word() for _ in range(90000)]
        self.cjk = ["".join(chr(0x4E00 + min(int(r.expovariate(1 / 900)), 6500)) for _ in range(r.choice([1, 1, 2, 2, 3, 4]))) for _ in range(40000)]
        self.kana = ["".join(chr(r.randint(0x3041, 0x3093)) for _ in range(r.randint(1, 4))) for _ in range(4000)]
        self.hangul = ["".join(chr(0xAC00 + min(int(r.expovariate(1 / 2500)), 11171)) for _ in range(r.randint(1, 5))) for _ in range(20000)]
        self.arabic = ["".join(chr(r.choice([*range(0x627, 0x63B), *range(0x641, 0x64B)])) for _ in range(r.randint(2, 8))) for _ in range(30000)]
        self.cyrillic = ["".join(chr(r.randint(0x430, 0x44F)) for _ in range(r.randint(1, 10))) for _ in range(30000)]
        self.emoji = ["\U0001F600", "\U0001F468\u200D\U0001F469\u200D\U0001F467", "\U0001F44D\U0001F3FD", "\u2764\uFE0F", "\U0001F1E9\U0001F1EA", "\U0001F680"]

    def pick(self, words):
        return words[int(len(words) ** self.rng.random()) - 1]

    def sentence(self, words, space=" ", end=". "):
        n = self.rng.randint(4, 22)
        out = [self.pick(words) + ("," if self.rng.random() < .08 else "") for _ in range(n)]
        return (space.join(out)).capitalize() + end

    def prose(self):
        out = "".join(self.sentence(self.words, end=self.rng.choice([". "] * 8 + ["? ", "! ", "; "])) for _ in range(self.rng.randint(2, 7))).rstrip()
        if self.rng.random() < .3:
            out = out.replace(" the ", " I'm not sure it's the ", 1)
        if self.rng.random() < .2:
            out += f" ({self.rng.randint(1, 2100)})"
        return out + self.rng.choice(["\n", "\n\n"])

    def code(self):
        r = self.rng
        name = lambda: r.choice([lambda: self.pick(self.words), lambda: self.pick(self.words) + "_" + self.pick(self.words),
                                 lambda: self.pick(self.words) + self.pick(self.words).capitalize(), lambda: r.choice("ijkxyn")])()
        depth = " " * 4 * r.choice([0, 1, 1, 2, 2, 3])
        kinds = [lambda: f"{name()} = {name()}({name()}, {r.randint(0, 255)})", lambda: f"if ({name()} != {name()} && !{name()}) {{",
                 lambda: f"for (int i = 0; i < {name()}->{name()}; i++) {name()}[i] += 0x{r.randrange(1 << 16):X};", lambda: f"def {name()}(self, {name()}=None):",
                 lambda: f"return {name()}.{name()}(\"{self.pick(self.words)} %d\\n\") + 1", lambda: f"# {self.sentence(self.words)}", lambda: "}", lambda: "",
                 lambda: f"<div class=\"{name()}\">{self.pick(self.words)}</div>", lambda: f"\"{name()}\": [{r.random():.3f}, {r.randint(-9, 9)}, null],"]
        return depth + r.choice(kinds)() + "\n"

    def mixed(self):
        r = self.rng
        k = r.randrange(7)
        if k == 0:
            return self.sentence(self.cjk, "", "。")
        if k == 1:
            return self.sentence(self.cjk + self.kana * 3, "", "、") + self.sentence(self.kana, "", "。\n")
        if k == 2:
            return self.sentence(self.hangul)
        if k == 3:
            return self.sentence(self.arabic, end="\u061F ")
        if k == 4:
            return self.sentence(self.cyrillic, end=".\n")
        if k == 5:
            return " ".join(r.choice(self.emoji) * r.randint(1, 3) for _ in range(r.randint(1, 4))) + " "
        return self.sentence(["café", "naïve", "Straße", "e\u0301te\u0301", "smørrebrød", "Łódź", "ﬁne", "ｗｉｄｅ", "①"] + self.words[:50])

    def digits(self):
        r = self.rng
        return r.choice([lambda: str(r.randrange(10 ** r.randint(1, 15))), lambda: f"{r.random() * 1000:.4f}", lambda: f"2026-{r.randint(1, 12):02}-{r.randint(1, 28):02}",
                         lambda: f"{r.randrange(1 << 64):x}"])() + r.choice([" ", " ", ", ", "\t", "\n"])

    def spaces(self):
        r = self.rng
        return r.choice([" " * r.randint(1, 200), "\n" * r.randint(1, 40), "\t" * r.randint(1, 20), " \n" * r.randint(1, 30), "\u00a0 " * r.randint(1, 5)]) + self.pick(self.words)

    def text(self, kind, n_bytes):
        out, n = [], 0
        make = getattr(self, kind)
        while n < n_bytes:
            out.append(make())
            n += len(out[-1].encode())
        return "".join(out)


EMOJI_ZWJ = "\U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466"
HOSTILE = {"one word": lambda: Writer(5).text("prose", 1 << 20).replace(" ", "").replace("\n", ""), "one letter": lambda: "a" * (1 << 20),
           "emoji ZWJ": lambda: EMOJI_ZWJ * ((1 << 20) // 25), "marks": lambda: "e" + "\u0301" * (1 << 19)}
KINDS = ["prose", "code", "mixed", "digits", "spaces"]


def sample(kind):
    return HOSTILE[kind]() if kind in HOSTILE else Writer(99).text(kind, 1 << 20)


# ---- vocabularies ----

def training_text():
    w = Writer(7)
    out = []
    for kind, mb in (("prose", 14), ("code", 5), ("mixed", 10), ("digits", 1), ("spaces", 1)):
        text = w.text(kind, mb << 20)
        out += [text[i:i + 2000] for i in range(0, len(text), 2000)]
    return out


def byte_level(corpus, split, size, **options):
    t = Tokenizer(models.BPE(**options))
    parts = [pre_tokenizers.Split(Regex(s), "isolated") for s in split]
    t.pre_tokenizer = pre_tokenizers.Sequence([*parts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]) if split else pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), max_token_length=32))
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in ("<|begin_of_text|>", "<|im_start|>", "<|im_end|>")])
    return t


def llama3(c):
    t = byte_level(c, [LLAMA3], 128000, ignore_merges=True)
    t.post_processor = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])
    return t


def qwen2(c):
    t = byte_level(c, [QWEN2], 151643)
    t.normalizer = normalizers.NFC()
    return t


def metaspace_bpe(c, size, **extra):
    """As converted from sentencepiece: spaces as U+2581, no words, byte fallback."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator(c, trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=special, max_token_length=24))
    d = json.loads(t.to_str())
    d["added_tokens"] = [a for a in d["added_tokens"] if not a["content"].startswith("<0x")]
    d["model"].update(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    d["pre_tokenizer"] = extra.get("pre")
    d["normalizer"] = extra["norm"]
    d["decoder"] = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}] + extra.get("strip", [])}
    return Tokenizer.from_str(json.dumps(d))


TO_MARK = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}


def gemma(c):
    return metaspace_bpe(c, 262144, norm=TO_MARK, pre={"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False})


def llama2(c):
    return metaspace_bpe(c, 32000, norm={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, TO_MARK]}, strip=[{"type": "Strip", "content": " ", "start": 1, "stop": 0}])


def t5(c):
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    t.train_from_iterator(c[::6], trainers.UnigramTrainer(vocab_size=32000, show_progress=False, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>"))
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return t


def bert(c):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(c, trainers.WordPieceTrainer(vocab_size=30522, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    t.decoder = decoders.WordPiece()
    return t


FAMILIES = {"llama3": llama3, "qwen2": qwen2, "gpt2": lambda c: byte_level(c, [], 50257), "o200k": lambda c: byte_level(c, [O200K], 199998),
            "deepseek": lambda c: byte_level(c, [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK], 128000), "gemma": gemma, "llama2": llama2, "t5": t5, "bert": bert}


def sp_model(corpus, kind, size):
    out = io.BytesIO()
    options = dict(byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True) if kind == "bpe" else dict(normalization_rule_name="nmt_nfkc")
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=(x.replace("\n", " ").replace("\0", "") for x in corpus), model_writer=out, minloglevel=2, model_type=kind,
                                             vocab_size=size, character_coverage=0.9995, num_threads=2, max_sentence_length=100000, **options)
    return out.getvalue()


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def sp_of_pieces(pieces, bpe=True):
    """A tokenizer.model with these pieces, best first, for loading times: 256k are not trained in a minute."""
    one = lambda p, s, kind: field(1, field(1, p.encode()) + varint(2 << 3 | 5) + struct.pack("<f", s) + varint(3 << 3) + varint(kind))
    out = b"".join([one("<unk>", 0, 2), one("<s>", 0, 3), one("</s>", 0, 3)] + [one(f"<0x{b:02X}>", 0, 6) for b in range(256)] + [one(p, -i, 1) for i, p in enumerate(pieces)])
    return out + field(2, varint(3 << 3) + varint(2 if bpe else 1) + varint(35 << 3) + b"\x01") + field(3, field(1, b"identity") + varint(3 << 3) + b"\x01" + varint(4 << 3) + b"\x00")


def gguf_vocab(t, path):
    import gguf
    vocab = t.get_vocab(with_added_tokens=True)
    tokens = sorted(vocab, key=vocab.get)
    merges = [" ".join(m) for m in json.loads(t.to_str())["model"]["merges"]]
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    w.add_token_types([3 if x.startswith("<|") else 1 for x in tokens])
    w.add_token_merges(merges)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def tiktoken_file(t, path):
    chars = [c for c in range(256) if 33 <= c <= 126 or 161 <= c <= 172 or 174 <= c]
    rest = [c for c in range(256) if c not in chars]
    undo = {chr(c): c for c in chars} | {chr(256 + i): c for i, c in enumerate(rest)}
    ranks = {}
    for text, _ in sorted(t.get_vocab(with_added_tokens=False).items(), key=lambda kv: (len(kv[0]) > 1, kv[1])):
        ranks[bytes(undo[c] for c in text)] = len(ranks)
    path.write_text("".join(f"{base64.b64encode(b).decode()} {r}\n" for b, r in ranks.items()))
    return ranks


def prepare(data, families):
    """path of each vocabulary; trained where it is not there"""
    corpus = None
    for name in families:
        path = data / f"{name}.json"
        if name in FAMILIES and not path.is_file():
            corpus = corpus or training_text()
            began = time.time()
            FAMILIES[name](corpus).save(str(path), pretty=False)
            print(f"trained {name}: {time.time() - began:.0f} s", flush=True)
    for name, kind in (("sp-bpe", "bpe"), ("sp-unigram", "unigram")):
        if name in families and not (data / f"{name}.model").is_file():
            corpus = corpus or training_text()
            began = time.time()
            (data / f"{name}.model").write_bytes(sp_model(corpus[::4], kind, 32000))
            print(f"trained {name}: {time.time() - began:.0f} s", flush=True)
    if "tiktoken" in families and not (data / "tiktoken" / "vocab.tiktoken").is_file():
        (data / "tiktoken").mkdir(exist_ok=True)
        tiktoken_file(Tokenizer.from_file(str(data / "llama3.json")), data / "tiktoken" / "vocab.tiktoken")


# ---- peers ----

class Peer:
    """encode and decode calls of the package that owns the format; of several calls for one thing the fastest counts."""

    def __init__(self, data, name):
        self.options = []
        if name.startswith("sp-"):
            self.path = data / f"{name}.model"
            sp = sentencepiece.SentencePieceProcessor(model_file=str(self.path))
            self.encoders, self.ids, self.decode = [sp.encode], sp.encode, sp.decode
        elif name == "tiktoken":
            self.path, self.options = data / "tiktoken", ["no-special"]
            ranks = {base64.b64decode(a): int(b) for a, b in (x.split() for x in (self.path / "vocab.tiktoken").read_text().splitlines())}
            enc = tiktoken.Encoding("bench", pat_str=LLAMA3, mergeable_ranks=ranks, special_tokens={})
            self.encoders, self.ids, self.decode = [enc.encode_ordinary], enc.encode_ordinary, enc.decode
        else:
            self.path = data / f"{name}.json"
            t = Tokenizer.from_file(str(self.path))
            self.encoders = [t.encode, lambda s: t.encode_batch_fast([s])]
            self.ids = lambda s: t.encode(s).ids
            self.decode = lambda ids: t.decode(ids, skip_special_tokens=False)


def median_s(call, arg, rounds):
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call(arg)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure(wick_tok, peer, text, rounds):
    raw = text.encode()
    ids = peer.ids(text)
    p = subprocess.run([wick_tok, "time", str(peer.path), str(rounds), *peer.options], input=raw, capture_output=True, check=True)
    wick = json.loads(p.stdout)
    return {"bytes": len(raw), "ids": len(ids), "same": wick["ids"] == len(ids), "wick_ms": wick["encode_ms"], "wick_decode_ms": wick["decode_ms"], "wick_stream_ms": wick["stream_ms"],
            "peer_ms": 1e3 * min(median_s(e, text, rounds) for e in peer.encoders), "peer_decode_ms": 1e3 * median_s(peer.decode, ids, rounds)}


def loading(data, wick_tok, rounds):
    corpus_vocab = json.loads((data / "gemma.json").read_text())["model"]["vocab"]
    big = data / "256k.model"
    if not big.is_file():
        big.write_bytes(sp_of_pieces([p for p in corpus_vocab if not p.startswith("<")][:256000]))
    if not (data / "150k.gguf").is_file():
        gguf_vocab(Tokenizer.from_file(str(data / "qwen2.json")), data / "150k.gguf")
    rows = []
    for name, path, load in (("tokenizer.json, 151,646 byte-level BPE", data / "qwen2.json", Tokenizer.from_file), ("tokenizer.json, 262,144 BPE", data / "gemma.json", Tokenizer.from_file),
                             ("tokenizer.json, 32,000 Unigram", data / "t5.json", Tokenizer.from_file),
                             ("tokenizer.model, 256,259 BPE", big, lambda p: sentencepiece.SentencePieceProcessor(model_file=p)), ("GGUF, 151,646 BPE", data / "150k.gguf", None)):
        wick = [json.loads(subprocess.run([wick_tok, "time", str(path), "1"], input=b"a", capture_output=True, check=True).stdout)["load_ms"] for _ in range(rounds)]
        rows.append(f"| {name} | {statistics.median(wick):.0f} | " + (f"{1e3 * median_s(load, str(path), 3):.0f} |" if load else "- |"))
    return rows


def machine():
    cpu = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")), platform.machine())
    return f"{cpu}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; tokenizers {tokenizers.__version__}, sentencepiece {sentencepiece.__version__}, tiktoken {tiktoken.__version__}"


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--data", type=pathlib.Path, default=ROOT / "build" / "bench-tokenizers")
    a.add_argument("--wick-tok", default=str(ROOT / "build" / "release" / "tests" / "tools" / "wick_tok"))
    a.add_argument("--families", default=",".join([*FAMILIES, "sp-bpe", "sp-unigram", "tiktoken"]))
    a.add_argument("--texts", default=",".join(KINDS))
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--prepare", action="store_true", help="only train")
    a.add_argument("--load", action="store_true", help="also loading times")
    a.add_argument("--out", type=pathlib.Path)
    o = a.parse_args()
    o.data.mkdir(parents=True, exist_ok=True)
    prepare(o.data, o.families.split(","))
    if o.prepare:
        return
    rows = ["| vocabulary | text | tokens | encode, MB/s | peer | ratio | decode | peer | ratio | streamed |", "|---|---|---|---|---|---|---|---|---|---|"]
    print(machine(), *rows, sep="\n", flush=True)
    for name in o.families.split(","):
        peer = Peer(o.data, name)
        for kind in o.texts.split(","):
            m = measure(o.wick_tok, peer, sample(kind), o.rounds)
            mb = lambda ms: m["bytes"] / 1e3 / ms
            row = (f"| {name} | {kind} | {m['ids']:,}{'' if m['same'] else ' (differ)'} | {mb(m['wick_ms']):.1f} | {mb(m['peer_ms']):.1f} | {m['peer_ms'] / m['wick_ms']:.2f} | "
                   f"{mb(m['wick_decode_ms']):.0f} | {mb(m['peer_decode_ms']):.0f} | {m['peer_decode_ms'] / m['wick_decode_ms']:.2f} | {mb(m['wick_stream_ms']):.0f} |")
            rows.append(row)
            print(row, flush=True)
    if o.load:
        more = ["", "| loading | ms | peer |", "|---|---|---|", *loading(o.data, o.wick_tok, o.rounds)]
        rows += more
        print(*more, sep="\n")
    if o.out:
        o.out.parent.mkdir(parents=True, exist_ok=True)
        o.out.write_text(f"{machine()}\n\n" + "\n".join(rows) + "\n")


main()
