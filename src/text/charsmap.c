/* text/charsmap.c - reads the double array of a precompiled_charsmap (darts-clone layout).
 *
 * A unit is 32 bits: bit 31 marks a leaf's value; otherwise bits 0-7 are the label, bit 8 says that a value follows,
 * and the offset is bits 10-30, shifted left by 8 more when bit 9 is set. The child of node `pos` by byte c is at
 * pos ^ offset(pos) ^ c and must carry label c; its value is in the unit at pos ^ offset(pos).
 */
#include "text/charsmap.h"

static uint32_t unit(const wick_charsmap *m, uint32_t i)
{
    const uint8_t *u = m->units + 4 * (size_t)i;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

static uint32_t offset_of(uint32_t u)
{
    return (u >> 10) << ((u & (1u << 9)) >> 6);
}

wick_status wick_charsmap_init(wick_charsmap *m, const void *blob, size_t n, const char *where, wick_err *err)
{
    const uint8_t *p = blob;
    if (n < 4)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: precompiled_charsmap of %zu bytes is too short", where, n);
    uint32_t size = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    if (size > n - 4 || size % 4 || n > UINT32_MAX)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where,
                         "%s: precompiled_charsmap: a table of %u bytes does not fit in %zu", where, size, n);
    m->units = p + 4;
    m->n_units = size / 4;
    m->strings = (const char *)p + 4 + size;
    m->n_strings = (uint32_t)(n - 4 - size);
    const uint32_t root = m->n_units ? offset_of(unit(m, 0)) : 0;
    for (uint32_t c = 0; c < 256; c++)
        m->starts[c] = (root ^ c) < m->n_units && (unit(m, root ^ c) & (1u << 31 | 0xFF)) == c;
    return WICK_OK;
}

size_t wick_charsmap_match(const wick_charsmap *m, const char *p, size_t n, bool shortest, wick_str *to)
{
    if (!n || !m->starts[(uint8_t)*p]) return 0;
    size_t best = 0;
    uint32_t at = offset_of(unit(m, 0));
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)p[i];
        at ^= c;
        if (at >= m->n_units) break;
        uint32_t u = unit(m, at);
        if ((u & (1u << 31 | 0xFF)) != c) break;
        at ^= offset_of(u);
        if (!(u & 1u << 8)) continue;
        if (at >= m->n_units) break;
        uint32_t where = unit(m, at) & 0x7FFFFFFF;
        if (where >= m->n_strings) continue;
        const char *s = m->strings + where, *end = memchr(s, 0, m->n_strings - where);
        to->p = s;
        to->n = end ? (size_t)(end - s) : m->n_strings - where;
        best = i + 1;
        if (shortest) break;
    }
    return best;
}
