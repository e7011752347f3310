/* base/reader.c - the checked cursor. Reads assemble bytes, so the host's order does not matter. */
#include "base/reader.h"

void wick_reader_init(wick_reader *r, const void *p, uint64_t n)
{
    memset(r, 0, sizeof *r);
    r->p = p;
    r->n = n;
}

uint64_t wick_reader_left(const wick_reader *r)
{
    return r->failed ? 0 : r->n - r->pos;
}

const uint8_t *wick_read_bytes(wick_reader *r, uint64_t n)
{
    if (r->failed || n > r->n - r->pos) {
        if (!r->failed) r->failed_at = r->pos;
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->p + r->pos;
    r->pos += n;
    return p;
}

void wick_reader_skip(wick_reader *r, uint64_t n)
{
    (void)wick_read_bytes(r, n);
}

static uint64_t read_le(wick_reader *r, unsigned n)
{
    const uint8_t *p = wick_read_bytes(r, n);
    uint64_t v = 0;
    if (!p) return 0;
    for (unsigned i = 0; i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t wick_read_u8(wick_reader *r)
{
    return (uint8_t)read_le(r, 1);
}

uint16_t wick_read_u16(wick_reader *r)
{
    return (uint16_t)read_le(r, 2);
}

uint32_t wick_read_u32(wick_reader *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t wick_read_u64(wick_reader *r)
{
    return read_le(r, 8);
}

float wick_read_f32(wick_reader *r)
{
    uint32_t u = wick_read_u32(r);
    float f;
    memcpy(&f, &u, 4);
    return f;
}

double wick_read_f64(wick_reader *r)
{
    uint64_t u = wick_read_u64(r);
    double f;
    memcpy(&f, &u, 8);
    return f;
}

bool wick_reader_fits(const wick_reader *r, uint64_t count, uint64_t min_bytes)
{
    return !r->failed && (min_bytes == 0 || count <= (r->n - r->pos) / min_bytes);
}
