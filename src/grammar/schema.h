/* grammar/schema.h - JSON Schema (drafts 4, 6, 7, 2019-09, 2020-12) to a formula.
 *
 * Nothing fails open: a keyword that restricts and cannot be enforced is an error that names it and its place, or, with
 * `lenient`, is left out and said in the warnings. Keywords that JSON Schema calls annotations, and those it does not
 * know, restrict nothing. References are followed inside the document only; nothing is ever fetched.
 */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "grammar/js.h"

typedef struct wick_schema_options {
    bool lenient;
    wick_buf *warnings; /* lines; may be NULL */
} wick_schema_options;

/* Property names get their places in js->order. */
wick_status wick_schema_compile(wick_js_pool *js, const json_t *schema, const wick_schema_options *o, wick_f *out,
                                wick_err *err) WICK_MUST_CHECK;
/* The strings of a format; false: the format is not known, which restricts nothing. */
bool wick_schema_format(wick_re_pool *p, const char *name, wick_re *out, wick_status *st, wick_err *err);
