"""Shared by the end-to-end tests: the program, the shipped model, and models whose answers are known beforehand.

WICK_BIN names the program; without it the newest build/*/wick is taken."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELL_MODEL = ROOT / "models/wick-shell"
sys.path.insert(0, str(ROOT / "tests/tools"))


def find_wick():
    path = os.environ.get("WICK_BIN")
    if not path:
        found = sorted(ROOT.glob("build/*/wick"), key=lambda p: p.stat().st_mtime)
        path = str(found[-1]) if found else None
    if not path or not os.access(path, os.X_OK):
        pytest.skip("the wick program is not built (WICK_BIN)")
    return str(Path(path).resolve())


def clean_env(home, **extra):
    """An environment in which nothing of the user's shows through."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WICK_", "HF_", "OLLAMA_", "XDG_", "MODELSCOPE_")) and not k.lower().endswith("_proxy")}
    env.update(HOME=str(home), LC_ALL="C.UTF-8", TERM="xterm", HF_HUB_OFFLINE="1")
    env.update(**{k: str(v) for k, v in extra.items()})
    return env


class Wick:
    """Runs the program: call it with arguments; `json` parses what it prints, `fails` checks how it fails."""

    def __init__(self, path, home):
        self.path, self.home = path, Path(home)

    def __call__(self, *args, stdin="", cwd=None, timeout=120, env=None, text=True):
        data = stdin if text or isinstance(stdin, bytes) else stdin.encode()
        return subprocess.run([self.path, *map(str, args)], input=data, capture_output=True, text=text, cwd=cwd, timeout=timeout,
                              encoding="utf-8" if text else None, env=env or clean_env(self.home))

    def ok(self, *args, **kw):
        r = self(*args, **kw)
        assert r.returncode == 0, f"wick {' '.join(map(str, args))}: exit {r.returncode}: {r.stderr}"
        return r

    def json(self, *args, **kw):
        out = self.ok(*args, "--json", **kw).stdout
        assert out.count("\n") == 1 and out.endswith("\n"), "one object on one line"
        return json.loads(out)

    def fails(self, code, *args, **kw):
        """One line on standard error, nothing on standard output, and this exit code; returns the line."""
        r = self(*args, **kw)
        assert r.returncode == code, f"wick {' '.join(map(str, args))}: exit {r.returncode}, wanted {code}: {r.stderr!r}"
        assert r.stdout == ""
        assert r.stderr.startswith("wick: ") and r.stderr.endswith("\n") and r.stderr.count("\n") == 1, r.stderr
        return r.stderr.rstrip("\n")


@pytest.fixture(scope="session")
def wick(tmp_path_factory):
    return Wick(find_wick(), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def shell_model():
    if not (SHELL_MODEL / "model.safetensors").exists():
        pytest.skip("models/wick-shell is not built")
    return SHELL_MODEL


BYTES = [*range(33, 127), *range(161, 173), *range(174, 256)]
EOS, N_VOCAB, WIDTH = 256, 260, 320


def byte_alphabet():
    """The printable stand-in of each byte in byte-level vocabularies."""
    table, extra = {}, 256
    for b in range(256):
        table[b] = chr(b) if b in BYTES else chr(extra)
        extra += b not in BYTES
    return table


def write_byte_tokenizer(folder):
    """Each byte is a token with its own value as id; 256 ends a text."""
    special = {"id": EOS, "content": "<|end|>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tok = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [special], "normalizer": None, "post_processor": None,
           "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
           "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
           "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                     "fuse_unk": False, "byte_fallback": False, "vocab": {**{c: b for b, c in byte_alphabet().items()}, "<|end|>": EOS},
                     "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(tok))
    config = {"eos_token": "<|end|>", "chat_template": "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_cycle_model(folder, text, ends=False, context=4096, sharpness=0.5):
    """A llama that always goes on with `text`, again and again: attention and feed-forward add nothing, and the head maps each byte
    to its successor. The bytes of `text` must differ from each other; what is not among them leads to its first. With `ends` the
    last byte leads to the end token."""
    import numpy as np
    from safetensors.numpy import save_file
    data = text.encode() if isinstance(text, str) else text
    assert len(set(data)) == len(data), "a byte can have one successor only"
    folder.mkdir(parents=True, exist_ok=True)
    follow = {b: data[0] for b in range(N_VOCAB)}
    follow.update(zip(data, data[1:] + data[:1]))
    if ends:
        follow[data[-1]] = EOS
    head = np.zeros((N_VOCAB, WIDTH), np.float32)
    for b, nxt in follow.items():
        head[nxt, b] = sharpness
    zero = lambda *shape: np.zeros(shape, np.float32)
    one = np.ones(WIDTH, np.float32)
    layer = "model.layers.0."
    save_file({"model.embed_tokens.weight": np.eye(N_VOCAB, WIDTH, dtype=np.float32), "lm_head.weight": head, "model.norm.weight": one,
               layer + "input_layernorm.weight": one, layer + "post_attention_layernorm.weight": one.copy(),
               layer + "self_attn.q_proj.weight": zero(64, WIDTH), layer + "self_attn.k_proj.weight": zero(64, WIDTH),
               layer + "self_attn.v_proj.weight": zero(64, WIDTH), layer + "self_attn.o_proj.weight": zero(WIDTH, 64),
               layer + "mlp.gate_proj.weight": zero(64, WIDTH), layer + "mlp.up_proj.weight": zero(64, WIDTH),
               layer + "mlp.down_proj.weight": zero(WIDTH, 64)}, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": WIDTH, "intermediate_size": 64,
              "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 64, "rms_norm_eps": 1e-6,
              "vocab_size": N_VOCAB, "max_position_embeddings": context, "rope_theta": 10000.0, "tie_word_embeddings": False,
              "eos_token_id": EOS}
    (folder / "config.json").write_text(json.dumps(config))
    write_byte_tokenizer(folder)
    return folder


@pytest.fixture(scope="session")
def cycle(tmp_path_factory):
    """cycle(text, ...) -> folder of a model that says `text` for ever, made once for each text."""
    made = {}

    def make(text, **kw):
        key = (text, *sorted(kw.items()))
        if key not in made:
            made[key] = write_cycle_model(tmp_path_factory.mktemp("cycle") / "cycle", text, **kw)
        return made[key]
    return make


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """random_model(case, ...) -> folder of a random small model (tests/tools/make_model.py), made once for each call."""
    make_model = pytest.importorskip("make_model", reason="the oracle (mlx, mlx-lm) is not installed")
    made = {}

    def make(case, **kw):
        key = (case, *sorted(kw.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp("random") / case
            make_model.make(case, made[key], **kw)
        return made[key]
    return make
