/* text/patterns.h - private: the pre-tokenizer patterns behind GGUF's tokenizer.ggml.pre names and tiktoken files. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef struct wick_pattern {
    const char *const *regex; /* applied one after the other, NULL at the end */
    bool whole_first;         /* a word that is a piece is that piece */
    bool add_bos;             /* unless the file says otherwise */
    bool spaced;              /* no byte alphabet: spaces as U+2581, merges over text (gemma 4) */
    bool nfc;
    bool words; /* no byte alphabet either: words between spaces, which are dropped */
} wick_pattern;

/* By tokenizer.ggml.pre; NULL or unknown names give the default (the second with *known false). */
wick_pattern wick_pattern_of(const char *pre, bool *known);
extern const char *const wick_pattern_cl100k;
extern const char *const wick_pattern_o200k;
extern const char *const wick_pattern_llama3;
