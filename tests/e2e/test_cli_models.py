"""tokenize, detokenize, template, inspect, gpu-info and bench: what they print, on every container."""
import csv
import io
import json
import struct

import pytest
from conftest import byte_alphabet

TEXTS = ["list all files", "", " leading", "a\nb\t c\n\n", "naïve 漢字 😀👍🏽 ünï", "x" * 3000, "if (a < b) { return \"c\"; }\n", "\u0000\u0001 end", "  \n  "]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_tokenize_round_trip(wick, shell_model, tmp_path, text):
    (tmp_path / "t").write_text(text)
    out = wick.json("tokenize", shell_model, "--file", tmp_path / "t")
    assert set(out) == {"ids"} and all(type(i) is int for i in out["ids"])
    assert wick.json("tokenize", shell_model, "-", stdin=text) == out == wick.json("tokenize", shell_model, stdin=text)
    if text and "\0" not in text:
        assert wick.json("tokenize", shell_model, text) == out
    ids = ",".join(map(str, out["ids"]))
    assert wick.json("detokenize", shell_model, stdin=ids, )["text"] == text
    if ids:
        assert wick.json("detokenize", shell_model, ids)["text"] == text == wick.json("detokenize", shell_model, "--tokens", ids)["text"]


def test_tokenize_equals_the_tokenizers_package(wick, shell_model):
    tokenizers = pytest.importorskip("tokenizers")
    ref = tokenizers.Tokenizer.from_file(str(shell_model / "tokenizer.json"))
    for text in TEXTS:
        assert wick.json("tokenize", shell_model, "-", stdin=text)["ids"] == ref.encode(text).ids
        assert wick.json("tokenize", shell_model, "-", "--no-special", stdin=text)["ids"] == ref.encode(text, add_special_tokens=False).ids


def test_tokenizer_file_itself(wick, shell_model):
    assert wick.json("tokenize", shell_model / "tokenizer.json", "list all") == wick.json("tokenize", shell_model, "list all")


def test_special_tokens(wick, cycle):
    m = cycle("ab")
    assert wick.json("tokenize", m, "a<|end|>b")["ids"] == [97, 256, 98]
    assert wick.json("tokenize", m, "a<|end|>b", "--plain")["ids"] == [*b"a<|end|>b"]
    assert wick.json("detokenize", m, "97,256,98")["text"] == "a<|end|>b"
    assert wick.json("detokenize", m, "97,256,98", "--no-special")["text"] == "ab"
    assert wick.json("detokenize", m, "240,159,152,128,255")["text"] == "😀\ufffd"


def test_tokenize_text_output(wick, cycle):
    assert wick.ok("tokenize", cycle("ab"), "a\x1b").stdout == "     97  a\n     27  \\x1b\n"


def gguf_vocabulary(path, bos):
    gguf = pytest.importorskip("gguf")
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    alphabet = byte_alphabet()
    w.add_token_list([alphabet[b] for b in range(256)] + ["<|end|>", "th", "the"])
    w.add_token_types([1] * 256 + [3, 1, 1])
    w.add_token_merges(["t h", "th e"])
    w.add_bos_token_id(256)
    w.add_eos_token_id(256)
    w.add_add_bos_token(bos)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()
    return path


@pytest.mark.parametrize("bos", [False, True])
def test_vocabulary_only_gguf(wick, tmp_path, bos):
    v = gguf_vocabulary(tmp_path / "vocab.gguf", bos)
    body = [258, 32, 258, 109, 240, 159, 152, 128]
    assert wick.json("tokenize", v, "the them😀")["ids"] == [256] * bos + body
    assert wick.json("tokenize", v, "the them😀", "--no-special")["ids"] == body
    assert wick.json("detokenize", v, ",".join(map(str, body)))["text"] == "the them😀"
    r = wick("run", v, "hi")
    assert r.returncode in (4, 5) and r.stderr.count("\n") == 1 and "vocab.gguf" in r.stderr


MESSAGES = [{"role": "system", "content": "S"}, {"role": "user", "content": "hé"}]
TEMPLATE = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m['content'] }}{% endfor %}{% if tools %}{{ tools | length }}{{ tools[0].function.name }}" \
           "{% endif %}{% if add_generation_prompt %}>{% endif %}{{ extra }}"


def test_template(wick, tmp_path):
    (tmp_path / "t.jinja").write_text(TEMPLATE)
    (tmp_path / "m.json").write_text(json.dumps(MESSAGES))
    (tmp_path / "tools.json").write_text(json.dumps([{"type": "function", "function": {"name": "f", "parameters": {}}}]))
    (tmp_path / "v.json").write_text(json.dumps({"extra": 5, "bos_token": "<s>", "add_generation_prompt": False}))
    args = ["template", "--chat-template", tmp_path / "t.jinja", "--messages", tmp_path / "m.json"]
    assert wick.ok(*args).stdout == "[system]S[user]hé>"
    assert wick.json(*args) == {"prompt": "[system]S[user]hé>"}
    assert wick.ok(*args, "--tools", tmp_path / "tools.json").stdout == "[system]S[user]hé1f>"
    assert wick.ok(*args, "--vars", tmp_path / "v.json").stdout == "<s>[system]S[user]hé5"
    assert wick.ok("template", "--chat-template", TEMPLATE, "--messages", "-", stdin=json.dumps(MESSAGES)).stdout == "[system]S[user]hé>"
    assert wick.ok("template", "--chat-template", TEMPLATE, "--messages", json.dumps({"messages": MESSAGES})).stdout == "[system]S[user]hé>"


def test_template_time(wick):
    out = wick.ok("template", "--chat-template", "{{ strftime_now('%Y-%m-%d') }}", "--messages", "[]", "--vars", '{"now": 86400}').stdout
    assert out.startswith("1970-01-0")
    assert wick.ok("template", "--chat-template", "{{ strftime_now('%Y') }}", "--messages", "[]").stdout >= "2024"


def test_template_of_models(wick, shell_model, cycle):
    want = wick.ok("template", shell_model, "--messages", '[{"role": "user", "content": "list all files"}]').stdout
    assert "list all files" in want
    ids = wick.json("tokenize", shell_model, "-", "--no-special", stdin=want)["ids"]
    assert wick.json("run", shell_model, "list all files", "-n", "1")["usage"]["prompt_tokens"] == len(ids)
    assert wick.ok("template", cycle("ab"), "--messages", '[{"role": "user", "content": "x"}]').stdout == "u:x\n"


def test_template_errors(wick, cycle, tmp_path):
    assert "boom" in wick.fails(12, "template", "--chat-template", "{{ raise_exception('boom') }}", "--messages", "[]")
    assert wick.fails(12, "template", "--chat-template", "{% if %}", "--messages", "[]")
    assert "--messages" in wick("template", "--chat-template", "x", "--messages", "[").stderr
    assert "none.json" in wick("template", "--chat-template", "x", "--messages", "none.json").stderr
    assert wick.fails(2, "template", "--messages", "[]")


# ---- inspect

def safetensors_header(path):
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    return {k: v for k, v in json.loads(data[8:8 + n]).items() if k != "__metadata__"}, 8 + n


def test_inspect_safetensors(wick, random_model):
    m = random_model("qwen3", quant="4bit")
    out = wick.json("inspect", m)
    header, start = safetensors_header(m / "model.safetensors")
    assert out["n_tensors"] == len(header) == len(out["tensors"]) and out["format"] == "safetensors" and out["runs"] is True
    for t in out["tensors"]:
        want = header[t["name"]]
        assert (t["dtype"].upper(), t["shape"], t["offset"]) == (want["dtype"], want["shape"], start + want["data_offsets"][0]), t
        assert t["bytes"] == want["data_offsets"][1] - want["data_offsets"][0] and t["file"].endswith("model.safetensors")
    assert out["bytes"] == sum(t["bytes"] for t in out["tensors"])
    assert (out["model_type"], out["vocab_size"], out["hidden_size"], out["layers"], out["heads"], out["kv_heads"]) == ("qwen3", 517, 128, 2, 4, 2)
    assert "4-bit" in out["quantization"] and "64" in out["quantization"]
    fit = out["fit"]
    assert fit["fits"] is True and out["bytes"] < fit["need_bytes"] < fit["have_bytes"] and fit["max_context"] > 0
    text = wick.ok("inspect", m, "--tensors").stdout
    assert all(t["name"] in text for t in out["tensors"]) and "fits" in text and "qwen3" in text


def test_inspect_sharded(wick, random_model):
    whole, parts = wick.json("inspect", random_model("llama")), wick.json("inspect", random_model("llama", shards=3))
    key = lambda o: sorted((t["name"], t["dtype"], t["shape"], t["bytes"]) for t in o["tensors"])
    assert key(whole) == key(parts) and len({t["file"] for t in parts["tensors"]}) == 3


def test_inspect_npz(wick, random_model):
    whole, npz = wick.json("inspect", random_model("llama")), wick.json("inspect", random_model("llama", layout="npz"))
    assert npz["format"] == "npz" and npz["runs"] is True
    assert sorted((t["name"], t["shape"]) for t in npz["tensors"]) == sorted((t["name"], t["shape"]) for t in whole["tensors"])
    assert npz["parameters"] == whole["parameters"] > 100_000


def test_inspect_gguf(wick, random_model):
    gguf = pytest.importorskip("gguf")
    path = random_model("llama", layout="gguf", gguf_type="Q8_0") / "model.gguf"
    out = wick.json("inspect", path)
    want = {t.name: t for t in gguf.GGUFReader(str(path)).tensors}
    assert out["format"] == "gguf" and {t["name"] for t in out["tensors"]} == set(want)
    for t in out["tensors"]:
        w = want[t["name"]]
        assert t["offset"] == w.data_offset and t["bytes"] == w.n_bytes and t["dtype"].upper() == w.tensor_type.name
        assert sorted(t["shape"]) == sorted(int(x) for x in w.shape)
    assert sum(x["tensors"] for x in out["types"].values()) == len(want) and sum(x["bytes"] for x in out["types"].values()) == out["bytes"]


def test_inspect_context_needs_memory(wick, shell_model):
    need = lambda c: wick.json("inspect", shell_model, "--ctx", c)["fit"]["need_bytes"]
    assert need(64) < need(512) < need(1024)


# ---- gpu-info, bench

def test_gpu_info(wick):
    out = {b["name"]: b for b in wick.json("gpu-info")["backends"]}
    assert set(out) >= {"cpu", "mlx"}
    cpu = out["cpu"]
    assert cpu["available"] is True and cpu["reason"] is None
    assert cpu["devices"][0]["kind"] == "cpu" and 0 < cpu["devices"][0]["memory_free_bytes"] <= cpu["devices"][0]["memory_bytes"]
    for b in out.values():
        assert set(b) >= {"name", "available", "reason", "version", "devices"}
        assert b["available"] or b["reason"]
    text = wick.ok("gpu-info").stdout
    assert "cpu    available\n" in text and "mlx" in text


def test_bench_json(wick, shell_model):
    out = wick.json("bench", shell_model, "-p", "16", "-n", "4", "-b", "1", "-r", "2", "--threads", "2")
    assert set(out) == {"machine", "results"} and out["machine"]["cores"] >= 1 and out["machine"]["cpu"] and out["machine"]["memory_bytes"] > 0
    assert [(r["n_prompt"], r["n_gen"], r["batch"]) for r in out["results"]] == [(16, 0, 1), (0, 4, 1)]
    for r in out["results"]:
        assert len(r["samples"]) == 2 and 0 < r["min"] <= r["tok_s"] <= r["max"] and r["stddev"] >= 0
        assert r["tok_s"] == pytest.approx(sum(r["samples"]) / 2, rel=1e-6)


def test_bench_rows(wick, cycle):
    out = wick.json("bench", cycle("ab"), "-p", "8,16", "-p", "4", "-n", "2,3", "-b", "1,2", "-r", "1")
    assert [(r["n_prompt"], r["n_gen"], r["batch"]) for r in out["results"]] == [
        (p, n, b) for b in (1, 2) for p, n in ((8, 0), (16, 0), (4, 0), (0, 2), (0, 3))]
    assert all(r["tok_s"] > 0 for r in out["results"])
    assert [r["n_gen"] for r in wick.json("bench", cycle("ab"), "-p", "0", "-n", "2", "-r", "1", "--no-warmup")["results"]] == [2]


def test_bench_depth(wick, cycle):
    out = wick.json("bench", cycle("ab"), "-p", "8", "-n", "2", "--depth", "24", "-b", "1,2", "-r", "2", "--no-warmup")
    assert [(r["n_prompt"], r["n_gen"], r["batch"], r["depth"]) for r in out["results"]] == [(8, 0, 1, 24), (0, 2, 1, 24), (8, 0, 2, 24), (0, 2, 2, 24)]
    assert all(r["tok_s"] > 0 for r in out["results"])


def test_bench_csv_and_text(wick, cycle):
    rows = list(csv.DictReader(io.StringIO(wick.ok("bench", cycle("ab"), "-p", "8", "-n", "2", "-b", "2", "-r", "2", "--csv").stdout)))
    assert [(r["n_prompt"], r["n_gen"], r["batch"]) for r in rows] == [("8", "0", "2"), ("0", "2", "2")]
    assert all(float(r["tok_s"]) > 0 and r["backend"] == "cpu" for r in rows)
    text = wick.ok("bench", cycle("ab"), "-p", "8", "-n", "2", "-r", "1").stdout
    assert "prompt 8" in text and "decode 2" in text
