/* grammar/cfg_int.h - how productions are written, between cfg_build.c that writes them and cfg.c that reads them. */
#pragma once
#include "grammar/cfg.h"

/* A number in the code is a symbol (0: the text), a terminal with this bit, or with the other the end of a symbol's
 * production. */
#define CFG_TERMINAL (1u << 30)
#define CFG_END (1u << 31)

uint32_t wick_cfg_begin(wick_cfg *c); /* the first set; 0: nothing fulfils the grammar */
