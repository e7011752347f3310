/* cli/slash.c - see slash.h. */
#include "cli/slash.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/ask.h"
#include "cli/session.h"
#include "cli/term.h"

static const char *role_of(const json_t *message)
{
    const char *r = json_string_value(json_object_get(message, "role"));
    return r ? r : "";
}

static size_t system_count(const json_t *messages)
{
    return strcmp(role_of(json_array_get(messages, 0)), "system") == 0;
}

static void cut(json_t *messages, size_t n)
{
    while (json_array_size(messages) > n) json_array_remove(messages, json_array_size(messages) - 1);
}

/* Back to before the last user message; false if there is none. */
static bool undo(json_t *messages)
{
    for (size_t i = json_array_size(messages); i-- > 0;)
        if (strcmp(role_of(json_array_get(messages, i)), "user") == 0) {
            cut(messages, i);
            return true;
        }
    return false;
}

static void set_system(json_t *messages, const char *text)
{
    json_t *m = json_object();
    json_array_clear(messages);
    json_object_set_new(m, "role", json_string("system"));
    json_object_set_new(m, "content", wick_json_text(text, strlen(text)));
    json_array_append_new(messages, m);
}

static void show(const wick_slash *s)
{
    const size_t n = system_count(s->messages), all = json_array_size(s->messages);
    const char *system = n ? json_string_value(json_object_get(json_array_get(s->messages, 0), "content")) : NULL;
    printf("messages     %zu\nsystem       ", all - n);
    fflush(stdout);
    if (system)
        wick_term_text(system, strlen(system));
    else
        fputs("(none)", stdout);
    printf("\n");
    wick_opt_print_given(s->command, s->args);
    if (s->figures[0]) printf("last answer  %s\n", s->figures);
}

static void set(wick_slash *s, char *rest)
{
    wick_err err = {0};
    char *value = rest + strcspn(rest, " =");
    if (*value) *value++ = '\0';
    while (*value == ' ' || *value == '=') value++;
    if (!*rest || !*value) {
        puts("/set NAME VALUE, for example /set temp 0.2");
    } else if (wick_opt_set_sampling(s->command, s->args, rest, value, &err) != WICK_OK) {
        wick_notice("wick: %s", err.message);
    } else {
        printf("%s is set.\n", rest);
    }
}

static void save(wick_slash *s, const char *path)
{
    wick_err err = {0};
    if (!*path)
        puts("/save FILE");
    else if (wick_conversation_save(path, s->messages, &err) != WICK_OK)
        wick_notice("wick: %s", err.message);
    else
        printf("%zu messages are saved.\n", json_array_size(s->messages));
}

static void load(wick_slash *s, const char *path)
{
    wick_err err = {0};
    json_t *loaded = NULL;
    if (!*path) {
        puts("/load FILE");
    } else if (wick_conversation_load(path, &loaded, &err) != WICK_OK) {
        wick_notice("wick: %s", err.message);
    } else {
        json_array_clear(s->messages);
        json_array_extend(s->messages, loaded);
        printf("%zu messages are loaded.\n", json_array_size(loaded));
        json_decref(loaded);
    }
}

static void help(void)
{
    puts("/clear            forget the conversation\n"
         "/system TEXT      start a new one with a system prompt (a text, or a file)\n"
         "/set NAME VALUE   change an option of the sampling: /set temp 0.2\n"
         "/show             the system prompt, what was set, figures\n"
         "/save FILE, /load FILE   the conversation as JSON\n"
         "/retry            answer the last message once more\n"
         "/undo             take the last message and its answer back\n"
         "/stats            tokens a second of the last answer\n"
         "/quit             leave (also /bye, Ctrl-D)\n"
         "\"\"\"               begins and ends a text of several lines; a paste of several lines is one message\n"
         "Ctrl-C            stops an answer");
}

/* "/set temp 1" with name "set" -> "temp 1"; NULL for another command. */
static const char *argument_of(const char *line, const char *name)
{
    const size_t n = strlen(name);
    if (strncmp(line + 1, name, n) != 0) return NULL;
    const char *rest = line + 1 + n;
    if (*rest && *rest != ' ') return NULL;
    while (*rest == ' ') rest++;
    return rest;
}

static void system_command(wick_slash *s, const char *given)
{
    wick_err err = {0};
    char *text = NULL;
    if (!*given) {
        show(s);
    } else if (wick_ask_text_or_file(given, &text, &err) != WICK_OK) {
        wick_notice("wick: %s", err.message);
    } else {
        set_system(s->messages, text);
        puts("New conversation with this system prompt.");
    }
    wick_free(text);
}

static wick_slash_result retry(wick_slash *s)
{
    size_t n = json_array_size(s->messages);
    while (n > 0 && strcmp(role_of(json_array_get(s->messages, n - 1)), "assistant") == 0) n--;
    if (n == 0 || strcmp(role_of(json_array_get(s->messages, n - 1)), "user") != 0) {
        puts("There is no message to answer again.");
        return WICK_SLASH_STAY;
    }
    cut(s->messages, n);
    return WICK_SLASH_RETRY;
}

wick_slash_result wick_slash_run(wick_slash *s, const char *line)
{
    const char *rest;
    if (argument_of(line, "quit") || argument_of(line, "bye") || argument_of(line, "exit")) return WICK_SLASH_LEAVE;
    if (argument_of(line, "retry")) return retry(s);
    if (argument_of(line, "clear") || argument_of(line, "reset") || argument_of(line, "new")) {
        cut(s->messages, system_count(s->messages));
        puts("The conversation is forgotten.");
    } else if ((rest = argument_of(line, "system"))) {
        system_command(s, rest);
    } else if ((rest = argument_of(line, "set"))) {
        char *own = wick_strdup(rest);
        if (own) set(s, own);
        wick_free(own);
    } else if (argument_of(line, "show")) {
        show(s);
    } else if ((rest = argument_of(line, "save"))) {
        save(s, rest);
    } else if ((rest = argument_of(line, "load"))) {
        load(s, rest);
    } else if (argument_of(line, "undo")) {
        puts(undo(s->messages) ? "The last message and its answer are taken back." : "There is nothing to take back.");
    } else if (argument_of(line, "stats")) {
        puts(s->figures[0] ? s->figures : "There was no answer yet.");
    } else {
        if (!argument_of(line, "help") && !argument_of(line, "?")) {
            char shown[64];
            wick_escape_line(shown, sizeof shown, line, strlen(line));
            printf("No command %s.\n", shown);
        }
        help();
    }
    fflush(stdout);
    return WICK_SLASH_STAY;
}
