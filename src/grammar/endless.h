/* grammar/endless.h - schemas that only values without end would fulfil. */
#pragma once
#include "grammar/formula.h"

/* Every value that fulfils f has another such value inside, and so on: a required property, or an item, leads back and
 * nothing else is allowed there. Looks at what values must have, not at what they may have; where that is not clear the
 * answer is no. */
bool wick_f_endless(wick_f_pool *p, wick_f f);
