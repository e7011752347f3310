/* cli/aliases.c - see aliases.h. */
#include "cli/aliases.h"
#include <string.h>

typedef struct pair {
    const char *theirs, *ours;
} pair;

static const pair options[] = {
    {"temperature", "temp"},
    {"n-predict", "max-tokens"},
    {"predict", "max-tokens"},
    {"num-predict", "max-tokens"},
    {"max-new-tokens", "max-tokens"},
    {"max-completion-tokens", "max-tokens"},
    {"ctx-size", "ctx"},
    {"context-length", "ctx"},
    {"context", "ctx"},
    {"num-ctx", "ctx"},
    {"n-ctx", "ctx"},
    {"max-kv-size", "ctx"},
    {"max-model-len", "ctx"},
    {"repeat-penalty", "repetition-penalty"},
    {"repeat-last-n", "penalty-range"},
    {"repetition-context-size", "penalty-range"},
    {"typical", "typical-p"},
    {"mirostat-ent", "mirostat-tau"},
    {"mirostat-lr", "mirostat-eta"},
    {"min-tokens-to-keep", "min-keep"},
    {"system-prompt", "system"},
    {"sys", "system"},
    {"chat-template-file", "chat-template"},
    {"chat-template-args", "chat-template-kwargs"},
    {"stop-string", "stop"},
    {"reverse-prompt", "stop"},
    {"extra-eos-token", "stop"},
    {"prefill-step-size", "prefill-chunk"},
    {"batch-size", "prefill-chunk"},
    {"ubatch-size", "prefill-chunk"},
    {"num-thread", "threads"},
    {"num-threads", "threads"},
    {"cache-type-k", "kv-type"},
    {"cache-type-v", "kv-type"},
    {"parallel", "max-seqs"},
    {"max-num-seqs", "max-seqs"},
    {"ssl-cert-file", "tls-cert"},
    {"ssl-key-file", "tls-key"},
    {"alias", "id"},
    {"served-model-name", "id"},
    {"hf-repo", "model"},
    {"hf", "model"},
    {"model-path", "model"},
    {"binary-file", "file"},
    {"yes", "force"},
    {"format-json", "json"},
};

static const pair dashed[] = {
    {"-hf", "model"},         {"-hfr", "model"},        {"-ngl", "n-gpu-layers"},
    {"-fa", "flash-attn"},    {"-cnv", "conversation"}, {"-no-cnv", "no-conversation"},
    {"-ctk", "kv-type"},      {"-ctv", "kv-type"},      {"-np", "max-seqs"},
    {"-ub", "prefill-chunk"}, {"-sys", "system"},       {"-sm", "split-mode"},
    {"-mg", "main-gpu"},      {"-ts", "tensor-split"},  {"-tb", "threads-batch"},
    {"-cb", "cont-batching"},
};

static const wick_ignored_option ignored[] = {
    {"n-gpu-layers", true, "a model is on one device as a whole: --device gpu or --device cpu chooses it"},
    {"gpu-layers", true, "a model is on one device as a whole: --device gpu or --device cpu chooses it"},
    {"gpu", true, "a model is on one device as a whole: --device gpu or --device cpu chooses it"},
    {"main-gpu", true, "one device is used"},
    {"split-mode", true, "one device is used"},
    {"tensor-split", true, "one device is used"},
    {"threads-batch", true, "--threads counts for prompts too"},
    {"flash-attn", false, "attention is fused wherever the backend can"},
    {"mlock", false, "weights are mapped or packed as the backend needs them"},
    {"no-mmap", false, "weights are mapped or packed as the backend needs them"},
    {"conversation", false, "without a prompt it is a chat"},
    {"no-conversation", false, "with a prompt it is one answer"},
    {"interactive", false, "without a prompt it is a chat"},
    {"interactive-first", false, "without a prompt it is a chat"},
    {"jinja", false, "chat templates are always used"},
    {"no-display-prompt", false, "the prompt is never repeated"},
    {"simple-io", false, "where output is no terminal nothing but the text is printed"},
    {"color", false, "a terminal gets colours, unless NO_COLOR is set"},
    {"log-disable", false, "--quiet is for that"},
    {"trust-remote-code", false, "no code of a model is ever run"},
    {"cont-batching", false, "requests are always decoded together"},
    {"metrics", false, "/metrics is always there"},
    {"embeddings", false, "/v1/embeddings is always there"},
    {"use-default-chat-template", false, "the model's own template is used"},
    {"keepalive", true, "models stay loaded; idle_unload in server.yaml lets them go"},
    {"keep-alive", true, "models stay loaded; idle_unload in server.yaml lets them go"},
    {"ttl", true, "models stay loaded; idle_unload in server.yaml lets them go"},
};

static const pair commands[] = {
    {"ls", "list"},
    {"get", "pull"},
    {"download", "pull"},
    {"remove", "rm"},
    {"delete", "rm"},
    {"signin", "login"},
    {"signout", "logout"},
    {"server", "serve"},
    {"start", "serve"},
    {"chat_server", "serve"},
    {"llama-server", "serve"},
    {"mlx_lm.server", "serve"},
    {"complete_text", "generate"},
    {"llama-cli", "run"},
    {"llama-run", "run"},
    {"mlx_lm.generate", "run"},
    {"mlx_lm.chat", "run"},
    {"llama-quantize", "quantize"},
    {"mlx_lm.convert", "convert"},
    {"llama-perplexity", "perplexity"},
    {"mlx_lm.perplexity", "perplexity"},
    {"llama-bench", "bench"},
    {"mlx_lm.benchmark", "bench"},
    {"llama-tokenize", "tokenize"},
    {"unload", "stop"},
    {"info", "show"},
    {"completion", "completions"},
    {"devices", "gpu-info"},
    {"check", "doctor"},
};

static const pair foreign[] = {
    {"push", "Wick uploads nothing: `hf upload ORG/NAME FOLDER` of huggingface_hub does"},
    {"search", "Wick has no search: look on https://huggingface.co/models, then wick pull ORG/NAME"},
    {"import", "a path is a model as it is: wick run PATH; a file in ~/models has its name everywhere"},
    {"load", "wick run MODEL loads and answers; on a running server: wick admin load MODEL"},
    {"log", "the server logs to standard error: wick serve --verbose"},
    {"update",
     "Wick does not update itself: use the package manager that installed it; wick pull MODEL updates a model"},
    {"runtime", "backends are part of the program: wick doctor shows them, --backend chooses"},
    {"daemon", "wick serve is the server; deploy/wick.service is a unit for systemd"},
};

#define FIND(table, key, n, result)                                 \
    for (size_t i_ = 0; i_ < sizeof(table) / sizeof *(table); i_++) \
        if (strlen((table)[i_].key) == (n) && memcmp((table)[i_].key, name, (n)) == 0) return (result)

const char *wick_alias_option(const char *name, size_t n)
{
    FIND(options, theirs, n, options[i_].ours);
    return NULL;
}

const char *wick_alias_dashed(const char *arg)
{
    const char *name = arg;
    FIND(dashed, theirs, strlen(name), dashed[i_].ours);
    return NULL;
}

const wick_ignored_option *wick_ignored_find(const char *name, size_t n)
{
    FIND(ignored, name, n, &ignored[i_]);
    return NULL;
}

const char *wick_alias_command(const char *name)
{
    FIND(commands, theirs, strlen(name), commands[i_].ours);
    return NULL;
}

const char *wick_foreign_command(const char *name)
{
    FIND(foreign, theirs, strlen(name), foreign[i_].ours);
    return NULL;
}

const char *wick_alias_command_at(size_t i)
{
    return i < sizeof commands / sizeof *commands ? commands[i].theirs : NULL;
}
