/* toolbox/transfer.c - see transfer.h. */
#include "toolbox/transfer.h"
#include <stdatomic.h>
#include <stdint.h>

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return atomic_load(((const wick_tool_job *)ctx)->cancel);
}

CURL *wick_tool_curl(const wick_tool_job *call, const char *url)
{
    CURL *c = curl_easy_init();
    if (!c) return NULL;
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "wick/" WICK_VERSION);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, (void *)(uintptr_t)call);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    return c;
}
