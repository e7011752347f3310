/* cli/commands.h - one const struct per command, each in its own cmd_*.c. */
#pragma once
#include "cli/opt.h"

#define COMMAND(name) extern const wick_command wick_cmd_##name;
#include "cli/commands.def"
#undef COMMAND
