/* chat/adapt.h - canonical messages (chat/message.h) to messages that a template can take (chat/caps.h).
 *
 * Each step does for the template what it cannot do itself, and nothing where it can: messages of a plain conversation
 * pass unchanged. The steps and their order are in adapt.c. */
#pragma once
#include <jansson.h>
#include "chat/caps.h"

/* Changes the list and its messages, which must be the caller's own (fresh from wick_messages_normalise); values inside
 * of them are replaced, never changed. *tools (owned, may be NULL) becomes NULL where they moved into the messages. */
wick_status wick_chat_adapt(const wick_chat_caps *caps, json_t *messages, json_t **tools,
                            wick_err *err) WICK_MUST_CHECK;
/* The text of a content: of a string itself, of a list its text parts joined with a newline. A new reference, or NULL:
 * out of memory. */
json_t *wick_content_text(const json_t *content);
/* Has the content parts that are no text? */
bool wick_content_is_text(const json_t *content);
