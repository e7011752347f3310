/* shell/rules_git.c - git: what its commands lose, and the commands that its configuration runs. */
#include <string.h>
#include "shell/rules.h"

static const char reads[] =
    "status log diff show branch tag remote blame shortlog describe rev-parse rev-list ls-files ls-tree ls-remote "
    "cat-file grep "
    "reflog stash config help version whatchanged count-objects fsck name-rev merge-base for-each-ref show-ref "
    "check-ignore "
    "bisect notes worktree var annotate cherry archive diff-tree symbolic-ref submodule fetch verify-commit range-diff";

/* The command's own words: f[0] is its name. */
static void git_command(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    const char *c = f[0].text;
    bool force = wick_sh_has_flag(f, n, 'f', "--force");
    const char *second = n > 1 ? f[1].text : "";
    if (strcmp(c, "push") == 0) {
        bool del = wick_sh_has_flag(f, n, 'd', "--delete") || wick_sh_has_flag(f, n, 0, "--mirror") ||
                   wick_sh_has_flag(f, n, 0, "--prune");
        force |= wick_sh_has_flag(f, n, 0, "--force-with-lease");
        for (size_t k = 1; k < n; k++) {
            force |= f[k].text[0] == '+';
            del |= f[k].text[0] == ':' && f[k].text[1];
        }
        wick_sh_find(w, force || del ? WICK_SH_HIGH : WICK_SH_MODERATE,
                     force ? "rewrites history on another machine"
                     : del ? "deletes branches on another machine"
                           : "sends commits to another machine");
    } else if (strcmp(c, "reset") == 0) {
        bool hard = wick_sh_has_flag(f, n, 0, "--hard");
        wick_sh_find(w, hard ? WICK_SH_HIGH : WICK_SH_MODERATE,
                     hard ? "loses changes that are not committed" : "moves the branch or the index");
    } else if (strcmp(c, "clean") == 0) {
        bool dry = wick_sh_has_flag(f, n, 'n', "--dry-run");
        if (!dry) wick_sh_find(w, force ? WICK_SH_HIGH : WICK_SH_MODERATE, "deletes files that git does not know");
    } else if (wick_sh_among(c, "checkout restore switch")) {
        bool paths = false, all = false;
        for (size_t k = 1; k < n; k++) {
            paths |= strcmp(f[k].text, "--") == 0;
            all |= wick_sh_among(f[k].text, ". :/ *");
        }
        bool staged = wick_sh_has_flag(f, n, 'S', "--staged") && !wick_sh_has_flag(f, n, 'W', "--worktree");
        bool loses =
            !staged && ((force && strcmp(c, "restore") != 0) || all || wick_sh_has_flag(f, n, 0, "--discard-changes"));
        wick_sh_find(w, loses ? WICK_SH_HIGH : WICK_SH_MODERATE,
                     loses || paths ? "loses changes that are not committed" : "changes the working files");
    } else if (strcmp(c, "branch") == 0 || strcmp(c, "tag") == 0) {
        bool hard = wick_sh_has_flag(f, n, 'D', "-D") || (force && wick_sh_has_flag(f, n, 'd', "--delete"));
        bool listing = wick_sh_has_flag(f, n, 'a', "--all") || wick_sh_has_flag(f, n, 'r', "--remotes") ||
                       wick_sh_has_flag(f, n, 'v', "--verbose") || wick_sh_has_flag(f, n, 'l', "--list") ||
                       wick_sh_has_flag(f, n, 0, "--show-current") || wick_sh_has_flag(f, n, 0, "--contains") ||
                       wick_sh_has_flag(f, n, 0, "--merged") || wick_sh_has_flag(f, n, 0, "--no-merged") ||
                       wick_sh_has_flag(f, n, 0, "--sort") || wick_sh_has_flag(f, n, 'n', "-n");
        if (hard)
            wick_sh_find(w, WICK_SH_HIGH, "deletes a branch that may not be merged");
        else if (n > 1 && !listing)
            wick_sh_find(w, WICK_SH_MODERATE, "makes, renames or deletes a name");
    } else if (strcmp(c, "stash") == 0) {
        if (wick_sh_among(second, "drop clear"))
            wick_sh_find(w, WICK_SH_HIGH, "loses stashed changes");
        else if (!wick_sh_among(second, "list show"))
            wick_sh_find(w, WICK_SH_MODERATE, "moves changes to or from the stash");
    } else if (wick_sh_among(c, "filter-branch filter-repo replace")) {
        wick_sh_find(w, WICK_SH_HIGH, "rewrites history");
    } else if (strcmp(c, "reflog") == 0) {
        if (wick_sh_among(second, "expire delete"))
            wick_sh_find(w, WICK_SH_HIGH, "loses the way back to earlier states");
    } else if (wick_sh_among(c, "gc prune")) {
        wick_sh_find(w,
                     wick_sh_has_flag(f, n, 0, "--prune") || strcmp(c, "prune") == 0 ||
                             wick_sh_has_flag(f, n, 0, "--aggressive")
                         ? WICK_SH_HIGH
                         : WICK_SH_MODERATE,
                     "loses objects that nothing names");
    } else if (strcmp(c, "update-ref") == 0) {
        wick_sh_find(w, wick_sh_has_flag(f, n, 'd', "-d") ? WICK_SH_HIGH : WICK_SH_MODERATE, "changes a reference");
    } else if (strcmp(c, "rm") == 0) {
        bool cached = wick_sh_has_flag(f, n, 0, "--cached"), much = wick_sh_has_flag(f, n, 'r', "-r") || force;
        wick_sh_find(w, much && !cached ? WICK_SH_HIGH : WICK_SH_MODERATE, "deletes files from git");
    } else if (strcmp(c, "remote") == 0) {
        if (wick_sh_among(second, "remove rm set-url add rename prune"))
            wick_sh_find(w, WICK_SH_MODERATE, "changes the remotes");
    } else if (wick_sh_among(c, "submodule worktree bisect notes")) {
        if (n > 1 && !wick_sh_among(second, "status list show log summary"))
            wick_sh_find(w, force ? WICK_SH_HIGH : WICK_SH_MODERATE, "changes the working files");
        if (strcmp(c, "bisect") == 0 && strcmp(second, "run") == 0 && n > 2)
            wick_sh_run(w, f + 2, n - 2, (wick_sh_source){0});
        if (strcmp(c, "submodule") == 0 && strcmp(second, "foreach") == 0 && n > 2)
            wick_sh_walk_text(w, wick_sh_join(w, f + 2, n - 2), (wick_sh_source){0});
    } else if (strcmp(c, "config") == 0) {
        bool get = wick_sh_has_flag(f, n, 'l', "--list") || wick_sh_has_flag(f, n, 0, "--get") ||
                   wick_sh_has_flag(f, n, 0, "--get-all");
        if (!get && n > 2) wick_sh_find(w, WICK_SH_MODERATE, "changes the configuration");
        for (size_t k = 1; k < n; k++)
            if (f[k].text[0] == '!') wick_sh_walk_text(w, f[k].text + 1, (wick_sh_source){0});
    } else if (strcmp(c, "rebase") == 0) {
        for (size_t k = 1; k + 1 < n; k++)
            if (wick_sh_among(f[k].text, "-x --exec")) wick_sh_walk_text(w, f[k + 1].text, (wick_sh_source){0});
        wick_sh_find(w, WICK_SH_MODERATE, "rewrites commits");
    } else if (!wick_sh_among(c, reads)) {
        wick_sh_find(w, WICK_SH_MODERATE, "changes the repository");
    }
}

void wick_sh_rule_git(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    size_t k = 1;
    for (; k < n && f[k].text[0] == '-'; k++) {
        if (strcmp(f[k].text, "-c") == 0 && k + 1 < n) { /* -c alias.x='!command' */
            const char *eq = strchr(f[k + 1].text, '=');
            bool runs = eq && (eq[1] == '!' || wick_starts_with(f[k + 1].text, "core.sshCommand") ||
                               wick_starts_with(f[k + 1].text, "core.pager") ||
                               wick_starts_with(f[k + 1].text, "core.editor") ||
                               wick_starts_with(f[k + 1].text, "core.fsmonitor"));
            if (runs) {
                wick_sh_find(w, WICK_SH_MODERATE, "runs a command from the configuration");
                wick_sh_walk_text(w, eq + (eq[1] == '!' ? 2 : 1), (wick_sh_source){0});
            }
        }
        if (wick_sh_among(f[k].text, "-c -C --git-dir --work-tree --exec-path --namespace")) k++;
    }
    if (k < n) git_command(w, f + k, n - k);
}
