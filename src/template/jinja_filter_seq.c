/* template/jinja_filter_seq.c - filters over sequences.
 *
 * Those that jinja2 writes as generators (map, select, items, batch, ...) give a JV_ITER: nothing is computed, and
 * nothing fails, before it is iterated; it has no length, is true, and can be gone through once.
 */
#include "template/jinja_impl.h"

#define FILTER(name) static jv name(jrt *rt, jv v, const jv *a)

static bool yield_all(jrt *rt, jv_iter *it, const jv_growing *g)
{
    it->v = g->v;
    it->n = g->n;
    it->pos = 0;
    return !rt->failed;
}

static jv generator(jrt *rt, const char *name, bool (*force)(jrt *, jv_iter *), jv src, const jargs *a)
{
    jv v = jv_make(JV_ITER);
    v.u.it = wick_jv_alloc(rt, sizeof(*v.u.it));
    if (!v.u.it) return jv_make(JV_UNDEF);
    *v.u.it = (jv_iter){.name = name, .force = force, .src = src};
    if (!a) return v;
    jv *pos = wick_jv_array(rt, a->n, sizeof(*pos)), *kw = wick_jv_array(rt, a->n_kw, sizeof(*kw));
    const jv_str **names = wick_jv_array(rt, a->n_kw, sizeof(*names));
    if (!pos || !kw || !names) return jv_make(JV_UNDEF);
    for (uint32_t i = 0; i < a->n; i++) pos[i] = a->pos[i];
    for (uint32_t i = 0; i < a->n_kw; i++) {
        kw[i] = a->kw[i];
        names[i] = a->kw_name[i];
    }
    v.u.it->args = (jargs){pos, a->n, names, kw, a->n_kw};
    return v;
}

/* --- attribute paths: "a.b.0", a number, or none ------------------------------------------------------------------ */
static jv follow(jrt *rt, jv item, jv path, jv def)
{
    if (!jv_given(path) || path.t == JV_NONE) return item;
    if (path.t != JV_STR) {
        item = wick_jv_item(rt, item, path);
        return item.t == JV_UNDEF && jv_given(def) && def.t != JV_NONE ? def : item;
    }
    const jv_str *s = path.u.s;
    for (size_t from = 0; from <= s->n && !rt->failed;) {
        const char *dot = from < s->n ? memchr(s->p + from, '.', s->n - from) : NULL;
        size_t to = dot ? (size_t)(dot - s->p) : s->n, k = from;
        int64_t i = 0;
        while (k < to && s->p[k] >= '0' && s->p[k] <= '9' && k - from < 18) i = i * 10 + (s->p[k++] - '0');
        jv key = k == to && to > from ? jv_int(i) : wick_jv_substr(rt, s, from, to - from);
        if (rt->failed) return item;
        item = wick_jv_item(rt, item, key);
        if (item.t == JV_UNDEF && jv_given(def) && def.t != JV_NONE) item = def;
        from = to + 1;
    }
    return item;
}

static jv folded(jrt *rt, jv v, bool case_sensitive)
{
    if (v.t != JV_STR || case_sensitive || rt->failed) return v;
    return wick_text_case(rt, v.u.s, CASE_LOWER);
}

/* --- sorting ------------------------------------------------------------------------------------------------------ */
typedef struct keyed {
    jv key, value;
} keyed;

/* Stable merge sort; equal keys keep their order when reversed, too. */
static void sort_range(jrt *rt, keyed *v, keyed *tmp, size_t n, bool reverse)
{
    if (n < 2 || rt->failed) return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    sort_range(rt, v, tmp, half, reverse);
    sort_range(rt, v + half, tmp, n - half, reverse);
    while (i < half && j < n && wick_jv_step(rt, 1)) {
        int c = reverse ? wick_jv_compare(rt, v[i].key, v[j].key, "<") : wick_jv_compare(rt, v[j].key, v[i].key, "<");
        tmp[k++] = c == -1 ? v[j++] : v[i++];
    }
    while (i < half) tmp[k++] = v[i++];
    while (j < n && k < n) tmp[k++] = v[j++];
    memcpy(v, tmp, k * sizeof(*v));
}

static jv sort_keyed(jrt *rt, keyed *k, size_t n, bool reverse)
{
    keyed *tmp = wick_jv_array(rt, n, sizeof(*tmp));
    jv r = wick_jv_list(rt, JV_LIST, n);
    if (rt->failed) return r;
    sort_range(rt, k, tmp, n, reverse);
    for (size_t i = 0; i < n; i++) r.u.l->v[i] = k[i].value;
    return r;
}

/* A comma-separated list of paths gives a tuple of keys. */
static jv sort_key(jrt *rt, jv item, jv attr, bool case_sensitive)
{
    if (attr.t != JV_STR || !memchr(attr.u.s->p, ',', attr.u.s->n))
        return folded(rt, follow(rt, item, attr, jv_none()), case_sensitive);
    jv_growing g = {0};
    const jv_str *s = attr.u.s;
    for (size_t from = 0; from <= s->n && !rt->failed;) {
        const char *c = from < s->n ? memchr(s->p + from, ',', s->n - from) : NULL;
        size_t to = c ? (size_t)(c - s->p) : s->n;
        jv path = wick_jv_substr(rt, s, from, to - from);
        if (!wick_jv_push(rt, &g, folded(rt, follow(rt, item, path, jv_none()), case_sensitive))) break;
        from = to + 1;
    }
    return rt->failed ? item : wick_jv_list_from(rt, JV_TUPLE, g.v, g.n);
}

static keyed *make_keys(jrt *rt, jv l, jv attr, bool case_sensitive)
{
    keyed *k = wick_jv_array(rt, l.u.l->n, sizeof(*k));
    for (size_t i = 0; k && i < l.u.l->n && !rt->failed; i++)
        k[i] = (keyed){sort_key(rt, l.u.l->v[i], attr, case_sensitive), l.u.l->v[i]};
    return rt->failed ? NULL : k;
}

static bool flag(jv v)
{
    return jv_given(v) && wick_jv_truth(v);
}

FILTER(f_sort)
{
    jv l = wick_jv_to_list(rt, v), attr = jv_given(a[2]) ? a[2] : jv_none();
    keyed *k = rt->failed ? NULL : make_keys(rt, l, attr, flag(a[1]));
    return k ? sort_keyed(rt, k, l.u.l->n, flag(a[0])) : jv_make(JV_UNDEF);
}

FILTER(f_dictsort)
{
    size_t pos = 0;
    if (v.t == JV_UNDEF) return wick_jv_undef_error(rt, v);
    if (v.t != JV_DICT) return wick_jv_raise(rt, "dictsort: needs a mapping, not %s", wick_jv_type_name(v));
    if (jv_given(a[1])) {
        const jv_str *s = wick_jv_tostr(rt, a[1]);
        if (s->n == 5 && memcmp(s->p, "value", 5) == 0)
            pos = 1;
        else if (s->n != 3 || memcmp(s->p, "key", 3) != 0)
            return wick_jv_raise(rt, "dictsort: by must be 'key' or 'value'");
    }
    keyed *k = wick_jv_array(rt, v.u.d->n, sizeof(*k));
    for (uint32_t i = 0; k && i < v.u.d->n && !rt->failed; i++) {
        const jv_entry *e = &v.u.d->e[i];
        k[i] = (keyed){folded(rt, pos ? e->v : e->k, flag(a[0])), wick_jv_pair(rt, e->k, e->v)};
    }
    return rt->failed ? jv_make(JV_UNDEF) : sort_keyed(rt, k, v.u.d->n, flag(a[2]));
}

static jv extreme(jrt *rt, jv v, const jv *a, int want, const char *op)
{
    jv_it it;
    jv x, best = jv_make(JV_UNDEF), best_key = best;
    bool any = false;
    if (!wick_jv_iter_start(rt, v, &it)) return best;
    while (wick_jv_iter_next(rt, &it, &x)) {
        jv key = folded(rt, follow(rt, x, a[1], jv_none()), flag(a[0]));
        if (rt->failed) break;
        if (!any || wick_jv_compare(rt, key, best_key, op) == want) {
            best = x;
            best_key = key;
        }
        any = true;
    }
    return any ? best : wick_jv_undef(rt, "", NULL, false);
}

FILTER(f_min)
{
    return extreme(rt, v, a, -1, "<");
}
FILTER(f_max)
{
    return extreme(rt, v, a, 1, ">");
}

FILTER(f_groupby)
{
    jv l = wick_jv_to_list(rt, v), def = jv_given(a[1]) ? a[1] : jv_none();
    bool sensitive = flag(a[2]);
    jv_growing out = {0};
    if (rt->failed) return l;
    size_t n = l.u.l->n;
    keyed *k = wick_jv_array(rt, n, sizeof(*k)), *tmp = wick_jv_array(rt, n, sizeof(*tmp));
    for (size_t i = 0; k && i < n && !rt->failed; i++)
        k[i] = (keyed){folded(rt, follow(rt, l.u.l->v[i], a[0], def), sensitive), l.u.l->v[i]};
    if (rt->failed) return l;
    sort_range(rt, k, tmp, n, false);
    for (size_t i = 0; i < n && !rt->failed;) {
        size_t j = i;
        while (j < n && wick_jv_equal(rt, k[i].key, k[j].key)) j++;
        if (j == i) j++;
        jv items = wick_jv_list(rt, JV_LIST, j - i);
        if (rt->failed) break;
        for (size_t m = i; m < j; m++) items.u.l->v[m - i] = k[m].value;
        jv pair = wick_jv_pair(rt, follow(rt, k[i].value, a[0], def), items);
        if (rt->failed) break;
        pair.u.l->is_group = true;
        (void)wick_jv_push(rt, &out, pair);
        i = j;
    }
    return rt->failed ? l : wick_jv_list_from(rt, JV_LIST, out.v, out.n);
}

FILTER(f_sum)
{
    jv_it it;
    jv x, r = jv_given(a[1]) ? a[1] : jv_int(0);
    if (r.t == JV_STR) return wick_jv_raise(rt, "sum: cannot sum strings");
    if (!wick_jv_iter_start(rt, v, &it)) return r;
    while (wick_jv_iter_next(rt, &it, &x)) r = wick_jv_binary(rt, OP_ADD, r, follow(rt, x, a[0], jv_none()));
    return r;
}

FILTER(f_list)
{
    (void)a;
    return wick_jv_to_list(rt, v);
}

FILTER(f_join)
{
    jv sep = jv_given(a[0]) ? a[0] : wick_jv_cstr(rt, ""), x;
    jv_it it;
    bool first = true;
    const jv_str *s = wick_jv_tostr(rt, sep);
    if (!wick_jv_iter_start(rt, v, &it)) return v;
    size_t mark = rt->w.n;
    while (wick_jv_iter_next(rt, &it, &x)) {
        if (jv_given(a[1])) x = follow(rt, x, a[1], jv_none());
        if (!first) wick_buf_add(&rt->w, s->p, s->n);
        wick_jv_write(rt, x);
        first = false;
    }
    return wick_jv_take(rt, mark);
}

FILTER(f_first)
{
    jv_it it;
    jv x;
    (void)a;
    if (!wick_jv_iter_start(rt, v, &it)) return v;
    return wick_jv_iter_next(rt, &it, &x) ? x : wick_jv_undef(rt, "", NULL, false);
}

static bool reversible(jv v)
{
    return wick_jv_len(v) >= 0;
}

FILTER(f_last)
{
    (void)a;
    if (!reversible(v)) return wick_jv_raise(rt, "'%s' object is not reversible", wick_jv_type_name(v));
    if (wick_jv_len(v) == 0) return wick_jv_undef(rt, "", NULL, false);
    if (v.t != JV_DICT && v.t != JV_VIEW) return wick_jv_item(rt, v, jv_int(-1));
    jv l = wick_jv_to_list(rt, v);
    return rt->failed ? l : l.u.l->v[l.u.l->n - 1];
}

static bool force_reverse(jrt *rt, jv_iter *it)
{
    jv l = wick_jv_to_list(rt, it->src);
    if (rt->failed) return false;
    jv r = wick_jv_slice(rt, l, jv_none(), jv_none(), jv_int(-1));
    jv_growing g = {rt->failed ? NULL : r.u.l->v, rt->failed ? 0 : r.u.l->n, 0};
    return yield_all(rt, it, &g);
}

FILTER(f_reverse)
{
    (void)a;
    if (v.t == JV_STR) return wick_jv_slice(rt, v, jv_none(), jv_none(), jv_int(-1));
    if (reversible(v)) return generator(rt, "reversed", force_reverse, v, NULL);
    jv l = wick_jv_to_list(rt, v);
    return rt->failed ? l : wick_jv_slice(rt, l, jv_none(), jv_none(), jv_int(-1));
}

/* --- generators --------------------------------------------------------------------------------------------------- */
static bool force_items(jrt *rt, jv_iter *it)
{
    jv_growing g = {0};
    if (it->src.t == JV_UNDEF) return yield_all(rt, it, &g);
    if (it->src.t != JV_DICT)
        return wick_jv_raise(rt, "items: needs a mapping, not %s", wick_jv_type_name(it->src)), false;
    for (uint32_t i = 0; i < it->src.u.d->n && wick_jv_step(rt, 1); i++)
        if (!wick_jv_push(rt, &g, wick_jv_pair(rt, it->src.u.d->e[i].k, it->src.u.d->e[i].v))) break;
    return yield_all(rt, it, &g);
}
FILTER(f_items)
{
    (void)a;
    return generator(rt, "do_items", force_items, v, NULL);
}

static bool force_unique(jrt *rt, jv_iter *it)
{
    jv_growing g = {0};
    jv seen = wick_jv_dict(rt, 0), x;
    jv_it in;
    if (rt->failed || !wick_jv_iter_start(rt, it->src, &in)) return false;
    while (wick_jv_iter_next(rt, &in, &x)) {
        jv key = folded(rt, follow(rt, x, it->args.pos[1], jv_none()), flag(it->args.pos[0]));
        uint32_t before = seen.u.d->n;
        if (rt->failed || !wick_jv_dict_put(rt, seen.u.d, key, jv_none())) break;
        if (seen.u.d->n > before) (void)wick_jv_push(rt, &g, x);
    }
    return yield_all(rt, it, &g);
}
FILTER(f_unique)
{
    jargs args = {.pos = a, .n = 2};
    return generator(rt, "sync_do_unique", force_unique, v, &args);
}

static bool force_batch(jrt *rt, jv_iter *it)
{
    jv_growing g = {0}, row = {0};
    int64_t count;
    jv_it in;
    jv x, fill = it->args.pos[1];
    if (!wick_jv_as_int(it->args.pos[0], &count)) return wick_jv_raise(rt, "batch: needs an integer"), false;
    if (!wick_jv_iter_start(rt, it->src, &in)) return false;
    while (wick_jv_iter_next(rt, &in, &x)) {
        if ((int64_t)row.n == count) {
            if (!wick_jv_push(rt, &g, wick_jv_list_from(rt, JV_LIST, row.v, row.n))) return false;
            row = (jv_growing){0};
        }
        if (!wick_jv_push(rt, &row, x)) return false;
    }
    if (row.n) {
        while (jv_given(fill) && fill.t != JV_NONE && (int64_t)row.n < count && wick_jv_step(rt, 1))
            (void)wick_jv_push(rt, &row, fill);
        if (!rt->failed) (void)wick_jv_push(rt, &g, wick_jv_list_from(rt, JV_LIST, row.v, row.n));
    }
    return yield_all(rt, it, &g);
}
FILTER(f_batch)
{
    jargs args = {.pos = a, .n = 2};
    return generator(rt, "sync_do_batch", force_batch, v, &args);
}

static bool force_slice(jrt *rt, jv_iter *it)
{
    jv_growing g = {0};
    int64_t slices;
    jv l = wick_jv_to_list(rt, it->src), fill = it->args.pos[1];
    if (rt->failed) return false;
    if (!wick_jv_as_int(it->args.pos[0], &slices) || slices == 0)
        return wick_jv_raise(rt, "slice: needs an integer that is not zero"), false;
    if (slices < 0) return yield_all(rt, it, &g);
    size_t n = l.u.l->n, per = n / (size_t)slices, extra = n % (size_t)slices, at = 0;
    for (int64_t i = 0; i < slices && wick_jv_step(rt, 1); i++) {
        size_t k = per + ((size_t)i < extra);
        bool add = jv_given(fill) && fill.t != JV_NONE && (size_t)i >= extra;
        jv row = wick_jv_list(rt, JV_LIST, k + add);
        if (rt->failed) return false;
        if (k) memcpy(row.u.l->v, l.u.l->v + at, k * sizeof(jv));
        if (add) row.u.l->v[k] = fill;
        at += k;
        if (!wick_jv_push(rt, &g, row)) return false;
    }
    return yield_all(rt, it, &g);
}
FILTER(f_slice)
{
    jargs args = {.pos = a, .n = 2};
    return generator(rt, "sync_do_slice", force_slice, v, &args);
}

static bool kw_is(const jargs *a, uint32_t i, const char *name)
{
    return a->kw_name[i]->n == strlen(name) && memcmp(a->kw_name[i]->p, name, a->kw_name[i]->n) == 0;
}

static bool force_map(jrt *rt, jv_iter *it)
{
    jv_growing g = {0};
    const jargs *a = &it->args;
    jv attr = jv_make(JV_MISSING), def = jv_make(JV_MISSING), x;
    const jv_def *d = NULL;
    jargs rest = {0};
    jv_it in;
    if (!wick_jv_truth(it->src)) return yield_all(rt, it, &g);
    for (uint32_t i = 0; i < a->n_kw && !a->n; i++) {
        if (kw_is(a, i, "attribute"))
            attr = a->kw[i];
        else if (kw_is(a, i, "default"))
            def = a->kw[i];
        else
            return wick_jv_raise(rt, "map: unexpected keyword argument"), false;
    }
    if (!jv_given(attr)) {
        if (!a->n) return wick_jv_raise(rt, "map: needs the name of a filter or attribute="), false;
        const jv_str *name = wick_jv_tostr(rt, a->pos[0]);
        d = wick_jinja_find_filter(name->p, name->n);
        if (!d) return wick_jv_raise(rt, "map: there is no such filter"), false;
        rest = (jargs){a->pos + 1, a->n - 1, a->kw_name, a->kw, a->n_kw};
    }
    if (!wick_jv_iter_start(rt, it->src, &in)) return false;
    while (wick_jv_iter_next(rt, &in, &x))
        if (!wick_jv_push(rt, &g, d ? wick_jv_call_def(rt, d, x, &rest, "filter") : follow(rt, x, attr, def))) break;
    return yield_all(rt, it, &g);
}
static jv f_map(jrt *rt, jv v, const jargs *a)
{
    return generator(rt, "sync_do_map", force_map, v, a);
}

static bool pick(jrt *rt, jv_iter *it, bool keep, bool by_attr)
{
    jv_growing g = {0};
    const jargs *a = &it->args;
    const jv_def *d = NULL;
    uint32_t off = by_attr;
    jargs rest = {0};
    jv_it in;
    jv x;
    if (!wick_jv_truth(it->src)) return yield_all(rt, it, &g);
    if (a->n < off) return wick_jv_raise(rt, "the name of an attribute is missing"), false;
    if (a->n > off) {
        const jv_str *name = wick_jv_tostr(rt, a->pos[off]);
        d = wick_jinja_find_test(name->p, name->n);
        if (!d)
            return wick_jv_raise(rt, "there is no test named '%.*s'", (int)(name->n < 60 ? name->n : 60), name->p),
                   false;
        rest = (jargs){a->pos + off + 1, a->n - off - 1, a->kw_name, a->kw, a->n_kw};
    }
    if (!wick_jv_iter_start(rt, it->src, &in)) return false;
    while (wick_jv_iter_next(rt, &in, &x)) {
        jv item = by_attr ? follow(rt, x, a->pos[0], jv_none()) : x;
        bool yes = wick_jv_truth(d ? wick_jv_call_def(rt, d, item, &rest, "test") : item);
        if (yes == keep && !wick_jv_push(rt, &g, x)) break;
    }
    return yield_all(rt, it, &g);
}
static bool force_select(jrt *rt, jv_iter *it)
{
    return pick(rt, it, true, false);
}
static bool force_reject(jrt *rt, jv_iter *it)
{
    return pick(rt, it, false, false);
}
static bool force_selectattr(jrt *rt, jv_iter *it)
{
    return pick(rt, it, true, true);
}
static bool force_rejectattr(jrt *rt, jv_iter *it)
{
    return pick(rt, it, false, true);
}
static jv f_select(jrt *rt, jv v, const jargs *a)
{
    return generator(rt, "select_or_reject", force_select, v, a);
}
static jv f_reject(jrt *rt, jv v, const jargs *a)
{
    return generator(rt, "select_or_reject", force_reject, v, a);
}
static jv f_selectattr(jrt *rt, jv v, const jargs *a)
{
    return generator(rt, "select_or_reject", force_selectattr, v, a);
}
static jv f_rejectattr(jrt *rt, jv v, const jargs *a)
{
    return generator(rt, "select_or_reject", force_rejectattr, v, a);
}

const jv_def wick_jinja_filters_seq[] = {
    {"batch", f_batch, 1, {"linecount", "fill_with"}, NULL},
    {"dictsort", f_dictsort, 0, {"case_sensitive", "by", "reverse"}, NULL},
    {"first", f_first, 0, {0}, NULL},
    {"groupby", f_groupby, 1, {"attribute", "default", "case_sensitive"}, NULL},
    {"items", f_items, 0, {0}, NULL},
    {"join", f_join, 0, {"d", "attribute"}, NULL},
    {"last", f_last, 0, {0}, NULL},
    {"list", f_list, 0, {0}, NULL},
    {"map", NULL, 0, {0}, f_map},
    {"max", f_max, 0, {"case_sensitive", "attribute"}, NULL},
    {"min", f_min, 0, {"case_sensitive", "attribute"}, NULL},
    {"reject", NULL, 0, {0}, f_reject},
    {"rejectattr", NULL, 0, {0}, f_rejectattr},
    {"reverse", f_reverse, 0, {0}, NULL},
    {"select", NULL, 0, {0}, f_select},
    {"selectattr", NULL, 0, {0}, f_selectattr},
    {"slice", f_slice, 1, {"slices", "fill_with"}, NULL},
    {"sort", f_sort, 0, {"reverse", "case_sensitive", "attribute"}, NULL},
    {"sum", f_sum, 0, {"attribute", "start"}, NULL},
    {"unique", f_unique, 0, {"case_sensitive", "attribute"}, NULL},
    {0},
};
