/* cli/sh_model.c - who answers a request of `wick sh`, and how its answers become one proposal.
 *
 * The first guess of the model is taken as it is where the model was sure of it and nothing speaks against it. Else
 * more answers are drawn in one batch, all are judged (shell/doubt.h), and the best one wins.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "base/sys.h"
#include "cli/session.h"
#include "cli/sh.h"
#include "cli/term.h"
#include "shell/explain.h"
#include "shell/intents.h"

#define ROW_FITS (-0.15F) /* of a row of the table that explains every word of the request; all but one */
#define ROW_NEARLY_FITS (-1.5F)
#define SURE (-0.05F) /* log probability above which 98 % of the first guesses were right on taught intents */

struct wick_sh_asker {
    wick_args a;
    wick_sh_model model;
    int helper; /* a connection, or -1 */
    wick_sh_world world;
};

/* ---- the model -------------------------------------------------------------------------------------------------- */

static bool try_model(wick_sh_model *m, const char *base, const char *tail)
{
    wick_free(m->path);
    m->path = wick_path_join(base, tail);
    char *config = m->path ? wick_path_join(m->path, "config.json") : NULL;
    bool there = config && access(config, R_OK) == 0;
    wick_free(config);
    return there;
}

/* --model, else the model that came with this program: installed, in the source tree, or in ./models. */
wick_status wick_sh_model_find(wick_sh_model *m, const wick_args *a, wick_err *err)
{
    static const char *const tails[] = {"../share/wick/models/wick-shell", "../../models/wick-shell",
                                        "models/wick-shell"};
    memset(m, 0, sizeof *m);
    m->a = *a;
    m->a.n_operands = 1;
    m->a.operand[0] = a->model;
    m->taught = true;
    if (a->model) {
        size_t n = strlen(a->model);
        while (n > 1 && a->model[n - 1] == '/') n--;
        m->taught = n >= 10 && strncmp(a->model + n - 10, "wick-shell", 10) == 0;
    } else {
        char *folder = wick_program_folder();
        bool found = false;
        for (size_t t = 0; folder && !found && t < sizeof tails / sizeof *tails; t++)
            found = try_model(m, folder, tails[t]);
        wick_free(folder);
        if (!found && !try_model(m, ".", "models/wick-shell"))
            return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, "wick-shell",
                             "wick sh: the model wick-shell is not beside this program: name one with --model");
        m->a.operand[0] = m->path;
    }
    if (m->a.max_tokens == 0 || m->a.max_tokens > 256) m->a.max_tokens = 256;
    if (m->a.n_ctx == 0) m->a.n_ctx = m->taught ? 1024 : 2048;
    return WICK_OK;
}

wick_status wick_sh_model_load(wick_sh_model *m, wick_err *err)
{
    if (m->chat) return WICK_OK;
    WICK_TRY(wick_session_open(&m->engine, &m->a, false, err));
    return wick_chat_open(&m->chat, m->engine, m->a.chat_template, err);
}

void wick_sh_model_close(wick_sh_model *m)
{
    wick_chat_close(m->chat);
    wick_engine_close(m->engine);
    wick_free(m->path);
    memset(m, 0, sizeof *m);
}

/* What the options do not say. Other models are kept from rare tokens and from repetition. The one that comes with Wick
 * is so sure of itself that its answers differ only when they are drawn hot; the grammar and the checks are its filter.
 */
static void fill_sampling(const wick_sh_model *m, wick_sampling *s, bool sampled)
{
    const wick_sampling_given *given = &m->a.given;
    if (!given->top_k) s->top_k = m->taught ? 0 : 40;
    if (!given->top_p) s->top_p = m->taught ? 1.0F : 0.95F;
    if (!given->min_p) s->min_p = m->taught ? 0.02F : 0.05F;
    if (!m->taught) {
        if (!given->repetition_penalty) s->repetition_penalty = 1.1F;
    }
    if (!given->temperature) s->temperature = !sampled ? 0.0F : m->taught ? 1.4F : 0.8F;
}

wick_status wick_sh_model_ask(wick_sh_model *m, const wick_sh_question *q, wick_sh_asked **out, wick_err *err)
{
    wick_sampling s;
    WICK_TRY(wick_sh_model_load(m, err));
    WICK_TRY(wick_sampling_from(&s, &m->a, m->engine, err));
    fill_sampling(m, &s, q->sampled);
    json_t *messages = wick_sh_messages(q->request, q->earlier, m->taught);
    const wick_sh_asking how = {.engine = m->engine,
                                .chat = m->chat,
                                .messages = messages,
                                .sampling = &s,
                                .n = q->n,
                                .max_tokens = m->a.max_tokens,
                                .constrained = !m->a.free_form && (!m->taught || q->sampled),
                                .cancelled = wick_interrupted};
    wick_status st = messages ? wick_sh_asked_begin(out, &how, err) : wick_err_oom(err, "a request", 0, 0);
    json_decref(messages);
    wick_free((void *)(uintptr_t)s.bias);
    return st;
}

/* ---- this machine ------------------------------------------------------------------------------------------------ */

static bool has_program(void *ctx, const char *name)
{
    const wick_args *a = ctx;
    size_t len = strlen(name);
    for (const char *p = a->search_path ? a->search_path : ""; *p;) {
        size_t n = strcspn(p, ":");
        char file[4096];
        if (n > 0 && n + len + 2 <= sizeof file) {
            memcpy(file, p, n);
            file[n] = '/';
            memcpy(file + n + 1, name, len + 1);
            if (access(file, X_OK) == 0) return true;
        }
        p += n + (p[n] == ':');
    }
    return false;
}

static bool has_file(void *ctx, const char *path)
{
    (void)ctx;
    return access(path, F_OK) == 0;
}

static unsigned checks_of(const wick_args *a)
{
    static const struct {
        const char *name;
        unsigned checks;
    } by[] = {{"none", 0},
              {"parse", WICK_SH_CHECK_PARSE},
              {"programs", WICK_SH_CHECK_PARSE | WICK_SH_CHECK_PROGRAMS},
              {"options", WICK_SH_CHECK_PARSE | WICK_SH_CHECK_PROGRAMS | WICK_SH_CHECK_OPTIONS}};
    for (size_t k = 0; a->checks && k < sizeof by / sizeof *by; k++)
        if (strcmp(by[k].name, a->checks) == 0) return by[k].checks;
    return WICK_SH_CHECK_ALL;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

wick_status wick_sh_asker_open(wick_sh_asker **out, const wick_args *a, wick_err *err)
{
    struct utsname u;
    wick_sh_asker *k = wick_alloc_zero(1, sizeof *k);
    if (!k) return wick_err_oom(err, "wick sh", 0, 0);
    k->a = *a;
    k->helper = -1;
    k->world = (wick_sh_world){.has_program = a->search_path ? has_program : NULL,
                               .has_file = a->no_look ? NULL : has_file,
                               .ctx = &k->a,
                               .gnu = uname(&u) == 0 && strcmp(u.sysname, "Linux") == 0};
    wick_status st = wick_sh_model_find(&k->model, a, err);
    if (st != WICK_OK) {
        wick_sh_asker_close(k);
        return st;
    }
    *out = k;
    return WICK_OK;
}

void wick_sh_asker_close(wick_sh_asker *k)
{
    if (!k) return;
    if (k->helper >= 0) close(k->helper);
    wick_sh_model_close(&k->model);
    wick_free(k);
}

bool wick_sh_asker_taught(const wick_sh_asker *k)
{
    return k->model.taught;
}

/* Asks the helper; false: there is none, or it failed, and the model has to be loaded here. */
static bool ask_helper(wick_sh_asker *k, wick_arena *arena, const wick_sh_question *q, wick_sh_proposal *p)
{
    wick_err e = {0};
    size_t before = p->n;
    if (k->helper < 0) return false;
    if (wick_sh_helper_ask(k->helper, arena, q, p->candidate, &p->n, &e) == WICK_OK) return true;
    wick_verbose("the helper did not answer (%s)", e.message);
    close(k->helper);
    k->helper = -1;
    p->n = before;
    return false;
}

/* One question for each of p[0..n) that is `wanted`, all at once; then each is ranked. More samples are a help, no
 * need: where they fail (a grammar whose time is up on a busy machine), what is there already has to do. */
static wick_status ask_all(wick_sh_asker *k, wick_arena *arena, wick_sh_question q, wick_sh_proposal *p, size_t n,
                           const bool *wanted, wick_err *err)
{
    wick_sh_asked *asked[WICK_SH_MAX_TOGETHER] = {0};
    wick_status st = WICK_OK;
    wick_err e = {0};
    for (size_t i = 0; st == WICK_OK && i < n; i++) {
        const uint32_t room = (uint32_t)(WICK_SH_MAX_CANDIDATES - p[i].n);
        wick_sh_question mine = q;
        mine.request = p[i].request;
        if (mine.n > room) mine.n = room;
        if (!wanted[i] || mine.n == 0 || ask_helper(k, arena, &mine, p + i)) continue;
        st = wick_interrupted() ? WICK_FAIL(&e, WICK_E_CANCELLED, NULL, "interrupted")
                                : wick_sh_model_ask(&k->model, &mine, asked + i, &e);
    }
    for (size_t i = 0; i < n; i++)
        if (asked[i] && st == WICK_OK) st = wick_sh_asked_end(asked[i], arena, p[i].candidate, &p[i].n, &e);
    if (st != WICK_OK && st != WICK_E_CANCELLED && q.sampled) {
        wick_verbose("no more candidates: %s", e.message);
        st = WICK_OK;
    }
    for (size_t i = 0; st == WICK_OK && i < n; i++) {
        if (!wanted[i]) continue;
        p[i].n = wick_sh_rank(arena, p[i].request, p[i].candidate, p[i].n, WICK_SH_MAX_CANDIDATES, &k->world,
                              checks_of(&k->a));
        if (p[i].n == 0) st = wick_err_oom(&e, "candidates", 0, 0);
    }
    for (size_t i = 0; i < n; i++) wick_sh_asked_free(asked[i]);
    if (st != WICK_OK && err) *err = e;
    return st;
}

/* What the table of requests says, as a candidate. */
static void add_intent(wick_sh_asker *k, wick_arena *arena, wick_sh_proposal *p)
{
    wick_sh_intent i;
    if (k->a.no_table || p->n == WICK_SH_MAX_CANDIDATES || !wick_sh_intent_find(arena, p->request, &i)) return;
    const float logprob = i.left == 0 ? ROW_FITS : ROW_NEARLY_FITS;
    p->candidate[p->n++] = (wick_sh_candidate){.answer = {.cmd = i.cmd}, .logprob = logprob, .votes = 1};
}

/* Is the first guess in doubt, so that more are worth their time? */
static bool in_doubt(const wick_sh_proposal *p)
{
    return p->candidate[0].logprob < SURE || p->candidate[0].doubts.n > 0;
}

wick_status wick_sh_propose(wick_sh_asker *k, wick_arena *arena, const json_t *earlier, wick_sh_proposal *p, size_t n,
                            wick_err *err)
{
    bool wanted[WICK_SH_MAX_TOGETHER] = {0};
    wick_sh_question q = {.earlier = earlier, .n = 1};
    wick_status st = WICK_OK;
    if (!k->model.chat && n == 1) {
        wick_err e = {0};
        if (wick_sh_helper_open(&k->model, k->a.daemon, &k->helper, &e) != WICK_OK)
            wick_notice("wick: %s (going on without a helper)", e.message);
    }
    for (size_t i = 0; i < n; i++) {
        p[i].n = 0;
        wanted[i] = true;
    }
    WICK_TRY_GOTO(ask_all(k, arena, q, p, n, wanted, err));
    for (size_t i = 0; i < n; i++) wanted[i] = k->a.alternatives > 0 || in_doubt(p + i);
    for (size_t i = 0; i < n; i++)
        if (wanted[i]) add_intent(k, arena, p + i);
    q.n = k->a.candidates - 1;
    q.sampled = true;
    WICK_TRY_GOTO(ask_all(k, arena, q, p, n, wanted, err));
    for (size_t i = 0; i < n; i++) {
        const char *cmd = p[i].candidate[0].answer.cmd;
        WICK_TRY_GOTO(wick_sh_check(arena, cmd, strlen(cmd), &p[i].report, err));
        p[i].explanation = wick_sh_explain(arena, cmd, strlen(cmd));
        p[i].from_helper = k->helper >= 0;
        if (!p[i].explanation) st = wick_err_oom(err, "an explanation", 0, 0);
    }
done:
    if (k->helper >= 0) close(k->helper); /* the helper has other clients */
    k->helper = -1;
    return st;
}
