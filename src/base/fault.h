/* base/fault.h - tests make the system say no: no entropy, no thread, no descriptor, a full disk.
 *
 * Like wick_alloc_fail_at for memory. The places that call the system ask wick_fault first; outside of tests that is
 * one relaxed load.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef enum wick_fault_kind {
    WICK_FAULT_ENTROPY, /* the system gives no random bytes */
    WICK_FAULT_THREAD,  /* EAGAIN when a thread starts */
    WICK_FAULT_OPEN,    /* EMFILE when a file is opened */
    WICK_FAULT_WRITE,   /* ENOSPC when a file is written */
    WICK_FAULT_SYNC,    /* EIO when a file is flushed to the disk */
    WICK_N_FAULTS
} wick_fault_kind;

/* From the first-th call of this kind from now on (1: the next), n calls fail; n 0 switches it off. */
void wick_fault_set(wick_fault_kind kind, uint64_t first, uint64_t n);
/* Must this call fail? Sets errno then. */
bool wick_fault(wick_fault_kind kind);
