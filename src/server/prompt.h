/* server/prompt.h - messages, texts and ids of a request to prompt tokens. */
#pragma once
#include "chat/prompt.h"
#include "server/params.h"

/* The prompt of the messages of a request; release it with wick_chat_prompt_release. */
wick_status wick_prompt_build(const wick_chat *c, const wick_params *p, bool no_ids, wick_chat_prompt *out,
                              wick_err *err) WICK_MUST_CHECK;
/* Text to ids; `name` is the parameter in messages. */
wick_status wick_prompt_encode(const wick_engine *e, const char *text, size_t n, unsigned flags, const char *name,
                               int32_t **ids, size_t *n_ids, wick_err *err) WICK_MUST_CHECK;
/* A JSON array of ids; every one must be in the vocabulary. */
wick_status wick_prompt_ids(const wick_engine *e, const json_t *list, const char *name, int32_t **ids, size_t *n_ids,
                            wick_err *err) WICK_MUST_CHECK;
/* prompt or input: how many there are (a string and one list of ids count 1). */
wick_status wick_prompt_count(const json_t *v, const char *name, uint64_t limit, uint32_t *n,
                              wick_err *err) WICK_MUST_CHECK;
/* The i-th of them. *text is set where it is a string. */
wick_status wick_prompt_item(const wick_engine *e, const json_t *v, uint32_t i, const char *name, int32_t **ids,
                             size_t *n_ids, const char **text, size_t *n_text, wick_err *err) WICK_MUST_CHECK;
/* WICK_E_LIMIT with subject "prompt" for a text of n bytes that cannot fit the context, whatever it says: it need not
 * be encoded to be refused. */
wick_status wick_prompt_may_fit(const wick_engine *e, size_t n, const char *name, wick_err *err) WICK_MUST_CHECK;
size_t wick_prompt_bytes(const json_t *v); /* of all strings in it */
