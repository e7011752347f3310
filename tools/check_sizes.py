#!/usr/bin/env python3
"""Files of at most 900 lines, functions of at most 120, lines of at most 120 columns; tabs and trailing blanks nowhere, no
unfinished-work marks."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
MAX_FILE, MAX_FUNCTION, MAX_COLUMNS = 900, 120, 120
files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "src", "include", "fuzz", "examples", "bench"], cwd=root, capture_output=True, text=True, check=True)
bad = 0


def complain(where, what):
    global bad
    bad += 1
    print(f"{where}: {what}")


for name in files.stdout.split():
    path = root / name
    if path.suffix not in (".c", ".h", ".cpp") or not path.exists():
        continue
    lines = path.read_text().split("\n")
    if len(lines) - 1 > MAX_FILE:
        complain(name, f"{len(lines) - 1} lines, at most {MAX_FILE}")
    start = None
    for n, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            complain(f"{name}:{n}", f"{len(line)} columns, at most {MAX_COLUMNS}")
        if "\t" in line:
            complain(f"{name}:{n}", "tab")
        if line != line.rstrip():
            complain(f"{name}:{n}", "trailing blank")
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            complain(f"{name}:{n}", "unfinished work belongs in an issue")
        if line == "{":
            start = n
        elif line == "}" and start:
            if n - start > MAX_FUNCTION:
                complain(f"{name}:{start}", f"function of {n - start} lines, at most {MAX_FUNCTION}")
            start = None
sys.exit(1 if bad else 0)
