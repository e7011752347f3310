/* server/key_store.c - keys made over /admin/keys, kept in a file of mode 0600 so that they outlive the process.
 *
 * The file holds digests, never keys. It is written as a whole under another name and renamed; `store_lock` puts one
 * change after the other, so that the file always is what the list was at some moment. Apart from keys.c because that
 * one is about checking keys while requests wait.
 */
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "server/server_int.h"

enum { MAX_STORE = 16 << 20 };

static const struct {
    const char *name;
    unsigned scope;
} scope_names[] = {{"infer", WICK_SCOPE_INFER},
                   {"metrics", WICK_SCOPE_METRICS},
                   {"admin", WICK_SCOPE_ADMIN},
                   {"tools", WICK_SCOPE_TOOLS}};
enum { N_SCOPES = sizeof scope_names / sizeof *scope_names };

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool wick_key_digest_parse(const char *s, uint8_t digest[32])
{
    if (!s || strlen(s) != 64) return false;
    for (int i = 0; i < 32; i++) {
        const int hi = hex(s[2 * i]), lo = hex(s[2 * i + 1]);
        if (hi < 0 || lo < 0) return false;
        digest[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

wick_status wick_key_scopes_parse(const json_t *list, unsigned *scopes, wick_err *err)
{
    unsigned got = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        for (unsigned k = 0; s && k < N_SCOPES; k++)
            if (strcmp(s, scope_names[k].name) == 0) got |= scope_names[k].scope;
    }
    if (!got || (size_t)__builtin_popcount(got) != json_array_size(list))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "scopes",
                         "scopes: must be a list of \"infer\", \"metrics\", \"admin\", \"tools\", each once");
    *scopes = got;
    return WICK_OK;
}

json_t *wick_key_scopes_json(unsigned scopes)
{
    json_t *list = json_array();
    for (unsigned k = 0; k < N_SCOPES; k++)
        if (scopes & scope_names[k].scope && json_array_append_new(list, json_string(scope_names[k].name)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */
static wick_status read_u32(const json_t *o, const char *name, uint32_t *out, const char *where, wick_err *err)
{
    int64_t n;
    WICK_TRY(wick_json_i64(o, name, 0, UINT32_MAX, 0, &n, where, err));
    *out = (uint32_t)n;
    return WICK_OK;
}

static wick_status read_one(wick_keys *k, const json_t *o, const char *where, wick_err *err)
{
    wick_key_config c = {.kept = true};
    const char *digest;
    int64_t priority;
    WICK_TRY(wick_json_str(o, "name", &c.name, where, err));
    WICK_TRY(wick_json_str(o, "sha256", &digest, where, err));
    if (!c.name || !*c.name || !wick_key_digest_parse(digest, c.digest))
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: a key without a name or a sha256 of 64 digits", where);
    wick_status st = wick_key_scopes_parse(json_object_get(o, "scopes"), &c.scopes, err);
    if (st == WICK_OK) st = read_u32(o, "requests_per_minute", &c.requests_per_minute, where, err);
    if (st == WICK_OK) st = read_u32(o, "tokens_per_minute", &c.tokens_per_minute, where, err);
    if (st == WICK_OK) st = read_u32(o, "concurrent", &c.concurrent, where, err);
    if (st == WICK_OK) st = wick_json_i64(o, "priority", -100, 100, 0, &priority, where, err);
    if (st == WICK_OK) {
        c.priority = (int32_t)priority;
        st = wick_keys_add(k, &c, err);
    }
    if (st != WICK_OK) wick_err_prefix(err, "%s: key \"%.100s\"", where, c.name);
    return st;
}

wick_status wick_keys_load(wick_keys *k, const char *path, wick_err *err)
{
    json_t *root;
    k->store = path;
    if (!wick_path_exists(path)) return WICK_OK; /* the first key makes it */
    WICK_TRY(wick_file_check_private(path, err));
    WICK_TRY(wick_json_load(path, MAX_STORE, &root, err));
    const json_t *list = json_object_get(root, "keys");
    wick_status st =
        json_is_array(list) ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: has no list of keys", path);
    for (size_t i = 0; i < json_array_size(list) && st == WICK_OK; i++)
        st = read_one(k, json_array_get(list, i), path, err);
    json_decref(root);
    return st;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */
static json_t *one_json(const wick_key_config *c)
{
    static const char digits[] = "0123456789abcdef";
    char digest[65];
    for (int i = 0; i < 32; i++) {
        digest[2 * i] = digits[c->digest[i] >> 4];
        digest[2 * i + 1] = digits[c->digest[i] & 15];
    }
    digest[64] = '\0';
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:i}", "name", c->name, "sha256", digest, "scopes",
                     wick_key_scopes_json(c->scopes), "requests_per_minute", (json_int_t)c->requests_per_minute,
                     "tokens_per_minute", (json_int_t)c->tokens_per_minute, "concurrent", (json_int_t)c->concurrent,
                     "priority", (int)c->priority);
}

static int to_buf(const char *p, size_t n, void *ctx)
{
    wick_buf_add(ctx, p, n);
    return ((const wick_buf *)ctx)->failed ? -1 : 0;
}

wick_status wick_keys_keep(wick_keys *k, wick_err *err)
{
    wick_buf text = WICK_BUF_INIT;
    if (!k->store) return WICK_OK;
    wick_lock_take(&k->store_lock);
    json_t *root = json_object(), *list = json_array();
    bool ok = json_object_set(root, "keys", list) == 0;
    wick_lock_take(&k->lock);
    for (uint32_t i = 0; i < k->n && ok; i++)
        if (k->key[i]->c.kept) ok = json_array_append_new(list, one_json(&k->key[i]->c)) == 0;
    wick_lock_drop(&k->lock);
    ok = ok && json_dump_callback(root, to_buf, &text, JSON_INDENT(1)) == 0;
    json_decref(list);
    json_decref(root);
    wick_status st = ok ? wick_file_write(k->store, text.data, text.n, err) : wick_err_oom(err, "the keys", 0, 0);
    wick_buf_release(&text);
    wick_lock_drop(&k->store_lock);
    return st;
}
