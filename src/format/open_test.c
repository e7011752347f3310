/* format/open_test.c - what a path is: foreign files and folders get an answer that says so. */
#include "format/test_files.h"

static void foreign(void **state)
{
    (void)state;
    static const struct {
        const char *name, *content, *text;
    } rows[] = {
        {"a.bin", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
        {"a.pt", "\x80\x02}q", "pickle"},
        {"a.safetensors", "  <!doctype HTML><p>", "web page"},
        {"a.gguf", "<?xml version='1.0'?>", "XML"},
        {"a.gguf", "lmggxxxxxxxx", "before GGUF"},
        {"a.npz", "\x93NUMPYxxxxxxx", "single NumPy array"},
        {"a.json", "{\"a\": 1}", "JSON"},
        {"a.unknown", "hello, model", "unknown data"},
        {"a.gguf", "", "empty"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(file_of(rows[i].name, rows[i].content, strlen(rows[i].content)), WICK_E_UNSUPPORTED_FORMAT,
                       rows[i].text);
    assert_refused(file_of("zero.gguf", (char[5000]){0}, 5000), WICK_E_UNSUPPORTED_FORMAT, "unfinished download");
}

static void folders(void **state)
{
    (void)state;
    assert_refused(test_folder, WICK_E_MODEL_NOT_FOUND, "holds no model");
    assert_refused("/nonexistent/model", WICK_E_MODEL_NOT_FOUND, "no such file");
    file_of("pytorch_model.bin", "x", 1);
    assert_refused(test_folder, WICK_E_UNSUPPORTED_FORMAT, "PyTorch");
    file_of("b.gguf", "GGUF", 4);
    file_of("mmproj-b.gguf", "GGUF", 4);
    wick_tensor_dir d;
    wick_err err;
    assert_int_equal(wick_tensor_dir_open(&d, test_folder, &err), WICK_E_BAD_FILE);
    file_of("c.gguf", "GGUF", 4);
    assert_refused(test_folder, WICK_E_MODEL_NOT_FOUND, "name one");
    file_of("x.npz", "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
    assert_int_equal(wick_tensor_dir_open(&d, test_folder, &err), WICK_OK); /* before .gguf */
    assert_int_equal(d.n_tensors, 0);
    assert_null(wick_tensor_find(&d, "a"));
    wick_tensor_dir_close(&d);
    file_of("y.npz", "", 0);
    assert_refused(test_folder, WICK_E_MODEL_NOT_FOUND, "name the file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(foreign, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(folders, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
