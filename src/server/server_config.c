/* server/server_config.c - see server_config.h. The YAML reader is in server_yaml.c. */
#include "server/server_config.h"
#include <string.h>
#include "base/file.h"
#include "base/str.h"
#include "base/sys.h"
#include "server/server_int.h"

enum { MIN_KEY = 16, MAX_KEY = 512, KEY_FILE_BYTES = 1 << 20 };

void wick_server_limits_init(wick_server_limits *l)
{
#define LIMIT(field, def, lo, hi, unit, answer, about) l->field = (def);
#include "server/limits.def"
#undef LIMIT
}

uint64_t wick_server_buffer_limit(const wick_server_config *c)
{
    const uint64_t share = c->memory_limit_bytes / 4;
    return share && share < c->limits.buffered_bytes ? share : c->limits.buffered_bytes;
}

void wick_server_config_init(wick_server_config *c)
{
    memset(c, 0, sizeof *c);
    wick_arena_init(&c->arena, 4096);
    c->host = "127.0.0.1";
    c->port = 11535;
    wick_server_limits_init(&c->limits);
    wick_engine_opts_init(&c->engine_defaults);
}

void wick_server_config_release(wick_server_config *c)
{
    wick_free(c->model);
    wick_free(c->key);
    json_decref(c->defaults);
    json_decref(c->tool_file);
    wick_arena_release(&c->arena);
}

wick_status wick_server_config_add_model(wick_server_config *c, const char *path, const char *id,
                                         wick_model_config **out, wick_err *err)
{
    wick_model_config *grown = wick_realloc_array(c->model, c->n_model + 1, sizeof *grown);
    if (!grown) return wick_err_oom(err, "models", 0, 0);
    c->model = grown;
    wick_model_config *m = &grown[c->n_model];
    memset(m, 0, sizeof *m);
    m->engine = c->engine_defaults;
    m->chat_template = c->chat_template;
    m->path = wick_arena_strdup(&c->arena, path);
    if (!id) { /* the last part of the path, or the whole of an "org/name" */
        size_t n = strlen(path);
        while (n > 1 && path[n - 1] == '/') n--;
        const bool is_path = path[0] == '/' || path[0] == '.' || path[0] == '~' || wick_path_exists(path);
        char *cut = wick_arena_strndup(&c->arena, path, n);
        if (cut) id = is_path ? wick_path_base(cut) : cut;
    }
    m->id = id ? wick_arena_strdup(&c->arena, id) : NULL;
    if (!m->path || !m->id) return wick_err_oom(err, "models", 0, 0);
    if (!*m->id || strlen(m->id) > 200)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "id", "the id of model %s must have 1 to 200 characters", path);
    c->n_model++;
    if (out) *out = m;
    return WICK_OK;
}

wick_status wick_server_config_add_key(wick_server_config *c, const char *name, const char *key, unsigned scopes,
                                       wick_key_config **out, wick_err *err)
{
    const size_t n = strlen(key);
    if (n < MIN_KEY || n > MAX_KEY)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "key", "API key \"%s\": must have %d to %d characters", name,
                         MIN_KEY, MAX_KEY);
    for (size_t i = 0; i < n; i++)
        if (key[i] <= ' ' || key[i] == 0x7f)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "key", "API key \"%s\": has a blank or a control character",
                             name);
    wick_key_config *grown = wick_realloc_array(c->key, c->n_key + 1, sizeof *grown);
    if (!grown) return wick_err_oom(err, "keys", 0, 0);
    c->key = grown;
    wick_key_config *k = &grown[c->n_key];
    memset(k, 0, sizeof *k);
    k->name = wick_arena_strdup(&c->arena, name);
    k->scopes = scopes;
    wick_key_digest(key, n, k->digest);
    if (!k->name) return wick_err_oom(err, "keys", 0, 0);
    c->n_key++;
    if (out) *out = k;
    return WICK_OK;
}

wick_status wick_server_config_key_file(wick_server_config *c, const char *path, unsigned scopes, wick_err *err)
{
    char *text, *save = NULL;
    unsigned n_line = 0;
    size_t n_text;
    WICK_TRY(wick_file_check_private(path, err));
    WICK_TRY(wick_file_read(path, KEY_FILE_BYTES, &text, &n_text, err));
    wick_status st = WICK_OK;
    for (char *line = strtok_r(text, "\n", &save); line && st == WICK_OK; line = strtok_r(NULL, "\n", &save)) {
        char name[64];
        while (*line == ' ' || *line == '\t') line++;
        line[strcspn(line, " \t\r#")] = '\0';
        if (!*line) continue;
        snprintf(name, sizeof name, "file-%u", ++n_line);
        st = wick_server_config_add_key(c, name, line, scopes, NULL, err);
    }
    wick_wipe(text, n_text);
    wick_free(text);
    if (st == WICK_OK && n_line == 0)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, path, "%s: there is no key in it", path);
    return st;
}

wick_status wick_server_config_check(const wick_server_config *c, wick_err *err)
{
    if (c->n_key == 0 && !c->no_key_needed && !wick_host_is_loopback(c->host))
        return WICK_FAIL(
            err, WICK_E_BAD_PARAMETER, "host",
            "--host %s: others could use this server without a key; set WICK_API_KEY or --api-key-file, or say "
            "--no-key-needed",
            c->host);
    for (uint32_t i = 0; i < c->n_cors_origin && c->n_key == 0; i++)
        if (strcmp(c->cors_origin[i], "*") == 0)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "cors-origin",
                             "--cors-origin '*': every web page could use this server; name the origins, or set "
                             "WICK_API_KEY or --api-key-file");
    if (!c->tls_cert != !c->tls_key)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tls-cert", "TLS needs both --tls-cert and --tls-key");
    if (c->tls_key) WICK_TRY(wick_file_check_private(c->tls_key, err));
    for (uint32_t i = 0; i < c->n_model; i++)
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(c->model[i].id, c->model[j].id) == 0)
                return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "models",
                                 "two models are called \"%s\"; give one another id", c->model[i].id);
    for (uint32_t i = 0; i < c->n_key; i++)
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(c->key[i].name, c->key[j].name) == 0)
                return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "keys", "two keys are called \"%s\"", c->key[i].name);
    return WICK_OK;
}
