/* chat/adapt_int.h - what the files of the adapter share. Functions that return bool fail for want of memory only. */
#pragma once
#include "chat/adapt.h"

bool wick_message_has_role(const json_t *m, const char *role);
/* Both contents as one, a new reference: a string with `between` where neither is empty; a list of all parts where both
 * are lists, or one has parts that are no text. Either may be NULL (nothing). */
json_t *wick_content_join(const json_t *a, const json_t *b, const char *between);
/* Calls and results in the form that the template shows. */
bool wick_adapt_calls(const wick_chat_caps *c, json_t *messages);
/* What the template needs in the description of a tool; the list must be the caller's own. NULL is fine. */
bool wick_adapt_tools(const wick_chat_caps *c, json_t *tools);
