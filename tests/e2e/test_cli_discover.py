"""discover and names to paths, over made-up homes: Hugging Face cache, LM Studio, Ollama, ./models, ~/models, links that go round."""
import hashlib
import json
import os
import shutil
import struct

import pytest
from conftest import clean_env, write_cycle_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_cycle_model(tmp_path_factory.mktemp("tiny") / "tiny", "abcd", ends=True)


def put(tiny, folder, quantization=None, mlx=False):
    shutil.copytree(tiny, folder)
    if quantization:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "quantization": quantization}))
    if mlx:
        data = (folder / "model.safetensors").read_bytes().replace(b'"format":"pt"', b'"format":"mlx"', 1)
        n = struct.unpack("<Q", data[:8])[0]
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", n + 1) + data[8:])
    return folder


def put_npz(tiny, folder):
    shutil.copytree(tiny, folder)
    (folder / "model.safetensors").rename(folder / "weights.npz")
    return folder


def gguf_bytes(arch="llama", file_type=15, tags=("a", "b")):
    """A header in the order of real writers: an array of strings stands before the file type."""
    s = lambda t: struct.pack("<Q", len(t.encode())) + t.encode()
    kv = s("general.architecture") + struct.pack("<I", 8) + s(arch)
    kv += s("general.tags") + struct.pack("<IIQ", 9, 8, len(tags)) + b"".join(map(s, tags))
    kv += s("general.sizes") + struct.pack("<IIQ", 9, 5, 2) + b"\0" * 8
    kv += s("llama.block_count") + struct.pack("<II", 4, 2) + s("general.file_type") + struct.pack("<II", 4, file_type)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 5) + kv


class Disk:
    def __init__(self, wick, root):
        self.wick, self.home, self.cwd = wick, root / "home", root / "cwd"
        self.home.mkdir()
        self.cwd.mkdir()
        self.extra = {}

    def kw(self):
        return {"cwd": self.cwd, "env": clean_env(self.home, **self.extra)}

    def found(self, *args):
        return self.wick.json("discover", *args, **self.kw())["models"]

    def names(self, *args):
        return {m["name"]: m for m in self.found(*args)}

    def hub(self, tiny, name, root=None, rev="a1" * 20, **kw):
        """As huggingface_hub lays it out: blobs, and a snapshot of links to them."""
        repo = (root or self.home / ".cache/huggingface/hub") / f"models--{name.replace('/', '--')}"
        (repo / "blobs").mkdir(parents=True, exist_ok=True)
        (repo / "refs").mkdir(exist_ok=True)
        (repo / "refs/main").write_text(rev)
        made = put(tiny, repo / "snapshots" / rev, **kw)
        for f in made.iterdir():
            blob = repo / "blobs" / hashlib.sha256(f.name.encode()).hexdigest()
            f.rename(blob)
            f.symlink_to(os.path.relpath(blob, made))
        return made


@pytest.fixture
def disk(wick, tmp_path):
    return Disk(wick, tmp_path)


def test_nothing_found(disk):
    assert disk.found() == []
    r = disk.wick.ok("discover", **disk.kw())
    assert r.stdout == "" and "No models found" in r.stderr


def test_every_place(disk, tiny):
    put(tiny, disk.cwd / "models/here")
    put_npz(tiny, disk.home / "models/npz one")
    disk.hub(tiny, "org/hub-model")
    disk.hub(tiny, "mlx-community/Small-4bit", quantization={"bits": 4, "group_size": 64})
    put(tiny, disk.home / ".lmstudio/models/pub/lm-model", mlx=True)
    (disk.home / ".cache/lm-studio/models/pub2/repo").mkdir(parents=True)
    (disk.home / ".cache/lm-studio/models/pub2/repo/x-Q4_K_M.gguf").write_bytes(gguf_bytes())
    put(tiny, disk.home / "mlx-community/At-Home")
    put(tiny, disk.cwd / "mlx-community/Here-8bit", quantization={"bits": 8, "group_size": 64})
    got = disk.names()
    assert set(got) == {"here", "npz one", "org/hub-model", "mlx-community/Small-4bit", "pub/lm-model", "pub2/repo/x-Q4_K_M.gguf",
                        "mlx-community/At-Home", "mlx-community/Here-8bit"}
    source = {n: m["source"] for n, m in got.items()}
    assert source["here"] == source["npz one"] == "models" and source["org/hub-model"] == "huggingface"
    assert source["pub/lm-model"] == source["pub2/repo/x-Q4_K_M.gguf"] == "lmstudio"
    assert {n for n, m in got.items() if m["mlx"]} == {"npz one", "mlx-community/Small-4bit", "pub/lm-model", "mlx-community/At-Home",
                                                       "mlx-community/Here-8bit"}
    assert got["mlx-community/Small-4bit"]["quantization"] == "4-bit" and got["mlx-community/Here-8bit"]["quantization"] == "8-bit"
    gguf = got["pub2/repo/x-Q4_K_M.gguf"]
    assert (gguf["format"], gguf["model_type"], gguf["quantization"]) == ("gguf", "llama", "Q4_K_M")
    assert got["npz one"]["format"] == "npz" and got["here"]["format"] == "safetensors" and got["here"]["model_type"] == "llama"
    assert got["here"]["bytes"] == (tiny / "model.safetensors").stat().st_size == got["org/hub-model"]["bytes"]
    for m in got.values():
        assert (disk.cwd / m["path"]).exists()
    for form in ("npz", "gguf", "safetensors"):
        assert set(disk.names("--format", form)) == {n for n, m in got.items() if m["format"] == form}
    text = disk.wick.ok("discover", **disk.kw()).stdout
    assert all(n in text for n in got) and len(text.splitlines()) == len(got) + 1


@pytest.mark.parametrize("variable,below", [("HF_HOME", "hub"), ("HF_HUB_CACHE", ".")])
def test_hub_variables(disk, tiny, tmp_path, variable, below):
    disk.hub(tiny, "org/elsewhere", root=tmp_path / "cache" / below)
    disk.hub(tiny, "org/not-here")
    disk.extra = {variable: tmp_path / "cache"}
    assert set(disk.names()) == {"org/elsewhere"}


def test_hub_takes_the_revision_of_main(disk, tiny):
    disk.hub(tiny, "org/m", rev="b" * 40)
    disk.hub(tiny, "org/m", rev="a" * 40)
    [m] = disk.found()
    assert m["path"].endswith("a" * 40)
    (disk.home / ".cache/huggingface/hub/models--org--m/refs/main").write_text("../../../../etc")
    [m] = disk.found()
    assert m["path"].endswith("b" * 40)


def ollama(root, name, tag, data, digest=None, namespace="library"):
    digest = digest or hashlib.sha256(data).hexdigest()
    manifest = root / "manifests/registry.ollama.ai" / namespace / name / tag
    manifest.parent.mkdir(parents=True, exist_ok=True)
    (root / "blobs").mkdir(exist_ok=True)
    layers = [{"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:" + "0" * 64, "size": 1},
              {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": len(data)}]
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    if "/" not in digest:
        (root / "blobs" / f"sha256-{digest}").write_bytes(data)


@pytest.mark.parametrize("by_variable", [False, True])
def test_ollama(disk, tmp_path, by_variable):
    root = tmp_path / "elsewhere" if by_variable else disk.home / ".ollama/models"
    root.mkdir(parents=True)
    if by_variable:
        disk.extra = {"OLLAMA_MODELS": root}
    ollama(root, "qwen2.5", "0.5b", gguf_bytes("qwen2", 7))
    ollama(root, "qwen2.5", "latest", gguf_bytes("qwen2", 1))
    ollama(root, "mine", "latest", gguf_bytes("llama", 2), namespace="me")
    ollama(root, "evil", "latest", b"", digest="../../../etc/passwd")
    ollama(root, "gone", "latest", gguf_bytes("llama", 3))
    (root / "blobs" / ("sha256-" + hashlib.sha256(gguf_bytes("llama", 3)).hexdigest())).unlink()
    got = disk.names()
    assert {n: (m["model_type"], m["quantization"], m["source"]) for n, m in got.items()} == {
        "qwen2.5:0.5b": ("qwen2", "Q8_0", "ollama"), "qwen2.5:latest": ("qwen2", "F16", "ollama"), "me/mine:latest": ("llama", "Q4_0", "ollama")}
    r = disk.wick("inspect", "qwen2.5", **disk.kw())
    assert got["qwen2.5:latest"]["path"] in r.stderr, "a name without a tag is :latest"


def test_extra_folders_and_split_files(disk, tiny, tmp_path):
    far = tmp_path / "far"
    put(tiny, far / "deep/er/model")
    for i in (1, 2, 3):
        (far / f"big-0000{i}-of-00003.gguf").write_bytes(gguf_bytes())
    (far / "mmproj-x.gguf").write_bytes(gguf_bytes())
    (far / "not.gguf").write_bytes(b"nonsense, but long enough to be looked at")
    (far / "empty.gguf").write_bytes(b"")
    got = disk.names(far)
    assert set(got) == {"deep/er/model", "big-00001-of-00003.gguf"}
    assert got["big-00001-of-00003.gguf"]["bytes"] == 3 * len(gguf_bytes())


def test_links_that_go_round(disk, tiny):
    put(tiny, disk.cwd / "models/a/m")
    (disk.cwd / "models/a/up").symlink_to("..")
    (disk.cwd / "models/a/self").symlink_to("self")
    (disk.cwd / "models/b").symlink_to("a")
    (disk.home / "models").symlink_to(disk.cwd / "models")
    assert len(disk.found()) == 1


def test_depth_and_hidden_folders(disk, tiny):
    put(tiny, disk.cwd / "models" / "/".join("abcdefghijkl") / "deep")
    put(tiny, disk.cwd / "models/.hidden/m")
    put(tiny, disk.cwd / "models/seen")
    assert set(disk.names()) == {"seen"}


def test_damaged_things_are_passed_over(disk, tiny):
    models = disk.cwd / "models"
    put(tiny, models / "good")
    bad = put(tiny, models / "bad")
    (bad / "config.json").write_text("{" * 10000)
    (bad / "model.safetensors").write_bytes(b"\xff" * 100)
    (models / "x.gguf").write_bytes(b"GGUF" + b"\xff" * 60)
    (models / "y.gguf").write_bytes(gguf_bytes()[:50])
    os.mkfifo(models / "fifo.gguf")
    hub = disk.home / ".cache/huggingface/hub"
    (hub / "models--").mkdir(parents=True)
    (hub / "models--a--b/snapshots").mkdir(parents=True)
    (hub / "version.txt").write_text("1")
    got = disk.names()
    assert "good" in got and got["good"]["model_type"] == "llama" and "fifo.gguf" not in got
    assert got["bad"]["model_type"] is None


def test_names_are_models(disk, tiny):
    disk.hub(tiny, "org/Hub-Model")
    put(tiny, disk.cwd / "models/local")
    for name in ("org/Hub-Model", "Hub-Model", "hub-model", "local", "models/local"):
        out = disk.wick.json("generate", name, "a", "--temp", "0", **disk.kw())
        assert out["text"] == "bcd", name
    line = disk.wick.fails(3, "run", "hub-modle", "x", **disk.kw())
    assert "did you mean org/Hub-Model?" in line
    assert "local" in disk.wick.fails(3, "run", "models/locl", "x", **disk.kw())
    assert "did you mean" not in disk.wick.fails(3, "run", "zzz", "x", **disk.kw())


def test_quantizations_of_a_name(disk, tmp_path):
    """A repository of GGUF files is one name: the usual quantization is taken and said, another is asked for with a colon."""
    repo = disk.home / ".cache/huggingface/hub/models--org--gg"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text("c" * 40)
    snap = repo / "snapshots" / ("c" * 40)
    snap.mkdir(parents=True)
    for q in ("Q8_0", "Q4_K_M", "Q2_K"):
        (snap / f"x-{q}.gguf").write_bytes(gguf_bytes())
    r = disk.wick("inspect", "org/gg", **disk.kw())
    assert "x-Q4_K_M.gguf" in r.stderr and "of 3 quantizations" in r.stderr
    for name in ("org/gg:Q8_0", "org/gg@main:q8_0", "hf.co/org/gg:8bit", "org/gg:x-Q8_0.gguf"):
        r = disk.wick("inspect", name, **disk.kw())
        assert "x-Q8_0.gguf" in r.stderr and "of 3" not in r.stderr, name
    assert "there is Q2_K, Q4_K_M, Q8_0" in disk.wick.fails(3, "inspect", "org/gg:Q5_K_M", **disk.kw())


def test_downloads_that_are_not_complete_are_said_to_be(disk, tiny):
    snap = disk.hub(tiny, "org/half")
    (snap / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}))
    assert "not complete" in disk.wick.fails(5, "run", "org/half", "x", **disk.kw())
    (snap / "model.safetensors.index.json").unlink()
    (snap / "model.safetensors").resolve().unlink()
    assert "not complete" in disk.wick.fails(5, "run", "org/half", "x", **disk.kw())


def test_tags_that_share_a_blob(disk):
    root = disk.home / ".ollama/models"
    root.mkdir(parents=True)
    for tag in ("latest", "0.5b", "0.5b-instruct-q8_0"):
        ollama(root, "qwen2.5", tag, gguf_bytes("qwen2", 7))
    assert set(disk.names()) == {"qwen2.5:latest", "qwen2.5:0.5b", "qwen2.5:0.5b-instruct-q8_0"}


def test_names_that_are_no_paths_leave_nothing(disk):
    for name in ("org/..", "../../etc/passwd", "org/name@../../..:x", "a//b"):
        assert "model not found" in disk.wick.fails(3, "inspect", name, **disk.kw())


def cycle_gguf(folder, path):
    """The model of write_cycle_model as a GGUF file with its tokenizer and without a chat template."""
    import gguf
    from conftest import EOS, N_VOCAB, byte_alphabet
    from safetensors.numpy import load_file
    w = gguf.GGUFWriter(path, "llama")
    config = json.loads((folder / "config.json").read_text())
    w.add_context_length(512)
    w.add_embedding_length(config["hidden_size"])
    w.add_block_count(1)
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(1)
    w.add_head_count_kv(1)
    w.add_key_length(64)
    w.add_value_length(64)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_vocab_size(N_VOCAB)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    tokens = [c for _, c in sorted(byte_alphabet().items())] + ["<|end|>"] + [f"<|unused{i}|>" for i in range(N_VOCAB - EOS - 1)]
    w.add_token_list(tokens)
    w.add_token_types([1] * 256 + [3] * (N_VOCAB - 256))
    w.add_token_merges(["a b"])
    w.add_eos_token_id(EOS)
    w.add_bos_token_id(EOS)
    w.add_add_bos_token(False)
    names = {"model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm", "input_layernorm": "attn_norm",
             "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    for k, v in load_file(folder / "model.safetensors").items():
        stem = k.removesuffix(".weight")
        w.add_tensor((f"blk.0.{names[stem[15:]]}" if stem.startswith("model.layers.0.") else names[stem]) + ".weight", v)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path


def test_settings_of_a_tag(disk, tiny, tmp_path):
    """A tag of Ollama brings its system text, its parameters and, where its file has no template, the family's."""
    pytest.importorskip("gguf")
    data = cycle_gguf(tiny, tmp_path / "m.gguf").read_bytes()
    root = disk.home / ".ollama/models"
    root.mkdir(parents=True)
    ollama(root, "m", "latest", data)
    manifest = root / "manifests/registry.ollama.ai/library/m/latest"
    m = json.loads(manifest.read_text())

    def layer(kind, text):
        digest = hashlib.sha256(text.encode()).hexdigest()
        (root / "blobs" / f"sha256-{digest}").write_text(text)
        m["layers"].append({"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{digest}", "size": len(text)})
    layer("system", "Be brief.")
    layer("params", json.dumps({"temperature": 0, "num_predict": 3, "stop": ["zzz"]}))
    layer("template", "{{ .System }}<|im_start|>{{ .Prompt }}")
    manifest.write_text(json.dumps(m))
    assert disk.wick.ok("show", "m", "--system", **disk.kw()).stdout == "Be brief.\n"
    r = disk.wick.ok("run", "m", "hi", "-v", **disk.kw())
    assert "decode 3 tok" in r.stderr and '"chatml" is used' in r.stderr
    layer("adapter", "x")
    manifest.write_text(json.dumps(m))
    assert "LoRA" in disk.wick.fails(4, "run", "m", "hi", **disk.kw())
