/* backend/cpu/kernels/lin_gemv_avx512.c - one tile times few rows of floats, unpacked in registers: the arithmetic of
 * the block kernels at the speed of memory. Apart from lin_avx512.h because it is the same with and without VNNI.
 *
 * A block's sum is one chain of fma, as linear_impl.h says; several blocks run side by side to hide its latency, and
 * are added to y in their order. 4-bit codes become floats by one permutation of a register of 16 values. */
#include "backend/cpu/kernels/lin_avx512_regs.h"

enum { N_CHAINS = 4, MR_MAX = 8 };

/* A chunk: its codes or elements, the scales of its superblock, where in that it starts. */
typedef struct place {
    const uint8_t *in, *scales;
    uint32_t k;
} place;

typedef struct cursor {
    const wick_lin_fmt *f;
    const uint8_t *in, *scales;
    uint32_t k;
} cursor;

static inline place next_chunk(cursor *c)
{
    if (c->k == 0) {
        c->scales = c->in;
        for (uint32_t i = 0; i < c->f->scale_bytes; i += 64)
            _mm_prefetch((const char *)c->in + LIN_AHEAD + i, _MM_HINT_T0);
        c->in += c->f->scale_bytes;
    }
    place p = {c->in, c->scales, c->k};
    c->in += c->f->chunk_bytes;
    c->k += 64;
    if (c->k == c->f->super) c->k = 0;
    return p;
}

/* What a kernel is made for; all constant in each of them. */
typedef struct shape {
    wick_lin_code code; /* 4: by a table; 8: any other integer code, as signed bytes; or a plain type */
    uint32_t block, rows;
    bool single; /* the panel has one row */
} shape;

/* Rows [0, rows) of the panel from `x` on. */
typedef struct panel {
    const float *x, *s; /* [k][mr], [block][mr] */
    uint32_t mr;
} panel;

/* --- values: code vectors of a chunk as signed bytes --- */
LIN_INLINE void store_bytes(const wick_lin_code code, const wick_lin_fmt *f, const uint8_t *in, uint8_t *out)
{
    const __m512i centre = _mm512_set1_epi8((char)f->centre);
#pragma GCC unroll 8
    for (uint32_t p = 0; p < 8; p++, out += 128) {
        __m512i v0, v1;
        lin_codes2(code, in, p, &v0, &v1);
        _mm512_store_si512(out, _mm512_sub_epi8(v0, centre));
        _mm512_store_si512(out + 64, _mm512_sub_epi8(v1, centre));
    }
    for (uint32_t at = 0; at < f->chunk_bytes; at += 64) _mm_prefetch((const char *)in + LIN_AHEAD + at, _MM_HINT_T0);
}

static void chunk_bytes(const wick_lin_fmt *f, const uint8_t *in, uint8_t *out)
{
    switch (f->code) {
    case WICK_LIN_CODE_2: store_bytes(WICK_LIN_CODE_2, f, in, out); break;
    case WICK_LIN_CODE_3: store_bytes(WICK_LIN_CODE_3, f, in, out); break;
    case WICK_LIN_CODE_5: store_bytes(WICK_LIN_CODE_5, f, in, out); break;
    case WICK_LIN_CODE_6: store_bytes(WICK_LIN_CODE_6, f, in, out); break;
    default: store_bytes(WICK_LIN_CODE_8, f, in, out); break;
    }
}

static __m512 table_of(const wick_lin_fmt *f)
{
    const uint8_t *lut = f->lut == WICK_LIN_LUT_E2M1 ? lin_lut_e2m1 : lin_lut_iq4nl;
    float t[16];
    for (int i = 0; i < 16; i++) t[i] = (float)((f->lut == WICK_LIN_LUT_NONE ? i : lut[i]) - f->centre);
    return _mm512_loadu_ps(t);
}

/* --- chains --- */
/* acc[chain][row] += 16 weights times input `k` of the chain's part of the panel */
LIN_INLINE void add(const shape sh, const panel *a, const float *x, uint32_t k, __m512 w, __m512 *acc)
{
    const uint32_t mr = sh.single ? 1 : a->mr;
#pragma GCC unroll 4
    for (uint32_t r = 0; r < sh.rows; r++) acc[r] = _mm512_fmadd_ps(w, _mm512_set1_ps(x[k * mr + r]), acc[r]);
}

/* n chains; chain i's part of its chunk starts at in[i] (raw 4-bit codes) or val[i] (bytes), its inputs at x[i] */
LIN_INLINE void dot4(const shape sh, const panel *a, const uint8_t *const *in, const float *const *x, const uint32_t n,
                     __m512 table, __m512 acc[][4])
{
#pragma GCC unroll 1
    for (uint32_t p = 0; p < sh.block / 8; p++) {
        __m512i v[N_CHAINS];
#pragma GCC unroll 4
        for (uint32_t c = 0; c < n; c++) {
            v[c] = _mm512_load_si512(in[c] + p * 64);
            _mm_prefetch((const char *)in[c] + LIN_AHEAD + p * 64, _MM_HINT_T0);
        }
#pragma GCC unroll 8
        for (uint32_t i = 0; i < 8; i++)
#pragma GCC unroll 4
            for (uint32_t c = 0; c < n; c++) {
                __m512i at = _mm512_srlv_epi32(v[c], _mm512_set1_epi32((int)(i % 4 * 8 + i / 4 * 4)));
                add(sh, a, x[c], p * 8 + i, _mm512_permutexvar_ps(i ? at : v[c], table), acc[c]);
            }
    }
}

LIN_INLINE void dot8(const shape sh, const panel *a, const uint8_t *const *val, const float *const *x, const uint32_t n,
                     __m512 acc[][4])
{
#pragma GCC unroll 1
    for (uint32_t j = 0; j < sh.block / 4; j++) {
        __m512i v[N_CHAINS];
#pragma GCC unroll 4
        for (uint32_t c = 0; c < n; c++) v[c] = _mm512_load_si512(val[c] + j * 64);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; i++)
#pragma GCC unroll 4
            for (uint32_t c = 0; c < n; c++) {
                __m512i t = _mm512_sllv_epi32(v[c], _mm512_set1_epi32((int)(24 - i * 8)));
                t = _mm512_srai_epi32(i < 3 ? t : v[c], 24);
                add(sh, a, x[c], j * 4 + i, _mm512_cvtepi32_ps(t), acc[c]);
            }
    }
}

LIN_INLINE void dot_plain(const shape sh, const panel *a, const uint8_t *const *in, const float *const *x,
                          const uint32_t n, __m512 acc[][4])
{
    const uint32_t step = sh.code == WICK_LIN_CODE_F32 ? 64 : 32;
#pragma GCC unroll 2
    for (uint32_t k = 0; k < 64; k++)
#pragma GCC unroll 4
        for (uint32_t c = 0; c < n; c++) {
            const uint8_t *p = in[c] + k * step;
            if (sh.code == WICK_LIN_CODE_F32 || k % 2 == 0) _mm_prefetch((const char *)p + 2 * LIN_AHEAD, _MM_HINT_T0);
            add(sh, a, x[c], k,
                sh.code == WICK_LIN_CODE_F32   ? _mm512_load_ps(p)
                : sh.code == WICK_LIN_CODE_F16 ? lin_f16_ps(p)
                                               : lin_bf16_ps(p),
                acc[c]);
        }
}

/* n_chunks chunks from `from` on: n_chunks * 64 / block chains. */
LIN_INLINE void run_chunks(const shape sh, cursor *cur, panel *a, const uint32_t n_chunks, __m512 table, __m512 *y)
{
    const wick_lin_fmt *f = cur->f;
    const uint32_t per = 64 / sh.block, n = n_chunks * per, mr = sh.single ? 1 : a->mr;
    uint8_t bytes[N_CHAINS][1024] __attribute__((aligned(64)));
    place pl[N_CHAINS];
    const uint8_t *in[N_CHAINS];
    const float *x[N_CHAINS];
    __m512 acc[N_CHAINS][4];
#pragma GCC unroll 4
    for (uint32_t c = 0; c < n_chunks; c++) pl[c] = next_chunk(cur);
    if (sh.code == WICK_LIN_CODE_8)
        for (uint32_t c = 0; c < n_chunks; c++) chunk_bytes(f, pl[c].in, bytes[c]);
#pragma GCC unroll 4
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t c = i / per, part = i % per;
        in[i] = sh.code == WICK_LIN_CODE_8 ? bytes[c] + part * sh.block * 16 : pl[c].in + part * sh.block * 8;
        x[i] = a->x + (c * 64 + part * sh.block) * mr;
#pragma GCC unroll 4
        for (uint32_t r = 0; r < sh.rows; r++) acc[i][r] = _mm512_setzero_ps();
    }
    if (sh.code == WICK_LIN_CODE_4)
        dot4(sh, a, in, x, n, table, acc);
    else if (sh.code == WICK_LIN_CODE_8)
        dot8(sh, a, in, x, n, acc);
    else
        dot_plain(sh, a, in, x, n, acc);
#pragma GCC unroll 4
    for (uint32_t i = 0; i < n; i++) {
        const place *p = &pl[i / per];
        __m512 d, b;
        lin_group_ps(f, p->scales, (p->k + i % per * sh.block) / f->group, f->super / f->group,
                     f->has_bias ? (float)f->centre : 0.0f, &d, &b);
#pragma GCC unroll 4
        for (uint32_t r = 0; r < sh.rows; r++) {
            y[r] = _mm512_fmadd_ps(d, acc[i][r], y[r]);
            y[r] = _mm512_fmadd_ps(b, _mm512_set1_ps(a->s[i * mr + r]), y[r]);
        }
    }
    a->x += n_chunks * 64 * mr;
    a->s += n * mr;
}

LIN_INLINE void gemv(const shape sh, const wick_lin_gemv_args *g, uint32_t row)
{
    const uint32_t at_once = N_CHAINS * sh.block / 64, n_chunks = g->n_super * (g->f->super / 64u);
    cursor cur = {.f = g->f, .in = g->tile};
    panel a = {.x = g->x + row, .s = g->s + row, .mr = g->mr};
    __m512 table = sh.code == WICK_LIN_CODE_4 ? table_of(g->f) : _mm512_setzero_ps(), y[4];
    uint32_t c = 0;
#pragma GCC unroll 4
    for (uint32_t r = 0; r < sh.rows; r++) y[r] = _mm512_setzero_ps();
    for (; c + at_once <= n_chunks; c += at_once) run_chunks(sh, &cur, &a, at_once, table, y);
    for (; at_once > 1 && c < n_chunks; c++) run_chunks(sh, &cur, &a, 1, table, y);
#pragma GCC unroll 4
    for (uint32_t r = 0; r < sh.rows; r++) _mm512_store_ps(g->y + (row + r) * 16, y[r]);
}

typedef void (*gemv_fn)(const wick_lin_gemv_args *g, uint32_t row);
#define GEMV(name, code, block, rows, single)                                            \
    static void gemv_##name##_##rows##_##single(const wick_lin_gemv_args *g, uint32_t r) \
    {                                                                                    \
        gemv((const shape){code, block, rows, single}, g, r);                            \
    }
typedef struct gemv_row {
    wick_lin_code code;
    uint32_t block;
    gemv_fn single, one, two, four; /* a panel of one row; so many rows of a larger one; NULL: none */
} gemv_row;

#if LIN_FEW
#define GEMV_SET(name, code, block) GEMV(name, code, block, 1, 1) GEMV(name, code, block, 1, 0)
#define GEMV_ROW(name, code, block) {code, block, gemv_##name##_1_1, gemv_##name##_1_0, NULL, NULL},
#else
#define GEMV_SET(name, code, block) \
    GEMV(name, code, block, 1, 1)   \
    GEMV(name, code, block, 1, 0) GEMV(name, code, block, 2, 0) GEMV(name, code, block, 4, 0)
#define GEMV_ROW(name, code, block) \
    {code, block, gemv_##name##_1_1, gemv_##name##_1_0, gemv_##name##_2_0, gemv_##name##_4_0},
#endif
#define GEMVS(X)                  \
    X(q4_64, WICK_LIN_CODE_4, 64) \
    X(q4_32, WICK_LIN_CODE_4, 32) \
    X(q4_16, WICK_LIN_CODE_4, 16) \
    X(q8_64, WICK_LIN_CODE_8, 64) \
    X(q8_32, WICK_LIN_CODE_8, 32) \
    X(q8_16, WICK_LIN_CODE_8, 16) \
    X(f32, WICK_LIN_CODE_F32, 64) \
    X(f16, WICK_LIN_CODE_F16, 64) \
    X(bf16, WICK_LIN_CODE_BF16, 64)
GEMVS(GEMV_SET)
static const gemv_row gemv_rows[] = {GEMVS(GEMV_ROW)};

bool wick_lin_gemv_float_avx512(const wick_lin_gemv_args *g)
{
    wick_lin_code code = g->f->code;
    if (g->mr > MR_MAX || code == WICK_LIN_CODE_F8 || code == WICK_LIN_CODE_FILE) return false;
    if (code < WICK_LIN_CODE_F8 && code != WICK_LIN_CODE_4) code = WICK_LIN_CODE_8;
    const gemv_row *row = gemv_rows;
    while (row->code != code || row->block != g->f->block)
        if (++row == gemv_rows + sizeof gemv_rows / sizeof gemv_rows[0]) return false;
    if (g->mr == 1) {
        row->single(g, 0);
        return true;
    }
    for (uint32_t r = 0; r < g->mr;) {
        uint32_t left = g->mr - r, n = left >= 4 && row->four ? 4 : left >= 2 && row->two ? 2 : 1;
        (n == 4 ? row->four : n == 2 ? row->two : row->one)(g, r);
        r += n;
    }
    return true;
}
