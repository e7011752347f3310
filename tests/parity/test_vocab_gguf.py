"""GGUF files that hold a vocabulary only, against sentencepiece: what model/vocab.c hands to the tokenizer.

WICK_BIN names the program."""
import json
import os
import subprocess

import pytest

gguf = pytest.importorskip("gguf")
spm = pytest.importorskip("sentencepiece")
model_pb = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")

TEXTS = ["hello world", "  two   spaces ", "ﬁne ①② ｆｕｌｌ width", "tab\tand\nline", "naïve café", "日本語 text", "", " ", "a" * 50]


def wick_ids(path, text):
    bin_path = os.environ.get("WICK_BIN")
    if not bin_path:
        pytest.skip("WICK_BIN is not set")
    r = subprocess.run([bin_path, "tokenize", str(path), "-f", "-", "--json"], input=text.encode(), capture_output=True, timeout=60)
    assert r.returncode == 0, r.stderr.decode()
    return json.loads(r.stdout)["ids"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    words = ["hello", "world", "fine", "full", "width", "spaces", "two", "tab", "line", "text", "naïve", "café", "12"]
    path.write_text("\n".join(" ".join(words[(i * j + j) % len(words)] for j in range(1, 9)) for i in range(300)))
    return path


def train(corpus, folder, kind, **options):
    spm.SentencePieceTrainer.train(input=str(corpus), model_prefix=str(folder / "m"), model_type=kind, vocab_size=90,
                                   byte_fallback=False, hard_vocab_limit=False, minloglevel=2, **options)
    proto = model_pb.ModelProto()
    proto.ParseFromString((folder / "m.model").read_bytes())
    return spm.SentencePieceProcessor(model_file=str(folder / "m.model")), proto


def write(path, proto, **flags):
    w = gguf.GGUFWriter(str(path), "t5")
    w.add_tokenizer_model("t5")
    w.add_token_list([p.piece.encode() for p in proto.pieces])
    w.add_token_scores([p.score for p in proto.pieces])
    w.add_token_types([p.type for p in proto.pieces])
    if proto.normalizer_spec.precompiled_charsmap:
        w.add_precompiled_charsmap(proto.normalizer_spec.precompiled_charsmap)
    w.add_unk_token_id(proto.trainer_spec.unk_id)
    for key, value in flags.items():
        getattr(w, "add_" + key)(value)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


@pytest.mark.parametrize("rule", ["nmt_nfkc", "identity"])
@pytest.mark.parametrize("squeeze", [True, False])
def test_unigram(rule, squeeze, corpus, tmp_path):
    sp, proto = train(corpus, tmp_path, "unigram", normalization_rule_name=rule, remove_extra_whitespaces=squeeze)
    path = tmp_path / "vocab.gguf"
    write(path, proto, add_bos_token=False, add_eos_token=False, remove_extra_whitespaces=squeeze, add_space_prefix=True)
    for text in TEXTS:
        assert wick_ids(path, text) == sp.encode(text), repr(text)


def test_special_tokens(corpus, tmp_path):
    """Begin and end are added where the file says so and names them, and never where it names none."""
    sp, proto = train(corpus, tmp_path, "unigram")
    ids = sp.encode("hello world")
    both, none = tmp_path / "both.gguf", tmp_path / "none.gguf"
    write(both, proto, bos_token_id=1, eos_token_id=2, add_bos_token=True, add_eos_token=True, remove_extra_whitespaces=True)
    write(none, proto, add_bos_token=False, add_eos_token=False, remove_extra_whitespaces=True)
    assert wick_ids(both, "hello world") == [1, *ids, 2]
    assert wick_ids(none, "hello world") == ids
