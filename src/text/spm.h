/* text/spm.h - private: what GGUF vocabularies share with tokenizer.model. */
#pragma once
#include "text/tok.h"

/* From pieces, scores and types: the unknown id (which a lattice cannot do without), the byte table, tries of
 * user-defined symbols and of all pieces. */
wick_status wick_spm_prepare(wick_tokenizer *t, bool needs_unk, const char *where, wick_err *err) WICK_MUST_CHECK;
