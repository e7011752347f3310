/* engine/prefix.c - see prefix.h. Recursion-free: depth is bounded by tokens, not by a constant. */
#include "engine/prefix.h"
#include <string.h>
#include "base/alloc.h"

#define MAX_ENTRIES 1024

typedef struct node node;
typedef struct entry entry;

struct node {
    node *parent, *child, *sibling;
    int32_t *edge; /* tokens from the parent to here */
    uint32_t n_edge;
    entry *entry;       /* the sequence that ends here, or NULL */
    wick_domain domain; /* of a root: whose tree it is; roots are linked by sibling */
};

struct entry {
    node *at;
    wick_seq *kv;
    uint32_t n_tokens, n_own; /* n_own: those that `bytes` counts */
    double worth;
    entry *newer, *older;
};

struct wick_prefix {
    const wick_backend *backend;
    wick_backend_model *model;
    uint64_t limit_bytes, bytes_per_token, fixed_bytes, bytes;
    bool checkpoints, forks_share;
    double level; /* the worth of what left last */
    node *roots;
    entry *newest, *oldest;
    uint32_t n;
};

wick_status wick_prefix_new(wick_prefix **out, const wick_backend *backend, wick_backend_model *model,
                            uint64_t limit_bytes, const wick_kv_usage *usage, wick_err *err)
{
    wick_prefix *p = wick_alloc_zero(1, sizeof *p);
    if (!p) return wick_err_oom(err, "the prefix cache", sizeof *p, 0);
    p->backend = backend;
    p->model = model;
    p->limit_bytes = limit_bytes;
    p->bytes_per_token = usage->bytes_per_token ? usage->bytes_per_token : 1;
    p->fixed_bytes = usage->checkpoint_bytes;
    p->checkpoints = usage->checkpoint_tokens > 0;
    p->forks_share = usage->forks_share;
    *out = p;
    return WICK_OK;
}

void wick_prefix_free(wick_prefix *p)
{
    if (!p) return;
    wick_prefix_clear(p, NULL);
    wick_free(p);
}

uint32_t wick_prefix_count(const wick_prefix *p)
{
    return p->n;
}

uint64_t wick_prefix_bytes(const wick_prefix *p)
{
    return p->bytes;
}

static void list_remove(wick_prefix *p, entry *x)
{
    *(x->newer ? &x->newer->older : &p->newest) = x->older;
    *(x->older ? &x->older->newer : &p->oldest) = x->newer;
}

static void list_push(wick_prefix *p, entry *x)
{
    x->newer = NULL;
    x->older = p->newest;
    *(p->newest ? &p->newest->newer : &p->oldest) = x;
    p->newest = x;
}

static uint64_t bytes_of(const wick_prefix *p, uint32_t n_tokens)
{
    return n_tokens * p->bytes_per_token + p->fixed_bytes;
}

/* x was used: it is the most recent one, and worth what it saves. */
static void touch(wick_prefix *p, entry *x)
{
    list_remove(p, x);
    list_push(p, x);
    x->worth = p->level + (double)x->n_own / (double)bytes_of(p, x->n_own);
}

static node *find_child(const node *v, int32_t token)
{
    node *c = v->child;
    while (c && c->edge[0] != token) c = c->sibling;
    return c;
}

static node **link_to(wick_prefix *p, node *v)
{
    node **at = v->parent ? &v->parent->child : &p->roots;
    while (*at && *at != v) at = &(*at)->sibling;
    return at;
}

/* Takes nodes away that lead nowhere, and joins a node with its only child. Joining may fail for lack of memory: the
 * tree is right without it too. */
static void tidy(wick_prefix *p, node *v)
{
    while (v && !v->entry && !v->child) {
        node *up = v->parent;
        *link_to(p, v) = v->sibling;
        wick_free(v->edge);
        wick_free(v);
        v = up;
    }
    if (!v || v->entry || !v->parent || !v->child || v->child->sibling) return;
    node *c = v->child;
    int32_t *edge = wick_realloc_array(NULL, (size_t)v->n_edge + c->n_edge, sizeof *edge);
    if (!edge) return;
    memcpy(edge, v->edge, v->n_edge * sizeof *edge);
    memcpy(edge + v->n_edge, c->edge, c->n_edge * sizeof *edge);
    wick_free(c->edge);
    c->edge = edge;
    c->n_edge += v->n_edge;
    c->parent = v->parent;
    *link_to(p, v) = c;
    c->sibling = v->sibling;
    wick_free(v->edge);
    wick_free(v);
}

/* The nearest sequence below v, or at it; every leaf has one. */
static entry *below(node *v)
{
    while (!v->entry) v = v->child;
    return v->entry;
}

/* The nearest sequence above v; NULL: none. */
static entry *above(const node *v)
{
    do v = v->parent;
    while (v && !v->entry);
    return v ? v->entry : NULL;
}

static void drop(wick_prefix *p, entry *x)
{
    node *v = x->at;
    list_remove(p, x);
    p->bytes -= bytes_of(p, x->n_own);
    if (p->forks_share && v->child) { /* what goes on from x still holds x's tokens */
        below(v->child)->n_own += x->n_own;
        p->bytes += x->n_own * p->bytes_per_token;
    }
    p->n--;
    p->backend->kv_free(p->model, x->kv);
    wick_free(x);
    v->entry = NULL;
    tidy(p, v);
}

bool wick_prefix_evict(wick_prefix *p)
{
    entry *least = p->oldest;
    if (!least) return false;
    for (entry *x = least; x; x = x->newer) /* of equals the least recently used one */
        if (x->worth < least->worth) least = x;
    p->level = least->worth;
    drop(p, least);
    return true;
}

static const node *root_of(const node *v)
{
    while (v->parent) v = v->parent;
    return v;
}

void wick_prefix_clear(wick_prefix *p, const uint64_t *owner)
{
    for (entry *x = p->oldest, *next; x; x = next) {
        next = x->newer;
        if (!owner || root_of(x->at)->domain.owner == *owner) drop(p, x);
    }
}

/* Follows tokens down from v. Returns where it stops: *n_matched tokens in all, *n_in of them inside the edge of the
 * node returned (n_in == n_edge: at the node itself). */
static node *walk(node *v, const int32_t *tokens, uint32_t n, uint32_t *n_matched, uint32_t *n_in)
{
    uint32_t at = 0;
    *n_in = v->n_edge;
    while (at < n) {
        node *c = find_child(v, tokens[at]);
        if (!c) break;
        uint32_t k = 0, end = c->n_edge < n - at ? c->n_edge : n - at;
        while (k < end && c->edge[k] == tokens[at + k]) k++;
        at += k;
        v = c;
        *n_in = k;
        if (k < c->n_edge) break;
    }
    *n_matched = at;
    return v;
}

static node *find_root(wick_prefix *p, wick_domain domain)
{
    node *r = p->roots;
    while (r && !(r->domain.owner == domain.owner && r->domain.user == domain.user)) r = r->sibling;
    return r;
}

/* The longest sequence that tokens[0..) begin with; they lead to v or, n_in tokens deep, into its edge. */
static entry *longest_end(node *v, uint32_t n_in)
{
    return v->entry && n_in == v->n_edge ? v->entry : above(v);
}

uint32_t wick_prefix_find(wick_prefix *p, wick_domain domain, const int32_t *tokens, uint32_t n)
{
    uint32_t matched = 0, n_in = 0;
    node *v = find_root(p, domain);
    if (!v) return 0;
    v = walk(v, tokens, n, &matched, &n_in);
    if (!p->checkpoints || matched == 0) return matched;
    const entry *x = longest_end(v, n_in);
    return x ? x->n_tokens : 0;
}

uint32_t wick_prefix_fork(wick_prefix *p, wick_domain domain, const int32_t *tokens, uint32_t n, wick_seq **out)
{
    uint32_t matched = 0, n_in = 0;
    node *v = find_root(p, domain);
    if (!v) return 0;
    v = walk(v, tokens, n, &matched, &n_in);
    if (matched == 0) return 0;
    entry *x = below(v);
    if (p->backend->kv_fork(p->model, x->kv, matched, out, NULL) != WICK_OK) {
        x = p->checkpoints ? longest_end(v, n_in) : NULL;
        if (!x || p->backend->kv_fork(p->model, x->kv, x->n_tokens, out, NULL) != WICK_OK) return 0;
        matched = x->n_tokens;
    }
    touch(p, x);
    return matched;
}

bool wick_prefix_has(wick_prefix *p, wick_domain domain, const int32_t *tokens, uint32_t n)
{
    uint32_t matched = 0, n_in = 0;
    node *v = find_root(p, domain);
    if (!v) return false;
    v = walk(v, tokens, n, &matched, &n_in);
    if (matched < n || n_in < v->n_edge || !v->entry) return false;
    touch(p, v->entry);
    return true;
}

/* Appends a node for tokens[0..n) below v. */
static node *add_child(node *v, const int32_t *tokens, uint32_t n)
{
    node *c = wick_alloc_zero(1, sizeof *c);
    if (c) c->edge = wick_realloc_array(NULL, n, sizeof *c->edge);
    if (!c || !c->edge) {
        wick_free(c);
        return NULL;
    }
    memcpy(c->edge, tokens, n * sizeof *tokens);
    c->n_edge = n;
    c->parent = v;
    c->sibling = v->child;
    v->child = c;
    return c;
}

/* Puts a node into the edge of v after its first k tokens, 0 < k < n_edge. */
static node *split(wick_prefix *p, node *v, uint32_t k)
{
    node *m = wick_alloc_zero(1, sizeof *m);
    if (m) m->edge = wick_realloc_array(NULL, k, sizeof *m->edge);
    if (!m || !m->edge) {
        wick_free(m);
        return NULL;
    }
    memcpy(m->edge, v->edge, k * sizeof *m->edge);
    m->n_edge = k;
    m->parent = v->parent;
    *link_to(p, v) = m;
    m->sibling = v->sibling;
    m->child = v;
    v->parent = m;
    v->sibling = NULL;
    v->n_edge -= k;
    memmove(v->edge, v->edge + k, v->n_edge * sizeof *v->edge);
    return m;
}

/* The node where tokens[0..n) ends, made if need be; NULL when out of memory or when a sequence that can be cut there
 * has them all already. */
static node *place_for(wick_prefix *p, wick_domain domain, const int32_t *tokens, uint32_t n)
{
    uint32_t matched, n_in;
    node *root = find_root(p, domain);
    if (!root) {
        root = wick_alloc_zero(1, sizeof *root);
        if (!root) return NULL;
        root->domain = domain;
        root->sibling = p->roots;
        p->roots = root;
    }
    node *v = walk(root, tokens, n, &matched, &n_in);
    bool is_node = n_in == v->n_edge;
    if (matched == n && (!p->checkpoints || (is_node && v->entry))) {
        touch(p, below(v));
        return NULL;
    }
    if (!is_node) v = split(p, v, n_in);
    if (!v || matched == n) return v;
    node *end = add_child(v, tokens + matched, n - matched);
    if (!end) tidy(p, v); /* a split that came to nothing, or an empty root */
    return end;
}

static void put(wick_prefix *p, node *v, entry *x, uint32_t n, wick_seq *kv)
{
    const entry *up = p->forks_share ? above(v) : NULL;
    *x = (entry){.at = v, .kv = kv, .n_tokens = n, .n_own = up ? n - up->n_tokens : n};
    v->entry = x;
    list_push(p, x);
    touch(p, x);
    p->bytes += bytes_of(p, x->n_own);
    p->n++;
    if (p->forks_share && v->child) { /* what goes on from here no longer counts these tokens */
        entry *next = below(v->child);
        uint32_t less = x->n_own < next->n_own ? x->n_own : next->n_own;
        next->n_own -= less;
        p->bytes -= less * p->bytes_per_token;
    }
    if (p->checkpoints) return;
    for (node *at = v->parent; at;) { /* what is a prefix of the new one is of no more use */
        node *next = at->parent;
        if (at->entry) drop(p, at->entry);
        at = next;
    }
}

void wick_prefix_insert(wick_prefix *p, wick_domain domain, const int32_t *tokens, uint32_t n, wick_seq *kv)
{
    uint64_t most = bytes_of(p, n);
    entry *x = n > 0 && most <= p->limit_bytes ? wick_alloc_zero(1, sizeof *x) : NULL;
    node *v = x ? place_for(p, domain, tokens, n) : NULL;
    if (!v) {
        wick_free(x);
        p->backend->kv_free(p->model, kv);
        return;
    }
    put(p, v, x, n, kv);
    while (p->n > 1 && (p->bytes > p->limit_bytes || p->n > MAX_ENTRIES)) wick_prefix_evict(p);
}
