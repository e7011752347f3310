#!/usr/bin/env python3
"""Writes src/shell/flags.def: which options the programs of a shell have, read from their manual pages on this machine.

    tools/shell_model/flags.py > src/shell/flags.def       needs man-db or mandoc, and the manual pages of the programs

One row for each program: PROGRAM("name", "letters", "words", "long names"). A letter or name that takes a value is followed by a colon
(a value that may be left out counts, too). Words are options of several letters after one dash, as those of find. Only names are taken
from the pages, no descriptions. A program without a page on this machine gets no row, and then its options are never doubted.
"""

import os
import re
import subprocess
import sys

PROGRAMS = """ls cat tac head tail wc grep sed gawk:awk cut sort uniq tr tee paste join comm find xargs cp mv rm mkdir rmdir touch ln chmod chown
chgrp tar gzip gunzip bzip2 xz zip unzip du df ps kill pkill pgrep date seq stat file diff cmp split nl fold fmt column
rev shuf md5sum sha1sum sha256sum sha512sum cksum base64 basename dirname realpath readlink which uname whoami id groups who w uptime free
nproc lscpu lsblk ss ip ping dig host curl wget ssh scp rsync env nice timeout watch less jq bc od hexdump xxd strings
mktemp truncate install dd expand unexpand tsort numfmt getent hostname lsof journalctl systemctl mount tree locale nohup
printenv pidof pstree vmstat zgrep iconv openssl make patch ssh-keygen
git-add git-branch git-checkout git-clone git-commit git-diff git-fetch git-grep git-init git-log git-ls-files git-merge git-mv git-pull
git-push git-rebase git-remote git-reset git-restore git-rm git-show git-shortlog git-stash git-status git-switch git-tag git-blame
git-clean git-config git-describe git-archive git-cherry-pick git-revert git-rev-parse git-reflog""".split()
# What the pages of these programs say in a form that the rules below do not read, and what POSIX asks for.
MORE = {"tar": "cxtrufzjJvCpkOahP", "ls": "1", "head": "nc", "tail": "ncf", "find": "HLPODao", "ps": "AadefFjlLMyTNHcGgpqstuUwC", "kill": "lsn",
        "gunzip": "cdfhklLnNqrtvVS", "unzip": "lvtdnoqjpafuxZ", "zip": "rqmuj9deFTxi@PyX0", "jq": "rcnsSeRjaCM", "date": "uRdIsrf", "df": "PkhHTialtx"}
# Programs whose pages a Debian system need not have, from their usage lines.
OWN = {"sudo": "ABC:D:EHKNPR:ST:U:Vbeg:h:iklnp:r:st:u:v", "crontab": "eilru:", "cal": "13A:B:Jhjm:y", "dos2unix": "bcfhiklmnoqruV"}
NO_SYNOPSIS = ("find", "openssl", "gawk")


def page(name):
    env = {**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": "", "PAGER": "cat"}
    r = subprocess.run(["man", "-P", "cat", name], capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL)
    text = re.sub(r"\x1b\[[0-9;]*m", "", r.stdout)
    return re.sub(r".\x08", "", text).replace("\u2010", "-").replace("\u2212", "-").replace("\u2011", "-") if r.returncode == 0 else ""


def options(name):
    short, words, long = {}, {}, {}

    def see(opt, value):
        if opt.startswith("--"):
            long[opt[2:]] = long.get(opt[2:], False) or value
        elif len(opt) == 2:
            short[opt[1]] = short.get(opt[1], False) or value
        else:
            words[opt[1:]] = True
    text = page(name)
    for line in text.splitlines():
        m = re.match(r"\s{1,14}(-{1,2}[A-Za-z0-9?@%<].*)$", line)
        if not m:
            continue
        head = re.split(r"\s{2,}|\t", m[1])[0] if not name.startswith("git-") else m[1]
        head = re.sub(r"--\[no-\]([a-z][\w-]*)", r"--\1, --no-\1", head)
        found = re.findall(r"(?:^|[\s,|(\[/])(-{1,2}[A-Za-z0-9?@#][\w.-]*)(\[?=|\[[^\]-]| ?<| [A-Z]+\b| [a-z]+(?=$|,|\s*$)|\.\.\.)?", head)
        value = any(v for _, v in found)
        for opt, v in found:
            opt = opt.rstrip(".,")
            # "-n, --lines=[-]NUM": what the long one takes, the short one takes, too
            see(opt, bool(v) or (len(opt) == 2 and value))
    for bracket in re.findall(r"\[-([A-Za-z0-9@]{2,})\]", text[:3000]):      # a synopsis such as ls [-abc]
        if name not in NO_SYNOPSIS:
            for c in bracket:
                short.setdefault(c, False)
    for c in MORE.get(name, ""):
        short.setdefault(c, False)
    return text, short, words, long


def chunks(text, width=100):
    """Pieces of at most about that many characters, cut after blanks; put together they are the text."""
    out = [""]
    for piece in text.split(" "):
        if len(out[-1]) + len(piece) > width:
            out.append("")
        out[-1] += piece + " "
    out[-1] = out[-1][:-1]
    return out


def main():
    print("/* shell/flags.def - made by tools/shell_model/flags.py from the manual pages of a Debian system; do not edit.\n"
          " * A letter or a name that takes a value is followed by a colon; the columns are program, letters, words after one\n"
          " * dash, names after two dashes. */")
    missing = []
    for item in PROGRAMS:
        name, _, as_name = item.partition(":")
        text, short, words, long = options(name)
        if not text or len(short) + len(words) + len(long) < 1:
            missing.append(name)
            continue
        if name in ("find", "ip", "openssl", "awk", "xargs"):
            words = {w: v for w, v in words.items() if re.fullmatch(r"[a-z][a-z0-9_]+", w)}
        else:
            words = {}
        row = ["".join(k + (":" if v else "") for k, v in sorted(short.items())),
               " ".join(sorted(w for w in words)), " ".join(k + (":" if v else "") for k, v in sorted(long.items()))]
        title = (as_name or name).replace("git-", "git ")
        words_and_names = ["\n        ".join('"%s"' % x for x in chunks(text)) for text in row]
        print('PROGRAM("%s", %s)' % (title, ",\n        ".join(words_and_names)))
    for name, letters in OWN.items():
        print('PROGRAM("%s", "%s",\n        "",\n        "")' % (name, letters))
    print("flags.py: no page for %s" % " ".join(missing), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
