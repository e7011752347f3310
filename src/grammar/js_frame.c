/* grammar/js_frame.c - frames and specs: what an object or array still needs, which keys and items may come, what is
 * left after one. All are interned, so that a text that comes to the same place twice comes to the same numbers. */
#include "grammar/js.h"
#include <math.h>
#include <stdio.h>
#include "base/json.h"

enum { TAB_CONS = 1, TAB_FRAME, TAB_SPEC, TAB_KEY_SPEC, TAB_ITEM_SPEC, TAB_ADVANCE };
enum { MAX_FRAMES = 1000000, MAX_LITERALS = 100000, MAX_SEEN_EXCLUDED = 64 };

static void fail(wick_js_pool *p, const char *why)
{
    wick_re_fail(p->f->re, why);
}

wick_status wick_js_pool_init(wick_js_pool *p, wick_f_pool *f, const wick_js_options *o, wick_err *err)
{
    memset(p, 0, sizeof *p);
    p->f = f;
    p->opt = o ? *o : (wick_js_options){.max_ws = UINT16_MAX};
    wick_buf_init(&p->scratch, 64 << 20);
    if (!wick_re_room(f->re, (void **)&p->frame, &p->cap_frames, 1, sizeof *p->frame) ||
        !wick_re_room(f->re, (void **)&p->cons, &p->cap_cons, 1, sizeof *p->cons))
        return wick_re_failed(f->re, err);
    p->frame[0] = (wick_js_frame){.may_close = 1}; /* around the whole */
    p->cons[0] = (wick_js_cons){0};
    p->n_frames = p->n_cons = 1;
    return WICK_OK;
}

void wick_js_pool_release(wick_js_pool *p)
{
    wick_free(p->frame);
    wick_free(p->spec);
    wick_free(p->cons);
    wick_free(p->order);
    wick_f_table_release(&p->table);
    wick_buf_release(&p->scratch);
    memset(p, 0, sizeof *p);
}

static const uint32_t *known(const wick_js_pool *p, uint32_t tab, uint32_t a, uint32_t b, uint32_t c)
{
    return wick_f_table_get(&p->table, tab, a, b, c);
}

static uint32_t keep(wick_js_pool *p, uint32_t tab, uint32_t a, uint32_t b, uint32_t c, uint32_t value)
{
    wick_f_table_put(p->f->re, &p->table, tab, a, b, c, value);
    return value;
}

/* ---- lists ---- */
uint32_t wick_js_cons_of(wick_js_pool *p, uint32_t head, uint32_t next)
{
    const uint32_t *old = known(p, TAB_CONS, head, next, 0);
    if (old) return *old;
    if (!wick_re_room(p->f->re, (void **)&p->cons, &p->cap_cons, (uint64_t)p->n_cons + 1, sizeof *p->cons)) return 0;
    p->cons[p->n_cons] = (wick_js_cons){head, next};
    return keep(p, TAB_CONS, head, next, 0, p->n_cons++);
}

uint32_t wick_js_list(const wick_js_pool *p, uint32_t list, uint32_t *v, uint32_t max)
{
    uint32_t n = 0;
    for (; list; list = p->cons[list].next, n++)
        if (n < max) v[n] = p->cons[list].head;
    return n;
}

bool wick_js_list_has(const wick_js_pool *p, uint32_t list, uint32_t item)
{
    for (; list; list = p->cons[list].next)
        if (p->cons[list].head == item) return true;
    return false;
}

static uint32_t list_of(wick_js_pool *p, const uint32_t *v, uint32_t n)
{
    uint32_t list = 0;
    while (n) list = wick_js_cons_of(p, v[--n], list);
    return list;
}

/* ---- specs ---- */
static uint32_t spec_of(wick_js_pool *p, const wick_js_spec *s)
{
    uint32_t rest = wick_js_cons_of(p, s->unique, wick_js_cons_of(p, s->key, s->must_differ));
    const uint32_t *old = known(p, TAB_SPEC, s->need, s->outs, rest);
    if (old) return *old;
    if (!wick_re_room(p->f->re, (void **)&p->spec, &p->cap_specs, (uint64_t)p->n_specs + 1, sizeof *p->spec))
        return UINT32_MAX;
    p->spec[p->n_specs] = *s;
    p->spec[p->n_specs].start[0] = p->spec[p->n_specs].start[1] = UINT32_MAX;
    return keep(p, TAB_SPEC, s->need, s->outs, rest, p->n_specs++);
}

uint32_t wick_js_top_spec(wick_js_pool *p, wick_f f)
{
    if (!wick_js_sat(p->f, f)) return UINT32_MAX;
    return spec_of(p, &(wick_js_spec){.need = f, .key = JS_TOP, .unique = UINT32_MAX});
}

/* The formulas whose truth for the next value matters to the frame and is not settled by `need`. */
static bool watched(wick_js_pool *p, const wick_js_at *at, const wick_js_frame *f, wick_f need, uint32_t *list)
{
    wick_f v[JS_MAX_OUTS], outs[JS_MAX_OUTS], all[512];
    uint32_t n = 0, m = 0, n_outs = wick_js_list(p, f->outs, outs, JS_MAX_OUTS);
    wick_js_relevant(at, f->need, all, &n, 512);
    for (uint32_t i = 0; i < n_outs; i++) wick_js_relevant(at, outs[i], all, &n, 512);
    for (uint32_t i = 0; i < n && i < 512; i++) {
        if (wick_js_implied(p->f, need, all[i]) == 1) continue;
        if (m == JS_MAX_OUTS)
            n = UINT32_MAX;
        else
            v[m++] = all[i];
    }
    if (n > 512) fail(p, "alternatives");
    *list = list_of(p, v, m);
    return wick_f_ok(p->f);
}

uint32_t wick_js_key_spec(wick_js_pool *p, uint32_t frame, uint32_t key)
{
    const uint32_t *old = known(p, TAB_KEY_SPEC, frame, key, 0);
    if (old) return *old;
    wick_js_frame f = p->frame[frame];
    wick_js_at at = {.p = p->f, .key = key};
    wick_js_spec s = {.key = key, .unique = UINT32_MAX};
    uint32_t r = UINT32_MAX;
    s.need = wick_js_viable(&at, f.need);
    if (!wick_js_list_has(p, f.seen, key) && wick_js_sat(p->f, s.need) && watched(p, &at, &f, s.need, &s.outs))
        r = spec_of(p, &s);
    return keep(p, TAB_KEY_SPEC, frame, key, 0, r);
}

static bool mentions_unique(const wick_f_pool *p, wick_f f)
{
    const wick_f_node *x = &p->node[f];
    if (x->kind == F_NOT) return mentions_unique(p, x->a);
    if (x->kind < F_AND || x->kind > F_ONE) return x->kind == F_UNIQUE;
    for (uint32_t i = 0; i < x->b; i++)
        if (mentions_unique(p, p->lists[x->a + i])) return true;
    return false;
}

uint32_t wick_js_item_spec(wick_js_pool *p, uint32_t frame)
{
    const uint32_t *old = known(p, TAB_ITEM_SPEC, frame, 0, 0);
    if (old) return *old;
    wick_js_frame f = p->frame[frame];
    wick_js_at at = {.p = p->f, .key = JS_ITEM};
    wick_js_spec s = {.key = JS_ITEM, .unique = UINT32_MAX};
    wick_f outs[JS_MAX_OUTS];
    uint32_t r = UINT32_MAX, n = wick_js_list(p, f.outs, outs, JS_MAX_OUTS);
    s.need = wick_js_viable(&at, f.need);
    bool unique = mentions_unique(p->f, f.need);
    for (uint32_t i = 0; i < n; i++) unique |= mentions_unique(p->f, outs[i]);
    if (unique) s.unique = f.seen;
    if (unique) s.must_differ = wick_js_implied(p->f, f.need, wick_f_make(p->f, F_UNIQUE, 0, 0, 0, 0)) == 1;
    if (wick_js_sat(p->f, s.need) && watched(p, &at, &f, s.need, &s.outs)) r = spec_of(p, &s);
    return keep(p, TAB_ITEM_SPEC, frame, 0, 0, r);
}

/* ---- frames ---- */
static bool is_simple(const wick_f_pool *p, wick_f f)
{
    wick_f_node x = p->node[f];
    uint32_t n = x.kind == F_AND ? x.b : 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = p->node[x.kind == F_AND ? p->lists[x.a + i] : f].kind;
        if (k != F_EACH && k != F_REQ && k != F_MINP && k != F_TRUE) return false;
    }
    return true;
}

static uint32_t frame_of(wick_js_pool *p, wick_js_frame *f)
{
    uint32_t rest = wick_js_cons_of(p, f->seen, f->outs);
    rest = wick_js_cons_of(p, f->start, wick_js_cons_of(p, f->array, rest));
    uint32_t who = wick_js_cons_of(p, f->parent, f->spec);
    const uint32_t *old = known(p, TAB_FRAME, who, f->need, rest);
    if (old) return *old;
    if (p->n_frames >= MAX_FRAMES) fail(p, "states");
    if (!wick_re_room(p->f->re, (void **)&p->frame, &p->cap_frames, (uint64_t)p->n_frames + 1, sizeof *p->frame))
        return 0;
    f->textual = p->frame[f->parent].textual || f->start;
    f->simple = is_simple(p->f, f->need);
    p->frame[p->n_frames] = *f;
    return keep(p, TAB_FRAME, who, f->need, rest, p->n_frames++);
}

/* The rest of a frame, made ready: 0 where nothing can fulfil it. */
static bool settle(wick_js_pool *p, wick_js_frame *f)
{
    f->need = wick_js_prune(p->f, f->need, f->array);
    return f->need != WICK_F_FALSE && wick_js_sat_frame(p->f, f->need, f->array) && wick_f_ok(p->f);
}

uint32_t wick_js_open(wick_js_pool *p, uint32_t parent, uint32_t spec, bool array, uint32_t start)
{
    wick_js_spec s = p->spec[spec];
    wick_f outs[JS_MAX_OUTS];
    uint32_t type = array ? WICK_T_ARRAY : WICK_T_OBJECT, n = wick_js_list(p, s.outs, outs, JS_MAX_OUTS);
    wick_js_frame f = {.parent = parent, .spec = spec, .array = array};
    if (s.unique != UINT32_MAX) f.start = start + 1;
    f.need = wick_f_nnf(p->f, wick_f_restrict(p->f, s.need, type));
    if (!settle(p, &f)) return 0;
    for (uint32_t i = 0; i < n; i++) outs[i] = wick_f_nnf(p->f, wick_f_restrict(p->f, outs[i], type));
    f.outs = list_of(p, outs, n);
    return frame_of(p, &f);
}

uint32_t wick_js_advance(wick_js_pool *p, uint32_t frame, uint32_t spec, const bool *truth, uint32_t item)
{
    wick_js_spec s = p->spec[spec];
    wick_js_frame f = p->frame[frame];
    wick_f watch[JS_MAX_OUTS], outs[JS_MAX_OUTS];
    uint32_t n = wick_js_list(p, s.outs, watch, JS_MAX_OUTS), n_outs = wick_js_list(p, f.outs, outs, JS_MAX_OUTS),
             bits = 0;
    for (uint32_t i = 0; i < n; i++) bits |= (uint32_t)truth[i] << (i & 31);
    uint32_t what = wick_js_cons_of(p, spec, item);
    const uint32_t *old = n <= 32 ? known(p, TAB_ADVANCE, frame, what, bits) : NULL;
    if (old) return *old;
    wick_js_at at = {.p = p->f, .key = s.key, .outs = watch, .n_outs = n, .truth = truth};
    bool tracked = f.array && s.unique != UINT32_MAX;
    at.repeated = tracked && wick_js_list_has(p, f.seen, item);
    uint32_t r = 0;
    if (!(at.repeated && s.must_differ)) {
        f.need = wick_js_rewrite(&at, f.need);
        for (uint32_t i = 0; i < n_outs; i++) outs[i] = wick_js_rewrite(&at, outs[i]);
        f.outs = list_of(p, outs, n_outs);
        if (!f.array || tracked) {
            f.seen = wick_js_cons_of(p, f.array ? item : s.key, f.seen);
            f.n_seen++;
        }
        f.may_close = 0;
        f.has_keys = false;
        f.before = f.array ? 0 : frame;
        if (settle(p, &f)) r = frame_of(p, &f);
    }
    return n <= 32 ? keep(p, TAB_ADVANCE, frame, what, bits, r) : r;
}

bool wick_js_frame_closes(wick_js_pool *p, uint32_t frame)
{
    wick_js_frame *f = &p->frame[frame];
    if (!f->may_close) f->may_close = wick_js_closes(p->f, f->need) ? 2 : 1;
    return f->may_close == 2;
}

/* ---- canonical texts of items ---- */
static void canonical(wick_buf *out, const json_t *v, int depth)
{
    const char *key;
    json_t *x;
    size_t i, n = 0;
    if (json_is_integer(v)) {
        wick_buf_printf(out, "%lld", (long long)json_integer_value(v));
    } else if (json_is_real(v)) {
        double d = json_real_value(v);
        if (d == floor(d) && fabs(d) < 9e18)
            wick_buf_printf(out, "%lld", (long long)d);
        else
            wick_buf_printf(out, "%.17g", d);
    } else if (json_is_string(v)) {
        wick_buf_printf(out, "%s%zu:", depth ? "s" : "\"", depth ? json_string_length(v) : 0);
        wick_buf_add(out, json_string_value(v), json_string_length(v));
    } else if (json_is_array(v)) {
        wick_buf_putc(out, '[');
        json_array_foreach(v, i, x)
        {
            canonical(out, x, depth + 1);
            wick_buf_putc(out, ',');
        }
        wick_buf_putc(out, ']');
    } else if (json_is_object(v)) {
        const char **names = wick_alloc((json_object_size(v) + 1) * sizeof *names);
        if (!names) out->failed = true;
        if (!names) return;
        json_object_foreach((json_t *)(uintptr_t)v, key, x) /* insertion sort: objects that must differ are small */
        {
            for (i = n++; i > 0 && strcmp(names[i - 1], key) > 0; i--) names[i] = names[i - 1];
            names[i] = key;
        }
        wick_buf_putc(out, '{');
        for (i = 0; i < n; i++) {
            wick_buf_printf(out, "%zu:%s:", strlen(names[i]), names[i]);
            canonical(out, json_object_get(v, names[i]), depth + 1);
        }
        wick_buf_putc(out, '}');
        wick_free(names);
    } else {
        wick_buf_puts(out, json_is_true(v) ? "true" : json_is_false(v) ? "false" : "null");
    }
}

uint32_t wick_js_item_text(wick_js_pool *p, const char *s, size_t n)
{
    json_t *v = NULL;
    wick_buf *b = &p->scratch;
    wick_buf_reset(b);
    if (wick_json_parse(s, n, "item", &v, NULL) != WICK_OK) {
        wick_buf_putc(b, '?'); /* deeper than the reader goes: equal only to the same text */
        wick_buf_add(b, s, n);
    } else {
        canonical(b, v, 0);
        json_decref(v);
    }
    if (b->failed) fail(p, "memory");
    return wick_f_ok(p->f) ? wick_f_string(p->f, b->data, b->n) : 0;
}
