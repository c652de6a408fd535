/* `strato tune`: the specialisation constants that suit a device best, found by measuring.
 *
 *   for each kernel that the plan uses: the rule's constants -> one constant changed at a time, while that helps
 *     a candidate -> verified (runtime/verify) -> raced against the best so far -> kept when 3 % faster
 *   then for each format: specialised against portable kernels, 8-bit activations against float products
 *
 * What is found goes into findings (runtime/vk/findings.h) and is kept after every kernel, so that an interrupted
 * search loses nothing. The space is runtime/vk/tuning_space.h's, and what it says of the order of sums holds here.
 * Takes minutes: most of the time goes to the driver's compiler. One thread. */
#ifndef STO_TUNE_H
#define STO_TUNE_H

#include "runtime/verify/verify.h"
#include "runtime/vk/tuning_space.h"

/* A kernel that was searched. */
struct sto_tune_kernel {
    enum sto_kernel kernel;
    struct sto_tuning before, after; /* equal: nothing was faster                                       */
    double before_us, after_us;      /* one column where the kernel takes that, else many; after is
                                        measured beside before in the last race that it won             */
    double gain;                     /* times as fast, over one and many columns; 1: nothing was faster */
    uint32_t tried, wrong;           /* sets of constants; those among them that answered wrongly       */
};

struct sto_tune_params {
    const char *kernel;    /* only kernels whose names begin so; NULL: all that the plan uses */
    const char *cache_dir; /* as in sto_device_params: where findings are kept                */
    uint32_t race_ms;      /* length of a race; 0: 200                                        */
    void *user;
    /* Before each set of constants: how many kernels are done. True to stop; what was found is kept. NULL: none. */
    bool (*progress)(void *user, enum sto_kernel kernel, uint32_t done, uint32_t total);
    void (*found)(void *user, const struct sto_tune_kernel *result); /* after each kernel; NULL: none */
    const struct sto_verify_source *sources; /* see sto_verify_params; for tests */
};

/* device: opened with no_self_test, so that its plan is the rules'. findings: what was known before (they keep what is
 * not measured again), and what is known after, also when the search was stopped (STO_ERR_CANCELLED) or failed.
 * STO_ERR_USAGE: no kernel has such a name, or none that the plan uses. */
enum sto_status sto_tune(struct sto_device *device, const struct sto_tune_params *params, struct sto_findings *findings,
                         struct sto_error *err);

/* The next set of constants to try: of `best`, one constant changed to a choice. *at counts through them, from 0;
 * false: there are no more. Pure. */
bool sto_tune_next(const struct sto_tuning_input *in, const struct sto_tuning *best, uint32_t *at,
                   struct sto_tuning *out);

#endif
