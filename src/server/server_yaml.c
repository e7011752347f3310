/* server/server_yaml.c - server.yaml into a wick_server_config: YAML to a JSON tree, then keys checked one by one.
 *
 * Every key is known or refused; numbers are checked against their range; the message names the place in the tree. An
 * alias may not be used: a small file could unfold into a huge one.
 */
#include <math.h>
#include <string.h>
#include <yaml.h>
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "server/server_int.h"

enum { MAX_DEPTH = 16, MAX_FILE = 1 << 20 };

typedef struct place {
    const char *where; /* the file */
    wick_err *err;
    wick_server_config *c;
} place;

#define BAD(p, path, ...) bad(p, path, __VA_ARGS__)

static wick_status bad(const place *p, const char *path, const char *fmt, ...) WICK_PRINTF(3, 4);
static wick_status bad(const place *p, const char *path, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    wick_status st = wick_err_vset(p->err, WICK_E_BAD_PARAMETER, path, fmt, ap);
    va_end(ap);
    wick_err_prefix(p->err, "%s: %s", p->where, path);
    return st;
}

/* --- YAML to JSON ------------------------------------------------------------------------------------------------- */
static json_t *scalar(const yaml_event_t *e)
{
    const char *s = (const char *)e->data.scalar.value;
    int64_t i;
    double d;
    /* Longer ones are digests, not numbers. */
    if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && e->data.scalar.length < 32) {
        if (!*s || strcmp(s, "~") == 0 || strcmp(s, "null") == 0) return json_null();
        if (strcmp(s, "true") == 0) return json_true();
        if (strcmp(s, "false") == 0) return json_false();
        if (wick_parse_i64(s, &i)) return json_integer(i);
        if (wick_parse_f64(s, &d)) return json_real(d);
    }
    return json_stringn(s, e->data.scalar.length);
}

typedef struct yaml_in {
    yaml_parser_t parser;
    const char *where;
    wick_err *err;
} yaml_in;

static wick_status next_event(yaml_in *y, yaml_event_t *e)
{
    if (yaml_parser_parse(&y->parser, e)) return WICK_OK;
    return WICK_FAIL(y->err, WICK_E_BAD_PARAMETER, y->where, "%s: line %zu: %s", y->where,
                     y->parser.problem_mark.line + 1, y->parser.problem ? y->parser.problem : "not valid YAML");
}

static wick_status read_value(yaml_in *y, yaml_event_t *e, unsigned depth, json_t **out);

static wick_status read_list(yaml_in *y, unsigned depth, json_t **out)
{
    json_t *list = json_array(), *v;
    for (;;) {
        yaml_event_t e;
        wick_status st = next_event(y, &e);
        if (st == WICK_OK && e.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&e);
            *out = list;
            return list ? WICK_OK : wick_err_oom(y->err, y->where, 0, 0);
        }
        if (st == WICK_OK) st = read_value(y, &e, depth, &v);
        if (st != WICK_OK) {
            json_decref(list);
            return st;
        }
        if (json_array_append_new(list, v) != 0) {
            json_decref(list);
            return wick_err_oom(y->err, y->where, 0, 0);
        }
    }
}

static wick_status read_map(yaml_in *y, unsigned depth, json_t **out)
{
    json_t *map = json_object(), *v;
    for (;;) {
        yaml_event_t e;
        char key[128] = "";
        wick_status st = next_event(y, &e);
        if (st == WICK_OK && e.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&e);
            *out = map;
            return map ? WICK_OK : wick_err_oom(y->err, y->where, 0, 0);
        }
        if (st == WICK_OK) {
            const size_t line = e.start_mark.line + 1;
            if (e.type != YAML_SCALAR_EVENT || e.data.scalar.length >= sizeof key)
                st = WICK_FAIL(y->err, WICK_E_BAD_PARAMETER, y->where, "%s: line %zu: a key must be a short string",
                               y->where, line);
            else
                snprintf(key, sizeof key, "%s", (const char *)e.data.scalar.value);
            yaml_event_delete(&e);
            if (st == WICK_OK && json_object_get(map, key))
                st = WICK_FAIL(y->err, WICK_E_BAD_PARAMETER, key, "%s: line %zu: %s is given twice", y->where, line,
                               key);
        }
        if (st == WICK_OK) st = next_event(y, &e);
        if (st == WICK_OK) st = read_value(y, &e, depth, &v);
        if (st == WICK_OK && json_object_set_new(map, key, v) != 0) st = wick_err_oom(y->err, y->where, 0, 0);
        if (st != WICK_OK) {
            json_decref(map);
            return st;
        }
    }
}

/* Takes the event. */
static wick_status read_value(yaml_in *y, yaml_event_t *e, unsigned depth, json_t **out)
{
    const size_t line = e->start_mark.line + 1;
    const yaml_event_type_t type = e->type;
    *out = type == YAML_SCALAR_EVENT ? scalar(e) : NULL;
    yaml_event_delete(e);
    if (type == YAML_SCALAR_EVENT && *out) return WICK_OK;
    if (type == YAML_SCALAR_EVENT)
        return WICK_FAIL(y->err, WICK_E_BAD_PARAMETER, y->where, "%s: line %zu: not valid UTF-8", y->where, line);
    if (depth >= MAX_DEPTH)
        return WICK_FAIL(y->err, WICK_E_BAD_PARAMETER, y->where, "%s: line %zu: nested too deeply", y->where, line);
    if (type == YAML_SEQUENCE_START_EVENT) return read_list(y, depth + 1, out);
    if (type == YAML_MAPPING_START_EVENT) return read_map(y, depth + 1, out);
    return WICK_FAIL(y->err, WICK_E_BAD_PARAMETER, y->where, "%s: line %zu: aliases are not supported", y->where, line);
}

static wick_status read_yaml(const char *text, size_t n, const char *where, json_t **out, wick_err *err)
{
    yaml_in y = {.where = where, .err = err};
    yaml_event_t e;
    wick_status st = WICK_OK;
    *out = NULL;
    if (!yaml_parser_initialize(&y.parser)) return wick_err_oom(err, where, 0, 0);
    yaml_parser_set_input_string(&y.parser, (const unsigned char *)text, n);
    for (bool end = false; st == WICK_OK && !end;) {
        st = next_event(&y, &e);
        if (st != WICK_OK) break;
        if (e.type == YAML_STREAM_START_EVENT || e.type == YAML_DOCUMENT_START_EVENT ||
            e.type == YAML_DOCUMENT_END_EVENT || e.type == YAML_STREAM_END_EVENT) {
            end = e.type == YAML_STREAM_END_EVENT;
            yaml_event_delete(&e);
        } else if (*out) {
            yaml_event_delete(&e);
            st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, where, "%s: more than one document", where);
        } else {
            st = read_value(&y, &e, 0, out);
        }
    }
    yaml_parser_delete(&y.parser);
    if (st == WICK_OK && !json_is_object(*out))
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, where, "%s: must be a mapping of keys to values", where);
    if (st != WICK_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

/* --- keys of one mapping, as a table ------------------------------------------------------------------------------ */
typedef enum field_kind { F_STR, F_BOOL, F_U32, F_I32, F_U64, F_BYTES, F_LIST, F_FN } field_kind;
typedef struct field {
    const char *name;
    field_kind kind;
    size_t at;
    double lo, hi;
    const char *choices;
    wick_status (*fn)(const place *p, const char *path, const json_t *v, void *base);
} field;

static bool is_choice(const char *choices, const char *v)
{
    const size_t n = strlen(v);
    for (const char *c = choices; *c; c += strcspn(c, "|"), c += *c == '|')
        if (strcspn(c, "|") == n && strncmp(c, v, n) == 0) return true;
    return false;
}

static wick_status read_strings(const place *p, const char *path, const json_t *v, const char ***out, uint32_t *n)
{
    if (!json_is_array(v)) return BAD(p, path, "must be a list of strings");
    const size_t count = json_array_size(v);
    const char **list = wick_arena_array(&p->c->arena, count + 1, sizeof *list);
    if (!list) return wick_err_oom(p->err, p->where, 0, 0);
    for (size_t i = 0; i < count; i++) {
        const char *s = json_string_value(json_array_get(v, i));
        if (!s) return BAD(p, path, "must be a list of strings");
        list[i] = wick_arena_strdup(&p->c->arena, s);
        if (!list[i]) return wick_err_oom(p->err, p->where, 0, 0);
    }
    *out = list;
    *n = (uint32_t)count;
    return WICK_OK;
}

static wick_status read_number(const place *p, const char *path, const field *f, const json_t *v, void *at)
{
    uint64_t u = 0;
    double d = json_number_value(v);
    if (f->kind == F_BYTES && json_is_string(v)) {
        if (!wick_parse_bytes(json_string_value(v), &u)) return BAD(p, path, "must be a size such as 512M or 8G");
        d = (double)u;
    } else if (!json_is_integer(v)) {
        return BAD(p, path, "must be a whole number, not %s", wick_json_type_name(v));
    } else {
        u = (uint64_t)json_integer_value(v);
    }
    if (!(d >= f->lo && d <= f->hi)) return BAD(p, path, "must be from %.0f to %.0f", f->lo, f->hi);
    if (f->kind == F_U32) *(uint32_t *)at = (uint32_t)u;
    if (f->kind == F_I32) *(int32_t *)at = (int32_t)d;
    if (f->kind == F_U64 || f->kind == F_BYTES) *(uint64_t *)at = u;
    return WICK_OK;
}

static wick_status read_field(const place *p, const char *path, const field *f, const json_t *v, void *base)
{
    void *at = (char *)base + f->at;
    switch (f->kind) {
    case F_STR: {
        const char *s = json_string_value(v);
        if (!s || strlen(s) != json_string_length(v))
            return BAD(p, path, "must be a string, not %s", wick_json_type_name(v));
        if (f->choices && !is_choice(f->choices, s)) return BAD(p, path, "\"%.40s\" is not one of %s", s, f->choices);
        *(const char **)at = wick_arena_strdup(&p->c->arena, s);
        return *(const char **)at ? WICK_OK : wick_err_oom(p->err, p->where, 0, 0);
    }
    case F_BOOL:
        if (!json_is_boolean(v)) return BAD(p, path, "must be true or false, not %s", wick_json_type_name(v));
        *(bool *)at = json_is_true(v);
        return WICK_OK;
    case F_U32:
    case F_I32:
    case F_U64:
    case F_BYTES: return read_number(p, path, f, v, at);
    case F_LIST: /* the count follows the list in every struct that has one */
        return read_strings(p, path, v, at, (uint32_t *)(void *)((char *)at + sizeof(const char **)));
    case F_FN: return f->fn(p, path, v, base);
    }
    return WICK_OK;
}

static wick_status read_fields(const place *p, const char *path, const json_t *map, const field *f, size_t n,
                               void *base)
{
    const char *key;
    json_t *v;
    if (!json_is_object(map)) return BAD(p, path, "must be a mapping, not %s", wick_json_type_name(map));
    json_object_foreach((json_t *)(uintptr_t)map, key, v)
    {
        char at[256];
        const field *found = NULL;
        snprintf(at, sizeof at, "%s%s%.100s", path, *path ? "." : "", key);
        for (size_t i = 0; i < n && !found; i++)
            if (strcmp(f[i].name, key) == 0) found = &f[i];
        if (!found) return BAD(p, at, "is not a key that is known here");
        if (!json_is_null(v)) WICK_TRY(read_field(p, at, found, v, base));
    }
    return WICK_OK;
}

/* --- the parts of the file ---------------------------------------------------------------------------------------- */
#define OPT(f) offsetof(wick_engine_opts, f)

static wick_status read_precision(const place *p, const char *path, const json_t *v, void *base)
{
    static const char *const names[] = {"fast", "fine", "exact"};
    wick_engine_opts *o = base;
    for (int i = 0; json_is_string(v) && i < 3; i++) {
        if (strcmp(json_string_value(v), names[i]) != 0) continue;
        o->device.precision = (wick_precision)i;
        if (i == WICK_PRECISION_EXACT) o->device.kv_dtype = WICK_DTYPE_F32;
        return WICK_OK;
    }
    return BAD(p, path, "must be fast, fine or exact");
}

static wick_status read_kv_type(const place *p, const char *path, const json_t *v, void *base)
{
    static const struct {
        const char *name;
        wick_dtype t;
    } types[] = {{"f16", WICK_DTYPE_F16},
                 {"f32", WICK_DTYPE_F32},
                 {"bf16", WICK_DTYPE_BF16},
                 {"q8_0", WICK_DTYPE_Q8_0},
                 {"q4_0", WICK_DTYPE_Q4_0}};
    for (size_t i = 0; json_is_string(v) && i < sizeof types / sizeof *types; i++) {
        if (strcmp(json_string_value(v), types[i].name) != 0) continue;
        ((wick_engine_opts *)base)->device.kv_dtype = types[i].t;
        return WICK_OK;
    }
    return BAD(p, path, "must be f16, f32, bf16, q8_0 or q4_0");
}

/* Options of one backend, which checks what they say. */
static wick_status read_setting(const place *p, const char *path, const char *key, const json_t *v, void *base)
{
    if (!json_is_boolean(v)) return BAD(p, path, "must be true or false");
    if (!wick_backend_set(&((wick_engine_opts *)base)->device, key, json_is_true(v) ? "on" : "off"))
        return BAD(p, path, "too many options of backends");
    return WICK_OK;
}

static wick_status read_compile(const place *p, const char *path, const json_t *v, void *base)
{
    return read_setting(p, path, "mlx.compile", v, base);
}

static wick_status read_lazy_eval(const place *p, const char *path, const json_t *v, void *base)
{
    return read_setting(p, path, "mlx.lazy_eval", v, base);
}

/* What `runtime.backends[]` and `models[]` both have. */
#define ENGINE_FIELDS                                                                                                \
    {"device", F_STR, OPT(device.device), 0, 0, "auto|cpu|gpu", NULL},                                               \
        {"threads", F_U32, OPT(device.n_threads), 0, 1024, NULL, NULL},                                              \
        {"precision", F_FN, 0, 0, 0, NULL, read_precision}, {"kv_type", F_FN, 0, 0, 0, NULL, read_kv_type},          \
        {"memory_limit", F_BYTES, OPT(device.memory_limit_bytes), 0, 1e18, NULL, NULL},                              \
        {"cpu_isa", F_STR, OPT(device.isa), 0, 0, NULL, NULL}, {"compile", F_FN, 0, 0, 0, NULL, read_compile},       \
        {"lazy_eval", F_FN, 0, 0, 0, NULL, read_lazy_eval}, {"context", F_U32, OPT(n_ctx), 0, 16777216, NULL, NULL}, \
        {"prefill_chunk", F_U32, OPT(prefill_chunk), 0, 65536, NULL, NULL},                                          \
        {"max_seqs", F_U32, OPT(max_seqs), 0, 4096, NULL, NULL},                                                     \
        {"kv_limit", F_BYTES, OPT(kv_limit_bytes), 0, 1e18, NULL, NULL},                                             \
        {"prefix_cache", F_BOOL, OPT(prefix_cache), 0, 0, NULL, NULL},                                               \
        {"no_drafts", F_BOOL, OPT(no_drafts), 0, 0, NULL, NULL}, {"kv_dir", F_STR, OPT(kv_dir), 0, 0, NULL, NULL},   \
        {"kv_disk", F_BYTES, OPT(kv_disk_bytes), 0, 1e18, NULL, NULL}, {"isq", F_STR, OPT(isq), 0, 0, NULL, NULL},   \
    {                                                                                                                \
        "pre", F_STR, OPT(pre), 0, 0, NULL, NULL                                                                     \
    }

static const field backend_fields[] = {{"name", F_STR, OPT(backend), 0, 0, wick_backend_choices, NULL}, ENGINE_FIELDS};
static const field engine_fields[] = {ENGINE_FIELDS};
#define N(a) (sizeof(a) / sizeof *(a))

/* A model's options start as those of its backend's entry in runtime.backends[], if there is one. */
static wick_status backend_defaults(const place *p, const json_t *root, const char *name, wick_engine_opts *o)
{
    const json_t *list = json_object_get(json_object_get(root, "runtime"), "backends");
    for (size_t i = 0; i < json_array_size(list); i++) {
        char path[64];
        const json_t *b = json_array_get(list, i);
        const char *its = json_string_value(json_object_get(b, "name"));
        snprintf(path, sizeof path, "runtime.backends[%zu]", i);
        if (its && strcmp(its, name) == 0) WICK_TRY(read_fields(p, path, b, backend_fields, N(backend_fields), o));
    }
    o->backend = wick_arena_strdup(&p->c->arena, name);
    return o->backend ? WICK_OK : wick_err_oom(p->err, p->where, 0, 0);
}

/* What a flag or the environment said, else what the model says, else the first of runtime.backends[]. */
static const char *backend_of(const place *p, const json_t *root, const json_t *own)
{
    const json_t *first = json_array_get(json_object_get(json_object_get(root, "runtime"), "backends"), 0);
    const char *flag = p->c->engine_defaults.backend, *name = json_string_value(json_object_get(first, "name"));
    if (strcmp(flag, "auto") != 0) return flag;
    return own ? json_string_value(own) : name ? name : flag;
}

static wick_status read_runtime(const place *p, const json_t *v)
{
    const char *key;
    json_t *x;
    if (!v) return WICK_OK;
    if (!json_is_object(v)) return BAD(p, "runtime", "must be a mapping");
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        char path[160];
        snprintf(path, sizeof path, "runtime.%.100s", key);
        if (strcmp(key, "backends") == 0) {
            if (!json_is_array(x)) return BAD(p, path, "must be a list");
            for (size_t i = 0; i < json_array_size(x); i++) {
                wick_engine_opts scratch = p->c->engine_defaults;
                snprintf(path, sizeof path, "runtime.backends[%zu]", i);
                if (!json_object_get(json_array_get(x, i), "name")) return BAD(p, path, "has no name");
                WICK_TRY(read_fields(p, path, json_array_get(x, i), backend_fields, N(backend_fields), &scratch));
            }
        } else if (strcmp(key, "memory_limit") == 0 || strcmp(key, "idle_unload_seconds") == 0) {
            const bool bytes = *key == 'm';
            const field f = {key, bytes ? F_BYTES : F_U64, 0, 0, bytes ? 1e18 : 31536000, NULL, NULL};
            WICK_TRY(read_number(p, path, &f, x, bytes ? &p->c->memory_limit_bytes : &p->c->idle_unload_s));
        } else {
            return BAD(p, path, "is not a key that is known here");
        }
    }
    return WICK_OK;
}

static wick_status read_model(const place *p, const json_t *root, const char *path, const json_t *v)
{
    static const field own[] = {{"path", F_STR, offsetof(wick_model_config, path), 0, 0, NULL, NULL},
                                {"id", F_STR, offsetof(wick_model_config, id), 0, 0, NULL, NULL},
                                {"aliases", F_LIST, offsetof(wick_model_config, alias), 0, 0, NULL, NULL},
                                {"chat_template", F_STR, offsetof(wick_model_config, chat_template), 0, 0, NULL, NULL},
                                {"preload", F_BOOL, offsetof(wick_model_config, preload), 0, 0, NULL, NULL}};
    wick_model_config mine = {.preload = true}, *m;
    wick_engine_opts o = p->c->engine_defaults;
    json_t *rest;
    if (!json_is_object(v)) return BAD(p, path, "must be a mapping");
    const json_t *backend = json_object_get(v, "backend");
    if (backend && !(json_is_string(backend) && is_choice(wick_backend_choices, json_string_value(backend)))) {
        char at[128];
        snprintf(at, sizeof at, "%s.backend", path);
        return BAD(p, at, "must be one of %s", wick_backend_choices);
    }
    WICK_TRY(backend_defaults(p, root, backend_of(p, root, backend), &o));
    json_t *part = json_object();
    rest = json_copy((json_t *)(uintptr_t)v);
    json_object_del(rest, "backend");
    for (size_t i = 0; i < N(own); i++) {
        json_t *x = json_object_get(v, own[i].name);
        if (!x) continue;
        json_object_set(part, own[i].name, x);
        json_object_del(rest, own[i].name);
    }
    wick_status st = read_fields(p, path, part, own, N(own), &mine);
    if (st == WICK_OK) st = read_fields(p, path, rest, engine_fields, N(engine_fields), &o);
    if (st == WICK_OK && !mine.path) st = BAD(p, path, "has no path");
    json_decref(part);
    json_decref(rest);
    WICK_TRY(st);
    WICK_TRY(wick_server_config_add_model(p->c, mine.path, mine.id, &m, p->err));
    m->engine = o;
    m->alias = mine.alias;
    m->n_alias = mine.n_alias;
    if (mine.chat_template) m->chat_template = mine.chat_template;
    m->preload = mine.preload;
    return WICK_OK;
}

static wick_status read_key_scopes(const place *p, const char *path, const json_t *v, void *base)
{
    if (wick_key_scopes_parse(v, &((wick_key_config *)base)->scopes, NULL) == WICK_OK) return WICK_OK;
    return BAD(p, path, "must be a list of infer, metrics, admin, tools, each once");
}

static wick_status read_sha256(const place *p, const char *path, const json_t *v, void *base)
{
    if (wick_key_digest_parse(json_string_value(v), ((wick_key_config *)base)->digest)) return WICK_OK;
    return BAD(p, path, "must be 64 lower-case hexadecimal digits (printf %%s KEY | sha256sum)");
}

static wick_status read_file_name(const place *p, const char *path, const json_t *v, void *base)
{
    (void)base;
    return json_is_string(v) ? WICK_OK : BAD(p, path, "must be the name of a file");
}

static wick_status read_key(const place *p, const char *path, const json_t *v)
{
#define K(f) offsetof(wick_key_config, f)
    static const field fields[] = {{"name", F_STR, K(name), 0, 0, NULL, NULL},
                                   {"file", F_FN, 0, 0, 0, NULL, read_file_name},
                                   {"sha256", F_FN, 0, 0, 0, NULL, read_sha256},
                                   {"scopes", F_FN, 0, 0, 0, NULL, read_key_scopes},
                                   {"requests_per_minute", F_U32, K(requests_per_minute), 0, 4294967295.0, NULL, NULL},
                                   {"tokens_per_minute", F_U32, K(tokens_per_minute), 0, 4294967295.0, NULL, NULL},
                                   {"concurrent", F_U32, K(concurrent), 0, 4294967295.0, NULL, NULL},
                                   {"priority", F_I32, K(priority), -100, 100, NULL, NULL}};
    wick_key_config k = {.scopes = WICK_SCOPE_INFER};
    WICK_TRY(read_fields(p, path, v, fields, N(fields), &k));
    const char *file = json_string_value(json_object_get(v, "file"));
    const bool digest = json_is_string(json_object_get(v, "sha256"));
    if (!k.name || !*k.name) return BAD(p, path, "has no name");
    if (digest == (file != NULL))
        return BAD(p, path, "needs either file or sha256 (a key itself does not belong here)");
    const uint32_t first = p->c->n_key;
    if (file) {
        WICK_TRY(wick_server_config_key_file(p->c, file, k.scopes, p->err));
        if (p->c->n_key != first + 1) return BAD(p, path, "%s: must hold one key", file);
    } else {
        WICK_TRY(wick_server_config_add_key(p->c, k.name, "the-digest-follows", k.scopes, NULL, p->err));
        memcpy(p->c->key[first].digest, k.digest, sizeof k.digest);
    }
    memcpy(k.digest, p->c->key[first].digest, sizeof k.digest);
    p->c->key[first] = k;
    return WICK_OK;
}

static wick_status read_each(const place *p, const json_t *root, const char *name)
{
    const json_t *list = json_object_get(root, name);
    if (!list || json_is_null(list)) return WICK_OK;
    if (!json_is_array(list)) return BAD(p, name, "must be a list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        char path[64];
        snprintf(path, sizeof path, "%s[%zu]", name, i);
        if (*name == 'm')
            WICK_TRY(read_model(p, root, path, json_array_get(list, i)));
        else
            WICK_TRY(read_key(p, path, json_array_get(list, i)));
    }
    return WICK_OK;
}

static wick_status read_server(const place *p, const json_t *v)
{
#define C(f) offsetof(wick_server_config, f)
    uint32_t port = p->c->port;
    json_t *copy;
    static const field fields[] = {{"host", F_STR, C(host), 0, 0, NULL, NULL},
                                   {"tls_cert", F_STR, C(tls_cert), 0, 0, NULL, NULL},
                                   {"tls_key", F_STR, C(tls_key), 0, 0, NULL, NULL},
                                   {"key_store", F_STR, C(key_store), 0, 0, NULL, NULL},
                                   {"model_dirs", F_LIST, C(model_dir), 0, 0, NULL, NULL},
                                   {"allow_hosts", F_LIST, C(allow_host), 0, 0, NULL, NULL},
                                   {"cors_origins", F_LIST, C(cors_origin), 0, 0, NULL, NULL},
                                   {"response_store", F_STR, C(response_store), 0, 0, NULL, NULL},
                                   {"strict_model", F_BOOL, C(strict_model), 0, 0, NULL, NULL},
                                   {"mcp", F_BOOL, C(mcp), 0, 0, NULL, NULL},
                                   {"no_key_needed", F_BOOL, C(no_key_needed), 0, 0, NULL, NULL}};
    static const field port_field = {"port", F_U32, 0, 0, 65535, NULL, NULL};
    uint32_t mcp_port = p->c->mcp_port;
    if (!v || json_is_null(v)) return WICK_OK;
    if (!json_is_object(v)) return BAD(p, "server", "must be a mapping");
    if (json_object_get(v, "port"))
        WICK_TRY(read_number(p, "server.port", &port_field, json_object_get(v, "port"), &port));
    p->c->port = (uint16_t)port;
    if (json_object_get(v, "mcp_port")) {
        WICK_TRY(read_number(p, "server.mcp_port", &port_field, json_object_get(v, "mcp_port"), &mcp_port));
        p->c->mcp_port = (uint16_t)mcp_port;
        p->c->mcp_own_port = true;
    }
    copy = json_copy((json_t *)(uintptr_t)v);
    json_object_del(copy, "port");
    json_object_del(copy, "mcp_port");
    wick_status st = read_fields(p, "server", copy, fields, N(fields), p->c);
    json_decref(copy);
    return st;
}

static wick_status read_limits(const place *p, const json_t *v)
{
    static const field fields[] = {
#define LIMIT(name, def, lo, hi, unit, answer, about) \
    {#name, F_BYTES, offsetof(wick_server_limits, name), lo, hi, NULL, NULL},
#include "server/limits.def"
#undef LIMIT
    };
    return v && !json_is_null(v) ? read_fields(p, "limits", v, fields, N(fields), &p->c->limits) : WICK_OK;
}

/* Names and values are checked when the server starts, as those of a request are. */
static wick_status read_defaults(const place *p, const json_t *v)
{
    if (!v || json_is_null(v)) return WICK_OK;
    if (!json_is_object(v)) return BAD(p, "defaults", "must be a mapping of parameters to values");
    json_decref(p->c->defaults);
    p->c->defaults = json_deep_copy(v);
    return p->c->defaults ? WICK_OK : wick_err_oom(p->err, "defaults", 0, 0);
}

/* What toolbox/toolbox.h reads stays a tree; whoever starts the server opens it. */
static wick_status read_tools(const place *p, const json_t *v)
{
    static const field fields[] = {{"by_default", F_BOOL, C(tools_by_default), 0, 0, NULL, NULL},
                                   {"side_by_side", F_BOOL, C(tools_side_by_side), 0, 0, NULL, NULL},
                                   {"rounds", F_U32, C(tool_rounds), 1, 1000, NULL, NULL},
                                   {"timeout_seconds", F_U32, C(tool_seconds), 1, 86400, NULL, NULL}};
    if (!v || json_is_null(v)) return WICK_OK;
    if (!json_is_object(v)) return BAD(p, "tools", "must be a mapping");
    json_t *mine = json_object(), *rest = json_deep_copy(v);
    for (size_t i = 0; i < N(fields); i++) {
        if (!json_object_get(rest, fields[i].name)) continue;
        json_object_set(mine, fields[i].name, json_object_get(rest, fields[i].name));
        json_object_del(rest, fields[i].name);
    }
    const wick_status st =
        mine && rest ? read_fields(p, "tools", mine, fields, N(fields), p->c) : wick_err_oom(p->err, "tools", 0, 0);
    json_decref(mine);
    json_decref(p->c->tool_file);
    p->c->tool_file = rest;
    return st;
}

static wick_status read_root(const place *p, const json_t *root)
{
    static const char *const known[] = {"server", "runtime", "limits", "models", "keys", "defaults", "tools"};
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)root, key, v)
    {
        bool ok = false;
        for (size_t i = 0; i < N(known); i++) ok |= strcmp(known[i], key) == 0;
        if (!ok)
            return BAD(
                p, key,
                "is not a key that is known here (there are server, runtime, limits, defaults, models, keys, tools)");
    }
    WICK_TRY(read_server(p, json_object_get(root, "server")));
    WICK_TRY(read_runtime(p, json_object_get(root, "runtime")));
    WICK_TRY(read_limits(p, json_object_get(root, "limits")));
    WICK_TRY(read_defaults(p, json_object_get(root, "defaults")));
    WICK_TRY(read_tools(p, json_object_get(root, "tools")));
    WICK_TRY(read_each(p, root, "models"));
    return read_each(p, root, "keys");
}

wick_status wick_server_config_parse(wick_server_config *c, const char *text, size_t n, const char *where,
                                     wick_err *err)
{
    const place p = {where, err, c};
    json_t *root;
    WICK_TRY(read_yaml(text, n, where, &root, err));
    wick_status st = read_root(&p, root);
    json_decref(root);
    return st;
}

wick_status wick_server_config_load(wick_server_config *c, const char *path, wick_err *err)
{
    char *text;
    size_t n;
    WICK_TRY(wick_file_read(path, MAX_FILE, &text, &n, err));
    wick_status st = wick_server_config_parse(c, text, n, path, err);
    wick_free(text);
    return st;
}

/* A string as YAML can read it whatever it holds. */
static void quoted(wick_buf *out, const char *s)
{
    wick_json_write_str(out, s, strlen(s));
}

wick_status wick_server_config_sample(wick_buf *out, const char *backend, const char *const *model, uint32_t n_model,
                                      wick_err *err)
{
    wick_buf_puts(
        out, "# Wick's server. Check it with: wick config check server.yaml   Start: wick serve --config server.yaml\n"
             "# Every key is optional; docs/SERVER.md lists them all.\n"
             "server:\n  host: 127.0.0.1     # beyond this machine: 0.0.0.0, and a key below\n  port: 11535\n\n"
             "runtime:\n  backends:\n    - name: ");
    quoted(out, backend);
    wick_buf_puts(out, strcmp(backend, "mlx") == 0
                           ? "\n      device: auto\n      compile: true\n      lazy_eval: true\n"
                           : "\n      threads: 0        # 0: all cores\n      precision: fast   # fast, fine, exact\n");
    wick_buf_puts(out, "  # memory_limit: 16G         # of all models together\n"
                       "  # idle_unload_seconds: 600  # unload models that nobody uses\n\nmodels:");
    if (n_model == 0) wick_buf_puts(out, " []   # - path: a folder, a file, or a name that `wick discover` lists");
    for (uint32_t i = 0; i < n_model; i++) {
        wick_buf_puts(out, "\n  - path: ");
        quoted(out, model[i]);
        wick_buf_puts(out, "\n    backend: ");
        quoted(out, backend);
        wick_buf_printf(out, "\n    preload: %s", i == 0 ? "true" : "false       # loaded when it is first asked for");
    }
    wick_buf_puts(out, "\n\nlimits:\n  queue: 256\n  drain_seconds: 30\n\n"
                       "# keys:\n#   - name: team\n#     file: /etc/wick/team.key   # one key, mode 0600\n"
                       "#     scopes: [infer]             # infer, metrics, admin\n#     requests_per_minute: 600\n");
    return out->failed ? wick_err_oom(err, "server.yaml", 0, 0) : WICK_OK;
}
