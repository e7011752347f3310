/* text/tiktoken.c - files of "<base64 of the bytes> <rank>" lines: OpenAI's format, used by Qwen 1, Llama 3, Kimi.
 *
 * The file holds ranks only. Special tokens and the pattern come from what is known of the models: their names in
 * tokenizer_config.json (added_tokens_decoder) are added by the caller; the pattern is chosen here.
 */
#include <nettle/base64.h>
#include <string.h>
#include "base/file.h"
#include "text/open_dir.h"
#include "text/patterns.h"

bool wick_tiktoken_looks_like(const char *data, size_t n)
{
    size_t i = 0;
    while (i < n && i < 1024 &&
           ((data[i] >= '0' && data[i] <= '9') || (data[i] >= 'A' && data[i] <= 'Z') ||
            (data[i] >= 'a' && data[i] <= 'z') || data[i] == '+' || data[i] == '/' || data[i] == '='))
        i++;
    return i >= 4 && i + 1 < n && data[i] == ' ' && data[i + 1] >= '0' && data[i + 1] <= '9';
}

static wick_status read_line(wick_tokenizer *t, const char *p, size_t n, size_t line, size_t limit, const char *where,
                             wick_err *err)
{
    const char *space = memchr(p, ' ', n);
    char rank[16] = {0};
    uint64_t id;
    size_t text_n = space ? (size_t)(space - p) : 0, rank_n = n - text_n - 1;
    if (!text_n || text_n > WICK_TOK_MAX_PIECE || rank_n >= sizeof rank)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: line %zu: expected base64 and a rank", where, line);
    memcpy(rank, space + 1, rank_n);
    uint8_t *raw = wick_arena_alloc(&t->arena, BASE64_DECODE_LENGTH(text_n) + 1);
    if (!raw) return wick_err_oom(err, "the vocabulary", n, 0);
    struct base64_decode_ctx ctx;
    size_t raw_n = BASE64_DECODE_LENGTH(text_n);
    base64_decode_init(&ctx);
    if (!base64_decode_update(&ctx, &raw_n, raw, text_n, p) || !base64_decode_final(&ctx) ||
        !wick_parse_u64(rank, &id) || id > limit)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: line %zu: expected base64 and a rank", where, line);
    if (!wick_vocab_grow(&t->vocab, (uint32_t)id + 1, true)) return wick_err_oom(err, "the vocabulary", n, 0);
    WICK_TRY(wick_tok_add_piece(t, (uint32_t)id, (wick_str){(const char *)raw, raw_n}, WICK_TOKEN_NORMAL, where, err));
    t->vocab.score[id] = -(double)id;
    if (raw_n == 1) t->model.bytes[raw[0]] = (int32_t)id;
    return WICK_OK;
}

static wick_status add_special(wick_tokenizer *t, uint32_t id, const char *text, const char *where, wick_err *err)
{
    wick_str kept = wick_tok_keep(t, text, strlen(text));
    if (!kept.p) return wick_err_oom(err, "the tokenizer", 0, 0);
    WICK_TRY(wick_tok_add_piece(t, id, kept, WICK_TOKEN_CONTROL, where, err));
    wick_added a = {.id = (int32_t)id, .text = kept, .special = true};
    return wick_added_put(t, &a, where, err);
}

/* The 256 special tokens behind Llama 3's 128,000 pieces. */
static wick_status llama3_specials(wick_tokenizer *t, const char *where, wick_err *err)
{
    static const char *const names[] = {"<|begin_of_text|>",
                                        "<|end_of_text|>",
                                        "<|reserved_special_token_0|>",
                                        "<|reserved_special_token_1|>",
                                        "<|finetune_right_pad_id|>",
                                        "<|step_id|>",
                                        "<|start_header_id|>",
                                        "<|end_header_id|>",
                                        "<|eom_id|>",
                                        "<|eot_id|>",
                                        "<|python_tag|>"};
    const uint32_t base = t->vocab.n, n = sizeof names / sizeof *names;
    for (uint32_t i = 0; i < 256; i++) {
        char name[48];
        wick_buf b = WICK_BUF_INIT;
        wick_buf_printf(&b, "<|reserved_special_token_%u|>", i - n + 2);
        memcpy(name, wick_buf_str(&b), b.n < sizeof name ? b.n + 1 : 1);
        wick_buf_release(&b);
        WICK_TRY(add_special(t, base + i, i < n ? names[i] : name, where, err));
    }
    t->bos = (int32_t)base;
    t->eos = (int32_t)base + 1;
    const int32_t post[] = {t->bos, -1};
    return wick_tok_set_post(t, post, 2) ? WICK_OK : wick_err_oom(err, "the tokenizer", 0, 0);
}

/* <|endoftext|>, <|im_start|>, <|im_end|> and 205 extras behind Qwen's pieces. */
static wick_status qwen_specials(wick_tokenizer *t, const char *where, wick_err *err)
{
    static const char *const names[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    const uint32_t base = t->vocab.n;
    for (uint32_t i = 0; i < 3 + 205; i++) {
        wick_buf b = WICK_BUF_INIT;
        wick_buf_printf(&b, "<|extra_%u|>", i - 3);
        wick_status st = add_special(t, base + i, i < 3 ? names[i] : wick_buf_str(&b), where, err);
        wick_buf_release(&b);
        WICK_TRY(st);
    }
    t->eos = (int32_t)base;
    return WICK_OK;
}

static wick_status choose(wick_tokenizer *t, const char *path, const char *where, wick_err *err)
{
    bool known;
    const char *name = wick_path_base(path);
    const uint32_t n = t->vocab.n;
    const char *pattern = n > 180000 ? wick_pattern_o200k : wick_pattern_cl100k;
    if (wick_starts_with(name, "qwen"))
        pattern = wick_pattern_of("qwen2", &known).regex[0];
    else if (strcmp(name, "tiktoken.model") == 0 && n > 160000 && n < 180000)
        pattern = wick_pattern_of("kimi-k2", &known).regex[0];
    else if (wick_starts_with(name, "gpt2") || wick_starts_with(name, "r50k") || wick_starts_with(name, "p50k"))
        pattern = wick_pattern_of("gpt-2", &known).regex[0];
    wick_pre *pre = wick_tok_add_pre(t, PRE_SPLIT);
    if (!pre || !wick_tok_add_dec(t, DEC_FUSE)) return wick_tok_op_failed(t->n_pre, where, err);
    pre->how = SPLIT_ISOLATED;
    WICK_TRY(wick_regex_new(&pre->regex, wick_str_of(pattern), where, err));
    if (wick_starts_with(name, "qwen")) {
        if (!wick_tok_add_norm(t, NORM_NFC)) return wick_tok_op_failed(t->n_norm, where, err);
        return qwen_specials(t, where, err);
    }
    return n == 128000 ? llama3_specials(t, where, err) : WICK_OK;
}

static wick_status read_file(wick_tokenizer *t, const char *data, size_t n, const char *path, wick_err *err)
{
    size_t line = 1;
    const size_t limit = n < WICK_TOK_MAX_ID ? n : WICK_TOK_MAX_ID; /* a line has more bytes than one */
    for (size_t at = 0; at < n; line++) {
        const char *end = memchr(data + at, '\n', n - at);
        size_t len = end ? (size_t)(end - data) - at : n - at, next = at + len + 1;
        if (len && data[at + len - 1] == '\r') len--;
        if (len) WICK_TRY(read_line(t, data + at, len, line, limit, path, err));
        at = next;
    }
    t->model.kind = MODEL_SCORED_BPE;
    t->model.raw_bytes = t->model.whole_first = true;
    t->vocab.n_model = t->vocab.n;
    for (int b = 0; b < 256; b++)
        if (t->model.bytes[b] < 0)
            return WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: the byte 0x%02x has no rank", path, (unsigned)b);
    return WICK_OK;
}

wick_status wick_tiktoken_load(wick_tokenizer **out, const char *data, size_t n, const char *path, wick_err *err)
{
    wick_tokenizer *t = wick_tok_new();
    if (!t) return wick_err_oom(err, "the tokenizer", sizeof *t, 0);
    wick_status st = read_file(t, data, n, path, err);
    if (st == WICK_OK) st = choose(t, path, path, err);
    if (st == WICK_OK) st = wick_tok_finish(t, path, err);
    if (st == WICK_OK)
        *out = t;
    else
        wick_tokenizer_free(t);
    return st;
}
