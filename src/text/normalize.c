/* text/normalize.c - runs the normalizer list over one part of the text.
 *
 * Each step reads one buffer and writes the other; a step that changes nothing costs no copy where that is cheap to
 * see (ASCII under NFC). Which tokenizer defines a step is said at it.
 */
#include <string.h>
#include <utf8proc.h>
#include "text/tok.h"
#include "text/unicode.h"

#define SPACE_MARK "\xE2\x96\x81" /* U+2581, how sentencepiece writes a space */

static bool is_ascii(wick_str s)
{
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t w;
        memcpy(&w, s.p + i, 8);
        if (w & 0x8080808080808080u) return false;
    }
    for (; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80) return false;
    return true;
}

/* Unicode normalization of one stretch that starts at a boundary. */
static wick_status compose(wick_enc *e, const char *p, size_t n, int options, wick_buf *out, wick_err *err)
{
    size_t want = n + 4;
    for (int round = 0;; round++) {
        if (!wick_enc_room((void **)&e->code, &e->code_cap, want + 1, sizeof *e->code)) return wick_enc_oom(err);
        utf8proc_ssize_t k = utf8proc_decompose((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)n, e->code,
                                                (utf8proc_ssize_t)want, (utf8proc_option_t)options);
        if (k < 0 || round > 1)
            return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "Unicode normalization: %s", utf8proc_errmsg(k));
        if ((size_t)k > want) {
            want = (size_t)k;
            continue;
        }
        k = utf8proc_normalize_utf32(e->code, k, (utf8proc_option_t)options);
        for (utf8proc_ssize_t i = 0; i < k; i++) wick_buf_utf8(out, (uint32_t)e->code[i]);
        return WICK_OK;
    }
}

/* ASCII never combines with what precedes it, so normalization works on "one ASCII byte and the non-ASCII run behind
 * it"; longer runs of ASCII are copied. */
static wick_status unicode_form(wick_enc *e, wick_str in, int options, wick_buf *out, wick_err *err)
{
    size_t i = 0;
    while (i < in.n) {
        size_t a = i;
        while (i < in.n && (unsigned char)in.p[i] < 0x80) i++;
        if (i == in.n) {
            wick_buf_add(out, in.p + a, i - a);
            break;
        }
        size_t from = i > a ? i - 1 : i;
        wick_buf_add(out, in.p + a, from - a);
        while (i < in.n && (unsigned char)in.p[i] >= 0x80) i++;
        WICK_TRY(compose(e, in.p + from, i - from, options, out, err));
    }
    return WICK_OK;
}

static int form_options(wick_normalizer_kind k)
{
    int o = UTF8PROC_STABLE;
    o |= k == NORM_NFC || k == NORM_NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    if (k == NORM_NFKC || k == NORM_NFKD) o |= UTF8PROC_COMPAT;
    return o;
}

static wick_status replace(wick_enc *e, const wick_norm *op, wick_str in, wick_buf *out, bool *first, wick_err *err)
{
    size_t from = 0, at = 0;
    if (op->regex) {
        size_t a, b, last_end = SIZE_MAX;
        while (in.n && at <= in.n) {
            WICK_TRY(wick_regex_next(op->regex, &e->run, in.p, in.n, at, &a, &b, err));
            if (a == SIZE_MAX) break;
            bool repeat = a == b && a == last_end; /* an empty match right behind the last one does not count */
            if (!repeat) {
                if (a == 0 && b > 0 && !op->with.n) *first = false;
                wick_buf_add(out, in.p + from, a - from);
                wick_buf_add(out, op->with.p, op->with.n);
                from = last_end = b;
            }
            at = b;
            if (a == b) {
                at++;
                while (at < in.n && ((unsigned char)in.p[at] & 0xC0) == 0x80) at++;
            }
        }
    } else if (op->find.n) {
        const char *hit;
        while (at < in.n && (hit = memmem(in.p + at, in.n - at, op->find.p, op->find.n)) != NULL) {
            if (hit == in.p && !op->with.n) *first = false;
            wick_buf_add(out, in.p + at, (size_t)(hit - in.p) - at);
            wick_buf_add(out, op->with.p, op->with.n);
            at = (size_t)(hit - in.p) + op->find.n;
        }
        from = at;
    }
    wick_buf_add(out, in.p + from, in.n - from);
    return WICK_OK;
}

static wick_str strip(wick_str in, bool left, bool right, bool *first)
{
    uint32_t cp;
    while (left && in.n) {
        unsigned k = wick_utf8_next(in.p, in.n, &cp);
        if (!wick_uni_space(cp)) break;
        in.p += k;
        in.n -= k;
        *first = false;
    }
    while (right && in.n) {
        size_t k = 1;
        while (k < in.n && k < 4 && ((unsigned char)in.p[in.n - k] & 0xC0) == 0x80) k++;
        wick_utf8_next(in.p + in.n - k, k, &cp);
        if (!wick_uni_space(cp)) break;
        in.n -= k;
    }
    return in;
}

static void each_char(const wick_norm *op, wick_str in, wick_buf *out, bool *first)
{
    for (size_t i = 0; i < in.n;) {
        uint32_t c;
        unsigned k = wick_utf8_next(in.p + i, in.n - i, &c);
        if (op->kind == NORM_LOWER) {
            wick_uni_lower(out, c);
        } else if (op->kind == NORM_STRIP_ACCENTS) {
            if (c < 0x300 || !wick_uni_mark(c))
                wick_buf_add(out, in.p + i, k);
            else if (i == 0)
                *first = false;
        } else { /* NORM_NMT: the characters of sentencepiece's nmt rules */
            bool gone =
                (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
            bool space = c == 9 || c == 10 || c == 12 || c == 13 || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                         c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
            if (space)
                wick_buf_putc(out, ' ');
            else if (!gone)
                wick_buf_add(out, in.p + i, k);
            else if (i == 0)
                *first = false;
        }
        i += k;
    }
}

/* BertNormalizer: clean, spaces around Chinese characters, accents off (NFD first), lower case, in this order. */
static wick_status bert(wick_enc *e, const wick_norm *op, wick_str in, wick_buf *out, bool *first, wick_err *err)
{
    wick_buf *b = &e->scratch;
    wick_buf_reset(b);
    for (size_t i = 0; i < in.n;) {
        uint32_t c;
        unsigned k = wick_utf8_next(in.p + i, in.n - i, &c);
        bool blank = c == '\t' || c == '\n' || c == '\r';
        if (op->clean && (c == 0 || c == 0xFFFD || (!blank && wick_uni_hidden(c)))) {
            if (i == 0) *first = false;
        } else if (op->clean && wick_uni_space(c)) {
            wick_buf_putc(b, ' ');
        } else if (op->chinese && wick_uni_chinese(c)) {
            wick_buf_putc(b, ' ');
            wick_buf_add(b, in.p + i, k);
            wick_buf_putc(b, ' ');
        } else {
            wick_buf_add(b, in.p + i, k);
        }
        i += k;
    }
    wick_str mid = {b->data, b->n};
    wick_buf_reset(out);
    if (op->accents) {
        WICK_TRY(unicode_form(e, mid, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, out, err));
        wick_buf_reset(b);
        for (size_t i = 0; i < out->n;) {
            uint32_t c;
            unsigned k = wick_utf8_next(out->data + i, out->n - i, &c);
            if (!wick_uni_nonspacing(c))
                wick_buf_add(b, out->data + i, k);
            else if (i == 0)
                *first = false;
            i += k;
        }
        wick_buf_reset(out);
        mid = (wick_str){b->data, b->n};
    }
    wick_norm lower = {.kind = NORM_LOWER};
    if (op->lower)
        each_char(&lower, mid, out, first);
    else
        wick_buf_add(out, mid.p, mid.n);
    return WICK_OK;
}

/* tokenizers' Precompiled: by grapheme; a short grapheme is replaced by what its shortest mapped prefix maps to. */
static void charsmap_by_grapheme(const wick_norm *op, wick_str in, wick_buf *out)
{
    for (size_t i = 0; i < in.n;) {
        uint32_t c, next;
        utf8proc_int32_t state = 0;
        wick_str to;
        size_t n = wick_utf8_next(in.p + i, in.n - i, &c);
        for (uint32_t last = c; i + n < in.n; last = next) {
            unsigned k = wick_utf8_next(in.p + i + n, in.n - i - n, &next);
            if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)last, (utf8proc_int32_t)next, &state)) break;
            n += k;
        }
        if (n < 6 && wick_charsmap_match(&op->map, in.p + i, n, true, &to)) {
            wick_buf_add(out, to.p, to.n);
        } else {
            for (size_t j = 0; j < n;) {
                unsigned k = wick_utf8_next(in.p + i + j, n - j, &c);
                if (wick_charsmap_match(&op->map, in.p + i + j, k, true, &to))
                    wick_buf_add(out, to.p, to.n);
                else
                    wick_buf_add(out, in.p + i + j, k);
                j += k;
            }
        }
        i += n;
    }
}

/* The next piece of sentencepiece's normalization: *to stands for the returned number of bytes. */
static size_t spm_step(const wick_norm *op, const char *p, size_t n, wick_str *to)
{
    int32_t unused;
    size_t k = op->user ? wick_trie_longest(op->user, p, n, &unused) : 0;
    if (!k && (k = wick_charsmap_match(&op->map, p, n, false, to)) != 0) return k;
    uint32_t c;
    if (!k) k = wick_utf8_next(p, n, &c);
    *to = (wick_str){p, k};
    return k;
}

/* Bytes from p on that stand for themselves: ASCII that no rule and no user-defined symbol begins with, but no
 * space. */
static size_t spm_plain(const wick_norm *op, const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && (unsigned char)p[i] > ' ' && (unsigned char)p[i] < 0x80 && !op->map.starts[(uint8_t)p[i]] &&
           !(op->user && op->user->root[(uint8_t)p[i]]))
        i++;
    return i;
}

/* sentencepiece's Normalizer::Normalize, in its order: leading spaces off, dummy prefix, runs of spaces to one,
 * trailing spaces off. */
static void spm(const wick_norm *op, wick_str in, bool prefix, wick_buf *out)
{
    const char *space = op->escape ? SPACE_MARK : " ";
    const size_t space_n = strlen(space);
    wick_str to;
    size_t i = 0;
    while (op->squeeze && i < in.n) {
        size_t k = spm_step(op, in.p + i, in.n - i, &to);
        if (to.n != 1 || to.p[0] != ' ') break;
        i += k;
    }
    if (i == in.n) return;
    if (op->dummy_prefix && prefix && !op->suffix_spaces) wick_buf_puts(out, space);
    bool after_space = op->squeeze;
    while (i < in.n) {
        size_t plain = spm_plain(op, in.p + i, in.n - i);
        if (plain) {
            wick_buf_add(out, in.p + i, plain);
            i += plain;
            after_space = false;
            continue;
        }
        i += spm_step(op, in.p + i, in.n - i, &to);
        while (after_space && to.n && to.p[0] == ' ') to.p++, to.n--;
        if (to.n) {
            for (size_t j = 0; j < to.n; j++) {
                if (to.p[j] == ' ')
                    wick_buf_add(out, space, space_n);
                else
                    wick_buf_putc(out, to.p[j]);
            }
            after_space = to.p[to.n - 1] == ' ';
        }
        if (!op->squeeze) after_space = false;
    }
    while (op->squeeze && !out->failed && out->n >= space_n &&
           memcmp(out->data + out->n - space_n, space, space_n) == 0)
        out->n -= space_n;
    if (op->dummy_prefix && prefix && op->suffix_spaces) wick_buf_puts(out, space);
}

/* llama.cpp: the prefix is a space; then every space becomes the mark. */
static void gguf_space(const wick_norm *op, wick_str in, bool prefix, wick_buf *out)
{
    if (op->dummy_prefix && prefix) wick_buf_puts(out, SPACE_MARK);
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == ' ')
            wick_buf_puts(out, SPACE_MARK);
        else
            wick_buf_putc(out, in.p[i]);
    }
}

static wick_status step(wick_enc *e, const wick_norm *op, wick_str in, bool prefix, wick_buf *out, bool *first,
                        wick_err *err)
{
    switch (op->kind) {
    case NORM_NFC:
    case NORM_NFD:
    case NORM_NFKC:
    case NORM_NFKD: return unicode_form(e, in, form_options(op->kind), out, err);
    case NORM_LOWER:
    case NORM_STRIP_ACCENTS:
    case NORM_NMT: each_char(op, in, out, first); break;
    case NORM_REPLACE: return replace(e, op, in, out, first, err);
    case NORM_PREPEND:
        if (in.n) wick_buf_add(out, op->with.p, op->with.n);
        wick_buf_add(out, in.p, in.n);
        break;
    case NORM_STRIP: break; /* done without a copy */
    case NORM_BERT: return bert(e, op, in, out, first, err);
    case NORM_CHARSMAP: charsmap_by_grapheme(op, in, out); break;
    case NORM_BYTE_LEVEL: wick_byte_level_encode(out, in.p, in.n); break;
    case NORM_SPM: spm(op, in, prefix, out); break;
    case NORM_GGUF_SPACE: gguf_space(op, in, prefix, out); break;
    }
    return WICK_OK;
}

static const size_t max_growth = 64, always_allowed = 1 << 16; /* the widest compatibility form is 18 times as long */

wick_status wick_norm_run(wick_enc *e, const wick_norm *ops, uint32_t n_ops, wick_str in, bool prefix, bool *first,
                          wick_str *out, wick_err *err)
{
    int which = 0;
    const size_t max = max_growth * in.n + always_allowed;
    e->norm[0].max_bytes = e->norm[1].max_bytes = max;
    for (uint32_t i = 0; i < n_ops; i++) {
        const wick_norm *op = &ops[i];
        if (op->kind <= NORM_NFKD && is_ascii(in)) continue;
        if (op->kind == NORM_STRIP) {
            in = strip(in, op->left, op->right, first);
            continue;
        }
        wick_buf *b = &e->norm[which];
        which = !which;
        wick_buf_reset(b);
        WICK_TRY(step(e, op, in, prefix, b, first, err));
        if (b->failed && (b->cap > max / 2 || in.n > max / 2 || op->with.n > max / 2))
            return WICK_FAIL(err, WICK_E_LIMIT, "text",
                             "a tokenizer's normalizers make the text over %zu times as long", max_growth);
        if (b->failed) return wick_enc_oom(err);
        in = (wick_str){b->data ? b->data : "", b->n};
    }
    *out = in;
    return WICK_OK;
}
