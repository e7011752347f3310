/* fuzz/fuzz_pattern.c - regular expressions: any bytes as a pattern, a NUL, and a text read under it. */
#include "fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_grammar(WICK_GRAMMAR_REGEX, data, n);
}
