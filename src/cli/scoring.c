/* cli/scoring.c - see scoring.h. */
#include "cli/scoring.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "cli/session.h"
#include "cli/term.h"

enum { MAX_FILE = 64 << 20 };

typedef struct rows { /* the logits of one request, row by row */
    wick_request *q;
    const wick_event *ev;
    uint32_t at;
} rows;

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

static void compare(wick_score *t, const float *first, const float *second, uint32_t width, int32_t next)
{
    uint32_t best_a, best_b;
    double a = log_sum(first, width, &best_a);
    t->nll_a -= first[next] - a;
    t->n++;
    if (!second) return;
    double b = log_sum(second, width, &best_b), kl = 0;
    for (uint32_t i = 0; i < width; i++) {
        double p = first[i] - a, q = second[i] - b;
        kl += exp(p) * (p - q);
    }
    double d = (second[next] - b) - (first[next] - a);
    t->nll_b -= second[next] - b;
    t->squares += d * d;
    t->kl += kl;
    if (kl > t->kl_max) t->kl_max = kl;
    t->n_same += best_a == best_b;
    t->each[t->n - 1] = kl;
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

/* The tokens of one window through both; b may be NULL. */
static wick_status window(wick_score *t, wick_engine *a, wick_engine *b, const int32_t *ids, uint32_t n, wick_err *err)
{
    rows r[2] = {{0}};
    wick_engine *const e[2] = {a, b};
    wick_status st = WICK_OK;
    const float *x[2] = {NULL, NULL};
    uint32_t width = 0;
    for (int k = 0; k < 2 && e[k]; k++) WICK_TRY_GOTO(submit(&r[k], e[k], ids, n, err));
    for (uint32_t i = 0; i + 1 < n; i++) {
        for (int k = 0; k < 2 && e[k]; k++) {
            WICK_TRY_GOTO(next_row(&r[k], &x[k], &width, err));
            if (x[k]) continue;
            st = WICK_FAIL(err, WICK_E_INTERNAL, NULL, "the backend gave fewer logits than tokens");
            goto done;
        }
        compare(t, x[0], x[1], width, ids[i + 1]);
    }
    for (int k = 0; k < 2 && e[k]; k++) /* the last row, which nothing follows, and the end */
        do WICK_TRY_GOTO(next_row(&r[k], &x[k], &width, err));
        while (x[k]);
done:
    wick_request_free(r[0].q);
    wick_request_free(r[1].q);
    return st;
}

wick_status wick_score_run(wick_score *t, wick_engine *a, wick_engine *b, const int32_t *ids, uint32_t n,
                           uint32_t n_window, wick_err *err)
{
    wick_progress bar = wick_term_progress();
    t->each = b ? wick_alloc_zero(n, sizeof *t->each) : NULL;
    if (b && !t->each) return wick_err_oom(err, "the comparison", (uint64_t)n * sizeof *t->each, 0);
    for (uint32_t at = 0; at + 1 < n; at += n_window) {
        WICK_TRY(window(t, a, b, ids + at, n - at < n_window ? n - at : n_window, err));
        if (bar.fn) bar.fn(bar.ctx, "reading", at + n_window < n ? at + n_window : n, n);
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

wick_status wick_score_file(wick_engine *e, const char *path, uint32_t most, uint32_t n_window, int32_t **ids,
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
    if (most > 2 * n_plain + 2) most = (uint32_t)(2 * n_plain + 2);
    if (!(*ids = wick_alloc_zero(most, sizeof **ids))) {
        st = wick_err_oom(err, "the text", (uint64_t)most * sizeof **ids, 0);
        goto done;
    }
    while (*n < most && from < n_plain) {
        bool first = begin >= 0 && *n % n_window == 0;
        (*ids)[(*n)++] = first ? begin : plain[from++];
    }
    if (*n < 2) st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "file", "%s: fewer than two tokens", path);
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

/* The KL that this share of positions (0 to 1) does not exceed. */
static double kl_at(wick_score *t, double share)
{
    if (!t->each || !t->n) return 0;
    qsort(t->each, t->n, sizeof *t->each, by_size);
    return t->each[(uint32_t)((t->n - 1) * share + 0.5)];
}

void wick_score_distance_json(wick_score *t, json_t *o)
{
    const double n = t->n;
    json_object_set_new(o, "kl_mean", json_real(t->kl / n));
    json_object_set_new(o, "kl_median", json_real(kl_at(t, 0.5)));
    json_object_set_new(o, "kl_p99", json_real(kl_at(t, 0.99)));
    json_object_set_new(o, "kl_max", json_real(t->kl_max));
    json_object_set_new(o, "logprob_rms", json_real(sqrt(t->squares / n)));
    json_object_set_new(o, "same_top", json_real(t->n_same / n));
}

void wick_score_distance_print(wick_score *t, const char *kl_name)
{
    const double n = t->n;
    printf("%-24s mean %.3g, median %.3g, 99 %% %.3g, max %.3g\n", kl_name, t->kl / n, kl_at(t, 0.5), kl_at(t, 0.99),
           t->kl_max);
    printf("%-24s %.3g\n%-24s %.2f %%\n", "log probability, rms", sqrt(t->squares / n), "same best token",
           t->n_same * 100 / n);
}

void wick_score_release(wick_score *t)
{
    wick_free(t->each);
    *t = (wick_score){0};
}
