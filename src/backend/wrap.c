/* backend/wrap.c - see wrap.h. Owns the loading and stepping of a backend with a tap; keeps the first side's registers
 * in memory (ops * tokens * width floats), which is why it is for tests and for looking into a model, not for
 * serving. */
#include "backend/wrap.h"

#include <math.h>
#include <string.h>

/* Opens, loads, runs one step with the tap, shows the logits as HEAD's values, closes. */
static wick_status run_tapped(const wick_backend *b, const wick_backend_opts *opts, const wick_plan *plan,
                              const int32_t *tokens, uint32_t n, wick_tap_fn tap, void *tap_ctx, wick_err *err)
{
    wick_backend_ctx *c = NULL;
    wick_backend_model *m = NULL;
    wick_seq *s = NULL;
    wick_backend_opts o = *opts;
    o.tap = tap;
    o.tap_ctx = tap_ctx;
    wick_status st = WICK_OK;
    WICK_TRY(b->open(&c, &o, err));
    WICK_TRY_GOTO(b->load(c, plan, n, (wick_progress){0}, &m, err));
    WICK_TRY_GOTO(b->kv_new(m, n, &s, err));
    wick_row row = {s, tokens, n, plan->whole ? WICK_OUT_HIDDEN : WICK_OUT_ALL, 0};
    wick_batch batch = {&row, 1};
    wick_step_out out;
    WICK_TRY_GOTO(b->step_submit(m, &batch, err));
    WICK_TRY_GOTO(b->step_wait(m, &out, err));
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        if (plan->op[i].kind != WICK_OP_HEAD) continue;
        wick_tap t = {i, &plan->op[i], out.data, out.n, out.width};
        tap(tap_ctx, &t);
    }
done:
    if (s) b->kv_free(m, s);
    if (m) b->unload(m);
    b->close(c);
    return st;
}

typedef struct trace {
    void (*fn)(void *ctx, const wick_op_stats *s);
    void *ctx;
} trace;

static void trace_tap(void *ctx, const wick_tap *t)
{
    const trace *tr = ctx;
    if (!t->data) return;
    wick_op_stats s = {
        .op_index = t->op_index, .op = t->op, .n = (uint64_t)t->n_rows * t->n_embd, .min = INFINITY, .max = -INFINITY};
    for (uint64_t i = 0; i < s.n; i++) {
        double x = (double)t->data[i];
        if (!isfinite(x)) {
            s.n_not_finite++;
            continue;
        }
        s.min = x < s.min ? x : s.min;
        s.max = x > s.max ? x : s.max;
        s.rms += x * x;
    }
    uint64_t finite = s.n - s.n_not_finite;
    s.rms = finite ? sqrt(s.rms / (double)finite) : 0;
    tr->fn(tr->ctx, &s);
}

wick_status wick_wrap_trace(const wick_backend *b, const wick_backend_opts *opts, const wick_plan *plan,
                            const int32_t *tokens, uint32_t n, void (*fn)(void *ctx, const wick_op_stats *s), void *ctx,
                            wick_err *err)
{
    trace tr = {fn, ctx};
    return run_tapped(b, opts, plan, tokens, n, trace_tap, &tr, err);
}

typedef struct record {
    float **data; /* [n_ops], of the first side */
    uint64_t *n;  /* values in each */
    wick_op_diff *diff;
    bool failed; /* out of memory inside a tap */
} record;

static void keep_tap(void *ctx, const wick_tap *t)
{
    record *r = ctx;
    uint64_t n = (uint64_t)t->n_rows * t->n_embd;
    if (!t->data || r->data[t->op_index]) return;
    float *copy = wick_realloc_array(NULL, n, sizeof *copy);
    if (!copy) {
        r->failed = true;
        return;
    }
    memcpy(copy, t->data, n * sizeof *copy);
    r->data[t->op_index] = copy;
    r->n[t->op_index] = n;
}

static void compare_tap(void *ctx, const wick_tap *t)
{
    record *r = ctx;
    const float *a = r->data[t->op_index], *b = t->data;
    wick_op_diff *d = &r->diff[t->op_index];
    if (!a || !b || r->n[t->op_index] != (uint64_t)t->n_rows * t->n_embd) return;
    d->seen = true;
    for (uint64_t i = 0; i < r->n[t->op_index]; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            d->n_not_finite += isfinite(a[i]) != isfinite(b[i]);
            continue;
        }
        double x = fabs((double)a[i] - (double)b[i]), size = fabs((double)a[i]);
        d->max_abs = x > d->max_abs ? x : d->max_abs;
        d->size = size > d->size ? size : d->size;
    }
}

wick_status wick_wrap_compare(const wick_backend *a, const wick_backend_opts *a_opts, const wick_backend *b,
                              const wick_backend_opts *b_opts, const wick_plan *plan, const int32_t *tokens, uint32_t n,
                              wick_op_diff *diff, wick_err *err)
{
    record r = {.diff = diff};
    wick_status st = WICK_OK;
    memset(diff, 0, plan->n_ops * sizeof *diff);
    r.data = wick_alloc_zero(plan->n_ops, sizeof *r.data);
    r.n = wick_alloc_zero(plan->n_ops, sizeof *r.n);
    if (!r.data || !r.n) {
        st = wick_err_oom(err, "the comparison", plan->n_ops * sizeof *r.data, 0);
        goto done;
    }
    WICK_TRY_GOTO(run_tapped(a, a_opts, plan, tokens, n, keep_tap, &r, err));
    if (r.failed) {
        st = wick_err_oom(err, "the comparison", (uint64_t)plan->n_ops * n * plan->n_embd * sizeof(float), 0);
        goto done;
    }
    WICK_TRY_GOTO(run_tapped(b, b_opts, plan, tokens, n, compare_tap, &r, err));
done:
    for (uint32_t i = 0; r.data && i < plan->n_ops; i++) wick_free(r.data[i]);
    wick_free(r.data);
    wick_free(r.n);
    return st;
}

uint32_t wick_wrap_first_bad(const wick_op_diff *diff, uint32_t n_ops, double tolerance)
{
    for (uint32_t i = 0; i < n_ops; i++)
        if (diff[i].seen && (diff[i].n_not_finite || !(diff[i].max_abs <= tolerance * diff[i].size))) return i;
    return n_ops;
}
