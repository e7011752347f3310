"""Random models of real shapes, the same weights in the formats that Wick and its peers read.

  models.py DIR NAME...       NAME: 1b, qwen2-1.5b, gemma3-1b, tiny

DIR/NAME-mlx4/         MLX safetensors, affine 4 bits, groups of 64 (Wick, mlx-lm)
DIR/NAME-q4_0.gguf     all matrices Q4_0 (Wick, llama.cpp): the same bits a weight as above
DIR/NAME-q4_k_m.gguf   llama-quantize's usual mix of Q4_K and Q6_K

The weights are noise of a sane size: one block of normal numbers, turned for each tensor. A byte-level BPE vocabulary of
plain letters goes with them, so that servers have text to read and write. What exists is kept."""
import argparse
import json
import subprocess
import sys
from pathlib import Path

import gguf
import mlx.core as mx
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/tools"))
from gguf_write import gguf_name, permute, write_keys  # noqa: E402
from model_cases import GGUF_ARCH  # noqa: E402

SHAPES = {
    "1b": dict(model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=32000, hidden_size=2048, num_hidden_layers=16,
               num_attention_heads=32, num_key_value_heads=8, head_dim=64, intermediate_size=8192, rms_norm_eps=1e-5,
               rope_theta=500000.0, tie_word_embeddings=False),
    "qwen2-1.5b": dict(model_type="qwen2", architectures=["Qwen2ForCausalLM"], vocab_size=151936, hidden_size=1536, num_hidden_layers=28,
                       num_attention_heads=12, num_key_value_heads=2, intermediate_size=8960, rms_norm_eps=1e-6,
                       rope_theta=1000000.0, tie_word_embeddings=True),
    "gemma3-1b": dict(model_type="gemma3_text", architectures=["Gemma3ForCausalLM"], vocab_size=262144, hidden_size=1152,
                      num_hidden_layers=26, num_attention_heads=4, num_key_value_heads=1, head_dim=256, intermediate_size=6912,
                      rms_norm_eps=1e-6, rope_theta=1000000.0, rope_local_base_freq=10000.0, sliding_window=512,
                      sliding_window_pattern=6, query_pre_attn_scalar=256, hidden_activation="gelu_pytorch_tanh"),
    "tiny": dict(model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=2048, hidden_size=256, num_hidden_layers=2,
                 num_attention_heads=4, num_key_value_heads=2, head_dim=64, intermediate_size=512, rms_norm_eps=1e-5,
                 rope_theta=10000.0, tie_word_embeddings=False),
}
CONTEXT, GROUP = 32768, 64
TEMPLATE = "{% for m in messages %}{{ m.content }}\n{% endfor %}"


def config_of(name):
    return dict(SHAPES[name], max_position_embeddings=CONTEXT, attention_bias=False, torch_dtype="bfloat16",
                eos_token_id=SHAPES[name]["vocab_size"] - 1)


def tensors(c):
    """(name, shape, standard deviation); a vector has deviation 0 where the model wants it plain."""
    d, ff = c["hidden_size"], c["intermediate_size"]
    hd = c.get("head_dim") or d // c["num_attention_heads"]
    q, kv = c["num_attention_heads"] * hd, c["num_key_value_heads"] * hd
    gemma = c["model_type"].startswith("gemma3")
    yield "model.embed_tokens.weight", (c["vocab_size"], d), d ** -0.5 if gemma else 1.0
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        for part, n in (("q", q), ("k", kv), ("v", kv)):
            yield f"{p}self_attn.{part}_proj.weight", (n, d), d ** -0.5
            if c["model_type"] == "qwen2":
                yield f"{p}self_attn.{part}_proj.bias", (n,), 0.1
        yield p + "self_attn.o_proj.weight", (d, q), q ** -0.5
        yield p + "mlp.gate_proj.weight", (ff, d), d ** -0.5
        yield p + "mlp.up_proj.weight", (ff, d), d ** -0.5
        yield p + "mlp.down_proj.weight", (d, ff), ff ** -0.5
        norms = ["input_layernorm", "post_attention_layernorm"]
        if gemma:
            norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
            yield p + "self_attn.q_norm.weight", (hd,), 0
            yield p + "self_attn.k_norm.weight", (hd,), 0
        for n in norms:
            yield f"{p}{n}.weight", (d,), 0
    yield "model.norm.weight", (d,), 0
    if not c.get("tie_word_embeddings", gemma):
        yield "lm_head.weight", (c["vocab_size"], d), d ** -0.5


def values(c):
    """(name, float32 array) of each tensor, one at a time."""
    rng = np.random.default_rng(1)
    noise = np.tile(rng.standard_normal(1 << 22, dtype=np.float32), 2)
    for name, shape, sd in tensors(c):
        if sd == 0:
            yield name, np.full(shape, 0.0 if c["model_type"].startswith("gemma3") else 1.0, np.float32)
            continue
        n, at = int(np.prod(shape)), int(rng.integers(0, 1 << 22))
        out = np.empty(n, np.float32)
        for i in range(0, n, 1 << 22):
            part = out[i:i + (1 << 22)]
            np.multiply(noise[at:at + len(part)], np.float32(sd), out=part)
        yield name, out.reshape(shape)


def vocabulary(n):
    """n tokens of a byte-level BPE and the merges that make them; the last token ends a text."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))  # bytes that stand for themselves
    tokens = [chr(b) for b in plain] + [chr(256 + i) for i in range(256 - len(plain))]
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pairs = [(a, b) for a in letters for b in letters]
    starts = [("Ġ", a) for a in letters]
    longer = [("Ġ" + a, p + q) for a in letters for p, q in pairs]
    fours = ((a + b, p + q) for a, b in pairs for p, q in pairs)
    merges = pairs + starts + longer
    merges = merges[:n - 1 - len(tokens)]
    while len(tokens) + len(merges) < n - 1:
        merges.append(next(fours))
    return tokens + [a + b for a, b in merges] + ["<|end|>"], merges


def write_tokenizer(folder, tokens, merges):
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    end = {"id": len(tokens) - 1, "content": tokens[-1], "single_word": False, "lstrip": False, "rstrip": False,
           "normalized": False, "special": True}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": [end], "pre_tokenizer": level, "decoder": level,
        "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(tokens)}, "merges": [f"{a} {b}" for a, b in merges]}}))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": tokens[-1], "chat_template": TEMPLATE}))


def write_mlx(folder, c, vocab):
    folder.mkdir(parents=True)
    quantization = dict(group_size=GROUP, bits=4, mode="affine")
    out = {}
    for name, v in values(c):
        w = mx.array(v).astype(mx.bfloat16)
        if v.ndim == 1:
            out[name] = w
            continue
        stem = name.removesuffix(".weight")
        out[name], out[stem + ".scales"], out[stem + ".biases"] = mx.quantize(w, group_size=GROUP, bits=4)
        mx.eval(out[name], out[stem + ".scales"], out[stem + ".biases"])
    mx.save_safetensors(str(folder / "model.safetensors"), out, metadata={"format": "mlx"})
    write_tokenizer(folder, *vocab)
    (folder / "config.json").write_text(json.dumps(dict(c, quantization=quantization, quantization_config=quantization), indent=1))


def write_f16(path, c, vocab):
    """The weights in half precision, from which llama-quantize makes the others."""
    tokens, merges = vocab
    arch = GGUF_ARCH[c["model_type"]]
    w = gguf.GGUFWriter(str(path), arch)
    write_keys(w, c)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.NORMAL] * (len(tokens) - 1) + [gguf.TokenType.CONTROL])
    w.add_token_merges([f"{a} {b}" for a, b in merges])
    w.add_eos_token_id(len(tokens) - 1)
    w.add_add_bos_token(False)
    w.add_chat_template(TEMPLATE)
    number = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == arch)
    names = gguf.get_tensor_name_map(number, c["num_hidden_layers"])
    for name, shape, _ in tensors(c):
        kind = np.dtype(np.float32 if len(shape) == 1 else np.float16)
        w.add_tensor_info(gguf_name(names, name, c["model_type"]), shape, kind, int(np.prod(shape)) * kind.itemsize)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_ti_data_to_file()
    for name, v in values(c):
        if c["model_type"] == "llama" and (".q_proj" in name or ".k_proj" in name):
            v = permute(v, c["num_attention_heads" if ".q_proj" in name else "num_key_value_heads"])
        if c["model_type"].startswith("gemma3") and "norm" in name:
            v = v + 1
        w.write_tensor_data(v if v.ndim == 1 else v.astype(np.float16))
    w.close()


def quantize(source, target, kind, threads, pure):
    done = target.with_suffix(".part")
    subprocess.run([ROOT / "build/peers/bin/llama-quantize", *(["--pure"] if pure else []), source, done, kind, str(threads)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    done.rename(target)


def bytes_per_token(folder, name):
    """Bytes of weights that decoding one token reads, for each format: all but an embedding that is not the head too."""
    cache = folder / f"{name}-bytes.json"
    if not cache.exists():
        out = {}
        with open(folder / f"{name}-mlx4/model.safetensors", "rb") as f:
            header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        tied = "lm_head.weight" not in header
        out["mlx4"] = sum(t["data_offsets"][1] - t["data_offsets"][0] for k, t in header.items()
                          if k != "__metadata__" and (tied or "embed_tokens" not in k))
        for kind in ("q4_0", "q4_k_m"):
            out[kind] = sum(int(t.n_bytes) for t in gguf.GGUFReader(folder / f"{name}-{kind}.gguf").tensors
                            if tied or t.name != "token_embd.weight")
        cache.write_text(json.dumps(out))
    return json.loads(cache.read_text())


def make(folder, name, threads):
    folder.mkdir(parents=True, exist_ok=True)
    c = config_of(name)
    mlx, q4_0, q4_k_m = folder / f"{name}-mlx4", folder / f"{name}-q4_0.gguf", folder / f"{name}-q4_k_m.gguf"
    vocab = None if mlx.exists() and q4_0.exists() and q4_k_m.exists() else vocabulary(c["vocab_size"])
    if not mlx.exists():
        part = folder / f"{name}-mlx4.part"
        subprocess.run(["rm", "-rf", part], check=True)
        write_mlx(part, c, vocab)
        part.rename(mlx)
    if not (q4_0.exists() and q4_k_m.exists()):
        f16 = folder / f"{name}-f16.gguf"
        write_f16(f16, c, vocab)
        quantize(f16, q4_0, "Q4_0", threads, pure=True)
        quantize(f16, q4_k_m, "Q4_K_M", threads, pure=False)
        f16.unlink()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("name", nargs="+", choices=SHAPES)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    for name in a.name:
        make(a.folder, name, a.threads)


if __name__ == "__main__":
    main()
