/* text/tok.h - the inside of a tokenizer, shared by the files of this folder and by nobody else.
 *
 * A tokenizer is five lists run one after the other: added tokens split the text, normalizers rewrite each part,
 * pre-tokenizers cut it into words, the model turns a word into ids, post-processor items surround them. A sixth
 * list, the decoder steps, goes back. Every source (tokenizer.json, tokenizer.model, GGUF, tiktoken) only fills
 * these lists; encode.c and decode.c run them.
 *
 * Invariants:
 *  1. After loading, everything here is read-only; what a run needs to write is in wick_enc or wick_detok.
 *  2. Text between the stages is valid UTF-8, except between a byte-level cut and the model (raw bytes of it).
 *  3. Every id in any list is below vocab.n <= WICK_TOK_MAX_ID + 1.
 */
#pragma once
#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/status.h"
#include "base/str.h"
#include "text/regex.h"
#include "text/tokenizer.h"
#include "text/trie.h"
#include "text/charsmap.h"

enum {
    WICK_TOK_MAX_ID = (1 << 24) - 1, /* real vocabularies stay below 300k; bounds every table by id */
    WICK_TOK_MAX_OPS = 256,          /* steps of one list, nested sequences flattened */
    WICK_TOK_MAX_DEPTH = 16,         /* nesting of Sequence */
    WICK_TOK_MAX_PIECE = 1 << 16     /* bytes of one piece */
};

/* ---- vocabulary ---- */
typedef struct wick_vocab {
    wick_str *piece; /* [n], {NULL,0} for a hole; strings live in the tokenizer's arena or blob */
    uint8_t *type;   /* [n] wick_token_type */
    uint8_t *extra;  /* [n] 1: an added token that is no piece of the model; NULL: there is none */
    double *score;   /* [n] or NULL */
    uint32_t n, cap;
    uint32_t n_model; /* entries of the model's own vocabulary: where added tokens begin to count */
    wick_map map;     /* piece -> id */
} wick_vocab;

bool wick_vocab_reserve(wick_vocab *v, uint32_t n, bool scores); /* room for ids 0..n-1, nothing more */
bool wick_vocab_grow(wick_vocab *v, uint32_t n, bool scores);    /* makes ids 0..n-1 exist */
void wick_vocab_release(wick_vocab *v);
int32_t wick_vocab_find(const wick_vocab *v, const char *p, size_t n);
int32_t wick_vocab_find_own(const wick_vocab *v, const char *p, size_t n); /* the model's pieces only */
/* Ids of <0x00>..<0xFF>, -1 where missing. */
void wick_vocab_byte_tokens(const wick_vocab *v, int32_t ids[256]);

/* ---- spans of a text ---- */
typedef struct wick_span {
    uint32_t off, len;
    bool first; /* begins where the whole input begins: Metaspace asks */
} wick_span;

typedef struct wick_spans {
    wick_span *v;
    size_t n, cap;
    bool failed; /* sticky out of memory */
} wick_spans;

void wick_spans_add(wick_spans *s, uint32_t off, uint32_t len, bool first); /* ignores empty spans */
void wick_spans_release(wick_spans *s);

/* ---- normalizers ---- */
typedef enum wick_normalizer_kind {
    NORM_NFC,
    NORM_NFD,
    NORM_NFKC,
    NORM_NFKD,
    NORM_LOWER,
    NORM_REPLACE,
    NORM_PREPEND,
    NORM_STRIP,
    NORM_STRIP_ACCENTS,
    NORM_BERT,
    NORM_CHARSMAP,
    NORM_NMT,
    NORM_BYTE_LEVEL,
    NORM_SPM,       /* sentencepiece's own normalizer, all of it */
    NORM_GGUF_SPACE /* llama.cpp: " " to U+2581, one in front */
} wick_normalizer_kind;

typedef struct wick_norm {
    wick_normalizer_kind kind;
    wick_str find, with;                               /* REPLACE; PREPEND: with */
    wick_regex *regex;                                 /* REPLACE by pattern, else NULL */
    wick_charsmap map;                                 /* CHARSMAP, SPM */
    wick_trie *user;                                   /* SPM: user-defined symbols pass untouched; borrowed */
    bool left, right;                                  /* STRIP */
    bool clean, chinese, accents, lower;               /* BERT */
    bool dummy_prefix, squeeze, escape, suffix_spaces; /* SPM: add_dummy_prefix, remove_extra_whitespaces, ... */
} wick_norm;

/* ---- pre-tokenizers ---- */
typedef enum wick_pre_kind {
    PRE_SPLIT,
    PRE_METASPACE,
    PRE_DIGITS,
    PRE_PUNCTUATION,
    PRE_WHITESPACE_SPLIT,
    PRE_BERT,
    PRE_SCRIPTS,
    PRE_CHAR,
    PRE_FIXED_LENGTH,
    PRE_BYTE_LEVEL,
    PRE_SAFE_CUTS /* cut where the model never merges: cuts.c */
} wick_pre_kind;
typedef enum wick_split_how {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_WITH_PREVIOUS,
    SPLIT_WITH_NEXT,
    SPLIT_CONTIGUOUS
} wick_split_how;
typedef enum wick_prepend { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS } wick_prepend;

typedef struct wick_cuts { /* see cuts.c */
    uint64_t *joins, *known;
    uint32_t log_bits;
    bool drops; /* characters may vanish: their neighbours become each other's */
} wick_cuts;

typedef struct wick_pre {
    wick_pre_kind kind;
    wick_regex *regex; /* SPLIT; BYTE_LEVEL with its pattern, else NULL */
    wick_split_how how;
    bool invert;
    bool flag; /* METASPACE: split; DIGITS: individual; BYTE_LEVEL: add_prefix_space */
    wick_prepend prepend;
    wick_str with;   /* METASPACE: the replacement; CHAR: the delimiter */
    uint32_t length; /* FIXED_LENGTH */
    const wick_cuts *cuts;
} wick_pre;

/* ---- models ---- */
typedef enum wick_tok_model_kind {
    MODEL_BPE,
    MODEL_SCORED_BPE,
    MODEL_UNIGRAM,
    MODEL_WORDPIECE,
    MODEL_WORDLEVEL
} wick_tok_model_kind;

typedef struct wick_merge {
    uint64_t key; /* left id << 32 | right id; UINT64_MAX: empty */
    uint32_t rank, id;
} wick_merge;

/* What two neighbours make; rank: smaller first, UINT32_MAX: nothing. */
typedef struct wick_join {
    uint32_t rank, id;
} wick_join;

typedef struct wick_tok_model {
    wick_tok_model_kind kind;
    wick_merge *merges; /* BPE: open addressing */
    uint32_t merges_mask;
    wick_join *byte_pairs; /* byte_level, raw_bytes: what two single bytes make, [256 * 256] */
    int32_t *char_ids;     /* BPE over characters: own pieces of one character below U+10000, -1 where none; or NULL */
    bool byte_level;       /* words arrive as raw bytes; the vocabulary writes them in the byte alphabet */
    bool raw_bytes;        /* SCORED_BPE: symbols are bytes, pieces are byte strings (tiktoken) */
    bool whole_first;      /* a word that is a piece is that piece: ignore_merges, tiktoken */
    bool byte_fallback, fuse_unk;
    bool f32;                /* UNIGRAM: sentencepiece's float arithmetic instead of double */
    bool cache;              /* words repeat: remember their ids within one call */
    int32_t unk;             /* -1: none */
    int32_t bytes[256];      /* byte fallback, or the byte's own symbol for byte_level and raw_bytes */
    wick_str prefix, suffix; /* continuing_subword_prefix, end_of_word_suffix */
    uint32_t max_chars;      /* WORDPIECE */
    double min_score, max_score;
    float *scores_f32; /* UNIGRAM with f32: by id, user-defined symbols with their bonus */
    wick_trie trie;    /* UNIGRAM: all pieces */
    wick_trie user;    /* sentencepiece: user-defined symbols */
    bool has_user;
    bool has_unused; /* SCORED_BPE: some pieces only exist to be merged through */
} wick_tok_model;

/* ---- added tokens ---- */
typedef struct wick_added {
    wick_str text; /* as written */
    int32_t id;
    bool special, single_word, lstrip, rstrip, normalized;
} wick_added;

typedef struct wick_added_set {
    wick_added *v;
    uint32_t n, cap;
    wick_trie raw, normalized; /* values: index into v */
    bool has_raw, has_normalized;
} wick_added_set;

/* ---- decoder ---- */
typedef enum wick_dec_kind {
    DEC_BYTE_LEVEL,
    DEC_METASPACE,
    DEC_BYTE_FALLBACK,
    DEC_FUSE,
    DEC_STRIP,
    DEC_REPLACE,
    DEC_WORDPIECE,
    DEC_BPE,
    DEC_CTC,
    DEC_JOIN, /* tokenizer.json without a decoder: spaces between tokens */
    DEC_SPM   /* sentencepiece's own */
} wick_dec_kind;

typedef struct wick_dec {
    wick_dec_kind kind;
    wick_str a,
        /* REPLACE: find, with; METASPACE: replacement; WORDPIECE: prefix; BPE: suffix; STRIP: character; CTC: pad,
         * delimiter */
        b;
    wick_regex *regex;
    bool flag;    /* METASPACE: first token loses its marks; WORDPIECE, CTC: cleanup; SPM: first token loses one mark */
    bool squeeze; /* SPM: every leading mark goes */
    uint32_t start, stop;
} wick_dec;

struct wick_tokenizer {
    wick_arena arena;
    char *blob; /* pieces decoded from JSON, one block */
    wick_vocab vocab;
    wick_tok_model model;
    wick_norm *norm;
    wick_pre *pre;
    wick_dec *dec;
    int32_t *post; /* ids, and -1 where the text goes */
    int32_t *pair; /* the same for two texts: -1 and -2 */
    uint32_t n_norm, n_pre, n_dec, n_post, n_pair;
    wick_added_set added;
    bool prefix_first_only; /* SPM normalizer and GGUF_SPACE: a prefix only at the start, or after a special token */
    bool prefix_after_special;
    int32_t bos, eos, pad;
    int32_t named_end[4]; /* what the files beside the tokenizer call eos_token, where they disagree */
    uint32_t n_named_ends;
};

/* ---- one run of encode ---- */
typedef struct wick_sym {
    uint32_t off, len; /* in the word; len 0: merged away */
    int32_t prev, next;
    int32_t id;
    bool frozen;
} wick_sym;
typedef struct wick_heap_item {
    uint64_t order; /* smaller first: rank, then the left symbol */
    uint32_t len;   /* of the pair when it was found */
    uint32_t id;    /* what it makes */
} wick_heap_item;

static inline uint32_t wick_heap_left(const wick_heap_item *h)
{
    return (uint32_t)h->order;
}
typedef struct wick_lattice_node {
    union {
        double score;
        float f32;
    };
    uint32_t from;
    int32_t id;
} wick_lattice_node;

typedef struct wick_enc {
    const wick_tokenizer *t;
    int32_t *ids;
    size_t n, cap;
    wick_buf norm[2]; /* normalizers write from one into the other */
    wick_buf text[2]; /* pre-tokenizers that change text likewise */
    wick_spans spans[2];
    wick_buf scratch;
    wick_regex_run run;
    wick_sym *sym;
    size_t sym_cap;
    wick_heap_item *heap;
    size_t heap_n, heap_cap;
    wick_lattice_node *lattice;
    size_t lattice_cap;
    uint32_t *backs;
    size_t backs_cap;
    struct wick_word_cache *words;
    int32_t *code; /* code points for utf8proc */
    size_t code_cap;
} wick_enc;

/* run.c */
bool wick_enc_id(wick_enc *e, int32_t id); /* false: out of memory */
/* *p has room for `want` items of `size` bytes afterwards; contents kept. */
bool wick_enc_room(void **p, size_t *cap, size_t want, size_t size);
wick_status wick_enc_oom(wick_err *err);
void wick_heap_push(wick_enc *e, wick_heap_item item); /* room must be there */
wick_heap_item wick_heap_pop(wick_enc *e);

/* Result in *out (borrowed from e or from the input); *first is cleared when the first characters went away. */
wick_status wick_norm_run(wick_enc *e, const wick_norm *ops, uint32_t n_ops, wick_str in, bool prefix, bool *first,
                          wick_str *out, wick_err *err) WICK_MUST_CHECK;
/* Words of in; *text is where the spans of *out point into. */
wick_status wick_pre_run(wick_enc *e, wick_str in, bool first, const char **text, const wick_spans **out,
                         wick_err *err) WICK_MUST_CHECK;
wick_status wick_model_word(wick_enc *e, const char *p, size_t n, wick_err *err) WICK_MUST_CHECK;
wick_status wick_bpe_word(wick_enc *e, const char *p, size_t n, wick_err *err) WICK_MUST_CHECK;
wick_status wick_scored_bpe_word(wick_enc *e, const char *p, size_t n, wick_err *err) WICK_MUST_CHECK;
wick_status wick_unigram_word(wick_enc *e, const char *p, size_t n, wick_err *err) WICK_MUST_CHECK;
wick_status wick_wordpiece_word(wick_enc *e, const char *p, size_t n, wick_err *err) WICK_MUST_CHECK;
bool wick_unigram_scores(wick_tokenizer *t); /* scores_f32; false: out of memory */

void wick_word_cache_free(struct wick_word_cache *c);

/* ---- loading ---- */
/* An empty tokenizer with no bos, eos, unk. */
wick_tokenizer *wick_tok_new(void);
/* Copies the bytes into the arena; {NULL,0} when out of memory. */
wick_str wick_tok_keep(wick_tokenizer *t, const char *p, size_t n);
wick_status wick_tok_add_piece(wick_tokenizer *t, uint32_t id, wick_str piece, wick_token_type type, const char *where,
                               wick_err *err) WICK_MUST_CHECK;
wick_status wick_tok_add_hashed(wick_tokenizer *t, uint32_t id, wick_str piece, uint32_t hash, wick_token_type type,
                                const char *where, wick_err *err) WICK_MUST_CHECK; /* hash: wick_map_hash(piece) */
/* Appends an op to a list of the tokenizer; NULL when out of memory or past WICK_TOK_MAX_OPS. */
wick_norm *wick_tok_add_norm(wick_tokenizer *t, wick_normalizer_kind kind);
wick_pre *wick_tok_add_pre(wick_tokenizer *t, wick_pre_kind kind);
wick_dec *wick_tok_add_dec(wick_tokenizer *t, wick_dec_kind kind);
wick_status wick_tok_op_failed(uint32_t n_ops, const char *where, wick_err *err);
bool wick_tok_set_post(wick_tokenizer *t, const int32_t *ids, uint32_t n);
bool wick_tok_set_pair(wick_tokenizer *t, const int32_t *ids, uint32_t n);
/* Merge table of n entries at most; then add with ranks; a later one replaces an earlier one. */
bool wick_merges_init(wick_tok_model *m, uint32_t n);
void wick_merges_add(wick_tok_model *m, int32_t a, int32_t b, uint32_t rank, uint32_t id);
void wick_merges_will_need(const wick_tok_model *m, int32_t a, int32_t b);
wick_status wick_cuts_build(wick_tokenizer *t, wick_err *err) WICK_MUST_CHECK;
void wick_cuts_run(const wick_cuts *c, const char *p, wick_span s, wick_spans *out);
bool wick_bpe_tables(wick_tokenizer *t);        /* byte_pairs, char_ids; false: out of memory */
bool wick_scored_bpe_tables(wick_tokenizer *t); /* byte_pairs of raw_bytes */
const wick_merge *wick_merges_find(const wick_tok_model *m, int32_t a, int32_t b);
/* Adds an added token as `tokenizers` does: the id of the piece if it exists, else the next free one. */
wick_status wick_added_put(wick_tokenizer *t, const wick_added *a, const char *where, wick_err *err) WICK_MUST_CHECK;
/* Builds the two tries; call once after the normalizers are there. */
wick_status wick_added_build(wick_tokenizer *t, const char *where, wick_err *err) WICK_MUST_CHECK;
/* A text that ends a generation whatever the type of its token is (ends.c). */
bool wick_tok_end_text(wick_str s);
/* Parts of text: token spans carry their id in ids[] (-1 for text). */
typedef struct wick_text_part {
    uint32_t off, len;
    int32_t id;
    bool special;
} wick_text_part;
typedef struct wick_parts {
    wick_text_part *v;
    size_t n, cap;
} wick_parts;
wick_status wick_added_split(const wick_added_set *s, const wick_trie *trie, const char *p, size_t n, bool plain,
                             wick_parts *out, wick_err *err) WICK_MUST_CHECK;
/* Last steps common to all sources: byte tables, tries, fast paths, kind. */
wick_status wick_tok_finish(wick_tokenizer *t, const char *where, wick_err *err) WICK_MUST_CHECK;

/* The byte alphabet of GPT-2: each byte as a printable character. */
uint32_t wick_byte_char(uint8_t b);
int wick_char_byte(uint32_t cp); /* -1: not in the alphabet */
void wick_byte_level_encode(wick_buf *out, const char *p, size_t n);
/* False if some character is outside the alphabet; nothing is written then. */
bool wick_byte_level_decode(wick_buf *out, const char *p, size_t n);
