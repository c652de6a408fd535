/* What running a device's kernels has shown: which answer wrongly, which are slower than what can take their place,
 * which constants are the fastest, and for which formats 8-bit activations pay.
 *
 *   self-test, tune -> findings -> sto_findings_apply -> device plan
 *                        <-> text, one file per device in the cache folder
 *
 * Here is what is pure: numbers in, decisions out, tested by table without a driver. Whoever measures writes down
 * figures only; what follows from them is decided in sto_findings_apply. */
#ifndef STO_VK_FINDINGS_H
#define STO_VK_FINDINGS_H

#include "runtime/rates.h"
#include "runtime/vk/device_plan.h"

enum sto_verdict { STO_UNTESTED, STO_RIGHT, STO_WRONG };

struct sto_kernel_finding {
    enum sto_verdict verdict;
    double error;             /* largest, over its bound; infinite: not a number, or it did not run             */
    char reason[200];         /* WRONG: where and what, one line                                                */
    double slowness;          /* time over that of `rival`; 0: not compared                                     */
    enum sto_kernel rival;    /* what would take its place                                                      */
    double gain;              /* times as fast as with the rule's constants; 0: `tuning` is not set             */
    struct sto_tuning tuning; /* the fastest constants that answered rightly                                    */
};

struct sto_findings {
    uint64_t tested_at, tuned_at; /* seconds since 1970, of the latest self-test and tune; 0: never */
    struct sto_kernel_finding kernels[STO_KERNEL_ROWS];
    struct {
        double few, many;         /* columns: time with 8-bit activations over that with float products; 0: not known */
    } q8[STO_TYPE_COUNT];
    struct sto_rates rates;       /* of the machine, by runtime/probe.h; those of products are in: */
    struct {
        double gb_per_s;          /* one column: weights read; 0: not measured   */
        double tflop_per_s;       /* many columns                                */
    } products[STO_TYPE_COUNT], cpu_products[STO_TYPE_COUNT]; /* the device's, and the processor's on all threads */
};

/* A kernel that takes longer than its rival by this much is set aside; 8-bit activations become the default where they
 * need less time by this much. Between the two, differences are noise and what is planned stays. */
#define STO_SLOWER_THAN 1.05
#define STO_FASTER_THAN 0.95

/* Why a kernel is not to be used: STO_ASIDE_SLOW only while its rival answers rightly, as far as is known. */
enum sto_aside { STO_ASIDE_NOT, STO_ASIDE_WRONG, STO_ASIDE_SLOW };
enum sto_aside sto_findings_aside(const struct sto_findings *findings, enum sto_kernel kernel);
/* The kernel, or its rival where that is known to be faster. STO_KERNEL_COUNT stays itself. */
enum sto_kernel sto_findings_faster(const struct sto_findings *findings, enum sto_kernel kernel);

/* Sets kernels aside, chooses others in their place, takes over constants and defaults. What was applied before counts
 * no more. Constants that are not possible (tuning_space.h) are passed over. */
void sto_findings_apply(const struct sto_findings *findings, const struct sto_device_snapshot *snapshot,
                        struct sto_device_plan *plan);

/* What the plan would choose in place of a kernel of a matrix operation if that were set aside; STO_KERNEL_COUNT:
 * nothing, or it serves none. */
enum sto_kernel sto_findings_rival(const struct sto_device_snapshot *snapshot, const struct sto_device_plan *plan,
                                   enum sto_kernel kernel);

/* Whose findings they are. The key stands for the device, its driver, this build's kernels and rules: findings of
 * another key say nothing. Of the plan's options the subgroup size counts. */
struct sto_findings_owner {
    const struct sto_device_snapshot *snapshot;
    const struct sto_device_plan *plan;
    uint64_t key;
};
/* Reads all kernels' code for the key: some milliseconds. */
struct sto_findings_owner sto_findings_owner(const struct sto_device_snapshot *snapshot,
                                             const struct sto_device_plan *plan);

/* Text from outside, read as hostile: *out is complete or zeroed. `name` stands for the file in errors, which name the
 * line too. A text of another key is an error of status STO_ERR_USAGE, one that is damaged of STO_ERR_FAILED. */
enum { STO_MAX_FINDINGS_BYTES = 256 << 10 };
enum sto_status sto_findings_parse(const char *name, const char *text, size_t size,
                                   const struct sto_findings_owner *owner, struct sto_findings *out,
                                   struct sto_error *err);
/* What is written reads back equal, but for digits: ratios have three decimals, rates six. Writes at most size bytes
 * including the NUL; returns the length that it needs. */
size_t sto_findings_print(const struct sto_findings *findings, const struct sto_findings_owner *owner, char *text,
                          size_t size);

/* The file of a device in a folder as sto_device_params.cache_dir names it (NULL, ""). "": there is no folder. */
void sto_findings_path(const struct sto_device_snapshot *snapshot, const struct sto_device_plan *plan,
                       const char *cache_dir, char *path, size_t size);
/* Reads that file into *out: zeroed when there is none, or when it is of another build, or damaged, which is said in
 * one warning. */
void sto_findings_load(const struct sto_device_snapshot *snapshot, const struct sto_device_plan *plan,
                       const char *cache_dir, const struct sto_callbacks *callbacks, struct sto_findings *out);
/* Writes it; the error names the path. Nothing to do without a folder. */
enum sto_status sto_findings_save(const struct sto_findings *findings, const struct sto_device_snapshot *snapshot,
                                  const struct sto_device_plan *plan, const char *cache_dir, struct sto_error *err);

#endif
