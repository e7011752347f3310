/* shell/refine.h - a later turn that changes the command of the turn before: "only the big ones", "now delete them". */
#pragma once
#include "base/alloc.h"

/* The command after `text` was said about cmd, by rules over its parse; NULL: no rule fits, or there is no memory.
 * What comes out is a proposal like any other: it is judged and shown before it runs. */
const char *wick_sh_refine(wick_arena *a, const char *cmd, const char *text);
/* Does text sound as if it went on from an earlier request ("only ...", "now ... them")? */
bool wick_sh_goes_on(const char *text);
