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
#include "base/json.h"
#include "cli/scoring.h"
#include "cli/session.h"
#include "cli/term.h"

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

static wick_status report(const wick_args *a, const wick_engine *e, wick_score *t, wick_err *err)
{
    const char *name = wick_engine_model(e)->name, *precision = a->precision ? a->precision : "fast";
    const char *kv = a->kv_type ? a->kv_type : strcmp(precision, "exact") == 0 ? "f32" : "f16";
    double n = t->n, ppl_exact = exp(t->nll_a / n), ppl = exp(t->nll_b / n);
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
        wick_score_distance_json(t, q);
        json_object_set_new(o, "quality", q);
        return wick_print_json(o, err);
    }
    char shown[256];
    wick_escape_line(shown, sizeof shown, name, strlen(name));
    printf("%s, %s KV, against exact: %u tokens of %s\n", shown, kv, t->n,
           a->quality_file ? "the file" : "its own text");
    printf("%-24s %s\n%-24s %.4f (exact %.4f, %+.3f %%)\n", "on", wick_engine_device_label(e), "perplexity", ppl,
           ppl_exact, (ppl / ppl_exact - 1) * 100);
    wick_score_distance_print(t, "KL divergence, nats");
    return WICK_OK;
}

wick_status wick_bench_quality(const wick_args *a, uint32_t n_tokens, wick_err *err)
{
    wick_engine *exact = NULL, *e = NULL;
    wick_args own = *a, plain;
    wick_status st = WICK_OK;
    int32_t *ids = NULL;
    wick_score t = {0};
    uint32_t n = n_tokens;
    own.no_prefix_cache = true;
    own.max_seqs = 1;
    if (!own.n_ctx) own.n_ctx = WICK_SCORE_WINDOW;
    plain = own;
    plain.precision = "exact";
    plain.kv_type = NULL;
    plain.isq = NULL;
    WICK_TRY_GOTO(wick_session_open(&exact, &plain, !a->quality_file, err));
    WICK_TRY_GOTO(wick_session_open(&e, &own, true, err));
    const uint32_t n_window = wick_engine_ctx(e) < wick_engine_ctx(exact) ? wick_engine_ctx(e) : wick_engine_ctx(exact);
    if (a->quality_file) {
        WICK_TRY_GOTO(wick_score_file(exact, a->quality_file, n, n_window, &ids, &n, err));
    } else {
        if (!(ids = wick_alloc_zero(n, sizeof *ids))) st = wick_err_oom(err, "bench", (uint64_t)n * sizeof *ids, 0);
        if (st == WICK_OK) st = own_text(exact, n, n_window, ids, err);
        if (st != WICK_OK) goto done;
    }
    WICK_TRY_GOTO(wick_score_run(&t, exact, e, ids, n, n_window, err));
    st = t.n ? report(a, e, &t, err) : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "ctx", "--ctx: too short for --quality");
done:
    wick_engine_close(e);
    wick_engine_close(exact);
    wick_score_release(&t);
    wick_free(ids);
    return st;
}
