/* grammar/gbnf.c - GBNF, as llama.cpp writes grammars: name ::= "text" [class] . name ( ) | * + ? {m,n}; # begins a
 * comment. */
#include "grammar/cfg.h"
#include "grammar/pattern.h"
#include "base/map.h"

enum { MAX_RULES = 20000, MAX_NEST = 200 };

typedef struct reader {
    wick_re_pool *re;
    wick_arena *a;
    const char *s;
    size_t n, at;
    wick_ex_rule *rule;
    uint32_t n_rules, cap_rules, depth;
    wick_map names;
    wick_err *err;
} reader;

static wick_status bad(const reader *r, const char *why)
{
    size_t line = 1;
    for (size_t i = 0; i < r->at && i < r->n; i++) line += r->s[i] == '\n';
    return WICK_FAIL(r->err, WICK_E_BAD_PARAMETER, "gbnf", "gbnf: line %zu: %s", line, why);
}

static wick_status oom(const reader *r)
{
    return wick_err_oom(r->err, "the grammar", 0, 0);
}

static char peek(const reader *r)
{
    return r->at < r->n ? r->s[r->at] : 0;
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* White space and comments; line ends only where `lines`. */
static void skip(reader *r, bool lines)
{
    for (; r->at < r->n; r->at++) {
        char c = r->s[r->at];
        if (c == '#') {
            while (r->at < r->n && r->s[r->at] != '\n' && r->s[r->at] != '\r') r->at++;
            if (r->at == r->n) return;
            c = r->s[r->at];
        }
        if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r'))) return;
    }
}

static wick_status rule_number(reader *r, const char *p, size_t n, uint32_t *out)
{
    uint32_t id = wick_map_get(&r->names, (wick_str){p, n});
    if (id != WICK_MAP_NONE) {
        *out = id;
        return WICK_OK;
    }
    if (r->n_rules == MAX_RULES) return bad(r, "more than 20,000 rules");
    if (!wick_re_room(r->re, (void **)&r->rule, &r->cap_rules, (uint64_t)r->n_rules + 1, sizeof *r->rule))
        return oom(r);
    const char *name = wick_arena_strndup(r->a, p, n);
    if (!name || wick_map_add(&r->names, (wick_str){name, n}, r->n_rules) == WICK_MAP_NONE) return oom(r);
    r->rule[r->n_rules] = (wick_ex_rule){.name = name};
    *out = r->n_rules++;
    return WICK_OK;
}

static bool hex(reader *r, int digits, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, r->at++) {
        char c = peek(r);
        uint32_t d = c >= '0' && c <= '9'                     ? (uint32_t)(c - '0')
                     : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (uint32_t)((c | 0x20) - 'a' + 10)
                                                              : 16;
        if (d == 16) return false;
        *out = *out << 4 | d;
    }
    return true;
}

/* One character of a literal or a class. */
static wick_status character(reader *r, uint32_t *out)
{
    if (r->at >= r->n) return bad(r, "ends inside a text or a class");
    if (peek(r) != '\\') {
        r->at += wick_utf8_next(r->s + r->at, r->n - r->at, out);
        return *out == UINT32_MAX ? bad(r, "invalid UTF-8") : WICK_OK;
    }
    r->at++;
    char c = peek(r);
    r->at++;
    bool ok = true;
    switch (c) {
    case 'x': ok = hex(r, 2, out); break;
    case 'u': ok = hex(r, 4, out); break;
    case 'U': ok = hex(r, 8, out); break;
    case 't': *out = '\t'; break;
    case 'r': *out = '\r'; break;
    case 'n': *out = '\n'; break;
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
    case '^':
    case '/': *out = (uint8_t)c; break;
    default: ok = false; break;
    }
    return ok && *out <= 0x10FFFF ? WICK_OK : bad(r, "unknown escape");
}

static wick_status literal(reader *r, wick_re *out)
{
    uint32_t cp;
    wick_buf b = WICK_BUF_INIT;
    wick_status st = WICK_OK;
    r->at++;
    while (st == WICK_OK && peek(r) != '"') {
        st = character(r, &cp);
        if (st == WICK_OK) wick_buf_utf8(&b, cp);
    }
    r->at++;
    if (st == WICK_OK && b.failed) st = oom(r);
    if (st == WICK_OK) *out = wick_re_lit(r->re, b.data ? b.data : "", b.n);
    wick_buf_release(&b);
    return st;
}

static wick_status class(reader *r, wick_re *out)
{
    wick_cps c = {0};
    wick_status st = WICK_OK;
    r->at++;
    bool invert = peek(r) == '^';
    r->at += invert;
    while (st == WICK_OK && peek(r) != ']') {
        uint32_t lo, hi;
        st = character(r, &lo);
        hi = lo;
        if (st == WICK_OK && peek(r) == '-' && r->at + 1 < r->n && r->s[r->at + 1] != ']') {
            r->at++;
            st = character(r, &hi);
        }
        if (st == WICK_OK && hi < lo) st = bad(r, "a range that ends before it begins");
        if (st == WICK_OK) wick_cps_add(&c, lo, hi);
    }
    r->at++;
    if (invert)
        wick_cps_invert(&c);
    else
        wick_cps_tidy(&c);
    if (st == WICK_OK && c.failed) st = oom(r);
    if (st == WICK_OK) *out = wick_re_chars(r->re, c.v, c.n);
    wick_cps_release(&c);
    return st;
}

static wick_status alternatives(reader *r, bool nested, wick_ex **out);

static wick_status atom(reader *r, bool nested, wick_ex **out)
{
    char c = peek(r);
    wick_re re = WICK_RE_NONE;
    uint32_t id;
    *out = NULL;
    if (c == '"') {
        WICK_TRY(literal(r, &re));
    } else if (c == '[') {
        WICK_TRY(class(r, &re));
    } else if (c == '.') {
        r->at++;
        re = wick_re_any_char(r->re);
    } else if (c == '(') {
        r->at++;
        skip(r, true);
        WICK_TRY(alternatives(r, true, out));
        if (peek(r) != ')') return bad(r, "expected )");
        r->at++;
        return WICK_OK;
    } else if (name_char(c)) {
        size_t from = r->at;
        while (name_char(peek(r))) r->at++;
        WICK_TRY(rule_number(r, r->s + from, r->at - from, &id));
        *out = wick_ex_new(r->a, EX_RULE, id, 0, NULL);
        return *out ? WICK_OK : oom(r);
    } else if (c == '<' || c == '!') {
        return bad(r, "references to tokens are not supported: a grammar is about text here");
    } else {
        return WICK_OK; /* no atom: the sequence ends */
    }
    (void)nested;
    if (!wick_re_ok(r->re)) return wick_re_failed(r->re, r->err);
    *out = wick_ex_new(r->a, EX_RE, re, 0, NULL);
    return *out ? WICK_OK : oom(r);
}

static bool number(reader *r, uint32_t *out)
{
    uint64_t x = 0;
    size_t from = r->at;
    for (; peek(r) >= '0' && peek(r) <= '9' && x < UINT32_MAX; r->at++) x = x * 10 + (uint64_t)(peek(r) - '0');
    *out = x > WICK_RE_INF - 1 ? WICK_RE_INF - 1 : (uint32_t)x;
    return r->at > from;
}

static wick_status repeat(reader *r, bool nested, wick_ex **e)
{
    for (int times = 0;; times++) {
        uint32_t lo = 0, hi = WICK_RE_INF;
        char c = peek(r);
        if (c == '+')
            lo = 1;
        else if (c == '?')
            hi = 1;
        else if (c != '*' && c != '{')
            return WICK_OK;
        r->at++;
        if (c == '{') {
            skip(r, nested);
            if (!number(r, &lo)) return bad(r, "expected a number after {");
            hi = lo;
            skip(r, nested);
            if (peek(r) == ',') {
                r->at++;
                skip(r, nested);
                if (!number(r, &hi)) hi = WICK_RE_INF;
                skip(r, nested);
            }
            if (peek(r) != '}') return bad(r, "expected }");
            r->at++;
            if (lo > hi) return bad(r, "a repeat whose maximum is below its minimum");
        }
        if (times > 8) return bad(r, "a repeat of a repeat of a repeat");
        *e = wick_ex_new(r->a, EX_REP, lo, hi, *e);
        if (!*e) return oom(r);
        skip(r, nested);
    }
}

static wick_status sequence(reader *r, bool nested, wick_ex **out)
{
    *out = wick_ex_new(r->a, EX_CAT, 0, 0, NULL);
    if (!*out) return oom(r);
    for (wick_ex **end = &(*out)->child;; end = &(*end)->next) {
        wick_ex *e;
        WICK_TRY(atom(r, nested, &e));
        if (!e) break;
        skip(r, nested);
        WICK_TRY(repeat(r, nested, &e));
        *end = e;
    }
    return WICK_OK;
}

static wick_status alternatives(reader *r, bool nested, wick_ex **out)
{
    if (++r->depth > MAX_NEST) return bad(r, "nested too deeply");
    *out = wick_ex_new(r->a, EX_ALT, 0, 0, NULL);
    if (!*out) return oom(r);
    wick_ex **end = &(*out)->child;
    for (;;) {
        WICK_TRY(sequence(r, nested, end));
        end = &(*end)->next;
        if (peek(r) != '|') break;
        r->at++;
        skip(r, true);
    }
    r->depth--;
    return WICK_OK;
}

static wick_status read_rules(reader *r)
{
    for (skip(r, true); r->at < r->n; skip(r, true)) {
        size_t from = r->at;
        uint32_t id;
        wick_ex *body;
        while (name_char(peek(r))) r->at++;
        if (r->at == from) return bad(r, "expected a rule's name");
        WICK_TRY(rule_number(r, r->s + from, r->at - from, &id));
        skip(r, false);
        if (r->n - r->at < 3 || memcmp(r->s + r->at, "::=", 3) != 0) return bad(r, "expected ::=");
        r->at += 3;
        skip(r, true);
        WICK_TRY(alternatives(r, false, &body));
        if (r->at < r->n && peek(r) != '\n' && peek(r) != '\r') return bad(r, "expected the end of the rule");
        if (r->rule[id].body) return bad(r, "a rule that is defined twice");
        r->rule[id].body = body;
    }
    return WICK_OK;
}

wick_status wick_gbnf_compile(wick_cfg *c, wick_re_pool *re, const char *s, size_t n, uint32_t *start, wick_err *err)
{
    wick_arena a;
    reader r = {.re = re, .a = &a, .s = s, .n = n, .err = err};
    wick_arena_init(&a, 0);
    wick_map_init(&r.names);
    wick_status st = read_rules(&r);
    for (uint32_t i = 0; st == WICK_OK && i < r.n_rules; i++)
        if (!r.rule[i].body)
            st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "gbnf", "gbnf: rule \"%.100s\" is not defined", r.rule[i].name);
    uint32_t root = wick_map_get(&r.names, wick_str_of("root"));
    if (st == WICK_OK && root == WICK_MAP_NONE)
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "gbnf", "gbnf: there is no rule \"root\"");
    if (st == WICK_OK && !wick_re_ok(re)) st = wick_re_failed(re, err);
    if (st == WICK_OK) st = wick_cfg_init(c, re, r.rule, r.n_rules, root, "gbnf", start, err);
    re->bytes -= (uint64_t)r.cap_rules * sizeof *r.rule;
    wick_free(r.rule);
    wick_map_release(&r.names);
    wick_arena_release(&a);
    return st;
}
