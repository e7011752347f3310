/* hub/net.c - see net.h. */
#include "hub/net.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/thread.h"

#define DEFAULT_ENDPOINT "https://huggingface.co"
enum {
    MAX_ANSWER_BYTES = 64 << 20,
    CONNECT_TIMEOUT_S = 20,
    DEFAULT_STALL_S = 30,
    DEFAULT_RETRIES = 5,
    DEFAULT_RETRY_MS = 500
};
enum { MAX_RETRY_AFTER_S = 30 }; /* what is asked to wait longer fails and says so */

/* --- headers ------------------------------------------------------------------------------------------------------ */
void wick_hub_head_init(wick_hub_head *h)
{
    memset(h, 0, sizeof *h);
    h->linked_bytes = h->range_from = h->range_total = UINT64_MAX;
}

/* "W/\"abc\"" -> "abc" */
static void take_etag(char *dst, size_t cap, const char *v)
{
    if (wick_starts_with(v, "W/")) v += 2;
    const bool quoted = *v == '"';
    const size_t n = quoted ? strcspn(v + 1, "\"") : strlen(v);
    snprintf(dst, cap, "%.*s", (int)(n < cap ? n : cap - 1), v + quoted);
}

static void take_range(wick_hub_head *h, const char *v)
{
    char *end;
    if (strncasecmp(v, "bytes ", 6) != 0 || !isdigit((unsigned char)v[6])) return;
    h->range_from = strtoull(v + 6, &end, 10);
    const char *slash = strchr(end, '/');
    if (slash && isdigit((unsigned char)slash[1])) h->range_total = strtoull(slash + 1, NULL, 10);
}

size_t wick_hub_on_header(char *p, size_t size, size_t n, void *ctx)
{
    wick_hub_head *h = ctx;
    char line[512], *v;
    size_t len = size * n < sizeof line - 1 ? size * n : sizeof line - 1;
    memcpy(line, p, len);
    line[len] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    v = strchr(line, ':');
    if (!v) return size * n;
    *v++ = '\0';
    while (*v == ' ' || *v == '\t') v++;
    uint64_t number;
    if (strcasecmp(line, "x-linked-etag") == 0)
        take_etag(h->etag, sizeof h->etag, v);
    else if (strcasecmp(line, "etag") == 0 && !h->etag[0])
        take_etag(h->etag, sizeof h->etag, v);
    else if (strcasecmp(line, "x-repo-commit") == 0)
        snprintf(h->commit, sizeof h->commit, "%.79s", v);
    else if (strcasecmp(line, "x-error-code") == 0)
        snprintf(h->error_code, sizeof h->error_code, "%.47s", v);
    else if (strcasecmp(line, "x-error-message") == 0)
        snprintf(h->error_text, sizeof h->error_text, "%.199s", v);
    else if (strcasecmp(line, "x-linked-size") == 0 && wick_parse_u64(v, &number))
        h->linked_bytes = number;
    else if (strcasecmp(line, "retry-after") == 0 && wick_parse_u64(v, &number))
        h->retry_after_s = number < 86400 ? (uint32_t)number : 86400;
    else if (strcasecmp(line, "content-range") == 0)
        take_range(h, v);
    return size * n;
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */
const char *wick_hub_endpoint(const wick_hub *hub)
{
    return hub->endpoint && *hub->endpoint ? hub->endpoint : DEFAULT_ENDPOINT;
}

char *wick_hub_url(const wick_hub *hub, const char *path)
{
    const char *base = wick_hub_endpoint(hub);
    size_t n = strlen(base);
    wick_buf b = WICK_BUF_INIT;
    while (n > 0 && base[n - 1] == '/') n--;
    wick_buf_add(&b, base, n);
    wick_buf_puts(&b, path);
    return wick_buf_take(&b, NULL);
}

void wick_hub_escape(wick_buf *b, const char *path)
{
    for (const unsigned char *p = (const unsigned char *)path; *p; p++)
        if (isalnum(*p) || strchr("._~-/", *p))
            wick_buf_putc(b, (char)*p);
        else
            wick_buf_printf(b, "%%%02X", *p);
}

/* Scheme, host and port of an address, the port of the scheme filled in; false for what is no address. */
static bool origin(const char *url, char *dst, size_t cap)
{
    CURLU *u = curl_url();
    char *part[3] = {NULL};
    bool ok = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_SCHEME, &part[0], 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_HOST, &part[1], 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_PORT, &part[2], CURLU_DEFAULT_PORT) == CURLUE_OK;
    if (ok) ok = (size_t)snprintf(dst, cap, "%s://%s:%s", part[0], part[1], part[2]) < cap;
    for (size_t i = 0; i < 3; i++) curl_free(part[i]);
    curl_url_cleanup(u);
    return ok;
}

bool wick_hub_is_own(const wick_hub *hub, const char *url)
{
    char a[512], b[512];
    return origin(wick_hub_endpoint(hub), a, sizeof a) && origin(url, b, sizeof b) && strcasecmp(a, b) == 0;
}

wick_status wick_hub_redirected(CURL *c, const char *from, char **to, wick_err *err)
{
    const char *url = NULL;
    curl_easy_getinfo(c, CURLINFO_REDIRECT_URL, &url);
    const bool plain = url && strncasecmp(url, "http://", 7) == 0, tls = url && strncasecmp(url, "https://", 8) == 0;
    if (!plain && !tls)
        return WICK_FAIL(err, WICK_E_BAD_FILE, from, "%.200s: a redirect that leads to no http address", from);
    if (plain && strncasecmp(from, "https://", 8) == 0)
        return WICK_FAIL(err, WICK_E_BAD_FILE, from, "%.200s: a redirect from https to http is not followed", from);
    *to = wick_strdup(url);
    return *to ? WICK_OK : wick_err_oom(err, "a request", 0, 0);
}

/* --- one request -------------------------------------------------------------------------------------------------- */
static wick_once curl_once = WICK_ONCE_INIT;
static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool given(const char *s)
{
    return s && *s;
}

wick_status wick_hub_prepare(CURL *c, const wick_hub *hub, const char *url, struct curl_slist **list, wick_err *err)
{
    const char *proxy = strncasecmp(url, "https://", 8) == 0 ? hub->https_proxy : hub->http_proxy;
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "wick/" WICK_VERSION);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, hub->stall_s ? (long)hub->stall_s : (long)DEFAULT_STALL_S);
    curl_easy_setopt(c, CURLOPT_PROXY, given(proxy) ? proxy : ""); /* "": libcurl does not look into the environment */
    curl_easy_setopt(c, CURLOPT_NOPROXY, hub->no_proxy ? hub->no_proxy : "");
    if (given(hub->ca_file)) curl_easy_setopt(c, CURLOPT_CAINFO, hub->ca_file);
    if (!given(hub->token) || !wick_hub_is_own(hub, url)) return WICK_OK;
    for (const char *p = hub->token; *p; p++)
        if (!isgraph((unsigned char)*p))
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "token",
                             "the token%s%s has a character that no token has: wick login",
                             hub->token_source ? " of " : "", hub->token_source ? hub->token_source : "");
    wick_buf b = WICK_BUF_INIT;
    wick_buf_printf(&b, "Authorization: Bearer %s", hub->token);
    struct curl_slist *grown = b.failed ? NULL : curl_slist_append(*list, wick_buf_str(&b));
    if (b.data) wick_wipe(b.data, b.n);
    wick_buf_release(&b);
    if (!grown) return wick_err_oom(err, "a request", 0, 0);
    *list = grown;
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, *list);
    return WICK_OK;
}

bool wick_hub_cancelled(const wick_hub *hub)
{
    return hub->cancelled && hub->cancelled(hub->ctx);
}

uint32_t wick_hub_retries(const wick_hub *hub)
{
    return hub->n_retries ? hub->n_retries : DEFAULT_RETRIES;
}

double wick_hub_pause_ms(const wick_hub *hub, uint32_t n, const wick_hub_head *h)
{
    const double asked = (double)h->retry_after_s * 1000, base = hub->retry_ms ? hub->retry_ms : DEFAULT_RETRY_MS;
    const double own = base * (double)(1u << (n < 7 ? n - 1 : 6));
    return asked > own ? asked : own;
}

bool wick_hub_may_pass(CURLcode code, long status)
{
    switch (code) {
    case CURLE_OK: return status == 429 || status == 408 || status >= 500;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR: return true;
    default: return false;
    }
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    wick_hub_answer *a = ctx;
    wick_buf_add(&a->body, p, size * n);
    return a->body.failed ? 0 : size * n;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e)
{
    (void)a;
    (void)b;
    (void)d;
    (void)e;
    return wick_hub_cancelled(ctx);
}

/* One request without redirects. */
static wick_status perform(wick_hub_answer *a, const wick_hub *hub, const char *url, bool head_only, CURLcode *code,
                           char detail[CURL_ERROR_SIZE], char **next, wick_err *err)
{
    struct curl_slist *list = NULL;
    CURL *c = curl_easy_init();
    if (!c) return wick_err_oom(err, "a request", 0, 0);
    wick_status st = wick_hub_prepare(c, hub, url, &list, err);
    if (st != WICK_OK) goto done;
    wick_buf_reset(&a->body);
    wick_hub_head_init(&a->head);
    detail[0] = '\0';
    curl_easy_setopt(c, CURLOPT_NOBODY, head_only ? 1L : 0L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, wick_hub_on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, &a->head);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, (void *)(uintptr_t)hub);
    *code = curl_easy_perform(c);
    a->status = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a->status);
    curl_off_t length = -1;
    curl_easy_getinfo(c, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    a->length = length >= 0 ? (uint64_t)length : UINT64_MAX;
    const bool moved = *code == CURLE_OK && a->status >= 300 && a->status < 400 && a->status != 304;
    /* A HEAD ends at the answer that describes a large file, which is a redirect to where it is stored. */
    if (moved && !(head_only && a->head.etag[0])) st = wick_hub_redirected(c, url, next, err);
done:
    curl_slist_free_all(list);
    curl_easy_cleanup(c);
    return st;
}

static wick_status follow(wick_hub_answer *a, const wick_hub *hub, const char *url, bool head_only, CURLcode *code,
                          char detail[CURL_ERROR_SIZE], wick_err *err)
{
    char *at = NULL;
    wick_status st = WICK_OK;
    for (unsigned hops = 0; hops <= WICK_HUB_MAX_REDIRECTS; hops++) {
        char *next = NULL;
        st = perform(a, hub, at ? at : url, head_only, code, detail, &next, err);
        wick_free(at);
        at = next;
        if (st != WICK_OK || !next) break;
    }
    if (st == WICK_OK && at)
        st = WICK_FAIL(err, WICK_E_BAD_FILE, url, "%.200s: more than %d redirects", url, WICK_HUB_MAX_REDIRECTS);
    wick_free(at);
    return st;
}

static void wait_ms(const wick_hub *hub, double ms)
{
    const double end = wick_time_ms() + ms;
    while (!wick_hub_cancelled(hub) && wick_time_ms() < end) usleep(20000);
}

wick_status wick_hub_ask(wick_hub_answer *a, const wick_hub *hub, const char *url, bool head_only, const char *what,
                         wick_err *err)
{
    char detail[CURL_ERROR_SIZE];
    CURLcode code = CURLE_OK;
    wick_call_once(&curl_once, start_curl);
    memset(a, 0, sizeof *a);
    wick_buf_init(&a->body, MAX_ANSWER_BYTES);
    wick_status st = WICK_OK;
    for (uint32_t n = 1;; n++) {
        st = follow(a, hub, url, head_only, &code, detail, err);
        if (st != WICK_OK || (code == CURLE_OK && a->status < 400) || wick_hub_cancelled(hub)) break;
        const bool unreachable = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT;
        if (!wick_hub_may_pass(code, a->status) || n > (unreachable ? 1 : wick_hub_retries(hub))) break;
        if (a->head.retry_after_s > MAX_RETRY_AFTER_S) break;
        wait_ms(hub, wick_hub_pause_ms(hub, n, &a->head));
    }
    if (st == WICK_OK && wick_hub_cancelled(hub)) st = WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
    if (st == WICK_OK && code != CURLE_OK) st = wick_hub_failed(hub, what, code, detail, err);
    if (st == WICK_OK && a->status >= 400) st = wick_hub_refused(hub, what, a->status, &a->head, err);
    if (st != WICK_OK) wick_hub_answer_release(a);
    return st;
}

void wick_hub_answer_release(wick_hub_answer *a)
{
    wick_buf_release(&a->body);
}

/* --- what a failure means ----------------------------------------------------------------------------------------- */
wick_status wick_hub_failed(const wick_hub *hub, const char *what, CURLcode code, const char *detail, wick_err *err)
{
    const char *end = wick_hub_endpoint(hub), *why = given(detail) ? detail : curl_easy_strerror(code);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return WICK_FAIL(err, WICK_E_IO, what,
                         "%s: %s cannot be reached (%.120s): check the connection, the proxy variables and HF_ENDPOINT",
                         what, end, why);
    case CURLE_COULDNT_RESOLVE_PROXY:
        return WICK_FAIL(err, WICK_E_IO, what, "%s: the proxy cannot be reached (%.120s): check HTTPS_PROXY", what,
                         why);
    case CURLE_OPERATION_TIMEDOUT:
        return WICK_FAIL(err, WICK_E_IO, what,
                         "%s: the connection stalled (%.120s): run it again, it goes on where it was", what, why);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return WICK_FAIL(err, WICK_E_IO, what,
                         "%s: the certificate of %s is not trusted (%.120s): SSL_CERT_FILE names one that is", what,
                         end, why);
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
        return WICK_FAIL(err, WICK_E_IO, what,
                         "%s: the connection broke (%.120s): run it again, it goes on where it was", what, why);
    default: return WICK_FAIL(err, WICK_E_IO, what, "%s: the download from %s failed: %.160s", what, end, why);
    }
}

static bool is_code(const wick_hub_head *h, const char *code)
{
    return strcasecmp(h->error_code, code) == 0;
}

static wick_status unauthorized(const wick_hub *hub, const char *what, const wick_hub_head *h, wick_err *err)
{
    const char *site = wick_hub_endpoint(hub);
    if (is_code(h, "GatedRepo"))
        return hub->token
                   ? WICK_FAIL(err, WICK_E_REFUSED, what,
                               "%s: gated, and this account has no access yet: accept its terms at %s/%s", what, site,
                               what)
                   : WICK_FAIL(err, WICK_E_REFUSED, what,
                               "%s: gated: accept its terms at %s/%s, then wick login (or HF_TOKEN)", what, site, what);
    if (hub->token && !is_code(h, "RepoNotFound"))
        return WICK_FAIL(err, WICK_E_REFUSED, what,
                         "%s: the hub does not accept the token%s%s: wick login with a new one", what,
                         hub->token_source ? " of " : "", hub->token_source ? hub->token_source : "");
    return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, what,
                     "%s: no such model on %s, or it is private: check the spelling, or wick login", what, site);
}

wick_status wick_hub_refused(const wick_hub *hub, const char *what, long status, const wick_hub_head *h, wick_err *err)
{
    const char *site = wick_hub_endpoint(hub);
    if (status == 401 || (status == 403 && is_code(h, "GatedRepo"))) return unauthorized(hub, what, h, err);
    if (status == 403)
        return WICK_FAIL(err, WICK_E_REFUSED, what,
                         "%s: the hub refuses (403%s%.160s): the token needs read access to it", what,
                         h->error_text[0] ? ": " : "", h->error_text);
    if (status == 404 && is_code(h, "RevisionNotFound"))
        return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, what,
                         "%s: there is no such revision on %s: leave it out for main", what, site);
    if (status == 404 && is_code(h, "EntryNotFound"))
        return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, what, "%s: the repository has no such file", what);
    if (status == 404)
        return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, what, "%s: no such model on %s%s", what, site,
                         hub->token ? ", or this account may not see it"
                                    : ": check the spelling; private ones need wick login");
    if (status == 429)
        return WICK_FAIL(err, WICK_E_LIMIT, what, "%s: too many requests to %s: try again in %u s%s", what, site,
                         h->retry_after_s ? h->retry_after_s : 60,
                         hub->token ? "" : ", or wick login for a higher limit");
    if (status >= 500)
        return WICK_FAIL(err, WICK_E_IO, what, "%s: %s is out of order (%ld): try again later", what, site, status);
    return WICK_FAIL(err, WICK_E_IO, what, "%s: %s answers %ld%s%.160s", what, site, status,
                     h->error_text[0] ? ": " : "", h->error_text);
}
