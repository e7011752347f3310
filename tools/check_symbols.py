#!/usr/bin/env python3
"""Every external symbol of the static library is wick_*; threads only where they belong; nothing below cli prints or exits."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
bad = 0
lib = root / (sys.argv[1] if len(sys.argv) > 1 else "build/release/libwick.a")
if lib.exists():
    out = subprocess.run(["nm", "-g", "--defined-only", str(lib)], capture_output=True, text=True, check=False).stdout
    for line in out.splitlines():
        m = re.match(r"[0-9a-f]+ [A-TV-Z] (\S+)", line)
        if m and not m.group(1).lstrip("_").startswith(("wick_", "asan", "gcov", "llvm", "DW.ref")):
            print(f"{lib.name}: external symbol {m.group(1)} is not wick_*")
            bad += 1

THREADS = re.compile(r"\bpthread_\w+\s*\(")
QUIET = re.compile(r"\b(printf|puts|putchar|exit|_exit|abort|getenv|setenv|secure_getenv)\s*\(")
for f in sorted((root / "src").rglob("*.c")):
    rel = f.relative_to(root / "src").as_posix()
    if rel.endswith("_test.c"):
        continue
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), f.read_text(), flags=re.S)
    for n, line in enumerate(text.splitlines(), 1):
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        if THREADS.search(code) and not rel.startswith(("base/", "backend/cpu/pool")):
            print(f"{rel}:{n}: threads belong to base/ and cpu/pool")
            bad += 1
        if QUIET.search(code) and not rel.startswith("cli/"):
            print(f"{rel}:{n}: nothing below cli prints, exits or reads the environment: {code.strip()}")
            bad += 1
sys.exit(1 if bad else 0)
