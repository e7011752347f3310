/* server/keys.c - API keys: digests only, scopes, token buckets per minute, requests at once.
 *
 * A secret is hashed before it is compared, and every key is looked at with a comparison of fixed length, so the time
 * says nothing about how much of a guess was right.
 */
#include <math.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/sys.h"
#include "server/server_int.h"

void wick_key_digest(const char *key, size_t n, uint8_t digest[32])
{
    struct sha256_ctx c;
    sha256_init(&c);
    sha256_update(&c, n, (const uint8_t *)key);
    sha256_digest(&c, 32, digest);
}

static uint64_t first_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | p[i];
    return v;
}

static uint64_t keyed(const uint8_t secret[32], const char *what, const uint8_t *more, size_t n_more)
{
    struct hmac_sha256_ctx c;
    uint8_t digest[32];
    hmac_sha256_set_key(&c, 32, secret);
    hmac_sha256_update(&c, strlen(what), (const uint8_t *)what);
    hmac_sha256_update(&c, n_more, more);
    hmac_sha256_digest(&c, sizeof digest, digest);
    const uint64_t v = first_u64(digest);
    return v ? v : 1;
}

wick_domain wick_keys_domain(const wick_keys *k, const wick_key *key, const uint8_t user[32])
{
    if (key == k->local) key = NULL; /* what the administrator warms is for everybody */
    const uint8_t *secret = key ? key->c.digest : k->secret;
    return (wick_domain){.owner = key ? key->owner : 0, .user = user ? keyed(secret, "user", user, 32) : 0};
}

static wick_key *key_new(const wick_key_config *c)
{
    wick_key *key = wick_alloc_zero(1, sizeof *key);
    char *name = wick_strdup(c->name);
    if (!key || !name) {
        wick_free(name);
        wick_free(key);
        return NULL;
    }
    key->c = *c;
    key->c.name = key->name = name;
    key->refs = 1;
    key->owner = keyed(c->digest, "owner", NULL, 0);
    snprintf(key->owner_text, sizeof key->owner_text, "%016llx", (unsigned long long)key->owner);
    key->request_tokens = c->requests_per_minute;
    key->token_tokens = c->tokens_per_minute;
    key->t_request = key->t_token = wick_time_ms();
    return key;
}

static void unref(wick_key *key)
{
    if (!key || --key->refs > 0) return;
    wick_free(key->name);
    wick_free(key);
}

wick_status wick_keys_add(wick_keys *k, const wick_key_config *c, wick_err *err)
{
    wick_key *key = key_new(c);
    wick_status st = WICK_OK;
    wick_lock_take(&k->lock);
    if (key && k->n == k->cap) {
        wick_key **grown = wick_realloc_array(k->key, k->cap ? k->cap * 2 : 8, sizeof *grown);
        if (grown) {
            k->key = grown;
            k->cap = k->cap ? k->cap * 2 : 8;
        }
    }
    for (uint32_t i = 0; i < k->n && st == WICK_OK; i++)
        if (strcmp(k->key[i]->name, c->name) == 0)
            st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "name", "there is a key named \"%s\" already", c->name);
    if (st == WICK_OK && (!key || k->n == k->cap)) st = wick_err_oom(err, "a key", sizeof *key, 0);
    if (st == WICK_OK)
        k->key[k->n++] = key;
    else
        unref(key);
    wick_lock_drop(&k->lock);
    return st;
}

wick_status wick_keys_init(wick_keys *k, const wick_server_config *c, wick_err *err)
{
    memset(k, 0, sizeof *k);
    wick_lock_init(&k->lock);
    wick_lock_init(&k->store_lock);
    WICK_TRY(wick_random_secret(k->secret, sizeof k->secret, err));
    for (uint32_t i = 0; i < c->n_key; i++) WICK_TRY(wick_keys_add(k, &c->key[i], err));
    return c->key_store ? wick_keys_load(k, c->key_store, err) : WICK_OK;
}

void wick_keys_release(wick_keys *k)
{
    for (uint32_t i = 0; i < k->n; i++) unref(k->key[i]);
    wick_free(k->key);
    unref(k->local);
    if (k->local_path) unlink(k->local_path);
    wick_free(k->local_path);
    wick_wipe(k->secret, sizeof k->secret);
    wick_lock_release(&k->store_lock);
    wick_lock_release(&k->lock);
}

uint32_t wick_keys_count(wick_keys *k)
{
    wick_lock_take(&k->lock);
    uint32_t n = k->n;
    wick_lock_drop(&k->lock);
    return n;
}

wick_key *wick_keys_find(wick_keys *k, const char *secret, size_t n)
{
    uint8_t digest[32];
    wick_key *found = NULL;
    wick_key_digest(secret, n, digest);
    wick_lock_take(&k->lock);
    for (uint32_t i = 0; i < k->n; i++)
        if (memeql_sec(k->key[i]->c.digest, digest, sizeof digest)) found = k->key[i];
    if (k->local && memeql_sec(k->local->c.digest, digest, sizeof digest)) found = k->local;
    if (found) found->refs++;
    wick_lock_drop(&k->lock);
    return found;
}

wick_status wick_key_make_secret(char out[WICK_SECRET_CHARS + 1], wick_err *err)
{
    uint8_t random[24];
    WICK_TRY(wick_random_secret(random, sizeof random, err));
    memcpy(out, "wick-", 5);
    for (size_t i = 0; i < sizeof random; i++) snprintf(out + 5 + 2 * i, 3, "%02x", random[i]);
    wick_wipe(random, sizeof random);
    return WICK_OK;
}

wick_status wick_keys_make_local(wick_keys *k, const char *dir, uint16_t port, wick_err *err)
{
    wick_key_config c = {.name = "local", .scopes = WICK_SCOPE_ALL};
    char secret[WICK_SECRET_CHARS + 1], name[32];
    snprintf(name, sizeof name, "serve-%u.key", port);
    WICK_TRY(wick_key_make_secret(secret, err));
    wick_key_digest(secret, WICK_SECRET_CHARS, c.digest);
    wick_key *key = key_new(&c);
    char *path = wick_path_join(dir, name);
    wick_status st = key && path ? wick_dir_make(dir, err) : wick_err_oom(err, "a key", 0, 0);
    if (st == WICK_OK) st = wick_file_write(path, secret, WICK_SECRET_CHARS, err); /* made with mode 0600 */
    wick_wipe(secret, sizeof secret);
    if (st != WICK_OK) {
        wick_free(path);
        unref(key);
        return st;
    }
    wick_lock_take(&k->lock);
    k->local = key;
    k->local_path = path;
    wick_lock_drop(&k->lock);
    return WICK_OK;
}

void wick_key_unref(wick_keys *k, wick_key *key)
{
    if (!key) return;
    wick_lock_take(&k->lock);
    unref(key);
    wick_lock_drop(&k->lock);
}

bool wick_keys_remove(wick_keys *k, const char *name, wick_key **removed)
{
    bool found = false;
    wick_lock_take(&k->lock);
    for (uint32_t i = 0; i < k->n && !found; i++) {
        if (strcmp(k->key[i]->name, name) != 0) continue;
        found = true;
        *removed = k->key[i];
        memmove(&k->key[i], &k->key[i + 1], (k->n - i - 1) * sizeof *k->key);
        k->n--;
    }
    wick_lock_drop(&k->lock);
    return found;
}

bool wick_keys_set_limits(wick_keys *k, const char *name, const wick_key_config *limits)
{
    bool found = false;
    wick_lock_take(&k->lock);
    for (uint32_t i = 0; i < k->n; i++) {
        wick_key *key = k->key[i];
        if (strcmp(key->name, name) != 0) continue;
        found = true;
        key->c.requests_per_minute = limits->requests_per_minute;
        key->c.tokens_per_minute = limits->tokens_per_minute;
        key->c.concurrent = limits->concurrent;
        key->c.priority = limits->priority;
        key->request_tokens = fmin(key->request_tokens, limits->requests_per_minute);
        key->token_tokens = fmin(key->token_tokens, limits->tokens_per_minute);
    }
    wick_lock_drop(&k->lock);
    return found;
}

json_t *wick_keys_list(wick_keys *k)
{
    json_t *list = json_array();
    bool ok = list != NULL;
    wick_lock_take(&k->lock);
    for (uint32_t i = 0; i < k->n && ok; i++) {
        const wick_key *key = k->key[i];
        json_t *one = json_pack(
            "{s:s, s:o, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:b}", "name", key->name, "scopes",
            wick_key_scopes_json(key->c.scopes), "requests_per_minute", (json_int_t)key->c.requests_per_minute,
            "tokens_per_minute", (json_int_t)key->c.tokens_per_minute, "concurrent", (json_int_t)key->c.concurrent,
            "priority", (int)key->c.priority, "running", (json_int_t)key->n_running, "requests",
            (json_int_t)key->n_requests, "tokens", (json_int_t)key->n_tokens, "kept", (int)key->c.kept);
        ok = json_array_append_new(list, one) == 0;
    }
    wick_lock_drop(&k->lock);
    if (ok) return list;
    json_decref(list);
    return NULL;
}

/* A bucket holds a minute's worth and fills evenly. */
static void refill(double *tokens, double *t, uint32_t per_minute, double now_ms)
{
    *tokens = fmin(per_minute, *tokens + (now_ms - *t) * per_minute / 60000);
    *t = now_ms;
}

static uint32_t seconds_until(double want, double have, uint32_t per_minute)
{
    double s = ceil((want - have) * 60 / per_minute);
    return s < 1 ? 1 : s > 3600 ? 3600 : (uint32_t)s;
}

bool wick_key_begin(wick_keys *k, wick_key *key, double now_ms, uint32_t *retry_after_s, const char **what)
{
    bool ok = true;
    wick_lock_take(&k->lock);
    const wick_key_config *c = &key->c;
    refill(&key->request_tokens, &key->t_request, c->requests_per_minute, now_ms);
    refill(&key->token_tokens, &key->t_token, c->tokens_per_minute, now_ms);
    if (c->concurrent && key->n_running >= c->concurrent) {
        *what = "requests at once";
        *retry_after_s = 1;
        ok = false;
    } else if (c->requests_per_minute && key->request_tokens < 1) {
        *what = "requests per minute";
        *retry_after_s = seconds_until(1, key->request_tokens, c->requests_per_minute);
        ok = false;
    } else if (c->tokens_per_minute && key->token_tokens <= 0) {
        *what = "tokens per minute";
        *retry_after_s = seconds_until(1, key->token_tokens, c->tokens_per_minute);
        ok = false;
    }
    if (ok) {
        if (c->requests_per_minute) key->request_tokens -= 1;
        key->n_running++;
        key->n_requests++;
    }
    wick_lock_drop(&k->lock);
    return ok;
}

bool wick_key_reserve(wick_keys *k, wick_key *key, uint64_t n_tokens, double now_ms, uint32_t *retry_after_s)
{
    bool ok = true;
    wick_lock_take(&k->lock);
    const uint32_t per_minute = key->c.tokens_per_minute;
    refill(&key->token_tokens, &key->t_token, per_minute, now_ms);
    if (per_minute && key->token_tokens <= 0) {
        *retry_after_s = seconds_until(1, key->token_tokens, per_minute);
        ok = false;
    } else if (per_minute) {
        key->token_tokens -= (double)n_tokens; /* may go below 0: the debt is waited for */
    }
    wick_lock_drop(&k->lock);
    return ok;
}

void wick_key_end(wick_keys *k, wick_key *key, uint64_t n_reserved, uint64_t n_tokens, double now_ms)
{
    wick_lock_take(&k->lock);
    if (key->c.tokens_per_minute) key->token_tokens += (double)n_reserved - (double)n_tokens;
    refill(&key->token_tokens, &key->t_token, key->c.tokens_per_minute, now_ms);
    key->n_tokens += n_tokens;
    key->n_running--;
    wick_lock_drop(&k->lock);
}
