/* text/tokenizer.c - the handle: birth, death, questions about ids, and the last steps of every loader. */
#include <string.h>
#include "text/tok.h"

wick_tokenizer *wick_tok_new(void)
{
    wick_tokenizer *t = wick_alloc_zero(1, sizeof *t);
    if (!t) return NULL;
    wick_arena_init(&t->arena, 0);
    wick_map_init(&t->vocab.map);
    t->bos = t->eos = t->pad = t->model.unk = -1;
    for (int b = 0; b < 256; b++) t->model.bytes[b] = -1;
    return t;
}

void wick_tokenizer_free(wick_tokenizer *t)
{
    if (!t) return;
    for (uint32_t i = 0; i < t->n_norm; i++) wick_regex_free(t->norm[i].regex);
    for (uint32_t i = 0; i < t->n_pre; i++) wick_regex_free(t->pre[i].regex);
    for (uint32_t i = 0; i < t->n_dec; i++) wick_regex_free(t->dec[i].regex);
    wick_trie_release(&t->model.trie);
    wick_trie_release(&t->model.user);
    wick_trie_release(&t->added.raw);
    wick_trie_release(&t->added.normalized);
    wick_free(t->added.v);
    wick_free(t->model.merges);
    wick_free(t->model.byte_pairs);
    wick_free(t->model.scores_f32);
    wick_free(t->model.char_ids);
    wick_vocab_release(&t->vocab);
    wick_arena_release(&t->arena);
    wick_free(t->blob);
    wick_free(t);
}

/* Whether a token is special is a matter of its text: a repeated piece is what the found one is. */
static void level_repeated_types(wick_vocab *v)
{
    if (v->map.n == v->n) return;
    for (uint32_t id = 0; id < v->n; id++) {
        int32_t found = v->piece[id].p ? wick_vocab_find(v, v->piece[id].p, v->piece[id].n) : -1;
        if (found >= 0 && (uint32_t)found != id && v->type[found] == WICK_TOKEN_CONTROL)
            v->type[id] = WICK_TOKEN_CONTROL;
    }
}

wick_status wick_tok_finish(wick_tokenizer *t, const char *where, wick_err *err)
{
    wick_tok_model *m = &t->model;
    wick_vocab *v = &t->vocab;
    bool plain_chars = !m->prefix.n && !m->suffix.n;
    m->byte_level = m->kind == MODEL_BPE && plain_chars && !m->byte_fallback && t->n_pre &&
                    t->pre[t->n_pre - 1].kind == PRE_BYTE_LEVEL;
    if (m->byte_level) {
        for (int b = 0; b < 256; b++) {
            char s[4];
            m->bytes[b] = wick_vocab_find_own(v, s, wick_utf8_encode(wick_byte_char((uint8_t)b), s));
        }
    } else if (m->byte_fallback) {
        wick_vocab_byte_tokens(v, m->bytes);
        for (int b = 0; b < 256; b++)
            if (m->bytes[b] >= 0 && v->type[m->bytes[b]] == WICK_TOKEN_NORMAL) v->type[m->bytes[b]] = WICK_TOKEN_BYTE;
    }
    if (m->unk >= 0 && v->type[m->unk] == WICK_TOKEN_NORMAL) v->type[m->unk] = WICK_TOKEN_UNKNOWN;
    bool by_chars = (m->kind == MODEL_BPE && plain_chars && !m->byte_level && !m->whole_first) ||
                    (m->kind == MODEL_SCORED_BPE && !m->raw_bytes);
    if (by_chars) WICK_TRY(wick_cuts_build(t, err));
    if (!wick_bpe_tables(t)) return wick_err_oom(err, "the merges", v->n, 0);
    m->cache = t->n_pre > 0;
    if (m->kind == MODEL_UNIGRAM && (!wick_trie_pack(&m->trie) || (m->f32 && !wick_unigram_scores(t))))
        return wick_err_oom(err, "the vocabulary", v->n, 0);
    level_repeated_types(v);
    return wick_added_build(t, where, err);
}

uint32_t wick_tokenizer_size(const wick_tokenizer *t)
{
    return t->vocab.n;
}

static bool known(const wick_tokenizer *t, int32_t id)
{
    return id >= 0 && (uint32_t)id < t->vocab.n && t->vocab.piece[id].p;
}

wick_token_type wick_tokenizer_type(const wick_tokenizer *t, int32_t id)
{
    return known(t, id) ? (wick_token_type)t->vocab.type[id] : WICK_TOKEN_UNUSED;
}

wick_str wick_tokenizer_piece(const wick_tokenizer *t, int32_t id)
{
    return known(t, id) ? t->vocab.piece[id] : (wick_str){NULL, 0};
}

int32_t wick_tokenizer_find(const wick_tokenizer *t, const char *piece, size_t n)
{
    return wick_vocab_find(&t->vocab, piece, n);
}

int32_t wick_tokenizer_bos(const wick_tokenizer *t)
{
    return t->bos;
}

int32_t wick_tokenizer_eos(const wick_tokenizer *t)
{
    return t->eos;
}
