// examples/simple.cpp - the C API from C++: handles in unique_ptr, a lambda as the callback, vectors of a few texts.
//
//   c++ simple.cpp $(pkg-config --cflags --libs wick) -o simple && ./simple MODEL "Once upon a time"
#include <iostream>
#include <memory>
#include <string>
#include <wick/wick.h>

struct close_llm {
    void operator()(wick_llm *p) const { wick_llm_close(p); }
};

int main(int argc, char **argv)
{
    if (argc < 3) {
        std::cerr << "usage: " << argv[0] << " MODEL PROMPT\n";
        return 2;
    }
    wick_error err;
    wick_llm *raw = nullptr;
    wick_model_builder *builder = wick_model_builder_new(argv[1]);
    wick_model_builder_set_backend(builder, "auto");
    wick_status status = wick_model_builder_build(builder, &raw, &err);
    wick_model_builder_free(builder);
    std::unique_ptr<wick_llm, close_llm> llm(raw);
    if (status != WICK_OK) {
        std::cerr << err.message << "\n";
        return status;
    }

    wick_llm_info info;
    wick_llm_info_init(&info);
    wick_llm_get_info(llm.get(), &info, nullptr);
    std::cout << info.name << " on " << info.device << "\n";

    wick_generate_options options;
    wick_generate_options_init(&options);
    options.max_tokens = 32;
    options.temperature = 0;
    std::string text;
    auto append = [](void *user, const wick_token *token) {
        static_cast<std::string *>(user)->append(token->text, token->n_text);
        return 0;
    };
    status = wick_llm_generate(llm.get(), argv[2], SIZE_MAX, &options, append, &text, nullptr, &err);
    if (status == WICK_OK)
        std::cout << text << "\n";
    else
        std::cerr << err.message << "\n";

    float *vector = nullptr;
    size_t n_dims = 0;
    if (wick_llm_embed(llm.get(), argv[2], SIZE_MAX, "mean", true, &vector, &n_dims, nullptr) == WICK_OK)
        std::cout << "embedding of " << n_dims << " numbers\n";
    wick_buffer_free(vector);
    return status;
}
