/* fuzz/fuzz_request.c - the body of a request: strict JSON, then the parameters of the route that the first byte picks.
 * What is refused must be named in one line that OpenAI's error JSON can carry; what is taken must be within its
 * bounds. */
#include <string.h>
#include "base/json.h"
#include "fuzz.h"
#include "server/dialect/dialect.h"
#include "server/params.h"
#include "server/prompt.h"

static const unsigned routes[] = {WICK_P_CHAT,       WICK_P_TEXT,       WICK_P_EMBED,      WICK_P_TOKENIZE,
                                  WICK_P_DETOKENIZE, WICK_P_TEMPLATE,   WICK_P_LLAMA_TEXT, WICK_P_ANTHROPIC,
                                  WICK_P_RESPONSES,  WICK_P_OLLAMA_CHAT};

/* The refusal as a client sees it. */
static void check_problem(const wick_err *err)
{
    const char *code;
    wick_buf text = WICK_BUF_INIT;
    const unsigned status = wick_problem_status(err, &code);
    if (status != 400 && status != 503) abort();
    if (!err->message[0] || strchr(err->message, '\n')) abort();
    const wick_problem_text p = {
        .status = status, .param = err->subject[0] ? err->subject : NULL, .code = code, .message = err->message};
    wick_dialect_openai_problem(&text, &p);
    json_t *shown = json_loads(wick_buf_str(&text), JSON_REJECT_DUPLICATES, NULL);
    if (!shown || !json_is_string(json_object_get(json_object_get(shown, "error"), "message"))) abort();
    json_decref(shown);
    wick_buf_release(&text);
}

static void check_params(const wick_params *p, const wick_server_limits *l)
{
    const wick_sampling *s = &p->sampling;
    if (p->n < 1 || p->n > l->choices || p->best_of > l->choices || p->n_stop > l->stops) abort();
    if (p->top_logprobs > 20 || s->n_bias > l->logit_bias) abort();
    if (!(s->temperature >= 0 && s->temperature <= 100) || !(s->top_p >= 0 && s->top_p <= 1)) abort();
    for (uint32_t i = 0; i < p->n_stop; i++)
        if (!p->stop[i][0] || strlen(p->stop[i]) > l->stop_bytes) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *body = NULL;
    wick_params p;
    wick_server_limits l;
    wick_err err = {0};
    if (n < 1) return 0;
    wick_server_limits_init(&l);
    if (wick_json_parse_strict((const char *)data + 1, n - 1, "body", &body, &err) != WICK_OK) {
        check_problem(&err);
        return 0;
    }
    if (json_is_object(body)) {
        uint32_t count = 0;
        wick_status st = wick_params_parse(&p, body, routes[data[0] % (sizeof routes / sizeof *routes)], &l, &err);
        if (st == WICK_OK) {
            check_params(&p, &l);
            if (p.prompt && wick_prompt_count(p.prompt, "prompt", l.prompts, &count, &err) != WICK_OK)
                check_problem(&err);
        } else {
            check_problem(&err);
        }
        wick_params_release(&p);
    }
    json_decref(body);
    return 0;
}
