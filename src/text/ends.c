/* text/ends.c - which tokens end a generation, as far as a vocabulary can say.
 *
 * Files name one end, or none, or a wrong one, so that answers run to the length limit. The union of what the files
 * name and of the texts that models are trained to end with is what other programs use too. Two lists: texts that
 * nobody writes, which count whatever the type of the token is; and texts that also occur in ordinary documents ("</s>"
 * is strike-through in HTML, a plain piece of Gemma's vocabulary), which count for control tokens only. */
#include <string.h>
#include "text/tok.h"

static const char *const certain[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|calls|>",
                                      "<|flush|>", "<end_of_turn>", "<turn|>", "<|endoftext|>", "<|eom_id|>",
                                      "<|end_of_text|>", "<end_of_utterance>", "<|eos|>", "<|fim_pad|>", "<|file_sep|>",
                                      "<|repo_name|>", "<|tool_response>", "[e~[", "<|endofturn|>", "<|plamo:eos|>",
                                      /* octal, since "\x9Cend" would be one number */
                                      "<\357\275\234end\342\226\201of\342\226\201sentence\357\275\234>"};
static const char *const control_only[] = {"</s>", "<eos>", "[EOS]", "[EOT]", "<EOT>", "_<EOT>", "[/s]"};

#define N(a) (sizeof(a) / sizeof *(a))

bool wick_tok_end_text(wick_str s)
{
    for (size_t i = 0; i < N(certain); i++)
        if (wick_str_eq(s, wick_str_of(certain[i]))) return true;
    return false;
}

static int32_t find(const wick_tokenizer *t, const char *text)
{
    return wick_vocab_find(&t->vocab, text, strlen(text));
}

int32_t wick_tokenizer_message_end(const wick_tokenizer *t)
{
    bool harmony = find(t, "<|return|>") >= 0 && find(t, "<|call|>") >= 0;
    bool solar = find(t, "<|flush|>") >= 0 && find(t, "<|calls|>") >= 0;
    return harmony || solar ? find(t, "<|end|>") : -1;
}

static void add(int32_t id, int32_t *out, uint32_t cap, uint32_t *n)
{
    if (id < 0 || *n == cap) return;
    for (uint32_t i = 0; i < *n; i++)
        if (out[i] == id) return;
    out[(*n)++] = id;
}

uint32_t wick_tokenizer_ends(const wick_tokenizer *t, int32_t *out, uint32_t cap)
{
    uint32_t n = 0;
    int32_t message = wick_tokenizer_message_end(t);
    add(t->eos, out, cap, &n);
    for (uint32_t i = 0; i < t->n_named_ends; i++) add(t->named_end[i], out, cap, &n);
    for (size_t i = 0; i < N(certain); i++) {
        int32_t id = find(t, certain[i]);
        if (id != message) add(id, out, cap, &n);
    }
    for (size_t i = 0; i < N(control_only); i++) {
        int32_t id = find(t, control_only[i]);
        if (id >= 0 && t->vocab.type[id] == WICK_TOKEN_CONTROL) add(id, out, cap, &n);
    }
    return n;
}
