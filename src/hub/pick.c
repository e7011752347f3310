/* hub/pick.c - see pick.h. The labels are those that llama.cpp's quantizer and the makers of GGUF repositories put into
 * file names; the bits are those of a typical model, embeddings included. */
#include "hub/pick.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/buf.h"
#include "base/str.h"

typedef struct label {
    const char *name;
    float bits;
    unsigned char rank; /* the order of the default among those that fit: 1 first, 0 never before others */
} label;

static const label labels[] = {
    {"F32", 32.0F, 0},     {"F16", 16.0F, 0},    {"BF16", 16.0F, 0},   {"Q8_0", 8.5F, 12},    {"Q8_K_XL", 9.0F, 0},
    {"Q6_K", 6.6F, 11},    {"Q6_K_L", 6.7F, 0},  {"Q6_K_XL", 7.0F, 0}, {"Q5_K_M", 5.7F, 8},   {"Q5_K_S", 5.5F, 9},
    {"Q5_K_L", 5.8F, 0},   {"Q5_K_XL", 5.8F, 0}, {"Q5_K", 5.7F, 8},    {"Q5_0", 5.5F, 10},    {"Q5_1", 6.0F, 10},
    {"Q4_K_M", 4.85F, 1},  {"Q4_K_XL", 4.9F, 2}, {"Q4_K_S", 4.6F, 3},  {"Q4_K_L", 5.0F, 4},   {"Q4_K", 4.85F, 1},
    {"Q4_0", 4.55F, 6},    {"Q4_1", 5.0F, 7},    {"MXFP4", 4.25F, 5},  {"NVFP4", 4.5F, 5},    {"MXFP4_MOE", 4.25F, 5},
    {"IQ4_XS", 4.3F, 6},   {"IQ4_NL", 4.5F, 6},  {"Q3_K_M", 3.9F, 13}, {"Q3_K_L", 4.2F, 13},  {"Q3_K_S", 3.5F, 14},
    {"Q3_K_XL", 4.2F, 13}, {"Q3_K", 3.9F, 13},   {"IQ3_M", 3.7F, 14},  {"IQ3_S", 3.5F, 14},   {"IQ3_XS", 3.3F, 15},
    {"IQ3_XXS", 3.1F, 15}, {"Q2_K", 3.0F, 16},   {"Q2_K_L", 3.1F, 16}, {"Q2_K_S", 2.8F, 17},  {"Q2_K_XL", 3.1F, 16},
    {"IQ2_M", 2.7F, 17},   {"IQ2_S", 2.5F, 18},  {"IQ2_XS", 2.3F, 18}, {"IQ2_XXS", 2.1F, 19}, {"IQ1_M", 1.8F, 20},
    {"IQ1_S", 1.6F, 20},   {"TQ1_0", 1.7F, 20},  {"TQ2_0", 2.1F, 20},
};
enum { N_LABELS = sizeof labels / sizeof *labels };

static const label *find_label(const char *name)
{
    for (size_t i = 0; name && i < N_LABELS; i++)
        if (strcasecmp(labels[i].name, name) == 0) return &labels[i];
    return NULL;
}

static bool boundary(char c)
{
    return !isalnum((unsigned char)c) && c != '_';
}

const char *wick_gguf_label(const char *name)
{
    const label *best = NULL;
    size_t best_at = 0;
    for (size_t i = 0; i < N_LABELS; i++) {
        const size_t n = strlen(labels[i].name);
        for (const char *p = name; (p = strcasestr(p, labels[i].name)); p++) {
            const bool starts = p == name || boundary(p[-1]) || p[-1] == '_';
            if (!starts || !boundary(p[n])) continue;
            const size_t at = (size_t)(p - name);
            if (best && (at < best_at || (at == best_at && n <= strlen(best->name)))) continue;
            /* "F16" inside "BF16" does not start at a boundary; "K_M" alone is no label */
            best = &labels[i];
            best_at = at;
        }
    }
    return best ? best->name : NULL;
}

double wick_gguf_label_bits(const char *name)
{
    const label *l = find_label(name);
    return l ? (double)l->bits : 0;
}

static const char *part_mark(const char *name, unsigned *no)
{
    const size_t n = strlen(name), tail = strlen("-00001-of-00002.gguf");
    if (n <= tail) return NULL;
    const char *p = name + n - tail;
    for (size_t i = 0; i < tail; i++) {
        const char want = "-#####-of-#####.gguf"[i];
        if (want == '#' ? !isdigit((unsigned char)p[i]) : p[i] != want) return NULL;
    }
    *no = (unsigned)strtoul(p + 1, NULL, 10);
    return p;
}

bool wick_gguf_is_first(const char *name)
{
    unsigned no;
    const char *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    if (!wick_ends_with(name, ".gguf") || strcasestr(base, "mmproj") || strcasestr(base, "imatrix")) return false;
    return !part_mark(name, &no) || no == 1;
}

bool wick_gguf_same_model(const char *first, const char *name)
{
    unsigned no;
    if (strcmp(first, name) == 0) return true;
    const char *a = part_mark(first, &no), *b = part_mark(name, &no);
    return a && b && a - first == b - name && memcmp(first, name, (size_t)(a - first)) == 0 &&
           strcmp(a + 6, b + 6) == 0;
}

/* "4bit", "4-bit", "q4", "8bits" -> 4, 8; 0 for anything else */
static unsigned asked_bits(const char *s)
{
    if (*s == 'q' || *s == 'Q') return isdigit((unsigned char)s[1]) && !s[2] ? (unsigned)(s[1] - '0') : 0;
    if (!isdigit((unsigned char)*s)) return 0;
    char *end;
    const unsigned long n = strtoul(s, &end, 10);
    end += *end == '-' || *end == '_' || *end == ' ';
    return n <= 32 && (strcasecmp(end, "bit") == 0 || strcasecmp(end, "bits") == 0) ? (unsigned)n : 0;
}

static const char *last_part(const char *name)
{
    const char *p = strrchr(name, '/');
    return p ? p + 1 : name;
}

static wick_status nothing_like_it(const wick_gguf_file *f, uint32_t n, const char *asked, const char *place,
                                   wick_err *err)
{
    char list[300] = "";
    size_t w = 0;
    uint32_t left = 0;
    for (uint32_t i = 0; i < n; i++) {
        const char *l = wick_gguf_label(f[i].name), *shown = l ? l : f[i].name;
        if (w + strlen(shown) + 3 >= sizeof list - 24)
            left++;
        else
            w += (size_t)snprintf(list + w, sizeof list - w, "%s%s", w ? ", " : "", shown);
    }
    if (left) snprintf(list + w, sizeof list - w, " and %u more", left);
    return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, place, "%s: no file or quantization \"%.80s\": there is %s", place,
                     asked, *list ? list : "no GGUF file");
}

static bool fits(const wick_gguf_file *f, uint64_t memory)
{
    return memory == 0 || f->n_bytes == 0 || f->n_bytes < memory / 10 * 9;
}

/* Better for the default: what fits before what does not, then the order of the table, then (of those that do not fit)
 * the smaller. */
static bool better(const wick_gguf_file *a, const wick_gguf_file *b, uint64_t memory)
{
    const bool fa = fits(a, memory), fb = fits(b, memory);
    const label *la = find_label(wick_gguf_label(a->name)), *lb = find_label(wick_gguf_label(b->name));
    const unsigned ra = la && la->rank ? la->rank : 200, rb = lb && lb->rank ? lb->rank : 200;
    if (fa != fb) return fa;
    if (!fa) return a->n_bytes < b->n_bytes;
    if (ra != rb) return ra < rb;
    return a->n_bytes < b->n_bytes;
}

static void explain(char *why, size_t cap, const wick_gguf_file *f, uint32_t n, uint32_t best, uint64_t memory)
{
    char size[32], have[32];
    const char *l = wick_gguf_label(f[best].name);
    const label *x = find_label(l);
    const bool ok = fits(&f[best], memory);
    bool passed = false;
    for (uint32_t i = 0; i < n; i++) passed |= !fits(&f[i], memory);
    wick_format_bytes(size, sizeof size, f[best].n_bytes);
    wick_format_bytes(have, sizeof have, memory);
    const char *reason = !ok                            ? "the smallest, though memory is short"
                         : x && x->rank == 1            ? "the usual balance of size and quality"
                         : passed && memory             ? "the first choice of those that fit into memory"
                         : x && x->rank && x->rank < 13 ? "Q4_K_M is not there; this comes next"
                                                        : "the first choice of what is there";
    snprintf(why, cap, "%s%s%s%s of %u quantizations: %s%s%s%s", l ? l : last_part(f[best].name),
             f[best].n_bytes ? " (" : "", f[best].n_bytes ? size : "", f[best].n_bytes ? ")" : "", n, reason,
             passed && memory ? " (" : "", passed && memory ? have : "", passed && memory ? " free)" : "");
}

wick_status wick_gguf_pick(uint32_t *which, char *why, size_t cap, const wick_gguf_file *f, uint32_t n,
                           const char *asked, uint64_t memory_bytes, const char *place, wick_err *err)
{
    uint32_t best = UINT32_MAX;
    const unsigned bits = asked_bits(asked);
    if (cap) *why = '\0';
    for (uint32_t i = 0; i < n; i++)
        if (*asked && (strcmp(f[i].name, asked) == 0 || strcmp(last_part(f[i].name), asked) == 0)) best = i;
    for (uint32_t i = 0; i < n && best == UINT32_MAX && *asked && !bits; i++) {
        const char *l = wick_gguf_label(f[i].name);
        if (l && strcasecmp(l, asked) == 0) best = i;
    }
    for (uint32_t i = 0; i < n && best == UINT32_MAX && *asked && !bits; i++) { /* a part of the name: "UD-Q4_K_XL" */
        const char *p = strcasestr(last_part(f[i].name), asked);
        if (p && (p == last_part(f[i].name) || boundary(p[-1])) && boundary(p[strlen(asked)])) best = i;
    }
    if (best == UINT32_MAX && (!*asked || bits)) {
        uint32_t n_of_bits = 0;
        for (uint32_t i = 0; i < n; i++) {
            const double b = wick_gguf_label_bits(wick_gguf_label(f[i].name));
            if (bits && (b < bits - 0.01 || b >= bits + 1)) continue;
            n_of_bits++;
            if (best == UINT32_MAX || better(&f[i], &f[best], memory_bytes)) best = i;
        }
        if (best != UINT32_MAX && n > 1 && n_of_bits > 1) explain(why, cap, f, n, best, memory_bytes);
    }
    if (best == UINT32_MAX) return nothing_like_it(f, n, asked, place, err);
    *which = best;
    return WICK_OK;
}
