/* cli/tag.h - the settings of an Ollama tag, applied where no option says otherwise: system text, parameters,
 * template. */
#pragma once
#include "chat/chat.h"
#include "cli/args.h"
#include "hub/ollama.h"

typedef struct wick_tag {
    wick_ollama_settings settings;
    char *path;        /* of the weights; NULL: the model is no tag */
    const char **stop; /* grown list of live->stop, owned; NULL: not changed */
} wick_tag;

/* Looks whether a->operand[0] is a tag, and fills what was not given. The strings are the tag's: it lives as long as
 * `a`. A LoRA adapter, which Ollama would add, is an error. */
wick_status wick_tag_open(wick_tag *t, wick_args *a, wick_err *err) WICK_MUST_CHECK;
/* Where the file has no template of its own: the known one whose control tokens the tag's template (in Go's syntax)
 * uses, else an error. */
wick_status wick_tag_template(const wick_tag *t, wick_chat **chat, wick_engine *e, wick_err *err) WICK_MUST_CHECK;
void wick_tag_release(wick_tag *t, wick_args *a);
