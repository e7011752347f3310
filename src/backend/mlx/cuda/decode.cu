/* backend/mlx/cuda/decode.cu - NL layers for one token, and the head: the body of one kernel. MLX writes its signature: x [E] T,
 * meta int [2 + 2 NL] (position, capacity of K and V, windows, which layers rotate), fmeta float [9], scratch, the pointers of the layers
 * (their order is below). It gives y: logits [V] float, with the likeliest token's id and log probability; or, without a head, x [E] T.
 *
 * A launch takes longer than a layer's small products, so all is one launch: one block on each multiprocessor, which meet five
 * times a layer. Every block keeps the residual stream and norms it for itself; products are split by rows, attention by KV heads and
 * pieces of the context. While blocks wait, they fetch the next weights into L2. K and V are written where they lie.
 *
 * scratch, between launches: bar[0..2] and the counters behind are zero; the last block to end leaves them so. */
using namespace wick_decode;
extern __shared__ __align__(16) char memory[];
Shared* sh = reinterpret_cast<Shared*>(memory);
uint4* xs = reinterpret_cast<uint4*>(memory + (sizeof(Shared) + 15) / 16 * 16);
u32 *bar = reinterpret_cast<u32*>(const_cast<float*>(scratch)), *work = bar + 16, *counter = work + WORK;
T *qkv = reinterpret_cast<T*>(counter + (ITEMS + 15) / 16 * 16), *attn = qkv + QW, *delta = attn + QWIDE, *h = delta + E;
float* partial = reinterpret_cast<float*>(h + FF);
const float eps = fmeta[0], keep1 = fmeta[3], add1 = fmeta[4], keep2 = fmeta[5], add2 = fmeta[6];
const float* turned = nullptr;
u32 goal = 0;

if (threadIdx.x == 0) {
@POINTERS@
}
for (int c = threadIdx.x; c < E / 8; c += THREADS) unpack(*(reinterpret_cast<const uint4*>(x) + c), sh->x + 8 * c);
__syncthreads();

/* Groups of rows that a warp takes at once, as measured; gate and up of one place together. */
constexpr int MW = Q ? 3 : 1, RN = Q ? 2 : 1, RP = Q ? 4 : 2, RV = V % RN ? 1 : RN;
auto plain = [](int g, int r) { return g * RN + r; };
auto pairs = [](int g, int r) { return r % 2 * FF + g * (RP / 2) + r / 2; };
auto to = [](T* out) { return [out](int g, float* a) { for (int r = 0; r < RN; r++) out[g * RN + r] = static_cast<T>(a[r]); }; };
auto to_h = [&](int g, float* a) { for (int r = 0; r < RP / 2; r++) h[g * (RP / 2) + r] = static_cast<T>(activate(a[2 * r]) * a[2 * r + 1]); };

#pragma unroll 1
for (int layer = 0; layer < NL; layer++) {
  const void* const* p = sh->ptr + layer * PER;
  const T *norm1 = (const T*)p[0], *norm2 = (const T*)p[1];
  const float* freqs = (const float*)p[4];
  const Matrix wqkv = matrix(p + 5), wo = matrix(p + 5 + MW), wgu = matrix(p + 5 + 2 * MW), wd = matrix(p + 5 + 3 * MW);
  const void* const* more = p + 5 + 4 * MW;
  const T *post1 = POSTNORM ? (const T*)more[2 * QKNORM + BIAS] : nullptr;
  const T *post0 = POSTNORM && layer ? (const T*)(more - PER)[2 * QKNORM + BIAS + 1] : nullptr;
  Layer y = {qkv, BIAS ? (const T*)more[2 * QKNORM] : nullptr, QKNORM ? (const T*)more[0] : nullptr, QKNORM ? (const T*)more[1] : nullptr,
             (T*)p[2], (T*)p[3], attn, partial, counter, meta[0], meta[1], meta[2 + layer], meta[2 + NL + layer] != 0, fmeta[1], fmeta[2]};

  if (freqs != turned) {
    for (int i = threadIdx.x; i < ROT / 2; i += THREADS) sincosf((float)y.pos * (1.0f / freqs[i]), sh->sn + i, sh->cs + i);
    turned = freqs;
  }
  residual_norm(sh, xs, layer ? delta : nullptr, post0, keep2, add2, norm1, eps);
  multiply<RN, QW / RN, E>(sh, xs, wqkv, work++, plain, to(qkv));
  arrive(bar);
  ahead<RN, E / RN, QWIDE, 8192>(wo, plain);
  wait(bar, goal += GRID);

  const int n = y.window && y.pos + 1 > y.window ? y.window : y.pos + 1;
  const int n_split = max(1, min(min((n + 127) / 128, (int)MAX_SPLIT), GRID / ITEMS));
  for (int item = blockIdx.x; item < ITEMS * n_split; item += GRID) attend(reinterpret_cast<Attn*>(xs), sh, y, item, n_split);
  arrive(bar);
  wait(bar, goal += GRID);

  load_vector(sh, xs, attn, QWIDE);
  multiply<RN, E / RN, QWIDE>(sh, xs, wo, work++, plain, to(delta));
  arrive(bar);
  ahead<RP, 2 * FF / RP, E, 4096>(wgu, pairs);
  wait(bar, goal += GRID);

  residual_norm(sh, xs, delta, post1, keep1, add1, norm2, eps);
  multiply<RP, 2 * FF / RP, E>(sh, xs, wgu, work++, pairs, to_h);
  arrive(bar);
  ahead<RN, E / RN, FF, 4096>(wd, plain);
  wait(bar, goal += GRID);

  load_vector(sh, xs, h, FF);
  multiply<RN, E / RN, FF>(sh, xs, wd, work++, plain, to(delta));
  arrive(bar);
  if (layer + 1 < NL) ahead<RN, QW / RN, E, 4096>(matrix(p + PER + 5), plain);
  wait(bar, goal += GRID);
}

const void* const* end = sh->ptr + NL * PER;
const T* post = POSTNORM ? (const T*)(end - PER + 5 + 4 * MW)[2 * QKNORM + BIAS + 1] : nullptr;
residual_norm(sh, xs, delta, post, keep2, add2, (const T*)end[V ? 0 : -PER], eps);
Best best = {-1e38f, 0.0f, 0};
if constexpr (V > 0) {
  const float factor = fmeta[7], cap = fmeta[8];
  auto rows = [](int g, int r) { return g * RV + r; };
  auto to_y = [&](int g, float* a) {
    for (int r = 0; r < RV; r++) {
      const float v = cap == 0.0f ? a[r] * factor : tanhf(a[r] * factor / cap) * cap;
      y[g * RV + r] = v;
      best.add({v, 1.0f, (u32)(g * RV + r)});
    }
  };
  multiply<RV, V / RV, E>(sh, xs, matrix(end + 1), work++, rows, to_y);
  if (threadIdx.x % 32 == 0) sh->best[threadIdx.x / 32] = best;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int w = 1; w < WARPS; w++) best.add(sh->best[w]);
    reinterpret_cast<Best*>(partial)[blockIdx.x] = best;
  }
} else if (blockIdx.x == 0) {
  for (int i = threadIdx.x; i < E; i += THREADS) y[i] = sh->x[i];
}

__syncthreads();
if (threadIdx.x == 0) {
  __threadfence();
  sh->last = atomicAdd(bar + 1, 1u) == GRID - 1;
  __threadfence();
}
__syncthreads();
if (!sh->last) return;
if constexpr (V > 0) {
  if (threadIdx.x < 32) {
    best = {-1e38f, 0.0f, 0};
    for (int i = threadIdx.x; i < GRID; i += 32) {
      const float* b = partial + i * (int)(sizeof(Best) / sizeof(float));
      best.add({__ldcg(b), __ldcg(b + 1), __float_as_uint(__ldcg(b + 2))});
    }
    for (int o = 16; o > 0; o /= 2)
      best.add({__shfl_xor_sync(0xFFFFFFFFu, best.top, o), __shfl_xor_sync(0xFFFFFFFFu, best.sum, o), __shfl_xor_sync(0xFFFFFFFFu, best.at, o)});
    if (threadIdx.x == 0) {
      id[0] = best.at;
      logprob[0] = -logf(best.sum);
    }
  }
}
__syncthreads();
if (threadIdx.x == 0) {
  if (bar[2]) { /* no number is no answer */
    y[0] = __int_as_float(0x7FC00000);
    if constexpr (V > 0) logprob[0] = __int_as_float(0x7FC00000);
  }
  bar[0] = bar[1] = 0;
  for (int i = 0; i < WORK; i++) bar[16 + i] = 0;
}
