/* hub/names_test.c - references, paths that a hub may name, and picking of GGUF quantizations. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "hub/pick.h"
#include "hub/ref.h"

static void test_references(void **state)
{
    static const struct {
        const char *text, *repo, *revision, *pick; /* repo NULL: no reference */
    } rows[] = {
        {"org/name", "org/name", "", ""},
        {"org/name@v1.0", "org/name", "v1.0", ""},
        {"org/name@refs/pr/3:Q4_K_M", "org/name", "refs/pr/3", "Q4_K_M"},
        {"org/name:4bit", "org/name", "", "4bit"},
        {"org/name:sub/x-Q8_0.gguf", "org/name", "", "sub/x-Q8_0.gguf"},
        {"hf.co/org/name:Q8_0", "org/name", "", "Q8_0"},
        {"hf:org/name", "org/name", "", ""},
        {"hf://org/name@main", "org/name", "main", ""},
        {"https://huggingface.co/org/name", "org/name", "", ""},
        {"https://huggingface.co/org/name/tree/dev", "org/name", "dev", ""},
        {"https://huggingface.co/org/name/blob/main/a/b.gguf", "org/name", "main", "a/b.gguf"},
        {"https://hf.co/org/name/resolve/abc/x.gguf?download=true", "org/name", "abc", "x.gguf"},
        {"name", NULL, NULL, NULL},
        {"a/b/c", NULL, NULL, NULL},
        {"../x", NULL, NULL, NULL},
        {"./models", NULL, NULL, NULL},
        {"/etc/passwd", NULL, NULL, NULL},
        {"org/..", NULL, NULL, NULL},
        {"org/name@", NULL, NULL, NULL},
        {"org/name@../../x", NULL, NULL, NULL},
        {"org/name:", NULL, NULL, NULL},
        {"org/name:../x", NULL, NULL, NULL},
        {"org/a--b", NULL, NULL, NULL},
        {"org/na me", NULL, NULL, NULL},
        {"https://example.com/org/name", NULL, NULL, NULL},
        {"https://huggingface.co/org/name/discussions", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wick_model_ref r;
        const bool ok = wick_model_ref_parse(&r, rows[i].text);
        if (ok != (rows[i].repo != NULL)) fail_msg("%s: parsed %d", rows[i].text, ok);
        if (!ok) continue;
        assert_string_equal(r.repo, rows[i].repo);
        assert_string_equal(r.revision, rows[i].revision);
        assert_string_equal(r.pick, rows[i].pick);
    }
}

static void test_paths(void **state)
{
    static const char *const good[] = {"a", "a/b", "config.json", ".gitattributes", "a b/c+d.x", "..a", "a..b/c"},
                             *const bad[] = {"",    "/a",  "a/",   "a//b", "..",   "a/../b",
                                             "./a", "a/.", "a\\b", "a\nb", "\x7f", "..."};
    char longer[300];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!wick_hub_path_ok(good[i])) fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (wick_hub_path_ok(bad[i])) fail_msg("%s is taken", bad[i]);
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_false(wick_hub_path_ok(longer));
}

static void test_labels(void **state)
{
    static const char *const rows[][2] = {{"x-Q4_K_M.gguf", "Q4_K_M"},
                                          {"x.q4_0.gguf", "Q4_0"},
                                          {"Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0"},
                                          {"x-BF16.gguf", "BF16"},
                                          {"x-F16.gguf", "F16"},
                                          {"x-UD-Q4_K_XL.gguf", "Q4_K_XL"},
                                          {"Q8_0-chat-IQ3_XXS.gguf", "IQ3_XXS"},
                                          {"ggml-model-q5_k.gguf", "Q5_K"},
                                          {"gpt-oss-20b-mxfp4.gguf", "MXFP4"},
                                          {"model.gguf", NULL},
                                          {"AQ4_0B.gguf", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *l = wick_gguf_label(rows[i][0]);
        if (!rows[i][1])
            assert_null(l);
        else if (!l || strcmp(l, rows[i][1]) != 0)
            fail_msg("%s: %s", rows[i][0], l ? l : "none");
    }
    assert_true(wick_gguf_is_first("d/x-00001-of-00003.gguf") && wick_gguf_is_first("x.gguf"));
    assert_false(wick_gguf_is_first("x-00002-of-00003.gguf") || wick_gguf_is_first("mmproj-x.gguf") ||
                 wick_gguf_is_first("x.safetensors"));
    assert_true(wick_gguf_same_model("d/x-00001-of-00003.gguf", "d/x-00003-of-00003.gguf"));
    assert_false(wick_gguf_same_model("d/x-00001-of-00003.gguf", "d/x-00001-of-00004.gguf") ||
                 wick_gguf_same_model("d/x-00001-of-00003.gguf", "d/y-00002-of-00003.gguf"));
}

#define GIB (1ull << 30)
static const wick_gguf_file files[] = {{"x-BF16.gguf", 16 * GIB}, {"x-Q8_0.gguf", 8 * GIB},
                                       {"x-Q4_0.gguf", 4 * GIB},  {"x-Q4_K_M.gguf", 5 * GIB},
                                       {"x-Q2_K.gguf", 3 * GIB},  {"x-UD-Q4_K_XL.gguf", 5 * GIB}};
enum { N_FILES = sizeof files / sizeof *files };

static void test_pick(void **state)
{
    static const struct {
        const char *asked;
        uint64_t memory;
        const char *name, *why; /* name NULL: refused; why: a part of it, "" for none */
    } rows[] = {
        {"", 0, "x-Q4_K_M.gguf", "usual balance"},
        {"", 64 * GIB, "x-Q4_K_M.gguf", "of 6 quantizations"},
        {"", 5 * GIB, "x-Q4_0.gguf", "fit into memory (5.0 GiB free)"},
        {"", GIB, "x-Q2_K.gguf", "memory is short"},
        {"q8_0", 0, "x-Q8_0.gguf", ""},
        {"x-BF16.gguf", 0, "x-BF16.gguf", ""},
        {"UD-Q4_K_XL", 0, "x-UD-Q4_K_XL.gguf", ""},
        {"4bit", 0, "x-Q4_K_M.gguf", "usual"},
        {"8-bit", 0, "x-Q8_0.gguf", ""},
        {"Q5_K_M", 0, NULL, "BF16, Q8_0, Q4_0, Q4_K_M, Q2_K"},
        {"5bit", 0, NULL, "no file or quantization \"5bit\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t which = 99;
        char why[200];
        wick_err err = {0};
        wick_status st =
            wick_gguf_pick(&which, why, sizeof why, files, N_FILES, rows[i].asked, rows[i].memory, "org/x", &err);
        assert_int_equal(st, rows[i].name ? WICK_OK : WICK_E_MODEL_NOT_FOUND);
        const char *said = st == WICK_OK ? why : err.message;
        if (st == WICK_OK) assert_string_equal(files[which].name, rows[i].name);
        if (*rows[i].why ? !strstr(said, rows[i].why) : *said != '\0') fail_msg("%s: %s", rows[i].asked, said);
    }
    uint32_t which;
    char why[200];
    wick_err err = {0};
    assert_int_equal(wick_gguf_pick(&which, why, sizeof why, files, 1, "", 0, "p", &err), WICK_OK);
    assert_string_equal(why, ""); /* nothing to choose, nothing to say */
    assert_int_equal(wick_gguf_pick(&which, why, sizeof why, NULL, 0, "Q8_0", 0, "p", &err), WICK_E_MODEL_NOT_FOUND);
    assert_non_null(strstr(err.message, "there is no GGUF file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_pick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
