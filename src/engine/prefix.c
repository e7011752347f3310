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
    entry *entry; /* the sequence that ends here, or NULL */
    uint64_t key; /* of a root: whose tree it is; roots are linked by sibling */
};

struct entry {
    node *at;
    wick_seq *kv;
    uint32_t n_tokens;
    entry *newer, *older;
};

struct wick_prefix {
    const wick_backend *backend;
    wick_backend_model *model;
    uint64_t limit_bytes, bytes_per_token, bytes;
    node *roots;
    entry *newest, *oldest;
    uint32_t n;
};

wick_status wick_prefix_new(wick_prefix **out, const wick_backend *backend, wick_backend_model *model,
                            uint64_t limit_bytes, uint64_t bytes_per_token, wick_err *err)
{
    wick_prefix *p = wick_alloc_zero(1, sizeof *p);
    if (!p) return wick_err_oom(err, "the prefix cache", sizeof *p, 0);
    p->backend = backend;
    p->model = model;
    p->limit_bytes = limit_bytes;
    p->bytes_per_token = bytes_per_token ? bytes_per_token : 1;
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

static node *find_child(const node *v, int32_t token)
{
    node *c = v->child;
    while (c && c->edge[0] != token) c = c->sibling;
    return c;
}

static node **link_to(wick_prefix *p, node *v)
{
    node **at = v->parent ? &v->parent->child : &p->roots;
    while (*at != v) at = &(*at)->sibling;
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

static void drop(wick_prefix *p, entry *x)
{
    node *v = x->at;
    list_remove(p, x);
    p->bytes -= x->n_tokens * p->bytes_per_token;
    p->n--;
    p->backend->kv_free(p->model, x->kv);
    wick_free(x);
    v->entry = NULL;
    tidy(p, v);
}

bool wick_prefix_evict(wick_prefix *p)
{
    if (!p->oldest) return false;
    drop(p, p->oldest);
    return true;
}

static const node *root_of(const node *v)
{
    while (v->parent) v = v->parent;
    return v;
}

void wick_prefix_clear(wick_prefix *p, const uint64_t *user_key)
{
    for (entry *x = p->oldest, *next; x; x = next) {
        next = x->newer;
        if (!user_key || root_of(x->at)->key == *user_key) drop(p, x);
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

static node *find_root(wick_prefix *p, uint64_t key)
{
    node *r = p->roots;
    while (r && r->key != key) r = r->sibling;
    return r;
}

uint32_t wick_prefix_find(wick_prefix *p, uint64_t user_key, const int32_t *tokens, uint32_t n, wick_seq **seq)
{
    uint32_t matched = 0, n_in = 0;
    node *v = find_root(p, user_key);
    if (!v) return 0;
    v = walk(v, tokens, n, &matched, &n_in);
    if (matched == 0) return 0;
    while (!v->entry) v = v->child; /* invariant: every leaf has one */
    list_remove(p, v->entry);
    list_push(p, v->entry);
    *seq = v->entry->kv;
    return matched;
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

/* The node where tokens[0..n) ends, made if need be; NULL when out of memory or when a sequence has them all
 * already. */
static node *place_for(wick_prefix *p, uint64_t key, const int32_t *tokens, uint32_t n)
{
    uint32_t matched, n_in;
    node *root = find_root(p, key);
    if (!root) {
        root = wick_alloc_zero(1, sizeof *root);
        if (!root) return NULL;
        root->key = key;
        root->sibling = p->roots;
        p->roots = root;
    }
    node *v = walk(root, tokens, n, &matched, &n_in);
    if (matched == n && (n_in < v->n_edge || v->entry || v->child)) {
        while (!v->entry) v = v->child;
        list_remove(p, v->entry);
        list_push(p, v->entry);
        return NULL;
    }
    if (n_in < v->n_edge) {
        v = split(p, v, n_in);
        if (!v) return NULL;
    }
    node *end = add_child(v, tokens + matched, n - matched);
    if (!end) tidy(p, v); /* a split that came to nothing, or an empty root */
    return end;
}

void wick_prefix_insert(wick_prefix *p, uint64_t user_key, const int32_t *tokens, uint32_t n, wick_seq *kv)
{
    uint64_t need = n * p->bytes_per_token;
    node *v = NULL;
    entry *x = NULL;
    if (n > 0 && need <= p->limit_bytes) {
        while (p->n > 0 && (p->bytes + need > p->limit_bytes || p->n >= MAX_ENTRIES)) wick_prefix_evict(p);
        x = wick_alloc_zero(1, sizeof *x);
        if (x) v = place_for(p, user_key, tokens, n);
    }
    if (!v) {
        wick_free(x);
        p->backend->kv_free(p->model, kv);
        return;
    }
    *x = (entry){.at = v, .kv = kv, .n_tokens = n};
    v->entry = x;
    list_push(p, x);
    p->bytes += need;
    p->n++;
    for (node *up = v->parent; up;) { /* what is a prefix of the new one is of no more use */
        node *next = up->parent;
        if (up->entry) drop(p, up->entry);
        up = next;
    }
}
