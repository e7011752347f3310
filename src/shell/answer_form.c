/* shell/answer_form.c - the form of an answer as a grammar: one JSON object whose command is well-formed.
 *
 * The command stands in a JSON string, so a double quote is written with a backslash there, and a backslash
 * is two. What the grammar forbids is what no shell accepts: a quote or a substitution that is not closed, a
 * redirection without a file, an empty part of a pipeline. Reserved words are words here (for f in a; do ...): the
 * parser judges them. Not in the grammar, though shells have them: here-documents, case, functions with ().
 */
#include "shell/prompt.h"

const char *wick_sh_answer_grammar(void)
{
    static const char text[] =
        "root ::= \"{\\\"cmd\\\": \\\"\" (list \"\\\"}\" | \"\\\", \\\"refused\\\": \\\"\" "
        "[^\"\\\\\\x00-\\x1f]+ \"\\\"}\")\n"
        "list ::= sp pipe (sep pipe)* (sp [;&])? sp\n"
        "sep ::= sp (\"&&\" | \"||\" | \";\" | \"&\" | \"\\\\n\") sp\n"
        "pipe ::= cmd (sp \"|\" \"&\"? sp cmd)*\n"
        "cmd ::= item (sp redir | sp1 word)* | \"(\" list \")\" (sp redir)*\n"
        "item ::= word | redir\n"
        "redir ::= [0-9]* (\">>\" | \">|\" | \">&\" | \"<&\" | \"<>\" | \"&>>\" | \"&>\" | \"<<<\" | "
        "\"<\" | \">\") sp word\n"
        "word ::= (plain | single | double | escape | expand)+ \"$\"? | \"$\"\n"
        "plain ::= [^ \"'\\\\`$|&;<>()\\x00-\\x1f\\x7f]+\n"
        "single ::= \"'\" ([^'\"\\\\\\x00-\\x1f] | \"\\\\\" [\"\\\\nt])* \"'\"\n"
        "double ::= quote ([^\"\\\\`$\\x00-\\x1f] | \"\\\\\" [nt] | escape | expand)* \"$\"? quote\n"
        "escape ::= \"\\\\\\\\\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\\\\\" | quote)\n"
        "quote ::= \"\\\\\\\"\"\n"
        "expand ::= \"$\" ([A-Za-z0-9_@*#?!$-] | \"(\" list \")\" | \"((\" sum \"))\" | \"{\" param "
        "\"}\" | single) | [<>] \"(\" list \")\" | \"`\" list \"`\"\n"
        "sum ::= ([^()\"'\\\\\\x00-\\x1f] | \"(\" sum \")\")*\n"
        "param ::= ([^{}\"'\\\\$\\x00-\\x1f] | \"\\\\\" [\"\\\\] | expand)*\n"
        "sp1 ::= (\" \" | \"\\\\t\")+\n"
        "sp ::= (\" \" | \"\\\\t\")*\n";
    return text;
}
