/* cli/tag.c - see tag.h. */
#include "cli/tag.h"
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "chat/known.h"
#include "cli/session.h"
#include "cli/term.h"

static void take_float(const json_t *p, const char *key, bool *given, float *out)
{
    const json_t *v = json_object_get(p, key);
    if (*given || !json_is_number(v)) return;
    *out = (float)json_number_value(v);
    *given = true;
}

static bool take_int(const json_t *p, const char *key, int64_t lo, int64_t hi, int64_t *out)
{
    const json_t *v = json_object_get(p, key);
    if (!json_is_integer(v) || json_integer_value(v) < lo || json_integer_value(v) > hi) return false;
    *out = json_integer_value(v);
    return true;
}

/* "stop" is a text or a list; those of the command line stay. */
static wick_status take_stop(wick_tag *t, wick_args *a, wick_err *err)
{
    const json_t *v = json_object_get(t->settings.parameters, "stop");
    const size_t n = json_is_array(v) ? json_array_size(v) : json_is_string(v);
    if (n == 0) return WICK_OK;
    t->stop = wick_realloc_array(NULL, a->stop.n + n, sizeof *t->stop);
    if (!t->stop) return wick_err_oom(err, "stop strings", 0, 0);
    uint32_t w = 0;
    for (; w < a->stop.n; w++) t->stop[w] = a->stop.item[w];
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
        if (s && *s) t->stop[w++] = s;
    }
    a->stop.item = t->stop;
    a->stop.n = w;
    return WICK_OK;
}

wick_status wick_tag_open(wick_tag *t, wick_args *a, wick_err *err)
{
    wick_discover_opts o;
    wick_resolved r;
    int64_t n;
    if (wick_path_exists(a->operand[0])) return WICK_OK;
    wick_discover_opts_from(&o, a);
    WICK_TRY(wick_resolve(&r, a->operand[0], &o, err));
    if (r.why[0]) wick_notice("wick: %s: %s", a->operand[0], r.why);
    t->path = r.path;
    r.path = NULL;
    a->operand[0] = t->path;
    wick_status st = r.manifest ? wick_ollama_settings_read(&t->settings, r.manifest, err) : WICK_OK;
    wick_resolved_release(&r);
    if (st != WICK_OK) return st;
    if (t->settings.adapter)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, t->path,
                         "%s: this tag needs a LoRA adapter, which Wick does not apply", t->path);
    const json_t *p = t->settings.parameters;
    if (!a->system) a->system = t->settings.system;
    take_float(p, "temperature", &a->given.temperature, &a->sampling.temperature);
    take_float(p, "top_p", &a->given.top_p, &a->sampling.top_p);
    take_float(p, "min_p", &a->given.min_p, &a->sampling.min_p);
    take_float(p, "repeat_penalty", &a->given.repetition_penalty, &a->sampling.repetition_penalty);
    if (!a->given.top_k && take_int(p, "top_k", 0, INT32_MAX, &n)) {
        a->sampling.top_k = (uint32_t)n;
        a->given.top_k = true;
    }
    if (a->n_ctx == 0 && take_int(p, "num_ctx", 1, 1 << 24, &n)) a->n_ctx = (uint32_t)n;
    if (a->max_tokens == 0 && take_int(p, "num_predict", 1, INT32_MAX, &n)) a->max_tokens = (uint32_t)n;
    return take_stop(t, a, err);
}

wick_status wick_tag_template(const wick_tag *t, wick_chat **chat, wick_engine *e, wick_err *err)
{
    char names[200];
    const char *go = t->settings.go_template;
    if (!go || wick_chat_usable(*chat)) return WICK_OK;
    const char *name = wick_chat_known_of_go(go);
    if (!name)
        return WICK_FAIL(err, WICK_E_TEMPLATE, "template",
                         "%s: it has no template but Ollama's, in Go's syntax, of an unknown family: --chat-template "
                         "FILE, or one of %s",
                         t->path, wick_chat_known_names(names, sizeof names));
    wick_notice("wick: the template of this tag is in Go's syntax: \"%s\" is used in its place", name);
    wick_chat_close(*chat);
    *chat = NULL;
    return wick_chat_open(chat, e, name, err);
}

void wick_tag_release(wick_tag *t, wick_args *a)
{
    if (t->stop) a->stop.item = NULL; /* the copy's; the list of the command line is another's */
    wick_free((void *)t->stop);
    wick_ollama_settings_release(&t->settings);
    wick_free(t->path);
    memset(t, 0, sizeof *t);
}
