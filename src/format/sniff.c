/* format/sniff.c - what a file is, by its first bytes.
 * Apart because it is a table of facts about other people's formats: a wrong file gets an answer that says what it
 * is and what to do, whatever its name ends with. */
#include "format/dir.h"

#include <inttypes.h>
#include <stdio.h>

#define SAFETENSORS_MAX_HEADER 100000000u

static const char remedy_convert[] = "convert it to safetensors or GGUF first";
static const char remedy_download[] = "download the file itself again";

/* at: offset of the signature */
static const struct {
    uint16_t at, n;
    const char *bytes, *name, *remedy;
} foreign[] = {
    {0, 24, "version https://git-lfs.", "a Git LFS pointer, not the file itself",
     "run 'git lfs pull', or download the file"},
    {0, 4, "ggml", "a GGML file from before GGUF", remedy_convert},
    {0, 4, "lmgg", "a GGML file from before GGUF", remedy_convert},
    {0, 4, "fmgg", "a GGMF file from before GGUF", remedy_convert},
    {0, 4, "tjgg", "a GGJT file from before GGUF", remedy_convert},
    {0, 4, "algg", "a GGLA adapter from before GGUF", remedy_convert},
    {0, 6, "\x93NUMPY", "a single NumPy array (.npy)", "save all arrays of the model into one .npz"},
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)", remedy_convert},
    {4, 4, "TFL3", "a TensorFlow Lite model", remedy_convert},
    {257, 5, "ustar", "a tar archive", "unpack it first"},
    {0, 3, "\x1f\x8b\x08", "a gzip archive", "unpack it first"},
    {0, 4, "\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it first"},
    {0, 6,
     "\xfd"
     "7zXZ",
     "an xz archive", "unpack it first"},
    {0, 6, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"},
    {0, 3, "BZh", "a bzip2 archive", "unpack it first"},
    {0, 4,
     "\x7f"
     "ELF",
     "a program (ELF)", NULL},
    {0, 4, "%PDF", "a PDF document", NULL},
    {0, 8, "\x89PNG\r\n\x1a\n", "a PNG image", NULL},
    {0, 3, "\xff\xd8\xff", "a JPEG image", NULL},
    {0, 4, "GIF8", "a GIF image", NULL},
    {8, 4, "WEBP", "a WebP image", NULL},
    {0, 6, "Rar!\x1a\x07", "a RAR archive", "unpack it first"},
    {0, 2, "#!", "a script", NULL},
    {0, 5, "<?xml", "an XML document, perhaps the error page of a download", remedy_download},
    {0, 15, "Entry not found", "the error text of a download", remedy_download},
    {0, 2, "\x80\x02", "a Python pickle (PyTorch checkpoint)", remedy_convert},
    {0, 2, "\x80\x03", "a Python pickle (PyTorch checkpoint)", remedy_convert},
    {0, 2, "\x80\x04", "a Python pickle (PyTorch checkpoint)", remedy_convert},
    {0, 2, "\x80\x05", "a Python pickle (PyTorch checkpoint)", remedy_convert},
};

static bool is_html(const uint8_t *p, uint64_t n)
{
    uint64_t i = 0;
    while (i < n && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t')) i++;
    static const char *const starts[] = {"<!doctype html", "<html", "<head"};
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        uint64_t j = 0;
        while (starts[k][j] && i + j < n && (p[i + j] | 0x20) == (starts[k][j] | 0x20)) j++;
        if (!starts[k][j]) return true;
    }
    return false;
}

/* ONNX is a bare protobuf: field 1 (ir_version, small), then field 2 (producer) or 7 (graph) or 8 (opset). */
static bool is_onnx(const uint8_t *p, uint64_t n)
{
    return n >= 16 && p[0] == 0x08 && p[1] >= 1 && p[1] <= 32 && (p[2] == 0x12 || p[2] == 0x3a || p[2] == 0x42);
}

static bool all_zero(const uint8_t *p, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

wick_content wick_content_sniff(const wick_file *f, const char **name, const char **remedy)
{
    const uint8_t *p = f->data;
    uint64_t n = f->n_bytes;
    *name = NULL;
    *remedy = NULL;
    if (n == 0) {
        *name = "an empty file";
        *remedy = remedy_download;
        return WICK_CONTENT_FOREIGN;
    }
    if (n >= 4 && memcmp(p, "GGUF", 4) == 0) return WICK_CONTENT_GGUF;
    if (n >= 4 && (memcmp(p, "PK\3\4", 4) == 0 || memcmp(p, "PK\5\6", 4) == 0)) return WICK_CONTENT_ZIP;
    if (n >= 9 && p[8] == '{') {
        uint64_t header = 0;
        for (int i = 7; i >= 0; i--) header = header << 8 | p[i];
        if (header >= 2 && header <= SAFETENSORS_MAX_HEADER) return WICK_CONTENT_SAFETENSORS;
    }
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        if (n < (uint64_t)foreign[i].at + foreign[i].n) continue;
        if (memcmp(p + foreign[i].at, foreign[i].bytes, foreign[i].n) != 0) continue;
        *name = foreign[i].name;
        *remedy = foreign[i].remedy;
        return WICK_CONTENT_FOREIGN;
    }
    if (is_html(p, n < 512 ? n : 512)) {
        *name = "a web page, perhaps the login or error page of a download";
        *remedy = remedy_download;
    } else if (is_onnx(p, n)) {
        *name = "an ONNX model";
        *remedy = remedy_convert;
    } else if (all_zero(p, n < 4096 ? n : 4096)) {
        *name = "zero bytes, an unfinished download";
        *remedy = remedy_download;
    } else if (p[0] == '{' || p[0] == '[') {
        *name = "JSON text";
        *remedy = "give the model's folder or its weights file";
    }
    return *name ? WICK_CONTENT_FOREIGN : WICK_CONTENT_UNKNOWN;
}

wick_status wick_content_refuse(const wick_file *f, wick_err *err)
{
    const char *name, *remedy;
    char got[96];
    wick_content_sniff(f, &name, &remedy);
    if (!name) {
        const uint8_t *p = f->data;
        uint8_t h[8] = {0};
        if (p) memcpy(h, p, f->n_bytes < 8 ? (size_t)f->n_bytes : 8);
        snprintf(got, sizeof got,
                 "%" PRIu64 " bytes of unknown data that start with %02x %02x %02x %02x %02x %02x %02x %02x",
                 f->n_bytes, h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]);
        name = got;
    }
    return wick_err_format(err, f->path, "safetensors, npz or GGUF", name, remedy);
}
