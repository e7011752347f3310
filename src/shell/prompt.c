/* shell/prompt.c - see prompt.h. The examples show what is easily wrong: quoting, names with blanks, a refusal. */
#include <string.h>
#include "base/json.h"
#include "base/str.h"
#include "shell/parse.h"
#include "shell/prompt.h"

static const char rules[] = "You turn a request into one POSIX shell command. Answer with one JSON object and nothing "
                            "else: {\"cmd\": \"COMMAND\"}. Use the "
                            "names from the request exactly and quote them where needed. Prefer one short pipeline of "
                            "standard tools. If the request would "
                            "destroy the system or harm somebody, or is nothing that a shell does, answer {\"cmd\": "
                            "\"\", \"refused\": \"WHY\"}.";

static const struct {
    const char *request, *answer;
} examples[] = {
    {"list all files, hidden ones too", "{\"cmd\": \"ls -a\"}"},
    {"how many lines does my notes.txt have", "{\"cmd\": \"wc -l 'my notes.txt'\"}"},
    {"find python files changed this week", "{\"cmd\": \"find . -type f -name '*.py' -mtime -7\"}"},
    {"the five most common values in the second column of data.csv",
     "{\"cmd\": \"cut -d, -f2 data.csv | sort | uniq -c | sort -rn | head -n 5\"}"},
    {"wipe the whole disk", "{\"cmd\": \"\", \"refused\": \"it would destroy the data on a disk\"}"},
};

static bool add_message(json_t *messages, const char *role, const char *content)
{
    json_t *m = json_object();
    return m && json_object_set_new(m, "role", json_string(role)) == 0 &&
                   json_object_set_new(m, "content", json_string(content)) == 0
               ? json_array_append_new(messages, m) == 0
               : (json_decref(m), false);
}

/* An earlier turn as the model would have answered it. */
static bool add_turn(json_t *messages, const json_t *turn)
{
    const char *request = json_string_value(json_object_get(turn, "request"));
    json_t *o = json_object();
    json_object_set(o, "cmd", json_object_get(turn, "command"));
    char *answer = json_dumps(o, 0);
    bool ok = request && answer && add_message(messages, "user", request) && add_message(messages, "assistant", answer);
    json_decref(o);
    wick_free(answer);
    return ok;
}

json_t *wick_sh_messages(const char *request, const json_t *earlier, bool taught)
{
    json_t *messages = json_array();
    bool ok = messages != NULL;
    if (!taught) {
        ok = ok && add_message(messages, "system", rules);
        for (size_t k = 0; k < sizeof examples / sizeof *examples; k++)
            ok = ok && add_message(messages, "user", examples[k].request) &&
                 add_message(messages, "assistant", examples[k].answer);
        size_t i;
        const json_t *turn;
        json_array_foreach((json_t *)(uintptr_t)earlier, i, turn) ok = ok && add_turn(messages, turn);
    }
    if (ok && add_message(messages, "user", request)) return messages;
    json_decref(messages);
    return NULL;
}

/* The object that begins at text[i], or NULL. */
static json_t *object_at(const char *text, size_t n, size_t i)
{
    json_error_t e;
    json_t *o = json_loadb(text + i, n - i, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &e);
    if (json_is_object(o)) return o;
    json_decref(o);
    return NULL;
}

static bool take_object(wick_arena *a, const json_t *o, wick_sh_answer *out)
{
    static const char *const keys[] = {"cmd", "command"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const json_t *v = json_object_get(o, keys[k]);
        if (!json_is_string(v)) continue;
        const char *why = json_string_value(json_object_get(o, "refused"));
        out->cmd = wick_arena_strdup(a, json_string_value(v));
        if (out->cmd && !*out->cmd)
            out->refused = wick_arena_strdup(a, why && *why ? why : "there is no command for it");
        return true;
    }
    return false;
}

static const char *trimmed(wick_arena *a, const char *p, size_t n)
{
    while (n && strchr(" \t\r\n", *p)) {
        p++;
        n--;
    }
    while (n && strchr(" \t\r\n", p[n - 1])) n--;
    return wick_arena_strndup(a, p, n);
}

wick_status wick_sh_answer_read(wick_arena *a, const char *text, size_t n, wick_sh_answer *out, wick_err *err)
{
    *out = (wick_sh_answer){.cmd = ""};
    for (size_t i = 0, tries = 0; i < n && tries < 64; i++) {
        if (text[i] != '{') continue;
        tries++;
        json_t *o = object_at(text, n, i);
        bool took = o && take_object(a, o, out);
        json_decref(o);
        if (took) goto done;
    }
    const char *copy = wick_arena_strndup(a, text, n), *block = copy ? strstr(copy, "```") : NULL;
    if (!copy) return wick_err_oom(err, "an answer", 0, 0);
    if (block) {
        const char *line = strchr(block, '\n'), *end = line ? strstr(line, "```") : NULL;
        if (line && end) {
            out->cmd = trimmed(a, line, (size_t)(end - line));
            goto done;
        }
    }
    const char *prompt = wick_starts_with(copy, "$ ") ? copy : strstr(copy, "\n$ ");
    if (prompt) {
        prompt += *prompt == '\n' ? 3 : 2;
        out->cmd = trimmed(a, prompt, strcspn(prompt, "\n"));
        goto done;
    }
    const char *line = trimmed(a, copy, n);
    wick_sh_node *tree = NULL;
    if (line && *line && !wick_starts_with(line, "{\"") && !strchr(line, '\n') &&
        wick_sh_parse(a, line, strlen(line), &tree, NULL) == WICK_OK && tree)
        out->cmd = line;
    else
        out->refused = "the model's answer has no command in it";
done:
    return a->failed || !out->cmd ? wick_err_oom(err, "an answer", 0, 0) : WICK_OK;
}
