/* grammar/re_build.c - larger expressions from lists: sets of words as a trie, classes of characters as UTF-8. */
#include "grammar/re.h"
#include <stdlib.h>

enum { MAX_NEST = 4000 };

/* ---- words ---- */
static int by_text(const void *a, const void *b)
{
    const wick_str *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int c = n ? memcmp(x->p, y->p, n) : 0;
    return c ? c : x->n < y->n ? -1 : x->n > y->n;
}

/* Words v[0..n), sorted, that share their first `at` bytes: what follows these. */
static wick_re words_from(wick_re_pool *p, const wick_str *v, uint32_t n, size_t at)
{
    if (n == 0 || p->why) return WICK_RE_NONE;
    const wick_str *first = &v[0], *last = &v[n - 1];
    size_t same = at;
    while (same < first->n && same < last->n && first->p[same] == last->p[same]) same++;
    if (same > at) /* sorted: what first and last share, all share */
        return wick_re_cat(p, wick_re_lit(p, first->p + at, same - at), words_from(p, v, n, same));
    wick_re alt[257];
    uint32_t n_alt = 0, i = 0;
    if (p->depth++ > MAX_NEST) {
        wick_re_fail(p, "nesting");
        return WICK_RE_NONE;
    }
    while (i < n && v[i].n == at) i++;
    if (i) alt[n_alt++] = WICK_RE_EPS;
    while (i < n) {
        uint32_t from = i;
        char c = v[i].p[at];
        while (i < n && v[i].p[at] == c) i++;
        alt[n_alt++] = wick_re_cat(p, wick_re_byte(p, (uint8_t)c), words_from(p, v + from, i - from, at + 1));
    }
    p->depth--;
    return wick_re_or(p, alt, n_alt);
}

wick_re wick_re_words(wick_re_pool *p, wick_str *v, uint32_t n)
{
    if (!n) return WICK_RE_NONE;
    qsort(v, n, sizeof *v, by_text);
    return words_from(p, v, n, 0);
}

/* ---- characters ---- */
typedef struct seqs {
    wick_re_pool *p;
    wick_re *v;
    uint32_t n, cap;
} seqs;

static void add_seq(seqs *q, wick_re r)
{
    if (!wick_re_room(q->p, (void **)&q->v, &q->cap, (uint64_t)q->n + 1, sizeof *q->v)) return;
    q->v[q->n++] = r;
}

/* Ranges of characters whose encodings have `len` bytes and share all bits above the last 6 * left ones: the last left
 * + 1 bytes. */
static wick_re tail(wick_re_pool *p, uint32_t lo, uint32_t hi, int left)
{
    if (left == 0) return wick_re_bytes(p, (uint8_t)(0x80 | (lo & 63)), (uint8_t)(0x80 | (hi & 63)));
    uint32_t shift = (uint32_t)left * 6, low = (1u << shift) - 1, a = lo >> shift, b = hi >> shift;
    wick_re full = wick_re_bytes(p, 0x80, 0xBF), rest = WICK_RE_EPS, r = WICK_RE_NONE;
    for (int i = 0; i < left; i++) rest = wick_re_cat(p, full, rest);
    if (a == b)
        return wick_re_cat(p, wick_re_byte(p, (uint8_t)(0x80 | (a & 63))), tail(p, lo & low, hi & low, left - 1));
    if ((lo & low) != 0) {
        r = wick_re_or2(p, r,
                        wick_re_cat(p, wick_re_byte(p, (uint8_t)(0x80 | (a & 63))), tail(p, lo & low, low, left - 1)));
        a++;
    }
    if ((hi & low) != low) {
        r = wick_re_or2(p, r,
                        wick_re_cat(p, wick_re_byte(p, (uint8_t)(0x80 | (b & 63))), tail(p, 0, hi & low, left - 1)));
        b--;
    }
    if (a <= b)
        r = wick_re_or2(p, r,
                        wick_re_cat(p, wick_re_bytes(p, (uint8_t)(0x80 | (a & 63)), (uint8_t)(0x80 | (b & 63))), rest));
    return r;
}

/* Characters lo..hi, all of encodings with `more` + 1 bytes, more > 0. */
static void add_chars(seqs *q, uint32_t lo, uint32_t hi, int more)
{
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    wick_re_pool *p = q->p;
    uint32_t shift = (uint32_t)more * 6, low = (1u << shift) - 1;
    while (lo <= hi && !p->why) {
        uint32_t a = lo >> shift, b = hi >> shift, end = a == b ? hi : (a << shift) | low;
        if ((lo & low) == 0 && b > a) { /* several whole leads at once */
            uint32_t last = (hi & low) == low ? b : b - 1;
            end = (last << shift) | low;
            add_seq(q, wick_re_cat(p, wick_re_bytes(p, (uint8_t)(lead[more] | a), (uint8_t)(lead[more] | last)),
                                   tail(p, 0, low, more - 1)));
        } else {
            add_seq(q,
                    wick_re_cat(p, wick_re_byte(p, (uint8_t)(lead[more] | a)), tail(p, lo & low, end & low, more - 1)));
        }
        lo = end + 1;
    }
}

wick_re wick_re_chars(wick_re_pool *p, const wick_cp_range *r, uint32_t n)
{
    static const struct {
        uint32_t lo, hi;
        int more;
    } part[] = {{0x80, 0x7FF, 1}, {0x800, 0xD7FF, 2}, {0xE000, 0xFFFF, 2}, {0x10000, 0x10FFFF, 3}};
    seqs q = {.p = p};
    wick_re_set ascii = {{0}};
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t c = r[i].lo; c <= r[i].hi && c < 0x80; c++) ascii.w[c >> 6] |= (uint64_t)1 << (c & 63);
        for (int k = 0; k < 4; k++) {
            uint32_t lo = r[i].lo > part[k].lo ? r[i].lo : part[k].lo, hi = r[i].hi < part[k].hi ? r[i].hi : part[k].hi;
            if (lo <= hi) add_chars(&q, lo, hi, part[k].more);
        }
    }
    add_seq(&q, wick_re_set_of(p, &ascii));
    wick_re out = p->why ? WICK_RE_NONE : wick_re_or(p, q.v, q.n);
    p->bytes -= (uint64_t)q.cap * sizeof *q.v;
    wick_free(q.v);
    return out;
}

wick_re wick_re_any_char(wick_re_pool *p)
{
    return wick_re_chars(p, &(wick_cp_range){0, 0x10FFFF}, 1);
}

wick_re wick_re_any_text(wick_re_pool *p)
{
    return wick_re_rep(p, wick_re_any_char(p), 0, WICK_RE_INF);
}
