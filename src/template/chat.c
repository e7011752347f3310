/* template/chat.c - a model's chat template: where it comes from, what it can take, and rendering with it.
 *
 * 1. A template is opened once and then read-only. Opening renders a few short probes to learn what the template
 *    wants: arguments of tool calls as an object or as a string, contents as a string or as a list of parts.
 * 2. Rendering never changes the caller's messages: what must differ is a shallow copy.
 * 3. Variables are those of transformers: messages, tools (none without), documents, add_generation_prompt, the
 *    special tokens of the tokenizer by name, then chat_template_kwargs, which override all but messages.
 */
#include "template/chat.h"

#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"

enum { CONFIG_MAX_BYTES = 64 << 20, TEMPLATE_FILE_MAX_BYTES = 4 << 20 };

#define CONTINUE_TAG "CONTINUE_FINAL_MESSAGE_TAG " /* as in transformers, so that trimming templates act the same */

typedef enum args_form { ARGS_ANY, ARGS_OBJECT, ARGS_STRING } args_form;

struct wick_chat_template {
    wick_jinja *plain, *tool_use; /* tool_use may be NULL */
    char *source;
    char *where;
    json_t *special; /* bos_token and so on */
    args_form args;
    bool string_content, parts_content; /* what of the two the template prints */
    wick_chat_traits traits;
};

/* --- probes ----------------------------------------------------------------------------------------------------------- */
static bool probe(const wick_chat_template *t, json_t *messages, json_t *tools, bool gen, wick_buf *out)
{
    static const wick_jinja_limits limits = {
        .max_steps = 500 * 1000, .max_heap_bytes = 4 << 20, .max_out_bytes = 1 << 20, .now_unix_s = 1};
    bool ok = false;
    json_t *vars = json_object();
    wick_buf_reset(out);
    if (vars && messages && json_object_update(vars, t->special) == 0 &&
        json_object_set(vars, "messages", messages) == 0 &&
        json_object_set_new(vars, "tools", tools ? json_incref(tools) : json_null()) == 0 &&
        json_object_set_new(vars, "documents", json_null()) == 0 &&
        json_object_set_new(vars, "add_generation_prompt", json_boolean(gen)) == 0)
        ok = wick_jinja_render(tools && t->tool_use ? t->tool_use : t->plain, vars, &limits, out, NULL) == WICK_OK;
    json_decref(vars);
    json_decref(messages);
    return ok;
}

static bool has(wick_buf *b, const char *what)
{
    return strstr(wick_buf_str(b), what) != NULL;
}

static json_t *tool_call_messages(json_t *arguments)
{
    return json_pack("[{s:s, s:s}, {s:s, s:s, s:[{s:s, s:s, s:{s:s, s:o}}]}, {s:s, s:s, s:s, s:s}]", "role", "user",
                     "content", "wickU", "role", "assistant", "content", "", "tool_calls", "id", "abcdefghi", "type",
                     "function", "function", "name", "wickF", "arguments", arguments, "role", "tool", "tool_call_id",
                     "abcdefghi", "name", "wickF", "content", "wickR");
}

static void probe_arguments(wick_chat_template *t, wick_buf *b)
{
    bool obj = probe(t, tool_call_messages(json_pack("{s:s}", "wickK", "wickV")), NULL, false, b) && has(b, "wickV");
    bool obj_json = obj && has(b, "\"wickK\": \"wickV\"");
    bool str = probe(t, tool_call_messages(json_string("{\"wickK\": \"wickV\"}")), NULL, false, b) && has(b, "wickV");
    bool str_quoted = str && has(b, "\\\"wickK");
    /* A template that escapes a string wants the object; one that prints an object as Python does wants the string. */
    if (obj && (!str || str_quoted))
        t->args = ARGS_OBJECT;
    else if (str && (!obj || !obj_json))
        t->args = !obj || has(b, "\"wickK\": \"wickV\"") ? ARGS_STRING : ARGS_OBJECT;
}

static void find_think(wick_chat_template *t)
{
    static const char *const pairs[][2] = {{"<think>", "</think>"},
                                           {"[THINK]", "[/THINK]"},
                                           {"<|channel|>analysis<|message|>", "<|end|>"},
                                           {"<|channel>thought", "<channel|>"},
                                           {"<seed:think>", "</seed:think>"},
                                           {"<|START_THINKING|>", "<|END_THINKING|>"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs) && !t->traits.think_open; i++) {
        if (!strstr(t->source, pairs[i][0]) && !strstr(t->source, pairs[i][1])) continue;
        t->traits.think_open = pairs[i][0];
        t->traits.think_close = pairs[i][1];
    }
}

/* Does text end, blanks aside, inside the opened reasoning? */
static bool ends_open(wick_buf *b, const wick_chat_traits *traits)
{
    const char *s = wick_buf_str(b), *last = NULL;
    if (!traits->think_open) return false;
    for (const char *p = s; (p = strstr(p, traits->think_open)); p++) last = p;
    return last && strspn(last + strlen(traits->think_open), " \n\t\r") == strlen(last + strlen(traits->think_open));
}

static void learn(wick_chat_template *t)
{
    wick_buf b;
    wick_buf_init(&b, 2 << 20);
    json_t *tools = json_pack("[{s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s, s:s}}, s:[s]}}}]", "type", "function", "function",
                              "name", "wickTool", "description", "wickD", "parameters", "type", "object", "properties",
                              "wickP", "type", "string", "description", "x", "required", "wickP");
    find_think(t);
    t->string_content =
        probe(t, json_pack("[{s:s, s:s}]", "role", "user", "content", "wickU"), NULL, false, &b) && has(&b, "wickU");
    t->parts_content =
        probe(t, json_pack("[{s:s, s:[{s:s, s:s}]}]", "role", "user", "content", "type", "text", "text", "wickU"), NULL,
              false, &b) &&
        has(&b, "wickU") && !has(&b, "'wickU'") && !has(&b, "\"wickU\"");
    if (probe(t, json_pack("[{s:s, s:s}]", "role", "user", "content", "wickU"), NULL, true, &b))
        t->traits.generation_prompt_opens_think = ends_open(&b, &t->traits);
    t->traits.takes_system = probe(t,
                                   json_pack("[{s:s, s:s}, {s:s, s:s}]", "role", "system", "content", "wickS", "role",
                                             "user", "content", "wickU"),
                                   NULL, false, &b) &&
                             has(&b, "wickS");
    t->traits.takes_tools = tools &&
                            probe(t, json_pack("[{s:s, s:s}]", "role", "user", "content", "wickU"), tools, false, &b) &&
                            has(&b, "wickTool");
    probe_arguments(t, &b);
    json_decref(tools);
    wick_buf_release(&b);
}

/* --- opening ---------------------------------------------------------------------------------------------------------- */
/* Takes `special`. */
static wick_status open_source(wick_chat_template **out, const char *src, size_t n, const char *tool_src,
                               json_t *special, const char *where, wick_err *err)
{
    wick_status st = WICK_OK;
    wick_chat_template *t = wick_alloc_zero(1, sizeof(*t));
    if (!t) {
        json_decref(special);
        return wick_err_oom(err, "chat template", sizeof(*t), 0);
    }
    t->special = special;
    t->source = wick_strndup(src, n);
    t->where = wick_strdup(where ? where : "chat template");
    if (!special || !t->source || !t->where) {
        st = wick_err_oom(err, "chat template", n, 0);
        goto done;
    }
    WICK_TRY_GOTO(wick_jinja_compile(&t->plain, src, n, t->where, err));
    if (tool_src) WICK_TRY_GOTO(wick_jinja_compile(&t->tool_use, tool_src, strlen(tool_src), t->where, err));
    learn(t);
done:
    if (st == WICK_OK)
        *out = t;
    else
        wick_chat_template_free(t);
    return st;
}

wick_status wick_chat_template_new(wick_chat_template **out, const char *src, size_t n, const char *bos,
                                   const char *eos, const char *where, wick_err *err)
{
    json_t *special = json_object();
    if (bos && special) (void)json_object_set_new(special, "bos_token", json_string(bos));
    if (eos && special) (void)json_object_set_new(special, "eos_token", json_string(eos));
    return open_source(out, src, n, NULL, special, where, err);
}

void wick_chat_template_free(wick_chat_template *t)
{
    if (!t) return;
    wick_jinja_free(t->plain);
    wick_jinja_free(t->tool_use);
    wick_free(t->source);
    wick_free(t->where);
    json_decref(t->special);
    wick_free(t);
}

/* Every key that ends in _token: a string or an object with "content". */
static void add_special(json_t *into, const json_t *from)
{
    const char *key;
    json_t *v;
    json_t *o = json_incref((json_t *)(uintptr_t)from);
    json_object_foreach(o, key, v)
    {
        size_t n = strlen(key);
        if (n < 6 || strcmp(key + n - 6, "_token") != 0) continue;
        if (json_is_object(v)) v = json_object_get(v, "content");
        if (json_is_string(v)) (void)json_object_set(into, key, v);
    }
    json_decref(o);
}

static const char *named(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        const char *k = json_string_value(json_object_get(e, "name"));
        if (k && strcmp(k, name) == 0) return json_string_value(json_object_get(e, "template"));
    }
    return NULL;
}

wick_status wick_chat_template_from_config(wick_chat_template **out, const json_t *config, const json_t *special,
                                           const char *src, size_t n, const char *where, wick_err *err)
{
    const json_t *tpl = config ? json_object_get(config, "chat_template") : NULL;
    const char *tool_use = NULL;
    *out = NULL;
    if (!src && json_is_array(tpl)) {
        src = named(tpl, "default");
        tool_use = named(tpl, "tool_use");
        if (!src) src = json_string_value(json_object_get(json_array_get(tpl, 0), "template"));
        n = src ? strlen(src) : 0;
        if (!src) return WICK_FAIL(err, WICK_E_TEMPLATE, where, "%s: \"chat_template\" names no template", where);
    } else if (!src && json_is_string(tpl)) {
        src = json_string_value(tpl);
        n = json_string_length(tpl);
    }
    if (!src) return WICK_OK;
    json_t *tokens = json_object();
    if (tokens && special) add_special(tokens, special);
    if (tokens && config) add_special(tokens, config);
    return open_source(out, src, n, tool_use, tokens, where, err);
}

static wick_status load_json(const char *dir, const char *name, json_t **out, wick_err *err)
{
    wick_status st = WICK_OK;
    char *path = wick_path_join(dir, name);
    *out = NULL;
    if (!path) return wick_err_oom(err, "path", strlen(dir), 0);
    if (wick_path_is_file(path)) st = wick_json_load(path, CONFIG_MAX_BYTES, out, err);
    if (st == WICK_OK && *out && !json_is_object(*out)) {
        st = WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: expected an object, got %s", path, wick_json_type_name(*out));
        json_decref(*out);
        *out = NULL;
    }
    wick_free(path);
    return st;
}

wick_status wick_chat_template_open_dir(wick_chat_template **out, const char *dir, wick_err *err)
{
    wick_status st = WICK_OK;
    json_t *config = NULL, *special = NULL, *file = NULL;
    char *src = NULL, *path = wick_path_join(dir, "chat_template.jinja");
    size_t n = 0;
    const char *text = NULL;
    *out = NULL;
    if (!path) return wick_err_oom(err, "path", strlen(dir), 0);
    WICK_TRY_GOTO(load_json(dir, "tokenizer_config.json", &config, err));
    WICK_TRY_GOTO(load_json(dir, "special_tokens_map.json", &special, err));
    if (wick_path_is_file(path)) {
        WICK_TRY_GOTO(wick_file_read(path, TEMPLATE_FILE_MAX_BYTES, &src, &n, err));
        text = src;
    } else {
        WICK_TRY_GOTO(load_json(dir, "chat_template.json", &file, err));
        text = json_string_value(json_object_get(file, "chat_template"));
        n = text ? strlen(text) : 0;
    }
    /* no path in it: the server shows these messages to clients */
    st = wick_chat_template_from_config(out, config, special, text, n, "chat template", err);
done:
    json_decref(config);
    json_decref(special);
    json_decref(file);
    wick_free(src);
    wick_free(path);
    return st;
}

const char *wick_chat_template_source(const wick_chat_template *t)
{
    return t->source;
}

const wick_chat_traits *wick_chat_template_traits(const wick_chat_template *t)
{
    return &t->traits;
}

/* --- messages --------------------------------------------------------------------------------------------------------- */
/* Text of a list of parts, joined; *out NULL if a part is no text. False: out of memory. */
static bool join_parts(const json_t *parts, json_t **out)
{
    wick_buf b = WICK_BUF_INIT;
    bool texts = true;
    *out = NULL;
    for (size_t i = 0; i < json_array_size(parts) && texts; i++) {
        const json_t *text = json_object_get(json_array_get(parts, i), "text");
        texts = json_is_string(text);
        if (texts) wick_buf_add(&b, json_string_value(text), json_string_length(text));
    }
    const char *s = wick_buf_str(&b);
    if (texts && !b.failed) *out = json_stringn(s, b.n);
    wick_buf_release(&b);
    return !texts || *out;
}

static bool fix_arguments(const wick_chat_template *t, json_t *call)
{
    json_t *fn = json_object_get(call, "function"), *args = json_object_get(fn, "arguments"), *want = NULL;
    if (!json_is_object(fn) || !args) return true;
    if (t->args == ARGS_OBJECT && json_is_string(args)) {
        want = json_loadb(json_string_value(args), json_string_length(args), 0, NULL);
        if (!want || !json_is_object(want)) {
            json_decref(want);
            return true; /* no JSON object: the template gets what the caller sent */
        }
    } else if (t->args == ARGS_STRING && json_is_object(args)) {
        char *text = json_dumps(args, 0);
        want = text ? json_string(text) : NULL;
        free(text);
    } else {
        return true;
    }
    return want && json_object_set_new(fn, "arguments", want) == 0;
}

static bool fix_calls(const wick_chat_template *t, json_t *message)
{
    const json_t *calls = json_object_get(message, "tool_calls");
    if (!json_is_array(calls) || t->args == ARGS_ANY) return true;
    json_t *copy = json_deep_copy(calls);
    bool ok = copy != NULL;
    for (size_t i = 0; ok && i < json_array_size(copy); i++) ok = fix_arguments(t, json_array_get(copy, i));
    if (ok) return json_object_set_new(message, "tool_calls", copy) == 0;
    json_decref(copy);
    return false;
}

/* Reasoning goes by three names; templates read one of them. */
static bool fix_reasoning(json_t *m)
{
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    json_t *v = NULL;
    for (size_t i = 0; i < 3 && (!v || json_is_null(v)); i++) v = json_object_get(m, names[i]);
    if (!v || json_is_null(v)) return true;
    json_incref(v);
    bool ok = (json_object_get(m, "thinking") || json_object_set(m, "thinking", v) == 0) &&
              json_object_set(m, "reasoning_content", v) == 0;
    json_decref(v);
    return ok;
}

static bool fix_content(const wick_chat_template *t, json_t *m)
{
    json_t *c = json_object_get(m, "content"), *want = NULL;
    if (json_is_array(c) && !t->parts_content && t->string_content) {
        if (!join_parts(c, &want)) return false;
        return !want || json_object_set_new(m, "content", want) == 0;
    }
    if (json_is_string(c) && t->parts_content && !t->string_content) {
        want = json_pack("[{s:s, s:O}]", "type", "text", "text", c);
        return want && json_object_set_new(m, "content", want) == 0;
    }
    return true;
}

static wick_status fix_messages(const wick_chat_template *t, const json_t *messages, json_t **out, wick_err *err)
{
    if (!json_is_array(messages))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: expected an array, got %s",
                         messages ? wick_json_type_name(messages) : "nothing");
    json_t *list = json_array();
    wick_status st = list ? WICK_OK : wick_err_oom(err, "messages", 0, 0);
    for (size_t i = 0; st == WICK_OK && i < json_array_size(messages); i++) {
        const json_t *m = json_array_get(messages, i);
        if (!json_is_object(m)) {
            st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages[%zu]: expected an object, got %s", i,
                           wick_json_type_name(m));
            break;
        }
        json_t *copy = json_copy((json_t *)(uintptr_t)m);
        if (!copy || !fix_reasoning(copy) || !fix_content(t, copy) || !fix_calls(t, copy) ||
            json_array_append(list, copy) != 0)
            st = wick_err_oom(err, "messages", 0, 0);
        json_decref(copy);
    }
    if (st == WICK_OK)
        *out = list;
    else
        json_decref(list);
    return st;
}

/* --- continuing the last message ---------------------------------------------------------------------------------------- */
/* Puts the tag after the last message's text. */
static wick_status tag_last(json_t *messages, wick_err *err)
{
    size_t n = json_array_size(messages);
    json_t *m = n ? json_array_get(messages, n - 1) : NULL, *holder = m, *text = json_object_get(m, "content");
    const char *key = "content";
    if (json_is_array(text)) {
        json_t *parts = json_deep_copy(text);
        if (!parts || json_object_set_new(m, "content", parts) != 0) return wick_err_oom(err, "messages", 0, 0);
        text = NULL;
        key = "text";
        for (size_t i = json_array_size(parts); i-- > 0 && !text;)
            text = json_object_get(holder = json_array_get(parts, i), key);
    }
    if (!json_is_string(text))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "continue_final_message",
                         "continue_final_message: the last message has no text to continue");
    json_t *tagged = json_pack("s++", json_string_value(text), CONTINUE_TAG, "");
    if (!tagged || json_object_set_new(holder, key, tagged) != 0) return wick_err_oom(err, "messages", 0, 0);
    return WICK_OK;
}

/* Cuts the prompt where the tag stands. */
static wick_status cut_at_tag(wick_buf *b, wick_err *err)
{
    size_t n = strlen(CONTINUE_TAG) - 1, at = b->n;
    const char *s = wick_buf_str(b);
    bool found = false;
    while (!found && at >= n) found = memcmp(s + --at - (n - 1), CONTINUE_TAG, n) == 0;
    if (!found)
        return WICK_FAIL(err, WICK_E_TEMPLATE, "continue_final_message",
                         "continue_final_message: the template leaves the last message out");
    at -= n - 1;
    bool exact = b->n > at + n && s[at + n] == ' ';
    while (!exact && at > 0 && strchr(" \t\n\r\f\v", s[at - 1])) at--;
    b->n = at;
    return WICK_OK;
}

/* --- rendering -------------------------------------------------------------------------------------------------------- */
static bool has_items(const json_t *list)
{
    return json_is_array(list) && json_array_size(list) > 0;
}

static json_t *borrow(const json_t *j)
{
    return j ? json_incref((json_t *)(uintptr_t)j) : json_null();
}

wick_status wick_chat_render(const wick_chat_template *t, const wick_chat_input *in, const wick_jinja_limits *limits,
                             wick_buf *out, wick_err *err)
{
    wick_jinja_limits lim = limits ? *limits : (wick_jinja_limits){0};
    json_t *messages = NULL, *vars = NULL;
    wick_buf text;
    wick_buf_init(&text, 0);
    wick_status st = WICK_OK;
    if (in->vars && !json_is_object(in->vars))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "chat_template_kwargs", "chat_template_kwargs: expected an object");
    if (in->continue_final_message && in->add_generation_prompt)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "continue_final_message",
                         "continue_final_message and add_generation_prompt exclude each other");
    WICK_TRY_GOTO(fix_messages(t, in->messages, &messages, err));
    if (in->continue_final_message) WICK_TRY_GOTO(tag_last(messages, err));
    vars = json_copy(t->special);
    const json_t *tools = has_items(in->tools) ? in->tools : NULL;
    if (!vars || json_object_set_new(vars, "tools", borrow(tools)) != 0 ||
        json_object_set_new(vars, "documents", borrow(in->documents)) != 0 ||
        json_object_set_new(vars, "add_generation_prompt", json_boolean(in->add_generation_prompt)) != 0 ||
        (in->vars && json_object_update(vars, (json_t *)(uintptr_t)in->vars) != 0) ||
        json_object_set(vars, "messages", messages) != 0) {
        st = wick_err_oom(err, "template variables", 0, 0);
        goto done;
    }
    const json_t *now = in->vars ? json_object_get(in->vars, "now") : NULL;
    if (json_is_integer(now)) lim.now_unix_s = json_integer_value(now);
    WICK_TRY_GOTO(wick_jinja_render(tools && t->tool_use ? t->tool_use : t->plain, vars, &lim, &text, err));
    if (in->continue_final_message) WICK_TRY_GOTO(cut_at_tag(&text, err));
    wick_buf_add(out, wick_buf_str(&text), text.n);
    if (out->failed) st = wick_err_oom(err, "prompt", text.n, out->max_bytes);
done:
    json_decref(messages);
    json_decref(vars);
    wick_buf_release(&text);
    return st;
}
