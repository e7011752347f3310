/* cli/cmd_mcp.c - `wick mcp`: what MCP servers offer, calling their tools, and a model as an MCP server. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "chat/chat.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/sh.h"
#include "cli/term.h"
#include "cli/toolfile.h"
#include "toolbox/model_server.h"

/* --- list and ping ------------------------------------------------------------------------------------------------ */
static void print_line(const char *indent, const char *name, const char *text)
{
    char shown[160];
    const size_t n = text ? strcspn(text, "\n") : 0;
    wick_escape_line(shown, sizeof shown, text ? text : "", n < 110 ? n : 110);
    printf("%s%-28s %s\n", indent, name, shown);
}

static void print_tools(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *f = json_object_get(json_array_get(list, i), "function");
        print_line("  ", json_string_value(json_object_get(f, "name")),
                   json_string_value(json_object_get(f, "description")));
    }
}

static wick_status list(const wick_args *a, wick_err *err)
{
    wick_toolbox *b = NULL;
    WICK_TRY(wick_toolfile_open(&b, a->operand[1], false, err));
    json_t *servers = wick_toolbox_servers(b), *tools = wick_toolset_json(wick_toolbox_tools(b));
    wick_status st = WICK_OK;
    if (a->json) {
        st = wick_print_json(json_pack("{s:O, s:O}", "servers", servers, "tools", tools), err);
    } else {
        for (size_t i = 0; i < json_array_size(servers); i++) {
            const json_t *s = json_array_get(servers, i), *who = json_object_get(s, "server");
            const char *name = json_string_value(json_object_get(who, "name"));
            const char *version = json_string_value(json_object_get(who, "version"));
            printf("%s: %s %s, protocol %s, %zu tools\n", json_string_value(json_object_get(s, "name")),
                   name ? name : "?", version ? version : "", json_string_value(json_object_get(s, "protocol")),
                   json_array_size(json_object_get(s, "tools")));
        }
        printf("tools:\n");
        print_tools(tools);
    }
    json_decref(servers);
    json_decref(tools);
    wick_toolbox_close(b);
    return st;
}

static wick_status ping(const wick_args *a, wick_err *err)
{
    wick_toolbox *b = NULL;
    const double t = wick_time_ms();
    WICK_TRY(wick_toolfile_open(&b, a->operand[1], false, err));
    const double ms = wick_time_ms() - t;
    json_t *servers = wick_toolbox_servers(b);
    wick_status st = WICK_OK;
    if (a->json)
        st = wick_print_json(
            json_pack("{s:b, s:I, s:f}", "ok", 1, "servers", (json_int_t)json_array_size(servers), "ms", ms), err);
    else
        printf("%zu MCP servers answer (%.0f ms)\n", json_array_size(servers), ms);
    json_decref(servers);
    wick_toolbox_close(b);
    return st;
}

/* --- call --------------------------------------------------------------------------------------------------------- */
typedef struct one_call {
    const char *tool, *arguments;
    bool asked, failed;
    char *result;
} one_call;

/* The loop's model: it asks for the one call and is done. */
static wick_status script(void *ctx, const json_t *messages, json_t **answer, wick_err *err)
{
    one_call *c = ctx;
    (void)messages;
    if (c->asked)
        *answer = json_pack("{s:s, s:s}", "role", "assistant", "content", "");
    else
        *answer =
            json_pack("{s:s, s:s, s:[{s:s, s:s, s:{s:s, s:s}}]}", "role", "assistant", "content", "", "tool_calls",
                      "id", "call", "type", "function", "function", "name", c->tool, "arguments", c->arguments);
    c->asked = true;
    return *answer ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "arguments", "the arguments are no valid UTF-8");
}

static void keep_result(void *ctx, const wick_tool_event *e)
{
    one_call *c = ctx;
    if (e->kind != WICK_TOOL_EVENT_RESULT) return;
    c->failed = e->failed;
    c->result = wick_strdup(e->result);
}

static wick_status call(const wick_args *a, wick_err *err)
{
    one_call c = {.tool = a->operand[2], .arguments = a->n_operands > 3 ? a->operand[3] : "{}"};
    wick_toolbox *b = NULL;
    if (a->n_operands < 3)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "mcp", "wick mcp call FILE TOOL [JSON]: the tool is missing");
    WICK_TRY(wick_toolfile_open(&b, a->operand[1], false, err));
    wick_tool_loop l = {
        .tools = wick_toolbox_tools(b), .turn = script, .event = keep_result, .ctx = &c, .approve_all = true};
    json_t *messages = json_array();
    wick_status st = wick_tool_loop_run(&l, messages, err);
    if (st == WICK_OK && a->json)
        st = wick_print_json(json_pack("{s:s, s:b, s:o}", "tool", c.tool, "ok", !c.failed, "result",
                                       wick_json_text(c.result, c.result ? strlen(c.result) : 0)),
                             err);
    else if (st == WICK_OK && !c.failed)
        printf("%s\n", c.result ? c.result : "");
    if (st == WICK_OK && c.failed)
        st = WICK_FAIL(err, WICK_E_INTERNAL, c.tool, "%.400s",
                       c.result && wick_starts_with(c.result, "error: ") ? c.result + 7 : "the call failed");
    json_decref(messages);
    wick_free(c.result);
    wick_toolbox_close(b);
    return st;
}

/* --- serve -------------------------------------------------------------------------------------------------------- */
typedef struct model {
    wick_model_use use; /* first: the source's ctx */
    wick_sh_tool shell;
} model;

static wick_status ask_shell(void *ctx, const char *request, wick_buf *out, wick_err *err)
{
    return wick_sh_tool_ask(&((model *)ctx)->shell, request, out, err);
}

static wick_status serve(const wick_args *given, wick_err *err)
{
    wick_args a = *given;
    model m = {0};
    wick_mcp_server *s = NULL;
    if (a.n_operands < 2)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "mcp", "wick mcp serve MODEL: the model is missing");
    a.operand[0] = a.operand[1];
    a.n_operands = 1;
    wick_model_source source = wick_model_source_of(&m.use);
    signal(SIGPIPE, SIG_IGN);
    WICK_TRY(wick_session_open(&m.use.engine, &a, false, err));
    if (wick_sh_tool_open(&m.shell, &a)) source.shell = ask_shell;
    wick_status st = wick_chat_open(&m.use.chat, m.use.engine, a.chat_template, err);
    if (st == WICK_OK) st = wick_model_server_new(&s, &source, err);
    if (st == WICK_OK) st = wick_mcp_server_serve_stdio(s, STDIN_FILENO, STDOUT_FILENO, err);
    wick_mcp_server_free(s);
    wick_sh_tool_close(&m.shell);
    wick_chat_close(m.use.chat);
    wick_engine_close(m.use.engine);
    return st;
}

static wick_status run_mcp(const wick_args *a, wick_err *err)
{
    const char *what = a->operand[0];
    if (strcmp(what, "serve") == 0) return serve(a, err);
    if (a->n_operands < 2)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "mcp", "wick mcp %.20s: the file is missing; see wick mcp --help",
                         what);
    if (strcmp(what, "list") == 0) return list(a, err);
    if (strcmp(what, "ping") == 0) return ping(a, err);
    if (strcmp(what, "call") == 0) return call(a, err);
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "mcp", "wick mcp \"%.40s\": there are list, call, ping and serve",
                     what);
}

const wick_command wick_cmd_mcp = {
    .name = "mcp",
    .operands = "list|call|ping FILE [TOOL [JSON]], or serve MODEL",
    .min_operands = 1,
    .max_operands = 4,
    .summary = "use MCP servers, or offer a model as one",
    .about = "FILE is the mcpServers file that Claude Desktop, Cursor and VS Code share, or its text; it may name "
             "commands and "
             "built-in tools too\n(docs/MCP.md). list connects and shows the tools, call runs one with its arguments "
             "as JSON, ping "
             "only connects.\nserve offers a model on standard input and output: tools chat, complete, embed, "
             "tokenize; for clients "
             "that start their\nservers themselves.",
    .examples = "wick mcp list mcp.json\t\nwick mcp call mcp.json add '{\"a\": 15, \"b\": 27}'\t\n"
                "wick mcp call '{\"builtin\": {\"calculate\": true}}' calculate '{\"expression\": \"15 + "
                "27\"}'\twithout a file\n"
                "wick mcp serve models/wick-shell\tthe command of a client's mcpServers entry",
    .group = {&wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_mcp,
};
