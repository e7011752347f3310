/* chat/answer.c - see answer.h: the splitter of reasoning and the parser of calls, and the list of pieces that they
 * fill. */
#include "chat/answer.h"
#include <string.h>
#include "base/alloc.h"
#include "base/sys.h"
#include "chat/format/reasoning.h"
#include "chat/format/toolcall.h"

enum { ID_CHARS = 9 };

/* A delta whose strings are still places in the store. */
typedef struct piece {
    wick_delta_kind kind;
    uint32_t call;
    size_t text, n, id, name;
} piece;

typedef struct kept_call {
    char *id, *name;
    wick_buf arguments;
} kept_call;

struct wick_answer {
    wick_reasoning think;
    wick_toolcall_parser *calls; /* NULL: calls are text */
    bool one_call, keep;
    bool quiet;   /* the prefill is read */
    bool dropped; /* the call that comes is not wanted */
    bool is_own_call;
    bool gap; /* a text came before, in another request: a blank line goes between */
    bool (*is_own)(void *ctx, const char *name);
    void *own_ctx;
    uint32_t n_own;
    wick_answer_end how;
    uint32_t n_calls, n_reasoning_tokens;
    wick_buf store, pieces; /* what this feed gave: bytes, and struct piece */
    size_t next;            /* the piece that wick_answer_next gives */
    wick_delta delta;
    wick_buf pending; /* the end of the prefill that may still be the beginning of a tag: not to come out as text */
    wick_buf text, reasoning; /* kept */
    wick_buf kept, own;       /* struct kept_call */
};

/* --- pieces ------------------------------------------------------------------------------------------------------- */

static piece *last_piece(wick_answer *a)
{
    piece *p = NULL;
    if (a->pieces.n >= sizeof *p) p = (piece *)(void *)(a->pieces.data + a->pieces.n - sizeof *p);
    return p;
}

static size_t store(wick_answer *a, const char *s, size_t n)
{
    const size_t at = a->store.n;
    wick_buf_add(&a->store, s, n);
    wick_buf_putc(&a->store, 0);
    return at;
}

static void put_text(wick_answer *a, wick_delta_kind kind, uint32_t call, const char *s, size_t n)
{
    piece *last = last_piece(a);
    if (n == 0 || a->quiet) return;
    if (last && last->kind == kind && last->call == call && a->store.n == last->text + last->n + 1) {
        a->store.n--;
        wick_buf_add(&a->store, s, n);
        wick_buf_putc(&a->store, 0);
        last->n += n;
        return;
    }
    const piece p = {.kind = kind, .call = call, .text = store(a, s, n), .n = n};
    wick_buf_add(&a->pieces, &p, sizeof p);
}

/* From the splitter of reasoning. */
static void plain(void *user, bool reasoning, const char *s, size_t n)
{
    wick_answer *a = user;
    if (a->quiet) return;
    if (a->pending.n > 0) {
        /* Bytes of the prefill come first, unless they became a tag. */
        const size_t had = a->pending.n < n ? a->pending.n : n;
        const bool same = memcmp(a->pending.data, s, had) == 0;
        if (same) {
            memmove(a->pending.data, a->pending.data + had, a->pending.n - had);
            a->pending.n -= had;
            s += had;
            n -= had;
        } else {
            a->pending.n = 0;
        }
    }
    if (a->gap && !reasoning && n > 0) {
        a->gap = false;
        put_text(a, WICK_DELTA_TEXT, 0, "\n\n", 2);
        if (a->keep) wick_buf_add(&a->text, "\n\n", 2);
    }
    put_text(a, reasoning ? WICK_DELTA_REASONING : WICK_DELTA_TEXT, 0, s, n);
    if (a->keep) wick_buf_add(reasoning ? &a->reasoning : &a->text, s, n);
}

static kept_call *kept_at(const wick_buf *list, uint32_t i)
{
    return (kept_call *)(void *)(list->data + i * sizeof(kept_call));
}

static uint32_t n_kept(const wick_buf *list)
{
    return (uint32_t)(list->n / sizeof(kept_call));
}

static void forget_calls(wick_buf *list)
{
    for (uint32_t i = 0; i < n_kept(list); i++) {
        wick_free(kept_at(list, i)->id);
        wick_free(kept_at(list, i)->name);
        wick_buf_release(&kept_at(list, i)->arguments);
    }
    wick_buf_release(list);
}

static wick_status keep_call(wick_buf *list, const char *id, const char *name, wick_err *err)
{
    kept_call k = {.id = wick_strdup(id), .name = wick_strdup(name)};
    if (k.id && k.name) wick_buf_add(list, &k, sizeof k);
    if (k.id && k.name && !list->failed) return WICK_OK;
    wick_free(k.id);
    wick_free(k.name);
    return wick_err_oom(err, "tool calls", 0, 0);
}

/* nine letters and digits: some templates take no other id when the call comes back. */
static void make_id(char out[ID_CHARS + 1])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    uint8_t random[ID_CHARS];
    wick_random_bytes(random, sizeof random);
    for (size_t i = 0; i < ID_CHARS; i++) out[i] = digits[random[i] % 36];
    out[ID_CHARS] = 0;
}

static wick_status call_begins(void *user, const char *id, const char *name, wick_err *err)
{
    wick_answer *a = user;
    char made[ID_CHARS + 1];
    wick_reasoning_interrupt(&a->think);
    a->pending.n = 0;
    a->dropped = a->one_call && a->n_calls + a->n_own > 0;
    a->is_own_call = !a->dropped && a->is_own && a->is_own(a->own_ctx, name);
    if (a->dropped) return WICK_OK;
    if (!id || !*id) {
        make_id(made);
        id = made;
    }
    if (a->is_own_call) {
        a->n_own++;
        return keep_call(&a->own, id, name, err);
    }
    if (a->keep) WICK_TRY(keep_call(&a->kept, id, name, err));
    piece p = {.kind = WICK_DELTA_CALL, .call = a->n_calls++};
    p.text = store(a, "", 0);
    p.id = store(a, id, strlen(id));
    p.name = store(a, name, strlen(name));
    wick_buf_add(&a->pieces, &p, sizeof p);
    return WICK_OK;
}

static void call_arguments(void *user, const char *s, size_t n)
{
    wick_answer *a = user;
    if (a->dropped) return;
    if (a->is_own_call) {
        wick_buf_add(&kept_at(&a->own, a->n_own - 1)->arguments, s, n);
        return;
    }
    put_text(a, WICK_DELTA_ARGUMENTS, a->n_calls - 1, s, n);
    if (a->keep) wick_buf_add(&kept_at(&a->kept, a->n_calls - 1)->arguments, s, n);
}

static void call_ends(void *user)
{
    wick_answer *a = user;
    if (a->dropped || a->is_own_call) return;
    const piece p = {.kind = WICK_DELTA_CALL_END, .call = a->n_calls - 1, .text = store(a, "", 0)};
    wick_buf_add(&a->pieces, &p, sizeof p);
}

static wick_status check(wick_answer *a, wick_err *err)
{
    bool bad = a->store.failed || a->pieces.failed || a->text.failed || a->reasoning.failed || a->pending.failed;
    if (a->keep && a->n_calls > 0) bad = bad || kept_at(&a->kept, a->n_calls - 1)->arguments.failed;
    if (a->n_own > 0) bad = bad || kept_at(&a->own, a->n_own - 1)->arguments.failed;
    return bad ? wick_err_oom(err, "the answer", 0, 0) : WICK_OK;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* From the finder of calls: text that is in no call. */
static void outside(void *user, const char *s, size_t n)
{
    wick_answer *a = user;
    wick_reasoning_feed(&a->think, s, n);
}

static wick_toolcall_place place(void *user)
{
    const wick_answer *a = user;
    if (a->think.state == WICK_REASONING_IN) return WICK_PLACE_REASONING;
    return a->n_calls + a->n_own == 0 && wick_reasoning_at_start(&a->think) ? WICK_PLACE_START : WICK_PLACE_TEXT;
}

static wick_status read_text(wick_answer *a, const char *text, size_t n, wick_err *err)
{
    if (a->calls)
        WICK_TRY(wick_toolcall_feed(a->calls, text, n, err));
    else
        wick_reasoning_feed(&a->think, text, n);
    return check(a, err);
}

/* What the prompt already has of the answer. White space at its end is part of it; what may be the beginning of a tag
 * waits for the model's text. */
static wick_status read_prefill(wick_answer *a, const char *text, size_t n, wick_err *err)
{
    size_t held = 0;
    const char *s = a->calls ? NULL : "";
    a->quiet = true;
    WICK_TRY(read_text(a, text, n, err));
    a->quiet = false;
    wick_buf_add(&a->pending, a->think.held, a->think.n_held);
    if (a->calls) s = wick_toolcall_held(a->calls, &held);
    if (a->n_calls == 0) wick_buf_add(&a->pending, s, held);
    return check(a, err);
}

static wick_status begin(wick_answer *a, const wick_answer_opts *o, wick_err *err)
{
    a->is_own = o->is_own;
    a->own_ctx = o->own_ctx;
    wick_reasoning_begin(&a->think, o->raw_reasoning ? NULL : o->format.think, o->inside_reasoning);
    if (!o->format.calls || !o->tools || o->ignore_calls) return WICK_OK;
    const wick_toolcall_sink sink = {a, place, outside, call_begins, call_arguments, call_ends};
    return wick_toolcall_parser_new(&a->calls, o->format.calls, o->tools, NULL, &sink, err);
}

wick_status wick_answer_new(wick_answer **out, const wick_answer_opts *o, wick_err *err)
{
    wick_status st = WICK_OK;
    wick_answer *a = wick_alloc_zero(1, sizeof *a);
    if (!a) return wick_err_oom(err, "the answer", sizeof *a, 0);
    a->one_call = o->one_call;
    a->keep = o->keep;
    a->think.out = plain;
    a->think.user = a;
    st = begin(a, o, err);
    if (st == WICK_OK && o->n_prefill > 0) st = read_prefill(a, o->prefill, o->n_prefill, err);
    if (st == WICK_OK)
        *out = a;
    else
        wick_answer_free(a);
    return st;
}

void wick_answer_free(wick_answer *a)
{
    if (!a) return;
    forget_calls(&a->kept);
    forget_calls(&a->own);
    wick_toolcall_parser_free(a->calls);
    wick_buf_release(&a->store);
    wick_buf_release(&a->pieces);
    wick_buf_release(&a->pending);
    wick_buf_release(&a->text);
    wick_buf_release(&a->reasoning);
    wick_free(a);
}

wick_status wick_answer_go_on(wick_answer *a, const wick_answer_opts *o, wick_err *err)
{
    wick_toolcall_parser_free(a->calls);
    a->calls = NULL;
    forget_calls(&a->own);
    a->n_own = 0;
    a->how = WICK_END_NONE;
    a->pending.n = 0;
    a->gap = a->text.n > 0 && a->text.data[a->text.n - 1] != '\n';
    return begin(a, o, err);
}

/* Forgets the pieces that were given out. */
static void begin_feed(wick_answer *a)
{
    const size_t n = a->pieces.n / sizeof(piece);
    if (a->next < n) return; /* not all were asked for: they stay */
    a->store.n = a->pieces.n = a->next = 0;
}

wick_status wick_answer_feed(wick_answer *a, const char *text, size_t n, wick_err *err)
{
    begin_feed(a);
    return n > 0 ? read_text(a, text, n, err) : WICK_OK;
}

static wick_answer_end end_of(const wick_answer *a, wick_finish how)
{
    switch (how) {
    case WICK_FINISH_EOS: return a->n_calls + a->n_own > 0 ? WICK_END_CALLS : WICK_END_TURN;
    case WICK_FINISH_STOP: return a->n_calls + a->n_own > 0 ? WICK_END_CALLS : WICK_END_STOP_STRING;
    case WICK_FINISH_LENGTH: return WICK_END_LENGTH;
    case WICK_FINISH_CANCELLED: return WICK_END_CANCELLED;
    case WICK_FINISH_NONE:
    case WICK_FINISH_ERROR: break;
    }
    return WICK_END_ERROR;
}

wick_status wick_answer_finish(wick_answer *a, wick_finish how, wick_err *err)
{
    begin_feed(a);
    if (a->calls) WICK_TRY(wick_toolcall_end(a->calls, how != WICK_FINISH_EOS && how != WICK_FINISH_STOP, err));
    wick_reasoning_end(&a->think);
    a->how = end_of(a, how);
    const piece p = {.kind = WICK_DELTA_END, .text = store(a, "", 0)};
    wick_buf_add(&a->pieces, &p, sizeof p);
    return check(a, err);
}

wick_status wick_answer_event(wick_answer *a, const wick_event *ev, wick_err *err)
{
    if ((ev->kind != WICK_EVENT_TOKEN || ev->is_prompt) && ev->kind != WICK_EVENT_DONE) return WICK_OK;
    const bool inside = a->think.state == WICK_REASONING_IN;
    begin_feed(a);
    if (ev->n_text > 0) WICK_TRY(read_text(a, ev->text, ev->n_text, err));
    if (ev->kind == WICK_EVENT_TOKEN && (inside || a->think.state == WICK_REASONING_IN)) a->n_reasoning_tokens++;
    return ev->kind == WICK_EVENT_DONE ? wick_answer_finish(a, ev->finish, err) : WICK_OK;
}

const wick_delta *wick_answer_next(wick_answer *a)
{
    if (a->next >= a->pieces.n / sizeof(piece)) return NULL;
    const piece *p = (const piece *)(const void *)(a->pieces.data + a->next++ * sizeof *p);
    const char *s = a->store.data;
    a->delta = (wick_delta){.kind = p->kind,
                            .end = p->kind == WICK_DELTA_END ? a->how : WICK_END_NONE,
                            .call = p->call,
                            .text = s + p->text,
                            .n = p->n,
                            .id = p->kind == WICK_DELTA_CALL ? s + p->id : NULL,
                            .name = p->kind == WICK_DELTA_CALL ? s + p->name : NULL};
    return &a->delta;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

wick_answer_end wick_answer_how(const wick_answer *a)
{
    return a->how;
}

const char *wick_answer_end_name(wick_answer_end end)
{
    switch (end) {
    case WICK_END_NONE: break;
    case WICK_END_TURN:
    case WICK_END_STOP_STRING: return "stop";
    case WICK_END_LENGTH: return "length";
    case WICK_END_CALLS: return "tool_calls";
    case WICK_END_CANCELLED: return "cancelled";
    case WICK_END_ERROR: return "error";
    }
    return NULL;
}

uint32_t wick_answer_n_calls(const wick_answer *a)
{
    return a->n_calls;
}

uint32_t wick_answer_reasoning_tokens(const wick_answer *a)
{
    return a->n_reasoning_tokens;
}

static const char *whole(const wick_buf *b, size_t *n)
{
    if (n) *n = b->n;
    return b->n > 0 ? b->data : "";
}

const char *wick_answer_text(const wick_answer *a, size_t *n)
{
    return whole(&a->text, n);
}

const char *wick_answer_reasoning(const wick_answer *a, size_t *n)
{
    return whole(&a->reasoning, n);
}

static wick_call call_at(const wick_buf *list, uint32_t i)
{
    const kept_call *k = kept_at(list, i);
    wick_call c = {.id = k->id, .name = k->name};
    c.arguments = whole(&k->arguments, &c.n_arguments);
    return c;
}

wick_call wick_answer_call(const wick_answer *a, uint32_t i)
{
    return call_at(&a->kept, i);
}

static json_t *calls_json(const wick_buf *calls)
{
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < n_kept(calls); i++) {
        const wick_call c = call_at(calls, i);
        json_t *one = json_pack("{s:s, s:s, s:{s:s, s:s%}}", "id", c.id, "type", "function", "function", "name", c.name,
                                "arguments", c.arguments, c.n_arguments);
        if (one && json_array_append_new(list, one) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

json_t *wick_answer_calls_json(const wick_answer *a)
{
    return calls_json(&a->kept);
}

json_t *wick_answer_own_json(const wick_answer *a)
{
    return calls_json(&a->own);
}

uint32_t wick_answer_n_own(const wick_answer *a)
{
    return a->n_own;
}

void wick_answer_cut_own(wick_answer *a)
{
    if (a->how == WICK_END_CALLS && a->n_calls == 0) a->how = WICK_END_LENGTH;
}
