/* cli/cmd_generate.c - `wick generate`: raw completion of a text, no chat template. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"

static wick_status prompt_ids(wick_engine *e, const wick_args *a, int32_t **ids, size_t *n, wick_err *err)
{
    char *text = NULL;
    size_t len = 0;
    if (a->tokens) return wick_parse_ids(a->tokens, "tokens", ids, n, err);
    if (a->file && strcmp(a->file, "-") != 0) {
        WICK_TRY(wick_file_read(a->file, 64u << 20, &text, &len, err));
    } else if (a->n_operands > 1 && strcmp(a->operand[1], "-") != 0) {
        return wick_session_encode(e, a->operand[1], strlen(a->operand[1]), a->no_special ? WICK_ENC_NO_SPECIAL : 0,
                                   ids, n, err);
    } else {
        WICK_TRY(wick_read_stdin(&text, &len, err));
    }
    wick_status st = wick_session_encode(e, text, len, a->no_special ? WICK_ENC_NO_SPECIAL : 0, ids, n, err);
    wick_free(text);
    return st;
}

static wick_status run_generate(const wick_args *a, wick_err *err)
{
    wick_engine *e = NULL;
    int32_t *ids = NULL;
    size_t n = 0;
    wick_reply r;
    char figures[512];
    wick_status st = WICK_OK;
    wick_reply_init(&r);
    WICK_TRY_GOTO(wick_session_open(&e, a, false, err));
    WICK_TRY_GOTO(prompt_ids(e, a, &ids, &n, err));
    if (n == 0) {
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "prompt", "the prompt is empty");
        goto done;
    }
    WICK_TRY_GOTO(wick_session_generate(e, a, ids, n, NULL, !a->json && !a->no_stream, &r, err));
    if (a->json) {
        WICK_TRY_GOTO(wick_print_json(wick_reply_json(e, &r), err));
    } else {
        if (a->no_stream) wick_term_text(wick_buf_str(&r.text), r.text.n);
        wick_term_text("\n", 1);
    }
    wick_reply_figures(e, &r.usage, figures, sizeof figures);
    wick_verbose("%s", figures);
    if (r.finish == WICK_FINISH_CANCELLED) st = WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
done:
    wick_free(ids);
    wick_reply_release(&r);
    wick_engine_close(e);
    return st;
}

static const wick_opt opts[] = {
    {"file", 'f', WICK_OPT_STR, "FILE", "read the prompt from a file (- or nothing: standard input)",
     offsetof(wick_args, file), 0, 0, NULL, NULL, 0},
    {"tokens", 0, WICK_OPT_STR, "IDS", "the prompt as ids: 1,17,203", offsetof(wick_args, tokens), 0, 0, NULL, NULL, 0},
    {"no-special", 0, WICK_OPT_FLAG, NULL, "do not add the begin token", offsetof(wick_args, no_special), 0, 0, NULL,
     NULL, 0},
    {"no-stream", 0, WICK_OPT_FLAG, NULL, "print the text when it is complete", offsetof(wick_args, no_stream), 0, 0,
     NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_generate = {
    .name = "generate",
    .operands = "MODEL [PROMPT]",
    .min_operands = 1,
    .max_operands = 2,
    .summary = "continue a text (no chat template)",
    .about = "The prompt is the operand, --file, --tokens, or standard input. With --json prints one object with text, "
             "tokens,\n"
             "finish_reason, usage and timings.",
    .examples = "wick generate MODEL \"Once upon a time\" -n 100 --temp 0\tgreedy\ncat notes.txt | wick generate MODEL "
                "--json\tfrom a pipe",
    .group = {&group, &wick_opts_form, &wick_opts_sampling, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_generate,
};
