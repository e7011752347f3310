/* text/added.c - added tokens: giving them ids, and finding them in text as `tokenizers` does.
 *
 * Matches are leftmost-longest and do not overlap. A match that single_word rejects is passed over as a whole;
 * lstrip and rstrip widen the token over spaces without moving the place where the search goes on.
 */
#include <string.h>
#include "text/tok.h"
#include "text/unicode.h"

enum { MAX_ADDED_BYTES = 8192 }; /* bounds the work per place of the text */

static uint32_t next_id(const wick_tokenizer *t)
{
    uint32_t id = t->vocab.n_model;
    for (uint32_t i = 0; i < t->added.n; i++)
        if ((uint32_t)t->added.v[i].id >= id) id = (uint32_t)t->added.v[i].id + 1;
    return id;
}

static void set_type(wick_tokenizer *t, int32_t id, bool special)
{
    uint8_t *type = &t->vocab.type[id];
    if (special)
        *type = *type == WICK_TOKEN_UNKNOWN ? WICK_TOKEN_UNKNOWN : WICK_TOKEN_CONTROL;
    else if (*type == WICK_TOKEN_NORMAL)
        *type = WICK_TOKEN_USER;
}

wick_status wick_added_put(wick_tokenizer *t, const wick_added *a, const char *where, wick_err *err)
{
    wick_added_set *s = &t->added;
    if (!a->text.n) return WICK_OK;
    if (a->text.n > MAX_ADDED_BYTES)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: an added token of %zu bytes, at most %d are read", where,
                         a->text.n, MAX_ADDED_BYTES);
    wick_added item = *a;
    if (item.id < 0) item.id = wick_vocab_find(&t->vocab, a->text.p, a->text.n);
    if (item.id < 0) {
        /* ids only grow, so the last one given is the highest unless an older piece was named */
        uint32_t id =
            s->n && (uint32_t)s->v[s->n - 1].id >= t->vocab.n_model && (uint32_t)s->v[s->n - 1].id + 1 == t->vocab.n
                ? t->vocab.n
                : next_id(t);
        if (id > WICK_TOK_MAX_ID)
            return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: added token ids pass %d", where, WICK_TOK_MAX_ID);
        item.id = (int32_t)id;
        WICK_TRY(wick_tok_add_piece(t, id, a->text, WICK_TOKEN_NORMAL, where, err));
        wick_vocab *v = &t->vocab;
        if (!v->extra && !(v->extra = wick_alloc_zero(v->cap, 1))) return wick_err_oom(err, "added tokens", v->cap, 0);
        v->extra[id] = 1;
    }
    set_type(t, item.id, item.special);
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 64;
        wick_added *v = wick_realloc_array(s->v, cap, sizeof *v);
        if (!v) return wick_err_oom(err, "added tokens", cap * sizeof *v, 0);
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = item;
    return WICK_OK;
}

/* Of tokens that are found by the same text the first one counts, special ones before all others. */
static bool add_pattern(wick_trie *trie, wick_str text, uint32_t at)
{
    int32_t have;
    return wick_trie_longest(trie, text.p, text.n, &have) == text.n || wick_trie_add(trie, text.p, text.n, (int32_t)at);
}

static wick_status build_one(wick_tokenizer *t, wick_enc *e, uint32_t i, wick_err *err)
{
    wick_added_set *s = &t->added;
    wick_added *a = &s->v[i];
    wick_str text = a->text;
    bool first = true, ok;
    if (a->normalized) {
        WICK_TRY(wick_norm_run(e, t->norm, t->n_norm, a->text, true, &first, &text, err));
        ok = !text.n || add_pattern(&s->normalized, text, i);
        if (ok && !wick_str_eq(text, a->text)) { /* `tokenizers` decodes such a token to its normalized text */
            t->vocab.piece[a->id] = wick_tok_keep(t, text.p, text.n);
            ok = t->vocab.piece[a->id].p != NULL;
        }
        s->has_normalized |= text.n > 0;
    } else {
        ok = add_pattern(&s->raw, text, i);
        s->has_raw = true;
    }
    return ok ? WICK_OK : wick_err_oom(err, "added tokens", 0, 0);
}

wick_status wick_added_build(wick_tokenizer *t, const char *where, wick_err *err)
{
    wick_added_set *s = &t->added;
    wick_enc e = {.t = t};
    wick_status st = WICK_OK;
    for (int special = 1; special >= 0; special--)
        for (uint32_t i = 0; i < s->n && st == WICK_OK; i++)
            if (s->v[i].special == (special == 1)) st = build_one(t, &e, i, err);
    wick_buf_release(&e.norm[0]);
    wick_buf_release(&e.norm[1]);
    wick_buf_release(&e.scratch);
    wick_regex_run_release(&e.run);
    wick_free(e.code);
    if (st == WICK_E_LIMIT)
        st = WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: the normalizer takes too long on an added token", where);
    return st;
}

static bool word_before(const char *p, size_t at)
{
    uint32_t c;
    size_t k = 1;
    if (!at) return false;
    while (k < at && k < 4 && ((unsigned char)p[at - k] & 0xC0) == 0x80) k++;
    wick_utf8_next(p + at - k, k, &c);
    return wick_uni_word(c);
}

static bool word_after(const char *p, size_t n, size_t at)
{
    uint32_t c;
    if (at >= n) return false;
    wick_utf8_next(p + at, n - at, &c);
    return wick_uni_word(c);
}

static size_t spaces_before(const char *p, size_t at, size_t floor)
{
    while (at > floor) {
        uint32_t c;
        size_t k = 1;
        while (k < at && k < 4 && ((unsigned char)p[at - k] & 0xC0) == 0x80) k++;
        wick_utf8_next(p + at - k, k, &c);
        if (!wick_uni_space(c)) break;
        at -= k;
    }
    return at < floor ? floor : at;
}

static size_t spaces_after(const char *p, size_t n, size_t at)
{
    while (at < n) {
        uint32_t c;
        unsigned k = wick_utf8_next(p + at, n - at, &c);
        if (!wick_uni_space(c)) break;
        at += k;
    }
    return at;
}

static bool put(wick_parts *out, size_t from, size_t to, int32_t id, bool special)
{
    if (!wick_enc_room((void **)&out->v, &out->cap, out->n + 1, sizeof *out->v)) return false;
    out->v[out->n++] = (wick_text_part){(uint32_t)from, (uint32_t)(to - from), id, special};
    return true;
}

wick_status wick_added_split(const wick_added_set *s, const wick_trie *trie, const char *p, size_t n, bool plain,
                             wick_parts *out, wick_err *err)
{
    size_t from = 0, i = 0;
    out->n = 0;
    while (i < n) {
        int32_t which = -1;
        size_t k = wick_trie_longest(trie, p + i, n - i, &which);
        if (!k) {
            i++;
            continue;
        }
        const wick_added *a = &s->v[which];
        size_t start = i, stop = i + k;
        i = stop;
        if (plain && a->special) continue;
        if (a->single_word && (word_before(p, start) || word_after(p, n, stop))) continue;
        if (a->lstrip) start = start < from ? from : spaces_before(p, start, from);
        if (a->rstrip) stop = spaces_after(p, n, stop);
        if (stop <= start) continue; /* nothing but spaces that the token before has taken */
        if ((from < start && !put(out, from, start, -1, false)) || !put(out, start, stop, a->id, a->special))
            return wick_enc_oom(err);
        from = stop;
    }
    if (from < n && !put(out, from, n, -1, false)) return wick_enc_oom(err);
    return WICK_OK;
}
