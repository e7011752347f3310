/* hub/discover.c - where each tool keeps its models, and names to paths. */
#include "hub/discover.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "hub/scan.h"

static wick_status scan_below_home(wick_scan *s, const wick_discover_opts *o, const char *sub, const char *source,
                                   const char *name)
{
    if (!o->home || !*o->home) return WICK_OK;
    char *dir = wick_path_join(o->home, sub);
    if (!dir) return wick_err_oom(s->err, "discover", 0, 0);
    wick_status st = wick_scan_tree(s, dir, source, name, 0);
    wick_free(dir);
    return st;
}

/* The hub cache's folder; NULL if no variable and no home says where. */
static char *hub_cache(const wick_discover_opts *o)
{
    if (o->hf_hub_cache && *o->hf_hub_cache) return wick_strdup(o->hf_hub_cache);
    if (o->hf_home && *o->hf_home) return wick_path_join(o->hf_home, "hub");
    if (o->home && *o->home) return wick_path_join(o->home, ".cache/huggingface/hub");
    return NULL;
}

/* models--org--name -> its snapshot: the one that refs/main names, else the last by name. Caller frees; NULL if none. */
static char *hub_snapshot(const char *repo)
{
    char *snapshots = wick_path_join(repo, "snapshots"), *ref = wick_path_join(repo, "refs/main"), *rev = NULL,
         *path = NULL;
    wick_dir_list l = {0};
    size_t n;
    if (snapshots && ref && wick_file_read(ref, 256, &rev, &n, NULL) == WICK_OK) {
        rev[strcspn(rev, " \r\n")] = '\0';
        if (*rev && !strchr(rev, '/') && strcmp(rev, "..") != 0) path = wick_path_join(snapshots, rev);
        if (path && !wick_path_is_dir(path)) {
            wick_free(path);
            path = NULL;
        }
    }
    if (!path && snapshots && wick_dir_list_read(&l, snapshots, NULL) == WICK_OK && l.n)
        path = wick_path_join(snapshots, l.name[l.n - 1]);
    wick_dir_list_free(&l);
    wick_free(rev);
    wick_free(ref);
    wick_free(snapshots);
    return path;
}

/* "models--org--name" -> "org/name" */
static bool hub_name(const char *folder, char *dst, size_t cap)
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

static wick_status scan_hub(wick_scan *s, const wick_discover_opts *o)
{
    wick_dir_list l;
    wick_status st = WICK_OK;
    char *cache = hub_cache(o);
    if (!cache || wick_dir_list_read(&l, cache, NULL) != WICK_OK) {
        wick_free(cache);
        return WICK_OK;
    }
    for (size_t i = 0; i < l.n && st == WICK_OK; i++) {
        char name[512];
        if (!hub_name(l.name[i], name, sizeof name)) continue;
        char *repo = wick_path_join(cache, l.name[i]), *snapshot = repo ? hub_snapshot(repo) : NULL;
        if (snapshot) st = wick_scan_tree(s, snapshot, "huggingface", name, 0);
        wick_free(snapshot);
        wick_free(repo);
    }
    wick_dir_list_free(&l);
    wick_free(cache);
    return st;
}

/* One manifest: the layer of type ...image.model names the blob, which is a GGUF file. */
static wick_status ollama_manifest(wick_scan *s, const char *root, const char *path, const char *name)
{
    json_t *m = NULL;
    const json_t *layer;
    size_t i;
    wick_status st = WICK_OK;
    if (wick_json_load(path, 1u << 20, &m, NULL) != WICK_OK) return WICK_OK;
    json_array_foreach(json_object_get(m, "layers"), i, layer)
    {
        const char *type = json_string_value(json_object_get(layer, "mediaType"));
        const char *digest = json_string_value(json_object_get(layer, "digest"));
        if (!type || !digest || !wick_ends_with(type, "image.model")) continue;
        if (!wick_starts_with(digest, "sha256:") || strlen(digest) != 71 ||
            strspn(digest + 7, "0123456789abcdef") != 64)
            continue;
        char blob[96];
        snprintf(blob, sizeof blob, "blobs/sha256-%s", digest + 7);
        char *file = wick_path_join(root, blob);
        if (file) st = wick_scan_gguf(s, file, "ollama", name);
        wick_free(file);
        if (st != WICK_OK) break;
    }
    json_decref(m);
    return st;
}

/* manifests/<registry>/<namespace>/<model>/<tag>; `name` grows as model, then model:tag. */
static wick_status ollama_tree(wick_scan *s, const char *root, const char *dir, const char *name, unsigned level)
{
    wick_dir_list l;
    wick_status st = WICK_OK;
    if (wick_dir_list_read(&l, dir, NULL) != WICK_OK) return WICK_OK;
    for (size_t i = 0; i < l.n && st == WICK_OK && s->n_entries < WICK_SCAN_MAX_ENTRIES; i++) {
        char *path = wick_path_join(dir, l.name[i]), label[512];
        s->n_entries++;
        if (!path) {
            st = wick_err_oom(s->err, "discover", 0, 0);
            break;
        }
        if (level == 3) {
            snprintf(label, sizeof label, "%s:%s", name, l.name[i]);
            if (wick_path_is_file(path)) st = ollama_manifest(s, root, path, label);
        } else if (wick_path_is_dir(path)) {
            bool plain = level == 0 || (level == 1 && strcmp(l.name[i], "library") == 0);
            snprintf(label, sizeof label, "%s%s%s", plain ? "" : name, *name && !plain ? "/" : "",
                     plain ? "" : l.name[i]);
            st = ollama_tree(s, root, path, label, level + 1);
        }
        wick_free(path);
    }
    wick_dir_list_free(&l);
    return st;
}

static wick_status scan_ollama(wick_scan *s, const wick_discover_opts *o)
{
    char *root = o->ollama_models && *o->ollama_models ? wick_strdup(o->ollama_models)
                 : o->home && *o->home                 ? wick_path_join(o->home, ".ollama/models")
                                                       : NULL;
    char *manifests = root ? wick_path_join(root, "manifests") : NULL;
    wick_status st = manifests ? ollama_tree(s, root, manifests, "", 0) : WICK_OK;
    wick_free(manifests);
    wick_free(root);
    return st;
}

static int by_name(const void *a, const void *b)
{
    const wick_found *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->path, y->path);
}

wick_status wick_discover(wick_found_list *out, const wick_discover_opts *o, wick_err *err)
{
    wick_scan s = {.out = out, .format = o->format, .err = err};
    wick_status st = WICK_OK;
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < o->n_extra; i++) WICK_TRY_GOTO(wick_scan_tree(&s, o->extra[i], "path", NULL, 0));
    WICK_TRY_GOTO(wick_scan_tree(&s, "models", "models", NULL, 0));
    WICK_TRY_GOTO(wick_scan_tree(&s, "mlx-community", "models", "mlx-community", 0));
    WICK_TRY_GOTO(scan_hub(&s, o));
    WICK_TRY_GOTO(scan_below_home(&s, o, "models", "models", NULL));
    WICK_TRY_GOTO(scan_below_home(&s, o, ".cache/lm-studio/models", "lmstudio", NULL));
    WICK_TRY_GOTO(scan_below_home(&s, o, ".lmstudio/models", "lmstudio", NULL));
    WICK_TRY_GOTO(scan_below_home(&s, o, "mlx-community", "models", "mlx-community"));
    WICK_TRY_GOTO(scan_ollama(&s, o));
    if (out->n) qsort(out->item, out->n, sizeof *out->item, by_name);
done:
    wick_free(s.seen);
    if (st != WICK_OK) wick_found_list_free(out);
    return st;
}

void wick_found_list_free(wick_found_list *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        wick_found *f = &l->item[i];
        char *const strings[] = {f->path, f->name, f->source, f->format, f->model_type, f->quantization};
        for (size_t j = 0; j < sizeof strings / sizeof *strings; j++) wick_free(strings[j]);
    }
    wick_free(l->item);
    memset(l, 0, sizeof *l);
}

/* How well a found name answers to what was asked: 0 exactly, 1 but for case, 2 its last part. */
static unsigned match(const char *name, const char *asked)
{
    if (strcmp(name, asked) == 0) return 0;
    if (strcasecmp(name, asked) == 0) return 1;
    size_t n = strlen(asked);
    if (strcasecmp(wick_path_base(name), asked) == 0) return 2;
    /* "qwen2.5" for "qwen2.5:latest" */
    return strncasecmp(name, asked, n) == 0 && strcmp(name + n, ":latest") == 0 ? 2 : 3;
}

/* Edit distance of the last parts of two names, without regard to case. */
static size_t name_distance(const char *a, const char *b)
{
    char lower[2][128];
    const char *name[2] = {wick_path_base(a), wick_path_base(b)};
    for (size_t k = 0; k < 2; k++) {
        size_t n = strlen(name[k]);
        if (n >= sizeof lower[k]) return SIZE_MAX;
        for (size_t i = 0; i <= n; i++) lower[k][i] = (char)tolower((unsigned char)name[k][i]);
    }
    return wick_edit_distance(lower[0], lower[1]);
}

static wick_status not_found(const wick_found_list *l, const char *asked, wick_err *err)
{
    char near[200] = "";
    size_t w = 0;
    size_t length = strlen(wick_path_base(asked)), farthest = length < 13 ? (length + 2) / 3 : 5;
    for (unsigned d = 0; d <= farthest + 1 && w < sizeof near - 80; d++)
        for (uint32_t i = 0; i < l->n && w < sizeof near - 80; i++) {
            const char *base = wick_path_base(l->item[i].name);
            size_t distance = name_distance(base, asked);
            bool contains = length > 2 && distance > farthest && strcasestr(base, wick_path_base(asked));
            if (d <= farthest ? distance == d : contains)
                w += (size_t)snprintf(near + w, 72, "%s%.60s", w ? ", " : "", l->item[i].name);
        }
    if (w) return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, asked, "%s: model not found: did you mean %s?", asked, near);
    return WICK_FAIL(
        err, WICK_E_MODEL_NOT_FOUND, asked,
        "%s: model not found: give the path of a model folder or file, or a name that `wick discover` lists", asked);
}

wick_status wick_resolve_model(char **path, const char *path_or_id, const wick_discover_opts *o, wick_err *err)
{
    wick_discover_opts all = *o;
    wick_found_list l;
    const wick_found *best = NULL;
    unsigned best_match = 3;
    if (!*path_or_id) return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, "", "no model given: a path or a name is needed");
    if (wick_path_exists(path_or_id)) {
        *path = wick_strdup(path_or_id);
        return *path ? WICK_OK : wick_err_oom(err, "path", 0, 0);
    }
    all.format = NULL;
    WICK_TRY(wick_discover(&l, &all, err));
    for (uint32_t i = 0; i < l.n; i++) {
        unsigned m = match(l.item[i].name, path_or_id);
        if (m < best_match) {
            best_match = m;
            best = &l.item[i];
        }
    }
    wick_status st = WICK_OK;
    if (best) {
        *path = wick_strdup(best->path);
        if (!*path) st = wick_err_oom(err, "path", 0, 0);
    } else {
        st = not_found(&l, path_or_id, err);
    }
    wick_found_list_free(&l);
    return st;
}
