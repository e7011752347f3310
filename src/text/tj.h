/* text/tj.h - private: the parts of the tokenizer.json loader. */
#pragma once
#include <jansson.h>
#include "text/tok.h"

/* The lists of steps; v is the value of the key, NULL or JSON null allowed. */
wick_status wick_tj_normalizer(wick_tokenizer *t, const json_t *v, const char *where, wick_err *err) WICK_MUST_CHECK;
wick_status wick_tj_pre(wick_tokenizer *t, const json_t *v, const char *where, wick_err *err) WICK_MUST_CHECK;
wick_status wick_tj_post(wick_tokenizer *t, const json_t *v, const char *where, wick_err *err) WICK_MUST_CHECK;
wick_status wick_tj_decoder(wick_tokenizer *t, const json_t *v, const char *where, wick_err *err) WICK_MUST_CHECK;
/* The model: `model` without its two lists, and their text. */
wick_status wick_tj_model(wick_tokenizer *t, const json_t *model, wick_str vocab, wick_str merges, const char *where,
                          wick_err *err) WICK_MUST_CHECK;
wick_status wick_tj_added(wick_tokenizer *t, const json_t *list, const char *where, wick_err *err) WICK_MUST_CHECK;

/* A string value as a slice; missing or null: {NULL,0}. */
wick_status wick_tj_str(const json_t *o, const char *key, wick_str *out, const char *where,
                        wick_err *err) WICK_MUST_CHECK;
/* {"String": ...} or {"Regex": ...} -> *text or *regex. */
wick_status wick_tj_pattern(wick_tokenizer *t, const json_t *o, const char *key, wick_str *text, wick_regex **regex,
                            const char *where, wick_err *err) WICK_MUST_CHECK;
/* The step's "type"; an error if v is no object. */
wick_status wick_tj_type(const json_t *v, const char *what, const char **type, const char *where,
                         wick_err *err) WICK_MUST_CHECK;
wick_status wick_tj_unknown(const char *what, const char *type, const char *where, wick_err *err);
