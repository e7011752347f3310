/* mcp/dispatch.c - the methods of a server: one row each, with the revisions that have it.
 *
 * A method returns the result object, or NULL with the call's `error` set. What every result of the stateless revision
 * carries besides (resultType, the server's identity, how long it may be cached) is added in one place, finish().
 */
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "mcp/server.h"

/* What a method may use besides the call. */
typedef struct method_io {
    bool (*keep_alive)(void *ctx);
} method_io;

static json_t *fail(wick_mcp_call *c, int code, const char *message, json_t *data)
{
    json_decref(c->error);
    c->error = wick_rpc_error(c->id, code, message, data);
    return NULL;
}

static const char *param(const wick_mcp_call *c, const char *key)
{
    const json_t *v = json_object_get(c->params, key);
    const char *s = json_string_value(v);
    return s && strlen(s) == json_string_length(v) ? s : NULL;
}

/* --- lists -------------------------------------------------------------------------------------------------------- */
static json_t *list(wick_mcp_call *c, wick_mcp_kind kind)
{
    const json_t *cursor = json_object_get(c->params, "cursor");
    json_t *page = cursor && !json_is_string(cursor) ? NULL : wick_mcp_page(c->server, kind, json_string_value(cursor));
    return page ? page : fail(c, WICK_RPC_INVALID_PARAMS, "cursor: not one of ours", NULL);
}

static json_t *list_tools(wick_mcp_call *c, const method_io *io)
{
    (void)io;
    return list(c, WICK_MCP_TOOL);
}

static json_t *list_resources(wick_mcp_call *c, const method_io *io)
{
    (void)io;
    return list(c, WICK_MCP_RESOURCE);
}

static json_t *list_templates(wick_mcp_call *c, const method_io *io)
{
    (void)io;
    return list(c, WICK_MCP_TEMPLATE);
}

static json_t *list_prompts(wick_mcp_call *c, const method_io *io)
{
    (void)io;
    return list(c, WICK_MCP_PROMPT);
}

/* --- handlers ----------------------------------------------------------------------------------------------------- */
/* Answers of the client in a stateless request: an object of objects, or it is no such thing. */
static bool read_responses(wick_mcp_call *c)
{
    const json_t *r = json_object_get(c->params, "inputResponses");
    if (r && !json_is_object(r)) return false;
    c->responses = c->session ? NULL : r;
    return true;
}

/* Runs the handler. True: `c` holds blocks or a result; false: NULL is to be returned, or *instead. */
static bool run(wick_mcp_call *c, const wick_mcp_entry *e, json_t **instead, wick_err *err, wick_status *st)
{
    *instead = NULL;
    *st = WICK_OK;
    if (!read_responses(c)) {
        fail(c, WICK_RPC_INVALID_PARAMS, "inputResponses: must be an object", NULL);
        return false;
    }
    if (!wick_mcp_call_open_state(c)) {
        fail(c, WICK_RPC_INVALID_PARAMS, "requestState: was not made by this server for this call", NULL);
        return false;
    }
    *st = e->fn(e->user, c, err);
    if (c->error) return false;
    if (*st == WICK_OK && json_object_size(c->questions) > 0) {
        *instead = wick_mcp_call_input_required(c);
        return false;
    }
    return true;
}

/* The entry that "name" names, with the call's arguments. False: the call's error says why there is none. */
static bool find_named(wick_mcp_call *c, wick_mcp_kind kind, const char *none, wick_mcp_entry *e)
{
    const json_t *arguments = json_object_get(c->params, "arguments");
    c->name = param(c, "name");
    if (!c->name) {
        fail(c, WICK_RPC_INVALID_PARAMS, "name: is missing", NULL);
    } else if (arguments && !json_is_object(arguments)) {
        fail(c, WICK_RPC_INVALID_PARAMS, "arguments: must be an object", NULL);
    } else if (!wick_mcp_find(c->server, kind, c->name, e, NULL)) {
        fail(c, WICK_RPC_INVALID_PARAMS, none, json_pack("{s:s}", "name", c->name));
    } else {
        c->arguments = arguments ? wick_json_share(arguments) : json_object();
        return true;
    }
    return false;
}

/* The handler's whole result, or one made of its blocks under `key`. */
static json_t *whole_result(const wick_mcp_call *c, const char *key)
{
    if (c->result) return json_incref(c->result);
    json_t *result = json_object();
    json_object_set_new(result, key, c->blocks ? json_incref(c->blocks) : json_array());
    return result;
}

/* The first required argument that is missing, or NULL. */
static const char *missing_argument(const json_t *required, const json_t *arguments)
{
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (name && !json_object_get(arguments, name)) return name;
    }
    return NULL;
}

static json_t *tool_failure(const char *message)
{
    return json_pack("{s:[{s:s, s:s}], s:b}", "content", "type", "text", "text", message, "isError", 1);
}

static json_t *call_tool(wick_mcp_call *c, const method_io *io)
{
    wick_mcp_entry e;
    wick_err err = {0};
    wick_status st;
    json_t *result;
    (void)io;
    if (!find_named(c, WICK_MCP_TOOL, "there is no such tool", &e)) return NULL;
    const json_t *required = json_object_get(json_object_get(e.definition, "inputSchema"), "required");
    const char *missing = missing_argument(required, c->arguments);
    if (missing) {
        (void)wick_err_set(&err, WICK_E_BAD_PARAMETER, missing, "argument \"%.100s\" is missing", missing);
        result = tool_failure(err.message);
    } else if (run(c, &e, &result, &err, &st)) {
        result = st == WICK_OK ? whole_result(c, "content")
                               : tool_failure(err.message[0] ? err.message : wick_status_name(st));
    }
    json_decref(e.definition);
    return result;
}

/* A result made of blocks under `key`, or the handler's whole result. */
static json_t *gather(wick_mcp_call *c, wick_status st, const char *key, const wick_err *err)
{
    if (st != WICK_OK)
        return fail(c, st == WICK_E_BAD_PARAMETER ? WICK_RPC_INVALID_PARAMS : WICK_RPC_INTERNAL,
                    err->message[0] ? err->message : wick_status_name(st), NULL);
    return whole_result(c, key);
}

static json_t *read_resource(wick_mcp_call *c, const method_io *io)
{
    wick_mcp_entry e;
    wick_err err = {0};
    wick_status st;
    json_t *result, *vars = json_object();
    (void)io;
    c->name = param(c, "uri");
    c->arguments = vars;
    if (!c->name) return fail(c, WICK_RPC_INVALID_PARAMS, "uri: is missing", NULL);
    if (!wick_mcp_find(c->server, WICK_MCP_RESOURCE, c->name, &e, &vars))
        return fail(c, c->session ? WICK_RPC_NO_RESOURCE : WICK_RPC_INVALID_PARAMS, "Resource not found",
                    json_pack("{s:s}", "uri", c->name));
    if (run(c, &e, &result, &err, &st)) result = gather(c, st, "contents", &err);
    json_decref(e.definition);
    return result;
}

static json_t *get_prompt(wick_mcp_call *c, const method_io *io)
{
    wick_mcp_entry e;
    wick_err err = {0};
    wick_status st;
    json_t *result = NULL;
    (void)io;
    if (!find_named(c, WICK_MCP_PROMPT, "there is no such prompt", &e)) return NULL;
    const json_t *known = json_object_get(e.definition, "arguments");
    const char *missing = NULL;
    for (size_t i = 0; i < json_array_size(known) && !missing; i++) {
        const json_t *a = json_array_get(known, i);
        const char *name = json_string_value(json_object_get(a, "name"));
        if (name && json_is_true(json_object_get(a, "required")) && !json_object_get(c->arguments, name))
            missing = name;
    }
    if (missing)
        fail(c, WICK_RPC_INVALID_PARAMS, "a required argument is missing", json_pack("{s:s}", "argument", missing));
    else if (run(c, &e, &result, &err, &st))
        result = gather(c, st, "messages", &err);
    json_decref(e.definition);
    return result;
}

static json_t *complete(wick_mcp_call *c, const method_io *io)
{
    wick_err err = {0};
    (void)io;
    wick_lock_take(&c->server->lock);
    const wick_mcp_entry e = {.fn = c->server->complete, .user = c->server->complete_user};
    wick_lock_drop(&c->server->lock);
    if (!e.fn) return fail(c, WICK_RPC_NO_METHOD, "this server completes nothing", NULL);
    const json_t *argument = json_object_get(c->params, "argument");
    c->name = json_string_value(json_object_get(argument, "name"));
    if (!c->name || !json_is_string(json_object_get(argument, "value")) ||
        !json_is_object(json_object_get(c->params, "ref")))
        return fail(c, WICK_RPC_INVALID_PARAMS, "completion needs ref and argument {name, value}", NULL);
    const wick_status st = e.fn(e.user, c, &err);
    if (c->error) return NULL;
    if (st == WICK_OK && !c->result) return json_pack("{s:{s:[]}}", "completion", "values");
    return gather(c, st, "completion", &err);
}

/* --- small ones --------------------------------------------------------------------------------------------------- */
static json_t *ping(wick_mcp_call *c, const method_io *io)
{
    (void)c;
    (void)io;
    return json_object();
}

static json_t *set_level(wick_mcp_call *c, const method_io *io)
{
    const int level = wick_mcp_log_level(param(c, "level"));
    (void)io;
    if (level < 0) return fail(c, WICK_RPC_INVALID_PARAMS, "level: not a log level", NULL);
    atomic_store(&c->session->log_level, level);
    return json_object();
}

static json_t *subscribe(wick_mcp_call *c, bool on)
{
    wick_mcp_stream *t = &c->session->stream;
    const char *uri = param(c, "uri");
    if (!uri) return fail(c, WICK_RPC_INVALID_PARAMS, "uri: is missing", NULL);
    wick_lock_take(&t->lock);
    if (!on)
        json_object_del(t->uris, uri);
    else if (json_object_size(t->uris) < 1024)
        json_object_set_new(t->uris, uri, json_true());
    wick_lock_drop(&t->lock);
    return json_object();
}

static json_t *subscribe_on(wick_mcp_call *c, const method_io *io)
{
    (void)io;
    return subscribe(c, true);
}

static json_t *subscribe_off(wick_mcp_call *c, const method_io *io)
{
    (void)io;
    return subscribe(c, false);
}

static json_t *discover(wick_mcp_call *c, const method_io *io)
{
    json_t *r = json_object();
    (void)io;
    json_object_set_new(r, "supportedVersions", wick_mcp_versions());
    json_object_set_new(r, "capabilities", wick_mcp_capabilities(c->server));
    if (c->server->instructions) json_object_set_new(r, "instructions", json_string(c->server->instructions));
    return r;
}

/* Stays open and writes announcements out; the first message tells what is listened to. */
static json_t *listen_changes(wick_mcp_call *c, const method_io *io)
{
    static const struct {
        const char *key;
        unsigned bit;
    } filters[] = {{"toolsListChanged", WICK_MCP_TOOLS_CHANGED},
                   {"promptsListChanged", WICK_MCP_PROMPTS_CHANGED},
                   {"resourcesListChanged", WICK_MCP_RESOURCES_CHANGED}};
    const json_t *want = json_object_get(c->params, "notifications");
    wick_mcp_stream t;
    unsigned wants = 0;
    json_t *agreed = json_object();
    if (!json_is_object(want)) {
        json_decref(agreed);
        return fail(c, WICK_RPC_INVALID_PARAMS, "notifications: must be an object", NULL);
    }
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        if (!json_is_true(json_object_get(want, filters[i].key))) continue;
        wants |= filters[i].bit;
        json_object_set_new(agreed, filters[i].key, json_true());
    }
    wick_mcp_stream_init(&t, c->server, 0);
    const json_t *uris = json_object_get(want, "resourceSubscriptions");
    for (size_t i = 0; i < json_array_size(uris) && i < 1024; i++) {
        const char *uri = json_string_value(json_array_get(uris, i));
        if (uri) json_object_set_new(t.uris, uri, json_true());
    }
    if (json_array_size(uris) > 0) json_object_set_new(agreed, "resourceSubscriptions", wick_json_share(uris));
    t.subscription = wick_json_share(c->id);
    json_t *p = json_pack("{s:{s:O}, s:o}", "_meta", WICK_MCP_META_SUBSCRIPTION, c->id, "notifications", agreed);
    if (wick_mcp_call_send(c, wick_rpc_notification("notifications/subscriptions/acknowledged", p))) {
        wick_lock_take(&c->server->lock);
        t.wants = wants;
        wick_lock_drop(&c->server->lock);
        wick_mcp_stream_run(&t, c->server, c->out, c, io->keep_alive);
    }
    wick_mcp_stream_release(&t, c->server);
    return json_pack("{s:{s:O}}", "_meta", WICK_MCP_META_SUBSCRIPTION, c->id);
}

/* --- the table ---------------------------------------------------------------------------------------------------- */
enum { STATEFUL = 1, STATELESS = 2, BOTH = 3, CACHEABLE = 4 };

static const struct method {
    const char *name;
    unsigned flags;
    json_t *(*fn)(wick_mcp_call *c, const method_io *io);
} methods[] = {
    {"tools/list", BOTH | CACHEABLE, list_tools},
    {"tools/call", BOTH, call_tool},
    {"resources/list", BOTH | CACHEABLE, list_resources},
    {"resources/templates/list", BOTH | CACHEABLE, list_templates},
    {"resources/read", BOTH | CACHEABLE, read_resource},
    {"prompts/list", BOTH | CACHEABLE, list_prompts},
    {"prompts/get", BOTH, get_prompt},
    {"completion/complete", BOTH, complete},
    {"ping", STATEFUL, ping},
    {"logging/setLevel", STATEFUL, set_level},
    {"resources/subscribe", STATEFUL, subscribe_on},
    {"resources/unsubscribe", STATEFUL, subscribe_off},
    {"server/discover", STATELESS | CACHEABLE, discover},
    {"subscriptions/listen", STATELESS, listen_changes},
};

static const struct method *find_method(const char *name, bool stateless)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].name, name) == 0 && methods[i].flags & (stateless ? STATELESS : STATEFUL))
            return &methods[i];
    return NULL;
}

/* What a stateless result must carry besides. Handlers' own values stay. */
static void finish(wick_mcp_server *s, json_t *result, bool cacheable)
{
    if (!json_object_get(result, "resultType")) json_object_set_new(result, "resultType", json_string("complete"));
    json_t *meta = json_object_get(result, "_meta");
    if (!json_is_object(meta)) {
        meta = json_object();
        json_object_set_new(result, "_meta", meta);
    }
    json_object_set_new(meta, WICK_MCP_META_SERVER, wick_mcp_identity(s));
    if (!cacheable) return;
    if (!json_object_get(result, "ttlMs")) json_object_set_new(result, "ttlMs", json_integer(0));
    if (!json_object_get(result, "cacheScope")) json_object_set_new(result, "cacheScope", json_string("private"));
}

static void begin_call(wick_mcp_call *c, wick_mcp_session *n, const json_t *request)
{
    const json_t *meta = json_object_get(json_object_get(request, "params"), "_meta");
    c->session = n;
    c->id = json_object_get(request, "id");
    c->params = json_object_get(request, "params");
    c->progress_token = json_object_get(meta, "progressToken");
    if (!json_is_string(c->progress_token) && !json_is_integer(c->progress_token)) c->progress_token = NULL;
    wick_lock_init(&c->lock);
    if (!n) {
        const int level = wick_mcp_log_level(json_string_value(json_object_get(meta, WICK_MCP_META_LOG)));
        c->caps = json_object_get(meta, WICK_MCP_META_CAPS);
        c->log_level = level < 0 ? 8 : level;
        return;
    }
    c->caps = n->caps;
    c->log_level = atomic_load(&n->log_level);
    wick_lock_take(&n->lock);
    c->next_in_session = n->calls;
    n->calls = c;
    wick_lock_drop(&n->lock);
}

static void end_call(wick_mcp_call *c)
{
    wick_mcp_session *n = c->session;
    if (n) {
        wick_lock_take(&n->lock);
        wick_mcp_call **at = &n->calls;
        while (*at != c) at = &(*at)->next_in_session;
        *at = c->next_in_session;
        wick_lock_drop(&n->lock);
    }
    json_t *const values[] = {c->arguments, c->blocks, c->result, c->error, c->questions, c->answers};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) json_decref(values[i]);
    for (size_t i = 0; i < 3; i++) free(c->texts[i]);
    wick_free(c->state_in);
    wick_free(c->state_out);
    wick_lock_release(&c->lock);
}

json_t *wick_mcp_dispatch(wick_mcp_server *s, wick_mcp_session *session, const json_t *request, const wick_mcp_out *out,
                          bool (*keep_alive)(void *ctx))
{
    const char *name = json_string_value(json_object_get(request, "method"));
    const json_t *id = json_object_get(request, "id");
    const struct method *m = find_method(name, !session);
    const method_io io = {.keep_alive = keep_alive};
    wick_mcp_call c = {.server = s, .out = out};
    if (!m) return wick_rpc_error(id, WICK_RPC_NO_METHOD, "Method not found", json_pack("{s:s}", "method", name));
    begin_call(&c, session, request);
    json_t *result = m->fn(&c, &io), *response;
    if (c.error && !result) {
        response = json_incref(c.error);
    } else {
        if (result && !session) finish(s, result, m->flags & CACHEABLE);
        response = result ? wick_rpc_result(id, result) : wick_rpc_error(id, WICK_RPC_INTERNAL, "out of memory", NULL);
    }
    const bool unwanted = session && atomic_load(&c.cancelled);
    end_call(&c);
    if (unwanted) { /* a cancelled request has no response */
        json_decref(response);
        return NULL;
    }
    return response;
}

void wick_mcp_notice(wick_mcp_server *s, wick_mcp_session *session, const json_t *message)
{
    const char *method = json_string_value(json_object_get(message, "method"));
    (void)s;
    if (session && strcmp(method, "notifications/cancelled") == 0)
        wick_mcp_session_cancel(session, json_object_get(json_object_get(message, "params"), "requestId"));
}

json_t *wick_mcp_initialize(wick_mcp_server *s, const json_t *request, wick_mcp_session **out)
{
    const json_t *id = json_object_get(request, "id"), *params = json_object_get(request, "params");
    const json_t *caps = json_object_get(params, "capabilities");
    const char *asked = json_string_value(json_object_get(params, "protocolVersion"));
    *out = NULL;
    if (!asked) return wick_rpc_error(id, WICK_RPC_INVALID_PARAMS, "protocolVersion: is missing", NULL);
    if (caps && !json_is_object(caps))
        return wick_rpc_error(id, WICK_RPC_INVALID_PARAMS, "capabilities: must be an object", NULL);
    const char *version = wick_mcp_stateful_version(asked);
    if (!version) version = WICK_MCP_STATEFUL;
    wick_mcp_session *n = wick_mcp_session_new(s, version, caps);
    if (!n) return wick_rpc_error(id, WICK_RPC_INTERNAL, "out of memory", NULL);
    json_t *r = json_object();
    json_object_set_new(r, "protocolVersion", json_string(version));
    json_object_set_new(r, "capabilities", wick_mcp_capabilities(s));
    json_object_set_new(r, "serverInfo", wick_mcp_identity(s));
    if (s->instructions) json_object_set_new(r, "instructions", json_string(s->instructions));
    *out = n;
    return wick_rpc_result(id, r);
}

json_t *wick_mcp_check_meta(const json_t *request)
{
    const json_t *id = json_object_get(request, "id");
    const json_t *meta = json_object_get(json_object_get(request, "params"), "_meta");
    const json_t *version = json_object_get(meta, WICK_MCP_META_VERSION);
    if (!json_is_object(meta))
        return wick_rpc_error(id, WICK_RPC_INVALID_PARAMS,
                              "params._meta: is missing; it names version and capabilities", NULL);
    if (!json_is_string(version))
        return wick_rpc_error(id, WICK_RPC_INVALID_PARAMS, "params._meta: " WICK_MCP_META_VERSION " is missing", NULL);
    if (!json_is_object(json_object_get(meta, WICK_MCP_META_CAPS)))
        return wick_rpc_error(id, WICK_RPC_INVALID_PARAMS, "params._meta: " WICK_MCP_META_CAPS " is missing", NULL);
    return NULL;
}
