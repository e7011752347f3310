/* chat/caps.c - see caps.h. Probes are conversations of words that no template contains; the question is always whether
 * they appear in the render. */
#include "chat/caps.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/json.h"

enum { PROBE_OUT_MAX = 2 << 20 };

typedef struct prober {
    const wick_chat_template *t;
    wick_chat_caps *caps;
    json_t *tools;
    wick_buf out;
} prober;

bool wick_chat_set_tools(const wick_chat_caps *c, json_t *vars, const json_t *tools, int64_t now_unix_s)
{
    json_t *list = tools ? json_incref((json_t *)(uintptr_t)tools) : c->tools_list ? json_array() : json_null();
    if (!list || json_object_set_new(vars, "tools", list) != 0) return false;
    if (!c->functions) return true;
    const time_t now = now_unix_s ? (time_t)now_unix_s : time(NULL);
    struct tm tm;
    char date[32] = "";
    if (gmtime_r(&now, &tm)) (void)strftime(date, sizeof date, "%Y-%m-%d", &tm);
    char *text = tools ? json_dumps(tools, 0) : NULL;
    const bool ok = (!tools || text) && json_object_set_new(vars, "functions", json_string(text ? text : "[]")) == 0 &&
                    json_object_set_new(vars, "datetime", json_string(date)) == 0;
    free(text);
    return ok;
}

/* From least to most; the first two mean none at all. */
static const char *const efforts[] = {"no_think", "none", "minimal", "low", "medium", "high", "xhigh"};
enum { N_EFFORTS = sizeof efforts / sizeof *efforts, N_NO_EFFORTS = 2 };

const char *wick_chat_effort(const wick_chat_caps *c, const char *effort)
{
    int at = 0;
    if (!c->effort) return NULL;
    while (at < N_EFFORTS && strcmp(efforts[at], effort) != 0) at++;
    if (at == N_EFFORTS) return effort; /* a level that only this template may know */
    if (at < N_NO_EFFORTS && c->thinking_switch) return NULL;
    if (c->efforts & (1u << at)) return effort;
    if (at < N_NO_EFFORTS) return c->efforts & 1u ? efforts[0] : c->efforts & 2u ? efforts[1] : NULL;
    for (int d = 1; d < N_EFFORTS; d++) {
        if (at - d >= N_NO_EFFORTS && (c->efforts & (1u << (at - d)))) return efforts[at - d];
        if (at + d < N_EFFORTS && (c->efforts & (1u << (at + d)))) return efforts[at + d];
    }
    return NULL;
}

/* --- rendering --------------------------------------------------------------------------------------------------- */
static bool ends_with_answer(const json_t *messages)
{
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *role = json_string_value(json_object_get(last, "role"));
    return role && strcmp(role, "assistant") == 0;
}

/* Takes messages; tools and more (further variables) are borrowed and may be NULL. */
static bool render(prober *p, json_t *messages, json_t *tools, json_t *more)
{
    static const wick_jinja_limits limits = {
        .max_steps = 500 * 1000, .max_heap_bytes = 4 << 20, .max_out_bytes = 1 << 20, .now_unix_s = 1};
    json_t *vars = json_object();
    wick_buf_reset(&p->out);
    bool ok = vars && messages && json_object_set(vars, "messages", messages) == 0 &&
              wick_chat_set_tools(p->caps, vars, tools, limits.now_unix_s) &&
              json_object_set_new(vars, "documents", json_null()) == 0 &&
              json_object_set_new(vars, "add_generation_prompt", json_boolean(!ends_with_answer(messages))) == 0 &&
              (!more || json_object_update(vars, more) == 0);
    ok = ok && wick_chat_template_render(p->t, vars, &limits, &p->out, NULL) == WICK_OK;
    json_decref(vars);
    json_decref(messages);
    wick_buf_str(&p->out);
    return ok && !p->out.failed;
}

static bool has(const prober *p, const char *what)
{
    return p->out.n > 0 && strstr(p->out.data, what) != NULL;
}

static bool shows(prober *p, json_t *messages, json_t *tools, const char *one, const char *two)
{
    return render(p, messages, tools, NULL) && has(p, one) && (!two || has(p, two));
}

/* --- messages ---------------------------------------------------------------------------------------------------- */
static unsigned bit_of(const char *role)
{
    return strcmp(role, "system") == 0 || strcmp(role, "developer") == 0 ? WICK_CHAT_SYSTEM
           : strcmp(role, "assistant") == 0                              ? WICK_CHAT_ASSISTANT
           : strcmp(role, "tool") == 0                                   ? WICK_CHAT_TOOL
                                                                         : WICK_CHAT_USER;
}

/* A text as the role takes it, by what is known so far. */
static json_t *text(const prober *p, const char *role, const char *what)
{
    const unsigned bit = bit_of(role);
    if ((p->caps->parts & bit) && !(p->caps->strings & bit))
        return json_pack("[{s:s, s:s}]", "type", "text", "text", what);
    return json_string(what);
}

static json_t *says(const prober *p, const char *role, const char *what)
{
    return json_pack("{s:s, s:o}", "role", role, "content", text(p, role, what));
}

static json_t *user(const prober *p)
{
    return says(p, "user", "wickUser");
}

static json_t *call(const char *name, const char *id, json_t *arguments)
{
    return json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", id, "type", "function", "function", "name", name, "arguments",
                     arguments);
}

static json_t *object_arguments(void)
{
    return json_pack("{s:s}", "wickKey", "wickValue");
}

static json_t *string_arguments(void)
{
    return json_string("{\"wickKey\": \"wickValue\"}");
}

static json_t *good_arguments(const prober *p)
{
    return p->caps->args == WICK_CHAT_ARGS_STRING ? string_arguments() : object_arguments();
}

static json_t *calling(const prober *p, json_t *calls)
{
    json_t *content = p->caps->calls_need_null ? json_null() : text(p, "assistant", "");
    return json_pack("{s:s, s:o, s:o}", "role", "assistant", "content", content, "tool_calls", calls);
}

static json_t *result(const prober *p, const char *name, const char *id, const char *what)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "role", "tool", "tool_call_id", id, "name", name, "content",
                     text(p, "tool", what));
}

#define ID "abcdefghi"

/* user, call, and its result where the template is known to take results. Takes arguments. */
static json_t *call_talk(const prober *p, json_t *arguments, const char *id, bool with_result)
{
    json_t *list = json_pack("[o, o]", user(p), calling(p, json_pack("[o]", call("wickCall", id, arguments))));
    if (with_result) (void)json_array_append_new(list, result(p, "wickCall", id, "wickResult"));
    return list;
}

/* description: 0 none, 1 of the tool, 2 of its parameter too. */
static json_t *make_tools(int description, bool parameters)
{
    json_t *fn = json_pack("{s:s}", "name", "wickTool"), *property = json_pack("{s:s}", "type", "string");
    if (description > 0) (void)json_object_set_new(fn, "description", json_string("wickAbout"));
    if (description > 1) (void)json_object_set_new(property, "description", json_string("x"));
    if (parameters)
        (void)json_object_set_new(fn, "parameters",
                                  json_pack("{s:s, s:{s:O}, s:[s]}", "type", "object", "properties", "wickPlace",
                                            property, "required", "wickPlace"));
    json_decref(property);
    return json_pack("[{s:s, s:o}]", "type", "function", "function", fn);
}

/* --- what is asked ----------------------------------------------------------------------------------------------- */
static json_t *two_parts(void)
{
    return json_pack("[{s:s, s:s}, {s:s, s:s}]", "type", "text", "text", "wickOne", "type", "text", "text", "wickTwo");
}

/* Both texts, and not the list as Python or JSON prints it. */
static bool parts_shown(prober *p, json_t *messages, json_t *tools)
{
    return shows(p, messages, tools, "wickOne", "wickTwo") && !has(p, "'text'") && !has(p, "\"text\"");
}

static json_t *user_parts(void)
{
    return json_pack("[{s:s, s:o}]", "role", "user", "content", two_parts());
}

static void learn_user(prober *p)
{
    wick_chat_caps *c = p->caps;
    if (shows(p, json_pack("[{s:s, s:s}]", "role", "user", "content", "wickUser"), NULL, "wickUser", NULL))
        c->strings |= WICK_CHAT_USER;
    if (parts_shown(p, user_parts(), NULL)) c->parts |= WICK_CHAT_USER;
    /* Until they are asked, the other roles are taken to be like the user's. */
    if (!(c->strings & WICK_CHAT_USER)) c->parts = c->parts ? WICK_CHAT_ALL_ROLES : 0;
}

static bool shows_turns(prober *p)
{
    json_t *m = json_pack("[o, o, o]", says(p, "user", "wickFirst"), says(p, "assistant", "wickSecond"),
                          says(p, "user", "wickThird"));
    return shows(p, m, NULL, "wickFirst", "wickThird") && has(p, "wickSecond");
}

static void learn_system(prober *p)
{
    wick_chat_caps *c = p->caps;
    c->system = shows(p, json_pack("[o, o]", says(p, "system", "wickSystem"), user(p)), NULL, "wickSystem", "wickUser");
    if (!c->system) return;
    c->lone_system = shows(p, json_pack("[o]", says(p, "system", "wickSystem")), NULL, "wickSystem", NULL);
    c->several_systems =
        shows(p, json_pack("[o, o, o]", says(p, "system", "wickFirst"), says(p, "system", "wickSecond"), user(p)), NULL,
              "wickFirst", "wickSecond");
    c->late_system = shows(p,
                           json_pack("[o, o, o, o, o]", says(p, "system", "wickFirst"), user(p),
                                     says(p, "assistant", "wickAnswer"), says(p, "system", "wickLate"), user(p)),
                           NULL, "wickFirst", "wickLate");
}

/* A template that does the same with a role that nobody knows has no developer role. */
static void learn_developer(prober *p)
{
    static const char unknown[] = "wickrolex"; /* as long as "developer" */
    const size_t n = sizeof unknown - 1;
    wick_buf other = WICK_BUF_INIT;
    bool ok =
        shows(p, json_pack("[o, o]", says(p, "developer", "wickSystem"), user(p)), NULL, "wickSystem", "wickUser");
    for (size_t i = 0; ok && i < p->out.n;) {
        const bool here = p->out.n - i >= n && memcmp(p->out.data + i, "developer", n) == 0;
        wick_buf_add(&other, here ? unknown : p->out.data + i, here ? n : 1);
        i += here ? n : 1;
    }
    const bool same = ok && render(p, json_pack("[o, o]", says(p, unknown, "wickSystem"), user(p)), NULL, NULL) &&
                      p->out.n == other.n && memcmp(p->out.data, other.data, other.n) == 0;
    p->caps->developer = ok && !same;
    wick_buf_release(&other);
}

static void learn_order(prober *p)
{
    wick_chat_caps *c = p->caps;
    json_t *users = json_pack("[o, o]", says(p, "user", "wickFirst"), says(p, "user", "wickSecond"));
    json_t *answers = json_pack("[o, o, o, o]", user(p), says(p, "assistant", "wickFirst"),
                                says(p, "assistant", "wickSecond"), user(p));
    json_t *answer_first = json_pack("[o, o]", says(p, "assistant", "wickFirst"), says(p, "user", "wickSecond"));
    const bool two_users = shows(p, users, NULL, "wickFirst", "wickSecond");
    const bool two_answers = shows(p, answers, NULL, "wickFirst", "wickSecond");
    c->alternates = !two_users || !two_answers;
    c->user_first = !shows(p, answer_first, NULL, "wickFirst", "wickSecond");
    c->empty_answer = shows(p, json_pack("[o, o, o]", says(p, "user", "wickFirst"), says(p, "assistant", ""), user(p)),
                            NULL, "wickFirst", "wickUser");
}

static void learn_tools(prober *p)
{
    wick_chat_caps *c = p->caps;
    json_t *none = make_tools(0, true), *half = make_tools(1, true), *bare = make_tools(2, false);
    c->tools = shows(p, json_pack("[o]", user(p)), p->tools, "wickTool", NULL) ||
               (c->system &&
                shows(p, json_pack("[o, o]", says(p, "system", "wickSystem"), user(p)), p->tools, "wickTool", NULL));
    if (c->tools) {
        c->needs_description = !shows(p, json_pack("[o]", user(p)), none, "wickTool", NULL) ||
                               !shows(p, json_pack("[o]", user(p)), half, "wickTool", NULL);
        c->needs_parameters = !shows(p, json_pack("[o]", user(p)), bare, "wickTool", NULL);
    } else if (c->system) {
        json_t *m = json_pack("[{s:s, s:o, s:s}, o]", "role", "system", "content", text(p, "system", "wickSystem"),
                              "tools", "[\"wickTool\"]", user(p));
        c->tools_in_system = shows(p, m, NULL, "[\"wickTool\"]", NULL);
    }
    json_decref(none);
    json_decref(half);
    json_decref(bare);
}

/* Does the render hold JSON's or Python's way to write the pair? */
static bool json_pair(const prober *p)
{
    return has(p, "\"wickKey\": \"wickValue\"") || has(p, "\"wickKey\":\"wickValue\"");
}

static void learn_arguments(prober *p, bool with_result)
{
    wick_chat_caps *c = p->caps;
    const bool obj = shows(p, call_talk(p, object_arguments(), ID, with_result), p->tools, "wickCall", "wickValue");
    const bool obj_json = obj && json_pair(p), obj_python = obj && has(p, "'wickKey'");
    const bool str = shows(p, call_talk(p, string_arguments(), ID, with_result), p->tools, "wickCall", "wickValue");
    /* A template that escapes a text, or puts it in braces of its own, wants the object. */
    const bool str_quoted = str && (has(p, "\\\"wickKey") || has(p, "{{\"wickKey"));
    c->tool_calls = obj || str;
    if (!str)
        c->args = WICK_CHAT_ARGS_OBJECT;
    else if (!obj || obj_python)
        c->args = WICK_CHAT_ARGS_STRING;
    else
        c->args = str_quoted || !obj_json ? WICK_CHAT_ARGS_OBJECT : WICK_CHAT_ARGS_ANY;
}

/* Two calls, each in a message of its own. */
static bool shows_rounds(prober *p)
{
    json_t *m = call_talk(p, good_arguments(p), ID, p->caps->tool_results);
    (void)json_array_append_new(m, calling(p, json_pack("[o]", call("wickOther", "ihgfedcba", good_arguments(p)))));
    if (p->caps->tool_results) (void)json_array_append_new(m, result(p, "wickOther", "ihgfedcba", "wickAfter"));
    return shows(p, m, p->tools, "wickCall", "wickOther");
}

static void learn_calls(prober *p)
{
    wick_chat_caps *c = p->caps;
    if (!c->tools && !c->tools_in_system) return;
    for (int i = 0; i < 4 && !c->tool_calls; i++) { /* with a result or without, content "" or null */
        c->calls_need_null = i >= 2;
        learn_arguments(p, i % 2 == 0);
        c->tool_results = c->tool_calls && i % 2 == 0 && has(p, "wickResult");
    }
    c->tool_calls = c->tool_calls && shows_rounds(p);
    if (!c->tool_calls) {
        c->calls_need_null = c->tool_results = false;
        c->args = WICK_CHAT_ARGS_ANY;
        return;
    }
    const bool r = c->tool_results;
    c->tool_results = shows(p, call_talk(p, good_arguments(p), ID, true), p->tools, "wickCall", "wickResult");
    c->nine_char_ids =
        shows(p, call_talk(p, good_arguments(p), ID, r), p->tools, "wickCall", NULL) &&
        !shows(p, call_talk(p, good_arguments(p), "call_wick_0123456789", r), p->tools, "wickCall", NULL);
    json_t *later = call_talk(p, good_arguments(p), ID, r);
    (void)json_array_append_new(later, says(p, "user", "wickLater"));
    c->user_after_result = shows(p, later, p->tools, "wickCall", "wickLater");
    json_t *both =
        json_pack("[o, o]", call("wickCall", ID, good_arguments(p)), call("wickOther", "ihgfedcba", good_arguments(p)));
    json_t *m = json_pack("[o, o]", user(p), calling(p, both));
    if (c->tool_results) {
        (void)json_array_append_new(m, result(p, "wickCall", ID, "wickResult"));
        (void)json_array_append_new(m, result(p, "wickOther", "ihgfedcba", "wickAfter"));
    }
    c->parallel_calls = shows(p, m, p->tools, "wickCall", "wickOther");
}

/* Strings and lists of parts, for the roles other than the user's. */
static void learn_contents(prober *p)
{
    static const char *const roles[] = {"system", "assistant", "tool"};
    wick_chat_caps *c = p->caps;
    const unsigned strings = c->strings & WICK_CHAT_USER, parts = c->parts & WICK_CHAT_USER;
    unsigned got_strings = strings, got_parts = parts;
    for (size_t i = 0; i < 3; i++) {
        for (int as_parts = 0; as_parts < 2; as_parts++) {
            json_t *content = as_parts ? two_parts() : json_string("wickOne wickTwo"), *list = json_array();
            const bool tool = i == 2;
            if (i > 0) (void)json_array_append_new(list, user(p));
            if (tool)
                (void)json_array_append_new(list,
                                            calling(p, json_pack("[o]", call("wickCall", ID, good_arguments(p)))));
            json_t *m = tool ? result(p, "wickCall", ID, "") : says(p, roles[i], "");
            (void)json_object_set_new(m, "content", content);
            (void)json_array_append_new(list, m);
            if (!tool) (void)json_array_append_new(list, user(p));
            const bool ok = as_parts ? parts_shown(p, list, tool ? p->tools : NULL)
                                     : shows(p, list, tool ? p->tools : NULL, "wickOne wickTwo", NULL);
            if (ok && as_parts) got_parts |= bit_of(roles[i]);
            if (ok && !as_parts) got_strings |= bit_of(roles[i]);
        }
        if (!((got_strings | got_parts) & bit_of(roles[i]))) got_strings |= bit_of(roles[i]);
    }
    c->strings = got_strings;
    c->parts = got_parts;
}

static json_t *thinking(const prober *p, const char *key)
{
    json_t *m = says(p, "assistant", "wickAnswer");
    (void)json_object_set_new(m, key, json_string("wickThought"));
    return m;
}

static void learn_reasoning(prober *p)
{
    static const char *const keys[] = {"reasoning_content", "thinking", "reasoning"};
    wick_chat_caps *c = p->caps;
    for (size_t i = 0; i < 3 && !c->reasoning; i++) {
        json_t *mid = call_talk(p, good_arguments(p), ID, c->tool_results);
        (void)json_object_set_new(json_array_get(mid, 1), keys[i], json_string("wickThought"));
        c->reasoning = shows(p, json_pack("[o, o]", user(p), thinking(p, keys[i])), NULL, "wickThought", NULL) ||
                       (c->tool_calls && shows(p, json_incref(mid), p->tools, "wickThought", NULL));
        json_decref(mid);
        c->past_reasoning =
            shows(p, json_pack("[o, o, o]", user(p), thinking(p, keys[i]), user(p)), NULL, "wickThought", NULL);
        c->reasoning = c->reasoning || c->past_reasoning;
        if (c->reasoning && i == 2) c->reasoning_key = "reasoning";
    }
    if (c->reasoning) return;
    json_t *parts = json_pack("[{s:s, s:s}, {s:s, s:s}]", "type", "thinking", "thinking", "wickThought", "type", "text",
                              "text", "wickAnswer");
    json_t *m = json_pack("[o, {s:s, s:o}]", user(p), "role", "assistant", "content", parts);
    c->reasoning = c->reasoning_parts =
        shows(p, m, NULL, "wickThought", "wickAnswer") && !has(p, "'wickThought'") && !has(p, "\"wickThought\"");
}

/* Does the prompt differ with the variable at one and at the other value? Takes both. */
static bool differs(prober *p, const char *name, json_t *one, json_t *other)
{
    wick_buf first = WICK_BUF_INIT;
    json_t *a = json_pack("{s:o}", name, one), *b = json_pack("{s:o}", name, other);
    bool ok = render(p, json_pack("[o]", user(p)), NULL, a);
    wick_buf_add(&first, p->out.data ? p->out.data : "", p->out.n);
    ok = ok && render(p, json_pack("[o]", user(p)), NULL, b) && !first.failed &&
         (first.n != p->out.n || memcmp(first.data, p->out.data, first.n) != 0);
    wick_buf_release(&first);
    json_decref(a);
    json_decref(b);
    return ok;
}

static void learn_variables(prober *p)
{
    static const char *const switches[] = {"enable_thinking", "thinking", "think"};
    wick_chat_caps *c = p->caps;
    for (size_t i = 0; i < sizeof switches / sizeof *switches && !c->thinking_switch; i++)
        if (differs(p, switches[i], json_true(), json_false())) c->thinking_switch = switches[i];
    c->effort = differs(p, "reasoning_effort", json_string("low"), json_string("high"));
    for (size_t i = 0; c->effort && i < N_EFFORTS; i++) {
        json_t *level = json_pack("{s:s}", "reasoning_effort", efforts[i]);
        if (render(p, json_pack("[o]", user(p)), NULL, level)) c->efforts |= 1u << i;
        json_decref(level);
    }
    json_t *docs = json_pack("{s:[{s:s, s:s}]}", "documents", "title", "wickTitle", "text", "wickDocument");
    c->documents = render(p, json_pack("[o]", user(p)), NULL, docs) && has(p, "wickDocument");
    json_decref(docs);
}

static const wick_chat_caps everything = {.strings = WICK_CHAT_ALL_ROLES,
                                          .parts = WICK_CHAT_ALL_ROLES,
                                          .system = true,
                                          .lone_system = true,
                                          .several_systems = true,
                                          .late_system = true,
                                          .developer = true,
                                          .tools = true,
                                          .tool_calls = true,
                                          .parallel_calls = true,
                                          .tool_results = true,
                                          .user_after_result = true,
                                          .empty_answer = true,
                                          .reasoning = true,
                                          .past_reasoning = true,
                                          .documents = true,
                                          .effort = true,
                                          .efforts = ~0u};

void wick_chat_caps_learn(wick_chat_caps *caps, const wick_chat_template *t)
{
    prober p = {.t = t, .caps = caps, .tools = make_tools(2, true)};
    *caps = (wick_chat_caps){0};
    wick_buf_init(&p.out, PROBE_OUT_MAX);
    for (int i = 0; i < 3 && !(caps->strings | caps->parts); i++) {
        caps->tools_list = i == 1;
        caps->functions = i == 2;
        learn_user(&p);
    }
    if (!(caps->strings | caps->parts)) {
        *caps = everything;
    } else if (!shows_turns(&p)) {
        const wick_chat_caps user = *caps;
        *caps = everything;
        caps->last_only = true;
        caps->tools_list = user.tools_list;
        caps->functions = user.functions;
        caps->strings = user.strings ? WICK_CHAT_ALL_ROLES : 0;
        caps->parts = user.parts ? WICK_CHAT_ALL_ROLES : 0;
        caps->effort = caps->documents = false;
        caps->efforts = 0;
        learn_variables(&p);
    } else {
        learn_system(&p);
        learn_developer(&p);
        learn_order(&p);
        learn_tools(&p);
        learn_calls(&p);
        learn_contents(&p);
        learn_reasoning(&p);
        learn_variables(&p);
    }
    json_decref(p.tools);
    wick_buf_release(&p.out);
}

const char *wick_chat_caps_note(const wick_chat_caps *c, unsigned i)
{
    const char *const notes[] = {
        c->system ? NULL : "it has no system message: system texts go before the next user message",
        c->system && !c->several_systems ? "it shows one system message: several are joined" : NULL,
        c->system && !c->late_system
            ? "it shows no system message after an answer: it goes before the next user message"
            : NULL,
        c->tools || c->tools_in_system ? NULL : "it takes no tools: they are described in the system message",
        c->tools_in_system ? "it takes tools as part of the system message" : NULL,
        c->tool_calls ? NULL : "it shows no tool calls: earlier ones are written into the answers' texts",
        c->tool_calls && !c->parallel_calls ? "it shows one call a message: several become several messages" : NULL,
        c->tool_results ? NULL : "it shows no tool results: they become user messages",
        c->nine_char_ids ? "it wants call ids of nine characters: others are mapped" : NULL,
        c->alternates ? "it wants users and answers to alternate: messages in a row are joined" : NULL,
        c->tool_calls && !c->user_after_result && c->alternates
            ? "it wants an answer between a result and a user message: an empty one is put there"
            : NULL,
        c->user_first ? "it wants the user to begin: an empty user message is put first" : NULL,
    };
    for (size_t k = 0; k < sizeof notes / sizeof *notes; k++)
        if (notes[k] && i-- == 0) return notes[k];
    return NULL;
}
