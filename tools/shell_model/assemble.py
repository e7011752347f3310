#!/usr/bin/env python3
"""Joins what train.py exported into models/wick-shell, and checks it with mlx-lm.

    assemble.py EXPORT_DIR [--to models/wick-shell] [--no-check]
"""

import argparse
import json
import pathlib
import shutil
import sys

TEMPLATE = """{%- set ns = namespace(request='') -%}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}{%- set ns.request = message['content'] -%}{%- endif -%}
{%- endfor -%}
{{- '<|im_start|>user\\n' + ns.request | trim + '<|im_end|>\\n' -}}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"""
LIMIT = 40_000_000
CHECKS = {"list all files": "ls", "show the first 5 lines of notes.txt": "head -n 5 notes.txt", "disk usage of this folder": "du -sh .",
          "how do I count the lines in data.csv?": "wc -l data.csv"}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def table(scores):
    rows = ["| category | unseen values, seen phrasing | unseen values, unseen phrasing |", "| --- | --- | --- |"]
    slots, phrasing = (scores["splits"].get(s, {}).get("exact", {}) for s in ("slots", "phrasing"))
    for k in ["all"] + sorted((set(slots) | set(phrasing)) - {"all"}):
        cells = ["%.1f %% of %d" % (100 * d[k][2], d[k][1]) if k in d else "-" for d in (slots, phrasing)]
        rows.append("| %s | %s | %s |" % (k, *cells))
    return "\n".join(rows)


KINDS = {"B": "blind: written after the last training", "P": "intents that are taught, in words of their own", "T": "intents taught in the last round",
         "I": "intents that are not taught", "R": "to be refused"}


def judged(scores):
    """scores["judged"] is what judge.py --json wrote, scores["judged_first"] the same of the first version."""
    rows = ["| | first version | this one |", "| --- | --- | --- |"]
    for k, text in KINDS.items():
        cells = []
        for which in ("judged_first", "judged"):
            good, n = scores.get(which, {}).get(k + " all", (0, 0))
            cells.append("%.1f %% of %d" % (100 * good / n, n) if n else "-")
        rows.append("| %s: %s | %s | %s |" % (k, text, *cells))
    for k, (good, n) in sorted(scores.get("judged", {}).items()):
        if k.startswith("B ") and not k.endswith(" all"):
            rows.append("| B, %s | | %d of %d |" % (k[2:], good, n))
    return "\n".join(rows)


def card(config, scores, size):
    c = config
    valid = ", ".join("%s %.1f %%" % (s, 100 * v["valid_json"]) for s, v in scores["splits"].items())
    return """---
license: mit
language: en
library_name: mlx
pipeline_tag: text-generation
tags: [mlx, shell, wick]
---
# wick-shell

A small decoder that turns one request in plain English into one POSIX shell command, answered as `{{"cmd": "..."}}`.

    $ wick run models/wick-shell "list all files"

- Layout: Qwen3 ({layers} layers, hidden {hidden}, feed-forward {ffn}, {heads} heads, {kv} key/value heads), {params:.0f} M parameters, tied
  embeddings, {vocab} byte-level BPE tokens. MLX affine quantization: 4 bits in groups of 64, embeddings 8 bits; {mb:.1f} MB.
- Prompt: ChatML with the last user message only; earlier turns and system messages are ignored. Decode greedily.
- Data: made by `tools/shell_model/gen_data.py`: {intents} intents in generated phrasings (other verbs, synonyms, noun phrases, places in front, typos,
  politeness), and composed requests (find, grep, ls, sort, pipelines, sequences, loops), with invented names, patterns, numbers and hosts. No
  text from elsewhere. `tools/shell_model/verify.py` runs each intent's command in a sandbox where the files it names exist.
- A request that has no command (it would destroy a system, harm somebody, or is nothing that a shell does) is answered by
  `{{"cmd": "", "refused": "WHY"}}`.
- Training: from scratch with `tools/shell_model/train.py`, {steps} steps in {minutes:.0f} minutes on one GPU; the last part with quantized weights.

## Measured by running
`tests/shell/heldout.txt` was written apart from the generator; an answer is right if it prints the same and leaves the same files as a
reference command (`tools/shell_model/judge.py`, in a sandbox). The first version of this model, on the same blind cases, is the column before.

{judged}

B is the figure to go by: those requests were written after the last training and judged once. P flatters: what failed there in two earlier
trainings of this version led to more phrasings in the generator. Of the intents that were held out at first, 94 (T) were taught in the last
round and 79 (I) never were. Goals were 90 % of held-out phrasings and 75 % of held-out intents; the second is far from met, because a model
trained from scratch on 1,600 intents does not know the rest of English. What each round of data gave (49 M parameters each time):

| version | intents | training | P | R | T and I together |
| --- | --- | --- | --- | --- | --- |
| first | 730 | 7 minutes | 61 % of 105 | 0 % of 11 | 12 % of 86 |
| second, round 1: new intents, synonyms, fronted places | 1,416 | 6 minutes | 71.8 % | 81.8 % | 23.1 % |
| round 2: noun phrases, other verbs, 130 intents | 1,550 | 8 minutes | 87.1 % | 81.8 % | 24.3 % |
| round 3, shipped: names may be words of requests, 80 intents | 1,632 | 8 minutes | 92.3 % | 95.5 % | 49.1 % (94 of them taught) |

Other sizes and tokenizers were not tried.

## Measured by words
Exact match of the whole answer, greedy, on pairs kept from training ({valid} of answers are valid JSON):

{table}

## Limits
- Only English, only what the generator covers: other requests get a command that may be wrong. One request, one command, at most about
  250 characters; no memory of earlier turns.
- Read a command before you run it. Requests that would destroy a system are refused, but this is a habit of the model, not a guard:
  `wick sh` judges every command by its parse.
- Columns are known by number, not by the names in a header; two values of a kind are sometimes confused.
- Commands assume a POSIX shell; some use what GNU and BSD systems share beyond POSIX (`find -delete`, `du -h`), some are for Linux only
  (`ss`, `systemctl`, `sed -i` without a suffix).

License: MIT, weights and data generator alike.
""".format(layers=c["num_hidden_layers"], hidden=c["hidden_size"], ffn=c["intermediate_size"], heads=c["num_attention_heads"],
           kv=c["num_key_value_heads"], vocab=c["vocab_size"], params=parameters(c) / 1e6, mb=size / 1e6, steps=scores["steps"],
           minutes=scores["seconds"] / 60, judged=judged(scores), valid=valid, table=table(scores), intents=count_intents())


def parameters(c):
    h, d = c["hidden_size"], c["head_dim"]
    attention = h * d * (2 * c["num_attention_heads"] + 2 * c["num_key_value_heads"])
    return c["num_hidden_layers"] * (attention + 3 * h * c["intermediate_size"]) + c["vocab_size"] * h


def count_intents():
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    import grammar
    return len(grammar.load_intents())


def check(folder):
    import mlx_lm
    model, tokenizer = mlx_lm.load(str(folder))
    bad = 0
    for request, want in CHECKS.items():
        prompt = tokenizer.apply_chat_template([{"role": "user", "content": request}], add_generation_prompt=True)
        got = mlx_lm.generate(model, tokenizer, prompt, max_tokens=100).strip()
        ok = got == json.dumps({"cmd": want})
        bad += not ok
        print("%-5s %-45s %s" % ("ok" if ok else "WRONG", request, got))
    return bad


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("export", type=pathlib.Path)
    ap.add_argument("--to", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2] / "models" / "wick-shell")
    ap.add_argument("--no-check", action="store_true")
    args = ap.parse_args()
    src, to = args.export, args.to
    parts = sorted(src.glob("model.part*"), key=lambda p: int(p.name[len("model.part"):]))
    if not parts:
        sys.exit("no model.part* in %s" % src)
    to.mkdir(parents=True, exist_ok=True)
    (to / "model.safetensors").write_bytes(b"".join(p.read_bytes() for p in parts))
    config = json.loads((src / "config.json").read_text())
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(src / name, to / name)
    write(to / "chat_template.jinja", TEMPLATE)
    write(to / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None, "unk_token": None,
        "add_bos_token": False, "clean_up_tokenization_spaces": False, "model_max_length": config["max_position_embeddings"],
        "chat_template": TEMPLATE})
    write(to / "generation_config.json", {"do_sample": False, "temperature": 0.0, "max_new_tokens": 128, "eos_token_id": [config["eos_token_id"]],
                                          "pad_token_id": config["pad_token_id"]})
    scores = json.loads((src / "eval.json").read_text())
    for name in ("judged", "judged_first"):
        if (src / (name + ".json")).exists():
            scores[name] = json.loads((src / (name + ".json")).read_text())
    write(to / "README.md", card(config, scores, (to / "model.safetensors").stat().st_size))
    write(to / "scores.json", {k: scores[k] for k in ("splits", "probes", "steps", "seconds", "judged", "judged_first") if k in scores})
    if (src / "train_log.jsonl").exists():
        shutil.copyfile(src / "train_log.jsonl", to / "train_log.jsonl")
    total = sum(p.stat().st_size for p in to.iterdir())
    print("%s: %.1f MB in %d files" % (to, total / 1e6, len(list(to.iterdir()))))
    if total > LIMIT:
        sys.exit("larger than %d bytes" % LIMIT)
    return 0 if args.no_check else check(to)


if __name__ == "__main__":
    sys.exit(main())
