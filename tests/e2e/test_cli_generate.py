"""run, generate and logits: what comes out, how it stops, that it repeats, and that options which must not change the numbers do not.

The cycle models (conftest.py) say one text for ever, so each answer is known."""
import json
import math
import os
import re
import select
import subprocess
import sys
import time

import pytest
from conftest import clean_env, find_wick, write_byte_tokenizer

TEXT = "abcdefghij\n"
FIGURES = re.compile(r"backend=cpu model=\S+ prompt \d+ tok \d+(\.\d+)? tok/s, decode \d+ tok \d+(\.\d+)? tok/s, first token \d+(\.\d+)? ms")


def test_run_answers(wick, shell_model):
    out = wick.ok("run", shell_model, "list all files").stdout
    assert json.loads(out)["cmd"].split()[0] == "ls" and out.endswith("}\n")


@pytest.mark.parametrize("how", ["operand", "dash", "file", "file-dash"])
def test_prompts_from_everywhere(wick, shell_model, tmp_path, how):
    (tmp_path / "p.txt").write_text("count the lines in notes.txt")
    args = {"operand": ["count the lines in notes.txt"], "dash": ["-"], "file": ["-f", tmp_path / "p.txt"], "file-dash": ["--file", "-"]}[how]
    out = wick.ok("run", shell_model, *args, stdin="count the lines in notes.txt").stdout
    assert json.loads(out)["cmd"] == "wc -l notes.txt"


def test_run_json(wick, shell_model):
    out = wick.json("run", shell_model, "list all files", "--temp", "0")
    assert out["model"] == "wick-shell" and out["backend"] == "cpu" and out["finish_reason"] == "stop"
    assert json.loads(out["text"])["cmd"].split()[0] == "ls"
    assert all(type(t) is int for t in out["tokens"]) and out["usage"]["prompt_tokens"] > 3
    assert len(out["tokens"]) <= out["usage"]["completion_tokens"] <= len(out["tokens"]) + 1
    assert all(out["timings"][k] > 0 for k in ("prompt_tok_s", "decode_tok_s", "first_token_ms"))
    assert wick.ok("detokenize", shell_model, ",".join(map(str, out["tokens"]))).stdout == out["text"] + "\n"
    assert wick.json("run", shell_model, "-", "--temp", "0", stdin="list all files")["text"] == out["text"]


@pytest.mark.parametrize("command", ["run", "generate"])
def test_verbose_figures(wick, shell_model, command):
    r = wick.ok(command, shell_model, "list all files", "--verbose", "-n", "8")
    assert FIGURES.fullmatch(r.stderr.splitlines()[-1])
    assert wick.ok(command, shell_model, "list all files", "--quiet", "-n", "8").stderr == ""


def test_system_prompt_and_template(wick, cycle):
    m = cycle(TEXT)
    tokens = lambda *a: wick.json("run", m, "hi", "-n", "1", *a)["usage"]["prompt_tokens"]
    assert tokens() == len("u:hi\n") and tokens("--system", "be kind") == len("s:be kind\nu:hi\n")
    assert tokens("--chat-template", "{{ messages[0].content }}{{ x }}", "--chat-template-kwargs", '{"x": "four"}') == len("hifour")


def test_broken_template_is_typed(wick, cycle):
    assert "template" in wick.fails(12, "run", cycle(TEXT), "hi", "--chat-template", "{% for x in %}")
    assert "no roles" in wick.fails(12, "run", cycle(TEXT), "hi", "--chat-template", "{{ raise_exception('no roles') }}")


def generate(wick, model, *args, **kw):
    return wick.json("generate", model, *args, **kw)


def test_stop_by_length_eos_and_context(wick, cycle):
    out = generate(wick, cycle(TEXT), "a", "-n", "7", "--temp", "0")
    assert out["text"] == "bcdefgh" and out["finish_reason"] == "length" and out["usage"]["completion_tokens"] == 7
    out = generate(wick, cycle("abcd", ends=True), "a", "--temp", "0")
    assert out["text"] == "bcd" and out["finish_reason"] == "stop"
    assert generate(wick, cycle("abcd", ends=True), "a", "--temp", "0", "--ignore-eos", "-n", "9")["text"] == "bcdabcd"
    out = generate(wick, cycle(TEXT, context=40), "a", "--temp", "0")
    assert out["finish_reason"] == "length" and 30 <= out["usage"]["completion_tokens"] <= 40


def test_context_overflow_is_a_limit(wick, cycle):
    line = wick.fails(11, "generate", cycle(TEXT, context=40), "a" * 200)
    assert "200" in line and "40" in line


@pytest.mark.parametrize("stops,text", [
    (["e"], "bcd"), (["ef"], "bcd"), (["zz", "efgh"], "bcd"), (["fg", "cde"], "b"), (["b"], ""), (["j\na"], "bcdefghi"), (["xyz"], "bcdefghij\nabc"),
    (["cx", "cdx", "cdefgx"], "bcdefghij\nabc")])
def test_stop_strings(wick, cycle, stops, text):
    args = [x for s in stops for x in ("--stop", s)]
    out = generate(wick, cycle(TEXT), "a", "-n", "13", "--temp", "0", *args)
    assert out["text"] == text
    hit = next((s for s in stops if (TEXT * 3).find(text + s) == 1), None)
    assert out["finish_reason"] == ("stop" if hit else "length") and out.get("stop") == hit
    plain = wick.ok("generate", cycle(TEXT), "a", "-n", "13", "--temp", "0", *args)
    assert plain.stdout == text + "\n" == wick.ok("generate", cycle(TEXT), "a", "-n", "13", "--temp", "0", "--no-stream", *args).stdout


def test_stop_inside_a_character(wick, cycle):
    out = generate(wick, cycle("x😀é."), "x", "--temp", "0", "--stop", "é", "-n", "20")
    assert out["text"] == "😀" and out["stop"] == "é"


def test_seed_repeats(wick, cycle, shell_model):
    flat = cycle(TEXT, sharpness=0.1)
    say = lambda *a: generate(wick, flat, "a", "-n", "40", "--temp", "1", "--top-k", "0", "--top-p", "1", "--min-p", "0", *a)["tokens"]
    first = say("--seed", "7")
    assert say("--seed", "7") == first == say("-s7", "--threads", "1") != say("--seed", "8")
    assert say() != say(), "without a seed it is a new one each time"


@pytest.mark.parametrize("case", ["qwen3", "llama"])
def test_greedy_equals_logits(wick, random_model, case):
    m = random_model(case)
    (m / "tokenizer.json").unlink(missing_ok=True)
    numbers = wick.json("logits", m, "--tokens", "5,17,203,44", "--greedy", "24", "--precision", "exact")
    write_byte_tokenizer(m)
    out = generate(wick, m, "--tokens", "5,17,203,44", "--temp", "0", "-n", "24", "--ignore-eos", "--logprobs", "2", "--precision", "exact")
    assert out["tokens"] == numbers["tokens"]
    assert [x["logprob"] for x in out["logprobs"]] == pytest.approx(numbers["logprobs"], abs=1e-5)


def test_logits_shape(wick, cycle):
    out = wick.json("logits", cycle(TEXT), "--tokens", "97,98,99", "--greedy", "3", "--precision", "exact")
    assert set(out) >= {"logits", "tokens", "logprobs"} and len(out["logits"]) == 3 and {len(r) for r in out["logits"]} == {260}
    assert out["tokens"] == [100, 101, 102] and len(out["logprobs"]) == 3
    row = out["logits"][2]
    assert max(range(260), key=row.__getitem__) == 100
    want = row[100] - math.log(sum(math.exp(x) for x in row))
    assert out["logprobs"][0] == pytest.approx(want, abs=1e-4)
    assert wick.json("logits", cycle(TEXT), "--tokens", "[97, 98]")["tokens"] == []
    text = wick.ok("logits", cycle(TEXT), "--tokens", "97", "--greedy", "1").stdout
    assert text.startswith("position 0: best token 98") and "greedy 0: token 98" in text


def test_logprobs_sum(wick, cycle):
    out = generate(wick, cycle("ab", sharpness=0.05), "a", "-n", "3", "--temp", "0", "--logprobs", "20")
    assert len(out["logprobs"]) == 3
    for x in out["logprobs"]:
        top = [t["logprob"] for t in x["top"]]
        assert top == sorted(top, reverse=True) and len(top) == 20 and x["logprob"] == top[0] and x["id"] == x["top"][0]["id"]
        assert len({t["id"] for t in x["top"]}) == 20
        assert sum(map(math.exp, top)) < 1 + 1e-5
        p = math.exp(top[0])  # all others are alike
        assert p + 259 * math.exp(top[1]) == pytest.approx(1, abs=1e-3)
    none = generate(wick, cycle("ab"), "a", "-n", "2", "--logprobs", "0")
    assert [x["top"] for x in none["logprobs"]] == [[], []]
    assert "logprobs" not in generate(wick, cycle("ab"), "a", "-n", "2")


def test_logit_bias(wick, cycle):
    m = cycle(TEXT)
    assert 101 not in generate(wick, m, "a", "-n", "30", "--temp", "0", "--logit-bias", "101=-100")["tokens"]
    assert generate(wick, m, "a", "-n", "4", "--temp", "0", "--logit-bias", "90=100", "--logit-bias", "101=-100")["text"] == "ZZZZ"
    assert "999" in wick.fails(2, "generate", m, "a", "--logit-bias", "999=1")


@pytest.mark.parametrize("args", [
    ["--sampler-order", "mlx"], ["--sampler-order", "llama"], ["--sampler-order", "default"], ["--top-k", "1"], ["--top-p", "0.01"],
    ["--min-p", "1"], ["--typical-p", "0.2"], ["--mirostat-tau", "0.01"], ["--temp", "0.01"],
    ["--xtc-probability", "1", "--xtc-threshold", "0.6"], ["--dry-multiplier", "0"], ["--min-keep", "1"]])
def test_sampling_options_keep_the_likeliest(wick, cycle, args):
    """On a model that is 99.9 % sure, each filter leaves the likeliest token."""
    out = generate(wick, cycle(TEXT, sharpness=1.0), "a", "-n", "20", "--seed", "3", *args)
    assert out["text"] == (TEXT * 3)[1:21]


@pytest.mark.parametrize("args", [["--repetition-penalty", "100", "--temp", "1", "--seed", "1"], ["--presence-penalty", "100"], ["--frequency-penalty", "50"],
                                  ["--dry-multiplier", "100"]])
def test_penalties_break_the_cycle(wick, cycle, args):
    out = generate(wick, cycle(TEXT), "a", "-n", "33", "--temp", "0", "--penalty-range", "100", *args)
    assert out["text"] != (TEXT * 4)[1:34]


def test_show_special(wick, cycle):
    m = cycle("abcd", ends=True)
    assert generate(wick, m, "a", "--temp", "0", "--ignore-eos", "--special", "-n", "6")["text"] == "bcd<|end|>ab"


def pieces(argv, env):
    """What arrives at a pipe, read as soon as it is there."""
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=env)
    out = []
    while chunk := os.read(p.stdout.fileno(), 65536):
        out.append(chunk)
    assert p.wait() == 0
    return out


def test_streaming_never_splits_a_character(wick, cycle):
    m = cycle("a😀é")
    got = pieces([wick.path, "generate", m, "a", "-n", "399", "--temp", "0"], clean_env(wick.home))
    assert len(got) > 1, "it streams"  # how many pieces a reader sees depends on when it runs
    for piece in got:
        piece.decode("utf-8")
    assert b"".join(got).decode() == "😀éa" * 57 + "\n"


def test_random_bytes_stream_as_valid_text(wick, random_model):
    """A random model over bytes says mostly what is no UTF-8: it arrives with replacement characters, and like --json's text."""
    m = random_model("llama-tied")
    write_byte_tokenizer(m)
    args = ["generate", m, "abc", "-n", "200", "--seed", "5", "--temp", "2", "--top-k", "0", "--ignore-eos"]
    got = pieces([wick.path, *args], clean_env(wick.home))
    for piece in got:
        piece.decode("utf-8")
    assert b"".join(got).decode() == wick.json(*args)["text"] + "\n"


def test_generate_reads_files_and_pipes(wick, cycle, tmp_path):
    (tmp_path / "p").write_bytes(b"xyz a")
    want = wick.ok("generate", cycle(TEXT), "xyz a", "-n", "3", "--temp", "0").stdout
    assert want == "bcd\n"
    for args in (["-f", tmp_path / "p"], ["--file", "-"], ["-"], [], ["--tokens", "120,97"]):
        assert wick.ok("generate", cycle(TEXT), *args, "-n", "3", "--temp", "0", stdin="xyz a").stdout == want
    r = wick("generate", cycle(TEXT), "-f", tmp_path / "none")
    assert r.returncode in (3, 9) and "none" in r.stderr


PROMPTS = ["list all files", "find files larger than 10 megabytes in src", "replace foo with bar in config.yaml"]


def greedy_text(wick, model, prompt, *args):
    return wick.json("run", model, prompt, "--temp", "0", *args)["tokens"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_same_text_on_every_isa(wick, shell_model, prompt):
    want = greedy_text(wick, shell_model, prompt, "--precision", "exact")
    for isa in ("portable", "avx2", "avx512"):
        args = ["run", shell_model, prompt, "--temp", "0", "--precision", "exact", "--cpu-isa", isa, "--json"]
        r = wick(*args)
        if r.returncode == 2 and "not available" in r.stderr:
            continue
        assert r.returncode == 0, r.stderr
        assert json.loads(r.stdout)["tokens"] == want, isa
    assert greedy_text(wick, shell_model, prompt, "--precision", "fast") == want


def logits(wick, model, tokens, *args):
    return wick.json("logits", model, "--tokens", ",".join(map(str, tokens)), *args)["logits"]


@pytest.mark.parametrize("precision", ["exact", "fast"])
@pytest.mark.parametrize("case,kw", [("llama", {"quant": "4bit"}), ("qwen3", {}), ("qwen2", {"quant": "8bit"})], ids=lambda x: str(x))
def test_numbers_do_not_depend_on_threads(wick, random_model, case, kw, precision):
    m, tokens = random_model(case, **kw), [(i * 37 + 5) % 500 for i in range(70)]
    one = logits(wick, m, tokens, "--precision", precision, "--threads", "1")
    assert logits(wick, m, tokens, "--precision", precision, "--threads", "2") == one
    assert logits(wick, m, tokens, "--precision", precision, "--threads", "3") == one


@pytest.mark.parametrize("case,kw", [("llama", {"quant": "4bit"}), ("mistral-mixed", {}), ("qwen2", {"quant": "8bit"})], ids=lambda x: str(x))
def test_numbers_do_not_depend_on_chunks(wick, random_model, case, kw):
    m, tokens = random_model(case, **kw), [(i * 37 + 5) % 500 for i in range(70)]
    whole = logits(wick, m, tokens, "--precision", "exact", "--prefill-chunk", "512")
    for chunk in (1, 7, 16, 33):
        assert logits(wick, m, tokens, "--precision", "exact", "--prefill-chunk", chunk) == whole, chunk


@pytest.mark.parametrize("kv", ["f32", "f16", "bf16", "q8_0", "q4_0"])
def test_kv_types(wick, cycle, kv):
    assert generate(wick, cycle(TEXT), "a", "-n", "20", "--temp", "0", "--kv-type", kv)["text"] == (TEXT * 2)[1:21]


def test_interrupt_ends_one_answer_with_its_code(wick, cycle):
    """Ctrl-C on `wick run MODEL PROMPT`: what was said stays, and the exit code says cancelled."""
    p = subprocess.Popen([wick.path, "run", cycle(TEXT, context=65536), "hi", "-n", "60000", "-c", "65536", "--temp", "0"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=clean_env(wick.home), text=True)
    assert select.select([p.stdout], [], [], 60)[0]
    time.sleep(0.05)
    p.send_signal(2)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 10 and err == "wick: interrupted\n" and (TEXT * 3)[:20] in "\n" + out + TEXT * 3


PEAK = "import resource, subprocess, sys; r = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); " \
       "print(r.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit")
@pytest.mark.parametrize("kw", [{"dtype": "float16"}, {"quant": "4bit"}], ids=lambda k: str(k))
def test_peak_memory(wick, tmp_path_factory, kw):
    """At most weights + KV + 200 MB, on some 100 MB of weights."""
    if b"__asan_init" in subprocess.run(["nm", "-D", find_wick()], capture_output=True).stdout:
        pytest.skip("a sanitizer's shadow is not ours")
    make_model = pytest.importorskip("make_model", reason="the oracle is not installed")
    import mlx.core as mx
    wide = 2048 if "quant" in kw else 1024
    config = {"model_type": "llama", "hidden_size": wide, "num_hidden_layers": 4, "intermediate_size": 2 * wide, "num_attention_heads": 16,
              "num_key_value_heads": 4, "rms_norm_eps": 1e-5, "vocab_size": 32000 if wide == 1024 else 16000, "max_position_embeddings": 4096, "rope_theta": 10000.0,
              "tie_word_embeddings": True}
    m = tmp_path_factory.mktemp("big") / "big"
    if "dtype" in kw:
        kw = {"dtype": getattr(mx, kw["dtype"])}
    make_model.make("llama", m, config=config, **kw)
    write_byte_tokenizer(m)
    weights = (m / "model.safetensors").stat().st_size
    assert 80e6 < weights < 200e6
    ctx = 1024
    kv = 4 * 2 * 4 * (wide // 16) * 2 * ctx
    r = subprocess.run([sys.executable, "-S", "-c", PEAK, wick.path, "run", str(m), "hello " * 50, "-n", "16", "-c", str(ctx)], capture_output=True,
                       text=True, env=clean_env(wick.home), check=True)
    code, kib = map(int, r.stdout.split())
    assert code == 0, r.stderr
    print(f"peak {kib / 1024:.0f} MiB, weights {weights / 2**20:.0f} MiB, KV {kv / 2**20:.1f} MiB")
    assert kib * 1024 <= weights + kv + 200e6
