/* base/fault.c - see fault.h. */
#include "base/fault.h"
#include <errno.h>
#include <stdatomic.h>

static struct {
    atomic_uint_fast64_t calls, from, to; /* calls are counted from the moment that `to` is set; 0: off */
} fault[WICK_N_FAULTS];

void wick_fault_set(wick_fault_kind kind, uint64_t first, uint64_t n)
{
    atomic_store(&fault[kind].to, 0);
    atomic_store(&fault[kind].calls, 0);
    atomic_store(&fault[kind].from, first);
    atomic_store(&fault[kind].to, n ? first + n : 0);
}

bool wick_fault(wick_fault_kind kind)
{
    static const int said[WICK_N_FAULTS] = {ENOSYS, EAGAIN, EMFILE, ENOSPC, EIO};
    const uint64_t to = atomic_load_explicit(&fault[kind].to, memory_order_relaxed);
    if (to == 0) return false;
    const uint64_t now = atomic_fetch_add(&fault[kind].calls, 1) + 1;
    if (now < atomic_load(&fault[kind].from) || now >= to) return false;
    errno = said[kind];
    return true;
}
