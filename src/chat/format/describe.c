/* chat/format/describe.c - tools as a text, for templates that have no place for them: the hermes syntax explained, and
 * one line of JSON a tool. */
#include <stdlib.h>
#include "chat/format/format.h"

wick_status wick_call_describe(const json_t *tools, wick_buf *out, wick_err *err)
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
    wick_buf_puts(out,
                  "</tools>\nTo call one, answer with its name and arguments as JSON inside tags, once for each call:\n"
                  "<tool_call>\n{\"name\": \"NAME\", \"arguments\": {}}\n</tool_call>");
    return out->failed ? wick_err_oom(err, "tools", out->n, out->max_bytes) : WICK_OK;
}
