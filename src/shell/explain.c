/* shell/explain.c - see explain.h. Options are those of POSIX and of GNU coreutils, as their manuals describe them. */
#include <string.h>
#include "base/buf.h"
#include "shell/parse.h"
#include "shell/explain.h"

typedef struct program {
    const char *name, *does;
    const char *options; /* "l=long form|a=hidden ones too|--all=..." */
} program;

static const program programs[] = {
    {"ls", "lists files",
     "l=in long form|a=hidden ones too|A=hidden ones, too, but . and ..|h=sizes for people|t=newest first|S=largest "
     "first|r=in reverse|R=folders inside, too|d=folders themselves|1=one a line|i=with inode numbers"},
    {"cd", "changes the folder", ""},
    {"pwd", "prints the folder it is in", ""},
    {"cat", "prints files", "n=with line numbers|A=with what is invisible"},
    {"head", "prints the beginning", "n=that many lines|c=that many bytes"},
    {"tail", "prints the end", "n=that many lines (+N: from line N on)|c=that many bytes|f=and what is added later"},
    {"wc", "counts", "l=lines|w=words|c=bytes|m=characters|L=the longest line"},
    {"grep", "prints lines that match",
     "i=upper and lower case alike|v=those that do not match|n=with line numbers|c=only their number|l=only names of "
     "files|L=names of files without a match|r=in all files below|R=in all files below|w=whole words|x=whole "
     "lines|o=only what matches|E=extended patterns|F=the text as it is|q=nothing printed, only the exit "
     "code|h=without names of files|A=that many lines after|B=that many lines before|C=that many lines around|m=at "
     "most that many"},
    {"sed", "edits a stream of lines",
     "n=prints only what is asked for|i=changes the file itself|E=extended patterns|e=a script"},
    {"awk", "runs a small program on each line", "F=fields end at this|v=sets a variable"},
    {"cut", "takes columns", "d=fields end at this|f=these fields|c=these characters"},
    {"sort", "sorts lines",
     "n=as numbers|r=in reverse|u=each once|k=by this field|t=fields end at this|h=as sizes|V=as versions|f=upper and "
     "lower case alike|o=into a file|M=by month"},
    {"uniq", "joins equal neighbours",
     "c=with their number|d=only repeated ones|u=only single ones|i=upper and lower case alike"},
    {"tr", "replaces characters", "d=deletes them|s=squeezes repeats|c=all others"},
    {"tee", "writes to a file and passes on", "a=adds to it"},
    {"paste", "puts lines side by side", "s=joins all lines|d=with this between"},
    {"find", "looks for files",
     "-name=with this name|-iname=with this name in any case|-type=of this type (f: files, d: folders, l: "
     "links)|-size=of this size|-mtime=changed that many days ago|-mmin=changed that many minutes ago|-newer=changed "
     "later than|-user=of this user|-group=of this group|-perm=with these permissions|-empty=that are "
     "empty|-maxdepth=at most that deep|-mindepth=at least that deep|-delete=and deletes them|-exec=and runs a command "
     "on them|-print0=names ended by NUL|-printf=printed in this form|-prune=but not into these"},
    {"xargs", "makes words of its input operands of a command",
     "0=words ended by NUL|n=that many at a time|I=put where this is"},
    {"cp", "copies",
     "r=folders with all that is in them|R=folders with all that is in them|a=keeping everything|p=keeping times and "
     "permissions|i=asks before it replaces|n=never replaces|u=only newer ones"},
    {"mv", "moves or renames", "i=asks before it replaces|n=never replaces"},
    {"rm", "deletes",
     "r=folders with all that is in them|R=folders with all that is in them|f=without asking|i=asks before each"},
    {"mkdir", "makes a folder", "p=and those above it|m=with these permissions"},
    {"rmdir", "deletes an empty folder", ""},
    {"touch", "makes a file or sets its time to now", "d=to this time|r=to that of another"},
    {"ln", "makes a link", "s=a symbolic one|f=replaces what is there"},
    {"chmod", "changes permissions", "R=of all that is inside"},
    {"chown", "changes the owner", "R=of all that is inside"},
    {"chgrp", "changes the group", "R=of all that is inside"},
    {"tar", "packs or unpacks an archive",
     "c=packs|x=unpacks|t=lists|z=with gzip|j=with bzip2|J=with xz|f=this archive|C=in this folder|v=naming files"},
    {"gzip", "compresses files", "k=keeps the original|d=decompresses|c=to standard output|9=as small as it can"},
    {"gunzip", "decompresses files", "k=keeps the original|c=to standard output"},
    {"zip", "packs into a zip file", "r=folders with all that is in them"},
    {"unzip", "unpacks a zip file", "l=only lists|d=into this folder"},
    {"du", "measures what folders take", "s=only the sum|h=sizes for people|d=that deep|k=in KiB|a=files, too"},
    {"df", "shows free space of file systems", "h=sizes for people|i=inodes|T=with types"},
    {"ps", "lists processes", ""},
    {"kill", "ends a process", "9=without asking it"},
    {"pkill", "ends processes by name", "9=without asking them"},
    {"pgrep", "finds processes by name", ""},
    {"date", "prints the date and time", "u=in UTC|d=of this moment"},
    {"echo", "prints its words", "n=without a newline"},
    {"printf", "prints in a form", ""},
    {"seq", "prints numbers", "s=with this between|w=of equal width"},
    {"stat", "shows what is known of a file", "c=in this form|f=of its file system"},
    {"file", "says what kind of file it is", ""},
    {"diff", "compares files", "u=with context|r=whole folders|q=only whether they differ|y=side by side"},
    {"cmp", "compares bytes", "s=silently"},
    {"comm", "compares sorted files",
     "1=without lines only in the first|2=without lines only in the second|3=without lines in both"},
    {"curl", "fetches from the network",
     "o=into this file|O=into a file of the same name|s=silently|L=following redirects|I=only headers|d=sending "
     "data|X=with this method|H=with this header"},
    {"wget", "downloads", "O=into this file|q=silently"},
    {"ssh", "works on another machine", "p=at this port|L=forwards a port"},
    {"scp", "copies between machines", "r=folders with all that is in them"},
    {"rsync", "copies what differs", "a=keeping everything|n=only shows|z=compressed"},
    {"git", "works with the repository", ""},
    {"sudo", "with all rights", "u=as this user"},
    {"du", "measures what folders take", ""},
    {"env", "shows or sets the environment", ""},
    {"jq", "reads JSON", "r=text without quotes|c=on one line"},
    {"bc", "calculates", ""},
    {"basename", "the name without the folder", ""},
    {"dirname", "the folder without the name", ""},
    {"realpath", "the full path", ""},
    {"nl", "numbers lines", ""},
    {"rev", "turns each line around", ""},
    {"tac", "prints lines from the last to the first", ""},
    {"shuf", "mixes lines", "n=that many|i=numbers of this range|e=of these words"},
    {"split", "cuts a file into pieces", "l=of that many lines|b=of that many bytes|n=that many"},
    {"md5sum", "computes MD5 sums", ""},
    {"sha256sum", "computes SHA-256 sums", "c=checks them"},
    {"column", "aligns columns", "t=as a table|s=fields end at this"},
    {"true", "does nothing", ""},
    {"test", "tests a condition", ""},
    {"[", "tests a condition", ""},
};

static void say_option(wick_buf *b, const char *word, const char *key, size_t n, const char *options)
{
    for (const char *p = options; *p;) {
        const char *eq = strchr(p, '='), *end = strchr(p, '|');
        if (!end) end = p + strlen(p);
        if (eq && eq < end && (size_t)(eq - p) == n && memcmp(p, key, n) == 0) {
            wick_buf_printf(b, "; %s%.*s: %.*s", *key == '-' || n > 1 ? "" : "-", (int)n, key, (int)(end - eq - 1),
                            eq + 1);
            return;
        }
        p = *end ? end + 1 : end;
    }
    (void)word;
}

static void say_program(wick_buf *b, const wick_sh_node *c)
{
    char name[64];
    const wick_sh_word *w = c->word;
    if (!w || w->raw.n >= sizeof name) return;
    memcpy(name, w->raw.p, w->raw.n);
    name[w->raw.n] = 0;
    const program *p = NULL;
    for (size_t k = 0; k < sizeof programs / sizeof *programs && !p; k++)
        if (strcmp(programs[k].name, name) == 0) p = programs + k;
    if (b->n) wick_buf_putc(b, '\n');
    if (!p) {
        wick_buf_printf(b, "%s: a program that is not in the tables", name);
        return;
    }
    wick_buf_printf(b, "%s: %s", name, p->does);
    for (w = w->next; w; w = w->next) {
        char o[64];
        if (w->raw.n < 2 || w->raw.n >= sizeof o || w->raw.p[0] != '-') continue;
        memcpy(o, w->raw.p, w->raw.n);
        o[w->raw.n] = 0;
        if (strcmp(name, "find") == 0) {
            say_option(b, o, o, w->raw.n, p->options);
        } else if (o[1] != '-') {
            for (const char *l = o + 1; *l; l++) say_option(b, o, l, 1, p->options);
        }
    }
}

static void walk(wick_buf *b, const wick_sh_node *c, unsigned depth)
{
    for (; c && depth < WICK_SH_MAX_DEPTH; c = c->next) {
        if (c->kind == WICK_SH_SIMPLE) say_program(b, c);
        walk(b, c->kid, depth + 1);
    }
}

const char *wick_sh_explain(wick_arena *a, const char *cmd, size_t n)
{
    wick_sh_node *c = NULL;
    wick_buf b;
    if (wick_sh_parse(a, cmd, n, &c, NULL) != WICK_OK) return wick_arena_strdup(a, "");
    wick_buf_init(&b, 1u << 16);
    walk(&b, c, 0);
    char *s = b.failed ? NULL : wick_arena_strndup(a, wick_buf_str(&b), b.n);
    wick_buf_release(&b);
    return s;
}
