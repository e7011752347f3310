/* model/recipe.c - see recipe.h. */
#include "model/recipe.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

const char wick_recipe_names[] = "Q4_K_M, Q4_K_S, Q5_K_M, Q5_K_S, mixed_2_6, mixed_3_4, mixed_3_6, mixed_4_6";

static const struct {
    const char *name, *base, *high;
    bool parts;
} recipes[] = {
    {"Q4_K_M", "Q4K", "Q6K", true},      {"Q4_K_S", "Q4K", "Q6K", false},     {"Q5_K_M", "Q5K", "Q6K", true},
    {"Q5_K_S", "Q5K", "Q6K", false},     {"mixed_2_6", "AFQ2", "AFQ6", true}, {"mixed_3_4", "AFQ3", "AFQ4", true},
    {"mixed_3_6", "AFQ3", "AFQ6", true}, {"mixed_4_6", "AFQ4", "AFQ6", true},
};

static bool same_word(const char *a, size_t n, const char *b)
{
    if (strlen(b) != n) return false;
    for (size_t i = 0; i < n; i++) {
        char x = a[i], y = b[i];
        if (x >= 'A' && x <= 'Z') x = (char)(x - 'A' + 'a');
        if (y >= 'A' && y <= 'Z') y = (char)(y - 'A' + 'a');
        if (x != y) return false;
    }
    return true;
}

/* A form with the group that the name ends in. */
static bool form(const char *name, const char *group, wick_quant *out)
{
    char text[32];
    snprintf(text, sizeof text, "%s%s", name, group);
    return wick_quant_parse(text, out);
}

wick_status wick_recipe_parse(wick_recipe *r, const char *name, const char *what, wick_err *err)
{
    const char *group = strchr(name, ':');
    size_t n = group ? (size_t)(group - name) : strlen(name);
    *r = (wick_recipe){0};
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        if (!same_word(name, n, recipes[i].name)) continue;
        const char *g = group ? group : "";
        r->high_head = true;
        r->high_parts = recipes[i].parts;
        if (form(recipes[i].base, g, &r->base) && form(recipes[i].high, g, &r->high)) {
            r->tied_is_head = r->base.enc == WICK_ENC_BLOCK;
            return WICK_OK;
        }
    }
    if (wick_quant_parse(name, &r->base)) {
        r->high = r->base;
        return WICK_OK;
    }
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what, "%s %s: no such type: there are %s; and the recipes %s", what,
                     name, wick_quant_names, wick_recipe_names);
}

/* The number between two dots: the layer of a tensor. */
static bool layer_of(const char *name, uint32_t *layer)
{
    for (const char *p = name; (p = strchr(p, '.')) != NULL;) {
        uint64_t n = 0;
        const char *end = ++p;
        for (; *end >= '0' && *end <= '9' && n < 100000; end++) n = n * 10 + (uint64_t)(*end - '0');
        if (end == p || *end != '.') continue;
        *layer = (uint32_t)n;
        return true;
    }
    return false;
}

static bool has_any(const char *name, const char *const *part)
{
    for (; *part; part++)
        if (strstr(name, *part)) return true;
    return false;
}

static bool is_head(const char *name)
{
    static const char *const parts[] = {"lm_head", "embed_out", NULL};
    return has_any(name, parts) || strcmp(name, "output.weight") == 0;
}

static bool is_embedding(const char *name)
{
    static const char *const parts[] = {"embed_tokens",    "token_embd",     "wte.",      "embed_in",
                                        "word_embeddings", "tok_embeddings", "embedding", NULL};
    return has_any(name, parts);
}

bool wick_recipe_is_router(const char *name)
{
    static const char *const parts[] = {
        ".gate.", "router", "ffn_gate_inp", "shared_expert_gate", "gate_network", "block_sparse_moe.gate", NULL};
    return has_any(name, parts);
}

static bool worth_more(const wick_recipe *r, const char *name, uint32_t n_layer, bool tied)
{
    static const char *const parts[] = {"v_proj", "v_a_proj", "v_b_proj", "attn_v", "down_proj", "ffn_down", NULL};
    uint32_t layer;
    if (r->high_head && (is_head(name) || (tied && r->tied_is_head && is_embedding(name)))) return true;
    if (!r->high_parts || !has_any(name, parts) || !layer_of(name, &layer)) return false;
    uint32_t eighth = n_layer / 8;
    return layer < eighth || layer >= 7 * n_layer / 8 || (layer >= eighth && (layer - eighth) % 3 == 2);
}

/* Of the types with blocks of 32 the one with as many bits or more. */
static wick_dtype narrow_block(wick_dtype t)
{
    switch ((int)t) {
    case WICK_DTYPE_Q2_K:
    case WICK_DTYPE_Q3_K: return WICK_DTYPE_Q4_0;
    case WICK_DTYPE_Q4_K: return WICK_DTYPE_Q5_0;
    case WICK_DTYPE_Q5_K: return WICK_DTYPE_Q5_1;
    case WICK_DTYPE_Q6_K: return WICK_DTYPE_Q8_0;
    default: return t;
    }
}

bool wick_recipe_pick(const wick_recipe *r, const char *name, uint32_t n_layer, uint32_t n_in, bool tied,
                      wick_quant *out)
{
    if (wick_recipe_is_router(name)) return false;
    *out = worth_more(r, name, n_layer, tied) ? r->high : r->base;
    if (wick_quant_fits(out, n_in)) return true;
    if (out->enc != WICK_ENC_BLOCK) return false;
    out->dtype = narrow_block(out->dtype);
    return wick_quant_fits(out, n_in);
}
