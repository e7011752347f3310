"""From pairs to batches: the tokenizer, the chat format, and worker processes that pack rows while the model trains."""

import multiprocessing as mp
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gen_data  # noqa: E402

END, START, PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
ROW = 256
# Blanks never join a word, so that a name has the same tokens in the request and in the command: what makes copying easy to learn.
# Digits stand alone. The frame of the answer and escapes are units; a blank may join one punctuation mark (" -", " /", " '").
SPLIT = r'\{"cmd": "|"\}|\\["\\]|\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]|\s+'


def prompt_text(request):
    return "%suser\n%s%s\n%sassistant\n" % (START, request, END, START)


def train_tokenizer(path, vocab, pairs, seed=99):
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=[PAD, START, END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False, min_frequency=2)
    with mp.get_context("fork").Pool(min(16, os.cpu_count() or 1)) as pool:
        n = 16
        texts = [t for part in pool.map(sample_texts, [(seed + i, pairs // n + 1) for i in range(n)]) for t in part]
    tok.train_from_iterator(texts, trainer)
    tok.save(path)
    return tok


def sample_texts(job):
    seed, n = job
    gen = gen_data.Generator(seed)
    out = []
    for _ in range(n):
        p = gen.pair()
        out += [p.request, p.answer, "user", "assistant"]  # the words of the chat frame become one token each
    return out


def encode(tok, pairs):
    """-> [(ids, length of the prompt)]"""
    prompts = tok.encode_batch([prompt_text(p.request) for p in pairs], add_special_tokens=False)
    answers = tok.encode_batch([p.answer for p in pairs], add_special_tokens=False)
    end = tok.token_to_id(END)
    return [(a.ids + b.ids + [end], len(a.ids)) for a, b in zip(prompts, answers)]


def pack_rows(items, pad):
    """Fills rows of ROW + 1 tokens, longest items first, each row the first that has room among the open ones.

    -> tokens uint16, doc uint8, pos uint16, and whether a token is part of an answer, all [rows, ROW + 1]
    """
    rows, space = [], []
    for it in sorted(items, key=lambda x: -len(x[0])):
        n = len(it[0])
        if n > ROW + 1:
            continue
        for k in range(max(0, len(rows) - 48), len(rows)):
            if space[k] >= n:
                rows[k].append(it)
                space[k] -= n
                break
        else:
            rows.append([it])
            space.append(ROW + 1 - n)
    tokens = np.full((len(rows), ROW + 1), pad, np.uint16)
    doc = np.full((len(rows), ROW + 1), 255, np.uint8)
    pos = np.zeros((len(rows), ROW + 1), np.uint16)
    answer = np.zeros((len(rows), ROW + 1), np.bool_)
    for r, items in enumerate(rows):
        at = 0
        for d, (ids, start) in enumerate(items):
            n = len(ids)
            tokens[r, at:at + n] = ids
            doc[r, at:at + n] = d
            pos[r, at:at + n] = np.arange(n)
            answer[r, at + start:at + n] = True
            at += n
    return tokens, doc, pos, answer


def worker(path, seeds, queue, per_shard):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    from tokenizers import Tokenizer
    tok = Tokenizer.from_file(path)
    pad = tok.token_to_id(PAD)
    for seed in seeds:
        gen = gen_data.Generator(seed)
        rng = np.random.default_rng(seed)
        arrays = pack_rows(encode(tok, [gen.pair() for _ in range(per_shard)]), pad)
        order = rng.permutation(len(arrays[0]))
        queue.put(tuple(a[order] for a in arrays) + (per_shard,))


class Stream:
    """Batches of rows, made by `workers` processes; seeds go on from first_seed so that a resumed run sees new pairs."""

    def __init__(self, path, workers, first_seed, per_shard=8000):
        ctx = mp.get_context("fork")
        self.queue = ctx.Queue(4 * workers)
        self.procs = [ctx.Process(target=worker, args=(path, range(first_seed + i, 1 << 30, workers), self.queue, per_shard), daemon=True)
                      for i in range(workers)]
        self.shards = self.pairs = 0
        for p in self.procs:
            p.start()
        self.rest = None

    def batch(self, rows):
        """tokens, doc, pos, answer with exactly `rows` rows."""
        parts, have = ([self.rest], len(self.rest[0])) if self.rest else ([], 0)
        while have < rows:
            *arrays, pairs = self.queue.get(timeout=300)
            parts.append(arrays)
            have += len(arrays[0])
            self.shards += 1
            self.pairs += pairs
        joined = [np.concatenate(a) for a in zip(*parts)] if len(parts) > 1 else parts[0]
        self.rest = [a[rows:] for a in joined]
        return [a[:rows] for a in joined]

    def close(self):
        for p in self.procs:
            p.terminate()
