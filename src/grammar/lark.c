/* grammar/lark.c - Lark grammars: rules (lower case) over terminals (upper case), texts, /patterns/ and ignored text
 * between them.
 *
 * Read as the language that the grammar describes: a terminal may end wherever it can, so priorities, which only choose
 * among readings, change nothing. After each terminal in a rule, ignored text may stand.
 */
#include "grammar/cfg.h"
#include "grammar/lark_common.h"
#include "grammar/pattern.h"

enum { MAX_RULES = 20000, MAX_NEST = 200, IGNORED = 0, TOP = 1 };

typedef struct reader {
    wick_re_pool *re;
    wick_arena *a;
    const char *s;
    size_t n, at;
    wick_ex_rule *rule;
    uint32_t n_rules, cap_rules, depth;
    wick_map names;
    wick_ex *ignored; /* alternatives */
    wick_buf *warnings;
    bool in_terminal; /* the body being read is a terminal's */
    wick_err *err;
} reader;

static size_t line_of(const reader *r)
{
    size_t line = 1;
    for (size_t i = 0; i < r->at && i < r->n; i++) line += r->s[i] == '\n';
    return line;
}

static wick_status bad(const reader *r, const char *why)
{
    return WICK_FAIL(r->err, WICK_E_BAD_PARAMETER, "lark", "lark: line %zu: %s", line_of(r), why);
}

static wick_status oom(const reader *r)
{
    return wick_err_oom(r->err, "the grammar", 0, 0);
}

static char peek(const reader *r)
{
    return r->at < r->n ? r->s[r->at] : 0;
}

static bool see(const reader *r, const char *lit)
{
    size_t n = strlen(lit);
    return r->n - r->at >= n && memcmp(r->s + r->at, lit, n) == 0;
}

static bool eat(reader *r, const char *lit)
{
    if (!see(r, lit)) return false;
    r->at += strlen(lit);
    return true;
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_terminal_name(wick_str s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] == '_') i++;
    return i < s.n && s.p[i] >= 'A' && s.p[i] <= 'Z';
}

static void skip(reader *r, bool lines)
{
    for (; r->at < r->n; r->at++) {
        if (see(r, "//") || peek(r) == '#')
            while (r->at < r->n && r->s[r->at] != '\n') r->at++;
        char c = peek(r);
        if (r->at == r->n || (c != ' ' && c != '\t' && c != '\r' && !(lines && c == '\n'))) return;
    }
}

/* A body goes on in the next line where that begins with |. */
static void skip_in_body(reader *r, bool nested)
{
    skip(r, nested);
    size_t from = r->at;
    skip(r, true);
    if (peek(r) != '|') r->at = from;
}

static wick_str name(reader *r)
{
    size_t from = r->at;
    while (name_char(peek(r))) r->at++;
    return (wick_str){r->s + from, r->at - from};
}

static wick_status rule_number(reader *r, wick_str s, uint32_t *out)
{
    uint32_t id = wick_map_get(&r->names, s);
    *out = id;
    if (id != WICK_MAP_NONE) return WICK_OK;
    if (r->n_rules == MAX_RULES) return bad(r, "more than 20,000 rules");
    if (!wick_re_room(r->re, (void **)&r->rule, &r->cap_rules, (uint64_t)r->n_rules + 1, sizeof *r->rule))
        return oom(r);
    const char *p = wick_arena_strndup(r->a, s.p, s.n);
    if (!p || wick_map_add(&r->names, (wick_str){p, s.n}, r->n_rules) == WICK_MAP_NONE) return oom(r);
    r->rule[r->n_rules] = (wick_ex_rule){.name = p};
    *out = r->n_rules++;
    return WICK_OK;
}

static wick_status make(reader *r, wick_ex_kind kind, uint32_t a, uint32_t b, wick_ex *child, wick_ex **out)
{
    *out = wick_ex_new(r->a, kind, a, b, child);
    if (!wick_re_ok(r->re)) return wick_re_failed(r->re, r->err);
    return *out ? WICK_OK : oom(r);
}

/* A terminal where it stands: in a rule, ignored text may follow it. */
static wick_status place(reader *r, wick_ex *e, wick_ex **out)
{
    wick_ex *ign;
    if (r->in_terminal) {
        *out = e;
        return WICK_OK;
    }
    WICK_TRY(make(r, EX_RULE, IGNORED, 0, NULL, &ign));
    e->next = ign;
    return make(r, EX_CAT, 0, 0, e, out);
}

/* ---- texts and patterns ---- */
static wick_status text(reader *r, wick_buf *b)
{
    r->at++;
    while (peek(r) != '"') {
        if (r->at >= r->n || peek(r) == '\n') return bad(r, "a text without its end");
        char c = r->s[r->at++];
        if (c != '\\') {
            wick_buf_putc(b, c);
            continue;
        }
        c = peek(r);
        r->at++;
        static const char from[] = "nrtfv0", to[] = "\n\r\t\f\v";
        const char *q = c ? strchr(from, c) : NULL;
        if (q) {
            wick_buf_putc(b, c == '0' ? 0 : to[q - from]);
        } else if (c == 'x' || c == 'u' || c == 'U') {
            uint32_t cp = 0;
            for (int i = c == 'x' ? 2 : c == 'u' ? 4 : 8; i > 0; i--, r->at++) {
                char h = peek(r);
                uint32_t d = h >= '0' && h <= '9' ? (uint32_t)(h - '0') : (uint32_t)((h | 0x20) - 'a' + 10);
                if (d > 15) return bad(r, "expected hexadecimal digits");
                cp = cp << 4 | d;
            }
            wick_buf_utf8(b, cp);
        } else {
            wick_buf_putc(b, c);
        }
    }
    r->at++;
    return b->failed ? oom(r) : WICK_OK;
}

static wick_re folded(reader *r, const wick_buf *b)
{
    wick_re out = WICK_RE_EPS;
    for (size_t i = 0; i < b->n;) {
        wick_cps c = {0};
        uint32_t cp;
        i += wick_utf8_next(b->data + i, b->n - i, &cp);
        if (cp == UINT32_MAX) return WICK_RE_NONE; /* no character: nothing has it in both cases */
        wick_cps_add(&c, cp, cp);
        wick_cps_fold(&c);
        if (c.failed) wick_re_fail(r->re, "memory");
        out = wick_re_cat(r->re, out, c.failed ? WICK_RE_NONE : wick_re_chars(r->re, c.v, c.n));
        wick_cps_release(&c);
    }
    return out;
}

static wick_status read_text(reader *r, wick_re *out)
{
    wick_buf b = WICK_BUF_INIT, to = WICK_BUF_INIT;
    wick_status st = text(r, &b);
    if (st == WICK_OK && see(r, "..\"")) {
        uint32_t lo = 0, hi = 0;
        r->at += 2;
        st = text(r, &to);
        bool one = st == WICK_OK && b.n && to.n && wick_utf8_next(b.data, b.n, &lo) == b.n &&
                   wick_utf8_next(to.data, to.n, &hi) == to.n;
        if (st == WICK_OK && (!one || lo > hi || hi > 0x10FFFF)) st = bad(r, "a range is between two characters");
        if (st == WICK_OK) *out = wick_re_chars(r->re, &(wick_cp_range){lo, hi}, 1);
    } else if (st == WICK_OK && eat(r, "i")) {
        *out = folded(r, &b);
    } else if (st == WICK_OK) {
        *out = wick_re_lit(r->re, b.data ? b.data : "", b.n);
    }
    wick_buf_release(&b);
    wick_buf_release(&to);
    return st;
}

static wick_status read_pattern(reader *r, wick_re *out)
{
    size_t from = ++r->at, end;
    unsigned flags = 0;
    bool class = false;
    for (; r->at < r->n && (class || peek(r) != '/'); r->at++) {
        if (peek(r) == '\n') break;
        if (peek(r) == '\\')
            r->at++;
        else if (peek(r) == '[')
            class = true;
        else if (peek(r) == ']')
            class = false;
    }
    end = r->at;
    if (r->at >= r->n || peek(r) != '/') return bad(r, "a pattern without its end");
    for (r->at++; peek(r) >= 'a' && peek(r) <= 'z'; r->at++) {
        if (peek(r) == 'i')
            flags |= WICK_PATTERN_ICASE;
        else if (peek(r) == 's')
            flags |= WICK_PATTERN_DOTALL;
        else if (peek(r) != 'u')
            return bad(r, "this flag of a pattern is not supported");
    }
    return wick_pattern_compile(r->re, r->s + from, end - from, WICK_PATTERN_RE2, flags, "lark", out, r->err);
}

/* ---- bodies ---- */
static wick_status alternatives(reader *r, bool nested, wick_ex **out);

static wick_status group(reader *r, char close, wick_ex **out)
{
    r->at++;
    WICK_TRY(alternatives(r, true, out));
    skip(r, true);
    if (peek(r) != close) return bad(r, close == ')' ? "expected )" : "expected ]");
    r->at++;
    return close == ']' ? make(r, EX_REP, 0, 1, *out, out) : WICK_OK;
}

static wick_status atom(reader *r, wick_ex **out)
{
    char c = peek(r);
    wick_re re = WICK_RE_NONE;
    uint32_t id;
    *out = NULL;
    if (c == '(') return group(r, ')', out);
    if (c == '[') return group(r, ']', out);
    if (c == '"') {
        WICK_TRY(read_text(r, &re));
    } else if (c == '/') {
        WICK_TRY(read_pattern(r, &re));
    } else if (name_char(c)) {
        wick_str s = name(r);
        bool terminal = is_terminal_name(s);
        if (peek(r) == '{' && !terminal && r->at + 1 < r->n && name_char(r->s[r->at + 1]) &&
            !(r->s[r->at + 1] >= '0' && r->s[r->at + 1] <= '9'))
            return bad(r, "templates are not supported");
        if (r->in_terminal && !terminal) return bad(r, "a terminal that uses a rule");
        WICK_TRY(rule_number(r, s, &id));
        WICK_TRY(make(r, EX_RULE, id, 0, NULL, out));
        return terminal ? place(r, *out, out) : WICK_OK;
    } else if (c == '%') {
        return bad(r, see(r, "%json")    ? "%json is not supported"
                      : see(r, "%regex") ? "%regex is not supported"
                                         : "this directive is not supported here");
    } else if (c == '<') {
        return bad(r, "references to tokens are not supported");
    } else {
        return WICK_OK;
    }
    WICK_TRY(make(r, EX_RE, re, 0, NULL, out));
    return place(r, *out, out);
}

static bool number(reader *r, uint32_t *out)
{
    size_t from = r->at;
    uint64_t x = 0;
    for (; peek(r) >= '0' && peek(r) <= '9' && x < UINT32_MAX; r->at++) x = x * 10 + (uint64_t)(peek(r) - '0');
    *out = x >= WICK_RE_INF ? WICK_RE_INF - 1 : (uint32_t)x;
    return r->at > from;
}

static wick_status repeat(reader *r, wick_ex **e)
{
    for (int times = 0; times < 8; times++) {
        uint32_t lo = 0, hi = WICK_RE_INF;
        skip(r, false);
        if (eat(r, "+"))
            lo = 1;
        else if (eat(r, "?"))
            hi = 1;
        else if (eat(r, "*"))
            lo = 0;
        else if (eat(r, "~")) {
            skip(r, false);
            if (!number(r, &lo)) return bad(r, "expected a number after ~");
            hi = lo;
            skip(r, false);
            if (eat(r, "..") && !number(r, &hi)) return bad(r, "expected a number after ..");
        } else if (eat(r, "{")) {
            skip(r, false);
            if (!number(r, &lo) && peek(r) != ',') return bad(r, "expected a number after {");
            hi = lo;
            skip(r, false);
            if (eat(r, ",")) {
                skip(r, false);
                if (!number(r, &hi)) hi = WICK_RE_INF;
                skip(r, false);
            }
            if (!eat(r, "}")) return bad(r, "expected }");
        } else {
            return WICK_OK;
        }
        if (lo > hi) return bad(r, "a repeat whose maximum is below its minimum");
        WICK_TRY(make(r, EX_REP, lo, hi, *e, e));
    }
    return bad(r, "repeats of repeats");
}

static wick_status alternatives(reader *r, bool nested, wick_ex **out)
{
    if (++r->depth > MAX_NEST) return bad(r, "nested too deeply");
    WICK_TRY(make(r, EX_ALT, 0, 0, NULL, out));
    wick_ex **alt = &(*out)->child;
    do {
        WICK_TRY(make(r, EX_CAT, 0, 0, NULL, alt));
        for (wick_ex **end = &(*alt)->child;; end = &(*end)->next) {
            wick_ex *e;
            skip_in_body(r, nested);
            WICK_TRY(atom(r, &e));
            if (!e) break;
            WICK_TRY(repeat(r, &e));
            *end = e;
        }
        skip_in_body(r, nested);
        if (eat(r, "->")) {
            skip(r, false);
            name(r);
            skip_in_body(r, nested);
        }
        alt = &(*alt)->next;
    } while (eat(r, "|"));
    r->depth--;
    return WICK_OK;
}

/* ---- statements ---- */
static wick_status import(reader *r)
{
    skip(r, false);
    if (!eat(r, "common")) return bad(r, "only terminals of \"common\" can be imported");
    bool list = !eat(r, ".");
    skip(r, false);
    if (list && !eat(r, "(")) return bad(r, "expected . or ( after common");
    do {
        uint32_t id;
        skip(r, list);
        wick_str s = name(r), as = s;
        const char *pattern = wick_lark_common(s);
        if (!pattern) return bad(r, "\"common\" has no terminal of this name");
        skip(r, false);
        if (eat(r, "->")) {
            skip(r, false);
            as = name(r);
        }
        wick_re re;
        WICK_TRY(wick_pattern_compile(r->re, pattern, strlen(pattern), WICK_PATTERN_RE2, 0, "lark", &re, r->err));
        WICK_TRY(rule_number(r, as, &id));
        WICK_TRY(make(r, EX_RE, re, 0, NULL, &r->rule[id].body));
        skip(r, list);
    } while (list && eat(r, ","));
    return list && !eat(r, ")") ? bad(r, "expected )") : WICK_OK;
}

static wick_status ignore(reader *r)
{
    wick_ex *e = NULL;
    skip(r, false);
    r->in_terminal = true;
    WICK_TRY(alternatives(r, false, &e));
    r->in_terminal = false;
    e->next = r->ignored->child;
    r->ignored->child = e;
    return WICK_OK;
}

/* [lazy, max_tokens=5]: what changes the language is obeyed or refused, what does not is said. */
static wick_status attributes(reader *r, bool *lazy)
{
    if (!eat(r, "[")) return WICK_OK;
    do {
        skip(r, true);
        wick_str s = name(r);
        if (s.n == 4 && memcmp(s.p, "lazy", 4) == 0)
            *lazy = true;
        else if ((s.n == 10 && memcmp(s.p, "max_tokens", 10) == 0) ||
                 (s.n == 11 && memcmp(s.p, "temperature", 11) == 0) || (s.n == 7 && memcmp(s.p, "capture", 7) == 0))
            wick_buf_printf(r->warnings, "lark: line %zu: \"%.*s\" is ignored\n", line_of(r), (int)s.n, s.p);
        else
            return bad(r, "this attribute is not supported");
        skip(r, true);
        if (eat(r, "="))
            while (r->at < r->n && peek(r) != ',' && peek(r) != ']') r->at++;
    } while (eat(r, ","));
    return eat(r, "]") ? WICK_OK : bad(r, "expected ]");
}

static wick_status definition(reader *r)
{
    uint32_t id, priority;
    bool lazy = false;
    wick_ex *body;
    while (peek(r) == '?' || peek(r) == '!') r->at++;
    wick_str s = name(r);
    if (!s.n) return bad(r, "expected a rule, a terminal or a directive");
    WICK_TRY(rule_number(r, s, &id));
    if (peek(r) == '{') return bad(r, "templates are not supported");
    WICK_TRY(attributes(r, &lazy));
    if (eat(r, ".")) {
        eat(r, "-");
        if (!number(r, &priority)) return bad(r, "expected a priority");
    }
    skip(r, false);
    if (!eat(r, ":")) return bad(r, "expected :");
    if (r->rule[id].body) return bad(r, "a name that is defined twice");
    r->in_terminal = lazy || is_terminal_name(s);
    WICK_TRY(alternatives(r, false, &body));
    if (lazy) WICK_TRY(make(r, EX_LAZY, 0, 0, body, &body));
    if (lazy && !is_terminal_name(s)) {
        r->in_terminal = false;
        WICK_TRY(place(r, body, &body));
    }
    r->in_terminal = false;
    r->rule[id].body = body;
    skip(r, false);
    return r->at < r->n && peek(r) != '\n' ? bad(r, "expected the end of the line") : WICK_OK;
}

static wick_status statements(reader *r)
{
    for (skip(r, true); r->at < r->n; skip(r, true)) {
        if (eat(r, "%import"))
            WICK_TRY(import(r));
        else if (eat(r, "%ignore"))
            WICK_TRY(ignore(r));
        else if (eat(r, "%llguidance"))
            while (r->at < r->n && peek(r) != '\n') r->at++;
        else if (peek(r) == '%')
            return bad(r, "this directive is not supported");
        else
            WICK_TRY(definition(r));
    }
    return WICK_OK;
}

static wick_status finish(reader *r, uint32_t *top)
{
    uint32_t start;
    wick_ex *a, *b;
    WICK_TRY(rule_number(r, wick_str_of("start"), &start));
    if (!r->rule[start].body)
        return WICK_FAIL(r->err, WICK_E_BAD_PARAMETER, "lark", "lark: there is no rule \"start\"");
    for (uint32_t i = TOP + 1; i < r->n_rules; i++)
        if (!r->rule[i].body)
            return WICK_FAIL(r->err, WICK_E_BAD_PARAMETER, "lark", "lark: \"%.100s\" is not defined", r->rule[i].name);
    wick_ex *some = r->ignored;
    if (!some->child) WICK_TRY(make(r, EX_RE, WICK_RE_EPS, 0, NULL, &some));
    WICK_TRY(make(r, EX_REP, 0, WICK_RE_INF, some, &r->rule[IGNORED].body));
    WICK_TRY(make(r, EX_RULE, IGNORED, 0, NULL, &a));
    WICK_TRY(make(r, EX_RULE, start, 0, NULL, &b));
    a->next = b;
    *top = TOP;
    return make(r, EX_CAT, 0, 0, a, &r->rule[TOP].body);
}

wick_status wick_lark_compile(wick_cfg *c, wick_re_pool *re, const char *s, size_t n, wick_buf *warnings,
                              uint32_t *start, wick_err *err)
{
    wick_arena a;
    reader r = {.re = re, .a = &a, .s = s, .n = n, .warnings = warnings, .err = err};
    uint32_t id, top = 0;
    wick_arena_init(&a, 0);
    wick_map_init(&r.names);
    wick_status st = rule_number(&r, wick_str_of("%ignore"), &id);
    if (st == WICK_OK) st = rule_number(&r, wick_str_of("%top"), &id);
    if (st == WICK_OK) st = make(&r, EX_ALT, 0, 0, NULL, &r.ignored);
    if (st == WICK_OK) st = statements(&r);
    if (st == WICK_OK) st = finish(&r, &top);
    if (st == WICK_OK && !wick_re_ok(re)) st = wick_re_failed(re, err);
    if (st == WICK_OK) st = wick_cfg_init(c, re, r.rule, r.n_rules, top, "lark", start, err);
    re->bytes -= (uint64_t)r.cap_rules * sizeof *r.rule;
    wick_free(r.rule);
    wick_map_release(&r.names);
    wick_arena_release(&a);
    return st;
}
