/* server/metrics.c - counters and histograms in Prometheus' text format. Counting is atomic and never waits. */
#include <string.h>
#include "base/sys.h"
#include "server/server_int.h"

/* Upper bounds in milliseconds. */
static const double bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 120000};
enum { N_BOUNDS = sizeof bounds / sizeof *bounds, MAX_ROUTES = 128, N_CLASS = 6 };
_Static_assert(N_BOUNDS + 1 <= WICK_HIST_MAX, "the histogram has room for its bounds");

static atomic_ullong by_status[MAX_ROUTES][600 / 100 + 1];

void wick_hist_add(wick_hist *h, double ms)
{
    unsigned i = 0;
    while (i < N_BOUNDS && ms > bounds[i]) i++;
    atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, ms > 0 ? (unsigned long long)(ms * 1000) : 0, memory_order_relaxed);
}

void wick_metrics_request(wick_model_metrics *m, const wick_usage *u, wick_finish how)
{
    atomic_fetch_add(&m->prompt_tokens, u->n_prompt);
    atomic_fetch_add(&m->cached_tokens, u->n_cached);
    atomic_fetch_add(&m->gen_tokens, u->n_gen);
    atomic_fetch_add(&m->prompt_us, (unsigned long long)(u->prefill_ms * 1000));
    atomic_fetch_add(&m->decode_us, (unsigned long long)(u->decode_ms * 1000));
    unsigned long long most = atomic_load(&m->n_tokens_max);
    while (most < u->n_prompt + u->n_gen &&
           !atomic_compare_exchange_weak(&m->n_tokens_max, &most, u->n_prompt + u->n_gen))
        continue;
    if (how == WICK_FINISH_ERROR) atomic_fetch_add(&m->failed, 1);
    if (how == WICK_FINISH_CANCELLED) atomic_fetch_add(&m->cancelled, 1);
    wick_hist_add(&m->queue, u->queue_ms);
    wick_hist_add(&m->e2e, u->queue_ms + u->prefill_ms + u->decode_ms);
    if (u->n_gen > 0) wick_hist_add(&m->ttft, u->first_token_ms);
}

void wick_metrics_status(unsigned route, unsigned status)
{
    if (route < MAX_ROUTES && status / 100 < N_CLASS)
        atomic_fetch_add_explicit(&by_status[route][status / 100], 1, memory_order_relaxed);
}

enum { LABEL_BYTES = 128 };

/* A label value: backslash, quote and newline escaped, other control characters left out, cut between characters where
 * it is long. */
static void label(wick_buf *b, const char *s)
{
    const char *const end = s + strlen(s);
    const char *stop = end - s > LABEL_BYTES ? s + LABEL_BYTES : end;
    while (stop < end && stop > s && ((unsigned char)*stop & 0xC0) == 0x80) stop--;
    for (; s < stop; s++) {
        if (((unsigned char)*s < ' ' && *s != '\n') || *s == 0x7f) continue;
        if (*s == '\\' || *s == '"') wick_buf_putc(b, '\\');
        if (*s == '\n')
            wick_buf_puts(b, "\\n");
        else
            wick_buf_putc(b, *s);
    }
}

static void head(wick_buf *b, const char *name, const char *type, const char *help)
{
    wick_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(wick_buf *b, const char *name, const char *model, double v)
{
    wick_buf_printf(b, "%s{model=\"", name);
    label(b, model);
    wick_buf_printf(b, "\"} %.17g\n", v);
}

static void histogram(wick_buf *b, const char *name, const char *model, wick_hist *h)
{
    unsigned long long n = 0;
    for (unsigned i = 0; i <= N_BOUNDS; i++) {
        n += atomic_load(&h->bucket[i]);
        wick_buf_printf(b, "%s_bucket{model=\"", name);
        label(b, model);
        if (i < N_BOUNDS)
            wick_buf_printf(b, "\",le=\"%g\"} %llu\n", bounds[i] / 1000, n);
        else
            wick_buf_printf(b, "\",le=\"+Inf\"} %llu\n", n);
    }
    wick_buf_printf(b, "%s_sum{model=\"", name);
    label(b, model);
    wick_buf_printf(b, "\"} %.6f\n%s_count{model=\"", (double)atomic_load(&h->sum_us) / 1e6, name);
    label(b, model);
    wick_buf_printf(b, "\"} %llu\n", n);
}

typedef struct one_metric {
    const char *name, *type, *help;
    double (*value)(const wick_entry *e, const wick_engine_stats *s);
} one_metric;

#define VALUE(fn, expr)                                               \
    static double fn(const wick_entry *e, const wick_engine_stats *s) \
    {                                                                 \
        (void)e;                                                      \
        (void)s;                                                      \
        return (double)(expr);                                        \
    }
VALUE(m_loaded, e->state == WICK_ENTRY_READY)
VALUE(m_requests, atomic_load(&e->metrics->requests))
VALUE(m_failed, atomic_load(&e->metrics->failed))
VALUE(m_cancelled, atomic_load(&e->metrics->cancelled))
VALUE(m_prompt, atomic_load(&e->metrics->prompt_tokens))
VALUE(m_cached, atomic_load(&e->metrics->cached_tokens))
VALUE(m_gen, atomic_load(&e->metrics->gen_tokens))
VALUE(m_running, s->n_running)
VALUE(m_waiting, s->n_waiting)
VALUE(m_preempted, s->n_preempted)
VALUE(m_kv, s->kv.bytes)
VALUE(m_kv_cap, s->kv.capacity_bytes)
VALUE(m_prefixes, s->n_prefixes)
VALUE(m_prefix_bytes, s->prefix_bytes)
VALUE(m_hits, s->n_prefix_hits)
VALUE(m_disk, s->n_disk_tokens)
VALUE(m_disk_bytes, s->disk_bytes)
VALUE(m_written, s->written_bytes)
VALUE(m_drafted, s->n_drafted)
VALUE(m_accepted, s->n_accepted)
VALUE(m_weights, s->backend.weight_bytes)
VALUE(m_active, s->backend.active_bytes)
VALUE(m_peak, s->backend.peak_bytes)
VALUE(m_reuse, s->backend.cache_bytes)
VALUE(m_steps, s->backend.n_steps)

static const one_metric metrics[] = {
    {"wick_model_loaded", "gauge", "1 while the model is in memory", m_loaded},
    {"wick_requests_total", "counter", "generation and embedding requests given to the model", m_requests},
    {"wick_requests_failed_total", "counter", "requests that ended with an error", m_failed},
    {"wick_requests_cancelled_total", "counter", "requests that ended early because the client left", m_cancelled},
    {"wick_prompt_tokens_total", "counter", "prompt tokens", m_prompt},
    {"wick_prompt_tokens_cached_total", "counter", "prompt tokens taken from the prefix cache", m_cached},
    {"wick_generated_tokens_total", "counter", "generated tokens", m_gen},
    {"wick_requests_running", "gauge", "requests in the batch now", m_running},
    {"wick_requests_waiting", "gauge", "requests waiting for a place in the batch", m_waiting},
    {"wick_preemptions_total", "counter", "requests that gave their place back", m_preempted},
    {"wick_kv_bytes", "gauge", "KV cache in use", m_kv},
    {"wick_kv_capacity_bytes", "gauge", "KV cache at most; 0: memory decides", m_kv_cap},
    {"wick_prefix_cache_entries", "gauge", "sequences in the prefix cache", m_prefixes},
    {"wick_prefix_cache_bytes", "gauge", "bytes in the prefix cache", m_prefix_bytes},
    {"wick_kv_disk_tokens_total", "counter", "positions that were read from disk instead of computed", m_disk},
    {"wick_kv_disk_bytes", "gauge", "KV on disk", m_disk_bytes},
    {"wick_kv_disk_written_bytes_total", "counter", "KV written to disk", m_written},
    {"wick_draft_tokens_total", "counter", "tokens that were guessed from the text", m_drafted},
    {"wick_draft_accepted_tokens_total", "counter", "guesses that were right", m_accepted},
    {"wick_prefix_cache_hits_total", "counter", "requests that found part of their prompt there", m_hits},
    {"wick_weight_bytes", "gauge", "weights in memory", m_weights},
    {"wick_device_memory_active_bytes", "gauge", "mlx: what its allocator has given out", m_active},
    {"wick_device_memory_peak_bytes", "gauge", "mlx: the most it had given out", m_peak},
    {"wick_device_memory_cache_bytes", "gauge", "mlx: what it keeps for reuse", m_reuse},
    {"wick_engine_steps_total", "counter", "steps of the engine", m_steps},
};

/* The names that llama.cpp's server has, of all models together: what is drawn from them goes on. */
VALUE(l_prompt, atomic_load(&e->metrics->prompt_tokens) - atomic_load(&e->metrics->cached_tokens))
VALUE(l_prompt_s, (double)atomic_load(&e->metrics->prompt_us) / 1e6)
VALUE(l_gen_s, (double)atomic_load(&e->metrics->decode_us) / 1e6)
VALUE(l_most, atomic_load(&e->metrics->n_tokens_max))
VALUE(l_none, 0)

static double ratio(double n, double of)
{
    return of > 0 ? n / of : 0;
}

static const one_metric llama_metrics[] = {
    {"llamacpp:prompt_tokens_total", "counter", "prompt tokens that were computed", l_prompt},
    {"llamacpp:prompt_tokens_cached_total", "counter", "prompt tokens taken from the prefix cache", m_cached},
    {"llamacpp:prompt_seconds_total", "counter", "time for prompts", l_prompt_s},
    {"llamacpp:tokens_predicted_total", "counter", "generated tokens", m_gen},
    {"llamacpp:tokens_predicted_seconds_total", "counter", "time after the first token of answers", l_gen_s},
    {"llamacpp:n_decode_total", "counter", "steps of the engine", m_steps},
    {"llamacpp:n_tokens_max", "counter", "most tokens that one request had", l_most},
    {"llamacpp:spec_decode_num_draft_tokens_total", "counter", "tokens that were proposed", l_none},
    {"llamacpp:spec_decode_num_accepted_tokens_total", "counter", "of those, taken", l_none},
    {"llamacpp:spec_decode_num_drafts_total", "counter", "proposals", l_none},
    {"llamacpp:requests_processing", "gauge", "requests in the batch now", m_running},
    {"llamacpp:requests_deferred", "gauge", "requests waiting for a place in the batch", m_waiting},
    {"llamacpp:n_busy_slots_per_decode", "gauge", "requests in the batch now", m_running},
};

typedef struct snapshot {
    struct {
        wick_entry *e;
        wick_engine_stats stats;
    } * item;
    uint32_t n, cap;
} snapshot;

static void take(void *ctx, wick_entry *e, bool is_default)
{
    snapshot *s = ctx;
    (void)is_default;
    if (s->n == s->cap) return;
    s->item[s->n].e = e;
    memset(&s->item[s->n].stats, 0, sizeof s->item[s->n].stats);
    if (e->engine) wick_engine_get_stats(e->engine, &s->item[s->n].stats);
    e->refs++;
    s->n++;
}

static void write_models(snapshot *s, wick_buf *b)
{
    const struct {
        const char *name, *help;
        size_t at;
    } hists[] = {{"wick_time_to_first_token_seconds", "submission to first token", offsetof(wick_model_metrics, ttft)},
                 {"wick_inter_token_seconds", "between tokens of one answer", offsetof(wick_model_metrics, itl)},
                 {"wick_queue_seconds", "submission to first step", offsetof(wick_model_metrics, queue)},
                 {"wick_request_seconds", "submission to the end", offsetof(wick_model_metrics, e2e)}};
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        head(b, metrics[m].name, metrics[m].type, metrics[m].help);
        for (uint32_t i = 0; i < s->n; i++)
            sample(b, metrics[m].name, s->item[i].e->c.id, metrics[m].value(s->item[i].e, &s->item[i].stats));
    }
    for (size_t m = 0; m < sizeof hists / sizeof *hists; m++) {
        head(b, hists[m].name, "histogram", hists[m].help);
        for (uint32_t i = 0; i < s->n; i++)
            histogram(b, hists[m].name, s->item[i].e->c.id,
                      (wick_hist *)(void *)((char *)s->item[i].e->metrics + hists[m].at));
    }
}

static void write_llama(const snapshot *s, wick_buf *b)
{
    double sum[sizeof llama_metrics / sizeof *llama_metrics] = {0};
    for (size_t m = 0; m < sizeof llama_metrics / sizeof *llama_metrics; m++) {
        for (uint32_t i = 0; i < s->n; i++) {
            const double v = llama_metrics[m].value(s->item[i].e, &s->item[i].stats);
            sum[m] = llama_metrics[m].value == l_most ? (v > sum[m] ? v : sum[m]) : sum[m] + v;
        }
        head(b, llama_metrics[m].name, llama_metrics[m].type, llama_metrics[m].help);
        wick_buf_printf(b, "%s %.17g\n", llama_metrics[m].name, sum[m]);
    }
    head(b, "llamacpp:prompt_tokens_seconds", "gauge", "prompt tokens in a second, so far");
    wick_buf_printf(b, "llamacpp:prompt_tokens_seconds %.17g\n", ratio(sum[0], sum[2]));
    head(b, "llamacpp:predicted_tokens_seconds", "gauge", "generated tokens in a second, so far");
    wick_buf_printf(b, "llamacpp:predicted_tokens_seconds %.17g\n", ratio(sum[3], sum[4]));
}

void wick_metrics_write(wick_server *s, wick_buf *b)
{
    snapshot snap = {.cap = 256};
    snap.item = wick_alloc_zero(snap.cap, sizeof *snap.item);
    if (!snap.item) {
        b->failed = true;
        return;
    }
    head(b, "wick_http_requests_total", "counter", "answers by path and class of status");
    for (unsigned r = 0; r < wick_n_routes && r < MAX_ROUTES; r++)
        for (unsigned c = 2; c < N_CLASS; c++) {
            unsigned long long n = atomic_load(&by_status[r][c]);
            if (n)
                wick_buf_printf(b, "wick_http_requests_total{method=\"%s\",path=\"%s\",status=\"%uxx\"} %llu\n",
                                wick_routes[r].method, wick_routes[r].path, c, n);
        }
    head(b, "wick_uptime_seconds", "gauge", "since the start");
    wick_buf_printf(b, "wick_uptime_seconds %.3f\n", (wick_time_ms() - s->t_start) / 1000);
    head(b, "wick_http_active", "gauge", "requests that are being worked on");
    wick_buf_printf(b, "wick_http_active %u\n", atomic_load(&s->n_active));
    head(b, "wick_memory_peak_bytes", "gauge", "largest resident set so far");
    wick_buf_printf(b, "wick_memory_peak_bytes %llu\n", (unsigned long long)wick_memory_peak_bytes());
    wick_registry_each(&s->registry, take, &snap);
    write_models(&snap, b);
    write_llama(&snap, b);
    for (uint32_t i = 0; i < snap.n; i++) wick_registry_unref(&s->registry, snap.item[i].e);
    wick_free(snap.item);
}
