/* cli/cmd_perplexity.c - `wick perplexity` and `wick compare`: how well a model tells a text, and how far another one
 * is from it. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "cli/commands.h"
#include "base/json.h"
#include "cli/scoring.h"
#include "cli/session.h"
#include "cli/term.h"

static wick_status open_one(wick_engine **e, const wick_args *a, const char *model, const char *isq, wick_err *err)
{
    wick_args own = *a;
    own.operand[0] = model;
    own.isq = isq;
    own.no_prefix_cache = true;
    own.max_seqs = 1;
    if (!own.n_ctx) own.n_ctx = WICK_SCORE_WINDOW;
    return wick_session_open(e, &own, false, err);
}

static uint32_t window_of(const wick_engine *a, const wick_engine *b)
{
    uint32_t n = wick_engine_ctx(a);
    return b && wick_engine_ctx(b) < n ? wick_engine_ctx(b) : n;
}

static wick_status too_short(const char *file, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, file, "%s: the text or --ctx is too short: two tokens at least", file);
}

static json_t *name_json(const wick_engine *e)
{
    const char *name = wick_engine_model(e)->name;
    return wick_json_text(name, strlen(name));
}

static wick_status run_perplexity(const wick_args *a, wick_err *err)
{
    wick_engine *e = NULL;
    wick_score t = {0};
    int32_t *ids = NULL;
    uint32_t n = 0;
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(open_one(&e, a, a->operand[0], a->isq, err));
    WICK_TRY_GOTO(wick_score_file(e, a->operand[1], a->max_tokens ? a->max_tokens : UINT32_MAX, window_of(e, NULL),
                                  &ids, &n, err));
    WICK_TRY_GOTO(wick_score_run(&t, e, NULL, ids, n, window_of(e, NULL), err));
    if (t.n == 0) {
        st = too_short(a->operand[1], err);
        goto done;
    }
    double nll = t.nll_a / t.n;
    if (a->json) {
        json_t *o = json_object();
        json_object_set_new(o, "model", name_json(e));
        json_object_set_new(o, "device", json_string(wick_engine_device_label(e)));
        json_object_set_new(o, "tokens", json_integer(t.n));
        json_object_set_new(o, "window", json_integer(window_of(e, NULL)));
        json_object_set_new(o, "nll", json_real(nll));
        json_object_set_new(o, "perplexity", json_real(exp(nll)));
        st = wick_print_json(o, err);
    } else {
        printf("perplexity %.4f over %u tokens in windows of %u\n", exp(nll), t.n, window_of(e, NULL));
    }
done:
    wick_engine_close(e);
    wick_score_release(&t);
    wick_free(ids);
    return st;
}

/* Ids mean the same in both only if both cut the text alike. */
static wick_status check_alike(wick_engine *a, wick_engine *b, const int32_t *ids, uint32_t n, const char *file,
                               wick_err *err)
{
    int32_t *other = NULL;
    uint32_t n_other = 0, va = wick_engine_model(a)->plan.n_vocab, vb = wick_engine_model(b)->plan.n_vocab;
    if (va != vb)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "compare",
                         "the models have vocabularies of %u and %u tokens: only "
                         "models of one family can be compared",
                         va, vb);
    WICK_TRY(wick_score_file(b, file, n, window_of(a, b), &other, &n_other, err));
    bool same = n == n_other && memcmp(ids, other, n * sizeof *ids) == 0;
    wick_free(other);
    if (same) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "compare",
                     "the models cut this text into different tokens: only models of one family can be compared");
}

static wick_status print_comparison(const wick_args *a, const wick_engine *first, const wick_engine *second,
                                    wick_score *t, wick_err *err)
{
    double n = t->n, pa = exp(t->nll_a / n), pb = exp(t->nll_b / n);
    if (a->json) {
        json_t *o = json_object();
        json_object_set_new(o, "a", name_json(first));
        json_object_set_new(o, "b", name_json(second));
        json_object_set_new(o, "tokens", json_integer(t->n));
        json_object_set_new(o, "perplexity_a", json_real(pa));
        json_object_set_new(o, "perplexity_b", json_real(pb));
        wick_score_distance_json(t, o);
        return wick_print_json(o, err);
    }
    printf("%-24s %u\n%-24s %.4f and %.4f, %+.3f %%\n", "tokens", t->n, "perplexity", pa, pb, (pb / pa - 1) * 100);
    wick_score_distance_print(t, "KL(A || B), nats");
    return WICK_OK;
}

static wick_status run_compare(const wick_args *a, wick_err *err)
{
    wick_engine *first = NULL, *second = NULL;
    wick_score t = {0};
    int32_t *ids = NULL;
    uint32_t n = 0, n_window;
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(open_one(&first, a, a->operand[0], NULL, err));
    WICK_TRY_GOTO(open_one(&second, a, a->operand[1], a->isq, err));
    n_window = window_of(first, second);
    WICK_TRY_GOTO(
        wick_score_file(first, a->operand[2], a->max_tokens ? a->max_tokens : UINT32_MAX, n_window, &ids, &n, err));
    WICK_TRY_GOTO(check_alike(first, second, ids, n, a->operand[2], err));
    WICK_TRY_GOTO(wick_score_run(&t, first, second, ids, n, n_window, err));
    st = t.n ? print_comparison(a, first, second, &t, err) : too_short(a->operand[2], err);
done:
    wick_engine_close(first);
    wick_engine_close(second);
    wick_score_release(&t);
    wick_free(ids);
    return st;
}

static const wick_opt opts[] = {
    {"max-tokens", 'n', WICK_OPT_U32, "N", "read the first N tokens only (default: the whole file)",
     offsetof(wick_args, max_tokens), 2, 1e9, NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_perplexity = {
    .name = "perplexity",
    .operands = "MODEL FILE",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "how well a model tells the next token of a text",
    .about =
        "e to the mean negative log probability of each token of FILE, in windows of --ctx tokens (default 512) that\n"
        "know nothing of each other. Lower is better; only figures of one tokenizer compare.",
    .examples = "wick perplexity MODEL notes.txt --precision exact\tthe model itself\n"
                "wick perplexity MODEL notes.txt --isq Q4K\twhat quantizing costs it",
    .group = {&group, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_perplexity,
};

const wick_command wick_cmd_compare = {
    .name = "compare",
    .operands = "A B FILE",
    .min_operands = 3,
    .max_operands = 3,
    .summary = "how far model B is from model A on a text",
    .about =
        "KL divergence of the distributions over the next token at every position of FILE, how often the likeliest\n"
        "token is the same, and both perplexities. --isq holds for B alone: A and B may be one model.",
    .examples = "wick compare model-bf16 model-4bit notes.txt\twhat quantizing cost\n"
                "wick compare MODEL MODEL notes.txt --isq AFQ4\twithout writing a file",
    .group = {&group, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_compare,
};
