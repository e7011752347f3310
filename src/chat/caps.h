/* chat/caps.h - what a chat template can do, learned once when it is opened.
 *
 * Everything here is found by rendering short conversations and looking at what came out, never by searching the
 * template's text: a template that only mentions tools cannot use them. What a template cannot do chat/prompt.h does for it.
 */
#pragma once
#include <stdbool.h>

/* How a template wants the arguments of earlier calls. */
typedef enum wick_chat_args {
    WICK_CHAT_ARGS_ANY,    /* as the client sent them */
    WICK_CHAT_ARGS_OBJECT, /* it walks the object, or writes JSON itself */
    WICK_CHAT_ARGS_STRING  /* it prints the text as it is */
} wick_chat_args;

typedef struct wick_chat_caps {
    bool string_content, parts_content; /* which forms of a content it prints; both may be true */
    bool system;                        /* a first message of role system appears in the prompt */
    bool several_systems;               /* two of them at the start both appear */
    bool late_system;                   /* one after an answer appears */
    bool developer;                     /* role developer appears, and not as if it were an unknown role */
    bool tools;                         /* the descriptions of tools appear */
    bool tool_calls;                    /* earlier calls appear */
    bool parallel_calls;                /* two calls in one message both appear */
    bool tool_results;                  /* messages of role tool appear */
    bool content_beside_calls;          /* the text of a message that also has calls appears */
    bool needs_description;             /* fails on a tool without a description */
    bool needs_parameters;              /* fails on a tool without parameters */
    bool nine_char_ids;                 /* fails on call ids that are not nine letters and digits */
    bool alternates;                    /* fails where two user or two assistant messages follow each other */
    bool user_first;                    /* fails where the first message after the system's is no user message */
    bool reasoning;                     /* reasoning of the turn in progress appears */
    bool past_reasoning;                /* reasoning of turns before the last user message appears too */
    bool documents;                     /* documents appear */
    bool thinking_switch;               /* enable_thinking (or thinking) changes the prompt */
    bool effort;                        /* reasoning_effort changes the prompt */
    bool opens_think;                   /* the generation prompt ends inside a reasoning block */
    wick_chat_args args;
    const char *think_open, *think_close; /* tags around reasoning, or NULL; live as long as the template */
} wick_chat_caps;
