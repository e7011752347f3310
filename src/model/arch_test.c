#include "model/test_model.h"
#include "model/arch.h"

static void finds_every_name(void **state)
{
    (void)state;
    for (const wick_arch *const *a = wick_archs; *a; a++) {
        assert_non_null((*a)->hf[0]);
        assert_non_null((*a)->block);
        for (int i = 0; i < 8 && (*a)->hf[i]; i++) assert_ptr_equal(wick_arch_find((*a)->hf[i], false), *a);
        for (int i = 0; i < 4 && (*a)->gguf[i]; i++) assert_ptr_equal(wick_arch_find((*a)->gguf[i], true), *a);
    }
    assert_null(wick_arch_find("nonsense", false));
    assert_null(wick_arch_find("gpt2x", true));
}

static void unknown_lists_the_nearest(void **state)
{
    (void)state;
    wick_err err;
    assert_int_equal(wick_arch_unknown("qwen33", false, "config.json", &err), WICK_E_UNSUPPORTED_FORMAT);
    assert_non_null(strstr(err.message, "model_type \"qwen33\""));
    assert_non_null(strstr(err.message, "qwen3, "));
    assert_string_equal(err.got, "qwen33");
    assert_int_equal(wick_arch_unknown("lama\n", true, "x.gguf", &err), WICK_E_UNSUPPORTED_FORMAT);
    assert_non_null(strstr(err.message, "llama"));
    assert_null(strchr(err.message, '\n'));
}

static void expands_paths(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        uint32_t alt;
        const char *want; /* NULL: no such alternative */
    } t[] = {{"@layers.%.a", 0, "model.layers.12.a"},
             {"@layers.%.a|@h.%.b", 1, "model.h.12.b"},
             {"@layers.%.a", 1, NULL},
             {"x.#.y|%", 0, "x.7.y"},
             {"x.#.y|%", 1, "12"}};
    char buf[64];
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        bool ok = wick_role_path(t[i].pattern, t[i].alt, "model.", 12, 7, buf, sizeof buf);
        assert_int_equal(ok, t[i].want != NULL);
        if (ok) assert_string_equal(buf, t[i].want);
    }
    assert_false(wick_role_path("0123456789", 0, "", 0, 0, buf, 10));
    assert_true(wick_role_path("012345678", 0, "", 0, 0, buf, 10));
}

static void overrides_win(void **state)
{
    (void)state;
    const wick_arch *phi = wick_arch_find("phi", false), *llama = wick_arch_find("llama", false);
    assert_string_equal(wick_role_pattern(phi, WICK_ROLE_O, false), "@layers.%.self_attn.dense");
    assert_string_equal(wick_role_pattern(phi, WICK_ROLE_O, true), "blk.%.attn_output");
    assert_string_equal(wick_role_pattern(llama, WICK_ROLE_O, true), "blk.%.attn_output");
    assert_null(wick_role_pattern(llama, WICK_ROLE_EXP_NORM, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_every_name), cmocka_unit_test(unknown_lists_the_nearest),
                                       cmocka_unit_test(expands_paths), cmocka_unit_test(overrides_win)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
