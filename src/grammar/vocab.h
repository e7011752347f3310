/* grammar/vocab.h - the vocabulary as a trie of bytes in one array, walked with skips; and its slices.
 *
 * Nodes stand in the order of a depth-first walk, so a walk reads the array forwards and jumps over a subtree whose
 * first byte may not come. A slice is a set of tokens that text inside a JSON string allows whenever it allows some
 * number of characters whatever they are; its tokens need not be walked then, and a trie of all the others is there.
 */
#pragma once
#include "grammar/grammar.h"

typedef struct wick_gnode {
    uint32_t skip;  /* the next node that is not below this one */
    int32_t token;  /* one that ends here, -1: none; others with the same bytes follow in same[] */
    uint16_t depth; /* 1: first byte */
    uint8_t byte;
} wick_gnode;

typedef struct wick_gtrie {
    wick_gnode *node;
    uint32_t n;
} wick_gtrie;

enum { WICK_GVOCAB_HEAD = 32 /* free characters at a token's beginning that are told apart */ };
enum { WICK_GVOCAB_SLICES = 2, WICK_GVOCAB_MAX_TOKEN = 256 /* bytes; a longer token never matches */ };

struct wick_gvocab {
    uint32_t refs; /* atomic by the builtins */
    uint32_t n, n_words;
    uint32_t max_depth;
    uint32_t *off; /* [n + 1] into bytes */
    char *bytes;
    int32_t *same;
    bool *usable;     /* has bytes, and is no control token */
    int32_t *control; /* tokens that are marks: they have bytes too, and are no ends */
    uint32_t n_control;
    wick_gtrie all;
    struct {
        uint32_t chars; /* tokens of at most so many unescaped characters */
        uint64_t *bits;
        wick_gtrie rest;
    } slice[WICK_GVOCAB_SLICES];
    /* Where every free character leads back to the same state, a token is its end from the first other byte on. */
    struct {
        uint64_t *bits; /* tokens of free characters alone */
        wick_gtrie tails;
        int32_t *same;
    } loop;
    /* Where characters are only counted: tokens by the number of free characters that they begin with. */
    struct {
        uint8_t *head;                          /* [n]; of tokens that are in a trie below */
        uint64_t *bits;                         /* [HEAD + 1][n_words]: at most so many free characters, nothing else */
        wick_gtrie tails[WICK_GVOCAB_HEAD + 1]; /* by head: what follows, if it is no quote */
        wick_gtrie quotes;                      /* what follows, from a quote on, whatever the head */
        wick_gtrie longer;                      /* whole tokens that begin with more */
        int32_t *same;
    } counted;
    int32_t *ends;
    size_t n_ends;
    bool first_space; /* the tokenizer puts a space in front of a text, which decoding takes away */
};

static inline wick_str wick_gvocab_bytes(const wick_gvocab *v, int32_t id)
{
    return (wick_str){v->bytes + v->off[id], v->off[id + 1] - v->off[id]};
}
bool wick_gvocab_is_end(const wick_gvocab *v, int32_t id);
