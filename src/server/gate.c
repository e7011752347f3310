/* server/gate.c - what a request must be before anything reads its body: framing, Host, Origin, route, key, type, size.
 *
 * Host and Origin keep web pages out (DNS rebinding, cross-site requests): a browser sends both and a page cannot
 * forge them. An address is no name, so it cannot be rebound: beyond loopback any address is a good Host.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include "base/json.h"
#include "base/json_memory.h"
#include "base/str.h"
#include "base/sys.h"
#include "server/dialect/dialect.h"
#include "server/server_int.h"

typedef struct gate_head {
    unsigned n_host, n_length, n_encoding, n_auth, n_origin;
    size_t bytes;
    bool bad_name, bad_value;
    bool cut_value; /* a NUL byte inside a value: what follows it is not seen */
    const char *host, *length, *encoding, *auth, *origin, *type, *coding, *api_key;
} gate_head;

static bool is_token(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c)) return false;
    }
    return n > 0;
}

static enum MHD_Result one_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t n_name,
                                  const char *value, size_t n_value)
{
    gate_head *h = cls;
    (void)kind;
    h->bytes += n_name + n_value + 4;
    if (!is_token(name, n_name)) h->bad_name = true;
    /* libmicrohttpd puts two NUL bytes over the line's end and hands out the text before the first NUL. Another byte
     * after it
     * is of a value that holds one itself (or of a line that ends with a bare line feed, which is no better). */
    if (n_value > 0 && value[n_value + 1] != '\0') h->cut_value = true;
    for (size_t i = 0; i < n_value; i++)
        if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f) h->bad_value = true;
    const struct {
        const char *name;
        unsigned *n;
        const char **value;
    } known[] = {{"host", &h->n_host, &h->host},          {"content-length", &h->n_length, &h->length},
                 {"authorization", &h->n_auth, &h->auth}, {"transfer-encoding", &h->n_encoding, &h->encoding},
                 {"origin", &h->n_origin, &h->origin},    {"content-type", NULL, &h->type},
                 {"content-encoding", NULL, &h->coding},  {"x-api-key", NULL, &h->api_key}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcasecmp(known[i].name, name) != 0) continue;
        if (known[i].n) ++*known[i].n;
        *known[i].value = value ? value : "";
    }
    return MHD_YES;
}

/* "name", "name:port", "[::1]:port" -> the name alone */
static bool host_name(const char *host, char *dst, size_t cap)
{
    const char *from = host, *end, *port;
    if (*host == '[') {
        from = host + 1;
        end = strchr(from, ']');
        if (!end || (end[1] && end[1] != ':')) return false;
        port = end[1] ? end + 2 : NULL;
    } else {
        end = strchr(host, ':');
        port = end ? end + 1 : NULL;
        if (!end) end = host + strlen(host);
    }
    if (port && (strspn(port, "0123456789") != strlen(port) || strlen(port) > 5)) return false;
    size_t n = (size_t)(end - from);
    if (n == 0 || n >= cap) return false;
    memcpy(dst, from, n);
    dst[n] = '\0';
    return true;
}

bool wick_host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(host, "localhost") == 0) return true;
    if (inet_pton(AF_INET, host, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool is_address(const char *host)
{
    unsigned char a[16];
    return inet_pton(AF_INET, host, a) == 1 || inet_pton(AF_INET6, host, a) == 1;
}

static bool host_allowed(const wick_server *s, const char *host)
{
    char name[256];
    if (!host_name(host, name, sizeof name)) return false;
    if (wick_host_is_loopback(name)) return true;
    if (!s->loopback && (is_address(name) || strcasecmp(name, s->config->host) == 0)) return true;
    /* Who must show a key is no web page that a rebound name has led here: any name will do (host.docker.internal). */
    if (s->config->n_key > 0) return true;
    for (uint32_t i = 0; i < s->config->n_allow_host; i++)
        if (strcasecmp(name, s->config->allow_host[i]) == 0) return true;
    return false;
}

/* http://localhost:3000 and the like */
static bool is_local_origin(const char *origin)
{
    char name[256];
    const char *host = strstr(origin, "://");
    if (!host || (strncasecmp(origin, "http://", 7) != 0 && strncasecmp(origin, "https://", 8) != 0)) return false;
    return host_name(host + 3, name, sizeof name) && wick_host_is_loopback(name);
}

bool wick_gate_origin_listed(const wick_server_config *c, const char *origin)
{
    for (uint32_t i = 0; i < c->n_cors_origin; i++)
        if (strcmp(c->cors_origin[i], "localhost") == 0 && is_local_origin(origin)) return true;
    for (uint32_t i = 0; i < c->n_cors_origin; i++)
        if (strcmp(c->cors_origin[i], "*") == 0 || strcasecmp(c->cors_origin[i], origin) == 0) return true;
    return false;
}

/* A page of this very server, or one from the list; administration is for pages of this server only. */
static bool origin_allowed(const wick_exchange *x, const gate_head *h)
{
    const char *scheme = x->s->config->tls_cert ? "https://" : "http://";
    if (!x->own_pages && wick_gate_origin_listed(x->s->config, h->origin)) return true;
    return h->host && strncasecmp(h->origin, scheme, strlen(scheme)) == 0 &&
           strcasecmp(h->origin + strlen(scheme), h->host) == 0;
}

static bool bad_framing(wick_exchange *x, const char *why)
{
    x->close = x->answer_now = true;
    wick_problem(x, 400, NULL, "bad_request", "%s", why);
    return false;
}

static bool check_framing(wick_exchange *x, const gate_head *h)
{
    uint64_t n = 0;
    if (h->bad_name) return bad_framing(x, "a header's name has a character that does not belong there");
    if (h->cut_value) return bad_framing(x, "a header's value has a NUL character, or its line no CR LF");
    if (h->bad_value) return bad_framing(x, "a header's value has a control character");
    if (h->n_length > 1) return bad_framing(x, "Content-Length is given more than once");
    if (h->n_encoding > 1) return bad_framing(x, "Transfer-Encoding is given more than once");
    if (h->n_length && h->n_encoding) return bad_framing(x, "both Content-Length and Transfer-Encoding are given");
    if (h->n_host == 0 && !x->http_1_0) return bad_framing(x, "the Host header is missing");
    if (h->n_host > 1) return bad_framing(x, "Host is given more than once");
    if (h->n_auth > 1 || h->n_origin > 1) return bad_framing(x, "Authorization or Origin is given more than once");
    if (h->encoding && strcasecmp(h->encoding, "chunked") != 0)
        return bad_framing(x, "Transfer-Encoding: only chunked is known");
    if (h->length && (strspn(h->length, "0123456789") != strlen(h->length) || !wick_parse_u64(h->length, &n)))
        return bad_framing(x, "Content-Length is no number");
    x->content_length = h->encoding ? 1 : n; /* 1: there is a body of unknown length */
    return true;
}

static bool check_sizes(wick_exchange *x, const gate_head *h)
{
    const wick_server_limits *l = &x->s->config->limits;
    if (x->uri_bytes > l->uri_bytes) {
        x->close = true;
        wick_problem(x, 414, NULL, "uri_too_long", "the path is longer than %llu bytes",
                     (unsigned long long)l->uri_bytes);
        return false;
    }
    if (h->bytes > l->header_bytes) {
        x->close = true;
        wick_problem(x, 431, NULL, "headers_too_large", "the header is longer than %llu bytes",
                     (unsigned long long)l->header_bytes);
        return false;
    }
    if (!h->encoding && x->content_length > l->body_bytes) {
        wick_problem(x, 413, NULL, "body_too_large", "the body is longer than %llu bytes",
                     (unsigned long long)l->body_bytes);
        return false;
    }
    return true;
}

static bool check_source(wick_exchange *x, const gate_head *h, const char *method)
{
    if (h->host && !host_allowed(x->s, h->host)) {
        wick_problem(x, 403, NULL, "host_not_allowed",
                     "the Host header names \"%.100s\", which this server does not answer for; see --allow-host",
                     h->host);
        return false;
    }
    if (h->origin && !origin_allowed(x, h)) {
        wick_problem(x, 403, NULL, "origin_not_allowed", "web pages of \"%.100s\" may not call; see --cors-origin",
                     h->origin);
        return false;
    }
    if (strcmp(method, "OPTIONS") == 0 && h->origin) { /* a preflight: add_headers says what is allowed */
        wick_buf_reset(&x->out);
        wick_x_text(x, 200, "text/plain");
        return false;
    }
    return true;
}

/* What the header says is the key, or NULL. */
static const char *secret_of(const gate_head *h)
{
    const char *secret = h->api_key; /* as Anthropic's clients and llama.cpp's send it */
    if (!h->auth || strncasecmp(h->auth, "Bearer ", 7) != 0) return secret;
    secret = h->auth + 7;
    while (*secret == ' ') secret++;
    return secret;
}

static bool refuse_key(wick_exchange *x, const gate_head *h)
{
    const bool tried = h->auth || h->api_key;
    char from[WICK_PEER_TEXT];
    if (tried && x->conn) {
        const double now = wick_time_ms();
        wick_guard_say(&x->s->guard, now, "wrong API key from %s for %s", wick_peer_text(&x->conn->peer, from),
                       x->route->path);
        x->t_hold = wick_guard_wrong_key(&x->s->guard, &x->conn->peer, now);
    }
    wick_problem(x, 401, NULL, tried ? "invalid_api_key" : "missing_api_key", "%s",
                 h->auth ? "this API key is not known" : "an API key is needed: Authorization: Bearer KEY");
    return false;
}

static bool check_key(wick_exchange *x, const gate_head *h)
{
    wick_server *s = x->s;
    const bool any = wick_keys_count(&s->keys) > 0 || s->config->n_key > 0;
    const char *secret = secret_of(h);
    wick_key *key = secret ? wick_keys_find(&s->keys, secret, strlen(secret)) : NULL;
    x->admin = key && key->c.scopes & WICK_SCOPE_ADMIN;
    const bool needed = (any || x->route->scope == WICK_SCOPE_ADMIN) && !(x->route->flags & WICK_ROUTE_OPEN);
    if (!needed) { /* clients send one where none is asked for */
        wick_key_unref(&s->keys, key);
        return true;
    }
    x->key = key;
    if (!key) return refuse_key(x, h);
    if (!(key->c.scopes & x->route->scope)) {
        wick_problem(x, 403, NULL, "scope", "this key may not use %s", x->route->path);
        return false;
    }
    return true;
}

static bool check_rate(wick_exchange *x)
{
    const char *what = "";
    if (!x->key || !(x->route->flags & WICK_ROUTE_COUNTED)) return true;
    if (wick_key_begin(&x->s->keys, x->key, wick_time_ms(), &x->retry_after_s, &what)) {
        x->key_counted = true;
        return true;
    }
    wick_problem(x, 429, NULL, "rate_limit_exceeded", "this key's limit of %s is reached; try again in %u s", what,
                 x->retry_after_s);
    return false;
}

static bool is_json(const char *type)
{
    return type && strncasecmp(type, "application/json", 16) == 0 && (!type[16] || strchr("; \t", type[16]));
}

/* MCP has the port that was opened for it alone, or shares that of everything else. */
static bool port_has(const wick_exchange *x, const wick_route *r)
{
    const bool is_mcp = r->dialect == &wick_dialect_mcp;
    if (x->port->only_mcp) return is_mcp;
    return !is_mcp || x->s->config->mcp;
}

bool wick_gate_check(wick_exchange *x, const char *method, const char *url)
{
    gate_head h = {0};
    MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, one_header, &h);
    if (!check_framing(x, &h) || !check_sizes(x, &h)) return false;
    x->own_pages = wick_route_is_own(url);
    if (!check_source(x, &h, method)) return false;
    x->route = x->bad_uri ? NULL : wick_route_find(method, url, x->path_arg, sizeof x->path_arg, &x->allow);
    if (x->route && !port_has(x, x->route)) x->route = NULL;
    if (x->route) x->dialect = x->route->dialect;
    if (!x->route && x->allow &&
        strcmp(method, "OPTIONS") == 0) { /* what may be asked here: the header Allow says it */
        wick_buf_reset(&x->out);
        wick_x_text(x, 204, "text/plain");
        return false;
    }
    if (!x->route && x->allow) {
        wick_problem(x, 405, NULL, "method_not_allowed", "%.20s is not for this path; it takes %s", method, x->allow);
        return false;
    }
    if (!x->route) {
        wick_problem(x, 404, NULL, "unknown_path", "there is no %.100s here; docs/API.md lists the paths", url);
        return false;
    }
    if (!check_key(x, &h)) return false;
    if (strcmp(x->route->method, "POST") == 0 && x->content_length > 0 && !x->dialect->any_type && !is_json(h.type)) {
        wick_problem(x, 415, NULL, "content_type", "the body must be JSON, with Content-Type: application/json");
        return false;
    }
    if (h.coding && x->content_length > 0 && strcasecmp(h.coding, "identity") != 0) {
        x->gzip = strcasecmp(h.coding, "gzip") == 0 || strcasecmp(h.coding, "x-gzip") == 0;
        if (!x->gzip) {
            wick_problem(x, 415, NULL, "content_encoding", "Content-Encoding: only gzip is known");
            return false;
        }
    }
    return check_rate(x);
}

/* x->body unpacked, into a buffer of the same limit. false: x holds the problem. */
static bool unpack(wick_exchange *x)
{
    wick_buf out = WICK_BUF_INIT;
    const uint64_t limit = x->s->config->limits.body_bytes;
    z_stream z = {.next_in = (Bytef *)x->body.data, .avail_in = (uInt)x->body.n};
    int r = inflateInit2(&z, 16 + MAX_WBITS);
    wick_buf_init(&out, limit + 1);
    while (r == Z_OK && out.n <= limit) {
        if (!wick_buf_reserve(&out, 65536 < limit + 1 - out.n ? 65536 : limit + 1 - out.n)) break;
        z.next_out = (Bytef *)out.data + out.n;
        const size_t room = out.cap - out.n - 1 < limit + 1 - out.n ? out.cap - out.n - 1 : limit + 1 - out.n;
        z.avail_out = (uInt)room;
        r = room > 0 ? inflate(&z, Z_NO_FLUSH) : Z_BUF_ERROR;
        out.n += room - z.avail_out;
        if (r == Z_OK && z.avail_in == 0 && z.avail_out > 0) r = Z_BUF_ERROR; /* it ends before its end */
    }
    const bool rest = z.avail_in > 0;
    inflateEnd(&z);
    wick_buf_release(&x->body);
    x->body = out;
    x->body_charged += out.n;
    const bool crowded =
        atomic_fetch_add(&x->s->buffered_bytes, out.n) + out.n > wick_server_buffer_limit(x->s->config);
    if (out.n > limit)
        wick_problem(x, 413, NULL, "body_too_large", "the unpacked body is longer than %llu bytes",
                     (unsigned long long)limit);
    else if (out.failed || r == Z_MEM_ERROR)
        wick_problem(x, 503, NULL, "out_of_memory", "out of memory for the body");
    else if (crowded)
        wick_problem(x, 503, NULL, "overloaded", "the server holds too many request bodies; try again");
    else if (r != Z_STREAM_END || rest)
        wick_problem(x, 400, NULL, "bad_gzip", "the body is no whole gzip file");
    else
        return true;
    return false;
}

/* What the parsed body will take is known before it is parsed, and charged like the body itself. */
static bool charge_parsed(wick_exchange *x)
{
    const wick_server_limits *l = &x->s->config->limits;
    const uint64_t cost = wick_json_cost(x->body.data, x->body.n);
    if (cost > l->parsed_bytes) {
        wick_problem(x, 413, NULL, "body_too_large",
                     "the body has too many values: parsed it would take %llu bytes, at most %llu",
                     (unsigned long long)cost, (unsigned long long)l->parsed_bytes);
        return false;
    }
    x->body_charged += cost;
    if (atomic_fetch_add(&x->s->buffered_bytes, cost) + cost <= wick_server_buffer_limit(x->s->config)) return true;
    x->retry_after_s = 1;
    wick_problem(x, 503, NULL, "overloaded", "the server holds too many request bodies; try again");
    return false;
}

bool wick_gate_body(wick_exchange *x)
{
    wick_err err = {0};
    if (x->gzip && x->body.n > 0 && !unpack(x)) return false;
    if (x->body.n > 0 && !charge_parsed(x)) return false;
    if (x->route->flags & WICK_ROUTE_RAW) return true;
    if (x->body.n == 0) {
        x->json = json_object();
        if (x->json) return true;
    }
    wick_status st = x->body.n == 0 ? wick_err_oom(&err, "the body", 0, 0)
                                    : wick_json_parse_strict(x->body.data, x->body.n, "body", &x->json, &err);
    wick_buf_release(&x->body);
    if (st == WICK_OK && json_is_object(x->json)) return true;
    if (st == WICK_OK)
        wick_problem(x, 400, NULL, "bad_json", "the body must be a JSON object, not %s", wick_json_type_name(x->json));
    else if (err.kind == WICK_E_BAD_PARAMETER)
        wick_problem(x, 400, NULL, "bad_json", "%s", err.message);
    else
        wick_problem_err(x, &err);
    return false;
}
