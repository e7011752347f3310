/* model/model.h - a model folder or file, opened: tensors, configuration, plan, tokenizer source, template source.
 *
 * Opening maps and checks; it reads no weights. Immutable after; owned by the engine that opened it. */
#pragma once
#include <jansson.h>
#include "base/status.h"
#include "format/tensor_dir.h"
#include "model/config.h"
#include "model/plan.h"
#include "text/tokenizer.h"

typedef struct wick_model {
    char *path; /* as resolved */
    char *name; /* last part of the path, or general.name */
    wick_tensor_dir tensors;
    wick_config config;
    wick_plan plan;
    int32_t
        eos[64]; /* the union of config.json, generation_config.json and GGUF's keys; wick_model_add_ends adds more */
    uint32_t n_eos;
    int32_t bos;        /* -1: none said */
    const char *pre;    /* a name for tokenizer.ggml.pre in place of the file's, or NULL; set by the owner, borrowed */
    json_t *generation; /* generation_config.json or NULL: default sampling values */
} wick_model;

/* Errors: model not found, unsupported format or architecture (listing the nearest known ones), bad file. */
wick_status wick_model_open(wick_model *m, const char *path, wick_err *err) WICK_MUST_CHECK;
/* Only the tensor directory and the configuration, for `inspect` of what cannot run; m->plan stays empty. */
wick_status wick_model_open_meta(wick_model *m, const char *path, wick_err *err) WICK_MUST_CHECK;
/* Adds the ends that the tokenizer knows (text/tokenizer.h), and takes out what ends messages only. t may be NULL. */
void wick_model_add_ends(wick_model *m, const wick_tokenizer *t);
void wick_model_close(wick_model *m);
