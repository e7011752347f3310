/* fuzz/fuzz_jinja.c - chat templates: any bytes as a template, rendered with a small conversation under tight
 * limits. */
#include "fuzz.h"
#include "template/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const wick_jinja_limits limits = {
        .max_steps = 20000, .max_heap_bytes = 1 << 20, .max_out_bytes = 1 << 18, .max_depth = 30, .now_unix_s = 1};
    wick_jinja *t = NULL;
    wick_buf out = WICK_BUF_INIT;
    if (n > 1 << 16 || wick_jinja_compile(&t, (const char *)data, n, "fuzz", NULL) != WICK_OK) return 0;
    json_t *vars =
        json_pack("{s:[{s:s,s:s},{s:s,s:n,s:[{s:{s:s,s:{s:i,s:f}}}]}],s:[{s:s}],s:b,s:s}", "messages", "role", "user",
                  "content", "h\xc3\xa9llo", "role", "assistant", "content", "tool_calls", "function", "name", "f",
                  "arguments", "a", 1, "b", 1.5, "tools", "name", "f", "add_generation_prompt", 1, "bos_token", "<s>");
    wick_status st = wick_jinja_render(t, vars, &limits, &out, NULL);
    (void)st;
    json_decref(vars);
    wick_buf_release(&out);
    wick_jinja_free(t);
    return 0;
}
