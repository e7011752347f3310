/* backend/cpu/pack.c - decoded superblocks of 16 rows to the packed form of a tile (picture in linear_impl.h).
 * Every tile is written by itself, straight from the file's bytes, so threads share the work by tile ranges. Rows past
 * the matrix and inputs past n_in become zeros. */
#include "backend/cpu/linear_impl.h"

typedef uint8_t vectors[16][64]; /* the code vectors of one chunk */

static void write_plane(const vectors v, uint32_t shift, uint32_t bits, uint8_t *out)
{
    uint32_t per = 8 / bits, mask = (1u << bits) - 1;
    for (uint32_t p = 0; p < 16 / per; p++, out += 64)
        for (uint32_t i = 0; i < 64; i++) {
            uint32_t u = 0;
            for (uint32_t q = 0; q < per; q++) u |= (v[p * per + q][i] >> shift & mask) << q * bits;
            out[i] = (uint8_t)u;
        }
}

static void write_chunk(wick_lin_code code, const vectors v, uint8_t *out)
{
    switch (code) {
    case WICK_LIN_CODE_2: write_plane(v, 0, 2, out); break;
    case WICK_LIN_CODE_3:
        write_plane(v, 0, 2, out);
        write_plane(v, 2, 1, out + 256);
        break;
    case WICK_LIN_CODE_4: write_plane(v, 0, 4, out); break;
    case WICK_LIN_CODE_5:
        write_plane(v, 0, 4, out);
        write_plane(v, 4, 1, out + 512);
        break;
    case WICK_LIN_CODE_6:
        write_plane(v, 0, 4, out);
        write_plane(v, 4, 2, out + 512);
        break;
    default: memcpy(out, v, 1024); break;
    }
}

static void write_scales(const wick_lin_fmt *f, const wick_lin_super *row, uint32_t r, uint8_t *out)
{
    uint32_t n = f->super / f->group,
             size = f->scale == WICK_LIN_SCALE_F32 ? 4 : 2; /* little-endian: low bytes first */
    if (f->scale == WICK_LIN_SCALE_NONE) return;
    if (f->scale == WICK_LIN_SCALE_SUB) {
        memcpy(out + r * 2, &row->d, 2);
        memcpy(out + 32 + r * 2, &row->dmin, 2);
        for (uint32_t g = 0; g < n; g++) {
            out[64 + g * 16 + r] = (uint8_t)row->sc[g];
            if (f->has_bias) out[64 + (n + g) * 16 + r] = (uint8_t)row->min[g];
        }
        return;
    }
    for (uint32_t g = 0; g < n; g++) {
        memcpy(out + (g * 16 + r) * size, &row->scale[g], size);
        if (f->has_bias) memcpy(out + ((n + g) * 16 + r) * size, &row->bias[g], size);
    }
}

static void pack_coded(const wick_lin *l, uint32_t tile, uint8_t *out)
{
    const wick_lin_fmt *f = &l->f;
    wick_lin_super rows[WICK_LIN_TILE];
    vectors v;
    for (uint32_t sb = 0; sb < l->n_super; sb++, out += f->super_bytes) {
        memset(out, 0, f->scale_bytes);
        for (uint32_t r = 0; r < WICK_LIN_TILE; r++) {
            uint32_t row = tile * WICK_LIN_TILE + r;
            if (row < l->w.n_out)
                wick_lin_decode_super(&l->w, f, row, sb, &rows[r]);
            else
                memset(&rows[r], 0, sizeof rows[r]);
            write_scales(f, &rows[r], r, out);
        }
        for (uint32_t c = 0; c < f->super / 64u; c++) {
            for (uint32_t j = 0; j < 16; j++)
                for (uint32_t r = 0; r < WICK_LIN_TILE; r++) memcpy(&v[j][r * 4], &rows[r].code[c * 64 + j * 4], 4);
            write_chunk(f->code, (const uint8_t(*)[64])v, out + f->scale_bytes + c * f->chunk_bytes);
        }
    }
}

/* [input][row] elements of 2 or 4 bytes */
static void pack_plain(const wick_lin *l, uint32_t tile, uint8_t *out)
{
    uint32_t size = l->f.code == WICK_LIN_CODE_F32 ? 4 : 2;
    uint32_t rows = l->w.n_out - tile * WICK_LIN_TILE;
    if (rows > WICK_LIN_TILE) rows = WICK_LIN_TILE;
    if (rows < WICK_LIN_TILE || l->w.n_in % 64) memset(out, 0, (uint64_t)l->n_super * l->f.super_bytes);
    for (uint32_t k0 = 0; k0 < l->w.n_in; k0 += 64)
        for (uint32_t r = 0; r < rows; r++) {
            const uint8_t *src = l->w.data + (uint64_t)(tile * WICK_LIN_TILE + r) * l->w.row_step * l->w.row_bytes;
            uint32_t end = l->w.n_in - k0 < 64 ? l->w.n_in : k0 + 64;
            for (uint32_t k = k0; k < end; k++)
                memcpy(out + ((uint64_t)k * WICK_LIN_TILE + r) * size, src + (uint64_t)k * size, size);
        }
}

void wick_lin_pack_tiles(wick_lin *l, uint32_t t0, uint32_t t1)
{
    if (l->f.code == WICK_LIN_CODE_FILE) return;
    uint64_t tile_bytes = (uint64_t)l->n_super * l->f.super_bytes;
    for (uint32_t t = t0; t < t1; t++) {
        uint8_t *out = l->packed + t * tile_bytes;
        if (l->w.enc == WICK_ENC_PLAIN)
            pack_plain(l, t, out);
        else
            pack_coded(l, t, out);
    }
}
