"""Vectors and scores of encoders against NumPy (tests/tools/encoder_ref.py), which is itself compared with transformers
where torch is installed: every family from Hugging Face's layout, those that llama.cpp has from GGUF, with
sentence-transformers' files and classifiers. `exact` agrees to 1e-4.

WICK_BIN names the program; WICK_PARITY_BACKEND chooses the backend."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
pytest.importorskip("safetensors")
import encoder_ref as ref  # noqa: E402
from encoder_ref import FAMILIES  # noqa: E402

BACKEND = os.environ.get("WICK_PARITY_BACKEND", "cpu")
CLS, SEP = 4, 5
TOLERANCE = 1e-4


def wick(*args, ok=True):
    path = os.environ.get("WICK_BIN")
    if not path:
        pytest.skip("the wick program is not built (WICK_BIN)")
    r = subprocess.run([path, *map(str, args)], capture_output=True, text=True, timeout=120)
    assert (r.returncode == 0) == ok, f"{args}\n{r.stderr}"
    return r.stdout if ok else r.stderr


def embed(folder, texts, *args, precision="exact"):
    out = json.loads(wick("embed", folder, *texts, "--backend", BACKEND, "--precision", precision, "--json", *args))
    return np.array(out.get("embeddings", out.get("scores")), dtype=np.float64)


def words(ids):
    return " ".join(f"t{i}" for i in ids)


def tokenizer(folder, roberta=False):
    """Word number i is id i; a text stands between CLS and SEP, as do pairs."""
    special = {"[C]": {"id": "[C]", "ids": [CLS], "tokens": [f"t{CLS}"]}, "[S]": {"id": "[S]", "ids": [SEP], "tokens": [f"t{SEP}"]}}
    tok = lambda name, kind=0: {"SpecialToken": {"id": name, "type_id": kind}}
    seq = lambda name, kind=0: {"Sequence": {"id": name, "type_id": kind}}
    between = [tok("[S]"), tok("[S]")] if roberta else [tok("[S]")]
    (Path(folder) / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": None,
        "post_processor": {"type": "TemplateProcessing", "single": [tok("[C]"), seq("A"), tok("[S]")],
                           "pair": [tok("[C]"), seq("A"), *between, seq("B", 1), tok("[S]", 1)], "special_tokens": special},
        "model": {"type": "WordLevel", "vocab": {f"t{i}": i for i in range(ref.VOCAB)}, "unk_token": "t3"}}))


def make(name, folder, **kw):
    w = ref.draw(name)
    ref.save(name, folder, w, **kw)
    tokenizer(folder, roberta="roberta" in name)
    return w


def some_ids(*lengths, seed=3):
    rng = np.random.default_rng(seed)
    return [list(map(int, rng.integers(6, ref.VOCAB, n))) for n in lengths]


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_reference(name, tmp_path):
    """The oracle is right."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    if FAMILIES[name].get("no_reference"):
        pytest.skip("transformers does not have this layout")
    w = make(name, tmp_path)
    ids = [CLS] + some_ids(40)[0] + [SEP]
    assert ref.check_against_transformers(name, tmp_path, w, ids, [0] * 20 + [1] * 22) < 1e-4


@pytest.mark.parametrize("name", FAMILIES)
def test_vectors(name, tmp_path):
    """Texts of different lengths in one call give what each gives alone."""
    w = make(name, tmp_path)
    many = some_ids(40, 1, 17, 100, 8)
    got = embed(tmp_path, [words(i) for i in many], "--no-normalize")
    for row, ids in zip(got, many):
        want = ref.hidden(name, w, [CLS, *ids, SEP]).mean(0)
        assert np.abs(row - want).max() < TOLERANCE * (1 + np.abs(want).max())


@pytest.mark.parametrize("name", ["bert", "nomic", "jina-v2", "modernbert"])
def test_batches_do_not_show(name, tmp_path):
    """Bit for bit on the CPU: alone, together, on one thread or two."""
    make(name, tmp_path)
    texts = [words(i) for i in some_ids(40, 3, 17, 90, 8, 23, 150)]
    together = embed(tmp_path, texts, precision="fast")
    alone = np.array([embed(tmp_path, [t], "--threads", 1, precision="fast")[0] for t in texts[:4]])
    if BACKEND == "cpu":
        assert np.array_equal(together[:4], alone)
    else:
        assert np.abs(together[:4] - alone).max() < 1e-3


def test_long_context(tmp_path):
    """More positions than one softmax runs over at a time (512), in both directions."""
    w = ref.draw("nomic-hf")
    ref.save("nomic-hf", tmp_path, w, config={"max_position_embeddings": 2048})
    tokenizer(tmp_path)
    ids = some_ids(1100)[0]
    want = ref.hidden("nomic-hf", w, [CLS, *ids, SEP]).mean(0)
    assert np.abs(embed(tmp_path, [words(ids)], "--no-normalize")[0] - want).max() < 2e-4


POOLING = {"cls": lambda h: h[0], "mean": lambda h: h.mean(0), "max": lambda h: h.max(0), "lasttoken": lambda h: h[-1],
           "mean_sqrt_len": lambda h: h.sum(0) / np.sqrt(len(h)),
           "weightedmean": lambda h: (h * np.arange(1, len(h) + 1)[:, None]).sum(0) / np.arange(1, len(h) + 1).sum()}


def sentence_transformers(folder, mode, dense=(), **prompts):
    folder = Path(folder)
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")] + [("Dense", f"{i + 2}_Dense") for i in range(len(dense))]
    (folder / "modules.json").write_text(json.dumps([{"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.models.{t}"}
                                                     for i, (t, p) in enumerate(modules)]))
    key = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "mean_sqrt_len": "mean_sqrt_len_tokens", "weightedmean": "weightedmean_tokens"}
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": ref.W, f"pooling_mode_{key.get(mode, mode)}": True}))
    from safetensors.numpy import save_file
    for i, (weight, bias, act) in enumerate(dense):
        sub = folder / f"{i + 2}_Dense"
        sub.mkdir(exist_ok=True)
        save_file({"linear.weight": weight, **({"linear.bias": bias} if bias is not None else {})}, str(sub / "model.safetensors"))
        (sub / "config.json").write_text(json.dumps({"in_features": weight.shape[1], "out_features": weight.shape[0], "bias": bias is not None,
                                                     "activation_function": f"torch.nn.modules.{act}"}))
    if prompts:
        (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))


@pytest.mark.parametrize("mode", POOLING)
def test_pooling(mode, tmp_path):
    w = make("bert", tmp_path)
    sentence_transformers(tmp_path, mode)
    ids = some_ids(30)[0]
    want = POOLING[mode](ref.hidden("bert", w, [CLS, *ids, SEP]))
    assert np.abs(embed(tmp_path, [words(ids)], "--no-normalize")[0] - want).max() < TOLERANCE * (1 + np.abs(want).max())
    first = POOLING["cls"](ref.hidden("bert", w, [CLS, *ids, SEP]))
    assert np.abs(embed(tmp_path, [words(ids)], "--pooling", "cls")[0] - unit(first)).max() < TOLERANCE


def test_dense_prompts_and_dimensions(tmp_path):
    rng = np.random.default_rng(5)
    n = lambda *s: (rng.standard_normal(s) / np.sqrt(s[-1])).astype(np.float32)
    a, b, c = n(200, ref.W), n(64, 200), n(64)
    w = make("bert", tmp_path)
    sentence_transformers(tmp_path, "mean", [(a, None, "linear.Identity"), (b, c, "activation.Tanh")],
                          prompts={"query": "t7 t8 ", "document": ""}, default_prompt_name=None)
    ids = some_ids(20)[0]
    vector = lambda i: np.tanh(b.astype(float) @ (a.astype(float) @ ref.hidden("bert", w, [CLS, *i, SEP]).mean(0)) + c)
    assert np.abs(embed(tmp_path, [words(ids)])[0] - unit(vector(ids))).max() < TOLERANCE
    assert np.abs(embed(tmp_path, [words(ids)], "--prompt-name", "query")[0] - unit(vector([7, 8, *ids]))).max() < TOLERANCE
    assert np.abs(embed(tmp_path, [words(ids)], "--prompt-text", "t9 ")[0] - unit(vector([9, *ids]))).max() < TOLERANCE
    assert np.abs(embed(tmp_path, [words(ids)], "--dimensions", 16)[0] - unit(vector(ids)[:16])).max() < TOLERANCE
    assert "no prompt" in wick("embed", tmp_path, "t7", "--prompt-name", "poem", ok=False)


def test_what_it_refuses(tmp_path):
    make("bert", tmp_path)
    assert "encoder" in wick("generate", tmp_path, "t7", "-n", 2, ok=False)
    assert "encoder" in wick("logits", tmp_path, "--tokens", "7,8", ok=False)
    long = words(some_ids(ref.MAX + 20)[0])
    assert str(ref.MAX) in wick("embed", tmp_path, long, ok=False)
    assert embed(tmp_path, [long], "--truncate").shape == (1, ref.W)
    assert "no reranker" in wick("embed", tmp_path, "t7", "--query", "t8", ok=False)
    sentence_transformers(tmp_path, "mean")
    modules = json.loads((tmp_path / "modules.json").read_text())
    (tmp_path / "modules.json").write_text(json.dumps([*modules, {"idx": 2, "name": "2", "path": "2_Odd", "type": "sentence_transformers.models.Odd"}]))
    assert "Odd" in wick("embed", tmp_path, "t7", ok=False)


HEADS = {"bert": ("bert.pooler.dense", "classifier", np.tanh, "bert."), "roberta": ("classifier.dense", "classifier.out_proj", np.tanh, "roberta."),
         "distilbert": ("pre_classifier", "classifier", lambda x: np.maximum(x, 0), "distilbert."),
         "modernbert": ("head.dense", "classifier", ref.ACTS["gelu"], "")}


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("name", HEADS)
def test_scores(name, labels, tmp_path):
    """A cross-encoder reads the pair: the second text has its own type where there are types."""
    dense, out, act, prefix = HEADS[name]
    rng = np.random.default_rng(9)
    d, o = ((rng.standard_normal((k, ref.W)) / np.sqrt(ref.W)).astype(np.float32) for k in (ref.W, labels))
    o *= 4
    bias = rng.standard_normal(labels).astype(np.float32)
    w = ref.draw(name)
    more = {f"{dense}.weight": d, f"{out}.weight": o, f"{out}.bias": bias}
    if name == "modernbert":
        more["head.norm.weight"] = np.linspace(0.5, 1.5, ref.W).astype(np.float32)
    old, FAMILIES[name]["prefix"] = FAMILIES[name].get("prefix", ""), prefix or FAMILIES[name].get("prefix", "")
    try:
        ref.save(name, tmp_path, w, more=more)
    finally:
        FAMILIES[name]["prefix"] = old
    tokenizer(tmp_path, roberta=name == "roberta")
    query, *documents = some_ids(9, 30, 12, 50)
    got = embed(tmp_path, [words(x) for x in documents], "--query", words(query))
    for score, document in zip(got, documents):
        ids = [CLS, *query, SEP, *([SEP] if name == "roberta" else []), *document, SEP]
        second = len(ids) - len(document) - 1
        h = ref.hidden(name, w, ids, [int(i >= second) for i in range(len(ids))])
        x = act(d @ (h.mean(0) if name == "modernbert" else h[0]))
        if name == "modernbert":
            x = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * more["head.norm.weight"]
        logits = o @ x + bias
        e = np.exp(logits - logits.max())
        assert abs(score - (1 / (1 + np.exp(-logits[0])) if labels == 1 else e[1] / e.sum())) < TOLERANCE


GGUF = {"bert": "bert", "nomic": "nomic-bert", "jina-v2": "jina-bert-v2", "jina-v3": "jina-bert-v3", "modernbert": "modern-bert", "eurobert": "eurobert"}


def write_gguf(name, w, path, pooling=None, tensors=()):
    import gguf
    f, c = FAMILIES[name], ref.config_of(name)
    out = gguf.GGUFWriter(str(path), GGUF[name])
    out.add_block_count(ref.N_LAYERS)
    out.add_context_length(ref.MAX)
    out.add_embedding_length(ref.W)
    out.add_feed_forward_length(ref.FF)
    out.add_head_count(ref.HEADS)
    out.add_head_count_kv(f.get("kv_heads", ref.HEADS))
    if f.get("rms"):
        out.add_layer_norm_rms_eps(1e-5)
    else:
        out.add_layer_norm_eps(c.get("layer_norm_eps", c.get("norm_eps", 1e-12)))
    out.add_causal_attention(False)
    if "theta" in f:
        out.add_rope_freq_base(f["theta"])
    if "window" in f:
        out.add_sliding_window(2 * f["window"])
        out.add_uint32("modern-bert.attention.sliding_window_pattern", f["every"])
        out.add_float32("modern-bert.rope.freq_base_swa", f["local_theta"])
    if pooling is not None:
        out.add_pooling_type(gguf.PoolingType(pooling))
    pieces = ["[PAD]", "[X1]", "[X2]", "[UNK]", "[CLS]", "[SEP]"] + [f"\u2581t{i}" for i in range(6, ref.VOCAB)]
    out.add_tokenizer_model("bert")
    out.add_token_list(pieces)
    out.add_token_types([3] * 6 + [1] * (ref.VOCAB - 6))
    out.add_bos_token_id(CLS)
    out.add_eos_token_id(SEP)
    out.add_unk_token_id(3)
    post = not f.get("prenorm")
    names = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "up": "ffn_up", "gate": "ffn_gate", "down": "ffn_down",
             "n1": "attn_output_norm" if post else "attn_norm", "n2": "layer_output_norm" if post else "ffn_norm"}
    fused = {"nomic": ("q", "k", "v"), "jina-v3": ("q", "k", "v"), "modernbert": ("q", "k", "v")}.get(name, ())
    top = {"emb": "token_embd", "pos": "position_embd", "type": "token_types", "emb_norm": "token_embd_norm", "final": "output_norm"}
    for key, value in w.items():
        head, _, end = key.rpartition(".")
        if head in top:
            out.add_tensor(f"{top[head]}.{end}", value)
            continue
        layer, part = head.split(".")
        if part in fused:
            if part == "q":
                out.add_tensor(f"blk.{layer}.attn_qkv.{end}", np.concatenate([w[f"{layer}.{p}.{end}"] for p in fused]))
        elif name == "modernbert" and part in ("gate", "up"):
            if part == "up":
                out.add_tensor(f"blk.{layer}.ffn_up.{end}", np.concatenate([w[f"{layer}.{p}.{end}"] for p in ("gate", "up")]))
        else:
            out.add_tensor(f"blk.{layer}.{names[part]}.{end}", value)
    for tensor, value in tensors:
        out.add_tensor(tensor, value)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


@pytest.mark.parametrize("name", GGUF)
def test_gguf(name, tmp_path):
    pytest.importorskip("gguf")
    w = ref.draw(name)
    write_gguf(name, w, tmp_path / "m.gguf", pooling=2)
    many = some_ids(30, 5)
    got = embed(tmp_path / "m.gguf", [words(i) for i in many], "--no-normalize")
    for row, ids in zip(got, many):
        want = ref.hidden(name, w, [CLS, *ids, SEP])[0]
        assert np.abs(row - want).max() < TOLERANCE * (1 + np.abs(want).max())


def test_gguf_scores(tmp_path):
    """A reranker as llama.cpp's converter writes it: cls and cls.output."""
    pytest.importorskip("gguf")
    rng = np.random.default_rng(9)
    d, o = ((rng.standard_normal((k, ref.W)) / np.sqrt(ref.W)).astype(np.float32) for k in (ref.W, 1))
    w = ref.draw("bert")
    write_gguf("bert", w, tmp_path / "m.gguf", pooling=4, tensors=[("cls.weight", d), ("cls.output.weight", o), ("cls.output.bias", np.ones(1, np.float32))])
    query, document = some_ids(9, 30)
    ids = [CLS, *query, SEP, *document, SEP]
    h = ref.hidden("bert", w, ids, [int(i >= 11) for i in range(len(ids))])[0]
    want = 1 / (1 + np.exp(-(o @ np.tanh(d @ h) + 1)[0]))
    assert abs(embed(tmp_path / "m.gguf", [words(document)], "--query", words(query))[0] - want) < TOLERANCE


@pytest.fixture(scope="module")
def make_model():
    return pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")


def decoder_tokenizer(folder):
    """yes and no are words 8 and 9; <|im_start|> and <|im_end|> control tokens; lines break at a word of their own."""
    vocab = {"yes": 8, "no": 9, **{f"t{i}": i for i in range(10, 300)}, "unk": 7}
    for i, s in enumerate(sorted({w for w in json.loads(json.dumps(JUDGE)).replace("<|im_start|>", " ").replace("<|im_end|>", " ").split()} - set(vocab))):
        vocab[s] = 310 + i
    special = [("<|im_start|>", 400), ("<|im_end|>", 401), ("<|end|>", 402)]
    (Path(folder) / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": [{"id": i, "content": s, "special": True, "normalized": False, "single_word": False, "lstrip": False, "rstrip": False}
                                           for s, i in special],
        "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": None,
        "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "E", "type_id": 0}}],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {"E": {"id": "E", "ids": [402], "tokens": ["<|end|>"]}}},
        "model": {"type": "WordLevel", "vocab": {**vocab, **dict(special)}, "unk_token": "unk"}}))
    return vocab


# The prompt of Qwen3-Reranker's model card.
JUDGE = ("<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can "
         "only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
         "<Query>: {query}\n<Document>: {document}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_decoder_as_embedder(make_model, tmp_path):
    """Qwen3-Embedding: the last token's state, behind the token that the tokenizer adds, with an instruction for queries."""
    import mlx.core as mx
    r = make_model.make("qwen3", tmp_path)
    decoder_tokenizer(tmp_path)
    sentence_transformers(tmp_path, "lasttoken", prompts={"query": "t20 t21 ", "document": ""}, default_prompt_name=None)
    ids = list(range(30, 60))
    for args, before in (((), []), (("--prompt-name", "query"), [20, 21])):
        h = np.array(r.model.model(mx.array([[*before, *ids, 402]]))[0, -1].astype(mx.float32))
        assert np.abs(embed(tmp_path, [words(ids)], *args)[0] - unit(h)).max() < TOLERANCE


def test_decoder_as_reranker(make_model, tmp_path):
    """Qwen3-Reranker: the probability of yes against no behind the model card's prompt. A document cannot end it."""
    folder = tmp_path / "Qwen3-Reranker-tiny"
    r = make_model.make("qwen3", folder)
    vocab = decoder_tokenizer(folder)
    import re
    for document in ("t40 t41 t42", "t40 <|im_end|> t41"):
        pieces, at = [], 0
        text = JUDGE.replace("{query}", "t30 t31").replace("{document}", "DOC")
        for part in re.split(r"(<\|im_start\|>|<\|im_end\|>)", text):
            special = {"<|im_start|>": 400, "<|im_end|>": 401}.get(part)
            body = part.replace("DOC", document).split() if special is None else []
            pieces += [special] if special is not None else [vocab.get(s, {"<|im_end|>": 401}.get(s, 7)) for s in body]
        row = r.logits(pieces)[-1]
        want = 1 / (1 + np.exp(-(row[8] - row[9])))
        got = embed(folder, [document], "--query", "t30 t31")[0]
        assert abs(got - want) < TOLERANCE


def test_embedding_gemma(make_model, tmp_path):
    """Gemma 3 with attention both ways: mean, two dense layers; windows that count both sides."""
    config = {**make_model.CASES["gemma3_text"], "use_bidirectional_attention": True, "rope_scaling": None, "sliding_window": 512}
    import mlx.core as mx
    r = make_model.make("gemma3_text", tmp_path, config=config)
    (tmp_path / "config.json").write_text(json.dumps({**json.loads((tmp_path / "config.json").read_text()), "use_bidirectional_attention": True}))
    decoder_tokenizer(tmp_path)
    ids = list(range(30, 55))
    model = r.model.model
    x = model.embed_tokens(mx.array([[*ids, 402]]))
    x = x * mx.array(model.args.hidden_size ** 0.5, mx.bfloat16).astype(x.dtype)
    for layer in model.layers:
        x = layer(x, None, None)
    want = np.array(model.norm(x)[0].astype(mx.float32)).mean(0)
    assert np.abs(embed(tmp_path, [words(ids)], "--no-normalize")[0] - want).max() < TOLERANCE * (1 + np.abs(want).max())


@pytest.fixture
def server(tmp_path):
    """A reranker that gives vectors too, served."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
    from server_common import Server
    rng = np.random.default_rng(9)
    d, o = ((rng.standard_normal((k, ref.W)) / np.sqrt(ref.W)).astype(np.float32) for k in (ref.W, 1))
    w = ref.draw("bert")
    ref.save("bert", tmp_path, w, more={"pooler.dense.weight": d, "classifier.weight": 4 * o})
    tokenizer(tmp_path)
    sentence_transformers(tmp_path, "cls", prompts={"query": "t7 ", "document": ""}, default_prompt_name=None)
    with Server(str(tmp_path), "--backend", BACKEND, "--precision", "exact") as s:
        s.w, s.d, s.o = w, d, o
        yield s


def test_served(server):
    """/v1/embeddings with prompts and dimensions; the four shapes of a ranking, which hold one order and one set of scores."""
    w = server.w
    ids = some_ids(12)[0]
    state = lambda i: ref.hidden("bert", w, [CLS, *i, SEP])[0]
    ask = lambda **kw: server.post("/v1/embeddings", {"input": words(ids), **kw})[2]["data"][0]["embedding"]
    assert np.abs(np.array(ask()) - unit(state(ids))).max() < TOLERANCE
    assert np.abs(np.array(ask(prompt_name="query")) - unit(state([7, *ids]))).max() < TOLERANCE
    assert np.abs(np.array(ask(dimensions=8)) - unit(state(ids)[:8])).max() < TOLERANCE
    import base64
    packed = np.frombuffer(base64.b64decode(ask(dimensions=8, encoding_format="base64")), "<f4")
    assert np.abs(packed - unit(state(ids)[:8])).max() < TOLERANCE
    documents = [words(i) for i in some_ids(30, 12, 50, 4)]
    logits = []
    for document in some_ids(30, 12, 50, 4):
        pair = [CLS, *ids, SEP, *document, SEP]
        h = ref.hidden("bert", w, pair, [int(i >= len(ids) + 2) for i in range(len(pair))])[0]
        logits.append(float((4 * server.o @ np.tanh(server.d @ h))[0]))
    scores = 1 / (1 + np.exp(-np.array(logits)))
    order = list(np.argsort(-scores))
    for path in ("/v1/rerank", "/v2/rerank", "/rerank", "/reranking"):
        out = server.post(path, {"query": words(ids), "documents": documents, "top_n": 3})[2]
        assert [r["index"] for r in out["results"]] == order[:3]
        assert all(abs(r["relevance_score"] - scores[r["index"]]) < TOLERANCE for r in out["results"])
        assert out["id"] and out["usage"]["total_tokens"] > 0
    tei = server.post("/rerank", {"query": words(ids), "texts": documents, "raw_scores": True, "return_text": True})[2]
    assert [r["index"] for r in tei] == order and all(abs(r["score"] - logits[r["index"]]) < 1e-3 and r["text"] == documents[r["index"]] for r in tei)
    jina = server.post("/v1/rerank", {"query": words(ids), "documents": [{"text": d} for d in documents], "return_documents": True})[2]
    assert jina["results"][0]["document"]["text"] == documents[order[0]]
    status, _, problem = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "t7"}]})
    assert status == 400, problem
