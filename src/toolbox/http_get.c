/* toolbox/http_get.c - the built-in tool http_get: only given hosts, and never an address of this machine or its
 * network.
 *
 * A host is compared by name; "*.example.org" allows what is below it. The address that the name leads to is looked at
 * when the connection is made, not before, so a name that points inside does not get there. An address that the
 * configuration itself names, digits and all, is meant. Redirects are not followed; the model may ask for the place
 * that they name. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/json.h"
#include "toolbox/toolbox_int.h"
#include "toolbox/transfer.h"

enum { BODY_MAX_BYTES = 1 << 20 };

typedef struct fetch {
    char **hosts;
} fetch;

static void free_fetch(void *user)
{
    fetch *f = user;
    wick_toolbox_texts_free(f->hosts);
    wick_free(f);
}

static bool private_v4(uint32_t a) /* host order */
{
    static const struct {
        uint32_t net, mask;
    } nets[] = {{0x00000000, 0xFF000000}, {0x0A000000, 0xFF000000}, {0x64400000, 0xFFC00000}, {0x7F000000, 0xFF000000},
                {0xA9FE0000, 0xFFFF0000}, {0xAC100000, 0xFFF00000}, {0xC0000000, 0xFFFFFF00}, {0xC0000200, 0xFFFFFF00},
                {0xC0A80000, 0xFFFF0000}, {0xC6120000, 0xFFFE0000}, {0xC6336400, 0xFFFFFF00}, {0xCB007100, 0xFFFFFF00},
                {0xE0000000, 0xF0000000}, {0xF0000000, 0xF0000000}};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        if ((a & nets[i].mask) == nets[i].net) return true;
    return false;
}

bool wick_address_is_private(const void *sa)
{
    const struct sockaddr *s = sa;
    if (s->sa_family == AF_INET) return private_v4(ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr));
    if (s->sa_family != AF_INET6) return true;
    const uint8_t *b = ((const struct sockaddr_in6 *)sa)->sin6_addr.s6_addr;
    static const uint8_t zero[12] = {0}, mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF},
                         nat64[12] = {0x00, 0x64, 0xFF, 0x9B};
    const uint32_t tail = (uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 | b[15];
    if (memcmp(b, zero, 12) == 0) return true; /* ::, ::1, and the old form of mapped addresses */
    if (memcmp(b, mapped, 12) == 0 || memcmp(b, nat64, 12) == 0) return private_v4(tail);
    if (b[0] == 0x20 && b[1] == 0x02) /* 6to4 holds an IPv4 address */
        return private_v4((uint32_t)b[2] << 24 | (uint32_t)b[3] << 16 | (uint32_t)b[4] << 8 | b[5]);
    if (b[0] == 0x20 && b[1] == 0x01 && b[2] == 0 && b[3] == 0) return true; /* Teredo */
    return (b[0] & 0xFE) == 0xFC || (b[0] == 0xFE && (b[1] & 0x80) == 0x80) || b[0] == 0xFF;
}

static bool is_literal(const char *host)
{
    unsigned char buf[16];
    return inet_pton(AF_INET, host, buf) == 1 || inet_pton(AF_INET6, host, buf) == 1;
}

static bool host_allowed(const fetch *f, const char *host, bool *literal)
{
    for (size_t i = 0; f->hosts[i]; i++) {
        const char *h = f->hosts[i];
        *literal = is_literal(h);
        if (strcasecmp(h, host) == 0) return true;
        const size_t n = strlen(host), k = strlen(h);
        if (h[0] == '*' && h[1] == '.' && n > k - 1 && strcasecmp(host + n - (k - 1), h + 1) == 0) return true;
    }
    return false;
}

/* --- one transfer ------------------------------------------------------------------------------------------------- */
typedef struct transfer {
    const wick_tool_job *call;
    wick_buf body;
    bool literal, refused, cut;
} transfer;

static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    transfer *t = ctx;
    (void)purpose;
    if (!t->literal && wick_address_is_private(&a->addr)) {
        t->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype, a->protocol);
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    transfer *t = ctx;
    const size_t room = BODY_MAX_BYTES - t->body.n, all = size * n;
    wick_buf_add(&t->body, p, all < room ? all : room);
    if (all < room) return all;
    t->cut = true;
    return 0;
}

/* The host of an http(s) address without user, with no port but the usual ones unless it is a literal; the caller's. */
static wick_status host_of(const char *url, char **out, wick_err *err)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *user = NULL;
    wick_status st = u ? WICK_OK : wick_err_oom(err, "url", 0, 0);
    if (st == WICK_OK && (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
                          curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
                          curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
                          (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)))
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "url", "url: must be a whole http or https address");
    if (st == WICK_OK && curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
        st = WICK_FAIL(err, WICK_E_REFUSED, "url", "url: must not hold a user name");
    if (st == WICK_OK) {
        const size_t n = strlen(host);
        const bool brackets = host[0] == '[' && n > 2;
        *out = brackets ? wick_strndup(host + 1, n - 2) : wick_strdup(host);
        if (!*out) st = wick_err_oom(err, "url", 0, 0);
        if (*out && n > 1 && (*out)[strlen(*out) - 1] == '.') (*out)[strlen(*out) - 1] = '\0';
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_url_cleanup(u);
    return st;
}

static wick_status perform(transfer *t, const char *url, long *status, wick_err *err)
{
    CURL *c = wick_tool_curl(t->call, url);
    if (!c) return wick_err_oom(err, "url", 0, 0);
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*"); /* a proxy would make the connection, and look at no address */
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    const CURLcode code = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(c);
    if (t->refused) return WICK_FAIL(err, WICK_E_REFUSED, "url", "url: its host leads to a private address");
    if (code != CURLE_OK && !t->cut) return WICK_FAIL(err, WICK_E_IO, "url", "url: %s", curl_easy_strerror(code));
    return t->body.failed ? wick_err_oom(err, "url", 0, 0) : WICK_OK;
}

static wick_status http_get(void *user, const wick_tool_job *call, wick_buf *out, wick_err *err)
{
    transfer t = {.call = call};
    json_t *a = NULL;
    char *host = NULL;
    long status = 0;
    wick_buf_init(&t.body, BODY_MAX_BYTES + 1);
    WICK_TRY(wick_json_parse(call->arguments, strlen(call->arguments), "arguments", &a, err));
    const json_t *v = json_object_get(a, "url");
    const char *url = json_string_value(v);
    wick_status st = url && strlen(url) == json_string_length(v)
                         ? host_of(url, &host, err)
                         : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "url", "url: must be a text without NUL");
    if (st == WICK_OK && !host_allowed(user, host, &t.literal))
        st = WICK_FAIL(err, WICK_E_REFUSED, "url", "url: the host %.100s is not one that this tool may ask", host);
    if (st == WICK_OK) st = perform(&t, url, &status, err);
    if (st == WICK_OK && (status < 200 || status > 299))
        st = WICK_FAIL(err, WICK_E_IO, "url", "HTTP status %ld%s", status,
                       status >= 300 && status < 400 ? ": a redirect, which is not followed" : "");
    if (st == WICK_OK) {
        wick_buf_add(out, t.body.data ? t.body.data : "", t.body.n);
        if (t.cut) wick_buf_puts(out, "\n[cut: more than 1 MiB]");
    }
    wick_free(host);
    json_decref(a);
    wick_buf_release(&t.body);
    return st;
}

wick_status wick_toolbox_add_fetch(wick_toolbox *b, const json_t *c, wick_err *err)
{
    static const wick_toolbox_opts none = {0};
    fetch *f;
    if (json_array_size(json_object_get(c, "hosts")) == 0)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "http_get", "tools: http_get needs {\"hosts\": [\"...\"]}");
    f = wick_alloc_zero(1, sizeof *f);
    if (!f) return wick_err_oom(err, "http_get", 0, 0);
    wick_status st = wick_toolbox_texts(json_object_get(c, "hosts"), "http_get", &none, &f->hosts, err);
    const wick_tool_def def = {
        .name = "http_get",
        .description = "The text at an http or https address.",
        .schema = "{\"type\":\"object\",\"properties\":{\"url\":{\"type\":\"string\"}},\"required\":[\"url\"]}",
        .fn = http_get,
        .user = f,
        .release = free_fetch};
    if (st == WICK_OK) st = wick_toolset_add(b->tools, &def, err);
    if (st != WICK_OK) free_fetch(f);
    return st;
}
