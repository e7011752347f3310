/* chat/format/toolcall_scan.c - the cursor's pieces: literals, names, text up to a marker, bracketed values. Nothing is
 * read past what is held; long pieces are resumed where they stopped. */
#include "chat/format/toolcall_impl.h"

bool wick_tc_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void wick_tc_space(wick_tc_cur *c)
{
    while (c->i < c->n && wick_tc_is_space(c->s[c->i])) c->i++;
}

wick_tc_step wick_tc_peek(const wick_tc_cur *c, const char *lit)
{
    const size_t m = strlen(lit), left = c->n - c->i;
    if (memcmp(c->s + c->i, lit, left < m ? left : m) != 0) return WICK_TC_BAD;
    if (left >= m) return WICK_TC_OK;
    return c->end ? WICK_TC_BAD : WICK_TC_MORE;
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

static bool resume_until(wick_tc_scan *scan, const char *s, size_t n)
{
    const char *best = NULL;
    size_t longest = 1;
    for (size_t i = 0; scan->stops[i]; i++) {
        const size_t m = strlen(scan->stops[i]);
        const char *hit = memmem(s + scan->pos, n - scan->pos, scan->stops[i], m);
        if (m > longest) longest = m;
        if (!hit || (best && hit >= best)) continue;
        best = hit;
        scan->which = i;
    }
    scan->done = best != NULL;
    if (best)
        scan->pos = (size_t)(best - s);
    else if (n - scan->pos >= longest)
        scan->pos = n - longest + 1;
    return scan->done;
}

/* Inside a string: past the byte or the delimiter at pos. False: more text is needed. */
static bool string_byte(wick_tc_scan *scan, const char *s, size_t n, bool end)
{
    if (scan->delim) {
        const size_t m = strlen(scan->delim), left = n - scan->pos;
        const bool same = memcmp(s + scan->pos, scan->delim, left < m ? left : m) == 0;
        if (same && left < m && !end) return false;
        if (same && left >= m) scan->in_string = !scan->in_string;
        scan->pos += same && left >= m ? m : 1;
        return true;
    }
    if (s[scan->pos] == '\\') {
        if (n - scan->pos < 2) return false;
        scan->pos += 2;
        return true;
    }
    scan->in_string = s[scan->pos] != scan->quote;
    scan->pos++;
    return true;
}

static bool resume_span(wick_tc_scan *scan, const char *s, size_t n, bool end, unsigned max_depth)
{
    while (scan->pos < n) {
        const char ch = s[scan->pos];
        if (scan->in_string || (scan->delim && ch == *scan->delim)) {
            if (!string_byte(scan, s, n, end)) return false;
            continue;
        }
        scan->pos++;
        if (!scan->delim && ch && strchr(scan->quotes, ch)) {
            scan->in_string = true;
            scan->quote = ch;
        } else if (ch == '{' || ch == '[' || ch == '(') {
            if (++scan->depth > max_depth) scan->done = scan->bad = true;
        } else if (ch == '}' || ch == ']' || ch == ')') {
            scan->done = --scan->depth == 0;
        }
        if (scan->done) return true;
    }
    return false;
}

bool wick_tc_scan_resume(wick_tc_scan *scan, const char *s, size_t n, bool end, unsigned max_depth)
{
    if (scan->kind == WICK_TC_IDLE || scan->done) return true;
    return scan->kind == WICK_TC_UNTIL ? resume_until(scan, s, n) : resume_span(scan, s, n, end, max_depth);
}

wick_tc_step wick_tc_until(wick_tc_cur *c, const char *const *stops, bool to_end, wick_str *out)
{
    wick_tc_scan fresh = {.kind = WICK_TC_UNTIL, .at = c->i, .pos = c->i, .stops = stops}, *scan = c->scan;
    if (scan->kind != WICK_TC_UNTIL || scan->at != c->i || scan->stops != stops) {
        if (!resume_until(&fresh, c->s, c->n) && !c->end) *c->scan = fresh;
        scan = &fresh;
    }
    if (!scan->done && !c->end) return WICK_TC_MORE;
    if (!scan->done && !to_end) return WICK_TC_BAD;
    *out = (wick_str){c->s + c->i, (scan->done ? scan->pos : c->n) - c->i};
    c->i += out->n + (scan->done ? strlen(stops[scan->which]) : 0);
    return WICK_TC_OK;
}

wick_tc_step wick_tc_span(wick_tc_cur *c, const char *quotes, const char *delim, wick_str *out)
{
    if (c->i == c->n) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
    if (!c->s[c->i] || !strchr("{[(", c->s[c->i])) return WICK_TC_BAD;
    wick_tc_scan fresh = {.kind = WICK_TC_SPAN, .at = c->i, .pos = c->i, .quotes = quotes, .delim = delim};
    wick_tc_scan *scan = c->scan;
    if (scan->kind != WICK_TC_SPAN || scan->at != c->i) {
        if (!resume_span(&fresh, c->s, c->n, c->end, c->lim->max_depth) && !c->end) *c->scan = fresh;
        scan = &fresh;
    }
    if (scan->bad) return WICK_TC_BAD;
    if (!scan->done) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
    *out = (wick_str){c->s + c->i, scan->pos - c->i};
    c->i = scan->pos;
    return WICK_TC_OK;
}
