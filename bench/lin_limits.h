/* bench/lin_limits.h - loops that do nothing but reach a limit of the machine; each returns a value to keep it
 * alive. */
#pragma once
#include <stddef.h>
#include <stdint.h>

float lin_limit_read_avx2(const void *p, size_t n_bytes); /* reads it all; a multiple of 512 */
float lin_limit_fma_avx2(uint64_t n);                     /* n rounds of 12 x 8 float multiply-adds */
float lin_limit_int8_avx2(uint64_t n);                    /* n rounds of 12 x 32 int8 multiply-adds */
float lin_limit_fma_avx512(uint64_t n);                   /* n rounds of 12 x 16 */
float lin_limit_int8_vnni(uint64_t n);                    /* n rounds of 12 x 64 */
