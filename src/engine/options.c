/* engine/options.c - what an engine is opened with: defaults, the backend, and whether it all fits in memory.
 *
 * Nothing large is allocated before wick_engine_plan_memory has said yes.
 */
#include <string.h>
#include "base/str.h"
#include "base/sys.h"
#include "engine/engine_int.h"
#include "model/fit.h"

#define DEFAULT_CTX 8192 /* unless asked for more: KV of a whole 128k context is gigabytes */
#define MAX_SEQS 4096
#define MIN_PREFIX_BYTES (256ull << 20) /* or two whole contexts, if that is more */
#define KEEP_FREE_PERCENT 10            /* of the memory left after the weights, for everything else */

void wick_engine_opts_init(wick_engine_opts *o)
{
    *o = (wick_engine_opts){.backend = "auto", .max_seqs = WICK_DEFAULT_SEQS, .max_queue = 256, .prefix_cache = true};
    o->device.device = "auto";
    o->device.kv_dtype = WICK_DTYPE_F16;
}

wick_status wick_engine_check_opts(const wick_engine_opts *o, wick_err *err)
{
    if (o->max_seqs > MAX_SEQS)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "max_seqs", "max_seqs: %u, at most %d", o->max_seqs, MAX_SEQS);
    if (o->max_queue > 1000000)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "max_queue", "max_queue: %u, at most 1000000", o->max_queue);
    if (o->prefill_chunk > 65536)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "prefill_chunk", "prefill_chunk: %u, at most 65536",
                         o->prefill_chunk);
    return WICK_OK;
}

/* Free memory of the device that `want` means ("auto": the first). */
static bool device_fits_name(const wick_device_info *d, const char *want)
{
    return !want || strcmp(want, "auto") == 0 || strncmp(d->kind, want, strlen(d->kind)) == 0;
}

static wick_status probe(const wick_backend *b, const wick_engine_opts *o, uint64_t *have_bytes, wick_err *err)
{
    wick_backend_info info;
    memset(&info, 0, sizeof info);
    b->probe(&info);
    if (!info.available) {
        wick_err_set(err, WICK_E_DEVICE_NOT_AVAILABLE, b->name, "backend %s is not available: %s", b->name,
                     info.reason);
        if (err) wick_escape_line(err->got, sizeof err->got, info.reason, strlen(info.reason));
        return WICK_E_DEVICE_NOT_AVAILABLE;
    }
    *have_bytes = wick_memory_available_bytes();
    for (uint32_t i = 0; i < info.n_devices; i++) {
        const wick_device_info *d = &info.device[i];
        if (!device_fits_name(d, o->device.device)) continue;
        if (strcmp(d->kind, "cpu") != 0 && !d->unified_memory && d->memory_free_bytes > 0)
            *have_bytes = d->memory_free_bytes;
        break;
    }
    if (o->device.memory_limit_bytes > 0 && o->device.memory_limit_bytes < *have_bytes)
        *have_bytes = o->device.memory_limit_bytes;
    return WICK_OK;
}

/* Can this backend run the plan? Opens a temporary context on the calling thread, checks the plan in it, and closes
 * it. */
static wick_status can_run(const wick_backend *b, const wick_engine_opts *o, const wick_plan *plan, wick_err *err)
{
    wick_backend_ctx *c = NULL;
    WICK_TRY(b->open(&c, &o->device, err));
    wick_status st = b->check(c, plan, err);
    b->close(c);
    return st;
}

static void list_backends(char *dst, size_t cap)
{
    wick_buf names = WICK_BUF_INIT;
    for (size_t i = 0; wick_backends[i]; i++) wick_buf_printf(&names, "%s%s", i ? ", " : "", wick_backends[i]->name);
    size_t n = names.n < cap - 1 ? names.n : cap - 1;
    if (n > 0) memcpy(dst, names.data, n);
    dst[n] = '\0';
    wick_buf_release(&names);
}

static wick_status by_name(const wick_engine_opts *o, const wick_backend **out, uint64_t *have_bytes, wick_err *err)
{
    const wick_backend *b = wick_backend_find(o->backend);
    if (!b) {
        char names[128];
        list_backends(names, sizeof names);
        wick_status kind = wick_backend_known(o->backend) ? WICK_E_DEVICE_NOT_AVAILABLE : WICK_E_BAD_PARAMETER;
        wick_err_set(err, kind, kind == WICK_E_BAD_PARAMETER ? "backend" : o->backend,
                     "backend %s is not in this build (it has: %s)", o->backend, names);
        if (err) wick_escape_line(err->got, sizeof err->got, "not in this build", strlen("not in this build"));
        return kind;
    }
    WICK_TRY(probe(b, o, have_bytes, err));
    *out = b;
    return WICK_OK;
}

/* The first that is available and can run the plan, in the order of the registry; the preferred one before all. */
static wick_status automatic(const wick_engine_opts *o, const wick_plan *plan, const wick_backend **out,
                             uint64_t *have_bytes, wick_err *err)
{
    wick_status st = WICK_FAIL(err, WICK_E_DEVICE_NOT_AVAILABLE, "auto", "no backend is in this build");
    for (int pass = o->prefer ? 0 : 1; pass < 2; pass++) {
        for (size_t i = 0; wick_backends[i]; i++) {
            const wick_backend *b = wick_backends[i];
            const bool preferred = o->prefer && strcmp(b->name, o->prefer) == 0;
            if (preferred != (pass == 0)) continue;
            st = probe(b, o, have_bytes, err);
            if (st == WICK_OK && wick_backends[1]) st = can_run(b, o, plan, err);
            if (st == WICK_OK) {
                *out = b;
                return WICK_OK;
            }
            if (st == WICK_E_BAD_PARAMETER) return st; /* what was asked for is wrong, and not this backend */
        }
    }
    return st;
}

wick_status wick_engine_choose_backend(const wick_engine_opts *o, const wick_plan *plan, const wick_backend **out,
                                       uint64_t *have_bytes, wick_err *err)
{
    if (o->backend && strcmp(o->backend, "auto") != 0) return by_name(o, out, have_bytes, err);
    return automatic(o, plan, out, have_bytes, err);
}

wick_status wick_engine_plan_memory(const wick_engine_opts *o, const wick_plan *plan, uint64_t have_bytes,
                                    wick_engine_parts *parts, wick_err *err)
{
    wick_fit_verdict v;
    uint32_t train = plan->n_ctx_train > 0 ? plan->n_ctx_train : DEFAULT_CTX;
    uint32_t n = o->n_ctx > 0 ? o->n_ctx : (train < DEFAULT_CTX ? train : DEFAULT_CTX);
    /* A model that was extended is at its best in the context that it was extended from, unless a longer one is
     * wanted. */
    if (!o->n_ctx && plan->rope_short.rope && plan->rope_short.original_ctx < n) n = plan->rope_short.original_ctx;
    if (n > train) {
        wick_log(WICK_LOG_WARN, "the context is cut from %u to the %u tokens that the model was trained for", n, train);
        n = train;
    }
    wick_fit_check(plan, o->device.kv_dtype, n, have_bytes, &v);
    if (!v.fits && o->n_ctx == 0 && v.max_ctx >= 256) {
        n = v.max_ctx < n ? v.max_ctx : n;
        wick_log(WICK_LOG_WARN, "memory allows a context of %u tokens", n);
    } else if (!v.fits) {
        char what[64];
        snprintf(what, sizeof what, "the model with a context of %u tokens", n);
        return wick_err_oom(err, what, v.need_bytes, v.have_bytes);
    }
    uint64_t one = wick_fit_sequence_bytes(plan, o->device.kv_dtype, n);
    uint64_t left = have_bytes > plan->weight_bytes ? have_bytes - plan->weight_bytes : 0;
    left -= left / 100 * KEEP_FREE_PERCENT;
    parts->n_ctx = n;
    parts->kv_limit_bytes = o->kv_limit_bytes ? o->kv_limit_bytes : (left > one ? left : one);
    /* What is kept for later gives way to what runs, but the memory is taken meanwhile: a modest share. */
    uint64_t keep = one <= UINT64_MAX / 2 && 2 * one > MIN_PREFIX_BYTES ? 2 * one : MIN_PREFIX_BYTES;
    parts->prefix_limit_bytes = keep < parts->kv_limit_bytes / 2 ? keep : parts->kv_limit_bytes / 2;
    if (parts->prefix_limit_bytes < one && one <= parts->kv_limit_bytes) parts->prefix_limit_bytes = one;
    return WICK_OK;
}
