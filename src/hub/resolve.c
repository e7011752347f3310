/* hub/resolve.c - names to paths: see wick_resolve in discover.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "hub/cache.h"
#include "hub/hub.h"
#include "hub/pick.h"
#include "hub/ref.h"

enum { MAX_GGUF_FILES = 512, MAX_GGUF_DEPTH = 2 };

/* --- one folder --------------------------------------------------------------------------------------------------- */
typedef struct gguf_list {
    char *name[MAX_GGUF_FILES]; /* below the folder */
    wick_gguf_file file[MAX_GGUF_FILES];
    uint32_t n;
} gguf_list;

static void gguf_list_free(gguf_list *l)
{
    for (uint32_t i = 0; l && i < l->n; i++) wick_free(l->name[i]);
    wick_free(l);
}

static uint64_t bytes_of(const char *path)
{
    struct stat sb;
    return stat(path, &sb) == 0 ? (uint64_t)sb.st_size : 0;
}

/* First parts of GGUF models in `dir` and two levels below it. */
static wick_status list_gguf(gguf_list *out, const char *dir, const char *prefix, unsigned depth, wick_err *err)
{
    wick_dir_list l;
    wick_status st = WICK_OK;
    if (wick_dir_list_read(&l, dir, NULL) != WICK_OK) return WICK_OK;
    for (size_t i = 0; i < l.n && st == WICK_OK && out->n < MAX_GGUF_FILES; i++) {
        if (l.name[i][0] == '.') continue;
        char *path = wick_path_join(dir, l.name[i]),
             *name = *prefix ? wick_path_join(prefix, l.name[i]) : wick_strdup(l.name[i]);
        if (!path || !name) {
            st = wick_err_oom(err, "model files", 0, 0);
        } else if (wick_gguf_is_first(l.name[i]) && wick_path_is_file(path)) {
            out->name[out->n] = name;
            out->file[out->n] = (wick_gguf_file){name, bytes_of(path)};
            out->n++;
            name = NULL;
        } else if (depth < MAX_GGUF_DEPTH && wick_path_is_dir(path)) {
            st = list_gguf(out, path, name, depth + 1, err);
        }
        wick_free(path);
        wick_free(name);
    }
    wick_dir_list_free(&l);
    return st;
}

static uint64_t memory_for(const wick_discover_opts *o)
{
    return o->memory_bytes ? o->memory_bytes : wick_memory_available_bytes();
}

static wick_status check_folder_pick(const char *dir, const char *pick, const char *place, wick_err *err)
{
    char *path = wick_path_join(dir, "config.json");
    wick_status st = path ? wick_config_has_pick(path, pick, place, err) : wick_err_oom(err, "a path", 0, 0);
    wick_free(path);
    return st;
}

/* What to open in a folder. *path stays NULL (and the status is WICK_OK) where the folder holds no model. */
static wick_status pick_in_folder(wick_resolved *out, const char *dir, const char *pick, const char *place,
                                  const wick_discover_opts *o, wick_err *err)
{
    const wick_model_folder_kind kind = wick_model_folder_look(dir);
    if (kind != WICK_FOLDER_NO_MODEL && !wick_ends_with(pick, ".gguf")) {
        if (kind == WICK_FOLDER_PARTIAL)
            return WICK_FAIL(err, WICK_E_BAD_FILE, place,
                             "%s: the download in %s is not complete: wick pull goes on with it", place, dir);
        out->path = wick_strdup(dir);
        if (!out->path) return wick_err_oom(err, "path", 0, 0);
        return *pick ? check_folder_pick(dir, pick, place, err) : WICK_OK;
    }
    gguf_list *l = wick_alloc_zero(1, sizeof *l);
    if (!l) return wick_err_oom(err, "model files", sizeof *l, 0);
    wick_status st = list_gguf(l, dir, "", 0, err);
    uint32_t which = 0;
    if (st == WICK_OK && (l->n > 0 || *pick))
        st = wick_gguf_pick(&which, out->why, sizeof out->why, l->file, l->n, pick, memory_for(o), place, err);
    if (st == WICK_OK && l->n > 0) {
        out->path = wick_path_join(dir, l->name[which]);
        if (!out->path) st = wick_err_oom(err, "path", 0, 0);
    }
    gguf_list_free(l);
    return st;
}

/* --- the Hugging Face cache --------------------------------------------------------------------------------------- */
static wick_status in_hub_cache(wick_resolved *out, const wick_model_ref *ref, const char *asked,
                                const wick_discover_opts *o, wick_err *err)
{
    char folder[256];
    wick_hub_repo_folder(ref->repo, folder, sizeof folder);
    char *cache = wick_hub_cache_folder(o), *repo = cache ? wick_path_join(cache, folder) : NULL;
    char *snapshot = repo ? wick_hub_snapshot(repo, ref->revision) : NULL;
    wick_status st = snapshot ? pick_in_folder(out, snapshot, ref->pick, asked, o, err) : WICK_OK;
    wick_free(snapshot);
    wick_free(repo);
    wick_free(cache);
    return st;
}

/* --- what discovery finds ----------------------------------------------------------------------------------------- */
/* How well a found name answers to what was asked: 0 exactly, 1 but for case, 2 its last part, 3 not at all. */
static unsigned match(const char *name, const char *asked)
{
    if (strcmp(name, asked) == 0) return 0;
    if (strcasecmp(name, asked) == 0) return 1;
    size_t n = strlen(asked);
    const char *base = wick_path_base(name);
    if (strcasecmp(base, asked) == 0) return 2;
    /* "qwen2.5" for "qwen2.5:latest", "x" for "x.gguf" */
    if (strncasecmp(name, asked, n) == 0 && strcmp(name + n, ":latest") == 0) return 2;
    return strncasecmp(base, asked, n) == 0 && strcmp(base + n, ".gguf") == 0 ? 2 : 3;
}

static wick_status take(wick_resolved *out, const wick_found *f, wick_err *err)
{
    out->path = wick_strdup(f->path);
    out->manifest = f->manifest ? wick_strdup(f->manifest) : NULL;
    return out->path && (out->manifest || !f->manifest) ? WICK_OK : wick_err_oom(err, "path", 0, 0);
}

/* The GGUF files that are called asked/... : one folder of LM Studio, or of ~/models. */
static wick_status take_group(wick_resolved *out, const wick_found_list *l, const char *asked, const char *pick,
                              const wick_discover_opts *o, wick_err *err)
{
    gguf_list *g = wick_alloc_zero(1, sizeof *g);
    const wick_found *of[MAX_GGUF_FILES];
    uint32_t which = 0;
    const size_t n = strlen(asked);
    if (!g) return wick_err_oom(err, "model files", sizeof *g, 0);
    for (uint32_t i = 0; i < l->n && g->n < MAX_GGUF_FILES && n; i++) {
        const wick_found *f = &l->item[i];
        if (strcmp(f->format, "gguf") != 0 || f->manifest) continue;
        const char *at = strcasestr(f->name, asked);
        if (!at || at[n] != '/' || (at != f->name && at[-1] != '/')) continue;
        of[g->n] = f;
        g->file[g->n++] = (wick_gguf_file){at + n + 1, f->n_bytes};
    }
    wick_status st = WICK_OK;
    if (g->n > 0) {
        st = wick_gguf_pick(&which, out->why, sizeof out->why, g->file, g->n, pick, memory_for(o), asked, err);
        if (st == WICK_OK) st = take(out, of[which], err);
    }
    wick_free(g); /* the names are those of `l` */
    return st;
}

static const wick_found *best_match(const wick_found_list *l, const char *asked)
{
    const wick_found *best = NULL;
    unsigned best_match = 3;
    for (uint32_t i = 0; i < l->n; i++) {
        unsigned m = match(l->item[i].name, asked);
        if (m >= best_match) continue;
        best_match = m;
        best = &l->item[i];
    }
    return best;
}

/* "name:pick" -> "name" in `base`; NULL where no pick can be. */
static const char *split_pick(const char *asked, char *base, size_t cap)
{
    const char *colon = strrchr(asked, ':');
    if (!colon || colon == asked || !colon[1] || strchr(colon, '/') || (size_t)(colon - asked) >= cap) return NULL;
    memcpy(base, asked, (size_t)(colon - asked));
    base[colon - asked] = '\0';
    return colon + 1;
}

static wick_status among_found(wick_resolved *out, const wick_found_list *l, const char *asked,
                               const wick_discover_opts *o, wick_err *err)
{
    char base[512];
    const wick_found *best = best_match(l, asked);
    if (best) return take(out, best, err);
    WICK_TRY(take_group(out, l, asked, "", o, err));
    const char *pick = out->path ? NULL : split_pick(asked, base, sizeof base);
    if (!pick) return WICK_OK;
    WICK_TRY(take_group(out, l, base, pick, o, err));
    best = out->path ? NULL : best_match(l, base);
    if (best && strcmp(best->format, "gguf") != 0) {
        WICK_TRY(take(out, best, err));
        return check_folder_pick(best->path, pick, asked, err);
    }
    return WICK_OK;
}

/* --- nothing was found -------------------------------------------------------------------------------------------- */
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

/* Whole names only: one that does not fit into the message is left out. */
static void list_near(const wick_found_list *l, const char *asked, char *near, size_t cap)
{
    size_t w = 0, length = strlen(wick_path_base(asked)), farthest = length < 13 ? (length + 2) / 3 : 5;
    *near = '\0';
    for (unsigned d = 0; d <= farthest + 1; d++)
        for (uint32_t i = 0; i < l->n; i++) {
            const char *name = l->item[i].name, *base = wick_path_base(name);
            size_t distance = name_distance(base, asked);
            bool contains = length > 2 && distance > farthest && strcasestr(base, wick_path_base(asked));
            if (d <= farthest ? distance != d : !contains) continue;
            if (w + strlen(name) + 3 < cap) w += (size_t)snprintf(near + w, cap - w, "%s%s", w ? ", " : "", name);
        }
}

static wick_status not_found(const wick_found_list *l, const char *asked, const wick_model_ref *ref,
                             const wick_discover_opts *o, wick_err *err)
{
    char near[240];
    list_near(l, asked, near, sizeof near);
    if (*near)
        return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, asked, "%s: model not found: did you mean %s?", asked, near);
    const char *remedy =
        ref && o->hub && o->hub->offline ? "it is not on this disk, and HF_HUB_OFFLINE forbids to download it"
        : ref                            ? "`wick pull` downloads models of this form of name"
              : "give the path of a model folder or file, a name that `wick list` shows, or ORG/NAME of "
                "the Hugging Face hub";
    return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, asked, "%s: model not found: %s", asked, remedy);
}

/* --- all together ------------------------------------------------------------------------------------------------- */
/* A path that exists, or PATH:PICK. out->path stays NULL for what is no path. */
static wick_status as_path(wick_resolved *out, const char *name, const wick_discover_opts *o, wick_err *err)
{
    char base[1024];
    if (wick_path_is_dir(name) && wick_model_folder_look(name) == WICK_FOLDER_NO_MODEL)
        WICK_TRY(pick_in_folder(out, name, "", name, o, err));
    if (!out->path && wick_path_exists(name)) {
        out->path = wick_strdup(name);
        return out->path ? WICK_OK : wick_err_oom(err, "path", 0, 0);
    }
    const char *pick = out->path ? NULL : split_pick(name, base, sizeof base);
    return pick && wick_path_is_dir(base) ? pick_in_folder(out, base, pick, name, o, err) : WICK_OK;
}

/* ./models/NAME and ~/models/NAME, with or without .gguf: also a link, which discovery counts as the model that it
 * leads to. */
static wick_status in_models_folders(wick_resolved *out, const char *name, const wick_discover_opts *o, wick_err *err)
{
    if (strchr(name, '/') || name[0] == '.') return WICK_OK;
    for (int k = 0; k < 4 && !out->path; k++) {
        wick_buf b = WICK_BUF_INIT;
        if (k >= 2 && (!o->home || !*o->home)) break;
        wick_buf_printf(&b, "%s%smodels/%s%s", k < 2 ? "" : o->home, k < 2 ? "" : "/", name, k % 2 ? ".gguf" : "");
        const char *path = wick_buf_str(&b);
        wick_status st = WICK_OK;
        if (wick_path_is_dir(path))
            st = pick_in_folder(out, path, "", name, o, err);
        else if (wick_path_is_file(path) && !(out->path = wick_strdup(path)))
            st = wick_err_oom(err, "path", 0, 0);
        wick_buf_release(&b);
        if (st != WICK_OK) return st;
    }
    return WICK_OK;
}

static wick_status download(wick_resolved *out, const wick_model_ref *ref, const wick_discover_opts *o, wick_err *err)
{
    wick_pulled p;
    WICK_TRY(wick_hub_pull(&p, o, o->hub, ref, err));
    out->path = p.path;
    p.path = NULL;
    memcpy(out->why, p.why, sizeof out->why);
    wick_pulled_release(&p);
    return WICK_OK;
}

/* "models/x" where ./models is a folder is meant as a path, and nobody is asked over the network. */
static bool is_local_folder(const char *name)
{
    char org[128];
    snprintf(org, sizeof org, "%.*s", (int)strcspn(name, "/"), name);
    return wick_path_is_dir(org);
}

/* The hub did not give it: perhaps something on this disk was meant. */
static void add_near(const wick_found_list *l, const char *asked, wick_err *err)
{
    char near[160];
    list_near(l, asked, near, sizeof near);
    if (!err || !*near) return;
    const size_t n = strlen(err->message);
    if (n + strlen(near) + 24 < sizeof err->message)
        snprintf(err->message + n, sizeof err->message - n, "; on this disk there is %s", near);
}

wick_status wick_resolve(wick_resolved *out, const char *name, const wick_discover_opts *o, wick_err *err)
{
    wick_discover_opts all = *o;
    wick_found_list l = {0};
    wick_model_ref ref;
    wick_status st = WICK_OK, partial = WICK_OK;
    wick_err why = {0};
    memset(out, 0, sizeof *out);
    if (!*name) return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, "", "no model given: a path or a name is needed");
    const bool is_ref = wick_model_ref_parse(&ref, name);
    const bool may_fetch = is_ref && o->hub && !o->hub->offline;
    WICK_TRY_GOTO(as_path(out, name, o, err));
    if (!out->path) WICK_TRY_GOTO(in_models_folders(out, name, o, err));
    if (!out->path && is_ref) {
        partial = in_hub_cache(out, &ref, name, o, &why);
        if (partial == WICK_E_OUT_OF_MEMORY) WICK_TRY_GOTO(wick_err_oom(err, name, 0, 0));
        if (partial != WICK_OK) wick_resolved_release(out);
    }
    if (out->path) goto done;
    all.format = NULL;
    WICK_TRY_GOTO(wick_discover(&l, &all, err));
    if (partial == WICK_OK && !ref.revision[0]) WICK_TRY_GOTO(among_found(out, &l, name, o, err));
    if (out->path) goto done;
    if (may_fetch && !is_local_folder(name)) {
        st = download(out, &ref, o, err);
        if (st == WICK_E_MODEL_NOT_FOUND || st == WICK_E_IO) add_near(&l, name, err);
    } else if (partial != WICK_OK) {
        st = partial;
        if (err) *err = why;
    } else {
        st = not_found(&l, name, is_ref ? &ref : NULL, o, err);
    }
done:
    wick_found_list_free(&l);
    if (st != WICK_OK) wick_resolved_release(out);
    return st;
}

void wick_resolved_release(wick_resolved *r)
{
    wick_free(r->path);
    wick_free(r->manifest);
    memset(r, 0, sizeof *r);
}

wick_status wick_resolve_model(char **path, const char *name, const wick_discover_opts *o, wick_err *err)
{
    wick_resolved r;
    WICK_TRY(wick_resolve(&r, name, o, err));
    if (r.why[0]) wick_log(WICK_LOG_WARN, "%s: %s", name, r.why);
    *path = r.path;
    wick_free(r.manifest);
    return WICK_OK;
}
