/* toolbox/http_tools.c - tools that another program runs behind one HTTP address.
 *
 * Each call is a POST of {"id", "name", "arguments"} as JSON; the body of the answer is the result, whatever it holds,
 * and a status other than 2xx is an error with the beginning of the body. The address comes from the configuration, so
 * it may be one of this machine; redirects are not followed. */
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "toolbox/toolbox_int.h"
#include "toolbox/transfer.h"

enum { RESULT_MAX_BYTES = 8 << 20, SHOWN_BYTES = 200 };

/* Shared by the tools of one address; freed with the last of them. */
typedef struct dispatch {
    char *url;
    struct curl_slist *headers;
    size_t n_users;
} dispatch;

static void release(void *user)
{
    dispatch *d = user;
    if (--d->n_users > 0) return;
    curl_slist_free_all(d->headers);
    wick_free(d->url);
    wick_free(d);
}

typedef struct transfer {
    const wick_tool_job *call;
    wick_buf body;
} transfer;

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    transfer *t = ctx;
    wick_buf_add(&t->body, p, size * n);
    return t->body.failed ? 0 : size * n;
}

/* The body of the POST; the caller's, to be freed with free(). */
static char *request_text(const wick_tool_job *call)
{
    json_t *arguments = NULL, *body = NULL;
    if (wick_json_parse(call->arguments, strlen(call->arguments), "arguments", &arguments, NULL) == WICK_OK)
        body = json_pack("{s:s, s:s, s:o}", "id", call->id, "name", call->name, "arguments", arguments);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static wick_status post(const dispatch *d, transfer *t, const char *text, long *status, wick_err *err)
{
    CURL *c = wick_tool_curl(t->call, d->url);
    if (!c) return wick_err_oom(err, t->call->name, 0, 0);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, d->headers);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, text);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    const CURLcode code = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(c);
    if (t->body.failed)
        return WICK_FAIL(err, WICK_E_LIMIT, "dispatch", "the answer is longer than %d MiB", RESULT_MAX_BYTES >> 20);
    if (code != CURLE_OK) return WICK_FAIL(err, WICK_E_IO, "dispatch", "dispatch: %s", curl_easy_strerror(code));
    return WICK_OK;
}

static wick_status run_call(void *user, const wick_tool_job *call, wick_buf *result, wick_err *err)
{
    transfer t = {.call = call};
    long status = 0;
    char *text = request_text(call), shown[SHOWN_BYTES + 1];
    wick_buf_init(&t.body, RESULT_MAX_BYTES);
    wick_status st = text ? post(user, &t, text, &status, err) : wick_err_oom(err, call->name, 0, 0);
    if (st == WICK_OK && (status < 200 || status > 299)) {
        const size_t n = t.body.n < SHOWN_BYTES ? t.body.n : SHOWN_BYTES;
        wick_escape_line(shown, sizeof shown, t.body.data ? t.body.data : "", n);
        st = WICK_FAIL(err, WICK_E_IO, "dispatch", "HTTP status %ld: %s", status, shown);
    }
    if (st == WICK_OK) wick_buf_add(result, t.body.data ? t.body.data : "", t.body.n);
    wick_buf_release(&t.body);
    free(text);
    return st;
}

static wick_status read_headers(dispatch *d, const json_t *headers, const wick_toolbox_opts *o, wick_err *err)
{
    const char *key;
    json_t *v;
    d->headers = curl_slist_append(NULL, "Content-Type: application/json");
    json_object_foreach((json_t *)(uintptr_t)headers, key, v)
    {
        char *value = NULL;
        wick_buf line = WICK_BUF_INIT;
        WICK_TRY(wick_toolbox_text(v, "dispatch.headers", o, &value, err));
        wick_buf_printf(&line, "%s: %s", key, value);
        const bool plain = !strpbrk(wick_buf_str(&line), "\r\n");
        struct curl_slist *more = plain ? curl_slist_append(d->headers, wick_buf_str(&line)) : NULL;
        if (more) d->headers = more;
        wick_buf_release(&line);
        wick_free(value);
        if (!plain)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "dispatch", "dispatch.headers: a line break in %.60s", key);
        if (!more) return wick_err_oom(err, "dispatch", 0, 0);
    }
    return d->headers ? WICK_OK : wick_err_oom(err, "dispatch", 0, 0);
}

static wick_status add_tool(wick_toolbox *b, dispatch *d, const json_t *t, wick_err *err)
{
    const json_t *parameters = json_object_get(t, "parameters");
    char *schema = parameters ? json_dumps(parameters, 0) : NULL;
    const wick_tool_def def = {.name = json_string_value(json_object_get(t, "name")),
                               .description = json_string_value(json_object_get(t, "description")),
                               .schema = schema,
                               .safe = json_is_true(json_object_get(t, "safe")),
                               .fn = run_call,
                               .user = d,
                               .release = release};
    d->n_users++;
    const wick_status st = wick_toolset_add(b->tools, &def, err);
    if (st != WICK_OK) d->n_users--;
    free(schema);
    return st;
}

wick_status wick_toolbox_add_dispatch(wick_toolbox *b, const json_t *c, const wick_toolbox_opts *o, wick_err *err)
{
    const json_t *tools = json_object_get(c, "tools"), *headers = json_object_get(c, "headers");
    dispatch *d = wick_alloc_zero(1, sizeof *d);
    if (!d) return wick_err_oom(err, "dispatch", sizeof *d, 0);
    d->n_users = 1; /* this function */
    wick_status st = WICK_OK;
    if (json_array_size(tools) == 0 || (headers && !json_is_object(headers)))
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "dispatch",
                       "tools: dispatch needs {\"url\": \"http://...\", \"tools\": [...]}");
    if (st == WICK_OK) st = wick_toolbox_text(json_object_get(c, "url"), "dispatch.url", o, &d->url, err);
    if (st == WICK_OK && !wick_starts_with(d->url, "http://") && !wick_starts_with(d->url, "https://"))
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "dispatch", "dispatch.url: must be an http or https address");
    if (st == WICK_OK) st = read_headers(d, headers, o, err);
    for (size_t i = 0; st == WICK_OK && i < json_array_size(tools); i++)
        st = add_tool(b, d, json_array_get(tools, i), err);
    release(d);
    return st;
}
