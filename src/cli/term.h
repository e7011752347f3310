/* cli/term.h - the terminal: notices, progress bars, Ctrl-C, safe printing of text that comes from models and files.
 * One process-wide state; main thread only, but for the flag that Ctrl-C sets. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "backend/backend.h"
#include "cli/args.h"

void wick_term_init(const wick_args *a);
void wick_term_done(void);
void wick_notice(const char *fmt, ...) WICK_PRINTF(1, 2);  /* standard error, unless --quiet */
void wick_verbose(const char *fmt, ...) WICK_PRINTF(1, 2); /* standard error, with --verbose only */
/* A bar on standard error where that is a terminal; nothing else. */
wick_progress wick_term_progress(void);
/* The same bar for bytes of which `had` were there before it began: with the rate and the time that is left. done ==
 * total ends it. */
void wick_term_bytes(const char *what, uint64_t done, uint64_t total, uint64_t had);
/* Model text to standard output: escape sequences and other control bytes but \n and \t are made visible when it is a
 * terminal, and left alone in a pipe. */
void wick_term_text(const char *p, size_t n);
/* Reasoning to standard error, in the same way and dimmed on a terminal; nothing with --quiet. The end of it: a blank
 * line before the answer. */
void wick_term_thought(const char *p, size_t n);
void wick_term_thought_end(void);

/* True where standard output is a terminal that may have styles: no --plain, no NO_COLOR, TERM is not dumb. */
bool wick_term_styled(const wick_args *a);
bool wick_interrupted(void); /* Ctrl-C since the last clear */
void wick_interrupt_clear(void);
bool wick_stdin_is_tty(void);
/* The exit code of a command that ended well; without a call it is 0. */
void wick_exit_with(int code);
int wick_exit_code(void);
/* Around reads of standard input: between true and false Ctrl-C ends a blocking read. */
void wick_stdin_reading(bool on);
