/* text/open_dir.c - the tokenizer of a model folder: which file, and what the files beside it change. */
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "text/open_dir.h"

enum { MAX_FILE = 1 << 28 };

static wick_status path_of(char **path, const char *dir, const char *name, wick_err *err)
{
    *path = wick_path_join(dir, name);
    return *path ? WICK_OK : wick_err_oom(err, "a path", 0, 0);
}

/* A JSON file that may be missing: *out stays NULL then. */
static wick_status optional_json(const char *dir, const char *name, json_t **out, wick_err *err)
{
    char *path;
    WICK_TRY(path_of(&path, dir, name, err));
    wick_status st = wick_path_is_file(path) ? wick_json_load(path, MAX_FILE, out, err) : WICK_OK;
    if (st == WICK_OK && *out && !json_is_object(*out))
        st = WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: expected an object, got %s", path, wick_json_type_name(*out));
    wick_free(path);
    return st;
}

/* "bos_token": "<s>" or {"content": "<s>", ...} */
static const char *token_name(const json_t *o, const char *key)
{
    const json_t *v = o ? json_object_get(o, key) : NULL;
    if (json_is_object(v)) v = json_object_get(v, "content");
    return json_string_value(v);
}

static int32_t token_id(const wick_tokenizer *t, const json_t *config, const json_t *map, const char *key, int32_t def)
{
    const char *name = token_name(config, key);
    if (!name) name = token_name(map, key);
    int32_t id = name ? wick_vocab_find(&t->vocab, name, strlen(name)) : -1;
    return id >= 0 ? id : def;
}

/* Both files may name an end, and not the same one: generation stops at either. */
static void name_ends(wick_tokenizer *t, const json_t *config, const json_t *map)
{
    const int32_t id[] = {token_id(t, config, NULL, "eos_token", -1), token_id(t, map, NULL, "eos_token", -1)};
    for (int i = 0; i < 2; i++)
        if (id[i] >= 0) t->named_end[t->n_named_ends++] = id[i];
}

/* added_tokens_decoder: {"32000": {"content": ..., "special": ...}}; tokens that the file itself lacks. */
static wick_status more_tokens(wick_tokenizer *t, const json_t *config, bool spm, const char *where, wick_err *err)
{
    const json_t *all = NULL, *v;
    const char *key;
    WICK_TRY(wick_json_obj(config, "added_tokens_decoder", &all, where, err));
    if (!all) return WICK_OK;
    wick_map have;
    wick_map_init(&have);
    wick_status st = WICK_OK;
    bool ok = wick_map_reserve(&have, t->added.n + 1);
    for (uint32_t i = 0; ok && i < t->added.n; i++) ok = wick_map_add(&have, t->added.v[i].text, i) != WICK_MAP_NONE;
    void *it = json_object_iter((json_t *)(uintptr_t)all);
    for (; ok && st == WICK_OK && it; it = json_object_iter_next((json_t *)(uintptr_t)all, it)) {
        key = json_object_iter_key(it);
        v = json_object_iter_value(it);
        wick_added a = {.id = -1};
        int64_t id;
        const char *text = token_name(v, "content");
        if (!wick_parse_i64(key, &id) || id < 0 || id > WICK_TOK_MAX_ID || !json_is_object(v) || !text) {
            st = WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: added_tokens_decoder: expected \"id\": {\"content\": ...}",
                           where);
            break;
        }
        if (wick_map_get(&have, wick_str_of(text)) != WICK_MAP_NONE) continue;
        a.text = wick_tok_keep(t, text, strlen(text));
        ok = a.text.p != NULL;
        if (ok) st = wick_json_bool(v, "special", false, &a.special, where, err);
        if (st == WICK_OK) st = wick_json_bool(v, "normalized", false, &a.normalized, where, err);
        if (st == WICK_OK) st = wick_json_bool(v, "lstrip", false, &a.lstrip, where, err);
        if (st == WICK_OK) st = wick_json_bool(v, "rstrip", false, &a.rstrip, where, err);
        if (st == WICK_OK) st = wick_json_bool(v, "single_word", false, &a.single_word, where, err);
        if (st != WICK_OK || !ok) break;
        if (spm) a.normalized = false; /* the Python tokenizers of that time split before anything else */
        if (spm && wick_vocab_find(&t->vocab, text, strlen(text)) < 0 && id >= t->vocab.n &&
            id - t->vocab.n < 1 << 20) {
            st = wick_tok_add_piece(t, (uint32_t)id, a.text, WICK_TOKEN_NORMAL, where, err);
        }
        if (st == WICK_OK) st = wick_added_put(t, &a, where, err);
    }
    wick_map_release(&have);
    return ok ? st : wick_err_oom(err, "added tokens", 0, 0);
}

/* add_bos_token / add_eos_token, where the config says either, replace the file's own template. */
static wick_status bos_eos(wick_tokenizer *t, const json_t *config, bool bos, bool eos, bool say, const char *where,
                           wick_err *err)
{
    int32_t post[3];
    uint32_t n = 0;
    say |= config && (json_object_get(config, "add_bos_token") || json_object_get(config, "add_eos_token"));
    if (!say) return WICK_OK;
    if (config) {
        WICK_TRY(wick_json_bool(config, "add_bos_token", bos, &bos, where, err));
        WICK_TRY(wick_json_bool(config, "add_eos_token", eos, &eos, where, err));
    }
    if (bos && t->bos >= 0) post[n++] = t->bos;
    post[n++] = -1;
    if (eos && t->eos >= 0) post[n++] = t->eos;
    return wick_tok_set_post(t, post, n) ? WICK_OK : wick_err_oom(err, "the tokenizer", 0, 0);
}

/* What a folder adds to a bare tokenizer.model: the special tokens are found in text, bos in front. */
static wick_status dress_spm(wick_tokenizer *t, const json_t *config, const char *where, wick_err *err)
{
    bool legacy = true;
    WICK_TRY(bos_eos(t, config, true, false, true, where, err));
    if (!config) return WICK_OK;
    WICK_TRY(wick_json_bool(config, "legacy", true, &legacy, where, err));
    t->prefix_first_only = !legacy;
    const int32_t ids[] = {t->bos, t->eos, t->model.unk};
    for (int i = 0; i < 3; i++) {
        if (ids[i] < 0) continue;
        wick_added a = {.id = ids[i], .text = t->vocab.piece[ids[i]], .special = true};
        WICK_TRY(wick_added_put(t, &a, where, err));
    }
    return WICK_OK;
}

wick_status wick_tok_dress(wick_tokenizer *t, const char *dir, wick_dress how, wick_err *err)
{
    json_t *config = NULL, *map = NULL;
    wick_status st = optional_json(dir, "tokenizer_config.json", &config, err);
    if (st == WICK_OK) st = optional_json(dir, "special_tokens_map.json", &map, err);
    if (st == WICK_OK && config) st = more_tokens(t, config, how == WICK_DRESS_SPM, dir, err);
    if (st == WICK_OK) {
        t->bos = token_id(t, config, map, "bos_token", t->bos);
        t->eos = token_id(t, config, map, "eos_token", t->eos);
        name_ends(t, config, map);
        st = how == WICK_DRESS_SPM ? dress_spm(t, config, dir, err) : bos_eos(t, config, false, false, false, dir, err);
    }
    if (st == WICK_OK) {
        wick_trie_release(&t->added.raw);
        wick_trie_release(&t->added.normalized);
        t->added.has_raw = t->added.has_normalized = false;
        st = wick_added_build(t, dir, err);
    }
    json_decref(config);
    json_decref(map);
    return st;
}

typedef wick_status (*loader)(wick_tokenizer **out, const char *data, size_t n, const char *path, wick_err *err);

static wick_status load_json(wick_tokenizer **out, const char *data, size_t n, const char *path, wick_err *err)
{
    return wick_tokenizer_from_json(out, data, n, path, err);
}

static wick_status load_model(wick_tokenizer **out, const char *data, size_t n, const char *path, wick_err *err)
{
    if (wick_tiktoken_looks_like(data, n)) return wick_tiktoken_load(out, data, n, path, err);
    return wick_tokenizer_from_spm(out, data, n, path, err);
}

static wick_status load_file(wick_tokenizer **out, const char *dir, const char *name, loader load, wick_err *err)
{
    char *path, *data = NULL;
    size_t n;
    WICK_TRY(path_of(&path, dir, name, err));
    wick_status st = wick_file_read(path, MAX_FILE, &data, &n, err);
    if (st == WICK_OK) st = load(out, data, n, path, err);
    wick_free(data);
    wick_free(path);
    return st;
}

/* The tokenizer file of a folder, in order of preference; NULL if there is none. */
static const char *choose(const wick_dir_list *l)
{
    static const char *const names[] = {"tokenizer.json", "tekken.json",  "tokenizer.model",
                                        "tiktoken.model", "spiece.model", "sentencepiece.bpe.model"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (size_t i = 0; i < l->n; i++)
            if (strcmp(l->name[i], names[k]) == 0) return names[k];
    for (size_t i = 0; i < l->n; i++)
        if (wick_ends_with(l->name[i], ".tiktoken")) return l->name[i];
    return NULL;
}

wick_status wick_tokenizer_open_dir(wick_tokenizer **out, const char *dir, wick_err *err)
{
    wick_dir_list list;
    wick_tokenizer *t = NULL;
    if (!wick_path_is_dir(dir)) return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, dir, "%s: no such folder", dir);
    WICK_TRY(wick_dir_list_read(&list, dir, err));
    const char *name = choose(&list);
    wick_status st;
    if (!name) {
        st = WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, dir,
                       "%s: no tokenizer.json, tokenizer.model or .tiktoken file in the folder", dir);
    } else {
        bool json = strcmp(name, "tokenizer.json") == 0;
        bool tekken = strcmp(name, "tekken.json") == 0;
        st = load_file(&t, dir, name, json ? load_json : tekken ? wick_tekken_load : load_model, err);
        if (st == WICK_OK)
            st = wick_tok_dress(t, dir, json || t->model.raw_bytes ? WICK_DRESS_JSON : WICK_DRESS_SPM, err);
    }
    wick_dir_list_free(&list);
    if (st == WICK_OK)
        *out = t;
    else
        wick_tokenizer_free(t);
    return st;
}
