/* mcp/session.c - sessions of the revisions with initialize, and the streams on which clients hear of changes.
 *
 * 1. A session is found by its id only while it is alive; whoever found it holds it until wick_mcp_session_give.
 * 2. Its calls are linked into it while they run, so that a cancellation finds them; a call unlinks itself.
 * 3. A stream's queue is bounded: a client that does not read loses announcements, never the server's memory.
 */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/sys.h"
#include "mcp/server.h"

enum { QUEUE_MAX = 256, KEEP_ALIVE_MS = 15000, POLL_MS = 250 };

/* --- streams ------------------------------------------------------------------------------------------------------ */
void wick_mcp_stream_init(wick_mcp_stream *t, wick_mcp_server *s, unsigned wants)
{
    memset(t, 0, sizeof *t);
    t->wants = wants;
    t->uris = json_object();
    t->queue = json_array();
    wick_lock_init(&t->lock);
    wick_cond_init(&t->cond);
    wick_lock_take(&s->lock);
    t->next = s->streams;
    s->streams = t;
    wick_lock_drop(&s->lock);
}

void wick_mcp_stream_release(wick_mcp_stream *t, wick_mcp_server *s)
{
    wick_lock_take(&s->lock);
    wick_mcp_stream **at = &s->streams;
    while (*at && *at != t) at = &(*at)->next;
    if (*at) *at = t->next;
    wick_lock_drop(&s->lock);
    json_decref(t->uris);
    json_decref(t->queue);
    json_decref(t->subscription);
    wick_cond_release(&t->cond);
    wick_lock_release(&t->lock);
}

void wick_mcp_stream_push(wick_mcp_stream *t, json_t *message)
{
    wick_lock_take(&t->lock);
    if (message && !t->ended && json_array_size(t->queue) < QUEUE_MAX) json_array_append(t->queue, message);
    wick_cond_broadcast(&t->cond);
    wick_lock_drop(&t->lock);
    json_decref(message);
}

void wick_mcp_stream_end(wick_mcp_stream *t)
{
    wick_lock_take(&t->lock);
    t->ended = true;
    wick_cond_broadcast(&t->cond);
    wick_lock_drop(&t->lock);
}

/* The next message, held; NULL after `ms` without one, or at the end. */
static json_t *pop(wick_mcp_stream *t, uint64_t ms, bool *ended)
{
    json_t *m = NULL;
    wick_lock_take(&t->lock);
    if (!t->ended && json_array_size(t->queue) == 0) (void)wick_cond_wait_ms(&t->cond, &t->lock, ms);
    m = json_array_get(t->queue, 0);
    if (m) {
        json_incref(m);
        json_array_remove(t->queue, 0);
    }
    *ended = t->ended;
    wick_lock_drop(&t->lock);
    return m;
}

void wick_mcp_stream_run(wick_mcp_stream *t, wick_mcp_server *s, const wick_mcp_out *out, wick_mcp_call *call,
                         bool (*keep_alive)(void *ctx))
{
    double t_sent = wick_time_ms();
    bool ended = false;
    for (;;) {
        json_t *m = pop(t, POLL_MS, &ended);
        bool there = !out->gone || !out->gone(out->ctx);
        if (m) {
            there = there && out->send(out->ctx, m);
            json_decref(m);
            t_sent = wick_time_ms();
        } else if (ended || atomic_load(&s->closing) || (call && wick_mcp_call_cancelled(call))) {
            return;
        } else if (keep_alive && wick_time_ms() - t_sent > KEEP_ALIVE_MS) {
            there = there && keep_alive(out->ctx);
            t_sent = wick_time_ms();
        }
        if (!there) return;
    }
}

/* The notification as this stream carries it. */
static json_t *announcement(const wick_mcp_stream *t, const char *method, const char *uri)
{
    json_t *params = json_object();
    if (uri) json_object_set_new(params, "uri", json_string(uri));
    if (t->subscription)
        json_object_set_new(params, "_meta", json_pack("{s:O}", WICK_MCP_META_SUBSCRIPTION, t->subscription));
    return wick_rpc_notification(method, params);
}

void wick_mcp_announce(wick_mcp_server *s, unsigned what, const char *uri)
{
    static const struct {
        unsigned bit;
        const char *method;
    } lists[] = {{WICK_MCP_TOOLS_CHANGED, "notifications/tools/list_changed"},
                 {WICK_MCP_RESOURCES_CHANGED, "notifications/resources/list_changed"},
                 {WICK_MCP_PROMPTS_CHANGED, "notifications/prompts/list_changed"}};
    wick_lock_take(&s->lock);
    for (wick_mcp_stream *t = s->streams; t; t = t->next) {
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
            if (t->wants & what & lists[i].bit) wick_mcp_stream_push(t, announcement(t, lists[i].method, NULL));
        wick_lock_take(&t->lock);
        const bool wanted = uri && json_object_get(t->uris, uri);
        wick_lock_drop(&t->lock);
        if (wanted) wick_mcp_stream_push(t, announcement(t, "notifications/resources/updated", uri));
    }
    wick_lock_drop(&s->lock);
}

/* --- sessions ----------------------------------------------------------------------------------------------------- */
static void unlink_session(wick_mcp_session *n)
{
    wick_mcp_server *s = n->server;
    wick_mcp_session **at = &s->sessions;
    while (*at && *at != n) at = &(*at)->next;
    if (!*at) return;
    *at = n->next;
    s->n_sessions--;
    n->dead = true;
}

/* Makes room for one more: the session that nobody uses and that was idle longest, if there are too many. */
static wick_mcp_session *oldest_idle(wick_mcp_server *s)
{
    wick_mcp_session *oldest = NULL;
    for (wick_mcp_session *n = s->sessions; n; n = n->next)
        if (atomic_load(&n->n_users) == 0 && (!oldest || n->t_used < oldest->t_used)) oldest = n;
    if (oldest) atomic_fetch_add(&oldest->n_users, 1);
    return oldest;
}

wick_mcp_session *wick_mcp_session_new(wick_mcp_server *s, const char *version, const json_t *client_caps)
{
    uint8_t random[16];
    wick_mcp_session *n = wick_alloc_zero(1, sizeof *n), *old = NULL;
    if (!n) return NULL;
    if (wick_random_secret(random, sizeof random, NULL) != WICK_OK) {
        wick_free(n);
        return NULL;
    }
    for (size_t i = 0; i < sizeof random; i++) snprintf(n->id + 2 * i, 3, "%02x", random[i]);
    n->server = s;
    n->version = version;
    n->caps = client_caps ? wick_json_share(client_caps) : json_object();
    atomic_init(&n->log_level, 0);
    atomic_init(&n->n_users, 1);
    n->next_id = 1;
    n->t_used = wick_time_ms();
    wick_lock_init(&n->lock);
    wick_cond_init(&n->cond);
    wick_mcp_stream_init(&n->stream, s, WICK_MCP_TOOLS_CHANGED | WICK_MCP_RESOURCES_CHANGED | WICK_MCP_PROMPTS_CHANGED);
    wick_lock_take(&s->lock);
    if (s->n_sessions >= s->max_sessions) old = oldest_idle(s);
    n->next = s->sessions;
    s->sessions = n;
    s->n_sessions++;
    wick_lock_drop(&s->lock);
    if (old) {
        wick_mcp_session_end(old);
        wick_mcp_session_give(old);
    }
    return n;
}

wick_mcp_session *wick_mcp_session_take(wick_mcp_server *s, const char *id)
{
    wick_lock_take(&s->lock);
    wick_mcp_session *n = s->sessions;
    while (n && strcmp(n->id, id) != 0) n = n->next;
    if (n) {
        atomic_fetch_add(&n->n_users, 1);
        n->t_used = wick_time_ms();
    }
    wick_lock_drop(&s->lock);
    return n;
}

void wick_mcp_session_give(wick_mcp_session *n)
{
    if (!n) return;
    wick_mcp_server *s = n->server;
    wick_lock_take(&s->lock);
    const bool last = atomic_fetch_sub(&n->n_users, 1) == 1 && n->dead;
    wick_lock_drop(&s->lock);
    if (!last) return;
    wick_mcp_stream_release(&n->stream, s);
    json_decref(n->caps);
    wick_cond_release(&n->cond);
    wick_lock_release(&n->lock);
    wick_free(n);
}

void wick_mcp_session_end(wick_mcp_session *n)
{
    wick_lock_take(&n->server->lock);
    unlink_session(n);
    wick_lock_drop(&n->server->lock);
    wick_lock_take(&n->lock);
    for (wick_mcp_call *c = n->calls; c; c = c->next_in_session) atomic_store(&c->cancelled, true);
    wick_cond_broadcast(&n->cond);
    wick_lock_drop(&n->lock);
    wick_mcp_stream_end(&n->stream);
}

void wick_mcp_session_response(wick_mcp_session *n, const json_t *message)
{
    const json_t *id = json_object_get(message, "id");
    if (!json_is_integer(id)) return;
    wick_lock_take(&n->lock);
    wick_mcp_question *q = n->questions;
    while (q && q->id != json_integer_value(id)) q = q->next;
    if (q && !q->response) q->response = wick_json_share(message);
    wick_cond_broadcast(&n->cond);
    wick_lock_drop(&n->lock);
}

void wick_mcp_session_cancel(wick_mcp_session *n, const json_t *id)
{
    wick_lock_take(&n->lock);
    for (wick_mcp_call *c = n->calls; c; c = c->next_in_session)
        if (json_equal(c->id, id)) atomic_store(&c->cancelled, true);
    wick_cond_broadcast(&n->cond);
    wick_lock_drop(&n->lock);
}
