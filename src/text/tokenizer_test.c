/* Tokenizers from text built here: ids, text, streaming, errors, and every allocation failing once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "text/tokenizer.h"

static const char bytes_json[] =
    "{\"added_tokens\":[{\"id\":300,\"content\":\"<|end|>\",\"special\":true,\"normalized\":false,\"single_word\":"
    "false,\"lstrip\":false,\"rstrip\":false}],"
    "\"normalizer\":{\"type\":\"NFC\"},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{L}+"
    "| ?[^\\\\s\\\\p{L}]+|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<|end|>\",\"type_id\":"
    "0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],"
    "\"special_tokens\":{\"<|end|>\":{\"id\":\"<|end|>\",\"ids\":[10],\"tokens\":[\"<|end|>\"]}}},"
    "\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"\\u0120\":2,\"\\u00c3\":3,\"\\u00a9\":4,\"ab\":5,"
    "\"abab\":6,\"\\u00c3\\u00a9\":7,\"\\u00f0\":8,\"\\u0141\":9},"
    "\"merges\":[[\"a\",\"b\"],\"ab ab\",\"\\u00c3 \\u00a9\"]}}";

static const char fallback_json[] =
    "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"},{\"type\":"
    "\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"}]},"
    "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u2581\"},"
    "\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true,"
    "\"vocab\":{\"<unk>\":0,\"\\u2581\":1,\"h\":2,\"i\":3,\"hi\":4,\"\\u2581hi\":5,\"<0xC3>\":6,\"<0xA9>\":7},"
    "\"merges\":[\"h i\",\"\\u2581 hi\"]}}";

static wick_tokenizer *open_json(const char *text)
{
    wick_tokenizer *t = NULL;
    wick_err err = {0};
    if (wick_tokenizer_from_json(&t, text, strlen(text), "test", &err) != WICK_OK) fail_msg("%s", err.message);
    return t;
}

static void expect(const wick_tokenizer *t, const char *text, size_t n, unsigned flags, const int32_t *want,
                   size_t n_want)
{
    int32_t *ids = NULL;
    size_t n_ids = 0;
    assert_int_equal(wick_tokenizer_encode(t, text, n, flags, &ids, &n_ids, NULL), WICK_OK);
    assert_int_equal(n_ids, n_want);
    if (n_want) assert_memory_equal(ids, want, n_want * sizeof *want);
    wick_free(ids);
}

static void byte_level_bpe(void **state)
{
    (void)state;
    wick_tokenizer *t = open_json(bytes_json);
    assert_int_equal(wick_tokenizer_size(t), 11);
    expect(t, "ababab", 6, WICK_ENC_NO_SPECIAL, (int32_t[]){6, 5}, 2);
    expect(t, "ab a", 4, 0, (int32_t[]){10, 5, 2, 0}, 4);
    expect(t, "a<|end|>b", 9, WICK_ENC_NO_SPECIAL, (int32_t[]){0, 10, 1}, 3);
    expect(t, "a<|end|>b", 9, WICK_ENC_NO_SPECIAL | WICK_ENC_PLAIN_TEXT, (int32_t[]){0, 1}, 2);
    expect(t, "e\xCC\x81", 3, WICK_ENC_NO_SPECIAL, (int32_t[]){7}, 1); /* composed first */
    expect(t, "", 0, WICK_ENC_NO_SPECIAL, NULL, 0);
    assert_int_equal(wick_tokenizer_bos(t), 10);
    assert_int_equal(wick_tokenizer_type(t, 10), WICK_TOKEN_CONTROL);
    assert_int_equal(wick_tokenizer_type(t, 99), WICK_TOKEN_UNUSED);
    assert_int_equal(wick_tokenizer_find(t, "abab", 4), 6);
    assert_int_equal(wick_tokenizer_find(t, "zz", 2), -1);
    wick_buf b = WICK_BUF_INIT;
    wick_tokenizer_bytes(t, 7, &b);
    wick_tokenizer_bytes(t, 2, &b);
    wick_tokenizer_bytes(t, 10, &b);
    assert_string_equal(wick_buf_str(&b), "\xC3\xA9 <|end|>");
    wick_buf_release(&b);
    wick_tokenizer_free(t);
}

/* Each prefix of the stream is whole characters, and all of it is decode(). */
static void check_stream(const wick_tokenizer *t, const int32_t *ids, size_t n, bool skip, const char *want)
{
    wick_buf whole = WICK_BUF_INIT, out = WICK_BUF_INIT;
    wick_detok *d = NULL;
    assert_int_equal(wick_tokenizer_decode(t, ids, n, skip, &whole, NULL), WICK_OK);
    assert_string_equal(wick_buf_str(&whole), want);
    assert_int_equal(wick_detok_new(&d, t, skip, NULL), WICK_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(wick_detok_push(d, ids[i], &out, NULL), WICK_OK);
        assert_true(!out.n || wick_utf8_valid(out.data, out.n));
    }
    wick_detok_flush(d, &out);
    assert_string_equal(wick_buf_str(&out), want);
    wick_detok_free(d);
    wick_buf_release(&whole);
    wick_buf_release(&out);
}

static void streams(void **state)
{
    (void)state;
    wick_tokenizer *t = open_json(bytes_json);
    check_stream(t, (int32_t[]){0, 3, 4, 2, 1}, 5, false, "a\xC3\xA9 b");
    check_stream(t, (int32_t[]){3, 0}, 2, false,
                 "\xEF\xBF\xBD"
                 "a");
    check_stream(t, (int32_t[]){8, 9}, 2, false, "\xEF\xBF\xBD");
    check_stream(t, (int32_t[]){0, 10, 1}, 3, true, "ab");
    wick_tokenizer_free(t);
    t = open_json(fallback_json);
    expect(t, "hi hi", 5, 0, (int32_t[]){5, 5}, 2);
    expect(t, "h\xC3\xA9", 3, 0, (int32_t[]){1, 2, 6, 7}, 4);
    expect(t, "zz", 2, 0, (int32_t[]){1, 0}, 2);
    check_stream(t, (int32_t[]){5, 5, 6, 7}, 4, false, "hi hi\xC3\xA9");
    check_stream(t, (int32_t[]){6, 5}, 2, false, "\xEF\xBF\xBD hi");
    check_stream(t, (int32_t[]){6, 7, 6}, 3, false, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    wick_tokenizer_free(t);
}

static void gguf_vocabularies(void **state)
{
    (void)state;
    static const char *const names[] = {"<unk>", "<s>", "</s>", "<0x41>",        "\xE2\x96\x81",
                                        "h",     "i",   "hi",   "\xE2\x96\x81hi"};
    static const int32_t types[] = {2, 3, 3, 6, 1, 1, 1, 1, 1};
    static const float scores[] = {0, 0, 0, 0, -5, -6, -7, -1, -2};
    wick_str tokens[9];
    for (int i = 0; i < 9; i++) tokens[i] = wick_str_of(names[i]);
    wick_vocab_source v = {.model = "llama",
                           .tokens = tokens,
                           .scores = scores,
                           .types = types,
                           .n = 9,
                           .bos = 1,
                           .eos = 2,
                           .unk = 0,
                           .pad = -1,
                           .add_bos = -1,
                           .add_eos = 1,
                           .add_space_prefix = -1};
    wick_tokenizer *t = NULL;
    assert_int_equal(wick_tokenizer_from_vocab(&t, &v, "test", NULL), WICK_OK);
    expect(t, "hi hi", 5, 0, (int32_t[]){1, 8, 8, 2}, 4);
    expect(t, "A", 1, WICK_ENC_NO_SPECIAL, (int32_t[]){4, 3}, 2);
    expect(t, "hi<s>hi", 7, WICK_ENC_NO_SPECIAL, (int32_t[]){8, 1, 8}, 3);
    check_stream(t, (int32_t[]){1, 8, 8, 3, 2}, 5, true, "hi hiA");
    assert_int_equal(wick_tokenizer_eos(t), 2);
    wick_tokenizer_free(t);
    v.model = "magic";
    wick_err err = {0};
    assert_int_equal(wick_tokenizer_from_vocab(&t, &v, "test", &err), WICK_E_UNSUPPORTED_FORMAT);
    v.model = "gpt2";
    v.pre = "qwen2";
    wick_str merge = wick_str_of("h i");
    v.merges = &merge;
    v.n_merges = 1;
    assert_int_equal(wick_tokenizer_from_vocab(&t, &v, "test", NULL), WICK_OK);
    expect(t, "hi", 2, WICK_ENC_NO_SPECIAL, (int32_t[]){7}, 1);
    wick_tokenizer_free(t);
}

static void refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"model\":7}",
        "{\"model\":{\"type\":\"BPE\"}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":16777216},\"merges\":[]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a c\"]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}",
        "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},\"decoder\":{\"type\":\"Q\"}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"Split\","
        "\"pattern\":{\"Regex\":\"(\"}}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wick_tokenizer *t = NULL;
        wick_err err = {0};
        assert_int_not_equal(wick_tokenizer_from_json(&t, bad[i], strlen(bad[i]), "test", &err), WICK_OK);
        assert_true(err.message[0] && !strchr(err.message, '\n'));
        assert_null(t);
    }
    wick_tokenizer *t = open_json(bytes_json);
    wick_buf b = WICK_BUF_INIT;
    assert_int_equal(wick_tokenizer_decode(t, (int32_t[]){11}, 1, false, &b, NULL), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_tokenizer_decode(t, (int32_t[]){-1}, 1, false, &b, NULL), WICK_E_BAD_PARAMETER);
    wick_buf_release(&b);
    wick_tokenizer_free(t);
}

static wick_status round_trip(const char *json)
{
    wick_tokenizer *t = NULL;
    wick_buf b = WICK_BUF_INIT;
    int32_t *ids = NULL;
    size_t n = 0;
    static const char text[] = "hi ab<|end|>e\xCC\x81\xFF ababababababababababababababababababababababababababab";
    wick_status st = wick_tokenizer_from_json(&t, json, strlen(json), "test", NULL);
    if (st == WICK_OK) st = wick_tokenizer_encode(t, text, sizeof text - 1, 0, &ids, &n, NULL);
    if (st == WICK_OK) st = wick_tokenizer_decode(t, ids, n, false, &b, NULL);
    wick_buf_release(&b);
    wick_free(ids);
    wick_tokenizer_free(t);
    return st;
}

static void every_allocation_fails(void **state)
{
    (void)state;
    static const char *const texts[] = {bytes_json, fallback_json};
    for (int k = 0; k < 2; k++) {
        for (int forever = 0; forever < 2; forever++) {
            unsigned n = 1;
            for (; n < 20000; n++) {
                wick_alloc_fail_at(n, forever);
                wick_status st = round_trip(texts[k]);
                wick_alloc_fail_at(0, false);
                if (st == WICK_OK && forever) break;
                if (st == WICK_OK && n > 2000) break;
                assert_true(st == WICK_OK || st == WICK_E_OUT_OF_MEMORY || st == WICK_E_BAD_FILE);
                if (!forever && n > 600) break;
            }
            assert_true(n > 20 && n < 20000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level_bpe),         cmocka_unit_test(streams),
        cmocka_unit_test(gguf_vocabularies),      cmocka_unit_test(refusals),
        cmocka_unit_test(every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
