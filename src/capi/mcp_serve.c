/* capi/mcp_serve.c - a model of the C API as an MCP server: toolbox/model_server.h with one model. */
#include <string.h>
#include <unistd.h>
#include "capi/capi_int.h"
#include "toolbox/model_server.h"

enum { POLL_US = 200 * 1000 };

void wick_mcp_serve_options_init_sized(wick_mcp_serve_options *o, size_t size)
{
    const wick_mcp_serve_options all = {.size = size, .fd_in = -1, .fd_out = -1};
    memset(o, 0, size);
    memcpy(o, &all, size < sizeof all ? size : sizeof all);
}

static wick_status serve_http(wick_mcp_server *s, const wick_mcp_serve_options *o, wick_err *err)
{
    const wick_mcp_listen_options how = {.host = o->host, .port = o->port, .token = o->token};
    wick_mcp_listener *l = NULL;
    if (!o->poll) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "poll", "poll: is missing: nothing could end the server");
    WICK_TRY(wick_mcp_server_listen(&l, s, &how, err));
    while (o->poll(o->user, wick_mcp_listener_port(l)) == 0) usleep(POLL_US);
    wick_mcp_listener_close(l);
    return WICK_OK;
}

wick_status wick_mcp_serve(wick_llm *llm, const wick_mcp_serve_options *options, wick_error *error)
{
    wick_err err = {0};
    wick_mcp_serve_options o;
    wick_mcp_server *s = NULL;
    wick_mcp_serve_options_init(&o);
    if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    wick_model_use one = {0};
    const wick_model_source source = wick_model_source_of(&one);
    wick_status st = llm ? WICK_OK : WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "llm", "llm: NULL");
    if (st == WICK_OK) one = (wick_model_use){.engine = llm->engine, .chat = llm->chat};
    if (st == WICK_OK) st = wick_model_server_new(&s, &source, &err);
    if (st == WICK_OK && o.http)
        st = serve_http(s, &o, &err);
    else if (st == WICK_OK)
        st = wick_mcp_server_serve_stdio(s, o.fd_in < 0 ? STDIN_FILENO : o.fd_in,
                                         o.fd_out < 0 ? STDOUT_FILENO : o.fd_out, &err);
    wick_mcp_server_free(s);
    return wick_capi_result(st, &err, error);
}
