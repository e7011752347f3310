/* cli/cmd_quantize.c - `wick quantize` and `wick convert`: a model written in another precision or container. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/str.h"
#include "base/sys.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"
#include "convert/convert.h"

static bool show_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    (void)ctx;
    wick_term_bytes(what, done, total, 0);
    return !wick_interrupted();
}

static const char *const targets[] = {"mlx", "hf", "npz", "gguf"}; /* as wick_convert_target */

/* --to, else what the type and the output's name say. */
static wick_convert_target target_of(const wick_args *a, const wick_recipe *r)
{
    for (int i = 0; a->to && i < 4; i++)
        if (strcmp(a->to, targets[i]) == 0) return (wick_convert_target)i;
    if (wick_ends_with(a->operand[1], ".gguf") || (r && r->base.enc == WICK_ENC_BLOCK)) return WICK_TO_GGUF;
    return WICK_TO_MLX;
}

static wick_status options_from(wick_convert_opts *o, wick_recipe *r, const wick_args *a, wick_err *err)
{
    static const struct {
        const char *name;
        wick_dtype t;
    } types[] = {{"f32", WICK_DTYPE_F32}, {"f16", WICK_DTYPE_F16}, {"bf16", WICK_DTYPE_BF16}};
    *o = (wick_convert_opts){
        .progress = show_progress, .n_threads = a->threads, .replace = a->force, .part_bytes = a->shard_size};
    if (a->type) {
        WICK_TRY(wick_recipe_parse(r, a->type, "--type", err));
        o->recipe = r;
    }
    o->to = target_of(a, o->recipe);
    for (size_t i = 0; a->dtype && i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, a->dtype) == 0) {
            o->dtype = types[i].t;
            o->has_dtype = true;
        }
    return WICK_OK;
}

static wick_status print_report(const wick_args *a, const wick_convert_opts *o, const wick_convert_report *r,
                                double seconds, wick_err *err)
{
    char from[32], to[32];
    if (a->json) {
        json_t *x = json_object();
        json_object_set_new(x, "output", wick_json_text(a->operand[1], strlen(a->operand[1])));
        json_object_set_new(x, "format", json_string(targets[o->to]));
        json_object_set_new(x, "bytes_in", json_integer((json_int_t)r->n_in_bytes));
        json_object_set_new(x, "bytes_out", json_integer((json_int_t)r->n_out_bytes));
        json_object_set_new(x, "tensors", json_integer(r->n_tensors));
        json_object_set_new(x, "quantized", json_integer(r->n_quantized));
        json_object_set_new(x, "kept", json_integer(r->n_kept));
        json_object_set_new(x, "bits_per_weight", json_real(r->bits_per_weight));
        json_object_set_new(x, "seconds", json_real(seconds));
        return wick_print_json(x, err);
    }
    if (r->n_kept)
        wick_notice("%u matrices stay floats, as their rows do not divide into groups: %s", r->n_kept, r->kept);
    if (r->n_narrow)
        wick_notice("%u matrices have rows that do not divide into 256 and get blocks of 32: %s", r->n_narrow,
                    r->narrow);
    wick_notice("%s -> %s, %u tensors, %.2f bits a weight, %.1f s", wick_format_bytes(from, sizeof from, r->n_in_bytes),
                wick_format_bytes(to, sizeof to, r->n_out_bytes), r->n_tensors, r->bits_per_weight, seconds);
    puts(a->operand[1]);
    return WICK_OK;
}

static wick_status run_convert(const wick_args *a, wick_err *err)
{
    wick_convert_opts o;
    wick_convert_report r = {0};
    wick_recipe recipe;
    wick_discover_opts d;
    char *path;
    WICK_TRY(options_from(&o, &recipe, a, err));
    wick_discover_opts_from(&d, a);
    WICK_TRY(wick_resolve_model(&path, a->operand[0], &d, err));
    const double t0 = wick_time_ms();
    wick_status st = wick_convert(path, a->operand[1], &o, &r, err);
    if (st == WICK_OK) st = print_report(a, &o, &r, (wick_time_ms() - t0) / 1000, err);
    wick_free(path);
    return st;
}

static wick_status run_quantize(const wick_args *a, wick_err *err)
{
    if (!a->type)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "--type", "--type is missing: there are %s; and the recipes %s",
                         wick_quant_names, wick_recipe_names);
    return run_convert(a, err);
}

#define AT(member) offsetof(wick_args, member)

static const wick_opt opts[] = {
    {"type", 0, WICK_OPT_STR, "TYPE", "the form of matrices: Q4K, Q4_K_M, Q8_0, AFQ4, AFQ4:32, mixed_4_6, MXFP4, ...",
     AT(type), 0, 0, NULL, NULL, 0},
    {"to", 0, WICK_OPT_STR, "FORMAT", "mlx, gguf, npz or hf (default: gguf for Q types and names in .gguf, else mlx)",
     AT(to), 0, 0, "mlx|gguf|npz|hf", NULL, 0},
    {"dtype", 0, WICK_OPT_STR, "T", "type of floats: f32, f16 or bf16 (default: as they are)", AT(dtype), 0, 0,
     "f32|f16|bf16", NULL, 0},
    {"shard-size", 0, WICK_OPT_BYTES, "SIZE", "safetensors: begin a new file before this is passed (default 5 GB)",
     AT(shard_size), 0, 0, NULL, NULL, 0},
    {"force", 0, WICK_OPT_FLAG, NULL, "replace an output file that is there already", AT(force), 0, 0, NULL, NULL, 0},
    {"threads", 't', WICK_OPT_U32, "N", "CPU threads (default: the cores this process may use)", AT(threads), 0, 1024,
     NULL, "WICK_THREADS", 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

#define ABOUT_OUTPUT                                                                                              \
    "OUT is a folder, or a file for GGUF. It appears when it is complete and on disk; until then everything is\n" \
    "written to OUT.part-XXXXXX beside it, and what an interrupted run left there is removed by the next one."

const wick_command wick_cmd_quantize = {
    .name = "quantize",
    .operands = "IN OUT",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "make a smaller model of a model",
    .about = "--type is a form for all matrices, or a recipe that gives more bits to those that need them (Q4_K_M as\n"
             "llama.cpp, mixed_4_6 as mlx-lm). Norms, biases and the matrices that choose experts stay "
             "floats.\n" ABOUT_OUTPUT,
    .examples = "wick quantize Qwen/Qwen3-0.6B out --type AFQ4\tfour bits for MLX and Wick, groups of 64\n"
                "wick quantize model-bf16.gguf small.gguf --type Q4_K_M\ta GGUF file of another precision",
    .group = {&group, &wick_opts_common},
    .run = run_quantize,
};

const wick_command wick_cmd_convert = {
    .name = "convert",
    .operands = "IN OUT",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "write a model in another container",
    .about = "mlx keeps quantized matrices as they are, hf makes floats of them, npz is mlx in one weights.npz.\n"
             "The tokenizer, templates and defaults beside the weights go along.\n" ABOUT_OUTPUT,
    .examples = "wick convert mlx-community/Qwen3-0.6B-4bit out --to hf --dtype bf16\tfloats again",
    .group = {&group, &wick_opts_common},
    .run = run_convert,
};
