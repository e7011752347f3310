/* chat/format/toolcall.c - the stream: text until something opens calls, calls until something else follows.
 *
 * held[head..] is what is not decided yet. TEXT: white space, then maybe the start of a marker. CALLS: from the white
 * space before the marker on until the first call is certain, then what the call's syntax waits for. What turns out to
 * be no call leaves its first bytes to the text and the rest is looked at again, at most WICK_TC_BAD_MAX times in a
 * text: hostile text costs that many passes, no more. */
#include "chat/format/toolcall.h"
#include "base/alloc.h"
#include "chat/format/call.h"

enum { SPACE_MAX = 1024 }; /* white space before a marker that a call takes along */

struct wick_toolcall_parser {
    const wick_toolcall_format *f;
    wick_toolcall_limits lim;
    wick_toolcall_sink sink;
    json_t *tools;
    enum { TEXT, CALLS, RAW, PASS } state; /* RAW: a call went wrong; PASS: a limit was met, all is text */
    bool stops[256];                       /* bytes that plain text ends before */
    bool after_call, any_text, tried_start;
    bool in_array, alone, closed;    /* alone: JSON without its marker */
    unsigned n_calls, n_here, n_bad; /* in all, since the marker, marks without a call */
    size_t head, lead;               /* lead: white space before the marker */
    size_t pos;                      /* from head: where the next call or separator begins */
    size_t space;                    /* from head: white space before a call that is not certain */
    size_t past;                     /* from pos: white space that was passed already */
    size_t mark;                     /* bytes after lead that are text for sure if no call follows */
    bool in_call, begun;
    wick_tc_syntax *reader; /* of the call that is read */
    size_t sent;            /* arguments that are out */
    wick_tc_cur c;
    wick_buf held;
};

wick_status wick_toolcall_parser_new(wick_toolcall_parser **out, const wick_toolcall_format *f, json_t *tools,
                                     const wick_toolcall_limits *limits, const wick_toolcall_sink *sink, wick_err *err)
{
    wick_toolcall_parser *p = wick_alloc_zero(1, sizeof *p);
    if (!p) return wick_err_oom(err, "tool-call parser", sizeof *p, 0);
    p->f = f;
    p->sink = *sink;
    p->tools = json_is_array(tools) ? json_incref(tools) : NULL;
    if (limits) p->lim = *limits;
    if (!p->lim.max_call_bytes) p->lim.max_call_bytes = 1 << 20;
    if (!p->lim.max_calls) p->lim.max_calls = 128;
    if (!p->lim.max_depth) p->lim.max_depth = 64;
    if (p->lim.max_depth > WICK_LIT_DEPTH_MAX) p->lim.max_depth = WICK_LIT_DEPTH_MAX;
    if (!p->lim.max_params) p->lim.max_params = 128;
    for (const char *s = " \t\r\n"; *s; s++) p->stops[(unsigned char)*s] = true;
    for (size_t i = 0; i < sizeof f->open / sizeof *f->open && f->open[i].mark; i++)
        p->stops[(unsigned char)*f->open[i].mark] = true;
    if (p->tools || f->bare)
        for (const char *s = "{[`"; *s; s++) p->stops[(unsigned char)*s] = true;
    *out = p;
    return WICK_OK;
}

void wick_toolcall_parser_free(wick_toolcall_parser *p)
{
    if (!p) return;
    json_decref(p->tools);
    wick_lit_release(&p->c.lit);
    wick_buf_release(&p->held);
    wick_buf_release(&p->c.key);
    wick_buf_release(&p->c.keys);
    wick_buf_release(&p->c.value);
    wick_buf_release(&p->c.name);
    wick_buf_release(&p->c.id);
    wick_buf_release(&p->c.args);
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

const char *wick_toolcall_held(const wick_toolcall_parser *p, size_t *n)
{
    *n = left(p);
    return *n ? view(p) : "";
}

static void emit(wick_toolcall_parser *p, size_t n)
{
    if (n == 0) return;
    p->any_text = true;
    p->sink.text(p->sink.user, view(p), n);
    p->head += n;
}

static wick_toolcall_place place(const wick_toolcall_parser *p)
{
    return p->sink.place(p->sink.user);
}

/* The cursor over what is held. */
static void look(wick_toolcall_parser *p, bool end)
{
    p->c.s = view(p);
    p->c.n = left(p);
    p->c.end = end;
    p->c.f = p->f;
    p->c.lim = &p->lim;
    p->c.tools = p->tools;
    p->c.in_array = p->in_array;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

/* JSON or Python's notation without a marker, where a call is due: as the first text, or, for a syntax that has no
 * marker, at the start of a line. */
static wick_tc_step alone(const wick_toolcall_parser *p, size_t at)
{
    const wick_tc_cur *c = &p->c;
    bool line = false;
    if ((!p->f->bare && (!p->tools || p->lim.marked_only)) || p->n_calls > 0) return WICK_TC_BAD;
    for (size_t i = 0; i < at; i++) line = line || c->s[i] == '\n';
    const wick_toolcall_place where = place(p);
    if (where == WICK_PLACE_REASONING || (where == WICK_PLACE_TEXT && !(p->f->bare && line))) return WICK_TC_BAD;
    if (c->s[at] == '{' || c->s[at] == '[') return WICK_TC_OK;
    return wick_tc_peek_at(c, at, "```");
}

/* A marker at view()[at]: OK, MORE or BAD. *open NULL: none is needed. */
static wick_tc_step opening(const wick_toolcall_parser *p, size_t at, const wick_tc_open **open)
{
    wick_tc_step st = WICK_TC_BAD;
    for (size_t i = 0; i < sizeof p->f->open / sizeof *p->f->open && p->f->open[i].mark; i++) {
        const wick_tc_open *o = &p->f->open[i];
        const wick_tc_step one = wick_tc_peek_at(&p->c, at, o->mark);
        if (one == WICK_TC_BAD || (o->start && place(p) != WICK_PLACE_START)) continue;
        *open = o;
        if (one == WICK_TC_OK) return one;
        st = one;
    }
    *open = NULL;
    return st == WICK_TC_MORE ? st : alone(p, at);
}

static void begin_call(wick_toolcall_parser *p)
{
    wick_tc_cur *c = &p->c;
    c->i = p->pos;
    c->phase = c->kind = c->n_params = 0;
    c->nested = c->has_name = c->has_args = c->sure = c->harmless = false;
    c->scan = 0;
    wick_buf_reset(&c->keys);
    wick_buf_reset(&c->name);
    wick_buf_reset(&c->id);
    wick_buf_reset(&c->args);
    p->in_call = true;
    p->reader = NULL;
    p->begun = false;
    p->sent = 0;
}

static void enter(wick_toolcall_parser *p, size_t lead, const wick_tc_open *open, bool alone_here)
{
    const size_t mark = open ? strlen(open->mark) : 0;
    p->state = CALLS;
    p->c.marked = open && !open->start && !p->f->implied_start && place(p) != WICK_PLACE_REASONING;
    p->alone = alone_here;
    p->in_array = p->in_call = p->closed = false;
    p->past = 0;
    p->n_here = 0;
    p->lead = lead;
    p->mark = p->alone ? 1 : !open ? 0 : open->keep ? 1 : mark;
    p->pos = lead + (open && !open->keep ? mark : 0);
}

/* n bytes of white space between text: text, unless they lead from a call to the first text. */
static void pass_space(wick_toolcall_parser *p, size_t n)
{
    if (p->after_call && !p->any_text)
        p->head += n;
    else
        emit(p, n);
}

/* False: more text is needed. */
static bool text_step(wick_toolcall_parser *p, bool end)
{
    const wick_tc_open *open = NULL;
    size_t k = 0;
    while (k < left(p) && wick_tc_is_space(view(p)[k])) k++;
    if (k > SPACE_MAX) {
        pass_space(p, k - SPACE_MAX);
        k = SPACE_MAX;
    }
    if (k == left(p)) {
        if (!end) return false;
        if (p->after_call) p->head += k;
        emit(p, left(p));
        return false;
    }
    look(p, end);
    const wick_tc_step st = opening(p, k, &open);
    if (st == WICK_TC_MORE) return false;
    const bool implied = st == WICK_TC_BAD && p->f->implied_start && !p->tried_start && place(p) == WICK_PLACE_START;
    if (st == WICK_TC_OK || implied) {
        p->tried_start = true;
        enter(p, k, open, !open && !implied);
        return true;
    }
    pass_space(p, k);
    const char *t = view(p);
    for (k = 1; k < left(p) && !p->stops[(unsigned char)t[k]];) k++;
    emit(p, k);
    p->after_call = false;
    return true;
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

/* What is held is no call. */
static void no_call(wick_toolcall_parser *p, bool harmless)
{
    p->state = TEXT;
    p->in_call = false;
    if (p->n_here > 0) {
        p->head += p->space;
        p->after_call = true;
        return;
    }
    pass_space(p, p->lead);
    emit(p, p->mark);
    p->after_call = false;
    if (!harmless && ++p->n_bad >= WICK_TC_BAD_MAX) p->state = PASS;
}

/* Everything before pos is done with. */
static void commit(wick_toolcall_parser *p)
{
    p->head += p->pos;
    p->pos = p->lead = 0;
}

static bool takes_array(const wick_toolcall_parser *p)
{
    return p->alone || p->f->json || p->f->also_json || p->f->array;
}

/* ``` and a word, around JSON. */
static wick_tc_step fence(const wick_toolcall_parser *p, wick_tc_cur *c)
{
    if (!(p->alone || p->f->json || p->f->also_json)) return WICK_TC_BAD;
    const wick_tc_step st = wick_tc_peek(c, "```");
    size_t k = c->i + 3;
    if (st != WICK_TC_OK) return st;
    while (k < c->n && ((c->s[k] >= 'a' && c->s[k] <= 'z') || c->s[k] == '_')) k++;
    if (k == c->n && !c->end) return WICK_TC_MORE;
    c->i = k;
    return WICK_TC_OK;
}

/* One closing brace too many: white space and a marker follow it, or the end. */
static wick_tc_step extra_brace(const wick_toolcall_parser *p, const wick_tc_cur *c)
{
    size_t len;
    if (p->in_array || p->n_here == 0 || !(p->alone || p->f->json)) return WICK_TC_BAD;
    const size_t k = wick_tc_past_space(c, c->i + 1);
    if (k == c->n) return c->end ? WICK_TC_OK : WICK_TC_MORE;
    return wick_tc_any(c, k, p->f->close, 3, &len);
}

/* White space, separators, brackets and markers around calls. OK: one was passed; BAD: a call should begin at c. */
static wick_tc_step between(wick_toolcall_parser *p, wick_tc_cur *c)
{
    size_t len = 0;
    wick_tc_space(c);
    if (c->i == c->n) return c->end ? WICK_TC_PLAIN : WICK_TC_MORE;
    const char ch = c->s[c->i];
    if (p->in_array && (ch == ']' || (ch == ',' && p->n_here > 0))) {
        p->in_array = ch != ']';
        c->i++;
        return WICK_TC_OK;
    }
    if (!p->in_array && ch == '[' && p->n_here == 0 && takes_array(p) &&
        wick_tc_any(c, c->i, p->f->skip, 4, &len) == WICK_TC_BAD) {
        p->in_array = true;
        c->i++;
        return WICK_TC_OK;
    }
    if (ch == '}') {
        const wick_tc_step st = extra_brace(p, c);
        if (st == WICK_TC_OK) c->i++;
        if (st != WICK_TC_BAD) return st;
    }
    const wick_tc_step close = wick_tc_any(c, c->i, p->f->close, 3, &len);
    p->closed = close == WICK_TC_OK;
    wick_tc_step skip = p->closed ? WICK_TC_BAD : wick_tc_any(c, c->i, p->f->skip, 4, &len);
    if (!p->closed && skip == WICK_TC_BAD) {
        skip = fence(p, c);
        if (skip == WICK_TC_BAD) return close;
        return skip;
    }
    if (!p->closed && skip == WICK_TC_MORE) return skip;
    c->i += len;
    return WICK_TC_OK;
}

/* Reports what is new of a call that is certain. */
static wick_status report(wick_toolcall_parser *p, wick_err *err)
{
    wick_tc_cur *c = &p->c;
    if (!c->sure) return WICK_OK;
    if (!p->begun) {
        WICK_TRY(p->sink.begin(p->sink.user, c->id.n ? wick_buf_str(&c->id) : NULL, wick_buf_str(&c->name), err));
        p->begun = true;
        p->n_calls++;
        p->n_here++;
    }
    if (c->args.n > p->sent) p->sink.arguments(p->sink.user, c->args.data + p->sent, c->args.n - p->sent);
    p->sent = c->args.n;
    p->pos = c->i;
    commit(p);
    c->i = 0;
    return WICK_OK;
}

static void end_call(wick_toolcall_parser *p)
{
    p->sink.end(p->sink.user);
    p->in_call = false;
    p->after_call = true;
}

static wick_tc_step read_call(wick_toolcall_parser *p)
{
    wick_tc_cur *c = &p->c;
    if (!p->reader) {
        const bool foreign = p->alone && !p->f->bare;
        if (p->f->needs_array && !p->in_array && !p->alone) return WICK_TC_BAD;
        if (c->i == c->n) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
        if (foreign && c->s[c->i] != '{') return WICK_TC_BAD;
        if (foreign) WICK_TC_TRY(wick_tc_begins_as_call(c));
        p->reader = foreign || (p->f->also_json && c->s[c->i] == '{') ? wick_tc_json_call : p->f->read;
    }
    return p->reader(c);
}

/* OK: go on; MORE: more text is needed; NOMEM. */
static wick_tc_step call_step(wick_toolcall_parser *p, wick_status *st, wick_err *err)
{
    wick_tc_cur *c = &p->c;
    const bool too_many = p->n_calls >= p->lim.max_calls && !p->begun;
    wick_tc_step step = too_many ? WICK_TC_BAD : read_call(p);
    if (too_many) p->n_bad = WICK_TC_BAD_MAX;
    if (step == WICK_TC_NOMEM || c->args.failed || c->name.failed) return WICK_TC_NOMEM;
    *st = report(p, err);
    if (*st != WICK_OK) return WICK_TC_NOMEM;
    const size_t size = p->begun ? c->args.n : left(p) - p->lead;
    if (size > p->lim.max_call_bytes && step <= WICK_TC_MORE) {
        if (p->begun) {
            end_call(p);
            p->state = PASS;
            return WICK_TC_OK;
        }
        step = WICK_TC_BAD;
    }
    if (step == WICK_TC_MORE && c->end) step = WICK_TC_BAD;
    if (step == WICK_TC_MORE) return step;
    if (step == WICK_TC_PLAIN) {
        p->pos = c->i;
        commit(p);
        p->in_call = false;
        p->state = TEXT;
    } else if (step == WICK_TC_BAD && p->begun) {
        p->state = RAW;
    } else if (step == WICK_TC_BAD) {
        no_call(p, c->harmless);
        if (p->n_bad >= WICK_TC_BAD_MAX) p->state = PASS;
    } else {
        end_call(p);
    }
    return WICK_TC_OK;
}

static wick_tc_step raw_stop(const wick_tc_cur *c, size_t at, size_t *len)
{
    if (at == c->n && c->end) return WICK_TC_OK;
    return wick_tc_any(c, at, c->f->close, 3, len);
}

/* A reported call went wrong: the rest is passed on as it is, up to its marker. */
static wick_tc_step raw_step(wick_toolcall_parser *p)
{
    wick_tc_cur *c = &p->c;
    const wick_tc_step st = wick_tc_flow(c, raw_stop, WICK_TC_BLANKS, &c->args, false);
    if (st == WICK_TC_NOMEM) return st;
    if (c->args.n > p->sent) p->sink.arguments(p->sink.user, c->args.data + p->sent, c->args.n - p->sent);
    p->sent = c->args.n;
    p->pos = c->i;
    commit(p);
    c->i = 0;
    if (st != WICK_TC_OK && c->args.n <= p->lim.max_call_bytes) return st == WICK_TC_MORE ? st : WICK_TC_OK;
    end_call(p);
    p->state = st == WICK_TC_OK ? TEXT : PASS;
    return WICK_TC_OK;
}

static wick_tc_step calls_step(wick_toolcall_parser *p, bool end, wick_status *st, wick_err *err)
{
    look(p, end);
    wick_tc_cur *c = &p->c;
    if (p->state == RAW) return raw_step(p);
    if (p->in_call) return call_step(p, st, err);
    c->i = p->pos + p->past;
    wick_tc_space(c);
    p->past = c->i - p->pos;
    const wick_tc_step step = between(p, c);
    p->space = p->pos;
    if (step != WICK_TC_MORE) p->past = 0;
    if (step == WICK_TC_BAD) {
        p->pos = c->i;
        begin_call(p);
        return call_step(p, st, err);
    }
    if (step == WICK_TC_MORE && left(p) - p->lead <= p->lim.max_call_bytes) return step;
    if (step != WICK_TC_OK || (p->closed && p->n_here == 0)) {
        /* The end, too much white space, or a pair of markers with nothing between. */
        if (p->closed) p->mark = c->i - p->lead;
        no_call(p, false);
        return WICK_TC_OK;
    }
    p->pos = c->i;
    if (p->n_here > 0) commit(p);
    if (p->closed) {
        p->state = TEXT;
        p->after_call = true;
    }
    return WICK_TC_OK;
}

/* --- feeding ------------------------------------------------------------------------------------------------------ */

static wick_status go_on(wick_toolcall_parser *p, bool end, wick_err *err)
{
    wick_tc_step step = WICK_TC_OK;
    wick_status st = WICK_OK;
    while (step == WICK_TC_OK && (left(p) > 0 || (end && p->in_call))) {
        if (p->state == PASS)
            emit(p, left(p));
        else if (p->state == TEXT)
            step = text_step(p, end) ? WICK_TC_OK : WICK_TC_MORE;
        else
            step = calls_step(p, end, &st, err);
    }
    if (st != WICK_OK) return st;
    if (step == WICK_TC_NOMEM) return wick_err_oom(err, "tool calls", 0, 0);
    if (p->head > 0) {
        memmove(p->held.data, view(p), left(p));
        p->held.n -= p->head;
        p->head = 0;
    }
    return WICK_OK;
}

wick_status wick_toolcall_feed(wick_toolcall_parser *p, const char *text, size_t n, wick_err *err)
{
    for (size_t i = 0; i < n;) {
        /* Plain text goes straight through. */
        size_t k = i;
        if (p->state == PASS)
            k = n;
        else if (p->state == TEXT && left(p) == 0 && !(p->f->implied_start && !p->tried_start))
            while (k < n && !p->stops[(unsigned char)text[k]]) k++;
        if (k > i) {
            p->any_text = true;
            p->after_call = false;
            p->sink.text(p->sink.user, text + i, k - i);
            i = k;
            continue;
        }
        wick_buf_putc(&p->held, text[i++]);
        if (p->held.failed) return wick_err_oom(err, "tool calls", p->held.n, 0);
        WICK_TRY(go_on(p, false, err));
    }
    return WICK_OK;
}

wick_status wick_toolcall_end(wick_toolcall_parser *p, bool cut, wick_err *err)
{
    if (cut && (p->state == CALLS || p->state == RAW)) {
        /* A call that was reported stays as far as it came; what was no call yet is text. */
        if (p->in_call && p->begun)
            end_call(p);
        else if (p->n_here == 0)
            emit(p, left(p));
        p->head = p->held.n;
        p->in_call = false;
        p->state = PASS;
    }
    return go_on(p, true, err);
}
