// reduce_columns.glsl: the end of the matrix-vector kernels: sums over the workgroup, then the store.
//
// Each invocation brings SUMS = ROWS * COLS partial sums. The order of additions follows from the sizes of workgroup
// and subgroup alone, so a column's result does not depend on how many columns there are. Correct for every subgroup
// size from 4 up; one subgroup per workgroup is the fast case.
#ifndef LIB_REDUCE_COLUMNS_GLSL
#define LIB_REDUCE_COLUMNS_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

shared float subgroup_sums[(WORKGROUP + 3u) / 4u * SUMS];

// v: this invocation's part of sum i, which belongs to column i % COLS of row first + i / COLS (counted from row0).
void add_up(uint i, float v, uint first)
{
    const float sum = subgroupAdd(v);
    if (gl_NumSubgroups == 1u) {
        if (gl_LocalInvocationIndex == i % WORKGROUP)
            store_y(i % COLS, first + i / COLS, sum);
    } else if (subgroupElect()) {
        subgroup_sums[gl_SubgroupID * SUMS + i] = sum;
    }
}

// After add_up of every i, by every invocation of the workgroup.
void store_sums(uint first)
{
    if (gl_NumSubgroups == 1u)
        return;
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < SUMS; i += WORKGROUP) {
        precise float sum = subgroup_sums[i];
        for (uint s = 1u; s < gl_NumSubgroups; s++)
            sum += subgroup_sums[s * SUMS + i];
        store_y(i % COLS, first + i / COLS, sum);
    }
}

#endif
