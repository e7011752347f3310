/* backend/mlx/fused.c - a step of one token of one sequence on CUDA as one kernel, cuda/decode.cu.
 *
 * Op by op such a step is some 24 launches a layer, which on an H200 take longer than reading a 1B model's weights. It
 * fits plans of the usual shape (norm, attention, add, norm, MLP, add; biases of q, k, v, norms of q and k, norms
 * behind, windows, layers without rotation), with weights as floats of the activations' type or affine of 4 bits.
 * Layers are split into parts where their pointers are too many for one launch.
 *
 * The kernel writes K and V where they lie, which MLX does not know of: arrays are values to it. So it runs only on
 * bundles whose arrays nobody else refers to (wick_bundle.own), and all that reads them later is evaluated later, on
 * the same stream. It is compiled and tried at load: used only if it gives the logits that the ops give, and sooner.
 * Off with --mlx-compile off.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <wick_decode_cuda.h> /* made by the build: cuda/decode.cuh and .cu as text */

#include "backend/mlx/kv.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/sys.h"

enum {
    MAX_POINTERS = 400, /* of a launch */
    THREADS = 512,
    MAX_HEAD = 256,
    MAX_SHARED = 200 * 1024,
    PROBE_BLOCKS = 2048,
    TRIAL_STEPS = 24,
    TRIAL_ROUNDS = 2,
    OWN_INPUTS = 4,  /* x, meta, fmeta, scratch */
    FIXED_INPUTS = 5 /* of a layer: two norms, K, V, frequencies */
};

static const uint64_t LARGE = 64 << 20; /* bytes of weights; for less a kernel is not compiled */

/* The nodes of a layer; posts are NULL where there are none. */
typedef struct layer {
    const wick_mlx_node *norm1, *attn, *post1, *add1, *norm2, *mlp, *post2, *add2;
} layer;

typedef struct part {
    mlx_fast_cuda_kernel kernel;
    uint32_t first, n_layers;
    bool head;
    mlx_array *in;   /* [n_in]: those that are the same in every step; the rest is filled in */
    mlx_dtype *type; /* [n_in] */
    uint32_t n_in, shared;
    int32_t *meta; /* [2 + 2 * n_layers] */
} part;

struct wick_mlx_decode {
    layer *layer;                                  /* [n_layers] */
    uint32_t n_layers, n_parts, n_blocks, n_nodes; /* n_nodes: done when all parts have run */
    bool packed, head, on;
    part *part;
    mlx_array scratch, numbers;
};

/* Layer l is like the first in all that the kernel takes as constant. */
static bool same_attn(const wick_op_attn *a, const wick_op_attn *b)
{
    bool rope =
        !a->rope || !b->rope || (a->rope->n_dims == b->rope->n_dims && a->rope->interleaved == b->rope->interleaved);
    return rope && a->n_head == b->n_head && a->n_kv_head == b->n_kv_head && a->head_dim == b->head_dim &&
           !a->q_norm == !b->q_norm && !a->bq == !b->bq && a->scale == b->scale && a->qk_norm_eps == b->qk_norm_eps;
}

static bool attn_fits(const wick_mlx_node *n)
{
    const wick_op_attn *o = &n->op->u.attn;
    bool norms = !o->q_norm == !o->k_norm && !o->v_norm &&
                 (!o->q_norm || (o->qk_norm_kind == WICK_NORM_RMS && !o->qk_norm_whole_row && !o->qk_norm_after_rope &&
                                 !o->qk_norm_per_head_w));
    bool rope = !o->rope || (o->rope->first_dim == 0 && n->v[V_FREQS].ctx && !n->v[V_MSCALE].ctx);
    return norms && rope && n->w[W_QKV] && !n->v[V_O].ctx && !n->v[V_SINKS].ctx && !o->kv_shared &&
           o->head_dim == o->v_head_dim && o->head_dim % 8 == 0 && o->head_dim <= MAX_HEAD &&
           o->n_head % o->n_kv_head == 0 && o->softcap == 0.0F && o->clip_qkv == 0.0F && !o->out_gate && !o->chunked &&
           o->temp_beta == 0.0F && !o->both && !o->alibi;
}

static bool mlp_fits(const wick_mlx_node *n)
{
    const wick_op_mlp *o = &n->op->u.mlp;
    return (o->act == WICK_ACT_SILU || o->act == WICK_ACT_GELU_TANH) && n->w[W_GATE] && !n->w[W_UP] &&
           !n->v[V_GATE].ctx && !n->v[V_DOWN].ctx && o->n_ff % 32 == 0;
}

static bool norm_fits(const wick_mlx_node *n, float eps)
{
    const wick_op_norm *o = &n->op->u.norm;
    return o->kind == WICK_NORM_RMS && n->v[V_W].ctx && !n->v[V_B].ctx && o->eps == eps;
}

/* The next node, if it is of this kind, from register src to dst. */
static const wick_mlx_node *take(const wick_backend_model *m, uint32_t *at, wick_op_kind kind, wick_reg src,
                                 wick_reg dst)
{
    if (*at >= m->n_nodes) return NULL;
    const wick_mlx_node *n = &m->node[*at];
    if (n->op->kind != kind || n->op->src != src || n->op->dst != dst) return NULL;
    ++*at;
    return n;
}

static bool take_layer(const wick_backend_model *m, uint32_t *at, layer *l)
{
    const wick_reg x = WICK_R_X, h = WICK_R_H;
    l->norm1 = take(m, at, WICK_OP_NORM, x, h);
    l->attn = take(m, at, WICK_OP_ATTN, h, h);
    l->post1 = take(m, at, WICK_OP_NORM, h, h);
    l->add1 = take(m, at, WICK_OP_ADD, h, x);
    l->norm2 = take(m, at, WICK_OP_NORM, x, h);
    l->mlp = take(m, at, WICK_OP_MLP, h, h);
    l->post2 = take(m, at, WICK_OP_NORM, h, h);
    l->add2 = take(m, at, WICK_OP_ADD, h, x);
    return l->norm1 && l->attn && l->add1 && l->norm2 && l->mlp && l->add2 && !l->post1 == !l->post2;
}

static bool lin_fits(const wick_backend_model *m, const wick_mlx_lin *l, const wick_mlx_lin *like)
{
    if (l->n_mat != 1 || l->global_scale != 1.0F || l->quantized != like->quantized || l->n_in % 32) return false;
    if (!l->quantized) return true; /* of the activations' type, see load.c */
    return m->act != MLX_FLOAT32 && l->bits == 4 && l->biases.ctx && strcmp(l->mode, "affine") == 0 &&
           l->group == like->group && l->group % 32 == 0;
}

static bool layer_fits(const wick_backend_model *m, const layer *l, const layer *first)
{
    const wick_op_norm *n1 = &first->norm1->op->u.norm;
    const wick_op_mlp *mlp = &l->mlp->op->u.mlp, *mlp1 = &first->mlp->op->u.mlp;
    const wick_mlx_lin *like = first->mlp->w[W_DOWN];
    return norm_fits(l->norm1, n1->eps) && norm_fits(l->norm2, n1->eps) &&
           (!l->post1 || norm_fits(l->post1, n1->eps)) && (!l->post2 || norm_fits(l->post2, n1->eps)) &&
           !l->post1 == !first->post1 && attn_fits(l->attn) &&
           same_attn(&l->attn->op->u.attn, &first->attn->op->u.attn) && mlp_fits(l->mlp) && mlp->act == mlp1->act &&
           mlp->n_ff == mlp1->n_ff && memcmp(&l->add1->op->u.add, &first->add1->op->u.add, sizeof(wick_op_add)) == 0 &&
           memcmp(&l->add2->op->u.add, &first->add2->op->u.add, sizeof(wick_op_add)) == 0 &&
           lin_fits(m, l->attn->w[W_QKV], like) && lin_fits(m, l->attn->w[W_O], like) &&
           lin_fits(m, l->mlp->w[W_GATE], like) && lin_fits(m, l->mlp->w[W_DOWN], like);
}

/* All layers of the plan, and its head if it can be part of it. */
static bool read_plan(const wick_backend_model *m, wick_mlx_decode *d)
{
    uint32_t at = 1;
    if (m->n_nodes < 8 || m->node[0].op->kind != WICK_OP_EMBED || m->node[0].op->dst != WICK_R_X) return false;
    for (; d->n_layers < m->plan->n_layer; d->n_layers++) {
        layer *l = &d->layer[d->n_layers];
        if (!take_layer(m, &at, l) || !layer_fits(m, l, &d->layer[0])) return false;
    }
    if (d->n_layers == 0) return false;
    d->n_nodes = at;
    const wick_mlx_node *norm = take(m, &at, WICK_OP_NORM, WICK_R_X, WICK_R_X);
    const wick_mlx_node *head = norm && at < m->n_nodes && m->node[at].op->kind == WICK_OP_HEAD ? &m->node[at] : NULL;
    if (!head || at + 1 != m->n_nodes || head->op->src != WICK_R_X) return false;
    const wick_mlx_lin *like = d->layer[0].mlp->w[W_DOWN];
    d->packed = like->quantized;
    d->head =
        norm_fits(norm, d->layer[0].norm1->op->u.norm.eps) && !head->v[V_B].ctx && lin_fits(m, head->w[W_MAIN], like);
    if (d->head) d->n_nodes = at + 1;
    return true;
}

static uint32_t pointers_of_layer(const wick_mlx_decode *d)
{
    const layer *l = &d->layer[0];
    return FIXED_INPUTS + (d->packed ? 12 : 4) + (l->attn->v[V_QN].ctx ? 2 : 0) + (l->attn->v[V_Q].ctx ? 1 : 0) +
           (l->post1 ? 2 : 0);
}

static void add(part *p, mlx_array a, mlx_dtype type)
{
    p->type[p->n_in] = type;
    p->in[p->n_in++] = a;
}

static void add_lin(const wick_backend_model *m, part *p, const wick_mlx_lin *l)
{
    add(p, l->w, l->quantized ? MLX_UINT32 : m->act);
    if (!l->quantized) return;
    add(p, l->scales, m->act);
    add(p, l->biases, m->act);
}

/* In the order of cuda/decode.cu. K and V are the sequence's. */
static void add_layer(const wick_backend_model *m, part *p, const layer *l, mlx_array freqs)
{
    const mlx_array none = {0};
    const mlx_array *v = l->attn->v;
    add(p, l->norm1->v[V_W], m->act);
    add(p, l->norm2->v[V_W], m->act);
    add(p, none, m->act);
    add(p, none, m->act);
    add(p, v[V_FREQS].ctx ? v[V_FREQS] : freqs, MLX_FLOAT32);
    add_lin(m, p, l->attn->w[W_QKV]);
    add_lin(m, p, l->attn->w[W_O]);
    add_lin(m, p, l->mlp->w[W_GATE]);
    add_lin(m, p, l->mlp->w[W_DOWN]);
    if (v[V_QN].ctx) {
        add(p, v[V_QN], m->act);
        add(p, v[V_KN], m->act);
    }
    if (v[V_Q].ctx) add(p, v[V_Q], m->act);
    if (!l->post1) return;
    add(p, l->post1->v[V_W], m->act);
    add(p, l->post2->v[V_W], m->act);
}

static const wick_rope *rope_of(const wick_mlx_decode *d)
{
    for (uint32_t i = 0; i < d->n_layers; i++)
        if (d->layer[i].attn->op->u.attn.rope) return d->layer[i].attn->op->u.attn.rope;
    return NULL;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Bytes of shared memory: Shared, then the widest vector or Attn (cuda/decode.cuh, which checks it). */
static uint32_t shared_bytes(const wick_backend_model *m, const wick_mlx_decode *d, uint32_t n_layers)
{
    const wick_op_attn *a = &d->layer[0].attn->op->u.attn;
    uint32_t n_embd = m->plan->n_embd, warps = THREADS / 32, hg = a->n_head / a->n_kv_head < 2 ? 1 : 2;
    uint32_t widest = max_u32(max_u32(n_embd, d->layer[0].mlp->op->u.mlp.n_ff), a->n_head * a->head_dim);
    uint32_t fixed = 4 * (n_embd + a->head_dim + 2 + 2 * warps + 8 * warps * 4 + widest / 32 + 1) +
                     8 * (n_layers * pointers_of_layer(d) + 8) + 12 * warps + 64;
    uint32_t attn = 4 * (hg * a->head_dim + 2 * a->head_dim + 2 * warps * hg + warps * hg * a->head_dim);
    return (fixed + 15) / 16 * 16 + max_u32(attn, (widest + 1023) / 1024 * 2048);
}

static uint32_t scratch_floats(const wick_backend_model *m, const wick_mlx_decode *d)
{
    const wick_op_attn *a = &d->layer[0].attn->op->u.attn;
    uint32_t heads = 2 * a->n_head + 2 * a->n_kv_head;
    return 64 + 4 * d->n_layers + 16 + 2 * a->n_head + heads * a->head_dim + m->plan->n_embd +
           d->layer[0].mlp->op->u.mlp.n_ff + 32 * a->n_head * (a->head_dim + 2);
}

/* The constants that cuda/decode.cuh needs, and its text. */
static void write_head(const wick_backend_model *m, const wick_mlx_decode *d, const part *p, wick_buf *b)
{
    const layer *l = &d->layer[0];
    const wick_op_attn *a = &l->attn->op->u.attn;
    const wick_rope *r = rope_of(d);
    const struct {
        const char *name;
        uint32_t value;
    } constant[] = {{"Q", d->packed ? 4 : 0},
                    {"G", d->packed ? (uint32_t)l->mlp->w[W_DOWN]->group : 1},
                    {"E", m->plan->n_embd},
                    {"NH", a->n_head},
                    {"NKV", a->n_kv_head},
                    {"D", a->head_dim},
                    {"FF", l->mlp->op->u.mlp.n_ff},
                    {"V", p->head ? m->plan->n_vocab : 0},
                    {"ACT", l->mlp->op->u.mlp.act == WICK_ACT_GELU_TANH},
                    {"NL", p->n_layers},
                    {"PER", pointers_of_layer(d)},
                    {"ROT", r ? r->n_dims : 2},
                    {"PAIRS", r && r->interleaved},
                    {"QKNORM", l->attn->v[V_QN].ctx != NULL},
                    {"BIAS", l->attn->v[V_Q].ctx != NULL},
                    {"POSTNORM", l->post1 != NULL},
                    {"GRID", d->n_blocks},
                    {"THREADS", THREADS},
                    {"SHARED", p->shared}};
    wick_buf_printf(b, "namespace wick_decode {\nusing T = %s;\n", m->act == MLX_FLOAT16 ? "__half" : "__nv_bfloat16");
    for (size_t i = 0; i < sizeof constant / sizeof *constant; i++)
        wick_buf_printf(b, "constexpr int %s = %" PRIu32 ";\n", constant[i].name, constant[i].value);
    if (!p->head) wick_buf_puts(b, "__device__ uint32_t* id;\n__device__ float* logprob;\n"); /* named, never used */
    wick_buf_puts(b, wick_decode_cuh);
    wick_buf_puts(b, "}\n");
}

static void write_body(const part *p, wick_buf *b)
{
    static const char mark[] = "@POINTERS@\n";
    const char *at = strstr(wick_decode_cu, mark);
    wick_buf_add(b, wick_decode_cu, (size_t)(at - wick_decode_cu));
    for (uint32_t i = OWN_INPUTS; i < p->n_in; i++)
        wick_buf_printf(b, "  sh->ptr[%" PRIu32 "] = in%" PRIu32 ";\n", i - OWN_INPUTS, i);
    wick_buf_puts(b, at + sizeof mark - 1);
}

static void input_name(uint32_t i, char *dst, size_t cap)
{
    static const char *const own[OWN_INPUTS] = {"x", "meta", "fmeta", "scratch"};
    if (i < OWN_INPUTS)
        snprintf(dst, cap, "%s", own[i]);
    else
        snprintf(dst, cap, "in%" PRIu32, i);
}

static mlx_vector_string input_names(uint32_t n)
{
    mlx_vector_string v = wick_mlx.vector_string_new();
    char name[16];
    for (uint32_t i = 0; v.ctx && i < n; i++) {
        input_name(i, name, sizeof name);
        if (!wick_mlx.vector_string_append_value(v, name)) continue;
        wick_mlx.vector_string_free(v);
        v.ctx = NULL;
    }
    return v;
}

static const char *c_type(mlx_dtype t)
{
    return t == MLX_BFLOAT16  ? "__nv_bfloat16"
           : t == MLX_FLOAT16 ? "__half"
           : t == MLX_FLOAT32 ? "float"
           : t == MLX_UINT32  ? "uint32_t"
                              : "int32_t";
}

/* The kernel as MLX will define it, declared with its bounds: without them it takes more registers than a block of this
 * size has. */
static void declare(const wick_backend_model *m, const part *p, const char *name, wick_buf *b)
{
    char in[16];
    wick_buf_printf(b, "namespace mlx::core::cu {\n__global__ void __launch_bounds__(%d, 1) custom_kernel_%s(", THREADS,
                    name);
    for (uint32_t i = 0; i < p->n_in; i++) {
        input_name(i, in, sizeof in);
        wick_buf_printf(b, "const %s* %s, ", c_type(p->type[i]), in);
    }
    wick_buf_printf(b, "%s* y%s);\n}\n", c_type(p->head ? MLX_FLOAT32 : m->act),
                    p->head ? ", uint32_t* id, float* logprob" : "");
}

/* Its outputs are y or, of a head, y, id and logprob. */
static mlx_fast_cuda_kernel new_kernel(const char *name, uint32_t n_in, bool picks, const char *body, const char *head,
                                       uint32_t shared)
{
    mlx_fast_cuda_kernel k = {0};
    mlx_vector_string in = input_names(n_in), out = wick_mlx.vector_string_new();
    int rc = out.ctx ? wick_mlx.vector_string_append_value(out, "y") : 1;
    if (rc == 0 && picks)
        rc = wick_mlx.vector_string_append_value(out, "id") || wick_mlx.vector_string_append_value(out, "logprob");
    if (in.ctx && rc == 0) k = wick_mlx.fast_cuda_kernel_new(name, in, out, body, head, false, (int)shared);
    if (in.ctx) wick_mlx.vector_string_free(in);
    if (out.ctx) wick_mlx.vector_string_free(out);
    return k;
}

/* Kernels are kept by name, so the name has the text's hash. */
static bool compile_part(const wick_backend_model *m, const wick_mlx_decode *d, part *p)
{
    wick_buf head = WICK_BUF_INIT, body = WICK_BUF_INIT;
    char name[48];
    write_head(m, d, p, &head);
    write_body(p, &body);
    if (!head.failed && !body.failed) {
        uint64_t hash = wick_hash_data(body.data, body.n, wick_hash_data(head.data, head.n, 0));
        snprintf(name, sizeof name, "wick_decode_%016" PRIx64, hash);
        declare(m, p, name, &head);
        if (!head.failed)
            p->kernel = new_kernel(name, p->n_in, p->head, wick_buf_str(&body), wick_buf_str(&head), p->shared);
    }
    wick_buf_release(&head);
    wick_buf_release(&body);
    return p->kernel.ctx != NULL;
}

/* Layers in as few parts as pointers allow, of the same length but for the last. */
static bool make_parts(const wick_backend_model *m, wick_mlx_decode *d)
{
    uint32_t per = pointers_of_layer(d), most = (MAX_POINTERS - OWN_INPUTS - 4) / per, at = 0;
    d->n_parts = (d->n_layers + most - 1) / most;
    uint32_t each = (d->n_layers + d->n_parts - 1) / d->n_parts;
    d->part = wick_alloc_zero(d->n_parts, sizeof *d->part);
    if (!d->part) return false;
    mlx_array none = {0}, freqs = d->numbers; /* of a layer that does not rotate: anything */
    for (uint32_t i = 0; i < d->n_layers; i++)
        if (d->layer[i].attn->v[V_FREQS].ctx) freqs = d->layer[i].attn->v[V_FREQS];
    for (uint32_t k = 0; k < d->n_parts; k++) {
        part *p = &d->part[k];
        p->first = at;
        p->n_layers = d->n_layers - at < each ? d->n_layers - at : each;
        p->head = d->head && k + 1 == d->n_parts;
        p->shared = shared_bytes(m, d, p->n_layers);
        p->in = wick_alloc_zero(MAX_POINTERS, sizeof *p->in);
        p->type = wick_alloc_zero(MAX_POINTERS, sizeof *p->type);
        p->meta = wick_alloc_zero(2 + 2 * p->n_layers, sizeof *p->meta);
        if (!p->in || !p->type || !p->meta || p->shared > MAX_SHARED) return false;
        add(p, none, m->act);
        add(p, none, MLX_INT32);
        add(p, d->numbers, MLX_FLOAT32);
        add(p, d->scratch, MLX_FLOAT32);
        for (uint32_t i = 0; i < p->n_layers; i++, at++) {
            const wick_op_attn *a = &d->layer[at].attn->op->u.attn;
            add_layer(m, p, &d->layer[at], freqs);
            p->meta[2 + i] = (int32_t)a->window;
            p->meta[2 + p->n_layers + i] = a->rope != NULL;
        }
        if (p->head) {
            add(p, m->node[m->n_nodes - 2].v[V_W], m->act);
            add_lin(m, p, m->node[m->n_nodes - 1].w[W_MAIN]);
        }
        if (!compile_part(m, d, p)) return false;
    }
    return true;
}

/* y [1][width] of type; id and logprob, [1] each, where `out` has place for them. */
static mlx_array launch(wick_backend_model *m, mlx_fast_cuda_kernel k, const mlx_array *in, uint32_t n_in,
                        uint32_t blocks, int width, mlx_dtype type, wick_mlx_out *out)
{
    const int shape[2] = {1, width};
    mlx_array y[3] = {{0}};
    mlx_vector_array args = {0}, made = {0};
    if (m->g.failed) return y[0];
    mlx_fast_cuda_kernel_config c = wick_mlx.fast_cuda_kernel_config_new();
    int rc = c.ctx ? wick_mlx.fast_cuda_kernel_config_add_output_arg(c, shape, 2, type) : 1;
    if (rc == 0 && out)
        rc = wick_mlx.fast_cuda_kernel_config_add_output_arg(c, shape, 1, MLX_UINT32) ||
             wick_mlx.fast_cuda_kernel_config_add_output_arg(c, shape, 1, MLX_FLOAT32);
    if (rc == 0)
        rc = wick_mlx.fast_cuda_kernel_config_set_grid(c, (int)(blocks * THREADS), 1, 1) ||
             wick_mlx.fast_cuda_kernel_config_set_thread_group(c, THREADS, 1, 1);
    if (rc == 0) args = wick_mlx.vector_array_new_data(in, n_in);
    if (rc == 0) rc = args.ctx ? wick_mlx.fast_cuda_kernel_apply(&made, k, args, c, m->g.stream) : 1;
    for (size_t i = 0; i < (out ? 3 : 1); i++) {
        if (rc == 0) rc = wick_mlx.vector_array_get(&y[i], made, i);
        y[i] = wick_graph_keep(&m->g, rc, y[i]);
    }
    if (c.ctx) wick_mlx.fast_cuda_kernel_config_free(c);
    if (args.ctx) wick_mlx.vector_array_free(args);
    if (made.ctx) wick_mlx.vector_array_free(made);
    if (out) *out = (wick_mlx_out){y[0], y[1], y[2]};
    return y[0];
}

/* How many multiprocessors there are for us: many blocks say on which one they ran. 0: MLX says why not. */
static uint32_t count_multiprocessors(wick_backend_model *m)
{
    static const char body[] = "unsigned int id;\n"
                               "asm volatile(\"mov.u32 %0, %%smid;\" : \"=r\"(id));\n"
                               "for (long long t = clock64(); clock64() - t < 20000;) {}\n"
                               "if (threadIdx.x == 0) y[blockIdx.x] = id;\n";
    uint32_t n = 0;
    bool seen[1024] = {false};
    mlx_fast_cuda_kernel k = new_kernel("wick_multiprocessors", 1, false, body, "", 0);
    if (!k.ctx) return 0;
    mlx_array x = wick_mx_zeros(&m->g, MX_DIMS(1), MLX_FLOAT32);
    mlx_array y = launch(m, k, &x, 1, PROBE_BLOCKS, PROBE_BLOCKS, MLX_UINT32, NULL);
    const uint32_t *id = !m->g.failed && wick_mlx.array_eval(y) == 0 ? wick_mlx.array_data_uint32(y) : NULL;
    for (uint32_t i = 0; id && i < PROBE_BLOCKS; i++) {
        if (id[i] >= 1024) continue;
        n += !seen[id[i]];
        seen[id[i]] = true;
    }
    wick_graph_reset(&m->g);
    wick_mlx.fast_cuda_kernel_free(k);
    return n;
}

static bool make_numbers(wick_backend_model *m, wick_mlx_decode *d)
{
    const layer *l = &d->layer[0];
    const wick_op_attn *a = &l->attn->op->u.attn;
    const wick_op_add *x = &l->add1->op->u.add, *y = &l->add2->op->u.add;
    const wick_op_head *head = &m->node[m->n_nodes - 1].op->u.head;
    const float v[] = {l->norm1->op->u.norm.eps,
                       a->qk_norm_eps,
                       a->scale,
                       x->dst_scale,
                       x->src_scale,
                       y->dst_scale,
                       y->src_scale,
                       head->scale,
                       head->softcap};
    d->numbers = wick_array_hold(wick_mx_data(&m->g, v, MX_DIMS(9), MLX_FLOAT32));
    d->scratch = wick_array_hold(wick_mx_zeros(&m->g, MX_DIMS((int)scratch_floats(m, d)), MLX_FLOAT32));
    bool ok = !m->g.failed && d->numbers.ctx && d->scratch.ctx && wick_mlx.array_eval(d->scratch) == 0;
    wick_graph_reset(&m->g);
    return ok;
}

bool wick_mlx_decode_fits(const wick_backend_model *m)
{
    const wick_mlx_step *s = &m->step;
    const wick_group *gr = &s->group[0];
    if (!m->decode || !m->decode->on || s->n != 1 || s->n_groups != 1 || s->n_out != 1 || s->hidden) return false;
    return gr->bundle->n_rows == 1 && gr->bundle->own && !gr->bundle->next_capacity;
}

uint32_t wick_mlx_decode_nodes(const wick_backend_model *m)
{
    return m->decode->n_nodes;
}

mlx_array wick_mlx_decode_run(wick_backend_model *m, mlx_array x, wick_mlx_out *out)
{
    wick_mlx_decode *d = m->decode;
    const wick_bundle *b = m->step.group[0].bundle;
    uint32_t per = pointers_of_layer(d);
    for (uint32_t k = 0; k < d->n_parts; k++) {
        part *p = &d->part[k];
        p->meta[0] = (int32_t)m->step.group[0].len;
        p->meta[1] = (int32_t)b->capacity;
        p->in[0] = x;
        p->in[1] = wick_mx_data(&m->g, p->meta, MX_DIMS((int)(2 + 2 * p->n_layers)), MLX_INT32);
        for (uint32_t i = 0; i < p->n_layers; i++) {
            uint32_t cache = d->layer[p->first + i].attn->op->u.attn.cache, at = OWN_INPUTS + i * per + 2;
            p->in[at] = b->kv[WICK_KV_SLOTS * cache];
            p->in[at + 1] = b->kv[WICK_KV_SLOTS * cache + WICK_KV_PIECES];
        }
        x = launch(m, p->kernel, p->in, p->n_in, d->n_blocks, (int)(p->head ? m->plan->n_vocab : m->plan->n_embd),
                   p->head ? MLX_FLOAT32 : m->act, p->head ? out : NULL);
    }
    return x;
}

/* One token for s; its logits are copied to `out` where that is not NULL. */
static bool try_step(wick_backend_model *m, wick_seq *s, int32_t token, float *out)
{
    wick_err err = {0};
    wick_row row = {.seq = s, .tokens = &token, .n_tokens = 1, .out = WICK_OUT_LAST};
    wick_batch b = {&row, 1};
    wick_step_out o;
    if (wick_mlx_step_submit(m, &b, &err) != WICK_OK || wick_mlx_step_wait(m, &o, &err) != WICK_OK) {
        wick_log(WICK_LOG_INFO, "mlx: decode kernel: %s", err.message);
        return false;
    }
    if (out && o.n == 1) memcpy(out, o.data, o.width * sizeof *out);
    return o.n == 1;
}

/* A few tokens by the ops or by the kernel: logits after the third, and the time of a step behind that; -1: it
 * failed. */
static double try_tokens(wick_backend_model *m, bool on, float *logits)
{
    wick_seq *s = NULL;
    wick_err err = {0};
    bool ok = wick_mlx_seq_new(m, &s, &err) == WICK_OK;
    double best = -1;
    m->decode->on = on;
    for (int32_t i = 0; ok && i < TRIAL_STEPS; i++) {
        double t = wick_time_ms();
        ok = try_step(m, s, i % (int32_t)m->plan->n_vocab, i == 3 ? logits : NULL);
        t = wick_time_ms() - t;
        if (i > 3 && (best < 0 || t < best)) best = t;
    }
    wick_mlx_seq_free(s);
    return ok ? best : -1;
}

static bool agree(const float *a, const float *b, uint32_t n)
{
    double diff = 0, size = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!isfinite(b[i])) return false;
        diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)a[i] * a[i];
    }
    return diff <= 0.05 * 0.05 * size; /* both round to 8 bits of mantissa, dozens of times */
}

/* Is the kernel right, and sooner? What the trial counted is forgotten. */
static bool worth_while(wick_backend_model *m)
{
    uint32_t n = m->plan->n_vocab;
    float *logits = wick_alloc_zero(2 * (size_t)n, sizeof *logits);
    if (!logits) return false;
    double ops = -1, own = -1;
    for (int i = 0; i < TRIAL_ROUNDS; i++) { /* in turns: a GPU takes its time to come to speed */
        ops = try_tokens(m, false, logits);
        own = ops > 0 ? try_tokens(m, true, logits + n) : -1;
        if (own <= 0) break;
    }
    bool right = own > 0 && agree(logits, logits + n, n);
    wick_log(WICK_LOG_INFO, "mlx: a step of one token: %.3f ms by ops, %.3f ms by one kernel%s", ops, own,
             own > 0 && !right ? ", and it is wrong" : "");
    wick_free(logits);
    m->n_steps = m->n_tokens = m->g.n_ops = 0;
    m->step_ms = m->build_ms = m->encode_ms = 0;
    return right && own < ops;
}

void wick_mlx_decode_close(wick_backend_model *m)
{
    wick_mlx_decode *d = m->decode;
    if (!d) return;
    for (uint32_t i = 0; d->part && i < d->n_parts; i++) {
        if (d->part[i].kernel.ctx) wick_mlx.fast_cuda_kernel_free(d->part[i].kernel);
        wick_free(d->part[i].in);
        wick_free(d->part[i].type);
        wick_free(d->part[i].meta);
    }
    wick_array_drop(&d->scratch);
    wick_array_drop(&d->numbers);
    wick_free(d->part);
    wick_free(d->layer);
    wick_free(d);
    m->decode = NULL;
}

void wick_mlx_decode_open(wick_backend_model *m)
{
    if (!m->compiled || m->act == MLX_FLOAT32 || m->kv_bits || m->weight_bytes < LARGE) return;
    wick_mlx_decode *d = m->decode = wick_alloc_zero(1, sizeof *d);
    if (!d) return;
    d->layer = wick_alloc_zero((size_t)m->plan->n_layer + 1, sizeof *d->layer);
    bool ok = d->layer && read_plan(m, d);
    if (!ok) wick_log(WICK_LOG_INFO, "mlx: steps of one token go op by op: the plan is of another shape");
    if (ok) d->n_blocks = count_multiprocessors(m);
    ok = ok && d->n_blocks && make_numbers(m, d) && make_parts(m, d) && worth_while(m);
    if (ok)
        d->on = true;
    else
        wick_mlx_decode_close(m);
}
