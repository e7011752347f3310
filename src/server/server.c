/* server/server.c - the server as a whole: parts started in order, and ended in the reverse one. */
#include <string.h>
#include <time.h>
#include "base/json_memory.h"
#include "base/log.h"
#include "base/sys.h"
#include "server/mcp_http.h"
#include "server/params.h"
#include "server/response_store.h"
#include "server/server_int.h"

/* The defaults are parameters of a chat request, or of a text completion. */
static wick_status check_defaults(const wick_server_config *c, wick_err *err)
{
    wick_params p;
    if (!c->defaults) return WICK_OK;
    wick_status st = wick_params_parse(&p, c->defaults, WICK_P_CHAT, &c->limits, err);
    wick_params_release(&p);
    if (st != WICK_OK) wick_err_prefix(err, "defaults");
    return st;
}

/* Where there are no keys, whoever started the server administers it, and nobody else. Without a folder to leave the
 * key in, nobody does. */
static void make_local_key(wick_server *s)
{
    wick_err err = {0};
    if (s->config->n_key > 0 || wick_keys_count(&s->keys) > 0 || !s->config->local_key_dir) return;
    if (wick_keys_make_local(&s->keys, s->config->local_key_dir, s->port.number, &err) != WICK_OK)
        wick_log(WICK_LOG_WARN, "wick admin has no key for this server: %s", err.message);
}

wick_status wick_server_new(wick_server **out, const wick_server_config *c, wick_err *err)
{
    WICK_TRY(wick_server_config_check(c, err));
    wick_json_use_alloc();
    WICK_TRY(check_defaults(c, err));
    wick_server *s = wick_alloc_zero(1, sizeof *s);
    if (!s) return wick_err_oom(err, "the server", sizeof *s, 0);
    s->config = c;
    s->loopback = wick_host_is_loopback(c->host);
    s->t_start = wick_time_ms();
    s->started_unix_s = (int64_t)time(NULL);
    wick_lock_init(&s->conns_lock);
    wick_lock_init(&s->watch_lock);
    wick_cond_init(&s->watch_wake);
    wick_lock_init(&s->running_lock);
    wick_guard_init(&s->guard);
    wick_status st = wick_keys_init(&s->keys, c, err);
    if (st == WICK_OK)
        st = wick_response_store_open(&s->responses, c->response_store, c->limits.response_store_bytes, err);
    if (st == WICK_OK) st = wick_workers_start(&s->workers, err);
    if (st != WICK_OK) {
        wick_response_store_close(s->responses);
        wick_keys_release(&s->keys);
        wick_free(s);
        return st;
    }
    st = wick_registry_init(&s->registry, c, &s->workers, err);
    if (st == WICK_OK) st = wick_thread_start(&s->watch, "wick-watch", wick_watch_main, s, err);
    if (st == WICK_OK) st = wick_server_mcp_start(s, err);
    if (st == WICK_OK) st = wick_http_start(s, err);
    if (st == WICK_OK) make_local_key(s);
    if (st != WICK_OK) {
        wick_server_free(s);
        return st;
    }
    *out = s;
    return WICK_OK;
}

uint16_t wick_server_port(const wick_server *s)
{
    return s->port.number;
}

uint16_t wick_server_mcp_port(const wick_server *s)
{
    return s->mcp_port.number;
}

uint32_t wick_server_loading(wick_server *s)
{
    return wick_registry_n_loading(&s->registry);
}

wick_status wick_server_load_error(wick_server *s, wick_err *err)
{
    wick_status st = WICK_OK;
    wick_lock_take(&s->registry.lock);
    const wick_entry *e = s->registry.def;
    if (e && e->state == WICK_ENTRY_FAILED) {
        st = e->error.kind;
        if (err) *err = e->error;
    }
    wick_lock_drop(&s->registry.lock);
    return st;
}

void wick_server_drain(wick_server *s)
{
    if (atomic_exchange(&s->draining, true)) return;
    wick_log(WICK_LOG_INFO, "draining: %u requests are running", atomic_load(&s->n_active));
}

uint32_t wick_server_active(const wick_server *s)
{
    return atomic_load(&s->n_active);
}

bool wick_server_drain_asked(const wick_server *s)
{
    return atomic_load(&s->drain_asked);
}

void wick_server_free(wick_server *s)
{
    if (!s) return;
    wick_registry_close(&s->registry);
    if (s->port.mhd) wick_http_stop(s);
    atomic_store(&s->stopping, true);
    wick_lock_take(&s->watch_lock);
    wick_cond_broadcast(&s->watch_wake);
    wick_lock_drop(&s->watch_lock);
    wick_thread_join(&s->watch);
    wick_workers_stop(&s->workers); /* frees the last exchanges, and with them their requests */
    wick_server_mcp_stop(s);
    wick_registry_release(&s->registry);
    wick_response_store_close(s->responses);
    wick_lock_release(&s->running_lock);
    wick_guard_release(&s->guard);
    wick_keys_release(&s->keys);
    wick_cond_release(&s->watch_wake);
    wick_lock_release(&s->watch_lock);
    wick_lock_release(&s->conns_lock);
    wick_free(s->tls_cert);
    wick_free(s->tls_key);
    wick_free(s);
}
