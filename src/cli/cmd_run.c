/* cli/cmd_run.c - `wick run`: one answer, or a chat where no prompt is given. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "chat/prompt.h"
#include "cli/chatloop.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"

typedef struct run_ctx {
    wick_engine *e;
    wick_chat *chat;
    const wick_args *a;
    json_t *vars; /* of the template, or NULL */
} run_ctx;

/* The prompt as ids: through the chat template, or where the model has none the last message as it is. *how: what its
 * answer is read with. */
static wick_status render(run_ctx *c, const json_t *messages, int32_t **ids, size_t *n, wick_answer_opts *how,
                          wick_err *err)
{
    if (wick_chat_usable(c->chat)) {
        const wick_chat_request in = {.messages = messages, .vars = c->vars};
        wick_chat_prompt prompt;
        WICK_TRY(wick_chat_prompt_build(c->chat, &in, &prompt, err));
        *ids = prompt.ids;
        *n = prompt.n_ids;
        prompt.ids = NULL;
        how->format = *wick_chat_get_format(c->chat);
        how->inside_reasoning = prompt.in_reasoning;
        wick_chat_prompt_release(&prompt);
    } else {
        const json_t *last = json_object_get(json_array_get(messages, json_array_size(messages) - 1), "content");
        WICK_TRY(
            wick_session_encode(c->e, last ? json_string_value(last) : "", json_string_length(last), 0, ids, n, err));
    }
    return *n > 0 ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "prompt", "the prompt is empty");
}

static wick_status answer(run_ctx *c, json_t *messages, bool stream, wick_reply *r, wick_err *err)
{
    int32_t *ids = NULL;
    size_t n = 0;
    wick_answer_opts how = {0};
    wick_status st = render(c, messages, &ids, &n, &how, err);
    how.raw_reasoning = c->a->show_special;
    if (st == WICK_OK) st = wick_session_generate(c->e, c->a, ids, n, &how, stream, r, err);
    wick_free(ids);
    return st;
}

static wick_status chat_turn(void *ctx, json_t *messages, wick_err *err)
{
    run_ctx *c = ctx;
    wick_reply r;
    char figures[512];
    wick_reply_init(&r);
    wick_status st = answer(c, messages, true, &r, err);
    wick_term_text("\n", 1);
    if (st == WICK_OK) {
        json_t *m = json_object();
        json_object_set_new(m, "role", json_string("assistant"));
        json_object_set_new(m, "content", wick_json_text(r.text.data, r.text.n));
        if (r.reasoning.n > 0)
            json_object_set_new(m, "reasoning_content", wick_json_text(r.reasoning.data, r.reasoning.n));
        json_array_append_new(messages, m);
        if (r.finish == WICK_FINISH_CANCELLED) wick_notice("(stopped)");
        wick_reply_figures(c->e, &r.usage, figures, sizeof figures);
        wick_verbose("%s", figures);
    }
    wick_reply_release(&r);
    return st;
}

static wick_status one_answer(run_ctx *c, json_t *messages, wick_err *err)
{
    wick_reply r;
    char figures[512];
    wick_reply_init(&r);
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(answer(c, messages, !c->a->json, &r, err));
    if (c->a->json)
        WICK_TRY_GOTO(wick_print_json(wick_reply_json(c->e, &r), err));
    else
        wick_term_text("\n", 1);
    wick_reply_figures(c->e, &r.usage, figures, sizeof figures);
    wick_verbose("%s", figures);
    if (r.finish == WICK_FINISH_CANCELLED) st = WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
done:
    wick_reply_release(&r);
    return st;
}

static void add_message(json_t *messages, const char *role, json_t *content)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", content);
    json_array_append_new(messages, m);
}

/* The prompt of a call that is no chat: operand, --file, or a pipe; *text stays NULL for a chat. */
static wick_status given_prompt(const wick_args *a, char **text, size_t *n, wick_err *err)
{
    *text = NULL;
    if (a->n_operands > 1 && strcmp(a->operand[1], "-") != 0) {
        *text = wick_strdup(a->operand[1]);
        *n = strlen(a->operand[1]);
        return *text ? WICK_OK : wick_err_oom(err, "prompt", 0, 0);
    }
    if (a->file && strcmp(a->file, "-") != 0) return wick_file_read(a->file, 64u << 20, text, n, err);
    bool pipe = a->n_operands > 1 || (a->file && strcmp(a->file, "-") == 0) || a->json;
    return pipe ? wick_read_stdin(text, n, err) : WICK_OK;
}

static wick_status run_run(const wick_args *a, wick_err *err)
{
    run_ctx c = {.a = a};
    json_t *messages = json_array();
    char *text = NULL;
    size_t n = 0;
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(given_prompt(a, &text, &n, err));
    if (a->template_kwargs) {
        WICK_TRY_GOTO(
            wick_json_parse(a->template_kwargs, strlen(a->template_kwargs), "--chat-template-kwargs", &c.vars, err));
        if (!json_is_object(c.vars)) {
            st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "chat-template-kwargs",
                           "--chat-template-kwargs: must be a JSON object");
            goto done;
        }
    }
    WICK_TRY_GOTO(wick_session_open(&c.e, a, false, err));
    WICK_TRY_GOTO(wick_chat_open(&c.chat, c.e, a->chat_template, err));
    if (!wick_chat_usable(c.chat)) wick_notice("wick: this model has no chat template: it continues the text as it is");
    if (a->system) add_message(messages, "system", json_string(a->system));
    if (text) {
        add_message(messages, "user", wick_json_text(text, n));
        WICK_TRY_GOTO(one_answer(&c, messages, err));
    } else {
        WICK_TRY_GOTO(wick_chat_loop(a, messages, chat_turn, &c, err));
    }
done:
    wick_chat_close(c.chat);
    wick_engine_close(c.e);
    json_decref(messages);
    json_decref(c.vars);
    wick_free(text);
    return st;
}

static const wick_opt opts[] = {
    {"system", 0, WICK_OPT_STR, "TEXT", "a system prompt", offsetof(wick_args, system), 0, 0, NULL, NULL, 0},
    {"file", 'f', WICK_OPT_STR, "FILE", "read the prompt from a file (-: standard input)", offsetof(wick_args, file), 0,
     0, NULL, NULL, 0},
    {"chat-template-kwargs", 0, WICK_OPT_STR, "JSON",
     "variables for the template, for example {\"enable_thinking\": false}", offsetof(wick_args, template_kwargs), 0, 0,
     NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_run = {
    .name = "run",
    .operands = "MODEL [PROMPT]",
    .min_operands = 1,
    .max_operands = 2,
    .summary = "chat with a model, or get one answer",
    .about = "With a PROMPT prints the answer and ends; without one it is a chat with history and line editing, in "
             "which Ctrl-C\n"
             "stops the answer and not the program. PROMPT may be -, for standard input. The model's own chat template "
             "is used. What the model thinks before it answers goes to standard error, and with --json to "
             "\"reasoning\".",
    .examples = "wick run models/wick-shell \"list all files\"\tone answer\nwick run MODEL\ta chat\n"
                "wick run MODEL - --json < question.txt\tfrom a pipe, as JSON",
    .group = {&group, &wick_opts_sampling, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_run,
};
