/* examples/simple.c - open a model and go on with a text, printing each token as it comes.
 *
 *   cc simple.c $(pkg-config --cflags --libs wick) -o simple && ./simple MODEL "Once upon a time"
 */
#include <stdio.h>
#include <wick/wick.h>

static int print_token(void *user, const wick_token *token)
{
    (void)user;
    fwrite(token->text, 1, token->n_text, stdout);
    fflush(stdout);
    return 0; /* anything else would stop here */
}

int main(int argc, char **argv)
{
    wick_error err;
    wick_llm *llm = NULL;
    wick_result result;
    if (argc < 3) {
        fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
        return 2;
    }

    wick_model_builder *builder = wick_model_builder_new(argv[1]);
    wick_model_builder_set_context(builder, 2048);
    wick_status status = wick_model_builder_build(builder, &llm, &err);
    wick_model_builder_free(builder);
    if (status != WICK_OK) {
        fprintf(stderr, "%s: %s\n", wick_status_name(status), err.message);
        return status;
    }

    wick_generate_options options;
    wick_generate_options_init(&options);
    options.max_tokens = 32;
    options.temperature = 0;
    status = wick_llm_generate(llm, argv[2], SIZE_MAX, &options, print_token, NULL, &result, &err);
    if (status == WICK_OK)
        printf("\n%zu tokens, first after %.1f ms\n", result.n_ids, result.first_token_ms);
    else
        fprintf(stderr, "%s: %s\n", wick_status_name(status), err.message);
    wick_result_release(&result);
    wick_llm_close(llm);
    return status;
}
