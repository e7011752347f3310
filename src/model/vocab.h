/* model/vocab.h - the tokenizer that belongs to an opened model. */
#pragma once
#include "model/model.h"
#include "text/tokenizer.h"

/* From the model's folder, or from the GGUF file itself. WICK_E_TOKENIZER_MISMATCH where ids could exceed the
 * embedding (need = the model's vocabulary, have = the tokenizer's); a smaller tokenizer is usual (padded
 * embeddings). */
wick_status wick_model_tokenizer(const wick_model *m, wick_tokenizer **out, wick_err *err) WICK_MUST_CHECK;
/* From a GGUF that may hold a vocabulary only, or from a folder or file with a tokenizer; needs no weights. `pre`: as
 * in wick_model. */
wick_status wick_tokenizer_open_path(wick_tokenizer **out, const char *path, const char *pre,
                                     wick_err *err) WICK_MUST_CHECK;
/* The folder that config.json, tokenizer.json and the like of this model are in. Caller wick_free()s; NULL: out of
 * memory. */
char *wick_model_folder(const char *path);
