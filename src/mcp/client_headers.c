/* mcp/client_headers.c - headers that repeat parts of a stateless request, so that proxies can route without reading
 * bodies.
 *
 * Besides the method and the name, a tool's schema may name headers for parameters ("x-mcp-header": "Region" gives
 * Mcp-Param-Region). Names must be header tokens, each once; only strings, integers and booleans go there. A value that
 * a header cannot carry as it is travels as =?base64?...?=.
 */
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/alloc.h"
#include "mcp/client_int.h"

static bool is_token(const char *s)
{
    static const char more[] = "!#$%&'*+-.^_`|~";
    for (const char *p = s; *p; p++) {
        const bool alnum = (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z');
        if (!alnum && !strchr(more, *p)) return false;
    }
    return *s != '\0';
}

static bool carries(const json_t *property)
{
    const char *type = json_string_value(json_object_get(property, "type"));
    return type && (strcmp(type, "string") == 0 || strcmp(type, "integer") == 0 || strcmp(type, "boolean") == 0);
}

bool wick_mcp_tool_headers_ok(const json_t *tool)
{
    json_t *properties = json_object_get(json_object_get(tool, "inputSchema"), "properties"), *p, *q;
    const char *key, *other;
    json_object_foreach(properties, key, p)
    {
        const json_t *h = json_object_get(p, "x-mcp-header");
        const char *name = json_string_value(h);
        if (!h) continue;
        if (!name || strlen(name) != json_string_length(h) || strlen(name) > 100 || !is_token(name) || !carries(p))
            return false;
        json_object_foreach(properties, other, q)
        {
            const char *twin = json_string_value(json_object_get(q, "x-mcp-header"));
            if (twin && strcmp(key, other) != 0 && strcasecmp(twin, name) == 0) return false;
        }
    }
    return true;
}

/* Can a header carry this text as it is? Visible ASCII with blanks inside, and nothing that looks encoded. */
static bool plain(const char *s, size_t n)
{
    if (n > 0 && (s[0] == ' ' || s[n - 1] == ' ')) return false;
    if (n >= 9 && strncmp(s, "=?base64?", 9) == 0) return false;
    for (size_t i = 0; i < n; i++)
        if (s[i] < 0x20 || s[i] > 0x7e) return false;
    return true;
}

static void add_header(const char *name, const json_t *value, void (*add)(void *ctx, const char *line), void *ctx)
{
    wick_buf b = WICK_BUF_INIT;
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    const char *s = text ? text : json_string_value(value);
    const size_t n = text ? strlen(text) : json_string_length(value);
    wick_buf_puts(&b, name);
    if (s && n == 0) {
        wick_buf_putc(&b, ';'); /* how libcurl is told of an empty value */
    } else if (s && plain(s, n)) {
        wick_buf_puts(&b, ": ");
        wick_buf_add(&b, s, n);
    } else if (s) {
        char *coded = wick_alloc(BASE64_ENCODE_RAW_LENGTH(n) + 1);
        if (coded) {
            base64_encode_raw(coded, n, (const uint8_t *)s);
            coded[BASE64_ENCODE_RAW_LENGTH(n)] = '\0';
            wick_buf_printf(&b, ": =?base64?%s?=", coded);
        }
        wick_free(coded);
    }
    if (s && !b.failed) add(ctx, wick_buf_str(&b));
    free(text);
    wick_buf_release(&b);
}

static void add_params(wick_mcp_client *c, const json_t *params, void (*add)(void *ctx, const char *line), void *ctx)
{
    const char *name = json_string_value(json_object_get(params, "name")), *key;
    const json_t *arguments = json_object_get(params, "arguments");
    json_t *p;
    wick_lock_take(&c->lock);
    json_t *tool = name ? json_incref(json_object_get(c->tools, name)) : NULL;
    wick_lock_drop(&c->lock);
    json_t *properties = json_object_get(json_object_get(tool, "inputSchema"), "properties");
    json_object_foreach(properties, key, p)
    {
        const char *suffix = json_string_value(json_object_get(p, "x-mcp-header"));
        const json_t *v = json_object_get(arguments, key);
        wick_buf full = WICK_BUF_INIT;
        if (!suffix || !v || !(json_is_string(v) || json_is_integer(v) || json_is_boolean(v))) continue;
        wick_buf_printf(&full, "Mcp-Param-%s", suffix);
        add_header(wick_buf_str(&full), v, add, ctx);
        wick_buf_release(&full);
    }
    json_decref(tool);
}

void wick_mcp_request_headers(wick_mcp_client *c, const json_t *message, void (*add)(void *ctx, const char *line),
                              void *ctx)
{
    const json_t *params = json_object_get(message, "params"), *method = json_object_get(message, "method");
    const char *m = json_string_value(method);
    if (!m) return;
    add_header("Mcp-Method", method, add, ctx);
    const bool call = strcmp(m, "tools/call") == 0;
    const json_t *name = strcmp(m, "resources/read") == 0        ? json_object_get(params, "uri")
                         : call || strcmp(m, "prompts/get") == 0 ? json_object_get(params, "name")
                                                                 : NULL;
    if (name) add_header("Mcp-Name", name, add, ctx);
    if (call) add_params(c, params, add, ctx);
}
