#!/usr/bin/env python3
"""Load on a server with OpenAI's API over real sockets: 1, 8, 32, 128 clients; throughput, time to first token, time between tokens.

    wick serve MODEL & bench/serve/load.py --url http://127.0.0.1:11535 --clients 1 8 32 128
    ... --intruder 4000     a prompt of about that many tokens enters while streams run: what it does to their p99
    ... --json              one object per line, for comparing servers

Standard library only, so that the client costs little; each client keeps one connection and asks again as soon as it was answered."""
import argparse
import asyncio
import json
import random
import time
from urllib.parse import urlparse

WORDS = "time year people way day man thing woman life child world school state family student group country problem hand part place case week company".split()


def prompt(n_words, seed):
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) for _ in range(n_words))


class Client:
    def __init__(self, args, number):
        self.args, self.number, self.asked = args, number, 0
        self.first, self.between, self.rates, self.tokens, self.errors = [], [], [], 0, 0
        self.reader = self.writer = None

    async def connect(self):
        u = urlparse(self.args.url)
        self.reader, self.writer = await asyncio.open_connection(u.hostname, u.port, limit=1 << 22)

    async def ask(self, words, max_tokens, record=True):
        self.asked += 1
        body = {"messages": [{"role": "user", "content": prompt(words, self.number * 1000 + self.asked)}], "max_tokens": max_tokens,
                "temperature": 0, "stream": True, "stream_options": {"include_usage": True}, **({"model": self.args.model} if self.args.model else {}), **json.loads(self.args.extra)}
        data = json.dumps(body).encode()
        u = urlparse(self.args.url)
        key = f"Authorization: Bearer {self.args.key}\r\n" if self.args.key else ""
        request = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {u.netloc}\r\nContent-Type: application/json\r\n{key}Content-Length: {len(data)}\r\n\r\n".encode() + data
        t0 = last = begun = time.perf_counter()
        self.writer.write(request)
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):  # some servers close a connection after so many requests
            await self.connect()
            self.writer.write(request)
            head = await self.reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            self.errors += 1
            length = next((int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")), 0)
            await self.reader.readexactly(length)
            await asyncio.sleep(0.2)
            return
        text = b""
        while True:
            size = int((await self.reader.readline()).split(b";")[0], 16)
            text += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
            if size == 0:
                return
            *lines, text = text.split(b"\n")
            now = time.perf_counter()
            for line in lines:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                if record and event.get("usage"):
                    n = event["usage"]["completion_tokens"]
                    self.tokens += n
                    if n > 1 and last > begun:
                        self.rates.append((n - 1) / (last - begun))
                choices = event.get("choices")
                if not choices or not (choices[0]["delta"].get("content") or choices[0]["delta"].get("reasoning_content")):
                    continue
                if record:
                    (self.first if last == t0 else self.between).append(now - last)
                if last == t0:
                    begun = now
                last = now

    async def run(self, until):
        await self.connect()
        while time.perf_counter() < until and (not self.args.requests or self.asked < self.args.requests):
            await self.ask(self.args.prompt_words, self.args.max_tokens)
        self.writer.close()


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))] * 1000 if values else float("nan")


async def level(args, n):
    clients = [Client(args, i) for i in range(n)]
    t0 = time.perf_counter()
    work = [asyncio.create_task(c.run(t0 + args.seconds)) for c in clients]
    if args.intruder:
        extra = Client(args, 99999)
        await extra.connect()
        while time.perf_counter() - t0 < args.seconds:
            await asyncio.sleep(args.seconds / 6)
            await extra.ask(args.intruder, 2, record=False)
    await asyncio.gather(*work)
    seconds = time.perf_counter() - t0
    first, between, rates = ([x for c in clients for x in getattr(c, part)] for part in ("first", "between", "rates"))
    return {"clients": n, "seconds": round(seconds, 2), "requests": len(first), "errors": sum(c.errors for c in clients), "tokens_per_s": round(sum(c.tokens for c in clients) / seconds, 1),
            "ttft_p50_ms": round(percentile(first, 50), 2), "ttft_p99_ms": round(percentile(first, 99), 2),
            "inter_token_p50_ms": round(percentile(between, 50), 3), "inter_token_p99_ms": round(percentile(between, 99), 3),
            "decode_per_s": round(sum(rates) / len(rates), 3) if rates else float("nan")}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--url", default="http://127.0.0.1:11535")
    ap.add_argument("--model")
    ap.add_argument("--key")
    ap.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    ap.add_argument("--seconds", type=float, default=10)
    ap.add_argument("--requests", type=int, default=0, help="each client ends after so many (0: when the time is over)")
    ap.add_argument("--prompt-words", type=int, default=64)
    ap.add_argument("--max-tokens", type=int, default=64)
    ap.add_argument("--intruder", type=int, default=0)
    ap.add_argument("--extra", default="{}", help="JSON merged into each request, for example '{\"ignore_eos\": true}'")
    ap.add_argument("--json", action="store_true")
    args = ap.parse_args()
    if not args.json:
        print(f"{'clients':>8} {'requests':>9} {'errors':>7} {'tokens/s':>9} {'ttft p50':>9} {'p99 ms':>9} {'itl p50':>9} {'p99 ms':>9}")
    for n in args.clients:
        r = asyncio.run(level(args, n))
        if args.json:
            print(json.dumps(r), flush=True)
        else:
            print(f"{r['clients']:8} {r['requests']:9} {r['errors']:7} {r['tokens_per_s']:9} {r['ttft_p50_ms']:9} {r['ttft_p99_ms']:9} {r['inter_token_p50_ms']:9} {r['inter_token_p99_ms']:9}", flush=True)


if __name__ == "__main__":
    main()
