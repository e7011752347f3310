/* backend/mlx/arrays.c - MLX arrays over memory of ours, and values in the types of their elements. */
#include <string.h>

#include "backend/mlx/load.h"

mlx_dtype wick_mlx_dtype_of(wick_dtype t)
{
    return t == WICK_DTYPE_F16 ? MLX_FLOAT16 : t == WICK_DTYPE_BF16 ? MLX_BFLOAT16 : MLX_FLOAT32;
}

size_t wick_mlx_dtype_bytes(mlx_dtype t)
{
    return t == MLX_UINT8 ? 1 : t == MLX_FLOAT16 || t == MLX_BFLOAT16 ? 2 : 4;
}

static void no_free(void *p)
{
    (void)p;
}

mlx_array wick_mlx_wrap(const void *data, void *owner, const int *dims, int n, mlx_dtype t)
{
    return wick_mlx.array_new_data_managed_payload((void *)(uintptr_t)data, dims, n, t, owner,
                                                   owner ? wick_free : no_free);
}

void wick_mlx_put_float(mlx_dtype t, float v, void *dst, size_t i)
{
    uint16_t h;
    if (t == MLX_FLOAT32) {
        memcpy((float *)dst + i, &v, sizeof v);
        return;
    }
    h = t == MLX_FLOAT16 ? wick_f32_to_f16(v) : wick_f32_to_bf16(v);
    memcpy((uint16_t *)dst + i, &h, sizeof h);
}

mlx_array wick_mlx_shaped(const wick_mlx_lin *l, const void *data, void *owner, uint32_t cols, mlx_dtype t)
{
    int dims[3] = {(int)l->n_mat, (int)l->n_out, (int)cols};
    return l->n_mat > 1 ? wick_mlx_wrap(data, owner, dims, 3, t) : wick_mlx_wrap(data, owner, dims + 1, 2, t);
}
