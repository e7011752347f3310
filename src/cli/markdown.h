/* cli/markdown.h - model text on a terminal with light Markdown: bold, code, headings, bullets. Elsewhere the text
 * itself.
 *
 * Works on a stream: a marker that may go on in the next piece is held back until it is decided. The text goes through
 * wick_term_text, so no escape byte of the model reaches the terminal; the only escapes are the styles of this file.
 * One process-wide state, main thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

void wick_markdown_init(bool on); /* off: bytes pass as they are */
void wick_markdown_text(const char *p, size_t n);
void wick_markdown_end(void); /* of an answer: what is held back comes out, styles end */
