/* Device memory: a large buffer has a VkDeviceMemory of its own, small ones share blocks, because drivers allow few
 * allocations (4,096 on many). Every block has one VkBuffer over all of it and an address; a buffer is a range of
 * it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/host_memory.h"
#include "runtime/vk/device_impl.h"

enum { SMALL_BYTES = 1 << 20, SHARED_BLOCK_BYTES = 4 << 20, ALIGNMENT = 256 };

static const double mib = 1024.0 * 1024.0;

static const char *memory_name(enum sto_memory kind)
{
    static const char *const names[] = {[STO_MEMORY_DEVICE] = "device memory", [STO_MEMORY_UPLOAD] = "upload memory",
                                        [STO_MEMORY_READBACK] = "readback memory",
                                        [STO_MEMORY_SHARED] = "host memory"};
    return names[kind];
}

static uint32_t type_of(const struct sto_device *device, enum sto_memory kind)
{
    const struct sto_device_plan *p = &device->plan;
    return kind == STO_MEMORY_DEVICE ? p->device_memory_type
                                     : (kind == STO_MEMORY_UPLOAD ? p->upload_memory_type : p->readback_memory_type);
}

/* The planned type, or where a buffer may not lie in it (drivers list types twice, once for special uses) the next one
 * of the same heap with the same properties. STO_NO_MEMORY_TYPE: none. */
static uint32_t allowed_type(const struct sto_device_snapshot *s, uint32_t planned, uint32_t allowed)
{
    for (uint32_t i = planned; i < s->n_memory_types; i++) {
        if ((allowed & (1u << i)) != 0 &&
            memcmp(&s->memory_types[i], &s->memory_types[planned], sizeof s->memory_types[i]) == 0)
            return i;
    }
    return STO_NO_MEMORY_TYPE;
}

static bool is_mapped(const struct sto_device *device, enum sto_memory kind)
{
    return kind != STO_MEMORY_DEVICE || device->plan.device_memory_mapped;
}

/* ---- blocks ---- */

static void block_destroy(struct sto_device *device, struct sto_block *block)
{
    if (block->buffer != VK_NULL_HANDLE)
        device->vk.vkDestroyBuffer(device->handle, block->buffer, NULL);
    if (block->memory != VK_NULL_HANDLE) {
        device->vk.vkFreeMemory(device->handle, block->memory, NULL); /* unmaps */
        device->n_allocations--;
        atomic_fetch_sub(&device->bytes, block->charged_bytes);
        if (block->kind == STO_MEMORY_DEVICE)
            atomic_fetch_sub(&device->local_bytes, block->charged_bytes);
        else
            sto_host_uncount(block->charged_bytes);
    }
    sto_free(block->free);
    sto_free(block);
}

static void count_bytes(_Atomic uint64_t *bytes, _Atomic uint64_t *peak, uint64_t more)
{
    const uint64_t now = atomic_fetch_add(bytes, more) + more;
    if (now > atomic_load(peak))
        atomic_store(peak, now);
}

static void charge(struct sto_device *device, struct sto_block *block, uint64_t bytes)
{
    block->charged_bytes = bytes;
    device->n_allocations++;
    count_bytes(&device->bytes, &device->peak_bytes, bytes);
    if (block->kind == STO_MEMORY_DEVICE)
        count_bytes(&device->local_bytes, &device->local_peak_bytes, bytes);
    else
        sto_host_count(bytes);
}

static enum sto_status no_fit(struct sto_device *device, struct sto_error *err, const char *what, uint64_t bytes,
                              enum sto_memory kind)
{
    return sto_fail(err, STO_ERR_NO_FIT, "%s: %.1f MiB of %s do not fit on %s (%.1f MiB held, %.1f MiB free)", what,
                    (double)bytes / mib, memory_name(kind), device->snapshot.name,
                    (double)atomic_load(&device->bytes) / mib, (double)sto_device_free_bytes(device) / mib);
}

/* Allocates and binds the memory of a block whose buffer exists. */
static enum sto_status block_allocate(struct sto_device *device, struct sto_block *block, const char *what,
                                      struct sto_error *err)
{
    const enum sto_memory kind = block->kind;
    VkMemoryRequirements needs;
    device->vk.vkGetBufferMemoryRequirements(device->handle, block->buffer, &needs);
    const uint32_t type = allowed_type(&device->snapshot, type_of(device, kind), needs.memoryTypeBits);
    if (type == STO_NO_MEMORY_TYPE)
        return sto_fail(err, STO_ERR_FAILED, "%s: %s allows no buffer in %s", what, device->snapshot.name,
                        memory_name(kind));
    if (needs.size > device->snapshot.max_allocation_bytes)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: %.1f MiB in one piece; %s allows %.1f MiB", what,
                        (double)needs.size / mib, device->snapshot.name,
                        (double)device->snapshot.max_allocation_bytes / mib);
    if (device->n_allocations >= device->snapshot.max_allocations)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: %s allows %u allocations, and all are in use", what,
                        device->snapshot.name, (unsigned)device->snapshot.max_allocations);

    VkMemoryPriorityAllocateInfoEXT priority = {.sType = VK_STRUCTURE_TYPE_MEMORY_PRIORITY_ALLOCATE_INFO_EXT,
                                                .priority = kind == STO_MEMORY_DEVICE ? 1.0f : 0.5f};
    const VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                             .pNext = device->plan.use_memory_priority ? &priority : NULL,
                                             .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    const VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                       .pNext = &flags,
                                       .allocationSize = needs.size,
                                       .memoryTypeIndex = type};
    VkResult result = device->vk.vkAllocateMemory(device->handle, &info, NULL, &block->memory);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
        return no_fit(device, err, what, needs.size, kind);
    if (result != VK_SUCCESS)
        return sto_device_fail(device, err, result, what);
    charge(device, block, needs.size);
    result = device->vk.vkBindBufferMemory(device->handle, block->buffer, block->memory, 0);
    if (result == VK_SUCCESS && is_mapped(device, kind)) {
        void *mapped = NULL;
        result = device->vk.vkMapMemory(device->handle, block->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
        block->mapped = mapped;
        if (result == VK_SUCCESS && kind == STO_MEMORY_DEVICE && device->snapshot.kind == STO_DEVICE_CPU)
            sto_memory_want_large_pages(mapped, needs.size);
        if (result == VK_SUCCESS && kind == STO_MEMORY_READBACK && !sto_device_runs(device))
            memset(mapped, 0, (size_t)needs.size); /* no kernel will write there, but the host reads */
    }
    if (result != VK_SUCCESS)
        return sto_device_fail(device, err, result, what);
    return STO_OK;
}

static enum sto_status block_create(struct sto_device *device, enum sto_memory kind, uint64_t bytes, bool shared,
                                    const char *what, struct sto_block **out, struct sto_error *err)
{
    if (bytes > device->snapshot.max_buffer_bytes)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: a buffer of %.1f MiB; %s allows %.1f MiB", what, (double)bytes / mib,
                        device->snapshot.name, (double)device->snapshot.max_buffer_bytes / mib);
    struct sto_block *block = sto_calloc(1, sizeof *block);
    if (block == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: out of memory", what);
    block->kind = kind;
    block->bytes = bytes;
    block->shared = shared;
    enum sto_status status = STO_OK;
    if (shared) {
        block->cap_free = 16;
        block->free = sto_calloc(block->cap_free, sizeof *block->free);
        if (block->free == NULL) {
            status = sto_fail(err, STO_ERR_NO_FIT, "%s: out of memory", what);
            goto fail;
        }
        block->free[block->n_free++] = (struct sto_span){0, bytes};
    }
    const uint32_t families[] = {device->plan.compute_family, device->plan.transfer_family};
    const bool both = families[0] != families[1];
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                 VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT,
        .sharingMode = both ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE,
        .queueFamilyIndexCount = both ? 2 : 0,
        .pQueueFamilyIndices = families,
    };
    const VkResult result = device->vk.vkCreateBuffer(device->handle, &info, NULL, &block->buffer);
    if (result != VK_SUCCESS) {
        status = sto_device_fail(device, err, result, what);
        goto fail;
    }
    status = block_allocate(device, block, what, err);
    if (status != STO_OK)
        goto fail;
    block->address = device->vk.vkGetBufferDeviceAddress(
        device->handle,
        &(VkBufferDeviceAddressInfo){.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = block->buffer});
    if (block->address == 0 || block->address % ALIGNMENT != 0) {
        status =
            sto_fail(err, STO_ERR_FAILED, "%s: the driver placed a buffer at 0x%" PRIx64 ", not at a multiple of %d",
                     what, block->address, (int)ALIGNMENT);
        goto fail;
    }
    *out = block;
    return STO_OK;
fail:
    block_destroy(device, block);
    return status;
}

/* ---- ranges of shared blocks ---- */

/* First fit. False when no span is long enough. */
static bool block_take(struct sto_block *block, uint64_t bytes, uint64_t *offset)
{
    for (uint32_t i = 0; i < block->n_free; i++) {
        struct sto_span *span = &block->free[i];
        if (span->bytes < bytes)
            continue;
        *offset = span->offset;
        span->offset += bytes;
        span->bytes -= bytes;
        block->n_ranges++;
        if (span->bytes == 0) {
            memmove(span, span + 1, (block->n_free - i - 1) * sizeof *span);
            block->n_free--;
        }
        return true;
    }
    return false;
}

/* Makes room for as many spans as there would be with one more range in use, so that giving back never allocates. */
static bool block_reserve(struct sto_block *block)
{
    if (block->n_ranges + 2 <= block->cap_free)
        return true;
    struct sto_span *more = sto_realloc(block->free, 2 * (size_t)block->cap_free, sizeof *more);
    if (more == NULL)
        return false;
    block->free = more;
    block->cap_free *= 2;
    return true;
}

static void block_give_back(struct sto_block *block, uint64_t offset, uint64_t bytes)
{
    block->n_ranges--;
    uint32_t i = 0;
    while (i < block->n_free && block->free[i].offset < offset)
        i++;
    const bool joins_left = i > 0 && block->free[i - 1].offset + block->free[i - 1].bytes == offset;
    const bool joins_right = i < block->n_free && offset + bytes == block->free[i].offset;
    if (joins_left && joins_right) {
        block->free[i - 1].bytes += bytes + block->free[i].bytes;
        memmove(&block->free[i], &block->free[i + 1], (block->n_free - i - 1) * sizeof *block->free);
        block->n_free--;
    } else if (joins_left) {
        block->free[i - 1].bytes += bytes;
    } else if (joins_right) {
        block->free[i].offset = offset;
        block->free[i].bytes += bytes;
    } else {
        memmove(&block->free[i + 1], &block->free[i], (block->n_free - i) * sizeof *block->free);
        block->free[i] = (struct sto_span){offset, bytes};
        block->n_free++;
    }
}

/* ---- buffers ---- */

/* Finds or makes a block with room; the lock is held. */
static enum sto_status place(struct sto_device *device, enum sto_memory kind, uint64_t bytes, const char *what,
                             struct sto_block **block, uint64_t *offset, struct sto_error *err)
{
    *offset = 0;
    const bool shared = bytes < SMALL_BYTES;
    for (struct sto_block *b = device->blocks; shared && b != NULL; b = b->next) {
        if (b->shared && b->kind == kind && block_reserve(b) && block_take(b, bytes, offset)) {
            *block = b;
            return STO_OK;
        }
    }
    const enum sto_status status =
        block_create(device, kind, shared ? (uint64_t)SHARED_BLOCK_BYTES : bytes, shared, what, block, err);
    if (status != STO_OK)
        return status;
    (*block)->next = device->blocks;
    device->blocks = *block;
    if (shared)
        (void)block_take(*block, bytes, offset);
    return STO_OK;
}

enum sto_status sto_buffer_create(struct sto_device *device, enum sto_memory memory, uint64_t bytes, const char *what,
                                  struct sto_buffer *out, struct sto_error *err)
{
    *out = (struct sto_buffer){0};
    if (bytes == 0 || bytes > UINT64_MAX - ALIGNMENT)
        return sto_fail(err, STO_ERR_USAGE, "%s: a buffer of %" PRIu64 " bytes cannot be made", what, bytes);
    struct sto_buffer_impl *impl = sto_calloc(1, sizeof *impl);
    if (impl == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: out of memory", what);
    impl->bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    sto_mutex_lock(device->lock);
    const enum sto_status status = place(device, memory, impl->bytes, what, &impl->block, &impl->offset, err);
    sto_mutex_unlock(device->lock);
    if (status != STO_OK) {
        sto_free(impl);
        return status;
    }
    out->address = impl->block->address + impl->offset;
    out->bytes = bytes;
    out->mapped = impl->block->mapped != NULL ? impl->block->mapped + impl->offset : NULL;
    out->impl = impl;
    return STO_OK;
}

void sto_buffer_destroy(struct sto_device *device, struct sto_buffer *buffer)
{
    if (buffer == NULL || buffer->impl == NULL)
        return;
    struct sto_buffer_impl *impl = buffer->impl;
    struct sto_block *block = impl->block;
    sto_mutex_lock(device->lock);
    if (block->shared)
        block_give_back(block, impl->offset, impl->bytes);
    if (!block->shared || block->n_ranges == 0) {
        struct sto_block **link = &device->blocks;
        while (*link != block)
            link = &(*link)->next;
        *link = block->next;
        block_destroy(device, block);
    }
    sto_mutex_unlock(device->lock);
    sto_free(impl);
    *buffer = (struct sto_buffer){0};
}

enum sto_memory sto_buffer_memory(const struct sto_buffer *buffer)
{
    return buffer->impl->block->kind;
}

VkBuffer sto_buffer_handle(const struct sto_buffer *buffer, uint64_t *offset)
{
    *offset = buffer->impl->offset;
    return buffer->impl->block->buffer;
}

void sto_memory_destroy(struct sto_device *device)
{
    while (device->blocks != NULL) {
        struct sto_block *next = device->blocks->next;
        block_destroy(device, device->blocks);
        device->blocks = next;
    }
}

/* ---- figures ---- */

uint64_t sto_device_free_bytes(struct sto_device *device)
{
    const struct sto_device_snapshot *s = &device->snapshot;
    const uint32_t heap = s->memory_types[device->plan.device_memory_type].heap;
    /* A CPU driver's heap is a figure of its own (Mesa says 2 GiB); what it gives out is the machine's memory. */
    const uint64_t ram_bytes = s->kind == STO_DEVICE_CPU ? sto_ram_bytes() : 0;
    const uint64_t heap_bytes = s->heaps[heap].bytes > ram_bytes ? s->heaps[heap].bytes : ram_bytes;
    const uint64_t ours = atomic_load(&device->bytes);
    const uint64_t by_heap = heap_bytes > ours ? heap_bytes - ours : 0;
    if (!device->plan.use_memory_budget || ram_bytes > 0)
        return by_heap;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                                .pNext = &budget};
    vkGetPhysicalDeviceMemoryProperties2(device->physical, &memory);
    if (budget.heapBudget[heap] == 0)
        return by_heap;
    /* Some drivers report a budget above the heap. Usage is this process's, and the budget includes it. */
    const uint64_t total = budget.heapBudget[heap] < heap_bytes ? budget.heapBudget[heap] : heap_bytes;
    const uint64_t used = budget.heapUsage[heap] > ours ? budget.heapUsage[heap] : ours;
    return total > used ? total - used : 0;
}

void sto_device_heap_state(struct sto_device *device, struct sto_heap_state *out)
{
    const struct sto_device_snapshot *s = &device->snapshot;
    const uint32_t heap = s->memory_types[device->plan.device_memory_type].heap;
    *out = (struct sto_heap_state){.heap_bytes = s->heaps[heap].bytes, .ours_bytes = atomic_load(&device->bytes)};
    if (!device->plan.use_memory_budget)
        return;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                                .pNext = &budget};
    vkGetPhysicalDeviceMemoryProperties2(device->physical, &memory);
    out->budget_bytes = budget.heapBudget[heap];
    out->used_bytes = budget.heapUsage[heap];
}

bool sto_device_pci_address(const struct sto_device *device, uint32_t address[4])
{
    VkPhysicalDevicePCIBusInfoPropertiesEXT pci = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &pci};
    if (!device->snapshot.ext_pci_bus_info)
        return false;
    vkGetPhysicalDeviceProperties2(device->physical, &properties);
    address[0] = pci.pciDomain;
    address[1] = pci.pciBus;
    address[2] = pci.pciDevice;
    address[3] = pci.pciFunction;
    return true;
}

uint64_t sto_device_bytes(const struct sto_device *device)
{
    return atomic_load(&device->bytes);
}

uint64_t sto_device_peak_bytes(const struct sto_device *device)
{
    return atomic_load(&device->peak_bytes);
}

uint64_t sto_device_local_bytes(const struct sto_device *device)
{
    return atomic_load(&device->local_bytes);
}

uint64_t sto_device_local_peak_bytes(const struct sto_device *device)
{
    return atomic_load(&device->local_peak_bytes);
}
