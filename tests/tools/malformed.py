"""Damaged and hostile model files, made from a seed: malformed.py FOLDER [--seed N] [--random N].

Each case is (name, bytes, must_fail). Fields of a good file are set to extreme values, the file is cut at every
boundary, and the classes of attack known from other readers are written by hand. Cases that may still be good files
(a mutation that changes only data) have must_fail = False: for those only "no crash" counts.
"""

import argparse
import io
import json
import pathlib
import random
import struct
import zipfile
import zlib

import numpy as np

WRAP = [4194305, 4194305, 211106198978564]  # the product is small modulo 2^64
U64 = [0, 1, 2, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 33, 2**64 - 32, 2**64 - 1]
U32 = [0, 1, 2, 7, 255, 65535, 2**31 - 1, 2**31, 2**32 - 32, 2**32 - 1]
U16 = [0, 1, 7, 255, 32767, 32768, 65535]


class Fields:
    """Bytes with marks: where each field lies and of which kind it is."""

    def __init__(self):
        self.data = bytearray()
        self.marks = []

    def put(self, name, fmt, value):
        self.marks.append((name, len(self.data), fmt))
        self.data += struct.pack("<" + fmt, value)

    def raw(self, b):
        self.data += b

    def mutations(self, keep=()):
        """Each field at each extreme value; `keep`: names of fields whose change may leave a good file."""
        values = {"Q": U64, "I": U32, "H": U16, "B": [0, 1, 2, 127, 128, 255]}
        for i, (name, at, fmt) in enumerate(self.marks):
            size = struct.calcsize("<" + fmt)
            for v in values[fmt]:
                b = bytearray(self.data)
                struct.pack_into("<" + fmt, b, at, v)
                if b != self.data:
                    yield f"field_{name}_{i}_{v:x}", bytes(b), not any(name.startswith(k) for k in keep)
            del size

    def truncations(self):
        cuts = {0, 1, 3, len(self.data) - 1} | {at + d for _, at, _ in self.marks for d in (-1, 0, 1)}
        for cut in sorted(c for c in cuts if 0 <= c < len(self.data)):
            yield f"cut_{cut}", bytes(self.data[:cut]), True


def random_damage(good, rng, count):
    for i in range(count):
        b = bytearray(good)
        for _ in range(rng.choice([1, 1, 2, 8])):
            at = rng.randrange(min(len(b), 1024)) if rng.random() < 0.7 else rng.randrange(len(b))
            kind = rng.randrange(4)
            if kind == 0:
                b[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                b[at] = rng.choice([0, 1, 127, 128, 255])
            elif kind == 2:
                del b[at:at + rng.randrange(1, 9)]
            else:
                b[at:at] = rng.randbytes(rng.randrange(1, 9))
        yield f"random_{i}", bytes(b), False


# ---- GGUF


def gguf_str(f, name, s):
    f.put(name + "_len", "Q", len(s))
    f.raw(s)


def gguf_kv(f, key, type_, payload=b"", parts=()):
    gguf_str(f, "key", key)
    f.put("type", "I", type_)
    for name, fmt, value in parts:
        if fmt is None:
            f.raw(value)
        else:
            f.put(name, fmt, value)
    f.raw(payload)


def gguf_file(n_tensors=None, n_kv=None, alignment=32, align_type=4, kvs=(), tensors=None, version=3, data=None, tail=b""):
    """tensors: (name, dims innermost first, ggml type, offset)"""
    f = Fields()
    tensors = [(b"a.weight", (32, 2), 2, 0), (b"b.weight", (4, 2, 2), 0, 64), (b"c", (8,), 1, 128)] if tensors is None else tensors
    f.raw(b"GGUF")
    f.put("version", "I", version)
    f.put("n_tensors", "Q", len(tensors) if n_tensors is None else n_tensors)
    f.put("n_kv", "Q", (6 if align_type is not None else 5) + len(kvs) if n_kv is None else n_kv)
    gguf_kv(f, b"general.architecture", 8, b"llama", [("value_len", "Q", 5)])
    if align_type is not None:
        gguf_kv(f, b"general.alignment", align_type, b"", [("alignment", {4: "I", 10: "Q", 2: "H", 0: "B"}[align_type], alignment)])
    gguf_kv(f, b"block_count", 4, struct.pack("<I", 2))
    gguf_kv(f, b"tokens", 9, b"", [("elem", "I", 8), ("array_n", "Q", 2), ("s_len", "Q", 1), ("", None, b"a"), ("s_len", "Q", 2), ("", None, b"bc")])
    gguf_kv(f, b"scores", 9, struct.pack("<ff", 1, 2), [("elem", "I", 6), ("array_n", "Q", 2)])
    gguf_kv(f, b"flag", 7, b"", [("bool", "B", 1)])
    for kv in kvs:
        gguf_kv(f, *kv)
    for name, dims, type_, offset in tensors:
        gguf_str(f, "name", name)
        f.put("n_dims", "I", len(dims))
        for d in dims:
            f.put("dim", "Q", d)
        f.put("ggml_type", "I", type_)
        f.put("offset", "Q", offset)
    f.raw(bytes(-len(f.data) % (alignment if 0 < alignment <= 4096 else 32)))
    f.raw(bytes(range(144)) if data is None else data)
    f.raw(tail)
    return f


def gguf_nested(depth):
    return struct.pack("<IQ", 9, 1) * depth + struct.pack("<IQ", 4, 0)


def gguf_cases(rng, n_random):
    good = gguf_file()
    # a changed value may leave a good file, a type may happen to read on at the same place, and fewer or smaller
    # tensors at the end leave a rest that readers of GGUF allow
    yield from good.mutations(keep=("bool", "version", "elem", "offset", "type", "alignment", "ggml_type", "n_tensors", "dim"))
    yield from good.truncations()
    yield from random_damage(bytes(good.data), rng, n_random)

    def case(name, must_fail=True, **kw):
        return name, bytes(gguf_file(**kw).data), must_fail

    for v in (0, 1, 4, 5, 100, 0x03000000, 0x02000000, 2**32 - 1):
        yield case(f"version_{v:x}", version=v)
    for a in (0, 1, 2, 3, 4, 7, 24, 31, 33, 48, 2**21, 2**24, 2**31, 2**32 - 1):
        yield case(f"alignment_{a}", alignment=a)
    for t, a in ((10, 32), (2, 32), (0, 32), (10, 2**63), (10, 2**40)):
        yield case(f"alignment_type_{t}_{a}", align_type=t, alignment=a)
    a32 = (b"a", (32,), 0, 0)
    for i, dims in enumerate([tuple(WRAP), (2**32, 2**32), (2**63, 2), (2**62, 4), (2**61, 8), (0,), (4, 0), (0, 2**63), (2**64 - 1,), (2**63,), (33,), (1, 2**60),
                              (2**31, 2**31, 2**2), (2**16, 2**16, 2**16, 2**16), (1,) * 5, (), (1,) * 100]):
        for type_ in (0, 1, 2, 8, 12, 30):
            if dims == (33,) and type_ in (0, 1, 30):
                continue
            yield case(f"dims_{i}_{type_}", tensors=[(b"a", dims, type_, 0)])
    for i, offset in enumerate([1, 16, 31, 33, 2**63, 2**64 - 32, 2**64 - 64, 2**32, 160, 4096, 2**62]):
        yield case(f"offset_{i}", tensors=[(b"a", (32,), 0, offset)])
    yield case("hole", tensors=[a32, (b"b", (4,), 0, 256)], data=bytes(512))
    yield case("hole_first", tensors=[(b"a", (32,), 0, 32)], data=bytes(512))
    yield case("overlap", tensors=[a32, (b"b", (32,), 0, 32)])
    yield case("overlap_same", tensors=[a32, (b"b", (32,), 0, 0)])
    yield case("overlap_inside", tensors=[(b"b", (4,), 0, 64), a32])
    yield case("twice", tensors=[(b"a", (4,), 0, 0), (b"a", (4,), 0, 32)])
    for t in (4, 5, 31, 32, 33, 36, 37, 38, 41, 42, 100, 255, 2**31, 2**32 - 1):
        yield case(f"ggml_type_{t}", tensors=[(b"a", (32,), t, 0)])
    for i, name in enumerate([b"", b"\xff\xfe", b"a\0b", b"\x1b[2J", b"x" * 513, b"x" * 5000, b"a\nb", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\x7f"]):
        yield case(f"tensor_name_{i}", tensors=[(name, (4,), 0, 0)])
    for i, key in enumerate([b"", b"\xff", b"a\0b", b"general.architecture", b"tokens", b"k" * 70000, b"\xc3\x28"]):
        yield case(f"key_{i}", kvs=[(key, 4, struct.pack("<I", 1))])
    for t in (13, 14, 100, 255, 2**31, 2**32 - 1):
        yield case(f"kv_type_{t}", kvs=[(b"k", t, bytes(8))])
        yield case(f"elem_type_{t}", kvs=[(b"k", 9, struct.pack("<IQ", t, 1) + bytes(16))])
    for t in range(13):
        for n in (2**32, 2**61, 2**62, 2**63, 2**64 - 1, 1000):
            yield case(f"array_{t}_{n:x}", kvs=[(b"k", 9, struct.pack("<IQ", t, n))])
    for depth in (2, 8, 9, 10, 100, 10000):
        yield case(f"nested_{depth}", depth > 8, kvs=[(b"k", 9, gguf_nested(depth))])
    yield case("nested_wide", kvs=[(b"k", 9, struct.pack("<IQ", 9, 2**60))])
    yield case("bool_2", kvs=[(b"k", 7, b"\2")])
    yield case("bool_array_2", kvs=[(b"k", 9, struct.pack("<IQ", 7, 2) + b"\1\2")])
    for v in (2**63, 2**64 - 1):
        yield case(f"u64_{v:x}", kvs=[(b"k", 10, struct.pack("<Q", v))])
    for n in U64[5:]:
        yield case(f"string_{n:x}", kvs=[(b"k", 8, struct.pack("<Q", n))])
        yield case(f"n_tensors_{n:x}", n_tensors=n)
        yield case(f"n_kv_{n:x}", n_kv=n)
    for count, no, total in ((2, 0, 3), (2, 1, 3), (0xFFFF, 0, 3), (1, 0, 99), (3, 7, 3), (1, 1, 3)):
        yield case(f"split_{count}_{no}_{total}", kvs=[(b"split.count", 2, struct.pack("<H", count)), (b"split.no", 2, struct.pack("<H", no)),
                                                      (b"split.tensors.count", 5, struct.pack("<i", total))])
    yield case("split_string", kvs=[(b"split.count", 8, struct.pack("<Q", 1) + b"2")])
    yield case("split_negative", kvs=[(b"split.count", 5, struct.pack("<i", -1))])
    yield case("no_data", data=b"")
    for magic in (b"GGUE", b"gguf", b"FUGG", b"GGML", b"GGU\0", b"\0\0\0\0"):
        yield "magic_" + magic.hex(), magic + bytes(good.data[4:]), True
    yield "only_magic", b"GGUF", True
    # many small things: time must grow with the file, not with its square
    many = b"".join(struct.pack("<Q", 4) + b"k%03x" % (i % 4096) + struct.pack("<IB", 0, 1) for i in range(8192))
    yield "many_keys_twice", b"GGUF" + struct.pack("<IQQ", 3, 0, 8192) + many, True


# ---- safetensors


def st(header, data=b"", n=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if n is None else n) + text + data


def entry(dtype="F32", shape=(2, 2), begin=0, end=16, **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end], **more}


def safetensors_cases(rng, n_random):
    two = {"__metadata__": {"format": "pt"}, "a": entry(), "b": entry("BF16", (4,), 16, 24)}
    good = st(two, bytes(range(24)))
    for cut in range(len(good)):
        yield f"cut_{cut}", good[:cut], True
    yield from random_damage(good, rng, n_random)
    n = len(good) - 24 - 8
    for v in sorted({0, 1, 2, n - 1, n + 1, n + 24, n + 25, 100_000_000, 100_000_001, *U64}):
        if v != n:
            yield f"header_len_{v:x}", struct.pack("<Q", v) + good[8:], True

    def one(name, e, size=16, must_fail=True):
        return name, st({"a": e} if isinstance(e, dict) else b'{"a":' + e + b"}", bytes(size)), must_fail

    bad_numbers = [b"-1", b"1.0", b"1e2", b"01", b'"2"', b"null", b"true", b"[]", b"{}", b"18446744073709551616", b"9" * 400, b"1.5", b"+1", b"0x2", b"NaN", b"-0", b"1E0", b" ", b""]
    for i, v in enumerate(bad_numbers):
        yield one(f"shape_value_{i}", b'{"dtype":"F32","shape":[' + v + b',2],"data_offsets":[0,16]}')
        yield one(f"begin_{i}", b'{"dtype":"F32","shape":[2,2],"data_offsets":[' + v + b",16]}")
        yield one(f"end_{i}", b'{"dtype":"F32","shape":[2,2],"data_offsets":[0,' + v + b"]}")
        if v not in (b"{}", b"null"):
            yield f"metadata_{i}", st(b'{"__metadata__":' + v + b',"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}', bytes(16)), True
        yield f"metadata_value_{i}", st(b'{"__metadata__":{"k":' + v + b'},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}', bytes(16)), v != b'"2"'
    for i, shape in enumerate([WRAP, [2**32, 2**32], [2**63, 2], [2**64 - 1], [2**62, 4], [0, 2**63, 2**63], [2**61, 8], [2, 2, 2], [4, 2], [3], [], [2**64], [-4, -1], [1] * 7, [1] * 1000]):
        for end in (0, 16, 4):
            fits = shape == [] and end == 4
            yield one(f"shape_{i}_{end}", entry(shape=shape, end=end), end, not fits)
    for i, (b, e) in enumerate([(0, 15), (0, 17), (1, 17), (16, 0), (16, 32), (2**63, 2**63 + 16), (2**64 - 16, 2**64), (2**64 - 8, 8), (0, 2**64 - 1), (8, 24), (2**32, 2**32 + 16), (4, 4), (16, 16)]):
        yield one(f"offsets_{i}", entry(begin=b, end=e))
    for i, text in enumerate([b"[0]", b"[0,16,16]", b"[]", b"16", b"{}", b"[[0,16]]", b"[0 16]", b"[0,16", b"[0,]", b"[,16]", b"[0,16,]"]):
        yield one(f"offsets_form_{i}", b'{"dtype":"F32","shape":[2,2],"data_offsets":' + text + b"}")
        yield one(f"shape_form_{i}", b'{"dtype":"F32","shape":' + text.replace(b"16", b"x") + b',"data_offsets":[0,16]}')
    for i, dtype in enumerate(["", "f32", "F32 ", "F33", "FLOAT", "Q4_0", "F4", "C64", "I128", "F32\0", "x" * 5000, "\u001b[2J", "BF16"]):
        yield one(f"dtype_{i}", entry(dtype))
    for i, v in enumerate([b"1", b"null", b"[]", b"{}", b"F32", b"'F32'", b'"F32']):
        yield one(f"dtype_form_{i}", b'{"dtype":' + v + b',"shape":[2,2],"data_offsets":[0,16]}')
    for k in ("dtype", "shape", "data_offsets"):
        e = entry()
        del e[k]
        yield one(f"without_{k}", e)
        text = json.dumps(entry()).encode()
        again = json.dumps({k: entry()[k]}).encode()[1:-1]
        yield one(f"twice_{k}", text[:-1] + b"," + again + b"}")
    e = json.dumps(entry()).encode()
    yield "name_twice", st(b'{"a":' + e + b',"a":' + e + b"}", bytes(16)), True
    yield "name_twice_escaped", st(b'{"a":' + e + b',"\\u0061":' + e + b"}", bytes(16)), True
    yield "metadata_twice", st(b'{"__metadata__":{},"__metadata__":{},"a":' + e + b"}", bytes(16)), True
    for i, (a, b) in enumerate([((0, 16), (8, 24)), ((0, 16), (0, 16)), ((0, 16), (4, 20)), ((8, 24), (0, 16)), ((0, 16), (20, 36)), ((4, 20), (20, 36)), ((0, 16), (16, 33))]):
        yield f"layout_{i}", st({"a": entry(begin=a[0], end=a[1]), "b": entry(begin=b[0], end=b[1])}, bytes(max(a[1], b[1]))), True
    yield "hole_zero_size", st({"a": entry(), "b": entry("F32", (0,), 40, 40)}, bytes(16)), True
    yield "rest_after", st({"a": entry()}, bytes(17)), True
    yield "rest_without_tensors", st({}, bytes(1)), True
    names = [b"", b"\xff", b"\xc3\x28", b"a\\u0000b", b"a\0b", b"\x1b[2J", b"\\u001b", b"x" * 513, b"x" * 100000, b"\\ud800", b"\\udc00", b"\\ud800\\u0041", b"\\x41", b"\\", b"\\u12", b"\\uzzzz", b"\n", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\u007f"]
    for i, name in enumerate(names):
        yield f"name_{i}", st(b'{"' + name + b'":' + e + b"}", bytes(16)), True
    for depth in (33, 100, 1000, 100_000, 1_000_000):
        for o, c in ((b"[", b"]"), (b'{"a":', b"}")):
            yield f"deep_{depth}_{len(o)}", st(b'{"a":{"x":' + o * depth + b"1" + c * depth + b',"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}', bytes(16)), True
            yield f"deep_open_{depth}_{len(o)}", st(b'{"a":' + o * depth, b""), True
    forms = [b"[]", b"null", b"1", b'"x"', b" {}", b"\n{}", b"\xef\xbb\xbf{}", b"{", b"}", b"{]", b"{,}", b'{"a"}', b'{"a":}', b'{"a":1}', b'{"a":[]}', b'{"a":null}', b"{a:1}", b"{'a':1}", b"{}{}", b"{} x", b"{}\0",
             b'{"a":' + e, b'{"a":' + e + b",}", b'{"a" ' + e + b"}", b'{"a":' + e + b"]", b'{"a":' + e + b"}}", b"{/**/}", b'{"a":' + e + b";}"]
    for i, text in enumerate(forms):
        yield f"form_{i}", st(text, bytes(16) if b"dtype" in text else b""), True
    for i, v in enumerate([b"tru", b"nul", b"-", b"1.2.3x", b"[1", b"{1:2}", b'{"a" 1}', b"[1 2]", b"undefined"]):
        yield one(f"extra_value_{i}", b'{"x":' + v + b',"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}')
    yield "utf16", st(json.dumps(two).encode("utf-16"), bytes(24)), True


# ---- NPZ


def npy(descr="'<f4'", order="False", shape="(2, 2)", data=bytes(16), version=1, text=None, length=None, magic=b"\x93NUMPY", minor=0):
    t = (f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}" if text is None else text).encode("latin-1")
    t += b" " * (-(len(t) + 11) % 16) + b"\n"
    n = len(t) if length is None else length
    return magic + bytes([version, minor]) + (struct.pack("<H", n & 0xFFFF) if version == 1 else struct.pack("<I", n)) + t + data


def zip_fields(members, zip64=False, **end):
    """A stored archive with marks; members: (name, data), optional overrides in a dict as the third."""
    f = Fields()
    central = Fields()
    for m in members:
        name, data = m[0], m[1]
        o = m[2] if len(m) > 2 else {}
        packed = o.get("packed", data)
        at = len(f.data)
        crc = o.get("crc", zlib.crc32(data))
        method = o.get("method", 0)
        big = zip64 and struct.pack("<HHQQ", 1, 16, len(data), len(packed))
        size, n_packed = (0xFFFFFFFF, 0xFFFFFFFF) if zip64 else (o.get("size", len(data)), o.get("n_packed", len(packed)))
        for g, sig in ((f, b"PK\3\4"), (central, b"PK\1\2")):
            kind = "l" if g is f else "c"
            g.raw(sig)
            if g is central:
                g.raw(struct.pack("<H", 45))
            g.raw(struct.pack("<H", 45))
            g.put(kind + "flags", "H", o.get("flags", 0))
            g.put(kind + "method", "H", o.get("lmethod", method) if g is f else method)
            g.raw(struct.pack("<HH", 0, 33))
            g.put(kind + "crc", "I", crc)
            g.put(kind + "packed", "I", o.get("lpacked", n_packed) if g is f else n_packed)
            g.put(kind + "size", "I", o.get("lsize", size) if g is f else size)
            g.put(kind + "nname", "H", len(name))
            g.put(kind + "nextra", "H", len(big or b""))
            if g is central:
                g.put("ccomment", "H", 0)
                g.put("cdisk", "H", 0)
                g.raw(bytes(6))
                g.put("coffset", "I", o.get("offset", at))
            g.raw(o.get("lname", name) if g is f else name)
            g.raw(big or b"")
        f.marks.append(("data", len(f.data), "B"))
        f.raw(packed)
    at = len(f.data)
    f.marks += [(n, p + at, k) for n, p, k in central.marks]
    f.raw(central.data)
    size = len(f.data) - at
    if zip64:
        at64 = len(f.data)
        f.raw(b"PK\6\6")
        for name, fmt, v in (("esize64", "Q", 44), ("vmade", "H", 45), ("vneed", "H", 45), ("edisk64", "I", 0), ("ecdisk64", "I", 0), ("ehere64", "Q", len(members)),
                             ("eall64", "Q", len(members)), ("ecsize64", "Q", size), ("ecat64", "Q", at)):
            f.put(name, fmt, v)
        f.raw(b"PK\6\7")
        f.put("locdisk", "I", 0)
        f.put("locat", "Q", at64)
        f.put("locdisks", "I", 1)
    f.raw(b"PK\5\6")
    for name, fmt, v in (("edisk", "H", 0), ("ecdisk", "H", 0), ("ehere", "H", len(members)), ("eall", "H", len(members)), ("ecsize", "I", size), ("ecat", "I", at), ("ecomment", "H", 0)):
        f.put(name, fmt, end.get(name, v))
    return f


def deflate(b):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return c.compress(b) + c.flush()


def npz_cases(rng, n_random):
    good = zip_fields([(b"a.npy", npy()), (b"b.npy", npy("'<V2'", data=bytes(8)))])
    keep = ("data", "vmade", "vneed", "cdisk", "edisk", "ecdisk", "lflags", "cflags", "locdisks", "ccomment")
    yield from good.mutations(keep=keep)
    yield from good.truncations()
    big = zip_fields([(b"a.npy", npy())], zip64=True)
    saturated = ("_ecsize_", "_ecat_", "_ehere_", "_eall_")  # at their maximum these refer to the zip64 record
    yield from ((f"z64_{n}", b, m and not (n.endswith("ffff") and any(k in n for k in saturated))) for n, b, m in big.mutations(keep=keep))
    yield from ((f"z64_{n}", b, m) for n, b, m in big.truncations())
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.arange(300, dtype=np.float32), b=np.ones((3, 4), np.float16))
    yield from random_damage(buffer.getvalue(), rng, n_random // 2)
    yield from random_damage(bytes(good.data), rng, n_random // 2)

    def one(case, data, must_fail=True, member=b"a.npy", **o):
        return case, bytes(zip_fields([(member, data, o)]).data), must_fail

    for i, shape in enumerate(["(2, 3)", "(2,)", "()", "(-2, -2)", "(4)", "[2, 2]", "(2.0, 2)", "(2, 2", "2, 2)", "(,)", "(2 2)", "(02, 2)", "(0x2, 2)", "('2', 2)", "(None,)", "None", f"({','.join(map(str, WRAP))})",
                               "(4294967296, 4294967296)", "(9223372036854775808, 2)", "(18446744073709551615,)", "(18446744073709551616,)", "(0, 9223372036854775807, 9223372036854775807)", "(1,1,1,1,1,1,4)",
                               "(" + "1," * 5000 + ")", "(" * 5000, "(2, 2), 'shape': (2, 2)", "(2L, 2L)"]):
        yield one(f"npy_shape_{i}", npy(shape=shape))
        yield one(f"npy_shape_packed_{i}", npy(shape=shape), packed=deflate(npy(shape=shape)), method=8)
    for i, descr in enumerate(["'>f4'", "'|O'", "'<U4'", "'|S16'", "'<c8'", "'<f16'", "'<f3'", "'f4'", "''", "'<'", "None", "4", "[('a', '<f4')]", "'<M8[s]'", "'|V4'", "'|V16'", "'<V3'", "\"<f4'", "'<f4", "'\\x3cf4'", "'" + "x" * 9000 + "'", "'<f8'", "'<f2'", "'\x1b[2J'"]):
        yield one(f"npy_descr_{i}", npy(descr))
    for i, order in enumerate(["0", "1", "None", "'False'", "false", "Truex", ""]):
        yield one(f"npy_order_{i}", npy(order=order))
    for i, text in enumerate(["", "{", "}", "{}", "[]", "{'descr': '<f4'}", "{'shape': (2, 2)}", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)} x", "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}",
                              "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), 'x': 1}", "__import__('os').system('id')", "{'descr' '<f4', 'fortran_order': False, 'shape': (2, 2)}", "{'descr': '<f4' 'fortran_order': False, 'shape': (2, 2)}",
                              "{'descr': '<f4',, 'fortran_order': False, 'shape': (2, 2)}", "{" * 3000, "{'a': {'b': " * 1000]):
        yield one(f"npy_text_{i}", npy(text=text))
    for v in (0, 2, 4, 9, 255):
        yield one(f"npy_version_{v}", npy(version=v), v != 2)
    for n in (0, 1, 2, 10, 65535, 2**31, 2**32 - 1):
        for version in (1, 2, 3):
            yield one(f"npy_length_{version}_{n:x}", npy(version=version, length=n))
    for i, magic in enumerate([b"\x93NUMPX", b"\0NUMPY", b"NUMPY\x93", b"\x93numpy"]):
        yield one(f"npy_magic_{i}", npy(magic=magic))
    whole = npy()
    for cut in (0, 1, 6, 8, 10, 11, 12, 40, len(whole) - 17, len(whole) - 16, len(whole) - 1):
        yield one(f"npy_cut_{cut}", whole[:cut])
        yield one(f"npy_cut_packed_{cut}", whole[:cut], packed=deflate(whole[:cut]), method=8)
    yield one("npy_longer", whole + b"x")
    for name in (b"", b"/a.npy", b"../a.npy", b"a/../../b.npy", b"..\\a.npy", b"C:\\a.npy", b"C:a.npy", b"a\0.npy", b"\xff.npy", b"a\x1b[2J.npy", b".npy", b"a.txt", b"a/", b"..", b"x" * 600 + b".npy", b"a\n.npy", b"\\\\host\\a.npy"):
        yield one("name_" + name[:12].hex(), whole, member=name)
    for method in (1, 2, 3, 6, 9, 12, 14, 93, 95, 99, 65535):
        yield one(f"method_{method}", whole, method=method)
    for flags in (1, 0x40, 0x2000, 0x2041):
        yield one(f"encrypted_{flags:x}", whole, flags=flags)
    packed = deflate(whole)
    for i, p in enumerate([b"", b"\0", b"\xff" * 20, packed[:-1], packed[:5], packed + b"x", packed[:10] + b"\xff" + packed[11:], zlib.compress(whole), b"\7" * 40, b"\4" + bytes(30)]):
        yield one(f"deflate_{i}", whole, packed=p, method=8)
    for i, size in enumerate([0, 1, len(whole) - 1, len(whole) + 1, 2**20, 2**31, 2**32 - 2]):
        yield one(f"size_lie_{i}", whole, packed=packed, method=8, size=size, lsize=size)
        yield one(f"size_lie_stored_{i}", whole, size=size, lsize=size)
    yield one("crc_stored", whole, crc=1)
    yield one("crc_packed", whole, crc=1, packed=packed, method=8)
    yield one("local_method", whole, lmethod=8)
    yield one("local_name", whole, lname=b"b.npy")
    yield one("local_size", whole, lsize=3)
    for i, offset in enumerate([1, 4, 2**31, 2**32 - 2, len(whole)]):
        yield one(f"local_offset_{i}", whole, offset=offset)
    # bombs: a header that asks for gigabytes, and one block behind many names
    for i, n in enumerate((2**26, 2**29)):
        head = npy(shape=f"({n},)", data=b"")
        c = zlib.compressobj(9, zlib.DEFLATED, -15)
        body, chunk, crc = [c.compress(head)], bytes(1 << 20), zlib.crc32(head)
        for _ in range(4 * n >> 20 if i == 0 else 100):
            body.append(c.compress(chunk))
            crc = zlib.crc32(chunk, crc)
        body.append(c.flush())
        size = len(head) + 4 * n
        yield one(f"bomb_{i}", whole, packed=b"".join(body), method=8, size=size, lsize=size, crc=crc)
    f = zip_fields([(b"a.npy", whole), (b"b.npy", whole, {"offset": 0, "lname": b"b.npy"})])
    yield "overlap", bytes(f.data), True
    yield "twice", bytes(zip_fields([(b"a.npy", whole), (b"a.npy", whole)]).data), True
    yield "nested_zip", bytes(zip_fields([(b"a.npz", bytes(good.data))]).data), True
    for name in (b"archive/data.pkl", b"archive/data/0", b"word/document.xml"):
        yield "other_" + name[:9].hex() + str(len(name)), bytes(zip_fields([(name, whole)]).data), True
    for prefix in (b"MZ" + bytes(100), b"x"):
        yield "prefix_" + str(len(prefix)), prefix + bytes(good.data), True
    yield "end_only_lies", b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0), True
    with io.BytesIO() as b:
        with zipfile.ZipFile(b, "w") as z:
            z.mkdir("d") if hasattr(z, "mkdir") else z.writestr("d/", b"")
        yield "folder_member", b.getvalue(), True


FORMATS = {"gguf": gguf_cases, "safetensors": safetensors_cases, "npz": npz_cases}


def cases(fmt, seed=1, n_random=60):
    yield from FORMATS[fmt](random.Random(f"{fmt} {seed}"), n_random)


def write(folder, fmt, seed=1, n_random=60):
    """Writes the files; returns {path: must_fail}."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    out = {}
    for i, (name, data, must_fail) in enumerate(cases(fmt, seed, n_random)):
        path = folder / f"{i:04d}_{name[:60]}.{fmt}"
        path.write_bytes(data)
        out[str(path)] = must_fail
    return out


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("folder")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--random", type=int, default=60)
    a = p.parse_args()
    for fmt in FORMATS:
        print(fmt, len(write(pathlib.Path(a.folder) / fmt, fmt, a.seed, a.random)))
