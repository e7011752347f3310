/* text/unicode.h - character classes as the Rust and C++ tokenizers see them, and repair of invalid UTF-8. */
#pragma once
#include "base/buf.h"
#include "base/str.h"

bool wick_uni_space(uint32_t c);                /* White_Space */
bool wick_uni_numeric(uint32_t c);              /* Nd Nl No */
bool wick_uni_punctuation(uint32_t c);          /* P*, and all ASCII punctuation */
bool wick_uni_word(uint32_t c);                 /* what \w is in a Unicode-aware pattern */
bool wick_uni_mark(uint32_t c);                 /* Mn Mc Me */
bool wick_uni_nonspacing(uint32_t c);           /* Mn */
bool wick_uni_hidden(uint32_t c);               /* Cc Cf Co */
bool wick_uni_chinese(uint32_t c);              /* the ranges BERT puts spaces around */
void wick_uni_lower(wick_buf *out, uint32_t c); /* full mapping of one character, no context */

/* Appends s with each invalid sequence as U+FFFD, one per maximal cut-off prefix (Python's errors="replace"). */
void wick_uni_repair(wick_buf *out, const char *s, size_t n);
/* How many bytes at p (n > 0, not a valid character) make one U+FFFD; 0 if more bytes could complete it and !final. */
size_t wick_uni_bad_length(const char *p, size_t n, bool final);
