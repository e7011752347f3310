/* fuzz/fuzz_tokenizer.c - tokenizer files of each format, then a text through what was loaded and back.
 * The first byte chooses the format; the last 64 bytes are the text. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/alloc.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static wick_status load(wick_tokenizer **t, uint8_t kind, const char *p, size_t n)
{
    if (kind & 1) return wick_tokenizer_from_spm(t, p, n, "fuzz", NULL);
    return wick_tokenizer_from_json(t, p, n, "fuzz", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    wick_tokenizer *t = NULL;
    if (n < 2 || load(&t, data[0], (const char *)data + 1, n - 1) != WICK_OK) return 0;
    size_t k = n - 1 < 64 ? n - 1 : 64, n_ids = 0;
    int32_t *ids = NULL;
    wick_buf out = WICK_BUF_INIT;
    if (wick_tokenizer_encode(t, (const char *)data + n - k, k, 0, &ids, &n_ids, NULL) == WICK_OK) {
        (void)!wick_tokenizer_decode(t, ids, n_ids, false, &out, NULL);
        for (size_t i = 0; i < n_ids; i++) wick_tokenizer_bytes(t, ids[i], &out);
    }
    wick_buf_release(&out);
    wick_free(ids);
    wick_tokenizer_free(t);
    return 0;
}
