/* Host memory for weights and for buffers that the device reads, counted: what sto_engine_params.ram_bytes bounds. The
 * figures are sto_host_bytes and sto_host_peak_bytes of strato.h. What is small (tables, texts) goes through
 * runtime/base/mem.h and is not counted. Any thread. */
#ifndef STO_HOST_MEMORY_H
#define STO_HOST_MEMORY_H

#include <stdint.h>

#include "runtime/strato.h"

/* Zeroed, in pages that the system gives when they are written and takes back when they are freed. NULL: none left. */
void *sto_host_alloc(uint64_t bytes);
void sto_host_free(void *memory, uint64_t bytes); /* accepts NULL */
/* For memory that is made elsewhere: pinned buffers. */
void sto_host_count(uint64_t bytes);
void sto_host_uncount(uint64_t bytes);

/* What an engine may use when no budget is given: what the system could give now, less a margin for everything else
 * that runs. UINT64_MAX: the system does not say. */
uint64_t sto_default_ram_bytes(void);

#endif
