/* grammar/formula.c - the pool of formulas: interning and the constructors that keep them simple. */
#include "grammar/formula.h"
#include <stdlib.h>
#include "grammar/num.h"

enum { MAX_FORMULAS = 2000000, MAX_STRINGS = 1000000 };

/* ---- tables ---- */
static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t key_hash(uint32_t k0, uint32_t k1, uint32_t k2, uint32_t k3)
{
    return mix(mix(3, (uint64_t)k0 << 32 | k1), (uint64_t)k2 << 32 | k3);
}

static wick_f_slot *find_slot(const wick_f_table *t, uint32_t k0, uint32_t k1, uint32_t k2, uint32_t k3)
{
    uint32_t at = (uint32_t)key_hash(k0, k1, k2, k3) & t->mask;
    for (;; at = (at + 1) & t->mask) {
        wick_f_slot *s = &t->slot[at];
        if (!s->used || (s->key[0] == k0 && s->key[1] == k1 && s->key[2] == k2 && s->key[3] == k3)) return s;
    }
}

const uint32_t *wick_f_table_get(const wick_f_table *t, uint32_t k0, uint32_t k1, uint32_t k2, uint32_t k3)
{
    if (!t->mask) return NULL;
    const wick_f_slot *s = find_slot(t, k0, k1, k2, k3);
    return s->used ? &s->value : NULL;
}

void wick_f_table_put(wick_re_pool *re, wick_f_table *t, uint32_t k0, uint32_t k1, uint32_t k2, uint32_t k3,
                      uint32_t value)
{
    if (re->why) return;
    if (t->n * 4u >= t->mask * 3u) {
        uint32_t n = t->mask ? (t->mask + 1) * 2 : 64;
        wick_f_table old = *t;
        uint64_t more = (uint64_t)(n - (old.mask ? old.mask + 1 : 0)) * sizeof *t->slot;
        if (re->bytes + more > re->limit.max_bytes) {
            wick_re_fail(re, "bytes");
            return;
        }
        t->slot = wick_alloc_zero(n, sizeof *t->slot);
        if (!t->slot) {
            *t = old;
            wick_re_fail(re, "memory");
            return;
        }
        re->bytes += more;
        t->mask = n - 1;
        for (uint32_t i = 0; old.mask && i <= old.mask; i++) {
            const wick_f_slot *s = &old.slot[i];
            if (s->used) *find_slot(t, s->key[0], s->key[1], s->key[2], s->key[3]) = *s;
        }
        wick_free(old.slot);
    }
    wick_f_slot *s = find_slot(t, k0, k1, k2, k3);
    if (!s->used) t->n++;
    *s = (wick_f_slot){{k0, k1, k2, k3}, value, true};
}

void wick_f_table_release(wick_f_table *t)
{
    wick_free(t->slot);
    *t = (wick_f_table){0};
}

/* ---- interning ---- */
static bool is_list(uint32_t kind)
{
    return kind == F_AND || kind == F_OR || kind == F_ONE;
}

static uint64_t node_hash(const wick_f_pool *p, const wick_f_node *n)
{
    uint64_t h = mix(n->kind, (uint64_t)n->lo << 32 | n->hi);
    if (!is_list(n->kind)) return mix(h, (uint64_t)n->a << 32 | n->b);
    for (uint32_t i = 0; i < n->b; i++) h = mix(h, p->lists[n->a + i]);
    return h;
}

static bool node_same(const wick_f_pool *p, const wick_f_node *x, const wick_f_node *y)
{
    if (x->kind != y->kind || x->b != y->b || x->lo != y->lo || x->hi != y->hi) return false;
    if (is_list(x->kind)) return memcmp(p->lists + x->a, p->lists + y->a, x->b * sizeof *p->lists) == 0;
    return x->a == y->a;
}

static bool grow_hash(wick_f_pool *p)
{
    uint32_t n = p->hash.mask ? (p->hash.mask + 1) * 2 : 256;
    uint32_t *slot = wick_alloc_zero(n, sizeof *slot);
    if (!slot) {
        wick_re_fail(p->re, "memory");
        return false;
    }
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        uint32_t at = (uint32_t)node_hash(p, &p->node[i]) & (n - 1);
        while (slot[at]) at = (at + 1) & (n - 1);
        slot[at] = i + 1;
    }
    p->re->bytes += (uint64_t)(n - (p->hash.mask ? p->hash.mask + 1 : 0)) * sizeof *slot;
    wick_free(p->hash.slot);
    p->hash.slot = slot;
    p->hash.mask = n - 1;
    return true;
}

static wick_f intern(wick_f_pool *p, wick_f_node n)
{
    if (wick_re_late(p->re)) return WICK_F_FALSE;
    if (p->n_nodes >= MAX_FORMULAS) {
        wick_re_fail(p->re, "formulas");
        return WICK_F_FALSE;
    }
    if (!wick_re_room(p->re, (void **)&p->node, &p->cap_nodes, (uint64_t)p->n_nodes + 1, sizeof *p->node)) return 0;
    if (p->n_nodes * 4u >= p->hash.mask * 3u && !grow_hash(p)) return WICK_F_FALSE;
    uint32_t at = (uint32_t)node_hash(p, &n) & p->hash.mask;
    for (; p->hash.slot[at]; at = (at + 1) & p->hash.mask) {
        uint32_t old = p->hash.slot[at] - 1;
        if (!node_same(p, &p->node[old], &n)) continue;
        if (is_list(n.kind)) p->n_lists = n.a;
        return old;
    }
    p->hash.slot[at] = p->n_nodes + 1;
    p->node[p->n_nodes] = n;
    return p->n_nodes++;
}

wick_f wick_f_make(wick_f_pool *p, wick_f_kind kind, uint32_t a, uint32_t b, uint32_t lo, uint32_t hi)
{
    return intern(p, (wick_f_node){.kind = (uint8_t)kind, .a = a, .b = b, .lo = lo, .hi = hi});
}

wick_status wick_f_pool_init(wick_f_pool *p, wick_re_pool *re, wick_err *err)
{
    memset(p, 0, sizeof *p);
    p->re = re;
    wick_arena_init(&p->arena, 0);
    wick_map_init(&p->str_map);
    wick_f_make(p, F_FALSE, 0, 0, 0, 0);
    wick_f_make(p, F_TRUE, 0, 0, 0, 0);
    p->any_text = wick_re_any_text(re);
    p->any_number = wick_num_any(re);
    return wick_f_ok(p) ? WICK_OK : wick_re_failed(re, err);
}

void wick_f_pool_release(wick_f_pool *p)
{
    wick_free(p->node);
    wick_free(p->lists);
    wick_free(p->keys);
    wick_free(p->str);
    wick_free(p->schema);
    wick_free(p->hash.slot);
    wick_map_release(&p->str_map);
    wick_f_table_release(&p->memo);
    wick_arena_release(&p->arena);
    memset(p, 0, sizeof *p);
}

/* ---- constructors ---- */
wick_f wick_f_type(wick_f_pool *p, uint32_t mask)
{
    if (mask == WICK_T_ALL) return WICK_F_TRUE;
    return mask ? wick_f_make(p, F_TYPE, mask, 0, 0, 0) : WICK_F_FALSE;
}

wick_f wick_f_not(wick_f_pool *p, wick_f a)
{
    if (a <= WICK_F_TRUE) return a == WICK_F_TRUE ? WICK_F_FALSE : WICK_F_TRUE;
    const wick_f_node *x = &p->node[a];
    if (x->kind == F_NOT) return x->a;
    if (x->kind == F_TYPE) return wick_f_type(p, WICK_T_ALL & ~x->a);
    return wick_f_make(p, F_NOT, a, 0, 0, 0);
}

wick_f wick_f_each(wick_f_pool *p, uint32_t keys, wick_f s)
{
    return s == WICK_F_TRUE ? s : wick_f_make(p, F_EACH, keys, s, 0, 0);
}

wick_f wick_f_items(wick_f_pool *p, uint32_t lo, uint32_t hi, wick_f s)
{
    return s == WICK_F_TRUE || lo >= hi ? WICK_F_TRUE : wick_f_make(p, F_ITEMS, 0, s, lo, hi);
}

wick_f wick_f_count(wick_f_pool *p, wick_f_kind kind, uint32_t n, wick_f s)
{
    if (kind == F_HAS && s == WICK_F_TRUE) return wick_f_count(p, F_MINI, n, 0);
    return n ? wick_f_make(p, kind, n, kind == F_HAS ? s : 0, 0, 0) : WICK_F_TRUE;
}

wick_f wick_f_at_most(wick_f_pool *p, wick_f_kind kind, uint32_t n, wick_f s)
{
    wick_f others = wick_f_type(p, WICK_T_ALL & ~(kind == F_MINP ? WICK_T_OBJECT : WICK_T_ARRAY));
    return wick_f_or2(p, others, wick_f_not(p, wick_f_count(p, kind, n + 1, s)));
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Assertions of one kind that meet in one: type masks, texts, numbers. Returns the new length. */
static uint32_t join(wick_f_pool *p, uint32_t base, wick_f_kind atom, bool or)
{
    uint32_t n = base, found = 0, value = 0;
    for (uint32_t i = base; i < p->n_lists; i++) {
        wick_f_node x = p->node[p->lists[i]];
        if (x.kind != atom) {
            p->lists[n++] = p->lists[i];
            continue;
        }
        if (!found++)
            value = x.a;
        else if (atom == F_TYPE)
            value = or ? value | x.a : value & x.a;
        else
            value = or ? wick_re_or2(p->re, value, x.a) : wick_re_and2(p->re, value, x.a);
    }
    p->n_lists = n;
    if (!found) return n;
    wick_f f = atom == F_TYPE ? wick_f_type(p, value) : wick_f_make(p, atom, value, 0, 0, 0);
    p->lists[p->n_lists++] = f;
    return p->n_lists;
}

static wick_f make_one(wick_f_pool *p, const wick_f *v, uint32_t n)
{
    uint32_t base = p->n_lists, sure = 0;
    wick_f r = WICK_F_TRUE;
    for (uint32_t i = 0; i < n; i++) sure += v[i] == WICK_F_TRUE;
    if (sure > 1) return WICK_F_FALSE;
    if (sure) { /* the others must fail */
        for (uint32_t i = 0; i < n; i++)
            if (v[i] != WICK_F_TRUE) r = wick_f_and2(p, r, wick_f_not(p, v[i]));
        return r;
    }
    if (!wick_re_room(p->re, (void **)&p->lists, &p->cap_lists, (uint64_t)base + n, sizeof *p->lists)) return 0;
    for (uint32_t i = 0; i < n; i++)
        if (v[i] != WICK_F_FALSE) p->lists[p->n_lists++] = v[i];
    uint32_t left = p->n_lists - base;
    if (left < 2) {
        r = left ? p->lists[base] : WICK_F_FALSE;
        p->n_lists = base;
        return r;
    }
    qsort(p->lists + base, left, sizeof *p->lists, by_id); /* doubles count */
    return wick_f_make(p, F_ONE, base, left, 0, 0);
}

wick_f wick_f_list(wick_f_pool *p, wick_f_kind kind, const wick_f *v, uint32_t n)
{
    if (!wick_f_ok(p)) return WICK_F_FALSE;
    if (kind == F_ONE) return make_one(p, v, n);
    uint32_t base = p->n_lists;
    bool or = kind == F_OR;
    wick_f neutral = or ? WICK_F_FALSE : WICK_F_TRUE, all = or ? WICK_F_TRUE : WICK_F_FALSE, r;
    for (uint32_t i = 0; i < n; i++) {
        wick_f_node x = p->node[v[i]];
        uint32_t more = x.kind == kind ? x.b : 1;
        if (!wick_re_room(p->re, (void **)&p->lists, &p->cap_lists, (uint64_t)p->n_lists + more, sizeof *p->lists))
            return WICK_F_FALSE;
        if (x.kind == kind)
            memcpy(p->lists + p->n_lists, p->lists + x.a, more * sizeof *p->lists);
        else
            p->lists[p->n_lists] = v[i];
        p->n_lists += more;
    }
    if (p->n_lists == base) return neutral;
    join(p, base, F_TYPE, or);
    join(p, base, F_STR, or);
    join(p, base, F_NUM, or);
    qsort(p->lists + base, p->n_lists - base, sizeof *p->lists, by_id);
    uint32_t w = base;
    for (uint32_t i = base; i < p->n_lists; i++) {
        wick_f x = p->lists[i];
        if (x == all) goto whole;
        if (x != neutral && (w == base || p->lists[w - 1] != x)) p->lists[w++] = x;
    }
    p->n_lists = w;
    for (uint32_t i = base; i < w; i++) {
        const wick_f_node *x = &p->node[p->lists[i]];
        if (x->kind == F_NOT && bsearch(&x->a, p->lists + base, w - base, sizeof *p->lists, by_id)) goto whole;
    }
    if (w - base > 1) return wick_f_make(p, kind, base, w - base, 0, 0);
    r = w > base ? p->lists[base] : neutral;
    p->n_lists = base;
    return r;
whole:
    p->n_lists = base;
    return all;
}

wick_f wick_f_and2(wick_f_pool *p, wick_f a, wick_f b)
{
    if (a == b || b == WICK_F_TRUE) return a;
    if (a == WICK_F_TRUE) return b;
    return wick_f_list(p, F_AND, (wick_f[]){a, b}, 2);
}

wick_f wick_f_or2(wick_f_pool *p, wick_f a, wick_f b)
{
    if (a == b || b == WICK_F_FALSE) return a;
    if (a == WICK_F_FALSE) return b;
    return wick_f_list(p, F_OR, (wick_f[]){a, b}, 2);
}

/* ---- strings and sets of keys ---- */
uint32_t wick_f_string(wick_f_pool *p, const char *s, size_t n)
{
    wick_str k = {s, n};
    uint32_t id = wick_map_get(&p->str_map, k);
    if (id != WICK_MAP_NONE) return id;
    k.p = wick_arena_strndup(&p->arena, s, n);
    if (k.p && memchr(s, 0, n)) { /* strndup may stop at a NUL */
        char *q = wick_arena_alloc(&p->arena, n + 1);
        if (q) memcpy(q, s, n);
        k.p = q;
    }
    p->re->bytes += n + 64;
    if (p->re->bytes > p->re->limit.max_bytes) wick_re_fail(p->re, "bytes");
    if (!k.p || !wick_re_room(p->re, (void **)&p->str, &p->cap_str, (uint64_t)p->n_str + 1, sizeof *p->str) ||
        wick_map_add(&p->str_map, k, p->n_str) == WICK_MAP_NONE) {
        wick_re_fail(p->re, "memory");
        return 0;
    }
    p->str[p->n_str] = k;
    return p->n_str++;
}

static uint32_t add_keys(wick_f_pool *p, wick_formula_keys k)
{
    if (!wick_re_room(p->re, (void **)&p->keys, &p->cap_keys, (uint64_t)p->n_keys + 1, sizeof *p->keys)) return 0;
    p->keys[p->n_keys] = k;
    return p->n_keys++;
}

enum { MEMO_RESTRICT = 1, MEMO_NNF, MEMO_KEY_ONE, MEMO_KEY_RE, MEMO_HAS, MEMO_LANGUAGE };

uint32_t wick_f_keys_one(wick_f_pool *p, uint32_t string)
{
    const uint32_t *old = wick_f_table_get(&p->memo, MEMO_KEY_ONE, string, 0, 0);
    if (old) return *old;
    uint32_t id = add_keys(p, (wick_formula_keys){.kind = KEYS_ONE, .a = string});
    wick_f_table_put(p->re, &p->memo, MEMO_KEY_ONE, string, 0, 0, id);
    return id;
}

uint32_t wick_f_keys_re(wick_f_pool *p, wick_re r)
{
    const uint32_t *old = wick_f_table_get(&p->memo, MEMO_KEY_RE, r, 0, 0);
    if (old) return *old;
    uint32_t id = add_keys(p, (wick_formula_keys){.kind = KEYS_RE, .a = r});
    wick_f_table_put(p->re, &p->memo, MEMO_KEY_RE, r, 0, 0, id);
    return id;
}

uint32_t wick_f_keys_others(wick_f_pool *p, uint32_t *strings, uint32_t n, const wick_re *re, uint32_t n_re)
{
    if (!wick_re_room(p->re, (void **)&p->lists, &p->cap_lists, (uint64_t)p->n_lists + n + n_re, sizeof *p->lists))
        return 0;
    if (n) qsort(strings, n, sizeof *strings, by_id);
    wick_formula_keys k = {.kind = KEYS_OTHERS, .a = p->n_lists, .n = n, .b = p->n_lists + n, .n_re = n_re};
    if (n) memcpy(p->lists + k.a, strings, n * sizeof *strings);
    if (n_re) memcpy(p->lists + k.b, re, n_re * sizeof *re);
    for (uint32_t i = 0; i < p->n_keys; i++) { /* a schema that is used twice has the same set */
        const wick_formula_keys *o = &p->keys[i];
        if (o->kind == KEYS_OTHERS && o->n == n && o->n_re == n_re &&
            (n + n_re == 0 || memcmp(p->lists + o->a, p->lists + k.a, (n + n_re) * sizeof *strings) == 0))
            return i;
    }
    p->n_lists += n + n_re;
    return add_keys(p, k);
}

static bool re_has(wick_f_pool *p, wick_re r, uint32_t string)
{
    const uint32_t *old = wick_f_table_get(&p->memo, MEMO_HAS, r, string, 0);
    if (old) return *old;
    bool yes = wick_re_match(p->re, r, p->str[string].p, p->str[string].n);
    wick_f_table_put(p->re, &p->memo, MEMO_HAS, r, string, 0, yes);
    return yes;
}

bool wick_f_keys_have(wick_f_pool *p, uint32_t keys, uint32_t string)
{
    wick_formula_keys k = p->keys[keys];
    if (k.kind == KEYS_ONE) return k.a == string;
    if (k.kind == KEYS_RE) return re_has(p, k.a, string);
    if (k.n && bsearch(&string, p->lists + k.a, k.n, sizeof *p->lists, by_id)) return false;
    for (uint32_t i = 0; i < k.n_re; i++)
        if (re_has(p, p->lists[k.b + i], string)) return false;
    return true;
}

/* ---- views ---- */
enum { MAX_NEST = 3000, MAX_ONE = 64 };

static bool deeper(wick_f_pool *p)
{
    if (++p->depth > MAX_NEST) wick_re_fail(p->re, "nesting");
    return wick_f_ok(p);
}

/* A list of the same kind with every part mapped. */
typedef wick_f (*mapper)(wick_f_pool *p, wick_f f, uint32_t arg);
static wick_f map_list(wick_f_pool *p, wick_f_node x, wick_f_kind kind, mapper fn, uint32_t arg)
{
    wick_f small[64], *v = small;
    uint32_t cap = 0;
    if (x.b > 64) {
        v = NULL;
        if (!wick_re_room(p->re, (void **)&v, &cap, x.b, sizeof *v)) return WICK_F_FALSE;
    }
    for (uint32_t i = 0; i < x.b; i++) v[i] = fn(p, p->lists[x.a + i], arg);
    wick_f r = wick_f_list(p, kind, v, x.b);
    if (v != small) {
        p->re->bytes -= (uint64_t)cap * sizeof *v;
        wick_free(v);
    }
    return r;
}

wick_f wick_f_restrict(wick_f_pool *p, wick_f f, uint32_t type)
{
    wick_f_node x = p->node[f];
    wick_f r = f;
    if (f <= WICK_F_TRUE || !wick_f_ok(p)) return f;
    switch ((wick_f_kind)x.kind) {
    case F_TYPE: return x.a & type ? WICK_F_TRUE : WICK_F_FALSE;
    case F_STR: return type == WICK_T_STRING ? f : WICK_F_TRUE;
    case F_NUM: return type == WICK_T_NUMBER ? f : WICK_F_TRUE;
    case F_EACH:
    case F_REQ:
    case F_MINP: return type == WICK_T_OBJECT ? f : WICK_F_TRUE;
    case F_ITEMS:
    case F_MINI:
    case F_HAS:
    case F_UNIQUE: return type == WICK_T_ARRAY ? f : WICK_F_TRUE;
    default: break;
    }
    const uint32_t *old = wick_f_table_get(&p->memo, MEMO_RESTRICT, f, type, 0);
    if (old) return *old;
    if (deeper(p)) {
        if (x.kind == F_REF)
            r = wick_f_restrict(p, p->schema[x.a], type);
        else if (x.kind == F_NOT)
            r = wick_f_not(p, wick_f_restrict(p, x.a, type));
        else
            r = map_list(p, x, (wick_f_kind)x.kind, wick_f_restrict, type);
    }
    p->depth--;
    wick_f_table_put(p->re, &p->memo, MEMO_RESTRICT, f, type, 0, r);
    return r;
}

static wick_f nnf(wick_f_pool *p, wick_f f, uint32_t negated)
{
    wick_f_node x = p->node[f];
    if (x.kind == F_NOT) return nnf(p, x.a, !negated);
    if (x.kind != F_AND && x.kind != F_OR) return negated ? wick_f_not(p, f) : f;
    const uint32_t *old = wick_f_table_get(&p->memo, MEMO_NNF, f, negated, 0);
    if (old) return *old;
    wick_f_kind kind = negated ? (x.kind == F_AND ? F_OR : F_AND) : (wick_f_kind)x.kind;
    wick_f r = deeper(p) ? map_list(p, x, kind, nnf, negated) : WICK_F_FALSE;
    p->depth--;
    wick_f_table_put(p->re, &p->memo, MEMO_NNF, f, negated, 0, r);
    return r;
}

wick_f wick_f_nnf(wick_f_pool *p, wick_f f)
{
    return nnf(p, f, 0);
}

static wick_re language(wick_f_pool *p, wick_f f, wick_re all);

/* Exactly one of the list: carried along as "none so far" and "one so far". */
static wick_re language_one(wick_f_pool *p, wick_f_node x, wick_re all)
{
    wick_re none = all, one = WICK_RE_NONE;
    for (uint32_t i = 0; i < x.b && wick_f_ok(p); i++) {
        wick_re r = language(p, p->lists[x.a + i], all), not = wick_re_and2(p->re, all, wick_re_not(p->re, r));
        one = wick_re_or2(p->re, wick_re_and2(p->re, one, not ), wick_re_and2(p->re, none, r));
        none = wick_re_and2(p->re, none, not );
    }
    return one;
}

static wick_re language(wick_f_pool *p, wick_f f, wick_re all)
{
    wick_f_node x = p->node[f];
    wick_re r = WICK_RE_NONE;
    if (f <= WICK_F_TRUE) return f == WICK_F_TRUE ? all : WICK_RE_NONE;
    if (!deeper(p)) return WICK_RE_NONE;
    switch ((wick_f_kind)x.kind) {
    case F_STR:
    case F_NUM: r = x.a; break;
    case F_NOT: r = wick_re_and2(p->re, all, wick_re_not(p->re, language(p, x.a, all))); break;
    case F_ONE: r = language_one(p, x, all); break;
    case F_AND:
    case F_OR:
        r = x.kind == F_AND ? WICK_RE_ALL : WICK_RE_NONE;
        for (uint32_t i = 0; i < x.b && wick_f_ok(p); i++) {
            wick_re y = language(p, p->lists[x.a + i], all);
            r = x.kind == F_AND ? wick_re_and2(p->re, r, y) : wick_re_or2(p->re, r, y);
        }
        break;
    default: break;
    }
    p->depth--;
    return r;
}

wick_re wick_f_language(wick_f_pool *p, wick_f f, uint32_t type)
{
    const uint32_t *old = wick_f_table_get(&p->memo, MEMO_LANGUAGE, f, type, 0);
    if (old) return *old;
    wick_re r = language(p, wick_f_restrict(p, f, type), type == WICK_T_STRING ? p->any_text : p->any_number);
    wick_f_table_put(p->re, &p->memo, MEMO_LANGUAGE, f, type, 0, r);
    return r;
}
