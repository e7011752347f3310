/* mcp/exchange.c - one exchange of Streamable HTTP: a body in, JSON or a stream of events out.
 *
 * 1. The answer is JSON as long as the response is the only message. The first other message (progress, a question)
 *    turns it into a stream of events, of which the response is the last.
 * 2. A request belongs to the stateless revision unless something says otherwise: a session id, a header or an
 *    initialize of an older revision. What the headers say must agree with the body (a proxy may have read only them).
 */
#include <ctype.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "mcp/server.h"

#define JSON_TYPE "application/json"
#define SSE_TYPE "text/event-stream"

typedef struct exchange {
    const wick_mcp_http *h;
    const char *session_id; /* told to the client, or NULL */
    bool streaming, may_stream;
} exchange;

static const char *header(const exchange *x, const char *name)
{
    return x->h->header(x->h->ctx, name);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */
static bool write_event(exchange *x, const json_t *message)
{
    wick_buf b = WICK_BUF_INIT;
    char *text = json_dumps(message, JSON_COMPACT);
    wick_buf_puts(&b, "event: message\ndata: ");
    wick_buf_puts(&b, text ? text : "{}");
    wick_buf_puts(&b, "\n\n");
    const bool sent = text && !b.failed && x->h->write(x->h->ctx, b.data, b.n);
    free(text);
    wick_buf_release(&b);
    return sent;
}

static bool send_message(void *ctx, const json_t *message)
{
    exchange *x = ctx;
    if (!x->may_stream) return true; /* the client takes JSON only: it does without */
    if (!x->streaming) {
        x->streaming = true;
        x->h->start(x->h->ctx, 200, SSE_TYPE, x->session_id);
    }
    return write_event(x, message);
}

static bool gone(void *ctx)
{
    const exchange *x = ctx;
    return x->h->gone && x->h->gone(x->h->ctx);
}

static bool keep_alive(void *ctx)
{
    exchange *x = ctx;
    return !x->streaming || x->h->write(x->h->ctx, ": alive\n\n", 9);
}

/* The whole answer; takes the message (NULL: no body). */
static void answer(exchange *x, unsigned status, json_t *message)
{
    if (x->streaming) {
        if (message) (void)write_event(x, message);
    } else {
        char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
        x->h->start(x->h->ctx, status, JSON_TYPE, x->session_id);
        if (text) (void)x->h->write(x->h->ctx, text, strlen(text));
        free(text);
    }
    json_decref(message);
}

static void refuse(exchange *x, unsigned status, const json_t *id, int code, const char *message, json_t *data)
{
    answer(x, status, wick_rpc_error(id, code, message, data));
}

/* --- headers ------------------------------------------------------------------------------------------------------ */
/* The text of a scalar as a header carries it; false for what headers do not carry. */
static bool scalar_text(const json_t *v, wick_buf *out)
{
    if (json_is_string(v)) {
        wick_buf_add(out, json_string_value(v), json_string_length(v));
    } else if (json_is_boolean(v)) {
        wick_buf_puts(out, json_is_true(v) ? "true" : "false");
    } else if (json_is_number(v)) {
        char *text = json_dumps(v, JSON_ENCODE_ANY);
        wick_buf_puts(out, text ? text : "");
        free(text);
    } else {
        return false;
    }
    return true;
}

/* Undoes =?base64?...?=; other values are themselves. False: not valid base64. */
static bool decode_header(const char *p, size_t n, wick_buf *out)
{
    static const char head[] = "=?base64?";
    const size_t n_head = sizeof head - 1;
    if (n < n_head + 2 || strncmp(p, head, n_head) != 0 || strncmp(p + n - 2, "?=", 2) != 0) {
        wick_buf_add(out, p, n);
        return true;
    }
    struct base64_decode_ctx d;
    const size_t n_text = n - n_head - 2;
    size_t n_out = 0;
    for (size_t i = 0; i < n_text; i++)
        if (isspace((unsigned char)p[n_head + i])) return false;
    if (!wick_buf_reserve(out, BASE64_DECODE_LENGTH(n_text) + 1)) return false;
    base64_decode_init(&d);
    if (!base64_decode_update(&d, &n_out, (uint8_t *)out->data, n_text, p + n_head) || !base64_decode_final(&d))
        return false;
    out->n = n_out;
    return true;
}

bool wick_mcp_header_matches(const char *h, const json_t *value)
{
    wick_buf want = WICK_BUF_INIT, have = WICK_BUF_INIT;
    bool same = h && scalar_text(value, &want);
    if (same) {
        while (*h == ' ' || *h == '\t') h++;
        size_t n = strlen(h);
        while (n > 0 && (h[n - 1] == ' ' || h[n - 1] == '\t')) n--;
        same = decode_header(h, n, &have) && !have.failed && !want.failed && have.n == want.n &&
               (have.n == 0 || memcmp(have.data, want.data, have.n) == 0);
    }
    wick_buf_release(&want);
    wick_buf_release(&have);
    return same;
}

/* Parameters that a tool's schema asks to see in headers: the first that does not agree, or NULL. */
static const char *bad_param_header(const exchange *x, wick_mcp_server *s, const json_t *params)
{
    wick_mcp_entry e;
    const char *name = json_string_value(json_object_get(params, "name")), *bad = NULL, *key;
    const json_t *arguments = json_object_get(params, "arguments");
    json_t *p;
    if (!name || !wick_mcp_find(s, WICK_MCP_TOOL, name, &e, NULL)) return NULL;
    json_t *properties = json_object_get(json_object_get(e.definition, "inputSchema"), "properties");
    json_object_foreach(properties, key, p)
    {
        const char *suffix = json_string_value(json_object_get(p, "x-mcp-header"));
        const json_t *v = json_object_get(arguments, key);
        char full[160];
        if (!suffix || bad || snprintf(full, sizeof full, "Mcp-Param-%s", suffix) >= (int)sizeof full) continue;
        const char *h = header(x, full);
        if (v && !json_is_null(v) ? !wick_mcp_header_matches(h, v) : h != NULL) bad = suffix;
    }
    json_decref(e.definition);
    return bad;
}

/* What is wrong with the headers that repeat the method, the name and arguments: a message, or NULL. */
static const char *bad_headers(const exchange *x, wick_mcp_server *s, const json_t *request)
{
    const json_t *params = json_object_get(request, "params"), *name;
    const char *method = json_string_value(json_object_get(request, "method"));
    if (!wick_mcp_header_matches(header(x, "Mcp-Method"), json_object_get(request, "method")))
        return "the header Mcp-Method does not agree with the method";
    if (strcmp(method, "tools/call") != 0 && strcmp(method, "prompts/get") != 0 &&
        strcmp(method, "resources/read") != 0)
        return NULL;
    name = json_object_get(params, strcmp(method, "resources/read") == 0 ? "uri" : "name");
    if (json_is_string(name) && !wick_mcp_header_matches(header(x, "Mcp-Name"), name))
        return "the header Mcp-Name does not agree with the parameters";
    if (strcmp(method, "tools/call") == 0 && bad_param_header(x, s, params))
        return "a header Mcp-Param-* does not agree with the arguments";
    return NULL;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */
static unsigned status_of(int code)
{
    switch (code) {
    case WICK_RPC_NO_METHOD: return 404;
    case WICK_RPC_INVALID_PARAMS:
    case WICK_RPC_INVALID_REQUEST:
    case WICK_RPC_PARSE:
    case WICK_RPC_HEADER_MISMATCH:
    case WICK_RPC_NO_CAPABILITY:
    case WICK_RPC_UNSUPPORTED_VERSION: return 400;
    case WICK_RPC_INTERNAL: return 500;
    default: return 200;
    }
}

static void run_stateless(exchange *x, wick_mcp_server *s, const json_t *request)
{
    const json_t *id = json_object_get(request, "id");
    const wick_mcp_out out = {.ctx = x, .peer = x->h->peer, .send = send_message, .gone = gone};
    json_t *bad = wick_mcp_check_meta(request);
    if (bad) {
        answer(x, 400, bad);
        return;
    }
    const json_t *version =
        json_object_get(json_object_get(json_object_get(request, "params"), "_meta"), WICK_MCP_META_VERSION);
    if (!wick_mcp_header_matches(header(x, "MCP-Protocol-Version"), version)) {
        refuse(x, 400, id, WICK_RPC_HEADER_MISMATCH, "the header MCP-Protocol-Version does not agree with params._meta",
               NULL);
        return;
    }
    if (strcmp(json_string_value(version), WICK_MCP_STATELESS) != 0) {
        json_t *data = json_pack("{s:o, s:O}", "supported", wick_mcp_versions(), "requested", version);
        refuse(x, 400, id, WICK_RPC_UNSUPPORTED_VERSION, "Unsupported protocol version", data);
        return;
    }
    const char *wrong = bad_headers(x, s, request);
    if (wrong) {
        refuse(x, 400, id, WICK_RPC_HEADER_MISMATCH, wrong, NULL);
        return;
    }
    json_t *response = wick_mcp_dispatch(s, NULL, request, &out, keep_alive);
    const int code = wick_rpc_error_code(response);
    /* A wrong parameter of a method that was run is an answer, not a bad exchange. */
    const unsigned status = code == WICK_RPC_INVALID_PARAMS || code == WICK_RPC_INTERNAL ? 200 : status_of(code);
    answer(x, status, response);
}

static void run_in_session(exchange *x, wick_mcp_session *n, const json_t *message, wick_rpc_kind kind)
{
    const wick_mcp_out out = {.ctx = x, .peer = x->h->peer, .send = send_message, .gone = gone};
    switch (kind) {
    case WICK_RPC_REQUEST: {
        json_t *response = wick_mcp_dispatch(n->server, n, message, &out, keep_alive);
        answer(x, 200, response);
        break;
    }
    case WICK_RPC_NOTIFICATION:
        wick_mcp_notice(n->server, n, message);
        answer(x, 202, NULL);
        break;
    case WICK_RPC_RESPONSE:
        wick_mcp_session_response(n, message);
        answer(x, 202, NULL);
        break;
    }
}

/* A batch of messages in one body, which only 2025-03-26 has. */
static void run_batch(exchange *x, wick_mcp_session *n, const json_t *list)
{
    const wick_mcp_out out = {.ctx = x, .peer = x->h->peer, .send = send_message, .gone = gone};
    json_t *responses = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        wick_rpc_kind kind;
        wick_err err = {0};
        if (wick_rpc_classify(m, &kind, &err) != WICK_OK) {
            json_array_append_new(responses, wick_rpc_error(NULL, WICK_RPC_INVALID_REQUEST, err.message, NULL));
        } else if (kind == WICK_RPC_REQUEST) {
            json_t *r = wick_mcp_dispatch(n->server, n, m, &out, keep_alive);
            if (r) json_array_append_new(responses, r);
        } else if (kind == WICK_RPC_NOTIFICATION) {
            wick_mcp_notice(n->server, n, m);
        } else {
            wick_mcp_session_response(n, m);
        }
    }
    const bool any = json_array_size(responses) > 0;
    if (!any) json_decref(responses);
    answer(x, any ? 200 : 202, any ? responses : NULL);
}

/* The session that the headers name, held; NULL and answered where there is none. */
static wick_mcp_session *session_of(exchange *x, wick_mcp_server *s, const json_t *id)
{
    const char *name = header(x, "Mcp-Session-Id"), *version = header(x, "MCP-Protocol-Version");
    wick_mcp_session *n = name ? wick_mcp_session_take(s, name) : NULL;
    if (!n) {
        refuse(x, name ? 404 : 400, id, WICK_RPC_INVALID_REQUEST,
               name ? "the session is over: initialize again" : "Mcp-Session-Id: is missing", NULL);
        return NULL;
    }
    if (version && !wick_mcp_stateful_version(version)) {
        wick_mcp_session_give(n);
        refuse(x, 400, id, WICK_RPC_INVALID_REQUEST, "MCP-Protocol-Version: not a version of this session", NULL);
        return NULL;
    }
    return n;
}

static void post(exchange *x, wick_mcp_server *s)
{
    json_t *message = NULL;
    wick_mcp_session *n = NULL;
    wick_rpc_kind kind = WICK_RPC_REQUEST;
    wick_err err = {0};
    const char *version = header(x, "MCP-Protocol-Version");
    const bool in_session = header(x, "Mcp-Session-Id") != NULL || wick_mcp_stateful_version(version);
    if (wick_json_parse_strict(x->h->body, x->h->n_body, "message", &message, &err) != WICK_OK) {
        refuse(x, 400, NULL, WICK_RPC_PARSE, err.message, NULL);
        return;
    }
    if (json_is_array(message)) {
        n = session_of(x, s, NULL);
        if (n && json_array_size(message) > 0 && json_array_size(message) <= 64 &&
            strcmp(n->version, "2025-03-26") == 0)
            run_batch(x, n, message);
        else if (n)
            refuse(x, 400, NULL, WICK_RPC_INVALID_REQUEST, "batches are not part of this revision", NULL);
        goto done;
    }
    if (wick_rpc_classify(message, &kind, &err) != WICK_OK) {
        refuse(x, 400, NULL, WICK_RPC_INVALID_REQUEST, err.message, NULL);
        goto done;
    }
    const char *method = json_string_value(json_object_get(message, "method"));
    const json_t *meta = json_object_get(json_object_get(message, "params"), "_meta");
    const bool is_stateless = json_object_get(meta, WICK_MCP_META_VERSION) != NULL;
    if (kind == WICK_RPC_REQUEST && strcmp(method, "initialize") == 0 && !is_stateless) {
        json_t *response = wick_mcp_initialize(s, message, &n);
        if (n) x->session_id = n->id;
        answer(x, n ? 200 : 400, response);
    } else if (in_session && !is_stateless) {
        n = session_of(x, s, json_object_get(message, "id"));
        if (n) run_in_session(x, n, message, kind);
    } else if (kind == WICK_RPC_REQUEST) {
        run_stateless(x, s, message);
    } else {
        answer(x, 202, NULL);
    }
done:
    wick_mcp_session_give(n);
    json_decref(message);
}

/* GET: the stream on which a session hears of changes. */
static void get(exchange *x, wick_mcp_server *s)
{
    const wick_mcp_out out = {.ctx = x, .peer = x->h->peer, .send = send_message, .gone = gone};
    wick_mcp_session *n = session_of(x, s, NULL);
    if (!n) return;
    wick_lock_take(&n->lock);
    const bool taken = n->streaming;
    n->streaming = true;
    wick_lock_drop(&n->lock);
    if (taken) {
        refuse(x, 409, NULL, WICK_RPC_INVALID_REQUEST, "the session's stream is open already", NULL);
    } else {
        x->streaming = true;
        x->h->start(x->h->ctx, 200, SSE_TYPE, NULL);
        if (keep_alive(x)) wick_mcp_stream_run(&n->stream, s, &out, NULL, keep_alive);
        wick_lock_take(&n->lock);
        n->streaming = false;
        wick_lock_drop(&n->lock);
    }
    wick_mcp_session_give(n);
}

/* Does an Accept header allow this type? Absent: all. */
static bool accepts(const char *accept, const char *type)
{
    return !accept || strstr(accept, "*/*") || strcasestr(accept, type);
}

void wick_mcp_exchange(wick_mcp_server *s, const wick_mcp_http *h)
{
    exchange x = {.h = h};
    const char *accept = header(&x, "Accept"), *type = header(&x, "Content-Type");
    x.may_stream = accepts(accept, SSE_TYPE);
    if (strcmp(h->method, "POST") == 0) {
        if (type && !strcasestr(type, JSON_TYPE))
            refuse(&x, 415, NULL, WICK_RPC_INVALID_REQUEST, "Content-Type: must be application/json", NULL);
        else if (!accepts(accept, JSON_TYPE) && !x.may_stream)
            refuse(&x, 406, NULL, WICK_RPC_INVALID_REQUEST, "Accept: must allow application/json and text/event-stream",
                   NULL);
        else
            post(&x, s);
    } else if (strcmp(h->method, "GET") == 0 && header(&x, "Mcp-Session-Id")) {
        get(&x, s);
    } else if (strcmp(h->method, "DELETE") == 0 && header(&x, "Mcp-Session-Id")) {
        wick_mcp_session *n = session_of(&x, s, NULL);
        if (!n) return;
        wick_mcp_session_end(n);
        wick_mcp_session_give(n);
        answer(&x, 204, NULL);
    } else {
        refuse(&x, 405, NULL, WICK_RPC_INVALID_REQUEST, "only POST is answered here", NULL);
    }
}
