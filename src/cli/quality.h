/* cli/quality.h - the quality part of `wick bench`. */
#pragma once
#include "base/status.h"
#include "cli/args.h"

/* Reads n_tokens (at least 2) with `exact` and as the options say, and prints how far apart the two are. */
wick_status wick_bench_quality(const wick_args *a, uint32_t n_tokens, wick_err *err) WICK_MUST_CHECK;
