/* toolbox/toolbox_int.h - shared by the files of the toolbox: toolbox.c reads the file, mcp_tools.c servers, commands.c
 * programs, files.c, http_get.c and calculate.c the built-in tools. */
#pragma once
#include "base/str.h"
#include "toolbox/toolbox.h"

typedef struct wick_mcp_box wick_mcp_box; /* one MCP server */

struct wick_toolbox {
    wick_toolset *tools;
    wick_mcp_box **servers;
    size_t n_servers;
};

/* A text of the file with ${...} filled in; the caller's. */
wick_status wick_toolbox_text(const json_t *v, const char *where, const wick_toolbox_opts *o, char **out,
                              wick_err *err) WICK_MUST_CHECK;
/* An array of texts, ends with NULL; the caller frees it with wick_toolbox_texts_free. */
wick_status wick_toolbox_texts(const json_t *list, const char *where, const wick_toolbox_opts *o, char ***out,
                               wick_err *err) WICK_MUST_CHECK;
void wick_toolbox_texts_free(char **list);
/* o->env and the members of `more` (an object of texts, or NULL), which win; to be freed the same way. */
wick_status wick_toolbox_env(const json_t *more, const char *where, const wick_toolbox_opts *o, char ***out,
                             wick_err *err) WICK_MUST_CHECK;

/* Each adds what its part of the file names. */
wick_status wick_toolbox_add_server(wick_toolbox *b, const char *name, const json_t *c, const wick_toolbox_opts *o,
                                    wick_err *err) WICK_MUST_CHECK;
wick_status wick_toolbox_add_command(wick_toolbox *b, const char *name, const json_t *c, const wick_toolbox_opts *o,
                                     wick_err *err) WICK_MUST_CHECK;
wick_status wick_toolbox_add_simple(wick_toolbox *b, const char *name,
                                    wick_err *err) WICK_MUST_CHECK; /* calculate, time */
wick_status wick_toolbox_add_files(wick_toolbox *b, const char *name, const json_t *c, const wick_toolbox_opts *o,
                                   wick_err *err) WICK_MUST_CHECK; /* read_file, list_files */
wick_status wick_toolbox_add_fetch(wick_toolbox *b, const json_t *c, wick_err *err) WICK_MUST_CHECK; /* http_get */

wick_status wick_toolbox_add_dispatch(wick_toolbox *b, const json_t *c, const wick_toolbox_opts *o,
                                      wick_err *err) WICK_MUST_CHECK; /* tools behind one address */

void wick_mcp_box_close(wick_mcp_box *m);
json_t *wick_mcp_box_row(wick_mcp_box *m);

/* The value of an expression: + - * / % ^, parentheses, and functions of one or two numbers. */
wick_status wick_calculate(const char *text, double *out, wick_err *err) WICK_MUST_CHECK;
/* Opens `path` below one of the folders (ends with NULL), links resolved. *fd is the caller's. */
wick_status wick_open_below(char *const *folders, const char *path, int *fd, wick_err *err) WICK_MUST_CHECK;
/* Is this address one that only this machine or its own network reaches? sa: a struct sockaddr. */
bool wick_address_is_private(const void *sa);
