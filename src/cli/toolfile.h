/* cli/toolfile.h - opens a file of tools with the environment of this process: what programs get of it, and ${NAME} in
 * texts. */
#pragma once
#include "toolbox/toolbox.h"

/* `text_or_path`: a file in the mcpServers form, or its text. lenient: servers that cannot be reached are left out. */
wick_status wick_toolfile_open(wick_toolbox **out, const char *text_or_path, bool lenient,
                               wick_err *err) WICK_MUST_CHECK;
