/* backend/cpu/rowops_attn.h - part of rowops_body.h: query tiles against blocks of KV.
 *
 * scores[r][j] = sum_d q[r][d] K[d][j], d rising; acc[r][e] = acc[r][e] * c + sum_j p[r][j] V[j][e], j rising. Both are
 * the same sum of scaled vectors, kept in registers for up to MAX_ROWS rows; each element is one chain of fma, so
 * neither the number of rows that run together nor the tile's shape shows in the result.
 */

#if defined(WICK_VEC_AVX512) || defined(WICK_VEC_NEON)
enum { MAX_ROWS = 6, N_VECS = 4 }; /* 24 sums of 32 registers */
#elif defined(WICK_VEC_AVX2)
enum { MAX_ROWS = 6, N_VECS = 2 }; /* 12 of 16 */
#else
enum { MAX_ROWS = 4, N_VECS = 2 };
#endif

FORCE_INLINE vf load_as(const void *p, size_t i, wick_dtype t)
{
    if (t == WICK_DTYPE_F32) return vf_load((const float *)p + i);
    if (t == WICK_DTYPE_F16) return vf_load_f16((const uint16_t *)p + i);
    return vf_load_bf16((const uint16_t *)p + i);
}

/* out[r][0..nv*VW) = out * c[r] (c NULL: 0) + sum over i in [i0, i1) of a[r * a_stride + i] * b[i * b_stride ..].
 * `ahead`: what is read next, fetched meanwhile in rows as long as b's; NULL: nothing. */
FORCE_INLINE void sum_rows(float *out, size_t out_stride, const float *c, const float *a, size_t a_stride,
                           const void *b, size_t b_at, size_t b_stride, uint32_t i0, uint32_t i1, wick_dtype t,
                           const char *ahead, const int mr, const int nv)
{
    vf s[MAX_ROWS][N_VECS];
    const size_t elem = t == WICK_DTYPE_F32 ? 4 : 2;
    UNROLL for (int r = 0; r < mr; r++)
    {
        UNROLL for (int v = 0; v < nv; v++)
        {
            s[r][v] = c ? vf_mul(vf_load(out + (size_t)r * out_stride + v * VW), vf_set1(c[r])) : vf_set1(0.0F);
        }
    }
    for (uint32_t i = i0; i < i1; i++) {
        vf x[N_VECS];
        UNROLL for (int v = 0; v < nv; v++) x[v] = load_as(b, b_at + i * b_stride + (size_t)v * VW, t);
        if (ahead) {
            const char *p = ahead + (b_at + i * b_stride) * elem;
            for (size_t k = 0; k < (size_t)nv * VW * elem; k += 64) __builtin_prefetch(p + k);
        }
        UNROLL for (int r = 0; r < mr; r++)
        {
            vf f = vf_set1(a[(size_t)r * a_stride + i]);
            UNROLL for (int v = 0; v < nv; v++) s[r][v] = vf_fma(f, x[v], s[r][v]);
        }
    }
    UNROLL for (int r = 0; r < mr; r++)
    {
        UNROLL for (int v = 0; v < nv; v++) vf_store(out + (size_t)r * out_stride + v * VW, s[r][v]);
    }
}

/* The same for n rows and `width` columns (a multiple of 16). */
FORCE_INLINE void sum_tile(float *out, size_t out_stride, const float *c, const float *a, size_t a_stride,
                           const void *b, size_t b_stride, uint32_t i0, uint32_t i1, wick_dtype t, const char *ahead,
                           uint32_t n, uint32_t width)
{
    for (uint32_t r = 0; r < n;) {
        uint32_t left = n - r, mr = left >= MAX_ROWS ? MAX_ROWS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        const float *cr = c ? c + r : NULL, *ar = a + (size_t)r * a_stride;
        const char *next = r == 0 ? ahead : NULL;
        float *o = out + (size_t)r * out_stride;
        uint32_t e = 0;
#define SUM(rows, vecs) sum_rows(o + e, out_stride, cr, ar, a_stride, b, e, b_stride, i0, i1, t, next, rows, vecs)
        for (; e + N_VECS * VW <= width; e += N_VECS * VW) {
            if (mr == MAX_ROWS)
                SUM(MAX_ROWS, N_VECS);
            else if (mr == 4)
                SUM(4, N_VECS);
            else if (mr == 2)
                SUM(2, N_VECS);
            else
                SUM(1, N_VECS);
        }
        for (; e < width; e += VW) {
            if (mr == MAX_ROWS)
                SUM(MAX_ROWS, 1);
            else if (mr == 4)
                SUM(4, 1);
            else if (mr == 2)
                SUM(2, 1);
            else
                SUM(1, 1);
        }
#undef SUM
        r += mr;
    }
}

/* Turns one row of scores into weights; returns what the row's earlier sums are to be multiplied by. */
static float soften_row(float *s, uint32_t lo, uint32_t hi, float softcap, float *m, float *l)
{
    if (softcap != 0.0F) op_softcap(s, WICK_KV_BLOCK, 1.0F, softcap);
    for (uint32_t j = 0; j < lo; j++) s[j] = -INFINITY;
    for (uint32_t j = hi; j < WICK_KV_BLOCK; j++) s[j] = -INFINITY;
    vf top = vf_load(s);
    for (uint32_t j = VW; j < WICK_KV_BLOCK; j += VW) top = vf_max(top, vf_load(s + j));
    float new_m = vf_top(top);
    if (!(new_m > *m)) new_m = *m;
    if (new_m == -INFINITY) { /* nothing but -inf: no weight, unless a NaN has to be seen */
        for (uint32_t j = lo; j < hi; j++) s[j] = s[j] == s[j] ? 0.0F : s[j];
        return 1.0F;
    }
    vf sum = vf_set1(0.0F), shift = vf_set1(new_m);
    for (uint32_t j = 0; j < WICK_KV_BLOCK; j += VW) {
        vf p = vf_exp(vf_sub(vf_load(s + j), shift));
        vf_store(s + j, p);
        sum = vf_add(sum, p);
    }
    float c = 1.0F;
    if (new_m != *m) {
        float f[VW];
        vf_store(f, vf_exp(vf_set1(*m - new_m)));
        c = f[0];
    }
    *l = *l * c + vf_sum(sum);
    *m = new_m;
    return c;
}

FORCE_INLINE void attn_as(const wick_attn_tile *t, wick_dtype kind)
{
    float c[WICK_ATTN_ROWS];
    sum_tile(t->score, WICK_KV_BLOCK, NULL, t->q, t->k_dim, t->k, WICK_KV_BLOCK, 0, t->k_dim, kind, t->v, t->n,
             WICK_KV_BLOCK);
    for (uint32_t r = 0; t->slope && r < t->n; r++)
        for (uint32_t j = 0; j < WICK_KV_BLOCK; j++)
            t->score[(size_t)r * WICK_KV_BLOCK + j] -= t->slope[r] * fabsf(t->at[r] - (float)j);
    for (uint32_t r = 0; r < t->n; r++)
        if (t->lo[r] < t->hi[r])
            c[r] = soften_row(t->score + (size_t)r * WICK_KV_BLOCK, t->lo[r], t->hi[r], t->softcap, t->m + r, t->l + r);
    /* Only positions that a row may see are touched: what lies beyond (another row's future, old memory) may be NaN. */
    for (uint32_t r = 0; r < t->n;) {
        uint32_t e = r + 1;
        while (e < t->n && t->lo[e] == t->lo[r] && t->hi[e] == t->hi[r]) e++;
        if (t->lo[r] < t->hi[r])
            sum_tile(t->acc + (size_t)r * t->v_pad, t->v_pad, c + r, t->score + (size_t)r * WICK_KV_BLOCK,
                     WICK_KV_BLOCK, t->v, t->v_pad, t->lo[r], t->hi[r], kind, r == 0 ? t->next : NULL, e - r, t->v_pad);
        r = e;
    }
}

static void op_attn(const wick_attn_tile *t)
{
    if (t->dtype == WICK_DTYPE_F32)
        attn_as(t, WICK_DTYPE_F32);
    else if (t->dtype == WICK_DTYPE_F16)
        attn_as(t, WICK_DTYPE_F16);
    else
        attn_as(t, WICK_DTYPE_BF16);
}

static void op_attn_merge(float *acc, float *m, float *l, const float *acc2, float m2, float l2, uint32_t v_pad)
{
    float top = m2 > *m ? m2 : *m;
    if (m2 == -INFINITY && l2 == 0.0F) return; /* saw nothing; even the sign of zero stays */
    if (*m == -INFINITY && *l == 0.0F) {
        memcpy(acc, acc2, v_pad * sizeof *acc);
        *m = m2;
        *l = l2;
        return;
    }
    float f[VW], g[VW];
    vf_store(f, vf_exp(vf_set1(*m - top)));
    vf_store(g, vf_exp(vf_set1(m2 - top)));
    for (uint32_t i = 0; i < v_pad; i += VW)
        vf_store(acc + i, vf_fma(vf_load(acc2 + i), vf_set1(g[0]), vf_mul(vf_load(acc + i), vf_set1(f[0]))));
    *l = *l * f[0] + l2 * g[0];
    *m = top;
}

static void op_attn_finish(float *dst, const float *acc, float m, float l, const float *sink, uint32_t v_dim)
{
    float scale = 1.0F;
    if (sink) {
        float top = *sink > m ? *sink : m;
        scale = expf(m - top);
        l = l * scale + expf(*sink - top);
    }
    float r = scale / l;
    FOR_EACH_VEC(v_dim, i, k) store_w(dst + i, k, vf_mul(load_w(acc + i, k), vf_set1(r)));
}
