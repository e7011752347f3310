/* mcp/call.c - what a handler sees of one request, and what it says.
 *
 * Questions to the client work the same in both kinds of revisions. With a session the question is sent on the stream
 * of the request, and the handler waits for the response. Without one it is noted, the request ends with
 * "input_required", and the client comes again with the answers; what must be remembered in between travels in the
 * client's hands, signed with the server's secret and bound to the name of the tool, so that it comes back unchanged or
 * is refused.
 */
#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/sys.h"
#include "mcp/server.h"

enum { ANSWER_MS = 5 * 60 * 1000, PROGRESS_MS = 50 };

static const char *as_text(char **slot, const json_t *v)
{
    if (!*slot) *slot = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
    return *slot ? *slot : "{}";
}

const char *wick_mcp_call_name(const wick_mcp_call *c)
{
    return c->name;
}

const char *wick_mcp_call_arguments(wick_mcp_call *c)
{
    return as_text(&c->texts[0], c->arguments);
}

const char *wick_mcp_call_params(wick_mcp_call *c)
{
    return as_text(&c->texts[1], c->params);
}

const char *wick_mcp_call_capabilities(wick_mcp_call *c)
{
    return as_text(&c->texts[2], c->caps);
}

bool wick_mcp_call_can(const wick_mcp_call *c, const char *capability)
{
    return json_is_object(json_object_get(c->caps, capability));
}

bool wick_mcp_call_cancelled(wick_mcp_call *c)
{
    if (atomic_load(&c->server->closing) || (c->out->gone && c->out->gone(c->out->ctx)))
        atomic_store(&c->cancelled, true);
    return atomic_load(&c->cancelled);
}

void *wick_mcp_call_peer(const wick_mcp_call *c)
{
    return c->out->peer;
}

bool wick_mcp_call_send(wick_mcp_call *c, json_t *message)
{
    wick_lock_take(&c->lock);
    const bool sent = message && c->out->send(c->out->ctx, message);
    wick_lock_drop(&c->lock);
    json_decref(message);
    return sent;
}

void wick_mcp_call_progress(wick_mcp_call *c, double progress, double total, const char *message)
{
    const double now = wick_time_ms();
    if (!c->progress_token) return;
    /* A client drowns in progress of every token; the first and the last always go. */
    if (c->last_progress > 0 && now - c->last_progress < PROGRESS_MS && progress < total) return;
    c->last_progress = now;
    json_t *p = json_pack("{s:O, s:f}", "progressToken", c->progress_token, "progress", progress);
    if (total > 0) json_object_set_new(p, "total", json_real(total));
    if (message) json_object_set_new(p, "message", json_string(message));
    (void)wick_mcp_call_send(c, wick_rpc_notification("notifications/progress", p));
}

void wick_mcp_call_log(wick_mcp_call *c, const char *level, const char *data)
{
    json_t *value = NULL;
    const int l = wick_mcp_log_level(level);
    if (l < c->log_level || l < 0 || wick_mcp_parse(data, "log data", &value, NULL) != WICK_OK) return;
    json_t *p = json_pack("{s:s, s:s, s:o}", "level", level, "logger", c->server->name, "data", value);
    (void)wick_mcp_call_send(c, wick_rpc_notification("notifications/message", p));
}

/* --- results ------------------------------------------------------------------------------------------------------ */
static wick_status append(wick_mcp_call *c, json_t *block, wick_err *err)
{
    if (!c->blocks) c->blocks = json_array();
    return json_array_append_new(c->blocks, block) == 0 ? WICK_OK : wick_err_oom(err, "MCP result", 0, 0);
}

wick_status wick_mcp_call_text(wick_mcp_call *c, const char *text, wick_err *err)
{
    json_t *block = json_pack("{s:s, s:s}", "type", "text", "text", text);
    if (!block) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "text", "MCP result: the text is no valid UTF-8");
    return append(c, block, err);
}

wick_status wick_mcp_call_content(wick_mcp_call *c, const char *json, wick_err *err)
{
    json_t *block;
    WICK_TRY(wick_mcp_parse(json, "MCP content", &block, err));
    return append(c, block, err);
}

wick_status wick_mcp_call_result(wick_mcp_call *c, const char *json, wick_err *err)
{
    json_t *v;
    WICK_TRY(wick_mcp_parse(json, "MCP result", &v, err));
    if (!json_is_object(v)) {
        json_decref(v);
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "result", "MCP result: must be a JSON object");
    }
    json_decref(c->result);
    c->result = v;
    return WICK_OK;
}

void wick_mcp_call_fail(wick_mcp_call *c, int code, const char *message, const char *data)
{
    json_t *value = NULL;
    if (data && wick_mcp_parse(data, "error data", &value, NULL) != WICK_OK) value = NULL; /* goes without */
    json_decref(c->error);
    c->error = wick_rpc_error(c->id, code, message, value);
}

/* --- questions ---------------------------------------------------------------------------------------------------- */
/* The capability that a method needs. */
static const char *capability_of(const char *method)
{
    if (strncmp(method, "elicitation/", 12) == 0) return "elicitation";
    if (strncmp(method, "sampling/", 9) == 0) return "sampling";
    if (strncmp(method, "roots/", 6) == 0) return "roots";
    return NULL;
}

static wick_status refuse(wick_mcp_call *c, const char *capability, wick_err *err)
{
    c->denied = true;
    json_t *data = json_pack("{s:{s:{}}}", "requiredCapabilities", capability);
    json_decref(c->error);
    c->error = NULL;
    if (!c->session)
        c->error = wick_rpc_error(c->id, WICK_RPC_NO_CAPABILITY,
                                  "the client has not declared a capability that this needs", data);
    else
        json_decref(data);
    return WICK_FAIL(err, WICK_E_REFUSED, capability, "the client does not support %s", capability);
}

/* Keeps the text of an answer for as long as the call. */
static wick_status keep_answer(wick_mcp_call *c, const json_t *v, const char **answer, wick_err *err)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY);
    if (!c->answers) c->answers = json_array();
    json_t *kept = text ? json_string(text) : NULL;
    free(text);
    if (!kept || json_array_append_new(c->answers, kept) != 0) return wick_err_oom(err, "MCP answer", 0, 0);
    *answer = json_string_value(kept);
    return WICK_OK;
}

/* Is this the result of such a request, as far as it can be told? */
static bool answers_method(const char *method, const json_t *v)
{
    if (!json_is_object(v)) return false;
    if (strcmp(method, "elicitation/create") == 0) return json_is_string(json_object_get(v, "action"));
    if (strcmp(method, "sampling/createMessage") == 0) return json_object_get(v, "content") != NULL;
    if (strcmp(method, "roots/list") == 0) return json_is_array(json_object_get(v, "roots"));
    return true;
}

static wick_status ask_later(wick_mcp_call *c, const char *key, const char *method, json_t *params, const char **answer,
                             wick_err *err)
{
    const json_t *v = json_object_get(c->responses, key);
    if (v && answers_method(method, v)) {
        json_decref(params);
        return keep_answer(c, v, answer, err);
    }
    if (!c->questions) c->questions = json_object();
    json_t *q = json_pack("{s:s, s:o}", "method", method, "params", params);
    if (json_object_set_new(c->questions, key, q) != 0) return wick_err_oom(err, "MCP question", 0, 0);
    return WICK_OK;
}

/* Waits under the session's lock until the question is answered. */
static wick_status wait_answer(wick_mcp_call *c, const wick_mcp_question *q, wick_err *err)
{
    wick_mcp_session *n = c->session;
    const double end = wick_time_ms() + ANSWER_MS;
    while (!q->response) {
        if (n->dead || n->deaf || wick_mcp_call_cancelled(c))
            return WICK_FAIL(err, WICK_E_CANCELLED, "client", "the client went away before it answered");
        if (wick_time_ms() > end)
            return WICK_FAIL(err, WICK_E_LIMIT, "client", "the client did not answer in 5 minutes");
        (void)wick_cond_wait_ms(&n->cond, &n->lock, 250);
    }
    return WICK_OK;
}

static wick_status ask_now(wick_mcp_call *c, const char *method, json_t *params, const char **answer, wick_err *err)
{
    wick_mcp_session *n = c->session;
    wick_mcp_question q = {0};
    wick_status st = WICK_OK;
    wick_lock_take(&n->lock);
    q.id = n->next_id++;
    q.next = n->questions;
    n->questions = &q;
    wick_lock_drop(&n->lock);
    if (!wick_mcp_call_send(c, wick_rpc_request(q.id, method, params)))
        st = WICK_FAIL(err, WICK_E_CANCELLED, "client", "the client is gone");
    wick_lock_take(&n->lock);
    if (st == WICK_OK) st = wait_answer(c, &q, err);
    wick_mcp_question **at = &n->questions;
    while (*at != &q) at = &(*at)->next;
    *at = q.next;
    wick_lock_drop(&n->lock);
    const json_t *error = json_object_get(q.response, "error"), *result = json_object_get(q.response, "result");
    const char *message = json_string_value(json_object_get(error, "message"));
    if (st == WICK_OK && error)
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "client", "the client answered: %.200s",
                       message ? message : "an error");
    if (st == WICK_OK && !answers_method(method, result))
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "client", "the client's answer to %s is none", method);
    if (st == WICK_OK) st = keep_answer(c, result, answer, err);
    json_decref(q.response);
    return st;
}

wick_status wick_mcp_call_ask(wick_mcp_call *c, const char *key, const char *method, const char *params,
                              const char **answer, wick_err *err)
{
    json_t *p = NULL;
    const char *capability = capability_of(method);
    *answer = NULL;
    if (!capability) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, method, "%s is no question to a client", method);
    if (!wick_mcp_call_can(c, capability)) return refuse(c, capability, err);
    WICK_TRY(wick_mcp_parse(params ? params : "{}", "MCP question", &p, err));
    return c->session ? ask_now(c, method, p, answer, err) : ask_later(c, key, method, p, answer, err);
}

/* --- state between rounds ----------------------------------------------------------------------------------------- */
/* The signature of a state: HMAC-SHA256 over the call's name and the text. */
static void sign(const wick_mcp_call *c, const char *text, size_t n, uint8_t out[SHA256_DIGEST_SIZE])
{
    struct hmac_sha256_ctx h;
    hmac_sha256_set_key(&h, sizeof c->server->secret, c->server->secret);
    hmac_sha256_update(&h, strlen(c->name) + 1, (const uint8_t *)c->name);
    hmac_sha256_update(&h, n, (const uint8_t *)text);
    hmac_sha256_digest(&h, SHA256_DIGEST_SIZE, out);
}

enum { SIGNATURE_TEXT = BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) };

wick_status wick_mcp_call_keep(wick_mcp_call *c, const char *state, wick_err *err)
{
    const size_t n = strlen(state);
    uint8_t mac[SHA256_DIGEST_SIZE];
    char *out = wick_alloc(SIGNATURE_TEXT + n + 2);
    if (!out) return wick_err_oom(err, "MCP state", n, 0);
    sign(c, state, n, mac);
    base64_encode_raw(out, sizeof mac, mac);
    out[SIGNATURE_TEXT] = '.';
    memcpy(out + SIGNATURE_TEXT + 1, state, n + 1);
    wick_free(c->state_out);
    c->state_out = out;
    return WICK_OK;
}

const char *wick_mcp_call_state(const wick_mcp_call *c)
{
    return c->state_in;
}

bool wick_mcp_call_open_state(wick_mcp_call *c)
{
    const json_t *v = json_object_get(c->params, "requestState");
    const char *text = json_string_value(v);
    uint8_t mac[SHA256_DIGEST_SIZE];
    char want[SIGNATURE_TEXT];
    if (!v) return true;
    if (!text || strlen(text) <= SIGNATURE_TEXT || text[SIGNATURE_TEXT] != '.') return false;
    const char *state = text + SIGNATURE_TEXT + 1;
    sign(c, state, strlen(state), mac);
    base64_encode_raw(want, sizeof mac, mac);
    unsigned differ = 0; /* all of it is compared, so that time tells nothing */
    for (size_t i = 0; i < SIGNATURE_TEXT; i++) differ |= (unsigned)(want[i] ^ text[i]);
    if (differ) return false;
    c->state_in = wick_strdup(state);
    return c->state_in != NULL;
}

json_t *wick_mcp_call_input_required(wick_mcp_call *c)
{
    json_t *r = json_object();
    json_object_set_new(r, "resultType", json_string("input_required"));
    if (c->questions) json_object_set(r, "inputRequests", c->questions);
    if (c->state_out) json_object_set_new(r, "requestState", json_string(c->state_out));
    return r;
}
