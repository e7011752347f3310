/* engine/dry.c - DRY: a token that would go on with a repeat of earlier text is made less likely, the longer the
 * repeat the more: logit -= multiplier * base^(length - allowed_length) for length >= allowed_length.
 *
 * "Length" is how many tokens before the new one equal those before an earlier occurrence of it. A repeat never
 * crosses a sequence breaker. A breaker is a string; in tokens it is either one token that contains it, or a head token
 * that ends with its beginning and the tokens of its rest (the tail).
 *
 * Picture, with the history newest first (r[0] is the last token):
 *   r:  c b a x c b a ...      z[4] = 3: r[4..7) equals r[0..3), and the token that followed it is r[3] = x
 */
#include <stdlib.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "engine/sample_int.h"
#include "text/tokenizer.h"

#define MAX_TAIL 20 /* tokens; a longer breaker is cut, which breaks a little too often */

typedef struct breaker {
    int32_t head;
    uint32_t tail, n_tail; /* slice of `tails` */
} breaker;

struct wick_dry_breakers {
    uint32_t n_vocab;
    uint32_t *single; /* bit set of tokens that contain a breaker */
    breaker *item;    /* those with a tail, sorted by head */
    uint32_t n_items, cap_items;
    int32_t *tails;
    uint32_t n_tails;
    uint32_t cap_tails;
};

static bool has_bit(const uint32_t *bits, uint32_t i)
{
    return bits[i / 32] >> (i % 32) & 1;
}

static wick_status add_item(wick_dry_breakers *b, int32_t head, const int32_t *tail, size_t n, wick_err *err)
{
    uint32_t n_tail = n < MAX_TAIL ? (uint32_t)n : MAX_TAIL;
    if (b->n_items == b->cap_items) {
        uint32_t cap = b->cap_items ? b->cap_items * 2 : 64;
        breaker *p = wick_realloc_array(b->item, cap, sizeof *p);
        if (!p) return wick_err_oom(err, "DRY breakers", cap * sizeof *p, 0);
        b->item = p;
        b->cap_items = cap;
    }
    if (b->n_tails + n_tail > b->cap_tails) {
        uint32_t cap = b->cap_tails ? b->cap_tails * 2 : 256;
        int32_t *p = wick_realloc_array(b->tails, cap, sizeof *p);
        if (!p) return wick_err_oom(err, "DRY breakers", cap * sizeof *p, 0);
        b->tails = p;
        b->cap_tails = cap;
    }
    memcpy(b->tails + b->n_tails, tail, n_tail * sizeof *tail);
    b->item[b->n_items++] = (breaker){head, b->n_tails, n_tail};
    b->n_tails += n_tail;
    return WICK_OK;
}

/* A token that does not hold the whole breaker, but ends with its first k bytes: the rest must follow in tokens. */
static wick_status add_overlaps(wick_dry_breakers *b, const wick_tokenizer *t, int32_t id, const char *text, size_t n,
                                wick_str s, wick_err *err)
{
    for (size_t k = 1; k < s.n && k <= n; k++) {
        if (memcmp(text + n - k, s.p, k) != 0) continue;
        int32_t *tail = NULL;
        size_t n_tail = 0;
        wick_status st =
            wick_tokenizer_encode(t, s.p + k, s.n - k, WICK_ENC_NO_SPECIAL | WICK_ENC_PLAIN_TEXT, &tail, &n_tail, err);
        if (st == WICK_OK && n_tail > 0) st = add_item(b, id, tail, n_tail, err);
        wick_free(tail);
        WICK_TRY(st);
    }
    return WICK_OK;
}

static int by_head(const void *a, const void *b)
{
    const breaker *x = a, *y = b;
    if (x->head != y->head) return x->head < y->head ? -1 : 1;
    return x->tail < y->tail ? -1 : x->tail > y->tail;
}

wick_status wick_dry_breakers_new(wick_dry_breakers **out, const wick_tokenizer *t, const char *const *strings,
                                  uint32_t n_strings, wick_err *err)
{
    static const char *const usual[] = {"\n", ":", "\"", "*"};
    wick_status st = WICK_OK;
    wick_buf text = WICK_BUF_INIT;
    wick_dry_breakers *b = wick_alloc_zero(1, sizeof *b);
    if (!b) return wick_err_oom(err, "DRY breakers", sizeof *b, 0);
    if (!strings) {
        strings = usual;
        n_strings = sizeof usual / sizeof usual[0];
    }
    b->n_vocab = wick_tokenizer_size(t);
    b->single = wick_alloc_zero(b->n_vocab / 32 + 1, sizeof *b->single);
    if (!b->single) st = wick_err_oom(err, "DRY breakers", b->n_vocab / 8, 0);
    for (uint32_t id = 0; st == WICK_OK && id < b->n_vocab; id++) {
        wick_buf_reset(&text);
        wick_tokenizer_bytes(t, (int32_t)id, &text);
        if (text.failed) st = wick_err_oom(err, "DRY breakers", 0, 0);
        for (uint32_t i = 0; st == WICK_OK && text.n > 0 && i < n_strings; i++) {
            wick_str s = wick_str_of(strings[i]);
            if (s.n == 0) continue;
            if (memmem(text.data, text.n, s.p, s.n))
                b->single[id / 32] |= 1u << (id % 32);
            else
                st = add_overlaps(b, t, (int32_t)id, text.data, text.n, s, err);
        }
    }
    wick_buf_release(&text);
    if (st != WICK_OK) {
        wick_dry_breakers_free(b);
        return st;
    }
    if (b->n_items > 1) qsort(b->item, b->n_items, sizeof *b->item, by_head);
    *out = b;
    return WICK_OK;
}

void wick_dry_breakers_free(wick_dry_breakers *b)
{
    if (!b) return;
    wick_free(b->single);
    wick_free(b->item);
    wick_free(b->tails);
    wick_free(b);
}

/* Length of the longest tail that makes r[i] (newest first: hist[n-1-i]) the head of a breaker; -1: no breaker
 * there. */
static int32_t breaker_at(const wick_dry_breakers *b, const int32_t *hist, uint32_t n, uint32_t i)
{
    int32_t id = hist[n - 1 - i], longest = -1;
    if ((uint32_t)id >= b->n_vocab) return -1;
    if (has_bit(b->single, (uint32_t)id)) longest = 0;
    uint32_t lo = 0, hi = b->n_items;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (b->item[mid].head < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < b->n_items && b->item[lo].head == id; lo++) {
        const breaker *x = &b->item[lo];
        if ((int32_t)x->n_tail <= longest || x->n_tail > i) continue;
        if (memcmp(b->tails + x->tail, hist + n - i, x->n_tail * sizeof *hist) == 0) longest = (int32_t)x->n_tail;
    }
    return longest;
}

/* z[i] = length of the common prefix of r[i..n) and r[0..n), at most `limit`; the Z algorithm, O(n). */
static void match_lengths(const int32_t *hist, uint32_t n, uint32_t limit, uint32_t *z)
{
    uint32_t l = 0, r = 0; /* r[l..r) is known to equal r[0..r-l) */
    z[0] = limit;
    for (uint32_t i = 1; i < n; i++) {
        uint32_t k = 0;
        if (i < r) k = z[i - l] < r - i ? z[i - l] : r - i;
        while (k < limit && i + k < n && hist[n - 1 - i - k] == hist[n - 1 - k]) k++;
        z[i] = k;
        if (i + k > r) {
            l = i;
            r = i + k;
        }
    }
}

void wick_dry_apply(const wick_sampler *s, float *logits)
{
    const wick_sampling *o = &s->opt;
    uint32_t n = o->dry_range == 0 || o->dry_range > s->n_hist ? s->n_hist : o->dry_range;
    const int32_t *hist = s->hist + (s->n_hist - n);
    uint32_t *longest = s->scratch->count, limit = n, allowed = o->dry_allowed_length;
    if (n < 2 || n <= allowed) return;
    for (uint32_t i = 0; s->breakers && i < n; i++) {
        int32_t tail = breaker_at(s->breakers, hist, n, i);
        if (tail < 0) continue;
        limit = i - (uint32_t)tail;
        break;
    }
    if (limit < allowed || limit == 0) return;
    match_lengths(hist, n, limit, s->z);
    for (uint32_t i = 1; i < n; i++) {
        int32_t next = hist[n - i]; /* the token after the earlier occurrence */
        if (s->z[i] >= allowed && s->z[i] > longest[next]) longest[next] = s->z[i];
    }
    /* base^x must stay a finite float: x <= ln(FLT_MAX) / ln(base) */
    float max_exponent = o->dry_base > 1.000001f ? 88.7228391f / logf(o->dry_base) : 1e30f;
    for (uint32_t i = 1; i < n; i++) {
        int32_t next = hist[n - i];
        if (longest[next] == 0) continue;
        float x = (float)(longest[next] - allowed);
        longest[next] = 0;
        if (s->breakers && (uint32_t)next < s->breakers->n_vocab && has_bit(s->breakers->single, (uint32_t)next))
            continue;
        logits[next] -= o->dry_multiplier * powf(o->dry_base, x < max_exponent ? x : max_exponent);
    }
}
