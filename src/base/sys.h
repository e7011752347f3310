/* base/sys.h - what the machine is: clock, memory, processors, instruction sets. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

uint64_t wick_time_ns(void); /* monotonic */
/* Processor time of the calling thread: limits on work count it, so that a busy machine does not reach them. */
uint64_t wick_time_thread_ns(void);
double wick_time_ms(void); /* the same, in milliseconds */
/* From the system's entropy; where it gives none, from the clock: for seeds and names, not for secrets. */
uint64_t wick_random_seed(void);
void wick_random_bytes(void *p, size_t n);
/* For secrets: WICK_E_IO where the system has no entropy; p is zeroed then. */
wick_status wick_random_secret(void *p, size_t n, wick_err *err) WICK_MUST_CHECK;
void wick_wipe(void *p, size_t n); /* zeroes what held a secret; the compiler may not leave it out */

uint64_t wick_memory_total_bytes(void);     /* the machine's, or the cgroup's limit if that is lower */
uint64_t wick_memory_available_bytes(void); /* what can be used now without swapping, cgroup included */
uint64_t wick_memory_peak_bytes(void);      /* peak resident set of this process */
/* Lets the whole pages inside [p, p + n) go. Those of a mapped file are read again when they are needed; the contents
 * of other memory are lost. Does nothing where the system has no such call. */
void wick_memory_drop(const void *p, size_t n);

/* Threads that can really run at once: affinity, cgroup quota (rounded up), physical cores only; at least 1. */
unsigned wick_cpu_count(void);
/* The folder that this program's file lies in, links resolved; NULL where the system does not say. Caller
 * wick_free()s. */
char *wick_program_folder(void);
const char *wick_cpu_name(void); /* "AMD EPYC ..."; static */

typedef struct wick_cpu_features {
    bool avx2_fma_f16c, avx512 /* F, BW, VL, DQ */, avx512_vnni, avx512_bf16, avx_vnni, amx_int8, amx_bf16;
    bool neon_dotprod, neon_i8mm;
} wick_cpu_features;
/* Asked from the processor and the system once; thread-safe. */
const wick_cpu_features *wick_cpu_probe(void);
