/* Philox4x32-10. The constants are those of the paper: two odd multipliers and two Weyl increments. */
#include "runtime/base/philox.h"

enum { PHILOX_ROUNDS = 10 };

static const uint32_t MUL_0 = 0xd2511f53u, MUL_1 = 0xcd9e8d57u;
static const uint32_t WEYL_0 = 0x9e3779b9u, WEYL_1 = 0xbb67ae85u;

void sto_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        const uint64_t a = (uint64_t)MUL_0 * c0;
        const uint64_t b = (uint64_t)MUL_1 * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}
