/* server/turn.h - one choice of a conversation: its events through chat/answer, typed pieces to the dialect.
 *
 * Every dialect that answers conversations uses it: its wick_gen_format has wick_turn_begin, wick_turn_token and
 * wick_turn_end where other formats have functions of their own, and a `delta` that writes pieces down. The whole
 * answer is
 * kept (wick_answer_text and so on), for answers that are no stream and for the last event of those streams that
 * repeat it.
 */
#pragma once
#include "server/gen.h"

/* p has messages: renders the prompt, sets up everything that the engine and the answer need. */
wick_status wick_turn_prepare(wick_gen *g, wick_err *err) WICK_MUST_CHECK;
void wick_turn_begin(wick_choice *c);
void wick_turn_token(wick_choice *c, const wick_event *ev);
void wick_turn_end(wick_choice *c, const wick_event *ev);
/* A request of c has ended, in a generation that has tools of the server's. True: they run now, and the answer goes on
 * after them. */
bool wick_turn_waits(wick_choice *c, const wick_event *ev);
/* How it ended: stop, length, calls. */
wick_answer_end wick_turn_how(const wick_choice *c);
/* Tokens of all choices; cached and reasoning are parts of prompt and generated. The prompt of n choices counts once.
 * */
typedef struct wick_turn_usage {
    unsigned long long prompt, cached, generated, reasoning;
} wick_turn_usage;
wick_turn_usage wick_turn_count(const wick_gen *g);
