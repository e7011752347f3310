/* template/jinja_ops.c - operators, attributes, subscripts and slices, with Python's meaning.
 *
 * Integers are 64-bit and checked: what Python would make a big integer is an error here, never a wrong number.
 * The sandbox: an attribute that would change a list or dict, and every attribute with two leading underscores, is
 * an undefined value that fails when it is used.
 */
#include "template/jinja_impl.h"

#include <math.h>

static jv type_error(jrt *rt, const char *op, jv a, jv b)
{
    if (a.t == JV_UNDEF) return wick_jv_undef_error(rt, a);
    if (b.t == JV_UNDEF) return wick_jv_undef_error(rt, b);
    return wick_jv_raise(rt, "unsupported operand types for %s: '%s' and '%s'", op, wick_jv_type_name(a),
                         wick_jv_type_name(b));
}

static jv too_large(jrt *rt)
{
    return wick_jv_raise(rt, "an integer does not fit 64 bits");
}

static jv int_pow(jrt *rt, int64_t a, int64_t b)
{
    if (b < 0) {
        if (a == 0) return wick_jv_raise(rt, "0 cannot be raised to a negative power");
        return jv_float(pow((double)a, (double)b));
    }
    int64_t r = 1;
    for (; b; b >>= 1) {
        if ((b & 1) && __builtin_mul_overflow(r, a, &r)) return too_large(rt);
        if (b > 1 && __builtin_mul_overflow(a, a, &a)) return too_large(rt);
    }
    return jv_int(r);
}

static jv int_op(jrt *rt, jop op, int64_t a, int64_t b)
{
    int64_t r = 0;
    switch (op) {
    case OP_ADD: return __builtin_add_overflow(a, b, &r) ? too_large(rt) : jv_int(r);
    case OP_SUB: return __builtin_sub_overflow(a, b, &r) ? too_large(rt) : jv_int(r);
    case OP_MUL: return __builtin_mul_overflow(a, b, &r) ? too_large(rt) : jv_int(r);
    case OP_POW: return int_pow(rt, a, b);
    default: break;
    }
    if (b == 0) return wick_jv_raise(rt, "division by zero");
    if (op == OP_DIV) return jv_float((double)a / (double)b);
    if (a == INT64_MIN && b == -1) return op == OP_MOD ? jv_int(0) : too_large(rt);
    r = a / b;
    int64_t m = a % b;
    if (m != 0 && (m < 0) != (b < 0)) {
        m += b;
        r--;
    }
    return jv_int(op == OP_MOD ? m : r);
}

static jv float_op(jrt *rt, jop op, double a, double b)
{
    switch (op) {
    case OP_ADD: return jv_float(a + b);
    case OP_SUB: return jv_float(a - b);
    case OP_MUL: return jv_float(a * b);
    case OP_POW:
        if (a == 0 && b < 0) return wick_jv_raise(rt, "0.0 cannot be raised to a negative power");
        if (a < 0 && b != floor(b)) return wick_jv_raise(rt, "complex numbers are not supported");
        {
            double r = pow(a, b);
            if (isinf(r) && !isinf(a) && !isinf(b)) return wick_jv_raise(rt, "the result of ** is too large");
            return jv_float(r);
        }
    default: break;
    }
    if (b == 0) return wick_jv_raise(rt, "float division by zero");
    if (op == OP_DIV) return jv_float(a / b);
    double m = fmod(a, b);
    if (m != 0 && (m < 0) != (b < 0))
        m += b;
    else if (m == 0)
        m = copysign(0.0, b);
    if (op == OP_MOD) return jv_float(m);
    double q = (a - m) / b, f = floor(q);
    if (q - f > 0.5) f += 1;
    return jv_float(q == 0 ? copysign(0.0, a / b) : f);
}

static jv add_lists(jrt *rt, jv a, jv b)
{
    jv_list *x = a.u.l, *y = b.u.l;
    jv_vbuf *buf = x->buf;
    if (!wick_jv_step(rt, y->n / 8)) return jv_make(JV_UNDEF);
    if (buf && x->v + x->n == buf->data + buf->used && buf->cap - buf->used >= y->n) {
        if (y->n) memcpy(buf->data + buf->used, y->v, y->n * sizeof(jv));
        buf->used += y->n;
    } else {
        size_t n = x->n + y->n;
        buf = wick_jv_alloc(rt, sizeof(*buf));
        jv *v = wick_jv_array(rt, n * 2, sizeof(*v));
        if (!buf || !v) return jv_make(JV_UNDEF);
        if (x->n) memcpy(v, x->v, x->n * sizeof(jv));
        if (y->n) memcpy(v + x->n, y->v, y->n * sizeof(jv));
        *buf = (jv_vbuf){v, n, n * 2};
    }
    jv r = wick_jv_list_from(rt, (jv_type)a.t, buf->data + buf->used - x->n - y->n, x->n + y->n);
    if (jv_is_seq(r)) r.u.l->buf = buf;
    return r;
}

static jv repeat(jrt *rt, jv s, int64_t count)
{
    size_t n = s.t == JV_STR ? s.u.s->n : s.u.l->n;
    uint64_t total;
    if (count <= 0 || n == 0) count = 0;
    if (!wick_mul_ok(n, (uint64_t)count, &total) || total > rt->max_heap)
        return wick_jv_raise(rt, "the template needs more than %llu bytes of memory", (unsigned long long)rt->max_heap);
    if (!wick_jv_step(rt, total / 64)) return jv_make(JV_UNDEF);
    if (s.t != JV_STR) {
        jv r = wick_jv_list(rt, (jv_type)s.t, (size_t)total);
        for (uint64_t i = 0; !rt->failed && i < total; i++) r.u.l->v[i] = s.u.l->v[i % n];
        return r;
    }
    char *p = wick_jv_alloc(rt, (size_t)total);
    for (int64_t i = 0; p && i < count; i++) memcpy(p + (size_t)i * n, s.u.s->p, n);
    return p ? wick_jv_str_borrow(rt, p, (size_t)total) : jv_make(JV_UNDEF);
}

static jv mark(jv v, bool markup)
{
    if (v.t == JV_STR) v.markup = markup;
    return v;
}

static jv add(jrt *rt, jv a, jv b)
{
    if (a.t == JV_STR && b.t == JV_STR) {
        bool markup = a.markup || b.markup;
        if (markup && !a.markup) a = wick_jv_escape(rt, a);
        if (markup && !b.markup) b = wick_jv_escape(rt, b);
        return rt->failed ? a : mark(wick_jv_concat(rt, a.u.s, b.u.s), markup);
    }
    if (a.t == b.t && jv_is_seq(a)) return add_lists(rt, a, b);
    return type_error(rt, "+", a, b);
}

jv wick_jv_binary(jrt *rt, jop op, jv a, jv b)
{
    static const char *const names[] = {"+", "-", "*", "/", "//", "%", "**"};
    int64_t i, j;
    double x, y;
    if (rt->failed) return jv_make(JV_UNDEF);
    bool ai = wick_jv_as_int(a, &i), bi = wick_jv_as_int(b, &j);
    if (ai && bi) return int_op(rt, op, i, j);
    if (wick_jv_as_double(a, &x) && wick_jv_as_double(b, &y)) return float_op(rt, op, x, y);
    if (op == OP_ADD) return add(rt, a, b);
    if (op == OP_MUL && bi && (a.t == JV_STR || jv_is_seq(a))) return mark(repeat(rt, a, j), a.markup);
    if (op == OP_MUL && ai && (b.t == JV_STR || jv_is_seq(b))) return mark(repeat(rt, b, i), b.markup);
    if (op == OP_MOD && a.t == JV_STR) return mark(wick_jv_percent(rt, a.u.s, b), a.markup);
    return type_error(rt, names[op], a, b);
}

/* --- attributes --------------------------------------------------------------------------------------------------- */
static bool name_is(const jv_str *s, const char *what)
{
    return s->n == strlen(what) && memcmp(s->p, what, s->n) == 0;
}

/* Methods that exist and change their object: hidden by the sandbox. */
static bool is_mutator(jv obj, const jv_str *s)
{
    static const char *const list[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", NULL};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    const char *const *names = obj.t == JV_LIST ? list : obj.t == JV_DICT ? dict : NULL;
    for (; names && *names; names++)
        if (name_is(s, *names)) return true;
    return false;
}

static jv bound(jrt *rt, jv self, const jv_def *d)
{
    jv v = jv_make(JV_METHOD);
    v.u.bm = wick_jv_alloc(rt, sizeof(*v.u.bm));
    if (!v.u.bm) return jv_make(JV_UNDEF);
    *v.u.bm = (jv_bound){self, d};
    return v;
}

const jv_def *wick_jv_method(jv obj, const jmethods *m)
{
    if (!m) return NULL;
    switch (obj.t) {
    case JV_STR: return m->str;
    case JV_LIST: return m->list;
    case JV_TUPLE:
    case JV_RANGE: return m->tuple;
    case JV_DICT: return m->dict;
    default: return NULL;
    }
}

static jv cycler_attr(jrt *rt, jv obj, const jv_str *name);

/* What Python's getattr would find; JV_MISSING if nothing. */
static jv attribute(jrt *rt, jv obj, const jv_str *name, const jmethods *m)
{
    const jv_def *d = wick_jv_method(obj, m);
    if (d) return bound(rt, obj, d);
    if (is_mutator(obj, name) ||
        (name->n > 4 && memcmp(name->p, "__", 2) == 0 && obj.t != JV_NS && memcmp(name->p + name->n - 2, "__", 2) == 0))
        return wick_jv_undef(rt, name->p, wick_jv_type_name(obj), true);
    if (obj.t == JV_NS) {
        const jv *v = wick_jv_dict_get_str(obj.u.d, name->p, name->n);
        return v ? *v : jv_make(JV_MISSING);
    }
    if (obj.t == JV_LOOP) return wick_jinja_loop_attr(rt, obj.u.lp, name);
    if (obj.t == JV_CYCLER) return cycler_attr(rt, obj, name);
    if (obj.t == JV_TUPLE && obj.u.l->is_group && name_is(name, "grouper")) return obj.u.l->v[0];
    if (obj.t == JV_TUPLE && obj.u.l->is_group && name_is(name, "list")) return obj.u.l->v[1];
    if (obj.t == JV_MACRO && name_is(name, "name"))
        return obj.u.m->node->kind == N_MACRO ? jv_of_str(obj.u.m->node->str) : jv_none();
    if (obj.t == JV_RANGE) {
        if (name_is(name, "start")) return jv_int(obj.u.r->start);
        if (name_is(name, "stop")) return jv_int(obj.u.r->stop);
        if (name_is(name, "step")) return jv_int(obj.u.r->step);
    }
    return jv_make(JV_MISSING);
}

static jv cycler_next(jrt *rt, jv self, const jv *a)
{
    (void)rt;
    (void)a;
    jv_cycler *c = self.u.cy;
    jv v = c->v[c->pos];
    c->pos = (c->pos + 1) % c->n;
    return v;
}

static jv cycler_reset(jrt *rt, jv self, const jv *a)
{
    (void)rt;
    (void)a;
    self.u.cy->pos = 0;
    return jv_none();
}

static jv cycler_attr(jrt *rt, jv obj, const jv_str *name)
{
    static const jv_def defs[] = {{.name = "next", .fn = cycler_next}, {.name = "reset", .fn = cycler_reset}};
    if (name_is(name, "current")) return obj.u.cy->v[obj.u.cy->pos];
    for (size_t i = 0; i < 2; i++)
        if (name_is(name, defs[i].name)) return bound(rt, obj, &defs[i]);
    return jv_make(JV_MISSING);
}

/* obj[key] without looking at attributes; JV_MISSING if there is none. */
static jv element(jrt *rt, jv obj, jv key)
{
    int64_t i, n = wick_jv_len(obj);
    if (obj.t == JV_DICT) {
        if (!wick_jv_hashable(key)) return jv_make(JV_MISSING);
        const jv *v = wick_jv_dict_get(rt, obj.u.d, key);
        return v ? *v : jv_make(JV_MISSING);
    }
    if ((obj.t != JV_STR && !jv_is_seq(obj) && obj.t != JV_RANGE) || !wick_jv_as_int(key, &i))
        return jv_make(JV_MISSING);
    if (i < 0) i += n;
    if (i < 0 || i >= n) return jv_make(JV_MISSING);
    if (jv_is_seq(obj)) return obj.u.l->v[i];
    if (obj.t == JV_RANGE) return jv_int(obj.u.r->start + i * obj.u.r->step);
    if (!wick_jv_step(rt, obj.u.s->n == obj.u.s->n_cp ? 0 : obj.u.s->n / 8)) return jv_make(JV_MISSING);
    size_t from = wick_jv_byte_at(obj.u.s, (size_t)i);
    uint32_t cp;
    return mark(wick_jv_substr(rt, obj.u.s, from, wick_utf8_next(obj.u.s->p + from, obj.u.s->n - from, &cp)),
                obj.markup);
}

jv wick_jv_attr(jrt *rt, jv obj, const jv_str *name, const jmethods *m)
{
    if (rt->failed) return jv_make(JV_UNDEF);
    if (obj.t == JV_UNDEF) return wick_jv_undef_error(rt, obj);
    jv v = attribute(rt, obj, name, m);
    if (!jv_given(v)) v = element(rt, obj, jv_of_str(name));
    return jv_given(v) ? v : wick_jv_undef(rt, name->p, wick_jv_type_name(obj), false);
}

jv wick_jv_item(jrt *rt, jv obj, jv key)
{
    if (rt->failed) return jv_make(JV_UNDEF);
    if (obj.t == JV_UNDEF) return wick_jv_undef_error(rt, obj);
    jv v = element(rt, obj, key);
    if (jv_given(v)) return v;
    if (key.t != JV_STR) return wick_jv_undef(rt, "element", wick_jv_type_name(obj), false);
    jmethods m;
    bool has = wick_jv_find_methods(key.u.s->p, key.u.s->n, &m);
    v = attribute(rt, obj, key.u.s, has ? &m : NULL);
    if (jv_given(v)) return v;
    char *z = wick_jv_alloc(rt, key.u.s->n + 1);
    if (z && key.u.s->n) memcpy(z, key.u.s->p, key.u.s->n);
    return wick_jv_undef(rt, z ? z : "", wick_jv_type_name(obj), false);
}

/* --- slices ------------------------------------------------------------------------------------------------------- */
static bool slice_part(jrt *rt, jv v, int64_t *out)
{
    if (v.t == JV_NONE || wick_jv_as_int(v, out)) return true;
    (void)wick_jv_raise(rt, "slice indices must be integers or none, got %s", wick_jv_type_name(v));
    return false;
}

static int64_t clamp(int64_t i, int64_t lo, int64_t hi, int64_t n)
{
    if (i < 0) i = i < -n ? lo : i + n;
    return i < lo ? lo : i > hi ? hi : i;
}

jv wick_jv_slice(jrt *rt, jv obj, jv start, jv stop, jv step_v)
{
    int64_t step = 1, n = wick_jv_len(obj), a, b;
    if (rt->failed) return jv_make(JV_UNDEF);
    if (obj.t == JV_UNDEF) return wick_jv_undef_error(rt, obj);
    if (obj.t != JV_STR && !jv_is_seq(obj) && obj.t != JV_RANGE)
        return wick_jv_raise(rt, "'%s' object cannot be sliced", wick_jv_type_name(obj));
    if (!slice_part(rt, step_v, &step)) return jv_make(JV_UNDEF);
    if (step == 0) return wick_jv_raise(rt, "slice step cannot be zero");
    int64_t lo = step < 0 ? -1 : 0, hi = step < 0 ? n - 1 : n;
    a = step < 0 ? hi : lo;
    b = step < 0 ? lo : hi;
    if (start.t != JV_NONE) {
        if (!slice_part(rt, start, &a)) return jv_make(JV_UNDEF);
        a = clamp(a, lo, hi, n);
    }
    if (stop.t != JV_NONE) {
        if (!slice_part(rt, stop, &b)) return jv_make(JV_UNDEF);
        b = clamp(b, lo, hi, n);
    }
    int64_t count = 0;
    if (step > 0 && b > a) count = (b - a - 1) / step + 1;
    if (step < 0 && a > b) count = step == INT64_MIN ? 1 : (a - b - 1) / -step + 1;
    if (!wick_jv_step(rt, (uint64_t)count / 8 + 1)) return jv_make(JV_UNDEF);
    if (obj.t == JV_RANGE) {
        jv_range *r = obj.u.r;
        int64_t s = count > 1 ? r->step * step : r->step;
        return wick_jv_range(rt, r->start + a * r->step, r->start + a * r->step + count * s, s);
    }
    if (jv_is_seq(obj)) {
        if (step == 1) return wick_jv_list_from(rt, (jv_type)obj.t, obj.u.l->v + (count ? a : 0), (size_t)count);
        jv r = wick_jv_list(rt, (jv_type)obj.t, (size_t)count);
        for (int64_t i = 0; !rt->failed && i < count; i++) r.u.l->v[i] = obj.u.l->v[a + i * step];
        return r;
    }
    const jv_str *s = obj.u.s;
    if (!wick_jv_step(rt, s->n == s->n_cp ? 0 : s->n / 8)) return jv_make(JV_UNDEF);
    if (step == 1) {
        size_t from = count ? wick_jv_byte_at(s, (size_t)a) : 0,
               to = count ? wick_jv_byte_at(s, (size_t)(a + count)) : 0;
        return mark(wick_jv_substr(rt, s, from, to - from), obj.markup);
    }
    size_t *at = s->n == s->n_cp ? NULL : wick_jv_array(rt, s->n_cp + 1, sizeof(*at)), k = 0, out = 0;
    char *p = wick_jv_alloc(rt, s->n);
    if (rt->failed) return jv_make(JV_UNDEF);
    for (size_t i = 0; at && i <= s->n; i++)
        if (i == s->n || ((unsigned char)s->p[i] & 0xC0) != 0x80) at[k++] = i;
    for (int64_t i = 0; i < count; i++) {
        size_t c = (size_t)(a + i * step), from = at ? at[c] : c, len = at ? at[c + 1] - from : 1;
        memcpy(p + out, s->p + from, len);
        out += len;
    }
    return mark(wick_jv_str_borrow(rt, p, out), obj.markup);
}
