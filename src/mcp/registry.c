/* mcp/registry.c - the tools, resources, templates and prompts that a server offers.
 *
 * 1. Lists keep the order in which entries came: the same list twice is the same text, so clients can cache it.
 * 2. A definition never changes once it is in; replacing an entry gives it a new one. Readers hold references.
 * 3. A cursor is the index of the next entry: an entry that is removed between two pages may hide another one. Clients
 *    are told that the list changed and read it again.
 */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "mcp/server.h"

static const struct {
    const char *what, *key, *list;
    unsigned change;
} kinds[WICK_MCP_N_KIND] = {{"tool", "name", "tools", WICK_MCP_TOOLS_CHANGED},
                            {"resource", "uri", "resources", WICK_MCP_RESOURCES_CHANGED},
                            {"resource template", "uriTemplate", "resourceTemplates", WICK_MCP_RESOURCES_CHANGED},
                            {"prompt", "name", "prompts", WICK_MCP_PROMPTS_CHANGED}};

wick_status wick_mcp_server_new(wick_mcp_server **out, const wick_mcp_server_options *o, wick_err *err)
{
    if (!o || !o->name || !o->version)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "name", "an MCP server needs a name and a version");
    wick_mcp_server *s = wick_alloc_zero(1, sizeof *s);
    if (!s) return wick_err_oom(err, "MCP server", sizeof *s, 0);
    wick_lock_init(&s->lock);
    s->name = wick_strdup(o->name);
    s->version = wick_strdup(o->version);
    s->instructions = o->instructions ? wick_strdup(o->instructions) : NULL;
    s->page_size = o->page_size ? o->page_size : 100;
    s->max_sessions = o->max_sessions ? o->max_sessions : 256;
    if (wick_random_secret(s->secret, sizeof s->secret, err) != WICK_OK) {
        wick_mcp_server_free(s);
        return err ? err->kind : WICK_E_IO;
    }
    if (!s->name || !s->version || (o->instructions && !s->instructions)) {
        wick_mcp_server_free(s);
        return wick_err_oom(err, "MCP server", 0, 0);
    }
    *out = s;
    return WICK_OK;
}

void wick_mcp_server_free(wick_mcp_server *s)
{
    if (!s) return;
    atomic_store(&s->closing, true);
    while (s->sessions) {
        wick_mcp_session *n = s->sessions;
        atomic_fetch_add(&n->n_users, 1);
        wick_mcp_session_end(n);
        wick_mcp_session_give(n);
    }
    for (int k = 0; k < WICK_MCP_N_KIND; k++) {
        for (size_t i = 0; i < s->list[k].n; i++) json_decref(s->list[k].entry[i].definition);
        wick_free(s->list[k].entry);
    }
    wick_free(s->name);
    wick_free(s->version);
    wick_free(s->instructions);
    wick_lock_release(&s->lock);
    wick_wipe(s->secret, sizeof s->secret);
    wick_free(s);
}

/* Index of the entry with that key, or list->n. Under the lock. */
static size_t find(const wick_mcp_list *l, const char *key)
{
    size_t i = 0;
    while (i < l->n && strcmp(l->entry[i].key, key) != 0) i++;
    return i;
}

static wick_status put(wick_mcp_list *l, const wick_mcp_entry *e, wick_err *err)
{
    const size_t i = find(l, e->key);
    if (i < l->n) {
        json_decref(l->entry[i].definition);
        l->entry[i] = *e;
        return WICK_OK;
    }
    if (l->n == l->cap) {
        const size_t cap = l->cap ? l->cap * 2 : 16;
        wick_mcp_entry *more = wick_realloc_array(l->entry, cap, sizeof *more);
        if (!more) return wick_err_oom(err, "MCP entries", cap * sizeof *more, 0);
        l->entry = more;
        l->cap = cap;
    }
    l->entry[l->n++] = *e;
    return WICK_OK;
}

static wick_status check_definition(wick_mcp_kind kind, const json_t *d, const char **key, wick_err *err)
{
    const char *what = kinds[kind].what;
    const json_t *k = json_object_get(d, kinds[kind].key), *schema = json_object_get(d, "inputSchema");
    *key = json_string_value(k);
    if (!json_is_object(d))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what, "MCP %s: the definition is no object", what);
    if (!*key || !**key || strlen(*key) != json_string_length(k))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what, "MCP %s: \"%s\" is missing or no text", what,
                         kinds[kind].key);
    if (kind == WICK_MCP_TOOL && (!json_is_object(schema) || !json_is_string(json_object_get(schema, "type"))))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what,
                         "MCP tool %s: \"inputSchema\" must be an object of type object", *key);
    if (kind != WICK_MCP_TOOL && kind != WICK_MCP_PROMPT && !json_is_string(json_object_get(d, "name")))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what, "MCP %s %s: \"name\" is missing", what, *key);
    return WICK_OK;
}

static wick_status add(wick_mcp_server *s, wick_mcp_kind kind, const char *definition, wick_mcp_handler fn, void *user,
                       wick_err *err)
{
    wick_mcp_entry e = {.fn = fn, .user = user};
    WICK_TRY(wick_mcp_parse(definition, kinds[kind].what, &e.definition, err));
    wick_status st = check_definition(kind, e.definition, &e.key, err);
    if (st == WICK_OK) {
        wick_lock_take(&s->lock);
        st = put(&s->list[kind], &e, err);
        wick_lock_drop(&s->lock);
    }
    if (st != WICK_OK) {
        json_decref(e.definition);
        return st;
    }
    wick_mcp_announce(s, kinds[kind].change, NULL);
    return WICK_OK;
}

wick_status wick_mcp_server_add_tool(wick_mcp_server *s, const char *definition, wick_mcp_handler fn, void *user,
                                     wick_err *err)
{
    return add(s, WICK_MCP_TOOL, definition, fn, user, err);
}

wick_status wick_mcp_server_add_resource(wick_mcp_server *s, const char *definition, wick_mcp_handler fn, void *user,
                                         wick_err *err)
{
    return add(s, WICK_MCP_RESOURCE, definition, fn, user, err);
}

wick_status wick_mcp_server_add_template(wick_mcp_server *s, const char *definition, wick_mcp_handler fn, void *user,
                                         wick_err *err)
{
    return add(s, WICK_MCP_TEMPLATE, definition, fn, user, err);
}

wick_status wick_mcp_server_add_prompt(wick_mcp_server *s, const char *definition, wick_mcp_handler fn, void *user,
                                       wick_err *err)
{
    return add(s, WICK_MCP_PROMPT, definition, fn, user, err);
}

wick_status wick_mcp_server_set_completion(wick_mcp_server *s, wick_mcp_handler fn, void *user, wick_err *err)
{
    if (!fn) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "completion", "MCP completion: the handler is missing");
    wick_lock_take(&s->lock);
    s->complete = fn;
    s->complete_user = user;
    wick_lock_drop(&s->lock);
    return WICK_OK;
}

static bool take_out(wick_mcp_server *s, wick_mcp_kind kind, const char *name)
{
    wick_lock_take(&s->lock);
    wick_mcp_list *l = &s->list[kind];
    const size_t i = find(l, name);
    const bool there = i < l->n;
    if (there) {
        json_decref(l->entry[i].definition);
        memmove(l->entry + i, l->entry + i + 1, (l->n - i - 1) * sizeof *l->entry);
        l->n--;
    }
    wick_lock_drop(&s->lock);
    if (there) wick_mcp_announce(s, kinds[kind].change, NULL);
    return there;
}

bool wick_mcp_server_remove_tool(wick_mcp_server *s, const char *name)
{
    return take_out(s, WICK_MCP_TOOL, name);
}

bool wick_mcp_server_remove_prompt(wick_mcp_server *s, const char *name)
{
    return take_out(s, WICK_MCP_PROMPT, name);
}

void wick_mcp_server_resource_changed(wick_mcp_server *s, const char *uri)
{
    wick_mcp_announce(s, 0, uri);
}

/* Does uri have the form of the template? Each {variable} stands for one or more characters up to the next "/". The
 * variables go to `vars`. */
static bool match(const char *t, const char *uri, json_t *vars)
{
    while (*t) {
        if (*t != '{') {
            if (*t++ != *uri++) return false;
            continue;
        }
        const char *end = strchr(t, '}');
        if (!end) return false;
        const char *stop = end[1] && end[1] != '{' ? strchr(uri, end[1]) : NULL;
        const size_t n = stop ? (size_t)(stop - uri) : strcspn(uri, "/");
        if (n == 0 || memchr(uri, '/', n)) return false;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(end - t - 1 < 63 ? end - t - 1 : 63), t + 1);
        json_object_set_new(vars, name, json_stringn(uri, n));
        uri += n;
        t = end + 1;
    }
    return *uri == '\0';
}

bool wick_mcp_find(wick_mcp_server *s, wick_mcp_kind kind, const char *key, wick_mcp_entry *out, json_t **vars)
{
    wick_lock_take(&s->lock);
    const wick_mcp_list *l = &s->list[kind];
    size_t i = find(l, key);
    if (i == l->n && kind == WICK_MCP_RESOURCE) {
        l = &s->list[WICK_MCP_TEMPLATE];
        for (i = 0; i < l->n; i++) {
            json_object_clear(*vars);
            if (match(l->entry[i].key, key, *vars)) break;
        }
    }
    const bool there = i < l->n;
    if (there) {
        *out = l->entry[i];
        json_incref(out->definition);
    }
    wick_lock_drop(&s->lock);
    return there;
}

json_t *wick_mcp_page(wick_mcp_server *s, wick_mcp_kind kind, const char *cursor)
{
    uint64_t from = 0;
    json_t *page = NULL, *list = NULL;
    if (cursor && !wick_parse_u64(cursor, &from)) return NULL;
    wick_lock_take(&s->lock);
    const wick_mcp_list *l = &s->list[kind];
    if (from <= l->n) {
        page = json_object();
        list = json_array();
        const size_t end = l->n - from > s->page_size ? from + s->page_size : l->n;
        for (size_t i = from; i < end; i++) json_array_append(list, l->entry[i].definition);
        json_object_set_new(page, kinds[kind].list, list);
        if (end < l->n) json_object_set_new(page, "nextCursor", json_sprintf("%zu", end));
    }
    wick_lock_drop(&s->lock);
    return page;
}

json_t *wick_mcp_capabilities(wick_mcp_server *s)
{
    json_t *caps = json_object();
    wick_lock_take(&s->lock);
    json_object_set_new(caps, "tools", json_pack("{s:b}", "listChanged", 1));
    if (s->list[WICK_MCP_RESOURCE].n + s->list[WICK_MCP_TEMPLATE].n > 0)
        json_object_set_new(caps, "resources", json_pack("{s:b, s:b}", "subscribe", 1, "listChanged", 1));
    if (s->list[WICK_MCP_PROMPT].n > 0) json_object_set_new(caps, "prompts", json_pack("{s:b}", "listChanged", 1));
    if (s->complete) json_object_set_new(caps, "completions", json_object());
    wick_lock_drop(&s->lock);
    json_object_set_new(caps, "logging", json_object());
    return caps;
}

json_t *wick_mcp_identity(const wick_mcp_server *s)
{
    return json_pack("{s:s, s:s}", "name", s->name, "version", s->version);
}
