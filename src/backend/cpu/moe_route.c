/* backend/cpu/moe_route.c - the routing rules of MoE, in plain C: a few hundred values per token. Apart from node_moe.c
 * because this is arithmetic that a table of cases can test, and that is scheduling. */
#include "backend/cpu/moe_route.h"

#include <math.h>

static void softmax(float *x, uint32_t n)
{
    float top = -INFINITY, sum = 0.0F;
    for (uint32_t i = 0; i < n; i++) top = x[i] > top ? x[i] : top;
    for (uint32_t i = 0; i < n; i++) sum += x[i] = expf(x[i] - top);
    for (uint32_t i = 0; i < n; i++) x[i] /= sum;
}

/* Index of the largest value that is not taken (taken ones are listed in `got`). */
static uint32_t best_of(const float *x, uint32_t n, const uint32_t *got, uint32_t n_got)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        bool taken = false;
        if (best != UINT32_MAX && !(x[i] > x[best])) continue;
        for (uint32_t k = 0; k < n_got && !taken; k++) taken = got[k] == i;
        if (!taken) best = i;
    }
    return best;
}

/* Choice scores of all but the best groups become 0, as the reference models have it. */
static void mask_groups(const wick_op_moe *o, float *choice)
{
    uint32_t size = o->n_expert / o->n_group, got[64];
    float score[64];
    if (o->n_group > 64 || o->topk_group >= o->n_group) return;
    for (uint32_t g = 0; g < o->n_group; g++) {
        float a = -INFINITY, b = -INFINITY;
        for (uint32_t i = 0; i < size; i++) {
            float v = choice[g * size + i];
            if (v > a)
                b = a, a = v;
            else if (v > b)
                b = v;
        }
        score[g] = o->group_by_top2 && size > 1 ? a + b : a;
    }
    for (uint32_t k = 0; k < o->topk_group; k++) got[k] = best_of(score, o->n_group, got, k);
    for (uint32_t g = 0; g < o->n_group; g++) {
        bool keep = false;
        for (uint32_t k = 0; k < o->topk_group; k++) keep = keep || got[k] == g;
        for (uint32_t i = 0; !keep && i < size; i++) choice[g * size + i] = 0.0F;
    }
}

/* `left` starts as the logits; what was chosen becomes -INFINITY. */
static void sparsemixer(const wick_op_moe *o, const float *logit, float *left, uint32_t *expert, float *weight)
{
    uint32_t n = o->n_expert;
    for (uint32_t k = 0; k < o->top_k; k++) {
        expert[k] = best_of(left, n, expert, k);
        float top = left[expert[k]], sum = 0.0F;
        for (uint32_t i = 0; i < n; i++) {
            float size = fabsf(logit[i]) > top ? fabsf(logit[i]) : top;
            if (!((top - logit[i]) / size > 2.0F * o->jitter)) sum += expf(left[i] - top);
        }
        weight[k] = 1.0F / sum * o->scale;
        left[expert[k]] = -INFINITY;
    }
}

void wick_moe_route(const wick_op_moe *o, float *score, float *scratch, uint32_t *expert, float *weight)
{
    uint32_t n = o->n_expert;
    if (o->routing == WICK_ROUTE_SOFTMAX_TOPK) softmax(score, n);
    if (o->routing == WICK_ROUTE_SIGMOID_TOPK)
        for (uint32_t i = 0; i < n; i++) score[i] = 1.0F / (1.0F + expf(-score[i]));
    for (uint32_t i = 0; i < n; i++) scratch[i] = score[i] + (o->correction ? o->correction[i] : 0.0F);
    if (o->routing == WICK_ROUTE_SPARSEMIXER) {
        sparsemixer(o, score, scratch, expert, weight);
        return;
    }
    if (o->n_group > 1) mask_groups(o, scratch);
    float sum = 0.0F;
    for (uint32_t k = 0; k < o->top_k; k++) {
        expert[k] = best_of(scratch, n, expert, k);
        weight[k] = score[expert[k]];
        sum += weight[k];
    }
    if (o->routing == WICK_ROUTE_TOPK_SOFTMAX) softmax(weight, o->top_k);
    bool divide = o->normalize && o->routing != WICK_ROUTE_TOPK_SOFTMAX;
    for (uint32_t k = 0; k < o->top_k; k++)
        weight[k] = (divide ? weight[k] / (sum + o->norm_floor) : weight[k]) * o->scale;
    for (uint32_t k = 0; o->out_scale && k < o->top_k; k++) weight[k] *= o->out_scale[expert[k]];
}
