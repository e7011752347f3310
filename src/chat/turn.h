/* chat/turn.h - one answer to a conversation, read to its end on the caller's thread.
 *
 * For callers that wait: the tool loop, MCP tools. (The server's dialects pump events themselves, since they never
 * wait.) */
#pragma once
#include "chat/answer.h"
#include "chat/chat.h"

typedef struct wick_turn {
    const json_t *messages, *tools, *vars; /* as in chat/prompt.h; tools and vars may be NULL */
    const char *prompt;                    /* instead of messages: a text to go on with, no template */
    wick_request_opts request;             /* sampling, lengths, stops; its prompt is not looked at */
    bool one_call;
    void (*delta)(void *ctx, const wick_delta *d); /* each piece as it comes, or NULL */
    void (*step)(void *ctx, uint32_t n_tokens);    /* after each token, or NULL */
    bool (*cancelled)(void *ctx);                  /* asked some ten times a second, or NULL */
    void *ctx;
    /* out */
    json_t *message; /* {"role": "assistant", "content", "reasoning_content"?, "tool_calls"?}: the caller's */
    wick_answer_end end;
    wick_finish finish; /* WICK_FINISH_NONE: the engine never had it */
    wick_usage usage;
} wick_turn;

void wick_turn_init(wick_turn *t);
/* WICK_E_CANCELLED: the callback said so. Other errors are those of the prompt and of the engine. */
wick_status wick_turn_run(wick_turn *t, wick_engine *e, const wick_chat *chat, wick_err *err) WICK_MUST_CHECK;
