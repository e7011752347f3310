/* convert/hf_tokenizer.c - the vocabulary of a GGUF file as tokenizer.json and tokenizer_config.json, with the chat
 * template. Written only if the result, opened, reads text as the file's own tokenizer does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "convert/convert_int.h"
#include "model/vocab.h"
#include "text/patterns.h"

#define SPACE_MARK "\xE2\x96\x81"

typedef struct source {
    const wick_gguf *g;
    const wick_gguf_value *tokens, *merges, *types, *scores;
    bool spm, prefix;
    wick_tokenizer *own;
} source;

static int64_t type_of(const source *s, uint64_t id)
{
    return s->types && id < s->types->n ? wick_gguf_elem_i64(s->types, id) : 1;
}

static json_t *text_of(wick_str s)
{
    return json_stringn(s.p, s.n);
}

/* --- merges of a vocabulary with scores: every way to make a piece of two others, the best piece first --- */
typedef struct merge {
    double score;
    int32_t a, b;
} merge;

static int better(const void *x, const void *y)
{
    const merge *p = x, *q = y;
    if (p->score != q->score) return p->score < q->score ? 1 : -1;
    if (p->a != q->a) return p->a < q->a ? -1 : 1;
    return (p->b > q->b) - (p->b < q->b);
}

static wick_status merges_of_scores(const source *s, json_t *out, wick_err *err)
{
    uint64_t n = 0, cap = 0;
    merge *m = NULL;
    wick_status st = WICK_OK;
    for (uint64_t id = 0; id < s->tokens->n && st == WICK_OK; id++) {
        wick_str t = s->tokens->strings[id];
        if (type_of(s, id) != 1 || !s->scores || id >= s->scores->n) continue;
        for (size_t at = 1; at < t.n; at++) {
            if (((unsigned char)t.p[at] & 0xC0) == 0x80) continue;
            int32_t a = wick_tokenizer_find(s->own, t.p, at), b = wick_tokenizer_find(s->own, t.p + at, t.n - at);
            if (a < 0 || b < 0 || type_of(s, (uint64_t)a) != 1 || type_of(s, (uint64_t)b) != 1) continue;
            if (n == cap) {
                merge *more = wick_realloc_array(m, cap = cap ? 2 * cap : 4096, sizeof *m);
                if (!more) {
                    st = wick_err_oom(err, "the merges", cap * sizeof *m, 0);
                    break;
                }
                m = more;
            }
            m[n++] = (merge){wick_gguf_elem_f64(s->scores, id), a, b};
        }
    }
    if (st == WICK_OK && n) qsort(m, n, sizeof *m, better);
    for (uint64_t i = 0; i < n && st == WICK_OK; i++) {
        json_t *pair = json_array();
        json_array_append_new(pair, text_of(s->tokens->strings[m[i].a]));
        json_array_append_new(pair, text_of(s->tokens->strings[m[i].b]));
        json_array_append_new(out, pair);
    }
    wick_free(m);
    return st;
}

static wick_status model_json(const source *s, json_t *o, wick_err *err)
{
    json_t *vocab = json_object(), *merges = json_array();
    for (uint64_t id = 0; id < s->tokens->n; id++) {
        char *key = wick_strndup(s->tokens->strings[id].p, s->tokens->strings[id].n);
        if (key && !json_object_get(vocab, key)) json_object_set_new(vocab, key, json_integer((json_int_t)id));
        wick_free(key);
    }
    wick_status st = s->spm ? merges_of_scores(s, merges, err) : WICK_OK;
    for (uint64_t i = 0; !s->spm && s->merges && i < s->merges->n; i++)
        json_array_append_new(merges, text_of(s->merges->strings[i]));
    json_t *model = json_object();
    json_object_set_new(model, "type", json_string("BPE"));
    json_object_set_new(model, "dropout", json_null());
    json_object_set_new(model, "unk_token", json_null());
    for (uint64_t id = 0; s->spm && id < s->tokens->n; id++)
        if (type_of(s, id) == 2) json_object_set_new(model, "unk_token", text_of(s->tokens->strings[id]));
    json_object_set_new(model, "continuing_subword_prefix", json_null());
    json_object_set_new(model, "end_of_word_suffix", json_null());
    json_object_set_new(model, "fuse_unk", json_boolean(s->spm));
    json_object_set_new(model, "byte_fallback", json_boolean(s->spm));
    json_object_set_new(model, "vocab", vocab);
    json_object_set_new(model, "merges", merges);
    json_object_set_new(o, "model", model);
    return st;
}

static json_t *added_json(const source *s)
{
    json_t *list = json_array();
    for (uint64_t id = 0; id < s->tokens->n; id++) {
        int64_t t = type_of(s, id);
        if (t != 3 && t != 4 && t != 2) continue;
        json_t *e = json_object();
        json_object_set_new(e, "id", json_integer((json_int_t)id));
        json_object_set_new(e, "content", text_of(s->tokens->strings[id]));
        json_object_set_new(e, "single_word", json_false());
        json_object_set_new(e, "lstrip", json_false());
        json_object_set_new(e, "rstrip", json_false());
        json_object_set_new(e, "normalized", json_false());
        json_object_set_new(e, "special", json_boolean(t != 4));
        json_array_append_new(list, e);
    }
    return list;
}

static json_t *sequence(const char *key, json_t *list)
{
    return json_pack("{s:s, s:o}", "type", "Sequence", key, list);
}

static void spm_steps(const source *s, json_t *o)
{
    json_t *norm = json_array(), *dec = json_array();
    if (s->prefix) json_array_append_new(norm, json_pack("{s:s, s:s}", "type", "Prepend", "prepend", SPACE_MARK));
    json_array_append_new(
        norm, json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", "String", " ", "content", SPACE_MARK));
    json_array_append_new(
        dec, json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", "String", SPACE_MARK, "content", " "));
    json_array_append_new(dec, json_pack("{s:s}", "type", "ByteFallback"));
    json_array_append_new(dec, json_pack("{s:s}", "type", "Fuse"));
    if (s->prefix)
        json_array_append_new(
            dec, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip", "content", " ", "start", 1, "stop", 0));
    json_object_set_new(o, "normalizer", sequence("normalizers", norm));
    json_object_set_new(o, "pre_tokenizer", json_null());
    json_object_set_new(o, "decoder", sequence("decoders", dec));
}

static void byte_level_steps(const char *pre, json_t *o)
{
    bool known;
    wick_pattern p = wick_pattern_of(pre, &known);
    json_t *steps = json_array();
    for (size_t i = 0; p.regex[i]; i++)
        json_array_append_new(steps, json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex",
                                               p.regex[i], "behavior", "Isolated", "invert", 0));
    json_array_append_new(steps, json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                                           "trim_offsets", 1, "use_regex", 0));
    json_object_set_new(o, "normalizer", p.nfc ? json_pack("{s:s}", "type", "NFC") : json_null());
    json_object_set_new(o, "pre_tokenizer", sequence("pretokenizers", steps));
    json_object_set_new(o, "decoder",
                        json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1,
                                  "use_regex", 1));
    if (p.whole_first) json_object_set_new(json_object_get(o, "model"), "ignore_merges", json_true());
}

/* The token that begins texts, where the file's tokenizer puts one. */
static json_t *post_json(const source *s)
{
    int32_t *ids = NULL, bos = wick_tokenizer_bos(s->own);
    size_t n = 0;
    bool adds = wick_tokenizer_encode(s->own, "a", 1, 0, &ids, &n, NULL) == WICK_OK && n > 1 && ids[0] == bos;
    wick_free(ids);
    if (!adds) return json_null();
    char *text = wick_strndup(s->tokens->strings[bos].p, s->tokens->strings[bos].n);
    json_t *o =
        text ? json_pack("{s:s, s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}], s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}, {s:{s:s, "
                         "s:i}}, {s:{s:s, s:i}}], s:{s:{s:s, s:[i], s:[s]}}}",
                         "type", "TemplateProcessing", "single", "SpecialToken", "id", text, "type_id", 0, "Sequence",
                         "id", "A", "type_id", 0, "pair", "SpecialToken", "id", text, "type_id", 0, "Sequence", "id",
                         "A", "type_id", 0, "SpecialToken", "id", text, "type_id", 1, "Sequence", "id", "B", "type_id",
                         1, "special_tokens", text, "id", text, "ids", bos, "tokens", text)
             : NULL;
    wick_free(text);
    return o;
}

static void put_token(const source *s, json_t *o, const char *key, int32_t id)
{
    if (id >= 0 && (uint64_t)id < s->tokens->n) json_object_set_new(o, key, text_of(s->tokens->strings[id]));
}

static wick_status write_settings(wick_convert_job *j, const source *s, wick_err *err)
{
    wick_str t = {0};
    json_t *o = json_object();
    json_object_set_new(o, "tokenizer_class", json_string("PreTrainedTokenizerFast"));
    put_token(s, o, "bos_token", wick_tokenizer_bos(s->own));
    put_token(s, o, "eos_token", wick_tokenizer_eos(s->own));
    json_object_set_new(o, "clean_up_tokenization_spaces", json_false());
    wick_status st = wick_gguf_str(s->g, "tokenizer.chat_template", &t, err);
    if (st == WICK_OK && t.n) json_object_set_new(o, "chat_template", text_of(t));
    if (st == WICK_OK) st = wick_json_save(o, JSON_INDENT(1), j->staging.folder, "tokenizer_config.json", err);
    json_decref(o);
    return st;
}

static wick_status check(wick_convert_job *j, const source *s, wick_err *err)
{
    wick_tokenizer *made = NULL;
    wick_status st = wick_tokenizer_open_dir(&made, j->staging.folder, err);
    if (st == WICK_OK && !wick_convert_same_text(s->own, made))
        st = WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, j->model.path,
                       "%s: its vocabulary cannot be said in tokenizer.json so that text is read alike", j->model.path);
    wick_tokenizer_free(made);
    return st;
}

static wick_status write_all(wick_convert_job *j, source *s, wick_err *err)
{
    wick_str model = {0}, pre = {0};
    char name[64] = "";
    WICK_TRY(wick_gguf_str(s->g, "tokenizer.ggml.model", &model, err));
    WICK_TRY(wick_gguf_str(s->g, "tokenizer.ggml.pre", &pre, err));
    s->spm = wick_str_eq(model, wick_str_of("llama"));
    if (!s->spm && !wick_str_eq(model, wick_str_of("gpt2")))
        return wick_err_format(err, j->model.path, "a vocabulary of model llama or gpt2", "another one", NULL);
    const wick_gguf_value *prefix = wick_gguf_get(s->g, "tokenizer.ggml.add_space_prefix");
    s->prefix = !prefix || prefix->i != 0;
    if (pre.n < sizeof name && pre.n) memcpy(name, pre.p, pre.n);
    json_t *o = json_object();
    json_object_set_new(o, "version", json_string("1.0"));
    json_object_set_new(o, "truncation", json_null());
    json_object_set_new(o, "padding", json_null());
    json_object_set_new(o, "added_tokens", added_json(s));
    wick_status st = model_json(s, o, err);
    if (st == WICK_OK && s->spm) spm_steps(s, o);
    if (st == WICK_OK && !s->spm) byte_level_steps(*name ? name : NULL, o);
    json_object_set_new(o, "post_processor", post_json(s));
    if (st == WICK_OK) st = wick_json_save(o, JSON_INDENT(1), j->staging.folder, "tokenizer.json", err);
    json_decref(o);
    if (st == WICK_OK) st = write_settings(j, s, err);
    return st == WICK_OK ? check(j, s, err) : st;
}

wick_status wick_convert_hf_tokenizer(wick_convert_job *j, wick_err *err)
{
    const wick_gguf *g = j->model.tensors.gguf;
    source s = {.g = g,
                .tokens = wick_gguf_get(g, "tokenizer.ggml.tokens"),
                .merges = wick_gguf_get(g, "tokenizer.ggml.merges"),
                .types = wick_gguf_get(g, "tokenizer.ggml.token_type"),
                .scores = wick_gguf_get(g, "tokenizer.ggml.scores")};
    if (!s.tokens) return WICK_OK;                          /* a model without a tokenizer stays one */
    WICK_TRY(wick_model_tokenizer(&j->model, &s.own, err)); /* which checks that tokens are strings */
    wick_status st = write_all(j, &s, err);
    wick_tokenizer_free(s.own);
    return st;
}
