/* One kernel to be timed: operands on the device, a dispatch that can be recorded any number of times, and what it
 * costs at least.
 *
 *   sto_kernel_case_create -> _record (again and again) -> _check -> _destroy
 *
 * Dispatches are recorded through runtime/ops with a plan of the case's own that names this kernel. One thread. */
#ifndef STO_MEASURE_KERNEL_CASE_H
#define STO_MEASURE_KERNEL_CASE_H

#include "runtime/ops/ops.h"

/* What a person may choose. */
struct sto_kernel_shape {
    uint32_t rows, inputs; /* of a matrix; inputs are also the width of activations                      */
    uint32_t columns;      /* 0: as many as suit the kernel                                              */
    uint64_t cold_bytes;   /* few columns: matrices are taken in turn from copies that take up this much */
};

struct sto_kernel_case {
    struct sto_device *device;
    enum sto_kernel kernel;
    struct sto_kernel_shape shape;
    struct sto_device_plan plan;
    struct sto_ops ops;
    struct sto_buffer weights, x, xq, y, pieces, step;
    struct sto_buffer more[5]; /* as the source names them */
    uint8_t *w;          /* [rows, inputs] on the host, in the kernel's format */
    float *host_x;       /* [columns, inputs]                                  */
    uint32_t copies;     /* of the matrix                                      */
    uint64_t copy_bytes; /* from one to the next                               */
    uint64_t flops;      /* of one dispatch                                    */
    uint64_t bytes;      /* that one dispatch has to move                      */
};

/* False: this program has no case for the kernel's source. */
bool sto_kernel_case_known(enum sto_kernel kernel);
/* tuning: instead of the plan's; NULL: the plan's. */
enum sto_status sto_kernel_case_create(struct sto_device *device, enum sto_kernel kernel,
                                       const struct sto_kernel_shape *shape, const struct sto_tuning *tuning,
                                       struct sto_kernel_case *out, struct sto_error *err);
void sto_kernel_case_destroy(struct sto_kernel_case *c); /* accepts a zeroed or half-made one */
/* Records one operation. turn counts up, and says which copy of the matrix it reads. */
void sto_kernel_case_record(struct sto_kernel_case *c, struct sto_recording *rec, uint32_t turn);
/* After it has run: largest error of sampled elements, over their bound; 0 where the source has no check here (those
 * of runtime/verify remain). */
enum sto_status sto_kernel_case_check(struct sto_kernel_case *c, double *error_over_bound, struct sto_error *err);

/* ---- for the files that hold the cases of other sources than matrices and activations ---- */

struct sto_kernel_source {
    const char *source; /* as in kernels.txt; NULL ends a list */
    enum sto_status (*create)(struct sto_kernel_case *c, struct sto_error *err); /* shape, counts, buffers */
    void (*record)(struct sto_kernel_case *c, uint32_t turn);                    /* into c->ops.rec        */
};
extern const struct sto_kernel_source sto_kernel_case_attention[], sto_kernel_case_step[];

/* Uniform in [-1, 1). */
float sto_kernel_case_random(void);
/* A buffer on the device that holds data, or nothing yet when data is NULL. */
enum sto_status sto_kernel_case_buffer(struct sto_kernel_case *c, struct sto_buffer *buffer, const char *what,
                                       const void *data, uint64_t bytes, struct sto_error *err);
enum sto_status sto_kernel_case_upload(struct sto_kernel_case *c, struct sto_buffer *buffer, uint64_t offset,
                                       const void *data, uint64_t bytes, struct sto_error *err);
/* One dispatch of the case's kernel; `use` is what it writes. */
void sto_kernel_case_dispatch(struct sto_kernel_case *c, const void *args, uint32_t groups_x, uint32_t groups_y,
                          const struct sto_use *use);

#endif
