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
    {.name = "gemma4", .open = "<|channel>thought", .close = "<channel|>", .anywhere = true},
    {.name = "seed", .open = "<seed:think>", .close = "</seed:think>"},
    {.name = "cohere",
     .open = "<|START_THINKING|>",
     .close = "<|END_THINKING|>",
     .anywhere = true,
     .drop = {"<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"}},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

const wick_think_syntax *wick_think_syntax_by_name(const char *name)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

const wick_think_syntax *wick_think_syntax_by_open(const char *open)
{
    for (size_t i = 0; open && i < N_ROWS; i++)
        if (strcmp(rows[i].open, open) == 0) return &rows[i];
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
