/* shell/flags.c - see flags.h. */
#include <string.h>
#include "base/str.h"
#include "shell/flags.h"

#define PROGRAM(name, letters, words, names) {name, letters, words, names},
static const wick_sh_program programs[] = {
#include "shell/flags.def"
};
#undef PROGRAM

static const wick_sh_program *find(const char *name, size_t n)
{
    for (size_t k = 0; k < sizeof programs / sizeof *programs; k++)
        if (strncmp(programs[k].name, name, n) == 0 && !programs[k].name[n]) return programs + k;
    return NULL;
}

const wick_sh_program *wick_sh_program_find(const char *name, const char *sub)
{
    char both[64];
    size_t n = strlen(name), m = sub ? strlen(sub) : 0;
    if (strcmp(name, "git") != 0) return find(name, n);
    if (m == 0 || n + m + 2 > sizeof both) return NULL;
    memcpy(both, name, n);
    both[n] = ' ';
    memcpy(both + n + 1, sub, m + 1);
    return find(both, n + m + 1);
}

/* Is word[0..n) an entry of the list, or the beginning of one where that is enough? A colon is no part of an entry. */
static bool among(const char *list, const char *word, size_t n, bool beginning)
{
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, " "), bare = len && p[len - 1] == ':' ? len - 1 : len;
        if ((beginning ? bare >= n : bare == n) && strncmp(p, word, n) == 0) return true;
        p += len + (p[len] == ' ');
    }
    return false;
}

/* Tests and actions of find without a value. */
static const char bare_words[] = "a and o or not true false empty delete depth print print0 prune ls daystart follow "
                                 "mount xdev noleaf nouser nogroup readable writable executable quit d help version "
                                 "warn nowarn ignore_readdir_race noignore_readdir_race";

wick_sh_option_is wick_sh_option_look(const wick_sh_program *p, const char *word)
{
    const char *s = word + 1;
    if (*s == '-') { /* a beginning of a name is the name, for programs of GNU */
        size_t n = strcspn(s + 1, "=");
        bool known = n == 0 || !*p->names || among(p->names, s + 1, n, true);
        return known ? WICK_SH_OPTION_KNOWN : WICK_SH_OPTION_UNKNOWN;
    }
    if (*s >= '0' && *s <= '9') return WICK_SH_OPTION_KNOWN; /* head -5, kill -9 */
    bool finds = strcmp(p->name, "find") == 0;
    if (among(p->words, s, strlen(s), false))
        return !finds || among(bare_words, s, strlen(s), false) ? WICK_SH_OPTION_KNOWN : WICK_SH_OPTION_TAKES_NEXT;
    if (finds && s[1]) return wick_starts_with(s, "newer") ? WICK_SH_OPTION_TAKES_NEXT : WICK_SH_OPTION_UNKNOWN;
    if (!*p->letters) return WICK_SH_OPTION_KNOWN;
    for (; *s; s++) {
        const char *at = *s == ':' ? NULL : strchr(p->letters, *s);
        if (!at) return WICK_SH_OPTION_UNKNOWN;
        if (at[1] == ':') return s[1] ? WICK_SH_OPTION_KNOWN : WICK_SH_OPTION_TAKES_NEXT;
    }
    return WICK_SH_OPTION_KNOWN;
}
