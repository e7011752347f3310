/* cli/environment.c - the environment, read into wick_args. Options' own variables are read by cli/opt.c from their
 * tables; nothing else in Wick reads any. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "base/sys.h"
#include "cli/opt.h"

/* The first of the variables that has a value; NULL: none. */
static const char *first_set(const char *const *names)
{
    for (; *names; names++) {
        const char *v = getenv(*names);
        if (v && *v) return v;
    }
    return NULL;
}

static bool is_true(const char *v)
{
    return v &&
           (strcmp(v, "1") == 0 || strcasecmp(v, "true") == 0 || strcasecmp(v, "yes") == 0 || strcasecmp(v, "on") == 0);
}

/* What huggingface_hub and curl read, so that who has set up one has set up Wick. */
static void hub_environment(wick_args *a)
{
    a->hf_endpoint = first_set((const char *const[]){"HF_ENDPOINT", "MODELSCOPE_ENDPOINT", NULL});
    a->modelscope = a->hf_endpoint && strstr(a->hf_endpoint, "modelscope");
    const char *kind = getenv("WICK_HUB_KIND");
    if (kind) a->modelscope = strcmp(kind, "modelscope") == 0;
    a->hf_token = first_set((const char *const[]){"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", NULL});
    a->hf_token_path = getenv("HF_TOKEN_PATH");
    a->hf_offline = is_true(getenv("HF_HUB_OFFLINE")) || is_true(getenv("TRANSFORMERS_OFFLINE"));
    a->http_proxy = first_set((const char *const[]){"http_proxy", "all_proxy", "ALL_PROXY", NULL});
    a->https_proxy = first_set((const char *const[]){"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL});
    a->no_proxy = first_set((const char *const[]){"no_proxy", "NO_PROXY", NULL});
    a->ca_file = first_set((const char *const[]){"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", NULL});
}

/* Where `make install` puts models, seen from the program, so that a moved installation stays whole. */
static char *models_beside_program(void)
{
    char *folder = wick_program_folder(), *path = folder ? wick_path_join(folder, "../share/wick/models") : NULL;
    wick_free(folder);
    return path;
}

/* The token that `wick login`, `hf auth login` or huggingface_hub left: in $HF_TOKEN_PATH, $HF_HOME/token or the usual
 * cache. */
static void read_token(wick_args *a)
{
    const bool xdg = a->cache_home && a->cache_home[0] == '/';
    if (a->hf_token_path && *a->hf_token_path)
        a->token_file_path = wick_strdup(a->hf_token_path);
    else if (a->hf_home && *a->hf_home)
        a->token_file_path = wick_path_join(a->hf_home, "token");
    else if (xdg || (a->home && *a->home))
        a->token_file_path =
            wick_path_join(xdg ? a->cache_home : a->home, xdg ? "huggingface/token" : ".cache/huggingface/token");
    if (a->hf_token || !a->token_file_path) return;
    if (wick_file_read(a->token_file_path, 4096, &a->token_read, NULL, NULL) != WICK_OK) return;
    a->token_read[strcspn(a->token_read, " \t\r\n")] = '\0';
}

char *wick_state_folder(const wick_args *a)
{
    return a->state_home && *a->state_home ? wick_path_join(a->state_home, "wick")
           : a->home && *a->home           ? wick_path_join(a->home, ".local/state/wick")
                                           : NULL;
}

void wick_environment_read(wick_args *a)
{
    a->home = getenv("HOME");
    a->hf_home = getenv("HF_HOME");
    a->hf_hub_cache = getenv("HF_HUB_CACHE");
    a->hub_cache_old = getenv("HUGGINGFACE_HUB_CACHE");
    a->ollama_models = getenv("OLLAMA_MODELS");
    hub_environment(a);
    a->term = getenv("TERM");
    a->no_color = getenv("NO_COLOR");
    a->state_home = getenv("XDG_STATE_HOME");
    a->cache_home = getenv("XDG_CACHE_HOME");
    a->config_home = getenv("XDG_CONFIG_HOME");
    a->runtime_dir = getenv("XDG_RUNTIME_DIR");
    a->search_path = getenv("PATH");
    a->api_key = getenv("WICK_API_KEY");
    const char *mlx = getenv("WICK_PREFER_MLX");
    if (mlx && *mlx && strcmp(mlx, "0") != 0) a->prefer_backend = "mlx";
    a->installed_models = models_beside_program();
    read_token(a);
}
