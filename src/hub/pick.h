/* hub/pick.h - which of the GGUF files that are one model in several quantizations is taken, and why. No file is
 * opened. */
#pragma once
#include "base/status.h"

typedef struct wick_gguf_file {
    const char *name; /* inside its folder or repository; of a split file its first part */
    uint64_t n_bytes; /* all parts together; 0: not known */
} wick_gguf_file;

/* "x-Q4_K_M.gguf", "Q4_K_M/x-Q4_K_M-00001-of-00002.gguf" -> "Q4_K_M"; NULL where the name says nothing that is known.
 * Static. */
const char *wick_gguf_label(const char *name);
/* Bits a weight of such a label, for comparing; 0 if unknown. */
double wick_gguf_label_bits(const char *label);
/* True for "model.gguf" and the first part of a split one; false for other parts and for projectors of images. */
bool wick_gguf_is_first(const char *name);
/* True if `name` is `first` or another part of the same split file. */
bool wick_gguf_same_model(const char *first, const char *name);

/* asked: a file's name (whole, or its last part), a label in any case, "4bit" (the best of about 4 bits), or "": the
 * default, which is Q4_K_M where it is there and fits into memory_bytes (0: not known). *which is an index into f;
 * *why: one sentence for the user, "" where there was no choice. WICK_E_MODEL_NOT_FOUND lists what is there; `place` is
 * what the message calls the folder. */
wick_status wick_gguf_pick(uint32_t *which, char *why, size_t cap, const wick_gguf_file *f, uint32_t n,
                           const char *asked, uint64_t memory_bytes, const char *place, wick_err *err) WICK_MUST_CHECK;
