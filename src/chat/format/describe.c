/* chat/format/describe.c - tools as a text, for templates that have no place for them: one line of JSON a tool, and an
 * example of a call in the syntax that is to be used. */
#include <stdlib.h>
#include "chat/format/format.h"

wick_status wick_call_describe(const wick_call_syntax *f, const json_t *tools, wick_buf *out, wick_err *err)
{
    size_t i;
    const json_t *tool;
    wick_buf_puts(out, "You can call functions. Their signatures, one a line:\n<tools>\n");
    json_array_foreach(tools, i, tool)
    {
        const json_t *fn = json_object_get(tool, "function");
        char *text = json_dumps(fn ? fn : tool, JSON_COMPACT);
        if (!text) return wick_err_oom(err, "tools", 0, 0);
        wick_buf_puts(out, text);
        wick_buf_putc(out, '\n');
        free(text);
    }
    json_t *example = json_pack("[{s:{s:s, s:{s:s}}}]", "function", "name", "NAME", "arguments", "KEY", "VALUE");
    wick_status st = example ? WICK_OK : wick_err_oom(err, "tools", 0, 0);
    wick_buf_puts(out, "</tools>\nTo call one, answer with its name and arguments in this form, once for each call:\n");
    if (st == WICK_OK) st = wick_call_write(f, example, out, err);
    json_decref(example);
    return st;
}
