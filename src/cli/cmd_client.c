/* cli/cmd_client.c - `wick chat`, `complete`, `models`, `status`, `admin`: a server's clients on the command line. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/ask.h"
#include "cli/chatloop.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/markdown.h"
#include "cli/session.h"
#include "cli/term.h"

static json_t *text_list(const wick_str_list *l)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < l->n; i++) json_array_append_new(list, json_string(l->item[i]));
    return list;
}

/* {"15": -100}; what is no ID=NUMBER goes as it is, for the server to refuse. */
static json_t *bias_object(const wick_str_list *l)
{
    json_t *o = json_object();
    for (uint32_t i = 0; i < l->n; i++) {
        char id[32] = "";
        double x = 0;
        size_t n = strcspn(l->item[i], "=:");
        if (n < sizeof id) memcpy(id, l->item[i], n);
        const bool ok = l->item[i][n] && wick_parse_f64(l->item[i] + n + 1, &x);
        json_object_set_new(o, ok ? id : l->item[i], json_real(x));
    }
    return o;
}

/* The options of chat/sampling.def that were given, under the names of OpenAI's dialect. */
static void add_sampling(json_t *b, const wick_args *a)
{
    for (uint32_t i = 0; i < wick_sampling_n_options; i++) {
        const wick_sampling_option *o = &wick_sampling_options[i];
        if (!wick_sampling_is_given(&a->given, o)) continue;
        if (o->kind == WICK_SAMPLING_IS_F32)
            json_object_set_new(b, o->name, wick_json_float((float)wick_sampling_value(&a->sampling, o)));
        else if (o->kind == WICK_SAMPLING_IS_U32)
            json_object_set_new(b, o->name, json_integer((json_int_t)wick_sampling_value(&a->sampling, o)));
    }
    if (a->given.seed) json_object_set_new(b, "seed", json_integer((json_int_t)a->sampling.seed));
    if (a->given.order) json_object_set_new(b, "sampler_order", json_string(a->sampler_order));
    if (a->given.bias) json_object_set_new(b, "logit_bias", bias_object(&a->logit_bias));
    if (a->given.dry_breakers) json_object_set_new(b, "dry_sequence_breakers", text_list(&a->dry_breakers));
}

/* What was said of sampling; the rest is the server's choice. */
static json_t *request_body(const wick_args *a, bool stream)
{
    json_t *b = json_object();
    if (a->model) json_object_set_new(b, "model", json_string(a->model));
    add_sampling(b, a);
    if (a->max_tokens) json_object_set_new(b, "max_tokens", json_integer(a->max_tokens));
    if (a->stop.n) json_object_set_new(b, "stop", text_list(&a->stop));
    if (stream) json_object_set_new(b, "stream", json_true());
    return b;
}

typedef struct turn {
    const wick_args *a;
    wick_buf answer;
    bool thinking;
} turn;

static void show_delta(void *ctx, const json_t *event)
{
    turn *t = ctx;
    const json_t *choice = json_array_get(json_object_get(event, "choices"), 0),
                 *delta = json_object_get(choice, "delta");
    const json_t *thought = json_object_get(delta, "reasoning_content");
    const json_t *text = delta ? json_object_get(delta, "content") : json_object_get(choice, "text");
    if (json_is_string(thought)) {
        if (!t->thinking) wick_notice("(thinking)");
        t->thinking = true;
        if (t->a->verbose) wick_term_text(json_string_value(thought), json_string_length(thought));
    }
    if (!json_is_string(text)) return;
    wick_markdown_text(json_string_value(text), json_string_length(text));
    wick_buf_add(&t->answer, json_string_value(text), json_string_length(text));
}

static wick_status chat_turn(void *ctx, json_t *messages, wick_err *err)
{
    turn *t = ctx;
    json_t *body = request_body(t->a, true);
    json_object_set(body, "messages", messages);
    wick_buf_reset(&t->answer);
    t->thinking = false;
    wick_status st = wick_client_stream(t->a, "/v1/chat/completions", body, show_delta, t, err);
    json_decref(body);
    wick_markdown_end();
    if (st != WICK_OK) return st;
    wick_term_text("\n", 1);
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string("assistant"));
    json_object_set_new(m, "content", wick_json_text(t->answer.data, t->answer.n));
    json_array_append_new(messages, m);
    return WICK_OK;
}

static void say(json_t *messages, const char *role, const char *text)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", wick_json_text(text, strlen(text)));
    json_array_append_new(messages, m);
}

static wick_status print_call(const wick_args *a, const char *method, const char *path, json_t *body, wick_err *err)
{
    json_t *v;
    wick_status st = wick_client_call(a, method, path, body, &v, err);
    json_decref(body);
    return st == WICK_OK ? wick_print_json(v, err) : st;
}

static wick_status run_chat(const wick_args *a, wick_err *err)
{
    json_t *messages = json_array();
    wick_args live = *a;
    turn t = {.a = &live};
    char *text = NULL, *system = NULL;
    size_t n = 0;
    wick_status st = wick_ask_prompt(a, 0, &text, &n, err);
    if (st == WICK_OK && a->system) st = wick_ask_text_or_file(a->system, &system, err);
    if (st != WICK_OK) goto done;
    wick_markdown_init(wick_term_styled(a));
    if (system) say(messages, "system", system);
    if (!text) {
        st = wick_chat_loop(&live, &wick_cmd_chat, messages, chat_turn, &t, err);
    } else {
        say(messages, "user", text);
        if (a->json) {
            json_t *body = request_body(a, false);
            json_object_set(body, "messages", messages);
            st = print_call(a, "POST", "/v1/chat/completions", body, err);
        } else {
            st = chat_turn(&t, messages, err);
        }
    }
done:
    wick_buf_release(&t.answer);
    json_decref(messages);
    wick_free(text);
    wick_free(system);
    return st;
}

static wick_status run_complete(const wick_args *a, wick_err *err)
{
    char *text = NULL;
    size_t n = 0;
    turn t = {.a = a};
    wick_status st = WICK_OK;
    const bool from_stdin = a->n_operands == 0 || strcmp(a->operand[0], "-") == 0;
    if (from_stdin) WICK_TRY(wick_read_stdin(&text, &n, err));
    json_t *body = request_body(a, !a->json);
    json_object_set_new(body, "prompt", from_stdin ? wick_json_text(text, n) : json_string(a->operand[0]));
    wick_free(text);
    if (a->json) return print_call(a, "POST", "/v1/completions", body, err);
    st = wick_client_stream(a, "/v1/completions", body, show_delta, &t, err);
    json_decref(body);
    wick_buf_release(&t.answer);
    if (st == WICK_OK) wick_term_text("\n", 1);
    return st;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "-";
}

/* Server text goes to a terminal: escaped. */
static void print_field(const char *s, int width)
{
    char shown[256];
    wick_escape_line(shown, sizeof shown, s, strlen(s));
    printf("%-*s ", width, shown);
}

static wick_status run_models(const wick_args *a, wick_err *err)
{
    json_t *v;
    if (a->json) return print_call(a, "GET", "/v1/models", NULL, err);
    WICK_TRY(wick_client_call(a, "GET", "/v1/models", NULL, &v, err));
    const json_t *list = json_object_get(v, "data");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        print_field(text_of(m, "id"), 32);
        print_field(text_of(m, "state"), 9);
        print_field(text_of(m, "backend"), 6);
        printf("%8lld tokens  ", (long long)json_integer_value(json_object_get(m, "context")));
        print_field(text_of(m, "device"), 0);
        puts(json_is_true(json_object_get(m, "default")) ? " (default)" : "");
    }
    json_decref(v);
    return WICK_OK;
}

static wick_status run_status(const wick_args *a, wick_err *err)
{
    json_t *v;
    char size[32];
    if (a->json) return print_call(a, "GET", "/status", NULL, err);
    WICK_TRY(wick_client_call(a, "GET", "/status", NULL, &v, err));
    printf("wick %s, up %.0f s%s; %lld requests active, %lld connections, memory peak %s\n", text_of(v, "version"),
           json_number_value(json_object_get(v, "uptime_seconds")),
           json_is_true(json_object_get(v, "draining")) ? ", draining" : "",
           (long long)json_integer_value(json_object_get(v, "active")),
           (long long)json_integer_value(json_object_get(v, "connections")),
           wick_format_bytes(size, sizeof size, (uint64_t)json_integer_value(json_object_get(v, "memory_peak_bytes"))));
    const json_t *list = json_object_get(v, "models");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        print_field(text_of(m, "id"), 32);
        print_field(text_of(m, "state"), 9);
        printf("running %lld, waiting %lld, %lld requests, %lld + %lld tokens (%lld cached), ",
               (long long)json_integer_value(json_object_get(m, "running")),
               (long long)json_integer_value(json_object_get(m, "waiting")),
               (long long)json_integer_value(json_object_get(m, "requests")),
               (long long)json_integer_value(json_object_get(m, "prompt_tokens")),
               (long long)json_integer_value(json_object_get(m, "generated_tokens")),
               (long long)json_integer_value(json_object_get(m, "cached_tokens")));
        printf("%s\n", wick_format_bytes(size, sizeof size, (uint64_t)json_integer_value(json_object_get(m, "bytes"))));
    }
    json_decref(v);
    return WICK_OK;
}

typedef struct admin_verb {
    const char *words, *method, *path, *operand; /* operand: the field that the last word fills, or NULL */
} admin_verb;

static const admin_verb verbs[] = {
    {"models", "GET", "/admin/models", NULL},
    {"load", "POST", "/admin/models/load", "model"},
    {"unload", "POST", "/admin/models/unload", "model"},
    {"default", "POST", "/admin/models/default", "model"},
    {"keys", "GET", "/admin/keys", NULL},
    {"key-add", "POST", "/admin/keys", "name"},
    {"key-limits", "POST", "/admin/keys/limits", "name"},
    {"key-remove", "DELETE", "/admin/keys/", "name"},
    {"cache-clear", "POST", "/admin/cache/clear", NULL},
    {"cache-warm", "POST", "/admin/cache/warm", "prompt"},
    {"drain", "POST", "/admin/drain", NULL},
};

static void set_limit(json_t *body, const char *name, uint32_t n)
{
    if (n) json_object_set_new(body, name, json_integer(n));
}

static json_t *admin_body(const wick_args *a, const admin_verb *v)
{
    json_t *body = json_object();
    if (v->operand) json_object_set_new(body, v->operand, json_string(a->operand[1]));
    if (strncmp(v->words, "key-", 4) == 0) {
        set_limit(body, "requests_per_minute", a->rpm);
        set_limit(body, "tokens_per_minute", a->tpm);
        set_limit(body, "concurrent", a->concurrent);
    }
    if (strcmp(v->words, "key-add") == 0 && a->scopes) {
        json_t *list = json_array();
        for (const char *s = a->scopes; *s;) {
            size_t n = strcspn(s, ",");
            json_array_append_new(list, json_stringn(s, n));
            s += n + (s[n] == ',');
        }
        json_object_set_new(body, "scopes", list);
    }
    if (strncmp(v->words, "cache-", 6) == 0 && a->model) json_object_set_new(body, "model", json_string(a->model));
    return body;
}

static wick_status run_admin(const wick_args *a, wick_err *err)
{
    const admin_verb *v = NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].words, a->operand[0]) == 0) v = &verbs[i];
    if (!v)
        return WICK_FAIL(
            err, WICK_E_BAD_PARAMETER, a->operand[0],
            "wick admin %s: there is models, load, unload, default, keys, key-add, key-limits, key-remove, "
            "cache-clear, cache-warm, drain",
            a->operand[0]);
    if ((v->operand != NULL) != (a->n_operands == 2))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, v->words, "usage: wick admin %s%s%s", v->words,
                         v->operand ? " " : "", v->operand ? v->operand : "");
    if (strcmp(v->method, "DELETE") == 0) {
        char path[300];
        snprintf(path, sizeof path, "%s%.200s", v->path, a->operand[1]);
        return print_call(a, v->method, path, NULL, err);
    }
    return print_call(a, v->method, v->path, strcmp(v->method, "GET") == 0 ? NULL : admin_body(a, v), err);
}

#define AT(member) offsetof(wick_args, member)
static const wick_opt ask_opts[] = {
    {"system", 0, WICK_OPT_STR, "TEXT|FILE", "system prompt (chat): a text, or a file with it", AT(system), 0, 0, NULL,
     NULL, 0},
    {"max-tokens", 'n', WICK_OPT_U32, "N", "stop after N tokens", AT(max_tokens), 0, 0, NULL, NULL, 0},
    {"stop", 0, WICK_OPT_LIST, "TEXT", "stop before this text; may be repeated", AT(stop), 0, 0, NULL, NULL, 0},
};
static const wick_opt chat_opts[] = {
    {"file", 'f', WICK_OPT_STR, "FILE", "text before the message (-: standard input)", AT(file), 0, 0, NULL, NULL, 0},
    {"plain", 0, WICK_OPT_FLAG, NULL, "no Markdown on the terminal (also NO_COLOR)", AT(plain), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group chat_group = {"Options", chat_opts, sizeof chat_opts / sizeof *chat_opts};
static const wick_opt_group ask_group = {"Request", ask_opts, sizeof ask_opts / sizeof *ask_opts};

static const wick_opt admin_opts[] = {
    {"scopes", 0, WICK_OPT_STR, "LIST", "key-add: infer,metrics,admin (default infer)", AT(scopes), 0, 0, NULL, NULL,
     0},
    {"requests-per-minute", 0, WICK_OPT_U32, "N", "key-add, key-limits: 0: no limit", AT(rpm), 0, 0, NULL, NULL, 0},
    {"tokens-per-minute", 0, WICK_OPT_U32, "N", "key-add, key-limits: 0: no limit", AT(tpm), 0, 0, NULL, NULL, 0},
    {"concurrent", 0, WICK_OPT_U32, "N", "key-add, key-limits: requests at once; 0: no limit", AT(concurrent), 0, 0,
     NULL, NULL, 0},
};
static const wick_opt_group admin_group = {"Keys", admin_opts, sizeof admin_opts / sizeof *admin_opts};

const wick_command wick_cmd_chat = {
    .name = "chat",
    .operands = "[MESSAGE...]",
    .max_operands = 63,
    .summary = "talk to a model of a running server",
    .about = "Without a message: a conversation, as wick run has it. Any server with OpenAI's API will do.",
    .examples =
        "wick chat --url http://127.0.0.1:11535\ta conversation\nwick chat \"Why is the sky blue?\" --json\tone "
        "answer",
    .group = {&chat_group, &ask_group, &wick_opts_sampler, &wick_opts_client, &wick_opts_common},
    .run = run_chat,
};

const wick_command wick_cmd_complete = {
    .name = "complete",
    .operands = "[PROMPT]",
    .max_operands = 1,
    .summary = "continue a text with a model of a running server",
    .about = "The prompt is the operand, or standard input.",
    .examples = "wick complete \"Once upon a time\" -n 100\ton the default server",
    .group = {&ask_group, &wick_opts_sampler, &wick_opts_client, &wick_opts_common},
    .run = run_complete,
};

const wick_command wick_cmd_models = {
    .name = "models",
    .operands = "",
    .summary = "the models of a running server",
    .examples = "wick models --url http://127.0.0.1:11535\t",
    .group = {&wick_opts_client, &wick_opts_common},
    .run = run_models,
};

const wick_command wick_cmd_status = {
    .name = "status",
    .operands = "",
    .summary = "a running server at a glance",
    .examples = "wick status --json\tfor scripts",
    .group = {&wick_opts_client, &wick_opts_common},
    .run = run_status,
};

const wick_command wick_cmd_admin = {
    .name = "admin",
    .operands = "VERB [NAME]",
    .min_operands = 1,
    .max_operands = 2,
    .summary = "change a running server: models, keys, caches, drain",
    .about = "Verbs: models, load MODEL, unload MODEL, default MODEL, keys, key-add NAME, key-limits NAME,\n"
             "key-remove NAME, cache-clear, cache-warm TEXT, drain. The answer is printed as JSON.",
    .examples =
        "wick admin load models/wick-shell\t\nwick admin key-add team --requests-per-minute 600\tprints the key once",
    .group = {&admin_group, &wick_opts_client, &wick_opts_common},
    .run = run_admin,
};
