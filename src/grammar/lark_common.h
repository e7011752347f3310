/* grammar/lark_common.h - the terminals of Lark's library "common", as patterns. */
#pragma once
#include "base/str.h"

const char *wick_lark_common(wick_str name); /* NULL: it has none of this name */
