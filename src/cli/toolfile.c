/* cli/toolfile.c - see toolfile.h. */
#include "cli/toolfile.h"
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* What a program needs to run as the user's own; nothing that may hold a secret. */
static bool is_passed(const char *entry)
{
    static const char *const names[] = {
        "PATH=", "HOME=",   "USER=", "LOGNAME=",         "SHELL=",         "LANG=",        "LC_",
        "TERM=", "TMPDIR=", "TZ=",   "XDG_RUNTIME_DIR=", "SSL_CERT_FILE=", "SSL_CERT_DIR="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0) return true;
    return false;
}

static const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

wick_status wick_toolfile_open(wick_toolbox **out, const char *text_or_path, bool lenient, wick_err *err)
{
    const char *env[64];
    size_t n = 0;
    for (char **e = environ; *e && n < sizeof env / sizeof *env - 1; e++)
        if (is_passed(*e)) env[n++] = *e;
    env[n] = NULL;
    const wick_toolbox_opts o = {.env = env, .variable = variable, .lenient = lenient};
    return wick_toolbox_load(out, text_or_path, &o, err);
}
