/* shell/doubt.c - see doubt.h. The costs are round numbers, and were chosen on the phrasings of taught intents. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "shell/flavours.h"
#include "shell/doubt.h"
#include "shell/flags.h"
#include "shell/parse.h"
#include "shell/walk.h"

#define COST_NO_SHELL 20.0F
#define COST_NO_PROGRAM 4.0F
#define COST_NO_OPTION 4.0F
#define COST_NOT_POSIX 1.0F
#define COST_LOST_NAME 1.5F /* a name of the request that the command has not */
#define COST_NEW_NAME 1.5F  /* a file that neither the request nor the folder has */
#define COST_REPAIR 0.5F    /* a name of the request put in place of one that the model made up */
#define BONUS_FILE 0.5F     /* an operand that is a file of the folder */

typedef struct doubter {
    wick_arena *a;
    const wick_sh_world *world;
    const char *request;
    wick_sh_doubts *out;
    unsigned checks, depth;
    wick_sh_walk walk; /* for the expansion of words */
    const char *defined[16];
    unsigned n_defined; /* functions of the command itself */
    bool has_file;
} doubter;

static void doubt(doubter *d, float cost, const char *text)
{
    d->out->cost += cost;
    if (text && d->out->n < WICK_SH_MAX_DOUBTS) d->out->text[d->out->n++] = text;
}

/* ---- names ---------------------------------------------------------------------------------------- */

static bool contains_fold(const char *text, const char *part, size_t n)
{
    for (; *text; text++) {
        size_t k = 0;
        while (k < n && text[k] && tolower((unsigned char)text[k]) == tolower((unsigned char)part[k])) k++;
        if (k == n) return true;
    }
    return n == 0;
}

/* Is s[0..n) a word that can only be meant literally: a path, a file with an ending, an address, a word in capitals?
 */
static bool is_name(const char *s, size_t n)
{
    size_t capitals = 0, marks = 0, letters = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        letters += isalpha(c) != 0;
        capitals += isupper(c) != 0;
        marks += strchr("_@=", c) != NULL ||
                 ((c == '.' || c == '/') && i + 1 < n && i > 0 && isalnum((unsigned char)s[i + 1]));
    }
    return letters >= 2 && (marks > 0 || (capitals == letters && capitals >= 4));
}

/* Every quoted text and every name of the request should be in the command. */
static void names_of_request(doubter *d, const char *cmd)
{
    for (const char *p = d->request; *p;) {
        while (*p && isspace((unsigned char)*p)) p++;
        const char *from = p;
        size_t n;
        bool quoted = *p == '"' || *p == '`';
        const char *close = quoted ? strchr(p + 1, *p) : NULL;
        if (close) {
            from = p + 1;
            n = (size_t)(close - from);
            p = close + 1;
        } else {
            while (*p && !isspace((unsigned char)*p)) p++;
            n = (size_t)(p - from);
            while (n && strchr("\"'`([{<", *from)) from++, n--;
            while (n && strchr("\"'`)]}>.,;:?!", from[n - 1])) n--;
            if (n > 2 && from[n - 2] == '\'' && from[n - 1] == 's') n -= 2;
        }
        if (n == 0 || n > 120 || !(close || is_name(from, n))) continue;
        if (contains_fold(cmd, from, n)) continue;
        doubt(d, COST_LOST_NAME, wick_arena_printf(d->a, "does not use %.*s", (int)n, from));
        if (d->out->n_lost++ == 0) d->out->lost = wick_arena_strndup(d->a, from, n);
    }
}

static bool looks_like_file(const char *s)
{
    const char *dot = strrchr(s, '.');
    size_t n = dot ? strlen(dot + 1) : 0;
    if (!dot || dot == s || n < 1 || n > 5 || strchr("/.-", dot[-1])) return false;
    for (size_t i = 1; i <= n; i++)
        if (!isalpha((unsigned char)dot[i]) && !(i > 1 && isdigit((unsigned char)dot[i]))) return false;
    return strpbrk(s, " \t\n'\"$\\{}()|^+,;:=%&") == NULL;
}

static void file_operand(doubter *d, const wick_sh_field *f)
{
    if (f->unknown || f->glob || !looks_like_file(f->text) || strpbrk(f->text, "*?[")) return;
    const char *base = wick_sh_base(f->text);
    bool there = d->world->has_file && d->world->has_file(d->world->ctx, f->text);
    d->has_file |= there;
    if (there || contains_fold(d->request, base, strlen(base))) return;
    size_t stem = strcspn(base, ".");
    if (stem >= 2 && contains_fold(d->request, base, stem)) return;
    doubt(d, COST_NEW_NAME, wick_arena_printf(d->a, "%s is not in the request", f->text));
    if (d->out->n_new++ == 0) d->out->new_name = f->text;
}

/* ---- programs and their options ------------------------------------------------------------------------ */

static bool is_defined(const doubter *d, const char *name)
{
    static const char words[] =
        " . : [ [[ alias bg break builtin cd command continue declare dirs echo eval exec exit export "
        "false fc fg getopts hash help history jobs kill let local popd printf pushd pwd read "
        "readonly return set shift shopt source test time times trap true type typeset ulimit "
        "umask unalias unset wait if then else elif fi for do done while until case esac ! { } ";
    const char *at = words;
    size_t n = strlen(name);
    for (unsigned k = 0; k < d->n_defined; k++)
        if (strcmp(d->defined[k], name) == 0) return true;
    while ((at = strstr(at, name)) != NULL) {
        if (at[-1] == ' ' && at[n] == ' ') return true;
        at++;
    }
    return false;
}

static void look_at_program(doubter *d, const wick_sh_field *f, size_t n);

/* The words of `find ... -exec PROGRAM ... ;` are another program's. */
static void look_at_exec(doubter *d, const wick_sh_field *f, size_t n)
{
    for (size_t k = 1; k + 1 < n; k++) {
        if (!wick_sh_among(f[k].text, "-exec -execdir -ok -okdir")) continue;
        size_t end = k + 1;
        while (end < n && strcmp(f[end].text, ";") != 0 && strcmp(f[end].text, "+") != 0) end++;
        if (end > k + 1) look_at_program(d, f + k + 1, end - k - 1);
        k = end;
    }
}

/* Programs whose first operand is a program again. */
static bool runs_another(const char *name)
{
    return wick_sh_among(name, "sudo env nice nohup time timeout xargs watch stdbuf setsid exec command builtin");
}

static void look_at_options(doubter *d, const wick_sh_program *p, const wick_sh_field *f, size_t n, size_t from)
{
    bool finds = strcmp(p->name, "find") == 0;
    for (size_t k = from; k < n; k++) {
        const char *s = f[k].text;
        if (f[k].unknown && s[0] != '-') continue;
        if (strcmp(s, "--") == 0) return;
        if (finds && wick_sh_among(s, "-exec -execdir -ok -okdir")) {
            while (k < n && strcmp(f[k].text, ";") != 0 && strcmp(f[k].text, "+") != 0) k++;
            continue;
        }
        if (s[0] != '-' || !s[1]) continue;
        wick_sh_option_is is = wick_sh_option_look(p, s);
        if (is == WICK_SH_OPTION_UNKNOWN && !f[k].unknown)
            doubt(d, COST_NO_OPTION, wick_arena_printf(d->a, "%s has no option %s", p->name, s));
        k += is == WICK_SH_OPTION_TAKES_NEXT;
    }
}

static void look_at_program(doubter *d, const wick_sh_field *f, size_t n)
{
    if (n == 0 || f[0].unknown || d->depth > 8) return;
    const char *name = wick_sh_base(f[0].text);
    bool path = strchr(f[0].text, '/') != NULL;
    if ((d->checks & WICK_SH_CHECK_PROGRAMS) && d->world->has_program && !path && *name && !is_defined(d, name) &&
        !d->world->has_program(d->world->ctx, name))
        doubt(d, COST_NO_PROGRAM, wick_arena_printf(d->a, "there is no program %s on this machine", name));
    const wick_sh_program *p = wick_sh_program_find(name, n > 1 ? f[1].text : NULL);
    if (runs_another(name)) {
        size_t k = 1;
        while (k < n && (f[k].text[0] == '-' || (strcmp(name, "env") == 0 && strchr(f[k].text, '='))))
            k += p && f[k].text[0] == '-' && f[k].text[1] &&
                         wick_sh_option_look(p, f[k].text) == WICK_SH_OPTION_TAKES_NEXT
                     ? 2
                     : 1;
        if (strcmp(name, "timeout") == 0) k++;
        d->depth++;
        if (k < n && (p || k == 1)) look_at_program(d, f + k, n - k);
        d->depth--;
        return;
    }
    if (p && d->world->gnu && (d->checks & WICK_SH_CHECK_OPTIONS)) {
        look_at_options(d, p, f, n, strchr(p->name, ' ') ? 2 : 1);
        if (strcmp(p->name, "find") == 0) {
            d->depth++;
            look_at_exec(d, f, n);
            d->depth--;
        }
    }
    if (d->checks & WICK_SH_CHECK_NAMES && !wick_sh_among(name, "echo printf sed awk perl grep"))
        for (size_t k = 1; k < n; k++)
            if (f[k].text[0] != '-') file_operand(d, f + k);
}

static void look_at(doubter *d, const wick_sh_node *c, unsigned depth);

static void look_at_words(doubter *d, const wick_sh_word *w, unsigned depth)
{
    for (; w; w = w->next)
        for (const wick_sh_part *p = w->first; p; p = p->next)
            if (p->tree) look_at(d, p->tree, depth + 1);
}

static void look_at(doubter *d, const wick_sh_node *c, unsigned depth)
{
    for (; c && depth < WICK_SH_MAX_DEPTH; c = c->next) {
        if (c->kind == WICK_SH_SIMPLE) {
            wick_sh_fields f = {0};
            for (const wick_sh_word *w = c->word; w; w = w->next)
                if (!wick_sh_expand(&d->walk, w, &f)) return;
            look_at_program(d, f.item, f.n);
        }
        if (c->kind == WICK_SH_FUNCTION && c->word && d->n_defined < 16)
            d->defined[d->n_defined++] = wick_arena_strndup(d->a, c->word->raw.p, c->word->raw.n);
        look_at_words(d, c->word, depth);
        look_at_words(d, c->assign, depth);
        look_at(d, c->kid, depth + 1);
    }
}

wick_status wick_sh_doubt(wick_arena *a, const char *request, const char *cmd, const wick_sh_world *world,
                          unsigned checks, wick_sh_doubts *out, wick_err *err)
{
    wick_sh_report unused = {0};
    wick_sh_node *tree = NULL;
    memset(out, 0, sizeof *out);
    doubter d = {.a = a, .world = world, .request = request, .out = out, .checks = checks};
    d.walk = (wick_sh_walk){.a = a, .report = &unused};
    bool parsed = wick_sh_parse(a, cmd, strlen(cmd), &tree, NULL) == WICK_OK;
    if (!parsed || !tree) {
        if (checks & WICK_SH_CHECK_PARSE) doubt(&d, COST_NO_SHELL, "it is no command that a shell accepts");
    } else {
        const char *beyond = world->posix && checks & WICK_SH_CHECK_PARSE ? wick_sh_beyond_posix(a, cmd) : NULL;
        if (beyond) doubt(&d, COST_NOT_POSIX, wick_arena_printf(a, "%s is not in every sh", beyond));
        look_at(&d, tree, 0);
        if (checks & WICK_SH_CHECK_NAMES) names_of_request(&d, cmd);
        if (d.has_file) out->cost -= BONUS_FILE;
    }
    return a->failed ? wick_err_oom(err, "checks of a command", 0, 0) : WICK_OK;
}

/* ---- ranking -------------------------------------------------------------------------------------------- */

static bool same_answer(const wick_sh_answer *x, const wick_sh_answer *y)
{
    return strcmp(x->cmd, y->cmd) == 0 && !x->refused == !y->refused;
}

const char *wick_sh_repair(wick_arena *a, const char *cmd, const wick_sh_doubts *d)
{
    if (d->n_lost != 1 || d->n_new != 1 || !d->lost || !d->new_name) return NULL;
    const char *at = strstr(cmd, d->new_name), *word = d->lost;
    size_t n = strlen(d->new_name);
    if (!at || strstr(at + n, d->new_name)) return NULL;
    for (const char *p = word; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._/-+@", *p)) {
            bool bare = (at == cmd || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ');
            word = bare ? wick_sh_quote(a, d->lost) : NULL;
            break;
        }
    return word && *word != '-' ? wick_arena_printf(a, "%.*s%s%s", (int)(at - cmd), cmd, word, at + n) : NULL;
}

/* Judges one; false without memory. */
static bool judge(wick_arena *a, const char *request, wick_sh_candidate *c, const wick_sh_world *world, unsigned checks)
{
    memset(&c->doubts, 0, sizeof c->doubts);
    if (!c->answer.refused && wick_sh_doubt(a, request, c->answer.cmd, world, checks, &c->doubts, NULL) != WICK_OK)
        return false;
    c->score = c->logprob - c->doubts.cost;
    return true;
}

size_t wick_sh_rank(wick_arena *a, const char *request, wick_sh_candidate *c, size_t n, size_t room,
                    const wick_sh_world *world, unsigned checks)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < kept && !same_answer(&c[k].answer, &c[i].answer)) k++;
        if (k < kept) {
            c[k].votes += c[i].votes;
            if (c[i].logprob > c[k].logprob) c[k].logprob = c[i].logprob;
        } else {
            c[kept++] = c[i];
        }
    }
    for (size_t i = 0; i < kept; i++)
        if (!judge(a, request, c + i, world, checks)) return 0;
    const char *repaired = kept > 0 && kept < room ? wick_sh_repair(a, c->answer.cmd, &c->doubts) : NULL;
    if (repaired) {
        c[kept] =
            (wick_sh_candidate){.answer = {.cmd = repaired}, .logprob = c->logprob - COST_REPAIR, .votes = c->votes};
        if (!judge(a, request, c + kept++, world, checks)) return 0;
    }
    for (size_t i = 1; i < kept; i++) { /* few: insertion keeps the order of equals */
        wick_sh_candidate x = c[i];
        size_t k = i;
        for (; k > 0 && c[k - 1].score < x.score; k--) c[k] = c[k - 1];
        c[k] = x;
    }
    return kept;
}
