/* backend/cpu/cpu.c - the CPU backend as the engine sees it: one const struct of functions. What they do is elsewhere:
 * compile.c, step.c, kv.c, weights.c; here are open and close, load and unload, and what is said about a loaded
 * model. */
#include "backend/cpu/cpu.h"

#include <stdio.h>
#include <string.h>

#include "base/sys.h"

static const char *const precision_names[] = {
    [WICK_PRECISION_FAST] = "fast", [WICK_PRECISION_FINE] = "fine", [WICK_PRECISION_EXACT] = "exact"};

static void cpu_probe(wick_backend_info *out)
{
    const wick_lin_isa *isa = NULL;
    memset(out, 0, sizeof *out);
    out->available = true;
    out->n_devices = 1;
    snprintf(out->version, sizeof out->version, "%s", WICK_VERSION);
    const char *isa_name = wick_lin_isa_pick(&isa, NULL, NULL) == WICK_OK ? isa->name : "portable";
    wick_device_info *d = &out->device[0];
    snprintf(d->name, sizeof d->name, "%.70s (%s)", wick_cpu_name(), isa_name);
    snprintf(d->kind, sizeof d->kind, "cpu");
    d->memory_bytes = wick_memory_total_bytes();
    d->memory_free_bytes = wick_memory_available_bytes();
    d->unified_memory = true;
}

static void cpu_close(wick_backend_ctx *c)
{
    if (!c) return;
    wick_pool_free(c->pool);
    wick_free(c);
}

static wick_status cpu_open(wick_backend_ctx **out, const wick_backend_opts *opts, wick_err *err)
{
    if (opts->device && strcmp(opts->device, "auto") != 0 && strcmp(opts->device, "cpu") != 0)
        return WICK_FAIL(err, WICK_E_DEVICE_NOT_AVAILABLE, opts->device,
                         "device %s: the CPU backend has the device \"cpu\" only", opts->device);
    if ((unsigned)opts->precision > WICK_PRECISION_EXACT)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "precision", "precision %d does not exist", (int)opts->precision);
    wick_backend_ctx *c = wick_alloc_zero(1, sizeof *c);
    if (!c) return wick_err_oom(err, "the CPU backend", sizeof *c, 0);
    c->opts = *opts;
    wick_status st = wick_lin_isa_pick(&c->isa, opts->isa, err);
    if (st == WICK_OK) st = wick_pool_new(&c->pool, opts->n_threads, err);
    if (st != WICK_OK) {
        cpu_close(c);
        return st;
    }
    c->row = wick_rowops_pick(c->isa);
    *out = c;
    return WICK_OK;
}

static uint32_t cpu_caps(const wick_backend_model *m)
{
    uint32_t caps = WICK_CAP_STRUCTURED_OUTPUT | WICK_CAP_KV_PREFIX_COPY | WICK_CAP_EMBEDDINGS |
                    WICK_CAP_BATCH_INVARIANT | WICK_CAP_KV_SERIALIZE;
    return m->kv.n_state ? caps : caps | WICK_CAP_SPECULATIVE; /* a recurrent state cannot take tokens back */
}

static wick_status cpu_check(wick_backend_ctx *c, const wick_plan *plan, wick_err *err)
{
    (void)c;
    return wick_cpu_check(plan, err);
}

static void cpu_unload(wick_backend_model *m)
{
    if (!m) return;
    for (uint32_t i = 0; i < m->n_ropes; i++) wick_free(m->rope[i].cos_sin);
    wick_step_release(m);
    wick_kv_release(&m->kv);
    wick_mats_release(&m->mats);
    wick_arena_release(&m->arena);
    wick_free(m);
}

static wick_status load_ropes(wick_backend_model *m, wick_err *err)
{
    for (uint32_t i = 0; i < m->n_ropes; i++) {
        uint64_t bytes = (uint64_t)m->max_tokens * m->rope[i].rope->n_dims * sizeof(float);
        m->rope[i].cos_sin = wick_alloc_aligned(64, bytes + 64);
        if (!m->rope[i].cos_sin) return wick_err_oom(err, "rope tables", bytes, wick_memory_available_bytes());
    }
    return WICK_OK;
}

static wick_status load_parts(wick_backend_model *m, wick_progress progress, wick_err *err)
{
    const wick_backend_opts *o = &m->ctx->opts;
    uint64_t limit = o->memory_limit_bytes;
    WICK_TRY(wick_mats_load(&m->mats, m->plan, m->ctx->isa, m->pool, o, progress, err));
    if (limit) limit = limit > m->mats.packed_bytes ? limit - m->mats.packed_bytes : 1;
    WICK_TRY(wick_kv_init(&m->kv, m->plan, o->kv_dtype, m->row, limit, err));
    m->lane_norm = (uint64_t)WICK_SMALL_ROWS * m->plan->n_embd * sizeof(float);
    WICK_TRY(wick_cpu_compile(m, err));
    WICK_TRY(load_ropes(m, err));
    return wick_step_buffers(m, err);
}

static wick_status cpu_load(wick_backend_ctx *c, const wick_plan *plan, uint32_t max_tokens, wick_progress progress,
                            wick_backend_model **out, wick_err *err)
{
    if (max_tokens == 0 || max_tokens > 1 << 20)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "max_tokens", "max_tokens %u: expected 1 to 1048576", max_tokens);
    WICK_TRY(wick_cpu_check(plan, err));
    wick_backend_model *m = wick_alloc_aligned(64, sizeof *m);
    if (!m) return wick_err_oom(err, "the model", sizeof *m, 0);
    memset(m, 0, sizeof *m);
    m->ctx = c;
    m->plan = plan;
    m->pool = c->pool;
    m->row = c->row;
    m->max_tokens = max_tokens;
    m->n_threads = wick_pool_n(c->pool);
    wick_arena_init(&m->arena, 0);
    wick_status st = load_parts(m, progress, err);
    if (st != WICK_OK) {
        cpu_unload(m);
        return st;
    }
    snprintf(m->label, sizeof m->label, "cpu: %.100s, %u thread%s, %s, %s", wick_cpu_name(), m->n_threads,
             m->n_threads == 1 ? "" : "s", c->isa->name, precision_names[c->opts.precision]);
    *out = m;
    return WICK_OK;
}

/* The whole step runs here: there is no other processor that could do it meanwhile. */
static wick_status cpu_step_submit(wick_backend_model *m, const wick_batch *batch, wick_err *err)
{
    return wick_step_run(m, batch, err);
}

static wick_status cpu_step_wait(wick_backend_model *m, wick_step_out *out, wick_err *err)
{
    if (!m->has_output) return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "no step was submitted");
    out->data = m->step.out;
    out->n = m->step.n_out;
    out->width = m->step.hidden ? m->plan->n_embd : m->plan->n_vocab;
    return WICK_OK;
}

static wick_status cpu_kv_new(wick_backend_model *m, uint32_t n_ctx_hint, wick_seq **out, wick_err *err)
{
    return wick_seq_new(&m->kv, n_ctx_hint, out, err);
}

static wick_status cpu_kv_fork(wick_backend_model *m, const wick_seq *s, uint32_t n_tokens, wick_seq **out,
                               wick_err *err)
{
    (void)m;
    return wick_seq_fork(s, n_tokens, out, err);
}

static wick_status cpu_kv_truncate(wick_backend_model *m, wick_seq *s, uint32_t n_tokens, wick_err *err)
{
    (void)m;
    return wick_seq_truncate(s, n_tokens, err);
}

static uint32_t cpu_kv_len(const wick_seq *s)
{
    return s->len;
}

static void cpu_kv_free(wick_backend_model *m, wick_seq *s)
{
    (void)m;
    wick_seq_free(s);
}

static wick_status cpu_kv_export(wick_backend_model *m, const wick_seq *s, uint32_t from, uint32_t to, void *buf,
                                 uint64_t *n_bytes, wick_err *err)
{
    (void)m;
    return wick_seq_export(s, from, to, buf, n_bytes, err);
}

static wick_status cpu_kv_import(wick_backend_model *m, wick_seq *s, uint32_t from, uint32_t to, const void *buf,
                                 uint64_t n_bytes, wick_err *err)
{
    (void)m;
    return wick_seq_import(s, from, to, buf, n_bytes, err);
}

static void cpu_kv_usage(const wick_backend_model *m, wick_kv_usage *out)
{
    memset(out, 0, sizeof *out);
    out->bytes = m->kv.used_bytes;
    out->capacity_bytes = m->kv.limit_bytes;
    out->block_tokens = WICK_KV_BLOCK;
    out->bytes_per_token = m->kv.bytes_per_block / WICK_KV_BLOCK;
    out->forks_share = true;
    for (uint32_t i = 0; i < m->kv.n; i++) {
        const wick_kv_cache *c = &m->kv.cache[i];
        if (c->kind != WICK_CACHE_KV || c->window == 0) continue;
        out->checkpoint_tokens = WICK_KV_SLACK;
        /* It keeps what the sequence itself lets go of; its neighbours keep the rest. */
        out->checkpoint_bytes += WICK_KV_SLACK / 2 / WICK_KV_BLOCK * c->block_bytes;
    }
    if (m->kv.n_state) out->checkpoint_tokens = 1;
    out->checkpoint_bytes += m->kv.n_state * sizeof(float);
}

static void cpu_stats(const wick_backend_model *m, wick_backend_stats *out)
{
    memset(out, 0, sizeof *out);
    out->weight_bytes = m->mats.packed_bytes;
    for (uint32_t i = 0; i < m->mats.n; i++)
        if (m->mats.mat[i].bytes == 0) out->weight_bytes += wick_weight_bytes(m->mats.mat[i].w);
    out->kv_bytes = m->kv.used_bytes;
    out->scratch_bytes = m->scratch_bytes + (m->step.out_cap + m->step.part_cap) * sizeof(float);
    out->active_bytes = out->weight_bytes + out->kv_bytes + out->scratch_bytes;
    out->cache_bytes = m->kv.held_bytes;
    out->peak_bytes = wick_memory_peak_bytes();
    out->n_steps = m->n_steps;
    out->n_tokens = m->n_tokens;
    out->step_ms = m->step_ms;
}

static const char *cpu_device_label(const wick_backend_model *m)
{
    return m->label;
}

const wick_backend wick_backend_cpu = {
    .name = "cpu",
    .probe = cpu_probe,
    .open = cpu_open,
    .close = cpu_close,
    .caps = cpu_caps,
    .check = cpu_check,
    .load = cpu_load,
    .unload = cpu_unload,
    .step_submit = cpu_step_submit,
    .step_wait = cpu_step_wait,
    .kv_new = cpu_kv_new,
    .kv_fork = cpu_kv_fork,
    .kv_truncate = cpu_kv_truncate,
    .kv_len = cpu_kv_len,
    .kv_free = cpu_kv_free,
    .kv_export = cpu_kv_export,
    .kv_import = cpu_kv_import,
    .kv_usage = cpu_kv_usage,
    .stats = cpu_stats,
    .device_label = cpu_device_label,
};
