#include "model/test_model.h"
#include "model/arch.h"
#include "model/model.h"
#include "model/vocab.h"

#define LLAMA                                                                                                         \
    "{\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_" \
    "heads\":2,\"intermediate_size\":96,\"vocab_size\":32,\"max_position_embeddings\":128,\"eos_token_id\":[2,3]"

#define LAYER(n)                                                              \
    {"model.layers." n ".input_layernorm.weight", "F32", 0, 64},              \
        {"model.layers." n ".post_attention_layernorm.weight", "F32", 0, 64}, \
        {"model.layers." n ".self_attn.q_proj.weight", "F32", 64, 64},        \
        {"model.layers." n ".self_attn.k_proj.weight", "F32", 32, 64},        \
        {"model.layers." n ".self_attn.v_proj.weight", "F32", 32, 64},        \
        {"model.layers." n ".self_attn.o_proj.weight", "F32", 64, 64},        \
        {"model.layers." n ".mlp.gate_proj.weight", "F32", 96, 64},           \
        {"model.layers." n ".mlp.up_proj.weight", "F32", 96, 64},             \
    {                                                                         \
        "model.layers." n ".mlp.down_proj.weight", "F32", 64, 96              \
    }

static const test_tensor llama[] = {
    {"model.embed_tokens.weight", "F32", 32, 64}, {"model.norm.weight", "F32", 0, 64}, LAYER("0"), LAYER("1")};
#define N_LLAMA (sizeof llama / sizeof *llama)

typedef struct fixture {
    char dir[64];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    test_dir(f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    test_dir_remove(f->dir);
    free(f);
    return 0;
}

static void opens_llama(void **state)
{
    fixture *f = *state;
    wick_model m;
    wick_err err = {0};
    test_write_tensors(f->dir, llama, N_LLAMA);
    test_write_config(f->dir, LLAMA ",\"bos_token_id\":1}");
    if (wick_model_open(&m, f->dir, &err) != WICK_OK) fail_msg("%s", err.message);
    static const wick_op_kind want[] = {WICK_OP_EMBED, WICK_OP_NORM, WICK_OP_ATTN, WICK_OP_ADD,  WICK_OP_NORM,
                                        WICK_OP_MLP,   WICK_OP_ADD,  WICK_OP_NORM, WICK_OP_ATTN, WICK_OP_ADD,
                                        WICK_OP_NORM,  WICK_OP_MLP,  WICK_OP_ADD,  WICK_OP_NORM, WICK_OP_HEAD};
    assert_int_equal(m.plan.n_ops, sizeof want / sizeof *want);
    for (uint32_t i = 0; i < m.plan.n_ops; i++) assert_int_equal(m.plan.op[i].kind, want[i]);
    const wick_op_attn *a = &m.plan.op[2].u.attn;
    assert_int_equal(a->n_kv_head, 2);
    assert_int_equal(a->wk->n_out, 32);
    assert_true(a->scale == 0.25f && a->rope && a->rope->n_dims == 16 && !a->rope->interleaved);
    assert_ptr_equal(m.plan.op[14].u.head.w, m.plan.op[0].u.embed.w); /* no head in the file: tied */
    assert_int_equal(m.plan.n_caches, 2);
    assert_int_equal(m.plan.cache[1].k_dim, 16);
    assert_int_equal(m.plan.act_dtype, WICK_DTYPE_F32);
    uint64_t params = 0;
    for (size_t i = 0; i < N_LLAMA; i++) params += (uint64_t)(llama[i].rows ? llama[i].rows : 1) * llama[i].cols;
    assert_int_equal(m.plan.n_params, params);
    assert_int_equal(m.plan.weight_bytes, params * 4);
    assert_int_equal(m.n_eos, 2);
    assert_int_equal(m.eos[1], 3);
    assert_int_equal(m.bos, 1);
    assert_string_equal(m.name, f->dir + 5);
    wick_model_close(&m);
}

static void generation_config_names_the_ends(void **state)
{
    fixture *f = *state;
    wick_model m;
    test_write_tensors(f->dir, llama, N_LLAMA);
    test_write_config(f->dir, LLAMA "}");
    test_write_text(f->dir, "generation_config.json", "{\"eos_token_id\":[9,9,31,32,-1],\"temperature\":0.5}");
    assert_int_equal(wick_model_open(&m, f->dir, NULL), WICK_OK);
    assert_int_equal(m.n_eos, 4); /* doubles and ids outside the vocabulary are left out; config.json's own two */
    assert_int_equal(m.eos[0], 9);
    assert_int_equal(m.eos[1], 31);
    assert_int_equal(m.eos[2], 2);
    wick_model_add_ends(&m, NULL);
    assert_int_equal(m.n_eos, 4);
    assert_non_null(m.generation);
    wick_model_close(&m);
    test_write_text(f->dir, "generation_config.json", "{broken");
    assert_int_equal(wick_model_open(&m, f->dir, NULL), WICK_OK);
    assert_int_equal(m.n_eos, 2);
    assert_int_equal(m.eos[0], 2);
    assert_null(m.generation);
    wick_model_close(&m);
}

static void opens_a_bare_file(void **state)
{
    fixture *f = *state;
    wick_model m;
    char path[128];
    test_write_tensors(f->dir, llama, N_LLAMA);
    test_write_config(f->dir, LLAMA "}");
    snprintf(path, sizeof path, "%s/model.safetensors", f->dir);
    assert_int_equal(wick_model_open(&m, path, NULL), WICK_OK);
    wick_model_close(&m);
    char *folder = wick_model_folder(path);
    assert_string_equal(folder, f->dir);
    wick_free(folder);
}

/* phi3: fused matrices become row ranges of one. */
static void splits_fused_matrices(void **state)
{
    fixture *f = *state;
    wick_model m;
    wick_err err = {0};
    static const test_tensor t[] = {{"model.embed_tokens.weight", "F32", 32, 64},
                                    {"model.norm.weight", "F32", 0, 64},
                                    {"lm_head.weight", "F32", 32, 64},
                                    {"model.layers.0.input_layernorm.weight", "F32", 0, 64},
                                    {"model.layers.0.post_attention_layernorm.weight", "F32", 0, 64},
                                    {"model.layers.0.self_attn.qkv_proj.weight", "F32", 128, 64},
                                    {"model.layers.0.self_attn.o_proj.weight", "F32", 64, 64},
                                    {"model.layers.0.mlp.gate_up_proj.weight", "F32", 192, 64},
                                    {"model.layers.0.mlp.down_proj.weight", "F32", 64, 96}};
    test_write_tensors(f->dir, t, sizeof t / sizeof *t);
    test_write_config(
        f->dir, "{\"model_type\":\"phi3\",\"hidden_size\":64,\"num_hidden_layers\":1,\"num_attention_heads\":4,\"num_"
                "key_value_heads\":2,\"intermediate_size\":96,\"vocab_size\":32,\"tie_word_embeddings\":false}");
    if (wick_model_open(&m, f->dir, &err) != WICK_OK) fail_msg("%s", err.message);
    const wick_op_attn *a = &m.plan.op[2].u.attn;
    assert_ptr_equal(a->wk->data, a->wq->data + 64 * 64 * 4);
    assert_ptr_equal(a->wv->data, a->wk->data + 32 * 64 * 4);
    const wick_op_mlp *p = &m.plan.op[5].u.mlp;
    assert_ptr_equal(p->up->data, p->gate->data + 96 * 64 * 4);
    assert_int_equal(p->up->n_out, 96);
    assert_ptr_not_equal(m.plan.op[m.plan.n_ops - 1].u.head.w, m.plan.op[0].u.embed.w);
    wick_model_close(&m);
}

static void reads_packed_weights(void **state)
{
    fixture *f = *state;
    wick_model m;
    wick_err err = {0};
    test_tensor t[N_LLAMA + 2];
    memcpy(t, llama, sizeof llama);
    t[2 + 2] = (test_tensor){"model.layers.0.self_attn.q_proj.weight", "U32", 64, 8};
    t[N_LLAMA] = (test_tensor){"model.layers.0.self_attn.q_proj.scales", "F16", 64, 2};
    t[N_LLAMA + 1] = (test_tensor){"model.layers.0.self_attn.q_proj.biases", "F16", 64, 2};
    test_write_tensors(f->dir, t, N_LLAMA + 2);
    test_write_config(f->dir, LLAMA ",\"quantization\":{\"group_size\":64,\"bits\":4,\"model.layers.0.self_attn.q_"
                                    "proj\":{\"group_size\":32,\"bits\":4}}}");
    if (wick_model_open(&m, f->dir, &err) != WICK_OK) fail_msg("%s", err.message);
    const wick_weight *q = m.plan.op[2].u.attn.wq;
    assert_int_equal(q->enc, WICK_ENC_AFFINE);
    assert_int_equal(q->bits, 4);
    assert_int_equal(q->group, 32);
    assert_int_equal(q->dtype, WICK_DTYPE_F16);
    assert_int_equal(m.plan.op[2].u.attn.wk->enc, WICK_ENC_PLAIN);
    wick_model_close(&m);
}

/* What one changed tensor or key leads to. */
static void names_what_is_wrong(void **state)
{
    fixture *f = *state;
    static const struct {
        size_t i;
        test_tensor t; /* name NULL: left out */
        const char *config, *want;
        wick_status kind;
    } t[] = {
        {2 + 4,
         {NULL, NULL, 0, 0},
         LLAMA "}",
         "model.layers.0.self_attn.v_proj.weight is missing (expected [32, 64])",
         WICK_E_BAD_FILE},
        {0, {NULL, NULL, 0, 0}, LLAMA "}", "model.embed_tokens.weight is missing", WICK_E_BAD_FILE},
        {1, {NULL, NULL, 0, 0}, LLAMA "}", "model.norm.weight is missing", WICK_E_BAD_FILE},
        {2,
         {"model.layers.0.input_layernorm.weight", "F32", 0, 63},
         LLAMA "}",
         "expected 64 elements, got 63",
         WICK_E_BAD_FILE},
        {2 + 2,
         {"model.layers.0.self_attn.q_proj.weight", "F32", 64, 65},
         LLAMA "}",
         "q_proj.weight: expected a matrix [64, 64], got F32 [64, 65]",
         WICK_E_BAD_FILE},
        {2 + 2,
         {"model.layers.0.self_attn.q_proj.weight", "F32", 0, 4096},
         LLAMA "}",
         "got F32 [4096]",
         WICK_E_BAD_FILE},
        {2 + 2,
         {"model.layers.0.self_attn.q_proj.weight", "U8", 64, 64},
         LLAMA "}",
         "cannot run U8",
         WICK_E_UNSUPPORTED_FORMAT},
        {1,
         {"model.norm.weight", "U32", 0, 64},
         LLAMA "}",
         "expected F32, F16 or BF16, got U32",
         WICK_E_UNSUPPORTED_FORMAT},
        {1,
         {"model.norm.weight", "F32", 0, 64},
         LLAMA ",\"tie_word_embeddings\":false}",
         "lm_head.weight is missing",
         WICK_E_BAD_FILE},
        {1, {"model.norm.weight", "F32", 0, 64}, LLAMA ",\"quantization\":7}", "quantization", WICK_E_BAD_FILE},
        {1,
         {"model.norm.weight", "F32", 0, 64},
         LLAMA ",\"quantization_config\":{\"quant_method\":\"hqq\",\"nbits\":4}}",
         "hqq",
         WICK_E_UNSUPPORTED_FORMAT},
        {1, {"model.norm.weight", "F32", 0, 64}, LLAMA ",\"eos_token_id\":\"x\"}", "eos_token_id", WICK_E_BAD_FILE},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        test_tensor all[N_LLAMA];
        size_t n = N_LLAMA;
        wick_model m;
        wick_err err = {0};
        memcpy(all, llama, sizeof llama);
        if (t[i].t.name)
            all[t[i].i] = t[i].t;
        else
            all[t[i].i] = all[--n];
        test_write_tensors(f->dir, all, n);
        test_write_config(f->dir, t[i].config);
        wick_status st = wick_model_open(&m, f->dir, &err);
        if (st != t[i].kind || !strstr(err.message, t[i].want))
            fail_msg("case %zu: got %d \"%s\", expected \"%s\"", i, (int)st, err.message, t[i].want);
        assert_null(strchr(err.message, '\n'));
    }
}

static void needs_a_config(void **state)
{
    fixture *f = *state;
    wick_model m;
    wick_err err = {0};
    assert_int_equal(wick_model_open(&m, "/nonexistent/model", &err), WICK_E_MODEL_NOT_FOUND);
    assert_int_equal(wick_model_open(&m, "", &err), WICK_E_BAD_PARAMETER);
    test_write_tensors(f->dir, llama, N_LLAMA);
    assert_int_equal(wick_model_open(&m, f->dir, &err), WICK_E_UNSUPPORTED_FORMAT);
    assert_non_null(strstr(err.message, "config.json"));
    test_write_config(f->dir, "{\"model_type\":\"unheard_of\",\"hidden_size\":64,\"num_hidden_layers\":2}");
    assert_int_equal(wick_model_open(&m, f->dir, &err), WICK_E_UNSUPPORTED_FORMAT);
    assert_int_equal(wick_model_open_meta(&m, f->dir, &err), WICK_OK);
    assert_null(m.config.arch);
    assert_int_equal(m.plan.n_ops, 0);
    wick_model_close(&m);
}

static void survives_failing_allocations(void **state)
{
    fixture *f = *state;
    test_write_tensors(f->dir, llama, N_LLAMA);
    test_write_config(f->dir, LLAMA "}");
    wick_status st = WICK_E_OUT_OF_MEMORY;
    unsigned n = 0;
    while (st != WICK_OK) {
        wick_model m;
        wick_err err = {0};
        assert_true(++n < 2000);
        wick_alloc_fail_at(n, true);
        st = wick_model_open(&m, f->dir, &err);
        wick_alloc_fail_at(0, false);
        if (st == WICK_OK)
            wick_model_close(&m);
        else if (st != WICK_E_OUT_OF_MEMORY)
            fail_msg("allocation %u: %d %s", n, (int)st, err.message);
    }
    assert_true(n > 10);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(opens_llama),          T(generation_config_names_the_ends),
                                       T(opens_a_bare_file),    T(splits_fused_matrices),
                                       T(reads_packed_weights), T(names_what_is_wrong),
                                       T(needs_a_config),       T(survives_failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
