/* shell/refine.c - see refine.h.
 *
 * A rule is some words that must be there, and a piece that is put at the end of a find command, before its action, or
 * behind a pipe. {1} stands for the first number, {X} for the first word that is none of the rule's own and not small
 * talk, quoted. Rules are tried in order; the first that fits decides.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "base/buf.h"
#include "shell/flavours.h"
#include "shell/parse.h"
#include "shell/refine.h"

typedef enum where { FIND_TEST, FIND_END, PIPE, REDIRECT, BEFORE } where;

typedef struct rule {
    const char *words; /* groups divided by blanks, words of a group by |; one of each group must be there */
    where at;
    const char *piece;
} rule;

static const rule rules[] = {
    {"delete|remove|rm|erase", FIND_END, "-delete"},
    {"copy|cp them|those|it|to|into", FIND_END, "-exec cp {} {X} ';'"},
    {"move|mv them|those|it|to|into", FIND_END, "-exec mv {} {X} ';'"},
    {"size|sizes|details|long|how show|with|list|big", FIND_END, "-exec ls -lh {} +"},
    {"bigger|larger|over|above|than {N} kb|k|kilobytes", FIND_TEST, "-size +{1}k"},
    {"bigger|larger|over|above|than {N} gb|g|gigabytes", FIND_TEST, "-size +{1}G"},
    {"bigger|larger|over|above|than {N}", FIND_TEST, "-size +{1}M"},
    {"smaller|under|below {N} kb|k|kilobytes", FIND_TEST, "-size -{1}k"},
    {"smaller|under|below {N}", FIND_TEST, "-size -{1}M"},
    {"big|large|huge", FIND_TEST, "-size +10M"},
    {"empty", FIND_TEST, "-empty"},
    {"folders|directories|dirs", FIND_TEST, "-type d"},
    {"files only|just", FIND_TEST, "-type f"},
    {"today", FIND_TEST, "-mtime -1"},
    {"week", FIND_TEST, "-mtime -7"},
    {"month", FIND_TEST, "-mtime -30"},
    {"last|past|within {N} days|day", FIND_TEST, "-mtime -{1}"},
    {"last|past|within {N} minutes|minute", FIND_TEST, "-mmin -{1}"},
    {"older|before {N} days|day", FIND_TEST, "-mtime +{1}"},
    {"many|count|number", PIPE, "wc -l"},
    {"sort|sorted|order reverse|reversed|backwards|descending", PIPE, "sort -r"},
    {"sort|sorted|order number|numbers|numerically|numeric|size", PIPE, "sort -n"},
    {"sort|sorted|order|alphabetically", PIPE, "sort"},
    {"unique|duplicates|once|distinct", PIPE, "sort -u"},
    {"first|top|only|just {N}", PIPE, "head -n {1}"},
    {"last|bottom {N}", PIPE, "tail -n {1}"},
    {"save|write|put|store into|to|in", REDIRECT, "{X}"},
    {"without|except|excluding|not", PIPE, "grep -v {X}"},
    {"containing|contain|contains|matching|with|named|called|mention", PIPE, "grep {X}"},
    {"root|sudo|admin", BEFORE, "sudo "},
};

enum { MAX_WORDS = 40, MAX_TEXT = 400, SHORT = 4 }; /* so few words can hardly be a request of their own */
static const char small_talk[] = " only just now the ones one them those these it they that which are is were was of "
                                 "and then also but please can you "
                                 "me a an to into in on for from with all more than named called containing contain "
                                 "contains matching without except "
                                 "excluding not instead show list give sort by file files save write put store copy "
                                 "move as lines line mention result "
                                 "results output folder directory do so i want ";

static bool in_list(const char *list, const char *w, size_t n)
{
    for (const char *p = list; (p = strstr(p, " ")) != NULL;) {
        p++;
        if (strncmp(p, w, n) == 0 && p[n] == ' ') return true;
    }
    return false;
}

typedef struct said {
    char text[MAX_TEXT + 1]; /* cut into words by NULs, as they were written */
    const char *word[MAX_WORDS];
    size_t n;
    char number[24]; /* the first number; "" for none */
} said;

static bool read_words(said *s, const char *text)
{
    size_t len = strlen(text);
    memset(s, 0, sizeof *s);
    if (len > MAX_TEXT) return false;
    memcpy(s->text, text, len);
    for (size_t i = 0; i < len && s->n < MAX_WORDS;) {
        while (i < len && (isspace((unsigned char)text[i]) || strchr(",;:!?\"'", text[i]))) s->text[i++] = 0;
        if (i >= len) break;
        size_t from = i;
        if (isdigit((unsigned char)text[i])) { /* "10mb" is a number and a unit */
            while (i < len && isdigit((unsigned char)text[i])) i++;
            if (!*s->number && i - from < sizeof s->number) memcpy(s->number, text + from, i - from);
            if (i < len && isspace((unsigned char)text[i])) s->text[i] = 0;
            s->word[s->n++] = s->text + from;
            if (i < len && isalpha((unsigned char)text[i]) && s->n < MAX_WORDS) s->word[s->n++] = s->text + i;
        } else {
            s->word[s->n++] = s->text + from;
        }
        while (i < len && !isspace((unsigned char)text[i]) && !strchr(",;:!?\"'", text[i])) i++;
        if (i > from && s->text[i - 1] == '.') s->text[i - 1] = 0;
    }
    return s->n > 0;
}

static bool says(const said *s, const char *group, size_t n)
{
    if (n == 3 && memcmp(group, "{N}", 3) == 0) return *s->number != 0;
    for (const char *p = group; p < group + n;) {
        size_t len = strcspn(p, "| ");
        for (size_t k = 0; k < s->n; k++)
            if (strlen(s->word[k]) == len && strncasecmp(s->word[k], p, len) == 0) return true;
        p += len + 1;
    }
    return false;
}

static bool fits(const said *s, const char *words)
{
    for (const char *p = words; *p;) {
        size_t len = strcspn(p, " ");
        if (!says(s, p, len)) return false;
        p += len + (p[len] == ' ');
    }
    return true;
}

/* The word that a rule works with: the last one that is no small talk. */
static const char *object(const said *s)
{
    for (size_t k = s->n; k-- > 0;) {
        char low[64];
        size_t n = strlen(s->word[k]);
        if (n == 0 || n >= sizeof low || isdigit((unsigned char)s->word[k][0])) continue;
        for (size_t i = 0; i <= n; i++) low[i] = (char)tolower((unsigned char)s->word[k][i]);
        if (!in_list(small_talk, low, n)) return s->word[k];
    }
    return NULL;
}

/* A word that needs no quotes stays as it is. */
static const char *shell_word(wick_arena *a, const char *w)
{
    for (const char *p = w; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._/-+@%=:", *p)) return wick_sh_quote(a, w);
    return *w == '-' ? wick_sh_quote(a, w) : w;
}

/* piece with {1} and {X} filled in; NULL: there is no such word. */
static const char *filled(wick_arena *a, const said *s, const char *piece)
{
    wick_buf b = WICK_BUF_INIT;
    const char *x = strstr(piece, "{X}") ? object(s) : "";
    if (x) x = shell_word(a, x);
    for (const char *p = piece; x && *p;) {
        bool number = strncmp(p, "{1}", 3) == 0, word = strncmp(p, "{X}", 3) == 0;
        if (number) wick_buf_puts(&b, s->number);
        if (word) wick_buf_puts(&b, x);
        if (!number && !word) wick_buf_putc(&b, *p);
        p += number || word ? 3 : 1;
    }
    const char *out = x && !b.failed ? wick_arena_strdup(a, wick_buf_str(&b)) : NULL;
    wick_buf_release(&b);
    return out;
}

typedef struct shape {
    bool find, pipes; /* one find command without an action; something that may stand before a pipe */
} shape;

static shape shape_of(wick_arena *a, const char *cmd)
{
    wick_sh_node *tree = NULL;
    shape s = {0};
    if (wick_sh_parse(a, cmd, strlen(cmd), &tree, NULL) != WICK_OK || !tree) return s;
    const wick_sh_node *c = tree;
    while (c && (c->kind == WICK_SH_LIST || c->kind == WICK_SH_PIPE) && c->kid && !c->kid->next && !c->background)
        c = c->kid;
    if (!c || c->background) return s;
    const wick_sh_node *last = c->kind == WICK_SH_PIPE ? c->last_kid : c;
    s.pipes = last && last->kind == WICK_SH_SIMPLE && !last->redir && !last->background && !strstr(cmd, " -delete");
    s.find = c->kind == WICK_SH_SIMPLE && c->word && c->word->raw.n == 4 && memcmp(c->word->raw.p, "find", 4) == 0 &&
             !c->redir && !strstr(cmd, " -exec") && !strstr(cmd, " -delete") && !strstr(cmd, " -print");
    return s;
}

bool wick_sh_goes_on(const char *text)
{
    static const char first[] =
        " only now and but then also instead just without except those them it sort reverse not "
        "larger bigger smaller over under changed older newer first last top count ";
    static const char any[] = " them those these ones it that ";
    said s;
    if (!read_words(&s, text)) return false;
    for (size_t k = 0; k < s.n; k++) {
        char low[32];
        size_t n = strlen(s.word[k]);
        if (n == 0 || n >= sizeof low) continue;
        for (size_t i = 0; i <= n; i++) low[i] = (char)tolower((unsigned char)s.word[k][i]);
        if ((k == 0 && in_list(first, low, n)) || in_list(any, low, n)) return true;
    }
    return false;
}

const char *wick_sh_refine(wick_arena *a, const char *cmd, const char *text)
{
    said s;
    if (!*cmd || !read_words(&s, text) || (s.n > SHORT && !wick_sh_goes_on(text))) return NULL;
    const shape is = shape_of(a, cmd);
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
        const rule *r = rules + k;
        bool on_find = r->at == FIND_TEST || r->at == FIND_END;
        if (!fits(&s, r->words) || (on_find ? !is.find : !is.pipes)) continue;
        const char *piece = filled(a, &s, r->piece);
        if (!piece) continue;
        return r->at == BEFORE     ? wick_arena_printf(a, "%s%s", piece, cmd)
               : r->at == PIPE     ? wick_arena_printf(a, "%s | %s", cmd, piece)
               : r->at == REDIRECT ? wick_arena_printf(a, "%s > %s", cmd, piece)
                                   : wick_arena_printf(a, "%s %s", cmd, piece);
    }
    return NULL;
}
