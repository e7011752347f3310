"""Files and folders that are something else say what they are, and `inspect` does not call runnable what `run` refuses."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
make_model = pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")
import gguf  # noqa: E402
from test_parity import find_wick  # noqa: E402

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123456789\n"


def inspect(path, *more):
    return subprocess.run([find_wick(), "inspect", str(path), *more], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name,data,words", [
    ("x.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "PNG"), ("x.jpg", b"\xff\xd8\xff\xe0" + b"\0" * 64, "JPEG"),
    ("x.rar", b"Rar!\x1a\x07\x01" + b"\0" * 64, "RAR"), ("model.safetensors", LFS, "Git LFS")])
def test_file(name, data, words, tmp_path):
    (tmp_path / name).write_bytes(data)
    r = inspect(tmp_path / name)
    assert r.returncode == 4 and words in r.stderr and r.stderr.count("\n") == 1, r.stderr


@pytest.mark.parametrize("files,words", [
    ({"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}, "LoRA adapter"), ({"adapter_config.json": b"{}", "adapters.safetensors": b"x"}, "LoRA"),
    ({"tokenizer.json": b"{}", "tokenizer_config.json": b"{}"}, "tokenizer without weights"), ({"pytorch_model.bin": b"x"}, "PyTorch"),
    ({"model.onnx": b"x", "tokenizer.json": b"{}"}, "ONNX"), ({"config.json": b'{"model_type": "llama"}', "model.safetensors": LFS}, "Git LFS")])
def test_folder(files, words, tmp_path):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    r = inspect(tmp_path)
    assert r.returncode in (3, 4) and words in r.stderr and r.stderr.count("\n") == 1, r.stderr


@pytest.mark.parametrize("arch,kind,words", [("llama", "adapter", "LoRA adapter"), ("clip", "mmproj", "mmproj"), ("clip", "model", "mmproj")])
def test_gguf(arch, kind, words, tmp_path):
    w = gguf.GGUFWriter(str(tmp_path / "a.gguf"), arch)
    w.add_type(kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    r = inspect(tmp_path / "a.gguf")
    assert r.returncode in (4, 5) and words in r.stderr and r.stderr.count("\n") == 1, r.stderr


def test_quantization_of_gguf(tmp_path):
    make_model.make("llama", tmp_path, layout="gguf", gguf_type="Q8_0")
    assert json.loads(inspect(tmp_path / "model.gguf", "--json").stdout)["quantization"] == "Q8_0"


def test_inspect_is_run(tmp_path):
    """A tokenizer that is refused is not something that fits."""
    make_model.make("llama", tmp_path)
    assert json.loads(inspect(tmp_path, "--json").stdout)["runs"] is True
    (tmp_path / "tokenizer.json").write_text("{broken")
    r = inspect(tmp_path)
    assert r.returncode != 0 and "fits" not in r.stdout and "tokenizer.json" in r.stderr, r.stdout + r.stderr
    assert os.path.exists(tmp_path)


@pytest.mark.parametrize("templates,want", [({"default": "D {{ messages[0].content }}", "tool_use": "T"}, "D hello"), ({"chat": "C {{ messages[0].content }}"}, "C hello")])
def test_templates_by_name(templates, want, tmp_path):
    """"chat_template" as an object of names, as some tokenizer_config.json have it."""
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": templates}))
    r = subprocess.run([find_wick(), "template", str(tmp_path), "--messages", '[{"role": "user", "content": "hello"}]'], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and r.stdout.strip() == want, r.stdout + r.stderr
