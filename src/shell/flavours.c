/* shell/flavours.c - see dialect.h. */
#include <string.h>
#include "base/buf.h"
#include "shell/flavours.h"
#include "shell/parse.h"

typedef struct traits {
    const char *beyond; /* the first thing that sh does not have */
    bool not_fish;
} traits;

static void look(traits *t, const wick_sh_node *c, unsigned depth);

static void look_at_words(traits *t, const wick_sh_word *w, unsigned depth)
{
    for (; w; w = w->next)
        for (const wick_sh_part *p = w->first; p; p = p->next) {
            if (p->kind == WICK_SH_PROCESS) {
                if (!t->beyond) t->beyond = "<( )";
                t->not_fish = true;
            }
            /* fish has $name and $(...), but no ${...}, no `...`, no $((...)) and none of $? $# $@ $1 */
            if (p->kind == WICK_SH_ARITH) t->not_fish = true;
            if (p->kind == WICK_SH_SUBST && memchr(w->raw.p, '`', w->raw.n)) t->not_fish = true;
            if (p->kind == WICK_SH_PARAM)
                t->not_fish |= p->op.n > 0 || p->text.n == 0 || strchr("?#@*!$-0123456789", p->text.p[0]) != NULL ||
                               (w->raw.n > 1 && memchr(w->raw.p, '{', w->raw.n));
            if (p->tree) look(t, p->tree, depth + 1);
        }
}

static void look_at_redirs(traits *t, const wick_sh_redir *r)
{
    for (; r; r = r->next) {
        bool here = r->op.n >= 2 && memcmp(r->op.p, "<<", 2) == 0;
        if (here) t->not_fish = true;
        if (!t->beyond && here && r->op.n == 3 && r->op.p[2] == '<') t->beyond = "<<<";
        if (!t->beyond && r->op.n && r->op.p[0] == '&') t->beyond = "&>";
    }
}

static void look(traits *t, const wick_sh_node *c, unsigned depth)
{
    for (; c && depth < WICK_SH_MAX_DEPTH; c = c->next) {
        if (c->kind == WICK_SH_TEST && !t->beyond) t->beyond = "[[ ]] or (( ))";
        t->not_fish |= c->kind != WICK_SH_SIMPLE && c->kind != WICK_SH_PIPE && c->kind != WICK_SH_LIST;
        t->not_fish |= c->assign != NULL || (c->raw.n && c->raw.p[0] == '{');
        look_at_words(t, c->word, depth);
        look_at_words(t, c->assign, depth);
        look_at_redirs(t, c->redir);
        look(t, c->kid, depth + 1);
    }
}

static traits traits_of(wick_arena *a, const char *cmd)
{
    traits t = {0};
    wick_sh_node *tree = NULL;
    if (wick_sh_parse(a, cmd, strlen(cmd), &tree, NULL) == WICK_OK) look(&t, tree, 0);
    return t;
}

wick_sh_shell wick_sh_shell_of(const char *name)
{
    static const char *const names[] = {"posix", "bash", "zsh", "fish"};
    for (int k = 0; name && k < 4; k++)
        if (strcmp(names[k], name) == 0) return (wick_sh_shell)k;
    return WICK_SH_POSIX;
}

const char *wick_sh_beyond_posix(wick_arena *a, const char *cmd)
{
    return traits_of(a, cmd).beyond;
}

const char *wick_sh_quote(wick_arena *a, const char *text)
{
    wick_buf b = WICK_BUF_INIT;
    wick_buf_putc(&b, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            wick_buf_puts(&b, "'\\''");
        else
            wick_buf_putc(&b, *text);
    }
    wick_buf_putc(&b, '\'');
    char *s = b.failed ? NULL : wick_arena_strndup(a, wick_buf_str(&b), b.n);
    wick_buf_release(&b);
    return s;
}

const char *wick_sh_for_shell(wick_arena *a, const char *cmd, wick_sh_shell shell)
{
    if (shell != WICK_SH_FISH || !traits_of(a, cmd).not_fish) return cmd;
    const char *word = wick_sh_quote(a, cmd);
    return word ? wick_arena_printf(a, "sh -c %s", word) : NULL;
}
