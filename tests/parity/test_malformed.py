"""Damaged and hostile files: each gets a typed, one-line error; none crashes, hangs, or takes much memory."""

import os
import pathlib
import subprocess
import sys

import pytest

from formats_common import ROOT, dump, find_dump

sys.path.insert(0, str(ROOT / "tests" / "tools"))
import malformed  # noqa: E402

BATCH = 40
SEED = int(os.environ.get("WICK_TEST_SEED", "1"))


def check(paths):
    """{path: (status, peak KiB, message)} of one process; a crash shows as a missing path."""
    r = subprocess.run([find_dump(), "check", *paths], capture_output=True, timeout=20)
    out = {}
    for line in r.stdout.decode().splitlines():
        status, path, peak, message = line.split("\t")
        out[path] = int(status), int(peak), message
    lost = [p for p in paths if p not in out]
    assert r.returncode == 0 and not lost, f"{lost[:1]} exit {r.returncode}: {r.stderr.decode()[-3000:]}"
    return out


@pytest.mark.parametrize("fmt", malformed.FORMATS)
def test_malformed(tmp_path, fmt):
    files = malformed.write(tmp_path, fmt, SEED)
    assert len(files) >= 350
    paths, accepted, vague = list(files), [], []
    for i in range(0, len(paths), BATCH):
        for path, (status, peak, message) in check(paths[i:i + BATCH]).items():
            size = pathlib.Path(path).stat().st_size
            if status == 0:
                accepted += [path] if files[path] else []
                continue
            assert status in (3, 4, 5, 11), (path, status, message)
            if pathlib.Path(path).name not in message or "\n" in message or len(message) < 20:
                vague.append((path, message))
            if "ASAN_OPTIONS" not in os.environ:
                assert peak * 1024 <= size + (256 << 20), (path, peak)
    assert not accepted, accepted
    assert not vague, vague


def test_exit_code_and_stderr(tmp_path):
    for fmt in malformed.FORMATS:
        for path in list(malformed.write(tmp_path / fmt, fmt, SEED, 0))[::97]:
            r = subprocess.run([find_dump(), "json", path], capture_output=True, timeout=20)
            assert 0 <= r.returncode < 127
            assert r.returncode == 0 or r.stderr.count(b"\n") == 1


def test_a_good_file_of_each_format_is_read(tmp_path):
    """The cases above are damaged versions of these."""
    good = {"gguf": bytes(malformed.gguf_file().data), "npz": bytes(malformed.zip_fields([(b"a.npy", malformed.npy())], zip64=True).data),
            "safetensors": malformed.st({"a": malformed.entry()}, bytes(16))}
    for fmt, data in good.items():
        (tmp_path / f"x.{fmt}").write_bytes(data)
        dump("json", tmp_path / f"x.{fmt}")
