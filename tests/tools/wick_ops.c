/* tests/tools/wick_ops.c - a model on two backends, compared op by op (backend/wrap.h). For the Python tests.
 *
 *   wick_ops MODEL BACKEND BACKEND N_TOKENS SEED
 *
 * One line of JSON an op: its place in the plan, its kind, the largest difference of any value it left in its register (of the
 * logits for HEAD), the largest value of the first backend, values that only one side had finite, and whether both showed it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/wrap.h"
#include "model/model.h"

enum { MAX_TOKENS = 4096 };

static int fail(const wick_err *e)
{
    fprintf(stderr, "wick_ops: %s: %s\n", wick_status_name(e->kind), e->message);
    return (int)e->kind;
}

int main(int argc, char **argv)
{
    wick_err err = {0};
    wick_model model = {0};
    static int32_t tok[MAX_TOKENS];
    if (argc != 6) return fputs("usage: wick_ops MODEL BACKEND BACKEND N_TOKENS SEED\n", stderr), 2;
    uint32_t n = (uint32_t)atoi(argv[4]);
    uint64_t state = (uint64_t)atoi(argv[5]);
    const wick_backend *a = wick_backend_find(argv[2]), *b = wick_backend_find(argv[3]);
    if (n < 1 || n > MAX_TOKENS) return fputs("wick_ops: N_TOKENS: 1 to 4096\n", stderr), 2;
    if (!a || !b) return fputs("wick_ops: no such backend in this build\n", stderr), 2;
    if (wick_model_open(&model, argv[1], &err) != WICK_OK) return fail(&err);
    const wick_plan *p = &model.plan;
    for (uint32_t k = 0; k < n; k++) {
        state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX generator */
        tok[k] = (int32_t)((state >> 33) % p->n_vocab);
    }
    wick_backend_opts o = {
        .device = "cpu", .n_threads = 2, .precision = WICK_PRECISION_EXACT, .kv_dtype = WICK_DTYPE_F32};
    wick_op_diff *diff = calloc(p->n_ops, sizeof *diff);
    if (!diff) abort();
    wick_status st = wick_wrap_compare(a, &o, b, &o, p, tok, n, diff, &err);
    for (uint32_t i = 0; st == WICK_OK && i < p->n_ops; i++)
        printf("{\"op\": %u, \"kind\": \"%s\", \"off\": %.3g, \"size\": %.4g, \"not_finite\": %" PRIu64
               ", \"seen\": %s}\n",
               i, wick_op_name(p->op[i].kind), diff[i].max_abs, diff[i].size, diff[i].n_not_finite,
               diff[i].seen ? "true" : "false");
    free(diff);
    wick_model_close(&model);
    return st == WICK_OK ? 0 : fail(&err);
}
