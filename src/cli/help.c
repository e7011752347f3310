/* cli/help.c - help, man pages and shell completions, all made from the command tables. */
#include <ctype.h>
#include <string.h>
#include "cli/opt.h"

static const char synopsis[] =
    "Runs language models on this machine: MLX, Hugging Face, NPZ and GGUF files; CPU or MLX; nothing to configure.";
static const char exit_codes[] =
    "0 done, 2 bad parameter, 3 model not found, 4 unsupported format,\n"
    "5 bad file, 6 device not available, 7 tokenizer mismatch, 8 out of memory, 9 input/output, 10 cancelled,\n"
    "11 limit, 12 chat template, 13 the model gave no number, 14 refused.";

void wick_help_overview(FILE *out)
{
    fprintf(out, "wick %s - %s\n\nUsage: wick COMMAND [options]\n\n", WICK_VERSION, synopsis);
    for (size_t i = 0; wick_commands[i]; i++)
        fprintf(out, "  %-12s %s\n", wick_commands[i]->name, wick_commands[i]->summary);
    fputs("\nMODEL is a folder (config.json + *.safetensors or *.npz), a .gguf file, a name that `wick list` "
          "shows,\nor ORG/NAME[@REVISION][:QUANTIZATION] of the Hugging Face hub, which is downloaded if it is not "
          "there.\n"
          "wick COMMAND --help teaches a command. Exit codes: ",
          out);
    fprintf(out, "%s\n", exit_codes);
}

/* "-n, --max-tokens N" */
static int option_head(char *dst, size_t cap, const wick_opt *o)
{
    char letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    return snprintf(dst, cap, "%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
}

void wick_help_command(FILE *out, const wick_command *c)
{
    char head[80];
    fprintf(out, "Usage: wick %s%s%s [options]\n\n%s\n", c->name, *c->operands ? " " : "", c->operands, c->summary);
    if (c->about) fprintf(out, "\n%s\n", c->about);
    for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++) {
        fprintf(out, "\n%s\n", c->group[g]->title);
        for (size_t i = 0; i < c->group[g]->n; i++) {
            const wick_opt *o = &c->group[g]->opt[i];
            option_head(head, sizeof head, o);
            fprintf(out, "  %-30s %s%s%s%s\n", head, o->help, o->env ? " [env " : "", o->env ? o->env : "",
                    o->env ? "]" : "");
        }
    }
    if (!c->examples) return;
    fputs("\nExamples\n", out);
    for (const char *p = c->examples; *p;) {
        size_t n = strcspn(p, "\n"), cmd = strcspn(p, "\t\n");
        fprintf(out, "  %-58.*s %.*s\n", (int)cmd, p, cmd < n ? (int)(n - cmd - 1) : 0, cmd < n ? p + cmd + 1 : "");
        p += n + (p[n] == '\n');
    }
}

/* Text for troff: backslashes, leading dots, hyphens. */
static void roff(FILE *out, const char *s)
{
    bool start = true;
    for (; *s; s++) {
        if (*s == '\\')
            fputs("\\e", out);
        else if (*s == '-')
            fputs("\\-", out);
        else if (start && (*s == '.' || *s == '\''))
            fprintf(out, "\\&%c", *s);
        else
            fputc(*s, out);
        start = *s == '\n';
    }
}

/* The same inside "..." of a macro's argument. */
static void roff_quoted(FILE *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '"')
            fputs("\\(dq", out);
        else if (*s == '\\')
            fputs("\\e", out);
        else if (*s == '-')
            fputs("\\-", out);
        else if (*s == '\'')
            fputs("\\(aq", out);
        else
            fputc(*s, out);
    }
}

static void man_head(FILE *out, const char *name, const char *summary)
{
    fputs(".TH ", out);
    for (const char *p = name; *p; p++) fputc(toupper((unsigned char)*p), out);
    fprintf(out, " 1 \"\" \"wick %s\"\n.SH NAME\n", WICK_VERSION);
    roff(out, name);
    fputs(" \\- ", out);
    roff(out, summary);
    fputc('\n', out);
}

static void man_overview(FILE *out)
{
    man_head(out, "wick", "run language models on this machine");
    fputs(".SH SYNOPSIS\n.B wick\n.I COMMAND\n[options]\n.SH DESCRIPTION\n", out);
    roff(out, synopsis);
    fputs("\n.SH COMMANDS\n", out);
    for (size_t i = 0; wick_commands[i]; i++) {
        fprintf(out, ".TP\n.BR wick\\-%s (1)\n", wick_commands[i]->name);
        roff(out, wick_commands[i]->summary);
        fputc('\n', out);
    }
    fputs(".SH EXIT STATUS\n", out);
    roff(out, exit_codes);
    fputc('\n', out);
}

static void man_examples(FILE *out, const char *examples)
{
    if (!examples) return;
    fputs(".SH EXAMPLES\n", out);
    for (const char *p = examples; *p;) {
        char part[512];
        size_t n = strcspn(p, "\n"), cmd = strcspn(p, "\t\n");
        fputs(".TP\n.B \"", out);
        snprintf(part, sizeof part, "%.*s", (int)cmd, p);
        roff_quoted(out, part);
        snprintf(part, sizeof part, "%.*s", cmd < n ? (int)(n - cmd - 1) : 0, cmd < n ? p + cmd + 1 : "");
        fputs("\"\n", out);
        roff(out, part);
        fputc('\n', out);
        p += n + (p[n] == '\n');
    }
}

void wick_help_man(FILE *out, const wick_command *c)
{
    char name[64];
    if (!c) {
        man_overview(out);
        return;
    }
    snprintf(name, sizeof name, "wick-%s", c->name);
    man_head(out, name, c->summary);
    fprintf(out, ".SH SYNOPSIS\n.B wick %s\n", c->name);
    roff(out, c->operands);
    fputs(" [options]\n.SH DESCRIPTION\n", out);
    roff(out, c->about ? c->about : c->summary);
    fputc('\n', out);
    for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++) {
        fputs(".SH \"", out);
        for (const char *p = c->group[g]->title; *p; p++) fputc(toupper((unsigned char)*p), out);
        fputs("\"\n", out);
        for (size_t i = 0; i < c->group[g]->n; i++) {
            const wick_opt *o = &c->group[g]->opt[i];
            fputs(".TP\n.B ", out);
            if (o->letter) fprintf(out, "\\-%c, ", o->letter);
            fputs("\\-\\-", out);
            roff(out, o->name);
            if (o->arg) fprintf(out, " \\fI%s\\fR", o->arg);
            fputc('\n', out);
            roff(out, o->help);
            fputc('\n', out);
        }
    }
    man_examples(out, c->examples);
    fputs(".SH SEE ALSO\n.BR wick (1)\n", out);
}

static void words(FILE *out, const char *choices)
{
    for (const char *p = choices; *p && *p != ' '; p++) fputc(*p == '|' ? ' ' : *p, out);
}

/* What may follow an option: its choices, or for any other value a file name. Flags have no line. */
static void bash_values(FILE *out, const wick_command *c)
{
    for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
        for (size_t j = 0; j < c->group[g]->n; j++) {
            const wick_opt *o = &c->group[g]->opt[j];
            if (o->kind == WICK_OPT_FLAG) continue;
            fprintf(out, "        '%s --%s'", c->name, o->name);
            if (o->letter) fprintf(out, "|'%s -%c'", c->name, o->letter);
            fputs(") ", out);
            if (o->choices) {
                fputs("words='", out);
                words(out, o->choices);
                fputs("' ;;\n", out);
            } else {
                fputs("files=1 ;;\n", out);
            }
        }
}

static bool takes_model(const wick_command *c)
{
    return strncmp(c->operands, "MODEL", 5) == 0 || strncmp(c->operands, "[MODEL", 6) == 0;
}

static void bash_completion(FILE *out)
{
    fputs("# bash completion for wick: source it, or put it into bash-completion's folder\n_wick() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd=${COMP_WORDS[1]} words= files= "
          "models= "
          "IFS=$' \\t\\n'\n    if [ \"$COMP_CWORD\" = 1 ]; then words='",
          out);
    for (size_t i = 0; wick_commands[i]; i++) fprintf(out, "%s%s", i ? " " : "", wick_commands[i]->name);
    fputs("'\n    else case \"$cmd $prev\" in\n", out);
    for (size_t i = 0; wick_commands[i]; i++) bash_values(out, wick_commands[i]);
    fputs("        *) case \"$cmd\" in\n", out);
    for (size_t i = 0; wick_commands[i]; i++) {
        const wick_command *c = wick_commands[i];
        bool named = strcmp(c->operands, "[COMMAND]") == 0, listed = strchr(c->operands, '|') != NULL;
        fprintf(out, "            %s) if [[ $cur == -* ]]; then words='", c->name);
        for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
            for (size_t j = 0; j < c->group[g]->n; j++) fprintf(out, "--%s ", c->group[g]->opt[j].name);
        fputs("'; else ", out);
        if (named) {
            fputs("words='", out);
            for (size_t k = 0; wick_commands[k]; k++) fprintf(out, "%s ", wick_commands[k]->name);
            fputs("'", out);
        } else if (listed) {
            fputs("words='", out);
            words(out, c->operands);
            fputs("'", out);
        } else {
            fputs(takes_model(c) ? "files=1 models=1" : "files=1", out);
        }
        fputs("; fi ;;\n", out);
    }
    fputs("        esac ;;\n    esac; fi\n"
          "    if [ -n \"$files\" ]; then IFS=$'\\n'; COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "        if [ -n \"$models\" ]; then COMPREPLY+=($(compgen -W \"$(wick list --names 2>/dev/null)\" -- "
          "\"$cur\")); fi\n"
          "    else COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")); fi\n}\ncomplete -o filenames -F _wick wick\n",
          out);
}

/* Single quotes inside '...' of sh, zsh and fish. */
static void quoted(FILE *out, const char *s, const char *special)
{
    for (; *s; s++) {
        if (*s == '\'')
            fputs("'\\''", out);
        else {
            if (strchr(special, *s)) fputc('\\', out);
            fputc(*s, out);
        }
    }
}

static void zsh_completion(FILE *out)
{
    fputs("#compdef wick\n_wick_models() { local -a names; names=(${(f)\"$(wick list --names 2>/dev/null)\"})\n"
          "  compadd -a names; _files }\nlocal -a commands\ncommands=(\n",
          out);
    for (size_t i = 0; wick_commands[i]; i++) {
        fprintf(out, "  '%s:", wick_commands[i]->name);
        quoted(out, wick_commands[i]->summary, ":");
        fputs("'\n", out);
    }
    fputs(")\nif (( CURRENT == 2 )); then _describe command commands; return; fi\ncase $words[2] in\n", out);
    for (size_t i = 0; wick_commands[i]; i++) {
        fprintf(out, "  %s) _arguments '*:%s'", wick_commands[i]->name,
                takes_model(wick_commands[i]) ? "model:_wick_models" : "file:_files");
        for (size_t g = 0; g < WICK_MAX_GROUPS && wick_commands[i]->group[g]; g++)
            for (size_t j = 0; j < wick_commands[i]->group[g]->n; j++) {
                const wick_opt *o = &wick_commands[i]->group[g]->opt[j];
                fprintf(out, " \\\n    '--%s[", o->name);
                quoted(out, o->help, "[]:");
                fputs("]", out);
                if (o->choices) {
                    fprintf(out, ":%s:(", o->name);
                    words(out, o->choices);
                    fputc(')', out);
                } else if (o->arg) {
                    fprintf(out, ":%s:_files", o->name);
                }
                fputc('\'', out);
            }
        fputs(" ;;\n", out);
    }
    fputs("esac\n", out);
}

static void fish_completion(FILE *out)
{
    for (size_t i = 0; wick_commands[i]; i++) {
        const wick_command *c = wick_commands[i];
        if (takes_model(c))
            fprintf(out, "complete -c wick -n '__fish_seen_subcommand_from %s' -a '(wick list --names)'\n", c->name);
        fprintf(out, "complete -c wick -n __fish_use_subcommand -f -a %s -d '", c->name);
        quoted(out, c->summary, "");
        fputs("'\n", out);
        for (size_t g = 0; g < WICK_MAX_GROUPS && c->group[g]; g++)
            for (size_t j = 0; j < c->group[g]->n; j++) {
                const wick_opt *o = &c->group[g]->opt[j];
                fprintf(out, "complete -c wick -n '__fish_seen_subcommand_from %s' -l %s", c->name, o->name);
                if (o->letter) fprintf(out, " -s %c", o->letter);
                if (o->choices) {
                    fputs(" -x -a '", out);
                    words(out, o->choices);
                    fputc('\'', out);
                } else if (o->arg) {
                    fputs(" -r", out);
                }
                fputs(" -d '", out);
                quoted(out, o->help, "");
                fputs("'\n", out);
            }
    }
}

wick_status wick_help_completion(FILE *out, const char *shell, wick_err *err)
{
    if (strcmp(shell, "bash") == 0)
        bash_completion(out);
    else if (strcmp(shell, "zsh") == 0)
        zsh_completion(out);
    else if (strcmp(shell, "fish") == 0)
        fish_completion(out);
    else
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "shell", "completions: \"%s\" is not one of bash, zsh, fish",
                         shell);
    return WICK_OK;
}
