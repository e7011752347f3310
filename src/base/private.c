/* base/private.c - who may read a file that holds a secret. Apart from file.c because of access control lists: where a
 * file has one, the group's bits of its mode are the list's mask and say nothing about the group. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#if defined(__linux__)
#include <sys/xattr.h>
#endif

#if defined(__linux__)
/* As the kernel lays it out: a version, then entries, all little-endian (linux/posix_acl_xattr.h). */
enum { ACL_USER = 0x02, ACL_GROUP_OBJ = 0x04, ACL_GROUP = 0x08, ACL_MASK = 0x10, ACL_ENTRY_BYTES = 8, ACL_MAX = 64 };

static unsigned le(const unsigned char *p, unsigned n)
{
    unsigned v = 0;
    for (unsigned i = n; i-- > 0;) v = v << 8 | p[i];
    return v;
}

/* Does the list give rights to nobody but the owner and this user? */
static bool list_is_private(const char *path)
{
    unsigned char acl[4 + ACL_MAX * ACL_ENTRY_BYTES];
    const ssize_t n = getxattr(path, "system.posix_acl_access", acl, sizeof acl);
    unsigned mask = 7;
    if (n < 4 || (n - 4) % ACL_ENTRY_BYTES != 0 || le(acl, 4) != 2) return false;
    for (ssize_t at = 4; at < n; at += ACL_ENTRY_BYTES)
        if (le(acl + at, 2) == ACL_MASK) mask = le(acl + at + 2, 2);
    for (ssize_t at = 4; at < n; at += ACL_ENTRY_BYTES) {
        const unsigned tag = le(acl + at, 2), rights = le(acl + at + 2, 2) & mask, id = le(acl + at + 4, 4);
        if (rights && (tag == ACL_GROUP_OBJ || tag == ACL_GROUP)) return false;
        if (rights && tag == ACL_USER && id != geteuid()) return false;
    }
    return true;
}
#else
static bool list_is_private(const char *path)
{
    (void)path;
    return false;
}
#endif

wick_status wick_file_check_private(const char *path, wick_err *err)
{
    struct stat info;
    if (stat(path, &info) != 0) return errno == ENOENT ? WICK_OK : wick_err_io(err, path, "stat", errno);
    if (!(info.st_mode & 07) && (!(info.st_mode & 070) || list_is_private(path))) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, path, "%s: others may read or write it; run chmod 600 on it", path);
}
