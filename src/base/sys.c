/* base/sys.c - the machine: clock, entropy, memory, processors. Files of /proc and /sys are read as they are; what is
 * missing (macOS, containers) falls back to the portable answer. */
#include "base/sys.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#include <sys/random.h>
#endif
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#include <mach/mach.h>
#include <sys/random.h>
#include <sys/sysctl.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include "base/alloc.h"
#include "base/fault.h"
#include "base/str.h"

uint64_t wick_time_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t wick_time_thread_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0) return wick_time_ns();
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double wick_time_ms(void)
{
    return (double)wick_time_ns() / 1e6;
}

static bool entropy(unsigned char *b, size_t n)
{
    while (n) {
        const size_t k = n > 256 ? 256 : n;
        if (wick_fault(WICK_FAULT_ENTROPY) || getentropy(b, k) != 0) return false;
        b += k;
        n -= k;
    }
    return true;
}

void wick_random_bytes(void *p, size_t n)
{
    unsigned char *b = p;
    if (entropy(b, n)) return;
    for (size_t i = 0; i < n; i++) { /* the clock, which is better than a constant */
        const uint64_t t = (wick_time_ns() + i) * 0x9E3779B97F4A7C15u;
        b[i] = (unsigned char)(t >> 32);
    }
}

wick_status wick_random_secret(void *p, size_t n, wick_err *err)
{
    if (entropy(p, n)) return WICK_OK;
    const int e = errno;
    memset(p, 0, n);
    return wick_err_io(err, "random numbers", "read", e);
}

uint64_t wick_random_seed(void)
{
    uint64_t s;
    wick_random_bytes(&s, sizeof s);
    return s;
}

void wick_wipe(void *p, size_t n)
{
    volatile unsigned char *b = p;
    while (n--) *b++ = 0;
}

#if defined(__linux__)
/* First line of a small file; false if it is not there. */
static bool first_line(const char *path, char *line, size_t cap)
{
    FILE *f = fopen(path, "re");
    if (!f) return false;
    bool ok = fgets(line, (int)cap, f) != NULL;
    fclose(f);
    if (ok) line[strcspn(line, "\n")] = '\0';
    return ok;
}

static bool file_u64(const char *path, uint64_t *out)
{
    char line[64];
    return first_line(path, line, sizeof line) && wick_parse_u64(line, out);
}

/* "MemAvailable:   123 kB" of /proc/meminfo; 0 if it is not there */
static uint64_t kib_line(const char *path, const char *key)
{
    char line[128];
    uint64_t kb = 0;
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) {
        if (wick_starts_with(line, key)) {
            kb = strtoull(line + strlen(key), NULL, 10);
            break;
        }
    }
    fclose(f);
    return kb * 1024;
}

/* Limit and use of the cgroup that a container sees as its root; false if there is none. */
static bool cgroup_memory(uint64_t *limit, uint64_t *used)
{
    if (file_u64("/sys/fs/cgroup/memory.max", limit)) return file_u64("/sys/fs/cgroup/memory.current", used);
    if (file_u64("/sys/fs/cgroup/memory/memory.limit_in_bytes", limit) && *limit < UINT64_MAX / 4)
        return file_u64("/sys/fs/cgroup/memory/memory.usage_in_bytes", used);
    return false;
}
#endif

static uint64_t rlimit_bytes(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_AS, &r) != 0 || r.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    return (uint64_t)r.rlim_cur;
}

char *wick_program_folder(void)
{
#if defined(__APPLE__)
    char given[4096];
    uint32_t cap = sizeof given;
    char *path = _NSGetExecutablePath(given, &cap) == 0 ? realpath(given, NULL) : NULL;
#else
    char *path = realpath("/proc/self/exe", NULL);
#endif
    char *slash = path ? strrchr(path, '/') : NULL, *own = slash ? wick_strndup(path, (size_t)(slash - path)) : NULL;
    free(path);
    return own;
}

uint64_t wick_memory_total_bytes(void)
{
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
#if defined(__linux__)
    uint64_t limit, used;
    if (cgroup_memory(&limit, &used) && limit < total) total = limit;
#endif
    uint64_t as = rlimit_bytes();
    return as < total ? as : total;
}

uint64_t wick_memory_available_bytes(void)
{
    uint64_t avail = wick_memory_total_bytes();
#if defined(__linux__)
    uint64_t free_now = kib_line("/proc/meminfo", "MemAvailable:"), limit, used;
    if (free_now && free_now < avail) avail = free_now;
    if (cgroup_memory(&limit, &used)) {
        uint64_t left = used < limit ? limit - used : 0;
        if (left < avail) avail = left;
    }
#elif defined(__APPLE__)
    vm_statistics64_data_t vm;
    mach_msg_type_number_t n = HOST_VM_INFO64_COUNT;
    if (host_statistics64(mach_host_self(), HOST_VM_INFO64, (host_info64_t)&vm, &n) == KERN_SUCCESS) {
        uint64_t pages = (uint64_t)vm.free_count + vm.inactive_count + vm.purgeable_count;
        uint64_t free_now = pages * (uint64_t)sysconf(_SC_PAGESIZE);
        if (free_now < avail) avail = free_now;
    }
#endif
    return avail;
}

void wick_memory_drop(const void *p, size_t n)
{
#if defined(__linux__)
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)p + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)p + n) / page * page;
    if (p && from < to) (void)madvise((void *)from, to - from, MADV_DONTNEED);
#else
    (void)p, (void)n;
#endif
}

uint64_t wick_memory_peak_bytes(void)
{
#if defined(__linux__)
    /* ru_maxrss would start at the peak of the process that forked this one */
    uint64_t peak = kib_line("/proc/self/status", "VmHWM:");
    if (peak) return peak;
#endif
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0) return 0;
#if defined(__APPLE__)
    return (uint64_t)u.ru_maxrss;
#else
    return (uint64_t)u.ru_maxrss * 1024;
#endif
}

#if defined(__linux__)
/* Processors of the affinity mask, one per physical core. */
static unsigned linux_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    unsigned n = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        char path[96], line[128];
        if (!CPU_ISSET(cpu, &set)) continue;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        /* Count a core at the first of its siblings that we may run on. */
        bool first = true;
        if (first_line(path, line, sizeof line)) {
            for (char *s = line; *s;) {
                long a = strtol(s, &s, 10), b = a;
                if (*s == '-') b = strtol(s + 1, &s, 10);
                for (long c = a; c <= b && c < cpu; c++)
                    if (c >= 0 && CPU_ISSET((int)c, &set)) first = false;
                if (*s != ',') break;
                s++;
            }
        }
        n += first;
    }
    return n;
}

/* CPU quota of the cgroup, rounded up; 0 if there is none. */
static unsigned cgroup_cpus(void)
{
    char line[64];
    uint64_t quota, period;
    if (first_line("/sys/fs/cgroup/cpu.max", line, sizeof line)) {
        char *space = strchr(line, ' ');
        if (!space) return 0;
        *space = '\0';
        if (!wick_parse_u64(line, &quota) || !wick_parse_u64(space + 1, &period) || period == 0) return 0;
    } else if (!file_u64("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", &quota) ||
               !file_u64("/sys/fs/cgroup/cpu/cpu.cfs_period_us", &period) || period == 0) {
        return 0;
    }
    return (unsigned)((quota + period - 1) / period);
}
#endif

unsigned wick_cpu_count(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = online > 0 ? (unsigned)online : 1;
#if defined(__linux__)
    unsigned cores = linux_cores(), quota = cgroup_cpus();
    if (cores && cores < n) n = cores;
    if (quota && quota < n) n = quota;
#elif defined(__APPLE__)
    int perf;
    size_t size = sizeof perf;
    if (sysctlbyname("hw.perflevel0.physicalcpu", &perf, &size, NULL, 0) == 0 && perf > 0) n = (unsigned)perf;
#endif
    return n;
}

static char cpu_name[96];
static wick_cpu_features features;
static pthread_once_t cpu_once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
static uint64_t xgetbv0(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static void probe_x86(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    bool fma = c >> 12 & 1, osxsave = c >> 27 & 1, f16c = c >> 29 & 1;
    uint64_t xcr0 = osxsave ? xgetbv0() : 0;
    bool ymm = (xcr0 & 6) == 6, zmm = ymm && (xcr0 & 0xE0) == 0xE0, tiles = (xcr0 >> 17 & 3) == 3;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        features.avx2_fma_f16c = ymm && fma && f16c && (b >> 5 & 1);
        features.avx512 =
            zmm && features.avx2_fma_f16c && (b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1);
        features.avx512_vnni = features.avx512 && (c >> 11 & 1);
        features.amx_bf16 = tiles && (d >> 22 & 1);
        features.amx_int8 = tiles && (d >> 24 & 1) && (d >> 25 & 1);
        unsigned leaves = a;
        if (leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
            features.avx_vnni = features.avx2_fma_f16c && (a >> 4 & 1);
            features.avx512_bf16 = features.avx512 && (a >> 5 & 1);
        }
    }
    unsigned regs[12];
    if (__get_cpuid(0x80000000, &a, &b, &c, &d) && a >= 0x80000004) {
        for (unsigned i = 0; i < 3; i++)
            __get_cpuid(0x80000002 + i, &regs[4 * i], &regs[4 * i + 1], &regs[4 * i + 2], &regs[4 * i + 3]);
        memcpy(cpu_name, regs, sizeof regs);
        cpu_name[sizeof regs] = '\0';
    }
}
#endif

static void probe_cpu(void)
{
    snprintf(cpu_name, sizeof cpu_name, "unknown processor");
#if defined(__x86_64__)
    probe_x86();
#elif defined(__aarch64__) && defined(__linux__)
    features.neon_dotprod = getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */
    features.neon_i8mm = getauxval(AT_HWCAP2) >> 13 & 1;   /* HWCAP2_I8MM */
    snprintf(cpu_name, sizeof cpu_name, "arm64 processor");
#elif defined(__APPLE__)
    int v = 0;
    size_t size = sizeof v;
    features.neon_dotprod = sysctlbyname("hw.optional.arm.FEAT_DotProd", &v, &size, NULL, 0) == 0 && v;
    size = sizeof v;
    features.neon_i8mm = sysctlbyname("hw.optional.arm.FEAT_I8MM", &v, &size, NULL, 0) == 0 && v;
    size = sizeof cpu_name;
    sysctlbyname("machdep.cpu.brand_string", cpu_name, &size, NULL, 0);
#endif
    /* Trim: brand strings are padded with spaces. */
    size_t lead = strspn(cpu_name, " "), n = strlen(cpu_name);
    memmove(cpu_name, cpu_name + lead, n - lead + 1);
    for (n = strlen(cpu_name); n && cpu_name[n - 1] == ' '; n--) cpu_name[n - 1] = '\0';
}

const char *wick_cpu_name(void)
{
    pthread_once(&cpu_once, probe_cpu);
    return cpu_name;
}

const wick_cpu_features *wick_cpu_probe(void)
{
    pthread_once(&cpu_once, probe_cpu);
    return &features;
}
