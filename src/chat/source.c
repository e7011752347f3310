/* chat/source.c - see source.h. */
#include "chat/source.h"
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "format/gguf.h"
#include "model/vocab.h"

#define TEMPLATE_MAX_BYTES (4u << 20)

/* What names a file rather than being a template: no braces, no blanks, but a dot or a slash. */
static bool looks_like_path(const char *text)
{
    return !strpbrk(text, "{ \n") && strpbrk(text, "./");
}

/* A template text, or the path of a file that holds one: braces make it a text. */
static wick_status from_override(const char *text, const char *bos, const char *eos, wick_chat_template **out,
                                 wick_err *err)
{
    if (strchr(text, '{') || strchr(text, '\n') || !wick_path_is_file(text)) {
        if (looks_like_path(text))
            return WICK_FAIL(err, WICK_E_TEMPLATE, "chat-template",
                             "%s: there is no such file, and it is no template text (it has no braces)", text);
        return wick_chat_template_new(out, text, strlen(text), bos, eos, "chat template", err);
    }
    char *data = NULL;
    size_t n = 0;
    WICK_TRY(wick_file_read(text, TEMPLATE_MAX_BYTES, &data, &n, err));
    wick_status st = wick_chat_template_new(out, data, n, bos, eos, "chat template", err);
    wick_free(data);
    return st;
}

/* The text of a token, for bos_token and eos_token; NULL for -1. */
static char *piece_text(const wick_tokenizer *t, int32_t id)
{
    wick_str s = t && id >= 0 ? wick_tokenizer_piece(t, id) : (wick_str){0};
    return s.p ? wick_strndup(s.p, s.n) : NULL;
}

wick_status wick_chat_template_open_model(const wick_model *m, const wick_tokenizer *t, const char *override,
                                          wick_chat_template **out, wick_err *err)
{
    wick_status st = WICK_OK;
    wick_str src = {0};
    char *folder = NULL, *bos = piece_text(t, t ? wick_tokenizer_bos(t) : -1),
         *eos = piece_text(t, t ? wick_tokenizer_eos(t) : -1);
    *out = NULL;
    if (override && *override) {
        st = from_override(override, bos, eos, out, err);
        goto done;
    }
    if (m->tensors.gguf) {
        WICK_TRY_GOTO(wick_gguf_str(m->tensors.gguf, "tokenizer.chat_template", &src, err));
        if (src.n) st = wick_chat_template_new(out, src.p, src.n, bos, eos, "chat template", err);
        goto done;
    }
    folder = wick_model_folder(m->path);
    st = folder ? wick_chat_template_open_dir(out, folder, err) : wick_err_oom(err, "a path", 0, 0);
done:
    wick_free(folder);
    wick_free(bos);
    wick_free(eos);
    return st;
}
