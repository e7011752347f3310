"""The programs in examples/ are built against libwick as a user would, and run on a random model."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/tools"))
make_model = pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")
tokenizers = pytest.importorskip("tokenizers")


def library_folder():
    wick = os.environ.get("WICK_BIN")
    folders = [Path(wick).parent] if wick else sorted((ROOT / "build").glob("*"))
    for f in folders:
        lib = f / "libwick.so"
        if lib.exists() and b"__asan_init" not in subprocess.run(["nm", "-D", lib], capture_output=True).stdout:
            return f
    return None


LIB = library_folder()
pytestmark = pytest.mark.skipif(LIB is None or not shutil.which("cc"), reason="libwick.so (without sanitizers) is not built")

TEMPLATE = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny"
    ref = make_model.make("llama", path)
    text = ["the cat sat on the mat", "a list of all files, and more: 1 2 3"] * 20
    t = tokenizers.Tokenizer(tokenizers.models.BPE())
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = tokenizers.decoders.ByteLevel()
    vocab = json.loads((path / "config.json").read_text())["vocab_size"]
    t.train_from_iterator(text, tokenizers.trainers.BpeTrainer(
        vocab_size=min(vocab, 300), initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    return path, ref, t


def build(source, out, compiler, *flags):
    cmd = [compiler, "-Wall", "-Wextra", "-Werror", *flags, f"-I{ROOT / 'include'}", str(ROOT / "examples" / source), "-o", str(out),
           f"-L{LIB}", "-lwick", f"-Wl,-rpath,{LIB}"]
    r = subprocess.run(cmd, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return str(out)


def run(*cmd, **kw):
    return subprocess.run([str(c) for c in cmd], capture_output=True, timeout=120, **kw)


def test_simple(model, tmp_path):
    path, ref, t = model
    exe = build("simple.c", tmp_path / "simple", "cc", "-std=c99", "-pedantic")
    r = run(exe, path, "the cat sat")
    assert r.returncode == 0, r.stderr
    assert b"32 tokens, first after" in r.stdout
    missing = run(exe, tmp_path / "nothing", "x")
    assert missing.returncode == 3 and b"model not found" in missing.stderr


def test_chat(model, tmp_path):
    path, _, _ = model
    exe = build("chat.c", tmp_path / "chat", "cc", "-std=c99", "-pedantic")
    r = run(exe, path, input=b"hello\nand again\n")
    assert r.returncode == 0, r.stderr
    assert r.stdout.endswith(b"\n")


@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler")
def test_cpp(model, tmp_path):
    path, _, _ = model
    exe = build("simple.cpp", tmp_path / "simple_cpp", "c++", "-std=c++11", "-pedantic")
    r = run(exe, path, "the cat sat")
    assert r.returncode == 0, r.stderr
    assert b"tiny on cpu" in r.stdout and b"embedding of" in r.stdout


def test_exported_symbols():
    """Only what the public headers declare is exported."""
    names = {line.split()[-1] for line in subprocess.run(["nm", "-D", "--defined-only", LIB / "libwick.so"], capture_output=True,
                                                         text=True).stdout.splitlines() if " T " in line}
    headers = "".join(h.read_text() for h in (ROOT / "include/wick").glob("*.h"))
    assert names, "nothing is exported"
    assert all(n in headers for n in names), sorted(n for n in names if n not in headers)
