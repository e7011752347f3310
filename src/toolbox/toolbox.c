/* toolbox/toolbox.c - reads the file of tools, opens what it names, closes it. */
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "toolbox/toolbox_int.h"

enum { FILE_MAX_BYTES = 4 << 20, SERVERS_MAX = 64 };

/* --- texts -------------------------------------------------------------------------------------------------------- */
wick_status wick_toolbox_text(const json_t *v, const char *where, const wick_toolbox_opts *o, char **out, wick_err *err)
{
    const char *s = json_string_value(v);
    wick_buf b = WICK_BUF_INIT;
    if (!s || strlen(s) != json_string_length(v))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, where, "%s: must be a text, not %s", where, wick_json_type_name(v));
    while (*s) {
        const char *open = strstr(s, "${"), *close = open ? strchr(open, '}') : NULL;
        if (!close) {
            wick_buf_puts(&b, s);
            break;
        }
        char name[128];
        const char *from = strncmp(open + 2, "env:", 4) == 0 ? open + 6 : open + 2;
        const size_t n = (size_t)(close - from);
        wick_buf_add(&b, s, (size_t)(open - s));
        memcpy(name, from, n < sizeof name ? n : 0);
        name[n < sizeof name ? n : 0] = '\0';
        const char *value = o->variable && name[0] ? o->variable(o->ctx, name) : NULL;
        if (!value) {
            wick_buf_release(&b);
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, where, "%s: the variable ${%s} is not set", where, name);
        }
        wick_buf_puts(&b, value);
        s = close + 1;
    }
    (void)wick_buf_str(&b);
    *out = wick_buf_take(&b, NULL);
    return *out ? WICK_OK : wick_err_oom(err, where, 0, 0);
}

void wick_toolbox_texts_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++) wick_free(list[i]);
    wick_free(list);
}

wick_status wick_toolbox_texts(const json_t *list, const char *where, const wick_toolbox_opts *o, char ***out,
                               wick_err *err)
{
    const size_t n = json_array_size(list);
    if (list && !json_is_array(list))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, where, "%s: must be an array, not %s", where,
                         wick_json_type_name(list));
    char **texts = wick_alloc_zero(n + 1, sizeof *texts);
    if (!texts) return wick_err_oom(err, where, n, 0);
    for (size_t i = 0; i < n; i++) {
        const wick_status st = wick_toolbox_text(json_array_get(list, i), where, o, &texts[i], err);
        if (st != WICK_OK) {
            wick_toolbox_texts_free(texts);
            return st;
        }
    }
    *out = texts;
    return WICK_OK;
}

wick_status wick_toolbox_env(const json_t *more, const char *where, const wick_toolbox_opts *o, char ***out,
                             wick_err *err)
{
    size_t n = 0, at = 0;
    const char *key;
    json_t *v;
    wick_status st = WICK_OK;
    if (more && !json_is_object(more))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, where, "%s: \"env\" must be an object", where);
    while (o->env && o->env[n]) n++;
    char **env = wick_alloc_zero(n + json_object_size(more) + 1, sizeof *env);
    if (!env) return wick_err_oom(err, where, 0, 0);
    for (size_t i = 0; st == WICK_OK && i < n; i++) {
        char name[128];
        const size_t k = strcspn(o->env[i], "=");
        memcpy(name, o->env[i], k < sizeof name ? k : 0);
        name[k < sizeof name ? k : 0] = '\0';
        if (json_object_get(more, name)) continue;
        env[at] = wick_strdup(o->env[i]);
        st = env[at++] ? WICK_OK : wick_err_oom(err, where, 0, 0);
    }
    json_object_foreach((json_t *)(uintptr_t)more, key, v)
    {
        char *value = NULL;
        if (st == WICK_OK) st = wick_toolbox_text(v, where, o, &value, err);
        if (st != WICK_OK) break;
        wick_buf b = WICK_BUF_INIT;
        wick_buf_printf(&b, "%s=%s", key, value);
        wick_free(value);
        env[at] = wick_buf_take(&b, NULL);
        st = env[at++] ? WICK_OK : wick_err_oom(err, where, 0, 0);
    }
    if (st != WICK_OK) {
        wick_toolbox_texts_free(env);
        return st;
    }
    *out = env;
    return WICK_OK;
}

/* --- the file ----------------------------------------------------------------------------------------------------- */
static wick_status part(const json_t *config, const char *key, json_t **out, wick_err *err)
{
    *out = json_object_get(config, key);
    if (!*out || json_is_object(*out)) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, key, "tools: \"%s\" must be an object, not %s", key,
                     wick_json_type_name(*out));
}

static wick_status check_keys(const json_t *config, wick_err *err)
{
    static const char *const known[] = {"mcpServers", "servers", "commands", "builtin",
                                        "dispatch",   "inputs",  "$schema"};
    const char *key;
    json_t *v;
    if (!json_is_object(config))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tools", "tools: must be a JSON object, not %s",
                         wick_json_type_name(config));
    json_object_foreach((json_t *)(uintptr_t)config, key, v)
    {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(known[i], key) != 0) i++;
        if (i == sizeof known / sizeof *known)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tools",
                             "tools: \"%.60s\" is unknown; there are mcpServers, commands, dispatch and builtin", key);
    }
    return WICK_OK;
}

static wick_status add_builtin(wick_toolbox *b, const char *name, const json_t *c, const wick_toolbox_opts *o,
                               wick_err *err)
{
    if (json_is_false(c)) return WICK_OK;
    if (strcmp(name, "calculate") == 0 || strcmp(name, "time") == 0) return wick_toolbox_add_simple(b, name, err);
    if (strcmp(name, "read_file") == 0 || strcmp(name, "list_files") == 0)
        return wick_toolbox_add_files(b, name, c, o, err);
    if (strcmp(name, "http_get") == 0) return wick_toolbox_add_fetch(b, c, err);
    return WICK_FAIL(
        err, WICK_E_BAD_PARAMETER, "builtin",
        "tools: there is no built-in tool \"%.60s\"; there are calculate, time, read_file, list_files, http_get", name);
}

static wick_status add_servers(wick_toolbox *b, json_t *servers, const wick_toolbox_opts *o, wick_err *err)
{
    const char *name;
    json_t *c;
    if (json_object_size(servers) > SERVERS_MAX)
        return WICK_FAIL(err, WICK_E_LIMIT, "mcpServers", "tools: more than %d MCP servers", SERVERS_MAX);
    json_object_foreach(servers, name, c)
    {
        wick_err why = {0};
        if (json_is_true(json_object_get(c, "disabled"))) continue;
        const wick_status st = wick_toolbox_add_server(b, name, c, o, &why);
        if (st == WICK_OK) continue;
        if (!o->lenient || st == WICK_E_BAD_PARAMETER || st == WICK_E_OUT_OF_MEMORY) {
            if (err) *err = why;
            return st;
        }
        wick_log(WICK_LOG_WARN, "%s", why.message);
    }
    return WICK_OK;
}

static wick_status fill(wick_toolbox *b, const json_t *config, const wick_toolbox_opts *o, wick_err *err)
{
    json_t *builtin, *commands, *servers, *more, *c;
    const char *name;
    WICK_TRY(check_keys(config, err));
    WICK_TRY(part(config, "builtin", &builtin, err));
    WICK_TRY(part(config, "commands", &commands, err));
    WICK_TRY(part(config, "mcpServers", &servers, err));
    WICK_TRY(part(config, "servers", &more, err));
    json_object_foreach(builtin, name, c) WICK_TRY(add_builtin(b, name, c, o, err));
    json_object_foreach(commands, name, c) WICK_TRY(wick_toolbox_add_command(b, name, c, o, err));
    if (json_object_get(config, "dispatch"))
        WICK_TRY(wick_toolbox_add_dispatch(b, json_object_get(config, "dispatch"), o, err));
    WICK_TRY(add_servers(b, servers, o, err));
    return add_servers(b, more, o, err);
}

wick_status wick_toolbox_open(wick_toolbox **out, const json_t *config, const wick_toolbox_opts *o, wick_err *err)
{
    wick_toolbox *b = wick_alloc_zero(1, sizeof *b);
    if (!b) return wick_err_oom(err, "tools", sizeof *b, 0);
    b->servers = wick_alloc_zero(SERVERS_MAX * 2, sizeof *b->servers);
    wick_status st = b->servers ? wick_toolset_new(&b->tools, err) : wick_err_oom(err, "tools", 0, 0);
    if (st == WICK_OK) st = fill(b, config, o, err);
    if (st != WICK_OK) {
        wick_toolbox_close(b);
        return st;
    }
    *out = b;
    return WICK_OK;
}

wick_status wick_toolbox_load(wick_toolbox **out, const char *text_or_path, const wick_toolbox_opts *o, wick_err *err)
{
    wick_toolbox_opts opts = *o;
    char *text = NULL, *folder = NULL;
    json_t *config = NULL;
    size_t n = strlen(text_or_path);
    wick_status st = WICK_OK;
    if (text_or_path[strspn(text_or_path, " \t\r\n")] == '{') {
        st = wick_json_parse_strict(text_or_path, n, "tools", &config, err);
    } else {
        const char *base = wick_path_base(text_or_path);
        st = wick_file_read(text_or_path, FILE_MAX_BYTES, &text, &n, err);
        if (st == WICK_OK) st = wick_json_parse_strict(text, n, text_or_path, &config, err);
        folder = wick_strndup(text_or_path, (size_t)(base - text_or_path));
        if (!opts.folder && folder && folder[0]) opts.folder = folder;
    }
    if (st == WICK_OK) st = wick_toolbox_open(out, config, &opts, err);
    json_decref(config);
    wick_free(text);
    wick_free(folder);
    return st;
}

void wick_toolbox_close(wick_toolbox *b)
{
    if (!b) return;
    wick_toolset_free(b->tools);
    for (size_t i = 0; b->servers && i < b->n_servers; i++) wick_mcp_box_close(b->servers[i]);
    wick_free(b->servers);
    wick_free(b);
}

const wick_toolset *wick_toolbox_tools(const wick_toolbox *b)
{
    return b->tools;
}

json_t *wick_toolbox_servers(wick_toolbox *b)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->n_servers; i++) json_array_append_new(list, wick_mcp_box_row(b->servers[i]));
    return list;
}
