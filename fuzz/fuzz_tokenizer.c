/* fuzz/fuzz_tokenizer.c - tokenizer files of each format, then a text through what was loaded and back.
 * The first byte chooses the reader: tokenizer.json, tokenizer.model, the arrays of a GGUF vocabulary, tiktoken lines
 * or tekken.json. The last 64 bytes are the text. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/alloc.h"
#include "text/open_dir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Pieces and merges as lines: a byte (type, or a merge), then the text up to a newline. The first two bytes choose
 * model and pre. */
static wick_status arrays(wick_tokenizer **t, const uint8_t *p, size_t n)
{
    enum { MAX = 200 };
    static const char *const models[] = {"gpt2", "llama", "bert", "t5", "gemma4"};
    static const char *const pres[] = {"llama-bpe", "deepseek-llm", "falcon", "chameleon",
                                       "superbpe",  "kimi-k2",      "gemma4", NULL};
    wick_str tokens[MAX], merges[MAX];
    int32_t types[MAX];
    float scores[MAX];
    if (n < 2) return WICK_E_BAD_FILE;
    wick_vocab_source v = {.model = models[p[0] % 5],
                           .pre = pres[p[1] % 8],
                           .tokens = tokens,
                           .types = types,
                           .scores = scores,
                           .merges = merges,
                           .bos = p[0] >> 3,
                           .eos = p[1] >> 3,
                           .unk = p[0] >> 4,
                           .pad = -1,
                           .add_bos = p[0] & 1,
                           .add_eos = -1,
                           .add_space_prefix = (p[1] & 3) - 1};
    for (size_t i = 2; i < n && v.n < MAX && v.n_merges < MAX;) {
        const char *from = (const char *)p + i + 1, *end = i + 1 < n ? memchr(from, '\n', n - i - 1) : NULL;
        size_t len = end ? (size_t)(end - from) : n - i - 1;
        if (p[i] == 'm') {
            merges[v.n_merges++] = (wick_str){from, len};
        } else {
            types[v.n] = p[i] % 8;
            scores[v.n] = (float)(p[i] >> 3) - 9;
            tokens[v.n++] = (wick_str){from, len};
        }
        i += len + 2;
    }
    return wick_tokenizer_from_vocab(t, &v, "fuzz", NULL);
}

static wick_status load(wick_tokenizer **t, uint8_t kind, const char *p, size_t n)
{
    switch (kind & 3) {
    case 0: return wick_tokenizer_from_json(t, p, n, "fuzz", NULL);
    case 1: return wick_tokenizer_from_spm(t, p, n, "fuzz", NULL);
    case 2: return arrays(t, (const uint8_t *)p, n);
    default:
        if (kind & 4) return wick_tekken_load(t, p, n, "tekken.json", NULL);
        return wick_tiktoken_load(t, p, n, "tiktoken.model", NULL);
    }
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
