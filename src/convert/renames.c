/* convert/renames.c - the tensors of a model under the names of the other family, Hugging Face's or GGUF's: by role,
 * as model/names.c has both patterns. Rows and values change too: GGUF has q and k of some families interleaved within
 * each head, and the norms of others with the 1 that Hugging Face's files leave out. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "convert/convert_int.h"
#include "model/arch.h"
#include "model/checkpoint.h"

/* Families whose conversion is tested against the source's logits (tests/e2e/test_convert_gguf.py). */
static const char *const families[] = {"llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", NULL};

bool wick_convert_renames(const wick_convert_job *j)
{
    return (j->model.tensors.format == WICK_GGUF) != (j->opts->to == WICK_TO_GGUF);
}

bool wick_convert_can_rename(const wick_config *c)
{
    bool known = false;
    for (int i = 0; families[i] && c->arch; i++) known |= strcmp(families[i], c->arch->name) == 0;
    return known && c->arch->gguf[0] && !c->n_expert && c->rope.kind != WICK_ROPE_LONGROPE;
}

/* A name under both families: patterns, what stands for the root in them, layers that they run through. */
typedef struct renaming {
    const char *from, *from_root, *to, *to_root;
    uint32_t n_layers;
} renaming;

static bool patterns_of(const wick_convert_job *j, wick_role r, const char *root, renaming *out)
{
    const wick_config *c = &j->model.config;
    /* families with one norm between attention and MLP have it in the role of the latter */
    const char *mlp_norm = wick_role_pattern(c->arch, WICK_ROLE_MLP_NORM, false);
    if (r == WICK_ROLE_ATTN_POST_NORM && mlp_norm && strstr(mlp_norm, "post_attention_layernorm")) return false;
    const char *hf = wick_role_pattern(c->arch, r, false), *gguf = wick_role_pattern(c->arch, r, true);
    if (!hf || !gguf || strchr(hf, '#')) return false;
    *out = (renaming){
        .from = hf, .from_root = root, .to = gguf, .to_root = "", .n_layers = strchr(hf, '%') ? c->n_layer : 1};
    if (c->from_gguf) *out = (renaming){gguf, "", hf, root, out->n_layers};
    return true;
}

/* The other family's name of a tensor, and its role; NULL: it has none. */
static const char *other_name(wick_convert_job *j, const char *root, const char *name, wick_role *role)
{
    static const char *const suffixes[] = {".weight", ".bias", ""};
    char path[WICK_PATH_MAX];
    renaming n;
    for (int r = 0; r < WICK_N_ROLES; r++) {
        if (!patterns_of(j, (wick_role)r, root, &n)) continue;
        for (uint32_t layer = 0; layer < n.n_layers; layer++)
            for (uint32_t alt = 0; wick_role_path(n.from, alt, n.from_root, layer, 0, path, sizeof path); alt++) {
                size_t len = strlen(path);
                if (strncmp(name, path, len) != 0) continue;
                for (int s = 0; s < 3; s++) {
                    if (strcmp(name + len, suffixes[s]) != 0) continue;
                    *role = (wick_role)r;
                    if (!wick_role_path(n.to, 0, n.to_root, layer, 0, path, sizeof path)) return NULL;
                    return wick_arena_printf(&j->arena, "%s%s", path, suffixes[s]);
                }
            }
    }
    return NULL;
}

static bool is_norm(wick_role r)
{
    return strstr(wick_role_label(r), "NORM") != NULL;
}

/* What the tensor's items need beyond its name. A bias is a matrix of one column here, so that its rows can move. */
static void adapt(wick_convert_job *j, wick_role role, uint32_t first)
{
    const wick_config *c = &j->model.config;
    for (uint32_t i = first; i < j->n_items; i++) {
        wick_convert_item *it = &j->item[i];
        bool turned = c->arch->gguf_permuted && (c->from_gguf || !c->rope_interleaved) &&
                      (role == WICK_ROLE_Q || role == WICK_ROLE_K);
        if (is_norm(role) && c->arch->norm_plus_one) it->add = c->from_gguf ? -1 : 1;
        it->back = c->from_gguf;
        if (!turned) continue;
        it->head_rows = c->head_dim ? c->head_dim : c->n_embd / c->n_head;
        if (it->matrix) continue;
        it->from.n_out = it->from.n_in;
        it->from.n_in = 1;
        it->from.row_bytes = wick_dtype_block_bytes(it->from.dtype);
    }
}

/* Positions turn by angles / factor: what no key of GGUF can say is a tensor. */
static wick_status add_rope_factors(wick_convert_job *j, wick_err *err)
{
    const wick_plan *p = &j->model.plan;
    const wick_rope *rope = NULL;
    for (uint32_t i = 0; i < p->n_ops && !rope; i++)
        if (p->op[i].kind == WICK_OP_ATTN) rope = p->op[i].u.attn.rope;
    if (j->model.config.rope.kind != WICK_ROPE_LLAMA3 || !rope) return WICK_OK;
    uint32_t n = rope->n_dims / 2;
    float *f = wick_arena_array(&j->arena, n, sizeof *f);
    if (!f) return wick_err_oom(err, "rope factors", 0, 0);
    for (uint32_t i = 0; i < n; i++)
        f[i] = (float)(pow((double)j->model.config.rope_theta, -2.0 * i / rope->n_dims) / (double)rope->inv_freq[i]);
    wick_convert_item *it = &j->item[j->n_items++];
    *it = (wick_convert_item){.raw = true, .out = j->n_tensors, .n_outs = 1, .n_raw = n * sizeof *f};
    it->from.data = (const uint8_t *)f;
    j->tensor[j->n_tensors++] =
        (wick_tensor){.name = "rope_freqs.weight", .dtype = WICK_DTYPE_F32, .n_dim = 1, .shape = {n}};
    return WICK_OK;
}

wick_status wick_convert_rename(wick_convert_job *j, wick_err *err)
{
    const wick_tensor_dir *d = &j->model.tensors;
    const wick_config *c = &j->model.config;
    wick_checkpoint k = {.root = "model."};
    if (!c->from_gguf) WICK_TRY(wick_checkpoint_init(&k, d, c, &j->arena, j->model.path, err));
    for (uint32_t i = 0; i < d->n_tensors; i++) {
        const wick_tensor *t = &d->tensor[i];
        wick_role role = WICK_N_ROLES;
        bool angles = wick_ends_with(t->name, "rotary_emb.inv_freq") || strcmp(t->name, "rope_freqs.weight") == 0;
        if (j->used[i] || angles) continue; /* angles: config.json or keys say them */
        const char *name = other_name(j, k.root, t->name, &role);
        if (role == WICK_ROLE_HEAD && j->tied) continue;
        if (!name)
            return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, t->name, "%s: tensor %s: %s has no name for it",
                             j->model.path, t->name, c->from_gguf ? "Hugging Face's family" : "GGUF");
        uint32_t first = j->n_items;
        WICK_TRY(wick_convert_add(j, t, name, err));
        adapt(j, role, first);
    }
    return c->from_gguf ? WICK_OK : add_rope_factors(j, err);
}
