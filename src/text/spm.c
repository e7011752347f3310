/* text/spm.c - tokenizer.model: sentencepiece's protobuf, BPE and Unigram.
 *
 * Only the fields that decide ids and text are read (numbers from sentencepiece_model.proto):
 *   ModelProto       1 pieces*, 2 trainer_spec, 3 normalizer_spec
 *   SentencePiece    1 piece, 2 score (float), 3 type
 *   TrainerSpec      3 model_type, 24 treat_whitespace_as_suffix, 35 byte_fallback, 40-43 unk, bos, eos, pad id
 *   NormalizerSpec   2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5 escape_whitespaces
 */
#include <float.h>
#include <string.h>
#include "base/reader.h"
#include "text/spm.h"

typedef struct field {
    uint32_t number, wire;
    uint64_t value; /* varint, or the bits of a fixed field */
    wick_str bytes; /* wire type 2 */
} field;

static uint64_t varint(wick_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = wick_read_u8(r);
        v |= (uint64_t)(b & 0x7F) << shift;
        if (!(b & 0x80)) return v;
    }
    r->failed = true;
    return 0;
}

/* The next field; false at the end, or when r failed. */
static bool next_field(wick_reader *r, field *f)
{
    if (r->failed || !wick_reader_left(r)) return false;
    uint64_t key = varint(r);
    memset(f, 0, sizeof *f);
    f->number = key >> 3 > UINT32_MAX ? 0 : (uint32_t)(key >> 3);
    f->wire = key & 7;
    if (f->wire == 0) {
        f->value = varint(r);
    } else if (f->wire == 1) {
        f->value = wick_read_u64(r);
    } else if (f->wire == 5) {
        f->value = wick_read_u32(r);
    } else if (f->wire == 2) {
        f->bytes.n = varint(r);
        f->bytes.p = (const char *)wick_read_bytes(r, f->bytes.n);
        if (!f->bytes.p && f->bytes.n == 0 && !r->failed) f->bytes.p = "";
    } else {
        r->failed = true;
    }
    return !r->failed;
}

static float as_float(uint64_t v)
{
    uint32_t bits = (uint32_t)v;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static const wick_token_type types[] = {WICK_TOKEN_NORMAL, WICK_TOKEN_NORMAL, WICK_TOKEN_UNKNOWN, WICK_TOKEN_CONTROL,
                                        WICK_TOKEN_USER,   WICK_TOKEN_UNUSED, WICK_TOKEN_BYTE};

static wick_status read_piece(wick_tokenizer *t, wick_str msg, const char *where, wick_err *err)
{
    wick_reader r;
    field f;
    wick_str text = {"", 0};
    float score = 0;
    uint64_t type = 1;
    uint32_t id = t->vocab.n;
    wick_reader_init(&r, msg.p, msg.n);
    while (next_field(&r, &f)) {
        if (f.number == 1 && f.wire == 2) text = f.bytes;
        if (f.number == 2 && f.wire == 5) score = as_float(f.value);
        if (f.number == 3 && f.wire == 0) type = f.value;
    }
    if (r.failed || type < 1 || type > 6 || text.n > WICK_TOK_MAX_PIECE)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: piece %u is damaged", where, id);
    if (!wick_vocab_grow(&t->vocab, id + 1, true)) return wick_err_oom(err, "the vocabulary", id, 0);
    wick_str kept = wick_tok_keep(t, text.p, text.n);
    if (!kept.p) return wick_err_oom(err, "the vocabulary", id, 0);
    WICK_TRY(wick_tok_add_piece(t, id, kept, types[type], where, err));
    t->vocab.score[id] = (double)score;
    return WICK_OK;
}

wick_status wick_spm_prepare(wick_tokenizer *t, bool needs_unk, const char *where, wick_err *err)
{
    wick_tok_model *m = &t->model;
    wick_vocab *v = &t->vocab;
    /* the floor of the best score is what sentencepiece 0.2 rewards each byte of a user-defined symbol with */
    float lo = FLT_MAX, hi = 0.1f;
    for (uint32_t id = 0; id < v->n; id++) {
        wick_str p = v->piece[id];
        float score = (float)v->score[id];
        wick_token_type type = (wick_token_type)v->type[id];
        if (type == WICK_TOKEN_UNKNOWN && m->unk < 0) m->unk = (int32_t)id;
        if (type == WICK_TOKEN_NORMAL) {
            lo = score < lo ? score : lo;
            hi = score > hi ? score : hi;
        }
        m->has_unused |= type == WICK_TOKEN_UNUSED;
        if (!p.n) continue;
        if (type == WICK_TOKEN_USER) {
            m->has_user = true;
            if (!wick_trie_add(&m->user, p.p, p.n, (int32_t)id)) return wick_err_oom(err, "the vocabulary", 0, 0);
        }
        if (m->kind == MODEL_UNIGRAM && (type == WICK_TOKEN_NORMAL || type == WICK_TOKEN_USER) &&
            !wick_trie_add(&m->trie, p.p, p.n, (int32_t)id))
            return wick_err_oom(err, "the vocabulary", 0, 0);
    }
    m->min_score = (double)lo;
    m->max_score = (double)hi;
    m->f32 = m->fuse_unk = true;
    if (m->byte_fallback) {
        wick_vocab_byte_tokens(v, m->bytes);
        for (int b = 0; b < 256; b++)
            if (m->bytes[b] >= 0 && v->type[m->bytes[b]] != WICK_TOKEN_BYTE) m->bytes[b] = -1;
    }
    if (m->unk < 0 && needs_unk) return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: no piece of type unknown", where);
    return WICK_OK;
}

typedef struct spec {
    uint64_t model_type, suffix_spaces, byte_fallback;
    int64_t unk, bos, eos, pad;
    wick_str charsmap;
    bool dummy_prefix, squeeze, escape;
} spec;

static bool read_trainer(wick_str msg, spec *s)
{
    wick_reader r;
    field f;
    wick_reader_init(&r, msg.p, msg.n);
    while (next_field(&r, &f)) {
        if (f.wire != 0) continue;
        int64_t id = (int32_t)(uint32_t)f.value;
        switch (f.number) {
        case 3: s->model_type = f.value; break;
        case 24: s->suffix_spaces = f.value; break;
        case 35: s->byte_fallback = f.value; break;
        case 40: s->unk = id; break;
        case 41: s->bos = id; break;
        case 42: s->eos = id; break;
        case 43: s->pad = id; break;
        default: break;
        }
    }
    return !r.failed;
}

static bool read_normalizer(wick_str msg, spec *s)
{
    wick_reader r;
    field f;
    wick_reader_init(&r, msg.p, msg.n);
    while (next_field(&r, &f)) {
        if (f.number == 2 && f.wire == 2) s->charsmap = f.bytes;
        if (f.wire != 0) continue;
        if (f.number == 3) s->dummy_prefix = f.value != 0;
        if (f.number == 4) s->squeeze = f.value != 0;
        if (f.number == 5) s->escape = f.value != 0;
    }
    return !r.failed;
}

static int32_t usable(const wick_tokenizer *t, int64_t id)
{
    return id >= 0 && id < t->vocab.n && t->vocab.type[id] == WICK_TOKEN_CONTROL ? (int32_t)id : -1;
}

static wick_status steps(wick_tokenizer *t, const spec *s, const char *where, wick_err *err)
{
    wick_norm *norm = wick_tok_add_norm(t, NORM_SPM);
    wick_dec *dec = wick_tok_add_dec(t, DEC_SPM);
    if (!norm || !dec) return wick_err_oom(err, "the tokenizer", 0, 0);
    norm->dummy_prefix = s->dummy_prefix;
    norm->squeeze = s->squeeze;
    norm->escape = s->escape;
    norm->suffix_spaces = s->suffix_spaces != 0;
    norm->user = t->model.has_user ? &t->model.user : NULL;
    dec->flag = s->dummy_prefix || s->squeeze;
    dec->squeeze = s->squeeze;
    if (!s->charsmap.n) return WICK_OK;
    wick_str kept = wick_tok_keep(t, s->charsmap.p, s->charsmap.n);
    if (!kept.p) return wick_err_oom(err, "the tokenizer", kept.n, 0);
    return wick_charsmap_init(&norm->map, kept.p, kept.n, where, err);
}

static wick_status read_model(wick_tokenizer *t, const void *proto, size_t n, const char *where, wick_err *err)
{
    spec s = {.model_type = 1,
              .unk = 0,
              .bos = 1,
              .eos = 2,
              .pad = -1,
              .dummy_prefix = true,
              .squeeze = true,
              .escape = true};
    wick_reader r;
    field f;
    bool ok = true;
    wick_reader_init(&r, proto, n);
    while (ok && next_field(&r, &f)) {
        if (f.wire != 2) continue;
        if (f.number == 1) WICK_TRY(read_piece(t, f.bytes, where, err));
        if (f.number == 2) ok = read_trainer(f.bytes, &s);
        if (f.number == 3) ok = read_normalizer(f.bytes, &s);
    }
    if (!ok || r.failed || !t->vocab.n)
        return wick_err_format(err, where, "a sentencepiece model",
                               n ? "something else, or a damaged one" : "an empty file", NULL);
    if (s.model_type != 1 && s.model_type != 2)
        return wick_err_format(err, where, "a sentencepiece model of type bpe or unigram",
                               s.model_type == 3   ? "word"
                               : s.model_type == 4 ? "char"
                                                   : "an unknown type",
                               NULL);
    t->vocab.n_model = t->vocab.n;
    t->model.kind = s.model_type == 2 ? MODEL_SCORED_BPE : MODEL_UNIGRAM;
    t->model.byte_fallback = s.byte_fallback != 0;
    WICK_TRY(wick_spm_prepare(t, true, where, err));
    t->bos = usable(t, s.bos);
    t->eos = usable(t, s.eos);
    t->pad = usable(t, s.pad);
    return steps(t, &s, where, err);
}

wick_status wick_tokenizer_from_spm(wick_tokenizer **out, const void *proto, size_t n, const char *where, wick_err *err)
{
    wick_tokenizer *t = wick_tok_new();
    if (!t) return wick_err_oom(err, "the tokenizer", sizeof *t, 0);
    wick_status st = read_model(t, proto, n, where, err);
    if (st == WICK_OK) st = wick_tok_finish(t, where, err);
    if (st == WICK_OK)
        *out = t;
    else
        wick_tokenizer_free(t);
    return st;
}
