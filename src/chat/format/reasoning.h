/* chat/format/reasoning.h - splits a model's text into reasoning and content while it streams.
 *
 * Knows a tag pair (<think>...</think> and the like) and gpt-oss's harmony messages. No part of a tag ever comes out,
 * wherever the deltas are cut; how the text was cut never changes what comes out in total. The struct owns no memory:
 * nothing to release, no failure of its own.
 *
 *   - Tags that are plain text (<think>) open only at the start of the text, blanks aside; tags that are special tokens
 *     of their family ([THINK], <|channel>thought, ...) open anywhere.
 *   - White space around reasoning is dropped, so is the white space between a closing tag and the content.
 *   - Reasoning that never closes is reasoning up to the end. A second block follows the first after a newline.
 *   - Harmony: analysis is reasoning, final and commentary are content; a message to a tool (to=...) stays in content
 *     with its header and <|call|>, for chat/format/toolcall.h.
 *   - Text without tags comes out unchanged, and at once but for what may still become a tag.
 */
#pragma once
#include "base/buf.h"
#include "base/status.h"
#include "chat/format/think.h"

enum { WICK_REASONING_TAG_MAX = 64, WICK_REASONING_HELD_MAX = 512 };

typedef void wick_reasoning_out(void *user, bool reasoning, const char *s, size_t n);

typedef struct wick_reasoning {
    wick_reasoning_out *out; /* where the text goes, with `user`: set by the caller before wick_reasoning_begin */
    void *user;
    const char *open, *close; /* borrowed; open NULL: all text is content */
    const wick_think_syntax *family;
    enum {
        WICK_REASONING_START,
        WICK_REASONING_IN,
        WICK_REASONING_OUT,
        WICK_REASONING_HEADER,
        WICK_REASONING_RAW
    } state;
    bool dup;         /* IN: the opening tag again would be a repetition of the prompt's */
    bool trim;        /* the next text follows a tag: white space is dropped, a separator may be due */
    bool any_thought; /* reasoning came out */
    bool any_content;
    bool fresh;   /* harmony: the next content begins a message */
    bool stray;   /* a call ended reasoning: the closing tag may still come, and is no text */
    bool wrapped; /* the marker that begins the answer came */
    size_t n_held;
    char held[WICK_REASONING_HELD_MAX]; /* what may be the start of a tag, and white space before it */
} wick_reasoning;

/* t NULL: all text is content. inside: the text begins inside of reasoning. */
void wick_reasoning_begin(wick_reasoning *r, const wick_think_syntax *t, bool inside);
/* Explicit tags, borrowed; either NULL: no reasoning. WICK_E_BAD_PARAMETER: empty, or above WICK_REASONING_TAG_MAX. */
wick_status wick_reasoning_init_tags(wick_reasoning *r, const char *open, const char *close, bool inside,
                                     wick_err *err) WICK_MUST_CHECK;
/* Gives out what is certain. */
void wick_reasoning_feed(wick_reasoning *r, const char *text, size_t n);
/* Nothing follows: gives out what was held. */
void wick_reasoning_end(wick_reasoning *r);
/* A tool call begins here: reasoning that is open ends; a closing tag that comes later is dropped. */
void wick_reasoning_interrupt(wick_reasoning *r);
/* Did nothing but reasoning and white space come so far? */
bool wick_reasoning_at_start(const wick_reasoning *r);
