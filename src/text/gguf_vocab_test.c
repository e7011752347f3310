/* Vocabularies as other people's GGUF files have them: unknown tokens of any type, types or scores left out, ends of a
 * generation under any type, pre-tokenizers that nobody knows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "text/tokenizer.h"

#define N 12
static const char *const text[N] = {"<pad>",        "<eos>", "<bos>", "<unk>", "<end_of_turn>", "</s>", "<0x41>",
                                    "\xE2\x96\x81", "h",     "i",     "hi",    "\xE2\x96\x81hi"};
static const float scores[N] = {0, 0, 0, 0, 0, 0, 0, -7, -8, -9, -10, -11};

/* A sentencepiece vocabulary with the given types and unknown id; NULL where it is refused. */
static wick_tokenizer *open_spm(const int32_t *types, const float *with_scores, int64_t unk)
{
    wick_str tokens[N];
    wick_tokenizer *t = NULL;
    wick_err err = {0};
    for (uint32_t i = 0; i < N; i++) tokens[i] = wick_str_of(text[i]);
    wick_vocab_source v = {.model = "llama",
                           .tokens = tokens,
                           .scores = with_scores,
                           .types = types,
                           .n = N,
                           .bos = 2,
                           .eos = 1,
                           .unk = unk,
                           .pad = 0,
                           .add_bos = 1,
                           .add_eos = -1,
                           .add_space_prefix = 0,
                           .remove_extra_whitespaces = -1};
    if (wick_tokenizer_from_vocab(&t, &v, "test", &err) != WICK_OK) fail_msg("%s", err.message);
    return t;
}

static void expect(const wick_tokenizer *t, const char *in, const int32_t *want, size_t n_want)
{
    int32_t *ids = NULL;
    size_t n = 0;
    assert_int_equal(wick_tokenizer_encode(t, in, strlen(in), 0, &ids, &n, NULL), WICK_OK);
    assert_int_equal(n, n_want);
    assert_memory_equal(ids, want, n * sizeof *want);
    wick_free(ids);
}

static bool ends_with(const wick_tokenizer *t, int32_t id)
{
    int32_t ends[64];
    uint32_t n = wick_tokenizer_ends(t, ends, 64);
    for (uint32_t i = 0; i < n; i++)
        if (ends[i] == id) return true;
    return false;
}

/* 0 undefined, 1 normal, 2 unknown, 3 control, 4 user, 5 unused, 6 byte */
static void any_type_of_unknown(void **state)
{
    (void)state;
    static const int32_t want[] = {2, 8, 9 + 2, 6, 4, 10};
    for (int32_t unk_type = 0; unk_type <= 5; unk_type++) {
        int32_t types[N] = {3, 3, 3, unk_type, 3, 4, 6, 1, 1, 1, 1, 1};
        wick_tokenizer *t = open_spm(types, scores, 3);
        expect(t, "h hiA<end_of_turn>hi", want, 6);
        wick_tokenizer_free(t);
    }
    int32_t types[N] = {3, 3, 3, 1, 3, 4, 6, 1, 1, 1, 1, 1};
    wick_tokenizer *t = open_spm(types, scores, -1); /* nobody names it */
    expect(t, "h hiA<end_of_turn>hi", want, 6);
    wick_tokenizer_free(t);
}

static void types_and_scores_left_out(void **state)
{
    (void)state;
    static const int32_t zero[N];
    static const int32_t want[] = {2, 8, 11, 6, 4, 10};
    wick_tokenizer *t[] = {open_spm(zero, scores, 3), open_spm(NULL, scores, 3), open_spm(NULL, NULL, 3),
                           open_spm(zero, NULL, -1)};
    for (int i = 0; i < 4; i++) {
        expect(t[i], "h hiA<end_of_turn>hi", want, 6);
        assert_int_equal(wick_tokenizer_type(t[i], 2), WICK_TOKEN_CONTROL);
        assert_int_equal(wick_tokenizer_type(t[i], 6), WICK_TOKEN_BYTE);
        assert_true(ends_with(t[i], 1) && ends_with(t[i], 4) && !ends_with(t[i], 5));
        wick_tokenizer_free(t[i]);
    }
}

static void ends_by_text_whatever_the_type(void **state)
{
    (void)state;
    for (int32_t type = 0; type <= 5; type++) {
        int32_t types[N] = {3, 3, 3, 2, type, 4, 6, 1, 1, 1, 1, 1};
        wick_tokenizer *t = open_spm(types, scores, 3);
        assert_true(ends_with(t, 4));
        assert_false(ends_with(t, 5)); /* strike-through in HTML here */
        wick_tokenizer_free(t);
    }
    int32_t types[N] = {3, 3, 3, 2, 3, 3, 6, 1, 1, 1, 1, 1};
    wick_tokenizer *t = open_spm(types, scores, 3);
    assert_true(ends_with(t, 5));
    assert_int_equal(wick_tokenizer_message_end(t), -1);
    wick_tokenizer_free(t);
}

static wick_status open_bpe(wick_tokenizer **t, const char *const *pieces, uint32_t n, const char *pre, wick_err *err)
{
    wick_str tokens[16];
    const wick_str merge = wick_str_of("a b");
    for (uint32_t i = 0; i < n; i++) tokens[i] = wick_str_of(pieces[i]);
    wick_vocab_source v = {.model = "gpt2",
                           .pre = pre,
                           .tokens = tokens,
                           .n = n,
                           .merges = &merge,
                           .n_merges = 1,
                           .bos = -1,
                           .eos = -1,
                           .unk = -1,
                           .pad = -1,
                           .add_bos = -1,
                           .add_eos = -1,
                           .add_space_prefix = -1,
                           .remove_extra_whitespaces = -1};
    return wick_tokenizer_from_vocab(t, &v, "test", err);
}

/* With a token for the end of the answer, the end of a message is not one. */
static void harmony(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "b", "ab", "<|end|>", "<|return|>", "<|call|>"};
    wick_tokenizer *t = NULL;
    assert_int_equal(open_bpe(&t, pieces, 6, "gpt-2", NULL), WICK_OK);
    assert_int_equal(wick_tokenizer_message_end(t), 3);
    assert_true(!ends_with(t, 3) && ends_with(t, 4) && ends_with(t, 5));
    wick_tokenizer_free(t);
    assert_int_equal(open_bpe(&t, pieces, 4, "gpt-2", NULL), WICK_OK); /* Phi: the end of everything */
    assert_true(ends_with(t, 3));
    wick_tokenizer_free(t);
}

static void unknown_pre(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "b", "ab"};
    wick_tokenizer *t = NULL;
    wick_err err = {0};
    assert_int_equal(open_bpe(&t, pieces, 3, "of-next-year", &err), WICK_E_UNSUPPORTED_FORMAT);
    assert_non_null(strstr(err.message, "of-next-year"));
    assert_non_null(strstr(err.message, "--pre"));
    assert_int_equal(open_bpe(&t, pieces, 3, "default", NULL), WICK_OK);
    wick_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_type_of_unknown), cmocka_unit_test(types_and_scores_left_out),
        cmocka_unit_test(ends_by_text_whatever_the_type), cmocka_unit_test(harmony), cmocka_unit_test(unknown_pre)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
