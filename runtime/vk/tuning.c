/* Tuning by rule: one row per shader source. A source without a row has the default workgroup and no constants of its
 * own. Constant 0 is the workgroup size and 1 the subgroup size for every kernel; a rule may change the workgroup size
 * (keep it a multiple of the subgroup size and within max_workgroup_invocations: round_workgroup does both) and adds
 * what its source declares as constant_id 2 and up. */
#include "runtime/vk/tuning.h"

#include <string.h>

enum { VENDOR_AMD = 0x1002, VENDOR_NVIDIA = 0x10de, VENDOR_QUALCOMM = 0x5143 }; /* PCI */

/* The multiple of the subgroup size nearest to `wanted` from below, at least one subgroup, within the device's limits.
 * CPU drivers run a subgroup as one vector: there a workgroup is one subgroup. */
static uint32_t round_workgroup(const struct sto_tuning_input *in, uint32_t wanted)
{
    const struct sto_device_snapshot *s = in->snapshot;
    const uint32_t subgroup = in->plan->subgroup_size > 0 ? in->plan->subgroup_size : 1;
    uint32_t limit = s->max_workgroup_invocations;
    if (limit > s->max_workgroup_size[0])
        limit = s->max_workgroup_size[0];
    if (s->kind == STO_DEVICE_CPU || wanted < subgroup)
        wanted = subgroup;
    if (wanted > limit)
        wanted = limit;
    return wanted >= subgroup ? wanted - wanted % subgroup : wanted;
}

/* ---- rules: values[0] and values[1] are set when a rule is called ---- */

static void tune_probe(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    t->values[0] = round_workgroup(in, 256);
}

/* Reading memory: 2 is how many units of 16 bytes an invocation reads. */
static void tune_read_sum(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    t->values[0] = round_workgroup(in, 256);
    t->values[2] = in->snapshot->kind == STO_DEVICE_CPU ? 64 : 16;
    t->n_values = 3;
}

/* True where an invocation has 128 registers and more at full subgroup width. Elsewhere (Intel has 64 at 16 wide) wide
 * forms would spill. */
static bool has_many_registers(const struct sto_tuning_input *in)
{
    return in->snapshot->vendor_id == VENDOR_AMD || in->snapshot->vendor_id == VENDOR_NVIDIA;
}

/* Matrix-vector: 2 rows per workgroup (the operation doubles them for one or two columns), 3 the most columns in a
 * dispatch (it specialises for fewer). One subgroup per workgroup: no shared memory. A CPU gains nothing from 8
 * columns, and they take its compiler a second. Four rows of Q3_K are too many for Adreno's registers. */
static void tune_matvec(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    t->values[0] = round_workgroup(in, 1);
    t->values[2] = in->snapshot->vendor_id == VENDOR_QUALCOMM && in->kernel->weight == STO_TYPE_Q3_K ? 1 : 2;
    t->values[3] = has_many_registers(in) ? 8 : 4;
    t->n_values = 4;
}

/* Q2_K has two factors per block: with 4 columns of two rows Apple's registers do not hold them. */
static void tune_matvec_q8(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    const bool cpu = in->snapshot->kind == STO_DEVICE_CPU;
    tune_matvec(in, t);
    if (!has_many_registers(in) && !cpu && in->kernel->weight == STO_TYPE_Q2_K)
        t->values[2] = 1;
}

/* Tiles: 2 rows and 3 columns per invocation, 4 invocations side by side over columns. On a CPU one invocation spans
 * the tile's columns, so that x is the same for the whole vector. */
static void tune_tile(const struct sto_tuning_input *in, struct sto_tuning *t, uint32_t rows, uint32_t cols)
{
    const bool cpu = in->snapshot->kind == STO_DEVICE_CPU;
    t->values[0] = round_workgroup(in, 64);
    t->values[2] = rows;
    t->values[3] = cols;
    t->values[4] = cpu ? 1 : 8;
    t->n_values = 5;
}

static void tune_matmul(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    tune_tile(in, t, has_many_registers(in) ? 8 : 4, 8);
}

static void tune_matmul_q8(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    const bool cpu = in->snapshot->kind == STO_DEVICE_CPU;
    tune_tile(in, t, 4, cpu ? 8 : 4);
}

/* Whole rows per invocation: 2 rows and 3 the most columns of one, 4 where x comes from (0 one address for all lanes,
 * 1 shuffles, 2 broadcasts: X_* in matrows.comp), 5 weights are loaded row by row. A CPU driver's compiler that has
 * cooperative matrices also sees that an address is the same for all lanes and makes one load of it (Mesa 26.2); older
 * ones load lane by lane (25.0 and 22.3), and shuffle eight lanes in one instruction, other numbers one by one. */
static void tune_matrows(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    const struct sto_device_snapshot *s = in->snapshot;
    const bool lane_by_lane = s->kind == STO_DEVICE_CPU && !s->ext_cooperative_matrix;
    const bool plain = in->kernel->weight <= STO_TYPE_BF16; /* wider, LLVM spills */
    t->values[0] = round_workgroup(in, 1);
    t->values[2] = lane_by_lane ? 4 : 1;
    t->values[3] = lane_by_lane ? 16 : plain ? 8 : 32;
    t->values[4] = !lane_by_lane ? 0 : in->plan->subgroup_size == 8 ? 1 : 2;
    t->values[5] = s->kind == STO_DEVICE_CPU && !lane_by_lane;
    t->n_values = 6;
}

/* Two rows share what is made of x; wider, LLVM spills. */
static void tune_matrows_q8(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    tune_matrows(in, t);
    t->values[2] = 2;
    t->values[3] = 16;
}

/* ATTN_*: constants of attn_prefill_coopmat.comp, which its first lines describe. */
enum {
    ATTN_M = 2,
    ATTN_N = 3,
    ATTN_K = 4,
    ATTN_HEAD_DIM = 5,
    ATTN_TOKENS = 6,
    ATTN_HOLD = 7,
    ATTN_SPLIT = 8,
    ATTN_VALUES = 9,
};

static uint32_t attention_shared_bytes(const uint32_t *v)
{
    const uint32_t rows = v[0] / v[1] / v[ATTN_SPLIT] * v[ATTN_M], tokens = v[ATTN_TOKENS];
    const uint32_t pitch_bytes = 2 * v[ATTN_HEAD_DIM] + 16;
    const uint32_t kv_rows = v[ATTN_HOLD] != 0 && rows > 2 * tokens ? rows : 2 * tokens;
    const uint32_t q_rows = v[ATTN_HOLD] != 0 ? 1 : rows;
    return (kv_rows + q_rows) * pitch_bytes + rows * (4 * tokens + 16) + rows * (2 * tokens + 16);
}

/* Rows and columns of a tile of matrices, times the shares of n_in that subgroups take. */
static void coopmat_tile(const uint32_t *v, uint32_t *rows, uint32_t *cols)
{
    const uint32_t subgroups = v[0] / v[1], across = v[7];
    *rows = (across == 0 ? subgroups : subgroups / across) * v[5] * v[2];
    *cols = (across == 0 ? subgroups : across) * v[6] * v[3];
}

/* Scales and minima are counted as if every format had two of each. */
static uint32_t coopmat_q8_shared_bytes(const uint32_t *v)
{
    enum { PITCH_BYTES = 48, W_FACTORS = 4, X_FACTORS = 3 };
    uint32_t rows, cols;
    coopmat_tile(v, &rows, &cols);
    return rows * (PITCH_BYTES + 4 * W_FACTORS) + cols * (PITCH_BYTES + 4 * X_FACTORS) + v[0] / v[1] * v[2] * v[3] * 4;
}

uint32_t sto_tuning_shared_bytes(const struct sto_kernel_info *kernel, const struct sto_tuning *t)
{
    enum { PITCH_BYTES = 80, DEPTH = 32, Q8_BYTES = 48 }; /* of a row: with what keeps rows in different banks; in q8 */
    const uint32_t *v = t->values;

    if (strcmp(kernel->source, "attn_prefill_coopmat.comp") == 0)
        return v[1] > 0 ? attention_shared_bytes(v) : 0;
    if (strcmp(kernel->source, "matmul_coopmat_q8.comp") == 0)
        return v[1] > 0 ? coopmat_q8_shared_bytes(v) : 0;
    if (strcmp(kernel->source, "matmul_coopmat.comp") == 0) {
        uint32_t rows, cols;
        coopmat_tile(v, &rows, &cols);
        return (rows + cols) * PITCH_BYTES + v[0] / v[1] * v[2] * v[3] * 4;
    }
    if (strncmp(kernel->source, "matmul", 6) == 0) {
        const bool q8 = strcmp(kernel->source, "matmul_q8.comp") == 0, f16 = (kernel->needs & STO_NEEDS_F16) != 0;
        return (v[0] / v[4] * v[2] + v[4] * v[3]) * (q8 ? (uint32_t)Q8_BYTES : DEPTH * (f16 ? 2u : 4u));
    }
    if (strncmp(kernel->source, "matvec", 6) == 0) /* sto_op_matvec_tuning doubles the rows of one or two columns */
        return (v[0] + 3) / 4 * v[2] * (v[3] > 4 ? v[3] : 4) * 4;
    return 0;
}

/* Tiles of cooperative matrices: 2 to 4 the device's size, 5 and 6 how many of them a subgroup makes in rows and
 * columns, 7 subgroups side by side over columns (the operation may choose 0: they share n_in). Four subgroups, each
 * with as square a part as its registers hold, and less where shared memory asks. */
static void tune_matrices(const struct sto_tuning_input *in, struct sto_matrix_size size, struct sto_tuning *t)
{
    const uint32_t subgroup = t->values[1], m = size.m, n = size.n;

    t->values[0] = round_workgroup(in, 4 * subgroup);
    t->values[2] = m;
    t->values[3] = n;
    t->values[4] = size.k;
    t->values[5] = t->values[6] = 4;
    t->values[7] = t->values[0] >= 4 * subgroup ? 2 : 1;
    t->n_values = 8;
    while (t->values[5] * t->values[6] > 1 &&
           (t->values[5] * t->values[6] * m * n > in->plan->coopmat.product_sums * subgroup ||
            sto_tuning_shared_bytes(in->kernel, t) > in->snapshot->max_shared_bytes)) {
        uint32_t *larger = t->values[5] * m > t->values[6] * n || t->values[6] == 1 ? &t->values[5] : &t->values[6];
        *larger /= 2;
    }
}

static void tune_matmul_coopmat(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    tune_matrices(in, in->plan->coopmat.size, t);
}

static void tune_matmul_coopmat_q8(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    const bool k16 = (in->kernel->needs & STO_NEEDS_COOPMAT_I8_K16) != 0;
    tune_matrices(in, k16 ? in->plan->coopmat.int8_k16 : in->plan->coopmat.int8, t);
}

/* Attention over many columns. 2 is for the operation, not the kernel: KV tokens times head_dim that a dispatch may go
 * over, 0: any. Mesa's CPU driver ends every loop of an invocation once they have gone round 65,535 times together; the
 * decode kernels, which take over beyond, work piece by piece. There a row of 128 should fit in a workgroup: one that
 * is smaller computes every score once per slice of a row. */
static void tune_attn_prefill(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    const bool cpu = in->snapshot->kind == STO_DEVICE_CPU;
    t->values[0] = cpu ? 32 : round_workgroup(in, 128);
    t->values[2] = cpu ? 1 << 19 : 0;
    t->n_values = 3;
}

/* How many subgroups share the outputs of a row: as few as leave each half of the sums that it can keep, so that the
 * rest of the loop has room; a power of two that divides rows, outputs and scores. */
static uint32_t split_attention(const struct sto_device_plan *plan, const uint32_t *v, uint32_t head_dim)
{
    enum { MOST_LANES = 8 }; /* of a row: each takes a vector of four of 32 scores */
    uint32_t split = 1;
    while (2 * split <= plan->coopmat.attention_split && 2 * split * v[1] <= v[0] &&
           v[ATTN_M] * head_dim / v[1] / split > plan->coopmat.attention_sums / 2 && v[ATTN_M] % (2 * split) == 0 &&
           2 * split * v[1] / v[ATTN_M] <= MOST_LANES && head_dim % (2 * split * v[ATTN_N]) == 0 &&
           v[ATTN_TOKENS] % (2 * split * v[ATTN_N]) == 0)
        split *= 2;
    return split;
}

/* Attention over many columns on matrix units: sto_tuning_attention goes on from this for other head sizes. */
static void tune_attn_prefill_coopmat(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    const uint32_t most = in->plan->coopmat.attention_split > 0 ? in->plan->coopmat.attention_split : 1;
    uint32_t *v = t->values;
    v[0] = round_workgroup(in, 4 * most * v[1]);
    v[ATTN_M] = in->plan->coopmat.size.m;
    v[ATTN_N] = in->plan->coopmat.size.n;
    v[ATTN_K] = in->plan->coopmat.size.k;
    v[ATTN_HEAD_DIM] = 128;
    v[ATTN_TOKENS] = 32;
    v[ATTN_SPLIT] = split_attention(in->plan, v, v[ATTN_HEAD_DIM]);
    v[ATTN_HOLD] = v[ATTN_SPLIT] == 1;
    t->n_values = ATTN_VALUES;
}

bool sto_tuning_attention(const struct sto_device_plan *plan, const struct sto_kernel_info *kernel, uint32_t head_dim,
                          struct sto_tuning *t)
{
    enum { LEAST_TOKENS = 16, MOST_LANES = 4 };
    uint32_t *v = t->values;
    const uint32_t m = v[ATTN_M], n = v[ATTN_N], k = v[ATTN_K], subgroup = v[1];

    if (t->n_values < ATTN_VALUES || m == 0 || subgroup % m != 0 || subgroup / m > MOST_LANES || v[0] % subgroup != 0 ||
        head_dim % n != 0 || head_dim % k != 0 || v[ATTN_TOKENS] % n != 0 || v[ATTN_TOKENS] % k != 0)
        return false;
    const uint32_t split = split_attention(plan, v, head_dim), sums = m * head_dim / subgroup / split;
    v[0] -= v[0] % (split * subgroup);
    v[ATTN_HEAD_DIM] = head_dim;
    v[ATTN_SPLIT] = split;
    v[ATTN_HOLD] = split == 1 && sums <= plan->coopmat.attention_sums / 2;
    while (sto_tuning_shared_bytes(kernel, t) > plan->max_shared_bytes) {
        if (split == 1 && v[ATTN_TOKENS] > LEAST_TOKENS && LEAST_TOKENS % n == 0 && LEAST_TOKENS % k == 0)
            v[ATTN_TOKENS] = LEAST_TOKENS;
        else if (v[0] > split * subgroup)
            v[0] = v[0] / (split * subgroup) / 2 * (split * subgroup);
        else
            return false;
    }
    return sums <= plan->coopmat.attention_sums;
}

/* A block of logits is one subgroup's work: no shared memory. */
static void tune_sample_max(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    t->values[0] = round_workgroup(in, 1);
}

/* One workgroup goes over all logits; shared memory for 512 fits everywhere. 2 is for the operation: it takes a smaller
 * workgroup when an invocation then has no more logits than this, 0: never. A CPU switches between a workgroup's
 * subgroups at barriers, so few are good, but each invocation's loops must stay short of the driver's limit
 * (tune_attn_prefill). */
static void tune_sample_pick(const struct sto_tuning_input *in, struct sto_tuning *t)
{
    const bool cpu = in->snapshot->kind == STO_DEVICE_CPU;
    const uint32_t most = in->snapshot->max_workgroup_invocations;
    t->values[0] = cpu ? (most < 1024 ? most : 1024) : round_workgroup(in, 512);
    t->values[2] = cpu ? 512 : 0;
    t->n_values = 3;
}

static const struct {
    const char *source;
    void (*rule)(const struct sto_tuning_input *in, struct sto_tuning *t);
} rules[] = {
    {"probe.comp", tune_probe},
    {"random_fill.comp", tune_probe},
    {"read_sum.comp", tune_read_sum},
    {"matvec.comp", tune_matvec},
    {"matvec_q8.comp", tune_matvec_q8},
    {"matmul.comp", tune_matmul},
    {"matmul_q8.comp", tune_matmul_q8},
    {"matmul_coopmat.comp", tune_matmul_coopmat},
    {"matmul_coopmat_q8.comp", tune_matmul_coopmat_q8},
    {"matrows.comp", tune_matrows},
    {"matrows_q8.comp", tune_matrows_q8},
    {"attn_prefill.comp", tune_attn_prefill},
    {"attn_prefill_coopmat.comp", tune_attn_prefill_coopmat},
    {"sample_max.comp", tune_sample_max},
    {"sample_pick.comp", tune_sample_pick},
};

void sto_tuning_make(const struct sto_tuning_input *in, struct sto_tuning *out)
{
    *out = (struct sto_tuning){.n_values = 2};
    out->values[0] = round_workgroup(in, 128);
    out->values[1] = in->plan->subgroup_size;
    out->required_subgroup_size = in->plan->require_subgroup_size ? in->plan->subgroup_size : 0;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (strcmp(rules[i].source, in->kernel->source) == 0)
            rules[i].rule(in, out);
    }
}
