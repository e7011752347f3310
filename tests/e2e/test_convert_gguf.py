"""`wick convert --to gguf` from models under Hugging Face's names: the same logits, the same ids, and the gguf package reads it."""
import json
import random

import numpy as np
import pytest

pytest.importorskip("mlx_lm")
tokenizers = pytest.importorskip("tokenizers")
from gguf import GGUFReader  # noqa: E402
from gguf.quants import dequantize  # noqa: E402
from make_model import CASES, make, prompt  # noqa: E402
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers  # noqa: E402

from conftest import ROOT  # noqa: E402


def logits(wick, path, tokens, *args):
    r = wick.json("logits", path, "--tokens", ",".join(map(str, tokens)), "--precision", "exact", "--backend", "cpu", *args)
    return np.array(r["logits"], dtype=np.float32)


FAMILIES = ["llama", "llama-tied", "llama-yarn", "llama-bias-linear", "llama-traditional", "mistral", "qwen2", "qwen3", "gemma"]


@pytest.mark.parametrize("case,quant", [(f, None) for f in FAMILIES] + [("llama", "4bit"), ("qwen3", "4bit")])
def test_same_logits(wick, tmp_path, case, quant):
    make(case, tmp_path / "in", quant=quant)
    wick.ok("convert", tmp_path / "in", tmp_path / "out.gguf", "--dtype", "f32")
    tokens = prompt(40, CASES[case]["vocab_size"])
    a, b = logits(wick, tmp_path / "in", tokens), logits(wick, tmp_path / "out.gguf", tokens)
    assert np.abs(a - b).max() < 2e-3 * a.std()
    assert GGUFReader(tmp_path / "out.gguf").fields["general.architecture"]


@pytest.mark.parametrize("case,what", [("gemma3_text", "the scale of its attention"), ("qwen3_moe", "not converted")])
def test_what_gguf_cannot_say(wick, tmp_path, case, what):
    if case not in CASES:
        pytest.skip("no such case")
    make(case, tmp_path / "in")
    assert what in wick.fails(4, "convert", tmp_path / "in", tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists() and not list(tmp_path.glob("*.part-*"))


def test_gemma3_with_its_own_scale(wick, tmp_path):
    config = dict(CASES["gemma3_text"], query_pre_attn_scalar=64)
    make("gemma3_text", tmp_path / "in", config=config)
    r = wick("convert", tmp_path / "in", tmp_path / "out.gguf", "--dtype", "f32")
    if r.returncode:  # windows that repeat otherwise than GGUF's readers know
        assert "its windows" in r.stderr
        return
    tokens = prompt(40, config["vocab_size"])
    a, b = logits(wick, tmp_path / "in", tokens), logits(wick, tmp_path / "out.gguf", tokens)
    assert np.abs(a - b).max() < 2e-3 * a.std()


LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def bpe(pre, norm=None, spm=False):
    t = Tokenizer(models.BPE(byte_fallback=spm, unk_token="<unk>" if spm else None, fuse_unk=spm or False))
    if norm:
        t.normalizer = norm
    if pre:
        t.pre_tokenizer = pre
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]) if spm else decoders.ByteLevel()
    special = ["<unk>", "<s>", "</s>"] if spm else ["<|begin|>", "<|end|>"]
    extra = [f"<0x{b:02X}>" for b in range(256)] if spm else []
    alphabet = [] if spm else pre_tokenizers.ByteLevel.alphabet()
    text = [(ROOT / "README.md").read_text(), (ROOT / "docs/ARCHITECTURE.md").read_text(), "don't we'll they're it's 1234 56 7 你好世界 Привет café"] * 2
    t.train_from_iterator(text, trainers.BpeTrainer(vocab_size=900, special_tokens=special + extra, initial_alphabet=alphabet, show_progress=False))
    return t


def split(regex):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def with_digits():
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])


KINDS = {"llama-bpe": lambda: bpe(split(LLAMA3)), "qwen2": lambda: bpe(split(QWEN2), normalizers.NFC()), "gpt-2": lambda: bpe(pre_tokenizers.ByteLevel(add_prefix_space=False)),
         "smollm": lambda: bpe(with_digits()),
         "default": lambda: bpe(None, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), spm=True)}


@pytest.mark.parametrize("pre", KINDS)
def test_tokenizers(wick, tmp_path, pre):
    t = KINDS[pre]()
    source = tmp_path / "in"
    make("llama", source, config=dict(CASES["llama"], vocab_size=t.get_vocab_size() + 3))
    t.save(str(source / "tokenizer.json"))
    if pre == "default":  # what a byte is, only the type in GGUF says
        spec = json.loads((source / "tokenizer.json").read_text())
        spec["added_tokens"] = [a for a in spec["added_tokens"] if not a["content"].startswith("<0x")]
        (source / "tokenizer.json").write_text(json.dumps(spec))
    (source / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>" if pre == "default" else "<|end|>", "chat_template": "{{ messages[0].content }}"}))
    r = wick("convert", source, tmp_path / "out.gguf")
    assert r.returncode == 0, r.stderr
    fields = GGUFReader(tmp_path / "out.gguf").fields
    found = bytes(fields["tokenizer.ggml.pre"].parts[-1]).decode()
    assert found == pre or pre in ("gpt-2", "smollm")  # a vocabulary without runs of digits is cut alike by several rules
    assert bytes(fields["tokenizer.chat_template"].parts[-1]).decode() == "{{ messages[0].content }}"
    rng = random.Random(3)
    alphabet = "abcXYZ 0123456789  \n\t.,;:'\"!?()[]{}-_+=*/\\éñü你好мир😀"
    texts = ["".join(rng.choice(alphabet) for _ in range(60)) for _ in range(25)] + ["<|begin|>hi<|end|>", "we'll see 12345"]
    for text in texts:
        ids = [wick.json("tokenize", path, text)["ids"] for path in (source, tmp_path / "out.gguf")]
        assert ids[0] == ids[1], text


def test_quantized_from_bf16(wick, tmp_path):
    import mlx.core as mx
    config = dict(CASES["qwen3"], hidden_size=256, intermediate_size=512)
    make("qwen3", tmp_path / "in", config=config, dtype=mx.bfloat16)
    wick.ok("quantize", tmp_path / "in", tmp_path / "out.gguf", "--type", "Q4_K_M")
    kinds = {t.name: t.tensor_type.name for t in GGUFReader(tmp_path / "out.gguf").tensors}
    assert kinds["token_embd.weight"] == "Q6_K" and kinds["blk.0.attn_q.weight"] == "Q4_K" and kinds["blk.0.attn_norm.weight"] == "F32"
    source = mx.load(str(tmp_path / "in/model.safetensors"))
    for t in GGUFReader(tmp_path / "out.gguf").tensors:
        if t.name == "blk.0.ffn_up.weight":
            want = np.array(source["model.layers.0.mlp.up_proj.weight"].astype(mx.float32))
            assert np.sqrt(((dequantize(t.data, t.tensor_type) - want) ** 2).mean() / (want ** 2).mean()) < 0.08


@pytest.mark.parametrize("case", ["llama-tied", "llama-bias-linear", "mistral", "qwen2", "qwen3", "gemma"])
def test_and_back(wick, tmp_path, case):
    """A GGUF file of the gguf package as a folder for mlx-lm: the same logits in both programs."""
    from mlx_lm import utils as mlx_utils
    import mlx.core as mx
    make(case, tmp_path / "in", layout="gguf")
    wick.ok("convert", tmp_path / "in/model.gguf", tmp_path / "out", "--to", "mlx", "--dtype", "f32")
    tokens = prompt(20, CASES[case]["vocab_size"])
    a, b = logits(wick, tmp_path / "in/model.gguf", tokens), logits(wick, tmp_path / "out", tokens)
    assert np.abs(a - b).max() < 2e-3 * a.std()
    model, _ = mlx_utils.load_model(tmp_path / "out")
    theirs = np.array(model(mx.array([tokens]))[0].astype(mx.float32))
    assert np.abs(theirs[-len(a):] - a).max() < 0.01 * a.std()


@pytest.mark.parametrize("pre", ["llama-bpe", "qwen2", "smollm", "default"])
def test_tokenizers_and_back(wick, tmp_path, pre):
    """tokenizer.json -> GGUF -> tokenizer.json: the `tokenizers` package reads the last as the first."""
    t, source = KINDS[pre](), tmp_path / "in"
    make("llama-tied", source, config=dict(CASES["llama-tied"], vocab_size=t.get_vocab_size()))
    t.save(str(source / "tokenizer.json"))
    if pre == "default":
        spec = json.loads((source / "tokenizer.json").read_text())
        spec["added_tokens"] = [a for a in spec["added_tokens"] if not a["content"].startswith("<0x")]
        (source / "tokenizer.json").write_text(json.dumps(spec))
    (source / "chat_template.jinja").write_text("{{ messages[0].content }}")
    wick.ok("convert", source, tmp_path / "out.gguf")
    wick.ok("convert", tmp_path / "out.gguf", tmp_path / "again", "--to", "hf")
    first, last = Tokenizer.from_file(str(source / "tokenizer.json")), Tokenizer.from_file(str(tmp_path / "again/tokenizer.json"))
    assert json.loads((tmp_path / "again/tokenizer_config.json").read_text())["chat_template"] == "{{ messages[0].content }}"
    rng = random.Random(5)
    alphabet = "abcXYZ 0123456789  \n\t.,;:'\"!?()[]{}-_+=*/\\éñü你好мир😀"
    for text in ["".join(rng.choice(alphabet) for _ in range(80)) for _ in range(100)]:
        assert first.encode(text).ids == last.encode(text).ids, text
        assert first.decode(first.encode(text).ids).lstrip(" ") == last.decode(last.encode(text).ids).lstrip(" ")
