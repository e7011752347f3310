"""Requests made of parts: combinations that a list of intents cannot hold.

Each builder returns (segments, command, stands alone, name); segments are (text, is literal). SUFFIXES extend any intent marked `$|`.
"""

import grammar
from slots import KINDS, word

SUFFIXES = [
    (" and [save|write|put|store|redirect] [it|the output|the result|the list] [to|in|into] <txt>", " > <txt>"),
    (" and append [it|the output|the result] to <txt>", " >> <txt>"),
    (" > <txt>", " > <txt>"),
    (" into <txt>", " > <txt>"),
    (", first <small> [lines|results|only]", " | head -n <small>"),
    (" but only [show |]the first <small>[| lines| results]", " | head -n <small>"),
    (" and show [just |only |]the first <small>", " | head -n <small>"),
    (" and show [just |only |]the last <small>", " | tail -n <small>"),
    (", last <small> lines only", " | tail -n <small>"),
    (" and count [them|the lines|the results]", " | wc -l"),
    (" and sort [it|them|the output|the result]", " | sort"),
    (", sorted[| alphabetically]", " | sort"),
    (" and sort [it |them |]in reverse[| order]", " | sort -r"),
    (" without duplicates", " | sort -u"),
    (" and remove duplicates", " | sort -u"),
    (" [page by page|one page at a time|in a pager]", " | less"),
    (" and [page through it|pipe it to less|open it in less]", " | less"),
    (" [that contain|containing|and filter for|and grep for|but only lines with] <pat>", " | grep <pat>"),
    (" [but not|excluding|without] lines [containing|with] <pat>", " | grep -v <pat>"),
    (" and show it [on screen |]while saving to <txt>", " | tee <txt>"),
]
_suffixes = [(grammar.parse(t), c) for t, c in SUFFIXES]


def suffix(gen):
    tree, tail = gen.rng.choice(_suffixes)
    segments, tail, _ = gen.render(tree, tail)
    return segments, tail


class Phrase:
    """Collects segments and the parts of a command."""

    def __init__(self, gen):
        self.gen, self.rng, self.segments = gen, gen.rng, []

    def say(self, text, **slots):
        """Adds a phrase of the grammar; slots given by name are used, others are drawn and returned."""
        for node in grammar.choose(grammar.parse(text) if text not in _cache else _cache[text], self.rng, []):
            if isinstance(node, str):
                self.segments.append((node, True))
            else:
                name = node[1]
                if name not in slots:
                    slots[name] = KINDS[grammar.kind_of(name)](self.gen.sampler)
                self.segments.append((slots[name].forms[node[2]] if node[2] else slots[name].text, False))
        return slots


class _Cache(dict):
    def __missing__(self, text):
        self[text] = tree = grammar.parse(text)
        return tree

    def __contains__(self, text):
        self[text]  # parse once
        return True


_cache = _Cache()


# -- find ------------------------------------------------------------------------------------------------------------------
def pred_name(p, state):
    kind = p.rng.randrange(7)
    if kind == 0:
        return "-name " + p.say(" [named|called] <name>")["name"].get("q")
    if kind == 1:
        s = p.say(" whose name starts with <old>")["old"]
        return "-name '%s*'" % s.form
    if kind == 2:
        s = p.say(" whose name [ends in|ends with] <old>")["old"]
        return "-name '*%s'" % s.form
    if kind == 3:
        s = p.say(" [with <old> in the name|whose name contains <old>|containing <old> in their name]")["old"]
        return "-name '*%s*'" % s.form
    if kind == 4:
        return "-iname " + p.say(" [named|called] <name> [ignoring case|case-insensitively|in any case]")["name"].get("q")
    if kind == 5:
        return "-name " + p.say(" [matching|like|named] <glob>")["glob"].form
    s = p.say(" not [named|called] <name>")["name"]
    return "! -name " + s.get("q")


def pred_size(p, state):
    if p.rng.random() < 0.7:
        return "-size +" + p.say(" [|that are |which are ]{larger} <size>")["size"].form
    return "-size -" + p.say(" [|that are |which are ]{smaller} <size>")["size"].form


def pred_time(p, state):
    k = p.rng.randrange(6)
    if k <= 2:
        return p.say([" [modified|changed|updated] in the [last|past] <within>", " [modified|changed|edited] within the last <within>",
                      " that [were modified|changed] in the last <within>"][k])["within"].form
    if k == 3:
        return "-mtime +" + p.say(" older than <days>")["days"].form
    if k == 4:
        return "-mtime +" + p.say(" not [modified|changed|touched] [in|for] [|more than ]<days>")["days"].form
    return "-newer " + p.say(" newer than <file>")["file"].form


def pred_owner(p, state):
    if p.rng.random() < 0.75:
        return "-user " + p.say(" [owned by|belonging to|that belong to] [user |]<user>")["user"].form
    return "-group " + p.say(" [owned by|belonging to|of] group <group>")["group"].form


def pred_perm(p, state):
    k = p.rng.randrange(3)
    if k == 0:
        return "-perm " + p.say(" with [permissions|mode|permission] <mode>")["mode"].form
    if k == 1:
        p.say(" that are [executable|executable by the owner]")
        return "-perm -u+x"
    p.say(" [that are world writable|that anyone can write to|that are world-writable]")
    return "-perm -o+w"


def pred_depth(p, state):
    n = p.say(" [at most <small> levels deep|down to <small> levels|no deeper than <small> levels|up to depth <small>]")["small"].form
    state["front"] = "-maxdepth %s " % n
    return ""


def pred_prune(p, state):
    s = p.say(" [|but ][skipping|excluding|ignoring|not in|except in|without] [the |]<stem> [directories|directory|folder]")["stem"]
    state["prune"] = "-name %s -prune -o " % s.form
    return ""


def find_noun(p):
    r = p.rng.random()
    if r < 0.45:
        s = p.say("<exts>")["exts"]
        return "-type f -name " + s.get("glob")
    if r < 0.80:
        p.say("files")
        return "-type f"
    if r < 0.93:
        p.say("{dirs}")
        return "-type d"
    p.say(p.rng.choice(("[symbolic links|symlinks]", "empty files", "empty {dirs}")))
    last = p.segments[-1][0]
    return "-type l" if "link" in last else "-type f -empty" if "files" in last else "-type d -empty"


FIND_ACTIONS = [
    ("{find} {all}", "", 12), ("{count} {all}", " | wc -l", 2), ("{delete} {all}", " -delete", 3), ("[list|show] details of {all}", " -exec ls -ld {} +", 2),
    ("", "", 3),
]


MORE_ACTIONS = (
    ("[count the lines in|show line counts of|print the number of lines of] {all}", " -exec wc -l {} +"),
    ("[print|show|list] the [names|base names] [without the paths |]of {all}", " -exec basename {} \\;"),
    ("[print|show|compute|calculate] the md5 [sum|hash|checksum]s of {all}", " -exec md5sum {} +"),
    ("[print|show] the contents of {all}", " -exec cat {} +"), ("[print|show] the first line of {all}", " -exec head -n 1 {} \\;"),
    ("[print|show|list] the sizes of {all}", " -exec du -h {} +"), ("[show|print] the [total size|total disk usage] of {all}", " -exec du -ch {} + | tail -n 1"),
    ("[list|show|print] [in alphabetical order|sorted by name|sorted] {all}", " | sort"), ("make [executable|executable for everyone] {all}", " -exec chmod +x {} +"),
    ("[make|mark] read-only {all}", " -exec chmod a-w {} +"), ("[update the timestamps of|touch] {all}", " -exec touch {} +"), ("[show|print] the file type of {all}", " -exec file {} +"),
    ("[show|print] the permissions of {all}", " -exec stat -c '%a %n' {} +"))


def find(gen):
    p, state = Phrase(gen), {"front": "", "prune": ""}
    r = p.rng.random()
    tail, after = "", None
    if r < 0.62:
        text, tail, _ = p.rng.choices(FIND_ACTIONS, weights=[a[2] for a in FIND_ACTIONS])[0]
        if text:
            p.say(text)
    elif r < 0.68:
        p.say("{copy} {all}")
        after = (" to <dir>", " -exec cp {} %s \\;", "dir")
    elif r < 0.74:
        p.say("{move} {all}")
        after = (" to <dir>", " -exec mv {} %s \\;", "dir")
    elif r < 0.80:
        p.say("[search|grep] [|in ]{all}")
        after = (" for <pat>", " -exec grep -n %s {} +", "pat")
    elif r < 0.85:
        p.say("{find} {all}")
        after = (" [containing|that contain] [|the text ]<pat>", " -exec grep -l %s {} +", "pat")
    elif r < 0.90:
        p.say("{change} [the |]permissions of {all}")
        after = (" to <mode>", " -exec chmod %s {} +", "mode")
    elif r < 0.93:
        p.say("[change the owner of|chown] {all}")
        after = (" to <user>", " -exec chown %s {} +", "user")
    elif r < 0.945:
        p.say("[gzip|compress] {all}")
        tail = " -exec gzip {} +"
    else:
        text, tail = p.rng.choice(MORE_ACTIONS)
        p.say(text)
    preds = [find_noun(p)]
    chosen = p.rng.sample((pred_name, pred_size, pred_size, pred_time, pred_time, pred_owner, pred_perm, pred_depth, pred_prune),
                          p.rng.choice((1, 1, 1, 2, 2, 3)))
    if "-name" in preds[0]:
        chosen = [c for c in chosen if c is not pred_name] or [pred_time]
    if "-empty" in preds[0]:
        chosen = [c for c in chosen if c is not pred_size] or [pred_owner]
    where_first = p.rng.random() < 0.4
    where = p.say("<where>")["where"] if where_first else None
    done = set()
    for i, c in enumerate(chosen):
        if c in done:
            continue
        if done and p.rng.random() < 0.5:
            p.say(" and")
        done.add(c)
        preds.append(c(p, state))
    if where is None:
        where = p.say("<where>")["where"]
    if preds[0].startswith("-type d") and any(x in tail or after and x in after[1] for x in ("grep", "gzip", "wc -l {}")):
        return None, "", False, ""
    if after:
        value = p.say(after[0])[after[2]].form
        tail = after[1] % value
        if preds[0].startswith("-type d"):
            tail = tail.replace("-exec cp {}", "-exec cp -R {}")
    if state["prune"] and not tail:
        tail = " -print"
    if state["prune"] and tail == " | wc -l":
        tail = " -print | wc -l"
    if tail == " -delete" and preds[0] == "-type d":
        tail = " -exec rm -ri {} +"
    if state["prune"] and tail == " -delete":
        tail = " -exec rm {} +"
    cmd = "find %s %s%s%s%s" % (where.form, state["front"], state["prune"], " ".join(x for x in preds if x), tail)
    if not tail and p.rng.random() < 0.12:
        more, extra = suffix(gen)
        p.segments += more
        cmd += extra
    return p.segments, cmd, not p.segments[0][0] or p.segments[0][0].startswith(("files", "dir", "fold")) or not p.segments[0][1], "compose.find"


# -- grep ------------------------------------------------------------------------------------------------------------------
GREP_FLAGS = [
    ("i", ["ignoring case", "case insensitively", "case-insensitive", "regardless of case", "without regard to case"]),
    ("n", ["with line numbers", "showing line numbers", "and show line numbers", "including line numbers"]),
    ("w", ["as a whole word", "matching whole words only", "whole words only"]),
    ("c", ["and count the matching lines", "and just count the matches"]),
    ("l", ["and list only the file names", "showing only file names", "only printing the names of the files"]),
    ("v", None), ("A", None), ("C", None), ("B", None), ("m", None), ("o", ["and print only the matching part", "showing only the match"]),
]


def grep(gen):
    p = Phrase(gen)
    rec = p.rng.random() < 0.45
    flags, args, said = set(), "", []
    invert = p.rng.random() < 0.12
    if invert:
        flags.add("v")
        pat = p.say("{show} [|all |the ]lines [not containing|without|that do not contain|that don't contain|that do not match] <pat>")["pat"]
    else:
        pat = p.say(p.rng.choice(("[search for|look for|grep for|find|grep] [|the text |the string |the word |lines with |lines containing ]<pat>",
                                  "{find} [all |the |]lines [containing|with|matching|that contain|that match] <pat>",
                                  "{find} [all |]occurrences of <pat>")))["pat"]
    chosen = p.rng.sample(GREP_FLAGS, p.rng.choice((0, 1, 1, 1, 2)))
    names = {f for f, _ in chosen}
    if {"c", "l"} <= names or {"c", "o"} <= names or {"l", "o"} <= names:
        chosen = chosen[:1]
    if rec:
        flags.add("r")
        if p.rng.random() < 0.4:
            s = p.say(" in [all |]<exts>")["exts"]
            args = " --include=" + s.get("glob")
        else:
            p.say(" [recursively|in all files|in every file|in all files, recursively]")
        target = p.say("<where>")["where"].form
    else:
        target = p.say(" in {thefile}<file>")["file"].form
    for f, texts in chosen:
        if f == "v":
            continue
        if f in "ABC":
            if {"c", "l"} & names:
                continue
            s = p.say({"A": " [and the <small> lines after|with <small> lines after each match|and show <small> lines after it]",
                       "B": " [and the <small> lines before|with <small> lines before each match|and show <small> lines before it]",
                       "C": " with <small> lines of context"}[f])["small"]
            said.append("-%s %s" % (f, s.form))
        elif f == "m":
            if {"c", "l"} & names:
                continue
            said.append("-m " + p.say(", [only the first <small> matches|stop after <small> matches]")["small"].form)
        else:
            if f in "con" and invert:
                continue
            p.say(" " + p.rng.choice(texts))
            flags.add(f)
    short = "".join(sorted(flags, key="rinwclvo".index))
    cmd = "grep" + (" -" + short if short else "") + "".join(" " + s for s in sorted(said)) + args + " " + pat.form + " " + target
    return p.segments, cmd, False, "compose.grep"


# -- ls --------------------------------------------------------------------------------------------------------------------
def ls(gen):
    p = Phrase(gen)
    flags = []
    p.say("{list} ")
    if p.rng.random() < 0.4:
        p.say("[all files including hidden ones|hidden files too|all files, hidden ones included|all files including hidden files|everything including hidden files]")
        flags.append("a")
    else:
        p.say("[files|the files|all files|the contents|the directory contents]")
    where = p.say("<where>")["where"] if p.rng.random() < 0.5 else None
    options = p.rng.sample(("l", "S", "t", "h", "r", "1", "R"), p.rng.choice((1, 1, 2, 2)))
    if "S" in options and "t" in options:
        options.remove("t")
    if "1" in options and ("l" in options or "h" in options):
        options.remove("1")
    if "S" in options or "t" in options:
        flags.append("l")  # a size or a date is asked for: show it
    if "1" in options and "l" in flags:
        options.remove("1")
    if "h" in options:
        options = [o for o in options if o != "l"]
    said = {"l": "[with details|in long format|with permissions and sizes|in detail|long format]",
            "S": "[sorted by size|by size|ordered by size|largest first]", "h": "[with human readable sizes|with readable sizes|human-readable]",
            "t": "[sorted by modification time|newest first|by date|sorted by time|most recent first]", "1": "[one per line|one file per line]",
            "r": "[in reverse order|in reverse|reversed]", "R": "[recursively|including subdirectories]"}
    for i, o in enumerate(o for o in "lh1RStr" if o in options):
        p.say((" " if i == 0 or p.rng.random() < 0.5 else ", ") + said[o])
        flags += ["l", "h"] if o == "h" else [o]
    if where is None:
        where = p.say("<where>")["where"]
    cmd = "ls -" + "".join(o for o in "l1ahRStr" if o in flags) + where.get("opt")
    return p.segments, cmd, False, "compose.ls"


# -- sort, cut, head and friends as pipelines -----------------------------------------------------------------------------------
def sort(gen):
    p = Phrase(gen)
    f = p.say("[sort|sort|sort the lines of|order|order the lines of] {thefile}<txt>")["txt"]
    flags, rest, first, delim = "", "", "", ""
    if p.rng.random() < 0.5:
        n = p.say(" [by|on|using] <col>")["col"].form
        rest = " -k%s,%s" % (n, n)
        if p.rng.random() < 0.4:
            d = p.say(" [|, ][separated by|delimited by|with delimiter|using separator] <delim>")["delim"]
            delim = " -t" + d.get("awk") if d.form else " -t \"$(printf '\\t')\""
    if p.rng.random() < 0.5:
        p.say(" [numerically|as numbers|in numeric order|by number]")
        flags += "n"
    if p.rng.random() < 0.4:
        p.say(" [in reverse|in reverse order|descending|in descending order|from highest to lowest]")
        flags += "r"
    if p.rng.random() < 0.25:
        p.say(" [and remove duplicates|dropping duplicates|keeping unique lines|without duplicates]")
        flags += "u"
    elif p.rng.random() < 0.25:
        first = " | head -n " + p.say(" and show the [first|top] <small>")["small"].form
    elif p.rng.random() < 0.2:
        rest += " -o " + f.form
        p.say(" [in place|and overwrite it|and save it back to the same file]")
    cmd = "sort" + (" -" + flags if flags else "") + delim + rest + " " + f.form + first
    return p.segments, cmd, False, "compose.sort"


STAGES = [
    ("[take|keep|select|get|extract] <col>", "awk '{print $<col>}'"), ("[keep|select|filter] lines [with|containing|matching] <pat>", "grep <pat>"),
    ("[drop|remove|skip] lines [with|containing|matching] <pat>", "grep -v <pat>"), ("sort [it|them|the lines]", "sort"),
    ("sort [it |them |]numerically", "sort -n"), ("sort [it |them |]in reverse", "sort -r"), ("count [the |]lines", "wc -l"),
    ("[remove|drop] [the |]duplicates", "sort -u"), ("count [how often each line occurs|each distinct line|the occurrences of each line]", "sort | uniq -c"),
    ("[show|keep|take] the first <n> lines", "head -n <n>"), ("[show|keep|take] the last <n> lines", "tail -n <n>"),
    ("replace <old1> with <old2>", "sed 's/<old1>/<old2>/g'"), ("[convert|change] [it |everything |]to lowercase", "tr 'A-Z' 'a-z'"),
    ("[convert|change] [it |everything |]to uppercase", "tr 'a-z' 'A-Z'"), ("[delete|remove|drop] [empty|blank] lines", "sed '/^$/d'"),
    ("number the lines", "nl"), ("reverse each line", "rev"), ("count [the |]words", "wc -w"),
]
_stages = [(grammar.parse(t), c) for t, c in STAGES]
ENDS = ("wc -l", "wc -w", "nl")


def pipeline(gen):
    """from FILE, do this, then that: two or three stages."""
    p = Phrase(gen)
    before = p.rng.random() < 0.5
    f = p.say("[from|in|with|for] {thefile}<txt>, ")["txt"] if before else None
    stages, used = [], set()
    count = p.rng.choice((2, 2, 3))
    while len(stages) < count:
        i = p.rng.randrange(len(_stages))
        tree, cmd = _stages[i]
        if i in used or (cmd in ENDS and len(stages) != count - 1) or (stages and cmd.startswith("sort") and stages[-1].startswith("sort")):
            continue
        used.add(i)
        if stages:
            p.segments.append((p.rng.choice((", then ", " and then ", " and ", ", ")), True))
        segments, cmd, _ = gen.render(tree, cmd)
        p.segments += segments
        stages.append(cmd)
        if not before and len(stages) == 1:
            f = p.say(" [of|in|from] {thefile}<txt>")["txt"]
    head = stages[0]
    stages[0] = "tr" in head[:2] and head + " < " + f.form or "sort | " in head and head.replace("sort |", "sort " + f.form + " |") or head + " " + f.form
    if stages[0].startswith("wc"):
        return None, "", False, ""
    return p.segments, " | ".join(stages), False, "compose.pipeline"


# -- two actions in a row ---------------------------------------------------------------------------------------------------------
ACTIONS = [
    ("{create} [a |the |]{dir} [named |called |]<stem>", "mkdir <stem>"), ("{create} [a |an empty |]file [named |called |]<name>", "touch <name>"),
    ("{copy} <file> to <dir>", "cp <file> <dir>"), ("{move} <file> to <dir>", "mv <file> <dir>"), ("rename <name1> to <name2>", "mv <name1> <name2>"),
    ("{delete} [the file |]<file>", "rm <file>"), ("make <script> executable", "chmod +x <script>"), ("{change} [the |]permissions of <file> to <mode>", "chmod <mode> <file>"),
    ("[go to|cd into|cd to|change to|switch to] <dir>", "cd <dir>"), ("list the files", "ls"), ("{show} the date", "date"), ("sleep <secs>", "sleep <secs>"),
    ("[extract|unpack] <targz>", "tar -xzf <targz>"), ("[download|fetch] <urlfile>", "curl -O <urlfile>"), ("commit with [the |]message <msg>", "git commit -m <msg>"),
    ("push to origin", "git push origin"), ("[stage|add] all changes", "git add -A"), ("run make", "make"), ("[print|say|echo] <text>", "echo <text>"),
    ("{copy} [the folder|the directory] <dir1> to <dir2>", "cp -R <dir1> <dir2>"), ("show [the contents of |]<txt>", "cat <txt>"), ("pull the latest changes", "git pull"),
    ("count the lines in <txt>", "wc -l <txt>"), ("sort <txt>", "sort <txt>"), ("[create and switch to|start] [the |a new |]branch <branch>", "git checkout -b <branch>"),
]
_actions = [(grammar.parse(t), c) for t, c in ACTIONS]


def sequence(gen):
    p = Phrase(gen)
    r = p.rng.random()
    if r < 0.30:
        s = p.say("{create} [a |the |]{dir} [named |called |]<stem> and [cd into it|go into it|enter it|change into it|switch to it|move into it]")["stem"]
        return p.segments, "mkdir %s && cd %s" % (s.form, s.form), False, "compose.sequence"
    if r < 0.38:
        d = p.say("{create} [a |the |]{dir} [named |called |]<stem> and {move} [all |the |]<exts> [into it|there]")
        return p.segments, "mkdir %s && mv *.%s %s" % (d["stem"].form, d["exts"].form, d["stem"].form), False, "compose.sequence"
    parts = []
    for i in range(p.rng.choice((2, 2, 2, 3))):
        if i:
            p.segments.append((p.rng.choice((" and then ", ", then ", " and ", ", and then ", " then ")), True))
        tree, cmd = p.rng.choice(_actions)
        segments, cmd, _ = gen.render(tree, cmd)
        p.segments += segments
        parts.append(cmd)
    return p.segments, " && ".join(parts), False, "compose.sequence"


# -- loops over files -----------------------------------------------------------------------------------------------------------
def loop(gen):
    p = Phrase(gen)
    k = p.rng.randrange(6)
    if k == 0:
        a = p.gen.sampler.extension()
        b = p.gen.sampler.extension()
        p.say("[rename|change the extension of] [all |the |]")
        p.segments.append((".%s files" % a, False))
        p.say(" to ")
        p.segments.append((".%s" % b, False))
        return p.segments, 'for f in *.%s; do mv "$f" "${f%%.%s}.%s"; done' % (a, a, b), False, "compose.loop"
    s = p.say(("", "for each of the <exts>[,|] run <prog> on it", "run <prog> on [every one of |each of |all ]the <exts>[, one by one|]",
               "put the prefix <old> before [all |]<exts>", "[make a backup of|back up] [all |all the |]<exts> [with a .bak extension|as .bak|by adding .bak]",
               "[print|show|echo] the name of each of the <exts>")[k])
    e = s["exts"].form
    body = {1: '%s "$f"', 2: '%s "$f"', 3: 'mv "$f" %s"$f"', 4: 'cp "$f" "$f.bak"', 5: 'echo "$f"'}[k]
    if k in (1, 2):
        body %= s["prog"].form
    elif k == 3:
        body %= word(s["old"].form)
    return p.segments, "for f in *.%s; do %s; done" % (e, body), False, "compose.loop"


BUILDERS = [(find, 10), (grep, 6), (ls, 3), (sort, 3), (pipeline, 4), (sequence, 5), (loop, 1.5)]
_functions, _weights = zip(*BUILDERS)


def draw(gen):
    return gen.rng.choices(_functions, weights=_weights)[0](gen)
