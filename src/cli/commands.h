/* cli/commands.h - one const struct per command, each in its own cmd_*.c. */
#pragma once
#include "cli/opt.h"

extern const wick_command wick_cmd_run, wick_cmd_generate, wick_cmd_logits, wick_cmd_tokenize, wick_cmd_detokenize,
    wick_cmd_template, wick_cmd_inspect, wick_cmd_discover, wick_cmd_gpu_info, wick_cmd_bench, wick_cmd_completions,
    wick_cmd_help, wick_cmd_serve, wick_cmd_mlx, wick_cmd_chat, wick_cmd_complete, wick_cmd_models, wick_cmd_status,
    wick_cmd_admin, wick_cmd_quickstart, wick_cmd_config, wick_cmd_cache, wick_cmd_sh;
