/* shell/parse.c - the commands of a shell text: lists, pipelines, compound commands, functions, redirections.
 *
 * Recursive descent over the bytes; lex.c reads the words. A word that is reserved ends a list only where the list's
 * owner said so (`stop`), and is an error elsewhere, as in a shell.
 */
#include <string.h>
#include "shell/parse_impl.h"

enum {
    STOP_PAREN = 1,
    STOP_BRACE = 2,
    STOP_THEN = 4,
    STOP_ELSE = 8, /* elif, else, fi */
    STOP_DO = 16,
    STOP_DONE = 32,
    STOP_CASE = 64 /* ;; and esac */
};

static const struct {
    const char *word;
    int stop;
} closing[] = {{"}", STOP_BRACE}, {"then", STOP_THEN}, {"elif", STOP_ELSE}, {"else", STOP_ELSE},
               {"fi", STOP_ELSE}, {"do", STOP_DO},     {"done", STOP_DONE}, {"esac", STOP_CASE}};

static bool read_list(wick_sh_parser *p, int stop, bool may_be_empty, wick_sh_node **out);
static wick_sh_node *read_command(wick_sh_parser *p);

static wick_sh_node *new_node(wick_sh_parser *p, wick_sh_kind kind)
{
    wick_sh_node *c = wick_arena_alloc(p->a, sizeof *c);
    if (!c) {
        (void)wick_sh_fail(p, "out of memory");
        return NULL;
    }
    c->kind = kind;
    c->raw.p = p->s + p->i;
    return c;
}

static void end_node(const wick_sh_parser *p, wick_sh_node *c)
{
    const char *end = p->s + (p->i < p->n ? p->i : p->n); /* past the end only after an error */
    while (end > c->raw.p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n')) end--;
    c->raw.n = (size_t)(end - c->raw.p);
}

static void add_kid(wick_sh_node *c, wick_sh_node *kid)
{
    if (!kid) return;
    if (c->last_kid)
        c->last_kid->next = kid;
    else
        c->kid = kid;
    c->last_kid = kid;
}

static void add_word(wick_sh_word **first, wick_sh_word **last, wick_sh_word *w)
{
    if (*last)
        (*last)->next = w;
    else
        *first = w;
    *last = w;
}

/* The bytes up to the next metacharacter, for the comparison with reserved words (a quote in them makes it none). */
static wick_str ahead(const wick_sh_parser *p)
{
    size_t j = p->i;
    while (j < p->n && !wick_sh_meta((unsigned char)p->s[j])) j++;
    return (wick_str){p->s + p->i, j - p->i};
}

static bool at_word(const wick_sh_parser *p, const char *word)
{
    return wick_str_eq(ahead(p), wick_str_of(word));
}

static bool expect(wick_sh_parser *p, const char *word, const char *message)
{
    if (!at_word(p, word)) return wick_sh_fail(p, message);
    p->i += strlen(word);
    return true;
}

static bool skip_newlines(wick_sh_parser *p)
{
    for (;;) {
        wick_sh_blanks(p);
        if (wick_sh_peek(p, 0) != '\n') return true;
        if (!wick_sh_newline(p)) return false;
    }
}

/* ---- redirections -------------------------------------------------------------------------------------------- */

static size_t redir_op(const wick_sh_parser *p)
{
    static const char *const ops[] = {"&>>", "<<-", "<<<", "&>", "<<", ">>", "<&", ">&", "<>", ">|", "<", ">"};
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
        size_t n = strlen(ops[k]);
        if (p->n - p->i >= n && memcmp(p->s + p->i, ops[k], n) == 0) return n;
    }
    return 0;
}

/* At "2>file" and the like? Leaves i at the operator and gives the descriptor. */
static bool at_redir(wick_sh_parser *p, int *fd)
{
    size_t j = p->i, from = p->i;
    *fd = -1;
    if (wick_sh_peek(p, 0) == '{') { /* {name}>file of bash */
        while (j < p->n && p->s[j] != '}' && !wick_sh_meta((unsigned char)p->s[j])) j++;
        if (j < p->n && p->s[j] == '}' && j + 1 < p->n && (p->s[j + 1] == '<' || p->s[j + 1] == '>')) p->i = j + 1;
    } else {
        while (j < p->n && p->s[j] >= '0' && p->s[j] <= '9' && j - p->i < 9) j++;
        if (j > p->i && j < p->n && (p->s[j] == '<' || p->s[j] == '>')) {
            *fd = 0;
            for (size_t k = p->i; k < j; k++) *fd = *fd * 10 + (p->s[k] - '0');
            p->i = j;
        }
    }
    bool process = p->i == from && wick_sh_peek(p, 1) == '(';
    return redir_op(p) > 0 && !process;
}

/* The delimiter's text with the quotes removed, as they are in the source. */
static bool delimiter(wick_sh_parser *p, wick_sh_word *w, wick_str *out, bool *quoted)
{
    char *d = wick_arena_alloc(p->a, w->raw.n + 1);
    size_t n = 0;
    if (!d) return wick_sh_fail(p, "out of memory");
    *quoted = memchr(w->raw.p, '\'', w->raw.n) || memchr(w->raw.p, '"', w->raw.n) || memchr(w->raw.p, '\\', w->raw.n);
    for (const wick_sh_part *t = w->first; t; t = t->next) {
        if (t->kind != WICK_SH_TEXT) {
            memcpy(d, w->raw.p, n = w->raw.n);
            break;
        }
        memcpy(d + n, t->text.p, t->text.n);
        n += t->text.n;
    }
    *out = (wick_str){d, n};
    return true;
}

static bool read_redir(wick_sh_parser *p, wick_sh_node *c, int fd)
{
    wick_sh_redir *r = wick_arena_alloc(p->a, sizeof *r);
    if (!r) return wick_sh_fail(p, "out of memory");
    r->op = (wick_str){p->s + p->i, redir_op(p)};
    r->fd = fd;
    p->i += r->op.n;
    while (wick_sh_peek(p, 0) == ' ' || wick_sh_peek(p, 0) == '\t') p->i++;
    bool process = (wick_sh_peek(p, 0) == '<' || wick_sh_peek(p, 0) == '>') && wick_sh_peek(p, 1) == '(';
    if (wick_sh_meta(wick_sh_peek(p, 0)) && !process) return wick_sh_fail(p, "a file name is missing after < or >");
    r->target = wick_sh_read_word(p);
    if (!r->target) return false;
    if (c->last_redir)
        c->last_redir->next = r;
    else
        c->redir = r;
    c->last_redir = r;
    if (r->op.n >= 2 && r->op.p[0] == '<' && r->op.p[1] == '<' && (r->op.n == 2 || r->op.p[2] == '-')) {
        wick_sh_pending *h = wick_arena_alloc(p->a, sizeof *h);
        if (!h) return wick_sh_fail(p, "out of memory");
        h->redir = r;
        h->strip = r->op.n == 3;
        if (!delimiter(p, r->target, &h->delim, &r->raw_body)) return false;
        if (p->last_pending)
            p->last_pending->next = h;
        else
            p->pending = h;
        p->last_pending = h;
    }
    return true;
}

static bool read_redirs(wick_sh_parser *p, wick_sh_node *c)
{
    int fd;
    for (;;) {
        wick_sh_blanks(p);
        size_t at = p->i;
        if (!at_redir(p, &fd)) {
            p->i = at;
            return true;
        }
        if (!read_redir(p, c, fd)) return false;
    }
}

/* ---- simple commands ----------------------------------------------------------------------------------------- */

/* Bytes of `NAME=`, `NAME+=` or `NAME[...]=` at the start of a word; 0 if it is no assignment. */
static size_t assignment(wick_str w)
{
    size_t k = 0;
    while (k < w.n && ((w.p[k] >= 'a' && w.p[k] <= 'z') || (w.p[k] >= 'A' && w.p[k] <= 'Z') || w.p[k] == '_' ||
                       (k && w.p[k] >= '0' && w.p[k] <= '9')))
        k++;
    if (k == 0) return 0;
    if (k < w.n && w.p[k] == '[') {
        const char *close = memchr(w.p + k, ']', w.n - k);
        if (!close) return 0;
        k = (size_t)(close - w.p) + 1;
    }
    if (k < w.n && w.p[k] == '+') k++;
    return k < w.n && w.p[k] == '=' ? k + 1 : 0;
}

/* NAME=( words ): the words become parts of the assignment, so that substitutions in them are seen. */
static bool read_array(wick_sh_parser *p, wick_sh_node *c)
{
    p->i++;
    for (;;) {
        if (!skip_newlines(p)) return false;
        int ch = wick_sh_peek(p, 0);
        if (ch == ')') {
            p->i++;
            return true;
        }
        if (wick_sh_meta(ch) && !((ch == '<' || ch == '>') && wick_sh_peek(p, 1) == '('))
            return wick_sh_fail(p, "an array's ( is never closed");
        wick_sh_word *w = wick_sh_read_word(p);
        if (!w) return false;
        add_word(&c->assign, &c->last_assign, w);
    }
}

static bool takes_arrays(const wick_sh_node *c)
{
    static const char *const names[] = {"declare", "local", "typeset", "export", "readonly"};
    for (size_t k = 0; c->word && k < sizeof names / sizeof *names; k++)
        if (wick_str_eq(c->word->raw, wick_str_of(names[k]))) return true;
    return false;
}

static wick_sh_node *read_function(wick_sh_parser *p, wick_sh_node *c)
{
    c->kind = WICK_SH_FUNCTION;
    if (!skip_newlines(p)) return NULL;
    int ch = wick_sh_peek(p, 0);
    bool compound = ch == '(' || at_word(p, "{") || at_word(p, "if") || at_word(p, "while") || at_word(p, "until") ||
                    at_word(p, "for") || at_word(p, "case") || at_word(p, "[[") || at_word(p, "select");
    if (!compound) {
        (void)wick_sh_fail(p, "a function's body must be a compound command");
        return NULL;
    }
    add_kid(c, read_command(p));
    end_node(p, c);
    return p->fail ? NULL : c;
}

static wick_sh_node *read_simple(wick_sh_parser *p)
{
    wick_sh_node *c = new_node(p, WICK_SH_SIMPLE);
    int fd;
    if (!c) return NULL;
    for (;;) {
        wick_sh_blanks(p);
        size_t at = p->i;
        int ch = wick_sh_peek(p, 0);
        if (at_redir(p, &fd)) {
            if (!read_redir(p, c, fd)) return NULL;
            continue;
        }
        p->i = at;
        bool process = (ch == '<' || ch == '>') && wick_sh_peek(p, 1) == '(';
        if (ch == '(' && c->word && !c->word->next && !c->redir && !c->assign) {
            p->i++;
            wick_sh_blanks(p);
            if (wick_sh_peek(p, 0) != ')') {
                (void)wick_sh_fail(p, "unexpected (");
                return NULL;
            }
            p->i++;
            return read_function(p, c);
        }
        if (wick_sh_meta(ch) && !process) break;
        wick_sh_word *w = wick_sh_read_word(p);
        if (!w) return NULL;
        size_t eq = assignment(w->raw);
        bool array = eq && eq == w->raw.n && wick_sh_peek(p, 0) == '(' && (!c->word || takes_arrays(c));
        if (eq && !c->word)
            add_word(&c->assign, &c->last_assign, w);
        else
            add_word(&c->word, &c->last_word, w);
        if (array && !read_array(p, c)) return NULL;
    }
    if (!c->word && !c->assign && !c->redir) {
        (void)wick_sh_fail(p, wick_sh_peek(p, 0) < 0 ? "a command is missing at the end" : "a command is missing");
        return NULL;
    }
    if (wick_sh_peek(p, 0) == '(') {
        (void)wick_sh_fail(p, "unexpected (");
        return NULL;
    }
    end_node(p, c);
    return c;
}

/* ---- compound commands --------------------------------------------------------------------------------------- */

static bool add_list(wick_sh_parser *p, wick_sh_node *c, int stop, bool may_be_empty)
{
    wick_sh_node *l = NULL;
    if (!read_list(p, stop, may_be_empty, &l)) return false;
    add_kid(c, l);
    return true;
}

static bool read_if(wick_sh_parser *p, wick_sh_node *c)
{
    p->i += 2;
    for (;;) {
        if (!add_list(p, c, STOP_THEN, false) || !expect(p, "then", "then is missing")) return false;
        if (!add_list(p, c, STOP_ELSE, false)) return false;
        if (at_word(p, "fi")) break;
        bool elif = at_word(p, "elif");
        p->i += 4; /* elif, else */
        if (elif) continue;
        if (!add_list(p, c, STOP_ELSE, false)) return false;
        break;
    }
    return expect(p, "fi", "fi is missing");
}

static bool read_do(wick_sh_parser *p, wick_sh_node *c)
{
    return expect(p, "do", "do is missing") && add_list(p, c, STOP_DONE, false) && expect(p, "done", "done is missing");
}

static bool read_for(wick_sh_parser *p, wick_sh_node *c)
{
    p->i += ahead(p).n; /* for, select */
    wick_sh_blanks(p);
    if (wick_sh_peek(p, 0) == '(' && wick_sh_peek(p, 1) == '(') {
        wick_sh_word *w = wick_sh_read_arith(p);
        if (!w) return wick_sh_fail(p, "for ((: not closed");
        add_word(&c->word, &c->last_word, w);
        wick_sh_blanks(p);
        if (wick_sh_peek(p, 0) == ';') p->i++;
        return skip_newlines(p) && read_do(p, c);
    }
    if (wick_sh_meta(wick_sh_peek(p, 0))) return wick_sh_fail(p, "for: a name is missing");
    wick_sh_word *name = wick_sh_read_word(p);
    if (!name) return false;
    if (assignment((wick_str){name->raw.p, name->raw.n}) || !name->first || name->first->kind != WICK_SH_TEXT)
        return wick_sh_fail(p, "for: not a name");
    add_word(&c->word, &c->last_word, name);
    if (!skip_newlines(p)) return false;
    if (at_word(p, "in")) {
        p->i += 2;
        for (;;) {
            wick_sh_blanks(p);
            int ch = wick_sh_peek(p, 0);
            if (wick_sh_meta(ch) && !((ch == '<' || ch == '>') && wick_sh_peek(p, 1) == '(')) break;
            wick_sh_word *w = wick_sh_read_word(p);
            if (!w) return false;
            add_word(&c->word, &c->last_word, w);
        }
        if (wick_sh_peek(p, 0) != ';' && wick_sh_peek(p, 0) != '\n') return wick_sh_fail(p, "for: ; or do is missing");
    }
    if (wick_sh_peek(p, 0) == ';') p->i++;
    return skip_newlines(p) && read_do(p, c);
}

static bool read_pattern(wick_sh_parser *p)
{
    wick_sh_blanks(p);
    if (wick_sh_peek(p, 0) == '(') p->i++;
    for (;;) {
        wick_sh_blanks(p);
        if (wick_sh_meta(wick_sh_peek(p, 0))) return wick_sh_fail(p, "case: a pattern is missing");
        if (!wick_sh_read_word(p)) return false;
        wick_sh_blanks(p);
        if (wick_sh_peek(p, 0) != '|') break;
        p->i++;
    }
    if (wick_sh_peek(p, 0) != ')') return wick_sh_fail(p, "case: ) is missing after the pattern");
    p->i++;
    return true;
}

static bool read_case(wick_sh_parser *p, wick_sh_node *c)
{
    p->i += 4;
    wick_sh_blanks(p);
    if (wick_sh_meta(wick_sh_peek(p, 0))) return wick_sh_fail(p, "case: a word is missing");
    wick_sh_word *w = wick_sh_read_word(p);
    if (!w) return false;
    add_word(&c->word, &c->last_word, w);
    if (!skip_newlines(p) || !expect(p, "in", "case: in is missing")) return false;
    for (;;) {
        if (!skip_newlines(p)) return false;
        if (at_word(p, "esac")) break;
        if (!read_pattern(p) || !add_list(p, c, STOP_CASE, true)) return false;
        if (wick_sh_peek(p, 0) == ';' && wick_sh_peek(p, 1) == ';')
            p->i += wick_sh_peek(p, 2) == '&' ? 3 : 2;
        else if (wick_sh_peek(p, 0) == ';' && wick_sh_peek(p, 1) == '&')
            p->i += 2;
        else if (!at_word(p, "esac"))
            return wick_sh_fail(p, "case: ;; or esac is missing");
    }
    p->i += 4;
    return true;
}

static bool read_test(wick_sh_parser *p, wick_sh_node *c)
{
    unsigned words = 0;
    p->i += 2;
    for (;; words++) {
        if (!skip_newlines(p)) return false;
        int ch = wick_sh_peek(p, 0);
        if (ch < 0) return wick_sh_fail(p, "]] is missing");
        if (at_word(p, "]]")) break;
        if (wick_sh_meta(ch) && !((ch == '<' || ch == '>') && wick_sh_peek(p, 1) == '(')) {
            p->i++;
            continue;
        }
        wick_sh_word *w = wick_sh_read_word(p);
        if (!w) return false;
        add_word(&c->word, &c->last_word, w);
    }
    if (words == 0) return wick_sh_fail(p, "[[ ]] is empty");
    p->i += 2;
    return true;
}

static bool read_group(wick_sh_parser *p, wick_sh_node *c)
{
    bool paren = wick_sh_peek(p, 0) == '(';
    p->i++;
    if (!add_list(p, c, paren ? STOP_PAREN : STOP_BRACE, false)) return false;
    if (wick_sh_peek(p, 0) != (paren ? ')' : '}')) return wick_sh_fail(p, paren ? ") is missing" : "} is missing");
    p->i++;
    return true;
}

static bool read_arith_command(wick_sh_parser *p, wick_sh_node *c, bool *was)
{
    wick_sh_word *w = wick_sh_read_arith(p);
    *was = w != NULL;
    if (!w) return !p->fail;
    add_word(&c->word, &c->last_word, w);
    return true;
}

static wick_sh_node *read_keyword_function(wick_sh_parser *p)
{
    wick_sh_node *c = new_node(p, WICK_SH_FUNCTION);
    p->i += 8;
    wick_sh_blanks(p);
    if (!c || wick_sh_meta(wick_sh_peek(p, 0))) {
        (void)wick_sh_fail(p, "function: a name is missing");
        return NULL;
    }
    wick_sh_word *w = wick_sh_read_word(p);
    if (!w) return NULL;
    add_word(&c->word, &c->last_word, w);
    wick_sh_blanks(p);
    if (wick_sh_peek(p, 0) == '(') {
        p->i++;
        wick_sh_blanks(p);
        if (wick_sh_peek(p, 0) != ')') {
            (void)wick_sh_fail(p, "function: ) is missing");
            return NULL;
        }
        p->i++;
    }
    return read_function(p, c);
}

static wick_sh_node *read_compound(wick_sh_parser *p, wick_sh_kind kind, bool (*read)(wick_sh_parser *, wick_sh_node *))
{
    wick_sh_node *c = new_node(p, kind);
    if (!c) return NULL;
    if (++p->depth > WICK_SH_MAX_DEPTH) {
        (void)wick_sh_fail(p, "nested too deep");
        return NULL;
    }
    bool ok = read(p, c) && read_redirs(p, c);
    p->depth--;
    if (!ok) return NULL;
    end_node(p, c);
    wick_sh_blanks(p);
    if (!wick_sh_meta(wick_sh_peek(p, 0)) && wick_sh_peek(p, 0) != '}' && kind != WICK_SH_TEST) {
        bool closes = false;
        for (size_t k = 0; k < sizeof closing / sizeof *closing; k++) closes |= at_word(p, closing[k].word);
        if (!closes) {
            (void)wick_sh_fail(p, "unexpected word after a compound command");
            return NULL;
        }
    }
    return c;
}

static bool read_while(wick_sh_parser *p, wick_sh_node *c)
{
    p->i += 5; /* while, until */
    return add_list(p, c, STOP_DO, false) && read_do(p, c);
}

static wick_sh_node *read_command(wick_sh_parser *p)
{
    wick_str w = ahead(p);
    if (wick_sh_peek(p, 0) == '(') {
        if (wick_sh_peek(p, 1) == '(') {
            bool was = false;
            wick_sh_node *c = new_node(p, WICK_SH_TEST);
            if (!c || !read_arith_command(p, c, &was)) return NULL;
            if (was) {
                if (!read_redirs(p, c)) return NULL;
                end_node(p, c);
                return c;
            }
        }
        return read_compound(p, WICK_SH_SUBSHELL, read_group);
    }
    static const struct {
        const char *word;
        wick_sh_kind kind;
        bool (*read)(wick_sh_parser *, wick_sh_node *);
    } compound[] = {{"{", WICK_SH_LIST, read_group},     {"if", WICK_SH_IF, read_if},
                    {"while", WICK_SH_LOOP, read_while}, {"until", WICK_SH_LOOP, read_while},
                    {"for", WICK_SH_FOR, read_for},      {"select", WICK_SH_FOR, read_for},
                    {"case", WICK_SH_CASE, read_case},   {"[[", WICK_SH_TEST, read_test}};
    for (size_t k = 0; k < sizeof compound / sizeof *compound; k++)
        if (wick_str_eq(w, wick_str_of(compound[k].word))) return read_compound(p, compound[k].kind, compound[k].read);
    if (wick_str_eq(w, wick_str_of("function"))) return read_keyword_function(p);
    for (size_t k = 0; k <= sizeof closing / sizeof *closing; k++)
        if (wick_str_eq(w, wick_str_of(k < sizeof closing / sizeof *closing ? closing[k].word : "in"))) {
            (void)wick_sh_fail(p, "unexpected reserved word");
            return NULL;
        }
    return read_simple(p);
}

/* ---- lists --------------------------------------------------------------------------------------------------- */

static bool pass_prefixes(wick_sh_parser *p, bool *negated)
{
    for (;;) {
        wick_sh_blanks(p);
        if (at_word(p, "!")) {
            *negated = !*negated;
            p->i++;
        } else if (at_word(p, "time")) {
            p->i += 4;
            wick_sh_blanks(p);
            if (at_word(p, "-p")) p->i += 2;
        } else {
            return true;
        }
    }
}

static wick_sh_node *read_pipeline(wick_sh_parser *p)
{
    bool negated = false;
    wick_sh_node *pipe = NULL;
    size_t from = p->i;
    (void)pass_prefixes(p, &negated);
    bool prefixed = p->i > from;
    int ch = wick_sh_peek(p, 0);
    if (prefixed && (ch < 0 || ch == '\n' || ch == ';')) return new_node(p, WICK_SH_LIST); /* "time" alone */
    wick_sh_node *c = read_command(p);
    for (;;) {
        if (!c) return NULL;
        wick_sh_blanks(p);
        if (wick_sh_peek(p, 0) != '|' || wick_sh_peek(p, 1) == '|') break;
        if (!pipe) {
            pipe = new_node(p, WICK_SH_PIPE);
            if (!pipe) return NULL;
            pipe->raw.p = c->raw.p;
            add_kid(pipe, c);
        }
        p->i += wick_sh_peek(p, 1) == '&' ? 2 : 1;
        if (!skip_newlines(p)) return NULL;
        bool inner = false;
        (void)pass_prefixes(p, &inner);
        c = read_command(p);
        add_kid(pipe, c);
    }
    if (pipe) end_node(p, pipe);
    c = pipe ? pipe : c;
    c->negated = negated;
    return c;
}

static bool at_stop(wick_sh_parser *p, int stop)
{
    int c = wick_sh_peek(p, 0);
    if (c < 0 || (c == ')' && (stop & STOP_PAREN))) return true;
    if ((stop & STOP_CASE) && c == ';' && (wick_sh_peek(p, 1) == ';' || wick_sh_peek(p, 1) == '&')) return true;
    for (size_t k = 0; k < sizeof closing / sizeof *closing; k++)
        if ((closing[k].stop & stop) && at_word(p, closing[k].word)) return true;
    return false;
}

/* Pipelines joined by ; & && || and newlines, up to what `stop` allows. */
static bool read_list(wick_sh_parser *p, int stop, bool may_be_empty, wick_sh_node **out)
{
    wick_sh_node *l = new_node(p, WICK_SH_LIST);
    if (!l || ++p->depth > WICK_SH_MAX_DEPTH) return wick_sh_fail(p, "nested too deep");
    bool joined = false; /* after && or ||: a command must come */
    for (;;) {
        if (!skip_newlines(p)) return false;
        if (!joined && at_stop(p, stop)) break;
        wick_sh_node *c = read_pipeline(p);
        if (!c) return false;
        add_kid(l, c);
        wick_sh_blanks(p);
        int ch = wick_sh_peek(p, 0), next = wick_sh_peek(p, 1);
        joined = (ch == '&' || ch == '|') && next == ch;
        if (joined) {
            p->i += 2;
        } else if (ch == '&') {
            p->i++;
            c->background = true;
        } else if (ch == ';' && next != ';' && next != '&') {
            p->i++;
        } else if (ch != '\n') {
            if (at_stop(p, stop)) break;
            return wick_sh_fail(p, ch == ';' ? "unexpected ;;" : ch == ')' ? "unexpected )" : "unexpected word");
        }
    }
    p->depth--;
    if (!l->kid && !may_be_empty) return wick_sh_fail(p, "a command is missing");
    end_node(p, l);
    *out = l->kid ? l : NULL;
    return true;
}

wick_sh_node *wick_sh_read_list(wick_sh_parser *p, const char *ends)
{
    wick_sh_node *l = NULL;
    return read_list(p, *ends ? STOP_PAREN : 0, true, &l) ? l : NULL;
}

wick_status wick_sh_parse(wick_arena *a, const char *text, size_t n, wick_sh_node **out, wick_err *err)
{
    wick_sh_parser p = {.a = a, .s = text, .n = n};
    *out = NULL;
    if (n > WICK_SH_MAX_TEXT)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "command", "the command is longer than %d bytes", WICK_SH_MAX_TEXT);
    if (memchr(text, 0, n)) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "command", "the command has a NUL byte");
    bool ok = read_list(&p, 0, true, out);
    if (ok && p.i < p.n) ok = wick_sh_fail(&p, "unexpected text");
    if (ok && p.pending) { /* a here-document without a line after it: an empty body */
        p.i = p.n;
        ok = wick_sh_newline(&p);
    }
    if (ok) return WICK_OK;
    if (a->failed) return wick_err_oom(err, "the tree of a command", 0, 0);
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "command", "byte %zu: %s", p.fail_at + 1, p.fail);
}
