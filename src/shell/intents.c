/* shell/intents.c - see intents.h.
 *
 * A row of intents.def is a pattern and a command. The pattern is groups of words divided by blanks: of each group one
 * alternative (divided by |) must be in the request, in any order; a group with a ? may be missing. Slots in the
 * pattern must be filled, and the request must have no other names or numbers:
 *
 *   {f} {g} names with a dot or a slash; {f.gz} one that ends so; {u} an address    {n} {m} numbers
 *   {t} {s} a quoted text, or the word that nothing else explains, in a pattern     {q} the same as a word of the shell
 *   {w} a plain word that nothing else explains                                     {d} a folder, . where there is none
 *
 * and in commands also {n+1:11}, a number and one or that preset, {F} and {S}, the options for commas in a .csv. Words
 * are compared in a plain form: small letters, no plural, and one word for all that mean the same. What people say
 * around a request ("please", "show me") does not count; every other word has to be explained by the row but one.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/str.h"
#include "shell/flavours.h"
#include "shell/intents.h"

typedef struct row {
    const char *pattern, *cmd;
} row;

#define INTENT(pattern, cmd) {pattern, cmd},
static const row rows[] = {
#include "shell/intents.def"
};
#undef INTENT

/* What does not say what is wanted. */
static const char stop_words[] =
    " a an the of but than between generate make create produce work calculate compute determine check-if in on at to "
    "for "
    "from by with is are was were be been me my i it its we us you your please can could would "
    "will show list display print give tell get see view find what which how do does did there here this that these "
    "those "
    "and or any some now want need like so let out up as if has have had into onto them they their just quick hey hi "
    "thanks command using via currently current could-you i'd i'll what's let's how's gimme wanna kindly go look check "
    "contents content result output linux unix within inside under per one's am-i using use-the also "
    "where's whats id like d'you s m ll d then make do-it off ";
/* What counts only where a row asks for it. */
static const char weak_words[] = " file folder all each every whole entire name line column system machine my number "
                                 "value text much path where when who use am count one only year run convert case ";
static const char synonyms[] =
    "folder=directory,dir,subfolder,subdirectory;delete=remove,rm,erase,drop,strip,clear,exclude,eliminate;"
    "count=many,tally,quantity,total-number;biggest=largest,heaviest,bulkiest;smallest=tiniest;newest=latest,recent,"
    "recently;"
    "duplicate=repeated,duplicated,dupe,dup,repeat-line;unique=distinct,different;reverse=backward,reversed,backwards,"
    "inverted;column=field;sum=add,summed;average=mean,avg;max=maximum,highest,greatest;min=minimum,lowest;cpu=cpus;"
    "memory=ram,mem;disk=hdd,ssd;version=release;os=operating;user=username,account;run=running,runs;use=used,usage,"
    "uses,"
    "using,occupied,occupies,taken,consuming,consume,eating,hogging;listen=listening;change=changed,modified,"
    "modification,"
    "edited,touched,updated,altered,modify;access=accessed,read-last;own=owns,owned,belongs,belonging;owner=ownership;"
    "permission=mode,right,access-right;symlink=symbolic,link;broken=dangling,dead;contain=containing,contains,with-"
    "text,"
    "including,include,includes,mentioning,mention,matching,match,having;start=starting,starts,beginning,begins,begin;"
    "end="
    "ending,ends;uppercase=capitals,capital,upper,capitalise,capitalize,caps;lowercase=lower,small-letters;character="
    "char,"
    "letter;frequency=frequencies,often,histogram;common=frequent,popular;empty=blank;whitespace=spaces,blanks;random="
    "randomly;shuffle=shuffled,mix,scramble,jumble;join=joined,combine,combined,glue;merge=merged;compare=comparison;"
    "difference=differ,differs,diff,differences;identical=equal;same=alike;todo=todos;download=wget;url=link-address,"
    "urls,"
    "hyperlink;email=mail-address,emails,e-mail;header=heading,headers;json=jsons;pretty=nicely,prettily,beautify,"
    "pretty-print,prettify;key=keys;integrity=intact;week=weekly;timezone=tz,zone;epoch=epochs;second=seconds,sec;uuid="
    "guid;"
    "hex=hexadecimal;base64=base-64;encode=encoded,encoding-of;decode=decoded;password=passphrase;contributor="
    "contributors,"
    "committer;commit=commits,committed;branch=branches;stash=stashes,stashed;staged=cached,index;tag=tags;repository="
    "repo;"
    "kill=terminate;stop=halt;port=ports;connection=connections;interface=nic,interfaces,adapter;gateway=router;route="
    "routing,routes;dns=nameservers;ip=ips;process=processes,task,tasks;thread=threads;zombie=zombies,defunct;service="
    "services,daemon,unit;fail=failed,failing;installed=installation,install;package=packages;temperature=temp,"
    "temperatures,hot;battery=batteries;charge=charged;free=available,unused,left-over;space=room;mounted=mounts;"
    "executable=executables,runnable;writable=writeable;hidden=dotfile,dotfiles;extension=suffix,extensions;type=types;"
    "size=sizes;longest=widest;last=final,latest-of;first=initial,leading-one;line=row,rows;word=words,term;split="
    "splitted,"
    "cut,chop;part=parts;sorted=ordered;sort=order-by;number=numbers,numeric,numerically,integer,digits;today=todays;"
    "day=days;month=months;convert=translate,transform,turn;expand=expanded;numbered=numbering;trailing=trailing;path="
    "paths;"
    "environment=env;variable=variables,var,vars;detail=details,info,information,specs,stats;login=logins,log-in;"
    "logged="
    "logged-in,signed;machine=computer,box,host,server-name;hash=digest,fingerprint;checksum=sums;readable=human;exist="
    "exists;reach=reachable,reached;online=responding;open=opened,opens;parent=ppid;wrote=written,author-of;undo="
    "uncommit,"
    "rollback;discard=throw;untracked=un-tracked;merged=merged;bigger=larger,greater;smaller=less,lower-than;longer="
    "more-than;"
    "shorter=shorter;even=even;odd=odd;median=median;root=sqrt;octal=oct;binary=bin;factor=factors,factorise,factorize;"
    "prime="
    "primes;comment=comments,commented;function=functions,method,defs;comma=commas;compact=compressed-json;digit=digit;"
    "appear=appears,occurs,occur;occurrence=occurrences;time=times;total=overall,altogether,combined-size;hungry=heavy;"
    "most="
    "most;top=top;each=individual;yesterday=yesterday;tomorrow=tomorrow;staged=staged;append=appended;missing=absent";

enum { MAX_TOKENS = 48, MAX_WORD = 64, MAX_REQUEST = 600, WORD = 0, NAME, NUMBER, QUOTED, FOLDER };

typedef struct token {
    int kind;
    bool stop, weak, used;
    char plain[MAX_WORD]; /* WORD: in its plain form */
    const char *text;     /* as it was written, in the arena */
} token;

typedef struct request {
    token t[MAX_TOKENS];
    size_t n;
} request;

/* ---- words -------------------------------------------------------------------------------------------------- */

static bool listed(const char *list, const char *w)
{
    size_t n = strlen(w);
    for (const char *p = list; (p = strstr(p, w)) != NULL; p++)
        if (p[-1] == ' ' && p[n] == ' ') return true;
    return false;
}

/* One word for all that mean the same. */
static void unify(char *w)
{
    size_t n = strlen(w);
    for (const char *p = synonyms; *p;) {
        size_t head = strcspn(p, "="), all = strcspn(p, ";");
        for (const char *q = p + head + 1; q < p + all;) {
            size_t len = strcspn(q, ",;");
            if (len == n && memcmp(q, w, n) == 0 && head < MAX_WORD) {
                memcpy(w, p, head);
                w[head] = 0;
                return;
            }
            q += len + 1;
        }
        p += all + (p[all] == ';');
    }
}

static void singular(char *w)
{
    size_t n = strlen(w);
    if (n > 4 && strcmp(w + n - 3, "ies") == 0) {
        strcpy(w + n - 3, "y");
    } else if (n > 3 && w[n - 1] == 's' && w[n - 2] != 's' && w[n - 2] != 'u' && w[n - 2] != 'i') {
        w[n - 1] = 0;
    }
}

static const char *number_word(const char *w)
{
    static const char *const names[] = {"zero", "one",   "two",   "three", "four", "five",
                                        "six",  "seven", "eight", "nine",  "ten"};
    static const char *const places[] = {"",      "",        "",       "third", "fourth", "fifth",
                                         "sixth", "seventh", "eighth", "ninth", "tenth"};
    static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"};
    for (size_t k = 2; k < 11; k++)
        if (strcmp(w, names[k]) == 0 || strcmp(w, places[k]) == 0) return digits[k];
    return NULL;
}

static bool is_name(const char *s)
{
    if (*s == '/' && s[1]) return true;
    for (size_t i = 1; *s && s[i]; i++)
        if ((s[i] == '.' || s[i] == '/' || s[i] == '_') && (s[i + 1] || s[i] == '/')) return true;
    return false;
}

/* Is a quoted text the name of a file: does it end like "x.txt"? */
static bool is_file(const char *s)
{
    const char *dot = strrchr(s, '.');
    size_t n = dot ? strlen(dot + 1) : 0;
    return dot && dot > s && n >= 2 && n <= 5 && strspn(dot + 1, "abcdefghijklmnopqrstuvwxyz0123456789") == n;
}

static void add_word(wick_arena *a, request *r, const char *s, size_t n)
{
    while (n && strchr("([{<,;:'\"", *s)) s++, n--;
    while (n && strchr(")]}>,;:?!.'\"", s[n - 1])) n--;
    if (n > 2 && s[n - 1] == 's' && s[n - 2] == '\'') n -= 2;
    if (n == 0 || n >= MAX_WORD || r->n == MAX_TOKENS) return;
    token *t = r->t + r->n++;
    t->text = wick_arena_strndup(a, s, n);
    for (size_t i = 0; i < n; i++) t->plain[i] = (char)tolower((unsigned char)s[i]);
    const char *digits = number_word(t->plain);
    size_t whole = strspn(t->plain, "0123456789");
    bool ordinal = whole && (strcmp(t->plain + whole, "st") == 0 || strcmp(t->plain + whole, "nd") == 0 ||
                             strcmp(t->plain + whole, "rd") == 0 || strcmp(t->plain + whole, "th") == 0);
    if (digits || (whole && (whole == n || ordinal))) {
        t->kind = NUMBER;
        t->text = digits ? digits : wick_arena_strndup(a, s, whole);
    } else if (t->text && is_name(t->text)) {
        t->kind = NAME;
    } else {
        t->stop = listed(stop_words, t->plain);
        unify(t->plain);
        singular(t->plain);
        unify(t->plain);
        t->weak = listed(weak_words, t->plain);
    }
}

/* Is the word of any row a word of a group? A folder's name after "in" is none. */
static bool in_any_row(const char *w)
{
    size_t n = strlen(w);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (const char *p = rows[k].pattern; (p = strstr(p, w)) != NULL; p++)
            if ((p == rows[k].pattern || p[-1] == ' ' || p[-1] == '|') && (p[n] == 0 || strchr(" |?", p[n])))
                return true;
    return false;
}

/* "in src", "the docs folder" name a folder; "the second column" a number. */
static void find_folders(request *r)
{
    for (size_t i = 0; i + 1 < r->n; i++) {
        size_t k = i + 1;
        token *t = r->t + i, *next = t + 1;
        if (t->kind == WORD && next->kind == WORD) {
            if (strcmp(next->plain, "folder") == 0 && !t->stop && !t->weak && !in_any_row(t->plain)) t->kind = FOLDER;
            const char *place = strcmp(t->plain, "first") == 0 ? "1" : strcmp(t->plain, "second") == 0 ? "2" : NULL;
            if (place && strcmp(next->plain, "column") == 0) {
                t->kind = NUMBER;
                t->text = place;
            }
        }
        if (r->t[i].kind != WORD || !listed(" in under inside within below ", r->t[i].plain)) continue;
        while (k < r->n && r->t[k].kind == WORD && listed(" the my our ", r->t[k].plain)) k++;
        if (k < r->n && r->t[k].kind == WORD && !r->t[k].stop && !r->t[k].weak && !in_any_row(r->t[k].plain))
            r->t[k].kind = FOLDER;
        else if (k < r->n && r->t[k].kind == NAME && r->t[k].text[strlen(r->t[k].text) - 1] == '/')
            r->t[k].kind = FOLDER;
    }
}

static bool read_request(wick_arena *a, request *r, const char *text)
{
    memset(r, 0, sizeof *r);
    if (strlen(text) > MAX_REQUEST) return false;
    for (const char *p = text; *p;) {
        while (isspace((unsigned char)*p)) p++;
        const char *close = *p == '"' || *p == '\'' || *p == '`' ? strchr(p + 1, *p) : NULL;
        if (close && close > p + 1 && r->n < MAX_TOKENS && (close[1] == 0 || strchr(" ,.?!", close[1]))) {
            token *t = r->t + r->n++;
            t->text = wick_arena_strndup(a, p + 1, (size_t)(close - p - 1));
            t->kind = t->text && is_file(t->text) ? NAME : QUOTED;
            p = close + 1;
            continue;
        }
        size_t n = strcspn(p, " \t\r\n");
        add_word(a, r, p, n);
        p += n;
    }
    find_folders(r);
    return r->n > 0 && !a->failed;
}

/* ---- rows --------------------------------------------------------------------------------------------------- */

enum { SLOT_F, SLOT_G, SLOT_U, SLOT_N, SLOT_M, SLOT_T, SLOT_S, SLOT_Q, SLOT_W, SLOT_D, N_SLOTS };
static const char slot_letters[] = "fgunmtsqwd";

typedef struct fit {
    const char *slot[N_SLOTS];
    unsigned explained, left;
} fit;

static token *unused(request *r, int kind)
{
    for (size_t k = 0; k < r->n; k++)
        if (r->t[k].kind == kind && !r->t[k].used) return r->t + k;
    return NULL;
}

/* A group: one of its words; *optional where it has a question mark. */
static bool take_group(request *r, const char *group, size_t n, bool *optional)
{
    *optional = memchr(group, '?', n) != NULL;
    for (size_t k = 0; k < r->n; k++) {
        if (r->t[k].kind != WORD || r->t[k].used) continue;
        for (const char *p = group; p < group + n;) {
            size_t all = strcspn(p, "| "), len = all && p[all - 1] == '?' ? all - 1 : all;
            if (len > 0 && strlen(r->t[k].plain) == len && memcmp(p, r->t[k].plain, len) == 0) {
                r->t[k].used = true;
                return true;
            }
            p += all + 1;
        }
    }
    return false;
}

/* A slot that is a token of its own kind; those of words come later. */
static bool take_slot(request *r, const char *slot, fit *f)
{
    int which = (int)(strchr(slot_letters, *slot) - slot_letters);
    int kind = which <= SLOT_U   ? NAME
               : which <= SLOT_M ? NUMBER
               : which <= SLOT_Q ? QUOTED
               : which == SLOT_D ? FOLDER
                                 : WORD;
    token *t = which == SLOT_W ? NULL : unused(r, kind);
    if (which == SLOT_D) f->slot[which] = t ? t->text : ".";
    if (t && slot[1] == '.') {
        size_t n = strcspn(slot + 1, "}");
        if (strlen(t->text) < n || strncmp(t->text + strlen(t->text) - n, slot + 1, n) != 0) return false;
    }
    if (!t) return which >= SLOT_T; /* a word may stand for a text */
    t->used = true;
    f->slot[which] = t->text;
    f->explained++;
    return true;
}

/* A word that nothing explains, for a slot. */
static bool take_left_word(request *r, int which, const char **slot)
{
    for (size_t k = 0; k < r->n; k++) {
        token *t = r->t + k;
        if (t->used || t->stop || t->weak || t->kind == NUMBER || t->kind == QUOTED) continue;
        if (which == SLOT_Q && t->kind == NAME) continue; /* a file is meant */
        t->used = true;
        *slot = t->text;
        return true;
    }
    return false;
}

static bool fits(request *r, const row *w, fit *f)
{
    memset(f, 0, sizeof *f);
    for (size_t k = 0; k < r->n; k++) r->t[k].used = false;
    for (const char *p = w->pattern; *p;) {
        size_t n = strcspn(p, " ");
        bool optional = false;
        if (*p == '{' ? !take_slot(r, p + 1, f) : !take_group(r, p, n, &optional)) {
            if (!optional) return false;
        } else if (*p != '{') {
            f->explained++;
        }
        p += n + (p[n] == ' ');
    }
    for (int s = SLOT_T; s <= SLOT_W; s++) {
        char name[4] = {'{', slot_letters[s], '}', 0};
        if (!f->slot[s] && strstr(w->pattern, name) && !take_left_word(r, s, &f->slot[s])) return false;
    }
    if (strstr(w->cmd, "{n+1")) {
        token *t = unused(r, NUMBER);
        if (t) {
            t->used = true;
            f->slot[SLOT_N] = t->text;
        }
    }
    for (size_t k = 0; k < r->n; k++) {
        const token *t = r->t + k;
        if (t->used || (t->kind == WORD && (t->stop || t->weak))) continue;
        if (t->kind != WORD) return false;
        f->left++;
    }
    return f->left <= 1;
}

/* ---- commands ----------------------------------------------------------------------------------------------- */

static bool plain_word(const char *s)
{
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._/-+@:", *s)) return false;
    return true;
}

/* The text of a slot as its place in the command needs it; false: it cannot stand there. */
static bool put_slot(wick_arena *a, wick_buf *b, int which, const char *v)
{
    if (which == SLOT_N || which == SLOT_M) {
        wick_buf_puts(b, v);
        return true;
    }
    if (which == SLOT_W) {
        if (!plain_word(v) || *v == '-') return false;
        wick_buf_puts(b, v);
        return true;
    }
    if (which == SLOT_T || which == SLOT_S) { /* inside of a pattern in single quotes */
        for (; *v; v++) {
            if (*v == '\'' || (unsigned char)*v < ' ') return false;
            if (strchr(".*[]^$/\\", *v)) wick_buf_putc(b, '\\');
            wick_buf_putc(b, *v);
        }
        return true;
    }
    const char *word = *v && plain_word(v) && *v != '-' ? v : wick_sh_quote(a, v);
    if (word && *v == '-') wick_buf_puts(b, "./");
    if (word) wick_buf_puts(b, *v == '-' ? v : word);
    return word != NULL && (*v != '-' || plain_word(v));
}

static const char *command_of(wick_arena *a, const char *cmd, const fit *f)
{
    wick_buf b = WICK_BUF_INIT;
    bool ok = true;
    const char *file = f->slot[SLOT_F];
    bool commas = file && wick_ends_with(file, ".csv");
    for (const char *p = cmd; ok && *p;) {
        const char *at = *p == '{' && p[1] ? strchr(slot_letters, p[1]) : NULL;
        size_t n = *p == '{' ? strcspn(p, "}") + 1 : 0;
        if (strncmp(p, "{n+1:", 5) == 0) {
            const char *v = f->slot[SLOT_N];
            wick_buf_printf(&b, "%ld", v ? strtol(v, NULL, 10) + 1 : strtol(p + 5, NULL, 10));
        } else if (strncmp(p, "{F}", 3) == 0) {
            wick_buf_puts(&b, commas ? "-F, " : "");
        } else if (strncmp(p, "{S}", 3) == 0) {
            wick_buf_puts(&b, commas ? "-t, " : "");
        } else if (at && (n == 3 || p[2] == '.') && f->slot[at - slot_letters]) {
            ok = put_slot(a, &b, (int)(at - slot_letters), f->slot[at - slot_letters]);
        } else {
            wick_buf_putc(&b, *p++);
            continue;
        }
        p += n;
    }
    const char *out = ok && !b.failed ? wick_arena_strndup(a, wick_buf_str(&b), b.n) : NULL;
    wick_buf_release(&b);
    return out;
}

bool wick_sh_intent_find(wick_arena *a, const char *text, wick_sh_intent *out)
{
    request r;
    fit f, best = {0};
    const row *found = NULL;
    if (!read_request(a, &r, text)) return false;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        if (!fits(&r, rows + k, &f)) continue;
        if (found && (f.left > best.left || (f.left == best.left && f.explained <= best.explained))) continue;
        found = rows + k;
        best = f;
    }
    if (!found) return false;
    *out = (wick_sh_intent){command_of(a, found->cmd, &best), best.left, best.explained};
    return out->cmd != NULL;
}
