/* cli/cmd_bench.c - `wick bench`: prompt and decode speed, in the manner of llama-bench.
 *
 * A row is one (prompt length or generation length, batch) with its repetitions. Tokens are drawn at random from the
 * vocabulary with a fixed seed; nothing is cached between repetitions; loading and one warm-up are not counted. With
 * --depth every request begins with the same tokens, which the prefix cache keeps after the warm-up: only what comes
 * after them is measured. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "cli/commands.h"
#include "cli/quality.h"
#include "cli/session.h"
#include "cli/term.h"

enum { MAX_ROWS = 64, MAX_BATCH = 256, MAX_REPS = 1000, WARM_UP_MS = 300, SLOW_MS = 2000 };

typedef struct bench_row {
    uint32_t n_prompt, n_gen, batch, depth, n_reps;
    double mean, stddev, min, max;
    double sample[MAX_REPS];
} bench_row;

/* "128,512" in each item of the list */
static wick_status parse_lengths(const wick_str_list *l, const char *option, uint32_t lo, uint32_t hi, uint32_t *out,
                                 uint32_t *n, wick_err *err)
{
    *n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        for (const char *p = l->item[i]; *p;) {
            char one[16];
            uint64_t v;
            size_t len = strcspn(p, ",");
            bool ok = len > 0 && len < sizeof one;
            if (ok) {
                memcpy(one, p, len);
                one[len] = '\0';
                ok = wick_parse_u64(one, &v) && v >= lo && v <= hi && *n < MAX_ROWS;
            }
            if (!ok)
                return WICK_FAIL(err, WICK_E_BAD_PARAMETER, option,
                                 "-%s %s: must be whole numbers from %u to %u, separated by commas", option, l->item[i],
                                 lo, hi);
            out[(*n)++] = (uint32_t)v;
            p += len + (p[len] == ',');
        }
    }
    return WICK_OK;
}

static void random_ids(int32_t *ids, uint32_t n, uint32_t n_vocab, uint64_t *state)
{
    for (uint32_t i = 0; i < n; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX generator */
        ids[i] = (int32_t)((*state >> 33) % n_vocab);
    }
}

static wick_status wait_done(wick_request *q, wick_usage *u, wick_err *err)
{
    for (;;) {
        const wick_event *ev = wick_request_next(q, 100);
        if (wick_interrupted()) wick_request_cancel(q);
        if (!ev || ev->kind != WICK_EVENT_DONE) continue;
        *u = ev->usage;
        if (ev->finish == WICK_FINISH_CANCELLED) return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
        if (ev->finish != WICK_FINISH_ERROR) return WICK_OK;
        if (err) *err = ev->error;
        return ev->error.kind ? ev->error.kind : WICK_E_INTERNAL;
    }
}

/* One repetition: `batch` requests at once; the rate over all of them. */
static wick_status one_run(wick_engine *e, const bench_row *r, uint64_t *state, double *tok_s, wick_err *err)
{
    wick_request *q[MAX_BATCH] = {0};
    uint32_t n_prompt = r->depth + (r->n_prompt ? r->n_prompt : 1), n_read = 0;
    uint64_t depth_state = 7;
    int32_t *ids = wick_realloc_array(NULL, n_prompt, sizeof *ids);
    wick_status st = WICK_OK;
    double prefill_ms = 0, decode_ms = 0, t0 = 0;
    if (!ids) return wick_err_oom(err, "bench", 0, 0);
    random_ids(ids, r->depth, wick_engine_model(e)->plan.n_vocab, &depth_state);
    for (uint32_t i = 0; i < r->batch; i++) {
        wick_request_opts o;
        random_ids(ids + r->depth, n_prompt - r->depth, wick_engine_model(e)->plan.n_vocab, state);
        wick_request_opts_init(&o);
        o.prompt = ids;
        o.n_prompt = n_prompt;
        o.max_tokens = r->n_gen + 1; /* the first token belongs to the prompt's step */
        o.ignore_eos = true;
        o.sampling.temperature = 0;
        WICK_TRY_GOTO(wick_request_new(&q[i], e, &o, err));
    }
    t0 = wick_time_ms();
    for (uint32_t i = 0; i < r->batch; i++) WICK_TRY_GOTO(wick_request_submit(q[i], err));
    for (uint32_t i = 0; i < r->batch; i++) {
        wick_usage u;
        WICK_TRY_GOTO(wait_done(q[i], &u, err));
        if (u.prefill_ms > prefill_ms) prefill_ms = u.prefill_ms;
        if (u.decode_ms > decode_ms) decode_ms = u.decode_ms;
        n_read += u.n_prompt - u.n_cached;
    }
    double ms = r->n_gen ? decode_ms : r->batch > 1 ? wick_time_ms() - t0 : prefill_ms;
    *tok_s = ms > 0 ? (r->n_gen ? (double)r->batch * r->n_gen : n_read) * 1000 / ms : 0;
done:
    for (uint32_t i = 0; i < r->batch; i++) wick_request_free(q[i]);
    wick_free(ids);
    return st;
}

/* A run that may compile and allocate, and more of them where they are short: a GPU takes its time to come to speed. */
static wick_status come_to_speed(wick_engine *e, const bench_row *r, uint64_t *state, wick_err *err)
{
    double ignored, start = wick_time_ms();
    WICK_TRY(one_run(e, r, state, &ignored, err));
    double first = wick_time_ms() - start;
    if (first > SLOW_MS) return WICK_OK;
    for (start = wick_time_ms(); wick_time_ms() - start < WARM_UP_MS;) WICK_TRY(one_run(e, r, state, &ignored, err));
    return WICK_OK;
}

static wick_status measure(wick_engine *e, bench_row *r, bool warm_up, wick_err *err)
{
    uint64_t state = 42;
    double sum = 0, squares = 0;
    if (warm_up || r->depth) WICK_TRY(come_to_speed(e, r, &state, err));
    for (uint32_t i = 0; i < r->n_reps; i++) {
        WICK_TRY(one_run(e, r, &state, &r->sample[i], err));
        sum += r->sample[i];
        squares += r->sample[i] * r->sample[i];
        if (i == 0 || r->sample[i] < r->min) r->min = r->sample[i];
        if (i == 0 || r->sample[i] > r->max) r->max = r->sample[i];
    }
    r->mean = sum / r->n_reps;
    double var = squares / r->n_reps - r->mean * r->mean;
    r->stddev = r->n_reps > 1 && var > 0 ? sqrt(var * r->n_reps / (r->n_reps - 1)) : 0;
    return WICK_OK;
}

static json_t *machine_json(const wick_engine *e)
{
    struct utsname u = {0};
    json_t *o = json_object();
    uname(&u);
    json_object_set_new(o, "cpu", json_string(wick_cpu_name()));
    json_object_set_new(o, "cores", json_integer(wick_cpu_count()));
    json_object_set_new(o, "memory_bytes", json_integer((json_int_t)wick_memory_total_bytes()));
    json_object_set_new(o, "os", json_string(u.sysname));
    json_object_set_new(o, "arch", json_string(u.machine));
    json_object_set_new(o, "device", json_string(wick_engine_device_label(e)));
    json_object_set_new(o, "version", json_string(WICK_VERSION));
    return o;
}

static json_t *row_json(const wick_engine *e, const bench_row *r)
{
    json_t *o = json_object(), *samples = json_array();
    json_object_set_new(o, "model", wick_json_text(wick_engine_model(e)->name, strlen(wick_engine_model(e)->name)));
    json_object_set_new(o, "backend", json_string(wick_engine_backend_name(e)));
    json_object_set_new(o, "n_prompt", json_integer(r->n_prompt));
    json_object_set_new(o, "n_gen", json_integer(r->n_gen));
    json_object_set_new(o, "batch", json_integer(r->batch));
    json_object_set_new(o, "depth", json_integer(r->depth));
    json_object_set_new(o, "tok_s", json_real(r->mean));
    json_object_set_new(o, "stddev", json_real(r->stddev));
    json_object_set_new(o, "min", json_real(r->min));
    json_object_set_new(o, "max", json_real(r->max));
    for (uint32_t i = 0; i < r->n_reps; i++) json_array_append_new(samples, json_real(r->sample[i]));
    json_object_set_new(o, "samples", samples);
    return o;
}

/* A CSV field: quoted where it needs to be. */
static void csv_text(const char *s)
{
    bool quote = s[strcspn(s, ",\"")] != '\0';
    if (quote) putchar('"');
    for (; *s; s++) {
        if (*s == '"') putchar('"');
        putchar(*s);
    }
    if (quote) putchar('"');
}

static void print_row(const wick_engine *e, const bench_row *r, bool csv)
{
    char name[256];
    const char *model = wick_engine_model(e)->name, *backend = wick_engine_backend_name(e);
    wick_escape_line(name, sizeof name, model, strlen(model));
    if (csv) {
        csv_text(name);
        printf(",%s,%u,%u,%u,%.3f,%.3f,%.3f,%.3f,%u\n", backend, r->n_prompt, r->n_gen, r->batch, r->mean, r->stddev,
               r->min, r->max, r->depth);
        return;
    }
    char test[64];
    int n = snprintf(test, sizeof test, r->n_gen ? "decode %u" : "prompt %u", r->n_gen ? r->n_gen : r->n_prompt);
    if (r->depth) snprintf(test + n, sizeof test - (size_t)n, " @%u", r->depth);
    printf("%-28.28s %-5s %-16s %5u %10.2f +- %.2f\n", name, backend, test, r->batch, r->mean, r->stddev);
    fflush(stdout);
}

static wick_status run_rows(wick_engine *e, const wick_args *a, const uint32_t *len, uint32_t n_prompt_rows,
                            uint32_t n_rows, const uint32_t *batch, uint32_t n_batch, json_t *results, wick_err *err)
{
    bench_row *r = wick_alloc_zero(1, sizeof *r);
    wick_status st = WICK_OK;
    if (!r) return wick_err_oom(err, "bench", 0, 0);
    for (uint32_t b = 0; b < n_batch; b++) {
        for (uint32_t i = 0; i < n_rows; i++) {
            if (len[i] == 0) continue;
            memset(r, 0, sizeof *r);
            if (i < n_prompt_rows)
                r->n_prompt = len[i];
            else
                r->n_gen = len[i];
            r->batch = batch[b];
            r->depth = a->bench_depth;
            r->n_reps = a->repetitions;
            WICK_TRY_GOTO(measure(e, r, !a->no_warmup, err));
            if (a->json)
                json_array_append_new(results, row_json(e, r));
            else
                print_row(e, r, a->csv);
        }
    }
done:
    wick_free(r);
    return st;
}

static wick_status run_bench(const wick_args *a, wick_err *err)
{
    wick_engine *e = NULL;
    uint32_t len[2 * MAX_ROWS], n_prompt, n_gen, batch[MAX_ROWS], n_batch, longest = 1, widest = 1;
    wick_args own = *a;
    WICK_TRY(parse_lengths(&a->bench_prompt, "p", 0, 1u << 20, len, &n_prompt, err));
    if (!a->bench_prompt.n) len[n_prompt++] = 512;
    if (a->quality) {
        if (n_prompt != 1 || len[0] < 2)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "p", "-p: with --quality one number of tokens, at least 2");
        return wick_bench_quality(a, len[0], err);
    }
    if (a->quality_file) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "file", "--file: only with --quality");
    WICK_TRY(parse_lengths(&a->bench_gen, "n", 0, 1u << 20, len + n_prompt, &n_gen, err));
    if (!a->bench_gen.n) len[n_prompt + n_gen++] = 128;
    WICK_TRY(parse_lengths(&a->bench_batch, "b", 1, MAX_BATCH, batch, &n_batch, err));
    if (!a->bench_batch.n) batch[n_batch++] = 1;
    for (uint32_t i = 0; i < n_prompt + n_gen; i++) longest = len[i] > longest ? len[i] : longest;
    for (uint32_t i = 0; i < n_batch; i++) widest = batch[i] > widest ? batch[i] : widest;
    if (!own.n_ctx) own.n_ctx = a->bench_depth + longest + 8;
    if (own.max_seqs < widest) own.max_seqs = widest;
    own.no_prefix_cache = a->bench_depth == 0;
    own.kv_dir = NULL;
    if (!own.draft) own.draft = "off";        /* its texts say nothing, and soon repeat */
    if (!a->pack_cache) own.cache_dir = NULL; /* nothing is to be written while speed is measured */
    WICK_TRY(wick_session_open(&e, &own, true, err));
    json_t *results = json_array();
    if (a->csv)
        puts("model,backend,n_prompt,n_gen,batch,tok_s,stddev,min,max,depth");
    else if (!a->json)
        printf("%s\n%-28s %-5s %-16s %5s %10s\n", wick_engine_device_label(e), "model", "on", "test", "batch", "tok/s");
    wick_status st = run_rows(e, a, len, n_prompt, n_prompt + n_gen, batch, n_batch, results, err);
    if (st == WICK_OK && a->json) {
        json_t *o = json_object();
        json_object_set_new(o, "machine", machine_json(e));
        json_object_set(o, "results", results);
        st = wick_print_json(o, err);
    }
    json_decref(results);
    wick_engine_close(e);
    return st;
}

static const wick_opt opts[] = {
    {"prompt", 'p', WICK_OPT_LIST, "N,...", "prompt lengths (default 512; 0: none)", offsetof(wick_args, bench_prompt),
     0, 0, NULL, NULL, 0},
    {"gen", 'n', WICK_OPT_LIST, "N,...", "generation lengths (default 128; 0: none)", offsetof(wick_args, bench_gen), 0,
     0, NULL, NULL, 0},
    {"batch", 'b', WICK_OPT_LIST, "N,...", "sequences at once (default 1)", offsetof(wick_args, bench_batch), 0, 0,
     NULL, NULL, 0},
    {"depth", 'd', WICK_OPT_U32, "N", "tokens already in each sequence, not counted (default 0)",
     offsetof(wick_args, bench_depth), 0, 1u << 20, NULL, NULL, 0},
    {"repetitions", 'r', WICK_OPT_U32, "N", "counted runs of each row (default 5)", offsetof(wick_args, repetitions), 1,
     MAX_REPS, NULL, NULL, 0},
    {"no-warmup", 0, WICK_OPT_FLAG, NULL, "count from the first run", offsetof(wick_args, no_warmup), 0, 0, NULL, NULL,
     0},
    {"quality", 0, WICK_OPT_FLAG, NULL,
     "instead: perplexity and KL divergence against --precision exact over -p tokens", offsetof(wick_args, quality), 0,
     0, NULL, NULL, 0},
    {"file", 0, WICK_OPT_STR, "PATH", "--quality: the text to read (default: what the exact model writes itself)",
     offsetof(wick_args, quality_file), 0, 0, NULL, NULL, 0},
    {"csv", 0, WICK_OPT_FLAG, NULL, "print CSV", offsetof(wick_args, csv), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_bench = {
    .name = "bench",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "measure prompt and decode speed",
    .about =
        "One row for each prompt length and each generation length, for each batch size: tokens per second over "
        "all sequences,\n"
        "mean of the repetitions and standard deviation. --depth N measures after N tokens of context. With "
        "--json: {\"machine\": {...}, \"results\": [...]}.\n"
        "--quality says what --precision and --kv-type cost: both they and exact read the same tokens, in contexts "
        "of --ctx (512).",
    .examples = "wick bench MODEL -p 128,512 -n 32 -b 1,8 -r 5 --threads 2\ta table\nwick bench MODEL --json > "
                "today.json\tto keep",
    .group = {&group, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_bench,
};
