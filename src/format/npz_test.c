/* format/npz_test.c - ZIP records, .npy headers, unpacking, failing allocations. */
#include "format/test_files.h"

#include <zlib.h>

typedef struct member {
    const char *name, *header; /* header: the dict of the .npy */
    const char *data;
    size_t n_data;
    bool deflated;
    uint32_t add_to_size; /* a lie */
} member;

static void member_bytes(const member *m, bytes *out)
{
    put(out, "\x93NUMPY\1\0", 8);
    put_n(out, strlen(m->header), 2);
    put_s(out, m->header);
    put(out, m->data, m->n_data);
}

static void deflate_bytes(const bytes *in, bytes *out)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)in->data;
    z.avail_in = (uInt)in->n;
    z.next_out = out->data;
    z.avail_out = sizeof out->data;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n = z.total_out;
    deflateEnd(&z);
}

static const char *zip_file(const char *name, const member *m, size_t n)
{
    bytes b = {0}, central = {0};
    for (size_t i = 0; i < n; i++) {
        bytes raw = {0}, packed = {0};
        member_bytes(&m[i], &raw);
        if (m[i].deflated) deflate_bytes(&raw, &packed);
        const bytes *stored = m[i].deflated ? &packed : &raw;
        uint32_t crc = (uint32_t)crc32_z(0, raw.data, raw.n);
        size_t at = b.n;
        for (int c = 0; c < 2; c++) {
            bytes *o = c ? &central : &b;
            put(o, c ? "PK\1\2\24\0" : "PK\3\4", c ? 6 : 4);
            put_n(o, 20, 2);
            put_n(o, 0, 2);
            put_n(o, m[i].deflated ? 8 : 0, 2);
            put_n(o, 0, 4);
            put_n(o, crc, 4);
            put_n(o, stored->n, 4);
            put_n(o, raw.n + m[i].add_to_size, 4);
            put_n(o, strlen(m[i].name), 2);
            put_n(o, 0, c ? 12 : 2);
            if (c) put_n(o, at, 4);
            put_s(o, m[i].name);
        }
        put(&b, stored->data, stored->n);
    }
    size_t at = b.n;
    put(&b, central.data, central.n);
    put(&b, "PK\5\6\0\0\0\0", 8);
    put_n(&b, n, 2);
    put_n(&b, n, 2);
    put_n(&b, central.n, 4);
    put_n(&b, at, 4);
    put_n(&b, 0, 2);
    return file_of(name, b.data, b.n);
}

#define F32_2X3 "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"

static void good(void **state)
{
    (void)state;
    char data[24];
    for (int i = 0; i < 24; i++) data[i] = (char)i;
    const member m[] = {
        {"a.npy", F32_2X3, data, 24, false, 0},
        {"b.npy", F32_2X3, data, 24, true, 0},
        {"c.npy", "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", data, 6, false, 0},
        {"d.npy", "{\"shape\":(),\"fortran_order\":True,\"descr\":\"<V2\"}", data, 2, false, 0},
        {"sub/e.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (0, 7), }\n", data, 0, true, 0},
    };
    const char *path = zip_file("weights.npz", m, 5);
    wick_tensor_dir d;
    wick_err err;
    assert_int_equal(wick_tensor_dir_open(&d, test_folder, &err), WICK_OK);
    assert_int_equal(d.format, WICK_NPZ);
    assert_int_equal(d.n_tensors, 5);
    for (int i = 0; i < 2; i++) {
        const wick_tensor *t = wick_tensor_find(&d, i ? "b" : "a");
        assert_int_equal(t->copied, i == 1);
        assert_memory_equal(t->data, data, 24);
    }
    assert_memory_equal(wick_tensor_find(&d, "c")->data, "\0\2\4\1\3\5", 6);
    assert_int_equal(wick_tensor_find(&d, "d")->dtype, WICK_DTYPE_BF16);
    assert_int_equal(wick_tensor_find(&d, "sub/e")->n_bytes, 0);
    wick_tensor_dir_close(&d);
    assert_survives_failing_allocations(path);
    assert_survives_failing_allocations(test_folder);
}

static void bad(void **state)
{
    (void)state;
    char data[64] = {0};
    static const struct {
        const char *header, *text;
        size_t n_data;
        wick_status status;
    } rows[] = {
        {F32_2X3, "its size is not", 23, WICK_E_BAD_FILE},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "its size is not", 0,
         WICK_E_BAD_FILE},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4), }", "no tuple", 16, WICK_E_BAD_FILE},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }", "no tuple", 16, WICK_E_BAD_FILE},
        {"{'descr': '<f4', 'fortran_order': 1, 'shape': (4,), }", "neither True nor False", 16, WICK_E_BAD_FILE},
        {"{'descr': '<f4', 'shape': (4,), }", "lacks", 16, WICK_E_BAD_FILE},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (4,), }", "unpickled", 16, WICK_E_UNSUPPORTED_FORMAT},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (4,), }", "big-endian", 16, WICK_E_UNSUPPORTED_FORMAT},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }", "no plain dtype", 16, WICK_E_BAD_FILE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int deflated = 0; deflated < 2; deflated++) {
            member m = {"a.npy", rows[i].header, data, rows[i].n_data, deflated, 0};
            assert_refused(zip_file("x.npz", &m, 1), rows[i].status, rows[i].text);
        }
    const member names[] = {{"../a.npy", F32_2X3, data, 24, false, 0},
                            {"/a.npy", F32_2X3, data, 24, false, 0},
                            {"C:a.npy", F32_2X3, data, 24, false, 0}};
    for (size_t i = 0; i < 3; i++)
        assert_refused(zip_file("x.npz", &names[i], 1), WICK_E_BAD_FILE, "leads out of the archive");
    const member twice[] = {{"a.npy", F32_2X3, data, 24, false, 0}, {"a.npy", F32_2X3, data, 24, false, 0}};
    assert_refused(zip_file("x.npz", twice, 2), WICK_E_BAD_FILE, "twice");
    const member longer = {"a.npy", F32_2X3, data, 24, true, 1};
    assert_refused(zip_file("x.npz", &longer, 1), WICK_E_BAD_FILE, "its size is not");
    const member pickle = {"archive/data.pkl", "x", data, 0, false, 0};
    assert_refused(zip_file("x.npz", &pickle, 1), WICK_E_UNSUPPORTED_FORMAT, "PyTorch");
}

/* A header that asks for 512 MiB, with the sizes of the archive in agreement, is refused before anything is
 * unpacked. */
static void bomb(void **state)
{
    (void)state;
    static const char header[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (536870912,), }";
    const member m = {"a.npy", header, NULL, 0, true, 536870912};
    assert_refused(zip_file("x.npz", &m, 1), WICK_E_BAD_FILE, "cannot be true");
}

static void every_cut(void **state)
{
    (void)state;
    char data[24] = {1, 2, 3};
    const member m[] = {{"a.npy", F32_2X3, data, 24, false, 0}, {"b.npy", F32_2X3, data, 24, true, 0}};
    char *whole;
    size_t n;
    wick_err err;
    assert_int_equal(wick_file_read(zip_file("x.npz", m, 2), 1 << 20, &whole, &n, &err), WICK_OK);
    for (size_t cut = 1; cut < n; cut++) {
        wick_tensor_dir d;
        assert_int_not_equal(wick_tensor_dir_open(&d, file_of("y.npz", whole, cut), &err), WICK_OK);
    }
    for (size_t at = 0; at < n; at++) { /* any byte changed: an error, or the same shapes */
        wick_tensor_dir d;
        whole[at] = (char)~whole[at];
        if (wick_tensor_dir_open(&d, file_of("y.npz", whole, n), &err) == WICK_OK)
            for (uint32_t i = 0; i < d.n_tensors; i++) assert_int_equal(d.tensor[i].n_bytes, 24);
        wick_tensor_dir_close(&d);
        whole[at] = (char)~whole[at];
    }
    wick_free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(good, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(bad, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(bomb, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(every_cut, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
