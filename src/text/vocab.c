/* text/vocab.c - ids and pieces, the byte alphabet, and the small helpers that every loader uses. */
#include <stdio.h>
#include <string.h>
#include "text/tok.h"

bool wick_vocab_reserve(wick_vocab *v, uint32_t n, bool scores)
{
    if (scores && !v->score && !(v->score = wick_alloc_zero(v->cap ? v->cap : 1, sizeof *v->score))) return false;
    if (n <= v->cap) return true;
    wick_str *piece = wick_realloc_array(v->piece, n, sizeof *piece);
    if (!piece) return false;
    v->piece = piece;
    uint8_t *type = wick_realloc_array(v->type, n, 1);
    if (!type) return false;
    v->type = type;
    if (v->extra) {
        uint8_t *extra = wick_realloc_array(v->extra, n, 1);
        if (!extra) return false;
        v->extra = extra;
        memset(extra + v->cap, 0, n - v->cap);
    }
    if (v->score) {
        double *score = wick_realloc_array(v->score, n, sizeof *score);
        if (!score) return false;
        v->score = score;
        memset(score + v->cap, 0, (n - v->cap) * sizeof *score);
    }
    memset(piece + v->cap, 0, (n - v->cap) * sizeof *piece);
    memset(type + v->cap, WICK_TOKEN_UNUSED, n - v->cap);
    v->cap = n;
    return true;
}

bool wick_vocab_grow(wick_vocab *v, uint32_t n, bool scores)
{
    uint32_t cap = v->cap ? v->cap : 1024;
    while (cap < n) cap *= 2;
    if ((n > v->cap || (scores && !v->score)) && !wick_vocab_reserve(v, n > v->cap ? cap : 0, scores)) return false;
    if (n > v->n) v->n = n;
    return true;
}

void wick_vocab_release(wick_vocab *v)
{
    wick_free(v->piece);
    wick_free(v->type);
    wick_free(v->extra);
    wick_free(v->score);
    wick_map_release(&v->map);
    memset(v, 0, sizeof *v);
}

int32_t wick_vocab_find(const wick_vocab *v, const char *p, size_t n)
{
    if (!v->map.n) return -1;
    uint32_t id = wick_map_get(&v->map, (wick_str){p, n});
    return id == WICK_MAP_NONE ? -1 : (int32_t)id;
}

int32_t wick_vocab_find_own(const wick_vocab *v, const char *p, size_t n)
{
    int32_t id = wick_vocab_find(v, p, n);
    return id >= 0 && v->extra && v->extra[id] ? -1 : id;
}

void wick_vocab_byte_tokens(const wick_vocab *v, int32_t ids[256])
{
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)b & 0xFF);
        ids[b] = wick_vocab_find_own(v, name, 6);
    }
}

/* Printable Latin-1 stands for itself, the other bytes follow in order from U+0100. */
static bool stands_for_itself(unsigned b)
{
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

/* The bytes that do not, in order: 0-32, 127-160, 173. */
uint32_t wick_byte_char(uint8_t b)
{
    if (stands_for_itself(b)) return b;
    if (b <= 32) return 256u + b;
    if (b <= 160) return 256u + 33 + (b - 127u);
    return 256u + 67;
}

int wick_char_byte(uint32_t c)
{
    if (c < 256) return stands_for_itself(c) ? (int)c : -1;
    if (c <= 256 + 32) return (int)c - 256;
    if (c < 256 + 67) return (int)(c - 256 - 33 + 127);
    return c == 256 + 67 ? 173 : -1;
}

void wick_byte_level_encode(wick_buf *out, const char *p, size_t n)
{
    if (!wick_buf_reserve(out, 2 * n)) return;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = wick_byte_char((uint8_t)p[i]);
        char *q = out->data + out->n;
        if (c < 0x80) {
            q[0] = (char)c;
            out->n += 1;
        } else {
            q[0] = (char)(0xC0 | c >> 6);
            q[1] = (char)(0x80 | (c & 0x3F));
            out->n += 2;
        }
    }
    wick_buf_add(out, "", 0);
}

bool wick_byte_level_decode(wick_buf *out, const char *p, size_t n)
{
    if (!wick_buf_reserve(out, n)) return true;
    char *const from = out->data + out->n, *q = from;
    for (size_t i = 0; i < n; i++) {
        unsigned c = (unsigned char)p[i];
        if (c >= 33 && c <= 126) {
            *q++ = (char)c;
            continue;
        }
        int b = -1;
        if (c >= 0xC2 && c <= 0xC5 && i + 1 < n && ((unsigned char)p[i + 1] & 0xC0) == 0x80)
            b = wick_char_byte((c & 0x1F) << 6 | ((unsigned char)p[++i] & 0x3F));
        if (b < 0) {
            *from = 0;
            return false;
        }
        *q++ = (char)b;
    }
    *q = 0;
    out->n += (size_t)(q - from);
    return true;
}

wick_str wick_tok_keep(wick_tokenizer *t, const char *p, size_t n)
{
    char *s = wick_arena_alloc(&t->arena, n + 1);
    if (!s) return (wick_str){NULL, 0};
    if (n) memcpy(s, p, n);
    return (wick_str){s, n};
}

wick_status wick_tok_add_piece(wick_tokenizer *t, uint32_t id, wick_str piece, wick_token_type type, const char *where,
                               wick_err *err)
{
    return wick_tok_add_hashed(t, id, piece, wick_map_hash(piece), type, where, err);
}

wick_status wick_tok_add_hashed(wick_tokenizer *t, uint32_t id, wick_str piece, uint32_t hash, wick_token_type type,
                                const char *where, wick_err *err)
{
    if (id > WICK_TOK_MAX_ID)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: token id %u is above the limit of %d", where, id,
                         WICK_TOK_MAX_ID);
    if (!wick_vocab_grow(&t->vocab, id + 1, false)) return wick_err_oom(err, "the vocabulary", id, 0);
    if (t->vocab.piece[id].p)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: token id %u is given twice", where, id);
    if (wick_map_add_hashed(&t->vocab.map, piece, hash, id) == WICK_MAP_NONE)
        return wick_err_oom(err, "the vocabulary", id, 0);
    t->vocab.piece[id] = piece;
    t->vocab.type[id] = (uint8_t)type;
    return WICK_OK;
}

/* Lists of steps live in the arena as arrays of WICK_TOK_MAX_OPS, made at first use: no pointer to a step goes
 * stale. */
static void *add_op(wick_tokenizer *t, void **list, uint32_t *n, size_t size)
{
    if (!*list) *list = wick_arena_array(&t->arena, WICK_TOK_MAX_OPS, size);
    if (!*list || *n == WICK_TOK_MAX_OPS) return NULL;
    return (char *)*list + (*n)++ * size;
}

wick_norm *wick_tok_add_norm(wick_tokenizer *t, wick_normalizer_kind kind)
{
    wick_norm *op = add_op(t, (void **)&t->norm, &t->n_norm, sizeof *op);
    if (op) op->kind = kind;
    return op;
}

wick_pre *wick_tok_add_pre(wick_tokenizer *t, wick_pre_kind kind)
{
    wick_pre *op = add_op(t, (void **)&t->pre, &t->n_pre, sizeof *op);
    if (op) op->kind = kind;
    return op;
}

wick_dec *wick_tok_add_dec(wick_tokenizer *t, wick_dec_kind kind)
{
    wick_dec *op = add_op(t, (void **)&t->dec, &t->n_dec, sizeof *op);
    if (op) op->kind = kind;
    return op;
}

wick_status wick_tok_op_failed(uint32_t n_ops, const char *where, wick_err *err)
{
    if (n_ops >= WICK_TOK_MAX_OPS)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: more than %d steps in one list", where, WICK_TOK_MAX_OPS);
    return wick_err_oom(err, "the tokenizer", 0, 0);
}

/* A copy in the tokenizer's arena. */
static bool set_list(wick_tokenizer *t, int32_t **list, uint32_t *n_list, const int32_t *ids, uint32_t n)
{
    int32_t *p = wick_arena_array(&t->arena, n ? n : 1, sizeof *p);
    if (!p) return false;
    if (n) memcpy(p, ids, n * sizeof *p);
    *list = p;
    *n_list = n;
    return true;
}

bool wick_tok_set_post(wick_tokenizer *t, const int32_t *ids, uint32_t n)
{
    return set_list(t, &t->post, &t->n_post, ids, n);
}

bool wick_tok_set_pair(wick_tokenizer *t, const int32_t *ids, uint32_t n)
{
    return set_list(t, &t->pair, &t->n_pair, ids, n);
}
