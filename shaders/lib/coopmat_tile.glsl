// coopmat_tile.glsl: the tile that a workgroup makes of y in the kernels of cooperative matrices, and its way out.
//
// Each subgroup has TM by TN matrices of M rows and N columns of the tile: side by side, SIDE of them over columns; or
// all have the same ones (ACROSS 0), each takes every SHARES-th block of n_in, and their sums are added in order. Sums
// go through shared memory, matrix by matrix, so that any edge may be ragged.
// Tuning: 0 WORKGROUP, 1 SUBGROUP, 2 M, 3 N, 4 K (sizes that the device has), 5 TM, 6 TN, 7 ACROSS: subgroups side by
// side over columns, or 0.
#ifndef LIB_COOPMAT_TILE_GLSL
#define LIB_COOPMAT_TILE_GLSL

#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 128u;
layout(constant_id = 1) const uint SUBGROUP = 32u;
layout(constant_id = 2) const uint M = 16u;
layout(constant_id = 3) const uint N = 16u;
layout(constant_id = 4) const uint K = 16u;
layout(constant_id = 5) const uint TM = 4u;
layout(constant_id = 6) const uint TN = 4u;
layout(constant_id = 7) const uint ACROSS = 2u;
const uint SUBGROUPS = WORKGROUP / SUBGROUP;
const uint SHARES = ACROSS == 0u ? SUBGROUPS : 1u;
const uint SIDE = ACROSS == 0u ? 1u : ACROSS;
const uint ROWS = SUBGROUPS / SHARES / SIDE * TM * M;
const uint COLS = SIDE * TN * N;
const uint SUMS = TM * TN;
const uint DEPTH = 32u; // elements of n_in at a time

#include "lib/mat.glsl"

shared float y_tile[SUBGROUPS * M * N]; // [SUBGROUPS, N, M]

// Where this subgroup's part begins in the tile, and which blocks it takes.
struct Part {
    uint row, col, share;
};

Part subgroup_part()
{
    const uint place = SHARES == 1u ? gl_SubgroupID : 0u;
    return Part(place / SIDE * TM * M, place % SIDE * TN * N, SHARES == 1u ? 0u : gl_SubgroupID);
}

// Puts out a matrix of sums in y_tile, whose first element is y[col, row]: the subgroup's own, or what all have made of
// it.
void store_matrix(uint row, uint col)
{
    if (SHARES == 1u) {
        for (uint u = gl_SubgroupInvocationID; u < M * N; u += SUBGROUP)
            store_y(col + u / M, row + u % M, y_tile[gl_SubgroupID * M * N + u]);
        return;
    }
    for (uint u = gl_LocalInvocationIndex; u < M * N; u += WORKGROUP) {
        float sum = y_tile[u];
        for (uint s = 1u; s < SHARES; s++)
            sum += y_tile[s * M * N + u];
        store_y(col + u / M, row + u % M, sum);
    }
}

#endif
