/* backend/cpu/attn.c - attention over blocks: which thread does which tile, and the order of all sums.
 *
 * A tile is some tokens of one sequence times the query heads that share a KV head. The context is cut into chunks of
 * WICK_ATTN_SPLIT positions, at multiples of it. Within a chunk the softmax runs block by block; chunks are merged in
 * rising order. That order is a function of the query's position alone, so a query's result does not depend on the tile
 * that it is in, on how the prompt was cut, or on whether the chunks of a long context went to several threads
 * (`split`).
 */
#include "backend/cpu/attn.h"

#include <math.h>
#include <string.h>

typedef struct tile {
    wick_seq *seq;
    const wick_tok *tok;             /* [n_tok] */
    uint32_t row, n_tok;             /* first row of the step, tokens */
    uint32_t kv_head, head, n_heads; /* query heads [head, head + n_heads) */
    uint32_t first, last;            /* chunks that any of its queries reads */
} tile;

/* A lane's scratch, cut up. */
typedef struct bench {
    float *q, *acc, *m, *l, *acc2, *m2, *l2, *score, *slope, *at, *k, *v;
    uint8_t *lo, *hi;
} bench;

static bool unpacks(const wick_kv_cache *c)
{
    return c->layout.v_dim == 0 || !wick_dtype_is_float(c->layout.dtype);
}

static uint32_t pad16(uint32_t n)
{
    return (n + 15) / 16 * 16;
}

/* Floats of a bench; with `b`, sets its pointers. */
static uint64_t cut(bench *b, float *base, const wick_kv_cache *c, uint32_t k_dim, uint32_t v_dim)
{
    uint64_t at = 0, r = WICK_ATTN_ROWS, v_pad = pad16(v_dim), blk = WICK_KV_BLOCK;
    const struct {
        float **p;
        uint64_t n;
    } part[] = {
        {&b->q, r * pad16(k_dim)},
        {&b->acc, r * v_pad},
        {&b->acc2, r * v_pad},
        {&b->m, r},
        {&b->l, r},
        {&b->m2, r},
        {&b->l2, r},
        {&b->score, r * blk},
        {&b->slope, r},
        {&b->at, r},
        {&b->k, unpacks(c) ? blk * pad16(k_dim) : 0},
        {&b->v, unpacks(c) ? blk * v_pad : 0},
    };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        *part[i].p = base + at;
        at += part[i].n;
    }
    b->lo = (uint8_t *)(base + at);
    b->hi = b->lo + r;
    return at + r / 2;
}

static uint32_t heads_per_tile(uint32_t n_head, const wick_kv_cache *c)
{
    uint32_t g = n_head / c->n_head;
    return g < WICK_ATTN_ROWS ? g : WICK_ATTN_ROWS;
}

void wick_attn_need(wick_backend_model *m, const wick_kv_cache *c, uint32_t n_head, uint32_t k_dim, uint32_t v_dim)
{
    bench b;
    float base[1];
    wick_need(&m->lane_scratch, cut(&b, base, c, k_dim, v_dim) * sizeof(float));
    wick_need(&m->part_floats, (uint64_t)heads_per_tile(n_head, c) * (pad16(v_dim) + 2));
}

static uint32_t split_tasks(const wick_backend_model *m)
{
    return 2 * m->n_threads;
}

uint64_t wick_attn_part_floats(const wick_backend_model *m, uint64_t positions)
{
    if (m->n_threads == 1 || positions <= WICK_ATTN_SPLIT) return 0;
    return split_tasks(m) * m->part_floats * (positions / WICK_ATTN_SPLIT + 1);
}

static uint32_t first_pos(const wick_attn_job *j, uint32_t pos)
{
    if (!j->window || pos < j->window) return 0;
    return j->chunked ? pos / j->window * j->window : pos - j->window + 1;
}

/* One behind the last position that a token sees. */
static uint32_t end_pos(const wick_attn_job *j, const wick_tok *t)
{
    if (!j->both) return t->pos + 1;
    return j->window && t->end - t->pos > j->window ? t->pos + j->window : t->end;
}

/* The i-th tile of the lane's rows. Tiles are counted run by run, KV heads and groups of heads innermost. */
static void tile_at(const wick_lane *t, const wick_attn_job *j, uint32_t tokens, uint32_t i, tile *o)
{
    uint32_t kv = j->cache->n_head, g = j->n_head / kv, per = heads_per_tile(j->n_head, j->cache);
    uint32_t groups = (g + per - 1) / per, at = i / (kv * groups), in = i % (kv * groups), run = 0;
    while (at >= (t->run[run].n + tokens - 1) / tokens) at -= (t->run[run++].n + tokens - 1) / tokens;
    uint32_t left = t->run[run].n - at * tokens, h = in % groups * per;
    o->row = t->run[run].first + at * tokens;
    o->tok = t->tok + o->row;
    o->seq = o->tok->seq;
    o->n_tok = left < tokens ? left : tokens;
    o->kv_head = in / groups;
    o->head = o->kv_head * g + h;
    o->n_heads = g - h < per ? g - h : per;
    o->first = first_pos(j, o->tok[0].pos) / WICK_ATTN_SPLIT;
    o->last = (end_pos(j, &o->tok[o->n_tok - 1]) - 1) / WICK_ATTN_SPLIT;
}

static uint32_t count_tiles(const wick_lane *t, const wick_attn_job *j, uint32_t tokens)
{
    uint32_t kv = j->cache->n_head, g = j->n_head / kv, per = heads_per_tile(j->n_head, j->cache), n = 0;
    for (uint32_t r = 0; r < t->n_runs; r++) n += (t->run[r].n + tokens - 1) / tokens;
    return n * kv * ((g + per - 1) / per);
}

static void load_q(const wick_attn_job *j, const tile *o, bench *b)
{
    for (uint32_t i = 0; i < o->n_tok; i++)
        for (uint32_t h = 0; h < o->n_heads; h++)
            memcpy(b->q + (size_t)(i * o->n_heads + h) * j->k_dim,
                   j->q + (o->row + i) * j->q_stride + (o->head + h) * j->q_head_stride, j->k_dim * sizeof *b->q);
}

/* K and V of a block as the kernel can read them. */
static void load_block(const wick_cpu_step *s, const wick_attn_job *j, const tile *o, const bench *b, uint32_t pos,
                       bool more, wick_attn_tile *a)
{
    const wick_kv_layout *l = &j->cache->layout;
    const uint8_t *head = wick_seq_head(o->seq, j->cache, pos, o->kv_head);
    a->k = head;
    a->v = head + l->v_offset;
    a->dtype = l->dtype;
    a->next = more ? wick_seq_head(o->seq, j->cache, pos + WICK_KV_BLOCK, o->kv_head) : NULL;
    if (!unpacks(j->cache)) return;
    a->next = NULL;
    a->k = b->k;
    a->v = b->v;
    a->dtype = WICK_DTYPE_F32;
    if (wick_dtype_is_float(l->dtype))
        wick_to_f32(l->dtype, head, b->k, (uint64_t)l->k_dim * WICK_KV_BLOCK);
    else
        s->m->row->kv_unpack(l, head, b->k, l->v_dim ? b->v : NULL);
    if (l->v_dim == 0) /* V is K's first dimensions, lying the other way */
        for (uint32_t d = 0; d < a->v_pad; d++)
            for (uint32_t p = 0; p < WICK_KV_BLOCK; p++)
                b->v[(size_t)p * a->v_pad + d] = d < j->v_dim ? b->k[(size_t)d * WICK_KV_BLOCK + p] : 0.0F;
}

static uint8_t within(uint32_t pos, uint32_t base)
{
    return (uint8_t)(pos <= base ? 0 : pos - base < WICK_KV_BLOCK ? pos - base : WICK_KV_BLOCK);
}

/* One chunk of the context for one tile, into fresh sums. */
static void run_chunk(const wick_cpu_step *s, const wick_attn_job *j, const tile *o, const bench *b, uint32_t chunk,
                      float *acc, float *m, float *l)
{
    wick_attn_tile a = {.n = o->n_tok * o->n_heads,
                        .k_dim = j->k_dim,
                        .v_pad = pad16(j->v_dim),
                        .softcap = j->softcap,
                        .q = b->q,
                        .lo = b->lo,
                        .hi = b->hi,
                        .acc = acc,
                        .m = m,
                        .l = l,
                        .slope = j->alibi ? b->slope : NULL,
                        .at = b->at,
                        .score = b->score};
    memset(acc, 0, (size_t)a.n * a.v_pad * sizeof *acc);
    for (uint32_t r = 0; r < a.n; r++) m[r] = -INFINITY, l[r] = 0.0F;
    uint32_t from = first_pos(j, o->tok[0].pos), to = end_pos(j, &o->tok[o->n_tok - 1]);
    uint32_t base = chunk * WICK_ATTN_SPLIT, end = base + WICK_ATTN_SPLIT;
    if (from > base) base = from / WICK_KV_BLOCK * WICK_KV_BLOCK;
    if (to < end) end = to;
    for (; base < end; base += WICK_KV_BLOCK) {
        for (uint32_t r = 0; r < a.n; r++) {
            uint32_t pos = o->tok[r / o->n_heads].pos;
            b->lo[r] = within(first_pos(j, pos), base);
            b->hi[r] = within(end_pos(j, &o->tok[r / o->n_heads]), base);
            if (!j->alibi) continue;
            b->slope[r] = j->alibi[o->head + r % o->n_heads];
            b->at[r] = (float)pos - (float)base;
        }
        load_block(s, j, o, b, base, base + WICK_KV_BLOCK < to, &a);
        s->m->row->attn(&a);
    }
}

static void finish(const wick_cpu_step *s, const wick_attn_job *j, const tile *o, uint32_t r, const float *acc, float m,
                   float l)
{
    uint32_t h = o->head + r % o->n_heads, row = o->row + r / o->n_heads;
    float *dst = j->out + row * j->out_stride + (uint64_t)h * j->v_dim;
    s->m->row->attn_finish(dst, acc, m, l, j->sinks ? j->sinks + h : NULL, j->v_dim);
    if (j->gate) s->m->row->sigmoid_mul(dst, j->gate + row * j->q_stride + h * j->q_head_stride, j->v_dim);
}

static void run_tile(const wick_cpu_step *s, const wick_attn_job *j, const tile *o, bench *b)
{
    uint32_t n = o->n_tok * o->n_heads, v_pad = pad16(j->v_dim);
    load_q(j, o, b);
    run_chunk(s, j, o, b, o->first, b->acc, b->m, b->l);
    for (uint32_t c = o->first + 1; c <= o->last; c++) {
        run_chunk(s, j, o, b, c, b->acc2, b->m2, b->l2);
        for (uint32_t r = 0; r < n; r++)
            s->m->row->attn_merge(b->acc + (size_t)r * v_pad, b->m + r, b->l + r, b->acc2 + (size_t)r * v_pad, b->m2[r],
                                  b->l2[r], v_pad);
    }
    for (uint32_t r = 0; r < n; r++) finish(s, j, o, r, b->acc + (size_t)r * v_pad, b->m[r], b->l[r]);
}

/* Few tiles over long contexts: each chunk is a task of its own, then the rows are merged. */
static void run_split(wick_cpu_step *s, wick_lane *t, const wick_attn_job *j, bench *b, uint32_t n_tiles,
                      uint32_t n_chunks)
{
    uint32_t per = heads_per_tile(j->n_head, j->cache), v_pad = pad16(j->v_dim), from, to;
    uint64_t part = (uint64_t)per * (v_pad + 2);
    tile o;
    while (wick_work(t, n_tiles * n_chunks, 1, &from, &to)) {
        tile_at(t, j, 1, from / n_chunks, &o);
        uint32_t c = from % n_chunks;
        float *p = s->part + from * part;
        if (c < o.first || c > o.last) continue;
        load_q(j, &o, b);
        run_chunk(s, j, &o, b, c, p, p + (size_t)per * v_pad, p + (size_t)per * (v_pad + 1));
    }
    wick_join(t);
    while (wick_work(t, n_tiles * per, 1, &from, &to)) {
        tile_at(t, j, 1, from / per, &o);
        uint32_t r = from % per;
        if (r >= o.n_heads) continue;
        const float *p = s->part + (from / per * n_chunks + o.first) * part;
        memcpy(b->acc, p + (size_t)r * v_pad, v_pad * sizeof *b->acc);
        b->m[0] = p[(size_t)per * v_pad + r];
        b->l[0] = p[(size_t)per * (v_pad + 1) + r];
        for (uint32_t c = o.first + 1; c <= o.last; c++) {
            p += part;
            s->m->row->attn_merge(b->acc, b->m, b->l, p + (size_t)r * v_pad, p[(size_t)per * v_pad + r],
                                  p[(size_t)per * (v_pad + 1) + r], v_pad);
        }
        finish(s, j, &o, r, b->acc, b->m[0], b->l[0]);
    }
}

void wick_attn_run(wick_cpu_step *s, wick_lane *t, const wick_attn_job *j)
{
    bench b;
    uint32_t from, to, longest = 0, tokens = WICK_ATTN_ROWS / heads_per_tile(j->n_head, j->cache);
    cut(&b, t->scratch, j->cache, j->k_dim, j->v_dim);
    for (uint32_t r = 0; r < t->n_runs; r++) {
        uint32_t last = end_pos(j, &t->tok[t->run[r].first + t->run[r].n - 1]) - 1;
        longest = last > longest ? last : longest;
    }
    uint32_t singles = count_tiles(t, j, 1);
    if (s->m->n_threads > 1 && longest >= WICK_ATTN_SPLIT && singles <= split_tasks(s->m)) {
        run_split(s, t, j, &b, singles, longest / WICK_ATTN_SPLIT + 1);
    } else {
        tile o;
        while (wick_work(t, count_tiles(t, j, tokens), 1, &from, &to)) {
            tile_at(t, j, tokens, from, &o);
            run_tile(s, j, &o, &b);
        }
    }
    wick_join(t);
}
