/* server/response_store.h - answers of the Responses API that clients come back to, in SQLite.
 *
 * An answer belongs to the key that asked for it (to nobody's, where there are no keys) and is seen by that key only.
 * What a
 * key may keep is limited in bytes; its oldest answers make room. Writing may block, so it is done in two steps: what
 * was put can be read at once, and reaches the file with the next flush, on a worker. Any thread may call anything. */
#pragma once
#include <jansson.h>
#include "base/status.h"

typedef struct wick_response_store wick_response_store;

/* path NULL: in memory, gone with the process. The file is made where it is missing, readable by its owner only. */
wick_status wick_response_store_open(wick_response_store **out, const char *path, uint64_t limit_bytes,
                                     wick_err *err) WICK_MUST_CHECK;
void wick_response_store_close(wick_response_store *s); /* flushes; NULL is fine */

/* Takes both. `input`: the request's own input items, an array; `response`: the response object, with "id" and
 * "previous_response_id". */
void wick_response_store_put(wick_response_store *s, const char *owner, json_t *input, json_t *response);
void wick_response_store_flush(wick_response_store *s);
/* New references; either out pointer may be NULL. WICK_E_MODEL_NOT_FOUND with subject "response": this owner has none
 * of this id. */
wick_status wick_response_store_get(wick_response_store *s, const char *owner, const char *id, json_t **input,
                                    json_t **response, wick_err *err) WICK_MUST_CHECK;
/* All of an owner's are forgotten. */
wick_status wick_response_store_drop(wick_response_store *s, const char *owner, wick_err *err) WICK_MUST_CHECK;
wick_status wick_response_store_delete(wick_response_store *s, const char *owner, const char *id,
                                       wick_err *err) WICK_MUST_CHECK;
