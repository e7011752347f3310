/* chat/message.h - the canonical conversation, and the one place where it is made.
 *
 * Clients write messages in many ways: content null or missing, empty or null tool_calls, arguments as text or as an
 * object, reasoning under three names, tool results as parts. Everything above (dialects of the server, C API, CLI)
 * brings its JSON to OpenAI's shape of messages, and wick_messages_normalise makes the canonical form of it. Templates
 * never see what a client sent; chat/prompt.h adapts the canonical form to what a template can take.
 *
 * The canonical form is a JSON array of objects. Invariants of each message:
 *   1. "role" is "system", "developer", "user", "assistant", "tool", or another name of at most 64 letters, digits and
 *      "_-." that a template may know. ("function" became "tool".)
 *   2. "content" is always there: a string, or a non-empty array of parts. A part is an object with a string "type"; a
 *      text part is {"type": "text", "text": string}. Null, a missing content and an empty array became "".
 *   3. "tool_calls", on an assistant only, is absent or a non-empty array of
 *      {"id": string, "type": "function", "function": {"name": string, "arguments": object, "text": string?}}.
 *      "text" is what the client sent as arguments where it sent a text; a prompt that repeats it byte for byte finds
 *      the prefix cache of the answer in which the model wrote it. "arguments" is {} for empty text, and {"raw": text}
 *      for a text that is no JSON object.
 *   4. "reasoning_content", never on what prompts (system, developer, user), is absent or a non-empty string. (It also
 *      came as "reasoning", "thinking", or as parts of the content.)
 *   5. A "tool" message has "tool_call_id", and "name" where a call with this id stands before it. Where the id was
 *      missing it is that of the first call without a result, of the same name if the message has one.
 *   6. No value of a message is null. Keys that are not named here are kept: a template may read them.
 *
 * The canonical form of tools is a non-empty array of {"type": "function", "function": {"name", ...}} without "strict",
 * or no array at all.
 */
#pragma once
#include <jansson.h>
#include "base/status.h"

/* OpenAI messages to the canonical form, a new array in *out (json_decref). `messages` stays as it is; its members may
 * be shared with the result, so neither may be changed afterwards. Canonical messages come out as they went in.
 * WICK_E_BAD_PARAMETER names the place: "messages[2].tool_calls[0].function.name: must be a string, not a number". */
wick_status wick_messages_normalise(const json_t *messages, json_t **out, wick_err *err) WICK_MUST_CHECK;
/* OpenAI tools to the canonical form; *out is NULL for NULL, null and []. A tool in the form of the Responses API
 * ({"type": "function", "name": ...}) is taken too. WICK_E_BAD_PARAMETER: "tools[0].function.name: ...". */
wick_status wick_tools_normalise(const json_t *tools, json_t **out, wick_err *err) WICK_MUST_CHECK;
