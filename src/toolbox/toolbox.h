/* toolbox/toolbox.h - tools that somebody configured, as a toolset for the tool loop: MCP servers, commands, built-in
 * ones.
 *
 * One JSON file says what there is:
 *
 *   {"mcpServers": {"files": {"command": "npx", "args": [...], "env": {...}, "cwd": "..."}, "web": {"url": "...",
 *    "headers": {...}}}, "commands": {"weather": {"description": "...", "parameters": {...}, "command": ["weather",
 *    "--json"], "safe": true}}, "builtin": {"calculate": true, "time": true, "read_file": {"folders": ["docs"]},
 *                "list_files": {"folders": ["docs"]}, "http_get": {"hosts": ["example.org"]}}}
 *
 *
 * "dispatch": {"url": "http://127.0.0.1:9000/call", "headers": {...}, "tools": [{"name", "description", "parameters",
 * "safe"}]}: each call is POSTed to the address as {"id", "name", "arguments"}; the body of the answer is the result.
 *
 * "mcpServers" (VS Code writes "servers") has the shape that Claude Desktop, Cursor and VS Code share. A server may
 * also say "disabled": true, "timeout": seconds, "safe": true or a list of tools that may run without being asked for,
 * "protocol". Nothing is on that the file does not name.
 *
 * A tool whose name is taken gets its server's name in front: files_read. MCP servers stay connected until the toolbox
 * is closed; one that breaks gives error results, and its next call connects again. */
#pragma once
#include "chat/tools.h"

typedef struct wick_toolbox wick_toolbox;

typedef struct wick_toolbox_opts {
    /* Variables of the environment that programs get, besides those that the file names: "NAME=value", ends with NULL.
     * The library does not read the environment. PATH is looked for here too. NULL: nothing. */
    const char *const *env;
    /* The value of ${NAME} and ${env:NAME} in the file's texts, or NULL. May itself be NULL: such texts are errors. */
    const char *(*variable)(void *ctx, const char *name);
    void *ctx;
    const char *folder; /* relative paths of the file are below it; NULL: the working folder */
    bool lenient;       /* a server that cannot be reached is left out with a warning instead of an error */
} wick_toolbox_opts;

/* `config`: the parsed file. Connects to its servers. Errors name the server or the key. */
wick_status wick_toolbox_open(wick_toolbox **out, const json_t *config, const wick_toolbox_opts *o,
                              wick_err *err) WICK_MUST_CHECK;
/* `text_or_path`: JSON, or the path of a file with it (then relative paths are below its folder). */
wick_status wick_toolbox_load(wick_toolbox **out, const char *text_or_path, const wick_toolbox_opts *o,
                              wick_err *err) WICK_MUST_CHECK;
void wick_toolbox_close(wick_toolbox *b); /* no call may be under way; NULL is fine */
const wick_toolset *wick_toolbox_tools(const wick_toolbox *b);

/* One row for each MCP server: {"name", "version", "server", "capabilities", "instructions", "tools": [...]}; a new
 * array. */
json_t *wick_toolbox_servers(wick_toolbox *b);
