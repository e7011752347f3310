/* chat/message.c - see message.h. */
#include "chat/message.h"
#include "base/json.h"

static wick_status want_array(const json_t *v, const char *name, json_t **out, wick_err *err)
{
    if (!json_is_array(v))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "%s: expected an array, got %s", name,
                         v ? wick_json_type_name(v) : "nothing");
    *out = json_deep_copy(v);
    return *out ? WICK_OK : wick_err_oom(err, name, 0, 0);
}

wick_status wick_messages_normalise(const json_t *messages, json_t **out, wick_err *err)
{
    return want_array(messages, "messages", out, err);
}

wick_status wick_tools_normalise(const json_t *tools, json_t **out, wick_err *err)
{
    *out = NULL;
    if (!tools || json_is_null(tools) || (json_is_array(tools) && json_array_size(tools) == 0)) return WICK_OK;
    return want_array(tools, "tools", out, err);
}
