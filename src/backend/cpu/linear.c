/* backend/cpu/linear.c - the linear layer's interface: a packed matrix, its activations, the loop over tiles and
 * blocks.
 *
 * Apart from the kernels because this loop is the same for every instruction set: it unpacks a block of one or two
 * tiles to a buffer that stays in the first-level cache and runs every panel of activation rows over it. What a
 * kernel computes is fixed in linear_impl.h; nothing here changes an operation or its order for one output.
 */
#include "backend/cpu/linear_impl.h"
#include "base/alloc.h"

#define ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))

/* --- panels: rows of activations are cut into nearly equal panels of at most mr rows --- */
typedef struct panels {
    uint32_t n, base, extra; /* the first `extra` panels have base + 1 rows */
} panels;

static panels panels_of(uint32_t n_rows, uint32_t mr_max)
{
    panels p = {.n = (n_rows + mr_max - 1) / mr_max};
    p.base = p.n ? n_rows / p.n : 0;
    p.extra = p.n ? n_rows % p.n : 0;
    return p;
}

static void panel_get(const panels *p, uint32_t i, uint32_t *row0, uint32_t *mr)
{
    *row0 = i * p->base + (i < p->extra ? i : p->extra);
    *mr = p->base + (i < p->extra);
}

static uint32_t panel_find(const panels *p, uint32_t row)
{
    uint32_t big = p->extra * (p->base + 1);
    return row < big ? row / (p->base + 1) : p->extra + (row - big) / p->base;
}

/* --- activation memory: values of all rows, then scales, then sums; each part aligned to 64 --- */
typedef struct act_parts {
    uint64_t value_bytes; /* of one row */
    uint64_t n_blocks;
    uint64_t s_at, sx_at, start_at, total; /* sx and start: integer kernels only */
} act_parts;

static act_parts act_layout(const wick_lin *l, uint32_t n_rows)
{
    act_parts a = {0};
    uint64_t k = (uint64_t)l->n_chunks * WICK_LIN_CHUNK;
    a.value_bytes = l->is_int ? k * (l->precision == WICK_PRECISION_FINE ? 2 : 1) : k * sizeof(float);
    a.n_blocks = k / l->f.block;
    uint64_t part = ROUND_UP(a.n_blocks * n_rows * sizeof(float), 64);
    a.s_at = ROUND_UP(a.value_bytes * n_rows, 64);
    a.sx_at = a.s_at + part;
    a.start_at = a.sx_at + ROUND_UP((uint64_t)l->n_chunks * n_rows * sizeof(float), 64);
    a.total = l->is_int ? a.start_at + part : a.sx_at;
    return a;
}

/* What the sum of a block's integers is multiplied with before the products are added to it. */
static int32_t start_mul(const wick_lin *l)
{
    int32_t shifted = l->isa->kernels->is_signed && l->f.wide ? 128 : 0;
    return shifted - (l->f.has_bias ? 0 : l->f.zero);
}

static uint32_t panel_rows_max(const wick_lin *l)
{
    return l->is_int ? l->isa->kernels->mr_int : l->isa->kernels->mr_float;
}

/* --- packed matrices --- */
static uint32_t tiles_of(const wick_weight *w)
{
    return w->n_out / WICK_LIN_TILE + (w->n_out % WICK_LIN_TILE != 0);
}

static uint32_t supers_of(const wick_weight *w, const wick_lin_fmt *f)
{
    return w->n_in / f->super + (w->n_in % f->super != 0);
}

uint64_t wick_lin_packed_bytes(const wick_lin_isa *isa, const wick_weight *w, wick_precision p)
{
    (void)isa, (void)p; /* one form for all of them */
    wick_lin_fmt f;
    wick_lin_format(w, &f);
    return f.code == WICK_LIN_CODE_FILE ? 0 : (uint64_t)tiles_of(w) * supers_of(w, &f) * f.super_bytes;
}

wick_status wick_lin_new(wick_lin **out, const wick_lin_isa *isa, const wick_weight *w, wick_precision p, void *packed,
                         wick_err *err)
{
    wick_lin_fmt f;
    wick_lin_format(w, &f);
    if (f.code == WICK_LIN_CODE_FILE && (!wick_block_has_decoder(w->dtype) || w->n_in % WICK_LIN_SUPER_MAX != 0))
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, w->name, "%s: no kernel for %s with %u inputs",
                         w->name ? w->name : "matrix", wick_dtype_name(w->dtype), w->n_in);
    wick_lin *l = wick_alloc_zero(1, sizeof *l);
    if (!l) return WICK_FAIL(err, WICK_E_OUT_OF_MEMORY, w->name, "no memory for a matrix");
    l->isa = isa;
    l->w = *w;
    l->f = f;
    l->precision = p;
    l->is_int = wick_lin_format_is_int(&f, p);
    l->packed = packed;
    l->n_tiles = tiles_of(w);
    l->n_super = supers_of(w, &f);
    l->n_chunks = l->n_super * (f.super / WICK_LIN_CHUNK);
    *out = l;
    return WICK_OK;
}

void wick_lin_free(wick_lin *l)
{
    wick_free(l);
}

uint32_t wick_lin_n_tiles(const wick_lin *l)
{
    return l->n_tiles;
}

uint32_t wick_lin_n_out(const wick_lin *l)
{
    return l->w.n_out;
}

uint32_t wick_lin_n_in(const wick_lin *l)
{
    return l->w.n_in;
}

void wick_lin_row(const wick_lin *l, uint32_t r, float *out)
{
    wick_weight_row(&l->w, r, out);
}

/* --- activations --- */
uint32_t wick_lin_act_key(const wick_lin *l)
{
    uint32_t form = !l->is_int ? 1 : l->precision == WICK_PRECISION_FINE ? 2 : 3;
    uint32_t start = l->is_int ? (uint32_t)start_mul(l) & 0x1ff : 0;
    return form << 16 | start << 7 | l->f.block;
}

uint64_t wick_lin_act_bytes(const wick_lin *l, uint32_t n_rows)
{
    return act_layout(l, n_rows).total;
}

void wick_lin_act_prepare(const wick_lin *l, const float *x, uint64_t x_stride, uint32_t m0, uint32_t m1,
                          uint32_t n_rows, void *act)
{
    const wick_lin_kernels *k = l->isa->kernels;
    act_parts parts = act_layout(l, n_rows);
    panels p = panels_of(n_rows, panel_rows_max(l));
    uint8_t *base = act;
    for (uint32_t m = m0; m < m1; m++) {
        uint32_t row0, mr;
        panel_get(&p, panel_find(&p, m), &row0, &mr);
        wick_lin_prep_args a = {.src = x + m * x_stride,
                                .n_in = l->w.n_in,
                                .n_chunks = l->n_chunks,
                                .block = l->f.block,
                                .mr = mr,
                                .slot = m - row0,
                                .s = (float *)(void *)(base + parts.s_at) + row0 * parts.n_blocks,
                                .fine = l->precision == WICK_PRECISION_FINE};
        void *values = base + row0 * parts.value_bytes;
        if (l->is_int) {
            a.q = values;
            a.sx = (float *)(void *)(base + parts.sx_at) + (uint64_t)row0 * l->n_chunks;
            a.start = (int32_t *)(void *)(base + parts.start_at) + row0 * parts.n_blocks;
            a.start_mul = start_mul(l);
            k->prep_int(&a);
        } else {
            a.x = values;
            k->prep_float(&a);
        }
    }
}

/* --- the product --- */
typedef struct mul_state {
    const wick_lin *l;
    const uint8_t *act;
    act_parts parts;
    panels panels;
    uint32_t n_rows, kc_super; /* superblocks unpacked at once */
    bool in_place;             /* but for their codes */
    uint8_t *block;            /* codes or floats */
    float *y;                  /* where the products go */
    uint64_t y_stride;
    float *d, *b, *c; /* c: [n_rows][nt][16] */
} mul_state;

enum {
    BLOCK_BYTES = WICK_LIN_KC_FLOAT * WICK_LIN_NT_MAX * WICK_LIN_TILE * (int)sizeof(float),
    SCALE_FLOATS = WICK_LIN_KC_INT / 16 * WICK_LIN_NT_MAX * WICK_LIN_TILE
};
_Static_assert(BLOCK_BYTES >= WICK_LIN_KC_INT * WICK_LIN_NT_MAX * WICK_LIN_TILE, "codes fit the float block");

uint64_t wick_lin_scratch_bytes(const wick_lin *l, uint32_t n_rows)
{
    uint64_t rows = l->f.code == WICK_LIN_CODE_FILE ? WICK_LIN_SUPER_MAX * sizeof(float) : 0;
    return BLOCK_BYTES + 2 * SCALE_FLOATS * sizeof(float) +
           (uint64_t)n_rows * WICK_LIN_NT_MAX * WICK_LIN_TILE * sizeof(float) + rows;
}

/* Superblocks [sb, sb + n) of a matrix that stays in the file's form. */
static void unpack_file(const mul_state *s, uint32_t tile, uint32_t sb, uint32_t n, uint32_t nt, float *c, float *d,
                        float *b)
{
    const wick_weight *w = &s->l->w;
    float *row = s->c + (uint64_t)s->n_rows * WICK_LIN_NT_MAX * WICK_LIN_TILE;
    uint64_t step = WICK_LIN_SUPER_MAX / wick_dtype_block_elems(w->dtype) * (uint64_t)wick_dtype_block_bytes(w->dtype);
    for (uint32_t r = 0; r < WICK_LIN_TILE; r++) {
        uint32_t out = tile * WICK_LIN_TILE + r;
        const uint8_t *src = w->data + (uint64_t)out * w->row_step * w->row_bytes + sb * step;
        for (uint32_t i = 0; i < n; i++) {
            if (out >= w->n_out || !wick_block_decode(w->dtype, src + i * step, row, WICK_LIN_SUPER_MAX))
                memset(row, 0, WICK_LIN_SUPER_MAX * sizeof(float));
            float *to = c + (uint64_t)i * WICK_LIN_SUPER_MAX * nt * WICK_LIN_TILE + r;
            for (uint32_t k = 0; k < WICK_LIN_SUPER_MAX; k++) to[(uint64_t)k * nt * WICK_LIN_TILE] = row[k];
        }
    }
    for (uint32_t i = 0; i < n * (WICK_LIN_SUPER_MAX / WICK_LIN_CHUNK); i++)
        for (uint32_t r = 0; r < WICK_LIN_TILE; r++) {
            d[(uint64_t)i * nt * WICK_LIN_TILE + r] = 1.0f;
            b[(uint64_t)i * nt * WICK_LIN_TILE + r] = 0.0f;
        }
}

static void unpack(const mul_state *s, uint32_t tile, uint32_t sb, uint32_t n, uint32_t nt, uint32_t lane)
{
    const wick_lin *l = s->l;
    const wick_lin_kernels *k = l->isa->kernels;
    float *d = s->d + lane * WICK_LIN_TILE, *b = s->b + lane * WICK_LIN_TILE;
    float *c = (float *)(void *)s->block + lane * WICK_LIN_TILE;
    const uint8_t *src = NULL;
    if (l->f.code == WICK_LIN_CODE_FILE) {
        unpack_file(s, tile, sb, n, nt, c, d, b);
        return;
    }
    src = l->packed + ((uint64_t)tile * l->n_super + sb) * l->f.super_bytes;
    if (l->is_int)
        k->unpack_int(&l->f, src, n, nt, s->in_place ? NULL : s->block + lane * 64, d, b);
    else
        k->unpack_float(&l->f, src, n, nt, c, d, b);
}

/* Panel i of n fetches its share of the next block, of `bytes` for each tile: the memory works while the panels run. */
static void share_fetch(wick_lin_args *a, const uint8_t *const *next, uint64_t bytes, uint32_t i, uint32_t n)
{
    uint64_t step = ROUND_UP((bytes + (uint64_t)n * a->n_chunks - 1) / ((uint64_t)n * a->n_chunks), 64);
    uint64_t from = i * step * a->n_chunks;
    a->ahead_bytes = from < bytes ? (uint32_t)step : 0;
    for (uint32_t t = 0; t < a->nt && a->ahead_bytes; t++) a->ahead[t] = next[t] + from;
}

/* Rows [row0, row0 + n_rows) from [n_rows][nt][16] at `c` to the outputs of tiles [tile, tile + n_real). */
static void store(const mul_state *s, const float *c, uint32_t row0, uint32_t n_rows, uint32_t tile, uint32_t nt,
                  uint32_t n_real)
{
    uint32_t n0 = tile * WICK_LIN_TILE, n = s->l->w.n_out - n0;
    if (n > n_real * WICK_LIN_TILE) n = n_real * WICK_LIN_TILE;
    for (uint32_t m = row0; m < row0 + n_rows; m++, c += nt * WICK_LIN_TILE) {
        float *to = s->y + m * s->y_stride + n0;
        if (n == 2 * WICK_LIN_TILE)
            memcpy(to, c, 2 * WICK_LIN_TILE * sizeof *c); /* a constant size needs no call */
        else if (n == WICK_LIN_TILE)
            memcpy(to, c, WICK_LIN_TILE * sizeof *c);
        else
            memcpy(to, c, n * sizeof *c);
    }
}

/* The lines that a panel will be stored to: they come while it is multiplied. */
static void fetch_outputs(const mul_state *s, uint32_t row0, uint32_t n_rows, uint32_t tile)
{
#if defined(__GNUC__)
    for (uint32_t m = row0; m < row0 + n_rows; m++) {
        const float *to = s->y + m * s->y_stride + (uint64_t)tile * WICK_LIN_TILE;
        __builtin_prefetch(to, 1);
        __builtin_prefetch(to + WICK_LIN_TILE, 1);
    }
#else
    (void)s, (void)row0, (void)n_rows, (void)tile;
#endif
}

/* All panels over the block of tiles [tile, tile + n_real) that lies unpacked; its first superblock is sb. Each panel
 * begins at zero with the first block and is stored behind the last one. */
static void run_panels(const mul_state *s, uint32_t tile, uint32_t n_real, uint32_t sb, uint32_t n)
{
    const wick_lin *l = s->l;
    const uint32_t nt = l->isa->kernels->nt;
    const uint8_t *next[WICK_LIN_NT_MAX] = {0};
    uint32_t after = sb + n; /* behind the last superblock of a row of tiles comes the next one's first */
    uint64_t next_bytes = (uint64_t)s->kc_super * l->f.super_bytes;
    for (uint32_t t = 0; t < nt && next_bytes; t++)
        next[t] = l->packed + ((uint64_t)(tile + t % n_real + (after < l->n_super ? 0 : nt)) * l->n_super +
                               (after < l->n_super ? after : 0)) *
                                  l->f.super_bytes;
    uint32_t chunk0 = sb * (l->f.super / WICK_LIN_CHUNK);
    wick_lin_args a = {.codes = s->block,
                       .c = (const float *)(const void *)s->block,
                       .d = s->d,
                       .b = s->b,
                       .nt = nt,
                       .n_chunks = n * (l->f.super / WICK_LIN_CHUNK),
                       .block = l->f.block,
                       .fine = l->precision == WICK_PRECISION_FINE,
                       .wide = l->f.wide,
                       .has_bias = l->f.has_bias,
                       .top = l->f.top,
                       .skip = l->f.scale_bytes,
                       .run = l->f.super / WICK_LIN_CHUNK};
    for (uint32_t t = 0; t < nt && s->in_place; t++)
        a.packed[t] =
            l->packed + ((uint64_t)(tile + t % n_real) * l->n_super + sb) * l->f.super_bytes + l->f.scale_bytes;
    uint64_t chunk_bytes = s->parts.value_bytes / l->n_chunks, block0 = (uint64_t)chunk0 * WICK_LIN_CHUNK / l->f.block;
    for (uint32_t i = 0; i < s->panels.n; i++) {
        uint32_t row0;
        panel_get(&s->panels, i, &row0, &a.mr);
        const uint8_t *values = s->act + row0 * s->parts.value_bytes + chunk0 * chunk_bytes * a.mr;
        uint64_t at = row0 * s->parts.n_blocks + block0 * a.mr;
        a.sx = (const float *)(const void *)(s->act + s->parts.sx_at) + (uint64_t)row0 * l->n_chunks +
               (uint64_t)chunk0 * a.mr;
        a.s = (const float *)(const void *)(s->act + s->parts.s_at) + at;
        a.start = (const int32_t *)(const void *)(s->act + s->parts.start_at) + at;
        a.y = s->c + (uint64_t)row0 * nt * WICK_LIN_TILE;
        a.q = (const int8_t *)values;
        a.x = (const float *)(const void *)values;
        share_fetch(&a, next, next_bytes, i, s->panels.n);
        if (after >= l->n_super) fetch_outputs(s, row0, a.mr, tile);
        if (sb == 0) memset(a.y, 0, (size_t)a.mr * nt * WICK_LIN_TILE * sizeof *a.y);
        (l->is_int ? l->isa->kernels->mul_int : l->isa->kernels->mul_float)(&a);
        if (after >= l->n_super) store(s, a.y, row0, a.mr, tile, nt, n_real);
    }
}

/* One tile in registers, where a kernel for it exists. */
static bool run_gemv(const mul_state *s, uint32_t tile)
{
    const wick_lin *l = s->l;
    bool (*fn)(const wick_lin_gemv_args *) = l->is_int ? l->isa->kernels->gemv_int : l->isa->kernels->gemv_float;
    if (!fn || s->panels.n != 1 || l->f.code == WICK_LIN_CODE_FILE) return false;
    wick_lin_gemv_args a = {.f = &l->f,
                            .tile = l->packed + (uint64_t)tile * l->n_super * l->f.super_bytes,
                            .q = (const int8_t *)s->act,
                            .x = (const float *)(const void *)s->act,
                            .sx = (const float *)(const void *)(s->act + s->parts.sx_at),
                            .s = (const float *)(const void *)(s->act + s->parts.s_at),
                            .start = (const int32_t *)(const void *)(s->act + s->parts.start_at),
                            .y = s->c,
                            .mr = s->n_rows,
                            .n_super = l->n_super,
                            .fine = l->precision == WICK_PRECISION_FINE};
    return fn(&a);
}

void wick_lin_mul(const wick_lin *l, const void *act, uint32_t n_rows, float *y, uint64_t y_stride, uint32_t t0,
                  uint32_t t1, void *scratch)
{
    if (!n_rows) return;
    mul_state s = {.l = l, .act = act, .n_rows = n_rows, .block = scratch, .y = y, .y_stride = y_stride};
    s.parts = act_layout(l, n_rows);
    s.panels = panels_of(n_rows, panel_rows_max(l));
    s.in_place =
        l->is_int && l->isa->kernels->in_place && l->f.code == WICK_LIN_CODE_4 && l->f.lut == WICK_LIN_LUT_NONE;
    s.kc_super = (s.in_place ? WICK_LIN_KC_IN_PLACE : l->is_int ? WICK_LIN_KC_INT : WICK_LIN_KC_FLOAT) / l->f.super;
    s.d = (float *)(void *)(s.block + BLOCK_BYTES);
    s.b = s.d + SCALE_FLOATS;
    s.c = s.b + SCALE_FLOATS;
    for (uint32_t t = t0; t < t1;) {
        if (run_gemv(&s, t)) {
            store(&s, s.c, 0, n_rows, t++, 1, 1);
            continue;
        }
        uint32_t nt = l->isa->kernels->nt, n_real = t1 - t < nt ? t1 - t : nt; /* one tile may fill both lanes */
        for (uint32_t sb = 0; sb < l->n_super; sb += s.kc_super) {
            uint32_t n = l->n_super - sb < s.kc_super ? l->n_super - sb : s.kc_super;
            for (uint32_t lane = 0; lane < nt; lane++) unpack(&s, t + lane % n_real, sb, n, nt, lane);
            run_panels(&s, t, n_real, sb, n);
        }
        t += n_real;
    }
}
