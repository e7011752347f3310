/* text/tekken.c - tekken.json, Mistral's own form of a vocabulary: special tokens first, then ranked byte strings.
 *
 *   config         pattern, default_vocab_size (ids in all), default_num_special_tokens (ids before the first rank),
 *                  version
 *   vocab          [{"rank", "token_bytes" in base64, ...}]; more than the ids have room for, the rest is not used
 *   special_tokens [{"rank", "token_str", ...}]; absent before version 7, where the list below holds
 * Text is cut by the pattern and merged by rank, as in tiktoken files; `<s>` stands before it. */
#include <nettle/base64.h>
#include <string.h>
#include "base/json.h"
#include "text/open_dir.h"

static const char *const before_v7[] = {"<unk>",
                                        "<s>",
                                        "</s>",
                                        "[INST]",
                                        "[/INST]",
                                        "[AVAILABLE_TOOLS]",
                                        "[/AVAILABLE_TOOLS]",
                                        "[TOOL_RESULTS]",
                                        "[/TOOL_RESULTS]",
                                        "[TOOL_CALLS]",
                                        "[IMG]",
                                        "<pad>",
                                        "[IMG_BREAK]",
                                        "[IMG_END]",
                                        "[PREFIX]",
                                        "[MIDDLE]",
                                        "[SUFFIX]",
                                        "[SYSTEM_PROMPT]",
                                        "[/SYSTEM_PROMPT]",
                                        "[TOOL_CONTENT]"};

typedef struct tekken {
    wick_tokenizer *t;
    const char *where;
    int64_t n_ids, n_special;
} tekken;

static wick_status add_special(tekken *k, uint32_t id, const char *text, wick_err *err)
{
    wick_str kept = wick_tok_keep(k->t, text, strlen(text));
    if (!kept.p) return wick_err_oom(err, "the tokenizer", 0, 0);
    WICK_TRY(wick_tok_add_piece(k->t, id, kept, WICK_TOKEN_CONTROL, k->where, err));
    wick_added a = {.id = (int32_t)id, .text = kept, .special = true};
    return wick_added_put(k->t, &a, k->where, err);
}

/* Named ones by their rank, the others as <SPECIAL_n>. */
static wick_status specials(tekken *k, const json_t *list, wick_err *err)
{
    const json_t *e;
    size_t i, n = list ? json_array_size(list) : sizeof before_v7 / sizeof *before_v7;
    for (i = 0; i < n; i++) {
        int64_t rank = (int64_t)i;
        const char *text = list ? NULL : before_v7[i];
        if (list) {
            e = json_array_get(list, i);
            WICK_TRY(wick_json_i64(e, "rank", 0, k->n_special - 1, -1, &rank, k->where, err));
            WICK_TRY(wick_json_str(e, "token_str", &text, k->where, err));
        }
        if (!text || rank < 0 || rank >= k->n_special || k->t->vocab.piece[rank].p)
            return WICK_FAIL(err, WICK_E_BAD_FILE, k->where,
                             "%s: special_tokens[%zu]: expected a rank and a token_str of its own", k->where, i);
        WICK_TRY(add_special(k, (uint32_t)rank, text, err));
    }
    for (int64_t id = 0; id < k->n_special; id++) {
        if (k->t->vocab.piece[id].p) continue;
        char *name = wick_arena_printf(&k->t->arena, "<SPECIAL_%lld>", (long long)id);
        if (!name) return wick_err_oom(err, "the tokenizer", 0, 0);
        WICK_TRY(add_special(k, (uint32_t)id, name, err));
    }
    return WICK_OK;
}

static wick_status add_ranked(tekken *k, const json_t *e, size_t i, wick_err *err)
{
    int64_t rank = -1;
    const char *text = NULL;
    WICK_TRY(wick_json_i64(e, "rank", 0, WICK_TOK_MAX_ID, -1, &rank, k->where, err));
    WICK_TRY(wick_json_str(e, "token_bytes", &text, k->where, err));
    size_t n = text ? strlen(text) : 0, raw_n = BASE64_DECODE_LENGTH(n);
    if (rank >= k->n_ids - k->n_special) return WICK_OK;
    uint8_t *raw = n && n <= WICK_TOK_MAX_PIECE ? wick_arena_alloc(&k->t->arena, raw_n + 1) : NULL;
    struct base64_decode_ctx ctx;
    base64_decode_init(&ctx);
    uint32_t id = (uint32_t)(k->n_special + rank);
    if (rank < 0 || !raw || !base64_decode_update(&ctx, &raw_n, raw, n, text) || !base64_decode_final(&ctx) || !raw_n ||
        k->t->vocab.piece[id].p)
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: vocab[%zu]: expected a rank of its own and token_bytes",
                         k->where, i);
    WICK_TRY(wick_tok_add_piece(k->t, id, (wick_str){(const char *)raw, raw_n}, WICK_TOKEN_NORMAL, k->where, err));
    k->t->vocab.score[id] = -(double)rank;
    if (raw_n == 1) k->t->model.bytes[raw[0]] = (int32_t)id;
    return WICK_OK;
}

static wick_status read_all(tekken *k, const json_t *root, wick_err *err)
{
    const json_t *config = NULL, *vocab = json_object_get(root, "vocab"),
                 *list = json_object_get(root, "special_tokens");
    const char *pattern = NULL;
    wick_tokenizer *t = k->t;
    WICK_TRY(wick_json_obj(root, "config", &config, k->where, err));
    if (!config || !json_is_array(vocab) || (list && !json_is_null(list) && !json_is_array(list)))
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where,
                         "%s: expected \"config\", a list \"vocab\" and, if any, a list "
                         "\"special_tokens\"",
                         k->where);
    WICK_TRY(wick_json_str(config, "pattern", &pattern, k->where, err));
    WICK_TRY(wick_json_i64(config, "default_num_special_tokens", 3, 1 << 16, 1000, &k->n_special, k->where, err));
    WICK_TRY(wick_json_i64(config, "default_vocab_size", k->n_special + 256, WICK_TOK_MAX_ID, 131072, &k->n_ids,
                           k->where, err));
    if (!pattern) return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: config.pattern is missing", k->where);
    if (k->n_ids - k->n_special > (int64_t)json_array_size(vocab))
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: %zu pieces for %lld ids", k->where,
                         json_array_size(vocab), (long long)(k->n_ids - k->n_special));
    if (!wick_vocab_grow(&t->vocab, (uint32_t)k->n_ids, true)) return wick_err_oom(err, "the vocabulary", 0, 0);
    WICK_TRY(specials(k, json_is_array(list) ? list : NULL, err));
    for (size_t i = 0; i < json_array_size(vocab); i++) WICK_TRY(add_ranked(k, json_array_get(vocab, i), i, err));
    for (int b = 0; b < 256; b++)
        if (t->model.bytes[b] < 0)
            return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: the byte 0x%02x has no rank", k->where, (unsigned)b);
    t->model.kind = MODEL_SCORED_BPE;
    t->model.raw_bytes = t->model.whole_first = true;
    t->vocab.n_model = t->vocab.n;
    t->bos = wick_vocab_find(&t->vocab, "<s>", 3);
    t->eos = wick_vocab_find(&t->vocab, "</s>", 4);
    t->pad = wick_vocab_find(&t->vocab, "<pad>", 5);
    wick_pre *pre = wick_tok_add_pre(t, PRE_SPLIT);
    if (!pre || !wick_tok_add_dec(t, DEC_FUSE)) return wick_tok_op_failed(t->n_pre, k->where, err);
    pre->how = SPLIT_ISOLATED;
    WICK_TRY(wick_regex_new(&pre->regex, wick_str_of(pattern), k->where, err));
    const int32_t post[] = {t->bos, -1};
    if (t->bos >= 0 && !wick_tok_set_post(t, post, 2)) return wick_err_oom(err, "the tokenizer", 0, 0);
    return wick_tok_finish(t, k->where, err);
}

wick_status wick_tekken_load(wick_tokenizer **out, const char *data, size_t n, const char *path, wick_err *err)
{
    json_t *root = NULL;
    WICK_TRY(wick_json_parse(data, n, path, &root, err));
    tekken k = {.t = wick_tok_new(), .where = path};
    wick_status st = k.t ? read_all(&k, root, err) : wick_err_oom(err, "the tokenizer", sizeof *k.t, 0);
    json_decref(root);
    if (st == WICK_OK)
        *out = k.t;
    else
        wick_tokenizer_free(k.t);
    return st;
}
