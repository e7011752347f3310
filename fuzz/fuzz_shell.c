/* fuzz/fuzz_shell.c - any bytes through the parser of shell commands and the safety walk. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "shell/safety.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    wick_arena a;
    wick_sh_report r;
    if (n > 1 << 14) return 0;
    wick_arena_init(&a, 0);
    if (wick_sh_check(&a, (const char *)data, n, &r, NULL) != WICK_OK) abort();
    for (unsigned k = 0; k < r.n; k++)
        if (!r.finding[k].reason || !r.finding[k].words || r.finding[k].level > r.level) abort();
    wick_arena_release(&a);
    return 0;
}
