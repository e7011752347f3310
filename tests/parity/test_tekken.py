"""tekken.json against tiktoken, which is what Mistral's own library cuts and merges with: ids of text behind the special tokens."""
import base64
import json

import pytest

tiktoken = pytest.importorskip("tiktoken")
from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: E402

from test_tokenizers import lines, run, wick_tok  # noqa: E402,F401

PATTERN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
           r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
N_SPECIAL = 40


def ranks():
    """Byte strings by rank: the bytes, then merges in the order they were learnt."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(lines(3, 400), trainers.BpeTrainer(vocab_size=1500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    d = json.loads(t.to_str())["model"]["vocab"]
    codes = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255]
    alphabet = {chr(b): b for b in codes} | {chr(256 + i): b for i, b in enumerate(b for b in range(256) if b not in codes)}
    pieces = [bytes(alphabet[c] for c in p) for p in sorted(d, key=d.get)]
    return [bytes([b]) for b in range(256)] + [p for p in pieces if len(p) > 1]


def write(folder, pieces, version, special=None, unused=7):
    rows = [{"rank": i, "token_bytes": base64.b64encode(p).decode(), "token_str": None} for i, p in enumerate(pieces)]
    config = {"pattern": PATTERN, "num_vocab_tokens": len(rows), "default_vocab_size": N_SPECIAL + len(rows) - unused,
              "default_num_special_tokens": N_SPECIAL, "version": version}
    d = {"config": config, "vocab": rows} | ({"special_tokens": special} if special else {})
    (folder / "tekken.json").write_text(json.dumps(d))


@pytest.mark.parametrize("version", ["v3", "v13"])
def test_ids(version, wick_tok, tmp_path):  # noqa: F811
    pieces = ranks()
    special = None
    if version == "v13":
        names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[THINK]", "[/THINK]"]
        special = [{"rank": i, "token_str": s, "is_control": True} for i, s in enumerate(names)]
    write(tmp_path, pieces, version, special)
    used = pieces[:-7]
    enc = tiktoken.Encoding("t", pat_str=PATTERN, mergeable_ranks={p: i for i, p in enumerate(used)}, special_tokens={})
    marks = {"<s>": 1, "</s>": 2, "[INST]": 3, "[/INST]": 4}
    texts = [x.replace("<s>", "").replace("</s>", "").replace("<unk>", "") for x in lines(5, 400)]
    got = [json.loads(x) for x in run(wick_tok, "encode", tmp_path, "\0".join(texts).encode() + b"\0")]
    for text, ids in zip(texts, got):
        assert ids == [1] + [i + N_SPECIAL for i in enc.encode(text, disallowed_special=())], repr(text)
    ids = json.loads(run(wick_tok, "encode", tmp_path, b"[INST]hello[/INST]</s>\0")[0])
    assert ids == [1, marks["[INST]"], *[i + N_SPECIAL for i in enc.encode("hello")], marks["[/INST]"], marks["</s>"]]


@pytest.mark.parametrize("change,word", [(lambda d: d["vocab"].pop(5), "0x05"), (lambda d: d.pop("config"), "config"),
                                         (lambda d: d["vocab"][9].update(token_bytes="!!"), "vocab[9]"), (lambda d: d["vocab"][9].update(rank=8), "vocab[9]"),
                                         (lambda d: d["config"].update(default_vocab_size=10 ** 6), "pieces"),
                                         (lambda d: d.update(special_tokens=[{"rank": 999, "token_str": "x"}]), "rank")])
def test_malformed(change, word, wick_tok, tmp_path):  # noqa: F811
    import subprocess
    write(tmp_path, ranks(), "v3", unused=20)
    d = json.loads((tmp_path / "tekken.json").read_text())
    change(d)
    (tmp_path / "tekken.json").write_text(json.dumps(d))
    p = subprocess.run([wick_tok, "encode", str(tmp_path)], input=b"a\0", capture_output=True, timeout=60)
    assert p.returncode != 0 and word in p.stderr.decode() and p.returncode > 0, p.stderr
