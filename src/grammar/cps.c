/* grammar/cps.c - sets of characters as sorted ranges of code points. */
#include "grammar/pattern.h"
#include <stdlib.h>
#include <utf8proc.h>
#include "base/thread.h"

enum { LAST = 0x10FFFF, MAX_FOLD = 0x24FF };

void wick_cps_release(wick_cps *c)
{
    wick_free(c->v);
    *c = (wick_cps){0};
}

void wick_cps_add(wick_cps *c, uint32_t lo, uint32_t hi)
{
    if (c->failed) return;
    if (c->n == c->cap) {
        uint32_t cap = c->cap ? c->cap * 2 : 16;
        wick_cp_range *v = wick_realloc_array(c->v, cap, sizeof *v);
        if (!v) {
            c->failed = true;
            return;
        }
        c->v = v;
        c->cap = cap;
    }
    c->v[c->n++] = (wick_cp_range){lo, hi};
}

static int by_lo(const void *a, const void *b)
{
    const wick_cp_range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

void wick_cps_tidy(wick_cps *c)
{
    if (c->n < 2) return;
    qsort(c->v, c->n, sizeof *c->v, by_lo);
    uint32_t n = 1;
    for (uint32_t i = 1; i < c->n; i++) {
        if (c->v[i].lo <= c->v[n - 1].hi + 1) {
            if (c->v[i].hi > c->v[n - 1].hi) c->v[n - 1].hi = c->v[i].hi;
        } else {
            c->v[n++] = c->v[i];
        }
    }
    c->n = n;
}

void wick_cps_invert(wick_cps *c)
{
    wick_cps out = {.failed = c->failed};
    uint32_t next = 0;
    wick_cps_tidy(c);
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->v[i].lo > next) wick_cps_add(&out, next, c->v[i].lo - 1);
        next = c->v[i].hi + 1;
    }
    if (next <= LAST) wick_cps_add(&out, next, LAST);
    wick_cps_release(c);
    *c = out;
}

/* Letters above MAX_FOLD whose case matters are few and far; they are looked at only where a range is small. */
void wick_cps_fold(wick_cps *c)
{
    wick_cps_tidy(c);
    uint32_t n = c->n;
    for (uint32_t i = 0; i < n; i++) {
        wick_cp_range r = c->v[i];
        if (r.hi > LAST) r.hi = LAST;
        uint32_t hi = r.hi - r.lo < 512 || r.hi < MAX_FOLD ? r.hi : MAX_FOLD;
        for (uint32_t x = r.lo; x <= hi; x++) {
            uint32_t lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)x);
            uint32_t upper = (uint32_t)utf8proc_toupper((utf8proc_int32_t)x);
            if (lower != x) wick_cps_add(c, lower, lower);
            if (upper != x) wick_cps_add(c, upper, upper);
        }
    }
    wick_cps_tidy(c);
}

static void add_word(wick_cps *c)
{
    wick_cps_add(c, '0', '9');
    wick_cps_add(c, 'A', 'Z');
    wick_cps_add(c, '_', '_');
    wick_cps_add(c, 'a', 'z');
}

static void add_space(wick_cps *c, wick_pattern_kind kind)
{
    wick_cps_add(c, '\t', '\n');
    if (kind == WICK_PATTERN_ECMA) wick_cps_add(c, 0x0B, 0x0B);
    wick_cps_add(c, 0x0C, '\r');
    wick_cps_add(c, ' ', ' ');
    if (kind != WICK_PATTERN_ECMA) return;
    wick_cps_add(c, 0xA0, 0xA0);
    wick_cps_add(c, 0x1680, 0x1680);
    wick_cps_add(c, 0x2000, 0x200A);
    wick_cps_add(c, 0x2028, 0x2029);
    wick_cps_add(c, 0x202F, 0x202F);
    wick_cps_add(c, 0x205F, 0x205F);
    wick_cps_add(c, 0x3000, 0x3000);
    wick_cps_add(c, 0xFEFF, 0xFEFF);
}

bool wick_cps_add_class(wick_cps *c, char letter, wick_pattern_kind kind)
{
    wick_cps x = {0};
    switch (letter | 0x20) {
    case 'd': wick_cps_add(&x, '0', '9'); break;
    case 'w': add_word(&x); break;
    case 's': add_space(&x, kind); break;
    default: return false;
    }
    if (letter < 'a') wick_cps_invert(&x);
    for (uint32_t i = 0; i < x.n; i++) wick_cps_add(c, x.v[i].lo, x.v[i].hi);
    c->failed |= x.failed;
    wick_cps_release(&x);
    return true;
}

/* Two letters by utf8proc's number of a category. */
static const char categories[] = "CnLuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCo";

static const char *short_name(const char *name, size_t n, size_t *out_n)
{
    static const char *const names[][2] = {{"Letter", "L"},
                                           {"Mark", "M"},
                                           {"Number", "N"},
                                           {"Punctuation", "P"},
                                           {"Symbol", "S"},
                                           {"Separator", "Z"},
                                           {"Other", "C"},
                                           {"Uppercase_Letter", "Lu"},
                                           {"Lowercase_Letter", "Ll"},
                                           {"Decimal_Number", "Nd"},
                                           {"Titlecase_Letter", "Lt"},
                                           {"Modifier_Letter", "Lm"},
                                           {"Other_Letter", "Lo"},
                                           {"Control", "Cc"},
                                           {"Space_Separator", "Zs"},
                                           {"punct", "P"},
                                           {"Nonspacing_Mark", "Mn"},
                                           {"digit", "Nd"}};
    static const char *const prefix[] = {"General_Category=", "gc="};
    for (size_t i = 0; i < 2; i++)
        if (n > strlen(prefix[i]) && memcmp(name, prefix[i], strlen(prefix[i])) == 0) {
            n -= strlen(prefix[i]);
            name += strlen(prefix[i]);
        }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i][0]) == n && memcmp(name, names[i][0], n) == 0) {
            *out_n = strlen(names[i][1]);
            return names[i][1];
        }
    *out_n = n;
    return name;
}

/* All of Unicode as runs of one category each, made once: asking a million characters takes longer than a schema
 * may. */
enum { MAX_RUNS = 8192 };
static struct {
    uint32_t from;
    uint8_t category;
} runs[MAX_RUNS];
static uint32_t n_runs;
static wick_once runs_once = WICK_ONCE_INIT;

static void make_runs(void)
{
    for (uint32_t x = 0; x <= LAST; x++) {
        uint8_t k = (uint8_t)utf8proc_category((utf8proc_int32_t)x) & 31;
        if (n_runs && (runs[n_runs - 1].category == k || n_runs == MAX_RUNS)) continue;
        runs[n_runs].from = x;
        runs[n_runs++].category = k;
    }
}

bool wick_cps_add_category(wick_cps *c, const char *name, size_t n, bool negated)
{
    bool in[32] = {false}, any = false;
    name = short_name(name, n, &n);
    if (n == 3 && memcmp(name, "Any", 3) == 0) {
        if (!negated) wick_cps_add(c, 0, LAST);
        return true;
    }
    if (n == 5 && memcmp(name, "ASCII", 5) == 0) {
        wick_cps_add(c, negated ? 0x80 : 0, negated ? LAST : 0x7F);
        return true;
    }
    if (n < 1 || n > 2) return false;
    for (int k = 0; k < 30; k++)
        if (categories[k * 2] == name[0] && (n == 1 || categories[k * 2 + 1] == name[1])) in[k] = any = true;
    if (!any) return false;
    wick_call_once(&runs_once, make_runs);
    for (uint32_t i = 0; i < n_runs; i++) {
        uint32_t hi = i + 1 < n_runs ? runs[i + 1].from - 1 : LAST;
        if (in[runs[i].category] != negated) wick_cps_add(c, runs[i].from, hi);
    }
    return true;
}
