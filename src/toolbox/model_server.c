/* toolbox/model_server.c - see model_server.h. */
#include "toolbox/model_server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "chat/options.h"
#include "chat/tools.h"
#include "chat/turn.h"
#include "engine/embed.h"

#define COMMON_PROPERTIES                                                                                            \
    "\"max_tokens\":{\"type\":\"integer\",\"minimum\":1},\"temperature\":{\"type\":\"number\",\"minimum\":0},"       \
    "\"seed\":{\"type\":\"integer\"},\"stop\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":16}," \
    "\"model\":{\"type\":\"string\",\"description\":\"a model of the resources; the default without it\"}"

enum { STOP_MAX = 16, MAX_TOKENS = 1024, EMBED_MAX = 256 };

/* One call of a tool: what every tool is given. */
typedef struct tool_run {
    const wick_model_source *source;
    wick_mcp_call *call;
    json_t *arguments;  /* they fit the tool's schema */
    wick_model_use use; /* of tools that need a model */
} tool_run;

static void count(const tool_run *r, const wick_usage *usage, wick_finish how)
{
    if (how != WICK_FINISH_NONE && r->source->count)
        r->source->count(r->source->ctx, wick_mcp_call_peer(r->call), &r->use, usage, how);
}

/* --- generating --------------------------------------------------------------------------------------------------- */
typedef struct job {
    wick_mcp_call *call;
    uint32_t max_tokens;
} job;

static bool cancelled(void *ctx)
{
    return wick_mcp_call_cancelled(((job *)ctx)->call);
}

static void step(void *ctx, uint32_t n)
{
    const job *j = ctx;
    wick_mcp_call_progress(j->call, n, j->max_tokens, NULL);
}

/* Lengths, sampling and stops of the arguments. */
static wick_status read_options(const json_t *a, const wick_engine *e, wick_turn *t, const char *stop[STOP_MAX],
                                wick_err *err)
{
    const json_t *list = json_object_get(a, "stop"), *seed = json_object_get(a, "seed");
    wick_sampling_given given = {0};
    int64_t n;
    double temperature;
    WICK_TRY(wick_json_i64(a, "max_tokens", 1, 1 << 24, MAX_TOKENS, &n, "arguments", err));
    WICK_TRY(wick_json_f64(a, "temperature", 0, 100, -1, &temperature, "arguments", err));
    t->request.max_tokens = (uint32_t)n;
    wick_sampling_defaults(&t->request.sampling);
    if (temperature >= 0) {
        t->request.sampling.temperature = (float)temperature;
        given.temperature = true;
    }
    WICK_TRY(wick_sampling_resolve(&t->request.sampling, &given, e, err));
    if (json_is_integer(seed)) {
        t->request.sampling.has_seed = true;
        t->request.sampling.seed = (uint64_t)json_integer_value(seed);
    }
    for (size_t i = 0; i < json_array_size(list) && i < STOP_MAX; i++) {
        stop[i] = json_string_value(json_array_get(list, i));
        if (!stop[i] || !*stop[i]) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "stop", "stop: must be texts");
        t->request.n_stop++;
    }
    t->request.stop = stop;
    return WICK_OK;
}

static json_t *messages_of(const json_t *a)
{
    const json_t *given = json_object_get(a, "messages"), *text = json_object_get(a, "prompt");
    const json_t *system = json_object_get(a, "system");
    json_t *list = json_array();
    if (json_is_string(system))
        json_array_append_new(list, json_pack("{s:s, s:O}", "role", "system", "content", system));
    if (json_is_array(given)) json_array_extend(list, (json_t *)(uintptr_t)given);
    if (json_is_string(text)) json_array_append_new(list, json_pack("{s:s, s:O}", "role", "user", "content", text));
    return list;
}

/* The answer's text as content, and the whole of it as structured content. */
static wick_status give_answer(wick_mcp_call *c, const wick_turn *t, wick_err *err)
{
    const json_t *text = json_object_get(t->message, "content"),
                 *thought = json_object_get(t->message, "reasoning_content");
    json_t *data =
        json_pack("{s:O, s:s, s:{s:i, s:i}}", "text", text, "finish_reason", wick_answer_end_name(t->end), "usage",
                  "prompt_tokens", (int)t->usage.n_prompt, "completion_tokens", (int)t->usage.n_gen);
    if (thought) json_object_set(data, "reasoning", (json_t *)(uintptr_t)thought);
    json_t *result =
        json_pack("{s:[{s:s, s:O}], s:o}", "content", "type", "text", "text", text, "structuredContent", data);
    char *json = json_dumps(result, 0);
    const wick_status st = json ? wick_mcp_call_result(c, json, err) : wick_err_oom(err, "MCP result", 0, 0);
    free(json);
    json_decref(result);
    return st;
}

/* chat: messages or prompt; complete: prompt as it is. */
static wick_status generate(tool_run *r, bool chat, wick_err *err)
{
    wick_turn t;
    const char *stop[STOP_MAX];
    job j = {.call = r->call};
    json_t *messages = chat ? messages_of(r->arguments) : NULL;
    wick_turn_init(&t);
    wick_status st = read_options(r->arguments, r->use.engine, &t, stop, err);
    if (st == WICK_OK && chat && json_array_size(messages) == 0)
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: give messages or a prompt");
    j.max_tokens = t.request.max_tokens;
    t.request.domain = r->use.domain;
    t.request.priority = r->use.priority;
    t.request.deadline_ms = r->use.deadline_ms;
    t.messages = messages;
    t.prompt = chat ? NULL : json_string_value(json_object_get(r->arguments, "prompt"));
    t.step = step;
    t.cancelled = cancelled;
    t.ctx = &j;
    if (st == WICK_OK) st = wick_turn_run(&t, r->use.engine, r->use.chat, err);
    count(r, &t.usage, t.finish);
    if (st == WICK_OK) st = give_answer(r->call, &t, err);
    json_decref(t.message);
    json_decref(messages);
    return st;
}

static wick_status tool_chat(tool_run *r, wick_err *err)
{
    return generate(r, true, err);
}

static wick_status tool_complete(tool_run *r, wick_err *err)
{
    return generate(r, false, err);
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */
static wick_status encode(const wick_engine *e, const char *text, int32_t **ids, size_t *n, wick_err *err)
{
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    if (!t) return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "text", "this model has no tokenizer");
    return wick_tokenizer_encode(t, text, strlen(text), 0, ids, n, err);
}

static wick_status embed_one(tool_run *run, const char *text, json_t **out, wick_err *err)
{
    wick_engine *e = run->use.engine;
    wick_request_opts o;
    wick_embed_item item = {0};
    const wick_embed_how how = {0};
    const uint32_t width = wick_embed_width(e, WICK_REQ_EMBED);
    float *v = wick_alloc(width * sizeof *v);
    wick_status st = v ? WICK_OK : wick_err_oom(err, "an embedding", width * sizeof *v, 0);
    wick_request_opts_init(&o);
    o.kind = WICK_REQ_EMBED;
    o.domain = run->use.domain;
    o.priority = run->use.priority;
    o.deadline_ms = run->use.deadline_ms;
    if (st == WICK_OK) st = wick_embed_encode(e, wick_str_of(text), &how, &item.ids, &item.n_ids, err);
    if (st == WICK_OK) st = wick_embed_batch(e, &o, &item, 1, v, err);
    if (st == WICK_OK) {
        const wick_usage usage = {.n_prompt = (uint32_t)item.n_ids};
        const uint32_t n = wick_embed_finish(v, width, 0, true);
        count(run, &usage, WICK_FINISH_LENGTH);
        *out = json_array();
        for (uint32_t i = 0; i < n; i++) json_array_append_new(*out, json_real((double)v[i]));
    }
    wick_free(item.ids);
    wick_free(v);
    return st;
}

/* A result that is one JSON value, as text and as structured content; takes it. */
static wick_status give_value(wick_mcp_call *c, json_t *value, wick_err *err)
{
    char *text = json_dumps(value, JSON_REAL_PRECISION(9));
    json_t *result = json_pack("{s:[{s:s, s:s}], s:o}", "content", "type", "text", "text", text ? text : "",
                               "structuredContent", value);
    char *json = json_dumps(result, JSON_REAL_PRECISION(9));
    const wick_status st = json && text ? wick_mcp_call_result(c, json, err) : wick_err_oom(err, "MCP result", 0, 0);
    free(text);
    free(json);
    json_decref(result);
    return st;
}

static wick_status tool_embed(tool_run *r, wick_err *err)
{
    const json_t *input = json_object_get(r->arguments, "input");
    const size_t n = json_is_array(input) ? json_array_size(input) : 1;
    json_t *list = json_array();
    wick_status st =
        n > EMBED_MAX ? WICK_FAIL(err, WICK_E_LIMIT, "input", "input: at most %d texts", EMBED_MAX) : WICK_OK;
    for (size_t i = 0; st == WICK_OK && i < n && !wick_mcp_call_cancelled(r->call); i++) {
        const char *text = json_string_value(json_is_array(input) ? json_array_get(input, i) : input);
        json_t *vector = NULL;
        st = text && *text ? embed_one(r, text, &vector, err)
                           : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "input", "input: a text is empty");
        if (st == WICK_OK) json_array_append_new(list, vector);
    }
    if (st == WICK_OK) return give_value(r->call, json_pack("{s:o}", "embeddings", list), err);
    json_decref(list);
    return st;
}

static wick_status tool_tokenize(tool_run *r, wick_err *err)
{
    int32_t *ids = NULL;
    size_t n = 0;
    WICK_TRY(encode(r->use.engine, json_string_value(json_object_get(r->arguments, "text")), &ids, &n, err));
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer(ids[i]));
    wick_free(ids);
    return give_value(r->call, json_pack("{s:o, s:I}", "ids", list, "n", (json_int_t)n), err);
}

static wick_status tool_shell(tool_run *r, wick_err *err)
{
    wick_buf out = WICK_BUF_INIT;
    const char *request = json_string_value(json_object_get(r->arguments, "request"));
    wick_status st = r->source->shell(r->source->ctx, request, &out, err);
    if (st == WICK_OK) st = wick_mcp_call_text(r->call, wick_buf_str(&out), err);
    wick_buf_release(&out);
    return st;
}

/* --- resources and prompts ---------------------------------------------------------------------------------------- */
static wick_status read_models(void *user, wick_mcp_call *c, wick_err *err)
{
    const wick_model_source *s = user;
    json_t *list = s->models(s->ctx);
    char *text = json_dumps(list, JSON_INDENT(2));
    json_t *entry = json_pack("{s:s, s:s, s:s}", "uri", wick_mcp_call_name(c), "mimeType", "application/json", "text",
                              text ? text : "[]");
    char *json = json_dumps(entry, 0);
    const wick_status st = json ? wick_mcp_call_content(c, json, err) : wick_err_oom(err, "MCP result", 0, 0);
    free(text);
    free(json);
    json_decref(entry);
    json_decref(list);
    return st;
}

/* user: what is asked of the text. */
static wick_status prompt_text(void *user, wick_mcp_call *c, wick_err *err)
{
    json_t *a = NULL;
    wick_buf b = WICK_BUF_INIT;
    WICK_TRY(wick_json_parse(wick_mcp_call_arguments(c), strlen(wick_mcp_call_arguments(c)), "arguments", &a, err));
    const char *text = json_string_value(json_object_get(a, "text"));
    wick_buf_printf(&b, "%s\n\n", (const char *)user);
    wick_buf_puts(&b, text ? text : "");
    json_t *m = json_pack("{s:s, s:{s:s, s:s}}", "role", "user", "content", "type", "text", "text", wick_buf_str(&b));
    char *json = m ? json_dumps(m, 0) : NULL;
    const wick_status st = json ? wick_mcp_call_content(c, json, err) : wick_err_oom(err, "MCP result", 0, 0);
    free(json);
    json_decref(m);
    json_decref(a);
    wick_buf_release(&b);
    return st;
}

/* --- the server --------------------------------------------------------------------------------------------------- */
static const struct tool {
    const char *name, *definition;
    bool needs_model;
    wick_status (*fn)(tool_run *r, wick_err *err);
} tools[] = {
    {"chat",
     "{\"name\":\"chat\",\"title\":\"Chat\",\"description\":\"An answer of a local language model to a conversation or "
     "a prompt.\","
     "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"prompt\":{\"type\":\"string\"},\"system\":{\"type\":"
     "\"string\"},"
     "\"messages\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}," COMMON_PROPERTIES "}},"
     "\"annotations\":{\"readOnlyHint\":true,\"openWorldHint\":false}}",
     true, tool_chat},
    {"complete",
     "{\"name\":\"complete\",\"title\":\"Complete\",\"description\":\"Goes on with a raw text, without a chat "
     "template.\","
     "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"prompt\":{\"type\":\"string\"}," COMMON_PROPERTIES "},"
     "\"required\":[\"prompt\"]},\"annotations\":{\"readOnlyHint\":true,\"openWorldHint\":false}}",
     true, tool_complete},
    {"embed",
     "{\"name\":\"embed\",\"title\":\"Embed\",\"description\":\"Vectors of length 1 for one or several texts.\","
     "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"input\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":"
     "\"array\","
     "\"items\":{\"type\":\"string\"}}]},\"model\":{\"type\":\"string\"}},\"required\":[\"input\"]},"
     "\"annotations\":{\"readOnlyHint\":true,\"openWorldHint\":false}}",
     true, tool_embed},
    {"tokenize",
     "{\"name\":\"tokenize\",\"title\":\"Tokenize\",\"description\":\"The token ids of a "
     "text.\",\"inputSchema\":{\"type\":"
     "\"object\",\"properties\":{\"text\":{\"type\":\"string\"},\"model\":{\"type\":\"string\"}},\"required\":["
     "\"text\"]},"
     "\"annotations\":{\"readOnlyHint\":true,\"openWorldHint\":false}}",
     true, tool_tokenize},
    {"shell_command",
     "{\"name\":\"shell_command\",\"title\":\"Shell command\",\"description\":\"A POSIX shell command for a "
     "request in words. It is not run.\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"request\":{\"type\":"
     "\"string\",\"minLength\":1}},\"required\":[\"request\"]},"
     "\"annotations\":{\"readOnlyHint\":true,\"openWorldHint\":false}}",
     false, tool_shell},
};

/* Parses the arguments and compares them with the schema that the definition shows. */
static wick_status read_arguments(const struct tool *t, wick_mcp_call *c, json_t **out, wick_err *err)
{
    const char *text = wick_mcp_call_arguments(c);
    json_t *definition = NULL;
    WICK_TRY(wick_json_parse(text, strlen(text), "arguments", out, err));
    wick_status st = wick_json_parse(t->definition, strlen(t->definition), t->name, &definition, err);
    if (st == WICK_OK) st = wick_tool_check(json_object_get(definition, "inputSchema"), *out, err);
    json_decref(definition);
    return st;
}

/* Every tool's handler: what is the same for all of them. */
static wick_status run_tool(void *user, wick_mcp_call *c, wick_err *err)
{
    tool_run r = {.source = user, .call = c};
    void *peer = wick_mcp_call_peer(c);
    size_t i = 0;
    while (strcmp(tools[i].name, wick_mcp_call_name(c)) != 0) i++;
    wick_status st = read_arguments(&tools[i], c, &r.arguments, err);
    if (st == WICK_OK && tools[i].needs_model) {
        const char *model = json_string_value(json_object_get(r.arguments, "model"));
        st = r.source->take(r.source->ctx, peer, model, &r.use, err);
    }
    if (st == WICK_OK) st = tools[i].fn(&r, err);
    if (r.use.engine) r.source->give(r.source->ctx, &r.use);
    json_decref(r.arguments);
    return st;
}

static wick_status fill(wick_mcp_server *m, wick_model_source *s, wick_err *err)
{
    static const char text[] = "\"arguments\":[{\"name\":\"text\",\"description\":\"the text\",\"required\":true}]}";
    wick_status st = WICK_OK;
    for (size_t i = 0; st == WICK_OK && i < sizeof tools / sizeof *tools; i++)
        if (tools[i].fn != tool_shell || s->shell)
            st = wick_mcp_server_add_tool(m, tools[i].definition, run_tool, s, err);
    if (st == WICK_OK)
        st = wick_mcp_server_add_resource(
            m,
            "{\"uri\":\"wick://models\",\"name\":\"models\",\"description\":\"The models that can "
            "be asked\",\"mimeType\":\"application/json\"}",
            read_models, s, err);
    static const struct {
        const char *name, *description, *ask;
    } prompts[] = {{"summarize", "A short summary of a text", "Summarize the following text in a few sentences."},
                   {"explain", "An explanation in plain words", "Explain the following in plain words."}};
    for (size_t i = 0; st == WICK_OK && i < sizeof prompts / sizeof *prompts; i++) {
        char definition[512];
        snprintf(definition, sizeof definition, "{\"name\":\"%s\",\"description\":\"%s\",%s", prompts[i].name,
                 prompts[i].description, text);
        st = wick_mcp_server_add_prompt(m, definition, prompt_text, (void *)(uintptr_t)prompts[i].ask, err);
    }
    return st;
}

wick_status wick_model_server_new(wick_mcp_server **out, const wick_model_source *source, wick_err *err)
{
    const wick_mcp_server_options o = {.name = "wick",
                                       .version = WICK_VERSION,
                                       .instructions =
                                           "Language models on this machine. chat answers a conversation, complete "
                                           "goes on with a text, embed gives vectors, tokenize token ids."};
    wick_mcp_server *m = NULL;
    WICK_TRY(wick_mcp_server_new(&m, &o, err));
    const wick_status st = fill(m, (wick_model_source *)(uintptr_t)source, err);
    if (st != WICK_OK) {
        wick_mcp_server_free(m);
        return st;
    }
    *out = m;
    return WICK_OK;
}

/* --- a source of one model ---------------------------------------------------------------------------------------- */
static wick_status take_one(void *ctx, void *peer, const char *id, wick_model_use *out, wick_err *err)
{
    const wick_model_use *one = ctx;
    (void)err;
    (void)peer;
    (void)id; /* it answers to every name */
    *out = *one;
    return WICK_OK;
}

static void give_one(void *ctx, const wick_model_use *use)
{
    (void)ctx;
    (void)use;
}

static json_t *list_one(void *ctx)
{
    const wick_engine *e = ((const wick_model_use *)ctx)->engine;
    return json_pack("[{s:s, s:s, s:I}]", "id", wick_engine_model(e)->name, "backend", wick_engine_backend_name(e),
                     "context", (json_int_t)wick_engine_ctx(e));
}

wick_model_source wick_model_source_of(wick_model_use *one)
{
    return (wick_model_source){.ctx = one, .take = take_one, .give = give_one, .models = list_one};
}
