/* cli/cmd_template.c - `wick template`: the prompt that a chat template makes of messages. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"
#include "chat/prompt.h"
#include "chat/source.h"
#include "model/vocab.h"

/* Of the model's folder or GGUF, or of --chat-template alone. */
static wick_status open_template(wick_chat_template **t, const wick_args *a, wick_err *err)
{
    if (a->n_operands == 0) {
        if (!a->chat_template)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "MODEL", "a MODEL or --chat-template is needed");
        char *text = NULL;
        size_t n = strlen(a->chat_template);
        bool file = wick_path_is_file(a->chat_template);
        if (file) WICK_TRY(wick_file_read(a->chat_template, 16u << 20, &text, &n, err));
        wick_status st = wick_chat_template_new(t, text ? text : a->chat_template, n, NULL, NULL,
                                                file ? a->chat_template : "--chat-template", err);
        wick_free(text);
        return st;
    }
    wick_discover_opts d;
    wick_model m = {0};
    wick_tokenizer *tok = NULL;
    char *path;
    wick_discover_opts_from(&d, a);
    WICK_TRY(wick_resolve_model(&path, a->operand[0], &d, err));
    wick_status st = wick_path_is_dir(path) && !a->chat_template ? wick_chat_template_open_dir(t, path, err) : WICK_OK;
    if (st == WICK_OK && !*t) {
        WICK_TRY_GOTO(wick_model_open_meta(&m, path, err));
        if (wick_tokenizer_open_path(&tok, path, a->pre, NULL) != WICK_OK) tok = NULL;
        WICK_TRY_GOTO(wick_chat_template_open_model(&m, tok, a->chat_template, t, err));
        if (!*t)
            st = WICK_FAIL(err, WICK_E_TEMPLATE, path,
                           "%s: the model has no chat template: give one with --chat-template", path);
    }
done:
    wick_tokenizer_free(tok);
    wick_model_close(&m);
    wick_free(path);
    return st;
}

static wick_status load_json(const char *what, const char *file_or_text, json_t **out, wick_err *err)
{
    if (!file_or_text) return WICK_OK;
    if (strcmp(file_or_text, "-") == 0) {
        char *text;
        size_t n;
        WICK_TRY(wick_read_stdin(&text, &n, err));
        wick_status st = wick_json_parse(text, n, what, out, err);
        wick_free(text);
        return st;
    }
    size_t lead = strspn(file_or_text, " \t\r\n");
    if (file_or_text[lead] == '[' || file_or_text[lead] == '{')
        return wick_json_parse(file_or_text, strlen(file_or_text), what, out, err);
    return wick_json_load(file_or_text, 256u << 20, out, err);
}

static bool flag_var(const json_t *vars, const char *name, bool def)
{
    const json_t *v = json_object_get(vars, name);
    return json_is_boolean(v) ? json_is_true(v) : def;
}

static wick_status ending_of(const json_t *vars, wick_chat_ending *out, wick_err *err)
{
    const bool resume = flag_var(vars, "continue_final_message", false);
    const bool begin = flag_var(vars, "add_generation_prompt", !resume);
    if (resume && begin)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "continue_final_message",
                         "continue_final_message and add_generation_prompt exclude each other");
    *out = resume ? WICK_CHAT_CONTINUE : begin ? WICK_CHAT_ANSWER : WICK_CHAT_CLOSED;
    return WICK_OK;
}

static wick_status run_template(const wick_args *a, wick_err *err)
{
    wick_chat_template *t = NULL;
    wick_chat *c = NULL;
    wick_chat_prompt prompt = {0};
    json_t *messages = NULL, *tools = NULL, *vars = NULL;
    wick_status st = WICK_OK;
    if (!a->messages)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages",
                         "--messages FILE is needed: a JSON array of {\"role\", \"content\"}");
    WICK_TRY_GOTO(open_template(&t, a, err));
    WICK_TRY_GOTO(wick_chat_of_template(&c, t, NULL, err));
    WICK_TRY_GOTO(load_json("--messages", a->messages, &messages, err));
    WICK_TRY_GOTO(load_json("--tools", a->tools, &tools, err));
    WICK_TRY_GOTO(load_json("--vars", a->template_vars, &vars, err));
    wick_chat_request in = {.messages = json_is_object(messages) ? json_object_get(messages, "messages") : messages,
                            .tools = tools,
                            .vars = vars,
                            .no_ids = true,
                            .raw = true};
    WICK_TRY_GOTO(ending_of(vars, &in.ending, err));
    WICK_TRY_GOTO(wick_chat_prompt_build(c, &in, &prompt, err));
    if (a->json) {
        json_t *o = json_object();
        json_object_set_new(o, "prompt", wick_json_text(prompt.text.data, prompt.text.n));
        WICK_TRY_GOTO(wick_print_json(o, err));
    } else {
        wick_term_text(wick_buf_str(&prompt.text), prompt.text.n);
    }
done:
    wick_chat_prompt_release(&prompt);
    wick_chat_close(c);
    json_decref(messages);
    json_decref(tools);
    json_decref(vars);
    return st;
}

static const wick_opt opts[] = {
    {"messages", 0, WICK_OPT_STR, "FILE|JSON", "the messages: a JSON array (-: standard input)",
     offsetof(wick_args, messages), 0, 0, NULL, NULL, 0},
    {"tools", 0, WICK_OPT_STR, "FILE|JSON", "tools in OpenAI's form", offsetof(wick_args, tools), 0, 0, NULL, NULL, 0},
    {"vars", 0, WICK_OPT_STR, "FILE|JSON",
     "variables: add_generation_prompt, enable_thinking, bos_token, now (Unix time for strftime_now), ...",
     offsetof(wick_args, template_vars), 0, 0, NULL, NULL, 0},
    {"chat-template", 0, WICK_OPT_STR, "TEXT|FILE", "a template instead of the model's",
     offsetof(wick_args, chat_template), 0, 0, NULL, NULL, 0},
    {"pre", 0, WICK_OPT_STR, "NAME", "GGUF: cut words as tokenizer.ggml.pre NAME does, whatever the file says",
     offsetof(wick_args, pre), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_template = {
    .name = "template",
    .operands = "[MODEL]",
    .min_operands = 0,
    .max_operands = 1,
    .summary = "the prompt that a chat template makes of messages",
    .about = "Exits with 12 and one line where the template raises or is broken. Reads no weights.",
    .examples =
        "wick template MODEL --messages chat.json\tthe model's own template\n"
        "wick template --chat-template t.jinja --messages '[{\"role\":\"user\",\"content\":\"hi\"}]'\ta template alone",
    .group = {&group, &wick_opts_common},
    .run = run_template,
};
