/* convert/hf_config.c - config.json of a model that was a GGUF file. What cannot be said here shows when the result is
 * compared with the source (same_model.c). */
#include <math.h>
#include <string.h>

#include "convert/convert_int.h"
#include "model/arch.h"

static void put(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
}

/* rope_freqs.weight of llama 3: the published parameters that give these factors, or nothing. */
static json_t *llama3(const wick_rope_params *p, double theta)
{
    static const double factors[] = {8, 32, 16, 4};
    for (size_t k = 0; k < sizeof factors / sizeof *factors; k++) {
        uint32_t i = 0;
        for (; i < p->n_factors; i++) {
            double wave = 6.283185307179586 * pow(theta, (double)i / p->n_factors), smooth = (8192 / wave - 1) / 3;
            double want = wave > 8192 ? factors[k] : wave < 2048 ? 1 : 1 / ((1 - smooth) / factors[k] + smooth);
            if (fabs((double)p->factors[i] - want) > 1e-3 * want) break;
        }
        if (i < p->n_factors) continue;
        return json_pack("{s:s, s:f, s:f, s:f, s:i}", "rope_type", "llama3", "factor", factors[k], "low_freq_factor",
                         1.0, "high_freq_factor", 4.0, "original_max_position_embeddings", 8192);
    }
    return NULL;
}

static void rope(json_t *o, const wick_config *c)
{
    const wick_rope_params *p = &c->rope;
    json_t *scaling = NULL;
    put(o, "rope_theta", json_real((double)c->rope_theta));
    if (c->rope_local_theta > 0) put(o, "rope_local_base_freq", json_real((double)c->rope_local_theta));
    if (p->n_factors)
        scaling = llama3(p, (double)c->rope_theta);
    else if (p->kind == WICK_ROPE_LINEAR)
        scaling = json_pack("{s:s, s:f}", "rope_type", "linear", "factor", p->factor);
    else if (p->kind == WICK_ROPE_YARN)
        scaling = json_pack("{s:s, s:f, s:I, s:f, s:f}", "rope_type", "yarn", "factor", p->factor,
                            "original_max_position_embeddings", (json_int_t)p->original_ctx, "beta_fast", p->beta_fast,
                            "beta_slow", p->beta_slow);
    if (scaling) put(o, "rope_scaling", scaling);
}

static const char *class_of(const char *arch)
{
    static const char *const names[][2] = {{"llama", "LlamaForCausalLM"},   {"qwen2", "Qwen2ForCausalLM"},
                                           {"qwen3", "Qwen3ForCausalLM"},   {"gemma", "GemmaForCausalLM"},
                                           {"gemma2", "Gemma2ForCausalLM"}, {"gemma3", "Gemma3ForCausalLM"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], arch) == 0) return names[i][1];
    return arch;
}

static bool has_bias(const wick_convert_job *j, const char *name)
{
    return wick_tensor_find(&j->model.tensors, name) != NULL;
}

json_t *wick_convert_hf_config(const wick_convert_job *j)
{
    const wick_config *c = &j->model.config;
    const char *arch = c->arch->name;
    bool gemma = strncmp(arch, "gemma", 5) == 0;
    uint32_t head_dim = c->head_dim ? c->head_dim : c->n_embd / c->n_head;
    json_t *o = json_object();
    put(o, "architectures", json_pack("[s]", class_of(arch)));
    put(o, "model_type", json_string(c->arch->hf[0]));
    put(o, "vocab_size", json_integer(j->model.plan.n_vocab));
    put(o, "hidden_size", json_integer(c->n_embd));
    put(o, "num_hidden_layers", json_integer(c->n_layer));
    put(o, "num_attention_heads", json_integer(c->n_head));
    put(o, "num_key_value_heads", json_integer(c->n_kv_head ? c->n_kv_head : c->n_head));
    put(o, "head_dim", json_integer(head_dim));
    put(o, "intermediate_size", json_integer(c->n_ff));
    put(o, "max_position_embeddings", json_integer(c->n_ctx ? c->n_ctx : j->model.plan.n_ctx_train));
    put(o, "rms_norm_eps", json_real((double)c->norm_eps));
    put(o, gemma ? "hidden_activation" : "hidden_act", json_string(gemma ? "gelu_pytorch_tanh" : "silu"));
    put(o, "attention_bias", json_boolean(has_bias(j, "blk.0.attn_q.bias")));
    put(o, "mlp_bias", json_boolean(has_bias(j, "blk.0.ffn_up.bias")));
    put(o, "tie_word_embeddings", json_boolean(j->tied));
    put(o, "torch_dtype",
        json_string(j->model.plan.act_dtype == WICK_DTYPE_F16   ? "float16"
                    : j->model.plan.act_dtype == WICK_DTYPE_F32 ? "float32"
                                                                : "bfloat16"));
    rope(o, c);
    if (strcmp(arch, "gemma2") == 0 || strcmp(arch, "gemma3") == 0) {
        if (c->attn_scale > 0)
            put(o, "query_pre_attn_scalar", json_real(1 / ((double)c->attn_scale * (double)c->attn_scale)));
        if (c->window) put(o, "sliding_window", json_integer(c->window));
        if (c->attn_softcap > 0) put(o, "attn_logit_softcapping", json_real((double)c->attn_softcap));
        if (c->final_softcap > 0) put(o, "final_logit_softcapping", json_real((double)c->final_softcap));
        if (strcmp(arch, "gemma3") == 0) put(o, "sliding_window_pattern", json_integer(c->arch->window_pattern));
    }
    if (j->model.bos >= 0) put(o, "bos_token_id", json_integer(j->model.bos));
    json_t *ends = json_array();
    for (uint32_t i = 0; i < j->model.n_eos; i++) json_array_append_new(ends, json_integer(j->model.eos[i]));
    put(o, "eos_token_id", ends);
    return o;
}
