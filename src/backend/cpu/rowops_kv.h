/* backend/cpu/rowops_kv.h - part of rowops_body.h: rows into blocks of KV and back. See wick_kv_layout. */

FORCE_INLINE uint16_t to_half(float x, wick_dtype t)
{
#if defined(WICK_VEC_AVX512) || defined(WICK_VEC_AVX2)
    if (t == WICK_DTYPE_F16) return (uint16_t)_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT);
#endif
    return t == WICK_DTYPE_F16 ? wick_f32_to_f16(x) : wick_f32_to_bf16(x);
}

FORCE_INLINE float from_half(uint16_t h, wick_dtype t)
{
    return t == WICK_DTYPE_F16 ? wick_f16_to_f32(h) : wick_bf16_to_f32(h);
}

/* One group to codes in [-top, top] and the scale as float16. A group that holds NaN or infinity gets a scale
 * of that kind, so that it stays visible. */
static uint16_t quantize_group(const float *x, uint32_t n, float top, int8_t *code)
{
    float amax = 0.0F;
    bool finite = true;
    for (uint32_t i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        amax = a > amax ? a : amax;
        finite = finite && isfinite(x[i]);
    }
    uint16_t h = wick_f32_to_f16(finite ? amax / top : NAN);
    float d = wick_f16_to_f32(h), r = d > 0.0F && isfinite(d) ? 1.0F / d : 0.0F;
    for (uint32_t i = 0; i < n; i++) {
        float q = finite ? x[i] * r : 0.0F;
        q = q > top ? top : q < -top ? -top : q;
        code[i] = (int8_t)lrintf(q);
    }
    return h;
}

/* Q8_0: a byte per value. Q4_0: two values a byte, K's dimensions 2i, 2i+1 and V's likewise, low nibble first, plus
 * 8. */
static void put_quantized(const wick_kv_layout *l, uint8_t *head, uint32_t j, const float *x, bool is_v)
{
    uint32_t dim = is_v ? l->v_dim : l->k_dim;
    bool q4 = l->dtype == WICK_DTYPE_Q4_0;
    uint16_t *scale = (uint16_t *)(void *)(head + (is_v ? l->v_scale_offset : l->k_scale_offset));
    uint8_t *code = head + (is_v ? l->v_offset : 0);
    for (uint32_t g = 0; g * WICK_KV_GROUP < dim; g++) {
        uint32_t d0 = g * WICK_KV_GROUP, n = dim - d0 < WICK_KV_GROUP ? dim - d0 : WICK_KV_GROUP;
        int8_t c[WICK_KV_GROUP] = {0};
        uint16_t h = quantize_group(x + d0, n, q4 ? 7.0F : 127.0F, c);
        if (is_v)
            scale[(size_t)j * l->v_groups + g] = h;
        else
            scale[(size_t)g * WICK_KV_BLOCK + j] = h;
        for (uint32_t i = 0; i < n; i += q4 ? 2 : 1) {
            uint8_t byte = q4 ? (uint8_t)((c[i] + 8) | (c[i + 1] + 8) << 4) : (uint8_t)c[i];
            uint32_t d = q4 ? (d0 + i) / 2 : d0 + i;
            uint32_t v_row = q4 ? l->v_pad / 2 : l->v_pad;
            code[is_v ? (size_t)j * v_row + d : (size_t)d * WICK_KV_BLOCK + j] = byte;
        }
    }
}

FORCE_INLINE float quantized_at(const wick_kv_layout *l, const uint8_t *code, size_t at, uint32_t d)
{
    if (l->dtype == WICK_DTYPE_Q8_0) return (float)(int8_t)code[at];
    return (float)((int)(d % 2 ? code[at] >> 4 : code[at] & 15) - 8);
}

static float get_quantized(const wick_kv_layout *l, const uint8_t *head, uint32_t j, uint32_t d, bool is_v)
{
    bool q4 = l->dtype == WICK_DTYPE_Q4_0;
    const uint16_t *scale = (const uint16_t *)(const void *)(head + (is_v ? l->v_scale_offset : l->k_scale_offset));
    const uint8_t *code = head + (is_v ? l->v_offset : 0);
    uint32_t g = d / WICK_KV_GROUP, i = q4 ? d / 2 : d;
    if (is_v)
        return quantized_at(l, code, (size_t)j * (q4 ? l->v_pad / 2 : l->v_pad) + i, d) *
               wick_f16_to_f32(scale[(size_t)j * l->v_groups + g]);
    return quantized_at(l, code, (size_t)i * WICK_KV_BLOCK + j, d) *
           wick_f16_to_f32(scale[(size_t)g * WICK_KV_BLOCK + j]);
}

static void op_kv_put(const wick_kv_layout *l, void *head, uint32_t j, const float *k, const float *v)
{
    uint8_t *vp = (uint8_t *)head + l->v_offset;
    if (l->dtype == WICK_DTYPE_F32) {
        float *kd = head, *vd = (float *)(void *)vp + (size_t)j * l->v_pad;
        for (uint32_t d = 0; d < l->k_dim; d++) kd[(size_t)d * WICK_KV_BLOCK + j] = k[d];
        for (uint32_t d = 0; v && d < l->v_dim; d++) vd[d] = v[d];
    } else if (wick_dtype_is_float(l->dtype)) {
        uint16_t *kd = head, *vd = (uint16_t *)(void *)vp + (size_t)j * l->v_pad;
        if (l->dtype == WICK_DTYPE_F16) {
            for (uint32_t d = 0; d < l->k_dim; d++) kd[(size_t)d * WICK_KV_BLOCK + j] = to_half(k[d], WICK_DTYPE_F16);
            for (uint32_t d = 0; v && d < l->v_dim; d++) vd[d] = to_half(v[d], WICK_DTYPE_F16);
        } else {
            for (uint32_t d = 0; d < l->k_dim; d++) kd[(size_t)d * WICK_KV_BLOCK + j] = to_half(k[d], WICK_DTYPE_BF16);
            for (uint32_t d = 0; v && d < l->v_dim; d++) vd[d] = to_half(v[d], WICK_DTYPE_BF16);
        }
    } else {
        put_quantized(l, head, j, k, false);
        if (v) put_quantized(l, head, j, v, true);
    }
}

static void op_kv_get(const wick_kv_layout *l, const void *head, uint32_t j, float *k, float *v)
{
    const uint8_t *vp = (const uint8_t *)head + l->v_offset;
    if (l->dtype == WICK_DTYPE_F32) {
        const float *ks = head, *vs = (const float *)(const void *)vp + (size_t)j * l->v_pad;
        for (uint32_t d = 0; k && d < l->k_dim; d++) k[d] = ks[(size_t)d * WICK_KV_BLOCK + j];
        for (uint32_t d = 0; v && d < l->v_dim; d++) v[d] = vs[d];
    } else if (wick_dtype_is_float(l->dtype)) {
        const uint16_t *ks = head, *vs = (const uint16_t *)(const void *)vp + (size_t)j * l->v_pad;
        for (uint32_t d = 0; k && d < l->k_dim; d++) k[d] = from_half(ks[(size_t)d * WICK_KV_BLOCK + j], l->dtype);
        for (uint32_t d = 0; v && d < l->v_dim; d++) v[d] = from_half(vs[d], l->dtype);
    } else {
        for (uint32_t d = 0; k && d < l->k_dim; d++) k[d] = get_quantized(l, head, j, d, false);
        for (uint32_t d = 0; v && d < l->v_dim; d++) v[d] = get_quantized(l, head, j, d, true);
    }
}

/* One vector of codes as floats. K: VW positions of dimension d; V: VW dimensions from d on (d a multiple of VW). */
FORCE_INLINE vf k_codes(const wick_kv_layout *l, const uint8_t *code, uint32_t d, uint32_t j)
{
    if (l->dtype == WICK_DTYPE_Q8_0) return vf_load_i8((const int8_t *)code + (size_t)d * WICK_KV_BLOCK + j);
    int8_t c[VW];
    const uint8_t *p = code + (size_t)(d / 2) * WICK_KV_BLOCK + j;
    for (int i = 0; i < VW; i++) c[i] = (int8_t)((int)(d % 2 ? p[i] >> 4 : p[i] & 15) - 8);
    return vf_load_i8(c);
}

FORCE_INLINE vf v_codes(const wick_kv_layout *l, const uint8_t *code, uint32_t j, uint32_t d)
{
    if (l->dtype == WICK_DTYPE_Q8_0) return vf_load_i8((const int8_t *)code + (size_t)j * l->v_pad + d);
    int8_t c[VW];
    const uint8_t *p = code + ((size_t)j * l->v_pad + d) / 2;
    for (int i = 0; i < VW; i++) c[i] = (int8_t)((int)(i % 2 ? p[i / 2] >> 4 : p[i / 2] & 15) - 8);
    return vf_load_i8(c);
}

static void op_kv_unpack(const wick_kv_layout *l, const void *head, float *k, float *v)
{
    const uint8_t *base = head;
    const uint16_t *ks = (const uint16_t *)(const void *)(base + l->k_scale_offset);
    const uint16_t *vs = (const uint16_t *)(const void *)(base + l->v_scale_offset);
    for (uint32_t d = 0; d < l->k_dim; d++) {
        const uint16_t *s = ks + (size_t)(d / WICK_KV_GROUP) * WICK_KV_BLOCK;
        for (uint32_t j = 0; j < WICK_KV_BLOCK; j += VW)
            vf_store(k + (size_t)d * WICK_KV_BLOCK + j, vf_mul(k_codes(l, base, d, j), vf_load_f16(s + j)));
    }
    for (uint32_t j = 0; v && j < WICK_KV_BLOCK; j++)
        for (uint32_t d = 0; d < l->v_pad; d += VW) {
            float s = wick_f16_to_f32(vs[(size_t)j * l->v_groups + d / WICK_KV_GROUP]);
            vf_store(v + (size_t)j * l->v_pad + d, vf_mul(v_codes(l, base + l->v_offset, j, d), vf_set1(s)));
        }
}
