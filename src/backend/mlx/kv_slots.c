/* backend/mlx/kv_slots.c - what a value in the KV arrays is, reading and writing positions, products with packed K and
 * V; see kv.h.
 *
 * Few queries multiply with the codes as they are; more of them, as a prompt has, expand K and V of the step once and
 * attend as if they had never been packed, by MLX's fused attention and without scores of the whole prompt in memory.
 */
#include "backend/mlx/kv.h"

enum { FEW_QUERIES = 8 };

uint32_t wick_mlx_kv_slots(const wick_backend_model *m)
{
    return WICK_KV_SLOTS * m->plan->n_caches;
}

static int part_dim(const wick_backend_model *m, uint32_t cache, uint32_t part)
{
    const wick_cache_spec *c = &m->plan->cache[cache];
    return (int)(part ? c->v_dim : c->k_dim);
}

static int group_of(int dim)
{
    return dim % 64 ? 32 : 64;
}

static int padded(int dim)
{
    return (dim + 31) / 32 * 32;
}

wick_kv_slot wick_mlx_kv_slot(const wick_backend_model *m, uint32_t i)
{
    uint32_t cache = i / WICK_KV_SLOTS, part = i % WICK_KV_SLOTS / WICK_KV_PIECES, piece = i % WICK_KV_PIECES;
    const wick_cache_spec *c = &m->plan->cache[cache];
    wick_kv_slot s = {.heads = (int)c->n_kv_head, .type = m->act};
    int dim = part_dim(m, cache, part);
    if (c->kind == WICK_CACHE_STATE) {
        s.state = i % WICK_KV_SLOTS ? 0 : (int)c->n_state;
        s.type = MLX_FLOAT32;
    } else if (!m->kv_bits) {
        s.width = piece ? 0 : dim;
    } else if (piece == 0) {
        s.type = MLX_UINT32;
        s.width = padded(dim) * m->kv_bits / 32;
    } else {
        s.width = padded(dim) / group_of(dim);
    }
    return s;
}

static uint64_t value_bytes(mlx_dtype t)
{
    return t == MLX_FLOAT32 || t == MLX_UINT32 ? 4 : 2;
}

void wick_mlx_kv_count(wick_backend_model *m)
{
    m->bytes_per_token = m->state_bytes = 0;
    for (uint32_t i = 0; i < wick_mlx_kv_slots(m); i++) {
        wick_kv_slot s = wick_mlx_kv_slot(m, i);
        m->bytes_per_token += (uint64_t)s.heads * (uint64_t)s.width * value_bytes(s.type);
        m->state_bytes += (uint64_t)s.state * sizeof(float);
    }
}

static mlx_optional_int some(int v)
{
    return (mlx_optional_int){v, true};
}

static mlx_array *slot_at(wick_bundle *b, uint32_t i)
{
    return b->next[i].ctx ? &b->next[i] : &b->kv[i];
}

uint32_t wick_mlx_kv_capacity(const wick_bundle *b)
{
    return b->next_capacity > b->capacity ? b->next_capacity : b->capacity;
}

/* The positions of a group's rows, one token each, as an index into K or V. */
static mlx_array spot_of(wick_backend_model *m, const wick_group *gr, int heads, int dim)
{
    wick_graph *g = &m->g;
    wick_spot *at = &m->step.spot;
    int rows = (int)gr->n_seqs;
    if (at->gr == gr && at->heads == heads && at->dim == dim) return at->at;
    mlx_array idx =
        wick_mx_cut(g, m->step.positions, MX_DIMS((int)m->step.n), 0, (int)gr->first, (int)gr->first + rows);
    idx = wick_mx_broadcast(g, wick_mx_reshape(g, idx, MX_DIMS(rows, 1, 1, 1)), MX_DIMS(rows, heads, 1, dim));
    *at = (wick_spot){gr, heads, dim, idx};
    return idx;
}

void wick_mlx_kv_put(wick_backend_model *m, const wick_group *gr, uint32_t i, mlx_array x)
{
    wick_graph *g = &m->g;
    wick_bundle *b = gr->bundle;
    wick_kv_slot s = wick_mlx_kv_slot(m, i);
    int rows = (int)gr->n_seqs, n = rows > 1 ? 1 : (int)gr->n_tokens, at = (int)gr->len;
    mlx_array old = *slot_at(b, i), now;
    if (gr->even) {
        int start[4] = {0, 0, at, 0}, stop[4] = {rows, s.heads, at + n, s.width};
        now = wick_mx_slice_update(g, old, x, start, stop, 4);
    } else {
        now = wick_mx_put_along(g, old, spot_of(m, gr, s.heads, s.width), x, 2);
    }
    now = wick_array_hold(now);
    wick_array_drop(&b->next[i]);
    b->next[i] = now;
}

/* x [rows][head][n][dim] with zeros behind, up to what can be packed */
static mlx_array fill_up(wick_backend_model *m, mlx_array x, int rows, int heads, int n, int dim)
{
    int more = padded(dim) - dim;
    mlx_array both[2] = {x, {0}};
    if (more == 0) return x;
    both[1] = wick_mx_zeros(&m->g, MX_DIMS(rows, heads, n, more), m->act);
    return wick_mx_concat(&m->g, both, 2, 3);
}

static void write_part(wick_backend_model *m, const wick_group *gr, uint32_t cache, uint32_t part, mlx_array x)
{
    int rows = (int)gr->n_seqs, n = rows > 1 ? 1 : (int)gr->n_tokens, dim = part_dim(m, cache, part);
    uint32_t first = cache * WICK_KV_SLOTS + part * WICK_KV_PIECES;
    mlx_array piece[WICK_KV_PIECES] = {{0}};
    if (!m->kv_bits) {
        wick_mlx_kv_put(m, gr, first, x);
        return;
    }
    x = fill_up(m, x, rows, (int)m->plan->cache[cache].n_kv_head, n, dim);
    wick_mx_quantize(&m->g, x, group_of(dim), m->kv_bits, piece);
    for (uint32_t i = 0; i < WICK_KV_PIECES; i++) wick_mlx_kv_put(m, gr, first + i, piece[i]);
}

void wick_mlx_kv_write(wick_backend_model *m, const wick_group *gr, uint32_t cache, mlx_array k, mlx_array v)
{
    write_part(m, gr, cache, 0, k);
    if (m->plan->cache[cache].v_dim) write_part(m, gr, cache, 1, v);
}

/* Positions [from, to) of one array of the bundle. */
static mlx_array cut_slot(wick_backend_model *m, wick_bundle *b, uint32_t i, uint32_t from, uint32_t to)
{
    wick_kv_slot s = wick_mlx_kv_slot(m, i);
    int dims[4] = {(int)b->n_rows, s.heads, (int)wick_mlx_kv_capacity(b), s.width};
    return wick_mx_cut(&m->g, *slot_at(b, i), dims, 4, 2, (int)from, (int)to);
}

mlx_array wick_mlx_kv_read(wick_backend_model *m, const wick_group *gr, uint32_t cache, uint32_t part, uint32_t from,
                           uint32_t to)
{
    wick_graph *g = &m->g;
    uint32_t first = cache * WICK_KV_SLOTS + part * WICK_KV_PIECES;
    int dim = part_dim(m, cache, part);
    mlx_array w[WICK_KV_PIECES] = {{0}}, r = {0};
    w[0] = cut_slot(m, gr->bundle, first, from, to);
    if (!m->kv_bits) return w[0];
    for (uint32_t i = 1; i < WICK_KV_PIECES; i++) w[i] = cut_slot(m, gr->bundle, first + i, from, to);
    if (g->failed) return r;
    int rc = wick_mlx.dequantize(&r, w[0], w[1], w[2], some(group_of(dim)), some(m->kv_bits), "affine", (mlx_array){0},
                                 (mlx_optional_dtype){m->act, true}, g->stream);
    int dims[4] = {(int)gr->bundle->n_rows, (int)m->plan->cache[cache].n_kv_head, (int)(to - from), padded(dim)};
    return wick_mx_cut(g, wick_graph_keep(g, rc, r), dims, 4, 3, 0, dim);
}

/* Not every device has the products: MLX's CUDA knows few shapes of them, and its Metal kernel for p V leaves out
 * columns where the width is no multiple of 64 (MLX's issue 4250). */
static bool can_multiply(const wick_backend_model *m, uint32_t cache)
{
    if (!m->ctx->gpu) return true;
#ifdef __APPLE__
    return part_dim(m, cache, m->plan->cache[cache].v_dim != 0) % 64 == 0;
#else
    (void)cache;
    return false;
#endif
}

bool wick_mlx_kv_multiplies(const wick_backend_model *m, const wick_group *gr, uint32_t cache)
{
    return m->kv_bits && (gr->n_seqs > 1 || gr->n_tokens <= FEW_QUERIES) && can_multiply(m, cache);
}

mlx_array wick_mlx_kv_product(wick_backend_model *m, const wick_group *gr, uint32_t cache, uint32_t part, uint32_t from,
                              uint32_t to, mlx_array x, uint32_t n, bool transpose)
{
    wick_graph *g = &m->g;
    int dim = part_dim(m, cache, part), rows = (int)gr->n_seqs, heads = (int)m->plan->cache[cache].n_kv_head;
    uint32_t first = cache * WICK_KV_SLOTS + part * WICK_KV_PIECES;
    mlx_array r = {0}, w[WICK_KV_PIECES];
    for (uint32_t i = 0; i < WICK_KV_PIECES; i++) w[i] = cut_slot(m, gr->bundle, first + i, from, to);
    if (transpose) x = fill_up(m, x, rows, heads, (int)n, dim);
    if (g->failed) return r;
    int rc = wick_mlx.quantized_matmul(&r, x, w[0], w[1], w[2], transpose, some(group_of(dim)), some(m->kv_bits),
                                       "affine", g->stream);
    r = wick_graph_keep(g, rc, r);
    return transpose ? r : wick_mx_cut(g, r, MX_DIMS(rows, heads, (int)n, padded(dim)), 3, 0, dim);
}

mlx_array wick_mlx_state_read(wick_backend_model *m, const wick_group *gr, uint32_t cache, uint32_t from, uint32_t to)
{
    uint32_t i = cache * WICK_KV_SLOTS;
    int dims[2] = {(int)gr->n_seqs, wick_mlx_kv_slot(m, i).state};
    return wick_mx_cut(&m->g, *slot_at(gr->bundle, i), dims, 2, 1, (int)from, (int)to);
}

void wick_mlx_state_write(wick_backend_model *m, const wick_group *gr, uint32_t cache, mlx_array state)
{
    uint32_t i = cache * WICK_KV_SLOTS;
    mlx_array now = wick_array_hold(m->g.failed ? (mlx_array){0} : state);
    wick_array_drop(&gr->bundle->next[i]);
    gr->bundle->next[i] = now;
}
