/* fuzz/replay_main.c - runs a fuzz target over files and folders, without libFuzzer: corpus and findings as a test. */
#include <stdio.h>
#include <stdlib.h>
#include "base/alloc.h"
#include "base/file.h"
#include "fuzz.h"

static unsigned long replay(const char *path)
{
    char *data = NULL;
    size_t n = 0;
    wick_err err = {0};
    if (wick_file_read(path, 64u << 20, &data, &n, &err) != WICK_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    /* a copy of the exact size, so that reading past its end shows under AddressSanitizer */
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact) abort();
    for (size_t i = 0; i < n; i++) exact[i] = (uint8_t)data[i];
    wick_free(data);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 1;
}

int main(int argc, char **argv)
{
    unsigned long n = 0;
    for (int i = 1; i < argc; i++) {
        wick_dir_list list = {0};
        wick_err err = {0};
        if (!wick_path_is_dir(argv[i])) {
            n += replay(argv[i]);
            continue;
        }
        if (wick_dir_list_read(&list, argv[i], &err) != WICK_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        for (size_t k = 0; k < list.n; k++) {
            char *path = wick_path_join(argv[i], list.name[k]);
            if (path && wick_path_is_file(path)) n += replay(path);
            wick_free(path);
        }
        wick_dir_list_free(&list);
    }
    printf("%lu inputs\n", n);
    return n ? 0 : 1;
}
