/* cli/cmd_embed.c - `wick embed`: texts to vectors, or documents to scores for a query. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"
#include "engine/embed.h"

#define MAX_BYTES (256u << 20)
#define TOGETHER 32 /* texts that are computed together, where --max-seqs says nothing else */

typedef struct input {
    char *file; /* what the lines lie in, or NULL */
    wick_str *text;
    size_t n;
} input;

static void release(input *in)
{
    wick_free(in->text);
    wick_free(in->file);
}

/* A text for each line that holds one. */
static wick_status cut_lines(input *in, size_t n, wick_err *err)
{
    size_t lines = 1;
    for (size_t i = 0; i < n; i++) lines += in->file[i] == '\n';
    in->text = wick_alloc_zero(lines, sizeof *in->text);
    if (!in->text) return wick_err_oom(err, "the texts", lines * sizeof *in->text, 0);
    for (size_t i = 0; i < n;) {
        const char *end = memchr(in->file + i, '\n', n - i);
        size_t len = end ? (size_t)(end - in->file) - i : n - i, next = i + len + 1;
        if (len && in->file[i + len - 1] == '\r') len--;
        if (len) in->text[in->n++] = (wick_str){in->file + i, len};
        i = next;
    }
    return WICK_OK;
}

static wick_status read_input(const wick_args *a, input *in, wick_err *err)
{
    size_t n = 0;
    if (a->n_operands > 1 && !a->file) {
        in->n = a->n_operands - 1;
        in->text = wick_alloc_zero(in->n, sizeof *in->text);
        if (!in->text) return wick_err_oom(err, "the texts", in->n * sizeof *in->text, 0);
        for (size_t i = 0; i < in->n; i++) in->text[i] = wick_str_of(a->operand[i + 1]);
    } else {
        if (a->file && strcmp(a->file, "-") != 0)
            WICK_TRY(wick_file_read(a->file, MAX_BYTES, &in->file, &n, err));
        else
            WICK_TRY(wick_read_stdin(&in->file, &n, err));
        WICK_TRY(cut_lines(in, n, err));
    }
    for (size_t i = 0; i < in->n; i++)
        if (in->text[i].n == 0) in->n = 0;
    if (in->n) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "TEXT",
                     "a text is missing or empty: wick embed MODEL TEXT..., or one a "
                     "line on standard input");
}

static wick_status encode(const wick_args *a, const wick_engine *e, wick_str text, wick_embed_item *item, wick_err *err)
{
    const wick_embed_how how = {.name = a->prompt_name, .prompt = a->prompt_text, .truncate = a->truncate};
    if (!a->query) return wick_embed_encode(e, text, &how, &item->ids, &item->n_ids, err);
    return wick_rank_encode(e, wick_str_of(a->query), text, a->prompt_text, &item->ids, &item->n_ids, &item->second,
                            err);
}

static json_t *vector_json(const float *v, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) json_array_append_new(list, wick_json_float(v[i]));
    return list;
}

static wick_status print(const wick_args *a, const wick_engine *e, float *v, size_t n, uint32_t width, size_t n_tokens,
                         wick_err *err)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        float *x = v + i * width;
        json_t *one;
        if (a->query)
            one = json_real(wick_pooler_score(wick_engine_pooler(e), x, width));
        else
            one = vector_json(x, wick_embed_finish(x, width, a->dimensions, !a->not_normalized));
        if (a->json)
            json_array_append_new(all, one);
        else
            WICK_TRY(wick_print_json(one, err));
    }
    if (!a->json) {
        json_decref(all);
        return WICK_OK;
    }
    json_t *o = json_object();
    json_object_set_new(o, a->query ? "scores" : "embeddings", all);
    json_object_set_new(o, "prompt_tokens", json_integer((json_int_t)n_tokens));
    return wick_print_json(o, err);
}

static wick_status run_embed(const wick_args *given, wick_err *err)
{
    wick_args a = *given;
    wick_engine *e = NULL;
    input in = {0};
    wick_embed_item *item = NULL;
    float *v = NULL;
    size_t n_tokens = 0;
    wick_request_opts o;
    wick_status st = WICK_OK;
    wick_request_opts_init(&o);
    o.kind = a.query ? WICK_REQ_RANK : WICK_REQ_EMBED;
    if (a.pooling && !wick_pooling_find(a.pooling, &o.pooling))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "pooling",
                         "--pooling %s: mean, last, first (or cls), max, mean_sqrt_len, weightedmean or default",
                         a.pooling);
    if (!a.max_seqs) a.max_seqs = TOGETHER;
    WICK_TRY_GOTO(read_input(&a, &in, err));
    WICK_TRY_GOTO(wick_session_open(&e, &a, false, err));
    const uint32_t width = wick_embed_width(e, o.kind);
    item = wick_alloc_zero(in.n, sizeof *item);
    v = wick_realloc_array(NULL, in.n * (width ? width : 1), sizeof *v);
    if (!item || !v) {
        st = wick_err_oom(err, "the vectors", in.n * width * sizeof *v, 0);
        goto done;
    }
    for (size_t i = 0; i < in.n; i++) {
        WICK_TRY_GOTO(encode(&a, e, in.text[i], &item[i], err));
        n_tokens += item[i].n_ids;
    }
    WICK_TRY_GOTO(wick_embed_batch(e, &o, item, in.n, v, err));
    WICK_TRY_GOTO(print(&a, e, v, in.n, width, n_tokens, err));
done:
    for (size_t i = 0; item && i < in.n; i++) wick_free(item[i].ids);
    wick_free(item);
    wick_free(v);
    wick_engine_close(e);
    release(&in);
    return st;
}

static const wick_opt opts[] = {
    {"file", 'f', WICK_OPT_STR, "FILE", "a text for each line of a file (- or nothing: standard input)",
     offsetof(wick_args, file), 0, 0, NULL, NULL, 0},
    {"query", 0, WICK_OPT_STR, "TEXT", "score the texts as answers to this, with a reranker",
     offsetof(wick_args, query), 0, 0, NULL, NULL, 0},
    {"prompt-name", 0, WICK_OPT_STR, "NAME", "the model's own text that goes before: query, document, ...",
     offsetof(wick_args, prompt_name), 0, 0, NULL, NULL, 0},
    {"prompt-text", 0, WICK_OPT_STR, "TEXT", "a text that goes before each; with --query: what to look for",
     offsetof(wick_args, prompt_text), 0, 0, NULL, NULL, 0},
    {"pooling", 0, WICK_OPT_STR, "KIND", "mean, last, first, max, ... (default: as the model's files say)",
     offsetof(wick_args, pooling), 0, 0, NULL, NULL, 0},
    {"dimensions", 0, WICK_OPT_U32, "N", "so many values at the front of each vector", offsetof(wick_args, dimensions),
     0, 0, NULL, NULL, 0},
    {"no-normalize", 0, WICK_OPT_FLAG, NULL, "leave the vectors' length as it is", offsetof(wick_args, not_normalized),
     0, 0, NULL, NULL, 0},
    {"truncate", 0, WICK_OPT_FLAG, NULL, "cut texts that are too long", offsetof(wick_args, truncate), 0, 0, NULL, NULL,
     0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_embed = {
    .name = "embed",
    .operands = "MODEL [TEXT...]",
    .min_operands = 1,
    .max_operands = WICK_MAX_OPERANDS,
    .summary = "texts to vectors, or documents to scores",
    .about =
        "Prints a line for each text: a list of numbers, or with --query a score from 0 to 1. With --json prints\n"
        "{\"embeddings\": [[...], ...], \"prompt_tokens\": N} or {\"scores\": [...], ...}. Pooling, prompts and dense "
        "layers come\nfrom the model's own files (sentence-transformers' folders, GGUF's keys).",
    .examples = "wick embed all-MiniLM-L6-v2 \"a cat\" \"a dog\"\ttwo vectors\nwick embed bge-reranker-v2-m3 --query "
                "\"what is a panda?\" -f docs.txt\ta score for each line",
    .group = {&group, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_embed,
};
