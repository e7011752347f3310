/* template/jinja.h - Jinja2 as transformers uses it for chat templates, compiled once, rendered in a sandbox.
 *
 * Environment: trim_blocks, lstrip_blocks, keep_trailing_newline=False, lenient Undefined, loopcontrols, tojson without
 * HTML escaping (ensure_ascii=False), raise_exception, strftime_now, {% generation %} ignored. Values are jansson's;
 * key order is kept. Templates come from model files: no access to anything but the values given, and every render runs
 * under fuel (steps), memory and depth limits. A template is immutable and may be rendered by many threads at once.
 */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "base/status.h"

typedef struct wick_jinja wick_jinja;

typedef struct wick_jinja_limits {
    uint64_t max_steps;      /* 0: 20,000,000 */
    uint64_t max_heap_bytes; /* 0: 48 MiB: with the output's 16 MiB a render stays below 64 */
    uint64_t max_out_bytes;  /* 0: 16 MiB */
    uint32_t max_depth;      /* 0: 100 (macro calls, nesting of values) */
    int64_t now_unix_s;      /* what strftime_now sees, local time; 0: the clock */
} wick_jinja_limits;

/* WICK_E_TEMPLATE with line number and what was expected. */
wick_status wick_jinja_compile(wick_jinja **out, const char *src, size_t n, const char *where,
                               wick_err *err) WICK_MUST_CHECK;
void wick_jinja_free(wick_jinja *t);
/* vars: an object. raise_exception('x') gives WICK_E_TEMPLATE with x in the message. limits may be NULL. */
wick_status wick_jinja_render(const wick_jinja *t, const json_t *vars, const wick_jinja_limits *limits, wick_buf *out,
                              wick_err *err) WICK_MUST_CHECK;
