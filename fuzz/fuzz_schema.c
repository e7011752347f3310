/* fuzz/fuzz_schema.c - JSON Schema: any bytes as a schema, a NUL, and a text read under it. */
#include "fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_grammar(WICK_GRAMMAR_JSON_SCHEMA, data, n);
}
