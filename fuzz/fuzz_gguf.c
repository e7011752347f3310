/* fuzz/fuzz_gguf.c - key-values and tensor infos of GGUF files, every typed getter, and the block decoders. */
#include "format/gguf.h"
#include "fuzz_dir.h"
#include "quant/weight.h"

static void read_all(const wick_tensor_dir *d)
{
    const wick_gguf *g = d->gguf;
    for (uint64_t i = 0; i < wick_gguf_n(g); i++) {
        const wick_gguf_value *v = wick_gguf_at(g, i);
        char key[256];
        wick_str k = wick_gguf_key(g, i), s;
        int64_t n;
        double f;
        if (k.n >= sizeof key) continue;
        memcpy(key, k.p, k.n);
        key[k.n] = '\0';
        if (wick_gguf_get(g, key) != v) abort();
        wick_status st = wick_gguf_i64(g, key, -100, 100, 0, &n, NULL);
        st = wick_gguf_f64(g, key, -1, 1, 0, &f, NULL);
        st = wick_gguf_str(g, key, &s, NULL);
        (void)st;
        for (uint64_t j = 0; j < v->n && j < 100; j++) {
            volatile double x = wick_gguf_elem_f64(v, j) + (double)wick_gguf_elem_i64(v, j);
            (void)x;
            if (v->strings && v->strings[j].n > d->file[0].n_bytes) abort();
        }
    }
    for (uint32_t i = 0; i < d->n_tensors; i++) {
        const wick_tensor *t = &d->tensor[i];
        float y[256];
        if (wick_block_has_decoder(t->dtype)) wick_block_decode(t->dtype, t->data, y, wick_dtype_block_elems(t->dtype));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_open(data, n, wick_gguf_open, read_all);
}
