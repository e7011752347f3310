/* backend/pack_folder.h - what the writer needs to know of the folder: private to pack_*.c. */
#pragma once
#include "backend/pack_format.h"

#define WICK_PACK_TEMPORARY ".tmp-" /* .NAME.tmp-XXXXXX */

/* Removes temporary files whose writer has died. True: a living one is writing `name`. */
bool wick_pack_sweep_for(const char *folder, const char *name);
/* Removes the least recently used until `need` more bytes are within the limit (0: none). False: they cannot be. */
bool wick_pack_make_room(const char *folder, const char *name, uint64_t need, uint64_t limit);
