/* hub/discover_test.c - discovery and names over a folder made for the test; running out of memory anywhere. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/file.h"
#include "hub/discover.h"

static char root[64];

static void write_file(const char *name, const void *data, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static void write_model(const char *folder, const char *config)
{
    char name[256];
    snprintf(name, sizeof name, "%s/config.json", folder);
    write_text(name, config);
    snprintf(name, sizeof name, "%s/model.safetensors", folder);
    write_file(name, "\2\0\0\0\0\0\0\0{}", 10);
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/wick-discover-XXXXXX");
    if (!mkdtemp(root) || chdir(root) != 0) return -1;
    write_model("models/plain", "{\"model_type\": \"llama\"}");
    write_model("models/Quant", "{\"model_type\": \"qwen2\", \"quantization\": {\"bits\": 4}}");
    write_model("home/models/broken", "{");
    write_model("hub/hub/models--org--name/snapshots/abc", "{\"model_type\": \"llama\"}");
    write_model("hub/hub/models--org--name/snapshots/zzz", "{}");
    write_text("hub/hub/models--org--name/refs/main", "abc\n");
    write_file("home/.lmstudio/models/p/r/x.gguf", "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
    return symlink("../models", "models/up") | symlink("plain", "models/again");
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return chdir("/") != 0 || system(command) != 0;
}

static wick_discover_opts options(void)
{
    return (wick_discover_opts){.home = "home", .hf_home = "hub"};
}

static const wick_found *find(const wick_found_list *l, const char *name)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (strcmp(l->item[i].name, name) == 0) return &l->item[i];
    return NULL;
}

static void test_found(void **state)
{
    wick_found_list l;
    wick_discover_opts o = options();
    (void)state;
    assert_int_equal(wick_discover(&l, &o, NULL), WICK_OK);
    const wick_found *hub = find(&l, "org/name"), *quant = find(&l, "Quant"), *gguf = find(&l, "p/r/x.gguf");
    assert_true(hub && quant && gguf && find(&l, "broken"));
    assert_non_null(strstr(hub->path, "snapshots/abc"));
    assert_string_equal(quant->quantization, "4-bit");
    assert_true(quant->mlx && !hub->mlx);
    assert_string_equal(gguf->format, "gguf");
    assert_null(gguf->model_type);
    assert_null(find(&l, "broken")->model_type);
    for (uint32_t i = 1; i < l.n; i++) assert_true(strcmp(l.item[i - 1].name, l.item[i].name) <= 0);
    for (uint32_t i = 0; i < l.n; i++) /* links add no second entry */
        for (uint32_t j = 0; j < i; j++) assert_string_not_equal(l.item[i].path, l.item[j].path);
    wick_found_list_free(&l);
    o.format = "npz";
    assert_int_equal(wick_discover(&l, &o, NULL), WICK_OK);
    assert_int_equal(l.n, 0);
    wick_found_list_free(&l);
}

static void test_names_to_paths(void **state)
{
    static const struct {
        const char *asked, *path; /* NULL: not found */
        const char *says;
    } rows[] = {{"org/name", "snapshots/abc", NULL},    {"NAME", "snapshots/abc", NULL},
                {"models/plain", "models/plain", NULL}, {"quant", "models/Quant", NULL},
                {"plian", NULL, "mean plain"},          {"org/nmae", NULL, "mean org/name"},
                {"xyzzy", NULL, "wick discover"},       {"", NULL, "no model given"},
                {"../../etc/none", NULL, "not found"},  {"a\nb\x1b", NULL, "a\\x0ab\\x1b"}};
    wick_discover_opts o = options();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *path = NULL;
        wick_err err = {0};
        wick_status st = wick_resolve_model(&path, rows[i].asked, &o, &err);
        assert_int_equal(st, rows[i].path ? WICK_OK : WICK_E_MODEL_NOT_FOUND);
        if (rows[i].path && !strstr(path, rows[i].path)) fail_msg("%s: %s", rows[i].asked, path);
        if (rows[i].says && !strstr(err.message, rows[i].says)) fail_msg("%s: %s", rows[i].asked, err.message);
        wick_free(path);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 2000; n++) {
        char *path = NULL;
        wick_discover_opts o = options();
        wick_alloc_fail_at(n, n % 2 == 0);
        wick_status st = wick_resolve_model(&path, "org/name", &o, NULL);
        wick_alloc_fail_at(0, false);
        assert_true(st == WICK_OK || st == WICK_E_OUT_OF_MEMORY || st == WICK_E_MODEL_NOT_FOUND);
        wick_free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_names_to_paths),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
