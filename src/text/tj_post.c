/* text/tj_post.c - post-processors and added tokens of a tokenizer.json.
 *
 * For one sequence every post-processor is a list of ids with the text somewhere in it (-1). A Sequence of them hands
 * on what `tokenizers` does: after a template each of its items is a sequence of its own, so a template behind one that
 * adds a single token sees two, and is asked for its pair.
 */
#include <string.h>
#include "base/json.h"
#include "text/tj.h"

enum { MAX_POST = 4096, TEXT = -1, PART_A = -1, PART_B = -2 };

typedef struct post_list {
    int32_t id[MAX_POST];  /* of a template: PART_A and PART_B where a sequence goes */
    bool starts[MAX_POST]; /* begins a sequence of its own */
    uint32_t n, n_parts;
} post_list;

static wick_status put(const wick_tokenizer *t, post_list *l, int64_t id, const char *where, wick_err *err)
{
    if (l->n == MAX_POST)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: a post_processor adds more than %d tokens", where, MAX_POST);
    if (id < PART_B || id >= t->vocab.n)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: the post_processor adds id %lld, the vocabulary has %u",
                         where, (long long)id, t->vocab.n);
    l->starts[l->n] = false;
    l->id[l->n++] = (int32_t)id;
    return WICK_OK;
}

static void start_part(post_list *l, uint32_t at)
{
    if (at == l->n) return; /* nothing was put there */
    l->starts[at] = true;
    l->n_parts++;
}

static wick_status special(const wick_tokenizer *t, const json_t *v, const char *name, post_list *l, const char *where,
                           wick_err *err)
{
    const json_t *all = NULL, *one = NULL, *ids = NULL, *id;
    size_t i;
    WICK_TRY(wick_json_obj(v, "special_tokens", &all, where, err));
    if (all) WICK_TRY(wick_json_obj(all, name, &one, where, err));
    if (one) WICK_TRY(wick_json_arr(one, "ids", &ids, where, err));
    if (!ids)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: the template uses \"%.60s\" but special_tokens lacks it",
                         where, name);
    json_array_foreach(ids, i, id)
    {
        if (!json_is_integer(id) || json_integer_value(id) < 0)
            return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: special token \"%.60s\": expected ids, got %s", where,
                             name, wick_json_type_name(id));
        WICK_TRY(put(t, l, json_integer_value(id), where, err));
    }
    return WICK_OK;
}

/* `key`: "single" or "pair". */
static wick_status template_list(const wick_tokenizer *t, const json_t *v, const char *key, post_list *l,
                                 const char *where, wick_err *err)
{
    const json_t *items = NULL, *item, *seq = NULL, *tok = NULL;
    size_t i;
    WICK_TRY(wick_json_arr(v, key, &items, where, err));
    if (!items) return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: TemplateProcessing without \"%s\"", where, key);
    json_array_foreach(items, i, item)
    {
        const char *name = NULL;
        const uint32_t at = l->n;
        if (!json_is_object(item))
            return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: template: expected an object, got %s", where,
                             wick_json_type_name(item));
        seq = tok = NULL;
        WICK_TRY(wick_json_obj(item, "Sequence", &seq, where, err));
        WICK_TRY(wick_json_obj(item, "SpecialToken", &tok, where, err));
        WICK_TRY(wick_json_str(seq ? seq : tok, "id", &name, where, err));
        if ((!seq && !tok) || !name)
            return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: template item %zu is neither Sequence nor SpecialToken",
                             where, i);
        if (tok)
            WICK_TRY(special(t, v, name, l, where, err));
        else if (strcmp(name, "A") == 0)
            WICK_TRY(put(t, l, PART_A, where, err));
        else if (strcmp(name, "B") == 0 && key[0] == 'p')
            WICK_TRY(put(t, l, PART_B, where, err));
        start_part(l, at);
    }
    return WICK_OK;
}

/* Where part `which` of l lies. */
static uint32_t part_at(const post_list *l, uint32_t which)
{
    uint32_t i = 0;
    for (; i < l->n && !(l->starts[i] && which-- == 0); i++) {
    }
    return i;
}

/* A template over the sequences that there are; three and more, which `tokenizers` has no template for, count as
 * one. */
static wick_status fill_template(const wick_tokenizer *t, const post_list *acc, const post_list *items, post_list *out,
                                 const char *where, wick_err *err)
{
    const uint32_t half = acc->n_parts == 2 ? part_at(acc, 1) : acc->n;
    out->n = out->n_parts = 0;
    for (uint32_t i = 0; i < items->n; i++) {
        const uint32_t at = out->n;
        const int32_t id = items->id[i];
        if (id >= 0) WICK_TRY(put(t, out, id, where, err));
        for (uint32_t k = id == PART_B ? half : 0; id < 0 && k < (id == PART_B ? acc->n : half); k++)
            WICK_TRY(put(t, out, acc->id[k], where, err));
        if (items->starts[i]) start_part(out, at);
    }
    return WICK_OK;
}

/* BERT puts `cls` in front and `sep` behind each sequence; RoBERTa another `sep` in front of all but the first. */
static wick_status surround(const wick_tokenizer *t, const post_list *acc, int64_t cls, int64_t sep, bool roberta,
                            post_list *out, const char *where, wick_err *err)
{
    out->n = out->n_parts = 0;
    for (uint32_t i = 0; i <= acc->n; i++) {
        const bool begins = i < acc->n && (i == 0 || acc->starts[i]);
        if (i && (begins || i == acc->n)) WICK_TRY(put(t, out, sep, where, err));
        if (i == acc->n) break;
        const uint32_t at = out->n;
        if (begins && (i == 0 || roberta)) WICK_TRY(put(t, out, i == 0 ? cls : sep, where, err));
        WICK_TRY(put(t, out, acc->id[i], where, err));
        if (begins) start_part(out, at);
    }
    return WICK_OK;
}

/* BertProcessing, RobertaProcessing: {"sep": ["[SEP]", 102], "cls": [...]} */
static wick_status pair_id(const json_t *v, const char *key, int64_t *id, const char *where, wick_err *err)
{
    const json_t *a = NULL;
    WICK_TRY(wick_json_arr(v, key, &a, where, err));
    if (!a || !json_is_string(json_array_get(a, 0)) || !json_is_integer(json_array_get(a, 1)) ||
        json_integer_value(json_array_get(a, 1)) < 0)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"%s\": expected [token, id]", where, key);
    *id = json_integer_value(json_array_get(a, 1));
    return WICK_OK;
}

static wick_status post(wick_tokenizer *t, const json_t *v, int depth, post_list *acc, post_list *one,
                        const char *where, wick_err *err)
{
    const char *type;
    WICK_TRY(wick_tj_type(v, "post_processor", &type, where, err));
    if (strcmp(type, "Sequence") == 0) {
        const json_t *list = NULL, *item;
        size_t i;
        if (depth >= WICK_TOK_MAX_DEPTH)
            return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: sequences nested deeper than %d", where,
                             WICK_TOK_MAX_DEPTH);
        WICK_TRY(wick_json_arr(v, "processors", &list, where, err));
        json_array_foreach(list, i, item) WICK_TRY(post(t, item, depth + 1, acc, one, where, err));
        return WICK_OK;
    }
    one->n = one->n_parts = 0;
    if (strcmp(type, "ByteLevel") == 0) return WICK_OK; /* moves offsets only */
    post_list *out = wick_arena_alloc(&t->arena, sizeof *out);
    if (!out) return wick_err_oom(err, "the tokenizer", sizeof *out, 0);
    if (strcmp(type, "TemplateProcessing") == 0) {
        const bool pair = acc->n_parts == 2 && json_is_array(json_object_get(v, "pair"));
        if (acc->n_parts != 1 && !pair) acc->n_parts = 1;
        WICK_TRY(template_list(t, v, pair ? "pair" : "single", one, where, err));
        WICK_TRY(fill_template(t, acc, one, out, where, err));
    } else if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0) {
        int64_t cls, sep;
        WICK_TRY(pair_id(v, "cls", &cls, where, err));
        WICK_TRY(pair_id(v, "sep", &sep, where, err));
        WICK_TRY(surround(t, acc, cls, sep, type[0] == 'R', out, where, err));
    } else {
        return wick_tj_unknown("post_processor", type, where, err);
    }
    memcpy(acc, out, sizeof *acc);
    return WICK_OK;
}

/* A list of one text, or of two. */
static void begin(post_list *l, uint32_t n)
{
    l->n = l->n_parts = n;
    for (uint32_t i = 0; i < n; i++) {
        l->id[i] = i ? PART_B : TEXT;
        l->starts[i] = true;
    }
}

wick_status wick_tj_post(wick_tokenizer *t, const json_t *v, const char *where, wick_err *err)
{
    wick_status st = WICK_OK;
    if (!v || json_is_null(v)) return WICK_OK;
    post_list *lists = wick_alloc_zero(2, sizeof *lists);
    if (!lists) return wick_err_oom(err, "the tokenizer", 2 * sizeof *lists, 0);
    begin(&lists[0], 2);
    WICK_TRY_GOTO(post(t, v, 0, &lists[0], &lists[1], where, err));
    if (!wick_tok_set_pair(t, lists[0].id, lists[0].n)) {
        st = wick_err_oom(err, "the tokenizer", 0, 0);
        goto done;
    }
    begin(&lists[0], 1);
    WICK_TRY_GOTO(post(t, v, 0, &lists[0], &lists[1], where, err));
    bool plain = lists[0].n == 1 && lists[0].id[0] == TEXT;
    if (!plain && !wick_tok_set_post(t, lists[0].id, lists[0].n)) st = wick_err_oom(err, "the tokenizer", 0, 0);
    if (st == WICK_OK && lists[0].n > 1 && lists[0].id[0] >= 0) t->bos = lists[0].id[0];
done:
    wick_free(lists);
    return st;
}

wick_status wick_tj_added(wick_tokenizer *t, const json_t *list, const char *where, wick_err *err)
{
    const json_t *v;
    size_t i;
    if (!list || json_is_null(list)) return WICK_OK;
    if (!json_is_array(list))
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: added_tokens: expected an array, got %s", where,
                         wick_json_type_name(list));
    json_array_foreach(list, i, v)
    {
        wick_added a = {.id = -1};
        wick_str text;
        int64_t id;
        if (!json_is_object(v))
            return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: added token %zu: expected an object, got %s", where, i,
                             wick_json_type_name(v));
        WICK_TRY(wick_tj_str(v, "content", &text, where, err));
        if (!text.p) return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: added token %zu has no \"content\"", where, i);
        /* `tokenizers` checks the id but gives its own: that of the piece, or the next free one */
        WICK_TRY(wick_json_i64(v, "id", 0, WICK_TOK_MAX_ID, 0, &id, where, err));
        WICK_TRY(wick_json_bool(v, "special", false, &a.special, where, err));
        WICK_TRY(wick_json_bool(v, "normalized", !a.special, &a.normalized, where, err));
        WICK_TRY(wick_json_bool(v, "single_word", false, &a.single_word, where, err));
        WICK_TRY(wick_json_bool(v, "lstrip", false, &a.lstrip, where, err));
        WICK_TRY(wick_json_bool(v, "rstrip", false, &a.rstrip, where, err));
        a.text = wick_tok_keep(t, text.p, text.n);
        if (!a.text.p) return wick_err_oom(err, "the tokenizer", text.n, 0);
        WICK_TRY(wick_added_put(t, &a, where, err));
    }
    return WICK_OK;
}
