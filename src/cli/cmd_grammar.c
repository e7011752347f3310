/* cli/cmd_grammar.c - checks a grammar and a text; runs files of grammars with tests against a vocabulary, and times
 * the masks. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sys.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"
#include "grammar/grammar.h"
#include "model/vocab.h"

enum { MAX_TEXT = 64 << 20 };

/* ---- vocabulary ---- */
typedef struct vocabulary {
    wick_tokenizer *t;
    wick_gvocab *v;
    uint64_t *bits;
} vocabulary;

static void vocabulary_release(vocabulary *x)
{
    wick_free(x->bits);
    wick_gvocab_free(x->v);
    wick_tokenizer_free(x->t);
}

static wick_status vocabulary_open(vocabulary *x, const wick_args *a, wick_err *err)
{
    wick_discover_opts d;
    char *path;
    wick_discover_opts_from(&d, a);
    WICK_TRY(wick_resolve_model(&path, a->tokenizer, &d, err));
    wick_status st = wick_tokenizer_open_path(&x->t, path, NULL, err);
    wick_free(path);
    WICK_TRY(st);
    int32_t end = wick_tokenizer_eos(x->t);
    WICK_TRY(wick_gvocab_new(&x->v, x->t, &end, end >= 0, err));
    x->bits = wick_alloc_zero((wick_gvocab_size(x->v) + 63) / 64 + 1, sizeof *x->bits);
    return x->bits ? WICK_OK : wick_err_oom(err, "a mask", 0, 0);
}

/* ---- the batch ---- */
/* The wall's, or what this thread computed, which a busy machine does not change. */
static uint64_t now_ns(const wick_args *a)
{
    return a->cpu_time ? wick_time_thread_ns() : wick_time_ns();
}

static double since_us(const wick_args *a, uint64_t from)
{
    return (double)(now_ns(a) - from) / 1000.0;
}

/* The tokens of a text one after the other, each looked up in the mask before it. */
static wick_status follow(vocabulary *x, const wick_args *a, wick_gmatcher *m, const int32_t *ids, size_t n_ids,
                          json_t *us, bool *all, size_t *at, wick_err *err)
{
    wick_buf piece = WICK_BUF_INIT;
    wick_status st = WICK_OK;
    *at = 0;
    *all = false;
    for (size_t i = 0; i < n_ids; i++) {
        uint64_t from = now_ns(a);
        bool ok;
        WICK_TRY_GOTO(wick_gmatcher_mask(m, x->bits, err));
        json_array_append_new(us, json_real(since_us(a, from)));
        wick_buf_reset(&piece);
        wick_tokenizer_bytes(x->t, ids[i], &piece);
        if (!(x->bits[ids[i] / 64] >> (ids[i] % 64) & 1)) {
            size_t more = 0; /* how far into the token it would have gone */
            WICK_TRY_GOTO(wick_gmatcher_accept_bytes(m, piece.data ? piece.data : "", piece.n, &more, err));
            *at += more < piece.n ? more : 0;
            goto done;
        }
        WICK_TRY_GOTO(wick_gmatcher_accept(m, ids[i], &ok, err));
        if (!ok) goto done;
        *at += piece.n;
    }
    *all = wick_gmatcher_may_end(m);
done:
    wick_buf_release(&piece);
    return st;
}

static json_t *run_test(vocabulary *x, const wick_args *a, wick_grammar *g, const json_t *test)
{
    json_t *o = json_object(), *us = json_array(), *text = json_object_get(test, "text");
    wick_gmatcher *m = NULL;
    wick_err err = {0};
    int32_t *ids = NULL;
    size_t n_ids = 0, at = 0, n = json_string_length(text);
    bool accepted = false;
    wick_status st = WICK_OK;
    if (!json_is_string(text))
        st = WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "tests", "tests: expected {\"text\": \"...\"}");
    if (st == WICK_OK)
        st = wick_tokenizer_encode(x->t, json_string_value(text), n, WICK_ENC_NO_SPECIAL | WICK_ENC_PLAIN_TEXT, &ids,
                                   &n_ids, &err);
    if (st == WICK_OK) st = wick_gmatcher_new(&m, g, x->v, &err);
    if (st == WICK_OK) st = follow(x, a, m, ids, n_ids, us, &accepted, &at, &err);
    if (st != WICK_OK) accepted = false;
    json_object_set_new(o, "accepted", json_boolean(accepted));
    json_object_set_new(o, "stopped_at", accepted ? json_null() : json_integer((json_int_t)(at > n ? n : at)));
    json_object_set_new(o, "mask_us", us);
    if (st != WICK_OK) json_object_set_new(o, "error", wick_json_text(err.message, strlen(err.message)));
    wick_gmatcher_free(m);
    wick_free(ids);
    return o;
}

static wick_status compile_line(const json_t *line, const wick_args *a, wick_grammar **g, double *us, wick_err *err)
{
    const json_t *grammar = json_object_get(line, "grammar");
    const char *type = json_string_value(json_object_get(line, "type"));
    wick_grammar_kind kind;
    wick_grammar_options o = WICK_GRAMMAR_OPTIONS_INIT;
    char *dumped = NULL;
    o.schema_order = a->schema_order;
    o.lenient = a->lenient;
    if (!type || !wick_grammar_kind_of(type, &kind))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "type",
                         "type: expected \"json_schema\", \"regex\", \"gbnf\" or \"lark\"");
    if (!grammar) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "grammar", "grammar: missing");
    if (!json_is_string(grammar) || kind == WICK_GRAMMAR_CHOICES) {
        dumped = json_dumps(grammar, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!dumped) return wick_err_oom(err, "the grammar", 0, 0);
    }
    const char *text = dumped ? dumped : json_string_value(grammar);
    uint64_t from = now_ns(a);
    wick_status st =
        wick_grammar_compile(g, kind, text, dumped ? strlen(dumped) : json_string_length(grammar), &o, err);
    *us = since_us(a, from);
    wick_free(dumped);
    return st;
}

static wick_status run_line(vocabulary *x, const wick_args *a, const char *text, size_t n, size_t number, wick_err *err)
{
    json_t *line = NULL, *o, *tests = json_array(), *test;
    wick_grammar *g = NULL;
    wick_err why = {0};
    double us = 0;
    size_t i;
    char where[64];
    snprintf(where, sizeof where, "line %zu", number);
    wick_status st = wick_json_parse(text, n, where, &line, &why);
    if (st == WICK_OK) st = compile_line(line, a, &g, &us, &why);
    if (st == WICK_OK)
        json_array_foreach(json_object_get(line, "tests"), i, test)
            json_array_append_new(tests, run_test(x, a, g, test));
    o = json_object();
    json_t *id = json_object_get(line, "id");
    json_object_set(o, "id", id ? id : json_null());
    json_object_set_new(o, "error", st == WICK_OK ? json_null() : wick_json_text(why.message, strlen(why.message)));
    json_object_set_new(o, "compile_us", json_real(us));
    if (g && *wick_grammar_warnings(g))
        json_object_set_new(o, "warnings", wick_json_text(wick_grammar_warnings(g), strlen(wick_grammar_warnings(g))));
    json_object_set_new(o, "tests", tests);
    wick_grammar_unref(g);
    json_decref(line);
    return wick_print_json(o, err);
}

static wick_status run_batch(const wick_args *a, wick_err *err)
{
    vocabulary x = {0};
    char *text = NULL;
    size_t n = 0, number = 1;
    wick_status st = WICK_OK;
    if (!a->tokenizer)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "--tokenizer", "--batch needs --tokenizer MODEL (or a GGUF)");
    WICK_TRY_GOTO(vocabulary_open(&x, a, err));
    if (strcmp(a->batch, "-") == 0)
        WICK_TRY_GOTO(wick_read_stdin(&text, &n, err));
    else
        WICK_TRY_GOTO(wick_file_read(a->batch, (size_t)1 << 30, &text, &n, err));
    for (size_t at = 0; at < n; number++) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - (text + at)) : n - at, blank = 0;
        while (blank < len && strchr(" \t\r", text[at + blank])) blank++;
        if (blank < len) WICK_TRY_GOTO(run_line(&x, a, text + at, len, number, err));
        at += len + 1;
    }
done:
    wick_free(text);
    vocabulary_release(&x);
    return st;
}

/* ---- one grammar, one text ---- */
static wick_status open_one(const wick_args *a, wick_grammar **g, wick_err *err)
{
    const struct {
        const char *given;
        wick_grammar_kind kind;
        bool file;
    } from[] = {{a->schema, WICK_GRAMMAR_JSON_SCHEMA, true},
                {a->regex, WICK_GRAMMAR_REGEX, false},
                {a->gbnf, WICK_GRAMMAR_GBNF, true},
                {a->lark, WICK_GRAMMAR_LARK, true}};
    wick_grammar_options o = WICK_GRAMMAR_OPTIONS_INIT;
    int which = -1;
    o.schema_order = a->schema_order;
    o.lenient = a->lenient;
    for (int i = 0; i < 4; i++) {
        if (!from[i].given) continue;
        if (which >= 0)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "--schema",
                             "give one of --schema, --regex, --gbnf and --lark, not several");
        which = i;
    }
    if (which < 0)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "--schema",
                         "nothing to check: give --schema FILE, --regex R, --gbnf FILE, --lark FILE or --batch FILE");
    if (!from[which].file)
        return wick_grammar_compile(g, from[which].kind, from[which].given, strlen(from[which].given), &o, err);
    char *text = NULL;
    size_t n = 0;
    WICK_TRY(wick_file_read(from[which].given, MAX_TEXT, &text, &n, err));
    wick_status st = wick_grammar_compile(g, from[which].kind, text, n, &o, err);
    wick_free(text);
    return st;
}

/* The bytes that could come next, as text: "a-z", "\"". */
static wick_status what_next(wick_gmatcher *m, wick_buf *out, wick_err *err)
{
    int from = -1;
    for (int b = 0; b <= 256; b++) {
        size_t n = 0;
        char c = (char)b, shown[16];
        if (b < 256) {
            WICK_TRY(wick_gmatcher_accept_bytes(m, &c, 1, &n, err));
            wick_gmatcher_rollback(m, 1);
        }
        if (n && from < 0) from = b;
        if (n || from < 0) continue;
        if (out->n) wick_buf_putc(out, ' ');
        for (int k = 0; k < 2; k++) {
            c = (char)(k ? b - 1 : from);
            if (k && from == b - 1) break;
            if (k) wick_buf_putc(out, '-');
            wick_escape_line(shown, sizeof shown, &c, 1);
            wick_buf_puts(out, c == ' ' ? "space" : shown);
        }
        from = -1;
    }
    if (wick_gmatcher_may_end(m)) wick_buf_puts(out, out->n ? " or the end" : "the end");
    return WICK_OK;
}

static wick_status check_text(const wick_args *a, wick_grammar *g, wick_err *err)
{
    wick_gmatcher *m = NULL;
    wick_buf next = WICK_BUF_INIT;
    size_t n = a->text ? strlen(a->text) : 0, at = 0;
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(wick_gmatcher_new(&m, g, NULL, err));
    WICK_TRY_GOTO(wick_gmatcher_accept_bytes(m, a->text ? a->text : "", n, &at, err));
    bool accepted = a->text && at == n && wick_gmatcher_may_end(m);
    WICK_TRY_GOTO(what_next(m, &next, err));
    const char *warnings = wick_grammar_warnings(g);
    if (a->json) {
        json_t *o = json_object();
        json_object_set_new(o, "accepted", a->text ? json_boolean(accepted) : json_null());
        json_object_set_new(o, "stopped_at", accepted || !a->text ? json_null() : json_integer((json_int_t)at));
        json_object_set_new(o, "next", wick_json_text(wick_buf_str(&next), next.n));
        json_object_set_new(o, "warnings", wick_json_text(warnings, strlen(warnings)));
        WICK_TRY_GOTO(wick_print_json(o, err));
        goto done;
    }
    if (*warnings) wick_notice("%s", warnings);
    if (!a->text)
        printf("the grammar is supported; a text begins with: %s\n", wick_buf_str(&next));
    else if (accepted)
        printf("accepted\n");
    else
        printf("not accepted: stops at byte %zu; could come: %s\n", at, wick_buf_str(&next));
done:
    wick_buf_release(&next);
    wick_gmatcher_free(m);
    return st;
}

static wick_status run_grammar(const wick_args *a, wick_err *err)
{
    wick_grammar *g = NULL;
    if (a->batch) return run_batch(a, err);
    WICK_TRY(open_one(a, &g, err));
    wick_status st = check_text(a, g, err);
    wick_grammar_unref(g);
    return st;
}

#define AT(member) offsetof(wick_args, member)
static const wick_opt grammar_opts[] = {
    {"schema", 0, WICK_OPT_STR, "FILE", "a JSON Schema", AT(schema), 0, 0, NULL, NULL, 0},
    {"regex", 0, WICK_OPT_STR, "R", "a regular expression that the whole text matches", AT(regex), 0, 0, NULL, NULL, 0},
    {"gbnf", 0, WICK_OPT_STR, "FILE", "a GBNF grammar, as llama.cpp has it", AT(gbnf), 0, 0, NULL, NULL, 0},
    {"lark", 0, WICK_OPT_STR, "FILE", "a Lark grammar", AT(lark), 0, 0, NULL, NULL, 0},
    {"text", 0, WICK_OPT_STR, "T", "the text to check (without: only the grammar is)", AT(text), 0, 0, NULL, NULL, 0},
    {"tokenizer", 0, WICK_OPT_STR, "MODEL", "for --batch: a model, a tokenizer's folder, or a GGUF with a vocabulary",
     AT(tokenizer), 0, 0, NULL, NULL, 0},
    {"batch", 0, WICK_OPT_STR, "FILE",
     "lines {\"id\", \"type\", \"grammar\", \"tests\": [{\"text\"}]}; one JSON line out for each", AT(batch), 0, 0,
     NULL, NULL, 0},
    {"schema-order", 0, WICK_OPT_FLAG, NULL, "properties come in the order of the schema only", AT(schema_order), 0, 0,
     NULL, NULL, 0},
    {"lenient", 0, WICK_OPT_FLAG, NULL, "leave out what cannot be enforced, with a warning, instead of refusing it",
     AT(lenient), 0, 0, NULL, NULL, 0},
    {"cpu-time", 0, WICK_OPT_FLAG, NULL, "times are those that the thread computed, not the wall's, for busy machines",
     AT(cpu_time), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group grammar_group = {"Options", grammar_opts, sizeof grammar_opts / sizeof *grammar_opts};

const wick_command wick_cmd_grammar = {
    .name = "grammar",
    .operands = "",
    .min_operands = 0,
    .max_operands = 0,
    .summary = "check a grammar or a JSON Schema, and texts against it",
    .about =
        "Says whether a grammar is supported, and whether a text fulfils it or where it stops and what could come.\n"
        "With --batch, tokens of each test are looked up in the masks that a model would be given; each output line "
        "is\n"
        "{\"id\", \"error\", \"compile_us\", \"tests\": [{\"accepted\", \"stopped_at\", \"mask_us\"}]}. See "
        "docs/GRAMMAR.md.",
    .examples =
        "wick grammar --regex '[0-9]{3}-[0-9]{4}' --text 555-0199\taccepted\nwick grammar --schema person.json "
        "--text '{\"name\": 1}' --json\twhere it stops\nwick grammar --tokenizer model.gguf --batch tests.jsonl "
        "--json\ta file of grammars with tests",
    .group = {&grammar_group, &wick_opts_common},
    .run = run_grammar,
};
