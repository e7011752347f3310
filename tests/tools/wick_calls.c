/* wick_calls - every syntax of tool calls, and how a model writes the given calls in it.
 *
 *   wick_calls '[["add", {"a": 1}]]'...     one JSON object a syntax: {"name", "parallel", "texts": [one for each argument]} */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "chat/format/format.h"

/* [[name, arguments], ...] as a text of the syntax; NULL: it cannot be written. */
static json_t *written(const wick_call_syntax *f, const char *given)
{
    json_t *calls = json_loads(given, 0, NULL), *list = json_array(), *c, *text = NULL;
    wick_buf b = WICK_BUF_INIT;
    size_t i;
    json_array_foreach(calls, i, c)
    {
        json_t *one = json_pack("{s:s, s:{s:O, s:O}}", "id", i == 0 ? "abcdefghi" : "bcdefghij", "function", "name",
                                json_array_get(c, 0), "arguments", json_array_get(c, 1));
        if (json_array_append_new(list, one) != 0) exit(2);
    }
    if (wick_call_write(f, list, &b, NULL) == WICK_OK) text = json_stringn(b.data ? b.data : "", b.n);
    wick_buf_release(&b);
    json_decref(list);
    json_decref(calls);
    return text ? text : json_null();
}

int main(int argc, char **argv)
{
    for (size_t i = 0; wick_call_syntax_at(i); i++) {
        const wick_call_syntax *f = wick_call_syntax_at(i);
        json_t *texts = json_array();
        for (int k = 1; k < argc; k++) json_array_append_new(texts, written(f, argv[k]));
        json_t *row = json_pack("{s:s, s:b, s:o}", "name", wick_call_syntax_name(f), "parallel",
                                !wick_call_syntax_shape(f)->single, "texts", texts);
        char *line = json_dumps(row, JSON_COMPACT);
        puts(line ? line : "null");
        free(line);
        json_decref(row);
    }
    return 0;
}
