/* backend/mlx/api.c - opening MLX at run time; see api.h. docs/decisions/ says why it is not linked. */
#include "backend/mlx/api.h"

#include <dlfcn.h>
#include <limits.h>
#include "base/thread.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

#ifndef WICK_MLX_LIBRARY /* a name is looked for beside the program, a path is taken as it is */
#define WICK_MLX_LIBRARY "libwick_mlx.so"
#endif
#ifndef WICK_MLX_LIBDIR
#define WICK_MLX_LIBDIR "/usr/local/lib"
#endif
#ifdef __APPLE__
#define INSTALL "pip install mlx"
#else
#define INSTALL "pip install \"mlx[cpu]\" (or \"mlx[cuda13]\")"
#endif

wick_mlx_api wick_mlx;

static wick_once once = WICK_ONCE_INIT;
static bool loaded;
static char why_not[400];
static _Thread_local char message[400];

static void on_error(const char *msg, void *data)
{
    (void)data;
    wick_escape_line(message, sizeof message, msg, strlen(msg));
}

/* The folder of the file that holds this function: of the program, or of libwick. */
static bool own_folder(char *dst, size_t cap)
{
    char path[PATH_MAX];
    Dl_info info;
    const char *name = NULL;
#ifdef __linux__ /* for a program started through PATH dladdr gives only argv[0] */
    if (dladdr((const void *)&wick_mlx, &info) && info.dli_fname && strchr(info.dli_fname, '/'))
        name = realpath(info.dli_fname, path);
    if (!name) name = realpath("/proc/self/exe", path);
#else
    if (dladdr((const void *)&wick_mlx, &info) && info.dli_fname) name = realpath(info.dli_fname, path);
#endif
    const char *slash = name ? strrchr(name, '/') : NULL;
    if (!slash || (size_t)(slash - name) >= cap) return false;
    memcpy(dst, name, (size_t)(slash - name));
    dst[slash - name] = 0;
    return true;
}

static void *try_open(const char *path)
{
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const char *e = lib ? NULL : dlerror();
    if (!e) return lib;
    /* of several places, the one where the file exists says why it cannot be used */
    bool absent = strstr(e, WICK_MLX_LIBRARY) && (strstr(e, "No such file") || strstr(e, "no such file"));
    if (!absent || !why_not[0]) wick_escape_line(why_not, sizeof why_not, e, strlen(e));
    return NULL;
}

static void *find_library(void)
{
    static const char *const below[] = {"", "/../lib", "/../lib/wick"};
    char folder[PATH_MAX], path[PATH_MAX + 64];
    void *lib = NULL;
    if (strchr(WICK_MLX_LIBRARY, '/')) return try_open(WICK_MLX_LIBRARY);
    if (own_folder(folder, sizeof folder)) {
        for (size_t i = 0; !lib && i < sizeof below / sizeof *below; i++) {
            snprintf(path, sizeof path, "%s%s/%s", folder, below[i], WICK_MLX_LIBRARY);
            lib = try_open(path);
        }
    }
    return lib ? lib : try_open(WICK_MLX_LIBDIR "/" WICK_MLX_LIBRARY);
}

static void load_once(void)
{
    void *lib = find_library();
    if (!lib) return;
    static const struct {
        const char *name;
        size_t at;
    } function[] = {
#define F(name) {"mlx_" #name, offsetof(wick_mlx_api, name)},
#include "backend/mlx/api.def"
#undef F
    };
    for (size_t i = 0; i < sizeof function / sizeof *function; i++) {
        void *p = dlsym(lib, function[i].name);
        if (!p) {
            snprintf(why_not, sizeof why_not, "%s has no function %s: it is of another version", WICK_MLX_LIBRARY,
                     function[i].name);
            return;
        }
        memcpy((char *)&wick_mlx + function[i].at, &p, sizeof p);
    }
    wick_mlx.set_error_handler(on_error, NULL, NULL);
    loaded = true;
}

wick_status wick_mlx_load(wick_err *err)
{
    wick_call_once(&once, load_once);
    if (loaded) return WICK_OK;
    return WICK_FAIL(err, WICK_E_DEVICE_NOT_AVAILABLE, "mlx", "MLX cannot be loaded (%.200s): %s, then `make mlx`",
                     why_not[0] ? why_not : "not found", INSTALL);
}

const char *wick_mlx_message(void)
{
    static _Thread_local char last[sizeof message];
    memcpy(last, message, sizeof last);
    message[0] = 0;
    return last;
}

wick_status wick_mlx_fail(wick_err *err, const char *what)
{
    const char *m = wick_mlx_message();
    static const char *const memory[] = {"out of memory", "Unable to allocate", "malloc", "Malloc", "OutOfMemory"};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        if (strstr(m, memory[i]))
            return WICK_FAIL(err, WICK_E_OUT_OF_MEMORY, "memory", "%s: MLX has no memory left (%s)", what, m);
    return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "%s: MLX: %s", what, m[0] ? m : "failed without a message");
}
