"""tokenizer.ggml.pre: every name that llama.cpp knows is known (tests/lists), an unknown one is an error that says how to
go on, and the names that were added together with their rule are compared with `tokenizers`, which gets the rule as the
models' own tokenizer.json has it. The vocabulary is trained without cutting words, so that each cut shows in the ids."""
import os
import subprocess
from pathlib import Path

import pytest

gguf = pytest.importorskip("gguf")
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers  # noqa: E402

from test_tokenizers import DEEPSEEK, LLAMA3, O200K, QWEN2, lines, run, wick_tok  # noqa: E402,F401

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "tests" / "lists" / "llama_cpp_pre_tokenizers.txt"
NAMES = [line for line in LIST.read_text().split("\n") if line and not line.startswith("#")]
GPT2_DIGITS = [r"\p{N}", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"]
HAN_KANA = "[一-龥\u3040-ゟ゠-ヿ]+"
RULES = {
    "minicpm5": [r"\p{N}{1,3}", LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}+")],
    "youtu": ["[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + HAN_KANA, O200K.replace("{1,3}", "")],
    "jais-2": [LLAMA3.replace(r"\s+(?!\S)|\s+", "|".join(rf"\s{{{n}}}(?!\S)" for n in (512, 256, 128, 64, 32, 16, 8, 4, "1,2")) + r"|\s{1}")],
    "granite-embed-multi-97m": [O200K], "kanana2": [O200K], "talkie": [O200K],
    "f2llmv2": [QWEN2], "grok-2": [QWEN2], "solar-open": [QWEN2], "glm5": [LLAMA3],
    "exaone-moe": [QWEN2.replace(r"?\p{L}+|", r"?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|").replace(r"[\r\n]*|\s*[\r\n]+|", r"[\r\n/]?|\s*[\r\n]|")],
    "tiny_aya": [r"\d{1,3}(?=(?:\d{3})*\b)", O200K], "cohere2moe": [r"\d{1,3}(?=(?:\d{3})*\b)", O200K],
    "hy_v4": [r"\p{N}{1,3}", HAN_KANA, DEEPSEEK],
    "spark2_5": [r"\p{N}{1,3}", HAN_KANA, DEEPSEEK.replace(r"[\r\n]*|\s*[\r\n]+|", r"|[\r\n]|"), r"\p{N}"],
    "ufakzeka": [QWEN2.split("|", 7)[-1]],
    "laguna": [r"[^\n]+|[\n]+", QWEN2], "mellum2": GPT2_DIGITS,
    "afmoe": [r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
              "[一-鿿㐀-䶿\uf900-\ufaff\u3040-ゟ゠-ヿ･-ﾟ⼀-\u2fdfเ-\u0e7f\u0e80-\u0effក-\u17ffက-႟ꩠ-ꩿꧠ-\ua9ff가-\ud7afᄀ-ᇿ]+", DEEPSEEK],
    "qwen35": [QWEN2.replace(r"?\p{L}+|", r"?[\p{L}\p{M}]+|").replace(r"[^\s\p{L}\p{N}]+", r"[^\s\p{L}\p{M}\p{N}]+")],
}
NFC = ["f2llmv2", "qwen35"]
WHOLE = ["minicpm5", "youtu", "glm5", "granite-embed-multi-97m"]  # a word that is a piece is that piece


def write(path, vocab, merges, pre, model="gpt2"):
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_tokenizer_model(model)
    w.add_tokenizer_pre(pre)
    w.add_token_list(vocab)
    w.add_token_types([1] * len(vocab))
    w.add_token_merges(merges)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


@pytest.fixture(scope="module")
def trained():
    """(pieces by id, merges) of a byte-level BPE over whole lines."""
    import json
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    t.train_from_iterator([x.replace("<|", "< |") for x in lines(11, 600)], trainers.BpeTrainer(vocab_size=3000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                                              show_progress=False))
    d = json.loads(t.to_str())["model"]
    return sorted(d["vocab"], key=d["vocab"].get), [tuple(m) for m in d["merges"]]


def test_every_name_is_known(trained, wick_tok, tmp_path):  # noqa: F811
    vocab, merges = trained
    missing = []
    for name in NAMES:
        write(tmp_path / "v.gguf", vocab[:400], [" ".join(m) for m in merges[:100]], name)
        p = subprocess.run([wick_tok, "encode", str(tmp_path / "v.gguf")], input=b"a b 12\0", capture_output=True, timeout=60)
        if p.returncode:
            missing.append((name, p.stderr.decode()))
    assert len(NAMES) > 80 and not missing, missing


@pytest.mark.parametrize("name", RULES)
def test_rule(name, trained, wick_tok, tmp_path):  # noqa: F811
    vocab, merges = trained
    write(tmp_path / "v.gguf", vocab, [" ".join(m) for m in merges], name)
    t = Tokenizer(models.BPE({s: i for i, s in enumerate(vocab)}, merges, ignore_merges=name in WHOLE))
    if name in NFC:
        t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r), "isolated") for r in RULES[name]]
                                              + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    texts = [x.replace("<|", "< |") for x in lines(13, 500)] + ["1234567 12345,6789 0.1234", "z̶a̴l̸g̵o̷ हिन्दी ไทย e\u0301e\u0301", "it's IT'S Türkiye'nin",
                                                           "한국어 ㄱㄴ ㄅㄆ，「日本」——“x”", " " * 700 + "x", "a b c\u0301 d/e/\n/"]
    got = run(wick_tok, "encode", tmp_path / "v.gguf", "\0".join(texts).encode() + b"\0")
    wrong = [(x, g, str(t.encode(x).ids).replace(" ", "")) for x, g in zip(texts, got) if g.replace(" ", "") != str(t.encode(x).ids).replace(" ", "")]
    assert len(got) == len(texts) and not wrong, (len(wrong), wrong[0])


def test_unknown_name(trained, tmp_path):
    """Refused, with the way on; --pre goes on."""
    wick = os.environ.get("WICK_BIN")
    if not wick:
        pytest.skip("WICK_BIN is not set")
    vocab, merges = trained
    write(tmp_path / "v.gguf", vocab, [" ".join(m) for m in merges], "of-next-year")
    r = subprocess.run([wick, "tokenize", str(tmp_path / "v.gguf"), "a b"], capture_output=True, text=True, timeout=60)
    assert r.returncode == 4 and "of-next-year" in r.stderr and "--pre" in r.stderr and r.stderr.count("\n") == 1, r.stderr
    r = subprocess.run([wick, "tokenize", str(tmp_path / "v.gguf"), "a b", "--pre", "qwen2"], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr


def test_no_merges(trained, tmp_path):
    wick = os.environ.get("WICK_BIN")
    if not wick:
        pytest.skip("WICK_BIN is not set")
    write(tmp_path / "v.gguf", trained[0], [], "gpt-2")
    r = subprocess.run([wick, "tokenize", str(tmp_path / "v.gguf"), "a b"], capture_output=True, text=True, timeout=60)
    assert r.returncode == 5 and "merges" in r.stderr and r.stderr.count("\n") == 1, r.stderr
