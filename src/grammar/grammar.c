/* grammar/grammar.c - compiles a text of any kind to an automaton and keeps it. */
#include "grammar/grammar_int.h"
#include "base/alloc.h"
#include "base/json.h"
#include "grammar/endless.h"
#include "grammar/pattern.h"
#include "grammar/schema.h"

enum { COMPILE_MS = 2000, MASK_MS = 1000, MAX_TEXT = 4 << 20 };

static const char *const names[] = {[WICK_GRAMMAR_JSON_SCHEMA] = "json_schema",
                                    [WICK_GRAMMAR_JSON_OBJECT] = "json_object",
                                    [WICK_GRAMMAR_REGEX] = "regex",
                                    [WICK_GRAMMAR_GBNF] = "gbnf",
                                    [WICK_GRAMMAR_LARK] = "lark",
                                    [WICK_GRAMMAR_CHOICES] = "choice",
                                    [WICK_GRAMMAR_CALLS] = "calls"};

bool wick_grammar_kind_of(const char *name, wick_grammar_kind *out)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (wick_grammar_kind)i;
            return true;
        }
    return false;
}

static wick_status json_machine(wick_grammar *g, wick_f f, wick_err *err)
{
    g->machine = MACHINE_JSON;
    if (wick_js_start(&g->js, f, &g->start.js)) {
        if (!wick_f_endless(&g->f, f)) return wick_re_ok(&g->re) ? WICK_OK : wick_re_failed(&g->re, err);
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "json_schema",
                         "json_schema: what fulfils it would have to hold itself, without end");
    }
    if (!wick_re_ok(&g->re)) return wick_re_failed(&g->re, err);
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "json_schema", "json_schema: no value fulfils it");
}

static wick_status open_json(wick_grammar *g, wick_err *err)
{
    wick_js_options o = {.max_ws = g->o.max_ws >= UINT16_MAX ? UINT16_MAX : (uint16_t)g->o.max_ws,
                         .schema_order = g->o.schema_order};
    g->has_f = true; /* to be released also where it is only half made */
    WICK_TRY(wick_f_pool_init(&g->f, &g->re, err));
    g->has_js = true;
    return wick_js_pool_init(&g->js, &g->f, &o, err);
}

static wick_status compile_schema(wick_grammar *g, const char *text, size_t n, wick_err *err)
{
    json_t *v = NULL;
    wick_f f = WICK_F_FALSE;
    wick_err why = {0};
    wick_schema_options o = {.lenient = g->o.lenient, .warnings = &g->warnings};
    wick_status st = wick_json_parse(text, n, "json_schema", &v, &why);
    if (st != WICK_OK)
        return WICK_FAIL(err, st == WICK_E_OUT_OF_MEMORY ? st : WICK_E_BAD_PARAMETER, "json_schema", "%s", why.message);
    st = open_json(g, err);
    if (st == WICK_OK) st = wick_schema_compile(&g->js, v, &o, &f, err);
    if (st == WICK_OK) st = json_machine(g, f, err);
    json_decref(v);
    return st;
}

static wick_status automaton(wick_grammar *g, wick_re r, const char *what, wick_err *err)
{
    g->machine = MACHINE_RE;
    g->start.id = wick_dfa_start(&g->re, &r, 1);
    if (!wick_re_ok(&g->re)) return wick_re_failed(&g->re, err);
    if (g->start.id == WICK_DFA_DEAD) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what, "%s: no text fulfils it", what);
    return WICK_OK;
}

static wick_status compile_regex(wick_grammar *g, const char *text, size_t n, wick_err *err)
{
    wick_re r;
    WICK_TRY(wick_pattern_compile(&g->re, text, n, WICK_PATTERN_RE2, 0, "regex", &r, err));
    return automaton(g, r, "regex", err);
}

static wick_status compile_choices(wick_grammar *g, const char *text, size_t n, wick_err *err)
{
    json_t *v = NULL;
    size_t m;
    WICK_TRY(wick_json_parse(text, n, "choice", &v, err));
    m = json_array_size(v);
    wick_str *words = wick_alloc_zero(m + 1, sizeof *words);
    wick_status st = words ? WICK_OK : wick_err_oom(err, "the choices", 0, 0);
    for (size_t i = 0; st == WICK_OK && i < m; i++) {
        const json_t *x = json_array_get(v, i);
        words[i] = (wick_str){json_string_value(x), json_string_length(x)};
        if (!json_is_string(x)) st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "choice", "choice: expected a list of texts");
    }
    if (st == WICK_OK && m == 0)
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "choice", "choice: expected a list of texts");
    if (st == WICK_OK) st = automaton(g, wick_re_words(&g->re, words, (uint32_t)m), "choice", err);
    wick_free(words);
    json_decref(v);
    return st;
}

static wick_status compile_rules(wick_grammar *g, const char *text, size_t n, wick_err *err)
{
    g->machine = MACHINE_CFG;
    g->has_cfg = true;
    if (g->kind == WICK_GRAMMAR_GBNF) return wick_gbnf_compile(&g->cfg, &g->re, text, n, &g->start.id, err);
    return wick_lark_compile(&g->cfg, &g->re, text, n, &g->warnings, &g->start.id, err);
}

static wick_status compile_calls(wick_grammar *g, const char *text, size_t n, wick_err *err)
{
    WICK_TRY(open_json(g, err));
    g->machine = MACHINE_CALLS;
    g->has_calls = true;
    WICK_TRY(wick_calls_init(&g->calls, &g->js, text, n, &g->warnings, err));
    g->start.calls = wick_calls_start(&g->calls);
    return WICK_OK;
}

static wick_status compile(wick_grammar *g, const char *text, size_t n, wick_err *err)
{
    switch (g->kind) {
    case WICK_GRAMMAR_JSON_SCHEMA: return compile_schema(g, text, n, err);
    case WICK_GRAMMAR_JSON_OBJECT:
        WICK_TRY(open_json(g, err));
        return json_machine(g, wick_f_type(&g->f, WICK_T_OBJECT), err);
    case WICK_GRAMMAR_REGEX: return compile_regex(g, text, n, err);
    case WICK_GRAMMAR_CHOICES: return compile_choices(g, text, n, err);
    case WICK_GRAMMAR_GBNF:
    case WICK_GRAMMAR_LARK: return compile_rules(g, text, n, err);
    case WICK_GRAMMAR_CALLS: return compile_calls(g, text, n, err);
    }
    return WICK_FAIL(err, WICK_E_INTERNAL, "grammar", "grammar: no such kind");
}

wick_status wick_grammar_compile(wick_grammar **out, wick_grammar_kind kind, const char *text, size_t n,
                                 const wick_grammar_options *o, wick_err *err)
{
    static const wick_grammar_options defaults = WICK_GRAMMAR_OPTIONS_INIT;
    if (n > MAX_TEXT) return WICK_FAIL(err, WICK_E_LIMIT, names[kind], "%s: longer than 4 MiB", names[kind]);
    wick_grammar *g = wick_alloc_zero(1, sizeof *g);
    if (!g) return wick_err_oom(err, "the grammar", 0, 0);
    g->refs = 1;
    g->kind = kind;
    g->o = o ? *o : defaults;
    if (!g->o.compile_ms) g->o.compile_ms = COMPILE_MS;
    if (!g->o.mask_ms) g->o.mask_ms = MASK_MS;
    g->n_text = n;
    wick_lock_init(&g->lock);
    wick_buf_init(&g->warnings, 1 << 20);
    wick_re_limits limit = {.max_bytes = g->o.max_bytes};
    wick_status st = wick_re_pool_init(&g->re, &limit, err);
    wick_re_allow(&g->re, g->o.compile_ms);
    if (st == WICK_OK && n && !(g->text = wick_strndup(text, n))) st = wick_err_oom(err, "the grammar", 0, 0);
    if (st == WICK_OK) st = compile(g, text, n, err);
    if (st == WICK_OK) g->cache = wick_alloc_zero(WICK_GCACHE_SLOTS, sizeof *g->cache);
    if (st == WICK_OK && !g->cache) st = wick_err_oom(err, "the grammar", 0, 0);
    if (st == WICK_OK)
        *out = g;
    else
        wick_grammar_unref(g);
    return st;
}

wick_grammar *wick_grammar_ref(wick_grammar *g)
{
    __atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
    return g;
}

void wick_grammar_unref(wick_grammar *g)
{
    if (!g || __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    wick_g_forget(g);
    wick_free(g->cache);
    wick_free(g->text);
    wick_gvocab_free(g->vocab);
    if (g->has_cfg) wick_cfg_release(&g->cfg);
    if (g->has_calls) wick_calls_release(&g->calls);
    if (g->has_js) wick_js_pool_release(&g->js);
    if (g->has_f) wick_f_pool_release(&g->f);
    wick_re_pool_release(&g->re);
    wick_buf_release(&g->warnings);
    wick_lock_release(&g->lock);
    wick_free(g);
}

const char *wick_grammar_warnings(const wick_grammar *g)
{
    return g->warnings.data && g->warnings.n ? g->warnings.data : "";
}

bool wick_grammar_is(const wick_grammar *g, wick_grammar_kind kind, const char *text, size_t n)
{
    return g->kind == kind && g->n_text == n && (n == 0 || memcmp(g->text, text, n) == 0);
}

wick_grammar_kind wick_grammar_source(const wick_grammar *g, const char **text, size_t *n)
{
    *text = g->text ? g->text : "";
    *n = g->n_text;
    return g->kind;
}

bool wick_grammar_worn(wick_grammar *g)
{
    wick_lock_take(&g->lock);
    bool yes = !wick_re_ok(&g->re) || g->re.bytes > g->re.limit.max_bytes / 2;
    wick_lock_drop(&g->lock);
    return yes;
}
