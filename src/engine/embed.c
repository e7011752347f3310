/* engine/embed.c - see embed.h. */
#include "engine/embed.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buf.h"

/* The prompt of Qwen3-Reranker's model card. GGUF files bring theirs along. */
static const char judge_prompt[] =
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    "provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n"
    "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}<|im_end|>\n<|im_start|>assistant\n"
    "<think>\n\n</think>\n\n";
static const char usual_instruction[] = "Given a web search query, retrieve relevant passages that answer the query";

bool wick_engine_ranks(const wick_engine *e)
{
    const wick_pooler *p = wick_engine_pooler(e);
    return p && p->n_rank > 0;
}

static uint32_t longest(const wick_engine *e)
{
    const wick_pooler *p = wick_engine_pooler(e);
    uint32_t n = wick_engine_ctx(e);
    return p && p->max_tokens && p->max_tokens < n ? p->max_tokens : n;
}

static wick_status need_tokenizer(const wick_engine *e, wick_err *err)
{
    if (wick_engine_tokenizer(e)) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "this model has no tokenizer");
}

/* Names that others have for the two sides of a search. */
static const char *other_name(const char *name)
{
    static const char *const same[][2] = {{"query", "search_query"},       {"document", "search_document"},
                                          {"document", "passage"},         {"search_query", "query"},
                                          {"search_document", "document"}, {"passage", "document"}};
    static const size_t n = sizeof same / sizeof *same;
    for (size_t i = 0; i < n; i++)
        if (strcmp(same[i][0], name) == 0) return same[i][1];
    return NULL;
}

static wick_status find_prompt(const wick_pooler *p, const char *name, const char **out, wick_err *err)
{
    char known[200] = "none";
    size_t n = 0;
    const char *key;
    json_t *v, *list = p ? p->prompts : NULL;
    *out = json_string_value(json_object_get(list, name));
    if (!*out && other_name(name)) *out = json_string_value(json_object_get(list, other_name(name)));
    if (!*out && strcmp(name, "document") == 0 && list) *out = ""; /* models that ask for a prompt of queries only */
    if (*out) return WICK_OK;
    json_object_foreach(list, key, v)
    {
        int w = snprintf(known + n, sizeof known - n, "%s%.40s", n ? ", " : "", key);
        if (w < 0 || (size_t)w >= sizeof known - n) break;
        n += (size_t)w;
    }
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "prompt_name",
                     "prompt_name: the model has no prompt \"%.40s\"; it has: %s", name, known);
}

wick_status wick_embed_encode(const wick_engine *e, wick_str text, const wick_embed_how *how, int32_t **ids,
                              size_t *n_ids, wick_err *err)
{
    const wick_pooler *p = wick_engine_pooler(e);
    const char *prompt = how->prompt, *name = how->name ? how->name : p ? p->prompt : NULL;
    wick_buf all = WICK_BUF_INIT;
    size_t had = *n_ids;
    WICK_TRY(need_tokenizer(e, err));
    if (!prompt && name && *name) WICK_TRY(find_prompt(p, name, &prompt, err));
    if (prompt) {
        wick_buf_puts(&all, prompt);
        wick_buf_add(&all, text.p, text.n);
        if (all.failed) {
            wick_buf_release(&all);
            return wick_err_oom(err, "a text", text.n, 0);
        }
        text = (wick_str){all.data ? all.data : "", all.n};
    }
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    wick_status st = wick_tokenizer_encode(t, text.p, text.n, 0, ids, n_ids, err);
    uint32_t most = longest(e);
    size_t n = *n_ids - had;
    if (st == WICK_OK && how->truncate && n > most) { /* the token behind the text stays behind it */
        int32_t last = (*ids)[*n_ids - 1];
        *n_ids = had + most;
        if (wick_tokenizer_type(t, last) == WICK_TOKEN_CONTROL) (*ids)[*n_ids - 1] = last;
    }
    wick_buf_release(&all);
    return st;
}

/* Appends template[0..n) with its names replaced. */
static void fill(wick_buf *b, wick_str form, wick_str query, wick_str document, const char *instruction)
{
    const struct {
        const char *name;
        wick_str value;
    } known[] = {{"{query}", query}, {"{document}", document}, {"{instruction}", wick_str_of(instruction)}};
    for (size_t i = 0; i < form.n;) {
        size_t k = 0, n = sizeof known / sizeof *known;
        for (; k < n; k++) {
            size_t len = strlen(known[k].name);
            if (form.n - i < len || memcmp(form.p + i, known[k].name, len) != 0) continue;
            wick_buf_add(b, known[k].value.p, known[k].value.n);
            i += len;
            break;
        }
        if (k == n) wick_buf_putc(b, form.p[i++]);
    }
}

/* What is before the lines that hold the texts, those lines, and what is behind them. Control tokens count as such in
 * the first and the last only, so that a document cannot end the prompt. */
static wick_status encode_judge(const wick_engine *e, wick_str query, wick_str document, const char *instruction,
                                int32_t **ids, size_t *n_ids, wick_err *err)
{
    const wick_pooler *p = wick_engine_pooler(e);
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    const char *form = p->pair && strstr(p->pair, "{query}") && strstr(p->pair, "{document}") ? p->pair : judge_prompt;
    const char *from = strstr(form, "<Instruct>"), *end = strstr(form, "{document}") + strlen("{document}");
    const char *q = strstr(form, "{query}");
    if (!from || from > q) from = q;
    while (from > form && from[-1] != '\n') from--;
    if (end < q + strlen("{query}")) end = q + strlen("{query}"); /* the document first */
    wick_buf body = WICK_BUF_INIT;
    int32_t *tail = NULL;
    size_t n_tail = 0, head, most = longest(e);
    fill(&body, (wick_str){from, (size_t)(end - from)}, query, document, instruction ? instruction : usual_instruction);
    wick_status st = body.failed ? wick_err_oom(err, "a text", document.n, 0) : WICK_OK;
    if (st == WICK_OK) st = wick_tokenizer_encode(t, form, (size_t)(from - form), WICK_ENC_NO_SPECIAL, ids, n_ids, err);
    head = *n_ids;
    if (st == WICK_OK) st = wick_tokenizer_encode(t, end, strlen(end), WICK_ENC_NO_SPECIAL, &tail, &n_tail, err);
    if (st == WICK_OK)
        st = wick_tokenizer_encode(t, body.data, body.n, WICK_ENC_NO_SPECIAL | WICK_ENC_PLAIN_TEXT, ids, n_ids, err);
    if (st == WICK_OK && head + n_tail + 1 > most)
        st = WICK_FAIL(err, WICK_E_LIMIT, "query", "the prompt of a pair leaves no room in a context of %zu", most);
    if (st == WICK_OK) {
        if (*n_ids + n_tail > most) *n_ids = most - n_tail;
        int32_t *grown = wick_realloc_array(*ids, *n_ids + n_tail, sizeof *grown);
        if (grown) {
            *ids = grown;
            if (n_tail) memcpy(grown + *n_ids, tail, n_tail * sizeof *tail);
            *n_ids += n_tail;
        } else {
            st = wick_err_oom(err, "a text", n_tail * sizeof *tail, 0);
        }
    }
    wick_free(tail);
    wick_buf_release(&body);
    return st;
}

wick_status wick_rank_encode(const wick_engine *e, wick_str query, wick_str document, const char *instruction,
                             int32_t **ids, size_t *n_ids, uint32_t *second, wick_err *err)
{
    const wick_pooler *p = wick_engine_pooler(e);
    *second = 0;
    WICK_TRY(need_tokenizer(e, err));
    if (!wick_engine_ranks(e))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "this model has no head for scores: it is no reranker");
    if (p->judge || p->pair) return encode_judge(e, query, document, instruction, ids, n_ids, err);
    return wick_tokenizer_encode_pair(wick_engine_tokenizer(e), query, document, longest(e), ids, n_ids, second, err);
}

uint32_t wick_embed_finish(float *v, uint32_t n, uint32_t dims, bool normalize)
{
    double sum = 0;
    if (dims && dims < n) n = dims;
    for (uint32_t i = 0; i < n; i++) sum += (double)v[i] * (double)v[i];
    double scale = normalize && sum > 0 ? 1 / sqrt(sum) : 1;
    for (uint32_t i = 0; i < n; i++) v[i] = (float)((double)v[i] * scale);
    return n;
}

uint32_t wick_embed_width(const wick_engine *e, wick_request_kind kind)
{
    const wick_pooler *p = wick_engine_pooler(e);
    if (kind == WICK_REQ_RANK) return p && p->n_rank ? p->rank[p->n_rank - 1].w->n_out : 0;
    return p ? p->n_dims : wick_engine_model(e)->plan.n_embd;
}

/* Takes the vector of a request that was submitted. */
static wick_status collect(wick_request *r, float *out, uint32_t width, wick_err *err)
{
    bool had = false;
    for (;;) {
        const wick_event *ev = wick_request_next(r, -1);
        if (!ev) return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "a request ended without an answer");
        if (ev->kind == WICK_EVENT_LOGITS && ev->width == width) {
            memcpy(out, ev->data, width * sizeof *out);
            had = true;
        }
        if (ev->kind != WICK_EVENT_DONE) continue;
        if (ev->finish == WICK_FINISH_ERROR && err) *err = ev->error;
        if (ev->finish == WICK_FINISH_ERROR) return ev->error.kind ? ev->error.kind : WICK_E_INTERNAL;
        return had ? WICK_OK : WICK_FAIL(err, WICK_E_CANCELLED, NULL, "cancelled");
    }
}

wick_status wick_embed_batch(wick_engine *e, const wick_request_opts *o, const wick_embed_item *item, size_t n,
                             float *out, wick_err *err)
{
    enum { WINDOW = 64 }; /* requests under way: more than a step takes, less than the queue */
    wick_request *open[WINDOW] = {NULL};
    uint32_t width = wick_embed_width(e, o->kind);
    wick_status st = WICK_OK;
    size_t sent = 0, taken = 0;
    while (st == WICK_OK && taken < n) {
        wick_request_opts q = *o;
        if (sent < n && sent - taken < WINDOW) {
            q.prompt = item[sent].ids;
            q.n_prompt = item[sent].n_ids < UINT32_MAX ? (uint32_t)item[sent].n_ids : UINT32_MAX;
            q.second = item[sent].second;
            st = wick_request_new(&open[sent % WINDOW], e, &q, err);
            if (st == WICK_OK) st = wick_request_submit(open[sent % WINDOW], err);
            if (st == WICK_OK) sent++;
            if (st != WICK_E_LIMIT || sent == taken) continue;
            wick_request_free(open[sent % WINDOW]); /* others fill the queue: after one of these has ended */
            open[sent % WINDOW] = NULL;
        }
        st = collect(open[taken % WINDOW], out + taken * width, width, err);
        wick_request_free(open[taken % WINDOW]);
        open[taken++ % WINDOW] = NULL;
    }
    for (size_t i = 0; i < WINDOW; i++) wick_request_free(open[i]);
    return st;
}
