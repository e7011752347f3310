/* cli/sh_guard.c - `wick sh guard`: the command of a coding agent is judged before the agent runs it.
 *
 * Reads one JSON object from standard input and writes one to standard output, in the form that the request has:
 *   {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": ...}}
 *       -> {"hookSpecificOutput": {"permissionDecision": "allow" | "ask" | "deny", "permissionDecisionReason": ...}}
 *   {"hook_event_name": "beforeShellExecution", "command": ...}
 *       -> {"permission": ..., "user_message", "agent_message"}
 *   {"hook_event_name": "BeforeTool", "tool_input": {"command": ...}}
 *       -> {"decision": "allow" | "ask" | "deny", "reason"}
 *   {"command": ...} -> {"decision", "reason", "risk"}
 * What has no command (another tool) is answered by an empty object, which leaves the decision to the agent. A request
 * that cannot be read is denied: a guard fails closed.
 */
#include <string.h>
#include "base/json.h"
#include "cli/session.h"
#include "cli/sh.h"

typedef enum decision { ALLOW, ASK, DENY } decision;

static decision decide(const char *policy, wick_sh_level level)
{
    static const decision by[3][4] = {{ALLOW, ASK, DENY, DENY}, {ALLOW, ALLOW, ASK, DENY}, {ALLOW, ALLOW, ALLOW, DENY}};
    unsigned row = !policy ? 1 : strcmp(policy, "strict") == 0 ? 0 : strcmp(policy, "permissive") == 0 ? 2 : 1;
    return by[row][level];
}

static json_t *answer(const char *event, decision d, const char *risk, const char *reason)
{
    static const char *const names[] = {"allow", "ask", "deny"};
    json_t *o = json_object();
    if (event && strcmp(event, "PreToolUse") == 0) {
        json_t *h = json_object();
        json_object_set_new(h, "hookEventName", json_string("PreToolUse"));
        json_object_set_new(h, "permissionDecision", json_string(names[d]));
        json_object_set_new(h, "permissionDecisionReason", json_string(reason));
        json_object_set_new(o, "hookSpecificOutput", h);
    } else if (event && strcmp(event, "beforeShellExecution") == 0) {
        json_object_set_new(o, "permission", json_string(names[d]));
        json_object_set_new(o, "user_message", json_string(reason));
        json_object_set_new(o, "agent_message", json_string(reason));
    } else {
        json_object_set_new(o, "decision", json_string(names[d]));
        json_object_set_new(o, "reason", json_string(reason));
        if (risk) json_object_set_new(o, "risk", json_string(risk));
    }
    return o;
}

static const char *command_of(const json_t *request)
{
    static const char *const holders[] = {"tool_input", "toolInput", "input", "arguments", "params"};
    const char *cmd = json_string_value(json_object_get(request, "command"));
    for (size_t k = 0; !cmd && k < sizeof holders / sizeof *holders; k++) {
        const json_t *in = json_object_get(request, holders[k]);
        cmd = json_string_value(json_object_get(in, "command"));
        if (!cmd) cmd = json_string_value(json_object_get(in, "cmd"));
    }
    return cmd;
}

wick_status wick_sh_guard(const wick_args *a, wick_err *err)
{
    wick_arena arena;
    wick_sh_report r;
    char *text = NULL;
    size_t n = 0;
    json_t *request = NULL, *out = NULL;
    wick_err bad = {0};
    wick_arena_init(&arena, 0);
    wick_status st = wick_read_stdin(&text, &n, err);
    if (st != WICK_OK) goto done;
    if (wick_json_parse(text, n, "the request", &request, &bad) != WICK_OK || !json_is_object(request)) {
        out = answer("PreToolUse", DENY, NULL, "wick sh guard: the request is not a JSON object");
    } else {
        const char *event = json_string_value(json_object_get(request, "hook_event_name"));
        const char *cmd = command_of(request);
        if (!cmd) {
            out = json_object();
        } else {
            WICK_TRY_GOTO(wick_sh_check(&arena, cmd, strlen(cmd), &r, err));
            const char *risk = wick_sh_level_name(r.level);
            const char *why = r.n ? r.finding[0].reason : "only reads", *words = r.n ? r.finding[0].words : cmd;
            char *reason =
                wick_arena_printf(&arena, "%s: %s: %s", risk, why, wick_sh_visible(&arena, words, strlen(words)));
            out = answer(event, decide(a->policy, r.level), risk, reason ? reason : risk);
        }
    }
    st = wick_print_json(out, err);
done:
    json_decref(request);
    wick_free(text);
    wick_arena_release(&arena);
    return st;
}
