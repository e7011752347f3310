/* toolbox/mcp_tools.c - the tools of an MCP server, each as a tool of the set.
 *
 * The connection is shared by all of its tools. When it breaks, calls under way fail, and the next call opens it again;
 * a server that changes its list of tools meanwhile is seen with the list of the beginning. What a result holds besides
 * text (images, sounds, resources) is named in words, since a text model reads it. */
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "mcp/client.h"
#include "toolbox/toolbox_int.h"

struct wick_mcp_box {
    char *name, *url, *cwd, *protocol;
    char **argv, **env, **headers;
    uint32_t timeout_ms;
    json_t *safe;            /* true, an array of names, or NULL */
    wick_lock lock;          /* of what follows */
    wick_mcp_client *client; /* NULL: not connected */
    unsigned n_users;        /* calls that hold the client */
    bool broken;             /* to be closed when nobody holds it */
    json_t *tools;           /* the list of the beginning */
};

/* user of one tool */
typedef struct remote {
    wick_mcp_box *box;
    char *name; /* on the server */
} remote;

static void free_remote(void *user)
{
    remote *r = user;
    wick_free(r->name);
    wick_free(r);
}

/* --- the connection ----------------------------------------------------------------------------------------------- */
static wick_status connect(wick_mcp_box *m, wick_mcp_client **out, wick_err *err)
{
    const wick_mcp_client_opts o = {.name = m->name,
                                    .argv = (const char *const *)(uintptr_t)m->argv,
                                    .env = (const char *const *)(uintptr_t)m->env,
                                    .cwd = m->cwd,
                                    .url = m->url,
                                    .headers = (const char *const *)(uintptr_t)m->headers,
                                    .protocol = m->protocol,
                                    .timeout_ms = m->timeout_ms};
    return wick_mcp_client_open(out, &o, err);
}

/* The client, held; connects again where it broke. */
static wick_status hold(wick_mcp_box *m, wick_mcp_client **out, wick_err *err)
{
    wick_status st = WICK_OK;
    wick_lock_take(&m->lock);
    if (m->broken && m->n_users == 0) {
        wick_mcp_client_close(m->client);
        m->client = NULL;
        m->broken = false;
    }
    if (m->broken)
        st =
            WICK_FAIL(err, WICK_E_IO, m->name, "MCP server %s: the connection broke; it is opened again soon", m->name);
    else if (!m->client)
        st = connect(m, &m->client, err);
    if (st == WICK_OK) {
        m->n_users++;
        *out = m->client;
    }
    wick_lock_drop(&m->lock);
    return st;
}

static void let_go(wick_mcp_box *m, bool broken)
{
    wick_lock_take(&m->lock);
    m->n_users--;
    m->broken |= broken;
    wick_lock_drop(&m->lock);
}

/* --- results ------------------------------------------------------------------------------------------------------ */
static void add_block(const json_t *block, wick_buf *out)
{
    const char *type = json_string_value(json_object_get(block, "type"));
    const json_t *resource = json_object_get(block, "resource"), *text = json_object_get(block, "text");
    if (!json_is_string(text)) text = json_object_get(resource, "text");
    const char *mime = json_string_value(json_object_get(resource ? resource : block, "mimeType"));
    const char *uri = json_string_value(json_object_get(resource ? resource : block, "uri"));
    if (out->n > 0) wick_buf_putc(out, '\n');
    if (json_is_string(text))
        wick_buf_add(out, json_string_value(text), json_string_length(text));
    else
        wick_buf_printf(out, "[%s%s%.100s%s%.200s]", type ? type : "content", mime ? ", " : "", mime ? mime : "",
                        uri ? ", " : "", uri ? uri : "");
}

/* The text that the model reads. Structured content is taken where there is no text. */
static void write_result(const json_t *result, wick_buf *out)
{
    const json_t *content = json_object_get(result, "content"), *data = json_object_get(result, "structuredContent");
    if (json_array_size(content) == 0 && data) {
        char *text = json_dumps(data, JSON_ENCODE_ANY);
        wick_buf_puts(out, text ? text : "");
        free(text);
        return;
    }
    for (size_t i = 0; i < json_array_size(content); i++) add_block(json_array_get(content, i), out);
}

static wick_status call_remote(void *user, const wick_tool_job *call, wick_buf *out, wick_err *err)
{
    const remote *r = user;
    wick_mcp_client *c = NULL;
    json_t *arguments = NULL, *result = NULL;
    WICK_TRY(wick_json_parse(call->arguments, strlen(call->arguments), "arguments", &arguments, err));
    wick_status st = hold(r->box, &c, err);
    if (st == WICK_OK) {
        const uint32_t ms =
            r->box->timeout_ms && r->box->timeout_ms < call->timeout_ms ? r->box->timeout_ms : call->timeout_ms;
        st = wick_mcp_client_call(c, r->name, arguments, ms, call->cancel, &result, err);
        let_go(r->box, st == WICK_E_IO);
    }
    if (st == WICK_OK) {
        write_result(result, out);
        if (json_is_true(json_object_get(result, "isError")))
            st = WICK_FAIL(err, WICK_E_INTERNAL, r->name, "%.400s", out->n ? wick_buf_str(out) : "the tool failed");
    }
    json_decref(arguments);
    json_decref(result);
    return st;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */
static bool is_safe(const wick_mcp_box *m, const json_t *tool)
{
    const char *name = json_string_value(json_object_get(tool, "name"));
    if (json_is_true(m->safe)) return true;
    for (size_t i = 0; i < json_array_size(m->safe); i++) {
        const char *s = json_string_value(json_array_get(m->safe, i));
        if (s && strcmp(s, name) == 0) return true;
    }
    return false; /* what a server says of its own tools (readOnlyHint) is not believed */
}

/* Characters that names of functions cannot have become '_'. */
static void clean_name(const char *prefix, const char *name, char out[65])
{
    wick_buf b = WICK_BUF_INIT;
    wick_buf_printf(&b, "%s%s%s", prefix ? prefix : "", prefix ? "_" : "", name);
    const char *s = wick_buf_str(&b);
    size_t n = 0;
    for (; s[n] && n < 64; n++) {
        const bool ok = (s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || (s[n] >= '0' && s[n] <= '9') ||
                        strchr("_-.", s[n]);
        out[n] = ok ? s[n] : '_';
    }
    out[n] = '\0';
    wick_buf_release(&b);
}

static wick_status add_tool(wick_toolbox *b, wick_mcp_box *m, const json_t *tool, wick_err *err)
{
    char name[65];
    const char *theirs = json_string_value(json_object_get(tool, "name"));
    char *schema = json_dumps(json_object_get(tool, "inputSchema"), 0);
    remote *r = wick_alloc_zero(1, sizeof *r);
    clean_name(NULL, theirs, name);
    if (wick_toolset_has(b->tools, name)) clean_name(m->name, theirs, name);
    if (r) r->name = wick_strdup(theirs);
    if (r) r->box = m;
    wick_status st = r && r->name && schema ? WICK_OK : wick_err_oom(err, "tools", 0, 0);
    const wick_tool_def def = {.name = name,
                               .description = json_string_value(json_object_get(tool, "description")),
                               .schema = schema,
                               .safe = is_safe(m, tool),
                               .fn = call_remote,
                               .user = r,
                               .release = free_remote};
    if (st == WICK_OK && wick_toolset_has(b->tools, name)) { /* two of one server that differ in what was cleaned */
        wick_log(WICK_LOG_WARN, "MCP server %s: tool %s is left out: the name is taken", m->name, name);
        free_remote(r);
        free(schema);
        return WICK_OK;
    }
    if (st == WICK_OK) st = wick_toolset_add(b->tools, &def, err);
    if (st != WICK_OK && r) free_remote(r);
    free(schema);
    return st;
}

static wick_status read_headers(wick_mcp_box *m, const json_t *headers, const wick_toolbox_opts *o, wick_err *err)
{
    const char *key;
    json_t *v;
    size_t n = 0;
    m->headers = wick_alloc_zero(json_object_size(headers) + 1, sizeof *m->headers);
    if (!m->headers) return wick_err_oom(err, m->name, 0, 0);
    json_object_foreach((json_t *)(uintptr_t)headers, key, v)
    {
        char *value;
        wick_buf b = WICK_BUF_INIT;
        WICK_TRY(wick_toolbox_text(v, m->name, o, &value, err));
        wick_buf_printf(&b, "%s: %s", key, value);
        wick_free(value);
        m->headers[n] = wick_buf_take(&b, NULL);
        if (!m->headers[n++]) return wick_err_oom(err, m->name, 0, 0);
    }
    return WICK_OK;
}

static wick_status read_server(wick_mcp_box *m, const json_t *c, const wick_toolbox_opts *o, wick_err *err)
{
    const json_t *url = json_object_get(c, "url"), *command = json_object_get(c, "command"),
                 *cwd = json_object_get(c, "cwd");
    const json_t *protocol = json_object_get(c, "protocol"), *timeout = json_object_get(c, "timeout");
    if (!url) url = json_object_get(c, "serverUrl");
    if (!json_is_object(c))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, m->name, "MCP server %s: must be an object", m->name);
    if (timeout &&
        (!json_is_number(timeout) || !(json_number_value(timeout) > 0) || json_number_value(timeout) > 86400))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, m->name, "MCP server %s: \"timeout\" must be seconds, 1 to 86400",
                         m->name);
    if (timeout) m->timeout_ms = (uint32_t)(json_number_value(timeout) * 1000);
    const json_t *safe = json_object_get(c, "safe");
    m->safe = safe ? json_incref((json_t *)(uintptr_t)safe) : NULL;
    if (protocol) WICK_TRY(wick_toolbox_text(protocol, m->name, o, &m->protocol, err));
    if (url) {
        WICK_TRY(wick_toolbox_text(url, m->name, o, &m->url, err));
        return read_headers(m, json_object_get(c, "headers"), o, err);
    }
    if (!command)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, m->name, "MCP server %s: needs \"command\" or \"url\"", m->name);
    json_t *all = json_array();
    json_array_append(all, (json_t *)(uintptr_t)command);
    if (json_is_array(json_object_get(c, "args"))) json_array_extend(all, json_object_get(c, "args"));
    wick_status st = wick_toolbox_texts(all, m->name, o, &m->argv, err);
    json_decref(all);
    if (st == WICK_OK) st = wick_toolbox_env(json_object_get(c, "env"), m->name, o, &m->env, err);
    if (st == WICK_OK && cwd) st = wick_toolbox_text(cwd, m->name, o, &m->cwd, err);
    return st;
}

wick_status wick_toolbox_add_server(wick_toolbox *b, const char *name, const json_t *c, const wick_toolbox_opts *o,
                                    wick_err *err)
{
    wick_mcp_box *m = wick_alloc_zero(1, sizeof *m);
    if (!m) return wick_err_oom(err, "MCP server", sizeof *m, 0);
    wick_lock_init(&m->lock);
    m->name = wick_strdup(name);
    wick_status st = m->name ? read_server(m, c, o, err) : wick_err_oom(err, "MCP server", 0, 0);
    if (st == WICK_OK) st = connect(m, &m->client, err);
    if (st == WICK_OK) st = wick_mcp_client_list(m->client, "tools", &m->tools, err);
    if (st != WICK_OK) {
        wick_mcp_box_close(m);
        return st;
    }
    b->servers[b->n_servers++] = m; /* from here on its tools may hold it */
    for (size_t i = 0; st == WICK_OK && i < json_array_size(m->tools); i++)
        st = add_tool(b, m, json_array_get(m->tools, i), err);
    return st;
}

void wick_mcp_box_close(wick_mcp_box *m)
{
    if (!m) return;
    wick_mcp_client_close(m->client);
    json_decref(m->safe);
    json_decref(m->tools);
    wick_toolbox_texts_free(m->argv);
    wick_toolbox_texts_free(m->env);
    wick_toolbox_texts_free(m->headers);
    wick_free(m->name);
    wick_free(m->url);
    wick_free(m->cwd);
    wick_free(m->protocol);
    wick_lock_release(&m->lock);
    wick_free(m);
}

json_t *wick_mcp_box_row(wick_mcp_box *m)
{
    json_t *row = json_object();
    json_object_set_new(row, "name", json_string(m->name));
    json_object_set_new(row, "protocol", json_string(wick_mcp_client_version(m->client)));
    json_object_set(row, "server", (json_t *)(uintptr_t)wick_mcp_client_server(m->client));
    json_object_set(row, "capabilities", (json_t *)(uintptr_t)wick_mcp_client_capabilities(m->client));
    const char *text = wick_mcp_client_instructions(m->client);
    if (text) json_object_set_new(row, "instructions", json_string(text));
    json_object_set(row, "tools", m->tools);
    return row;
}
