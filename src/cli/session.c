/* cli/session.c - see session.h. */
#include "cli/session.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "engine/constrain.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "base/sys.h"
#include "cli/hubs.h"
#include "cli/markdown.h"
#include "cli/term.h"

#define PACK_CACHE_MIN_BYTES (64ull << 20) /* less is packed in a few hundredths of a second */

void wick_discover_opts_from(wick_discover_opts *o, const wick_args *a)
{
    memset(o, 0, sizeof *o);
    o->extra = a->paths.item;
    o->n_extra = a->paths.n;
    o->format = a->format;
    o->home = a->home;
    o->hf_home = a->hf_home;
    o->hf_hub_cache = a->hf_hub_cache;
    o->hub_cache_old = a->hub_cache_old;
    o->xdg_cache = a->cache_home;
    static const char *installed[2] = {WICK_MODELS_DIR, NULL};
    installed[1] = a->installed_models;
    o->installed = installed;
    o->n_installed = a->installed_models ? 2 : 1;
    o->hub = wick_hub_from_args(a);
    o->ollama_models = a->ollama_models;
}

static wick_dtype kv_dtype(const char *name)
{
    static const struct {
        const char *name;
        wick_dtype t;
    } types[] = {{"f32", WICK_DTYPE_F32},
                 {"f16", WICK_DTYPE_F16},
                 {"bf16", WICK_DTYPE_BF16},
                 {"q8_0", WICK_DTYPE_Q8_0},
                 {"q4_0", WICK_DTYPE_Q4_0}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0) return types[i].t;
    return WICK_DTYPE_F16;
}

wick_status wick_engine_opts_from(wick_engine_opts *o, const wick_args *a, wick_err *err)
{
    wick_engine_opts_init(o);
    o->backend = a->backend;
    o->prefer = a->prefer_backend;
    o->device.device = a->device;
    o->device.n_threads = a->threads;
    o->device.isa = a->isa;
    o->device.memory_limit_bytes = a->memory_limit;
    o->device.cache_dir = a->cache_dir;
    o->device.cache_min_bytes = a->pack_cache ? 0 : PACK_CACHE_MIN_BYTES;
    o->device.cache_limit_bytes = a->pack_cache_limit;
    if (a->mlx_compile) wick_backend_set(&o->device, "mlx.compile", a->mlx_compile);
    if (a->mlx_lazy_eval) wick_backend_set(&o->device, "mlx.lazy_eval", a->mlx_lazy_eval);
    const char *p = a->precision ? a->precision : "fast";
    o->device.precision = strcmp(p, "exact") == 0  ? WICK_PRECISION_EXACT
                          : strcmp(p, "fine") == 0 ? WICK_PRECISION_FINE
                                                   : WICK_PRECISION_FAST;
    o->device.kv_dtype = a->kv_type                                    ? kv_dtype(a->kv_type)
                         : o->device.precision == WICK_PRECISION_EXACT ? WICK_DTYPE_F32
                                                                       : WICK_DTYPE_F16;
    o->n_ctx = a->n_ctx;
    o->prefill_chunk = a->prefill_chunk;
    o->max_seqs = a->max_seqs;
    o->prefix_cache = !a->no_prefix_cache;
    o->no_drafts = a->draft && strcmp(a->draft, "off") == 0;
    o->kv_dir = a->kv_dir;
    o->kv_disk_bytes = a->kv_disk_bytes;
    o->pre = a->pre;
    o->isq = a->isq;
    o->progress = wick_term_progress();
    (void)err;
    return WICK_OK;
}

wick_status wick_session_open(wick_engine **e, const wick_args *a, bool no_tokenizer, wick_err *err)
{
    wick_engine_opts o;
    wick_discover_opts d;
    char *path;
    WICK_TRY(wick_engine_opts_from(&o, a, err));
    o.no_tokenizer = no_tokenizer;
    wick_discover_opts_from(&d, a);
    WICK_TRY(wick_resolve_model(&path, a->operand[0], &d, err));
    double t0 = wick_time_ms();
    wick_status st = wick_engine_open(e, path, &o, err);
    if (st == WICK_OK)
        wick_verbose("loaded %s in %.0f ms on %s, context %u tokens", path, wick_time_ms() - t0,
                     wick_engine_device_label(*e), wick_engine_ctx(*e));
    wick_free(path);
    return st;
}

static wick_status parse_bias(const wick_str_list *l, wick_sampling *s, wick_err *err)
{
    wick_logit_bias *b = wick_alloc_zero(l->n, sizeof *b);
    if (!b) return wick_err_oom(err, "--logit-bias", 0, 0);
    for (uint32_t i = 0; i < l->n; i++) {
        char id[32];
        int64_t n;
        double x;
        size_t len = strcspn(l->item[i], "=:");
        bool ok = len < sizeof id && l->item[i][len];
        if (ok) {
            memcpy(id, l->item[i], len);
            id[len] = '\0';
            ok = wick_parse_i64(id, &n) && n >= 0 && n <= INT32_MAX && wick_parse_f64(l->item[i] + len + 1, &x);
        }
        if (!ok) {
            wick_free(b);
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "logit-bias",
                             "--logit-bias %s: must be ID=NUMBER, for example 15=-100", l->item[i]);
        }
        b[i].id = (int32_t)n;
        b[i].bias = (float)x;
    }
    s->bias = b;
    s->n_bias = l->n;
    return WICK_OK;
}

wick_status wick_sampling_from(wick_sampling *s, const wick_args *a, const wick_engine *e, wick_err *err)
{
    *s = a->sampling;
    s->has_seed = a->given.seed;
    if (a->given.dry_breakers) {
        s->dry_breakers = a->dry_breakers.item;
        s->n_dry_breakers = a->dry_breakers.n == 1 && a->dry_breakers.item[0][0] == '\0' ? 0 : a->dry_breakers.n;
    }
    WICK_TRY(wick_sampler_order_parse(a->sampler_order, &s->order, err));
    if (a->logit_bias.n) WICK_TRY(parse_bias(&a->logit_bias, s, err));
    wick_status st = wick_sampling_resolve(s, &a->given, e, err);
    if (st != WICK_OK) {
        wick_free((void *)(uintptr_t)s->bias);
        s->bias = NULL;
    }
    return st;
}

void wick_reply_init(wick_reply *r)
{
    memset(r, 0, sizeof *r);
    wick_buf_init(&r->text, 0);
    r->tokens = json_array();
}

void wick_reply_release(wick_reply *r)
{
    wick_buf_release(&r->text);
    wick_buf_release(&r->reasoning);
    json_decref(r->tokens);
    json_decref(r->logprobs);
    json_decref(r->calls);
}

/* {"id": 5, "token": " a", "logprob": -0.1, "top": [...]} as an element of r->logprobs */
static void add_logprob(const wick_engine *e, const wick_event *ev, wick_reply *r)
{
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    json_t *top = json_array(), *o = json_object();
    for (uint32_t i = 0; i <= ev->n_top; i++) {
        int32_t id = i == 0 ? ev->token : ev->top[i - 1].id;
        float lp = i == 0 ? ev->logprob : ev->top[i - 1].logprob;
        json_t *x = i == 0 ? o : json_object();
        wick_buf b = WICK_BUF_INIT;
        json_object_set_new(x, "id", json_integer(id));
        if (t) wick_tokenizer_bytes(t, id, &b);
        json_object_set_new(x, "token", wick_json_text(b.data, b.n));
        json_object_set_new(x, "logprob", wick_json_float(lp));
        wick_buf_release(&b);
        if (i) json_array_append_new(top, x);
    }
    json_object_set_new(o, "top", top);
    json_array_append_new(r->logprobs, o);
}

static void add_text(wick_reply *r, const char *text, size_t n, bool stream)
{
    if (stream) wick_markdown_text(text, n);
    wick_buf_add(&r->text, text, n);
}

/* The event through the reader of answers. */
static wick_status read_event(wick_answer *answer, const wick_event *ev, bool stream, wick_reply *r, wick_err *err)
{
    const wick_delta *d;
    WICK_TRY(wick_answer_event(answer, ev, err));
    while ((d = wick_answer_next(answer)) != NULL) {
        if (d->kind == WICK_DELTA_TEXT) {
            if (stream && r->reasoning.n > 0 && r->text.n == 0) wick_term_thought_end();
            add_text(r, d->text, d->n, stream);
        } else if (d->kind == WICK_DELTA_REASONING) {
            if (stream) wick_term_thought(d->text, d->n);
            wick_buf_add(&r->reasoning, d->text, d->n);
        }
    }
    if (ev->kind == WICK_EVENT_DONE && wick_answer_how(answer) == WICK_END_CALLS)
        r->calls = wick_answer_calls_json(answer);
    if (ev->kind == WICK_EVENT_DONE && stream && r->reasoning.n > 0 && r->text.n == 0) wick_term_thought_end();
    return r->reasoning.failed ? wick_err_oom(err, "answer", 0, 0) : WICK_OK;
}

static wick_status pump_events(wick_engine *e, wick_request *q, wick_answer *answer, bool stream, wick_reply *r,
                               wick_err *err)
{
    for (;;) {
        const wick_event *ev = wick_request_next(q, 100);
        if (wick_interrupted()) wick_request_cancel(q);
        if (!ev) continue;
        if (ev->kind == WICK_EVENT_TOKEN || ev->kind == WICK_EVENT_DONE) {
            if (answer)
                WICK_TRY(read_event(answer, ev, stream, r, err));
            else
                add_text(r, ev->text, ev->n_text, stream);
        }
        if (ev->kind == WICK_EVENT_TOKEN && !ev->is_prompt) {
            json_array_append_new(r->tokens, json_integer(ev->token));
            if (r->logprobs) add_logprob(e, ev, r);
        }
        if (ev->kind == WICK_EVENT_DONE) {
            r->finish = ev->finish;
            r->usage = ev->usage;
            if (ev->stop_string) snprintf(r->stop_string, sizeof r->stop_string, "%s", ev->stop_string);
            if (ev->finish == WICK_FINISH_ERROR) {
                if (err) *err = ev->error;
                return ev->error.kind ? ev->error.kind : WICK_E_INTERNAL;
            }
            return r->text.failed ? wick_err_oom(err, "answer", 0, 0) : WICK_OK;
        }
    }
}

/* "yes,no" as a JSON list. */
static wick_status choices_text(const char *s, char **text, size_t *n, wick_err *err)
{
    json_t *list = json_array();
    while (s && *s) {
        size_t len = strcspn(s, ",");
        json_array_append_new(list, wick_json_text(s, len));
        s += len + (s[len] == ',');
    }
    char *dumped = json_dumps(list, 0);
    json_decref(list);
    *text = dumped ? wick_strdup(dumped) : NULL;
    *n = *text ? strlen(*text) : 0;
    wick_free(dumped);
    return *text ? WICK_OK : wick_err_oom(err, "the choices", 0, 0);
}

/* The form that the options ask for; NULL where they ask for none. */
static wick_status form_from(wick_engine_grammar **form, wick_engine *e, const wick_args *a,
                             const wick_answer_opts *how, wick_err *err)
{
    const struct {
        const char *given;
        wick_grammar_kind kind;
    } from[] = {{a->schema, WICK_GRAMMAR_JSON_SCHEMA},
                {a->regex, WICK_GRAMMAR_REGEX},
                {a->gbnf, WICK_GRAMMAR_GBNF},
                {a->lark, WICK_GRAMMAR_LARK},
                {a->choices, WICK_GRAMMAR_CHOICES}};
    int which = -1;
    char *text = NULL;
    size_t n = 0;
    for (int i = 0; i < 5; i++) {
        if (from[i].given && which >= 0)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "--schema",
                             "give one of --schema, --regex, --grammar, --lark and --choices, not several");
        if (from[i].given) which = i;
    }
    if (which < 0) return WICK_OK;
    if (from[which].kind == WICK_GRAMMAR_CHOICES) {
        WICK_TRY(choices_text(a->choices, &text, &n, err));
    } else if (from[which].kind == WICK_GRAMMAR_REGEX) {
        text = wick_strdup(a->regex);
        n = strlen(a->regex);
        if (!text) return wick_err_oom(err, "the pattern", 0, 0);
    } else {
        WICK_TRY(wick_file_read(from[which].given, 4u << 20, &text, &n, err));
    }
    const char *after = how && how->inside_reasoning && how->format.think ? wick_think_close(how->format.think) : NULL;
    wick_status st = wick_engine_grammar_new(form, e, from[which].kind, text, n, after, err);
    wick_free(text);
    return st;
}

wick_status wick_session_generate(wick_engine *e, const wick_args *a, const int32_t *ids, size_t n,
                                  const wick_answer_opts *how, bool stream, wick_reply *r, wick_err *err)
{
    wick_answer *answer = NULL;
    wick_request_opts o;
    wick_request *q = NULL;
    wick_request_opts_init(&o);
    if (n > UINT32_MAX) return WICK_FAIL(err, WICK_E_LIMIT, "prompt", "the prompt has too many tokens");
    WICK_TRY(wick_sampling_from(&o.sampling, a, e, err));
    o.prompt = ids;
    o.n_prompt = (uint32_t)n;
    o.max_tokens = a->max_tokens;
    o.stop = a->stop.item;
    o.n_stop = a->stop.n;
    o.ignore_eos = a->ignore_eos;
    o.show_special = a->show_special;
    if (a->logprobs >= 0) {
        o.n_top_logprobs = (uint32_t)a->logprobs;
        r->logprobs = json_array();
    }
    wick_engine_grammar *form = NULL;
    wick_status st = how ? wick_answer_new(&answer, how, err) : WICK_OK;
    if (st == WICK_OK) st = form_from(&form, e, a, how, err);
    if (form) o.constraint = wick_engine_grammar_constraint(form);
    if (how && wick_chat_format_needs_special(&how->format, wick_engine_tokenizer(e), how->tools != NULL))
        o.show_special = true;
    if (st == WICK_OK) st = wick_request_new(&q, e, &o, err);
    if (st == WICK_OK) st = wick_request_submit(q, err);
    if (st == WICK_OK) st = pump_events(e, q, answer, stream, r, err);
    wick_request_free(q);
    wick_engine_grammar_free(form);
    wick_answer_free(answer);
    wick_free((void *)(uintptr_t)o.sampling.bias);
    return st;
}

const char *wick_finish_name(wick_finish f)
{
    switch (f) {
    case WICK_FINISH_EOS:
    case WICK_FINISH_STOP: return "stop";
    case WICK_FINISH_LENGTH: return "length";
    case WICK_FINISH_CANCELLED: return "cancelled";
    case WICK_FINISH_ERROR: return "error";
    case WICK_FINISH_NONE: break;
    }
    return "none";
}

static double rate(double n, double ms)
{
    return ms > 0 && n > 0 ? n * 1000 / ms : 0;
}

void wick_reply_figures(const wick_engine *e, const wick_usage *u, char *dst, size_t cap)
{
    uint32_t fresh = u->n_prompt - u->n_cached;
    snprintf(dst, cap, "backend=%s model=%s prompt %u tok %.1f tok/s, decode %u tok %.1f tok/s, first token %.0f ms",
             wick_engine_backend_name(e), wick_engine_model(e)->name, u->n_prompt, rate(fresh, u->prefill_ms), u->n_gen,
             rate(u->n_gen > 1 ? u->n_gen - 1 : 0, u->decode_ms), u->first_token_ms);
}

json_t *wick_reply_json(const wick_engine *e, const wick_reply *r)
{
    const wick_usage *u = &r->usage;
    json_t *o = json_object(), *usage = json_object(), *timings = json_object();
    json_object_set_new(o, "model", wick_json_text(wick_engine_model(e)->name, strlen(wick_engine_model(e)->name)));
    json_object_set_new(o, "backend", json_string(wick_engine_backend_name(e)));
    json_object_set_new(o, "text", wick_json_text(r->text.data, r->text.n));
    if (r->reasoning.n > 0) json_object_set_new(o, "reasoning", wick_json_text(r->reasoning.data, r->reasoning.n));
    json_object_set(o, "tokens", r->tokens);
    if (r->logprobs) json_object_set(o, "logprobs", r->logprobs);
    json_object_set_new(o, "finish_reason", json_string(wick_finish_name(r->finish)));
    if (r->finish == WICK_FINISH_STOP) json_object_set_new(o, "stop", json_string(r->stop_string));
    json_object_set_new(usage, "prompt_tokens", json_integer(u->n_prompt));
    json_object_set_new(usage, "cached_tokens", json_integer(u->n_cached));
    json_object_set_new(usage, "completion_tokens", json_integer(u->n_gen));
    json_object_set_new(o, "usage", usage);
    json_object_set_new(timings, "prompt_tok_s", json_real(rate(u->n_prompt - u->n_cached, u->prefill_ms)));
    json_object_set_new(timings, "decode_tok_s", json_real(rate(u->n_gen > 1 ? u->n_gen - 1 : 0, u->decode_ms)));
    json_object_set_new(timings, "first_token_ms", json_real(u->first_token_ms));
    json_object_set_new(o, "timings", timings);
    return o;
}

wick_status wick_session_encode(wick_engine *e, const char *text, size_t n, unsigned flags, int32_t **ids,
                                size_t *n_ids, wick_err *err)
{
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    if (!t)
        return WICK_FAIL(
            err, WICK_E_MODEL_NOT_FOUND, "tokenizer",
            "%s has no tokenizer: put tokenizer.json or tokenizer.model beside it, or use wick logits --tokens",
            wick_engine_model(e)->name);
    return wick_tokenizer_encode(t, text, n, flags, ids, n_ids, err);
}

wick_status wick_parse_ids(const char *s, const char *option, int32_t **ids, size_t *n, wick_err *err)
{
    int32_t *list = wick_realloc_array(NULL, strlen(s) / 2 + 2, sizeof *list);
    size_t count = 0;
    if (!list) return wick_err_oom(err, option, 0, 0);
    for (const char *p = s; *p;) {
        if (strchr(" ,[]\t\r\n", *p)) {
            p++;
            continue;
        }
        char *end;
        long v = strtol(p, &end, 10);
        if (end == p || v < 0 || v > INT32_MAX) {
            wick_free(list);
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, option, "--%s: \"%.20s\" is no token id: write ids as 1,17,203",
                             option, p);
        }
        list[count++] = (int32_t)v;
        p = end;
    }
    *ids = list;
    *n = count;
    return WICK_OK;
}

wick_status wick_read_stdin(char **text, size_t *n, wick_err *err)
{
    wick_buf b;
    char chunk[65536];
    wick_buf_init(&b, 64u << 20);
    wick_stdin_reading(true);
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, stdin)) > 0;) wick_buf_add(&b, chunk, got);
    wick_stdin_reading(false);
    if (wick_interrupted()) {
        wick_buf_release(&b);
        return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
    }
    if (b.failed) {
        wick_buf_release(&b);
        return WICK_FAIL(err, WICK_E_LIMIT, "standard input", "standard input: more than 64 MiB");
    }
    *text = wick_buf_take(&b, n);
    return *text ? WICK_OK : wick_err_oom(err, "standard input", 0, 0);
}

static bool harms_terminal(uint32_t c)
{
    return (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/* jansson escapes the control bytes below 0x20 only; the others stand in strings too, so \uXXXX is the same text. */
static int write_chunk(const char *p, size_t n, void *ctx)
{
    size_t from = 0;
    uint32_t c;
    for (size_t i = 0, len; i < n; i += len) {
        len = wick_utf8_next(p + i, n - i, &c);
        if (!harms_terminal(c)) continue;
        if (fwrite(p + from, 1, i - from, ctx) != i - from || fprintf(ctx, "\\u%04x", (unsigned)c) < 0) return -1;
        from = i + len;
    }
    return fwrite(p + from, 1, n - from, ctx) == n - from ? 0 : -1;
}

wick_status wick_print_json(json_t *v, wick_err *err)
{
    int r = v ? json_dump_callback(v, write_chunk, stdout, JSON_REAL_PRECISION(9)) : -2;
    json_decref(v);
    if (r == -2) return wick_err_oom(err, "JSON output", 0, 0);
    if (r != 0) return WICK_FAIL(err, WICK_E_IO, "standard output", "standard output: write failed");
    fputc('\n', stdout);
    return WICK_OK;
}

json_t *wick_json_float(float x)
{
    return isfinite(x) ? json_real((double)x) : json_null();
}
