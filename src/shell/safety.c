/* shell/safety.c - the walk over a parsed command: which programs would run, with which words, reading from where.
 *
 * Programs are judged in rules.c and rules_run.c. Bounded: WICK_SH_MAX_DEPTH levels of code inside code, MAX_STEPS
 * programs in all; what is cut off there is a finding of its own, never silence.
 */
#include <string.h>
#include "base/buf.h"
#include "shell/parse.h"
#include "shell/walk.h"

enum { MAX_STEPS = 20000, MAX_NESTED = 24 };

const char *wick_sh_level_name(wick_sh_level l)
{
    static const char *const names[] = {"safe", "moderate", "high", "critical"};
    return names[l];
}

void wick_sh_find(wick_sh_walk *w, wick_sh_level level, const char *reason)
{
    wick_sh_report *r = w->report;
    if (level == WICK_SH_SAFE) return;
    if (level > r->level) r->level = level;
    char *words = wick_arena_strndup(w->a, w->here.p ? w->here.p : "", w->here.n);
    for (unsigned k = 0; k < r->n; k++)
        if (strcmp(r->finding[k].reason, reason) == 0 && words && strcmp(r->finding[k].words, words) == 0) {
            if (level > r->finding[k].level) r->finding[k].level = level;
            return;
        }
    unsigned at = r->n;
    if (at == WICK_SH_MAX_FINDINGS) { /* full: the mildest gives way to what is worse */
        at = 0;
        for (unsigned k = 1; k < r->n; k++)
            if (r->finding[k].level < r->finding[at].level) at = k;
        if (r->finding[at].level >= level) return;
    } else {
        r->n++;
    }
    r->finding[at] = (wick_sh_finding){level, reason, words ? words : ""};
}

/* ---- what a command writes ------------------------------------------------------------------------------------- */

static const char *echo_text(wick_sh_walk *w, const wick_sh_node *c)
{
    wick_sh_fields f = {0};
    for (const wick_sh_word *x = c->word; x; x = x->next)
        if (!wick_sh_expand(w, x, &f)) return NULL;
    size_t k = 1;
    if (f.n == 0) return NULL;
    const char *name = wick_sh_base(f.item[0].text);
    if (strcmp(name, "echo") == 0) {
        while (k < f.n && wick_sh_among(f.item[k].text, "-n -e -E -ne -en")) k++;
        return wick_sh_join(w, f.item + k, f.n - k);
    }
    if (strcmp(name, "printf") == 0 && f.n > 1) {
        const char *format = f.item[1].text;
        if (strcmp(format, "--") == 0 && f.n > 2) format = f.item[++k].text;
        wick_buf b = WICK_BUF_INIT; /* as printf would write it: escapes, and %s once for each operand */
        for (const char *p = format; *p; p++) {
            unsigned v = 0, used = 0;
            if (*p == '\\' && p[1] == 'x') {
                for (p += 2; used < 2 && *p && strchr("0123456789abcdefABCDEF", *p); used++, p++)
                    v = v * 16 + (unsigned)(*p <= '9' ? *p - '0' : (*p | 32) - 'a' + 10);
                wick_buf_putc(&b, (char)v);
                p--;
            } else if (*p == '\\' && p[1] >= '0' && p[1] <= '7') {
                for (p++; used < 3 && *p >= '0' && *p <= '7'; used++, p++) v = v * 8 + (unsigned)(*p - '0');
                wick_buf_putc(&b, (char)v);
                p--;
            } else if (*p == '%' && (p[1] == 's' || p[1] == 'b' || p[1] == 'd')) {
                if (k + 1 < f.n) wick_buf_puts(&b, f.item[++k].text);
                p++;
            } else if (*p == '%' && p[1] == '%') {
                wick_buf_putc(&b, *++p);
            } else if (*p == '\\' && p[1]) {
                wick_buf_putc(&b, *++p == 'n' ? '\n' : *p == 't' ? '\t' : *p);
            } else {
                wick_buf_putc(&b, *p);
            }
        }
        char *s = b.failed ? NULL : wick_arena_strndup(w->a, wick_buf_str(&b), b.n);
        wick_buf_release(&b);
        return s;
    }
    return NULL;
}

static const char *from_base64(wick_sh_walk *w, const char *in)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = wick_arena_alloc(w->a, strlen(in) + 1);
    size_t n = 0;
    unsigned bits = 0, have = 0;
    if (!out) return NULL;
    for (; *in && *in != '='; in++) {
        const char *d = strchr(digits, *in);
        if (!d) continue;
        bits = (bits << 6 | (unsigned)(d - digits)) & 0xFFFFFFu;
        if ((have += 6) >= 8) out[n++] = (char)(bits >> (have -= 8));
    }
    out[n] = 0;
    return out;
}

static const char *from_hex(wick_sh_walk *w, const char *in)
{
    static const char digits[] = "0123456789abcdef";
    char *out = wick_arena_alloc(w->a, strlen(in) + 1);
    size_t n = 0;
    int high = -1;
    if (!out) return NULL;
    for (; *in; in++) {
        const char *d = strchr(digits, *in >= 'A' && *in <= 'F' ? *in | 32 : *in);
        if (!d) continue;
        if (high < 0) {
            high = (int)(d - digits);
        } else {
            out[n++] = (char)(high << 4 | (int)(d - digits));
            high = -1;
        }
    }
    out[n] = 0;
    return out;
}

static const char *reversed(wick_sh_walk *w, const char *in)
{
    size_t n = strlen(in);
    char *out = wick_arena_alloc(w->a, n + 1);
    for (size_t k = 0; out && k < n; k++) out[k] = in[n - 1 - k];
    return out;
}

static const char *simple_output(wick_sh_walk *w, const wick_sh_node *c, const char *in)
{
    const char *heredoc = NULL;
    for (const wick_sh_redir *r = c->redir; r; r = r->next) {
        if (r->body) heredoc = wick_sh_value(w, r->body);
        if (wick_str_eq(r->op, wick_str_of("<<<"))) heredoc = wick_sh_value(w, r->target);
    }
    if (heredoc) in = heredoc;
    if (!c->word) return NULL;
    wick_str name = c->word->raw;
    bool more = c->word->next != NULL;
    wick_str flag = more ? c->word->next->raw : (wick_str){"", 0};
    if (wick_str_eq(name, wick_str_of("cat")) && !more) return in;
    if (!in) return echo_text(w, c);
    if (wick_str_eq(name, wick_str_of("base64")) && flag.n &&
        (memchr(flag.p, 'd', flag.n) || memchr(flag.p, 'D', flag.n)))
        return from_base64(w, in);
    if (wick_str_eq(name, wick_str_of("xxd")) && flag.n && memchr(flag.p, 'r', flag.n)) return from_hex(w, in);
    if (wick_str_eq(name, wick_str_of("rev"))) return reversed(w, in);
    if (wick_str_eq(name, wick_str_of("tee"))) return in;
    return echo_text(w, c);
}

const char *wick_sh_output(wick_sh_walk *w, const wick_sh_node *c, const char *in)
{
    if (!c || ++w->steps > MAX_STEPS) return c ? NULL : "";
    if (c->kind == WICK_SH_SIMPLE) return simple_output(w, c, in);
    if (c->kind == WICK_SH_PIPE) {
        for (const wick_sh_node *k = c->kid; k; k = k->next) {
            in = wick_sh_output(w, k, in);
            if (!in) return NULL;
        }
        return in;
    }
    return (c->kind == WICK_SH_LIST || c->kind == WICK_SH_SUBSHELL) && c->kid && !c->kid->next
               ? wick_sh_output(w, c->kid, in)
               : NULL;
}

/* Is a word among the first of some simple command in the tree one of the list? */
static bool calls(const wick_sh_node *c, const char *list, unsigned depth)
{
    for (; c && depth < WICK_SH_MAX_DEPTH; c = c->next) {
        unsigned k = 0;
        for (const wick_sh_word *x = c->word; c->kind == WICK_SH_SIMPLE && x && k < 4; x = x->next, k++) {
            char name[64];
            if (x->raw.n >= sizeof name) continue;
            memcpy(name, x->raw.p, x->raw.n);
            name[x->raw.n] = 0;
            if (wick_sh_among(wick_sh_base(name), list)) return true;
        }
        if (c->kid && calls(c->kid, list, depth + 1)) return true;
    }
    return false;
}

bool wick_sh_fetches(const wick_sh_node *c)
{
    return calls(c, "curl wget fetch nc ncat netcat aria2c lwp-download lynx http https socat ftp GET telnet", 0);
}
bool wick_sh_decodes(const wick_sh_node *c)
{
    return calls(c, "base64 base32 xxd uudecode openssl gpg gunzip zcat uncompress rev rot13 basenc", 0);
}

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

static void walk_word(wick_sh_walk *w, const wick_sh_word *x)
{
    for (const wick_sh_part *t = x ? x->first : NULL; t; t = t->next) {
        if (t->tree) wick_sh_walk_node(w, t->tree, (wick_sh_source){0});
        if (t->arg) walk_word(w, t->arg);
    }
}

static void walk_assignment(wick_sh_walk *w, const wick_sh_word *x)
{
    size_t n = 0;
    char name[128];
    while (n < x->raw.n && n + 1 < sizeof name && x->raw.p[n] != '=' && x->raw.p[n] != '+' && x->raw.p[n] != '[') {
        name[n] = x->raw.p[n];
        n++;
    }
    name[n] = 0;
    const char *value = wick_sh_value(w, x), *eq = strchr(value, '=');
    char *kept = wick_arena_strdup(w->a, name);
    if (eq && kept) wick_sh_assign(w, kept, n < x->raw.n && x->raw.p[n] == '=' ? eq + 1 : NULL);
    if (wick_sh_among(name,
                      "LD_PRELOAD LD_LIBRARY_PATH DYLD_INSERT_LIBRARIES BASH_ENV ENV PROMPT_COMMAND PYTHONSTARTUP"))
        wick_sh_find(w, WICK_SH_MODERATE, "changes which code programs load");
    if (wick_sh_among(name, "GIT_SSH_COMMAND GIT_EDITOR EDITOR VISUAL PAGER GIT_PAGER LESSOPEN MANPAGER") && eq &&
        strchr(eq, ' '))
        wick_sh_walk_text(w, eq + 1, (wick_sh_source){0});
}

static void walk_redir(wick_sh_walk *w, const wick_sh_redir *r, wick_sh_source *in)
{
    wick_sh_fields f = {0};
    walk_word(w, r->target);
    if (r->body) {
        if (!r->raw_body) walk_word(w, r->body);
        *in = (wick_sh_source){WICK_SH_FROM_TEXT, wick_sh_value(w, r->body)};
        return;
    }
    if (!wick_sh_expand(w, r->target, &f) || f.n == 0) return;
    const char *path = f.item[0].text;
    bool descriptor = strspn(path, "0123456789-") == strlen(path);
    if (wick_str_eq(r->op, wick_str_of("<<<"))) {
        const char *text = wick_sh_value(w, r->target);
        wick_sh_source_kind kind = WICK_SH_FROM_TEXT;
        for (const wick_sh_part *t = r->target->first; t; t = t->next)
            if (t->tree && strchr(text, WICK_SH_UNKNOWN))
                kind = wick_sh_fetches(t->tree)   ? WICK_SH_FROM_NET
                       : wick_sh_decodes(t->tree) ? WICK_SH_FROM_DECODED
                                                  : kind;
        *in = (wick_sh_source){kind, text};
        return;
    }
    wick_str was = w->here;
    w->here = r->target->raw;
    w->here.n += (size_t)(r->target->raw.p - r->op.p);
    w->here.p = r->op.p;
    if (wick_starts_with(path, "/dev/tcp/") || wick_starts_with(path, "/dev/udp/"))
        wick_sh_find(w, WICK_SH_CRITICAL, "connects the shell to another machine");
    if (*r->op.p == '<' && r->op.n == 1) {
        *in = (wick_sh_source){WICK_SH_FROM_LOCAL, NULL};
        for (const wick_sh_part *t = r->target->first; t; t = t->next)
            if (t->kind == WICK_SH_PROCESS)
                *in = (wick_sh_source){wick_sh_fetches(t->tree)   ? WICK_SH_FROM_NET
                                       : wick_sh_decodes(t->tree) ? WICK_SH_FROM_DECODED
                                                                  : WICK_SH_FROM_LOCAL,
                                       NULL};
        if (wick_sh_secret(path)) wick_sh_find(w, WICK_SH_HIGH, "reads a secret");
    } else if (!descriptor && !wick_starts_with(path, "/dev/fd/")) {
        wick_sh_write_to(w, f.item, r->op.n >= 2 && r->op.p[0] == '>' && r->op.p[1] == '>');
    }
    w->here = was;
}

static void walk_simple(wick_sh_walk *w, const wick_sh_node *c, wick_sh_source in)
{
    wick_sh_fields f = {0};
    wick_str was = w->here;
    w->here = c->raw;
    for (const wick_sh_word *x = c->assign; x; x = x->next) {
        walk_word(w, x);
        walk_assignment(w, x);
    }
    for (const wick_sh_word *x = c->word; x; x = x->next) {
        walk_word(w, x);
        if (!wick_sh_expand(w, x, &f)) return;
    }
    for (const wick_sh_redir *r = c->redir; r; r = r->next) walk_redir(w, r, &in);
    if (f.n) wick_sh_run(w, f.item, f.n, in);
    w->here = was;
}

static void walk_pipe(wick_sh_walk *w, const wick_sh_node *c, wick_sh_source in)
{
    const char *known = NULL;
    bool first = true;
    wick_sh_source_kind taint = WICK_SH_FROM_LOCAL;
    for (const wick_sh_node *k = c->kid; k; k = k->next) {
        wick_sh_walk_node(w, k, in);
        known = first || known ? wick_sh_output(w, k, known) : NULL;
        first = false;
        wick_sh_node one = *k; /* without its siblings */
        one.next = NULL;
        if (wick_sh_fetches(&one)) taint = WICK_SH_FROM_NET;
        if (wick_sh_decodes(&one) && taint == WICK_SH_FROM_LOCAL) taint = WICK_SH_FROM_DECODED;
        bool plain = known && !strchr(known, WICK_SH_UNKNOWN);
        in = (wick_sh_source){plain ? WICK_SH_FROM_TEXT : taint, plain ? known : NULL};
    }
}

/* A function that calls itself in a pipeline or in the background doubles without end. */
static bool is_bomb(const wick_sh_node *c)
{
    char name[64];
    if (!c->word || c->word->raw.n >= sizeof name || !c->kid) return false;
    memcpy(name, c->word->raw.p, c->word->raw.n);
    name[c->word->raw.n] = 0;
    const wick_sh_node *body = c->kid;
    if (!calls(body, name, 0)) return false;
    const char *p = body->raw.p, *end = p + body->raw.n;
    unsigned times = 0;
    bool pipe = memchr(p, '|', body->raw.n) != NULL, background = memchr(p, '&', body->raw.n) != NULL;
    for (; p + strlen(name) <= end; p++)
        if (memcmp(p, name, strlen(name)) == 0) times++;
    return (pipe || background) && times >= 2;
}

void wick_sh_walk_node(wick_sh_walk *w, const wick_sh_node *c, wick_sh_source in)
{
    if (!c) return;
    if (++w->steps > MAX_STEPS || w->depth > WICK_SH_MAX_DEPTH) {
        wick_sh_find(w, WICK_SH_HIGH, "too much to look through");
        return;
    }
    w->depth++;
    const char *cwd = w->cwd;
    wick_str was = w->here;
    switch (c->kind) {
    case WICK_SH_SIMPLE: walk_simple(w, c, in); break;
    case WICK_SH_PIPE: walk_pipe(w, c, in); break;
    case WICK_SH_FUNCTION:
        w->here = c->raw;
        if (is_bomb(c)) wick_sh_find(w, WICK_SH_CRITICAL, "a function that starts itself without end");
        w->here = was;
        for (const wick_sh_node *k = c->kid; k; k = k->next) wick_sh_walk_node(w, k, in);
        break;
    case WICK_SH_FOR:
        for (const wick_sh_word *x = c->word; x; x = x->next) walk_word(w, x);
        if (c->word && c->word->next) { /* the name takes the values; one that matters is enough */
            const char *name = wick_arena_strndup(w->a, c->word->raw.p, c->word->raw.n);
            for (const wick_sh_word *x = c->word->next; x && name; x = x->next) {
                wick_sh_assign(w, name, wick_sh_value(w, x));
                for (const wick_sh_node *k = c->kid; k; k = k->next) wick_sh_walk_node(w, k, in);
            }
            break;
        }
        for (const wick_sh_node *k = c->kid; k; k = k->next) wick_sh_walk_node(w, k, in);
        break;
    default:
        for (const wick_sh_word *x = c->word; x; x = x->next) walk_word(w, x);
        for (const wick_sh_redir *r = c->redir; r; r = r->next) walk_redir(w, r, &in);
        for (const wick_sh_node *k = c->kid; k; k = k->next) wick_sh_walk_node(w, k, in);
        break;
    }
    if (c->kind == WICK_SH_FUNCTION || c->kind == WICK_SH_FOR)
        for (const wick_sh_redir *r = c->redir; r; r = r->next) walk_redir(w, r, &in);
    if (c->kind == WICK_SH_SUBSHELL || c->kind == WICK_SH_PIPE) w->cwd = cwd;
    w->depth--;
}

void wick_sh_walk_text(wick_sh_walk *w, const char *text, wick_sh_source in)
{
    wick_sh_node *c = NULL;
    char *copy = wick_arena_strdup(w->a, text);
    if (!copy) return;
    if (++w->depth > MAX_NESTED || ++w->steps > MAX_STEPS) {
        wick_sh_find(w, WICK_SH_HIGH, "too much to look through");
    } else {
        for (char *p = copy; *p; p++)
            if (*p == WICK_SH_UNKNOWN) *p = '?';
        wick_str was = w->here;
        if (wick_sh_parse(w->a, copy, strlen(copy), &c, NULL) != WICK_OK)
            wick_sh_find(w, WICK_SH_MODERATE, "runs text that cannot be read as a command");
        else
            wick_sh_walk_node(w, c, in);
        w->here = was;
    }
    w->depth--;
}

void wick_sh_run(wick_sh_walk *w, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    if (++w->steps > MAX_STEPS) {
        wick_sh_find(w, WICK_SH_HIGH, "too much to look through");
        return;
    }
    const char *name = wick_sh_base(f[0].text);
    if (f[0].unknown) {
        wick_sh_level level = WICK_SH_MODERATE;
        for (size_t k = 1; k < n; k++) {
            wick_sh_place place = wick_sh_where(w, f + k);
            if (place >= WICK_SH_HOME || (f[k].text[0] == '-' && strchr(f[k].text, 'r') && strchr(f[k].text, 'f')))
                level = WICK_SH_HIGH;
        }
        for (const wick_sh_part *t = f[0].word ? f[0].word->first : NULL; t; t = t->next)
            if (t->tree && (wick_sh_fetches(t->tree) || wick_sh_decodes(t->tree))) level = WICK_SH_HIGH;
        {
            wick_sh_find(w, level, "which program runs is only known when it runs");
            return;
        }
    }
    w->depth++;
    if (w->depth > WICK_SH_MAX_DEPTH)
        wick_sh_find(w, WICK_SH_HIGH, "too much to look through");
    else if (!wick_sh_run_wrapper(w, name, f, n, in))
        wick_sh_run_program(w, name, f, n, in);
    w->depth--;
}

wick_status wick_sh_check(wick_arena *a, const char *text, size_t n, wick_sh_report *out, wick_err *err)
{
    wick_sh_node *c = NULL;
    wick_err local = {0};
    *out = (wick_sh_report){.parsed = true};
    wick_sh_walk w = {.a = a, .report = out, .here = {text, n}};
    wick_status st = wick_sh_parse(a, text, n, &c, &local);
    if (st == WICK_E_OUT_OF_MEMORY) return wick_err_oom(err, "the tree of a command", 0, 0);
    if (st != WICK_OK) {
        out->parsed = false;
        char *why = wick_arena_printf(a, "not a shell command: %s", local.message);
        wick_sh_find(&w, WICK_SH_HIGH, why ? why : "not a shell command");
    } else {
        wick_sh_walk_node(&w, c, (wick_sh_source){0});
    }
    wick_sh_disguise d = wick_sh_disguised(text, n);
    w.here = (wick_str){text, n};
    if (d == WICK_SH_HIDDEN) wick_sh_find(&w, WICK_SH_HIGH, "has characters that a terminal does not show as they are");
    if (d == WICK_SH_IMITATION) wick_sh_find(&w, WICK_SH_MODERATE, "has punctuation that only looks like ASCII");
    if (a->failed) return wick_err_oom(err, "the check of a command", 0, 0);
    for (unsigned i = 1; i < out->n; i++) { /* worst first, in order otherwise */
        wick_sh_finding x = out->finding[i];
        unsigned j = i;
        for (; j > 0 && out->finding[j - 1].level < x.level; j--) out->finding[j] = out->finding[j - 1];
        out->finding[j] = x;
    }
    return WICK_OK;
}
