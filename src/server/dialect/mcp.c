/* server/dialect/mcp.c - the Model Context Protocol's errors: JSON-RPC. Everything else of it is server/mcp_http.c. */
#include <string.h>
#include "mcp/rpc.h"
#include "server/dialect/dialect.h"

/* An error of the transport: the message was not read, so it has no id. */
static void mcp_problem(wick_buf *b, const wick_problem_text *p)
{
    wick_buf_printf(b,
                    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,\"message\":", WICK_RPC_INVALID_REQUEST);
    wick_json_write_str(b, p->message, strlen(p->message));
    wick_buf_puts(b, "}}");
}

const wick_dialect wick_dialect_mcp = {
    .name = "MCP", .stream_type = "text/event-stream", .problem = mcp_problem, .comment = wick_dialect_sse_comment};
