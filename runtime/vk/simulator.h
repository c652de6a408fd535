/* A device on paper: queues, timelines and a host, on a clock of its own. What is handed to a simulated device goes
 * through here as it would go to a driver, batch by batch with the same waits and signals, and gets the times that the
 * figures of runtime/simulation.h give it. Nothing of the planner's is used: what a build serialises is slow here.
 *
 *   host      --submit--  --submit--                       waits until a timeline is reached
 *   compute   [wait arrived 3][ batch ][signal used 3]     batches of a queue run in order, one at a time
 *   transfer  [wait used 1][latency][ copy ][signal]       beside the other queue
 *   processor               [ bytes of a layer ]           its reads and copies share the host's memory
 *
 * A batch takes: latency (with jitter) for each of its copies, its bytes to the device, its kernels, its bytes back.
 * Copies in one direction share the link; the link in both directions and the processor share host memory, each
 * getting as much as the others or what it can take. Not simulated: device memory as copies and kernels share it,
 * launches, the host by itself, so that staging and reading from disk take no time. Pure but for its clock: no device,
 * no threads, the same times for the same calls and seed. */
#ifndef STO_VK_SIMULATOR_H
#define STO_VK_SIMULATOR_H

#include "runtime/simulation.h"

struct sto_simulator;

enum sto_sim_queue { STO_SIM_COMPUTE, STO_SIM_TRANSFER, STO_SIM_QUEUES };

struct sto_sim_work {
    double device_s;               /* of kernels: sto_simulator_kernel_s */
    uint64_t up_bytes, down_bytes; /* over the link                      */
    uint32_t copies;               /* over the link                      */
};

struct sto_sim_span {
    double begin_s, end_s; /* since the simulator was created */
};

struct sto_sim_sync {
    uint32_t timeline; /* sto_simulator_timeline */
    uint64_t value;    /* of a wait, 0: none     */
};

struct sto_sim_batch {
    struct sto_sim_work work;
    struct sto_sim_sync waits[2], signals[2];
    uint32_t n_signals;
    struct sto_sim_span *span; /* filled in when it has ended; NULL: nobody asks */
    void *tag;                 /* for `started`                                  */
};

/* Called when a batch begins, in the order of the simulated clock. NULL: nobody asks. */
typedef void (*sto_sim_started)(void *user, void *tag);

enum sto_status sto_simulator_create(const struct sto_simulation *figures, sto_sim_started started, void *user,
                                     struct sto_simulator **out, struct sto_error *err);
void sto_simulator_destroy(struct sto_simulator *sim); /* accepts NULL */

/* Seconds of a kernel that reads and writes so many bytes of device memory. product: with weights. */
double sto_simulator_kernel_s(const struct sto_simulator *sim, bool product, uint64_t bytes, uint64_t flops);

/* A timeline, at 0. There are at most 2^16. UINT32_MAX: no memory. */
uint32_t sto_simulator_timeline(struct sto_simulator *sim);
/* What it stands at by now. */
uint64_t sto_simulator_value(struct sto_simulator *sim, uint32_t timeline);
/* The host raises it. */
void sto_simulator_signal(struct sto_simulator *sim, uint32_t timeline, uint64_t value);
/* The host waits for it. False: whatever would raise it is not there, or waits in turn. */
bool sto_simulator_wait(struct sto_simulator *sim, uint32_t timeline, uint64_t value);
/* When the batch ran that raised the timeline to value; one of its last 256. False: it has not, or not one of these. */
bool sto_simulator_span(const struct sto_simulator *sim, uint32_t timeline, uint64_t value, struct sto_sim_span *out);

/* One call of the host's. STO_ERR_NO_FIT: no memory; nothing was handed over. */
enum sto_status sto_simulator_submit(struct sto_simulator *sim, enum sto_sim_queue queue,
                                     const struct sto_sim_batch *batches, uint32_t n, struct sto_error *err);

/* The host's clock, in ns since the simulator was created. */
uint64_t sto_simulator_now_ns(const struct sto_simulator *sim);
/* The host does something else for a while. */
void sto_simulator_pass(struct sto_simulator *sim, double seconds);

/* The processor computes a layer, and the host waits for that: so many bytes of weights, for so many columns, with so
 * many floating-point operations in all. */
void sto_simulator_compute(struct sto_simulator *sim, uint64_t bytes, uint32_t columns, double flops);
/* All its threads read memory from here on, while the host goes on; end: how many bytes they have read; none where the
 * rate of that is not known. */
void sto_simulator_read_begin(struct sto_simulator *sim);
double sto_simulator_read_end(struct sto_simulator *sim);

#endif
