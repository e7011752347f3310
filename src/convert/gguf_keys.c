/* convert/gguf_keys.c - the keys of a GGUF file: those of the one that it is made from, or a model's own. */
#include "convert/convert_int.h"
#include "format/gguf.h"

/* llama.cpp's number for the type that most matrices have; what it has no number for is left out. */
static bool file_type(const wick_convert_job *j, uint32_t *out)
{
    static const struct {
        wick_dtype t;
        uint32_t all, mixed;
    } types[] = {{WICK_DTYPE_F32, 0, 0},    {WICK_DTYPE_F16, 1, 1},    {WICK_DTYPE_BF16, 32, 32},
                 {WICK_DTYPE_Q4_0, 2, 2},   {WICK_DTYPE_Q4_1, 3, 3},   {WICK_DTYPE_Q5_0, 8, 8},
                 {WICK_DTYPE_Q5_1, 9, 9},   {WICK_DTYPE_Q8_0, 7, 7},   {WICK_DTYPE_Q2_K, 10, 10},
                 {WICK_DTYPE_Q3_K, 12, 12}, {WICK_DTYPE_Q4_K, 14, 15}, {WICK_DTYPE_Q5_K, 16, 17},
                 {WICK_DTYPE_Q6_K, 18, 18}};
    const wick_recipe *r = j->opts->recipe;
    wick_dtype t = r ? r->base.dtype : j->opts->has_dtype ? j->opts->dtype : WICK_DTYPE_COUNT;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].t == t) {
            *out = r && r->high_parts ? types[i].mixed : types[i].all;
            return true;
        }
    return false;
}

wick_status wick_convert_keys(wick_convert_job *j, wick_err *err)
{
    const wick_gguf *g = j->model.tensors.gguf;
    uint32_t type;
    bool have_type = file_type(j, &type);
    if (!g) {
        WICK_TRY(wick_convert_model_keys(j, err));
        WICK_TRY(wick_convert_vocab_keys(j, err));
    }
    for (uint64_t i = 0; g && i < wick_gguf_n(g); i++) {
        wick_str key = wick_gguf_key(g, i);
        bool split = key.n > 6 && memcmp(key.p, "split.", 6) == 0;
        bool own = have_type && wick_str_eq(key, wick_str_of("general.file_type"));
        if (split || own || wick_str_eq(key, wick_str_of("general.alignment"))) continue;
        (void)wick_gguf_put_value(&j->keys, key, wick_gguf_at(g, i));
    }
    if (have_type) wick_gguf_put_u32(&j->keys, "general.file_type", type);
    if (!g || !wick_gguf_get(g, "general.quantization_version"))
        wick_gguf_put_u32(&j->keys, "general.quantization_version", 2);
    return j->keys.buf.failed ? wick_err_oom(err, "the keys", 0, 0) : WICK_OK;
}
