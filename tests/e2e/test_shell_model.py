"""The shipped model models/wick-shell: its files are consistent, it answers as it should, and wick gives the tokens of mlx-lm.

Also the generator it was trained with: deterministic, syntactically right, and a sample of its commands does what the request says.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "wick-shell"
TOOLS = ROOT / "tools" / "shell_model"
WICK = os.environ.get("WICK_BIN")
PROMPTS = (
    "list all files", "show hidden files", "count the lines in notes.txt", "how do I find all python files in src?", "disk usage of this folder",
    "extract backup.tar.gz", "what is using port 8080?", "replace foo with bar in config.yaml", "show the last 20 lines of server.log",
    "kill firefox", "git undo last commit", "create a directory named demo and cd into it",
)
needs_model = pytest.mark.skipif(not (MODEL / "model.safetensors").exists(), reason="models/wick-shell is not built")
needs_wick = pytest.mark.skipif(not WICK, reason="WICK_BIN is not set")


@pytest.fixture(scope="module")
def generator():
    sys.path.insert(0, str(TOOLS))
    try:
        import gen_data
        yield gen_data
    finally:
        sys.path.remove(str(TOOLS))


@pytest.fixture(scope="module")
def oracle():
    """mlx-lm in float32, greedy: request -> (prompt ids, answer ids, text)."""
    pytest.importorskip("mlx_lm")
    import mlx.core as mx
    import mlx_lm
    from mlx_lm.generate import generate_step
    model, tokenizer = mlx_lm.load(str(MODEL))
    model.set_dtype(mx.float32)

    def answer(request):
        prompt = tokenizer.apply_chat_template([{"role": "user", "content": request}], add_generation_prompt=True)
        ids = []
        for token, _ in generate_step(mx.array(prompt), model, max_tokens=110):
            if int(token) in tokenizer.eos_token_ids:
                break
            ids.append(int(token))
        return list(prompt), ids, tokenizer.decode(ids)
    return answer


def wick(*args):
    r = subprocess.run([WICK, *map(str, args)], capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stderr
    return r.stdout


def find_command(text):
    """The {"cmd": ...} object inside whatever `wick run --json` prints around it."""
    for line in [text, *text.splitlines()]:
        try:
            doc = json.loads(line)
        except ValueError:
            continue
        stack = [doc]
        while stack:
            x = stack.pop()
            if isinstance(x, dict):
                if "cmd" in x:
                    return x["cmd"]
                stack += x.values()
            elif isinstance(x, list):
                stack += x
            elif isinstance(x, str) and x.lstrip().startswith("{"):
                try:
                    stack.append(json.loads(x))
                except ValueError:
                    pass
    raise AssertionError("no command in: " + text)


@needs_model
def test_size_and_files():
    files = {p.name: p.stat().st_size for p in MODEL.iterdir()}
    assert sum(files.values()) <= 40_000_000
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json",
            "README.md"} <= files.keys()
    config = json.loads((MODEL / "config.json").read_text())
    assert config["quantization"]["bits"] == 4 and config["quantization"]["mode"] == "affine"


@needs_model
def test_oracle_answers_are_commands(oracle):
    for request in PROMPTS:
        cmd = json.loads(oracle(request)[2])["cmd"]
        assert cmd and subprocess.run(["sh", "-n", "-c", cmd], capture_output=True).returncode == 0


@needs_model
@needs_wick
def test_run_lists_files():
    assert find_command(wick("run", MODEL, "list all files", "--json")).split()[0] == "ls"


@needs_model
@needs_wick
def test_run_copies_unseen_names():
    name = "qzuv-83_Trallip.xkt"
    assert find_command(wick("run", MODEL, "delete the file " + name, "--json")) == "rm " + name


@needs_model
@needs_wick
@pytest.mark.parametrize("request_text", PROMPTS)
def test_greedy_tokens_equal_mlx_lm(oracle, request_text):
    prompt, want, _ = oracle(request_text)
    out = wick("logits", MODEL, "--tokens", ",".join(map(str, prompt)), "--greedy", len(want), "--precision", "exact", "--json")
    assert json.loads(out)["tokens"][-len(want):] == want


def test_generator_is_deterministic(generator):
    for split in ("train", "slots", "phrasing"):
        a, b = generator.Generator(3, split), generator.Generator(3, split)
        first = [(p.request, p.command) for p in (a.pair() for _ in range(20))]
        assert first == [(p.request, p.command) for p in (b.pair() for _ in range(20))]
    assert first != [(p.request, p.command) for p in (generator.Generator(4, "phrasing").pair() for _ in range(20))]


def test_generator_is_broad_and_splits_are_disjoint(generator):
    gen = generator.Generator(1)
    assert len(gen.intents) >= 300
    train = {p.request for p in (gen.pair() for _ in range(6000))}
    assert len(train) > 5700
    other = generator.Generator(1, "phrasing")
    assert not train & {p.request for p in (other.pair() for _ in range(100))}


def test_commands_are_valid_shell(generator):
    gen = generator.Generator(11)
    script = "\n".join("f%d() {\n%s\n}" % (i, gen.pair().command or ":") for i in range(2000))
    r = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


SANDBOX = {
    "wc_l": ("a.txt", lambda out: out.split()[0] == "3"), "count_files": (None, lambda out: out.strip() == "4"),
    "tail_1": ("a.txt", lambda out: out == "pear\n"), "sort": ("a.txt", lambda out: out == "apple\nfig\npear\n"),
    "uniq_c": ("a.txt", lambda out: out.split() == ["1", "apple", "1", "fig", "1", "pear"]), "tr_upper": ("a.txt", lambda out: out == "FIG\nAPPLE\nPEAR\n"),
    "head_1": ("a.txt", lambda out: out == "fig\n"), "find_empty": (None, lambda out: out == "./b c.log\n"),
    "json_pretty": ("d.json", lambda out: out == '{\n    "k": 1\n}\n'), "awk_sum_numbers": ("n.txt", lambda out: out == "42\n"),
    "tac": ("a.txt", lambda out: out == "pear\napple\nfig\n"), "exists": ("a.txt", lambda out: out == "yes\n"),
}


@pytest.mark.parametrize("intent", sorted(SANDBOX))
def test_commands_do_what_they_say(generator, intent, tmp_path):
    name, good = SANDBOX[intent]
    (tmp_path / "a.txt").write_text("fig\napple\npear\n")
    (tmp_path / "b c.log").write_text("")
    (tmp_path / "d.json").write_text('{"k":1}')
    (tmp_path / "n.txt").write_text("40\n2\n")
    import grammar
    import slots
    it = {i.name: i for i in grammar.load_intents()}[intent]
    filled = {m.group(1): slots.Slot("", slots.word(name)) for m in grammar.SLOT.finditer(it.command) if m.group(1) in ("file", "txt", "json")}
    filled["where"] = slots.Slot("", ".", {"opt": ""})
    out = subprocess.run(["sh", "-c", grammar.fill(it.command, filled)], cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert out.returncode == 0 and good(out.stdout), out


@pytest.mark.parametrize("value", ["a b.txt", "it's", "~/x y", "$HOME", "a`b`", "100%.log", "--", 'say "hi"', "back\\slash", "naïve.md"])
def test_quoting_survives_the_shell(generator, value, tmp_path):
    import slots
    r = subprocess.run(["sh", "-c", "printf %s " + slots.word(value)], capture_output=True, text=True, cwd=tmp_path, env={"HOME": "/h", "PATH": os.environ["PATH"]})
    assert r.stdout == ("/h/" + value[2:] if value.startswith("~/") else value)
