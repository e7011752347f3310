#!/usr/bin/env python3
"""Trains models/wick-shell from scratch: PyTorch, one GPU, about 20 minutes in one or more calls.

    train.py --selftest --out DIR                              one minute: compiles, trains some steps, exports, evaluates
    train.py --dir CKPT --out DIR --minutes 9 --total 15       first call
    train.py --dir CKPT --out DIR --minutes 9 --resume --last  goes on, and ends the schedule within this call

--minutes bounds the wall time of the call (set-up, evaluation and export included), --total the training time over all calls; the
learning rate and the switch to quantization-aware training follow the time spent of --total. Each call exports the weights already
quantized (4-bit groups of 64, embeddings 8-bit) in parts below 16 MB, which assemble.py joins.

The model computes in bfloat16 on copies of float32 master weights. Late in training the copies are the quantized weights
(straight-through), so the weights settle where 4 bits can express them.
"""

import argparse
import collections
import json
import math
import os
import sys
import time

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import data  # noqa: E402
import export  # noqa: E402
import gen_data  # noqa: E402
import quant  # noqa: E402
from model import Config, Decoder  # noqa: E402

BEGAN = time.time()
GROUP, BITS, EMBED_BITS = 64, 4, 8


def say(*a):
    print("[%6.1f s]" % (time.time() - BEGAN), *a, flush=True)


def bits_of(name, p):
    return 0 if p.ndim < 2 else EMBED_BITS if "embed" in name else BITS


class Trainer:
    def __init__(self, args, config, device):
        self.args, self.config, self.device = args, config, device
        torch.manual_seed(args.seed)
        self.model = Decoder(config).to(device)
        self.names = [n for n, _ in self.model.named_parameters()]
        self.masters = [p.detach().clone().float() for p in self.model.parameters()]
        self.dtype = torch.bfloat16 if device == "cuda" else torch.float32
        self.model.to(self.dtype)
        self.shadows = list(self.model.parameters())
        decay = [m for m in self.masters if m.ndim == 2]
        rest = [m for m in self.masters if m.ndim < 2]
        self.opt = torch.optim.AdamW([{"params": decay, "weight_decay": args.decay}, {"params": rest, "weight_decay": 0.0}],
                                     lr=args.lr, betas=(0.9, 0.95), eps=1e-10, fused=device == "cuda")
        self.spent, self.step, self.seed = 0.0, 0, 1000
        self.fake = quant.fake
        if device == "cuda" and not args.no_compile:
            self.model.compile()

    def state_path(self):
        return os.path.join(self.args.dir, "state.pt")

    def save(self):
        tmp = self.state_path() + ".tmp"
        torch.save({"masters": self.masters, "opt": self.opt.state_dict(), "spent": self.spent, "step": self.step, "seed": self.seed}, tmp)
        os.replace(tmp, self.state_path())

    def load(self):
        s = torch.load(self.state_path(), map_location=self.device, weights_only=True)
        for m, v in zip(self.masters, s["masters"]):
            m.copy_(v)
        self.opt.load_state_dict(s["opt"])
        self.spent, self.step, self.seed = s["spent"], s["step"], s["seed"]

    @torch.no_grad()
    def refresh(self, quantized):
        """Shadow weights from the masters."""
        for name, m, s in zip(self.names, self.masters, self.shadows):
            bits = bits_of(name, m)
            s.copy_(self.fake(m, bits, GROUP) if quantized and bits else m)

    def rate(self, progress):
        warm = min(1.0, (self.step + 1) / self.args.warmup)
        return self.args.lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))

    def train_step(self, batch, progress):
        tokens, doc, pos, answer = (torch.from_numpy(a).to(self.device, non_blocking=True) for a in batch)
        tokens, pos = tokens.long(), pos.long()
        targets = torch.where(answer[:, 1:], tokens[:, 1:], torch.full_like(tokens[:, 1:], -100))
        self.refresh(progress >= self.args.qat_from)
        for s in self.shadows:
            s.grad = None
        loss = self.model.loss(tokens[:, :-1].contiguous(), pos[:, :-1].contiguous(), doc[:, :-1].contiguous(), targets)
        loss.backward()
        for m, s in zip(self.masters, self.shadows):
            m.grad = s.grad.float()
        norm = torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        lr = self.rate(progress)
        for g in self.opt.param_groups:
            g["lr"] = lr
        self.opt.step()
        self.step += 1
        return loss.detach(), norm, lr

    def train(self, stream, deadline, log):
        a = self.args
        total, last, tokens_seen, losses = a.total * 60.0, time.time(), 0, []
        started = None
        while True:
            now = time.time()
            progress = self.spent / total
            if progress >= 1.0 or now >= deadline or (a.max_steps and self.step >= a.max_steps):
                break
            batch = stream.batch(a.rows)
            try:
                loss, norm, lr = self.train_step(batch, progress)
            except Exception as e:  # a compiler that does not work here must not cost the run
                if self.step or self.device != "cuda" or a.no_compile:
                    raise
                say("torch.compile failed, going on without:", type(e).__name__, str(e)[:300])
                a.no_compile = True
                self.model.eager()
                continue
            losses.append(loss)
            tokens_seen += batch[0].size
            if self.device == "cuda" and self.step % 20 == 0:
                torch.cuda.synchronize()
            if started is None:
                if self.device == "cuda":
                    torch.cuda.synchronize()
                say("first step done: loss %.3f" % loss.item())
                started = last = time.time()  # compiling is not training time
                tokens_seen = 0
                continue
            now = time.time()
            self.spent += now - last
            last = now
            if self.step % a.log_every == 0:
                mean = torch.stack(losses).float().mean().item()
                losses = []
                row = {"step": self.step, "spent_s": round(self.spent, 1), "loss": round(mean, 5), "lr": round(lr, 7), "norm": round(norm.item(), 3),
                       "tok_s": round(tokens_seen / (now - started)), "pairs": stream.pairs, "qat": progress >= a.qat_from}
                log.write(json.dumps(row) + "\n")
                log.flush()
                say(json.dumps(row))
        self.seed += stream.shards + 64 * a.workers
        say("trained: step %d, %.0f s of %.0f s, %d pairs in this call" % (self.step, self.spent, total, stream.pairs))


@torch.no_grad()
def greedy(model, tok, requests, device, limit=130):
    """Answers by argmax. No key/value cache: the whole row is computed again for each token, which is quick enough here."""
    end, pad = tok.token_to_id(data.END), tok.token_to_id(data.PAD)
    prompts = [e.ids for e in tok.encode_batch([data.prompt_text(r) for r in requests], add_special_tokens=False)]
    answers = [None] * len(requests)
    order = sorted(range(len(requests)), key=lambda i: len(prompts[i]))
    for lo in range(0, len(order), 512):
        part = order[lo:lo + 512]
        width = max(len(prompts[i]) for i in part) + limit
        ids = torch.full((len(part), width), pad, dtype=torch.long)
        for r, i in enumerate(part):
            ids[r, :len(prompts[i])] = torch.tensor(prompts[i])
        ids = ids.to(device)
        at = torch.tensor([len(prompts[i]) - 1 for i in part], device=device)
        which = torch.arange(len(part), device=device)
        for step in range(limit):
            nxt = model.logits_at(ids[:, :int(at.max()) + 1], at).argmax(-1)
            at = at + 1
            ids[torch.arange(len(at), device=device), at] = nxt
            done = (nxt == end) if step < limit - 1 else torch.ones_like(nxt, dtype=torch.bool)
            if done.any():
                for r, row, stop in zip(which[done].tolist(), ids[done].tolist(), at[done].tolist()):
                    out = row[len(prompts[part[r]]):stop + 1]
                    answers[part[r]] = tok.decode([t for t in out if t != end], skip_special_tokens=False)
                ids, at, which = ids[~done], at[~done], which[~done]
                if not len(at):
                    break
    return answers


PROBES = (
    "list all files", "List all files", "show hidden files", "find all python files bigger than 10MB modified in the last 3 days",
    "how do I count the lines in notes.txt?", "delete everything", "delete all files in /", "what is using port 8080?",
    "replace foo with bar in config.yaml", "extract backup.tar.gz into /opt/data", "what's my ip address", "kill firefox", "disk usage of this folder",
    "show the 5 largest files in ~/Downloads", "create a directory named my new project and cd into it", "git undo last commit",
)


def evaluate(trainer, tok, n, deadline):
    """Exact match with the quantized weights; a table per category."""
    trainer.model.eager()
    trainer.refresh(True)
    result = {"probes": [], "splits": {}, "samples": []}
    for r, a in zip(PROBES, greedy(trainer.model, tok, PROBES, trainer.device)):
        result["probes"].append({"request": r, "answer": a})
    if trainer.args.requests:
        lines = [x.split("|", 2)[2].split(" => ")[0] for x in open(trainer.args.requests, encoding="utf-8") if not x.startswith("#")]
        result["heldout"] = [{"request": r, "answer": a} for r, a in zip(lines, greedy(trainer.model, tok, lines, trainer.device))]
        say("answered %d requests of %s" % (len(lines), trainer.args.requests))
    for split in ("phrasing", "slots"):
        if time.time() > deadline:
            say("no time left to evaluate", split)
            break
        gen = gen_data.Generator(424242, split)
        pairs = [gen.pair() for _ in range(n)]
        answers = greedy(trainer.model, tok, [p.request for p in pairs], trainer.device)
        table = collections.defaultdict(lambda: [0, 0])
        valid = 0
        for p, a in zip(pairs, answers):
            for key in ("all", p.category if p.category != "composed" else p.intent):
                table[key][0] += a == p.answer
                table[key][1] += 1
            try:
                valid += list(json.loads(a)) == ["cmd"]
            except ValueError:
                pass
            if a != p.answer:
                result["samples"].append({"split": split, "intent": p.intent, "request": p.request, "want": p.answer, "got": a})
        result["splits"][split] = {"n": n, "valid_json": round(valid / n, 4),
                                   "exact": {k: [v[0], v[1], round(v[0] / v[1], 4)] for k, v in sorted(table.items())}}
        say("%s: exact %.4f of %d, valid JSON %.4f" % (split, table["all"][0] / n, n, valid / n))
        for k, v in sorted(table.items()):
            say("    %-20s %5d / %5d  %.3f" % (k, v[0], v[1], v[0] / v[1]))
    shown = 0
    result["samples"] = result["samples"][:400]
    for s in result["probes"] + result["samples"]:
        say(json.dumps(s, ensure_ascii=False))
        shown += 1
        if shown >= 46:
            break
    return result


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--dir", default="/tmp/wick-shell", help="checkpoint folder")
    ap.add_argument("--out", required=True, help="folder of the exported files")
    ap.add_argument("--minutes", type=float, default=9.0, help="wall time of this call")
    ap.add_argument("--total", type=float, default=15.0, help="training minutes over all calls")
    ap.add_argument("--resume", action="store_true")
    ap.add_argument("--last", action="store_true", help="end the schedule in this call, whatever --total says")
    ap.add_argument("--selftest", action="store_true")
    ap.add_argument("--tiny", action="store_true", help="a very small model (for a check on a CPU)")
    ap.add_argument("--rows", type=int, default=256, help="rows of %d tokens in a step" % data.ROW)
    ap.add_argument("--lr", type=float, default=1.6e-3)
    ap.add_argument("--decay", type=float, default=0.05)
    ap.add_argument("--warmup", type=int, default=150)
    ap.add_argument("--qat-from", type=float, default=0.6, help="share of the training time after which weights are quantized")
    ap.add_argument("--vocab", type=int, default=4096)
    ap.add_argument("--tokenizer-pairs", type=int, default=240000)
    ap.add_argument("--workers", type=int, default=max(1, min(12, (os.cpu_count() or 2) - 3)))
    ap.add_argument("--eval", type=int, default=3000, help="pairs of each held-out set")
    ap.add_argument("--requests", help="a file KIND|CATEGORY|REQUEST => ...: its answers go into eval.json")
    ap.add_argument("--layers", type=int, default=0)
    ap.add_argument("--hidden", type=int, default=0)
    ap.add_argument("--max-steps", type=int, default=0)
    ap.add_argument("--log-every", type=int, default=100)
    ap.add_argument("--no-compile", action="store_true")
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    if args.selftest:
        args.dir, args.minutes, args.total, args.log_every, args.eval, args.tokenizer_pairs = args.dir + "-selftest", 1.5, 0.4, 20, 200, 40000
    os.makedirs(args.dir, exist_ok=True)
    os.makedirs(args.out, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = True
    say("torch", torch.__version__, device, torch.cuda.get_device_name() if device == "cuda" else "", "cpus", os.cpu_count())

    from tokenizers import Tokenizer
    path = os.path.join(args.dir, "tokenizer.json")
    if not (args.resume and os.path.exists(path)):
        data.train_tokenizer(path, args.vocab, args.tokenizer_pairs)
        say("tokenizer trained")
    # Workers fork before CUDA is touched by this process's tensors.
    first_seed = 1000
    if args.resume:
        first_seed = torch.load(os.path.join(args.dir, "state.pt"), map_location="cpu", weights_only=True)["seed"]
    stream = data.Stream(path, args.workers, first_seed, per_shard=800 if args.tiny else 8000)
    tok = Tokenizer.from_file(path)
    config = Config(vocab_size=-(-tok.get_vocab_size() // 64) * 64)
    if args.layers:
        config.num_hidden_layers = args.layers
    if args.hidden:
        config.hidden_size, config.intermediate_size = args.hidden, 4 * args.hidden
        config.num_attention_heads, config.num_key_value_heads = args.hidden // 64, args.hidden // 128
    if args.tiny:
        config.hidden_size, config.num_hidden_layers, config.intermediate_size = 128, 2, 256
        config.num_attention_heads, config.num_key_value_heads, config.head_dim = 4, 2, 32
    trainer = Trainer(args, config, device)
    say("parameters %.1f M, vocabulary %d" % (sum(m.numel() for m in trainer.masters) / 1e6, config.vocab_size))
    if args.resume:
        trainer.load()
        say("resumed at step %d, %.0f s" % (trainer.step, trainer.spent))
    final = BEGAN + 60 * args.minutes
    reserve = 12 if args.selftest else 45 if not args.tiny else 20  # seconds kept for evaluation, checkpoint and export
    if args.last:
        args.total = (trainer.spent + max(30.0, final - reserve - time.time() - 25)) / 60  # 25 s for compiling
        say("last call: the schedule ends at %.1f minutes of training" % args.total)
    with open(os.path.join(args.dir, "train_log.jsonl"), "a") as log:
        trainer.train(stream, final - reserve, log)
    stream.close()
    trainer.save()
    say("checkpoint saved")
    trainer.refresh(True)
    size = export.parts(args.out, trainer.names, trainer.masters, config, path, GROUP, lambda n, p: bits_of(n, p))
    say("exported %.1f MB" % (size / 1e6))
    done = trainer.spent >= 60 * args.total
    result = evaluate(trainer, tok, args.eval if done or args.selftest else min(args.eval, 600), final - 8)
    result.update(steps=trainer.step, seconds=round(trainer.spent), done=done, pairs_this_call=stream.pairs, args=vars(args))
    export.text(args.out, "eval.json", json.dumps(result, ensure_ascii=False, indent=1))
    export.text(args.out, "train_log.jsonl", open(os.path.join(args.dir, "train_log.jsonl")).read())
    say("done" if done else "not done yet: call again with --resume")
    return 0


if __name__ == "__main__":
    sys.exit(main())
