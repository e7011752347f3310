/* fuzz/fuzz_toolcall.c - a model's text through the splitter of reasoning and the parser of tool calls. The first byte
 * picks the syntax, the second the tags and the size of the deltas. Whole and cut must give the same. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "chat/format/reasoning.h"
#include "chat/format/toolcall.h"

static char *go(const uint8_t *data, size_t n, size_t step)
{
    wick_reasoning r;
    wick_toolcall_parser *p = NULL;
    wick_buf thought = WICK_BUF_INIT, text = WICK_BUF_INIT, content = WICK_BUF_INIT;
    const wick_think_syntax *t = wick_think_syntax_at(data[1] % 5);
    size_t n_formats = 0;
    json_t *calls = json_array(),
           *tools = json_pack("[{s:{s:s, s:{s:{s:{s:s}, s:{s:s}}}}}]", "function", "name", "f", "parameters",
                              "properties", "s", "type", "string", "n", "type", "integer");
    while (wick_toolcall_at(n_formats)) n_formats++;
    wick_reasoning_begin(&r, t, (data[1] & 0x80) != 0);
    if (wick_toolcall_parser_new(&p, wick_toolcall_at(data[0] % n_formats), tools, NULL, NULL) != WICK_OK) abort();
    for (size_t i = 2; i < n; i += step) {
        const size_t had = text.n;
        wick_reasoning_feed(&r, (const char *)data + i, n - i < step ? n - i : step, &thought, &text);
        if (text.n > had && wick_toolcall_feed(p, text.data + had, text.n - had, &content, calls, NULL) != WICK_OK)
            abort();
    }
    const size_t had = text.n;
    wick_reasoning_end(&r, &thought, &text);
    if (text.n > had && wick_toolcall_feed(p, text.data + had, text.n - had, &content, calls, NULL) != WICK_OK) abort();
    if (wick_toolcall_end(p, &content, calls, NULL) != WICK_OK) abort();
    char *dump = json_dumps(calls, 0);
    wick_buf_printf(&content, "|%s|", dump);
    wick_buf_add(&content, thought.data, thought.n);
    free(dump);
    json_decref(calls);
    json_decref(tools);
    wick_toolcall_parser_free(p);
    wick_buf_release(&thought);
    wick_buf_release(&text);
    for (size_t i = 0; i < content.n; i++)
        if (!content.data[i]) content.data[i] = 1;
    char *out = strdup(wick_buf_str(&content));
    wick_buf_release(&content);
    return out;
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
