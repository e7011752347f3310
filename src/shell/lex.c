/* shell/lex.c - the words of a shell command: quotes, expansions, here-documents.
 *
 * Apart from parse.c because a word nests: "$(cmd "$(cmd)")" comes back here from the middle of a string. The rules
 * are those of POSIX XCU 2.2, 2.3 and 2.6, with $'...', <( ) and <<< of bash. Every loop moves `i` forward or fails.
 */
#include <string.h>
#include "base/buf.h"
#include "shell/parse_impl.h"

typedef enum where { IN_WORD, IN_QUOTES, IN_BRACES, IN_QUOTED_BRACES, IN_TEXT } where;

static bool read_parts(wick_sh_parser *p, wick_sh_word *w, where in);

bool wick_sh_fail(wick_sh_parser *p, const char *what)
{
    if (!p->fail) {
        p->fail = what;
        p->fail_at = p->i;
    }
    return false;
}

static wick_sh_part *add_part(wick_sh_parser *p, wick_sh_word *w, wick_sh_part_kind kind, bool quoted)
{
    wick_sh_part *t = wick_arena_alloc(p->a, sizeof *t);
    if (!t) {
        (void)wick_sh_fail(p, "out of memory");
        return NULL;
    }
    t->kind = kind;
    t->quoted = quoted;
    if (w->last)
        w->last->next = t;
    else
        w->first = t;
    w->last = t;
    return t;
}

static bool add_text(wick_sh_parser *p, wick_sh_word *w, const char *s, size_t n, bool quoted)
{
    wick_sh_part *last = w->last;
    if (last && last->kind == WICK_SH_TEXT && last->quoted == quoted && last->text.p + last->text.n == s) {
        last->text.n += n;
        return true;
    }
    wick_sh_part *t = add_part(p, w, WICK_SH_TEXT, quoted);
    if (!t) return false;
    t->text = (wick_str){s, n};
    return true;
}

static wick_sh_word *new_word(wick_sh_parser *p)
{
    wick_sh_word *w = wick_arena_alloc(p->a, sizeof *w);
    if (!w) (void)wick_sh_fail(p, "out of memory");
    return w;
}

void wick_sh_blanks(wick_sh_parser *p)
{
    for (;;) {
        int c = wick_sh_peek(p, 0);
        if (c == ' ' || c == '\t')
            p->i++;
        else if (c == '\\' && wick_sh_peek(p, 1) == '\n')
            p->i += 2;
        else
            break;
    }
    if (wick_sh_peek(p, 0) == '#')
        while (p->i < p->n && p->s[p->i] != '\n') p->i++;
}

/* 'text' */
static bool read_single(wick_sh_parser *p, wick_sh_word *w)
{
    const char *from = p->s + p->i + 1;
    const char *end = memchr(from, '\'', p->n - p->i - 1);
    if (!end) return wick_sh_fail(p, "a ' is never closed");
    p->i = (size_t)(end - p->s) + 1;
    return add_text(p, w, from, (size_t)(end - from), true);
}

static unsigned read_number(const wick_sh_parser *p, size_t at, unsigned base, unsigned max, size_t *used)
{
    unsigned v = 0;
    *used = 0;
    while (*used < max && at + *used < p->n) {
        int c = (unsigned char)p->s[at + *used];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : 99;
        if (d >= (int)base) break;
        v = v * base + (unsigned)d;
        (*used)++;
    }
    return v;
}

/* One escape of $'...' at the backslash; appends what it means. */
static void ansi_escape(wick_sh_parser *p, wick_buf *b)
{
    static const char from[] = "abefnrtv\\'\"?E", to[] = "\a\b\033\f\n\r\t\v\\'\"?\033";
    int c = wick_sh_peek(p, 1);
    const char *at = c > 0 ? strchr(from, c) : NULL;
    size_t used = 0;
    if (at) {
        wick_buf_putc(b, to[at - from]);
        p->i += 2;
    } else if (c >= '0' && c <= '7') {
        wick_buf_putc(b, (char)read_number(p, p->i + 1, 8, 3, &used));
        p->i += 1 + used;
    } else if (c == 'x' || c == 'u' || c == 'U') {
        unsigned v = read_number(p, p->i + 2, 16, c == 'x' ? 2 : c == 'u' ? 4 : 8, &used);
        if (used && c == 'x')
            wick_buf_putc(b, (char)v);
        else if (used)
            wick_buf_utf8(b, v);
        p->i += 2 + used;
    } else {
        wick_buf_putc(b, '\\');
        p->i++;
    }
}

static bool read_ansi(wick_sh_parser *p, wick_sh_word *w)
{
    wick_buf b = WICK_BUF_INIT;
    p->i += 2;
    while (p->i < p->n && p->s[p->i] != '\'') {
        if (p->s[p->i] == '\\' && p->i + 1 < p->n)
            ansi_escape(p, &b);
        else
            wick_buf_putc(&b, p->s[p->i++]);
    }
    bool ok = p->i < p->n ? true : wick_sh_fail(p, "a $' is never closed");
    p->i += ok;
    char *copy = ok && !b.failed ? wick_arena_strndup(p->a, wick_buf_str(&b), b.n) : NULL;
    size_t n = b.n;
    wick_buf_release(&b);
    if (!ok) return false;
    return copy ? add_text(p, w, copy, n, true) : wick_sh_fail(p, "out of memory");
}

/* At "$(" or "<(" with i at the parenthesis. */
static bool read_subst(wick_sh_parser *p, wick_sh_part *t)
{
    p->i++;
    if (++p->depth > WICK_SH_MAX_DEPTH) return wick_sh_fail(p, "nested too deep");
    t->tree = wick_sh_read_list(p, ")");
    p->depth--;
    if (p->fail) return false;
    if (wick_sh_peek(p, 0) != ')') return wick_sh_fail(p, "a ( is never closed");
    p->i++;
    return true;
}

/* `...`: its text with one level of backslashes removed is parsed by itself. */
static bool read_backquote(wick_sh_parser *p, wick_sh_word *w, bool quoted)
{
    wick_sh_part *t = add_part(p, w, WICK_SH_SUBST, quoted);
    size_t j = p->i + 1;
    while (j < p->n && p->s[j] != '`') j += p->s[j] == '\\' && j + 1 < p->n ? 2 : 1;
    if (!t) return false;
    if (j >= p->n) return wick_sh_fail(p, "a ` is never closed");
    char *copy = wick_arena_alloc(p->a, j - p->i + 1);
    if (!copy) return wick_sh_fail(p, "out of memory");
    size_t n = 0;
    for (size_t k = p->i + 1; k < j; k++) {
        char next = k + 1 < j ? p->s[k + 1] : 0;
        if (p->s[k] == '\\' && (next == '`' || next == '\\' || next == '$' || (quoted && next == '"'))) k++;
        copy[n++] = p->s[k];
    }
    wick_sh_parser in = {.a = p->a, .s = copy, .n = n, .depth = p->depth + 1};
    if (in.depth > WICK_SH_MAX_DEPTH) return wick_sh_fail(p, "nested too deep");
    t->tree = wick_sh_read_list(&in, "");
    if (!in.fail && in.i < in.n) (void)wick_sh_fail(&in, "unexpected text in a command substitution");
    if (in.fail) return wick_sh_fail(p, in.fail);
    p->i = j + 1;
    return true;
}

/* Is "((" at `from` closed by "))" with parentheses balanced between? Gives the offset of the closing pair. */
static bool arith_end(const wick_sh_parser *p, size_t from, size_t *end)
{
    unsigned open = 0;
    for (size_t j = from; j < p->n; j++) {
        char c = p->s[j];
        if (c == '\\') {
            j++;
        } else if (c == '\'' || c == '"') {
            const char *q = memchr(p->s + j + 1, c, p->n - j - 1);
            if (!q) return false;
            j = (size_t)(q - p->s);
        } else if (c == '(') {
            open++;
        } else if (c == ')') {
            if (open == 0) {
                *end = j;
                return j + 1 < p->n && p->s[j + 1] == ')';
            }
            open--;
        }
    }
    return false;
}

static bool read_arith(wick_sh_parser *p, wick_sh_word *w, size_t end, bool quoted)
{
    wick_sh_part *t = add_part(p, w, WICK_SH_ARITH, quoted);
    if (!t) return false;
    wick_sh_parser in = {.a = p->a, .s = p->s, .n = end, .i = p->i + 3, .depth = p->depth + 1};
    if (in.depth > WICK_SH_MAX_DEPTH) return wick_sh_fail(p, "nested too deep");
    t->text = (wick_str){p->s + in.i, end - in.i};
    t->arg = new_word(p);
    if (!t->arg || !read_parts(&in, t->arg, IN_TEXT)) return wick_sh_fail(p, in.fail ? in.fail : "out of memory");
    p->i = end + 2;
    return true;
}

wick_sh_word *wick_sh_read_arith(wick_sh_parser *p)
{
    size_t end;
    if (!arith_end(p, p->i + 2, &end)) return NULL;
    wick_sh_word *w = new_word(p);
    if (!w) return NULL;
    w->raw = (wick_str){p->s + p->i, end + 2 - p->i};
    p->i--; /* where the $ would be */
    return read_arith(p, w, end, false) ? w : NULL;
}

static bool is_name(int c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* ${...}: i at the "$". */
static bool read_braced(wick_sh_parser *p, wick_sh_word *w, bool quoted)
{
    wick_sh_part *t = add_part(p, w, WICK_SH_PARAM, quoted);
    if (!t) return false;
    if (++p->depth > WICK_SH_MAX_DEPTH) return wick_sh_fail(p, "nested too deep");
    p->i += 2;
    size_t from = p->i;
    if ((wick_sh_peek(p, 0) == '#' || wick_sh_peek(p, 0) == '!') && wick_sh_peek(p, 1) != '}') {
        t->op = (wick_str){p->s + p->i, 1};
        p->i++;
        from = p->i;
    }
    while (is_name(wick_sh_peek(p, 0), false)) p->i++;
    if (p->i == from && p->i < p->n && strchr("@*#?-$!", p->s[p->i])) p->i++;
    t->text = (wick_str){p->s + from, p->i - from};
    if (t->text.n == 0) return wick_sh_fail(p, "bad substitution: a name is missing after ${");
    if (wick_sh_peek(p, 0) != '}') {
        from = p->i;
        t->arg = new_word(p);
        if (!t->arg || !read_parts(p, t->arg, quoted ? IN_QUOTED_BRACES : IN_BRACES)) return false;
        if (t->op.n == 0) t->op = (wick_str){p->s + from, p->i - from};
    }
    if (wick_sh_peek(p, 0) != '}') return wick_sh_fail(p, "a ${ is never closed");
    p->i++;
    p->depth--;
    return true;
}

/* At a "$"; a lone one is text. */
static bool read_dollar(wick_sh_parser *p, wick_sh_word *w, bool quoted)
{
    int c = wick_sh_peek(p, 1);
    size_t end;
    if (c == '(') {
        if (wick_sh_peek(p, 2) == '(' && arith_end(p, p->i + 3, &end)) return read_arith(p, w, end, quoted);
        wick_sh_part *t = add_part(p, w, WICK_SH_SUBST, quoted);
        p->i++;
        return t && read_subst(p, t);
    }
    if (c == '{') return read_braced(p, w, quoted);
    if (c == '\'' && !quoted) return read_ansi(p, w);
    if (c == '"' && !quoted) { /* $"...": a translated string */
        p->i++;
        return true;
    }
    size_t from = p->i + 1, len = 0;
    if (is_name(c, true))
        while (is_name(wick_sh_peek(p, 1 + len), false)) len++;
    else if (c > 0 && strchr("0123456789@*#?-$!", c))
        len = 1;
    if (len == 0) {
        p->i++;
        return add_text(p, w, p->s + p->i - 1, 1, quoted);
    }
    wick_sh_part *t = add_part(p, w, WICK_SH_PARAM, quoted);
    if (!t) return false;
    t->text = (wick_str){p->s + from, len};
    p->i = from + len;
    return true;
}

/* A backslash outside single quotes. */
static bool read_backslash(wick_sh_parser *p, wick_sh_word *w, where in)
{
    bool quoted = in == IN_QUOTES || in == IN_TEXT || in == IN_QUOTED_BRACES;
    int c = wick_sh_peek(p, 1);
    if (c < 0) {
        p->i++;
        return add_text(p, w, "\\", 1, true);
    }
    if (c == '\n') {
        p->i += 2;
        return true;
    }
    bool escapes = !quoted || strchr(in == IN_TEXT ? "$`\\" : "$`\"\\", c) || (in == IN_QUOTED_BRACES && c == '}');
    p->i += 2;
    return escapes ? add_text(p, w, p->s + p->i - 1, 1, true) : add_text(p, w, p->s + p->i - 2, 2, true);
}

/* Parts until what ends `in`: a metacharacter, the closing quote, the closing brace, the end of the text. */
static bool read_parts(wick_sh_parser *p, wick_sh_word *w, where in)
{
    bool quoted = in == IN_QUOTES || in == IN_TEXT || in == IN_QUOTED_BRACES;
    while (p->i < p->n) {
        int c = (unsigned char)p->s[p->i];
        bool ok = true;
        if (in == IN_WORD && (c == '<' || c == '>') && wick_sh_peek(p, 1) == '(') {
            wick_sh_part *t = add_part(p, w, WICK_SH_PROCESS, false);
            if (t) t->op = (wick_str){p->s + p->i, 1};
            p->i++;
            ok = t && read_subst(p, t);
        } else if (in == IN_WORD && wick_sh_meta(c)) {
            return true;
        } else if ((in == IN_QUOTES && c == '"') || ((in == IN_BRACES || in == IN_QUOTED_BRACES) && c == '}')) {
            return true;
        } else if (c == '\\') {
            ok = read_backslash(p, w, in);
        } else if (c == '\'' && !quoted) {
            ok = read_single(p, w);
        } else if (c == '"' && in != IN_TEXT) {
            p->i++;
            if (++p->depth > WICK_SH_MAX_DEPTH) return wick_sh_fail(p, "nested too deep");
            if (wick_sh_peek(p, 0) == '"') ok = add_text(p, w, "", 0, true);
            ok = ok && read_parts(p, w, IN_QUOTES);
            p->depth--;
            if (ok && wick_sh_peek(p, 0) != '"') return wick_sh_fail(p, "a \" is never closed");
            p->i++;
        } else if (c == '$') {
            ok = read_dollar(p, w, quoted);
        } else if (c == '`') {
            ok = read_backquote(p, w, quoted);
        } else {
            ok = add_text(p, w, p->s + p->i, 1, quoted);
            p->i++;
        }
        if (!ok || p->fail) return false;
    }
    return true;
}

wick_sh_word *wick_sh_read_word(wick_sh_parser *p)
{
    wick_sh_word *w = new_word(p);
    size_t from = p->i;
    if (!w || !read_parts(p, w, IN_WORD)) return NULL;
    w->raw = (wick_str){p->s + from, p->i - from};
    return w;
}

/* The body of one here-document from i on: up to a line that is the delimiter, or the end of the text. */
static bool read_body(wick_sh_parser *p, const wick_sh_pending *h)
{
    size_t from = p->i, end = p->n;
    while (p->i < p->n) {
        size_t line = p->i;
        const char *nl = memchr(p->s + p->i, '\n', p->n - p->i);
        size_t stop = nl ? (size_t)(nl - p->s) : p->n;
        p->i = nl ? stop + 1 : p->n;
        while (h->strip && line < stop && p->s[line] == '\t') line++;
        if (stop - line == h->delim.n && (h->delim.n == 0 || memcmp(p->s + line, h->delim.p, h->delim.n) == 0)) {
            end = line;
            break;
        }
    }
    wick_sh_word *w = new_word(p);
    if (!w) return false;
    w->raw = (wick_str){p->s + from, end > from ? end - from : 0};
    h->redir->body = w;
    if (h->redir->raw_body) return add_text(p, w, w->raw.p, w->raw.n, true);
    wick_sh_parser in = {.a = p->a, .s = p->s, .n = from + w->raw.n, .i = from, .depth = p->depth + 1};
    if (in.depth > WICK_SH_MAX_DEPTH) return wick_sh_fail(p, "nested too deep");
    return read_parts(&in, w, IN_TEXT) ? true : wick_sh_fail(p, in.fail ? in.fail : "out of memory");
}

bool wick_sh_newline(wick_sh_parser *p)
{
    p->i++;
    while (p->pending) {
        wick_sh_pending *h = p->pending;
        p->pending = h->next;
        if (!p->pending) p->last_pending = NULL;
        if (!read_body(p, h)) return false;
    }
    return true;
}
