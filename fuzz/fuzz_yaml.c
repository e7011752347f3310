/* fuzz/fuzz_yaml.c - server.yaml to the server's configuration. Files that it names are not opened but for those of
 * keys. */
#include <string.h>
#include "fuzz.h"
#include "server/server_config.h"

static void check(const wick_server_config *c)
{
    for (uint32_t i = 0; i < c->n_model; i++) {
        const wick_model_config *m = &c->model[i];
        if (!m->path || !m->id || !*m->id || strlen(m->id) > 200 || !m->engine.backend) abort();
        for (uint32_t k = 0; k < m->n_alias; k++)
            if (!m->alias[k]) abort();
    }
    for (uint32_t i = 0; i < c->n_key; i++)
        if (!c->key[i].name || !c->key[i].scopes || c->key[i].scopes > WICK_SCOPE_ALL) abort();
#define LIMIT(field, def, lo, hi, unit, answer, about) \
    if (c->limits.field + 1 < (uint64_t)(lo) + 1 || c->limits.field > (hi)) abort();
#include "server/limits.def"
#undef LIMIT
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    wick_server_config c;
    wick_err err = {0};
    for (size_t i = 0; i + 4 < n; i++)
        if (memcmp(data + i, "file", 4) == 0) return 0; /* no path is tried out */
    wick_server_config_init(&c);
    if (wick_server_config_parse(&c, (const char *)data, n, "server.yaml", &err) == WICK_OK) {
        check(&c);
        if (wick_server_config_check(&c, &err) != WICK_OK && !err.message[0]) abort();
    } else if (strncmp(err.message, "server.yaml", 11) != 0 || strchr(err.message, '\n')) {
        abort();
    }
    wick_server_config_release(&c);
    return 0;
}
