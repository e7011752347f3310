/* engine/draft.c - see draft.h. The suffix automaton is that of Blumer et al. (1985): states of at most twice as many
 * as tokens, edges in one hash table. link[last] is the longest end of the text that occurred before; end[] of it is
 * where, and is moved to the newest place whenever it is looked at.
 */
#include "engine/draft.h"
#include <string.h>
#include "base/alloc.h"

#define MAX_TOKENS (1u << 16) /* what is behind is not guessed from */
#define PRIOR_WEIGHT 6.0F     /* how many observations a chance that nobody has seen yet counts for */
#define OWN_WEIGHT 8.0F       /* the same for what other requests have seen */
#define MEMORY 64.0F          /* observations of a class; older ones fade */
#define NONE UINT32_MAX

/* Chances by class before anything was seen: low enough that short matches cost nothing in prose. */
static const float prior[WICK_DRAFT_CLASSES] = {0, 0.05F, 0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F, 0.75F, 0.85F};

typedef struct edge {
    uint32_t from, to, next; /* next: of the same state */
    int32_t token;
} edge;

struct wick_draft {
    uint32_t *len, *link, *end, *first; /* [cap_states] */
    edge *edge;                         /* [cap_edges] */
    uint32_t *slot;                     /* [n_slots] edge + 1; 0: empty */
    uint32_t n_states, n_edges, n_slots, cap_tokens, n_tokens;
    uint32_t last, match, at; /* match: tokens of the longest end that occurred before; it ended before `at` then */
    wick_draft_score own;
};

static uint32_t class_of(uint32_t match)
{
    static const uint32_t least[WICK_DRAFT_CLASSES] = {0, 1, 2, 3, 4, 5, 7, 11, 17, 33};
    uint32_t c = WICK_DRAFT_CLASSES - 1;
    while (match < least[c]) c--;
    return c;
}

wick_status wick_draft_new(wick_draft **out, uint32_t cap_tokens, wick_err *err)
{
    wick_draft *d = wick_alloc_zero(1, sizeof *d);
    if (!d) return wick_err_oom(err, "drafts", sizeof *d, 0);
    d->cap_tokens = cap_tokens < MAX_TOKENS ? cap_tokens : MAX_TOKENS;
    size_t states = 2 * (size_t)d->cap_tokens + 2, edges = 3 * (size_t)d->cap_tokens + 4;
    d->n_slots = 16;
    while (d->n_slots < edges + edges / 2) d->n_slots *= 2;
    d->len = wick_realloc_array(NULL, states, sizeof *d->len);
    d->link = wick_realloc_array(NULL, states, sizeof *d->link);
    d->end = wick_realloc_array(NULL, states, sizeof *d->end);
    d->first = wick_realloc_array(NULL, states, sizeof *d->first);
    d->edge = wick_realloc_array(NULL, edges, sizeof *d->edge);
    d->slot = wick_alloc_zero(d->n_slots, sizeof *d->slot);
    if (!d->len || !d->link || !d->end || !d->first || !d->edge || !d->slot) {
        wick_draft_free(d);
        return wick_err_oom(err, "drafts", states * 16 + edges * sizeof(edge), 0);
    }
    d->len[0] = d->end[0] = 0;
    d->link[0] = d->first[0] = NONE;
    d->n_states = 1;
    *out = d;
    return WICK_OK;
}

void wick_draft_free(wick_draft *d)
{
    if (!d) return;
    wick_free(d->len);
    wick_free(d->link);
    wick_free(d->end);
    wick_free(d->first);
    wick_free(d->edge);
    wick_free(d->slot);
    wick_free(d);
}

/* The slot of the edge from `state` by `token`, or the empty one where it belongs. */
static uint32_t *slot_of(const wick_draft *d, uint32_t state, int32_t token)
{
    uint64_t h = ((uint64_t)state << 32 | (uint32_t)token) * 0x9e3779b97f4a7c15u;
    uint32_t i = (uint32_t)(h >> 32) & (d->n_slots - 1);
    while (d->slot[i] && (d->edge[d->slot[i] - 1].from != state || d->edge[d->slot[i] - 1].token != token))
        i = (i + 1) & (d->n_slots - 1);
    return &d->slot[i];
}

static void add_edge(wick_draft *d, uint32_t from, int32_t token, uint32_t to)
{
    *slot_of(d, from, token) = d->n_edges + 1;
    d->edge[d->n_edges] = (edge){from, to, d->first[from], token};
    d->first[from] = d->n_edges++;
}

static uint32_t add_state(wick_draft *d, uint32_t len, uint32_t link, uint32_t end)
{
    uint32_t s = d->n_states++;
    d->len[s] = len;
    d->link[s] = link;
    d->end[s] = end;
    d->first[s] = NONE;
    return s;
}

/* A state for the shorter texts of q, len + 1 tokens at most, where p leads to it by `token`. */
static uint32_t clone(wick_draft *d, uint32_t p, int32_t token, uint32_t q)
{
    uint32_t c = add_state(d, d->len[p] + 1, d->link[q], d->end[q]);
    for (uint32_t x = d->first[q]; x != NONE; x = d->edge[x].next) add_edge(d, c, d->edge[x].token, d->edge[x].to);
    for (; p != NONE; p = d->link[p]) {
        uint32_t x = *slot_of(d, p, token);
        if (!x || d->edge[x - 1].to != q) break;
        d->edge[x - 1].to = c;
    }
    d->link[q] = c;
    return c;
}

static void extend(wick_draft *d, int32_t token, uint32_t end)
{
    uint32_t cur = add_state(d, d->len[d->last] + 1, 0, end), p = d->last, x = 0;
    for (; p != NONE && !(x = *slot_of(d, p, token)); p = d->link[p]) add_edge(d, p, token, cur);
    if (p != NONE) {
        uint32_t q = d->edge[x - 1].to;
        d->link[cur] = d->len[q] == d->len[p] + 1 ? q : clone(d, p, token, q);
    }
    d->last = cur;
}

static void count(wick_draft_score *s, uint32_t class, bool right)
{
    if (s->seen[class] >= MEMORY) {
        s->seen[class] *= 1 - 1 / MEMORY;
        s->right[class] *= 1 - 1 / MEMORY;
    }
    s->seen[class] += 1;
    s->right[class] += right;
}

void wick_draft_push(wick_draft *d, const int32_t *tokens, uint32_t at, bool learned, wick_draft_score *all)
{
    if (at >= d->cap_tokens || at != d->n_tokens) {
        d->match = 0;
        return;
    }
    if (learned && d->match > 0) {
        bool right = tokens[d->at] == tokens[at];
        count(&d->own, class_of(d->match), right);
        if (all) count(all, class_of(d->match), right);
    }
    extend(d, tokens[at], at + 1);
    d->n_tokens = at + 1;
    uint32_t m = d->link[d->last];
    d->match = d->len[m];
    d->at = d->end[m];
    d->end[m] = at + 1;
}

static float chance_of(const wick_draft *d, const wick_draft_score *all, uint32_t match)
{
    uint32_t c = class_of(match);
    float common = (all->right[c] + prior[c] * PRIOR_WEIGHT) / (all->seen[c] + PRIOR_WEIGHT);
    return (d->own.right[c] + common * OWN_WEIGHT) / (d->own.seen[c] + OWN_WEIGHT);
}

uint32_t wick_draft_guess(const wick_draft *d, const int32_t *tokens, uint32_t n, uint32_t max,
                          const wick_draft_score *all, int32_t *out, float *chance)
{
    uint32_t k = 0;
    if (d->match == 0 || d->n_tokens != n) return 0;
    if (max > WICK_DRAFT_MAX) max = WICK_DRAFT_MAX;
    for (; k < max; k++) { /* behind the end of the text the guesses themselves go on: a period repeats */
        uint32_t from = d->at + k;
        out[k] = from < n ? tokens[from] : out[from - n];
        chance[k] = chance_of(d, all, d->match + k);
    }
    return k;
}
