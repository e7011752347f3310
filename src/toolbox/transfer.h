/* toolbox/transfer.h - one request of a tool over HTTP, with what every such tool wants of curl. Apart from
 * toolbox_int.h because of curl's types. */
#pragma once
#include <curl/curl.h>
#include "chat/tools.h"

/* A request to url that ends at the call's time limit, or when the call is cancelled, and that names Wick as its agent.
 * Redirects are not followed. NULL: out of memory. The caller's, for curl_easy_cleanup(); url is copied, call is
 * borrowed. */
CURL *wick_tool_curl(const wick_tool_job *call, const char *url);
