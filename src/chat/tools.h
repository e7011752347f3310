/* chat/tools.h - the tool loop: a model's calls are run and answered until it answers in words.
 *
 * A toolset is a list of functions with their descriptions. wick_tool_loop takes a conversation and a way to let a
 * model answer once (a *turn*), and goes on: the calls of a turn are checked against their schemas, approved, run, and
 * their results put behind the conversation, for the next turn. It knows nothing of engines, servers or protocols, so
 * that the C API, the CLI and the server share it.
 *
 * What a model writes is never trusted: arguments must be JSON that fits the tool's schema before anything runs; a
 * failure of any kind becomes a result that the model reads, and the loop goes on. It ends with WICK_OK when the model
 * answers without calls, or when the limit of rounds is reached (then the last answer still holds calls, and `limited`
 * says so). */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "base/status.h"
#include "base/thread.h"

typedef struct wick_toolset wick_toolset;

/* One call, while its function runs. */
typedef struct wick_tool_job {
    const char *id, *name;
    const char *arguments;     /* a JSON object as text */
    const wick_cancel *cancel; /* set when the time is over or the caller gave up: return soon */
    uint32_t timeout_ms;       /* that the function has */
} wick_tool_job;

/* Appends the result, JSON or text, for the model to read. A failure status becomes "error: <err's message>" for the
 * model. On any thread; several at once where the loop's calls run side by side. */
typedef wick_status (*wick_tool_fn)(void *user, const wick_tool_job *call, wick_buf *result, wick_err *err);

typedef struct wick_tool_def {
    const char *name;        /* letters, digits, '_', '-', '.': at most 64 */
    const char *description; /* or NULL */
    const char *schema;      /* JSON schema of the arguments as text; NULL: an object of anything */
    bool safe;               /* changes nothing and tells nobody: may run without being asked for */
    wick_tool_fn fn;
    void *user;
    void (*release)(void *user); /* with the toolset; or NULL */
} wick_tool_def;

wick_status wick_toolset_new(wick_toolset **out, wick_err *err) WICK_MUST_CHECK;
void wick_toolset_free(wick_toolset *t);
/* WICK_E_BAD_PARAMETER: the name is taken or no name, the schema is no schema. On failure `release` is not called. */
wick_status wick_toolset_add(wick_toolset *t, const wick_tool_def *def, wick_err *err) WICK_MUST_CHECK;
/* All of `from` that `t` has no tool of the same name for; they go on belonging to `from`, which must outlive t. */
wick_status wick_toolset_borrow(wick_toolset *t, const wick_toolset *from, wick_err *err) WICK_MUST_CHECK;
wick_status wick_toolset_borrow_one(wick_toolset *t, const wick_toolset *from, size_t i,
                                    wick_err *err) WICK_MUST_CHECK; /* the i-th of them */
size_t wick_toolset_n(const wick_toolset *t);
/* The i-th tool as it was added, but for its schema, which wick_toolset_schema gives as text: the caller's, to be freed
 * with free(); NULL: out of memory. i < wick_toolset_n. */
void wick_toolset_get(const wick_toolset *t, size_t i, wick_tool_def *def);
char *wick_toolset_schema(const wick_toolset *t, size_t i);
bool wick_toolset_has(const wick_toolset *t, const char *name);
/* OpenAI's `tools`: a new array. NULL: out of memory. */
json_t *wick_toolset_json(const wick_toolset *t);

typedef enum wick_tool_event_kind { WICK_TOOL_EVENT_CALL, WICK_TOOL_EVENT_RESULT } wick_tool_event_kind;
typedef struct wick_tool_event {
    wick_tool_event_kind kind;
    uint32_t round; /* from 1 */
    const char *id, *name, *arguments;
    const char *result; /* RESULT */
    bool failed;        /* RESULT: it is an error, a refusal or a time-out */
    double ms;          /* RESULT: how long the function ran */
} wick_tool_event;

typedef struct wick_tool_loop {
    const wick_toolset *tools;
    /* One answer of the model to the messages; a new assistant message in OpenAI's shape ("content", "tool_calls"). */
    wick_status (*turn)(void *ctx, const json_t *messages, json_t **answer, wick_err *err);
    /* May this call run? NULL: those that are safe or all with approve_all. On the thread of the loop. */
    bool (*approve)(void *ctx, const char *name, const char *arguments, bool safe);
    void (*event)(void *ctx, const wick_tool_event *e); /* or NULL; on the thread of the loop */
    void *ctx;
    const wick_cancel *cancel;  /* or NULL: asked between and inside of calls */
    bool (*stopped)(void *ctx); /* the same as a function; or NULL */
    uint32_t max_rounds;        /* turns whose calls are run; 0: 8 */
    uint32_t timeout_ms;        /* of one call; 0: 60 s */
    uint32_t max_result_bytes;  /* of one result, the rest is cut off; 0: 256 KiB */
    uint32_t max_calls;         /* of all rounds; those beyond it are not run. 0: no limit */
    bool side_by_side;          /* the calls of one turn run at once */
    bool approve_all;
    /* out */
    uint32_t n_rounds, n_calls;
    bool limited; /* the rounds were over before the model answered */
} wick_tool_loop;

/* Runs the loop. `messages` grows by every answer and result, so that the last one is the answer. Errors are those of
 * turn, and WICK_E_CANCELLED. */
wick_status wick_tool_loop_run(wick_tool_loop *l, json_t *messages, wick_err *err) WICK_MUST_CHECK;

/* One round alone, for callers whose turns are no function: runs these calls (OpenAI's tool_calls) and appends their
 * results to `messages`. `turn` is not used. n_rounds and n_calls begin at 0. */
wick_status wick_tool_loop_round(wick_tool_loop *l, const json_t *calls, json_t *messages,
                                 wick_err *err) WICK_MUST_CHECK;
/* Are the rounds over? Sets `limited` if they are. */
bool wick_tool_loop_over(wick_tool_loop *l);

/* Does a pattern of JSON Schema (it need not fit the whole text) fit? A pattern that is none fits all; one that takes
 * too long fits nothing. */
bool wick_tool_pattern_fits(const char *pattern, const char *text, size_t n);
/* Does the value fit the schema? tools_check.c says which keywords are looked at. The message names the place:
 * "/city: must be a string, not a number". */
wick_status wick_tool_check(const json_t *schema, const json_t *value, wick_err *err) WICK_MUST_CHECK;
