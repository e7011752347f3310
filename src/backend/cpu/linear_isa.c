/* backend/cpu/linear_isa.c - the kernel tables and the choice among them; asked once, when a context opens. */
#include "backend/cpu/linear_impl.h"
#include "base/sys.h"
#include <stdio.h>

typedef struct isa_row {
    wick_lin_isa isa;
    bool (*has)(const wick_cpu_features *f);
} isa_row;

static bool has_always(const wick_cpu_features *f)
{
    (void)f;
    return true;
}
#if defined(__x86_64__)
static bool has_avx2(const wick_cpu_features *f)
{
    return f->avx2_fma_f16c;
}
static bool has_avxvnni(const wick_cpu_features *f)
{
    return f->avx_vnni && f->avx2_fma_f16c;
}
static bool has_avx512(const wick_cpu_features *f)
{
    return f->avx512 && f->avx2_fma_f16c;
}
static bool has_vnni(const wick_cpu_features *f)
{
    return f->avx512 && f->avx512_vnni && f->avx2_fma_f16c;
}
#elif defined(__aarch64__)
static bool has_dotprod(const wick_cpu_features *f)
{
    return f->neon_dotprod;
}
static bool has_i8mm(const wick_cpu_features *f)
{
    return f->neon_dotprod && f->neon_i8mm;
}
#endif

/* Best first. */
/* clang-format off */
static const isa_row rows[] = {
#if defined(__x86_64__)
    {{"avx512-vnni", &wick_lin_kernels_vnni}, has_vnni},
    {{"avx512", &wick_lin_kernels_avx512}, has_avx512},
    {{"avx2-vnni", &wick_lin_kernels_avxvnni}, has_avxvnni},
    {{"avx2", &wick_lin_kernels_avx2}, has_avx2},
#elif defined(__aarch64__)
    {{"neon-i8mm", &wick_lin_kernels_i8mm}, has_i8mm},
    {{"neon-dotprod", &wick_lin_kernels_neondot}, has_dotprod},
    {{"neon", &wick_lin_kernels_neon}, has_always},
#endif
    {{"portable", &wick_lin_kernels_portable}, has_always},
};
/* clang-format on */
enum { N_ROWS = sizeof rows / sizeof rows[0] };

wick_status wick_lin_isa_pick(const wick_lin_isa **out, const char *name, wick_err *err)
{
    const wick_cpu_features *f = wick_cpu_probe();
    char list[160] = "";
    size_t at = 0;
    for (size_t i = 0; i < N_ROWS; i++) {
        if (!rows[i].has(f)) continue;
        if (!name || strcmp(name, rows[i].isa.name) == 0) {
            *out = &rows[i].isa;
            return WICK_OK;
        }
        int n = snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", rows[i].isa.name);
        if (n > 0 && (size_t)n < sizeof list - at) at += (size_t)n;
    }
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "instruction set \"%s\" is not available here; there are: %s",
                     name, list);
}
