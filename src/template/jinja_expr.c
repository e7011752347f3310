/* template/jinja_expr.c - expressions, with Jinja's precedence:
 *   if-else < or < and < not < comparisons, in < + - < ~ < * / // % < ** < unary < postfix, filters, tests
 * ("~" binds tighter than "+", and "-" tighter than "**": both as jinja2 parses them).
 */
#include "template/jinja_impl.h"

static jnode *parse_unary(jparser *p, bool with_filter);
static jnode *parse_call(jparser *p, jnode *callee);
static jnode *parse_postfix(jparser *p, jnode *n);

static void next(jparser *p)
{
    if (p->tok->kind != T_EOF) p->tok++;
}

static jnode *two(jparser *p, jkind kind, jop op, uint32_t line, jnode *a, jnode *b)
{
    jnode *n = a && b ? wick_jinja_node(p, kind, line) : NULL;
    if (!n) return NULL;
    n->op = (uint8_t)op;
    n->a = a;
    n->b = b;
    return wick_jinja_chain(p, n);
}

static jnode *constant(jparser *p, uint32_t line, jv v)
{
    jnode *n = wick_jinja_node(p, N_CONST, line);
    if (n) n->val = v;
    return n;
}

/* --- primary ------------------------------------------------------------------------------------------------------ */
static jnode *parse_name(jparser *p, bool with_ns)
{
    const jtok *t = p->tok;
    next(p);
    if (wick_str_eq(t->text, wick_str_of("true")) || wick_str_eq(t->text, wick_str_of("True")))
        return constant(p, t->line, jv_bool(true));
    if (wick_str_eq(t->text, wick_str_of("false")) || wick_str_eq(t->text, wick_str_of("False")))
        return constant(p, t->line, jv_bool(false));
    if (wick_str_eq(t->text, wick_str_of("none")) || wick_str_eq(t->text, wick_str_of("None")))
        return constant(p, t->line, jv_none());
    bool ns = with_ns && wick_jinja_is_op(p, ".");
    jnode *n = wick_jinja_node(p, ns ? N_NSREF : N_NAME, t->line);
    if (!n) return NULL;
    n->id = wick_jinja_intern(p, t->text);
    if (ns) {
        next(p);
        if (p->tok->kind != T_NAME) return wick_jinja_fail(p, t->line, "expected a name after '.'");
        n->str = wick_jinja_string(p, p->tok->text.p, p->tok->text.n);
        next(p);
    }
    return n;
}

static jnode *parse_string(jparser *p)
{
    const jtok *first = p->tok;
    size_t total = 0;
    for (; p->tok->kind == T_STRING; next(p)) total += p->tok->text.n;
    jnode *n = wick_jinja_node(p, N_CONST, first->line);
    char *text = n ? wick_arena_alloc(&p->t->arena, total + 1) : NULL;
    if (!text) {
        if (p->st == WICK_OK) p->st = wick_err_oom(p->err, "template", total, 0);
        return NULL;
    }
    size_t k = 0;
    for (const jtok *t = first; t < p->tok; t++) {
        if (t->text.n) memcpy(text + k, t->text.p, t->text.n);
        k += t->text.n;
    }
    n->val = jv_of_str(wick_jinja_string(p, text, total));
    return n->val.u.s ? n : NULL;
}

static jnode *parse_list(jparser *p)
{
    uint32_t cap = 0;
    jnode *n = wick_jinja_node(p, N_LIST, p->tok->line);
    next(p);
    while (n && p->st == WICK_OK && !wick_jinja_is_op(p, "]")) {
        if (n->n && !wick_jinja_expect_op(p, ",")) return NULL;
        if (wick_jinja_is_op(p, "]")) break;
        jnode *x = wick_jinja_expr(p, true);
        if (!x || !wick_jinja_push(p, &n->item, &n->n, &cap, x)) return NULL;
    }
    return n && wick_jinja_expect_op(p, "]") ? n : NULL;
}

static jnode *parse_dict(jparser *p)
{
    uint32_t cap = 0, cap2 = 0;
    jnode *n = wick_jinja_node(p, N_DICT, p->tok->line);
    next(p);
    while (n && p->st == WICK_OK && !wick_jinja_is_op(p, "}")) {
        if (n->n && !wick_jinja_expect_op(p, ",")) return NULL;
        if (wick_jinja_is_op(p, "}")) break;
        jnode *k = wick_jinja_expr(p, true);
        if (!k || !wick_jinja_expect_op(p, ":")) return NULL;
        jnode *v = wick_jinja_expr(p, true);
        if (!v || !wick_jinja_push(p, &n->item, &n->n, &cap, k)) return NULL;
        if (!wick_jinja_push(p, &n->item2, &n->n2, &cap2, v)) return NULL;
    }
    return n && wick_jinja_expect_op(p, "}") ? n : NULL;
}

static jnode *parse_primary(jparser *p, bool with_ns)
{
    const jtok *t = p->tok;
    char got[80];
    if (p->st != WICK_OK) return NULL;
    switch (t->kind) {
    case T_NAME: return parse_name(p, with_ns);
    case T_STRING: return parse_string(p);
    case T_INT: next(p); return constant(p, t->line, jv_int(t->i));
    case T_FLOAT: next(p); return constant(p, t->line, jv_float(t->f));
    default: break;
    }
    if (wick_jinja_is_op(p, "(")) {
        next(p);
        jnode *n = wick_jinja_tuple(p, false, true, TUPLE_NORMAL, true, false);
        return n && wick_jinja_expect_op(p, ")") ? n : NULL;
    }
    if (wick_jinja_is_op(p, "[")) return parse_list(p);
    if (wick_jinja_is_op(p, "{")) return parse_dict(p);
    return wick_jinja_fail(p, t->line, "expected an expression, got %s", wick_jinja_describe(t, got, sizeof(got)));
}

/* --- postfix: subscripts, calls, filters, tests ------------------------------------------------------------------- */
static jnode *attribute(jparser *p, jnode *obj, uint32_t line)
{
    const jtok *t = p->tok;
    next(p);
    if (t->kind == T_INT) {
        jnode *key = constant(p, t->line, jv_int(t->i));
        return two(p, N_ITEM, 0, line, obj, key);
    }
    if (t->kind != T_NAME) return wick_jinja_fail(p, t->line, "expected a name or a number after '.'");
    jnode *n = wick_jinja_node(p, N_ATTR, line);
    if (!n) return NULL;
    n->a = obj;
    n->str = wick_jinja_string(p, t->text.p, t->text.n);
    jmethods m;
    if (wick_jv_find_methods(t->text.p, t->text.n, &m)) {
        jmethods *keep = wick_arena_alloc(&p->t->arena, sizeof(*keep));
        if (!keep) {
            if (p->st == WICK_OK) p->st = wick_err_oom(p->err, "template", sizeof(*keep), 0);
            return NULL;
        }
        *keep = m;
        n->methods = keep;
    }
    return wick_jinja_chain(p, n);
}

static bool at_slice_end(const jparser *p)
{
    return wick_jinja_is_op(p, "]") || wick_jinja_is_op(p, ",");
}

/* One subscript: an expression, or a slice (then an N_SLICE without its object). */
static jnode *subscript(jparser *p)
{
    jnode *part[3] = {NULL, NULL, NULL};
    uint32_t line = p->tok->line;
    if (!wick_jinja_is_op(p, ":")) {
        part[0] = wick_jinja_expr(p, true);
        if (!part[0] || !wick_jinja_is_op(p, ":")) return part[0];
    }
    next(p);
    if (!wick_jinja_is_op(p, ":") && !at_slice_end(p) && !(part[1] = wick_jinja_expr(p, true))) return NULL;
    if (wick_jinja_skip_op(p, ":") && !at_slice_end(p) && !(part[2] = wick_jinja_expr(p, true))) return NULL;
    jnode *n = wick_jinja_node(p, N_SLICE, line);
    jnode **item = n ? wick_arena_array(&p->t->arena, 3, sizeof(*item)) : NULL;
    if (!item) {
        if (p->st == WICK_OK) p->st = wick_err_oom(p->err, "template", 3 * sizeof(*item), 0);
        return NULL;
    }
    memcpy(item, part, sizeof(part));
    n->item = item;
    n->n = 3;
    return n;
}

static jnode *brackets(jparser *p, jnode *obj, uint32_t line)
{
    jnode **item = NULL, *key;
    uint32_t n = 0, cap = 0;
    while (p->st == WICK_OK && !wick_jinja_is_op(p, "]")) {
        if (n && !wick_jinja_expect_op(p, ",")) return NULL;
        key = subscript(p);
        if (!key || !wick_jinja_push(p, &item, &n, &cap, key)) return NULL;
    }
    if (!wick_jinja_expect_op(p, "]")) return NULL;
    if (n == 1 && item[0]->kind == N_SLICE && !item[0]->a) {
        item[0]->a = obj;
        return wick_jinja_chain(p, item[0]);
    }
    if (n == 1) return two(p, N_ITEM, 0, line, obj, item[0]);
    for (uint32_t i = 0; i < n; i++)
        if (item[i]->kind == N_SLICE && !item[i]->a)
            return wick_jinja_fail(p, line, "a slice cannot be one of several subscripts");
    key = wick_jinja_node(p, N_TUPLE, line);
    if (!key) return NULL;
    key->item = item;
    key->n = n;
    return two(p, N_ITEM, 0, line, obj, key);
}

static bool push_kw(jparser *p, jcall *c, uint32_t *cap, const jv_str *name, jnode *v)
{
    uint32_t n = c->n_kw, before = *cap;
    if (!wick_jinja_push(p, &c->kw, &c->n_kw, cap, v)) return false;
    if (*cap != before) {
        const jv_str **grown = wick_arena_array(&p->t->arena, *cap, sizeof(*grown));
        if (!grown) {
            if (p->st == WICK_OK) p->st = wick_err_oom(p->err, "template", 0, 0);
            return false;
        }
        if (n) memcpy(grown, c->kw_name, n * sizeof(*grown));
        c->kw_name = grown;
    }
    c->kw_name[n] = name;
    return true;
}

static bool one_arg(jparser *p, jcall *c, uint32_t *cap, uint32_t *cap_kw, uint32_t line)
{
    bool ok = true;
    if (wick_jinja_skip_op(p, "*")) {
        ok = !c->dyn_args && !c->dyn_kwargs;
        c->dyn_args = wick_jinja_expr(p, true);
    } else if (wick_jinja_skip_op(p, "**")) {
        ok = !c->dyn_kwargs;
        c->dyn_kwargs = wick_jinja_expr(p, true);
    } else if (p->tok->kind == T_NAME && p->tok[1].kind == T_OP && strcmp(p->tok[1].op, "=") == 0) {
        const jv_str *name = wick_jinja_string(p, p->tok->text.p, p->tok->text.n);
        for (uint32_t i = 0; name && i < c->n_kw; i++)
            if (c->kw_name[i]->n == name->n && memcmp(c->kw_name[i]->p, name->p, name->n) == 0) ok = false;
        next(p);
        next(p);
        jnode *v = wick_jinja_expr(p, true);
        ok = ok && !c->dyn_kwargs;
        if (!name || !v || !push_kw(p, c, cap_kw, name, v)) return false;
    } else {
        jnode *v = wick_jinja_expr(p, true);
        ok = !c->dyn_args && !c->dyn_kwargs && !c->n_kw;
        if (!v || !wick_jinja_push(p, &c->arg, &c->n_arg, cap, v)) return false;
    }
    if (!ok) (void)wick_jinja_fail(p, line, "invalid order of arguments, or a keyword given twice");
    return p->st == WICK_OK;
}

static jcall *call_args(jparser *p)
{
    uint32_t line = p->tok->line, cap = 0, cap_kw = 0;
    bool comma = false;
    if (!wick_jinja_expect_op(p, "(")) return NULL;
    jcall *c = wick_arena_alloc(&p->t->arena, sizeof(*c));
    if (!c) {
        if (p->st == WICK_OK) p->st = wick_err_oom(p->err, "template", sizeof(*c), 0);
        return NULL;
    }
    while (p->st == WICK_OK && !wick_jinja_is_op(p, ")")) {
        if (comma && !wick_jinja_expect_op(p, ",")) return NULL;
        if (comma && wick_jinja_is_op(p, ")")) break;
        if (!one_arg(p, c, &cap, &cap_kw, line)) return NULL;
        comma = true;
    }
    return wick_jinja_expect_op(p, ")") ? c : NULL;
}

static jnode *parse_call(jparser *p, jnode *callee)
{
    jnode *n = callee ? wick_jinja_node(p, N_CALL, p->tok->line) : NULL;
    if (!n) return NULL;
    n->a = callee;
    n->call = call_args(p);
    return n->call ? wick_jinja_chain(p, n) : NULL;
}

/* A dotted name, as "a.b"; the text is in the arena. */
static const jv_str *dotted_name(jparser *p)
{
    if (p->st != WICK_OK) return NULL;
    if (p->tok->kind != T_NAME) {
        (void)wick_jinja_fail(p, p->tok->line, "expected the name of a filter or test");
        return NULL;
    }
    wick_str whole = p->tok->text;
    next(p);
    while (wick_jinja_is_op(p, ".") && p->tok[1].kind == T_NAME) {
        whole.n = (size_t)(p->tok[1].text.p + p->tok[1].text.n - whole.p);
        next(p);
        next(p);
    }
    return wick_jinja_string(p, whole.p, whole.n);
}

static void note_unknown(jparser *p, const jnode *n)
{
    if (n->def || p->soft || p->n_unknown == sizeof(p->unknown) / sizeof(*p->unknown)) return;
    p->unknown[p->n_unknown] = (wick_str){n->str->p, n->str->n};
    p->unknown_line[p->n_unknown++] = n->line;
}

jnode *wick_jinja_filters(jparser *p, jnode *node, bool start_inline)
{
    while (p->st == WICK_OK && (start_inline || wick_jinja_is_op(p, "|"))) {
        if (!start_inline) next(p);
        start_inline = false;
        jnode *n = wick_jinja_node(p, N_FILTER, p->tok->line);
        if (!n || !(n->str = dotted_name(p))) return NULL;
        n->a = node;
        n->def = wick_jinja_find_filter(n->str->p, n->str->n);
        note_unknown(p, n);
        if (wick_jinja_is_op(p, "(") && !(n->call = call_args(p))) return NULL;
        node = wick_jinja_chain(p, n);
    }
    return p->st == WICK_OK ? node : NULL;
}

static bool starts_test_argument(const jparser *p)
{
    switch (p->tok->kind) {
    case T_STRING:
    case T_INT:
    case T_FLOAT: return true;
    case T_NAME: return !wick_jinja_is_name(p, "else") && !wick_jinja_is_name(p, "or") && !wick_jinja_is_name(p, "and");
    default: return wick_jinja_is_op(p, "[") || wick_jinja_is_op(p, "{");
    }
}

static jnode *parse_test(jparser *p, jnode *value)
{
    uint32_t line = p->tok->line;
    next(p);
    bool negated = wick_jinja_skip_name(p, "not");
    jnode *n = wick_jinja_node(p, N_TEST, line);
    if (!n || !(n->str = dotted_name(p))) return NULL;
    n->a = value;
    n->def = wick_jinja_find_test(n->str->p, n->str->n);
    note_unknown(p, n);
    if (wick_jinja_is_op(p, "(")) {
        if (!(n->call = call_args(p))) return NULL;
    } else if (starts_test_argument(p)) {
        if (wick_jinja_is_name(p, "is")) return wick_jinja_fail(p, line, "tests cannot be chained with is");
        jnode *arg = parse_postfix(p, parse_primary(p, false));
        uint32_t cap = 0;
        n->call = wick_arena_alloc(&p->t->arena, sizeof(*n->call));
        if (!n->call && p->st == WICK_OK) p->st = wick_err_oom(p->err, "template", sizeof(*n->call), 0);
        if (!arg || !n->call || !wick_jinja_push(p, &n->call->arg, &n->call->n_arg, &cap, arg)) return NULL;
    }
    if (!wick_jinja_chain(p, n) || !negated) return p->st == WICK_OK ? n : NULL;
    jnode *not = wick_jinja_node(p, N_NOT, line);
    if (not ) not ->a = n;
    return wick_jinja_chain(p, not );
}

static jnode *parse_postfix(jparser *p, jnode *n)
{
    while (n && p->st == WICK_OK) {
        uint32_t line = p->tok->line;
        if (wick_jinja_skip_op(p, "."))
            n = attribute(p, n, line);
        else if (wick_jinja_skip_op(p, "["))
            n = brackets(p, n, line);
        else if (wick_jinja_is_op(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

static jnode *parse_filter_expr(jparser *p, jnode *n)
{
    while (n && p->st == WICK_OK) {
        if (wick_jinja_is_op(p, "|"))
            n = wick_jinja_filters(p, n, false);
        else if (wick_jinja_is_name(p, "is"))
            n = parse_test(p, n);
        else if (wick_jinja_is_op(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

/* --- operators ---------------------------------------------------------------------------------------------------- */
static jnode *parse_unary(jparser *p, bool with_filter)
{
    uint32_t line = p->tok->line;
    bool neg = wick_jinja_is_op(p, "-"), pos = wick_jinja_is_op(p, "+");
    jnode *n;
    if (!wick_jinja_enter(p)) return NULL;
    if (neg || pos) {
        next(p);
        jnode *a = parse_unary(p, false);
        n = a ? wick_jinja_node(p, neg ? N_NEG : N_POS, line) : NULL;
        if (n) n->a = a;
    } else {
        n = parse_primary(p, false);
    }
    n = parse_postfix(p, n);
    if (with_filter) n = parse_filter_expr(p, n);
    p->depth--;
    return n;
}

static jnode *parse_pow(jparser *p)
{
    jnode *n = parse_unary(p, true);
    while (n && wick_jinja_is_op(p, "**")) {
        uint32_t line = p->tok->line;
        next(p);
        n = two(p, N_BINARY, OP_POW, line, n, parse_unary(p, true));
    }
    return n;
}

static jnode *parse_product(jparser *p)
{
    static const struct {
        const char *text;
        jop op;
    } ops[] = {{"*", OP_MUL}, {"/", OP_DIV}, {"//", OP_FLOORDIV}, {"%", OP_MOD}};
    jnode *n = parse_pow(p);
    for (size_t i = 0; n && i < 4; i++) {
        uint32_t line = p->tok->line;
        if (!wick_jinja_skip_op(p, ops[i].text)) continue;
        n = two(p, N_BINARY, ops[i].op, line, n, parse_pow(p));
        i = (size_t)-1;
    }
    return n;
}

static jnode *parse_concat(jparser *p)
{
    jnode *n = parse_product(p), *list = NULL;
    uint32_t cap = 0;
    if (!n || !wick_jinja_is_op(p, "~")) return n;
    list = wick_jinja_node(p, N_CONCAT, n->line);
    if (!list || !wick_jinja_push(p, &list->item, &list->n, &cap, n)) return NULL;
    while (wick_jinja_skip_op(p, "~")) {
        n = parse_product(p);
        if (!n || !wick_jinja_push(p, &list->item, &list->n, &cap, n)) return NULL;
    }
    return list;
}

static jnode *parse_sum(jparser *p)
{
    jnode *n = parse_concat(p);
    while (n && (wick_jinja_is_op(p, "+") || wick_jinja_is_op(p, "-"))) {
        uint32_t line = p->tok->line;
        jop op = wick_jinja_is_op(p, "+") ? OP_ADD : OP_SUB;
        next(p);
        n = two(p, N_BINARY, op, line, n, parse_concat(p));
    }
    return n;
}

static bool comparison(jparser *p, jop *op)
{
    static const struct {
        const char *text;
        jop op;
    } ops[] = {{"==", OP_EQ}, {"!=", OP_NE}, {"<", OP_LT}, {"<=", OP_LE}, {">", OP_GT}, {">=", OP_GE}};
    for (size_t i = 0; i < 6; i++) {
        if (!wick_jinja_skip_op(p, ops[i].text)) continue;
        *op = ops[i].op;
        return true;
    }
    if (wick_jinja_skip_name(p, "in")) {
        *op = OP_IN;
        return true;
    }
    const jtok *after = p->tok + 1;
    if (!wick_jinja_is_name(p, "not") || after->kind != T_NAME || !wick_str_eq(after->text, wick_str_of("in")))
        return false;
    next(p);
    next(p);
    *op = OP_NOT_IN;
    return true;
}

static jnode *parse_compare(jparser *p)
{
    jnode *n = parse_sum(p), *cmp = NULL;
    uint32_t cap = 0;
    jop op;
    while (n && p->st == WICK_OK && comparison(p, &op)) {
        if (!cmp && !(cmp = wick_jinja_node(p, N_COMPARE, n->line))) return NULL;
        uint32_t before = cap;
        jnode *b = parse_sum(p);
        if (!b || !wick_jinja_push(p, &cmp->item, &cmp->n, &cap, b)) return NULL;
        if (cap != before) {
            uint8_t *ops = wick_arena_alloc(&p->t->arena, cap);
            if (!ops) {
                if (p->st == WICK_OK) p->st = wick_err_oom(p->err, "template", cap, 0);
                return NULL;
            }
            if (before) memcpy(ops, cmp->ops, before);
            cmp->ops = ops;
        }
        cmp->ops[cmp->n - 1] = (uint8_t)op;
    }
    if (!cmp) return n;
    cmp->a = n;
    return wick_jinja_chain(p, cmp);
}

static jnode *parse_not(jparser *p)
{
    if (!wick_jinja_is_name(p, "not")) return parse_compare(p);
    uint32_t line = p->tok->line;
    if (!wick_jinja_enter(p)) return NULL;
    next(p);
    jnode *a = parse_not(p), *n = a ? wick_jinja_node(p, N_NOT, line) : NULL;
    if (n) n->a = a;
    p->depth--;
    return n;
}

static jnode *parse_and(jparser *p)
{
    jnode *n = parse_not(p);
    while (n && wick_jinja_skip_name(p, "and")) n = two(p, N_AND, 0, n->line, n, parse_not(p));
    return n;
}

static jnode *parse_or(jparser *p)
{
    jnode *n = parse_and(p);
    while (n && wick_jinja_skip_name(p, "or")) n = two(p, N_OR, 0, n->line, n, parse_and(p));
    return n;
}

jnode *wick_jinja_expr(jparser *p, bool with_cond)
{
    if (!wick_jinja_enter(p)) return NULL;
    uint32_t unknown = p->n_unknown;
    jnode *n = parse_or(p);
    while (n && with_cond && wick_jinja_skip_name(p, "if")) {
        jnode *cond = wick_jinja_node(p, N_COND, n->line);
        if (!cond) return NULL;
        cond->b = n;
        cond->a = parse_or(p);
        if (cond->a && wick_jinja_skip_name(p, "else")) {
            cond->c = wick_jinja_expr(p, true);
            if (!cond->c) return NULL;
        }
        n = cond->a ? wick_jinja_chain(p, cond) : NULL;
        p->n_unknown = unknown; /* inside an inline if they fail only when they run */
    }
    p->depth--;
    return p->st == WICK_OK ? n : NULL;
}

static bool tuple_end(const jparser *p, jtuple_end end)
{
    if (p->tok->kind == T_VAR_END || p->tok->kind == T_BLOCK_END || wick_jinja_is_op(p, ")")) return true;
    return (end == TUPLE_UNTIL_IN && wick_jinja_is_name(p, "in")) ||
           (end == TUPLE_UNTIL_RECURSIVE && wick_jinja_is_name(p, "recursive"));
}

jnode *wick_jinja_tuple(jparser *p, bool simplified, bool with_cond, jtuple_end end, bool parens, bool with_ns)
{
    jnode **item = NULL;
    uint32_t n = 0, cap = 0, line = p->tok->line;
    bool is_tuple = false;
    char got[80];
    while (p->st == WICK_OK) {
        if (n && !wick_jinja_expect_op(p, ",")) return NULL;
        if (tuple_end(p, end)) break;
        jnode *x = simplified ? parse_primary(p, with_ns) : wick_jinja_expr(p, with_cond);
        if (!x || !wick_jinja_push(p, &item, &n, &cap, x)) return NULL;
        if (!wick_jinja_is_op(p, ",")) break;
        is_tuple = true;
    }
    if (p->st != WICK_OK) return NULL;
    if (!is_tuple && n) return item[0];
    if (!is_tuple && !parens)
        return wick_jinja_fail(p, line, "expected an expression, got %s",
                               wick_jinja_describe(p->tok, got, sizeof(got)));
    jnode *t = wick_jinja_node(p, N_TUPLE, line);
    if (!t) return NULL;
    t->item = item;
    t->n = n;
    return t;
}
