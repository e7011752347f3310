#!/usr/bin/env python3
"""A word means one thing: no type or enumerator is defined in two headers of src, and no two files of src share a name,
unless tools/same-names.txt lists them (what plays the same part in different folders)."""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)


def names_of(path):
    """(kind, name) of each type and enumerator that the header defines; a type declared without its body does not count."""
    text = re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", without_comments(path.read_text(encoding="utf-8")), flags=re.M)
    for m in re.finditer(r"\b(?:struct|union|enum)\s+(\w+)\s*\{", text):
        yield "type", m.group(1)
    for m in re.finditer(r"\benum\b[^{};()]*\{([^{}]*)\}", text):
        for item in m.group(1).split(","):
            name = re.match(r"\s*(\w+)", item)
            if name:
                yield "enumerator", name.group(1)
    while True:
        less = re.sub(r"\{[^{}]*\}", "<body>", text)
        if less == text:
            break
        text = less
    for m in re.finditer(r"\btypedef\b([^;]*);", text):
        body = m.group(1)
        if re.fullmatch(r"\s+(struct|union|enum)\s+\w+\s+\w+", body):
            continue
        name = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", body) or re.search(r"(\w+)\s*(?:\[[^\]]*\])?\s*$", body)
        if name:
            yield "type", name.group(1)


def main():
    bad = 0
    listed = {}
    for line in (ROOT / "tools" / "same-names.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, where = line.partition(":")
            listed[name] = set(where.split())
    where = collections.defaultdict(set)
    for path in sorted((ROOT / "src").rglob("*.h")):
        rel = path.relative_to(ROOT / "src")
        if "binding" in rel.parts or "kernels" in rel.parts or rel.name.endswith("_test.h"):
            continue  # kernels/ are bodies that are included once per instruction set
        for kind, name in names_of(path):
            where[kind, name].add(str(rel))
    for (kind, name), headers in sorted(where.items()):
        if len(headers) > 1 and headers != listed.get(name):
            print(f"{kind} {name} is defined in {' and '.join(sorted(headers))}: two things need two names")
            bad += 1
    files = collections.defaultdict(set)
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        rel = path.relative_to(ROOT / "src")
        if "binding" not in rel.parts:
            files[rel.name].add(str(rel.parent))
    for name, folders in sorted(files.items()):
        if len(folders) > 1 and folders != listed.get(name):
            print(f"src has {len(folders)} files called {name} ({' '.join(sorted(folders))}): rename one, or list them in "
                  "tools/same-names.txt")
            bad += 1
    defined = {name for _, name in where}
    for name in sorted(listed):
        if len(files.get(name, ())) < 2 and name not in defined:
            print(f"tools/same-names.txt: nothing is called {name} twice")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
