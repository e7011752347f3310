/* Renders templates for the tests: one JSON object {"template", "vars"[, "limits"]} a line on stdin, one answer
 * {"out": text} or {"error": message, "kind": n} a line on stdout. */
#include <stdio.h>
#include <stdlib.h>
#include <jansson.h>
#include "template/jinja.h"

static json_t *render(const json_t *request)
{
    const json_t *src = json_object_get(request, "template"), *lim = json_object_get(request, "limits");
    wick_jinja_limits limits = {0};
    wick_jinja *t = NULL;
    wick_err err = {0};
    wick_buf out = WICK_BUF_INIT;
    if (lim) {
        limits.max_steps = (uint64_t)json_integer_value(json_object_get(lim, "steps"));
        limits.max_heap_bytes = (uint64_t)json_integer_value(json_object_get(lim, "heap"));
        limits.max_out_bytes = (uint64_t)json_integer_value(json_object_get(lim, "out"));
        limits.max_depth = (uint32_t)json_integer_value(json_object_get(lim, "depth"));
        limits.now_unix_s = json_integer_value(json_object_get(lim, "now"));
    }
    wick_status st = wick_jinja_compile(&t, json_string_value(src), json_string_length(src), "template", &err);
    if (st == WICK_OK) st = wick_jinja_render(t, json_object_get(request, "vars"), &limits, &out, &err);
    json_t *answer = st == WICK_OK ? json_pack("{s:s%}", "out", wick_buf_str(&out), out.n)
                                   : json_pack("{s:s, s:i}", "error", err.message, "kind", (int)err.kind);
    wick_buf_release(&out);
    wick_jinja_free(t);
    return answer;
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        json_t *request = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL);
        json_t *answer = request && json_is_string(json_object_get(request, "template"))
                             ? render(request)
                             : json_pack("{s:s, s:i}", "error", "bad request", "kind", 0);
        if (!answer || json_dumpf(answer, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) != 0) return 1;
        (void)putchar('\n');
        (void)fflush(stdout);
        json_decref(answer);
        json_decref(request);
    }
    free(line);
    return 0;
}
