/* backend/mlx/mlx.c - the MLX backend as the engine sees it: probe, open and close, load and unload, what is said about
 * a loaded model. */
#include "backend/mlx/mlx.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"

#ifdef __APPLE__
#define NO_GPU "Metal is not available: MLX needs Apple silicon and a session with a GPU"
#else
#define NO_GPU \
    "this MLX has no CUDA, or no NVIDIA GPU is there: pip install \"mlx[cuda13]\" (or mlx[cuda12]), then `make mlx`"
#endif

static bool available(mlx_device_type type)
{
    bool yes = false;
    mlx_device d = wick_mlx.device_new_type(type, 0);
    if (d.ctx && wick_mlx.device_is_available(&yes, d)) yes = false;
    if (d.ctx) wick_mlx.device_free(d);
    wick_mlx_message();
    return yes;
}

static void read_size(mlx_device_info info, const char *key, uint64_t *out)
{
    bool has = false;
    size_t v = 0;
    if (wick_mlx.device_info_has_key(&has, info, key) || !has) return;
    if (wick_mlx.device_info_get_size(&v, info, key) == 0) *out = v;
}

/* Name and memory of a device; what MLX does not say is left as it was. */
static void describe(mlx_device_type type, wick_device_info *out)
{
    const char *name = NULL;
    bool has = false;
    mlx_device d = wick_mlx.device_new_type(type, 0);
    mlx_device_info info = wick_mlx.device_info_new();
    if (d.ctx && wick_mlx.device_info_get(&info, d) == 0) {
        if (wick_mlx.device_info_has_key(&has, info, "device_name") == 0 && has &&
            wick_mlx.device_info_get_string(&name, info, "device_name") == 0 && name)
            wick_escape_line(out->name, sizeof out->name, name, strlen(name));
        read_size(info, "memory_size", &out->memory_bytes); /* Metal */
        read_size(info, "total_memory", &out->memory_bytes);
        read_size(info, "free_memory", &out->memory_free_bytes);
    }
    if (info.ctx) wick_mlx.device_info_free(info);
    if (d.ctx) wick_mlx.device_free(d);
    wick_mlx_message();
}

/* Of the allocator: MLX has one, of its GPU where there is one. */
static void read_use(uint64_t *active, uint64_t *peak, uint64_t *cache)
{
    size_t n = 0;
    *active = wick_mlx.get_active_memory(&n) == 0 ? n : 0;
    *peak = wick_mlx.get_peak_memory(&n) == 0 ? n : 0;
    *cache = wick_mlx.get_cache_memory(&n) == 0 ? n : 0;
}

static void fill_device(bool gpu, wick_device_info *d)
{
    memset(d, 0, sizeof *d);
    snprintf(d->kind, sizeof d->kind, "%s", gpu ? "gpu" : "cpu");
    snprintf(d->name, sizeof d->name, "%s", gpu ? "GPU" : "CPU");
    d->unified_memory = true;
    d->memory_bytes = wick_memory_total_bytes();
    d->memory_free_bytes = wick_memory_available_bytes();
    if (gpu) {
#ifndef __APPLE__
        d->unified_memory = false;
        d->memory_bytes = d->memory_free_bytes = 0;
#endif
        describe(MLX_GPU, d);
        if (!d->memory_free_bytes) d->memory_free_bytes = d->memory_bytes;
    } else {
        snprintf(d->name, sizeof d->name, "%.90s", wick_cpu_name());
        d->advice = "MLX has no fast CPU kernels: use --backend cpu here";
    }
}

static void mlx_probe(wick_backend_info *out)
{
    wick_err err;
    memset(out, 0, sizeof *out);
    if (wick_mlx_load(&err) != WICK_OK) {
        snprintf(out->reason, sizeof out->reason, "%.230s", err.message);
        return;
    }
    out->available = true;
    mlx_string v = wick_mlx.string_new(); /* of some, as of mlx-c's, there is nothing before they are set */
    if (wick_mlx.version(&v) == 0) snprintf(out->version, sizeof out->version, "%.60s", wick_mlx.string_data(v));
    if (v.ctx) wick_mlx.string_free(v);
    if (available(MLX_GPU)) fill_device(true, &out->device[out->n_devices++]);
    fill_device(false, &out->device[out->n_devices++]);
    wick_device_info *first = &out->device[0];
    first->has_use = true;
    read_use(&first->active_bytes, &first->peak_bytes, &first->cache_bytes);
}

static void mlx_close(wick_backend_ctx *c)
{
    if (!c) return;
    if (c->stream.ctx) {
        wick_mlx.synchronize(c->stream);
        wick_mlx.clear_cache();
        wick_mlx.stream_free(c->stream);
    }
    if (c->device.ctx) wick_mlx.device_free(c->device);
    wick_free(c);
}

/* Metal only: weights stay resident instead of being paged out under pressure. Elsewhere the call does nothing. */
static void wire_memory(const wick_backend_ctx *c)
{
#ifdef __APPLE__
    uint64_t most = 0;
    size_t before = 0;
    mlx_device_info info = wick_mlx.device_info_new();
    if (wick_mlx.device_info_get(&info, c->device) == 0) read_size(info, "max_recommended_working_set_size", &most);
    if (info.ctx) wick_mlx.device_info_free(info);
    if (most && wick_mlx.set_wired_limit(&before, (size_t)most))
        wick_log(WICK_LOG_INFO, "mlx: memory is not wired: %s", wick_mlx_message());
#endif
    (void)c;
}

static wick_status open_device(wick_backend_ctx *c, wick_err *err)
{
    size_t before = 0;
    c->device = wick_mlx.device_new_type(c->gpu ? MLX_GPU : MLX_CPU, 0);
    if (!c->device.ctx || wick_mlx.set_default_device(c->device)) return wick_mlx_fail(err, "opening the device");
    c->stream = wick_mlx.stream_new_device(c->device);
    if (!c->stream.ctx || wick_mlx.set_default_stream(c->stream)) return wick_mlx_fail(err, "opening a stream");
    uint64_t limit = c->opts.memory_limit_bytes;
    if (limit && limit <= SIZE_MAX) {
        wick_mlx.set_memory_limit(&before, (size_t)limit);
        wick_mlx.set_cache_limit(&before, (size_t)(limit / 4)); /* buffers kept for reuse count towards the limit */
    }
    if (c->gpu) wire_memory(c);
    return WICK_OK;
}

/* Options of this backend: compile and lazy_eval, both on unless they are switched off. */
static wick_status read_settings(wick_backend_ctx *c, const wick_backend_opts *o, wick_err *err)
{
    c->compile = c->lazy = true;
    for (uint32_t i = 0; i < o->n_settings; i++) {
        const char *key = o->setting[i].key, *value = o->setting[i].value;
        if (strncmp(key, "mlx.", 4) != 0) continue;
        bool *at = strcmp(key + 4, "compile") == 0 ? &c->compile : strcmp(key + 4, "lazy_eval") == 0 ? &c->lazy : NULL;
        if (!at)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, key, "%s: the options of mlx are mlx.compile, mlx.lazy_eval",
                             key);
        *at = strcmp(value, "on") == 0 || strcmp(value, "true") == 0;
        if (!*at && strcmp(value, "off") != 0 && strcmp(value, "false") != 0)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, key, "%s: must be on or off, not %s", key, value);
    }
    return WICK_OK;
}

static wick_status mlx_open(wick_backend_ctx **out, const wick_backend_opts *opts, wick_err *err)
{
    WICK_TRY(wick_mlx_load(err));
    const char *device = opts->device ? opts->device : "auto";
    bool gpu = available(MLX_GPU), want_gpu = strcmp(device, "gpu") == 0;
    if (strcmp(device, "auto") != 0 && strcmp(device, "cpu") != 0 && !want_gpu)
        return WICK_FAIL(err, WICK_E_DEVICE_NOT_AVAILABLE, device, "device %s: expected auto, cpu or gpu", device);
    if (want_gpu && !gpu) return WICK_FAIL(err, WICK_E_DEVICE_NOT_AVAILABLE, "gpu", "device gpu: %s", NO_GPU);
    if ((unsigned)opts->precision > WICK_PRECISION_EXACT)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "precision", "precision %d does not exist", (int)opts->precision);
    wick_backend_ctx *c = wick_alloc_zero(1, sizeof *c);
    if (!c) return wick_err_oom(err, "the MLX backend", sizeof *c, 0);
    c->opts = *opts;
    c->gpu = gpu && strcmp(device, "cpu") != 0;
    wick_device_info d;
    fill_device(c->gpu, &d);
    snprintf(c->device_name, sizeof c->device_name, "%s", d.name);
    c->memory_bytes = d.memory_bytes;
    wick_status st = read_settings(c, opts, err);
    if (st == WICK_OK) st = open_device(c, err);
    if (st != WICK_OK) {
        mlx_close(c);
        return st;
    }
    *out = c;
    return WICK_OK;
}

static uint32_t mlx_caps(const wick_backend_model *m)
{
    uint32_t caps = WICK_CAP_STRUCTURED_OUTPUT | WICK_CAP_KV_PREFIX_COPY | WICK_CAP_EMBEDDINGS |
                    WICK_CAP_DEVICE_SAMPLING | WICK_CAP_KV_SERIALIZE;
    return m->state_bytes ? caps : caps | WICK_CAP_SPECULATIVE; /* a recurrent state cannot take tokens back */
}

static wick_status mlx_check(wick_backend_ctx *c, const wick_plan *plan, wick_err *err)
{
    (void)c;
    return wick_mlx_check(plan, err);
}

/* At the end, for --verbose. */
static void log_figures(const wick_backend_model *m)
{
    uint64_t active, peak, cache;
    char text[3][32];
    if (m->n_steps == 0) return;
    wick_log(WICK_LOG_INFO,
             "mlx: host: %.0f ops a step, built in %.3f ms (%.2f us an op), started in %.3f ms; a step takes %.3f ms",
             (double)m->g.n_ops / (double)m->n_steps, m->build_ms / (double)m->n_steps,
             m->build_ms * 1e3 / (double)(m->g.n_ops ? m->g.n_ops : 1), m->encode_ms / (double)m->n_steps,
             m->step_ms / (double)m->n_steps);
    read_use(&active, &peak, &cache);
    wick_log(WICK_LOG_INFO, "mlx: memory: %s active, %s at most, %s kept for reuse",
             wick_format_bytes(text[0], sizeof text[0], active), wick_format_bytes(text[1], sizeof text[1], peak),
             wick_format_bytes(text[2], sizeof text[2], cache));
}

static void mlx_unload(wick_backend_model *m)
{
    if (!m) return;
    log_figures(m);
    if (m->ctx->stream.ctx) wick_mlx.synchronize(m->ctx->stream);
    wick_mlx_decode_close(m);
    wick_mlx_step_release(m);
    wick_mlx_own_close(m);
    wick_graph_release(&m->g);
    for (size_t i = 0; i < sizeof m->fused_act / sizeof *m->fused_act; i++)
        if (m->fused_act[i].ctx) wick_mlx.closure_free(m->fused_act[i]);
    wick_mlx_unload_weights(m);
    wick_mlx.clear_cache();
    wick_free(m);
}

/* 16-bit products on MLX's CPU device are about a hundred times slower than float32, so there everything is float32. */
static mlx_dtype choose_type(const wick_backend_ctx *c, const wick_plan *p)
{
    if (!c->gpu || c->opts.precision == WICK_PRECISION_EXACT) return MLX_FLOAT32;
    return wick_mlx_has_blocks(p) ? MLX_FLOAT16 : wick_mlx_dtype_of(p->act_dtype);
}

static wick_status choose_kv(wick_backend_model *m, wick_err *err)
{
    const wick_plan *p = m->plan;
    wick_dtype t = m->ctx->opts.kv_dtype;
    if (t != WICK_DTYPE_F32 && t != WICK_DTYPE_F16 && t != WICK_DTYPE_BF16 && t != WICK_DTYPE_Q8_0 &&
        t != WICK_DTYPE_Q4_0)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "kv_dtype", "KV type %s: expected F32, F16, BF16, Q8_0 or Q4_0",
                         wick_dtype_name(t));
    m->kv_bits = t == WICK_DTYPE_Q8_0 ? 8 : t == WICK_DTYPE_Q4_0 ? 4 : 0;
    wick_mlx_kv_count(m);
    for (uint32_t i = 0, cache; i < p->n_ops; i++) {
        const wick_op *op = &p->op[i];
        uint32_t heads = op->kind == WICK_OP_ATTN ? op->u.attn.n_head : op->kind == WICK_OP_MLA ? op->u.mla.n_head : 0;
        m->most_heads = heads > m->most_heads ? heads : m->most_heads;
        if (wick_op_cache(op, &cache)) m->last_cache_op = i;
    }
    return WICK_OK;
}

static wick_status load_parts(wick_backend_model *m, wick_progress progress, wick_err *err)
{
    wick_backend_ctx *c = m->ctx;
    WICK_TRY(wick_mlx_load_weights(m, progress, err));
    uint64_t limit = c->opts.memory_limit_bytes;
    if (!limit && c->gpu) limit = c->memory_bytes;
    wick_mlx_own_open(m);
    wick_mlx.clear_cache(); /* what the parts of joined matrices lay in */
    if (limit) m->kv_limit_bytes = limit > m->weight_bytes ? limit - m->weight_bytes : 1;
    WICK_TRY(wick_mlx_step_init(m, err));
    wick_mlx_decode_open(m);
    return WICK_OK;
}

static wick_status load_plan(wick_backend_ctx *c, const wick_plan *plan, uint32_t max_tokens, wick_progress progress,
                             wick_backend_model **out, wick_err *err)
{
    static const char *const types[] = {
        [MLX_FLOAT16] = "float16", [MLX_FLOAT32] = "float32", [MLX_BFLOAT16] = "bfloat16"};
    if (max_tokens == 0 || max_tokens > 1 << 20)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "max_tokens", "max_tokens %u: expected 1 to 1048576", max_tokens);
    WICK_TRY(wick_mlx_check(plan, err));
    wick_backend_model *m = wick_alloc_zero(1, sizeof *m);
    if (!m) return wick_err_oom(err, "the model", sizeof *m, 0);
    m->ctx = c;
    m->plan = plan;
    m->max_tokens = max_tokens;
    m->g.stream = c->stream;
    m->act = choose_type(c, plan);
    m->compiled = c->compile && c->gpu && !c->opts.tap;
    wick_mlx_tune(m);
    wick_status st = choose_kv(m, err);
    if (st == WICK_OK) st = load_parts(m, progress, err);
    if (st != WICK_OK) {
        mlx_unload(m);
        return st;
    }
    snprintf(m->label, sizeof m->label, "mlx %s: %.90s, %s%s", c->gpu ? "gpu" : "cpu", c->device_name, types[m->act],
             m->kv_bits == 8   ? ", KV of 8 bits"
             : m->kv_bits == 4 ? ", KV of 4 bits"
                               : "");
    *out = m;
    return WICK_OK;
}

static wick_status mlx_kv_new(wick_backend_model *m, uint32_t n_ctx_hint, wick_seq **out, wick_err *err)
{
    (void)n_ctx_hint; /* arrays grow by steps; MLX gives memory when it computes */
    return wick_mlx_seq_new(m, out, err);
}

static uint32_t mlx_kv_len(const wick_seq *s)
{
    return s->len;
}

static void mlx_kv_free(wick_backend_model *m, wick_seq *s)
{
    (void)m;
    wick_mlx_seq_free(s);
}

static void mlx_kv_usage(const wick_backend_model *m, wick_kv_usage *out)
{
    memset(out, 0, sizeof *out);
    out->bytes = m->kv_bytes;
    out->capacity_bytes = m->kv_limit_bytes;
    out->block_tokens = WICK_KV_STEP;
    out->bytes_per_token = m->bytes_per_token;
    out->checkpoint_bytes = m->state_bytes;
    out->checkpoint_tokens = m->state_bytes > 0;
}

static void mlx_stats(const wick_backend_model *m, wick_backend_stats *out)
{
    memset(out, 0, sizeof *out);
    read_use(&out->active_bytes, &out->peak_bytes, &out->cache_bytes);
    out->weight_bytes = m->weight_bytes;
    out->kv_bytes = m->kv_bytes;
    if (out->active_bytes > m->weight_bytes + m->kv_bytes)
        out->scratch_bytes = out->active_bytes - m->weight_bytes - m->kv_bytes;
    out->n_steps = m->n_steps;
    out->n_tokens = m->n_tokens;
    out->step_ms = m->step_ms;
}

static const char *mlx_device_label(const wick_backend_model *m)
{
    return m->label;
}

const wick_backend wick_backend_mlx = {
    .name = "mlx",
    .probe = mlx_probe,
    .open = mlx_open,
    .close = mlx_close,
    .caps = mlx_caps,
    .check = mlx_check,
    .load = load_plan,
    .unload = mlx_unload,
    .step_submit = wick_mlx_step_submit,
    .step_wait = wick_mlx_step_wait,
    .kv_new = mlx_kv_new,
    .kv_fork = wick_mlx_seq_fork,
    .kv_truncate = wick_mlx_seq_truncate,
    .kv_len = mlx_kv_len,
    .kv_free = mlx_kv_free,
    .kv_export = wick_mlx_seq_export,
    .kv_import = wick_mlx_seq_import,
    .kv_usage = mlx_kv_usage,
    .stats = mlx_stats,
    .device_label = mlx_device_label,
    .prefill_tokens = 2048, /* a GPU expands packed weights once per step, whatever the step's size */
};
