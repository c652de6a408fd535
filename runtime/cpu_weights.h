/* The cpu lane's weights: read from the file into memory of its own (load.c), or made where there is none.
 *
 * They are read, not mapped: a file that shrinks under us, or a disk that fails, is then an error of loading and not a
 * signal while tokens are computed; and memory of our own can have large pages. What it costs is one copy of the
 * file's pages at the start. Matrices keep their format, and lie one behind the other in the order of the model's list,
 * so that those that take the same input are one product; vectors become f32. */
#ifndef STO_CPU_WEIGHTS_H
#define STO_CPU_WEIGHTS_H

#include "runtime/model.h"

struct sto_cpu_weights {
    struct sto_device_weights table; /* addresses are host pointers; 0: not here */
    uint8_t *slab;
    uint64_t bytes; /* of the slab */
};

/* lanes [n_layers]: weights of layers that are STO_LANE_CPU there, vectors alone of those that are STO_LANE_PHASED, and
 * none outside layers; NULL: all of them. load.c fills them in. After an error, destroy takes what was made. */
enum sto_status sto_cpu_weights_create(const struct sto_model *model, const enum sto_lane *lanes,
                                       struct sto_cpu_weights *out, struct sto_error *err);
/* Host memory that they take. */
uint64_t sto_cpu_weights_room(const struct sto_model *model, const enum sto_lane *lanes);
/* Bytes of n_layers layers from first_layer, as in the file. */
uint64_t sto_cpu_weights_bytes(const struct sto_model *model, uint32_t first_layer, uint32_t n_layers);
/* Elements of a layer's matrices: a column takes two operations for each. */
double sto_cpu_weights_elements(const struct sto_model *model, uint32_t layer);
void sto_cpu_weights_destroy(struct sto_cpu_weights *weights);

#endif
