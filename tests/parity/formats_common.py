"""What the tests of file formats share: the dump program and a few file writers."""

import json
import os
import pathlib
import struct
import subprocess

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I8": np.int8, "I16": np.int16, "I32": np.int32,
         "I64": np.int64, "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64, "BOOL": np.bool_}


def find_dump():
    """The program of $WICK_DUMP, else the newest one of the build folders."""
    if os.environ.get("WICK_DUMP"):
        return os.environ["WICK_DUMP"]
    found = sorted(ROOT.glob("build/**/tests/tools/wick_dump"), key=lambda p: p.stat().st_mtime)
    if not found:
        pytest.skip("wick_dump is not built")
    return str(found[-1])


def dump(*args, data=None, fails=False):
    r = subprocess.run([find_dump(), *map(str, args)], input=data, capture_output=True, timeout=60)
    if fails:
        assert 1 <= r.returncode < 127 and r.stderr.count(b"\n") == 1, (r.returncode, r.stderr)
        return r.returncode, r.stderr.decode()
    assert r.returncode == 0, r.stderr.decode()
    return r.stdout


def directory(path):
    return json.loads(dump("json", path))


def array(path, name, dtype):
    return np.frombuffer(dump("raw", path, name), dtype=dtype)


def f32(path, name):
    return np.frombuffer(dump("f32", path, name), dtype=np.float32)


def safetensors_bytes(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
