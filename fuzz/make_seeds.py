"""Writes the seeds of fuzz/corpus/{gguf,safetensors,npz}: a good file of each kind and some near misses."""

import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "tools"))
import malformed  # noqa: E402

for fmt in malformed.FORMATS:
    folder = HERE / "corpus" / fmt
    folder.mkdir(parents=True, exist_ok=True)
    good = {
        "gguf": [bytes(malformed.gguf_file().data), bytes(malformed.gguf_file(tensors=[]).data)],
        "safetensors": [malformed.st({"__metadata__": {"format": "mlx"}, "a": malformed.entry(), "b": malformed.entry("U8", (), 16, 17)}, bytes(17)),
                        malformed.st({})],
        "npz": [bytes(malformed.zip_fields([(b"a.npy", malformed.npy())], zip64=True).data),
                bytes(malformed.zip_fields([(b"t.npy", malformed.npy(order="True"), {"method": 8, "packed": malformed.deflate(malformed.npy(order="True"))})]).data)],
    }[fmt]
    small = [data for _, data, _ in malformed.cases(fmt, 1, 0) if 30 < len(data) < 700]
    for i, data in enumerate(good + random.Random(fmt).sample(small, 8)):
        (folder / f"seed-{i:02d}").write_bytes(data)
