/* base/process.h - a program that we start and talk to over its three standard descriptors.
 *
 * It leads a process group of its own and gets no other descriptor of ours, the environment that it is given by list,
 * and no shell. Ending it ends the whole group: politely, then by force; what it started goes with it. Our ends of the
 * descriptors do not block and are not inherited. Its input is a socket, so that writing to a program that died is an
 * error and no signal.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/status.h"

typedef struct wick_process {
    pid_t pid;           /* 0: not started */
    int in, out, errors; /* our ends; -1: closed */
    int status;          /* of waitpid, once it ended */
    bool ended;
} wick_process;

/* argv ends with NULL; argv[0] with a slash is a path, else it is looked for in PATH of env. env ends with NULL and may
 * be NULL: nothing. cwd may be NULL. WICK_E_IO: there is no such program, or it cannot be started. `who` names it in
 * messages. */
wick_status wick_process_start(wick_process *p, const char *who, const char *const *argv, const char *const *env,
                               const char *cwd, wick_err *err) WICK_MUST_CHECK;
/* Writes what the input takes now: bytes written, 0 where it takes nothing now, -1 where it is closed. */
ssize_t wick_process_write(wick_process *p, const void *data, size_t n);
void wick_process_close_in(wick_process *p);
/* Has it ended? Waits up to ms for that. */
bool wick_process_wait(wick_process *p, unsigned ms);
/* Closes the input, waits, then ends the group, closes all. For one that was never started: nothing. */
void wick_process_end(wick_process *p, unsigned grace_ms);

/* Closes it, if it is open, and makes it -1. */
void wick_fd_close(int *fd);
