/* template/jinja_istest.c - what stands after "is". (Named so because x_test.c is a unit test.) */
#include "template/jinja_impl.h"

#define YES(cond) jv_bool(cond)
#define TEST(name) static jv name(jrt *rt, jv v, const jv *a)
#define UNUSED ((void)rt, (void)a)

TEST(is_odd)
{
    (void)a;
    return YES(wick_jv_equal(rt, wick_jv_binary(rt, OP_MOD, v, jv_int(2)), jv_int(1)));
}
TEST(is_even)
{
    (void)a;
    return YES(wick_jv_equal(rt, wick_jv_binary(rt, OP_MOD, v, jv_int(2)), jv_int(0)));
}
TEST(is_divisibleby)
{
    return YES(wick_jv_equal(rt, wick_jv_binary(rt, OP_MOD, v, a[0]), jv_int(0)));
}
TEST(is_defined)
{
    UNUSED;
    return YES(v.t != JV_UNDEF);
}
TEST(is_undefined)
{
    UNUSED;
    return YES(v.t == JV_UNDEF);
}
TEST(is_filter)
{
    UNUSED;
    return YES(v.t == JV_STR && wick_jinja_find_filter(v.u.s->p, v.u.s->n));
}
TEST(is_test)
{
    UNUSED;
    return YES(v.t == JV_STR && wick_jinja_find_test(v.u.s->p, v.u.s->n));
}
TEST(is_none)
{
    UNUSED;
    return YES(v.t == JV_NONE);
}
TEST(is_boolean)
{
    UNUSED;
    return YES(v.t == JV_BOOL);
}
TEST(is_false)
{
    UNUSED;
    return YES(v.t == JV_BOOL && !v.u.b);
}
TEST(is_true)
{
    UNUSED;
    return YES(v.t == JV_BOOL && v.u.b);
}
TEST(is_integer)
{
    UNUSED;
    return YES(v.t == JV_INT);
}
TEST(is_float)
{
    UNUSED;
    return YES(v.t == JV_FLOAT);
}
TEST(is_number)
{
    UNUSED;
    return YES(v.t == JV_INT || v.t == JV_FLOAT || v.t == JV_BOOL);
}
TEST(is_string)
{
    UNUSED;
    return YES(v.t == JV_STR);
}
TEST(is_mapping)
{
    UNUSED;
    return YES(v.t == JV_DICT);
}
TEST(is_sequence)
{
    UNUSED;
    return YES(wick_jv_len(v) >= 0 && v.t != JV_VIEW);
}
TEST(is_iterable)
{
    UNUSED;
    return YES(wick_jv_len(v) >= 0 || v.t == JV_ITER || v.t == JV_LOOP);
}
TEST(is_callable)
{
    UNUSED;
    return YES(v.t == JV_UNDEF || v.t == JV_MACRO || v.t == JV_FUNC || v.t == JV_METHOD || v.t == JV_LOOP ||
               v.t == JV_JOINER);
}
TEST(is_escaped)
{
    UNUSED;
    return YES(v.t == JV_STR && v.markup);
}
TEST(is_sameas)
{
    if (v.t != a[0].t) return YES(false);
    switch (v.t) {
    case JV_LIST:
    case JV_TUPLE:
    case JV_DICT:
    case JV_NS:
    case JV_MACRO:
    case JV_ITER: return YES(v.u.d == a[0].u.d);
    case JV_UNDEF: return YES(v.u.u && v.u.u == a[0].u.u);
    default: return YES(wick_jv_equal(rt, v, a[0]));
    }
}
TEST(is_in)
{
    return YES(wick_jv_contains(rt, a[0], v));
}
/* All cased characters are of that case, and there is one. */
static bool all_cased(jrt *rt, jv v, bool upper)
{
    const jv_str *s = wick_jv_tostr(rt, v);
    bool any = false;
    if (!wick_jv_step(rt, s->n / 8)) return false;
    for (size_t i = 0; i < s->n;) {
        uint32_t cp;
        i += wick_utf8_next(s->p + i, s->n - i, &cp);
        if (upper ? wick_text_is_lower(cp) : wick_text_is_upper(cp)) return false;
        any = any || (upper ? wick_text_is_upper(cp) : wick_text_is_lower(cp));
    }
    return any;
}
TEST(is_lower)
{
    (void)a;
    return YES(all_cased(rt, v, false));
}
TEST(is_upper)
{
    (void)a;
    return YES(all_cased(rt, v, true));
}
TEST(is_eq)
{
    return YES(wick_jv_equal(rt, v, a[0]));
}
TEST(is_ne)
{
    return YES(!wick_jv_equal(rt, v, a[0]));
}
TEST(is_gt)
{
    return YES(wick_jv_compare(rt, v, a[0], ">") == 1);
}
TEST(is_ge)
{
    int c = wick_jv_compare(rt, v, a[0], ">=");
    return YES(c == 0 || c == 1);
}
TEST(is_lt)
{
    return YES(wick_jv_compare(rt, v, a[0], "<") == -1);
}
TEST(is_le)
{
    int c = wick_jv_compare(rt, v, a[0], "<=");
    return YES(c == 0 || c == -1);
}

static const jv_def tests[] = {
    {"odd", is_odd, 0, {0}, NULL},
    {"even", is_even, 0, {0}, NULL},
    {"divisibleby", is_divisibleby, 1, {"num"}, NULL},
    {"defined", is_defined, 0, {0}, NULL},
    {"undefined", is_undefined, 0, {0}, NULL},
    {"filter", is_filter, 0, {0}, NULL},
    {"test", is_test, 0, {0}, NULL},
    {"none", is_none, 0, {0}, NULL},
    {"boolean", is_boolean, 0, {0}, NULL},
    {"false", is_false, 0, {0}, NULL},
    {"true", is_true, 0, {0}, NULL},
    {"integer", is_integer, 0, {0}, NULL},
    {"float", is_float, 0, {0}, NULL},
    {"number", is_number, 0, {0}, NULL},
    {"string", is_string, 0, {0}, NULL},
    {"mapping", is_mapping, 0, {0}, NULL},
    {"sequence", is_sequence, 0, {0}, NULL},
    {"iterable", is_iterable, 0, {0}, NULL},
    {"callable", is_callable, 0, {0}, NULL},
    {"escaped", is_escaped, 0, {0}, NULL},
    {"sameas", is_sameas, 1, {"other"}, NULL},
    {"in", is_in, 1, {"seq"}, NULL},
    {"lower", is_lower, 0, {0}, NULL},
    {"upper", is_upper, 0, {0}, NULL},
    {"==", is_eq, 1, {""}, NULL},
    {"eq", is_eq, 1, {""}, NULL},
    {"equalto", is_eq, 1, {""}, NULL},
    {"!=", is_ne, 1, {""}, NULL},
    {"ne", is_ne, 1, {""}, NULL},
    {">", is_gt, 1, {""}, NULL},
    {"gt", is_gt, 1, {""}, NULL},
    {"greaterthan", is_gt, 1, {""}, NULL},
    {">=", is_ge, 1, {""}, NULL},
    {"ge", is_ge, 1, {""}, NULL},
    {"<", is_lt, 1, {""}, NULL},
    {"lt", is_lt, 1, {""}, NULL},
    {"lessthan", is_lt, 1, {""}, NULL},
    {"<=", is_le, 1, {""}, NULL},
    {"le", is_le, 1, {""}, NULL},
};

const jv_def *wick_jinja_find_test(const char *p, size_t n)
{
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        if (strlen(tests[i].name) == n && memcmp(tests[i].name, p, n) == 0) return &tests[i];
    return NULL;
}
