/* chat/tools_pattern.c - patterns of JSON Schema, for tools_check.c: PCRE2 under limits, since patterns and texts are
 * both others'. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "chat/tools.h"

enum { STEPS_MAX = 200000, HEAP_MAX_KIB = 4096 };

bool wick_tool_pattern_fits(const char *pattern, const char *text, size_t n)
{
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *p =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &code, &at, NULL);
    if (!p) return true;
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_match_data *m = pcre2_match_data_create_from_pattern(p, NULL);
    bool fits = false;
    if (limits && m) {
        pcre2_set_match_limit(limits, STEPS_MAX);
        pcre2_set_heap_limit(limits, HEAP_MAX_KIB);
        fits = pcre2_match(p, (PCRE2_SPTR)text, n, 0, 0, m, limits) >= 0;
    }
    pcre2_match_data_free(m);
    pcre2_match_context_free(limits);
    pcre2_code_free(p);
    return fits;
}
