/* chat/prompt.h - messages, tools and variables to a prompt, and what the answer begins inside of.
 *
 * The only way from a conversation to tokens, for the server, the C API and the CLI. A prompt is built on the caller's
 * thread. Messages are normalised (chat/message.h), then adapted to what the template can take (chat/caps.h). */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "chat/chat.h"

typedef enum wick_chat_ending {
    WICK_CHAT_ANSWER,   /* the prompt ends where the assistant's answer begins */
    WICK_CHAT_CONTINUE, /* the last message is continued (continue_final_message) */
    WICK_CHAT_PREFILL,  /* as CONTINUE where the last message is an answer with a text or reasoning and without calls,
                         * else as ANSWER; an empty last answer is left out */
    WICK_CHAT_CLOSED    /* nothing after the last message */
} wick_chat_ending;

typedef struct wick_chat_request {
    const json_t *messages;  /* OpenAI messages or canonical ones; required, not empty */
    const json_t *tools;     /* OpenAI tools or canonical ones, or NULL */
    const json_t *documents; /* or NULL */
    const json_t *vars; /* chat_template_kwargs: any variables of the template, an object or NULL. An integer "now" is
                              * the time that strftime_now sees. What the template does not use is ignored. */
    const char *reasoning_effort; /* or NULL; "none" switches thinking off where the template has a switch */
    int thinking;                 /* 1: on, 0: not said, -1: off; a no-op where the template has no switch */
    wick_chat_ending ending;
    bool no_ids; /* text alone is wanted */
    bool raw;    /* to look at a template: an empty list of messages, and parts that are no text, reach it too, and the
                  * variables that it saw are kept */
} wick_chat_request;

typedef struct wick_chat_prompt {
    wick_buf text;
    int32_t *ids; /* NULL with no_ids */
    size_t n_ids;
    /* What the answer begins inside of, as chat/answer.h takes it: */
    size_t n_prefill;  /* the last bytes of the text that belong to a continued message; 0: a new answer */
    bool in_reasoning; /* a reasoning block is open where these bytes begin (at the end, where there are none) */
    json_t *variables; /* with raw: what the template saw; else NULL */
} wick_chat_prompt;

/* Subjects of errors are the parameters: messages, tools, chat_template_kwargs, continue_final_message. A template that
 * raises or runs out of its limits gives WICK_E_TEMPLATE with what it said, without the path of its file. On failure
 * *out holds nothing. */
wick_status wick_chat_prompt_build(const wick_chat *c, const wick_chat_request *in, wick_chat_prompt *out,
                                   wick_err *err) WICK_MUST_CHECK;
void wick_chat_prompt_release(wick_chat_prompt *p); /* also of a zeroed one */
