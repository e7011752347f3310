/* engine/stop.c - one Knuth-Morris-Pratt automaton per stop string, fed byte by byte.
 *
 * The state of string k is how many bytes of it the stream ends with now. So the text that must be held back is the
 * longest state of all, and a cost of O(bytes) per string is kept whatever the model writes. Strings are valid UTF-8:
 * a held part starts with their first character, so what is shown ends on a whole one.
 */
#include "engine/stop.h"
#include <string.h>
#include "base/alloc.h"
#include "base/str.h"

struct wick_stop_item {
    uint32_t at, n; /* slice of bytes and fail */
    uint32_t state;
};

wick_status wick_stop_init(wick_stop *s, const char *const *strings, uint32_t n, wick_err *err)
{
    uint64_t total = 0;
    memset(s, 0, sizeof *s);
    if (n == 0) return WICK_OK;
    if (n > WICK_MAX_STOPS)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "stop", "stop: %u strings, at most %d are allowed", n,
                         WICK_MAX_STOPS);
    for (uint32_t i = 0; i < n; i++) {
        size_t len = strings[i] ? strlen(strings[i]) : 0;
        if (len == 0) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "stop", "stop: string %u is empty", i);
        if (!wick_utf8_valid(strings[i], len))
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "stop", "stop: string %u is not UTF-8", i);
        total += len + 1;
    }
    if (total > WICK_MAX_STOP_BYTES)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "stop", "stop: more than %d bytes in all", WICK_MAX_STOP_BYTES);
    s->item = wick_alloc_zero(n, sizeof *s->item);
    s->bytes = wick_alloc((size_t)total);
    s->fail = wick_alloc_zero((size_t)total, sizeof *s->fail);
    if (!s->item || !s->bytes || !s->fail) {
        wick_stop_release(s);
        return wick_err_oom(err, "stop strings", total * 5, 0);
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = (uint32_t)strlen(strings[i]);
        const char *p = memcpy(s->bytes + at, strings[i], len + 1);
        uint32_t *fail = s->fail + at;
        s->item[i] = (struct wick_stop_item){at, len, 0};
        for (uint32_t j = 1, k = 0; j < len; j++) {
            while (k > 0 && p[j] != p[k]) k = fail[k - 1];
            if (p[j] == p[k]) k++;
            fail[j] = k;
        }
        at += len + 1;
    }
    s->n = n;
    return WICK_OK;
}

void wick_stop_release(wick_stop *s)
{
    wick_free(s->item);
    wick_free(s->bytes);
    wick_free(s->fail);
    memset(s, 0, sizeof *s);
}

wick_stop_found wick_stop_feed(wick_stop *s, const char *text, uint32_t n)
{
    wick_stop_found f = {-1, n, 0};
    for (uint32_t i = 0; i < n && f.index < 0; i++) {
        for (uint32_t k = 0; k < s->n; k++) {
            struct wick_stop_item *it = &s->item[k];
            const char *p = s->bytes + it->at;
            const uint32_t *fail = s->fail + it->at;
            while (it->state > 0 && p[it->state] != text[i]) it->state = fail[it->state - 1];
            if (p[it->state] == text[i]) it->state++;
            if (it->state == it->n && it->n > f.n_held) {
                f = (wick_stop_found){(int32_t)k, i + 1, it->n};
            }
        }
    }
    if (f.index >= 0) return f;
    for (uint32_t k = 0; k < s->n; k++) {
        if (s->item[k].state > f.n_held) f.n_held = s->item[k].state;
    }
    return f;
}

const char *wick_stop_string(const wick_stop *s, int32_t index)
{
    return index >= 0 && (uint32_t)index < s->n ? s->bytes + s->item[index].at : NULL;
}
