#!/usr/bin/env python3
"""Wraps comments of C files at 120 columns: wrap_comments.py FILE... (clang-format leaves comments alone, and its own
re-wrapping would flow lists and tables together). What does not fit goes in front of the next line of the paragraph, below the
text of a list's item or of a table's last column; a comment behind code that has no room goes above it. Code is never touched."""
import re
import sys

WIDTH = 120


def continuation(lead, text):
    """What a continuation of a line begins with."""
    base = lead.replace("/*", " *")
    m = re.match(r"(\d+\.|\(\d+\)|-)\s+", text) or re.match(r"(\S.{0,40}?\S?)(\s{2,})(?=\S)", text)
    return base + " " * m.end() if m and m.end() < 50 else base


def begins_something(text):
    return not text or bool(re.match(r"(\d+\.|\(\d+\)|-|\*|@)\s?", text) or re.search(r"\S\s{3,}\S", text))


def split(text, room):
    cut = text.rfind(" ", 0, room + 1)
    while cut > 0 and text[cut:].strip() == "*/":
        cut = text.rfind(" ", 0, cut)
    return (text[:cut].rstrip(), text[cut:].strip()) if cut > 0 else (text, "")


def wrap_line(lines, i, starts):
    """Shortens lines[i], a line of a comment of several lines, by giving what is too much to the next one."""
    lead, text = re.match(r"^(\s*(?:/\*|\*)\s*)(.*)$", lines[i]).groups()
    keep, rest = split(text, WIDTH - len(lead))
    if not rest:
        return
    more = continuation(lead, text)
    if starts:
        more = re.match(r"^\s*", lines[i]).group(0) + " * " + " " * (len(more) - len(lead.replace("/*", " *")))
    lines[i] = lead + keep
    nxt = re.match(r"^(\s*\*\s*)(.*)$", lines[i + 1]) if i + 1 < len(lines) else None
    goes_on = nxt and not text.endswith("*/") and nxt.group(2) != "/" and not begins_something(nxt.group(2))
    if goes_on and len(nxt.group(1)) > len(more):
        more = nxt.group(1)
    if goes_on and nxt.group(1) == more:
        lines[i + 1] = f"{more}{rest} {nxt.group(2)}"
    else:
        lines.insert(i + 1, more + rest)


def inside_after(line, inside):
    """Is the end of the line inside of a comment?"""
    text = re.sub(r'"(\\.|[^"\\])*"', "", line)
    while True:
        at = text.find("*/" if inside else "/*")
        if at < 0:
            return inside
        inside, text = not inside, text[at + 2:]


def wrap(lines):
    i, inside = 0, False
    while i < len(lines):
        line = lines[i]
        ruler = re.match(r"^(.*?)-{20,}(.*)$", line)
        if len(line) > WIDTH and ruler:
            line = lines[i] = f"{ruler.group(1)}{'-' * (WIDTH - len(ruler.group(1) + ruler.group(2)))}{ruler.group(2)}"
        starts = re.match(r"^\s*/\*", line) and "*/" not in line[:-2]
        behind = re.match(r"^(\s*)(\S.*?)\s*(/\*.*\*/)$", line)
        if len(line) > WIDTH and not line.endswith("\\"):
            if starts or (inside and re.match(r"^\s*\*", line)):
                wrap_line(lines, i, starts)
            elif behind and not inside and re.search(r"[;,{]$|^[A-Z_0-9]+( = .*)?$", behind.group(2)):
                lines[i:i + 1] = [behind.group(1) + behind.group(3), behind.group(1) + behind.group(2)]
                continue
        inside = inside_after(lines[i], inside)
        i += 1
    return lines


for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as f:
        old = f.read()
    new = "\n".join(wrap(old.split("\n")))
    if new != old:
        with open(name, "w", encoding="utf-8") as f:
            f.write(new)
