/* backend/cpu/step.c - one step: checks the batch, lays out its tokens, walks the nodes in one parallel region.
 *
 * Invariants:
 * 1. Everything that can fail (bad tokens, memory for KV or outputs) fails before the region starts; no sequence has
 *    changed then, but for blocks that it will use next time.
 * 2. No allocation once outputs and KV blocks are there.
 * 3. All threads hold the same lane->n, tok, run and phase between barriers.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/batch.h"
#include "base/sys.h"

/* Memory of a model's steps: shared buffers and one lane per thread. */
wick_status wick_step_buffers(wick_backend_model *m, wick_err *err)
{
    wick_cpu_step *s = &m->step;
    uint64_t n = m->max_tokens, row = (uint64_t)m->plan->n_embd * sizeof(float), total = 0;
    struct {
        void **p;
        uint64_t bytes;
    } want[16 + WICK_N_REGS];
    uint32_t k = 0;
#define WANT(ptr, size) want[k].p = (void **)&(ptr), want[k++].bytes = (size)
    WANT(s->tok, n * sizeof *s->tok);
    WANT(s->out_tok, n * sizeof *s->out_tok);
    WANT(s->run, n * sizeof *s->run);
    WANT(s->out_run, n * sizeof *s->out_run);
    WANT(s->out_at, n * sizeof *s->out_at);
    for (int r = 0; r < WICK_N_REGS; r++) WANT(s->reg[r], n * row);
    WANT(s->normed, n * row);
    WANT(s->wide, m->wide_bytes);
    WANT(s->act, m->act_bytes);
    WANT(s->route, m->route_words * sizeof *s->route);
#undef WANT
    s->m = m;
    for (uint32_t i = 0; i < k; i++) total += want[i].bytes;
    uint64_t lane = m->lane_norm + m->lane_act + m->lane_lin + m->lane_scratch;
    total += lane * m->n_threads;
    uint64_t have = wick_memory_available_bytes();
    if (have && total > have) return wick_err_oom(err, "buffers of a step", total, have);
    for (uint32_t i = 0; i < k; i++) {
        *want[i].p = wick_alloc_aligned(64, want[i].bytes + 64);
        if (!*want[i].p) return wick_err_oom(err, "buffers of a step", total, have);
    }
    for (int r = 0; r < WICK_N_REGS; r++) memset(s->reg[r], 0, n * row); /* a plan may add to one that it never wrote */
    m->lane = wick_alloc_zero(m->n_threads, sizeof *m->lane);
    for (uint32_t t = 0; m->lane && t < m->n_threads; t++) {
        wick_lane *l = &m->lane[t];
        l->step = s;
        l->id = t;
        l->norm = wick_alloc_aligned(64, m->lane_norm + 64);
        l->act = wick_alloc_aligned(64, m->lane_act + 64);
        l->lin_scratch = wick_alloc_aligned(64, m->lane_lin + 64);
        l->scratch = wick_alloc_aligned(64, m->lane_scratch + 64);
        if (!l->norm || !l->act || !l->lin_scratch || !l->scratch)
            return wick_err_oom(err, "buffers of a step", total, have);
    }
    m->scratch_bytes = total;
    return m->lane ? WICK_OK : wick_err_oom(err, "buffers of a step", total, have);
}

void wick_step_release(wick_backend_model *m)
{
    wick_cpu_step *s = &m->step;
    for (uint32_t t = 0; m->lane && t < m->n_threads; t++) {
        wick_free(m->lane[t].norm);
        wick_free(m->lane[t].act);
        wick_free(m->lane[t].lin_scratch);
        wick_free(m->lane[t].scratch);
    }
    wick_free(m->lane);
    for (int r = 0; r < WICK_N_REGS; r++) wick_free(s->reg[r]);
    wick_free(s->tok);
    wick_free(s->out_tok);
    wick_free(s->run);
    wick_free(s->out_run);
    wick_free(s->out_at);
    wick_free(s->normed);
    wick_free(s->wide);
    wick_free(s->act);
    wick_free(s->route);
    wick_free(s->out);
    wick_free(s->part);
    memset(s, 0, sizeof *s);
    m->lane = NULL;
}

/* A growing buffer whose old contents do not matter. */
static wick_status grow(float **p, uint64_t *cap, uint64_t n, const char *what, wick_err *err)
{
    if (n <= *cap) return WICK_OK;
    float *q = wick_alloc_aligned(64, n * sizeof *q);
    if (!q) return wick_err_oom(err, what, n * sizeof *q, wick_memory_available_bytes());
    wick_free(*p);
    *p = q;
    *cap = n;
    return WICK_OK;
}

static wick_status check_row(const wick_backend_model *m, const wick_row *r, uint32_t i, wick_batch_sum *sum,
                             wick_err *err)
{
    if (!r->seq || r->seq->kv != &m->kv)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "seq", "row %u: the sequence is of another model", i);
    if (r->seq->busy)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "seq", "row %u: the sequence is in the batch already", i);
    return wick_batch_check_row(m->plan, r, r->seq->len, i, sum, err);
}

static wick_status check_batch(wick_backend_model *m, const wick_batch *b, wick_err *err)
{
    wick_batch_sum sum = {0};
    uint32_t marked = 0;
    wick_status st = WICK_OK;
    while (marked < b->n_rows && st == WICK_OK) {
        st = check_row(m, &b->row[marked], marked, &sum, err);
        if (st == WICK_OK) b->row[marked++].seq->busy = true;
    }
    for (uint32_t i = 0; i < marked; i++) b->row[i].seq->busy = false;
    WICK_TRY(st);
    WICK_TRY(wick_batch_check_sum(&sum, m->max_tokens, err));
    m->step.hidden = sum.hidden;
    return WICK_OK;
}

/* Fills the token tables; n_out is known afterwards. */
static void lay_out(wick_cpu_step *s, const wick_batch *b)
{
    s->n = s->n_out = s->n_runs = s->n_out_runs = 0;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const wick_row *r = &b->row[i];
        uint32_t first_out = r->out == WICK_OUT_NONE ? r->n_tokens : r->out == WICK_OUT_LAST ? r->n_tokens - 1 : 0;
        s->run[s->n_runs++] = (wick_run){s->n, r->n_tokens};
        if (first_out < r->n_tokens) s->out_run[s->n_out_runs++] = (wick_run){s->n_out, r->n_tokens - first_out};
        for (uint32_t k = 0; k < r->n_tokens; k++) {
            wick_tok t = {r->seq, r->seq->len + k, r->tokens[k], r->seq->len + r->n_tokens,
                          r->second && k >= r->second};
            if (k >= first_out) {
                s->out_tok[s->n_out] = t;
                s->out_at[s->n_out++] = s->n;
            }
            s->tok[s->n++] = t;
        }
    }
}

/* Partial sums of attention split over the context: see node_attn.c. */
static wick_status reserve_partials(wick_backend_model *m, const wick_batch *b, wick_err *err)
{
    uint64_t longest = 0;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        uint64_t len = (uint64_t)b->row[i].seq->len + b->row[i].n_tokens;
        longest = len > longest ? len : longest;
    }
    uint64_t n = wick_attn_part_floats(m, longest);
    return n > m->step.part_cap ? grow(&m->step.part, &m->step.part_cap, n + n / 2, "attention", err) : WICK_OK;
}

/* cos and sin of this step's positions, once for all layers. The angle is rounded to float32, as MLX does. */
static void fill_ropes(wick_cpu_step *s, wick_lane *t)
{
    const wick_backend_model *m = s->m;
    uint32_t from, to;
    while (wick_work(t, s->n, 4, &from, &to)) {
        for (uint32_t k = 0; k < m->n_ropes; k++) {
            const wick_rope *r = m->rope[k].rope;
            uint32_t h = r->n_dims / 2;
            for (uint32_t i = from; i < to; i++) {
                float *c = m->rope[k].cos_sin + (size_t)i * r->n_dims;
                for (uint32_t d = 0; d < h; d++) {
                    float angle = (float)s->tok[i].pos * r->inv_freq[d];
                    c[d] = cosf(angle) * r->mscale;
                    c[h + d] = sinf(angle) * r->mscale;
                }
            }
        }
    }
}

static void call_tap(const wick_cpu_step *s, const wick_node *n, const wick_lane *t)
{
    const wick_backend_opts *o = &s->m->ctx->opts;
    bool head = n->op->kind == WICK_OP_HEAD;
    wick_tap tap = {(uint32_t)(n->op - s->m->plan->op), n->op, head ? NULL : s->reg[n->op->dst], t->n,
                    s->m->plan->n_embd};
    o->tap(o->tap_ctx, &tap);
}

static void run_lane(void *ctx, uint32_t thread, uint32_t n_threads)
{
    wick_cpu_step *s = ctx;
    const wick_backend_model *m = s->m;
    wick_lane *t = &s->m->lane[thread];
    (void)n_threads;
    t->phase = 0;
    t->n = s->n;
    t->n_runs = s->n_runs;
    t->tok = s->tok;
    t->run = s->run;
    if (m->n_ropes) fill_ropes(s, t);
    for (uint32_t i = 0; i < m->n_nodes && t->n; i++) {
        const wick_node *n = &m->node[i];
        if (n->compact_before) wick_lane_compact(s, t, NULL, 0, 0);
        if (t->n) n->run(s, n, t);
        if (m->ctx->opts.tap) {
            if (thread == 0) call_tap(s, n, t);
            wick_join(t);
        }
    }
}

wick_status wick_step_run(wick_backend_model *m, const wick_batch *b, wick_err *err)
{
    wick_cpu_step *s = &m->step;
    double start = wick_time_ms();
    m->has_output = false;
    WICK_TRY(check_batch(m, b, err));
    for (uint32_t i = 0; i < b->n_rows; i++) WICK_TRY(wick_seq_reserve(b->row[i].seq, b->row[i].n_tokens, err));
    lay_out(s, b);
    uint64_t width = s->hidden ? m->plan->n_embd : m->plan->n_vocab;
    WICK_TRY(grow(&s->out, &s->out_cap, s->n_out * width, "logits", err));
    WICK_TRY(reserve_partials(m, b, err));
    wick_pool_run(m->pool, run_lane, s);
    for (uint32_t i = 0; i < b->n_rows; i++) wick_seq_advance(b->row[i].seq, b->row[i].n_tokens);
    m->has_output = true;
    m->n_steps++;
    m->n_tokens += s->n;
    m->step_ms += wick_time_ms() - start;
    return WICK_OK;
}
