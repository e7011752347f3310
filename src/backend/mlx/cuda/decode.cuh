/* backend/mlx/cuda/decode.cuh - the parts of decode.cu: see there. Compiled at run time, behind the constants that fused.c writes:
 * T (type of activations), Q (0: weights are T; 4: affine 4 bits), G (their group), E, NH, NKV, D, FF, V (rows of the head; 0: without),
 * ACT (0 SiLU, 1 GELU by tanh), NL (layers), PER (pointers a layer), ROT (rotated part of a head), PAIRS (interleaved), QKNORM, BIAS,
 * POSTNORM, GRID (blocks), THREADS (of a block), SHARED (bytes). Everything is inside a namespace of its own. */
typedef unsigned int u32;
enum {
  WARPS = THREADS / 32,
  HG = NH / NKV < 2 ? 1 : 2, /* query heads that read K and V together */
  GROUPS = (NH / NKV + HG - 1) / HG,
  ITEMS = NKV * GROUPS,
  QW = (NH + 2 * NKV) * D,
  QWIDE = NH * D,
  LP = D <= 64 ? 8 : D <= 128 ? 16 : 32, /* lanes of a position */
  SUBS = 32 / LP,
  MAX_SPLIT = 32,
  MAX_TURNS = 8,
  WIDEST = FF > QWIDE ? (FF > E ? FF : E) : (QWIDE > E ? QWIDE : E),
  WORK = (4 * NL + 1 + 15) / 16 * 16
};

/* Pairs of T in a word. */
__device__ __forceinline__ float first(u32 v, __nv_bfloat16) { return __uint_as_float(v << 16); }
__device__ __forceinline__ float second(u32 v, __nv_bfloat16) { return __uint_as_float(v & 0xFFFF0000u); }
__device__ __forceinline__ float first(u32 v, __half) { return __half2float(__ushort_as_half((unsigned short)v)); }
__device__ __forceinline__ float second(u32 v, __half) { return __half2float(__ushort_as_half((unsigned short)(v >> 16))); }
__device__ __forceinline__ u32 both(float a, float b, __nv_bfloat16)
{
  __nv_bfloat162 v = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<u32*>(&v);
}
__device__ __forceinline__ u32 both(float a, float b, __half)
{
  __half2 v = __floats2half2_rn(a, b);
  return *reinterpret_cast<u32*>(&v);
}
__device__ __forceinline__ void unpack(uint4 v, float* f)
{
  const T t = T();
  f[0] = first(v.x, t), f[1] = second(v.x, t), f[2] = first(v.y, t), f[3] = second(v.y, t);
  f[4] = first(v.z, t), f[5] = second(v.z, t), f[6] = first(v.w, t), f[7] = second(v.w, t);
}
__device__ __forceinline__ uint4 pack(const float* f)
{
  const T t = T();
  return make_uint4(both(f[0], f[1], t), both(f[2], f[3], t), both(f[4], f[5], t), both(f[6], f[7], t));
}
__device__ __forceinline__ float get(const T* p) { return static_cast<float>(*p); }

/* Weights are read once. */
__device__ __forceinline__ uint4 stream(const void* p)
{
  uint4 v;
  asm("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}
__device__ __forceinline__ void prefetch(const void* p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(p)); }

__device__ __forceinline__ float warp_sum(float v)
{
  for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(0xFFFFFFFFu, v, o);
  return v;
}

/* The highest of some logits, the lowest place of it, and the sum of exp(logit - top): NaN if one is no number. */
struct Best {
  float top, sum;
  u32 at;
  __device__ __forceinline__ void add(const Best& o)
  {
    if (o.top > top) sum = sum * __expf(top - o.top) + o.sum;
    else sum += o.sum * __expf(o.top - top);
    if (o.top > top || (o.top == top && o.at < at)) top = o.top, at = o.at;
  }
};

/* Behind it: xs, the vector that is multiplied, as T; the same place holds what attention needs. */
struct Shared {
  float x[E]; /* the residual stream, the same in every block */
  float cs[ROT / 2 + 1], sn[ROT / 2 + 1];
  float red[2][WARPS];
  float part[MAX_TURNS][WARPS][4];
  float xsum[WIDEST / 32 + 1]; /* of 32 elements of xs each */
  const void* ptr[NL * PER + 8];
  Best best[WARPS];
  int last;
};
struct Attn {
  float q[HG][D], k[D], v[D], m[WARPS][HG], l[WARPS][HG], acc[WARPS][HG][D];
};
static_assert((sizeof(Shared) + 15) / 16 * 16 + sizeof(Attn) <= SHARED, "fused.c counts too little");
static_assert((sizeof(Shared) + 15) / 16 * 16 + (WIDEST + 1023) / 1024 * 2048 <= SHARED, "fused.c counts too little");

/* The barrier of all blocks, in two parts so that there is something to do in between. bar[0] counts, bar[2]: somebody waited in vain. */
__device__ __forceinline__ void arrive(u32* bar)
{
  __syncthreads();
  if (threadIdx.x == 0) asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(bar) : "memory");
}
__device__ __forceinline__ void wait(u32* bar, u32 goal)
{
  if (threadIdx.x == 0) {
    u32 v = 0;
    for (int spins = 0; spins < 1 << 22; spins++) {
      asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(bar) : "memory");
      if (v >= goal || (spins % 1024 == 1023 && *(volatile u32*)(bar + 2))) break;
    }
    if (v < goal) bar[2] = 1;
  }
  __syncthreads();
}

/* Vectors are taken in chunks of 8 elements, whole warps at a time. */
#define CHUNKS(c, n) for (int c = threadIdx.x; c < ((n) / 8 + 31) / 32 * 32; c += THREADS)
__device__ __forceinline__ uint4 chunk(const T* x, int c, int n)
{
  return c < n / 8 ? __ldcg(reinterpret_cast<const uint4*>(x) + c) : make_uint4(0, 0, 0, 0);
}
/* Where chunk c of xs lies: with packed weights a lane takes four in a row, which lie apart so that lanes do not collide. */
__device__ __forceinline__ int place(int c) { return Q ? (c & ~127) + (c & 3) * 32 + ((c >> 2) & 31) : c; }
__device__ __forceinline__ void put(Shared* sh, uint4* xs, int c, int n, float* f)
{
  const uint4 v = pack(f);
  if (c < n / 8) xs[place(c)] = v;
  if (!Q) return;
  unpack(v, f);
  float s = 0;
  for (int i = 0; i < 8; i++) s += f[i];
  s += __shfl_xor_sync(0xFFFFFFFFu, s, 1);
  s += __shfl_xor_sync(0xFFFFFFFFu, s, 2);
  if (c % 4 == 0 && c < n / 8) sh->xsum[c / 4] = s;
}
__device__ __forceinline__ void load_vector(Shared* sh, uint4* xs, const T* x, int n)
{
  CHUNKS(c, n)
  {
    float f[8];
    unpack(chunk(x, c, n), f);
    put(sh, xs, c, n, f);
  }
  __syncthreads();
}
__device__ __forceinline__ float block_sum(Shared* sh, float v, int which)
{
  v = warp_sum(v);
  if (threadIdx.x % 32 == 0) sh->red[which][threadIdx.x / 32] = v;
  __syncthreads();
  float s = 0;
  for (int i = 0; i < WARPS; i++) s += sh->red[which][i];
  return s;
}
/* x = x * keep + delta * add, delta normed first if there is a `post`; then xs = norm(x) * w. */
__device__ __forceinline__ void residual_norm(Shared* sh, uint4* xs, const T* delta, const T* post, float keep, float add, const T* w, float eps)
{
  float scale = add, sum = 0;
  if (delta && post) {
    float s = 0;
    CHUNKS(c, E)
    {
      float f[8];
      unpack(chunk(delta, c, E), f);
      for (int i = 0; i < 8; i++) s += f[i] * f[i];
    }
    scale = rsqrtf(block_sum(sh, s, 0) / E + eps) * add;
  }
  for (int c = threadIdx.x; c < E / 8; c += THREADS) {
    float* x = sh->x + 8 * c;
    if (delta) {
      float f[8], g[8];
      unpack(chunk(delta, c, E), f);
      if (post) unpack(chunk(post, c, E), g);
      for (int i = 0; i < 8; i++) x[i] = x[i] * keep + f[i] * scale * (post ? g[i] : 1.0f);
    }
    for (int i = 0; i < 8; i++) sum += x[i] * x[i];
  }
  const float r = rsqrtf(block_sum(sh, sum, 1) / E + eps);
  CHUNKS(c, E)
  {
    float f[8];
    unpack(chunk(w, c, E), f);
    for (int i = 0; i < 8; i++) f[i] *= sh->x[(8 * c + i) % E] * r;
    put(sh, xs, c, E, f);
  }
  __syncthreads();
}

struct Matrix {
  const void* w;
  const T *s, *b;
};
__device__ __forceinline__ Matrix matrix(const void* const* p)
{
  Matrix m = {p[0], nullptr, nullptr};
  if (Q) m.s = (const T*)p[1], m.b = (const T*)p[2];
  return m;
}
__device__ __forceinline__ const char* row_at(const Matrix& m, size_t row, int k, int K)
{
  return (const char*)m.w + (Q ? (row * K + k) / 2 : (row * K + k) * 2);
}

/* Elements [k0, k1) of R rows times xs, summed over the warp. A code of 4 bits becomes the float 1 + code / 16 by its bits; the ones
 * are taken off with the sum of xs. */
template <int R, int K>
__device__ __forceinline__ void dot(const Matrix& m, const int (&row)[R], const Shared* sh, const uint4* xs, int k0, int k1, float (&acc)[R])
{
  const int lane = threadIdx.x % 32;
  for (int r = 0; r < R; r++) acc[r] = 0;
  if (Q == 0) {
    const char* w[R];
    for (int r = 0; r < R; r++) w[r] = row_at(m, row[r], 0, K);
#pragma unroll(R == 1 ? 8 : 4)
    for (int k = k0 + lane * 8; k < k1; k += 256) {
      uint4 q[R];
      float f[8], g[8];
#pragma unroll
      for (int r = 0; r < R; r++) q[r] = stream(w[r] + 2 * (size_t)k);
      unpack(xs[k / 8], f);
#pragma unroll
      for (int r = 0; r < R; r++) {
        unpack(q[r], g);
#pragma unroll
        for (int i = 0; i < 8; i++) acc[r] += g[i] * f[i];
      }
    }
  } else {
#pragma unroll(R == 1 ? 4 : 2)
    for (int k = k0 + lane * 32; k < k1; k += 1024) {
      uint4 q[R];
      float s[R], b[R], d[R];
#pragma unroll
      for (int r = 0; r < R; r++) {
        q[r] = stream(row_at(m, row[r], k, K));
        s[r] = get(m.s + (size_t)row[r] * (K / G) + k / G);
        b[r] = get(m.b + (size_t)row[r] * (K / G) + k / G);
        d[r] = 0;
      }
      const float sum = sh->xsum[k / 32];
#pragma unroll
      for (int c = 0; c < 4; c++) {
        float f[8];
        unpack(xs[k / 1024 * 128 + c * 32 + lane], f);
#pragma unroll
        for (int r = 0; r < R; r++) {
          const u32 v = c == 0 ? q[r].x : c == 1 ? q[r].y : c == 2 ? q[r].z : q[r].w;
#pragma unroll
          for (int i = 0; i < 8; i++) {
            const u32 code = (4 * i <= 19 ? v << (19 - 4 * i) : v >> (4 * i - 19)) & 0x780000u;
            d[r] += __uint_as_float(code | 0x3F800000u) * f[i];
          }
        }
      }
#pragma unroll
      for (int r = 0; r < R; r++) acc[r] += s[r] * 16.0f * (d[r] - sum) + b[r] * sum;
    }
  }
#pragma unroll
  for (int r = 0; r < R; r++) acc[r] = warp_sum(acc[r]);
}

/* How many warps share a row, so that the last turn is full. */
__device__ constexpr int shares(int groups, int K)
{
  const int step = Q ? 1024 : 256, all = WARPS * GRID;
  int best = 1, best_waste = 1 << 30;
  for (int s = 1; s <= 4; s *= 2) {
    if (K % (s * step)) break;
    const int units = groups * s, turns = (units + all - 1) / all;
    if (s > 1 && turns > MAX_TURNS) break;
    const int waste = (turns * all - units) * 64 / s / all; /* 64ths of a row's time */
    if (waste < best_waste) best = s, best_waste = waste;
  }
  return best;
}

/* All groups of R rows, rows(g, r) each: warps take one at a time and emit(g, sums). Some multiprocessors are slower than others, so
 * the last quarter of many goes to who comes first, by the counter `next`. */
template <int R, int N, int K, typename ROWS, typename EMIT>
__device__ __forceinline__ void multiply(Shared* sh, const uint4* xs, const Matrix& m, u32* next, ROWS rows, EMIT emit)
{
  constexpr int S = shares(N, K), slots = WARPS / S, step = slots * GRID, turns = N / step;
  constexpr int fixed = S == 1 && turns >= 3 ? (turns - (turns + 3) / 4) * step : N;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, slot = warp / S, part = warp % S;
  int row[R], turn = 0;
  float acc[R];
  for (int g = slot * GRID + blockIdx.x; g < fixed; g += step, turn++) {
    for (int r = 0; r < R; r++) row[r] = rows(g, r);
    dot<R, K>(m, row, sh, xs, K / S * part, K / S * (part + 1), acc);
    if (lane != 0) continue;
    if (S == 1) emit(g, acc);
    else
      for (int r = 0; r < R; r++) sh->part[turn][warp][r] = acc[r];
  }
  if constexpr (fixed < N) {
    u32 mine = 0, after = 0;
    if (lane == 0) mine = atomicAdd(next, 1u);
    mine = __shfl_sync(0xFFFFFFFFu, mine, 0);
    while (fixed + (int)mine < N) {
      const int g = fixed + (int)mine;
      if (lane == 0) after = atomicAdd(next, 1u);
      for (int r = 0; r < R; r++) row[r] = rows(g, r);
      dot<R, K>(m, row, sh, xs, 0, K, acc);
      if (lane == 0) emit(g, acc);
      mine = __shfl_sync(0xFFFFFFFFu, after, 0);
    }
  }
  if (S == 1) return;
  __syncthreads();
  if (threadIdx.x >= slots) return;
  turn = 0;
  for (int g = threadIdx.x * GRID + blockIdx.x; g < N; g += step, turn++) {
    for (int r = 0; r < R; r++) {
      acc[r] = 0;
      for (int p = 0; p < S; p++) acc[r] += sh->part[turn][threadIdx.x * S + p][r];
    }
    emit(g, acc);
  }
}
/* Into L2 while blocks wait for each other: what multiply will read first, at most LIMIT bytes a warp. */
template <int R, int N, int K, int LIMIT, typename ROWS>
__device__ __forceinline__ void ahead(const Matrix& m, ROWS rows)
{
  constexpr int S = shares(N, K), slots = WARPS / S, step = slots * GRID, row_bytes = Q ? K / S / 2 : K / S * 2;
  constexpr int bytes = row_bytes < LIMIT / R ? row_bytes : LIMIT / R, turns = LIMIT / (R * bytes);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, slot = warp / S, part = warp % S;
  int g = slot * GRID + blockIdx.x;
  for (int t = 0; t < turns && g < N; t++, g += step)
    for (int r = 0; r < R; r++) {
      const char* p = row_at(m, rows(g, r), K / S * part, K);
      for (int o = lane * 128; o < bytes; o += 4096) prefetch(p + o);
    }
}

__device__ __forceinline__ float activate(float g)
{
  return ACT == 0 ? g / (1.0f + __expf(-g)) : 0.5f * g * (1.0f + tanhf(0.79788456080286536f * (g + 0.044715f * g * g * g)));
}

/* A head of q, k or v at `at` of qkv, by a warp: bias, norm, rotation. */
__device__ __forceinline__ void prepare_head(float* h, const T* qkv, int at, const T* bias, const T* norm, float eps, const Shared* sh, bool turn)
{
  const int lane = threadIdx.x % 32;
  float s = 0;
  for (int d = lane; d < D; d += 32) {
    const unsigned short bits = __ldcg(reinterpret_cast<const unsigned short*>(qkv) + at + d);
    const float v = get(reinterpret_cast<const T*>(&bits)) + (bias ? get(bias + at + d) : 0.0f);
    h[d] = v;
    s += v * v;
  }
  if (norm) {
    const float r = rsqrtf(warp_sum(s) / D + eps);
    for (int d = lane; d < D; d += 32) h[d] *= r * get(norm + d);
  }
  __syncwarp();
  if (!turn) return;
  for (int i = lane; i < ROT / 2; i += 32) {
    const int a = PAIRS ? 2 * i : i, b = PAIRS ? 2 * i + 1 : i + ROT / 2;
    const float u = h[a], v = h[b];
    h[a] = u * sh->cs[i] - v * sh->sn[i];
    h[b] = u * sh->sn[i] + v * sh->cs[i];
  }
  __syncwarp();
}

/* What attention of a layer needs. */
struct Layer {
  const T *qkv, *bias, *qn, *kn;
  T *keys, *values, *out;
  float* partial;
  u32* counter;
  int pos, capacity, window;
  bool turn;
  float eps, scale;
};

/* Sum and maximum of a softmax over some positions, and the values that it weighs: two of them as one. */
__device__ __forceinline__ void merge(float& m, float& l, float (&acc)[8], int o)
{
  const float mo = __shfl_xor_sync(0xFFFFFFFFu, m, o), lo = __shfl_xor_sync(0xFFFFFFFFu, l, o);
  const float top = fmaxf(m, mo), x = __expf(m - top), y = __expf(mo - top);
  m = top;
  l = l * x + lo * y;
#pragma unroll
  for (int i = 0; i < 8; i++) acc[i] = acc[i] * x + __shfl_xor_sync(0xFFFFFFFFu, acc[i], o) * y;
}

/* Positions [p0, p1) for the heads in a->q: each warp takes some, SUBS at a time; its result goes to a->m, l, acc. */
__device__ __forceinline__ void attend_warp(Attn* a, const T* keys, const T* values, int p0, int p1, float scale)
{
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, sub = lane / LP, d0 = lane % LP * 8;
  const bool in = d0 < D;
  float q[HG][8], acc[HG][8], m[HG], l[HG];
#pragma unroll
  for (int h = 0; h < HG; h++) {
    m[h] = -1e30f;
    l[h] = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      q[h][i] = in ? a->q[h][d0 + i] * scale : 0.0f;
      acc[h][i] = 0;
    }
  }
  for (int base = p0 + warp * SUBS; base < p1; base += WARPS * SUBS) {
    const int p = base + sub;
    const bool valid = p < p1;
    uint4 kq = make_uint4(0, 0, 0, 0), vq = kq;
    float f[8], g[8];
    if (in && valid) {
      kq = __ldcg(reinterpret_cast<const uint4*>(keys + (size_t)p * D + d0));
      vq = __ldcg(reinterpret_cast<const uint4*>(values + (size_t)p * D + d0));
    }
    unpack(kq, f);
    unpack(vq, g);
#pragma unroll
    for (int h = 0; h < HG; h++) {
      float s = 0;
#pragma unroll
      for (int i = 0; i < 8; i++) s += q[h][i] * f[i];
#pragma unroll
      for (int o = LP / 2; o > 0; o /= 2) s += __shfl_xor_sync(0xFFFFFFFFu, s, o);
      if (!valid) s = -1e30f;
      const float top = fmaxf(m[h], s), old = __expf(m[h] - top), e = valid ? __expf(s - top) : 0.0f;
      m[h] = top;
      l[h] = l[h] * old + e;
#pragma unroll
      for (int i = 0; i < 8; i++) acc[h][i] = acc[h][i] * old + e * g[i];
    }
  }
#pragma unroll
  for (int h = 0; h < HG; h++) {
#pragma unroll
    for (int o = LP; o < 32; o *= 2) merge(m[h], l[h], acc[h], o);
    if (sub == 0 && in)
      for (int i = 0; i < 8; i++) a->acc[warp][h][d0 + i] = acc[h][i];
    if (lane == 0) a->m[warp][h] = m[h], a->l[warp][h] = l[h];
  }
}

/* One of n_split pieces of the context for HG heads of one KV head; the block that has the newest position writes its K and V, the
 * block that comes last joins the pieces. */
__device__ __forceinline__ void attend(Attn* a, Shared* sh, const Layer& y, int item, int n_split)
{
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, split = item / ITEMS, kv = item % ITEMS / GROUPS, group = item % GROUPS;
  const int from = y.window && y.pos + 1 > y.window ? y.pos + 1 - y.window : 0, n = y.pos + 1 - from, per = (n + n_split - 1) / n_split;
  const int p0 = from + split * per, p1 = min(p0 + per, y.pos + 1), head0 = kv * (NH / NKV) + group * HG;
  const int heads = min((int)HG, NH / NKV - group * HG);
  T *keys = y.keys + (size_t)kv * y.capacity * D, *values = y.values + (size_t)kv * y.capacity * D;
  __syncthreads();
  if (warp < heads) prepare_head(a->q[warp], y.qkv, (head0 + warp) * D, y.bias, y.qn, y.eps, sh, y.turn);
  else if (warp < HG)
    for (int d = lane; d < D; d += 32) a->q[warp][d] = 0;
  if (p1 == y.pos + 1 && p0 < p1) {
    if (warp == HG) {
      prepare_head(a->k, y.qkv, (NH + kv) * D, y.bias, y.kn, y.eps, sh, y.turn);
      for (int d = lane; d < D; d += 32) keys[(size_t)y.pos * D + d] = static_cast<T>(a->k[d]);
    }
    if (warp == HG + 1) {
      prepare_head(a->v, y.qkv, (NH + NKV + kv) * D, y.bias, nullptr, y.eps, sh, false);
      for (int d = lane; d < D; d += 32) values[(size_t)y.pos * D + d] = static_cast<T>(a->v[d]);
    }
  }
  __syncthreads();
  attend_warp(a, keys, values, p0, p1, y.scale);
  __syncthreads();
  for (int o = threadIdx.x; o < heads * D; o += THREADS) {
    const int h = o / D, d = o % D;
    float top = -1e30f, sum = 0, v = 0;
    for (int w = 0; w < WARPS; w++) top = fmaxf(top, a->m[w][h]);
    for (int w = 0; w < WARPS; w++) {
      const float e = __expf(a->m[w][h] - top);
      sum += a->l[w][h] * e;
      v += a->acc[w][h][d] * e;
    }
    if (n_split == 1) {
      y.out[(head0 + h) * D + d] = static_cast<T>(v / sum);
    } else {
      float* to = y.partial + ((size_t)split * NH + head0 + h) * (D + 2);
      to[d] = v;
      if (d == 0) to[D] = top, to[D + 1] = sum;
    }
  }
  if (n_split == 1) return;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    u32* c = y.counter + kv * GROUPS + group;
    sh->last = atomicAdd(c, 1u) == n_split - 1;
    if (sh->last) *c = 0;
    __threadfence();
  }
  __syncthreads();
  if (!sh->last) return;
  for (int o = threadIdx.x; o < heads * D; o += THREADS) {
    const int h = o / D, d = o % D;
    const float* at = y.partial + (size_t)(head0 + h) * (D + 2);
    float top = -1e30f, sum = 0, v = 0;
    for (int s = 0; s < n_split; s++) top = fmaxf(top, __ldcg(at + (size_t)s * NH * (D + 2) + D));
    for (int s = 0; s < n_split; s++) {
      const float* p = at + (size_t)s * NH * (D + 2);
      const float e = __expf(__ldcg(p + D) - top);
      sum += __ldcg(p + D + 1) * e;
      v += __ldcg(p + d) * e;
    }
    y.out[(head0 + h) * D + d] = static_cast<T>(v / sum);
  }
}
