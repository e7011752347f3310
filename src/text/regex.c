/* text/regex.c - Oniguruma patterns on PCRE2.
 *
 * What is translated, because the same text means something else to PCRE2:
 *   \s \S       White_Space; PCRE2's UCP class also has U+180E
 *   \w \W       Alphabetic, M, Nd, Pc; PCRE2's is L, N and "_"
 *   \b \B       between such characters and others
 *   \h \H       a hexadecimal digit; PCRE2: horizontal space
 *   \uHHHH      a code point
 *   x{n,m}+     a repeated repeat; PCRE2: possessive.  x++, x*+ and x?+ are possessive in both
 *   x{,m}       from zero
 *   (?m)        "." matches newlines: PCRE2's (?s).  ^ and $ always match at lines: PCRE2_MULTILINE, newline is \n only
 *   [a[b]&&[c]] nested sets and intersections become groups with look-ahead
 *   [:punct:]   symbols too; [:alpha:], [:upper:], [:lower:] the properties, not the categories
 *   \X          a grapheme, with emoji apart as in newer PCRE2
 *   \p{Letter}  long names of general categories
 *   \p{Han}     the script; PCRE2: all that the script is used with
 * Case folding inside (?i:...) is the Unicode one in both ("ſ" matches "s").
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"
#include <pcre2.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/sys.h"

enum { MAX_PATTERN = 1 << 16, MAX_GROUPS = 100, MAX_SETS = 8, WINDOW = 256 };
static const uint64_t max_run_ns = 10u * 1000 * 1000 * 1000; /* all matching of one encode call */

/* Outside of sets Oniguruma classifies Latin-1 by a table of its own, where superscripts and fractions are word
 * characters. */
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define LONE_WORD WORD "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define IN_WORD "[" LONE_WORD "]"
#define AFTER_WORD "(?<=" IN_WORD ")"

/* PCRE2 10.42 joins neighbouring emoji in its \X; only U+200D does that. */
#define EXTEND "[\\p{Mn}\\p{Me}\\p{Mc}\\x{200c}\\x{200d}\\x{1f3fb}-\\x{1f3ff}]*+"
#define GRAPHEME                                                                                \
    "(?>\\p{Extended_Pictographic}" EXTEND "(?:(?<=\\x{200d})\\p{Extended_Pictographic}" EXTEND \
    ")*+|(?!\\p{Extended_Pictographic})\\X)"

struct wick_regex {
    pcre2_code *code;
};

typedef struct translator {
    const char *p, *end;
    wick_buf *out;
    const char *fault; /* NULL while all is well */
} translator;

static void *pcre_alloc(size_t n, void *ctx)
{
    (void)ctx;
    return wick_alloc(n);
}

static void pcre_free(void *p, void *ctx)
{
    (void)ctx;
    wick_free(p);
}

static const struct {
    const char *name, *ours;
} property_names[] = {
    {"letter", "L"},
    {"mark", "M"},
    {"number", "N"},
    {"punctuation", "P"},
    {"punct", "P"},
    {"symbol", "S"},
    {"separator", "Z"},
    {"other", "C"},
    {"uppercaseletter", "Lu"},
    {"lowercaseletter", "Ll"},
    {"titlecaseletter", "Lt"},
    {"casedletter", "L&"},
    {"modifierletter", "Lm"},
    {"otherletter", "Lo"},
    {"nonspacingmark", "Mn"},
    {"spacingmark", "Mc"},
    {"enclosingmark", "Me"},
    {"decimalnumber", "Nd"},
    {"digit", "Nd"},
    {"letternumber", "Nl"},
    {"othernumber", "No"},
    {"connectorpunctuation", "Pc"},
    {"dashpunctuation", "Pd"},
    {"openpunctuation", "Ps"},
    {"closepunctuation", "Pe"},
    {"initialpunctuation", "Pi"},
    {"finalpunctuation", "Pf"},
    {"otherpunctuation", "Po"},
    {"mathsymbol", "Sm"},
    {"currencysymbol", "Sc"},
    {"modifiersymbol", "Sk"},
    {"othersymbol", "So"},
    {"spaceseparator", "Zs"},
    {"lineseparator", "Zl"},
    {"paragraphseparator", "Zp"},
    {"control", "Cc"},
    {"cntrl", "Cc"},
    {"format", "Cf"},
    {"surrogate", "Cs"},
    {"privateuse", "Co"},
    {"unassigned", "Cn"},
    {"space", "White_Space"},
    {"alpha", "Alphabetic"},
    {"upper", "Uppercase"},
    {"lower", "Lowercase"},
};

/* Since 10.40 \p{Han} means the script extensions, where Oniguruma means the script itself: \p{sc:Han}. Whether a
 * name is a script, PCRE2 knows. */
static bool is_script(const char *name, bool *oom)
{
    char pattern[48];
    int code;
    PCRE2_SIZE at;
    size_t n = strlen(name);
    if (n < 2 || n > 36) return false;
    memcpy(pattern, "\\p{sc:", 6);
    memcpy(pattern + 6, name, n);
    memcpy(pattern + 6 + n, "}", 2);
    pcre2_general_context *general = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    pcre2_compile_context *ctx = general ? pcre2_compile_context_create(general) : NULL;
    pcre2_code *c = ctx ? pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at, ctx) : NULL;
    bool yes = c != NULL;
    if (c) pcre2_code_free(c);
    if (!yes && (!ctx || code == 121)) *oom = true;
    if (ctx) pcre2_compile_context_free(ctx);
    if (general) pcre2_general_context_free(general);
    return yes;
}

/* \p{...} or \P{...}; t->p stands behind the backslash. */
static void put_property(translator *t)
{
    char key[32], sign = *t->p;
    size_t n = 0;
    const char *q = t->p + 2, *close = memchr(t->p, '}', (size_t)(t->end - t->p));
    if (t->p + 1 >= t->end || t->p[1] != '{' || !close) {
        wick_buf_printf(t->out, "\\%c", sign);
        t->p++;
        return;
    }
    for (const char *c = q; c < close && n < sizeof key - 1; c++)
        if (*c != '_' && *c != ' ' && *c != '-') key[n++] = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    key[n] = 0;
    const char *neg = key[0] == '^' ? "^" : "", *name = key + (key[0] == '^');
    for (size_t i = 0; i < sizeof property_names / sizeof *property_names; i++) {
        if (strcmp(property_names[i].name, name) != 0) continue;
        wick_buf_printf(t->out, "\\%c{%s%s}", sign, neg, property_names[i].ours);
        t->p = close + 1;
        return;
    }
    bool oom = false;
    if (is_script(name, &oom)) {
        wick_buf_printf(t->out, "\\%c{%ssc:%s}", sign, neg, name);
    } else if (oom) {
        t->out->failed = true;
    } else {
        wick_buf_putc(t->out, '\\');
        wick_buf_add(t->out, t->p, (size_t)(close + 1 - t->p));
    }
    t->p = close + 1;
}

/* An escape sequence; t->p stands behind the backslash. */
static void put_escape(translator *t, bool in_set)
{
    char c = t->p < t->end ? *t->p : 0;
    const char *body = NULL;
    unsigned value = 0;
    switch (c) {
    case 's': wick_buf_puts(t->out, "\\p{White_Space}"); break;
    case 'S': wick_buf_puts(t->out, "\\P{White_Space}"); break;
    case 'w': body = in_set ? WORD : LONE_WORD; break;
    case 'h': body = "0-9a-fA-F"; break;
    case 'W': wick_buf_puts(t->out, in_set ? "[^" WORD "]" : "[^" LONE_WORD "]"); break; /* in a set: an alternative */
    case 'H': wick_buf_puts(t->out, "[^0-9a-fA-F]"); break;
    case 'X': wick_buf_puts(t->out, in_set ? "X" : GRAPHEME); break;
    case 'b':
    case 'B':
        if (in_set)
            wick_buf_printf(t->out, "\\%c", c);
        else if (c == 'b')
            wick_buf_puts(t->out, "(?:" AFTER_WORD "(?!" IN_WORD ")|(?<!" IN_WORD ")(?=" IN_WORD "))");
        else
            wick_buf_puts(t->out, "(?:" AFTER_WORD "(?=" IN_WORD ")|(?<!" IN_WORD ")(?!" IN_WORD "))");
        break;
    case 'p':
    case 'P': put_property(t); return;
    case 'u':
        for (int i = 1; i <= 4; i++) {
            char d = t->p + i < t->end ? t->p[i] : 0;
            int v = d >= '0' && d <= '9'   ? d - '0'
                    : d >= 'a' && d <= 'f' ? d - 'a' + 10
                    : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                           : -1;
            if (v < 0) {
                t->fault = "\\u without four hexadecimal digits";
                return;
            }
            value = value * 16 + (unsigned)v;
        }
        wick_buf_printf(t->out, "\\x{%x}", value);
        t->p += 4;
        break;
    default: {
        uint32_t cp;
        unsigned k = t->p < t->end ? wick_utf8_next(t->p, (size_t)(t->end - t->p), &cp) : 0;
        wick_buf_putc(t->out, '\\');
        wick_buf_add(t->out, t->p, k);
        t->p += k;
        return;
    }
    }
    if (body) wick_buf_printf(t->out, in_set ? "%s" : "[%s]", body);
    t->p++;
}

/* [:name:] inside a set; PCRE2 means narrower classes by some of them. */
static void put_posix(wick_buf *out, const char *name, size_t n)
{
    static const char *const ours[][2] = {{"[:punct:]", "\\p{P}\\p{S}"},           {"[:word:]", WORD},
                                          {"[:alnum:]", "\\p{Alphabetic}\\p{Nd}"}, {"[:alpha:]", "\\p{Alphabetic}"},
                                          {"[:upper:]", "\\p{Uppercase}"},         {"[:lower:]", "\\p{Lowercase}"},
                                          {"[:space:]", "\\p{White_Space}"}};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (n != strlen(ours[i][0]) || memcmp(name, ours[i][0], n) != 0) continue;
        wick_buf_puts(out, ours[i][1]);
        return;
    }
    wick_buf_add(out, name, n);
}

static void put_set(translator *t, int depth);

/* Items of a set up to "&&" or its "]": plain ones gather in one class, nested sets become alternatives. */
static void put_union(translator *t, int depth)
{
    wick_buf plain = WICK_BUF_INIT, nested = WICK_BUF_INIT, *outer = t->out;
    bool at_start = true;
    while (t->p < t->end && !t->fault) {
        if (*t->p == ']' && !at_start) break;
        if (t->p + 1 < t->end && t->p[0] == '&' && t->p[1] == '&') break;
        at_start = false;
        if (*t->p == '[' && t->p + 1 < t->end && t->p[1] == ':') {
            const char *close = t->p + 2;
            while (close + 1 < t->end && !(close[0] == ':' && close[1] == ']') && *close != ']') close++;
            if (close + 1 < t->end && close[0] == ':') {
                put_posix(&plain, t->p, (size_t)(close + 2 - t->p));
                t->p = close + 2;
                continue;
            }
        }
        if (*t->p == '[') {
            t->p++;
            t->out = &nested;
            wick_buf_putc(&nested, '|');
            put_set(t, depth + 1);
        } else if (*t->p == '\\') {
            t->p++;
            bool complement = t->p < t->end && (*t->p == 'W' || *t->p == 'H');
            if (complement) wick_buf_putc(&nested, '|');
            t->out = complement ? &nested : &plain;
            put_escape(t, true);
        } else {
            wick_buf_putc(&plain, *t->p++);
        }
    }
    t->out = outer;
    if (plain.failed || nested.failed) t->fault = "out of memory";
    if (!nested.n) {
        wick_buf_printf(outer, "[%s]", wick_buf_str(&plain));
    } else {
        const char *alternatives = wick_buf_str(&nested);
        if (plain.n)
            wick_buf_printf(outer, "(?:[%s]%s)", wick_buf_str(&plain), alternatives);
        else
            wick_buf_printf(outer, "(?:%s)", alternatives + 1);
    }
    wick_buf_release(&plain);
    wick_buf_release(&nested);
}

/* A set that has nested sets or "&&" is rewritten; a plain one is copied with its escapes translated.
 * t->p stands behind the "[". */
static void put_set(translator *t, int depth)
{
    if (depth > MAX_SETS) {
        t->fault = "sets nested too deeply";
        return;
    }
    bool negated = t->p < t->end && *t->p == '^';
    if (negated) t->p++;
    wick_buf whole = WICK_BUF_INIT, *outer = t->out;
    unsigned parts = 0;
    t->out = &whole;
    for (;;) {
        wick_buf one = WICK_BUF_INIT;
        t->out = &one;
        put_union(t, depth);
        bool more = !t->fault && t->p + 1 < t->end && t->p[0] == '&';
        if (more || parts)
            wick_buf_printf(&whole, more ? "(?=%s)" : "%s", wick_buf_str(&one));
        else
            wick_buf_puts(&whole, wick_buf_str(&one));
        if (one.failed) t->fault = "out of memory";
        wick_buf_release(&one);
        parts++;
        if (!more) break;
        t->p += 2;
    }
    t->out = outer;
    if (t->p < t->end)
        t->p++;
    else if (!t->fault)
        t->fault = "a set that does not end";
    const char *text = wick_buf_str(&whole);
    if (!negated)
        wick_buf_printf(outer, parts > 1 ? "(?:%s)" : "%s", text);
    else if (parts == 1 && text[0] == '[')
        wick_buf_printf(outer, "[^%s", text + 1);
    else
        wick_buf_printf(outer, "(?:(?!%s)\\p{Any})", text);
    if (whole.failed) t->fault = "out of memory";
    wick_buf_release(&whole);
}

/* "(", and what says which kind of group it is. */
static void put_group_start(translator *t)
{
    wick_buf_putc(t->out, *t->p++);
    if (t->p >= t->end || *t->p != '?') return;
    wick_buf_putc(t->out, *t->p++);
    const char *q = t->p;
    while (q < t->end && (*q == '-' || *q == 'i' || *q == 'm' || *q == 'x')) q++;
    if (q >= t->end || (*q != ':' && *q != ')')) return;
    for (; t->p < q; t->p++) wick_buf_putc(t->out, *t->p == 'm' ? 's' : *t->p);
}

/* "{...}" as a quantifier; true if it was one. */
static bool put_braces(translator *t, size_t atom)
{
    const char *q = t->p + 1;
    bool digits = false;
    while (q < t->end && (*q == ',' || (*q >= '0' && *q <= '9'))) digits |= *q++ != ',';
    if (!digits || q >= t->end || *q != '}') return false;
    q++;
    bool repeated = q < t->end && *q == '+';
    if (repeated) { /* wrap the atom: "(?:" in front of it */
        wick_buf_puts(t->out, "   ");
        if (t->out->failed) return true;
        memmove(t->out->data + atom + 3, t->out->data + atom, t->out->n - 3 - atom);
        memcpy(t->out->data + atom, "(?:", 3);
    }
    wick_buf_puts(t->out, t->p[1] == ',' ? "{0" : "{");
    wick_buf_add(t->out, t->p + 1, (size_t)(q - t->p - 1));
    if (repeated) wick_buf_puts(t->out, ")+");
    t->p = q + repeated;
    return true;
}

static void translate(translator *t)
{
    size_t groups[MAX_GROUPS], depth = 0, atom = 0;
    while (t->p < t->end && !t->fault) {
        size_t here = t->out->n;
        uint32_t cp;
        unsigned k;
        switch (*t->p) {
        case '\\':
            t->p++;
            put_escape(t, false);
            atom = here;
            break;
        case '[':
            t->p++;
            put_set(t, 0);
            atom = here;
            break;
        case '(':
            if (depth == MAX_GROUPS) {
                t->fault = "groups nested too deeply";
                break;
            }
            groups[depth++] = here;
            put_group_start(t);
            break;
        case ')':
            wick_buf_putc(t->out, *t->p++);
            if (depth) atom = groups[--depth];
            break;
        case '{':
            if (put_braces(t, atom)) break;
            atom = here;
            wick_buf_puts(t->out, "\\{");
            t->p++;
            break;
        case '*':
        case '+':
        case '?': wick_buf_putc(t->out, *t->p++); break;
        default:
            k = wick_utf8_next(t->p, (size_t)(t->end - t->p), &cp);
            wick_buf_add(t->out, t->p, k);
            t->p += k;
            atom = here;
        }
    }
}

static wick_status compile(wick_regex **out, const char *pattern, size_t n, uint32_t options, const char *where,
                           wick_err *err)
{
    wick_status st = WICK_OK;
    int code;
    PCRE2_SIZE at;
    pcre2_general_context *general = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    pcre2_compile_context *ctx = general ? pcre2_compile_context_create(general) : NULL;
    wick_regex *r = wick_alloc_zero(1, sizeof *r);
    if (!ctx || !r) {
        st = wick_err_oom(err, "a pattern", n, 0);
        goto done;
    }
    pcre2_set_newline(ctx, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(ctx, 2 * MAX_GROUPS);
    r->code = pcre2_compile((PCRE2_SPTR)pattern, n,
                            options | PCRE2_UTF | PCRE2_UCP | PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C, &code,
                            &at, ctx);
    if (!r->code && code == PCRE2_ERROR_NOMEMORY) {
        st = wick_err_oom(err, "a pattern", n, 0);
        goto done;
    }
    if (!r->code && code == 121) { /* PCRE2's "failed to allocate heap memory" */
        st = wick_err_oom(err, "a pattern", n, 0);
        goto done;
    }
    if (!r->code) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(code, text, sizeof text);
        st = WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: pattern \"%.80s\": %s", where, pattern, (const char *)text);
        goto done;
    }
    (void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it the interpreter runs */
    *out = r;
    r = NULL;
done:
    wick_regex_free(r);
    if (ctx) pcre2_compile_context_free(ctx);
    if (general) pcre2_general_context_free(general);
    return st;
}

wick_status wick_regex_new(wick_regex **out, wick_str pattern, const char *where, wick_err *err)
{
    wick_buf b = WICK_BUF_INIT;
    translator t = {pattern.p, pattern.p + pattern.n, &b, NULL};
    if (pattern.n > MAX_PATTERN)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: a pattern of %zu bytes, at most %d are read", where,
                         pattern.n, MAX_PATTERN);
    wick_buf_init(&b, 64 * MAX_PATTERN);
    translate(&t);
    wick_status st;
    if (b.failed)
        st = wick_err_oom(err, "a pattern", pattern.n, 0);
    else if (t.fault)
        st = WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: pattern \"%.*s\": %s", where,
                       pattern.n < 80 ? (int)pattern.n : 80, pattern.p, t.fault);
    else
        st = compile(out, wick_buf_str(&b), b.n, PCRE2_MULTILINE, where, err);
    wick_buf_release(&b);
    return st;
}

wick_status wick_regex_literal(wick_regex **out, wick_str text, const char *where, wick_err *err)
{
    if (text.n > MAX_PATTERN)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: a pattern of %zu bytes, at most %d are read", where, text.n,
                         MAX_PATTERN);
    wick_buf b = WICK_BUF_INIT;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool word = c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!word)
            wick_buf_printf(&b, "\\x{%x}", c);
        else
            wick_buf_putc(&b, (char)c);
    }
    wick_status st =
        b.failed ? wick_err_oom(err, "a pattern", text.n, 0) : compile(out, wick_buf_str(&b), b.n, 0, where, err);
    wick_buf_release(&b);
    return st;
}

void wick_regex_free(wick_regex *r)
{
    if (!r) return;
    if (r->code) pcre2_code_free(r->code);
    wick_free(r);
}

void wick_regex_run_release(wick_regex_run *run)
{
    if (run->match_data) pcre2_match_data_free(run->match_data);
    if (run->context) pcre2_match_context_free(run->context);
    memset(run, 0, sizeof *run);
}

static bool run_init(wick_regex_run *run)
{
    if (run->match_data && run->context) return true;
    pcre2_general_context *general = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    if (!general) return false;
    if (!run->match_data) run->match_data = pcre2_match_data_create(1, general);
    if (!run->context) run->context = pcre2_match_context_create(general);
    pcre2_general_context_free(general);
    if (!run->match_data || !run->context) return false;
    pcre2_set_heap_limit(run->context, 256 * 1024); /* KiB */
    pcre2_set_depth_limit(run->context, 1000000);
    run->start_ns = wick_time_thread_ns();
    return true;
}

wick_status wick_regex_next(const wick_regex *r, wick_regex_run *run, const char *text, size_t n, size_t from,
                            size_t *start, size_t *end, wick_err *err)
{
    if (!run_init(run)) return wick_err_oom(err, "matching a pattern", 0, 0);
    pcre2_match_data *md = run->match_data;
    uint32_t n_limit = n < 100000000 ? (uint32_t)n : 100000000;
    pcre2_set_match_limit(run->context, 1000000 + 8 * n_limit);
    *start = *end = SIZE_MAX;
    while (from <= n) { /* start places in windows, so that the clock is looked at between them */
        size_t last = n - from > WINDOW ? from + WINDOW : n;
        pcre2_set_offset_limit(run->context, last);
        int rc = pcre2_match(r->code, (PCRE2_SPTR)text, n, from, PCRE2_NO_UTF_CHECK, md, run->context);
        if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
            rc = pcre2_match(r->code, (PCRE2_SPTR)text, n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, md, run->context);
        if (rc >= 0) {
            PCRE2_SIZE *v = pcre2_get_ovector_pointer(md);
            if (v[0] > v[1] || v[1] > n || v[0] < from) /* \K in a look-ahead can do that */
                return WICK_FAIL(err, WICK_E_BAD_FILE, NULL, "a tokenizer's pattern matches backwards");
            *start = v[0];
            *end = v[1];
            break;
        }
        if (rc == PCRE2_ERROR_NOMEMORY) return wick_err_oom(err, "matching a pattern", 0, 0);
        if (rc != PCRE2_ERROR_NOMATCH) {
            PCRE2_UCHAR why[128];
            pcre2_get_error_message(rc, why, sizeof why);
            return WICK_FAIL(err, WICK_E_LIMIT, "pattern", "a tokenizer's pattern takes too long on this text: %s",
                             (const char *)why);
        }
        from = last + 1;
        while (from < n && ((unsigned char)text[from] & 0xC0) == 0x80) from++;
        if (wick_time_thread_ns() - run->start_ns > max_run_ns)
            return WICK_FAIL(err, WICK_E_LIMIT, "pattern",
                             "a tokenizer's pattern takes too long on this text: over 10 s of processor time");
    }
    return WICK_OK;
}
