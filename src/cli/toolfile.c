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

typedef struct passed {
    const char *env[64];
    wick_toolbox_opts opts;
} passed;

static void pass(passed *p, bool lenient)
{
    size_t n = 0;
    for (char **e = environ; *e && n < sizeof p->env / sizeof *p->env - 1; e++)
        if (is_passed(*e)) p->env[n++] = *e;
    p->env[n] = NULL;
    p->opts = (wick_toolbox_opts){.env = p->env, .variable = variable, .lenient = lenient};
}

wick_status wick_toolfile_open(wick_toolbox **out, const char *text_or_path, bool lenient, wick_err *err)
{
    passed p;
    pass(&p, lenient);
    return wick_toolbox_load(out, text_or_path, &p.opts, err);
}

wick_status wick_toolfile_open_json(wick_toolbox **out, const json_t *config, const char *folder, bool lenient,
                                    wick_err *err)
{
    passed p;
    pass(&p, lenient);
    p.opts.folder = folder;
    return wick_toolbox_open(out, config, &p.opts, err);
}

wick_status wick_toolfiles_add(wick_toolfiles *f, wick_toolbox *box, wick_err *err)
{
    f->box[f->n++] = box;
    if (!f->tools) WICK_TRY(wick_toolset_new(&f->tools, err));
    return wick_toolset_borrow(f->tools, wick_toolbox_tools(box), err);
}

void wick_toolfiles_close(wick_toolfiles *f)
{
    wick_toolset_free(f->tools);
    for (size_t i = 0; i < f->n; i++) wick_toolbox_close(f->box[i]);
    *f = (wick_toolfiles){0};
}
