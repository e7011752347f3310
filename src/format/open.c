/* format/open.c - which reader a path gets: files by content, folders by what lies in them. */
#include "format/dir.h"

static const struct {
    const char *ending;
    wick_status (*open)(wick_tensor_dir *d, const char *path, wick_err *err);
} readers[] = {{".safetensors", wick_safetensors_open}, {".npz", wick_npz_open}, {".gguf", wick_gguf_open}};

/* A damaged file of a known ending goes to that reader, which says what is wrong with it. */
static wick_status open_file(wick_tensor_dir *d, const char *path, wick_err *err)
{
    wick_file f = {0};
    WICK_TRY(wick_file_open(&f, path, err));
    const char *name, *remedy;
    wick_content c = wick_content_sniff(&f, &name, &remedy);
    wick_status st = WICK_OK;
    size_t k = 0;
    if (c == WICK_CONTENT_UNKNOWN)
        while (k < 3 && !wick_ends_with(path, readers[k].ending)) k++;
    if (c == WICK_CONTENT_FOREIGN || k == 3) st = wick_content_refuse(&f, err);
    wick_file_close(&f);
    WICK_TRY(st);
    switch (c) {
    case WICK_CONTENT_SAFETENSORS: return wick_safetensors_open(d, path, err);
    case WICK_CONTENT_ZIP: return wick_npz_open(d, path, err);
    case WICK_CONTENT_GGUF: return wick_gguf_open(d, path, err);
    case WICK_CONTENT_UNKNOWN:
    case WICK_CONTENT_FOREIGN: break;
    }
    return readers[k].open(d, path, err);
}

/* Checkpoints of other programs, for the message. */
static const char *foreign_weights(const wick_dir_list *l)
{
    static const struct {
        const char *ending, *name;
    } known[] = {{".bin", "a PyTorch checkpoint (.bin)"},
                 {".pt", "a PyTorch checkpoint (.pt)"},
                 {".pth", "a PyTorch checkpoint (.pth)"},
                 {".ckpt", "a PyTorch checkpoint (.ckpt)"},
                 {".onnx", "an ONNX model"},
                 {".h5", "a Keras model (.h5)"},
                 {".msgpack", "a Flax checkpoint"},
                 {".tflite", "a TensorFlow Lite model"},
                 {".incomplete", "an unfinished download"}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        for (size_t i = 0; i < l->n; i++)
            if (wick_ends_with(l->name[i], known[k].ending)) return known[k].name;
    return NULL;
}

static bool has(const wick_dir_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->name[i], name) == 0) return true;
    return false;
}

static const char *remedy_for(const char *got)
{
    if (strstr(got, "LoRA")) return "fuse it with its base model first";
    if (strstr(got, "tokenizer")) return "download the weights too";
    return "convert it to safetensors or GGUF first";
}

static wick_status open_folder(wick_tensor_dir *d, const char *folder, wick_err *err)
{
    wick_dir_list list = {0};
    WICK_TRY(wick_dir_list_read(&list, folder, err));
    size_t best = 3; /* an index of readers: safetensors before npz before gguf */
    for (size_t i = 0; i < list.n; i++)
        for (size_t k = 0; k < best; k++) {
            bool shard =
                k == 0 && (wick_starts_with(list.name[i], "model") || wick_starts_with(list.name[i], "consolidated"));
            bool index = k == 0 && strcmp(list.name[i], "model.safetensors.index.json") == 0;
            if (index || ((shard || k > 0) && wick_ends_with(list.name[i], readers[k].ending))) best = k;
        }
    wick_status st = WICK_OK;
    if (best == 3) {
        const char *got = foreign_weights(&list);
        if (has(&list, "adapter_config.json") || has(&list, "adapters.safetensors")) got = "a LoRA adapter";
        if (!got && (has(&list, "tokenizer.json") || has(&list, "tokenizer.model")))
            got = "a tokenizer without weights";
        if (got)
            st = wick_err_format(err, folder, "model*.safetensors, .npz or .gguf", got, remedy_for(got));
        else
            st = WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, folder,
                           "%s: this folder holds no model (expected model*.safetensors, .npz or .gguf)", folder);
    }
    wick_dir_list_free(&list);
    WICK_TRY(st);
    return readers[best].open(d, folder, err);
}

wick_status wick_tensor_dir_open(wick_tensor_dir *d, const char *path, wick_err *err)
{
    memset(d, 0, sizeof *d);
    if (!path || !*path) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "path", "the path of the model is empty");
    if (!wick_path_exists(path))
        return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, path, "%s: no such file or folder", path);
    return wick_path_is_dir(path) ? open_folder(d, path, err) : open_file(d, path, err);
}
