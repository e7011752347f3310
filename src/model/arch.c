/* model/arch.c - the registry of architectures and the blocks that most of them share. */
#include "model/arch.h"
#include <stdio.h>
#include <string.h>
#include "base/str.h"

#define X WICK_R_X
#define H WICK_R_H
#define A WICK_R_A

const wick_block_step wick_block_prenorm[] = {{WICK_STEP_NORM, H, X, WICK_ROLE_ATTN_NORM},
                                              {WICK_STEP_MIX, H, H, 0},
                                              {WICK_STEP_ADD, X, H, 0},
                                              {WICK_STEP_NORM, H, X, WICK_ROLE_MLP_NORM},
                                              {WICK_STEP_FFN, H, H, 0},
                                              {WICK_STEP_ADD, X, H, 0},
                                              {WICK_STEP_END, X, X, 0}};

const wick_block_step wick_block_sandwich[] = {{WICK_STEP_NORM, H, X, WICK_ROLE_ATTN_NORM},
                                               {WICK_STEP_MIX, H, H, 0},
                                               {WICK_STEP_NORM, H, H, WICK_ROLE_ATTN_POST_NORM},
                                               {WICK_STEP_ADD, X, H, 0},
                                               {WICK_STEP_NORM, H, X, WICK_ROLE_MLP_NORM},
                                               {WICK_STEP_FFN, H, H, 0},
                                               {WICK_STEP_NORM, H, H, WICK_ROLE_MLP_POST_NORM},
                                               {WICK_STEP_ADD, X, H, 0},
                                               {WICK_STEP_END, X, X, 0}};

const wick_block_step wick_block_postnorm[] = {
    {WICK_STEP_MIX, H, X, 0}, {WICK_STEP_NORM, H, H, WICK_ROLE_ATTN_POST_NORM}, {WICK_STEP_ADD, X, H, 0},
    {WICK_STEP_FFN, H, X, 0}, {WICK_STEP_NORM, H, H, WICK_ROLE_MLP_POST_NORM},  {WICK_STEP_ADD, X, H, 0},
    {WICK_STEP_END, X, X, 0}};

const wick_block_step wick_block_parallel[] = {{WICK_STEP_NORM, A, X, WICK_ROLE_ATTN_NORM},
                                               {WICK_STEP_MIX, H, A, 0},
                                               {WICK_STEP_FFN, A, A, 0},
                                               {WICK_STEP_ADD, X, H, 0},
                                               {WICK_STEP_ADD, X, A, 0},
                                               {WICK_STEP_END, X, X, 0}};

const wick_block_step wick_block_parallel2[] = {{WICK_STEP_NORM, H, X, WICK_ROLE_ATTN_NORM},
                                                {WICK_STEP_MIX, H, H, 0},
                                                {WICK_STEP_NORM, A, X, WICK_ROLE_MLP_NORM},
                                                {WICK_STEP_FFN, A, A, 0},
                                                {WICK_STEP_ADD, X, H, 0},
                                                {WICK_STEP_ADD, X, A, 0},
                                                {WICK_STEP_END, X, X, 0}};

const wick_block_step wick_block_bert[] = {
    {WICK_STEP_MIX, H, X, 0}, {WICK_STEP_ADD, X, H, 0}, {WICK_STEP_NORM, X, X, WICK_ROLE_ATTN_POST_NORM},
    {WICK_STEP_FFN, H, X, 0}, {WICK_STEP_ADD, X, H, 0}, {WICK_STEP_NORM, X, X, WICK_ROLE_MLP_POST_NORM},
    {WICK_STEP_END, X, X, 0}};

const wick_block_step wick_block_mixer[] = {{WICK_STEP_NORM, H, X, WICK_ROLE_ATTN_NORM},
                                            {WICK_STEP_MIX, H, H, 0},
                                            {WICK_STEP_ADD, X, H, 0},
                                            {WICK_STEP_END, X, X, 0}};
#undef X
#undef H
#undef A

#define ARCH(name) extern const wick_arch wick_arch_##name;
#include "model/archs.def"
#undef ARCH

const wick_arch *const wick_archs[] = {
#define ARCH(name) &wick_arch_##name,
#include "model/archs.def"
#undef ARCH
    NULL};

const wick_arch *wick_arch_find(const char *name, bool gguf)
{
    for (const wick_arch *const *a = wick_archs; *a; a++) {
        const char *const *names = gguf ? (*a)->gguf : (*a)->hf;
        uint32_t cap = gguf ? 4 : 8;
        for (uint32_t i = 0; i < cap && names[i]; i++) {
            if (strcmp(names[i], name) == 0) return *a;
        }
    }
    return NULL;
}

#define N_NEAREST 4

typedef struct near_name {
    const char *name;
    size_t distance;
} near_name;

/* Keeps the N_NEAREST smallest distances, in order. */
static void offer(near_name near[N_NEAREST], const char *name, size_t d)
{
    for (uint32_t i = 0; i < N_NEAREST; i++) {
        if (near[i].name && near[i].distance <= d) continue;
        memmove(&near[i + 1], &near[i], (N_NEAREST - 1 - i) * sizeof *near);
        near[i] = (near_name){name, d};
        return;
    }
}

wick_status wick_arch_unknown(const char *name, bool gguf, const char *where, wick_err *err)
{
    near_name near[N_NEAREST] = {{0}};
    for (const wick_arch *const *a = wick_archs; *a; a++) {
        const char *const *names = gguf ? (*a)->gguf : (*a)->hf;
        uint32_t cap = gguf ? 4 : 8;
        for (uint32_t i = 0; i < cap && names[i]; i++) offer(near, names[i], wick_edit_distance(name, names[i]));
    }
    char list[200] = "";
    size_t n = 0;
    for (uint32_t i = 0; i < N_NEAREST && near[i].name; i++) {
        int w = snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", near[i].name);
        if (w < 0 || (size_t)w >= sizeof list - n) break;
        n += (size_t)w;
    }
    wick_status st = WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, where, "%s: unknown %s \"%.80s\"; nearest known: %s",
                               where, gguf ? "general.architecture" : "model_type", name, list);
    if (err) {
        snprintf(err->expected, sizeof err->expected, "one of %.80s", list);
        wick_escape_line(err->got, sizeof err->got, name, strlen(name));
    }
    return st;
}
