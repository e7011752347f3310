/* cli/help.c - help, man pages and shell completions, all made from the command tables. */
#include <ctype.h>
#include <string.h>
#include "cli/opt.h"

static const char synopsis[] =
    "Runs language models on this machine: MLX, Hugging Face, NPZ and GGUF files; CPU or MLX; nothing to configure.";

void wick_help_overview(FILE *out)
{
    fprintf(out, "wick %s - %s\n\nUsage: wick COMMAND [options]\n\n", WICK_VERSION, synopsis);
    for (size_t i = 0; wick_commands[i]; i++)
        fprintf(out, "  %-12s %s\n", wick_commands[i]->name, wick_commands[i]->summary);
    fputs("\nMODEL is a folder (config.json + *.safetensors or *.npz), a .gguf file, or a name that `wick discover` "
          "lists.\n"
          "wick COMMAND --help teaches a command. Exit codes: 0 done, 2 bad parameter, 3 model not found, 4 "
          "unsupported format,\n"
          "5 bad file, 6 device not available, 7 tokenizer mismatch, 8 out of memory, 9 input/output, 10 cancelled, 11 "
          "limit.\n",
          out);
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
    fputs(".SH SEE ALSO\n.BR wick (1)\n", out);
}

/* Calls fn for each option of each command. */
static void bash_completion(FILE *out)
{
    fputs("# bash completion for wick: source it, or put it into bash-completion's folder\n_wick() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd=${COMP_WORDS[1]} words=\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then words='",
          out);
    for (size_t i = 0; wick_commands[i]; i++) fprintf(out, "%s%s", i ? " " : "", wick_commands[i]->name);
    fputs("'\n    else case \"$cmd $prev\" in\n", out);
    for (size_t i = 0; wick_commands[i]; i++)
        for (size_t g = 0; g < WICK_MAX_GROUPS && wick_commands[i]->group[g]; g++)
            for (size_t j = 0; j < wick_commands[i]->group[g]->n; j++) {
                const wick_opt *o = &wick_commands[i]->group[g]->opt[j];
                if (!o->choices) continue;
                fprintf(out, "        '%s --%s') words='", wick_commands[i]->name, o->name);
                for (const char *p = o->choices; *p; p++) fputc(*p == '|' ? ' ' : *p, out);
                fputs("' ;;\n", out);
            }
    fputs("        *) case \"$cmd\" in\n", out);
    for (size_t i = 0; wick_commands[i]; i++) {
        fprintf(out, "            %s) words='", wick_commands[i]->name);
        for (size_t g = 0; g < WICK_MAX_GROUPS && wick_commands[i]->group[g]; g++)
            for (size_t j = 0; j < wick_commands[i]->group[g]->n; j++)
                fprintf(out, "--%s ", wick_commands[i]->group[g]->opt[j].name);
        fputs("' ;;\n", out);
    }
    fputs("        esac ;;\n    esac; fi\n"
          "    if [[ $cur == -* || $COMP_CWORD == 1 || -n $words && $prev == --* ]]; then COMPREPLY=($(compgen -W "
          "\"$words\" -- \"$cur\"))\n"
          "    else COMPREPLY=($(compgen -f -- \"$cur\")); fi\n}\ncomplete -o filenames -F _wick wick\n",
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
    fputs("#compdef wick\nlocal -a commands\ncommands=(\n", out);
    for (size_t i = 0; wick_commands[i]; i++) {
        fprintf(out, "  '%s:", wick_commands[i]->name);
        quoted(out, wick_commands[i]->summary, ":");
        fputs("'\n", out);
    }
    fputs(")\nif (( CURRENT == 2 )); then _describe command commands; return; fi\ncase $words[2] in\n", out);
    for (size_t i = 0; wick_commands[i]; i++) {
        fprintf(out, "  %s) _arguments '*:file:_files'", wick_commands[i]->name);
        for (size_t g = 0; g < WICK_MAX_GROUPS && wick_commands[i]->group[g]; g++)
            for (size_t j = 0; j < wick_commands[i]->group[g]->n; j++) {
                const wick_opt *o = &wick_commands[i]->group[g]->opt[j];
                fprintf(out, " \\\n    '--%s[", o->name);
                quoted(out, o->help, "[]:");
                fputs("]", out);
                if (o->choices) {
                    fprintf(out, ":%s:(", o->name);
                    for (const char *p = o->choices; *p; p++) fputc(*p == '|' ? ' ' : *p, out);
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
                    for (const char *p = o->choices; *p; p++) fputc(*p == '|' ? ' ' : *p, out);
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
