/* fuzz/fuzz_toolcall.c - a model's text through the answer object: the first byte picks the syntax of calls, the second
 * that of reasoning, the size of the deltas and the options. Whole and cut must give the same, in order. */
#include <stdlib.h>
#include <string.h>
#include "chat/answer.h"
#include "fuzz.h"

static const wick_call_syntax *calls_at(unsigned k)
{
    size_t n = 0;
    while (wick_call_syntax_at(n)) n++;
    return wick_call_syntax_at(k % n);
}

static const wick_think_syntax *think_at(unsigned k)
{
    size_t n = 0;
    while (wick_think_syntax_at(n)) n++;
    return wick_think_syntax_at(k % (n + 1));
}

/* The deltas as text; texts of one kind that follow each other are put together. */
static void take(wick_answer *a, wick_buf *out, int *last)
{
    const wick_delta *d;
    while ((d = wick_answer_next(a)) != NULL) {
        if ((int)d->kind != *last) wick_buf_printf(out, "|%d:", (int)d->kind);
        *last = (int)d->kind;
        if (d->kind == WICK_DELTA_CALL) wick_buf_printf(out, "%u %s", d->call, d->name);
        if (d->kind == WICK_DELTA_END) wick_buf_printf(out, "%d", (int)d->end);
        if (d->text) wick_buf_add(out, d->text, d->n);
    }
}

static char *go(const uint8_t *data, size_t n, size_t step)
{
    json_t *tools = json_pack("[{s:{s:s, s:{s:{s:{s:s}, s:{s:s}}}}}]", "function", "name", "f", "parameters",
                              "properties", "s", "type", "string", "n", "type", "integer");
    const wick_answer_opts o = {.format = {.calls = calls_at(data[0]), .think = think_at(data[1] & 0x0F)},
                                .tools = tools,
                                .inside_reasoning = (data[1] & 0x80) != 0,
                                .one_call = (data[1] & 0x40) != 0,
                                .keep = (data[1] & 0x20) != 0};
    wick_answer *a = NULL;
    wick_buf out = WICK_BUF_INIT;
    int last = -1;
    if (wick_answer_new(&a, &o, NULL) != WICK_OK) abort();
    for (size_t i = 2; i < n; i += step) {
        if (wick_answer_feed(a, (const char *)data + i, n - i < step ? n - i : step, NULL) != WICK_OK) abort();
        take(a, &out, &last);
    }
    if (wick_answer_finish(a, data[1] & 0x10 ? WICK_FINISH_LENGTH : WICK_FINISH_EOS, NULL) != WICK_OK) abort();
    take(a, &out, &last);
    json_decref(tools);
    wick_answer_free(a);
    for (size_t i = 0; i < out.n; i++)
        if (!out.data[i]) out.data[i] = 1;
    char *text = strdup(wick_buf_str(&out));
    wick_buf_release(&out);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > 1 << 16) return 0;
    char *whole = go(data, n, n), *cut = go(data, n, 1 + (data[1] & 0x1F));
    if (!whole || !cut || strcmp(whole, cut) != 0) abort();
    free(whole);
    free(cut);
    return 0;
}
