/* cli/opt.c - the parser. "--name value", "--name=value", "-n value", "-nvalue", "-vq" for flags, "--" ends options, "-"
 * is an operand. Flags take no value; "--no-x" exists only where a table says so. */
#include "cli/opt.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "base/sys.h"

static void *field(wick_args *a, size_t offset)
{
    return (char *)a + offset;
}

static wick_status bad_value(const wick_opt *o, const char *v, const char *why, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, o->name, "--%s %s: %s", o->name, v, why);
}

static wick_status check_range(const wick_opt *o, const char *v, double x, wick_err *err)
{
    if ((o->lo == 0 && o->hi == 0) || (x >= o->lo && x <= o->hi)) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, o->name, "--%s %s: must be from %g to %g", o->name, v, o->lo, o->hi);
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
        if (!wick_parse_u64(v, &u) || u > UINT32_MAX) return bad_value(o, v, "must be a whole number, 0 or more", err);
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

static const wick_opt *find_long(const wick_command *c, const char *name, size_t n)
{
    for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
        for (size_t i = 0; i < c->group[g]->n; i++) {
            const wick_opt *o = &c->group[g]->opt[i];
            if (strlen(o->name) == n && memcmp(o->name, name, n) == 0) return o;
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
    return best;
}

static wick_status unknown_option(const wick_command *c, const char *arg, wick_err *err)
{
    const char *best = NULL;
    char name[64];
    size_t n = strcspn(arg, "="), best_d = n < 6 ? 3 : 4;
    if (n > 2 && n < sizeof name) {
        memcpy(name, arg + 2, n - 2);
        name[n - 2] = '\0';
        for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
            for (size_t i = 0; i < c->group[g]->n; i++) {
                size_t d = wick_edit_distance(name, c->group[g]->opt[i].name);
                if (d < best_d) {
                    best_d = d;
                    best = c->group[g]->opt[i].name;
                }
            }
    }
    if (best)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, arg,
                         "unknown option %s: did you mean --%s? (wick %s --help lists all)", arg, best, c->name);
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, arg, "unknown option %s: wick %s --help lists the options", arg,
                     c->name);
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
        for (o = find_short(c, *p); o && o->kind == WICK_OPT_FLAG && p[1]; o = find_short(c, *++p))
            WICK_TRY(set_value(a, o, NULL, err));
        if (p[1]) value = p + 1;
    }
    if (!o) return unknown_option(c, arg, err);
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

/* Packed weights: the folder given, or wick/packed in the user's cache; none where neither is known. */
static wick_status choose_cache(wick_args *a, wick_err *err)
{
    if (a->pack_cache) {
        a->cache_dir = strcmp(a->pack_cache, "off") == 0 ? NULL : a->pack_cache;
        return WICK_OK;
    }
    bool xdg = a->cache_home && a->cache_home[0] == '/';
    if (!xdg && (!a->home || !*a->home)) return WICK_OK;
    a->own_cache_dir = wick_path_join(xdg ? a->cache_home : a->home, xdg ? "wick/packed" : ".cache/wick/packed");
    a->cache_dir = a->own_cache_dir;
    return a->cache_dir ? WICK_OK : wick_err_oom(err, "a path", 0, 0);
}

/* The first of the variables that has a value; NULL: none. */
static const char *first_set(const char *const *names)
{
    for (; *names; names++) {
        const char *v = getenv(*names);
        if (v && *v) return v;
    }
    return NULL;
}

static bool is_true(const char *v)
{
    return v &&
           (strcmp(v, "1") == 0 || strcasecmp(v, "true") == 0 || strcasecmp(v, "yes") == 0 || strcasecmp(v, "on") == 0);
}

/* What huggingface_hub and curl read, so that who has set up one has set up Wick. */
static void hub_environment(wick_args *a)
{
    a->hf_endpoint = first_set((const char *const[]){"HF_ENDPOINT", "MODELSCOPE_ENDPOINT", NULL});
    a->modelscope = a->hf_endpoint && strstr(a->hf_endpoint, "modelscope");
    const char *kind = getenv("WICK_HUB_KIND");
    if (kind) a->modelscope = strcmp(kind, "modelscope") == 0;
    a->hf_token = first_set((const char *const[]){"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", NULL});
    a->hf_token_path = getenv("HF_TOKEN_PATH");
    a->hf_offline = is_true(getenv("HF_HUB_OFFLINE")) || is_true(getenv("TRANSFORMERS_OFFLINE"));
    a->http_proxy = first_set((const char *const[]){"http_proxy", "all_proxy", "ALL_PROXY", NULL});
    a->https_proxy = first_set((const char *const[]){"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL});
    a->no_proxy = first_set((const char *const[]){"no_proxy", "NO_PROXY", NULL});
    a->ca_file = first_set((const char *const[]){"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", NULL});
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
    a->home = getenv("HOME");
    a->hf_home = getenv("HF_HOME");
    a->hf_hub_cache = getenv("HF_HUB_CACHE");
    a->hub_cache_old = getenv("HUGGINGFACE_HUB_CACHE");
    a->ollama_models = getenv("OLLAMA_MODELS");
    hub_environment(a);
    a->no_color = getenv("NO_COLOR");
    a->state_home = getenv("XDG_STATE_HOME");
    a->cache_home = getenv("XDG_CACHE_HOME");
    a->api_key = getenv("WICK_API_KEY");
    const char *mlx = getenv("WICK_PREFER_MLX");
    a->prefer_mlx = mlx && *mlx && strcmp(mlx, "0") != 0;
    return WICK_OK;
}

/* Where `make install` puts models, seen from the program, so that a moved installation stays whole. */
static char *models_beside_program(void)
{
    char *folder = wick_program_folder(), *path = folder ? wick_path_join(folder, "../share/wick/models") : NULL;
    wick_free(folder);
    return path;
}

/* The token that `wick login`, `hf auth login` or huggingface_hub left: in $HF_TOKEN_PATH, $HF_HOME/token or the usual cache. */
static void read_token(wick_args *a)
{
    const bool xdg = a->cache_home && a->cache_home[0] == '/';
    if (a->hf_token_path && *a->hf_token_path)
        a->token_file_path = wick_strdup(a->hf_token_path);
    else if (a->hf_home && *a->hf_home)
        a->token_file_path = wick_path_join(a->hf_home, "token");
    else if (xdg || (a->home && *a->home))
        a->token_file_path =
            wick_path_join(xdg ? a->cache_home : a->home, xdg ? "huggingface/token" : ".cache/huggingface/token");
    if (a->hf_token || !a->token_file_path) return;
    if (wick_file_read(a->token_file_path, 4096, &a->token_read, NULL, NULL) != WICK_OK) return;
    a->token_read[strcspn(a->token_read, " \t\r\n")] = '\0';
}

wick_status wick_opt_parse(const wick_command *c, int argc, char **argv, wick_args *a, wick_err *err)
{
    bool options = true;
    WICK_TRY(from_environment(c, a, err));
    a->installed_models = models_beside_program();
    read_token(a);
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
    a->mlx_compile = "on";
    a->mlx_lazy_eval = "true";
    wick_sampling_defaults(&a->sampling);
    a->sampler_order = "default";
    a->logprobs = -1;
    a->repetitions = 5;
    a->pack_cache_limit = 32ull << 30;
}

void wick_args_release(wick_args *a)
{
    wick_str_list *const lists[] = {&a->logit_bias,  &a->dry_breakers, &a->stop,       &a->bench_prompt, &a->bench_gen,
                                    &a->bench_batch, &a->paths,        &a->allow_host, &a->cors_origin};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) wick_free((void *)lists[i]->item);
    wick_free(a->own_cache_dir);
    wick_free(a->installed_models);
    wick_free(a->token_file_path);
    if (a->token_read) wick_wipe(a->token_read, strlen(a->token_read));
    wick_free(a->token_read);
}
