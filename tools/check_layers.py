#!/usr/bin/env python3
"""Every `#include "layer/file.h"` under src/ against the table in tools/layers.txt."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
may = {}
for line in (root / "tools/layers.txt").read_text().splitlines():
    if line and not line.startswith("#"):
        name, deps = line.split(":")
        may[name] = set(deps.split()) | {name}

# Leaves of the public API that the layer itself may see.
public = {"base": {"wick/error.h"}, "capi": {"wick/wick.h", "wick/error.h"}, "mcp": {"wick/mcp.h", "wick/error.h"}}


def layer_of(path):
    """The longest layer name that is a folder of `path` (which is relative to src/)."""
    parts = path.split("/")[:-1]
    for n in range(len(parts), 0, -1):
        if "/".join(parts[:n]) in may:
            return "/".join(parts[:n])
    return None


bad = 0
for f in sorted((root / "src").rglob("*.[ch]")):
    rel = f.relative_to(root / "src").as_posix()
    layer = layer_of(rel)
    if layer is None:
        print(f"{rel}: its folder is not in tools/layers.txt")
        bad += 1
        continue
    for n, line in enumerate(f.read_text().splitlines(), 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not m:
            continue
        inc = m.group(1)
        if inc.startswith("wick/"):
            if inc not in public.get(layer, set()):
                print(f"{rel}:{n}: {layer} may not include {inc}")
                bad += 1
            continue
        target = layer_of(inc)
        if target is None:
            print(f'{rel}:{n}: write includes from src/: "{inc}"')
            bad += 1
        elif target not in may[layer]:
            print(f"{rel}:{n}: {layer} may not include {inc}")
            bad += 1
sys.exit(1 if bad else 0)
