/* The device plan: queues, memory types, subgroup size, features, kernels and tuning from a snapshot. */
#include "runtime/vk/device_plan.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "runtime/vk/tuning.h"

enum { VENDOR_AMD = 0x1002, VENDOR_NVIDIA = 0x10de, VENDOR_INTEL = 0x8086 };
enum { MIN_PUSH_BYTES = 128, API_1_3 = (1 << 22) | (3 << 12) };
/* Two workgroups for each compute unit or multiprocessor; of drivers that do not tell, as for a mid-size card. */
enum { ASSUMED_GROUPS = 64, MAX_CORES = 1 << 16 };

/* ---- what every device must have ---- */

/* The name of the first thing that is missing, NULL when all is there. */
static const char *missing_feature(const struct sto_device_snapshot *s)
{
    const struct {
        bool there;
        const char *name;
    } needs[] = {
        {s->api_version >= API_1_3, "Vulkan 1.3"},
        {s->buffer_device_address, "bufferDeviceAddress"},
        {s->timeline_semaphore, "timelineSemaphore"},
        {s->synchronization2, "synchronization2"},
        {s->maintenance4, "maintenance4"},
        {s->shader_int64, "shaderInt64"},
        {s->shader_int16, "shaderInt16"},
        {s->shader_int8, "shaderInt8"},
        {s->storage_16bit, "storageBuffer16BitAccess"},
        {s->storage_8bit, "storageBuffer8BitAccess"},
        {s->subgroup_arithmetic, "subgroup arithmetic in compute shaders"},
        {s->subgroup_shuffle, "subgroup shuffle in compute shaders"},
        {s->subgroup_size >= 4, "a subgroup size of 4 or more"},
        {s->max_push_bytes >= MIN_PUSH_BYTES, "128 bytes of push constants"},
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        if (!needs[i].there)
            return needs[i].name;
    }
    return NULL;
}

/* ---- queues ---- */

/* A compute family without graphics (its work does not wait behind a desktop's), else any compute family. */
static bool choose_queues(const struct sto_device_snapshot *s, struct sto_device_plan *p)
{
    uint32_t compute = UINT32_MAX, transfer = UINT32_MAX;
    for (uint32_t i = 0; i < s->n_queue_families; i++) {
        const bool usable = s->queue_families[i].count > 0;
        if (!usable)
            continue;
        if (s->queue_families[i].compute &&
            (compute == UINT32_MAX || (s->queue_families[compute].graphics && !s->queue_families[i].graphics)))
            compute = i;
        if (transfer == UINT32_MAX && s->queue_families[i].transfer && !s->queue_families[i].compute &&
            !s->queue_families[i].graphics)
            transfer = i;
    }
    p->compute_family = compute;
    p->has_transfer_queue = transfer != UINT32_MAX;
    p->transfer_family = p->has_transfer_queue ? transfer : compute;
    return compute != UINT32_MAX;
}

/* ---- memory ---- */

enum memory_wish { WISH_LOCAL = 1, WISH_MAPPED = 2, WISH_CACHED = 4, AVOID_LOCAL = 8, AVOID_CACHED = 16 };

/* The first memory type of `heap` (any when UINT32_MAX) that meets every wish. */
static uint32_t find_type(const struct sto_device_snapshot *s, uint32_t heap, unsigned wish)
{
    for (uint32_t i = 0; i < s->n_memory_types; i++) {
        const bool mapped = s->memory_types[i].host_visible && s->memory_types[i].host_coherent;
        if (s->memory_types[i].lazily_allocated || s->memory_types[i].protected_memory ||
            s->memory_types[i].device_uncached || (heap != UINT32_MAX && s->memory_types[i].heap != heap))
            continue;
        if (((wish & WISH_LOCAL) != 0 && !s->memory_types[i].device_local) || ((wish & WISH_MAPPED) != 0 && !mapped) ||
            ((wish & WISH_CACHED) != 0 && !s->memory_types[i].host_cached) ||
            ((wish & AVOID_LOCAL) != 0 && s->memory_types[i].device_local) ||
            ((wish & AVOID_CACHED) != 0 && s->memory_types[i].host_cached))
            continue;
        return i;
    }
    return STO_NO_MEMORY_TYPE;
}

/* The first wish list that a memory type meets. */
static uint32_t find_first(const struct sto_device_snapshot *s, const unsigned *wishes, size_t n)
{
    uint32_t type = STO_NO_MEMORY_TYPE;
    for (size_t i = 0; i < n && type == STO_NO_MEMORY_TYPE; i++)
        type = find_type(s, UINT32_MAX, wishes[i]);
    return type;
}

/* The largest heap among those that are device local (or not, or both with any). */
static uint32_t largest_heap(const struct sto_device_snapshot *s, bool any)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < s->n_heaps; i++) {
        if ((any || s->heaps[i].device_local) && (best == UINT32_MAX || s->heaps[i].bytes > s->heaps[best].bytes))
            best = i;
    }
    return best;
}

static bool choose_memory(const struct sto_device_snapshot *s, bool no_mapping, struct sto_device_plan *p)
{
    p->unified_memory = s->kind == STO_DEVICE_CPU || s->kind == STO_DEVICE_INTEGRATED;
    uint32_t heap = largest_heap(s, false);
    const uint32_t any = largest_heap(s, true);
    if (any == UINT32_MAX)
        return false;
    /* An integrated GPU's carve-out is not the memory it can use. */
    if (heap == UINT32_MAX || (p->unified_memory && s->heaps[heap].bytes < s->heaps[any].bytes / 2))
        heap = any;

    p->device_heap_bytes = s->heaps[heap].bytes;
    p->device_memory_type = no_mapping ? STO_NO_MEMORY_TYPE : find_type(s, heap, WISH_LOCAL | WISH_MAPPED);
    if (p->device_memory_type == STO_NO_MEMORY_TYPE && p->unified_memory && !no_mapping)
        p->device_memory_type = find_type(s, heap, WISH_MAPPED);
    p->device_memory_mapped = p->device_memory_type != STO_NO_MEMORY_TYPE;
    if (!p->device_memory_mapped)
        p->device_memory_type = find_type(s, heap, WISH_LOCAL);
    if (p->device_memory_type == STO_NO_MEMORY_TYPE)
        p->device_memory_type = find_type(s, heap, 0);

    /* Discrete cards reach system memory over the bus; the window into their own memory is small and wanted elsewhere.
     * Where memory is shared the driver's order decides: it lists first what is fastest. */
    const unsigned up[] = {WISH_MAPPED | AVOID_LOCAL | AVOID_CACHED, WISH_MAPPED | AVOID_LOCAL, WISH_MAPPED};
    const unsigned back[] = {WISH_MAPPED | WISH_CACHED | AVOID_LOCAL, WISH_MAPPED | WISH_CACHED, WISH_MAPPED};
    p->upload_memory_type = find_first(s, up, sizeof up / sizeof *up);
    p->readback_memory_type = find_first(s, back, sizeof back / sizeof *back);
    return p->device_memory_type != STO_NO_MEMORY_TYPE && p->upload_memory_type != STO_NO_MEMORY_TYPE &&
           p->readback_memory_type != STO_NO_MEMORY_TYPE;
}

/* ---- subgroups ---- */

static bool can_require(const struct sto_device_snapshot *s, uint32_t size)
{
    return s->subgroup_size_control && size >= s->min_subgroup_size && size <= s->max_subgroup_size &&
           (size & (size - 1)) == 0;
}

static enum sto_status choose_subgroup(const struct sto_device_snapshot *s, uint32_t asked, struct sto_device_plan *p,
                                       struct sto_error *err)
{
    p->subgroup_size = s->subgroup_size;
    if (asked != 0) {
        if (asked != s->subgroup_size && !can_require(s, asked))
            return sto_fail(err, STO_ERR_USAGE, "%s: subgroups of %u are not possible here (%u to %u)", s->name,
                            (unsigned)asked,
                            (unsigned)(s->subgroup_size_control ? s->min_subgroup_size : s->subgroup_size),
                            (unsigned)(s->subgroup_size_control ? s->max_subgroup_size : s->subgroup_size));
        p->subgroup_size = asked;
    } else if (s->vendor_id == VENDOR_INTEL && s->kind != STO_DEVICE_CPU && can_require(s, 8)) {
        p->subgroup_size = 8; /* native before Xe2; at 16 an invocation has 64 registers, and large kernels spill */
    } else if (s->vendor_id == VENDOR_INTEL && s->kind != STO_DEVICE_CPU && can_require(s, 16)) {
        p->subgroup_size = 16; /* native from Xe2 on, with twice the registers */
    } else if (s->vendor_id == VENDOR_AMD && can_require(s, 32)) {
        p->subgroup_size = 32; /* RDNA's native width; 64 runs as two passes */
    }
    p->require_subgroup_size = can_require(s, p->subgroup_size) && s->min_subgroup_size != s->max_subgroup_size;
    return STO_OK;
}

/* ---- cooperative matrices ---- */

enum { FLOAT16 = 0, FLOAT32 = 1, SINT8 = 3, SINT32 = 5, SCOPE_SUBGROUP = 3 }; /* VkComponentTypeKHR, VkScopeKHR */

/* The largest size that multiplies such types within a subgroup, of those that the kernels can use: K divides their 32
 * elements and is at most max_k, loads of 16 bytes are aligned. All zero when there is none. */
static struct sto_matrix_size find_matrix(const struct sto_device_snapshot *s, uint32_t type, uint32_t sum_type,
                                          uint32_t max_k)
{
    struct sto_matrix_size best = {0};
    for (uint32_t i = 0; i < s->n_coopmat_shapes; i++) {
        const uint32_t m = s->coopmat_shapes[i].m, n = s->coopmat_shapes[i].n, k = s->coopmat_shapes[i].k;
        const bool types = s->coopmat_shapes[i].a_type == type && s->coopmat_shapes[i].b_type == type &&
                           s->coopmat_shapes[i].c_type == sum_type && s->coopmat_shapes[i].result_type == sum_type;
        const bool sizes = m > 0 && m <= 64 && n > 0 && n <= 64 && (k == 8 || k == 16 || k == 32) && k <= max_k;
        if (types && sizes && s->coopmat_shapes[i].scope == SCOPE_SUBGROUP && !s->coopmat_shapes[i].saturating &&
            m * n * k > best.m * best.n * best.k)
            best = (struct sto_matrix_size){m, n, k};
    }
    return best;
}

static void choose_coopmat(const struct sto_device_snapshot *s, struct sto_device_plan *p)
{
    if (p->use_f16)
        p->coopmat.size = find_matrix(s, FLOAT16, FLOAT32, 32);
    p->coopmat.int8 = find_matrix(s, SINT8, SINT32, 32);
    p->coopmat.int8_k16 = find_matrix(s, SINT8, SINT32, 16);
    p->use_coopmat = p->coopmat.size.m > 0 || p->coopmat.int8.m > 0;
    const bool large = s->vendor_id == VENDOR_AMD || s->vendor_id == VENDOR_NVIDIA; /* 256 registers of an invocation */
    const bool intel = s->vendor_id == VENDOR_INTEL && s->kind != STO_DEVICE_CPU; /* 128, half of them for scratch */
    if (p->use_coopmat) {
        p->coopmat.product_sums = large ? 128 : 32;
        p->coopmat.attention_sums = large ? 128 : intel ? 32 : 64;
        p->coopmat.attention_split = intel ? 4 : 1;
    }
}

/* ---- kernels ---- */

static bool is_usable(const struct sto_device_plan *p, const struct sto_kernel_info *info)
{
    return info->spirv != NULL && ((info->needs & STO_NEEDS_F16) == 0 || p->use_f16) &&
           ((info->needs & STO_NEEDS_INT_DOT) == 0 || p->use_int_dot) &&
           ((info->needs & STO_NEEDS_COOPMAT) == 0 || p->coopmat.size.m > 0) &&
           ((info->needs & STO_NEEDS_COOPMAT_I8) == 0 || p->coopmat.int8.m > 0) &&
           ((info->needs & STO_NEEDS_COOPMAT_I8_K16) == 0 || p->coopmat.int8_k16.m > 0);
}

/* The kernel called prefix_type that may be used, STO_KERNEL_COUNT when there is none. */
static enum sto_kernel find_variant(const struct sto_device_plan *p, const char *prefix, enum sto_type type)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s_%s", prefix, sto_type_name(type));
    for (char *c = name; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    const enum sto_kernel kernel = sto_kernel_by_name(name);
    return kernel != STO_KERNEL_COUNT && p->usable[kernel] && !p->set_aside[kernel] ? kernel : STO_KERNEL_COUNT;
}

static enum sto_kernel find_either(const struct sto_device_plan *p, const char *first, const char *second,
                                   enum sto_type type)
{
    const enum sto_kernel kernel = find_variant(p, first, type);
    return kernel != STO_KERNEL_COUNT ? kernel : find_variant(p, second, type);
}

void sto_device_plan_choose(const struct sto_device_snapshot *s, struct sto_device_plan *p)
{
    /* On a CPU an invocation is a lane of a vector, and there are no matrix units. */
    const bool cpu = s->kind == STO_DEVICE_CPU;
    const bool q8 = !p->set_aside[STO_KERNEL_quantize_q8] && !p->set_aside[STO_KERNEL_rmsnorm_q8] &&
                    !p->set_aside[STO_KERNEL_glu_q8];
    for (uint32_t i = 0; i < STO_TYPE_COUNT; i++) {
        const enum sto_type type = (enum sto_type)i;
        p->embed[i] = find_variant(p, "embed", type);
        p->matvec[i] = cpu ? find_either(p, "matrows", "matvec", type) : find_either(p, "matvec", "matrows", type);
        p->matmul[i] = cpu ? find_either(p, "matrows", "matmul", type) : find_either(p, "matmul", "matrows", type);
        p->matmul_f16[i] = find_either(p, cpu ? "matmul_f16" : "matmul_coopmat", "matmul_f16", type);
        p->attn_prefill[i] = find_variant(p, "attn_prefill", type);
        p->attn_prefill_f16[i] = cpu ? STO_KERNEL_COUNT : find_variant(p, "attn_prefill_coopmat", type);
        p->matvec_q8[i] = p->matmul_q8[i] = STO_KERNEL_COUNT;
        if (q8) { /* what makes 8-bit activations is there */
            p->matvec_q8[i] = find_either(p, cpu ? "matrows_q8" : "matvec_q8", "matvec_q8", type);
            p->matmul_q8[i] = find_either(p, cpu ? "matrows_q8" : "matmul_coopmat_q8", "matmul_q8", type);
        }
    }
}

static void choose_kernels(const struct sto_device_snapshot *s, struct sto_device_plan *p)
{
    for (uint32_t i = 0; i < STO_KERNEL_COUNT; i++) {
        const struct sto_kernel_info *info = sto_kernel_get((enum sto_kernel)i);
        sto_tuning_make(&(struct sto_tuning_input){.snapshot = s, .plan = p, .kernel = info}, &p->tuning[i]);
        p->usable[i] = is_usable(p, info) && sto_tuning_shared_bytes(info, &p->tuning[i]) <= s->max_shared_bytes;
    }
    sto_device_plan_choose(s, p);
}

/* ---- the plan ---- */

enum sto_status sto_device_plan_make(const struct sto_device_snapshot *s, const struct sto_plan_options *options,
                                     struct sto_device_plan *out, struct sto_error *err)
{
    static const struct sto_plan_options none;
    const struct sto_plan_options *o = options != NULL ? options : &none;
    memset(out, 0, sizeof *out);
    const char *missing = missing_feature(s);
    if (missing != NULL)
        return sto_fail(err, STO_ERR_NO_DEVICE, "%s: needs %s, which this driver does not have", s->name, missing);
    if (!choose_queues(s, out))
        return sto_fail(err, STO_ERR_NO_DEVICE, "%s: needs a compute queue, which this driver does not have", s->name);
    if (!choose_memory(s, o->no_mapping, out))
        return sto_fail(err, STO_ERR_NO_DEVICE,
                        "%s: needs memory that the host can see, which this driver does not have", s->name);
    const enum sto_status status = choose_subgroup(s, o->subgroup_size, out, err);
    if (status != STO_OK)
        return status;
    out->use_f16 = s->shader_float16 && !o->no_f16;
    out->f16_by_default = out->use_f16 && s->kind != STO_DEVICE_CPU; /* a CPU converts f16 for every product */
    out->use_int_dot = s->int_dot_product && !o->no_int_dot;
    if (s->ext_cooperative_matrix && s->vulkan_memory_model && !o->no_coopmat)
        choose_coopmat(s, out);
    out->max_shared_bytes = s->max_shared_bytes;
    out->busy_groups = s->shader_cores > 0 && s->shader_cores < MAX_CORES ? 2 * s->shader_cores : ASSUMED_GROUPS;
    out->use_memory_budget = s->ext_memory_budget;
    out->use_memory_priority = s->ext_memory_priority;
    choose_kernels(s, out);
    return STO_OK;
}
