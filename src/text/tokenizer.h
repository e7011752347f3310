/* text/tokenizer.h - text to token ids and back.
 *
 * A tokenizer is immutable after it is opened: any number of threads may encode and decode with it. Opened from
 * one of three sources; the ids are those of the Hugging Face `tokenizers` package (tokenizer.json), of
 * sentencepiece (tokenizer.model) or of llama.cpp (GGUF vocabularies).
 */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

typedef struct wick_tokenizer wick_tokenizer;

typedef enum wick_token_type {
    WICK_TOKEN_NORMAL,
    WICK_TOKEN_UNKNOWN,
    WICK_TOKEN_CONTROL /* special: never shown */,
    WICK_TOKEN_USER /* added, but ordinary text */,
    WICK_TOKEN_UNUSED,
    WICK_TOKEN_BYTE
} wick_token_type;

/* A vocabulary as arrays, for GGUF and for tests. Everything is borrowed during the call only. */
typedef struct wick_vocab_source {
    const char *model;      /* tokenizer.ggml.model: "gpt2", "llama", "bert", "t5", ... */
    const char *pre;        /* tokenizer.ggml.pre: "llama-bpe", "qwen2", ... or NULL; an unknown name is an error */
    const wick_str *tokens; /* [n] */
    const float *scores;    /* [n] or NULL */
    const int32_t *types;   /* [n] GGUF token types (1 normal .. 6 byte) or NULL */
    uint32_t n;
    const wick_str *merges; /* "a b" */
    uint32_t n_merges;
    int64_t bos, eos, unk, pad;             /* -1: none */
    int add_bos, add_eos, add_space_prefix; /* -1: not said */
    const void *charsmap;                   /* tokenizer.ggml.precompiled_charsmap or NULL ("t5") */
    size_t n_charsmap;
    int remove_extra_whitespaces; /* tokenizer.ggml.remove_extra_whitespaces: 0 not said or no, 1 yes ("t5") */
} wick_vocab_source;

wick_status wick_tokenizer_from_json(wick_tokenizer **out, const char *text, size_t n, const char *where,
                                     wick_err *err) WICK_MUST_CHECK;
wick_status wick_tokenizer_from_spm(wick_tokenizer **out, const void *proto, size_t n, const char *where,
                                    wick_err *err) WICK_MUST_CHECK;
wick_status wick_tokenizer_from_vocab(wick_tokenizer **out, const wick_vocab_source *v, const char *where,
                                      wick_err *err) WICK_MUST_CHECK;
/* A model folder: tokenizer.json, else tokenizer.model (tiktoken files too where present), with tokenizer_config.json
 * and special_tokens_map.json (bos/eos tokens, add_bos_token, extra added tokens). WICK_E_MODEL_NOT_FOUND if it has
 * none. */
wick_status wick_tokenizer_open_dir(wick_tokenizer **out, const char *dir, wick_err *err) WICK_MUST_CHECK;
void wick_tokenizer_free(wick_tokenizer *t);

enum {
    WICK_ENC_NO_SPECIAL = 1 /* do not add bos/eos or the post-processor's tokens */,
    WICK_ENC_PLAIN_TEXT = 2 /* do not recognise special tokens in the text either */
};
/* Appends ids to the array in *ids (wick_realloc'ed; start with NULL, 0). Any bytes are valid input: invalid UTF-8 is
 * replaced as Python's errors="replace" does. */
wick_status wick_tokenizer_encode(const wick_tokenizer *t, const char *text, size_t n, unsigned flags, int32_t **ids,
                                  size_t *n_ids, wick_err *err) WICK_MUST_CHECK;
/* A pair of texts, as models that compare two want it ([CLS] a [SEP] b [SEP]); `b` loses its end where the whole would
 * be longer than `most` ids. *second: where b begins among the ids of this call. Control tokens are not recognised in
 * the texts. WICK_E_LIMIT where a alone leaves no room. */
wick_status wick_tokenizer_encode_pair(const wick_tokenizer *t, wick_str a, wick_str b, uint32_t most, int32_t **ids,
                                       size_t *n_ids, uint32_t *second, wick_err *err) WICK_MUST_CHECK;
/* Ids to bytes; ids out of range are an error. skip_special leaves out control tokens. Equal to tokenizers' decode(),
 * clean-up included where tokenizer.json's decoder does it. */
wick_status wick_tokenizer_decode(const wick_tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                                  wick_buf *out, wick_err *err) WICK_MUST_CHECK;

uint32_t wick_tokenizer_size(const wick_tokenizer *t); /* highest id + 1 */
wick_token_type wick_tokenizer_type(const wick_tokenizer *t, int32_t id);
wick_str wick_tokenizer_piece(const wick_tokenizer *t,
                              int32_t id); /* as the vocabulary writes it; {NULL,0} for a hole */
/* The bytes that the token stands for in running text (byte-level mapping undone, "▁" as space); control tokens give
 * their text. Appends to out. This is what constraints and logprobs use. */
void wick_tokenizer_bytes(const wick_tokenizer *t, int32_t id, wick_buf *out);
int32_t wick_tokenizer_find(const wick_tokenizer *t, const char *piece, size_t n); /* -1 if absent */
int32_t wick_tokenizer_bos(const wick_tokenizer *t);                               /* -1: none */
int32_t wick_tokenizer_eos(const wick_tokenizer *t);
/* Ids that end a generation: what the files name and what is known by its text, each once; how many. cap >= 64. */
uint32_t wick_tokenizer_ends(const wick_tokenizer *t, int32_t *out, uint32_t cap);
/* The token that ends a message but not the answer, in vocabularies that have tokens for both (harmony); -1: none. */
int32_t wick_tokenizer_message_end(const wick_tokenizer *t);

/* Streaming: tokens in, text out, never part of a character. Not thread-safe; one per stream. */
typedef struct wick_detok wick_detok;
wick_status wick_detok_new(wick_detok **out, const wick_tokenizer *t, bool skip_special, wick_err *err) WICK_MUST_CHECK;
void wick_detok_free(wick_detok *d);
/* Appends the text that is now certain to out (may be nothing). */
wick_status wick_detok_push(wick_detok *d, int32_t id, wick_buf *out, wick_err *err) WICK_MUST_CHECK;
/* The end: what was held back comes out, cut characters as U+FFFD. All pushes and the flush together equal decode(). */
void wick_detok_flush(wick_detok *d, wick_buf *out);
