/* server/watch.c - one thread that looks after connections while libmicrohttpd does not.
 *
 * A suspended connection is not polled, so its client could leave unnoticed; headers that trickle in never time out.
 * The watch looks at sockets every 50 ms while requests run, and at deadlines every second otherwise. It frees nothing:
 * a connection whose time is up is shut down, and libmicrohttpd then finds it closed. Lock order: list, exchange.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "base/sys.h"
#include "server/server_int.h"

#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

enum { BUSY_TICK_MS = 50, IDLE_TICK_MS = 500 };

/* The other side has closed, or sends no more. */
static bool peer_left(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    char c;
    if (poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) return true;
    return POLLRDHUP == 0 && recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void look_at(wick_server *s, wick_conn *c, double now, bool *busy)
{
    const wick_server_limits *l = &s->config->limits;
    wick_exchange *x = c->x;
    const double age = now - c->t_state;
    if (c->state == WICK_CONN_HEADER && age > (double)l->header_seconds * 1000) shutdown(c->fd, SHUT_RDWR);
    if (c->state == WICK_CONN_BODY && age > (double)l->body_seconds * 1000) shutdown(c->fd, SHUT_RDWR);
    if (c->state == WICK_CONN_IDLE && age > (double)(l->header_seconds + l->idle_seconds) * 1000)
        shutdown(c->fd, SHUT_RDWR);
    if (c->state != WICK_CONN_BUSY || !x) return;
    *busy = true;
    wick_lock_take(&x->lock);
    const bool waits = x->suspended, running = x->state == WICK_X_RUN || x->state == WICK_X_SENT;
    const bool left = !x->gone && peer_left(c->fd);
    const bool quiet = running && x->stream && now - x->t_write > (double)l->keepalive_seconds * 1000;
    if (left) x->gone = true;
    wick_lock_drop(&x->lock);
    if (left && running && x->source) x->source->cancel(x);
    if (waits && x->t_hold > 0 && (left || now >= x->t_hold)) wick_x_wake(x);
    if ((left && running) || (waits && quiet)) {
        if (quiet && !left) x->source->comment(x);
        wick_x_wake(x);
    }
}

/* Lock held. Where connections become few, the one that has waited for longest with nothing to do is closed, so that
 * somebody always finds room: whoever asks for health, and whoever administers. */
static void make_room(wick_server *s)
{
    const uint32_t most = s->port.max_conns, keep = most > 64 ? 32 : most / 4;
    wick_conn *oldest = NULL;
    uint32_t n_open = 0;
    for (wick_conn *c = s->conns; c; c = c->next) n_open += !c->closing;
    for (; n_open + keep > most; n_open--) {
        oldest = NULL;
        for (wick_conn *c = s->conns; c; c = c->next)
            if (!c->closing && (c->state == WICK_CONN_IDLE || c->state == WICK_CONN_HEADER) &&
                (!oldest || c->t_state < oldest->t_state))
                oldest = c;
        if (!oldest) return;
        oldest->closing = true;
        shutdown(oldest->fd, SHUT_RDWR);
    }
}

void *wick_watch_main(void *ctx)
{
    wick_server *s = ctx;
    while (!atomic_load(&s->stopping)) {
        bool busy = false;
        double now = wick_time_ms();
        wick_lock_take(&s->conns_lock);
        for (wick_conn *c = s->conns; c; c = c->next) look_at(s, c, now, &busy);
        make_room(s);
        busy |= s->n_conns > s->port.max_conns / 2;
        wick_lock_drop(&s->conns_lock);
        busy |= atomic_load(&s->n_active) > 0;
        wick_lock_take(&s->watch_lock);
        if (!atomic_load(&s->stopping))
            wick_cond_wait_ms(&s->watch_wake, &s->watch_lock, busy ? BUSY_TICK_MS : IDLE_TICK_MS);
        wick_lock_drop(&s->watch_lock);
    }
    return NULL;
}
