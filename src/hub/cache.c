/* hub/cache.c - see cache.h. */
#include "hub/cache.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "hub/ref.h"

enum { MAX_INDEX_BYTES = 64 << 20 };

static bool given(const char *s)
{
    return s && *s;
}

char *wick_hub_cache_folder(const wick_discover_opts *o)
{
    if (given(o->hf_hub_cache)) return wick_strdup(o->hf_hub_cache);
    if (given(o->hub_cache_old)) return wick_strdup(o->hub_cache_old);
    if (given(o->hf_home)) return wick_path_join(o->hf_home, "hub");
    if (given(o->xdg_cache)) return wick_path_join(o->xdg_cache, "huggingface/hub");
    if (given(o->home)) return wick_path_join(o->home, ".cache/huggingface/hub");
    return NULL;
}

void wick_hub_repo_folder(const char *repo, char *dst, size_t cap)
{
    const char *slash = strchr(repo, '/');
    if (slash)
        snprintf(dst, cap, "models--%.*s--%s", (int)(slash - repo), repo, slash + 1);
    else
        snprintf(dst, cap, "models--%s", repo);
}

bool wick_hub_repo_name(const char *folder, char *dst, size_t cap)
{
    if (!wick_starts_with(folder, "models--") || strlen(folder) >= cap) return false;
    size_t w = 0;
    for (const char *p = folder + 8; *p; p++) {
        if (p[0] == '-' && p[1] == '-' && !memchr(dst, '/', w)) {
            dst[w++] = '/';
            p++;
        } else {
            dst[w++] = *p;
        }
    }
    dst[w] = '\0';
    return true;
}

/* refs/<revision> -> the commit it names; false if there is none that is one part of a path. */
static bool read_ref(const char *repo_folder, const char *revision, char *commit, size_t cap)
{
    char name[160], *rev = NULL;
    size_t n;
    snprintf(name, sizeof name, "refs/%s", *revision ? revision : "main");
    char *path = wick_path_join(repo_folder, name);
    bool ok = path && wick_file_read(path, 256, &rev, &n, NULL) == WICK_OK;
    if (ok) {
        rev[strcspn(rev, " \r\n")] = '\0';
        ok = strlen(rev) < cap && !strchr(rev, '/') && wick_hub_path_ok(rev);
        if (ok) memcpy(commit, rev, strlen(rev) + 1);
    }
    wick_free(rev);
    wick_free(path);
    return ok;
}

static char *snapshot_named(const char *snapshots, const char *name)
{
    char *path = strchr(name, '/') || !wick_hub_path_ok(name) ? NULL : wick_path_join(snapshots, name);
    if (path && wick_path_is_dir(path)) return path;
    wick_free(path);
    return NULL;
}

char *wick_hub_snapshot(const char *repo_folder, const char *revision)
{
    char *snapshots = wick_path_join(repo_folder, "snapshots"), *path = NULL, commit[128];
    wick_dir_list l = {0};
    if (!snapshots) return NULL;
    if (read_ref(repo_folder, revision, commit, sizeof commit)) path = snapshot_named(snapshots, commit);
    if (!path && *revision) path = snapshot_named(snapshots, revision);
    const size_t n = strlen(revision);
    const bool prefix = n >= 7 && strspn(revision, "0123456789abcdef") == n;
    if (!path && (!*revision || prefix) && wick_dir_list_read(&l, snapshots, NULL) == WICK_OK)
        for (size_t i = l.n; i-- > 0 && !path;)
            if (!prefix || strncmp(l.name[i], revision, n) == 0) path = wick_path_join(snapshots, l.name[i]);
    wick_dir_list_free(&l);
    wick_free(snapshots);
    return path;
}

static bool is_there(const char *dir, const char *name)
{
    char *path = wick_path_join(dir, name);
    const bool yes = path && wick_path_is_file(path);
    wick_free(path);
    return yes;
}

/* True if all files that an index of weights names are there. */
static bool index_complete(const char *dir, const char *index_name)
{
    json_t *index = NULL, *file;
    const char *tensor, *last = "";
    char *path = wick_path_join(dir, index_name);
    if (!path || wick_json_load(path, MAX_INDEX_BYTES, &index, NULL) != WICK_OK) index = NULL;
    wick_free(path);
    bool whole = true;
    json_object_foreach(json_object_get(index, "weight_map"), tensor, file)
    {
        const char *name = json_string_value(file);
        if (!name || strcmp(name, last) == 0) continue;
        last = name;
        whole = wick_hub_path_ok(name) && is_there(dir, name);
        if (!whole) break;
    }
    json_decref(index);
    return whole;
}

wick_model_folder_kind wick_model_folder_look(const char *dir)
{
    wick_dir_list l;
    bool config = false, weights = false, whole = true;
    if (wick_dir_list_read(&l, dir, NULL) != WICK_OK) return WICK_FOLDER_NO_MODEL;
    for (size_t i = 0; i < l.n; i++) {
        const char *name = l.name[i];
        const bool weight = wick_ends_with(name, ".safetensors") || wick_ends_with(name, ".npz"),
                   index = strcmp(name, "model.safetensors.index.json") == 0;
        if (weight || index) weights = true;
        if (weight && !is_there(dir, name)) whole = false;
        if (strcmp(name, "config.json") == 0) config = true;
        if (index) whole = whole && index_complete(dir, name);
    }
    wick_dir_list_free(&l);
    if (!config || !weights) return WICK_FOLDER_NO_MODEL;
    return whole ? WICK_FOLDER_COMPLETE : WICK_FOLDER_PARTIAL;
}

wick_status wick_config_has_pick(const char *config_path, const char *pick, const char *place, wick_err *err)
{
    json_t *config = NULL;
    char have[32] = "no quantization", asked[32];
    if (wick_json_load(config_path, 16u << 20, &config, NULL) != WICK_OK) config = NULL;
    const json_t *q = json_object_get(config, "quantization");
    if (!q) q = json_object_get(config, "quantization_config");
    const json_t *bits = json_object_get(q, "bits"), *mode = json_object_get(q, "mode");
    const int n = json_is_integer(bits) ? (int)json_integer_value(bits) : 0;
    if (n) snprintf(have, sizeof have, "%dbit", n);
    snprintf(asked, sizeof asked, "%.31s", pick);
    for (char *p = asked; (p = strchr(p, '-'));) memmove(p, p + 1, strlen(p));
    const bool float_asked = strcasecmp(asked, "bf16") == 0 || strcasecmp(asked, "fp16") == 0 ||
                             strcasecmp(asked, "f16") == 0 || strcasecmp(asked, "16bit") == 0;
    const bool same = strcasecmp(asked, have) == 0 || (!q && float_asked) ||
                      (json_is_string(mode) && strcasecmp(asked, json_string_value(mode)) == 0);
    json_decref(config);
    if (same) return WICK_OK;
    return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, place, "%s: no \"%.80s\": the weights have %s", place, pick, have);
}
