/* hub/repo.c - see repo.h. The hub's list is hostile input: names, sizes and hashes are checked here, once. */
#include "hub/repo.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "hub/net.h"
#include "hub/pick.h"

enum { MAX_FILES = 100000 };

/* --- reading the list --------------------------------------------------------------------------------------------- */
/* A hash or etag as a file's name: hexadecimal in lower case stays; of other etags what is harmless stays. */
static void set_hash(char dst[80], const char *s)
{
    size_t w = 0;
    for (; s && *s && w < 79; s++)
        if (isalnum((unsigned char)*s) || ((*s == '-' || *s == '_') && w > 0))
            dst[w++] = (char)tolower((unsigned char)*s);
    dst[w] = '\0';
}

static uint64_t size_of(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v) : UINT64_MAX;
}

/* ".." or a leading '/' is no accident: nothing is taken from such a repository. */
static bool is_attack(const char *path)
{
    if (*path == '/') return true;
    for (const char *p = path; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2])) return true;
    }
    return false;
}

static wick_status add_file(wick_repo *r, const char *path, uint64_t n_bytes, const char *hash, wick_err *err)
{
    if (!path || !wick_hub_path_ok(path)) {
        if (path && is_attack(path))
            return WICK_FAIL(err, WICK_E_BAD_FILE, r->id,
                             "%s: the hub lists a file that leads out of the repository: %.100s", r->id, path);
        return WICK_OK; /* a name that no model's file has */
    }
    wick_repo_file *f = &r->file[r->n];
    f->path = wick_strdup(path);
    if (!f->path) return wick_err_oom(err, "the list of files", 0, 0);
    f->n_bytes = n_bytes;
    set_hash(f->hash, hash);
    r->n++;
    return WICK_OK;
}

static wick_status room_for(wick_repo *r, const json_t *list, wick_err *err)
{
    const size_t n = json_array_size(list);
    if (!json_is_array(list))
        return WICK_FAIL(err, WICK_E_BAD_FILE, r->id,
                         "%s: the hub's answer has no list of files: is HF_ENDPOINT a hub?", r->id);
    if (n > MAX_FILES) return WICK_FAIL(err, WICK_E_LIMIT, r->id, "%s: more than %d files", r->id, MAX_FILES);
    r->file = wick_alloc_zero(n + 1, sizeof *r->file);
    return r->file ? WICK_OK : wick_err_oom(err, "the list of files", 0, 0);
}

static wick_status read_hf(wick_repo *r, const json_t *v, wick_err *err)
{
    const json_t *list = json_object_get(v, "siblings"), *x;
    size_t i;
    WICK_TRY(room_for(r, list, err));
    const char *id = json_string_value(json_object_get(v, "id")), *sha = json_string_value(json_object_get(v, "sha"));
    snprintf(r->called, sizeof r->called, "%.199s", id ? id : r->id);
    set_hash(r->commit, sha);
    json_array_foreach(list, i, x)
    {
        const json_t *lfs = json_object_get(x, "lfs");
        const char *hash = json_string_value(json_object_get(lfs, "sha256"));
        uint64_t n = size_of(json_object_get(lfs, "size"));
        if (!hash) hash = json_string_value(json_object_get(lfs, "oid"));
        if (!hash && !lfs) hash = json_string_value(json_object_get(x, "blobId"));
        if (n == UINT64_MAX) n = size_of(json_object_get(x, "size"));
        WICK_TRY(add_file(r, json_string_value(json_object_get(x, "rfilename")), n, hash, err));
    }
    return WICK_OK;
}

static wick_status read_modelscope(wick_repo *r, const json_t *v, wick_err *err)
{
    const json_t *list = json_object_get(json_object_get(v, "Data"), "Files"), *x;
    const char *latest = "";
    size_t i;
    WICK_TRY(room_for(r, list, err));
    snprintf(r->called, sizeof r->called, "%s", r->id);
    json_array_foreach(list, i, x)
    {
        const char *type = json_string_value(json_object_get(x, "Type")),
                   *rev = json_string_value(json_object_get(x, "Revision"));
        if (type && strcmp(type, "tree") == 0) continue;
        if (rev && strcmp(rev, latest) > 0) latest = rev;
        WICK_TRY(add_file(r, json_string_value(json_object_get(x, "Path")), size_of(json_object_get(x, "Size")),
                          json_string_value(json_object_get(x, "Sha256")), err));
    }
    set_hash(r->commit, latest);
    return WICK_OK;
}

static char *list_url(const wick_hub *hub, const wick_model_ref *ref)
{
    wick_buf b = WICK_BUF_INIT, rev = WICK_BUF_INIT;
    for (const char *p = ref->revision; *p; p++) {
        if (*p == '/')
            wick_buf_puts(&rev, "%2F");
        else
            wick_buf_putc(&rev, *p);
    }
    if (hub->modelscope)
        wick_buf_printf(&b, "/api/v1/models/%s/repo/files?Revision=%s&Recursive=true", ref->repo,
                        rev.n ? wick_buf_str(&rev) : "master");
    else
        wick_buf_printf(&b, "/api/models/%s/revision/%s?blobs=true", ref->repo, rev.n ? wick_buf_str(&rev) : "main");
    char *url = b.failed || rev.failed ? NULL : wick_hub_url(hub, wick_buf_str(&b));
    wick_buf_release(&b);
    wick_buf_release(&rev);
    return url;
}

wick_status wick_repo_read(wick_repo *r, const wick_hub *hub, const wick_model_ref *ref, wick_err *err)
{
    wick_hub_answer a;
    json_t *v = NULL;
    memset(r, 0, sizeof *r);
    snprintf(r->id, sizeof r->id, "%s", ref->repo);
    char *url = list_url(hub, ref);
    if (!url) return wick_err_oom(err, "a request", 0, 0);
    wick_status st = wick_hub_ask(&a, hub, url, false, ref->repo, err);
    wick_free(url);
    if (st != WICK_OK) return st;
    st = wick_json_parse(a.body.data ? a.body.data : "", a.body.n, ref->repo, &v, NULL);
    if (st != WICK_OK)
        st = WICK_FAIL(err, WICK_E_BAD_FILE, r->id, "%s: %s does not answer as a hub does: check HF_ENDPOINT", r->id,
                       wick_hub_endpoint(hub));
    if (st == WICK_OK) st = hub->modelscope ? read_modelscope(r, v, err) : read_hf(r, v, err);
    if (st == WICK_OK && !r->commit[0]) set_hash(r->commit, a.head.commit);
    if (st == WICK_OK && !r->commit[0])
        st = WICK_FAIL(err, WICK_E_BAD_FILE, r->id, "%s: the hub does not say which commit this is: check HF_ENDPOINT",
                       r->id);
    json_decref(v);
    wick_hub_answer_release(&a);
    if (st != WICK_OK) wick_repo_release(r);
    return st;
}

void wick_repo_release(wick_repo *r)
{
    for (uint32_t i = 0; i < r->n; i++) wick_free(r->file[i].path);
    wick_free(r->file);
    memset(r, 0, sizeof *r);
}

char *wick_repo_file_url(const wick_repo *r, const wick_hub *hub, const char *path)
{
    wick_buf b = WICK_BUF_INIT;
    wick_buf_printf(&b, "%s/%s/resolve/%s/", hub->modelscope ? "/models" : "", r->id, r->commit);
    wick_hub_escape(&b, path);
    char *url = b.failed ? NULL : wick_hub_url(hub, wick_buf_str(&b));
    wick_buf_release(&b);
    return url;
}

wick_status wick_repo_file_look(const wick_repo *r, wick_repo_file *f, const wick_hub *hub, wick_err *err)
{
    wick_hub_answer a;
    if (f->hash[0] && f->n_bytes != UINT64_MAX) return WICK_OK;
    char *url = wick_repo_file_url(r, hub, f->path);
    if (!url) return wick_err_oom(err, "a request", 0, 0);
    wick_status st = wick_hub_ask(&a, hub, url, true, r->id, err);
    wick_free(url);
    if (st != WICK_OK) return st;
    if (!f->hash[0]) set_hash(f->hash, a.head.etag);
    if (f->n_bytes == UINT64_MAX) f->n_bytes = a.head.linked_bytes != UINT64_MAX ? a.head.linked_bytes : a.length;
    wick_hub_answer_release(&a);
    if (f->hash[0] && f->n_bytes != UINT64_MAX) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                     "%s: the hub does not say the size and etag of %s: check HF_ENDPOINT", r->id, f->path);
}

/* --- choosing ----------------------------------------------------------------------------------------------------- */
static bool is_folder_weight(const char *p)
{
    if (strchr(p, '/')) return false;
    if (wick_starts_with(p, "consolidated")) return false; /* the same weights again under other names */
    return wick_ends_with(p, ".safetensors") || wick_ends_with(p, ".npz");
}

static bool is_text_file(const char *p)
{
    static const char *const ends[] = {".json", ".jinja", ".model", ".tiktoken"};
    static const char *const whole[] = {"merges.txt", "vocab.txt"};
    if (wick_starts_with(p, "chat_templates/") || wick_starts_with(p, "additional_chat_templates/"))
        return wick_ends_with(p, ".jinja");
    if (strchr(p, '/')) return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (wick_ends_with(p, ends[i])) return true;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strcmp(p, whole[i]) == 0) return true;
    return false;
}

static uint64_t model_bytes(const wick_repo *r, const char *first)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r->n; i++)
        if (wick_gguf_same_model(first, r->file[i].path) && r->file[i].n_bytes != UINT64_MAX) sum += r->file[i].n_bytes;
    return sum;
}

static wick_status choose_gguf(wick_repo *r, uint32_t n_gguf, const char *pick, uint64_t memory_bytes,
                               const wick_repo_file **gguf, char *why, size_t why_cap, wick_err *err)
{
    wick_gguf_file *list = wick_alloc_zero(n_gguf + 1, sizeof *list);
    uint32_t n = 0, which = 0;
    if (!list) return wick_err_oom(err, "the list of files", 0, 0);
    for (uint32_t i = 0; i < r->n; i++)
        if (wick_gguf_is_first(r->file[i].path))
            list[n++] = (wick_gguf_file){r->file[i].path, model_bytes(r, r->file[i].path)};
    wick_status st = wick_gguf_pick(&which, why, why_cap, list, n, pick, memory_bytes, r->id, err);
    for (uint32_t i = 0; i < r->n && st == WICK_OK; i++) {
        r->file[i].wanted = wick_gguf_same_model(list[which].name, r->file[i].path);
        if (strcmp(list[which].name, r->file[i].path) == 0) *gguf = &r->file[i];
    }
    wick_free(list);
    return st;
}

wick_status wick_repo_choose(wick_repo *r, const char *pick, uint64_t memory_bytes, const wick_repo_file **gguf,
                             char *why, size_t why_cap, wick_err *err)
{
    uint32_t n_gguf = 0;
    bool folder = false, config = false, torch = false;
    *gguf = NULL;
    if (why_cap) *why = '\0';
    for (uint32_t i = 0; i < r->n; i++) {
        const char *p = r->file[i].path;
        n_gguf += wick_gguf_is_first(p);
        folder |= is_folder_weight(p);
        config |= strcmp(p, "config.json") == 0;
        torch |= wick_ends_with(p, ".bin") || wick_ends_with(p, ".pth") || wick_ends_with(p, ".pt");
    }
    if (n_gguf && (!(folder && config) || *pick)) {
        wick_status st = choose_gguf(r, n_gguf, pick, memory_bytes, gguf, why, why_cap, err);
        if (st == WICK_OK || !(folder && config) || st != WICK_E_MODEL_NOT_FOUND) return st;
    }
    if (folder && config) {
        for (uint32_t i = 0; i < r->n; i++)
            r->file[i].wanted = is_folder_weight(r->file[i].path) || is_text_file(r->file[i].path);
        return WICK_OK;
    }
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, r->id,
                     "%s: no weights that Wick reads (safetensors with config.json, NPZ, GGUF)%s", r->id,
                     torch ? ": only PyTorch's pickles, look for a conversion of it" : "");
}
