/* text/encode.c - text to ids: the order of the stages, the buffers of one run, and the word cache.
 *
 * Added tokens that are not normalized split the input; what lies between is normalized, split again by the
 * normalized added tokens, cut into words and given to the model. This is the order of `tokenizers`.
 */
#include <string.h>
#include "text/tok.h"
#include "text/unicode.h"

enum {
    MAX_TEXT = 1 << 29, /* bytes of one call: offsets are 32 bit, and normalizers may triple the text */
    CACHE_FROM = 512,   /* bytes: a shorter text does not pay for the table */
    CACHE_MIN = 256,
    CACHE_MAX = 1 << 13, /* slots: half a megabyte */
    CACHE_WORD = 24,
    CACHE_IDS = 9,
    LONG_WORD = 4096, /* bytes: runs of spaces, rulers, sentences without spaces */
    LONG_SLOTS = 1 << 10
};

/* Ids of words seen in this call, one cache line a word. Two places for each, the newer one first. */
typedef struct word_slot {
    uint64_t key[CACHE_WORD / 8];
    uint8_t n, n_ids; /* n 0: empty */
    int32_t id[CACHE_IDS];
} word_slot;

/* A longer word: what was copied of it, and where its ids already stand in enc.ids. */
typedef struct long_slot {
    uint64_t hash;
    uint32_t word_at, n; /* n 0: empty */
    uint32_t ids_at, n_ids;
} long_slot;

struct wick_word_cache {
    wick_buf text; /* the long words */
    long_slot longer[LONG_SLOTS];
    size_t mask;
    word_slot *slot; /* [mask + 1], on a cache line */
};

void wick_word_cache_free(struct wick_word_cache *c)
{
    if (c) wick_buf_release(&c->text);
    wick_free(c);
}

static void enc_release(wick_enc *e)
{
    for (int i = 0; i < 2; i++) {
        wick_buf_release(&e->norm[i]);
        wick_buf_release(&e->text[i]);
        wick_spans_release(&e->spans[i]);
    }
    wick_buf_release(&e->scratch);
    wick_regex_run_release(&e->run);
    wick_free(e->sym);
    wick_free(e->heap);
    wick_free(e->lattice);
    wick_free(e->backs);
    wick_free(e->code);
    wick_word_cache_free(e->words);
}

wick_status wick_model_word(wick_enc *e, const char *p, size_t n, wick_err *err)
{
    switch (e->t->model.kind) {
    case MODEL_BPE: return wick_bpe_word(e, p, n, err);
    case MODEL_SCORED_BPE: return wick_scored_bpe_word(e, p, n, err);
    case MODEL_UNIGRAM: return wick_unigram_word(e, p, n, err);
    case MODEL_WORDPIECE:
    case MODEL_WORDLEVEL: return wick_wordpiece_word(e, p, n, err);
    }
    return WICK_OK;
}

static uint64_t load_u64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* Words of one length differ in their keys if they differ; up to 3 loads, which may overlap. */
static void word_key(const char *p, size_t n, uint64_t key[3])
{
    key[1] = key[2] = 0;
    if (n >= 8) {
        key[0] = load_u64(p);
        if (n > 16) key[1] = load_u64(p + 8);
        key[2] = load_u64(p + n - 8);
    } else if (n >= 4) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + n - 4, 4);
        key[0] = a | (uint64_t)b << 32;
    } else {
        key[0] = (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint64_t)(uint8_t)p[n - 1] << 16;
    }
}

static bool is_word(const word_slot *s, const uint64_t key[3], size_t n)
{
    return s->key[0] == key[0] && s->key[2] == key[2] && s->key[1] == key[1] && s->n == n;
}

static wick_status long_word(wick_enc *e, const char *p, size_t n, wick_err *err)
{
    struct wick_word_cache *c = e->words;
    if (!n || n > LONG_WORD) return wick_model_word(e, p, n, err);
    uint64_t h = wick_hash_bytes(p, n, 0);
    long_slot *s = &c->longer[h % LONG_SLOTS];
    if (s->n == n && s->hash == h && memcmp(c->text.data + s->word_at, p, n) == 0) {
        if (!wick_enc_room((void **)&e->ids, &e->cap, e->n + s->n_ids, sizeof *e->ids)) return wick_enc_oom(err);
        if (s->n_ids) memcpy(e->ids + e->n, e->ids + s->ids_at, s->n_ids * sizeof *e->ids);
        e->n += s->n_ids;
        return WICK_OK;
    }
    size_t before = e->n, at = c->text.n;
    WICK_TRY(wick_model_word(e, p, n, err));
    if (e->n > UINT32_MAX || at > UINT32_MAX) return WICK_OK;
    wick_buf_add(&c->text, p, n);
    if (c->text.failed) return wick_enc_oom(err);
    *s = (long_slot){h, (uint32_t)at, (uint32_t)n, (uint32_t)before, (uint32_t)(e->n - before)};
    return WICK_OK;
}

static wick_status cached_word(wick_enc *e, const char *p, size_t n, wick_err *err)
{
    uint64_t key[3];
    if (!n || n > CACHE_WORD) return long_word(e, p, n, err);
    word_key(p, n, key);
    uint64_t h = (key[0] ^ key[1] * 0x9FB21C651E98DF25u ^ (key[2] + n) * 0xD6E8FEB86659FD93u) * 0x9E3779B97F4A7C15u;
    word_slot *s = &e->words->slot[(h >> 32) & e->words->mask & ~(size_t)1];
    const word_slot *hit = is_word(s, key, n) ? s : is_word(s + 1, key, n) ? s + 1 : NULL;
    if (hit) {
        if (!wick_enc_room((void **)&e->ids, &e->cap, e->n + CACHE_IDS, sizeof *e->ids)) return wick_enc_oom(err);
        for (size_t i = 0; i < CACHE_IDS; i++) e->ids[e->n + i] = hit->id[i]; /* all of them: no loop to mispredict */
        e->n += hit->n_ids;
        return WICK_OK;
    }
    size_t before = e->n;
    WICK_TRY(wick_model_word(e, p, n, err));
    if (e->n - before <= CACHE_IDS) {
        s[1] = s[0];
        memcpy(s->key, key, sizeof key);
        s->n = (uint8_t)n;
        s->n_ids = (uint8_t)(e->n - before);
        if (s->n_ids) memcpy(s->id, e->ids + before, s->n_ids * sizeof *s->id);
    }
    return WICK_OK;
}

static struct wick_word_cache *word_cache_new(size_t text_n)
{
    size_t slots = CACHE_MIN;
    while (slots < CACHE_MAX && slots < text_n / 8) slots *= 2;
    struct wick_word_cache *c = wick_alloc_zero(1, sizeof *c + (slots + 1) * sizeof(word_slot));
    if (!c) return NULL;
    const uintptr_t line = sizeof(word_slot), at = (uintptr_t)(c + 1);
    c->mask = slots - 1;
    c->slot = (word_slot *)((char *)(c + 1) + (line - at % line) % line);
    return c;
}

static wick_status words_of(wick_enc *e, wick_str in, bool first, wick_err *err)
{
    const char *text;
    const wick_spans *words;
    if (!in.n) return WICK_OK;
    WICK_TRY(wick_pre_run(e, in, first, &text, &words, err));
    for (size_t i = 0; i < words->n; i++) {
        wick_span w = words->v[i];
        if (e->words)
            WICK_TRY(cached_word(e, text + w.off, w.len, err));
        else
            WICK_TRY(wick_model_word(e, text + w.off, w.len, err));
    }
    return WICK_OK;
}

/* A part without raw added tokens: normalize it, then look for the normalized ones. */
static wick_status part(wick_enc *e, wick_str in, bool plain, bool first, bool prefix, wick_parts *inner, wick_err *err)
{
    const wick_tokenizer *t = e->t;
    wick_str text;
    WICK_TRY(wick_norm_run(e, t->norm, t->n_norm, in, prefix, &first, &text, err));
    if (!t->added.has_normalized) return words_of(e, text, first, err);
    WICK_TRY(wick_added_split(&t->added, &t->added.normalized, text.p, text.n, plain, inner, err));
    for (size_t i = 0; i < inner->n; i++) {
        wick_text_part q = inner->v[i];
        wick_str s = {text.p + q.off, q.len};
        if (q.id >= 0) {
            if (!wick_enc_id(e, q.id)) return wick_enc_oom(err);
        } else {
            WICK_TRY(words_of(e, s, first && q.off == 0, err));
        }
    }
    return WICK_OK;
}

static wick_status whole_text(wick_enc *e, wick_str in, bool plain, wick_err *err)
{
    const wick_tokenizer *t = e->t;
    wick_parts parts = {0}, inner = {0};
    wick_status st = WICK_OK;
    bool prefix = true;
    if (!t->added.has_raw) {
        if (in.n) st = part(e, in, plain, true, true, &inner, err);
        goto done;
    }
    WICK_TRY_GOTO(wick_added_split(&t->added, &t->added.raw, in.p, in.n, plain, &parts, err));
    for (size_t i = 0; i < parts.n; i++) {
        wick_text_part q = parts.v[i];
        wick_str s = {in.p + q.off, q.len};
        if (q.id >= 0) {
            if (!wick_enc_id(e, q.id)) st = wick_enc_oom(err);
            prefix = t->prefix_after_special && q.special;
        } else {
            st = part(e, s, plain, q.off == 0, prefix || !t->prefix_first_only, &inner, err);
            prefix = false;
        }
        if (st != WICK_OK) goto done;
    }
done:
    wick_free(parts.v);
    wick_free(inner.v);
    return st;
}

static wick_status with_post(wick_enc *e, wick_str in, unsigned flags, wick_err *err)
{
    const wick_tokenizer *t = e->t;
    bool plain = flags & WICK_ENC_PLAIN_TEXT, special = !(flags & WICK_ENC_NO_SPECIAL), done = false;
    size_t from = 0, n = 0;
    if (!t->n_post) return whole_text(e, in, plain, err);
    for (uint32_t i = 0; i < t->n_post; i++) {
        if (t->post[i] >= 0) {
            if (special && !wick_enc_id(e, t->post[i])) return wick_enc_oom(err);
        } else if (!done) {
            from = e->n;
            WICK_TRY(whole_text(e, in, plain, err));
            n = e->n - from;
            done = true;
        } else { /* a template that repeats the text */
            if (!wick_enc_room((void **)&e->ids, &e->cap, e->n + n, sizeof *e->ids)) return wick_enc_oom(err);
            if (n) memcpy(e->ids + e->n, e->ids + from, n * sizeof *e->ids);
            e->n += n;
        }
    }
    return WICK_OK;
}

wick_status wick_tokenizer_encode(const wick_tokenizer *t, const char *text, size_t n, unsigned flags, int32_t **ids,
                                  size_t *n_ids, wick_err *err)
{
    if (n > MAX_TEXT)
        return WICK_FAIL(err, WICK_E_LIMIT, "text", "a text of %zu bytes: at most %d are tokenized at once", n,
                         MAX_TEXT);
    wick_enc e = {.t = t};
    wick_buf fixed = WICK_BUF_INIT;
    wick_str in = {text, n};
    wick_status st = WICK_OK;
    if (n && !wick_utf8_valid(text, n)) {
        wick_buf_init(&fixed, 4 * (size_t)MAX_TEXT);
        wick_uni_repair(&fixed, text, n);
        if (fixed.failed) {
            st = wick_enc_oom(err);
            goto done;
        }
        in = (wick_str){fixed.data, fixed.n};
    }
    if (t->model.cache && n >= CACHE_FROM && !(e.words = word_cache_new(n))) {
        st = wick_enc_oom(err);
        goto done;
    }
    WICK_TRY_GOTO(with_post(&e, in, flags, err));
    if (e.n) {
        int32_t *all = wick_realloc_array(*ids, *n_ids + e.n, sizeof *all);
        if (!all) {
            st = wick_enc_oom(err);
            goto done;
        }
        memcpy(all + *n_ids, e.ids, e.n * sizeof *all);
        *ids = all;
        *n_ids += e.n;
    }
done:
    wick_free(e.ids);
    enc_release(&e);
    wick_buf_release(&fixed);
    return st;
}

static void lay_pair(const wick_tokenizer *t, const int32_t *part[2], const size_t n[2], size_t n_b, int32_t *out,
                     uint32_t *second)
{
    static const int32_t bare[] = {-1, -2};
    const int32_t *list = t->n_pair ? t->pair : bare;
    uint32_t n_list = t->n_pair ? t->n_pair : 2;
    size_t at = 0;
    for (uint32_t i = 0; i < n_list; i++) {
        if (list[i] >= 0) {
            out[at++] = list[i];
            continue;
        }
        uint32_t which = list[i] == -2;
        size_t take = which ? n_b : n[0];
        if (which) *second = (uint32_t)at;
        if (take) memcpy(out + at, part[which], take * sizeof *out);
        at += take;
    }
}

wick_status wick_tokenizer_encode_pair(const wick_tokenizer *t, wick_str a, wick_str b, uint32_t most, int32_t **ids,
                                       size_t *n_ids, uint32_t *second, wick_err *err)
{
    const unsigned plain = WICK_ENC_NO_SPECIAL | WICK_ENC_PLAIN_TEXT;
    int32_t *part[2] = {NULL, NULL};
    size_t n[2] = {0, 0}, around = 0;
    wick_status st;
    uint32_t n_a = t->n_pair ? 0 : 1, n_two = n_a;
    for (uint32_t i = 0; i < t->n_pair; i++) {
        around += t->pair[i] >= 0;
        n_a += t->pair[i] == -1;
        n_two += t->pair[i] == -2;
    }
    WICK_TRY_GOTO(wick_tokenizer_encode(t, a.p, a.n, plain, &part[0], &n[0], err));
    WICK_TRY_GOTO(wick_tokenizer_encode(t, b.p, b.n, plain, &part[1], &n[1], err));
    size_t fixed = around + n[0] * n_a, n_b = n[1];
    if (fixed + n_two > most) {
        st = WICK_FAIL(err, WICK_E_LIMIT, "query", "a query of %zu tokens leaves no room for a document in %u", n[0],
                       most);
        if (err) {
            err->need = fixed;
            err->have = most;
        }
        goto done;
    }
    if (n_two && n_b > (most - fixed) / n_two) n_b = (most - fixed) / n_two;
    size_t all = fixed + n_b * n_two;
    int32_t *grown = wick_realloc_array(*ids, *n_ids + all, sizeof *grown);
    if (!grown) {
        st = wick_enc_oom(err);
        goto done;
    }
    *ids = grown;
    *second = 0;
    lay_pair(t, (const int32_t *[2]){part[0], part[1]}, n, n_b, grown + *n_ids, second);
    *n_ids += all;
done:
    wick_free(part[0]);
    wick_free(part[1]);
    return st;
}
