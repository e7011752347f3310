/* text/cuts.c - where a text may be cut before a BPE model sees it, although its tokenizer does not cut there.
 *
 * A merge joins two symbols. Where no merge of the vocabulary has its left half end with character a and its right half
 * begin with character b, nothing is ever joined across "ab": both sides can be encoded alone. Vocabularies made from
 * sentencepiece have no words; cutting their text at such places (before nearly all spaces, and more in scripts without
 * spaces) lets the word cache work and keeps heaps small. The ids do not change.
 *
 * A character that is no piece becomes bytes, the unknown token, which may stand for a run of such characters, or
 * nothing at all.
 *
 * Invariant: a set bit may be wrong (two pairs share it), a clear one never is. Symbols are whole characters: a
 * vocabulary that merges byte tokens or the unknown token is not cut.
 */
#include <string.h>
#include "text/tok.h"

enum { ASCII_PAIRS = 128 * 128, LOG_MIN = 14, LOG_MAX = 22 };

static uint32_t bit_of(const wick_cuts *c, uint32_t a, uint32_t b)
{
    if ((a | b) < 128) return a << 7 | b;
    return ASCII_PAIRS + (uint32_t)(((uint64_t)a << 32 | b) * 0x9E3779B97F4A7C15u >> (64 - c->log_bits));
}

static void set_pair(wick_cuts *c, uint32_t a, uint32_t b)
{
    uint32_t i = bit_of(c, a, b);
    c->joins[i / 64] |= (uint64_t)1 << i % 64;
}

static bool may_join(const wick_cuts *c, uint32_t a, uint32_t b)
{
    uint32_t i = bit_of(c, a, b);
    return c->joins[i / 64] >> i % 64 & 1;
}

static uint32_t first_char(wick_str s)
{
    uint32_t c;
    wick_utf8_next(s.p, s.n, &c);
    return c;
}

static uint32_t last_char(wick_str s)
{
    size_t k = 1;
    uint32_t c;
    while (k < s.n && k < 4 && ((unsigned char)s.p[s.n - k] & 0xC0) == 0x80) k++;
    wick_utf8_next(s.p + s.n - k, k, &c);
    return c;
}

static void pairs_inside(wick_cuts *c, wick_str s)
{
    uint32_t last = 0, next;
    for (size_t i = 0; i < s.n;) {
        size_t k = wick_utf8_next(s.p + i, s.n - i, &next);
        if (i) set_pair(c, last, next);
        last = next;
        i += k;
    }
}

/* Characters that are pieces: between two others a run of unknown ones may go on. */
static void mark_known(const wick_tokenizer *t, wick_cuts *c)
{
    for (uint32_t id = 0; id < t->vocab.n; id++) {
        wick_str s = t->vocab.piece[id];
        uint32_t cp;
        if (!s.p || !s.n || s.n > 3 || (t->vocab.extra && t->vocab.extra[id]) || wick_utf8_next(s.p, s.n, &cp) != s.n)
            continue;
        if (cp <= 0xFFFF && t->vocab.type[id] != WICK_TOKEN_UNKNOWN) c->known[cp / 64] |= (uint64_t)1 << cp % 64;
    }
}

static bool is_known(const wick_cuts *c, uint32_t cp)
{
    return cp <= 0xFFFF && (c->known[cp / 64] >> cp % 64 & 1);
}

/* False: this vocabulary cannot be cut. */
static bool mark_merges(const wick_tokenizer *t, wick_cuts *c)
{
    const wick_tok_model *m = &t->model;
    for (uint32_t i = 0; m->merges && i <= m->merges_mask; i++) {
        if (m->merges[i].key == UINT64_MAX) continue;
        uint32_t a = (uint32_t)(m->merges[i].key >> 32), b = (uint32_t)m->merges[i].key;
        if (t->vocab.type[a] == WICK_TOKEN_BYTE || t->vocab.type[b] == WICK_TOKEN_BYTE || !t->vocab.piece[a].n ||
            !t->vocab.piece[b].n || (int32_t)a == m->unk || (int32_t)b == m->unk)
            return false;
        set_pair(c, last_char(t->vocab.piece[a]), first_char(t->vocab.piece[b]));
    }
    return true;
}

wick_status wick_cuts_build(wick_tokenizer *t, wick_err *err)
{
    const wick_vocab *v = &t->vocab;
    wick_cuts *c = wick_arena_alloc(&t->arena, sizeof *c);
    if (!c) return wick_err_oom(err, "the tokenizer", sizeof *c, 0);
    memset(c, 0, sizeof *c);
    c->log_bits = LOG_MIN;
    while (c->log_bits < LOG_MAX && (uint64_t)1 << c->log_bits < 16 * (uint64_t)v->n) c->log_bits++;
    size_t words = (ASCII_PAIRS + ((size_t)1 << c->log_bits)) / 64;
    if (!(c->joins = wick_arena_array(&t->arena, words, sizeof *c->joins)) ||
        !(c->known = wick_arena_array(&t->arena, 0x10000 / 64, sizeof *c->known)))
        return wick_err_oom(err, "the tokenizer", words * 8, 0);
    memset(c->joins, 0, words * sizeof *c->joins);
    memset(c->known, 0, 0x10000 / 8);
    if (t->model.kind == MODEL_BPE) {
        if (!mark_merges(t, c)) return WICK_OK;
    } else { /* any two neighbours whose text is a piece; user-defined symbols are found as a whole */
        for (uint32_t id = 0; id < v->n; id++)
            if (v->piece[id].p && v->type[id] != WICK_TOKEN_BYTE && v->type[id] != WICK_TOKEN_UNKNOWN)
                pairs_inside(c, v->piece[id]);
    }
    mark_known(t, c);
    if (t->model.kind == MODEL_BPE && t->model.unk < 0) {
        c->drops = !t->model.byte_fallback;
        for (int b = 0; b < 256; b++) c->drops |= t->model.bytes[b] < 0;
    }
    wick_pre *op = wick_tok_add_pre(t, PRE_SAFE_CUTS);
    if (!op) return wick_tok_op_failed(t->n_pre, NULL, err);
    op->cuts = c;
    return WICK_OK;
}

static bool is_letter(uint32_t c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

void wick_cuts_run(const wick_cuts *c, const char *p, wick_span s, wick_spans *out)
{
    uint32_t last = 0, next;
    size_t from = 0;
    for (size_t i = 0; i < s.len;) {
        size_t k = wick_utf8_next(p + s.off + i, s.len - i, &next);
        if (i && !(is_letter(last) && is_letter(next)) && !may_join(c, last, next) &&
            (c->drops ? is_known(c, last) && is_known(c, next) : is_known(c, last) || is_known(c, next))) {
            wick_spans_add(out, s.off + (uint32_t)from, (uint32_t)(i - from), s.first && from == 0);
            from = i;
        }
        last = next;
        i += k;
    }
    wick_spans_add(out, s.off + (uint32_t)from, s.len - (uint32_t)from, s.first && from == 0);
}
