/* cli/quality.c - `wick bench --quality`: what a precision and a KV type cost against `exact` on the same model.
 *
 * The model is opened twice, exact (float activations, float32 KV) and as the options say, and both read the same
 * tokens; each window of the text starts an empty context. At every position the two distributions over the vocabulary
 * are compared, and what each gives to the token that follows. Without --file the text is what the exact model writes
 * itself at temperature 1 from a fixed seed: in its own domain whatever it was trained on, and the same on every
 * run. */
#include "cli/quality.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/session.h"
#include "cli/term.h"

enum { WINDOW = 512, MAX_FILE = 64 << 20 };

typedef struct rows { /* the logits of one request, row by row */
    wick_request *q;
    const wick_event *ev;
    uint32_t at;
} rows;

typedef struct tally {
    uint32_t n, n_same;    /* positions, and those whose best token is the same */
    double nll_exact, nll; /* sums over the tokens that followed */
    double kl, kl_max,
        squares;  /* sums of KL(exact || this), of squared differences of log probabilities of what followed */
    double *each; /* [n] KL, for the median */
} tally;

/* The next row, valid until the next call for the same request; *row NULL: no more. */
static wick_status next_row(rows *r, const float **row, uint32_t *width, wick_err *err)
{
    *row = NULL;
    while (!r->ev || r->ev->kind != WICK_EVENT_LOGITS || r->at == r->ev->n_data) {
        r->ev = wick_request_next(r->q, 100);
        r->at = 0;
        if (wick_interrupted()) wick_request_cancel(r->q);
        if (!r->ev || r->ev->kind != WICK_EVENT_DONE) continue;
        if (r->ev->finish == WICK_FINISH_CANCELLED) return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
        if (r->ev->finish != WICK_FINISH_ERROR) return WICK_OK;
        if (err) *err = r->ev->error;
        return r->ev->error.kind ? r->ev->error.kind : WICK_E_INTERNAL;
    }
    *width = r->ev->width;
    *row = r->ev->data + (size_t)r->at++ * r->ev->width;
    return WICK_OK;
}

static double log_sum(const float *x, uint32_t n, uint32_t *best)
{
    double sum = 0;
    *best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[*best]) *best = i;
    for (uint32_t i = 0; i < n; i++) sum += exp((double)x[i] - x[*best]);
    return x[*best] + log(sum);
}

static void compare(tally *t, const float *exact, const float *row, uint32_t width, int32_t next)
{
    uint32_t best_exact, best;
    double a = log_sum(exact, width, &best_exact), b = log_sum(row, width, &best), kl = 0;
    for (uint32_t i = 0; i < width; i++) {
        double p = exact[i] - a, q = row[i] - b;
        kl += exp(p) * (p - q);
    }
    double d = (row[next] - b) - (exact[next] - a);
    t->nll_exact -= exact[next] - a;
    t->nll -= row[next] - b;
    t->squares += d * d;
    t->kl += kl;
    if (kl > t->kl_max) t->kl_max = kl;
    t->n_same += best == best_exact;
    t->each[t->n++] = kl;
}

static wick_status submit(rows *r, wick_engine *e, const int32_t *ids, uint32_t n, wick_err *err)
{
    wick_request_opts o;
    wick_request_opts_init(&o);
    o.kind = WICK_REQ_LOGITS;
    o.prompt = ids;
    o.n_prompt = n;
    WICK_TRY(wick_request_new(&r->q, e, &o, err));
    return wick_request_submit(r->q, err);
}

static wick_status window(tally *t, wick_engine *exact, wick_engine *e, const int32_t *ids, uint32_t n, wick_err *err)
{
    rows a = {0}, b = {0};
    wick_status st = WICK_OK;
    const float *x, *y;
    uint32_t width = 0;
    WICK_TRY_GOTO(submit(&a, exact, ids, n, err));
    WICK_TRY_GOTO(submit(&b, e, ids, n, err));
    for (uint32_t i = 0; i + 1 < n; i++) {
        WICK_TRY_GOTO(next_row(&a, &x, &width, err));
        WICK_TRY_GOTO(next_row(&b, &y, &width, err));
        if (!x || !y) {
            st = WICK_FAIL(err, WICK_E_INTERNAL, NULL, "the backend gave fewer logits than tokens");
            goto done;
        }
        compare(t, x, y, width, ids[i + 1]);
    }
    do WICK_TRY_GOTO(next_row(&a, &x, &width, err)); /* the last row, which nothing follows, and the end */
    while (x);
    do WICK_TRY_GOTO(next_row(&b, &y, &width, err));
    while (y);
done:
    wick_request_free(a.q);
    wick_request_free(b.q);
    return st;
}

/* n tokens, drawn from the model's own distribution, a context at a time. */
static wick_status own_text(wick_engine *e, uint32_t n, uint32_t n_window, int32_t *ids, wick_err *err)
{
    const wick_model *m = wick_engine_model(e);
    for (uint32_t at = 0; at < n; at += n_window) {
        uint32_t len = n - at < n_window ? n - at : n_window;
        wick_request *q;
        wick_request_opts o;
        wick_request_opts_init(&o);
        ids[at] = m->bos >= 0 && (uint32_t)m->bos < m->plan.n_vocab ? m->bos : (int32_t)(at % m->plan.n_vocab);
        if (len == 1) break;
        o.prompt = &ids[at];
        o.n_prompt = 1;
        o.max_tokens = len - 1;
        o.ignore_eos = true;
        o.sampling = (wick_sampling){.temperature = 1, .top_p = 1, .typical_p = 1, .repetition_penalty = 1};
        o.sampling.has_seed = true;
        o.sampling.seed = 1 + at;
        WICK_TRY(wick_request_new(&q, e, &o, err));
        wick_status st = wick_request_submit(q, err);
        for (uint32_t k = 1; st == WICK_OK;) {
            const wick_event *ev = wick_request_next(q, 100);
            if (wick_interrupted()) wick_request_cancel(q);
            if (!ev) continue;
            if (ev->kind == WICK_EVENT_TOKEN && k < len) ids[at + k++] = ev->token;
            if (ev->kind != WICK_EVENT_DONE) continue;
            if (ev->finish == WICK_FINISH_CANCELLED) st = WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
            if (ev->finish == WICK_FINISH_ERROR) {
                if (err) *err = ev->error;
                st = ev->error.kind ? ev->error.kind : WICK_E_INTERNAL;
            }
            break;
        }
        wick_request_free(q);
        WICK_TRY(st);
    }
    return WICK_OK;
}

/* What the tokenizer puts before every text; -1: nothing. A model that was trained so is lost without it. */
static wick_status begin_token(wick_engine *e, int32_t *out, wick_err *err)
{
    int32_t *ids = NULL;
    size_t n = 0;
    *out = -1;
    WICK_TRY(wick_session_encode(e, "", 0, 0, &ids, &n, err));
    if (n > 0 && ids[0] == wick_tokenizer_bos(wick_engine_tokenizer(e))) *out = ids[0];
    wick_free(ids);
    return WICK_OK;
}

/* The first `most` tokens of a file, where each window of n_window begins with the token that begins texts. */
static wick_status file_text(wick_engine *e, const char *path, uint32_t most, uint32_t n_window, int32_t **ids,
                             uint32_t *n, wick_err *err)
{
    char *text = NULL;
    int32_t *plain = NULL, begin = -1;
    size_t n_text = 0, n_plain = 0, from = 0;
    wick_status st = WICK_OK;
    *n = 0;
    WICK_TRY(wick_file_read(path, MAX_FILE, &text, &n_text, err));
    WICK_TRY_GOTO(wick_session_encode(e, text, n_text, WICK_ENC_NO_SPECIAL, &plain, &n_plain, err));
    WICK_TRY_GOTO(begin_token(e, &begin, err));
    if (!(*ids = wick_alloc_zero(most, sizeof **ids))) {
        st = wick_err_oom(err, "bench", (uint64_t)most * sizeof **ids, 0);
        goto done;
    }
    while (*n < most && from < n_plain) {
        bool first = begin >= 0 && *n % n_window == 0;
        (*ids)[(*n)++] = first ? begin : plain[from++];
    }
    if (*n < 2) st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "file", "--file %s: fewer than two tokens", path);
done:
    wick_free(plain);
    wick_free(text);
    return st;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static wick_status report(const wick_args *a, const wick_engine *e, tally *t, wick_err *err)
{
    const char *name = wick_engine_model(e)->name, *precision = a->precision ? a->precision : "fast";
    const char *kv = a->kv_type ? a->kv_type : strcmp(precision, "exact") == 0 ? "f32" : "f16";
    double n = t->n, ppl_exact = exp(t->nll_exact / n), ppl = exp(t->nll / n);
    qsort(t->each, t->n, sizeof *t->each, by_size);
    double median = t->each[t->n / 2], p99 = t->each[(uint32_t)((t->n - 1) * 0.99)];
    if (a->json) {
        json_t *q = json_object(), *o = json_object();
        json_object_set_new(q, "model", wick_json_text(name, strlen(name)));
        json_object_set_new(q, "backend", json_string(wick_engine_backend_name(e)));
        json_object_set_new(q, "device", json_string(wick_engine_device_label(e)));
        json_object_set_new(q, "precision", json_string(precision));
        json_object_set_new(q, "kv_type", json_string(kv));
        json_object_set_new(q, "text",
                            wick_json_text(a->quality_file ? a->quality_file : "own",
                                           strlen(a->quality_file ? a->quality_file : "own")));
        json_object_set_new(q, "n_tokens", json_integer(t->n));
        json_object_set_new(q, "perplexity_exact", json_real(ppl_exact));
        json_object_set_new(q, "perplexity", json_real(ppl));
        json_object_set_new(q, "kl_mean", json_real(t->kl / n));
        json_object_set_new(q, "kl_median", json_real(median));
        json_object_set_new(q, "kl_p99", json_real(p99));
        json_object_set_new(q, "kl_max", json_real(t->kl_max));
        json_object_set_new(q, "logprob_rms", json_real(sqrt(t->squares / n)));
        json_object_set_new(q, "same_top", json_real(t->n_same / n));
        json_object_set_new(o, "quality", q);
        return wick_print_json(o, err);
    }
    char shown[256];
    wick_escape_line(shown, sizeof shown, name, strlen(name));
    printf("%s, %s KV, against exact: %u tokens of %s\n", shown, kv, t->n,
           a->quality_file ? "the file" : "its own text");
    printf("%-24s %s\n%-24s %.4f (exact %.4f, %+.3f %%)\n", "on", wick_engine_device_label(e), "perplexity", ppl,
           ppl_exact, (ppl / ppl_exact - 1) * 100);
    printf("%-24s mean %.3g, median %.3g, 99 %% %.3g, max %.3g\n", "KL divergence, nats", t->kl / n, median, p99,
           t->kl_max);
    printf("%-24s %.3g\n%-24s %.2f %%\n", "log probability, rms", sqrt(t->squares / n), "same best token",
           t->n_same * 100 / n);
    return WICK_OK;
}

wick_status wick_bench_quality(const wick_args *a, uint32_t n_tokens, wick_err *err)
{
    wick_engine *exact = NULL, *e = NULL;
    wick_args own = *a, plain;
    wick_status st = WICK_OK;
    int32_t *ids = NULL;
    tally t = {0};
    uint32_t n = n_tokens;
    own.no_prefix_cache = true;
    own.max_seqs = 1;
    if (!own.n_ctx) own.n_ctx = WINDOW;
    plain = own;
    plain.precision = "exact";
    plain.kv_type = NULL;
    WICK_TRY_GOTO(wick_session_open(&exact, &plain, !a->quality_file, err));
    WICK_TRY_GOTO(wick_session_open(&e, &own, true, err));
    const uint32_t n_window = wick_engine_ctx(e) < wick_engine_ctx(exact) ? wick_engine_ctx(e) : wick_engine_ctx(exact);
    if (a->quality_file) {
        WICK_TRY_GOTO(file_text(exact, a->quality_file, n, n_window, &ids, &n, err));
    } else {
        if (!(ids = wick_alloc_zero(n, sizeof *ids))) st = wick_err_oom(err, "bench", (uint64_t)n * sizeof *ids, 0);
        if (st == WICK_OK) st = own_text(exact, n, n_window, ids, err);
        if (st != WICK_OK) goto done;
    }
    if (!(t.each = wick_alloc_zero(n, sizeof *t.each))) {
        st = wick_err_oom(err, "bench", (uint64_t)n * sizeof *t.each, 0);
        goto done;
    }
    for (uint32_t at = 0; at + 1 < n; at += n_window)
        WICK_TRY_GOTO(window(&t, exact, e, ids + at, n - at < n_window ? n - at : n_window, err));
    st = t.n ? report(a, e, &t, err) : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "ctx", "--ctx: too short for --quality");
done:
    wick_engine_close(e);
    wick_engine_close(exact);
    wick_free(t.each);
    wick_free(ids);
    return st;
}
