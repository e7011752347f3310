/* hub/ollama.c - see ollama.h. */
#include "hub/ollama.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"

enum { MAX_MANIFEST_BYTES = 1 << 20, MAX_LAYER_BYTES = 1 << 20 };

/* The path of the blob that a layer names; NULL for what is no digest. Caller frees. */
static char *blob_path(const char *root, const json_t *layer)
{
    const char *digest = json_string_value(json_object_get(layer, "digest"));
    char blob[96];
    if (!digest || !wick_starts_with(digest, "sha256:") || strlen(digest) != 71 ||
        strspn(digest + 7, "0123456789abcdef") != 64)
        return NULL;
    snprintf(blob, sizeof blob, "blobs/sha256-%s", digest + 7);
    return wick_path_join(root, blob);
}

static bool is_layer(const json_t *layer, const char *kind)
{
    const char *type = json_string_value(json_object_get(layer, "mediaType"));
    return type && wick_ends_with(type, kind);
}

/* One manifest: the layer of type ...image.model names the blob, which is a GGUF file. */
static wick_status scan_manifest(wick_model_scan *s, const char *root, const char *path, const char *name)
{
    json_t *m = NULL;
    const json_t *layer;
    size_t i;
    wick_status st = WICK_OK;
    if (wick_json_load(path, MAX_MANIFEST_BYTES, &m, NULL) != WICK_OK) return WICK_OK;
    json_array_foreach(json_object_get(m, "layers"), i, layer)
    {
        char *file = is_layer(layer, "image.model") ? blob_path(root, layer) : NULL;
        if (file) st = wick_scan_gguf(s, file, "ollama", name, path);
        wick_free(file);
        if (st != WICK_OK) break;
    }
    json_decref(m);
    return st;
}

/* manifests/<registry>/<namespace>/<model>/<tag>; `name` grows as model, then model:tag. */
static wick_status scan_level(wick_model_scan *s, const char *root, const char *dir, const char *name, unsigned level)
{
    wick_dir_list l;
    wick_status st = WICK_OK;
    if (wick_dir_list_read(&l, dir, NULL) != WICK_OK) return WICK_OK;
    for (size_t i = 0; i < l.n && st == WICK_OK && s->n_entries < WICK_MODEL_SCAN_MAX_ENTRIES; i++) {
        char *path = wick_path_join(dir, l.name[i]), label[512];
        s->n_entries++;
        if (!path) {
            st = wick_err_oom(s->err, "discover", 0, 0);
            break;
        }
        if (level == 3) {
            snprintf(label, sizeof label, "%s:%s", name, l.name[i]);
            if (wick_path_is_file(path)) st = scan_manifest(s, root, path, label);
        } else if (wick_path_is_dir(path)) {
            bool plain = level == 0 || (level == 1 && strcmp(l.name[i], "library") == 0);
            snprintf(label, sizeof label, "%s%s%s", plain ? "" : name, *name && !plain ? "/" : "",
                     plain ? "" : l.name[i]);
            st = scan_level(s, root, path, label, level + 1);
        }
        wick_free(path);
    }
    wick_dir_list_free(&l);
    return st;
}

char *wick_ollama_root(const wick_discover_opts *o)
{
    return o->ollama_models && *o->ollama_models ? wick_strdup(o->ollama_models)
           : o->home && *o->home                 ? wick_path_join(o->home, ".ollama/models")
                                                 : NULL;
}

wick_status wick_ollama_scan(wick_model_scan *s, const wick_discover_opts *o)
{
    char *root = wick_ollama_root(o);
    char *manifests = root ? wick_path_join(root, "manifests") : NULL;
    wick_status st = manifests ? scan_level(s, root, manifests, "", 0) : WICK_OK;
    wick_free(manifests);
    wick_free(root);
    return st;
}

/* .../manifests/<registry>/<namespace>/<model>/<tag> -> ...; NULL for another place */
static char *root_of(const char *manifest)
{
    size_t n = strlen(manifest);
    for (unsigned up = 0; up < 5; up++) {
        while (n > 0 && manifest[n - 1] != '/') n--;
        if (n == 0) return NULL;
        n--;
    }
    return wick_starts_with(manifest + n, "/manifests/") ? wick_strndup(manifest, n) : NULL;
}

static wick_status read_layer(const char *root, const json_t *layer, char **out, wick_err *err)
{
    char *path = blob_path(root, layer);
    if (!path) return WICK_FAIL(err, WICK_E_BAD_FILE, root, "%s: a manifest names a layer without a digest", root);
    wick_free(*out);
    *out = NULL;
    wick_status st = wick_file_read(path, MAX_LAYER_BYTES, out, NULL, err);
    wick_free(path);
    return st;
}

wick_status wick_ollama_settings_read(wick_ollama_settings *s, const char *manifest, wick_err *err)
{
    json_t *m = NULL;
    const json_t *layer;
    size_t i;
    char *params = NULL, *root = root_of(manifest);
    wick_status st = WICK_OK;
    memset(s, 0, sizeof *s);
    if (!root) return WICK_FAIL(err, WICK_E_BAD_FILE, manifest, "%s: no manifest of Ollama", manifest);
    WICK_TRY_GOTO(wick_json_load(manifest, MAX_MANIFEST_BYTES, &m, err));
    json_array_foreach(json_object_get(m, "layers"), i, layer)
    {
        if (is_layer(layer, "image.system")) WICK_TRY_GOTO(read_layer(root, layer, &s->system, err));
        if (is_layer(layer, "image.template")) WICK_TRY_GOTO(read_layer(root, layer, &s->go_template, err));
        if (is_layer(layer, "image.params")) WICK_TRY_GOTO(read_layer(root, layer, &params, err));
        if (is_layer(layer, "image.adapter")) s->adapter = true;
    }
    if (params) WICK_TRY_GOTO(wick_json_parse(params, strlen(params), manifest, &s->parameters, err));
    if (s->parameters && !json_is_object(s->parameters))
        st = WICK_FAIL(err, WICK_E_BAD_FILE, manifest, "%s: its parameters are no object", manifest);
done:
    json_decref(m);
    wick_free(params);
    wick_free(root);
    if (st != WICK_OK) wick_ollama_settings_release(s);
    return st;
}

void wick_ollama_settings_release(wick_ollama_settings *s)
{
    wick_free(s->system);
    wick_free(s->go_template);
    json_decref(s->parameters);
    memset(s, 0, sizeof *s);
}
