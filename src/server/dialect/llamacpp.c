/* server/dialect/llamacpp.c - llama.cpp's server: its errors, its timings, the names of its parameters. Its own routes
 * are in llamacpp_text.c and llamacpp_info.c. */
#include "server/dialect/llamacpp.h"
#include <string.h>
#include "base/sys.h"

static const char *type_of(const wick_problem_text *p)
{
    if (p->code && strcmp(p->code, "context_length_exceeded") == 0) return "exceed_context_size_error";
    switch (p->status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 501: return "not_supported_error";
    case 503: return "unavailable_error";
    default: return p->status >= 500 ? "server_error" : "invalid_request_error";
    }
}

static void problem(wick_buf *b, const wick_problem_text *p)
{
    wick_buf_printf(b, "{\"error\":{\"code\":%u,\"message\":", p->status);
    wick_json_write_str(b, p->message, strlen(p->message));
    wick_buf_printf(b, ",\"type\":\"%s\"", type_of(p));
    if (p->param) {
        wick_buf_puts(b, ",\"param\":");
        wick_json_write_str(b, p->param, strlen(p->param));
    }
    if (p->n_ctx) wick_buf_printf(b, ",\"n_prompt_tokens\":%u,\"n_ctx\":%u", p->n_prompt, p->n_ctx);
    wick_buf_puts(b, "}}");
}

static void stream_problem(wick_gen *g, const wick_problem_text *p)
{
    wick_buf *b = &g->x->out;
    wick_sse_begin(b);
    problem(b, p);
    wick_sse_end(b);
}

/* Its own completions just end; those that it has from OpenAI end as OpenAI's. */
static void stream_end(wick_gen *g)
{
    if (!(g->p.route & WICK_P_LLAMA)) wick_dialect_openai.stream_end(g);
}

const wick_dialect wick_dialect_llamacpp = {.name = "llama.cpp",
                                            .stream_type = "text/event-stream; charset=utf-8",
                                            .problem = problem,
                                            .stream_problem = stream_problem,
                                            .stream_end = stream_end,
                                            .comment = wick_dialect_sse_comment};

/* --- timings ------------------------------------------------------------------------------------------------------ */
static void rate(wick_buf *b, const char *what, uint32_t n, double ms)
{
    const bool any = n > 0 && ms > 0;
    wick_buf_printf(b, ",\"%s_per_token_ms\":%.17g,\"%s_per_second\":%.17g", what, any ? ms / n : 0, what,
                    any ? 1e3 / ms * n : 0);
}

void wick_llama_timings(const wick_choice *c, wick_buf *b)
{
    const double now = wick_time_ms();
    uint32_t n_prompt = c->usage.n_prompt - c->usage.n_cached, n_gen = c->usage.n_gen, n_cached = c->usage.n_cached;
    double prompt_ms = c->usage.prefill_ms, gen_ms = c->usage.decode_ms;
    if (!c->done) {
        n_cached = c->n_cached;
        n_prompt = c->n_prompt_done > n_cached ? c->n_prompt_done - n_cached : 0;
        n_gen = c->n_logprob;
        prompt_ms = n_prompt == 0 ? 0 : (c->t_first > 0 ? c->t_first : now) - c->t_submit;
        gen_ms = n_gen > 0 ? now - c->t_first : 0;
    }
    wick_buf_printf(b, ",\"timings\":{\"cache_n\":%u,\"prompt_n\":%u,\"prompt_ms\":%.17g", n_cached, n_prompt,
                    prompt_ms);
    rate(b, "prompt", n_prompt, prompt_ms);
    wick_buf_printf(b, ",\"predicted_n\":%u,\"predicted_ms\":%.17g", n_gen, gen_ms);
    rate(b, "predicted", n_gen > 0 ? n_gen - 1 : 0, gen_ms);
    wick_buf_putc(b, '}');
}

void wick_llama_progress(wick_choice *c, const wick_event *ev, wick_buf *b)
{
    wick_buf_printf(b, ",\"prompt_progress\":{\"total\":%u,\"cache\":%u,\"processed\":%u,\"time_ms\":%.0f}",
                    ev->n_total, c->n_cached, ev->n_done, wick_time_ms() - c->t_submit);
    if (c->g->p.timings_per_token) wick_llama_timings(c, b);
}

/* --- parameters --------------------------------------------------------------------------------------------------- */
#define BAD WICK_PARAM_BAD

/* How far back penalties look: -1 is the whole context. */
static wick_status read_last_n(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const bool dry = strcmp(q->name, "dry_penalty_last_n") == 0;
    const json_int_t n = json_integer_value(v);
    if (!json_is_integer(v)) return wick_param_expected(r, q->name, "an integer", v);
    if (n < -1 || n > INT32_MAX) return BAD(r, q->name, "%s: must be from -1 to 2147483647", q->name);
    if (dry)
        r->p->sampling.dry_range = n < 0 ? 0 : n == 0 ? 1 : (uint32_t)n; /* 0 is the whole context there */
    else
        r->p->sampling.penalty_range = n < 0 ? UINT32_MAX : (uint32_t)n;
    return WICK_OK;
}

static wick_status read_mirostat(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_integer(v)) return wick_param_expected(r, q->name, "an integer", v);
    const json_int_t n = json_integer_value(v);
    if (n != 0 && n != 2) return BAD(r, q->name, "mirostat: must be 0 (off) or 2; version 1 is not there");
    r->p->mirostat = n == 0 ? -1 : 1;
    return WICK_OK;
}

static wick_status read_n_probs(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 20)
        return BAD(r, q->name, "n_probs: must be an integer from 0 to 20");
    r->p->top_logprobs = (uint32_t)json_integer_value(v);
    r->p->logprobs = r->p->top_logprobs > 0;
    return WICK_OK;
}

static wick_status read_reasoning_format(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    static const char *const names[] = {"none", "auto", "deepseek", "deepseek-legacy"};
    for (size_t i = 0; json_is_string(v) && i < sizeof names / sizeof *names; i++) {
        if (strcmp(json_string_value(v), names[i]) != 0) continue;
        r->p->raw_reasoning = i == 0;
        return WICK_OK;
    }
    return BAD(r, q->name, "reasoning_format: must be \"none\" (it stays in the text), \"auto\" or \"deepseek\"");
}

static wick_status read_lora(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (json_is_array(v) && json_array_size(v) == 0) return WICK_OK;
    return BAD(r, q->name, "lora: only an empty list, there are no adapters");
}

static wick_status read_false(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (json_is_false(v)) return WICK_OK;
    return BAD(r, q->name, "%s: only false: %s", q->name, q->about);
}

static wick_status read_embd_normalize(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const json_int_t n = json_integer_value(v);
    if (!json_is_integer(v) || (n != -1 && n != 2)) return BAD(r, q->name, "embd_normalize: must be 2 or -1");
    r->p->normalize = n == 2;
    return WICK_OK;
}

static bool named(const json_t *list, const char *a, const char *b)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (s && (strcmp(s, a) == 0 || strcmp(s, b) == 0)) return true;
    }
    return false;
}

/* The samplers to use, in their order: all known ones may be left out, and temperature may be first or last. */
static wick_status read_samplers(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    static const char *const order[] = {"penalties", "dry",   "top_n_sigma", "top_k", "typ_p",
                                        "typical_p", "top_p", "min_p",       "xtc",   "temperature"};
    enum { N = sizeof order / sizeof *order, TEMPERATURE = N - 1 };
    const size_t n = json_array_size(v);
    size_t last = 0;
    bool first = false;
    if (!json_is_array(v)) return wick_param_expected(r, q->name, "an array of names", v);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(v, i));
        size_t k = 0;
        while (s && k < N && strcmp(s, order[k]) != 0) k++;
        if (!s || k == N) return BAD(r, q->name, "samplers[%zu]: is no name of a sampler", i);
        if (k == TEMPERATURE && i == 0 && n > 1) {
            first = true;
            continue;
        }
        if (k < last)
            return BAD(r, q->name, "samplers: \"%s\" is out of order; only temperature can be moved, to the front", s);
        last = k;
    }
    r->p->sampling.order = first ? WICK_ORDER_DEFAULT : WICK_ORDER_LLAMA;
    r->p->samplers = v;
    return WICK_OK;
}

void wick_llama_samplers(const json_t *list, wick_sampling *s)
{
    if (!list) return;
    if (!named(list, "top_k", "top_k")) s->top_k = 0;
    if (!named(list, "top_p", "top_p")) s->top_p = 1;
    if (!named(list, "min_p", "min_p")) s->min_p = 0;
    if (!named(list, "typ_p", "typical_p")) s->typical_p = 1;
    if (!named(list, "xtc", "xtc")) s->xtc_probability = 0;
    if (!named(list, "dry", "dry")) s->dry_multiplier = 0;
    if (!named(list, "temperature", "temperature") && s->temperature > 0) s->temperature = 1;
    if (named(list, "penalties", "penalties")) return;
    s->repetition_penalty = 1;
    s->presence_penalty = s->frequency_penalty = 0;
}

static bool is_assistant(const json_t *m)
{
    const char *role = json_string_value(json_object_get(m, "role"));
    return role && strcmp(role, "assistant") == 0;
}

wick_status wick_llama_messages(wick_params *p, wick_err *err)
{
    const size_t n = json_array_size(p->messages);
    p->prefill = p->add_generation_prompt;
    p->llama_defaults = true;
    if (p->prefill && n >= 2 && is_assistant(json_array_get(p->messages, n - 1)) &&
        is_assistant(json_array_get(p->messages, n - 2)))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages",
                         "messages: two of the assistant at the end: which of them is to be continued?");
    return WICK_OK;
}

#define AT(f) offsetof(wick_params, f)
#define S(f) offsetof(wick_params, sampling.f)
#define FN(f) WICK_PK_FN, 0, 0, 0, 0, read_##f
#define NOOP(types) WICK_PK_NOOP, types, 0, 0, 0, NULL
#define NEUTRAL(lo, hi) WICK_PK_NEUTRAL, 0, 0, lo, hi, NULL
#define REFUSED WICK_PK_REFUSED, 0, 0, 0, 0, NULL
#define GEN WICK_P_GEN
#define OWN WICK_P_LLAMA
/* clang-format off */

static const wick_param rows[] = {
    {"prompt", OWN, WICK_PK_ANY, AT(prompt), 0, 0, 0, NULL,
     "a string, token ids, both mixed, {\"prompt_string\"}, or an array of those"},
    {"repeat_last_n", WICK_P_SAMPLING, FN(last_n), "tokens that penalties look at; -1: all"},
    {"dry_penalty_last_n", GEN, FN(last_n), "tokens that DRY looks at; -1: all"},
    {"mirostat", WICK_P_SAMPLING, FN(mirostat), "0: off; 2"},
    {"samplers", GEN, FN(samplers), "the samplers to use; those left out are off"},
    {"n_probs", OWN, FN(n_probs), "log probabilities of so many tokens, for each token of the answer"},
    {"return_tokens", OWN, WICK_PK_BOOL, AT(return_tokens), 0, 0, 0, NULL, "token ids of the answer"},
    {"response_fields", OWN, WICK_PK_ARRAY, AT(response_fields), 0, 0, 0, NULL,
     "only these fields of the answer; \"a/b\" is b of a"},
    {"timings_per_token", WICK_P_ANY_GEN, WICK_PK_BOOL, AT(timings_per_token), 0, 0, 0, NULL,
     "`timings` in every piece of a stream"},
    {"return_progress", WICK_P_ANY_GEN, WICK_PK_BOOL, AT(return_progress), 0, 0, 0, NULL,
     "`prompt_progress` in a stream while the prompt is read"},
    {"verbose", WICK_P_CHAT, WICK_PK_BOOL, AT(verbose), 0, 0, 0, NULL, "the prompt's text too, as `__verbose`"},
    {"reasoning_format", WICK_P_CHAT, FN(reasoning_format), "\"none\": reasoning stays in the text"},
    {"lora", GEN, FN(lora), "[]"},
    {"post_sampling_probs", GEN, FN(false), "probabilities are those before the filters"},
    {"input_prefix", WICK_P_LLAMA_INFILL, WICK_PK_ANY, AT(input_prefix), 0, 0, 0, NULL, "the text before the gap"},
    {"input_suffix", WICK_P_LLAMA_INFILL, WICK_PK_ANY, AT(input_suffix), 0, 0, 0, NULL, "the text after the gap"},
    {"input_extra", WICK_P_LLAMA_INFILL, WICK_PK_ARRAY, AT(input_extra), 0, 0, 0, NULL,
     "other files, {\"filename\", \"text\"} each"},
    {"content", WICK_P_EMBED, WICK_PK_ANY, AT(input), 0, 0, 0, NULL, "the same as input"},
    {"embd_normalize", WICK_P_EMBED, FN(embd_normalize), "2: length 1 (default); -1: as they are"},
    {"query", WICK_P_RERANK, WICK_PK_STR, AT(query), 0, 0, 0, NULL, "what the documents are compared with"},
    {"documents", WICK_P_RERANK, WICK_PK_ARRAY, AT(documents), 0, 0, 0, NULL, "texts, or objects with a text"},
    {"texts", WICK_P_RERANK, WICK_PK_ARRAY, AT(texts), 0, 0, 0, NULL, "the same; the answer is then a bare list"},
    {"top_n", WICK_P_RERANK, WICK_PK_U32, AT(top_n), AT(seen_top_n), 1, INT32_MAX, NULL, "the best so many"},
    {"return_documents", WICK_P_RERANK, WICK_PK_BOOL, AT(with_pieces), 0, 0, 0, NULL, "the texts too"},
    {"raw_scores", WICK_P_RERANK, WICK_PK_BOOL, AT(raw_scores), 0, 0, 0, NULL, "logits instead of scores from 0 to 1"},
    {"instruction", WICK_P_RERANK, WICK_PK_STR, AT(instruction), 0, 0, 0, NULL,
     "what to look for, for models that are told (Qwen3-Reranker)"},
    {"return_text", WICK_P_RERANK, WICK_PK_BOOL, AT(with_pieces), 0, 0, 0, NULL, "the texts too"},
    {"dynatemp_range", GEN, NEUTRAL(0, 0), "0: off"},
    {"dynatemp_exponent", GEN, NOOP(WICK_PT_NUM), "dynamic temperature is off"},
    {"top_n_sigma", GEN, NEUTRAL(-1e30, 0), "-1: off"},
    {"adaptive_target", GEN, NEUTRAL(-1e30, -1e-30), "-1: off"},
    {"adaptive_decay", GEN, NOOP(WICK_PT_NUM), "the adaptive sampler is off"},
    {"tfs_z", GEN, NEUTRAL(1, 1), "1: off"},
    {"t_max_predict_ms", GEN, NEUTRAL(-1e30, 0), "-1: off"},
    {"n_indent", GEN, NEUTRAL(0, 0), "0: off"},
    {"n_keep", GEN, NOOP(WICK_PT_INT), "a full context ends the answer, nothing is thrown out"},
    {"n_discard", GEN, NOOP(WICK_PT_INT), "as n_keep"},
    {"penalize_nl", GEN, NOOP(WICK_PT_BOOL), "an old name that changes nothing"},
    {"backend_sampling", GEN, NOOP(WICK_PT_BOOL), "the same tokens come either way"},
    {"speculative.n_max", GEN, NOOP(WICK_PT_INT), "drafts do not change answers"},
    {"speculative.n_min", GEN, NOOP(WICK_PT_INT), "drafts do not change answers"},
    {"speculative.p_min", GEN, NOOP(WICK_PT_NUM), "drafts do not change answers"},
    {"n_cache_reuse", GEN, NOOP(WICK_PT_INT), "only whole prefixes are reused"},
    {"image_data", OWN, REFUSED, "image input is not supported by this model"},
    {"add_generation_prompt", OWN, NOOP(WICK_PT_BOOL), "there is no template here"},
};
/* clang-format on */
const wick_param_table wick_params_llamacpp = {rows, sizeof rows / sizeof *rows};
