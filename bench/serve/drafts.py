"""Does guessing pay? Tokens a second with --draft auto beside --draft off, in turns, at several widths.

    bench/serve/drafts.py MODEL [--widths 1,4,8] [--rounds 2] [--tokens 400]

Two kinds of text: `edit`, a file of single letters in the prompt that a grammar makes the model give back with one
letter in forty changed (so what is accepted follows from the grammar, not from what the model learned; the letters are
tokens of their own); and `fresh`, sampled at temperature 1.5, in which hardly anything repeats. MODEL needs a tokenizer.
One JSON object a line: kind, width, tokens a second of each, their ratio, and what was guessed and accepted."""
import argparse
import http.client
import json
import os
import random
import subprocess
import threading
import time


class Server:
    def __init__(self, wick, model, *args):
        self.p = subprocess.Popen([wick, "serve", model, "--port", "0", "--kv-dir", "off", "--no-prefix-cache", *args],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        url = next(w for w in self.p.stdout.readline().split() if "://" in w)
        self.host = url.split("//")[1].split("/")[0]

    def ask(self, path, body=None):
        c = http.client.HTTPConnection(self.host, timeout=900)
        c.request("POST" if body else "GET", path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        r = c.getresponse()
        data = r.read().decode()
        assert r.status == 200, data
        return data

    def counts(self):
        rows = [line.split() for line in self.ask("/metrics").splitlines() if line.startswith("wick_draft_")]
        return {r[0].split("{")[0]: float(r[-1]) for r in rows}


def bodies(kind, width, n, seed):
    rng = random.Random(seed)
    for _ in range(width):
        text = [rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(n)]
        body = {"prompt": "".join(text), "max_tokens": n, "temperature": 0, "ignore_eos": True}
        if kind == "edit":
            for i in range(20, n, 40):
                text[i] = rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
            yield body | {"grammar": 'root ::= "' + "".join(text) + '"', "ignore_eos": False}
        else:
            yield body | {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": rng.randrange(1000)}


def speed(server, kind, width, n, seed):
    """Tokens a second of the answers, without the time of the prompts (the same requests for one token)."""
    took = []
    for tokens in (1, n):
        todo = [b | {"max_tokens": tokens} for b in bodies(kind, width, n, seed)]
        t = time.time()
        threads = [threading.Thread(target=server.ask, args=("/v1/completions", b)) for b in todo]
        for x in threads:
            x.start()
        for x in threads:
            x.join()
        took.append(time.time() - t)
    return width * (n - 1) / (took[1] - took[0])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("model")
    ap.add_argument("--widths", default="1,4,8")
    ap.add_argument("--rounds", type=int, default=2)
    ap.add_argument("--tokens", type=int, default=400)
    a = ap.parse_args()
    wick = os.environ.get("WICK_BIN", "build/release/wick")
    servers = {m: Server(wick, a.model, "--draft", m) for m in ("auto", "off")}
    try:
        for kind in ("edit", "fresh"):
            for width in map(int, a.widths.split(",")):
                got = {m: [] for m in servers}
                before = servers["auto"].counts()
                for r in range(a.rounds):
                    for m, s in servers.items():
                        got[m].append(speed(s, kind, width, a.tokens, r))
                after = servers["auto"].counts()
                best = {m: max(v) for m, v in got.items()}
                print(json.dumps({"kind": kind, "width": width, "auto": round(best["auto"], 1), "off": round(best["off"], 1),
                                  "ratio": round(best["auto"] / best["off"], 3)}
                                 | {k: int(after[k] - before[k]) for k in after}), flush=True)
    finally:
        for s in servers.values():
            s.p.terminate()
            s.p.wait()


if __name__ == "__main__":
    main()
