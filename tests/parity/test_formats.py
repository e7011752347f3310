"""Directories and dequantization against safetensors, numpy, gguf and mlx.core."""

import io
import json
import struct
import sys
import zipfile
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Q
from gguf import GGUFEndian, GGUFWriter, quants
from gguf.constants import GGML_QUANT_SIZES
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from gguf_write import HALVES  # noqa: E402
from formats_common import NAMES, array, directory, dump, f32, safetensors_bytes  # noqa: E402

RNG = np.random.default_rng(7)


def random_arrays(names=NAMES):
    shapes = [(3, 5), (7,), (2, 3, 4), (), (1, 1), (0, 4)]
    out = {}
    for i, (name, t) in enumerate(names.items()):
        for j, shape in enumerate(shapes):
            bits = RNG.integers(0, 2 if t == np.bool_ else 256, size=int(np.prod(shape)) * np.dtype(t).itemsize, dtype=np.uint8)
            out[f"layer.{j}.{name}.é{i}"] = bits.view(t).reshape(shape)
    return out


def assert_same_directory(path, arrays, container):
    d = directory(path)
    assert d["format"] == container
    assert set(d["tensors"]) == set(arrays)
    kinds = {np.dtype(t): n for n, t in NAMES.items()}
    for name, a in arrays.items():
        e = d["tensors"][name]
        assert (e["dtype"], e["shape"], e["bytes"]) == (kinds[a.dtype], list(a.shape), a.nbytes)
        if a.nbytes and not e["copied"]:
            with open(path, "rb") as f:
                f.seek(e["offset"])
                assert f.read(a.nbytes) == a.tobytes()
    for name in list(arrays)[:12]:
        assert dump("raw", path, name) == arrays[name].tobytes()


def test_safetensors_of_the_reference_package(tmp_path):
    arrays = random_arrays()
    save_file(arrays, tmp_path / "x.safetensors", metadata={"format": "pt"})
    assert_same_directory(tmp_path / "x.safetensors", arrays, "safetensors")


def test_safetensors_of_mlx(tmp_path):
    mx.save_safetensors(str(tmp_path / "model.safetensors"), {"a": mx.ones((4, 2), dtype=mx.bfloat16), "b": mx.arange(6)})
    d = directory(tmp_path)  # the folder
    assert d["tensors"]["a"]["dtype"] == "BF16"
    assert f32(tmp_path, "a").tolist() == [1.0] * 8


@pytest.mark.parametrize("with_index", [True, False])
def test_sharded_safetensors(tmp_path, with_index):
    arrays = {f"w{i}": RNG.standard_normal((i + 1, 3)).astype(np.float32) for i in range(9)}
    weight_map = {}
    for s in range(3):
        part = {k: v for i, (k, v) in enumerate(arrays.items()) if i % 3 == s}
        name = f"model-{s + 1:05d}-of-00003.safetensors"
        save_file(part, tmp_path / name)
        weight_map.update({k: name for k in part})
    index = tmp_path / "model.safetensors.index.json"
    if with_index:
        index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    d = directory(tmp_path)
    assert len(d["files"]) == 3
    for k, v in arrays.items():
        assert d["files"][d["tensors"][k]["file"]] == weight_map[k]
        assert array(tmp_path, k, np.float32).tolist() == v.ravel().tolist()
    for wrong, reason in [({**weight_map, "w0": weight_map["w1"]}, "w0"), ({**weight_map, "no": weight_map["w1"]}, "no"),
                          ({**weight_map, "w0": "../x.safetensors"}, "weight_map"), ({**weight_map, "w0": "gone.safetensors"}, "missing"),
                          ({}, "weight_map"), ({"w0": 3}, "w0")]:
        index.write_text(json.dumps({"weight_map": wrong}))
        code, message = dump("json", tmp_path, fails=True)
        assert code == 5 and reason in message


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_of_numpy(tmp_path, save):
    arrays = random_arrays()
    arrays["big"] = RNG.standard_normal((300, 411)).astype(np.float32)
    with open(tmp_path / "weights.npz", "wb") as f:
        save(f, **arrays)
    assert_same_directory(tmp_path / "weights.npz", arrays, "npz")
    copied = {e["copied"] for e in directory(tmp_path / "weights.npz")["tensors"].values()}
    assert copied == {save is np.savez_compressed}


def test_npz_column_major(tmp_path):
    arrays = {f"t{n}": np.asfortranarray(RNG.integers(0, 99, size=s).astype(np.int32))
              for n, s in enumerate([(3, 4), (2, 3, 4), (1, 5), (5, 1), (2, 1, 3, 2), (2, 2, 2, 2, 2, 3)])}
    np.savez(tmp_path / "weights.npz", **arrays)
    for name, a in arrays.items():
        assert array(tmp_path, name, np.int32).tolist() == a.ravel(order="C").tolist()


@pytest.mark.parametrize("save", [mx.savez, mx.savez_compressed])
def test_npz_of_mlx(tmp_path, save):
    x = mx.random.normal((5, 6))
    arrays = {"a": x, "b": x.astype(mx.bfloat16), "h": x.astype(mx.float16), "t": x.T, "q": (x * 50).astype(mx.uint32), "s": mx.array(2.5)}
    save(str(tmp_path / "model.npz"), **arrays)
    d = directory(tmp_path)
    assert d["tensors"]["b"]["dtype"] == "BF16" and d["tensors"]["s"]["shape"] == []
    for name in "abhts":
        assert np.array_equal(f32(tmp_path, name), np.array(arrays[name].astype(mx.float32)).ravel()), name


def test_npz_npy_versions(tmp_path):
    a = RNG.standard_normal((4, 3)).astype(np.float32)
    for version in [(1, 0), (2, 0), (3, 0)]:
        raw = io.BytesIO()
        np.lib.format.write_array(raw, a, version=version)
        with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_STORED) as z:
            z.writestr("a.npy", raw.getvalue())
        assert array(tmp_path / "x.npz", "a", np.float32).tolist() == a.ravel().tolist()


@pytest.mark.parametrize("a,reason", [(np.array([{}], dtype=object), "unpickled"), (np.array(["x"]), "text"),
                                      (np.array([1], dtype=">f4"), "big-endian"), (np.array([1j]), "complex")])
def test_npz_refuses(tmp_path, a, reason):
    np.savez(tmp_path / "x.npz", a=a)
    code, message = dump("json", tmp_path / "x.npz", fails=True)
    assert code == 4 and reason in message


def write_gguf(path, arrays, split=0):
    w = GGUFWriter(path, "llama", split_max_tensors=split)
    w.add_uint32("llama.block_count", 3)
    w.add_float32("f", 0.5)
    w.add_array("tokens", ["a", "é", "\n"])
    w.add_array("scores", [1.5, -2.0])
    w.add_array("types", [1, -7])
    w.add_bool("flag", True)
    w.add_int64("big", -(1 << 40))
    for name, a in arrays.items():
        w.add_tensor(name, a)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def test_gguf_of_the_reference_package(tmp_path):
    arrays = {f"t{n}": RNG.standard_normal(s).astype(np.float32) for n, s in enumerate([(3, 5), (7,), (2, 3, 4)])}
    write_gguf(tmp_path / "x.gguf", arrays)
    assert_same_directory(tmp_path / "x.gguf", arrays, "gguf")
    keys = directory(tmp_path / "x.gguf")["keys"]
    assert keys["general.architecture"] == "llama" and keys["llama.block_count"] == 3 and keys["f"] == 0.5
    assert keys["tokens"] == ["a", "é", "\\x0a"] and keys["scores"] == [1.5, -2.0] and keys["types"] == [1, -7]
    assert keys["flag"] is True and keys["big"] == -(1 << 40)


def test_gguf_split(tmp_path):
    arrays = {f"t{n}": RNG.standard_normal((n + 1, 4)).astype(np.float32) for n in range(7)}
    write_gguf(tmp_path / "x.gguf", arrays, split=3)
    first = tmp_path / "x-00001-of-00003.gguf"
    for path in (first, tmp_path):
        d = directory(path)
        assert len(d["files"]) == 3 and set(d["tensors"]) == set(arrays)
        assert array(path, "t6", np.float32).tolist() == arrays["t6"].ravel().tolist()
    code, message = dump("json", tmp_path / "x-00002-of-00003.gguf", fails=True)
    assert code == 4 and "first part" in message
    (tmp_path / "x-00003-of-00003.gguf").unlink()
    code, message = dump("json", first, fails=True)
    assert code == 5 and "missing" in message


def test_gguf_big_endian_and_version_1(tmp_path):
    w = GGUFWriter(tmp_path / "be.gguf", "llama", endianess=GGUFEndian.BIG)
    w.add_tensor("a", np.ones(4, dtype=np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    assert "big-endian" in dump("json", tmp_path / "be.gguf", fails=True)[1]
    (tmp_path / "v1.gguf").write_bytes(b"GGUF" + struct.pack("<III", 1, 0, 0))
    assert "version 1" in dump("json", tmp_path / "v1.gguf", fails=True)[1]


BLOCKS = [Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.TQ1_0, Q.TQ2_0, Q.MXFP4, Q.NVFP4, Q.IQ4_NL, Q.IQ4_XS,
          Q.IQ2_XXS, Q.IQ2_XS, Q.IQ2_S, Q.IQ3_XXS, Q.IQ3_S, Q.IQ1_S, Q.IQ1_M]


@pytest.mark.parametrize("t", BLOCKS, ids=lambda t: t.name)
def test_block_types(tmp_path, t):
    elems, size = GGML_QUANT_SIZES[t]
    n = 2048
    raw = RNG.integers(0, 256, size=(n, size), dtype=np.uint8)
    for at in HALVES.get(t, [0]):
        raw[:, at:at + 2] = RNG.standard_normal(n).astype(np.float16).view(np.uint8).reshape(n, 2)
    if t == Q.MXFP4:
        raw[:, 0] = RNG.integers(0, 254, size=n)
    if t == Q.NVFP4:
        raw[:, :4] = RNG.integers(0, 128, size=(n, 4))
    if t == Q.IQ1_M:  # d is in the top nibbles of four 16-bit words
        d = RNG.standard_normal(n).astype(np.float16).view(np.uint16)
        for i in range(4):
            raw[:, 49 + 2 * i] = (raw[:, 49 + 2 * i] & 15) | ((d >> (4 * i) & 15) << 4).astype(np.uint8)
    w = GGUFWriter(tmp_path / "x.gguf", "llama")
    w.add_tensor("w", raw.reshape(n // 4, -1), raw_dtype=t)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    e = directory(tmp_path / "x.gguf")["tensors"]["w"]
    assert e["dtype"] == t.name and e["shape"] == [n // 4, elems * 4]
    expected = quants.dequantize(raw.reshape(n // 4, -1), t).ravel()
    got = f32(tmp_path / "x.gguf", "w")
    assert np.array_equal(got, expected), np.abs(got - expected).max()


@pytest.mark.parametrize("t", BLOCKS[:5], ids=lambda t: t.name)
def test_block_encoders(t):
    x = (RNG.standard_normal((64, 256)) * np.exp(RNG.uniform(-8, 8, size=(64, 1)))).astype(np.float32)
    x[3], x[4, :40], x[5] = 0, 0, 1.25
    x[6] = np.round(x[6]) + 0.0  # ties, without -0
    assert dump("encode", t.name, data=x.tobytes()) == quants.quantize(x, t).tobytes()


AFFINE = [(b, g) for b in (2, 3, 4, 5, 6, 8) for g in (32, 64, 128)]


@pytest.mark.parametrize("bits,group", AFFINE)
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16])
def test_affine_decode(tmp_path, bits, group, dtype):
    x = mx.array(RNG.standard_normal((24, 384)).astype(np.float32)).astype(dtype)
    w, s, b = mx.quantize(x, group_size=group, bits=bits)
    path = tmp_path / "x.safetensors"
    mx.save_safetensors(str(path), {"p.weight": w, "p.scales": s, "p.biases": b})
    got = np.frombuffer(dump("weight", path, "p", "affine", bits, group), dtype=np.float32)
    up = mx.dequantize(w, s.astype(mx.float32), b.astype(mx.float32), group_size=group, bits=bits)
    assert np.array_equal(got, np.array(up).ravel())


@pytest.mark.parametrize("bits,group", AFFINE)
def test_affine_encode(bits, group):
    x = (RNG.standard_normal((48, 384)) * np.exp(RNG.uniform(-10, 6, size=(48, 1)))).astype(np.float32)
    x[0], x[1, :200], x[2], x[3] = 0, 0, 3.5, np.abs(x[3])
    x[4] = np.round(x[4] * 4)
    w, s, b = (np.array(a) for a in mx.quantize(mx.array(x), group_size=group, bits=bits))
    expected = b"".join(w[r].tobytes() + s[r].tobytes() + b[r].tobytes() for r in range(len(x)))
    assert dump("affine", bits, group, x.shape[1], data=x.tobytes()) == expected


@pytest.mark.parametrize("mode,bits,group", [("mxfp4", 4, 32), ("nvfp4", 4, 16), ("mxfp8", 8, 32)])
def test_float_modes(tmp_path, mode, bits, group):
    x = mx.array((RNG.standard_normal((24, 384)) * np.exp(RNG.uniform(-6, 6, size=(24, 1)))).astype(np.float32))
    w, s = mx.quantize(x, group_size=group, bits=bits, mode=mode)
    path = tmp_path / "x.safetensors"
    mx.save_safetensors(str(path), {"p.weight": w, "p.scales": s})
    got = np.frombuffer(dump("weight", path, "p", mode, bits, group), dtype=np.float32)
    expected = mx.dequantize(w, s, group_size=group, bits=bits, mode=mode, dtype=mx.float32)
    assert np.array_equal(got, np.array(expected).ravel())


@pytest.mark.parametrize("mode", ["mxfp4", "nvfp4", "mxfp8"])
def test_float_mode_encoders(mode):
    x = (RNG.standard_normal((64, 384)) * np.exp(RNG.uniform(-9, 6, size=(64, 1)))).astype(np.float32)
    x[0], x[1, :200], x[2] = 0, 0, 3.5
    x[3] = np.round(x[3] / np.abs(x[3]).max() * 24) / 4  # halfway between two codes
    x[4] = RNG.integers(-12, 13, 384) * np.float32(0.5)
    x[5] *= np.exp(RNG.standard_normal(384) * 4)
    x[6], x[7] = x[6] * np.float32(1e-30), x[7] * np.float32(1e-6)
    w, s = (np.array(a) for a in mx.quantize(mx.array(x), mode=mode))
    expected = b"".join(w[r].tobytes() + s[r].tobytes() for r in range(len(x)))
    assert dump("form", mode, x.shape[1], data=x.tobytes()) == expected


# Root mean square errors of llama.cpp's own quantizers (quantize_q4_K and so on of llama-cpp-python 0.3.36) for these rows.
LLAMA_CPP_ERROR = {
    ("gauss", Q.Q2_K): 5.8849e-03,
    ("gauss", Q.Q3_K): 3.0126e-03,
    ("gauss", Q.Q4_K): 1.4212e-03,
    ("gauss", Q.Q5_K): 7.1877e-04,
    ("gauss", Q.Q6_K): 3.5489e-04,
    ("heavy", Q.Q2_K): 9.7918e-03,
    ("heavy", Q.Q3_K): 5.1940e-03,
    ("heavy", Q.Q4_K): 2.4564e-03,
    ("heavy", Q.Q5_K): 1.2483e-03,
    ("heavy", Q.Q6_K): 6.4735e-04,
}


@pytest.mark.parametrize("kind,t", LLAMA_CPP_ERROR, ids=lambda v: v if isinstance(v, str) else v.name)
def test_k_encoders(kind, t):
    g = np.random.Generator(np.random.PCG64(11))
    x = ((g.standard_normal((64, 1024)) if kind == "gauss" else g.standard_t(4, (64, 1024))) * 0.02).astype(np.float32)
    size = GGML_QUANT_SIZES[t][1]
    y = quants.dequantize(np.frombuffer(dump("encode", t.name, data=x.tobytes()), dtype=np.uint8).reshape(-1, size), t).ravel()
    assert np.sqrt(((y - x.ravel()) ** 2).mean()) < LLAMA_CPP_ERROR[kind, t]


def test_k_encoders_at_the_edges():
    x = np.zeros((10, 256), dtype=np.float32)
    x[1], x[2], x[3, 7] = 2.5, -2.5, 1e30
    x[4], x[5, ::2] = 1e-30, -1
    x[6], x[7] = np.nan, np.inf
    x[8] = RNG.standard_normal(256) * 1e-7
    x[9] = np.abs(RNG.standard_normal(256))
    for t in (Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K):
        size = GGML_QUANT_SIZES[t][1]
        y = quants.dequantize(np.frombuffer(dump("encode", t.name, data=x.tobytes()), dtype=np.uint8).reshape(-1, size), t)
        assert not y[0].any(), "zeros stay zeros"
        for r in (1, 2, 5, 9):
            assert np.abs(y[r] - x[r]).max() < 0.6 * np.abs(x[r]).max(), (t, r)


def test_nvfp4_global_scale(tmp_path):
    x = mx.array(RNG.standard_normal((8, 64)).astype(np.float32) * 30)
    g = mx.max(mx.abs(x)).astype(mx.float32)
    w, s = mx.quantize(x, mode="nvfp4", global_scale=g)
    path = tmp_path / "x.safetensors"
    mx.save_safetensors(str(path), {"p.weight": w, "p.scales": s, "p.global_scale": g})
    got = np.frombuffer(dump("weight", path, "p", "nvfp4", 4, 16), dtype=np.float32)
    expected = np.array(mx.dequantize(w, s, mode="nvfp4", global_scale=g, dtype=mx.float32)).ravel()
    assert np.allclose(got, expected, rtol=3e-7, atol=0)


FOREIGN = {
    "pickle.pt": (b"\x80\x02}q\x00.", "pickle"),
    "model.onnx": (b"\x08\x08\x12\x07pytorch\x1a\x051.9.0:" + bytes(40), "ONNX"),
    "page.safetensors": (b"<!DOCTYPE html><html><body>login</body></html>", "web page"),
    "pointer.gguf": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    "old.bin": (b"tjgg" + bytes(60), "GGJT"),
    "x.npy": (b"\x93NUMPY\x01\x00" + bytes(60), ".npy"),
    "x.h5": (b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
    "x.tar.gz": (b"\x1f\x8b\x08" + bytes(60), "gzip"),
    "empty.gguf": (b"", "empty"),
    "zero.safetensors": (bytes(9000), "unfinished download"),
    "config.json": (b'{"model_type": "llama"}', "JSON"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(tmp_path, name):
    content, reason = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    code, message = dump("json", tmp_path / name, fails=True)
    assert code == 4 and reason in message and name in message


def test_torch_zip_and_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.bin", "w") as z:
        z.writestr("archive/data.pkl", b"x")
    assert "PyTorch" in dump("json", tmp_path / "x.bin", fails=True)[1]
    assert "PyTorch" in dump("json", tmp_path, fails=True)[1]
    (tmp_path / "none").mkdir()
    assert dump("json", tmp_path / "none", fails=True)[0] == 3
    assert dump("json", tmp_path / "absent", fails=True)[0] == 3
    (tmp_path / "x.npz").write_bytes(b"PK\5\6" + bytes(18))
    assert directory(tmp_path / "x.npz")["tensors"] == {}


def test_time_grows_with_the_file(tmp_path):
    """100,000 tensors or keys are read in far less than a second each."""
    n = 100_000
    header = {f"t{i}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(n)}
    (tmp_path / "x.safetensors").write_bytes(safetensors_bytes(header, bytes(n)))
    kv = b"".join(struct.pack("<Q", 7) + b"k%06d" % i + struct.pack("<IB", 0, 1) for i in range(n))
    info = b"".join(struct.pack("<Q", 7) + b"t%06d" % i + struct.pack("<IQIQ", 1, 8, 0, 32 * i) for i in range(n))
    head = b"GGUF" + struct.pack("<IQQ", 3, n, n) + kv + info
    (tmp_path / "x.gguf").write_bytes(head + bytes(-len(head) % 32) + bytes(32 * n))
    for name in ("x.safetensors", "x.gguf"):
        out = dump("check", tmp_path / name).decode().split("\t")
        assert out[0] == "0", out
