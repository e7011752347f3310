/* cli/cmd_run.c - `wick run`: one answer, or a chat where no prompt is given. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "chat/prompt.h"
#include "cli/ask.h"
#include "cli/chatloop.h"
#include "cli/commands.h"
#include "cli/markdown.h"
#include "cli/run_tools.h"
#include "cli/session.h"
#include "cli/tag.h"
#include "cli/term.h"

typedef struct run_ctx {
    wick_engine *e;
    wick_chat *chat;
    const wick_args *a;
    json_t *vars; /* of the template, or NULL */
    wick_run_tools tools;
    bool said_full;
} run_ctx;

/* The prompt as ids: through the chat template, or where the model has none the last message as it is. *how: what its
 * answer is read with. */
static wick_status render(run_ctx *c, const json_t *messages, int32_t **ids, size_t *n, wick_answer_opts *how,
                          wick_err *err)
{
    if (wick_chat_usable(c->chat)) {
        const wick_chat_request in = {.messages = messages, .tools = c->tools.json, .vars = c->vars};
        wick_chat_prompt prompt;
        WICK_TRY(wick_chat_prompt_build(c->chat, &in, &prompt, err));
        *ids = prompt.ids;
        *n = prompt.n_ids;
        prompt.ids = NULL;
        how->format = *wick_chat_get_format(c->chat);
        how->inside_reasoning = prompt.in_reasoning;
        how->tools = c->tools.json;
        how->keep = c->tools.json != NULL; /* its calls are asked for at the end */
        wick_chat_prompt_release(&prompt);
    } else {
        const json_t *last = json_object_get(json_array_get(messages, json_array_size(messages) - 1), "content");
        WICK_TRY(
            wick_session_encode(c->e, last ? json_string_value(last) : "", json_string_length(last), 0, ids, n, err));
    }
    return *n > 0 ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "prompt", "the prompt is empty");
}

static wick_status one_turn(run_ctx *c, const json_t *messages, bool stream, wick_reply *r, wick_err *err)
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

/* One answer of several, where tools are called. */
typedef struct tool_turn {
    run_ctx *c;
    wick_reply *r; /* of the last answer */
    bool stream;
} tool_turn;

static json_t *message_of(const wick_reply *r)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string("assistant"));
    json_object_set_new(m, "content", wick_json_text(r->text.data, r->text.n));
    if (r->reasoning.n > 0)
        json_object_set_new(m, "reasoning_content", wick_json_text(r->reasoning.data, r->reasoning.n));
    if (r->calls) json_object_set(m, "tool_calls", r->calls);
    return m;
}

static wick_status turn_with_tools(void *ctx, const json_t *messages, json_t **answer, wick_err *err)
{
    const tool_turn *t = ctx;
    wick_reply_release(t->r);
    wick_reply_init(t->r);
    WICK_TRY(one_turn(t->c, messages, t->stream, t->r, err));
    if (t->stream && t->r->calls && t->r->text.n > 0) {
        wick_markdown_end();
        wick_term_text("\n", 1);
    }
    *answer = message_of(t->r);
    return *answer ? WICK_OK : wick_err_oom(err, "the answer", 0, 0);
}

/* The answer to messages, which grow by what was called on the way. */
static wick_status answer(run_ctx *c, json_t *messages, bool stream, wick_reply *r, wick_err *err)
{
    tool_turn t = {.c = c, .r = r, .stream = stream};
    if (!c->tools.json) return one_turn(c, messages, stream, r, err);
    return wick_run_tools_loop(&c->tools, messages, turn_with_tools, &t, err);
}

/* A chat that fills the context goes on: the oldest turns leave, the system text stays. A quarter of the context, at
 * most 1,024 tokens, is kept free for the answer, or what --max-tokens asks for. */
static wick_status make_room(run_ctx *c, json_t *messages, wick_err *err)
{
    const size_t ctx = wick_engine_ctx(c->e), quarter = ctx / 4 < 1024 ? ctx / 4 : 1024;
    const size_t room = c->a->max_tokens && c->a->max_tokens < quarter ? c->a->max_tokens : quarter;
    for (;;) {
        int32_t *ids = NULL;
        size_t n = 0;
        wick_answer_opts how = {0};
        WICK_TRY(render(c, messages, &ids, &n, &how, err));
        wick_free(ids);
        if (n + room <= ctx || !wick_conversation_drop_oldest(messages)) return WICK_OK;
        if (!c->said_full)
            wick_notice("(the context of %zu tokens is full: the oldest messages are left out from now on; --ctx makes "
                        "it larger)",
                        ctx);
        c->said_full = true;
    }
}

static wick_status chat_turn(void *ctx, json_t *messages, wick_err *err)
{
    run_ctx *c = ctx;
    wick_reply r;
    char figures[512];
    wick_reply_init(&r);
    json_t *shown = json_copy(messages); /* a turn that fails leaves the conversation as it was */
    wick_status st = make_room(c, shown, err);
    if (st == WICK_OK) st = answer(c, shown, true, &r, err);
    wick_markdown_end();
    wick_term_text("\n", 1);
    if (st == WICK_OK) {
        json_array_append_new(shown, message_of(&r));
        json_array_clear(messages);
        json_array_extend(messages, shown);
        if (r.finish == WICK_FINISH_CANCELLED) wick_notice("(stopped)");
        wick_reply_figures(c->e, &r.usage, figures, sizeof figures);
        wick_chat_note_figures(figures);
        wick_verbose("%s", figures);
    }
    json_decref(shown);
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
    wick_markdown_end();
    json_t *shown = c->a->json ? wick_reply_json(c->e, &r) : NULL;
    if (shown && json_array_size(c->tools.called) > 0) json_object_set(shown, "tool_calls", c->tools.called);
    if (c->a->json)
        WICK_TRY_GOTO(wick_print_json(shown, err));
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

static wick_status template_vars(run_ctx *c, wick_err *err)
{
    const char *text = c->a->template_kwargs;
    if (!text) return WICK_OK;
    WICK_TRY(wick_json_parse(text, strlen(text), "--chat-template-kwargs", &c->vars, err));
    if (json_is_object(c->vars)) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "chat-template-kwargs",
                     "--chat-template-kwargs: must be a JSON object");
}

/* --continue: the conversation that the last chat left. */
static wick_status resume(const wick_args *a, json_t *messages, wick_err *err)
{
    json_t *before = NULL;
    char *path = wick_conversation_path(a);
    wick_status st = path && wick_path_is_file(path)
                         ? wick_conversation_load(path, &before, err)
                         : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "continue",
                                     "--continue: there is no conversation to go on with yet");
    if (st == WICK_OK) {
        json_array_extend(messages, before);
        wick_notice("(going on after %zu messages; /clear forgets them)", json_array_size(messages));
    }
    json_decref(before);
    wick_free(path);
    return st;
}

static wick_status talk(run_ctx *c, wick_args *live, json_t *messages, const char *text, size_t n, wick_err *err)
{
    wick_markdown_init(wick_term_styled(live));
    if (!text) return wick_chat_loop(live, &wick_cmd_run, messages, chat_turn, c, err);
    add_message(messages, "user", wick_json_text(text, n));
    return one_answer(c, messages, err);
}

static wick_status open_tools(run_ctx *c, wick_err *err)
{
    WICK_TRY(wick_run_tools_open(&c->tools, c->a, err));
    if (!c->tools.json) return WICK_OK;
    if (!wick_chat_usable(c->chat) || !wick_chat_get_format(c->chat)->calls)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "tools",
                         "--tools: this model's chat template knows no calls of tools");
    wick_notice("(%zu tools)", json_array_size(c->tools.json));
    return WICK_OK;
}

static wick_status run_run(const wick_args *a, wick_err *err)
{
    wick_args live = *a; /* /set and the settings of a tag of Ollama change it */
    run_ctx c = {.a = &live};
    wick_tag tag = {0};
    json_t *messages = json_array();
    char *text = NULL, *system = NULL;
    size_t n = 0;
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(wick_ask_prompt(a, 1, &text, &n, err));
    WICK_TRY_GOTO(template_vars(&c, err));
    WICK_TRY_GOTO(wick_tag_open(&tag, &live, err));
    if (live.system) WICK_TRY_GOTO(wick_ask_text_or_file(live.system, &system, err));
    WICK_TRY_GOTO(wick_session_open(&c.e, &live, false, err));
    WICK_TRY_GOTO(wick_chat_open(&c.chat, c.e, live.chat_template, err));
    WICK_TRY_GOTO(wick_tag_template(&tag, &c.chat, c.e, err));
    WICK_TRY_GOTO(open_tools(&c, err));
    if (!wick_chat_usable(c.chat)) wick_notice("wick: this model has no chat template: it continues the text as it is");
    if (a->resume) WICK_TRY_GOTO(resume(a, messages, err));
    if (system && json_array_size(messages) == 0)
        add_message(messages, "system", wick_json_text(system, strlen(system)));
    WICK_TRY_GOTO(talk(&c, &live, messages, text, n, err));
done:
    wick_run_tools_release(&c.tools);
    wick_chat_close(c.chat);
    wick_engine_close(c.e);
    wick_tag_release(&tag, &live);
    json_decref(messages);
    json_decref(c.vars);
    wick_free(text);
    wick_free(system);
    return st;
}

static const wick_opt opts[] = {
    {"system", 0, WICK_OPT_STR, "TEXT|FILE", "a system prompt: a text, or a file with it", offsetof(wick_args, system),
     0, 0, NULL, NULL, 0},
    {"file", 'f', WICK_OPT_STR, "FILE", "text before the prompt (-: standard input; <(command) too)",
     offsetof(wick_args, file), 0, 0, NULL, NULL, 0},
    {"continue", 0, WICK_OPT_FLAG, NULL, "go on with the last conversation", offsetof(wick_args, resume), 0, 0, NULL,
     NULL, 0},
    {"plain", 0, WICK_OPT_FLAG, NULL, "no Markdown on the terminal (also NO_COLOR)", offsetof(wick_args, plain), 0, 0,
     NULL, NULL, 0},
    {"tools", 0, WICK_OPT_STR, "FILE",
     "tools that the model may call: MCP servers, programs, built-in ones (docs/MCP.md)",
     offsetof(wick_args, tool_file), 0, 0, NULL, NULL, 0},
    {"mcp", 0, WICK_OPT_STR, "FILE", "the same: an mcpServers file as other programs have it",
     offsetof(wick_args, mcp_file), 0, 0, NULL, NULL, 0},
    {"yes", 'y', WICK_OPT_FLAG, NULL, "run tools that are marked safe without asking", offsetof(wick_args, yes), 0, 0,
     NULL, NULL, 0},
    {"chat-template-kwargs", 0, WICK_OPT_STR, "JSON",
     "variables for the template, for example {\"enable_thinking\": false}", offsetof(wick_args, template_kwargs), 0, 0,
     NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_run = {
    .name = "run",
    .operands = "MODEL [PROMPT...]",
    .min_operands = 1,
    .max_operands = WICK_MAX_OPERANDS - 1,
    .summary = "chat with a model, or get one answer",
    .about = "With a PROMPT prints the answer and ends; without one it is a chat with history, line editing and /help, "
             "in which Ctrl-C\n"
             "stops the answer and not the program. The prompt is put together from --file, standard input (where it "
             "is a pipe or a\n"
             "file) and the words behind MODEL, in this order; a word - is standard input at that place. -n 0 and -n "
             "-1 mean no limit.\n"
             "The model's own chat template is used; --chat-template takes a file, a text, or chatml, llama3, gemma, "
             "mistral, ...\n"
             "What the model thinks goes to standard error, and with --json to \"reasoning\".\n"
             "With --tools each call of a tool is shown and asked for before it runs.\n"
             "Of a tag of Ollama its system text and parameters count where no option says otherwise.",
    .examples = "wick run models/wick-shell \"list all files\"\tone answer\nwick run MODEL\ta chat\n"
                "cat notes.txt | wick run MODEL \"summarize this\"\tboth are the prompt\n"
                "wick run MODEL -f <(git diff) \"a commit message\"\tfrom a command\n"
                "wick run MODEL - --json < question.txt\tfrom a pipe, as JSON\n"
                "wick run MODEL --mcp mcp.json\ta chat with the tools of MCP servers",
    .group = {&group, &wick_opts_form, &wick_opts_sampling, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_run,
};
