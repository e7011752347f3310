#!/usr/bin/env python3
"""`wick serve` beside llama.cpp's llama-server under load, on the same model, in turns; and what serving costs over `wick bench`.

    bench/peers/setup.sh && bench/serve/compare.py [--clients 1 8 32 128] [--rounds 3] [--seconds 10] [--tests load,intruder,overhead]

Both servers run all the time and hold as many sequences at once; only one has clients at a time. `load`: throughput, time to
first token, time between tokens. `intruder`: the same with 8 clients while prompts of about 4,096 tokens enter. `overhead`: decode
of `wick serve` (the rate of each stream of clients that start together) against `wick bench` of the same batch.
Needs the models of bench/peers (made where they are missing). Writes serve.jsonl and serve.md beside the ledger of bench/peers."""
import argparse
import datetime
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "build/peers"
LOAD = ROOT / "bench/serve/load.py"
HIGHER = {"tokens_per_s"}
SHOWN = ("tokens_per_s", "ttft_p50_ms", "ttft_p99_ms", "inter_token_p50_ms", "inter_token_p99_ms")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, name, argv, log):
        self.name, self.url = name, f"http://127.0.0.1:{free_port()}"
        self.log = open(log, "w")
        argv = [str(a).replace("PORT", self.url.rsplit(":", 1)[1]) for a in argv]
        self.process = subprocess.Popen(argv, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        for _ in range(600):
            try:
                self.ask(1)
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.2)
        self.stop()
        sys.exit(f"{name} does not answer: see {log}")

    def ask(self, words):
        """usage of one answer to so many words"""
        body = json.dumps({"messages": [{"role": "user", "content": "time " * words}], "max_tokens": 1}).encode()
        r = urllib.request.Request(self.url + "/v1/chat/completions", body, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(r, timeout=300))["usage"]

    def load(self, *options):
        out = subprocess.run([sys.executable, LOAD, "--url", self.url, "--json", "--extra", '{"ignore_eos": true}', *map(str, options)],
                             check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(out.stdout)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def in_turns(a, servers, *options):
    """{server: {figure: median of the rounds}}"""
    seen = {s.name: [] for s in servers}
    for i in range(a.rounds):
        for s in servers[::1 if i % 2 == 0 else -1]:
            seen[s.name].append(s.load(*options))
            print(s.name, seen[s.name][-1], flush=True)
    return {name: {k: statistics.median(r[k] for r in runs) for k in (*SHOWN, "errors", "requests")}
            for name, runs in seen.items()}


def overhead(a, wick, model, batch):
    """(tokens per second of wick bench, of wick serve), decode of `batch` sequences"""
    bench, serve = [], []
    for _ in range(a.rounds):
        out = subprocess.run([a.wick, "bench", model, "-p", "0", "-n", str(a.gen), "-b", str(batch), "-r", "2", "-t", str(a.threads), "--json", "-q"],
                             check=True, stdout=subprocess.PIPE, text=True).stdout
        bench.append(json.loads(out)["results"][0]["tok_s"])
        r = wick.load("--clients", batch, "--requests", 1, "--seconds", 600, "--prompt-words", 1, "--max-tokens", a.gen)
        serve.append(batch * r["decode_per_s"])
        print(f"overhead at {batch}: bench {bench[-1]:.1f}, serve {serve[-1]:.1f}", flush=True)
    return statistics.median(bench), statistics.median(serve)


def times_better(figure, wick, peer):
    return (wick / peer if figure in HIGHER else peer / wick) if wick and peer else float("nan")


def write_table(folder):
    """The newest line of each test as a table."""
    newest = {}
    for line in (folder / "serve.jsonl").read_text().splitlines():
        e = json.loads(line)
        newest[e["test"]] = e
    any_entry = max(newest.values(), key=lambda e: e["time"])
    out = ["# wick serve beside llama-server", "",
           f"{any_entry['cpu']}, {any_entry['threads']} threads, model {any_entry['model']}, {any_entry['slots']} sequences at once; medians of "
           f"{any_entry['rounds']} rounds in turns. Ratio: how many times better Wick is.", "",
           "| test | figure | Wick | llama-server | ratio | load average |", "|---|---|---|---|---|---|"]
    for test, e in newest.items():
        for figure, (wick, peer) in e["figures"].items():
            ratio = f"costs {1 - wick / peer:.1%}" if test.startswith("overhead") else f"{times_better(figure, wick, peer):.2f}"
            out.append(f"| {test} | {figure} | {wick:.2f} | {peer:.2f} | {ratio} | {e['load_average']} |")
    out += ["", "In the rows of overhead the column of llama-server holds `wick bench`."]
    (folder / "serve.md").write_text("\n".join(out) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    p.add_argument("--tests", default="load,intruder,overhead")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--prompt-words", type=int, default=32)
    p.add_argument("--gen", type=int, default=128)
    p.add_argument("--slots", type=int, default=32, help="sequences at once")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    p.add_argument("--model", default="1b")
    p.add_argument("--wick", type=Path, default=ROOT / "build/release/wick")
    p.add_argument("--results", type=Path)
    a = p.parse_args()
    model = PEERS / f"models/{a.model}-q4_0.gguf"
    if not model.exists():
        subprocess.run([ROOT / "build/venv/bin/python", ROOT / "bench/peers/models.py", PEERS / "models", a.model], check=True)
    machine = json.loads(subprocess.run([a.wick, "bench", ROOT / "models/wick-shell", "-p", "1", "-n", "0", "-r", "1", "--json", "-q"], check=True,
                                        stdout=subprocess.PIPE, text=True).stdout)["machine"]
    folder = a.results or ROOT / "bench/results" / f"{datetime.date.today()}-{re.sub(r'[^a-z0-9]+', '-', machine['cpu'].lower()).strip('-')}"
    folder.mkdir(parents=True, exist_ok=True)

    def record(test, figures):
        entry = dict(time=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), test=test, cpu=machine["cpu"],
                     threads=a.threads, model=model.name, slots=a.slots, rounds=a.rounds, load_average=round(os.getloadavg()[0], 1), figures=figures)
        with open(folder / "serve.jsonl", "a") as f:
            f.write(json.dumps(entry) + "\n")
        write_table(folder)

    servers = [Server("wick", [a.wick, "serve", model, "--port", "PORT", "-t", a.threads, "-c", 8192, "--max-seqs", a.slots, "-q"], PEERS / "serve-wick.log")]
    try:
        if set(a.tests.split(",")) & {"load", "intruder"}:
            servers.append(Server("llama-server", [PEERS / "bin/llama-server", "-m", model, "--port", "PORT", "-t", a.threads, "-c", 65536, "-np", a.slots,
                                                   "--kv-unified", "--no-webui"], PEERS / "serve-llama.log"))
        if "load" in a.tests:
            for n in a.clients:
                r = in_turns(a, servers, "--clients", n, "--seconds", a.seconds, "--prompt-words", a.prompt_words)
                record(f"{n} clients", {k: (r["wick"][k], r["llama-server"][k]) for k in SHOWN})
        if "intruder" in a.tests:
            words = int(1000 * 4096 / servers[0].ask(1000)["prompt_tokens"])
            r = in_turns(a, servers, "--clients", 8, "--seconds", 2 * a.seconds, "--prompt-words", a.prompt_words, "--intruder", words)
            record("8 clients, 4k prompts enter", {k: (r["wick"][k], r["llama-server"][k]) for k in SHOWN})
        if "overhead" in a.tests:
            for n in (1, 8):
                bench, serve = overhead(a, servers[0], model, n)
                record(f"overhead at {n}", {"tokens_per_s": (serve, bench)})
    finally:
        for s in servers:
            s.stop()
    print((folder / "serve.md").read_text())


if __name__ == "__main__":
    main()
