/* chat/format/cursor.c - the cursor's pieces: literals, names, text up to its end. Nothing is read past what is held;
 * what was looked at is not looked at again. */
#include "chat/format/call.h"

enum { BLANKS_MAX = 1024 }; /* white space that may turn out to be the end of a text; more is part of it */

bool wick_tc_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void wick_tc_space(wick_tc_cur *c)
{
    while (c->i < c->n && wick_tc_is_space(c->s[c->i])) c->i++;
}

bool wick_tc_valid(const char *s, size_t n)
{
    return wick_utf8_valid(s, n) && (n == 0 || !memchr(s, 0, n));
}

wick_tc_step wick_tc_peek_at(const wick_tc_cur *c, size_t at, const char *lit)
{
    const size_t m = strlen(lit), left = c->n - at;
    if (memcmp(c->s + at, lit, left < m ? left : m) != 0) return WICK_TC_BAD;
    if (left >= m) return WICK_TC_OK;
    return c->end ? WICK_TC_BAD : WICK_TC_MORE;
}

wick_tc_step wick_tc_peek(const wick_tc_cur *c, const char *lit)
{
    return wick_tc_peek_at(c, c->i, lit);
}

wick_tc_step wick_tc_any(const wick_tc_cur *c, size_t at, const char *const *marks, size_t n, size_t *len)
{
    wick_tc_step st = WICK_TC_BAD;
    for (size_t i = 0; i < n && marks[i]; i++) {
        const wick_tc_step one = wick_tc_peek_at(c, at, marks[i]);
        if (one == WICK_TC_OK) {
            *len = strlen(marks[i]);
            return one;
        }
        if (one == WICK_TC_MORE) st = one;
    }
    return st;
}

wick_tc_step wick_tc_lit(wick_tc_cur *c, const char *lit)
{
    WICK_TC_TRY(wick_tc_peek(c, lit));
    c->i += strlen(lit);
    return WICK_TC_OK;
}

static bool is_name(char c)
{
    const unsigned char u = (unsigned char)c;
    return (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || u >= 0x80 ||
           (u && strchr("_-./:$", c));
}

wick_tc_step wick_tc_ident(wick_tc_cur *c, wick_str *out)
{
    size_t k = c->i;
    while (k < c->n && k - c->i <= WICK_TC_NAME_MAX && is_name(c->s[k])) k++;
    if (k - c->i > WICK_TC_NAME_MAX) return WICK_TC_BAD;
    if (k == c->n) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
    if (k == c->i) return WICK_TC_BAD;
    *out = (wick_str){c->s + c->i, k - c->i};
    c->i = k;
    return WICK_TC_OK;
}

wick_tc_step wick_tc_name_up_to(wick_tc_cur *c, const char *stop, wick_str *out)
{
    const size_t left = c->n - c->i, most = left < WICK_TC_NAME_MAX ? left : WICK_TC_NAME_MAX;
    const char *hit = memmem(c->s + c->i, most, stop, strlen(stop));
    if (!hit) return left < WICK_TC_NAME_MAX && !c->end ? WICK_TC_MORE : WICK_TC_BAD;
    wick_str t = {c->s + c->i, (size_t)(hit - (c->s + c->i))};
    while (t.n && wick_tc_is_space(*t.p)) t.p++, t.n--;
    while (t.n && wick_tc_is_space(t.p[t.n - 1])) t.n--;
    *out = t;
    c->i = (size_t)(hit - c->s) + strlen(stop);
    return t.n ? WICK_TC_OK : WICK_TC_BAD;
}

/* Where what follows `at` may be the end: past the white space that would be trimmed there. */
static size_t past_trim(const wick_tc_cur *c, size_t at, wick_tc_trim trim)
{
    size_t k = at;
    if (trim == WICK_TC_BLANKS)
        while (k < c->n && k - at < BLANKS_MAX && wick_tc_is_space(c->s[k])) k++;
    else if (trim == WICK_TC_NEWLINE && k < c->n && c->s[k] == '\n')
        k++;
    return k;
}

static void move(wick_buf *to, const char *s, size_t n, bool escape)
{
    if (escape)
        wick_tc_put_escaped(to, s, n);
    else
        wick_buf_add(to, s, n);
}

wick_tc_step wick_tc_flow(wick_tc_cur *c, wick_tc_stop *stop, wick_tc_trim trim, wick_buf *to, bool escape)
{
    wick_tc_step st = WICK_TC_MORE;
    size_t k = c->i, len = 0, e = c->i;
    for (; k < c->n; k++) {
        e = past_trim(c, k, trim);
        st = e == c->n && !c->end ? WICK_TC_MORE : stop(c, e, &len);
        if (st != WICK_TC_BAD) break;
    }
    if (k == c->n) {
        e = k;
        st = stop(c, k, &len);
        if (st == WICK_TC_BAD && !c->end) st = WICK_TC_MORE;
    }
    move(to, c->s + c->i, k - c->i, escape);
    c->i = k;
    if (to->failed) return WICK_TC_NOMEM;
    if (st == WICK_TC_OK) c->i = e + len;
    return st;
}
