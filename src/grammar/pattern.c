/* grammar/pattern.c - from the tree of a pattern to an expression, from its end to its beginning.
 *
 * Each part is built with the language of all that follows it, twice: for the case that nothing has been read yet
 * (there ^ holds) and for the case that something has. So $ asks whether what follows may be empty, and lookahead
 * intersects with what follows.
 */
#include "grammar/pattern_int.h"

typedef struct builder {
    wick_re_pool *p;
    const char *why; /* not NULL: cannot be built */
} builder;

typedef struct rest { /* what follows: with nothing read before, and with something */
    wick_re start, later;
} rest;

enum { MAX_COPIES = 8 };

static wick_re build_plain(builder *b, const wick_pat *t);
static wick_re build(builder *b, const wick_pat *t, rest k, bool start);

static wick_re build_list(builder *b, const wick_pat *t)
{
    wick_re v[64], r = t->kind == PAT_ALT ? WICK_RE_NONE : WICK_RE_EPS;
    uint32_t n = 0;
    for (const wick_pat *c = t->child; c && !b->p->why; c = c->next) {
        v[n++] = build_plain(b, c);
        if (n < 64 && c->next) continue;
        if (t->kind == PAT_ALT) {
            r = wick_re_or2(b->p, r, wick_re_or(b->p, v, n));
        } else {
            wick_re part = WICK_RE_EPS;
            for (uint32_t i = n; i-- > 0;) part = wick_re_cat(b->p, v[i], part);
            r = wick_re_cat(b->p, r, part);
        }
        n = 0;
    }
    return r;
}

static wick_re build_plain(builder *b, const wick_pat *t)
{
    switch (t->kind) {
    case PAT_CHARS: return t->chars;
    case PAT_CAT:
    case PAT_ALT: return build_list(b, t);
    case PAT_REP: return wick_re_rep(b->p, build_plain(b, t->child), t->lo, t->hi);
    default: return WICK_RE_EPS;
    }
}

static wick_re build_seq(builder *b, const wick_pat *c, rest k, bool start)
{
    if (!c) return start ? k.start : k.later;
    const wick_pat *list[4096]; /* from the end; a longer list is refused */
    uint32_t n = 0;
    for (; c; c = c->next) {
        if (n == 4096) {
            b->why = "anchors in a pattern of more than 4096 parts are not supported";
            return WICK_RE_NONE;
        }
        list[n++] = c;
    }
    while (n-- > 0) {
        rest next = {.later = build(b, list[n], k, false), .start = WICK_RE_NONE};
        if (start) next.start = build(b, list[n], k, true);
        k = next;
    }
    return start ? k.start : k.later;
}

static wick_re build_repeat(builder *b, const wick_pat *t, rest k, bool start)
{
    if (t->hi > MAX_COPIES) {
        b->why = "an anchor or lookahead inside an unbounded repeat is not supported";
        return WICK_RE_NONE;
    }
    for (uint32_t i = t->hi; i-- > 0;) {
        rest next = {.later = build(b, t->child, k, false), .start = WICK_RE_NONE};
        if (start) next.start = build(b, t->child, k, true);
        if (i >= t->lo) {
            next.later = wick_re_or2(b->p, next.later, k.later);
            next.start = wick_re_or2(b->p, next.start, k.start);
        }
        k = next;
    }
    return start ? k.start : k.later;
}

static wick_re build(builder *b, const wick_pat *t, rest k, bool start)
{
    wick_re_pool *p = b->p;
    wick_re after = start ? k.start : k.later, r = WICK_RE_NONE;
    if (p->why || b->why) return WICK_RE_NONE;
    if (t->plain) {
        r = build_plain(b, t);
        if (!start || k.start == k.later) return wick_re_cat(p, r, after);
        if (!wick_re_nullable(p, r)) return wick_re_cat(p, r, k.later);
        wick_re some = wick_re_and2(p, r, wick_re_not(p, WICK_RE_EPS));
        return wick_re_or2(p, k.start, wick_re_cat(p, some, k.later));
    }
    switch (t->kind) {
    case PAT_CAT: return build_seq(b, t->child, k, start);
    case PAT_ALT:
        for (const wick_pat *c = t->child; c; c = c->next) r = wick_re_or2(p, r, build(b, c, k, start));
        return r;
    case PAT_REP: return build_repeat(b, t, k, start);
    case PAT_START: return start ? k.start : WICK_RE_NONE;
    case PAT_END: return wick_re_nullable(p, after) ? WICK_RE_EPS : WICK_RE_NONE;
    case PAT_LOOK:
        r = build(b, t->child, (rest){WICK_RE_ALL, WICK_RE_ALL}, start);
        return wick_re_and2(p, after, t->negated ? wick_re_not(p, r) : r);
    default: return after;
    }
}

static wick_re shortest(wick_re_pool *p, wick_re r)
{
    wick_re some = wick_re_rep(p, wick_re_any_char(p), 1, WICK_RE_INF);
    return wick_re_and2(p, r, wick_re_not(p, wick_re_cat(p, r, some)));
}

wick_status wick_pattern_bad(const char *where, const char *s, size_t n, size_t at, const char *why, wick_err *err)
{
    char shown[96];
    wick_escape_line(shown, sizeof shown, s, n);
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "grammar", "%s: pattern \"%s\": %s (byte %zu)", where, shown, why, at);
}

wick_status wick_pattern_compile(wick_re_pool *p, const char *s, size_t n, wick_pattern_kind kind, unsigned flags,
                                 const char *where, wick_re *out, wick_err *err)
{
    wick_arena a;
    wick_pat *t = NULL;
    builder b = {.p = p};
    wick_arena_init(&a, 1 << 13);
    wick_status st = wick_pattern_parse(p, &a, s, n, kind, flags, where, &t, err);
    if (st == WICK_OK) {
        bool search = flags & WICK_PATTERN_SEARCH;
        wick_re any = search ? wick_re_any_text(p) : WICK_RE_EPS;
        rest k = {any, any};
        wick_re r = build(&b, t, k, true);
        if (search) {
            wick_re some = wick_re_rep(p, wick_re_any_char(p), 1, WICK_RE_INF);
            wick_re later = build(&b, t, k, false);
            r = wick_re_or2(p, r, wick_re_cat(p, t->plain ? any : some, later));
            if (t->plain) r = wick_re_cat(p, any, later);
        }
        if (flags & WICK_PATTERN_SHORTEST) r = shortest(p, r);
        if (b.why)
            st = wick_pattern_bad(where, s, n, 0, b.why, err);
        else if (!wick_re_ok(p))
            st = wick_re_failed(p, err);
        else
            *out = r;
    }
    wick_arena_release(&a);
    return st;
}
