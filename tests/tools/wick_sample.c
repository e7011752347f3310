/* wick_sample: draws tokens from given logits, for tests against other samplers.
 *
 *   wick_sample N_VOCAB N_DRAWS KEY=VALUE... < logits (float32)    prints how often each token was drawn: "id count"
 *
 * Keys as the fields of wick_sampling: temperature top_k top_p min_p typical_p xtc_probability xtc_threshold
 * repetition_penalty presence_penalty frequency_penalty penalty_range seed order; history=1,2,3. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "engine/sample.h"

typedef struct field {
    const char *name;
    float *number;
    uint32_t *count;
} field;

static int set(wick_sampling *s, const char *key, const char *value)
{
    const field fields[] = {
        {"temperature", &s->temperature, NULL},
        {"top_k", NULL, &s->top_k},
        {"top_p", &s->top_p, NULL},
        {"min_p", &s->min_p, NULL},
        {"typical_p", &s->typical_p, NULL},
        {"xtc_probability", &s->xtc_probability, NULL},
        {"xtc_threshold", &s->xtc_threshold, NULL},
        {"repetition_penalty", &s->repetition_penalty, NULL},
        {"presence_penalty", &s->presence_penalty, NULL},
        {"frequency_penalty", &s->frequency_penalty, NULL},
        {"penalty_range", NULL, &s->penalty_range},
        {"min_keep", NULL, &s->min_keep},
    };
    double x;
    if (strcmp(key, "order") == 0) {
        s->order = strcmp(value, "mlx") == 0     ? WICK_ORDER_MLX
                   : strcmp(value, "llama") == 0 ? WICK_ORDER_LLAMA
                                                 : WICK_ORDER_DEFAULT;
        return 1;
    }
    if (!wick_parse_f64(value, &x)) return 0;
    if (strcmp(key, "seed") == 0) {
        s->seed = (uint64_t)x;
        return 1;
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(key, fields[i].name) != 0) continue;
        if (fields[i].number)
            *fields[i].number = (float)x;
        else
            *fields[i].count = (uint32_t)x;
        return 1;
    }
    return 0;
}

static int draw(wick_sampler *p, const float *logits, uint32_t n, uint32_t n_draws)
{
    uint32_t *count = calloc(n, sizeof *count);
    wick_err err;
    for (uint32_t i = 0; count && i < n_draws; i++) {
        int32_t id;
        if (wick_sampler_pick(p, logits, NULL, &id, NULL, NULL, 0, &err) != WICK_OK ||
            wick_sampler_accept(p, id, &err) != WICK_OK) {
            fprintf(stderr, "%s\n", err.message);
            free(count);
            return 1;
        }
        count[id]++;
    }
    for (uint32_t i = 0; count && i < n; i++) {
        if (count[i]) printf("%u %u\n", i, count[i]);
    }
    free(count);
    return 0;
}

int main(int argc, char **argv)
{
    wick_sampling s;
    wick_sampler *p = NULL;
    wick_err err = {0};
    const char *history = NULL;
    if (argc < 3) return 2;
    uint32_t n = (uint32_t)strtoul(argv[1], NULL, 10), n_draws = (uint32_t)strtoul(argv[2], NULL, 10);
    wick_sampling_init(&s);
    s.temperature = 1, s.has_seed = true;
    s.xtc_threshold = 0.1f, s.dry_base = 1.75f, s.penalty_range = 20; /* mlx-lm's */
    for (int i = 3; i < argc; i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq) return 2;
        *eq = '\0';
        if (strcmp(argv[i], "history") == 0)
            history = eq + 1;
        else if (!set(&s, argv[i], eq + 1))
            return 2;
    }
    float *logits = malloc(n * sizeof *logits);
    if (!logits || fread(logits, sizeof *logits, n, stdin) != n) return 2;
    int rc = 1;
    if (wick_sampler_new(&p, &s, n, &err) == WICK_OK) {
        rc = 0;
        while (history && *history && rc == 0) {
            char *end;
            long id = strtol(history, &end, 10);
            rc = wick_sampler_accept(p, (int32_t)id, &err) != WICK_OK;
            history = *end ? end + 1 : end;
        }
        if (rc == 0) rc = draw(p, logits, n, n_draws);
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    wick_sampler_free(p);
    free(logits);
    return rc;
}
