/* capi/tiny_model_test.h - writes a llama of one layer with random float32 weights, a byte-level tokenizer and a chat
 * template into a folder: a real model for tests of everything above the formats. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"

#define TINY_VOCAB 262
#define TINY_EMBD 32
#define TINY_FF 48

static inline void tiny_tensor(wick_buf *header, wick_buf *data, const char *name, uint32_t rows, uint32_t cols,
                               float scale, float add)
{
    size_t from = data->n;
    static uint32_t seed = 77;
    for (uint32_t i = 0; i < rows * cols; i++) {
        seed = seed * 1664525u + 1013904223u;
        float x = ((float)(seed >> 8) / 8388608.0f - 1.0f) * scale + add;
        wick_buf_add(data, &x, sizeof x);
    }
    wick_buf_printf(header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", header->n > 1 ? "," : "", name);
    if (rows > 1) wick_buf_printf(header, "%u,", rows);
    wick_buf_printf(header, "%u],\"data_offsets\":[%zu,%zu]}", cols, from, data->n);
}

static inline bool tiny_write(const char *dir, const char *name, const void *p, size_t n)
{
    char path[512];
    wick_err err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (wick_file_write(path, p, n, &err) == WICK_OK) return true;
    fprintf(stderr, "%s\n", err.message);
    return false;
}

static inline bool tiny_weights(const char *dir)
{
    wick_buf header = WICK_BUF_INIT, data = WICK_BUF_INIT, file = WICK_BUF_INIT;
    wick_buf_putc(&header, '{');
    tiny_tensor(&header, &data, "model.embed_tokens.weight", TINY_VOCAB, TINY_EMBD, 1, 0);
    tiny_tensor(&header, &data, "lm_head.weight", TINY_VOCAB, TINY_EMBD, 0.7f, 0);
    tiny_tensor(&header, &data, "model.norm.weight", 1, TINY_EMBD, 0.1f, 1);
    tiny_tensor(&header, &data, "model.layers.0.input_layernorm.weight", 1, TINY_EMBD, 0.1f, 1);
    tiny_tensor(&header, &data, "model.layers.0.post_attention_layernorm.weight", 1, TINY_EMBD, 0.1f, 1);
    tiny_tensor(&header, &data, "model.layers.0.self_attn.q_proj.weight", TINY_EMBD, TINY_EMBD, 0.3f, 0);
    tiny_tensor(&header, &data, "model.layers.0.self_attn.k_proj.weight", TINY_EMBD / 2, TINY_EMBD, 0.3f, 0);
    tiny_tensor(&header, &data, "model.layers.0.self_attn.v_proj.weight", TINY_EMBD / 2, TINY_EMBD, 0.3f, 0);
    tiny_tensor(&header, &data, "model.layers.0.self_attn.o_proj.weight", TINY_EMBD, TINY_EMBD, 0.3f, 0);
    tiny_tensor(&header, &data, "model.layers.0.mlp.gate_proj.weight", TINY_FF, TINY_EMBD, 0.3f, 0);
    tiny_tensor(&header, &data, "model.layers.0.mlp.up_proj.weight", TINY_FF, TINY_EMBD, 0.3f, 0);
    tiny_tensor(&header, &data, "model.layers.0.mlp.down_proj.weight", TINY_EMBD, TINY_FF, 0.3f, 0);
    wick_buf_putc(&header, '}');
    while (header.n % 8) wick_buf_putc(&header, ' ');
    uint64_t n = header.n;
    wick_buf_add(&file, &n, 8);
    wick_buf_add(&file, header.data, header.n);
    wick_buf_add(&file, data.data, data.n);
    bool ok = tiny_write(dir, "model.safetensors", file.data, file.n);
    wick_buf_release(&header);
    wick_buf_release(&data);
    wick_buf_release(&file);
    return ok;
}

static inline bool tiny_tokenizer(const char *dir)
{
    static const char *const special[] = {"<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|end|>"};
    wick_buf j = WICK_BUF_INIT;
    wick_buf_puts(&j, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[");
    for (int i = 0; i < 6; i++)
        wick_buf_printf(&j,
                        "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                        "\"normalized\":false,"
                        "\"special\":true}",
                        i ? "," : "", i, special[i]);
    wick_buf_puts(
        &j, "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_"
            "offsets\":true,"
            "\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
            "\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
            "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,"
            "\"vocab\":{");
    for (int i = 0; i < 6; i++) wick_buf_printf(&j, "\"%s\":%d,", special[i], i);
    for (uint32_t b = 0, other = 256; b < 256; b++) { /* GPT-2's printable stand-ins for bytes */
        bool plain = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
        wick_buf_puts(&j, b ? ",\"" : "\"");
        if (b == '"' || b == '\\') wick_buf_putc(&j, '\\');
        wick_buf_utf8(&j, plain ? b : other++);
        wick_buf_printf(&j, "\":%u", b + 6);
    }
    wick_buf_puts(&j, "},\"merges\":[]}}");
    bool ok = tiny_write(dir, "tokenizer.json", j.data, j.n);
    wick_buf_release(&j);
    return ok;
}

/* Makes the folder `dir` (which must not exist) a model; false if that failed. */
static inline bool tiny_model(const char *dir)
{
    static const char config[] =
        "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":32,\"intermediate_size\":"
        "48,"
        "\"num_hidden_layers\":1,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":8,\"vocab_size\":262,"
        "\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"max_position_embeddings\":512,\"tie_word_embeddings\":false,"
        "\"bos_token_id\":1,\"eos_token_id\":2,\"hidden_act\":\"silu\",\"torch_dtype\":\"float32\"}";
    static const char tokenizer_config[] = "{\"bos_token\":\"<s>\",\"eos_token\":\"</"
                                           "s>\",\"unk_token\":\"<unk>\",\"add_bos_token\":false,\"chat_template\":"
                                           "\"{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor "
                                           "%}{% if add_generation_prompt %}<|assistant|>{% endif %}\"}";
    static const char generation[] = "{\"do_sample\":false,\"eos_token_id\":[2,5]}";
    wick_err err = {0};
    if (wick_dir_make(dir, &err) != WICK_OK) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    return tiny_weights(dir) && tiny_tokenizer(dir) && tiny_write(dir, "config.json", config, sizeof config - 1) &&
           tiny_write(dir, "tokenizer_config.json", tokenizer_config, sizeof tokenizer_config - 1) &&
           tiny_write(dir, "generation_config.json", generation, sizeof generation - 1);
}

static inline void tiny_remove(const char *dir)
{
    static const char *const files[] = {"model.safetensors", "tokenizer.json", "config.json", "tokenizer_config.json",
                                        "generation_config.json"};
    for (int i = 0; i < 5; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}
