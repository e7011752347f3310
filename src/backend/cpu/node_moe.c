/* backend/cpu/node_moe.c - MOE: route, gather tokens by expert, gate and up, down, sum up per token.
 *
 * An assignment is a pair (token, rank). Assignments are sorted by expert (then token), so that an expert's rows lie
 * together and its weights are read once for all of them. A token's result adds its experts in the order of their
 * ranks: it does not depend on the other tokens.
 * wide: logits [n][E] | gate and up [n k][2 ff] | down [n k][n_embd] | shared gate and up [n][2 sff] | shared out
 * [n][n_embd] | shared gate [n][16]. act: the source's rows, then the experts' rows.
 */
#include "backend/cpu/cpu.h"
#include "backend/cpu/moe_route.h"

typedef struct moe_data {
    const wick_lin **gate, **up, **down; /* [n_expert]; gate NULL: none */
    wick_input in, mid;                  /* of the experts' rows */
    uint32_t gate_slot, up_slot, down_slot;
    uint64_t act_at;                  /* where the experts' rows begin in step->act */
    uint64_t per_token;               /* floats of a token before each part: see above */
    wick_prod shared[3], shared_gate; /* up, gate, down; lin NULL: none */
    wick_input shared_mid;
} moe_data;

/* Views into step->route and step->wide for this many tokens. */
typedef struct moe_view {
    uint32_t *expert, *sorted, *place, *start, *next, *active, *act_at, *n_active; /* act_at: in units of 64 bytes */
    float *weight;
    float *logits, *gu, *y, *sgu, *sy, *sgate;
    uint64_t gu_width;
} moe_view;

static moe_view view(const wick_cpu_step *s, const wick_node *n, uint32_t rows)
{
    const wick_op_moe *o = &n->op->u.moe;
    moe_view v;
    uint64_t a = (uint64_t)rows * o->top_k, e = o->n_expert, w = s->m->plan->n_embd;
    v.expert = s->route;
    v.sorted = v.expert + a; /* assignment at each place */
    v.place = v.sorted + a;  /* place of each assignment */
    v.weight = (float *)(void *)(v.place + a);
    v.start = v.place + 2 * a; /* [E + 1] */
    v.next = v.start + e + 1;
    v.active = v.next + e;
    v.act_at = v.active + e;
    v.n_active = v.act_at + e;
    v.gu_width = o->gate ? 2 * (uint64_t)o->n_ff : o->n_ff;
    v.logits = s->wide;
    v.gu = v.logits + rows * e;
    v.y = v.gu + a * v.gu_width;
    v.sgu = v.y + a * w;
    v.sy = v.sgu + (o->shared ? rows * 2 * (uint64_t)o->shared->n_ff : 0);
    v.sgate = v.sy + (o->shared ? rows * w : 0);
    return v;
}

/* Counting sort of the assignments by expert; by one thread. */
static void sort_by_expert(const wick_node *n, const moe_view *v, uint32_t rows)
{
    const wick_op_moe *o = &n->op->u.moe;
    const moe_data *d = n->data;
    uint32_t a = rows * o->top_k, active = 0;
    uint64_t at = 0;
    for (uint32_t e = 0; e <= o->n_expert; e++) v->start[e] = 0;
    for (uint32_t i = 0; i < a; i++) v->start[v->expert[i] + 1]++;
    for (uint32_t e = 0; e < o->n_expert; e++) {
        uint32_t count = v->start[e + 1];
        v->start[e + 1] += v->start[e];
        if (!count) continue;
        v->active[active] = e;
        v->act_at[active++] = (uint32_t)(at / 64);
        uint64_t in = wick_input_bytes(&d->in, count), mid = wick_input_bytes(&d->mid, count);
        at += in > mid ? in : mid;
    }
    *v->n_active = active;
    for (uint32_t e = 0; e < o->n_expert; e++) v->next[e] = v->start[e];
    for (uint32_t i = 0; i < a; i++) {
        v->place[i] = v->next[v->expert[i]]++;
        v->sorted[v->place[i]] = i;
    }
}

static void route(wick_cpu_step *s, const wick_node *n, wick_lane *t, const moe_view *v)
{
    const wick_op_moe *o = &n->op->u.moe;
    uint32_t from, to;
    while (wick_work(t, t->n, 4, &from, &to))
        for (uint32_t m = from; m < to; m++)
            wick_moe_route(o, v->logits + (size_t)m * o->n_expert, t->scratch, v->expert + (size_t)m * o->top_k,
                           v->weight + (size_t)m * o->top_k);
    wick_join(t);
    if (t->id == 0) sort_by_expert(n, v, t->n);
    wick_join(t);
    (void)s;
}

static uint32_t active_of(const moe_view *v, uint32_t expert)
{
    uint32_t lo = 0, hi = *v->n_active;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (v->active[mid] <= expert)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* Prepares the rows of all experts. x_of: the token's row, or the assignment's. */
static void prepare_experts(wick_cpu_step *s, const wick_node *n, wick_lane *t, const moe_view *v, const wick_input *in,
                            const float *x, uint64_t stride, bool by_token)
{
    const wick_op_moe *o = &n->op->u.moe;
    const moe_data *d = n->data;
    uint32_t from, to;
    while (wick_work(t, t->n * o->top_k, 1, &from, &to)) {
        uint32_t i = v->sorted[from], e = v->expert[i], count = v->start[e + 1] - v->start[e], row = from - v->start[e];
        const float *src = x + (by_token ? i / o->top_k : from) * stride;
        uint8_t *p = (uint8_t *)s->act + d->act_at + (uint64_t)v->act_at[active_of(v, e)] * 64;
        if (by_token && o->scale_input) {
            s->m->row->scale(t->scratch, src, v->weight[i], s->m->plan->n_embd);
            src = t->scratch;
        }
        for (uint32_t k = 0; k < in->n; k++) {
            wick_lin_act_prepare(in->lin[k], src, 0, row, row + 1, count, p); /* stride 0: every row lies at src */
            p += wick_lin_act_bytes(in->lin[k], count);
        }
    }
    wick_join(t);
}

static void expert_gate_up(wick_cpu_step *s, const wick_node *n, wick_lane *t, const moe_view *v)
{
    const wick_op_moe *o = &n->op->u.moe;
    const moe_data *d = n->data;
    uint32_t tiles = wick_lin_n_tiles(d->up[0]), pairs = (tiles + 1) / 2, from, to;
    while (wick_work(t, *v->n_active * pairs, 1, &from, &to)) {
        uint32_t k = from / pairs, e = v->active[k], rows = v->start[e + 1] - v->start[e], t0 = from % pairs * 2;
        uint32_t t1 = t0 + 2 < tiles ? t0 + 2 : tiles, c0 = t0 * WICK_LIN_TILE;
        uint32_t c1 = t1 * WICK_LIN_TILE < o->n_ff ? t1 * WICK_LIN_TILE : o->n_ff;
        const uint8_t *act = (const uint8_t *)s->act + d->act_at + (uint64_t)v->act_at[k] * 64;
        float *g = v->gu + v->start[e] * v->gu_width, *u = o->gate ? g + o->n_ff : g;
        wick_lin_mul(d->up[e], wick_act_slot(&d->in, d->up_slot, act, rows), rows, u, v->gu_width, t0, t1,
                     t->lin_scratch);
        if (o->gate)
            wick_lin_mul(d->gate[e], wick_act_slot(&d->in, d->gate_slot, act, rows), rows, g, v->gu_width, t0, t1,
                         t->lin_scratch);
        for (uint32_t m = 0; m < rows; m++, g += v->gu_width, u += v->gu_width) {
            if (o->b_up) s->m->row->bias(u + c0, o->b_up + (size_t)e * o->n_ff + c0, c1 - c0);
            if (o->gate && o->b_gate) s->m->row->bias(g + c0, o->b_gate + (size_t)e * o->n_ff + c0, c1 - c0);
            s->m->row->act(g + c0, o->gate ? u + c0 : NULL, c1 - c0, o->act, o->act_alpha, o->act_limit);
        }
    }
    wick_join(t);
}

static void expert_down(wick_cpu_step *s, const wick_node *n, wick_lane *t, const moe_view *v)
{
    const wick_op_moe *o = &n->op->u.moe;
    const moe_data *d = n->data;
    uint32_t w = s->m->plan->n_embd, tiles = wick_lin_n_tiles(d->down[0]), pairs = (tiles + 1) / 2, from, to;
    while (wick_work(t, *v->n_active * pairs, 1, &from, &to)) {
        uint32_t k = from / pairs, e = v->active[k], rows = v->start[e + 1] - v->start[e], t0 = from % pairs * 2;
        uint32_t t1 = t0 + 2 < tiles ? t0 + 2 : tiles, c0 = t0 * WICK_LIN_TILE;
        uint32_t c1 = t1 * WICK_LIN_TILE < w ? t1 * WICK_LIN_TILE : w;
        const uint8_t *act = (const uint8_t *)s->act + d->act_at + (uint64_t)v->act_at[k] * 64;
        float *y = v->y + (size_t)v->start[e] * w;
        wick_lin_mul(d->down[e], wick_act_slot(&d->mid, d->down_slot, act, rows), rows, y, w, t0, t1, t->lin_scratch);
        for (uint32_t m = 0; o->b_down && m < rows; m++)
            s->m->row->bias(y + (size_t)m * w + c0, o->b_down + (size_t)e * w + c0, c1 - c0);
    }
    wick_join(t);
}

/* The always-on expert: an MLP over all rows, whose prepared source is still there. */
static void shared_expert(wick_cpu_step *s, const wick_node *n, wick_lane *t, const moe_view *v, const void *act)
{
    const wick_op_mlp *o = n->op->u.moe.shared;
    const moe_data *d = n->data;
    uint64_t stride = 2 * (uint64_t)o->n_ff;
    uint32_t from, to, w = s->m->plan->n_embd;
    if (d->shared_gate.lin) wick_products(t, &n->in, act, &d->shared_gate, 1, v->sgate, 16);
    wick_products(t, &n->in, act, d->shared, o->gate ? 2 : 1, v->sgu, stride);
    wick_join(t);
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *u = v->sgu + from * stride + d->shared[0].at, *g = v->sgu + from * stride;
        s->m->row->act(g, o->gate ? u : NULL, o->n_ff, o->act, o->act_alpha, o->act_limit);
    }
    wick_join(t);
    const void *mid = wick_prepare(s, t, &d->shared_mid, v->sgu, stride);
    wick_products(t, &d->shared_mid, mid, &d->shared[2], 1, v->sy, w);
    wick_join(t);
}

static void combine(wick_cpu_step *s, const wick_node *n, wick_lane *t, const moe_view *v)
{
    const wick_op_moe *o = &n->op->u.moe;
    const moe_data *d = n->data;
    uint32_t w = s->m->plan->n_embd, from, to;
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *y = t->scratch, *dst = s->reg[n->dst] + (size_t)from * w;
        for (uint32_t k = 0; k < o->top_k; k++) {
            uint32_t i = from * o->top_k + k;
            const float *e = v->y + (size_t)v->place[i] * w;
            float f = o->scale_input ? 1.0F : v->weight[i];
            if (k == 0)
                s->m->row->scale(y, e, f, w);
            else
                s->m->row->add(y, e, 1.0F, f, w);
        }
        if (o->shared) {
            float f = 1.0F;
            if (d->shared_gate.lin) s->m->row->sigmoid_mul(&f, v->sgate + (size_t)from * 16, 1);
            s->m->row->add(y, v->sy + (size_t)from * w, 1.0F, f, w);
        }
        if (n->add)
            s->m->row->add(dst, y, n->dst_scale, n->src_scale, w);
        else
            s->m->row->scale(dst, y, 1.0F, w);
    }
    wick_join(t);
}

static void run_moe(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_moe *o = &n->op->u.moe;
    const moe_data *d = n->data;
    moe_view v = view(s, n, t->n);
    const void *act = wick_prepare_source(s, n, t);
    /* The floats that were prepared: a lane's own copy for few rows, else the step's. */
    const float *x = !n->norm ? s->reg[n->src] : act == t->act ? t->norm : s->normed;
    if (o->router_apart) { /* nothing else reads what is prepared of the source: there is no shared expert */
        const void *own = wick_prepare(s, t, &n->mid2, s->reg[o->router_src], s->m->plan->n_embd);
        wick_products(t, &n->mid2, own, n->prod, 1, v.logits, o->n_expert);
    } else {
        wick_products(t, &n->in, act, n->prod, 1, v.logits, o->n_expert);
    }
    wick_join(t);
    route(s, n, t, &v);
    prepare_experts(s, n, t, &v, &d->in, x, s->m->plan->n_embd, true);
    expert_gate_up(s, n, t, &v);
    prepare_experts(s, n, t, &v, &d->mid, v.gu, v.gu_width, false);
    expert_down(s, n, t, &v);
    if (o->shared) shared_expert(s, n, t, &v, act);
    combine(s, n, t, &v);
}

/* One role of all experts: they must agree on the form of their input. */
static wick_status load_role(wick_backend_model *m, const wick_lin **lin, const wick_weight *w, uint32_t n_expert,
                             wick_input *in, uint32_t *slot, wick_err *err)
{
    for (uint32_t e = 0; e < n_expert; e++) {
        wick_prod p;
        WICK_TRY(wick_prod_init(&p, m, in, &w[e], NULL, 0, err));
        if (e > 0 && p.slot != *slot)
            return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, w[e].name,
                             "expert %u is encoded differently from the others", e);
        *slot = p.slot;
        lin[e] = p.lin;
    }
    return WICK_OK;
}

static wick_status plan_shared(wick_backend_model *m, wick_node *n, moe_data *d, wick_err *err)
{
    const wick_op_moe *o = &n->op->u.moe;
    const wick_op_mlp *h = o->shared;
    if (!h) return WICK_OK;
    WICK_TRY(wick_prod_init(&d->shared[0], m, &n->in, h->up, h->b_up, h->gate ? h->n_ff : 0, err));
    if (h->gate) WICK_TRY(wick_prod_init(&d->shared[1], m, &n->in, h->gate, h->b_gate, 0, err));
    WICK_TRY(wick_prod_init(&d->shared[2], m, &d->shared_mid, h->down, h->b_down, 0, err));
    if (o->shared_gate) WICK_TRY(wick_prod_init(&d->shared_gate, m, &n->in, o->shared_gate, NULL, 0, err));
    n->mid = d->shared_mid;
    return WICK_OK;
}

wick_status wick_plan_moe(wick_backend_model *m, wick_node *n, wick_err *err)
{
    const wick_op_moe *o = &n->op->u.moe;
    uint64_t a = (uint64_t)m->max_tokens * o->top_k, w = m->plan->n_embd;
    moe_data *d = wick_arena_array(&m->arena, 1, sizeof *d);
    const wick_lin **lin = wick_arena_array(&m->arena, 3 * (size_t)o->n_expert, sizeof *lin);
    if (!d || !lin) return wick_err_oom(err, "the program", 3 * (uint64_t)o->n_expert * sizeof *lin, 0);
    d->gate = lin;
    d->up = lin + o->n_expert;
    d->down = lin + 2 * (size_t)o->n_expert;
    n->run = run_moe;
    n->data = d;
    WICK_TRY(wick_prod_init(&n->prod[0], m, o->router_apart ? &n->mid2 : &n->in, o->router, o->router_bias, 0, err));
    if (o->gate) WICK_TRY(load_role(m, d->gate, o->gate, o->n_expert, &d->in, &d->gate_slot, err));
    WICK_TRY(load_role(m, d->up, o->up, o->n_expert, &d->in, &d->up_slot, err));
    WICK_TRY(load_role(m, d->down, o->down, o->n_expert, &d->mid, &d->down_slot, err));
    WICK_TRY(plan_shared(m, n, d, err));
    uint64_t width = o->n_expert + o->top_k * ((o->gate ? 2 : 1) * (uint64_t)o->n_ff + w) + 16;
    if (o->shared) width += 2 * (uint64_t)o->shared->n_ff + w;
    if (a > INT32_MAX || width > INT32_MAX)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "max_tokens", "%u tokens to %u experts: too many", m->max_tokens,
                         o->top_k);
    n->width = (uint32_t)width;
    wick_need(&m->route_words, 4 * a + 4 * (uint64_t)o->n_expert + 2);
    wick_need(&m->lane_scratch, (w > o->n_expert ? w : o->n_expert) * sizeof(float));
    /* The experts' rows together: as many as one block of all, and at most one padded row more for each active
     * expert. */
    uint64_t active = a < o->n_expert ? a : o->n_expert, in = 0;
    const wick_input *both[] = {&d->in, &d->mid};
    for (int i = 0; i < 2; i++)
        wick_need(&in, wick_input_bytes(both[i], (uint32_t)a) + active * (wick_input_bytes(both[i], 1) + 64));
    d->act_at = wick_input_bytes(o->router_apart ? &n->mid2 : &n->in, m->max_tokens);
    wick_need(&m->act_bytes, d->act_at + in);
    return WICK_OK;
}
