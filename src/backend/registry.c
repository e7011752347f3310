/* backend/registry.c - finding a backend by name. The list of those in this build is made by CMake from the folders
 * that were built, so nothing here depends on any backend. */
#include <string.h>

#include "backend/backend.h"

const wick_backend *wick_backend_find(const char *name)
{
    if (!name) return NULL;
    for (const wick_backend *const *b = wick_backends; *b; b++)
        if (strcmp((*b)->name, name) == 0) return *b;
    return NULL;
}

const char *const wick_backend_names[] = {
#define WICK_BACKEND(name, remedy) #name,
#include "backend/backends.def"
#undef WICK_BACKEND
    NULL};

const char *wick_backend_remedy(const char *name)
{
#define WICK_BACKEND(known, remedy) \
    if (strcmp(name, #known) == 0) return remedy;
#include "backend/backends.def"
#undef WICK_BACKEND
    return "there is no such backend";
}

const char wick_backend_choices[] = "auto"
#define WICK_BACKEND(name, remedy) "|" #name
#include "backend/backends.def"
#undef WICK_BACKEND
    ;

bool wick_backend_known(const char *name)
{
    for (size_t i = 0; wick_backend_names[i]; i++)
        if (strcmp(wick_backend_names[i], name) == 0) return true;
    return false;
}

bool wick_backend_set(wick_backend_opts *o, const char *key, const char *value)
{
    uint32_t i = 0;
    while (i < o->n_settings && strcmp(o->setting[i].key, key) != 0) i++;
    if (i == WICK_MAX_SETTINGS) return false;
    o->setting[i] = (wick_backend_setting){key, value};
    if (i == o->n_settings) o->n_settings++;
    return true;
}
