/* backend/recode.c - see recode.h. */
#include "backend/recode.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "base/thread.h"

enum { RUN_ROWS = 64, MAX_THREADS = 64 };

void wick_recode_rows(const wick_weight *w, const wick_quant *q, uint32_t from, uint32_t n, uint8_t *data,
                      uint8_t *scales, uint8_t *biases, float *row)
{
    wick_weight to;
    if (wick_quant_shape(q, w->n_out, w->n_in, &to, NULL) != WICK_OK) return; /* who asked has checked that it fits */
    for (uint32_t r = 0; r < n; r++) {
        wick_weight_row(w, from + r, row);
        wick_quant_row(q, row, NULL, w->n_in, data + r * to.row_bytes, scales ? scales + r * to.scale_row_bytes : NULL,
                       biases ? biases + r * to.scale_row_bytes : NULL);
    }
}

typedef struct job {
    const wick_weight *w;
    const wick_quant *q;
    wick_weight to;
    uint8_t *data, *scales, *biases;
    uint32_t n_runs; /* of one matrix */
    uint64_t total;
    atomic_uint_fast64_t next;
} job;

typedef struct worker {
    job *j;
    wick_thread thread;
    float *row;
} worker;

static void *work(void *arg)
{
    worker *k = arg;
    job *j = k->j;
    for (uint64_t run; (run = atomic_fetch_add(&j->next, 1)) < j->total;) {
        const wick_weight *w = &j->w[run / j->n_runs];
        uint32_t from = (uint32_t)(run % j->n_runs) * RUN_ROWS, left = w->n_out - from;
        uint64_t at = run / j->n_runs * w->n_out + from, side = at * j->to.scale_row_bytes;
        wick_recode_rows(w, j->q, from, left < RUN_ROWS ? left : RUN_ROWS, j->data + at * j->to.row_bytes,
                         j->scales ? j->scales + side : NULL, j->biases ? j->biases + side : NULL, k->row);
    }
    return NULL;
}

wick_status wick_recode_all(const wick_weight *w, uint32_t n_mat, const wick_quant *q, uint32_t n_threads,
                            uint8_t *data, uint8_t *scales, uint8_t *biases, wick_err *err)
{
    worker k[MAX_THREADS] = {{0}};
    job j = {.w = w, .q = q, .data = data, .scales = scales, .biases = biases};
    uint32_t n = n_threads ? n_threads : wick_cpu_count();
    WICK_TRY(wick_quant_shape(q, w->n_out, w->n_in, &j.to, err));
    j.n_runs = (w->n_out + RUN_ROWS - 1) / RUN_ROWS;
    j.total = (uint64_t)j.n_runs * n_mat;
    if (n > MAX_THREADS) n = MAX_THREADS;
    for (uint32_t t = 0; t < n; t++) {
        k[t].j = &j;
        k[t].row = wick_alloc((size_t)w->n_in * sizeof *k[t].row);
        if (!k[t].row) break;
        if (t > 0 && wick_thread_start(&k[t].thread, "recode", work, &k[t], NULL) != WICK_OK) break;
    }
    wick_status st = k[0].row ? WICK_OK : wick_err_oom(err, w->name, 0, 0);
    if (st == WICK_OK) work(&k[0]);
    for (uint32_t t = 0; t < n; t++) {
        wick_thread_join(&k[t].thread);
        wick_free(k[t].row);
    }
    return st;
}
