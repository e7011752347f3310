/* backend/mlx/linear.c - products with weights of any encoding, rows of a table, and activation functions. */
#include <math.h>

#include "backend/mlx/mlx.h"

enum {
    /* On a GPU a prompt of this many rows or more multiplies with expanded weights: on an H200, 8B 4-bit g64, a
     * quantized product gives 7.7k and 8.6k tok/s for 512 and 2,048 rows, expanding first 17.8k and 33.8k. */
    EXPAND_ROWS = 256,
    /* On CUDA a quantized product of 2 to 7 rows takes up to 3.5 times as long as one of 8 (H200, 28672 x 4096: 270
     * against 70 us), so it is made one of 8. */
    PAD_ROWS = 8
};

void wick_mlx_tune(wick_backend_model *m)
{
    if (!m->ctx->gpu) return;
    m->expand_rows = EXPAND_ROWS;
#ifndef __APPLE__
    m->pad_rows = PAD_ROWS;
#endif
}

static mlx_array global_scaled(wick_backend_model *m, const wick_mlx_lin *l, mlx_array y)
{
    return l->global_scale == 1.0F ? y : wick_mx_multiply(&m->g, y, wick_mx_scalar(&m->g, l->global_scale, m->act));
}

mlx_array wick_mlx_linear(wick_backend_model *m, const wick_mlx_lin *l, mlx_array x, uint32_t n, mlx_array bias)
{
    wick_graph *g = &m->g;
    if (!l->quantized) {
        if (bias.ctx) return wick_mx_addmm(g, bias, x, l->wt);
        return wick_mx_matmul(g, x, l->wt);
    }
    wick_mlx_own own = wick_mlx_own_kernel(m, l, n);
    mlx_array y = own ? wick_mlx_own_product(m, own, l, x, n) : wick_mlx_product(m, l, x, n);
    y = global_scaled(m, l, y);
    return bias.ctx ? wick_mx_add(g, y, bias) : y;
}

mlx_array wick_mlx_gather_linear(wick_backend_model *m, const wick_mlx_lin *l, mlx_array x, mlx_array idx, bool sorted)
{
    wick_graph *g = &m->g;
    mlx_array r = {0};
    int rc;
    if (g->failed) return r;
    if (l->n_mat == 1) return wick_mlx_linear(m, l, x, 1, r); /* one expert */
    if (l->quantized)
        rc = wick_mlx.gather_qmm(&r, x, l->w, l->scales, l->biases, (mlx_array){0}, idx, true, wick_mlx_some(l->group),
                                 wick_mlx_some(l->bits), l->mode, sorted, g->stream);
    else
        rc = wick_mlx.gather_mm(&r, x, l->wt, (mlx_array){0}, idx, sorted, g->stream);
    return global_scaled(m, l, wick_graph_keep(g, rc, r));
}

mlx_array wick_mlx_rows(wick_backend_model *m, const wick_mlx_lin *l, mlx_array ids, uint32_t n)
{
    wick_graph *g = &m->g;
    (void)n;
    mlx_array w = wick_mx_take(g, l->w, ids, 0);
    if (!l->quantized) return w;
    mlx_array biases = {0};
    if (l->biases.ctx) biases = wick_mx_take(g, l->biases, ids, 0);
    return global_scaled(m, l, wick_mlx_expanded(m, l, w, wick_mx_take(g, l->scales, ids, 0), biases));
}

static mlx_array num(wick_backend_model *m, float v)
{
    return wick_mx_scalar(&m->g, v, m->act);
}

static mlx_array gelu(wick_backend_model *m, mlx_array x)
{
    wick_graph *g = &m->g;
    mlx_array e = wick_mx_erf(g, wick_mx_multiply(g, x, num(m, 0.70710678118654752F)));
    return wick_mx_multiply(g, wick_mx_multiply(g, x, num(m, 0.5F)), wick_mx_add(g, e, num(m, 1.0F)));
}

/* 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
static mlx_array gelu_tanh(wick_backend_model *m, mlx_array x)
{
    wick_graph *g = &m->g;
    mlx_array cube = wick_mx_multiply(g, wick_mx_multiply(g, wick_mx_square(g, x), x), num(m, 0.044715F));
    mlx_array t = wick_mx_tanh(g, wick_mx_multiply(g, wick_mx_add(g, x, cube), num(m, 0.79788456080286536F)));
    return wick_mx_multiply(g, wick_mx_multiply(g, x, num(m, 0.5F)), wick_mx_add(g, t, num(m, 1.0F)));
}

static mlx_array swiglu_oai(wick_backend_model *m, float alpha, float limit, mlx_array gate, mlx_array up)
{
    wick_graph *g = &m->g;
    if (limit != 0.0F) {
        gate = wick_mx_minimum(g, gate, num(m, limit));
        up = wick_mx_maximum(g, wick_mx_minimum(g, up, num(m, limit)), num(m, -limit));
    }
    mlx_array s = wick_mx_multiply(g, gate, wick_mx_sigmoid(g, wick_mx_multiply(g, gate, num(m, alpha))));
    return wick_mx_multiply(g, s, wick_mx_add(g, up, num(m, 1.0F)));
}

/* With p = max(x, 0) and n = min(x, 0): alpha p^2 + limit (e^n - 1 - n) + x / 2, in float32 for the difference. */
static mlx_array xielu(wick_backend_model *m, float alpha, float limit, mlx_array x)
{
    wick_graph *g = &m->g;
    mlx_array zero = wick_mx_scalar(g, 0.0F, MLX_FLOAT32), one = wick_mx_scalar(g, 1.0F, MLX_FLOAT32);
    mlx_array v = wick_mx_astype(g, x, MLX_FLOAT32), n = wick_mx_minimum(g, v, zero);
    mlx_array low = wick_mx_subtract(g, wick_mx_subtract(g, wick_mx_exp(g, n), one), n);
    mlx_array high = wick_mx_square(g, wick_mx_maximum(g, v, zero));
    mlx_array y = wick_mx_add(g, wick_mx_multiply(g, high, wick_mx_scalar(g, alpha, MLX_FLOAT32)),
                              wick_mx_multiply(g, low, wick_mx_scalar(g, limit, MLX_FLOAT32)));
    y = wick_mx_add(g, y, wick_mx_multiply(g, v, wick_mx_scalar(g, 0.5F, MLX_FLOAT32)));
    return wick_mx_astype(g, y, m->act);
}

static mlx_array activate(wick_backend_model *m, wick_act act, mlx_array x)
{
    wick_graph *g = &m->g;
    switch (act) {
    case WICK_ACT_SILU: return wick_mx_multiply(g, x, wick_mx_sigmoid(g, x));
    case WICK_ACT_GELU: return gelu(m, x);
    case WICK_ACT_GELU_TANH: return gelu_tanh(m, x);
    case WICK_ACT_RELU: return wick_mx_maximum(g, x, num(m, 0.0F));
    case WICK_ACT_RELU2: return wick_mx_square(g, wick_mx_maximum(g, x, num(m, 0.0F)));
    case WICK_ACT_SWIGLU_OAI:
    case WICK_ACT_XIELU:
    case WICK_ACT_IDENTITY: break;
    }
    return x;
}

static mlx_array plain_activation(wick_backend_model *m, wick_act act, mlx_array gate, mlx_array up)
{
    return gate.ctx ? wick_mx_multiply(&m->g, activate(m, act, gate), up) : activate(m, act, up);
}

/* Compilation turns the activation and its product into one kernel. The traced function builds on the model's own
 * graph: it runs inside wick_mlx_activation, once for each number of inputs and type. */
typedef struct traced {
    wick_backend_model *m;
    wick_act act;
} traced;

static int trace(mlx_vector_array *out, const mlx_vector_array in, void *payload)
{
    const traced *t = payload;
    mlx_array gate = {0}, up = {0};
    if (wick_mlx.vector_array_get(&gate, in, 0) || wick_mlx.vector_array_get(&up, in, 1)) return 1;
    mlx_array y = plain_activation(t->m, t->act, gate, up);
    wick_array_drop(&gate);
    wick_array_drop(&up);
    if (t->m->g.failed) return 1;
    *out = wick_mlx.vector_array_new_data(&y, 1);
    return out->ctx ? 0 : 1;
}

static mlx_closure compiled(wick_backend_model *m, wick_act act)
{
    mlx_closure *c = &m->fused_act[act];
    if (c->ctx) return *c;
    traced *t = wick_alloc_zero(1, sizeof *t);
    if (!t) return *c;
    *t = (traced){m, act};
    mlx_closure plain = wick_mlx.closure_new_func_payload(trace, t, wick_free);
    if (plain.ctx) {
        wick_mlx.compile(c, plain, true);
        wick_mlx.closure_free(plain);
    }
    return *c;
}

static mlx_array apply(wick_backend_model *m, mlx_closure c, mlx_array gate, mlx_array up)
{
    mlx_array in[2] = {gate, up}, y = {0};
    mlx_vector_array args = wick_mlx.vector_array_new_data(in, 2), out = {0};
    int rc = args.ctx ? wick_mlx.closure_apply(&out, c, args) : 1;
    if (rc == 0) rc = wick_mlx.vector_array_get(&y, out, 0);
    if (args.ctx) wick_mlx.vector_array_free(args);
    if (out.ctx) wick_mlx.vector_array_free(out);
    return wick_graph_keep(&m->g, rc, y);
}

mlx_array wick_mlx_activation(wick_backend_model *m, wick_act act, float alpha, float limit, mlx_array gate,
                              mlx_array up)
{
    if (act == WICK_ACT_SWIGLU_OAI && gate.ctx) return swiglu_oai(m, alpha, limit, gate, up);
    if (act == WICK_ACT_XIELU) return xielu(m, alpha, limit, up);
    if (m->compiled && gate.ctx && !m->g.failed) {
        mlx_closure c = compiled(m, act);
        if (c.ctx) return apply(m, c, gate, up);
    }
    return plain_activation(m, act, gate, up);
}
