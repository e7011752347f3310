#!/usr/bin/env python3
"""The table of docs/SAMPLING.md from src/chat/sampling.def.

gen_sampling_md.py          writes it
gen_sampling_md.py --check  fails if it is not what the table says
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- from src/chat/sampling.def: run tools/gen_sampling_md.py -->", "<!-- end of the table -->"


def arguments(text):
    """The arguments of a macro call: numbers, names and strings, at the commas between them."""
    return [a.strip() for a in re.findall(r'"(?:\\.|[^"\\])*"|[^,\s][^,]*', text)]


def plain(word):
    """A string literal's text; None for NULL; other words as they are."""
    if word == "NULL":
        return None
    return word[1:-1].replace('\\"', '"') if word.startswith('"') else word


def rows(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for kind, body in re.findall(r"^WICK_SAMPLING_(\w+)\((.*?)\)$", text, flags=re.S | re.M):
        a = [plain(x) for x in arguments(body)]
        if kind == "SPECIAL":
            field, name, cli, _, _, llamacpp, ollama, anthropic, text_ = a
            c_api = {"order": name}.get(field, field)
            yield dict(name=name, c_api=c_api, cli=cli, llamacpp=llamacpp, ollama=ollama, anthropic=anthropic,
                       preset="", span="", help=text_)
        else:
            field, preset, lo, hi, cli, _, _, llamacpp, ollama, anthropic, text_ = a
            preset = f"{preset}, or the model's" if kind.startswith("MODEL") else preset
            yield dict(name=field, c_api=field, cli=cli, llamacpp=llamacpp, ollama=ollama, anthropic=anthropic,
                       preset=preset, span=f"{lo} to {hi}", help=text_)


def table(items):
    def code(x, prefix=""):
        return f"`{prefix}{x}`" if x else "-"

    out = ["| option | `wick.h` | command line | llama.cpp | Ollama | Anthropic | default | range | meaning |",
           "|---|---|---|---|---|---|---|---|---|"]
    for r in items:
        cells = [code(r["name"]), code(r["c_api"]), code(r["cli"], "--"), code(r["llamacpp"]), code(r["ollama"]),
                 code(r["anthropic"]), r["preset"] or "-", r["span"] or "-", r["help"].replace("|", "\\|")]
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out)


def main():
    path = ROOT / "docs" / "SAMPLING.md"
    text = path.read_text(encoding="utf-8")
    items = list(rows((ROOT / "src" / "chat" / "sampling.def").read_text(encoding="utf-8")))
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    new = f"{head}{BEGIN}\n{table(items)}\n{END}{tail}"
    if "--check" in sys.argv:
        if new != text:
            print("docs/SAMPLING.md is not current: run tools/gen_sampling_md.py", file=sys.stderr)
            return 1
        return 0
    path.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
