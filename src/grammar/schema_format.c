/* grammar/schema_format.c - the formats that JSON Schema defines, each as a pattern of its RFC. */
#include "grammar/pattern.h"
#include "grammar/schema.h"

/* Parts by macro, so that each RFC's rules are written once. */
#define DAY31 "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
#define DAY30 "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
#define FEB28 "02-(?:0[1-9]|1[0-9]|2[0-8])"
#define LEAP "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
#define DATE "(?:[0-9]{4}-(?:" DAY31 "|" DAY30 "|" FEB28 ")|" LEAP "-02-29)"
#define ZONE "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define TIME "(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9])(?:\\.[0-9]+)?" ZONE
/* A leap second is accepted where it is written in UTC. */
#define LEAP_SECOND "23:59:60(?:\\.[0-9]+)?(?:[Zz]|[+-]00:00)"

#define TIME_ALL "(?:" TIME "|" LEAP_SECOND ")"
#define DURATION                                                            \
    "P(?:(?:[0-9]+D|[0-9]+M(?:[0-9]+D)?|[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?)"   \
    "(?:T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S))?" \
    "|T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)|[0-9]+W)"

#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define HOSTNAME "(?=[^]{1,253}$)" LABEL "(?:\\." LABEL ")*"
#define OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define IPV4 OCTET "\\." OCTET "\\." OCTET "\\." OCTET
#define H16 "[0-9A-Fa-f]{1,4}"
#define LS32 "(?:" H16 ":" H16 "|" IPV4 ")"
#define IPV6                                                                                                         \
    "(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32 "|(?:(?:" H16          \
    ":){0,1}" H16 ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16 ")?::(?:" H16 ":){2}" LS32 "|(?:(?:" H16    \
    ":){0,3}" H16 ")?::" H16 ":" LS32 "|(?:(?:" H16 ":){0,4}" H16 ")?::" LS32 "|(?:(?:" H16 ":){0,5}" H16 ")?::" H16 \
    "|(?:(?:" H16 ":){0,6}" H16 ")?::)"
#define ATEXT "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
#define LOCAL "(?:" ATEXT "+(?:\\." ATEXT "+)*|\"(?:[ !#-\\[\\]-~]|\\\\[ -~])*\")"
#define EMAIL LOCAL "@(?:" LABEL "(?:\\." LABEL ")*|\\[(?:" IPV4 "|IPv6:" IPV6 ")\\])"
#define UTEXT "(?:" ATEXT "|[^\\x00-\\x7F])"
#define UFIRST "[A-Za-z0-9\\p{Ll}\\p{Lo}\\p{Lm}\\p{Nd}]"
#define UREST "[A-Za-z0-9\\p{Ll}\\p{Lo}\\p{Lm}\\p{Nd}\\p{Mn}\\p{Mc}-]"
#define ULAST "[A-Za-z0-9\\p{Ll}\\p{Lo}\\p{Lm}\\p{Nd}\\p{Mn}\\p{Mc}]"
#define ULABEL UFIRST "(?:" UREST "{0,61}" ULAST ")?"
#define UDOT "[.\\u3002\\uFF0E\\uFF61]"
#define IDN_HOST ULABEL "(?:" UDOT ULABEL ")*"
/* Characters whose place IDNA restricts by what is beside them, encoded labels, and mixed digits: left out as a
 * whole. */
#define IDN_NEVER                                                                                           \
    "[\\u00B7\\u0375\\u05F3\\u05F4\\u30FB\\u0640\\u07FA\\u302E\\u302F\\u3031-\\u3035\\u303B\\u200C\\u200D]" \
    "|(?:^|" UDOT ")[^.]{2}--|[\\u0660-\\u0669].*[\\u06F0-\\u06F9]|[\\u06F0-\\u06F9].*[\\u0660-\\u0669]"
#define IDN_EMAIL                                                                                                   \
    "(?:" UTEXT "+(?:\\." UTEXT "+)*|\"(?:[ !#-\\[\\]-~]|[^\\x00-\\x7F]|\\\\[ -~])*\")@(?:" IDN_HOST "|\\[(?:" IPV4 \
    "|IPv6:" IPV6 ")\\])"

/* RFC 3986; U is what RFC 3987 adds, or nothing. */
#define HEXPAIR "%[0-9A-Fa-f]{2}"
#define PCHAR(U) "(?:[A-Za-z0-9._~!$&'()*+,;=:@" U "-]|" HEXPAIR ")"
#define SEGMENT_NC(U) "(?:[A-Za-z0-9._~!$&'()*+,;=@" U "-]|" HEXPAIR ")+"
#define QUERY(U) "(?:[A-Za-z0-9._~!$&'()*+,;=:@/?" U "-]|" HEXPAIR ")*"
#define USER(U) "(?:(?:[A-Za-z0-9._~!$&'()*+,;=:" U "-]|" HEXPAIR ")*@)?"
#define NAME(U) "(?:[A-Za-z0-9._~!$&'()*+,;=" U "-]|" HEXPAIR ")*"
#define HOST(U) "(?:\\[(?:" IPV6 "|[vV][0-9A-Fa-f]+\\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\\]|" NAME(U) ")"
#define AUTHORITY(U) USER(U) HOST(U) "(?::[0-9]*)?"
#define ABEMPTY(U) "(?:/" PCHAR(U) "*)*"
#define ROOTLESS(U) PCHAR(U) "+(?:/" PCHAR(U) "*)*"
#define ABSOLUTE(U) "/(?:" ROOTLESS(U) ")?"
#define TAIL(U) "(?:\\?" QUERY(U) ")?(?:#" QUERY(U) ")?"
#define URI(U) "[A-Za-z][A-Za-z0-9+.-]*:(?://" AUTHORITY(U) ABEMPTY(U) "|" ABSOLUTE(U) "|" ROOTLESS(U) "|)" TAIL(U)
#define RELATIVE(U) "(?://" AUTHORITY(U) ABEMPTY(U) "|" ABSOLUTE(U) "|" SEGMENT_NC(U) "(?:/" PCHAR(U) "*)*|)" TAIL(U)
#define BEYOND "\\u00A0-\\uD7FF\\uF900-\\uFDCF\\uFDF0-\\uFFEF\\u{10000}-\\u{EFFFD}"

#define VARNAME "(?:[A-Za-z0-9_]|" HEXPAIR ")(?:\\.?(?:[A-Za-z0-9_]|" HEXPAIR "))*"
#define VARSPEC VARNAME "(?::[1-9][0-9]{0,3}|\\*)?"
#define TEMPLATE "(?:[!#$&(-;=?-\\[\\]_a-z~" BEYOND "]|" HEXPAIR "|\\{[+#./;?&=,!@|]?" VARSPEC "(?:," VARSPEC ")*\\})*"
#define POINTER "(?:/(?:[^~/]|~[01])*)*"

/* Regular expressions are not a regular language; this is the part of it with groups nested three deep at most. */
#define RX_CLASS "\\[\\^?(?:[^\\\\\\]\\[]|\\\\[dDwWsStrnfvbB0-9cxu\\\\/\\[\\](){}.*+?^$|-])*\\]"
#define RX_ATOM                                      \
    "[^\\\\()\\[\\]{}*+?|]|\\\\[dDwWsSbBtrnfv0\\\\/" \
    "\\[\\](){}.*+?^$|-]|\\\\x[0-9A-Fa-f]{2}|\\\\u[0-9A-Fa-f]{4}|\\\\[pP]\\{[A-Za-z_=]+\\}|" RX_CLASS
#define RX_TIMES "(?:(?:[*+?]|\\{[0-9]{1,3}\\}|\\{[0-9]{1,3},\\})[?]?)?"
#define RX_OPEN "\\((?:\\?:|\\?=|\\?!)?"
#define RX0 "(?:(?:" RX_ATOM ")" RX_TIMES "|\\|)*"
#define RX1 "(?:(?:" RX_ATOM "|" RX_OPEN RX0 "\\))" RX_TIMES "|\\|)*"
#define RX2 "(?:(?:" RX_ATOM "|" RX_OPEN RX1 "\\))" RX_TIMES "|\\|)*"
#define RX3 "(?:(?:" RX_ATOM "|" RX_OPEN RX2 "\\))" RX_TIMES "|\\|)*"

static const struct {
    const char *name, *pattern, * or, *never; /* or: what it may be instead; never: what is nowhere in it */
} formats[] = {
    {"date-time", DATE "[Tt]" TIME_ALL, NULL, NULL},
    {"date", DATE, NULL, NULL},
    {"time", TIME_ALL, NULL, NULL},
    {"duration", DURATION, NULL, NULL},
    {"email", EMAIL, NULL, NULL},
    {"idn-email", IDN_EMAIL, NULL, IDN_NEVER},
    {"hostname", HOSTNAME, NULL, NULL},
    {"idn-hostname", IDN_HOST, NULL, IDN_NEVER},
    {"ipv4", IPV4, NULL, NULL},
    {"ip-address", IPV4, NULL, NULL},
    {"ipv6", IPV6, NULL, NULL},
    {"uuid", "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", NULL, NULL},
    {"uri", URI(""), NULL, NULL},
    {"uri-reference", URI(""), RELATIVE(""), NULL},
    {"iri", URI(BEYOND), NULL, NULL},
    {"iri-reference", URI(BEYOND), RELATIVE(BEYOND), NULL},
    {"uri-template", TEMPLATE, NULL, NULL},
    {"json-pointer", POINTER, NULL, NULL},
    {"relative-json-pointer", "(?:0|[1-9][0-9]*)(?:#|" POINTER ")", NULL, NULL},
    {"regex", RX3, NULL, NULL},
};

bool wick_schema_format(wick_re_pool *p, const char *name, wick_re *out, wick_status *st, wick_err *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, name) != 0) continue;
        const char *const part[] = {formats[i].pattern, formats[i].or };
        *out = WICK_RE_NONE;
        *st = WICK_OK;
        for (int k = 0; k < 2 && part[k] && *st == WICK_OK; k++) {
            wick_re r = WICK_RE_NONE;
            *st = wick_pattern_compile(p, part[k], strlen(part[k]), WICK_PATTERN_ECMA, 0, "format", &r, err);
            *out = wick_re_or2(p, *out, r);
        }
        if (formats[i].never && *st == WICK_OK) {
            wick_re r = WICK_RE_NONE;
            *st = wick_pattern_compile(p, formats[i].never, strlen(formats[i].never), WICK_PATTERN_ECMA,
                                       WICK_PATTERN_SEARCH, "format", &r, err);
            *out = wick_re_and(p, (wick_re[]){*out, wick_re_any_text(p), wick_re_not(p, r)}, 3);
        }
        return true;
    }
    return false;
}
