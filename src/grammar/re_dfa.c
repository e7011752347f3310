/* grammar/re_dfa.c - the automaton: states are tuples of expressions, rows are made when a state is first left. */
#include "grammar/re.h"

static uint64_t tuple_hash(const uint32_t *v, uint32_t n)
{
    uint64_t h = n;
    for (uint32_t i = 0; i < n; i++) {
        h = (h ^ v[i]) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    return h;
}

static bool grow(wick_re_pool *p)
{
    wick_re_hash *h = &p->state_hash;
    uint32_t n = h->mask ? (h->mask + 1) * 2 : 256;
    uint32_t *slot = wick_alloc_zero(n, sizeof *slot);
    if (!slot) {
        wick_re_fail(p, "memory");
        return false;
    }
    p->bytes += (uint64_t)(n - (h->mask ? h->mask + 1 : 0)) * sizeof *slot;
    for (uint32_t i = 1; i < p->n_states; i++) {
        uint32_t at = (uint32_t)tuple_hash(p->dfa_parts + p->state[i].parts, p->state[i].n_parts) & (n - 1);
        while (slot[at]) at = (at + 1) & (n - 1);
        slot[at] = i;
    }
    wick_free(h->slot);
    h->slot = slot;
    h->mask = n - 1;
    return true;
}

uint32_t wick_dfa_start(wick_re_pool *p, const wick_re *parts, uint32_t n)
{
    if (p->why || wick_re_is_empty(p, parts[0]) || p->why) return WICK_DFA_DEAD;
    if (p->n_states * 4u >= p->state_hash.mask * 3u && !grow(p)) return WICK_DFA_DEAD;
    uint32_t at = (uint32_t)tuple_hash(parts, n) & p->state_hash.mask;
    for (; p->state_hash.slot[at]; at = (at + 1) & p->state_hash.mask) {
        const wick_dfa_state *q = &p->state[p->state_hash.slot[at]];
        if (q->n_parts == n && memcmp(p->dfa_parts + q->parts, parts, n * sizeof *parts) == 0)
            return p->state_hash.slot[at];
    }
    if (p->n_states >= p->limit.max_states) {
        wick_re_fail(p, "states");
        return WICK_DFA_DEAD;
    }
    if (!wick_re_room(p, (void **)&p->state, &p->cap_states, (uint64_t)p->n_states + 1, sizeof *p->state) ||
        !wick_re_room(p, (void **)&p->dfa_parts, &p->cap_dfa_parts, (uint64_t)p->n_dfa_parts + n, sizeof *p->dfa_parts))
        return WICK_DFA_DEAD;
    uint32_t id = p->n_states++;
    p->state[id] = (wick_dfa_state){
        .parts = p->n_dfa_parts, .n_parts = n, .classes = UINT32_MAX, .accept = p->node[parts[0]].nullable};
    memcpy(p->dfa_parts + p->n_dfa_parts, parts, n * sizeof *parts);
    p->n_dfa_parts += n;
    p->state_hash.slot[at] = id;
    return id;
}

/* The number of a table of classes, shared by all states that have the same one. */
static uint32_t intern_classes(wick_re_pool *p, const uint8_t cls[256])
{
    wick_re_hash *h = &p->class_hash;
    if (!h->mask) {
        h->slot = wick_alloc_zero(1024, sizeof *h->slot);
        if (!h->slot) {
            wick_re_fail(p, "memory");
            return 0;
        }
        h->mask = 1023;
    }
    uint64_t x = 5;
    for (int i = 0; i < 256; i += 8) {
        uint64_t w;
        memcpy(&w, cls + i, 8);
        x = (x ^ w) * 0x9E3779B97F4A7C15u;
        x ^= x >> 29;
    }
    uint32_t at = (uint32_t)x & h->mask, tries = 0;
    for (; h->slot[at] && tries < 64; at = (at + 1) & h->mask, tries++)
        if (memcmp(p->classes + (size_t)(h->slot[at] - 1) * 256, cls, 256) == 0) return h->slot[at] - 1;
    uint32_t id = p->n_classes;
    if (!wick_re_room(p, (void **)&p->classes, &p->cap_classes, (uint64_t)id + 1, 256)) return 0;
    memcpy(p->classes + (size_t)id * 256, cls, 256);
    p->n_classes++;
    if (!h->slot[at]) h->slot[at] = id + 1; /* a full neighbourhood is not remembered */
    return id;
}

bool wick_dfa_fill(wick_re_pool *p, uint32_t s)
{
    uint8_t cls[256];
    uint32_t row[256], n_parts = p->state[s].n_parts;
    wick_re small[16], *v = small;
    if (p->why) return false;
    if (n_parts > 16 && !(v = wick_alloc(n_parts * sizeof *v))) {
        wick_re_fail(p, "memory");
        return false;
    }
    uint32_t n = wick_re_classes(p, p->dfa_parts + p->state[s].parts, n_parts, cls), made = 0;
    for (unsigned b = 0; b < 256 && !p->why; b++) {
        if (cls[b] != made) continue; /* classes are numbered in the order of their first byte */
        for (uint32_t i = 0; i < n_parts; i++)
            v[i] = wick_re_derive(p, p->dfa_parts[p->state[s].parts + i], (uint8_t)b);
        row[made++] = p->why ? WICK_DFA_DEAD : wick_dfa_start(p, v, n_parts);
    }
    if (v != small) wick_free(v);
    uint32_t id = p->why ? 0 : intern_classes(p, cls);
    if (p->why || !wick_re_room(p, (void **)&p->dfa_rows, &p->cap_dfa_rows, (uint64_t)p->n_dfa_rows + n, sizeof *row))
        return false;
    memcpy(p->dfa_rows + p->n_dfa_rows, row, n * sizeof *row);
    p->state[s].row = p->n_dfa_rows;
    p->state[s].classes = id;
    p->n_dfa_rows += n;
    return true;
}

/* ---- free runs ---- */
enum { MAX_NEXT = 48 };

typedef struct nexts {
    uint32_t v[MAX_NEXT];
    uint32_t n;
    bool dead, many;
} nexts;

static void add_next(nexts *x, uint32_t s)
{
    if (s == WICK_DFA_DEAD) x->dead = true;
    for (uint32_t i = 0; i < x->n; i++)
        if (x->v[i] == s) return;
    if (x->n == MAX_NEXT)
        x->many = true;
    else
        x->v[x->n++] = s;
}

static void add_range(wick_re_pool *p, nexts *x, uint32_t s, uint8_t lo, uint8_t hi)
{
    for (unsigned b = lo; b <= hi; b++) add_next(x, wick_dfa_step(p, s, (uint8_t)b));
}

/* The states after one more character, from states in the middle of one. */
static void add_tails(wick_re_pool *p, nexts *x, const nexts *from, uint8_t lo, uint8_t hi, int more)
{
    for (uint32_t i = 0; i < from->n && !x->dead && !x->many; i++) {
        if (!more) {
            add_range(p, x, from->v[i], lo, hi);
            continue;
        }
        nexts mid = {.n = 0};
        add_range(p, &mid, from->v[i], lo, hi);
        x->dead |= mid.dead;
        x->many |= mid.many;
        if (!x->dead && !x->many) add_tails(p, x, &mid, 0x80, 0xBF, more - 1);
    }
}

static void after_char(wick_re_pool *p, uint32_t s, nexts *x)
{
    static const struct {
        uint8_t lo, hi, lo2, hi2, more;
    } lead[] = {{0xC2, 0xDF, 0x80, 0xBF, 0}, {0xE0, 0xE0, 0xA0, 0xBF, 1}, {0xE1, 0xEC, 0x80, 0xBF, 1},
                {0xED, 0xED, 0x80, 0x9F, 1}, {0xEE, 0xEF, 0x80, 0xBF, 1}, {0xF0, 0xF0, 0x90, 0xBF, 2},
                {0xF1, 0xF3, 0x80, 0xBF, 2}, {0xF4, 0xF4, 0x80, 0x8F, 2}};
    x->n = 0;
    x->dead = x->many = false;
    add_range(p, x, s, 0x20, 0x21);
    add_range(p, x, s, 0x23, 0x5B);
    add_range(p, x, s, 0x5D, 0x7E); /* DEL is left out, because grammars of others leave it out */
    for (size_t i = 0; i < sizeof lead / sizeof *lead && !x->dead && !x->many; i++) {
        nexts first = {.n = 0};
        add_range(p, &first, s, lead[i].lo, lead[i].hi);
        x->dead |= first.dead;
        x->many |= first.many;
        if (!x->dead && !x->many) add_tails(p, x, &first, lead[i].lo2, lead[i].hi2, lead[i].more);
    }
}

static uint32_t free_run(wick_re_pool *p, uint32_t s, uint32_t most)
{
    enum { MAX_LEVEL = 64 };
    uint32_t seen[MAX_LEVEL], n = 1, from = 0;
    seen[0] = s;
    for (uint32_t level = 0; level < most && !p->why; level++) {
        uint32_t end = n;
        for (; from < end; from++) {
            nexts x;
            if (p->state[seen[from]].n_free == most + 1) continue; /* known to be free */
            if (p->state[seen[from]].next_char && p->state[seen[from]].next_char < WICK_DFA_NOWHERE) {
                x.n = 1;
                x.v[0] = p->state[seen[from]].next_char;
                x.dead = x.many = false;
            } else {
                after_char(p, seen[from], &x);
                if (!x.dead && !x.many && x.n == 1) p->state[seen[from]].next_char = x.v[0];
            }
            if (x.dead || x.many || p->why) return level;
            for (uint32_t i = 0; i < x.n; i++) {
                bool old = false;
                for (uint32_t k = 0; k < n && !old; k++) old = seen[k] == x.v[i];
                if (old) continue;
                if (n == MAX_LEVEL) return level;
                seen[n++] = x.v[i];
            }
        }
        if (from == n) return most;
    }
    return p->why ? 0 : most;
}

uint32_t wick_dfa_free_run(wick_re_pool *p, uint32_t s, uint32_t most)
{
    if (s == WICK_DFA_DEAD || p->why) return 0;
    if (!p->state[s].n_free) {
        uint32_t run = free_run(p, s, most);
        p->state[s].n_free = run + 1;
    }
    return p->state[s].n_free - 1;
}

uint32_t wick_dfa_next_char(wick_re_pool *p, uint32_t s)
{
    if (!p->state[s].next_char) {
        nexts x;
        after_char(p, s, &x);
        uint32_t next = x.dead || x.many || x.n != 1 ? WICK_DFA_SEVERAL : x.v[0];
        if (x.n == 1 && x.v[0] == WICK_DFA_DEAD) { /* of ASCII: no character of more bytes begins either */
            next = WICK_DFA_NOWHERE;
            for (unsigned b = 0x80; b < 0x100; b++)
                if (wick_dfa_step(p, s, (uint8_t)b) != WICK_DFA_DEAD) next = WICK_DFA_SEVERAL;
        }
        if (p->why) return WICK_DFA_SEVERAL;
        p->state[s].next_char = next;
    }
    return p->state[s].next_char == WICK_DFA_NOWHERE ? WICK_DFA_DEAD : p->state[s].next_char;
}

bool wick_dfa_loops(wick_re_pool *p, uint32_t s)
{
    enum { MOST = 32 };
    return wick_dfa_free_run(p, s, MOST) == MOST && p->state[s].next_char == s;
}
