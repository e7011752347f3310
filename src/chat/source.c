/* chat/source.c - see source.h. */
#include "chat/source.h"
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "chat/known.h"
#include "format/gguf.h"
#include "model/vocab.h"

enum { CONFIG_MAX_BYTES = 64 << 20, TEMPLATE_MAX_BYTES = 4 << 20 };

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

/* Of [{"name": ..., "template": ...}], or of {name: template}. */
static const char *named(const json_t *list, const char *name)
{
    if (json_is_object(list)) return json_string_value(json_object_get(list, name));
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
    if (!src && (json_is_array(tpl) || json_is_object(tpl))) {
        src = named(tpl, "default");
        tool_use = named(tpl, "tool_use");
        if (!src) src = json_string_value(json_object_get(json_array_get(tpl, 0), "template"));
        if (!src && json_is_object(tpl))
            src = json_string_value(json_object_iter_value(json_object_iter((json_t *)(uintptr_t)tpl)));
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
    return wick_chat_template_compile(out, src, n, tool_use, tokens, where, err);
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
        WICK_TRY_GOTO(wick_file_read(path, TEMPLATE_MAX_BYTES, &src, &n, err));
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

/* What names a file or a family rather than being a template: no braces, no blanks. */
static bool looks_like_path(const char *text)
{
    return *text && !strpbrk(text, "{ \n");
}

/* A template text, or the path of a file that holds one: braces make it a text. */
static wick_status from_override(const char *text, const char *bos, const char *eos, wick_chat_template **out,
                                 wick_err *err)
{
    const char *known = wick_path_is_file(text) ? NULL : wick_chat_known_template(text);
    if (known) return wick_chat_template_new(out, known, strlen(known), bos, eos, text, err);
    if (strchr(text, '{') || strchr(text, '\n') || !wick_path_is_file(text)) {
        char names[200];
        if (looks_like_path(text))
            return WICK_FAIL(
                err, WICK_E_TEMPLATE, "chat-template",
                "%s: there is no such file, and it is no template text (it has no braces) and no name of one: %s", text,
                wick_chat_known_names(names, sizeof names));
        return wick_chat_template_new(out, text, strlen(text), bos, eos, "chat template", err);
    }
    char *data = NULL;
    size_t n = 0;
    WICK_TRY(wick_file_read(text, TEMPLATE_MAX_BYTES, &data, &n, err));
    wick_status st = wick_chat_template_new(out, data, n, bos, eos, "chat template", err);
    wick_free(data);
    return st;
}

/* The text of a token, for bos_token and eos_token; NULL for -1. */
static char *piece_text(const wick_tokenizer *t, int32_t id)
{
    wick_str s = t && id >= 0 ? wick_tokenizer_piece(t, id) : (wick_str){0};
    return s.p ? wick_strndup(s.p, s.n) : NULL;
}

wick_status wick_chat_template_open_model(const wick_model *m, const wick_tokenizer *t, const char *override,
                                          wick_chat_template **out, wick_err *err)
{
    wick_status st = WICK_OK;
    wick_str src = {0};
    char *folder = NULL, *bos = piece_text(t, t ? wick_tokenizer_bos(t) : -1),
         *eos = piece_text(t, t ? wick_tokenizer_eos(t) : -1);
    *out = NULL;
    if (override && *override) {
        st = from_override(override, bos, eos, out, err);
        goto done;
    }
    if (m->tensors.gguf) {
        WICK_TRY_GOTO(wick_gguf_str(m->tensors.gguf, "tokenizer.chat_template", &src, err));
        if (src.n) st = wick_chat_template_new(out, src.p, src.n, bos, eos, "chat template", err);
        goto done;
    }
    folder = wick_model_folder(m->path);
    st = folder ? wick_chat_template_open_dir(out, folder, err) : wick_err_oom(err, "a path", 0, 0);
done:
    wick_free(folder);
    wick_free(bos);
    wick_free(eos);
    return st;
}
