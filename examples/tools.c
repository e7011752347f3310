/* examples/tools.c - a function of this program as a tool of the model.
 *
 *   tools MODEL "What is 15 + 27?" [MCP-FILE]
 *
 * Build: cc tools.c $(pkg-config --cflags --libs wick)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "wick/wick.h"

/* {"a": 15, "b": 27} -> 42. The schema was checked before: both numbers are there. */
static wick_status add(void *user, wick_tool_run *run, wick_error *err)
{
    const char *json = wick_tool_run_arguments(run);
    const char *a = strstr(json, "\"a\":"), *b = strstr(json, "\"b\":");
    char text[64];
    (void)user;
    snprintf(text, sizeof text, "%g", (a ? strtod(a + 4, NULL) : 0) + (b ? strtod(b + 4, NULL) : 0));
    return wick_tool_run_return(run, text, SIZE_MAX, err);
}

static void report(void *user, const char *id, const char *name, const char *arguments, const char *result, bool failed)
{
    (void)user;
    (void)id;
    if (!result) fprintf(stderr, "-> %s %s\n", name, arguments);
    if (result) fprintf(stderr, "<- %s%s\n", failed ? "(failed) " : "", result);
}

int main(int argc, char **argv)
{
    wick_error err = {0};
    wick_llm *llm = NULL;
    wick_result r = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: %s MODEL QUESTION [MCP-FILE]\n", argv[0]);
        return 2;
    }
    wick_model_builder *b = wick_model_builder_new(argv[1]);
    wick_model_builder_add_tool(
        b, "add", "Adds two numbers.",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"},\"b\":{\"type\":\"number\"}},"
        "\"required\":[\"a\",\"b\"]}",
        add, NULL);
    if (argc > 3) wick_model_builder_set_mcp(b, argv[3]);
    wick_status st = wick_model_builder_build(b, &llm, &err);
    wick_model_builder_free(b);
    wick_generate_options o;
    wick_generate_options_init(&o);
    o.tool_report = report;
    if (st == WICK_OK) st = wick_llm_chat_text(llm, argv[2], &o, NULL, NULL, &r, &err);
    if (st == WICK_OK)
        printf("%s\n", r.text);
    else
        fprintf(stderr, "%s\n", err.message);
    wick_result_release(&r);
    wick_llm_close(llm);
    return st;
}
