/* server/gen.h - the engine requests behind one exchange: one per choice, a few at a time.
 *
 * A generation is made and submitted by a worker, pumped by the I/O thread, freed by a worker. Only cancelling and asking
 * for a comment may come from another thread. What a choice's text looks like on the wire is its format's business.
 */
#pragma once
#include "server/params.h"
#include "chat/format/reasoning.h"
#include "chat/format/toolcall.h"

typedef struct wick_choice {
    wick_gen *g;
    wick_request *req;
    uint32_t index, prompt;
    bool begun, done;
    wick_finish finish;
    wick_usage usage;
    double sum_logprob, t_last;
    uint32_t n_logprob;
    wick_buf text, reasoning;                         /* answers that are no stream; completions: echo too */
    wick_buf lp_tokens, lp_values, lp_top, lp_offset; /* lists of JSON items; chat uses lp_tokens only */
    wick_reasoning split;
    wick_toolcall_parser *tools; /* NULL: calls are not looked for */
    wick_buf raw;                /* what the parser is to read */
    json_t *calls;               /* those found and, in a stream, not yet sent */
    uint32_t n_calls;
    uint64_t text_offset; /* characters so far */
} wick_choice;

typedef struct wick_gen_prompt {
    int32_t *ids;
    size_t n;
    const char *text; /* borrowed from the body; NULL: made from the ids */
    size_t n_text;
} wick_gen_prompt;

/* What makes one route differ from another. NULL: nothing to do there. */
typedef struct wick_gen_format {
    unsigned params; /* the route's bit in the table of parameters */
    /* What must be there, before a model is looked for; *n: how many prompts. */
    wick_status (*count)(const wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err);
    /* g->p is read and the model is there: fills g->prompt and g->base. */
    wick_status (*prepare)(wick_gen *g, wick_err *err);
    void (*begin)(wick_choice *c);
    void (*token)(wick_choice *c, const wick_event *ev);
    void (*end)(wick_choice *c, const wick_event *ev);
    void (*usage)(wick_gen *g); /* the chunk with the usage */
    void (*answer)(wick_gen *g);
} wick_gen_format;

struct wick_gen {
    wick_exchange *x;
    wick_entry *model;
    const wick_gen_format *format;
    wick_params p;
    wick_request_opts base;
    wick_sampling sampling;
    wick_gen_prompt *prompt;
    uint32_t n_prompt, per_prompt; /* choices per prompt */
    wick_lock lock;                /* of the choices' `req` */
    wick_choice *choice;
    uint32_t n, n_next, n_live, n_done;
    bool ended, failed, cancelled;
    wick_err error;
    atomic_bool want_comment;
    double t_comment;
    int64_t created;
    wick_reasoning split;                    /* what every choice starts with */
    const wick_toolcall_format *tool_format; /* NULL: no tools, or tool_choice none */
    char fingerprint[64];
    wick_buf head; /* how every chunk begins: made once, by the format */
};

/* A whole route, on a worker: parameters, model, prompts, submission. True: x->gen runs, or the problem is in x. False:
 * the model is being loaded; the worker is called again. */
bool wick_gen_route(wick_exchange *x, const wick_gen_format *f);
/* The bytes of a token, for log probabilities. */
void wick_gen_token_text(const wick_gen *g, int32_t id, wick_buf *out);
void wick_gen_usage_json(const wick_gen *g, wick_buf *out);
const char *wick_gen_finish_name(wick_finish f);
/* Out of memory or the like while events are read: the whole request fails. */
void wick_gen_fail(wick_gen *g, const wick_err *err);
