/* base/json_memory.h - jansson's allocations through base/alloc.h, and what it does not tell about them.
 *
 * jansson 2.14 does not survive a failed allocation in its scanner, and json_copy drops members in silence. Apart from
 * json.h because only programs may change the process's setting.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* From now on jansson allocates through base/alloc.h; one that fails while text is parsed is tried once more, and the
 * text is refused as out of memory in any case. Before any other thread uses JSON. */
void wick_json_use_alloc(void);
/* How many of them failed on this thread so far: a change means that what was built since may lack something. */
unsigned wick_json_n_failed(void);
/* About how many bytes the parsed form of a text takes: its strings, values and containers are counted, without parsing
 * it. */
uint64_t wick_json_cost(const char *text, size_t n);
/* Gives memory that was freed back to the system: of many small pieces the allocator keeps all. Slow: not for every
 * request. */
void wick_json_trim(void);
