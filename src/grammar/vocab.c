/* grammar/vocab.c - makes the tries of a vocabulary, once for each tokenizer. */
#include "grammar/vocab.h"
#include <stdlib.h>
#include "base/alloc.h"
#include "base/str.h"

/* How many bytes at the beginning are whole characters that a JSON string holds unescaped, and how many characters. */
static size_t free_bytes(wick_str s, uint32_t *chars)
{
    uint32_t cp;
    size_t i = 0;
    for (*chars = 0; i < s.n; ++*chars) {
        unsigned n = wick_utf8_next(s.p + i, s.n - i, &cp);
        if (cp == UINT32_MAX || cp < 0x20 || cp == 0x7F || cp == '"' || cp == '\\') break;
        i += n;
    }
    return i;
}

typedef struct sorter {
    uint64_t head; /* first 8 bytes, big end first */
    int32_t id;
    wick_str s;
} sorter;

static int by_bytes(const void *a, const void *b)
{
    const sorter *x = a, *y = b;
    if (x->head != y->head) return x->head < y->head ? -1 : 1;
    size_t n = x->s.n < y->s.n ? x->s.n : y->s.n;
    int c = memcmp(x->s.p, y->s.p, n);
    if (c) return c;
    if (x->s.n != y->s.n) return x->s.n < y->s.n ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static uint64_t head_of(wick_str s)
{
    uint64_t h = 0;
    for (size_t i = 0; i < 8; i++) h = h << 8 | (i < s.n ? (uint8_t)s.p[i] : 0);
    return h;
}

/* A trie of the sorted tokens but those in left_out (NULL: all); tokens of equal bytes are chained in same[]. */
static bool make_trie(const sorter *list, uint32_t n, const uint64_t *left_out, int32_t *chain, wick_gtrie *t)
{
    size_t total = 1;
    for (uint32_t i = 0; i < n; i++) total += list[i].s.n;
    if (total > UINT32_MAX) return false;
    wick_gnode *node = wick_realloc_array(NULL, total, sizeof *node);
    uint32_t open[WICK_GVOCAB_MAX_TOKEN + 1], depth = 0, m = 0;
    wick_str last = {0};
    if (!node) return false;
    for (uint32_t i = 0; i < n; i++) {
        int32_t id = list[i].id;
        if (left_out && left_out[id / 64] >> (id % 64) & 1) continue;
        wick_str s = list[i].s;
        uint32_t same = 0;
        while (same < depth && same < s.n && s.p[same] == last.p[same]) same++;
        while (depth > same) node[open[depth--]].skip = m;
        for (; depth < s.n; m++) {
            open[++depth] = m;
            node[m] = (wick_gnode){.token = -1, .depth = (uint16_t)depth, .byte = (uint8_t)s.p[depth - 1]};
        }
        chain[id] = node[open[depth]].token;
        node[open[depth]].token = id;
        last = s;
    }
    while (depth) node[open[depth--]].skip = m;
    wick_gnode *fit = wick_realloc_array(node, m + 1u, sizeof *node);
    t->node = fit ? fit : node;
    t->n = m;
    return true;
}

static bool make_tails(wick_gvocab *v, sorter *list, uint32_t n)
{
    v->loop.bits = wick_alloc_zero(v->n_words + 1u, sizeof *v->loop.bits);
    v->loop.same = wick_alloc_zero(v->n + 1u, sizeof *v->loop.same);
    if (!v->loop.bits || !v->loop.same) return false;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t chars, id = (uint32_t)list[i].id;
        size_t head = free_bytes(list[i].s, &chars);
        list[i].s = (wick_str){list[i].s.p + head, list[i].s.n - head};
        list[i].head = head_of(list[i].s);
        if (!list[i].s.n) v->loop.bits[id / 64] |= (uint64_t)1 << (id % 64);
    }
    if (n) qsort(list, n, sizeof *list, by_bytes);
    return make_trie(list, n, v->loop.bits, v->loop.same, &v->loop.tails);
}

/* list: whole tokens, sorted. part: room for as many. */
static bool make_counted(wick_gvocab *v, const sorter *list, sorter *part, uint32_t n)
{
    enum { QUOTES = WICK_GVOCAB_HEAD + 1, LONGER, GROUPS };
    v->counted.head = wick_alloc_zero(v->n + 1u, 1);
    v->counted.same = wick_alloc_zero(v->n + 1u, sizeof *v->counted.same);
    v->counted.bits = wick_alloc_zero((WICK_GVOCAB_HEAD + 1u) * v->n_words + 1u, sizeof *v->counted.bits);
    if (!v->counted.head || !v->counted.same || !v->counted.bits) return false;
    bool ok = true;
    for (uint32_t group = 0; ok && group < GROUPS; group++) {
        uint32_t m = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t chars, id = (uint32_t)list[i].id;
            const size_t at = free_bytes(list[i].s, &chars);
            const wick_str tail = {list[i].s.p + at, list[i].s.n - at};
            const uint32_t mine = chars > WICK_GVOCAB_HEAD ? LONGER : tail.n && *tail.p == '"' ? QUOTES : chars;
            if (mine != group) continue;
            if (!tail.n && group < QUOTES) {
                for (uint32_t k = chars; k <= WICK_GVOCAB_HEAD; k++)
                    v->counted.bits[(size_t)k * v->n_words + id / 64] |= (uint64_t)1 << (id % 64);
                continue;
            }
            const wick_str s = group == LONGER ? list[i].s : tail;
            v->counted.head[id] = (uint8_t)(group == LONGER ? 0 : chars);
            part[m++] = (sorter){head_of(s), (int32_t)id, s};
        }
        if (m) qsort(part, m, sizeof *part, by_bytes);
        ok = make_trie(part, m, NULL, v->counted.same,
                       group == LONGER   ? &v->counted.longer
                       : group == QUOTES ? &v->counted.quotes
                                         : &v->counted.tails[group]);
    }
    return ok;
}

static bool make_tries(wick_gvocab *v)
{
    static const uint32_t chars[WICK_GVOCAB_SLICES] = {10, 32};
    sorter *list = wick_alloc((v->n + 1u) * sizeof *list), *part = wick_alloc((v->n + 1u) * sizeof *part);
    uint32_t n = 0;
    bool ok = list && part;
    for (uint32_t i = 0; ok && i < v->n; i++) {
        if (!v->usable[i]) continue;
        wick_str s = wick_gvocab_bytes(v, (int32_t)i);
        list[n++] = (sorter){head_of(s), (int32_t)i, s};
        if (s.n > v->max_depth) v->max_depth = (uint32_t)s.n;
    }
    if (n) qsort(list, n, sizeof *list, by_bytes);
    ok = ok && make_trie(list, n, NULL, v->same, &v->all);
    for (int k = 0; ok && k < WICK_GVOCAB_SLICES; k++) {
        v->slice[k].chars = chars[k];
        v->slice[k].bits = wick_alloc_zero(v->n_words, sizeof *v->slice[k].bits);
        ok = v->slice[k].bits != NULL;
        for (uint32_t i = 0; ok && i < n; i++) {
            uint32_t m, id = (uint32_t)list[i].id;
            if (free_bytes(list[i].s, &m) == list[i].s.n && m <= chars[k])
                v->slice[k].bits[id / 64] |= (uint64_t)1 << (id % 64);
        }
        ok = ok && make_trie(list, n, v->slice[k].bits, v->same, &v->slice[k].rest);
    }
    ok = ok && make_counted(v, list, part, n) && make_tails(v, list, n);
    wick_free(list);
    wick_free(part);
    return ok;
}

static bool read_tokens(wick_gvocab *v, const wick_tokenizer *t)
{
    wick_buf all = WICK_BUF_INIT, one = WICK_BUF_INIT;
    bool ok = true;
    for (uint32_t i = 0; i < v->n && ok; i++) {
        wick_token_type type = wick_tokenizer_type(t, (int32_t)i);
        v->off[i] = (uint32_t)all.n;
        wick_buf_reset(&one);
        if (type != WICK_TOKEN_UNKNOWN && type != WICK_TOKEN_UNUSED) wick_tokenizer_bytes(t, (int32_t)i, &one);
        const bool some = one.n > 0 && one.n <= WICK_GVOCAB_MAX_TOKEN;
        v->usable[i] = some && type != WICK_TOKEN_CONTROL;
        if (some) wick_buf_add(&all, one.data, one.n);
        if (some && type == WICK_TOKEN_CONTROL) v->control[v->n_control++] = (int32_t)i;
        ok = !one.failed && !all.failed;
    }
    v->off[v->n] = (uint32_t)all.n;
    v->bytes = ok ? wick_buf_take(&all, NULL) : NULL;
    wick_buf_release(&one);
    wick_buf_release(&all);
    return ok && v->bytes;
}

/* Whether a text's first token begins with a space that the text has not. */
static wick_status find_first_space(wick_gvocab *v, const wick_tokenizer *t, wick_err *err)
{
    int32_t *ids = NULL;
    size_t n = 0;
    WICK_TRY(wick_tokenizer_encode(t, "a", 1, WICK_ENC_NO_SPECIAL, &ids, &n, err));
    if (n && ids[0] >= 0 && (uint32_t)ids[0] < v->n && v->usable[ids[0]])
        v->first_space = v->bytes[v->off[ids[0]]] == ' ';
    wick_free(ids);
    return WICK_OK;
}

wick_status wick_gvocab_new(wick_gvocab **out, const wick_tokenizer *t, const int32_t *ends, size_t n_ends,
                            wick_err *err)
{
    wick_gvocab *v = wick_alloc_zero(1, sizeof *v);
    wick_status st = WICK_OK;
    if (!v) return wick_err_oom(err, "the vocabulary's trie", 0, 0);
    v->refs = 1;
    v->n = wick_tokenizer_size(t);
    v->n_words = (v->n + 63) / 64;
    v->off = wick_alloc_zero(v->n + 1u, sizeof *v->off);
    v->same = wick_alloc_zero(v->n + 1u, sizeof *v->same);
    v->usable = wick_alloc_zero(v->n + 1u, sizeof *v->usable);
    v->control = wick_alloc_zero(v->n + 1u, sizeof *v->control);
    v->ends = wick_alloc_zero(n_ends + 1, sizeof *v->ends);
    if (!v->off || !v->same || !v->usable || !v->control || !v->ends || !read_tokens(v, t))
        st = wick_err_oom(err, "the vocabulary's trie", 0, 0);
    for (size_t i = 0; st == WICK_OK && i < n_ends; i++) {
        if (ends[i] < 0 || (uint32_t)ends[i] >= v->n) continue;
        v->ends[v->n_ends++] = ends[i];
        v->usable[ends[i]] = false; /* an end is never text */
    }
    uint32_t n_control = 0;
    for (uint32_t i = 0; st == WICK_OK && i < v->n_control; i++) {
        v->same[v->control[i]] = -1;
        if (!wick_gvocab_is_end(v, v->control[i])) v->control[n_control++] = v->control[i];
    }
    v->n_control = n_control;
    if (st == WICK_OK && !make_tries(v)) st = wick_err_oom(err, "the vocabulary's trie", 0, 0);
    if (st == WICK_OK) st = find_first_space(v, t, err);
    if (st == WICK_OK)
        *out = v;
    else
        wick_gvocab_free(v);
    return st;
}

wick_gvocab *wick_gvocab_ref(wick_gvocab *v)
{
    __atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
    return v;
}

void wick_gvocab_free(wick_gvocab *v)
{
    if (!v || __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    wick_free(v->off);
    wick_free(v->bytes);
    wick_free(v->same);
    wick_free(v->usable);
    wick_free(v->control);
    wick_free(v->ends);
    wick_free(v->all.node);
    wick_free(v->counted.head);
    wick_free(v->counted.bits);
    wick_free(v->counted.same);
    wick_free(v->counted.quotes.node);
    wick_free(v->counted.longer.node);
    for (int k = 0; k <= WICK_GVOCAB_HEAD; k++) wick_free(v->counted.tails[k].node);
    wick_free(v->loop.bits);
    wick_free(v->loop.same);
    wick_free(v->loop.tails.node);
    for (int k = 0; k < WICK_GVOCAB_SLICES; k++) {
        wick_free(v->slice[k].bits);
        wick_free(v->slice[k].rest.node);
    }
    wick_free(v);
}

uint32_t wick_gvocab_size(const wick_gvocab *v)
{
    return v->n;
}

bool wick_gvocab_is_end(const wick_gvocab *v, int32_t id)
{
    for (size_t i = 0; i < v->n_ends; i++)
        if (v->ends[i] == id) return true;
    return false;
}
