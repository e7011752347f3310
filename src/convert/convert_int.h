/* convert/convert_int.h - private to convert/: what is to be written, and the steps that find it out and do it. */
#pragma once
#include "base/staging.h"
#include "convert/convert.h"
#include "format/writer.h"
#include "model/model.h"

/* Rows of the source on their way: `rows` of n_in values, read as `from`, written as `to`. */
typedef struct wick_convert_item {
    wick_weight from; /* all rows of a tensor as one matrix */
    wick_quant to;
    bool raw;             /* the bytes as they are */
    bool matrix;          /* counts for bits a weight */
    bool encoded;         /* was given a form by the recipe */
    uint32_t out, n_outs; /* its tensors among the output's: data, scales, biases */
    uint64_t n_raw;       /* bytes of a raw item */
    uint64_t n_values;    /* of a matrix, at its first item */
    uint32_t head_rows;   /* rows of a head whose two halves are to be interleaved; 0: none */
    bool back;            /* ... to be put one behind the other again */
    float add;            /* to every value (norms that the source stores less one) */
} wick_convert_item;

typedef struct wick_convert_job {
    const wick_convert_opts *opts;
    wick_model model;
    wick_staging staging;
    wick_tensor_writer *writer;
    const wick_weight **sample; /* [n_tensors of the source] a weight of the plan that lies in it, or NULL */
    bool *used;                 /* [n_tensors] belongs to an item already (scales and biases) */
    bool tied;
    wick_convert_item *item;
    wick_tensor *tensor; /* of the output */
    uint32_t n_items, n_tensors, cap;
    wick_gguf_keys keys;
    wick_arena arena;
    wick_convert_report report;
} wick_convert_job;

/* items.c: sample, used, tied. */
wick_status wick_convert_find_matrices(wick_convert_job *j, wick_err *err) WICK_MUST_CHECK;
/* Adds source tensor t, under the name `name`, in the form that the options ask for. */
wick_status wick_convert_add(wick_convert_job *j, const wick_tensor *t, const char *name,
                             wick_err *err) WICK_MUST_CHECK;
/* renames.c: does this conversion go between the two families of names; can it for such models; all tensors,
 * renamed. */
bool wick_convert_renames(const wick_convert_job *j);
bool wick_convert_can_rename(const wick_config *c);
wick_status wick_convert_rename(wick_convert_job *j, wick_err *err) WICK_MUST_CHECK;
/* hf_config.c, hf_tokenizer.c: config.json and the tokenizer's files of a model that was a GGUF file. */
json_t *wick_convert_hf_config(const wick_convert_job *j);
wick_status wick_convert_hf_tokenizer(wick_convert_job *j, wick_err *err) WICK_MUST_CHECK;
/* gguf_model.c, gguf_vocab_keys.c: the keys of a model that was no GGUF file. */
wick_status wick_convert_model_keys(wick_convert_job *j, wick_err *err) WICK_MUST_CHECK;
wick_status wick_convert_vocab_keys(wick_convert_job *j, wick_err *err) WICK_MUST_CHECK;
/* vocab_probe.c: both give the same ids for all that is tried. */
bool wick_convert_same_text(const wick_tokenizer *own, const wick_tokenizer *other);
/* same_model.c: what is in the staging folder is the same model. */
wick_status wick_convert_check(const wick_convert_job *j, wick_err *err) WICK_MUST_CHECK;
/* rows.c: writes all items, on several threads. */
wick_status wick_convert_run(wick_convert_job *j, wick_err *err) WICK_MUST_CHECK;
/* folder.c: config.json for the output, and the files beside the weights. */
wick_status wick_convert_folder(wick_convert_job *j, wick_err *err) WICK_MUST_CHECK;
/* gguf_keys.c: the keys of a GGUF file from those of another. */
wick_status wick_convert_keys(wick_convert_job *j, wick_err *err) WICK_MUST_CHECK;
