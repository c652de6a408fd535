/* The step block: all that changes from step to step, in device memory. Read by C and by GLSL.
 *
 * A recording never holds a position, a token or a length: kernels find them here, so that one recording serves every
 * step. The host writes the step into an upload buffer; step_begin copies it into device memory and fills in the group
 * counts of the attention dispatches. */
#ifndef STO_SHARED_STEP_H
#define STO_SHARED_STEP_H

/* One column: one token of one sequence. */
struct StepColumn {
    uint32_t token;    /* id                                              */
    uint32_t position; /* in its sequence, from 0                         */
    uint32_t sequence; /* row of the KV page table                        */
    uint32_t reserved;
};

struct StepHeader {
    uint32_t n_cols;         /* columns in this step                                                     */
    uint32_t n_pieces;       /* KV pieces the longest column needs: ceil((max position + 1) / KV_PAGE)   */
    uint32_t reserved0;
    uint32_t reserved1;
};
/* A step block is one StepHeader and then max_cols StepColumn. */

/* Tokens per KV page, which is also the piece that one workgroup of decode attention works on. */
#define KV_PAGE 128

#endif
