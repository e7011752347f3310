/* server/dialect/llamacpp_text.c - llama.cpp's own completion (/completion) and /infill: raw text in, one object a
 * prompt out.
 *
 * A prompt is a string, a list of ids, both mixed, or an object with its text; an array of those is several prompts,
 * and the
 * answer is then an array. A stream has an object for each token, and for each prompt a last one that has all but the
 * text. */
#include <math.h>
#include <string.h>
#include "base/json.h"
#include "server/dialect/llamacpp.h"
#include "server/prompt.h"

#define BAD(name, ...) WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, __VA_ARGS__)

/* --- prompts ------------------------------------------------------------------------------------------------------ */
static bool is_list_of_prompts(const json_t *v)
{
    const json_t *first = json_array_get(v, 0);
    if (!json_is_array(v)) return false;
    if (json_is_integer(first)) return false;
    for (size_t i = 0; i < json_array_size(v); i++) /* ["a", 5]: one prompt that begins with a text */
        if (json_is_integer(json_array_get(v, i))) return false;
    return true;
}

wick_status wick_llama_prompt_count(const json_t *v, const char *name, uint64_t limit, uint32_t *n, wick_err *err)
{
    if (!v || json_is_null(v)) return BAD(name, "%s: is missing", name);
    if (!json_is_string(v) && !json_is_array(v) && !json_is_object(v))
        return BAD(name, "%s: must be a string, an array or an object, not %s", name, wick_json_type_name(v));
    if (json_is_array(v) && json_array_size(v) == 0) return BAD(name, "%s: is empty", name);
    const size_t size = is_list_of_prompts(v) ? json_array_size(v) : 1;
    if (size > limit) return BAD(name, "%s: %zu of them, at most %llu", name, size, (unsigned long long)limit);
    *n = (uint32_t)size;
    return WICK_OK;
}

const json_t *wick_llama_prompt_at(const json_t *v, uint32_t i)
{
    return is_list_of_prompts(v) ? json_array_get(v, i) : v;
}

/* {"prompt_string": ...}, or {"content": [{"type": "text", "text": ...}]} */
static wick_status text_of_object(const json_t *o, const char *name, wick_buf *out, wick_err *err)
{
    const json_t *s = json_object_get(o, "prompt_string"), *content = json_object_get(o, "content");
    const json_t *media = json_object_get(o, "multimodal_data");
    if (media && !json_is_null(media) && !(json_is_array(media) && json_array_size(media) == 0))
        return BAD(name, "%s: this model takes no images or sounds", name);
    if (json_is_string(s)) {
        wick_buf_add(out, json_string_value(s), json_string_length(s));
        return WICK_OK;
    }
    if (!json_is_array(content)) return BAD(name, "%s: an object must have prompt_string, or content as a list", name);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i), *type = json_object_get(part, "type");
        const json_t *text = json_object_get(part, "text");
        if (!json_is_string(type) || strcmp(json_string_value(type), "text") != 0 || !json_is_string(text))
            return BAD(name, "%s: content[%zu]: only parts of type text are supported by this model", name, i);
        wick_buf_add(out, json_string_value(text), json_string_length(text));
    }
    return WICK_OK;
}

static wick_status add_ids(wick_buf *all, const int32_t *ids, size_t n, wick_err *err)
{
    wick_buf_add(all, ids, n * sizeof *ids);
    return all->failed ? wick_err_oom(err, "the prompt", 0, 0) : WICK_OK;
}

/* One text of a prompt; only the first of a mixed list gets the begin token. */
static wick_status add_text(const wick_engine *e, const char *text, size_t n, unsigned flags, const char *name,
                            wick_buf *all, wick_err *err)
{
    int32_t *ids = NULL;
    size_t n_ids = 0;
    wick_status st =
        wick_prompt_encode(e, text, n, flags | (all->n > 0 ? WICK_ENC_NO_SPECIAL : 0), name, &ids, &n_ids, err);
    if (st == WICK_OK) st = add_ids(all, ids, n_ids, err);
    wick_free(ids);
    return st;
}

static wick_status add_element(const wick_engine *e, const json_t *v, size_t i, unsigned flags, const char *name,
                               wick_buf *all, wick_err *err)
{
    if (json_is_string(v)) return add_text(e, json_string_value(v), json_string_length(v), flags, name, all, err);
    if (json_is_integer(v)) {
        const json_int_t id = json_integer_value(v);
        const uint32_t n_vocab = wick_engine_model(e)->plan.n_vocab;
        const int32_t one = (int32_t)id;
        if (id < 0 || id >= (json_int_t)n_vocab)
            return BAD(name, "%s[%zu]: %lld is not in the vocabulary of %u", name, i, (long long)id, n_vocab);
        return add_ids(all, &one, 1, err);
    }
    return BAD(name, "%s[%zu]: must be a string or a token id, not %s", name, i, wick_json_type_name(v));
}

wick_status wick_llama_prompt_item(const wick_engine *e, const json_t *v, const char *name, unsigned flags,
                                   int32_t **ids, size_t *n_ids, wick_err *err)
{
    wick_buf all = WICK_BUF_INIT, text = WICK_BUF_INIT;
    wick_status st = WICK_OK;
    if (json_is_object(v)) {
        st = text_of_object(v, name, &text, err);
        if (st == WICK_OK) st = add_text(e, wick_buf_str(&text), text.n, flags, name, &all, err);
    } else if (json_is_array(v)) {
        for (size_t i = 0; st == WICK_OK && i < json_array_size(v); i++)
            st = add_element(e, json_array_get(v, i), i, flags, name, &all, err);
    } else {
        st = add_element(e, v, 0, flags, name, &all, err);
    }
    if (st == WICK_OK && (text.failed || all.failed)) st = wick_err_oom(err, "the prompt", 0, 0);
    wick_buf_release(&text);
    if (st == WICK_OK && all.n == 0) st = BAD(name, "%s: is empty (no tokens)", name);
    if (st != WICK_OK) {
        wick_buf_release(&all);
        return st;
    }
    size_t bytes;
    *ids = (int32_t *)(void *)wick_buf_take(&all, &bytes);
    *n_ids = bytes / sizeof **ids;
    return WICK_OK;
}

/* --- log probabilities -------------------------------------------------------------------------------------------- */
static void write_prob(const wick_gen *g, int32_t id, double logprob, wick_buf *b)
{
    wick_buf text = WICK_BUF_INIT;
    wick_gen_token_text(g, id, &text);
    wick_buf_printf(b, "{\"id\":%d,\"token\":", (int)id);
    wick_json_write_str(b, wick_buf_str(&text), text.n);
    wick_buf_puts(b, ",\"bytes\":[");
    for (size_t i = 0; i < text.n; i++) wick_buf_printf(b, "%s%u", i ? "," : "", (unsigned char)text.data[i]);
    wick_buf_puts(b, "],\"logprob\":");
    wick_json_write_float(b, logprob < -9999 ? -9999 : logprob);
    if (text.failed) b->failed = true;
    wick_buf_release(&text);
}

static void write_probs(const wick_gen *g, const wick_event *ev, wick_buf *b)
{
    write_prob(g, ev->token, (double)ev->logprob, b);
    wick_buf_puts(b, ",\"top_logprobs\":[");
    for (uint32_t i = 0; i < ev->n_top; i++) {
        if (i) wick_buf_putc(b, ',');
        write_prob(g, ev->top[i].id, (double)ev->top[i].logprob, b);
        wick_buf_putc(b, '}');
    }
    wick_buf_puts(b, "]}");
}

/* --- the object --------------------------------------------------------------------------------------------------- */
static void write_settings(const wick_gen *g, wick_buf *b)
{
    const wick_sampling *s = &g->base.sampling;
    const wick_params *p = &g->p;
    const long long n_predict = p->unbounded ? -1 : (long long)p->max_tokens;
    wick_buf_printf(b,
                    "{\"seed\":%llu,\"temperature\":%g,\"dynatemp_range\":0,\"dynatemp_exponent\":1,\"top_k\":%u,"
                    "\"top_p\":%g,\"min_p\":%g,\"top_n_sigma\":-1,\"xtc_probability\":%g,\"xtc_threshold\":%g,"
                    "\"typical_p\":%g,",
                    s->has_seed ? (unsigned long long)s->seed : 4294967295ull, (double)s->temperature, s->top_k,
                    (double)s->top_p, (double)s->min_p, (double)s->xtc_probability, (double)s->xtc_threshold,
                    (double)s->typical_p);
    wick_buf_printf(
        b,
        "\"repeat_last_n\":%lld,\"repeat_penalty\":%g,\"presence_penalty\":%g,\"frequency_penalty\":%g,"
        "\"dry_multiplier\":%g,\"dry_base\":%g,\"dry_allowed_length\":%u,\"dry_penalty_last_n\":%lld,"
        "\"mirostat\":%d,\"mirostat_tau\":%g,\"mirostat_eta\":%g,\"adaptive_target\":-1,\"adaptive_decay\":0,",
        s->penalty_range == UINT32_MAX ? -1ll : (long long)s->penalty_range, (double)s->repetition_penalty,
        (double)s->presence_penalty, (double)s->frequency_penalty, (double)s->dry_multiplier, (double)s->dry_base,
        s->dry_allowed_length, s->dry_range == 0 ? -1ll : (long long)s->dry_range, s->mirostat_tau > 0 ? 2 : 0,
        (double)s->mirostat_tau, (double)s->mirostat_eta);
    wick_buf_printf(
        b,
        "\"n_predict\":%lld,\"max_tokens\":%lld,\"n_keep\":0,\"n_discard\":0,\"min_keep\":%u,\"ignore_eos\":%s,"
        "\"stream\":%s,\"n_probs\":%u,\"post_sampling_probs\":false,\"timings_per_token\":%s,\"stop\":[",
        n_predict, n_predict, s->min_keep, p->ignore_eos ? "true" : "false", p->stream ? "true" : "false",
        p->top_logprobs, p->timings_per_token ? "true" : "false");
    for (uint32_t i = 0; i < p->n_stop; i++) {
        if (i) wick_buf_putc(b, ',');
        wick_json_write_str(b, p->stop[i], strlen(p->stop[i]));
    }
    wick_buf_puts(b, "],\"logit_bias\":[");
    const char *sep = "";
    for (uint32_t i = 0; i < s->n_bias; i++, sep = ",")
        wick_buf_printf(b, s->bias[i].bias <= -100 ? "%s{\"token\":%d,\"bias\":null}" : "%s{\"token\":%d,\"bias\":%g}",
                        sep, (int)s->bias[i].id, (double)s->bias[i].bias);
    const wick_model *m = wick_engine_model(g->model->engine);
    for (uint32_t i = 0; p->ignore_eos && i < m->n_eos; i++, sep = ",")
        wick_buf_printf(b, "%s{\"token\":%d,\"bias\":null}", sep, (int)m->eos[i]);
    wick_buf_puts(b, "],\"lora\":[]}");
}

static const char *stop_type(const wick_choice *c)
{
    switch (c->finish) {
    case WICK_FINISH_EOS: return "eos";
    case WICK_FINISH_STOP: return "word";
    default: return "limit";
    }
}

static void write_prompt(const wick_choice *c, wick_buf *b)
{
    const wick_gen_prompt *q = &c->g->prompt[c->prompt];
    const wick_tokenizer *t = wick_engine_tokenizer(c->g->model->engine);
    wick_buf text = WICK_BUF_INIT;
    if (t && wick_tokenizer_decode(t, q->ids, q->n, false, &text, NULL) != WICK_OK) b->failed = true;
    wick_json_write_str(b, wick_buf_str(&text), text.n);
    if (text.failed) b->failed = true;
    wick_buf_release(&text);
}

/* Everything of an ended choice; its text and its tokens only where it is no stream. */
static void write_whole(const wick_choice *c, wick_buf *b)
{
    const wick_gen *g = c->g;
    const bool text = !g->p.stream;
    wick_buf_printf(b, "{\"index\":%u,\"content\":", c->prompt);
    wick_json_write_str(b, text && c->text.data ? c->text.data : "", text ? c->text.n : 0);
    wick_buf_puts(b, ",\"tokens\":[");
    if (text && g->p.return_tokens) wick_buf_add(b, c->lp_values.data ? c->lp_values.data : "", c->lp_values.n);
    wick_buf_puts(b, "],\"id_slot\":-1,\"stop\":true,\"model\":");
    wick_json_write_str(b, g->model->c.id, strlen(g->model->c.id));
    wick_buf_printf(b, ",\"tokens_predicted\":%u,\"tokens_evaluated\":%u,\"generation_settings\":", c->usage.n_gen,
                    c->usage.n_prompt);
    write_settings(g, b);
    wick_buf_puts(b, ",\"prompt\":");
    write_prompt(c, b);
    wick_buf_printf(b, ",\"has_new_line\":%s,\"truncated\":false,\"stop_type\":\"%s\",\"stopping_word\":",
                    c->block_kind ? "true" : "false", stop_type(c));
    wick_json_write_str(b, c->stop_string ? c->stop_string : "", c->stop_string ? strlen(c->stop_string) : 0);
    wick_buf_printf(b, ",\"tokens_cached\":%u", c->usage.n_prompt + (c->usage.n_gen > 0 ? c->usage.n_gen - 1 : 0));
    wick_llama_timings(c, b);
    if (text && g->p.logprobs) {
        wick_buf_puts(b, ",\"completion_probabilities\":[");
        wick_buf_add(b, c->lp_tokens.data ? c->lp_tokens.data : "", c->lp_tokens.n);
        wick_buf_puts(b, "]");
    }
    wick_buf_puts(b, "}");
}

/* Only the fields that are wanted, where response_fields names some: "a/b" is the field b of a. */
static void write_wanted(const wick_choice *c, wick_buf *b)
{
    const json_t *want = c->g->p.response_fields;
    wick_buf all = WICK_BUF_INIT;
    if (json_array_size(want) == 0) {
        write_whole(c, b);
        return;
    }
    write_whole(c, &all);
    json_t *o = all.failed ? NULL : json_loadb(all.data, all.n, JSON_ALLOW_NUL, NULL), *out = json_object();
    bool ok = o && out;
    for (size_t i = 0; ok && i < json_array_size(want); i++) {
        const char *path = json_string_value(json_array_get(want, i)), *at = path;
        json_t *v = o;
        while (at && v) {
            const char *slash = strchr(at, '/');
            v = slash ? json_object_getn(v, at, (size_t)(slash - at)) : json_object_get(v, at);
            at = slash ? slash + 1 : NULL;
        }
        if (path && v) ok = json_object_set(out, path, v) == 0;
    }
    if (!ok || !wick_json_write(b, out)) b->failed = true;
    json_decref(o);
    json_decref(out);
    wick_buf_release(&all);
}

/* --- events ------------------------------------------------------------------------------------------------------- */
static void stream_token(wick_choice *c, const wick_event *ev)
{
    const wick_gen *g = c->g;
    wick_buf *b = &g->x->out;
    wick_sse_begin(b);
    wick_buf_printf(b, "{\"index\":%u,\"content\":", c->prompt);
    wick_json_write_str(b, ev->text ? ev->text : "", ev->n_text);
    wick_buf_printf(b,
                    ",\"tokens\":[%d],\"stop\":false,\"id_slot\":-1,\"tokens_predicted\":%u,\"tokens_evaluated\":%zu",
                    (int)ev->token, c->n_logprob, g->prompt[c->prompt].n);
    if (g->p.logprobs) {
        wick_buf_puts(b, ",\"completion_probabilities\":[");
        write_probs(g, ev, b);
        wick_buf_putc(b, ']');
    }
    if (g->p.timings_per_token) wick_llama_timings(c, b);
    wick_buf_putc(b, '}');
    wick_sse_end(b);
}

static void note_lines(wick_choice *c, const wick_event *ev)
{
    if (ev->n_text > 0 && memchr(ev->text, '\n', ev->n_text)) c->block_kind = 1; /* has_new_line */
}

static void text_token(wick_choice *c, const wick_event *ev)
{
    const wick_gen *g = c->g;
    note_lines(c, ev);
    if (g->p.stream) {
        stream_token(c, ev);
        return;
    }
    wick_buf_add(&c->text, ev->text, ev->n_text);
    if (g->p.return_tokens) wick_buf_printf(&c->lp_values, "%s%d", c->lp_values.n ? "," : "", (int)ev->token);
    if (!g->p.logprobs) return;
    if (c->lp_tokens.n) wick_buf_putc(&c->lp_tokens, ',');
    write_probs(g, ev, &c->lp_tokens);
}

static void text_end(wick_choice *c, const wick_event *ev)
{
    const wick_gen *g = c->g;
    wick_buf *b = &g->x->out;
    note_lines(c, ev);
    if (!g->p.stream) {
        wick_buf_add(&c->text, ev->text, ev->n_text);
        return;
    }
    if (ev->n_text > 0) { /* what was held back: it came with no token of its own */
        wick_sse_begin(b);
        wick_buf_printf(b, "{\"index\":%u,\"content\":", c->prompt);
        wick_json_write_str(b, ev->text, ev->n_text);
        wick_buf_puts(b, ",\"tokens\":[],\"stop\":false,\"id_slot\":-1}");
        wick_sse_end(b);
    }
    wick_sse_begin(b);
    write_wanted(c, b);
    wick_sse_end(b);
}

static void text_progress(wick_choice *c, const wick_event *ev)
{
    wick_buf *b = &c->g->x->out;
    if (!c->g->p.return_progress) return;
    wick_sse_begin(b);
    wick_buf_printf(b,
                    "{\"index\":%u,\"content\":\"\",\"tokens\":[],\"stop\":false,\"id_slot\":-1,\"tokens_predicted\":0,"
                    "\"tokens_evaluated\":%u",
                    c->prompt, ev->n_done);
    wick_llama_progress(c, ev, b);
    wick_buf_putc(b, '}');
    wick_sse_end(b);
}

static void text_answer(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    const bool list = is_list_of_prompts(g->p.prompt);
    if (list) wick_buf_putc(b, '[');
    for (uint32_t i = 0; i < g->n; i++) {
        if (i) wick_buf_putc(b, ',');
        write_wanted(&g->choice[i], b);
    }
    if (list) wick_buf_putc(b, ']');
    wick_buf_putc(b, '\n');
}

static wick_status text_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    return wick_llama_prompt_count(p->prompt, "prompt", l->prompts, n, err);
}

static wick_status own_base(wick_gen *g, wick_err *err)
{
    if (!g->p.samplers) g->p.sampling.order = WICK_ORDER_LLAMA;
    WICK_TRY(wick_gen_base(g, err));
    g->base.prompt_only = g->p.max_tokens == 0 && !g->p.unbounded;
    return WICK_OK;
}

static wick_status text_prepare(wick_gen *g, wick_err *err)
{
    for (uint32_t i = 0; i < g->n_prompt; i++) {
        wick_gen_prompt *q = &g->prompt[i];
        WICK_TRY(wick_llama_prompt_item(g->model->engine, wick_llama_prompt_at(g->p.prompt, i), "prompt", 0, &q->ids,
                                        &q->n, err));
    }
    return own_base(g, err);
}

static const wick_gen_format text_format = {.params = WICK_P_LLAMA_TEXT,
                                            .count = text_count,
                                            .prepare = text_prepare,
                                            .progress = text_progress,
                                            .token = text_token,
                                            .end = text_end,
                                            .answer = text_answer};

bool wick_route_llama_text(wick_exchange *x)
{
    return wick_gen_route(x, &text_format);
}

/* --- infill ------------------------------------------------------------------------------------------------------- */
typedef struct fim_tokens {
    int32_t prefix, suffix, middle, file;
} fim_tokens;

static int32_t first_of(const wick_tokenizer *t, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        const int32_t id = wick_tokenizer_find(t, names[i], strlen(names[i]));
        if (id >= 0) return id;
    }
    return -1;
}

/* The tokens between which a model was taught to fill a gap, by the names that the families give them. */
static bool find_fim(const wick_tokenizer *t, fim_tokens *f)
{
    static const char *const prefix[] = {
        "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<|fim▁begin|>",   "<｜fim▁begin｜>",
        "<PRE>",          "▁<PRE>",       "[PREFIX]",     "<|code_prefix|>", NULL};
    static const char *const suffix[] = {
        "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<|fim▁hole|>",    "<｜fim▁hole｜>",
        "<SUF>",          "▁<SUF>",       "[SUFFIX]",     "<|code_suffix|>", NULL};
    static const char *const middle[] = {
        "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<|fim▁end|>",     "<｜fim▁end｜>",
        "<MID>",          "▁<MID>",       "[MIDDLE]",     "<|code_middle|>", NULL};
    static const char *const file[] = {"<|file_sep|>", "<file_sep>", "<|file_separator|>", NULL};
    f->prefix = first_of(t, prefix);
    f->suffix = first_of(t, suffix);
    f->middle = first_of(t, middle);
    f->file = first_of(t, file);
    return f->prefix >= 0 && f->suffix >= 0 && f->middle >= 0;
}

static wick_status add_field(const wick_gen *g, const json_t *v, const char *name, wick_buf *all, wick_err *err)
{
    if (!v || json_is_null(v)) return WICK_OK;
    if (!json_is_string(v)) return BAD(name, "%s: must be a string, not %s", name, wick_json_type_name(v));
    if (json_string_length(v) == 0) return WICK_OK;
    return add_text(g->model->engine, json_string_value(v), json_string_length(v), WICK_ENC_NO_SPECIAL, name, all, err);
}

static wick_status add_extra(const wick_gen *g, const fim_tokens *f, wick_buf *all, wick_err *err)
{
    for (size_t i = 0; i < json_array_size(g->p.input_extra); i++) {
        const json_t *o = json_array_get(g->p.input_extra, i);
        if (!json_is_string(json_object_get(o, "text")))
            return BAD("input_extra", "input_extra[%zu].text: must be a string", i);
        if (f->file >= 0) WICK_TRY(add_ids(all, &f->file, 1, err));
        WICK_TRY(add_field(g, json_object_get(o, "filename"), "input_extra", all, err));
        WICK_TRY(add_text(g->model->engine, "\n", 1, WICK_ENC_NO_SPECIAL, "input_extra", all, err));
        WICK_TRY(add_field(g, json_object_get(o, "text"), "input_extra", all, err));
    }
    return WICK_OK;
}

static wick_status infill_prompt(wick_gen *g, const fim_tokens *f, wick_buf *all, wick_err *err)
{
    WICK_TRY(add_extra(g, f, all, err));
    WICK_TRY(add_ids(all, &f->prefix, 1, err));
    WICK_TRY(add_field(g, g->p.input_prefix, "input_prefix", all, err));
    WICK_TRY(add_field(g, g->p.prompt, "prompt", all, err));
    WICK_TRY(add_ids(all, &f->suffix, 1, err));
    WICK_TRY(add_field(g, g->p.input_suffix, "input_suffix", all, err));
    return add_ids(all, &f->middle, 1, err);
}

static wick_status infill_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    (void)l;
    (void)n;
    if (!p->input_prefix) return BAD("input_prefix", "input_prefix: is missing");
    if (!p->input_suffix) return BAD("input_suffix", "input_suffix: is missing");
    return WICK_OK;
}

static wick_status infill_prepare(wick_gen *g, wick_err *err)
{
    const wick_tokenizer *t = wick_engine_tokenizer(g->model->engine);
    fim_tokens f;
    wick_buf all = WICK_BUF_INIT;
    size_t bytes;
    if (!t || !find_fim(t, &f))
        return BAD("model", "this model has no tokens for a prefix, a suffix and a gap between them");
    wick_status st = infill_prompt(g, &f, &all, err);
    if (st != WICK_OK) {
        wick_buf_release(&all);
        return st;
    }
    g->prompt[0].ids = (int32_t *)(void *)wick_buf_take(&all, &bytes);
    g->prompt[0].n = bytes / sizeof(int32_t);
    return own_base(g, err);
}

static const wick_gen_format infill_format = {.params = WICK_P_LLAMA_INFILL,
                                              .count = infill_count,
                                              .prepare = infill_prepare,
                                              .progress = text_progress,
                                              .token = text_token,
                                              .end = text_end,
                                              .answer = text_answer};

bool wick_route_llama_infill(wick_exchange *x)
{
    return wick_gen_route(x, &infill_format);
}
