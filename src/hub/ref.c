/* hub/ref.c - see ref.h. */
#include "hub/ref.h"
#include <ctype.h>
#include <string.h>
#include "base/str.h"

enum { MAX_REPO_PART = 96, MAX_PATH_PART = 255, MAX_PATH = 1000 };

static bool part_ok(const char *p, size_t n)
{
    if (n == 0 || n > MAX_REPO_PART || p[0] == '.' || p[0] == '-') return false;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)p[i]) && !strchr("._-", p[i])) return false;
        if (i + 1 < n && p[i] == '-' && p[i + 1] == '-') return false; /* stands for '/' in the cache's folder names */
    }
    return true;
}

bool wick_hub_path_ok(const char *path)
{
    if (!*path || strlen(path) > MAX_PATH) return false;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || n > MAX_PATH_PART || strspn(p, ".") >= n) return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)p[i] < 0x20 || p[i] == 0x7F || p[i] == '\\') return false;
        p += n;
        if (*p == '/' && !*++p) return false;
    }
    return true;
}

static bool revision_ok(const char *s)
{
    for (const char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-/", *p)) return false;
    return *s != '-' && wick_hub_path_ok(s);
}

static const char *without(const char *s, const char *prefix)
{
    return wick_starts_with(s, prefix) ? s + strlen(prefix) : s;
}

static bool copy(char *dst, size_t cap, const char *s, size_t n)
{
    if (n >= cap) return false;
    memcpy(dst, s, n);
    dst[n] = '\0';
    return true;
}

/* What follows org/name in an address of the site: /tree/REV, /blob/REV/FILE, /resolve/REV/FILE. */
static bool site_tail(wick_model_ref *r, const char *tail)
{
    const char *rev = without(tail, "tree/");
    if (rev == tail) rev = without(tail, "blob/");
    if (rev == tail) rev = without(tail, "resolve/");
    if (rev == tail) return !*tail;
    size_t n = strcspn(rev, "/?#"), m = rev[n] == '/' ? strcspn(rev + n + 1, "?#") : 0;
    return copy(r->revision, sizeof r->revision, rev, n) && revision_ok(r->revision) &&
           copy(r->pick, sizeof r->pick, rev + n + (m > 0), m) && (m == 0 || wick_hub_path_ok(r->pick));
}

bool wick_model_ref_parse(wick_model_ref *r, const char *text)
{
    memset(r, 0, sizeof *r);
    const char *s = without(without(text, "https://"), "http://");
    const bool url = s != text;
    const char *site = without(without(without(s, "www."), "huggingface.co/"), "hf.co/");
    if (site == s && !url) site = without(without(s, "hf://"), "hf:");
    if (url && site == s) return false;
    size_t org = strcspn(site, "/");
    if (site[org] != '/' || !part_ok(site, org)) return false;
    size_t name = strcspn(site + org + 1, "/@:?#"), both = org + 1 + name;
    if (!part_ok(site + org + 1, name) || !copy(r->repo, sizeof r->repo, site, both)) return false;
    const char *p = site + both;
    if (*p == '/') return url && site_tail(r, p + 1);
    if (*p == '@') {
        size_t n = strcspn(p + 1, ":");
        if (!copy(r->revision, sizeof r->revision, p + 1, n) || !revision_ok(r->revision)) return false;
        p += 1 + n;
    }
    if (*p == ':') {
        if (!copy(r->pick, sizeof r->pick, p + 1, strlen(p + 1)) || !wick_hub_path_ok(r->pick)) return false;
        return true;
    }
    return !*p || (url && (*p == '?' || *p == '#'));
}
