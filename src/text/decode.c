/* text/decode.c - ids to text, whole or as a stream.
 *
 * The decoder steps of `tokenizers` map a list of tokens to a list of tokens. Here each step is a small machine that
 * is fed tokens, or fragments of one, and passes on what no later token can change; decode() is the stream fed at
 * once, so the two cannot differ. Fragments end at character boundaries. The last stage repairs what is not UTF-8.
 *
 *   push(id) -> stage 0 -> stage 1 -> ... -> sink -> out          flush(): each stage lets go, in order
 */
#include <string.h>
#include "text/tok.h"
#include "text/unicode.h"

#define SPACE_MARK "\xE2\x96\x81"
#define REPLACEMENT "\xEF\xBF\xBD"

typedef struct stage {
    wick_buf hold;  /* what must wait, its meaning is the step's */
    wick_buf whole; /* fragments of a token, for steps that need it in one piece */
    wick_buf work;  /* what the step makes of a token; kept, so that a running stream does not allocate */
    uint64_t index; /* tokens that ended so far */
    uint32_t cut;   /* STRIP: characters taken off the front; held back at the end */
    uint32_t tail;
    bool started;    /* STRIP: past the front; BPE, CTC: hold is a token; SPM: text has come */
    bool mark_eaten; /* SPM: the first token lost its mark */
} stage;

struct wick_detok {
    const wick_tokenizer *t;
    bool skip_special;
    stage *stages; /* [t->n_dec + 1], the last is the sink */
    wick_buf *out;
    wick_buf scratch;
    wick_regex_run run;
    int32_t id; /* being pushed */
    wick_status failed;
    wick_err *err;
};

static void feed(wick_detok *d, uint32_t at, const char *p, size_t n, bool end);

static void sink(wick_detok *d, stage *s, const char *p, size_t n, bool final)
{
    wick_buf *h = &s->hold;
    if (!h->n && wick_utf8_valid(p, n)) {
        wick_buf_add(d->out, p, n);
        return;
    }
    wick_buf_add(h, p, n);
    if (h->failed) {
        d->failed = WICK_E_OUT_OF_MEMORY;
        return;
    }
    if (!h->n) return;
    size_t whole = final ? h->n : wick_utf8_complete(h->data, h->n);
    wick_uni_repair(d->out, h->data, whole);
    if (whole) memmove(h->data, h->data + whole, h->n - whole);
    h->n -= whole;
}

/* A run of byte tokens: characters if all of it is valid, else one U+FFFD per byte. */
static void flush_byte_run(wick_detok *d, uint32_t at, stage *s)
{
    if (!s->hold.n) return;
    if (wick_utf8_valid(s->hold.data, s->hold.n)) {
        feed(d, at + 1, s->hold.data, s->hold.n, true);
    } else {
        for (size_t i = 0; i < s->hold.n; i++) feed(d, at + 1, REPLACEMENT, 3, true);
    }
    wick_buf_reset(&s->hold);
}

static int byte_token(const char *p, size_t n)
{
    int v = 0;
    if (n != 6 || memcmp(p, "<0x", 3) != 0 || p[5] != '>') return -1;
    for (int i = 3; i < 5; i++) {
        char c = p[i];
        int h = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (h < 0) return -1;
        v = v * 16 + h;
    }
    return v;
}

static void replace_all(wick_buf *out, wick_str in, wick_str find, wick_str with)
{
    size_t at = 0;
    while (find.n && in.n - at >= find.n) {
        const char *from = in.p + at, *hit = memchr(from, find.p[0], in.n - at - find.n + 1);
        size_t k = hit ? (size_t)(hit - from) : in.n - at; /* tokens are short: by first bytes, not by memmem */
        wick_buf_add(out, from, k);
        at += k;
        if (!hit) return;
        if (memcmp(hit, find.p, find.n) == 0) {
            wick_buf_add(out, with.p, with.n);
            at += find.n;
        } else {
            wick_buf_putc(out, in.p[at++]);
        }
    }
    wick_buf_add(out, in.p + at, in.n - at);
}

/* The English clean-up of the WordPiece and CTC decoders, in place; applied to each token alone. */
static void cleanup(wick_buf *b)
{
    static const char *const pairs[][2] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                                           {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                                           {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        wick_str in = {b->data, b->n}, find = wick_str_of(pairs[i][0]), with = wick_str_of(pairs[i][1]);
        if (!b->n || b->failed || !memmem(in.p, in.n, find.p, find.n)) continue;
        wick_buf fresh = WICK_BUF_INIT;
        replace_all(&fresh, in, find, with);
        wick_buf_release(b);
        *b = fresh;
    }
}

static void replace_step(wick_detok *d, const wick_dec *op, const char *p, size_t n, wick_buf *out)
{
    size_t at = 0, from = 0, a, b, last_end = SIZE_MAX;
    if (!op->regex) {
        replace_all(out, (wick_str){p, n}, op->a, op->b);
        return;
    }
    while (n && at <= n) {
        wick_status st = wick_regex_next(op->regex, &d->run, p, n, at, &a, &b, d->err);
        if (st != WICK_OK) {
            d->failed = st;
            return;
        }
        if (a == SIZE_MAX) break;
        if (a != b || a != last_end) {
            wick_buf_add(out, p + from, a - from);
            wick_buf_add(out, op->b.p, op->b.n);
            from = last_end = b;
        }
        at = b;
        if (a == b) {
            at++;
            while (at < n && ((unsigned char)p[at] & 0xC0) == 0x80) at++;
        }
    }
    wick_buf_add(out, p + from, n - from);
}

/* A fragment: marks become spaces, or nothing in the first token. */
static void metaspace(wick_detok *d, uint32_t at, const wick_dec *op, stage *s, const char *p, size_t n, bool end)
{
    wick_buf *b = &s->work;
    wick_buf_reset(b);
    replace_all(b, (wick_str){p, n}, op->a, (wick_str){" ", s->index == 0 && op->flag ? 0 : 1});
    if (b->failed)
        d->failed = WICK_E_OUT_OF_MEMORY;
    else
        feed(d, at + 1, b->data ? b->data : "", b->n, end);
    s->index += end;
}

static void strip(wick_detok *d, uint32_t at, const wick_dec *op, stage *s, const char *p, size_t n, bool end)
{
    wick_buf *b = &s->work;
    wick_buf_reset(b);
    for (size_t i = 0; i < n;) {
        uint32_t c;
        unsigned k = wick_utf8_next(p + i, n - i, &c);
        bool same = k == op->a.n && memcmp(p + i, op->a.p, k) == 0;
        if (same && !s->started && s->cut < op->start) {
            s->cut++;
        } else {
            s->started = true;
            if (same && s->tail < op->stop) {
                s->tail++;
            } else if (same) {
                wick_buf_add(b, p + i, k);
            } else {
                for (; s->tail; s->tail--) wick_buf_add(b, op->a.p, op->a.n);
                wick_buf_add(b, p + i, k);
            }
        }
        i += k;
    }
    if (b->failed)
        d->failed = WICK_E_OUT_OF_MEMORY;
    else
        feed(d, at + 1, b->data ? b->data : "", b->n, end);
    if (end) {
        s->started = false;
        s->cut = s->tail = 0;
    }
}

/* sentencepiece's Decode: marks to spaces, the one of the dummy prefix away, bytes joined to characters where they
 * make any, each stray byte U+FFFD. */
static void spm_flush_bytes(wick_detok *d, uint32_t at, stage *s, bool final)
{
    size_t i = 0;
    while (i < s->hold.n) {
        uint32_t c;
        unsigned k = wick_utf8_next(s->hold.data + i, s->hold.n - i, &c);
        if (c != 0xFFFFFFFF) {
            feed(d, at + 1, s->hold.data + i, k, true);
        } else {
            if (!final && !wick_uni_bad_length(s->hold.data + i, s->hold.n - i, false)) break;
            feed(d, at + 1, REPLACEMENT, 3, true);
            k = 1;
        }
        s->started = true;
        i += k;
    }
    if (i) memmove(s->hold.data, s->hold.data + i, s->hold.n - i);
    s->hold.n -= i;
}

static void spm(wick_detok *d, uint32_t at, const wick_dec *op, stage *s, const char *p, size_t n)
{
    wick_token_type type = wick_tokenizer_type(d->t, d->id);
    int b = type == WICK_TOKEN_BYTE ? byte_token(p, n) : -1;
    if (b >= 0) {
        wick_buf_putc(&s->hold, (char)b);
        if (s->hold.failed)
            d->failed = WICK_E_OUT_OF_MEMORY;
        else
            spm_flush_bytes(d, at, s, false);
        return;
    }
    if (s->hold.n) spm_flush_bytes(d, at, s, true);
    if (type == WICK_TOKEN_UNKNOWN) {
        feed(d, at + 1, " \xE2\x81\x87 ", 5, true);
        s->started = true;
        return;
    }
    if (type == WICK_TOKEN_CONTROL) {
        feed(d, at + 1, p, n, true);
        return;
    }
    bool at_start = !s->started && !s->mark_eaten;
    if (at_start && op->flag && n >= 3 && memcmp(p, SPACE_MARK, 3) == 0) {
        p += 3;
        n -= 3;
        s->mark_eaten = !op->squeeze;
    }
    wick_buf_reset(&d->scratch);
    replace_all(&d->scratch, (wick_str){p, n}, (wick_str){SPACE_MARK, 3}, (wick_str){" ", 1});
    if (d->scratch.n) s->started = true;
    feed(d, at + 1, d->scratch.data ? d->scratch.data : "", d->scratch.n, true);
}

/* Steps that take a token in one piece. */
static void whole_token(wick_detok *d, uint32_t at, const wick_dec *op, stage *s, const char *p, size_t n)
{
    wick_buf b = s->work; /* taken, and put back at the end */
    s->work = (wick_buf)WICK_BUF_INIT;
    wick_buf_reset(&b);
    switch (op->kind) {
    case DEC_BYTE_LEVEL: {
        if (!wick_byte_level_decode(&s->hold, p, n)) wick_buf_add(&s->hold, p, n);
        if (s->hold.failed) break;
        if (s->hold.n && wick_utf8_valid(s->hold.data, s->hold.n)) { /* the usual case: no character is cut */
            feed(d, at + 1, s->hold.data, s->hold.n, false);
            wick_buf_reset(&s->hold);
            break;
        }
        size_t done = s->hold.n ? wick_utf8_complete(s->hold.data, s->hold.n) : 0;
        wick_uni_repair(&b, s->hold.data, done);
        feed(d, at + 1, b.data ? b.data : "", b.n, false);
        if (done) memmove(s->hold.data, s->hold.data + done, s->hold.n - done);
        s->hold.n -= done;
        break;
    }
    case DEC_BYTE_FALLBACK: {
        int v = byte_token(p, n);
        if (v >= 0) {
            wick_buf_putc(&s->hold, (char)v);
        } else {
            flush_byte_run(d, at, s);
            feed(d, at + 1, p, n, true);
        }
        break;
    }
    case DEC_REPLACE:
        replace_step(d, op, p, n, &b);
        feed(d, at + 1, b.data ? b.data : "", b.n, true);
        break;
    case DEC_WORDPIECE:
        if (s->index && n >= op->a.n && memcmp(p, op->a.p, op->a.n) == 0) {
            wick_buf_add(&b, p + op->a.n, n - op->a.n);
        } else {
            if (s->index) wick_buf_putc(&b, ' ');
            wick_buf_add(&b, p, n);
        }
        if (op->flag) cleanup(&b);
        feed(d, at + 1, b.data ? b.data : "", b.n, true);
        break;
    case DEC_BPE: /* the suffix is a space, except on the last token: keep one back */
        if (s->started) {
            replace_all(&b, (wick_str){s->hold.data, s->hold.n}, op->a, (wick_str){" ", 1});
            feed(d, at + 1, b.data ? b.data : "", b.n, true);
        }
        wick_buf_reset(&s->hold);
        wick_buf_add(&s->hold, p, n);
        s->started = true;
        break;
    case DEC_CTC:
        if (s->started && s->hold.n == n && (!n || memcmp(s->hold.data, p, n) == 0)) break;
        wick_buf_reset(&s->hold);
        wick_buf_add(&s->hold, p, n);
        s->started = true;
        replace_all(&b, (wick_str){p, n}, op->a, (wick_str){"", 0});
        if (op->flag) {
            cleanup(&b);
            wick_buf c = WICK_BUF_INIT;
            replace_all(&c, (wick_str){b.data, b.n}, op->b, (wick_str){" ", 1});
            wick_buf_release(&b);
            b = c;
        }
        if (b.n) feed(d, at + 1, b.data, b.n, true);
        break;
    case DEC_JOIN:
        if (s->index) feed(d, at + 1, " ", 1, true);
        feed(d, at + 1, p, n, true);
        break;
    case DEC_SPM: spm(d, at, op, s, p, n); break;
    case DEC_METASPACE:
    case DEC_FUSE:
    case DEC_STRIP: break;
    }
    s->index++;
    if (b.failed || s->hold.failed) d->failed = WICK_E_OUT_OF_MEMORY;
    s->work = b;
}

static void feed(wick_detok *d, uint32_t at, const char *p, size_t n, bool end)
{
    stage *s = &d->stages[at];
    if (d->failed != WICK_OK) return;
    if (at == d->t->n_dec) {
        sink(d, s, p, n, false);
        return;
    }
    const wick_dec *op = &d->t->dec[at];
    switch (op->kind) {
    case DEC_FUSE:
        if (n) feed(d, at + 1, p, n, false);
        return;
    case DEC_METASPACE: metaspace(d, at, op, s, p, n, end); return;
    case DEC_STRIP: strip(d, at, op, s, p, n, end); return;
    default: break;
    }
    if (end && !s->whole.n) {
        whole_token(d, at, op, s, p, n);
        return;
    }
    wick_buf_add(&s->whole, p, n);
    if (s->whole.failed) {
        d->failed = WICK_E_OUT_OF_MEMORY;
    } else if (end) {
        whole_token(d, at, op, s, wick_buf_str(&s->whole), s->whole.n);
        wick_buf_reset(&s->whole);
    }
}

/* No more tokens for this stage. */
static void finish(wick_detok *d, uint32_t at)
{
    stage *s = &d->stages[at];
    if (d->failed != WICK_OK) return;
    if (at == d->t->n_dec) {
        sink(d, s, "", 0, true);
        return;
    }
    wick_buf b = WICK_BUF_INIT;
    const wick_dec *op = &d->t->dec[at];
    switch (op->kind) {
    case DEC_BYTE_LEVEL:
        if (s->hold.n) wick_uni_repair(&b, s->hold.data, s->hold.n);
        feed(d, at + 1, b.data ? b.data : "", b.n, true);
        break;
    case DEC_BYTE_FALLBACK: flush_byte_run(d, at, s); break;
    case DEC_FUSE: feed(d, at + 1, "", 0, true); break;
    case DEC_BPE:
        if (s->started) {
            replace_all(&b, (wick_str){s->hold.data, s->hold.n}, op->a, (wick_str){"", 0});
            feed(d, at + 1, b.data ? b.data : "", b.n, true);
        }
        break;
    case DEC_SPM: spm_flush_bytes(d, at, s, true); break;
    default: break;
    }
    if (b.failed) d->failed = WICK_E_OUT_OF_MEMORY;
    wick_buf_release(&b);
    finish(d, at + 1);
}

static wick_status detok_init(wick_detok *d, const wick_tokenizer *t, bool skip_special, wick_err *err)
{
    memset(d, 0, sizeof *d);
    d->t = t;
    d->skip_special = skip_special;
    d->stages = wick_alloc_zero(t->n_dec + 1, sizeof *d->stages);
    return d->stages ? WICK_OK : wick_err_oom(err, "decoding", 0, 0);
}

static void detok_release(wick_detok *d)
{
    for (uint32_t i = 0; d->stages && i <= d->t->n_dec; i++) {
        wick_buf_release(&d->stages[i].hold);
        wick_buf_release(&d->stages[i].whole);
        wick_buf_release(&d->stages[i].work);
    }
    wick_free(d->stages);
    wick_buf_release(&d->scratch);
    wick_regex_run_release(&d->run);
}

static wick_status result(wick_detok *d, wick_err *err)
{
    if (d->out->failed) d->failed = WICK_E_OUT_OF_MEMORY;
    if (d->failed == WICK_E_OUT_OF_MEMORY) return wick_err_oom(err, "decoding", 0, 0);
    return d->failed;
}

wick_status wick_detok_push(wick_detok *d, int32_t id, wick_buf *out, wick_err *err)
{
    const wick_vocab *v = &d->t->vocab;
    if (d->failed != WICK_OK) return WICK_FAIL(err, d->failed, NULL, "decoding failed before");
    if (id < 0 || (uint32_t)id >= v->n)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "ids", "token id %d: the vocabulary has %u", id, v->n);
    if (!v->piece[id].p || (d->skip_special && v->type[id] == WICK_TOKEN_CONTROL)) return WICK_OK;
    d->out = out;
    d->err = err;
    d->id = id;
    feed(d, 0, v->piece[id].p, v->piece[id].n, true);
    return result(d, err);
}

void wick_detok_flush(wick_detok *d, wick_buf *out)
{
    d->out = out;
    d->err = NULL;
    finish(d, 0);
}

wick_status wick_detok_new(wick_detok **out, const wick_tokenizer *t, bool skip_special, wick_err *err)
{
    wick_detok *d = wick_alloc_zero(1, sizeof *d);
    if (!d) return wick_err_oom(err, "decoding", 0, 0);
    wick_status st = detok_init(d, t, skip_special, err);
    if (st != WICK_OK)
        wick_free(d);
    else
        *out = d;
    return st;
}

void wick_detok_free(wick_detok *d)
{
    if (!d) return;
    detok_release(d);
    wick_free(d);
}

/* One step that only joins bytes: no stages are needed. */
static bool joins_bytes(const wick_tokenizer *t)
{
    return t->n_dec == 1 && (t->dec[0].kind == DEC_BYTE_LEVEL || t->dec[0].kind == DEC_FUSE);
}

static wick_status decode_bytes(const wick_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, wick_buf *out,
                                wick_err *err)
{
    const wick_vocab *v = &t->vocab;
    const bool mapped = t->dec[0].kind == DEC_BYTE_LEVEL;
    const size_t from = out->n;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= v->n)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "ids", "token id %d: the vocabulary has %u", ids[i], v->n);
        wick_str s = v->piece[ids[i]];
        if (!s.p || (skip_special && v->type[ids[i]] == WICK_TOKEN_CONTROL)) continue;
        if (!mapped || !wick_byte_level_decode(out, s.p, s.n)) wick_buf_add(out, s.p, s.n);
    }
    if (!out->failed && out->n > from && !wick_utf8_valid(out->data + from, out->n - from)) {
        wick_buf fixed = *out;
        wick_buf_init(out, fixed.max_bytes);
        wick_buf_add(out, fixed.data, from);
        wick_uni_repair(out, fixed.data + from, fixed.n - from);
        wick_buf_release(&fixed);
    }
    return out->failed ? wick_err_oom(err, "decoding", 0, 0) : WICK_OK;
}

wick_status wick_tokenizer_decode(const wick_tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                                  wick_buf *out, wick_err *err)
{
    wick_detok d;
    if (joins_bytes(t)) return decode_bytes(t, ids, n, skip_special, out, err);
    WICK_TRY(detok_init(&d, t, skip_special, err));
    wick_status st = WICK_OK;
    for (size_t i = 0; i < n && st == WICK_OK; i++) st = wick_detok_push(&d, ids[i], out, err);
    if (st == WICK_OK) {
        d.out = out;
        d.err = err;
        finish(&d, 0);
        st = result(&d, err);
    }
    detok_release(&d);
    return st;
}

void wick_tokenizer_bytes(const wick_tokenizer *t, int32_t id, wick_buf *out)
{
    wick_str p = wick_tokenizer_piece(t, id);
    if (!p.p) return;
    wick_token_type type = (wick_token_type)t->vocab.type[id];
    if (type == WICK_TOKEN_CONTROL) {
        wick_buf_add(out, p.p, p.n);
        return;
    }
    wick_buf b = WICK_BUF_INIT;
    wick_buf_add(&b, p.p, p.n);
    for (uint32_t i = 0; i < t->n_dec && !b.failed; i++) {
        const wick_dec *op = &t->dec[i];
        wick_str s = {b.data ? b.data : "", b.n};
        wick_buf fresh = WICK_BUF_INIT;
        int v;
        if (op->kind == DEC_BYTE_LEVEL) {
            if (!wick_byte_level_decode(&fresh, s.p, s.n)) wick_buf_add(&fresh, s.p, s.n);
        } else if ((op->kind == DEC_BYTE_FALLBACK || (op->kind == DEC_SPM && type == WICK_TOKEN_BYTE)) &&
                   (v = byte_token(s.p, s.n)) >= 0) {
            wick_buf_putc(&fresh, (char)v);
        } else if (op->kind == DEC_METASPACE) {
            replace_all(&fresh, s, op->a, (wick_str){" ", 1});
        } else if (op->kind == DEC_SPM) {
            replace_all(&fresh, s, (wick_str){SPACE_MARK, 3}, (wick_str){" ", 1});
        } else if (op->kind == DEC_REPLACE && !op->regex) {
            replace_all(&fresh, s, op->a, op->b);
        } else if (op->kind == DEC_WORDPIECE) {
            bool inside = s.n >= op->a.n && memcmp(s.p, op->a.p, op->a.n) == 0;
            if (!inside) wick_buf_putc(&fresh, ' ');
            wick_buf_add(&fresh, s.p + (inside ? op->a.n : 0), s.n - (inside ? op->a.n : 0));
        } else if (op->kind == DEC_BPE) {
            replace_all(&fresh, s, op->a, (wick_str){" ", 1});
        } else {
            continue;
        }
        wick_buf_release(&b);
        b = fresh;
    }
    wick_buf_add(out, b.data ? b.data : "", b.n);
    if (b.failed) out->failed = true;
    wick_buf_release(&b);
}
