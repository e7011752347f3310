/* text/open_dir.h - private: what a folder adds to a tokenizer file, and tiktoken files. */
#pragma once
#include "text/tok.h"

typedef enum wick_dress { WICK_DRESS_JSON, WICK_DRESS_SPM } wick_dress;
/* Applies tokenizer_config.json and special_tokens_map.json of dir, where they are. */
wick_status wick_tok_dress(wick_tokenizer *t, const char *dir, wick_dress how, wick_err *err) WICK_MUST_CHECK;

/* True for lines of "<base64> <rank>". */
bool wick_tiktoken_looks_like(const char *data, size_t n);
/* Special tokens and the pattern follow from tokenizer_config.json in dir, from the name, or from the size. */
wick_status wick_tiktoken_load(wick_tokenizer **out, const char *data, size_t n, const char *path,
                               wick_err *err) WICK_MUST_CHECK;
/* Mistral's tekken.json. */
wick_status wick_tekken_load(wick_tokenizer **out, const char *data, size_t n, const char *path,
                             wick_err *err) WICK_MUST_CHECK;
