/* grammar/lark_common.c - what each terminal of "common" matches. */
#include "grammar/lark_common.h"

#define INT_ "[0-9]+"
#define DECIMAL_ "(?:[0-9]+\\.[0-9]*|\\.[0-9]+)"
#define FLOAT_ "(?:[0-9]+[eE][+-]?[0-9]+|" DECIMAL_ "(?:[eE][+-]?[0-9]+)?)"

static const struct {
    const char *name, *pattern;
} common[] = {{"DIGIT", "[0-9]"},
              {"HEXDIGIT", "[0-9a-fA-F]"},
              {"INT", INT_},
              {"SIGNED_INT", "[+-]?" INT_},
              {"DECIMAL", DECIMAL_},
              {"FLOAT", FLOAT_},
              {"SIGNED_FLOAT", "[+-]?" FLOAT_},
              {"NUMBER", FLOAT_ "|" INT_},
              {"SIGNED_NUMBER", "[+-]?(?:" FLOAT_ "|" INT_ ")"},
              {"ESCAPED_STRING", "\"(?:[^\"\\\\\\n]|\\\\[^\\n])*\""},
              {"LCASE_LETTER", "[a-z]"},
              {"UCASE_LETTER", "[A-Z]"},
              {"LETTER", "[a-zA-Z]"},
              {"WORD", "[a-zA-Z]+"},
              {"CNAME", "[a-zA-Z_][a-zA-Z0-9_]*"},
              {"WS_INLINE", "[ \\t]+"},
              {"WS", "[ \\t\\f\\r\\n]+"},
              {"CR", "\\r"},
              {"LF", "\\n"},
              {"NEWLINE", "(?:\\r?\\n)+"},
              {"SH_COMMENT", "#[^\\n]*"},
              {"CPP_COMMENT", "//[^\\n]*"},
              {"SQL_COMMENT", "--[^\\n]*"},
              {"C_COMMENT", "/\\*(?:[^*]|\\*+[^*/])*\\*+/"}};

const char *wick_lark_common(wick_str name)
{
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (wick_str_eq(name, wick_str_of(common[i].name))) return common[i].pattern;
    return NULL;
}
