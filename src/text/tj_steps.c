/* text/tj_steps.c - normalizers and pre-tokenizers of a tokenizer.json, and what all step readers share. */
#include <nettle/base64.h>
#include <string.h>
#include "base/json.h"
#include "text/tj.h"

/* \w of Rust's regex crate, which the Whitespace pre-tokenizer uses */
#define RUST_WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"
#define BYTE_LEVEL_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

wick_status wick_tj_unknown(const char *what, const char *type, const char *where, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, where, "%s: %s of type \"%.60s\" is not known", where, what, type);
}

wick_status wick_tj_type(const json_t *v, const char *what, const char **type, const char *where, wick_err *err)
{
    if (!json_is_object(v))
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: %s: expected an object, got %s", where, what,
                         wick_json_type_name(v));
    WICK_TRY(wick_json_str(v, "type", type, where, err));
    if (!*type) return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: %s without a \"type\"", where, what);
    return WICK_OK;
}

wick_status wick_tj_str(const json_t *o, const char *key, wick_str *out, const char *where, wick_err *err)
{
    const char *s = NULL;
    WICK_TRY(wick_json_str(o, key, &s, where, err));
    *out = wick_str_of(s);
    return WICK_OK;
}

static wick_status kept_str(wick_tokenizer *t, const json_t *o, const char *key, wick_str *out, const char *where,
                            wick_err *err)
{
    wick_str s;
    WICK_TRY(wick_tj_str(o, key, &s, where, err));
    if (!s.p) return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"%s\" is missing", where, key);
    *out = wick_tok_keep(t, s.p, s.n);
    return out->p ? WICK_OK : wick_err_oom(err, "the tokenizer", s.n, 0);
}

wick_status wick_tj_pattern(wick_tokenizer *t, const json_t *o, const char *key, wick_str *text, wick_regex **regex,
                            const char *where, wick_err *err)
{
    const json_t *v = json_object_get(o, key);
    wick_str s = {NULL, 0}, r = {NULL, 0};
    if (json_is_string(v)) {
        s = wick_str_of(json_string_value(v));
    } else if (json_is_object(v)) {
        WICK_TRY(wick_tj_str(v, "String", &s, where, err));
        WICK_TRY(wick_tj_str(v, "Regex", &r, where, err));
    }
    if (!s.p && !r.p)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"%s\": expected {\"String\": ...} or {\"Regex\": ...}",
                         where, key);
    if (r.p) return wick_regex_new(regex, r, where, err);
    *text = wick_tok_keep(t, s.p, s.n);
    return text->p ? WICK_OK : wick_err_oom(err, "the tokenizer", s.n, 0);
}

/* ---- normalizers ---- */

static wick_status charsmap(wick_tokenizer *t, wick_norm *op, const json_t *v, const char *where, wick_err *err)
{
    wick_str s;
    WICK_TRY(wick_tj_str(v, "precompiled_charsmap", &s, where, err));
    if (!s.n) return WICK_OK;
    uint8_t *raw = wick_arena_alloc(&t->arena, BASE64_DECODE_LENGTH(s.n) + 1);
    if (!raw) return wick_err_oom(err, "the tokenizer", s.n, 0);
    struct base64_decode_ctx ctx;
    size_t n = BASE64_DECODE_LENGTH(s.n);
    base64_decode_init(&ctx);
    if (!base64_decode_update(&ctx, &n, raw, s.n, s.p) || !base64_decode_final(&ctx))
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: precompiled_charsmap is not base64", where);
    return wick_charsmap_init(&op->map, raw, n, where, err);
}

static wick_status bert_normalizer(wick_norm *op, const json_t *v, const char *where, wick_err *err)
{
    WICK_TRY(wick_json_bool(v, "clean_text", true, &op->clean, where, err));
    WICK_TRY(wick_json_bool(v, "handle_chinese_chars", true, &op->chinese, where, err));
    WICK_TRY(wick_json_bool(v, "lowercase", true, &op->lower, where, err));
    return wick_json_bool(v, "strip_accents", op->lower, &op->accents, where, err);
}

static wick_status normalizer(wick_tokenizer *t, const json_t *v, int depth, const char *where, wick_err *err);

static wick_status each(wick_tokenizer *t, const json_t *v, const char *key, int depth,
                        wick_status (*one)(wick_tokenizer *, const json_t *, int, const char *, wick_err *),
                        const char *where, wick_err *err)
{
    const json_t *list = NULL, *item;
    size_t i;
    if (depth >= WICK_TOK_MAX_DEPTH)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: sequences nested deeper than %d", where, WICK_TOK_MAX_DEPTH);
    WICK_TRY(wick_json_arr(v, key, &list, where, err));
    if (!list) return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: a Sequence without \"%s\"", where, key);
    json_array_foreach(list, i, item) WICK_TRY(one(t, item, depth + 1, where, err));
    return WICK_OK;
}

static const struct {
    const char *name;
    wick_normalizer_kind kind;
} normalizer_names[] = {
    {"NFC", NORM_NFC},
    {"NFD", NORM_NFD},
    {"NFKC", NORM_NFKC},
    {"NFKD", NORM_NFKD},
    {"Lowercase", NORM_LOWER},
    {"Replace", NORM_REPLACE},
    {"Prepend", NORM_PREPEND},
    {"Strip", NORM_STRIP},
    {"StripAccents", NORM_STRIP_ACCENTS},
    {"BertNormalizer", NORM_BERT},
    {"Precompiled", NORM_CHARSMAP},
    {"Nmt", NORM_NMT},
    {"ByteLevel", NORM_BYTE_LEVEL},
};

static wick_status normalizer(wick_tokenizer *t, const json_t *v, int depth, const char *where, wick_err *err)
{
    const char *type;
    WICK_TRY(wick_tj_type(v, "normalizer", &type, where, err));
    if (strcmp(type, "Sequence") == 0) return each(t, v, "normalizers", depth, normalizer, where, err);
    size_t i = 0, n = sizeof normalizer_names / sizeof *normalizer_names;
    while (i < n && strcmp(type, normalizer_names[i].name) != 0) i++;
    if (i == n) return wick_tj_unknown("normalizer", type, where, err);
    wick_norm *op = wick_tok_add_norm(t, normalizer_names[i].kind);
    if (!op) return wick_tok_op_failed(t->n_norm, where, err);
    switch (op->kind) {
    case NORM_REPLACE:
        WICK_TRY(wick_tj_pattern(t, v, "pattern", &op->find, &op->regex, where, err));
        return kept_str(t, v, "content", &op->with, where, err);
    case NORM_PREPEND: return kept_str(t, v, "prepend", &op->with, where, err);
    case NORM_STRIP:
        WICK_TRY(wick_json_bool(v, "strip_left", true, &op->left, where, err));
        return wick_json_bool(v, "strip_right", true, &op->right, where, err);
    case NORM_BERT: return bert_normalizer(op, v, where, err);
    case NORM_CHARSMAP: return charsmap(t, op, v, where, err);
    default: return WICK_OK;
    }
}

wick_status wick_tj_normalizer(wick_tokenizer *t, const json_t *v, const char *where, wick_err *err)
{
    return !v || json_is_null(v) ? WICK_OK : normalizer(t, v, 0, where, err);
}

/* ---- pre-tokenizers ---- */

static wick_status behaviour(const json_t *v, wick_split_how def, wick_split_how *how, const char *where, wick_err *err)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const char *s = NULL;
    *how = def;
    WICK_TRY(wick_json_str(v, "behavior", &s, where, err));
    if (!s) return WICK_OK;
    for (size_t i = 0; i < 5; i++) {
        if (strcmp(s, names[i]) == 0) {
            *how = (wick_split_how)i;
            return WICK_OK;
        }
    }
    return wick_tj_unknown("split behavior", s, where, err);
}

static wick_status metaspace_options(const json_t *v, wick_str *with, wick_prepend *prepend, bool *split,
                                     const char *where, wick_err *err)
{
    const char *scheme = NULL;
    bool prefix;
    WICK_TRY(wick_tj_str(v, "replacement", with, where, err));
    uint32_t c;
    if (!with->p) *with = wick_str_of("\xE2\x96\x81");
    if (!with->n || wick_utf8_next(with->p, with->n, &c) != with->n)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"replacement\": expected one character", where);
    WICK_TRY(wick_json_bool(v, "add_prefix_space", true, &prefix, where, err));
    WICK_TRY(wick_json_str(v, "prepend_scheme", &scheme, where, err));
    if (split) WICK_TRY(wick_json_bool(v, "split", true, split, where, err));
    if (!scheme)
        *prepend = prefix ? PREPEND_ALWAYS : PREPEND_NEVER;
    else if (strcmp(scheme, "always") == 0)
        *prepend = PREPEND_ALWAYS;
    else if (strcmp(scheme, "first") == 0)
        *prepend = PREPEND_FIRST;
    else if (strcmp(scheme, "never") == 0)
        *prepend = PREPEND_NEVER;
    else
        return wick_tj_unknown("prepend_scheme", scheme, where, err);
    return WICK_OK;
}

static const struct {
    const char *name;
    wick_pre_kind kind;
} pre_names[] = {
    {"Split", PRE_SPLIT},
    {"Metaspace", PRE_METASPACE},
    {"Digits", PRE_DIGITS},
    {"Punctuation", PRE_PUNCTUATION},
    {"WhitespaceSplit", PRE_WHITESPACE_SPLIT},
    {"BertPreTokenizer", PRE_BERT},
    {"UnicodeScripts", PRE_SCRIPTS},
    {"CharDelimiterSplit", PRE_CHAR},
    {"FixedLength", PRE_FIXED_LENGTH},
    {"ByteLevel", PRE_BYTE_LEVEL},
    {"Whitespace", PRE_SPLIT},
};

/* A run of one script. Kana and the long-vowel mark count as Han; spaces and what has no script go with what precedes
 * them, and are lost where nothing does, as in `tokenizers`. */
static wick_status scripts_pattern(wick_regex **out, const char *where, wick_err *err)
{
    static const char *const names[] = {"Common",
                                        "Inherited",
                                        "Latin",
                                        "Greek",
                                        "Cyrillic",
                                        "Armenian",
                                        "Hebrew",
                                        "Arabic",
                                        "Syriac",
                                        "Thaana",
                                        "Devanagari",
                                        "Bengali",
                                        "Gurmukhi",
                                        "Gujarati",
                                        "Oriya",
                                        "Tamil",
                                        "Telugu",
                                        "Kannada",
                                        "Malayalam",
                                        "Sinhala",
                                        "Thai",
                                        "Lao",
                                        "Tibetan",
                                        "Myanmar",
                                        "Georgian",
                                        "Hangul",
                                        "Ethiopic",
                                        "Cherokee",
                                        "Canadian_Aboriginal",
                                        "Ogham",
                                        "Runic",
                                        "Khmer",
                                        "Mongolian",
                                        "Bopomofo",
                                        "Yi",
                                        "Gothic",
                                        "Deseret",
                                        "Tagalog",
                                        "Hanunoo",
                                        "Buhid",
                                        "Tagbanwa",
                                        "Limbu",
                                        "Tai_Le",
                                        "Linear_B",
                                        "Ugaritic",
                                        "Shavian",
                                        "Osmanya",
                                        "Cypriot",
                                        "Braille",
                                        "Buginese",
                                        "Coptic",
                                        "New_Tai_Lue",
                                        "Glagolitic",
                                        "Tifinagh",
                                        "Syloti_Nagri",
                                        "Old_Persian",
                                        "Kharoshthi",
                                        "Balinese",
                                        "Cuneiform",
                                        "Phoenician",
                                        "Phags_Pa",
                                        "Nko",
                                        "Sundanese",
                                        "Lepcha",
                                        "Ol_Chiki",
                                        "Vai",
                                        "Saurashtra",
                                        "Kayah_Li",
                                        "Rejang",
                                        "Cham",
                                        "Tai_Tham",
                                        "Javanese",
                                        "Lisu",
                                        "Bamum",
                                        "Meetei_Mayek",
                                        "Tai_Viet",
                                        "Egyptian_Hieroglyphs"};
    wick_buf b = WICK_BUF_INIT;
    wick_buf_puts(&b, "(?![ \\p{Unknown}])(?:[\\p{Han}\\p{Hiragana}\\p{Katakana}\\x{30FC} \\p{Unknown}]+");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        wick_buf_printf(&b, i == 0 ? "|(?:(?!\\x{30FC})[\\p{%s} \\p{Unknown}])+" : "|[\\p{%s} \\p{Unknown}]+",
                        names[i]);
    wick_buf_puts(&b, ")");
    wick_status st =
        b.failed ? wick_err_oom(err, "the tokenizer", 0, 0) : wick_regex_new(out, (wick_str){b.data, b.n}, where, err);
    wick_buf_release(&b);
    return st;
}

static wick_status byte_level_options(wick_pre *op, const json_t *v, const char *where, wick_err *err)
{
    bool pattern;
    WICK_TRY(wick_json_bool(v, "add_prefix_space", true, &op->flag, where, err));
    WICK_TRY(wick_json_bool(v, "use_regex", true, &pattern, where, err));
    return pattern ? wick_regex_new(&op->regex, wick_str_of(BYTE_LEVEL_PATTERN), where, err) : WICK_OK;
}

static wick_status split_options(wick_tokenizer *t, wick_pre *op, const json_t *v, const char *where, wick_err *err)
{
    wick_str text = {NULL, 0};
    WICK_TRY(behaviour(v, SPLIT_ISOLATED, &op->how, where, err));
    WICK_TRY(wick_json_bool(v, "invert", false, &op->invert, where, err));
    WICK_TRY(wick_tj_pattern(t, v, "pattern", &text, &op->regex, where, err));
    return op->regex ? WICK_OK : wick_regex_literal(&op->regex, text, where, err);
}

static wick_status pre_options(wick_tokenizer *t, wick_pre *op, const char *type, const json_t *v, const char *where,
                               wick_err *err)
{
    int64_t n;
    uint32_t c;
    wick_str with;
    switch (op->kind) {
    case PRE_SPLIT:
        if (strcmp(type, "Whitespace") != 0) return split_options(t, op, v, where, err);
        op->how = SPLIT_REMOVED;
        op->invert = true;
        return wick_regex_new(&op->regex, wick_str_of("[" RUST_WORD "]+|[^" RUST_WORD "\\s]+"), where, err);
    case PRE_METASPACE:
        WICK_TRY(metaspace_options(v, &with, &op->prepend, &op->flag, where, err));
        op->with = wick_tok_keep(t, with.p, with.n);
        return op->with.p ? WICK_OK : wick_err_oom(err, "the tokenizer", 0, 0);
    case PRE_DIGITS: return wick_json_bool(v, "individual_digits", false, &op->flag, where, err);
    case PRE_PUNCTUATION: return behaviour(v, SPLIT_ISOLATED, &op->how, where, err);
    case PRE_SCRIPTS: return scripts_pattern(&op->regex, where, err);
    case PRE_CHAR:
        WICK_TRY(kept_str(t, v, "delimiter", &op->with, where, err));
        if (!op->with.n || wick_utf8_next(op->with.p, op->with.n, &c) != op->with.n)
            return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"delimiter\": expected one character", where);
        return WICK_OK;
    case PRE_FIXED_LENGTH:
        WICK_TRY(wick_json_i64(v, "length", 1, INT32_MAX, 5, &n, where, err));
        op->length = (uint32_t)n;
        return WICK_OK;
    case PRE_BYTE_LEVEL: return byte_level_options(op, v, where, err);
    default: return WICK_OK;
    }
}

static wick_status pre(wick_tokenizer *t, const json_t *v, int depth, const char *where, wick_err *err)
{
    const char *type;
    WICK_TRY(wick_tj_type(v, "pre_tokenizer", &type, where, err));
    if (strcmp(type, "Sequence") == 0) return each(t, v, "pretokenizers", depth, pre, where, err);
    size_t i = 0, n = sizeof pre_names / sizeof *pre_names;
    while (i < n && strcmp(type, pre_names[i].name) != 0) i++;
    if (i == n) return wick_tj_unknown("pre_tokenizer", type, where, err);
    wick_pre *op = wick_tok_add_pre(t, pre_names[i].kind);
    if (!op) return wick_tok_op_failed(t->n_pre, where, err);
    return pre_options(t, op, type, v, where, err);
}

wick_status wick_tj_pre(wick_tokenizer *t, const json_t *v, const char *where, wick_err *err)
{
    return !v || json_is_null(v) ? WICK_OK : pre(t, v, 0, where, err);
}

/* ---- decoders ---- */

static const struct {
    const char *name;
    wick_dec_kind kind;
} decoder_names[] = {
    {"ByteLevel", DEC_BYTE_LEVEL},
    {"Metaspace", DEC_METASPACE},
    {"ByteFallback", DEC_BYTE_FALLBACK},
    {"Fuse", DEC_FUSE},
    {"Strip", DEC_STRIP},
    {"Replace", DEC_REPLACE},
    {"WordPiece", DEC_WORDPIECE},
    {"BPEDecoder", DEC_BPE},
    {"CTC", DEC_CTC},
};

static wick_status decoder_options(wick_tokenizer *t, wick_dec *op, const json_t *v, const char *where, wick_err *err)
{
    int64_t n;
    wick_str s;
    wick_prepend prepend;
    switch (op->kind) {
    case DEC_METASPACE:
        WICK_TRY(metaspace_options(v, &s, &prepend, NULL, where, err));
        op->flag = prepend != PREPEND_NEVER;
        op->a = wick_tok_keep(t, s.p, s.n);
        return op->a.p ? WICK_OK : wick_err_oom(err, "the tokenizer", 0, 0);
    case DEC_STRIP:
        WICK_TRY(kept_str(t, v, "content", &op->a, where, err));
        WICK_TRY(wick_json_i64(v, "start", 0, INT32_MAX, 0, &n, where, err));
        op->start = (uint32_t)n;
        WICK_TRY(wick_json_i64(v, "stop", 0, INT32_MAX, 0, &n, where, err));
        op->stop = (uint32_t)n;
        return WICK_OK;
    case DEC_REPLACE:
        WICK_TRY(wick_tj_pattern(t, v, "pattern", &op->a, &op->regex, where, err));
        return kept_str(t, v, "content", &op->b, where, err);
    case DEC_WORDPIECE:
        WICK_TRY(kept_str(t, v, "prefix", &op->a, where, err));
        return wick_json_bool(v, "cleanup", true, &op->flag, where, err);
    case DEC_BPE: return kept_str(t, v, "suffix", &op->a, where, err);
    case DEC_CTC:
        WICK_TRY(kept_str(t, v, "pad_token", &op->a, where, err));
        WICK_TRY(kept_str(t, v, "word_delimiter_token", &op->b, where, err));
        return wick_json_bool(v, "cleanup", true, &op->flag, where, err);
    default: return WICK_OK;
    }
}

static wick_status decoder(wick_tokenizer *t, const json_t *v, int depth, const char *where, wick_err *err)
{
    const char *type;
    WICK_TRY(wick_tj_type(v, "decoder", &type, where, err));
    if (strcmp(type, "Sequence") == 0) return each(t, v, "decoders", depth, decoder, where, err);
    size_t i = 0, n = sizeof decoder_names / sizeof *decoder_names;
    while (i < n && strcmp(type, decoder_names[i].name) != 0) i++;
    if (i == n) return wick_tj_unknown("decoder", type, where, err);
    wick_dec *op = wick_tok_add_dec(t, decoder_names[i].kind);
    if (!op) return wick_tok_op_failed(t->n_dec, where, err);
    return decoder_options(t, op, v, where, err);
}

wick_status wick_tj_decoder(wick_tokenizer *t, const json_t *v, const char *where, wick_err *err)
{
    if (v && !json_is_null(v)) return decoder(t, v, 0, where, err);
    return wick_tok_add_dec(t, DEC_JOIN) ? WICK_OK : wick_tok_op_failed(t->n_dec, where, err);
}
