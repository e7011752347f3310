/* cli/opt.c - the parser. "--name value", "--name=value", "-n value", "-nvalue", "-vq" for flags, "--" ends options,
 * "-" is an operand. Flags take no value; "--no-x" exists only where a table says so. */
#include "cli/opt.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/aliases.h"
#include "base/sys.h"

static void *field(wick_args *a, size_t offset)
{
    return (char *)a + offset;
}

static wick_status bad_value(const wick_opt *o, const char *v, const char *why, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, o->name, "--%s %s: %s", o->name, v, why);
}

/* A limit as people write it: whole numbers whole. */
static const char *number(char dst[32], double x)
{
    snprintf(dst, 32, x == floor(x) && fabs(x) < 1e15 ? "%.0f" : "%g", x);
    return dst;
}

static wick_status check_range(const wick_opt *o, const char *v, double x, wick_err *err)
{
    char lo[32], hi[32];
    if ((o->lo == 0 && o->hi == 0) || (x >= o->lo && x <= o->hi)) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, o->name, "--%s %s: must be from %s to %s", o->name, v,
                     number(lo, o->lo), number(hi, o->hi));
}

static bool is_choice(const char *choices, const char *v)
{
    size_t n = strlen(v);
    for (const char *c = choices; c && *c;) {
        size_t len = strcspn(c, "|");
        if (len == n && memcmp(c, v, n) == 0) return true;
        c += len + (c[len] == '|');
    }
    return false;
}

static wick_status list_add(wick_str_list *l, const char *v, wick_err *err)
{
    const char **grown = wick_realloc_array(l->item, l->n + 1, sizeof *grown);
    if (!grown) return wick_err_oom(err, "options", 0, 0);
    l->item = grown;
    l->item[l->n++] = v;
    return WICK_OK;
}

static wick_status set_value(wick_args *a, const wick_opt *o, const char *v, wick_err *err)
{
    void *p = field(a, o->offset);
    double d;
    int64_t i;
    uint64_t u;
    switch (o->kind) {
    case WICK_OPT_FLAG: *(bool *)p = true; break;
    case WICK_OPT_STR:
        if (o->choices && !is_choice(o->choices, v))
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, o->name, "--%s %s: must be one of %s", o->name, v, o->choices);
        *(const char **)p = v;
        break;
    case WICK_OPT_U32:
        if (o->offset == offsetof(wick_args, max_tokens) && (strcmp(v, "-1") == 0 || strcmp(v, "-2") == 0))
            v = "0"; /* llama.cpp's and Ollama's names for "no limit" */
        if (!wick_parse_u64(v, &u) || u > UINT32_MAX) {
            char text[80], hi[32];
            snprintf(text, sizeof text, "must be a whole number from %s to %s", number(hi, o->lo),
                     o->hi > 0 ? number((char[32]){0}, o->hi) : "4294967295");
            return bad_value(o, v, text, err);
        }
        WICK_TRY(check_range(o, v, (double)u, err));
        *(uint32_t *)p = (uint32_t)u;
        break;
    case WICK_OPT_I64:
        if (!wick_parse_i64(v, &i)) return bad_value(o, v, "must be a whole number", err);
        WICK_TRY(check_range(o, v, (double)i, err));
        *(int64_t *)p = i;
        break;
    case WICK_OPT_F32:
        if (!wick_parse_f64(v, &d)) return bad_value(o, v, "must be a number", err);
        WICK_TRY(check_range(o, v, d, err));
        *(float *)p = (float)d;
        break;
    case WICK_OPT_BYTES:
        if (!wick_parse_bytes(v, &u)) return bad_value(o, v, "must be a size such as 512M or 8G", err);
        *(uint64_t *)p = u;
        break;
    case WICK_OPT_LIST: WICK_TRY(list_add(p, v, err)); break;
    }
    if (o->seen_offset) *(bool *)field(a, o->seen_offset) = true;
    return WICK_OK;
}

/* Names are compared with '_' as '-', which other programs' options have. */
static bool same_name(const char *ours, const char *theirs, size_t n)
{
    if (strlen(ours) != n) return false;
    for (size_t i = 0; i < n; i++)
        if (ours[i] != (theirs[i] == '_' ? '-' : theirs[i])) return false;
    return true;
}

static const wick_opt *find_long(const wick_command *c, const char *name, size_t n)
{
    for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
        for (size_t i = 0; i < c->group[g]->n; i++) {
            const wick_opt *o = &c->group[g]->opt[i];
            if (same_name(o->name, name, n)) return o;
        }
    return NULL;
}

static const wick_opt *find_short(const wick_command *c, char letter)
{
    for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
        for (size_t i = 0; i < c->group[g]->n; i++)
            if (c->group[g]->opt[i].letter == letter) return &c->group[g]->opt[i];
    return NULL;
}

const char *wick_command_nearest(const char *name)
{
    const char *best = NULL;
    size_t best_d = 3;
    for (size_t i = 0; wick_commands[i]; i++) {
        size_t d = wick_edit_distance(name, wick_commands[i]->name);
        if (d < best_d && d < strlen(wick_commands[i]->name)) {
            best_d = d;
            best = wick_commands[i]->name;
        }
    }
    for (size_t i = 0; wick_alias_command_at(i); i++) {
        const char *alias = wick_alias_command_at(i);
        size_t d = wick_edit_distance(name, alias);
        if (d < best_d && d < strlen(alias)) {
            best_d = d;
            best = wick_alias_command(alias);
        }
    }
    return best;
}

/* Another command that has the option; NULL: none. */
static const char *owner_of(const char *name)
{
    for (size_t i = 0; wick_commands[i]; i++)
        if (find_long(wick_commands[i], name, strlen(name))) return wick_commands[i]->name;
    return NULL;
}

/* The option that is meant by a name that no table has: by its letters, else the one that it begins, is part of or
 * contains. */
static const char *nearest_option(const wick_command *c, const char *name)
{
    const char *best = NULL;
    size_t n = strlen(name), best_d = n < 4 ? 3 : 4;
    for (int round = 0; round < 2 && !best; round++)
        for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
            for (size_t i = 0; i < c->group[g]->n; i++) {
                const char *ours = c->group[g]->opt[i].name;
                const size_t m = strlen(ours), d = wick_edit_distance(name, ours);
                const bool inside = n >= 3 && m >= 3 && (strstr(ours, name) || strstr(name, ours));
                if (round == 0 ? d >= best_d || d >= n : !inside || best) continue;
                best_d = d;
                best = ours;
            }
    return best;
}

static wick_status unknown_option(const wick_command *c, const char *arg, wick_err *err)
{
    char name[64] = "";
    const size_t dashes = strspn(arg, "-"), n = strcspn(arg + dashes, "=");
    if (n < sizeof name) snprintf(name, sizeof name, "%.*s", (int)n, arg + dashes);
    const char *best = dashes == 2 && n ? nearest_option(c, name) : NULL,
               *owner = dashes == 2 && n ? owner_of(name) : NULL;
    if (best && (!owner || wick_edit_distance(name, best) < 2))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, arg,
                         "unknown option %s: did you mean --%s? (wick %s --help lists all)", arg, best, c->name);
    if (owner)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, arg, "unknown option %s: wick %s has it, wick %s has not", arg,
                         owner, c->name);
    if (dashes == 1 && n == 1)
        for (char other = name[0] ^ 0x20; find_short(c, other);)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, arg, "unknown option %s: did you mean -%c?", arg, other);
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, arg, "unknown option %s: wick %s --help lists the options", arg,
                     c->name);
}

/* A model or a prompt that was given as an option: -m M, --model M, -p TEXT, --prompt TEXT, where they are operands. */
static wick_status operand_option(const wick_command *c, const char *name, size_t n, const char *value, wick_args *a,
                                  bool *taken, wick_err *err)
{
    const bool model = (n == 1 && *name == 'm') || same_name("model", name, n),
               prompt = (n == 1 && *name == 'p') || same_name("prompt", name, n);
    *taken = (model && strncmp(c->operands, "MODEL", 5) == 0) || (prompt && strstr(c->operands, "PROMPT"));
    if (!*taken) return WICK_OK;
    if (!value)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, model ? "model" : "prompt", "-%c needs a value", model ? 'm' : 'p');
    if (model ? a->model_operand != NULL : a->prompt_operand != NULL)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, model ? "model" : "prompt", "the %s is given twice",
                         model ? "model" : "prompt");
    *(model ? &a->model_operand : &a->prompt_operand) = value;
    return WICK_OK;
}

static bool is_switch(const char *s)
{
    return s && (strcmp(s, "on") == 0 || strcmp(s, "off") == 0 || strcmp(s, "auto") == 0);
}

/* What no table of the command has: names of other programs. *taken says whether it was one. */
static wick_status foreign_option(const wick_command *c, int argc, char **argv, int *i, wick_args *a, bool *taken,
                                  wick_err *err)
{
    const char *arg = argv[*i], *dashed = arg[1] == '-' ? NULL : wick_alias_dashed(arg);
    const char *name = dashed ? dashed : arg + (arg[1] == '-' ? 2 : 1);
    const size_t n = strcspn(name, "=");
    const char *next = *i + 1 < argc ? argv[*i + 1] : NULL, *inline_value = name[n] == '=' ? name + n + 1 : NULL;
    const char *ours = arg[1] == '-' ? wick_alias_option(name, n) : dashed;
    char plain[64] = "";
    if (n < sizeof plain)
        for (size_t k = 0; k < n; k++) plain[k] = name[k] == '_' ? '-' : name[k];
    if (!ours && arg[1] == '-') ours = wick_alias_option(plain, strlen(plain));
    const wick_opt *o = ours ? find_long(c, ours, strlen(ours)) : NULL;
    *taken = true;
    if (o && o->kind == WICK_OPT_FLAG) return set_value(a, o, NULL, err);
    if (o) {
        if (!inline_value && !next)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, o->name, "%s needs a value: --%s %s", arg, o->name, o->arg);
        *i += !inline_value;
        return set_value(a, o, inline_value ? inline_value : next, err);
    }
    const char *as = ours ? ours : name;
    WICK_TRY(operand_option(c, as, strcspn(as, "="), inline_value ? inline_value : next, a, taken, err));
    if (*taken) {
        *i += !inline_value;
        return WICK_OK;
    }
    const wick_ignored_option *ig = wick_ignored_find(dashed ? dashed : plain, strlen(dashed ? dashed : plain));
    *taken = ig != NULL && (dashed || arg[1] == '-');
    if (!*taken) return WICK_OK;
    if (!inline_value && (ig->takes_value || is_switch(next))) *i += 1;
    if (a->n_ignored < WICK_MAX_IGNORED) {
        a->ignored[a->n_ignored].arg = arg;
        a->ignored[a->n_ignored++].why = ig->why;
    }
    return WICK_OK;
}

/* One argument that starts with '-'; *i is moved over a value taken from the next argument. */
static wick_status parse_option(const wick_command *c, int argc, char **argv, int *i, wick_args *a, wick_err *err)
{
    const char *arg = argv[*i], *value = NULL;
    const wick_opt *o;
    if (arg[1] == '-') {
        size_t n = strcspn(arg + 2, "=");
        o = find_long(c, arg + 2, n);
        if (arg[2 + n] == '=') value = arg + 3 + n;
    } else {
        const char *p = arg + 1;
        for (o = wick_alias_dashed(arg) ? NULL : find_short(c, *p); o && o->kind == WICK_OPT_FLAG && p[1];
             o = find_short(c, *++p))
            WICK_TRY(set_value(a, o, NULL, err));
        if (p[1]) value = p + 1;
    }
    if (!o) {
        bool taken = false;
        WICK_TRY(foreign_option(c, argc, argv, i, a, &taken, err));
        return taken ? WICK_OK : unknown_option(c, arg, err);
    }
    if (o->kind == WICK_OPT_FLAG) {
        if (value) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, o->name, "--%s takes no value", o->name);
        return set_value(a, o, NULL, err);
    }
    if (!value) {
        if (*i + 1 >= argc)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, o->name, "--%s needs a value: --%s %s", o->name, o->name,
                             o->arg);
        value = argv[++*i];
    }
    return set_value(a, o, value, err);
}

/* The folder given ("off": none), or `name` in the user's cache; none where that is not known. *own: to be freed. */
static wick_status choose_folder(const wick_args *a, const char *given, const char *name, const char **out, char **own,
                                 wick_err *err)
{
    if (given) {
        *out = strcmp(given, "off") == 0 ? NULL : given;
        return WICK_OK;
    }
    bool xdg = a->cache_home && a->cache_home[0] == '/';
    if (!xdg && (!a->home || !*a->home)) return WICK_OK;
    *own = wick_path_join(xdg ? a->cache_home : a->home, xdg ? name + strlen(".cache/") : name);
    *out = *own;
    return *out ? WICK_OK : wick_err_oom(err, "a path", 0, 0);
}

/* Packed weights and KV on disk. */
static wick_status choose_cache(wick_args *a, wick_err *err)
{
    WICK_TRY(choose_folder(a, a->pack_cache, ".cache/wick/packed", &a->cache_dir, &a->own_cache_dir, err));
    WICK_TRY(choose_folder(a, a->kv_dir_given, ".cache/wick/kv", &a->kv_dir, &a->own_kv_dir, err));
    if (!a->kv_disk) return WICK_OK;
    if (strcmp(a->kv_disk, "off") == 0)
        a->kv_dir = NULL;
    else if (!wick_parse_bytes(a->kv_disk, &a->kv_disk_bytes))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "kv-disk", "--kv-disk: \"%.40s\" is no size (4G, 512M) and not off",
                         a->kv_disk);
    return WICK_OK;
}

static wick_status from_environment(const wick_command *c, wick_args *a, wick_err *err)
{
    for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
        for (size_t i = 0; i < c->group[g]->n; i++) {
            const wick_opt *o = &c->group[g]->opt[i];
            const char *v = o->env ? getenv(o->env) : NULL;
            if (!v || !*v) continue;
            if (set_value(a, o, v, err) != WICK_OK) {
                wick_err_prefix(err, "environment variable %s", o->env);
                return WICK_E_BAD_PARAMETER;
            }
        }
    return WICK_OK;
}

/* Lines "name value" or "name" of the command's own file; # begins a comment. What makes things happen by itself has to
 * be said each time, not once in a file. */
static wick_status from_settings(const wick_command *c, wick_args *a, wick_err *err)
{
    bool xdg = a->config_home && a->config_home[0] == '/';
    if (!c->settings || (!xdg && (!a->home || !*a->home))) return WICK_OK;
    char *folder = wick_path_join(xdg ? a->config_home : a->home, xdg ? "wick" : ".config/wick");
    char *path = folder ? wick_path_join(folder, c->settings) : NULL;
    wick_status st = path ? WICK_OK : wick_err_oom(err, "a path", 0, 0);
    wick_free(folder);
    if (st != WICK_OK || !wick_path_exists(path)) goto done;
    WICK_TRY_GOTO(wick_file_read(path, 1 << 16, &a->settings_text, NULL, err));
    for (char *line = a->settings_text, *next; st == WICK_OK && *line; line = next) {
        size_t n = strcspn(line, "\n");
        next = line + n + (line[n] == '\n');
        line[n] = '\0';
        while (n > 0 && strchr(" \t\r", line[n - 1])) line[--n] = '\0';
        while (*line == ' ' || *line == '\t') line++;
        if (*line == '#' || *line == '\0') continue;
        size_t len = strcspn(line, " \t=");
        char *value = line + len + strspn(line + len, " \t=");
        const wick_opt *o = find_long(c, line, len);
        bool acts = o && (o->offset == offsetof(wick_args, force) || o->offset == offsetof(wick_args, execute));
        if (!o || acts || (o->kind == WICK_OPT_FLAG) != (*value == '\0'))
            st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, path, "\"%s\": %s", line,
                           !o     ? "there is no such option: wick help says which there are"
                           : acts ? "it must be said each time, on the command line"
                                  : "a flag stands alone, every other option has one value");
        else
            st = set_value(a, o, *value ? value : NULL, err);
    }
    if (st != WICK_OK) wick_err_prefix(err, "%s", path);
done:
    wick_free(path);
    return st;
}

/* -m M comes before the operands, -p TEXT after the model. */
static wick_status place_operands(const wick_command *c, wick_args *a, wick_err *err)
{
    const char *given[2] = {a->model_operand, a->prompt_operand};
    for (uint32_t k = 0; k < 2; k++) {
        if (!given[k]) continue;
        if (a->n_operands >= WICK_MAX_OPERANDS || a->n_operands >= c->max_operands)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, given[k], "too many arguments: usage: wick %s %s", c->name,
                             c->operands);
        const uint32_t at = k < a->n_operands ? k : a->n_operands;
        memmove(a->operand + at + 1, a->operand + at, (a->n_operands - at) * sizeof *a->operand);
        a->operand[at] = given[k];
        a->n_operands++;
    }
    return WICK_OK;
}

wick_status wick_opt_parse(const wick_command *c, int argc, char **argv, wick_args *a, wick_err *err)
{
    bool options = true;
    wick_environment_read(a);
    WICK_TRY(from_settings(c, a, err));
    WICK_TRY(from_environment(c, a, err));
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        if (options && strcmp(arg, "--") == 0) {
            options = false;
        } else if (options && arg[0] == '-' && arg[1]) {
            WICK_TRY(parse_option(c, argc, argv, &i, a, err));
        } else {
            if (a->n_operands >= c->max_operands || a->n_operands >= WICK_MAX_OPERANDS)
                return WICK_FAIL(err, WICK_E_BAD_PARAMETER, arg, "too many arguments at \"%s\": usage: wick %s %s", arg,
                                 c->name, c->operands);
            a->operand[a->n_operands++] = arg;
        }
    }
    WICK_TRY(place_operands(c, a, err));
    WICK_TRY(choose_cache(a, err));
    if (!a->help && a->n_operands < c->min_operands)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, c->name, "usage: wick %s %s (wick %s --help says more)", c->name,
                         c->operands, c->name);
    return WICK_OK;
}

void wick_args_init(wick_args *a)
{
    memset(a, 0, sizeof *a);
    a->backend = "auto";
    a->device = "auto";
    a->precision = NULL;
    wick_sampling_defaults(&a->sampling);
    a->sampler_order = "default";
    a->logprobs = -1;
    a->repetitions = 5;
    a->candidates = 8;
    a->idle = 600;
    a->pack_cache_limit = 32ull << 30;
    a->kv_disk_bytes = 4ull << 30;
}

void wick_args_release(wick_args *a)
{
    wick_str_list *const lists[] = {&a->logit_bias,  &a->dry_breakers, &a->stop,       &a->bench_prompt, &a->bench_gen,
                                    &a->bench_batch, &a->paths,        &a->allow_host, &a->cors_origin,  &a->model_dir};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) wick_free((void *)lists[i]->item);
    wick_free(a->own_cache_dir);
    wick_free(a->own_kv_dir);
    wick_free(a->settings_text);
    wick_free(a->installed_models);
    wick_free(a->token_file_path);
    if (a->token_read) wick_wipe(a->token_read, strlen(a->token_read));
    wick_free(a->token_read);
}

static bool is_sampling(const wick_opt_group *g)
{
    return strcmp(g->title, "Sampling") == 0 || strcmp(g->title, "Request") == 0;
}

wick_status wick_opt_set_sampling(const wick_command *c, wick_args *a, const char *name, const char *value,
                                  wick_err *err)
{
    const char *ours = wick_alias_option(name, strlen(name));
    if (ours) name = ours;
    for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
        for (size_t i = 0; is_sampling(c->group[g]) && i < c->group[g]->n; i++) {
            const wick_opt *o = &c->group[g]->opt[i];
            if (!same_name(o->name, name, strlen(name))) continue;
            if (o->kind == WICK_OPT_STR || o->kind == WICK_OPT_LIST || o->kind == WICK_OPT_FLAG) break;
            return set_value(a, o, value, err);
        }
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name,
                     "/set %s: only numbers of the sampling can be set in a chat: temp, top-p, seed, ...", name);
}

void wick_opt_print_given(const wick_command *c, const wick_args *a)
{
    for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
        for (size_t i = 0; is_sampling(c->group[g]) && i < c->group[g]->n; i++) {
            const wick_opt *o = &c->group[g]->opt[i];
            const void *p = (const char *)a + o->offset;
            if (!o->seen_offset || !*((const bool *)((const char *)a + o->seen_offset))) continue;
            if (o->kind == WICK_OPT_F32) printf("%-12s %g\n", o->name, (double)*(const float *)p);
            if (o->kind == WICK_OPT_U32) printf("%-12s %u\n", o->name, *(const uint32_t *)p);
            if (o->kind == WICK_OPT_I64) printf("%-12s %lld\n", o->name, (long long)*(const int64_t *)p);
        }
}
