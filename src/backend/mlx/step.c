/* backend/mlx/step.c - one step: the batch in groups, the graph from the plan, its evaluation.
 *
 * Rows with one token are put into groups of similar length and attend together (bundles); a row with several tokens is
 * a group of its own. Tokens lie in the order of the groups; outputs are picked in the order of the batch.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "backend/mlx/mlx.h"
#include "backend/batch.h"
#include "base/sys.h"

static wick_status flight_init(wick_mlx_flight *f, uint64_t n, wick_err *err)
{
    f->seq = wick_alloc_zero(n, sizeof *f->seq);
    f->pick_of = wick_alloc_zero(n, sizeof *f->pick_of);
    return f->seq && f->pick_of ? WICK_OK : wick_err_oom(err, "tables of a step", n * sizeof *f->seq, 0);
}

wick_status wick_mlx_step_init(wick_backend_model *m, wick_err *err)
{
    wick_mlx_step *s = &m->step;
    uint64_t n = m->max_tokens;
    s->token = wick_alloc_zero(n, sizeof *s->token);
    s->pos = wick_alloc_zero(n, sizeof *s->pos);
    s->type = wick_alloc_zero(n, sizeof *s->type);
    s->out_at = wick_alloc_zero(n, sizeof *s->out_at);
    s->row = wick_alloc_zero(n, sizeof *s->row);
    s->seq = wick_alloc_zero(n, sizeof *s->seq);
    s->rank = wick_alloc_zero(n, sizeof *s->rank);
    s->pick_of = wick_alloc_zero(n, sizeof *s->pick_of);
    s->group = wick_alloc_zero(n, sizeof *s->group);
    m->pick = wick_alloc_zero(n, sizeof *m->pick);
    s->mask_cap = 64;
    s->mask = wick_alloc_zero(s->mask_cap, sizeof *s->mask);
    if (!s->token || !s->pos || !s->type || !s->out_at || !s->row || !s->seq || !s->rank || !s->pick_of || !s->group ||
        !m->pick || !s->mask)
        return wick_err_oom(err, "tables of a step", n * sizeof *s->group, 0);
    for (int i = 0; i < 2; i++) WICK_TRY(flight_init(&m->flight[i], n, err));
    return WICK_OK;
}

static void drop_out(wick_mlx_out *o)
{
    wick_array_drop(&o->vec);
    wick_array_drop(&o->id);
    wick_array_drop(&o->logprob);
}

void wick_mlx_step_release(wick_backend_model *m)
{
    wick_mlx_step *s = &m->step;
    wick_free(s->token);
    wick_free(s->pos);
    wick_free(s->type);
    wick_free(s->out_at);
    wick_free(s->row);
    wick_free(s->seq);
    wick_free(s->rank);
    wick_free(s->pick_of);
    wick_free(s->group);
    wick_free(s->mask);
    memset(s, 0, sizeof *s);
    for (int i = 0; i < 2; i++) {
        drop_out(&m->flight[i].out);
        wick_free(m->flight[i].seq);
        wick_free(m->flight[i].pick_of);
    }
    wick_array_drop(&m->picked);
    wick_array_drop(&m->result);
    wick_free(m->pick);
    m->pick = NULL;
    m->n_flights = 0;
}

static wick_status check_row(wick_backend_model *m, const wick_row *r, uint32_t i, wick_batch_sum *sum, wick_err *err)
{
    if (!r->seq || r->seq->m != m)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "seq", "row %u: the sequence is of another model", i);
    if (r->seq->lost)
        return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "row %u: the sequence was lost in a step that failed", i);
    if (r->seq->mark == m->step_no)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "seq", "row %u: the sequence is in the batch already", i);
    if (!r->tokens && r->n_tokens == 1 && (!m->picked.ctx || r->seq->pick_no != m->pick_no))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tokens", "row %u: the last step picked nothing for it", i);
    r->seq->mark = m->step_no;
    return wick_batch_check_row(m->plan, r, r->seq->len, i, sum, err);
}

static wick_status check_batch(wick_backend_model *m, const wick_batch *b, wick_err *err)
{
    wick_batch_sum sum = {.may_pick = true};
    m->step_no++;
    for (uint32_t i = 0; i < b->n_rows; i++) WICK_TRY(check_row(m, &b->row[i], i, &sum, err));
    WICK_TRY(wick_batch_check_sum(&sum, m->max_tokens, err));
    m->step.hidden = sum.hidden;
    return WICK_OK;
}

/* Rows that may attend together: of a length within a factor of two. 0: a prompt, alone. */
static uint32_t size_class(const wick_row *r)
{
    uint32_t c = 1;
    if (r->n_tokens > 1) return 0;
    for (uint32_t n = r->seq->len / WICK_KV_STEP; n > 1; n /= 2) c++;
    return c;
}

static bool before(const wick_row *a, const wick_row *b, bool by_class)
{
    uint32_t ca = size_class(a), cb = size_class(b);
    if (by_class && ca != cb) return ca > cb;
    if (!by_class && (ca == 0) != (cb == 0)) return ca != 0;
    if (ca == 0) return false;
    if (a->seq->bundle != b->seq->bundle) return (uintptr_t)a->seq->bundle < (uintptr_t)b->seq->bundle;
    return a->seq->row < b->seq->row;
}

/* All rows with one token are one bundle already: it stays, whatever the lengths have become. */
static bool one_bundle(const wick_mlx_step *s)
{
    uint32_t singles = 0;
    const wick_bundle *b = NULL;
    for (uint32_t i = 0; i < s->n_rows; i++) {
        if (s->row[i]->n_tokens > 1) continue;
        if (singles++ && s->row[i]->seq->bundle != b) return false;
        b = s->row[i]->seq->bundle;
    }
    return b && singles == b->n_rows;
}

/* Stable insertion sort: rows are few and mostly in order from step to step. */
static void sort_rows(wick_mlx_step *s, bool by_class)
{
    for (uint32_t i = 1; i < s->n_rows; i++) {
        const wick_row *r = s->row[i];
        uint32_t k = i;
        for (; k > 0 && before(r, s->row[k - 1], by_class); k--) s->row[k] = s->row[k - 1];
        s->row[k] = r;
    }
}

static wick_status make_groups(wick_backend_model *m, const wick_batch *b, wick_err *err)
{
    wick_mlx_step *s = &m->step;
    bool tap = m->ctx->opts.tap != NULL;
    const wick_weight *types = m->plan->op[0].u.embed.w_type;
    const bool typed = types && types->n_out > 1;
    s->n = s->n_groups = s->n_unknown = 0;
    s->n_rows = b->n_rows;
    for (uint32_t i = 0; i < b->n_rows; i++) s->row[i] = &b->row[i];
    bool keep = one_bundle(s);
    if (!tap) sort_rows(s, !keep); /* a tap sees the rows in the order of the batch */
    for (uint32_t i = 0; i < s->n_rows; i++) s->seq[i] = s->row[i]->seq;
    for (uint32_t i = 0, end; i < s->n_rows; i = end) {
        const wick_row *r = s->row[i];
        uint32_t c = size_class(r);
        for (end = i + 1; !tap && c && end < s->n_rows; end++) {
            uint32_t other = size_class(s->row[end]);
            if (other == 0 || (!keep && other != c)) break;
        }
        wick_group *gr = &s->group[s->n_groups++];
        *gr = (wick_group){.first = s->n,
                           .first_row = i,
                           .n_seqs = end - i,
                           .n_tokens = end - i > 1 ? end - i : r->n_tokens,
                           .even = true};
        for (uint32_t k = i; k < end; k++) {
            if (s->seq[k]->len > gr->len) gr->len = s->seq[k]->len;
            gr->even &= s->seq[k]->len == s->seq[i]->len;
            for (uint32_t t = 0; t < s->row[k]->n_tokens; t++) {
                const wick_row *at = s->row[k];
                s->token[s->n] = at->tokens ? at->tokens[t] : -1 - (int32_t)at->seq->pick_at;
                s->n_unknown += !at->tokens;
                s->type[s->n] = typed && at->second && t >= at->second;
                s->pos[s->n++] = (int32_t)(s->row[k]->seq->len + t);
            }
        }
        WICK_TRY(wick_mlx_bundle_for(m, s->seq + i, gr->n_seqs, gr->n_seqs > 1 ? 1 : r->n_tokens, &gr->bundle, err));
    }
    return WICK_OK;
}

static void find_vectors(wick_mlx_step *s, const wick_batch *b)
{
    s->n_out = 0;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const wick_row *r = &b->row[i];
        if (r->out == WICK_OUT_NONE || r->out == WICK_OUT_PICK) continue;
        uint32_t at = 0, k = 0;
        while (s->row[k] != r) at += s->row[k++]->n_tokens;
        uint32_t from = r->out == WICK_OUT_LAST ? r->n_tokens - 1 : 0;
        for (; from < r->n_tokens; from++) s->out_at[s->n_out++] = (int32_t)(at + from);
    }
}

static void find_picks(wick_mlx_step *s, const wick_batch *b)
{
    uint32_t at = 0;
    s->n_picks = 0;
    for (uint32_t i = 0, n = 0; i < b->n_rows; i++) {
        s->rank[i] = n;
        n += b->row[i].out == WICK_OUT_PICK;
    }
    for (uint32_t k = 0; k < s->n_rows; k++) {
        at += s->row[k]->n_tokens;
        if (s->row[k]->out != WICK_OUT_PICK) continue;
        s->pick_of[s->n_picks++] = s->rank[s->row[k] - b->row];
        s->out_at[s->n_out++] = (int32_t)at - 1;
    }
}

/* From here on only the rows that are asked for matter. */
static void compact(wick_backend_model *m)
{
    wick_mlx_step *s = &m->step;
    bool all = s->n_out == s->n;
    s->compact = true;
    for (uint32_t i = 0; all && i < s->n; i++) all = s->out_at[i] == (int32_t)i;
    if (all) return;
    mlx_array idx = wick_mx_data(&m->g, s->out_at, MX_DIMS((int)s->n_out), MLX_INT32);
    for (int r = 0; r < WICK_N_REGS; r++)
        if (s->reg[r].ctx) s->reg[r] = wick_mx_take(&m->g, s->reg[r], idx, 0);
    s->ids = wick_mx_take(&m->g, s->ids, idx, 0);
    s->n = s->n_out;
}

/* The step's tokens; those that the step before picked are taken from there, on the device. */
static mlx_array input_ids(wick_backend_model *m)
{
    wick_mlx_step *s = &m->step;
    wick_graph *g = &m->g;
    int n = (int)s->n;
    mlx_array known = {0}, at;
    bool same = s->n_unknown == s->n;
    for (uint32_t i = 0; same && i < s->n; i++) same = s->token[i] == -1 - (int32_t)i;
    if (same && m->picked_n == s->n) return m->picked;
    if (s->n_unknown < s->n) known = wick_mx_data(g, s->token, MX_DIMS(n), MLX_INT32);
    if (s->n_unknown == 0) return known;
    for (uint32_t i = 0; i < s->n; i++) s->token[i] = s->token[i] < 0 ? -1 - s->token[i] : 0;
    at = wick_mx_data(g, s->token, MX_DIMS(n), MLX_INT32);
    mlx_array ids = wick_mx_astype(g, wick_mx_take(g, m->picked, at, 0), MLX_INT32);
    if (!known.ctx) return ids;
    return wick_mx_where(g, wick_mx_less(g, known, wick_mx_data(g, (const int32_t[]){0}, MX_DIMS(1), MLX_INT32)), ids,
                         known);
}

static mlx_array run_embed(wick_backend_model *m, const wick_mlx_node *n)
{
    const wick_op_embed *o = &n->op->u.embed;
    wick_graph *g = &m->g;
    m->step.ids = input_ids(m);
    mlx_array x = wick_mlx_rows(m, n->w[W_MAIN], m->step.ids, m->step.n);
    if (o->scale != 1.0F) x = wick_mx_multiply(g, x, wick_mx_scalar(g, o->scale, m->act));
    if (n->w[W_TYPE]) {
        mlx_array type = wick_mx_data(g, m->step.type, MX_DIMS((int)m->step.n), MLX_INT32);
        x = wick_mx_add(g, x, wick_mlx_rows(m, n->w[W_TYPE], type, m->step.n));
    }
    if (!n->w[W_POS]) return x;
    mlx_array at = m->step.positions;
    if (o->pos_offset)
        at = wick_mx_add(g, at, wick_mx_data(g, (const int32_t[]){(int32_t)o->pos_offset}, MX_DIMS(1), MLX_INT32));
    return wick_mx_add(g, x, wick_mlx_rows(m, n->w[W_POS], at, m->step.n));
}

static mlx_array run_norm(wick_backend_model *m, const wick_mlx_node *n, mlx_array x)
{
    const wick_op_norm *o = &n->op->u.norm;
    if (o->kind == WICK_NORM_LAYER) return wick_mx_layer_norm(&m->g, x, n->v[V_W], n->v[V_B], o->eps);
    mlx_array y = wick_mx_rms_norm(&m->g, x, n->v[V_W], o->eps);
    return n->v[V_B].ctx ? wick_mx_add(&m->g, y, n->v[V_B]) : y;
}

static mlx_array scaled(wick_backend_model *m, mlx_array x, float f)
{
    return f == 1.0F || !x.ctx ? x : wick_mx_multiply(&m->g, x, wick_mx_scalar(&m->g, f, m->act));
}

static mlx_array run_head(wick_backend_model *m, const wick_mlx_node *n, mlx_array x)
{
    const wick_op_head *o = &n->op->u.head;
    wick_graph *g = &m->g;
    mlx_array y = scaled(m, wick_mlx_linear(m, n->w[W_MAIN], x, m->step.n, n->v[V_B]), o->scale);
    y = wick_mx_astype(g, y, MLX_FLOAT32);
    if (o->softcap == 0.0F) return y;
    y = wick_mx_tanh(g, wick_mx_divide(g, y, wick_mx_scalar(g, o->softcap, MLX_FLOAT32)));
    return wick_mx_multiply(g, y, wick_mx_scalar(g, o->softcap, MLX_FLOAT32));
}

/* The last n_picks rows of the logits: the best of each, and its log probability, which is finite only if the logits
 * are numbers and the best of them is finite. */
static void pick(wick_backend_model *m, mlx_array y, wick_mlx_out *out)
{
    const wick_mlx_step *s = &m->step;
    wick_graph *g = &m->g;
    int n = (int)s->n_out, n_vec = n - (int)s->n_picks, width = (int)m->plan->n_vocab;
    out->vec = n_vec ? wick_mx_cut(g, y, MX_DIMS(n, width), 0, 0, n_vec) : (mlx_array){0};
    y = wick_mx_cut(g, y, MX_DIMS(n, width), 0, n_vec, n);
    out->id = wick_mx_argmax(g, y, -1);
    out->logprob = wick_mx_subtract(g, wick_mx_max(g, y, -1, false), wick_mx_logsumexp(g, y, -1));
}

/* A plan may add to a register that it never wrote: it is zero. */
static mlx_array source(wick_backend_model *m, wick_reg r)
{
    wick_mlx_step *s = &m->step;
    if (!s->reg[r].ctx) s->reg[r] = wick_mx_zeros(&m->g, MX_DIMS((int)s->n, (int)m->plan->n_embd), m->act);
    return s->reg[r];
}

static void call_tap(wick_backend_model *m, uint32_t i)
{
    const wick_backend_opts *o = &m->ctx->opts;
    wick_mlx_step *s = &m->step;
    wick_tap tap = {i, m->node[i].op, NULL, s->n, m->plan->n_embd};
    if (m->node[i].op->kind != WICK_OP_HEAD) {
        mlx_array x = wick_mx_contiguous(&m->g, wick_mx_astype(&m->g, s->reg[m->node[i].op->dst], MLX_FLOAT32));
        if (m->g.failed || wick_mlx.array_eval(x)) {
            m->g.failed = true;
            return;
        }
        tap.data = wick_mlx.array_data_float32(x);
    }
    o->tap(o->tap_ctx, &tap);
}

/* One node; false: nothing is left to do. The result of HEAD goes to *out. */
static bool run_node(wick_backend_model *m, uint32_t i, wick_mlx_out *out)
{
    const wick_mlx_node *n = &m->node[i];
    wick_mlx_step *s = &m->step;
    const wick_op *op = n->op;
    mlx_array x = {0}, y = {0};
    bool early = !m->ctx->opts.tap && i > m->last_cache_op;
    if (!s->compact && (early || op->kind == WICK_OP_HEAD)) {
        if (s->n_out == 0) return false;
        compact(m);
    }
    if (op->kind != WICK_OP_EMBED) x = source(m, op->src);
    switch (op->kind) {
    case WICK_OP_EMBED: y = run_embed(m, n); break;
    case WICK_OP_NORM: y = run_norm(m, n, x); break;
    case WICK_OP_ATTN: y = wick_mlx_attn(m, n, x); break;
    case WICK_OP_MLA: y = wick_mlx_mla(m, n, x); break;
    case WICK_OP_MLP: y = wick_mlx_mlp(m, n, x); break;
    case WICK_OP_MOE: y = wick_mlx_moe(m, n, x); break;
    case WICK_OP_PLE: y = wick_mlx_ple(m, n, x); break;
    case WICK_OP_ADD:
        y = wick_mx_add(&m->g, scaled(m, source(m, op->dst), op->u.add.dst_scale), scaled(m, x, op->u.add.src_scale));
        break;
    case WICK_OP_COPY: y = scaled(m, x, op->u.add.src_scale); break;
    case WICK_OP_HEAD:
        out->vec = s->hidden ? wick_mx_astype(&m->g, x, MLX_FLOAT32) : run_head(m, n, x);
        if (s->n_picks) pick(m, out->vec, out);
        return true;
    case WICK_OP_CONV: y = wick_mlx_conv(m, n, x); break;
    case WICK_OP_MAMBA1: y = wick_mlx_mamba1(m, n, x); break;
    case WICK_OP_MAMBA2: y = wick_mlx_mamba2(m, n, x); break;
    case WICK_OP_DELTA: y = wick_mlx_delta(m, n, x); break;
    case WICK_N_OPS: m->g.failed = true; return false;
    }
    s->reg[op->dst] = y;
    if (!m->ctx->lazy && !m->g.failed && wick_mlx.array_eval(y)) m->g.failed = true;
    return true;
}

/* All nodes by one kernel, or those up to the last norm. Gives the number of nodes that are done. */
static uint32_t run_decode(wick_backend_model *m, wick_mlx_out *out)
{
    wick_mlx_out all = {0};
    mlx_array x = wick_mlx_decode_run(m, run_embed(m, &m->node[0]), &all);
    m->step.reg[WICK_R_X] = x;
    if (m->step.n_picks)
        out->id = all.id, out->logprob = all.logprob;
    else
        out->vec = all.vec;
    return wick_mlx_decode_nodes(m);
}

static wick_status build(wick_backend_model *m, const wick_batch *b, wick_mlx_out *out, wick_err *err)
{
    uint32_t done = 0;
    wick_mlx_step *s = &m->step;
    memset(s->reg, 0, sizeof s->reg);
    s->n_masks = 0;
    s->spot = (wick_spot){0};
    s->compact = false;
    WICK_TRY(make_groups(m, b, err));
    WICK_TRY(wick_mlx_check_scores(m, err));
    find_vectors(s, b);
    find_picks(s, b);
    s->positions = wick_mx_data(&m->g, s->pos, MX_DIMS((int)s->n), MLX_INT32);
    if (wick_mlx_decode_fits(m)) done = run_decode(m, out);
    for (uint32_t i = done; i < m->n_nodes && !m->g.failed; i++) {
        if (!run_node(m, i, out)) break;
        if (m->ctx->opts.tap && !m->g.failed) call_tap(m, i);
    }
    if (out->vec.ctx) out->vec = wick_mx_contiguous(&m->g, out->vec);
    return m->g.failed ? wick_mlx_fail(err, "building a step") : WICK_OK;
}

static void lose(const wick_mlx_flight *f)
{
    for (uint32_t i = 0; i < f->n_rows; i++)
        if (f->seq[i]) f->seq[i]->lost = true;
}

static int append(mlx_vector_array v, mlx_array a)
{
    return a.ctx ? wick_mlx.vector_array_append_value(v, a) : 0;
}

/* Starts the evaluation of the output. KV is evaluated as a dependency of the output; states, and a step without
 * output, must be listed. */
static wick_status start(wick_backend_model *m, const wick_mlx_out *out, wick_err *err)
{
    wick_mlx_step *s = &m->step;
    bool all = s->n_out == 0 || m->state_bytes;
    mlx_vector_array v = wick_mlx.vector_array_new();
    int rc = v.ctx ? 0 : 1;
    if (rc == 0) rc = append(v, out->vec) || append(v, out->id) || append(v, out->logprob);
    for (uint32_t i = 0; all && i < s->n_groups; i++)
        for (uint32_t k = 0; k < wick_mlx_kv_slots(m) && rc == 0; k++) rc = append(v, s->group[i].bundle->kv[k]);
    if (rc == 0) rc = wick_mlx.async_eval(v);
    if (v.ctx) wick_mlx.vector_array_free(v);
    return rc ? wick_mlx_fail(err, "a step") : WICK_OK;
}

/* The sequences take what was built, or forget it. */
static void settle(wick_backend_model *m, bool ok)
{
    wick_mlx_step *s = &m->step;
    for (uint32_t i = 0; i < s->n_groups; i++) {
        if (!s->group[i].bundle) continue;
        if (ok)
            wick_mlx_bundle_commit(m, s->group[i].bundle);
        else
            wick_mlx_bundle_cancel(m, s->group[i].bundle);
    }
}

/* The step is under way: its rows' sequences are longer, and know what was picked for them. */
static void take_off(wick_backend_model *m, wick_mlx_flight *f)
{
    wick_mlx_step *s = &m->step;
    f->n_rows = s->n_rows;
    f->n_picks = s->n_picks;
    f->n_vec = s->n_out - s->n_picks;
    f->width = s->hidden ? m->plan->n_embd : m->plan->n_vocab;
    memcpy(f->pick_of, s->pick_of, s->n_picks * sizeof *f->pick_of);
    wick_array_drop(&m->picked);
    if (s->n_picks) m->picked = wick_array_hold(f->out.id);
    m->pick_no = m->step_no;
    m->picked_n = s->n_picks;
    for (uint32_t i = 0, k = 0; i < s->n_rows; i++) {
        wick_seq *q = s->seq[i];
        f->seq[i] = q;
        q->len += s->row[i]->n_tokens;
        m->n_tokens += s->row[i]->n_tokens;
        if (s->row[i]->out != WICK_OUT_PICK) continue;
        q->pick_no = m->step_no;
        q->pick_at = k++;
    }
    m->n_flights++;
    m->n_steps++;
}

wick_status wick_mlx_step_submit(wick_backend_model *m, const wick_batch *b, wick_err *err)
{
    wick_mlx_out out = {0};
    double t0 = wick_time_ms();
    if (m->n_flights == 2) return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "two steps are under way already");
    wick_mlx_flight *f = &m->flight[m->n_flights];
    WICK_TRY(check_batch(m, b, err));
    wick_array_drop(&m->result);
    wick_status st = build(m, b, &out, err);
    settle(m, st == WICK_OK);
    if (st == WICK_OK)
        f->out = (wick_mlx_out){wick_array_hold(out.vec), wick_array_hold(out.id), wick_array_hold(out.logprob)};
    wick_graph_reset(&m->g);
    m->build_ms += wick_time_ms() - t0;
    f->started_ms = t0;
    if (st != WICK_OK) return st;
    double t1 = wick_time_ms();
    st = start(m, &f->out, err);
    m->encode_ms += wick_time_ms() - t1;
    if (st == WICK_OK) {
        take_off(m, f);
        return WICK_OK;
    }
    wick_mlx.synchronize(m->ctx->stream);
    drop_out(&f->out);
    for (uint32_t i = 0; i < m->step.n_rows; i++) m->step.seq[i]->lost = true; /* their buffers were given away */
    return st;
}

static wick_mlx_flight *land(wick_backend_model *m)
{
    wick_mlx_flight f = m->flight[0];
    m->flight[0] = m->flight[1];
    m->flight[1] = f;
    m->n_flights--;
    return &m->flight[1];
}

/* The arrays of f, read into *out; false: MLX says why not. */
static bool read_outputs(wick_backend_model *m, wick_mlx_flight *f, wick_step_out *out)
{
    wick_mlx_out *o = &f->out;
    if (o->vec.ctx) {
        if (wick_mlx.array_eval(o->vec)) return false;
        out->data = wick_mlx.array_data_float32(o->vec);
        out->n = f->n_vec;
        if (!out->data) return false;
    }
    if (f->n_picks == 0) return true;
    if (wick_mlx.array_eval(o->id) || wick_mlx.array_eval(o->logprob)) return false;
    const uint32_t *id = wick_mlx.array_data_uint32(o->id);
    const float *lp = wick_mlx.array_data_float32(o->logprob);
    if (!id || !lp) return false;
    for (uint32_t i = 0; i < f->n_picks; i++)
        m->pick[f->pick_of[i]] = (wick_pick){isfinite(lp[i]) ? (int32_t)id[i] : -1, lp[i]};
    out->pick = m->pick;
    out->n_picks = f->n_picks;
    return true;
}

wick_status wick_mlx_step_wait(wick_backend_model *m, wick_step_out *out, wick_err *err)
{
    if (m->n_flights == 0) return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "no step was submitted");
    wick_mlx_flight *f = land(m);
    memset(out, 0, sizeof *out);
    out->width = f->width;
    bool ok = f->out.vec.ctx || f->n_picks ? read_outputs(m, f, out) : wick_mlx.synchronize(m->ctx->stream) == 0;
    double now = wick_time_ms();
    m->step_ms += now - (f->started_ms > m->landed_ms ? f->started_ms : m->landed_ms);
    m->landed_ms = now;
    if (!ok) wick_mlx.synchronize(m->ctx->stream);
    wick_array_drop(&m->result);
    m->result = f->out.vec;
    f->out.vec = (mlx_array){0};
    drop_out(&f->out);
    if (ok) return WICK_OK;
    lose(f);
    return wick_mlx_fail(err, "a step");
}
