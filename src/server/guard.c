/* server/guard.c - who guesses keys is slowed, and what an operator should hear of is said, but not too often.
 *
 * Wrong keys are counted by address. After a few, answers to wrong ones from there are held back; a right key is
 * answered at once always, so that whoever guesses from behind the same address as others slows himself only. Lines of
 * warning have a budget; those beyond it are counted and told of with the next line. Nothing here holds a secret.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/str.h"
#include "server/server_int.h"

enum {
    FREE_GUESSES = 20,
    FORGET_MS = 600 * 1000,   /* without a wrong key from there */
    HOLD_MS = 1000,           /* between two answers to wrong keys */
    MOST_HOLD_MS = 30 * 1000, /* beyond it the connection is closed instead */
    LINES = 20,               /* at once */
    LINE_MS = 1000            /* one more every so often */
};

void wick_guard_init(wick_guard *g)
{
    memset(g, 0, sizeof *g);
    wick_lock_init(&g->lock);
    g->lines = LINES;
}

void wick_guard_release(wick_guard *g)
{
    wick_lock_release(&g->lock);
}

wick_peer wick_peer_from(const struct sockaddr *a)
{
    wick_peer p = {.bytes = {[10] = 0xff, [11] = 0xff}};
    if (a && a->sa_family == AF_INET) memcpy(p.bytes + 12, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
    if (a && a->sa_family == AF_INET6)
        memcpy(p.bytes, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, sizeof p.bytes);
    return p;
}

const char *wick_peer_text(const wick_peer *p, char text[WICK_PEER_TEXT])
{
    static const uint8_t v4[12] = {[10] = 0xff, [11] = 0xff};
    const bool four = memcmp(p->bytes, v4, sizeof v4) == 0;
    const char *s = inet_ntop(four ? AF_INET : AF_INET6, p->bytes + (four ? 12 : 0), text, WICK_PEER_TEXT);
    return s ? s : "?";
}

bool wick_peer_same(const wick_peer *a, const wick_peer *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* Lock held. The address's row: its own, else the one that was quiet for longest. */
static wick_guesser *row_of(wick_guard *g, const wick_peer *peer, double now)
{
    wick_guesser *oldest = &g->row[0];
    for (size_t i = 0; i < sizeof g->row / sizeof *g->row; i++) {
        wick_guesser *r = &g->row[i];
        if (r->n > 0 && wick_peer_same(&r->peer, peer)) {
            if (now - r->t_last > FORGET_MS) *r = (wick_guesser){.peer = *peer};
            return r;
        }
        if (r->t_last < oldest->t_last) oldest = r;
    }
    *oldest = (wick_guesser){.peer = *peer};
    return oldest;
}

double wick_guard_wrong_key(wick_guard *g, const wick_peer *peer, double now)
{
    double until = now;
    wick_lock_take(&g->lock);
    wick_guesser *r = row_of(g, peer, now);
    r->t_last = now;
    if (++r->n > FREE_GUESSES) {
        if (r->t_free < now) r->t_free = now;
        until = r->t_free + HOLD_MS;
        if (until - now <= MOST_HOLD_MS) r->t_free = until;
    }
    wick_lock_drop(&g->lock);
    return until - now <= MOST_HOLD_MS ? until : -1;
}

void wick_guard_say(wick_guard *g, double now, const char *fmt, ...)
{
    char raw[512], line[700], more[64] = "";
    va_list ap;
    wick_lock_take(&g->lock);
    g->lines += (now - g->t_lines) / LINE_MS;
    if (g->lines > LINES) g->lines = LINES;
    g->t_lines = now;
    const bool may = g->lines >= 1;
    const uint64_t n_unsaid = g->n_unsaid;
    if (may) g->lines -= 1;
    g->n_unsaid = may ? 0 : n_unsaid + 1;
    wick_lock_drop(&g->lock);
    if (!may) return;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    wick_escape_line(line, sizeof line, raw, strlen(raw));
    if (n_unsaid)
        snprintf(more, sizeof more, " (%llu lines before this one were left out)", (unsigned long long)n_unsaid);
    wick_log(WICK_LOG_WARN, "%s%s", line, more);
}
