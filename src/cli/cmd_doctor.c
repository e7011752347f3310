/* cli/cmd_doctor.c - `wick doctor`: what this machine can run, what is slow and why, which caches are how large. Asks
 * nothing over the network. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "backend/backend.h"
#include "backend/pack_cache.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "cli/commands.h"
#include "cli/hubs.h"
#include "cli/session.h"
#include "hub/cache.h"

typedef enum state { FINE, NOTE, BAD } state;
static const char *const state_name[] = {"ok", "note", "bad"};

typedef struct report {
    json_t *list; /* with --json */
    unsigned n_notes, n_bad;
} report;

static void add(report *r, state s, const char *what, const char *text, const char *remedy)
{
    r->n_notes += s == NOTE;
    r->n_bad += s == BAD;
    if (r->list) {
        json_t *o = json_object();
        json_object_set_new(o, "check", json_string(what));
        json_object_set_new(o, "state", json_string(state_name[s]));
        json_object_set_new(o, "text", wick_json_text(text, strlen(text)));
        json_object_set_new(o, "remedy", remedy ? wick_json_text(remedy, strlen(remedy)) : json_null());
        json_array_append_new(r->list, o);
        return;
    }
    char line[1200];
    wick_escape_line(line, sizeof line, text, strlen(text));
    printf("%-5s %-14s %s\n", state_name[s], what, line);
    if (remedy) printf("%-5s %-14s -> %s\n", "", "", remedy);
}

static void look_at_processor(report *r)
{
    char text[400];
    const wick_cpu_features *f = wick_cpu_probe();
    snprintf(text, sizeof text, "%s, %u threads used;%s%s%s%s%s%s%s", wick_cpu_name(), wick_cpu_count(),
             f->avx2_fma_f16c ? " AVX2" : "", f->avx512 ? " AVX-512" : "", f->avx512_vnni || f->avx_vnni ? " VNNI" : "",
             f->avx512_bf16 ? " BF16" : "", f->amx_int8 ? " AMX (not used)" : "",
             f->neon_dotprod ? " NEON dot products" : "", f->neon_i8mm ? " NEON int8 matrices" : "");
#if defined(__x86_64__)
    const bool slow = !f->avx2_fma_f16c;
#elif defined(__aarch64__)
    const bool slow = !f->neon_dotprod;
#else
    const bool slow = true;
#endif
    add(r, slow ? NOTE : FINE, "processor", text,
        slow ? "portable code is used, ten times slower: small models only, or another machine" : NULL);
    if (wick_cpu_count() < 4)
        add(r, NOTE, "processor", "few cores: prompts of thousands of tokens take minutes with models over 1B", NULL);
}

static void look_at_memory(report *r)
{
    char total[32], left[32], text[200];
    const uint64_t all = wick_memory_total_bytes(), now = wick_memory_available_bytes();
    snprintf(text, sizeof text, "%s, of which %s can be used now: models up to about %.0fB at 4 bits",
             wick_format_bytes(total, sizeof total, all), wick_format_bytes(left, sizeof left, now),
             (double)now * 0.8 / 0.6e9 < 1 ? 1.0 : (double)now * 0.8 / 0.6e9);
    add(r, now < all / 4 ? NOTE : FINE, "memory", text, now < all / 4 ? "other programs hold most of it" : NULL);
}

static void look_at_backends(report *r)
{
    const char *const *known = wick_backend_names;
    for (size_t i = 0; known[i]; i++) {
        wick_backend_info info;
        char text[600], size[32];
        const wick_backend *b = wick_backend_find(known[i]);
        memset(&info, 0, sizeof info);
        if (b) b->probe(&info);
        if (!b || !info.available) {
            snprintf(text, sizeof text, "%s is not available%s%s", known[i], b ? ": " : "",
                     b ? info.reason : ", it is not in this build");
            add(r, i == 0 ? BAD : NOTE, "backend", text, b ? NULL : wick_backend_remedy(known[i]));
            continue;
        }
        for (uint32_t k = 0; k < info.n_devices; k++) {
            const wick_device_info *d = &info.device[k];
            snprintf(text, sizeof text, "%s on %s: %s, %s%s", known[i], d->kind, d->name,
                     wick_format_bytes(size, sizeof size, d->memory_bytes),
                     d->unified_memory ? ", unified memory" : "");
            add(r, FINE, "backend", text, d->advice);
        }
    }
}

static void look_at_disk(report *r, const char *what, const char *dir, uint64_t used)
{
    struct statvfs v;
    char text[1400], a[32], b[32];
    if (!dir) return;
    const bool known = statvfs(dir, &v) == 0;
    const uint64_t room = known ? (uint64_t)v.f_bavail * v.f_frsize : 0;
    if (known)
        snprintf(text, sizeof text, "%s in %s, %s free there", wick_format_bytes(a, sizeof a, used), dir,
                 wick_format_bytes(b, sizeof b, room));
    else
        snprintf(text, sizeof text, "%s is not there yet", dir);
    const bool full = known && room < (5ull << 30);
    add(r, full ? NOTE : FINE, what, text,
        full ? "little room: wick rm and wick cache clear make some, HF_HUB_CACHE moves downloads" : NULL);
}

static wick_status look_at_models(report *r, const wick_args *a, wick_err *err)
{
    wick_discover_opts o;
    wick_found_list l;
    uint64_t hub = 0, all = 0;
    uint32_t partial = 0;
    char text[200], size[32];
    wick_discover_opts_from(&o, a);
    WICK_TRY(wick_discover(&l, &o, err));
    for (uint32_t i = 0; i < l.n; i++) {
        const wick_found *f = &l.item[i];
        all += f->n_bytes;
        if (strcmp(f->source, "huggingface") == 0) hub += f->n_bytes;
        if (wick_path_is_dir(f->path) && wick_model_folder_look(f->path) == WICK_FOLDER_PARTIAL) {
            snprintf(text, sizeof text, "%.120s is not complete", f->name);
            add(r, NOTE, "models", text, "wick pull goes on with it, wick rm removes it");
            partial++;
        }
    }
    snprintf(text, sizeof text, "%u are here, %s", l.n - partial, wick_format_bytes(size, sizeof size, all));
    add(r, l.n ? FINE : NOTE, "models", text, l.n ? NULL : "wick pull mlx-community/Qwen3-0.6B-4bit");
    wick_found_list_free(&l);
    char *cache = wick_hub_cache_folder(&o);
    look_at_disk(r, "downloads", cache, hub);
    wick_free(cache);
    return WICK_OK;
}

static void look_at_hub(report *r, const wick_args *a)
{
    char text[600];
    const wick_hub *hub = wick_hub_from_args(a);
    snprintf(text, sizeof text, "%s%s; %s%s", hub->endpoint ? hub->endpoint : "https://huggingface.co",
             hub->offline ? " (not asked: HF_HUB_OFFLINE)" : "",
             hub->token ? "token from " : "no token: gated and private models need wick login",
             hub->token ? hub->token_source : "");
    add(r, hub->offline ? NOTE : FINE, "hub", text, NULL);
    struct stat sb;
    if (a->token_file_path && stat(a->token_file_path, &sb) == 0 && (sb.st_mode & 077))
        add(r, BAD, "hub", "others on this machine can read the token's file", "chmod 600 it");
}

static void look_at_packed(report *r, const wick_args *a)
{
    wick_pack_list l;
    if (!a->cache_dir) {
        add(r, NOTE, "packed weights", "are not kept: each start packs anew", "--pack-cache DIR or HOME");
        return;
    }
    if (wick_pack_list_read(&l, a->cache_dir, NULL) != WICK_OK) return;
    look_at_disk(r, "packed weights", a->cache_dir, l.n_bytes);
    uint32_t stale = 0;
    for (uint32_t i = 0; i < l.n; i++) stale += strcmp(l.item[i].state, "ok") != 0;
    if (stale)
        add(r, NOTE, "packed weights", "some will not be used any more",
            "wick cache list shows them, wick cache clear removes all");
    wick_pack_list_free(&l);
}

static wick_status run_doctor(const wick_args *a, wick_err *err)
{
    report r = {.list = a->json ? json_array() : NULL};
    look_at_processor(&r);
    look_at_memory(&r);
    look_at_backends(&r);
    wick_status st = look_at_models(&r, a, err);
    look_at_hub(&r, a);
    look_at_packed(&r, a);
    if (st != WICK_OK || !a->json) {
        json_decref(r.list);
        return st;
    }
    return wick_print_json(json_pack("{s:s, s:i, s:i, s:o}", "version", WICK_VERSION, "notes", (int)r.n_notes, "bad",
                                     (int)r.n_bad, "checks", r.list),
                           err);
}

const wick_command wick_cmd_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "what this machine can run, what is slow and why, how large the caches are",
    .about =
        "Each line is ok, note (slow, or missing) or bad (broken), with what to do. Asks nothing over the network.",
    .examples = "wick doctor\t\nwick doctor --json\tfor a bug report",
    .group = {&wick_opts_cache, &wick_opts_common},
    .run = run_doctor,
};
