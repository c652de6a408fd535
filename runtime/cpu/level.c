/* Which level of instructions this processor and its system have. */
#include "runtime/cpu/kernels.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#if defined(__x86_64__)

static const struct sto_cpu_kernels *find(enum sto_cpu_level level)
{
    __builtin_cpu_init(); /* its answers take into account what the system saves and restores */
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (level == STO_CPU_AVX2 && avx2)
        return &sto_cpu_kernels_avx2;
    if (level == STO_CPU_AVX512 && avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni"))
        return &sto_cpu_kernels_avx512;
    return NULL;
}

#elif defined(__aarch64__)

static bool has_dot(void)
{
#if defined(__linux__)
    const unsigned long asimddp = 1ul << 20; /* HWCAP_ASIMDDP of the kernel's interface */
    return (getauxval(AT_HWCAP) & asimddp) != 0;
#elif defined(__APPLE__)
    return true; /* all of them have it */
#else
    return false;
#endif
}

static const struct sto_cpu_kernels *find(enum sto_cpu_level level)
{
    if (level == STO_CPU_NEON)
        return &sto_cpu_kernels_neon;
    return level == STO_CPU_NEON_DOT && has_dot() ? &sto_cpu_kernels_neon_dot : NULL;
}

#else

static const struct sto_cpu_kernels *find(enum sto_cpu_level level)
{
    (void)level;
    return NULL;
}

#endif

const struct sto_cpu_kernels *sto_cpu_kernels_of(enum sto_cpu_level level)
{
    return level == STO_CPU_PLAIN ? &sto_cpu_kernels_plain : find(level);
}
