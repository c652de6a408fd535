/* NEON with its integer dot product: kernels_neon.c, compiled for that. */
#if defined(__ARM_FEATURE_DOTPROD)
#include "runtime/cpu/kernels_neon.c"
#else
typedef int sto_cpu_no_neon_dot; /* not built for this machine */
#endif
