/* base/reader.h - the one checked reader of binary formats.
 *
 * A cursor over bytes that never reads past the end: a read that does not fit returns 0 and sets `failed` (sticky)
 * with the position where it happened. Little-endian.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

typedef struct wick_reader {
    const uint8_t *p;
    uint64_t n, pos;
    uint64_t failed_at;
    bool failed;
} wick_reader;

void wick_reader_init(wick_reader *r, const void *p, uint64_t n);
uint64_t wick_reader_left(const wick_reader *r);
uint8_t wick_read_u8(wick_reader *r);
uint16_t wick_read_u16(wick_reader *r);
uint32_t wick_read_u32(wick_reader *r);
uint64_t wick_read_u64(wick_reader *r);
float wick_read_f32(wick_reader *r);
double wick_read_f64(wick_reader *r);
const uint8_t *wick_read_bytes(wick_reader *r, uint64_t n); /* NULL if they are not there */
void wick_reader_skip(wick_reader *r, uint64_t n);
/* True if `count` elements of at least `min_bytes` each can still be there: ask before allocating. */
bool wick_reader_fits(const wick_reader *r, uint64_t count, uint64_t min_bytes);
