/* shell/rules.h - between rules.c (programs with a function), rules_table.c (those that are a line) and rules_git.c. */
#pragma once
#include "shell/walk.h"

void wick_sh_rule_table(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n);
void wick_sh_rule_git(wick_sh_walk *w, const wick_sh_field *f, size_t n);
