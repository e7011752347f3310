/* text/wordpiece.c - WordPiece (greedy longest match, BERT) and WordLevel (the word is the piece). */
#include "text/tok.h"

static wick_status unknown(wick_enc *e, wick_err *err)
{
    if (e->t->model.unk < 0)
        return WICK_FAIL(err, WICK_E_BAD_FILE, NULL, "the tokenizer has no unknown token, and the text needs one");
    return wick_enc_id(e, e->t->model.unk) ? WICK_OK : wick_enc_oom(err);
}

/* The longest piece that starts at p + from: its length, 0 if none. */
static size_t longest(wick_enc *e, const char *p, size_t from, size_t n, int32_t *id)
{
    const wick_tok_model *m = &e->t->model;
    wick_buf *b = &e->scratch;
    wick_buf_reset(b);
    if (from) wick_buf_add(b, m->prefix.p, m->prefix.n);
    size_t extra = b->n;
    wick_buf_add(b, p + from, n - from);
    if (b->failed) return 0;
    for (size_t end = n; end > from; end--) {
        if (end < n && ((unsigned char)p[end] & 0xC0) == 0x80) continue;
        *id = wick_vocab_find_own(&e->t->vocab, b->data, extra + end - from);
        if (*id >= 0) return end - from;
    }
    return 0;
}

wick_status wick_wordpiece_word(wick_enc *e, const char *p, size_t n, wick_err *err)
{
    const wick_tok_model *m = &e->t->model;
    size_t chars = 0, before = e->n;
    int32_t id = -1;
    if (m->kind == MODEL_WORDLEVEL) {
        id = wick_vocab_find_own(&e->t->vocab, p, n);
        if (id < 0) return unknown(e, err);
        return wick_enc_id(e, id) ? WICK_OK : wick_enc_oom(err);
    }
    for (size_t i = 0; i < n; i++) chars += ((unsigned char)p[i] & 0xC0) != 0x80;
    if (chars > m->max_chars) return unknown(e, err);
    for (size_t i = 0; i < n;) {
        size_t k = longest(e, p, i, n, &id);
        if (e->scratch.failed) return wick_enc_oom(err);
        if (!k) {
            e->n = before;
            return unknown(e, err);
        }
        if (!wick_enc_id(e, id)) return wick_enc_oom(err);
        i += k;
    }
    return WICK_OK;
}
