/* template/jinja_method.c - the methods of str, list, tuple and dict that the sandbox allows. */
#include "template/jinja_impl.h"

#define METHOD(name) static jv name(jrt *rt, jv self, const jv *a)

static bool want_str(jrt *rt, jv v, const char *what)
{
    if (v.t == JV_STR) return true;
    (void)wick_jv_raise(rt, "%s must be a string, not %s", what, wick_jv_type_name(v));
    return false;
}

static bool opt_int(jrt *rt, jv v, int64_t def, int64_t *out)
{
    *out = def;
    if (!jv_given(v) || wick_jv_as_int(v, out)) return true;
    (void)wick_jv_raise(rt, "an integer is required, got %s", wick_jv_type_name(v));
    return false;
}

/* --- stripping and splitting -------------------------------------------------------------------------------------- */
static bool in_set(uint32_t cp, const jv_str *set)
{
    if (!set) return wick_text_is_space(cp);
    for (size_t i = 0; i < set->n;) {
        uint32_t c;
        i += wick_utf8_next(set->p + i, set->n - i, &c);
        if (c == cp) return true;
    }
    return false;
}

static jv strip(jrt *rt, jv self, jv chars, bool left, bool right)
{
    const jv_str *s = self.u.s, *set = NULL;
    if (jv_given(chars) && chars.t != JV_NONE) {
        if (!want_str(rt, chars, "strip argument")) return self;
        set = chars.u.s;
    }
    size_t from = 0, to = s->n;
    uint32_t cp;
    while (left && from < to && wick_jv_step(rt, 1)) {
        unsigned k = wick_utf8_next(s->p + from, to - from, &cp);
        if (!in_set(cp, set)) break;
        from += k;
    }
    while (right && to > from && wick_jv_step(rt, 1)) {
        size_t k;
        if (!in_set(wick_text_prev(s->p + from, to - from, &k), set)) break;
        to -= k;
    }
    return wick_jv_substr(rt, s, from, to - from);
}

METHOD(m_strip)
{
    return strip(rt, self, a[0], true, true);
}
METHOD(m_lstrip)
{
    return strip(rt, self, a[0], true, false);
}
METHOD(m_rstrip)
{
    return strip(rt, self, a[0], false, true);
}

static void reverse(jv_growing *g)
{
    for (size_t i = 0; i < g->n / 2; i++) {
        jv t = g->v[i];
        g->v[i] = g->v[g->n - 1 - i];
        g->v[g->n - 1 - i] = t;
    }
}

static void split_space(jrt *rt, const jv_str *s, int64_t max, bool right, jv_growing *g)
{
    size_t from = 0, to = s->n, k;
    uint32_t cp;
    while (!rt->failed) {
        if (right) {
            while (to && wick_text_is_space(wick_text_prev(s->p, to, &k))) to -= k;
            if (!to) break;
            size_t start = to;
            if (max >= 0 && (int64_t)g->n >= max) start = 0;
            while (start && !wick_text_is_space(wick_text_prev(s->p, start, &k))) start -= k;
            (void)wick_jv_push(rt, g, wick_jv_substr(rt, s, start, to - start));
            to = start;
            continue;
        }
        while (from < s->n) {
            k = wick_utf8_next(s->p + from, s->n - from, &cp);
            if (!wick_text_is_space(cp)) break;
            from += k;
        }
        if (from >= s->n) break;
        size_t end = from;
        if (max >= 0 && (int64_t)g->n >= max) end = s->n;
        while (end < s->n) {
            k = wick_utf8_next(s->p + end, s->n - end, &cp);
            if (wick_text_is_space(cp)) break;
            end += k;
        }
        (void)wick_jv_push(rt, g, wick_jv_substr(rt, s, from, end - from));
        from = end;
    }
}

/* Pays for what it scans, so that rsplit stays linear. */
static const char *find_last(jrt *rt, const char *p, size_t n, const jv_str *x)
{
    if (n < x->n) return NULL;
    for (size_t i = n - x->n + 1; i-- > 0;) {
        if (memcmp(p + i, x->p, x->n) != 0) continue;
        return wick_jv_step(rt, (n - i) / 16 * (1 + x->n / 32)) ? p + i : NULL;
    }
    (void)wick_jv_step(rt, n / 16 * (1 + x->n / 32));
    return NULL;
}

static void split_at(jrt *rt, const jv_str *s, const jv_str *sep, int64_t max, bool right, jv_growing *g)
{
    size_t from = 0, to = s->n;
    for (; !rt->failed && (max < 0 || (int64_t)g->n < max);) {
        const char *hit =
            right ? find_last(rt, s->p, to, sep) : wick_text_find(s->p + from, s->n - from, sep->p, sep->n);
        if (!hit) break;
        size_t at = (size_t)(hit - s->p);
        if (right) {
            (void)wick_jv_push(rt, g, wick_jv_substr(rt, s, at + sep->n, to - at - sep->n));
            to = at;
        } else {
            (void)wick_jv_push(rt, g, wick_jv_substr(rt, s, from, at - from));
            from = at + sep->n;
        }
    }
    (void)wick_jv_push(rt, g, wick_jv_substr(rt, s, from, to - from));
}

static jv split(jrt *rt, jv self, const jv *a, bool right)
{
    int64_t max;
    jv_growing g = {0};
    if (!opt_int(rt, a[1], -1, &max) || !wick_jv_step(rt, self.u.s->n / 8)) return self;
    if (!jv_given(a[0]) || a[0].t == JV_NONE) {
        if (max >= 0 && right) {
            /* the rest keeps its left blanks in Python, but not its right ones */
            split_space(rt, self.u.s, max, true, &g);
        } else {
            split_space(rt, self.u.s, max, right, &g);
        }
    } else {
        if (!want_str(rt, a[0], "separator")) return self;
        if (!a[0].u.s->n) return wick_jv_raise(rt, "empty separator");
        split_at(rt, self.u.s, a[0].u.s, max, right, &g);
    }
    if (right) reverse(&g);
    return rt->failed ? jv_make(JV_UNDEF) : wick_jv_list_from(rt, JV_LIST, g.v, g.n);
}

METHOD(m_split)
{
    return split(rt, self, a, false);
}
METHOD(m_rsplit)
{
    return split(rt, self, a, true);
}

METHOD(m_splitlines)
{
    const jv_str *s = self.u.s;
    bool keep = jv_given(a[0]) && wick_jv_truth(a[0]);
    jv_growing g = {0};
    size_t from = 0;
    for (size_t i = 0; i < s->n && wick_jv_step(rt, 1);) {
        uint32_t cp;
        unsigned k = wick_utf8_next(s->p + i, s->n - i, &cp);
        size_t end = i;
        i += k;
        if (!wick_text_is_line_end(cp)) continue;
        if (cp == '\r' && i < s->n && s->p[i] == '\n') i++;
        if (!wick_jv_push(rt, &g, wick_jv_substr(rt, s, from, (keep ? i : end) - from))) break;
        from = i;
    }
    if (from < s->n) (void)wick_jv_push(rt, &g, wick_jv_substr(rt, s, from, s->n - from));
    return rt->failed ? jv_make(JV_UNDEF) : wick_jv_list_from(rt, JV_LIST, g.v, g.n);
}

static jv partition(jrt *rt, jv self, jv sep, bool right)
{
    if (!want_str(rt, sep, "separator")) return self;
    if (!sep.u.s->n) return wick_jv_raise(rt, "empty separator");
    const jv_str *s = self.u.s;
    if (!wick_jv_step(rt, s->n / 8)) return self;
    const char *hit = right ? find_last(rt, s->p, s->n, sep.u.s) : wick_text_find(s->p, s->n, sep.u.s->p, sep.u.s->n);
    jv r = wick_jv_list(rt, JV_TUPLE, 3), empty = wick_jv_cstr(rt, "");
    if (rt->failed) return r;
    size_t at = hit ? (size_t)(hit - s->p) : 0;
    r.u.l->v[0] = hit ? wick_jv_substr(rt, s, 0, at) : right ? empty : self;
    r.u.l->v[1] = hit ? sep : empty;
    r.u.l->v[2] = hit ? wick_jv_substr(rt, s, at + sep.u.s->n, s->n - at - sep.u.s->n) : right ? self : empty;
    return r;
}

METHOD(m_partition)
{
    return partition(rt, self, a[0], false);
}
METHOD(m_rpartition)
{
    return partition(rt, self, a[0], true);
}

/* --- searching ---------------------------------------------------------------------------------------------------- */
/* The part of self between the optional code-point positions a[1] and a[2]; false if it is empty by order. */
static bool window(jrt *rt, jv self, const jv *a, size_t *from, size_t *to)
{
    const jv_str *s = self.u.s;
    int64_t n = (int64_t)s->n_cp, i = 0, j = n;
    if (jv_given(a[1]) && a[1].t != JV_NONE && !opt_int(rt, a[1], 0, &i)) return false;
    if (jv_given(a[2]) && a[2].t != JV_NONE && !opt_int(rt, a[2], n, &j)) return false;
    if (!wick_jv_step(rt, s->n / 16)) return false;
    if (i < 0) i = i < -n ? 0 : i + n;
    if (j < 0) j = j < -n ? 0 : j + n;
    if (j > n) j = n;
    if (i > j) return false;
    *from = wick_jv_byte_at(s, (size_t)i);
    *to = wick_jv_byte_at(s, (size_t)j);
    return true;
}

static jv find(jrt *rt, jv self, const jv *a, bool right, bool must)
{
    size_t from, to;
    if (!want_str(rt, a[0], "what is searched")) return self;
    const jv_str *s = self.u.s, *x = a[0].u.s;
    const char *hit = NULL;
    if (window(rt, self, a, &from, &to))
        hit = right       ? find_last(rt, s->p + from, to - from, x)
              : x->n == 0 ? s->p + from
                          : wick_text_find(s->p + from, to - from, x->p, x->n);
    if (!hit && must) return wick_jv_raise(rt, "substring not found");
    return jv_int(hit ? (int64_t)wick_jv_count_cp(s->p, (size_t)(hit - s->p)) : -1);
}

METHOD(m_find)
{
    return find(rt, self, a, false, false);
}
METHOD(m_rfind)
{
    return find(rt, self, a, true, false);
}
METHOD(m_index)
{
    return find(rt, self, a, false, true);
}
METHOD(m_rindex)
{
    return find(rt, self, a, true, true);
}

METHOD(m_count)
{
    size_t from, to;
    int64_t n = 0;
    if (!want_str(rt, a[0], "what is counted")) return self;
    const jv_str *s = self.u.s, *x = a[0].u.s;
    if (!window(rt, self, a, &from, &to)) return jv_int(0);
    if (!x->n) return jv_int((int64_t)wick_jv_count_cp(s->p + from, to - from) + 1);
    for (const char *p = s->p + from; (p = wick_text_find(p, (size_t)(s->p + to - p), x->p, x->n)); p += x->n) n++;
    return jv_int(n);
}

static jv has_affix(jrt *rt, jv self, const jv *a, bool end)
{
    size_t from, to;
    jv one[1] = {a[0]};
    const jv *v = one;
    size_t n = 1;
    if (a[0].t == JV_TUPLE) {
        v = a[0].u.l->v;
        n = a[0].u.l->n;
    }
    bool ok = window(rt, self, a, &from, &to), hit = false;
    for (size_t i = 0; i < n; i++) {
        if (!want_str(rt, v[i], end ? "endswith argument" : "startswith argument")) return self;
        const jv_str *x = v[i].u.s;
        if (!ok || x->n > to - from || hit) continue;
        hit = x->n == 0 || memcmp(self.u.s->p + (end ? to - x->n : from), x->p, x->n) == 0;
    }
    return jv_bool(hit);
}

METHOD(m_startswith)
{
    return has_affix(rt, self, a, false);
}
METHOD(m_endswith)
{
    return has_affix(rt, self, a, true);
}

METHOD(m_replace)
{
    int64_t max;
    if (!want_str(rt, a[0], "what is replaced") || !want_str(rt, a[1], "the replacement") ||
        !opt_int(rt, a[2], -1, &max))
        return self;
    const jv_str *s = self.u.s, *x = a[0].u.s, *y;
    jv with = self.markup && !a[1].markup ? wick_jv_escape(rt, a[1]) : a[1];
    if (rt->failed || !wick_jv_step(rt, s->n / 8)) return self;
    y = with.u.s;
    size_t mark = rt->w.n, from = 0;
    if (!x->n) {
        for (size_t i = 0; i <= s->n && max != 0 && wick_jv_step(rt, 1); max--) {
            uint32_t cp;
            unsigned k = i < s->n ? wick_utf8_next(s->p + i, s->n - i, &cp) : 1;
            wick_buf_add(&rt->w, y->p, y->n);
            if (i < s->n) wick_buf_add(&rt->w, s->p + i, k);
            i += k;
            from = i < s->n ? i : s->n;
        }
    } else {
        for (const char *p;
             max != 0 && wick_jv_step(rt, 1) && (p = wick_text_find(s->p + from, s->n - from, x->p, x->n)); max--) {
            wick_buf_add(&rt->w, s->p + from, (size_t)(p - s->p) - from);
            wick_buf_add(&rt->w, y->p, y->n);
            from = (size_t)(p - s->p) + x->n;
        }
        if (from == 0 && rt->w.n == mark) return self;
    }
    wick_buf_add(&rt->w, s->p + from, s->n - from);
    return wick_jv_take(rt, mark);
}

METHOD(m_removeprefix)
{
    if (!want_str(rt, a[0], "prefix")) return self;
    const jv_str *s = self.u.s, *x = a[0].u.s;
    if (!x->n || x->n > s->n || memcmp(s->p, x->p, x->n) != 0) return self;
    return wick_jv_substr(rt, s, x->n, s->n - x->n);
}
METHOD(m_removesuffix)
{
    if (!want_str(rt, a[0], "suffix")) return self;
    const jv_str *s = self.u.s, *x = a[0].u.s;
    if (!x->n || x->n > s->n || memcmp(s->p + s->n - x->n, x->p, x->n) != 0) return self;
    return wick_jv_substr(rt, s, 0, s->n - x->n);
}

METHOD(m_join)
{
    jv_it it;
    jv v;
    bool first = true;
    size_t mark = rt->w.n;
    if (!wick_jv_iter_start(rt, a[0], &it)) return self;
    while (wick_jv_iter_next(rt, &it, &v)) {
        if (!want_str(rt, v, "an item of join()")) return self;
        if (self.markup && !v.markup) v = wick_jv_escape(rt, v);
        if (rt->failed) return self;
        if (!first) wick_buf_add(&rt->w, self.u.s->p, self.u.s->n);
        wick_buf_add(&rt->w, v.u.s->p, v.u.s->n);
        first = false;
    }
    return wick_jv_take(rt, mark);
}

/* --- case, padding, classes --------------------------------------------------------------------------------------- */
#define CASE_METHOD(name, how)                    \
    METHOD(name)                                  \
    {                                             \
        (void)a;                                  \
        return wick_text_case(rt, self.u.s, how); \
    }
CASE_METHOD(m_upper, CASE_UPPER)
CASE_METHOD(m_lower, CASE_LOWER)
CASE_METHOD(m_casefold, CASE_FOLD)
CASE_METHOD(m_swapcase, CASE_SWAP)
CASE_METHOD(m_title, CASE_TITLE)
CASE_METHOD(m_capitalize, CASE_CAPITALIZE)

static jv pad(jrt *rt, jv self, const jv *a, int left /* of 2 halves; -1: centred */)
{
    int64_t width, n = (int64_t)self.u.s->n_cp;
    if (!opt_int(rt, a[0], 0, &width)) return self;
    jv fill = jv_given(a[1]) ? a[1] : wick_jv_cstr(rt, " ");
    if (!want_str(rt, fill, "fill character")) return self;
    if (fill.u.s->n_cp != 1) return wick_jv_raise(rt, "the fill character must be one character long");
    if (width <= n) return self;
    int64_t total = width - n, l = left == 1 ? total : left == 0 ? 0 : total / 2 + (total & width & 1);
    jv before = wick_jv_binary(rt, OP_MUL, fill, jv_int(l)),
       after = wick_jv_binary(rt, OP_MUL, fill, jv_int(total - l));
    self.markup = false;
    jv r = wick_jv_binary(rt, OP_ADD, before, self);
    return wick_jv_binary(rt, OP_ADD, r, after);
}

METHOD(m_center)
{
    return pad(rt, self, a, -1);
}
METHOD(m_ljust)
{
    return pad(rt, self, a, 0);
}
METHOD(m_rjust)
{
    return pad(rt, self, a, 1);
}

METHOD(m_zfill)
{
    int64_t width, n = (int64_t)self.u.s->n_cp;
    if (!opt_int(rt, a[0], 0, &width) || width <= n) return self;
    bool sign = n && (self.u.s->p[0] == '-' || self.u.s->p[0] == '+');
    jv zeros = wick_jv_binary(rt, OP_MUL, wick_jv_cstr(rt, "0"), jv_int(width - n));
    jv head = wick_jv_substr(rt, self.u.s, 0, sign), tail = wick_jv_substr(rt, self.u.s, sign, self.u.s->n - sign);
    return wick_jv_binary(rt, OP_ADD, wick_jv_binary(rt, OP_ADD, head, zeros), tail);
}

METHOD(m_expandtabs)
{
    int64_t size, col = 0;
    size_t mark = rt->w.n;
    if (!opt_int(rt, a[0], 8, &size)) return self;
    for (size_t i = 0; i < self.u.s->n && wick_jv_step(rt, 1); i++) {
        char c = self.u.s->p[i];
        if (c != '\t') {
            wick_buf_putc(&rt->w, c);
            col = c == '\n' || c == '\r' ? 0 : col + (((unsigned char)c & 0xC0) != 0x80);
            continue;
        }
        for (int64_t k = size > 0 ? size - col % size : 0; k > 0 && !rt->w.failed; k--, col++)
            wick_buf_putc(&rt->w, ' ');
    }
    return wick_jv_take(rt, mark);
}

static bool is_alnum(uint32_t cp)
{
    return cp != '_' && wick_text_is_word(cp);
}
static bool is_ascii(uint32_t cp)
{
    return cp < 0x80;
}

static jv all_of(jrt *rt, jv self, bool (*is)(uint32_t), bool empty)
{
    const jv_str *s = self.u.s;
    if (!wick_jv_step(rt, s->n / 8)) return self;
    for (size_t i = 0; i < s->n;) {
        uint32_t cp;
        i += wick_utf8_next(s->p + i, s->n - i, &cp);
        if (!is(cp)) return jv_bool(false);
    }
    return jv_bool(s->n ? true : empty);
}

#define CLASS_METHOD(name, is, empty)       \
    METHOD(name)                            \
    {                                       \
        (void)a;                            \
        return all_of(rt, self, is, empty); \
    }
CLASS_METHOD(m_isspace, wick_text_is_space, false)
CLASS_METHOD(m_isalpha, wick_text_is_alpha, false)
CLASS_METHOD(m_isdigit, wick_text_is_digit, false)
CLASS_METHOD(m_isalnum, is_alnum, false)
CLASS_METHOD(m_isascii, is_ascii, true)
CLASS_METHOD(m_isprintable, wick_text_is_printable, true)

METHOD(m_isidentifier)
{
    (void)a;
    if (self.u.s->n && self.u.s->p[0] >= '0' && self.u.s->p[0] <= '9') return jv_bool(false);
    return all_of(rt, self, wick_text_is_word, false);
}

static jv run_test(jrt *rt, jv self, const char *name)
{
    jargs none = {0};
    return wick_jv_call_def(rt, wick_jinja_find_test(name, strlen(name)), self, &none, "method");
}
METHOD(m_islower)
{
    (void)a;
    return run_test(rt, self, "lower");
}
METHOD(m_isupper)
{
    (void)a;
    return run_test(rt, self, "upper");
}
METHOD(m_istitle)
{
    (void)a;
    bool prev = false, any = false;
    for (size_t i = 0; i < self.u.s->n && wick_jv_step(rt, 1);) {
        uint32_t cp;
        i += wick_utf8_next(self.u.s->p + i, self.u.s->n - i, &cp);
        bool up = wick_text_is_upper(cp), low = wick_text_is_lower(cp);
        if ((up && prev) || (low && !prev)) return jv_bool(false);
        prev = up || low;
        any = any || prev;
    }
    return jv_bool(any);
}

static jv m_format(jrt *rt, jv self, const jargs *a)
{
    return wick_jv_str_format(rt, self.u.s, a);
}
static jv m_format_map(jrt *rt, jv self, const jargs *a)
{
    if (a->n != 1 || a->n_kw || a->pos[0].t != JV_DICT) return wick_jv_raise(rt, "format_map() takes one mapping");
    jv_dict *d = a->pos[0].u.d;
    const jv_str **name = wick_jv_array(rt, d->n, sizeof(*name));
    jv *kw = wick_jv_array(rt, d->n, sizeof(*kw));
    if (!name || !kw) return self;
    jargs b = {.kw_name = name, .kw = kw};
    for (uint32_t i = 0; i < d->n; i++) {
        if (d->e[i].k.t != JV_STR) continue;
        name[b.n_kw] = d->e[i].k.u.s;
        kw[b.n_kw++] = d->e[i].v;
    }
    return wick_jv_str_format(rt, self.u.s, &b);
}

/* --- dict, list, tuple -------------------------------------------------------------------------------------------- */
static jv view(jrt *rt, jv self, int kind)
{
    jv v = jv_make(JV_VIEW);
    v.u.w = wick_jv_alloc(rt, sizeof(*v.u.w));
    if (!v.u.w) return jv_make(JV_UNDEF);
    v.u.w->d = self.u.d;
    v.u.w->kind = kind;
    return v;
}
METHOD(d_keys)
{
    (void)a;
    return view(rt, self, JV_KEYS);
}
METHOD(d_values)
{
    (void)a;
    return view(rt, self, JV_VALUES);
}
METHOD(d_items)
{
    (void)a;
    return view(rt, self, JV_ITEMS);
}
METHOD(d_get)
{
    if (!wick_jv_hashable(a[0])) return wick_jv_raise(rt, "unhashable type: '%s'", wick_jv_type_name(a[0]));
    const jv *v = wick_jv_dict_get(rt, self.u.d, a[0]);
    return v ? *v : jv_given(a[1]) ? a[1] : jv_none();
}
METHOD(d_copy)
{
    (void)a;
    jv d = wick_jv_dict(rt, self.u.d->n);
    for (uint32_t i = 0; i < self.u.d->n && !rt->failed; i++)
        (void)wick_jv_dict_put(rt, d.u.d, self.u.d->e[i].k, self.u.d->e[i].v);
    return d;
}
METHOD(d_fromkeys)
{
    (void)self;
    jv d = wick_jv_dict(rt, 0), k;
    jv_it it;
    if (rt->failed || !wick_jv_iter_start(rt, a[0], &it)) return d;
    while (wick_jv_iter_next(rt, &it, &k)) (void)wick_jv_dict_put(rt, d.u.d, k, jv_given(a[1]) ? a[1] : jv_none());
    return d;
}

METHOD(l_copy)
{
    (void)a;
    return wick_jv_to_list(rt, self);
}
METHOD(l_count)
{
    jv_it it;
    jv v;
    int64_t n = 0;
    if (!wick_jv_iter_start(rt, self, &it)) return self;
    while (wick_jv_iter_next(rt, &it, &v)) n += wick_jv_equal(rt, v, a[0]);
    return jv_int(n);
}
METHOD(l_index)
{
    int64_t i = 0, n = wick_jv_len(self), from, to;
    jv_it it;
    jv v;
    if (!opt_int(rt, a[1], 0, &from) || !opt_int(rt, a[2], n, &to) || !wick_jv_iter_start(rt, self, &it)) return self;
    if (from < 0) from = from + n < 0 ? 0 : from + n;
    if (to < 0) to += n;
    for (; wick_jv_iter_next(rt, &it, &v); i++)
        if (i >= from && i < to && wick_jv_equal(rt, v, a[0])) return jv_int(i);
    return wick_jv_raise(rt, "the value is not in the list");
}

static const jv_def str_methods[] = {
    {"capitalize", m_capitalize, 0, {0}, NULL},
    {"casefold", m_casefold, 0, {0}, NULL},
    {"center", m_center, 1, {"", ""}, NULL},
    {"count", m_count, 1, {"", "", ""}, NULL},
    {"endswith", m_endswith, 1, {"", "", ""}, NULL},
    {"expandtabs", m_expandtabs, 0, {"tabsize"}, NULL},
    {"find", m_find, 1, {"", "", ""}, NULL},
    {"format", NULL, 0, {0}, m_format},
    {"format_map", NULL, 0, {0}, m_format_map},
    {"index", m_index, 1, {"", "", ""}, NULL},
    {"isalnum", m_isalnum, 0, {0}, NULL},
    {"isalpha", m_isalpha, 0, {0}, NULL},
    {"isascii", m_isascii, 0, {0}, NULL},
    {"isdecimal", m_isdigit, 0, {0}, NULL},
    {"isdigit", m_isdigit, 0, {0}, NULL},
    {"isidentifier", m_isidentifier, 0, {0}, NULL},
    {"islower", m_islower, 0, {0}, NULL},
    {"isnumeric", m_isdigit, 0, {0}, NULL},
    {"isprintable", m_isprintable, 0, {0}, NULL},
    {"isspace", m_isspace, 0, {0}, NULL},
    {"istitle", m_istitle, 0, {0}, NULL},
    {"isupper", m_isupper, 0, {0}, NULL},
    {"join", m_join, 1, {""}, NULL},
    {"ljust", m_ljust, 1, {"", ""}, NULL},
    {"lower", m_lower, 0, {0}, NULL},
    {"lstrip", m_lstrip, 0, {""}, NULL},
    {"partition", m_partition, 1, {""}, NULL},
    {"removeprefix", m_removeprefix, 1, {""}, NULL},
    {"removesuffix", m_removesuffix, 1, {""}, NULL},
    {"replace", m_replace, 2, {"", "", ""}, NULL},
    {"rfind", m_rfind, 1, {"", "", ""}, NULL},
    {"rindex", m_rindex, 1, {"", "", ""}, NULL},
    {"rjust", m_rjust, 1, {"", ""}, NULL},
    {"rpartition", m_rpartition, 1, {""}, NULL},
    {"rsplit", m_rsplit, 0, {"sep", "maxsplit"}, NULL},
    {"rstrip", m_rstrip, 0, {""}, NULL},
    {"split", m_split, 0, {"sep", "maxsplit"}, NULL},
    {"splitlines", m_splitlines, 0, {"keepends"}, NULL},
    {"startswith", m_startswith, 1, {"", "", ""}, NULL},
    {"strip", m_strip, 0, {""}, NULL},
    {"swapcase", m_swapcase, 0, {0}, NULL},
    {"title", m_title, 0, {0}, NULL},
    {"upper", m_upper, 0, {0}, NULL},
    {"zfill", m_zfill, 1, {""}, NULL},
    {0},
};
static const jv_def list_methods[] = {
    {"copy", l_copy, 0, {0}, NULL},
    {"count", l_count, 1, {""}, NULL},
    {"index", l_index, 1, {"", "", ""}, NULL},
    {0},
};
static const jv_def dict_methods[] = {
    {"copy", d_copy, 0, {0}, NULL},
    {"fromkeys", d_fromkeys, 1, {"", ""}, NULL},
    {"get", d_get, 1, {"", ""}, NULL},
    {"items", d_items, 0, {0}, NULL},
    {"keys", d_keys, 0, {0}, NULL},
    {"values", d_values, 0, {0}, NULL},
    {0},
};

static const jv_def *lookup(const jv_def *d, const char *p, size_t n)
{
    for (; d->name; d++)
        if (strlen(d->name) == n && memcmp(d->name, p, n) == 0) return d;
    return NULL;
}

bool wick_jv_find_methods(const char *p, size_t n, jmethods *out)
{
    out->str = lookup(str_methods, p, n);
    out->list = lookup(list_methods, p, n);
    out->tuple = out->list && n != 4 ? out->list : NULL; /* no copy() */
    out->dict = lookup(dict_methods, p, n);
    return out->str || out->list || out->dict;
}
