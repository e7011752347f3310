/* chat/format/think.c - the syntaxes of reasoning, one row each. */
#include "chat/format/think.h"
#include <string.h>

static const wick_think_syntax rows[] = {
    {.name = "think", .open = "<think>", .close = "</think>"},
    {.name = "mistral", .open = "[THINK]", .close = "[/THINK]", .anywhere = true},
    {.name = "harmony",
     .open = "<|channel|>analysis<|message|>",
     .close = "<|end|>",
     .anywhere = true,
     .harmony = true},
    {.name = "gemma4", .open = "<|channel>thought", .close = "<channel|>", .anywhere = true, .drop = {"<channel|>"}},
    {.name = "seed", .open = "<seed:think>", .close = "</seed:think>"},
    {.name = "cohere",
     .open = "<|START_THINKING|>",
     .close = "<|END_THINKING|>",
     .anywhere = true,
     .drop = {"<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"}},
    {.name = "granite", .open = "<think>", .close = "</think>", .wrap = {"<response>", "</response>"}},
    {.name = "thinking", .open = "<thinking>", .close = "</thinking>"},
    {.name = "apriel",
     .open = "Here are my reasoning steps:", /* in the generation prompt */
     .close = "[BEGIN FINAL RESPONSE]",
     .wrap = {NULL, "[END FINAL RESPONSE]"}},
    {.name = "apertus", .open = "<|inner_prefix|>", .close = "<|inner_suffix|>", .anywhere = true},
    {.name = "kimi-k3",
     .open = "<|open|>think<|sep|>",
     .close = "<|close|>think<|sep|>",
     .anywhere = true,
     .drop = {"<|open|>response<|sep|>", "<|close|>response<|sep|>", "<|close|>message<|sep|>", "<|end_of_msg|>"}},
    {.name = "minimax-m3", .open = "<mm:think>", .close = "</mm:think>"},
    {.name = "kimi", .open = "\xe2\x97\x81think\xe2\x96\xb7", .close = "\xe2\x97\x81/think\xe2\x96\xb7"},
    {.name = "hy3", .open = "<think:opensource>", .close = "</think:opensource>"},
    {.name = "solar",
     .open = "<|think|>",
     .close = "<|end|>",
     .anywhere = true,
     .drop = {"<|begin|>assistant", "<|content|>"}},
    {.name = "hunyuan", .open = "<think>", .close = "</think>", .wrap = {"<answer>", "</answer>"}},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

const wick_think_syntax *wick_think_syntax_by_name(const char *name)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

const wick_think_syntax *wick_think_syntax_at(size_t i)
{
    return i < N_ROWS ? &rows[i] : NULL;
}

const char *wick_think_syntax_name(const wick_think_syntax *t)
{
    return t->name;
}

const char *wick_think_open(const wick_think_syntax *t)
{
    return t->open;
}

const char *wick_think_close(const wick_think_syntax *t)
{
    return t->close;
}

bool wick_think_begins_inside(const wick_think_syntax *t, const char *prompt, size_t n)
{
    const size_t m = t ? strlen(t->open) : 0;
    while (n > 0 && strchr(" \t\r\n", prompt[n - 1]) && prompt[n - 1]) n--;
    return m > 0 && n >= m && memcmp(prompt + n - m, t->open, m) == 0;
}
