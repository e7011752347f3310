/* hub/discover.c - where each tool keeps its models. */
#include "hub/discover.h"
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "hub/cache.h"
#include "hub/ollama.h"
#include "hub/scan.h"

static const struct {
    const char *sub, *source, *name; /* name: what a model in the folder itself is called; NULL: its path below */
} below_home[] = {{"models", "models", NULL},
                  {".cache/lm-studio/models", "lmstudio", NULL},
                  {".lmstudio/models", "lmstudio", NULL},
                  {"mlx-community", "models", "mlx-community"}};
static const char *const here[] = {"models", "mlx-community"};
enum { N_BELOW = sizeof below_home / sizeof *below_home, N_HERE = sizeof here / sizeof *here };

static wick_status scan_below_home(wick_model_scan *s, const wick_discover_opts *o, const char *sub, const char *source,
                                   const char *name)
{
    if (!o->home || !*o->home) return WICK_OK;
    char *dir = wick_path_join(o->home, sub);
    if (!dir) return wick_err_oom(s->err, "discover", 0, 0);
    wick_status st = wick_scan_tree(s, dir, source, name, 0);
    wick_free(dir);
    return st;
}

static wick_status scan_hub(wick_model_scan *s, const wick_discover_opts *o)
{
    wick_dir_list l;
    wick_status st = WICK_OK;
    char *cache = wick_hub_cache_folder(o);
    if (!cache || wick_dir_list_read(&l, cache, NULL) != WICK_OK) {
        wick_free(cache);
        return WICK_OK;
    }
    for (size_t i = 0; i < l.n && st == WICK_OK; i++) {
        char name[512];
        if (!wick_hub_repo_name(l.name[i], name, sizeof name)) continue;
        char *repo = wick_path_join(cache, l.name[i]), *snapshot = repo ? wick_hub_snapshot(repo, "") : NULL;
        if (snapshot) st = wick_scan_tree(s, snapshot, "huggingface", name, 0);
        wick_free(snapshot);
        wick_free(repo);
    }
    wick_dir_list_free(&l);
    wick_free(cache);
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
    wick_model_scan s = {.out = out, .format = o->format, .err = err};
    wick_status st = WICK_OK;
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < o->n_extra; i++) WICK_TRY_GOTO(wick_scan_tree(&s, o->extra[i], "path", NULL, 0));
    for (int i = 0; i < N_HERE; i++) WICK_TRY_GOTO(wick_scan_tree(&s, here[i], "models", i == 0 ? NULL : here[i], 0));
    WICK_TRY_GOTO(scan_hub(&s, o));
    for (int i = 0; i < N_BELOW; i++)
        WICK_TRY_GOTO(scan_below_home(&s, o, below_home[i].sub, below_home[i].source, below_home[i].name));
    WICK_TRY_GOTO(wick_ollama_scan(&s, o));
    for (uint32_t i = 0; i < o->n_installed; i++)
        WICK_TRY_GOTO(wick_scan_tree(&s, o->installed[i], "installed", NULL, 0));
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
        char *const strings[] = {f->path, f->name, f->source, f->format, f->model_type, f->quantization, f->manifest};
        for (size_t j = 0; j < sizeof strings / sizeof *strings; j++) wick_free(strings[j]);
    }
    wick_free(l->item);
    memset(l, 0, sizeof *l);
}

/* Is `real`, a resolved path, the folder `root` or something in it? Frees root. */
static bool lies_in(const char *real, char *root)
{
    char *r = root ? realpath(root, NULL) : NULL;
    const size_t n = r ? strlen(r) : 0;
    const bool in = r && strncmp(real, r, n) == 0 && (real[n] == '\0' || real[n] == '/');
    free(r);
    wick_free(root);
    return in;
}

bool wick_discover_covers(const wick_discover_opts *o, const char *path)
{
    char *real = realpath(path, NULL);
    bool in = false;
    if (!real) return false;
    for (uint32_t i = 0; i < o->n_extra && !in; i++) in = lies_in(real, wick_strdup(o->extra[i]));
    for (uint32_t i = 0; i < o->n_installed && !in; i++) in = lies_in(real, wick_strdup(o->installed[i]));
    for (int i = 0; i < N_HERE && !in; i++) in = lies_in(real, wick_strdup(here[i]));
    for (int i = 0; i < N_BELOW && o->home && *o->home && !in; i++)
        in = lies_in(real, wick_path_join(o->home, below_home[i].sub));
    in = in || lies_in(real, wick_hub_cache_folder(o)) || lies_in(real, wick_ollama_root(o));
    free(real);
    return in;
}
