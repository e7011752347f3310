/* server/rounds.h - tools that the server runs while it answers a conversation.
 *
 * An answer that calls the server's own tools (server.yaml, --tools) does not end: its calls are run, their results put
 * behind the conversation, and the same choice goes on with another request to the engine, until the model answers in
 * words, calls a tool of the client's, or the rounds are over. Dialects see one answer.
 *
 *   wick_rounds_prepare   on a worker, with the request: which tools there are, or none (g->rounds stays NULL)
 *   wick_rounds_begin     on the I/O thread, when a request of the engine has ended with own calls: starts a thread
 *                         that runs them and builds the next prompt; the exchange is woken when it is done
 *   wick_rounds_ready     on the I/O thread: has it?
 *   wick_rounds_free      on a worker; stops what still runs
 *
 * The thread has the conversation and the prompt to itself until it is ready; then the I/O thread has them. */
#pragma once
#include "chat/tools.h"
#include "server/gen.h"

/* Reads what the request says of tools (g->p), adds the server's to the client's. WICK_E_REFUSED with subject "scope":
 * the key may not use them. */
wick_status wick_rounds_prepare(wick_gen *g, wick_err *err) WICK_MUST_CHECK;
/* How answers are read: calls of the server's tools are its own. */
void wick_rounds_reader(wick_gen *g, wick_answer_opts *how);
void wick_rounds_free(wick_rounds *r); /* NULL is fine */
void wick_rounds_cancel(wick_rounds *r);

/* Is there something to run in the answer that has ended? */
bool wick_rounds_wanted(const wick_gen *g, const wick_choice *c);
wick_status wick_rounds_begin(wick_gen *g, wick_choice *c, wick_err *err) WICK_MUST_CHECK;
bool wick_rounds_ready(wick_rounds *r);
/* After ready: what this round ran, [{"round", "id", "name", "arguments", "result", "error", "ms"}]; borrowed. */
const json_t *wick_rounds_new_calls(const wick_rounds *r);
/* After ready: the next prompt, or an error. No ids: the answer ends here, since it has calls of the client's too. */
wick_status wick_rounds_next(wick_rounds *r, int32_t **ids, size_t *n, wick_answer_opts *how,
                             wick_err *err) WICK_MUST_CHECK;

bool wick_rounds_limited(const wick_gen *g); /* the rounds were over before the model answered */
/* ,"wick_tool_calls":[...] and where the rounds were over ,"wick_tool_limit":true; nothing where no tool was run. */
void wick_rounds_write(const wick_gen *g, wick_buf *b);
