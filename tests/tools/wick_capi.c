/* Prompts through the C API for the tests: wick_capi MODEL TEMPLATE, one JSON object {"messages"[, "tools",
 * "continue"]} a line on stdin, one answer {"prompt", "answered"} or {"error": message, "kind": n, "subject"} a line on
 * stdout. */
#include <stdio.h>
#include <stdlib.h>
#include <jansson.h>
#include "wick/wick.h"

static json_t *failure(const wick_error *e)
{
    return json_pack("{s:s, s:i, s:s}", "error", e->message, "kind", (int)e->kind, "subject", e->subject);
}

static json_t *ask(wick_llm *llm, const json_t *q)
{
    wick_generate_options o;
    wick_error err;
    wick_result r;
    char *messages = json_dumps(json_object_get(q, "messages"), JSON_ENCODE_ANY), *prompt = NULL;
    const json_t *tools = json_object_get(q, "tools");
    char *tools_text = tools && !json_is_null(tools) ? json_dumps(tools, JSON_ENCODE_ANY) : NULL;
    json_t *answer;
    wick_generate_options_init(&o);
    o.tools_json = tools_text;
    o.continue_last = json_is_true(json_object_get(q, "continue"));
    o.max_tokens = 1;
    if (!messages) return NULL;
    if (wick_llm_apply_template(llm, messages, &o, &prompt, &err) != WICK_OK) {
        answer = failure(&err);
    } else {
        const bool ok = wick_llm_chat_json(llm, messages, &o, NULL, NULL, &r, &err) == WICK_OK;
        if (ok) wick_result_release(&r);
        answer = ok ? json_pack("{s:s, s:b}", "prompt", prompt, "answered", 1) : failure(&err);
    }
    free(messages);
    free(tools_text);
    wick_buffer_free(prompt);
    return answer;
}

int main(int argc, char **argv)
{
    wick_error err;
    wick_llm *llm = NULL;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    wick_model_builder *b = argc > 2 ? wick_model_builder_new(argv[1]) : NULL;
    if (!b) return 2;
    (void)wick_model_builder_set_chat_template(b, argv[2]);
    if (wick_model_builder_build(b, &llm, &err) != WICK_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    wick_model_builder_free(b);
    while ((n = getline(&line, &cap, stdin)) > 0) {
        json_t *q = json_loadb(line, (size_t)n, 0, NULL), *answer = q ? ask(llm, q) : NULL;
        if (!answer || json_dumpf(answer, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) != 0) return 1;
        (void)putchar('\n');
        json_decref(answer);
        json_decref(q);
    }
    wick_llm_close(llm);
    free(line);
    return 0;
}
