/* text/unigram.c - the Unigram model: the best path through all pieces that occur in a word.
 *
 * One pass from left to right keeps, for each byte offset, the best score of a path that ends there. `tokenizers`
 * adds in double; sentencepiece in float (model.f32), starting from zero again where a score falls below -100,000 so
 * that long texts keep their precision, and it prefers user-defined symbols.
 */
#include <float.h>
#include <string.h>
#include "text/tok.h"

static const double unk_penalty = 10.0; /* both packages: below the worst piece by this much */
static const float rebase_below = -100000.0F;

static void reach(wick_lattice_node *to, double score, size_t from, int32_t id)
{
    if (to->from == UINT32_MAX || score > to->score)
        *to = (wick_lattice_node){.score = score, .from = (uint32_t)from, .id = id};
}

static void forward(const wick_enc *e, wick_lattice_node *node, const char *p, size_t n)
{
    const wick_tok_model *m = &e->t->model;
    const double *score = e->t->vocab.score;
    for (size_t i = 0; i < n;) {
        uint32_t c, at = 0;
        unsigned k = wick_utf8_next(p + i, n - i, &c);
        const double here = node[i].score;
        bool single = false;
        for (size_t j = i; j < n; j++) {
            at = wick_trie_step(&m->trie, at, (uint8_t)p[j]);
            if (!at) break;
            int32_t id = wick_trie_value(&m->trie, at);
            if (id < 0) continue;
            reach(&node[j + 1], score[id] + here, i, id);
            single |= j + 1 - i == k;
        }
        if (!single) reach(&node[i + k], m->min_score - unk_penalty + here, i, -1);
        i += k;
    }
}

static void reach_f32(wick_lattice_node *to, float score, size_t from, int32_t id)
{
    if (to->from == UINT32_MAX || score > to->f32)
        *to = (wick_lattice_node){.f32 = score, .from = (uint32_t)from, .id = id};
}

/* Scores from node i on become relative to that of node i; `far` is the last node that a path has reached. */
static void rebase(wick_lattice_node *node, size_t i, size_t far)
{
    const float base = node[i].f32;
    for (size_t j = i; j <= far; j++)
        if (node[j].from != UINT32_MAX) node[j].f32 -= base;
}

static void forward_f32(const wick_enc *e, wick_lattice_node *node, const char *p, size_t n)
{
    const wick_tok_model *m = &e->t->model;
    const float unk_score = (float)m->min_score - (float)unk_penalty;
    size_t far = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c, at = 0;
        unsigned k = wick_utf8_next(p + i, n - i, &c);
        if (node[i].f32 < rebase_below) rebase(node, i, far);
        const float here = node[i].f32;
        bool single = false;
        for (size_t j = i; j < n; j++) {
            at = wick_trie_step(&m->trie, at, (uint8_t)p[j]);
            if (!at) break;
            int32_t id = wick_trie_value(&m->trie, at);
            if (id < 0) continue;
            reach_f32(&node[j + 1], m->scores_f32[id] + here, i, id);
            single |= j + 1 - i == k;
            if (j + 1 > far) far = j + 1;
        }
        if (!single) {
            if (i + k > far) far = i + k;
            reach_f32(&node[i + k], unk_score + here, i, -1);
        }
        i += k;
    }
}

bool wick_unigram_scores(wick_tokenizer *t)
{
    wick_tok_model *m = &t->model;
    float *out = wick_realloc_array(NULL, t->vocab.n ? t->vocab.n : 1, sizeof *out);
    if (!out) return false;
    for (uint32_t id = 0; id < t->vocab.n; id++) {
        double bonus = (double)((float)t->vocab.piece[id].n * (float)m->max_score) - 0.1;
        out[id] = (float)(t->vocab.type[id] == WICK_TOKEN_USER ? bonus : t->vocab.score[id]);
    }
    m->scores_f32 = out;
    return true;
}

/* A stretch that no piece covers: bytes, or the unknown token. */
static wick_status put_unknown(wick_enc *e, const char *p, size_t n, bool *after_unk, wick_err *err)
{
    const wick_tok_model *m = &e->t->model;
    int32_t id = m->f32 ? -1 : wick_vocab_find_own(&e->t->vocab, p, n);
    bool bytes = m->byte_fallback;
    if (id >= 0) return wick_enc_id(e, id) ? WICK_OK : wick_enc_oom(err); /* "<unk>" itself, alone */
    for (size_t i = 0; bytes && i < n; i++) bytes = m->bytes[(uint8_t)p[i]] >= 0;
    if (bytes) {
        for (size_t i = 0; i < n; i++)
            if (!wick_enc_id(e, m->bytes[(uint8_t)p[i]])) return wick_enc_oom(err);
        return WICK_OK;
    }
    if (m->unk < 0)
        return WICK_FAIL(err, WICK_E_BAD_FILE, NULL, "the tokenizer has no unknown token, and the text needs one");
    if (*after_unk && m->fuse_unk) return WICK_OK;
    *after_unk = true;
    return wick_enc_id(e, m->unk) ? WICK_OK : wick_enc_oom(err);
}

wick_status wick_unigram_word(wick_enc *e, const char *p, size_t n, wick_err *err)
{
    if (!wick_enc_room((void **)&e->lattice, &e->lattice_cap, n + 1, sizeof *e->lattice)) return wick_enc_oom(err);
    wick_lattice_node *node = e->lattice;
    for (size_t i = 0; i <= n; i++) node[i] = (wick_lattice_node){.score = 0, .from = UINT32_MAX, .id = -1};
    if (e->t->model.f32)
        forward_f32(e, node, p, n);
    else
        forward(e, node, p, n);
    size_t k = 0;
    for (size_t end = n; end > 0; end = node[end].from) {
        if (!wick_enc_room((void **)&e->backs, &e->backs_cap, k + 1, sizeof *e->backs)) return wick_enc_oom(err);
        e->backs[k++] = (uint32_t)end;
    }
    const bool f32 = e->t->model.f32;
    const int32_t unk = e->t->model.unk;
    bool after_unk = false;
    while (k--) {
        const wick_lattice_node *at = &node[e->backs[k]];
        if (at->id >= 0 && (f32 || at->id != unk)) {
            after_unk = false;
            if (!wick_enc_id(e, at->id)) return wick_enc_oom(err);
            continue;
        }
        /* `tokenizers` joins what is unknown, the unknown piece in the text too, and looks at the whole of it */
        while (!f32 && k && (node[e->backs[k - 1]].id < 0 || node[e->backs[k - 1]].id == unk)) k--;
        WICK_TRY(put_unknown(e, p + at->from, e->backs[k] - at->from, &after_unk, err));
    }
    return WICK_OK;
}
