/* The trie before and after it is packed: the same answers for random sets of strings. */
#include "text/trie.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static uint32_t next_random(uint32_t *s)
{
    *s = *s * 1664525u + 1013904223u;
    return *s >> 8;
}

/* `spread` bytes of the alphabet in use: 2 gives long chains, 250 wide nodes. */
static size_t word(uint32_t *seed, uint32_t spread, char out[16])
{
    size_t n = 1 + next_random(seed) % 12;
    for (size_t i = 0; i < n; i++) out[i] = (char)(next_random(seed) % spread * (i % 3 ? 1 : 255 / spread));
    return n;
}

static void packed_is_the_same(void **state)
{
    (void)state;
    static const uint32_t spreads[] = {1, 2, 5, 26, 100, 255};
    for (size_t k = 0; k < sizeof spreads / sizeof *spreads; k++) {
        wick_trie plain = {0}, packed = {0};
        uint32_t seed = 7;
        char w[16];
        for (int32_t i = 0; i < 3000; i++) {
            size_t n = word(&seed, spreads[k], w);
            assert_true(wick_trie_add(&plain, w, n, i) && wick_trie_add(&packed, w, n, i));
        }
        assert_true(wick_trie_pack(&packed) && wick_trie_pack(&packed));
        seed = 7;
        for (int i = 0; i < 6000; i++) { /* those that are in it, then others */
            size_t n = word(&seed, spreads[k], w);
            int32_t a = -1, b = -1;
            assert_int_equal(wick_trie_longest(&plain, w, n, &a), wick_trie_longest(&packed, w, n, &b));
            assert_int_equal(a, b);
        }
        wick_trie_release(&plain);
        wick_trie_release(&packed);
    }
}

static void an_empty_trie_packs(void **state)
{
    (void)state;
    wick_trie t = {0};
    int32_t v;
    assert_true(wick_trie_pack(&t));
    assert_int_equal(wick_trie_longest(&t, "a", 1, &v), 0);
    wick_trie_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(packed_is_the_same), cmocka_unit_test(an_empty_trie_packs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
