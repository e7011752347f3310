/* grammar/matcher.c - one text under a grammar: its bytes so far, and the state after each token, so that tokens can be
 * taken back. */
#include "grammar/grammar_int.h"
#include "base/alloc.h"

typedef struct mark {
    wick_gstate state;
    uint32_t n_text;
    bool ended;
} mark;

struct wick_gmatcher {
    wick_grammar *g;
    wick_gvocab *v;
    mark now;
    mark *past; /* before each accepted token */
    size_t n_past, cap_past;
    char *text; /* with room for the longest token after n_text */
    size_t cap_text;
};

enum { MAX_TEXT = 1 << 30, ROOM = WICK_GVOCAB_MAX_TOKEN + 16 };

static wick_status room(wick_gmatcher *m, size_t more, wick_err *err)
{
    size_t want = (size_t)m->now.n_text + more + ROOM;
    if (m->g->machine == MACHINE_CALLS) want = want * CALLS_MOST + ROOM; /* of JSON, for a byte */
    if (want > MAX_TEXT) return WICK_FAIL(err, WICK_E_LIMIT, "grammar", "grammar: the text is longer than 1 GiB");
    if (want <= m->cap_text) return WICK_OK;
    size_t cap = m->cap_text ? m->cap_text * 2 : 1024;
    while (cap < want) cap *= 2;
    char *t = wick_realloc(m->text, cap);
    if (!t) return wick_err_oom(err, "a constraint", cap, 0);
    m->text = t;
    m->cap_text = cap;
    return WICK_OK;
}

wick_status wick_gmatcher_new(wick_gmatcher **out, wick_grammar *g, wick_gvocab *v, wick_err *err)
{
    wick_gmatcher *m = wick_alloc_zero(1, sizeof *m);
    if (!m) return wick_err_oom(err, "a constraint", 0, 0);
    m->now.state = g->start;
    m->g = wick_grammar_ref(g);
    m->v = v ? wick_gvocab_ref(v) : NULL;
    wick_status st = room(m, 0, err);
    if (st == WICK_OK)
        *out = m;
    else
        wick_gmatcher_free(m);
    return st;
}

void wick_gmatcher_free(wick_gmatcher *m)
{
    if (!m) return;
    wick_grammar_unref(m->g);
    wick_gvocab_free(m->v);
    wick_free(m->past);
    wick_free(m->text);
    wick_free(m);
}

wick_status wick_gmatcher_mask(wick_gmatcher *m, uint64_t *bits, wick_err *err)
{
    if (!m->v)
        return WICK_FAIL(err, WICK_E_INTERNAL, "grammar", "grammar: a matcher without a vocabulary has no masks");
    if (m->now.ended) { /* nothing after the end but the end */
        memset(bits, 0, m->v->n_words * sizeof *bits);
        for (size_t i = 0; i < m->v->n_ends; i++) bits[m->v->ends[i] / 64] |= (uint64_t)1 << (m->v->ends[i] % 64);
        return WICK_OK;
    }
    wick_lock_take(&m->g->lock);
    wick_status st = wick_g_mask(m->g, m->v, &m->now.state, m->text, m->now.n_text, m->n_past == 0, bits, err);
    wick_lock_drop(&m->g->lock);
    return st;
}

/* Steps over s; *n_ok is how far. The state moves only if all of it may come, or `part`. */
static wick_status advance(wick_gmatcher *m, const char *s, size_t n, bool part, size_t *n_ok, wick_err *err)
{
    wick_grammar *g = m->g;
    WICK_TRY(room(m, n, err));
    wick_lock_take(&g->lock);
    wick_gstate a = m->now.state, b;
    size_t i = 0;
    wick_re_allow(&g->re, g->o.mask_ms);
    for (; i < n; i++) {
        if (g->machine != MACHINE_CALLS) m->text[m->now.n_text + i] = s[i];
        if (!wick_g_step(g, &a, (uint8_t)s[i], m->text, m->now.n_text + (uint32_t)i, &b)) break;
        a = b;
    }
    wick_status st = wick_re_ok(&g->re) ? WICK_OK : wick_re_failed(&g->re, err);
    wick_lock_drop(&g->lock);
    *n_ok = i;
    if (st == WICK_OK && (i == n || part)) {
        m->now.state = a;
        m->now.n_text += (uint32_t)i;
    }
    return st;
}

static wick_status push(wick_gmatcher *m, wick_err *err)
{
    if (m->n_past == m->cap_past) {
        size_t cap = m->cap_past ? m->cap_past * 2 : 64;
        mark *p = wick_realloc_array(m->past, cap, sizeof *p);
        if (!p) return wick_err_oom(err, "a constraint", 0, 0);
        m->past = p;
        m->cap_past = cap;
    }
    m->past[m->n_past++] = m->now;
    return WICK_OK;
}

static wick_status accept_control(wick_gmatcher *m, wick_str token, bool *ok, wick_err *err)
{
    wick_grammar *g = m->g;
    wick_gstate next;
    WICK_TRY(room(m, token.n, err));
    wick_lock_take(&g->lock);
    wick_re_allow(&g->re, g->o.mask_ms);
    *ok = token.n && wick_g_step_control(g, &m->now.state, token, m->text, &next);
    wick_status st = wick_re_ok(&g->re) ? WICK_OK : wick_re_failed(&g->re, err);
    wick_lock_drop(&g->lock);
    if (st == WICK_OK && *ok) {
        m->now.state = next;
        m->now.n_text += (uint32_t)token.n;
    }
    return st;
}

wick_status wick_gmatcher_accept(wick_gmatcher *m, int32_t token, bool *ok, wick_err *err)
{
    *ok = false;
    if (!m->v || token < 0 || (uint32_t)token >= m->v->n) return WICK_OK;
    WICK_TRY(push(m, err));
    if (wick_gvocab_is_end(m->v, token)) {
        *ok = m->now.ended || wick_gmatcher_may_end(m);
        m->now.ended |= *ok;
    } else if (m->v->usable[token] && !m->now.ended) {
        wick_str s = wick_gvocab_bytes(m->v, token);
        size_t n = 0, skip = m->n_past == 1 && m->v->first_space && s.n > 1 && s.p[0] == ' ';
        wick_status st = advance(m, s.p + skip, s.n - skip, false, &n, err);
        if (st != WICK_OK) {
            m->n_past--;
            return st;
        }
        *ok = n == s.n - skip;
    } else if (m->g->machine == MACHINE_CALLS && !m->now.ended) {
        wick_status st = accept_control(m, wick_gvocab_bytes(m->v, token), ok, err);
        if (st != WICK_OK) {
            m->n_past--;
            return st;
        }
    }
    if (!*ok) m->n_past--;
    return WICK_OK;
}

wick_status wick_gmatcher_accept_bytes(wick_gmatcher *m, const char *s, size_t n, size_t *n_ok, wick_err *err)
{
    *n_ok = 0;
    if (m->now.ended) return WICK_OK;
    WICK_TRY(push(m, err));
    wick_status st = advance(m, s, n, true, n_ok, err);
    if (st != WICK_OK) m->n_past--;
    return st;
}

void wick_gmatcher_rollback(wick_gmatcher *m, size_t n)
{
    if (n > m->n_past) n = m->n_past;
    if (!n) return;
    m->n_past -= n;
    m->now = m->past[m->n_past];
}

bool wick_gmatcher_may_end(wick_gmatcher *m)
{
    if (m->now.ended) return true;
    wick_lock_take(&m->g->lock);
    wick_re_allow(&m->g->re, m->g->o.mask_ms);
    bool yes = wick_re_ok(&m->g->re) &&
               (wick_g_may_end(m->g, &m->now.state) || (m->v && wick_g_end_closes(m->g, m->v, &m->now.state, m->text)));
    wick_lock_drop(&m->g->lock);
    return yes;
}

bool wick_gmatcher_ended(const wick_gmatcher *m)
{
    return m->now.ended;
}

wick_status wick_gmatcher_forced(wick_gmatcher *m, wick_buf *out, wick_err *err)
{
    enum { MOST = 512 };
    wick_grammar *g = m->g;
    if (m->now.ended) return WICK_OK;
    WICK_TRY(room(m, MOST, err));
    wick_lock_take(&g->lock);
    wick_gstate s = m->now.state, next, only;
    wick_re_allow(&g->re, g->o.mask_ms);
    for (uint32_t i = 0; i < MOST && !wick_g_may_end(g, &s); i++) {
        int found = 0;
        char byte = 0;
        for (unsigned b = 0; b < 256 && found < 2; b++) {
            if (g->machine != MACHINE_CALLS) m->text[m->now.n_text + i] = (char)b;
            if (!wick_g_step(g, &s, (uint8_t)b, m->text, m->now.n_text + i, &next)) continue;
            found++;
            only = next;
            byte = (char)b;
        }
        if (found != 1) break;
        if (g->machine != MACHINE_CALLS) m->text[m->now.n_text + i] = byte;
        wick_buf_putc(out, byte);
        s = only;
    }
    wick_status st = wick_re_ok(&g->re) ? WICK_OK : wick_re_failed(&g->re, err);
    wick_lock_drop(&g->lock);
    if (st == WICK_OK && out->failed) st = wick_err_oom(err, "a constraint", 0, 0);
    return st;
}
