"""Writes fuzz/corpus/tokenizer: a small file of each kind behind the byte that chooses the reader."""

import base64
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent / "corpus" / "tokenizer"
SPLIT = {"type": "Split", "pattern": {"Regex": r"(?i:'s|'t)|\p{L}+|\s+(?!\S)|[a-z&&[^b]]"}, "behavior": "Isolated", "invert": False}
BPE = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "<0x41>": 4, "<unk>": 5}, "merges": [["a", "b"]], "unk_token": "<unk>", "byte_fallback": True}
FILES = [
    {"model": BPE, "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [SPLIT, {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}]},
     "decoder": {"type": "ByteLevel"}, "added_tokens": [{"id": 6, "content": "<s>", "special": True, "normalized": False, "lstrip": True, "rstrip": True, "single_word": False}],
     "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [6], "tokens": ["<s>"]}}}},
    {"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["▁", -1.5], ["a", -2], ["▁a", -2.5]]}, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "CAAAAAAAAAAAAAAAYQA="},
     "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}, "decoder": {"type": "Metaspace", "replacement": "▁"}},
    {"model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}, "unk_token": "[UNK]"}, "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
     "decoder": {"type": "WordPiece", "prefix": "##"}},
]


def field(number, wire, data):
    key = bytes([number << 3 | wire])
    return key + (bytes([len(data)]) + data if wire == 2 else data)


def piece(text, score, kind):
    return field(1, 2, field(1, 2, text.encode()) + field(2, 5, struct.pack("<f", score)) + field(3, 0, bytes([kind])))


def model(kind):
    pieces = [piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("▁", -1, 1), piece("a", -2, 1), piece("b", -3, 1), piece("ab", -1.5, 5), piece("▁ab", -1, 1), piece("<u>", 0, 4)]
    return b"".join(pieces) + field(2, 2, field(3, 0, bytes([kind]))) + field(3, 2, field(3, 0, b"\1") + field(4, 0, b"\1"))


HERE.mkdir(parents=True, exist_ok=True)
for i, d in enumerate(FILES):
    (HERE / f"json-{i}").write_bytes(b"\0" + json.dumps(d).encode())
for kind in (1, 2):
    (HERE / f"spm-{kind}").write_bytes(b"\1" + model(kind))
LINES = [b"\xff<s>", b"\xfb</s>", b"\xfa<unk>", b"\xf9a", b"\xf9b", b"\xf1ab", b"\xe1\xe2\x96\x81", b"\xe1\xe2\x96\x81ab", b"\xd9\xc4\xa0", b"\xfc<u>", b"\xfe<0x41>", b"ma b"]
for i, head in enumerate([b"\0\0", b"\1\1", b"\2\2", b"\3\3", b"\4\6"]):
    (HERE / f"vocab-{i}").write_bytes(b"\2" + head + b"\n".join(LINES))
(HERE / "tiktoken").write_bytes(b"\3" + b"".join(base64.b64encode(bytes([b])) + b" %d\n" % b for b in range(256)) + b"YWI= 256\n")
(HERE / "json-vocab-missing").write_bytes(b'\0{"model": {"type": "Unigram", "unk_id": 0, "vocab":')
