/* server/torture_test.c - the n-th allocation fails, for many n, while a request of each kind goes through a real
 * server.
 *
 * A request that met the failure is answered with an error, or as always (where the memory was only for a cache); never
 * with something else, and the next normal request gets its normal answer. Jansson's memory fails too, libmicrohttpd's
 * does not. By hand, every n: server_torture_test 1 [KIND] */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "base/alloc.h"
#include "server/server.h"

#define KEY "torture-key-12345"

typedef struct one_kind {
    const char *name, *method, *path, *body;
    unsigned step; /* of n, where there are very many allocations; 0: every one */
    const char *undo_method, *undo_path, *undo_body;
} one_kind;

#define ASK "\"messages\":[{\"role\":\"user\",\"content\":\"hello there\"}],\"temperature\":0,\"max_tokens\":4"
static const one_kind kinds[] = {
    {"chat", "POST", "/v1/chat/completions", "{" ASK ",\"logprobs\":true,\"top_logprobs\":2,\"stop\":[\"zz\"]}", 0, 0,
     0, 0},
    {"chat, new prompt", "POST", "/v1/chat/completions",
     "{\"messages\":[{\"role\":\"user\",\"content\":\"%u another\"}],\"temperature\":0,\"max_tokens\":2}", 0, 0, 0, 0},
    {"chat, 2 choices", "POST", "/v1/chat/completions",
     "{" ASK ",\"n\":2,\"logit_bias\":{\"5\":1},\"chat_template_kwargs\":{\"enable_thinking\":true},\"user\":\"u\"}", 0,
     0, 0, 0},
    {"chat, stream", "POST", "/v1/chat/completions",
     "{" ASK ",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"logprobs\":true}", 0, 0, 0, 0},
    {"completion", "POST", "/v1/completions",
     "{\"prompt\":[\"one "
     "two\",\"three\"],\"temperature\":0,\"max_tokens\":3,\"echo\":true,\"logprobs\":2,\"best_of\":2,\"n\":1}",
     0, 0, 0, 0},
    {"embedding", "POST", "/v1/embeddings", "{\"input\":[\"one\",\"two\"],\"encoding_format\":\"base64\"}", 0, 0, 0, 0},
    {"tokenize", "POST", "/tokenize", "{\"content\":\"one two\",\"with_pieces\":true}", 0, 0, 0, 0},
    {"detokenize", "POST", "/detokenize", "{\"tokens\":[70,71,72]}", 0, 0, 0, 0},
    {"template", "POST", "/apply-template",
     "{"
     "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]}",
     0, 0, 0, 0},
    {"anthropic", "POST", "/v1/messages",
     "{\"max_tokens\":4,\"temperature\":0,\"system\":[{\"type\":\"text\",\"text\":\"be\"}],"
     "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]},"
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}]},"
     "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"content\":\"x\"}]}]}",
     0, 0, 0, 0},
    {"ollama", "POST", "/api/chat",
     "{\"stream\":false,\"options\":{\"temperature\":0,\"num_predict\":4},"
     "\"messages\":[{\"role\":\"user\",\"content\":\"hello there\"}]}",
     0, 0, 0, 0},
    {"responses", "POST", "/v1/responses",
     "{\"max_output_tokens\":4,\"temperature\":0,\"instructions\":\"be\",\"input\":[{\"role\":\"user\","
     "\"content\":[{\"type\":\"input_text\",\"text\":\"hello\"}]}]}",
     0, 0, 0, 0},
    {"llama", "POST", "/completion",
     "{\"prompt\":[\"one\",5,\"two\"],\"n_predict\":3,\"temperature\":0,\"n_probs\":2,\"return_tokens\":true,"
     "\"response_fields\":[\"content\",\"tokens\",\"stop_type\"]}",
     0, 0, 0, 0},
    {"rerank", "POST", "/v1/rerank", "{\"query\":\"one\",\"documents\":[\"one two\",\"three\"]}", 0, 0, 0, 0},
    {"tags", "GET", "/api/tags", NULL, 0, 0, 0, 0},
    {"props", "GET", "/props", NULL, 0, 0, 0, 0},
    {"refused", "POST", "/v1/chat/completions", "{" ASK ",\"temperature2\":1}", 0, 0, 0, 0},
    {"models", "GET", "/v1/models", NULL, 0, 0, 0, 0},
    {"model", "GET", "/v1/models/tiny", NULL, 0, 0, 0, 0},
    {"metrics", "GET", "/metrics", NULL, 0, 0, 0, 0},
    {"status", "GET", "/status", NULL, 0, 0, 0, 0},
    {"keys", "GET", "/admin/keys", NULL, 0, 0, 0, 0},
    {"key-add", "POST", "/admin/keys", "{\"name\":\"k\",\"scopes\":[\"infer\"]}", 0, "DELETE", "/admin/keys/k", NULL},
    {"key-limits", "POST", "/admin/keys/limits", "{\"name\":\"torture\",\"priority\":1}", 0, 0, 0, 0},
    {"cache-warm", "POST", "/admin/cache/warm", "{\"prompt\":\"one two three four\"}", 0, 0, 0, 0},
    {"cache-clear", "POST", "/admin/cache/clear", "{}", 0, 0, 0, 0},
    {"load", "POST", "/admin/models/load", "{\"model\":\"second\",\"path\":\"%s\"}", 29, "POST", "/admin/models/unload",
     "{\"model\":\"second\",\"forget\":true}"},
};

typedef struct answer {
    unsigned status; /* 0: none came */
    char *text;      /* body */
} answer;

static uint16_t port;
static unsigned every = 23; /* of n */
static char *normal;        /* what the normal request is answered with */
static const char model_dir[] = WICK_SOURCE_DIR "/models/wick-shell";

static char *read_all(int fd)
{
    size_t n = 0, cap = 1 << 16;
    char *text = malloc(cap);
    for (ssize_t got; text && (got = recv(fd, text + n, cap - n - 1, 0)) > 0;) {
        n += (size_t)got;
        if (cap - n < 4096) text = realloc(text, cap *= 2);
    }
    if (!text) abort();
    text[n] = '\0';
    return text;
}

static answer ask(const char *method, const char *path, const char *body)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {.tv_sec = 60};
    char head[512];
    answer a = {0};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        fail_msg("%s", "the server does not listen any more");
    }
    const int n = snprintf(head, sizeof head,
                           "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " KEY "\r\nConnection: close\r\n"
                           "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                           method, path, body ? strlen(body) : 0);
    if (send(fd, head, (size_t)n, MSG_NOSIGNAL) == n && body) (void)!send(fd, body, strlen(body), MSG_NOSIGNAL);
    char *all = read_all(fd), *end = strstr(all, "\r\n\r\n");
    close(fd);
    if (strncmp(all, "HTTP/1.1 ", 9) == 0 && end) {
        a.status = (unsigned)strtoul(all + 9, NULL, 10);
        a.text = strdup(end + 4);
    }
    free(all);
    return a;
}

/* What differs from one answer to the next is taken out. */
static void mask(json_t *v)
{
    static const char *const names[] = {"id",
                                        "created",
                                        "key",
                                        "usage",
                                        "created_at",
                                        "total_duration",
                                        "prompt_eval_duration",
                                        "eval_duration",
                                        "prompt_eval_count"};
    const char *key;
    json_t *x;
    size_t i;
    if (json_is_object(v))
        for (i = 0; i < sizeof names / sizeof *names; i++) json_object_del(v, names[i]);
    json_object_foreach(v, key, x) mask(x);
    json_array_foreach(v, i, x) mask(x);
}

/* The answer as text to compare; of a stream the texts of its events. Caller frees. */
static char *essence(const char *text)
{
    json_t *v = json_loads(text, 0, NULL);
    char *out;
    if (v) {
        mask(v);
        out = json_dumps(v, JSON_SORT_KEYS | JSON_COMPACT);
        json_decref(v);
        return out;
    }
    out = calloc(1, strlen(text) + 1);
    for (const char *p = text; out && (p = strstr(p, "\"content\":\"")) != NULL; p += 11)
        strncat(out, p + 11, strcspn(p + 11, "\""));
    return out;
}

static void wrong(const one_kind *k, uint64_t n, const char *what, const answer *a)
{
    fail_msg("%s, allocation %llu: %s: %u %.600s", k->name, (unsigned long long)n, what, a->status,
             a->text ? a->text : "");
}

static void check_normal(const one_kind *k, uint64_t n)
{
    answer a = ask("POST", "/v1/chat/completions", "{" ASK "}");
    char *got = a.status == 200 ? essence(a.text) : NULL;
    if (!got || strcmp(got, normal) != 0) wrong(k, n, "the normal request afterwards", &a);
    free(got);
    free(a.text);
}

static answer ask_kind(const one_kind *k, uint64_t n)
{
    char body[4096];
    if (k->body && strstr(k->body, "%u")) {
        snprintf(body, sizeof body,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"%u another\"}],\"temperature\":0,"
                 "\"max_tokens\":2}",
                 (unsigned)n);
        return ask(k->method, k->path, body);
    }
    if (k->body && strstr(k->body, "%s")) {
        snprintf(body, sizeof body, "{\"model\":\"second\",\"path\":\"%s\"}", model_dir);
        return ask(k->method, k->path, body);
    }
    return ask(k->method, k->path, k->body);
}

static void undo(const one_kind *k)
{
    if (k->undo_path) free(ask(k->undo_method, k->undo_path, k->undo_body).text);
}

static void torture(void **state)
{
    const one_kind *k = *state;
    const unsigned step = k->step ? every * k->step : every;
    unsigned n_error = 0, n_same = 0, n_cut = 0;
    const bool stream = k->body && strstr(k->body, "\"stream\":true");
    answer base = ask_kind(k, 0);
    const bool varies = strstr(k->path, "metrics") || strstr(k->path, "status") || strstr(k->path, "keys") ||
                        (k->body && strstr(k->body, "%u"));
    if (base.status == 0 || base.status >= 500) wrong(k, 0, "without a failure", &base);
    char *want = essence(base.text);
    undo(k);
    for (uint64_t n = 1;; n += step) {
        const uint64_t before = wick_alloc_count();
        wick_alloc_fail_at(n, false);
        answer a = ask_kind(k, n);
        const bool met = wick_alloc_count() - before >= n;
        wick_alloc_fail_at(0, false);
        char *got = a.status == base.status ? essence(a.text) : NULL;
        if (!met && a.status != base.status) wrong(k, n, "no allocation failed", &a);
        if (a.status == 0 || (got && stream && !strstr(a.text, "[DONE]"))) {
            n_cut++;
        } else if (a.status >= 400 && a.status != base.status) {
            n_error++;
            if (!strstr(a.text, "\"error\"")) wrong(k, n, "an error that does not say so", &a);
        } else if (got && (varies || strcmp(got, want) == 0)) {
            n_same++;
        } else if (got && strstr(a.text, "data: {\"error\"")) {
            n_error++;
        } else {
            wrong(k, n, "another answer than without a failure", &a);
        }
        free(got);
        free(a.text);
        undo(k);
        check_normal(k, n);
        if (!met) {
            print_message("%-18s %5llu allocations: %u errors, %u closed, %u answers as always\n", k->name,
                          (unsigned long long)n - 1, n_error, n_cut, n_same);
            break;
        }
    }
    free(want);
    free(base.text);
}

int main(int argc, char **argv)
{
    enum { N = sizeof kinds / sizeof *kinds };
    struct CMUnitTest tests[N];
    wick_server_config c;
    wick_server *s = NULL;
    wick_model_config *m;
    wick_err err = {0};
    if (argc > 1) every = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2) cmocka_set_test_filter(argv[2]);
    wick_server_config_init(&c);
    c.port = 0;
    c.engine_defaults.device.n_threads = 1;
    wick_status st = wick_server_config_add_model(&c, model_dir, "tiny", &m, &err);
    if (st == WICK_OK) st = wick_server_config_add_key(&c, "torture", KEY, WICK_SCOPE_ALL, NULL, &err);
    if (st == WICK_OK) {
        m->preload = true;
        st = wick_server_new(&s, &c, &err);
    }
    if (st != WICK_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    while (wick_server_loading(s) > 0) usleep(2000);
    port = wick_server_port(s);
    answer first = ask("POST", "/v1/chat/completions", "{" ASK "}");
    if (first.status != 200) return 1;
    normal = essence(first.text);
    free(first.text);
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){kinds[i].name, torture, NULL, NULL, (void *)(uintptr_t)&kinds[i]};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(normal);
    wick_server_free(s);
    wick_server_config_release(&c);
    return failed;
}
