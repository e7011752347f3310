/* chat/format/think.h - the row of a syntax of reasoning; shared by chat/format and its splitter. */
#pragma once
#include "chat/format/format.h"

enum { WICK_THINK_MAX_DROP = 6 };

struct wick_think_syntax {
    const char *name, *open, *close;
    bool anywhere; /* the tags are special tokens: they open at any place of the text, and a stray one is no text */
    bool harmony;  /* messages with headers; open and close are those of an analysis message */
    const char *drop[WICK_THINK_MAX_DROP + 1]; /* markers outside of reasoning that are no text */
    const char
        *wrap[2]; /* around the answer: the first only where the answer begins, the second only after the first (or,
                          * where there is no first, after reasoning) */
};
