/* grammar/num.h - decimal numbers as languages: bounds and multiples, exact, over the text that JSON has for a number.
 *
 * A bound is compared digit by digit while the number is read; a multiple keeps the remainder. Both are leaves of an
 * expression (RE_NUM), so they meet with others by intersection. Exponents are accepted where the value can still be
 * decided by a finite automaton: see wick_num_language.
 */
#pragma once
#include "grammar/re.h"

/* A decimal number: sign, digits without leading or trailing zeros, value = 0.d1d2d3... * 10^point; zero has no
 * digits. */
typedef struct wick_decimal {
    bool negative;
    uint32_t n;    /* digits */
    int32_t point; /* value = 0.DIGITS * 10^point */
    char digit[64];
} wick_decimal;

/* Reads the text of a JSON number; false where it has more than 60 significant digits or an exponent beyond +-400. */
bool wick_decimal_parse(wick_decimal *d, const char *s, size_t n);
int wick_decimal_cmp(const wick_decimal *a, const wick_decimal *b);

typedef enum wick_num_op { NUM_LT, NUM_LE, NUM_GE, NUM_GT } wick_num_op;

typedef struct wick_num_def {
    bool multiple, whole /* no fraction in the text */;
    wick_num_op op;
    wick_decimal d; /* bound, not negative: digits of the text's absolute value are compared with it */
    uint64_t mod;   /* multiple: value * 10^scale is a multiple of mod */
    uint32_t scale;
} wick_num_def;

/* Numbers (sign, fraction; without exponent) that are multiples of d > 0; WICK_RE_NONE where d has too many digits. */
wick_re wick_num_multiple(wick_re_pool *p, const wick_decimal *d);
wick_re wick_num_derive(wick_re_pool *p, const wick_re_node *x, uint8_t byte);

wick_re wick_num_any(wick_re_pool *p);     /* every JSON number */
wick_re wick_num_integer(wick_re_pool *p); /* those whose value is an integer: 3, 3.0, 3e2; not 3.5e1 */
/* Numbers op d for d of any sign. Exponents: free where the sign decides, else normalised ones (d.ddde+dd). */
wick_re wick_num_bound(wick_re_pool *p, wick_num_op op, const wick_decimal *d);
wick_re wick_num_equal(wick_re_pool *p, const wick_decimal *d); /* every text of that value that wick_num_bound knows */
