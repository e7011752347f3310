"""wick cache, and the packed weights that a start leaves for the next one."""
import os
import re
import shutil

import pytest

PROMPT = ["--tokens", "1,17,203,5", "--greedy", "6"]


@pytest.fixture()
def packs(tmp_path):
    return tmp_path / "packs"


def files(packs):
    return sorted(packs.glob("*.pack"))


def run(wick, model, packs, *args):
    """The answer of a start with this folder, and what it says about the folder."""
    r = wick.ok("logits", model, *PROMPT, "--json", "--verbose", "--pack-cache", packs, *args)
    return r.stdout, r.stderr


def test_second_start_maps_what_the_first_packed(wick, shell_model, packs):
    plain = wick.ok("logits", shell_model, *PROMPT, "--json", "--pack-cache", "off").stdout
    first, said = run(wick, shell_model, packs)
    assert first == plain and "not there yet" in said and "are kept in" in said
    assert len(files(packs)) == 1 and len(list(packs.iterdir())) == 1
    assert oct(files(packs)[0].stat().st_mode & 0o777) == "0o600"
    second, said = run(wick, shell_model, packs)
    assert second == plain and "bytes mapped" in said
    for precision in ("fine", "exact"):  # one packed form for all of them
        ref = wick.ok("logits", shell_model, *PROMPT, "--json", "--pack-cache", "off", "--precision", precision).stdout
        out, said = run(wick, shell_model, packs, "--precision", precision)
        assert out == ref and "bytes mapped" in said
    assert len(files(packs)) == 1


def test_damaged_files_are_packed_anew(wick, shell_model, packs):
    plain, _ = run(wick, shell_model, packs)
    path = files(packs)[0]
    good = path.read_bytes()
    for damage in (good[:100], good[:-1], b"\xff" + good[1:], good[:8200] + b"\xff" + good[8201:], good[:-70000] + b"\x55" * 64 + good[-69936:], b""):
        path.write_bytes(damage)
        out, said = run(wick, shell_model, packs)
        assert out == plain and "bytes mapped" not in said
        fresh = path.read_bytes()
        assert fresh[:4096] == good[:4096] and fresh[8192:] == good[8192:]  # between them: a note about the source
    path.write_bytes(good[:4100] + b"\xff" + good[4101:])
    out, said = run(wick, shell_model, packs)
    assert out == plain and "bytes mapped" in said


def test_changed_model_is_packed_anew(wick, shell_model, packs, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(shell_model, model)
    run(wick, model, packs)
    weights = model / "model.safetensors"
    before = weights.stat()
    data = bytearray(weights.read_bytes())
    at = 8 + int.from_bytes(data[:8], "little") + (len(data) // 3 // 4096 * 4096)
    for i in range(at, at + 4096, 7):
        data[i] ^= 0x11
    weights.write_bytes(data)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    plain = wick.ok("logits", model, *PROMPT, "--json", "--pack-cache", "off").stdout
    out, said = run(wick, model, packs)
    assert out == plain and "bytes mapped" not in said
    out, said = run(wick, model, packs)
    assert out == plain and "bytes mapped" in said


def test_a_copy_of_the_model_shares_them(wick, shell_model, packs, tmp_path):
    plain, _ = run(wick, shell_model, packs)
    model = tmp_path / "copy"
    shutil.copytree(shell_model, model)
    out, said = run(wick, model, packs)
    assert out == plain and "bytes mapped" in said


def test_small_models_are_kept_only_where_asked(wick, shell_model, tmp_path):
    wick.ok("logits", shell_model, *PROMPT, "--json")
    assert not (wick.home / ".cache/wick/packed").exists()


def test_a_folder_that_cannot_be_written_is_a_notice(wick, shell_model, tmp_path):
    (tmp_path / "file").write_text("x")
    r = wick.ok("logits", shell_model, *PROMPT, "--json", "--pack-cache", tmp_path / "file/packs")
    assert r.stderr.startswith("wick: packed weights are not kept") and r.stderr.count("\n") == 1
    assert wick.ok("logits", shell_model, *PROMPT, "--json", "-q", "--pack-cache", tmp_path / "file/packs").stderr == ""


def test_cache_commands(wick, shell_model, packs, tmp_path):
    cache = ("--pack-cache", packs)
    assert wick.ok("cache", "list", *cache).stdout == f"{packs}: nothing is kept\n"
    assert wick.json("cache", "list", *cache)["files"] == []
    run(wick, shell_model, packs)
    listed = wick.json("cache", "list", *cache)
    assert set(listed) == {"folder", "bytes", "limit_bytes", "files"} and len(listed["files"]) == 1
    one = listed["files"][0]
    assert one["model"] == str(shell_model / "model.safetensors") and one["state"] == "ok"
    assert one["bytes"] == files(packs)[0].stat().st_size == listed["bytes"] and one["name"] == files(packs)[0].name
    text = wick.ok("cache", "list", *cache).stdout
    assert re.search(rf"^{one['name'][:12]} .* ok .*{re.escape(one['model'])}$", text, re.M)
    assert wick.json("cache", "verify", *cache)["files"][0]["state"] == "ok"
    with open(files(packs)[0], "r+b") as f:
        f.seek(-1000, os.SEEK_END)
        byte = f.read(1)
        f.seek(-1000, os.SEEK_END)
        f.write(bytes([byte[0] ^ 1]))
    assert wick.json("cache", "list", *cache)["files"][0]["state"] == "ok"  # only its head is read
    r = wick("cache", "verify", *cache, "--json")
    assert r.returncode == 5 and '"damaged"' in r.stdout and "damaged: the weights" in r.stderr and r.stderr.count("\n") == 1
    assert wick.json("cache", "clear", tmp_path, *cache) == {"removed": 0, "bytes": 0}
    assert wick.json("cache", "clear", shell_model, *cache) == {"removed": 1, "bytes": one["bytes"]}
    assert files(packs) == []
    run(wick, shell_model, packs)
    assert "removed 1 file," in wick.ok("cache", "clear", one["name"][:12], *cache).stdout


def test_cache_errors(wick, packs):
    assert "list, clear, verify" in wick.fails(2, "cache", "drop", "--pack-cache", packs)
    assert "--pack-cache DIR" in wick.fails(2, "cache", "list", "--pack-cache", "off")
    assert "usage: wick cache" in wick.fails(2, "cache")


def test_least_recently_used_goes(wick, shell_model, cycle, packs):
    run(wick, shell_model, packs)
    size = files(packs)[0].stat().st_size
    _, said = run(wick, cycle("ab"), packs, "--pack-cache-limit", str(size + 4096))
    assert "the cache is full" in said
    assert len(files(packs)) == 1 and files(packs)[0].stat().st_size < size
