#!/usr/bin/env python3
"""Line coverage per folder of src/ from gcov's JSON, unit tests only: coverage.py BUILD_DIR"""
import collections
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

build = pathlib.Path(sys.argv[1]).resolve()
hit = collections.defaultdict(dict)
with tempfile.TemporaryDirectory() as tmp:
    gcda = [str(p) for p in build.rglob("*.gcda") if "wick_l_" in str(p)]
    for i in range(0, len(gcda), 50):
        subprocess.run(["gcov", "--json-format", *gcda[i : i + 50]], cwd=tmp, capture_output=True, check=True)
        for f in pathlib.Path(tmp).glob("*.gcov.json.gz"):
            for entry in json.loads(gzip.decompress(f.read_bytes()))["files"]:
                name = entry["file"]
                name = "src/" + name.split("/src/", 1)[1] if "/src/" in name else name  # gcov puts a folder before it
                if not name.startswith("src/") or name.endswith("_test.c"):
                    continue
                for line in entry["lines"]:
                    n = line["line_number"]
                    hit[name][n] = max(hit[name].get(n, 0), line["count"])
            f.unlink()
folders = collections.defaultdict(lambda: [0, 0])
for name, lines in hit.items():
    for key in (name.rsplit("/", 1)[0], "total"):
        folders[key][0] += sum(1 for c in lines.values() if c)
        folders[key][1] += len(lines)
for key in sorted(folders, key=lambda k: (k == "total", k)):
    got, all_ = folders[key]
    print(f"coverage {key:<24} {100 * got / max(all_, 1):5.1f} %  {got}/{all_} lines")
