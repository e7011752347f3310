/* model/names.c - from a role to the names that tensors have in files: the default tables (roles.def) with an
 * architecture's overrides, and the expansion of their patterns. */
#include <stdio.h>
#include <string.h>
#include "model/arch.h"

static const char *const hf_pattern[WICK_N_ROLES] = {
#define ROLE(name, hf, gguf) hf,
#include "model/roles.def"
#undef ROLE
};

static const char *const gguf_pattern[WICK_N_ROLES] = {
#define ROLE(name, hf, gguf) gguf,
#include "model/roles.def"
#undef ROLE
};

static const char *const label[WICK_N_ROLES] = {
#define ROLE(name, hf, gguf) #name,
#include "model/roles.def"
#undef ROLE
};

const char *wick_role_label(wick_role r)
{
    return r < WICK_N_ROLES ? label[r] : "?";
}

const char *wick_role_pattern(const wick_arch *a, wick_role r, bool gguf)
{
    const char *p = gguf ? gguf_pattern[r] : hf_pattern[r];
    for (const wick_role_name *n = a->names; n && (n->hf || n->gguf); n++) {
        if (n->role != r) continue;
        const char *own = gguf ? n->gguf : n->hf;
        if (own) p = own;
    }
    return p && *p ? p : NULL;
}

/* Appends s to buf[0..*n); false if it does not fit with its NUL. */
static bool put(char *buf, size_t cap, size_t *n, const char *s, size_t len)
{
    if (len >= cap - *n) return false;
    memcpy(buf + *n, s, len);
    *n += len;
    buf[*n] = 0;
    return true;
}

bool wick_role_path(const char *pattern, uint32_t alt, const char *root, uint32_t layer, uint32_t expert, char *buf,
                    size_t cap)
{
    const char *p = pattern;
    for (; alt > 0; alt--) {
        p = strchr(p, '|');
        if (!p) return false;
        p++;
    }
    size_t n = 0;
    buf[0] = 0;
    for (; *p && *p != '|'; p++) {
        char num[16];
        bool ok;
        if (*p == '@') {
            ok = put(buf, cap, &n, root, strlen(root));
        } else if (*p == '%' || *p == '#') {
            int w = snprintf(num, sizeof num, "%u", *p == '%' ? layer : expert);
            ok = put(buf, cap, &n, num, (size_t)w);
        } else {
            ok = put(buf, cap, &n, p, 1);
        }
        if (!ok) return false;
    }
    return true;
}
