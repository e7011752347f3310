/* engine/stop.h - finds stop strings in a stream of text, and says how much may be shown already. */
#pragma once
#include "base/status.h"

typedef struct wick_stop {
    struct wick_stop_item *item;
    uint32_t n;
    char *bytes;    /* the strings, one after another */
    uint32_t *fail; /* failure function of each, in the same places */
} wick_stop;

#define WICK_MAX_STOPS 256
#define WICK_MAX_STOP_BYTES 65536

/* Copies. WICK_E_BAD_PARAMETER ("stop") for an empty string, one that is not UTF-8, too many or too much. */
wick_status wick_stop_init(wick_stop *s, const char *const *strings, uint32_t n, wick_err *err) WICK_MUST_CHECK;
void wick_stop_release(wick_stop *s);

/* What n more bytes of the stream mean. */
typedef struct wick_stop_found {
    int32_t
        /* of the string that is complete now, -1: none. The first to end; of those that end together the longest. */
        index;
    uint32_t n_fed;  /* bytes up to and including its end (n where none) */
    uint32_t n_held; /* bytes before n_fed that must not be shown: the match, or what could become one */
} wick_stop_found;
wick_stop_found wick_stop_feed(wick_stop *s, const char *text, uint32_t n);
const char *wick_stop_string(const wick_stop *s, int32_t index);
