/* fuzz/fuzz_gbnf.c - GBNF: any bytes as a grammar, a NUL, and a text read under it. */
#include "fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_grammar(WICK_GRAMMAR_GBNF, data, n);
}
