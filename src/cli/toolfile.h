/* cli/toolfile.h - opens a file of tools (toolbox/toolbox.h) with what programs may see of the environment. */
#pragma once
#include "toolbox/toolbox.h"

/* text_or_path: the file, or its text. lenient: a server that cannot be reached is left out with a warning. */
wick_status wick_toolfile_open(wick_toolbox **out, const char *text_or_path, bool lenient,
                               wick_err *err) WICK_MUST_CHECK;
/* The same of a file that was read already. folder: relative paths are below it; NULL: the working folder. */
wick_status wick_toolfile_open_json(wick_toolbox **out, const json_t *config, const char *folder, bool lenient,
                                    wick_err *err) WICK_MUST_CHECK;

/* Several files as one set. */
typedef struct wick_toolfiles {
    wick_toolbox *box[3];
    size_t n;
    wick_toolset *tools; /* NULL: there are none */
} wick_toolfiles;
/* Adds what was opened (it is taken, on failure too). */
wick_status wick_toolfiles_add(wick_toolfiles *f, wick_toolbox *box, wick_err *err) WICK_MUST_CHECK;
void wick_toolfiles_close(wick_toolfiles *f);
