/* text/tokenizer_json.c - tokenizer.json as the `tokenizers` package writes it: the outer object and the model.
 *
 * The two long lists (model.vocab, model.merges) are cut out of the text and read by json_scan; the rest, a few
 * kilobytes and the added tokens, goes through jansson.
 */
#include <string.h>
#include "base/json.h"
#include "base/json_scan.h"
#include "text/tj.h"

enum { MAX_AFFIX = 256 }; /* bytes: put to every character of a word */

enum { HOLES = 1 << 20 }; /* ids may run ahead of what the file can hold by this much, not more */

enum { BATCH = 32 }; /* entries whose places in the table are asked for before any is looked at */

typedef struct vocab_item {
    wick_str piece;
    uint32_t id, hash;
} vocab_item;

typedef struct merge_text { /* a merge as it stands in the file: b behind a in memory */
    wick_str a, b;
    uint32_t hash_a, hash_b;
} merge_text;

typedef struct merge_item {
    int32_t a, b;
    uint32_t id;
} merge_item;

static wick_status bad_list(const char *what, size_t at, const char *why, const char *where, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: %s, entry %zu: %s", where, what, at, why);
}

/* No more strings than this stand in the text of a list: every one takes two quotes. */
static uint32_t most_strings(wick_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) n += text.p[i] == '"';
    return (uint32_t)(n / 2 < WICK_TOK_MAX_ID ? n / 2 : WICK_TOK_MAX_ID);
}

static wick_status put_pieces(wick_tokenizer *t, const vocab_item *item, uint32_t n, const char *where, wick_err *err)
{
    for (uint32_t i = 0; i < n; i++)
        WICK_TRY(wick_tok_add_hashed(t, item[i].id, item[i].piece, item[i].hash, WICK_TOKEN_NORMAL, where, err));
    return WICK_OK;
}

/* {"piece": id, ...} */
static wick_status read_vocab(wick_tokenizer *t, wick_str text, const char *where, wick_err *err)
{
    wick_json_scan s;
    wick_json_scan_init(&s, text.p, text.n, NULL);
    size_t count = 0;
    vocab_item item[BATCH];
    uint32_t n = 0;
    char *dst = t->blob;
    const double limit = (double)text.n + HOLES;
    wick_json_scan_try(&s, '{');
    while (wick_json_scan_peek(&s) != '}' && !s.what) {
        if (count) wick_json_scan_expect(&s, ',');
        wick_str piece = wick_json_scan_text(&s, dst);
        wick_json_scan_expect(&s, ':');
        double id = wick_json_scan_number(&s);
        if (s.what) break;
        if (id < 0 || id > WICK_TOK_MAX_ID || id != (double)(uint32_t)id || id > limit)
            return bad_list("model.vocab", count, "an id is not a whole number in range", where, err);
        item[n] = (vocab_item){piece, (uint32_t)id, wick_map_hash(piece)};
        wick_map_will_need(&t->vocab.map, item[n].hash);
        if (++n == BATCH) {
            WICK_TRY(put_pieces(t, item, n, where, err));
            n = 0;
        }
        dst += piece.n;
        count++;
    }
    WICK_TRY(put_pieces(t, item, n, where, err));
    if (s.what) return bad_list("model.vocab", count, "expected \"piece\": id", where, err);
    t->vocab.n_model = t->vocab.map.n;
    return WICK_OK;
}

/* [["piece", score], ...] */
static wick_status read_scored_vocab(wick_tokenizer *t, wick_str text, const char *where, wick_err *err)
{
    wick_json_scan s;
    wick_json_scan_init(&s, text.p, text.n, NULL);
    wick_tok_model *m = &t->model;
    uint32_t count = 0;
    bool repeated = false;
    char *dst = t->blob;
    wick_json_scan_try(&s, '[');
    while (wick_json_scan_peek(&s) != ']' && !s.what) {
        if (count) wick_json_scan_expect(&s, ',');
        wick_json_scan_expect(&s, '[');
        wick_str piece = wick_json_scan_text(&s, dst);
        wick_json_scan_expect(&s, ',');
        double score = wick_json_scan_number(&s);
        wick_json_scan_expect(&s, ']');
        if (s.what) break;
        if (!wick_vocab_grow(&t->vocab, count + 1, true)) return wick_err_oom(err, "the vocabulary", text.n, 0);
        repeated |= wick_vocab_find(&t->vocab, piece.p, piece.n) >= 0;
        WICK_TRY(wick_tok_add_piece(t, count, piece, WICK_TOKEN_NORMAL, where, err));
        t->vocab.score[count] = score;
        if (piece.n && !wick_trie_add(&m->trie, piece.p, piece.n, (int32_t)count))
            return wick_err_oom(err, "the vocabulary", text.n, 0);
        if (!count || score < m->min_score) m->min_score = score;
        dst += piece.n;
        count++;
    }
    if (s.what) return bad_list("model.vocab", count, "expected [\"piece\", score]", where, err);
    t->vocab.n_model = count;
    if (repeated) { /* of equal pieces the last one encodes, each decodes */
        wick_map_release(&t->vocab.map);
        wick_map_init(&t->vocab.map);
        for (uint32_t id = count; id-- > 0;)
            if (wick_map_add(&t->vocab.map, t->vocab.piece[id], id) == WICK_MAP_NONE)
                return wick_err_oom(err, "the vocabulary", count, 0);
    }
    return WICK_OK;
}

/* One merge into the two pieces; both stand in tmp one after the other when it is a pair. */
static bool read_merge(wick_json_scan *s, char *tmp, wick_str *a, wick_str *b)
{
    if (wick_json_scan_try(s, '[')) {
        *a = wick_json_scan_text(s, tmp);
        if (s->what || !wick_json_scan_try(s, ',')) return false;
        *b = wick_json_scan_text(s, tmp + a->n);
        return !s->what && wick_json_scan_try(s, ']');
    }
    wick_str line = wick_json_scan_text(s, tmp);
    if (s->what) return false;
    const char *space = memchr(line.p, ' ', line.n);
    if (!space || memchr(space + 1, ' ', (size_t)(line.p + line.n - space - 1))) return false;
    *a = (wick_str){line.p, (size_t)(space - line.p)};
    *b = (wick_str){space + 1, line.n - a->n - 1};
    memmove(tmp + a->n, b->p, b->n); /* side by side, so that their concatenation can be looked up */
    b->p = tmp + a->n;
    return true;
}

static int32_t find_hashed(const wick_vocab *v, wick_str s, uint32_t hash)
{
    uint32_t id = wick_map_get_hashed(&v->map, s, hash);
    return id == WICK_MAP_NONE ? -1 : (int32_t)id;
}

static wick_status resolve_merge(const wick_tokenizer *t, const merge_text *in, uint32_t guess, merge_item *out,
                                 size_t at, const char *where, wick_err *err)
{
    const wick_vocab *v = &t->vocab;
    wick_str a = in->a, b = in->b;
    size_t skip = t->model.prefix.n;
    out->a = find_hashed(v, a, in->hash_a);
    out->b = find_hashed(v, b, in->hash_b);
    if (out->a < 0 || out->b < 0 || skip > b.n) {
        char name[64];
        wick_str bad = out->a < 0 ? a : b;
        wick_escape_line(name, sizeof name, bad.p, bad.n < 40 ? bad.n : 40);
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: model.merges, entry %zu: \"%s\" is not in the vocabulary",
                         where, at, name);
    }
    int32_t id;
    if (!skip) {
        /* trainers number the pieces in the order of the merges: the one behind the last is a good guess */
        bool guessed = guess < v->n && wick_str_eq(v->piece[guess], (wick_str){a.p, a.n + b.n});
        id = guessed ? (int32_t)guess : wick_vocab_find(v, a.p, a.n + b.n);
    } else {
        wick_buf whole = WICK_BUF_INIT;
        wick_buf_add(&whole, a.p, a.n);
        wick_buf_add(&whole, b.p + skip, b.n - skip);
        if (whole.failed) return wick_err_oom(err, "the vocabulary", 0, 0);
        id = wick_vocab_find(v, wick_buf_str(&whole), whole.n);
        wick_buf_release(&whole);
    }
    if (id < 0) return bad_list("model.merges", at, "what it makes is not in the vocabulary", where, err);
    out->id = (uint32_t)id;
    return WICK_OK;
}

/* Up to BATCH merges from the text, whose pieces are hashed and asked for; tmp takes the strings. */
static uint32_t read_batch(wick_json_scan *s, const wick_map *map, char *tmp, bool first, merge_text *out)
{
    uint32_t n = 0;
    for (; n < BATCH && wick_json_scan_peek(s) != ']'; n++) {
        merge_text *m = &out[n];
        if ((!(first && n == 0) && !wick_json_scan_try(s, ',')) || !read_merge(s, tmp, &m->a, &m->b)) {
            wick_json_scan_fail(s, "a merge expected");
            break;
        }
        tmp += m->a.n + m->b.n + 1; /* of "a b" the tail is moved, and takes one byte less than it did */
        m->hash_a = wick_map_hash(m->a);
        m->hash_b = wick_map_hash(m->b);
        wick_map_will_need(map, m->hash_a);
        wick_map_will_need(map, m->hash_b);
    }
    for (uint32_t i = 0; i < n; i++) {
        wick_map_will_compare(map, out[i].hash_a);
        wick_map_will_compare(map, out[i].hash_b);
    }
    return n;
}

static wick_status read_merges(wick_tokenizer *t, wick_str text, const char *where, wick_err *err)
{
    wick_json_scan s;
    wick_json_scan_init(&s, text.p, text.n, NULL);
    merge_text batch[BATCH];
    merge_item *items = NULL;
    size_t n = 0, cap = 0;
    wick_status st = WICK_OK;
    char *tmp = wick_alloc(text.n + 8 + BATCH);
    if (!tmp || !wick_enc_room((void **)&items, &cap, t->vocab.n, sizeof *items)) {
        st = wick_err_oom(err, "the merges", text.n, 0);
        goto done;
    }
    wick_json_scan_expect(&s, '[');
    while (!s.what && wick_json_scan_peek(&s) != ']') {
        uint32_t got = read_batch(&s, &t->vocab.map, tmp, n == 0, batch);
        if (!wick_enc_room((void **)&items, &cap, n + got, sizeof *items)) {
            st = wick_err_oom(err, "the merges", text.n, 0);
            goto done;
        }
        for (uint32_t i = 0; i < got; i++, n++)
            WICK_TRY_GOTO(resolve_merge(t, &batch[i], n ? items[n - 1].id + 1 : 0, &items[n], n, where, err));
    }
    if (s.what) {
        st = bad_list("model.merges", n, "expected \"a b\" or [\"a\", \"b\"]", where, err);
        goto done;
    }
    if (!wick_merges_init(&t->model, (uint32_t)n)) {
        st = wick_err_oom(err, "the merges", text.n, 0);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        if (i + BATCH < n) wick_merges_will_need(&t->model, items[i + BATCH].a, items[i + BATCH].b);
        wick_merges_add(&t->model, items[i].a, items[i].b, (uint32_t)i, items[i].id);
    }
done:
    wick_free(items);
    wick_free(tmp);
    return st;
}

static wick_status model_kind(const json_t *model, wick_str vocab, wick_str merges, wick_tok_model_kind *kind,
                              const char *where, wick_err *err)
{
    const char *type = NULL;
    WICK_TRY(wick_json_str(model, "type", &type, where, err));
    if (!type) { /* files of before 2021: told apart by what is there */
        bool list = vocab.n && vocab.p[0] == '[';
        bool word = json_object_get(model, "max_input_chars_per_word") != NULL;
        *kind = list ? MODEL_UNIGRAM : merges.p ? MODEL_BPE : word ? MODEL_WORDPIECE : MODEL_WORDLEVEL;
    } else if (strcmp(type, "BPE") == 0) {
        *kind = MODEL_BPE;
    } else if (strcmp(type, "Unigram") == 0) {
        *kind = MODEL_UNIGRAM;
    } else if (strcmp(type, "WordPiece") == 0) {
        *kind = MODEL_WORDPIECE;
    } else if (strcmp(type, "WordLevel") == 0) {
        *kind = MODEL_WORDLEVEL;
    } else {
        return wick_tj_unknown("model", type, where, err);
    }
    return WICK_OK;
}

static wick_status affix(wick_tokenizer *t, const json_t *model, const char *key, wick_str *out, const char *where,
                         wick_err *err)
{
    wick_str s;
    WICK_TRY(wick_tj_str(model, key, &s, where, err));
    if (!s.n) return WICK_OK;
    if (s.n > MAX_AFFIX)
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"%s\": %zu bytes, at most %d are read", where, key, s.n,
                         MAX_AFFIX);
    *out = wick_tok_keep(t, s.p, s.n);
    return out->p ? WICK_OK : wick_err_oom(err, "the tokenizer", s.n, 0);
}

/* unk_token of BPE, WordPiece, WordLevel: a piece of the vocabulary. One that is not there counts as none. */
static wick_status unk_by_name(wick_tokenizer *t, const json_t *model, const char *def, const char *where,
                               wick_err *err)
{
    wick_str s;
    WICK_TRY(wick_tj_str(model, "unk_token", &s, where, err));
    if (!s.p) s = wick_str_of(def);
    if (s.n) t->model.unk = wick_vocab_find(&t->vocab, s.p, s.n);
    return WICK_OK;
}

wick_status wick_tj_model(wick_tokenizer *t, const json_t *model, wick_str vocab, wick_str merges, const char *where,
                          wick_err *err)
{
    wick_tok_model *m = &t->model;
    int64_t n;
    WICK_TRY(model_kind(model, vocab, merges, &m->kind, where, err));
    if (!vocab.p || vocab.p[0] != (m->kind == MODEL_UNIGRAM ? '[' : '{'))
        return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: model.vocab: expected %s", where,
                         m->kind == MODEL_UNIGRAM ? "an array" : "an object");
    const uint32_t most = most_strings(vocab);
    t->blob = wick_alloc(vocab.n + 8);
    if (!t->blob || !wick_map_reserve(&t->vocab.map, most) ||
        !wick_vocab_reserve(&t->vocab, most, m->kind == MODEL_UNIGRAM))
        return wick_err_oom(err, "the vocabulary", vocab.n, 0);
    if (m->kind == MODEL_UNIGRAM) {
        WICK_TRY(read_scored_vocab(t, vocab, where, err));
        WICK_TRY(wick_json_i64(model, "unk_id", 0, (int64_t)t->vocab.n - 1, -1, &n, where, err));
        m->unk = (int32_t)n;
        m->fuse_unk = true;
        return wick_json_bool(model, "byte_fallback", false, &m->byte_fallback, where, err);
    }
    WICK_TRY(read_vocab(t, vocab, where, err));
    WICK_TRY(unk_by_name(t, model,
                         m->kind == MODEL_WORDPIECE   ? "[UNK]"
                         : m->kind == MODEL_WORDLEVEL ? "<unk>"
                                                      : NULL,
                         where, err));
    if (m->kind == MODEL_WORDLEVEL) return WICK_OK;
    WICK_TRY(affix(t, model, "continuing_subword_prefix", &m->prefix, where, err));
    if (m->kind == MODEL_WORDPIECE) {
        if (!json_object_get(model, "continuing_subword_prefix")) m->prefix = wick_str_of("##");
        /* words are cut at every character and looked up: the square of this bounds the work */
        WICK_TRY(wick_json_i64(model, "max_input_chars_per_word", 0, INT64_MAX, 100, &n, where, err));
        m->max_chars = n < 10000 ? (uint32_t)n : 10000;
        return WICK_OK;
    }
    WICK_TRY(affix(t, model, "end_of_word_suffix", &m->suffix, where, err));
    WICK_TRY(wick_json_bool(model, "fuse_unk", false, &m->fuse_unk, where, err));
    WICK_TRY(wick_json_bool(model, "byte_fallback", false, &m->byte_fallback, where, err));
    WICK_TRY(wick_json_bool(model, "ignore_merges", false, &m->whole_first, where, err));
    if (!merges.p) return WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: a BPE model without \"merges\"", where);
    return read_merges(t, merges, where, err);
}

/* ---- the outer object ---- */

typedef struct outline {
    wick_str vocab, merges; /* values inside "model" */
} outline;

static wick_str value_span(wick_json_scan *s)
{
    wick_json_scan_peek(s);
    const uint64_t from = s->pos;
    wick_json_scan_skip(s);
    return (wick_str){s->p + from, (size_t)(s->pos - from)};
}

static void scan_model(wick_json_scan *s, outline *o, char *tmp)
{
    memset(o, 0, sizeof *o);
    if (wick_json_scan_peek(s) != '{') {
        wick_json_scan_skip(s);
        return;
    }
    wick_json_scan_try(s, '{');
    for (bool first = true; !s->what && wick_json_scan_peek(s) != '}'; first = false) {
        if (!first) wick_json_scan_expect(s, ',');
        wick_str key = wick_json_scan_text(s, tmp);
        if (s->what || !wick_json_scan_try(s, ':')) break;
        bool vocab = wick_str_eq(key, wick_str_of("vocab")), merges = wick_str_eq(key, wick_str_of("merges"));
        wick_str span = value_span(s);
        if (s->what || !span.n) break;
        if (vocab && (span.p[0] == '{' || span.p[0] == '[')) o->vocab = span;
        if (merges && span.p[0] == '[') o->merges = span;
    }
    wick_json_scan_expect(s, '}');
}

/* Finds the two lists. A text that is not JSON is left to jansson, which says where. */
static bool scan_outline(const char *text, size_t n, outline *o, char *tmp)
{
    wick_json_scan s;
    wick_json_scan_init(&s, text, n, NULL);
    if (!wick_json_scan_try(&s, '{')) return false;
    for (bool first = true; !s.what && wick_json_scan_peek(&s) != '}'; first = false) {
        if (!first && !wick_json_scan_try(&s, ',')) return false;
        wick_str key = wick_json_scan_text(&s, tmp);
        if (s.what || !wick_json_scan_try(&s, ':')) return false;
        if (wick_str_eq(key, wick_str_of("model")))
            scan_model(&s, o, tmp);
        else
            wick_json_scan_skip(&s);
    }
    return !s.what;
}

static wick_status parse_rest(const char *text, size_t n, outline *o, json_t **root, const char *where, wick_err *err)
{
    wick_buf b = WICK_BUF_INIT;
    char *tmp = wick_alloc(n + 8);
    if (!tmp) return wick_err_oom(err, where, n, 0);
    memset(o, 0, sizeof *o);
    wick_status st;
    if (!scan_outline(text, n, o, tmp)) {
        memset(o, 0, sizeof *o);
        st = wick_json_parse(text, n, where, root, err);
    } else {
        wick_str a = o->vocab, c = o->merges;
        const char *at = text;
        if (a.p && c.p && c.p < a.p) {
            a = o->merges;
            c = o->vocab;
        }
        wick_buf_init(&b, n + 64);
        for (int i = 0; i < 2; i++) {
            wick_str cut = i == 0 ? a : c;
            if (!cut.p) continue;
            wick_buf_add(&b, at, (size_t)(cut.p - at));
            wick_buf_puts(&b, "null");
            at = cut.p + cut.n;
        }
        wick_buf_add(&b, at, (size_t)(text + n - at));
        st = b.failed ? wick_err_oom(err, where, n, 0) : wick_json_parse(wick_buf_str(&b), b.n, where, root, err);
    }
    wick_buf_release(&b);
    wick_free(tmp);
    return st;
}

wick_status wick_tokenizer_from_json(wick_tokenizer **out, const char *text, size_t n, const char *where, wick_err *err)
{
    json_t *root = NULL;
    const json_t *model = NULL;
    outline o;
    wick_tokenizer *t = NULL;
    wick_status st = parse_rest(text, n, &o, &root, where, err);
    if (st != WICK_OK) return st;
    if (!json_is_object(root)) {
        st = WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: expected an object, got %s", where, wick_json_type_name(root));
        goto done;
    }
    WICK_TRY_GOTO(wick_json_obj(root, "model", &model, where, err));
    if (!model) {
        st = WICK_FAIL(err, WICK_E_BAD_FILE, where, "%s: key \"model\" is missing", where);
        goto done;
    }
    if (!(t = wick_tok_new())) {
        st = wick_err_oom(err, "the tokenizer", sizeof *t, 0);
        goto done;
    }
    WICK_TRY_GOTO(wick_tj_model(t, model, o.vocab, o.merges, where, err));
    WICK_TRY_GOTO(wick_tj_normalizer(t, json_object_get(root, "normalizer"), where, err));
    WICK_TRY_GOTO(wick_tj_pre(t, json_object_get(root, "pre_tokenizer"), where, err));
    WICK_TRY_GOTO(wick_tj_added(t, json_object_get(root, "added_tokens"), where, err));
    WICK_TRY_GOTO(wick_tj_post(t, json_object_get(root, "post_processor"), where, err));
    WICK_TRY_GOTO(wick_tj_decoder(t, json_object_get(root, "decoder"), where, err));
    WICK_TRY_GOTO(wick_tok_finish(t, where, err));
    *out = t;
    t = NULL;
done:
    wick_tokenizer_free(t);
    json_decref(root);
    return st;
}
