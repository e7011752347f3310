/* convert/gguf_model.c - the numbers of a model as GGUF's keys: what model/config.c reads, the other way round. */
#include <stdio.h>

#include "convert/convert_int.h"
#include "model/arch.h"

typedef struct out {
    wick_gguf_keys *k;
    const char *arch;
    char key[96];
} out;

static const char *key_of(out *o, const char *key)
{
    snprintf(o->key, sizeof o->key, "%s.%s", o->arch, key);
    return o->key;
}

static void number(out *o, const char *key, uint32_t value)
{
    if (value) wick_gguf_put_u32(o->k, key_of(o, key), value);
}

static void real(out *o, const char *key, double value)
{
    if (value != 0) wick_gguf_put_f32(o->k, key_of(o, key), (float)value);
}

static void rope(out *o, const wick_config *c, uint32_t head_dim)
{
    const wick_rope_params *p = &c->rope;
    number(o, "rope.dimension_count", (uint32_t)((float)head_dim * c->rope_partial));
    real(o, "rope.freq_base", (double)c->rope_theta);
    if (c->rope_local_theta > 0) real(o, "rope.freq_base_swa", (double)c->rope_local_theta);
    if (p->kind != WICK_ROPE_LINEAR && p->kind != WICK_ROPE_YARN) return;
    wick_gguf_put_str(o->k, key_of(o, "rope.scaling.type"),
                      wick_str_of(p->kind == WICK_ROPE_LINEAR ? "linear" : "yarn"));
    real(o, "rope.scaling.factor", p->factor);
    if (p->kind == WICK_ROPE_LINEAR) return;
    number(o, "rope.scaling.original_context_length", (uint32_t)p->original_ctx);
    real(o, "rope.scaling.yarn_beta_fast", p->beta_fast);
    real(o, "rope.scaling.yarn_beta_slow", p->beta_slow);
    real(o, "rope.scaling.attn_factor", p->attn_factor);
}

wick_status wick_convert_model_keys(wick_convert_job *j, wick_err *err)
{
    const wick_config *c = &j->model.config;
    out o = {.k = &j->keys, .arch = c->arch->gguf[0]};
    uint32_t head_dim = c->head_dim ? c->head_dim : c->n_embd / c->n_head;
    wick_gguf_put_str(o.k, "general.architecture", wick_str_of(o.arch));
    wick_gguf_put_str(o.k, "general.type", wick_str_of("model"));
    wick_gguf_put_str(o.k, "general.name", wick_str_of(j->model.name));
    number(&o, "context_length", c->n_ctx ? c->n_ctx : j->model.plan.n_ctx_train);
    number(&o, "embedding_length", c->n_embd);
    number(&o, "block_count", c->n_layer);
    number(&o, "feed_forward_length", c->n_ff);
    number(&o, "vocab_size", c->n_vocab);
    number(&o, "attention.head_count", c->n_head);
    number(&o, "attention.head_count_kv", c->n_kv_head ? c->n_kv_head : c->n_head);
    number(&o, "attention.key_length", head_dim);
    number(&o, "attention.value_length", c->v_head_dim ? c->v_head_dim : head_dim);
    real(&o, c->arch->norm == WICK_NORM_RMS ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
         (double)c->norm_eps);
    real(&o, "attn_logit_softcapping", (double)c->attn_softcap);
    real(&o, "final_logit_softcapping", (double)c->final_softcap);
    if (c->layer_window || c->arch->windows != WICK_WINDOW_NONE) number(&o, "attention.sliding_window", c->window);
    rope(&o, c, head_dim);
    return o.k->buf.failed ? wick_err_oom(err, "the keys", 0, 0) : WICK_OK;
}
