/* format/write_npz.c - NPZ written: a zip archive of stored .npy members, with the sizes of zip64 throughout. bfloat16
 * is written as MLX does it, as two bytes of void, which npy.c reads. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <zlib.h>

#include "format/writer_int.h"

enum { LOCAL_BYTES = 30, ZIP64_BYTES = 20, ALIGN = 64 };

static void put_n(wick_buf *b, uint64_t v, unsigned n_bytes)
{
    for (unsigned i = 0; i < n_bytes; i++) wick_buf_putc(b, (char)(v >> (8 * i)));
}

static const char *descr(wick_dtype t)
{
    switch ((int)t) {
    case WICK_DTYPE_F32: return "<f4";
    case WICK_DTYPE_F16: return "<f2";
    case WICK_DTYPE_BF16: return "<V2";
    case WICK_DTYPE_F64: return "<f8";
    case WICK_DTYPE_I8: return "|i1";
    case WICK_DTYPE_I16: return "<i2";
    case WICK_DTYPE_I32: return "<i4";
    case WICK_DTYPE_I64: return "<i8";
    case WICK_DTYPE_U8: return "|u1";
    case WICK_DTYPE_U16: return "<u2";
    case WICK_DTYPE_U32: return "<u4";
    case WICK_DTYPE_U64: return "<u8";
    case WICK_DTYPE_BOOL: return "|b1";
    default: return NULL;
    }
}

/* The .npy header, filled up so that header and what stands before it end at a multiple of 64. */
static void npy_header(wick_buf *b, const wick_tensor *t, uint64_t before)
{
    wick_buf dict = WICK_BUF_INIT;
    wick_buf_printf(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr(t->dtype));
    for (uint32_t k = 0; k < t->n_dim; k++) wick_buf_printf(&dict, "%" PRIu64 ", ", t->shape[k]);
    wick_buf_puts(&dict, "), }");
    while ((before + 10 + dict.n + 1) % ALIGN && !dict.failed) wick_buf_putc(&dict, ' ');
    wick_buf_putc(&dict, '\n');
    wick_buf_add(b, "\x93NUMPY\x01\x00", 8);
    put_n(b, dict.n, 2);
    wick_buf_add(b, dict.data, dict.n);
    b->failed |= dict.failed;
    wick_buf_release(&dict);
}

static uint64_t name_bytes(const wick_tensor *t)
{
    return strlen(t->name) + 4;
}

/* Where the member of tensor i begins in the file. Its header's length follows from name and place alone. */
static uint64_t member_at(const wick_tensor_writer *w, uint32_t i)
{
    return i ? w->at[i - 1] + w->tensor[i - 1].n_bytes : 0;
}

static void zip_fields(wick_buf *b, uint32_t crc, const char *name)
{
    put_n(b, 45, 2);    /* version that zip64 needs */
    put_n(b, 0x800, 2); /* names are UTF-8 */
    put_n(b, 0, 2);
    put_n(b, 0, 2);
    put_n(b, 0x21, 2); /* 1 January 1980: the same input gives the same file */
    put_n(b, crc, 4);
    put_n(b, UINT32_MAX, 4);
    put_n(b, UINT32_MAX, 4);
    put_n(b, strlen(name) + 4, 2);
}

/* Local header, zip64 field and .npy header of tensor i into b. */
static void member_header(const wick_tensor_writer *w, uint32_t i, uint32_t crc, wick_buf *b)
{
    const wick_tensor *t = &w->tensor[i];
    wick_buf npy = WICK_BUF_INIT;
    npy_header(&npy, t, member_at(w, i) + LOCAL_BYTES + name_bytes(t) + ZIP64_BYTES);
    put_n(b, 0x04034b50, 4);
    zip_fields(b, crc, t->name);
    put_n(b, ZIP64_BYTES, 2);
    wick_buf_printf(b, "%s.npy", t->name);
    put_n(b, 1, 2);
    put_n(b, ZIP64_BYTES - 4, 2);
    put_n(b, npy.n + t->n_bytes, 8);
    put_n(b, npy.n + t->n_bytes, 8);
    wick_buf_add(b, npy.data, npy.n);
    b->failed |= npy.failed;
    wick_buf_release(&npy);
}

wick_status wick_npz_begin(wick_tensor_writer *w, wick_err *err)
{
    for (uint32_t i = 0; i < w->n; i++) {
        const wick_tensor *t = &w->tensor[i];
        wick_buf b = WICK_BUF_INIT;
        if (!descr(t->dtype))
            return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, t->name, "%s: NPZ has no %s", t->name,
                             wick_dtype_name(t->dtype));
        member_header(w, i, 0, &b);
        w->at[i] = member_at(w, i) + b.n;
        bool failed = b.failed;
        wick_buf_release(&b);
        if (failed) return wick_err_oom(err, "a header", 0, 0);
    }
    return wick_out_create(w, 0, w->opts.file, err);
}

static uint32_t sum_of(uint32_t crc, const uint8_t *p, uint64_t n)
{
    uLong c = crc;
    for (uint64_t i = 0; i < n; i += 1u << 30) c = crc32(c, p + i, (uInt)(n - i < 1u << 30 ? n - i : 1u << 30));
    return (uint32_t)c;
}

/* Headers want the checksum of what follows them, so they are written last. */
static wick_status finish_member(const wick_tensor_writer *w, uint32_t i, const uint8_t *map, wick_buf *central,
                                 wick_err *err)
{
    const wick_tensor *t = &w->tensor[i];
    wick_buf b = WICK_BUF_INIT;
    member_header(w, i, 0, &b);
    uint64_t from = LOCAL_BYTES + name_bytes(t) + ZIP64_BYTES, at = member_at(w, i), size = b.n - from + t->n_bytes;
    if (b.failed) {
        wick_buf_release(&b);
        return wick_err_oom(err, "a header", 0, 0);
    }
    uint32_t crc = sum_of(0, (const uint8_t *)b.data + from, b.n - from);
    if (t->n_bytes) crc = sum_of(crc, map + w->at[i], t->n_bytes);
    wick_buf_reset(&b);
    member_header(w, i, crc, &b);
    wick_status st = b.failed ? wick_err_oom(err, "a header", 0, 0) : wick_out_put(w, 0, at, b.data, b.n, err);
    wick_buf_release(&b);
    put_n(central, 0x02014b50, 4);
    put_n(central, 45, 2);
    zip_fields(central, crc, t->name);
    put_n(central, 28, 2);
    put_n(central, 0, 2); /* comment */
    put_n(central, 0, 2);
    put_n(central, 0, 2);
    put_n(central, 0, 4);
    put_n(central, UINT32_MAX, 4);
    wick_buf_printf(central, "%s.npy", t->name);
    put_n(central, 1, 2);
    put_n(central, 24, 2);
    put_n(central, size, 8);
    put_n(central, size, 8);
    put_n(central, at, 8);
    return st;
}

static void end_records(wick_buf *b, uint64_t n, uint64_t at, uint64_t size)
{
    put_n(b, 0x06064b50, 4); /* zip64 end of central directory */
    put_n(b, 44, 8);
    put_n(b, 45, 2);
    put_n(b, 45, 2);
    put_n(b, 0, 8);
    put_n(b, n, 8);
    put_n(b, n, 8);
    put_n(b, size, 8);
    put_n(b, at, 8);
    put_n(b, 0x07064b50, 4); /* where that is */
    put_n(b, 0, 4);
    put_n(b, at + size, 8);
    put_n(b, 1, 4);
    put_n(b, 0x06054b50, 4);
    put_n(b, 0, 4);
    put_n(b, UINT16_MAX, 2);
    put_n(b, UINT16_MAX, 2);
    put_n(b, UINT32_MAX, 4);
    put_n(b, UINT32_MAX, 4);
    put_n(b, 0, 2);
}

wick_status wick_npz_end(wick_tensor_writer *w, wick_err *err)
{
    uint64_t end = member_at(w, w->n);
    wick_buf central = WICK_BUF_INIT;
    wick_status st = WICK_OK;
    void *map = end ? mmap(NULL, end, PROT_READ, MAP_SHARED, w->file[0].fd, 0) : NULL;
    if (map == MAP_FAILED) return WICK_FAIL(err, WICK_E_IO, w->file[0].path, "%s: cannot be mapped", w->file[0].path);
    for (uint32_t i = 0; st == WICK_OK && i < w->n; i++) st = finish_member(w, i, map, &central, err);
    if (map) munmap(map, end);
    uint64_t size = central.n;
    end_records(&central, w->n, end, size);
    if (st == WICK_OK)
        st = central.failed ? wick_err_oom(err, "a directory", 0, 0)
                            : wick_out_put(w, 0, end, central.data, central.n, err);
    wick_buf_release(&central);
    return st;
}
