/* hub/net.h - private to hub: requests to the hub through libcurl, and what a failure means.
 *
 * Redirects are followed here and not by libcurl: the token goes along to the endpoint's own scheme, host and port
 * only, and https never turns into http. */
#pragma once
#include <curl/curl.h>
#include "base/buf.h"
#include "hub/hub.h"

enum { WICK_HUB_MAX_REDIRECTS = 8 };

/* What headers said that the hub's clients look at. */
typedef struct wick_hub_head {
    char etag[80];                    /* X-Linked-Etag, else ETag; without W/ and quotes */
    char commit[80];                  /* X-Repo-Commit */
    char error_code[48];              /* X-Error-Code: RepoNotFound, GatedRepo, RevisionNotFound, EntryNotFound */
    char error_text[200];             /* X-Error-Message */
    uint64_t linked_bytes;            /* X-Linked-Size; UINT64_MAX: not given */
    uint64_t range_from, range_total; /* Content-Range; UINT64_MAX: not given */
    uint32_t retry_after_s;
} wick_hub_head;
void wick_hub_head_init(wick_hub_head *h);
/* One header line; libcurl's header callback, with a wick_hub_head as context. */
size_t wick_hub_on_header(char *p, size_t size, size_t n, void *ctx);

const char *wick_hub_endpoint(const wick_hub *hub);
/* endpoint + path; parts of a path are escaped by the caller (wick_hub_escape). Caller frees. */
char *wick_hub_url(const wick_hub *hub, const char *path);
/* Percent-escapes all but letters, digits, "._~-" and '/'; appends to b. */
void wick_hub_escape(wick_buf *b, const char *path);
bool wick_hub_is_own(const wick_hub *hub, const char *url); /* same scheme, host and port as the endpoint */
/* Options that every request has: protocols, proxy, certificates, limits of time, the token where `url` is the
 * endpoint's own. *list: to be freed with curl_slist_free_all after the transfer. */
wick_status wick_hub_prepare(CURL *c, const wick_hub *hub, const char *url, struct curl_slist **list,
                             wick_err *err) WICK_MUST_CHECK;
/* The address that an answer of 3xx leads to; an error for a downgrade to http or a scheme other than http(s). Caller
 * frees *to. */
wick_status wick_hub_redirected(CURL *c, const char *from, char **to, wick_err *err) WICK_MUST_CHECK;

typedef struct wick_hub_answer {
    long status;
    wick_buf body;
    uint64_t length; /* Content-Length; UINT64_MAX: not given */
    wick_hub_head head;
} wick_hub_answer;
/* GET (or HEAD, which follows no redirect), tried again after failures that may pass. `what` names the thing in
 * messages: "org/name". Statuses of 400 and above are errors already (wick_hub_refused). */
wick_status wick_hub_ask(wick_hub_answer *a, const wick_hub *hub, const char *url, bool head_only, const char *what,
                         wick_err *err) WICK_MUST_CHECK;
void wick_hub_answer_release(wick_hub_answer *a);

/* True for what may be better a moment later. */
bool wick_hub_may_pass(CURLcode code, long status);
/* The failure of a request as one line with what to do. */
wick_status wick_hub_failed(const wick_hub *hub, const char *what, CURLcode code, const char *detail, wick_err *err);
wick_status wick_hub_refused(const wick_hub *hub, const char *what, long status, const wick_hub_head *h, wick_err *err);
bool wick_hub_cancelled(const wick_hub *hub);
uint32_t wick_hub_retries(const wick_hub *hub);
/* Before the n-th new try (from 1), in milliseconds. */
double wick_hub_pause_ms(const wick_hub *hub, uint32_t n, const wick_hub_head *h);
