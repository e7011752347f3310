/* convert/gguf_vocab_keys.c - a tokenizer.json as the vocabulary of a GGUF file, with the chat template.
 *
 * Which of GGUF's rules for cutting text (tokenizer.ggml.pre) a tokenizer follows is found by trying: the vocabulary is
 * opened with each rule in turn, and the first that gives the tokenizer's own ids for every probe text is taken. The
 * same tells whether a space goes before a text. So nothing is written that would read text differently.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "convert/convert_int.h"
#include "model/vocab.h"

#define MAX_JSON_BYTES (256u << 20)

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER = 4, UNUSED = 5, BYTE = 6 };

/* Rules to try; several families share one, the first name counts. */
static const char *const rules[] = {"llama-bpe",  "qwen2",       "gpt-2",        "smollm",         "gpt-4o",
                                    "tekken",     "deepseek-v3", "deepseek-llm", "deepseek-coder", "starcoder",
                                    "stablelm2",  "falcon",      "command-r",    "olmo",           "dbrx",
                                    "seed-coder", "superbpe",    "bloom",        "poro-chat"};

typedef struct vocab {
    json_t *json;
    wick_str *tokens, *merges;
    int32_t *types;
    float *scores;
    uint32_t n, n_merges;
    bool spm;
    wick_tokenizer *own; /* the folder's */
} vocab;

static void set_token(vocab *v, json_int_t id, const char *text, size_t n, int32_t type)
{
    if (id < 0 || id >= v->n) return;
    v->tokens[id] = (wick_str){text, n};
    v->types[id] = type;
}

static bool is_byte(const char *s, size_t n)
{
    return n == 6 && memcmp(s, "<0x", 3) == 0 && s[5] == '>';
}

static wick_status read_tokens(wick_convert_job *j, vocab *v, const json_t *model, wick_err *err)
{
    const char *key;
    json_t *value;
    size_t i;
    v->n = j->model.plan.n_vocab;
    v->tokens = wick_arena_array(&j->arena, v->n, sizeof *v->tokens);
    v->types = wick_arena_array(&j->arena, v->n, sizeof *v->types);
    v->scores = wick_arena_array(&j->arena, v->n, sizeof *v->scores);
    if (!v->tokens || !v->types || !v->scores) return wick_err_oom(err, "the vocabulary", v->n, 0);
    json_object_foreach(json_object_get(model, "vocab"), key, value)
    {
        size_t n = strlen(key);
        set_token(v, json_integer_value(value), key, n, v->spm && is_byte(key, n) ? BYTE : NORMAL);
    }
    json_array_foreach(json_object_get(v->json, "added_tokens"), i, value)
    {
        const json_t *text = json_object_get(value, "content");
        set_token(v, json_integer_value(json_object_get(value, "id")), json_string_value(text),
                  json_string_length(text), json_is_true(json_object_get(value, "special")) ? CONTROL : USER);
    }
    const char *unk = json_string_value(json_object_get(model, "unk_token"));
    for (uint32_t id = 0; id < v->n; id++) {
        if (unk && v->spm && wick_str_eq(v->tokens[id], wick_str_of(unk))) v->types[id] = UNKNOWN;
        if (v->tokens[id].p) continue;
        const char *pad = wick_arena_printf(&j->arena, "[PAD%u]", id);
        if (!pad) return wick_err_oom(err, "the vocabulary", v->n, 0);
        set_token(v, id, pad, strlen(pad), UNUSED);
    }
    return WICK_OK;
}

/* Merges as "a b"; with SPM the order of merges becomes scores of what they make. */
static wick_status read_merges(wick_convert_job *j, vocab *v, const json_t *model, wick_err *err)
{
    const json_t *list = json_object_get(model, "merges");
    json_t *m;
    size_t i;
    v->merges = wick_arena_array(&j->arena, json_array_size(list) + 1, sizeof *v->merges);
    if (!v->merges) return wick_err_oom(err, "the merges", 0, 0);
    for (uint32_t id = 0; id < v->n; id++) v->scores[id] = v->spm && v->types[id] == NORMAL ? -1e6f : 0;
    json_array_foreach(list, i, m)
    {
        const char *a = json_string_value(json_is_array(m) ? json_array_get(m, 0) : m);
        const char *b = json_is_array(m) ? json_string_value(json_array_get(m, 1)) : NULL;
        const char *text = a && b ? wick_arena_printf(&j->arena, "%s %s", a, b) : a;
        if (!text) return WICK_FAIL(err, WICK_E_BAD_FILE, "tokenizer.json", "tokenizer.json: merge %zu is no pair", i);
        v->merges[v->n_merges++] = wick_str_of(text);
        const char *space = v->spm && *text ? strchr(text + 1, ' ') : NULL;
        const char *made = space ? wick_arena_printf(&j->arena, "%.*s%s", (int)(space - text), text, space + 1) : NULL;
        int32_t id = made ? wick_tokenizer_find(v->own, made, strlen(made)) : -1;
        if (id >= 0 && (uint32_t)id < v->n && v->scores[id] == -1e6f) v->scores[id] = -(float)i;
    }
    return WICK_OK;
}

/* Does this vocabulary give the tokenizer's own ids? */
static bool agrees(const vocab *v, const wick_vocab_source *source)
{
    wick_tokenizer *t = NULL;
    bool same = wick_tokenizer_from_vocab(&t, source, "probe", NULL) == WICK_OK && wick_convert_same_text(v->own, t);
    wick_tokenizer_free(t);
    return same;
}

static int adds_bos(const wick_tokenizer *t)
{
    int32_t *ids = NULL;
    size_t n = 0;
    int adds =
        wick_tokenizer_encode(t, "a", 1, 0, &ids, &n, NULL) == WICK_OK && n > 1 && ids[0] == wick_tokenizer_bos(t);
    wick_free(ids);
    return adds;
}

static wick_status choose_rule(const vocab *v, wick_vocab_source *s, wick_err *err)
{
    size_t n = v->spm ? 2 : sizeof rules / sizeof *rules;
    for (size_t i = 0; i < n; i++) {
        s->pre = v->spm ? NULL : rules[i];
        s->add_space_prefix = v->spm ? i == 0 : -1;
        if (agrees(v, s)) return WICK_OK;
    }
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "tokenizer.json",
                     "tokenizer.json: none of GGUF's rules cuts text as this tokenizer does");
}

static void put_keys(wick_convert_job *j, const vocab *v, const wick_vocab_source *s)
{
    static const char *const ids[] = {"bos_token_id", "eos_token_id", "unknown_token_id"};
    const int64_t id[] = {s->bos, s->eos, s->unk};
    char key[64];
    wick_gguf_keys *k = &j->keys;
    wick_gguf_put_str(k, "tokenizer.ggml.model", wick_str_of(s->model));
    wick_gguf_put_str(k, "tokenizer.ggml.pre", wick_str_of(v->spm ? "default" : s->pre));
    wick_gguf_put_strings(k, "tokenizer.ggml.tokens", v->tokens, v->n);
    wick_gguf_put_words(k, "tokenizer.ggml.token_type", WICK_GGUF_I32, v->types, v->n);
    if (v->spm)
        wick_gguf_put_words(k, "tokenizer.ggml.scores", WICK_GGUF_F32, v->scores, v->n);
    else
        wick_gguf_put_strings(k, "tokenizer.ggml.merges", v->merges, v->n_merges);
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "tokenizer.ggml.%s", ids[i]);
        if (id[i] >= 0) wick_gguf_put_u32(k, key, (uint32_t)id[i]);
    }
    wick_gguf_put_bool(k, "tokenizer.ggml.add_bos_token", s->add_bos == 1);
    if (s->add_space_prefix >= 0) wick_gguf_put_bool(k, "tokenizer.ggml.add_space_prefix", s->add_space_prefix == 1);
}

/* chat_template.jinja, else the one of tokenizer_config.json (of several the one called "default"). */
static wick_status put_template(wick_convert_job *j, const char *folder, wick_err *err)
{
    char *path = wick_path_join(folder, "chat_template.jinja"),
         *config = wick_path_join(folder, "tokenizer_config.json");
    wick_status st = path && config ? WICK_OK : wick_err_oom(err, "a path", 0, 0);
    if (st == WICK_OK && wick_path_is_file(path)) {
        char *text = NULL;
        size_t n;
        st = wick_file_read(path, MAX_JSON_BYTES, &text, &n, err);
        if (st == WICK_OK) wick_gguf_put_str(&j->keys, "tokenizer.chat_template", (wick_str){text, n});
        wick_free(text);
    } else if (st == WICK_OK && wick_path_is_file(config)) {
        json_t *o = NULL, *e;
        size_t i;
        st = wick_json_load(config, MAX_JSON_BYTES, &o, err);
        const json_t *t = json_object_get(o, "chat_template");
        json_array_foreach(t, i, e) if (strcmp(json_string_value(json_object_get(e, "name"))
                                                   ? json_string_value(json_object_get(e, "name"))
                                                   : "",
                                               "default") == 0) t = json_object_get(e, "template");
        if (json_is_string(t))
            wick_gguf_put_str(&j->keys, "tokenizer.chat_template",
                              (wick_str){json_string_value(t), json_string_length(t)});
        json_decref(o);
    }
    wick_free(path);
    wick_free(config);
    return st;
}

static wick_status from_json(wick_convert_job *j, vocab *v, wick_err *err)
{
    const json_t *model = json_object_get(v->json, "model");
    const char *type = json_string_value(json_object_get(model, "type"));
    if (!type || strcmp(type, "BPE") != 0 || !json_is_object(json_object_get(model, "vocab")))
        return wick_err_format(err, "tokenizer.json", "a BPE vocabulary, for GGUF", type ? type : "no type", NULL);
    v->spm = json_is_true(json_object_get(model, "byte_fallback"));
    WICK_TRY(read_tokens(j, v, model, err));
    WICK_TRY(read_merges(j, v, model, err));
    wick_vocab_source s = {.model = v->spm ? "llama" : "gpt2",
                           .tokens = v->tokens,
                           .types = v->types,
                           .scores = v->spm ? v->scores : NULL,
                           .n = v->n,
                           .merges = v->spm ? NULL : v->merges,
                           .n_merges = v->spm ? 0 : v->n_merges,
                           .bos = wick_tokenizer_bos(v->own),
                           .eos = wick_tokenizer_eos(v->own),
                           .unk = -1,
                           .pad = -1,
                           .add_bos = adds_bos(v->own),
                           .add_eos = 0,
                           .add_space_prefix = -1};
    if (s.bos < 0) s.bos = j->model.bos;
    if (s.eos < 0 && j->model.n_eos) s.eos = j->model.eos[0];
    for (uint32_t id = 0; id < v->n && s.unk < 0; id++)
        if (v->types[id] == UNKNOWN) s.unk = id;
    WICK_TRY(choose_rule(v, &s, err));
    put_keys(j, v, &s);
    return WICK_OK;
}

wick_status wick_convert_vocab_keys(wick_convert_job *j, wick_err *err)
{
    vocab v = {0};
    wick_status st = WICK_OK;
    char *folder = wick_model_folder(j->model.path);
    char *path = folder ? wick_path_join(folder, "tokenizer.json") : NULL;
    if (!path) {
        st = wick_err_oom(err, "a path", 0, 0);
        goto done;
    }
    if (!wick_path_is_file(path)) goto done; /* a model without a tokenizer stays one */
    WICK_TRY_GOTO(wick_json_load(path, MAX_JSON_BYTES, &v.json, err));
    WICK_TRY_GOTO(wick_tokenizer_open_dir(&v.own, folder, err));
    WICK_TRY_GOTO(from_json(j, &v, err));
    WICK_TRY_GOTO(put_template(j, folder, err));
done:
    wick_tokenizer_free(v.own);
    json_decref(v.json);
    wick_free(path);
    wick_free(folder);
    return st;
}
