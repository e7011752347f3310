/* cli/opts.c - the option groups that several commands share, and the list of commands. */
#include <stddef.h>
#include <string.h>
#include "cli/commands.h"
#include "cli/opt.h"

#define AT(member) offsetof(wick_args, member)
#define COUNT(a) (sizeof(a) / sizeof *(a))

static const wick_opt common[] = {
    {"json", 0, WICK_OPT_FLAG, NULL, "print one JSON object on standard output", AT(json), 0, 0, NULL, NULL, 0},
    {"verbose", 'v', WICK_OPT_FLAG, NULL, "say what happens, and figures at the end, on standard error", AT(verbose), 0,
     0, NULL, NULL, 0},
    {"quiet", 'q', WICK_OPT_FLAG, NULL, "no progress bars, no notices", AT(quiet), 0, 0, NULL, NULL, 0},
    {"help", 'h', WICK_OPT_FLAG, NULL, "this text", AT(help), 0, 0, NULL, NULL, 0},
};
const wick_opt_group wick_opts_common = {"Output", common, COUNT(common)};

static const wick_opt model[] = {
    {"backend", 0, WICK_OPT_STR, "NAME", "auto, cpu or mlx (auto: cpu, or mlx with WICK_PREFER_MLX=1)", AT(backend), 0,
     0, wick_backend_choices, "WICK_BACKEND", 0},
    {"device", 0, WICK_OPT_STR, "NAME", "auto, cpu or gpu: what the backend runs on", AT(device), 0, 0, "auto|cpu|gpu",
     NULL, 0},
    {"threads", 't', WICK_OPT_U32, "N", "CPU threads (default: the cores this process may use)", AT(threads), 0, 1024,
     NULL, "WICK_THREADS", 0},
    {"precision", 0, WICK_OPT_STR, "P", "cpu: fast (default), fine or exact; see docs/PRECISION.md", AT(precision), 0,
     0, "fast|fine|exact", NULL, 0},
    {"isq", 0, WICK_OPT_STR, "TYPE",
     "quantize a float model while loading: Q4K, Q8_0, AFQ4, MXFP4, Q4_K_M, mixed_4_6, ... (docs/QUANTIZE.md)", AT(isq),
     0, 0, NULL, "WICK_ISQ", 0},
    {"ctx", 'c', WICK_OPT_U32, "N", "context in tokens (default: the model's, at most 8192, and what memory allows)",
     AT(n_ctx), 0, 16777216, NULL, NULL, 0},
    {"kv-type", 0, WICK_OPT_STR, "T", "type of the KV cache: f16 (default), f32, bf16, q8_0, q4_0", AT(kv_type), 0, 0,
     "f32|f16|bf16|q8_0|q4_0", NULL, 0},
    {"prefill-chunk", 0, WICK_OPT_U32, "N", "prompt tokens in one step (default 512; mlx 2048)", AT(prefill_chunk), 0,
     65536, NULL, NULL, 0},
    {"memory-limit", 0, WICK_OPT_BYTES, "SIZE", "refuse to use more memory than this, for example 6G", AT(memory_limit),
     0, 0, NULL, NULL, 0},
    {"draft", 0, WICK_OPT_STR, "auto|off",
     "compute guesses along where the text repeats; answers stay the same (default auto)", AT(draft), 0, 0, "auto|off",
     NULL, 0},
    {"chat-template", 0, WICK_OPT_STR, "TEXT|FILE", "a chat template instead of the model's own", AT(chat_template), 0,
     0, NULL, NULL, 0},
    {"pre", 0, WICK_OPT_STR, "NAME", "GGUF: cut words as tokenizer.ggml.pre NAME does, whatever the file says", AT(pre),
     0, 0, NULL, NULL, 0},
    {"cpu-isa", 0, WICK_OPT_STR, "NAME", "cpu: portable, avx2, avx512, neon, ... instead of the best one", AT(isa), 0,
     0, NULL, "WICK_CPU", 0},
    {"mlx-compile", 0, WICK_OPT_STR, "on|off",
     "mlx: on a GPU, compiled activations and kernels of its own (default on)", AT(mlx_compile), 0, 0, "on|off", NULL,
     0},
    {"mlx-lazy-eval", 0, WICK_OPT_STR, "true|false", "mlx: one evaluation a step instead of one an op",
     AT(mlx_lazy_eval), 0, 0, "true|false", NULL, 0},
};
const wick_opt_group wick_opts_model = {"Model and backend", model, COUNT(model)};

static const wick_opt cache[] = {
    {"pack-cache", 0, WICK_OPT_STR, "DIR|off",
     "cpu: where packed weights are kept (default $XDG_CACHE_HOME/wick/packed, for models of 64 MiB and more)",
     AT(pack_cache), 0, 0, NULL, "WICK_PACK_CACHE", 0},
    {"pack-cache-limit", 0, WICK_OPT_BYTES, "SIZE",
     "what they may take together, the least recently used go first; 0: no limit (default 32G)", AT(pack_cache_limit),
     0, 0, NULL, "WICK_PACK_CACHE_LIMIT", 0},
    {"kv-dir", 0, WICK_OPT_STR, "DIR|off",
     "where the KV of conversations is kept for the next start (default $XDG_CACHE_HOME/wick/kv)", AT(kv_dir_given), 0,
     0, NULL, "WICK_KV_DIR", 0},
    {"kv-disk", 0, WICK_OPT_STR, "SIZE|off",
     "what it may take, the least recently used goes first; 0: no limit (default 4G)", AT(kv_disk), 0, 0, NULL,
     "WICK_KV_DISK", 0},
};
const wick_opt_group wick_opts_cache = {"Kept on this disk", cache, COUNT(cache)};

/* One option for each row of chat/sampling.def. */
#define NUMBER(kind, f, lo, hi, cli, letter, arg, help) \
    {cli, letter, kind, arg, help, AT(sampling.f), lo, hi, NULL, NULL, AT(given.f)},
#define WICK_SAMPLING_F32(f, preset, lo, hi, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    NUMBER(WICK_OPT_F32, f, lo, hi, cli, letter, arg, help " (default " #preset ")")
#define WICK_SAMPLING_U32(f, preset, lo, hi, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    NUMBER(WICK_OPT_U32, f, lo, hi, cli, letter, arg, help " (default " #preset ")")
#define WICK_SAMPLING_MODEL_F32(f, preset, lo, hi, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    NUMBER(WICK_OPT_F32, f, lo, hi, cli, letter, arg, help " (default: the model's, else " #preset ")")
#define WICK_SAMPLING_MODEL_U32(f, preset, lo, hi, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    NUMBER(WICK_OPT_U32, f, lo, hi, cli, letter, arg, help " (default: the model's, else " #preset ")")
#define SPECIAL_order(cli, letter, arg, help) \
    {cli, letter, WICK_OPT_STR, arg, help, AT(sampler_order), 0, 0, "default|mlx|llama", NULL, AT(given.order)},
#define SPECIAL_bias(cli, letter, arg, help) \
    {cli, letter, WICK_OPT_LIST, arg, help, AT(logit_bias), 0, 0, NULL, NULL, AT(given.bias)},
#define SPECIAL_dry_breakers(cli, letter, arg, help) \
    {cli, letter, WICK_OPT_LIST, arg, help, AT(dry_breakers), 0, 0, NULL, NULL, AT(given.dry_breakers)},
#define SPECIAL_seed(cli, letter, arg, help) \
    {cli, letter, WICK_OPT_I64, arg, help, AT(sampling.seed), 0, 0, NULL, NULL, AT(given.seed)},
#define WICK_SAMPLING_SPECIAL(f, name, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    SPECIAL_##f(cli, letter, arg, help)

static const wick_opt sampling[] = {
    {"max-tokens", 'n', WICK_OPT_U32, "N", "stop after N tokens (default: until the model ends or the context is full)",
     AT(max_tokens), 0, 0, NULL, NULL, 0},
#include "chat/sampling.def"
    {"stop", 0, WICK_OPT_LIST, "TEXT", "stop before this text; may be repeated", AT(stop), 0, 0, NULL, NULL, 0},
    {"ignore-eos", 0, WICK_OPT_FLAG, NULL, "go on after the end-of-text token", AT(ignore_eos), 0, 0, NULL, NULL, 0},
    {"special", 0, WICK_OPT_FLAG, NULL, "show control tokens in the text", AT(show_special), 0, 0, NULL, NULL, 0},
    {"logprobs", 0, WICK_OPT_I64, "N", "with --json: log probability of each token, and of the N likeliest",
     AT(logprobs), 0, 20, NULL, NULL, 0},
};
const wick_opt_group wick_opts_sampling = {"Sampling", sampling, COUNT(sampling)};
const wick_opt_group wick_opts_sampler = {"Sampling", sampling + 1, sizeof(wick_sampling_given) / sizeof(bool)};

static const wick_opt form[] = {
    {"schema", 0, WICK_OPT_STR, "FILE", "the answer is JSON that fulfils this JSON Schema", AT(schema), 0, 0, NULL,
     NULL, 0},
    {"regex", 0, WICK_OPT_STR, "R", "the whole answer matches this regular expression", AT(regex), 0, 0, NULL, NULL, 0},
    {"grammar", 0, WICK_OPT_STR, "FILE", "the answer follows this GBNF grammar", AT(gbnf), 0, 0, NULL, NULL, 0},
    {"lark", 0, WICK_OPT_STR, "FILE", "the answer follows this Lark grammar", AT(lark), 0, 0, NULL, NULL, 0},
    {"choices", 0, WICK_OPT_STR, "A,B,..", "the answer is one of these texts", AT(choices), 0, 0, NULL, NULL, 0},
};
const wick_opt_group wick_opts_form = {"Form of the answer (docs/GRAMMAR.md)", form, COUNT(form)};

const wick_command *const wick_commands[] = {
#define COMMAND(name) &wick_cmd_##name,
#include "cli/commands.def"
#undef COMMAND
    NULL,
};

const wick_command *wick_command_find(const char *name)
{
    for (size_t i = 0; wick_commands[i]; i++)
        if (strcmp(wick_commands[i]->name, name) == 0) return wick_commands[i];
    return NULL;
}
