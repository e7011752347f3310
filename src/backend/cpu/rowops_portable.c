/* backend/cpu/rowops_portable.c - the row kernels in plain C: the definition. Also what belongs to no instruction set:
 * the choice of a table and the layout of KV blocks. */
#define WICK_ROWOPS wick_rowops_portable
#define WICK_ROWOPS_NAME "portable"
#include "backend/cpu/rowops_body.h"

const wick_rowops *wick_rowops_pick(const wick_lin_isa *isa)
{
    const char *name = isa->name;
#if defined(__x86_64__)
    if (strncmp(name, "avx512", 6) == 0) return &wick_rowops_avx512;
    if (strncmp(name, "amx", 3) == 0) return &wick_rowops_avx512;
    if (strncmp(name, "avx", 3) == 0) return &wick_rowops_avx2;
#elif defined(__aarch64__)
    if (strcmp(name, "portable") != 0) return &wick_rowops_neon;
#endif
    (void)name;
    return &wick_rowops_portable;
}

static uint64_t align64(uint64_t n)
{
    return (n + 63) & ~(uint64_t)63;
}

bool wick_kv_layout_init(wick_kv_layout *l, wick_dtype dtype, uint32_t k_dim, uint32_t v_dim)
{
    memset(l, 0, sizeof *l);
    l->dtype = dtype;
    l->k_dim = k_dim;
    l->v_dim = v_dim;
    l->v_pad = (v_dim + 15) / 16 * 16;
    uint64_t k = (uint64_t)k_dim * WICK_KV_BLOCK, v = (uint64_t)l->v_pad * WICK_KV_BLOCK;
    if (dtype == WICK_DTYPE_F32) {
        k *= 4, v *= 4;
    } else if (dtype == WICK_DTYPE_F16 || dtype == WICK_DTYPE_BF16) {
        k *= 2, v *= 2;
    } else if (dtype == WICK_DTYPE_Q8_0 || dtype == WICK_DTYPE_Q4_0) {
        if (dtype == WICK_DTYPE_Q4_0) k = (k + WICK_KV_BLOCK) / 2, v /= 2;
        l->k_groups = (k_dim + WICK_KV_GROUP - 1) / WICK_KV_GROUP;
        l->v_groups = (v_dim + WICK_KV_GROUP - 1) / WICK_KV_GROUP;
    } else {
        return false;
    }
    l->v_offset = align64(k);
    l->k_scale_offset = l->v_offset + align64(v);
    l->v_scale_offset = l->k_scale_offset + align64((uint64_t)l->k_groups * WICK_KV_BLOCK * 2);
    l->head_bytes = l->v_scale_offset + align64((uint64_t)l->v_groups * WICK_KV_BLOCK * 2);
    return true;
}
