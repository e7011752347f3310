/* backend/registry.c - finding a backend by name. The list itself is made by CMake from the folders that were built,
 * so nothing here depends on any backend. */
#include <string.h>

#include "backend/backend.h"

const wick_backend *wick_backend_find(const char *name)
{
    if (!name) return NULL;
    for (const wick_backend *const *b = wick_backends; *b; b++)
        if (strcmp((*b)->name, name) == 0) return *b;
    return NULL;
}
