/* backend/mlx/qmv.c - products of 4-bit weights with few rows on CUDA, by kernels of our own.
 *
 * MLX 0.32's kernel for one row reads an H200's memory at a sixth of its speed, and its product of few rows makes a
 * step of eight sequences 2.6 times as long.
 *
 * floats: one row of any 16-bit type. A warp makes a few outputs at once: each lane takes 32 codes (16 bytes) of
 * each, so a warp reads 512 bytes in a row, turns codes to floats by the bits of 2^23 + code, and weighs them by
 * group: scale * sum(code x) + bias * sum(x).
 *
 * tiles: up to 32 rows of bfloat16 on the tensor cores (mma.m16n8k16: 16 outputs by 8 rows by 16 codes). The order
 * of the codes inside a product is free as long as x has the same, so a lane takes 16 codes in a row of two outputs
 * and never moves one: two codes and the bits of 128 make two bfloat16 of 128 + code. A product with ones gives
 * sum(x) of the group, which takes the 128 away and carries the bias. The warps of a block share K and meet in
 * shared memory.
 *
 * The kernels are compiled on the machine at load and tried on the largest matrix there: each is used only where it
 * gives what MLX's product gives, and only for the numbers of rows where it was the fastest. Off with --mlx-compile
 * off.
 */
#include <math.h>
#include <string.h>

#include "backend/mlx/mlx.h"
#include "base/log.h"
#include "base/sys.h"

enum {
    LANE_CODES = 32,
    TILE_CODES = 64,    /* of the four lanes that share an output */
    TILE_OUTS = 16,     /* of one mma */
    TILE_ROWS = 8,      /* and its rows of x */
    FLOAT_WARPS = 8,    /* of a block */
    FLOAT_OUTS = 4,     /* of a warp */
    TRIAL_RUNS = 8,     /* in one evaluation, so that its start does not count */
    LARGE = 1024 * 1024 /* of fewer codes nothing is measured */
};

/* Both kernels: x [n][K] T, w [N][K / 8], scales and biases [N][K / G] -> y [n][N] T. */

/* One row; R divides N, 32 divides K and G. */
static const char floats_source[] =
    "const int K = x_shape[1], N = w_shape[0];\n"
    "const int lane = threadIdx.x % 32;\n"
    "const int row = (blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32) * R;\n"
    "if (row >= N) return;\n"
    "float acc[R];\n"
    "for (int r = 0; r < R; r++) acc[r] = 0.0f;\n"
    "for (int k = lane * 32; k < K; k += 1024) {\n"
    "  unsigned int q[R][4];\n"
    "  float s[R], b[R], f[32], sum = 0.0f;\n"
    "  for (int r = 0; r < R; r++) {\n"
    "    const uint4 v = *reinterpret_cast<const uint4*>(w + (size_t)(row + r) * (K / 8) + k / 8);\n"
    "    const size_t at = (size_t)(row + r) * (K / G) + k / G;\n"
    "    q[r][0] = v.x; q[r][1] = v.y; q[r][2] = v.z; q[r][3] = v.w;\n"
    "    s[r] = static_cast<float>(scales[at]);\n"
    "    b[r] = static_cast<float>(biases[at]);\n"
    "  }\n"
    "#pragma unroll\n"
    "  for (int j = 0; j < 32; j += 16 / (int)sizeof(T)) {\n"
    "    const uint4 u = *reinterpret_cast<const uint4*>(x + k + j);\n"
    "    const T* t = reinterpret_cast<const T*>(&u);\n"
    "#pragma unroll\n"
    "    for (int i = 0; i < 16 / (int)sizeof(T); i++) {\n"
    "      f[j + i] = static_cast<float>(t[i]);\n"
    "      sum += f[j + i];\n"
    "    }\n"
    "  }\n"
    "#pragma unroll\n"
    "  for (int r = 0; r < R; r++) {\n"
    "    float dot = 0.0f;\n"
    "#pragma unroll\n"
    "    for (int c = 0; c < 4; c++)\n"
    "#pragma unroll\n"
    "      for (int i = 0; i < 8; i++)\n"
    "        dot += (__uint_as_float(0x4B000000u | ((q[r][c] >> (4 * i)) & 15u)) - 8388608.0f) * f[8 * c + i];\n"
    "    acc[r] += s[r] * dot + b[r] * sum;\n"
    "  }\n"
    "}\n"
    "for (int r = 0; r < R; r++) {\n"
    "  float v = acc[r];\n"
    "  for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(0xffffffffu, v, o);\n"
    "  if (lane == 0) y[row + r] = static_cast<T>(v);\n"
    "}\n";

/* Up to 8 * MT rows; R * 16 outputs of a block of W warps, U of whose turns overlap; 64 divides K and G. */
static const char tiles_source[] =
    "const int n = x_shape[0], K = x_shape[1], N = w_shape[0];\n"
    "const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;\n"
    "const int row0 = blockIdx.x * (16 * R);\n"
    "float acc[R][MT][4];\n"
    "for (int r = 0; r < R; r++) for (int j = 0; j < MT; j++) for (int i = 0; i < 4; i++) acc[r][j][i] = 0.0f;\n"
    "const unsigned int* wp[R][2];\n"
    "size_t sp[R][2];\n"
    "#pragma unroll\n"
    "for (int r = 0; r < R; r++)\n"
    "#pragma unroll\n"
    "  for (int h = 0; h < 2; h++) {\n"
    "    int row = row0 + 16 * r + 8 * h + g;\n"
    "    if (row >= N) row = N - 1;\n"
    "    wp[r][h] = reinterpret_cast<const unsigned int*>(w) + (size_t)row * (K / 8) + 2 * t;\n"
    "    sp[r][h] = (size_t)row * (K / G);\n"
    "  }\n"
    "#pragma unroll U\n"
    "for (int c = warp; c < K / 64; c += W) {\n"
    "  uint2 q[R][2];\n"
    "  float s[R][2], b[R][2];\n"
    "#pragma unroll\n"
    "  for (int r = 0; r < R; r++)\n"
    "#pragma unroll\n"
    "    for (int h = 0; h < 2; h++) {\n"
    "      q[r][h] = __ldg(reinterpret_cast<const uint2*>(wp[r][h] + 8 * c));\n"
    "      s[r][h] = static_cast<float>(scales[sp[r][h] + c / (G / 64)]);\n"
    "      b[r][h] = static_cast<float>(biases[sp[r][h] + c / (G / 64)]);\n"
    "    }\n"
    "  float sum[R][MT][4], one[MT][4];\n"
    "#pragma unroll\n"
    "  for (int j = 0; j < MT; j++)\n"
    "#pragma unroll\n"
    "    for (int i = 0; i < 4; i++) {\n"
    "      one[j][i] = 0.0f;\n"
    "#pragma unroll\n"
    "      for (int r = 0; r < R; r++) sum[r][j][i] = 0.0f;\n"
    "    }\n"
    "  unsigned int xb[MT][8];\n"
    "#pragma unroll\n"
    "  for (int j = 0; j < MT; j++) {\n"
    "    uint4 u0 = make_uint4(0, 0, 0, 0), u1 = u0;\n"
    "    if (8 * j + g < n) {\n"
    "      const uint4* xp = reinterpret_cast<const uint4*>(x + (size_t)(8 * j + g) * K + 64 * c + 16 * t);\n"
    "      u0 = xp[0];\n"
    "      u1 = xp[1];\n"
    "    }\n"
    "    xb[j][0] = __byte_perm(u0.x, u0.z, 0x5410); xb[j][1] = __byte_perm(u0.x, u0.z, 0x7632);\n"
    "    xb[j][2] = __byte_perm(u0.y, u0.w, 0x5410); xb[j][3] = __byte_perm(u0.y, u0.w, 0x7632);\n"
    "    xb[j][4] = __byte_perm(u1.x, u1.z, 0x5410); xb[j][5] = __byte_perm(u1.x, u1.z, 0x7632);\n"
    "    xb[j][6] = __byte_perm(u1.y, u1.w, 0x5410); xb[j][7] = __byte_perm(u1.y, u1.w, 0x7632);\n"
    "  }\n"
    "#define MMA(d, a0, a1, a2, a3, b0, b1) asm volatile(\"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
    "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\" : \"+f\"(d[0]), \"+f\"(d[1]), \"+f\"(d[2]), \"+f\"(d[3]) "
    ": \"r\"(a0), \"r\"(a1), \"r\"(a2), \"r\"(a3), \"r\"(b0), \"r\"(b1))\n"
    "#pragma unroll\n"
    "  for (int j = 0; j < MT; j++)\n"
    "#pragma unroll\n"
    "    for (int i = 0; i < 4; i++) MMA(one[j], 0x3F803F80u, 0x3F803F80u, 0x3F803F80u, 0x3F803F80u, xb[j][2 * i], "
    "xb[j][2 * i + 1]);\n"
    "#pragma unroll\n"
    "  for (int r = 0; r < R; r++)\n"
    "#pragma unroll\n"
    "    for (int i = 0; i < 4; i++) {\n"
    "      const unsigned int lo = i < 2 ? q[r][0].x : q[r][0].y, hi = i < 2 ? q[r][1].x : q[r][1].y;\n"
    "      const int e = 8 * (i % 2);\n"
    "      const unsigned int a0 = ((lo >> e) & 0x000F000Fu) | 0x43004300u, a1 = ((hi >> e) & 0x000F000Fu) | "
    "0x43004300u;\n"
    "      const unsigned int a2 = ((lo >> (e + 4)) & 0x000F000Fu) | 0x43004300u, a3 = ((hi >> (e + 4)) & 0x000F000Fu) "
    "| 0x43004300u;\n"
    "#pragma unroll\n"
    "      for (int j = 0; j < MT; j++) MMA(sum[r][j], a0, a1, a2, a3, xb[j][2 * i], xb[j][2 * i + 1]);\n"
    "    }\n"
    "#pragma unroll\n"
    "  for (int r = 0; r < R; r++)\n"
    "#pragma unroll\n"
    "    for (int j = 0; j < MT; j++)\n"
    "#pragma unroll\n"
    "      for (int i = 0; i < 4; i++)\n"
    "        acc[r][j][i] += s[r][i / 2] * (sum[r][j][i] - 128.0f * one[j][i]) + b[r][i / 2] * one[j][i];\n"
    "}\n"
    "__shared__ float part[W][MT * 8][16 * R + 1];\n"
    "#pragma unroll\n"
    "for (int r = 0; r < R; r++)\n"
    "#pragma unroll\n"
    "  for (int j = 0; j < MT; j++)\n"
    "#pragma unroll\n"
    "    for (int i = 0; i < 4; i++) part[warp][8 * j + 2 * t + i % 2][16 * r + 8 * (i / 2) + g] = acc[r][j][i];\n"
    "__syncthreads();\n"
    "for (int o = threadIdx.x; o < MT * 8 * 16 * R; o += W * 32) {\n"
    "  const int col = o / (16 * R), row = o % (16 * R);\n"
    "  if (col < n && row0 + row < N) {\n"
    "    float v = 0.0f;\n"
    "#pragma unroll\n"
    "    for (int k = 0; k < W; k++) v += part[k][col][row];\n"
    "    y[(size_t)col * N + row0 + row] = static_cast<T>(v);\n"
    "  }\n"
    "}\n";

static bool fits(wick_mlx_own own, const wick_backend_model *m, const wick_mlx_lin *l)
{
    if (!l->quantized || l->n_mat != 1 || l->bits != 4 || !l->biases.ctx || strcmp(l->mode, "affine") != 0)
        return false;
    if (own == WICK_MLX_TILES) return m->act == MLX_BFLOAT16 && l->n_in % TILE_CODES == 0 && l->group % TILE_CODES == 0;
    return l->n_in % LANE_CODES == 0 && l->group % LANE_CODES == 0 && l->n_out % FLOAT_OUTS == 0;
}

static uint32_t rows_class(uint32_t n)
{
    return n == 1 ? 0 : (n + TILE_ROWS - 1) / TILE_ROWS;
}

wick_mlx_own wick_mlx_own_kernel(const wick_backend_model *m, const wick_mlx_lin *l, uint32_t n)
{
    wick_mlx_own own = n <= WICK_MLX_OWN_ROWS ? m->own[rows_class(n)] : WICK_MLX_NONE;
    return own != WICK_MLX_NONE && fits(own, m, l) ? own : WICK_MLX_NONE;
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

static mlx_fast_cuda_kernel compile(const char *name, const char *source)
{
    static const char *const in[] = {"x", "w", "scales", "biases"}, *const out[] = {"y"};
    mlx_fast_cuda_kernel k = {0};
    mlx_vector_string a = names(in, 4), b = names(out, 1);
    if (a.ctx && b.ctx) k = wick_mlx.fast_cuda_kernel_new(name, a, b, source, "", true, 0);
    if (a.ctx) wick_mlx.vector_string_free(a);
    if (b.ctx) wick_mlx.vector_string_free(b);
    return k;
}

/* Blocks of `warps`, each block making `outs` outputs. */
static int configure_grid(mlx_fast_cuda_kernel_config c, const wick_mlx_lin *l, int outs, int warps)
{
    int blocks = ((int)l->n_out + outs - 1) / outs;
    return wick_mlx.fast_cuda_kernel_config_set_grid(c, blocks * warps * 32, 1, 1) ||
           wick_mlx.fast_cuda_kernel_config_set_thread_group(c, warps * 32, 1, 1);
}

static int configure_number(mlx_fast_cuda_kernel_config c, const char *name, int value)
{
    return wick_mlx.fast_cuda_kernel_config_add_template_arg_int(c, name, value);
}

static int configure(mlx_fast_cuda_kernel_config c, wick_mlx_own own, const wick_backend_model *m,
                     const wick_mlx_lin *l, uint32_t n)
{
    int shape[2] = {(int)n, (int)l->n_out};
    if (wick_mlx.fast_cuda_kernel_config_add_output_arg(c, shape, 2, m->act) ||
        wick_mlx.fast_cuda_kernel_config_add_template_arg_dtype(c, "T", m->act) || configure_number(c, "G", l->group))
        return 1;
    if (own == WICK_MLX_FLOATS)
        return configure_number(c, "R", FLOAT_OUTS) || configure_grid(c, l, FLOAT_OUTS * FLOAT_WARPS, FLOAT_WARPS);
    bool few = n <= TILE_ROWS; /* what was best on an H200 */
    int tiles = few ? 1 : 2, warps = few ? 4 : 8, overlap = few ? 4 : 2;
    return configure_number(c, "R", tiles) || configure_number(c, "MT", ((int)n + TILE_ROWS - 1) / TILE_ROWS) ||
           configure_number(c, "W", warps) || configure_number(c, "U", overlap) ||
           configure_grid(c, l, tiles * TILE_OUTS, warps);
}

mlx_array wick_mlx_own_product(wick_backend_model *m, wick_mlx_own own, const wick_mlx_lin *l, mlx_array x, uint32_t n)
{
    const mlx_array in[4] = {x, l->w, l->scales, l->biases};
    mlx_vector_array args = {0}, out = {0};
    mlx_array y = {0};
    int rc = 1;
    if (m->g.failed) return y;
    mlx_fast_cuda_kernel_config c = wick_mlx.fast_cuda_kernel_config_new();
    if (c.ctx && configure(c, own, m, l, n) == 0) args = wick_mlx.vector_array_new_data(in, 4);
    if (args.ctx) rc = wick_mlx.fast_cuda_kernel_apply(&out, m->kernel[own], args, c, m->g.stream);
    if (rc == 0) rc = wick_mlx.vector_array_get(&y, out, 0);
    if (c.ctx) wick_mlx.fast_cuda_kernel_config_free(c);
    if (args.ctx) wick_mlx.vector_array_free(args);
    if (out.ctx) wick_mlx.vector_array_free(out);
    return wick_graph_keep(&m->g, rc, y);
}

static mlx_array product(wick_backend_model *m, wick_mlx_own own, const wick_mlx_lin *l, mlx_array x, uint32_t n)
{
    return own == WICK_MLX_NONE ? wick_mlx_product(m, l, x, n) : wick_mlx_own_product(m, own, l, x, n);
}

/* The product as float32 to *y; its best time, or -1: MLX says why not. */
static double time_product(wick_backend_model *m, const wick_mlx_lin *l, uint32_t n, wick_mlx_own own,
                           const uint16_t *x, float *y)
{
    double best = -1;
    for (int turn = 0; turn < 3; turn++) { /* the first compiles */
        mlx_array in = wick_mx_data(&m->g, x, MX_DIMS((int)n, (int)l->n_in), m->act), out[TRIAL_RUNS];
        for (int i = 0; i < TRIAL_RUNS; i++) out[i] = product(m, own, l, in, n);
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

/* The fastest right way to multiply n rows by l. */
static wick_mlx_own fastest(wick_backend_model *m, const wick_mlx_lin *l, uint32_t n)
{
    size_t n_in = (size_t)n * l->n_in, n_out = (size_t)n * l->n_out;
    uint16_t *x = wick_alloc(n_in * sizeof *x);
    float *y = wick_alloc(2 * n_out * sizeof *y);
    wick_mlx_own best = WICK_MLX_NONE;
    if (x && y) {
        for (size_t i = 0; i < n_in; i++) wick_mlx_put_float(m->act, (float)((i * 37) % 101) / 50.0F - 1.0F, x, i);
        double best_ms = time_product(m, l, n, WICK_MLX_NONE, x, y);
        wick_log(WICK_LOG_INFO, "mlx: %u x %u, %u rows: %.0f us", l->n_out, l->n_in, n, best_ms * 1e3 / TRIAL_RUNS);
        for (wick_mlx_own own = WICK_MLX_FLOATS; own <= WICK_MLX_TILES && best_ms >= 0; own++) {
            if (!m->kernel[own].ctx || !fits(own, m, l) || (own == WICK_MLX_FLOATS && n > 1)) continue;
            double ms = time_product(m, l, n, own, x, y + n_out);
            bool right = ms >= 0 && agree(y, y + n_out, n_out);
            wick_log(WICK_LOG_INFO, "mlx: own kernel %d: %.0f us%s", own, ms * 1e3 / TRIAL_RUNS,
                     right    ? ""
                     : ms < 0 ? wick_mlx_message()
                              : ", and it is wrong");
            if (!right || ms >= best_ms) continue;
            best_ms = ms;
            best = own;
        }
    }
    wick_free(x);
    wick_free(y);
    return best;
}

/* Most rows are tried, and what is in between follows the next larger. */
void wick_mlx_own_open(wick_backend_model *m)
{
    const wick_mlx_lin *largest = NULL;
    if (!m->compiled || m->act == MLX_FLOAT32) return;
    for (uint32_t i = 0; i < m->n_lins; i++)
        if (fits(WICK_MLX_FLOATS, m, m->lin[i]) && (!largest || m->lin[i]->bytes > largest->bytes)) largest = m->lin[i];
    if (!largest || (uint64_t)largest->n_in * largest->n_out < LARGE) return;
    m->kernel[WICK_MLX_FLOATS] = compile("wick_qmv4", floats_source);
    m->kernel[WICK_MLX_TILES] = compile("wick_qmm4", tiles_source);
    if (!m->kernel[WICK_MLX_FLOATS].ctx && !m->kernel[WICK_MLX_TILES].ctx) {
        wick_log(WICK_LOG_INFO, "mlx: no own kernels: %s", wick_mlx_message());
        return;
    }
    m->own[0] = fastest(m, largest, 1);
    m->own[1] = fastest(m, largest, TILE_ROWS);
    m->own[rows_class(WICK_MLX_OWN_ROWS)] = fastest(m, largest, WICK_MLX_OWN_ROWS);
    for (uint32_t i = 2; i < rows_class(WICK_MLX_OWN_ROWS); i++) m->own[i] = m->own[rows_class(WICK_MLX_OWN_ROWS)];
}

void wick_mlx_own_close(wick_backend_model *m)
{
    for (uint32_t i = 0; i < WICK_MLX_N_OWN; i++)
        if (m->kernel[i].ctx) wick_mlx.fast_cuda_kernel_free(m->kernel[i]);
    memset(m->kernel, 0, sizeof m->kernel);
    memset(m->own, 0, sizeof m->own);
}
