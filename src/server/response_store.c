/* server/response_store.c - see response_store.h. */
#include "server/response_store.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/thread.h"
#include "server/server_int.h"

/* Of user_version: a file of another number is not touched. */
enum { SCHEMA = 1 };

typedef struct pending {
    struct pending *next;
    char *owner;
    json_t *input, *response;
} pending;

struct wick_response_store {
    wick_lock lock; /* of both */
    sqlite3 *db;
    pending *waiting; /* newest first */
    uint64_t limit_bytes;
};

static wick_status failed(wick_response_store *s, const char *doing, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_IO, "response_store", "the store of responses: %s: %.200s", doing,
                     s->db ? sqlite3_errmsg(s->db) : "out of memory");
}

static wick_status run(wick_response_store *s, const char *sql, wick_err *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? WICK_OK : failed(s, sql, err);
}

static int version_of(wick_response_store *s)
{
    sqlite3_stmt *q = NULL;
    int v = -1;
    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        v = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return v;
}

static wick_status prepare_file(wick_response_store *s, const char *path, wick_err *err)
{
    const int version = version_of(s);
    if (version < 0) return failed(s, "reading the file", err);
    if (version > SCHEMA)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "response_store",
                         "%s: is a store of version %d, this program knows %d; use another file", path, version,
                         SCHEMA);
    WICK_TRY(run(s, "PRAGMA journal_mode=WAL", err));
    WICK_TRY(run(s, "PRAGMA synchronous=NORMAL", err));
    WICK_TRY(run(s,
                 "CREATE TABLE IF NOT EXISTS responses (id TEXT PRIMARY KEY, owner TEXT NOT NULL, created INTEGER NOT "
                 "NULL, bytes INTEGER NOT NULL, input TEXT NOT NULL, response TEXT NOT NULL)",
                 err));
    WICK_TRY(run(s, "CREATE INDEX IF NOT EXISTS responses_owner ON responses (owner, created)", err));
    return run(s, "PRAGMA user_version=1", err);
}

wick_status wick_response_store_open(wick_response_store **out, const char *path, uint64_t limit_bytes, wick_err *err)
{
    wick_response_store *s = wick_alloc_zero(1, sizeof *s);
    if (!s) return wick_err_oom(err, "the store of responses", sizeof *s, 0);
    wick_lock_init(&s->lock);
    s->limit_bytes = limit_bytes;
    if (path) { /* SQLite would make it with the umask's rights */
        const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) close(fd);
    }
    wick_status st = WICK_OK;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path ? path : ":memory:", &s->db, flags, NULL) != SQLITE_OK)
        st = failed(s, path ? path : "memory", err);
    if (st == WICK_OK) st = prepare_file(s, path ? path : "memory", err);
    if (st == WICK_OK)
        *out = s;
    else
        wick_response_store_close(s);
    return st;
}

static void free_pending(pending *p)
{
    wick_free(p->owner);
    json_decref(p->input);
    json_decref(p->response);
    wick_free(p);
}

void wick_response_store_close(wick_response_store *s)
{
    if (!s) return;
    if (s->db) wick_response_store_flush(s);
    sqlite3_close(s->db);
    wick_lock_release(&s->lock);
    wick_free(s);
}

static const char *id_of(const json_t *response)
{
    const char *id = json_string_value(json_object_get(response, "id"));
    return id ? id : "";
}

void wick_response_store_put(wick_response_store *s, const char *owner, json_t *input, json_t *response)
{
    pending *p = wick_alloc_zero(1, sizeof *p);
    char *name = wick_strdup(owner);
    if (!p || !name || !input || !response) {
        wick_free(p);
        wick_free(name);
        json_decref(input);
        json_decref(response);
        wick_log(WICK_LOG_WARN, "out of memory: a response is not kept");
        return;
    }
    *p = (pending){NULL, name, input, response};
    wick_lock_take(&s->lock);
    p->next = s->waiting;
    s->waiting = p;
    wick_lock_drop(&s->lock);
}

/* Lock held. The oldest answers of the owner go until the rest is within the limit. */
static int make_room(wick_response_store *s, const char *owner)
{
    sqlite3_stmt *q = NULL;
    static const char sql[] = "DELETE FROM responses WHERE id IN (SELECT id FROM (SELECT id, sum(bytes) OVER (ORDER BY "
                              "created DESC, rowid DESC) "
                              "AS total FROM responses WHERE owner = ?1) WHERE total > ?2)";
    int r = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);
    if (r == SQLITE_OK) {
        sqlite3_bind_text(q, 1, owner, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 2, (sqlite3_int64)s->limit_bytes);
        r = sqlite3_step(q) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
    }
    sqlite3_finalize(q);
    return r;
}

/* Lock held. */
static int write_one(wick_response_store *s, const pending *p)
{
    wick_buf in = WICK_BUF_INIT, out = WICK_BUF_INIT;
    sqlite3_stmt *q = NULL;
    int r = SQLITE_NOMEM;
    if (wick_json_write(&in, p->input) && wick_json_write(&out, p->response) && !in.failed && !out.failed &&
        in.n < INT32_MAX && out.n < INT32_MAX)
        r = sqlite3_prepare_v2(s->db,
                               "INSERT OR REPLACE INTO responses (id, owner, created, bytes, input, response) "
                               "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                               -1, &q, NULL);
    if (r == SQLITE_OK) {
        sqlite3_bind_text(q, 1, id_of(p->response), -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, p->owner, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 3, (sqlite3_int64)time(NULL));
        sqlite3_bind_int64(q, 4, (sqlite3_int64)in.n + (sqlite3_int64)out.n);
        sqlite3_bind_text(q, 5, in.data, (int)in.n, SQLITE_STATIC);
        sqlite3_bind_text(q, 6, out.data, (int)out.n, SQLITE_STATIC);
        r = sqlite3_step(q) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
    }
    sqlite3_finalize(q);
    wick_buf_release(&in);
    wick_buf_release(&out);
    return r == SQLITE_OK ? make_room(s, p->owner) : r;
}

void wick_response_store_flush(wick_response_store *s)
{
    wick_lock_take(&s->lock);
    pending *list = s->waiting, *oldest = NULL;
    s->waiting = NULL;
    while (list) { /* oldest first */
        pending *next = list->next;
        list->next = oldest;
        oldest = list;
        list = next;
    }
    while (oldest) {
        pending *p = oldest;
        oldest = p->next;
        if (write_one(s, p) != SQLITE_OK) wick_log(WICK_LOG_WARN, "a response is not kept: %s", sqlite3_errmsg(s->db));
        free_pending(p);
    }
    wick_lock_drop(&s->lock);
}

static wick_status none(const char *id, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, "response", "there is no response \"%.100s\"", id);
}

/* Lock held. NULL: none waits. */
static pending **find_waiting(wick_response_store *s, const char *owner, const char *id)
{
    for (pending **p = &s->waiting; *p; p = &(*p)->next)
        if (strcmp((*p)->owner, owner) == 0 && strcmp(id_of((*p)->response), id) == 0) return p;
    return NULL;
}

static json_t *column(sqlite3_stmt *q, int i)
{
    const char *text = (const char *)sqlite3_column_text(q, i);
    const int n = sqlite3_column_bytes(q, i);
    return text ? json_loadb(text, (size_t)n, JSON_ALLOW_NUL, NULL) : NULL;
}

wick_status wick_response_store_get(wick_response_store *s, const char *owner, const char *id, json_t **input,
                                    json_t **response, wick_err *err)
{
    sqlite3_stmt *q = NULL;
    wick_status st = WICK_OK;
    wick_lock_take(&s->lock);
    pending **p = find_waiting(s, owner, id);
    if (p) {
        if (input) *input = json_incref((*p)->input);
        if (response) *response = json_incref((*p)->response);
    } else if (sqlite3_prepare_v2(s->db, "SELECT input, response FROM responses WHERE id = ?1 AND owner = ?2", -1, &q,
                                  NULL) != SQLITE_OK) {
        st = failed(s, "reading", err);
    } else {
        sqlite3_bind_text(q, 1, id, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, owner, -1, SQLITE_STATIC);
        const int r = sqlite3_step(q);
        json_t *in = r == SQLITE_ROW ? column(q, 0) : NULL, *out = r == SQLITE_ROW ? column(q, 1) : NULL;
        if (r == SQLITE_DONE)
            st = none(id, err);
        else if (r != SQLITE_ROW || !json_is_array(in) || !json_is_object(out))
            st = failed(s, "reading", err);
        if (st == WICK_OK && input) *input = json_incref(in);
        if (st == WICK_OK && response) *response = json_incref(out);
        json_decref(in);
        json_decref(out);
    }
    sqlite3_finalize(q);
    wick_lock_drop(&s->lock);
    return st;
}

wick_status wick_response_store_delete(wick_response_store *s, const char *owner, const char *id, wick_err *err)
{
    sqlite3_stmt *q = NULL;
    wick_status st = WICK_OK;
    wick_lock_take(&s->lock);
    pending **p = find_waiting(s, owner, id);
    bool any = p != NULL;
    if (p) {
        pending *gone = *p;
        *p = gone->next;
        free_pending(gone);
    }
    if (sqlite3_prepare_v2(s->db, "DELETE FROM responses WHERE id = ?1 AND owner = ?2", -1, &q, NULL) == SQLITE_OK) {
        sqlite3_bind_text(q, 1, id, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, owner, -1, SQLITE_STATIC);
        if (sqlite3_step(q) != SQLITE_DONE) st = failed(s, "deleting", err);
        any |= sqlite3_changes(s->db) > 0;
    } else {
        st = failed(s, "deleting", err);
    }
    sqlite3_finalize(q);
    wick_lock_drop(&s->lock);
    return st == WICK_OK && !any ? none(id, err) : st;
}

wick_status wick_response_store_drop(wick_response_store *s, const char *owner, wick_err *err)
{
    sqlite3_stmt *q = NULL;
    wick_lock_take(&s->lock);
    for (pending **p = &s->waiting; *p;) {
        pending *one = *p;
        if (strcmp(one->owner, owner) != 0) {
            p = &one->next;
            continue;
        }
        *p = one->next;
        free_pending(one);
    }
    wick_status st = WICK_OK;
    if (sqlite3_prepare_v2(s->db, "DELETE FROM responses WHERE owner = ?1", -1, &q, NULL) != SQLITE_OK ||
        sqlite3_bind_text(q, 1, owner, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(q) != SQLITE_DONE)
        st = failed(s, "deleting", err);
    sqlite3_finalize(q);
    wick_lock_drop(&s->lock);
    return st;
}
