/* chat/caps.h - what a chat template can do, learned once when it is opened.
 *
 * Everything here is found by rendering short conversations and looking at what came out, never by searching the
 * template's text: a template that only mentions tools cannot use them. What a template cannot do chat/adapt.h does for
 * it. A template that refuses even one plain user message, or shows no conversation at all, is taken to be able to do
 * everything, so that it gets what was sent. */
#pragma once
#include <stdbool.h>
#include "chat/template.h"

/* How a template wants the arguments of earlier calls. */
typedef enum wick_chat_args {
    WICK_CHAT_ARGS_ANY,    /* as the client sent them */
    WICK_CHAT_ARGS_OBJECT, /* it walks the object, or writes JSON itself */
    WICK_CHAT_ARGS_STRING  /* it prints the text as it is */
} wick_chat_args;

/* Bits of roles; a role that is not named here goes with USER. */
enum wick_chat_roles {
    WICK_CHAT_SYSTEM = 1, /* and developer */
    WICK_CHAT_USER = 2,
    WICK_CHAT_ASSISTANT = 4,
    WICK_CHAT_TOOL = 8,
    WICK_CHAT_ALL_ROLES = 15
};

typedef struct wick_chat_caps {
    unsigned strings, parts; /* wick_chat_roles: of which roles it prints a content that is a string, a list of parts */
    bool last_only;          /* it shows one message of several: no more is asked, and it gets what was sent */
    bool system;             /* a first message of role system appears in the prompt */
    bool lone_system;        /* it appears where no other message is */
    bool several_systems;    /* two of them at the start both appear */
    bool late_system;        /* one after an answer appears */
    bool developer;          /* role developer appears, and not as an unknown role would */
    bool tools;              /* the descriptions of tools appear */
    bool tools_in_system;    /* they appear where the system message has them under "tools", as JSON text */
    bool tools_list;         /* wants "tools" to be a list even where there are none */
    bool functions;          /* wants tools as JSON text in "functions", and a date in "datetime" */
    bool tool_calls;         /* earlier calls appear, those of a second round too; only where tools do, since a
                                  * description of tools teaches a syntax of its own */
    bool parallel_calls;     /* two calls in one message both appear */
    bool tool_results;       /* messages of role tool appear; only where calls do */
    bool calls_need_null;    /* calls appear only in a message whose content is null */
    bool needs_description;  /* fails on a tool, or a parameter of one, without a description */
    bool needs_parameters;   /* fails on a tool without parameters */
    bool nine_char_ids;      /* fails on call ids that are not nine letters and digits */
    bool alternates;   /* two user or two assistant messages that follow each other fail, or one of them vanishes */
    bool user_first;   /* fails where the first message after the system's is no user message */
    bool empty_answer; /* an answer without text is accepted */
    bool user_after_result;      /* a user message may follow the result of a call */
    bool reasoning;              /* reasoning of the turn in progress appears */
    bool past_reasoning;         /* reasoning of turns before the last user message appears too */
    bool reasoning_parts;        /* it appears only as a part {"type": "thinking", "thinking": text} of the content */
    const char *reasoning_key;   /* "reasoning" where the template reads this name only; else NULL */
    bool documents;              /* documents appear */
    bool effort;                 /* reasoning_effort changes the prompt */
    unsigned efforts;            /* one bit a level of wick_chat_effort: which are no error */
    const char *thinking_switch; /* the variable, true or false, that changes how the generation prompt ends; or NULL */
    wick_chat_args args;
    const struct wick_toolcall_format *calls_as; /* how calls are written where the template shows none; NULL: hermes */
} wick_chat_caps;

/* Renders the probes. Never fails: what could not be rendered, for want of memory too, the template cannot do. */
void wick_chat_caps_learn(wick_chat_caps *caps, const wick_chat_template *t);
/* What reasoning_effort becomes: itself, or the nearest level that the template accepts; NULL: nothing is to be set,
 * because the template does not use it, or because no thinking is asked for and it has another switch for that. */
const char *wick_chat_effort(const wick_chat_caps *caps, const char *effort);
/* Puts the tools (NULL: none) into the variables of a render as the template wants them. now: what a date is made of,
 * 0: the clock. False: out of memory. */
bool wick_chat_set_tools(const wick_chat_caps *caps, json_t *vars, const json_t *tools, int64_t now_unix_s);
/* One line for each thing that must be done for the template, as text for a log; i counts from 0, NULL ends. */
const char *wick_chat_caps_note(const wick_chat_caps *caps, unsigned i);
