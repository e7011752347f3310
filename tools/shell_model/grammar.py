"""The small language of intents/*.txt, and how a phrase of it becomes words.

    @ name              a new intent
    @+ name             more phrases of an intent that is in another file
    $ command           its answer; `$| command` may also get a pipe or a redirection (see compose.SUFFIXES)
    ! reason            no command: the request is refused, for this reason
    phrase              a request in the imperative; gen_data.py may wrap it ("how do I ...", "please ...")
    ~ phrase            a request that stands alone: a question or a noun phrase

In a phrase `[a|b|]` picks one alternative, `{word}` is a macro from MACROS, `<kind>` a slot of slots.py. In a command `<kind>` and
`<kind.form>` insert what the slot of that name became; a trailing digit tells two slots of one kind apart (`<file1>`, `<file2>`).
"""

import pathlib
import re
from dataclasses import dataclass, field

from slots import DEFAULTS, KINDS, kind_of

MACROS = {
    "list": "[list|list|list|show|show|display|print|show me|give me|get|see|view]",
    "show": "[show|show|show me|display|print|see|view|get|give me|output]",
    "find": "[find|find|find|locate|search for|look for|list|show|show me|get]",
    "count": "[count|count|count|get the number of|show the number of]",
    "delete": "[delete|delete|remove|remove|erase|get rid of|rm]",
    "create": "[create|create|make|make|add|set up]",
    "copy": "[copy|copy|cp|duplicate]",
    "move": "[move|move|mv|relocate]",
    "check": "[check|check|see|test|find out|verify]",
    "change": "[change|change|set|modify|update]",
    "replace": "[replace|replace|substitute|swap|change]",
    "run": "[run|run|execute|launch|start]",
    "download": "[download|download|fetch|get|grab]",
    "compress": "[compress|compress|pack|archive]",
    "extract": "[extract|extract|unpack|decompress|untar|uncompress]",
    "kill": "[kill|kill|stop|terminate|end]",
    "big": "[biggest|largest|biggest|largest]",
    "all": "[all |all |all the |the |]",
    "a": "[the |]",
    "thefile": "[the file |file |the |]",
    "thedir": "[the directory |directory |the folder |folder |]",
    "howmany": "[how many|how many|what is the number of|what's the number of|number of|count of]",
    "whatis": "[what is|what's|whats]",
    "larger": "[larger than|bigger than|over|greater than|above|more than|exceeding|>]",
    "smaller": "[smaller than|less than|under|below|<]",
    "dir": "[directory|folder|dir]",
    "dirs": "[directories|folders|dirs|subdirectories|subfolders]",
}
SLOT = re.compile(r"<([a-z]+\d*)(?:\.([a-z]+))?>")


@dataclass
class Intent:
    name: str
    category: str
    command: str
    suffixable: bool
    refused: str = ""
    phrases: list = field(default_factory=list)  # (tree, stands alone)
    defaults: list = field(default_factory=list)  # slots of the command that a phrase may leave out


def parse(text, depth=0):
    """text -> nested list: str literals, ('slot', name), ('alt', [trees])."""
    if depth > 8:
        raise ValueError("macro or choice nested too deep: " + text)
    out, i, lit = [], 0, ""
    while i < len(text):
        c = text[i]
        m = SLOT.match(text, i) if c == "<" else None
        if m and kind_of(m.group(1)) in KINDS:
            out += [lit, ("slot", m.group(1), m.group(2))]
            lit, i = "", m.end()
        elif c in "[{":
            close, level, j = "]" if c == "[" else "}", 0, i
            while True:
                if j >= len(text):
                    raise ValueError("unbalanced %s in: %s" % (c, text))
                level += (text[j] == c) - (text[j] == close)
                if level == 0:
                    break
                j += 1
            body = text[i + 1:j]
            tree = parse(MACROS[body], depth + 1) if c == "{" else [("alt", [parse(a, depth + 1) for a in split_alternatives(body)])]
            out += [lit] + tree
            lit, i = "", j + 1
        else:
            lit += c
            i += 1
    out.append(lit)
    return [x for x in out if x != ""]


def split_alternatives(body):
    parts, level, cur = [], 0, ""
    for c in body:
        level += (c == "[") - (c == "]")
        if c == "|" and level == 0:
            parts.append(cur)
            cur = ""
        else:
            cur += c
    return parts + [cur]


def choose(tree, rng, out):
    """One sentence of the tree: appends literals and ('slot', name) to out."""
    for node in tree:
        if isinstance(node, str):
            out.append(node)
        elif node[0] == "slot":
            out.append(node)
        else:
            choose(rng.choice(node[1]), rng, out)
    return out


def slots_of(tree, every):
    """Names that any (every=False) or each (every=True) sentence of the tree has."""
    names = set()
    for node in tree:
        if isinstance(node, str):
            continue
        if node[0] == "slot":
            names.add(node[1])
        else:
            sets = [slots_of(t, every) for t in node[1]]
            names |= set.intersection(*sets) if every else set.union(*sets)
    return names


def load_intents(folder=None):
    """All intents of the folder's text files; raises ValueError where one cannot be answered from its phrases."""
    folder = pathlib.Path(folder or pathlib.Path(__file__).parent / "intents")
    intents, more = {}, []
    for path in sorted(folder.glob("*.txt")):
        cur = None
        for lineno, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            line = line.strip()
            try:
                if not line or line.startswith("# "):
                    continue
                if line.startswith("@+ "):
                    cur = Intent(line[3:].strip(), path.stem, "", False)
                    more.append((cur, path.name, lineno))
                elif line.startswith("@ "):
                    cur = Intent(line[2:].strip(), path.stem, "", False)
                    if cur.name in intents:
                        raise ValueError("intent named twice: " + cur.name)
                    intents[cur.name] = cur
                elif line.startswith("$"):
                    cur.suffixable = line.startswith("$| ")
                    cur.command = line[3:] if cur.suffixable else line[2:]
                elif line.startswith("! "):
                    cur.refused = line[2:]
                else:
                    alone = line.startswith("~ ")
                    cur.phrases.append((parse(line[2:] if alone else line), alone))
            except (ValueError, KeyError, AttributeError) as e:
                raise ValueError("%s:%d: %s" % (path.name, lineno, e)) from e
    for it, name, lineno in more:
        if it.name not in intents:
            raise ValueError("%s:%d: no intent %s" % (name, lineno, it.name))
        intents[it.name].phrases += it.phrases
    for it in intents.values():
        check(it)
    return list(intents.values())


def check(it):
    needed = {m.group(1) for m in SLOT.finditer(it.command) if kind_of(m.group(1)) in KINDS}
    if bool(it.command) == bool(it.refused) or not it.phrases:
        raise ValueError(it.name + ": no command or no phrase")
    if it.refused:
        return
    it.defaults = sorted(n for n in needed if kind_of(n) in DEFAULTS)
    for tree, _ in it.phrases:
        missing = needed - slots_of(tree, True) - set(it.defaults)
        extra = slots_of(tree, False) - needed
        if missing or extra:
            raise ValueError("%s: a phrase lacks %s or has unused %s: %r" % (it.name, sorted(missing), sorted(extra), tree))


def fill(command, slots):
    def put(m):
        return slots[m.group(1)].get(m.group(2)) if m.group(1) in slots else m.group(0)
    return SLOT.sub(put, command)
