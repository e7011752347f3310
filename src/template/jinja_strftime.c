/* template/jinja_strftime.c - strftime_now(format): the local time in the C locale, whatever the process has set. */
#include "template/jinja_impl.h"

#include <time.h>

static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};

static void put(wick_buf *b, const struct tm *t, char c);

static void put_all(wick_buf *b, const struct tm *t, const char *fmt)
{
    for (; *fmt; fmt++) {
        if (*fmt == '%')
            put(b, t, *++fmt);
        else
            wick_buf_putc(b, *fmt);
    }
}

static void put(wick_buf *b, const struct tm *t, char c)
{
    static const char numeric[] = "GgVUWuwCsz";
    char text[64];
    int h12 = t->tm_hour % 12 ? t->tm_hour % 12 : 12;
    switch (c) {
    case 'a': wick_buf_printf(b, "%.3s", days[t->tm_wday]); break;
    case 'A': wick_buf_puts(b, days[t->tm_wday]); break;
    case 'b':
    case 'h': wick_buf_printf(b, "%.3s", months[t->tm_mon]); break;
    case 'B': wick_buf_puts(b, months[t->tm_mon]); break;
    case 'd': wick_buf_printf(b, "%02d", t->tm_mday); break;
    case 'e': wick_buf_printf(b, "%2d", t->tm_mday); break;
    case 'm': wick_buf_printf(b, "%02d", t->tm_mon + 1); break;
    case 'y': wick_buf_printf(b, "%02d", t->tm_year % 100); break;
    case 'Y': wick_buf_printf(b, "%d", t->tm_year + 1900); break;
    case 'H': wick_buf_printf(b, "%02d", t->tm_hour); break;
    case 'k': wick_buf_printf(b, "%2d", t->tm_hour); break;
    case 'I': wick_buf_printf(b, "%02d", h12); break;
    case 'l': wick_buf_printf(b, "%2d", h12); break;
    case 'M': wick_buf_printf(b, "%02d", t->tm_min); break;
    case 'S': wick_buf_printf(b, "%02d", t->tm_sec); break;
    case 'p': wick_buf_puts(b, t->tm_hour < 12 ? "AM" : "PM"); break;
    case 'P': wick_buf_puts(b, t->tm_hour < 12 ? "am" : "pm"); break;
    case 'j': wick_buf_printf(b, "%03d", t->tm_yday + 1); break;
    case 'f': wick_buf_puts(b, "000000"); break;
    case 'n': wick_buf_putc(b, '\n'); break;
    case 't': wick_buf_putc(b, '\t'); break;
    case '%': wick_buf_putc(b, '%'); break;
    case 'c': put_all(b, t, "%a %b %e %H:%M:%S %Y"); break;
    case 'D':
    case 'x': put_all(b, t, "%m/%d/%y"); break;
    case 'F': put_all(b, t, "%Y-%m-%d"); break;
    case 'T':
    case 'X': put_all(b, t, "%H:%M:%S"); break;
    case 'R': put_all(b, t, "%H:%M"); break;
    case 'r': put_all(b, t, "%I:%M:%S %p"); break;
    case 'z':
    case 'Z': break; /* a local time without a zone, as datetime.now() */
    default:
        if (c && strchr(numeric, c)) {
            const char one[] = {'%', c, 0};
            wick_buf_add(b, text, strftime(text, sizeof(text), one, t));
        } else {
            wick_buf_putc(b, '%');
            if (c) wick_buf_putc(b, c);
        }
    }
}

jv wick_jv_strftime(jrt *rt, const jv_str *fmt)
{
    time_t now = rt->now_unix_s ? (time_t)rt->now_unix_s : time(NULL);
    struct tm t;
    size_t mark = rt->w.n;
    if (!localtime_r(&now, &t)) return wick_jv_raise(rt, "the time cannot be told");
    for (size_t i = 0; i < fmt->n && wick_jv_step(rt, 1); i++) {
        if (fmt->p[i] != '%' || i + 1 == fmt->n) {
            wick_buf_putc(&rt->w, fmt->p[i]);
            continue;
        }
        i++;
        if (fmt->p[i] == '-' && i + 1 < fmt->n) { /* %-d: no padding */
            size_t at = rt->w.n;
            put(&rt->w, &t, fmt->p[++i]);
            while (!rt->w.failed && rt->w.n - at > 1 && (rt->w.data[at] == '0' || rt->w.data[at] == ' ')) {
                memmove(rt->w.data + at, rt->w.data + at + 1, rt->w.n - at - 1);
                rt->w.n--;
            }
            continue;
        }
        put(&rt->w, &t, fmt->p[i]);
    }
    return wick_jv_take(rt, mark);
}
