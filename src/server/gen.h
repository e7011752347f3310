/* server/gen.h - the engine requests behind one exchange: one per choice, a few at a time.
 *
 * A generation is made and submitted by a worker, pumped by the I/O thread, freed by a worker. Only cancelling and
 * asking
 * for a comment may come from another thread. What a choice's text looks like on the wire is its format's business, and
 * what a stream or an error looks like its dialect's.
 */
#pragma once
#include "chat/answer.h"
#include "engine/constrain.h"
#include "server/params.h"

typedef struct wick_rounds wick_rounds; /* server/rounds.h */

typedef struct wick_choice {
    wick_gen *g;
    wick_request *req;
    uint32_t index, prompt;
    bool begun, done;
    bool waiting; /* for the server's tools: there is no request */
    bool fed;     /* the answer has had its end */
    bool stopped; /* ended here, on purpose: the engine says that it was cancelled */
    wick_finish finish;
    const char *stop_string; /* the one that ended it, or NULL */
    wick_usage usage;
    double sum_logprob, t_submit, t_first, t_last;
    uint32_t n_logprob;
    uint32_t n_taken;                 /* generated tokens that were read here, the one that made it stop included */
    uint32_t n_cached, n_prompt_done; /* as far as is known while it runs */
    bool progress_begun;
    wick_buf text;                                    /* completions that are no stream; embeddings */
    wick_buf lp_tokens, lp_values, lp_top, lp_offset; /* lists of JSON items; chat uses lp_tokens only */
    wick_answer *answer;                              /* of conversations (server/turn.h) */
    const wick_event *event;                          /* the token whose deltas are being written, or NULL */
    const char *held;                                 /* of the same token: reasoning that is not written yet */
    size_t n_held;
    uint32_t n_calls_ended;
    uint32_t call;           /* the one that is being written */
    bool response_cancelled; /* stopped because another connection asked for it */
    uint64_t text_offset;    /* characters so far */
    int block;               /* dialects that number blocks: the one that is open, and its kind */
    int block_kind;
    json_t *ids; /* what a dialect must remember of the choice; NULL: nothing */
} wick_choice;

typedef struct wick_gen_prompt {
    int32_t *ids;
    size_t n;
    uint32_t second;  /* of a pair: where its second text begins */
    const char *text; /* borrowed from the body; NULL: made from the ids */
    size_t n_text;
} wick_gen_prompt;

/* What makes one route differ from another. NULL: nothing to do there. */
typedef struct wick_gen_format {
    unsigned params; /* the route's bit in the table of parameters */
    /* Checks the required parameters, before a model is loaded for them; sets *n to the number of prompts. */
    wick_status (*count)(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err);
    /* g->p is read and the model is there: fills g->prompt and g->base. */
    wick_status (*prepare)(wick_gen *g, wick_err *err);
    void (*progress)(wick_choice *c, const wick_event *ev); /* more of the prompt is read */
    void (*begin)(wick_choice *c);
    void (*token)(wick_choice *c, const wick_event *ev);
    void (*end)(wick_choice *c, const wick_event *ev);
    void (*open)(wick_choice *c);                       /* conversations: the answer begins */
    void (*delta)(wick_choice *c, const wick_delta *d); /* conversations: a piece of it */
    void (*tools)(wick_choice *c, const json_t *calls); /* a stream: the server has run these calls (rounds.h) */
    void (*usage)(wick_gen *g);                         /* all choices of a stream have ended well */
    void (*answer)(wick_gen *g);                        /* the same, where the answer is no stream: writes it */
    void (*release)(wick_gen *g);                       /* on a worker, before g is freed */
} wick_gen_format;

struct wick_gen {
    wick_exchange *x;
    wick_entry *model;
    const wick_gen_format *format;
    wick_params p;
    wick_request_opts base;
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
    wick_rounds *rounds;          /* NULL: the server has no tools for it */
    wick_engine_grammar *grammar; /* of base.constraint, or NULL */
    wick_answer_opts answer;      /* what every choice's answer is read with */
    wick_buf prompt_text;         /* kept where the client wants to see it */
    char fingerprint[64];
    wick_buf head;     /* how every chunk begins: made once, by the format */
    uint64_t sequence; /* of events, in dialects that number them */
    json_t *state;     /* what a dialect must remember of the whole; NULL: nothing */
    wick_gen *next_running;
    atomic_bool stop_asked; /* by another connection */
};

/* A whole route, on a worker: parameters, model, prompts, submission. True: x->gen runs, or the problem is in x. False:
 * the model is being loaded; the worker is called again. */
bool wick_gen_route(wick_exchange *x, const wick_gen_format *f);
/* What is common to all formats that generate: sampling, bounds, stops, log probabilities, from g->p to g->base. */
wick_status wick_gen_base(wick_gen *g, wick_err *err) WICK_MUST_CHECK;
void wick_gen_cancel(wick_gen *g); /* any thread */
/* What the answers are held to: g->base.constraint. */
wick_status wick_gen_constrain(wick_gen *g, wick_err *err) WICK_MUST_CHECK; /* hold.c */
/* Nothing more is wanted of this choice; it ends as if the model had stopped. On the I/O thread. */
void wick_choice_stop(wick_choice *c);
/* The bytes of a token, for log probabilities. */
void wick_gen_token_text(const wick_gen *g, int32_t id, wick_buf *out);
void wick_gen_usage_json(const wick_gen *g, wick_buf *out);
const char *wick_gen_finish_name(wick_finish f);
/* Out of memory or the like while events are read: the whole request fails. */
void wick_gen_fail(wick_gen *g, const wick_err *err);
