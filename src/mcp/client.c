/* mcp/client.c - the client's side of the protocol, whatever carries the messages.
 *
 * 1. A revision is agreed on once, in open. From then on `stateless` says which of the two ways every request goes.
 * 2. A result that asks for input is answered and the request sent again, with a new id and the server's state
 *    unchanged. What belongs to one request is never sent with another.
 * 3. Names, schemas and texts of a server are data: nothing of them is followed, fetched or run.
 */
#include "mcp/client_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"

enum { TIMEOUT_MS = 60000, DISCOVER_MS = 5000, ROUNDS_MAX = 16, PAGES_MAX = 1000, LIST_MAX = 10000 };

/* --- questions and notifications ---------------------------------------------------------------------------------- */
/* Fields that a form's answer leaves out get the defaults that its schema names. */
static void fill_defaults(json_t *answer, const json_t *params)
{
    json_t *properties = json_object_get(json_object_get(params, "requestedSchema"), "properties"), *p;
    json_t *content = json_object_get(answer, "content");
    const char *action = json_string_value(json_object_get(answer, "action")), *key;
    if (!action || strcmp(action, "accept") != 0 || !json_is_object(properties)) return;
    if (!json_is_object(content)) {
        content = json_object();
        json_object_set_new(answer, "content", content);
    }
    json_object_foreach(properties, key, p)
    {
        json_t *value = json_object_get(p, "default");
        if (value && !json_object_get(content, key)) json_object_set(content, key, value);
    }
}

/* The result for a question; NULL: we do not answer such questions. */
static json_t *answer_question(wick_mcp_client *c, const char *method, const json_t *params)
{
    json_t *answer = c->ask ? c->ask(c->ctx, method, params) : NULL;
    if (answer && strcmp(method, "elicitation/create") == 0) fill_defaults(answer, params);
    return answer;
}

void wick_mcp_client_incoming(wick_mcp_client *c, const json_t *m, wick_mcp_wait *w)
{
    wick_rpc_kind kind;
    if (wick_rpc_classify(m, &kind, NULL) != WICK_OK || kind == WICK_RPC_RESPONSE) return;
    const char *method = json_string_value(json_object_get(m, "method"));
    const json_t *params = json_object_get(m, "params"), *id = json_object_get(m, "id");
    if (kind == WICK_RPC_NOTIFICATION) {
        if (w && strcmp(method, "notifications/progress") == 0) {
            const double t = wick_time_ms() + w->timeout_ms;
            w->t_end = t < w->t_last ? t : w->t_last;
        }
        if (c->notice) c->notice(c->ctx, method, params);
        return;
    }
    json_t *response, *result = strcmp(method, "ping") == 0 ? json_object() : answer_question(c, method, params);
    if (result)
        response = wick_rpc_result(id, result);
    else
        response = wick_rpc_error(id, WICK_RPC_NO_METHOD, "this client does not answer that", NULL);
    if (response)
        (void)(c->transport->notify(c, response, NULL) == WICK_OK); /* a broken connection shows at the request */
    json_decref(response);
}

wick_status wick_mcp_wait_check(const wick_mcp_client *c, const wick_mcp_wait *w, wick_err *err)
{
    if (atomic_load(&c->closing) || (w->cancel && atomic_load(w->cancel)))
        return WICK_FAIL(err, WICK_E_CANCELLED, c->name, "MCP server %s: the request was cancelled", c->name);
    if (wick_time_ms() > w->t_end)
        return WICK_FAIL(err, WICK_E_LIMIT, c->name, "MCP server %s: no answer in %u s", c->name, w->timeout_ms / 1000);
    return WICK_OK;
}

/* --- one request -------------------------------------------------------------------------------------------------- */
/* The parameters of a request as its revision has them; takes params. */
static json_t *with_meta(const wick_mcp_client *c, json_t *params)
{
    if (!c->stateless) return params;
    if (!params) params = json_object();
    json_t *meta = json_object_get(params, "_meta");
    meta = meta ? json_copy(meta) : json_object();
    json_object_set_new(meta, WICK_MCP_META_VERSION, json_string(c->version));
    json_object_set_new(meta, WICK_MCP_META_CLIENT, json_pack("{s:s, s:s}", "name", "wick", "version", WICK_VERSION));
    json_object_set(meta, WICK_MCP_META_CAPS, c->client_caps);
    json_object_set_new(params, "_meta", meta);
    return params;
}

/* Tells a server that keeps a connection that we no longer wait. */
static void tell_cancelled(wick_mcp_client *c, const wick_mcp_wait *w)
{
    json_t *p = json_pack("{s:I, s:s}", "requestId", w->id, "reason", "not waited for any longer");
    json_t *m = wick_rpc_notification("notifications/cancelled", p);
    if (m && c->ready) (void)(c->transport->notify(c, m, NULL) == WICK_OK);
    json_decref(m);
}

/* Sends the request and gives the whole response. Takes params. */
static wick_status round_trip(wick_mcp_client *c, const char *method, json_t *params, uint32_t timeout_ms,
                              const wick_cancel *cancel, json_t **response, wick_err *err)
{
    wick_mcp_wait w = {.timeout_ms = timeout_ms ? timeout_ms : c->timeout_ms, .cancel = cancel};
    wick_lock_take(&c->lock);
    w.id = c->next_id++;
    wick_lock_drop(&c->lock);
    w.t_end = wick_time_ms() + w.timeout_ms;
    w.t_last = wick_time_ms() + 10.0 * w.timeout_ms;
    json_t *m = wick_rpc_request(w.id, method, with_meta(c, params));
    if (!m) return wick_err_oom(err, "MCP request", 0, 0);
    w.message = m;
    const wick_status st = c->transport->exchange(c, &w, err);
    json_decref(m);
    if (st != WICK_OK) {
        json_decref(w.response);
        if (st == WICK_E_CANCELLED || st == WICK_E_LIMIT) tell_cancelled(c, &w);
        return st;
    }
    *response = w.response;
    return WICK_OK;
}

static wick_status server_error(const wick_mcp_client *c, const char *method, const json_t *response, wick_err *err)
{
    const int code = wick_rpc_error_code(response);
    const char *text = json_string_value(json_object_get(json_object_get(response, "error"), "message"));
    const bool ours = code == WICK_RPC_INVALID_PARAMS || code == WICK_RPC_NO_METHOD || code == WICK_RPC_NO_RESOURCE ||
                      code == WICK_RPC_INVALID_REQUEST;
    const wick_status st =
        WICK_FAIL(err, ours ? WICK_E_BAD_PARAMETER : WICK_E_INTERNAL, c->name, "MCP server %s: %s: %.300s (%d)",
                  c->name, method, text ? text : "an error without a message", code);
    if (err) snprintf(err->got, sizeof err->got, "%d", code);
    return st;
}

/* Answers to all that a result asks for; NULL: one of them was declined. */
static json_t *answer_all(wick_mcp_client *c, json_t *requests)
{
    const char *key;
    json_t *q, *answers = json_object();
    json_object_foreach(requests, key, q)
    {
        const char *method = json_string_value(json_object_get(q, "method"));
        json_t *a = method ? answer_question(c, method, json_object_get(q, "params")) : NULL;
        if (!a) {
            json_decref(answers);
            return NULL;
        }
        json_object_set_new(answers, key, a);
    }
    return answers;
}

wick_status wick_mcp_client_request(wick_mcp_client *c, const char *method, json_t *params, uint32_t timeout_ms,
                                    const wick_cancel *cancel, json_t **result, wick_err *err)
{
    wick_status st = WICK_OK;
    json_t *response = NULL;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        json_t *sent = params ? json_copy(params) : NULL;
        st = round_trip(c, method, sent, timeout_ms, cancel, &response, err);
        if (st != WICK_OK) break;
        json_t *r = json_object_get(response, "result");
        const char *type = json_string_value(json_object_get(r, "resultType"));
        if (!r) {
            st = server_error(c, method, response, err);
            break;
        }
        if (!c->stateless || !type || strcmp(type, "input_required") != 0) {
            *result = json_incref(r);
            json_decref(response);
            json_decref(params);
            return WICK_OK;
        }
        json_t *answers = answer_all(c, json_object_get(r, "inputRequests")),
               *state = json_object_get(r, "requestState");
        if (!answers) {
            st = WICK_FAIL(err, WICK_E_REFUSED, c->name, "MCP server %s: %s asked for input, which was declined",
                           c->name, method);
            break;
        }
        if (!params) params = json_object();
        json_object_set_new(params, "inputResponses", answers);
        if (state)
            json_object_set(params, "requestState", state);
        else
            json_object_del(params, "requestState");
        json_decref(response);
        response = NULL;
    }
    if (st == WICK_OK)
        st = WICK_FAIL(err, WICK_E_LIMIT, c->name, "MCP server %s: %s asked for input %d times", c->name, method,
                       ROUNDS_MAX);
    json_decref(response);
    json_decref(params);
    return st;
}

/* --- agreeing on a revision --------------------------------------------------------------------------------------- */
static void keep_identity(wick_mcp_client *c, const json_t *result)
{
    const json_t *info = json_object_get(json_object_get(result, "_meta"), WICK_MCP_META_SERVER);
    const json_t *caps = json_object_get(result, "capabilities");
    const char *text = json_string_value(json_object_get(result, "instructions"));
    if (!info) info = json_object_get(result, "serverInfo");
    json_decref(c->server);
    json_decref(c->server_caps);
    c->server = json_is_object(info) ? wick_json_share(info) : json_object();
    c->server_caps = json_is_object(caps) ? wick_json_share(caps) : json_object();
    wick_free(c->instructions);
    c->instructions = text ? wick_strdup(text) : NULL;
}

static wick_status initialize(wick_mcp_client *c, const char *version, wick_err *err)
{
    json_t *result = NULL;
    c->stateless = false;
    c->version = version;
    json_t *p = json_pack("{s:s, s:O, s:{s:s, s:s}}", "protocolVersion", version, "capabilities", c->client_caps,
                          "clientInfo", "name", "wick", "version", WICK_VERSION);
    WICK_TRY(wick_mcp_client_request(c, "initialize", p, 0, NULL, &result, err));
    const char *theirs = json_string_value(json_object_get(result, "protocolVersion"));
    const char *agreed = wick_mcp_stateful_version(theirs);
    if (!agreed) {
        const wick_status st =
            WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, c->name,
                      "MCP server %s: speaks protocol revision \"%.40s\", which this client does not", c->name,
                      theirs ? theirs : "none");
        json_decref(result);
        return st;
    }
    c->version = agreed;
    keep_identity(c, result);
    json_decref(result);
    json_t *m = wick_rpc_notification("notifications/initialized", NULL);
    const wick_status st = m ? c->transport->notify(c, m, err) : wick_err_oom(err, "MCP message", 0, 0);
    json_decref(m);
    if (st == WICK_OK && c->transport->listen) c->transport->listen(c);
    return st;
}

/* The first of our revisions with initialize that the list has, or NULL. */
static const char *best_stateful(const json_t *versions)
{
    const char *best = NULL;
    for (size_t i = 0; i < json_array_size(versions); i++) {
        const char *v = wick_mcp_stateful_version(json_string_value(json_array_get(versions, i)));
        if (v && (!best || strcmp(v, best) > 0)) best = v;
    }
    return best;
}

static bool has_version(const json_t *versions, const char *version)
{
    for (size_t i = 0; i < json_array_size(versions); i++) {
        const char *v = json_string_value(json_array_get(versions, i));
        if (v && strcmp(v, version) == 0) return true;
    }
    return false;
}

/* server/discover, answered within `patience` ms. *stateful: the revision to initialize with instead, or NULL where the
 * stateless one is agreed. */
static wick_status discover(wick_mcp_client *c, uint32_t patience, const char **stateful, wick_err *err)
{
    json_t *response = NULL;
    *stateful = c->protocol ? c->protocol : WICK_MCP_STATEFUL;
    c->stateless = true;
    c->version = WICK_MCP_STATELESS;
    for (int attempt = 0; attempt < 2; attempt++) {
        wick_status st = round_trip(c, "server/discover", NULL, patience, NULL, &response, err);
        /* An older server may close the stream or say nothing; initialize then shows whether it is there at all. */
        if (st == WICK_E_LIMIT || st == WICK_E_UNSUPPORTED_FORMAT) return WICK_OK;
        WICK_TRY(st);
        const json_t *result = json_object_get(response, "result"), *error = json_object_get(response, "error");
        const json_t *versions = result ? json_object_get(result, "supportedVersions")
                                        : json_object_get(json_object_get(error, "data"), "supported");
        if (result && has_version(versions, WICK_MCP_STATELESS)) {
            keep_identity(c, result);
            *stateful = NULL;
        } else if (best_stateful(versions)) {
            *stateful = best_stateful(versions);
        }
        const bool again = !result && *stateful && has_version(versions, WICK_MCP_STATELESS);
        json_decref(response);
        response = NULL;
        if (!again) break;
    }
    return WICK_OK;
}

static wick_status agree(wick_mcp_client *c, wick_err *err)
{
    const char *stateful = wick_mcp_stateful_version(c->protocol);
    if (c->protocol && !stateful && strcmp(c->protocol, WICK_MCP_STATELESS) != 0)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "protocol", "MCP protocol \"%.40s\" is unknown; newest: %s",
                         c->protocol, WICK_MCP_STATELESS);
    if (!stateful) WICK_TRY(discover(c, c->timeout_ms < DISCOVER_MS ? c->timeout_ms : DISCOVER_MS, &stateful, err));
    if (stateful && c->protocol && strcmp(c->protocol, WICK_MCP_STATELESS) == 0)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, c->name, "MCP server %s: does not speak %s", c->name,
                         c->protocol);
    if (stateful) {
        wick_err why = {0};
        wick_status st = initialize(c, stateful, &why);
        /* A server that was slow to start read our first question only now, and speaks the stateless revision since. */
        const bool stateless_after_all = st != WICK_OK && !c->protocol && atoi(why.got) == WICK_RPC_UNSUPPORTED_VERSION;
        if (stateless_after_all) {
            st = discover(c, c->timeout_ms, &stateful, &why);
            if (st == WICK_OK && stateful) st = initialize(c, stateful, &why);
        }
        if (st != WICK_OK) {
            if (err) *err = why;
            return st;
        }
    }
    c->ready = true;
    return WICK_OK;
}

/* --- opening and closing ------------------------------------------------------------------------------------------ */
wick_status wick_mcp_client_open(wick_mcp_client **out, const wick_mcp_client_opts *o, wick_err *err)
{
    if (!o->argv == !o->url)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "command", "MCP server %s: needs a command or a url", o->name);
    wick_mcp_client *c = wick_alloc_zero(1, sizeof *c);
    if (!c) return wick_err_oom(err, "MCP client", sizeof *c, 0);
    wick_lock_init(&c->lock);
    c->name = wick_strdup(o->name ? o->name : o->url ? o->url : o->argv[0]);
    c->protocol = o->protocol ? wick_strdup(o->protocol) : NULL;
    c->timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
    c->client_caps = o->capabilities ? json_deep_copy(o->capabilities) : json_object();
    c->server = json_object();
    c->server_caps = json_object();
    c->tools = json_object();
    c->ask = o->ask;
    c->notice = o->notice;
    c->ctx = o->ctx;
    c->next_id = 1;
    wick_status st =
        c->name && (c->protocol || !o->protocol) && c->client_caps ? WICK_OK : wick_err_oom(err, "MCP client", 0, 0);
    if (st == WICK_OK) st = o->url ? wick_mcp_http_open(c, o, err) : wick_mcp_stdio_open(c, o, err);
    if (st == WICK_OK) st = agree(c, err);
    if (st != WICK_OK) {
        wick_mcp_client_close(c);
        return st;
    }
    *out = c;
    return WICK_OK;
}

void wick_mcp_client_close(wick_mcp_client *c)
{
    if (!c) return;
    atomic_store(&c->closing, true);
    if (c->transport) c->transport->close(c);
    json_decref(c->client_caps);
    json_decref(c->server);
    json_decref(c->server_caps);
    json_decref(c->tools);
    wick_free(c->name);
    wick_free(c->protocol);
    wick_free(c->instructions);
    wick_lock_release(&c->lock);
    wick_free(c);
}

const char *wick_mcp_client_version(const wick_mcp_client *c)
{
    return c->version;
}

const json_t *wick_mcp_client_server(const wick_mcp_client *c)
{
    return c->server;
}

const json_t *wick_mcp_client_capabilities(const wick_mcp_client *c)
{
    return c->server_caps;
}

const char *wick_mcp_client_instructions(const wick_mcp_client *c)
{
    return c->instructions;
}

/* --- lists and calls ---------------------------------------------------------------------------------------------- */
static const struct {
    const char *what, *method, *capability;
} lists[] = {{"tools", "tools/list", "tools"},
             {"resources", "resources/list", "resources"},
             {"resourceTemplates", "resources/templates/list", "resources"},
             {"prompts", "prompts/list", "prompts"}};

/* Remembers the definitions, and drops the tools that cannot be called. */
static void keep_tools(wick_mcp_client *c, json_t *tools)
{
    json_t *by_name = json_object();
    for (size_t i = json_array_size(tools); i-- > 0;) {
        json_t *t = json_array_get(tools, i);
        const char *name = json_string_value(json_object_get(t, "name"));
        if (!name || !json_is_object(json_object_get(t, "inputSchema")) ||
            (c->stateless && !wick_mcp_tool_headers_ok(t))) {
            wick_log(WICK_LOG_WARN, "MCP server %s: tool %.60s is left out: its definition is not valid", c->name,
                     name ? name : "(without a name)");
            json_array_remove(tools, i);
            continue;
        }
        json_object_set(by_name, name, t);
    }
    wick_lock_take(&c->lock);
    json_decref(c->tools);
    c->tools = by_name;
    wick_lock_drop(&c->lock);
}

static wick_status add_page(wick_mcp_client *c, const char *what, const json_t *page, json_t *all, wick_err *err)
{
    const json_t *list = json_object_get(page, what);
    if (!json_is_array(list))
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->name, "MCP server %s: the list of %s is no array", c->name, what);
    if (json_array_size(all) + json_array_size(list) > LIST_MAX)
        return WICK_FAIL(err, WICK_E_LIMIT, c->name, "MCP server %s: more than %d %s", c->name, LIST_MAX, what);
    return json_array_extend(all, (json_t *)(uintptr_t)list) == 0 ? WICK_OK : wick_err_oom(err, "MCP list", 0, 0);
}

wick_status wick_mcp_client_list(wick_mcp_client *c, const char *what, json_t **out, wick_err *err)
{
    size_t k = 0;
    while (k < 3 && strcmp(lists[k].what, what) != 0) k++;
    json_t *all = json_array(), *cursor = NULL;
    wick_status st = all ? WICK_OK : wick_err_oom(err, "MCP list", 0, 0);
    /* Some servers have tools and forget to say so; of the other lists the capability is believed. */
    if (st == WICK_OK && k > 0 && !json_object_get(c->server_caps, lists[k].capability)) {
        *out = all;
        return WICK_OK;
    }
    for (int page = 0; st == WICK_OK && page < PAGES_MAX; page++) {
        json_t *result = NULL, *params = cursor ? json_pack("{s:o}", "cursor", cursor) : NULL;
        cursor = NULL;
        st = wick_mcp_client_request(c, lists[k].method, params, 0, NULL, &result, err);
        if (st == WICK_OK) st = add_page(c, what, result, all, err);
        json_t *next = st == WICK_OK ? json_object_get(result, "nextCursor") : NULL;
        if (json_is_string(next)) cursor = json_incref(next);
        json_decref(result);
        if (!cursor) break;
    }
    json_decref(cursor);
    if (st != WICK_OK) {
        json_decref(all);
        return st;
    }
    if (k == 0) keep_tools(c, all);
    *out = all;
    return WICK_OK;
}

wick_status wick_mcp_client_call(wick_mcp_client *c, const char *tool, const json_t *arguments, uint32_t timeout_ms,
                                 const wick_cancel *cancel, json_t **result, wick_err *err)
{
    json_t *p = json_pack("{s:s, s:o, s:{s:s}}", "name", tool, "arguments",
                          arguments ? wick_json_share(arguments) : json_object(), "_meta", "progressToken", tool);
    if (!p) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tool", "the name of the tool is no valid UTF-8");
    WICK_TRY(wick_mcp_client_request(c, "tools/call", p, timeout_ms, cancel, result, err));
    if (json_is_array(json_object_get(*result, "content"))) return WICK_OK;
    json_decref(*result);
    return WICK_FAIL(err, WICK_E_BAD_FILE, c->name, "MCP server %s: the result of %.60s has no content", c->name, tool);
}
