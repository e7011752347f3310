/* own_tools - tools of one request, and a model as an MCP server, through the C API:
 *
 *   own_tools MODEL QUESTION own|hide|deny|side|plain    prints the answer and how it ended
 *   own_tools MODEL serve                                MCP on standard input and output
 *   own_tools MODEL http                                 MCP on a port that it prints, until standard input ends
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "wick/wick.h"

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"},\"b\":{\"type\":\"number\"}},"
    "\"required\":[\"a\",\"b\"]}";

static wick_status add(void *user, wick_tool_run *run, wick_error *err)
{
    const char *json = wick_tool_run_arguments(run);
    const char *a = strstr(json, "\"a\":"), *b = strstr(json, "\"b\":");
    char text[64];
    const struct timespec wait = {0, user ? 300000000 : 0};
    nanosleep(&wait, NULL);
    snprintf(text, sizeof text, "%g", (a ? strtod(a + 4, NULL) : 0) + (b ? strtod(b + 4, NULL) : 0));
    return wick_tool_run_return(run, text, SIZE_MAX, err);
}

static wick_status wrong(void *user, wick_tool_run *run, wick_error *err)
{
    (void)user;
    return wick_tool_run_return(run, "the builder's", SIZE_MAX, err);
}

static int deny(void *user, const char *name, const char *arguments)
{
    (void)user, (void)name, (void)arguments;
    return 0;
}

static void report(void *user, const char *id, const char *name, const char *arguments, const char *result, bool failed)
{
    (void)user, (void)id;
    if (!result) fprintf(stderr, "-> %s %s\n", name, arguments);
    if (result) fprintf(stderr, "<- %s%s\n", failed ? "(failed) " : "", result);
}

/* The server ends with standard input. */
static int ended(void *user, uint16_t port)
{
    struct pollfd f = {.fd = 0, .events = POLLIN};
    char c;
    int *told = user;
    if (!*told) printf("%u\n", port);
    fflush(stdout);
    *told = 1;
    return poll(&f, 1, 0) > 0 && fread(&c, 1, 1, stdin) == 0;
}

int main(int argc, char **argv)
{
    wick_error err = {0};
    wick_llm *llm = NULL;
    wick_result r = {0};
    if (argc < 3) return 2;
    const char *mode = argc > 3 ? argv[3] : argv[2];
    wick_model_builder *b = wick_model_builder_new(argv[1]);
    if (strcmp(mode, "plain") != 0 && argc > 3) wick_model_builder_add_tool(b, "add", "Wrong.", schema, wrong, NULL);
    wick_status st = wick_model_builder_build(b, &llm, &err);
    wick_model_builder_free(b);
    if (st == WICK_OK && argc == 3) {
        wick_mcp_serve_options s;
        int told = 0;
        wick_mcp_serve_options_init(&s);
        s.http = strcmp(mode, "http") == 0;
        s.poll = ended;
        s.user = &told;
        st = wick_mcp_serve(llm, &s, &err);
    } else if (st == WICK_OK) {
        const wick_own_tool own = {"add", "Adds.", schema, add, strcmp(mode, "side") == 0 ? &err : NULL};
        wick_generate_options o;
        struct timespec from, to;
        wick_generate_options_init(&o);
        o.own_tools = &own;
        o.n_own_tools = strcmp(mode, "plain") != 0;
        o.tools_off = strcmp(mode, "own") == 0;
        o.tools_side_by_side = strcmp(mode, "side") == 0;
        o.tool_rounds = 3;
        o.tool_report = report;
        if (strcmp(mode, "deny") == 0) o.tool_approve = deny;
        clock_gettime(CLOCK_MONOTONIC, &from);
        st = wick_llm_chat_text(llm, argv[2], &o, NULL, NULL, &r, &err);
        clock_gettime(CLOCK_MONOTONIC, &to);
        if (st == WICK_OK)
            printf("%s|%d|%zu|%.2f\n", r.text, r.reason, r.n_tool_calls,
                   (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    }
    if (st != WICK_OK) fprintf(stderr, "%s\n", err.message);
    wick_result_release(&r);
    wick_llm_close(llm);
    return (int)st;
}
