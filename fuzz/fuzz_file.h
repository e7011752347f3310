/* fuzz/fuzz_file.h - gives the input a path, for readers that map files. Included by one .c of a target. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fuzz.h"

static const char *fuzz_input_path(const uint8_t *data, size_t n)
{
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
#ifdef __linux__
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
#else
        snprintf(path, sizeof path, "/tmp/wick-fuzz-XXXXXX");
        fd = mkstemp(path);
#endif
    }
    if (fd < 0 || ftruncate(fd, 0) != 0) return NULL;
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(fd, data + done, n - done, (off_t)done);
        if (k <= 0) return NULL;
        done += (size_t)k;
    }
    return path;
}
