#!/usr/bin/env python3
"""Runs what the generator teaches: each intent's command with drawn values, in a sandbox where the files it names exist.

    verify.py [--draws N] [--only NAME]

Needs bubblewrap. Programs that would leave the sandbox (network, services, packages) are stubs that print their words. Reported is a
command that says nothing of use: a usage message, an unknown option, a syntax error, a program that is not there.
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gen_data  # noqa: E402
import grammar  # noqa: E402
from slots import DEFAULTS, KINDS, kind_of  # noqa: E402

STUBS = ("sudo systemctl journalctl curl wget ssh scp ping traceroute dig nslookup host whois nc nmap nmcli docker apt apt-get dpkg brew tmux screen ip ss lsof openssl ssh-keygen ssh-copy-id "
         "ssh-add shutdown reboot passwd su useradd userdel usermod crontab man less more vi strace dmesg lsusb lspci lsblk mount umount iptables rsync make cc python3 last who w swapon lsmod watch "
         "top at last nl_stub pstree jq whatis apropos arp swapoff renice time_stub chown chgrp getent findmnt blkid locate pkill kill pgrep killall fg bg").split()
COMPLAINT = re.compile(r"usage:|try '|invalid|unrecognized|syntax error|unknown|not found|illegal|missing|ambiguous|unexpected|unterminated|unmatched|bad |expected|extra operand|extra ch|"
                       r"not recognized|requires|too many|cannot stat|no such", re.I)
TEXT = "alpha 10 one\nbeta 7 two\ngamma 7 three\nalpha 3 TODO error\n\n# comment 2024-01-02\n192.168.1.10 - - [x] \"GET /a HTTP/1.1\" 404 12 user@example.com https://x.org/a\n"


def make(path, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "dir":
        path.mkdir(exist_ok=True)
        (path / "a.txt").write_text(TEXT)
    elif kind == "csv":
        path.write_text("name,age,city\nbob,30,rome\nann,25,oslo\neve,30,rome\n")
    elif kind == "json":
        path.write_text('{"name": "x", "items": [{"id": 1}]}')
    elif kind in ("tar", "targz", "tarbz", "tarxz"):
        with tarfile.open(path, {"tar": "w", "targz": "w:gz", "tarbz": "w:bz2", "tarxz": "w:xz"}[kind]) as t:
            t.add("/etc/hostname", "inner.txt")
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as z:
            z.writestr("inner.txt", TEXT)
    elif kind == "gz":
        import gzip
        path.write_bytes(gzip.compress(TEXT.encode()))
    else:
        path.write_text(TEXT)


GEN = gen_data.Generator(1)
LOCK = threading.Lock()


def draw(intent, seed):
    gen = GEN
    gen.rng.seed("%s/%d" % (intent.name, seed))
    for _ in range(400):
        tree, _ = gen.rng.choice(intent.phrases)
        slots = {}
        for node in grammar.choose(tree, gen.rng, []):
            if not isinstance(node, str) and node[1] not in slots:
                slots[node[1]] = KINDS[kind_of(node[1])](gen.sampler)
        for name in intent.defaults:
            slots.setdefault(name, DEFAULTS[kind_of(name)](gen.sampler))
        paths = [s.forms["raw"] for n, s in slots.items() if "raw" in s.forms and kind_of(n) not in ("text", "value", "cron", "stem", "word")]
        if all(not p.startswith(("/", "~", "..")) and not p.startswith("-") for p in paths) and len(set(paths)) == len(paths):
            return slots, grammar.fill(intent.command, slots)
    return None, None


def run(job):
    intent, seed, stubs = job
    with LOCK:
        slots, cmd = draw(intent, seed)
    if cmd is None:
        return intent.name, "", "no draw", 0
    box = pathlib.Path(tempfile.mkdtemp(prefix="verify."))
    try:
        for name, slot in slots.items():
            kind = kind_of(name)
            if "raw" in slot.forms and kind not in ("text", "value", "cron", "stem", "word", "link", "old", "new") and not (kind == "where" and slot.forms["raw"] == "."):
                try:
                    make(box / slot.forms["raw"], "dir" if kind in ("dir", "where") else kind)
                except OSError:
                    pass
            elif kind in ("ext", "exts"):
                make(box / ("sample." + slot.form), "txt")
        subprocess.run(["git", "init", "-q"], cwd=box, capture_output=True)
        r = subprocess.run(["bwrap", "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--bind", str(box), "/mnt", "--dev", "/dev", "--proc", "/proc", "--unshare-all", "--die-with-parent", "--chdir", "/mnt",
                            "--bind", stubs, "/media", "--setenv", "PATH", "/media:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "--setenv", "HOME", "/mnt", "--setenv", "USER", "root",
                            "timeout", "2", "bash", "-c", cmd], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, errors="replace")
        complaint = r.stderr.strip().splitlines()
        bad = [x for x in complaint if COMPLAINT.search(x)]
        return intent.name, cmd, (bad[0] if bad else ""), r.returncode
    except subprocess.TimeoutExpired:
        return intent.name, cmd, "timeout", 1
    finally:
        shutil.rmtree(box, ignore_errors=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--draws", type=int, default=1)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--only")
    args = ap.parse_args()
    stubs = tempfile.mkdtemp(prefix="stubs.")
    for s in STUBS:
        p = pathlib.Path(stubs, s)
        p.write_text('#!/bin/sh\nprintf "%%s " "%s" "$@"; echo\n' % s if s != "sudo" else '#!/bin/sh\nexec "$@"\n')
        p.chmod(0o755)
    jobs = [(i, args.seed + k, stubs) for i in grammar.load_intents() if i.command and (not args.only or args.only in (i.name, i.category)) for k in range(args.draws)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(run, jobs))
    shutil.rmtree(stubs)
    bad = [r for r in results if r[2]]
    for name, cmd, why, code in bad:
        print("%-22s %s\n%24s%s" % (name, cmd, "", why))
    print("%d commands run, %d complain, %d end with an error" % (len(results), len(bad), sum(r[3] != 0 for r in results)))


if __name__ == "__main__":
    main()
