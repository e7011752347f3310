/* text/run.c - the buffers of one run of a tokenizer: ids, spans, the heap of merges. Every stage writes to them;
 * encode.c, which calls the stages, owns them. */
#include <string.h>
#include "text/tok.h"

wick_status wick_enc_oom(wick_err *err)
{
    return wick_err_oom(err, "tokenizing", 0, 0);
}

bool wick_enc_room(void **p, size_t *cap, size_t want, size_t size)
{
    if (want <= *cap) return true;
    size_t n = *cap ? *cap : 64;
    while (n < want) n += n / 2 + 1;
    void *q = wick_realloc_array(*p, n, size);
    if (!q) return false;
    *p = q;
    *cap = n;
    return true;
}

bool wick_enc_id(wick_enc *e, int32_t id)
{
    if (e->n == e->cap && !wick_enc_room((void **)&e->ids, &e->cap, e->n + 1, sizeof *e->ids)) return false;
    e->ids[e->n++] = id;
    return true;
}

void wick_spans_add(wick_spans *s, uint32_t off, uint32_t len, bool first)
{
    if (!len || s->failed) return;
    if (s->n == s->cap && !wick_enc_room((void **)&s->v, &s->cap, s->n + 1, sizeof *s->v)) {
        s->failed = true;
        return;
    }
    s->v[s->n++] = (wick_span){off, len, first};
}

void wick_spans_release(wick_spans *s)
{
    wick_free(s->v);
    memset(s, 0, sizeof *s);
}

void wick_heap_push(wick_enc *e, wick_heap_item item)
{
    wick_heap_item *h = e->heap;
    size_t i = e->heap_n++;
    while (i && item.order < h[(i - 1) / 2].order) {
        h[i] = h[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h[i] = item;
}

wick_heap_item wick_heap_pop(wick_enc *e)
{
    wick_heap_item *h = e->heap, top = h[0], last = h[--e->heap_n];
    size_t i = 0, n = e->heap_n;
    for (size_t k = 1; k < n; k = 2 * i + 1) {
        if (k + 1 < n && h[k + 1].order < h[k].order) k++;
        if (last.order <= h[k].order) break;
        h[i] = h[k];
        i = k;
    }
    h[i] = last;
    return top;
}
