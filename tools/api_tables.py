#!/usr/bin/env python3
"""Puts the tables that the program prints into docs/API.md: between `<!-- wick config NAME -->` and `<!-- end -->`.

    tools/api_tables.py [WICK]     rewrites the file; --check: says whether it is up to date instead (exit status 1: it is not)
"""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
doc = root / "docs/API.md"
args = [a for a in sys.argv[1:] if a != "--check"]
wick = args[0] if args else str(root / "build/release/wick")


def table(m):
    made = subprocess.run([wick, "config", m[1]], capture_output=True, text=True, check=True).stdout
    return f"<!-- wick config {m[1]} -->\n{made}<!-- end -->"


old = doc.read_text()
new = re.sub(r"<!-- wick config ([a-z]+) -->\n.*?<!-- end -->", table, old, flags=re.S)
if "--check" in sys.argv:
    sys.exit(old != new)
doc.write_text(new)
