"""Shared by the grammar tests: the batch command as a function, and the official JSON Schema test suite."""
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build/grammar"
TOKENIZER = ROOT / "models/wick-shell"
URIS = {"draft4": "http://json-schema.org/draft-04/schema#", "draft6": "http://json-schema.org/draft-06/schema#",
        "draft7": "http://json-schema.org/draft-07/schema#", "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
        "draft2020-12": "https://json-schema.org/draft/2020-12/schema"}


def find_wick():
    path = os.environ.get("WICK_BIN") or str(ROOT / "build/release/wick")
    if not os.access(path, os.X_OK):
        pytest.skip("the wick program is not built (WICK_BIN)")
    return path


def batch(lines, tokenizer=TOKENIZER, *options, timeout=300):
    """Runs the lines through `wick grammar --batch`; returns the answers in order."""
    WORK.mkdir(parents=True, exist_ok=True)
    path = WORK / f"batch-{os.getpid()}.jsonl"
    path.write_text("".join(json.dumps(x) + "\n" for x in lines))
    try:
        r = subprocess.run([find_wick(), "grammar", "--tokenizer", str(tokenizer), "--batch", str(path), "--json", *options],
                           capture_output=True, text=True, timeout=timeout)
    finally:
        path.unlink()
    assert r.returncode == 0, r.stderr
    out = [json.loads(x) for x in r.stdout.splitlines()]
    assert [o["id"] for o in out] == [x["id"] for x in lines]
    return out


def suite_folder():
    """json/tests of jsonschema's source package, which holds the official suite; downloaded once, by name, into the build folder."""
    version = jsonschema.__version__
    folder = WORK / f"jsonschema-{version}/json/tests"
    if not folder.is_dir():
        WORK.mkdir(parents=True, exist_ok=True)
        r = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(WORK),
                            f"jsonschema=={version}"], capture_output=True, text=True)
        if r.returncode:
            pytest.skip("the source package of jsonschema cannot be downloaded: " + r.stderr.strip()[-200:])
        with tarfile.open(WORK / f"jsonschema-{version}.tar.gz") as t:
            t.extractall(WORK, filter="data")
    return folder


def suite(draft):
    """(file relative to the draft's folder, number in it, the case) for every case of a draft."""
    folder = suite_folder() / draft
    for path in sorted(folder.rglob("*.json")):
        for i, case in enumerate(json.loads(path.read_text())):
            yield path.relative_to(folder).as_posix(), i, case


def suite_line(draft, name, i, case):
    schema = case["schema"]
    if isinstance(schema, dict) and "$schema" not in schema:
        schema = {"$schema": URIS[draft], **schema}
    return {"id": f"{draft}/{name}#{i}", "type": "json_schema", "grammar": schema,
            "tests": [{"text": json.dumps(t["data"])} for t in case["tests"]]}
