/* fuzz/fuzz_config.c - config.json to a configuration, and what is computed from it before any tensor is looked at. */
#include "base/json.h"
#include "fuzz.h"
#include "model/arch.h"
#include "model/build.h"

static void check(const wick_config *c)
{
    if (!c->n_embd || c->n_embd > WICK_MAX_DIM || !c->n_layer || c->n_layer > WICK_MAX_LAYERS) abort();
    if (!c->arch) return;
    if (c->head_dim && c->n_kv_head && (c->n_head % c->n_kv_head || c->n_head > WICK_MAX_HEADS)) abort();
    for (uint32_t i = 0; c->layer_window && i < c->n_layer; i++) {
        if (c->layer_window[i] > 1) abort();
    }
    wick_arena a;
    const wick_rope *r;
    wick_arena_init(&a, 0);
    if (wick_rope_build(&a, &c->rope, c->head_dim, c->rope_theta, false, &r, NULL) == WICK_OK &&
        r->n_dims != c->head_dim)
        abort();
    wick_arena_release(&a);
    wick_plan p;
    wick_err err;
    wick_tensor_dir none = {0};
    if (wick_plan_build(&p, c, &none, "fuzz", &err) == WICK_OK) abort(); /* no tensors: some name must be missing */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *json = NULL;
    wick_config c;
    wick_err err;
    if (wick_json_parse((const char *)data, n, "config.json", &json, &err) != WICK_OK) return 0;
    if (wick_config_from_value(&c, json, "config.json", false, &err) == WICK_OK) {
        check(&c);
        wick_config_release(&c);
    } else if (strchr(err.message, '\n')) {
        abort();
    }
    return 0;
}
