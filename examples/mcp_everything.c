/* examples/mcp_everything.c - an MCP server with one of everything: what the official conformance suite runs against.
 *
 *   mcp_everything                 on standard input and output
 *   mcp_everything --port 3000     on http://127.0.0.1:3000/mcp
 *
 * Build: cc mcp_everything.c $(pkg-config --cflags --libs wick jansson)
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "wick/mcp.h"

#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
#define WAV "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
#define EMPTY "\"inputSchema\":{\"type\":\"object\",\"properties\":{}}"

static void pause_ms(long ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* A text argument of the call, in out[0..n). */
static void argument(wick_mcp_call *c, const char *name, char *out, size_t n)
{
    json_t *a = json_loads(wick_mcp_call_arguments(c), 0, NULL);
    const char *s = json_string_value(json_object_get(a, name));
    snprintf(out, n, "%s", s ? s : "");
    json_decref(a);
}

/* {"type": "text", ...} around a formatted text, as the call's result. */
static wick_status say(wick_mcp_call *c, wick_error *err, const char *fmt, const char *a, const char *b)
{
    char text[2048];
    snprintf(text, sizeof text, fmt, a, b);
    return wick_mcp_call_text(c, text, err);
}

/* --- tools that answer at once ------------------------------------------------------------------------------------ */
static wick_status simple_text(void *user, wick_mcp_call *c, wick_error *err)
{
    (void)user;
    return wick_mcp_call_text(c, "This is a simple text response for testing.", err);
}

/* user: a content block. */
static wick_status one_block(void *user, wick_mcp_call *c, wick_error *err)
{
    return wick_mcp_call_content(c, user, err);
}

static wick_status mixed(void *user, wick_mcp_call *c, wick_error *err)
{
    (void)user;
    wick_status st = wick_mcp_call_text(c, "Multiple content types test:", err);
    if (st == WICK_OK)
        st = wick_mcp_call_content(c, "{\"type\":\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"}", err);
    if (st != WICK_OK) return st;
    return wick_mcp_call_content(
        c,
        "{\"type\":\"resource\",\"resource\":{\"uri\":\"test://mixed-content-resource\","
        "\"mimeType\":\"application/json\",\"text\":\"{\\\"test\\\":\\\"data\\\",\\\"value\\\":123}\"}}",
        err);
}

static wick_status failing(void *user, wick_mcp_call *c, wick_error *err)
{
    (void)user;
    (void)c;
    if (err) snprintf(err->message, sizeof err->message, "This tool intentionally returns an error for testing");
    return WICK_E_INTERNAL;
}

static wick_status logging(void *user, wick_mcp_call *c, wick_error *err)
{
    (void)user;
    wick_mcp_call_log(c, "info", "\"Tool execution started\"");
    pause_ms(50);
    wick_mcp_call_log(c, "info", "\"Tool processing data\"");
    pause_ms(50);
    wick_mcp_call_log(c, "info", "\"Tool execution completed\"");
    return wick_mcp_call_text(c, "Logged three messages.", err);
}

static wick_status progress(void *user, wick_mcp_call *c, wick_error *err)
{
    (void)user;
    for (int i = 0; i <= 100; i += 50) {
        wick_mcp_call_progress(c, i, 100, NULL);
        pause_ms(60);
    }
    return wick_mcp_call_text(c, "Reported progress.", err);
}

static wick_status echo_header(void *user, wick_mcp_call *c, wick_error *err)
{
    char region[256];
    (void)user;
    argument(c, "region", region, sizeof region);
    return say(c, err, "region: %s%s", region, "");
}

/* --- tools that ask the client ------------------------------------------------------------------------------------ */
#define ELICIT_USER                                                                                                \
    "{\"type\":\"object\",\"properties\":{\"username\":{\"type\":\"string\",\"description\":\"User's response\"}," \
    "\"email\":{\"type\":\"string\",\"description\":\"User's email address\"}},\"required\":[\"username\",\"email\"]}"
#define ELICIT_DEFAULTS                                                                                       \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"default\":\"John Doe\"},"           \
    "\"age\":{\"type\":\"integer\",\"default\":30},\"score\":{\"type\":\"number\",\"default\":95.5},"         \
    "\"status\":{\"type\":\"string\",\"enum\":[\"active\",\"inactive\",\"pending\"],\"default\":\"active\"}," \
    "\"verified\":{\"type\":\"boolean\",\"default\":true}},\"required\":[]}"
#define ELICIT_ENUMS                                                                                               \
    "{\"type\":\"object\",\"properties\":{"                                                                        \
    "\"untitledSingle\":{\"type\":\"string\",\"enum\":[\"option1\",\"option2\",\"option3\"]},"                     \
    "\"titledSingle\":{\"type\":\"string\",\"oneOf\":[{\"const\":\"value1\",\"title\":\"First Option\"},"          \
    "{\"const\":\"value2\",\"title\":\"Second Option\"},{\"const\":\"value3\",\"title\":\"Third Option\"}]},"      \
    "\"legacyEnum\":{\"type\":\"string\",\"enum\":[\"opt1\",\"opt2\",\"opt3\"],"                                   \
    "\"enumNames\":[\"Option One\",\"Option Two\",\"Option Three\"]},"                                             \
    "\"untitledMulti\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"option1\",\"option2\","      \
    "\"option3\"]}},"                                                                                              \
    "\"titledMulti\":{\"type\":\"array\",\"items\":{\"anyOf\":[{\"const\":\"value1\",\"title\":\"First Choice\"}," \
    "{\"const\":\"value2\",\"title\":\"Second Choice\"},{\"const\":\"value3\",\"title\":\"Third Choice\"}]}}},"    \
    "\"required\":[]}"

/* Asks for a form; *answer as of wick_mcp_call_ask. */
static wick_status elicit(wick_mcp_call *c, const char *key, const char *message, const char *schema,
                          const char **answer, wick_error *err)
{
    char params[4096];
    char quoted[1024];
    size_t n = 0;
    for (const char *p = message; *p && n + 7 < sizeof quoted; p++) {
        if ((unsigned char)*p < 0x20)
            n += (size_t)snprintf(quoted + n, 8, "\\u%04x", (unsigned char)*p);
        else
            n += (size_t)snprintf(quoted + n, 3, strchr("\"\\", *p) ? "\\%c" : "%c", *p);
    }
    quoted[n] = '\0';
    snprintf(params, sizeof params, "{\"message\":\"%s\",\"requestedSchema\":%s}", quoted, schema);
    return wick_mcp_call_ask(c, key, "elicitation/create", params, answer, err);
}

static wick_status sampling(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer;
    char prompt[1024];
    (void)user;
    argument(c, "prompt", prompt, sizeof prompt);
    json_t *p = json_pack("{s:[{s:s, s:{s:s, s:s}}], s:i}", "messages", "role", "user", "content", "type", "text",
                          "text", prompt, "maxTokens", 100);
    char *text = json_dumps(p, 0);
    wick_status st = wick_mcp_call_ask(c, "sample", "sampling/createMessage", text, &answer, err);
    free(text);
    json_decref(p);
    if (st != WICK_OK || !answer) return st;
    json_t *a = json_loads(answer, 0, NULL);
    const char *said = json_string_value(json_object_get(json_object_get(a, "content"), "text"));
    st = say(c, err, "LLM response: %s%s", said ? said : "", "");
    json_decref(a);
    return st;
}

static wick_status elicitation(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer;
    char message[512];
    (void)user;
    argument(c, "message", message, sizeof message);
    const wick_status st = elicit(c, "user", message, ELICIT_USER, &answer, err);
    return st != WICK_OK || !answer ? st : say(c, err, "User response: %s%s", answer, "");
}

/* user: the schema. */
static wick_status elicit_form(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer;
    const wick_status st = elicit(c, "form", "Please fill in the form", user, &answer, err);
    if (st != WICK_OK || !answer) return st;
    json_t *a = json_loads(answer, 0, NULL);
    const char *action = json_string_value(json_object_get(a, "action"));
    char *content = json_dumps(json_object_get(a, "content"), JSON_ENCODE_ANY);
    const wick_status said =
        say(c, err, "Elicitation completed: action=%s, content=%s", action ? action : "?", content ? content : "{}");
    free(content);
    json_decref(a);
    return said;
}

#define ASK_NAME "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}},\"required\":[\"name\"]}"
#define ASK_OK "{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"}},\"required\":[\"ok\"]}"
#define ASK_COLOR "{\"type\":\"object\",\"properties\":{\"color\":{\"type\":\"string\"}},\"required\":[\"color\"]}"
#define ASK_CONTEXT \
    "{\"type\":\"object\",\"properties\":{\"context\":{\"type\":\"string\"}},\"required\":[\"context\"]}"
#define ASK_CAPITAL                                                                                                    \
    "{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"What is the capital of France?\"}}]," \
    "\"maxTokens\":100}"
#define ASK_GREETING                                                                                        \
    "{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"Generate a greeting\"}}]," \
    "\"maxTokens\":50}"

static wick_status round_elicitation(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer;
    (void)user;
    const wick_status st = elicit(c, "user_name", "What is your name?", ASK_NAME, &answer, err);
    if (st != WICK_OK || !answer) return st;
    json_t *a = json_loads(answer, 0, NULL);
    const char *name = json_string_value(json_object_get(json_object_get(a, "content"), "name"));
    const wick_status said = say(c, err, "Hello, %s!%s", name ? name : "stranger", "");
    json_decref(a);
    return said;
}

static wick_status round_sampling(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer;
    (void)user;
    const wick_status st =
        wick_mcp_call_ask(c, "capital_question", "sampling/createMessage", ASK_CAPITAL, &answer, err);
    return st != WICK_OK || !answer ? st : say(c, err, "The client's model said: %s%s", answer, "");
}

static wick_status round_roots(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer;
    (void)user;
    const wick_status st = wick_mcp_call_ask(c, "client_roots", "roots/list", "{}", &answer, err);
    return st != WICK_OK || !answer ? st : say(c, err, "Roots: %s%s", answer, "");
}

static wick_status round_state(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer, *state = wick_mcp_call_state(c);
    (void)user;
    wick_status st = elicit(c, "confirm", "Please confirm", ASK_OK, &answer, err);
    if (st != WICK_OK) return st;
    if (!answer || !state) return wick_mcp_call_keep(c, "round-1", err);
    return say(c, err, strcmp(state, "round-1") == 0 ? "state-ok%s%s" : "wrong state%s%s", "", "");
}

static wick_status round_many(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *name, *greeting, *roots;
    (void)user;
    wick_status st = elicit(c, "user_name", "What is your name?", ASK_NAME, &name, err);
    if (st == WICK_OK) st = wick_mcp_call_ask(c, "greeting", "sampling/createMessage", ASK_GREETING, &greeting, err);
    if (st == WICK_OK) st = wick_mcp_call_ask(c, "client_roots", "roots/list", "{}", &roots, err);
    if (st != WICK_OK) return st;
    if (!name || !greeting || !roots) return wick_mcp_call_keep(c, "asked", err);
    return say(c, err, "All answers are here: %s%s", name, greeting);
}

static wick_status round_by_round(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer, *state = wick_mcp_call_state(c);
    wick_status st;
    (void)user;
    if (!state || strcmp(state, "step-2") != 0) {
        st = elicit(c, "step1", "Step 1: What is your name?", ASK_NAME, &answer, err);
        if (st != WICK_OK) return st;
        if (!answer) return wick_mcp_call_keep(c, "step-1", err);
    }
    st = elicit(c, "step2", "Step 2: What is your favorite color?", ASK_COLOR, &answer, err);
    if (st != WICK_OK) return st;
    return answer ? say(c, err, "Done: %s%s", answer, "") : wick_mcp_call_keep(c, "step-2", err);
}

static wick_status round_capabilities(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer = NULL;
    (void)user;
    if (wick_mcp_call_can(c, "sampling"))
        return wick_mcp_call_ask(c, "greeting", "sampling/createMessage", ASK_GREETING, &answer, err);
    if (wick_mcp_call_can(c, "elicitation"))
        return elicit(c, "user_name", "What is your name?", ASK_NAME, &answer, err);
    return wick_mcp_call_text(c, "The client can answer nothing.", err);
}

static wick_status missing_capability(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer;
    (void)user;
    const wick_status st = wick_mcp_call_ask(c, "greeting", "sampling/createMessage", ASK_GREETING, &answer, err);
    return st != WICK_OK || !answer ? st : wick_mcp_call_text(c, "sampled", err);
}

static wick_status streaming_elicitation(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer;
    (void)user;
    const wick_status st = elicit(c, "user_name", "What is your name?", ASK_NAME, &answer, err);
    return st != WICK_OK || !answer ? st : wick_mcp_call_text(c, "answered", err);
}

/* --- changes ------------------------------------------------------------------------------------------------------ */
static wick_status prompt_simple(void *user, wick_mcp_call *c, wick_error *err);

static wick_status change_tools(void *user, wick_mcp_call *c, wick_error *err)
{
    wick_mcp_server *s = user;
    wick_status st = wick_mcp_server_add_tool(
        s, "{\"name\":\"test_passing\",\"description\":\"Comes and goes\"," EMPTY "}", simple_text, NULL, err);
    if (st != WICK_OK) return st;
    (void)wick_mcp_server_remove_tool(s, "test_passing");
    return wick_mcp_call_text(c, "The list of tools changed.", err);
}

static wick_status change_prompts(void *user, wick_mcp_call *c, wick_error *err)
{
    wick_mcp_server *s = user;
    wick_status st = wick_mcp_server_add_prompt(s, "{\"name\":\"test_passing\",\"description\":\"Comes and goes\"}",
                                                prompt_simple, NULL, err);
    if (st != WICK_OK) return st;
    (void)wick_mcp_server_remove_prompt(s, "test_passing");
    return wick_mcp_call_text(c, "The list of prompts changed.", err);
}

/* --- resources and prompts ---------------------------------------------------------------------------------------- */
static wick_status resource_item(void *user, wick_mcp_call *c, wick_error *err)
{
    char id[128], text[512];
    (void)user;
    argument(c, "id", id, sizeof id);
    json_t *inner =
        json_pack("{s:s, s:b, s:o}", "id", id, "templateTest", 1, "data", json_sprintf("Data for ID: %s", id));
    char *data = json_dumps(inner, JSON_COMPACT);
    json_t *entry = json_pack("{s:s, s:s, s:s}", "uri", wick_mcp_call_name(c), "mimeType", "application/json", "text",
                              data ? data : "");
    char *json = json_dumps(entry, 0);
    snprintf(text, sizeof text, "%s", json ? json : "{}");
    free(json);
    free(data);
    json_decref(entry);
    json_decref(inner);
    return wick_mcp_call_content(c, text, err);
}

static wick_status prompt_simple(void *user, wick_mcp_call *c, wick_error *err)
{
    (void)user;
    return wick_mcp_call_content(
        c, "{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"This is a simple prompt for testing.\"}}",
        err);
}

/* A message of the user with a text made by the caller. */
static wick_status user_message(wick_mcp_call *c, const char *text, wick_error *err)
{
    json_t *m = json_pack("{s:s, s:{s:s, s:s}}", "role", "user", "content", "type", "text", "text", text);
    char *json = json_dumps(m, 0);
    const wick_status st = wick_mcp_call_content(c, json, err);
    free(json);
    json_decref(m);
    return st;
}

static wick_status prompt_arguments(void *user, wick_mcp_call *c, wick_error *err)
{
    char a[256], b[256], text[640];
    (void)user;
    argument(c, "arg1", a, sizeof a);
    argument(c, "arg2", b, sizeof b);
    snprintf(text, sizeof text, "Prompt with arguments: arg1='%s', arg2='%s'", a, b);
    return user_message(c, text, err);
}

static wick_status prompt_resource(void *user, wick_mcp_call *c, wick_error *err)
{
    char uri[512];
    (void)user;
    argument(c, "resourceUri", uri, sizeof uri);
    json_t *m =
        json_pack("{s:s, s:{s:s, s:{s:s, s:s, s:s}}}", "role", "user", "content", "type", "resource", "resource", "uri",
                  uri, "mimeType", "text/plain", "text", "Embedded resource content for testing.");
    char *json = json_dumps(m, 0);
    wick_status st = wick_mcp_call_content(c, json, err);
    free(json);
    json_decref(m);
    return st == WICK_OK ? user_message(c, "Please process the embedded resource above.", err) : st;
}

static wick_status prompt_image(void *user, wick_mcp_call *c, wick_error *err)
{
    (void)user;
    const wick_status st = wick_mcp_call_content(
        c, "{\"role\":\"user\",\"content\":{\"type\":\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"}}", err);
    return st == WICK_OK ? user_message(c, "Please analyze the image above.", err) : st;
}

static wick_status prompt_asks(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer;
    (void)user;
    const wick_status st = elicit(c, "user_context", "What context should the prompt use?", ASK_CONTEXT, &answer, err);
    return st != WICK_OK || !answer ? st : user_message(c, answer, err);
}

static wick_status complete(void *user, wick_mcp_call *c, wick_error *err)
{
    (void)user;
    return wick_mcp_call_result(
        c, "{\"completion\":{\"values\":[\"paris\",\"park\",\"party\"],\"total\":3,\"hasMore\":false}}", err);
}

/* --- the server --------------------------------------------------------------------------------------------------- */
typedef struct tool_row {
    const char *name, *schema; /* NULL: no arguments */
    wick_mcp_handler fn;
    const char *user;
} tool_row;

static const tool_row tools[] = {
    {"test_simple_text", NULL, simple_text, NULL},
    {"test_image_content", NULL, one_block, "{\"type\":\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"}"},
    {"test_audio_content", NULL, one_block, "{\"type\":\"audio\",\"data\":\"" WAV "\",\"mimeType\":\"audio/wav\"}"},
    {"test_embedded_resource", NULL, one_block,
     "{\"type\":\"resource\",\"resource\":{\"uri\":\"test://embedded-resource\",\"mimeType\":\"text/plain\","
     "\"text\":\"This is an embedded resource content.\"}}"},
    {"test_multiple_content_types", NULL, mixed, NULL},
    {"test_error_handling", NULL, failing, NULL},
    {"test_tool_with_logging", NULL, logging, NULL},
    {"test_logging_tool", NULL, logging, NULL},
    {"test_tool_with_progress", NULL, progress, NULL},
    {"test_sampling",
     "{\"type\":\"object\",\"properties\":{\"prompt\":{\"type\":\"string\"}},\"required\":[\"prompt\"]}", sampling,
     NULL},
    {"test_elicitation",
     "{\"type\":\"object\",\"properties\":{\"message\":{\"type\":\"string\"}},\"required\":[\"message\"]}", elicitation,
     NULL},
    {"test_elicitation_sep1034_defaults", NULL, elicit_form, ELICIT_DEFAULTS},
    {"test_elicitation_sep1330_enums", NULL, elicit_form, ELICIT_ENUMS},
    {"test_input_required_result_elicitation", NULL, round_elicitation, NULL},
    {"test_input_required_result_sampling", NULL, round_sampling, NULL},
    {"test_input_required_result_list_roots", NULL, round_roots, NULL},
    {"test_input_required_result_request_state", NULL, round_state, NULL},
    {"test_input_required_result_tampered_state", NULL, round_state, NULL},
    {"test_input_required_result_multiple_inputs", NULL, round_many, NULL},
    {"test_input_required_result_multi_round", NULL, round_by_round, NULL},
    {"test_input_required_result_capabilities", NULL, round_capabilities, NULL},
    {"test_missing_capability", NULL, missing_capability, NULL},
    {"test_streaming_elicitation", NULL, streaming_elicitation, NULL},
    {"test_header_echo",
     "{\"type\":\"object\",\"properties\":{\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"}}}", echo_header,
     NULL},
    {"json_schema_2020_12_tool",
     "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"$defs\":{\"address\":{"
     "\"$anchor\":\"addressDef\",\"type\":\"object\",\"properties\":{\"street\":{\"type\":\"string\"},"
     "\"city\":{\"type\":\"string\"}}}},\"properties\":{\"name\":{\"type\":\"string\"},"
     "\"address\":{\"$ref\":\"#/$defs/"
     "address\"},\"contactMethod\":{\"type\":\"string\",\"enum\":[\"phone\",\"email\"]},"
     "\"phone\":{\"type\":\"string\"},\"email\":{\"type\":\"string\"}},"
     "\"allOf\":[{\"anyOf\":[{\"required\":[\"phone\"]},{\"required\":[\"email\"]}]}],"
     "\"if\":{\"properties\":{\"contactMethod\":{\"const\":\"phone\"}},\"required\":[\"contactMethod\"]},"
     "\"then\":{\"required\":[\"phone\"]},\"else\":{\"required\":[\"email\"]},\"additionalProperties\":false}",
     simple_text, NULL},
};

static wick_status add_tools(wick_mcp_server *s, wick_error *err)
{
    static const char none[] = "{\"type\":\"object\",\"properties\":{}}";
    wick_status st = WICK_OK;
    for (size_t i = 0; st == WICK_OK && i < sizeof tools / sizeof *tools; i++) {
        char text[4096];
        snprintf(text, sizeof text, "{\"name\":\"%s\",\"description\":\"A tool for tests: %s\",\"inputSchema\":%s}",
                 tools[i].name, tools[i].name, tools[i].schema ? tools[i].schema : none);
        st = wick_mcp_server_add_tool(s, text, tools[i].fn, (void *)(uintptr_t)tools[i].user, err);
    }
    if (st == WICK_OK)
        st = wick_mcp_server_add_tool(
            s, "{\"name\":\"test_trigger_tool_change\",\"description\":\"Changes the tools\"," EMPTY "}", change_tools,
            s, err);
    if (st == WICK_OK)
        st = wick_mcp_server_add_tool(
            s, "{\"name\":\"test_trigger_prompt_change\",\"description\":\"Changes the prompts\"," EMPTY "}",
            change_prompts, s, err);
    return st;
}

static wick_status add_resources(wick_mcp_server *s, wick_error *err)
{
    static const struct {
        const char *definition, *content;
    } rows[] = {
        {"{\"uri\":\"test://static-text\",\"name\":\"Static text\",\"description\":\"A "
         "text\",\"mimeType\":\"text/plain\"}",
         "{\"uri\":\"test://static-text\",\"mimeType\":\"text/plain\","
         "\"text\":\"This is the content of the static text resource.\"}"},
        {"{\"uri\":\"test://static-binary\",\"name\":\"Static binary\",\"description\":\"An "
         "image\",\"mimeType\":\"image/png\"}",
         "{\"uri\":\"test://static-binary\",\"mimeType\":\"image/png\",\"blob\":\"" PNG "\"}"},
        {"{\"uri\":\"test://watched-resource\",\"name\":\"Watched\",\"description\":\"A "
         "text\",\"mimeType\":\"text/plain\"}",
         "{\"uri\":\"test://watched-resource\",\"mimeType\":\"text/plain\",\"text\":\"watched\"}"},
    };
    wick_status st = WICK_OK;
    for (size_t i = 0; st == WICK_OK && i < sizeof rows / sizeof *rows; i++)
        st = wick_mcp_server_add_resource(s, rows[i].definition, one_block, (void *)(uintptr_t)rows[i].content, err);
    if (st != WICK_OK) return st;
    return wick_mcp_server_add_template(s,
                                        "{\"uriTemplate\":\"test://template/{id}/data\",\"name\":\"Item\","
                                        "\"description\":\"An item by its id\",\"mimeType\":\"application/json\"}",
                                        resource_item, NULL, err);
}

static wick_status add_prompts(wick_mcp_server *s, wick_error *err)
{
    static const struct {
        const char *definition;
        wick_mcp_handler fn;
    } rows[] = {
        {"{\"name\":\"test_simple_prompt\",\"description\":\"A prompt\"}", prompt_simple},
        {"{\"name\":\"test_prompt_with_arguments\",\"description\":\"A prompt with arguments\",\"arguments\":["
         "{\"name\":\"arg1\",\"description\":\"First test argument\",\"required\":true},"
         "{\"name\":\"arg2\",\"description\":\"Second test argument\",\"required\":true}]}",
         prompt_arguments},
        {"{\"name\":\"test_prompt_with_embedded_resource\",\"description\":\"A prompt with a resource\",\"arguments\":["
         "{\"name\":\"resourceUri\",\"description\":\"URI of the resource\",\"required\":true}]}",
         prompt_resource},
        {"{\"name\":\"test_prompt_with_image\",\"description\":\"A prompt with an image\"}", prompt_image},
        {"{\"name\":\"test_input_required_result_prompt\",\"description\":\"A prompt that asks\"}", prompt_asks},
    };
    wick_status st = WICK_OK;
    for (size_t i = 0; st == WICK_OK && i < sizeof rows / sizeof *rows; i++)
        st = wick_mcp_server_add_prompt(s, rows[i].definition, rows[i].fn, NULL, err);
    return st;
}

int main(int argc, char **argv)
{
    wick_error err = {0};
    wick_mcp_server *s = NULL;
    wick_mcp_listener *l = NULL;
    const wick_mcp_server_options o = {
        .name = "wick-everything", .version = "1.0.0", .instructions = "One of everything, for tests."};
    signal(SIGPIPE, SIG_IGN);
    wick_status st = wick_mcp_server_new(&s, &o, &err);
    if (st == WICK_OK) st = add_tools(s, &err);
    if (st == WICK_OK) st = add_resources(s, &err);
    if (st == WICK_OK) st = add_prompts(s, &err);
    if (st == WICK_OK) st = wick_mcp_server_set_completion(s, complete, NULL, &err);
    if (st == WICK_OK && argc == 3 && strcmp(argv[1], "--port") == 0) {
        sigset_t stop; /* blocked before there are threads, which inherit it */
        sigemptyset(&stop);
        sigaddset(&stop, SIGINT);
        sigaddset(&stop, SIGTERM);
        sigprocmask(SIG_BLOCK, &stop, NULL);
        const wick_mcp_listen_options lo = {.port = (uint16_t)atoi(argv[2])};
        st = wick_mcp_server_listen(&l, s, &lo, &err);
        if (st == WICK_OK) {
            int got;
            printf("http://127.0.0.1:%u/mcp\n", wick_mcp_listener_port(l));
            fflush(stdout);
            sigwait(&stop, &got);
        }
    } else if (st == WICK_OK) {
        st = wick_mcp_server_serve_stdio(s, 0, 1, &err);
    }
    if (st != WICK_OK) fprintf(stderr, "mcp_everything: %s\n", err.message);
    wick_mcp_listener_close(l);
    wick_mcp_server_free(s);
    return st == WICK_OK ? 0 : 1;
}
