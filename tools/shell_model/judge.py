#!/usr/bin/env python3
"""Judges answers to tests/shell/heldout.txt by running them: same output and same file tree as one of the reference commands.

    judge.py heldout.txt --answers FILE.json         answers as [{"request", "answer"}] (train.py writes them as "heldout")
    judge.py heldout.txt --wick build/release/wick --model models/wick-shell [--every 4]
    judge.py heldout.txt --wick build/release/wick --sh "--candidates 8"   through wick sh, in the folder of the fixture
    judge.py heldout.txt --self                      are the references in order: do they run, do alternatives differ?

Needs bubblewrap. Every command runs in a fresh copy of one fixture, without network; programs that would leave the machine are stubs
that print their words, so those are compared by what they were asked to do. Lines of the output are compared in order where the
reference sorts, else as a set; blanks at line ends and their number do not matter.
"""

import argparse
import collections
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

STUBS = ("systemctl journalctl curl wget ssh scp ping traceroute tracepath mtr dig nslookup host nc nmap docker apt apt-get brew tmux screen ip ss lsof openssl ssh-keygen netstat route ifconfig "
         "ssh-copy-id shutdown reboot passwd useradd userdel usermod crontab man rsync kill pkill killall pgrep pidof ps").split()
NOTES = """shopping list
milk 2 bottles
TODO call anna at anna@example.com
the cat sat on the mat and the dog sat on the log

bread and butter  
todo: fix the old bike
visit 192.168.1.77 or http://example.com/page
the end of the notes is near 42

last line
"""
LOG = "".join("2024-03-%02d %02d:%02d:00 %s %s\n" % (1 + i // 5, 8 + i % 5, 7 * i % 60, ("INFO", "WARN", "ERROR")[i % 3], ("disk almost full", "user logged in", "request failed", "disk error")[i % 4])
              for i in range(17))
ACCESS = "".join('10.0.0.%d - - [01/Mar/2024:10:00:%02d +0000] "GET /%s HTTP/1.1" %d %d\n' % (1 + i % 4, i, ("index", "about", "missing", "img")[i % 4], 404 if i % 4 == 2 else 200, 100 + 37 * i) for i in range(13))


def build(root):
    def put(name, text, mode=0o644):
        p = root / name
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_bytes(text if isinstance(text, bytes) else text.encode())
        p.chmod(mode)
    put("notes.txt", NOTES)
    put("data.csv", "name,age,city,salary\nbob,34,rome,2100\nann,28,oslo,3200\neve,41,rome,2900\ndan,19,paris,1500\nkim,55,oslo,4100\nlea,30,rome,2500\n")
    put("numbers.txt", "42\n7\n100\n13\n7\n58\n3\n24\n")
    put("words.txt", "banana\napple\ncherry\nbanana\nlevel\ngrape\napple\nfig\nbaker\norange\n")
    put("app.log", LOG)
    put("access.log", ACCESS)
    put("config.ini", "[server]\nhost=localhost\nport=8080\n# old setting\nmode=foo\n\n[client]\nname=foo\n#debug=true\nserver_alias=foo foo\n")
    put("users.json", '{"name": "bob", "age": 34, "tags": ["a", "b"]}\n')
    put("items.json", '[{"id": 1, "name": "pen", "price": 2}, {"id": 2, "name": "bag", "price": 30}, {"id": 3, "name": "cup", "price": 7}]\n')
    put("report.md", "# Report\nThe cat is fine.\n")
    put("script.sh", "#!/bin/sh\necho hi\n")
    put("main.py", "import os\n\ndef main():\n    print(os.getcwd())\n")
    put("util.py", "def add(a, b):\n    return a + b\n")
    put("lib.c", "int f(void) { return 1; }\n")
    put("my file.txt", "with a space\nin its name\n")
    put("empty.txt", "")
    put("big.bin", os.urandom(0) + b"x" * 1500000)
    put("docs/a.md", "# A\n" + "text\n" * 30)
    put("docs/b.md", "# B\n")
    put("docs/guide.txt", "guide\n" * 40)
    put("docs/words2.txt", "apple\nfig\nkiwi\nlevel\n")
    put("src/a.py", "import sys\nprint(1)\n")
    put("src/b.py", "def b():\n    pass\n")
    put("src/sub/c.py", "import re\n\n\ndef c():\n    return 3\n")
    put("src/d.c", "int d;\n")
    put("src/run.sh", "#!/bin/sh\n", 0o755)
    put("logs/1.log", "ok\nerror\nok\n")
    put("logs/2.log", "fine\nok\n")
    put("images/x.png", b"\x89PNG\r\n\x1a\n")
    put("images/y.jpg", b"\xff\xd8\xff")
    (root / "emptydir").mkdir()
    put(".hidden", "h\n")
    put(".config.yml", "a: 1\n")
    (root / "link").symlink_to("notes.txt")
    (root / "broken").symlink_to("nowhere")
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w:gz") as t:
        for name in ("inner/a.txt", "inner/b.txt", "readme"):
            info = tarfile.TarInfo(name)
            info.size = len(name) + 1
            t.addfile(info, io.BytesIO((name + "\n").encode()))
    put("archive.tar.gz", buf.getvalue())
    buf = io.BytesIO()
    with zipfile.ZipFile(buf, "w") as z:
        z.writestr("z1.txt", "one\n")
        z.writestr("dir/z2.txt", "two\n")
    put("backup.zip", buf.getvalue())
    put("old.log.gz", gzip.compress(b"first error\nsecond ok\nthird error\n", mtime=0))
    env = {**os.environ, "GIT_AUTHOR_DATE": "2024-01-01T10:00:00Z", "GIT_COMMITTER_DATE": "2024-01-01T10:00:00Z", "HOME": str(root)}

    def git(*args):
        subprocess.run(["git", "-c", "user.name=Bob", "-c", "user.email=b@x.org", *args], cwd=root, check=True, capture_output=True, env=env)
    git("init", "-q", "-b", "main")
    git("add", "words.txt")
    git("commit", "-qm", "first words")
    git("add", "notes.txt", "config.ini", "src")
    git("commit", "-qm", "notes and sources")
    git("tag", "v1")
    put("notes.txt", NOTES + "one more\n")
    git("commit", "-qam", "more notes")
    git("branch", "side")
    put("notes.txt", NOTES)
    base = 1704103200
    for k, p in enumerate(sorted(x for x in root.rglob("*") if ".git/" not in str(x) and not x.is_symlink())):
        os.utime(p, (base + 86400 * (k * 7 % 31), base + 86400 * (k * 7 % 31)))
    os.utime(root / "app.log", None)


def tree(root):
    out = {}
    for p in sorted(root.rglob("*")):
        name = str(p.relative_to(root))
        if name.startswith(".git/") and not name.startswith((".git/refs", ".git/HEAD")) or name == ".git/COMMIT_EDITMSG" or name in (".bash_history", ".lesshst"):
            continue
        st = p.lstat()
        if p.is_symlink():
            out[name] = "-> " + os.readlink(p)
        elif p.is_dir():
            out[name] = oct(st.st_mode)
        else:
            data = p.read_bytes() if st.st_mode & stat.S_IRUSR or os.geteuid() == 0 else b""
            if name.endswith((".gz", ".tgz", ".zip", ".tar", ".xz", ".bz2")):
                data = archive_names(p, data)
            out[name] = "%o %s" % (st.st_mode, hashlib.md5(data).hexdigest())
    return out


def archive_names(path, data):
    """What an archive holds, since its bytes have times in them."""
    try:
        if path.name.endswith(".zip"):
            return repr(sorted(zipfile.ZipFile(path).namelist())).encode()
        if ".tar" in path.name or path.name.endswith(".tgz"):
            with tarfile.open(path) as t:
                return repr(sorted(t.getnames())).encode()
        if path.name.endswith(".gz"):
            return gzip.decompress(data)
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError):
        pass
    return data


class Judge:
    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="judge."))
        (self.home / "fixture").mkdir()
        build(self.home / "fixture")
        stubs = self.home / "stubs"
        stubs.mkdir()
        for s in STUBS:
            (stubs / s).write_text('#!/bin/sh\nprintf "%%s " "%s" "$@"; echo\n' % s)
            (stubs / s).chmod(0o755)
        (stubs / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
        (stubs / "sudo").chmod(0o755)
        self.cache = {}

    def close(self):
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, cmd):
        if cmd in self.cache:
            return self.cache[cmd]
        box = pathlib.Path(tempfile.mkdtemp(prefix="box.", dir=self.home))
        subprocess.run(["cp", "-a", str(self.home / "fixture") + "/.", str(box)], check=True)
        try:
            r = subprocess.run(["bwrap", "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--tmpfs", "/root", "--bind", str(box), "/mnt", "--ro-bind", str(self.home / "stubs"), "/media", "--dev", "/dev", "--proc", "/proc",
                                "--unshare-all", "--die-with-parent", "--new-session", "--hostname", "box", "--chdir", "/mnt", "--clearenv", "--setenv", "PATH", "/media:/usr/local/bin:/usr/bin:/bin",
                                "--setenv", "HOME", "/mnt", "--setenv", "USER", "root", "--setenv", "SHELL", "/bin/bash", "--setenv", "LANG", "C.UTF-8", "--setenv", "TERM", "xterm",
                                "--setenv", "GIT_PAGER", "cat", "timeout", "5", "bash", "-c", cmd], capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
            out = (r.stdout.decode("utf-8", "replace"), r.stderr.decode("utf-8", "replace"), r.returncode, tree(box))
        except subprocess.TimeoutExpired:
            out = ("", "timeout", 124, {})
        finally:
            subprocess.run(["chmod", "-R", "u+rwx", str(box)], capture_output=True)
            shutil.rmtree(box, ignore_errors=True)
        self.cache[cmd] = out
        return out

    def same(self, want, got):
        a, b = self.run(want), self.run(got)
        if a[3] != b[3]:
            return False
        x, y = lines(a[0]), lines(b[0])
        ordered = re.search(r"\bsort\b|\btac\b|\bls\b|\bhead\b|\btail\b|\bseq\b|\bsed\b|\bawk\b", want)
        if x == y or (not ordered and sorted(x) == sorted(y)):
            return bool(x) or a[3] != self.run(":")[3] or b[2] == a[2] and not b[1]
        return False


def lines(text):
    text = re.sub(r"^\./", "", text, flags=re.M)
    return [re.sub(r"\s+", " ", x).strip() for x in text.splitlines() if x.strip()]


def load(path):
    for line in open(path, encoding="utf-8"):
        if not line.startswith("#") and line.strip():
            kind, category, rest = line.rstrip("\n").split("|", 2)
            request, _, refs = rest.partition(" =>")
            yield kind, category, request.strip(), [r.strip() for r in refs.split("|||")]


def answer_of(text):
    try:
        doc = json.loads(text)
        return doc.get("cmd", "") if isinstance(doc, dict) else None
    except ValueError:
        return None


def ask(wick, model, requests, threads):
    def one(r):
        p = subprocess.run([wick, "run", model, r], capture_output=True, text=True, timeout=120)
        return p.stdout.strip()
    with ThreadPoolExecutor(threads) as pool:
        return dict(zip(requests, pool.map(one, requests)))


def ask_sh(wick, model, requests, options, judge):
    """`wick sh` in the folder where the commands will run, with the programs that they will find."""
    env = {**os.environ, "PATH": str(judge.home / "stubs") + ":" + os.environ["PATH"]}
    p = subprocess.run([wick, "sh", "--batch", "-", "--json", "--model", model, *options.split()], input="".join(r + "\n" for r in requests), capture_output=True,
                       text=True, cwd=judge.home / "fixture", env=env, timeout=3600)
    rows = [json.loads(x) for x in p.stdout.splitlines()]
    if len(rows) != len(requests):
        raise SystemExit("wick sh: %d answers to %d requests: %s" % (len(rows), len(requests), p.stderr))
    return {x["request"]: json.dumps({"cmd": x["command"]}) for x in rows}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("cases")
    ap.add_argument("--answers")
    ap.add_argument("--wick")
    ap.add_argument("--model", default="models/wick-shell")
    ap.add_argument("--sh", metavar="OPTIONS", help="ask through wick sh with these options")
    ap.add_argument("--every", type=int, default=1, help="only each N-th case")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--self", action="store_true")
    ap.add_argument("--show", action="store_true", help="print what is wrong")
    ap.add_argument("--json")
    args = ap.parse_args()
    cases = list(load(args.cases))[::args.every]
    judge = Judge()
    try:
        if args.self:
            def ref(c):
                o = judge.run(c[3][0]) if c[0] != "R" else None
                bad = o and (o[2] == 127 or "syntax error" in o[1] or "invalid" in o[1] or "usage" in o[1].lower())
                empty = o and not o[0] and o[3] == judge.run(":")[3]
                return (c, o) if bad or empty else None
            with ThreadPoolExecutor(args.threads) as pool:
                for x in filter(None, pool.map(ref, cases)):
                    print(x[0][2], "=>", x[0][3][0], x[1][:3])
            return 0
        if args.answers:
            doc = json.load(open(args.answers))
            got = {x["request"]: x["answer"] for x in (doc["heldout"] if isinstance(doc, dict) else doc)}
        elif args.sh is not None:
            got = ask_sh(str(pathlib.Path(args.wick).resolve()), str(pathlib.Path(args.model).resolve()), [c[2] for c in cases], args.sh, judge)
        else:
            got = ask(args.wick, args.model, [c[2] for c in cases], args.threads)

        def verdict(c):
            cmd = answer_of(got.get(c[2], ""))
            if c[0] == "R":
                return cmd == ""
            return bool(cmd) and any(cmd == r or judge.same(r, cmd) for r in c[3])
        with ThreadPoolExecutor(args.threads) as pool:
            ok = list(pool.map(verdict, cases))
        table = collections.defaultdict(lambda: [0, 0])
        for c, good in zip(cases, ok):
            for key in ((c[0], "all"), (c[0], c[1])):
                table[key][0] += good
                table[key][1] += 1
            if args.show and not good:
                print("%s %-8s %s\n    got  %s\n    want %s" % (c[0], c[1], c[2], answer_of(got.get(c[2], "")), c[3][0]))
        for key in sorted(table, key=lambda k: ("BPTIR".index(k[0]), k[1] != "all", k[1])):
            print("%s %-8s %3d of %3d  %5.1f %%" % (*key, *table[key], 100 * table[key][0] / table[key][1]))
        if args.json:
            json.dump({"%s %s" % k: v for k, v in table.items()}, open(args.json, "w"))
        return 0
    finally:
        judge.close()


if __name__ == "__main__":
    sys.exit(main())
