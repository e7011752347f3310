/* engine/engine_int.h - the engine's inside, shared by its own files and their tests only.
 *
 *   any thread                       the engine's thread
 *   request_new, submit --door-->    take in -> reap -> select (sched.c) -> build (step.c), run, distribute (flight.c)
 *                                    -+
 *   request_next    <--box of events-- push (event.c) <---------------------------------------------------------------+
 *
 * Each struct is cut by owner: what is written at opening (or before submit) and only read from then on; what threads
 * share under a lock (`door`, `box`); what the engine's thread has to itself (`loop`, `run`).
 * Locks: e->door.lock guards the door, r->box.lock the box. Order: the box's before the door's; the engine's thread
 * holds neither while it calls out.
 * Ends: whoever finds that a request is over writes its verdict and goes on. Only reap.c takes requests out of `live`
 * and `chosen`, once a turn and outside of every other loop.
 * The files call downwards only: engine.c > reap.c, step.c > flight.c > output.c, kv.c > row.c, sched.c,
 * kv_disk.c > mark.c > * request.c > event.c > door.c; stats.c is called by all above row.c.
 */
#pragma once
#include "base/buf.h"
#include "base/log.h"
#include "base/thread.h"
#include "engine/draft.h"
#include "engine/engine.h"
#include "engine/kv_store.h"
#include "engine/prefix.h"
#include "engine/stop.h"

#define WICK_MAX_TOP_LOGPROBS 20
#define WICK_MAX_MEASURED_ROWS 128
#define WICK_MAX_DROP_KEYS 16 /* owners whose prefixes are to be forgotten; more at once: all are */

/* One queued event. The text is in `small` unless it is longer; a longer one's memory is kept for the next. */
typedef struct wick_event_slot {
    wick_event_kind kind;
    bool is_prompt;
    int32_t token;
    float logprob;
    uint32_t n_text, n_top, n_done, n_total, n_cached, n_data, width;
    char small[48];
    wick_buf large;
    float *data; /* owned */
} wick_event_slot;

/* One owner, or one user of an owner. */
typedef struct wick_share {
    wick_domain key; /* of an owner: user 0 */
    double service;  /* virtual counter: tokens run for it, lifted when it comes back from idleness */
    double clock;    /* of an owner: the least service among its active users so far: none of them starts below it */
    uint32_t owner;  /* of a user: the owner's row */
    uint32_t n_live;
    uint32_t n_picked; /* within one selection */
} wick_share;

typedef struct wick_shares {
    wick_share *row;
    uint32_t n, cap;
} wick_shares;

static inline bool wick_domain_same(wick_domain a, wick_domain b)
{
    return a.owner == b.owner && a.user == b.user;
}

/* How a request ends. finish NONE: it goes on. The first verdict counts. */
typedef struct wick_verdict {
    wick_finish finish;
    const char *stop_string; /* STOP: the one that was complete */
    wick_err error;          /* ERROR */
} wick_verdict;

/* The request is over with this error, unless it was over already. */
static inline void wick_verdict_fail(wick_verdict *v, const wick_err *error)
{
    if (v->finish != WICK_FINISH_NONE) return;
    v->finish = WICK_FINISH_ERROR;
    v->error = *error;
}

/* How far a request's blocks are on disk (kv_disk.c), and the name of the last one. */
typedef struct wick_disk_chain {
    wick_kv_name name;
    uint32_t to;
    bool broken; /* a block could not be written: what follows would not be found */
} wick_disk_chain;

/* The engine's thread owns it from submit to the end; before that, the thread that makes the request. */
typedef struct wick_request_run {
    int32_t *tokens; /* [cap_tokens] prompt, then what was generated */
    uint32_t n_prompt, n_total, cap_tokens;
    wick_seq *kv;          /* NULL: holds no memory (new, or preempted) */
    uint32_t n_kv;         /* tokens in kv */
    wick_disk_chain saved; /* its blocks on disk */
    uint32_t load_to;      /* positions still to be read from disk end here; 0: none */
    uint32_t n_out;        /* positions whose outputs were reported (LOGITS, EMBED, prompt_logprobs) */
    uint32_t n_gen, n_cached;
    uint32_t user;   /* index into e->loop.users; UINT32_MAX: none */
    int32_t quantum; /* decoded tokens left before others may take the slot */
    bool admitted, selected, was_selected, stalled;
    bool forget;                  /* its owner is gone: nothing of it is kept for others */
    bool solo;                    /* a step with it failed: it runs alone, to show whose fault it was */
    uint32_t row_tokens, row_out; /* this step's row; 0: none */
    wick_draft *draft;            /* NULL: nothing is guessed */
    wick_seq *spare;              /* kv as it was before its guesses, where it cannot take them back; or NULL */
    uint32_t n_draft;             /* of this step's row: guesses, in tokens[n_total..] */
    uint32_t n_flights;           /* steps under way that it has a row in */
    wick_sampler *sampler;
    wick_matcher matcher;        /* ops NULL: the text is free */
    wick_dry_breakers *breakers; /* own ones, or NULL */
    wick_detok *detok;           /* NULL: no text */
    wick_stop stop;
    wick_buf text; /* decoded, not delivered: a stop string may be in it */
    double *pool;  /* [n_embd] EMBED, RANK: the sum (or maximum) so far */
    wick_pooling pooling;
    wick_logprob top[WICK_MAX_TOP_LOGPROBS];
    double t_submit, t_admit, t_first, t_last;
    wick_verdict verdict;
} wick_request_run;

/* Between the engine's thread and the reader, under `lock`. */
typedef struct wick_request_box {
    wick_lock lock;
    wick_cond cond;
    wick_event_slot *ring;  /* [WICK_MAX_EVENTS] */
    wick_logprob *ring_top; /* [WICK_MAX_EVENTS][n_top_logprobs] */
    uint32_t head, n_events;
    bool reading; /* the slot at head is the event that the reader holds */
    bool submitted, finished, released, done_read, paused;
    wick_event final; /* the DONE event */
    wick_event out;   /* what wick_request_next returned */
} wick_request_box;

struct wick_request {
    /* The caller's: written before submit, only read from then on. */
    wick_engine *engine;
    wick_request_opts opt; /* pointers inside are NULL after wick_request_new */
    void (*notify)(void *ctx);
    void *notify_ctx;

    wick_cancel cancel; /* any thread sets it */

    /* The door's. */
    uint64_t serial;           /* order of submission */
    struct wick_request *next; /* in the inbox */

    wick_request_box box;
    wick_request_run run;
};

/* Does it want one vector of its hidden states? */
static inline bool wick_request_pools(const wick_request *r)
{
    return r->opt.kind == WICK_REQ_EMBED || r->opt.kind == WICK_REQ_RANK;
}

/* What an engine is made of; wick_engine_open fills it from a model, tests by hand. */
typedef struct wick_engine_parts {
    const wick_backend *backend;
    const wick_plan *plan;
    const wick_tokenizer *tokenizer; /* borrowed, or NULL */
    const int32_t *eos;
    uint32_t n_eos;
    uint64_t kv_limit_bytes, prefix_limit_bytes; /* 0: none */
    uint32_t n_ctx;
} wick_engine_parts;

/* A row of a step under way. */
typedef struct wick_flight_row {
    wick_request *r; /* NULL: it ended meanwhile; what comes out for it is dropped */
    uint32_t n_tokens, out;
} wick_flight_row;

/* A step that the backend was given and that nobody has waited for yet. */
typedef struct wick_flight {
    wick_flight_row *row; /* [max_seqs] */
    uint32_t n_rows, n_decoding, n_prompt;
    double start_ms;
} wick_flight;

/* Where other threads meet the engine's, under `lock`. */
typedef struct wick_engine_door {
    wick_lock lock;
    wick_cond wake; /* the engine's thread waits here, and wick_engine_open until it is ready */
    bool poked, closing, ready, failed;
    wick_err open_error;
    wick_request *inbox, *inbox_last;
    uint32_t n_live, max_live;
    struct wick_place *place; /* owners other than 0 with places in the queue */
    uint32_t n_places, cap_places;
    uint64_t n_serial;
    bool clear_prefixes;
    uint64_t drop_key[WICK_MAX_DROP_KEYS];
    uint32_t n_drop_keys;
    wick_engine_stats snapshot;
} wick_engine_door;

/* The engine's thread's own. */
typedef struct wick_engine_loop {
    wick_backend_ctx *ctx;
    wick_backend_model *loaded;
    wick_request **live; /* [max_live] everything submitted and not buried */
    uint32_t n_have;
    wick_request **chosen; /* [max_seqs] selected for this turn's step, best first; stale after it */
    uint32_t n_chosen;
    wick_row *row;         /* [max_seqs] of the step that is being built */
    wick_flight flight[2]; /* under way, the older one first */
    uint32_t n_flights;
    bool idle; /* the last turn had nothing to do */
    double land_ms, build_ms;
    wick_shares owners, users;
    double owner_clock;   /* the least service among the active owners so far: nobody starts below it */
    wick_prefix *prefix;  /* NULL: off */
    wick_kv_store *store; /* NULL: nothing is kept on disk */
    uint32_t *mask;       /* [(n_vocab + 31) / 32] */
    wick_buf token_text;
    float *embedding, *pool_work; /* [n_max], [n_work] of the pooler */
    wick_engine_stats stats;
    wick_draft_score draft_score;              /* of all requests so far */
    float rows_ms[WICK_MAX_MEASURED_ROWS + 1]; /* [n] running mean of steps that decode n positions; 0: not seen */
    double snapshot_ms, decode_step_ms, prefill_token_ms; /* running means; 0: not measured yet */
    wick_kv_usage kv;                                     /* as of this step */
    uint64_t kv_planned_bytes;                            /* what the rows of this step need beyond kv.bytes */
    uint64_t kv_promised_bytes;                           /* what holders of KV need to finish their prompts */
    bool kv_tight; /* a newcomer found no room; holders of KV go first until something is freed */
    int32_t tight_priority;
    bool embed_turn;
} wick_engine_loop;

struct wick_engine {
    /* Written while the engine opens, only read from then on. */
    wick_engine_opts opt; /* strings inside are not kept */
    wick_engine_parts parts;
    wick_model model;
    bool has_model;
    wick_tokenizer *tokenizer; /* owned, or NULL */
    wick_thread thread;
    uint32_t caps, n_vocab, step_tokens;
    bool drafts; /* guesses are taken along */
    char device_label[160];
    wick_sample_scratch *scratch; /* its contents are the engine's thread's */

    wick_lock breakers_lock;
    wick_dry_breakers *usual_breakers; /* made when first needed, under breakers_lock */

    wick_lock shelf_lock;
    struct wick_grammar_shelf *shelf; /* constrain.c: made when first needed, under shelf_lock */

    wick_engine_door door;
    wick_engine_loop loop;
};

/* engine.c */
wick_status wick_engine_start(wick_engine **out, const wick_engine_parts *parts, const wick_engine_opts *o,
                              wick_err *err) WICK_MUST_CHECK;

/* constrain.c */
void wick_grammar_shelf_free(struct wick_grammar_shelf *s); /* NULL is fine */

/* options.c */
wick_status wick_engine_check_opts(const wick_engine_opts *o, wick_err *err) WICK_MUST_CHECK;
wick_status wick_engine_choose_backend(const wick_engine_opts *o, const wick_plan *plan, const wick_backend **out,
                                       uint64_t *have_bytes, wick_err *err) WICK_MUST_CHECK;
wick_status wick_engine_plan_memory(const wick_engine_opts *o, const wick_plan *plan, uint64_t have_bytes,
                                    wick_engine_parts *parts, wick_err *err) WICK_MUST_CHECK;

/* door.c: any thread, but for those that say otherwise */
void wick_door_init(wick_engine_door *d, uint32_t max_live);
void wick_door_release(wick_engine_door *d);
void wick_door_poke(wick_engine_door *d); /* the engine's thread looks at everything again */
void wick_door_close(wick_engine_door *d);
/* What the thread found when it opened; wick_door_await waits for it, and gives the error. */
void wick_door_opened(wick_engine_door *d, wick_status st, const wick_err *error);
wick_status wick_door_await(wick_engine_door *d, wick_err *err);
wick_status wick_door_submit(wick_engine_door *d, wick_request *r, wick_err *err) WICK_MUST_CHECK;
/* The engine's thread waits until somebody pokes, or for `ms` (-1: for ever). Returns whether the engine is closing. */
bool wick_door_wait(wick_engine_door *d, int64_t ms);
wick_request *wick_door_take(wick_engine_door *d); /* the engine's thread: what was submitted, linked by `next` */
/* The engine's thread: whose prefixes are to be forgotten, keys[WICK_MAX_DROP_KEYS]; *all: everybody's. */
uint32_t wick_door_drops(wick_engine_door *d, uint64_t *keys, bool *all);
void wick_door_left(wick_engine_door *d, uint64_t owner); /* the engine's thread: one request less */
void wick_door_publish(wick_engine_door *d, const wick_engine_stats *s);

/* event.c: all on the engine's thread. Room is asked for before the step that needs it. */
/* Events that may be queued now; at 0 the request is marked as paused and its reader pokes the engine when it has taken
 * some. */
uint32_t wick_events_room(wick_request *r);
/* n_top entries are taken from r->top. */
wick_status wick_event_token(wick_request *r, int32_t token, bool is_prompt, const char *text, uint32_t n_text,
                             float logprob, uint32_t n_top, wick_err *err);
void wick_event_prefill(wick_request *r, uint32_t n_done, uint32_t n_total);
wick_status wick_event_data(wick_request *r, const float *data, uint32_t n, uint32_t width, bool is_prompt,
                            wick_err *err);
/* The last thing that the engine does with r: its owner may free it from here on. */
void wick_event_done(wick_request *r, const wick_verdict *v, const wick_usage *u);
wick_status wick_events_init(wick_request *r, wick_err *err);
void wick_events_release(wick_request *r);

/* sched.c */
wick_status wick_sched_add(wick_engine *e, wick_request *r, wick_err *err);
void wick_sched_remove(wick_engine *e, wick_request *r);
void wick_sched_charge(wick_engine *e, wick_request *r, uint32_t n_tokens);
void wick_sched_select(wick_engine *e); /* fills e->loop.chosen */

/* kv.c: who holds KV, and who gives it up */
typedef enum wick_room {
    WICK_ROOM_OK,
    WICK_ROOM_LATER, /* others hold what it needs: it waits */
    WICK_ROOM_NEVER  /* it would not fit even alone */
} wick_room;
void wick_engine_kv_begin_step(wick_engine *e);
/* A sequence for a newcomer, forked from a shared prefix where there is one. */
wick_status wick_engine_kv_admit(wick_engine *e, wick_request *r, wick_room *room, wick_err *err);
/* Room for n more tokens of a holder; may preempt others, or r itself (WICK_ROOM_LATER). */
wick_room wick_engine_kv_grow(wick_engine *e, wick_request *r, uint32_t n_tokens);
/* The backend ran out of memory: gives something up. False: there is nothing but what runs alone. */
bool wick_engine_kv_shed(wick_engine *e);
void wick_engine_kv_release(wick_engine *e, wick_request *r);
void wick_engine_kv_keep(wick_engine *e,
                         wick_request *r); /* a finished request's KV goes to the prefix cache, if it may */

/* Room for one more token of a holder behind those under way, without anybody giving up anything. */
bool wick_engine_kv_has_room(const wick_engine *e, const wick_request *r, uint32_t n_tokens); /* without giving up */
bool wick_engine_kv_fits(wick_engine *e, const wick_request *r);

/* mark.c: where sequences that cannot be cut anywhere leave checkpoints */
bool wick_mark_needed(const wick_engine *e);
uint32_t wick_mark_next(const wick_engine *e, uint32_t at); /* the first mark behind position `at` */
uint32_t wick_mark_last(const wick_engine *e, uint32_t at); /* the last one at or before it */
bool wick_mark_wanted(const wick_request *r);               /* do its rows end at marks? */
void wick_mark_leave(wick_engine *e, wick_request *r);      /* r's row has landed: a checkpoint, if it ends at a mark */

/* kv_disk.c: positions to and from files */
wick_status wick_disk_open(wick_engine *e, wick_err *err) WICK_MUST_CHECK;
void wick_disk_save(wick_engine *e, wick_request *r); /* r's row has landed: writes the blocks that are complete now */
uint32_t wick_disk_find(wick_engine *e, const wick_request *r); /* how many of r's tokens are on disk */
/* r, which has a sequence with n_kv tokens, will have those up to `to` from disk. */
wick_status wick_disk_begin(wick_engine *e, wick_request *r, uint32_t to, wick_err *err) WICK_MUST_CHECK;
/* Reads on; true: it is not done yet, or r has lost its sequence, so r has no row in this step. */
bool wick_disk_load(wick_engine *e, wick_request *r, bool others_decode);
void wick_disk_forget(wick_engine *e, const uint64_t *owner); /* NULL: everybody's of this model */

/* draft_plan.c: how many guesses a step takes along */
bool wick_draft_allowed(const wick_engine *e, const wick_request_opts *o);
void wick_draft_measure(wick_engine *e, uint32_t n_rows, double ms); /* a step that only decoded took so long */
void wick_draft_open(wick_engine *e);                                /* the model is loaded: can it? */
/* r's guesses have been judged: its sequence is brought back to n_kv tokens, or to where it was before them. */
void wick_draft_take_back(wick_engine *e, wick_request *r);
/* Lengthens the rows of a step in which n_decoding requests decode and nobody prefills. */
void wick_draft_plan(wick_engine *e, uint32_t n_decoding);

/* row.c: what one request needs of the next step */
/* Is its row one of a prompt, or of what must be computed again? */
bool wick_row_prefills(const wick_request *r);
/* May the device choose its next token: the highest logit, whatever it is, and nobody asks for more? */
bool wick_row_picks(const wick_request *r);
/* Sets r's row to at most `budget` tokens and says what is wanted of it. */
void wick_row_plan(wick_request *r, uint32_t budget);

/* step.c */
void wick_engine_step(wick_engine *e);

/* reap.c: the only place where requests end. Buries those with a verdict, a cancel flag or a passed deadline (closing:
 * all). Returns the milliseconds until the next deadline, -1: none. */
int64_t wick_engine_reap(wick_engine *e, bool closing);

/* flight.c: steps under way */
wick_flight *wick_flight_new(wick_engine *e); /* the next one, without rows */
void wick_flight_add(wick_engine *e, wick_flight *f, wick_request *r, wick_row row);
bool wick_flight_start(wick_engine *e); /* gives its rows to the backend; false: it failed, and that is dealt with */
bool wick_flight_may_stay(const wick_engine *e); /* another step may follow before it lands */
void wick_flight_follow(wick_engine *e);         /* starts the step behind the one under way, if nothing forbids it */
void wick_flight_land(wick_engine *e);           /* waits for the older one, and gives its outputs to their owners */
void wick_flight_drain(wick_engine *e);          /* all of them */
void wick_flight_leave(wick_request *r);         /* r ends: its rows lose their owner, its KV what was ahead */

/* output.c */
/* What a row gave: `data` its logits or hidden states, or `pick`. *v: whether the request is over with it, and how. */
void wick_output_row(wick_engine *e, wick_request *r, const float *data, const wick_pick *pick, wick_verdict *v);

/* stats.c */
void wick_stats_publish(wick_engine *e, bool now);
