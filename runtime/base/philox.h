/* Philox4x32-10, a counter-based random generator: a pure function of a key and a counter, the same on every machine
 * and in a shader (32-bit integer arithmetic only).
 * J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Any thread. */
#ifndef STO_PHILOX_H
#define STO_PHILOX_H

#include <stdint.h>

/* Four independent 32-bit words for (counter, key); word 0 of each array is the least significant. */
void sto_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
