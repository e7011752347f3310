/* mcp/client_http.c - Streamable HTTP from the client's side, on libcurl.
 *
 * 1. Each request is a transfer of its own on the caller's thread. A session has one more, on a thread that listens to
 *    what the server says by itself; a server without such a stream answers 405, and the thread ends.
 * 2. A response is one JSON text, or a stream of events that ends once it held our response. A stream that ends before
 *    is taken up again where it stopped, after the pause that the server asked for, if it named its events.
 * 3. Redirects are not followed: a token never goes to another host. Bodies and events are bounded.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "mcp/client_int.h"

enum { RETRY_MS = 1000, RETRY_MAX_MS = 60000, RESUMES_MAX = 20, CONNECT_MS = 10000 };

typedef struct http_link {
    char *url;
    char **headers;
    size_t n_headers;
    wick_lock lock;
    wick_cond cond;
    char *session; /* under the lock; NULL: none */
    bool heard;    /* under the lock: the server answered the listener, or it ended */
    wick_thread listener;
} http_link;

/* One transfer. */
typedef struct transfer {
    wick_mcp_client *c;
    wick_mcp_wait *w; /* NULL: no response is waited for */
    CURL *curl;
    struct curl_slist *headers;
    wick_buf body;  /* JSON, or the part of a stream not yet taken apart */
    wick_buf data;  /* the data lines of the event that is being read */
    char *event_id; /* the last one */
    uint32_t retry_ms;
    long status;
    bool events, no_memory, new_session, listens;
    char session[128];
    char error[CURL_ERROR_SIZE];
} transfer;

static void add_header(void *ctx, const char *line)
{
    transfer *t = ctx;
    struct curl_slist *more = curl_slist_append(t->headers, line);
    if (more)
        t->headers = more;
    else
        t->no_memory = true;
}

static void add_header2(transfer *t, const char *name, const char *value)
{
    wick_buf b = WICK_BUF_INIT;
    wick_buf_printf(&b, "%s: %s", name, value);
    add_header(t, wick_buf_str(&b));
    wick_buf_release(&b);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */
static void take_message(transfer *t, const char *text, size_t n)
{
    json_t *m = NULL;
    if (n == 0 || wick_json_parse_strict(text, n, "message", &m, NULL) != WICK_OK) return;
    const size_t many = json_is_array(m) ? json_array_size(m) : 1;
    for (size_t i = 0; i < many; i++) {
        json_t *one = json_is_array(m) ? json_array_get(m, i) : m;
        const json_t *id = json_object_get(one, "id");
        const bool response = json_object_get(one, "result") || json_object_get(one, "error");
        if (response && t->w && (json_integer_value(id) == t->w->id || json_is_null(id)))
            t->w->response = t->w->response ? t->w->response : json_incref(one);
        else if (!response)
            wick_mcp_client_incoming(t->c, one, t->w);
    }
    json_decref(m);
}

static void take_line(transfer *t, const char *p, size_t n)
{
    if (n > 0 && p[n - 1] == '\r') n--;
    if (n == 0) { /* the end of an event */
        take_message(t, t->data.data ? t->data.data : "", t->data.n);
        wick_buf_reset(&t->data);
        return;
    }
    const char *colon = memchr(p, ':', n);
    const size_t n_name = colon ? (size_t)(colon - p) : n;
    const char *v = colon ? colon + 1 : p + n;
    size_t n_v = (size_t)(p + n - v);
    if (n_v > 0 && *v == ' ') {
        v++;
        n_v--;
    }
    if (n_name == 4 && memcmp(p, "data", 4) == 0) {
        if (t->data.n > 0) wick_buf_putc(&t->data, '\n');
        wick_buf_add(&t->data, v, n_v);
    } else if (n_name == 2 && memcmp(p, "id", 2) == 0 && n_v < 1024 && !memchr(v, '\0', n_v)) {
        wick_free(t->event_id);
        t->event_id = wick_strndup(v, n_v);
    } else if (n_name == 5 && memcmp(p, "retry", 5) == 0) {
        char number[16];
        uint64_t ms;
        snprintf(number, sizeof number, "%.*s", (int)(n_v < 15 ? n_v : 15), v);
        if (wick_parse_u64(number, &ms)) t->retry_ms = (uint32_t)(ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS);
    }
}

static void take_events(transfer *t)
{
    size_t from = 0;
    for (size_t i = 0; i < t->body.n && !(t->w && t->w->response); i++) {
        if (t->body.data[i] != '\n') continue;
        take_line(t, t->body.data + from, i - from);
        from = i + 1;
    }
    if (from > 0) memmove(t->body.data, t->body.data + from, t->body.n - from);
    t->body.n -= from;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    transfer *t = ctx;
    wick_buf_add(&t->body, p, size * n);
    if (t->body.failed || t->data.failed) return 0;
    if (t->events) take_events(t);
    return t->w && t->w->response ? 0 : size * n; /* 0 ends the transfer: we have what we wanted */
}

static void tell_heard(http_link *l)
{
    wick_lock_take(&l->lock);
    l->heard = true;
    wick_cond_broadcast(&l->cond);
    wick_lock_drop(&l->lock);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    transfer *t = ctx;
    const size_t all = size * n;
    size_t end = all;
    while (end > 0 && strchr(" \r\n", p[end - 1])) end--;
    if (end == 0 && t->listens) tell_heard(t->c->link);
    if (end > 13 && strncasecmp(p, "Content-Type:", 13) == 0) {
        wick_buf v = WICK_BUF_INIT;
        wick_buf_add(&v, p + 13, end - 13);
        t->events = strcasestr(wick_buf_str(&v), "text/event-stream") != NULL;
        wick_buf_release(&v);
    } else if (end > 15 && strncasecmp(p, "Mcp-Session-Id:", 15) == 0) {
        size_t at = 15;
        while (at < end && p[at] == ' ') at++;
        if (end - at > 0 && end - at < sizeof t->session) {
            memcpy(t->session, p + at, end - at);
            t->session[end - at] = '\0';
            t->new_session = true;
        }
    }
    return all;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const transfer *t = ctx;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    if (!t->w) return atomic_load(&t->c->closing);
    return wick_mcp_wait_check(t->c, t->w, NULL) != WICK_OK;
}

/* --- sending ------------------------------------------------------------------------------------------------------ */
static wick_status begin(transfer *t, wick_mcp_client *c, const json_t *message, wick_mcp_wait *w, wick_err *err)
{
    http_link *l = c->link;
    memset(t, 0, sizeof *t);
    t->c = c;
    t->w = w;
    t->retry_ms = RETRY_MS;
    wick_buf_init(&t->body, WICK_MCP_MESSAGE_MAX);
    wick_buf_init(&t->data, WICK_MCP_MESSAGE_MAX);
    t->curl = curl_easy_init();
    if (!t->curl) return wick_err_oom(err, "HTTP transfer", 0, 0);
    for (size_t i = 0; i < l->n_headers; i++) add_header(t, l->headers[i]);
    add_header(t, "Accept: application/json, text/event-stream");
    if (message) add_header(t, "Content-Type: application/json");
    const char *method = json_string_value(json_object_get(message, "method"));
    if (c->version && !(method && strcmp(method, "initialize") == 0))
        add_header2(t, "MCP-Protocol-Version", c->version);
    if (c->stateless && message) wick_mcp_request_headers(c, message, add_header, t);
    wick_lock_take(&l->lock);
    if (l->session) add_header2(t, "Mcp-Session-Id", l->session);
    wick_lock_drop(&l->lock);
    curl_easy_setopt(t->curl, CURLOPT_URL, l->url);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(t->curl, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(t->curl, CURLOPT_NOPROGRESS, 0L);
    return t->no_memory ? wick_err_oom(err, "HTTP headers", 0, 0) : WICK_OK;
}

static void end(transfer *t)
{
    if (t->curl) curl_easy_cleanup(t->curl);
    curl_slist_free_all(t->headers);
    wick_buf_release(&t->body);
    wick_buf_release(&t->data);
    wick_free(t->event_id);
}

static wick_status perform(transfer *t, wick_err *err)
{
    wick_mcp_client *c = t->c;
    t->events = false;
    wick_buf_reset(&t->body);
    curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
    const CURLcode code = curl_easy_perform(t->curl);
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->status);
    if (t->w && t->w->response) return WICK_OK;
    if (t->w) WICK_TRY(wick_mcp_wait_check(c, t->w, err));
    if (t->body.failed || t->data.failed)
        return WICK_FAIL(err, WICK_E_LIMIT, c->name, "MCP server %s: sent more than %d MiB", c->name,
                         WICK_MCP_MESSAGE_MAX >> 20);
    /* A stream that breaks off can be taken up again; see exchange. */
    if (code != CURLE_OK && !(t->events && t->event_id))
        return WICK_FAIL(err, WICK_E_IO, c->name, "MCP server %s: %s", c->name,
                         t->error[0] ? t->error : curl_easy_strerror(code));
    return WICK_OK;
}

static wick_status status_error(const transfer *t, wick_err *err)
{
    const char *name = t->c->name;
    switch (t->status) {
    case 401:
    case 403:
        return WICK_FAIL(
            err, WICK_E_REFUSED, name,
            "MCP server %s: a login is needed (HTTP %ld): give its token in \"headers\": {\"Authorization\": "
            "\"Bearer ...\"}",
            name, t->status);
    case 404:
    case 405:
    case 406:
    case 400:
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, name,
                         "MCP server %s: the address does not speak the protocol (HTTP %ld)", name, t->status);
    default: return WICK_FAIL(err, WICK_E_IO, name, "MCP server %s: HTTP %ld", name, t->status);
    }
}

/* Waits for the pause that the server asked for. */
static wick_status pause_before_resuming(const transfer *t, wick_err *err)
{
    const double until = wick_time_ms() + t->retry_ms;
    wick_lock l;
    wick_cond never;
    wick_lock_init(&l);
    wick_cond_init(&never);
    wick_status st = WICK_OK;
    wick_lock_take(&l);
    while (st == WICK_OK && wick_time_ms() < until) {
        const double left = until - wick_time_ms();
        (void)wick_cond_wait_ms(&never, &l, left > 100 ? 100 : left > 1 ? (uint64_t)left : 1);
        if (t->w)
            st = wick_mcp_wait_check(t->c, t->w, err);
        else if (atomic_load(&t->c->closing))
            st = WICK_E_CANCELLED;
    }
    wick_lock_drop(&l);
    wick_cond_release(&never);
    wick_lock_release(&l);
    return st;
}

/* The stream ended before our response: asks for the rest of it. */
static wick_status resume(transfer *t, wick_err *err)
{
    wick_status st = WICK_OK;
    for (int i = 0; st == WICK_OK && i < RESUMES_MAX && !t->w->response; i++) {
        transfer more;
        st = pause_before_resuming(t, err);
        if (st != WICK_OK) break;
        st = begin(&more, t->c, NULL, t->w, err);
        more.event_id = wick_strdup(t->event_id);
        more.retry_ms = t->retry_ms;
        if (st == WICK_OK && more.event_id) {
            add_header2(&more, "Last-Event-ID", more.event_id);
            st = perform(&more, err);
            if (st == WICK_OK && !t->w->response && more.status != 200) st = status_error(&more, err);
        }
        if (st == WICK_OK && more.event_id) {
            wick_free(t->event_id);
            t->event_id = more.event_id;
            more.event_id = NULL;
            t->retry_ms = more.retry_ms;
        }
        end(&more);
    }
    return st;
}

static void keep_session(http_link *l, const transfer *t)
{
    if (!t->new_session) return;
    wick_lock_take(&l->lock);
    wick_free(l->session);
    l->session = wick_strdup(t->session);
    wick_lock_drop(&l->lock);
}

static wick_status exchange(wick_mcp_client *c, wick_mcp_wait *w, wick_err *err)
{
    transfer t;
    char *text = json_dumps(w->message, JSON_COMPACT);
    wick_status st = begin(&t, c, w->message, w, err);
    if (st == WICK_OK && !text) st = wick_err_oom(err, "MCP message", 0, 0);
    if (st == WICK_OK) {
        curl_easy_setopt(t.curl, CURLOPT_POSTFIELDS, text);
        curl_easy_setopt(t.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
        st = perform(&t, err);
    }
    if (st == WICK_OK) {
        keep_session(c->link, &t);
        if (!w->response && !t.events) take_message(&t, t.body.data ? t.body.data : "", t.body.n);
        if (!w->response && t.events && t.event_id) st = resume(&t, err);
        if (st == WICK_OK && !w->response)
            st = t.status >= 200 && t.status < 300 ? WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, c->name,
                                                               "MCP server %s: the answer holds no response", c->name)
                                                   : status_error(&t, err);
        if (st == WICK_OK && (t.status == 401 || t.status == 403)) st = status_error(&t, err);
    }
    end(&t);
    free(text);
    return st;
}

static wick_status notify(wick_mcp_client *c, const json_t *message, wick_err *err)
{
    transfer t;
    char *text = json_dumps(message, JSON_COMPACT);
    wick_status st = begin(&t, c, message, NULL, err);
    if (st == WICK_OK && !text) st = wick_err_oom(err, "MCP message", 0, 0);
    if (st == WICK_OK) {
        curl_easy_setopt(t.curl, CURLOPT_POSTFIELDS, text);
        curl_easy_setopt(t.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
        curl_easy_setopt(t.curl, CURLOPT_TIMEOUT_MS, (long)CONNECT_MS);
        st = perform(&t, err);
        if (st == WICK_OK && t.status >= 400) st = status_error(&t, err);
    }
    end(&t);
    free(text);
    return st;
}

/* The stream of a session on which the server speaks by itself: read until the client closes or the server has none. */
static void *listen_run(void *arg)
{
    wick_mcp_client *c = arg;
    char *last = NULL;
    bool again = true;
    while (again && !atomic_load(&c->closing)) {
        transfer t;
        again = begin(&t, c, NULL, NULL, NULL) == WICK_OK;
        t.listens = true;
        if (again && last) add_header2(&t, "Last-Event-ID", last);
        if (again) again = perform(&t, NULL) == WICK_OK && t.status == 200 && t.events;
        tell_heard(c->link);
        if (again && t.event_id) {
            wick_free(last);
            last = t.event_id;
            t.event_id = NULL;
        }
        if (again) again = pause_before_resuming(&t, NULL) == WICK_OK;
        end(&t);
    }
    wick_free(last);
    return NULL;
}

/* Waits until the server answered, so that nothing it says about the next request is missed. */
static void begin_listening(wick_mcp_client *c)
{
    http_link *l = c->link;
    wick_lock_take(&l->lock);
    const bool in_session = l->session != NULL;
    wick_lock_drop(&l->lock);
    if (!in_session || wick_thread_start(&l->listener, "wick-mcp", listen_run, c, NULL) != WICK_OK) return;
    wick_lock_take(&l->lock);
    for (int i = 0; i < 10 && !l->heard; i++) (void)wick_cond_wait_ms(&l->cond, &l->lock, 50);
    wick_lock_drop(&l->lock);
}

static void close_link(wick_mcp_client *c)
{
    http_link *l = c->link;
    if (!l) return;
    wick_thread_join(&l->listener);
    if (l->session) { /* the server may forget it */
        transfer t;
        atomic_store(&c->closing, false);
        if (begin(&t, c, NULL, NULL, NULL) == WICK_OK) {
            curl_easy_setopt(t.curl, CURLOPT_CUSTOMREQUEST, "DELETE");
            curl_easy_setopt(t.curl, CURLOPT_TIMEOUT_MS, 2000L);
            if (perform(&t, NULL) != WICK_OK) t.status = 0; /* then it forgets by itself */
        }
        end(&t);
        atomic_store(&c->closing, true);
    }
    for (size_t i = 0; i < l->n_headers; i++) wick_free(l->headers[i]);
    wick_free(l->headers);
    wick_free(l->url);
    wick_free(l->session);
    wick_cond_release(&l->cond);
    wick_lock_release(&l->lock);
    wick_free(l);
    c->link = NULL;
}

static void init_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

wick_status wick_mcp_http_open(wick_mcp_client *c, const wick_mcp_client_opts *o, wick_err *err)
{
    static const wick_mcp_transport transport = {
        .exchange = exchange, .notify = notify, .listen = begin_listening, .close = close_link};
    static wick_once once = WICK_ONCE_INIT;
    if (!wick_starts_with(o->url, "http://") && !wick_starts_with(o->url, "https://"))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "url", "MCP server %s: url must begin with http:// or https://",
                         c->name);
    for (size_t i = 0; o->headers && o->headers[i]; i++)
        if (strpbrk(o->headers[i], "\r\n") || !strchr(o->headers[i], ':'))
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "headers", "MCP server %s: a header must be \"Name: value\"",
                             c->name);
    wick_call_once(&once, init_curl);
    http_link *l = wick_alloc_zero(1, sizeof *l);
    if (!l) return wick_err_oom(err, "MCP connection", sizeof *l, 0);
    wick_lock_init(&l->lock);
    wick_cond_init(&l->cond);
    c->link = l;
    c->transport = &transport;
    l->url = wick_strdup(o->url);
    size_t n = 0;
    while (o->headers && o->headers[n]) n++;
    l->headers = wick_alloc_zero(n + 1, sizeof *l->headers);
    bool ok = l->url && l->headers;
    for (; ok && l->n_headers < n; l->n_headers++)
        ok = (l->headers[l->n_headers] = wick_strdup(o->headers[l->n_headers])) != NULL;
    return ok ? WICK_OK : wick_err_oom(err, "MCP connection", 0, 0);
}
