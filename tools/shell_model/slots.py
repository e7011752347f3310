"""Slot values: what a request names (files, numbers, patterns ...) and how a command spells it.

Each generator returns a Slot: the words of the request and the forms a command may ask for by `<slot.form>`.
Values that a user invents (names, patterns, hosts) come from a space far larger than the training set, because copying a
string that was never seen is what the model has to learn. Such values are split by a hash: `Sampler.held_out` decides
whether this sampler draws from the training part or from the part kept for evaluation.
"""

import pathlib
import random
import re
import zlib
from dataclasses import dataclass, field

from words import (ACCENTED, COMMANDS, ENVVARS, EXTENSIONS, GROUPS, HOSTS, LANGUAGES, NAMED_DIRS, NAMED_FILES, NUMBER_WORDS,
                   ORDINALS, PATTERNS, PHRASES, PROCESSES, USERS, WORDS)

def request_words():
    """Words that phrases use: they are names of files, too, and a name that was only ever seen as a word of a request is not copied."""
    text = "\n".join(p.read_text(encoding="utf-8") for p in sorted((pathlib.Path(__file__).parent / "intents").glob("*.txt")))
    lines = [x for x in text.splitlines() if x and x[0] not in "@$#!"]
    found = set(re.findall(r"\b[a-z]{3,14}\b", re.sub(r"<[a-z0-9.]+>|\{[a-z]+\}", " ", " ".join(lines))))
    found -= set("the and with from into that for all this have has are was were its their them than not but only each every which what where how who".split())
    return sorted(found | {w + "s" for w in WORDS[::3]} | set(WORDS))


SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+\Z")
ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"
ALPHA = "abcdefghijklmnopqrstuvwxyz"
HELD_OUT_MOD = 11


@dataclass
class Slot:
    text: str
    form: str
    forms: dict = field(default_factory=dict)

    def get(self, name):
        return self.forms[name] if name else self.form


def quote(s):
    """A word of the shell that means exactly s: single quotes only, but double quotes around an apostrophe."""
    if "'" in s and not re.search(r'["$`\\!]', s):
        return '"' + s + '"'
    return "'" + s.replace("'", "'\\''") + "'"


def word(s):
    """quote(), left bare where the shell allows it; a leading ~/ stays outside the quotes so that it expands."""
    if s.startswith("~/"):
        return "~/" + word(s[2:]) if len(s) > 2 else s
    return s if s == "~" or SAFE.match(s) else quote(s)


REQUEST_WORDS = request_words()


def is_held_out(value):
    return zlib.crc32(value.encode()) % HELD_OUT_MOD == 0


class Sampler:
    """Draws slot values with one random generator."""

    def __init__(self, rng: random.Random, held_out=False):
        self.rng = rng
        self.held_out = held_out

    # -- invented strings -------------------------------------------------------------------------------------------------
    def fresh(self, make):
        """A value of make() from this sampler's side of the split; gives up where make() has too few values."""
        for _ in range(60):
            v = make()
            if is_held_out(v) == self.held_out:
                return v
        return v

    def pseudo(self):
        r = self.rng
        s = "".join(r.choice("bcdfghjklmnprstvwz") + r.choice("aeiou") + (r.choice("nrslt") if r.random() < 0.3 else "")
                    for _ in range(r.randint(2, 4)))
        return s

    def alnum(self, lo=3, hi=10):
        r = self.rng
        return "".join(r.choice(ALNUM) for _ in range(r.randint(lo, hi)))

    def stem(self, spaces=True):
        """A name without extension."""
        r = self.rng
        k = r.random()
        if k < 0.13:
            s = r.choice(REQUEST_WORDS)
        elif k < 0.30:
            s = r.choice(WORDS)
        elif k < 0.58:
            sep = r.choice("--__.  " if spaces else "--__.")
            s = sep.join(r.choice(WORDS) for _ in range(r.choice((2, 2, 2, 3))))
        elif k < 0.70:
            s = self.pseudo()
        elif k < 0.78:
            s = self.alnum(2, 9)
        elif k < 0.84:
            s = r.choice(WORDS) + r.choice(("", "-", "_")) + str(r.randint(0, r.choice((9, 99, 2999))))
        elif k < 0.88:
            s = r.choice(WORDS) + r.choice("-_") + self.isodate()
        elif k < 0.91:
            s = r.choice(WORDS) + r.choice(WORDS).capitalize()
        elif k < 0.93:
            s = r.choice(("IMG", "DSC", "VID", "SCAN", "Screenshot", "doc")) + r.choice("_-") + str(r.randint(1, 99999))
        elif k < 0.95:
            s = "%s%s%d.%d%s" % (r.choice(WORDS), r.choice(("-", "-v", "_v")), r.randint(0, 20), r.randint(0, 20),
                                 r.choice(("", ".%d" % r.randint(0, 9))))
        elif k < 0.965:
            s = r.choice(ACCENTED) + r.choice(("", "-" + r.choice(WORDS)))
        elif k < 0.975 and spaces:
            s = r.choice(WORDS) + r.choice((" (%d)" % r.randint(1, 9), " & " + r.choice(WORDS), "'s " + r.choice(WORDS),
                                            " copy", " [%s]" % r.choice(WORDS)))
        else:
            s = r.choice(ALPHA) + (str(r.randint(0, 9)) if r.random() < 0.4 else "")
        k = r.random()
        if k < 0.10:
            s = s.capitalize()
        elif k < 0.15:
            s = s.title()
        elif k < 0.19:
            s = s.upper()
        return s

    def isodate(self):
        r = self.rng
        return "%04d-%02d-%02d" % (r.randint(1995, 2032), r.randint(1, 12), r.randint(1, 28))

    def said(self, v, always=False):
        """How a request writes v: in quotes where it has blanks, sometimes otherwise."""
        r = self.rng
        if " " in v or always:
            if "'" in v:
                return '"' + v + '"'
            q = r.choice(('"', '"', "'", "'", "`")) if always or r.random() < 0.93 else ""
        else:
            q = r.choice(('"', "'", "`")) if r.random() < 0.10 else ""
        return q + v + q

    def parent(self):
        r = self.rng
        k = r.random()
        if k < 0.35:
            return r.choice(NAMED_DIRS).rstrip("/")
        stems = [self.stem(spaces=r.random() < 0.1) for _ in range(r.choice((1, 1, 1, 2, 2, 3)))]
        return r.choice(("", "", "", "/", "~/", "./", "../", "/home/" + r.choice(USERS) + "/", "/opt/", "/srv/", "/mnt/")) + "/".join(stems)

    def file_name(self, exts=None):
        r = self.rng
        if exts is None and r.random() < 0.18:
            return r.choice(NAMED_FILES)

        def make():
            s = self.stem()
            ext = r.choice(exts) if exts else r.choice(EXTENSIONS) if r.random() < 0.9 else ""
            return s + ("." + ext if ext else "")
        v = self.fresh(make)
        if r.random() < 0.22:
            v = self.parent() + "/" + v
        return v

    def dir_name(self):
        r = self.rng
        if r.random() < 0.22:
            return r.choice(NAMED_DIRS)
        return self.fresh(self.parent)

    # -- slot kinds -------------------------------------------------------------------------------------------------------
    def plain(self, v, always_quoted=False):
        return Slot(self.said(v, always_quoted), word(v), {"q": quote(v), "raw": v})

    def s_file(self, exts=None):
        v = self.file_name(exts)
        s = self.plain(v)
        base = v[2:] if v.startswith("~/") else v
        stem, dot, _ = base.rpartition(".")
        s.forms["noext"] = word((("~/" if v.startswith("~/") else "") + stem) if dot else v)
        return s

    def s_name(self):
        """A file name without a path."""
        return self.plain(self.fresh(lambda: self.stem() + "." + self.rng.choice(EXTENSIONS)))

    def s_txt(self): return self.s_file(("txt", "txt", "md", "log", "csv", "list", "dat", "conf", "tsv", "out"))
    def s_csv(self): return self.s_file(("csv",))
    def s_json(self): return self.s_file(("json",))
    def s_log(self): return self.s_file(("log",))
    def s_script(self): return self.s_file(("sh", "sh", "sh", "py", "bash", "pl"))
    def s_sh(self): return self.s_file(("sh",))
    def s_py(self): return self.s_file(("py",))
    def s_tar(self): return self.s_file(("tar",))
    def s_targz(self): return self.s_file(("tar.gz", "tar.gz", "tgz"))
    def s_tarbz(self): return self.s_file(("tar.bz2",))
    def s_tarxz(self): return self.s_file(("tar.xz",))
    def s_zip(self): return self.s_file(("zip",))
    def s_gz(self): return self.s_file(("txt.gz", "log.gz", "csv.gz", "sql.gz", "json.gz"))
    def s_csrc(self): return self.s_file(("c",))
    def s_patch(self): return self.s_file(("patch", "diff"))
    def s_pem(self): return self.s_file(("pem", "crt", "cer"))

    def s_dir(self):
        return self.plain(self.dir_name())

    def s_stem(self):
        """A bare word: a new directory, a session, an alias."""
        return self.plain(self.fresh(lambda: self.stem(spaces=False)))

    def s_link(self):
        return self.plain(self.fresh(lambda: self.stem(spaces=False)))

    def s_where(self):
        """Optional place at the end of a phrase; empty means the current directory."""
        r = self.rng
        k = r.random()
        if k < 0.30:
            return self.default_where()
        if k < 0.42:
            t, p = r.choice((" here", " in this folder", " in this directory", " in the current directory", " in the current folder",
                             " in the working directory", " in the current dir", " in .")), "."
        elif k < 0.50:
            t, p = r.choice(((" in my home directory", "~"), (" in my home folder", "~"), (" in the parent directory", ".."),
                             (" in ~", "~"), (" in my downloads folder", "~/Downloads"), (" in my Downloads", "~/Downloads"),
                             (" on my desktop", "~/Desktop"), (" in my documents folder", "~/Documents"),
                             (" in the directory above", ".."), (" in the temp directory", "/tmp"), (" in ..", "..")))
        else:
            v = self.dir_name()
            t = r.choice((" in %s",) * 6 + (" under %s", " under %s", " inside %s", " within %s", " in the %s directory", " in the %s folder",
                                            " in directory %s", " in the folder %s", " in the directory %s", " from %s"))
            t, p = t % self.said(v), v
        return Slot(t, word(p), {"opt": "" if p == "." else " " + word(p), "slash": word(p.rstrip("/") + "/") if p != "." else "",
                                 "raw": p})

    def default_where(self):
        return Slot("", ".", {"opt": "", "slash": "", "raw": "."})

    def s_ext(self):
        """An extension as a word of its own."""
        e = self.extension()
        return Slot(self.rng.choice((".%s", ".%s", "%s", "*.%s")) % e, e, {"glob": "'*." + e + "'"})

    def extension(self):
        r = self.rng
        if r.random() < 0.8:
            return r.choice(EXTENSIONS)
        return self.fresh(lambda: "".join(r.choice(ALPHA) for _ in range(r.randint(2, 4))) + (str(r.randint(0, 9)) if r.random() < .1 else ""))

    def s_exts(self):
        """A plural noun phrase: 'python files', '*.py files' ..."""
        r = self.rng
        if r.random() < 0.35:
            name, e = r.choice(list(LANGUAGES.items()))
            return Slot(name + " files", e, {"glob": "'*." + e + "'", "noun": name})
        e = self.extension()
        t = r.choice((".%s files", ".%s files", "*.%s files", "%s files", "files ending in .%s", "files with extension %s",
                      "files with the .%s extension", "files with the extension .%s", "*.%s", "files named *.%s", "files matching *.%s"))
        return Slot(t % e, e, {"glob": "'*." + e + "'"})

    def s_glob(self):
        """A name pattern with a star, as written by the user."""
        r = self.rng
        v = self.fresh(lambda: r.choice(("%s*", "*%s*", "*%s", "%s*." + r.choice(EXTENSIONS), "*%s*." + r.choice(EXTENSIONS), "%s?"))
                       % self.stem(spaces=False))
        return Slot(self.said(v), quote(v), {})

    def number(self, lo, hi, words=True):
        r = self.rng
        n = r.randint(lo, min(hi, r.choice((5, 10, 20, 50, 100, 500, 1000, hi)) if hi > 20 else hi)) if lo < 5 else r.randint(lo, hi)
        if words and n in NUMBER_WORDS and r.random() < 0.2:
            return NUMBER_WORDS[n], n
        return str(n), n

    def s_n(self):
        t, n = self.number(1, 100000)
        return Slot(t, str(n), {"next": str(n + 1)})

    def s_small(self):
        t, n = self.number(2, 12)
        return Slot(t, str(n))

    def s_nd(self):
        """Optional count before a noun: '5 ' or nothing, which means 10."""
        if self.rng.random() < 0.3:
            return Slot("", "10")
        t, n = self.number(2, 200)
        return Slot(t + " ", str(n))

    def default_nd(self):
        return Slot("", "10")

    def s_col(self):
        r = self.rng
        n = r.randint(1, 15)
        o = ORDINALS.get(n)
        suffix = {1: "st", 2: "nd", 3: "rd"}.get(n if n < 10 or n > 13 else 0, "th")
        t = r.choice(("column %d" % n, "column %d" % n, "field %d" % n, "the %s column" % (o or "%d%s" % (n, suffix)),
                      "the %d%s column" % (n, suffix), "the %s field" % (o or "%d%s" % (n, suffix)), "column number %d" % n, "%s column" % (o or "%d%s" % (n, suffix)), "%s field" % (o or "%d%s" % (n, suffix)), "col %d" % n, "the %s one" % (o or "%d%s" % (n, suffix))))
        return Slot(t, str(n))

    def s_delim(self):
        """A field separator; `opt` is the cut option, empty for the tab, `awk` and `sort` theirs."""
        r = self.rng
        t, c = r.choice((("comma", ","), ("colon", ":"), ("semicolon", ";"), ("pipe", "|"), ("comma", ","), ("tab", "\t"),
                         ("dash", "-"), ("slash", "/"), ("equals sign", "="), ("space", " ")))
        if c == "\t":
            return Slot("tab", "", {"awk": "'\\t'", "tr": "'\\t'"})
        if r.random() < 0.25 and c != " ":
            t = r.choice(("'%s'", '"%s"', "%s")) % c
        return Slot(t, " -d" + (c if c in ",:/-=" else "' '" if c == " " else "'" + c + "'"),
                    {"awk": c if c in ",:/-=" else "'" + c + "'", "tr": "'" + c + "'"})

    def s_size(self):
        r = self.rng
        n = r.choice((1, 2, 5, 10, 20, 50, 100, 200, 250, 500)) if r.random() < 0.6 else r.randint(1, 999)
        u = r.choice("kMMMGG")
        names = {"k": ("kB", "KB", "K", "k", " KB", " kB", " kilobytes", " kilobyte", " kilo", "kb", " kb"),
                 "M": ("MB", "MB", "M", " MB", " MB", " megabytes", " megabyte", " mega", "mb", " mb", "MiB", " megs", " meg"),
                 "G": ("GB", "GB", "G", " GB", " GB", " gigabytes", " gigabyte", " giga", "gb", " gb", "GiB", " gigs")}[u]
        return Slot("%d%s" % (n, r.choice(names)), "%d%s" % (n, u))

    def s_days(self):
        r = self.rng
        if r.random() < 0.3:
            t, n = r.choice((("a day", 1), ("a week", 7), ("one week", 7), ("two weeks", 14), ("a month", 30), ("one month", 30),
                             ("1 week", 7), ("2 weeks", 14), ("3 weeks", 21), ("4 weeks", 28), ("a year", 365), ("one day", 1), ("1 day", 1)))
            return Slot(t, str(n))
        t, n = self.number(2, 400)
        return Slot(t + " days", str(n))

    def s_within(self):
        """A span after 'in the last': minutes and hours give -mmin, days and weeks -mtime."""
        r = self.rng
        k = r.random()
        if k < 0.2:
            t, f = r.choice((("hour", "-mmin -60"), ("day", "-mtime -1"), ("24 hours", "-mtime -1"), ("week", "-mtime -7"),
                             ("month", "-mtime -30"), ("two weeks", "-mtime -14"), ("2 weeks", "-mtime -14"), ("year", "-mtime -365"),
                             ("half hour", "-mmin -30"), ("3 weeks", "-mtime -21"), ("few minutes", "-mmin -5")))
            return Slot(t, f)
        if k < 0.4:
            n = r.randint(2, 23)
            return Slot("%d hours" % n, "-mmin -%d" % (60 * n))
        t, n = self.number(2, 120)
        return Slot(t + (" minutes" if k < 0.6 else " days"), ("-mmin -%d" if k < 0.6 else "-mtime -%d") % n)

    def s_secs(self):
        t, n = self.number(1, 600)
        return Slot(t + (" second" if n == 1 else r_choice(self.rng, (" seconds", " seconds", " secs", "s")) if t.isdigit() else " seconds"), str(n))

    def s_user(self):
        r = self.rng
        v = r.choice(USERS) if r.random() < 0.55 else self.fresh(lambda: r.choice((self.pseudo(), r.choice(ALPHA) + self.pseudo(),
                                                                                  r.choice(USERS) + str(r.randint(1, 99)))))
        return Slot(self.said(v), v)

    def s_group(self):
        r = self.rng
        v = r.choice(GROUPS) if r.random() < 0.6 else self.fresh(lambda: r.choice(WORDS))
        return Slot(self.said(v), v)

    def s_mode(self):
        r = self.rng
        v = r.choice("755 644 600 700 750 640 775 664 444 400 555 500 711 660 770".split()) if r.random() < 0.8 else \
            "".join(r.choice("04567") for _ in range(3))
        return Slot(v, v)

    def s_port(self):
        r = self.rng
        v = str(r.choice((22, 25, 53, 80, 443, 3000, 3306, 5000, 5432, 6379, 8000, 8080, 8443, 8888, 9000, 9200, 27017))
                if r.random() < 0.4 else r.randint(1, 65535))
        return Slot(v, v)

    def s_pid(self):
        v = str(self.rng.randint(2, self.rng.choice((999, 9999, 99999))))
        return Slot(v, v)

    def s_proc(self):
        r = self.rng
        v = r.choice(PROCESSES) if r.random() < 0.6 else self.fresh(lambda: self.stem(spaces=False).lower())
        return Slot(self.said(v), word(v), {"q": quote(v)})

    def s_prog(self):
        r = self.rng
        v = r.choice(COMMANDS) if r.random() < 0.7 else self.fresh(lambda: self.pseudo())
        return Slot(self.said(v), word(v))

    def s_var(self):
        r = self.rng
        v = r.choice(ENVVARS) if r.random() < 0.5 else self.fresh(lambda: "_".join(r.choice(WORDS).upper() for _ in range(r.choice((1, 2, 2)))))
        return Slot(r.choice(("", "", "", "$")) + v, v)

    def s_value(self):
        r = self.rng
        return self.plain(self.fresh(lambda: r.choice((self.stem(), str(r.randint(0, 99999)), self.alnum()))))

    def ip(self):
        r = self.rng
        return "%d.%d.%d.%d" % (r.choice((10, 127, 172, 192, r.randint(1, 223))), r.randint(0, 255), r.randint(0, 255), r.randint(1, 254))

    def host(self):
        r = self.rng
        k = r.random()
        if k < 0.3:
            return r.choice(HOSTS)
        if k < 0.5:
            return self.fresh(self.ip)
        return self.fresh(lambda: r.choice(WORDS) + r.choice(("", "-" + r.choice(WORDS), str(r.randint(1, 99))))
                          + r.choice((".com", ".org", ".net", ".io", ".local", "", ".dev", ".example.com", ".co.uk", ".lan", ".de")))

    def s_host(self):
        v = self.host()
        return Slot(v, v)

    def s_login(self):
        u = self.s_user().form
        h = self.host()
        return Slot(self.rng.choice(("%s@%s", "%s@%s", "%s@%s", "%s@%s")) % (u, h), u + "@" + h)

    def s_url(self):
        r = self.rng
        v = self.fresh(lambda: r.choice(("https://", "https://", "http://")) + self.host() + r.choice(("", ":" + str(r.randint(80, 9999)))) + "/"
                       + "/".join(r.choice(WORDS) for _ in range(r.randint(0, 3))) + r.choice(("", "", "." + r.choice(EXTENSIONS))))
        return Slot(v, word(v))

    def s_urlfile(self):
        r = self.rng
        v = self.fresh(lambda: r.choice(("https://", "https://", "http://")) + self.host() + "/" + "".join(r.choice(WORDS) + "/" for _ in range(r.randint(0, 2)))
                       + self.stem(spaces=False) + "." + r.choice(EXTENSIONS))
        return Slot(v, word(v))

    def s_repo(self):
        r = self.rng
        v = self.fresh(lambda: r.choice(("https://github.com/%s/%s.git", "git@github.com:%s/%s.git", "https://gitlab.com/%s/%s", "https://github.com/%s/%s"))
                       % (r.choice(WORDS), self.stem(spaces=False)))
        return Slot(v, word(v))

    def s_pat(self):
        """A text to search for, always quoted in the command."""
        r = self.rng
        k = r.random()
        if k < 0.25:
            v = r.choice(PATTERNS)
        elif k < 0.40:
            v = r.choice(PHRASES)
        else:
            v = self.fresh(lambda: r.choice((
                r.choice(REQUEST_WORDS), r.choice(WORDS), self.pseudo(), self.alnum(), r.choice(WORDS) + "_" + r.choice(WORDS), r.choice(REQUEST_WORDS) + " " + r.choice(WORDS),
                r.choice(WORDS).capitalize() + r.choice(WORDS).capitalize(), str(r.randint(0, 99999)), r.choice(WORDS) + "()", self.ip(),
                r.choice(WORDS) + "=" + r.choice(WORDS), self.pseudo() + "@" + self.host(), r.choice(WORDS).upper(), r.choice(WORDS) + ":",
                " ".join(r.choice(WORDS) for _ in range(3)), self.isodate(), "#" + r.choice(WORDS), r.choice(WORDS) + "'s", r.choice(ACCENTED))))
        quoted = " " in v or r.random() < 0.45
        return Slot(self.said(v, quoted), quote(v), {})

    def s_old(self):
        """One side of a replacement: nothing that sed would read as syntax."""
        r = self.rng
        v = self.fresh(lambda: r.choice((r.choice(WORDS), r.choice(REQUEST_WORDS), self.pseudo(), r.choice(WORDS) + "_" + r.choice(WORDS), self.alnum(), r.choice(WORDS).upper(),
                                         r.choice(WORDS).capitalize(), str(r.randint(0, 9999)), r.choice(WORDS) + "-" + r.choice(WORDS),
                                         r.choice(WORDS) + " " + r.choice(WORDS), r.choice(WORDS) + "=" + r.choice(WORDS))))
        return Slot(self.said(v, " " in v or r.random() < 0.35), v, {})

    s_new = s_old

    def s_text(self):
        r = self.rng
        v = self.fresh(lambda: " ".join(r.choice((r.choice(WORDS), r.choice(REQUEST_WORDS), r.choice(REQUEST_WORDS), self.pseudo(), r.choice(WORDS).capitalize(), str(r.randint(0, 99))))
                                        for _ in range(r.randint(1, 5))) + r.choice(("", "", "", "!", ".", "?")))
        return Slot(self.said(v, True), quote(v), {"raw": v})

    def s_msg(self):
        r = self.rng
        v = self.fresh(lambda: r.choice(("fix", "add", "update", "remove", "Refactor", "Fix", "Add", "improve", "rename", "bump")) + " " +
                       " ".join(r.choice(WORDS) for _ in range(r.randint(1, 4))))
        return Slot(self.said(v, True), quote(v), {})

    def s_branch(self):
        r = self.rng
        v = r.choice(("main", "master", "develop", "dev", "staging", "release")) if r.random() < 0.25 else \
            self.fresh(lambda: r.choice(("", "feature/", "fix/", "bugfix/", "release/", "hotfix/")) + self.stem(spaces=False).lower())
        return Slot(self.said(v), word(v))

    def s_tag(self):
        r = self.rng
        v = self.fresh(lambda: r.choice(("v", "v", "", "release-")) + "%d.%d.%d" % (r.randint(0, 20), r.randint(0, 30), r.randint(0, 30)))
        return Slot(v, v)

    def s_commit(self):
        r = self.rng
        v = self.fresh(lambda: "".join(r.choice("0123456789abcdef") for _ in range(r.choice((7, 7, 8, 10, 40)))))
        return Slot(v, v)

    def s_date(self):
        v = self.isodate()
        return Slot(v, v)

    def s_year(self):
        v = str(self.rng.randint(1900, 2099))
        return Slot(v, v)

    def s_month(self):
        r = self.rng
        names = "January February March April May June July August September October November December".split()
        m = r.randint(1, 12)
        return Slot(r.choice((names[m - 1], names[m - 1], names[m - 1].lower())), str(m))

    def s_char(self):
        v = self.rng.choice(ALPHA + ALPHA.upper() + "0123456789")
        return Slot(self.rng.choice(("%s", "'%s'", '"%s"')) % v, v)

    def s_num(self):
        """A number that is computed with, not counted."""
        r = self.rng
        v = str(r.randint(0, r.choice((9, 99, 999, 9999, 999999))))
        return Slot(v, v)

    def s_epoch(self):
        v = str(self.rng.randint(100000000, 2000000000))
        return Slot(v, v)

    def s_ip(self):
        v = self.fresh(self.ip)
        return Slot(v, v)

    def s_iface(self):
        v = self.rng.choice(("eth0", "eth1", "wlan0", "lo", "enp3s0", "wlp2s0", "ens33", "docker0", "tun0", "br0", "en%d" % self.rng.randint(0, 9)))
        return Slot(v, v)

    def s_hex(self):
        v = "%x" % self.rng.randint(10, self.rng.choice((255, 4095, 65535, 1 << 24)))
        return Slot(v.upper() if self.rng.random() < 0.3 else v, v)

    def s_bin(self):
        v = bin(self.rng.randint(2, 255))[2:]
        return Slot(v, v)

    def s_word(self):
        """One word, printed or picked as it is."""
        v = self.fresh(lambda: self.rng.choice((self.rng.choice(WORDS), self.rng.choice(REQUEST_WORDS), self.pseudo(), self.rng.choice(WORDS).capitalize())))
        return Slot(self.said(v), v)

    def s_wd(self):
        v = self.rng.choice("monday tuesday wednesday thursday friday saturday sunday".split())
        return Slot(self.rng.choice((v, v.capitalize())), v)

    def s_tz(self):
        city, zone = self.rng.choice(ZONES)
        return Slot(zone, zone, {"city": city})

    def s_cron(self):
        r = self.rng
        h, m, n = r.randint(1, 11), r.randint(0, 59), r.randint(2, 30)
        days = "sunday monday tuesday wednesday thursday friday saturday".split()
        d = r.randrange(7)
        text, spec = r.choice((
            ("every minute", "* * * * *"), ("every hour", "0 * * * *"), ("hourly", "0 * * * *"), ("every day at midnight", "0 0 * * *"), ("daily at midnight", "0 0 * * *"),
            ("every %d minutes" % n, "*/%d * * * *" % n), ("every day at %d am" % h, "0 %d * * *" % h), ("every day at %d pm" % h, "0 %d * * *" % (h + 12)),
            ("daily at %d:%02d" % (h, m), "%d %d * * *" % (m, h)), ("every %s at %d am" % (days[d].capitalize(), h), "0 %d * * %d" % (h, d)),
            ("at %d:%02d every day" % (h, m), "%d %d * * *" % (m, h)), ("at every reboot", "@reboot"), ("on the first of every month", "0 0 1 * *"),
            ("every weekday at %d am" % h, "0 %d * * 1-5" % h)))
        return Slot(text, spec, {"raw": spec})

    def s_perms(self):
        """Permissions in words."""
        text, adj, mode = self.rng.choice(PERMS)
        return Slot(text, mode, {"adj": adj})

    def s_jsonobj(self):
        r = self.rng
        v = '{"%s": %s}' % (r.choice(WORDS), r.choice(('"%s"' % self.stem(False), str(r.randint(0, 999)), "true")))
        return Slot(v, v)

    def s_header(self):
        r = self.rng
        v = r.choice(("Accept: application/json", "Authorization: Bearer " + self.alnum(6, 12), "X-%s: %s" % (r.choice(WORDS).capitalize(), self.alnum()),
                      "Content-Type: text/plain", "User-Agent: " + r.choice(WORDS)))
        return Slot(self.said(v, True), v)


ZONES = (("Tokyo", "Asia/Tokyo"), ("New York", "America/New_York"), ("London", "Europe/London"), ("Paris", "Europe/Paris"), ("Berlin", "Europe/Berlin"),
         ("Sydney", "Australia/Sydney"), ("Los Angeles", "America/Los_Angeles"), ("Chicago", "America/Chicago"), ("Moscow", "Europe/Moscow"), ("Dubai", "Asia/Dubai"),
         ("Shanghai", "Asia/Shanghai"), ("Hong Kong", "Asia/Hong_Kong"), ("Singapore", "Asia/Singapore"), ("Delhi", "Asia/Kolkata"), ("India", "Asia/Kolkata"),
         ("Sao Paulo", "America/Sao_Paulo"), ("Toronto", "America/Toronto"), ("Madrid", "Europe/Madrid"), ("Rome", "Europe/Rome"), ("Seoul", "Asia/Seoul"),
         ("Cairo", "Africa/Cairo"), ("Istanbul", "Europe/Istanbul"), ("Vienna", "Europe/Vienna"), ("Zurich", "Europe/Zurich"), ("Mexico City", "America/Mexico_City"),
         ("Denver", "America/Denver"), ("Amsterdam", "Europe/Amsterdam"), ("Stockholm", "Europe/Stockholm"), ("Bangkok", "Asia/Bangkok"), ("Lagos", "Africa/Lagos"))
PERMS = (
    ("read and write for the owner only", "readable and writable only by the owner", "600"), ("rw for the owner and nothing for others", "private to its owner", "600"),
    ("read, write and execute for the owner only", "accessible only to its owner", "700"), ("rwx------", "usable by the owner alone", "700"),
    ("read and write for the owner and read for everyone else", "writable by the owner and readable by everyone else", "644"), ("rw-r--r--", "rw-r--r--", "644"),
    ("rwxr-xr-x", "rwxr-xr-x", "755"), ("full access for the owner and read and execute for everyone else", "executable by everyone and writable by the owner", "755"),
    ("all permissions for the owner and read and execute for the group and others", "fully accessible to the owner and executable by all others", "755"),
    ("read only for everyone", "read-only for everyone", "444"), ("r--r--r--", "readable by all and writable by nobody", "444"), ("read only for the owner", "readable only by the owner", "400"),
    ("r--------", "readable by the owner and by nobody else", "400"), ("rw-rw-r--", "rw-rw-r--", "664"), ("read and write for owner and group, read for others", "writable by owner and group and readable by others", "664"),
    ("read and write for owner and group", "readable and writable by owner and group", "660"), ("rw-rw----", "rw-rw----", "660"), ("rw-r-----", "rw-r-----", "640"),
    ("read and write for the owner, read for the group and nothing for others", "readable by the group and writable by the owner", "640"), ("rwxr-x---", "rwxr-x---", "750"),
    ("full access for the owner, read and execute for the group and nothing for others", "accessible to owner and group only", "750"), ("rwxrwxr-x", "rwxrwxr-x", "775"),
    ("full access for owner and group and read and execute for others", "writable by owner and group and executable by others", "775"), ("rw-------", "rw-------", "600"), ("r-xr-xr-x", "r-xr-xr-x", "555"),
    ("rwxrwx---", "fully accessible to owner and group and closed to others", "770"))


def r_choice(rng, seq):
    return rng.choice(seq)


KINDS = {k[2:]: getattr(Sampler, k) for k in dir(Sampler) if k.startswith("s_")}
DEFAULTS = {k[8:]: getattr(Sampler, k) for k in dir(Sampler) if k.startswith("default_")}


def kind_of(name):
    return name.rstrip("0123456789")
