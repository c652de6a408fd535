/* Every kernel against double-precision references, on the device at hand.
 *
 *   sto_verify -> per kernel: sto_verify_source.run -> per case: begin, inputs and outputs, dispatch, run, compare, end
 *
 * All buffers of a case are ranges of one pool on the device with a band of poison before and after each. Poison is NaN
 * as f32, as f16 and as bf16, so what is read from it shows in a result. Outputs begin as poison. When a case ends,
 * whatever was compared is put back, and then the whole pool must be what it was before the run: a changed band, a
 * changed input, an output written outside what was compared all fail the case.
 *
 * Cases are written per source file of kernels.txt, so a new line of an existing source is covered by being there.
 * Errors stick to a case: after the first, its other calls do nothing. One thread at a time. */
#ifndef STO_VERIFY_H
#define STO_VERIFY_H

#include "runtime/ops/ops.h"

/* ---- running them: what the program, the tests and the start-up self-test call ---- */

struct sto_verify_result {
    enum sto_kernel kernel;
    uint32_t cases, failed;
    double worst;          /* largest error over its bound, all cases; <= 1 when none failed, 0: exact everywhere    */
    char worst_case[128];  /* the case that it belongs to                                                          */
    char failure[512];     /* the first failure: case, what, where, values; "" when there is none                  */
    const char *left_out;  /* why the kernel was not run (static text): the device or the build lacks it; or NULL  */
};

struct sto_verify_params {
    const char *kernel;  /* a kernel's name, or the beginning of several; NULL: all                       */
    bool (*wants)(void *user, enum sto_kernel kernel); /* which of these; asked before each is run; NULL: all */
    bool quick;          /* a few odd shapes of each instead of all                                         */
    uint32_t workgroup;  /* overrides specialisation constant 0 where the source allows any; 0: the plan's */
    const struct sto_tuning *tuning; /* [STO_KERNEL_COUNT] instead of the plan's; NULL: the plan's          */
    const struct sto_verify_source *sources; /* looked through first; for tests of these checks; or NULL    */
    void *user;
    void (*result)(void *user, const struct sto_verify_result *result); /* after each kernel; may be NULL */
};

struct sto_verify_summary {
    uint32_t kernels, left_out, failed; /* kernels: that were run, the failed ones among them */
    uint32_t cases;
};

/* Runs the cases of all kernels that match. A wrong answer is no error: it is counted in *summary. STO_ERR_USAGE when
 * no kernel has such a name; else what the device failed with, after the result of the kernel that it failed in.
 * Results do not depend on what else is run: each case seeds its data from its own name. */
enum sto_status sto_verify(struct sto_device *device, const struct sto_verify_params *params,
                           struct sto_verify_summary *summary, struct sto_error *err);
/* False when a kernel has no cases: what the lint test looks for. */
bool sto_verify_covers(enum sto_kernel kernel);

/* ---- writing them ---- */

struct sto_verifier;

struct sto_verify_source {
    const char *source;  /* as in kernels.txt: "rmsnorm.comp"; NULL ends a list                       */
    bool any_workgroup;  /* correct for every workgroup size: sto_verify_params.workgroup is obeyed */
    /* Runs the cases of one kernel of this source; sto_kernel_get(kernel)->weight tells its format. */
    void (*run)(struct sto_verifier *v, enum sto_kernel kernel);
    /* Those of them that tell most in little time; NULL: all. */
    void (*quick)(struct sto_verifier *v, enum sto_kernel kernel);
};

/* The lists, each in the file of its name. verify.c looks through all of them. */
extern const struct sto_verify_source sto_verify_basic[];     /* step_begin, rmsnorm, glu  */
extern const struct sto_verify_source sto_verify_rope_kv[];
extern const struct sto_verify_source sto_verify_attention[];
extern const struct sto_verify_source sto_verify_sample[];    /* sample_max, sample_pick   */
extern const struct sto_verify_source sto_verify_memory[];    /* random_fill, read_sum     */
extern const struct sto_verify_source sto_verify_mat[];       /* matvec, matmul, embed, quantize_q8 */

/* A range of the pool. 256-byte aligned. address is what kernels get; offset is only for the framework. */
struct sto_verify_range {
    uint64_t address, bytes, offset;
};

/* Begins a case; the name (cut at 127 bytes) says its shape: "3 columns, 300 tokens". Frees what the last case had. */
void sto_verify_begin(struct sto_verifier *v, const char *format, ...) STO_PRINTF(2, 3);

/* Zeroed host memory until the next begin: references and data. Never NULL: it comes from a reserve of
 * STO_VERIFY_HOST_BYTES that all of a case must fit in (asserted), as its ranges must in a pool on the device. */
enum { STO_VERIFY_POOL_BYTES = 64 << 20, STO_VERIFY_QUICK_BYTES = 8 << 20, STO_VERIFY_HOST_BYTES = 256 << 20 };
void *sto_verify_alloc(struct sto_verifier *v, size_t n, size_t size);
/* Deterministic data, seeded by the case's name. */
uint32_t sto_verify_random(struct sto_verifier *v);
float sto_verify_uniform(struct sto_verifier *v, float low, float high);
/* n floats, uniform in [-scale, scale): the usual activation. */
float *sto_verify_floats(struct sto_verifier *v, size_t n, float scale);

/* Ranges. data is copied now; an input must not change. An output starts as poison, an inout as data. A hole is an
 * input of poison that pieces are put into (sto_verify_put), such as KV pages with parts that nobody may use. */
struct sto_verify_range sto_verify_input(struct sto_verifier *v, const char *name, const void *data, uint64_t bytes);
struct sto_verify_range sto_verify_inout(struct sto_verifier *v, const char *name, const void *data, uint64_t bytes);
struct sto_verify_range sto_verify_output(struct sto_verifier *v, const char *name, uint64_t bytes);
struct sto_verify_range sto_verify_hole(struct sto_verifier *v, const char *name, uint64_t bytes);
void sto_verify_put(struct sto_verifier *v, struct sto_verify_range range, uint64_t offset, const void *data,
                    uint64_t bytes);
/* Scratch that may hold anything afterwards; starts as poison. */
struct sto_verify_range sto_verify_scratch(struct sto_verifier *v, const char *name, uint64_t bytes);
/* Three uint32 of group counts at offset 0 of *buffer, as sto_op_step_begin and sto_op_attention take them. */
struct sto_verify_range sto_verify_groups(struct sto_verifier *v, const struct sto_buffer **buffer);

/* A view of a range as an activation tensor. */
struct sto_tensor sto_verify_tensor(struct sto_verify_range range, uint32_t rows, uint32_t cols, uint32_t stride);

/* Counters of workgroups (sto_ops): zero, and zero again after each run. Sets them in sto_verify_ops too. */
void sto_verify_counters(struct sto_verifier *v, uint32_t n);

/* For operations: ops->plan is this case's own copy of the device's plan, to be changed through sto_verify_plan (say,
 * plan->matvec[type] = kernel); pieces is 0 until the case sets it. */
struct sto_ops *sto_verify_ops(struct sto_verifier *v);
struct sto_device_plan *sto_verify_plan(struct sto_verifier *v);
/* Or one dispatch of a kernel, ordered after the ones before it; tuning as the case's plan has it. */
void sto_verify_dispatch(struct sto_verifier *v, enum sto_kernel kernel, const void *args, uint32_t groups_x,
                         uint32_t groups_y, uint32_t groups_z);

/* Uploads, submits what was recorded, waits, reads everything back. May be called again for what is recorded after it,
 * on the same data; what was compared before counts as poison again. */
void sto_verify_run(struct sto_verifier *v);
/* False once something failed: skip work that would be for nothing. */
bool sto_verify_ok(const struct sto_verifier *v);

/* What the kernels left in a range; good until the range is compared, which restores it. */
const void *sto_verify_got(struct sto_verifier *v, struct sto_verify_range range);

/* got[r, c] f32, rows stride elements apart from `first` elements into the range, against want [rows, cols] (dense).
 * Passes when |got - want| <= bound * magnitude[r, c] for every element (magnitude dense; NULL: 1 everywhere). The
 * magnitude is what rounding errors scale with, such as the sum of absolute products, so that `bound` is a multiple of
 * 2^-24 that can be explained. */
struct sto_verify_compare {
    struct sto_verify_range range;
    uint64_t first;
    uint32_t rows, cols, stride;
    const double *want, *magnitude;
    double bound;
};
void sto_verify_compare(struct sto_verifier *v, const struct sto_verify_compare *c);
/* The same for 8-bit activations [rows, cols] (shaders/shared/args.h), dense: each block's scale must be within the
 * bound of its largest element, each value within half a scale and its bound, and the sum exactly that of the bytes. */
void sto_verify_compare_q8(struct sto_verifier *v, const struct sto_verify_compare *c);
/* A range may hold anything after all. */
void sto_verify_forget(struct sto_verifier *v, struct sto_verify_range range);
/* bytes of a range, exactly. */
void sto_verify_compare_bytes(struct sto_verifier *v, struct sto_verify_range range, uint64_t offset, const void *want,
                              uint64_t bytes);
/* Fails the case with a reason of its own. */
void sto_verify_fail(struct sto_verifier *v, const char *format, ...) STO_PRINTF(2, 3);
/* Checks bands, inputs and what should not have been written, and counts the case. */
void sto_verify_end(struct sto_verifier *v);

#endif
