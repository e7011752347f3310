/* convert/vocab_probe.c - do two tokenizers read every text alike? Shown on short probes and on a long mixed text, so
 * that a tokenizer is only ever written in another form that means the same. */
#include <string.h>

#include "base/buf.h"
#include "convert/convert_int.h"
#include "text/tokenizer.h"

enum { MIXED_BITS = 40000 };

static const char *const probes[] = {
    "Hello, world! It's 1234567 o'clock; WE'LL see 'bout that, they're here.",
    "  two  spaces\n\n\tand tabs\r\n   end   ",
    "caf\xc3\xa9 na\xc3\xafve \xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c",
    " \xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82",
    "\xf0\x9f\x98\x80\xf0\x9f\x91\x8d 3.14e-10 x=y+z; foo_bar(a[0]) != {};",
    "CamelCaseWords and UPPERlower 12 345 6789 00000 1,000.50 $5 #tag @user http://x.y/z?q=1&r=2",
    "e\xcc\x81 a\xcc\x88 \xe1\x84\x80\xe1\x85\xa1", /* composed by NFC */
    "a",
    " ",
    "\n",
    "don't DON'T Don'T",
};

static bool same_ids(const wick_tokenizer *x, const wick_tokenizer *y, const char *text, size_t n)
{
    int32_t *a = NULL, *b = NULL;
    size_t na = 0, nb = 0;
    bool same = wick_tokenizer_encode(x, text, n, 0, &a, &na, NULL) == WICK_OK &&
                wick_tokenizer_encode(y, text, n, 0, &b, &nb, NULL) == WICK_OK && na == nb &&
                memcmp(a, b, na * sizeof *a) == 0;
    wick_free(a);
    wick_free(b);
    return same;
}

/* A long text in which everything that rules tell apart meets everything else: the vocabulary's own pieces (a rule that
 * cuts where the tokenizer's does not cannot make them), and letters, digits, spaces and signs in a scattered order. */
static void mixed_text(const wick_tokenizer *t, wick_buf *text)
{
    static const char *const bits[] = {"a",
                                       "b",
                                       "the",
                                       "Q",
                                       "ZZ",
                                       "'s",
                                       "'S",
                                       "'ll",
                                       " ",
                                       " ",
                                       "  ",
                                       "   ",
                                       "\n",
                                       "\n\n",
                                       "\r\n",
                                       "\t",
                                       "0",
                                       "7",
                                       "12",
                                       "345",
                                       "6789",
                                       ".",
                                       "!",
                                       "(",
                                       ")[",
                                       "_",
                                       "-",
                                       "/",
                                       "\"",
                                       "'",
                                       "=",
                                       "$",
                                       "#",
                                       ",",
                                       ":",
                                       "\xc3\xa9",
                                       "\xc3\xb1",
                                       "\xc3\x9c",
                                       "\xe4\xbd\xa0",
                                       "\xd0\xb8",
                                       "\xd0\x9f",
                                       "\xf0\x9f\x98\x80",
                                       "\xe0\xa4\x95",
                                       "\xc2\xb2"};
    uint64_t state = 1;
    for (int k = 0; k < MIXED_BITS; k++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t id = (uint32_t)((state >> 33) % wick_tokenizer_size(t));
        if (k % 4 == 3 && wick_tokenizer_type(t, (int32_t)id) == WICK_TOKEN_NORMAL)
            wick_tokenizer_bytes(t, (int32_t)id, text);
        else
            wick_buf_puts(text, bits[(state >> 33) % (sizeof bits / sizeof *bits)]);
    }
}

bool wick_convert_same_text(const wick_tokenizer *own, const wick_tokenizer *other)
{
    wick_buf text = WICK_BUF_INIT;
    bool same = true;
    for (size_t i = 0; same && i < sizeof probes / sizeof *probes; i++)
        same = same_ids(own, other, probes[i], strlen(probes[i]));
    if (same) mixed_text(own, &text);
    same = same && !text.failed && same_ids(own, other, text.data, text.n);
    wick_buf_release(&text);
    return same;
}
