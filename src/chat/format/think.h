/* chat/format/think.h - the row of a syntax of reasoning; shared by chat/format and its splitter. */
#pragma once
#include "chat/format/format.h"

enum { WICK_THINK_MAX_DROP = 6 };

struct wick_think_syntax {
    const char *name, *open, *close;
    bool anywhere; /* the tags are special tokens: they open at any place of the text, and a stray one is no text */
    bool harmony;  /* messages with headers; open and close are those of an analysis message */
    const char *drop[WICK_THINK_MAX_DROP + 1]; /* markers around the answer, or inside of reasoning, that are no text */
};
