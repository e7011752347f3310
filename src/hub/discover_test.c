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
#include "hub/ollama.h"

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

static void write_gguf(const char *name)
{
    write_file(name, "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
}

#define WEIGHTS "1111111111111111111111111111111111111111111111111111111111111111"
#define SYSTEM "2222222222222222222222222222222222222222222222222222222222222222"
#define PARAMS "3333333333333333333333333333333333333333333333333333333333333333"

static void write_ollama(const char *model, const char *tag)
{
    char name[256];
    snprintf(name, sizeof name, "home/.ollama/models/manifests/registry.ollama.ai/library/%s/%s", model, tag);
    write_text(name,
               "{\"layers\": [{\"mediaType\": \"application/vnd.ollama.image.model\", \"digest\": \"sha256:" WEIGHTS
               "\"}, {\"mediaType\": \"application/vnd.ollama.image.system\", \"digest\": \"sha256:" SYSTEM
               "\"}, {\"mediaType\": \"application/vnd.ollama.image.params\", \"digest\": \"sha256:" PARAMS "\"}]}");
    write_gguf("home/.ollama/models/blobs/sha256-" WEIGHTS);
    write_text("home/.ollama/models/blobs/sha256-" SYSTEM, "Be brief.");
    write_text("home/.ollama/models/blobs/sha256-" PARAMS, "{\"stop\": [\"<x>\"], \"temperature\": 0.5}");
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
    write_gguf("home/.lmstudio/models/p/r/x.gguf");
    write_text("hub/hub/models--org--name/refs/old", "zzz");
    write_text("hub/hub/models--org--half/snapshots/abc/model.safetensors.index.json",
               "{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"../../x\"}}");
    write_model("hub/hub/models--org--half/snapshots/abc", "{}");
    write_gguf("hub/hub/models--org--gg/snapshots/abc/x-Q4_K_M.gguf");
    write_gguf("hub/hub/models--org--gg/snapshots/abc/x-Q8_0.gguf");
    write_gguf("home/.lmstudio/models/p/two/y-Q4_0.gguf");
    write_gguf("home/.lmstudio/models/p/two/y-Q8_0.gguf");
    write_gguf("home/.lmstudio/models/p/two/sub/y-Q5_K_M-00001-of-00002.gguf");
    write_gguf("home/.lmstudio/models/p/two/sub/y-Q5_K_M-00002-of-00002.gguf");
    write_ollama("m", "latest");
    write_ollama("m", "1b"); /* both share a blob */
    write_model("share/wick/models/shipped", "{}");
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
    static const char *const installed[] = {"share/wick/models"};
    return (wick_discover_opts){.home = "home", .hf_home = "hub", .installed = installed, .n_installed = 1};
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
        for (uint32_t j = 0; j < i; j++) assert_true(l.item[i].manifest || strcmp(l.item[i].path, l.item[j].path) != 0);
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
    } rows[] = {{"org/name", "snapshots/abc", NULL},
                {"NAME", "snapshots/abc", NULL},
                {"models/plain", "models/plain", NULL},
                {"quant", "models/Quant", NULL},
                {"org/name@old", "snapshots/zzz", NULL},
                {"org/name@main", "snapshots/abc", NULL},
                {"org/name@none", NULL, "not found"},
                {"org/half", NULL, "not complete"},
                {"org/gg", "abc/x-Q4_K_M.gguf", NULL},
                {"org/gg:Q8_0", "abc/x-Q8_0.gguf", NULL},
                {"org/gg:q6_k", NULL, "there is Q4_K_M, Q8_0"},
                {"hf.co/org/gg:4bit", "abc/x-Q4_K_M.gguf", NULL},
                {"p/two:5bit", "sub/y-Q5_K_M-00001-of-00002.gguf", NULL},
                {"two:Q8_0", "p/two/y-Q8_0.gguf", NULL},
                {"y-q4_0", "p/two/y-Q4_0.gguf", NULL},
                {"home/.lmstudio/models/p/two", "two/y-Q4_0.gguf", NULL},
                {"home/.lmstudio/models/p/two:Q4_0", "two/y-Q4_0.gguf", NULL},
                {"m", "sha256-" WEIGHTS, NULL},
                {"m:1b", "sha256-" WEIGHTS, NULL},
                {"m:2b", NULL, "did you mean m:1b"},
                {"Quant:4bit", "models/Quant", NULL},
                {"Quant:8bit", NULL, "the weights have 4bit"},
                {"shipped", "share/wick/models/shipped", NULL},
                {"plian", NULL, "mean plain"},
                {"org/nmae", NULL, "mean org/name"},
                {"xyzzy", NULL, "wick list"},
                {"", NULL, "no model given"},
                {"../../etc/none", NULL, "not found"},
                {"a\nb\x1b", NULL, "a\\x0ab\\x1b"}};
    wick_discover_opts o = options();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *path = NULL;
        wick_err err = {0};
        wick_status st = wick_resolve_model(&path, rows[i].asked, &o, &err);
        if ((st == WICK_OK) != (rows[i].path != NULL)) fail_msg("%s: %d %s", rows[i].asked, (int)st, err.message);
        if (rows[i].path && !strstr(path, rows[i].path)) fail_msg("%s: %s", rows[i].asked, path);
        if (rows[i].says && !strstr(err.message, rows[i].says)) fail_msg("%s: %s", rows[i].asked, err.message);
        wick_free(path);
    }
}

/* Tags that share a blob are models of their own, with their settings. */
static void test_ollama_tags(void **state)
{
    wick_found_list l;
    wick_resolved r;
    wick_ollama_settings set;
    wick_err err = {0};
    wick_discover_opts o = options();
    (void)state;
    assert_int_equal(wick_discover(&l, &o, NULL), WICK_OK);
    assert_true(find(&l, "m:latest") && find(&l, "m:1b"));
    wick_found_list_free(&l);
    assert_int_equal(wick_resolve(&r, "m", &o, NULL), WICK_OK);
    assert_non_null(strstr(r.manifest, "library/m/latest"));
    assert_int_equal(wick_ollama_settings_read(&set, r.manifest, NULL), WICK_OK);
    assert_string_equal(set.system, "Be brief.");
    assert_null(set.go_template);
    assert_int_equal(json_array_size(json_object_get(set.parameters, "stop")), 1);
    wick_ollama_settings_release(&set);
    wick_resolved_release(&r);
    assert_int_equal(wick_ollama_settings_read(&set, "models/plain/config.json", &err), WICK_E_BAD_FILE);
    assert_int_equal(remove("home/.ollama/models/blobs/sha256-" PARAMS), 0);
    assert_int_equal(wick_resolve(&r, "m:1b", &o, NULL), WICK_OK);
    assert_int_not_equal(wick_ollama_settings_read(&set, r.manifest, &err), WICK_OK);
    assert_non_null(strstr(err.message, PARAMS));
    wick_resolved_release(&r);
}

static void test_suggestions_are_whole(void **state)
{
    char name[160];
    wick_err err = {0};
    char *path = NULL;
    wick_discover_opts o = options();
    (void)state;
    snprintf(name, sizeof name, "models/%s",
             "A-Very-Long-Name-Of-A-Model-That-Somebody-Has-Chosen-Instruct-v0.2-8bit-mlx-group-64");
    write_model(name, "{}");
    assert_int_equal(wick_resolve_model(&path, "Very-Long-Name-Of-A-Model", &o, &err), WICK_E_MODEL_NOT_FOUND);
    if (!strstr(err.message, name + 7)) fail_msg("%s", err.message);
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
        cmocka_unit_test(test_found),         cmocka_unit_test(test_names_to_paths),
        cmocka_unit_test(test_ollama_tags),   cmocka_unit_test(test_suggestions_are_whole),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
