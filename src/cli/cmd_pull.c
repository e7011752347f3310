/* cli/cmd_pull.c - `wick pull`, `rm`, `login`, `logout`: the Hugging Face cache and the hub. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "cli/commands.h"
#include "cli/hubs.h"
#include "cli/session.h"
#include "cli/term.h"
#include "hub/cache.h"

/* --- pull --------------------------------------------------------------------------------------------------------- */
static wick_status print_pulled(const wick_args *a, const wick_model_ref *ref, const wick_pulled *p, double seconds,
                                wick_err *err)
{
    char all[32], fresh[32], rate[32];
    if (a->json) {
        json_t *o = json_object();
        json_object_set_new(o, "model", json_string(ref->repo));
        json_object_set_new(o, "path", wick_json_text(p->path, strlen(p->path)));
        json_object_set_new(o, "commit", json_string(p->commit));
        json_object_set_new(o, "files", json_integer(p->n_files));
        json_object_set_new(o, "bytes", json_integer((json_int_t)p->n_bytes));
        json_object_set_new(o, "downloaded_bytes", json_integer((json_int_t)p->n_fetched));
        json_object_set_new(o, "renamed_to", *p->renamed ? json_string(p->renamed) : json_null());
        return wick_print_json(o, err);
    }
    wick_format_bytes(all, sizeof all, p->n_bytes);
    wick_format_bytes(fresh, sizeof fresh, p->n_fetched);
    wick_format_bytes(rate, sizeof rate, seconds > 0 ? (uint64_t)((double)p->n_fetched / seconds) : 0);
    if (p->n_fetched == 0)
        wick_notice("%s is up to date: %u files, %s", ref->repo, p->n_files, all);
    else
        wick_notice("%s: %u files, %s, of which %s came now (%s/s)", ref->repo, p->n_files, all, fresh, rate);
    if (*p->why) wick_notice("%s", p->why);
    if (*p->renamed) wick_notice("%s is called %s now", ref->repo, p->renamed);
    puts(p->path);
    return WICK_OK;
}

static wick_status pull_one(const wick_args *a, const char *name, wick_err *err)
{
    wick_discover_opts o;
    wick_model_ref ref;
    wick_pulled p;
    if (!wick_model_ref_parse(&ref, name))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name,
                         "%s: the hub's names have the form ORG/NAME[@REVISION][:QUANTIZATION or FILE], for example "
                         "mlx-community/Qwen3-4B-4bit",
                         name);
    if (a->revision) {
        if (strlen(a->revision) >= sizeof ref.revision || !wick_hub_path_ok(a->revision))
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "revision", "--revision %s: no name of a revision",
                             a->revision);
        snprintf(ref.revision, sizeof ref.revision, "%s", a->revision);
    }
    wick_discover_opts_from(&o, a);
    const double t0 = wick_time_ms();
    WICK_TRY(wick_hub_pull(&p, &o, o.hub, &ref, err));
    wick_status st = print_pulled(a, &ref, &p, (wick_time_ms() - t0) / 1000, err);
    wick_pulled_release(&p);
    return st;
}

static wick_status run_pull(const wick_args *a, wick_err *err)
{
    for (uint32_t i = 0; i < a->n_operands; i++) WICK_TRY(pull_one(a, a->operand[i], err));
    return WICK_OK;
}

/* --- rm ----------------------------------------------------------------------------------------------------------- */
static bool asked_yes(const char *question)
{
    char answer[16] = "";
    fprintf(stderr, "%s [y/N] ", question);
    fflush(stderr);
    wick_stdin_reading(true);
    const bool got = fgets(answer, sizeof answer, stdin) != NULL;
    wick_stdin_reading(false);
    return got && (answer[0] == 'y' || answer[0] == 'Y');
}

static wick_status remove_one(const wick_args *a, const char *name, json_t *list, wick_err *err)
{
    wick_discover_opts o;
    wick_model_ref ref;
    wick_resolved r;
    char question[400], size[32];
    uint64_t n_bytes = 0;
    wick_discover_opts_from(&o, a);
    o.hub = NULL;
    if (!wick_model_ref_parse(&ref, name) || ref.revision[0] || ref.pick[0]) {
        WICK_TRY(wick_resolve(&r, name, &o, err));
        wick_status st = WICK_FAIL(err, WICK_E_REFUSED, name,
                                   "%s: wick rm removes whole models of the Hugging Face cache only: this is %.200s%s",
                                   name, r.path, r.manifest ? " of Ollama (ollama rm)" : "");
        wick_resolved_release(&r);
        return st;
    }
    snprintf(question, sizeof question, "Remove %s and all its revisions from the cache?", ref.repo);
    if (!a->force && !wick_stdin_is_tty())
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "force", "wick rm %s: nobody is there to be asked: add --force",
                         name);
    if (!a->force && !asked_yes(question)) return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "%s: kept", ref.repo);
    WICK_TRY(wick_hub_remove(&n_bytes, &o, ref.repo, err));
    if (list) {
        json_t *x = json_object();
        json_object_set_new(x, "model", json_string(ref.repo));
        json_object_set_new(x, "bytes", json_integer((json_int_t)n_bytes));
        json_array_append_new(list, x);
    } else {
        printf("removed %s, %s\n", ref.repo, wick_format_bytes(size, sizeof size, n_bytes));
    }
    return WICK_OK;
}

static wick_status run_rm(const wick_args *a, wick_err *err)
{
    json_t *list = a->json ? json_array() : NULL;
    wick_status st = WICK_OK;
    for (uint32_t i = 0; i < a->n_operands && st == WICK_OK; i++) st = remove_one(a, a->operand[i], list, err);
    if (st == WICK_OK && list) {
        json_t *o = json_object();
        json_object_set(o, "removed", list);
        st = wick_print_json(o, err);
    }
    json_decref(list);
    return st;
}

/* --- login, logout ------------------------------------------------------------------------------------------------ */
/* A line of standard input, without echo on a terminal. */
static void read_secret(char *dst, size_t cap)
{
    struct termios before, silent;
    const bool tty = wick_stdin_is_tty() && tcgetattr(STDIN_FILENO, &before) == 0;
    if (tty) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        fputs("Token (from https://huggingface.co/settings/tokens; it is not shown): ", stderr);
        fflush(stderr);
    }
    wick_stdin_reading(true);
    if (!fgets(dst, (int)cap, stdin)) *dst = '\0';
    wick_stdin_reading(false);
    if (tty) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    dst[strcspn(dst, " \t\r\n")] = '\0';
}

static wick_status store_token(const char *path, const char *token, wick_err *err)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? wick_strndup(path, (size_t)(slash - path)) : NULL;
    wick_status st = dir && *dir ? wick_dir_make(dir, err) : WICK_OK;
    wick_free(dir);
    const mode_t before = umask(0077);
    if (st == WICK_OK) st = wick_file_write(path, token, strlen(token), err);
    umask(before);
    if (st == WICK_OK && chmod(path, 0600) != 0) st = wick_err_io(err, path, "chmod", errno);
    return st;
}

static wick_status run_login(const wick_args *a, wick_err *err)
{
    char token[512] = "", *name = NULL;
    if (!a->token_file_path)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "HF_HOME", "no place for the token: set HF_HOME or HOME");
    if (a->token)
        snprintf(token, sizeof token, "%s", a->token);
    else
        read_secret(token, sizeof token);
    wick_hub hub = *wick_hub_from_args(a);
    hub.token = token;
    hub.token_source = NULL;
    wick_status st = *token ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "token", "no token was given");
    if (st == WICK_OK && !hub.offline) st = wick_hub_whoami(&name, &hub, err);
    if (st == WICK_OK) st = store_token(a->token_file_path, token, err);
    wick_wipe(token, sizeof token);
    if (st == WICK_OK && a->json) {
        json_t *o = json_object();
        json_object_set_new(o, "name", name ? wick_json_text(name, strlen(name)) : json_null());
        json_object_set_new(o, "file", wick_json_text(a->token_file_path, strlen(a->token_file_path)));
        st = wick_print_json(o, err);
    } else if (st == WICK_OK) {
        wick_notice("logged in as %s; the token is in %s", name ? name : "(not asked: offline)", a->token_file_path);
        if (a->hf_token) wick_notice("HF_TOKEN is set and is used instead of it");
    }
    wick_free(name);
    return st;
}

static wick_status run_logout(const wick_args *a, wick_err *err)
{
    const char *path = a->token_file_path;
    const bool gone = path && unlink(path) == 0;
    if (path && !gone && errno != ENOENT) return wick_err_io(err, path, "remove", errno);
    if (a->json) {
        json_t *o = json_object();
        json_object_set_new(o, "removed", json_boolean(gone));
        return wick_print_json(o, err);
    }
    wick_notice(gone ? "the token is removed from %s" : "there was no token in %s", path ? path : "this home");
    if (a->hf_token) wick_notice("HF_TOKEN is still set");
    return WICK_OK;
}

/* --- the tables --------------------------------------------------------------------------------------------------- */
#define AT(member) offsetof(wick_args, member)
static const wick_opt pull_opts[] = {
    {"revision", 0, WICK_OPT_STR, "NAME", "a branch, tag or commit (default main); also ORG/NAME@REVISION",
     AT(revision), 0, 0, NULL, NULL, 0},
    {"connections", 0, WICK_OPT_U32, "N", "files and ranges at once (default 8)", AT(connections), 1, 32, NULL,
     "WICK_HUB_CONNECTIONS", 0},
    {"stall-timeout", 0, WICK_OPT_U32, "S", "seconds without a byte after which a connection is given up (default 30)",
     AT(stall_timeout), 1, 3600, NULL, "WICK_HUB_STALL", 0},
    {"retry-pause", 0, WICK_OPT_U32, "MS",
     "milliseconds before the first new try, doubled for each further (default 500)", AT(retry_ms), 1, 60000, NULL,
     "WICK_HUB_RETRY_MS", 0},
    {"segment", 0, WICK_OPT_BYTES, "SIZE", "length of the ranges that a large file is fetched in (default 32M)",
     AT(segment_bytes), 0, 0, NULL, "WICK_HUB_SEGMENT", 0},
};
static const wick_opt_group pull_group = {"Download", pull_opts, sizeof pull_opts / sizeof *pull_opts};

static const wick_opt rm_opts[] = {
    {"force", 'f', WICK_OPT_FLAG, NULL, "do not ask", AT(force), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group rm_group = {"Options", rm_opts, 1};

static const wick_opt login_opts[] = {
    {"token", 0, WICK_OPT_STR, "TOKEN", "the token (default: asked for, or read from standard input)", AT(token), 0, 0,
     NULL, NULL, 0},
};
static const wick_opt_group login_group = {"Options", login_opts, 1};

const wick_command wick_cmd_pull = {
    .name = "pull",
    .operands = "ORG/NAME...",
    .min_operands = 1,
    .max_operands = 32,
    .summary = "download models from the Hugging Face hub",
    .about = "ORG/NAME[@REVISION][:QUANTIZATION or FILE]. Takes what Wick needs: configuration, tokenizer, templates "
             "and safetensors, or of\n"
             "a repository of GGUF files one quantization (Q4_K_M where it is there and fits into memory). Goes on "
             "where an earlier\n"
             "download stopped; every file is compared with the hash that the hub names before it gets its name. The "
             "files go into the\n"
             "Hugging Face cache (HF_HOME, HF_HUB_CACHE), which other programs share. HF_TOKEN, HF_ENDPOINT, "
             "HF_HUB_OFFLINE and the\n"
             "proxy variables are respected; MODELSCOPE_ENDPOINT names a hub that speaks ModelScope's API. Prints the "
             "path. wick run, serve\n"
             "and the others download by themselves what is not there.",
    .examples =
        "wick pull mlx-community/Qwen3-4B-4bit\tan MLX model\nwick pull org/name-GGUF:Q5_K_M\tone quantization\n"
        "wick pull org/name@v1.0 --json\ta tag, for scripts",
    .group = {&pull_group, &wick_opts_common},
    .run = run_pull,
};

const wick_command wick_cmd_rm = {
    .name = "rm",
    .operands = "ORG/NAME...",
    .min_operands = 1,
    .max_operands = 32,
    .summary = "remove models from the Hugging Face cache",
    .about = "Asks first. What lies elsewhere (LM Studio, Ollama, ~/models) is never touched.",
    .examples = "wick rm mlx-community/Qwen3-4B-4bit\t\nwick rm org/name --force --json\tfor scripts",
    .group = {&rm_group, &wick_opts_common},
    .run = run_rm,
};

const wick_command wick_cmd_login = {
    .name = "login",
    .operands = "",
    .summary = "keep a token of the Hugging Face hub",
    .about = "For gated and private models. The token is checked, and kept where huggingface_hub keeps it "
             "(HF_TOKEN_PATH, HF_HOME/token),\n"
             "readable by the owner only. It is sent to the hub's own host and to no other.",
    .examples = "wick login\task for it\nwick login < token.txt\tfrom a file",
    .group = {&login_group, &wick_opts_common},
    .run = run_login,
};

const wick_command wick_cmd_logout = {
    .name = "logout",
    .operands = "",
    .summary = "forget the token",
    .examples = "wick logout\t",
    .group = {&wick_opts_common},
    .run = run_logout,
};
