/* chat/format/toolcall.c - the stream: content until something opens calls, calls until something else follows.
 *
 * held[head..] is what has not come out yet. TEXT: white space, then maybe the start of a marker. CALLS: from the white
 * space before the marker on until the first call is complete, then from behind the last complete call on; `pos` (from
 * head) is where parsing goes on. Whatever turns out to be no call leaves its first bytes to content and the rest is
 * looked at again, at most WICK_TC_BAD_MAX times in a text: hostile text costs that many passes, no more. */
#include "base/alloc.h"
#include "chat/format/toolcall_impl.h"

enum { SPACE_MAX = 1024 }; /* white space before a marker that a call takes along */

struct wick_toolcall_parser {
    const wick_toolcall_format *f;
    wick_toolcall_limits lim;
    json_t *tools;
    enum { TEXT, CALLS, PASS } state; /* PASS: a limit was met, all is content */
    bool stops[256];                  /* TEXT: bytes that plain text ends before */
    bool seen_text;                   /* more than white space came, or a call */
    bool any_content, after_call;
    bool marked, in_array;
    unsigned n_calls, n_here, n_bad; /* in all, since the marker, marks without a call */
    size_t head, pos, lead;          /* lead: white space before the marker */
    size_t tried;                    /* bytes from head on that were no complete call yet */
    size_t mark;                     /* bytes after lead that are content for sure if no call follows */
    wick_tc_scan scan;
    wick_buf held, name, id, args;
};

wick_status wick_toolcall_parser_new(wick_toolcall_parser **out, const wick_toolcall_format *f, json_t *tools,
                                     const wick_toolcall_limits *limits, wick_err *err)
{
    wick_toolcall_parser *p = wick_alloc_zero(1, sizeof *p);
    if (!p) return wick_err_oom(err, "tool-call parser", sizeof *p, 0);
    p->f = f;
    p->tools = json_is_array(tools) ? json_incref(tools) : NULL;
    if (limits) p->lim = *limits;
    if (!p->lim.max_call_bytes) p->lim.max_call_bytes = 1 << 20;
    if (!p->lim.max_calls) p->lim.max_calls = 128;
    if (!p->lim.max_depth) p->lim.max_depth = 64;
    if (p->lim.max_depth > 200) p->lim.max_depth = 200;
    if (!p->lim.max_params) p->lim.max_params = 128;
    for (const char *s = " \t\r\n"; *s; s++) p->stops[(unsigned char)*s] = true;
    for (size_t i = 0; i < sizeof f->open / sizeof *f->open && f->open[i].mark; i++)
        if (!f->open[i].start) p->stops[(unsigned char)*f->open[i].mark] = true;
    *out = p;
    return WICK_OK;
}

void wick_toolcall_parser_free(wick_toolcall_parser *p)
{
    if (!p) return;
    json_decref(p->tools);
    wick_buf_release(&p->held);
    wick_buf_release(&p->name);
    wick_buf_release(&p->id);
    wick_buf_release(&p->args);
    wick_free(p);
}

static const char *view(const wick_toolcall_parser *p)
{
    return p->held.data + p->head;
}

static size_t left(const wick_toolcall_parser *p)
{
    return p->held.n - p->head;
}

static void emit(wick_toolcall_parser *p, wick_buf *content, size_t n)
{
    if (n > 0) p->any_content = true;
    wick_buf_add(content, view(p), n);
    p->head += n;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

/* A marker at view()[at]: OK, MORE or BAD. */
static wick_tc_step opening(const wick_toolcall_parser *p, size_t at, bool end, const wick_tc_open **open)
{
    wick_tc_cur c = {.s = view(p), .n = left(p), .i = at, .end = end};
    wick_tc_step st = WICK_TC_BAD;
    for (size_t i = 0; i < sizeof p->f->open / sizeof *p->f->open && p->f->open[i].mark; i++) {
        *open = &p->f->open[i];
        if ((*open)->start && p->seen_text) continue;
        const wick_tc_step one = wick_tc_peek(&c, (*open)->mark);
        if (one == WICK_TC_OK) return one;
        if (one == WICK_TC_MORE) st = one;
    }
    return st;
}

static void enter(wick_toolcall_parser *p, size_t lead, const wick_tc_open *open)
{
    const size_t mark = open ? strlen(open->mark) : 0;
    p->state = CALLS;
    p->marked = open && !open->start && p->f->body != WICK_TC_FUNCTIONARY;
    p->in_array = false;
    p->n_here = 0;
    p->lead = lead;
    p->mark = !open ? 0 : open->keep ? 1 : mark;
    p->pos = lead + (open && !open->keep ? mark : 0);
    p->tried = 0;
    p->scan = (wick_tc_scan){0};
}

/* n bytes of white space between text: content, unless they lead from a call to the first content. */
static void pass_space(wick_toolcall_parser *p, wick_buf *content, size_t n)
{
    if (p->after_call && !p->any_content)
        p->head += n;
    else
        emit(p, content, n);
}

/* False: more text is needed. */
static bool text(wick_toolcall_parser *p, wick_buf *content, bool end)
{
    const wick_tc_open *open = NULL;
    size_t k = 0;
    while (k < left(p) && wick_tc_is_space(view(p)[k])) k++;
    if (k > SPACE_MAX) {
        pass_space(p, content, k - SPACE_MAX);
        k = SPACE_MAX;
    }
    if (k == left(p)) {
        if (!end) return false;
        if (p->after_call) p->head += k;
        emit(p, content, left(p));
        return false;
    }
    const wick_tc_step st = opening(p, k, end, &open);
    if (st == WICK_TC_MORE) return false;
    if (st == WICK_TC_OK || (p->f->implied_start && !p->seen_text)) {
        enter(p, k, st == WICK_TC_OK ? open : NULL);
        p->seen_text = true;
        return true;
    }
    pass_space(p, content, k);
    const char *t = view(p);
    for (k = 1; k < left(p) && !p->stops[(unsigned char)t[k]];) k++;
    emit(p, content, k);
    p->seen_text = true;
    p->after_call = false;
    return true;
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

/* What is held is no call. */
static void no_call(wick_toolcall_parser *p, wick_buf *content)
{
    p->state = TEXT;
    if (p->n_here > 0) {
        p->after_call = true;
        return;
    }
    pass_space(p, content, p->lead);
    emit(p, content, p->mark);
    p->after_call = false;
    if (++p->n_bad >= WICK_TC_BAD_MAX) p->state = PASS;
}

/* Everything up to pos is done with. */
static void commit(wick_toolcall_parser *p)
{
    p->head += p->pos;
    p->pos = p->lead = 0;
    p->tried = 0;
    p->scan = (wick_tc_scan){0};
}

static wick_tc_step any_of(const wick_tc_cur *c, const char *const *marks, size_t n, size_t *len)
{
    wick_tc_step st = WICK_TC_BAD;
    for (size_t i = 0; i < n && marks[i]; i++) {
        const wick_tc_step one = wick_tc_peek(c, marks[i]);
        if (one == WICK_TC_OK) {
            *len = strlen(marks[i]);
            return one;
        }
        if (one == WICK_TC_MORE) st = one;
    }
    return st;
}

static wick_tc_step report(wick_toolcall_parser *p, json_t *calls)
{
    json_t *o = json_object(), *id = p->id.n ? json_stringn(p->id.data, p->id.n) : NULL;
    int rc = o && (!p->id.n || id) ? 0 : -1;
    if (rc == 0 && id) rc = json_object_set(o, "id", id);
    if (rc == 0) rc = json_object_set_new(o, "name", json_stringn(p->name.data, p->name.n));
    if (rc == 0) rc = json_object_set_new(o, "arguments", json_stringn(p->args.n ? p->args.data : "", p->args.n));
    if (rc == 0) rc = json_array_append(calls, o);
    json_decref(id);
    json_decref(o);
    return rc == 0 ? WICK_TC_OK : WICK_TC_NOMEM;
}

static bool arrays(const wick_toolcall_format *f)
{
    return f->also_json || f->body == WICK_TC_JSON || f->body == WICK_TC_JSON_KEYS || f->body == WICK_TC_PYTHON;
}

/* Functools are an array or nothing: the word alone is text. */
static bool needs_array(const wick_toolcall_parser *p)
{
    return p->f->body == WICK_TC_JSON && !p->f->close[0];
}

/* White space, separators, brackets and markers around calls. OK: one was passed; BAD: a call should begin at c. */
static wick_tc_step between(wick_toolcall_parser *p, wick_tc_cur *c, bool *closed)
{
    size_t len = 0;
    wick_tc_step st;
    wick_tc_space(c);
    if (c->i == c->n) return c->end ? WICK_TC_PLAIN : WICK_TC_MORE;
    const char ch = c->s[c->i];
    if (p->in_array && (ch == ']' || (ch == ',' && p->n_here > 0))) {
        p->in_array = ch != ']';
        c->i++;
        return WICK_TC_OK;
    }
    if (!p->in_array && ch == '[' && p->n_here == 0 && arrays(p->f) && any_of(c, p->f->skip, 4, &len) == WICK_TC_BAD) {
        p->in_array = true;
        c->i++;
        return WICK_TC_OK;
    }
    st = any_of(c, p->f->close, 3, &len);
    *closed = st == WICK_TC_OK;
    const wick_tc_step skip = *closed ? WICK_TC_BAD : any_of(c, p->f->skip, 4, &len);
    if (!*closed && skip == WICK_TC_BAD) return st;
    if (!*closed && skip == WICK_TC_MORE) return skip;
    c->i += len;
    return WICK_TC_OK;
}

/* OK: go on; MORE: more text is needed; NOMEM. */
static wick_tc_step one_call(wick_toolcall_parser *p, wick_buf *content, json_t *calls, wick_tc_cur *c)
{
    wick_tc_step st = needs_array(p) && !p->in_array ? WICK_TC_BAD : wick_tc_call(c);
    if (st == WICK_TC_NOMEM) return st;
    const size_t used = st == WICK_TC_MORE ? c->n : c->i;
    if (st <= WICK_TC_MORE && used - p->lead > p->lim.max_call_bytes) st = WICK_TC_BAD;
    if (st == WICK_TC_OK && p->n_calls >= p->lim.max_calls) {
        st = WICK_TC_BAD;
        p->n_bad = WICK_TC_BAD_MAX;
    }
    if (st == WICK_TC_MORE) return st;
    if (st == WICK_TC_PLAIN) {
        p->pos = c->i;
        commit(p);
        p->state = TEXT;
    } else if (st == WICK_TC_BAD) {
        no_call(p, content);
        if (p->n_bad >= WICK_TC_BAD_MAX) p->state = PASS;
    } else {
        WICK_TC_TRY(report(p, calls));
        p->pos = c->i;
        commit(p);
        p->n_calls++;
        p->n_here++;
    }
    return WICK_TC_OK;
}

/* Can what came since the last try complete anything? White space alone never does. */
static bool worth_trying(wick_toolcall_parser *p, bool end)
{
    const size_t n = left(p);
    bool worth = wick_tc_scan_resume(&p->scan, view(p), n, end, p->lim.max_depth);
    if (worth && (p->scan.kind == WICK_TC_IDLE || p->scan.done)) {
        while (p->tried > 0 && p->tried < n && wick_tc_is_space(view(p)[p->tried])) p->tried++;
        worth = p->tried < n;
    }
    return worth || end || n - p->lead > p->lim.max_call_bytes;
}

static wick_tc_step calls_step(wick_toolcall_parser *p, wick_buf *content, json_t *calls, bool end)
{
    const size_t n = left(p);
    bool closed = false;
    if (!worth_trying(p, end)) return WICK_TC_MORE;
    wick_tc_cur c = {.s = view(p),
                     .n = n,
                     .i = p->pos,
                     .end = end,
                     .marked = p->marked,
                     .in_array = p->in_array,
                     .f = p->f,
                     .lim = &p->lim,
                     .tools = p->tools,
                     .scan = &p->scan,
                     .name = &p->name,
                     .id = &p->id,
                     .args = &p->args};
    const wick_tc_step st = between(p, &c, &closed);
    if (st == WICK_TC_BAD) return one_call(p, content, calls, &c);
    if (st == WICK_TC_MORE && n - p->lead <= p->lim.max_call_bytes) return st;
    if (st != WICK_TC_OK || (closed && p->n_here == 0)) {
        /* The end, too much white space, or a pair of markers with nothing between. */
        if (closed) p->mark = c.i - p->lead;
        no_call(p, content);
        return WICK_TC_OK;
    }
    p->pos = c.i;
    if (p->n_here > 0) commit(p);
    if (closed) {
        p->state = TEXT;
        p->after_call = true;
    }
    return WICK_TC_OK;
}

/* --- feeding ------------------------------------------------------------------------------------------------------ */

static wick_status go_on(wick_toolcall_parser *p, wick_buf *content, json_t *calls, bool end, wick_err *err)
{
    wick_tc_step st = WICK_TC_OK;
    while (st == WICK_TC_OK && left(p) > 0) {
        if (p->state == PASS)
            emit(p, content, left(p));
        else if (p->state == TEXT)
            st = text(p, content, end) ? WICK_TC_OK : WICK_TC_MORE;
        else
            st = calls_step(p, content, calls, end);
        if (st == WICK_TC_MORE && p->tried < left(p)) p->tried = left(p);
    }
    if (st == WICK_TC_NOMEM || content->failed) return wick_err_oom(err, "tool calls", 0, 0);
    if (p->head > 0) {
        memmove(p->held.data, view(p), left(p));
        p->held.n -= p->head;
        p->head = 0;
    }
    return WICK_OK;
}

wick_status wick_toolcall_feed(wick_toolcall_parser *p, const char *text, size_t n, wick_buf *content, json_t *calls,
                               wick_err *err)
{
    wick_buf_add(&p->held, text, n);
    if (p->held.failed) return wick_err_oom(err, "tool calls", p->held.n + n, 0);
    return go_on(p, content, calls, false, err);
}

wick_status wick_toolcall_end(wick_toolcall_parser *p, wick_buf *content, json_t *calls, wick_err *err)
{
    return go_on(p, content, calls, true, err);
}

wick_status wick_toolcall_parse(const wick_toolcall_format *f, json_t *tools, const char *text, size_t n,
                                wick_buf *content, json_t *calls, wick_err *err)
{
    wick_toolcall_parser *p;
    WICK_TRY(wick_toolcall_parser_new(&p, f, tools, NULL, err));
    wick_status st = wick_toolcall_feed(p, text, n, content, calls, err);
    if (st == WICK_OK) st = wick_toolcall_end(p, content, calls, err);
    wick_toolcall_parser_free(p);
    return st;
}
