/* What a physical device says of itself, as a plain struct and as text.
 *
 * The device plan is computed from this and nothing else, so a snapshot of a card that is not here is test data:
 * tests/snapshots/NAME.txt, one "key value" per line, written by `strato devices --snapshot`. No Vulkan types, so the
 * plan and its tests need no driver. */
#ifndef STO_VK_SNAPSHOT_H
#define STO_VK_SNAPSHOT_H

#include "runtime/base/status.h"

enum { STO_MAX_HEAPS = 16, STO_MAX_MEMORY_TYPES = 32, STO_MAX_QUEUE_FAMILIES = 16, STO_MAX_COOPMAT_SHAPES = 64 };

enum sto_device_kind {
    STO_DEVICE_OTHER, STO_DEVICE_INTEGRATED, STO_DEVICE_DISCRETE, STO_DEVICE_VIRTUAL, STO_DEVICE_CPU
};

struct sto_device_snapshot {
    /* identity */
    char name[256], driver_name[256], driver_info[256];
    uint32_t vendor_id, device_id, driver_id, driver_version, api_version; /* as Vulkan numbers them */
    enum sto_device_kind kind;
    uint8_t pipeline_cache_uuid[16];

    /* limits */
    uint32_t max_workgroup_invocations, max_workgroup_size[3], max_workgroup_count[3];
    uint32_t max_shared_bytes, max_push_bytes, max_allocations;
    uint32_t shader_cores; /* compute units (AMD) or multiprocessors (NVIDIA); 0: the driver does not say */
    uint64_t max_buffer_bytes, max_allocation_bytes, max_storage_range_bytes;
    uint64_t min_import_alignment_bytes;               /* host-pointer import; 0: not there */
    uint64_t non_coherent_atom_bytes, copy_alignment_bytes;
    float timestamp_period_ns;                         /* 0: no timestamps on compute queues */

    /* subgroups */
    uint32_t subgroup_size, min_subgroup_size, max_subgroup_size; /* invocations */
    bool subgroup_size_control, full_subgroups;  /* a size can be required for compute        */
    bool subgroup_arithmetic, subgroup_shuffle, subgroup_ballot, subgroup_vote;

    /* features */
    bool buffer_device_address, timeline_semaphore, synchronization2, maintenance4;
    bool shader_int64, shader_int16, shader_int8, shader_float16;
    bool storage_16bit, storage_8bit, push_constant_16bit;
    bool int_dot_product, int_dot_4x8_accelerated; /* shaderIntegerDotProduct; packed 4x8 signed is fast */
    bool vulkan_memory_model; /* with device scope: kernels count workgroups */
    bool scalar_block_layout, pipeline_creation_feedback, host_query_reset;

    /* extensions */
    bool ext_memory_budget, ext_memory_priority, ext_external_memory_host, ext_pipeline_executable_properties;
    bool ext_calibrated_timestamps, ext_cooperative_matrix, ext_cooperative_matrix2, ext_pci_bus_info;
    bool ext_portability_subset; /* must be enabled where it is there (MoltenVK) */

    uint32_t n_heaps;
    struct {
        uint64_t bytes, budget_bytes, usage_bytes; /* budget 0: not reported */
        bool device_local;
    } heaps[STO_MAX_HEAPS];
    uint32_t n_memory_types;
    struct {
        uint32_t heap;
        bool device_local, host_visible, host_coherent, host_cached, lazily_allocated, protected_memory;
        bool device_uncached; /* slow for the GPU's own use (VK_AMD_device_coherent_memory) */
    } memory_types[STO_MAX_MEMORY_TYPES];
    uint32_t n_queue_families;
    struct {
        uint32_t count, timestamp_bits;
        bool graphics, compute, transfer, sparse;
    } queue_families[STO_MAX_QUEUE_FAMILIES];
    uint32_t n_coopmat_shapes;
    struct {
        uint32_t m, n, k, a_type, b_type, c_type, result_type; /* VkComponentTypeKHR numbers */
        bool saturating;
        uint32_t scope; /* VkScopeKHR number */
    } coopmat_shapes[STO_MAX_COOPMAT_SHAPES];
};

/* Text form; what is written reads back equal. `name` stands for the file in errors (line and key are named). */
enum sto_status sto_snapshot_parse(const char *name, const char *text, size_t size, struct sto_device_snapshot *out,
                                   struct sto_error *err);
/* Writes at most size bytes including the NUL; returns the length it would need. */
size_t sto_snapshot_print(const struct sto_device_snapshot *snapshot, char *text, size_t size);

#endif
