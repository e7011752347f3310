/* cli/cmd_show.c - `wick show`: a model's settings beside its weights: template, system text, parameters, licence;
 * `wick cp`, `create`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "chat/source.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"
#include "hub/ollama.h"
#include "model/arch.h"
#include "model/model.h"

typedef struct settings {
    char *template, *system, *license;
    json_t *parameters;
} settings;

static void settings_release(settings *s)
{
    wick_free(s->template);
    wick_free(s->system);
    wick_free(s->license);
    json_decref(s->parameters);
}

/* LICENSE beside the model; NULL if there is none. */
static char *read_license(const char *path)
{
    wick_dir_list l;
    char *text = NULL;
    if (!wick_path_is_dir(path) || wick_dir_list_read(&l, path, NULL) != WICK_OK) return NULL;
    for (size_t i = 0; i < l.n && !text; i++) {
        if (strncasecmp(l.name[i], "LICENSE", 7) != 0 && strncasecmp(l.name[i], "LICENCE", 7) != 0) continue;
        char *file = wick_path_join(path, l.name[i]);
        if (file && wick_file_read(file, 1u << 20, &text, NULL, NULL) != WICK_OK) text = NULL;
        wick_free(file);
    }
    wick_dir_list_free(&l);
    return text;
}

static wick_status read_settings(settings *s, const wick_model *m, const wick_resolved *r, wick_err *err)
{
    wick_chat_template *t = NULL;
    WICK_TRY(wick_chat_template_open_model(m, NULL, NULL, &t, err));
    if (t) s->template = wick_strdup(wick_chat_template_source(t));
    wick_chat_template_free(t);
    s->license = read_license(r->path);
    s->parameters = json_is_object(m->generation) ? json_deep_copy(m->generation) : json_object();
    if (!r->manifest) return WICK_OK;
    wick_ollama_settings o;
    WICK_TRY(wick_ollama_settings_read(&o, r->manifest, err));
    s->system = o.system;
    o.system = NULL;
    if (!s->template && o.go_template) {
        s->template = o.go_template;
        o.go_template = NULL;
    }
    json_object_update(s->parameters, o.parameters);
    wick_ollama_settings_release(&o);
    return WICK_OK;
}

static wick_status print_one(const char *what, const char *text, const char *name, wick_err *err)
{
    if (!text || !*text) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what, "%s has no %s", name, what);
    wick_term_text(text, strlen(text));
    if (!wick_ends_with(text, "\n")) putchar('\n');
    return WICK_OK;
}

static void print_parameters(const json_t *p)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)p, key, v)
    {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)), line[256], name[64];
        wick_escape_line(line, sizeof line, text ? text : "?", text ? strlen(text) : 1);
        wick_escape_line(name, sizeof name, key, strlen(key));
        printf("  %-24s %s\n", name, line);
        free(text);
    }
}

static wick_status print_all(const wick_args *a, const wick_model *m, const wick_resolved *r, const settings *s,
                             wick_err *err)
{
    const wick_config *c = &m->config;
    if (a->json) {
        json_t *o = json_object();
        json_object_set_new(o, "name", wick_json_text(a->operand[0], strlen(a->operand[0])));
        json_object_set_new(o, "path", wick_json_text(r->path, strlen(r->path)));
        json_object_set_new(o, "architecture", json_string(c->arch ? c->arch->name : "?"));
        json_object_set_new(o, "context_length", json_integer((json_int_t)c->n_ctx));
        json_object_set_new(o, "embedding_length", json_integer((json_int_t)c->n_embd));
        json_object_set_new(o, "layers", json_integer((json_int_t)c->n_layer));
        json_object_set_new(o, "vocabulary", json_integer((json_int_t)c->n_vocab));
        json_object_set_new(o, "template",
                            s->template ? wick_json_text(s->template, strlen(s->template)) : json_null());
        json_object_set_new(o, "system", s->system ? wick_json_text(s->system, strlen(s->system)) : json_null());
        json_object_set(o, "parameters", s->parameters);
        json_object_set_new(o, "license", s->license ? wick_json_text(s->license, strlen(s->license)) : json_null());
        return wick_print_json(o, err);
    }
    char path[1200];
    wick_escape_line(path, sizeof path, r->path, strlen(r->path));
    printf("Model\n  %-24s %s\n  %-24s %u\n  %-24s %u\n  %-24s %u\n  %-24s %u\n  %-24s %s\n", "architecture",
           c->arch ? c->arch->name : "?", "context length", (unsigned)c->n_ctx, "embedding length", (unsigned)c->n_embd,
           "layers", (unsigned)c->n_layer, "vocabulary", (unsigned)c->n_vocab, "path", path);
    if (json_object_size(s->parameters)) puts("Parameters");
    print_parameters(s->parameters);
    if (s->system) {
        fputs("System\n  ", stdout);
        wick_term_text(s->system, strlen(s->system));
        putchar('\n');
    }
    printf("Template\n  %s\n", s->template ? "yes: wick show MODEL --template" : "none: the model continues texts");
    if (s->license)
        printf("License\n  %.*s\n", (int)strcspn(s->license + strspn(s->license, " \n"), "\n"),
               s->license + strspn(s->license, " \n"));
    return WICK_OK;
}

static wick_status run_show(const wick_args *a, wick_err *err)
{
    wick_discover_opts o;
    wick_resolved r;
    wick_model m = {0};
    settings s = {0};
    const char *name = a->operand[0];
    wick_discover_opts_from(&o, a);
    WICK_TRY(wick_resolve(&r, name, &o, err));
    if (r.why[0]) wick_notice("wick: %s: %s", name, r.why);
    wick_status st = wick_model_open(&m, r.path, err);
    if (st == WICK_OK) st = read_settings(&s, &m, &r, err);
    if (st != WICK_OK) goto done;
    if (a->show_template)
        st = print_one("template", s.template, name, err);
    else if (a->show_system)
        st = print_one("system text", s.system, name, err);
    else if (a->show_license)
        st = print_one("license", s.license, name, err);
    else if (a->show_parameters)
        print_parameters(s.parameters);
    else
        st = print_all(a, &m, &r, &s, err);
done:
    settings_release(&s);
    wick_model_close(&m);
    wick_resolved_release(&r);
    return st;
}

/* --- cp, create --------------------------------------------------------------------------------------------------- */
static wick_status run_cp(const wick_args *a, wick_err *err)
{
    wick_discover_opts o;
    wick_resolved r;
    const char *name = a->operand[1];
    if (!*name || strchr(name, '/') || name[0] == '.' || name[0] == '-')
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "wick cp: \"%s\" is no name: letters and digits, without '/'",
                         name);
    if (!a->home || !*a->home) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "HOME", "wick cp: HOME is not set");
    wick_discover_opts_from(&o, a);
    WICK_TRY(wick_resolve(&r, a->operand[0], &o, err));
    wick_status st = WICK_OK;
    char *from = realpath(r.path, NULL), *dir = wick_path_join(a->home, "models"), *to = NULL;
    wick_buf file = WICK_BUF_INIT;
    wick_buf_printf(&file, "%s%s", name,
                    from && wick_path_is_file(from) && !wick_ends_with(name, ".gguf") ? ".gguf" : "");
    to = dir ? wick_path_join(dir, wick_buf_str(&file)) : NULL;
    if (!from || !dir || !to)
        st = wick_err_oom(err, "a path", 0, 0);
    else if (strstr(r.path, "-00001-of-"))
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, name,
                       "wick cp: a GGUF in several parts has its name from its files: rename those");
    else
        st = wick_dir_make(dir, err);
    if (st == WICK_OK && symlink(from, to) != 0)
        st = errno == EEXIST ? WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "wick cp: %s is there already", to)
                             : wick_err_io(err, to, "link", errno);
    if (st == WICK_OK && a->json)
        st = wick_print_json(json_pack("{s:s, s:s}", "name", name, "path", to), err);
    else if (st == WICK_OK)
        wick_notice("%s is a name of %s now (a link in ~/models; it takes no room)", name, a->operand[0]);
    wick_buf_release(&file);
    free(from);
    wick_free(dir);
    wick_free(to);
    wick_resolved_release(&r);
    return st;
}

static wick_status run_create(const wick_args *a, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "create",
                     "wick create %s: Wick has no Modelfiles: a name is made by wick cp, and a system text, template "
                     "and parameters belong into "
                     "server.yaml (wick quickstart) or behind wick run (--system FILE, --temp ...)",
                     a->n_operands ? a->operand[0] : "NAME");
}

#define AT(member) offsetof(wick_args, member)
static const wick_opt show_opts[] = {
    {"template", 0, WICK_OPT_FLAG, NULL, "the chat template alone", AT(show_template), 0, 0, NULL, NULL, 0},
    {"system", 0, WICK_OPT_FLAG, NULL, "the system text alone (Ollama's tags may have one)", AT(show_system), 0, 0,
     NULL, NULL, 0},
    {"parameters", 0, WICK_OPT_FLAG, NULL, "the sampling parameters that come with it alone", AT(show_parameters), 0, 0,
     NULL, NULL, 0},
    {"license", 0, WICK_OPT_FLAG, NULL, "the licence that lies beside it alone", AT(show_license), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group show_group = {"Options", show_opts, sizeof show_opts / sizeof *show_opts};

const wick_command wick_cmd_show = {
    .name = "show",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "a model's settings: context, template, parameters, licence",
    .about = "wick inspect shows its weights, and whether it fits into memory.",
    .examples = "wick show wick-shell\t\nwick show MODEL --template\tas Jinja\nwick show MODEL --json\teverything",
    .group = {&show_group, &wick_opts_common},
    .run = run_show,
};

const wick_command wick_cmd_cp = {
    .name = "cp",
    .operands = "MODEL NAME",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "give a model a second name",
    .about = "A link in ~/models, so that NAME is found from everywhere. Nothing is copied.",
    .examples = "wick cp mlx-community/Qwen3-4B-4bit qwen\tthen: wick run qwen",
    .group = {&wick_opts_common},
    .run = run_cp,
};

static const wick_opt create_opts[] = {
    {"file", 'f', WICK_OPT_STR, "FILE", "a Modelfile (Wick reads none)", AT(file), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group create_group = {"Options", create_opts, 1};

const wick_command wick_cmd_create = {
    .name = "create",
    .operands = "[NAME]",
    .max_operands = 1,
    .summary = "says what Wick has instead of Ollama's Modelfiles",
    .examples = "wick create mine -f Modelfile\tshows the way to go",
    .group = {&create_group, &wick_opts_common},
    .run = run_create,
};
