/* cli/client.c - see client.h. The key goes into a header, never into a URL, and only to the server that was named:
 * redirects are not followed. */
#include "cli/client.h"
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "cli/term.h"
#include "server/server_config.h"

#define DEFAULT_URL "http://127.0.0.1:11535"

static const wick_opt opts[] = {
    {"url", 'u', WICK_OPT_STR, "URL", "the server (default " DEFAULT_URL ")", offsetof(wick_args, url), 0, 0, NULL,
     "WICK_URL", 0},
    {"api-key-file", 0, WICK_OPT_STR, "FILE", "file with the API key; also WICK_API_KEY",
     offsetof(wick_args, api_key_file), 0, 0, NULL, "WICK_API_KEY_FILE", 0},
    {"model", 'm', WICK_OPT_STR, "NAME", "the model (default: the server's)", offsetof(wick_args, model), 0, 0, NULL,
     NULL, 0},
};
const wick_opt_group wick_opts_client = {"Server", opts, sizeof opts / sizeof *opts};

typedef struct call {
    CURL *curl;
    struct curl_slist *head;
    wick_buf body; /* the answer, or the part of a stream that is no whole line yet */
    long status;
    char reason[CURL_ERROR_SIZE];
    void (*fn)(void *ctx, const json_t *event);
    void *ctx;
    json_t *problem; /* an error event in a stream */
} call;

/* "http://host/v1/" + "/v1/models" and "http://host" + "/v1/models" are the same. */
static char *join_url(const char *base, const char *path)
{
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/') n--;
    if (n > 3 && strncmp(base + n - 3, "/v1", 3) == 0) n -= 3;
    wick_buf b = WICK_BUF_INIT;
    wick_buf_add(&b, base, n);
    wick_buf_puts(&b, path);
    return wick_buf_take(&b, NULL);
}

/* [::1] is how a URL writes it. */
static bool is_this_machine(const char *host)
{
    return strcmp(host, "[::1]") == 0 || wick_host_is_loopback(host);
}

/* The key that a server of this user and this machine, which runs without keys, has left for `wick admin`
 * (server/keys.c). NULL: none. Caller frees. */
static char *local_key(const wick_args *a, size_t *n)
{
    char *host = NULL, *port = NULL, *text = NULL, name[32];
    CURLU *u = curl_url();
    char *folder = wick_state_folder(a), *path = NULL;
    if (u && folder && curl_url_set(u, CURLUPART_URL, a->url ? a->url : DEFAULT_URL, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK && is_this_machine(host)) {
        snprintf(name, sizeof name, "serve-%.5s.key", port);
        path = wick_path_join(folder, name);
    }
    if (path && wick_file_check_private(path, NULL) == WICK_OK && wick_file_read(path, 256, &text, n, NULL) != WICK_OK)
        text = NULL;
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
    wick_free(folder);
    wick_free(path);
    return text;
}

static wick_status add_key(const wick_args *a, call *c, wick_err *err)
{
    char *text = NULL;
    size_t n = 0;
    if (a->api_key_file)
        WICK_TRY(wick_file_read(a->api_key_file, 65536, &text, &n, err));
    else if (!a->api_key || !*a->api_key)
        text = local_key(a, &n);
    const char *key = text ? text : a->api_key;
    if (text) text[strcspn(text, " \t\r\n#")] = '\0';
    if (key && *key) {
        wick_buf b = WICK_BUF_INIT;
        wick_buf_printf(&b, "Authorization: Bearer %s", key);
        c->head = curl_slist_append(c->head, wick_buf_str(&b));
        wick_wipe(b.data, b.n);
        wick_buf_release(&b);
    }
    if (text) wick_wipe(text, n);
    wick_free(text);
    return WICK_OK;
}

/* Whole lines of an event stream; the rest stays in the buffer. */
static void take_events(call *c)
{
    size_t from = 0;
    for (;;) {
        char *end = memchr(c->body.data + from, '\n', c->body.n - from);
        if (!end) break;
        const size_t n = (size_t)(end - (c->body.data + from));
        if (n > 6 && memcmp(c->body.data + from, "data: ", 6) == 0) {
            json_t *v = json_loadb(c->body.data + from + 6, n - 6, JSON_DISABLE_EOF_CHECK, NULL);
            if (json_object_get(v, "error"))
                c->problem = json_incref(v);
            else if (v)
                c->fn(c->ctx, v);
            json_decref(v);
        }
        from += n + 1;
    }
    memmove(c->body.data, c->body.data + from, c->body.n - from);
    c->body.n -= from;
}

static size_t on_data(char *p, size_t size, size_t n, void *ctx)
{
    call *c = ctx;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
    wick_buf_add(&c->body, p, size * n);
    if (c->body.failed || wick_interrupted()) return 0;
    if (c->fn && c->status == 200) take_events(c);
    return size * n;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e)
{
    (void)ctx;
    (void)a;
    (void)b;
    (void)d;
    (void)e;
    return wick_interrupted();
}

static wick_status server_said(const char *url, long status, const json_t *v, wick_err *err)
{
    const char *text = json_string_value(json_object_get(json_object_get(v, "error"), "message"));
    const wick_status kind = status == 404   ? WICK_E_MODEL_NOT_FOUND
                             : status == 429 ? WICK_E_LIMIT
                             : status < 500  ? WICK_E_BAD_PARAMETER
                                             : WICK_E_INTERNAL;
    return WICK_FAIL(err, kind, url, "%s: %ld: %.300s", url, status, text ? text : "the server gave no reason");
}

static wick_status perform(const wick_args *a, call *c, const char *method, const char *path, const json_t *body,
                           wick_err *err)
{
    wick_status st = WICK_OK;
    char *url = join_url(a->url ? a->url : DEFAULT_URL, path);
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    c->curl = curl_easy_init();
    if (!url || !c->curl || (body && !text)) {
        st = wick_err_oom(err, "a request", 0, 0);
        goto done;
    }
    wick_buf_init(&c->body, 256u << 20);
    c->head = curl_slist_append(c->head, "Content-Type: application/json");
    c->head = curl_slist_append(c->head, "Expect:");
    WICK_TRY_GOTO(add_key(a, c, err));
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->head);
    if (text) curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, text);
    curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c->curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->reason);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    CURLcode e = curl_easy_perform(c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
    if (e != CURLE_OK && wick_interrupted()) goto done;
    if (e != CURLE_OK)
        st = WICK_FAIL(err, WICK_E_IO, url, "%s: %s%s", url, c->reason[0] ? c->reason : curl_easy_strerror(e),
                       e == CURLE_COULDNT_CONNECT ? " (is a server running? wick serve MODEL)" : "");
done:
    free(text);
    wick_free(url);
    return st;
}

static void release(call *c)
{
    curl_slist_free_all(c->head);
    curl_easy_cleanup(c->curl);
    wick_buf_release(&c->body);
    json_decref(c->problem);
}

wick_status wick_client_call(const wick_args *a, const char *method, const char *path, const json_t *body, json_t **out,
                             wick_err *err)
{
    call c = {0};
    json_t *v = NULL;
    wick_status st = perform(a, &c, method, path, body, err);
    if (st == WICK_OK && c.body.n > 0) {
        v = json_loadb(c.body.data, c.body.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (!v) v = json_stringn_nocheck(c.body.data, c.body.n);
    }
    if (st == WICK_OK && c.status >= 400) st = server_said(a->url ? a->url : DEFAULT_URL, c.status, v, err);
    release(&c);
    if (st == WICK_OK)
        *out = v ? v : json_null();
    else
        json_decref(v);
    return st;
}

wick_status wick_client_stream(const wick_args *a, const char *path, const json_t *body,
                               void (*fn)(void *ctx, const json_t *event), void *ctx, wick_err *err)
{
    call c = {.fn = fn, .ctx = ctx};
    const char *url = a->url ? a->url : DEFAULT_URL;
    wick_status st = perform(a, &c, "POST", path, body, err);
    if (st == WICK_OK && c.status >= 400) {
        json_t *v = json_loadb(c.body.data ? c.body.data : "", c.body.n, 0, NULL);
        st = server_said(url, c.status, v, err);
        json_decref(v);
    } else if (st == WICK_OK && c.problem) {
        st = server_said(url, 500, c.problem, err);
    }
    release(&c);
    return st;
}

const char *wick_client_url(const wick_args *a)
{
    return a->url ? a->url : DEFAULT_URL;
}
