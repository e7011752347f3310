/* cli/hubs.h - the hub as the environment and the options describe it, with a progress bar and Ctrl-C. */
#pragma once
#include "cli/args.h"
#include "hub/hub.h"

/* Borrows from `a`; one static struct, main thread. */
const wick_hub *wick_hub_from_args(const wick_args *a);
