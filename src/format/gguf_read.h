/* format/gguf_read.h - private to format/: parsing the key-values of a GGUF file. */
#pragma once
#include "base/file.h"
#include "base/reader.h"
#include "format/gguf.h"

/* Reads n key-values at the cursor. Values borrow from the mapping. wick_gguf_free(*out). */
wick_status wick_gguf_parse(const wick_file *f, wick_reader *r, uint32_t version, uint64_t n, wick_gguf **out,
                            wick_err *err) WICK_MUST_CHECK;
void wick_gguf_free(wick_gguf *g); /* NULL is fine */
/* A string: u64 length, bytes. False (and the reader failed) if it is not there. */
bool wick_gguf_read_str(wick_reader *r, wick_str *out);
