/* cli/cmd_inspect.c - `wick inspect`: what a model is, without loading it. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"
#include "model/arch.h"
#include "model/fit.h"
#include "model/model.h"
#include "model/vocab.h"
#include "format/gguf.h"

enum { MAX_LABELS = 48 };

/* How many bytes are stored in which type: of weights where the plan knows them, else of tensors. */
typedef struct tally {
    char label[MAX_LABELS][32];
    uint64_t bytes[MAX_LABELS];
    uint32_t count[MAX_LABELS], n;
} tally;

static void tally_add(tally *t, const char *label, uint64_t bytes)
{
    uint32_t i = 0;
    while (i < t->n && strcmp(t->label[i], label) != 0) i++;
    if (i == MAX_LABELS) return;
    if (i == t->n) {
        snprintf(t->label[i], sizeof t->label[i], "%s", label);
        t->n++;
    }
    t->bytes[i] += bytes;
    t->count[i]++;
}

static void tally_tensors(tally *t, const wick_tensor_dir *d)
{
    for (uint32_t i = 0; i < d->n_tensors; i++) tally_add(t, wick_dtype_name(d->tensor[i].dtype), d->tensor[i].n_bytes);
}

static json_t *tensors_json(const wick_tensor_dir *d)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < d->n_tensors; i++) {
        const wick_tensor *t = &d->tensor[i];
        json_t *o = json_object(), *shape = json_array();
        for (uint32_t k = 0; k < t->n_dim; k++) json_array_append_new(shape, json_integer((json_int_t)t->shape[k]));
        json_object_set_new(o, "name", wick_json_text(t->name, strlen(t->name)));
        json_object_set_new(o, "dtype", json_string(wick_dtype_name(t->dtype)));
        json_object_set_new(o, "shape", shape);
        json_object_set_new(o, "file", wick_json_text(d->file[t->file].path, strlen(d->file[t->file].path)));
        json_object_set_new(o, "offset", json_integer((json_int_t)t->offset_bytes));
        json_object_set_new(o, "bytes", json_integer((json_int_t)t->n_bytes));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *quantization_json(const tally *t)
{
    json_t *o = json_object();
    for (uint32_t i = 0; i < t->n; i++) {
        json_t *x = json_object();
        json_object_set_new(x, "tensors", json_integer(t->count[i]));
        json_object_set_new(x, "bytes", json_integer((json_int_t)t->bytes[i]));
        json_object_set_new(o, t->label[i], x);
    }
    return o;
}

static uint64_t total_bytes(const wick_model *m)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < m->tensors.n_tensors; i++) n += m->tensors.tensor[i].n_bytes;
    return n;
}

/* llama.cpp's names by general.file_type; NULL: no such number. */
static const char *file_type_name(int64_t t)
{
    static const char *const name[] = {"F32",    "F16",    "Q4_0",  "Q4_1",    NULL,     NULL,     NULL,     "Q8_0",
                                       "Q5_0",   "Q5_1",   "Q2_K",  "Q3_K_S",  "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M",
                                       "Q5_K_S", "Q5_K_M", "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS",
                                       "IQ1_S",  "IQ4_NL", "IQ3_S", "IQ3_M",   "IQ2_S",  "IQ2_M",  "IQ4_XS", "IQ1_M",
                                       "BF16",   NULL,     NULL,    NULL,      "TQ1_0",  "TQ2_0",  "MXFP4",  "NVFP4"};
    return t >= 0 && t < (int64_t)(sizeof name / sizeof *name) ? name[t] : NULL;
}

/* What a GGUF file calls itself, else the type of most of its bytes. */
static const char *gguf_quant(const wick_model *m, const tally *t)
{
    int64_t type = -1;
    if (wick_gguf_i64(m->tensors.gguf, "general.file_type", 0, INT32_MAX, -1, &type, NULL) == WICK_OK &&
        file_type_name(type))
        return file_type_name(type);
    uint32_t best = 0;
    for (uint32_t i = 1; i < t->n; i++)
        if (t->bytes[i] > t->bytes[best]) best = i;
    return t->n ? t->label[best] : "none";
}

/* "affine 4-bit group 64", "awq 4-bit group 128", "fp8"; a mode that is a strange text is escaped. */
static const char *quant_label(const wick_model *m, const tally *t, char *dst, size_t cap)
{
    char shown[32];
    if (m->tensors.gguf) return gguf_quant(m, t);
    const json_t *q = json_object_get(m->config.json, "quantization");
    if (!json_is_object(q)) q = json_object_get(m->config.json, "quantization_config");
    const json_t *bits = json_object_get(q, "bits"), *group = json_object_get(q, "group_size");
    const char *mode = json_string_value(json_object_get(q, "mode")),
               *method = json_string_value(json_object_get(q, "quant_method"));
    if (!mode) mode = method ? method : "affine";
    wick_escape_line(shown, sizeof shown, mode, strlen(mode));
    if (json_is_integer(bits) && json_is_integer(group))
        snprintf(dst, cap, "%s %d-bit group %d", shown, (int)json_integer_value(bits), (int)json_integer_value(group));
    else
        snprintf(dst, cap, "%s", method ? shown : "none");
    return dst;
}

static void fit_of(const wick_model *m, const wick_args *a, wick_fit_verdict *v)
{
    uint32_t ctx = a->n_ctx ? a->n_ctx : m->config.n_ctx && m->config.n_ctx < 8192 ? m->config.n_ctx : 8192;
    wick_fit_check(&m->plan, WICK_DTYPE_F16, ctx, wick_memory_available_bytes(), v);
}

static wick_status print_inspect_json(const wick_model *m, const tally *t, bool runs, const wick_fit_verdict *v,
                                      wick_err *err)
{
    const wick_config *c = &m->config;
    char label[64];
    json_t *o = json_object();
    json_object_set_new(o, "name", wick_json_text(m->name, strlen(m->name)));
    json_object_set_new(o, "path", wick_json_text(m->path, strlen(m->path)));
    json_object_set_new(o, "format", json_string(wick_container_name(m->tensors.format)));
    json_object_set_new(o, "model_type",
                        c->model_type ? wick_json_text(c->model_type, strlen(c->model_type)) : json_null());
    json_object_set_new(o, "architecture", c->arch ? json_string(c->arch->name) : json_null());
    json_object_set_new(o, "runs", json_boolean(runs));
    json_object_set_new(o, "vocab_size", json_integer(c->n_vocab));
    json_object_set_new(o, "hidden_size", json_integer(c->n_embd));
    json_object_set_new(o, "layers", json_integer(c->n_layer));
    json_object_set_new(o, "heads", json_integer(c->n_head));
    json_object_set_new(o, "kv_heads", json_integer(c->n_kv_head));
    json_object_set_new(o, "head_dim", json_integer(c->head_dim));
    json_object_set_new(o, "context", json_integer(c->n_ctx));
    json_object_set_new(o, "parameters", json_integer((json_int_t)m->plan.n_params));
    json_object_set_new(o, "bytes", json_integer((json_int_t)total_bytes(m)));
    json_object_set_new(o, "quantization", json_string(quant_label(m, t, label, sizeof label)));
    json_object_set_new(o, "types", quantization_json(t));
    if (runs) {
        json_t *fit = json_object();
        json_object_set_new(fit, "fits", json_boolean(v->fits));
        json_object_set_new(fit, "need_bytes", json_integer((json_int_t)v->need_bytes));
        json_object_set_new(fit, "have_bytes", json_integer((json_int_t)v->have_bytes));
        json_object_set_new(fit, "max_context", json_integer(v->max_ctx));
        json_object_set_new(o, "fit", fit);
    }
    json_object_set_new(o, "n_tensors", json_integer(m->tensors.n_tensors));
    json_object_set_new(o, "tensors", tensors_json(&m->tensors));
    return wick_print_json(o, err);
}

static void print_inspect_text(const wick_model *m, const tally *t, bool runs, const wick_fit_verdict *v, bool tensors)
{
    const wick_config *c = &m->config;
    char label[64], a[32], b[32], line[600];
    wick_escape_line(line, sizeof line, m->name, strlen(m->name));
    printf("name           %s\n", line);
    printf("format         %s, %u tensors, %s\n", wick_container_name(m->tensors.format), m->tensors.n_tensors,
           wick_format_bytes(a, sizeof a, total_bytes(m)));
    wick_escape_line(line, sizeof line, c->model_type ? c->model_type : "?", c->model_type ? strlen(c->model_type) : 1);
    printf("model type     %s%s%s\n", line, c->arch ? ", runs as " : "", c->arch ? c->arch->name : "");
    if (c->n_layer)
        printf("shape          %u layers, hidden %u, %u heads (%u KV) of %u, vocabulary %u, context %u\n", c->n_layer,
               c->n_embd, c->n_head, c->n_kv_head, c->head_dim, c->n_vocab, c->n_ctx);
    if (m->plan.n_params) printf("parameters     %.3f B\n", (double)m->plan.n_params / 1e9);
    printf("quantization   %s\n", quant_label(m, t, label, sizeof label));
    for (uint32_t i = 0; i < t->n; i++)
        printf("               %-8s %5u tensors %12s\n", t->label[i], t->count[i],
               wick_format_bytes(a, sizeof a, t->bytes[i]));
    if (runs)
        printf("memory         %s needed, %s available: %s\n", wick_format_bytes(a, sizeof a, v->need_bytes),
               wick_format_bytes(b, sizeof b, v->have_bytes), v->fits ? "fits" : "does not fit");
    for (uint32_t i = 0; tensors && i < m->tensors.n_tensors; i++) {
        const wick_tensor *x = &m->tensors.tensor[i];
        wick_escape_line(line, sizeof line, x->name, strlen(x->name));
        printf("%-64s %-8s [", line, wick_dtype_name(x->dtype));
        for (uint32_t k = 0; k < x->n_dim; k++) printf("%s%llu", k ? ", " : "", (unsigned long long)x->shape[k]);
        printf("] at %llu, %llu bytes\n", (unsigned long long)x->offset_bytes, (unsigned long long)x->n_bytes);
    }
}

/* What cannot run is shown as far as it can be read, and the reason is the command's error. */
static wick_status run_inspect(const wick_args *a, wick_err *err)
{
    wick_model m = {0};
    wick_discover_opts d;
    wick_fit_verdict v = {0};
    tally t = {0};
    char *path;
    wick_discover_opts_from(&d, a);
    WICK_TRY(wick_resolve_model(&path, a->operand[0], &d, err));
    wick_status st = wick_model_open(&m, path, err);
    if (st == WICK_OK) { /* what the program would refuse at its tokenizer does not run either */
        wick_tokenizer *tok = NULL;
        wick_status text = wick_model_tokenizer(&m, &tok, err);
        wick_tokenizer_free(tok);
        if (text != WICK_OK && text != WICK_E_MODEL_NOT_FOUND) {
            st = text;
            wick_model_close(&m);
        }
    }
    bool runs = st == WICK_OK;
    if (!runs) {
        memset(&m, 0, sizeof m);
        if (wick_model_open_meta(&m, path, NULL) != WICK_OK) goto done;
    }
    tally_tensors(&t, &m.tensors);
    if (runs) fit_of(&m, a, &v);
    wick_status shown = WICK_OK;
    if (a->json)
        shown = print_inspect_json(&m, &t, runs, &v, runs ? err : NULL);
    else
        print_inspect_text(&m, &t, runs, &v, a->tensors);
    if (runs) st = shown;
done:
    wick_model_close(&m);
    wick_free(path);
    return st;
}

static const wick_opt opts[] = {
    {"tensors", 0, WICK_OPT_FLAG, NULL, "list every tensor (--json always does)", offsetof(wick_args, tensors), 0, 0,
     NULL, NULL, 0},
    {"ctx", 'c', WICK_OPT_U32, "N", "context for the question whether it fits (default: the model's, at most 8192)",
     offsetof(wick_args, n_ctx), 0, 16777216, NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_inspect = {
    .name = "inspect",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "what a model is: architecture, types, size, will it fit",
    .about = "Reads headers and configuration only. A model that cannot run is shown as far as it can be read, and the "
             "reason is the\n"
             "error (exit code 4 or 5).",
    .examples = "wick inspect models/wick-shell\ta summary\nwick inspect model.gguf --tensors\tevery tensor with type, "
                "shape and offset",
    .group = {&group, &wick_opts_common},
    .run = run_inspect,
};
