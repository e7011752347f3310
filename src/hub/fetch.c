/* hub/fetch.c - see fetch.h. One thread and libcurl's multi interface: no state is shared.
 *
 * A file is cut into segments; a transfer fills one, from where it is. A server that ignores the range gets one
 * transfer for the file, which passes over what is there. A transfer never writes before the status and the range of
 * its answer were checked. A failure costs a new try after a pause; a file fails when it got nothing new in several
 * tries.
 */
#include "hub/fetch.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sys.h"
#include "hub/net.h"
#include "hub/part.h"

enum { DEFAULT_CONNECTIONS = 8, MAX_CONNECTIONS = 32, MAX_OPEN = 16, MAX_RETRY_AFTER_S = 60 };
#define DEFAULT_SEGMENT_BYTES (32ull << 20)
#define MAX_SEGMENT_COUNT 65536

typedef enum item_state { ITEM_WAITING, ITEM_OPEN, ITEM_DONE } item_state;

typedef struct item {
    const wick_repo_file *file;
    char *blob, *moved_to; /* moved_to: where the last redirect led, for the other segments */
    wick_part part;
    item_state state;
    int lock_fd;
    uint32_t n_active, failures, wrong;
    bool sequential; /* sequential: the server ignores ranges */
    uint64_t have_at_failure;
    double not_before_ms;
} item;

typedef struct transfer {
    CURL *curl;
    item *it; /* NULL: free */
    struct curl_slist *list;
    char *url;
    unsigned hops;
    uint32_t segment;
    uint64_t pos, end, skip; /* skip: bytes to pass over, where the range was ignored */
    wick_hub_head head;
    bool checked, ignored, own;
    bool whole;     /* of a sequential file: to its end, with or without a range */
    wick_status st; /* of writing, or a wrong answer */
    wick_err why;
    char detail[CURL_ERROR_SIZE];
    wick_fetch *f;
} transfer;

typedef struct fetch_state {
    wick_fetch *f;
    item *it;
    uint32_t n;
    transfer *t;
    uint32_t n_t;
    CURLM *multi;
    wick_status st;
    wick_err *err;
} fetch_state;

/* --- one answer --------------------------------------------------------------------------------------------------- */
static bool is_hex_hash(const char *s)
{
    const size_t n = strlen(s);
    return (n == 40 || n == 64) && strspn(s, "0123456789abcdef") == n;
}

/* The hub's own answer names other contents than its list did. */
static bool has_changed(transfer *t)
{
    const char *want = t->it->file->hash, *got = t->head.etag, *path = t->it->file->path;
    if (!t->own || !is_hex_hash(got) || !is_hex_hash(want) || strlen(got) != strlen(want) || strcmp(got, want) == 0)
        return false;
    t->st = WICK_FAIL(&t->why, WICK_E_BAD_FILE, path, "%s: it has changed on the hub meanwhile: run it again", path);
    return true;
}

/* Looks at status and headers before the first byte is used; a refusal is kept in t->st. */
static bool answer_ok(transfer *t)
{
    long status = 0;
    curl_off_t length = -1;
    const uint64_t n = t->it->part.n_bytes;
    const char *path = t->it->file->path;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    t->checked = true;
    if (status != 200 && status != 206) return true; /* an error's or a redirect's text: passed over */
    if (has_changed(t)) return false;
    const uint64_t total = status == 206 ? t->head.range_total : length >= 0 ? (uint64_t)length : UINT64_MAX;
    if (total != UINT64_MAX && total != n)
        t->st = WICK_FAIL(&t->why, WICK_E_BAD_FILE, path, "%s: the server has %llu bytes, the hub said %llu", path,
                          (unsigned long long)total, (unsigned long long)n);
    else if (status == 206 && t->head.range_from != t->pos)
        t->st = WICK_FAIL(&t->why, WICK_E_BAD_FILE, path, "%s: the server sends another range than the one asked for",
                          path);
    if (status == 200 && t->whole)
        t->skip = t->pos;
    else if (status == 200 && (t->pos > 0 || t->end < n))
        t->ignored = true; /* this transfer ends, one for the whole file follows */
    return t->st == WICK_OK && !t->ignored;
}

static size_t on_data(char *p, size_t size, size_t n, void *ctx)
{
    transfer *t = ctx;
    uint64_t left = size * n;
    long status = 0;
    if (!t->checked && !answer_ok(t)) return 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 206) return size * n;
    const uint64_t passed = left < t->skip ? left : t->skip;
    t->skip -= passed;
    p += passed;
    left -= passed;
    if (left > t->end - t->pos) {
        t->st = WICK_FAIL(&t->why, WICK_E_BAD_FILE, t->it->file->path, "%s: the server sends more than was asked for",
                          t->it->file->path);
        return 0;
    }
    if (left == 0) return size * n;
    t->st = wick_part_write(&t->it->part, t->pos, p, left, &t->why);
    if (t->st != WICK_OK) return 0;
    t->pos += left;
    t->f->n_fetched += left;
    t->f->progress->done += left;
    return size * n;
}

/* --- starting ----------------------------------------------------------------------------------------------------- */
static void end_transfer(fetch_state *s, transfer *t)
{
    if (t->it) t->it->n_active--;
    if (t->curl) {
        curl_multi_remove_handle(s->multi, t->curl);
        curl_easy_cleanup(t->curl);
    }
    curl_slist_free_all(t->list);
    wick_free(t->url);
    memset(t, 0, sizeof *t);
}

/* Sends t->url; the state of the transfer is that before any answer. */
static wick_status send_request(fetch_state *s, transfer *t)
{
    char range[64];
    if (t->curl) {
        curl_multi_remove_handle(s->multi, t->curl);
        curl_easy_reset(t->curl);
        curl_slist_free_all(t->list);
        t->list = NULL;
    } else {
        t->curl = curl_easy_init();
        if (!t->curl) return wick_err_oom(s->err, "a request", 0, 0);
    }
    WICK_TRY(wick_hub_prepare(t->curl, s->f->hub, t->url, &t->list, s->err));
    wick_hub_head_init(&t->head);
    t->own = wick_hub_is_own(s->f->hub, t->url);
    t->checked = false;
    t->detail[0] = '\0';
    curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, t->detail);
    curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, wick_hub_on_header);
    curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, &t->head);
    curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->curl, CURLOPT_PRIVATE, t);
    if (t->pos > 0 || t->end < t->it->part.n_bytes) {
        snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)t->pos, (unsigned long long)(t->end - 1));
        curl_easy_setopt(t->curl, CURLOPT_RANGE, range);
    }
    return curl_multi_add_handle(s->multi, t->curl) == CURLM_OK ? WICK_OK : wick_err_oom(s->err, "a request", 0, 0);
}

static bool in_flight(const fetch_state *s, const item *it, uint32_t segment)
{
    for (uint32_t i = 0; i < s->n_t; i++)
        if (s->t[i].it == it && s->t[i].segment == segment) return true;
    return false;
}

/* The next piece of `it` that nobody fetches; false if there is none now. */
static bool next_piece(const fetch_state *s, const item *it, uint32_t *segment, uint64_t *pos, uint64_t *end)
{
    const wick_part *p = &it->part;
    for (uint32_t i = 0; i < p->n_segments; i++) {
        const uint64_t len = wick_part_segment_len(p, i);
        if (p->done[i] == len || (!it->sequential && in_flight(s, it, i))) continue;
        if (it->sequential && it->n_active > 0) return false;
        *segment = i;
        *pos = i * p->segment_bytes + p->done[i];
        *end = it->sequential ? p->n_bytes : i * p->segment_bytes + len;
        return true;
    }
    return false;
}

static wick_status start_transfers(fetch_state *s)
{
    const double now = wick_time_ms();
    for (uint32_t k = 0; k < s->n_t; k++) {
        transfer *t = &s->t[k];
        if (t->it) continue;
        bool found = false;
        for (uint32_t i = 0; i < s->n && !found; i++) {
            item *it = &s->it[i];
            uint32_t segment = 0;
            uint64_t pos = 0, end = 0;
            if (it->state != ITEM_OPEN || now < it->not_before_ms || !next_piece(s, it, &segment, &pos, &end)) continue;
            found = true;
            memset(t, 0, sizeof *t);
            t->f = s->f;
            t->segment = segment;
            t->whole = it->sequential;
            t->pos = pos;
            t->end = end;
            t->url =
                it->moved_to ? wick_strdup(it->moved_to) : wick_repo_file_url(s->f->repo, s->f->hub, it->file->path);
            if (!t->url) return wick_err_oom(s->err, "a request", 0, 0);
            t->it = it;
            it->n_active++;
            s->f->progress->file = it->file->path;
            WICK_TRY(send_request(s, t));
        }
        if (!found) break;
    }
    return WICK_OK;
}

/* --- locks and files ---------------------------------------------------------------------------------------------- */
static bool lock_item(fetch_state *s, item *it, wick_status *st)
{
    char name[128];
    if (it->lock_fd >= 0) return true;
    snprintf(name, sizeof name, "%s.lock", it->file->hash);
    char *path = wick_path_join(s->f->locks_dir, name);
    const int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644) : -1;
    if (fd < 0) *st = path ? wick_err_io(s->err, path, "open", errno) : wick_err_oom(s->err, "a path", 0, 0);
    wick_free(path);
    if (fd < 0) return false;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP) {
        it->lock_fd = fd; /* file systems without locks: the rename at the end keeps blobs whole */
        return true;
    }
    close(fd);
    return false;
}

static void unlock_item(item *it)
{
    if (it->lock_fd >= 0) close(it->lock_fd);
    it->lock_fd = -1;
}

static void item_done(fetch_state *s, item *it)
{
    it->state = ITEM_DONE;
    s->f->progress->n_done++;
    wick_part_close(&it->part);
    unlock_item(it);
}

static uint64_t segment_bytes(uint64_t n_bytes)
{
    uint64_t n = DEFAULT_SEGMENT_BYTES;
    while (n_bytes / n >= MAX_SEGMENT_COUNT) n *= 2;
    return n;
}

/* Opens files up to the limit; files that another process has locked wait, and may be there when the lock is free. */
static wick_status open_items(fetch_state *s)
{
    uint32_t n_open = 0;
    s->f->progress->waiting = false;
    for (uint32_t i = 0; i < s->n; i++) n_open += s->it[i].state == ITEM_OPEN;
    for (uint32_t i = 0; i < s->n && n_open < MAX_OPEN; i++) {
        item *it = &s->it[i];
        wick_status st = WICK_OK;
        if (it->state != ITEM_WAITING) continue;
        if (!lock_item(s, it, &st)) {
            if (st != WICK_OK) return st;
            s->f->progress->waiting = n_open == 0;
            continue;
        }
        if (wick_path_is_file(it->blob)) {
            const uint64_t had = it->have_at_failure; /* counted at the start already */
            if (it->file->n_bytes > had) s->f->progress->done += it->file->n_bytes - had;
            item_done(s, it);
            continue;
        }
        const uint64_t piece = s->f->hub->segment_bytes ? s->f->hub->segment_bytes : segment_bytes(it->file->n_bytes);
        WICK_TRY(wick_part_open(&it->part, it->blob, it->file->n_bytes, piece, s->err));
        it->state = ITEM_OPEN;
        n_open++;
    }
    return WICK_OK;
}

/* All of a file has come: it is compared with its hash, and gets its name or begins anew, once. */
static wick_status finish_items(fetch_state *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        item *it = &s->it[i];
        bool same = false;
        if (it->state != ITEM_OPEN || it->n_active > 0 || wick_part_have(&it->part) < it->part.n_bytes) continue;
        WICK_TRY(wick_part_check(&it->part, it->file->hash, &same, s->err));
        if (same) {
            WICK_TRY(wick_part_publish(&it->part, s->err));
            item_done(s, it);
            continue;
        }
        s->f->progress->done -= it->part.n_bytes;
        WICK_TRY(wick_part_reset(&it->part, s->err));
        it->have_at_failure = 0;
        if (++it->wrong > 1)
            return WICK_FAIL(s->err, WICK_E_BAD_FILE, it->file->path,
                             "%s: %s came twice with another %s than the hub names: a proxy or mirror changes it",
                             s->f->repo->id, it->file->path, strlen(it->file->hash) == 64 ? "SHA-256" : "SHA-1");
        wick_log(WICK_LOG_INFO, "%s: what came is damaged; it is fetched once more", it->file->path);
    }
    return WICK_OK;
}

/* --- ends of transfers -------------------------------------------------------------------------------------------- */
static wick_status fail_transfer(fetch_state *s, transfer *t, CURLcode code, long status)
{
    item *it = t->it;
    const uint64_t have = wick_part_have(&it->part);
    const bool from_store = !t->own; /* a signed address may have run out */
    const bool may_pass =
        wick_hub_may_pass(code, status) || (from_store && (status == 403 || status == 401 || status == 404));
    if (it->moved_to) {
        wick_free(it->moved_to);
        it->moved_to = NULL;
    }
    if (have > it->have_at_failure) it->failures = 0;
    it->have_at_failure = have;
    it->failures++;
    if (may_pass && it->failures <= wick_hub_retries(s->f->hub) && t->head.retry_after_s <= MAX_RETRY_AFTER_S) {
        it->not_before_ms = wick_time_ms() + wick_hub_pause_ms(s->f->hub, it->failures, &t->head);
        end_transfer(s, t);
        return WICK_OK;
    }
    wick_status st = code != CURLE_OK ? wick_hub_failed(s->f->hub, s->f->repo->id, code, t->detail, s->err)
                                      : wick_hub_refused(s->f->hub, s->f->repo->id, status, &t->head, s->err);
    end_transfer(s, t);
    return st;
}

static wick_status end_of(fetch_state *s, transfer *t, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->ignored) {
        t->it->sequential = true;
        end_transfer(s, t);
        return WICK_OK;
    }
    if (t->st != WICK_OK || (status >= 300 && status < 400 && has_changed(t))) {
        const wick_status st = t->st;
        if (s->err) *s->err = t->why;
        end_transfer(s, t);
        return st;
    }
    if (code == CURLE_OK && status >= 300 && status < 400) {
        char *next = NULL;
        WICK_TRY(wick_hub_redirected(t->curl, t->url, &next, s->err));
        wick_free(t->url);
        t->url = next;
        if (++t->hops > WICK_HUB_MAX_REDIRECTS)
            return WICK_FAIL(s->err, WICK_E_BAD_FILE, t->it->file->path, "%s: more than %d redirects",
                             t->it->file->path, WICK_HUB_MAX_REDIRECTS);
        if (!wick_hub_is_own(s->f->hub, next)) {
            char *copy = wick_strdup(next);
            if (!copy) return wick_err_oom(s->err, "a request", 0, 0);
            wick_free(t->it->moved_to);
            t->it->moved_to = copy;
        }
        return send_request(s, t);
    }
    const bool good = code == CURLE_OK && (status == 200 || status == 206);
    if (good && !t->checked && !answer_ok(t)) return end_of(s, t, code); /* an answer without a body */
    if (good && t->pos == t->end) {
        t->it->failures = 0;
        end_transfer(s, t);
        return WICK_OK;
    }
    return fail_transfer(s, t, good ? CURLE_PARTIAL_FILE : code, status);
}

static wick_status take_ends(fetch_state *s)
{
    int left = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(s->multi, &left));) {
        transfer *t = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        const CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        WICK_TRY(end_of(s, t, code));
    }
    return WICK_OK;
}

static bool all_done(const fetch_state *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->it[i].state != ITEM_DONE) return false;
    return true;
}

static wick_status loop(fetch_state *s)
{
    const wick_hub *hub = s->f->hub;
    while (!all_done(s)) {
        int running = 0;
        WICK_TRY(open_items(s));
        WICK_TRY(start_transfers(s));
        if (curl_multi_perform(s->multi, &running) != CURLM_OK)
            return WICK_FAIL(s->err, WICK_E_INTERNAL, "libcurl", "libcurl: the transfers cannot go on");
        WICK_TRY(take_ends(s));
        WICK_TRY(finish_items(s));
        if (wick_hub_cancelled(hub))
            return WICK_FAIL(s->err, WICK_E_CANCELLED, NULL, "interrupted: what came is kept, run it again to go on");
        if (hub->progress) hub->progress(hub->ctx, s->f->progress);
        if (running > 0)
            curl_multi_poll(s->multi, NULL, 0, 100, NULL);
        else if (!all_done(s))
            usleep(10000);
    }
    return WICK_OK;
}

/* One item for each blob that is not there: two files may have the same contents. */
static wick_status list_items(fetch_state *s)
{
    for (uint32_t i = 0; i < s->f->repo->n; i++) {
        const wick_repo_file *f = &s->f->repo->file[i];
        bool seen = !f->wanted;
        for (uint32_t k = 0; k < s->n && !seen; k++) seen = strcmp(s->it[k].file->hash, f->hash) == 0;
        if (seen) continue;
        item *it = &s->it[s->n];
        it->file = f;
        it->lock_fd = -1;
        it->blob = wick_path_join(s->f->blobs_dir, f->hash);
        if (!it->blob) return wick_err_oom(s->err, "a path", 0, 0);
        it->state = wick_path_is_file(it->blob) ? ITEM_DONE : ITEM_WAITING;
        if (it->state == ITEM_DONE) s->f->progress->n_done++;
        if (it->state == ITEM_WAITING) it->have_at_failure = wick_part_left(it->blob, f->n_bytes);
        s->n++;
    }
    return WICK_OK;
}

wick_status wick_fetch_all(wick_fetch *f, wick_err *err)
{
    fetch_state s = {.f = f, .err = err};
    wick_status st = WICK_OK;
    uint32_t n = f->hub->n_connections ? f->hub->n_connections : DEFAULT_CONNECTIONS;
    s.n_t = n < MAX_CONNECTIONS ? n : MAX_CONNECTIONS;
    s.it = wick_alloc_zero(f->repo->n + 1, sizeof *s.it);
    s.t = wick_alloc_zero(s.n_t, sizeof *s.t);
    s.multi = curl_multi_init();
    if (!s.it || !s.t || !s.multi) {
        st = wick_err_oom(err, "a download", 0, 0);
        goto done;
    }
    WICK_TRY_GOTO(list_items(&s));
    WICK_TRY_GOTO(loop(&s));
done:
    for (uint32_t i = 0; s.t && i < s.n_t; i++)
        if (s.t[i].it) end_transfer(&s, &s.t[i]);
    for (uint32_t i = 0; s.it && i < s.n; i++) {
        if (s.it[i].state == ITEM_OPEN) wick_part_close(&s.it[i].part);
        unlock_item(&s.it[i]);
        wick_free(s.it[i].blob);
        wick_free(s.it[i].moved_to);
    }
    if (s.multi) curl_multi_cleanup(s.multi);
    wick_free(s.it);
    wick_free(s.t);
    return st;
}
