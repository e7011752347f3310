/* toolbox/calculate.c - the built-in tools that touch nothing: calculate and time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/json.h"
#include "toolbox/toolbox_int.h"

enum { DEPTH_MAX = 64 };

/* A parser of expressions; the first error stays. */
typedef struct expr {
    const char *p;
    int depth;
    const char *error;
} expr;

static double sum(expr *e);

static void blanks(expr *e)
{
    while (*e->p == ' ' || *e->p == '\t' || *e->p == '\n') e->p++;
}

static bool take(expr *e, const char *what)
{
    blanks(e);
    if (strncmp(e->p, what, strlen(what)) != 0) return false;
    e->p += strlen(what);
    return true;
}

static double fail_expr(expr *e, const char *why)
{
    if (!e->error) e->error = why;
    return 0;
}

static double apply(expr *e, const char *f, size_t n, double a, double b, int n_args)
{
    static const struct {
        const char *name;
        double (*one)(double);
    } ones[] = {{"sqrt", sqrt}, {"abs", fabs},  {"floor", floor}, {"ceil", ceil},  {"round", round}, {"exp", exp},
                {"ln", log},    {"log", log10}, {"log2", log2},   {"sin", sin},    {"cos", cos},     {"tan", tan},
                {"asin", asin}, {"acos", acos}, {"atan", atan},   {"trunc", trunc}};
    static const struct {
        const char *name;
        double (*two)(double, double);
    } twos[] = {{"min", fmin}, {"max", fmax}, {"pow", pow}, {"atan2", atan2}, {"hypot", hypot}, {"mod", fmod}};
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        if (strlen(ones[i].name) == n && strncmp(ones[i].name, f, n) == 0)
            return n_args == 1 ? ones[i].one(a) : fail_expr(e, "this function takes one number");
    for (size_t i = 0; i < sizeof twos / sizeof *twos; i++)
        if (strlen(twos[i].name) == n && strncmp(twos[i].name, f, n) == 0)
            return n_args == 2 ? twos[i].two(a, b) : fail_expr(e, "this function takes two numbers");
    return fail_expr(e, "unknown function");
}

static double named(expr *e)
{
    static const double pi = 3.14159265358979323846, euler = 2.71828182845904523536;
    const char *f = e->p;
    size_t n = 0;
    while ((f[n] >= 'a' && f[n] <= 'z') || (n > 0 && f[n] >= '0' && f[n] <= '9')) n++;
    e->p += n;
    if (!take(e, "(")) {
        if (n == 2 && strncmp(f, "pi", 2) == 0) return pi;
        if (n == 1 && *f == 'e') return euler;
        return fail_expr(e, "a name that is no number and no function");
    }
    const double a = sum(e);
    const bool two = take(e, ",");
    const double b = two ? sum(e) : 0;
    if (!take(e, ")")) return fail_expr(e, "a parenthesis is not closed");
    return apply(e, f, n, a, b, two ? 2 : 1);
}

static double atom(expr *e)
{
    double v;
    blanks(e);
    if (e->depth > DEPTH_MAX) return fail_expr(e, "nested too deeply");
    if (take(e, "(")) {
        e->depth++;
        v = sum(e);
        e->depth--;
        return take(e, ")") ? v : fail_expr(e, "a parenthesis is not closed");
    }
    if (*e->p >= 'a' && *e->p <= 'z') {
        e->depth++;
        v = named(e);
        e->depth--;
        return v;
    }
    const size_t n = strspn(e->p, "0123456789.");
    if (n == 0 || n > 60) return fail_expr(e, "a number is missing");
    char text[80];
    size_t k = n;
    if ((e->p[n] == 'e' || e->p[n] == 'E') &&
        (strspn(e->p + n + 1, "0123456789") ||
         (strchr("+-", e->p[n + 1]) && e->p[n + 1] && strspn(e->p + n + 2, "0123456789"))))
        k = n + 2 + strspn(e->p + n + 2, "0123456789");
    snprintf(text, sizeof text, "%.*s", (int)(k < 79 ? k : 79), e->p);
    e->p += k;
    return wick_parse_f64(text, &v) ? v : fail_expr(e, "a number is malformed");
}

static double power(expr *e)
{
    const double a = atom(e);
    if (!(take(e, "**") || take(e, "^"))) return a;
    if (++e->depth > DEPTH_MAX) return fail_expr(e, "nested too deeply");
    const bool minus = take(e, "-");
    const double b = power(e);
    e->depth--;
    return pow(a, minus ? -b : b);
}

static double sign(expr *e)
{
    bool minus = false;
    for (;;) {
        if (take(e, "-"))
            minus = !minus;
        else if (!take(e, "+"))
            break;
    }
    const double v = power(e);
    return minus ? -v : v;
}

static double product(expr *e)
{
    double v = sign(e);
    while (!e->error) {
        if (take(e, "*")) {
            v *= sign(e);
        } else if (take(e, "/")) {
            const double d = sign(e);
            if (d == 0) return fail_expr(e, "division by zero");
            v /= d;
        } else if (take(e, "%")) {
            const double d = sign(e);
            if (d == 0) return fail_expr(e, "division by zero");
            v = fmod(v, d);
        } else {
            break;
        }
    }
    return v;
}

static double sum(expr *e)
{
    double v = product(e);
    while (!e->error) {
        if (take(e, "+"))
            v += product(e);
        else if (take(e, "-"))
            v -= product(e);
        else
            break;
    }
    return v;
}

wick_status wick_calculate(const char *text, double *out, wick_err *err)
{
    expr e = {.p = text};
    const double v = sum(&e);
    blanks(&e);
    if (!e.error && *e.p) e.error = "something follows that is no operator";
    if (!e.error && !isfinite(v)) e.error = "the result is no finite number";
    if (e.error)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "expression", "expression: %s (at \"%.20s\")", e.error, e.p);
    *out = v;
    return WICK_OK;
}

static wick_status calculate(void *user, const wick_tool_job *c, wick_buf *out, wick_err *err)
{
    json_t *a = NULL;
    double v;
    (void)user;
    WICK_TRY(wick_json_parse(c->arguments, strlen(c->arguments), "arguments", &a, err));
    const wick_status st = wick_calculate(json_string_value(json_object_get(a, "expression")), &v, err);
    json_decref(a);
    if (st == WICK_OK) wick_buf_printf(out, fabs(v) < 1e15 && v == floor(v) ? "%.0f" : "%.15g", v);
    return st;
}

static wick_status tell_time(void *user, const wick_tool_job *c, wick_buf *out, wick_err *err)
{
    const time_t now = time(NULL);
    struct tm utc, local;
    char a[64], b[64];
    (void)user;
    (void)c;
    (void)err;
    gmtime_r(&now, &utc);
    localtime_r(&now, &local);
    strftime(a, sizeof a, "%Y-%m-%dT%H:%M:%SZ", &utc);
    strftime(b, sizeof b, "%Y-%m-%dT%H:%M:%S%z", &local);
    wick_buf_printf(out, "{\"utc\": \"%s\", \"local\": \"%s\", \"unix\": %lld}", a, b, (long long)now);
    return WICK_OK;
}

wick_status wick_toolbox_add_simple(wick_toolbox *b, const char *name, wick_err *err)
{
    const bool is_time = strcmp(name, "time") == 0;
    const wick_tool_def def = {
        .name = name,
        .description = is_time ? "The current date and time."
                               : "The value of an arithmetic expression with + - * / % ^, parentheses and functions "
                                 "such as sqrt, ln, sin, min, max.",
        .schema = is_time ? NULL
                          : "{\"type\":\"object\",\"properties\":{\"expression\":{\"type\":\"string\",\"description\":"
                            "\"for example (15 + 27) * 2\",\"maxLength\":4096}},\"required\":[\"expression\"]}",
        .safe = true,
        .fn = is_time ? tell_time : calculate};
    return wick_toolset_add(b->tools, &def, err);
}
