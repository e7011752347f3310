/* convert/rows.c - the rows of all items to their places in the output, on several threads.
 *
 * The work is cut into runs of rows of about a megabyte of floats; a thread takes the next run, reads, encodes and
 * writes it. What it holds is its own run only, and pages of the source that have been read are given back. The first
 * failure stops all.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/sys.h"
#include "base/thread.h"
#include "convert/convert_int.h"

enum { RUN_VALUES = 1 << 18, RAW_BYTES = 4 << 20, MAX_THREADS = 64 };

typedef struct work {
    wick_convert_job *j;
    uint64_t *first; /* [n_items + 1] runs before each item */
    uint64_t total;  /* bytes of source that will be read */
    atomic_uint_fast64_t next, done;
    atomic_bool stop;
    wick_lock lock; /* of st and err */
    wick_status st;
    wick_err err;
} work;

typedef struct worker {
    work *w;
    wick_thread thread;
    float *row;
    uint8_t *out; /* encoded rows of one run: data, then scales, then biases */
    bool reports;
} worker;

static uint32_t run_rows(const wick_convert_item *it)
{
    uint32_t n = it->from.n_in ? RUN_VALUES / it->from.n_in : 1;
    if (it->head_rows) return it->head_rows;
    return n ? n : 1;
}

static uint64_t n_runs(const wick_convert_item *it)
{
    if (it->raw) return (it->n_raw + RAW_BYTES - 1) / RAW_BYTES;
    return ((uint64_t)it->from.n_out + run_rows(it) - 1) / run_rows(it);
}

static void fail(work *w, wick_status st, const wick_err *err)
{
    wick_lock_take(&w->lock);
    if (w->st == WICK_OK) {
        w->st = st;
        w->err = *err;
    }
    wick_lock_drop(&w->lock);
    atomic_store(&w->stop, true);
}

static wick_status write_raw(work *w, const wick_convert_item *it, uint64_t run, uint64_t *n_read, wick_err *err)
{
    uint64_t at = run * RAW_BYTES, n = it->n_raw - at < RAW_BYTES ? it->n_raw - at : RAW_BYTES;
    *n_read = n;
    WICK_TRY(wick_tensor_writer_put(w->j->writer, it->out, at, it->from.data + at, n, err));
    wick_memory_drop(it->from.data + at, n);
    return WICK_OK;
}

/* Row r of the output is this row of the source: halves of a head interleaved, as GGUF has them for some families. */
static uint32_t source_row(const wick_convert_item *it, uint32_t r)
{
    if (!it->head_rows) return r;
    uint32_t head = r / it->head_rows, i = r % it->head_rows, half = it->head_rows / 2;
    return head * it->head_rows + (it->back ? i % half * 2 + i / half : i % 2 * half + i / 2);
}

static void read_row(const wick_convert_job *j, const wick_convert_item *it, uint32_t r, float *x)
{
    wick_weight_row(&it->from, source_row(it, r), x);
    for (uint32_t k = 0; it->add != 0 && k < it->from.n_in; k++) x[k] += it->add;
    if (!j->opts->has_dtype || j->opts->dtype == WICK_DTYPE_F32 || !it->encoded) return;
    for (uint32_t k = 0; k < it->from.n_in; k++) {
        uint16_t half;
        wick_from_f32(j->opts->dtype, x + k, &half, 1);
        wick_to_f32(j->opts->dtype, &half, x + k, 1);
    }
}

static wick_status write_rows(worker *k, const wick_convert_item *it, uint64_t run, uint64_t *n_read, wick_err *err)
{
    wick_convert_job *j = k->w->j;
    wick_weight to;
    uint32_t from = (uint32_t)run * run_rows(it),
             n = it->from.n_out - from < run_rows(it) ? it->from.n_out - from : run_rows(it);
    WICK_TRY(wick_quant_shape(&it->to, it->from.n_out, it->from.n_in, &to, err));
    uint8_t *scales = k->out + n * to.row_bytes, *biases = scales + n * to.scale_row_bytes;
    for (uint32_t r = 0; r < n; r++) {
        read_row(j, it, from + r, k->row);
        wick_quant_row(&it->to, k->row, NULL, it->from.n_in, k->out + r * to.row_bytes, scales + r * to.scale_row_bytes,
                       biases + r * to.scale_row_bytes);
    }
    WICK_TRY(wick_tensor_writer_put(j->writer, it->out, from * to.row_bytes, k->out, n * to.row_bytes, err));
    const uint8_t *side[2] = {scales, biases};
    for (uint32_t s = 1; s < it->n_outs; s++)
        WICK_TRY(wick_tensor_writer_put(j->writer, it->out + s, from * to.scale_row_bytes, side[s - 1],
                                        n * to.scale_row_bytes, err));
    *n_read = n * it->from.row_bytes;
    wick_memory_drop(it->from.data + from * it->from.row_bytes, *n_read);
    return WICK_OK;
}

static uint32_t item_of(const work *w, uint64_t run)
{
    uint32_t lo = 0, hi = w->j->n_items;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (w->first[mid] <= run)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void *run_worker(void *arg)
{
    worker *k = arg;
    work *w = k->w;
    const wick_convert_opts *o = w->j->opts;
    uint64_t n = w->first[w->j->n_items];
    while (!atomic_load(&w->stop)) {
        uint64_t run = atomic_fetch_add(&w->next, 1), n_read = 0;
        if (run >= n) break;
        uint32_t i = item_of(w, run);
        const wick_convert_item *it = &w->j->item[i];
        wick_err err = {0};
        wick_status st = it->raw ? write_raw(w, it, run - w->first[i], &n_read, &err)
                                 : write_rows(k, it, run - w->first[i], &n_read, &err);
        if (st != WICK_OK) fail(w, st, &err);
        uint64_t done = atomic_fetch_add(&w->done, n_read) + n_read;
        if (k->reports && o->progress && !o->progress(o->ctx, "writing", done, w->total ? w->total : 1)) {
            st = WICK_FAIL(&err, WICK_E_CANCELLED, NULL, "cancelled: nothing was written");
            fail(w, st, &err);
        }
    }
    return NULL;
}

/* The most that one run takes. */
static void measure(work *w, uint64_t *row_values, uint64_t *out_bytes)
{
    *row_values = *out_bytes = 1;
    for (uint32_t i = 0; i < w->j->n_items; i++) {
        const wick_convert_item *it = &w->j->item[i];
        w->first[i + 1] = w->first[i] + n_runs(it);
        w->total += it->raw ? it->n_raw : it->from.n_out * it->from.row_bytes;
        wick_weight to;
        if (it->raw || wick_quant_shape(&it->to, 1, it->from.n_in, &to, NULL) != WICK_OK) continue;
        uint64_t bytes = run_rows(it) * (to.row_bytes + 2 * to.scale_row_bytes);
        if (it->from.n_in > *row_values) *row_values = it->from.n_in;
        if (bytes > *out_bytes) *out_bytes = bytes;
    }
}

wick_status wick_convert_run(wick_convert_job *j, wick_err *err)
{
    worker k[MAX_THREADS] = {{0}};
    work w = {.j = j, .first = wick_alloc_zero(j->n_items + 1u, sizeof *w.first)};
    uint32_t n = j->opts->n_threads ? j->opts->n_threads : wick_cpu_count();
    uint64_t row_values, out_bytes;
    if (!w.first) return wick_err_oom(err, "a conversion", 0, 0);
    if (n > MAX_THREADS) n = MAX_THREADS;
    wick_lock_init(&w.lock);
    measure(&w, &row_values, &out_bytes);
    for (uint32_t t = 0; t < n; t++) {
        wick_err own = {0};
        k[t] = (worker){.w = &w, .reports = t == 0};
        k[t].row = wick_alloc_aligned(64, row_values * sizeof *k[t].row);
        k[t].out = wick_alloc_aligned(64, out_bytes);
        wick_status st = k[t].row && k[t].out ? WICK_OK : wick_err_oom(&own, "a conversion", out_bytes, 0);
        if (st == WICK_OK && t > 0) st = wick_thread_start(&k[t].thread, "convert", run_worker, &k[t], &own);
        if (st != WICK_OK && t > 0) break; /* fewer threads do it too */
        if (st != WICK_OK) fail(&w, st, &own);
    }
    if (w.st == WICK_OK) run_worker(&k[0]);
    for (uint32_t t = 0; t < n; t++) {
        wick_thread_join(&k[t].thread);
        wick_free(k[t].row);
        wick_free(k[t].out);
    }
    if (w.st == WICK_OK && j->opts->progress) (void)j->opts->progress(j->opts->ctx, "writing", 1, 1);
    if (w.st != WICK_OK && err) *err = w.err;
    wick_lock_release(&w.lock);
    wick_free(w.first);
    return w.st;
}
