/* hub/pull.c - see hub.h: choosing, disk space, blobs, and then the names that lead to them.
 *
 * Order: blobs first, then the links of a snapshot (config.json or the first part of a GGUF last), then
 * refs/<revision>. So a snapshot that is found is whole, whenever the process ends. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "hub/cache.h"
#include "hub/fetch.h"
#include "hub/net.h"
#include "hub/part.h"
#include "hub/pick.h"

#define DISK_MARGIN (64ull << 20) /* left free: journals, the snapshot's links, other programs */

typedef struct places {
    char *cache, *repo, *blobs, *snapshot, *refs, *locks;
} places;

static void places_release(places *p)
{
    char *const all[] = {p->cache, p->repo, p->blobs, p->snapshot, p->refs, p->locks};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) wick_free(all[i]);
}

static wick_status make_places(places *p, const wick_discover_opts *where, const wick_repo *r, wick_err *err)
{
    char folder[256], sub[300];
    memset(p, 0, sizeof *p);
    wick_hub_repo_folder(r->id, folder, sizeof folder);
    p->cache = wick_hub_cache_folder(where);
    if (!p->cache)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "HF_HOME", "no place for downloads: set HF_HOME or HOME");
    p->repo = wick_path_join(p->cache, folder);
    p->blobs = p->repo ? wick_path_join(p->repo, "blobs") : NULL;
    snprintf(sub, sizeof sub, "snapshots/%s", r->commit);
    p->snapshot = p->repo ? wick_path_join(p->repo, sub) : NULL;
    p->refs = p->repo ? wick_path_join(p->repo, "refs") : NULL;
    snprintf(sub, sizeof sub, ".locks/%s", folder);
    p->locks = wick_path_join(p->cache, sub);
    if (!p->repo || !p->blobs || !p->snapshot || !p->refs || !p->locks) return wick_err_oom(err, "a path", 0, 0);
    WICK_TRY(wick_dir_make(p->blobs, err));
    WICK_TRY(wick_dir_make(p->snapshot, err));
    WICK_TRY(wick_dir_make(p->refs, err));
    return wick_dir_make(p->locks, err);
}

/* --- how much, and is there room ---------------------------------------------------------------------------------- */
static bool same_blob_before(const wick_repo *r, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (r->file[k].wanted && strcmp(r->file[k].hash, r->file[i].hash) == 0) return true;
    return false;
}

static wick_status measure(const wick_repo *r, const places *p, wick_hub_progress *pr, wick_err *err)
{
    for (uint32_t i = 0; i < r->n; i++) {
        const wick_repo_file *f = &r->file[i];
        if (!f->wanted || same_blob_before(r, i)) continue;
        if (!wick_add_ok(pr->total, f->n_bytes, &pr->total))
            return WICK_FAIL(err, WICK_E_BAD_FILE, r->id, "%s: the sizes that the hub names are no sizes", r->id);
        char *blob = wick_path_join(p->blobs, f->hash);
        if (!blob) return wick_err_oom(err, "a path", 0, 0);
        pr->had += wick_path_is_file(blob) ? f->n_bytes : wick_part_left(blob, f->n_bytes);
        pr->n_files++;
        wick_free(blob);
    }
    pr->done = pr->had;
    return WICK_OK;
}

static wick_status check_room(const wick_repo *r, const places *p, const wick_hub_progress *pr, wick_err *err)
{
    struct statvfs v;
    char need[32], have[32];
    if (statvfs(p->blobs, &v) != 0) return WICK_OK;
    const uint64_t room = (uint64_t)v.f_bavail * v.f_frsize, want = pr->total - pr->had;
    if (want == 0 || (room >= want && room - want >= (want > DISK_MARGIN ? DISK_MARGIN : 0))) return WICK_OK;
    wick_format_bytes(need, sizeof need, want);
    wick_format_bytes(have, sizeof have, room);
    wick_status st = WICK_FAIL(
        err, WICK_E_IO, r->id,
        "%s: %s more are needed and %s are free in %s: make room (wick rm), or set HF_HUB_CACHE to another disk", r->id,
        need, have, p->cache);
    if (err) {
        err->need = want;
        err->have = room;
    }
    return st;
}

/* --- names -------------------------------------------------------------------------------------------------------- */
static wick_status make_parents(const char *path, wick_err *err)
{
    char *dir = wick_strndup(path, (size_t)(strrchr(path, '/') - path));
    if (!dir) return wick_err_oom(err, "a path", 0, 0);
    wick_status st = wick_dir_make(dir, err);
    wick_free(dir);
    return st;
}

/* snapshots/<commit>/a/b -> ../../../blobs/<hash>, put in place at once; a hard link where the file system has no
 * others. */
static wick_status link_file(const places *p, const wick_repo_file *f, wick_err *err)
{
    wick_buf to = WICK_BUF_INIT, tmp = WICK_BUF_INIT;
    wick_status st = WICK_OK;
    char *at = wick_path_join(p->snapshot, f->path), *blob = wick_path_join(p->blobs, f->hash);
    wick_buf_puts(&to, "../../");
    for (const char *s = f->path; (s = strchr(s, '/')); s++) wick_buf_puts(&to, "../");
    wick_buf_printf(&to, "blobs/%s", f->hash);
    wick_buf_printf(&tmp, "%s.tmp-%llx", at ? at : "", (unsigned long long)wick_random_seed());
    if (!at || !blob || to.failed || tmp.failed) {
        st = wick_err_oom(err, "a path", 0, 0);
        goto done;
    }
    WICK_TRY_GOTO(make_parents(at, err));
    if (symlink(wick_buf_str(&to), wick_buf_str(&tmp)) != 0 && link(blob, wick_buf_str(&tmp)) != 0)
        st = wick_err_io(err, at, "link", errno);
    else if (rename(wick_buf_str(&tmp), at) != 0)
        st = wick_err_io(err, at, "rename", errno);
    unlink(wick_buf_str(&tmp)); /* two hard links to one file: rename leaves both */
done:
    wick_free(at);
    wick_free(blob);
    wick_buf_release(&to);
    wick_buf_release(&tmp);
    return st;
}

static bool goes_last(const wick_repo_file *f, const wick_repo_file *gguf)
{
    return f == gguf || (!gguf && strcmp(f->path, "config.json") == 0);
}

static wick_status link_all(const wick_repo *r, const places *p, const wick_repo_file *gguf, wick_err *err)
{
    for (int last = 0; last < 2; last++)
        for (uint32_t i = 0; i < r->n; i++)
            if (r->file[i].wanted && goes_last(&r->file[i], gguf) == (last == 1))
                WICK_TRY(link_file(p, &r->file[i], err));
    return WICK_OK;
}

/* What loaders of models look for and this repository has not: later they need not ask. */
static wick_status note_absent(const wick_repo *r, const places *p, wick_err *err)
{
    static const char *const names[] = {"generation_config.json", "chat_template.jinja", "chat_template.json",
                                        "tokenizer.json",         "tokenizer.model",     "added_tokens.json",
                                        "special_tokens_map.json"};
    char name[160];
    wick_status st = WICK_OK;
    for (size_t k = 0; k < sizeof names / sizeof *names && st == WICK_OK; k++) {
        bool there = false;
        for (uint32_t i = 0; i < r->n; i++) there |= strcmp(r->file[i].path, names[k]) == 0;
        if (there) continue;
        snprintf(name, sizeof name, ".no_exist/%s/%s", r->commit, names[k]);
        char *path = wick_path_join(p->repo, name);
        if (!path) return wick_err_oom(err, "a path", 0, 0);
        st = wick_path_exists(path) ? WICK_OK : make_parents(path, err);
        const int fd = st == WICK_OK ? open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644) : -1;
        if (fd >= 0) close(fd);
        wick_free(path);
    }
    return st;
}

static wick_status write_ref(const wick_repo *r, const places *p, const char *revision, wick_err *err)
{
    if (strcmp(revision, r->commit) == 0) return WICK_OK;
    char *path = wick_path_join(p->refs, *revision ? revision : "main");
    if (!path) return wick_err_oom(err, "a path", 0, 0);
    wick_status st = make_parents(path, err);
    if (st == WICK_OK) st = wick_file_write(path, r->commit, strlen(r->commit), err);
    wick_free(path);
    return st;
}

/* --- all together ------------------------------------------------------------------------------------------------- */
static wick_status fetch_wanted(wick_repo *r, const places *p, const wick_hub *hub, wick_pulled *out, wick_err *err)
{
    wick_hub_progress pr = {0};
    for (uint32_t i = 0; i < r->n; i++)
        if (r->file[i].wanted) WICK_TRY(wick_repo_file_look(r, &r->file[i], hub, err));
    WICK_TRY(measure(r, p, &pr, err));
    WICK_TRY(check_room(r, p, &pr, err));
    wick_fetch f = {.hub = hub, .repo = r, .blobs_dir = p->blobs, .locks_dir = p->locks, .progress = &pr};
    wick_status st = wick_fetch_all(&f, err);
    out->n_fetched += f.n_fetched;
    out->n_bytes = pr.total;
    out->n_files = pr.n_files;
    pr.file = NULL;
    if (st == WICK_OK) pr.done = pr.total;
    if (hub->progress) hub->progress(hub->ctx, &pr);
    return st;
}

/* A quantization that was asked for of a folder: its config.json says whether it is that one, before the weights are
 * fetched. */
static wick_status check_config(wick_repo *r, const places *p, const wick_hub *hub, const char *pick, wick_pulled *out,
                                wick_err *err)
{
    bool *wanted = wick_alloc_zero(r->n + 1, sizeof *wanted);
    const wick_repo_file *config = NULL;
    if (!wanted) return wick_err_oom(err, "the list of files", 0, 0);
    for (uint32_t i = 0; i < r->n; i++) {
        wanted[i] = r->file[i].wanted;
        r->file[i].wanted = strcmp(r->file[i].path, "config.json") == 0;
        if (r->file[i].wanted) config = &r->file[i];
    }
    wick_status st = fetch_wanted(r, p, hub, out, err);
    char *blob = st == WICK_OK && config ? wick_path_join(p->blobs, config->hash) : NULL;
    if (blob) st = wick_config_has_pick(blob, pick, r->id, err);
    for (uint32_t i = 0; i < r->n; i++) r->file[i].wanted = wanted[i];
    wick_free(blob);
    wick_free(wanted);
    return st;
}

wick_status wick_hub_pull(wick_pulled *out, const wick_discover_opts *where, const wick_hub *hub,
                          const wick_model_ref *ref, wick_err *err)
{
    wick_repo r = {0};
    places p = {0};
    const wick_repo_file *gguf = NULL;
    wick_status st = WICK_OK;
    memset(out, 0, sizeof *out);
    if (hub->offline)
        return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, ref->repo,
                         "%s: not on this disk, and HF_HUB_OFFLINE forbids to ask the hub: unset it", ref->repo);
    WICK_TRY_GOTO(wick_repo_read(&r, hub, ref, err));
    const uint64_t memory = where->memory_bytes ? where->memory_bytes : wick_memory_available_bytes();
    WICK_TRY_GOTO(wick_repo_choose(&r, ref->pick, memory, &gguf, out->why, sizeof out->why, err));
    WICK_TRY_GOTO(make_places(&p, where, &r, err));
    if (!gguf && ref->pick[0]) WICK_TRY_GOTO(check_config(&r, &p, hub, ref->pick, out, err));
    WICK_TRY_GOTO(fetch_wanted(&r, &p, hub, out, err));
    WICK_TRY_GOTO(link_all(&r, &p, gguf, err));
    WICK_TRY_GOTO(note_absent(&r, &p, err));
    WICK_TRY_GOTO(write_ref(&r, &p, ref->revision, err));
    out->path = gguf ? wick_path_join(p.snapshot, gguf->path) : wick_strdup(p.snapshot);
    if (!out->path) st = wick_err_oom(err, "a path", 0, 0);
    snprintf(out->commit, sizeof out->commit, "%s", r.commit);
    if (strcasecmp(r.called, r.id) != 0)
        wick_escape_line(out->renamed, sizeof out->renamed, r.called, strlen(r.called));
done:
    places_release(&p);
    wick_repo_release(&r);
    if (st != WICK_OK) wick_pulled_release(out);
    return st;
}

void wick_pulled_release(wick_pulled *p)
{
    wick_free(p->path);
    memset(p, 0, sizeof *p);
}

wick_status wick_hub_whoami(char **name, const wick_hub *hub, wick_err *err)
{
    wick_hub_answer a;
    json_t *v = NULL;
    char *url = wick_hub_url(hub, "/api/whoami-v2");
    if (!url) return wick_err_oom(err, "a request", 0, 0);
    wick_status st = wick_hub_ask(&a, hub, url, false, "login", err);
    wick_free(url);
    if (st != WICK_OK) return st;
    if (wick_json_parse(a.body.data ? a.body.data : "", a.body.n, "login", &v, NULL) != WICK_OK) v = NULL;
    const char *who = json_string_value(json_object_get(v, "name"));
    *name = who ? wick_strdup(who) : NULL;
    if (!*name)
        st = WICK_FAIL(err, WICK_E_BAD_FILE, "login", "%s does not say whose token this is: check HF_ENDPOINT",
                       wick_hub_endpoint(hub));
    json_decref(v);
    wick_hub_answer_release(&a);
    return st;
}

/* --- removing ----------------------------------------------------------------------------------------------------- */
/* Everything below `path`, without following links. */
static wick_status remove_tree(const char *path, uint64_t *n_bytes, unsigned depth, wick_err *err)
{
    struct stat sb;
    wick_dir_list l;
    if (lstat(path, &sb) != 0) return errno == ENOENT ? WICK_OK : wick_err_io(err, path, "stat", errno);
    if (!S_ISDIR(sb.st_mode)) {
        if (unlink(path) != 0) return wick_err_io(err, path, "remove", errno);
        if (S_ISREG(sb.st_mode) && sb.st_nlink == 1) *n_bytes += (uint64_t)sb.st_blocks * 512;
        return WICK_OK;
    }
    if (depth > 64) return WICK_FAIL(err, WICK_E_LIMIT, path, "%s: folders too deep", path);
    WICK_TRY(wick_dir_list_read(&l, path, err));
    wick_status st = WICK_OK;
    for (size_t i = 0; i < l.n && st == WICK_OK; i++) {
        char *sub = wick_path_join(path, l.name[i]);
        st = sub ? remove_tree(sub, n_bytes, depth + 1, err) : wick_err_oom(err, "a path", 0, 0);
        wick_free(sub);
    }
    wick_dir_list_free(&l);
    if (st == WICK_OK && rmdir(path) != 0) st = wick_err_io(err, path, "remove", errno);
    return st;
}

wick_status wick_hub_remove(uint64_t *n_bytes, const wick_discover_opts *where, const char *repo, wick_err *err)
{
    char folder[256], sub[300];
    uint64_t ignored = 0;
    wick_hub_repo_folder(repo, folder, sizeof folder);
    snprintf(sub, sizeof sub, ".locks/%s", folder);
    char *cache = wick_hub_cache_folder(where), *path = cache ? wick_path_join(cache, folder) : NULL,
         *locks = cache ? wick_path_join(cache, sub) : NULL;
    *n_bytes = 0;
    wick_status st = WICK_OK;
    if (!path || !locks)
        st = wick_err_oom(err, "a path", 0, 0);
    else if (!wick_path_is_dir(path))
        st = WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, repo, "%s: it is not in %s: wick list shows what is", repo, cache);
    if (st == WICK_OK) st = remove_tree(path, n_bytes, 0, err);
    if (st == WICK_OK) st = remove_tree(locks, &ignored, 0, err);
    wick_free(locks);
    wick_free(path);
    wick_free(cache);
    return st;
}
