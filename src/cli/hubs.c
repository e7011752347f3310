/* cli/hubs.c - see hubs.h. */
#include "cli/hubs.h"
#include <string.h>
#include "base/file.h"
#include "base/sys.h"
#include "cli/term.h"

static bool cancelled(void *ctx)
{
    (void)ctx;
    return wick_interrupted();
}

/* The whole download as one bar; a notice, once, while another process has the file. */
static void show(void *ctx, const wick_hub_progress *p)
{
    static bool said_waiting;
    (void)ctx;
    if (p->waiting && !said_waiting) wick_notice("wick: another process downloads the same files: waiting for it");
    said_waiting = p->waiting;
    wick_term_bytes(p->file ? wick_path_base(p->file) : "", p->done < p->total ? p->done : p->total, p->total, p->had);
}

const wick_hub *wick_hub_from_args(const wick_args *a)
{
    static wick_hub hub;
    memset(&hub, 0, sizeof hub);
    hub.endpoint = a->hf_endpoint;
    hub.token = a->hf_token && *a->hf_token ? a->hf_token : a->token_read && *a->token_read ? a->token_read : NULL;
    hub.token_source = hub.token == a->hf_token ? "HF_TOKEN" : a->token_file_path;
    hub.http_proxy = a->http_proxy;
    hub.https_proxy = a->https_proxy;
    hub.no_proxy = a->no_proxy;
    hub.ca_file = a->ca_file;
    hub.offline = a->hf_offline;
    hub.modelscope = a->modelscope;
    hub.n_connections = a->connections;
    hub.stall_s = a->stall_timeout;
    hub.retry_ms = a->retry_ms;
    hub.segment_bytes = a->segment_bytes;
    hub.progress = show;
    hub.cancelled = cancelled;
    return &hub;
}
