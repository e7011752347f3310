"""Random models of real shapes for bench/mlx_h200.sh, and mlx-lm's speed on them.

  mlx_models.py make DIR {1b,8b} {4bit,bf16}     writes DIR/config.json and DIR/model*.safetensors (no tokenizer)
  mlx_models.py speed DIR [-p 512,2048] [-n 128] [-b 1,8,32] [-r 3] [--float32] [--json]
                                                 mlx-lm on that model, the same rows as `wick bench`: a prompt row reads
                                                 N tokens per sequence, a decode row makes N tokens after a prompt of one

Weights are noise of a sane size (one block of numbers, rotated for each tensor), so nothing overflows and no time goes into
drawing billions of numbers. Needs numpy; `speed` needs mlx and mlx-lm."""
import argparse
import json
import time
from pathlib import Path

import numpy as np

SHAPES = {"1b": dict(hidden_size=2048, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8, intermediate_size=8192),
          "8b": dict(hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, intermediate_size=14336)}
VOCAB, GROUP, BITS = 128256, 64, 4


def config_of(size, quant):
    c = dict(model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=VOCAB, rms_norm_eps=1e-5, rope_theta=500000.0,
             max_position_embeddings=131072, head_dim=SHAPES[size]["hidden_size"] // 32, tie_word_embeddings=False,
             attention_bias=False, mlp_bias=False, torch_dtype="bfloat16", **SHAPES[size])
    if quant == "4bit":
        c["quantization"] = c["quantization_config"] = dict(group_size=GROUP, bits=BITS, mode="affine")
    return c


def matrices(c):
    d, ff, hd = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    q, kv = c["num_attention_heads"] * hd, c["num_key_value_heads"] * hd
    yield "model.embed_tokens", VOCAB, d
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        yield p + "self_attn.q_proj", q, d
        yield p + "self_attn.k_proj", kv, d
        yield p + "self_attn.v_proj", kv, d
        yield p + "self_attn.o_proj", d, q
        yield p + "mlp.gate_proj", ff, d
        yield p + "mlp.up_proj", ff, d
        yield p + "mlp.down_proj", d, ff
    yield "lm_head", VOCAB, d


def norms(c):
    for i in range(c["num_hidden_layers"]):
        yield f"model.layers.{i}.input_layernorm"
        yield f"model.layers.{i}.post_attention_layernorm"
    yield "model.norm"


def to_bf16(x):
    return (np.ascontiguousarray(x, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)


class Writer:
    """One safetensors file after the other, each below 4 GiB, tensors written as they come."""

    def __init__(self, folder):
        self.folder, self.index, self.part, self.total = folder, {}, [], 0
        self.n_files = 0

    def add(self, name, dtype, shape, blob):
        if sum(len(b) for *_, b in self.part) + len(blob) > 4 << 30:
            self.flush()
        self.part.append((name, dtype, shape, blob))

    def flush(self):
        if not self.part:
            return
        self.n_files += 1
        file, header, at = f"model-{self.n_files:05}.safetensors", {"__metadata__": {"format": "mlx"}}, 0
        for name, dtype, shape, blob in self.part:
            header[name] = dict(dtype=dtype, shape=list(shape), data_offsets=[at, at + len(blob)])
            at += len(blob)
            self.index[name] = file
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 64)
        with open(self.folder / file, "wb") as f:
            f.write(len(text).to_bytes(8, "little") + text)
            for *_, blob in self.part:
                f.write(blob)
        self.total += at
        self.part = []

    def close(self):
        self.flush()
        (self.folder / "model.safetensors.index.json").write_text(
            json.dumps(dict(metadata=dict(total_size=self.total), weight_map=self.index)))


def make(folder, size, quant):
    c = config_of(size, quant)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(c, indent=1))
    rng = np.random.default_rng(1)
    noise = to_bf16(rng.standard_normal(1 << 23, dtype=np.float32)).tobytes()
    codes = rng.integers(0, 256, 1 << 24, dtype=np.uint8).tobytes()

    def fill(block, n):
        at = int(rng.integers(0, len(block) // 64)) * 64
        turned = block[at:] + block[:at]
        return (turned * (n // len(turned) + 1))[:n]

    w = Writer(folder)
    for name, n_out, n_in in matrices(c):
        sd = 1.0 if name == "model.embed_tokens" else n_in ** -0.5
        if quant == "bf16":
            # noise times a power of two: only the exponent bits change
            step = round(float(np.log2(sd)))
            x = np.frombuffer(fill(noise, 2 * n_out * n_in), dtype=np.uint16)
            w.add(name + ".weight", "BF16", (n_out, n_in), (x + np.uint16((step * 128) & 0xFFFF)).tobytes())
            continue
        scale = sd / 4.61  # the deviation of 0..15
        groups = n_in // GROUP
        w.add(name + ".weight", "U32", (n_out, n_in * BITS // 32), fill(codes, n_out * n_in * BITS // 8))
        for part, v in (("scales", scale), ("biases", -7.5 * scale)):
            w.add(f"{name}.{part}", "BF16", (n_out, groups), to_bf16([v]).tobytes() * (n_out * groups))
    for name in norms(c):
        w.add(name + ".weight", "BF16", (c["hidden_size"],), to_bf16([1.0]).tobytes() * c["hidden_size"])
    w.close()
    print(f"{folder}: {w.total / 2**30:.2f} GiB")


def speed(folder, prompts, gens, batches, reps, float32=False, as_json=False):
    import mlx.core as mx
    from mlx_lm.models.cache import make_prompt_cache
    from mlx_lm.utils import load_model
    model = load_model(folder)[0]
    if float32:
        model.set_dtype(mx.float32)
    vocab = json.loads((folder / "config.json").read_text())["vocab_size"]
    mx.eval(model.parameters())
    rng = np.random.default_rng(2)

    def ids(b, n):
        return mx.array(rng.integers(0, vocab, (b, n)))

    def prompt_row(b, n):
        x, cache = ids(b, n), make_prompt_cache(model)
        mx.eval(x)
        t = time.perf_counter()
        for i in range(0, n, 2048):
            y = model(x[:, i:i + 2048], cache=cache)
        mx.eval(y[:, -1, :].argmax(-1), [c.state for c in cache])
        return b * n / (time.perf_counter() - t)

    def decode_row(b, n):
        cache = make_prompt_cache(model)
        y = model(ids(b, 1), cache=cache)[:, -1].argmax(-1)
        mx.eval(y)
        t = time.perf_counter()
        nxt = model(y[:, None], cache=cache)[:, -1].argmax(-1)
        mx.async_eval(nxt)
        for i in range(n):  # as mlx-lm's generator: the next step is built while this one runs
            y = nxt
            if i + 1 < n:
                nxt = model(y[:, None], cache=cache)[:, -1].argmax(-1)
                mx.async_eval(nxt)
            y.tolist()
        return b * n / (time.perf_counter() - t)

    for b in batches:
        for kind, row, sizes in (("prompt", prompt_row, prompts), ("decode", decode_row, gens)):
            for n in sizes:
                if not n:
                    continue
                warm = n if kind == "prompt" else 8
                row(b, warm)
                t = time.perf_counter()
                while time.perf_counter() - t < 0.3:  # as `wick bench` comes to speed
                    row(b, warm)
                s = [row(b, n) for _ in range(reps)]
                if as_json:
                    print(json.dumps(dict(n_prompt=n if kind == "prompt" else 0, n_gen=n if kind == "decode" else 0, batch=b, samples=s)), flush=True)
                    continue
                print(f"{folder.name:<28} mlx-lm {kind + ' ' + str(n):<13} {b:5} {np.mean(s):10.2f} +- {np.std(s):.2f}", flush=True)


def numbers(text):
    return [int(v) for v in text.split(",")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="verb", required=True)
    m = sub.add_parser("make")
    m.add_argument("folder", type=Path)
    m.add_argument("size", choices=SHAPES)
    m.add_argument("quant", choices=("4bit", "bf16"))
    s = sub.add_parser("speed")
    s.add_argument("folder", type=Path)
    s.add_argument("-p", type=numbers, default=[512, 2048])
    s.add_argument("-n", type=numbers, default=[128])
    s.add_argument("-b", type=numbers, default=[1, 8, 32])
    s.add_argument("-r", type=int, default=3)
    s.add_argument("--float32", action="store_true", help="activations and scales in float32 (on a CPU faster than bfloat16)")
    s.add_argument("--json", action="store_true", help="one object a row")
    a = p.parse_args()
    if a.verb == "make":
        make(a.folder, a.size, a.quant)
    else:
        speed(a.folder, a.p, a.n, a.b, a.r, a.float32, a.json)


if __name__ == "__main__":
    main()
