"""Wick beside llama.cpp and mlx-lm: the same random weights, the same machine, the same threads, in turns.

  run.py [--models 1b,...] [--tests speed,...] [--rounds 5] [--threads 2] [--quick]

In each round every program runs once, in an order that turns from round to round, and gives the median of three repetitions;
a figure is the median of the rounds.
Tests: speed (prompts of 128 and 512 tokens, decode, peak memory), batch (decode of 8 and 32 sequences), depth (decode after
8,192 tokens), start (from nothing to the first token, files in the page cache), avx2 (both without AVX-512), busy (one other
thread computes), mlx (mlx-lm on the CPU, in float32: a prompt of 32 tokens and 8 more, for it is slow there). The machine's read bandwidth is measured in
each round too. One line per call goes to bench/results/DATE-CPU/peers.jsonl; report.py makes the table and the plot."""
import argparse
import datetime
import importlib.metadata
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import models
import report

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "build/peers"
FILES = {"mlx4": "{}-mlx4", "q4_0": "{}-q4_0.gguf", "q4_k_m": "{}-q4_k_m.gguf"}
REPS = 3
PROMPT = "time year people way day man thing"
AVX2 = {"wick": {"WICK_CPU": "avx2"}, "llama.cpp": {"LD_PRELOAD": str(PEERS / "avx2/libggml-cpu.so.0")}, "mlx-lm": {}}
SAME_BITS = [("wick", "mlx4"), ("wick", "q4_0"), ("llama.cpp", "q4_0")]
# What takes part in each test: (program, weights).
TESTS = {"speed": SAME_BITS + [("wick", "q4_k_m"), ("llama.cpp", "q4_k_m")], "batch": SAME_BITS, "depth": SAME_BITS[1:],
         "start": SAME_BITS, "avx2": SAME_BITS, "busy": SAME_BITS, "mlx": [("wick", "mlx4"), ("mlx-lm", "mlx4")]}


@dataclass
class Setting:
    threads: int
    prompts: list
    gen: int
    batches: list
    depth: int
    wick: Path
    folder: Path


def call(argv, env=None):
    """(standard output, seconds, peak memory in bytes) of one program."""
    argv = [str(a) for a in argv]
    t0 = time.perf_counter()
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                         env={**os.environ, **(env or {})})
    errors = []
    drain = threading.Thread(target=lambda: errors.append(p.stderr.read()))
    drain.start()
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    seconds = time.perf_counter() - t0
    drain.join()
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != 0:
        sys.exit(f"{' '.join(argv)}\nended with {p.returncode}:\n{errors[0][-2000:]}")
    return out, seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def numbers(values):
    return ",".join(str(v) for v in values) or "0"


class Wick:
    def __init__(self, s):
        self.s = s

    def bench(self, path, env, prompts, gen, batches=(1,), depth=0, reps=1):
        out, _, peak = call([self.s.wick, "bench", path, "-p", numbers(prompts), "-n", gen, "-b", numbers(batches), "-d", depth, "-r", reps,
                             "-t", self.s.threads, "--json", "-q"], env)
        return [((r["n_prompt"], r["n_gen"], r["batch"]), statistics.median(r["samples"])) for r in json.loads(out)["results"]], peak

    def first_token(self, path, env):
        return call([self.s.wick, "generate", path, PROMPT, "-n", 1, "--temp", 0, "-q", "-t", self.s.threads, "-c", 512], env)[1]


class Llama:
    def __init__(self, s):
        self.s = s

    def bench(self, path, env, prompts, gen, batches=(1,), depth=0, reps=1):
        if max(batches) > 1:
            return self.batched(path, env, gen, batches)
        out, _, peak = call([PEERS / "bin/llama-bench", "-m", path, "-p", numbers(prompts), "-n", gen, "-d", depth, "-r", reps, "-t",
                             self.s.threads, "-o", "json"], env)
        return [((r["n_prompt"], r["n_gen"], 1), statistics.median(r["samples_ts"])) for r in json.loads(out)], peak

    def batched(self, path, env, gen, batches):
        out, _, peak = call([PEERS / "bin/llama-batched-bench", "-m", path, "-npp", 1, "-ntg", gen, "-npl", numbers(batches), "-c",
                             max(batches) * (gen + 8), "-t", self.s.threads, "--output-format", "jsonl"], env)
        rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return [((0, gen, r["pl"]), r["speed_tg"]) for r in rows], peak

    def first_token(self, path, env):
        return call([PEERS / "bin/llama-completion", "-m", path, "-p", PROMPT, "-n", 1, "--temp", 0, "-t", self.s.threads, "-c", 512,
                     "-no-cnv", "--no-warmup"], env)[1]


class MlxLm:
    def __init__(self, s):
        self.s = s

    def bench(self, path, env, prompts, gen, batches=(1,), depth=0, reps=1):
        out, _, peak = call([sys.executable, ROOT / "bench/mlx_models.py", "speed", path, "-p", numbers(prompts), "-n", gen, "-b",
                             numbers(batches), "-r", reps, "--float32", "--json"], env)
        rows = [json.loads(line) for line in out.splitlines()]
        return [((r["n_prompt"], r["n_gen"], r["batch"]), statistics.median(r["samples"])) for r in rows], peak


def one(test, program, path, s):
    """[(what, value)] of one program in one round."""
    env = AVX2[program.name] if test == "avx2" else None
    if test == "start":
        return [("first token s", program.first_token(path, env))]
    if test == "batch":
        rows, _ = program.bench(path, env, [], s.gen, s.batches)
    elif test == "depth":
        rows, _ = program.bench(path, env, [], s.gen, depth=s.depth, reps=REPS)
    elif test == "speed":
        rows, peak = program.bench(path, env, s.prompts, s.gen, reps=REPS)
        rows = rows + [(None, peak / 2**20)]
    elif test == "mlx":
        rows, _ = program.bench(path, env, [32], 8)
    else:
        rows, _ = program.bench(path, env, s.prompts[:1], s.gen, reps=REPS)

    def name(key):
        if key is None:
            return "peak MiB"
        what = f"decode {key[2]}" if key[1] else f"prompt {key[0]}"
        return what + (f" @{s.depth}" if test == "depth" else "")
    return [(name(k), v) for k, v in rows]


def read_bandwidth(lin_bench, threads):
    out, _, _ = call([lin_bench, "--json", "--enc", "none", "--threads", threads])
    return json.loads(out)["limits"][0]["read_gbs"]


class Busy:
    """One thread of another process that computes all the time."""

    def __enter__(self):
        self.p = subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()


class Nobody:
    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


def measure(test, model, rounds, programs, s, lin_bench):
    samples, reads, contenders = {}, [], TESTS[test]
    if test in ("depth", "mlx"):
        rounds = max(1, rounds // 2)  # the whole context is read before anything counts; mlx-lm needs a second for a token
    with Busy() if test == "busy" else Nobody():
        for i in range(-1 if test == "start" else 0, rounds):
            reads.append(read_bandwidth(lin_bench, s.threads))
            turn = i % len(contenders)
            for name, weights in contenders[turn:] + contenders[:turn]:
                for what, v in one(test, programs[name], s.folder / FILES[weights].format(model), s):
                    if i >= 0:  # a start before the first counted one fills caches
                        samples.setdefault((name, weights, what), []).append(round(v, 4))
                    print(f"{model:<12} {test:<6} round {i + 1}  {name:<10} {weights:<7} {what:<16} {v:10.2f}", flush=True)
    rows = [dict(model=model, test=test, program=n, weights=w, what=what, median=statistics.median(v), samples=v)
            for (n, w, what), v in samples.items()]
    return rows, reads


def versions(wick):
    out = {"wick": call([wick, "--version"])[0].split()[-1],
           "llama.cpp": "llama-cpp-python " + (PEERS / "bin").resolve().parent.name.removeprefix("llama-")}
    for p in ("mlx", "mlx-lm"):
        out[p] = importlib.metadata.version(p)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {**out, "commit": commit.stdout.strip()}


def machine_of(wick, model):
    return json.loads(call([wick, "bench", model, "-p", 1, "-n", 0, "-r", 1, "--json", "-q"])[0])["machine"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--models", default="1b,qwen2-1.5b,gemma3-1b")
    p.add_argument("--tests", default=",".join(TESTS))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    p.add_argument("--quick", action="store_true", help="two rounds of short tests of the first model")
    p.add_argument("--wick", type=Path, default=ROOT / "build/release/wick")
    p.add_argument("--lin-bench", type=Path, default=ROOT / "build/release/bench/wick_lin_bench")
    p.add_argument("--results", type=Path, help="folder of the ledger (default: bench/results/DATE-CPU)")
    a = p.parse_args()
    names, rounds = a.models.split(","), 2 if a.quick else a.rounds
    s = Setting(a.threads, [128] if a.quick else [128, 512], 16 if a.quick else 32, [8] if a.quick else [8, 32],
                1024 if a.quick else 8192, a.wick.resolve(), PEERS / "models")
    if a.quick:
        names = names[:1]
    for name in names:
        models.make(s.folder, name, s.threads)
    machine = machine_of(s.wick, ROOT / "models/wick-shell")
    slug = re.sub(r"[^a-z0-9]+", "-", machine["cpu"].lower()).strip("-")
    folder = a.results or ROOT / "bench/results" / f"{datetime.date.today()}-{slug}"
    programs = {"wick": Wick(s), "llama.cpp": Llama(s), "mlx-lm": MlxLm(s)}
    for k, v in programs.items():
        v.name = k
    for name in names:
        for test in a.tests.split(","):
            before = os.getloadavg()[0]
            rows, reads = measure(test, name, rounds, programs, s, a.lin_bench)
            entry = dict(time=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), machine=machine, threads=s.threads,
                         rounds=rounds, load_before=round(before, 2), load_after=round(os.getloadavg()[0], 2), versions=versions(s.wick),
                         read_gbs=round(statistics.median(reads), 2), bytes_per_token=models.bytes_per_token(s.folder, name), rows=rows)
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / "peers.jsonl", "a") as f:
                f.write(json.dumps(entry) + "\n")
            report.write(folder)
    print((folder / "peers.md").read_text())


if __name__ == "__main__":
    main()
