/* template/jinja_value.c - making and comparing values; memory, fuel and errors of a render. */
#include "template/jinja_impl.h"
#include "base/seed.h"

#include <math.h>
#include <stdio.h>

/* --- errors, fuel, memory ----------------------------------------------------------------------------------------- */
jv wick_jv_raise(jrt *rt, const char *fmt, ...)
{
    char msg[400];
    if (rt->failed) return jv_make(JV_UNDEF);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    rt->failed = true;
    rt->status = WICK_FAIL(rt->err, WICK_E_TEMPLATE, rt->tpl->where, "%s: line %u: %s", rt->tpl->where, rt->line, msg);
    return jv_make(JV_UNDEF);
}

bool wick_jv_step(jrt *rt, uint64_t n)
{
    if (rt->failed) return false;
    if (rt->steps < n) {
        rt->steps = 0;
        (void)wick_jv_raise(rt, "the template runs too long (limit of steps reached)");
        return false;
    }
    rt->steps -= n;
    return true;
}

void *wick_jv_alloc(jrt *rt, size_t n)
{
    if (rt->failed) return NULL;
    n = n ? n : 1;
    if (n > rt->max_heap - rt->heap) {
        (void)wick_jv_raise(rt, "the template needs more than %llu bytes of memory", (unsigned long long)rt->max_heap);
        return NULL;
    }
    void *p = wick_arena_alloc(&rt->arena, n);
    if (!p) {
        rt->failed = true;
        rt->status = wick_err_oom(rt->err, "template", n, 0);
        return NULL;
    }
    rt->heap += n;
    rt->steps -= rt->steps < n / 256 ? rt->steps : n / 256;
    return p;
}

void *wick_jv_array(jrt *rt, size_t count, size_t size)
{
    uint64_t n;
    if (!wick_mul_ok(count, size, &n) || n > SIZE_MAX) n = SIZE_MAX;
    return wick_jv_alloc(rt, (size_t)n);
}

bool wick_jv_enter(jrt *rt)
{
    if (rt->failed) return false;
    if (rt->depth >= JV_EVAL_MAX) {
        (void)wick_jv_raise(rt, "evaluation is nested too deeply");
        return false;
    }
    rt->depth++;
    return true;
}

/* --- strings ------------------------------------------------------------------------------------------------------ */
size_t wick_jv_count_cp(const char *p, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) k += ((unsigned char)p[i] & 0xC0) != 0x80;
    return k;
}

static jv new_str(jrt *rt, const char *p, size_t n, size_t n_cp, jv_sbuf *buf)
{
    jv_str *s = wick_jv_alloc(rt, sizeof(*s));
    if (!s) return jv_make(JV_UNDEF);
    *s = (jv_str){p, n, n_cp, buf};
    return jv_of_str(s);
}

jv wick_jv_str_borrow(jrt *rt, const char *p, size_t n)
{
    return new_str(rt, p, n, wick_jv_count_cp(p, n), NULL);
}

jv wick_jv_str(jrt *rt, const char *p, size_t n)
{
    char *q = wick_jv_alloc(rt, n);
    if (!q) return jv_make(JV_UNDEF);
    if (n) memcpy(q, p, n);
    return wick_jv_str_borrow(rt, q, n);
}

jv wick_jv_cstr(jrt *rt, const char *s)
{
    return wick_jv_str_borrow(rt, s, strlen(s));
}

jv wick_jv_substr(jrt *rt, const jv_str *s, size_t byte, size_t n)
{
    if (byte == 0 && n == s->n) return jv_of_str(s);
    return new_str(rt, s->p + byte, n, s->n_cp == s->n ? n : wick_jv_count_cp(s->p + byte, n), NULL);
}

jv wick_jv_concat(jrt *rt, const jv_str *a, const jv_str *b)
{
    jv_sbuf *buf = a->buf;
    size_t n = a->n + b->n;
    if (b->n == 0) return jv_of_str(a);
    if (!wick_jv_step(rt, b->n / 64)) return jv_make(JV_UNDEF);
    if (!buf || a->p + a->n != buf->data + buf->used || buf->cap - buf->used < b->n) {
        size_t cap = n < 128 ? n : n * 2;
        buf = n < 128 ? NULL : wick_jv_alloc(rt, sizeof(*buf));
        char *p = wick_jv_alloc(rt, cap);
        if (!p) return jv_make(JV_UNDEF);
        if (a->n) memcpy(p, a->p, a->n);
        if (buf) *buf = (jv_sbuf){p, n, cap};
        memcpy(p + a->n, b->p, b->n);
        return new_str(rt, p, n, a->n_cp + b->n_cp, buf);
    }
    memcpy(buf->data + buf->used, b->p, b->n);
    buf->used += b->n;
    return new_str(rt, a->p, n, a->n_cp + b->n_cp, buf);
}

jv wick_jv_take(jrt *rt, size_t mark)
{
    if (rt->failed) return jv_make(JV_UNDEF);
    if (rt->w.failed)
        return wick_jv_raise(rt, "the output is larger than %llu bytes", (unsigned long long)rt->w.max_bytes);
    jv v = wick_jv_str(rt, rt->w.data ? rt->w.data + mark : "", rt->w.n - mark);
    rt->w.n = mark;
    return v;
}

size_t wick_jv_byte_at(const jv_str *s, size_t cp)
{
    if (s->n == s->n_cp) return cp < s->n ? cp : s->n;
    if (cp >= s->n_cp) return s->n;
    size_t i = 0;
    for (cp++; i < s->n; i++)
        if (((unsigned char)s->p[i] & 0xC0) != 0x80 && --cp == 0) break;
    return i;
}

/* --- undefined, lists, dicts -------------------------------------------------------------------------------------- */
jv wick_jv_undef(jrt *rt, const char *what, const char *of, bool unsafe)
{
    jv v = jv_make(JV_UNDEF);
    jv_undef *u = wick_jv_alloc(rt, sizeof(*u));
    if (u) *u = (jv_undef){what, of, unsafe};
    v.u.u = u;
    return v;
}

jv wick_jv_undef_error(jrt *rt, jv v)
{
    const jv_undef *u = v.u.u;
    if (!u || !u->what[0]) return wick_jv_raise(rt, "a value is undefined");
    if (u->unsafe) return wick_jv_raise(rt, "access to attribute '%s' of a %s object is not allowed", u->what, u->of);
    if (u->of) return wick_jv_raise(rt, "'%s object' has no attribute '%s'", u->of, u->what);
    return wick_jv_raise(rt, "'%s' is undefined", u->what);
}

jv wick_jv_list_from(jrt *rt, jv_type t, jv *v, size_t n)
{
    jv r = jv_make(t);
    r.u.l = wick_jv_alloc(rt, sizeof(*r.u.l));
    if (!r.u.l) return jv_make(JV_UNDEF);
    r.u.l->v = v;
    r.u.l->n = n;
    return r;
}

jv wick_jv_list(jrt *rt, jv_type t, size_t n)
{
    jv *v = wick_jv_array(rt, n, sizeof(*v));
    return v ? wick_jv_list_from(rt, t, v, n) : jv_make(JV_UNDEF);
}

jv wick_jv_pair(jrt *rt, jv a, jv b)
{
    jv r = wick_jv_list(rt, JV_TUPLE, 2);
    if (!jv_is_seq(r)) return r;
    r.u.l->v[0] = a;
    r.u.l->v[1] = b;
    return r;
}

jv wick_jv_dict(jrt *rt, size_t cap)
{
    jv r = jv_make(JV_DICT);
    if (cap > UINT32_MAX / 4) return wick_jv_raise(rt, "a dict is too large");
    r.u.d = wick_jv_alloc(rt, sizeof(*r.u.d));
    jv_entry *e = r.u.d && cap ? wick_jv_array(rt, cap, sizeof(*e)) : NULL;
    if (rt->failed) return jv_make(JV_UNDEF);
    r.u.d->e = e;
    r.u.d->cap = (uint32_t)cap;
    return r;
}

/* Seeded, so that whoever sends the keys cannot make them meet. */
static uint64_t mix(uint64_t x)
{
    return wick_hash_bytes(&x, sizeof x, wick_hash_seed());
}

static bool hashable(jv v, unsigned depth)
{
    if (v.t == JV_TUPLE) {
        for (size_t i = 0; i < v.u.l->n; i++)
            if (depth == JV_NEST_MAX || !hashable(v.u.l->v[i], depth + 1)) return false;
        return true;
    }
    return v.t != JV_LIST && v.t != JV_DICT && !(v.t == JV_VIEW && v.u.w->kind != JV_VALUES);
}

/* Also bounds the recursion of wick_jv_hash: tuples nested too deeply count as unhashable. */
bool wick_jv_hashable(jv v)
{
    return hashable(v, 0);
}

uint64_t wick_jv_hash(jv v)
{
    switch (v.t) {
    case JV_STR: return wick_hash_bytes(v.u.s->p, v.u.s->n, wick_hash_seed());
    case JV_BOOL: return mix(v.u.b);
    case JV_INT: return mix((uint64_t)v.u.i);
    case JV_FLOAT:
        if (v.u.f >= -9e18 && v.u.f <= 9e18 && v.u.f == floor(v.u.f)) return mix((uint64_t)(int64_t)v.u.f);
        return mix((uint64_t)(int64_t)(fmod(v.u.f, 1e15) * 1024));
    case JV_TUPLE: {
        uint64_t h = 7;
        for (size_t i = 0; i < v.u.l->n; i++) h = mix(h * 31 + wick_jv_hash(v.u.l->v[i]));
        return h;
    }
    case JV_NONE: return 1;
    case JV_UNDEF: return 2;
    default: return mix((uint64_t)(uintptr_t)v.u.d);
    }
}

static bool same_key(jrt *rt, jv a, jv b)
{
    if (a.t == JV_STR || b.t == JV_STR)
        return a.t == b.t && a.u.s->n == b.u.s->n && (a.u.s->n == 0 || memcmp(a.u.s->p, b.u.s->p, a.u.s->n) == 0);
    return wick_jv_equal(rt, a, b);
}

/* Places that are looked at in vain are paid for (rt may be NULL: short keys of our own). */
static uint32_t find_entry(jrt *rt, const jv_dict *d, jv k)
{
    uint32_t n_tried = 0, found = UINT32_MAX;
    if (!d->index) {
        for (uint32_t i = 0; i < d->n; i++)
            if (same_key(rt, d->e[i].k, k)) return i;
        return UINT32_MAX;
    }
    uint64_t h = wick_jv_hash(k);
    for (uint32_t slot = (uint32_t)h & (d->index_cap - 1); d->index[slot]; slot = (slot + 1) & (d->index_cap - 1)) {
        const jv_entry *e = &d->e[d->index[slot] - 1];
        if (e->hash == h && same_key(rt, e->k, k)) {
            found = d->index[slot] - 1;
            break;
        }
        n_tried++;
        if (rt && n_tried % 16 == 0 && !wick_jv_step(rt, 4)) break;
    }
    return found;
}

static void index_entry(jv_dict *d, uint32_t i)
{
    d->e[i].hash = wick_jv_hash(d->e[i].k);
    uint32_t slot = (uint32_t)d->e[i].hash & (d->index_cap - 1);
    while (d->index[slot]) slot = (slot + 1) & (d->index_cap - 1);
    d->index[slot] = i + 1;
}

static bool grow_dict(jrt *rt, jv_dict *d)
{
    if (d->n == d->cap) {
        if (d->cap > UINT32_MAX / 4) return wick_jv_raise(rt, "a dict is too large"), false;
        uint32_t cap = d->cap ? d->cap * 2 : 4;
        jv_entry *e = wick_jv_array(rt, cap, sizeof(*e));
        if (!e) return false;
        if (d->n) memcpy(e, d->e, d->n * sizeof(*e));
        d->e = e;
        d->cap = cap;
    }
    if (d->n >= 8 && d->n * 2 >= d->index_cap) {
        uint32_t cap = d->index_cap ? d->index_cap * 4 : 64;
        uint32_t *index = wick_jv_array(rt, cap, sizeof(*index));
        if (!index) return false;
        d->index = index;
        d->index_cap = cap;
        for (uint32_t i = 0; i < d->n; i++) index_entry(d, i);
    }
    return true;
}

bool wick_jv_dict_put(jrt *rt, jv_dict *d, jv k, jv v)
{
    if (!wick_jv_hashable(k)) return wick_jv_raise(rt, "unhashable type: '%s'", wick_jv_type_name(k)), false;
    uint32_t i = find_entry(rt, d, k);
    if (i != UINT32_MAX) {
        d->e[i].v = v;
        return !rt->failed;
    }
    if (!grow_dict(rt, d)) return false;
    d->e[d->n] = (jv_entry){k, v, 0};
    d->n++;
    if (d->index) index_entry(d, d->n - 1);
    return true;
}

const jv *wick_jv_dict_get(jrt *rt, const jv_dict *d, jv k)
{
    uint32_t i = find_entry(rt, d, k);
    return i == UINT32_MAX ? NULL : &d->e[i].v;
}

const jv *wick_jv_dict_get_str(const jv_dict *d, const char *p, size_t n)
{
    jv_str s = {p, n, 0, NULL};
    uint32_t i = find_entry(NULL, d, jv_of_str(&s));
    return i == UINT32_MAX ? NULL : &d->e[i].v;
}

jv wick_jv_from_json(jrt *rt, const json_t *j, unsigned depth)
{
    if (depth > JV_NEST_MAX) return wick_jv_raise(rt, "a value is nested deeper than %d", JV_NEST_MAX);
    if (!wick_jv_step(rt, 1)) return jv_make(JV_UNDEF);
    switch (json_typeof(j)) {
    case JSON_NULL: return jv_none();
    case JSON_TRUE: return jv_bool(true);
    case JSON_FALSE: return jv_bool(false);
    case JSON_INTEGER: return jv_int(json_integer_value(j));
    case JSON_REAL: return jv_float(json_real_value(j));
    case JSON_STRING: return wick_jv_str_borrow(rt, json_string_value(j), json_string_length(j));
    case JSON_ARRAY: {
        jv r = wick_jv_list(rt, JV_LIST, json_array_size(j));
        for (size_t i = 0; !rt->failed && i < json_array_size(j); i++)
            r.u.l->v[i] = wick_jv_from_json(rt, json_array_get(j, i), depth + 1);
        return r;
    }
    default: break;
    }
    jv r = wick_jv_dict(rt, json_object_size(j));
    /* jansson's iteration calls take a non-const object and do not change it */
    json_t *o = json_incref((json_t *)(uintptr_t)j);
    for (void *it = json_object_iter(o); it && !rt->failed; it = json_object_iter_next(o, it)) {
        jv k = wick_jv_str_borrow(rt, json_object_iter_key(it), json_object_iter_key_len(it));
        jv v = wick_jv_from_json(rt, json_object_iter_value(it), depth + 1);
        if (!rt->failed) (void)wick_jv_dict_put(rt, r.u.d, k, v);
    }
    json_decref(o);
    return r;
}

jv wick_jv_range(jrt *rt, int64_t start, int64_t stop, int64_t step)
{
    jv r = jv_make(JV_RANGE);
    uint64_t n = 0; /* differences of ordered int64 fit uint64 */
    if (step > 0 && stop > start) n = ((uint64_t)stop - (uint64_t)start - 1) / (uint64_t)step + 1;
    if (step < 0 && stop < start) n = ((uint64_t)start - (uint64_t)stop - 1) / (0 - (uint64_t)step) + 1;
    if (n > JV_RANGE_MAX) return wick_jv_raise(rt, "range is longer than %d", JV_RANGE_MAX);
    r.u.r = wick_jv_alloc(rt, sizeof(*r.u.r));
    if (!r.u.r) return jv_make(JV_UNDEF);
    *r.u.r = (jv_range){start, stop, step, (int64_t)n};
    return r;
}

/* --- questions ---------------------------------------------------------------------------------------------------- */
const char *wick_jv_type_name(jv v)
{
    static const char *const names[] = {
        [JV_UNDEF] = "Undefined",  [JV_NONE] = "None",      [JV_BOOL] = "bool",     [JV_INT] = "int",
        [JV_FLOAT] = "float",      [JV_STR] = "str",        [JV_LIST] = "list",     [JV_TUPLE] = "tuple",
        [JV_DICT] = "dict",        [JV_VIEW] = "dict view", [JV_RANGE] = "range",   [JV_ITER] = "generator",
        [JV_NS] = "Namespace",     [JV_MACRO] = "Macro",    [JV_FUNC] = "function", [JV_METHOD] = "method",
        [JV_LOOP] = "LoopContext", [JV_CYCLER] = "Cycler",  [JV_JOINER] = "Joiner", [JV_MISSING] = "missing"};
    return names[v.t];
}

int64_t wick_jv_len(jv v)
{
    switch (v.t) {
    case JV_UNDEF: return 0;
    case JV_STR: return (int64_t)v.u.s->n_cp;
    case JV_LIST:
    case JV_TUPLE: return (int64_t)v.u.l->n;
    case JV_DICT: return v.u.d->n;
    case JV_VIEW: return v.u.w->d->n;
    case JV_RANGE: return v.u.r->n;
    default: return -1;
    }
}

bool wick_jv_truth(jv v)
{
    switch (v.t) {
    case JV_UNDEF:
    case JV_MISSING:
    case JV_NONE: return false;
    case JV_BOOL: return v.u.b;
    case JV_INT: return v.u.i != 0;
    case JV_FLOAT: return v.u.f != 0;
    default: return wick_jv_len(v) != 0;
    }
}

bool wick_jv_as_int(jv v, int64_t *out)
{
    if (v.t == JV_BOOL)
        *out = v.u.b;
    else if (v.t == JV_INT)
        *out = v.u.i;
    else
        return false;
    return true;
}

bool wick_jv_as_double(jv v, double *out)
{
    int64_t i;
    if (v.t == JV_FLOAT)
        *out = v.u.f;
    else if (wick_jv_as_int(v, &i))
        *out = (double)i;
    else
        return false;
    return true;
}

/* -1, 0, 1, or 2 for NaN; both are numbers. Exact for integers against floats. */
static int compare_numbers(jv a, jv b)
{
    int64_t i, j;
    double x = 0, y = 0;
    if (wick_jv_as_int(a, &i) && wick_jv_as_int(b, &j)) return (i > j) - (i < j);
    (void)wick_jv_as_double(a, &x);
    (void)wick_jv_as_double(b, &y);
    if (isnan(x) || isnan(y)) return 2;
    return (x > y) - (x < y);
}

static bool is_number(jv v)
{
    return v.t == JV_BOOL || v.t == JV_INT || v.t == JV_FLOAT;
}

static bool equal_dicts(jrt *rt, const jv_dict *a, const jv_dict *b)
{
    if (a->n != b->n) return false;
    for (uint32_t i = 0; i < a->n; i++) {
        const jv *v = wick_jv_dict_get(rt, b, a->e[i].k);
        if (!v || !wick_jv_equal(rt, a->e[i].v, *v)) return false;
    }
    return true;
}

static bool equal_lists(jrt *rt, const jv_list *a, const jv_list *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!wick_jv_equal(rt, a->v[i], b->v[i])) return false;
    return true;
}

bool wick_jv_equal(jrt *rt, jv a, jv b)
{
    bool r = false;
    if (is_number(a) && is_number(b)) return compare_numbers(a, b) == 0;
    if (a.t != b.t) return false;
    if (a.t == JV_UNDEF || a.t == JV_NONE) return true;
    if (a.t == JV_STR) {
        if (rt && !wick_jv_step(rt, a.u.s->n / 64)) return false;
        return a.u.s->n == b.u.s->n && (a.u.s->n == 0 || memcmp(a.u.s->p, b.u.s->p, a.u.s->n) == 0);
    }
    if (a.u.d == b.u.d) return true;
    if (!rt || !wick_jv_step(rt, 1) || !wick_jv_enter(rt)) return false;
    if (jv_is_seq(a))
        r = equal_lists(rt, a.u.l, b.u.l);
    else if (a.t == JV_DICT)
        r = equal_dicts(rt, a.u.d, b.u.d);
    else if (a.t == JV_RANGE)
        r = a.u.r->n == b.u.r->n &&
            (a.u.r->n == 0 || (a.u.r->start == b.u.r->start && (a.u.r->n == 1 || a.u.r->step == b.u.r->step)));
    else if (a.t == JV_METHOD)
        r = a.u.bm->def == b.u.bm->def && wick_jv_equal(rt, a.u.bm->self, b.u.bm->self);
    rt->depth--;
    return r;
}

int wick_jv_compare(jrt *rt, jv a, jv b, const char *op)
{
    if (is_number(a) && is_number(b)) return compare_numbers(a, b);
    if (a.t == JV_STR && b.t == JV_STR) {
        size_t n = a.u.s->n < b.u.s->n ? a.u.s->n : b.u.s->n;
        if (!wick_jv_step(rt, n / 64)) return 2;
        int c = n ? memcmp(a.u.s->p, b.u.s->p, n) : 0;
        if (c == 0) c = (a.u.s->n > b.u.s->n) - (a.u.s->n < b.u.s->n);
        return c < 0 ? -1 : c > 0;
    }
    if (a.t == JV_UNDEF || b.t == JV_UNDEF) return wick_jv_undef_error(rt, a.t == JV_UNDEF ? a : b), 2;
    if (a.t == b.t && jv_is_seq(a)) {
        int c = 0;
        if (!wick_jv_enter(rt)) return 2;
        size_t n = a.u.l->n < b.u.l->n ? a.u.l->n : b.u.l->n, i = 0;
        while (i < n && wick_jv_step(rt, 1) && wick_jv_equal(rt, a.u.l->v[i], b.u.l->v[i])) i++;
        c = i < n ? wick_jv_compare(rt, a.u.l->v[i], b.u.l->v[i], op) : (a.u.l->n > b.u.l->n) - (a.u.l->n < b.u.l->n);
        rt->depth--;
        return c;
    }
    (void)wick_jv_raise(rt, "'%s' not supported between '%s' and '%s'", op, wick_jv_type_name(a), wick_jv_type_name(b));
    return 2;
}

bool wick_jv_contains(jrt *rt, jv seq, jv x)
{
    if (seq.t == JV_STR) {
        if (x.t != JV_STR)
            return wick_jv_raise(rt, "'in <string>' requires a string, got %s", wick_jv_type_name(x)), false;
        if (!wick_jv_step(rt, seq.u.s->n / 16)) return false;
        return x.u.s->n == 0 || wick_text_find(seq.u.s->p, seq.u.s->n, x.u.s->p, x.u.s->n) != NULL;
    }
    if (seq.t == JV_DICT || (seq.t == JV_VIEW && seq.u.w->kind == JV_KEYS)) {
        if (!wick_jv_hashable(x)) return wick_jv_raise(rt, "unhashable type: '%s'", wick_jv_type_name(x)), false;
        return wick_jv_dict_get(rt, seq.t == JV_DICT ? seq.u.d : seq.u.w->d, x) != NULL;
    }
    jv_it it;
    jv v;
    if (!wick_jv_iter_start(rt, seq, &it)) return false;
    while (wick_jv_iter_next(rt, &it, &v))
        if (wick_jv_equal(rt, v, x)) return true;
    return false;
}

/* --- iteration ---------------------------------------------------------------------------------------------------- */
bool wick_jv_iter_start(jrt *rt, jv v, jv_it *it)
{
    *it = (jv_it){.src = v};
    if (rt->failed) return false;
    if (wick_jv_len(v) >= 0 || v.t == JV_ITER || v.t == JV_LOOP) return true;
    (void)wick_jv_raise(rt, "'%s' object is not iterable", wick_jv_type_name(v));
    return false;
}

bool wick_jv_iter_next(jrt *rt, jv_it *it, jv *out)
{
    jv s = it->src;
    if (!wick_jv_step(rt, 1)) return false;
    if (s.t == JV_ITER) {
        if (s.u.it->force) {
            bool (*force)(jrt *, jv_iter *) = s.u.it->force;
            s.u.it->force = NULL;
            if (!force(rt, s.u.it)) return false;
        }
        if (s.u.it->pos >= s.u.it->n) return false;
        *out = s.u.it->v[s.u.it->pos++];
        return true;
    }
    if (s.t == JV_STR) {
        uint32_t cp;
        if (it->byte >= s.u.s->n) return false;
        unsigned k = wick_utf8_next(s.u.s->p + it->byte, s.u.s->n - it->byte, &cp);
        *out = wick_jv_substr(rt, s.u.s, it->byte, k);
        it->byte += k;
        return !rt->failed;
    }
    if ((int64_t)it->i >= wick_jv_len(s)) return false;
    size_t i = it->i++;
    if (jv_is_seq(s))
        *out = s.u.l->v[i];
    else if (s.t == JV_DICT)
        *out = s.u.d->e[i].k;
    else if (s.t == JV_RANGE)
        *out = jv_int(s.u.r->start + (int64_t)i * s.u.r->step);
    else if (s.t == JV_VIEW && s.u.w->kind == JV_KEYS)
        *out = s.u.w->d->e[i].k;
    else if (s.t == JV_VIEW && s.u.w->kind == JV_VALUES)
        *out = s.u.w->d->e[i].v;
    else if (s.t == JV_VIEW)
        *out = wick_jv_pair(rt, s.u.w->d->e[i].k, s.u.w->d->e[i].v);
    else
        return false;
    return !rt->failed;
}

jv wick_jv_to_list(jrt *rt, jv v)
{
    jv_it it;
    if (!wick_jv_iter_start(rt, v, &it)) return jv_make(JV_UNDEF);
    int64_t len = wick_jv_len(v);
    size_t cap = len >= 0 ? (size_t)len : 16, n = 0;
    jv *a = wick_jv_array(rt, cap, sizeof(*a)), x;
    while (a && wick_jv_iter_next(rt, &it, &x)) {
        if (n == cap) {
            jv *grown = wick_jv_array(rt, cap ? cap * 2 : 4, sizeof(*a));
            if (!grown) break;
            memcpy(grown, a, n * sizeof(*a));
            a = grown;
            cap = cap ? cap * 2 : 4;
        }
        a[n++] = x;
    }
    return rt->failed ? jv_make(JV_UNDEF) : wick_jv_list_from(rt, JV_LIST, a, n);
}

bool wick_jv_push(jrt *rt, jv_growing *g, jv x)
{
    if (rt->failed) return false;
    if (g->n == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 16;
        jv *v = wick_jv_array(rt, cap, sizeof(*v));
        if (!v) return false;
        if (g->n) memcpy(v, g->v, g->n * sizeof(*v));
        g->v = v;
        g->cap = cap;
    }
    g->v[g->n++] = x;
    return true;
}
