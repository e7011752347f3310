/* tests/tools/wick_dump.c - shows the tests what format/ and quant/ read; not installed.
 *
 *   wick_dump json PATH                        the tensor directory (and GGUF keys) as JSON
 *   wick_dump raw PATH TENSOR                  its bytes
 *   wick_dump f32 PATH TENSOR                  decoded to float32
 *   wick_dump weight PATH NAME MODE BITS GROUP NAME.weight with .scales (.biases) decoded to float32; MODE is affine,
 *                                              mxfp4, nvfp4 or mxfp8; NAME.global_scale is used where it is
 *   wick_dump encode TYPE < f32 > blocks       a GGUF block type
 *   wick_dump affine BITS GROUP N_IN < f32     per row: codes, scales, biases
 *   wick_dump form NAME N_IN < f32             per row in a form of quant/forms.h: data, scales, biases
 *   wick_dump check PATH...                    opens each: "status<TAB>path<TAB>peak KiB<TAB>message"
 * Exit code: the wick_status; one line on stderr.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "base/sys.h"
#include "format/gguf.h"
#include "format/tensor_dir.h"
#include "quant/forms.h"

static json_t *text(const char *p, size_t n)
{
    char line[1024];
    wick_escape_line(line, sizeof line, p, n);
    return json_string(line);
}

static json_t *gguf_value(const wick_gguf_value *v)
{
    switch (v->type) {
    case WICK_GGUF_STRING: return text(v->s.p, v->s.n);
    case WICK_GGUF_F32:
    case WICK_GGUF_F64: return json_real(v->f);
    case WICK_GGUF_BOOL: return json_boolean(v->i);
    case WICK_GGUF_ARRAY: break;
    default: return json_integer(v->i);
    }
    json_t *a = json_array();
    for (uint64_t i = 0; i < v->n && i < 1000; i++) {
        bool real = v->elem == WICK_GGUF_F32 || v->elem == WICK_GGUF_F64;
        json_array_append_new(a, v->elem == WICK_GGUF_STRING ? text(v->strings[i].p, v->strings[i].n)
                                 : real                      ? json_real(wick_gguf_elem_f64(v, i))
                                                             : json_integer(wick_gguf_elem_i64(v, i)));
    }
    return a;
}

static void print_json(const wick_tensor_dir *d)
{
    json_t *o = json_object(), *tensors = json_object(), *files = json_array(), *keys = json_object();
    json_object_set_new(o, "format", json_string(wick_container_name(d->format)));
    for (uint32_t i = 0; i < d->n_files; i++)
        json_array_append_new(files, json_string(wick_path_base(d->file[i].path)));
    for (uint32_t i = 0; i < d->n_tensors; i++) {
        const wick_tensor *t = &d->tensor[i];
        json_t *e = json_object(), *shape = json_array();
        for (uint32_t k = 0; k < t->n_dim; k++) json_array_append_new(shape, json_integer((json_int_t)t->shape[k]));
        json_object_set_new(e, "dtype", json_string(wick_dtype_name(t->dtype)));
        json_object_set_new(e, "shape", shape);
        json_object_set_new(e, "file", json_integer(t->file));
        json_object_set_new(e, "offset", json_integer((json_int_t)t->offset_bytes));
        json_object_set_new(e, "bytes", json_integer((json_int_t)t->n_bytes));
        json_object_set_new(e, "copied", json_boolean(t->copied));
        json_object_set_new(tensors, t->name, e);
    }
    for (uint64_t i = 0; d->gguf && i < wick_gguf_n(d->gguf); i++) {
        wick_str k = wick_gguf_key(d->gguf, i);
        char name[256];
        wick_escape_line(name, sizeof name, k.p, k.n);
        json_object_set_new(keys, name, gguf_value(wick_gguf_at(d->gguf, i)));
    }
    json_object_set_new(o, "files", files);
    json_object_set_new(o, "tensors", tensors);
    json_object_set_new(o, "keys", keys);
    json_dumpf(o, stdout, JSON_COMPACT);
    json_decref(o);
}

static wick_status need(const wick_tensor_dir *d, const char *name, const wick_tensor **t, wick_err *err)
{
    *t = wick_tensor_find(d, name);
    return *t ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tensor", "%s: no tensor of this name", name);
}

static wick_status print_rows(const wick_weight *w, wick_err *err)
{
    float *row = wick_alloc((size_t)w->n_in * sizeof *row);
    if (!row) return wick_err_oom(err, "a row", 0, 0);
    for (uint32_t r = 0; r < w->n_out; r++) {
        wick_weight_row(w, r, row);
        fwrite(row, sizeof *row, w->n_in, stdout);
    }
    wick_free(row);
    return WICK_OK;
}

static wick_status print_f32(const wick_tensor *t, wick_err *err)
{
    wick_weight w = {.name = t->name, .dtype = t->dtype, .data = t->data};
    w.enc = wick_dtype_is_float(t->dtype) ? WICK_ENC_PLAIN : WICK_ENC_BLOCK;
    w.n_in = t->n_dim ? (uint32_t)t->shape[t->n_dim - 1] : 1;
    w.n_out = (uint32_t)(wick_tensor_count(t) / (w.n_in ? w.n_in : 1));
    WICK_TRY(wick_weight_finish(&w, err));
    return print_rows(&w, err);
}

static wick_status print_weight(const wick_tensor_dir *d, char **arg, wick_err *err)
{
    static const char *const modes[] = {"affine", "mxfp4", "nvfp4", "mxfp8"};
    static const wick_encoding enc[] = {WICK_ENC_AFFINE, WICK_ENC_MXFP4, WICK_ENC_NVFP4, WICK_ENC_MXFP8};
    char name[600];
    const wick_tensor *codes, *scales, *biases = NULL;
    wick_weight w = {.name = arg[0], .bits = (uint32_t)atoi(arg[2]), .group = (uint32_t)atoi(arg[3])};
    for (int i = 0; i < 4; i++)
        if (strcmp(arg[1], modes[i]) == 0) w.enc = enc[i];
    snprintf(name, sizeof name, "%s.weight", arg[0]);
    WICK_TRY(need(d, name, &codes, err));
    snprintf(name, sizeof name, "%s.scales", arg[0]);
    WICK_TRY(need(d, name, &scales, err));
    if (w.enc == WICK_ENC_AFFINE) {
        snprintf(name, sizeof name, "%s.biases", arg[0]);
        WICK_TRY(need(d, name, &biases, err));
        w.biases = biases->data;
    }
    w.dtype = scales->dtype;
    w.n_out = (uint32_t)codes->shape[0];
    w.n_in = (uint32_t)(codes->shape[1] * 32 / w.bits);
    w.data = codes->data;
    w.scales = scales->data;
    WICK_TRY(wick_weight_finish(&w, err));
    if (wick_weight_bytes(&w) != codes->n_bytes + scales->n_bytes + (biases ? biases->n_bytes : 0))
        return WICK_FAIL(err, WICK_E_BAD_FILE, arg[0], "%s: shapes of codes and scales do not fit", arg[0]);
    snprintf(name, sizeof name, "%s.global_scale", arg[0]);
    const wick_tensor *global = wick_tensor_find(d, name);
    if (global) {
        float g;
        memcpy(&g, global->data, 4);
        w.global_scale = g / (448 * 6);
    }
    return print_rows(&w, err);
}

static float *read_floats(size_t *n)
{
    size_t cap = 1 << 16;
    float *x = malloc(cap * sizeof *x);
    *n = 0;
    while (x) {
        size_t got = fread(x + *n, sizeof *x, cap - *n, stdin);
        *n += got;
        if (got == 0) return x;
        if (*n == cap) x = realloc(x, (cap *= 2) * sizeof *x);
    }
    abort();
}

static wick_status encode_block(const char *type, wick_err *err)
{
    size_t n;
    wick_dtype t;
    uint64_t bytes;
    float *x = read_floats(&n);
    if (!wick_dtype_from_name(type, &t) || !wick_dtype_bytes(t, n, &bytes))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "type", "bad type or length");
    void *out = malloc(bytes + 1);
    bool ok = out && wick_block_encode(t, x, out, n);
    if (ok) fwrite(out, 1, bytes, stdout);
    free(out);
    free(x);
    return ok ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "type", "%s: no encoder", type);
}

static wick_status encode_affine(char **arg)
{
    uint32_t bits = (uint32_t)atoi(arg[0]), group = (uint32_t)atoi(arg[1]), n_in = (uint32_t)atoi(arg[2]),
             n_groups = n_in / group;
    size_t n;
    float *x = read_floats(&n), *scales = malloc(2 * n_groups * sizeof *scales);
    uint32_t *codes = malloc(n_in * sizeof *codes);
    if (!scales || !codes) abort();
    for (size_t r = 0; r < n / n_in; r++) {
        wick_affine_encode_row(x + r * n_in, n_in, bits, group, codes, scales, scales + n_groups);
        fwrite(codes, 4, (size_t)n_in * bits / 32, stdout);
        fwrite(scales, 4, 2 * (size_t)n_groups, stdout);
    }
    free(codes);
    free(scales);
    free(x);
    return WICK_OK;
}

/* Rows of n_in in a form of quant/forms.h: data, scales, biases of one row after the other. */
static wick_status encode_rows(char **arg, wick_err *err)
{
    uint32_t n_in = (uint32_t)atoi(arg[1]);
    size_t n;
    wick_quant q;
    wick_weight w;
    float *x = read_floats(&n);
    if (!wick_quant_parse(arg[0], &q)) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "form", "%s: no form", arg[0]);
    if (q.enc == WICK_ENC_AFFINE) q.dtype = WICK_DTYPE_F32;
    WICK_TRY(wick_quant_shape(&q, 1, n_in, &w, err));
    uint8_t *out = malloc(w.row_bytes + 2 * w.scale_row_bytes + 1);
    if (!out) abort();
    for (size_t r = 0; r < n / n_in; r++) {
        wick_quant_row(&q, x + r * n_in, NULL, n_in, out, out + w.row_bytes, out + w.row_bytes + w.scale_row_bytes);
        fwrite(out, 1, wick_weight_bytes(&w), stdout);
    }
    free(out);
    free(x);
    return WICK_OK;
}

/* Touches the ends of every tensor, so that a range outside the mapping shows. */
static unsigned touch(const wick_tensor_dir *d)
{
    unsigned sum = 0;
    for (uint32_t i = 0; i < d->n_tensors; i++) {
        const wick_tensor *t = &d->tensor[i];
        const uint8_t *p = t->data;
        if (t->n_bytes) sum += p[0] + p[t->n_bytes - 1];
        sum += wick_tensor_find(d, t->name) != t;
    }
    return sum;
}

static void check(const char *path)
{
    wick_tensor_dir d = {0};
    wick_err err = {0};
    wick_status st = wick_tensor_dir_open(&d, path, &err);
    volatile unsigned sum = st == WICK_OK ? touch(&d) : 0;
    (void)sum;
    printf("%d\t%s\t%" PRIu64 "\t%s\n", (int)st, path, wick_memory_peak_bytes() / 1024,
           st == WICK_OK ? "" : err.message);
    fflush(stdout);
    wick_tensor_dir_close(&d);
}

static wick_status show(int argc, char **argv, wick_err *err)
{
    wick_tensor_dir d = {0};
    const wick_tensor *t;
    wick_status st;
    WICK_TRY_GOTO(wick_tensor_dir_open(&d, argv[2], err));
    if (strcmp(argv[1], "json") == 0) {
        print_json(&d);
    } else if (strcmp(argv[1], "weight") == 0 && argc == 7) {
        st = print_weight(&d, argv + 3, err);
    } else if (argc == 4) {
        WICK_TRY_GOTO(need(&d, argv[3], &t, err));
        if (strcmp(argv[1], "raw") == 0)
            fwrite(t->data, 1, t->n_bytes, stdout);
        else
            st = print_f32(t, err);
    } else {
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "arguments", "see the top of wick_dump.c");
    }
done:
    wick_tensor_dir_close(&d);
    return st;
}

int main(int argc, char **argv)
{
    wick_err err = {0};
    wick_status st = WICK_OK;
    if (argc < 3)
        st = WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "arguments", "see the top of wick_dump.c");
    else if (strcmp(argv[1], "check") == 0)
        for (int i = 2; i < argc; i++) check(argv[i]);
    else if (strcmp(argv[1], "encode") == 0)
        st = encode_block(argv[2], &err);
    else if (strcmp(argv[1], "affine") == 0 && argc == 5)
        st = encode_affine(argv + 2);
    else if (strcmp(argv[1], "form") == 0 && argc == 4)
        st = encode_rows(argv + 2, &err);
    else
        st = show(argc, argv, &err);
    if (st != WICK_OK) fprintf(stderr, "wick_dump: %s\n", err.message);
    return (int)st;
}
