/* shell/expand.c - words of the tree to the words that a program would get, as far as that can be known.
 *
 * Quote removal, variables assigned earlier in the same text, constant command substitutions, field splitting and
 * {a,b}. What depends on the machine becomes one WICK_SH_UNKNOWN byte. Files are not looked up: globs stay.
 */
#include <string.h>
#include "base/buf.h"
#include "shell/walk.h"

enum { OPEN = 2, COMMA = 3, CLOSE = 4, MAX_FIELDS = 2000, MAX_VALUE = 1 << 16 };

const char *wick_sh_lookup(const wick_sh_walk *w, const char *name)
{
    for (const wick_sh_var *v = w->vars; v; v = v->next)
        if (strcmp(v->name, name) == 0) return v->value;
    return strcmp(name, "HOME") == 0 ? "~" : strcmp(name, "PWD") == 0 ? "." : strcmp(name, "IFS") == 0 ? " " : NULL;
}

void wick_sh_assign(wick_sh_walk *w, const char *name, const char *value)
{
    wick_sh_var *v = wick_arena_alloc(w->a, sizeof *v);
    if (!v) return;
    *v = (wick_sh_var){name, value, w->vars};
    w->vars = v;
}

/* The value of $name or ${name...}; NULL: unknown. */
static const char *param_value(wick_sh_walk *w, const wick_sh_part *t)
{
    char name[128];
    if (t->text.n >= sizeof name) return NULL;
    memcpy(name, t->text.p, t->text.n);
    name[t->text.n] = 0;
    const char *v = wick_sh_lookup(w, name);
    if (t->op.n == 0) return v;
    char op = t->op.p[0];
    bool colon = op == ':' && t->op.n > 1;
    if (colon) op = t->op.p[1];
    if (op == '-' || op == '=' || op == '?' || op == '+') {
        if ((op != '+' && v && *v) || !t->arg) return v;
        const char *word = wick_sh_value(w, t->arg); /* with the operator's own bytes in front */
        size_t skip = colon ? 2 : 1;
        return word && strlen(word) >= skip && op != '?' ? word + skip : v;
    }
    return NULL;
}

typedef struct field_maker {
    wick_sh_walk *w;
    wick_sh_fields *out;
    const wick_sh_word *word;
    wick_buf b;
    bool glob, any;
} field_maker;

static bool push_field(wick_sh_walk *w, wick_sh_fields *out, const char *text, size_t n, bool glob,
                       const wick_sh_word *word)
{
    if (out->n >= MAX_FIELDS) return true;
    if (out->n == out->cap) {
        size_t cap = out->cap ? out->cap * 2 : 16;
        wick_sh_field *more = wick_arena_array(w->a, cap, sizeof *more);
        if (!more) return false;
        if (out->n) memcpy(more, out->item, out->n * sizeof *more);
        out->item = more;
        out->cap = cap;
    }
    char *s = wick_arena_strndup(w->a, text, n);
    if (!s) return false;
    for (char *c = s; *c; c++) *c = (char)(*c == OPEN ? '{' : *c == COMMA ? ',' : *c == CLOSE ? '}' : *c);
    out->item[out->n++] = (wick_sh_field){s, memchr(s, WICK_SH_UNKNOWN, n) != NULL, glob, word};
    return true;
}

/* {a,b} in s: the first pair that has a comma at its own level is expanded, and what comes of it again. */
static bool push_braces(field_maker *m, const char *s, size_t n, unsigned depth)
{
    for (size_t i = 0; i < n && depth < 8; i++) {
        if (s[i] != OPEN) continue;
        unsigned level = 0;
        size_t close = 0, commas = 0;
        for (size_t j = i; j < n && !close; j++) {
            level += s[j] == OPEN;
            if (s[j] == COMMA && level == 1) commas++;
            if (s[j] == CLOSE && --level == 0) close = j;
        }
        if (!close || !commas) continue;
        for (size_t from = i + 1, j = from; j <= close; j++) {
            level += j < close && s[j] == OPEN;
            if ((s[j] == COMMA && level == 0) || j == close) {
                size_t len = i + (j - from) + (n - close - 1);
                char *t = wick_arena_alloc(m->w->a, len + 1);
                if (!t) return false;
                memcpy(t, s, i);
                memcpy(t + i, s + from, j - from);
                memcpy(t + i + (j - from), s + close + 1, n - close - 1);
                if (!push_braces(m, t, len, depth + 1)) return false;
                from = j + 1;
            } else if (s[j] == CLOSE) {
                level--;
            }
        }
        return true;
    }
    return push_field(m->w, m->out, s, n, m->glob, m->word);
}

static bool end_field(field_maker *m)
{
    if (!m->any) return true;
    bool ok = !m->b.failed && push_braces(m, wick_buf_str(&m->b), m->b.n, 0);
    wick_buf_reset(&m->b);
    m->any = m->glob = false;
    return ok;
}

static bool add_value(field_maker *m, const char *v, bool quoted)
{
    if (quoted) {
        wick_buf_puts(&m->b, v);
        m->any = true;
        return true;
    }
    for (; *v; v++) {
        if (*v == ' ' || *v == '\t' || *v == '\n') {
            if (!end_field(m)) return false;
        } else {
            m->glob |= strchr("*?[", *v) != NULL;
            wick_buf_putc(&m->b, *v);
            m->any = true;
        }
    }
    return true;
}

static void add_plain(field_maker *m, const wick_sh_part *t)
{
    m->any = true;
    for (size_t k = 0; k < t->text.n; k++) {
        char c = t->text.p[k];
        if (c == 0) continue;
        if (!t->quoted) {
            m->glob |= strchr("*?[", c) != NULL;
            c = (char)(c == '{' ? OPEN : c == ',' ? COMMA : c == '}' ? CLOSE : c);
        } else if (c >= 1 && c <= 4) {
            c = '?';
        }
        wick_buf_putc(&m->b, c);
    }
}

static bool add_part(field_maker *m, const wick_sh_part *t)
{
    static const char unknown[] = {WICK_SH_UNKNOWN, 0};
    const char *v = NULL;
    switch (t->kind) {
    case WICK_SH_TEXT: add_plain(m, t); return true;
    case WICK_SH_PARAM: v = param_value(m->w, t); break;
    case WICK_SH_SUBST: v = wick_sh_output(m->w, t->tree, NULL); break;
    case WICK_SH_ARITH: v = "0"; break;
    case WICK_SH_PROCESS: v = "/dev/fd/63"; break;
    }
    return add_value(m, v ? v : unknown, t->quoted);
}

bool wick_sh_expand(wick_sh_walk *w, const wick_sh_word *word, wick_sh_fields *out)
{
    field_maker m = {.w = w, .out = out, .word = word};
    wick_buf_init(&m.b, MAX_VALUE);
    bool ok = true;
    for (const wick_sh_part *t = word->first; t && ok; t = t->next) ok = add_part(&m, t);
    ok = ok && end_field(&m);
    wick_buf_release(&m.b);
    return ok;
}

const char *wick_sh_value(wick_sh_walk *w, const wick_sh_word *word)
{
    static const char unknown[] = {WICK_SH_UNKNOWN, 0};
    field_maker m = {.w = w, .word = word};
    wick_buf_init(&m.b, MAX_VALUE);
    for (const wick_sh_part *t = word->first; t; t = t->next) {
        wick_sh_part whole = *t;
        if (t->kind == WICK_SH_TEXT && t->text.n == 0) continue;
        whole.quoted = true;
        (void)add_part(&m, &whole);
    }
    char *s = m.b.failed ? NULL : wick_arena_strndup(w->a, wick_buf_str(&m.b), m.b.n);
    wick_buf_release(&m.b);
    return s ? s : unknown;
}

const char *wick_sh_join(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    wick_buf b;
    wick_buf_init(&b, MAX_VALUE);
    for (size_t k = 0; k < n; k++) {
        if (k) wick_buf_putc(&b, ' ');
        wick_buf_puts(&b, f[k].text);
    }
    char *s = b.failed ? NULL : wick_arena_strndup(w->a, wick_buf_str(&b), b.n);
    wick_buf_release(&b);
    return s ? s : "";
}
