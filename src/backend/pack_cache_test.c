/* Pack files: written, mapped, refused when anything about them or their source is not as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/pack_format.h"
#include "base/hash.h"

const wick_backend *const wick_backends[] = {NULL};

enum { N_ITEMS = 3, DATA_BYTES = WICK_PACK_PIECE + 12345, SOURCE_BYTES = 1 << 20, UNSAMPLED = 10000 };

typedef struct rig {
    char folder[64], packs[96], source[96], path[256], name[WICK_PACK_NAME + 1];
    wick_file file;
    wick_pack_item item[N_ITEMS];
    wick_pack_spec spec;
    uint8_t *data;
} rig;

static void write_all(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void fill(uint8_t *p, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        p[i] = (uint8_t)(seed >> 56);
    }
}

static void open_source(rig *r)
{
    wick_err err;
    if (r->file.data) wick_file_close(&r->file);
    assert_int_equal(wick_file_open(&r->file, r->source, &err), WICK_OK);
    r->spec.origin = (wick_origin){.file = &r->file, .n_files = 1, .settings = 7};
    assert_true(wick_pack_spec_finish(&r->spec));
    wick_pack_name(&r->spec, r->name);
    snprintf(r->path, sizeof r->path, "%s/%s", r->packs, r->name);
}

static void rig_open(rig *r)
{
    memset(r, 0, sizeof *r);
    snprintf(r->folder, sizeof r->folder, "/tmp/wick-pack-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->packs, sizeof r->packs, "%s/cache/packed", r->folder);
    snprintf(r->source, sizeof r->source, "%s/model.gguf", r->folder);
    r->data = malloc(DATA_BYTES);
    fill(r->data, SOURCE_BYTES, 3);
    write_all(r->source, r->data, SOURCE_BYTES);
    fill(r->data, DATA_BYTES, 4);
    for (uint32_t i = 0; i < N_ITEMS; i++) r->item[i] = (wick_pack_item){i * 64, 64, i + 1};
    r->item[2].n_bytes = DATA_BYTES - 128;
    r->spec = (wick_pack_spec){.folder = r->packs, .item = r->item, .n_items = N_ITEMS, .n_bytes = DATA_BYTES};
    open_source(r);
}

static void rig_close(rig *r)
{
    char cmd[128];
    wick_file_close(&r->file);
    free(r->data);
    snprintf(cmd, sizeof cmd, "rm -r '%s'", r->folder);
    assert_int_equal(system(cmd), 0);
}

static void keep(rig *r)
{
    wick_pack_write_finish(wick_pack_write(&r->spec, r->data));
}

static bool usable(rig *r)
{
    wick_pack p;
    if (!wick_pack_open(&p, &r->spec, (wick_each){0})) return false;
    assert_int_equal(p.n_bytes, DATA_BYTES);
    assert_int_equal((uintptr_t)p.data % 4096, 0);
    assert_memory_equal(p.data, r->data, DATA_BYTES);
    wick_pack_close(&p);
    return true;
}

static uint32_t n_files_in(const char *folder)
{
    wick_dir_list l;
    if (wick_dir_list_read(&l, folder, NULL) != WICK_OK) return 0;
    uint32_t n = (uint32_t)l.n;
    wick_dir_list_free(&l);
    return n;
}

/* XORs one byte of a file; twice is nothing. */
static void flip(const char *path, uint64_t at)
{
    int fd = open(path, O_RDWR);
    uint8_t b;
    assert_int_equal(pread(fd, &b, 1, (off_t)at), 1);
    b ^= 0x10;
    assert_int_equal(pwrite(fd, &b, 1, (off_t)at), 1);
    close(fd);
}

static wick_pack_head read_head(const rig *r)
{
    wick_pack_head h;
    int fd = open(r->path, O_RDONLY);
    assert_int_equal(pread(fd, &h, sizeof h, 0), sizeof h);
    close(fd);
    return h;
}

/* Puts a head there whose own hash is right. */
static void write_head(const rig *r, wick_pack_head h)
{
    h.self = wick_pack_head_hash(&h);
    int fd = open(r->path, O_RDWR);
    assert_int_equal(pwrite(fd, &h, sizeof h, 0), sizeof h);
    close(fd);
}

static void kept_and_mapped(void **state)
{
    rig r;
    wick_err err;
    (void)state;
    rig_open(&r);
    assert_false(usable(&r));
    keep(&r);
    assert_true(usable(&r));
    assert_true(usable(&r));
    assert_int_equal(n_files_in(r.packs), 1);
    assert_int_equal(wick_pack_verify(r.packs, r.name, &err), WICK_OK);
    struct stat sb;
    assert_int_equal(stat(r.path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    keep(&r); /* once more over it */
    assert_true(usable(&r));
    rig_close(&r);
}

static void another_model_has_another_name(void **state)
{
    rig r;
    char first[WICK_PACK_NAME + 1];
    (void)state;
    rig_open(&r);
    memcpy(first, r.name, sizeof first);
    r.item[1].what++;
    open_source(&r);
    assert_string_not_equal(first, r.name);
    r.item[1].what--;
    flip(r.source, 0);
    open_source(&r);
    assert_string_not_equal(first, r.name);
    rig_close(&r);
}

/* Samples are equal, size too, and mtime is put back: only ctime and the content tell. */
static void changed_source_is_seen(void **state)
{
    rig r;
    struct stat sb;
    char first[WICK_PACK_NAME + 1];
    (void)state;
    rig_open(&r);
    keep(&r);
    memcpy(first, r.name, sizeof first);
    assert_int_equal(stat(r.source, &sb), 0);
    flip(r.source, UNSAMPLED);
    assert_int_equal(utimensat(AT_FDCWD, r.source, (struct timespec[]){sb.st_atim, sb.st_mtim}, 0), 0);
    open_source(&r);
    assert_string_equal(first, r.name);
    assert_false(usable(&r));
    keep(&r);
    assert_true(usable(&r));
    rig_close(&r);
}

static void touched_or_copied_source_is_the_same(void **state)
{
    rig r;
    (void)state;
    rig_open(&r);
    keep(&r);
    assert_int_equal(utimensat(AT_FDCWD, r.source, (struct timespec[]){{5, 0}, {5, 0}}, 0), 0);
    open_source(&r);
    assert_true(usable(&r));
    uint8_t *copy = malloc(SOURCE_BYTES);
    memcpy(copy, r.file.data, SOURCE_BYTES);
    snprintf(r.source, sizeof r.source, "%s/copy.gguf", r.folder);
    write_all(r.source, copy, SOURCE_BYTES);
    free(copy);
    open_source(&r);
    assert_true(usable(&r));
    rig_close(&r);
}

static void damage_is_refused(void **state)
{
    rig r;
    wick_pack_layout l;
    (void)state;
    rig_open(&r);
    keep(&r);
    assert_true(wick_pack_layout_of(&l, N_ITEMS, DATA_BYTES));
    const uint64_t bad[] = {WICK_PACK_TABLES_AT, WICK_PACK_TABLES_AT + 25,    l.pieces_at,     l.pieces_at + 15,
                            l.data_at,           l.data_at + WICK_PACK_PIECE, l.file_bytes - 1};
    for (uint64_t at = 0; at < sizeof(wick_pack_head); at += 7) {
        flip(r.path, at);
        assert_false(usable(&r));
        flip(r.path, at);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        flip(r.path, bad[i]);
        assert_false(usable(&r));
        assert_int_equal(wick_pack_verify(r.packs, r.name, NULL), WICK_E_BAD_FILE);
        flip(r.path, bad[i]);
    }
    flip(r.path, WICK_PACK_STAMPS_AT); /* a damaged stamp only costs a look at the content */
    assert_true(usable(&r));
    const off_t cut[] = {
        0, 1, 100, 4096, 8192, 8200, (off_t)l.data_at, (off_t)l.file_bytes - 1, (off_t)l.file_bytes + 1};
    for (size_t i = sizeof cut / sizeof *cut; i-- > 0;) {
        assert_int_equal(truncate(r.path, cut[i]), 0);
        assert_false(usable(&r));
        assert_int_equal(wick_pack_verify(r.packs, r.name, NULL), WICK_E_BAD_FILE);
    }
    keep(&r);
    assert_true(usable(&r));
    rig_close(&r);
}

static void hostile_heads_are_refused(void **state)
{
    rig r;
    (void)state;
    rig_open(&r);
    keep(&r);
    const wick_pack_head good = read_head(&r);
    const uint64_t counts[] = {0, 1, N_ITEMS + 1, 1u << 20, UINT32_MAX, 1ull << 40, UINT64_MAX / 24, UINT64_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        wick_pack_head h = good;
        h.n_items = counts[i];
        write_head(&r, h);
        assert_false(usable(&r));
        assert_int_equal(wick_pack_verify(r.packs, r.name, NULL), WICK_E_BAD_FILE);
        h = good;
        h.n_bytes = counts[i];
        write_head(&r, h);
        assert_false(usable(&r));
        assert_int_equal(wick_pack_verify(r.packs, r.name, NULL), WICK_E_BAD_FILE);
    }
    wick_pack_head h = good;
    h.version++;
    write_head(&r, h);
    assert_false(usable(&r));
    h = good;
    h.order = 0x04030201;
    write_head(&r, h);
    assert_false(usable(&r));
    h = good;
    memset(h.maker, 'x', sizeof h.maker); /* no end */
    memset(h.model, 'x', sizeof h.model);
    write_head(&r, h);
    assert_false(usable(&r));
    h = good;
    h.content++;
    write_head(&r, h);
    assert_false(usable(&r));
    h = good;
    memset(h.model, 'x', sizeof h.model);
    write_head(&r, h);
    wick_pack_list l;
    assert_int_equal(wick_pack_list_read(&l, r.packs, NULL), WICK_OK);
    assert_int_equal(l.n, 1);
    assert_int_equal(strlen(l.item[0].model), sizeof h.model);
    wick_pack_list_free(&l);
    rig_close(&r);
}

static void others_files_are_refused(void **state)
{
    rig r;
    char other[300];
    (void)state;
    rig_open(&r);
    keep(&r);
    assert_int_equal(chmod(r.path, 0622), 0);
    assert_false(usable(&r));
    assert_int_equal(chmod(r.path, 0644), 0);
    assert_true(usable(&r));
    snprintf(other, sizeof other, "%s.moved", r.path);
    assert_int_equal(rename(r.path, other), 0);
    assert_int_equal(symlink(other, r.path), 0);
    assert_false(usable(&r));
    assert_int_equal(unlink(r.path), 0);
    assert_int_equal(mkfifo(r.path, 0600), 0);
    assert_false(usable(&r));
    assert_int_equal(unlink(r.path), 0);
    assert_int_equal(mkdir(r.path, 0700), 0);
    assert_false(usable(&r));
    keep(&r); /* cannot be renamed over a folder */
    assert_false(usable(&r));
    assert_int_equal(n_files_in(r.packs), 2);
    rig_close(&r);
}

static void two_writers_at_once(void **state)
{
    rig r;
    (void)state;
    rig_open(&r);
    wick_pack_writer *w[4];
    for (size_t i = 0; i < 4; i++) w[i] = wick_pack_write(&r.spec, r.data);
    for (size_t i = 0; i < 4; i++) wick_pack_write_finish(w[i]);
    assert_true(usable(&r));
    assert_int_equal(n_files_in(r.packs), 1);
    rig_close(&r);
}

static void full_disk_and_missing_folder(void **state)
{
    rig r;
    struct rlimit before, small;
    (void)state;
    rig_open(&r);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 3 << 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    keep(&r);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(usable(&r));
    assert_int_equal(n_files_in(r.packs), 0);
    r.spec.folder = r.source; /* a file is no folder */
    keep(&r);
    assert_false(usable(&r));
    r.spec.folder = r.packs;
    keep(&r);
    assert_true(usable(&r));
    rig_close(&r);
}

static void source_changes_while_it_is_written(void **state)
{
    rig r;
    (void)state;
    rig_open(&r);
    flip(r.source, UNSAMPLED); /* after the stamp */
    assert_int_equal(utimensat(AT_FDCWD, r.source, (struct timespec[]){{9, 0}, {9, 0}}, 0), 0);
    keep(&r);
    assert_int_equal(n_files_in(r.packs), 0);
    rig_close(&r);
}

/* Three models fit; the fourth makes the one go that was not used for longest. */
static void least_recently_used_goes(void **state)
{
    rig r;
    wick_pack_layout l;
    char names[4][WICK_PACK_NAME + 1];
    (void)state;
    rig_open(&r);
    assert_true(wick_pack_layout_of(&l, N_ITEMS, DATA_BYTES));
    r.spec.limit_bytes = l.file_bytes * 3 + 100;
    for (uint64_t i = 0; i < 4; i++) {
        r.item[0].what = 100 + i;
        open_source(&r);
        memcpy(names[i], r.name, sizeof names[i]);
        keep(&r);
        assert_true(usable(&r));
        time_t used = i == 0 ? 3000 : (time_t)(1000 + i);
        assert_int_equal(utimensat(AT_FDCWD, r.path, (struct timespec[]){{used, 0}, {used, 0}}, 0), 0);
    }
    wick_pack_list list;
    wick_err err;
    assert_int_equal(wick_pack_list_read(&list, r.packs, &err), WICK_OK);
    assert_int_equal(list.n, 3);
    assert_string_equal(list.item[0].name, names[0]);
    assert_string_equal(list.item[1].name, names[3]);
    assert_string_equal(list.item[2].name, names[2]);
    assert_int_equal(list.item[0].used, 3000);
    assert_int_equal(list.n_bytes, l.file_bytes * 3);
    assert_string_equal(list.item[0].state, "ok");
    wick_pack_list_free(&list);
    r.item[0].what = 200;
    r.spec.limit_bytes = l.file_bytes - 1; /* does not fit at all: nothing else goes for it */
    open_source(&r);
    keep(&r);
    assert_false(usable(&r));
    assert_int_equal(n_files_in(r.packs), 3);
    rig_close(&r);
}

static void folder_is_tidied(void **state)
{
    rig r;
    char path[300];
    wick_err err;
    (void)state;
    rig_open(&r);
    keep(&r);
    snprintf(path, sizeof path, "%s/.%s.tmp-abcdef", r.packs, r.name);
    write_all(path, "x", 1);
    keep(&r); /* the dead writer's file neither stops it nor stays */
    assert_int_equal(n_files_in(r.packs), 1);
    write_all(path, "x", 1);
    wick_pack_sweep(r.packs);
    assert_int_equal(n_files_in(r.packs), 1);
    assert_int_equal(wick_pack_remove(r.packs, "../model.gguf", &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_pack_remove(r.packs, "model.pack", &err), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_pack_remove(r.packs, r.name, &err), WICK_OK);
    assert_int_equal(n_files_in(r.packs), 0);
    wick_pack_list l;
    assert_int_equal(wick_pack_list_read(&l, r.packs, &err), WICK_OK);
    assert_int_equal(l.n, 0);
    wick_pack_list_free(&l);
    assert_int_equal(wick_pack_list_read(&l, "/nowhere/at/all", &err), WICK_OK);
    wick_pack_list_free(&l);
    rig_close(&r);
}

/* Every allocation of open, of write and of list fails once: no crash, nothing half there. */
static void allocations_fail(void **state)
{
    rig r;
    (void)state;
    rig_open(&r);
    for (uint64_t n = 1; n < 40; n++) {
        wick_alloc_fail_at(n, false);
        wick_pack_writer *w = wick_pack_write(&r.spec, r.data);
        wick_pack_write_finish(w);
        wick_alloc_fail_at(0, false);
        uint32_t have = n_files_in(r.packs);
        assert_true(have <= 1);
        if (have) assert_true(usable(&r));
        if (have) assert_int_equal(wick_pack_remove(r.packs, r.name, NULL), WICK_OK);
    }
    keep(&r);
    flip(r.path, WICK_PACK_STAMPS_AT);
    for (uint64_t n = 1; n < 12; n++) {
        wick_alloc_fail_at(n, n % 2);
        (void)usable(&r);
        wick_pack_list l;
        wick_alloc_fail_at(n, false);
        if (wick_pack_list_read(&l, r.packs, NULL) == WICK_OK) wick_pack_list_free(&l);
        wick_alloc_fail_at(0, false);
    }
    assert_true(usable(&r));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_and_mapped),
        cmocka_unit_test(another_model_has_another_name),
        cmocka_unit_test(changed_source_is_seen),
        cmocka_unit_test(touched_or_copied_source_is_the_same),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(hostile_heads_are_refused),
        cmocka_unit_test(others_files_are_refused),
        cmocka_unit_test(two_writers_at_once),
        cmocka_unit_test(full_disk_and_missing_folder),
        cmocka_unit_test(source_changes_while_it_is_written),
        cmocka_unit_test(least_recently_used_goes),
        cmocka_unit_test(folder_is_tidied),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
