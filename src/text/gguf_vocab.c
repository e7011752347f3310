/* text/gguf_vocab.c - vocabularies as GGUF files hold them, with llama.cpp's conventions.
 *
 *   "llama"  SPM-BPE by scores, byte fallback      "gpt2"  byte-level BPE with merges, pattern by tokenizer.ggml.pre
 *   "bert"   WordPiece, word starts marked U+2581  "t5"    Unigram
 * Tokens of type control and user-defined are found in text; control ones only where special tokens are recognised.
 */
#include <string.h>
#include "base/log.h"
#include "text/patterns.h"
#include "text/spm.h"

#define SPACE_MARK "\xE2\x96\x81"

static const wick_token_type types[] = {WICK_TOKEN_NORMAL, WICK_TOKEN_NORMAL, WICK_TOKEN_UNKNOWN, WICK_TOKEN_CONTROL,
                                        WICK_TOKEN_USER,   WICK_TOKEN_UNUSED, WICK_TOKEN_BYTE};

/* "<bos>", "[CLS]", "<|im_end|>": what nobody means as text. */
static bool bracketed(wick_str p)
{
    return p.n > 2 && ((p.p[0] == '<' && p.p[p.n - 1] == '>') || (p.p[0] == '[' && p.p[p.n - 1] == ']'));
}

/* The type of a token by the file, or by what it is where the file does not say (type 0, or no list): the tokens that
 * the file names are control tokens, those that are called like bytes are bytes. A text that ends a generation is a
 * control token whatever the file says; some converters call it text. */
static wick_token_type type_of(const wick_vocab_source *v, uint32_t id, wick_str p)
{
    int32_t said = v->types && v->types[id] >= 1 && v->types[id] <= 6 ? v->types[id] : 0;
    wick_token_type type = types[said];
    if (wick_tok_end_text(p) && (type == WICK_TOKEN_NORMAL || type == WICK_TOKEN_USER)) return WICK_TOKEN_CONTROL;
    bool byte = p.n == 6 && memcmp(p.p, "<0x", 3) == 0 && p.p[5] == '>' && !v->n_merges;
    if (type == WICK_TOKEN_NORMAL && byte) return WICK_TOKEN_BYTE;
    if (said) return type;
    if (v->unk == id) return WICK_TOKEN_UNKNOWN;
    bool named = v->bos == id || v->eos == id || v->pad == id;
    return named && bracketed(p) ? WICK_TOKEN_CONTROL : WICK_TOKEN_NORMAL;
}

static wick_status read_pieces(wick_tokenizer *t, const wick_vocab_source *v, const char *where, wick_err *err)
{
    wick_vocab *o = &t->vocab;
    if (!v->n || v->n > WICK_TOK_MAX_ID + 1u)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: a vocabulary of %u tokens, 1 to %d are read", where, v->n,
                         WICK_TOK_MAX_ID + 1);
    if (!wick_vocab_grow(o, v->n, true) || !wick_map_reserve(&o->map, v->n))
        return wick_err_oom(err, "the vocabulary", v->n, 0);
    for (uint32_t id = 0; id < v->n; id++) {
        wick_str p = v->tokens[id];
        if (p.n > WICK_TOK_MAX_PIECE)
            return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: token %u has %zu bytes", where, id, p.n);
        p = wick_tok_keep(t, p.p, p.n);
        if (!p.p) return wick_err_oom(err, "the vocabulary", v->n, 0);
        o->piece[id] = p;
        o->type[id] = (uint8_t)type_of(v, id, p);
        o->score[id] =
            v->scores ? (double)v->scores[id] : -(double)id; /* pieces are written in the order they were learnt */
        /* padding entries repeat; the first one is found */
        if (wick_map_add(&o->map, p, id) == WICK_MAP_NONE) return wick_err_oom(err, "the vocabulary", v->n, 0);
    }
    o->n_model = v->n;
    return WICK_OK;
}

static wick_status find_in_text(wick_tokenizer *t, const char *where, wick_err *err)
{
    for (uint32_t id = 0; id < t->vocab.n; id++) {
        uint8_t type = t->vocab.type[id];
        if (type != WICK_TOKEN_CONTROL && type != WICK_TOKEN_USER && type != WICK_TOKEN_UNKNOWN) continue;
        wick_added a = {.id = (int32_t)id, .text = t->vocab.piece[id], .special = type != WICK_TOKEN_USER};
        WICK_TRY(wick_added_put(t, &a, where, err));
        t->vocab.type[id] = type;
    }
    return WICK_OK;
}

static wick_status read_merges(wick_tokenizer *t, const wick_vocab_source *v, const char *where, wick_err *err)
{
    wick_buf b = WICK_BUF_INIT;
    if (!wick_merges_init(&t->model, v->n_merges)) return wick_err_oom(err, "the merges", v->n_merges, 0);
    wick_status st = WICK_OK;
    for (uint32_t i = 0; i < v->n_merges && st == WICK_OK; i++) {
        wick_str m = v->merges[i];
        /* the second half may begin with a space in vocabularies without the byte alphabet */
        const char *space = m.n > 1 ? memchr(m.p + 1, ' ', m.n - 1) : NULL;
        if (!space) {
            st = WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: merge %u is not two pieces", where, i);
            break;
        }
        size_t na = (size_t)(space - m.p), nb = m.n - na - 1;
        wick_buf_reset(&b);
        wick_buf_add(&b, m.p, na);
        wick_buf_add(&b, space + 1, nb);
        if (b.failed) {
            st = wick_err_oom(err, "the merges", m.n, 0);
            break;
        }
        int32_t x = wick_vocab_find(&t->vocab, m.p, na), y = wick_vocab_find(&t->vocab, space + 1, nb),
                z = wick_vocab_find(&t->vocab, wick_buf_str(&b), b.n);
        /* llama.cpp keeps such merges but can never use them */
        if (x >= 0 && y >= 0 && z >= 0) wick_merges_add(&t->model, x, y, i, (uint32_t)z);
    }
    wick_buf_release(&b);
    return st;
}

static wick_status split_by(wick_tokenizer *t, const char *regex, const char *where, wick_err *err)
{
    wick_pre *op = wick_tok_add_pre(t, PRE_SPLIT);
    if (!op) return wick_tok_op_failed(t->n_pre, where, err);
    op->how = SPLIT_ISOLATED;
    return wick_regex_new(&op->regex, wick_str_of(regex), where, err);
}

static wick_status gpt2(wick_tokenizer *t, const wick_vocab_source *v, const char *where, wick_err *err)
{
    bool known;
    wick_pattern p = wick_pattern_of(v->pre, &known);
    if (!known)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, where,
                         "%s: tokenizer.ggml.pre \"%.80s\" is not known, so the text would be cut in the wrong places; "
                         "--pre NAME takes another one's rule",
                         where, v->pre);
    if (!v->pre) wick_log(WICK_LOG_WARN, "%s: tokenizer.ggml.pre is missing, the default pattern is used", where);
    t->model.kind = MODEL_BPE;
    t->model.whole_first = p.whole_first;
    if (p.nfc && !wick_tok_add_norm(t, NORM_NFC)) return wick_tok_op_failed(t->n_norm, where, err);
    WICK_TRY(read_merges(t, v, where, err));
    if (p.spaced) {
        wick_norm *n = wick_tok_add_norm(t, NORM_GGUF_SPACE);
        wick_dec *d = wick_tok_add_dec(t, DEC_SPM);
        if (!n || !d) return wick_tok_op_failed(t->n_norm, where, err);
        n->dummy_prefix = v->add_space_prefix == 1;
        d->flag = n->dummy_prefix;
        t->model.byte_fallback = true;
        for (size_t i = 0; p.regex[i]; i++) WICK_TRY(split_by(t, p.regex[i], where, err));
        return WICK_OK;
    }
    if (p.words) return wick_tok_add_pre(t, PRE_WHITESPACE_SPLIT) ? WICK_OK : wick_tok_op_failed(t->n_pre, where, err);
    for (size_t i = 0; p.regex[i]; i++) WICK_TRY(split_by(t, p.regex[i], where, err));
    wick_pre *op = wick_tok_add_pre(t, PRE_BYTE_LEVEL);
    if (!op || !wick_tok_add_dec(t, DEC_BYTE_LEVEL)) return wick_tok_op_failed(t->n_pre, where, err);
    op->flag = v->add_space_prefix == 1;
    return WICK_OK;
}

/* The unknown token: what the key names, else the first of that type, else by its text. One that is found in text
 * (control or user-defined, as Gemma's) stays so. */
static void set_unknown(wick_tokenizer *t, const wick_vocab_source *v)
{
    wick_vocab *o = &t->vocab;
    int32_t id = v->unk >= 0 && v->unk < o->n ? (int32_t)v->unk : -1;
    for (uint32_t i = 0; i < o->n && id < 0; i++)
        if (o->type[i] == WICK_TOKEN_UNKNOWN) id = (int32_t)i;
    if (id < 0) id = wick_vocab_find(o, "<unk>", 5);
    t->model.unk = id;
    if (id >= 0 && o->type[id] == WICK_TOKEN_NORMAL) o->type[id] = WICK_TOKEN_UNKNOWN;
}

static wick_status spaced(wick_tokenizer *t, const wick_vocab_source *v, bool unigram, const char *where, wick_err *err)
{
    bool prefix = v->add_space_prefix != 0;
    wick_norm *n = wick_tok_add_norm(t, unigram ? NORM_SPM : NORM_GGUF_SPACE);
    wick_dec *d = wick_tok_add_dec(t, DEC_SPM);
    if (!n || !d) return wick_tok_op_failed(t->n_norm, where, err);
    t->model.kind = unigram ? MODEL_UNIGRAM : MODEL_SCORED_BPE;
    n->dummy_prefix = d->flag = prefix;
    t->model.byte_fallback = true;
    set_unknown(t, v);
    if (unigram) {
        n->escape = true;
        n->squeeze = d->squeeze = v->remove_extra_whitespaces > 0;
        if (v->charsmap) {
            wick_str kept = wick_tok_keep(t, v->charsmap, v->n_charsmap);
            if (!kept.p) return wick_err_oom(err, "the tokenizer", v->n_charsmap, 0);
            WICK_TRY(wick_charsmap_init(&n->map, kept.p, kept.n, where, err));
        }
    }
    wick_status st = wick_spm_prepare(t, unigram, where, err);
    t->model.has_user = false; /* added.c finds them */
    t->prefix_first_only = t->prefix_after_special = true;
    return st;
}

/* llama.cpp stores "##x" as "x" and "x" as "U+2581 x"; undone here, so that the model is BERT's. */
static wick_status bert(wick_tokenizer *t, const wick_vocab_source *v, const char *where, wick_err *err)
{
    wick_vocab *o = &t->vocab;
    bool marked = false;
    for (uint32_t id = 0; id < o->n && !marked; id++)
        marked = o->piece[id].n > 3 && memcmp(o->piece[id].p, SPACE_MARK, 3) == 0;
    if (marked) {
        wick_map_release(&o->map);
        wick_map_init(&o->map);
        if (!wick_map_reserve(&o->map, o->n)) return wick_err_oom(err, "the vocabulary", o->n, 0);
        for (uint32_t id = 0; id < o->n; id++) {
            wick_str p = o->piece[id];
            if (o->type[id] == WICK_TOKEN_NORMAL && p.n >= 3 && memcmp(p.p, SPACE_MARK, 3) == 0) {
                p.p += 3;
                p.n -= 3;
            } else if (o->type[id] == WICK_TOKEN_NORMAL && !(p.n > 2 && p.p[0] == '[' && p.p[p.n - 1] == ']')) {
                char *s = wick_arena_printf(&t->arena, "##%.*s", (int)p.n, p.p);
                if (!s) return wick_err_oom(err, "the vocabulary", o->n, 0);
                p = wick_str_of(s);
            }
            o->piece[id] = p;
            if (wick_map_add(&o->map, p, id) == WICK_MAP_NONE) return wick_err_oom(err, "the vocabulary", o->n, 0);
        }
    }
    wick_norm *n = wick_tok_add_norm(t, NORM_BERT);
    wick_dec *d = wick_tok_add_dec(t, DEC_WORDPIECE);
    if (!n || !d || !wick_tok_add_pre(t, PRE_BERT)) return wick_tok_op_failed(t->n_norm, where, err);
    n->clean = n->chinese = n->lower = n->accents = true;
    d->a = t->model.prefix = wick_str_of("##");
    d->flag = true;
    t->model.kind = MODEL_WORDPIECE;
    t->model.max_chars = 10000;
    t->model.unk = v->unk >= 0 && v->unk < o->n ? (int32_t)v->unk : wick_vocab_find(o, "[UNK]", 5);
    return WICK_OK;
}

static int32_t valid(const wick_tokenizer *t, int64_t id)
{
    return id >= 0 && id < t->vocab.n ? (int32_t)id : -1;
}

static wick_status build(wick_tokenizer *t, const wick_vocab_source *v, const char *where, wick_err *err)
{
    const char *m = v->model ? v->model : "";
    bool add_bos = false, add_eos = false, known;
    WICK_TRY(read_pieces(t, v, where, err));
    t->bos = valid(t, v->bos);
    t->eos = valid(t, v->eos);
    t->pad = valid(t, v->pad);
    if (strcmp(m, "llama") == 0 || strcmp(m, "gemma") == 0) {
        add_bos = true;
        WICK_TRY(spaced(t, v, false, where, err));
    } else if (strcmp(m, "t5") == 0) {
        if (!v->scores) return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: a \"t5\" vocabulary without scores", where);
        add_eos = true;
        WICK_TRY(spaced(t, v, true, where, err));
    } else if (strcmp(m, "bert") == 0) {
        add_bos = add_eos = true;
        if (t->bos < 0) t->bos = wick_vocab_find(&t->vocab, "[CLS]", 5);
        if (t->eos < 0) t->eos = wick_vocab_find(&t->vocab, "[SEP]", 5);
        WICK_TRY(bert(t, v, where, err));
    } else if (strcmp(m, "gpt2") == 0 || strcmp(m, "gemma4") == 0) {
        wick_vocab_source named = *v;
        if (m[1] == 'e' && !named.pre) named.pre = "gemma4";
        add_bos = wick_pattern_of(named.pre, &known).add_bos;
        WICK_TRY(gpt2(t, &named, where, err));
    } else {
        return wick_err_format(err, where, "a vocabulary of model llama, gpt2, bert or t5", *m ? m : "none", NULL);
    }
    if (v->add_bos >= 0) add_bos = v->add_bos;
    if (v->add_eos >= 0) add_eos = v->add_eos;
    int32_t post[3];
    uint32_t n = 0;
    if (add_bos && t->bos >= 0) post[n++] = t->bos;
    post[n++] = -1;
    if (add_eos && t->eos >= 0) post[n++] = t->eos;
    if (n > 1 && !wick_tok_set_post(t, post, n)) return wick_err_oom(err, "the tokenizer", 0, 0);
    /* [CLS] A [SEP] B [SEP], and as roberta has it <s> A </s></s> B </s> */
    int32_t pair[6];
    n = 0;
    if (add_bos && t->bos >= 0) pair[n++] = t->bos;
    pair[n++] = -1;
    for (int i = 0; i < (strcmp(m, "t5") == 0 ? 2 : 1); i++)
        if (add_eos && t->eos >= 0) pair[n++] = t->eos;
    pair[n++] = -2;
    if (add_eos && t->eos >= 0) pair[n++] = t->eos;
    if (!wick_tok_set_pair(t, pair, n)) return wick_err_oom(err, "the tokenizer", 0, 0);
    return find_in_text(t, where, err);
}

wick_status wick_tokenizer_from_vocab(wick_tokenizer **out, const wick_vocab_source *v, const char *where,
                                      wick_err *err)
{
    wick_tokenizer *t = wick_tok_new();
    if (!t) return wick_err_oom(err, "the tokenizer", sizeof *t, 0);
    wick_status st = build(t, v, where, err);
    if (st == WICK_OK) st = wick_tok_finish(t, where, err);
    if (st == WICK_OK)
        *out = t;
    else
        wick_tokenizer_free(t);
    return st;
}
