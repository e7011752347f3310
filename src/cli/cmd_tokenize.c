/* cli/cmd_tokenize.c - `wick tokenize` and `wick detokenize`: a vocabulary is enough, no weights are read. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"
#include "model/vocab.h"

static wick_status open_tokenizer(wick_tokenizer **t, const wick_args *a, wick_err *err)
{
    wick_discover_opts d;
    char *path;
    wick_discover_opts_from(&d, a);
    WICK_TRY(wick_resolve_model(&path, a->operand[0], &d, err));
    wick_status st = wick_tokenizer_open_path(t, path, a->pre, err);
    wick_free(path);
    return st;
}

/* The text: the operand, --file, or standard input. */
static wick_status input_text(const wick_args *a, char **text, size_t *n, wick_err *err)
{
    if (a->file && strcmp(a->file, "-") != 0) return wick_file_read(a->file, (size_t)1 << 30, text, n, err);
    if (a->n_operands > 1 && strcmp(a->operand[1], "-") != 0) {
        *text = wick_strdup(a->operand[1]);
        *n = strlen(a->operand[1]);
        return *text ? WICK_OK : wick_err_oom(err, "text", 0, 0);
    }
    return wick_read_stdin(text, n, err);
}

static wick_status print_ids(const wick_args *a, const wick_tokenizer *t, const int32_t *ids, size_t n, wick_err *err)
{
    if (a->json) {
        json_t *o = json_object(), *list = json_array();
        for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer(ids[i]));
        json_object_set_new(o, "ids", list);
        return wick_print_json(o, err);
    }
    for (size_t i = 0; i < n; i++) {
        wick_buf b = WICK_BUF_INIT;
        char shown[256];
        wick_tokenizer_bytes(t, ids[i], &b);
        wick_escape_line(shown, sizeof shown, wick_buf_str(&b), b.n);
        printf("%7d  %s\n", ids[i], shown);
        wick_buf_release(&b);
    }
    return WICK_OK;
}

static wick_status run_tokenize(const wick_args *a, wick_err *err)
{
    wick_tokenizer *t = NULL;
    char *text = NULL;
    int32_t *ids = NULL;
    size_t n = 0, n_ids = 0;
    unsigned flags = (a->no_special ? WICK_ENC_NO_SPECIAL : 0u) | (a->plain_text ? WICK_ENC_PLAIN_TEXT : 0u);
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(open_tokenizer(&t, a, err));
    WICK_TRY_GOTO(input_text(a, &text, &n, err));
    WICK_TRY_GOTO(wick_tokenizer_encode(t, text, n, flags, &ids, &n_ids, err));
    WICK_TRY_GOTO(print_ids(a, t, ids, n_ids, err));
done:
    wick_free(ids);
    wick_free(text);
    wick_tokenizer_free(t);
    return st;
}

static const wick_opt tok_opts[] = {
    {"file", 'f', WICK_OPT_STR, "FILE", "read the text from a file (- or nothing: standard input)",
     offsetof(wick_args, file), 0, 0, NULL, NULL, 0},
    {"no-special", 0, WICK_OPT_FLAG, NULL, "do not add begin and end tokens", offsetof(wick_args, no_special), 0, 0,
     NULL, NULL, 0},
    {"plain", 0, WICK_OPT_FLAG, NULL, "special tokens in the text are ordinary text", offsetof(wick_args, plain_text),
     0, 0, NULL, NULL, 0},
    {"pre", 0, WICK_OPT_STR, "NAME", "GGUF: cut words as tokenizer.ggml.pre NAME does, whatever the file says",
     offsetof(wick_args, pre), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group tok_group = {"Options", tok_opts, sizeof tok_opts / sizeof *tok_opts};

const wick_command wick_cmd_tokenize = {
    .name = "tokenize",
    .operands = "MODEL [TEXT]",
    .min_operands = 1,
    .max_operands = 2,
    .summary = "text to token ids",
    .about = "MODEL may be a model folder, a tokenizer.json, a tokenizer.model, or a GGUF, also one that holds a "
             "vocabulary only.\n"
             "With --json prints {\"ids\": [...]}.",
    .examples = "wick tokenize models/wick-shell \"list all files\" --json\twith the ids as JSON\nwick tokenize "
                "model.gguf -f notes.txt\ta file",
    .group = {&tok_group, &wick_opts_common},
    .run = run_tokenize,
};

static wick_status run_detokenize(const wick_args *a, wick_err *err)
{
    wick_tokenizer *t = NULL;
    int32_t *ids = NULL;
    size_t n = 0, n_in = 0;
    char *in = NULL;
    wick_buf out = WICK_BUF_INIT;
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(open_tokenizer(&t, a, err));
    if (!a->tokens && a->n_operands < 2) WICK_TRY_GOTO(wick_read_stdin(&in, &n_in, err));
    WICK_TRY_GOTO(wick_parse_ids(in ? in : a->tokens ? a->tokens : a->operand[1], "tokens", &ids, &n, err));
    WICK_TRY_GOTO(wick_tokenizer_decode(t, ids, n, a->no_special, &out, err));
    if (a->json) {
        json_t *o = json_object();
        json_object_set_new(o, "text", wick_json_text(out.data, out.n));
        WICK_TRY_GOTO(wick_print_json(o, err));
    } else {
        wick_term_text(wick_buf_str(&out), out.n);
        wick_term_text("\n", 1);
    }
done:
    wick_buf_release(&out);
    wick_free(in);
    wick_free(ids);
    wick_tokenizer_free(t);
    return st;
}

static const wick_opt detok_opts[] = {
    {"tokens", 0, WICK_OPT_STR, "IDS", "ids as 1,17,203 (or as an operand, or on standard input)",
     offsetof(wick_args, tokens), 0, 0, NULL, NULL, 0},
    {"no-special", 0, WICK_OPT_FLAG, NULL, "leave out control tokens", offsetof(wick_args, no_special), 0, 0, NULL,
     NULL, 0},
    {"pre", 0, WICK_OPT_STR, "NAME", "GGUF: cut words as tokenizer.ggml.pre NAME does, whatever the file says",
     offsetof(wick_args, pre), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group detok_group = {"Options", detok_opts, sizeof detok_opts / sizeof *detok_opts};

const wick_command wick_cmd_detokenize = {
    .name = "detokenize",
    .operands = "MODEL [IDS]",
    .min_operands = 1,
    .max_operands = 2,
    .summary = "token ids to text",
    .examples = "wick detokenize models/wick-shell 12,47,3 --json\t{\"text\": \"...\"}",
    .group = {&detok_group, &wick_opts_common},
    .run = run_detokenize,
};
