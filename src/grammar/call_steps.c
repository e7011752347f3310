/* grammar/call_steps.c - one byte of an answer that calls tools. */
#include "grammar/calls.h"

enum { MAX_DEPTH = 60, MAX_KEY = 100, KEY_ROOM = MAX_KEY + 4 /* what readers of calls take */ };

wick_calls_state wick_calls_start(const wick_calls *c)
{
    wick_calls_state s;
    memset(&s, 0, sizeof s);
    s.at.lex = c->start;
    return s;
}

/* ---- the JSON of the call ---- */
static bool feed(wick_calls *c, wick_calls_state *s, char byte, char *text)
{
    wick_js next;
    const bool open = byte == '{' || byte == '[', close = byte == '}' || byte == ']';
    const bool string = s->js.mode == JS_STRING || s->js.mode == JS_KEY;
    text[s->at.n_js] = byte;
    if (open && !string && s->at.depth >= MAX_DEPTH) return false;
    if (!wick_js_step(c->js, &s->js, (uint8_t)byte, text, s->at.n_js, &next)) return false;
    s->js = next;
    s->at.n_js++;
    if (!string && open) s->at.depth++;
    if (!string && close) s->at.depth--;
    return true;
}

static bool feed_all(wick_calls *c, wick_calls_state *s, const char *bytes, char *text)
{
    for (; *bytes; bytes++)
        if (!feed(c, s, *bytes, text)) return false;
    return true;
}

static bool may_feed(wick_calls *c, const wick_calls_state *s, const char *bytes, char *text)
{
    wick_calls_state t = *s;
    return feed_all(c, &t, bytes, text);
}

static bool may_end_string(const wick_calls *c, const wick_js *js)
{
    return wick_dfa_accepts(c->js->f->re, js->lex);
}

/* ---- where a way was taken ---- */
static void to_around(wick_calls_state *s, uint32_t lex, wick_calls_node node)
{
    s->at.phase = CALLS_AROUND;
    s->at.node = (uint8_t)node;
    s->at.lex = lex;
    s->at.clean = s->at.shut = 0;
    s->at.forms = s->at.taken = s->at.sub = 0;
}

/* After { or a value of arguments that are written parameter by parameter. */
static bool next_param(wick_calls *c, wick_calls_state *s, char *text)
{
    const bool more = may_feed(c, s, s->js.mode == JS_OBJECT ? "\"" : ",\"", text), close = may_feed(c, s, "}", text);
    if (!more && !close) return false;
    to_around(s, c->next[more && close ? 2 : more ? 1 : 0], CALLS_MAIN);
    return s->at.lex != WICK_DFA_DEAD;
}

static bool begin_arguments(wick_calls *c, wick_calls_state *s, uint32_t tool, char *text)
{
    memset(&s->at, 0, sizeof s->at);
    s->js = c->tool[tool].start;
    s->at.tool = (uint16_t)tool;
    s->at.phase = CALLS_INSIDE;
    if (c->style == CALLS_JSON || c->style == CALLS_GEMMA) return true;
    if (!feed(c, s, '{', text)) return false;
    return c->style != CALLS_PARAMS || next_param(c, s, text);
}

static bool end_arguments(wick_calls *c, wick_calls_state *s)
{
    s->at.n_js = 0;
    s->js = (wick_js){0};
    to_around(s, c->next[0], CALLS_MAIN);
    return s->at.lex != WICK_DFA_DEAD;
}

static bool begin_key(wick_calls *c, wick_calls_state *s, char *text)
{
    if (!feed_all(c, s, s->js.mode == JS_OBJECT ? "\"" : ",\"", text)) return false;
    to_around(s, 0, CALLS_MAIN);
    s->at.phase = CALLS_KEY;
    return true;
}

/* ---- a parameter's value ---- */
static const char *const form_names[N_FORMS] = {"string", "number", "boolean", "null", "object", "array"};

static uint8_t forms_by_name(const json_t *names)
{
    size_t i;
    const json_t *v;
    uint8_t forms = 0;
    json_array_foreach(names, i, v) for (unsigned k = 0; k < N_FORMS;
                                         k++) if (strcmp(json_string_value(v) ? json_string_value(v) : "",
                                                         form_names[k]) == 0) forms |= (uint8_t)(1u << k);
    return forms ? forms : FORM_ALL;
}

static bool may_begin(wick_calls *c, const wick_calls_state *s, const char *any, char *text)
{
    for (; *any; any++)
        if (may_feed(c, s, (const char[]){*any, 0}, text)) return true;
    return false;
}

static uint8_t forms_of(wick_calls *c, const wick_calls_state *s, char *text)
{
    static const char *const first[N_FORMS] = {"\"", "-0123456789", "tf", "n", "{", "["};
    uint8_t forms = 0;
    for (unsigned k = 0; k < N_FORMS; k++)
        if (may_begin(c, s, first[k], text)) forms |= (uint8_t)(1u << k);
    return forms;
}

/* A literal of the description with %t and %k filled in. */
static wick_re filled(wick_calls *c, wick_str s, const char *type, wick_str key)
{
    wick_buf b = WICK_BUF_INIT;
    for (size_t i = 0; i < s.n; i++) {
        const char what = s.p[i] == '%' && i + 1 < s.n ? s.p[i + 1] : 0;
        if (what == 't')
            wick_buf_puts(&b, type);
        else if (what == 'k')
            wick_buf_add(&b, key.p, key.n);
        else
            wick_buf_putc(&b, s.p[i]);
        if (what == 't' || what == 'k') i++;
    }
    if (b.failed) wick_re_fail(c->js->f->re, "memory");
    wick_re r = wick_calls_literal(c->js->f->re, (wick_str){wick_buf_str(&b), b.n}, false);
    wick_buf_release(&b);
    return r;
}

static wick_str without_white(wick_str s)
{
    while (s.n && strchr(" \t\r\n", *s.p)) s.p++, s.n--;
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1])) s.n--;
    return s;
}

/* The name is over: which forms its value may have, and what closes it. */
static bool end_key(wick_calls *c, wick_calls_state *s, char *text)
{
    wick_re_pool *p = c->js->f->re;
    wick_re v[N_FORMS + 1] = {WICK_RE_NONE};
    char key_text[KEY_ROOM];
    wick_str key = {key_text, s->at.n_js - s->js.mark};
    if (key.n == 0 || key.n >= KEY_ROOM) return false;
    memcpy(key_text, text + s->js.mark, key.n);
    key_text[key.n] = 0;
    if (!feed_all(c, s, "\":", text)) return false;
    uint8_t taken = FORM_ALL, forms = forms_of(c, s, text);
    const bool said = c->typed || c->param_mid_json.n;
    if (!said) taken = forms_by_name(json_object_getn(c->tool[s->at.tool].types, key.p, key.n));
    forms &= taken;
    if (!forms) return false;
    for (unsigned k = 0; k < N_FORMS; k++) {
        if (!(forms >> k & 1)) continue;
        wick_str mid = k > 0 && c->param_mid_json.n ? c->param_mid_json : c->param_mid;
        v[k + 1] = filled(c, mid, form_names[k], key);
        v[0] = wick_re_or2(p, v[0], v[k + 1]);
    }
    to_around(s, wick_dfa_start(p, v, N_FORMS + 1), CALLS_MID);
    s->at.taken = said ? FORM_STRING : taken;
    wick_re shut = filled(c, c->param_close, "", key);
    wick_re core = filled(c, without_white(c->param_close), "", key);
    wick_re dirty = wick_re_cat(p, wick_re_or2(p, core, c->avoid), WICK_RE_ALL);
    dirty = wick_re_not(p, wick_re_cat(p, WICK_RE_ALL, dirty));
    s->at.shut = wick_dfa_start(p, &shut, 1);
    s->at.clean = wick_dfa_start(p, &dirty, 1);
    return s->at.lex != WICK_DFA_DEAD && wick_re_ok(p);
}

/* Texts that a reader would take for another value than a string: it trims, then looks. */
static wick_re taken_for_other(wick_calls *c, uint8_t forms)
{
    static const struct {
        uint8_t form;
        const char *first, *words[4];
    } rows[] = {{FORM_NUMBER, "-+.0123456789", {NULL}},
                {FORM_BOOL, "", {"true", "false", "True", "False"}},
                {FORM_NULL, "", {"null", "None", NULL}},
                {FORM_OBJECT, "{", {NULL}},
                {FORM_ARRAY, "[(", {NULL}}};
    wick_re_pool *p = c->js->f->re;
    wick_re_set white = {0}, first = {0};
    wick_re words = WICK_RE_NONE;
    for (const char *w = " \t\r\n\v\f"; *w; w++) white.w[0] |= (uint64_t)1 << *w;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!(forms & rows[i].form)) continue;
        for (const char *b = rows[i].first; *b; b++) first.w[*b / 64] |= (uint64_t)1 << (*b % 64);
        for (size_t k = 0; k < 4 && rows[i].words[k]; k++)
            words = wick_re_or2(p, words, wick_re_lit(p, rows[i].words[k], strlen(rows[i].words[k])));
    }
    wick_re ws = wick_re_rep(p, wick_re_set_of(p, &white), 0, WICK_RE_INF);
    wick_re some = first.w[0] || first.w[1] ? wick_re_cat(p, wick_re_set_of(p, &first), WICK_RE_ALL) : WICK_RE_NONE;
    return wick_re_cat(p, ws, wick_re_or2(p, some, wick_re_cat(p, words, ws)));
}

static const struct {
    const char *text;
    uint8_t form;
} words[] = {{"true", FORM_BOOL}, {"false", FORM_BOOL}, {"null", FORM_NULL}};
enum { N_WORDS = 3 };

/* The automaton of a string as it stands, and of the words that may be there instead: the string's part, what is
 * watched of it, then the words. */
static uint32_t raw_start(wick_calls *c, const wick_calls_state *s, char *text)
{
    wick_re_pool *p = c->js->f->re;
    wick_calls_state in = *s;
    if (!feed(c, &in, '"', text)) return WICK_DFA_DEAD;
    const uint32_t n = p->state[in.js.lex].n_parts, spec = s->js.lex, forms = (uint32_t)s->at.taken << 8 | s->at.forms;
    const uint32_t *old = wick_f_table_get(&c->raw, spec, s->at.shut, s->at.clean, forms);
    if (old) return *old;
    wick_re shut = WICK_RE_NONE, may = WICK_RE_ALL, v[JS_MAX_OUTS + N_WORDS + 3] = {0};
    const bool params = c->style == CALLS_PARAMS;
    if (params) {
        wick_re nl = wick_re_or2(p, wick_re_byte(p, '\n'), wick_re_byte(p, '\r'));
        shut = wick_dfa_part(p, s->at.shut, 0);
        may = wick_re_and2(p, wick_dfa_part(p, s->at.clean, 0), wick_re_not(p, taken_for_other(c, s->at.taken)));
        if (c->no_first_newline) may = wick_re_and2(p, may, wick_re_not(p, wick_re_cat(p, nl, WICK_RE_ALL)));
        if (c->no_last_newline) may = wick_re_and2(p, may, wick_re_not(p, wick_re_cat(p, WICK_RE_ALL, nl)));
    } else {
        shut = wick_re_lit(p, c->quote.p, c->quote.n);
        may = wick_re_not(p, wick_re_cat(p, WICK_RE_ALL, wick_re_cat(p, shut, WICK_RE_ALL)));
    }
    for (uint32_t i = 0; i < n; i++)
        v[i + 1] = wick_re_cat(p, wick_re_and2(p, wick_dfa_part(p, in.js.lex, i), may), shut);
    v[0] = v[1];
    for (uint32_t w = 0; w < N_WORDS; w++) {
        v[n + 1 + w] = WICK_RE_NONE;
        if (!params || !(s->at.forms & words[w].form) || !may_feed(c, s, words[w].text, text)) continue;
        v[n + 1 + w] = wick_re_cat(p, wick_re_lit(p, words[w].text, strlen(words[w].text)), shut);
        v[0] = wick_re_or2(p, v[0], v[n + 1 + w]);
    }
    const uint32_t lex = wick_dfa_start(p, v, n + 1 + N_WORDS);
    if (wick_re_ok(p)) wick_f_table_put(p, &c->raw, spec, s->at.shut, s->at.clean, forms, lex);
    return wick_re_ok(p) ? lex : WICK_DFA_DEAD;
}

/* What closes a value came: its string, or word, goes to the JSON automaton, which watches what it is told. */
static bool end_raw(wick_calls *c, wick_calls_state *s, char *text)
{
    wick_re_pool *p = c->js->f->re;
    const uint32_t lex = s->at.lex, n = p->state[lex].n_parts - 1 - N_WORDS;
    wick_re v[JS_MAX_OUTS + 1];
    if (wick_re_nullable(p, wick_dfa_part(p, lex, 1))) {
        for (uint32_t i = 0; i < n; i++)
            v[i] = wick_re_nullable(p, wick_dfa_part(p, lex, i + 1)) ? WICK_RE_EPS : WICK_RE_NONE;
        if (!feed(c, s, '"', text)) return false;
        s->js.lex = wick_dfa_start(p, v, n);
        if (!may_end_string(c, &s->js) || !feed(c, s, '"', text)) return false;
    } else {
        uint32_t w = 0;
        while (w < N_WORDS && !wick_re_nullable(p, wick_dfa_part(p, lex, n + 1 + w))) w++;
        if (w == N_WORDS || !feed_all(c, s, words[w].text, text)) return false;
    }
    if (c->style == CALLS_PARAMS) return next_param(c, s, text);
    s->at.phase = CALLS_INSIDE;
    s->at.lex = 0;
    return true;
}

/* The automaton of what is around accepts: the way that it says is taken. False: none is. */
static bool take_way(wick_calls *c, wick_calls_state *s, char *text)
{
    wick_re_pool *p = c->js->f->re;
    const uint32_t lex = s->at.lex;
    if (s->at.phase == CALLS_RAW) return end_raw(c, s, text);
    if (s->at.node == CALLS_CLOSE) return next_param(c, s, text);
    if (s->at.node == CALLS_MID) {
        s->at.forms = 0;
        for (unsigned k = 0; k < N_FORMS; k++)
            if (wick_re_nullable(p, wick_dfa_part(p, lex, k + 1))) s->at.forms |= (uint8_t)(1u << k);
        s->at.lex = 0;
        s->at.phase = CALLS_VALUE;
        return true;
    }
    for (uint32_t i = 0; i < c->n_tools; i++)
        if (wick_re_nullable(p, wick_dfa_part(p, lex, i + 1))) return begin_arguments(c, s, i, text);
    if (wick_re_nullable(p, wick_dfa_part(p, lex, c->n_tools + 2))) return begin_key(c, s, text);
    s->at.phase = CALLS_OVER;
    s->at.lex = 0;
    return true;
}

/* The first byte of what is around. */
static bool go_around(wick_calls *c, wick_calls_state *s, uint8_t byte, char *text)
{
    wick_re_pool *p = c->js->f->re;
    s->at.lex = wick_dfa_step(p, s->at.lex, byte);
    if (s->at.lex == WICK_DFA_DEAD) return false;
    return wick_dfa_part(p, s->at.lex, 0) != WICK_RE_EPS || take_way(c, s, text); /* nothing else can come */
}

/* ---- bytes ---- */
/* A byte of a name that needs no quotes. */
static bool is_bare(uint8_t b)
{
    return b > ' ' && b != 0x7F && !strchr("{}[](),:=\"'<>/\\&|", b);
}

/* A bare name may have this byte more: it is not too long, or in the middle of a character. */
static bool goes_on(const wick_calls_state *s, uint8_t byte)
{
    return is_bare(byte) && (s->at.n_js - s->js.mark < MAX_KEY || (byte & 0xC0) == 0x80);
}

bool wick_calls_is_bare(wick_str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!is_bare((uint8_t)name.p[i])) return false;
    return name.n > 0 && name.n <= MAX_KEY;
}

static bool in_json(wick_calls *c, wick_calls_state *s, uint8_t byte, char *text)
{
    return feed(c, s, (char)byte, text) && (s->at.depth || s->js.mode != JS_END || end_arguments(c, s));
}

/* A value of a parameter that is no string as it stands. */
static bool in_param(wick_calls *c, wick_calls_state *s, uint8_t byte, char *text)
{
    const bool number = s->js.mode == JS_NUMBER && s->at.depth == 1;
    const uint32_t shut = s->at.shut;
    wick_calls_state t = *s;
    t.at.clean = wick_dfa_step(c->js->f->re, s->at.clean, byte);
    if (!strchr(",}] \t\r\n", byte) || !byte || !number) {
        if (t.at.clean != WICK_DFA_DEAD && feed(c, &t, (char)byte, text)) {
            *s = t;
            if (s->js.mode == JS_AFTER && s->at.depth == 1) to_around(s, shut, CALLS_CLOSE);
            return true;
        }
    }
    if (!number || !feed(c, s, ' ', text)) return false;
    s->js.ws = 0;
    to_around(s, shut, CALLS_CLOSE);
    return go_around(c, s, byte, text);
}

static bool in_value(wick_calls *c, wick_calls_state *s, uint8_t byte, char *text)
{
    static const char *const first[N_FORMS] = {"", "-0123456789", "tf", "n", "{", "["};
    if (s->at.forms & FORM_STRING) {
        uint32_t lex = raw_start(c, s, text);
        if (lex != WICK_DFA_DEAD) lex = wick_dfa_step(c->js->f->re, lex, byte);
        if (lex != WICK_DFA_DEAD) {
            s->at.phase = CALLS_RAW;
            s->at.lex = lex;
            s->at.sub = 0;
            return true;
        }
    }
    for (unsigned k = 1; k < N_FORMS; k++) {
        if (!(s->at.forms >> k & 1) || !byte || !strchr(first[k], byte)) continue;
        s->at.phase = CALLS_INSIDE;
        return in_param(c, s, byte, text);
    }
    return false;
}

static bool in_bare_key(wick_calls *c, wick_calls_state *s, uint8_t byte, char colon, char *text)
{
    if (goes_on(s, byte)) return feed(c, s, (char)byte, text);
    return byte == (uint8_t)colon && s->at.n_js > s->js.mark && feed_all(c, s, "\":", text);
}

/* Inside of Python's quotes; what JSON has otherwise is translated. */
static bool in_quotes(wick_calls *c, wick_calls_state *s, uint8_t byte, char *text)
{
    const bool single = s->at.sub & CALLS_SINGLE;
    if (s->at.sub & CALLS_BACKSLASH) {
        s->at.sub &= (uint8_t)~CALLS_BACKSLASH;
        if (byte == '\'') return feed(c, s, '\'', text);
        return byte != '/' && feed(c, s, '\\', text) && feed(c, s, (char)byte, text);
    }
    if (s->js.esc) return feed(c, s, (char)byte, text);
    if (byte == '\\') {
        s->at.sub |= CALLS_BACKSLASH;
        return may_feed(c, s, "\\", text);
    }
    if (single && byte == '"') return feed_all(c, s, "\\\"", text);
    if (single && byte == '\'') return feed(c, s, '"', text);
    return feed(c, s, (char)byte, text);
}

static bool in_python(wick_calls *c, wick_calls_state *s, uint8_t byte, char *text)
{
    const uint8_t mode = s->js.mode;
    const bool top = s->at.depth == 1;
    if (mode == JS_KEY && top) return in_bare_key(c, s, byte, '=', text);
    if (mode == JS_STRING || mode == JS_KEY) return in_quotes(c, s, byte, text);
    if (mode == JS_WORD) {
        static const char none[] = "None", null[] = "null";
        const uint32_t n = s->js.lex & 255;
        if (s->js.lex >> 8 != 2) return feed(c, s, (char)byte, text);
        return byte == (uint8_t)none[n] && feed(c, s, null[n], text);
    }
    if (byte == ' ') return mode != JS_OBJECT && feed(c, s, ' ', text);
    if (byte == '\t' || byte == '\n' || byte == '\r') return false;
    if (top && byte == '}') return false;
    if (byte == ')') return top && feed(c, s, '}', text) && end_arguments(c, s) && go_around(c, s, byte, text);
    if (top && (mode == JS_OBJECT || mode == JS_NEXT_KEY))
        return is_bare(byte) && feed(c, s, '"', text) && feed(c, s, (char)byte, text);
    if (byte == '"' || byte == '\'') {
        s->at.sub = byte == '\'' ? CALLS_SINGLE : 0;
        return feed(c, s, '"', text);
    }
    if (byte == 't' || byte == 'f' || byte == 'n') return false;
    if (byte == 'T' || byte == 'F' || byte == 'N') byte |= 0x20;
    return feed(c, s, (char)byte, text);
}

static bool in_gemma(wick_calls *c, wick_calls_state *s, uint8_t byte, char *text)
{
    const uint8_t mode = s->js.mode;
    if (mode == JS_KEY) return in_bare_key(c, s, byte, ':', text);
    if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '"') return false;
    if ((mode == JS_OBJECT || mode == JS_NEXT_KEY) && byte != '}')
        return is_bare(byte) && feed(c, s, '"', text) && feed(c, s, (char)byte, text);
    if ((mode == JS_VALUE || mode == JS_ARRAY) && byte == (uint8_t)*c->quote.p) {
        s->at.forms = FORM_STRING;
        if (s->at.depth == 0 || raw_start(c, s, text) == WICK_DFA_DEAD) return false;
        s->at.phase = CALLS_QUOTE;
        s->at.sub = 1;
        return true;
    }
    return in_json(c, s, byte, text);
}

static bool in_quote(wick_calls *c, wick_calls_state *s, uint8_t byte, char *text)
{
    if (byte != (uint8_t)c->quote.p[s->at.sub]) return false;
    if (++s->at.sub < c->quote.n) return true;
    s->at.lex = raw_start(c, s, text);
    s->at.phase = CALLS_RAW;
    s->at.sub = 0;
    return s->at.lex != WICK_DFA_DEAD;
}

static bool inside(wick_calls *c, wick_calls_state *s, uint8_t byte, char *text)
{
    switch (c->style) {
    case CALLS_JSON: return in_json(c, s, byte, text);
    case CALLS_PARAMS: return in_param(c, s, byte, text);
    case CALLS_PYTHON: return in_python(c, s, byte, text);
    case CALLS_GEMMA: return in_gemma(c, s, byte, text);
    }
    return false;
}

bool wick_calls_step(wick_calls *c, const wick_calls_state *from, uint8_t byte, char *text, wick_calls_state *out)
{
    wick_re_pool *p = c->js->f->re;
    wick_calls_state s = *from;
    while (s.at.phase == CALLS_AROUND || s.at.phase == CALLS_RAW) {
        const uint32_t lex = wick_dfa_step(p, s.at.lex, byte);
        if (lex != WICK_DFA_DEAD) {
            s.at.lex = lex;
            *out = s;
            if (wick_dfa_part(p, lex, 0) != WICK_RE_EPS) return wick_re_ok(p);
            return take_way(c, out, text) && wick_re_ok(p); /* nothing else can come */
        }
        if (!wick_re_ok(p) || !wick_dfa_accepts(p, s.at.lex) || !take_way(c, &s, text)) return false;
    }
    bool ok = false;
    switch ((wick_calls_phase)s.at.phase) {
    case CALLS_KEY:
        if (goes_on(&s, byte)) {
            ok = feed(c, &s, (char)byte, text);
        } else {
            ok = end_key(c, &s, text) && go_around(c, &s, byte, text);
        }
        break;
    case CALLS_VALUE: ok = in_value(c, &s, byte, text); break;
    case CALLS_INSIDE: ok = inside(c, &s, byte, text); break;
    case CALLS_QUOTE: ok = in_quote(c, &s, byte, text); break;
    case CALLS_AROUND:
    case CALLS_RAW:
    case CALLS_OVER: break;
    }
    *out = s;
    return ok && wick_re_ok(p);
}

static bool is_marker(const wick_calls *c, wick_str token)
{
    const wick_str marks[] = {c->param_open, c->param_mid, c->param_mid_json, c->param_close, c->quote};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (marks[i].n && memmem(marks[i].p, marks[i].n, token.p, token.n)) return true;
    return false;
}

bool wick_calls_step_control(wick_calls *c, const wick_calls_state *s, wick_str token, char *text,
                             wick_calls_state *out)
{
    wick_calls_state a = *s, b;
    for (size_t i = 0; i < token.n; i++) {
        if (!wick_calls_step(c, &a, (uint8_t)token.p[i], text, &b)) return false;
        const bool was_out = a.at.phase == CALLS_AROUND || a.at.phase == CALLS_RAW || a.at.phase == CALLS_QUOTE;
        const bool is_out = b.at.phase == CALLS_AROUND || b.at.phase == CALLS_RAW || b.at.phase == CALLS_QUOTE;
        const bool raw = a.at.phase == CALLS_RAW && b.at.phase == CALLS_RAW;
        if ((!was_out && !is_out) || (raw && !is_marker(c, token))) return false;
        a = b;
    }
    *out = a;
    return true;
}

bool wick_calls_may_end(const wick_calls *c, const wick_calls_state *s)
{
    const wick_re_pool *p = c->js->f->re;
    if (s->at.phase == CALLS_OVER) return true;
    if (s->at.phase != CALLS_AROUND || s->at.node != CALLS_MAIN) return false;
    return wick_re_nullable(p, wick_dfa_part(p, s->at.lex, c->n_tools + 1));
}

bool wick_calls_repeats(const wick_calls *c, const wick_calls_state *s)
{
    if (s->at.phase == CALLS_KEY) return false; /* the name that it is becomes decides what follows */
    return s->at.phase == CALLS_AROUND || wick_js_repeats(c->js, &s->js);
}
