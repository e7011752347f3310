"""What the server's tests share: a tiny model with a tokenizer and a chat template, made here; a server; raw requests."""
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WICK = os.environ.get("WICK_BIN")
sys.path.insert(0, str(ROOT / "tests" / "tools"))

TEMPLATE = ("{{ bos_token }}{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|start|>assistant\n{% if enable_thinking %}<think>\n{% endif %}{% endif %}")
CORPUS = ["the quick brown fox jumps over the lazy dog", "pack my box with five dozen liquor jugs",
          "how vexingly quick daft zebras jump", "user assistant system tool content", "1 2 3 4 5 6 7 8 9 10 naïve café 日本語"] * 20


def make_tokenizer(out, vocab=512):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    special = ["<|bos|>", "<|eos|>", "<|start|>", "<|end|>"]
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=vocab, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.post_processor = processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", t.token_to_id("<|bos|>"))])
    t.save(str(out / "tokenizer.json"))
    (out / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<|bos|>", "eos_token": "<|eos|>", "chat_template": TEMPLATE}))
    return t


def make_model(out, ctx=2048, seed=0):
    """A random llama of 512 tokens; returns its tokenizer (of the `tokenizers` package)."""
    import make_model as mm
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    config = json.loads(json.dumps(mm.CASES["llama"]))
    t = make_tokenizer(out)
    config |= {"vocab_size": 512, "max_position_embeddings": ctx, "bos_token_id": 0, "eos_token_id": 1, "rope_scaling": None}
    mm.make("llama", out, config=config, quant="4bit", seed=seed)
    (out / "generation_config.json").write_text(json.dumps({"temperature": 0.7, "top_p": 0.9, "eos_token_id": 1}))
    return t


class Server:
    """`wick serve` with these arguments, ready when this returns."""

    def __init__(self, *args, env=None, command="serve", wait=60):
        full = {k: v for k, v in os.environ.items() if not k.startswith("WICK_") or k in ("WICK_BIN", "WICK_CPU", "WICK_KV_DIR")} | (env or {})
        self.process = subprocess.Popen([WICK, command, *map(str, args), "--port", "0"], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=full)
        ready, _, _ = select.select([self.process.stdout], [], [], wait)
        self.line = self.process.stdout.readline() if ready else ""
        if "serving" not in self.line:
            self.process.kill()
            raise AssertionError("no start: " + self.line + self.process.stderr.read())
        self.url = next(w for w in self.line.split() if "://" in w)
        self.port = int(self.url.rsplit(":", 1)[1].split("/")[0])
        self.state = Path(full.get("XDG_STATE_HOME") or Path(full["HOME"]) / ".local/state") / "wick"

    def stop(self, timeout=40):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            _, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, err

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    @property
    def local_key(self):
        """The key of whoever started it; None where the server has keys of its own."""
        path = self.state / f"serve-{self.port}.key"
        return path.read_text() if path.exists() else None

    def connect(self, timeout=20):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def raw(self, data, timeout=20):
        """Sends bytes, reads until the server closes or is silent for a while; returns the bytes."""
        with self.connect(timeout) as s:
            try:
                s.sendall(data)
            except OSError:
                pass
            return read_answer(s)

    def request(self, method, path, body=None, headers=None, timeout=30):
        """(status, headers, parsed body or text). Administration is with the local key, unless `headers` say who asks (None: nobody)."""
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode("utf-8", "surrogatepass")
        h = {"Host": f"127.0.0.1:{self.port}", "Connection": "close"}
        if body is not None:
            h |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        if path.startswith("/admin") and "Authorization" not in (headers or {}) and (key := self.local_key):
            h["Authorization"] = "Bearer " + key
        h |= headers or {}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in h.items() if v is not None) + "\r\n"
        return parse_answer(self.raw(head.encode("latin-1") + (body or b""), timeout))

    def post(self, path, body, **kw):
        return self.request("POST", path, body, **kw)

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def chat(self, text="hello", **kw):
        return self.post("/v1/chat/completions", {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 8, **kw})


def read_answer(s):
    out = b""
    try:
        while chunk := s.recv(65536):
            out += chunk
            head, sep, rest = out.partition(b"\r\n\r\n")
            if sep and b"\r\nconnection: close" not in head.lower():
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:") and len(rest) >= int(line.split(b":")[1]):
                        return out
                if out.endswith(b"0\r\n\r\n") and b"chunked" in head.lower():
                    return out
    except OSError:
        pass
    return out


def parse_answer(data):
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/1.1 "):
        return 0, {}, data
    headers = {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:])}
    if headers.get("transfer-encoding") == "chunked":
        out, rest = b"", body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            n = int(size.split(b";")[0], 16)
            if n == 0:
                break
            out, rest = out + rest[:n], rest[n + 2:]
        body = out
    try:
        value = json.loads(body)
    except ValueError:
        value = body.decode("utf-8", "replace")
    return int(lines[0].split()[1]), headers, value


def sse_events(text):
    """The data of each event; comments are left out."""
    return [line[6:] for line in text.split("\n") if line.startswith("data: ")]


def eventually(check, timeout=10, step=0.02):
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)
