"""The MLX backend of a build that has it: a smoke test (NPZ, ten greedy tokens, a speed), the families against mlx-lm through
the cases of test_parity, evaluation op by op, and what is said where MLX or a device is missing.

WICK_PARITY=all runs every case of test_parity on MLX (otherwise: a family of each kind)."""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import test_parity as tp
from test_parity import compare, find_wick, make_model, prompt_of

FAMILIES = [("llama", "mlx", "f32"), ("qwen2", "mlx", "4bit"), ("gemma2", "hf", "f32"), ("mistral-mixed", "mlx", "8bit"),
            ("gpt_oss", "mlx", "4bit"), ("deepseek_v3", "mlx", "4bit"), ("lfm2", "hf", "f32"), ("mamba", "mlx", "f32"),
            ("mamba2", "mlx", "4bit"), ("falcon_h1", "mlx", "f32"), ("qwen3_next", "mlx", "4bit"), ("llama", "mlx", "4:32:mxfp4"),
            ("llama", "mlx", "4:16:nvfp4"), ("llama", "mlx", "8:32:mxfp8"), ("llama", "mlx", "3:64"), ("llama4", "mlx", "4bit"),
            ("phimoe", "mlx", "4bit"), ("apertus", "mlx", "f32"), ("qwen3_5", "hf", "f32"), ("nemotron_h", "mlx", "f32"), ("bailing_moe", "mlx", "4bit")]


def run(*args, **kw):
    return subprocess.run([find_wick(), *map(str, args)], capture_output=True, text=True, timeout=120, **kw)


@pytest.fixture(autouse=True)
def on_mlx(monkeypatch):
    out = run("gpu-info", "--json")
    backends = json.loads(out.stdout)["backends"] if out.returncode == 0 else []
    if not any(b["name"] == "mlx" and b.get("available") for b in backends):
        pytest.skip("this build has no MLX, or MLX is not installed")
    monkeypatch.setattr(tp, "BACKEND", "mlx")


def test_smoke(tmp_path):
    """Ten greedy tokens from an NPZ, well under a minute, and a speed."""
    make_model.make("llama", tmp_path, layout="npz")
    out = tp.wick_logits(tmp_path, [1, 2, 3], greedy=10)
    assert len(out["tokens"]) == 10
    r = run("bench", tmp_path, "--backend", "mlx", "-p", 8, "-n", 10, "-r", 1, "--json")
    assert r.returncode == 0, r.stderr
    rows = json.loads(r.stdout)["results"]
    for row in rows:
        assert row["backend"] == "mlx"
        assert row["tok_s"] > 0
    print(f"backend=mlx, {rows[-1]['tok_s']:.1f} tok/s")


@pytest.mark.parametrize("case,layout,quant", FAMILIES, ids=["-".join(f) for f in FAMILIES])
def test_families(case, layout, quant, tmp_path):
    ref = make_model.make(case, tmp_path, quant=quant, layout=layout)
    compare(tmp_path, ref, prompt_of(case))


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0", "Q5_1"])
def test_gguf(kind, tmp_path):
    ref = make_model.make("llama", tmp_path, layout="gguf", gguf_type=kind)
    compare(tmp_path / "model.gguf", ref, prompt_of("llama"))


@pytest.mark.parametrize("case,layout,quant", tp.selection() if tp.ALL else [])
def test_all(case, layout, quant, tmp_path):
    ref = make_model.make(case, tmp_path, quant=quant, layout=layout)
    compare(tmp_path, ref, prompt_of(case))


# 8 and 4 bits, groups of 64 and of 32, windows, GQA, an odd number of query heads to one KV head
KV_CASES = [("llama", 8), ("llama", 4), ("llama-yarn", 8), ("llama-tied", 4), ("qwen3", 4), ("gemma", 8), ("mistral-mixed", 8), ("gemma3_text", 4)]


@pytest.mark.parametrize("case,bits", KV_CASES, ids=[f"{c}-{b}" for c, b in KV_CASES])
def test_quantized_kv(case, bits, tmp_path):
    """A prompt and 12 greedy tokens beside mlx-lm's own QuantizedKVCache. A value that lies between two codes may go to the
    other one for a float's last bit, so a few positions may be off by what a code is worth; the others agree to 1e-4."""
    import mlx.core as mx
    from mlx_lm.models.cache import QuantizedKVCache, make_prompt_cache
    ref = make_model.make(case, tmp_path)
    tokens = prompt_of(case)
    cmd = ["logits", tmp_path, "--tokens", ",".join(map(str, tokens)), "--greedy", 12, "--backend", "mlx", "--precision", "exact",
           "--kv-type", f"q{bits}_0", "--json"]
    config = tp.CASES[case]
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    for chunk in (2048, 5):  # expanded codes; products with the codes as they are
        r = run(*cmd, "--prefill-chunk", chunk)
        assert r.returncode == 0, r.stderr
        out = json.loads(r.stdout)
        cache = [QuantizedKVCache(32 if head % 64 else 64, bits) for _ in make_prompt_cache(ref.model)]
        step = lambda ids: tp.np.array(ref.model(mx.array([ids]), cache=cache)[0].astype(mx.float32))
        want, got = step(tokens), tp.np.array(out["logits"])
        assert got.shape == want.shape
        off, size = list(abs(got - want).max(axis=1)), 1 + abs(want).max()
        last = want[-1]
        for token, logprob in zip(out["tokens"], out["logprobs"]):
            off.append(abs(last[token] - tp.np.log(tp.np.exp(last).sum()) - logprob))
            last = step([token])[0]
        assert len(off) == len(tokens) + 12
        assert (tp.np.array(off) <= 1e-4 * size).mean() >= 0.6, off
        assert max(off) <= (0.01 if bits == 8 else 0.1) * size, off
    plain = ref.logits(tokens)  # and the codes cost what they have to, not nothing and not more
    cost = tp.np.sqrt(((got[:len(tokens)] - plain) ** 2).mean())
    assert (1e-3 if bits == 8 else 0.02) < cost < (0.05 if bits == 8 else 0.8), cost


@pytest.mark.parametrize("case,bits", [("gpt_oss", 8), ("gemma2", 4), ("deepseek_v3", 8), ("llama-bias-linear", 4), ("phi", 8)])
def test_quantized_kv_beside_the_cpu(case, bits, tmp_path):
    """What mlx-lm has no quantized cache for (sinks, caps, latent attention, heads of 80): it costs no more than on the CPU
    backend, whose codes are others."""
    ref = make_model.make(case, tmp_path)
    tokens = prompt_of(case)
    plain, cost = ref.logits(tokens), {}
    for backend in ("cpu", "mlx"):
        r = run("logits", tmp_path, "--tokens", ",".join(map(str, tokens)), "--backend", backend, "--precision", "exact",
                "--kv-type", f"q{bits}_0", "--json")
        assert r.returncode == 0, r.stderr
        cost[backend] = tp.np.sqrt(((tp.np.array(json.loads(r.stdout)["logits"])[:len(tokens)] - plain) ** 2).mean())
    assert 1e-3 < cost["mlx"] < 1.5 * cost["cpu"] + 0.01, cost


@pytest.mark.parametrize("option", [("--mlx-lazy-eval", "false"), ("--mlx-compile", "off")])
def test_modes_agree(option, tmp_path):
    make_model.make("qwen3", tmp_path)
    base = ["logits", tmp_path, "--tokens", "5,6,7,8", "--greedy", "4", "--backend", "mlx", "--precision", "exact", "--json"]
    a, b = run(*base), run(*base, *option)
    assert a.returncode == 0 and b.returncode == 0, a.stderr + b.stderr
    assert json.loads(a.stdout)["tokens"] == json.loads(b.stdout)["tokens"]


def test_cpu_and_mlx_side_by_side(tmp_path):
    """A prompt longer than every block and chunk, on both backends."""
    make_model.make("qwen3_next", tmp_path)
    tokens = ",".join(map(str, make_model.prompt(150, tp.vocabulary(tp.CASES["qwen3_next"]))))
    got = {}
    for backend in ("cpu", "mlx"):
        r = run("logits", tmp_path, "--tokens", tokens, "--backend", backend, "--precision", "exact", "--json")
        assert r.returncode == 0, r.stderr
        got[backend] = tp.np.array(json.loads(r.stdout)["logits"])
    assert abs(got["cpu"] - got["mlx"]).max() <= 1e-4 * (1 + abs(got["cpu"]).max())


def serve(*args):
    sys.path.insert(0, str(tp.Path(__file__).resolve().parents[1] / "e2e"))
    import server_common
    return server_common.Server(*args, "--backend", "mlx")


def test_out_of_memory_is_the_request_s_error(tmp_path):
    """A prompt that does not fit beside the weights; the server goes on. And what it says of MLX's memory."""
    make_model.make("llama", tmp_path, config=dict(tp.CASES["llama"], max_position_embeddings=8192))
    with serve(tmp_path, "--ctx", 8192, "--memory-limit", "14M") as s:
        def ask(n):
            return s.post("/v1/completions", {"prompt": [(7 * i + n) % 500 for i in range(n)], "max_tokens": 2, "temperature": 0})
        assert ask(20)[0] == 200
        status, _, body = ask(6001)
        assert (status, body["error"]["code"]) == (503, "out_of_memory")
        assert ask(21)[0] == 200
        model = s.get("/status")[2]["models"][0]
        assert model["memory_peak_bytes"] >= model["memory_active_bytes"] >= model["weight_bytes"] > 0
        metrics = s.get("/metrics")[2]
        for what in ("active", "peak", "cache"):
            assert re.search(rf"^wick_device_memory_{what}_bytes{{.*}} [1-9]", metrics, re.M), what


def test_memory_is_said(tmp_path):
    make_model.make("llama", tmp_path)
    r = run("logits", tmp_path, "--tokens", "1,2,3", "--backend", "mlx", "--verbose", "--json")
    assert re.search(r"mlx: memory: [\d.]+ \wi?B active, [\d.]+ \wi?B at most, .* kept for reuse", r.stderr), r.stderr
    device = next(b for b in json.loads(run("gpu-info", "--json").stdout)["backends"] if b["name"] == "mlx")["devices"][0]
    assert {"active_bytes", "peak_bytes", "cache_bytes"} <= set(device)
    assert "active" in run("gpu-info").stdout


@pytest.mark.parametrize("layout", ["mlx", "npz", "gguf"])
def test_the_file_s_pages_are_dropped(layout, tmp_path):
    """MLX holds the weights, once: nothing of the file stays in memory beside them."""
    if not os.path.exists("/proc/self/smaps"):
        pytest.skip("no /proc")
    make_model.make("llama", tmp_path, layout=layout, gguf_type="Q4_0", config=dict(tp.CASES["llama"], vocab_size=40000))
    file = next(p for p in tmp_path.iterdir() if p.suffix in (".safetensors", ".npz", ".gguf"))
    with serve(file if layout == "gguf" else tmp_path, "--ctx", 256) as s:
        assert s.post("/v1/completions", {"prompt": [1, 2, 3], "max_tokens": 1})[0] == 200
        rss, ours = 0, False
        for line in open(f"/proc/{s.process.pid}/smaps"):
            if re.match(r"[0-9a-f]+-", line):
                ours = line.rstrip().endswith(file.name)
            elif ours and line.startswith("Rss:"):
                rss += int(line.split()[1]) * 1024
        assert rss < 0.15 * file.stat().st_size, f"{rss} of {file.stat().st_size} bytes are resident"


def test_no_gpu_is_said(tmp_path):
    info = json.loads(run("gpu-info", "--json").stdout)
    mlx = next(b for b in info["backends"] if b["name"] == "mlx")
    if any(d["kind"] == "gpu" for d in mlx["devices"]):
        pytest.skip("there is a GPU")
    make_model.make("llama", tmp_path)
    r = run("logits", tmp_path, "--tokens", "1", "--backend", "mlx", "--device", "gpu")
    assert r.returncode != 0
    assert re.search(r"CUDA|Metal", r.stderr), r.stderr


def test_without_the_library(tmp_path):
    """The program alone still runs the CPU backend, and says how MLX is installed."""
    if not os.path.exists(os.path.join(os.path.dirname(find_wick()), "libwick_mlx.so")):
        pytest.skip("MLX is not opened from beside the program")
    model = tmp_path / "m"
    make_model.make("llama", model)
    lone = shutil.copy(find_wick(), tmp_path / "wick")
    info = subprocess.run([lone, "gpu-info"], capture_output=True, text=True, timeout=60)
    assert "pip install" in info.stdout, info.stdout
    for backend, ok in (("cpu", True), ("mlx", False)):
        r = subprocess.run([lone, "logits", model, "--tokens", "1", "--backend", backend], capture_output=True, text=True, timeout=60)
        assert (r.returncode == 0) == ok, r.stderr
