/* grammar/schema_int.h - one compilation of a schema, shared by the schema_*.c files. */
#pragma once
#include "grammar/num.h"
#include "grammar/schema.h"

typedef enum wick_draft { DRAFT_NONE, DRAFT_4, DRAFT_6, DRAFT_7, DRAFT_2019, DRAFT_2020 } wick_draft;

typedef struct wick_sc_place { /* a schema object of the document */
    const json_t *v;
    const char *base; /* URI that references inside are resolved against */
} wick_sc_place;

typedef struct wick_sc_name { /* an absolute URI, or one with an anchor */
    const char *uri;
    const json_t *v;
    bool dynamic;
} wick_sc_name;

typedef struct wick_sc {
    wick_js_pool *js;
    wick_f_pool *f;
    wick_re_pool *re;
    const json_t *root;
    const wick_schema_options *o;
    wick_draft draft;
    wick_arena arena;
    wick_buf path; /* JSON pointer of where we are */
    wick_sc_place *place;
    uint32_t n_places, cap_places;
    wick_sc_name *name;
    uint32_t n_names, cap_names;
    wick_f_table by_value; /* pointer halves, tag -> index */
    uint8_t *done;         /* by schema: 0 not compiled, 1 under way, 2 compiled */
    uint32_t cap_done;
    uint32_t depth;
    wick_err *err;
} wick_sc;

enum { SC_MAX_NEST = 128 };

/* Names and bases of the whole document. */
wick_status wick_sc_survey(wick_sc *c) WICK_MUST_CHECK;
/* What a reference found in `from` means. */
wick_status wick_sc_resolve(wick_sc *c, const json_t *from, const char *ref, bool dynamic,
                            const json_t **out) WICK_MUST_CHECK;
/* A schema under the key (and index where it is not UINT32_MAX) of the one we are in. */
wick_status wick_sc_sub(wick_sc *c, const char *key, const char *inner, const json_t *s, wick_f *out) WICK_MUST_CHECK;
wick_status wick_sc_schema(wick_sc *c, const json_t *s, wick_f *out) WICK_MUST_CHECK;
wick_status wick_sc_ref(wick_sc *c, const json_t *target, wick_f *out) WICK_MUST_CHECK;
/* Keyword groups; each ands what it finds to *f. */
wick_status wick_sc_scalars(wick_sc *c, const json_t *s, wick_f *f) WICK_MUST_CHECK;
wick_status wick_sc_objects(wick_sc *c, const json_t *s, wick_f *f) WICK_MUST_CHECK;
wick_status wick_sc_arrays(wick_sc *c, const json_t *s, wick_f *f) WICK_MUST_CHECK;
wick_status wick_sc_unevaluated(wick_sc *c, const json_t *s, wick_f *f) WICK_MUST_CHECK;
wick_status wick_sc_values(wick_sc *c, const json_t *const *v, size_t n, wick_f *out) WICK_MUST_CHECK;

/* "json_schema: "kw" at /path is not supported[: why]", or a warning and WICK_OK where that is allowed. */
wick_status wick_sc_refuse(wick_sc *c, const char *keyword, const char *why);
wick_status wick_sc_bad(wick_sc *c, const char *keyword, const char *why); /* the schema itself is wrong */
wick_status wick_sc_warn(wick_sc *c, const char *keyword, const char *what);
wick_status wick_sc_failed(wick_sc *c);
bool wick_sc_decimal(const json_t *v, wick_decimal *out);
/* A count that a keyword gives; *there false where it is absent. */
wick_status wick_sc_count(wick_sc *c, const json_t *s, const char *keyword, uint32_t *n, bool *there) WICK_MUST_CHECK;
