/* backend/mlx/qmv.c - products of 4-bit weights with few rows on CUDA, by a kernel of our own.
 *
 * MLX 0.32's kernel for one row reads an H200's memory at a sixth of its speed, and the one for eight takes as long. Here a
 * warp makes a few outputs at once: each lane takes 32 codes (16 bytes) of each, so a warp reads 512 bytes in a row, turns
 * codes to floats by the bits of 2^23 + code, and weighs them by group: scale * sum(code x) + bias * sum(x).
 *
 * The kernel is compiled on the machine at load and tried on the largest matrix there: it is used only where it gives what
 * MLX's product gives, and only for the numbers of rows where it was faster. Off with --mlx-compile off.
 */
#include <math.h>
#include <string.h>

#include "backend/mlx/mlx.h"
#include "base/log.h"
#include "base/sys.h"

enum {
    LANE_CODES = 32,
    WARPS = 8,          /* of a block */
    OUTS_ONE = 4,       /* outputs of a warp for one row */
    OUTS_MANY = 2,      /* and for more */
    MANY = 8,           /* most rows */
    TRIAL_RUNS = 8,     /* in one evaluation, so that its start does not count */
    LARGE = 1024 * 1024 /* of fewer codes nothing is measured */
};

/* x [n][K] T, w [N][K / 8], scales and biases [N][K / G] T -> y [n][N] T; n <= M, R divides N, 32 divides K and G */
static const char source[] =
    "const int n = x_shape[0], K = x_shape[1], N = w_shape[0];\n"
    "const int lane = threadIdx.x % 32;\n"
    "const int row = (blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32) * R;\n"
    "if (row >= N) return;\n"
    "float acc[R][M];\n"
    "for (int r = 0; r < R; r++)\n"
    "  for (int m = 0; m < M; m++) acc[r][m] = 0.0f;\n"
    "for (int k = lane * 32; k < K; k += 1024) {\n"
    "  unsigned int q[R][4];\n"
    "  float s[R], b[R];\n"
    "  for (int r = 0; r < R; r++) {\n"
    "    const uint4 v = *reinterpret_cast<const uint4*>(w + (size_t)(row + r) * (K / 8) + k / 8);\n"
    "    const size_t at = (size_t)(row + r) * (K / G) + k / G;\n"
    "    q[r][0] = v.x; q[r][1] = v.y; q[r][2] = v.z; q[r][3] = v.w;\n"
    "    s[r] = static_cast<float>(scales[at]);\n"
    "    b[r] = static_cast<float>(biases[at]);\n"
    "  }\n"
    "#pragma unroll\n"
    "  for (int m = 0; m < M; m++) {\n"
    "    if (m >= n) break;\n"
    "    const T* xp = x + (size_t)m * K + k;\n"
    "    float f[32], sum = 0.0f;\n"
    "#pragma unroll\n"
    "    for (int j = 0; j < 32; j += 16 / (int)sizeof(T)) {\n"
    "      const uint4 u = *reinterpret_cast<const uint4*>(xp + j);\n"
    "      const T* t = reinterpret_cast<const T*>(&u);\n"
    "#pragma unroll\n"
    "      for (int i = 0; i < 16 / (int)sizeof(T); i++) {\n"
    "        f[j + i] = static_cast<float>(t[i]);\n"
    "        sum += f[j + i];\n"
    "      }\n"
    "    }\n"
    "#pragma unroll\n"
    "    for (int r = 0; r < R; r++) {\n"
    "      float dot = 0.0f;\n"
    "#pragma unroll\n"
    "      for (int c = 0; c < 4; c++)\n"
    "#pragma unroll\n"
    "        for (int i = 0; i < 8; i++)\n"
    "          dot += (__uint_as_float(0x4B000000u | ((q[r][c] >> (4 * i)) & 15u)) - 8388608.0f) * f[8 * c + i];\n"
    "      acc[r][m] += s[r] * dot + b[r] * sum;\n"
    "    }\n"
    "  }\n"
    "}\n"
    "for (int r = 0; r < R; r++)\n"
    "  for (int m = 0; m < M; m++) {\n"
    "    float v = acc[r][m];\n"
    "    for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(0xffffffffu, v, o);\n"
    "    if (lane == 0 && m < n) y[(size_t)m * N + row + r] = static_cast<T>(v);\n"
    "  }\n";

static bool fits(const wick_mlx_lin *l)
{
    return l->quantized && l->n_mat == 1 && l->bits == 4 && l->biases.ctx && strcmp(l->mode, "affine") == 0 &&
           l->n_in % LANE_CODES == 0 && l->group % LANE_CODES == 0 && l->n_out % OUTS_ONE == 0;
}

bool wick_mlx_qmv_takes(const wick_backend_model *m, const wick_mlx_lin *l, uint32_t n)
{
    return (n == 1 ? m->qmv_one : n <= MANY && m->qmv_many) && fits(l);
}

static mlx_vector_string names(const char *const *name, int n)
{
    mlx_vector_string v = wick_mlx.vector_string_new();
    for (int i = 0; v.ctx && i < n; i++)
        if (wick_mlx.vector_string_append_value(v, name[i])) {
            wick_mlx.vector_string_free(v);
            v.ctx = NULL;
        }
    return v;
}

static mlx_fast_cuda_kernel compile(void)
{
    static const char *const in[] = {"x", "w", "scales", "biases"}, *const out[] = {"y"};
    mlx_fast_cuda_kernel k = {0};
    mlx_vector_string a = names(in, 4), b = names(out, 1);
    if (a.ctx && b.ctx) k = wick_mlx.fast_cuda_kernel_new("wick_qmv4", a, b, source, "", true, 0);
    if (a.ctx) wick_mlx.vector_string_free(a);
    if (b.ctx) wick_mlx.vector_string_free(b);
    return k;
}

static int configure(mlx_fast_cuda_kernel_config c, const wick_backend_model *m, const wick_mlx_lin *l, uint32_t n)
{
    int outs = n == 1 ? OUTS_ONE : OUTS_MANY, shape[2] = {(int)n, (int)l->n_out};
    int blocks = ((int)l->n_out + outs * WARPS - 1) / (outs * WARPS);
    return wick_mlx.fast_cuda_kernel_config_add_output_arg(c, shape, 2, m->act) ||
           wick_mlx.fast_cuda_kernel_config_set_grid(c, blocks * WARPS * 32, 1, 1) ||
           wick_mlx.fast_cuda_kernel_config_set_thread_group(c, WARPS * 32, 1, 1) ||
           wick_mlx.fast_cuda_kernel_config_add_template_arg_dtype(c, "T", m->act) ||
           wick_mlx.fast_cuda_kernel_config_add_template_arg_int(c, "G", l->group) ||
           wick_mlx.fast_cuda_kernel_config_add_template_arg_int(c, "R", outs) ||
           wick_mlx.fast_cuda_kernel_config_add_template_arg_int(c, "M", n == 1 ? 1 : MANY);
}

mlx_array wick_mlx_qmv(wick_backend_model *m, const wick_mlx_lin *l, mlx_array x, uint32_t n)
{
    const mlx_array in[4] = {x, l->w, l->scales, l->biases};
    mlx_vector_array args = {0}, out = {0};
    mlx_array y = {0};
    int rc = 1;
    if (m->g.failed) return y;
    mlx_fast_cuda_kernel_config c = wick_mlx.fast_cuda_kernel_config_new();
    if (c.ctx && configure(c, m, l, n) == 0) args = wick_mlx.vector_array_new_data(in, 4);
    if (args.ctx) rc = wick_mlx.fast_cuda_kernel_apply(&out, m->qmv, args, c, m->g.stream);
    if (rc == 0) rc = wick_mlx.vector_array_get(&y, out, 0);
    if (c.ctx) wick_mlx.fast_cuda_kernel_config_free(c);
    if (args.ctx) wick_mlx.vector_array_free(args);
    if (out.ctx) wick_mlx.vector_array_free(out);
    return wick_graph_keep(&m->g, rc, y);
}

typedef mlx_array (*product_fn)(wick_backend_model *m, const wick_mlx_lin *l, mlx_array x, uint32_t n);

/* The product as float32 to *y; its best time, or -1: MLX says why not. */
static double time_product(wick_backend_model *m, const wick_mlx_lin *l, uint32_t n, product_fn product,
                           const uint16_t *x, float *y)
{
    double best = -1;
    for (int turn = 0; turn < 3; turn++) { /* the first compiles */
        mlx_array in = wick_mx_data(&m->g, x, MX_DIMS((int)n, (int)l->n_in), m->act), out[TRIAL_RUNS];
        for (int i = 0; i < TRIAL_RUNS; i++) out[i] = product(m, l, in, n);
        mlx_array f = wick_mx_contiguous(&m->g, wick_mx_astype(&m->g, out[0], MLX_FLOAT32));
        mlx_vector_array v = {0};
        if (!m->g.failed) v = wick_mlx.vector_array_new_data(out, TRIAL_RUNS);
        double t = wick_time_ms();
        bool ok = v.ctx && wick_mlx.eval(v) == 0;
        t = wick_time_ms() - t;
        if (v.ctx) wick_mlx.vector_array_free(v);
        const float *p = ok && wick_mlx.array_eval(f) == 0 ? wick_mlx.array_data_float32(f) : NULL;
        if (p) memcpy(y, p, (size_t)n * l->n_out * sizeof *y);
        wick_graph_reset(&m->g);
        if (!p) return -1;
        if (turn > 0 && (best < 0 || t < best)) best = t;
    }
    return best;
}

static bool agree(const float *a, const float *b, size_t n)
{
    float most = 0, diff = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmaxf(most, fabsf(a[i]));
        diff = fmaxf(diff, fabsf(a[i] - b[i]));
        if (!isfinite(b[i])) return false;
    }
    return diff <= 0.01F * most; /* both round to 8 bits of mantissa, and sum in another order */
}

/* Is the kernel right and faster for n rows of l? */
static bool worth_while(wick_backend_model *m, const wick_mlx_lin *l, uint32_t n)
{
    size_t n_in = (size_t)n * l->n_in, n_out = (size_t)n * l->n_out;
    uint16_t *x = wick_alloc(n_in * sizeof *x);
    float *a = wick_alloc(2 * n_out * sizeof *a);
    bool yes = false;
    if (x && a) {
        for (size_t i = 0; i < n_in; i++) wick_mlx_put_float(m->act, (float)((i * 37) % 101) / 50.0F - 1.0F, x, i);
        double theirs = time_product(m, l, n, wick_mlx_product, x, a);
        double ours = time_product(m, l, n, wick_mlx_qmv, x, a + n_out);
        bool right = theirs >= 0 && ours >= 0 && agree(a, a + n_out, n_out);
        yes = right && ours < theirs;
        wick_log(WICK_LOG_INFO, "mlx: %u x %u, %u rows: %.0f us, own kernel %.0f us%s", l->n_out, l->n_in, n,
                 theirs * 1e3 / TRIAL_RUNS, ours * 1e3 / TRIAL_RUNS,
                 right      ? ""
                 : ours < 0 ? wick_mlx_message()
                            : ", and it is wrong");
    }
    wick_free(x);
    wick_free(a);
    return yes;
}

void wick_mlx_qmv_open(wick_backend_model *m)
{
    const wick_mlx_lin *largest = NULL;
    if (!m->compiled || m->act == MLX_FLOAT32) return;
    for (uint32_t i = 0; i < m->n_lins; i++)
        if (fits(m->lin[i]) && (!largest || m->lin[i]->bytes > largest->bytes)) largest = m->lin[i];
    if (!largest || (uint64_t)largest->n_in * largest->n_out < LARGE) return;
    m->qmv = compile();
    if (!m->qmv.ctx) {
        wick_log(WICK_LOG_INFO, "mlx: no own kernels: %s", wick_mlx_message());
        return;
    }
    m->qmv_one = worth_while(m, largest, 1);
    m->qmv_many = worth_while(m, largest, MANY);
}

void wick_mlx_qmv_close(wick_backend_model *m)
{
    if (m->qmv.ctx) wick_mlx.fast_cuda_kernel_free(m->qmv);
    m->qmv.ctx = NULL;
    m->qmv_one = m->qmv_many = false;
}
