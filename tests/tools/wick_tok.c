/* tests/tools/wick_tok.c - the tokenizer as a filter, for the Python tests.
 *
 *   wick_tok encode FILE|FOLDER [no-special] [plain]   texts on stdin, each ended by NUL -> one JSON array per line
 *   wick_tok decode FILE|FOLDER [skip-special]         one JSON array of ids per line -> JSON string, whole and streamed
 *   wick_tok time FILE|FOLDER [ROUNDS [no-special]]    loads, then encodes all of stdin at once and goes back; medians as JSON
 *   wick_tok try FILE... < text                        loads each file, encodes the text and goes back: a line "status ms message" each
 * A failure is one line on stderr and the status as exit code.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/alloc.h"
#include "base/file.h"
#include "model/vocab.h"
#include "text/tokenizer.h"

static int fail(const wick_err *e)
{
    fprintf(stderr, "wick_tok: %s: %s\n", wick_status_name(e->kind), e->message);
    return (int)e->kind;
}

static size_t strings(const json_t *list, wick_str **out)
{
    size_t i, n = json_array_size(list);
    const json_t *v;
    *out = calloc(n + 1, sizeof **out);
    json_array_foreach(list, i, v)(*out)[i] = (wick_str){json_string_value(v), json_string_length(v)};
    return n;
}

static int number(const json_t *root, const char *key)
{
    const json_t *v = json_object_get(root, key);
    return v ? (int)json_integer_value(v) : -1;
}

/* A GGUF vocabulary as JSON: {"model", "pre", "tokens", "scores", "types", "merges", "bos", "add_bos", ...} */
static wick_status load_vocab(wick_tokenizer **t, const char *data, size_t n, const char *path, wick_err *err)
{
    json_t *root = json_loadb(data, n, JSON_ALLOW_NUL, NULL);
    wick_str *tokens, *merges;
    const json_t *types = json_object_get(root, "types"), *scores = json_object_get(root, "scores");
    wick_vocab_source v = {.model = json_string_value(json_object_get(root, "model")),
                           .pre = json_string_value(json_object_get(root, "pre"))};
    v.n = (uint32_t)strings(json_object_get(root, "tokens"), &tokens);
    v.n_merges = (uint32_t)strings(json_object_get(root, "merges"), &merges);
    float *f = calloc(v.n + 1u, sizeof *f);
    int32_t *k = calloc(v.n + 1u, sizeof *k);
    for (uint32_t i = 0; i < v.n; i++) {
        f[i] = (float)json_number_value(json_array_get(scores, i));
        k[i] = (int32_t)json_integer_value(json_array_get(types, i));
    }
    v.tokens = tokens;
    v.merges = merges;
    v.scores = scores ? f : NULL;
    v.types = types ? k : NULL;
    v.bos = number(root, "bos");
    v.eos = number(root, "eos");
    v.unk = number(root, "unk");
    v.pad = -1;
    v.add_bos = number(root, "add_bos");
    v.add_eos = number(root, "add_eos");
    v.add_space_prefix = number(root, "add_space_prefix");
    wick_status st = wick_tokenizer_from_vocab(t, &v, path, err);
    free(tokens);
    free(merges);
    free(f);
    free(k);
    json_decref(root);
    return st;
}

static wick_status load(wick_tokenizer **t, const char *path, wick_err *err)
{
    char *data = NULL;
    size_t n = 0;
    if (wick_ends_with(path, ".gguf")) return wick_tokenizer_open_path(t, path, NULL, err);
    if (wick_path_is_dir(path)) return wick_tokenizer_open_dir(t, path, err);
    WICK_TRY(wick_file_read(path, 1u << 30, &data, &n, err));
    wick_status st = wick_ends_with(path, ".vocab")  ? load_vocab(t, data, n, path, err)
                     : wick_ends_with(path, ".json") ? wick_tokenizer_from_json(t, data, n, path, err)
                                                     : wick_tokenizer_from_spm(t, data, n, path, err);
    wick_free(data);
    return st;
}

static void print_ids(const int32_t *ids, size_t n)
{
    putchar('[');
    for (size_t i = 0; i < n; i++) printf(i ? ",%d" : "%d", ids[i]);
    puts("]");
}

static int encode(const wick_tokenizer *t, const char *in, size_t n, unsigned flags)
{
    wick_err err = {0};
    for (size_t at = 0; at < n;) {
        const char *end = memchr(in + at, 0, n - at);
        size_t len = end ? (size_t)(end - in) - at : n - at;
        int32_t *ids = NULL;
        size_t n_ids = 0;
        if (wick_tokenizer_encode(t, in + at, len, flags, &ids, &n_ids, &err) != WICK_OK) return fail(&err);
        print_ids(ids, n_ids);
        wick_free(ids);
        at += len + 1;
    }
    return 0;
}

static void print_text(const wick_buf *b)
{
    json_t *s = json_stringn(b->data ? b->data : "", b->n);
    char *text = s ? json_dumps(s, JSON_ENCODE_ANY) : NULL;
    fputs(text ? text : "null", stdout);
    free(text);
    json_decref(s);
}

static int decode_line(const wick_tokenizer *t, json_t *list, bool skip)
{
    wick_err err = {0};
    wick_buf whole = WICK_BUF_INIT, streamed = WICK_BUF_INIT;
    wick_detok *d = NULL;
    int32_t ids[65536];
    size_t n = json_array_size(list);
    if (n > 65536) n = 65536;
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    if (wick_tokenizer_decode(t, ids, n, skip, &whole, &err) != WICK_OK || wick_detok_new(&d, t, skip, &err) != WICK_OK)
        return fail(&err);
    bool split = false;
    for (size_t i = 0; i < n; i++) {
        if (wick_detok_push(d, ids[i], &streamed, &err) != WICK_OK) return fail(&err);
        if (streamed.n && !wick_utf8_valid(streamed.data, streamed.n)) split = true;
    }
    wick_detok_flush(d, &streamed);
    wick_detok_free(d);
    print_text(&whole);
    bool same = whole.n == streamed.n && (!whole.n || memcmp(whole.data, streamed.data, whole.n) == 0);
    printf("\t%s\n", split ? "split" : same ? "same" : "different");
    wick_buf_release(&whole);
    wick_buf_release(&streamed);
    return 0;
}

static int decode(const wick_tokenizer *t, const char *in, size_t n, bool skip)
{
    for (size_t at = 0; at < n;) {
        const char *end = memchr(in + at, '\n', n - at);
        size_t len = end ? (size_t)(end - in) - at : n - at;
        json_t *list = json_loadb(in + at, len, 0, NULL);
        int rc = list ? decode_line(t, list, skip) : 2;
        json_decref(list);
        if (rc) return rc;
        at += len + 1;
    }
    return 0;
}

static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *ms, int n)
{
    qsort(ms, (size_t)n, sizeof *ms, by_value);
    return n % 2 ? ms[n / 2] : (ms[n / 2 - 1] + ms[n / 2]) / 2;
}

static wick_status stream(const wick_tokenizer *t, const int32_t *ids, size_t n, wick_buf *out, wick_err *err)
{
    wick_detok *d = NULL;
    WICK_TRY(wick_detok_new(&d, t, false, err));
    wick_status st = WICK_OK;
    for (size_t i = 0; i < n && st == WICK_OK; i++) st = wick_detok_push(d, ids[i], out, err);
    wick_detok_flush(d, out);
    wick_detok_free(d);
    return st;
}

enum { MAX_ROUNDS = 1000 };

static int timing(const wick_tokenizer *t, const char *in, size_t n, double load_ms, int rounds, unsigned flags)
{
    static double encode_ms[MAX_ROUNDS], decode_ms[MAX_ROUNDS], stream_ms[MAX_ROUNDS];
    wick_err err = {0};
    size_t n_ids = 0;
    if (rounds < 1) rounds = 3;
    if (rounds > MAX_ROUNDS) rounds = MAX_ROUNDS;
    for (int i = 0; i < rounds; i++) {
        int32_t *ids = NULL;
        wick_buf text, streamed;
        wick_buf_init(&text, 1u << 31);
        wick_buf_init(&streamed, 1u << 31);
        n_ids = 0;
        double from = now_ms();
        if (wick_tokenizer_encode(t, in, n, flags, &ids, &n_ids, &err) != WICK_OK) return fail(&err);
        encode_ms[i] = now_ms() - from;
        from = now_ms();
        if (wick_tokenizer_decode(t, ids, n_ids, false, &text, &err) != WICK_OK) return fail(&err);
        decode_ms[i] = now_ms() - from;
        from = now_ms();
        if (stream(t, ids, n_ids, &streamed, &err) != WICK_OK) return fail(&err);
        stream_ms[i] = now_ms() - from;
        wick_buf_release(&text);
        wick_buf_release(&streamed);
        wick_free(ids);
    }
    printf("{\"load_ms\": %.2f, \"encode_ms\": %.3f, \"decode_ms\": %.3f, \"stream_ms\": %.3f, \"bytes\": %zu, "
           "\"ids\": %zu}\n",
           load_ms, median(encode_ms, rounds), median(decode_ms, rounds), median(stream_ms, rounds), n, n_ids);
    return 0;
}

static wick_status there_and_back(const char *path, const char *in, size_t n, wick_err *err)
{
    wick_tokenizer *t = NULL;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    wick_buf out;
    wick_buf_init(&out, 1u << 29);
    wick_status st = load(&t, path, err);
    if (st == WICK_OK) st = wick_tokenizer_encode(t, in, n, 0, &ids, &n_ids, err);
    if (st == WICK_OK) st = wick_tokenizer_decode(t, ids, n_ids, false, &out, err);
    if (st == WICK_OK) st = stream(t, ids, n_ids, &out, err);
    for (size_t i = 0; st == WICK_OK && i < n_ids; i++) wick_tokenizer_bytes(t, ids[i], &out);
    wick_buf_release(&out);
    wick_free(ids);
    wick_tokenizer_free(t);
    return st;
}

static int try_all(char **path, const char *in, size_t n)
{
    for (; *path; path++) {
        wick_err err = {0};
        double from = now_ms();
        wick_status st = there_and_back(*path, in, n, &err);
        printf("%d %.0f %s\n", (int)st, now_ms() - from, st == WICK_OK ? "" : err.message);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    wick_err err = {0};
    wick_tokenizer *t = NULL;
    unsigned flags = 0;
    bool skip = false;
    if (argc < 3) return fputs("usage: wick_tok encode|decode|time|try FILE [options] < texts\n", stderr), 2;
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "no-special") == 0) flags |= WICK_ENC_NO_SPECIAL;
        if (strcmp(argv[i], "plain") == 0) flags |= WICK_ENC_PLAIN_TEXT;
        if (strcmp(argv[i], "skip-special") == 0) skip = true;
    }
    double from = now_ms();
    const bool trying = strcmp(argv[1], "try") == 0;
    if (!trying && load(&t, argv[2], &err) != WICK_OK) return fail(&err);
    double load_ms = now_ms() - from;
    wick_buf in;
    wick_buf_init(&in, 1u << 29);
    char chunk[65536];
    for (size_t k; (k = fread(chunk, 1, sizeof chunk, stdin)) > 0;) wick_buf_add(&in, chunk, k);
    const char *data = wick_buf_str(&in);
    int rc = trying                           ? try_all(argv + 2, data, in.n)
             : strcmp(argv[1], "encode") == 0 ? encode(t, data, in.n, flags)
             : strcmp(argv[1], "decode") == 0 ? decode(t, data, in.n, skip)
                                              : timing(t, data, in.n, load_ms, argc > 3 ? atoi(argv[3]) : 3, flags);
    wick_buf_release(&in);
    wick_tokenizer_free(t);
    return rc;
}
