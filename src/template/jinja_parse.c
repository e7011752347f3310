/* template/jinja_parse.c - tokens to a tree: statements, names, and what both parsers share.
 *
 * Errors are sticky in jparser.st; functions return NULL then, and callers pass NULL up. Nesting of blocks and
 * expressions together is limited by JV_PARSE_MAX.
 */
#include "template/jinja_impl.h"

#include <stdio.h>

static jnode *parse_body(jparser *p, const char *const *end);

jnode *wick_jinja_fail(jparser *p, uint32_t line, const char *fmt, ...)
{
    if (p->st != WICK_OK) return NULL;
    char msg[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    p->st = WICK_FAIL(p->err, WICK_E_TEMPLATE, p->t->where, "%s: line %u: %s", p->t->where, line, msg);
    return NULL;
}

static void *alloc(jparser *p, size_t count, size_t size)
{
    void *m = wick_arena_array(&p->t->arena, count, size);
    if (!m && p->st == WICK_OK) p->st = wick_err_oom(p->err, "template", count * size, 0);
    return m;
}

jnode *wick_jinja_node(jparser *p, jkind kind, uint32_t line)
{
    jnode *n = alloc(p, 1, sizeof(*n));
    if (!n) return NULL;
    n->kind = (uint8_t)kind;
    n->line = line;
    return n;
}

bool wick_jinja_push(jparser *p, jnode ***item, uint32_t *n, uint32_t *cap, jnode *x)
{
    if (*n == *cap) {
        uint32_t more = *cap ? *cap * 2 : 4;
        jnode **grown = alloc(p, more, sizeof(*grown));
        if (!grown) return false;
        if (*n) memcpy(grown, *item, *n * sizeof(*grown));
        *item = grown;
        *cap = more;
    }
    (*item)[(*n)++] = x;
    return true;
}

bool wick_jinja_enter(jparser *p)
{
    if (p->st != WICK_OK) return false;
    if (p->depth >= JV_PARSE_MAX) {
        (void)wick_jinja_fail(p, p->tok->line, "expressions or blocks are nested deeper than %d", JV_PARSE_MAX);
        return false;
    }
    p->depth++;
    return true;
}

jnode *wick_jinja_chain(jparser *p, jnode *n)
{
    if (!n) return NULL;
    uint32_t a = n->a ? n->a->height : 0, b = n->b ? n->b->height : 0;
    n->height = 1 + (a > b ? a : b);
    if (n->height > JV_CHAIN_MAX)
        return wick_jinja_fail(p, n->line, "more than %d operators or calls in a row", JV_CHAIN_MAX);
    return n;
}

bool wick_jinja_is_op(const jparser *p, const char *op)
{
    return p->tok->kind == T_OP && strcmp(p->tok->op, op) == 0;
}

static bool tok_is_name(const jtok *t, const char *name)
{
    return t->kind == T_NAME && wick_str_eq(t->text, wick_str_of(name));
}

bool wick_jinja_is_name(const jparser *p, const char *name)
{
    return tok_is_name(p->tok, name);
}

static void next(jparser *p)
{
    if (p->tok->kind != T_EOF) p->tok++;
}

bool wick_jinja_skip_op(jparser *p, const char *op)
{
    if (!wick_jinja_is_op(p, op)) return false;
    next(p);
    return true;
}

bool wick_jinja_skip_name(jparser *p, const char *name)
{
    if (!wick_jinja_is_name(p, name)) return false;
    next(p);
    return true;
}

const char *wick_jinja_describe(const jtok *t, char *dst, size_t cap)
{
    static const char *const what[] = {
        [T_EOF] = "end of template",  [T_DATA] = "text",    [T_BLOCK_BEGIN] = "{%",
        [T_BLOCK_END] = "end of tag", [T_VAR_BEGIN] = "{{", [T_VAR_END] = "end of expression",
        [T_STRING] = "a string",      [T_INT] = "a number", [T_FLOAT] = "a number"};
    if (t->kind == T_NAME)
        (void)snprintf(dst, cap, "'%.*s'", (int)(t->text.n < 60 ? t->text.n : 60), t->text.p);
    else if (t->kind == T_OP)
        (void)snprintf(dst, cap, "'%s'", t->op);
    else
        (void)snprintf(dst, cap, "%s", what[t->kind]);
    return dst;
}

static bool expect(jparser *p, bool ok, const char *what)
{
    char got[80];
    if (p->st != WICK_OK) return false;
    if (ok) {
        next(p);
        return true;
    }
    (void)wick_jinja_fail(p, p->tok->line, "expected %s, got %s", what, wick_jinja_describe(p->tok, got, sizeof(got)));
    return false;
}

bool wick_jinja_expect_op(jparser *p, const char *op)
{
    char what[8];
    (void)snprintf(what, sizeof(what), "'%s'", op);
    return expect(p, wick_jinja_is_op(p, op), what);
}

static bool expect_name(jparser *p, const char *name)
{
    return expect(p, wick_jinja_is_name(p, name), name);
}

uint32_t wick_jinja_intern(jparser *p, wick_str name)
{
    wick_jinja *t = p->t;
    uint32_t id = wick_map_get(&t->names, name);
    if (id != WICK_MAP_NONE) return id;
    if (t->n_name == t->cap_name) {
        uint32_t cap = t->cap_name ? t->cap_name * 2 : 32;
        const jv_str **grown = alloc(p, cap, sizeof(*grown));
        if (!grown) return 0;
        if (t->n_name) memcpy(grown, t->name, t->n_name * sizeof(*grown));
        t->name = grown;
        t->cap_name = cap;
    }
    const jv_str *s = wick_jinja_string(p, name.p, name.n);
    if (!s) return 0;
    t->name[t->n_name] = s;
    id = wick_map_add(&t->names, (wick_str){s->p, s->n}, t->n_name);
    if (id == WICK_MAP_NONE) {
        if (p->st == WICK_OK) p->st = wick_err_oom(p->err, "template", 0, 0);
        return 0;
    }
    t->n_name++;
    return id;
}

/* Tokens outlive the tree's making only as text in the arena, so strings are borrowed with a NUL where it helps. */
const jv_str *wick_jinja_string(jparser *p, const char *s, size_t n)
{
    jv_str *r = alloc(p, 1, sizeof(*r));
    char *text = r ? wick_arena_strndup(&p->t->arena, s, n) : NULL;
    if (!text) {
        if (p->st == WICK_OK) p->st = wick_err_oom(p->err, "template", n, 0);
        return NULL;
    }
    r->p = text;
    r->n = n;
    r->n_cp = wick_jv_count_cp(text, n);
    return r;
}

/* --- targets ------------------------------------------------------------------------------------------------------ */
static bool is_reserved(const jv_str *s)
{
    static const char *const words[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < 6; i++)
        if (s->n == strlen(words[i]) && memcmp(s->p, words[i], s->n) == 0) return true;
    return false;
}

static bool check_target(jparser *p, const jnode *n)
{
    if (!n) return false;
    if (n->kind == N_TUPLE) {
        for (uint32_t i = 0; i < n->n; i++)
            if (!check_target(p, n->item[i])) return false;
        return true;
    }
    if (n->kind == N_NSREF) return true;
    if (n->kind != N_NAME) {
        (void)wick_jinja_fail(p, n->line, "cannot assign to this expression, expected a name");
        return false;
    }
    if (p->loops && n->id == p->t->id_loop) {
        (void)wick_jinja_fail(p, n->line, "cannot assign to 'loop' inside a for loop");
        return false;
    }
    return true;
}

static jnode *parse_target(jparser *p, jtuple_end end, bool with_ns)
{
    jnode *n = wick_jinja_tuple(p, true, true, end, false, with_ns);
    return check_target(p, n) ? n : NULL;
}

static jnode *parse_name_target(jparser *p)
{
    if (p->st != WICK_OK) return NULL;
    const jtok *t = p->tok;
    if (!expect(p, t->kind == T_NAME, "a name")) return NULL;
    jnode *n = wick_jinja_node(p, N_NAME, t->line);
    if (!n) return NULL;
    n->id = wick_jinja_intern(p, t->text);
    if (p->st == WICK_OK && is_reserved(p->t->name[n->id]))
        return wick_jinja_fail(p, t->line, "cannot assign to '%s'", p->t->name[n->id]->p);
    return n;
}

/* --- statements --------------------------------------------------------------------------------------------------- */
/* Everything after the tag's own text up to one of `end` (which stays the current token). */
static jnode *statements(jparser *p, const char *const *end)
{
    if (p->st != WICK_OK) return NULL;
    (void)wick_jinja_skip_op(p, ":");
    if (!expect(p, p->tok->kind == T_BLOCK_END, "end of tag")) return NULL;
    return parse_body(p, end);
}

static jnode *body_until(jparser *p, const char *end)
{
    const char *const ends[] = {end, NULL};
    jnode *n = statements(p, ends);
    if (p->st == WICK_OK) next(p);
    return n;
}

static jnode *parse_if(jparser *p, uint32_t line)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    jnode *n = wick_jinja_node(p, N_IF, line);
    if (!n || !wick_jinja_enter(p)) return NULL;
    p->soft++;
    n->a = wick_jinja_tuple(p, false, false, TUPLE_NORMAL, false, false);
    n->body = statements(p, ends);
    if (p->st == WICK_OK) {
        const jtok *t = p->tok;
        next(p);
        if (tok_is_name(t, "elif"))
            n->alt = parse_if(p, t->line);
        else if (tok_is_name(t, "else"))
            n->alt = body_until(p, "endif");
    }
    p->soft--;
    p->depth--;
    return n;
}

static jnode *parse_for(jparser *p, uint32_t line)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    jnode *n = wick_jinja_node(p, N_FOR, line);
    if (!n) return NULL;
    p->loops++;
    n->a = parse_target(p, TUPLE_UNTIL_IN, false);
    p->loops--;
    if (p->st != WICK_OK || !expect_name(p, "in")) return NULL;
    n->b = wick_jinja_tuple(p, false, false, TUPLE_UNTIL_RECURSIVE, false, false);
    uint32_t soft = p->soft;
    p->soft = 0;
    if (wick_jinja_skip_name(p, "if")) n->c = wick_jinja_expr(p, true);
    n->flag = wick_jinja_skip_name(p, "recursive");
    p->loops++;
    n->body = statements(p, ends);
    p->loops--;
    if (p->st == WICK_OK) {
        bool has_else = wick_jinja_is_name(p, "else");
        next(p);
        if (has_else) n->alt = body_until(p, "endfor");
    }
    p->soft = soft;
    return n;
}

static jnode *parse_set(jparser *p, uint32_t line)
{
    jnode *target = parse_target(p, TUPLE_NORMAL, true);
    if (!target) return NULL;
    bool plain = wick_jinja_skip_op(p, "=");
    jnode *n = wick_jinja_node(p, plain ? N_SET : N_SET_BLOCK, line);
    if (!n) return NULL;
    n->a = target;
    if (plain) {
        n->b = wick_jinja_tuple(p, false, true, TUPLE_NORMAL, false, false);
        return n;
    }
    n->b = wick_jinja_filters(p, NULL, false);
    n->body = body_until(p, "endset");
    return n;
}

/* "(a, b=1)" into item (names) and item2 (defaults of the last n2). */
static bool parse_signature(jparser *p, jnode *n)
{
    uint32_t cap = 0, cap2 = 0;
    if (!wick_jinja_expect_op(p, "(")) return false;
    while (p->st == WICK_OK && !wick_jinja_is_op(p, ")")) {
        if (n->n && !wick_jinja_expect_op(p, ",")) return false;
        jnode *name = parse_name_target(p);
        if (!name) return false;
        for (uint32_t i = 0; i < n->n; i++)
            if (n->item[i]->id == name->id)
                return (void)wick_jinja_fail(p, name->line, "parameter '%s' appears twice", p->t->name[name->id]->p),
                       false;
        if (wick_jinja_skip_op(p, "=")) {
            jnode *def = wick_jinja_expr(p, true);
            if (!def || !wick_jinja_push(p, &n->item2, &n->n2, &cap2, def)) return false;
        } else if (n->n2) {
            return (void)wick_jinja_fail(p, name->line, "a parameter without a default follows one with a default"),
                   false;
        }
        if (!wick_jinja_push(p, &n->item, &n->n, &cap, name)) return false;
    }
    return wick_jinja_expect_op(p, ")");
}

/* Does the body read `id` before it sets it? (jinja2's find_undeclared: in order, closures included.) */
typedef struct undeclared {
    uint32_t id;
    bool found, stored;
} undeclared;

static void find_in(const jnode *n, undeclared *u);

static void find_list(jnode *const *item, uint32_t n, undeclared *u)
{
    for (uint32_t i = 0; i < n; i++) find_in(item[i], u);
}

static void find_target(const jnode *n, undeclared *u)
{
    if (!n) return;
    if (n->kind == N_NAME && n->id == u->id) u->stored = true;
    if (n->kind == N_TUPLE)
        for (uint32_t i = 0; i < n->n; i++) find_target(n->item[i], u);
}

static void find_call(const jcall *c, undeclared *u)
{
    if (!c) return;
    find_list(c->arg, c->n_arg, u);
    find_list(c->kw, c->n_kw, u);
    find_in(c->dyn_args, u);
    find_in(c->dyn_kwargs, u);
}

static void find_in(const jnode *n, undeclared *u)
{
    for (; n && !u->found; n = n->next) {
        if (n->kind == N_NAME) {
            if (n->id == u->id && !u->stored) u->found = true;
            continue;
        }
        if (n->kind == N_FOR || n->kind == N_SET || n->kind == N_SET_BLOCK)
            find_target(n->a, u);
        else
            find_in(n->a, u);
        find_in(n->b, u);
        find_in(n->c, u);
        if (n->kind == N_MACRO || n->kind == N_CALL_BLOCK || n->kind == N_WITH)
            for (uint32_t i = 0; i < n->n; i++) find_target(n->item[i], u);
        else
            find_list(n->item, n->n, u);
        if (n->item2) find_list(n->item2, n->kind == N_DICT ? n->n : n->n2, u);
        find_call(n->call, u);
        find_in(n->body, u);
        find_in(n->alt, u);
    }
}

static bool reads(const jnode *body, uint32_t id)
{
    undeclared u = {.id = id};
    find_in(body, &u);
    return u.found;
}

/* Bodies that are functions of their own: no break out of them, and their own unknown filters count. */
static jnode *function_body(jparser *p, jnode *n, const char *end)
{
    uint32_t loops = p->loops, soft = p->soft;
    p->loops = p->soft = 0;
    n->body = body_until(p, end);
    p->loops = loops;
    p->soft = soft;
    if (p->st != WICK_OK) return NULL;
    n->uses_caller = reads(n->body, p->t->id_caller);
    n->uses_kwargs = reads(n->body, p->t->id_kwargs);
    n->uses_varargs = reads(n->body, p->t->id_varargs);
    return n;
}

static jnode *parse_macro(jparser *p, uint32_t line)
{
    jnode *name = parse_name_target(p), *n = wick_jinja_node(p, N_MACRO, line);
    if (!name || !n) return NULL;
    n->id = name->id;
    n->str = p->t->name[n->id];
    if (!parse_signature(p, n)) return NULL;
    return function_body(p, n, "endmacro");
}

static jnode *parse_call_block(jparser *p, uint32_t line)
{
    jnode *n = wick_jinja_node(p, N_CALL_BLOCK, line);
    if (!n || (wick_jinja_is_op(p, "(") && !parse_signature(p, n))) return NULL;
    n->b = wick_jinja_expr(p, true);
    if (!n->b) return NULL;
    if (n->b->kind != N_CALL) return wick_jinja_fail(p, line, "expected a call after {%% call %%}");
    return function_body(p, n, "endcall");
}

static jnode *parse_with(jparser *p, uint32_t line)
{
    jnode *n = wick_jinja_node(p, N_WITH, line);
    uint32_t cap = 0, cap2 = 0;
    while (n && p->st == WICK_OK && p->tok->kind != T_BLOCK_END) {
        if (n->n && !wick_jinja_expect_op(p, ",")) return NULL;
        jnode *target = parse_target(p, TUPLE_NORMAL, false);
        if (!target || !wick_jinja_expect_op(p, "=")) return NULL;
        jnode *value = wick_jinja_expr(p, true);
        if (!value || !wick_jinja_push(p, &n->item, &n->n, &cap, target)) return NULL;
        if (!wick_jinja_push(p, &n->item2, &n->n2, &cap2, value)) return NULL;
    }
    if (!n || p->st != WICK_OK) return NULL;
    n->body = body_until(p, "endwith");
    return n;
}

static jnode *parse_print(jparser *p, uint32_t line)
{
    jnode *first = NULL, **tail = &first;
    while (p->st == WICK_OK && p->tok->kind != T_BLOCK_END) {
        if (first && !wick_jinja_expect_op(p, ",")) return NULL;
        jnode *n = wick_jinja_node(p, N_PRINT, line);
        if (!n) return NULL;
        n->a = wick_jinja_expr(p, true);
        *tail = n;
        tail = &n->next;
    }
    jnode *scope = wick_jinja_node(p, N_IF, line);
    if (!scope) return NULL;
    scope->a = wick_jinja_node(p, N_CONST, line);
    if (!scope->a) return NULL;
    scope->a->val = jv_bool(true);
    scope->body = first;
    return scope;
}

static jnode *parse_block(jparser *p, uint32_t line)
{
    const jtok *name = p->tok;
    jnode *n = wick_jinja_node(p, N_BLOCK, line);
    if (!n || !expect(p, name->kind == T_NAME, "a block name")) return NULL;
    for (uint32_t i = 0; i < p->n_block; i++)
        if (wick_str_eq(p->block[i], name->text)) return wick_jinja_fail(p, line, "a block is defined twice");
    if (p->n_block == p->cap_block) {
        uint32_t cap = p->cap_block ? p->cap_block * 2 : 8;
        wick_str *grown = alloc(p, cap, sizeof(*grown));
        if (!grown) return NULL;
        if (p->n_block) memcpy(grown, p->block, p->n_block * sizeof(*grown));
        p->block = grown;
        p->cap_block = cap;
    }
    p->block[p->n_block++] = name->text;
    n->flag = wick_jinja_skip_name(p, "scoped");
    if (wick_jinja_skip_name(p, "required")) return wick_jinja_fail(p, line, "required blocks are not supported");
    if (!function_body(p, n, "endblock")) return NULL;
    if (p->tok->kind == T_NAME && wick_str_eq(p->tok->text, name->text)) next(p);
    return n;
}

/* include, import, from, extends: there is nothing to load from, so they fail where they are executed. */
static jnode *parse_loader(jparser *p, uint32_t line)
{
    jnode *n = wick_jinja_node(p, N_FAIL, line);
    if (!n || !wick_jinja_expr(p, true)) return NULL;
    while (p->st == WICK_OK && p->tok->kind != T_BLOCK_END && p->tok->kind != T_EOF) next(p);
    n->str = wick_jinja_string(p, "there are no other templates to load", 36);
    return n;
}

static jnode *simple(jparser *p, jkind kind, uint32_t line)
{
    if (!p->loops) return wick_jinja_fail(p, line, "break and continue are allowed inside a loop only");
    return wick_jinja_node(p, kind, line);
}

static jnode *scoped_body(jparser *p, jkind kind, uint32_t line, const char *end)
{
    jnode *n = wick_jinja_node(p, kind, line);
    if (!n) return NULL;
    if (kind == N_FILTER_BLOCK) {
        n->b = wick_jinja_filters(p, NULL, true);
        n->body = body_until(p, end);
        return n;
    }
    return function_body(p, n, end);
}

static jnode *parse_statement(jparser *p)
{
    const jtok *t = p->tok;
    char got[80];
    if (t->kind != T_NAME) return wick_jinja_fail(p, t->line, "expected a tag name");
    next(p);
    if (tok_is_name(t, "if")) return parse_if(p, t->line);
    if (tok_is_name(t, "for")) return parse_for(p, t->line);
    if (tok_is_name(t, "set")) return parse_set(p, t->line);
    if (tok_is_name(t, "macro")) return parse_macro(p, t->line);
    if (tok_is_name(t, "call")) return parse_call_block(p, t->line);
    if (tok_is_name(t, "filter")) return scoped_body(p, N_FILTER_BLOCK, t->line, "endfilter");
    if (tok_is_name(t, "with")) return parse_with(p, t->line);
    if (tok_is_name(t, "generation")) return scoped_body(p, N_SCOPE, t->line, "endgeneration");
    if (tok_is_name(t, "break")) return simple(p, N_BREAK, t->line);
    if (tok_is_name(t, "continue")) return simple(p, N_CONTINUE, t->line);
    if (tok_is_name(t, "print")) return parse_print(p, t->line);
    if (tok_is_name(t, "block")) return parse_block(p, t->line);
    if (tok_is_name(t, "include") || tok_is_name(t, "import") || tok_is_name(t, "from") || tok_is_name(t, "extends"))
        return parse_loader(p, t->line);
    if (tok_is_name(t, "autoescape")) return wick_jinja_fail(p, t->line, "autoescape is not supported");
    return wick_jinja_fail(p, t->line, "unknown tag %s", wick_jinja_describe(t, got, sizeof(got)));
}

static bool at_end(const jparser *p, const char *const *end)
{
    for (; end && *end; end++)
        if (wick_jinja_is_name(p, *end)) return true;
    return false;
}

static jnode *parse_body(jparser *p, const char *const *end)
{
    jnode *first = NULL, **tail = &first;
    if (!wick_jinja_enter(p)) return NULL;
    while (p->st == WICK_OK && p->tok->kind != T_EOF) {
        const jtok *t = p->tok;
        jnode *n;
        next(p);
        if (t->kind == T_DATA) {
            n = wick_jinja_node(p, N_DATA, t->line);
            if (n) n->str = wick_jinja_string(p, t->text.p, t->text.n);
        } else if (t->kind == T_VAR_BEGIN) {
            n = wick_jinja_node(p, N_PRINT, t->line);
            if (n) n->a = wick_jinja_tuple(p, false, true, TUPLE_NORMAL, false, false);
            (void)expect(p, p->tok->kind == T_VAR_END, "end of expression");
        } else {
            if (at_end(p, end)) {
                p->depth--;
                return first;
            }
            n = parse_statement(p);
            (void)expect(p, p->tok->kind == T_BLOCK_END, "end of tag");
        }
        if (!n || p->st != WICK_OK) return NULL;
        *tail = n;
        while (*tail) tail = &(*tail)->next;
    }
    if (p->st == WICK_OK && end)
        return wick_jinja_fail(p, p->tok->line, "the template ends where {%% %s %%} is missing", end[0]);
    p->depth--;
    return first;
}

wick_status wick_jinja_parse(wick_jinja *t, const jlex *l, wick_err *err)
{
    jparser p = {.t = t, .tok = l->tok, .err = err};
    t->id_loop = wick_jinja_intern(&p, wick_str_of("loop"));
    t->id_caller = wick_jinja_intern(&p, wick_str_of("caller"));
    t->id_kwargs = wick_jinja_intern(&p, wick_str_of("kwargs"));
    t->id_varargs = wick_jinja_intern(&p, wick_str_of("varargs"));
    t->body = parse_body(&p, NULL);
    if (p.st == WICK_OK && p.n_unknown)
        (void)wick_jinja_fail(&p, p.unknown_line[0], "there is no filter or test named '%.*s'",
                              (int)(p.unknown[0].n < 80 ? p.unknown[0].n : 80), p.unknown[0].p);
    return p.st;
}
