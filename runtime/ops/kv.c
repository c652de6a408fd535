/* How the KV cache lies in memory: a page of one layer holds K [n_kv_heads, KV_PAGE, head_dim], then V likewise. */
#include "runtime/ops/ops.h"

#include "runtime/formats/formats.h"
#include "shaders/shared/step.h"

/* Bytes of the K part; V begins on the next multiple of 16. */
static uint64_t part_bytes(enum sto_type type, uint32_t n_kv_heads, uint32_t head_dim)
{
    const uint64_t bytes = (uint64_t)n_kv_heads * KV_PAGE * sto_type_bytes(type, head_dim);
    return (bytes + 15) & ~(uint64_t)15;
}

uint64_t sto_kv_page_bytes(enum sto_type type, uint32_t n_kv_heads, uint32_t head_dim)
{
    return 2 * part_bytes(type, n_kv_heads, head_dim);
}

uint32_t sto_kv_v_offset(enum sto_type type, uint32_t n_kv_heads, uint32_t head_dim)
{
    return (uint32_t)part_bytes(type, n_kv_heads, head_dim);
}
