/* examples/chat.c - a conversation: reads lines, answers each with all that was said before in mind.
 *
 *   cc chat.c $(pkg-config --cflags --libs wick) -o chat && ./chat MODEL
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wick/wick.h>

#define MAX_TURNS 64

static int print_token(void *user, const wick_token *token)
{
    (void)user;
    fwrite(token->text, 1, token->n_text, stdout);
    fflush(stdout);
    return 0;
}

static char *copy(const char *s)
{
    char *p = malloc(strlen(s) + 1);
    if (p) strcpy(p, s);
    return p;
}

int main(int argc, char **argv)
{
    wick_error err;
    wick_llm *llm = NULL;
    wick_message message[2 * MAX_TURNS];
    char *owned[2 * MAX_TURNS];
    size_t n = 0;
    char line[4096];
    if (argc < 2) {
        fprintf(stderr, "usage: %s MODEL\n", argv[0]);
        return 2;
    }
    wick_model_builder *builder = wick_model_builder_new(argv[1]);
    wick_status status = wick_model_builder_build(builder, &llm, &err);
    wick_model_builder_free(builder);

    wick_generate_options options;
    wick_generate_options_init(&options);
    options.max_tokens = 256;
    while (status == WICK_OK && n + 2 <= 2 * MAX_TURNS && fgets(line, sizeof line, stdin)) {
        wick_result answer;
        line[strcspn(line, "\n")] = '\0';
        owned[n] = copy(line);
        message[n].role = "user";
        message[n].content = owned[n];
        n++;
        status = wick_llm_chat(llm, message, n, &options, print_token, NULL, &answer, &err);
        if (status == WICK_OK) {
            printf("\n");
            owned[n] = copy(answer.text);
            message[n].role = "assistant";
            message[n].content = owned[n];
            n++;
        }
        wick_result_release(&answer);
    }
    if (status != WICK_OK) fprintf(stderr, "%s: %s\n", wick_status_name(status), err.message);
    while (n > 0) free(owned[--n]);
    wick_llm_close(llm);
    return status;
}
