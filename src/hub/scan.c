/* hub/scan.c - see scan.h. Looks at names, config.json and the first keys of a GGUF; opens no weights. */
#include "hub/scan.h"
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/reader.h"
#include "hub/pick.h"

enum {
    MAX_CONFIG_BYTES = 16 << 20,
    MAX_HEADER_BYTES = 8 << 20, /* of a safetensors file, to see who wrote it */
    GGUF_KEYS_LOOKED_AT = 64,
    GGUF_ARRAY_LOOKED_AT = 4096
};
enum { GGUF_U32 = 4, GGUF_STRING = 8, GGUF_ARRAY = 9 };

/* Looking is no use: the time of the last access is put back, where that is allowed. */
static void put_back_time(const char *path, const struct stat *before)
{
    const struct timespec times[2] = {{before->st_atime, 0}, {0, UTIME_OMIT}};
    (void)utimensat(AT_FDCWD, path, times, 0);
}

/* When the model was read last, as far as the file system says: of a folder its config.json. */
static int64_t last_use(const char *path)
{
    struct stat sb;
    char *config = wick_path_is_dir(path) ? wick_path_join(path, "config.json") : NULL;
    const bool known = stat(config ? config : path, &sb) == 0;
    wick_free(config);
    if (!known) return 0;
    return sb.st_atime > sb.st_mtime ? (int64_t)sb.st_atime : (int64_t)sb.st_mtime;
}

static wick_status add(wick_model_scan *s, const wick_found *f)
{
    wick_found_list *l = s->out;
    if (s->format && strcmp(s->format, f->format) != 0) return WICK_OK;
    for (uint32_t i = 0; i < l->n; i++)
        if (strcmp(l->item[i].path, f->path) == 0 && (!f->manifest || strcmp(l->item[i].name, f->name) == 0))
            return WICK_OK; /* tags of Ollama may share a file: each is a model of its own */
    if (l->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 16;
        wick_found *grown = wick_realloc_array(l->item, cap, sizeof *grown);
        if (!grown) return wick_err_oom(s->err, "discover", 0, 0);
        l->item = grown;
        s->cap = cap;
    }
    wick_found *c = &l->item[l->n];
    memset(c, 0, sizeof *c);
    l->n++;
    c->path = wick_strdup(f->path);
    c->name = wick_strdup(f->name);
    c->source = wick_strdup(f->source);
    c->format = wick_strdup(f->format);
    c->model_type = f->model_type ? wick_strdup(f->model_type) : NULL;
    c->quantization = f->quantization ? wick_strdup(f->quantization) : NULL;
    c->manifest = f->manifest ? wick_strdup(f->manifest) : NULL;
    c->mlx = f->mlx;
    c->n_bytes = f->n_bytes;
    c->used = last_use(f->path);
    bool ok = c->path && c->name && c->source && c->format && (c->model_type || !f->model_type) &&
              (c->quantization || !f->quantization) && (c->manifest || !f->manifest);
    return ok ? WICK_OK : wick_err_oom(s->err, "discover", 0, 0);
}

/* True the first time a folder is seen. */
static bool first_visit(wick_model_scan *s, const char *dir)
{
    struct stat sb;
    if (stat(dir, &sb) != 0) return false;
    for (uint32_t i = 0; i < s->n_seen; i++)
        if (s->seen[i].dev == sb.st_dev && s->seen[i].ino == sb.st_ino) return false;
    if (s->n_seen == s->seen_cap) {
        uint32_t cap = s->seen_cap ? s->seen_cap * 2 : 64;
        void *grown = wick_realloc_array(s->seen, cap, sizeof *s->seen);
        if (!grown) return false;
        s->seen = grown;
        s->seen_cap = cap;
    }
    s->seen[s->n_seen].dev = sb.st_dev;
    s->seen[s->n_seen].ino = sb.st_ino;
    s->n_seen++;
    return true;
}

static uint64_t file_bytes(const char *path)
{
    struct stat sb;
    return stat(path, &sb) == 0 && S_ISREG(sb.st_mode) ? (uint64_t)sb.st_size : 0;
}

/* general.file_type of GGUF to the name that quantizers use. */
static const char *gguf_file_type(uint32_t t)
{
    static const char *const names[] = {
        "F32",    "F16",     "Q4_0",   "Q4_1",   NULL,     NULL,     NULL,     "Q8_0",  "Q5_0",    "Q5_1",   "Q2_K",
        "Q3_K_S", "Q3_K_M",  "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S",
        "IQ3_XS", "IQ3_XXS", "IQ1_S",  "IQ4_NL", "IQ3_S",  "IQ3_M",  "IQ2_S",  "IQ2_M", "IQ4_XS",  "IQ1_M",  "BF16"};
    return t < sizeof names / sizeof *names ? names[t] : NULL;
}

/* Width of a GGUF scalar type; 0 for strings, arrays and unknown ones. */
static unsigned gguf_scalar_bytes(uint32_t type)
{
    static const unsigned char width[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof width ? width[type] : 0;
}

static char *read_string(wick_reader *r, uint64_t max)
{
    uint64_t n = wick_read_u64(r);
    const uint8_t *p = n <= max ? wick_read_bytes(r, n) : NULL;
    if (!p) {
        r->failed = true;
        return NULL;
    }
    return wick_strndup((const char *)p, (size_t)n);
}

/* Passes over an array; only a short one of strings, so that no vocabulary is walked through. */
static void skip_array(wick_reader *r)
{
    uint32_t type = wick_read_u32(r);
    uint64_t n = wick_read_u64(r);
    unsigned width = gguf_scalar_bytes(type);
    if (width && n <= UINT64_MAX / width) {
        wick_reader_skip(r, n * width);
    } else if (type == GGUF_STRING && n <= GGUF_ARRAY_LOOKED_AT) {
        for (uint64_t i = 0; i < n && !r->failed; i++) wick_reader_skip(r, wick_read_u64(r));
    } else {
        r->failed = true;
    }
}

/* The two keys that the listing shows. They stand before the vocabulary in every writer's order. */
static void gguf_skim(const wick_file *f, char **arch, const char **quant)
{
    wick_reader r;
    wick_reader_init(&r, f->data, f->n_bytes);
    wick_reader_skip(&r, 8 + 8);
    uint64_t n = wick_read_u64(&r);
    for (uint64_t i = 0; i < n && i < GGUF_KEYS_LOOKED_AT && !r.failed && !(*arch && *quant); i++) {
        char *key = read_string(&r, 256);
        if (!key) return;
        uint32_t type = wick_read_u32(&r);
        if (type == GGUF_STRING) {
            char *v = read_string(&r, 1u << 20);
            if (v && strcmp(key, "general.architecture") == 0 && !*arch) {
                *arch = v;
                v = NULL;
            }
            wick_free(v);
        } else if (type == GGUF_U32 && strcmp(key, "general.file_type") == 0) {
            *quant = gguf_file_type(wick_read_u32(&r));
        } else if (type == GGUF_ARRAY) {
            skip_array(&r);
        } else {
            unsigned width = gguf_scalar_bytes(type);
            if (!width) r.failed = true;
            wick_reader_skip(&r, width);
        }
        wick_free(key);
    }
}

wick_status wick_scan_gguf(wick_model_scan *s, const char *path, const char *source, const char *name,
                           const char *manifest)
{
    wick_file f = {0};
    wick_found m = {0};
    char *arch = NULL;
    const char *quant = NULL;
    struct stat before;
    if (stat(path, &before) != 0 || wick_file_open(&f, path, NULL) != WICK_OK) return WICK_OK;
    if (f.n_bytes < 24 || memcmp(f.data, "GGUF", 4) != 0) {
        wick_file_close(&f);
        return WICK_OK;
    }
    gguf_skim(&f, &arch, &quant);
    m.path = (char *)(uintptr_t)path;
    m.name = (char *)(uintptr_t)name;
    m.source = (char *)(uintptr_t)source;
    m.format = (char *)(uintptr_t) "gguf";
    m.model_type = arch;
    m.quantization = (char *)(uintptr_t)quant;
    m.manifest = (char *)(uintptr_t)manifest;
    m.n_bytes = f.n_bytes;
    wick_file_close(&f);
    put_back_time(path, &before);
    wick_status st = add(s, &m);
    wick_free(arch);
    return st;
}

/* MLX says so in the metadata of its safetensors: {"__metadata__": {"format": "mlx"}}. */
static bool written_by_mlx(const char *path)
{
    wick_file f;
    wick_reader r;
    json_t *header = NULL;
    if (wick_file_open(&f, path, NULL) != WICK_OK) return false;
    wick_reader_init(&r, f.data, f.n_bytes);
    uint64_t n = wick_read_u64(&r);
    const uint8_t *p = n <= MAX_HEADER_BYTES ? wick_read_bytes(&r, n) : NULL;
    if (p && wick_json_parse((const char *)p, (size_t)n, path, &header, NULL) != WICK_OK) header = NULL;
    const char *format = json_string_value(json_object_get(json_object_get(header, "__metadata__"), "format"));
    bool yes = format && strcmp(format, "mlx") == 0;
    json_decref(header);
    wick_file_close(&f);
    return yes;
}

static wick_status scan_folder_model(wick_model_scan *s, const char *dir, const wick_dir_list *l, const char *source,
                                     const char *name, const char *format)
{
    wick_found m = {0};
    json_t *config = NULL;
    char label[32] = "", *path = wick_path_join(dir, "config.json");
    if (!path) return wick_err_oom(s->err, "discover", 0, 0);
    const char *suffix = strcmp(format, "npz") == 0 ? ".npz" : ".safetensors";
    struct stat before;
    const bool timed = stat(path, &before) == 0;
    if (wick_json_load(path, MAX_CONFIG_BYTES, &config, NULL) != WICK_OK) config = NULL;
    if (timed) put_back_time(path, &before);
    wick_free(path);
    for (size_t i = 0; i < l->n; i++) {
        if (!wick_ends_with(l->name[i], suffix)) continue;
        char *p = wick_path_join(dir, l->name[i]);
        if (p && m.n_bytes == 0 && strcmp(format, "safetensors") == 0) m.mlx = written_by_mlx(p);
        if (p) m.n_bytes += file_bytes(p);
        wick_free(p);
    }
    const json_t *q = json_object_get(config, "quantization");
    const json_t *bits = json_object_get(q, "bits");
    const json_t *type = json_object_get(config, "model_type");
    if (json_is_integer(bits)) snprintf(label, sizeof label, "%d-bit", (int)json_integer_value(bits));
    m.path = (char *)(uintptr_t)dir;
    m.name = (char *)(uintptr_t)name;
    m.source = (char *)(uintptr_t)source;
    m.format = (char *)(uintptr_t)format;
    m.model_type = (char *)(uintptr_t)json_string_value(type);
    m.quantization = *label ? label : NULL;
    m.mlx = m.mlx || json_is_object(q) || strstr(dir, "mlx-community") != NULL || strcmp(format, "npz") == 0;
    wick_status st = add(s, &m);
    json_decref(config);
    return st;
}

static bool has(const wick_dir_list *l, const char *suffix, bool whole)
{
    for (size_t i = 0; i < l->n; i++)
        if (whole ? strcmp(l->name[i], suffix) == 0 : wick_ends_with(l->name[i], suffix)) return true;
    return false;
}

/* Bytes of the other parts of the split file whose first part is `first`. */
static uint64_t other_parts_bytes(const char *dir, const wick_dir_list *l, const char *first)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < l->n; i++) {
        bool other = strcmp(l->name[i], first) != 0 && wick_gguf_same_model(first, l->name[i]);
        char *path = other ? wick_path_join(dir, l->name[i]) : NULL;
        if (path) sum += file_bytes(path);
        wick_free(path);
    }
    return sum;
}

static bool is_link(const char *path)
{
    struct stat sb;
    return lstat(path, &sb) == 0 && S_ISLNK(sb.st_mode);
}

/* The links of a folder, or all else in it; `prefix`: of their names, or NULL. */
static wick_status scan_entries(wick_model_scan *s, const char *dir, const wick_dir_list *l, const char *source,
                                const char *prefix, unsigned depth, bool links)
{
    wick_status st = WICK_OK;
    for (size_t i = 0; i < l->n && s->n_entries < WICK_MODEL_SCAN_MAX_ENTRIES && st == WICK_OK; i++) {
        char label[512];
        if (l->name[i][0] == '.') continue;
        char *path = wick_path_join(dir, l->name[i]);
        if (!path) return wick_err_oom(s->err, "discover", 0, 0);
        uint32_t before = s->out->n;
        snprintf(label, sizeof label, "%s%s%s", prefix ? prefix : "", prefix ? "/" : "", l->name[i]);
        if (is_link(path) != links) {
            wick_free(path);
            continue;
        }
        s->n_entries++;
        if (wick_gguf_is_first(l->name[i])) {
            st = wick_scan_gguf(s, path, source, label, NULL);
            if (s->out->n > before) s->out->item[before].n_bytes += other_parts_bytes(dir, l, l->name[i]);
        } else if (wick_path_is_dir(path)) {
            st = wick_scan_tree(s, path, source, label, depth + 1);
        }
        wick_free(path);
    }
    return st;
}

wick_status wick_scan_tree(wick_model_scan *s, const char *dir, const char *source, const char *name, unsigned depth)
{
    wick_dir_list l;
    wick_status st = WICK_OK;
    if (depth > WICK_MODEL_SCAN_MAX_DEPTH || !first_visit(s, dir) || wick_dir_list_read(&l, dir, NULL) != WICK_OK)
        return WICK_OK;
    const char *own = name ? name : wick_path_base(dir);
    bool config = has(&l, "config.json", true);
    if (config && has(&l, ".safetensors", false))
        WICK_TRY_GOTO(scan_folder_model(s, dir, &l, source, own, "safetensors"));
    else if (config && has(&l, ".npz", false))
        WICK_TRY_GOTO(scan_folder_model(s, dir, &l, source, own, "npz"));
    for (int links = 0; links < 2; links++) /* what is here before what is linked to, which may be the same */
        WICK_TRY_GOTO(scan_entries(s, dir, &l, source, depth || name ? own : NULL, depth, links));
done:
    wick_dir_list_free(&l);
    return st;
}
